//! The newer capture format: sections of blocks (draft-ietf-opsawg-pcapng).
//!
//! Section Header, Interface Description, Enhanced, Simple and (obsolete) Packet Blocks are read; all others are
//! stepped over. Every section has its own byte order and interfaces, every interface its link type and clock.

use flowgauge_templates::packet::LinkType;

use super::step::{ByteOrder, FormatFault, FramePlace, Step};
use crate::limits::{MAX_BLOCK_OCTETS, MAX_FRAME_OCTETS, MAX_INTERFACES};

mod block {
    pub const SECTION_HEADER: u32 = 0x0a0d_0d0a;
    pub const INTERFACE_DESCRIPTION: u32 = 1;
    pub const PACKET: u32 = 2;
    pub const SIMPLE_PACKET: u32 = 3;
    pub const ENHANCED_PACKET: u32 = 6;
}

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// A block's type and the length before and behind its body.
const HEAD_OCTETS: usize = 8;
const TAIL_OCTETS: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: LinkType,
    snap_length: u32,
    clock: Clock,
}

/// How an interface's ticks become ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Clock {
    unit: Unit,
    offset_ns: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// A tick is this many ns.
    Ns(u64),
    /// This many ticks are a second.
    PerSecond(u128),
}

impl Clock {
    const MICROSECONDS: Clock = Clock {
        unit: Unit::Ns(1000),
        offset_ns: 0,
    };

    /// if_tsresol: a negative power of 10, or of 2 when the highest bit is set.
    fn with_resolution(self, resolution: u8) -> Result<Clock, FormatFault> {
        let exponent = u32::from(resolution & 0x7f);
        let unit = match (resolution & 0x80, exponent) {
            (0, 0..=9) => Unit::Ns(10u64.pow(9 - exponent)),
            (0, 10..=19) => Unit::PerSecond(10u128.pow(exponent)),
            (0x80, 0..=63) => Unit::PerSecond(1 << exponent),
            _ => return Err(FormatFault::TimeResolution(resolution)),
        };
        Ok(Clock { unit, ..self })
    }

    #[inline(always)]
    fn time_ns(self, ticks: u64) -> i64 {
        let ns = match self.unit {
            Unit::Ns(ns) => ticks.saturating_mul(ns),
            Unit::PerSecond(ticks_per_second) => {
                u64::try_from(u128::from(ticks) * 1_000_000_000 / ticks_per_second).unwrap_or(u64::MAX)
            }
        };
        i64::try_from(ns).unwrap_or(i64::MAX).saturating_add(self.offset_ns)
    }
}

/// A pcapng file. Starts before its first section header.
#[derive(Clone, Debug)]
pub struct PcapngDecoder {
    order: ByteOrder,
    interfaces: Vec<Interface>,
    /// Simple Packet Blocks have no time; they take that of the frame before them.
    newest_ns: i64,
}

impl PcapngDecoder {
    /// Whether a file that begins with these octets, as a big-endian number, is pcapng.
    pub fn is_magic(magic: u32) -> bool {
        magic == block::SECTION_HEADER
    }

    /// A decoder for the start of a file.
    pub fn new() -> PcapngDecoder {
        PcapngDecoder {
            order: ByteOrder { big_endian: true },
            interfaces: Vec::new(),
            newest_ns: 0,
        }
    }

    /// Looks at the block at the start of `bytes`.
    ///
    /// # Errors
    /// A block that contradicts itself or its section. Blocks behind it cannot be found.
    #[inline]
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, FormatFault> {
        let Some(head) = bytes.first_chunk::<{ HEAD_OCTETS + 4 }>() else {
            return Ok(Step::Need(HEAD_OCTETS + TAIL_OCTETS));
        };
        let kind = self.order.u32_at(head, 0);
        // A section header may change the byte order; its type reads the same in both.
        let order = if kind == block::SECTION_HEADER {
            section_order(head)?
        } else {
            self.order
        };
        let length = order.u32_at(head, 4);
        let octets = length as usize;
        if !octets.is_multiple_of(4) || octets < least_octets(kind) {
            return Err(FormatFault::BlockLength { kind, length });
        }
        if !is_read(kind) {
            return Ok(Step::Skip(u64::from(length)));
        }
        if octets > MAX_BLOCK_OCTETS {
            return Err(FormatFault::BlockLength { kind, length });
        }
        if bytes.len() < octets {
            return Ok(Step::Need(octets));
        }
        let after = order.u32_at(bytes, octets - TAIL_OCTETS);
        if after != length {
            return Err(FormatFault::BlockLengthsDiffer { before: length, after });
        }
        let body = bytes.get(HEAD_OCTETS..octets - TAIL_OCTETS).unwrap_or_default();
        match kind {
            block::ENHANCED_PACKET => self.packet(body, order.u32_at(body, 0), length),
            block::PACKET => self.packet(body, u32::from(order.u16_at(body, 0)), length),
            block::SIMPLE_PACKET => self.simple_packet(body, length),
            block::INTERFACE_DESCRIPTION => self.interface(body, length),
            _ => self.section(body, order, length),
        }
    }

    fn section(&mut self, body: &[u8], order: ByteOrder, length: u32) -> Result<Step, FormatFault> {
        let (major, minor) = (order.u16_at(body, 4), order.u16_at(body, 6));
        if major != 1 {
            return Err(FormatFault::Version {
                format: "pcapng",
                major,
                minor,
            });
        }
        self.order = order;
        self.interfaces.clear();
        Ok(Step::Skip(u64::from(length)))
    }

