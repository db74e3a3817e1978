//! Hands what was journaled to indexing in memory, so that the disk is not read back in the normal case. When indexing
//! falls behind by more than the bound, nothing is handed over until it has caught up by reading the journal.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::io::queue::Batch;

#[derive(Debug)]
struct State {
    batches: VecDeque<Batch>,
    octets: usize,
    /// Behind what is in the journal, and so where indexing is when it has caught up.
    end: u64,
    /// Indexing reads the journal: what comes is not handed over.
    is_behind: bool,
    is_waiting: bool,
    closed: bool,
}

/// The way from the journal to indexing.
#[derive(Debug)]
pub struct Handover {
    limit_octets: usize,
    state: Mutex<State>,
    filled: Condvar,
}

/// What indexing does next.
#[derive(Debug)]
pub enum Next {
    /// Take this batch.
    Batch(Batch),
    /// Read the journal up to this position.
    Read(u64),
    /// Nothing came in time.
    TimedOut,
    /// Everything was taken and nothing will come any more.
    Closed,
}

impl Handover {
    /// One for a journal that ends at `end` now; indexing begins behind, by reading.
    pub fn new(limit_octets: usize, end: u64) -> Handover {
        Handover {
            limit_octets,
            state: Mutex::new(State {
                batches: VecDeque::new(),
                octets: 0,
                end,
                is_behind: true,
                is_waiting: false,
                closed: false,
            }),
            filled: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can leave the state half changed, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a batch that is in the journal now, up to `end`. Gives it back when indexing shall read it there.
    pub fn offer(&self, batch: Batch, end: u64) -> Result<(), Batch> {
        let mut state = self.lock();
        state.end = end;
        if !state.batches.is_empty() && state.octets + batch.cost() > self.limit_octets {
            state.is_behind = true;
        }
        let result = if state.is_behind {
            Err(batch)
        } else {
            state.octets += batch.cost();
            state.batches.push_back(batch);
            Ok(())
        };
        self.wake(state);
        result
    }

    /// Hands a batch over where there is no journal to read: waits for room.
    pub fn push(&self, batch: Batch) {
        let mut state = self.lock();
        // Nothing was ever written that could be read.
        state.is_behind = false;
        while !state.batches.is_empty() && state.octets + batch.cost() > self.limit_octets {
            drop(state);
            std::thread::sleep(Duration::from_millis(1));
            state = self.lock();
        }
        state.octets += batch.cost();
        state.batches.push_back(batch);
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        // Waking nobody costs a system call all the same.
        let is_waiting = std::mem::take(&mut state.is_waiting);
        drop(state);
        if is_waiting {
            self.filled.notify_one();
        }
    }

    /// What is next for indexing that has done everything before `position`; waits at most `timeout`.
    pub fn next(&self, position: u64, timeout: Duration) -> Next {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            // What was handed over before falling behind comes first: it is older than what is only in the journal.
            if let Some(batch) = state.batches.pop_front() {
                state.octets -= batch.cost();
                return Next::Batch(batch);
            }
            if state.is_behind {
                if position < state.end {
                    return Next::Read(state.end);
                }
                state.is_behind = false;
            }
            if state.closed {
                return Next::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Next::TimedOut;
            }
            state.is_waiting = true;
            state = self
                .filled
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Nothing will be journaled any more.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.is_waiting = true;
        self.wake(state);
    }

    /// Octets handed over and not taken.
    pub fn octets(&self) -> u64 {
        self.lock().octets as u64
    }

    /// Whether indexing reads the journal now.
    pub fn is_behind(&self) -> bool {
        self.lock().is_behind
    }
}
