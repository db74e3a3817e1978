//! The queue between receiving and decoding: bounded by octets, counted where it drops, emptied before the program ends.
//!
//! Datagrams are dropped when it is full, since nobody waits for them. Streams wait, so that the exporter feels it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::limits::{RECYCLED_BATCH_OCTETS, RECYCLED_BATCHES};

/// What each queued part costs beside its octets, so that a flood of empty datagrams is bounded too.
const PART_OCTETS: usize = 64;

/// One datagram or Message within a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Who sent it.
    pub peer: SocketAddr,
    /// Where it ends in [`Batch::bytes`]; it begins where the one before ends.
    pub end: u32,
}

/// What one read brought, stamped: datagrams of one socket, or Messages of one connection.
#[derive(Debug)]
pub struct Batch {
    /// Which listener it came from: its place in the configuration.
    pub listener: u16,
    /// The connection, for streams; 0 for datagrams.
    pub connection: u64,
    /// When it was read, nanoseconds since 1970 UTC.
    pub received_ns: i64,
    /// The octets of all parts.
    pub bytes: Vec<u8>,
    /// The parts, in order.
    pub parts: Vec<Part>,
    /// The connection ended after these parts.
    pub closed: bool,
}

impl Batch {
    /// Adds one datagram or Message.
    pub fn push(&mut self, peer: SocketAddr, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // A batch is at most one read (DATAGRAMS_PER_READ datagrams or STREAM_BUFFER_OCTETS), far below 4 GiB.
        self.parts.push(Part {
            peer,
            end: self.bytes.len() as u32,
        });
    }

    /// Every part with its octets.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut start = 0;
        self.parts.iter().map(move |part| {
            let end = part.end as usize;
            let bytes = self.bytes.get(start..end).unwrap_or_default();
            start = end;
            (part.peer, bytes)
        })
    }

    fn cost(&self) -> usize {
        self.bytes.len() + (self.parts.len() + 1) * PART_OCTETS
    }
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    octets: usize,
    emptied: Vec<Batch>,
    closed: bool,
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    limit_octets: usize,
    state: Mutex<State>,
    filled: Condvar,
    drained: Notify,
    high_water_octets: AtomicU64,
}

/// What [`Queue::pop`] found.
#[derive(Debug)]
pub enum Popped {
    /// The oldest batch.
    Batch(Batch),
    /// Nothing came in time.
    TimedOut,
    /// The queue is empty and nothing will come any more.
    Closed,
}

impl Queue {
    /// A queue that holds at most `limit_octets` octets (and always one batch).
    pub fn new(limit_octets: usize) -> Queue {
        Queue {
            limit_octets,
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
        let emptied = self.lock().emptied.pop();
        let (bytes, parts) = emptied.map_or_else(Default::default, |batch| (batch.bytes, batch.parts));
        Batch {
            listener,
            connection,
            received_ns,
            bytes,
            parts,
            closed: false,
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
        drop(state);
        self.filled.notify_one();
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

    /// The oldest batch, waiting for one at most `timeout`.
    pub fn pop(&self, timeout: Duration) -> Popped {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(batch) = state.batches.pop_front() {
                state.octets -= batch.cost();
                drop(state);
                self.drained.notify_waiters();
                return Popped::Batch(batch);
            }
            if state.closed {
                return Popped::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Popped::TimedOut;
            }
            state = self
                .filled
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Takes back a batch that was worked off, for its buffers.
    pub fn recycle(&self, mut batch: Batch) {
        if batch.bytes.capacity() > RECYCLED_BATCH_OCTETS {
            return;
        }
        batch.bytes.clear();
        batch.parts.clear();
        let mut state = self.lock();
        if state.emptied.len() < RECYCLED_BATCHES {
            state.emptied.push(batch);
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

    #[test]
    fn parts_come_out_as_they_went_in_and_buffers_are_used_again() {
        let queue = Queue::new(1 << 20);
        queue.try_push(batch_of(&queue, &[b"abc", b"", b"de"])).unwrap();
        let Popped::Batch(batch) = queue.pop(Duration::ZERO) else {
            panic!()
        };
        let parts: Vec<_> = batch.iter().map(|(_, bytes)| bytes.to_vec()).collect();
        assert_eq!(parts, [b"abc".to_vec(), Vec::new(), b"de".to_vec()]);
        let place = batch.bytes.as_ptr();
        queue.recycle(batch);
        assert_eq!(queue.batch(0, 0, 2).bytes.as_ptr(), place);
        assert_eq!(queue.octets(), 0);
        assert!(queue.high_water_octets() > 0);
    }

    #[test]
    fn a_full_queue_gives_the_batch_back_and_a_closed_one_is_emptied_first() {
        let queue = Queue::new(300);
        queue.try_push(batch_of(&queue, &[&[0; 100]])).unwrap();
        let refused = queue.try_push(batch_of(&queue, &[&[0; 100]])).unwrap_err();
        assert_eq!(refused.bytes.len(), 100);
        queue.close();
        assert!(matches!(queue.pop(Duration::ZERO), Popped::Batch(_)));
        assert!(matches!(queue.pop(Duration::ZERO), Popped::Closed));
    }

    #[test]
    fn a_batch_beyond_the_limit_passes_an_empty_queue() {
        let queue = Queue::new(10);
        queue.try_push(batch_of(&queue, &[&[0; 100]])).unwrap();
        assert!(matches!(queue.pop(Duration::ZERO), Popped::Batch(_)));
        assert!(matches!(queue.pop(Duration::ZERO), Popped::TimedOut));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_waits_for_room_and_loses_nothing() {
        let queue = Arc::new(Queue::new(400));
        let pushing = Arc::clone(&queue);
        let pusher = tokio::spawn(async move {
            for n in 0..100u8 {
                let batch = batch_of(&pushing, &[&[n; 100]]);
                pushing.push(batch).await;
            }
            pushing.close();
        });
        let popped = tokio::task::spawn_blocking(move || {
            let mut seen = Vec::new();
            while let Popped::Batch(batch) = queue.pop(Duration::from_secs(10)) {
                seen.push(batch.bytes[0]);
            }
            seen
        });
        assert_eq!(popped.await.unwrap(), (0..100).collect::<Vec<u8>>());
        pusher.await.unwrap();
    }
}
