//! Ethernet, and EtherTypes followed through tags, labels, sessions and frames within frames to the network layer.
//!
//! IEEE 802.1Q (tags, 802.1ad, 802.1ah), 802.1AE, RFC 2516 (PPPoE), RFC 8300 (NSH), Cisco's FabricPath, VN-Tag and
//! metadata, IEC 62439-3 (HSR).

use super::super::limits::{MAX_LINK_LAYERS, MAX_VLAN_TAGS};
use super::{Above, Announced, Fault, Link, Network, be16, ether_type, llc, mpls, point_to_point, split};

#[inline(always)]
pub(super) fn decode<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Network<'a> {
    let (dst, rest) = split::<6>(frame)?;
    let (src, rest) = split::<6>(rest)?;
    let (kind, rest) = be16(rest)?;
    link.dst_mac = Some(dst);
    link.src_mac = Some(src);
    match kind {
        ether_type::IPV4 => Ok((Announced::Ipv4, rest)),
        ether_type::IPV6 => Ok((Announced::Ipv6, rest)),
        _ => follow(kind, rest, link),
    }
}

/// A frame inside another frame or packet: its addresses and tags take the place of those outside, whose labels stay.
pub(super) fn frame_within<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let (dst, rest) = split::<6>(frame)?;
    let (src, rest) = split::<6>(rest)?;
    link.dst_mac = Some(dst);
    link.src_mac = Some(src);
    link.vlan = [0; 2];
    link.vlan_tags = 0;
    be16(rest)
}

/// Follows EtherTypes to the network layer.
#[inline(never)]
pub(super) fn follow<'a>(mut kind: u16, mut rest: &'a [u8], link: &mut Link<'a>) -> Network<'a> {
    for _ in 0..MAX_LINK_LAYERS {
        (kind, rest) = match kind {
            ether_type::IPV4 => return Ok((Announced::Ipv4, rest)),
            ether_type::IPV6 => return Ok((Announced::Ipv6, rest)),
            ether_type::ARP => return Ok((Announced::Arp, rest)),
            ether_type::VLAN | ether_type::SERVICE_VLAN | ether_type::OLD_QINQ => tag(rest, link)?,
            ether_type::MPLS | ether_type::MPLS_UPSTREAM => mpls::decode(rest, link)?,
            ether_type::PPPOE_SESSION => point_to_point::pppoe(rest, link)?,
            ether_type::ETHERNET => frame_within(rest, link)?,
            // A service instance and then the customer's frame.
            ether_type::BACKBONE_BRIDGE => frame_within(split::<4>(rest)?.1, link)?,
            // A forwarding tag and time to live, then the frame.
            ether_type::FABRIC_PATH => frame_within(split::<2>(rest)?.1, link)?,
            ether_type::VN_TAG | ether_type::HSR => be16(split::<4>(rest)?.1)?,
            ether_type::CISCO_METADATA => metadata(rest)?,
            ether_type::MACSEC => security_tag(rest)?,
            ether_type::NSH => service_header(rest, link)?,
            0..=ether_type::LARGEST_LENGTH => llc::within_length(kind, rest)?,
            _ => return Err(Fault::NotIp),
        };
    }
    Err(Fault::TagLimit)
}

fn tag<'a>(rest: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let (control, rest) = be16(rest)?;
    let place = usize::from(link.vlan_tags);
    if place == MAX_VLAN_TAGS {
        return Err(Fault::TagLimit);
    }
    if let Some(id) = link.vlan.get_mut(place) {
        *id = control & 0x0fff;
    }
    link.vlan_tags += 1;
    be16(rest)
}

/// Version 1, length, an option's length and type, a security group; the EtherType is behind, or before in GRE.
fn metadata(rest: &[u8]) -> Above<'_> {
    let (head, above) = split::<8>(rest)?;
    let [first, second, .., high, low] = *head;
    match first {
        1 => Ok((u16::from_be_bytes([high, low]), above)),
        _ => Ok((u16::from_be_bytes([first, second]), above)),
    }
}

/// 802.1AE: control, short length, packet number and, when the control says so, 8 octets of channel. What is only
/// authenticated can be read on.
fn security_tag(rest: &[u8]) -> Above<'_> {
    const CHANNEL: u8 = 0x20;
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    const VERSION: u8 = 0x80;
    let (head, rest) = split::<6>(rest)?;
    let [control, ..] = *head;
    if control & (VERSION | ENCRYPTED_OR_CHANGED) != 0 {
        return Err(Fault::NotIp);
    }
    match control & CHANNEL {
        0 => be16(rest),
        _ => be16(split::<8>(rest)?.1),
    }
}

/// RFC 8300 section 2.2: two bits version, flags, TTL, six bits of length in words, metadata type, next protocol.
fn service_header<'a>(bytes: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let (head, _) = split::<4>(bytes)?;
    let [version, length, _, next] = *head;
    let octets = usize::from(length & 0x3f) * 4;
    if version >> 6 != 0 || octets < 8 {
        return Err(Fault::NotIp);
    }
    let rest = bytes.get(octets..).ok_or(Fault::LinkHeaderCut)?;
    match next {
        1 => Ok((ether_type::IPV4, rest)),
        2 => Ok((ether_type::IPV6, rest)),
        3 => frame_within(rest, link),
        4 => Ok((ether_type::NSH, rest)),
        5 => Ok((ether_type::MPLS, rest)),
        _ => Err(Fault::NotIp),
    }
}
