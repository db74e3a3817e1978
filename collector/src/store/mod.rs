//! Keeps rows in time partitions of tantivy segments, so that they can be found at once and dropped cheaply.
//!
//! One [`StoreWriter`] adds rows; any number of [`Snapshot`]s read, and neither waits for the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::normalize::row::Row;

/// How the store behaves.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Arrival time one partition covers.
    pub partition_s: u64,
    /// Octets after which a partition is sealed before its time is over.
    pub partition_octets: u64,
    /// Rows become searchable at the latest after this time.
    pub commit_ms: u64,
    /// Rows that are committed before their time is over.
    pub commit_rows: u64,
    /// Memory the rows of one segment may take before they are committed.
    pub memory_octets: usize,
    /// Partitions that ended this long ago are removed; 0 keeps them.
    pub retention_s: u64,
    /// The oldest partitions are removed when all take more than this; 0 keeps them.
    pub retention_octets: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            partition_s: 3_600,
            partition_octets: 4 << 30,
            commit_ms: 1_000,
            commit_rows: 250_000,
            memory_octets: 256 << 20,
            retention_s: 0,
            retention_octets: 0,
        }
    }
}

/// Why the store could not do what was asked: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes into this directory.
    #[error("{}: another collector (process {process}) writes here; stop it or choose another --data directory", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The process that holds the lock, 0 if it could not be read.
        process: u32,
    },
    /// The directory holds no store.
    #[error("{}: no store here; give the --data directory of a collector", path.display())]
    Absent {
        /// The data directory.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}; check the disk's space and the directory's permissions", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the store is not what it should be.
    #[error("{}: {detail}", path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong and what to do.
        detail: String,
    },
    /// The store was opened for reading only.
    #[error("{}: opened for reading only", path.display())]
    ReadOnly {
        /// The data directory.
        path: PathBuf,
    },
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
    /// Segments written.
    pub commits: u64,
    /// Segments that could not be written.
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
}

/// A store on disk.
#[derive(Debug)]
pub struct Store {}

impl Store {
    /// Opens a store for writing and reading, creating it when there is none.
    ///
    /// # Errors
    /// When another process writes there, or a file cannot be read or written.
    pub fn open(dir: &Path, _config: StoreConfig) -> Result<Arc<Self>, StoreError> {
        Err(StoreError::Absent { path: dir.to_owned() })
    }

    /// Opens a store for reading only, whether or not a collector writes into it.
    ///
    /// # Errors
    /// When there is no store or it cannot be read.
    pub fn open_read_only(dir: &Path) -> Result<Arc<Self>, StoreError> {
        Err(StoreError::Absent { path: dir.to_owned() })
    }

    /// The one writer.
    ///
    /// # Errors
    /// When the store was opened for reading only or the writer was taken before.
    pub fn writer(self: &Arc<Self>) -> Result<StoreWriter, StoreError> {
        Ok(StoreWriter {})
    }

    /// What can be found now. Cheap; holds its segments until it is dropped.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(Snapshot {})
    }

    /// What has been done.
    pub fn counters(&self) -> StoreCounters {
        StoreCounters::default()
    }

    /// What there is.
    pub fn status(&self) -> StoreStatus {
        StoreStatus::default()
    }
}

/// Adds rows. Not shared: one thread owns it. Dropping it without [`StoreWriter::close`] loses what was not committed.
#[derive(Debug)]
pub struct StoreWriter {}

impl StoreWriter {
    /// Adds a row; commits when enough have gathered. `now_ns` is the arrival time.
    ///
    /// # Errors
    /// When a segment could not be written; its rows are then lost and counted, later rows can be added.
    pub fn add(&mut self, _now_ns: i64, _row: Row) -> Result<(), StoreError> {
        Ok(())
    }

    /// Commits when it is time to, merges small segments, applies retention.
    ///
    /// # Errors
    /// As for [`StoreWriter::add`].
    pub fn handle_timeout(&mut self, _now_ns: i64) -> Result<(), StoreError> {
        Ok(())
    }

    /// When [`StoreWriter::handle_timeout`] should be called next.
    pub fn poll_timeout(&self) -> Option<i64> {
        None
    }

    /// Makes everything added so far durable and searchable before it returns.
    ///
    /// # Errors
    /// As for [`StoreWriter::add`].
    pub fn commit(&mut self, _now_ns: i64) -> Result<(), StoreError> {
        Ok(())
    }

    /// Commits and ends the writer.
    ///
    /// # Errors
    /// As for [`StoreWriter::add`].
    pub fn close(mut self, now_ns: i64) -> Result<(), StoreError> {
        self.commit(now_ns)
    }
}

/// What could be found at one moment.
#[derive(Debug)]
pub struct Snapshot {}
