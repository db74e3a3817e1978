//! IPv4 (RFC 791) and IPv6 (RFC 8200) with its extension headers, down to the transport protocol that they carry.
//!
//! The length that counts is the one the header states. Where it states none, because the sending host leaves it to
//! the network card to cut a large segment, the length on the wire takes its place.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::limits::{MAX_EXTENSION_HEADERS, MAX_HOP_BY_HOP_OPTIONS};
use super::link::Announced;
use super::{Fault, Headers, arp, transport};

const IPV4_HEADER_OCTETS: usize = 20;
const IPV6_HEADER_OCTETS: usize = 40;

/// The version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum IpVersion {
    /// Version 4.
    V4 = 4,
    /// Version 6.
    V6 = 6,
}

/// Whether a packet is a fragment; only a whole one and a first one hold a transport header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragment {
    /// Not a fragment.
    #[default]
    Whole,
    /// The fragment at offset 0.
    First,
    /// Any other one.
    Later,
}

/// The last routing header of a packet (RFC 8200 section 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Routing type; 4 is segment routing.
    pub kind: u8,
    /// Nodes still to be visited before the packet reaches the last one that the header lists.
    pub segments_left: u8,
}

/// An IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Source address as 128 bits; IPv4 in the mapped form `::ffff:a.b.c.d`. See [`Network::src`].
    pub src_bits: u128,
    /// Destination address, likewise.
    pub dst_bits: u128,
    /// Octets of the packet, IP header included, as it states them.
    pub octets: u32,
    /// Identification of the packet that a fragment belongs to; 0 for IPv6 without a fragment header.
    pub fragment_id: u32,
    /// The IPv6 flow label; 0 for IPv4.
    pub flow_label: u32,
    /// Octets of all network headers: IPv4 options, IPv6 extension headers and authentication headers included.
    pub header_octets: u16,
    /// Which version.
    pub version: IpVersion,
    /// Whether it is a fragment.
    pub fragment: Fragment,
    /// The protocol above, behind all extension headers that could be read.
    pub protocol: u8,
    /// Type of service, or traffic class.
    pub tos: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Extension headers that were read.
    pub extension_headers: u8,
    /// The routing header among them.
    pub routing: Option<Routing>,
}

const MAPPED: u128 = 0xffff_0000_0000;

impl Network {
    /// Source address.
    pub fn src(&self) -> IpAddr {
        address(self.version, self.src_bits)
    }

    /// Destination address.
    pub fn dst(&self) -> IpAddr {
        address(self.version, self.dst_bits)
    }
}

/// The address that 128 bits stand for: of version 4 they are the mapped form.
pub(super) fn address(version: IpVersion, bits: u128) -> IpAddr {
    match version {
        IpVersion::V4 => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        IpVersion::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

/// Reads the IP header at the start of `packet`, of which `wire` octets were on the wire, padding included.
#[inline(always)]
pub(super) fn decode<'a>(announced: Announced, packet: &'a [u8], wire: usize, headers: &mut Headers<'a>) {
    match (packet.first().map(|first| first >> 4), announced) {
        (Some(4), Announced::Ipv4 | Announced::Ip) => ipv4(packet, wire, headers),
        (Some(6), Announced::Ipv6 | Announced::Ip) => ipv6(packet, wire, headers),
        (first, _) => no_packet(first.is_none(), announced, packet, headers),
    }
}

/// Why [`decode`] would find no packet here, or none; the same questions in the same order.
pub(super) fn unsound(announced: Announced, packet: &[u8], wire: usize) -> Option<Fault> {
    match (packet.first().map(|first| first >> 4), announced) {
        (_, Announced::Arp) => Some(Fault::Arp),
        (None, _) => Some(Fault::IpHeaderCut),
        (Some(4), Announced::Ipv4 | Announced::Ip) => match packet.first_chunk::<IPV4_HEADER_OCTETS>() {
            None => Some(Fault::IpHeaderCut),
            Some(head) => ipv4_lengths(head, wire).is_none().then_some(Fault::IpHeaderLength),
        },
        (Some(6), Announced::Ipv6 | Announced::Ip) => (packet.len() < IPV6_HEADER_OCTETS).then_some(Fault::IpHeaderCut),
        _ => Some(Fault::IpVersion),
    }
}

/// Whether a sound packet states no more than these octets.
pub(super) fn fits(packet: &[u8], octets: usize) -> bool {
    match *packet {
        [first, _, high, low, ..] if first >> 4 == 4 => usize::from(u16::from_be_bytes([high, low])) <= octets,
        [_, _, _, _, high, low, ..] => usize::from(u16::from_be_bytes([high, low])) + IPV6_HEADER_OCTETS <= octets,
        _ => false,
    }
}

/// Octets of the header and of the packet. A card that cuts segments itself (TSO) fills in the length, so the host's own
/// capture shows 0.
#[inline(always)]
fn ipv4_lengths(head: &[u8; IPV4_HEADER_OCTETS], wire: usize) -> Option<(usize, usize)> {
    let header_octets = usize::from(head[0] & 0x0f) * 4;
    let stated = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let octets = if stated == 0 { wire } else { stated };
    (header_octets >= IPV4_HEADER_OCTETS && octets >= header_octets).then_some((header_octets, octets))
}

#[cold]
fn no_packet<'a>(is_empty: bool, announced: Announced, packet: &'a [u8], headers: &mut Headers<'a>) {
    headers.fault = Some(match announced {
        Announced::Arp => Fault::Arp,
        _ if is_empty => Fault::IpHeaderCut,
        _ => Fault::IpVersion,
    });
    if announced == Announced::Arp {
        headers.arp = arp::decode(packet);
    }
}

