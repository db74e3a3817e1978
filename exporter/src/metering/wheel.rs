//! A timer wheel over the flows of the slab: constant time to set, move and clear a deadline, nothing per packet.
//!
//! Deadlines are hints. A packet moves its flow's true deadline without telling the wheel; when the slot comes up, the
//! owner compares the true deadline and puts the flow back if it is not due. So a flow costs one visit per timeout
//! rather than one per packet, and any slot is correct: deadlines beyond the wheel's reach are put at its end.

/// Slots of the wheel. How long a tick is depends on how far they must reach.
const SLOTS: usize = 4096;

/// The shortest tick, as a power of two in ns: 1 ms.
const LEAST_TICK_BITS: u32 = 20;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    previous: u32,
    slot: u16,
}

const UNLINKED: Link = Link {
    next: NONE,
    previous: NONE,
    slot: u16::MAX,
};

/// Doubly linked lists of flows, one for each slot.
#[derive(Debug)]
pub(super) struct TimerWheel {
    heads: Box<[u32]>,
    /// One bit for each slot that has a flow.
    occupied: Box<[u64]>,
    links: Vec<Link>,
    /// ns of a tick, as a power of two.
    tick_bits: u32,
    tick: i64,
}

impl TimerWheel {
    /// A wheel whose slots reach `reach_ns` ahead, so that flows are in the order of deadlines up to there.
    pub fn new(reach_ns: i64) -> TimerWheel {
        let enough = |bits: &u32| (SLOTS as i64 - 2) << bits >= reach_ns;
        TimerWheel {
            tick_bits: (LEAST_TICK_BITS..48).find(enough).unwrap_or(48),
            heads: vec![NONE; SLOTS].into_boxed_slice(),
            occupied: vec![0; SLOTS / 64].into_boxed_slice(),
            links: Vec::new(),
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

    /// Plans a visit of a flow that has none planned, in the first tick that begins after its deadline.
    #[inline]
    pub fn insert(&mut self, flow: u32, deadline_ns: i64) {
        let soonest = self.tick + 1;
        let tick = (self.tick_of(deadline_ns) + 1).clamp(soonest, soonest + SLOTS as i64 - 2);
        let slot = tick as usize % SLOTS;
        let at = flow as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, UNLINKED);
        }
        let next = std::mem::replace(&mut self.heads[slot], flow);
        self.links[at] = Link {
            next,
            previous: NONE,
            slot: slot as u16,
        };
        if next == NONE {
            self.occupied[slot / 64] |= 1 << (slot % 64);
        } else {
            self.links[next as usize].previous = flow;
        }
    }

    /// Cancels the visit of a flow, if one is planned.
    #[inline]
    pub fn remove(&mut self, flow: u32) {
        let Link { next, previous, slot } = std::mem::replace(&mut self.links[flow as usize], UNLINKED);
        if slot == u16::MAX {
            return;
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        if previous != NONE {
            self.links[previous as usize].next = next;
        } else {
            let slot = usize::from(slot);
            self.heads[slot] = next;
            if next == NONE {
                self.occupied[slot / 64] &= !(1 << (slot % 64));
            }
        }
    }

    /// Takes out flows whose visit is due at `now_tick`, as many as `due` has room for, and says how many; none means
    /// that the wheel has arrived there.
    pub fn take_due(&mut self, now_tick: i64, due: &mut [u32]) -> usize {
        // After one whole turn every slot has been looked at.
        self.tick = self.tick.max(now_tick.saturating_sub(SLOTS as i64));
        let mut taken = 0;
        while let Some(place) = due.get_mut(taken) {
            let flow = self.heads[self.tick as usize % SLOTS];
            if flow != NONE {
                self.remove(flow);
                *place = flow;
                taken += 1;
            } else if self.tick >= now_tick {
                break;
            } else {
                self.tick += 1;
            }
        }
        taken
    }

    /// Takes out a flow from the soonest slot that has any, and says at which tick its visit was planned.
    pub fn take_soonest(&mut self) -> Option<(u32, i64)> {
        let start = self.tick as usize % SLOTS;
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
        let flow = self.heads[slot];
        self.remove(flow);
        Some((flow, self.tick + ((slot + SLOTS - start) % SLOTS) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;
    const TICK_NS: i64 = 1 << LEAST_TICK_BITS;

    fn due(wheel: &mut TimerWheel, now_ns: i64) -> Vec<u32> {
        let (mut flows, mut due) = (Vec::new(), [0; 2]);
        loop {
            match wheel.take_due(now_ns / TICK_NS, &mut due) {
                0 => break,
                taken => flows.extend_from_slice(&due[..taken]),
            }
        }
        flows.sort_unstable();
        flows
    }

    #[test]
    fn gives_flows_in_the_tick_after_their_deadline() {
        let mut wheel = TimerWheel::new(SECOND_NS);
        for (flow, deadline) in [(0, 5), (1, 5), (2, 6), (3, 2)] {
            wheel.insert(flow, deadline * TICK_NS);
        }
        assert_eq!(due(&mut wheel, 5 * TICK_NS), [3]);
        assert_eq!(due(&mut wheel, 6 * TICK_NS), [0, 1]);
        wheel.remove(2);
        assert!(due(&mut wheel, 900_000 * TICK_NS).is_empty());
    }

    #[test]
    fn visits_far_deadlines_within_one_turn_and_all_of_them_after_a_leap() {
        let mut wheel = TimerWheel::new(SECOND_NS);
        wheel.insert(0, i64::MAX);
        wheel.insert(1, 10 * TICK_NS);
        assert_eq!(due(&mut wheel, 4094 * TICK_NS), [1]);
        assert_eq!(due(&mut wheel, 4095 * TICK_NS), [0]);
        wheel.insert(0, i64::MAX);
        assert_eq!(due(&mut wheel, i64::MAX), [0]);
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
        wheel.insert(0, 4100 * TICK_NS);
        wheel.insert(1, 4092 * TICK_NS);
        wheel.insert(2, 8000 * TICK_NS);
        wheel.insert(3, 4130 * TICK_NS);
        let order: Vec<(u32, i64)> = std::iter::from_fn(|| wheel.take_soonest()).collect();
        assert_eq!(order, [(1, 4093), (0, 4101), (3, 4131), (2, 8001)]);
    }
}
