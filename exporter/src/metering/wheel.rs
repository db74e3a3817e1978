//! A timer wheel over the flows of the slab: constant time to set and move a deadline, nothing per packet.
//!
//! Deadlines are hints. A packet moves its flow's true deadline without telling the wheel; when the slot comes up, the
//! owner compares the true deadline and plans another visit if it is not due. So a flow costs one visit per timeout
//! rather than one per packet, and any slot is correct: deadlines beyond the wheel's reach are put at its end.
//!
//! A slot is a list of chunks of one cache line, and entries are never taken out of the middle: a flow remembers the slot
//! of its one valid entry, and its owner passes over others. Entries thus lie in the order in which flows began, and
//! which flows come next is known before they are needed: they are fetched from memory ahead of their visit.

use super::prefetch::prefetch;

/// Slots of the wheel. How long a tick is depends on how far they must reach.
const SLOTS: usize = 4096;

/// The shortest tick, as a power of two in ns: 1 ms.
const LEAST_TICK_BITS: u32 = 20;

/// Flows of a chunk.
const CHUNK_FLOWS: usize = 7;

const NONE: u32 = u32::MAX;

/// A flow whose visit is planned. The hash of its key is there so that its bucket of the index can be fetched with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Planned {
    pub flow: u32,
    pub hash: u32,
}

/// Flows whose visits are planned for the same slot.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Chunk {
    flows: [Planned; CHUNK_FLOWS],
    len: u32,
    /// The chunk behind it, of the slot or of those to use again.
    next: u32,
}

const EMPTY: Chunk = Chunk {
    flows: [Planned { flow: 0, hash: 0 }; CHUNK_FLOWS],
    len: 0,
    next: NONE,
};

#[derive(Clone, Copy, Debug)]
struct Slot {
    first: u32,
    last: u32,
}

/// A planned visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    /// The flow. It is meant only if `slot` is where its visit is planned.
    pub flow: u32,
    /// The slot of the visit.
    pub slot: u16,
}

/// The slot of a flow without a planned visit.
pub(super) const NO_SLOT: u16 = u16::MAX;

/// Lists of flows, one for each slot.
#[derive(Debug)]
pub(super) struct TimerWheel {
    slots: Box<[Slot]>,
    /// One bit for each slot that has a flow.
    occupied: Box<[u64]>,
    chunks: Vec<Chunk>,
    /// The first of the chunks to use again.
    vacant: u32,
    /// Entries in all slots, valid or not.
    entries: usize,
    /// The chunk whose visits are under way, how many of them are done, and its slot.
    current: Chunk,
    visited: usize,
    slot: u16,
    /// ns of a tick, as a power of two.
    tick_bits: u32,
    tick: i64,
}

impl TimerWheel {
    /// A wheel whose slots reach `reach_ns` ahead, so that flows are in the order of deadlines up to there.
    pub fn new(reach_ns: i64) -> TimerWheel {
        let enough = |bits: &u32| (SLOTS as i64 - 2) << bits >= reach_ns;
        let empty = Slot {
            first: NONE,
            last: NONE,
        };
        TimerWheel {
            tick_bits: (LEAST_TICK_BITS..48).find(enough).unwrap_or(48),
            slots: vec![empty; SLOTS].into_boxed_slice(),
            occupied: vec![0; SLOTS / 64].into_boxed_slice(),
            chunks: Vec::new(),
            vacant: NONE,
            entries: 0,
            current: EMPTY,
            visited: 0,
            slot: 0,
            tick: 0,
        }
    }

    /// Which tick a time belongs to.
    #[inline(always)]
    pub fn tick_of(&self, time_ns: i64) -> i64 {
        time_ns >> self.tick_bits
    }

    /// The tick whose slot was looked at last.
    #[inline(always)]
    pub fn tick(&self) -> i64 {
        self.tick
    }

    /// Sets the clock, as for the first packet or one from long before; flows stay where they are and are visited
    /// within one turn.
    pub fn set_tick(&mut self, tick: i64) {
        self.tick = tick;
    }

    /// Entries there are, those of visits that are meant no more included.
    #[inline(always)]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Octets of the visits of so many flows, one planned for each.
    pub fn octets_for(flows: usize) -> usize {
        flows.div_ceil(CHUNK_FLOWS) * size_of::<Chunk>()
    }

