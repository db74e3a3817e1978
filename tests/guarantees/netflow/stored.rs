//! What our own collector makes of it, beside what it makes of IPFIX.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{captures, export, of_version};
use crate::support::collector::Collector;
use crate::support::{program, root, succeed, text};

/// What both ways tell of a flow.
const SHARED: [&str; 18] = [
    "src.ip",
    "dst.ip",
    "src.port",
    "dst.port",
    "proto",
    "ip.version",
    "tos",
    "ttl.min",
    "ttl.max",
    "packets",
    "octets",
    "vlan",
    "vlan.inner",
    "src.mac",
    "dst.mac",
    "end_reason",
    "icmp.type",
    "icmp.code",
];

#[test]
fn our_collector_stores_what_it_stores_of_ipfix() {
    let folder = tempfile::tempdir().unwrap();
    let capture = captures(folder.path())
        .into_iter()
        .nth(1)
        .unwrap_or_else(|| root().join("fixtures/office.pcap"));
    let collector = Collector::start(&folder.path().join("store"));
    let [ipfix, nine, five] =
        ["udp", "netflow9", "netflow5"].map(|scheme| format!("{scheme}://127.0.0.1:{}", collector.port));
    let sent = export(&capture, &nine, folder.path(), &["--domain", "9"]);
    export(&capture, &five, folder.path(), &["--domain", "5"]);
    export(&capture, &ipfix, folder.path(), &["--domain", "1"]);
    let decoded = succeed(
        &program("flowgauge-collector"),
        &["decode", folder.path().join("same.ipfix").to_str().unwrap()],
    );
    let records = text(&decoded.stdout)
        .lines()
        .filter(|line| line.starts_with(r#"{"kind":"record""#) && line.contains("\"packetDeltaCount\""))
        .count() as u64;
    let biflows = rows(&collector, 1, records);
    let mut expected = Vec::new();
    for row in &biflows {
        expected.push(one_way(row, false));
        if row["rev.packets"].as_u64().is_some_and(|packets| packets > 0) {
            expected.push(one_way(row, true));
        }
    }
    let mut stored: Vec<_> = rows(&collector, 9, sent.totals()[0])
        .iter()
        .map(|row| one_way(row, false))
        .collect();
    expected.sort();
    stored.sort();
    assert_eq!(stored.len(), expected.len());
    for (stored, expected) in stored.iter().zip(&expected) {
        assert_eq!(stored, expected);
    }
    // Version 5 knows no more than this of IPv4.
    let less = |row: &[String]| [&row[..5], &row[6..7], &row[9..11]].concat();
    let of_ipv4 = |row: &&Vec<String>| row[5] == "4" && !["1", "58"].contains(&row[4].as_str());
    let mut expected: Vec<_> = expected.iter().filter(of_ipv4).map(|row| less(row)).collect();
    let five = rows(&collector, 5, sent.only_ipv4().totals()[0]);
    let mut stored: Vec<_> = five
        .iter()
        .map(|row| one_way(row, false))
        .filter(|row| !["1", "58"].contains(&row[4].as_str()))
        .map(|row| less(&row))
        .collect();
    expected.sort();
    stored.sort();
    assert_eq!(stored, expected);
    let status = collector.get("/api/v1/status");
    assert_eq!(status["ledger"]["balanced"], true, "{status}");
    collector.terminate();
}

#[test]
fn our_collector_scales_what_was_sampled_as_it_does_of_ipfix() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("fixtures/office.pcap");
    let collector = Collector::start(&folder.path().join("store"));
    let send = |scheme: &str, domain: u32| {
        let destination = format!("{scheme}://127.0.0.1:{}", collector.port);
        // Every tenth packet: the same ones each time.
        let more = ["--domain", &domain.to_string(), "--sample", "1/10"];
        export(&capture, &destination, folder.path(), &more)
    };
    let sent = send("udp", 11);
    send("netflow9", 19);
    send("netflow5", 15);
    let [all, v4] = [sent.totals(), of_version(5, sent).totals()];
    for (domain, [records, packets, octets]) in [(19, all), (15, v4)] {
        let stored = rows(&collector, domain, records);
        let sum = |name: &str| stored.iter().map(|row| row[name].as_u64().unwrap()).sum::<u64>();
        assert_eq!(stored.len() as u64, records, "{domain}");
        assert_eq!([sum("packets"), sum("octets")], [10 * packets, 10 * octets], "{domain}");
        assert!(stored.iter().all(|row| row["sampling"] == 10), "{domain}");
    }
    collector.terminate();
}

/// The rows of one Observation Domain, once there are `expected` of them or 20 s are over.
fn rows(collector: &Collector, domain: u32, expected: u64) -> Vec<Value> {
    let begin = Instant::now();
    loop {
        let path = format!("/api/v1/flows?limit=100000&filter=exporter.domain%3D{domain}");
        let answer = collector.get(&path);
        let rows = answer["rows"].as_array().unwrap().clone();
        if rows.len() as u64 >= expected || begin.elapsed() > Duration::from_secs(20) {
            return rows;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The columns of [`SHARED`] of a row, turned round for its other direction.
fn one_way(row: &Value, reverse: bool) -> Vec<String> {
    let column = |name: &str| {
        let other = match name {
            "src.ip" => "dst.ip",
            "dst.ip" => "src.ip",
            "src.port" => "dst.port",
            "dst.port" => "src.port",
            "src.mac" => "dst.mac",
            "dst.mac" => "src.mac",
            "tos" => "rev.tos",
            "ttl.min" => "rev.ttl.min",
            "ttl.max" => "rev.ttl.max",
            "packets" => "rev.packets",
            "octets" => "rev.octets",
            "icmp.type" => "rev.icmp.type",
            "icmp.code" => "rev.icmp.code",
            same => same,
        };
        match &row[if reverse { other } else { name }] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    };
    SHARED.iter().map(|name| column(name)).collect()
}
