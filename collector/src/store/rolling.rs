//! Rollups in the store: written beside segments, merged in a thread of their own, removed by age and octets.
//!
//! What they say is decided in [`crate::rollups`]; here is where it meets files and the manifest.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, TryRecvError};

use super::manifest::ROLLUPS;
use super::state::{Shared, count};
use super::{Store, StoreError};
use crate::rehearsal::{Phase, during};
use crate::rollups::gather::Gathered;
use crate::rollups::meta::Work;
use crate::rollups::{RollupFile, RollupMeta, RollupWriter, Tier, compact};

impl Shared {
    /// Where a file of rollups lies.
    pub fn rollup_path(&self, meta: &RollupMeta) -> PathBuf {
        self.dir.join(ROLLUPS).join(meta.file_name())
    }

    /// Writes what was gathered from some rows. The file is on the disk then, and in nobody's list.
    pub fn write_rollup(&self, gathered: &mut Gathered) -> Result<RollupMeta, StoreError> {
        let mut meta = RollupMeta {
            id: self.fresh_id(),
            tier: Tier::Minute,
            level: 0,
            rows: (0, gathered.rows),
            arrived_ns: gathered.arrived_ns.unwrap_or_default(),
            windows_ns: (0, 0),
            without_time: gathered.without_time,
            octets: 0,
        };
        let path = self.rollup_path(&meta);
        let mut write = || {
            let mut writer = RollupWriter::create(&path)?;
            for (window, sections) in &mut gathered.windows {
                for (id, section) in sections {
                    writer.add(*window, *id, section)?;
                }
            }
            let written = writer.finish(Tier::Minute)?;
            self.sync_rollups()?;
            Ok(written)
        };
        let written = write().map_err(|error| {
            let _ = fs::remove_file(&path);
            StoreError::io(&path)(error)
        })?;
        count(&self.counters.rollup_rows_without_time, gathered.without_time);
        (meta.octets, meta.windows_ns) = (written.octets, written.windows_ns);
        Ok(meta)
    }

    /// Makes names of files durable.
    fn sync_rollups(&self) -> io::Result<()> {
        File::open(self.dir.join(ROLLUPS))?.sync_all()
    }

    /// Does one thing that is due at a time; whether there was one.
    pub fn roll(&self, now_ns: i64, left_alone: &mut Vec<u64>) -> bool {
        let (work, files) = {
            let state = self.lock();
            let Some(work) = state.manifest.rollups.due(now_ns, left_alone) else {
                return false;
            };
            let files: Option<Vec<Arc<RollupFile>>> = work
                .files
                .iter()
                .map(|file| state.rollups.get(&file.id).cloned())
                .collect();
            (work, files.unwrap_or_default())
        };
        let done = catch_unwind(AssertUnwindSafe(|| self.merge_rollups(&work, &files)));
        let done = done.unwrap_or_else(|_| {
            Err(StoreError::Damaged {
                path: self.dir.clone(),
                detail: "merging rollups panicked; they stay as they are".to_owned(),
            })
        });
        match done {
            Ok(()) => count(&self.counters.rollup_merges, 1),
            Err(error) => {
                // Once there is room they can be.
                if !error.is_disk_full() {
                    left_alone.extend(work.files.iter().map(|file| file.id));
                }
                count(&self.counters.rollup_merge_errors, 1);
                self.fail(error);
            }
        }
        true
    }

    fn merge_rollups(&self, work: &Work, files: &[Arc<RollupFile>]) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (work.files.first(), work.files.last()) else {
            return Ok(());
        };
        let _noted = during(match work.next {
            Some(_) => Phase::RollupClose,
            None => Phase::RollupMerge,
        });
        let arrived = work.files.iter().map(|file| file.arrived_ns);
        let merged = RollupMeta {
            id: 0,
            tier: first.tier,
            level: work.level,
            rows: (first.rows.0, last.rows.1),
            arrived_ns: arrived.fold((i64::MAX, i64::MIN), |all, one| (all.0.min(one.0), all.1.max(one.1))),
            windows_ns: (0, 0),
            without_time: work.files.iter().map(|file| file.without_time).sum(),
            octets: 0,
        };
        let write = |tier: Tier, level: u8| {
            let mut meta = RollupMeta {
                id: self.fresh_id(),
                tier,
                level,
                ..merged.clone()
            };
            let path = self.rollup_path(&meta);
            let written = compact::merge(files, tier, &path).map_err(StoreError::io(&path))?;
            (meta.octets, meta.windows_ns) = (written.octets, written.windows_ns);
            Ok(meta)
        };
        let mut fresh = Vec::new();
        // One that stays as it is only gets another level.
        let written = match work.files.as_slice() {
            [only] if work.next.is_some() => {
                fresh.push(RollupMeta {
                    level: work.level,
                    ..only.clone()
                });
                Ok(())
            }
            _ => write(first.tier, work.level).map(|meta| fresh.push(meta)),
        };
        let written = written.and_then(|()| match work.next {
            Some(next) => write(next, 0).map(|meta| fresh.push(meta)),
            None => Ok(()),
        });
        let folder = self.dir.join(ROLLUPS);
        let written = written.and_then(|()| self.sync_rollups().map_err(StoreError::io(&folder)));
        let ids: Vec<u64> = work.files.iter().map(|file| file.id).collect();
        let made: Vec<PathBuf> = fresh
            .iter()
            .filter(|file| !ids.contains(&file.id))
            .map(|file| self.rollup_path(file))
            .collect();
        let mut placed = false;
        let changed = written.and_then(|()| {
            self.change(|manifest| {
                placed = manifest.rollups.take(&work.files);
                if placed {
                    fresh.into_iter().for_each(|file| manifest.rollups.add(file));
                }
            })
        });
        if changed.is_err() || !placed {
            // Nobody names them.
            made.iter().for_each(|path| {
                let _ = fs::remove_file(path);
            });
        }
        changed
    }

    /// Removes rollups that are too old or too many.
    pub(super) fn retain_rollups(&self, now_ns: i64) -> Result<(), StoreError> {
        let doomed = self.lock().manifest.rollups.doomed(&self.config.rollups, now_ns);
        if doomed.is_empty() {
            return Ok(());
        }
        let _noted = during(Phase::Retention);
        self.change(|manifest| {
            manifest.rollups.files.retain(|file| !doomed.contains(&file.id));
        })?;
        count(&self.counters.rollups_removed, doomed.len() as u64);
        Ok(())
    }
}

impl Store {
    /// Merges what is due at a time; how often there was something.
    pub fn roll(&self, now_ns: i64) -> usize {
        let mut left_alone = Vec::new();
        (0..).take_while(|_| self.shared.roll(now_ns, &mut left_alone)).count()
    }
}

/// Merges rollups whenever it is woken, until the channel closes.
pub(super) fn run(shared: &Shared, wake: &Receiver<()>) {
    // Files that could not be merged once are left as they are until the store is opened again.
    let mut left_alone = Vec::new();
    while wake.recv().is_ok() {
        loop {
            let now_ns = shared.now_ns.load(Ordering::Acquire);
            if shared.is_disk_low() || !shared.roll(now_ns, &mut left_alone) {
                break;
            }
            // Nobody waits for a merge when the store closes.
            if let Err(TryRecvError::Disconnected) = wake.try_recv() {
                break;
            }
        }
    }
}
