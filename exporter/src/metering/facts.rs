//! What is kept of each metered packet for whoever counts packets rather than flows: a flow record spans the windows
//! of a summary, a packet is in exactly one.

use flowgauge_templates::packet::{Headers, IpVersion, Network, Transport};

use crate::limits::MAX_PACKET_FACTS;

/// One IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketFacts {
    /// When it was seen, ns since 1970 UTC.
    pub time_ns: i64,
    /// Source address as 128 bits; IPv4 in the mapped form.
    pub src: u128,
    /// Destination address likewise.
    pub dst: u128,
    /// IP octets.
    pub octets: u32,
    /// Source and destination port; 0 where there is none to be read.
    pub ports: [u16; 2],
    /// IP protocol.
    pub protocol: u8,
    /// Whether the addresses are of IPv4.
    pub is_ipv4: bool,
    /// TCP control bits of the header's second pair; 0 for other protocols.
    pub tcp_flags: u16,
}

impl PacketFacts {
    /// Of a packet whose headers were read.
    #[inline]
    pub(super) fn of(time_ns: i64, network: &Network, headers: &Headers<'_>) -> PacketFacts {
        PacketFacts {
            time_ns,
            src: network.src_bits,
            dst: network.dst_bits,
            octets: network.octets,
            ports: headers.ports,
            protocol: network.protocol,
            is_ipv4: network.version == IpVersion::V4,
            tcp_flags: match &headers.transport {
                Transport::Tcp(tcp) => tcp.flags.0,
                _ => 0,
            },
        }
    }
}

/// The packets metered since they were last taken.
#[derive(Debug, Default)]
pub struct Facts {
    packets: Vec<PacketFacts>,
    missed: u64,
}

impl Facts {
    #[inline]
    pub(super) fn push(&mut self, packet: PacketFacts) {
        if self.packets.len() < MAX_PACKET_FACTS {
            self.packets.push(packet);
        } else {
            self.missed += 1;
        }
    }

    /// Hands them out, oldest first, and forgets them.
    pub fn drain(&mut self) -> impl Iterator<Item = PacketFacts> + '_ {
        self.packets.drain(..)
    }

    /// Packets that found no room because nobody had taken those before them.
    pub fn missed(&self) -> u64 {
        self.missed
    }
}
