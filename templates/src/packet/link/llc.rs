//! IEEE 802.2 LLC with SNAP (RFC 1042), as in 802.3, 802.11, FDDI, Token Ring and ATM (RFC 2684): where a link has no
//! EtherType of its own, it is here.

use super::{Above, Fault, Link, be16, ether_type, split};

/// The LLC header of an 802.3 frame of this length.
pub(super) fn within_length(length: u16, rest: &[u8]) -> Above<'_> {
    let within = rest.get(..usize::from(length)).unwrap_or(rest);
    match decode(within) {
        // An 802.3 frame that ends inside its LLC header leads to nothing.
        Err(_) => Err(Fault::Llc),
        // What the length does not cover is cut by the packet's own length.
        Ok((kind, above)) => Ok((kind, rest.get(within.len() - above.len()..).unwrap_or(above))),
    }
}

/// SNAP of organisation 0, or 0x0000f8 (802.1H), holds an EtherType; service access point 6 means IP.
pub(super) fn decode(rest: &[u8]) -> Above<'_> {
    match rest {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, after @ ..] => match be16(after)? {
            (kind, after) if kind > ether_type::LARGEST_LENGTH => Ok((kind, after)),
            _ => Err(Fault::Llc),
        },
        // RFC 2684 section 5.1: bridged Ethernet, with (1) or without (7) its check sequence.
        [0xaa, 0xaa, 0x03, 0, 0x80, 0xc2, 0, 1 | 7, 0, 0, after @ ..] => Ok((ether_type::ETHERNET, after)),
        [0x06, 0x06, 0x03, after @ ..] => Ok((ether_type::IPV4, after)),
        [_, _, _, ..] => Err(Fault::Llc),
        _ => Err(Fault::LinkHeaderCut),
    }
}

/// Frame control, destination, source, LLC.
pub(super) fn fddi<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    // Of the control only frames with LLC, at whatever priority, are of interest.
    let (control, rest) = split::<1>(frame)?;
    if control[0] & 0x70 != 0x50 {
        return Err(Fault::NotIp);
    }
    let (dst, rest) = split::<6>(rest)?;
    let (src, rest) = split::<6>(rest)?;
    (link.dst_mac, link.src_mac) = (Some(dst), Some(src));
    decode(rest)
}

/// Access control, frame control, destination, source with a bit for routing information, LLC.
pub(super) fn token_ring<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let (control, rest) = split::<2>(frame)?;
    if control[1] & 0xc0 != 0x40 {
        return Err(Fault::NotIp);
    }
    let (dst, rest) = split::<6>(rest)?;
    let (src, rest) = split::<6>(rest)?;
    (link.dst_mac, link.src_mac) = (Some(dst), Some(src));
    if src[0] & 0x80 == 0 {
        return decode(rest);
    }
    let routing = rest.first().ok_or(Fault::LinkHeaderCut)? & 0x1f;
    decode(rest.get(usize::from(routing)..).ok_or(Fault::LinkHeaderCut)?)
}
