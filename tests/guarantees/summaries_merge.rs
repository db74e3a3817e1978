//! Summaries of many exporters, merged by the collector, are the truth about all their packets within the limits it states,
//! and they are there after the collector was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::peers::is_installed;
use crate::support::{program, root, skipped, succeed, synth, text};

/// Exporters whose packets are no other's.
const APART: u64 = 8;
/// Exporters that see all packets once more.
const AGAIN: u64 = 2;

fn capture(folder: &Path) -> PathBuf {
    synth(folder, "dns", 23, 12_000).map_or_else(|| root().join("fixtures/office.pcap"), |(capture, _)| capture)
}

/// Runs an exporter over a part of the capture.
fn export(capture: &Path, collector: &Collector, domain: u64, filter: Option<&str>) {
    let (to, domain) = (format!("tcp://127.0.0.1:{}", collector.port), domain.to_string());
    let mut arguments = vec!["run", "--read", capture.to_str().unwrap()];
    arguments.extend([
        "--domain",
        &domain,
        "--summaries",
        "1h",
        "--summary-budget",
        "1M",
        "--to",
        &to,
    ]);
    arguments.extend(filter.iter().flat_map(|filter| ["--filter", filter]));
    succeed(&program("flowgauge-exporter"), &arguments);
}

/// What tshark sees: packets by source, and the names of DNS.
struct Truth {
    sources: BTreeMap<String, u64>,
    names: BTreeSet<String>,
}

