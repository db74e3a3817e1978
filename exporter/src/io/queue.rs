//! The queue of one destination: bounded by records, because that is what takes the memory.
//!
//! Live, a full queue gives up its oldest batch and metering goes on; when reading files, metering waits instead.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::destination::SharedMetering;
use crate::exporting::accounts::{DestinationAccounts, Loss, Volume};
use crate::exporting::limits::SPARE_BATCHES;
use crate::metering::Records;

use crate::spool::HandedFile;

/// Flow records on their way to all destinations: shared, not copied.
pub type Batch = Arc<Records>;

/// Batches that every destination is done with, whose memory the next ones take: growing a list of records anew for each
/// batch costs more than encoding it.
#[derive(Debug, Default)]
pub struct Spares(Mutex<Vec<Records>>);

impl Spares {
    /// Takes a batch back. The last destination to give it back gives its memory back.
    pub fn give(&self, batch: Batch) {
        if let Ok(records) = Arc::try_unwrap(batch) {
            let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if spares.len() < SPARE_BATCHES {
                spares.push(records);
            }
        }
    }

    /// One that was given back.
    pub fn take(&self) -> Option<Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// What [`BatchQueue::pop`] found.
#[derive(Debug)]
pub enum Popped {
    /// The oldest batch.
    Batch(Batch),
    /// Nothing within the time.
    Timeout,
    /// Nothing, and nothing will come.
    Closed,
}

/// The queue between metering and one destination's thread.
#[derive(Debug)]
pub struct BatchQueue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    capacity: usize,
    accounts: Arc<DestinationAccounts>,
    /// Where it is noted what was handed over, for whoever comes after a violent end.
    handed: OnceLock<(HandedFile, Arc<SharedMetering>)>,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    records: usize,
    closed: bool,
    /// The destination is gone for good: what comes is lost at once.
    dead: bool,
    /// Someone waits for room.
    waiting: bool,
}

