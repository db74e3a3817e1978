//! Writes the journal: whole batches to the newest segment, and removes segments that nobody needs any more.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::segment::{self, SEGMENT_HEADER_OCTETS, SegmentFile, SegmentHeader};
use super::{Entry, JournalConfig, Kind};
use crate::io::queue::Batch;
use crate::limits::{JOURNAL_LISTENERS, JOURNAL_SEGMENT_NS};
use crate::rehearsal::{Phase, during};

/// What the journal has taken and holds.
#[derive(Debug, Default)]
pub struct JournalCounters {
    /// Datagrams and Messages written.
    pub entries: AtomicU64,
    /// Octets written, headers of entries included.
    pub octets: AtomicU64,
    /// Datagrams and Messages written, by listener.
    pub by_listener: Vec<AtomicU64>,
    /// Behind what is written: a crash of the program does not lose it.
    pub written: AtomicU64,
    /// Behind what is durable: a failure of power does not lose it.
    pub synced: AtomicU64,
    /// Before this nothing is needed any more.
    pub released: AtomicU64,
    /// Octets that all segments hold.
    pub held_octets: AtomicU64,
    /// Segments.
    pub segments: AtomicU64,
    /// Segments removed.
    pub removed: AtomicU64,
    /// It is full: nothing is taken until indexing has caught up.
    pub is_full: AtomicBool,
    /// Times that it became full.
    pub times_full: AtomicU64,
    /// Writes that failed and were tried again.
    pub write_errors: AtomicU64,
    /// Attempts to make what is written durable that failed.
    pub sync_errors: AtomicU64,
}

/// What was found when a journal was opened.
#[derive(Debug)]
pub struct Opened {
    /// Writes on.
    pub writer: JournalWriter,
    /// The first position that is held.
    pub oldest: u64,
    /// The listeners of earlier runs that the configuration does not have.
    pub gone_listeners: Vec<String>,
}

#[derive(Debug)]
struct Current {
    file: Arc<File>,
    start: u64,
    octets: u64,
    began_ns: i64,
}

/// Whether a write was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It was.
    Done,
    /// There is no room: nothing was written.
    Full,
}

/// Files with octets that are not durable yet, and the position behind them.
#[derive(Debug, Default)]
struct Unsynced {
    files: Vec<Arc<File>>,
    position: u64,
}

/// Writes a journal. One thread owns it.
#[derive(Debug)]
pub struct JournalWriter {
    config: JournalConfig,
    sync: u32,
    listeners: Vec<u8>,
    segments: VecDeque<SegmentFile>,
    current: Option<Current>,
    position: u64,
    counters: Arc<JournalCounters>,
    unsynced: Arc<Mutex<Unsynced>>,
}

