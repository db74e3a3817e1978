//! Segments: their names, their headers, and which there are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::scan::{Scan, Scanned};
use super::{Entry, Kind};

/// What a segment begins with.
pub const SEGMENT_MAGIC: [u8; 8] = *b"FGJOURN1";
/// Octets before a segment's first entry.
pub const SEGMENT_HEADER_OCTETS: usize = 32;
const SUFFIX: &str = ".fgj";

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// By what its entries are found.
    pub sync: u32,
    /// The position of its first entry.
    pub position: u64,
}

impl SegmentHeader {
    /// As it stands in the file.
    pub fn encode(self) -> [u8; SEGMENT_HEADER_OCTETS] {
        let mut out = [0; SEGMENT_HEADER_OCTETS];
        let parts = [
            &SEGMENT_MAGIC[..],
            &self.sync.to_le_bytes(),
            &self.position.to_le_bytes(),
        ]
        .concat();
        let crc = crc32fast::hash(&parts).to_le_bytes();
        for (place, octet) in out.iter_mut().zip(parts.into_iter().chain(crc)) {
            *place = octet;
        }
        out
    }

    /// The header that a segment's octets begin with. Where it is damaged, the file's name has the position and the first
    /// entry what entries are found by.
    pub fn decode(bytes: &[u8], named: u64) -> SegmentHeader {
        let word = |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk().copied());
        let sync = word(8).map_or(0, u32::from_le_bytes);
        let is_sound = bytes
            .get(..20)
            .is_some_and(|parts| word(20).is_some_and(|crc| u32::from_le_bytes(crc) == crc32fast::hash(parts)));
        let first = word(SEGMENT_HEADER_OCTETS).map_or(sync, u32::from_le_bytes);
        SegmentHeader {
            sync: if is_sound { sync } else { first },
            position: named,
        }
    }
}

/// One segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// The position of its first entry.
    pub start: u64,
    /// The position behind what it holds.
    pub end: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// When it was last written to.
    pub modified: std::time::SystemTime,
}

/// The name of the segment that begins at a position.
pub fn name(start: u64) -> String {
    format!("{start:020}{SUFFIX}")
}

/// The position that a segment's name says.
pub fn position_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.parse().ok()
}

/// Every segment in a directory, in order. No directory is no segments.
///
/// # Errors
/// When it cannot be read.
pub fn list(directory: &Path) -> io::Result<Vec<SegmentFile>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let Some(start) = position_of(&path) else { continue };
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // Removed meanwhile, being indexed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let octets = metadata.len().saturating_sub(SEGMENT_HEADER_OCTETS as u64);
        found.push(SegmentFile {
            start,
            end: start.saturating_add(octets),
            path,
            modified: metadata.modified().unwrap_or(std::time::UNIX_EPOCH),
        });
    }
    found.sort_by_key(|segment| segment.start);
    Ok(found)
}

/// The listeners that the entries of a segment number, from the octets it begins with.
pub fn listeners_of(bytes: &[u8]) -> Vec<String> {
    let header = SegmentHeader::decode(bytes, 0);
    let entries = bytes.get(SEGMENT_HEADER_OCTETS..).unwrap_or_default();
    match Scan::new(entries, header.sync, false).next_entry() {
        Scanned::Entry(
            Entry {
                kind: Kind::Listeners,
                bytes,
                ..
            },
            _,
        ) => String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
