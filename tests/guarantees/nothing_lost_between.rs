//! What one program sends the other stores: every record is found, and the accounts of both balance.

use std::path::Path;

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::{biflows, program, root, skipped, succeed, synth, text};

/// Records, and their packets and octets forward and back.
#[derive(Debug, PartialEq, Eq)]
struct Totals {
    records: u64,
    packets: u64,
    octets: u64,
}

/// Exports `capture` to the collector and, in the same run, into a file, of which the totals are what must be found.
fn sent(capture: &Path, destination: &str, folder: &Path) -> Totals {
    let file = folder.join("same.ipfix");
    let to_file = format!("file:{}", file.display());
    succeed(
        &program("flowgauge-exporter"),
        &[
            "run",
            "--read",
            capture.to_str().unwrap(),
            "--to",
            destination,
            "--to",
            &to_file,
        ],
    );
    let decoded = succeed(&program("flowgauge-collector"), &["decode", file.to_str().unwrap()]);
    let lines = text(&decoded.stdout);
    let records = lines
        .lines()
        .filter(|line| line.starts_with(r#"{"kind":"record""#))
        .count() as u64;
    let (packets, octets) = biflows::totals(&biflows::decoded(&lines));
    Totals {
        records,
        packets,
        octets,
    }
}

fn totals(row: &Value) -> Totals {
    let number = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name} in {row}")) as u64;
    Totals {
        records: number("flows"),
        packets: number("total.packets"),
        octets: number("total.octets"),
    }
}

/// How many records a search finds in a store that no program holds open.
fn found_in(store: &Path) -> u64 {
    let store = store.to_str().unwrap();
    let arguments = ["query", "--data", store, "--format", "json", "--limit", "1000000"];
    let answer = succeed(&program("flowgauge-collector"), &arguments);
    let answer: Value = serde_json::from_slice(&answer.stdout).unwrap();
    answer["rows"].as_array().unwrap().len() as u64
}

const METRICS: &str = "flows,total.packets,total.octets";

fn arrives_and_stays(capture: &Path, transport: &str) {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let collector = Collector::start(&store);
    let sent = sent(
        capture,
        &format!("{transport}://127.0.0.1:{}", collector.port),
        folder.path(),
    );
    assert!(sent.records > 100, "{sent:?}");
    assert_eq!(collector.wait_for(sent.records), sent.records);
    let answer = collector.get(&format!("/api/v1/aggregate?metrics={METRICS}"));
    assert_eq!(totals(&answer["rows"][0]), sent);

    let status = collector.get("/api/v1/status");
    let ledger = &status["ledger"];
    assert_eq!(ledger["balanced"], true, "{ledger}");
    assert_eq!(ledger["stored"].as_u64(), Some(sent.records), "{ledger}");
    assert_eq!(ledger["waiting"].as_u64(), Some(0), "{ledger}");
    let lost: u64 = ledger["lost"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(lost, 0, "{ledger}");

    // The same again without the program that wrote it.
    collector.terminate();
    assert_eq!(found_in(&store), sent.records);
}

#[test]
fn of_the_office_over_udp() {
    arrives_and_stays(&root().join("fixtures/office.pcap"), "udp");
}

#[test]
fn of_the_office_over_tcp() {
    arrives_and_stays(&root().join("fixtures/office.pcap"), "tcp");
}

fn of_generated(transport: &str) {
    let folder = tempfile::tempdir().unwrap();
    match synth(folder.path(), "mix", 5, 60_000) {
        Some((capture, _)) => arrives_and_stays(&capture, transport),
        None => skipped("generated traffic", "the traffic generator is not beside the checkout"),
    }
}

#[test]
fn of_generated_traffic_over_udp() {
    of_generated("udp");
}

#[test]
fn of_generated_traffic_over_tcp() {
    of_generated("tcp");
}

/// SIGTERM while records are on their way: everything that the sender's end of the connection handed over is kept.
#[test]
fn of_what_came_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let collector = Collector::start(&store);
    let destination = format!("tcp://127.0.0.1:{}", collector.port);
    let sent = sent(&root().join("fixtures/office.pcap"), &destination, folder.path());
    // Without waiting for anything to be indexed.
    collector.terminate();
    assert_eq!(found_in(&store), sent.records);
}

/// The collector goes and comes back: what was metered meanwhile waits and arrives.
#[test]
fn while_a_tcp_collector_is_away_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let port = crate::support::free_port();
    let capture = root().join("fixtures/office.pcap");
    let mut exporter = std::process::Command::new(program("flowgauge-exporter"))
        .args([
            "run",
            "--read",
            capture.to_str().unwrap(),
            "--to",
            &format!("tcp://127.0.0.1:{port}"),
        ])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let collector = Collector::start_on(&folder.path().join("store"), port);
    assert!(exporter.wait().unwrap().success());
    let file_run = tempfile::tempdir().unwrap();
    let other = Collector::start(&file_run.path().join("store"));
    let expected = sent(&capture, &format!("tcp://127.0.0.1:{}", other.port), file_run.path()).records;
    assert_eq!(collector.wait_for(expected), expected);
}
