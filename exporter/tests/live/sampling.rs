//! Samples of captures: what is taken, what is said of it, and what it scales up to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::namespaces::{number, totals, veth_pair};
use super::traffic::conversations;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/office.pcap")
}

/// Records and account of one run over the fixture, each flow in one record.
fn run(sample: &[&str]) -> (Vec<Value>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_flowgauge-exporter"))
        .args([
            "run",
            "--idle-timeout",
            "1d",
            "--active-timeout",
            "1d",
            "--to",
            "json:-",
            "--read",
        ])
        .arg(fixture())
        .args(sample)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    (
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        said,
    )
}

/// The record without what names the Selector.
fn bare(record: &Value) -> String {
    let mut record = record.clone();
    let fields = record.as_object_mut().unwrap();
    fields.retain(|name, _| !name.starts_with("sampl") && !name.starts_with("selector"));
    record.to_string()
}

#[test]
fn systematic_sampling_takes_exactly_its_share_and_says_so() {
    let (all, _) = run(&[]);
    let packets = totals(&all).0;
    for n in [2, 7, 100] {
        let (records, said) = run(&["--sample", &format!("1/{n}")]);
        // The first of every n.
        let taken = packets.div_ceil(n);
        assert_eq!(totals(&records).0, taken);
        assert!(
            said.contains(&format!(
                "{packets} packets seen, {taken} metered, 0 not metered, {} sampled out",
                packets - taken
            )),
            "{said}"
        );
        assert!(
            records.iter().all(|record| number(record, "selectorId") == 1),
            "{}",
            records[0]
        );
        // Times between packets mean nothing where packets are missing.
        let text = records.iter().map(Value::to_string).collect::<String>();
        assert!(!text.contains("tcpHandshakeRtt"));
    }
}

#[test]
fn random_sampling_takes_n_of_every_population() {
    let (all, _) = run(&[]);
    let packets = totals(&all).0;
    let (records, _) = run(&["--sample", "random:3/10"]);
    let taken = totals(&records).0;
    assert!(
        (packets / 10 * 3..=packets / 10 * 3 + 3).contains(&taken),
        "{taken} of {packets}"
    );
    let (records, said) = run(&["--sample", "probability:0.25"]);
    let (taken, mean) = (totals(&records).0 as f64, packets as f64 / 4.0);
    assert!((taken - mean).abs() < 6.0 * (mean * 0.75).sqrt(), "{said}");
}

#[test]
fn flow_sampling_keeps_biflows_whole() {
    let (all, _) = run(&[]);
    let whole: BTreeSet<String> = all.iter().map(bare).collect();
    let mut taken = 0;
    // Which flows are taken differs from run to run: the hash has a secret.
    const RUNS: usize = 12;
    for _ in 0..RUNS {
        let (records, said) = run(&["--sample", "flow:1/4"]);
        for record in &records {
            assert!(whole.contains(&bare(record)), "{record} is in no run without sampling");
            assert_eq!(number(record, "selectorId"), 1, "{record}");
        }
        let packets = totals(&records).0;
        assert!(said.contains(&format!("985 packets seen, {packets} metered")), "{said}");
        taken += records.len();
    }
    let mean = (RUNS * all.len()) as f64 / 4.0;
    assert!(
        (taken as f64 - mean).abs() < 6.0 * (mean * 0.75).sqrt(),
        "{taken} flows for {mean}"
    );
}

#[test]
fn adaptive_sampling_of_files_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_flowgauge-exporter"))
        .args(["run", "--read", "a.pcap", "--to", "json:-", "--sample", "adaptive"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("--sample: adaptive is for live capture"), "{said}");
}

/// An exporter that is not let run most of the time cannot keep up: it samples, says so, and its records still add up.
#[test]
fn adaptive_sampling_adds_up_to_what_was_seen() {
    let Some((left, right)) = veth_pair("adaptive sampling") else {
        return;
    };
    let arguments = [
        "--interface",
        "vb",
        "--buffer",
        "256K",
        "--sample",
        "adaptive",
        "--idle-timeout",
        "1h",
    ];
    let exporter = right.exporter(&arguments);
    let frames: Vec<Vec<u8>> = (0..10)
        .flat_map(|turn| conversations(50).into_iter().map(move |one| one.frame(turn, false)))
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let many = frames.iter().cycle().take(160_000);
            left.send("va", 40_000, many.map(Vec::as_slice));
        });
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(4) {
            exporter.signal("STOP");
            std::thread::sleep(Duration::from_millis(250));
            exporter.signal("CONT");
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let (records, said) = exporter.end();
    assert!(said.contains("vb: meters 1 of "), "{said}");
    let count = |before: &str| {
        let line = said.lines().find(|line| line.contains(" packets seen, ")).unwrap();
        let mut words = line.split(before).next().unwrap().split_whitespace();
        words.next_back().unwrap().parse::<u64>().unwrap()
    };
    let (seen, metered, out) = (count(" packets seen"), count(" metered"), count(" sampled out"));
    assert_eq!(seen, metered + out, "{said}");
    assert!(out > 0 && count(" dropped by the kernel") > 0, "{said}");
    // The Selector's number is the power of two.
    let factor = |record: &Value| 1u64 << number(record, "selectorId");
    let scaled: u64 = records
        .iter()
        .map(|record| factor(record) * totals(std::slice::from_ref(record)).0)
        .sum();
    let changes = said.lines().filter(|line| line.contains(": meters 1 of ")).count() as u64;
    let largest = records.iter().map(factor).max().unwrap();
    assert!(largest > 1, "{said}");
    assert!(
        scaled.abs_diff(seen) <= largest * (changes + 1),
        "{scaled} for {seen}: {said}"
    );
}
