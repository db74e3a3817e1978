//! The metrics page by the rules of Prometheus' formats, and by promtool where there is one.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use super::*;
use crate::exporting::{DestinationAccounts, Loss, Volume};

/// Samples by name and labels, and the type of each family.
struct Page {
    samples: BTreeMap<String, f64>,
    kinds: BTreeMap<String, String>,
}

/// Holds a page to the rules: HELP, then TYPE, then the samples of one family together, names and labels well formed, no
/// series twice, counters called `_total`, units at the end of names.
fn checked(text: &str, open_metrics: bool) -> Page {
    let mut page = Page {
        samples: BTreeMap::new(),
        kinds: BTreeMap::new(),
    };
    let mut helped = BTreeSet::new();
    let mut family = String::new();
    let is_name = |name: &str| {
        let mut signs = name.chars();
        signs.next().is_some_and(|first| first.is_ascii_lowercase())
            && signs.all(|sign| sign.is_ascii_lowercase() || sign.is_ascii_digit() || "_".contains(sign))
    };
    for line in text.lines() {
        if line == "# EOF" {
            assert!(open_metrics && text.ends_with("# EOF\n"));
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(
                !help.is_empty() && helped.insert(name.to_owned()),
                "HELP of {name} twice"
            );
            family = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family, "TYPE without its HELP");
            assert!(["counter", "gauge"].contains(&kind));
            assert_eq!(kind == "counter" && !open_metrics, name.ends_with("_total"), "{name}");
            assert!(
                page.kinds.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name} twice"
            );
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert_eq!(name, family);
            assert!(name.trim_end_matches("_total").ends_with(unit), "{name} {unit}");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            let is_counter = page.kinds[&family] == "counter";
            let expected = match open_metrics && is_counter {
                true => format!("{family}_total"),
                false => family.clone(),
            };
            assert_eq!(name, expected, "a sample of another family");
            assert!(is_name(name), "{name}");
            if let Some(labels) = series.strip_prefix(name).unwrap().strip_prefix('{') {
                for label in labels.strip_suffix('}').unwrap().split("\",") {
                    let (label, text) = label.split_once("=\"").unwrap();
                    assert!(is_name(label), "{label}");
                    assert!(!text.trim_end_matches('"').contains('\n'));
                }
            }
            let value: f64 = value.parse().unwrap();
            assert!(value >= 0.0 && value.is_finite());
            assert!(
                page.samples.insert(series.to_owned(), value).is_none(),
                "{series} twice"
            );
        }
    }
    assert_eq!(open_metrics, text.ends_with("# EOF\n"));
    page
}

