//! The spool: Messages of one destination on disk between metering and sending, so that an outage of the collector, a
//! restart of the exporter or its violent end loses none of them.
//!
//! It is one endless row of entries, cut into segments; a position is a number of octets since its beginning. Each
//! segment tells templates and options anew, so that one that is gone takes only its own records with it. What the
//! collector has is confirmed up to a position; a segment that is confirmed whole is removed. Beyond its size or age the
//! oldest segment goes, and what it held is declared as lost.
//!
//! ```text
//! spool   = lock confirmed handed segment *     file "<position of its first entry, 20 digits>.spool"
//! segment = header entry *
//! header  = "FGSPOOL1" sync:4 run:4 first_record:8 zero:4 crc:4
//! entry   = sync:4 crc:4 length:4 content:4 records:4 flows:4 packets:8 octets:8 first_record:8 written_ns:8 Message
//! ```
//! Numbers are little-endian. All entries of a segment begin with the same four octets, by which they are found again
//! behind damage. A run is one life of an exporter: template identifiers mean the same throughout, and no longer.

mod entry;
mod mark;
mod reader;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use entry::Label;
pub use reader::{Polled, Reader};
pub use writer::{Opened, Writer};

pub(crate) use mark::HandedFile;
use segment::Segment;

use crate::exporting::Volume;

/// How a spool is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolConfig {
    /// Where the spools of all destinations lie.
    pub directory: PathBuf,
    /// Octets on disk, for each destination.
    pub size: u64,
    /// What is older is given up.
    pub age: Duration,
}

impl SpoolConfig {
    /// Octets after which a segment ends: what has to go at once goes in small parts.
    fn segment_octets(&self) -> u64 {
        (self.size / 16).clamp(256 << 10, 16 << 20)
    }

    /// Where the spool of a destination lies.
    pub fn directory_of(&self, destination: &str) -> PathBuf {
        let name: String = destination
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        self.directory.join(name)
    }
}

/// What was given up, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    /// Removed to make room.
    pub for_size: Volume,
    /// Removed for their age.
    pub for_age: Volume,
}

/// One destination's spool, as its writer and its reader share it.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    state: Mutex<State>,
    /// Something was written, or the writer has ended.
    written: Condvar,
}

#[derive(Debug, Default)]
struct State {
    segments: VecDeque<Segment>,
    /// Before this the collector has everything.
    confirmed: u64,
    /// Nothing more will be written.
    closed: bool,
}

impl Spool {
    /// Waits until something is behind `position`, or nothing will be, at most for `timeout`.
    fn wait(&self, position: u64, timeout: Duration) {
        let is_nothing_new = |state: &mut State| state.end() <= position && !state.closed;
        let _ = self.written.wait_timeout_while(self.lock(), timeout, is_nothing_new);
    }

    /// Whether nothing more will be written.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends the writing.
    pub fn close(&self) {
        self.lock().closed = true;
        self.written.notify_all();
    }

    /// The collector has everything before `position`, of which `volume` was not confirmed before: removes segments that
    /// nobody needs any more. What was given up meanwhile counts no more: says what of the volume was not.
    pub fn confirm(&self, position: u64, volume: Volume) -> Volume {
        let mut state = self.lock();
        let taken = state.take_waiting(position, volume);
        state.confirmed = state.confirmed.max(position);
        while state.segments.len() > 1
            && let Some(first) = state.segments.front()
            && first.end <= state.confirmed
        {
            first.remove();
            state.segments.pop_front();
        }
        taken
    }

    /// Takes `volume`, which turned out damaged in the segment with `position`, from what waits; says what of it waited.
    fn give_up_damaged(&self, position: u64, volume: Volume) -> Volume {
        self.lock().take_waiting(position, volume)
    }

    /// Flow Records that are not confirmed.
    pub fn waiting(&self) -> Volume {
        let state = self.lock();
        let mut waiting = Volume::default();
        state.segments.iter().for_each(|segment| waiting.add(&segment.waiting));
        waiting
    }

    /// Octets on disk.
    pub fn octets(&self) -> u64 {
        let state = self.lock();
        state.segments.iter().map(Segment::octets).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Behind what is written.
    fn end(&self) -> u64 {
        self.segments
            .back()
            .map_or(self.confirmed, |segment| segment.end.max(self.confirmed))
    }

    /// Takes from what waits in the segment in which an entry ends at `position`.
    fn take_waiting(&mut self, position: u64, volume: Volume) -> Volume {
        let segment = self.segments.iter_mut().find(|segment| position <= segment.end);
        match segment {
            Some(segment) if position > segment.start => segment.waiting.take(&volume),
            _ => Volume::default(),
        }
    }
}

/// Opens the spool of a destination, or makes it.
///
/// # Errors
/// One line for people.
pub fn open(config: &SpoolConfig, destination: &str) -> Result<(Writer, Reader, Arc<Spool>, Opened), String> {
    let (writer, opened) = Writer::open(config, destination)?;
    let spool = writer.spool();
    let reader = Reader::new(spool.clone());
    Ok((writer, reader, spool, opened))
}
