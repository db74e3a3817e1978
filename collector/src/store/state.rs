//! What the threads of the store share: the manifest, the open segments, the current snapshot, the counters.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::manifest::{Manifest, PARTITIONS, PartitionMeta, ROLLUPS, SegmentMeta};
use super::segment::Segment;
use super::snapshot::Snapshot;
use super::{StoreConfig, StoreCounters, StoreError};
use crate::io::disk::{Room, room};
use crate::limits;
use crate::rehearsal::{Phase, during};
use crate::rollups::RollupFile;

/// Counters as the threads move them.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub rows_added: AtomicU64,
    pub rows_committed: AtomicU64,
    pub rows_lost: AtomicU64,
    pub rows_left: AtomicU64,
    pub rows_odd: AtomicU64,
    pub clock_jumps: AtomicU64,
    pub commits: AtomicU64,
    pub commit_errors: AtomicU64,
    pub merges: AtomicU64,
    pub merge_errors: AtomicU64,
    pub partitions_removed: AtomicU64,
    pub rows_removed: AtomicU64,
    pub octets_removed: AtomicU64,
    pub other_dropped: AtomicU64,
    pub rollups_written: AtomicU64,
    pub rollup_rows: AtomicU64,
    pub rollup_rows_without_time: AtomicU64,
    pub rollup_rows_missed: AtomicU64,
    pub rollup_merges: AtomicU64,
    pub rollup_merge_errors: AtomicU64,
    pub rollups_removed: AtomicU64,
}

/// Adds to a counter.
pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// The manifest and the segments it names.
#[derive(Debug)]
pub(super) struct State {
    pub manifest: Manifest,
    pub segments: HashMap<u64, Arc<Segment>>,
    pub rollups: HashMap<u64, Arc<RollupFile>>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub dir: PathBuf,
    pub config: StoreConfig,
    pub read_only: bool,
    pub counters: Counters,
    pub damaged: Arc<AtomicU64>,
    pub rollups_damaged: Arc<AtomicU64>,
    pub writer_taken: AtomicBool,
    /// What cannot be written is tried again instead of given up.
    pub is_patient: AtomicBool,
    /// Why what is to be written waits, while it does.
    blocked: Mutex<Option<String>>,
    pub committed_ns: AtomicI64,
    pub next_id: AtomicU64,
    /// The clock, as the writer was told last.
    pub now_ns: AtomicI64,
    /// The time at which retention is to look, `i64::MIN` for not at all.
    pub retain_ns: AtomicI64,
    state: Mutex<State>,
    snapshot: RwLock<Arc<Snapshot>>,
    error: Mutex<Option<StoreError>>,
    // Released when the last user of the store is gone.
    _lock: Option<File>,
}

