//! Link headers of captures: Ethernet with its tags, MPLS, PPPoE, PPP, raw IP, BSD loopback and Linux cooked captures.
//! Everything ends at the first octet of an IP header or at a named reason.
//!
//! Numbers: the LINKTYPE list of tcpdump.org, IEEE 802 EtherTypes, RFC 3032 (MPLS), RFC 2516 (PPPoE), RFC 1661 (PPP).

use super::Fault;
use super::limits::{MAX_MPLS_LABELS, MAX_VLAN_TAGS};

/// A link type as capture files number it (LINKTYPE, which for all of these is also libpcap's DLT).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: address family in the byte order of the capturing host.
    pub const NULL: LinkType = LinkType(0);
    /// Ethernet.
    pub const ETHERNET: LinkType = LinkType(1);
    /// PPP, with or without the HDLC address and control octets.
    pub const PPP: LinkType = LinkType(9);
    /// Raw IP as some systems number it.
    pub const RAW_12: LinkType = LinkType(12);
    /// Raw IP as OpenBSD numbers it.
    pub const RAW_14: LinkType = LinkType(14);
    /// PPP in HDLC-like framing, or Cisco HDLC.
    pub const PPP_HDLC: LinkType = LinkType(50);
    /// PPPoE without its Ethernet header.
    pub const PPP_ETHER: LinkType = LinkType(51);
    /// Raw IP.
    pub const RAW: LinkType = LinkType(101);
    /// Cisco HDLC.
    pub const C_HDLC: LinkType = LinkType(104);
    /// OpenBSD loopback: address family in network byte order.
    pub const LOOP: LinkType = LinkType(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: LinkType = LinkType(113);
    /// Raw IPv4.
    pub const IPV4: LinkType = LinkType(228);
    /// Raw IPv6.
    pub const IPV6: LinkType = LinkType(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: LinkType = LinkType(276);
}

/// What lies below the IP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link<'a> {
    /// Source MAC address, where the link has one.
    pub src_mac: Option<&'a [u8; 6]>,
    /// Destination MAC address, where the link has one.
    pub dst_mac: Option<&'a [u8; 6]>,
    /// VLAN ids (12 bits) of the two outermost tags, outermost first; 0 is none.
    pub vlan: [u16; 2],
    /// VLAN tags on the frame, those beyond the second included.
    pub vlan_tags: u8,
    /// MPLS labels on the frame.
    pub mpls_labels: u8,
    /// The top and the bottom entry of the MPLS stack (20 bits label, 3 bits class, bottom of stack, 8 bits TTL);
    /// meaningful when `mpls_labels` is not 0. They are the same in a stack of one.
    pub mpls: [u32; 2],
    /// The PPPoE session.
    pub pppoe_session: Option<u16>,
    /// The interface that the frame itself names (Linux cooked captures, version 2).
    pub interface: Option<u32>,
}

/// What the link layer says that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    Ipv4,
    Ipv6,
    /// The link names no version: the first four bits of the packet do.
    Ip,
}

mod ether_type {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_UPSTREAM: u16 = 0x8848;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const SERVICE_VLAN: u16 = 0x88a8;
    pub const OLD_QINQ: u16 = 0x9100;
    /// Up to here the field is an 802.3 length.
    pub const LARGEST_LENGTH: u16 = 1500;
}

type Step<'a> = Result<(Announced, &'a [u8]), Fault>;

/// Reads the link header and hands out the bytes of the network layer.
#[inline(always)]
pub(super) fn decode<'a>(link_type: LinkType, frame: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    if link_type == LinkType::ETHERNET {
        return ethernet(frame, link);
    }
    other_link(link_type, frame, link)
}

#[inline(never)]
fn other_link<'a>(link_type: LinkType, frame: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    match link_type {
        LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 => Ok((Announced::Ip, frame)),
        LinkType::IPV4 => Ok((Announced::Ipv4, frame)),
        LinkType::IPV6 => Ok((Announced::Ipv6, frame)),
        LinkType::NULL | LinkType::LOOP => loopback(frame),
        LinkType::PPP | LinkType::PPP_HDLC => ppp_framed(frame, link),
        LinkType::C_HDLC => cisco_hdlc(frame, link),
        LinkType::PPP_ETHER => pppoe(frame, link),
        LinkType::LINUX_SLL => cooked_1(frame, link),
        LinkType::LINUX_SLL2 => cooked_2(frame, link),
        _ => Err(Fault::UnknownLinkType),
    }
}