impl JournalWriter {
    /// Opens the journal for a new run: its entries come behind what is there and behind `floor`, up to which the store may
    /// have committed what a failure of power took from the journal.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub fn open(config: JournalConfig, sync: u32, listeners: &[String], floor: u64, now_ns: i64) -> io::Result<Opened> {
        fs::create_dir_all(&config.directory)?;
        let segments = segment::list(&config.directory)?;
        let mut gone_listeners: Vec<String> = Vec::new();
        for segment in &segments {
            let mut front = vec![0; 1 << 17];
            let read = File::open(&segment.path).and_then(|mut file| io::Read::read(&mut file, &mut front))?;
            for name in segment::listeners_of(front.get(..read).unwrap_or_default()) {
                if !listeners.contains(&name)
                    && !gone_listeners.contains(&name)
                    && gone_listeners.len() < JOURNAL_LISTENERS
                {
                    gone_listeners.push(name);
                }
            }
        }
        let position = segments.last().map_or(floor, |last| last.end.max(floor));
        let counters = JournalCounters {
            by_listener: listeners.iter().map(|_| AtomicU64::new(0)).collect(),
            ..JournalCounters::default()
        };
        let mut writer = JournalWriter {
            config,
            sync,
            listeners: listeners.join("\n").into_bytes(),
            segments: segments.into(),
            current: None,
            position,
            counters: Arc::new(counters),
            unsynced: Arc::default(),
        };
        let oldest = writer.segments.front().map_or(position, |first| first.start);
        writer.roll(now_ns)?;
        let mut began = Vec::new();
        Entry::note(Kind::Began, now_ns, &[]).encode(sync, &mut began);
        writer.write(&[&began])?;
        Ok(Opened {
            writer,
            oldest,
            gone_listeners,
        })
    }

    /// What it has taken and holds.
    pub fn counters(&self) -> &Arc<JournalCounters> {
        &self.counters
    }

    /// Behind what is written.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Writes batches and gives each the position of its first octet.
    ///
    /// # Errors
    /// When they cannot be written; none of them counts then, and they can be tried again.
    pub fn append(&mut self, now_ns: i64, batches: &mut [Batch]) -> io::Result<Appended> {
        let octets: u64 = batches.iter().map(|batch| batch.bytes.len() as u64).sum();
        if !self.has_room(octets) {
            self.remove_released(SystemTime::now(), octets);
        }
        if !self.has_room(octets) && self.would_have_room_anew(octets) {
            self.roll(now_ns)?;
            self.remove_released(SystemTime::now(), octets);
        }
        let is_full = !self.has_room(octets);
        if is_full != self.counters.is_full.swap(is_full, Ordering::AcqRel) && is_full {
            self.counters.times_full.fetch_add(1, Ordering::Relaxed);
        }
        if is_full {
            return Ok(Appended::Full);
        }
        let is_over = |current: &Current| {
            current.octets >= self.config.segment_octets() || now_ns - current.began_ns >= JOURNAL_SEGMENT_NS
        };
        if self.current.as_ref().is_none_or(is_over) {
            self.roll(now_ns)?;
        }
        let mut position = self.position;
        for batch in batches.iter_mut() {
            batch.start = position;
            position += batch.bytes.len() as u64;
        }
        let parts: Vec<&[u8]> = batches.iter().map(|batch| batch.bytes.as_slice()).collect();
        self.write(&parts)?;
        for batch in batches.iter() {
            self.counters.entries.fetch_add(batch.received, Ordering::Relaxed);
            if let Some(count) = self.counters.by_listener.get(usize::from(batch.listener)) {
                count.fetch_add(batch.received, Ordering::Release);
            }
        }
        Ok(Appended::Done)
    }

    /// All or nothing.
    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let _noted = during(Phase::Journal);
        let Some(current) = &mut self.current else {
            return Err(io::Error::other("no segment is open"));
        };
        let octets: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let mut result = write_all(&current.file, parts);
        if result.is_ok() && self.config.sync.is_zero() {
            result = current.file.sync_data();
        }
        if let Err(error) = result {
            self.counters.write_errors.fetch_add(1, Ordering::Relaxed);
            // What was written of it would be read as damage. If it cannot be taken back, the segment ends with it.
            if current
                .file
                .set_len(SEGMENT_HEADER_OCTETS as u64 + current.octets)
                .is_err()
            {
                self.end_segment();
            }
            return Err(error);
        }
        current.octets += octets;
        self.position += octets;
        self.counters.octets.fetch_add(octets, Ordering::Relaxed);
        let file = Arc::clone(&current.file);
        if let Some(last) = self.segments.back_mut() {
            last.end = self.position;
            last.modified = SystemTime::now();
        }
        if self.config.sync.is_zero() {
            self.counters.synced.store(self.position, Ordering::Release);
        } else {
            let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
            unsynced.position = self.position;
            if !unsynced.files.last().is_some_and(|last| Arc::ptr_eq(last, &file)) {
                unsynced.files.push(file);
            }
        }
        self.counters.written.store(self.position, Ordering::Release);
        self.note_held();
        Ok(())
    }

    fn end_segment(&mut self) {
        if let Some(current) = self.current.take() {
            let octets = current.file.metadata().map_or(current.octets, |metadata| {
                metadata.len().saturating_sub(SEGMENT_HEADER_OCTETS as u64)
            });
            self.position = self.position.max(current.start + octets);
        }
    }

    /// Begins a new segment.
    fn roll(&mut self, now_ns: i64) -> io::Result<()> {
        self.end_segment();
        let path = self.config.directory.join(segment::name(self.position));
        let header = SegmentHeader {
            sync: self.sync,
            position: self.position,
        };
        // A segment without entries has the same name.
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.set_len(0)?;
        file.write_all(&header.encode())?;
        File::open(&self.config.directory).and_then(|directory| directory.sync_all())?;
        self.segments.retain(|segment| segment.path != path);
        self.segments.push_back(SegmentFile {
            start: self.position,
            end: self.position,
            path,
            modified: SystemTime::now(),
        });
        self.current = Some(Current {
            file: Arc::new(file),
            start: self.position,
            octets: 0,
            began_ns: now_ns,
        });
        let mut table = Vec::new();
        Entry::note(Kind::Listeners, now_ns, &self.listeners).encode(self.sync, &mut table);
        self.write(&[&table])
    }

    fn held_octets(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end - segment.start).sum()
    }

    fn has_room(&self, octets: u64) -> bool {
        self.held_octets() + octets <= self.config.size_octets
    }

    /// Nothing that is held is needed any more, and so many octets would fit without it: the newest segment is never removed,
    /// and without another one behind it, it would be in the way for ever.
    fn would_have_room_anew(&self, octets: u64) -> bool {
        let table = Entry::note(Kind::Listeners, 0, &self.listeners).octets() as u64;
        self.position <= self.counters.released.load(Ordering::Acquire) && table + octets <= self.config.size_octets
    }

    /// Octets that are best appended by one call: a fraction of what it may hold, so that they fit beside what is needed.
    pub fn octets_at_once(&self) -> usize {
        usize::try_from(self.config.segment_octets()).unwrap_or(usize::MAX)
    }

    fn note_held(&self) {
        self.counters.held_octets.store(self.held_octets(), Ordering::Relaxed);
        self.counters
            .segments
            .store(self.segments.len() as u64, Ordering::Relaxed);
    }

    /// Removes segments of which everything is indexed, and which need not be kept or have no room.
    pub fn remove_released(&mut self, now: SystemTime, wanted_octets: u64) {
        let released = self.counters.released.load(Ordering::Acquire);
        while self.segments.len() > 1
            && let Some(oldest) = self.segments.front()
            && oldest.end <= released
        {
            let age = now.duration_since(oldest.modified).unwrap_or_default();
            let has_room = self.held_octets() + wanted_octets <= self.config.size_octets;
            if age < self.config.keep && has_room {
                break;
            }
            if let Err(error) = fs::remove_file(&oldest.path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "a segment of the journal cannot be removed: {}", oldest.path.display());
                break;
            }
            self.segments.pop_front();
            self.counters.removed.fetch_add(1, Ordering::Relaxed);
        }
        self.note_held();
    }

    /// Makes the rest durable, and removes what is not needed, the newest segment as well.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn close(mut self) -> io::Result<()> {
        let result = self.syncer().sync();
        self.remove_released(SystemTime::now(), 0);
        let released = self.counters.released.load(Ordering::Acquire);
        if self.config.keep.is_zero()
            && let Some(last) = self.segments.front()
            && self.segments.len() == 1
            && last.end <= released
        {
            // The next run begins behind the position that the store has.
            fs::remove_file(&last.path)?;
        }
        result
    }

    /// Makes what is written durable, from another thread.
    pub fn syncer(&self) -> Syncer {
        Syncer {
            unsynced: Arc::clone(&self.unsynced),
            counters: Arc::clone(&self.counters),
        }
    }

    /// How often the [`Syncer`] is to be asked; zero is never.
    pub fn sync_interval(&self) -> Duration {
        self.config.sync
    }
}

/// Makes what is written durable, while the writer goes on.
#[derive(Debug)]
pub struct Syncer {
    unsynced: Arc<Mutex<Unsynced>>,
    counters: Arc<JournalCounters>,
}

impl Syncer {
    /// Makes everything durable that is written now.
    ///
    /// # Errors
    /// When the system says that it is not; it is tried again the next time.
    pub fn sync(&self) -> io::Result<()> {
        let taken = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.files.is_empty() {
            return Ok(());
        }
        for file in &taken.files {
            if let Err(error) = file.sync_data() {
                self.counters.sync_errors.fetch_add(1, Ordering::Relaxed);
                let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
                let later = std::mem::replace(&mut unsynced.files, taken.files);
                unsynced.files.extend(later);
                unsynced.position = unsynced.position.max(taken.position);
                return Err(error);
            }
        }
        self.counters.synced.fetch_max(taken.position, Ordering::AcqRel);
        Ok(())
    }
}

fn write_all(mut file: &File, parts: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
