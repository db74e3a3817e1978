//! One direction of a biflow. NetFlow has no reverse elements: a biflow leaves as two flows, each in its own direction.
//!
//! What tells an end or a side by its direction changes places with the direction (RFC 5103 section 2: Directional Key
//! Fields), so that the interface by which a flow came in is the one by which its answer goes out.

use std::net::IpAddr;

use super::uptime::milliseconds;
use crate::exporting::layout::variant::is_over_arp;
use crate::metering::Records;
use crate::metering::record::FlowRecord;

/// ICMP and ICMPv6.
const ICMP: [u8; 2] = [1, 58];

/// A flow in one direction, as the tables of both versions ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uniflow {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    pub protocol: u8,
    /// ARP messages in place of IP packets.
    pub is_arp: bool,
    pub vlan: [u16; 2],
    /// Interface by which it came, 0 where that is not known.
    pub input: u32,
    /// Interface by which it goes, likewise.
    pub output: u32,
    pub packets: u64,
    pub octets: u64,
    pub start_ms: i64,
    pub end_ms: i64,
    pub tcp_flags: u16,
    pub tos: u8,
    pub ttl: [u8; 2],
    /// `type << 8 | code` of its first packet.
    pub icmp: Option<u16>,
    pub src_mac: [u8; 6],
    pub dst_mac: [u8; 6],
    /// Top entry of the MPLS labels of its first packet that had some.
    pub label: Option<u32>,
    /// The Selector that chose its packets, 0 for all.
    pub sampler: u32,
    /// Flows in an Aggregated Flow.
    pub flows: Option<u64>,
    pub end_reason: u8,
}

/// The directions of a record that have packets, the first one first. Never both of them none.
#[inline]
pub fn directions(record: &FlowRecord, records: &Records) -> [Option<Uniflow>; 2] {
    let (forward, reverse) = (record.forward.packets > 0, record.reverse.packets > 0);
    [
        (forward || !reverse).then(|| Uniflow::of(record, records, 0)),
        reverse.then(|| Uniflow::of(record, records, 1)),
    ]
}

/// Whether a record is of ARP messages, which have no IP packet around them.
pub fn is_arp(record: &FlowRecord, records: &Records) -> bool {
    let application = record.application.of(&records.applications);
    application.is_some_and(|application| is_over_arp(application.protocol))
}

/// From the first to the last millisecond of a record.
pub fn span(record: &FlowRecord) -> (i64, i64) {
    let start_ms = milliseconds(record.start_ns);
    (start_ms, milliseconds(record.end_ns).max(start_ms))
}

impl Uniflow {
    fn of(record: &FlowRecord, records: &Records, way: usize) -> Self {
        let key = &record.key;
        let (counts, src, dst, [src_port, dst_port], [src_mac, dst_mac], [input, output]) = match way {
            0 => (
                &record.forward,
                key.src,
                key.dst,
                [key.src_port, key.dst_port],
                [record.src_mac, record.dst_mac],
                [key.interface, 0],
            ),
            _ => (
                &record.reverse,
                key.dst,
                key.src,
                [key.dst_port, key.src_port],
                [record.dst_mac, record.src_mac],
                [0, key.interface],
            ),
        };
        // Within those of the record, by which the packet's header was chosen.
        let (first_ms, last_ms) = span(record);
        let start_ms = milliseconds(counts.first_ns).clamp(first_ms, last_ms);
        let label = record.labels.of(&records.labels).and_then(|labels| {
            let depth = labels.depth.get(way).copied().unwrap_or_default();
            labels.top.get(way).copied().filter(|_| depth > 0)
        });
        Self {
            src,
            dst,
            src_port,
            dst_port,
            protocol: key.protocol,
            is_arp: is_arp(record, records),
            vlan: key.vlan,
            input,
            output,
            packets: counts.packets,
            octets: counts.octets,
            start_ms,
            end_ms: milliseconds(counts.last_ns).clamp(start_ms, last_ms),
            tcp_flags: counts.tcp_flags,
            tos: counts.tos,
            ttl: [counts.ttl_min, counts.ttl_max],
            icmp: record.icmp.get(way).copied().flatten(),
            src_mac,
            dst_mac,
            label,
            sampler: record.selector,
            flows: record.fold.of(&records.folds).map(|fold| fold.flows),
            end_reason: record.end_reason as u8,
        }
    }

    /// The ports, or what stands in their place: type and code as the destination port, as routers have it for ICMP.
    pub fn ports(&self) -> (u16, u16) {
        match self.icmp {
            Some(type_and_code) if ICMP.contains(&self.protocol) => (0, type_and_code),
            _ => (self.src_port, self.dst_port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporting::samples;
    use crate::metering::record::Direction;

    fn both(record: FlowRecord) -> [Option<Uniflow>; 2] {
        let records = Records::from(vec![record]);
        directions(&records.flows[0], &records)
    }

    #[test]
    fn the_answer_goes_the_other_way() {
        let mut record = samples::tcp();
        record.key.interface = 7;
        let [Some(there), Some(back)] = both(record.clone()) else {
            panic!("two directions");
        };
        assert_eq!((there.src, there.dst), (back.dst, back.src));
        assert_eq!((there.src_port, there.dst_port), (back.dst_port, back.src_port));
        assert_eq!((there.src_mac, there.dst_mac), (back.dst_mac, back.src_mac));
        assert_eq!([there.input, there.output, back.input, back.output], [7, 0, 0, 7]);
        assert_eq!(
            there.packets + back.packets,
            record.forward.packets + record.reverse.packets
        );
        assert_eq!(
            (there.octets, back.octets),
            (record.forward.octets, record.reverse.octets)
        );
        assert_eq!((there.tcp_flags, back.tcp_flags), (0x1b, 0x13));
        assert_eq!(back.start_ms - there.start_ms, 13);
    }

    #[test]
    fn a_direction_without_packets_is_no_flow() {
        let mut record = samples::icmp6();
        assert!(matches!(both(record.clone()), [Some(_), None]));
        std::mem::swap(&mut record.forward, &mut record.reverse);
        assert!(matches!(both(record.clone()), [None, Some(_)]));
        record.reverse = Direction::default();
        assert!(
            matches!(both(record), [Some(_), None]),
            "a record is a flow whatever it counts"
        );
    }

    #[test]
    fn icmp_stands_where_routers_put_it() {
        let [Some(flow), None] = both(samples::icmp6()) else {
            panic!("one direction");
        };
        assert_eq!((flow.ports(), flow.icmp), ((0, 0x8000), Some(0x8000)));
    }
}