/// A poisoned lock guards plain data that is replaced as a whole: it can be used on.
fn guard<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn open(dir: &Path, config: StoreConfig, lock: Option<File>) -> Result<Self, StoreError> {
        let read_only = lock.is_none();
        let manifest = match Manifest::load(dir)? {
            Some(manifest) => manifest,
            None if read_only => return Err(StoreError::Absent { path: dir.to_owned() }),
            None => Manifest::default(),
        };
        let next_id = AtomicU64::new(manifest.next_id);
        let shared = Self {
            dir: dir.to_owned(),
            config,
            read_only,
            counters: Counters::default(),
            damaged: Arc::default(),
            rollups_damaged: Arc::default(),
            writer_taken: AtomicBool::new(false),
            is_patient: AtomicBool::new(false),
            blocked: Mutex::new(None),
            committed_ns: AtomicI64::new(i64::MIN),
            next_id,
            now_ns: AtomicI64::new(i64::MIN),
            retain_ns: AtomicI64::new(i64::MIN),
            state: Mutex::new(State {
                manifest,
                segments: HashMap::new(),
                rollups: HashMap::new(),
            }),
            snapshot: RwLock::default(),
            error: Mutex::new(None),
            _lock: lock,
        };
        if !read_only {
            shared.remove_leftovers()?;
        }
        let mut state = shared.lock();
        shared.publish(&mut state);
        drop(state);
        Ok(shared)
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        guard(&self.state)
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn take_error(&self) -> Option<StoreError> {
        guard(&self.error).take()
    }

    pub fn fail(&self, error: StoreError) {
        tracing::error!(%error, "store");
        *guard(&self.error) = Some(error);
    }

    /// Rows wait to be written; whether they did not before.
    pub fn block(&self, why: &StoreError) -> bool {
        guard(&self.blocked).replace(why.to_string()).is_none()
    }

    /// They do no longer.
    pub fn unblock(&self) {
        if guard(&self.blocked).take().is_some() {
            tracing::info!("{}: records are written again", self.dir.display());
        }
    }

    /// Why rows wait to be written, if they do.
    pub fn blocked(&self) -> Option<String> {
        guard(&self.blocked).clone()
    }

    /// Whether the disk has no room for what can be done later.
    pub fn is_disk_low(&self) -> bool {
        // A file system that does not say is found out by writing.
        room(&self.dir).is_ok_and(Room::is_low)
    }

    pub fn fresh_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub fn segment_path(&self, partition: u64, segment: u64) -> PathBuf {
        self.dir
            .join(PARTITIONS)
            .join(format!("{partition:012}"))
            .join(format!("{segment:012}"))
    }

    /// Writes the manifest and shows it to readers; puts the old one back when it cannot be written.
    pub fn change(&self, change: impl FnOnce(&mut Manifest)) -> Result<(), StoreError> {
        let mut state = self.lock();
        let mut manifest = state.manifest.clone();
        change(&mut manifest);
        manifest.next_id = self.next_id.load(Ordering::Relaxed);
        manifest.save(&self.dir)?;
        state.manifest = manifest;
        self.publish(&mut state);
        Ok(())
    }

    fn publish(&self, state: &mut State) {
        let mut known = std::mem::take(&mut state.segments);
        let mut segments = Vec::new();
        for partition in &state.manifest.partitions {
            for meta in &partition.segments {
                let segment = known.remove(&meta.id).unwrap_or_else(|| {
                    let path = self.segment_path(partition.id, meta.id);
                    Arc::new(Segment::new(
                        meta.clone(),
                        partition.id,
                        path,
                        Arc::clone(&self.damaged),
                    ))
                });
                state.segments.insert(meta.id, Arc::clone(&segment));
                segments.push(segment);
            }
        }
        let mut known_rollups = std::mem::take(&mut state.rollups);
        let folder = self.dir.join(ROLLUPS);
        let mut rollups = Vec::with_capacity(state.manifest.rollups.files.len());
        for meta in &state.manifest.rollups.files {
            let fresh = || {
                Arc::new(RollupFile::new(
                    meta.clone(),
                    &folder,
                    Arc::clone(&self.rollups_damaged),
                ))
            };
            let file = known_rollups.remove(&meta.id).unwrap_or_else(fresh);
            state.rollups.insert(meta.id, Arc::clone(&file));
            rollups.push(file);
        }
        let snapshot = Arc::new(Snapshot::new(&state.manifest, segments, rollups));
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        for gone in known.values() {
            gone.doom();
        }
        for gone in known_rollups.values() {
            gone.doom();
        }
    }

    /// Removes what a crash left behind: directories the manifest does not name.
    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let root = self.dir.join(PARTITIONS);
        fs::create_dir_all(&root).map_err(StoreError::io(&root))?;
        let state = self.lock();
        let rollups = self.dir.join(ROLLUPS);
        fs::create_dir_all(&rollups).map_err(StoreError::io(&rollups))?;
        for entry in fs::read_dir(&rollups).map_err(StoreError::io(&rollups))? {
            let entry = entry.map_err(StoreError::io(&rollups))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_named = state.manifest.rollups.files.iter().any(|file| file.file_name() == name);
            if !is_named && name.ends_with(".fgr") {
                fs::remove_file(entry.path()).map_err(StoreError::io(&entry.path()))?;
            }
        }
        for (name, path) in directories(&root)? {
            let Some(partition) = state
                .manifest
                .partitions
                .iter()
                .find(|partition| partition.directory() == name)
            else {
                fs::remove_dir_all(&path).map_err(StoreError::io(&path))?;
                continue;
            };
            for (name, path) in directories(&path)? {
                if !partition.segments.iter().any(|segment| segment.directory() == name) {
                    fs::remove_dir_all(&path).map_err(StoreError::io(&path))?;
                }
            }
        }
        Ok(())
    }

    pub fn counters(&self) -> StoreCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        StoreCounters {
            rows_added: read(&counters.rows_added),
            rows_committed: read(&counters.rows_committed),
            rows_lost: read(&counters.rows_lost),
            rows_left: read(&counters.rows_left),
            rows_odd: read(&counters.rows_odd),
            clock_jumps: read(&counters.clock_jumps),
            commits: read(&counters.commits),
            commit_errors: read(&counters.commit_errors),
            merges: read(&counters.merges),
            merge_errors: read(&counters.merge_errors),
            partitions_removed: read(&counters.partitions_removed),
            rows_removed: read(&counters.rows_removed),
            octets_removed: read(&counters.octets_removed),
            segments_damaged: self.damaged.load(Ordering::Relaxed),
            other_names_dropped: read(&counters.other_dropped),
            rollups_written: read(&counters.rollups_written),
            rollup_rows: read(&counters.rollup_rows),
            rollup_rows_without_time: read(&counters.rollup_rows_without_time),
            rollup_rows_missed: read(&counters.rollup_rows_missed),
            rollup_merges: read(&counters.rollup_merges),
            rollup_merge_errors: read(&counters.rollup_merge_errors),
            rollups_removed: read(&counters.rollups_removed),
            rollups_damaged: self.rollups_damaged.load(Ordering::Relaxed),
        }
    }

    /// Removes whole partitions that are too old or too many; never the one being written.
    pub fn retain(&self, now_ns: i64) -> Result<(), StoreError> {
        self.retain_rollups(now_ns)?;
        let doomed = {
            let state = self.lock();
            doomed_partitions(&state.manifest.partitions, &self.config, now_ns)
        };
        if doomed.is_empty() {
            return Ok(());
        }
        let _noted = during(Phase::Retention);
        let mut removed = Vec::new();
        self.change(|manifest| {
            manifest.partitions.retain(|partition| {
                let goes = doomed.contains(&partition.id);
                if goes {
                    removed.push((partition.id, partition.rows(), partition.octets()));
                }
                !goes
            });
        })?;
        for (id, rows, octets) in removed {
            count(&self.counters.partitions_removed, 1);
            count(&self.counters.rows_removed, rows);
            count(&self.counters.octets_removed, octets);
            // Segments remove themselves when their last reader is gone; then the empty directory can go.
            let _ = fs::remove_dir(self.dir.join(PARTITIONS).join(format!("{id:012}")));
        }
        Ok(())
    }
}

