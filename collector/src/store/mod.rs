//! Keeps rows in time partitions of tantivy segments, so that they can be found at once and dropped cheaply.
//!
//! One [`StoreWriter`] adds rows; any number of [`Snapshot`]s read, and neither waits for the other.

mod building;
mod ends;
mod error;
mod filling;
pub mod manifest;
mod merge;
mod rebuilding;
mod rolling;
pub mod schema;
pub mod segment;
mod snapshot;
mod state;
mod writer;
mod writing;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::rollups::{RollupsConfig, Tier};
pub use error::StoreError;
pub use rebuilding::Rebuilt;
pub use snapshot::Snapshot;
use state::Shared;
pub use writer::StoreWriter;

/// How the store behaves.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Arrival time one partition covers.
    pub partition_s: u64,
    /// Octets after which a partition is sealed before its time is over.
    pub partition_octets: u64,
    /// Rows become searchable after this time; where many come at once, at the latest after four times of it.
    pub commit_ms: u64,
    /// Rows that are committed before their time is over.
    pub commit_rows: u64,
    /// Memory the rows of one segment may take before they are committed.
    pub memory_octets: usize,
    /// Partitions that ended this long ago are removed; 0 keeps them.
    pub retention_s: u64,
    /// The oldest partitions are removed when all take more than this; 0 keeps them.
    pub retention_octets: u64,
    /// Tables of minutes, hours and days.
    pub rollups: RollupsConfig,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            partition_s: 3_600,
            partition_octets: 4 << 30,
            commit_ms: 1_000,
            commit_rows: 500_000,
            memory_octets: 256 << 20,
            retention_s: 0,
            retention_octets: 0,
            rollups: RollupsConfig::default(),
        }
    }
}

/// What the store has done since it was opened, for `/metrics` and the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounters {
    /// Rows given to the writer.
    pub rows_added: u64,
    /// Rows that are durable and searchable.
    pub rows_committed: u64,
    /// Rows lost because a segment could not be written.
    pub rows_lost: u64,
    /// Rows that could not be written at the end and that the journal still has, for the next start.
    pub rows_left: u64,
    /// Rows whose times nobody can believe, in partitions of their own.
    pub rows_odd: u64,
    /// How often the clock went on by more than a day at once, and retention by age waited for that.
    pub clock_jumps: u64,
    /// Segments written.
    pub commits: u64,
    /// Tries to write a segment that failed.
    pub commit_errors: u64,
    /// Merges done.
    pub merges: u64,
    /// Merges that failed; their segments stay as they are.
    pub merge_errors: u64,
    /// Partitions removed by retention.
    pub partitions_removed: u64,
    /// Rows removed by retention.
    pub rows_removed: u64,
    /// Octets removed by retention.
    pub octets_removed: u64,
    /// Segments that could not be opened and were left out.
    pub segments_damaged: u64,
    /// Values of other elements dropped because a segment had too many names of them.
    pub other_names_dropped: u64,
    /// Files of rollups written beside segments.
    pub rollups_written: u64,
    /// Rows that went into them.
    pub rollup_rows: u64,
    /// Of them, rows whose time cannot be believed.
    pub rollup_rows_without_time: u64,
    /// Rows that are in no rollup, because it could not be written; `rollups rebuild` makes them.
    pub rollup_rows_missed: u64,
    /// Files of rollups made of others.
    pub rollup_merges: u64,
    /// Such merges that failed; their files stay as they are.
    pub rollup_merge_errors: u64,
    /// Files of rollups removed by retention.
    pub rollups_removed: u64,
    /// Parts of rollups that could not be read and were left out.
    pub rollups_damaged: u64,
}

/// What the store holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    /// Rows that can be found.
    pub rows: u64,
    /// Octets on disk.
    pub octets: u64,
    /// Partitions.
    pub partitions: u64,
    /// Segments of all partitions.
    pub segments: u64,
    /// The earliest flow start, nanoseconds.
    pub oldest_ns: Option<i64>,
    /// The latest flow end, nanoseconds.
    pub newest_ns: Option<i64>,
    /// When rows were last committed, nanoseconds of the caller's clock.
    pub committed_ns: Option<i64>,
    /// Files of rollups by tier: minute, hour, day.
    pub rollup_files: [u64; 3],
    /// Octets of them.
    pub rollup_octets: [u64; 3],
}

