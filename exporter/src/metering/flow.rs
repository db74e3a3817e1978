//! A biflow in the table, in two halves: what every packet touches, and what only first packets and TCP turns touch.

use flowgauge_templates::packet::{Headers, Network, TcpFlags, Transport, protocol};

use super::application::ApplicationPlace;
use super::key::PackedKey;
use super::labels::LabelPlace;
use super::record::{Direction, FlowEndReason, FlowRecord};
use super::records::Place;
use super::tcp::{TcpConnection, TcpState, TrackerPlace};
use super::tunnel::TunnelPlace;
use super::wheel::NO_SLOT;

/// Two cache lines. Index 0 of a pair is forward, 1 reverse.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(128))]
pub(super) struct HotFlow {
    pub key: PackedKey,
    pub octets: [u64; 2],
    pub last_ns: [i64; 2],
    /// Earliest packet of the record under way; [`NOT_STARTED`] between a record and the next packet.
    pub start_ns: i64,
    pub hash: u32,
    pub tracker: TrackerPlace,
    pub application: ApplicationPlace,
    /// A record is made before one of them is full.
    pub packets: [u32; 2],
    /// Where in the wheel its visit is planned.
    pub slot: u16,
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
    pub labels: LabelPlace,
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
    pub packets: u32,
    pub octets: u64,
    pub first_ns: i64,
    pub last_ns: i64,
    pub ttl_min: u8,
    pub ttl_max: u8,
    pub tos: u8,
}

/// What a record says beside what is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    pub handshake_rtt_us: [Option<u32>; 2],
    pub tcp: Place,
    pub tunnel: Place,
    pub labels: Place,
    pub application: Place,
    pub fold: Place,
}

impl HotFlow {
    /// Makes it a flow that waits for its first packet, which comes from the key's high end or not.
    #[inline(always)]
    pub fn begin(&mut self, key: PackedKey, hash: u32, from_high: bool, selector: u8) {
        *self = HotFlow {
            key,
            octets: [0; 2],
            last_ns: [i64::MIN; 2],
            start_ns: NOT_STARTED,
            hash,
            tracker: TrackerPlace::NONE,
            application: ApplicationPlace::default(),
            packets: [0; 2],
            slot: NO_SLOT,
            tcp_flags: [0; 2],
            ttl_min: [u8::MAX; 2],
            ttl_max: [0; 2],
            tcp: TcpState::default(),
            selector,
            live: true,
            from_high,
        };
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

    /// Whether a SYN-ACK may have been seen: false where there was a SYN and nothing with SYN and ACK behind it.
    #[inline(always)]
    pub fn saw_syn_ack(&self) -> bool {
        let [forward, reverse] = self.tcp_flags;
        let (syn, syn_ack) = (TcpFlags::SYN.0, TcpFlags::SYN.0 | TcpFlags::ACK.0);
        let has_syn = (forward | reverse) & syn != 0;
        !has_syn || forward & syn_ack == syn_ack || reverse & syn_ack == syn_ack
    }

    /// Whether the counters of packets are less than half full; a record is made before they are more.
    #[inline(always)]
    pub fn has_room(&self) -> bool {
        self.packets[0] | self.packets[1] < 1 << 31
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
        self.packets[way] = self.packets[way].saturating_add(counts.packets);
        self.octets[way] += counts.octets;
        self.last_ns[way] = self.last_ns[way].max(counts.last_ns);
        self.start_ns = self.start_ns.min(counts.first_ns);
        self.ttl_min[way] = self.ttl_min[way].min(counts.ttl_min);
        self.ttl_max[way] = self.ttl_max[way].max(counts.ttl_max);
    }

    /// The record of what was counted since the last one.
    #[inline(always)]
    pub fn record(&self, cold: &ColdFlow, end_reason: FlowEndReason, parts: Parts) -> FlowRecord {
        FlowRecord {
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
            icmp: cold.icmp,
            handshake_rtt_us: parts.handshake_rtt_us,
            selector: u32::from(self.selector),
            tcp: parts.tcp,
            tunnel: parts.tunnel,
            labels: parts.labels,
            application: parts.application,
            fold: parts.fold,
        }
    }

    /// What is counted begins anew, behind a record.
    #[inline(always)]
    pub fn begin_record(&mut self, cold: &mut ColdFlow) {
        cold.icmp = [None; 2];
        self.packets = [0; 2];
        self.octets = [0; 2];
        self.start_ns = NOT_STARTED;
        self.tcp_flags = [0; 2];
        self.ttl_min = [u8::MAX; 2];
        self.ttl_max = [0; 2];
    }

    #[inline(always)]
    fn direction(&self, cold: &ColdFlow, way: usize) -> Direction {
        if self.packets[way] == 0 {
            return Direction::default();
        }
        Direction {
            packets: u64::from(self.packets[way]),
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
    /// Begins a biflow: keeps where its first packet was seen and its MAC addresses.
    #[inline(always)]
    pub fn begin(&mut self, interface: u32, src_mac: [u8; 6], dst_mac: [u8; 6], protocol: u8) {
        self.first_ns = [0; 2];
        self.icmp = [None; 2];
        self.interface = interface;
        self.src_mac = src_mac;
        self.dst_mac = dst_mac;
        if protocol == protocol::TCP {
            self.connection.0 = TcpConnection::default();
        }
    }
}
