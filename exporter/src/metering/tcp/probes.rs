//! Segments whose answer is a round-trip time: by timestamp as in pping (RFC 7323), else by sequence number as in tcptrace.
//!
//! At most 16 at a time. Once half of them are in use they are spread over the round-trip time instead of following
//! each other, so that a large flight is sampled all along.

use crate::limits::TCP_PROBES;

/// A time in units of 8 ns that wraps after 34 s; probes live for less than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick(u32);

impl Tick {
    /// The tick of a time in ns.
    #[inline(always)]
    pub fn of(ns: i64) -> Tick {
        Tick((ns >> 3) as u32)
    }

    /// Ticks since an earlier one; 0 if it is later, which late packets make it.
    #[inline(always)]
    pub fn since(self, earlier: Tick) -> u32 {
        let ticks = self.0.wrapping_sub(earlier.0);
        if ticks > u32::MAX - LATE { 0 } else { ticks }
    }
}

/// Ticks of µs.
pub const TICKS_PER_US: u32 = 125;
/// A probe is forgotten after 10 s.
pub const LIFETIME_NS: i64 = 10_000_000_000;
const LIFETIME: u32 = (LIFETIME_NS >> 3) as u32;
/// By how much a packet may be late: 1 s.
const LATE: u32 = 1_000_000_000 >> 3;

/// µs of a number of ticks, rounded.
#[inline(always)]
pub fn microseconds(ticks: u32) -> u32 {
    ((u64::from(ticks) + u64::from(TICKS_PER_US / 2)) / u64::from(TICKS_PER_US)) as u32
}

#[derive(Clone, Copy, Debug, Default)]
struct Probe {
    key: u32,
    sent: Tick,
}

/// Probes of one direction, oldest first; keys grow modulo 2^32.
#[derive(Clone, Copy, Debug)]
pub struct Probes {
    ring: [Probe; TCP_PROBES],
    head: u8,
    count: u8,
    /// Whether `newest` means something.
    started: bool,
    /// Keys are TSvals, not sequence numbers.
    pub by_timestamp: bool,
    /// Newest key offered.
    newest: u32,
    newest_sent: Tick,
}

const MASK: usize = TCP_PROBES - 1;

impl Default for Probes {
    fn default() -> Probes {
        Probes {
            ring: [Probe::default(); TCP_PROBES],
            head: 0,
            count: 0,
            started: false,
            by_timestamp: false,
            newest: 0,
            newest_sent: Tick::default(),
        }
    }
}

impl Probes {
    /// Begins anew for another connection.
    pub fn reset(&mut self, by_timestamp: bool) {
        (self.head, self.count, self.started, self.by_timestamp) = (0, 0, false, by_timestamp);
    }

    /// Whether an answer can be expected.
    #[inline(always)]
    pub fn any(&self) -> bool {
        self.count != 0
    }

    /// Forgets all probes; keys seen stay seen.
    pub fn clear(&mut self) {
        (self.head, self.count) = (0, 0);
    }

    /// Keeps a segment, if its key is newer than any before and there is room. `spacing` is how far apart probes are
    /// once half of them are in use, in ticks.
    #[inline(always)]
    pub fn offer(&mut self, key: u32, now: Tick, spacing: u32) {
        if self.started && key.wrapping_sub(self.newest) as i32 <= 0 {
            return;
        }
        self.started = true;
        self.newest = key;
        let count = usize::from(self.count);
        if count >= TCP_PROBES / 2 && (count == TCP_PROBES || now.since(self.newest_sent) < spacing) {
            return;
        }
        self.newest_sent = now;
        self.ring[(usize::from(self.head) + count) & MASK] = Probe { key, sent: now };
        self.count += 1;
    }

