//! Where summaries are kept: segments in a folder of the data directory, the last one open.
//!
//! An entry that was written and synced is there after a crash, whole or not at all. Segments go when they are too old or
//! when all take too much room.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::Entry;
use super::segment::{self, Contents};
use crate::limits::SUMMARY_SEGMENT_OCTETS;

/// How long and how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummariesConfig {
    /// Segments whose last window ended this long ago are removed; 0 keeps them.
    pub retention_s: u64,
    /// The oldest segments are removed when all take more than this; 0 keeps them.
    pub retention_octets: u64,
    /// A segment as large is full.
    pub segment_octets: u64,
}

impl Default for SummariesConfig {
    fn default() -> SummariesConfig {
        SummariesConfig {
            retention_s: 0,
            retention_octets: 0,
            segment_octets: SUMMARY_SEGMENT_OCTETS,
        }
    }
}

/// A segment to read: what of it is whole.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub contents: Arc<Contents>,
}

/// What became of what was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounters {
    /// Summaries removed by retention.
    pub removed: u64,
    /// Octets removed by retention.
    pub octets_removed: u64,
    /// Summaries that were not what was written when they were read back.
    pub damaged: u64,
    /// Octets behind the last whole entry, cut off at a start.
    pub octets_cut: u64,
    /// Files that could not be read at a start, and are left as they are.
    pub unreadable: u64,
    /// Times that writing failed.
    pub write_errors: u64,
}

/// The segments, and the one that is written to.
#[derive(Debug)]
pub struct SummaryStore {
    directory: PathBuf,
    config: SummariesConfig,
    segments: Vec<(u64, Segment)>,
    /// The last of `segments`, while it is not full.
    open: Option<File>,
    next: u64,
    /// What was done.
    pub counters: StoreCounters,
}

