//! One step through the bytes of a capture file, and what can be wrong with them.

use flowgauge_templates::packet::LinkType;

/// What the bytes at the reading position hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It takes this many octets from the reading position on to tell.
    Need(usize),
    /// Nothing for us: go on this many octets further.
    Skip(u64),
    /// A frame.
    Frame(FramePlace),
}

/// A frame within the bytes that a step looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FramePlace {
    /// Where its captured bytes begin, in octets from the reading position.
    pub start: usize,
    /// Captured octets.
    pub captured: usize,
    /// Octets to go on behind it.
    pub consumed: usize,
    /// Octets it had on the wire.
    pub wire_length: u32,
    /// ns since 1970 UTC.
    pub time_ns: i64,
    /// How its first header reads.
    pub link_type: LinkType,
    /// The interface's number in the file.
    pub interface: u32,
}

/// What is wrong with a capture file; the reader adds which file and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// The first octets are of no format that is read here.
    #[error("not a capture in pcap or pcapng format ({hint})", hint = other_format(*.0))]
    UnknownMagic(u32),
    /// There is nothing at all.
    #[error("empty: there is no capture in it")]
    Empty,
    /// The file ends inside a header, record or block.
    #[error("the file ends {missing} octets before its {part} does")]
    Truncated {
        /// What is incomplete.
        part: &'static str,
        /// Octets that are missing, at least.
        missing: usize,
    },
    /// A version of the format that is not known.
    #[error("{format} version {major}.{minor} is not supported")]
    Version {
        /// The format.
        format: &'static str,
        /// Major version.
        major: u16,
        /// Minor version.
        minor: u16,
    },
    /// A frame longer than any that is captured.
    #[error("a frame of {0} octets; frames have at most {limit}", limit = crate::limits::MAX_FRAME_OCTETS)]
    FrameTooLong(u32),
    /// A pcapng block length that is no multiple of 4, too small for its type, or too large.
    #[error("a block of type {kind:#x} with length {length}")]
    BlockLength {
        /// Block type.
        kind: u32,
        /// Its total length.
        length: u32,
    },
    /// The length behind a pcapng block is not the one before it.
    #[error("a block with length {before} before and {after} behind it")]
    BlockLengthsDiffer {
        /// The leading length.
        before: u32,
        /// The trailing length.
        after: u32,
    },
    /// A pcapng section whose byte-order magic is none.
    #[error("a section with byte-order magic {0:#010x}")]
    ByteOrderMagic(u32),
    /// A frame of an interface that the section does not describe.
    #[error("a frame of interface {0}, which the section has not described")]
    UnknownInterface(u32),
    /// More interfaces in a section than we keep.
    #[error("more than {limit} interfaces in one section", limit = crate::limits::MAX_INTERFACES)]
    TooManyInterfaces,
    /// A time resolution finer than any clock.
    #[error("an interface with time resolution {0:#04x}")]
    TimeResolution(u8),
}

/// Formats that captures come in too, with what to do about them.
fn other_format(magic: u32) -> String {
    let format = match magic.to_be_bytes() {
        [0xfd, b'7', b'z', b'X'] => "xz: unpack it first",
        [b'B', b'Z', b'h', _] => "bzip2: unpack it first",
        [0x04, 0x22, 0x4d, 0x18] => "lz4: unpack it first",
        [b'P', b'K', 3, 4] => "a zip archive: unpack it first",
        [0x1f, 0x9d, ..] => "compress: unpack it first",
        [b's', b'n', b'o', b'o'] => "snoop: editcap turns it into pcap",
        _ => return format!("it begins with {magic:#010x}"),
    };
    format.to_owned()
}

/// Reads integers in a file's own byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteOrder {
    pub big_endian: bool,
}

impl ByteOrder {
    #[inline(always)]
    pub fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    #[inline(always)]
    pub fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    pub fn u64(self, bytes: [u8; 8]) -> u64 {
        if self.big_endian {
            u64::from_be_bytes(bytes)
        } else {
            u64::from_le_bytes(bytes)
        }
    }

    /// The 32-bit integer at `at`, 0 when the bytes end before it: callers have asked for enough bytes first.
    #[inline(always)]
    pub fn u32_at(self, bytes: &[u8], at: usize) -> u32 {
        bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |chunk| self.u32(*chunk))
    }

    /// The 16-bit integer at `at`, likewise.
    #[inline(always)]
    pub fn u16_at(self, bytes: &[u8], at: usize) -> u16 {
        bytes
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |chunk| self.u16(*chunk))
    }
}
