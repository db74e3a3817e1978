//! The summary of generated DNS traffic against the generator's truth: counters exact, estimates within their limits.
//!
//! The generator is not part of this repository: without it the test says what it leaves out and passes.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use flowgauge_exporter::run::summary::{SummaryConfig, summarize};
use flowgauge_exporter::summaries::networks::Networks;
use serde_json::Value;

const COUNTERS: [(&str, &str); 7] = [
    ("dns.queries", "/dns/queries"),
    ("dns.responses", "/dns/responses"),
    ("dns.answered", "/dns/matched"),
    ("dns.unanswered", "/dns/unanswered"),
    ("dns.no_query", "/dns/unsolicited_responses"),
    ("dns.retries", "/dns/repeated_queries"),
    ("dns.response_octets", "/dns/response_bytes"),
];
const CODES: [(&str, &str); 4] = [
    ("dns.noerror", "NOERROR"),
    ("dns.nxdomain", "NXDOMAIN"),
    ("dns.servfail", "SERVFAIL"),
    ("dns.refused", "REFUSED"),
];

#[test]
fn dns_traffic_is_summed_up_as_it_was_made() {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        Into::into,
    );
    let tool = shared.join("tools/synth");
    if !tool.is_dir() || Command::new("python3").arg("--version").output().is_err() {
        println!(
            "skipped: no generator at {}: summaries are not compared with its truth",
            tool.display()
        );
        return;
    }
    for seed in ["5", "6", "7"] {
        let folder = tempfile::tempdir().unwrap();
        let (capture, truth) = (folder.path().join("a.pcap"), folder.path().join("a.json"));
        let output = Command::new("python3")
            .arg("-B")
            .arg(&tool)
            .args(["--profile", "dns", "--packets", "20000", "--seed", seed, "--out"])
            .arg(&capture)
            .arg("--truth")
            .arg(&truth)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let truth: Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
        let config = SummaryConfig {
            read: vec![capture],
            filter: None,
            window: Duration::from_secs(10),
            rows: 1000,
            networks: Networks::default(),
            geo: Vec::new(),
        };
        let (summary, faults) = summarize(&config).unwrap();
        assert_eq!(faults, Vec::<String>::new());
        compare(&summary, &truth);
    }
}

fn compare(summary: &Value, truth: &Value) {
    let metric = |name: &str| &summary["metrics"][name];
    assert_eq!(summary["account"]["packets"], truth["totals"]["packets"]);
    assert_eq!(summary["account"]["too_late"], 0);
    assert_eq!(metric("packets")["value"], truth["totals"]["packets"]);
    for (name, place) in COUNTERS {
        assert_eq!(Some(&metric(name)["value"]), truth.pointer(place), "{name}");
    }
    for (name, code) in CODES {
        let truth = truth["dns"]["by_rcode"][code].as_u64().unwrap_or(0);
        assert_eq!(metric(name)["value"], truth, "{name}");
    }
    let number = |value: &Value| value.as_f64().unwrap();
    // Limits are of two standard deviations; the seeds are fixed, and four are far enough to be no accident.
    let (names, unique) = (metric("dns.qname"), number(&truth["dns"]["unique_qnames"]));
    let [value, lower, upper] = ["value", "lower", "upper"].map(|name| number(&names[name]));
    assert!(
        (value - unique).abs() <= 2.0 * (upper - lower).max(2.0) / 2.0,
        "{names} of {unique}"
    );
    let latency = &truth["dns"]["latency_ns"];
    assert_eq!(metric("dns.latency")["count"], latency["count"]);
    for (list, name) in [
        ("dns.nxdomain.top", "top_nxdomain"),
        ("dns.servfail.top", "top_servfail"),
    ] {
        let rows = metric(list)["rows"].as_array().unwrap();
        let truth = truth["dns"][name].as_array().unwrap();
        for pair in truth {
            let (item, weight) = (pair[0].as_str().unwrap(), number(&pair[1]));
            let row = rows
                .iter()
                .find(|row| row["item"] == item)
                .unwrap_or_else(|| panic!("{item} in {list}"));
            let limits = ["lower", "upper"].map(|name| number(&row[name]));
            assert!(limits[0] <= weight && weight <= limits[1], "{row} of {weight}");
        }
        assert!(!truth.is_empty());
    }
}
