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
    /// Write a segment, handed over at this time.
    Write(Box<Filling>, i64),
    /// Nothing is added to this partition any more.
    Seal(u64),
    /// Every row of before this position in the journal was written.
    Position(u64),
    /// Look what is due: time has passed.
    Wake,
    /// Say when everything before is done.
    Reply(Sender<()>),
}

/// Does what it is asked to until the channel closes.
pub(super) fn write_jobs(shared: &Shared, jobs: &Receiver<Job>, wakes: &[Sender<()>]) {
    // Rows were left to the journal: nothing of behind them may be committed any more.
    let mut has_left_rows = false;
    for job in jobs {
        match job {
            Job::Write(filling, now_ns) => {
                let rows = filling.meta.rows;
                let is_journaled = filling.journal.is_some();
                match has_left_rows {
                    true => count(&shared.counters.rows_left, rows),
                    false => match write(shared, *filling) {
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

/// Writes a segment; tries again while the disk does not take it and nobody waits for the end.
fn write(shared: &Shared, filling: Filling) -> Result<(), NotWritten> {
    let _noted = during(Phase::Commit);
    let (path, rows) = (filling.path.clone(), filling.meta.rows);
    // What fails in memory fails again.
    let finished = guarded(&path, || finish(shared, filling)).map_err(|failed| NotWritten {
        may_pass: false,
        ..failed
    });
    let mut finished = finished.inspect_err(|_| count(&shared.counters.commit_errors, 1))?;
    let (mut pause, mut tries) = (FIRST_PAUSE, 0);
    loop {
        let Err(failed) = guarded(&path, || place(shared, &mut finished)) else {
            shared.unblock();
            return Ok(());
        };
        count(&shared.counters.commit_errors, 1);
        let _ = fs::remove_dir_all(&path);
        tries += 1;
        let is_last =
            !shared.is_patient.load(Ordering::Acquire) && (finished.journal.is_some() || tries >= WRITES_AT_THE_END);
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
        writer,
        files,
        path,
        partition,
        mut meta,
        other,
        journal,
        rollup,
        ..
    } = filling;
    writer.finalize().map_err(StoreError::tantivy(&path))?;
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

/// Puts a segment and its rollups on the disk and into the manifest.
fn place(shared: &Shared, finished: &mut Finished) -> Result<(), StoreError> {
    let path = finished.path.as_path();
    fs::create_dir_all(path).map_err(StoreError::io(path))?;
    let directory = MmapDirectory::open(path).map_err(|error| StoreError::Damaged {
        path: path.to_owned(),
        detail: error.to_string(),
    })?;
    finished.files.persist(&directory).map_err(StoreError::tantivy(path))?;
    sync_segment(path)?;
    finished.meta.octets = directory_octets(path)?;
    let rollup = place_rollup(shared, finished)?;
    let rollup_path = rollup.as_ref().map(|rollup| shared.rollup_path(rollup));
    let rows = finished.meta.rows;
    let changed = shared.change(|manifest| {
        let mut meta = finished.meta.clone();
        meta.runs = vec![RowRun {
            doc: 0,
            row: manifest.next_row,
        }];
        if let Some(rollup) = rollup {
            let rows = (manifest.next_row, manifest.next_row + meta.rows);
            manifest.rollups.add(RollupMeta { rows, ..rollup });
        }
        add_segment(manifest, finished.partition.clone(), meta);
        manifest.journal = manifest.journal.max(finished.journal);
    });
    if let Some(path) = rollup_path {
        match &changed {
            Ok(()) => {
                count(&shared.counters.rollups_written, 1);
                count(&shared.counters.rollup_rows, rows);
            }
            Err(_) => {
                let _ = fs::remove_file(path);
            }
        }
    }
    changed
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
