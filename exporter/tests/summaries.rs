//! Summaries against what others say of the same traffic: the generator, pktvisor, dnscap, and the sums of single hosts.
//!
//! What is not part of this repository may be absent: then a test says what it leaves out and passes.
#![allow(clippy::unwrap_used)]

#[path = "summaries/dumps.rs"]
mod dumps;
#[path = "summaries/merging.rs"]
mod merging;
#[path = "summaries/pktvisor.rs"]
mod pktvisor;
#[path = "summaries/synth.rs"]
mod synth;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::dns::{DnsConfig, DnsTransaction, Ports};
use flowgauge_exporter::metering::{FlowEndReason, Meter, MeterConfig};
use flowgauge_exporter::summaries::networks::Networks;
use flowgauge_exporter::summaries::sketch::{Estimate, Row};
use flowgauge_exporter::summaries::{Metric, Summaries, SummariesConfig, Summary, Window, json};

fn shared() -> PathBuf {
    std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        Into::into,
    )
}

/// What a capture sums up to.
struct Summed {
    /// By span, late parts in the place of their window.
    windows: Vec<Window>,
    /// All of them in one.
    whole: Window,
    transactions: Vec<(String, DnsTransaction)>,
}

fn sum_up(capture: &Path, window_ns: i64, networks: &[&str], ports: &[u16]) -> Summed {
    let mut meter = Meter::new(MeterConfig {
        dns: DnsConfig {
            ports: Ports::new(ports).unwrap(),
            ..DnsConfig::default()
        },
        ..MeterConfig::default()
    });
    meter.keep_facts();
    let mut summaries = Summaries::new(SummariesConfig {
        window_ns,
        networks: Arc::new(Networks::parse(networks.iter().copied()).unwrap()),
        ..SummariesConfig::default()
    });
    let mut transactions = Vec::new();
    let mut take = |meter: &mut Meter, summaries: &mut Summaries| {
        meter
            .facts_mut()
            .unwrap()
            .drain()
            .for_each(|packet| summaries.packet(&packet));
        let records = meter.take_records();
        for one in &records.dns {
            let name = one.qname(&records);
            summaries.transaction(one, name);
            transactions.push((String::from_utf8(name.to_vec()).unwrap(), one.clone()));
        }
        meter.recycle(records);
    };
    let mut source = PcapFiles::open(&[capture.to_path_buf()], None).unwrap();
    while let Next::Frame(frame) = source.next_frame().unwrap() {
        meter.handle_frame(
            frame.time_ns,
            frame.link_type,
            frame.bytes,
            frame.wire_length,
            frame.interface,
        );
        take(&mut meter, &mut summaries);
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        take(&mut meter, &mut summaries);
    }
    take(&mut meter, &mut summaries);
    summaries.finish();
    assert_eq!(summaries.counters().too_late, 0);
    let mut windows: Vec<Window> = Vec::new();
    for window in summaries.take_closed() {
        match windows.iter_mut().find(|one| one.start_ns == window.start_ns) {
            Some(part) => part.merge(&window).unwrap(),
            None => windows.push(window),
        }
    }
    windows.sort_by_key(|window| window.start_ns);
    let mut all = windows.iter();
    let mut whole = all.next().cloned().unwrap_or_else(|| Window::new(0, window_ns));
    all.for_each(|window| whole.merge(window).unwrap());
    Summed {
        windows,
        whole,
        transactions,
    }
}

fn cardinality(window: &Window, metric: Metric) -> Estimate {
    match window.summary(metric) {
        Summary::Cardinality(sketch) => sketch.estimate(),
        _ => panic!("{metric:?} is no cardinality"),
    }
}

/// The rows of a list, each item as people read it.
fn rows(window: &Window, metric: Metric, most: usize) -> Vec<(String, Row)> {
    match window.summary(metric) {
        Summary::FrequentItems(list) => list
            .rows(most)
            .into_iter()
            .map(|row| (json::item(metric.about().form, row.item.octets()), row))
            .collect(),
        _ => panic!("{metric:?} is no list"),
    }
}

/// Whether a number is between the limits. A cardinality is a whole number, its limits are not.
fn holds(estimate: &Estimate, truth: f64) -> bool {
    estimate.lower.floor() <= truth && truth <= estimate.upper.ceil()
}

/// Of `trials` with this confidence, how many may fail: the expected share, and four standard deviations.
fn failures_allowed(trials: usize, confidence: f64) -> usize {
    let expected = trials as f64 * (1.0 - confidence);
    (expected + 4.0 * (expected * confidence).sqrt()).ceil() as usize
}
