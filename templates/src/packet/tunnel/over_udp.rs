//! Tunnels in UDP, told by their port and believed only by what is in them: VXLAN, VXLAN-GPE, GENEVE, GTP-U, Teredo, L2TP,
//! MPLS, LISP, CAPWAP and AYIYA.
//!
//! RFC 7348, draft-ietf-nvo3-vxlan-gpe, RFC 8926, 3GPP TS 29.281, RFC 4380, RFC 2661, RFC 7510, RFC 9300, RFC 5415,
//! draft-massar-v6ops-ayiya.

use super::super::limits::MAX_GTP_EXTENSION_HEADERS;
use super::super::link::{Inner, ether_type};
use super::{TunnelKind, Wrap};

const L2TP: u16 = 1701;
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;
const LISP: u16 = 4341;
const VXLAN: u16 = 4789;
const VXLAN_GPE: u16 = 4790;
const AYIYA: u16 = 5072;
const CAPWAP: u16 = 5247;
const GENEVE: u16 = 6081;
const MPLS: u16 = 6635;
/// What Linux used before there was an assignment.
const VXLAN_OF_LINUX: u16 = 8472;

/// Whether a datagram between these ports can be a tunnel.
#[inline]
pub(super) const fn is_port(ports: [u16; 2]) -> bool {
    let [src, dst] = ports;
    matches!(
        dst,
        L2TP | GTP_U | TEREDO | LISP | VXLAN | VXLAN_GPE | AYIYA | CAPWAP | GENEVE | MPLS | VXLAN_OF_LINUX
    ) || answers(src)
}

/// Whether the other end of such a tunnel sends from this port to any.
const fn answers(port: u16) -> bool {
    matches!(port, L2TP | GTP_U | TEREDO | AYIYA | CAPWAP)
}

/// What the datagram wraps. Where both ports could be one of a tunnel, the destination decides.
pub(super) fn wrap(ports: [u16; 2], payload: &[u8]) -> Option<Wrap<'_>> {
    let [src, dst] = ports;
    by_port(dst, payload).or_else(|| match src {
        _ if answers(src) => by_port(src, payload),
        _ => None,
    })
}

fn by_port(port: u16, payload: &[u8]) -> Option<Wrap<'_>> {
    match port {
        VXLAN | VXLAN_OF_LINUX => vxlan(payload),
        VXLAN_GPE => vxlan_gpe(payload),
        GENEVE => geneve(payload),
        GTP_U => gtp(payload),
        TEREDO => teredo(payload),
        L2TP => l2tp(payload),
        LISP => lisp(payload),
        AYIYA => ayiya(payload),
        CAPWAP => capwap(payload),
        MPLS => Some(Wrap::new(
            TunnelKind::Mpls,
            None,
            Inner::EtherType(ether_type::MPLS),
            payload,
        )),
        _ => None,
    }
}

/// Flags, 24 reserved bits, identifier, 8 reserved bits. RFC 7348 section 5: the I flag "MUST be set to 1"; the reserved
/// bits are ignored, and group policies use some.
fn vxlan(payload: &[u8]) -> Option<Wrap<'_>> {
    let ([flags, _, _, _, identifier @ ..], frame) = payload.split_first_chunk::<8>()?;
    let identifier = u64::from(u32::from_be_bytes(*identifier) >> 8);
    (flags & 0x08 != 0).then(|| Wrap::new(TunnelKind::Vxlan, Some(identifier), Inner::Ethernet, frame))
}

/// Flags (version 2 bits, I 0x08, P 0x04), 16 reserved bits, next protocol, identifier, 8 reserved bits.
fn vxlan_gpe(payload: &[u8]) -> Option<Wrap<'_>> {
    let ([flags, _, _, next, identifier @ ..], rest) = payload.split_first_chunk::<8>()?;
    if flags & 0x38 != 0x08 {
        return None;
    }
    let inner = match (flags & 0x04, next) {
        (0, _) | (_, 3) => Inner::Ethernet,
        (_, 1) => Inner::EtherType(ether_type::IPV4),
        (_, 2) => Inner::EtherType(ether_type::IPV6),
        (_, 4) => Inner::EtherType(ether_type::NSH),
        (_, 5) => Inner::EtherType(ether_type::MPLS),
        _ => return None,
    };
    let identifier = u64::from(u32::from_be_bytes(*identifier) >> 8);
    Some(Wrap::new(TunnelKind::VxlanGpe, Some(identifier), inner, rest))
}

/// Version (2 bits, 0), options' length in words (6), flags, EtherType, identifier, 8 reserved bits, options.
fn geneve(payload: &[u8]) -> Option<Wrap<'_>> {
    let ([first, _, protocol_high, protocol_low, identifier @ ..], rest) = payload.split_first_chunk::<8>()?;
    let protocol = u16::from_be_bytes([*protocol_high, *protocol_low]);
    if first >> 6 != 0 || protocol <= ether_type::LARGEST_LENGTH {
        return None;
    }
    let inner = rest.get(usize::from(first & 0x3f) * 4..)?;
    let identifier = u64::from(u32::from_be_bytes(*identifier) >> 8);
    Some(Wrap::new(
        TunnelKind::Geneve,
        Some(identifier),
        Inner::EtherType(protocol),
        inner,
    ))
}