    fn interface(&mut self, body: &[u8], length: u32) -> Result<Step, FormatFault> {
        const OPTION_TSRESOL: u16 = 9;
        const OPTION_TSOFFSET: u16 = 14;
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(FormatFault::TooManyInterfaces);
        }
        let mut clock = Clock::MICROSECONDS;
        let mut options = body.get(8..).unwrap_or_default();
        // Every option is at least 4 octets, so the body's length bounds the loop.
        while let Some((head, rest)) = options.split_first_chunk::<4>() {
            let (code, octets) = (self.order.u16_at(head, 0), usize::from(self.order.u16_at(head, 2)));
            let Some(value) = rest.get(..octets) else { break };
            match (code, value) {
                (0, _) => break,
                (OPTION_TSRESOL, [resolution, ..]) => clock = clock.with_resolution(*resolution)?,
                (OPTION_TSOFFSET, value) => {
                    let seconds = value.first_chunk::<8>().map_or(0, |value| self.order.u64(*value)) as i64;
                    clock.offset_ns = seconds.saturating_mul(1_000_000_000);
                }
                _ => {}
            }
            options = rest.get(octets.next_multiple_of(4)..).unwrap_or_default();
        }
        self.interfaces.push(Interface {
            link_type: LinkType(self.order.u16_at(body, 0)),
            snap_length: self.order.u32_at(body, 4),
            clock,
        });
        Ok(Step::Skip(u64::from(length)))
    }

    /// Enhanced and obsolete Packet Blocks differ only in how they number interfaces.
    #[inline(always)]
    fn packet(&mut self, body: &[u8], interface: u32, length: u32) -> Result<Step, FormatFault> {
        const FIXED: usize = 20;
        let field = |at: usize| self.order.u32_at(body, at);
        let (captured, wire_length) = (field(12), field(16));
        let ticks = u64::from(field(4)) << 32 | u64::from(field(8));
        let known = self
            .interfaces
            .get(interface as usize)
            .ok_or(FormatFault::UnknownInterface(interface))?;
        let time_ns = known.clock.time_ns(ticks);
        let link_type = known.link_type;
        self.newest_ns = time_ns;
        frame(
            FIXED,
            captured,
            body,
            length,
            FramePlace {
                start: 0,
                captured: 0,
                consumed: 0,
                wire_length,
                time_ns,
                link_type,
                interface,
            },
        )
    }

    /// What was captured is not stated: it is as much as the block and the interface's snap length allow.
    fn simple_packet(&mut self, body: &[u8], length: u32) -> Result<Step, FormatFault> {
        const FIXED: usize = 4;
        let known = self.interfaces.first().ok_or(FormatFault::UnknownInterface(0))?;
        let wire_length = self.order.u32_at(body, 0);
        let snap_length = if known.snap_length == 0 {
            u32::MAX
        } else {
            known.snap_length
        };
        let captured = wire_length
            .min(snap_length)
            .min(body.len().saturating_sub(FIXED) as u32);
        frame(
            FIXED,
            captured,
            body,
            length,
            FramePlace {
                start: 0,
                captured: 0,
                consumed: 0,
                wire_length,
                time_ns: self.newest_ns,
                link_type: known.link_type,
                interface: 0,
            },
        )
    }
}

impl Default for PcapngDecoder {
    fn default() -> PcapngDecoder {
        PcapngDecoder::new()
    }
}

/// Completes the place of a frame that begins behind the `fixed` fields of a block's body.
#[inline(always)]
fn frame(fixed: usize, captured: u32, body: &[u8], length: u32, place: FramePlace) -> Result<Step, FormatFault> {
    let octets = captured as usize;
    if octets > MAX_FRAME_OCTETS {
        return Err(FormatFault::FrameTooLong(captured));
    }
    if fixed + octets > body.len() {
        return Err(FormatFault::Truncated {
            part: "frame",
            missing: fixed + octets - body.len(),
        });
    }
    Ok(Step::Frame(FramePlace {
        start: HEAD_OCTETS + fixed,
        captured: octets,
        consumed: length as usize,
        wire_length: place.wire_length.max(captured),
        ..place
    }))
}

fn section_order(head: &[u8; HEAD_OCTETS + 4]) -> Result<ByteOrder, FormatFault> {
    for big_endian in [true, false] {
        let order = ByteOrder { big_endian };
        if order.u32_at(head, HEAD_OCTETS) == BYTE_ORDER_MAGIC {
            return Ok(order);
        }
    }
    Err(FormatFault::ByteOrderMagic(
        ByteOrder { big_endian: true }.u32_at(head, HEAD_OCTETS),
    ))
}

fn is_read(kind: u32) -> bool {
    matches!(
        kind,
        block::SECTION_HEADER
            | block::INTERFACE_DESCRIPTION
            | block::PACKET
            | block::SIMPLE_PACKET
            | block::ENHANCED_PACKET
    )
}

/// The total length of a block without anything optional.
fn least_octets(kind: u32) -> usize {
    HEAD_OCTETS
        + TAIL_OCTETS
        + match kind {
            block::SECTION_HEADER => 16,
            block::INTERFACE_DESCRIPTION => 8,
            block::PACKET | block::ENHANCED_PACKET => 20,
            block::SIMPLE_PACKET => 4,
            _ => 0,
        }
}
