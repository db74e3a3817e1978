//! TCP performance, held against what others know of the same packets: the generator's truth, a laboratory whose path
//! was made bad on purpose, and what tcptrace and tshark read in captures.
//!
//! Captures and the generator are not part of this repository: without them the tests say what they leave out and pass.
#![allow(clippy::unwrap_used)]

#[path = "tcp/goldens.rs"]
mod goldens;
#[path = "tcp/lab.rs"]
mod lab;
#[path = "tcp/synth.rs"]
mod synth;

use std::path::{Path, PathBuf};

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::tcp::TcpPerformance;
use flowgauge_exporter::metering::{FlowEndReason, FlowRecord, Meter, MeterConfig};

const HOUR_NS: i64 = 3_600_000_000_000;

/// A folder of shared material, or a line that it is not there.
fn shared(folder: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let folder = shared.join(folder);
    if !folder.is_dir() {
        println!(
            "skipped: nothing at {}: TCP performance is not compared with it",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

/// The TCP biflows of a capture, each in one record, oldest first.
fn connections(capture: &Path) -> Vec<(FlowRecord, Option<TcpPerformance>)> {
    connections_cut(capture, HOUR_NS)
}

/// The same, a record for each `active_timeout_ns`.
fn connections_cut(capture: &Path, active_timeout_ns: i64) -> Vec<(FlowRecord, Option<TcpPerformance>)> {
    let mut meter = Meter::new(MeterConfig {
        idle_timeout_ns: HOUR_NS,
        active_timeout_ns,
        tcp_linger_ns: HOUR_NS,
        ..MeterConfig::default()
    });
    let mut found = Vec::new();
    let mut source = PcapFiles::open(&[capture.to_path_buf()], None).unwrap();
    while let Next::Frame(frame) = source.next_frame().unwrap() {
        meter.handle_frame(
            frame.time_ns,
            frame.link_type,
            frame.bytes,
            frame.wire_length,
            frame.interface,
        );
        if meter.records_waiting() > 0 {
            take(&mut meter, &mut found);
        }
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        take(&mut meter, &mut found);
    }
    take(&mut meter, &mut found);
    found.sort_by_key(|(record, _)| record.start_ns);
    found
}

fn take(meter: &mut Meter, found: &mut Vec<(FlowRecord, Option<TcpPerformance>)>) {
    let records = meter.take_records();
    let tcp = records.flows.iter().filter(|record| record.key.protocol == 6);
    found.extend(tcp.map(|record| (record.clone(), records.tcp(record).copied())));
}
