//! Tunnels with an IP protocol of their own: IP in IP, GRE with all that it carries, Ethernet in IP, MPLS in IP, SRv6.
//!
//! RFC 2003, 2473, 4213 (IP), RFC 2784, 2890 (GRE), RFC 2637 (PPTP's GRE), draft-foschiano-erspan (ERSPAN), RFC 3378,
//! RFC 4023, RFC 8986.

use super::super::link::{Inner, ether_type};
use super::super::{Headers, Network};
use super::{TunnelKind, Wrap};

const IPV4: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const ETHER_IP: u8 = 97;
const MPLS: u8 = 137;
const ETHERNET: u8 = 143;

/// Whether this protocol can be a tunnel.
#[inline]
pub(super) const fn is_protocol(protocol: u8) -> bool {
    matches!(protocol, IPV4 | IPV6 | GRE | ETHER_IP | MPLS | ETHERNET)
}

/// What the payload of such a packet wraps.
pub(super) fn wrap<'a>(network: &Network, headers: &Headers<'a>) -> Option<Wrap<'a>> {
    const SEGMENT_ROUTING: u8 = 4;
    let payload = headers.payload;
    let bare = |kind, inner| Some(Wrap::new(kind, None, inner, payload));
    let is_srv6 = network.routing.is_some_and(|routing| routing.kind == SEGMENT_ROUTING);
    match network.protocol {
        IPV4 | IPV6 if is_srv6 => bare(TunnelKind::Srv6, Inner::Ip),
        IPV4 => bare(TunnelKind::IpInIp, Inner::EtherType(ether_type::IPV4)),
        IPV6 => bare(TunnelKind::IpInIp, Inner::EtherType(ether_type::IPV6)),
        GRE => generic(payload),
        MPLS => bare(TunnelKind::Mpls, Inner::EtherType(ether_type::MPLS)),
        ETHERNET => bare(TunnelKind::Srv6, Inner::Ethernet),
        ETHER_IP => match payload {
            // Version 3 and twelve reserved bits; some put the version into the lower half.
            [0x30 | 0x03, 0, frame @ ..] => Some(Wrap::new(TunnelKind::EtherIp, None, Inner::Ethernet, frame)),
            _ => None,
        },
        _ => None,
    }
}

/// The GRE header: flags, version, protocol, and the fields that the flags announce.
fn generic(bytes: &[u8]) -> Option<Wrap<'_>> {
    const CHECKSUM: u8 = 0x80;
    const ROUTING: u8 = 0x40;
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    let ([flags, version, protocol @ ..], mut rest) = bytes.split_first_chunk::<4>()?;
    let protocol = u16::from_be_bytes(*protocol);
    match version & 0x07 {
        0 => {}
        1 if protocol == ether_type::PPP => return enhanced(*flags, *version, rest),
        _ => return None,
    }
    // RFC 2784 section 2.3: discarded by who does not know RFC 1701, whose source routes nobody uses.
    if flags & ROUTING != 0 {
        return None;
    }
    if flags & CHECKSUM != 0 {
        rest = rest.get(4..)?;
    }
    let mut key = None;
    if flags & KEY != 0 {
        let (octets, after) = rest.split_first_chunk::<4>()?;
        (key, rest) = (Some(u64::from(u32::from_be_bytes(*octets))), after);
    }
    let has_sequence = flags & SEQUENCE != 0;
    if has_sequence {
        rest = rest.get(4..)?;
    }
    generic_payload(protocol, has_sequence, key, rest)
}

fn generic_payload(protocol: u16, has_sequence: bool, key: Option<u64>, rest: &[u8]) -> Option<Wrap<'_>> {
    const REDIRECTED: u16 = 0x883e;
    const ERSPAN: u16 = 0x88be;
    const ERSPAN_3: u16 = 0x22eb;
    const WIRELESS_FIRST: u16 = 0x8200;
    const WIRELESS_LAST: u16 = 0x8210;
    let inner = match protocol {
        // Type I has no header at all, nor a sequence number; II and III have both.
        ERSPAN if !has_sequence => return Some(Wrap::new(TunnelKind::Erspan, None, Inner::Ethernet, rest)),
        ERSPAN => return mirrored_2(rest),
        ERSPAN_3 => return mirrored_3(rest),
        ether_type::PPP => Inner::Ppp,
        // WCCP: a packet, or four octets of redirection and then a packet.
        REDIRECTED => match rest {
            [0x40..=0x4f, ..] => Inner::EtherType(ether_type::IPV4),
            _ => {
                let packet = rest.get(4..)?;
                return Some(Wrap::new(
                    TunnelKind::Gre,
                    key,
                    Inner::EtherType(ether_type::IPV4),
                    packet,
                ));
            }
        },
        // Access points give their controllers the frames of the air.
        WIRELESS_FIRST..=WIRELESS_LAST => Inner::Wireless,
        0..=ether_type::LARGEST_LENGTH => return None,
        _ => Inner::EtherType(protocol),
    };
    Some(Wrap::new(TunnelKind::Gre, key, inner, rest))
}

/// GRE version 1: flags, the payload's length, the call, and sequence and acknowledgment number where announced.
fn enhanced(flags: u8, more_flags: u8, rest: &[u8]) -> Option<Wrap<'_>> {
    const KEY: u8 = 0x20;
    const SEQUENCE: u8 = 0x10;
    const ACKNOWLEDGMENT: u8 = 0x80;
    let ([length_high, length_low, call @ ..], mut rest) = rest.split_first_chunk::<4>()?;
    // Without a sequence number it is an acknowledgment alone.
    if flags & KEY == 0 || flags & SEQUENCE == 0 {
        return None;
    }
    rest = rest.get(4..)?;
    if more_flags & ACKNOWLEDGMENT != 0 {
        rest = rest.get(4..)?;
    }
    let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
    let payload = rest.get(..length).unwrap_or(rest);
    let call = u64::from(u16::from_be_bytes(*call));
    Some(Wrap::new(TunnelKind::Pptp, Some(call), Inner::Ppp, payload))
}

/// Version 1 (4 bits), VLAN (12), class (3), encapsulation (2), truncated (1), session (10), index (32).
fn mirrored_2(bytes: &[u8]) -> Option<Wrap<'_>> {
    let (head, frame) = bytes.split_first_chunk::<8>()?;
    mirrored(1, head.first_chunk()?, Inner::Ethernet, frame)
}

/// Like type II with version 2; then a timestamp (32), group (16), and protocol data unit flag (1), frame type (5),
/// hardware (6), direction (1), granularity (2) and whether 8 more octets follow (1).
fn mirrored_3(bytes: &[u8]) -> Option<Wrap<'_>> {
    let (head, rest) = bytes.split_first_chunk::<12>()?;
    let [.., high, low] = *head;
    let rest = match low & 1 {
        0 => rest,
        _ => rest.get(8..)?,
    };
    let inner = match (high >> 2) & 0x1f {
        0 => Inner::Ethernet,
        2 => Inner::Ip,
        _ => return None,
    };
    mirrored(2, head.first_chunk()?, inner, rest)
}

fn mirrored<'a>(version: u8, head: &[u8; 4], inner: Inner, rest: &'a [u8]) -> Option<Wrap<'a>> {
    let [first, _, high, low] = *head;
    let flags_session = u16::from_be_bytes([high, low]);
    let mut wrap = Wrap::new(TunnelKind::Erspan, Some(u64::from(flags_session & 0x03ff)), inner, rest);
    wrap.is_cut = flags_session & 0x0400 != 0;
    (first >> 4 == version).then_some(wrap)
}
