//! The queue between receiving and the journal: bounded by octets, counted where it drops, emptied before the program ends.
//!
//! Datagrams are dropped when it is full, since nobody waits for them. Streams wait, so that the exporter feels it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::journal::{Entry, Kind};
use crate::limits::{RECYCLED_BATCH_OCTETS, RECYCLED_BATCHES};

/// What one read brought, stamped: datagrams of one socket, or Messages of one connection, as they go into the journal.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which listener it came from: its place in the configuration.
    pub listener: u16,
    /// The connection, for streams; 0 for datagrams.
    pub connection: u64,
    /// When it was read, nanoseconds since 1970 UTC.
    pub received_ns: i64,
    /// Entries of the journal. Their headers also bound a flood of empty datagrams.
    pub bytes: Vec<u8>,
    /// Datagrams or Messages in it.
    pub received: u64,
    /// Their octets.
    pub octets: u64,
    /// The position in the journal, once it is there.
    pub start: u64,
    sync: u32,
}

impl Batch {
    /// Adds one datagram or Message.
    pub fn push(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let kind = if self.connection == 0 {
            Kind::Datagram
        } else {
            Kind::Message
        };
        self.add(kind, peer, bytes);
        self.received += 1;
        self.octets += bytes.len() as u64;
    }

    /// Adds that the connection ended.
    pub fn close(&mut self, peer: SocketAddr) {
        self.add(Kind::Closed, peer, &[]);
    }

    fn add(&mut self, kind: Kind, peer: SocketAddr, bytes: &[u8]) {
        let entry = Entry {
            kind,
            listener: self.listener,
            peer,
            connection: self.connection,
            received_ns: self.received_ns,
            bytes,
        };
        entry.encode(self.sync, &mut self.bytes);
    }

    /// Every entry, with the position behind it.
    pub fn iter(&self) -> impl Iterator<Item = (Entry<'_>, u64)> {
        let mut rest = self.bytes.as_slice();
        let mut position = self.start;
        std::iter::from_fn(move || {
            let entry = Entry::decode_own(rest)?;
            rest = rest.get(entry.octets()..).unwrap_or_default();
            position += entry.octets() as u64;
            Some((entry, position))
        })
    }

    /// What it counts for where octets are bounded.
    pub fn cost(&self) -> usize {
        self.bytes.len()
    }
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    octets: usize,
    emptied: Vec<Vec<u8>>,
    closed: bool,
    is_waiting: bool,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    limit_octets: usize,
    sync: u32,
    state: Mutex<State>,
    filled: Condvar,
    drained: Notify,
    high_water_octets: AtomicU64,
}

/// What [`Queue::pop`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped {
    /// Batches.
    Batches,
    /// Nothing came in time.
    TimedOut,
    /// The queue is empty and nothing will come any more.
    Closed,
}