/// Version 1 (3 bits), protocol type 1, a spare bit, flags for extension headers, sequence and N-PDU number; message type,
/// length, endpoint. Any flag brings four octets more, the last of which names the first extension header.
fn gtp(payload: &[u8]) -> Option<Wrap<'_>> {
    const PACKET: u8 = 255;
    let ([first, message, length_high, length_low, endpoint @ ..], rest) = payload.split_first_chunk::<8>()?;
    let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
    if first & 0xf0 != 0x30 || *message != PACKET {
        return None;
    }
    let mut rest = rest.get(..length).unwrap_or(rest);
    if first & 0x07 != 0 {
        let ([.., next], after) = rest.split_first_chunk::<4>()?;
        rest = gtp_extensions(*next, after)?;
    }
    let endpoint = u64::from(u32::from_be_bytes(*endpoint));
    Some(Wrap::guess(TunnelKind::GtpU, Some(endpoint), rest))
}

/// Each begins with its length in words and ends with the type of the next one.
fn gtp_extensions(mut next: u8, mut rest: &[u8]) -> Option<&[u8]> {
    for _ in 0..MAX_GTP_EXTENSION_HEADERS {
        if next == 0 {
            return Some(rest);
        }
        let octets = usize::from(*rest.first()?) * 4;
        let (header, after) = rest.split_at_checked(octets)?;
        next = *header.last()?;
        rest = after;
    }
    None
}

/// RFC 4380 section 5.1.1: IPv6, behind at most one authentication and one origin indication.
fn teredo(payload: &[u8]) -> Option<Wrap<'_>> {
    const NONCE_AND_CONFIRMATION: usize = 9;
    let mut rest = payload;
    if let [0, 1, client, authentication, after @ ..] = rest {
        rest = after.get(usize::from(*client) + usize::from(*authentication) + NONCE_AND_CONFIRMATION..)?;
    }
    if let [0, 0, after @ ..] = rest {
        rest = after.get(6..)?;
    }
    let is_ipv6 = rest.first()? >> 4 == 6;
    is_ipv6.then(|| Wrap::guess(TunnelKind::Teredo, None, rest))
}

/// Data messages of version 2: flags and version, length, tunnel, session, sequence (4), offset, where announced.
fn l2tp(payload: &[u8]) -> Option<Wrap<'_>> {
    const CONTROL: u8 = 0x80;
    const LENGTH: u8 = 0x40;
    const SEQUENCE: u8 = 0x08;
    const OFFSET: u8 = 0x02;
    let ([flags, version], mut rest) = payload.split_first_chunk::<2>()?;
    if version & 0x0f != 2 || flags & CONTROL != 0 {
        return None;
    }
    if flags & LENGTH != 0 {
        rest = rest.get(2..)?;
    }
    let (identifier, after) = rest.split_first_chunk::<4>()?;
    rest = after;
    if flags & SEQUENCE != 0 {
        rest = rest.get(4..)?;
    }
    if flags & OFFSET != 0 {
        let (offset, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_be_bytes(*offset))..)?;
    }
    let identifier = u64::from(u32::from_be_bytes(*identifier));
    let mut wrap = Wrap::new(TunnelKind::L2tp, Some(identifier), Inner::Ppp, rest);
    wrap.must_fit = true;
    Some(wrap)
}

/// RFC 9300 section 5.3: flags N L E V I, nonce or versions, instance and locator bits.
fn lisp(payload: &[u8]) -> Option<Wrap<'_>> {
    const INSTANCE: u8 = 0x08;
    let ([flags, _, _, _, second @ ..], packet) = payload.split_first_chunk::<8>()?;
    let instance = u64::from(u32::from_be_bytes(*second) >> 8);
    let identifier = (flags & INSTANCE != 0).then_some(instance);
    Some(Wrap::guess(TunnelKind::Lisp, identifier, packet))
}

/// RFC 5415 section 4.3: preamble 0 (1 is DTLS), header length in words (5), radio (5), binding (5), flags T (the binding's own
/// frames rather than Ethernet), F (a fragment).
fn capwap(payload: &[u8]) -> Option<Wrap<'_>> {
    const IEEE_802_11: u8 = 1;
    const NATIVE: u8 = 0x01;
    const FRAGMENT: u8 = 0x80;
    let [0, length, binding, flags, ..] = payload else {
        return None;
    };
    let frame = payload.get(usize::from(length >> 3) * 4..)?;
    let inner = match (binding & NATIVE, binding >> 1 & 0x1f) {
        (0, _) => Inner::Ethernet,
        (_, IEEE_802_11) => Inner::WirelessSwapped,
        _ => return None,
    };
    (flags & FRAGMENT == 0 && length >> 3 >= 2).then(|| Wrap::new(TunnelKind::Capwap, None, inner, frame))
}

/// Identity's length (4 bits, power of 2) and type, signature's length in words (4) and hash, authentication and operation
/// (1 forwards a packet), next header, epoch; identity, signature.
fn ayiya(payload: &[u8]) -> Option<Wrap<'_>> {
    const IPV6: u8 = 41;
    let ([identity, signature, operation, next, ..], rest) = payload.split_first_chunk::<8>()?;
    if operation & 0x0f != 1 || *next != IPV6 {
        return None;
    }
    let octets = (1 << (identity >> 4)) + usize::from(signature >> 4) * 4;
    Some(Wrap::guess(TunnelKind::Ayiya, None, rest.get(octets..)?))
}
