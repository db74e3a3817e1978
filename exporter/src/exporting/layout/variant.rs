//! Which of the optional fields a record has. Records of one variant share a template.

use std::net::IpAddr;

use super::Parts;
use crate::config::Times;
use crate::exporting::selectors::Rate;
use crate::metering::application::{Carrier, PROTOCOLS};
use crate::metering::record::FlowRecord;
use crate::metering::tcp::TcpDirection;

/// A set of bits, and the application's protocol with its present fields: the key by which a template is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Variant {
    parts: u64,
    application: u64,
}

/// Names the bits, each one the next.
macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Bit { $($name,)* }
        $($(#[$doc])* pub(super) const $name: u64 = 1 << Bit::$name as u64;)*
        /// Every bit.
        #[cfg(test)]
        pub(super) const ALL_BITS: &[u64] = &[$($name),*];
    };
}

bits! {
    /// IPv6 addresses.
    V6,
    /// The protocol has ports.
    PORTS,
    /// TCP control bits.
    TCP,
    /// Type and code of the first ICMP packet.
    ICMP,
    /// Times in nanoseconds.
    NANOSECONDS,
    /// Packets in the reverse direction.
    REVERSE,
    /// Counters that do not fit into 32 bits.
    WIDE,
    /// The frame source names the interface.
    INTERFACE,
    /// Type and code of the first reverse ICMP packet.
    REVERSE_ICMP,
    /// One VLAN tag.
    VLAN,
    /// A second VLAN tag.
    INNER_VLAN,
    /// The flow came in a tunnel.
    TUNNEL,
    /// The tunnel's ends have IPv6 addresses.
    TUNNEL_V6,
    /// The tunnel has an identifier.
    TUNNEL_ID,
    /// MPLS labels.
    LABELS,
    /// MPLS labels in the reverse direction.
    REVERSE_LABELS,
    /// An Aggregated Flow.
    FOLD,
    /// A Selector chose the packets.
    SELECTED,
    /// Its rate as consecutive packets taken and left out.
    SELECTED_IN_TURN,
    /// Its rate as a whole number.
    SELECTED_ONE_OF,
    /// Its rate as a probability.
    SELECTED_BY_CHANCE,
    /// The link has MAC addresses.
    MAC,
    /// ARP messages instead of IP packets.
    ARP,
    /// Handshake RTT towards the server.
    SERVER_RTT,
    /// Handshake RTT towards the client.
    CLIENT_RTT,
    /// TCP performance.
    PERFORMANCE,
    /// RTT samples towards the server.
    SERVER_SAMPLES,
    /// RTT samples towards the client.
    CLIENT_SAMPLES,
    /// Losses, disorder, closed windows, probes, repeated SYNs or ECN in either direction.
    TROUBLE,
    /// Throughput while busy, and what else there is to say of a sender with data.
    THROUGHPUT,
    /// RTT samples under load, and the least RTT to compare them with.
    LOADED,
    /// Whether there is bufferbloat.
    BUFFERBLOAT,
    /// A blackhole.
    BLACKHOLE,
    /// The path recovered from it.
    RECOVERY,
    /// A size known to arrive.
    MTU_LOW,
    /// A size known not to arrive.
    MTU_HIGH,
    /// As [`THROUGHPUT`], reverse.
    REVERSE_THROUGHPUT,
    /// As [`LOADED`], reverse.
    REVERSE_LOADED,
    /// As [`BUFFERBLOAT`], reverse.
    REVERSE_BUFFERBLOAT,
    /// As [`BLACKHOLE`], reverse.
    REVERSE_BLACKHOLE,
    /// As [`RECOVERY`], reverse.
    REVERSE_RECOVERY,
    /// As [`MTU_LOW`], reverse.
    REVERSE_MTU_LOW,
    /// As [`MTU_HIGH`], reverse.
    REVERSE_MTU_HIGH,
    /// Fields of an application.
    APPLICATION,
}

const _: () = assert!((Bit::APPLICATION as u32) < u64::BITS);

