//! The journal: what was received, on disk before it is decoded, so that bursts wait there and a crash loses none of it.
//!
//! It is one endless row of entries, cut into segments; a position in it is a number of octets since its beginning. The store
//! commits the position up to which it holds every row, in the same step as the rows, and replays from there.
//!
//! ```text
//! journal = segment *            file "<position, 20 digits>.fgj", position of its first entry
//! segment = header entry *       the first entry is the table of listeners
//! header  = "FGJOURN1" sync:4 position:8 crc:4 zero:8
//! entry   = sync:4 crc:4 length:4 kind:1 family:1 listener:2 received_ns:8 connection:8 address:16 port:2 zero:2 scope:4
//!           octets(length)       crc-32 of everything behind it; numbers are little-endian
//! ```

pub mod entry;
mod handover;
mod reader;
mod scan;
mod segment;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

pub use entry::{Entry, Kind};
pub use handover::{Handover, Next};
pub use reader::{ReadCounters, Reader, read_segment, segments};
pub use scan::{Scan, Scanned};
pub use segment::{SEGMENT_MAGIC, SegmentHeader, listeners_of};
pub use writer::{Appended, JournalCounters, JournalWriter, Opened, Syncer};

/// How the journal behaves.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// Where its segments lie.
    pub directory: PathBuf,
    /// What all segments may take; 0 keeps no journal.
    pub size_octets: u64,
    /// How old what is written may be before it is made durable; zero makes it so before it counts as received.
    pub sync: Duration,
    /// How long segments stay after they were indexed, for `replay`.
    pub keep: Duration,
}

impl JournalConfig {
    /// Octets after which a segment ends, so that a small journal has several, too.
    pub fn segment_octets(&self) -> u64 {
        (self.size_octets / 8).clamp(1 << 20, crate::limits::JOURNAL_SEGMENT_OCTETS)
    }
}

/// A number that others cannot know, by which entries are found again behind damage.
pub fn fresh_sync() -> u32 {
    use std::hash::{BuildHasher as _, RandomState};
    // Seeded by the system for tables against chosen collisions, which is what is wanted here too.
    let sync = RandomState::new().hash_one(std::process::id()) as u32;
    // Zeros are what a disk fills holes with.
    sync | 1
}

#[cfg(test)]
mod tests;