#[inline(always)]
fn ethernet<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    let (dst, rest) = frame.split_first_chunk::<6>().ok_or(Fault::LinkHeaderCut)?;
    let (src, rest) = rest.split_first_chunk::<6>().ok_or(Fault::LinkHeaderCut)?;
    let (kind, rest) = be16(rest)?;
    link.dst_mac = Some(dst);
    link.src_mac = Some(src);
    match kind {
        ether_type::IPV4 => Ok((Announced::Ipv4, rest)),
        ether_type::IPV6 => Ok((Announced::Ipv6, rest)),
        _ => by_ether_type(kind, rest, link),
    }
}

/// Follows EtherTypes through tags to the network layer.
#[inline(never)]
fn by_ether_type<'a>(mut kind: u16, mut rest: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    for _ in 0..=MAX_VLAN_TAGS {
        match kind {
            ether_type::IPV4 => return Ok((Announced::Ipv4, rest)),
            ether_type::IPV6 => return Ok((Announced::Ipv6, rest)),
            ether_type::VLAN | ether_type::SERVICE_VLAN | ether_type::OLD_QINQ => {
                let (control, after) = be16(rest)?;
                let (inner, after) = be16(after)?;
                if let Some(id) = link.vlan.get_mut(usize::from(link.vlan_tags)) {
                    *id = control & 0x0fff;
                }
                link.vlan_tags = link.vlan_tags.saturating_add(1);
                (kind, rest) = (inner, after);
            }
            ether_type::ARP => return Err(Fault::Arp),
            ether_type::MPLS | ether_type::MPLS_UPSTREAM => return mpls(rest, link),
            ether_type::PPPOE_SESSION => return pppoe(rest, link),
            0..=ether_type::LARGEST_LENGTH => (kind, rest) = snap(kind, rest)?,
            _ => return Err(Fault::NotIp),
        }
    }
    Err(Fault::TagLimit)
}

/// 802.2 LLC with a SNAP header of organisation 0 holds an EtherType (RFC 1042).
fn snap(length: u16, rest: &[u8]) -> Result<(u16, &[u8]), Fault> {
    let within = rest.get(..usize::from(length)).unwrap_or(rest);
    match within.split_first_chunk::<6>() {
        Some(([0xaa, 0xaa, 0x03, 0, 0, 0], after)) => match be16(after)? {
            (kind, after) if kind > ether_type::LARGEST_LENGTH => Ok((kind, after)),
            _ => Err(Fault::Llc),
        },
        _ => Err(Fault::Llc),
    }
}

/// RFC 3032: 20 bits label, 3 bits class, 1 bit bottom of stack, 8 bits TTL.
fn mpls<'a>(mut rest: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    for _ in 0..MAX_MPLS_LABELS {
        let (entry, after) = rest.split_first_chunk::<4>().ok_or(Fault::LinkHeaderCut)?;
        let entry = u32::from_be_bytes(*entry);
        let [top, bottom] = &mut link.mpls;
        if link.mpls_labels == 0 {
            *top = entry;
        }
        *bottom = entry;
        link.mpls_labels = link.mpls_labels.saturating_add(1);
        rest = after;
        if entry & 0x100 != 0 {
            return match rest.first().ok_or(Fault::LinkHeaderCut)? >> 4 {
                4 => Ok((Announced::Ipv4, rest)),
                6 => Ok((Announced::Ipv6, rest)),
                _ => Err(Fault::MplsPayload),
            };
        }
    }
    Err(Fault::TagLimit)
}

/// RFC 2516 section 4: version and type 1, code 0 for session data, session, length; then PPP.
fn pppoe<'a>(rest: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    let (head, rest) = rest.split_first_chunk::<6>().ok_or(Fault::LinkHeaderCut)?;
    let [version_type, code, session_high, session_low, length @ ..] = *head;
    if version_type != 0x11 || code != 0 {
        return Err(Fault::NotIp);
    }
    link.pppoe_session = Some(u16::from_be_bytes([session_high, session_low]));
    let length = usize::from(u16::from_be_bytes(length));
    ppp(rest.get(..length).unwrap_or(rest))
}

