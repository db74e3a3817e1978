//! Writes the spool: batches of Messages to the newest segment, and gives up the oldest one where there is no room.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::entry::{Entry, Label};
use super::mark::{ConfirmedFile, Handed, HandedFile};
use super::segment::{self, HEADER_OCTETS, Header, Segment, Survey};
use super::{GivenUp, Spool, SpoolConfig, State};
use crate::exporting::Volume;
use crate::io::retry::seed;

/// How old what is written may be before it is made durable: what a failure of power may cost.
const SYNC: Duration = Duration::from_secs(1);
/// Numbers left out between two runs: what was damaged at the end of one is not numbered again.
const RUN_GAP: u64 = 1 << 20;
/// The upper bits of a recordId tell spools apart, the lower ones count.
const COUNTING_BITS: u32 = 40;
/// Octets of the buffer that are kept.
const KEPT_OCTETS: usize = 4 << 20;

/// What was found when a spool was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Flow Records that wait for the collector.
    pub waiting: Volume,
    /// Flow Records that a violent end has lost in memory, before they reached the spool.
    pub lost_in_memory: u64,
    /// Flows of which it had not made a record yet, as many as there were when records were last handed over.
    pub lost_open: u64,
    /// Segments that cannot be read, whose Flow Records nobody can count.
    pub unreadable: u64,
}

/// Writes one destination's spool.
#[derive(Debug)]
pub struct Writer {
    spool: Arc<Spool>,
    config: SpoolConfig,
    directory: PathBuf,
    /// The newest segment, once there is one of this run.
    file: Option<File>,
    run: u32,
    next_record: u64,
    /// Entries that are not written yet, and what they add.
    buffer: Vec<u8>,
    buffered: Volume,
    handed: Option<HandedFile>,
    unsynced_since: Option<Instant>,
    /// Held as long as this exporter uses the spool.
    _lock: File,
}

