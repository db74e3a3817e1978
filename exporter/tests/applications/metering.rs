//! Meters a capture and gives the applications of its flows as text.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::application::{Kind, fields};
use flowgauge_exporter::metering::{FlowEndReason, Meter, MeterConfig, Records};
use flowgauge_ie_registry::{DataType, Registry};

const HOUR_NS: i64 = 3_600_000_000_000;

/// Both ends of a flow, the lower first, and its protocol.
pub type Ends = ((IpAddr, u16), (IpAddr, u16), u8);

pub fn ends(one: (IpAddr, u16), other: (IpAddr, u16), protocol: u8) -> Ends {
    (one.min(other), one.max(other), protocol)
}

/// What is known of the application of one flow.
#[derive(Debug)]
pub struct Known {
    pub ends: Ends,
    pub start_ns: i64,
    /// By element; the name of the protocol is `applicationName`. Empty texts are left out.
    pub values: BTreeMap<String, String>,
}

impl Known {
    pub fn get(&self, element: &str) -> &str {
        self.values.get(element).map_or("", String::as_str)
    }

    pub fn protocol(&self) -> &str {
        self.get("applicationName")
    }
}

/// Meters a capture, flows unsplit; gives those whose application is known, by their start.
pub fn meter(capture: &Path) -> (Vec<Known>, Meter) {
    let mut meter = Meter::new(MeterConfig {
        idle_timeout_ns: HOUR_NS,
        active_timeout_ns: HOUR_NS,
        ..MeterConfig::default()
    });
    let mut known = Vec::new();
    if let Ok(mut source) = PcapFiles::open(&[capture.to_path_buf()], None) {
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
                collect(&meter.take_records(), &mut known);
            }
        }
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        collect(&meter.take_records(), &mut known);
    }
    collect(&meter.take_records(), &mut known);
    known.sort_by_key(|flow| flow.start_ns);
    (known, meter)
}

fn collect(records: &Records, known: &mut Vec<Known>) {
    for flow in &records.flows {
        let Some((record, octets)) = records.application(flow) else {
            continue;
        };
        let key = &flow.key;
        known.push(Known {
            ends: ends((key.src, key.src_port), (key.dst, key.dst_port), key.protocol),
            start_ns: flow.start_ns,
            values: decode(record.protocol, record.present, octets),
        });
    }
}

/// RFC 7011 section 7: a text has its length in front.
fn decode(protocol: u8, present: u32, mut octets: &[u8]) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
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
        octets = rest;
        let element = Registry::builtin().element(field.element).unwrap();
        let text = match element.data_type {
            DataType::String => String::from_utf8(value.to_vec()).unwrap(),
            DataType::Ipv4Address => IpAddr::from(<[u8; 4]>::try_from(value).unwrap()).to_string(),
            _ => value
                .iter()
                .fold(0u64, |number, octet| number << 8 | u64::from(*octet))
                .to_string(),
        };
        if !text.is_empty() {
            values.insert(element.name.to_string(), text);
        }
    }
    assert!(octets.is_empty());
    values
}
