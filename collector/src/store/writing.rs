//! The thread that writes full segments out and puts them into the manifest.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};

use super::StoreError;
use super::filling::Filling;
use super::manifest::RowRun;
use super::state::{Shared, add_segment, count, directory_octets, sync_segment};
use crate::rehearsal::{Phase, during};
use crate::rollups::{Gather, RollupMeta};

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
    for job in jobs {
        match job {
            Job::Write(filling, now_ns) => {
                let rows = filling.meta.rows;
                let path = filling.path.clone();
                // tantivy asserts its own invariants; one bad segment must not end the collector.
                let written = catch_unwind(AssertUnwindSafe(|| write_segment(shared, *filling)));
                let written = written.unwrap_or_else(|_| {
                    Err(StoreError::Damaged {
                        path: path.clone(),
                        detail: "writing the segment panicked".to_owned(),
                    })
                });
                match written {
                    Ok(()) => {
                        count(&shared.counters.commits, 1);
                        count(&shared.counters.rows_committed, rows);
                        shared.committed_ns.store(now_ns, Ordering::Relaxed);
                    }
                    Err(error) => {
                        count(&shared.counters.commit_errors, 1);
                        count(&shared.counters.rows_lost, rows);
                        let _ = fs::remove_dir_all(&path);
                        shared.fail(error);
                    }
                }
            }
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

fn write_segment(shared: &Shared, filling: Filling) -> Result<(), StoreError> {
    let Filling {
        writer,
        path,
        partition,
        mut meta,
        other,
        journal,
        rollup,
        ..
    } = filling;
    let _noted = during(Phase::Commit);
    writer.finalize().map_err(StoreError::tantivy(&path))?;
    sync_segment(&path)?;
    meta.octets = directory_octets(&path)?;
    meta.other = other.iter().map(|name| name.as_ref().to_owned()).collect();
    meta.other.sort_unstable();
    let rollup = rollup.and_then(|rollup| write_rollup(shared, rollup));
    let rollup_path = rollup.as_ref().map(|rollup| shared.rollup_path(rollup));
    let rows = meta.rows;
    let changed = shared.change(|manifest| {
        meta.runs = vec![RowRun {
            doc: 0,
            row: manifest.next_row,
        }];
        if let Some(rollup) = rollup {
            let rows = (manifest.next_row, manifest.next_row + meta.rows);
            manifest.rollups.add(RollupMeta { rows, ..rollup });
        }
        add_segment(manifest, partition, meta);
        manifest.journal = manifest.journal.max(journal);
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

/// Writes what the rows of a segment come to. When that does not work they are kept all the same, and counted as missed.
fn write_rollup(shared: &Shared, rollup: Gather) -> Option<RollupMeta> {
    let rows = rollup.rows();
    // Rows must never be lost for what is made of them.
    let written = catch_unwind(AssertUnwindSafe(|| shared.write_rollup(rollup.finish())));
    let written = written.unwrap_or_else(|_| {
        Err(StoreError::Damaged {
            path: shared.dir.clone(),
            detail: "writing rollups panicked; please report it".to_owned(),
        })
    });
    match written {
        Ok(meta) => Some(meta),
        Err(error) => {
            tracing::error!("{error}; rollups lack {rows} rows, `rollups rebuild` makes them");
            count(&shared.counters.rollup_rows_missed, rows);
            None
        }
    }
}
