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
use super::writing::{Fillings, Job, write_jobs};
use crate::limits;
use crate::normalize::columns::id;
use crate::normalize::row::Row;
use crate::rollups::{NEWEST_NS, OLDEST_NS};

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;
/// How long a commit waits when the segment before is still being written.
const RETRY_NS: i64 = 50 * NS_PER_MS;
/// How often retention looks at the partitions.
const RETENTION_NS: i64 = 30 * NS_PER_S;
/// How often it does not, when the clock jumped: somebody may put it right.
const RETENTIONS_HELD_BACK: u32 = 120;

/// Adds rows. Not shared: one thread owns it.
///
/// Dropping it commits what can be; [`StoreWriter::close`] also says whether that worked.
pub struct StoreWriter {
    shared: Arc<Shared>,
    partition: Option<PartitionMeta>,
    /// For rows whose times nobody can believe.
    odd_partition: Option<PartitionMeta>,
    fillings: Fillings,
    jobs: Option<Sender<Job>>,
    wake: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    retention_ns: i64,
    /// How often retention is yet to be passed over.
    held_back: u32,
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
        let open = |odd: bool| {
            let state = shared.lock();
            let mut partitions = state.manifest.partitions.iter().rev();
            partitions
                .find(|held| held.odd == odd)
                .filter(|last| !last.sealed)
                .cloned()
        };
        let (partition, odd_partition) = (open(false), open(true));
        Ok(Self {
            shared,
            partition,
            odd_partition,
            fillings: Fillings::default(),
            jobs: Some(jobs),
            wake: Some(wake),
            threads,
            retention_ns: i64::MIN,
            held_back: 0,
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
        if self.is_over(arrived_ns) {
            self.seal(now_ns, arrived_ns)?;
        }
        let limits = (self.shared.config.commit_rows, self.shared.config.memory_octets);
        let is_odd = is_odd(&row, arrived_ns);
        let (filling, partition) = match is_odd {
            false => (&mut self.fillings.own, &mut self.partition),
            true => (&mut self.fillings.odd, &mut self.odd_partition),
        };
        let filling = match filling {
            Some(filling) => filling,
            None => match start_segment(&self.shared, partition, (now_ns, arrived_ns), is_odd) {
                Ok(mut started) => {
                    // As if nothing was in it: its first rows may be half of an entry's.
                    started.journal = self.journal;
                    filling.insert(started)
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
        if let Err(error) = filling.add(&row) {
            // What is held of this segment may not fit together any more.
            let rows = filling.meta.rows + 1;
            match is_odd {
                false => self.fillings.own = None,
                true => self.fillings.odd = None,
            }
            count(&self.shared.counters.rows_lost, rows);
            count(&self.shared.counters.commit_errors, 1);
            return Err(error);
        }
        filling.meta.rows += 1;
        // Asking for the memory walks every column: not for every row.
        let rows = filling.meta.rows;
        filling.is_full |= rows >= limits.0 || (rows.is_multiple_of(1_024) && filling.builder.octets() >= limits.1);
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
        let mut is_full = false;
        for filling in self.fillings.iter_mut() {
            filling.journal = Some(position);
            is_full |= filling.is_full;
        }
        if is_full {
            self.hand_over(now_ns)?;
            return self.report();
        }
        Ok(())
    }

    /// Commits the position that was marked last where no rows wait to be committed with it. To be asked again until it is.
    pub fn commit_mark(&mut self) {
        if self.fillings.iter().next().is_none()
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
            if self.is_over(arrived_ns) {
                self.seal(now_ns, arrived_ns)?;
            }
            if self.commit_due().is_some_and(|due_ns| now_ns >= due_ns) {
                self.try_hand_over(now_ns);
            }
        }
        self.shared.now_ns.store(now_ns, Ordering::Release);
        // A clock that went back is asked again, too.
        let since_ns = now_ns.saturating_sub(self.retention_ns);
        if !(0..RETENTION_NS).contains(&since_ns) {
            if self.shared.is_patient.load(Ordering::Acquire)
                && self.retention_ns != i64::MIN
                && since_ns > limits::CLOCK_JUMP_NS
            {
                count(&self.shared.counters.clock_jumps, 1);
                tracing::warn!(
                    "the clock went on by {} s at once: retention waits for an hour",
                    since_ns / NS_PER_S
                );
                self.held_back = RETENTIONS_HELD_BACK;
            }
            self.retention_ns = now_ns;
            match self.held_back.checked_sub(1) {
                Some(left) => self.held_back = left,
                None => self.shared.retain_ns.store(now_ns, Ordering::Release),
            }
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
        let partitions = [&self.partition, &self.odd_partition].into_iter().flatten();
        let seal_ns = partitions.map(|partition| partition.to_ns).min();
        let retain_ns = Some(self.retention_ns.saturating_add(RETENTION_NS));
        [self.commit_due(), seal_ns, retain_ns].into_iter().flatten().min()
    }

    fn commit_due(&self) -> Option<i64> {
        let wait_ns = i64::try_from(self.shared.config.commit_ms)
            .unwrap_or(i64::MAX)
            .saturating_mul(NS_PER_MS);
        let due = |filling: &Filling| {
            let is_busy = filling.meta.rows >= limits::ROWS_WORTH_WAITING;
            let wait_ns = if is_busy {
                wait_ns.saturating_mul(limits::COMMIT_STRETCH)
            } else {
                wait_ns
            };
            filling.since_ns.saturating_add(wait_ns).max(filling.retry_ns)
        };
        self.fillings.iter().map(due).min()
    }

    /// Rows added and not yet handed over to be written.
    pub fn waiting(&self) -> u64 {
        self.fillings.rows()
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

    fn is_over(&self, arrived_ns: i64) -> bool {
        let mut partitions = [&self.partition, &self.odd_partition].into_iter().flatten();
        partitions.any(|partition| is_past(partition, arrived_ns))
    }

    /// Seals what is past.
    fn seal(&mut self, now_ns: i64, arrived_ns: i64) -> Result<(), StoreError> {
        self.hand_over(now_ns)?;
        let past = |held: &mut Option<PartitionMeta>| held.take_if(|held| is_past(held, arrived_ns));
        let past = [past(&mut self.partition), past(&mut self.odd_partition)];
        past.into_iter()
            .flatten()
            .try_for_each(|partition| self.send(Job::Seal(partition.id)))
    }

    fn hand_over(&mut self, now_ns: i64) -> Result<(), StoreError> {
        let fillings = std::mem::take(&mut self.fillings);
        let rows = fillings.rows();
        if rows == 0 {
            return Ok(());
        }
        self.send(Job::Write(fillings, now_ns))
            .inspect_err(|_| count(&self.shared.counters.rows_lost, rows))
    }

    fn try_hand_over(&mut self, now_ns: i64) {
        let fillings = std::mem::take(&mut self.fillings);
        if let Some(Job::Write(mut fillings, _)) = self.try_send(Job::Write(fillings, now_ns)) {
            // The segment before is still being written: this one goes on filling.
            let retry_ns = now_ns.saturating_add(RETRY_NS);
            fillings.iter_mut().for_each(|filling| filling.retry_ns = retry_ns);
            self.fillings = fillings;
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
            let now_ns = self.fillings.iter().map(|filling| filling.since_ns).max().unwrap_or(0);
            // Nobody is left to tell; the loss is counted and logged where it happens.
            let _ = self.hand_over(now_ns);
            self.stop();
        }
    }
}

/// Whether what arrived at a time belongs into another partition: time went on, or the clock was ahead and is no more.
fn is_past(partition: &PartitionMeta, arrived_ns: i64) -> bool {
    let width_ns = partition.to_ns.saturating_sub(partition.from_ns);
    arrived_ns >= partition.to_ns || arrived_ns < partition.from_ns.saturating_sub(width_ns)
}

/// Whether nobody can believe when a flow was, for what arrived at a time.
fn is_odd(row: &Row, arrived_ns: i64) -> bool {
    let Some(start) = row.signed(id::START) else {
        return false;
    };
    let end = start.saturating_add(row.signed(id::DURATION).unwrap_or(0));
    arrived_ns.saturating_sub(start) > OLDEST_NS || end.saturating_sub(arrived_ns) > NEWEST_NS
}
