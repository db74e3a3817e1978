//! A biflow in the table, in two halves: what every packet touches, and what only first packets and TCP turns touch.

use flowgauge_templates::packet::{Headers, Network, Transport};

use super::application::ApplicationPlace;
use super::key::PackedKey;
use super::record::{Direction, FlowEndReason, FlowRecord};
use super::records::Place;
use super::tcp::{TcpConnection, TcpState, TrackerPlace};
use super::tunnel::TunnelPlace;

/// Two cache lines. Index 0 of a pair is forward, 1 reverse.
#[derive(Clone, Copy, Debug)]
#[repr(align(128))]
pub(super) struct HotFlow {
    pub key: PackedKey,
    pub packets: [u64; 2],
    pub octets: [u64; 2],
    pub last_ns: [i64; 2],
    /// Earliest packet of the record under way; [`NOT_STARTED`] between a record and the next packet.
    pub start_ns: i64,
    pub hash: u32,
    pub tracker: TrackerPlace,
    pub application: ApplicationPlace,
    pub tcp_flags: [u16; 2],
    pub ttl_min: [u8; 2],
    pub ttl_max: [u8; 2],
    pub tcp: TcpState,
    /// The Selector that chose the packets of the record under way.
    pub selector: u8,
    live: bool,
    /// Whether the first packet came from the key's high end.
    pub from_high: bool,
}

/// The other half. What UDP touches of it is in its first cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(super) struct ColdFlow {
    pub first_ns: [i64; 2],
    pub icmp: [Option<u16>; 2],
    pub interface: u32,
    pub tunnel: TunnelPlace,
    pub src_mac: [u8; 6],
    pub dst_mac: [u8; 6],
    pub tos: [u8; 2],
    pub connection: Line<TcpConnection>,
}

/// Something that begins a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct Line<T>(pub T);

/// A start behind every packet.
pub(super) const NOT_STARTED: i64 = i64::MAX;

/// One packet, or several of one datagram whose first fragment came late, as counters take them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub packets: u64,
    pub octets: u64,
    pub first_ns: i64,
    pub last_ns: i64,
    pub ttl_min: u8,
    pub ttl_max: u8,
    pub tos: u8,
}

impl HotFlow {
    /// A flow that waits for its first packet, which comes from the key's high end or not.
    #[inline(always)]
    pub fn new(key: PackedKey, hash: u32, from_high: bool, selector: u8) -> HotFlow {
        HotFlow {
            key,
            packets: [0; 2],
            octets: [0; 2],
            last_ns: [i64::MIN; 2],
            start_ns: NOT_STARTED,
            hash,
            tracker: TrackerPlace::NONE,
            application: ApplicationPlace::default(),
            tcp_flags: [0; 2],
            ttl_min: [u8::MAX; 2],
            ttl_max: [0; 2],
            tcp: TcpState::default(),
            selector,
            live: true,
            from_high,
        }
    }

    /// Latest packet of both directions.
    #[inline(always)]
    pub fn newest_ns(&self) -> i64 {
        self.last_ns[0].max(self.last_ns[1])
    }

    /// Whether the place holds a flow.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Gives the place free.
    pub fn vacate(&mut self) {
        self.live = false;
    }

    /// Whether packets were counted since the last record.
    #[inline(always)]
    pub fn has_packets(&self) -> bool {
        self.packets[0] | self.packets[1] != 0
    }

    /// Counts a packet; `in_order` says that none in the capture before it was later.
    #[inline(always)]
    pub fn count(
        &mut self,
        cold: &mut ColdFlow,
        time_ns: i64,
        in_order: bool,
        direction: usize,
        network: &Network,
        headers: &Headers<'_>,
    ) {
        let way = direction & 1;
        if self.packets[way] == 0 {
            cold.first_ns[way] = time_ns;
            cold.tos[way] = network.tos;
            if let Transport::Icmp { kind, code } = headers.transport {
                cold.icmp[way] = Some(u16::from_be_bytes([kind, code]));
            }
        } else if !in_order {
            cold.first_ns[way] = cold.first_ns[way].min(time_ns);
        }
        self.packets[way] += 1;
        self.octets[way] += u64::from(network.octets);
        self.last_ns[way] = self.last_ns[way].max(time_ns);
        self.start_ns = self.start_ns.min(time_ns);
        self.ttl_min[way] = self.ttl_min[way].min(network.ttl);
        self.ttl_max[way] = self.ttl_max[way].max(network.ttl);
    }

    /// Counts packets that came before they could be told to be of this flow.
    pub fn count_late(&mut self, cold: &mut ColdFlow, direction: usize, counts: &Counts) {
        let way = direction & 1;
        if self.packets[way] == 0 {
            cold.first_ns[way] = counts.first_ns;
            cold.tos[way] = counts.tos;
        }
        cold.first_ns[way] = cold.first_ns[way].min(counts.first_ns);
        self.packets[way] += counts.packets;
        self.octets[way] += counts.octets;
        self.last_ns[way] = self.last_ns[way].max(counts.last_ns);
        self.start_ns = self.start_ns.min(counts.first_ns);
        self.ttl_min[way] = self.ttl_min[way].min(counts.ttl_min);
        self.ttl_max[way] = self.ttl_max[way].max(counts.ttl_max);
    }

    /// The record of what was counted since the last one; what is counted begins anew.
    #[inline(always)]
    pub fn cut(&mut self, cold: &mut ColdFlow, end_reason: FlowEndReason) -> FlowRecord {
        let record = FlowRecord {
            key: self.key.oriented(self.from_high, cold.interface),
            start_ns: self.start_ns,
            end_ns: match self.packets {
                [0, _] => self.last_ns[1],
                [_, 0] => self.last_ns[0],
                _ => self.newest_ns(),
            },
            forward: self.direction(cold, 0),
            reverse: self.direction(cold, 1),
            end_reason,
            src_mac: cold.src_mac,
            dst_mac: cold.dst_mac,
            icmp: std::mem::take(&mut cold.icmp),
            handshake_rtt_us: [None; 2],
            selector: u32::from(self.selector),
            tcp: Place::NONE,
            tunnel: Place::NONE,
            application: Place::NONE,
            fold: Place::NONE,
        };
        self.packets = [0; 2];
        self.octets = [0; 2];
        self.start_ns = NOT_STARTED;
        self.tcp_flags = [0; 2];
        self.ttl_min = [u8::MAX; 2];
        self.ttl_max = [0; 2];
        record
    }

    #[inline(always)]
    fn direction(&self, cold: &ColdFlow, way: usize) -> Direction {
        if self.packets[way] == 0 {
            return Direction::default();
        }
        Direction {
            packets: self.packets[way],
            octets: self.octets[way],
            tcp_flags: self.tcp_flags[way],
            first_ns: cold.first_ns[way],
            last_ns: self.last_ns[way],
            tos: cold.tos[way],
            ttl_min: self.ttl_min[way],
            ttl_max: self.ttl_max[way],
        }
    }
}

impl ColdFlow {
    /// Keeps where a biflow's first packet was seen and its MAC addresses.
    #[inline(always)]
    pub fn of(headers: &Headers<'_>, interface: u32) -> ColdFlow {
        ColdFlow {
            interface,
            src_mac: headers.link.src_mac.copied().unwrap_or_default(),
            dst_mac: headers.link.dst_mac.copied().unwrap_or_default(),
            ..ColdFlow::default()
        }
    }
}
