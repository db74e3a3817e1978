//! A biflow in the table, in two halves: what every packet touches, and what only first packets and TCP turns touch.

use flowgauge_templates::packet::{Headers, Network, Transport};

use super::key::PackedKey;
use super::record::{Direction, FlowEndReason, FlowRecord};
use super::records::Place;
use super::tcp::{TcpConnection, TcpState};

/// Two cache lines. Index 0 of a pair is forward, 1 reverse.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub(super) struct HotFlow {
    pub key: PackedKey,
    pub packets: [u64; 2],
    pub octets: [u64; 2],
    pub last_ns: [i64; 2],
    /// Earliest packet of the record under way; [`NOT_STARTED`] between a record and the next packet.
    pub start_ns: i64,
    pub hash: u32,
    pub tcp_flags: [u16; 2],
    pub ttl_min: [u8; 2],
    pub ttl_max: [u8; 2],
    pub tcp: TcpState,
    live: bool,
    /// Whether the first packet came from the key's high end.
    pub from_high: bool,
}

/// The other half.
#[derive(Clone, Debug, Default)]
pub(super) struct ColdFlow {
    pub first_ns: [i64; 2],
    pub connection: TcpConnection,
    pub icmp: [Option<u16>; 2],
    pub interface: u32,
    pub src_mac: [u8; 6],
    pub dst_mac: [u8; 6],
    pub tos: [u8; 2],
}

/// A start behind every packet.
pub(super) const NOT_STARTED: i64 = i64::MAX;

impl HotFlow {
    /// A flow that waits for its first packet, which comes from the key's high end or not.
    #[inline]
    pub fn new(key: PackedKey, hash: u32, from_high: bool) -> HotFlow {
        HotFlow {
            key,
            packets: [0; 2],
            octets: [0; 2],
            last_ns: [i64::MIN; 2],
            start_ns: NOT_STARTED,
            hash,
            tcp_flags: [0; 2],
            ttl_min: [u8::MAX; 2],
            ttl_max: [0; 2],
            tcp: TcpState::default(),
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
            cold.begin(time_ns, way, network, headers);
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

    /// The record of what was counted since the last one; what is counted begins anew.
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
            handshake_rtt_us: cold.connection.take_rtt_us(),
            selector: 0,
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
    /// Keeps what only the first packet of a direction tells.
    #[inline]
    fn begin(&mut self, time_ns: i64, way: usize, network: &Network, headers: &Headers<'_>) {
        self.first_ns[way] = time_ns;
        self.tos[way] = network.tos;
        if let Transport::Icmp { kind, code } = headers.transport {
            self.icmp[way] = Some(u16::from_be_bytes([kind, code]));
        }
    }

    /// Keeps where a biflow's first packet was seen and its MAC addresses.
    #[inline]
    pub fn keep_origin(&mut self, headers: &Headers<'_>, interface: u32) {
        self.interface = interface;
        self.src_mac = headers.link.src_mac.copied().unwrap_or_default();
        self.dst_mac = headers.link.dst_mac.copied().unwrap_or_default();
    }
}
