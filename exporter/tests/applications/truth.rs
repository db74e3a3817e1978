//! Generated traffic: each field that the truth states must be told, and nothing is told of other flows.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::metering::{Ends, Known, ends, meter};
use crate::shared;

const FIELDS: [(&str, &str); 7] = [
    ("http_method", "httpRequestMethod"),
    ("http_host", "httpRequestHost"),
    ("http_path", "httpRequestTarget"),
    ("http_ua", "httpUserAgent"),
    ("http_status", "httpStatusCode"),
    ("ssh_server", "sshServerVersion"),
    ("ssh_client", "sshClientVersion"),
];

fn generate(tool: &Path, folder: &Path, arguments: &[&str]) -> (std::path::PathBuf, Value) {
    let (capture, truth) = (folder.join("a.pcap"), folder.join("a.json"));
    let output = Command::new("python3")
        .arg("-B")
        .arg(tool)
        .args(arguments)
        .arg("--out")
        .arg(&capture)
        .arg("--truth")
        .arg(&truth)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (capture, serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap())
}

fn ends_of(biflow: &Value) -> Ends {
    let address = |name: &str| -> IpAddr { biflow[name].as_str().unwrap().parse().unwrap() };
    let number = |name: &str| biflow[name].as_u64().unwrap();
    ends(
        (address("src"), number("sport") as u16),
        (address("dst"), number("dport") as u16),
        number("proto") as u8,
    )
}

fn agrees_with_truth(arguments: &[&str]) {
    let Some(tool) = shared("tools/synth") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (capture, truth) = generate(&tool, folder.path(), arguments);
    let (known, meter) = meter(&capture);
    let mut by_ends: HashMap<Ends, Vec<&Known>> = HashMap::new();
    for flow in &known {
        by_ends.entry(flow.ends).or_default().push(flow);
    }
    let (mut flows, mut values, mut wrong) = (0, 0, Vec::new());
    for biflow in truth["biflows"].as_array().unwrap() {
        let found = by_ends.get(&ends_of(biflow)).and_then(|found| {
            let start = biflow["start_ns"].as_i64()?;
            found.iter().find(|flow| flow.start_ns == start)
        });
        let stated: Vec<_> = FIELDS
            .iter()
            .filter_map(|(name, element)| Some((element, biflow["app"].get(name)?)))
            .collect();
        flows += usize::from(!stated.is_empty());
        for (element, value) in &stated {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let ours = found.map_or("", |flow| flow.get(element));
            values += 1;
            if ours != value {
                wrong.push(format!("{biflow}: {element} is {ours:?}, not {value:?}"));
            }
        }
        // A message whose end was not seen is told as far as it was and is none in the truth; its port still fits.
        let ports = [&biflow["sport"], &biflow["dport"]].map(Value::as_u64);
        let talks = |of: &[u64]| ports.iter().flatten().any(|port| of.contains(port));
        let fits = match found.map(|flow| flow.protocol()) {
            Some("http") => talks(&[80, 8080]),
            Some("ssh") => talks(&[22]),
            Some("dhcp") => talks(&[67]),
            Some("smtp" | "dhcpv6" | "stun") => false,
            _ => true,
        };
        if !fits {
            wrong.push(format!("{biflow}: taken for {:?}", found.map(|flow| flow.protocol())));
        }
    }
    let counters = meter.application_counters();
    println!(
        "{arguments:?}: {flows} flows with HTTP/1 or SSH, {values} values, {} inspected, {} recognised, {} faults",
        counters.flows_inspected,
        counters.recognised_total(),
        counters.faults_total()
    );
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(8)].join("\n")
    );
    assert_eq!((counters.reading_now, counters.known_now), (0, 0));
}

#[test]
fn tiny() {
    for seed in ["7", "8", "9"] {
        agrees_with_truth(&["--seed", seed, "--profile", "tiny"]);
    }
}

#[test]
fn mix() {
    for seed in ["7", "20262"] {
        agrees_with_truth(&["--seed", seed, "--packets", "60000", "--profile", "mix"]);
    }
}

#[test]
fn tcp_in_trouble() {
    for seed in ["911", "912"] {
        agrees_with_truth(&["--seed", seed, "--packets", "40000", "--profile", "tcp"]);
    }
}

#[test]
fn other_profiles() {
    for profile in ["dns", "scan", "elephants"] {
        agrees_with_truth(&["--seed", "5", "--packets", "30000", "--profile", profile]);
    }
}
