//! PPP (RFC 1661, 1662), PPPoE (RFC 2516), Cisco HDLC and Frame Relay (RFC 2427): two ends, so no addresses.

use super::{Above, Fault, Link, be16, ether_type, split};

/// RFC 2516 section 4: version and type 1, code 0 for session data, session, length; then PPP.
pub(super) fn pppoe<'a>(rest: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let (head, rest) = split::<6>(rest)?;
    let [version_type, code, session_high, session_low, length @ ..] = *head;
    if version_type != 0x11 || code != 0 {
        return Err(Fault::NotIp);
    }
    link.pppoe_session = Some(u16::from_be_bytes([session_high, session_low]));
    let length = usize::from(u16::from_be_bytes(length));
    ppp(rest.get(..length).unwrap_or(rest))
}

/// RFC 1662 framing: address 0xff and control 0x03 may be left out. 0x0f and 0x8f in their place are Cisco HDLC.
pub(super) fn framed(frame: &[u8]) -> Above<'_> {
    match frame {
        [0xff, 0x03, rest @ ..] => ppp(rest),
        [0x0f | 0x8f, ..] => cisco_hdlc(frame),
        _ => ppp(frame),
    }
}

/// RFC 1661 section 2: a protocol of two octets, or of one odd octet when compressed.
fn ppp(rest: &[u8]) -> Above<'_> {
    let (kind, rest) = match rest {
        [first, rest @ ..] if first & 1 == 1 => (u16::from(*first), rest),
        _ => be16(rest)?,
    };
    match kind {
        0x0021 => Ok((ether_type::IPV4, rest)),
        0x0057 => Ok((ether_type::IPV6, rest)),
        0x0281 => Ok((ether_type::MPLS, rest)),
        0x0283 => Ok((ether_type::MPLS_UPSTREAM, rest)),
        _ => Err(Fault::NotIp),
    }
}

pub(super) fn cisco_hdlc(frame: &[u8]) -> Above<'_> {
    outside_ethernet(be16(split::<2>(frame)?.1)?)
}

/// RFC 2427: an address of two to four octets whose last one has its lowest bit set, control 3, and a network layer
/// identifier; Cisco puts an EtherType in place of the latter two.
pub(super) fn frame_relay(frame: &[u8]) -> Above<'_> {
    const MAX_ADDRESS_OCTETS: usize = 4;
    let last = frame.iter().take(MAX_ADDRESS_OCTETS).position(|octet| octet & 1 == 1);
    let rest = match last {
        Some(last) if last > 0 => frame.get(last + 1..).unwrap_or_default(),
        None if frame.len() < MAX_ADDRESS_OCTETS => return Err(Fault::LinkHeaderCut),
        _ => return Err(Fault::NotIp),
    };
    match rest {
        [0x03, 0xcc, rest @ ..] => Ok((ether_type::IPV4, rest)),
        [0x03, 0x8e, rest @ ..] => Ok((ether_type::IPV6, rest)),
        [0x03, 0x00, 0x80, 0, 0, 0, rest @ ..] | [0x03, 0x80, 0, 0, 0, rest @ ..] => outside_ethernet(be16(rest)?),
        [0x03, ..] => Err(Fault::NotIp),
        _ => outside_ethernet(be16(rest)?),
    }
}

/// An EtherType outside an Ethernet header: small values are not lengths there.
pub(super) fn outside_ethernet((kind, rest): (u16, &[u8])) -> Above<'_> {
    match kind {
        0..=ether_type::LARGEST_LENGTH => Err(Fault::NotIp),
        _ => Ok((kind, rest)),
    }
}
