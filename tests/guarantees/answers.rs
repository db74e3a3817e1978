//! What is answered is what the capture's truth says: hundreds of questions made up at random are asked to a collector that has the
//! flows of a capture, and computed from the generator's truth as well, in Python and, where it is installed, DuckDB.
//!
//! `tests/guarantees/answers` makes the questions and says what their answers must be. A failure prints the seed: FLOWGAUGE_SEED asks
//! the same again.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::peers::is_installed;
use crate::support::{program, root, run, skipped, succeed, synth_with, text};

/// Questions to flows of one capture; a third as many to rollups.
const QUESTIONS: u64 = 120;
/// How long a generated capture lasts, seconds: some windows of rollups.
const SECONDS: &str = "600";

fn seed() -> u64 {
    let named = std::env::var("FLOWGAUGE_SEED").ok().and_then(|text| text.parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() % 1_000_000;
    named.unwrap_or_else(now)
}

/// An interpreter, the one with DuckDB if there is one.
fn python() -> String {
    let installed = root().join("target/python/bin/python3");
    match std::env::var("FLOWGAUGE_PYTHON") {
        Ok(named) => named,
        Err(_) if installed.is_file() => installed.display().to_string(),
        Err(_) => "python3".to_owned(),
    }
}

/// Exports a capture to a collector, asks, and gives what was asked and found.
fn ask(capture: &Path, truth: &Path, seed: u64) -> Value {
    let biflows: Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
    let biflows = biflows["biflows"].as_array().unwrap().len() as u64;
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(&folder.path().join("store"));
    let to = format!("tcp://127.0.0.1:{}", collector.port);
    let unsplit = ["--idle-timeout", "1d", "--active-timeout", "1d"];
    let arguments = ["run", "--read", capture.to_str().unwrap(), "--to", &to];
    succeed(&program("flowgauge-exporter"), &[&arguments[..], &unsplit].concat());
    assert_eq!(collector.wait_for(biflows), biflows, "one record a biflow");
    let asked = run(
        Path::new(&python()),
        &[
            "-B",
            root().join("tests/guarantees/answers").to_str().unwrap(),
            &collector.url,
            truth.to_str().unwrap(),
            "--seed",
            &seed.to_string(),
            "--questions",
            &QUESTIONS.to_string(),
        ],
    );
    let said = text(&asked.stdout);
    println!("seed {seed}: {said}");
    assert!(asked.status.success(), "seed {seed}: {said}{}", text(&asked.stderr));
    let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(summary["flows"], biflows);
    assert_eq!(count("totals") + count("groups") + count("series"), QUESTIONS);
    for kind in ["totals", "groups", "series", "rolled"] {
        assert!(count(kind) > 0, "{summary}");
    }
    // Most filters find something, or they would prove nothing.
    assert!(count("some") > QUESTIONS / 2, "{summary}");
    if summary["duckdb"] == false {
        skipped(
            "the same answers from DuckDB",
            "it is not installed (pip install duckdb)",
        );
    }
    summary
}

fn has_python() -> bool {
    let has = is_installed(&python());
    if !has {
        skipped("answers beside another computation", "python3 is not installed");
    }
    has
}

#[test]
fn equal_an_independent_computation_from_generated_traffic() {
    if !has_python() {
        return;
    }
    let (folder, seed) = (tempfile::tempdir().unwrap(), seed());
    let generated = synth_with(folder.path(), "mix", seed as u32, 20_000, &["--duration", SECONDS]);
    let Some((capture, truth)): Option<(PathBuf, PathBuf)> = generated else {
        return skipped("generated traffic", "the traffic generator is not beside the checkout");
    };
    let summary = ask(&capture, &truth, seed);
    assert!(summary["estimates"].as_u64().unwrap() > 0, "{summary}");
}

#[test]
fn equal_an_independent_computation_from_a_minute_in_an_office() {
    if has_python() {
        ask(
            &root().join("fixtures/office.pcap"),
            &root().join("fixtures/office.json"),
            seed(),
        );
    }
}
