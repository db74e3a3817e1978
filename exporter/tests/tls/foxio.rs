//! JA4 and server names beside the goldens of FoxIO's own implementations.

use std::net::IpAddr;

use crate::reading::{Flow, Key, read};
use crate::{captures, explain, name, shared};

/// One stream of a golden.
#[derive(Debug)]
struct Golden {
    key: Key,
    ja4: String,
    server_name: String,
}

/// The snapshots are YAML of one shape: a list of streams, their facts two spaces in.
fn snapshot(text: &str) -> Vec<Golden> {
    let mut goldens = Vec::new();
    for stream in text.split("\n- stream: ").skip(1) {
        let fact = |name: &str| {
            stream
                .lines()
                .find_map(|line| line.strip_prefix("  ")?.strip_prefix(name)?.strip_prefix(": "))
                .map(|value| value.trim_matches(['\'', '"']).to_owned())
        };
        if let Some(ja4) = fact("ja4") {
            let address = |name: &str| fact(name).unwrap().parse::<IpAddr>().unwrap();
            let port = |name: &str| fact(name).unwrap().parse::<u16>().unwrap();
            let protocol = if fact("transport").unwrap() == "tcp" { 6 } else { 17 };
            goldens.push(Golden {
                key: (
                    address("src"),
                    address("dst"),
                    port("src_port"),
                    port("dst_port"),
                    protocol,
                ),
                ja4,
                server_name: fact("tls_server_name").unwrap_or_default(),
            });
        }
    }
    goldens
}

/// The test data of the Python implementation: a list of streams, those with a `JA4.1` are hellos.
fn test_data(text: &str) -> Vec<Golden> {
    let streams: serde_json::Value = serde_json::from_str(text).unwrap();
    let streams = streams.as_array().unwrap().iter();
    let hellos = streams.filter_map(|stream| {
        let fact = |name: &str| stream[name].as_str();
        let ja4 = fact("JA4.1")?.to_owned();
        let protocol = if ja4.starts_with('q') { 17 } else { 6 };
        let key = (
            fact("src")?.parse().unwrap(),
            fact("dst")?.parse().unwrap(),
            fact("srcport")?.parse().unwrap(),
            fact("dstport")?.parse().unwrap(),
            protocol,
        );
        let server_name = fact("domain").unwrap_or_default().to_owned();
        Some(Golden { key, ja4, server_name })
    });
    hellos.collect()
}

fn compare(source: &str, goldens: impl Fn(&str) -> Option<Vec<Golden>>) {
    let Some(folder) = shared("corpus/ja4") else { return };
    let pcap = folder.join("pcap");
    let (mut compared, mut agree, mut differences) = (0, 0, Vec::new());
    for capture in captures(&pcap) {
        let name = name(&capture, &pcap);
        let Some(goldens) = goldens(&name) else { continue };
        let flows = read(&capture).flows;
        let mut same = 0;
        for golden in &goldens {
            let ours: Vec<&Flow> = flows.iter().filter(|flow| flow.is_between(&golden.key)).collect();
            let found = |flow: &&Flow| flow.ja4() == golden.ja4 && flow.server_name() == golden.server_name;
            if ours.iter().any(found) {
                same += 1;
            } else {
                let ours: Vec<_> = ours.iter().map(|flow| (flow.ja4(), flow.server_name())).collect();
                differences.push(format!("{name}: {golden:?}, ours {ours:?}"));
            }
        }
        if !goldens.is_empty() {
            println!("{source} {name}: {same} of {} streams", goldens.len());
        }
        compared += goldens.len();
        agree += same;
    }
    println!("{source}: JA4 and server name agree on {agree} of {compared} streams");
    explain(differences, &[]);
    assert!(compared > 0);
}

#[test]
fn snapshots_of_the_rust_implementation() {
    compare("snapshot", |name| {
        let path = shared("corpus/ja4/snapshots")?.join(format!("ja4__insta@{name}.snap"));
        Some(snapshot(&std::fs::read_to_string(path).ok()?))
    });
}

#[test]
fn test_data_of_the_python_implementation() {
    compare("testdata", |name| {
        let path = shared("corpus/ja4/testdata")?.join(format!("{name}.json"));
        Some(test_data(&std::fs::read_to_string(path).ok()?))
    });
}