fn truth(capture: &Path) -> Truth {
    let tshark = |more: &[&str]| {
        let output = Command::new("tshark")
            .args([
                "-n",
                "-r",
                capture.to_str().unwrap(),
                "-T",
                "fields",
                "-E",
                "occurrence=f",
            ])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let mut sources = BTreeMap::new();
    for line in tshark(&["-e", "ip.src", "-e", "ipv6.src"]).lines() {
        if let Some(source) = line.split('\t').find(|address| !address.is_empty()) {
            *sources.entry(source.to_owned()).or_default() += 1;
        }
    }
    let only = "dns and (udp.port == 53 or tcp.port == 53)";
    let names = tshark(&["-Y", only, "-e", "dns.qry.name"]);
    Truth {
        sources,
        names: names
            .lines()
            .map(str::to_lowercase)
            .filter(|name| !name.is_empty())
            .collect(),
    }
}

fn rows(answer: &Value, metric: &str) -> Vec<Value> {
    let rows = answer["rows"].as_array().unwrap();
    rows.iter().filter(|row| row["metric"] == metric).cloned().collect()
}

fn merged(collector: &Collector, metric: &str) -> Value {
    collector.get(&format!("/api/v1/summaries?metric={metric}&limit=1000"))
}

fn wait_for(collector: &Collector, exporters: u64) {
    let begin = Instant::now();
    loop {
        let answer = merged(collector, "packets");
        let ledger = &collector.get("/api/v1/status")["ledger"];
        if answer["stats"]["exporters"] == exporters && ledger["waiting"] == 0 {
            assert_eq!(ledger["balanced"], true, "{ledger}");
            assert_eq!(ledger["lost"], serde_json::json!({}), "{ledger}");
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{answer} {ledger}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Everything that is merged is as tshark counts, when each packet was seen `times` times.
fn check(collector: &Collector, truth: &Truth, packets: u64, times: u64, exporters: u64) {
    let sum = &rows(&merged(collector, "packets"), "packets")[0];
    assert_eq!(sum["value"], packets * times);
    let answer = merged(collector, "ip.src");
    for about in answer["metrics"].as_array().unwrap() {
        assert_eq!(about["exporters"], exporters, "{about}");
        assert_eq!(about["without_image"], 0, "{about}");
    }
    let within = |row: &Value, truth: f64| {
        let limits = row["lower"].as_f64().unwrap()..=row["upper"].as_f64().unwrap();
        assert!(limits.contains(&truth), "{row}: {truth}");
    };
    within(&rows(&answer, "ip.src")[0], truth.sources.len() as f64);
    let listed = rows(&answer, "ip.src.packets");
    for row in &listed {
        let packets = truth.sources.get(row["item"].as_str().unwrap());
        within(row, (packets.copied().unwrap_or(0) * times) as f64);
    }
    let heaviest = truth.sources.iter().max_by_key(|(_, packets)| **packets).unwrap();
    assert!(
        listed.iter().any(|row| row["item"] == heaviest.0.as_str()),
        "{heaviest:?}"
    );
    let names = merged(collector, "dns.qname");
    within(&rows(&names, "dns.qname")[0], truth.names.len() as f64);
    let latency = rows(&merged(collector, "dns.latency"), "dns.latency");
    assert_eq!(latency.len(), 5, "one row a rank");
}

#[test]
fn eight_exporters_are_one_and_a_crash_changes_nothing() {
    if !is_installed("tshark") {
        return skipped("the truth about a capture", "tshark is not installed (Debian: tshark)");
    }
    let folder = tempfile::tempdir().unwrap();
    let (capture, data) = (capture(folder.path()), folder.path().join("data"));
    let truth = truth(&capture);
    let summary = succeed(
        &program("flowgauge-exporter"),
        &["summary", "--read", capture.to_str().unwrap(), "--window", "1h"],
    );
    let summary: Value = serde_json::from_slice(&summary.stdout).unwrap();
    let packets = summary["metrics"]["packets"]["value"].as_u64().unwrap();

    let mut collector = Collector::start(&data);
    // Both directions of a flow have the same sum of ports; all that has none goes to the last exporter.
    let class = "ip and udp and ((udp[0:2] + udp[2:2]) & 7";
    for domain in 1..APART {
        export(&capture, &collector, domain, Some(&format!("{class} = {domain})")));
    }
    let rest = format!("not ({class} != 0))");
    export(&capture, &collector, APART, Some(&rest));
    wait_for(&collector, APART);
    check(&collector, &truth, packets, 1, APART);

    for domain in APART + 1..=APART + AGAIN {
        export(&capture, &collector, domain, None);
    }
    wait_for(&collector, APART + AGAIN);
    check(&collector, &truth, packets, 1 + AGAIN, APART + AGAIN);

    // Flows are counted apart from summaries.
    let status = collector.get("/api/v1/status");
    let records = status["ledger"]["received"]["records"].as_u64().unwrap();
    let summaries = status["summaries"]["stored"].as_u64().unwrap();
    assert!(summaries > 0 && collector.flows() + summaries <= records);

    let before = rows(&merged(&collector, "ip.src"), "ip.src.packets");
    collector.kill();
    drop(collector);
    let offline = succeed(
        &program("flowgauge-collector"),
        &[
            "summaries",
            "ip.src",
            "--limit",
            "1000",
            "--format",
            "json",
            "--data",
            data.to_str().unwrap(),
        ],
    );
    let offline: Value = serde_json::from_slice(&offline.stdout).unwrap();
    assert_eq!(rows(&offline, "ip.src.packets"), before);
    let collector = Collector::start(&data);
    check(&collector, &truth, packets, 1 + AGAIN, APART + AGAIN);
    assert_eq!(rows(&merged(&collector, "ip.src"), "ip.src.packets"), before);
    let words = collector.terminate();
    assert!(words.contains("balanced=true"), "{words}");
}

#[test]
fn transactions_are_not_flows() {
    let folder = tempfile::tempdir().unwrap();
    let capture = capture(folder.path());
    let file = folder.path().join("plain.ipfix");
    let count = |output: &str, mark: &str| output.lines().filter(|line| line.contains(mark)).count() as u64;
    let collector = Collector::start(&folder.path().join("data"));
    let to = format!("tcp://127.0.0.1:{}", collector.port);
    let to_file = format!("file:{}", file.display());
    succeed(
        &program("flowgauge-exporter"),
        &[
            "run",
            "--read",
            capture.to_str().unwrap(),
            "--dns",
            "on",
            "--to",
            &to,
            &to_file,
        ],
    );
    let decoded = succeed(&program("flowgauge-collector"), &["decode", file.to_str().unwrap()]);
    let decoded = text(&decoded.stdout);
    let (records, transactions) = (
        count(&decoded, r#"{"kind":"record""#),
        count(&decoded, "\"dnsTransactionStatus\":"),
    );
    assert!(transactions > 0 && transactions < records);
    assert_eq!(collector.wait_for(records - transactions), records - transactions);
    let begin = Instant::now();
    let both = loop {
        let totals = collector.get("/api/v1/aggregate?metrics=flows,transactions");
        let both = &totals["rows"][0];
        if both["transactions"] == transactions || begin.elapsed() > Duration::from_secs(10) {
            break both.clone();
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(both["transactions"], transactions);
    assert_eq!(both["flows"], records - transactions);
    // A name found in the transactions, with its code and status.
    let found = collector.get("/api/v1/flows?filter=kind%20%3D%20dns&limit=1");
    let name = found["rows"][0]["dns.qname"].as_str().unwrap();
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    let filter: String = format!("dns.qname = \"{quoted}\"")
        .bytes()
        .map(|octet| format!("%{octet:02X}"))
        .collect();
    let again = collector.get(&format!("/api/v1/flows?filter={filter}&limit=1000"));
    let again = again["rows"].as_array().unwrap();
    assert!(!again.is_empty());
    for row in again {
        assert_eq!((row["dns.qname"].as_str(), row["kind"].as_u64()), (Some(name), Some(2)));
        assert!(row["dns.status"].is_number() && row["dns.qtype"].is_number(), "{row}");
    }
    let plain = collector.get("/api/v1/flows?limit=1000");
    assert!(plain["rows"].as_array().unwrap().iter().all(|row| row["kind"] == 1));
}
