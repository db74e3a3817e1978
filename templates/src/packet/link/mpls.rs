//! MPLS label stacks (RFC 3032), and what is below the bottom: a packet, or a pseudowire's Ethernet frame with or without
//! a control word (RFC 4385, 4448).
//!
//! No field says which. A packet has the version in its first four bits, a control word has 0 there, and an Ethernet
//! address may have anything, so a frame is believed only when it leads to an IP header or an ARP message.

use super::super::limits::MAX_MPLS_LABELS;
use super::super::network;
use super::{Above, Fault, Link, be16, ether_type, ethernet, split};

pub(super) fn decode<'a>(mut rest: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    for _ in 0..MAX_MPLS_LABELS {
        let (entry, after) = split::<4>(rest)?;
        let entry = u32::from_be_bytes(*entry);
        let [top, bottom] = &mut link.mpls;
        if link.mpls_labels == 0 {
            *top = entry;
        }
        *bottom = entry;
        link.mpls_labels = link.mpls_labels.saturating_add(1);
        rest = after;
        if entry & 0x100 != 0 {
            return below_bottom(rest, link);
        }
    }
    Err(Fault::TagLimit)
}

fn below_bottom<'a>(rest: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let version = rest.first().ok_or(Fault::LinkHeaderCut)? >> 4;
    let packet = match version {
        4 => Some(ether_type::IPV4),
        6 => Some(ether_type::IPV6),
        _ => None,
    };
    match (packet, frame(rest)) {
        (Some(kind), Some(_)) if is_certain(version, rest) => Ok((kind, rest)),
        (_, Some(frame)) => ethernet::frame_within(frame, link),
        (Some(kind), None) => Ok((kind, rest)),
        (None, None) => Err(Fault::MplsPayload),
    }
}

/// The Ethernet frame at the start, or behind a control word. In this order: a tagged frame with its first four octets taken
/// for a control word still leads on, to the packet behind its tag.
fn frame(rest: &[u8]) -> Option<&[u8]> {
    let behind_control_word = match rest {
        // RFC 4448 section 4.6: four bits 0 and twelve that "MUST be set to 0", then a sequence number.
        [0, 0, _, _, frame @ ..] => Some(frame),
        _ => None,
    };
    [Some(rest), behind_control_word]
        .into_iter()
        .flatten()
        .find(|frame| leads_on(frame))
}

/// Whether these octets, read as an Ethernet frame with at most two tags, lead to an IP header or an ARP message.
fn leads_on(frame: &[u8]) -> bool {
    let mut rest = frame.get(12..).unwrap_or_default();
    for _ in 0..3 {
        let Ok((kind, after)) = be16(rest) else { return false };
        match (kind, after) {
            (ether_type::IPV4, [first, ..]) => return first >> 4 == 4 && first & 0x0f >= 5,
            (ether_type::IPV6, [first, ..]) => return first >> 4 == 6,
            (ether_type::ARP, [0, 1, 8, 0, ..]) => return true,
            (ether_type::VLAN | ether_type::SERVICE_VLAN, [_, _, after @ ..]) => rest = after,
            _ => return false,
        }
    }
    false
}

/// Whether a packet that could be a frame as well is one beyond doubt: its checksum or its length is right.
fn is_certain(version: u8, packet: &[u8]) -> bool {
    if version == 6 {
        let stated = packet.get(4..6).and_then(|length| length.first_chunk::<2>());
        return stated.is_some_and(|length| usize::from(u16::from_be_bytes(*length)) + 40 <= packet.len());
    }
    network::has_right_checksum(packet)
}
