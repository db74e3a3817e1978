//! The thread that writes full segments out and puts them into the manifest.
//!
//! A segment is finished in memory first, so that what does not get onto the disk is still there to be tried again: a full disk
//! costs time and no rows.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tantivy::directory::{MmapDirectory, RamDirectory};

use super::StoreError;
use super::ends::ends_of;
use super::filling::Filling;
use super::manifest::{PartitionMeta, RowRun, SegmentMeta};
use super::state::{Shared, add_segment, count, directory_octets, sync_segment};
use crate::limits::WRITES_AT_THE_END;
use crate::rehearsal::{Phase, during};
use crate::rollups::RollupMeta;
use crate::rollups::gather::Gathered;

/// Pauses before a segment that could not be written is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the thread is asked to do.
pub(super) enum Job {
    /// Write segments in one step, handed over at this time.
    Write(Fillings, i64),
    /// Nothing is added to this partition any more.
    Seal(u64),
    /// Every row of before this position in the journal was written.
    Position(u64),
    /// Look what is due: time has passed.
    Wake,
    /// Say when everything before is done.
    Reply(Sender<()>),
}

/// What fills at one time: rows of times that can be believed, and others.
#[derive(Default)]
pub(super) struct Fillings {
    pub own: Option<Box<Filling>>,
    pub odd: Option<Box<Filling>>,
}

impl Fillings {
    pub fn iter(&self) -> impl Iterator<Item = &Filling> {
        [&self.own, &self.odd].into_iter().filter_map(Option::as_deref)
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Filling> {
        [&mut self.own, &mut self.odd]
            .into_iter()
            .filter_map(Option::as_deref_mut)
    }

    pub fn rows(&self) -> u64 {
        self.iter().map(|filling| filling.meta.rows).sum()
    }
}

/// Does what it is asked to until the channel closes.
pub(super) fn write_jobs(shared: &Shared, jobs: &Receiver<Job>, wakes: &[Sender<()>]) {
    // Rows were left to the journal: nothing of behind them may be committed any more.
    let mut has_left_rows = false;
    for job in jobs {
        match job {
            Job::Write(fillings, now_ns) => {
                let rows = fillings.rows();
                let is_journaled = fillings.iter().any(|filling| filling.journal.is_some());
                match has_left_rows {
                    true => count(&shared.counters.rows_left, rows),
                    false => match write(shared, fillings) {
                        Ok(()) => {
                            count(&shared.counters.commits, 1);
                            count(&shared.counters.rows_committed, rows);
                            shared.committed_ns.store(now_ns, Ordering::Relaxed);
                        }
                        Err(error) => {
                            has_left_rows = is_journaled && error.may_pass;
                            let counter = match has_left_rows {
                                true => &shared.counters.rows_left,
                                false => &shared.counters.rows_lost,
                            };
                            count(counter, rows);
                            shared.fail(error.why);
                        }
                    },
                }
            }
            Job::Seal(_) | Job::Position(_) if has_left_rows => {}
            Job::Seal(partition) => {
                let _noted = during(Phase::Seal);
                let sealed = shared.change(|manifest| {
                    for held in manifest.partitions.iter_mut().filter(|held| held.id == partition) {
                        held.sealed = true;
                    }
                });
                if let Err(error) = sealed {
                    shared.fail(error);
                }
            }
            Job::Position(position) => {
                if let Err(error) = shared.change(|manifest| manifest.journal = manifest.journal.max(Some(position))) {
                    shared.fail(error);
                }
            }
            Job::Wake => {}
            Job::Reply(reply) => {
                // The caller may have gone.
                let _ = reply.send(());
            }
        }
        // A wake-up that is already waiting is enough.
        for wake in wakes {
            let _ = wake.try_send(());
        }
    }
}

/// Why a segment is not in the store, and whether it could have been later.
struct NotWritten {
    why: StoreError,
    may_pass: bool,
}

/// A segment as it is to be on the disk.
struct Finished {
    files: RamDirectory,
    path: PathBuf,
    partition: PartitionMeta,
    meta: SegmentMeta,
    journal: Option<u64>,
    rollup: Option<Gathered>,
}

/// tantivy asserts its own invariants; one bad segment must not end the collector.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, NotWritten> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|why| NotWritten { why, may_pass: true }),
        Err(_) => Err(NotWritten {
            why: StoreError::Damaged {
                path: path.to_owned(),
                detail: "writing the segment panicked".to_owned(),
            },
            may_pass: false,
        }),
    }
}