impl SummaryStore {
    /// Opens a folder, creating it when there is none; `seen` is told the entries of the segments read, the newest at least.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(directory: &Path, config: SummariesConfig, mut seen: impl FnMut(&Entry)) -> io::Result<SummaryStore> {
        fs::create_dir_all(directory)?;
        let mut store = SummaryStore {
            directory: directory.to_owned(),
            config,
            segments: Vec::new(),
            open: None,
            next: 0,
            counters: StoreCounters::default(),
        };
        let numbers = numbers(directory)?;
        let newest = numbers.last().copied();
        for number in numbers {
            store.next = number + 1;
            let path = segment::path_of(directory, number);
            let is_newest = Some(number) == newest;
            let noted = segment::noted(&path);
            if let (Some(contents), false) = (&noted, is_newest) {
                store.keep(number, path, contents.clone());
                continue;
            }
            let Some(contents) = store.look_through(&path, &mut seen) else {
                continue;
            };
            if is_newest && noted.is_none() && contents.octets < config.segment_octets {
                store.open = Some(segment::reopen(&path, contents.octets)?);
            } else if noted.is_none() {
                segment::note(&path, &contents)?;
            }
            store.keep(number, path, contents);
        }
        Ok(store)
    }

    /// Opens a folder that a collector may be writing to, only to read.
    ///
    /// # Errors
    /// When the folder cannot be read; one that is not there is empty.
    pub fn open_to_read(directory: &Path) -> io::Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for number in numbers(directory)? {
            let path = segment::path_of(directory, number);
            let contents = match segment::noted(&path) {
                Some(contents) => contents,
                None => {
                    let mut contents = Contents::default();
                    let reading = segment::read(
                        &path,
                        u64::MAX,
                        |_| true,
                        |entry, octets| {
                            contents.add(&entry, octets);
                            true
                        },
                    )?;
                    contents.octets = reading.octets;
                    contents
                }
            };
            let contents = Arc::new(contents);
            segments.push(Segment { path, contents });
        }
        Ok(segments)
    }

    fn look_through(&mut self, path: &Path, seen: &mut impl FnMut(&Entry)) -> Option<Contents> {
        let mut contents = Contents::default();
        let reading = segment::read(
            path,
            u64::MAX,
            |_| true,
            |entry, octets| {
                contents.add(&entry, octets);
                seen(&entry);
                true
            },
        );
        match reading {
            Ok(reading) => {
                let length = fs::metadata(path).map_or(0, |metadata| metadata.len());
                self.counters.octets_cut += length.saturating_sub(reading.octets);
                self.counters.damaged += reading.damaged;
                contents.octets = reading.octets;
                Some(contents)
            }
            Err(error) => {
                tracing::warn!("summaries {}: {error}; the file is left out", path.display());
                self.counters.unreadable += 1;
                None
            }
        }
    }

    fn keep(&mut self, number: u64, path: PathBuf, contents: Contents) {
        let contents = Arc::new(contents);
        self.segments.push((number, Segment { path, contents }));
    }

    /// Writes entries so that they are there after a crash. When it fails none of them is.
    ///
    /// # Errors
    /// What the system said.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let written = self.try_append(entries);
        if written.is_err() {
            self.counters.write_errors += 1;
            // What was written of them is cut off before anything else is.
            self.open = None;
        }
        written
    }

    fn try_append(&mut self, entries: &[Entry]) -> io::Result<()> {
        if self.open.is_none() {
            self.begin()?;
        }
        let (Some(file), Some((_, segment))) = (&mut self.open, self.segments.last_mut()) else {
            return Err(io::Error::other("no segment is open"));
        };
        let mut contents = (*segment.contents).clone();
        let mut octets = Vec::new();
        for entry in entries {
            let before = octets.len();
            entry.write(&mut octets);
            contents.add(entry, (octets.len() - before) as u64);
        }
        file.write_all(&octets)?;
        file.sync_data()?;
        segment.contents = Arc::new(contents);
        if segment.contents.octets >= self.config.segment_octets {
            self.open = None;
            segment::note(&segment.path, &segment.contents)?;
        }
        Ok(())
    }

    /// Goes on in the last segment after an error, or begins a new one.
    fn begin(&mut self) -> io::Result<()> {
        if let Some((_, last)) = self.segments.last()
            && last.contents.octets < self.config.segment_octets
            && segment::noted(&last.path).is_none()
        {
            self.open = Some(segment::reopen(&last.path, last.contents.octets)?);
            return Ok(());
        }
        let number = self.next;
        let file = segment::create(&self.directory, number)?;
        self.next += 1;
        let contents = Contents {
            octets: fs::metadata(segment::path_of(&self.directory, number))?.len(),
            ..Contents::default()
        };
        self.keep(number, segment::path_of(&self.directory, number), contents);
        self.open = Some(file);
        Ok(())
    }

    /// What is there to be read.
    pub fn segments(&self) -> Vec<Segment> {
        self.segments.iter().map(|(_, segment)| segment.clone()).collect()
    }

    /// Octets of all segments.
    pub fn octets(&self) -> u64 {
        self.segments.iter().map(|(_, segment)| segment.contents.octets).sum()
    }

    /// Removes what is too old or too much; never the segment that is written to, unless it is too old as a whole.
    ///
    /// # Errors
    /// What the system said.
    pub fn retain(&mut self, now_ms: i64) -> io::Result<()> {
        let least_ms = (self.config.retention_s > 0).then(|| {
            let age_ms = i64::try_from(self.config.retention_s)
                .unwrap_or(i64::MAX)
                .saturating_mul(1_000);
            now_ms.saturating_sub(age_ms)
        });
        loop {
            let too_much = self.config.retention_octets > 0 && self.octets() > self.config.retention_octets;
            let Some((_, first)) = self.segments.first() else {
                return Ok(());
            };
            let is_old = first
                .contents
                .span_ms
                .zip(least_ms)
                .is_some_and(|((_, last), least)| last < least);
            let is_written_to = self.segments.len() == 1 && self.open.is_some();
            if !is_old && (!too_much || is_written_to) {
                return Ok(());
            }
            if is_written_to {
                self.open = None;
            }
            segment::remove(&first.path)?;
            self.counters.removed += first.contents.entries;
            self.counters.octets_removed += first.contents.octets;
            self.segments.remove(0);
        }
    }
}

fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(segment::number_of(&entry?.path()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
