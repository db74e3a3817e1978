//! What the Metering Process hands to the Exporting Process: one biflow's key, counters and reason to end.
//!
//! A biflow (RFC 5103) is oriented by its first packet: forward is the direction of that one.

use std::net::IpAddr;

use super::records::Place;
#[cfg(doc)]
use super::records::Records;

/// The properties that all packets of a biflow share, oriented by its first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// Source address of the first packet.
    pub src: IpAddr,
    /// Destination address of the first packet.
    pub dst: IpAddr,
    /// Source port; 0 where the protocol has none, for ICMP, and for fragments that hold none.
    pub src_port: u16,
    /// Destination port, likewise.
    pub dst_port: u16,
    /// IP protocol, behind IPv6 extension headers.
    pub protocol: u8,
    /// VLAN ids without priority, outermost first; 0 is none.
    pub vlan: [u16; 2],
    /// The interface that saw the first packet, as the frame source numbers it; 0 when it names none. Not compared: a
    /// capture of a tap has each direction on an interface of its own, and both are one biflow.
    pub interface: u32,
}

/// Counters of one direction. With `packets` 0 the other fields mean nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Direction {
    /// Packets.
    pub packets: u64,
    /// IP octets, headers included, link padding and captured length left out.
    pub octets: u64,
    /// Union of the TCP control bits, as in tcpControlBits.
    pub tcp_flags: u16,
    /// Earliest packet, ns since 1970 UTC.
    pub first_ns: i64,
    /// Latest packet, ns since 1970 UTC.
    pub last_ns: i64,
    /// Type of service or traffic class of the first packet.
    pub tos: u8,
    /// Smallest time to live or hop limit.
    pub ttl_min: u8,
    /// Largest time to live or hop limit.
    pub ttl_max: u8,
}

/// Why a Flow Record was made, numbered as in flowEndReason (IANA IPFIX element 136).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FlowEndReason {
    /// No packet for the idle timeout.
    IdleTimeout = 1,
    /// The flow lasted for the active timeout and goes on.
    ActiveTimeout = 2,
    /// The flow said that it ended (TCP FIN or RST).
    EndOfFlow = 3,
    /// The exporter ended it, as when it stops.
    ForcedEnd = 4,
    /// The flow table was full.
    LackOfResources = 5,
}

impl FlowEndReason {
    /// Every reason, in the order of its number.
    pub const ALL: [FlowEndReason; 5] = [
        FlowEndReason::IdleTimeout,
        FlowEndReason::ActiveTimeout,
        FlowEndReason::EndOfFlow,
        FlowEndReason::ForcedEnd,
        FlowEndReason::LackOfResources,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            FlowEndReason::IdleTimeout => "idle_timeout",
            FlowEndReason::ActiveTimeout => "active_timeout",
            FlowEndReason::EndOfFlow => "end_of_flow",
            FlowEndReason::ForcedEnd => "forced_end",
            FlowEndReason::LackOfResources => "lack_of_resources",
        }
    }
}

/// A biflow, or the part of one that a timeout cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRecord {
    /// The key, oriented by the first packet.
    pub key: FlowKey,
    /// Earliest packet of both directions, ns since 1970 UTC.
    pub start_ns: i64,
    /// Latest packet of both directions, ns since 1970 UTC.
    pub end_ns: i64,
    /// From `key.src` to `key.dst`.
    pub forward: Direction,
    /// From `key.dst` to `key.src`.
    pub reverse: Direction,
    /// Why the record ends here.
    pub end_reason: FlowEndReason,
    /// Source MAC address of the first packet; zeros where the link has none.
    pub src_mac: [u8; 6],
    /// Destination MAC address of the first packet; zeros where the link has none.
    pub dst_mac: [u8; 6],
    /// ICMP `type << 8 | code` of the first packet of each direction.
    pub icmp: [Option<u16>; 2],
    /// Handshake round-trip times in µs, server side then client side: SYN to SYN-ACK, and SYN-ACK to the first ACK.
    /// Left out when a SYN or SYN-ACK was repeated, because the pair is then ambiguous.
    pub handshake_rtt_us: [Option<u32>; 2],
    /// The Selector that chose its packets (selectorId, RFC 5477); 0 when all were taken.
    pub selector: u32,
    /// Part of [`Records::tcp`].
    pub tcp: Place,
    /// Part of [`Records::tunnels`].
    pub tunnel: Place,
    /// Part of [`Records::labels`].
    pub labels: Place,
    /// Part of [`Records::applications`].
    pub application: Place,
    /// Part of [`Records::folds`]; there when this is an Aggregated Flow.
    pub fold: Place,
}