impl Queue {
    /// A queue that holds at most `limit_octets` octets (and always one batch), for a journal whose entries are found by
    /// `sync`.
    pub fn new(limit_octets: usize, sync: u32) -> Queue {
        Queue {
            limit_octets,
            sync,
            state: Mutex::default(),
            filled: Condvar::new(),
            drained: Notify::new(),
            high_water_octets: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can leave the state half changed, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty batch, in the buffers of an earlier one when there are any.
    pub fn batch(&self, listener: u16, connection: u64, received_ns: i64) -> Batch {
        let bytes = self.lock().emptied.pop().unwrap_or_default();
        Batch {
            listener,
            connection,
            received_ns,
            bytes,
            received: 0,
            octets: 0,
            start: 0,
            sync: self.sync,
        }
    }

    /// Queues a batch, or gives it back when the queue is full.
    pub fn try_push(&self, batch: Batch) -> Result<(), Batch> {
        let cost = batch.cost();
        let mut state = self.lock();
        if state.octets + cost > self.limit_octets && !state.batches.is_empty() {
            return Err(batch);
        }
        state.octets += cost;
        state.batches.push_back(batch);
        self.high_water_octets.fetch_max(state.octets as u64, Ordering::Relaxed);
        // Waking nobody costs a system call all the same.
        let is_waiting = std::mem::take(&mut state.is_waiting);
        drop(state);
        if is_waiting {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Queues a batch, waiting for room: a stream's back-pressure.
    pub async fn push(&self, mut batch: Batch) {
        loop {
            let room = self.drained.notified();
            tokio::pin!(room);
            // Registered before the attempt, so that room made in between is not missed.
            room.as_mut().enable();
            match self.try_push(batch) {
                Ok(()) => return,
                Err(refused) => batch = refused,
            }
            room.await;
        }
    }

    /// Queues a batch, waiting for room at most until `deadline`; for threads that empty a socket before the end.
    pub fn push_until(&self, mut batch: Batch, deadline: Instant) -> Result<(), Batch> {
        loop {
            match self.try_push(batch) {
                Ok(()) => return Ok(()),
                Err(refused) if Instant::now() >= deadline => return Err(refused),
                Err(refused) => batch = refused,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The oldest batches, at most `most` of them and (but for the first) of at most `octets` octets together, waiting for one
    /// at most `timeout`.
    pub fn pop(&self, timeout: Duration, most: usize, octets: usize, into: &mut Vec<Batch>) -> Popped {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if !state.batches.is_empty() {
                let mut taken = 0;
                let fits = |batch: &&Batch| {
                    let is_first = taken == 0;
                    let sum = taken + batch.cost();
                    let fits = is_first || sum <= octets;
                    taken = if fits { sum } else { taken };
                    fits
                };
                let count = state.batches.iter().take(most).take_while(fits).count();
                into.extend(state.batches.drain(..count));
                state.octets -= taken;
                drop(state);
                self.drained.notify_waiters();
                return Popped::Batches;
            }
            if state.closed {
                return Popped::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Popped::TimedOut;
            }
            state.is_waiting = true;
            state = self
                .filled
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Takes back a batch that was worked off, for its buffer.
    pub fn recycle(&self, batch: Batch) {
        let mut bytes = batch.bytes;
        if bytes.capacity() > RECYCLED_BATCH_OCTETS {
            return;
        }
        bytes.clear();
        let mut state = self.lock();
        if state.emptied.len() < RECYCLED_BATCHES {
            state.emptied.push(bytes);
        }
    }

    /// Nothing will be pushed any more; what is queued is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Octets queued now.
    pub fn octets(&self) -> u64 {
        self.lock().octets as u64
    }

    /// The most octets that were queued at one time.
    pub fn high_water_octets(&self) -> u64 {
        self.high_water_octets.load(Ordering::Relaxed)
    }

    /// The octets it may hold.
    pub fn limit_octets(&self) -> u64 {
        self.limit_octets as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

    fn batch_of(queue: &Queue, datagrams: &[&[u8]]) -> Batch {
        let mut batch = queue.batch(0, 0, 1);
        datagrams.iter().for_each(|bytes| batch.push(PEER, bytes));
        batch
    }

    fn pop(queue: &Queue) -> Option<Batch> {
        let mut batches = Vec::new();
        queue.pop(Duration::ZERO, 1, usize::MAX, &mut batches);
        batches.pop()
    }

    #[test]
    fn entries_come_out_as_they_went_in_and_buffers_are_used_again() {
        let queue = Queue::new(1 << 20, 7);
        let mut batch = batch_of(&queue, &[b"abc", b"", b"de"]);
        batch.close(PEER);
        assert_eq!((batch.received, batch.octets), (3, 5));
        batch.start = 1_000;
        queue.try_push(batch).unwrap();
        let batch = pop(&queue).unwrap();
        let entries: Vec<_> = batch
            .iter()
            .map(|(entry, _)| (entry.kind, entry.bytes.to_vec()))
            .collect();
        let datagrams = [&b"abc"[..], b"", b"de"].map(|bytes| (Kind::Datagram, bytes.to_vec()));
        assert_eq!(entries[..3], datagrams);
        assert_eq!(entries[3], (Kind::Closed, Vec::new()));
        let behind = batch.iter().last().unwrap().1;
        assert_eq!(behind, 1_000 + batch.bytes.len() as u64);
        let place = batch.bytes.as_ptr();
        queue.recycle(batch);
        assert_eq!(queue.batch(0, 0, 2).bytes.as_ptr(), place);
        assert_eq!(queue.octets(), 0);
        assert!(queue.high_water_octets() > 0);
    }

    #[test]
    fn a_full_queue_gives_the_batch_back_and_a_closed_one_is_emptied_first() {
        let queue = Queue::new(300, 7);
        queue.try_push(batch_of(&queue, &[&[0; 100]])).unwrap();
        let refused = queue.try_push(batch_of(&queue, &[&[0; 100]])).unwrap_err();
        assert_eq!(refused.octets, 100);
        queue.close();
        let mut batches = Vec::new();
        assert_eq!(queue.pop(Duration::ZERO, 9, usize::MAX, &mut batches), Popped::Batches);
        assert_eq!(queue.pop(Duration::ZERO, 9, usize::MAX, &mut batches), Popped::Closed);
        assert_eq!(batches.len(), 1);
    }

    #[test]
    fn a_batch_beyond_the_limit_passes_an_empty_queue() {
        let queue = Queue::new(10, 7);
        queue.try_push(batch_of(&queue, &[&[0; 100]])).unwrap();
        assert!(pop(&queue).is_some());
        assert_eq!(
            queue.pop(Duration::ZERO, 9, usize::MAX, &mut Vec::new()),
            Popped::TimedOut
        );
    }

    #[test]
    fn what_is_handed_out_at_once_is_bounded_by_octets_too() {
        let queue = Queue::new(1 << 20, 7);
        for octets in [1_000, 200, 200, 700, 10] {
            queue.try_push(batch_of(&queue, &[&vec![0; octets]])).unwrap();
        }
        let mut handed = Vec::new();
        let mut batches = Vec::new();
        while queue.pop(Duration::ZERO, 9, 900, &mut batches) == Popped::Batches {
            handed.push(batches.drain(..).map(|batch| batch.octets).collect::<Vec<_>>());
            let queued = [vec![1_000], vec![200, 200], vec![700, 10]];
            let left = queued.iter().skip(handed.len()).flatten();
            // 56 octets before each, as the journal's format has it.
            assert_eq!(queue.octets(), left.map(|octets| octets + 56).sum::<u64>());
        }
        assert_eq!(handed, [vec![1_000], vec![200, 200], vec![700, 10]]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_waits_for_room_and_loses_nothing() {
        let queue = Arc::new(Queue::new(400, 7));
        let pushing = Arc::clone(&queue);
        let pusher = tokio::spawn(async move {
            for n in 0..100u8 {
                let batch = batch_of(&pushing, &[&[n; 100]]);
                pushing.push(batch).await;
            }
            pushing.close();
        });
        let popped = tokio::task::spawn_blocking(move || {
            let (mut seen, mut batches) = (Vec::new(), Vec::new());
            while queue.pop(Duration::from_secs(10), 2, usize::MAX, &mut batches) == Popped::Batches {
                for batch in batches.drain(..) {
                    seen.extend(batch.iter().map(|(entry, _)| entry.bytes[0]));
                }
            }
            seen
        });
        assert_eq!(popped.await.unwrap(), (0..100).collect::<Vec<u8>>());
        pusher.await.unwrap();
    }
}
