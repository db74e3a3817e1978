//! Reads the spool in order, from where the collector has everything. Damage costs the records that it hit.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::Duration;

use super::Spool;
use super::entry::{self, HEADER_OCTETS as ENTRY_HEADER_OCTETS, Label, MAX_MESSAGE_OCTETS};
use super::mark::ConfirmedFile;
use super::segment::{HEADER_OCTETS, Segment};
use crate::exporting::{Content, Volume};

/// Octets read at a time; more than the longest entry.
const READ_OCTETS: usize = 256 << 10;
const _: () = assert!(READ_OCTETS > ENTRY_HEADER_OCTETS + MAX_MESSAGE_OCTETS);

/// What is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// A Message.
    Message {
        /// What is known of it.
        label: Label,
        /// The position behind it.
        behind: u64,
        /// Whose template identifiers it uses.
        run: u32,
    },
    /// Flow Records were damaged, of which so many are not confirmed.
    Damaged(Volume),
    /// All that is written was read.
    Nothing,
}

/// Reads one destination's spool.
#[derive(Debug)]
pub struct Reader {
    spool: Arc<Spool>,
    confirmed: Option<ConfirmedFile>,
    /// What stands in there.
    saved: Option<u64>,
    open: Option<Open>,
    /// Flow Records before this are not told again.
    from: u64,
    /// Damage before this has been told.
    damage_told: u64,
    buffer: Vec<u8>,
}

/// The segment that is being read.
#[derive(Debug)]
struct Open {
    file: File,
    segment: Segment,
    /// The position of what is read next, and that of what the buffer begins with.
    at: u64,
    buffer_at: u64,
    next_record: u64,
}

impl Reader {
    pub(super) fn new(spool: Arc<Spool>) -> Self {
        let confirmed = ConfirmedFile::open(&spool.directory).ok();
        let from = spool.lock().confirmed;
        Self {
            spool,
            confirmed,
            saved: None,
            open: None,
            from,
            damage_told: from,
            buffer: Vec::new(),
        }
    }

    /// Begins a session: goes back to what the collector has for certain, and tells templates and options of before.
    pub fn rewind(&mut self) {
        self.from = self.spool.lock().confirmed;
        self.open = None;
    }

    /// Notes how far the collector has everything, so that the next run goes on there.
    pub fn save_confirmed(&mut self) {
        let position = self.spool.lock().confirmed;
        if self.saved == Some(position) {
            return;
        }
        self.saved = Some(position);
        // Where this cannot be written, the next run only sends more again than it had to.
        let _ = self.confirmed.as_ref().map(|file| file.write(position));
    }

    /// Waits until there is more to read, at most for `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let position = self.open.as_ref().map_or(self.from, |open| open.at);
        self.spool.wait(position, timeout);
    }

    /// Reads what is next into `message`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn poll(&mut self, message: &mut Vec<u8>) -> io::Result<Polled> {
        loop {
            if let Some(gap) = self.open_segment()?.filter(|gap| gap.0 > self.damage_told) {
                self.damage_told = gap.0;
                let lost = self.spool.give_up_damaged(gap.0, gap.1);
                return Ok(Polled::Damaged(lost));
            }
            let Some(open) = &mut self.open else {
                return Ok(Polled::Nothing);
            };
            if open.at >= open.segment.end {
                return Ok(Polled::Nothing);
            }
            let (octets, is_last) = match open.octets(&mut self.buffer) {
                Ok(octets) => octets,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    // Someone has cut it: what it held is missing before what comes next.
                    self.buffer.clear();
                    open.at = open.segment.end;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let found = entry::find(octets, open.segment.header.sync, is_last);
            open.at += found.damaged as u64;
            let Some(entry) = found.entry else {
                // Behind damage more has to be read, or nothing is left.
                continue;
            };
            let (label, behind) = (entry.label, open.at + entry.octets() as u64);
            let missing = match label.volume.flows {
                0 => 0,
                _ => label.first_record.saturating_sub(open.next_record),
            };
            if missing > 0 {
                open.next_record = label.first_record;
                if behind > self.from.max(self.damage_told) {
                    self.damage_told = behind;
                    let volume = Volume {
                        flows: missing,
                        ..Volume::default()
                    };
                    return Ok(Polled::Damaged(self.spool.give_up_damaged(behind, volume)));
                }
            }
            open.at = behind;
            if label.volume.flows > 0 {
                open.next_record = label.first_record + label.volume.flows;
            }
            if behind <= self.from && matches!(label.content, Content::Flows | Content::Statistics) {
                continue;
            }
            message.clear();
            message.extend_from_slice(entry.bytes);
            return Ok(Polled::Message {
                label,
                behind,
                run: open.segment.header.run,
            });
        }
    }

    /// Makes sure that the segment with what is next is open, if there is one; says what is missing at the end of the one
    /// before, and where.
    fn open_segment(&mut self) -> io::Result<Option<(u64, Volume)>> {
        let state = self.spool.lock();
        let next = match &mut self.open {
            Some(open) => {
                let now = state
                    .segments
                    .iter()
                    .find(|segment| segment.start == open.segment.start);
                match now {
                    Some(now) if now.header == open.segment.header => {
                        open.segment.end = now.end;
                        if open.at < now.end {
                            return Ok(None);
                        }
                        state
                            .segments
                            .iter()
                            .find(|segment| segment.start >= now.end && segment.end > now.end)
                    }
                    // It was given up while it was read.
                    _ => state
                        .segments
                        .iter()
                        .find(|segment| segment.end > open.segment.start.max(self.from)),
                }
            }
            None => state.segments.iter().find(|segment| segment.end > self.from),
        };
        let Some(next) = next.cloned() else { return Ok(None) };
        drop(state);
        let before = self.open.take();
        let file = match File::open(&next.path) {
            Ok(file) => file,
            // Given up just now: the next time there is another.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let first = next.header.first_record;
        let gap = before.filter(|before| {
            let follows = before.segment.header.run == next.header.run && before.at == next.start;
            follows && before.next_record < first
        });
        let gap = gap.map(|before| {
            let volume = Volume {
                flows: first - before.next_record,
                ..Volume::default()
            };
            (before.segment.end, volume)
        });
        self.buffer.clear();
        self.open = Some(Open {
            file,
            at: next.start,
            buffer_at: next.start,
            next_record: first,
            segment: next,
        });
        Ok(gap)
    }
}

impl Open {
    /// The octets from `at` on, enough for an entry, and whether none are behind them.
    fn octets<'b>(&mut self, buffer: &'b mut Vec<u8>) -> io::Result<(&'b [u8], bool)> {
        let end_of = |buffer_at: u64, buffer: &[u8]| buffer_at + buffer.len() as u64;
        let wanted = (self.segment.end - self.at).min((ENTRY_HEADER_OCTETS + MAX_MESSAGE_OCTETS) as u64);
        if end_of(self.buffer_at, buffer) < self.at + wanted {
            let length = usize::try_from(self.segment.end - self.at).map_or(READ_OCTETS, |left| left.min(READ_OCTETS));
            buffer.resize(length, 0);
            self.buffer_at = self.at;
            let place = HEADER_OCTETS + (self.at - self.segment.start);
            self.file.read_exact_at(buffer, place)?;
        }
        let octets = buffer.get((self.at - self.buffer_at) as usize..).unwrap_or_default();
        Ok((octets, end_of(self.buffer_at, buffer) >= self.segment.end))
    }
}
