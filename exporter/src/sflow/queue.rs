//! Between metering and the sending thread: sampled packets in slots that are there from the start, and what was counted
//! of each interface.
//!
//! Live, a sample that finds no room is a drop of its interface, and metering goes on; packets of files wait.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flowgauge_templates::packet::LinkType;

use super::limits::{MAX_SOURCES, QUEUED_SAMPLES, SAMPLED_OCTETS, TAKEN_SAMPLES, WAKING_SAMPLES};
use crate::capture::Frame;

/// What one interface carried, as far as frames were looked at; only counted for files, where no system can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Octets on the wire.
    pub octets: u64,
    /// Frames to a group of receivers, not to all.
    pub multicast: u64,
    /// Frames to all.
    pub broadcast: u64,
}

/// What was counted of one interface, of all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceTotals {
    /// Its number.
    pub interface: u32,
    /// Packets that were left out.
    pub skipped: u64,
    /// Packets that were taken.
    pub sampled: u64,
    /// Of these, those that found no room.
    pub dropped: u64,
    /// What it carried, for files.
    pub traffic: Traffic,
}

impl SourceTotals {
    /// Packets that could have been sampled.
    pub fn pool(&self) -> u64 {
        self.skipped + self.sampled
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A sampled packet.
    #[default]
    Packet,
    /// Counters of an interface of a file.
    Counters,
}

/// A packet that was sampled, or counters of a file, and what its interface had counted at that moment.
#[derive(Clone, Copy)]
pub struct Sample {
    /// Which of the two.
    pub kind: Kind,
    /// When, ns since 1970 UTC.
    pub time_ns: i64,
    /// The interface's place among all.
    pub source: usize,
    /// What was counted up to this sample.
    pub totals: SourceTotals,
    /// How its first header reads.
    pub link_type: LinkType,
    /// Octets it had on the wire.
    pub wire_length: u32,
    length: usize,
    octets: [u8; SAMPLED_OCTETS],
}

impl Default for Sample {
    fn default() -> Self {
        Sample {
            kind: Kind::Packet,
            time_ns: 0,
            source: 0,
            totals: SourceTotals::default(),
            link_type: LinkType::ETHERNET,
            wire_length: 0,
            length: 0,
            octets: [0; SAMPLED_OCTETS],
        }
    }
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("kind", &self.kind)
            .field("source", &self.source)
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}

impl Sample {
    /// Its first octets.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }

    /// Becomes a sample of a frame.
    pub fn set_frame(&mut self, frame: &Frame<'_>) {
        self.kind = Kind::Packet;
        self.time_ns = frame.time_ns;
        self.link_type = frame.link_type;
        self.wire_length = frame.wire_length;
        self.length = frame.bytes.len().min(SAMPLED_OCTETS);
        for (place, octet) in self.octets.iter_mut().zip(frame.bytes) {
            *place = *octet;
        }
    }
}

struct State {
    slots: Box<[Sample]>,
    first: usize,
    len: usize,
    sources: Vec<SourceTotals>,
    beyond: u64,
    closed: bool,
    dead: bool,
}

/// The queue.
pub struct SampleQueue {
    state: Mutex<State>,
    ready: Condvar,
    room: Condvar,
    /// Whether who brings samples waits for room.
    waits: bool,
}

impl fmt::Debug for SampleQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleQueue")
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}

/// What the sending thread found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped {
    /// There are samples, or none in time.
    Open,
    /// There are none and no more will come.
    Closed,
}

impl SampleQueue {
    /// An empty one; `waits` when reading files.
    pub fn new(waits: bool) -> SampleQueue {
        SampleQueue {
            state: Mutex::new(State {
                slots: vec![Sample::default(); QUEUED_SAMPLES].into(),
                first: 0,
                len: 0,
                sources: Vec::new(),
                beyond: 0,
                closed: false,
                dead: false,
            }),
            ready: Condvar::new(),
            room: Condvar::new(),
            waits,
        }
    }

    /// The place of an interface, the same for all workers; none when there are too many.
    pub fn source(&self, interface: u32) -> Option<usize> {
        let mut state = self.lock();
        let sources = &mut state.sources;
        if let Some(place) = sources.iter().position(|source| source.interface == interface) {
            return Some(place);
        }
        if sources.len() == MAX_SOURCES {
            return None;
        }
        sources.push(SourceTotals {
            interface,
            ..SourceTotals::default()
        });
        Some(sources.len() - 1)
    }

    /// Packets were left out of which no sample tells yet, and traffic passed.
    pub fn add_skipped(&self, source: usize, skipped: u64, traffic: &Traffic) {
        let mut state = self.lock();
        state.add(source, skipped, traffic);
    }

    /// Packets of interfaces beyond those that can be sampled.
    pub fn add_beyond(&self, packets: u64) {
        self.lock().beyond += packets;
    }

