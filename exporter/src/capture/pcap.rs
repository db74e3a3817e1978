//! The classic capture format: a file header, then records (draft-ietf-opsawg-pcap).
//!
//! Both byte orders, micro- and nanoseconds, and Alexey Kuznetsov's modified record header of 24 octets.

use flowgauge_templates::packet::LinkType;

use super::step::{ByteOrder, FormatFault, FramePlace, Step};
use crate::limits::MAX_FRAME_OCTETS;

const FILE_HEADER_OCTETS: usize = 24;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const MODIFIED: u32 = 0xa1b2_cd34;

/// A pcap file behind its file header.
#[derive(Clone, Debug)]
pub struct PcapDecoder {
    order: ByteOrder,
    link_type: LinkType,
    record_octets: usize,
    fraction_ns: i64,
    /// Whether the file is so old that a record's two lengths may be swapped.
    lengths: Lengths,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    Ordered,
    Swapped,
    /// The captured length is the smaller one.
    Either,
}

impl PcapDecoder {
    /// Whether a file that begins with these octets, as a big-endian number, is pcap.
    pub fn is_magic(magic: u32) -> bool {
        [magic, magic.swap_bytes()]
            .iter()
            .any(|magic| matches!(*magic, MICROSECONDS | NANOSECONDS | MODIFIED))
    }

    /// Reads the file header at the start of `bytes`; [`Step::Skip`] tells its length.
    ///
    /// # Errors
    /// Another format or version.
    pub fn open(bytes: &[u8]) -> Result<(Option<PcapDecoder>, Step), FormatFault> {
        let Some(header) = bytes.first_chunk::<FILE_HEADER_OCTETS>() else {
            return Ok((None, Step::Need(FILE_HEADER_OCTETS)));
        };
        let as_big = ByteOrder { big_endian: true }.u32_at(header, 0);
        let order = ByteOrder {
            big_endian: matches!(as_big, MICROSECONDS | NANOSECONDS | MODIFIED),
        };
        let magic = order.u32_at(header, 0);
        let (major, minor) = (order.u16_at(header, 4), order.u16_at(header, 6));
        let lengths = match (major, minor) {
            // libpcap's history: swapped before 2.3, in either order in 2.3 and in one vendor's 543.0.
            (0 | 1, _) | (2, 0..=2) => Lengths::Swapped,
            (2, 3) | (543, 0) => Lengths::Either,
            (2, _) => Lengths::Ordered,
            _ => {
                return Err(FormatFault::Version {
                    format: "pcap",
                    major,
                    minor,
                });
            }
        };
        let decoder = PcapDecoder {
            order,
            // The upper bits tell of a frame check sequence, which IP lengths leave out anyway.
            link_type: LinkType((order.u32_at(header, 20) & 0xffff) as u16),
            record_octets: if magic == MODIFIED { 24 } else { 16 },
            fraction_ns: if magic == NANOSECONDS { 1 } else { 1000 },
            lengths,
        };
        Ok((Some(decoder), Step::Skip(FILE_HEADER_OCTETS as u64)))
    }

    /// Looks at the record at the start of `bytes`.
    ///
    /// # Errors
    /// A length that no frame has.
    #[inline]
    pub fn step(&self, bytes: &[u8]) -> Result<Step, FormatFault> {
        let Some(header) = bytes.first_chunk::<16>() else {
            return Ok(Step::Need(self.record_octets));
        };
        let field = |at: usize| self.order.u32_at(header, at);
        let (captured, wire_length) = match (self.lengths, field(8), field(12)) {
            (Lengths::Swapped, wire, captured) => (captured, wire),
            (Lengths::Either, a, b) => (a.min(b), a.max(b)),
            (Lengths::Ordered, captured, wire) => (captured, wire),
        };
        if captured as usize > MAX_FRAME_OCTETS {
            return Err(FormatFault::FrameTooLong(captured));
        }
        let consumed = self.record_octets + captured as usize;
        if bytes.len() < consumed {
            return Ok(Step::Need(consumed));
        }
        Ok(Step::Frame(FramePlace {
            start: self.record_octets,
            captured: captured as usize,
            consumed,
            wire_length: wire_length.max(captured),
            time_ns: i64::from(field(0)) * 1_000_000_000 + i64::from(field(4)) * self.fraction_ns,
            link_type: self.link_type,
            interface: 0,
        }))
    }

    /// Adds the places of whole frames, counted from the start of `bytes`, until `places` holds `most`; says how many
    /// octets they take. What follows them is for [`PcapDecoder::step`].
    #[inline]
    pub fn frames(&self, bytes: &[u8], places: &mut Vec<FramePlace>, most: usize) -> usize {
        let mut at = 0;
        while places.len() < most {
            let Some(Ok(Step::Frame(place))) = bytes.get(at..).map(|rest| self.step(rest)) else {
                break;
            };
            places.push(FramePlace {
                start: at + place.start,
                ..place
            });
            at += place.consumed;
        }
        at
    }
}
