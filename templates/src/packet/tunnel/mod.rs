//! Packets within packets: what is around the innermost one, and how it is found.

mod kind;

use std::net::IpAddr;

use super::network::{IpVersion, address};

pub use kind::TunnelKind;

/// The wrap nearest to the innermost packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// How the packet is carried.
    pub kind: TunnelKind,
    /// What tells tunnels between the same ends apart; each [`TunnelKind`] says what that is.
    pub identifier: Option<u64>,
    /// Source of the packet around, as 128 bits like [`super::Network::src_bits`].
    pub src_bits: u128,
    /// Destination of the packet around, likewise.
    pub dst_bits: u128,
    /// Octets of the outermost IP packet, as it states them.
    pub outer_octets: u32,
    /// VLAN ids of the frame around, where the tunnel carries frames; the inner frame's are in [`super::Link::vlan`].
    pub outer_vlan: [u16; 2],
    /// IP version of the packet around.
    pub version: IpVersion,
    /// How many wraps were opened, this one included.
    pub depth: u8,
}

impl Tunnel {
    /// Source of the packet around.
    pub fn src(&self) -> IpAddr {
        address(self.version, self.src_bits)
    }

    /// Destination of the packet around.
    pub fn dst(&self) -> IpAddr {
        address(self.version, self.dst_bits)
    }
}
