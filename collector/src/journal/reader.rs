//! Reads the journal from a position on, over all segments. Whatever is damaged costs itself and is counted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::Entry;
use super::scan::{Scan, Scanned};
use super::segment::{self, SEGMENT_HEADER_OCTETS, SegmentHeader};
use crate::limits::{JOURNAL_ENTRY_OCTETS, JOURNAL_READ_OCTETS};

/// What reading met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounters {
    /// Entries read.
    pub entries: u64,
    /// Stretches of damage, each of at least one entry.
    pub damaged: u64,
    /// Octets passed over in them.
    pub damaged_octets: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    header: SegmentHeader,
    /// Places of its listeners among those known now.
    listeners: Vec<u16>,
}

/// Reads from a position on.
#[derive(Debug)]
pub struct Reader {
    directory: PathBuf,
    /// The listeners known now, as they are configured.
    known: Vec<String>,
    position: u64,
    open: Option<Open>,
    buffer: Vec<u8>,
    is_within_damage: bool,
    counters: ReadCounters,
}

impl Reader {
    /// One that begins at `position`. Entries name their listener by its place in `known`.
    pub fn new(directory: PathBuf, known: Vec<String>, position: u64) -> Reader {
        Reader {
            directory,
            known,
            position,
            open: None,
            buffer: Vec::new(),
            is_within_damage: false,
            counters: ReadCounters::default(),
        }
    }

    /// Behind what was read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes to another position.
    pub fn seek(&mut self, position: u64) {
        if position != self.position {
            self.position = position;
            self.is_within_damage = false;
            self.open = None;
        }
    }

    /// What was met so far.
    pub fn counters(&self) -> ReadCounters {
        self.counters
    }

    /// Reads some entries before `until`, which the writer must have reached, and hands each to `sink` with the position
    /// behind it. False when there are none left.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(&mut self, until: u64, sink: &mut dyn FnMut(&Entry<'_>, u64)) -> io::Result<bool> {
        if self.position >= until {
            return Ok(false);
        }
        let end = match self.open_end()? {
            Some(end) if end > self.position => end,
            _ => match self.open_next(until)? {
                Some(end) => end,
                None => {
                    // Segments that are gone were indexed, or removed by hand.
                    self.position = until;
                    return Ok(false);
                }
            },
        };
        let end = end.min(until);
        let Some(open) = &self.open else { return Ok(false) };
        let length =
            usize::try_from(end - self.position).map_or(JOURNAL_READ_OCTETS, |left| left.min(JOURNAL_READ_OCTETS));
        self.buffer.resize(length, 0);
        let at = SEGMENT_HEADER_OCTETS as u64 + (self.position - open.header.position);
        let read = read_at(&open.file, &mut self.buffer, at)?;
        self.buffer.truncate(read);
        let is_last = self.position + read as u64 >= end || read < length;
        let mut scan = Scan::new(&self.buffer, open.header.sync, is_last)
            .within_damage(std::mem::take(&mut self.is_within_damage));
        let begin = self.position;
        loop {
            match scan.next_entry() {
                Scanned::Entry(mut entry, behind) => {
                    self.position = begin + behind as u64;
                    self.counters.entries += 1;
                    entry.listener = open
                        .listeners
                        .get(usize::from(entry.listener))
                        .copied()
                        .unwrap_or(u16::MAX);
                    sink(&entry, self.position);
                }
                Scanned::More(at) => {
                    self.position = begin + at as u64;
                    break;
                }
                Scanned::End => {
                    // A file that was cut while it was read ends here, too.
                    self.position = if read < length { end } else { begin + read as u64 };
                    break;
                }
            }
        }
        self.is_within_damage = scan.is_within_damage();
        self.counters.damaged += scan.damaged();
        self.counters.damaged_octets += scan.damaged_octets();
        Ok(true)
    }

    /// Behind what the open segment holds now.
    fn open_end(&self) -> io::Result<Option<u64>> {
        let Some(open) = &self.open else { return Ok(None) };
        let octets = open.file.metadata()?.len().saturating_sub(SEGMENT_HEADER_OCTETS as u64);
        Ok(Some(open.header.position.saturating_add(octets)))
    }

    /// Opens the segment that holds the position, or the next one behind it; says where that ends.
    fn open_next(&mut self, until: u64) -> io::Result<Option<u64>> {
        let segments = segment::list(&self.directory)?;
        for segment in segments.iter().filter(|segment| segment.start < until) {
            if segment.end <= self.position || segment.end == segment.start {
                continue;
            }
            let file = match File::open(&segment.path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let mut front = vec![0; SEGMENT_HEADER_OCTETS + super::entry::HEADER_OCTETS + JOURNAL_ENTRY_OCTETS];
            let read = read_at(&file, &mut front, 0)?;
            front.truncate(read);
            let table = segment::listeners_of(&front);
            self.open = Some(Open {
                file,
                header: SegmentHeader::decode(&front, segment.start),
                listeners: table.iter().map(|name| self.place(name)).collect(),
            });
            self.position = self.position.max(segment.start);
            return Ok(Some(segment.end));
        }
        self.open = None;
        Ok(None)
    }

    fn place(&self, name: &str) -> u16 {
        let place = self.known.iter().position(|known| known == name);
        place.and_then(|place| u16::try_from(place).ok()).unwrap_or(u16::MAX)
    }
}

/// Fills `buffer` from `at` on, as far as the file goes.
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at.saturating_add(filled as u64)) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Takes where an entry begins and the entry, or nothing in the place of damage.
pub type Sink<'s, E> = dyn FnMut(u64, Option<&Entry<'_>>) -> Result<(), E> + 's;

/// Hands every entry of a segment to `sink` with the octet at which it begins, and nothing in the place of damage.
///
/// # Errors
/// Those of `sink`.
pub fn read_segment<E>(bytes: &[u8], sink: &mut Sink<'_, E>) -> Result<(), E> {
    let header = SegmentHeader::decode(bytes, 0);
    let mut scan = Scan::new(
        bytes.get(SEGMENT_HEADER_OCTETS..).unwrap_or_default(),
        header.sync,
        true,
    );
    let (mut damaged, mut place) = (0, SEGMENT_HEADER_OCTETS as u64);
    loop {
        let next = scan.next_entry();
        if scan.damaged() > damaged {
            damaged = scan.damaged();
            sink(place, None)?;
        }
        let Scanned::Entry(entry, behind) = next else {
            return Ok(());
        };
        place = (SEGMENT_HEADER_OCTETS + behind) as u64;
        sink(place - entry.octets() as u64, Some(&entry))?;
    }
}

/// The segments in a journal's directory, in order.
///
/// # Errors
/// When it cannot be read.
pub fn segments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(segment::list(directory)?
        .into_iter()
        .map(|segment| segment.path)
        .collect())
}