/// Whether this begins with an IPv4 header whose checksum is right (RFC 791 section 3.1).
pub(super) fn has_right_checksum(packet: &[u8]) -> bool {
    let octets = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    let header = packet.get(..octets).unwrap_or_default();
    let sum = header
        .chunks_exact(2)
        .filter_map(|pair| pair.first_chunk::<2>())
        .fold(0, |sum: u32, pair| sum + u32::from(u16::from_be_bytes(*pair)));
    octets >= IPV4_HEADER_OCTETS && (sum & 0xffff) + (sum >> 16) == 0xffff
}

#[inline(always)]
fn ipv4<'a>(packet: &'a [u8], wire: usize, headers: &mut Headers<'a>) {
    let Some(head) = packet.first_chunk::<IPV4_HEADER_OCTETS>() else {
        headers.fault = Some(Fault::IpHeaderCut);
        return;
    };
    let Some((header_octets, octets)) = ipv4_lengths(head, wire) else {
        headers.fault = Some(Fault::IpHeaderLength);
        return;
    };
    let fragmentation = u16::from_be_bytes([head[6], head[7]]);
    let fragment = match fragmentation & 0x3fff {
        0 => Fragment::Whole,
        bits if bits & 0x1fff == 0 => Fragment::First,
        _ => Fragment::Later,
    };
    headers.network = Some(Network {
        src_bits: MAPPED | u128::from(u32::from_be_bytes([head[12], head[13], head[14], head[15]])),
        dst_bits: MAPPED | u128::from(u32::from_be_bytes([head[16], head[17], head[18], head[19]])),
        octets: octets as u32,
        fragment_id: u32::from(u16::from_be_bytes([head[4], head[5]])),
        flow_label: 0,
        header_octets: header_octets as u16,
        version: IpVersion::V4,
        fragment,
        protocol: head[9],
        tos: head[1],
        ttl: head[8],
        extension_headers: 0,
        routing: None,
    });
    if octets > wire {
        headers.fault = Some(Fault::IpLongerThanFrame);
    }
    let Some(above) = packet.get(header_octets..octets.min(packet.len())) else {
        note(headers, Fault::ExtensionCut);
        return;
    };
    let above_octets = octets - header_octets;
    match head[9] {
        next::AUTHENTICATION => extensions(next::AUTHENTICATION, above, above_octets, headers),
        protocol => finish(protocol, fragment, above, above_octets, headers),
    }
}

#[inline(always)]
fn ipv6<'a>(packet: &'a [u8], wire: usize, headers: &mut Headers<'a>) {
    let Some((head, above)) = packet.split_first_chunk::<IPV6_HEADER_OCTETS>() else {
        headers.fault = Some(Fault::IpHeaderCut);
        return;
    };
    let [word @ .., _, _, _, _] = *head.first_chunk::<8>().unwrap_or(&[0; 8]);
    let word = u32::from_be_bytes(word);
    let (next_header, hop_limit) = (head[6], head[7]);
    let stated = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let above_octets = match stated {
        0 => unstated_payload(next_header, above, wire.saturating_sub(IPV6_HEADER_OCTETS)),
        stated => stated,
    };
    let (src, dst) = addresses(head);
    let octets = above_octets + IPV6_HEADER_OCTETS;
    headers.network = Some(Network {
        src_bits: src,
        dst_bits: dst,
        octets: octets as u32,
        fragment_id: 0,
        flow_label: word & 0x000f_ffff,
        header_octets: IPV6_HEADER_OCTETS as u16,
        version: IpVersion::V6,
        fragment: Fragment::Whole,
        protocol: next_header,
        tos: (word >> 20) as u8,
        ttl: hop_limit,
        extension_headers: 0,
        routing: None,
    });
    if octets > wire {
        headers.fault = Some(Fault::IpLongerThanFrame);
    }
    let above = above.get(..above_octets).unwrap_or(above);
    if next::is_extension(next_header) {
        extensions(next_header, above, above_octets, headers);
    } else {
        finish(next_header, Fragment::Whole, above, above_octets, headers);
    }
}

#[inline(always)]
fn addresses(head: &[u8; IPV6_HEADER_OCTETS]) -> (u128, u128) {
    let (_, tail) = head.split_at(8);
    let (src, dst) = tail.split_at(16);
    let bits = |bytes: &[u8]| bytes.first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes));
    (bits(src), bits(dst))
}

