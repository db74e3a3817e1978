//! Counts are exact: what was asked, answered, left unanswered, asked again, and answered unasked.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use flowgauge_exporter::metering::dns::{DnsStatus, DnsTransaction};
use serde_json::Value;

use crate::{meter, shared};

fn check(seed: &str, profile: &str, packets: &str) {
    let tool = shared().join("tools/synth");
    if !tool.is_dir() || Command::new("python3").arg("--version").output().is_err() {
        println!(
            "skipped: no generator at {}: DNS of generated traffic is not compared",
            tool.display()
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (capture, truth) = (folder.path().join("a.pcap"), folder.path().join("a.json"));
    let arguments = [
        "--seed",
        seed,
        "--profile",
        profile,
        "--packets",
        packets,
        "--duration",
        "60",
        "--out",
    ];
    let output = Command::new("python3")
        .arg("-B")
        .arg(&tool)
        .args(arguments)
        .arg(&capture)
        .arg("--truth")
        .arg(&truth)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let truth: Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
    compare(&capture, &truth["dns"]);
}

fn compare(capture: &Path, truth: &Value) {
    let metered = meter(capture);
    let (counters, all) = (&metered.counters, &metered.transactions);
    let number = |name: &str| truth[name].as_u64().unwrap();
    let ours = [
        ("queries", counters.queries),
        ("responses", counters.responses),
        ("transactions", counters.opened),
        ("matched", counters.answered),
        ("unanswered", counters.timed_out + counters.stopped),
        ("repeated_queries", counters.retries),
        ("unsolicited_responses", counters.without_query),
    ];
    for (name, ours) in ours {
        assert_eq!(ours, number(name), "{name}: {counters:?}");
    }
    assert!(counters.opened > 100, "{counters:?}");
    assert_eq!(
        (counters.evicted, counters.faults_total(), counters.streams.gaps),
        (0, 0, 0)
    );
    let tcp = |status: Option<DnsStatus>| {
        let is_tcp = |one: &DnsTransaction| one.key.protocol == 6 && status.is_none_or(|status| one.status == status);
        all.iter().filter(|(_, one)| is_tcp(one)).count() as u64
    };
    let by_transport = &truth["by_transport"]["tcp"];
    assert_eq!(Some(tcp(Some(DnsStatus::Answered))), by_transport["responses"].as_u64());
    // A query that comes again is the same query.
    let octets = |of: fn(&DnsTransaction) -> u64| all.iter().map(|(_, one)| of(one)).sum::<u64>();
    let responses = octets(|one| one.response_octets.map_or(0, u64::from));
    let queries = octets(|one| one.query_octets.map_or(0, u64::from) * (1 + u64::from(one.retries)));
    assert_eq!((queries, responses), (number("query_bytes"), number("response_bytes")));
    // By type of queries: each transaction was asked once and as often again as it says.
    let mut types: BTreeMap<String, u64> = BTreeMap::new();
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    let mut names: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, one) in all {
        if one.status != DnsStatus::NoQuery {
            let times = 1 + u64::from(one.retries);
            *types.entry(type_name(one.qtype)).or_default() += times;
            *names.entry(name).or_default() += times;
        } else {
            names.entry(name).or_default();
        }
        if let Some(rcode) = one.rcode {
            *codes.entry(code_name(rcode)).or_default() += 1;
        }
    }
    assert_eq!(types, counts(&truth["by_qtype"]));
    assert_eq!(codes, counts(&truth["by_rcode"]));
    assert_eq!(names.len() as u64, number("unique_qnames"));
    for row in truth["top_query_names"]["qname"].as_array().unwrap() {
        let (name, count) = named(row);
        assert_eq!(names.get(name.as_str()), Some(&count), "{name}");
    }
    quantiles(all, &truth["latency_ns"]);
}

/// A row of a top list: a name and how often.
fn named(row: &Value) -> (String, u64) {
    match row {
        Value::Array(pair) => (pair[0].as_str().unwrap().to_owned(), pair[1].as_u64().unwrap()),
        other => {
            let name = other["name"].as_str().or(other["key"].as_str()).unwrap();
            (name.to_owned(), other["count"].as_u64().unwrap())
        }
    }
}

fn quantiles(all: &[(String, DnsTransaction)], truth: &Value) {
    let mut latencies: Vec<i64> = all
        .iter()
        .filter(|(_, one)| one.status == DnsStatus::Answered)
        .map(|(_, one)| one.end_ns - one.start_ns)
        .collect();
    latencies.sort_unstable();
    assert_eq!(latencies.first().copied(), truth["min"].as_i64());
    assert_eq!(latencies.last().copied(), truth["max"].as_i64());
    for (_, one) in all.iter().filter(|(_, one)| one.status == DnsStatus::Answered) {
        assert_eq!(i64::from(one.latency_us.unwrap()), (one.end_ns - one.start_ns) / 1000);
    }
}

fn counts(truth: &Value) -> BTreeMap<String, u64> {
    let truth = truth.as_object().unwrap();
    truth
        .iter()
        .map(|(name, count)| (name.clone(), count.as_u64().unwrap()))
        .collect()
}

/// IANA "Resource Record (RR) TYPEs".
fn type_name(number: u16) -> String {
    let names = [
        (1, "A"),
        (2, "NS"),
        (5, "CNAME"),
        (6, "SOA"),
        (12, "PTR"),
        (15, "MX"),
        (16, "TXT"),
        (28, "AAAA"),
        (33, "SRV"),
        (65, "HTTPS"),
    ];
    let name = names.iter().find(|(known, _)| *known == number);
    name.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// IANA "DNS RCODEs".
fn code_name(number: u16) -> String {
    let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
    let name = names.get(usize::from(number));
    name.map_or_else(|| number.to_string(), |name| (*name).to_owned())
}

#[test]
fn profile_dns_seed_1() {
    check("1", "dns", "40000");
}

#[test]
fn profile_dns_seed_2() {
    check("2", "dns", "40000");
}

#[test]
fn profile_dns_seed_3() {
    check("3", "dns", "40000");
}

#[test]
fn profile_mix() {
    check("11", "mix", "60000");
}