pub(super) fn doomed_partitions(partitions: &[PartitionMeta], config: &StoreConfig, now_ns: i64) -> Vec<u64> {
    let old = (config.retention_s > 0).then(|| {
        let age_ns = i64::try_from(config.retention_s)
            .unwrap_or(i64::MAX)
            .saturating_mul(1_000_000_000);
        now_ns.saturating_sub(age_ns)
    });
    let ends = ends_of(partitions, now_ns);
    let mut octets: u64 = partitions.iter().map(PartitionMeta::octets).sum();
    let mut doomed = Vec::new();
    for (partition, end_ns) in partitions.iter().zip(ends).filter(|(partition, _)| partition.sealed) {
        let too_old = old.is_some_and(|before| end_ns <= before);
        let too_much = config.retention_octets > 0 && octets > config.retention_octets;
        if too_old || too_much {
            octets = octets.saturating_sub(partition.octets());
            doomed.push(partition.id);
        }
    }
    doomed
}

/// When what is in partitions had arrived, whatever the clock said at the time: one that was in the future, or in a year
/// before there were collectors, says what its neighbours say.
fn ends_of(partitions: &[PartitionMeta], now_ns: i64) -> Vec<i64> {
    let width = |partition: &PartitionMeta| partition.to_ns.saturating_sub(partition.from_ns);
    let is_believed = |partition: &PartitionMeta| {
        partition.from_ns >= limits::CLOCK_LEAST_NS && partition.to_ns <= now_ns.saturating_add(width(partition))
    };
    let mut ends: Vec<i64> = Vec::with_capacity(partitions.len());
    let mut next = now_ns;
    for partition in partitions.iter().rev() {
        if is_believed(partition) {
            next = partition.to_ns;
        }
        ends.push(next);
    }
    ends.reverse();
    ends
}

fn directories(root: &Path) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(StoreError::io(root))? {
        let entry = entry.map_err(StoreError::io(root))?;
        if entry.path().is_dir() {
            found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    Ok(found)
}

/// Octets of all files of a directory.
pub(super) fn directory_octets(path: &Path) -> Result<u64, StoreError> {
    let mut octets = 0;
    for entry in fs::read_dir(path).map_err(StoreError::io(path))? {
        let entry = entry.map_err(StoreError::io(path))?;
        octets += entry.metadata().map_err(StoreError::io(path))?.len();
    }
    Ok(octets)
}

/// Makes the names of a written segment's files durable, up to the directory that the manifest is in.
///
/// tantivy syncs what it writes, but not the last name it gives, and none of the directories above.
pub(super) fn sync_segment(path: &Path) -> Result<(), StoreError> {
    for directory in path.ancestors().take(3) {
        File::open(directory)
            .and_then(|opened| opened.sync_all())
            .map_err(StoreError::io(directory))?;
    }
    Ok(())
}

/// Puts a written segment into its partition, sealing the ones before.
pub(super) fn add_segment(manifest: &mut Manifest, partition: PartitionMeta, segment: SegmentMeta) {
    manifest.next_row = segment.runs.first().map_or(0, |run| run.row) + segment.rows;
    match manifest.partitions.iter_mut().find(|held| held.id == partition.id) {
        Some(held) => held.segments.push(segment),
        None => {
            for earlier in manifest.partitions.iter_mut().filter(|held| held.odd == partition.odd) {
                earlier.sealed = true;
            }
            manifest.partitions.push(PartitionMeta {
                segments: vec![segment],
                ..partition
            });
        }
    }
}
