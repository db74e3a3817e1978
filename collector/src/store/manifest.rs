//! The list of partitions and segments, swapped as a whole, so that a crash leaves either the old or the new one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::rehearsal::{Phase, during};
use crate::rollups::RollupsMeta;

/// Name of the file in the data directory.
pub const MANIFEST: &str = "manifest.json";
/// Directory of the partitions in the data directory.
pub const PARTITIONS: &str = "partitions";
/// Directory of the rollups in the data directory.
pub const ROLLUPS: &str = "rollups";
/// The only format so far.
const FORMAT: u32 = 1;

/// Everything the store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file and of the segments' layout.
    pub format: u32,
    /// Number the next row gets; rows are numbered in order of arrival and never again.
    pub next_row: u64,
    /// Name the next partition or segment gets.
    pub next_id: u64,
    /// The position in the journal up to which every row is held; nothing where there is no journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<u64>,
    /// Tables of minutes, hours and days, each of rows that are or were here.
    #[serde(default, skip_serializing_if = "RollupsMeta::is_empty")]
    pub rollups: RollupsMeta,
    /// Partitions in order of arrival.
    pub partitions: Vec<PartitionMeta>,
}

/// One partition: what arrived in one span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionMeta {
    /// Its number, unique in the store.
    pub id: u64,
    /// Start of the span of arrival, nanoseconds.
    pub from_ns: i64,
    /// End of the span of arrival, nanoseconds.
    pub to_ns: i64,
    /// Nothing is added any more.
    pub sealed: bool,
    /// Of rows that tell of times that nobody can believe: they would spoil what others say of theirs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub odd: bool,
    /// Segments in order of their rows.
    pub segments: Vec<SegmentMeta>,
}

impl PartitionMeta {
    /// Name of its directory.
    pub fn directory(&self) -> String {
        format!("{:012}", self.id)
    }

    /// Rows of all segments.
    pub fn rows(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows).sum()
    }

    /// Octets of all segments.
    pub fn octets(&self) -> u64 {
        self.segments.iter().map(|segment| segment.octets).sum()
    }
}

/// One segment: a tantivy index of one segment in its own directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentMeta {
    /// Its number, unique in the store.
    pub id: u64,
    /// Rows.
    pub rows: u64,
    /// Octets on disk.
    pub octets: u64,
    /// Which schema it was written with: only segments of the same one can be merged.
    pub schema: u64,
    /// Where runs of consecutive row numbers start.
    pub runs: Vec<RowRun>,
    /// Earliest and latest flow start, nanoseconds.
    pub start_ns: (i64, i64),
    /// Earliest and latest flow end, nanoseconds.
    pub end_ns: (i64, i64),
    /// Names of the elements no column takes, sorted.
    pub other: Vec<String>,
    /// A checksum of the ends of its files; segments of before there was one have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<u32>,
}

/// From document `doc` on, documents have consecutive row numbers from `row` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowRun {
    /// First document.
    pub doc: u32,
    /// Its row number.
    pub row: u64,
}

impl SegmentMeta {
    /// Name of its directory within the partition's.
    pub fn directory(&self) -> String {
        format!("{:012}", self.id)
    }

    /// The number of a document's row.
    pub fn row_of(&self, doc: u32) -> u64 {
        let at = self.runs.partition_point(|run| run.doc <= doc);
        match at.checked_sub(1).and_then(|at| self.runs.get(at)) {
            Some(run) => run.row + u64::from(doc - run.doc),
            None => u64::from(doc),
        }
    }

    /// The document of a row's number.
    pub fn doc_of(&self, row: u64) -> Option<u32> {
        let at = self.runs.partition_point(|run| run.row <= row).checked_sub(1)?;
        let run = self.runs.get(at)?;
        let end = self.runs.get(at + 1).map_or(self.rows, |next| u64::from(next.doc));
        let doc = u64::from(run.doc).checked_add(row - run.row)?;
        if doc < end { u32::try_from(doc).ok() } else { None }
    }

    /// The first row's number.
    pub fn first_row(&self) -> u64 {
        self.runs.first().map_or(0, |run| run.row)
    }
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            format: FORMAT,
            next_row: 0,
            next_id: 1,
            journal: None,
            rollups: RollupsMeta::default(),
            partitions: Vec::new(),
        }
    }
}

impl Manifest {
    /// Reads the manifest of a data directory; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn load(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = dir.join(MANIFEST);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io(&path)(error)),
        };
        let damaged = |detail: String| StoreError::Damaged {
            path: path.clone(),
            detail,
        };
        let manifest: Self = serde_json::from_slice(&text).map_err(|error| {
            damaged(format!(
                "not a manifest ({error}); restore it or move the directory away"
            ))
        })?;
        if manifest.format != FORMAT {
            return Err(damaged(format!(
                "format {} is not known; use the version that wrote it",
                manifest.format
            )));
        }
        if let Some(fault) = manifest.rollups.fault() {
            // Flows are whole all the same.
            tracing::error!("rollups of {}: {fault}; run `rollups rebuild`", dir.display());
        }
        Ok(Some(manifest))
    }

    /// Puts this manifest in place of the old one, durably.
    ///
    /// # Errors
    /// When it cannot be written; the old one then stays.
    pub fn save(&self, dir: &Path) -> Result<(), StoreError> {
        let _noted = during(Phase::Manifest);
        let path = dir.join(MANIFEST);
        let fresh = dir.join(format!("{MANIFEST}.new"));
        let text = serde_json::to_vec(self).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            detail: error.to_string(),
        })?;
        let write = || {
            let mut file = File::create(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(StoreError::io(&path))?;
        // From here on the new one is in place: calling it a failure would have its segments removed under it.
        if let Err(error) = File::open(dir).and_then(|opened| opened.sync_all()) {
            tracing::error!(%error, "the new name of {} may not outlive a power failure; look at the disk", path.display());
        }
        Ok(())
    }

    /// The directory of a segment.
    pub fn segment_path(dir: &Path, partition: &PartitionMeta, segment: &SegmentMeta) -> PathBuf {
        dir.join(PARTITIONS)
            .join(partition.directory())
            .join(segment.directory())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> SegmentMeta {
        SegmentMeta {
            id: 1,
            rows: 30,
            octets: 0,
            schema: 0,
            runs: vec![RowRun { doc: 0, row: 100 }, RowRun { doc: 10, row: 200 }],
            start_ns: (0, 0),
            end_ns: (0, 0),
            other: Vec::new(),
            ends: None,
        }
    }

    #[test]
    fn rows_and_documents_name_each_other() {
        let segment = segment();
        for doc in 0..30 {
            assert_eq!(segment.doc_of(segment.row_of(doc)), Some(doc));
        }
        assert_eq!(segment.row_of(9), 109);
        assert_eq!(segment.row_of(10), 200);
        for absent in [0, 99, 110, 199, 220, u64::MAX] {
            assert_eq!(segment.doc_of(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_manifest_survives_and_nonsense_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::load(dir.path()).unwrap(), None);
        let manifest = Manifest {
            partitions: vec![PartitionMeta {
                id: 3,
                from_ns: 0,
                to_ns: 1,
                sealed: true,
                odd: false,
                segments: vec![segment()],
            }],
            ..Manifest::default()
        };
        manifest.save(dir.path()).unwrap();
        assert_eq!(Manifest::load(dir.path()).unwrap(), Some(manifest));
        fs::write(dir.path().join(MANIFEST), "{}").unwrap();
        let error = Manifest::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("not a manifest"), "{error}");
    }
}
