//! Headers that no wire carries, put before a packet by the system that captured it: BSD loopback, Linux cooked
//! captures, netfilter's log, InfiniBand's stand-in and per-packet information. Layouts: the LINKTYPE pages of tcpdump.org.

use super::super::limits::MAX_NETFILTER_ATTRIBUTES;
use super::point_to_point::outside_ethernet;
use super::{Above, Fault, Link, LinkType, be16, ether_type, split};

/// What is behind a header of a fixed size that says nothing of use.
pub(super) fn skip(frame: &[u8], octets: usize) -> Result<&[u8], Fault> {
    frame.get(octets..).ok_or(Fault::LinkHeaderCut)
}

/// Address families differ by system; the byte order of LINKTYPE_NULL is the capturing host's. No family that means
/// IP reads as another one when its octets are swapped.
pub(super) fn loopback(frame: &[u8]) -> Above<'_> {
    let (head, rest) = split::<4>(frame)?;
    let family = match u32::from_be_bytes(*head) {
        small @ 0..=0xffff => small,
        large => large.swap_bytes(),
    };
    match (family, head) {
        (2, _) => Ok((ether_type::IPV4, rest)),
        (10 | 24 | 28 | 30, _) => Ok((ether_type::IPV6, rest)),
        // Some put an EtherType into the last two octets.
        (_, [_, _, 0x08, 0x00]) => Ok((ether_type::IPV4, rest)),
        (_, [_, _, 0x86, 0xdd]) => Ok((ether_type::IPV6, rest)),
        _ => Err(Fault::NotIp),
    }
}

/// Packet type, ARPHRD type, address length, address (8), protocol.
pub(super) fn cooked_1<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let (head, rest) = split::<6>(frame)?;
    let [.., hardware_high, hardware_low, length_high, length_low] = *head;
    let (address, rest) = split::<8>(rest)?;
    if [length_high, length_low] == [0, 6] {
        link.src_mac = address.first_chunk::<6>();
    }
    cooked(u16::from_be_bytes([hardware_high, hardware_low]), be16(rest)?)
}

/// Protocol, reserved (2), interface (4), ARPHRD type, packet type, address length, address (8).
pub(super) fn cooked_2<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let (head, rest) = split::<12>(frame)?;
    let [
        kind_high,
        kind_low,
        _,
        _,
        interface @ ..,
        hardware_high,
        hardware_low,
        _,
        length,
    ] = *head;
    let (address, rest) = split::<8>(rest)?;
    if length == 6 {
        link.src_mac = address.first_chunk::<6>();
    }
    link.interface = Some(u32::from_be_bytes(interface));
    let hardware = u16::from_be_bytes([hardware_high, hardware_low]);
    cooked(hardware, (u16::from_be_bytes([kind_high, kind_low]), rest))
}

/// The protocol field is an EtherType except for a few kinds of hardware.
fn cooked(hardware: u16, above: (u16, &[u8])) -> Above<'_> {
    const ARPHRD_NETLINK: u16 = 824;
    const ARPHRD_FRAD: u16 = 770;
    const ARPHRD_RADIOTAP: u16 = 803;
    match hardware {
        ARPHRD_NETLINK | ARPHRD_FRAD | ARPHRD_RADIOTAP => Err(Fault::NotIp),
        _ => outside_ethernet(above),
    }
}

/// Address family, version, resource, then attributes of length, type and value, padded to 4 octets, one of which is
/// the packet. Lengths and types are in the byte order of the capturing host: whichever of the two makes sense.
pub(super) fn netfilter_log(frame: &[u8]) -> Above<'_> {
    const PAYLOAD: u16 = 9;
    let (head, mut rest) = split::<4>(frame)?;
    let kind = match head[0] {
        2 => ether_type::IPV4,
        10 => ether_type::IPV6,
        _ => return Err(Fault::NotIp),
    };
    for _ in 0..MAX_NETFILTER_ATTRIBUTES {
        let (attribute, _) = split::<4>(rest)?;
        let [a, b, c, d] = *attribute;
        let little = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let (length, id) = match little {
            // No attribute's number is above 255, so the higher octet is 0.
            (_, 0..=255) => little,
            _ => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        };
        let length = usize::from(length);
        if length < 4 {
            return Err(Fault::NotIp);
        }
        if id == PAYLOAD {
            let captured = rest.get(..length).unwrap_or(rest);
            return Ok((kind, skip(captured, 4)?));
        }
        rest = skip(rest, length.next_multiple_of(4))?;
    }
    Err(Fault::NotIp)
}

/// 40 octets of InfiniBand's global route header stand-in (or 20 of the hardware address), EtherType, reserved.
pub(super) fn infiniband(frame: &[u8]) -> Above<'_> {
    let (kind, rest) = be16(skip(frame, 40)?)?;
    outside_ethernet((kind, skip(rest, 2)?))
}

/// Version, flags, length and link type, the latter two little-endian.
pub(super) fn per_packet_information(frame: &[u8]) -> Result<(LinkType, &[u8]), Fault> {
    let (head, _) = split::<8>(frame)?;
    let [_, _, a, b, low, high, ..] = *head;
    let length = usize::from(u16::from_le_bytes([a, b])).max(head.len());
    Ok((LinkType(u16::from_le_bytes([low, high])), skip(frame, length)?))
}