impl Writer {
    /// Opens the spool of a destination, or makes it.
    ///
    /// # Errors
    /// One line for people.
    pub(super) fn open(config: &SpoolConfig, destination: &str) -> Result<(Self, Opened), String> {
        let directory = config.directory_of(destination);
        let failed = |what: &str, error: io::Error| {
            let where_to = directory.display();
            format!(
                "{destination}: {what} the spool in {where_to}: {error}; choose a directory that this user may write to, see --spool"
            )
        };
        fs::create_dir_all(&directory).map_err(|error| failed("cannot make", error))?;
        let lock = lock(&directory).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                format!(
                    "{destination}: another exporter uses the spool in {}; give each its own --spool",
                    directory.display()
                )
            }
            _ => failed("cannot lock", error),
        })?;
        Self::open_locked(config, directory.clone(), lock).map_err(|error| failed("cannot open", error))
    }

    fn open_locked(config: &SpoolConfig, directory: PathBuf, lock: File) -> io::Result<(Self, Opened)> {
        let confirmed = ConfirmedFile::open(&directory)?.read();
        let (mut handed, before) = HandedFile::open(&directory)?;
        let mut found = Found::default();
        for (start, path) in segment::list(&directory)? {
            match segment::survey(path.clone(), start, confirmed)? {
                Some(survey) => found.add(survey, confirmed),
                None => {
                    tracing::warn!(
                        "{}: not a segment of a spool, or damaged; it is set aside",
                        path.display()
                    );
                    let _ = fs::rename(&path, path.with_extension("damaged"));
                    found.opened.unreadable += 1;
                }
            }
        }
        // Where no record waits, nothing of these runs has to be told.
        let confirmed = match found.opened.waiting.flows {
            0 => found.segments.last().map_or(confirmed, |last| confirmed.max(last.end)),
            _ => confirmed,
        };
        found.opened.lost_in_memory = before.map_or(0, |before| found.missing_of(&before));
        found.opened.lost_open = before.map_or(0, |before| before.open);
        let run = found.run.max(before.map_or(0, |before| before.run)).wrapping_add(1);
        let next_record = match found.next_record.max(before.map_or(0, |before| before.first_record)) {
            0 => seed() << COUNTING_BITS,
            last => last + RUN_GAP,
        };
        handed.begin(run, next_record)?;
        let spool = Arc::new(Spool {
            directory: directory.clone(),
            state: Mutex::new(State {
                segments: found.segments.into(),
                confirmed,
                closed: false,
            }),
            written: Condvar::new(),
        });
        let writer = Self {
            spool,
            config: config.clone(),
            directory,
            file: None,
            run,
            next_record,
            buffer: Vec::new(),
            buffered: Volume::default(),
            handed: Some(handed),
            unsynced_since: None,
            _lock: lock,
        };
        Ok((writer, found.opened))
    }

    pub(super) fn spool(&self) -> Arc<Spool> {
        self.spool.clone()
    }

    /// Where it is noted what was handed over, once.
    pub(crate) fn take_handed(&mut self) -> Option<HandedFile> {
        self.handed.take()
    }

    /// The recordId of the first Flow Record of this run.
    pub fn first_record(&self) -> u64 {
        self.next_record
    }

    /// Whether a new segment has to begin, in which templates and options are told anew.
    pub fn wants_segment(&self) -> bool {
        self.file.is_none() || {
            let state = self.spool.lock();
            let newest = state.segments.back();
            newest.is_none_or(|segment| segment.octets() >= self.config.segment_octets())
        }
    }

    /// Begins a segment; its first Flow Record has this recordId.
    ///
    /// # Errors
    /// The system's; nothing has changed then.
    pub fn begin_segment(&mut self, now_ns: i64, first_record: u64) -> io::Result<()> {
        let header = Header {
            sync: seed() as u32 | 1,
            run: self.run,
            first_record,
        };
        // A segment that begins where the last has ended, which may be empty.
        let start = self.spool.lock().end();
        let path = segment::path(&self.directory, start);
        let mut file = segment::options().truncate(true).open(&path)?;
        if let Err(error) = file.write_all(&header.encode()) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.sync();
        self.file = Some(file);
        let mut state = self.spool.lock();
        // One that is empty has lent its name to the new one.
        if state.segments.back().is_some_and(|last| last.start == start) {
            state.segments.pop_back();
        }
        state.segments.push_back(Segment {
            path,
            start,
            end: start,
            header,
            written_ns: now_ns,
            waiting: Volume::default(),
        });
        Ok(())
    }

    /// Takes up a Message, to be written with [`Self::write`].
    pub fn add(&mut self, label: Label, bytes: &[u8]) {
        let state = self.spool.lock();
        let Some(sync) = state.segments.back().map(|segment| segment.header.sync) else {
            return;
        };
        drop(state);
        self.buffered.add(&label.volume);
        Entry { label, bytes }.encode(sync, &mut self.buffer);
    }

    /// Writes what was added. When that fails, nothing of it is written, and it can be tried again.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self, now_ns: i64) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| !self.buffer.is_empty()) else {
            return Ok(());
        };
        // At its place, so that a try after half a write does not stand behind that half.
        let place = self.spool.lock().segments.back().map_or(0, Segment::octets);
        file.write_all_at(&self.buffer, place)?;
        let mut state = self.spool.lock();
        if let Some(newest) = state.segments.back_mut() {
            newest.end += self.buffer.len() as u64;
            newest.written_ns = now_ns;
            newest.waiting.add(&self.buffered);
        }
        drop(state);
        self.spool.written.notify_all();
        self.buffer.clear();
        self.buffer.shrink_to(KEPT_OCTETS);
        self.buffered = Volume::default();
        self.unsynced_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Makes what is written durable, when it is time.
    pub fn handle_timeout(&mut self) {
        if self.unsynced_since.is_some_and(|since| since.elapsed() >= SYNC) {
            self.sync();
        }
    }

    fn sync(&mut self) {
        self.unsynced_since = None;
        if let Some(Err(error)) = self.file.as_ref().map(File::sync_data) {
            tracing::warn!(
                "{}: {error}; a failure of power may cost records",
                self.directory.display()
            );
        }
    }

    /// Gives up the oldest segments until the rest is small and young enough. The newest one stays.
    pub fn give_up_oldest(&mut self, now_ns: i64) -> GivenUp {
        let mut given_up = GivenUp::default();
        let oldest_ns = now_ns.saturating_sub(i64::try_from(self.config.age.as_nanos()).unwrap_or(i64::MAX));
        let mut state = self.spool.lock();
        while state.segments.len() > 1
            && let Some(first) = state.segments.front()
        {
            let is_too_much = state.segments.iter().map(Segment::octets).sum::<u64>() > self.config.size;
            let sum = match (is_too_much, first.written_ns < oldest_ns) {
                (true, _) => &mut given_up.for_size,
                (false, true) => &mut given_up.for_age,
                (false, false) => break,
            };
            sum.add(&first.waiting);
            first.remove();
            state.confirmed = state.confirmed.max(first.end);
            state.segments.pop_front();
        }
        given_up
    }

    /// Makes all of it durable, and ends.
    pub fn close(&mut self) {
        self.sync();
        self.spool.close();
    }
}

impl Drop for Writer {
    /// Whoever reads must not wait for ever.
    fn drop(&mut self) {
        self.spool.close();
    }
}

/// Whoever has the lock has the spool; the system takes it back from a program that has ended in whatever way.
fn lock(directory: &Path) -> io::Result<File> {
    let file = segment::options().open(directory.join("lock"))?;
    file.try_lock()?;
    Ok(file)
}

/// The segments of earlier runs.
#[derive(Debug, Default)]
struct Found {
    segments: Vec<Segment>,
    opened: Opened,
    run: u32,
    next_record: u64,
}

impl Found {
    fn add(&mut self, survey: Survey, confirmed: u64) {
        // What is missing between two segments of one run was damaged at the end of the first.
        if let Some(last) = self.segments.last_mut()
            && last.header.run == survey.segment.header.run
            && last.end > confirmed
        {
            let missing = survey.segment.header.first_record.saturating_sub(self.next_record);
            last.waiting.flows += missing;
            self.opened.waiting.flows += missing;
        }
        self.opened.waiting.add(&survey.segment.waiting);
        self.run = survey.segment.header.run;
        self.next_record = survey.next_record;
        self.segments.push(survey.segment);
    }

    /// What was handed over in the last run, did not go to the spool, and was not given up either.
    fn missing_of(&self, before: &Handed) -> u64 {
        let written = match self.run == before.run {
            true => self.next_record.saturating_sub(before.first_record),
            false => 0,
        };
        before.flows.saturating_sub(before.given_up).saturating_sub(written)
    }
}

const _: () = assert!(HEADER_OCTETS as usize + super::entry::MAX_MESSAGE_OCTETS < KEPT_OCTETS);
