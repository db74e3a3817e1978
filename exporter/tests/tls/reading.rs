//! Meters a capture and gives what its TLS, DTLS and QUIC flows say.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::application::{Kind, PROTOCOLS, fields};
use flowgauge_exporter::metering::{FlowEndReason, Meter, MeterConfig, Records};
use flowgauge_ie_registry::{ElementId, ids};

/// Source, destination, their ports, protocol.
pub type Key = (IpAddr, IpAddr, u16, u16, u8);

/// What is known of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// As the first packet has it.
    pub key: Key,
    pub start_ns: i64,
    /// Name of the protocol.
    pub protocol: &'static str,
    values: HashMap<ElementId, Vec<u8>>,
}

impl Flow {
    pub fn text(&self, element: ElementId) -> String {
        String::from_utf8(self.values.get(&element).cloned().unwrap_or_default()).unwrap()
    }

    pub fn number(&self, element: ElementId) -> Option<u64> {
        let octets = self.values.get(&element)?;
        Some(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    pub fn server_name(&self) -> String {
        self.text(ids::TLS_SERVER_NAME)
    }

    pub fn ja4(&self) -> String {
        self.text(ids::TLS_CLIENT_FINGERPRINT_JA4)
    }

    pub fn is_between(&self, key: &Key) -> bool {
        let (a, b, c, d, protocol) = *key;
        self.key == *key || self.key == (b, a, d, c, protocol)
    }
}

/// A capture, read.
pub struct Capture {
    /// Flows whose application is one of TLS, DTLS and QUIC.
    pub flows: Vec<Flow>,
    /// All flows.
    pub keys: HashSet<Key>,
}

const HOUR_NS: i64 = 3_600_000_000_000;

/// Meters a capture, flows unsplit.
pub fn read(capture: &Path) -> Capture {
    let mut meter = Meter::new(MeterConfig {
        idle_timeout_ns: HOUR_NS,
        active_timeout_ns: HOUR_NS,
        ..MeterConfig::default()
    });
    let mut read = Capture {
        flows: Vec::new(),
        keys: HashSet::new(),
    };
    let mut source = PcapFiles::open(&[capture.to_path_buf()], None).unwrap();
    // A fault in a capture ends it; what precedes it counts.
    while let Ok(Next::Frame(frame)) = source.next_frame() {
        meter.handle_frame(
            frame.time_ns,
            frame.link_type,
            frame.bytes,
            frame.wire_length,
            frame.interface,
        );
        if meter.records_waiting() > 1000 {
            collect(&meter.take_records(), &mut read);
        }
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        collect(&meter.take_records(), &mut read);
    }
    collect(&meter.take_records(), &mut read);
    read.flows.sort_by_key(|flow| flow.start_ns);
    let counters = meter.application_counters();
    assert_eq!((counters.reading_now, counters.known_now), (0, 0));
    read
}

fn collect(records: &Records, read: &mut Capture) {
    for flow in &records.flows {
        let key = &flow.key;
        let key = (key.src, key.dst, key.src_port, key.dst_port, key.protocol);
        read.keys.insert(key);
        if let Some((record, octets)) = records.application(flow) {
            let protocol = PROTOCOLS[usize::from(record.protocol)].about().name;
            if matches!(protocol, "tls" | "dtls" | "quic") {
                read.flows.push(Flow {
                    key,
                    start_ns: flow.start_ns,
                    protocol,
                    values: decode(record.protocol, record.present, octets),
                });
            }
        }
    }
}

/// RFC 7011 section 7: a text has its length in front.
fn decode(protocol: u8, present: u32, mut octets: &[u8]) -> HashMap<ElementId, Vec<u8>> {
    let mut values = HashMap::new();
    for (at, field) in fields(protocol).iter().enumerate() {
        if present >> at & 1 == 0 {
            continue;
        }
        let length = match (field.kind, octets) {
            (Kind::Fixed(length), _) => usize::from(length),
            (Kind::Text(_), [255, high, low, rest @ ..]) => {
                octets = rest;
                usize::from(u16::from_be_bytes([*high, *low]))
            }
            (Kind::Text(_), [length, rest @ ..]) => {
                octets = rest;
                usize::from(*length)
            }
            (Kind::Text(_), []) => panic!("a text is missing"),
        };
        let (value, rest) = octets.split_at(length);
        values.insert(field.element, value.to_vec());
        octets = rest;
    }
    assert!(octets.is_empty());
    values
}
