//! DNS transactions of generated traffic against the generator's truth, and of real captures against tshark.
#![allow(clippy::unwrap_used)]

#[path = "dns/synth.rs"]
mod synth;
#[path = "dns/tshark.rs"]
mod tshark;

use std::path::{Path, PathBuf};

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::dns::{DnsConfig, DnsCounters, DnsTransaction, Ports};
use flowgauge_exporter::metering::{FlowEndReason, Meter, MeterConfig, Records};

fn shared() -> PathBuf {
    std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    )
}

/// What a capture holds: each transaction with its name.
struct Metered {
    transactions: Vec<(String, DnsTransaction)>,
    counters: DnsCounters,
}

fn meter(capture: &Path) -> Metered {
    meter_on(capture, &[53])
}

fn meter_on(capture: &Path, ports: &[u16]) -> Metered {
    let mut meter = Meter::new(MeterConfig {
        dns: DnsConfig {
            answers_interval: 1,
            ports: Ports::new(ports).unwrap(),
            ..DnsConfig::default()
        },
        ..MeterConfig::default()
    });
    let mut transactions = Vec::new();
    let mut take = |records: Records| {
        for one in &records.dns {
            let name = String::from_utf8(one.qname(&records).to_vec()).unwrap();
            transactions.push((name, one.clone()));
        }
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
        if meter.records_waiting() > 1000 {
            take(meter.take_records());
        }
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        take(meter.take_records());
    }
    take(meter.take_records());
    let counters = meter.dns_counters();
    assert!(counters.is_balanced(), "{counters:?}");
    assert_eq!(counters.open, 0);
    let made = counters.opened + counters.without_query;
    assert_eq!(transactions.len() as u64, made, "one record a transaction");
    Metered { transactions, counters }
}