/// Writes segments; tries again while the disk does not take them and nobody waits for the end.
fn write(shared: &Shared, fillings: Fillings) -> Result<(), NotWritten> {
    let _noted = during(Phase::Commit);
    let rows = fillings.rows();
    let mut finished = Vec::with_capacity(2);
    let fillings = [fillings.own, fillings.odd];
    for filling in fillings.into_iter().flatten().filter(|filling| filling.meta.rows > 0) {
        let path = filling.path.clone();
        // What fails in memory fails again.
        let one = guarded(&path, || finish(shared, *filling)).map_err(|failed| NotWritten {
            may_pass: false,
            ..failed
        });
        finished.push(one.inspect_err(|_| count(&shared.counters.commit_errors, 1))?);
    }
    let is_journaled = finished.iter().any(|one| one.journal.is_some());
    let (mut pause, mut tries) = (FIRST_PAUSE, 0);
    loop {
        let Err(failed) = guarded(&shared.dir, || place_all(shared, &mut finished)) else {
            shared.unblock();
            return Ok(());
        };
        count(&shared.counters.commit_errors, 1);
        for one in &finished {
            let _ = fs::remove_dir_all(&one.path);
        }
        tries += 1;
        let is_last = !shared.is_patient.load(Ordering::Acquire) && (is_journaled || tries >= WRITES_AT_THE_END);
        if is_last || !failed.may_pass {
            shared.unblock();
            return Err(failed);
        }
        if shared.block(&failed.why) {
            tracing::error!(
                "{}; {rows} records wait in memory until they can be written",
                failed.why
            );
        }
        std::thread::sleep(pause);
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

fn finish(shared: &Shared, filling: Filling) -> Result<Finished, StoreError> {
    let Filling {
        builder,
        path,
        partition,
        mut meta,
        other,
        journal,
        rollup,
        ..
    } = filling;
    let files = RamDirectory::create();
    builder.finish(&files).map_err(StoreError::tantivy(&path))?;
    meta.other = other.iter().map(|name| name.as_ref().to_owned()).collect();
    meta.other.sort_unstable();
    // Rows must never be lost for what is made of them.
    let rollup = rollup.and_then(|rollup| {
        catch_unwind(AssertUnwindSafe(|| rollup.finish()))
            .inspect_err(|_| miss(shared, meta.rows, "gathering rollups panicked; please report it"))
            .ok()
    });
    Ok(Finished {
        files,
        path,
        partition,
        meta,
        journal,
        rollup,
    })
}

/// Rows that no rollup has.
fn miss(shared: &Shared, rows: u64, why: &str) {
    tracing::error!("{why}; rollups lack {rows} rows, `rollups rebuild` makes them");
    count(&shared.counters.rollup_rows_missed, rows);
}

/// Puts segments and their rollups on the disk, and into the manifest in one step.
fn place_all(shared: &Shared, finished: &mut [Finished]) -> Result<(), StoreError> {
    let mut rollups = Vec::with_capacity(finished.len());
    let placed = finished
        .iter_mut()
        .try_for_each(|one| place(shared, one).map(|rollup| rollups.push(rollup)));
    let changed = placed.and_then(|()| {
        shared.change(|manifest| {
            for (one, rollup) in finished.iter().zip(&rollups) {
                let mut meta = one.meta.clone();
                let first = manifest.next_row;
                meta.runs = vec![RowRun { doc: 0, row: first }];
                if let Some(rollup) = rollup.clone() {
                    let rows = (first, first + meta.rows);
                    manifest.rollups.add(RollupMeta { rows, ..rollup });
                }
                add_segment(manifest, one.partition.clone(), meta);
                manifest.journal = manifest.journal.max(one.journal);
            }
        })
    });
    for (one, rollup) in finished.iter().zip(&rollups) {
        match (&changed, rollup) {
            (Ok(()), Some(_)) => {
                count(&shared.counters.rollups_written, 1);
                count(&shared.counters.rollup_rows, one.meta.rows);
            }
            (Err(_), Some(rollup)) => {
                let _ = fs::remove_file(shared.rollup_path(rollup));
            }
            (_, None) => {}
        }
        if changed.is_ok() && one.partition.odd {
            count(&shared.counters.rows_odd, one.meta.rows);
        }
    }
    changed
}

/// Puts a segment on the disk, and beside it what its rows come to.
fn place(shared: &Shared, finished: &mut Finished) -> Result<Option<RollupMeta>, StoreError> {
    let path = finished.path.as_path();
    fs::create_dir_all(path).map_err(StoreError::io(path))?;
    let directory = MmapDirectory::open(path).map_err(|error| StoreError::Damaged {
        path: path.to_owned(),
        detail: error.to_string(),
    })?;
    finished.files.persist(&directory).map_err(StoreError::tantivy(path))?;
    sync_segment(path)?;
    finished.meta.octets = directory_octets(path)?;
    finished.meta.ends = Some(ends_of(path)?);
    place_rollup(shared, finished)
}

/// Writes what the rows of a segment come to. When that cannot be, whatever there is room for, they are counted as missed.
fn place_rollup(shared: &Shared, finished: &mut Finished) -> Result<Option<RollupMeta>, StoreError> {
    let Some(gathered) = &mut finished.rollup else {
        return Ok(None);
    };
    let written = catch_unwind(AssertUnwindSafe(|| shared.write_rollup(gathered)));
    match written {
        Ok(written) => written.map(Some),
        Err(_) => {
            finished.rollup = None;
            miss(shared, finished.meta.rows, "writing rollups panicked; please report it");
            Ok(None)
        }
    }
}