    /// Brings a sample, written into its slot by `fill`; `skipped` packets were left out before it.
    pub fn push(&self, source: usize, skipped: u64, traffic: &Traffic, kind: Kind, fill: impl FnOnce(&mut Sample)) {
        let mut state = self.lock();
        state.add(source, skipped, traffic);
        while self.waits && state.len == state.slots.len() && !state.dead {
            self.ready.notify_one();
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let is_full = state.len == state.slots.len() || state.dead;
        let Some(totals) = state.sources.get_mut(source) else {
            return;
        };
        if kind == Kind::Packet {
            totals.sampled += 1;
            totals.dropped += u64::from(is_full);
        }
        if is_full {
            return;
        }
        let totals = *totals;
        let slots = state.slots.len();
        let at = (state.first + state.len) % slots;
        if let Some(slot) = state.slots.get_mut(at) {
            fill(slot);
            (slot.kind, slot.source, slot.totals) = (kind, source, totals);
        }
        state.len += 1;
        if state.len == WAKING_SAMPLES {
            self.ready.notify_one();
        }
    }

    /// Takes the oldest samples, waiting for at most this long for the first.
    pub fn pop(&self, samples: &mut Vec<Sample>, wait: Duration) -> Popped {
        samples.clear();
        let mut state = self.lock();
        if state.len == 0 && !state.closed && !wait.is_zero() {
            state = self
                .ready
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        if state.len == 0 && state.closed {
            return Popped::Closed;
        }
        let taken = state.len.min(TAKEN_SAMPLES);
        let slots = state.slots.len();
        for at in 0..taken {
            let at = (state.first + at) % slots;
            samples.extend(state.slots.get(at).copied());
        }
        state.first = (state.first + taken) % slots;
        state.len -= taken;
        drop(state);
        if taken > 0 && self.waits {
            self.room.notify_all();
        }
        Popped::Open
    }

    /// No more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_all();
    }

    /// Nobody takes samples any more; says how many were waiting.
    pub fn give_up(&self) -> u64 {
        let mut state = self.lock();
        state.dead = true;
        let waiting = (0..state.len)
            .filter_map(|at| state.slots.get((state.first + at) % state.slots.len()))
            .filter(|sample| sample.kind == Kind::Packet)
            .count();
        state.len = 0;
        drop(state);
        self.room.notify_all();
        waiting as u64
    }

    /// Whether nobody takes samples any more.
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }

    /// What was counted of each interface, and packets of interfaces beyond those.
    pub fn totals(&self) -> (Vec<SourceTotals>, u64) {
        let state = self.lock();
        (state.sources.clone(), state.beyond)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, source: usize, skipped: u64, traffic: &Traffic) {
        if let Some(totals) = self.sources.get_mut(source) {
            totals.skipped += skipped;
            totals.traffic.octets += traffic.octets;
            totals.traffic.multicast += traffic.multicast;
            totals.traffic.broadcast += traffic.broadcast;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &SampleQueue, source: usize, skipped: u64, time_ns: i64) {
        queue.push(source, skipped, &Traffic::default(), Kind::Packet, |sample| {
            sample.time_ns = time_ns;
        });
    }

    #[test]
    fn samples_come_in_order_with_what_was_counted() {
        let queue = SampleQueue::new(false);
        let source = queue.source(7).unwrap();
        assert_eq!(queue.source(7), Some(source));
        push(&queue, source, 9, 1);
        push(&queue, source, 4, 2);
        let mut samples = Vec::new();
        assert_eq!(queue.pop(&mut samples, Duration::ZERO), Popped::Open);
        let pools: Vec<_> = samples
            .iter()
            .map(|sample| (sample.time_ns, sample.totals.pool(), sample.totals.interface))
            .collect();
        assert_eq!(pools, [(1, 10, 7), (2, 15, 7)]);
        queue.close();
        assert_eq!(queue.pop(&mut samples, Duration::from_secs(60)), Popped::Closed);
    }

    #[test]
    fn a_full_queue_counts_drops_and_says_so_with_the_next_sample() {
        let queue = SampleQueue::new(false);
        let source = queue.source(1).unwrap();
        for time in 0..QUEUED_SAMPLES as i64 + 5 {
            push(&queue, source, 0, time);
        }
        let mut samples = Vec::new();
        queue.pop(&mut samples, Duration::ZERO);
        assert_eq!(samples.len(), TAKEN_SAMPLES);
        assert_eq!(samples[0].totals.dropped, 0);
        push(&queue, source, 0, -1);
        let mut last = samples[0];
        while queue.pop(&mut samples, Duration::ZERO) == Popped::Open && !samples.is_empty() {
            last = samples[samples.len() - 1];
        }
        assert_eq!((last.time_ns, last.totals.dropped), (-1, 5));
        assert_eq!(last.totals.pool(), QUEUED_SAMPLES as u64 + 6);
    }

    #[test]
    fn files_wait_for_room_and_for_nobody_who_is_gone() {
        let queue = SampleQueue::new(true);
        let source = queue.source(1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..6000).for_each(|time| push(&queue, source, 1, time)));
            let (mut samples, mut taken) = (Vec::new(), 0);
            while taken < 2000 {
                queue.pop(&mut samples, Duration::from_secs(10));
                taken += samples.len();
            }
            queue.give_up();
        });
        let (totals, _) = queue.totals();
        assert_eq!((totals[0].sampled, totals[0].skipped), (6000, 6000));
        assert!(totals[0].dropped > 0, "those that came when nobody took them");
    }
}
