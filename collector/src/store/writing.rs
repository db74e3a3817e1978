//! The thread that writes full segments out and puts them into the manifest.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};

use super::StoreError;
use super::filling::Filling;
use super::manifest::RowRun;
use super::state::{Shared, add_segment, count, directory_octets, sync_segment};

/// What the thread is asked to do.
pub(super) enum Job {
    /// Write a segment, handed over at this time.
    Write(Box<Filling>, i64),
    /// Nothing is added to this partition any more.
    Seal(u64),
    /// Every row of before this position in the journal was written.
    Position(u64),
    /// Say when everything before is done.
    Reply(Sender<()>),
}

/// Does what it is asked to until the channel closes.
pub(super) fn write_jobs(shared: &Shared, jobs: &Receiver<Job>, wake: &Sender<()>) {
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
            Job::Reply(reply) => {
                // The caller may have gone.
                let _ = reply.send(());
            }
        }
        // A wake-up that is already waiting is enough.
        let _ = wake.try_send(());
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
        ..
    } = filling;
    writer.finalize().map_err(StoreError::tantivy(&path))?;
    sync_segment(&path)?;
    meta.octets = directory_octets(&path)?;
    meta.other = other.iter().map(|name| name.as_ref().to_owned()).collect();
    meta.other.sort_unstable();
    shared.change(|manifest| {
        meta.runs = vec![RowRun {
            doc: 0,
            row: manifest.next_row,
        }];
        add_segment(manifest, partition, meta);
        manifest.journal = manifest.journal.max(journal);
    })
}
