//! Reads the applications of a capture: frames, headers, and a table of flows as plain as can be.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::Records;
use flowgauge_exporter::metering::application::{
    ApplicationConfig, ApplicationCounters, ApplicationPlace, Applications, Carrier, Kind, PROTOCOLS, Payload, fields,
};
use flowgauge_ie_registry::{ElementId, ids};
use flowgauge_templates::packet::{self, TcpFlags, Transport};

/// Source, destination, their ports, protocol.
pub type Key = (IpAddr, IpAddr, u16, u16, u8);

/// What is known of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// As the first packet with payload has it.
    pub key: Key,
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

struct Entry {
    key: Key,
    place: ApplicationPlace,
    first: [Option<u32>; 2],
}

/// A capture, read.
pub struct Capture {
    /// Flows whose application is one of TLS, DTLS and QUIC.
    pub flows: Vec<Flow>,
    /// All flows.
    pub keys: HashSet<Key>,
    pub counters: ApplicationCounters,
}

/// Reads a capture.
pub fn read(capture: &Path) -> Capture {
    let mut applications = Applications::new(ApplicationConfig::default());
    let mut table: HashMap<Key, usize> = HashMap::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut source = PcapFiles::open(&[capture.to_path_buf()], None).unwrap();
    // A fault in a capture ends it; what precedes it counts.
    while let Ok(Next::Frame(frame)) = source.next_frame() {
        let headers = packet::parse(frame.link_type, frame.bytes, frame.wire_length);
        let Some(network) = headers.network else { continue };
        let (carrier, tcp) = match headers.transport {
            Transport::Tcp(tcp) => (Carrier::Tcp, Some(tcp)),
            Transport::Udp { .. } => (Carrier::Udp, None),
            _ => continue,
        };
        let [src_port, dst_port] = headers.ports;
        let protocol = if tcp.is_some() { 6 } else { 17 };
        let key = (network.src(), network.dst(), src_port, dst_port, protocol);
        let turned = (network.dst(), network.src(), dst_port, src_port, protocol);
        let (at, direction) = match (table.get(&key), table.get(&turned)) {
            (Some(at), _) => (*at, 0),
            (None, Some(at)) => (*at, 1),
            (None, None) => {
                table.insert(key, entries.len());
                entries.push(Entry {
                    key,
                    place: ApplicationPlace::default(),
                    first: [None; 2],
                });
                (entries.len() - 1, 0)
            }
        };
        let syn = tcp.is_some_and(|tcp| tcp.flags.0 & TcpFlags::SYN.0 != 0);
        let sequence = tcp.map(|tcp| tcp.sequence.wrapping_add(u32::from(syn)));
        let is_new = syn && entries[at].first[direction].is_some_and(|first| Some(first) != sequence);
        let (at, direction) = if is_new && tcp.is_some_and(|tcp| tcp.flags.0 & TcpFlags::ACK.0 == 0) {
            table.remove(&entries[at].key);
            table.insert(key, entries.len());
            entries.push(Entry {
                key,
                place: ApplicationPlace::default(),
                first: [None; 2],
            });
            (entries.len() - 1, 0)
        } else {
            (at, direction)
        };
        let entry = &mut entries[at];
        if syn {
            entry.first[direction] = sequence;
        }
        if entry.place.wants(direction) && headers.payload_octets > 0 {
            let payload = Payload {
                bytes: headers.payload,
                octets: headers.payload_octets,
                direction,
                sequence,
                first_sequence: entry.first[direction],
                ports: headers.ports,
                carrier,
                now_ns: frame.time_ns,
            };
            applications.inspect(&mut entry.place, &payload);
        }
    }
    let mut flows = Vec::new();
    for entry in &mut entries {
        let mut out = Records::default();
        let _ = applications.take(&entry.place, &mut out);
        applications.free(&mut entry.place);
        if let Some(record) = out.applications.first() {
            let protocol = PROTOCOLS[usize::from(record.protocol)].about().name;
            if matches!(protocol, "tls" | "dtls" | "quic") {
                let values = decode(record.protocol, record.present, &out.octets);
                flows.push(Flow {
                    key: entry.key,
                    protocol,
                    values,
                });
            }
        }
    }
    let counters = applications.counters();
    assert_eq!((counters.reading_now, counters.known_now), (0, 0));
    Capture {
        flows,
        keys: entries.iter().map(|entry| entry.key).collect(),
        counters,
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
