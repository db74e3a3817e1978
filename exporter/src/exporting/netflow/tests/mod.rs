//! Both versions as netflow_parser reads them, beside what the Flow Records say.

mod peer;
mod version5;
mod version9;

use std::collections::BTreeMap;

use super::NetFlowConfig;
use super::uptime::milliseconds;
use crate::exporting::Statistics;
use crate::exporting::encoder::{Datagram, Encoder};
use crate::exporting::samples;
use crate::metering::Records;
use crate::metering::record::{Direction, FlowRecord};
use crate::summaries::metrics::Kind;
use crate::summaries::record::{Readable, SummaryRecord};
use peer::{Heard, Peer};

const NOW: i64 = samples::START_NS + 5_000_000_000;

fn config(max_octets: usize) -> NetFlowConfig {
    NetFlowConfig {
        domain: 0x0107,
        max_octets,
        template_refresh_s: 600,
        template_refresh_messages: 0,
        from_files: false,
    }
}

fn drain(encoder: &mut impl Encoder) -> Vec<Datagram> {
    std::iter::from_fn(|| encoder.poll_message()).collect()
}

/// One direction of a record as a collector should see it, without its counters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    addresses: [Vec<u8>; 2],
    ports: Option<[u16; 2]>,
    protocol: u8,
    tcp_flags: Option<u8>,
    tos: u8,
    icmp: Option<u16>,
    interfaces: [u32; 2],
    times_ms: [i64; 2],
}

type Flows = BTreeMap<Expected, (u64, u64)>;

fn add(flows: &mut Flows, flow: Expected, packets: u64, octets: u64) {
    let sum = flows.entry(flow).or_default();
    *sum = (sum.0 + packets, sum.1 + octets);
}

/// What the records say, straight from their fields.
fn expected(records: &[FlowRecord]) -> Flows {
    let mut flows = Flows::new();
    for record in records {
        let key = &record.key;
        let octets = |address| match address {
            std::net::IpAddr::V4(address) => address.octets().to_vec(),
            std::net::IpAddr::V6(address) => address.octets().to_vec(),
        };
        let (src, dst) = (octets(key.src), octets(key.dst));
        let ports = [6, 17, 33, 132, 136].contains(&key.protocol);
        let mut direction = |way: usize, counts: &Direction| {
            let turn = |one, other| if way == 0 { [one, other] } else { [other, one] };
            let flow = Expected {
                addresses: if way == 0 {
                    [src.clone(), dst.clone()]
                } else {
                    [dst.clone(), src.clone()]
                },
                ports: ports.then(|| turn(key.src_port as u32, key.dst_port as u32).map(|port| port as u16)),
                protocol: key.protocol,
                tcp_flags: (key.protocol == 6).then_some(counts.tcp_flags as u8),
                tos: counts.tos,
                icmp: record.icmp[way],
                interfaces: turn(key.interface, 0),
                times_ms: [milliseconds(counts.first_ns), milliseconds(counts.last_ns)],
            };
            add(&mut flows, flow, counts.packets, counts.octets);
        };
        direction(0, &record.forward);
        if record.reverse.packets > 0 {
            direction(1, &record.reverse);
        }
    }
    flows
}

/// Directions begin and end within their record, as metering has them.
fn timed(mut record: FlowRecord) -> FlowRecord {
    (record.forward.first_ns, record.forward.last_ns) = (record.start_ns, record.end_ns);
    record.reverse.first_ns = record.start_ns + (record.end_ns - record.start_ns) / 2;
    record.reverse.last_ns = record.end_ns;
    record
}

fn batch(records: &[FlowRecord]) -> Records {
    records.to_vec().into()
}

/// Records that are no flows.
fn summaries(records: usize) -> Vec<SummaryRecord> {
    let summary = SummaryRecord {
        start_ns: NOW,
        end_ns: NOW,
        selector: 0,
        metric: "packets",
        kind: Kind::Counter,
        readable: Some(Readable::Counter(1)),
        image: None,
    };
    vec![summary; records]
}

fn statistics() -> Statistics {
    Statistics {
        exported_messages: 17,
        exported_flows: 4242,
        exported_octets: 1 << 33,
        ..Statistics::default()
    }
}

/// Hears all that is ready; sequence numbers and lengths must be right.
fn hear(peer: &mut Peer, encoder: &mut impl Encoder, max_octets: usize) -> Heard {
    let mut all = Heard::default();
    for datagram in drain(encoder) {
        assert!(datagram.bytes.len() <= max_octets, "{} octets", datagram.bytes.len());
        let heard = peer.hear(&datagram.bytes);
        assert_eq!(heard.records, u64::from(datagram.records));
        all.add(heard, u64::from(datagram.flow_records));
        encoder.recycle(datagram.bytes);
    }
    all
}