/// The payload of a packet that states a length of 0: a jumbogram's option (RFC 2675), or, when more came than the
/// field can hold, what was on the wire (Linux leaves the option out of its own large segments).
#[cold]
fn unstated_payload(next_header: u8, above: &[u8], wire: usize) -> usize {
    let jumbo = if next_header == next::HOP_BY_HOP {
        jumbo_payload(above)
    } else {
        None
    };
    match jumbo {
        Some(octets) => octets,
        None if wire > usize::from(u16::MAX) => wire,
        None => 0,
    }
}

fn jumbo_payload(above: &[u8]) -> Option<usize> {
    const PAD_1: u8 = 0;
    const JUMBO: u8 = 0xc2;
    let [_, units, rest @ ..] = above else { return None };
    let length = (usize::from(*units) + 1) * 8 - 2;
    let mut options = rest.get(..length).unwrap_or(rest);
    for _ in 0..MAX_HOP_BY_HOP_OPTIONS {
        options = match options {
            [PAD_1, rest @ ..] => rest,
            [JUMBO, 4, a, b, c, d, ..] => {
                // RFC 2675 section 2: "must be greater than 65,535".
                let octets = u32::from_be_bytes([*a, *b, *c, *d]);
                return (octets > 65_535 && octets < 1 << 31).then_some(octets as usize);
            }
            [_, length, rest @ ..] => rest.get(usize::from(*length)..)?,
            _ => return None,
        };
    }
    None
}

mod next {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const MOBILITY: u8 = 135;
    pub const HOST_IDENTITY: u8 = 139;
    pub const SHIM6: u8 = 140;

    /// Whether another header follows (ESP hides what does, and 59 says that nothing does).
    #[inline(always)]
    pub const fn is_extension(header: u8) -> bool {
        matches!(
            header,
            HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM6
        )
    }
}

/// Walks the chain of extension headers. `above_octets` is what the packet states for the chain and all above it.
#[inline(never)]
fn extensions<'a>(mut kind: u8, mut above: &'a [u8], mut above_octets: usize, headers: &mut Headers<'a>) {
    let mut fragment = headers.network.map_or(Fragment::Whole, |network| network.fragment);
    // A later fragment holds the middle of a payload; nothing in it is a header.
    while next::is_extension(kind) && fragment != Fragment::Later {
        let Some(network) = headers.network.as_mut() else {
            return;
        };
        if usize::from(network.extension_headers) == MAX_EXTENSION_HEADERS {
            note(headers, Fault::ExtensionLimit);
            return;
        }
        let [following, units, ..] = above else {
            let cut = above.len() < above_octets;
            note(
                headers,
                if cut {
                    Fault::ExtensionCut
                } else {
                    Fault::ExtensionLength
                },
            );
            return;
        };
        let (following, units) = (*following, usize::from(*units));
        let length = match kind {
            next::FRAGMENT => 8,
            // RFC 4302 section 2.2: in 32-bit words, minus 2.
            next::AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        if length > above_octets {
            note(headers, Fault::ExtensionLength);
            return;
        }
        let Some((header, rest)) = above.split_at_checked(length) else {
            note(headers, Fault::ExtensionCut);
            return;
        };
        if let (next::FRAGMENT, [_, _, high, low, id @ ..]) = (kind, header) {
            let offset_and_more = u16::from_be_bytes([*high, *low]);
            fragment = match offset_and_more & 0xfff9 {
                // RFC 6946: an atomic fragment is a whole packet.
                0 => Fragment::Whole,
                1 => Fragment::First,
                _ => Fragment::Later,
            };
            network.fragment = fragment;
            network.fragment_id = id.first_chunk::<4>().map_or(0, |id| u32::from_be_bytes(*id));
        }
        if let (next::ROUTING, [_, _, kind, segments_left, ..]) = (kind, header) {
            network.routing = Some(Routing {
                kind: *kind,
                segments_left: *segments_left,
            });
        }
        network.extension_headers += 1;
        network.header_octets = network.header_octets.saturating_add(length as u16);
        network.protocol = following;
        (kind, above, above_octets) = (following, rest, above_octets - length);
    }
    finish(kind, fragment, above, above_octets, headers);
}

/// Hands what is above the network layer to the transport, unless it is the middle of a fragmented payload.
#[inline(always)]
fn finish<'a>(protocol: u8, fragment: Fragment, above: &'a [u8], above_octets: usize, headers: &mut Headers<'a>) {
    if fragment == Fragment::Later {
        headers.payload = above;
        headers.payload_octets = above_octets as u32;
    } else {
        transport::decode(protocol, above, above_octets, headers);
    }
}

/// The first fault stays: it is the cause of those behind it.
pub(super) fn note(headers: &mut Headers<'_>, fault: Fault) {
    headers.fault.get_or_insert(fault);
}