/// A store on disk.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    /// Opens a store for writing and reading, creating it when there is none.
    ///
    /// # Errors
    /// When another process writes there, or a file cannot be read or written.
    pub fn open(dir: &Path, config: StoreConfig) -> Result<Arc<Self>, StoreError> {
        fs::create_dir_all(dir).map_err(StoreError::io(dir))?;
        let lock = lock(dir)?;
        let shared = Arc::new(Shared::open(dir, config, Some(lock))?);
        Ok(Arc::new(Self { shared }))
    }

    /// Opens a store for reading only, whether or not a collector writes into it: what is there now.
    ///
    /// # Errors
    /// When there is no store or it cannot be read.
    pub fn open_read_only(dir: &Path) -> Result<Arc<Self>, StoreError> {
        let mut tries = 0;
        loop {
            let shared = Shared::open(dir, StoreConfig::default(), None)?;
            // The writer may have merged segments away since the manifest was read: then read it again.
            let whole = shared
                .snapshot()
                .segments()
                .iter()
                .all(|segment| segment.open().is_some())
                && shared.snapshot().rollups().iter().all(|file| file.is_sound());
            tries += 1;
            if whole || tries == READ_ONLY_TRIES {
                return Ok(Arc::new(Self {
                    shared: Arc::new(shared),
                }));
            }
        }
    }

    /// The one writer.
    ///
    /// # Errors
    /// When the store was opened for reading only or the writer was taken before.
    pub fn writer(&self) -> Result<StoreWriter, StoreError> {
        let path = || self.shared.dir.clone();
        if self.shared.read_only {
            return Err(StoreError::ReadOnly { path: path() });
        }
        if self.shared.writer_taken.swap(true, Ordering::AcqRel) {
            return Err(StoreError::WriterTaken { path: path() });
        }
        StoreWriter::new(Arc::clone(&self.shared))
    }

    /// What can be found now. Cheap; its segments stay readable until it is dropped.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// What has been done.
    pub fn counters(&self) -> StoreCounters {
        self.shared.counters()
    }

    /// What cannot be written is tried again until it can; what is added meanwhile waits.
    pub fn wait_for_disk(&self) {
        self.shared.is_patient.store(true, Ordering::Release);
    }

    /// It is not tried for long any more: the end has come.
    pub fn stop_waiting(&self) {
        self.shared.is_patient.store(false, Ordering::Release);
    }

    /// Why rows wait to be written, if they do.
    pub fn blocked(&self) -> Option<String> {
        self.shared.blocked()
    }

    /// The position in the journal up to which every row is held; nothing where there never was a journal.
    pub fn journal_position(&self) -> Option<u64> {
        self.shared.lock().manifest.journal
    }

    /// What there is.
    pub fn status(&self) -> StoreStatus {
        let snapshot = self.snapshot();
        let span = snapshot.span_ns();
        let committed_ns = self.shared.committed_ns.load(Ordering::Relaxed);
        StoreStatus {
            rows: snapshot.rows(),
            octets: snapshot.octets(),
            partitions: snapshot.partitions(),
            segments: snapshot.segments().len() as u64,
            oldest_ns: span.map(|(first, _)| first),
            newest_ns: span.map(|(_, last)| last),
            committed_ns: (committed_ns != i64::MIN).then_some(committed_ns),
            rollup_files: Tier::ALL.map(|tier| snapshot.rollups_of(tier).count() as u64),
            rollup_octets: Tier::ALL.map(|tier| snapshot.rollups_of(tier).map(|file| file.meta().octets).sum()),
        }
    }
}

/// How often a reader looks again when the writer changes the store under it.
const READ_ONLY_TRIES: u32 = 5;

/// Holds the directory for this process until the file is closed, however that happens.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let options = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
    };
    let mut file = options().map_err(StoreError::io(&path))?;
    match file.try_lock() {
        Ok(()) => {
            let note = |file: &mut File| {
                file.set_len(0)?;
                file.write_all(std::process::id().to_string().as_bytes())
            };
            note(&mut file).map_err(StoreError::io(&path))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The number only helps the reader of the error.
            let _ = file.read_to_string(&mut text);
            Err(StoreError::Locked {
                path: dir.to_owned(),
                process: text.trim().parse().unwrap_or(0),
            })
        }
        Err(TryLockError::Error(error)) => Err(StoreError::io(&path)(error)),
    }
}

#[cfg(test)]
mod clock_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod tests;
