//! The page in a real browser, on a collector that a real exporter filled.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::peers::is_installed;
use crate::support::{program, root, skipped, succeed, text};

#[test]
fn every_page_shows_what_the_api_and_the_capture_say() {
    let page = root().join("collector/ui");
    if !is_installed("chromium") || !is_installed("node") {
        return skipped(
            "the page",
            "chromium or node is not installed (Debian: chromium, nodejs)",
        );
    }
    if !page.join("node_modules").is_dir() || !page.join("dist/index.html").is_file() {
        return skipped("the page", "it is not built (make ui)");
    }
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(&folder.path().join("store"));
    let capture = root().join("fixtures/office.pcap");
    let to = format!("tcp://127.0.0.1:{}", collector.port);
    succeed(
        &program("flowgauge-exporter"),
        &["run", "--read", capture.to_str().unwrap(), "--dns", "on", "--to", &to],
    );
    let truth = truth();
    let flows = truth["biflows"].as_u64().unwrap();
    assert_eq!(collector.wait_for(flows), flows);
    let truth = truth.to_string();
    let output = Command::new("npm")
        .args([
            "run",
            "--silent",
            "e2e",
            "--",
            "--url",
            &collector.url,
            "--truth",
            &truth,
        ])
        .current_dir(page)
        .output()
        .expect("npm");
    assert!(
        output.status.success(),
        "{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

/// What the capture holds, as the program that made it counted. In it every query for a name is one packet, and so is every
/// answer.
fn truth() -> Value {
    let made: Value = serde_json::from_slice(&std::fs::read(root().join("fixtures/office.json")).unwrap()).unwrap();
    let biflows = made["biflows"].as_array().unwrap();
    let dns = |way: usize| -> u64 {
        let of = biflows.iter().filter(|biflow| biflow["dport"] == 53);
        of.map(|biflow| biflow["packets"][way].as_u64().unwrap()).sum()
    };
    let mut truth = made["totals"].clone();
    truth["tcp"] = biflows.iter().filter(|biflow| biflow["proto"] == 6).count().into();
    truth["dns"] = json!({ "queries": dns(0), "answers": dns(1) });
    truth
}