/// What every record keeps when templates run out: Flow Keys, counters, and what the counters mean.
const CORE: u64 = V6
    | PORTS
    | TCP
    | ICMP
    | NANOSECONDS
    | REVERSE
    | WIDE
    | REVERSE_ICMP
    | VLAN
    | INNER_VLAN
    | TUNNEL
    | TUNNEL_V6
    | TUNNEL_ID
    | FOLD
    | ARP
    | SELECTED
    | SELECTED_IN_TURN
    | SELECTED_ONE_OF
    | SELECTED_BY_CHANCE;

/// TCP, and the other protocols with ports in the first four octets: UDP, DCCP, SCTP, UDP-Lite.
const TCP_PROTOCOL: u8 = 6;
const PORT_PROTOCOLS: [u8; 5] = [TCP_PROTOCOL, 17, 33, 132, 136];

impl Variant {
    /// What a record has.
    #[inline]
    pub fn of(parts: &Parts<'_>, times: Times) -> Self {
        let record = parts.record;
        let key = &record.key;
        let reverse = record.reverse.packets > 0;
        let bits = [
            (key.src.is_ipv6(), V6),
            (PORT_PROTOCOLS.contains(&key.protocol), PORTS),
            (key.protocol == TCP_PROTOCOL, TCP),
            (record.icmp[0].is_some(), ICMP),
            (times == Times::Nanoseconds, NANOSECONDS),
            (reverse, REVERSE),
            (widest(record) > u64::from(u32::MAX), WIDE),
            (key.interface != 0, INTERFACE),
            (reverse && record.icmp[1].is_some(), REVERSE_ICMP),
            (key.vlan[0] != 0, VLAN),
            (key.vlan[1] != 0, INNER_VLAN),
            (record.src_mac != [0; 6] || record.dst_mac != [0; 6], MAC),
            (record.handshake_rtt_us[0].is_some(), SERVER_RTT),
            (record.handshake_rtt_us[1].is_some(), CLIENT_RTT),
        ];
        let mut variant = Self {
            parts: set(&bits),
            application: 0,
        };
        if record.tcp.is_some() || record.tunnel.is_some() || record.labels.is_some() {
            variant.parts |= performance(parts, reverse) | tunnel(parts) | labels(parts, reverse);
        }
        if record.fold.is_some() || record.selector != 0 {
            variant.parts |= set(&[(parts.fold().is_some(), FOLD)]) | selected(parts);
        }
        if let Some((application, _)) = parts.application() {
            variant.parts |= APPLICATION | set(&[(is_over_arp(application.protocol), ARP)]);
            variant.application = u64::from(application.protocol) << 32 | u64::from(application.present);
        }
        variant
    }

    /// How many numbers [`Self::spread`] gives.
    pub(in crate::exporting) const SPREAD: usize = 32;

