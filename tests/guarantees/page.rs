//! The page in a real browser, on a collector that a real exporter filled.

use std::process::Command;

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
        &["run", "--read", capture.to_str().unwrap(), "--to", &to],
    );
    assert!(collector.wait_for(155) >= 155);
    // What the capture holds, as the program that made it counted.
    let made: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root().join("fixtures/office.json")).unwrap()).unwrap();
    let truth = made["totals"].to_string();
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
