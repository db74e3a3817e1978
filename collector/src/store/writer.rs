//! Adds rows to the segment that fills, and hands full ones to the thread that writes them out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, TrySendError, bounded};

use super::StoreError;
use super::filling::{Filling, start_segment};
use super::manifest::PartitionMeta;
use super::merge;
use super::rolling;
use super::state::{Shared, count};
use super::writing::{Job, write_jobs};
use crate::limits;
use crate::normalize::row::Row;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;
/// How long a commit waits when the segment before is still being written.
const RETRY_NS: i64 = 50 * NS_PER_MS;
/// How often retention looks at the partitions.
const RETENTION_NS: i64 = 30 * NS_PER_S;

/// Adds rows. Not shared: one thread owns it.
///
/// Dropping it commits what can be; [`StoreWriter::close`] also says whether that worked.
pub struct StoreWriter {
    shared: Arc<Shared>,
    partition: Option<PartitionMeta>,
    filling: Option<Box<Filling>>,
    jobs: Option<Sender<Job>>,
    wake: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    retention_ns: i64,
    /// The position in the journal of what was added, once there is one.
    journal: Option<u64>,
}

impl std::fmt::Debug for StoreWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreWriter")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

impl StoreWriter {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (jobs, received) = bounded(limits::SEGMENTS_IN_FLIGHT);
        let (wake, woken) = bounded(1);
        let (wake_rollups, rollups_woken) = bounded(1);
        let wakes = vec![wake.clone(), wake_rollups];
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
                .map_err(StoreError::io(&shared.dir))
        };
        let for_jobs = Arc::clone(&shared);
        let for_merges = Arc::clone(&shared);
        let for_rollups = Arc::clone(&shared);
        let threads = vec![
            spawn(
                "store-write",
                Box::new(move || write_jobs(&for_jobs, &received, &wakes)),
            )?,
            spawn("store-merge", Box::new(move || merge::run(&for_merges, &woken)))?,
            spawn(
                "store-rollups",
                Box::new(move || rolling::run(&for_rollups, &rollups_woken)),
            )?,
        ];
        let partition = shared
            .lock()
            .manifest
            .partitions
            .last()
            .filter(|last| !last.sealed)
            .cloned();
        Ok(Self {
            shared,
            partition,
            filling: None,
            jobs: Some(jobs),
            wake: Some(wake),
            threads,
            retention_ns: i64::MIN,
            journal: None,
        })
    }

    /// Adds a row that arrived at `now_ns`; commits when enough have gathered.
    ///
    /// Waits for the segment before to be written when rows come quicker than that.
    ///
    /// # Errors
    /// When a segment cannot be written: its rows are lost and counted, later rows can be added.
    pub fn add(&mut self, now_ns: i64, row: Row) -> Result<(), StoreError> {
        self.add_arrived((now_ns, now_ns), row)
    }

    /// As [`StoreWriter::add`], at a time after the row arrived: partitions go by arrival, commits by the clock.
    ///
    /// # Errors
    /// As [`StoreWriter::add`].
    pub fn add_arrived(&mut self, (now_ns, arrived_ns): (i64, i64), mut row: Row) -> Result<(), StoreError> {
        count(&self.shared.counters.rows_added, 1);
        if self
            .partition
            .as_ref()
            .is_some_and(|partition| arrived_ns >= partition.to_ns)
        {
            self.seal(now_ns)?;
        }
        let limits = (self.shared.config.commit_rows, self.shared.config.memory_octets);
        let filling = match &mut self.filling {
            Some(filling) => filling,
            None => match start_segment(&self.shared, &mut self.partition, (now_ns, arrived_ns)) {
                Ok(mut filling) => {
                    // As if nothing was in it: its first rows may be half of an entry's.
                    filling.journal = self.journal;
                    self.filling.insert(filling)
                }
                Err(error) => {
                    count(&self.shared.counters.rows_lost, 1);
                    count(&self.shared.counters.commit_errors, 1);
                    return Err(error);
                }
            },
        };
        if row.has_other() {
            let dropped = filling.note_other(&mut row);
            count(&self.shared.counters.other_dropped, dropped as u64);
        }
        filling.note_times(&row);
        if let Some(rollup) = &mut filling.rollup {
            rollup.add(&row, arrived_ns);
            filling.is_full |= rollup.is_full();
        }
        if let Err(error) = filling.add(row) {
            // What tantivy holds of this segment may not fit together any more.
            let rows = filling.meta.rows + 1;
            self.filling = None;
            count(&self.shared.counters.rows_lost, rows);
            count(&self.shared.counters.commit_errors, 1);
            return Err(error);
        }
        filling.meta.rows += 1;
        // Asking for the memory walks every column: not for every row.
        let rows = filling.meta.rows;
        filling.is_full |= rows >= limits.0 || (rows.is_multiple_of(1_024) && filling.writer.mem_usage() >= limits.1);
        // With a journal a segment ends where an entry does: see `mark`.
        if filling.is_full && self.journal.is_none() {
            self.hand_over(now_ns)?;
            return self.report();
        }
        Ok(())
    }

    /// Every row of before this position in the journal was added: what is committed from now on says so.
    ///
    /// # Errors
    /// As [`StoreWriter::add`].
    pub fn mark(&mut self, now_ns: i64, position: u64) -> Result<(), StoreError> {
        self.journal = Some(position);
        let Some(filling) = &mut self.filling else {
            return Ok(());
        };
        filling.journal = Some(position);
        if filling.is_full {
            self.hand_over(now_ns)?;
            return self.report();
        }
        Ok(())
    }

    /// Commits the position that was marked last where no rows wait to be committed with it. To be asked again until it is.
    pub fn commit_mark(&mut self) {
        if self.filling.is_none()
            && let Some(position) = self.journal
        {
            let _ = self.try_send(Job::Position(position));
        }
    }

    /// Commits when it is time to, seals a partition whose time is over, applies retention. Never waits long.
    ///
    /// # Errors
    /// What went wrong since the last call, as for [`StoreWriter::add`].
    pub fn handle_timeout(&mut self, now_ns: i64) -> Result<(), StoreError> {
        self.handle_timeout_arrived(now_ns, now_ns)
    }

    /// As [`StoreWriter::handle_timeout`], while what arrived after `arrived_ns` is yet to be added.
    ///
    /// # Errors
    /// As [`StoreWriter::handle_timeout`].
    pub fn handle_timeout_arrived(&mut self, now_ns: i64, arrived_ns: i64) -> Result<(), StoreError> {
        // Asking more of a disk that takes nothing would be waiting for it.
        if self.shared.blocked().is_none() {
            if self
                .partition
                .as_ref()
                .is_some_and(|partition| arrived_ns >= partition.to_ns)
            {
                self.seal(now_ns)?;
            }
            if self.commit_due().is_some_and(|due_ns| now_ns >= due_ns) {
                self.try_hand_over(now_ns);
            }
        }
        self.shared.now_ns.store(now_ns, Ordering::Release);
        if now_ns.saturating_sub(self.retention_ns) >= RETENTION_NS {
            self.retention_ns = now_ns;
            self.shared.retain_ns.store(now_ns, Ordering::Release);
            if let Some(wake) = &self.wake {
                // A wake-up that is already waiting is enough.
                let _ = wake.try_send(());
            }
            let _ = self.try_send(Job::Wake);
        }
        self.report()
    }

    /// By when [`StoreWriter::handle_timeout`] should be called: to commit waiting rows, seal a partition, or remove
    /// old ones.
    pub fn poll_timeout(&self) -> Option<i64> {
        let seal_ns = self.partition.as_ref().map(|partition| partition.to_ns);
        let retain_ns = Some(self.retention_ns.saturating_add(RETENTION_NS));
        [self.commit_due(), seal_ns, retain_ns].into_iter().flatten().min()
    }

    fn commit_due(&self) -> Option<i64> {
        let wait_ns = i64::try_from(self.shared.config.commit_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(NS_PER_MS);
        self.filling
            .as_ref()
            .map(|filling| filling.since_ns.saturating_add(wait_ns).max(filling.retry_ns))
    }

    /// Rows added and not yet handed over to be written.
    pub fn waiting(&self) -> u64 {
        self.filling.as_ref().map_or(0, |filling| filling.meta.rows)
    }

    /// Makes everything added so far durable and searchable before it returns.
    ///
    /// # Errors
    /// What went wrong since the last call, as for [`StoreWriter::add`].
    pub fn commit(&mut self, now_ns: i64) -> Result<(), StoreError> {
        self.hand_over(now_ns)?;
        if let Some(position) = self.journal {
            self.send(Job::Position(position))?;
        }
        let (reply, done) = bounded(1);
        self.send(Job::Reply(reply))?;
        if done.recv().is_err() {
            return Err(self.gone());
        }
        self.report()
    }

    /// Commits and ends the writer's threads.
    ///
    /// # Errors
    /// What went wrong since the last call, as for [`StoreWriter::add`].
    pub fn close(mut self, now_ns: i64) -> Result<(), StoreError> {
        let committed = self.commit(now_ns);
        self.stop();
        committed.and_then(|()| self.report())
    }

    fn seal(&mut self, now_ns: i64) -> Result<(), StoreError> {
        self.hand_over(now_ns)?;
        match self.partition.take() {
            Some(partition) => self.send(Job::Seal(partition.id)),
            None => Ok(()),
        }
    }

    fn hand_over(&mut self, now_ns: i64) -> Result<(), StoreError> {
        let Some(filling) = self.filling.take() else {
            return Ok(());
        };
        let rows = filling.meta.rows;
        if rows == 0 {
            return Ok(());
        }
        self.send(Job::Write(filling, now_ns))
            .inspect_err(|_| count(&self.shared.counters.rows_lost, rows))
    }

    fn try_hand_over(&mut self, now_ns: i64) {
        let Some(filling) = self.filling.take() else { return };
        if let Some(Job::Write(filling, _)) = self.try_send(Job::Write(filling, now_ns)) {
            // The segment before is still being written: this one goes on filling.
            let retry_ns = now_ns.saturating_add(RETRY_NS);
            let mut filling = filling;
            filling.retry_ns = retry_ns;
            self.filling = Some(filling);
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs
            .as_ref()
            .and_then(|jobs| jobs.send(job).ok())
            .ok_or_else(|| self.gone())
    }

    /// Gives the job back when there is no room for it.
    fn try_send(&self, job: Job) -> Option<Job> {
        match self.jobs.as_ref()?.try_send(job) {
            Ok(()) => None,
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => Some(job),
        }
    }

    fn gone(&self) -> StoreError {
        self.shared.take_error().unwrap_or_else(|| StoreError::Damaged {
            path: self.shared.dir.clone(),
            detail: "the thread that writes segments has ended; restart the collector".to_owned(),
        })
    }

    fn report(&self) -> Result<(), StoreError> {
        self.shared.take_error().map_or(Ok(()), Err)
    }

    fn stop(&mut self) {
        self.jobs = None;
        self.wake = None;
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
        self.shared.writer_taken.store(false, Ordering::Release);
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        if self.jobs.is_some() {
            let now_ns = self.filling.as_ref().map_or(0, |filling| filling.since_ns);
            // Nobody is left to tell; the loss is counted and logged where it happens.
            let _ = self.hand_over(now_ns);
            self.stop();
        }
    }
}