    /// A small number that differs for most variants in use.
    #[inline(always)]
    pub(in crate::exporting) fn spread(self) -> usize {
        ((self.parts ^ self.application.rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as usize
    }

    /// The variants to try, in this order, when there cannot be a template for this one or a record does not fit into a
    /// Message: first without the application, then with Flow Keys and counters alone.
    pub(in crate::exporting) fn reductions(self) -> [Self; 2] {
        let without = |bits: u64| Self {
            parts: self.parts & !bits,
            application: 0,
        };
        [without(APPLICATION), without(!CORE)]
    }

    /// Whether it has nothing to leave out.
    pub(in crate::exporting) fn is_core(self) -> bool {
        self.lacks(!CORE)
    }

    #[inline(always)]
    pub(super) fn has(self, bits: u64) -> bool {
        self.parts & bits == bits
    }

    #[inline(always)]
    pub(super) fn lacks(self, bits: u64) -> bool {
        self.parts & bits == 0
    }

    /// The application's protocol and which of its fields are present.
    pub(super) fn application(self) -> Option<(u8, u32)> {
        self.has(APPLICATION)
            .then_some(((self.application >> 32) as u8, self.application as u32))
    }

    #[cfg(test)]
    pub(in crate::exporting) const fn from_bits(parts: u64, application: Option<(u8, u32)>) -> Self {
        match application {
            None => Self { parts, application: 0 },
            Some((protocol, present)) => Self {
                parts: parts | APPLICATION,
                application: (protocol as u64) << 32 | present as u64,
            },
        }
    }
}

/// At least as large as the largest counter, and below 2^32 with all of them.
#[inline(always)]
fn widest(record: &FlowRecord) -> u64 {
    record.forward.packets | record.forward.octets | record.reverse.packets | record.reverse.octets
}

#[inline(always)]
fn set(bits: &[(bool, u64)]) -> u64 {
    bits.iter()
        .fold(0, |set, (is_there, bit)| if *is_there { set | bit } else { set })
}

fn tunnel(parts: &Parts<'_>) -> u64 {
    let Some(tunnel) = parts.tunnel() else { return 0 };
    set(&[
        (true, TUNNEL),
        (matches!(tunnel.src, IpAddr::V6(_)), TUNNEL_V6),
        (tunnel.identifier.is_some(), TUNNEL_ID),
    ])
}

fn labels(parts: &Parts<'_>, reverse: bool) -> u64 {
    let Some(labels) = parts.labels() else { return 0 };
    set(&[
        (labels.depth[0] > 0, LABELS),
        (reverse && labels.depth[1] > 0, REVERSE_LABELS),
    ])
}

/// Whether a protocol of the registry is spoken by ARP messages, which have no IP packet around them.
pub(in crate::exporting) fn is_over_arp(protocol: u8) -> bool {
    PROTOCOLS
        .get(usize::from(protocol))
        .is_some_and(|protocol| protocol.about().carriers.contains(&Carrier::Arp))
}

fn selected(parts: &Parts<'_>) -> u64 {
    let Some(selector) = parts.selector() else { return 0 };
    SELECTED
        | match Rate::of(selector) {
            Rate::InTurn { .. } => SELECTED_IN_TURN,
            Rate::OneOf(_) => SELECTED_ONE_OF,
            Rate::Chance(_) => SELECTED_BY_CHANCE,
        }
}

fn performance(parts: &Parts<'_>, reverse: bool) -> u64 {
    let Some(tcp) = parts.tcp() else { return 0 };
    let [forward, back] = &tcp.directions;
    let any = |there: fn(&TcpDirection) -> bool| there(forward) || (reverse && there(back));
    let both = [
        (true, PERFORMANCE),
        (tcp.rtt[0].samples > 0, SERVER_SAMPLES),
        (tcp.rtt[1].samples > 0, CLIENT_SAMPLES),
        (any(is_troubled), TROUBLE),
    ];
    let one = |d: &TcpDirection| {
        set(&[
            (d.non_idle_bps.is_some(), THROUGHPUT),
            (d.loaded_samples != 0 && d.base_rtt_us.is_some(), LOADED),
            (d.bufferbloat.is_some(), BUFFERBLOAT),
            (d.blackhole.is_some(), BLACKHOLE),
            (d.recovery_ms.is_some(), RECOVERY),
            (d.path_mtu[0] != 0, MTU_LOW),
            (d.path_mtu[1] != 0, MTU_HIGH),
        ])
    };
    let back = if reverse { one(back) } else { 0 };
    set(&both) | one(forward) | back << (Bit::REVERSE_THROUGHPUT as u32 - Bit::THROUGHPUT as u32)
}

fn is_troubled(d: &TcpDirection) -> bool {
    let losses = d.retransmitted_packets | d.out_of_order_packets | d.duplicate_acks;
    let windows = d.zero_windows | d.zero_window_packets | d.zero_window_probes | d.keep_alives;
    let ecn = d.ect_packets | d.ce_packets | d.ece_packets | d.cwr_packets;
    d.syns > 1 || losses | windows | ecn != 0
}