/// RFC 1662 framing: address 0xff and control 0x03 may be left out. 0x0f and 0x8f in their place are Cisco HDLC.
fn ppp_framed<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    match frame {
        [0xff, 0x03, rest @ ..] => ppp(rest),
        [0x0f | 0x8f, ..] => cisco_hdlc(frame, link),
        _ => ppp(frame),
    }
}

/// RFC 1661 section 2: a protocol of two octets, or of one odd octet when compressed.
fn ppp(rest: &[u8]) -> Step<'_> {
    let (kind, rest) = match rest {
        [first, rest @ ..] if first & 1 == 1 => (u16::from(*first), rest),
        _ => be16(rest)?,
    };
    match kind {
        0x0021 => Ok((Announced::Ipv4, rest)),
        0x0057 => Ok((Announced::Ipv6, rest)),
        _ => Err(Fault::NotIp),
    }
}

fn cisco_hdlc<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    let (_, rest) = be16(frame)?;
    let (kind, rest) = be16(rest)?;
    ether_type_above(kind, rest, link)
}

/// Address families differ by system; the byte order of LINKTYPE_NULL is the capturing host's. No family that means
/// IP reads as another one when its octets are swapped.
fn loopback(frame: &[u8]) -> Step<'_> {
    let (family, rest) = frame.split_first_chunk::<4>().ok_or(Fault::LinkHeaderCut)?;
    let family = match u32::from_be_bytes(*family) {
        small @ 0..=0xffff => small,
        large => large.swap_bytes(),
    };
    match family {
        2 => Ok((Announced::Ipv4, rest)),
        10 | 24 | 28 | 30 => Ok((Announced::Ipv6, rest)),
        _ => Err(Fault::NotIp),
    }
}

/// Packet type, ARPHRD type, address length, address (8), protocol.
fn cooked_1<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    let (head, rest) = frame.split_first_chunk::<6>().ok_or(Fault::LinkHeaderCut)?;
    let [.., hardware_high, hardware_low, length_high, length_low] = *head;
    let (address, rest) = rest.split_first_chunk::<8>().ok_or(Fault::LinkHeaderCut)?;
    if [length_high, length_low] == [0, 6] {
        link.src_mac = address.first_chunk::<6>();
    }
    let (kind, rest) = be16(rest)?;
    cooked(u16::from_be_bytes([hardware_high, hardware_low]), kind, rest, link)
}

/// Protocol, reserved (2), interface (4), ARPHRD type, packet type, address length, address (8).
fn cooked_2<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    let (head, rest) = frame.split_first_chunk::<12>().ok_or(Fault::LinkHeaderCut)?;
    let [kind_high, kind_low, .., hardware_high, hardware_low, _, length] = *head;
    let (address, rest) = rest.split_first_chunk::<8>().ok_or(Fault::LinkHeaderCut)?;
    if length == 6 {
        link.src_mac = address.first_chunk::<6>();
    }
    let hardware = u16::from_be_bytes([hardware_high, hardware_low]);
    cooked(hardware, u16::from_be_bytes([kind_high, kind_low]), rest, link)
}

/// The protocol field is an EtherType except for a few kinds of hardware.
fn cooked<'a>(hardware: u16, kind: u16, rest: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    const ARPHRD_NETLINK: u16 = 824;
    const ARPHRD_FRAD: u16 = 770;
    const ARPHRD_RADIOTAP: u16 = 803;
    match hardware {
        ARPHRD_NETLINK | ARPHRD_FRAD | ARPHRD_RADIOTAP => Err(Fault::NotIp),
        _ => ether_type_above(kind, rest, link),
    }
}

/// An EtherType outside an Ethernet header: small values are not lengths there.
fn ether_type_above<'a>(kind: u16, rest: &'a [u8], link: &mut Link<'a>) -> Step<'a> {
    if kind <= ether_type::LARGEST_LENGTH {
        return Err(Fault::NotIp);
    }
    by_ether_type(kind, rest, link)
}

#[inline(always)]
fn be16(bytes: &[u8]) -> Result<(u16, &[u8]), Fault> {
    let (value, rest) = bytes.split_first_chunk::<2>().ok_or(Fault::LinkHeaderCut)?;
    Ok((u16::from_be_bytes(*value), rest))
}
