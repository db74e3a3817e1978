//! Packets within packets: what is around the innermost one, and how it is found.
//!
//! The rule: a wrap is opened when what it carries has a sound IP header. Otherwise the packet around stays what it is, a
//! flow of its protocol or of its UDP ports. So a frame gives exactly one packet, whatever is on a well-known port, and
//! ARP or a keepalive in a tunnel is traffic of the tunnel. Where nothing but four bits say that a packet follows (GTP-U,
//! Teredo, L2TP, LISP, AYIYA), its length must fit into the datagram, or its checksum be right where the sender cut it.
//!
//! The first fragment of a packet around is opened, as the packet inside states its own length; later fragments hold
//! no headers and stay with the packet around.

mod kind;
mod over_ip;
mod over_udp;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use super::limits::MAX_TUNNELS;
use super::link::{self, Inner};
use super::network::{self, Fragment, IpVersion, Network, address, note};
use super::{Fault, Headers, Transport, protocol};

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

/// What a tunnel's header says.
struct Wrap<'a> {
    kind: TunnelKind,
    identifier: Option<u64>,
    inner: Inner,
    /// What was captured of the packet or frame inside.
    bytes: &'a [u8],
    /// The packet inside is believed only when the packet around has room for it, or its checksum is right.
    must_fit: bool,
    /// The sender says that it cut the packet inside.
    is_cut: bool,
}

impl<'a> Wrap<'a> {
    fn new(kind: TunnelKind, identifier: Option<u64>, inner: Inner, bytes: &'a [u8]) -> Wrap<'a> {
        Wrap {
            kind,
            identifier,
            inner,
            bytes,
            must_fit: false,
            is_cut: false,
        }
    }

    /// Of something that is a packet if it looks like one.
    fn guess(kind: TunnelKind, identifier: Option<u64>, bytes: &'a [u8]) -> Wrap<'a> {
        Wrap {
            must_fit: true,
            ..Wrap::new(kind, identifier, Inner::Ip, bytes)
        }
    }
}

/// Whether the packet could be a tunnel: what every packet pays.
#[inline(always)]
pub(super) fn is_possible(headers: &Headers<'_>) -> bool {
    match headers.transport {
        Transport::Tcp(_) => false,
        Transport::Udp => over_udp::is_port(headers.ports),
        _ => headers
            .network
            .is_some_and(|network| over_ip::is_protocol(network.protocol)),
    }
}

/// Puts the innermost packet in the place of those around it.
#[inline(never)]
pub(super) fn open(headers: &mut Headers<'_>) {
    for _ in 0..MAX_TUNNELS {
        if !is_possible(headers) || !open_one(headers) {
            return;
        }
    }
    if is_possible(headers) && wrap(headers).is_some() {
        note(headers, Fault::TunnelLimit);
    }
}

fn wrap<'a>(headers: &Headers<'a>) -> Option<Wrap<'a>> {
    let network = headers.network.as_ref()?;
    match (network.fragment, network.protocol) {
        (Fragment::Later, _) => None,
        (_, protocol::UDP) => over_udp::wrap(headers.ports, headers.payload),
        _ => over_ip::wrap(network, headers),
    }
}

/// False when nothing sound is inside, which is then as it was.
fn open_one(headers: &mut Headers<'_>) -> bool {
    let (Some(network), Some(wrap)) = (headers.network, wrap(headers)) else {
        return false;
    };
    // As GRE keepalives and bare GTP-U messages.
    if wrap.bytes.is_empty() {
        return false;
    }
    // What the packet around states for what is inside, captured or not.
    let before = headers.payload.len() - wrap.bytes.len();
    let octets = (headers.payload_octets as usize).saturating_sub(before);
    let mut link = headers.link;
    let (announced, packet) = match link::decode_inner(wrap.inner, wrap.bytes, &mut link) {
        Ok(found) => found,
        Err(fault) => return stays(headers, &network, fault),
    };
    let octets = octets.saturating_sub(wrap.bytes.len() - packet.len());
    if let Some(fault) = network::unsound(announced, packet, octets) {
        return stays(headers, &network, fault);
    }
    let is_part = wrap.is_cut || network.fragment == Fragment::First;
    if wrap.must_fit && !is_part && !network::fits(packet, octets) && !network::has_right_checksum(packet) {
        return false;
    }
    let tunnel = Tunnel {
        kind: wrap.kind,
        identifier: wrap.identifier,
        src_bits: network.src_bits,
        dst_bits: network.dst_bits,
        outer_octets: headers.tunnel.map_or(network.octets, |around| around.outer_octets),
        outer_vlan: headers.link.vlan,
        version: network.version,
        depth: headers.tunnel.map_or(1, |around| around.depth + 1),
    };
    let fault = headers.fault;
    headers.clear();
    headers.link = link;
    headers.tunnel = Some(tunnel);
    network::decode(announced, packet, octets, headers);
    if is_part && headers.fault == Some(Fault::IpLongerThanFrame) {
        headers.fault = None;
    }
    headers.fault = fault.or(headers.fault);
    true
}

/// What is inside is no packet: the packet around stays, with a fault where something is broken.
#[cold]
fn stays(headers: &mut Headers<'_>, network: &Network, fault: Fault) -> bool {
    if network.protocol != protocol::UDP && is_damage(fault) {
        note(headers, Fault::TunnelInner);
    }
    false
}

/// Faults of something broken, rather than of something that is no IP packet.
fn is_damage(fault: Fault) -> bool {
    !matches!(fault, Fault::NotIp | Fault::Arp | Fault::Llc | Fault::MplsPayload)
}