impl BatchQueue {
    /// Holds at most `capacity` records; counts into `accounts`.
    pub fn new(capacity: usize, accounts: Arc<DestinationAccounts>) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            capacity,
            accounts,
            handed: OnceLock::new(),
        }
    }

    /// Notes from now on what is handed over.
    pub(crate) fn note_handed(&self, file: HandedFile, metering: Arc<SharedMetering>) {
        let _ = self.handed.set((file, metering));
    }

    /// To be called with the state locked, so that what is noted grows.
    fn note(&self) {
        if let Some((file, metering)) = self.handed.get() {
            let (handed, dropped) = self.accounts.handed_and_dropped();
            file.note([handed, dropped, metering.open_flows()]);
        }
    }

    /// Adds a batch, dropping the oldest ones while there is no room. Says how many records that cost.
    pub fn push_dropping(&self, now_ns: i64, batch: Batch) -> u64 {
        let mut state = self.lock();
        self.accounts.add_queued(batch.len() as u64);
        if state.dead {
            self.accounts.add_lost(now_ns, Loss::Failed, Volume::of(&batch));
            return batch.len() as u64;
        }
        let mut dropped = 0;
        while !state.batches.is_empty() && state.records + batch.len() > self.capacity {
            let Some(oldest) = state.take() else { break };
            dropped += oldest.len() as u64;
            self.accounts.add_lost(now_ns, Loss::QueueFull, Volume::of(&oldest));
        }
        state.add(batch);
        self.note();
        drop(state);
        self.filled.notify_one();
        dropped
    }

    /// Adds a batch as soon as there is room. A destination that takes nothing gives up by itself, which ends the waiting.
    pub fn push_waiting(&self, now_ns: i64, batch: Batch) {
        let state = self.lock();
        let mut state = self
            .emptied
            .wait_while(state, |state| {
                state.waiting = !state.dead && !state.batches.is_empty() && state.records + batch.len() > self.capacity;
                state.waiting
            })
            .unwrap_or_else(PoisonError::into_inner);
        self.accounts.add_queued(batch.len() as u64);
        if state.dead {
            self.accounts.add_lost(now_ns, Loss::Failed, Volume::of(&batch));
            return;
        }
        state.add(batch);
        self.note();
        drop(state);
        self.filled.notify_one();
    }

    /// Takes the oldest batch, waiting for one at most `timeout`.
    pub fn pop(&self, timeout: Duration) -> Popped {
        let state = self.lock();
        let mut state = self
            .filled
            .wait_timeout_while(state, timeout, |state| state.batches.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        match state.take() {
            Some(batch) => {
                // Whoever waits gets room for several batches at once: waking a thread costs more than filling one.
                if state.waiting && state.records <= self.capacity / 2 {
                    drop(state);
                    self.emptied.notify_one();
                }
                Popped::Batch(batch)
            }
            None if state.closed => Popped::Closed,
            None => Popped::Timeout,
        }
    }

    /// Nothing more will come; what is queued can still be taken.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        // Metering has ended: no flow is open any more.
        self.note();
        drop(state);
        self.filled.notify_all();
    }

    /// Whether [`Self::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Records that wait.
    pub fn records(&self) -> usize {
        self.lock().records
    }

    /// The destination has failed for good: gives up what is queued, and what comes from now on.
    pub fn give_up(&self, now_ns: i64, loss: Loss) {
        let mut state = self.lock();
        state.dead = true;
        while let Some(batch) = state.take() {
            self.accounts.add_lost(now_ns, loss, Volume::of(&batch));
        }
        drop(state);
        self.emptied.notify_all();
    }

    /// Whether the destination has failed for good.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// A thread that panicked between two consistent states left nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, batch: Batch) {
        self.records += batch.len();
        self.batches.push_back(batch);
    }

    fn take(&mut self) -> Option<Batch> {
        let batch = self.batches.pop_front()?;
        self.records -= batch.len();
        Some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporting::samples;

    fn batch(records: usize) -> Batch {
        Arc::new(vec![samples::udp(); records].into())
    }

    fn queue(capacity: usize) -> (BatchQueue, Arc<DestinationAccounts>) {
        let accounts = Arc::new(DestinationAccounts::new("test"));
        (BatchQueue::new(capacity, accounts.clone()), accounts)
    }

    fn popped(queue: &BatchQueue) -> usize {
        match queue.pop(Duration::ZERO) {
            Popped::Batch(batch) => batch.len(),
            Popped::Timeout => 0,
            Popped::Closed => usize::MAX,
        }
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_are_counted() {
        let (queue, accounts) = queue(10);
        assert_eq!(queue.push_dropping(1, batch(4)), 0);
        assert_eq!(queue.push_dropping(2, batch(5)), 0);
        assert_eq!(queue.push_dropping(3, batch(3)), 4);
        assert_eq!(queue.records(), 8);
        let now = accounts.snapshot();
        let one = Volume::of(&vec![samples::udp()].into());
        assert_eq!((now.queued, now.lost_total(), now.waiting()), (12, 4, 8));
        assert_eq!(now.lost_for(Loss::QueueFull), 4);
        assert_eq!(now.lost_packets, 4 * one.packets);
        assert_eq!(now.lost_octets, 4 * one.octets);
        assert_eq!(popped(&queue), 5);
        assert_eq!(popped(&queue), 3);
        assert_eq!(popped(&queue), 0);
        queue.close();
        assert_eq!(popped(&queue), usize::MAX);
    }

    #[test]
    fn one_batch_larger_than_the_queue_still_passes() {
        let (queue, accounts) = queue(2);
        assert_eq!(queue.push_dropping(1, batch(5)), 0);
        assert_eq!(popped(&queue), 5);
        assert_eq!(accounts.snapshot().lost_total(), 0);
    }

    #[test]
    fn waiting_ends_when_there_is_room() {
        let (queue, accounts) = queue(4);
        queue.push_waiting(1, batch(4));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                assert_eq!(popped(&queue), 4);
            });
            queue.push_waiting(1, batch(2));
        });
        assert_eq!(popped(&queue), 2);
        assert_eq!(accounts.snapshot().lost_total(), 0);
    }

    #[test]
    fn memory_comes_back_from_the_last_destination_only() {
        let spares = Spares::default();
        let batch = batch(3);
        spares.give(batch.clone());
        assert!(spares.take().is_none());
        spares.give(batch);
        assert_eq!(spares.take().map(|records| records.len()), Some(3));
        for _ in 0..2 * SPARE_BATCHES {
            spares.give(self::batch(1));
        }
        assert_eq!(std::iter::from_fn(|| spares.take()).count(), SPARE_BATCHES);
    }

    #[test]
    fn waiting_ends_when_the_destination_gives_up() {
        let (queue, accounts) = queue(4);
        queue.push_waiting(1, batch(4));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                queue.give_up(2, Loss::DrainTimeout);
            });
            queue.push_waiting(1, batch(2));
        });
        let now = accounts.snapshot();
        assert_eq!((now.lost_for(Loss::Failed), now.lost_for(Loss::DrainTimeout)), (2, 4));
    }

    #[test]
    fn a_dead_destination_blocks_nobody_and_counts_all() {
        let (queue, accounts) = queue(4);
        queue.push_dropping(1, batch(3));
        queue.give_up(2, Loss::Failed);
        queue.push_waiting(3, batch(2));
        assert_eq!(queue.push_dropping(4, batch(1)), 1);
        let now = accounts.snapshot();
        assert_eq!((now.queued, now.lost_total(), now.waiting()), (6, 6, 0));
        assert_eq!(now.lost_for(Loss::Failed), 6);
        assert_eq!((now.first_lost_ns, now.last_lost_ns), (2, 4));
    }
}