    /// Octets of the entries.
    pub fn octets(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Plans a visit of a flow, in the first tick that begins after its deadline, and says in which slot: the only one
    /// whose entry of it is meant from now on.
    #[inline]
    #[must_use]
    pub fn insert(&mut self, flow: Planned, deadline_ns: i64) -> u16 {
        let soonest = self.tick + 1;
        let tick = (self.tick_of(deadline_ns) + 1).clamp(soonest, soonest + SLOTS as i64 - 2);
        let slot = (tick as usize % SLOTS) as u16;
        self.put(flow, slot);
        slot
    }

    /// Whether a slot comes up before a deadline has passed.
    #[inline(always)]
    pub fn is_before(&self, slot: u16, deadline_ns: i64) -> bool {
        let ahead = (usize::from(slot) + SLOTS - self.tick as usize % SLOTS) % SLOTS;
        slot != NO_SLOT && self.tick + ahead as i64 <= self.tick_of(deadline_ns) + 1
    }

    /// Adds an entry to a slot.
    #[inline(always)]
    pub fn put(&mut self, flow: Planned, slot: u16) {
        let last = self.slots[usize::from(slot) % SLOTS].last;
        self.entries += 1;
        if let Some(chunk) = self.chunks.get_mut(last as usize)
            && let Some(place) = chunk.flows.get_mut(chunk.len as usize)
        {
            *place = flow;
            chunk.len += 1;
            return;
        }
        self.put_in_new_chunk(flow, slot);
    }

    fn put_in_new_chunk(&mut self, flow: Planned, slot: u16) {
        let mut chunk = Chunk { len: 1, ..EMPTY };
        chunk.flows[0] = flow;
        let at = self.vacant;
        let at = match self.chunks.get_mut(at as usize) {
            Some(vacant) => {
                self.vacant = vacant.next;
                *vacant = chunk;
                at
            }
            None => {
                self.chunks.push(chunk);
                (self.chunks.len() - 1) as u32
            }
        };
        let slot = usize::from(slot) % SLOTS;
        let last = std::mem::replace(&mut self.slots[slot].last, at);
        match self.chunks.get_mut(last as usize) {
            Some(last) => last.next = at,
            None => {
                self.slots[slot].first = at;
                self.occupied[slot / 64] |= 1 << (slot % 64);
            }
        }
    }

    /// Forgets every entry.
    pub fn clear(&mut self) {
        let TimerWheel { tick, tick_bits, .. } = *self;
        self.slots.fill(Slot {
            first: NONE,
            last: NONE,
        });
        self.occupied.fill(0);
        self.chunks.clear();
        self.vacant = NONE;
        self.entries = 0;
        self.visited = 0;
        self.current.len = 0;
        (self.tick, self.tick_bits) = (tick, tick_bits);
    }

    /// Takes the next visit of those under way.
    #[inline(always)]
    pub fn next(&mut self) -> Option<Visit> {
        let flow = *self.current.flows.get(..self.current.len as usize)?.get(self.visited)?;
        self.visited += 1;
        self.entries -= 1;
        Some(Visit {
            flow: flow.flow,
            slot: self.slot,
        })
    }

    /// The flows that are visited behind those under way: to be fetched from memory. Asks itself for the chunk behind
    /// theirs.
    pub fn following(&self) -> &[Planned] {
        let own = self.slots[usize::from(self.slot)].first;
        let next = self.slots[(usize::from(self.slot) + 1) % SLOTS].first;
        let at = if own == NONE { next } else { own };
        let Some(chunk) = self.chunks.get(at as usize) else {
            return &[];
        };
        prefetch(self.chunks.as_ptr().wrapping_add(match chunk.next {
            NONE => next as usize,
            behind => behind as usize,
        }));
        chunk.flows.get(..chunk.len as usize).unwrap_or_default()
    }

    /// Makes the next chunk that is due the one whose visits are under way; false when there is none.
    pub fn load(&mut self, now_tick: i64) -> bool {
        // After one whole turn every slot has been looked at.
        self.tick = self.tick.max(now_tick.saturating_sub(SLOTS as i64));
        loop {
            if self.detach(self.tick as usize % SLOTS) {
                return true;
            }
            if self.tick >= now_tick {
                return false;
            }
            self.tick += 1;
        }
    }

    /// Takes the first chunk of a slot to be visited.
    fn detach(&mut self, slot: usize) -> bool {
        let at = self.slots[slot].first;
        let Some(chunk) = self.chunks.get_mut(at as usize) else {
            return false;
        };
        self.current = *chunk;
        self.visited = 0;
        self.slot = slot as u16;
        let next = std::mem::replace(&mut chunk.next, self.vacant);
        self.vacant = at;
        self.slots[slot].first = next;
        if next == NONE {
            self.slots[slot].last = NONE;
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
        true
    }

    /// Takes a visit from the soonest slot that has any, and says for which tick it was planned.
    pub fn take_soonest(&mut self) -> Option<(Visit, i64)> {
        let start = self.tick as usize % SLOTS;
        if self.visited == self.current.len as usize {
            let (word, bit) = (start / 64, start % 64);
            let words = self.occupied.len();
            // The first word twice: the bits from `start` on first, those before it last.
            let slot = (0..=words).find_map(|step| {
                let at = (word + step) % words;
                let bits = match step {
                    0 => self.occupied[at] & (u64::MAX << bit),
                    step if step == words => self.occupied[at] & !(u64::MAX << bit),
                    _ => self.occupied[at],
                };
                (bits != 0).then(|| at * 64 + bits.trailing_zeros() as usize)
            })?;
            self.detach(slot);
        }
        let visit = self.next()?;
        let ahead = (usize::from(visit.slot) + SLOTS - start) % SLOTS;
        Some((visit, self.tick + ahead as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;
    const TICK_NS: i64 = 1 << LEAST_TICK_BITS;

    fn planned(flow: u32) -> Planned {
        Planned { flow, hash: !flow }
    }

    fn visits(wheel: &mut TimerWheel, now_tick: i64) -> Vec<Visit> {
        let mut visits = Vec::new();
        loop {
            visits.extend(std::iter::from_fn(|| wheel.next()));
            if !wheel.load(now_tick) {
                return visits;
            }
        }
    }

    fn due(wheel: &mut TimerWheel, now_ns: i64) -> Vec<u32> {
        let mut flows: Vec<u32> = visits(wheel, now_ns / TICK_NS).iter().map(|visit| visit.flow).collect();
        flows.sort_unstable();
        flows
    }

    #[test]
    fn gives_flows_in_the_tick_after_their_deadline() {
        let mut wheel = TimerWheel::new(SECOND_NS);
        for (flow, deadline) in [(0, 5), (1, 5), (2, 6), (3, 2)] {
            assert_eq!(wheel.insert(planned(flow), deadline * TICK_NS), deadline as u16 + 1);
        }
        assert_eq!(due(&mut wheel, 5 * TICK_NS), [3]);
        assert_eq!(due(&mut wheel, 6 * TICK_NS), [0, 1]);
        assert_eq!(wheel.entries(), 1);
        assert_eq!(due(&mut wheel, 900_000 * TICK_NS), [2]);
        assert!(due(&mut wheel, 900_001 * TICK_NS).is_empty());
        assert_eq!(wheel.entries(), 0);
    }

    #[test]
    fn visits_far_deadlines_within_one_turn_and_all_of_them_after_a_leap() {
        let mut wheel = TimerWheel::new(SECOND_NS);
        assert_eq!(wheel.insert(planned(0), i64::MAX), 4095);
        assert_eq!(wheel.insert(planned(1), 10 * TICK_NS), 11);
        assert_eq!(due(&mut wheel, 4094 * TICK_NS), [1]);
        assert_eq!(due(&mut wheel, 4095 * TICK_NS), [0]);
        let _ = wheel.insert(planned(0), i64::MAX);
        assert_eq!(due(&mut wheel, i64::MAX), [0]);
    }

    #[test]
    fn tells_slots_before_a_deadline() {
        let mut wheel = TimerWheel::new(SECOND_NS);
        for start in [0, 4000, 5000] {
            wheel.set_tick(start);
            let slot = wheel.insert(planned(0), (start + 200) * TICK_NS);
            assert!(wheel.is_before(slot, (start + 200) * TICK_NS));
            assert!(!wheel.is_before(slot, (start + 199) * TICK_NS));
            assert!(!wheel.is_before(NO_SLOT, i64::MAX));
        }
    }

    #[test]
    fn ticks_grow_with_the_reach() {
        for (reach_ns, bits) in [
            (0, 20),
            (SECOND_NS, 20),
            (15 * SECOND_NS, 22),
            (3600 * SECOND_NS, 30),
            (i64::MAX, 48),
        ] {
            let wheel = TimerWheel::new(reach_ns);
            assert_eq!(wheel.tick_bits, bits, "{reach_ns}");
        }
    }

    #[test]
    fn finds_the_soonest_across_the_wrap() {
        let mut wheel = TimerWheel::new(SECOND_NS);
        wheel.set_tick(4090);
        for (flow, tick) in [(0, 4100), (1, 4092), (2, 8000), (3, 4130)] {
            let _ = wheel.insert(planned(flow), tick * TICK_NS);
        }
        let order: Vec<(u32, i64)> = std::iter::from_fn(|| wheel.take_soonest())
            .map(|(visit, tick)| (visit.flow, tick))
            .collect();
        assert_eq!(order, [(1, 4093), (0, 4101), (3, 4131), (2, 8001)]);
    }

    #[test]
    fn many_flows_of_one_slot_come_in_order_and_their_memory_is_used_again() {
        let mut wheel = TimerWheel::new(SECOND_NS);
        for round in 0..3 {
            let deadline = round * 2 * TICK_NS;
            for flow in 0..1000 {
                assert_eq!(wheel.insert(planned(flow), deadline), (round * 2 + 1) as u16);
            }
            assert!(wheel.load(round * 2 + 1));
            assert_eq!(wheel.following(), (7..14).map(planned).collect::<Vec<_>>());
            let visits = visits(&mut wheel, round * 2 + 1);
            assert!(visits.iter().map(|visit| visit.flow).eq(0..1000));
            assert!(visits.iter().all(|visit| i64::from(visit.slot) == round * 2 + 1));
        }
        assert_eq!(wheel.chunks.len(), 1000_usize.div_ceil(CHUNK_FLOWS));
        let _ = wheel.insert(planned(1), 0);
        wheel.clear();
        assert_eq!((wheel.entries(), visits(&mut wheel, i64::MAX)), (0, Vec::new()));
    }
}
