//! IEEE 802.11 data frames, and the headers that captures put before them: radiotap, Prism and AVS.
//!
//! Management, control and encrypted frames hold no packet that can be read, nor do aggregates of several of them
//! (A-MSDU), of which a capture card mostly gives the parts one by one.

use super::super::limits::MAX_RADIOTAP_WORDS;
use super::{Above, Fault, Link, llc, split};

const DATA: u8 = 2;
const NO_DATA: u8 = 0x4;
const QOS: u8 = 0x8;
const TO_DS: u8 = 0x01;
const FROM_DS: u8 = 0x02;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;
const AGGREGATE: u8 = 0x80;

/// IEEE 802.11-2020 section 9.2.3: control, duration, three addresses, sequence, and where the control says so a fourth
/// address, QoS and HT control; then LLC. `padded` says that the capture padded the header to 4 octets.
pub(super) fn decode<'a>(frame: &'a [u8], padded: bool, link: &mut Link<'a>) -> Above<'a> {
    let (control, rest) = split::<2>(frame)?;
    data(*control, rest, Variant { padded, swapped: false }, link)
}

struct Variant {
    /// The capture padded the header to 4 octets.
    padded: bool,
    /// The numbers of two octets are big-endian.
    swapped: bool,
}

/// The octets of the control may be swapped: no flags of a data frame read as the version and type of one.
pub(super) fn maybe_swapped<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    let (control, rest) = split::<2>(frame)?;
    let [first, second] = *control;
    let is_data = |kind: u8| kind & 0x0f == DATA << 2;
    let swapped = !is_data(first) && is_data(second);
    let control = if swapped { [second, first] } else { [first, second] };
    let variant = Variant { padded: false, swapped };
    data(control, rest, variant, link)
}

fn data<'a>([kind, flags]: [u8; 2], rest: &'a [u8], variant: Variant, link: &mut Link<'a>) -> Above<'a> {
    let subtype = kind >> 4;
    if kind & 0x03 != 0 || (kind >> 2) & 0x03 != DATA || subtype & NO_DATA != 0 || flags & PROTECTED != 0 {
        return Err(Fault::NotIp);
    }
    let (_duration, rest) = split::<2>(rest)?;
    let (receiver, rest) = split::<6>(rest)?;
    let (transmitter, rest) = split::<6>(rest)?;
    let (third, rest) = split::<6>(rest)?;
    let (sequence, mut rest) = split::<2>(rest)?;
    let mut octets = 24;
    let (dst, src) = match (flags & TO_DS != 0, flags & FROM_DS != 0) {
        (false, false) => (receiver, transmitter),
        (true, false) => (third, transmitter),
        (false, true) => (receiver, third),
        (true, true) => {
            let (fourth, after) = split::<6>(rest)?;
            (rest, octets) = (after, octets + 6);
            (third, fourth)
        }
    };
    (link.dst_mac, link.src_mac) = (Some(dst), Some(src));
    if subtype & QOS != 0 {
        let (quality, after) = split::<2>(rest)?;
        if quality[0] & AGGREGATE != 0 {
            return Err(Fault::NotIp);
        }
        (rest, octets) = (after, octets + 2);
        if flags & ORDER != 0 {
            (rest, octets) = (split::<4>(rest)?.1, octets + 4);
        }
    }
    // A later fragment of a frame begins in the middle of its payload.
    let [low, high] = *sequence;
    let fragment = if variant.swapped { high } else { low } & 0x0f;
    if fragment != 0 {
        return Err(Fault::NotIp);
    }
    if variant.padded && octets % 4 != 0 {
        rest = split::<2>(rest)?.1;
    }
    llc::decode(rest)
}

/// Version, padding, length and a chain of words of present bits, all little-endian. Of the fields only the flags matter,
/// which have at most the eight octets of a timestamp before them.
pub(super) fn radiotap<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    const TIMESTAMP: u32 = 1;
    const FLAGS: u32 = 2;
    const ANOTHER_WORD: u32 = 1 << 31;
    const DATA_PADDED: u8 = 0x20;
    let (head, rest) = split::<8>(frame)?;
    let [version, _, low, high, present @ ..] = *head;
    let length = usize::from(u16::from_le_bytes([low, high]));
    if version != 0 || length < head.len() {
        return Err(Fault::NotIp);
    }
    let present = u32::from_le_bytes(present);
    let (mut word, mut rest, mut at) = (present, rest, head.len());
    for _ in 0..MAX_RADIOTAP_WORDS {
        if word & ANOTHER_WORD == 0 {
            break;
        }
        let (next, after) = split::<4>(rest)?;
        (word, rest, at) = (u32::from_le_bytes(*next), after, at + 4);
    }
    if present & TIMESTAMP != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let padded = present & FLAGS != 0 && at < length && frame.get(at).is_some_and(|flags| flags & DATA_PADDED != 0);
    decode(frame.get(length..).ok_or(Fault::LinkHeaderCut)?, padded, link)
}

/// AVS: a magic number and the header's length; Prism: 144 octets. Captures mark either as the other.
pub(super) fn prism_or_avs<'a>(frame: &'a [u8], link: &mut Link<'a>) -> Above<'a> {
    const PRISM_OCTETS: usize = 144;
    let (head, _) = split::<8>(frame)?;
    let octets = match head {
        [0x80, 0x21, 0x10, 0x01 | 0x02, a, b, c, d] => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
        _ => PRISM_OCTETS,
    };
    decode(frame.get(octets..).ok_or(Fault::LinkHeaderCut)?, false, link)
}