    /// Takes the probe with this TSval, and those before it, which can no longer be answered.
    #[inline(always)]
    pub fn answer_timestamp(&mut self, echo: u32, now: Tick) -> Option<Tick> {
        while self.count != 0 {
            let probe = self.ring[usize::from(self.head) & MASK];
            let ahead = probe.key.wrapping_sub(echo) as i32;
            if ahead > 0 {
                return None;
            }
            self.drop_oldest();
            if ahead == 0 {
                return (now.since(probe.sent) <= LIFETIME).then_some(probe.sent);
            }
        }
        None
    }

    /// Takes the probes that an acknowledgment covers; gives the newest of them.
    #[inline(always)]
    pub fn answer_sequence(&mut self, acknowledgment: u32, now: Tick) -> Option<Tick> {
        let mut newest = None;
        while self.count != 0 {
            let probe = self.ring[usize::from(self.head) & MASK];
            if probe.key.wrapping_sub(acknowledgment) as i32 > 0 {
                break;
            }
            self.drop_oldest();
            newest = Some(probe.sent);
        }
        newest.filter(|sent| now.since(*sent) <= LIFETIME)
    }

    /// Drops the probes behind a sequence number (Karn's rule, RFC 6298 section 3): what is sent again from there on
    /// holds up their answers.
    pub fn drop_beyond(&mut self, sequence: u32) {
        while self.count != 0 {
            let last = (usize::from(self.head) + usize::from(self.count) - 1) & MASK;
            if self.ring[last].key.wrapping_sub(sequence) as i32 <= 0 {
                break;
            }
            self.count -= 1;
        }
    }

    #[inline(always)]
    fn drop_oldest(&mut self) {
        self.head = (self.head + 1) & MASK as u8;
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: i64) -> Tick {
        Tick::of(us * 1000)
    }

    #[test]
    fn the_first_segment_of_a_timestamp_is_sampled_once() {
        let mut probes = Probes::default();
        probes.reset(true);
        probes.offer(u32::MAX, at(0), 0);
        probes.offer(u32::MAX, at(40), 0);
        probes.offer(3, at(100), 0);
        assert_eq!(probes.answer_timestamp(u32::MAX, at(500)), Some(at(0)));
        assert_eq!(probes.answer_timestamp(u32::MAX, at(600)), None);
        assert_eq!(probes.answer_timestamp(2, at(600)), None);
        assert_eq!(probes.answer_timestamp(3, at(10_000_101)), None, "older than 10 s");
        assert!(!probes.any());
    }

    #[test]
    fn the_newest_covered_segment_is_sampled_and_none_behind_one_sent_again() {
        let mut probes = Probes::default();
        probes.reset(false);
        for end in 1..=4 {
            probes.offer(end * 100, at(i64::from(end)), 0);
        }
        assert_eq!(probes.answer_sequence(250, at(50)), Some(at(2)));
        probes.drop_beyond(300);
        assert_eq!(probes.answer_sequence(400, at(60)), Some(at(3)));
        assert_eq!(probes.answer_sequence(400, at(60)), None);
    }

    #[test]
    fn many_segments_in_flight_are_probed_evenly() {
        let mut probes = Probes::default();
        probes.reset(false);
        for segment in 0..2000u32 {
            probes.offer(segment * 1000 + 1000, at(i64::from(segment)), 100 * TICKS_PER_US);
        }
        let mut taken = Vec::new();
        for segment in 0..2000u32 {
            taken.extend(probes.answer_sequence(segment * 1000 + 1000, at(5000)));
        }
        assert_eq!(taken.len(), TCP_PROBES);
        assert!(
            taken[TCP_PROBES / 2..]
                .windows(2)
                .all(|pair| pair[1].since(pair[0]) == 100 * TICKS_PER_US)
        );
    }

    #[test]
    fn ticks_wrap_and_late_packets_take_no_time() {
        assert_eq!(Tick(5).since(Tick(u32::MAX - 4)), 10);
        assert_eq!(Tick(5).since(Tick(7)), 0);
        assert_eq!(microseconds(125 * 7 + 62), 7);
        assert_eq!(microseconds(125 * 7 + 63), 8);
    }
}
