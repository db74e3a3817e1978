//! Rollups say what the traffic was, by the truth of the traffic generator, also after they were made again from flows.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::{biflows, program, root, skipped, succeed, synth, text};

/// Octets and packets in both directions of protocols that every part of this counts the same.
type Sums = BTreeMap<u64, (u64, u64)>;

fn truth(path: &Path) -> Sums {
    let mut sums = Sums::new();
    for (key, counts) in biflows::truth(path) {
        let sum = sums.entry(key.4).or_default();
        sum.0 += counts.octets.iter().sum::<u64>();
        sum.1 += counts.packets.iter().sum::<u64>();
    }
    sums.retain(|protocol, _| [6, 17].contains(protocol));
    sums
}

fn sums(answer: &Value) -> Sums {
    let rows = answer["rows"].as_array().unwrap().iter();
    rows.map(|row| {
        let number = |name: &str| row[name].as_u64().unwrap();
        (number("proto"), (number("total.octets"), number("total.packets")))
    })
    .collect()
}

fn offline(data: &Path, arguments: &[&str]) -> Value {
    let all = [
        &["query", "--data", data.to_str().unwrap(), "--format", "json"],
        arguments,
    ]
    .concat();
    let output = succeed(&program("flowgauge-collector"), &all);
    serde_json::from_str(&text(&output.stdout)).unwrap()
}

const BY_PROTOCOL: &str =
    "/api/v1/aggregate?group_by=proto&metrics=total.octets,total.packets&filter=proto%20in%20(6,17)";

fn of_capture(capture: &Path, truth: &Sums) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let collector = Collector::start(&data);
    let to = format!("tcp://127.0.0.1:{}", collector.port);
    let capture = capture.to_str().unwrap();
    let arguments = [
        "run",
        "--read",
        capture,
        "--to",
        &to,
        "--idle-timeout",
        "1d",
        "--active-timeout",
        "1d",
    ];
    succeed(&program("flowgauge-exporter"), &arguments);
    let begin = Instant::now();
    while sums(&collector.get(BY_PROTOCOL)) != *truth {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "{}",
            collector.get(BY_PROTOCOL)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    for tier in ["rollup", "minute", "hour", "day"] {
        let answer = collector.get(&format!("{BY_PROTOCOL}&tier={tier}"));
        assert_eq!(sums(&answer), *truth, "{answer}");
        assert_eq!(answer["stats"]["error_bound"], 0.0, "{answer}");
    }
    let top = "/api/v1/aggregate?group_by=src.ip&metrics=octets";
    let by_source = |answer: &Value, name: &str| -> BTreeMap<String, u64> {
        let rows = answer["rows"].as_array().unwrap().iter();
        rows.map(|row| (row["src.ip"].as_str().unwrap().to_owned(), row[name].as_u64().unwrap()))
            .collect()
    };
    let flows = by_source(&collector.get(&format!("{top}&tier=raw&limit=100000")), "octets");
    let rolled = collector.get(&format!("{top}&tier=rollup&limit=1000"));
    let (lower, upper) = (by_source(&rolled, "octets.lower"), by_source(&rolled, "octets.upper"));
    assert!(!lower.is_empty());
    for (source, lower) in &lower {
        let octets = flows[source];
        assert!(
            *lower <= octets && octets <= upper[source],
            "{source}: {octets}, {lower} to {}",
            upper[source]
        );
    }
    let status = collector.get("/api/v1/status");
    assert_eq!(status["rollups"]["rows"], status["ledger"]["stored"], "{status}");
    assert_eq!(status["rollups"]["rows_missed"], 0);
    collector.terminate();
    let check = |data: &Path| {
        let answer = offline(
            data,
            &[
                "proto in (6, 17)",
                "--top",
                "proto",
                "--by",
                "total.octets",
                "--tier",
                "rollup",
            ],
        );
        let rows = answer["rows"].as_array().unwrap().iter();
        let found: BTreeMap<u64, u64> = rows
            .map(|row| (row["proto"].as_u64().unwrap(), row["total.octets"].as_u64().unwrap()))
            .collect();
        let wanted: BTreeMap<u64, u64> = truth.iter().map(|(protocol, sums)| (*protocol, sums.0)).collect();
        assert_eq!(found, wanted, "{answer}");
    };
    check(&data);
    let rebuilt = succeed(
        &program("flowgauge-collector"),
        &["rollups", "rebuild", "--data", data.to_str().unwrap()],
    );
    let line = text(&rebuilt.stdout);
    assert!(
        line.starts_with(&format!("{} rows in ", status["ledger"]["stored"])),
        "{line}"
    );
    check(&data);
}

#[test]
fn of_a_minute_in_an_office() {
    of_capture(
        &root().join("fixtures/office.pcap"),
        &truth(&root().join("fixtures/office.json")),
    );
}

#[test]
fn of_generated_traffic() {
    let folder = tempfile::tempdir().unwrap();
    let Some((capture, json)) = synth(folder.path(), "mix", 29, 60_000) else {
        return skipped("generated traffic", "the traffic generator is not beside the checkout");
    };
    of_capture(&capture, &truth(&json));
}