fn promtool(text: &str) {
    let Ok(mut tool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        println!("skipped: no promtool: the page is held to the rules by this test alone");
        return;
    };
    tool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

fn with_destination(running: &Running) -> Arc<DestinationAccounts> {
    let destination = Arc::new(DestinationAccounts::new("udp://h:4739"));
    destination.add_queued(10);
    destination.add_exported(6, 900);
    let volume = Volume {
        flows: 3,
        ..Volume::default()
    };
    destination.add_lost(1, Loss::QueueFull, volume);
    running.accounts.add_destination(destination.clone());
    destination
}

#[test]
fn the_page_keeps_the_rules_and_counters_only_grow() {
    let running = Running::of(&office(), OFFICE, false);
    let destination = with_destination(&running);
    let answer = running.get("/metrics");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = answer.text();
    promtool(&text);
    let before = checked(&text, false);
    let at = |series: &str| before.samples[&format!("flowgauge_exporter_{series}")];
    assert_eq!(at("metered_packets_total{source=\"eth0\"}"), 985.0);
    assert_eq!(at("metered_octets_total{source=\"eth0\"}"), 285_508.0);
    assert_eq!(at("summarized_packets_total"), 985.0);
    assert_eq!(
        at("destination_queued_records_total{destination=\"udp://h:4739\"}"),
        10.0
    );
    assert_eq!(
        at("destination_lost_records_total{destination=\"udp://h:4739\",reason=\"queue_full\"}"),
        3.0
    );
    assert_eq!(at("destination_waiting_records{destination=\"udp://h:4739\"}"), 1.0);
    let dns = |kind: &str| at(&format!("dns_messages_total{{source=\"eth0\",kind=\"{kind}\"}}"));
    assert!(dns("query") > 0.0 && dns("response") > 0.0);

    // What breaks with its connection is taken back from what was sent, which is no counter therefore.
    destination.move_to_lost(2, Loss::Unconfirmed, 4);
    let mut sources = running.accounts.sources();
    sources[0].meter.packets_seen += 5;
    running.accounts.publish(0, sources.remove(0));
    let after = checked(&running.get("/metrics").text(), false);
    for (series, value) in &before.samples {
        let family = series.split('{').next().unwrap();
        if before.kinds[family] == "counter" {
            assert!(after.samples[series] >= *value, "{series} fell");
        }
    }
}

#[test]
fn open_metrics_come_when_they_are_asked_for() {
    let running = Running::of(&office(), OFFICE, false);
    let answer = running.request(
        "GET /metrics HTTP/1.1\r\nhost: x\r\naccept: application/openmetrics-text; version=1.0.0,text/plain;q=0.5\r\n\
         connection: close\r\n\r\n",
    );
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let page = checked(&answer.text(), true);
    assert_eq!(
        page.samples["flowgauge_exporter_metered_packets_total{source=\"eth0\"}"],
        985.0
    );
}

#[test]
fn pktvisors_metrics_keep_the_rules_too() {
    let running = Running::of(&office(), OFFICE, false);
    let text = running.get("/api/v1/policies/__all/metrics/prometheus").text();
    let newest = running.json("/api/v1/windows/1");
    let expected = newest["metrics"]["packets.udp"]["value"].as_f64().unwrap();
    let line = "packets_udp{policy=\"default\",module=\"default-net\"} ";
    let value = text.lines().find_map(|found| found.strip_prefix(line)).unwrap();
    assert_eq!(value.parse::<f64>().unwrap(), expected);
    for name in [
        "dns_wire_packets_queries",
        "dns_xact_counts_timed_out",
        "packets_cardinality_src_ips_in",
    ] {
        assert!(text.contains(&format!("\n{name}{{")), "{name}");
    }
}

#[test]
fn an_agent_of_sflow_has_its_counters_on_the_page() {
    use std::sync::atomic::Ordering::Relaxed;

    use crate::sflow::queue::{Kind, Traffic};
    use crate::sflow::{SampleQueue, SflowAccounts};

    let running = Running::of(&office(), OFFICE, false);
    assert!(!running.get("/metrics").text().contains("sflow"), "there is no agent");
    let queue = Arc::new(SampleQueue::new(false));
    let source = queue.source(3).unwrap();
    queue.push(source, 99, &Traffic::default(), Kind::Packet, |_| {});
    let accounts = Arc::new(SflowAccounts::new(queue, ["sflow://h:6343".to_owned()]));
    accounts.flow_samples.store(1, Relaxed);
    accounts.counter_samples.store(7, Relaxed);
    accounts.receivers[0].datagrams.store(4, Relaxed);
    accounts.receivers[0].errors.store(2, Relaxed);
    running.accounts.set_sflow(accounts);
    let text = running.get("/metrics").text();
    promtool(&text);
    let page = checked(&text, false);
    for (series, value) in [
        ("packets_total{end=\"not_sampled\"}", 99.0),
        ("packets_total{end=\"sampled\"}", 1.0),
        ("lost_packets_total{reason=\"queue_full\"}", 0.0),
        ("samples_total{kind=\"flow\"}", 1.0),
        ("samples_total{kind=\"counters\"}", 7.0),
        ("datagrams_total{destination=\"sflow://h:6343\"}", 4.0),
        ("errors_total{destination=\"sflow://h:6343\"}", 2.0),
    ] {
        assert_eq!(
            page.samples[&format!("flowgauge_exporter_sflow_{series}")],
            value,
            "{series}"
        );
    }
}
