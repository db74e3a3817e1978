//! Sequence ranges that were jumped over, so that what fills them later is told from what was seen before.

use super::probes::Tick;
use super::sequence::{is_after, is_before, later, sooner};
use crate::limits::TCP_GAPS;

/// A range not seen here below the next expected octet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gap {
    start: u32,
    end: u32,
    /// When the segment behind it was seen.
    pub opened: Tick,
    /// TSval of that segment; 0 is none.
    pub timestamp: u32,
}

/// The gaps of one direction, in no order.
#[derive(Clone, Copy, Debug)]
pub struct Gaps {
    gaps: [Gap; TCP_GAPS],
    count: u8,
}

impl Default for Gaps {
    fn default() -> Gaps {
        Gaps {
            gaps: [Gap::default(); TCP_GAPS],
            count: 0,
        }
    }
}

impl Gaps {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    fn as_slice(&self) -> &[Gap] {
        self.gaps.get(..usize::from(self.count)).unwrap_or_default()
    }

    /// Adds the gap from `start` to `end`, opened at `now` by a segment with this TSval. When there is no room for
    /// it, those that were acknowledged go; false when that does not help.
    pub fn open(&mut self, start: u32, end: u32, now: Tick, timestamp: u32, acknowledged: u32) -> bool {
        if usize::from(self.count) == TCP_GAPS {
            self.drop_before(acknowledged);
        }
        self.push(Gap {
            start,
            end,
            opened: now,
            timestamp,
        })
    }

    fn push(&mut self, gap: Gap) -> bool {
        let Some(room) = self.gaps.get_mut(usize::from(self.count)) else {
            return false;
        };
        *room = gap;
        self.count += 1;
        true
    }

    fn drop_before(&mut self, acknowledged: u32) {
        let mut at = 0;
        while let Some(gap) = self.as_slice().get(at) {
            if is_after(gap.end, acknowledged) {
                at += 1;
            } else {
                self.remove(at);
            }
        }
    }

    fn remove(&mut self, at: usize) {
        self.count -= 1;
        self.gaps.swap(at, usize::from(self.count));
    }

    /// Fills the gaps that a segment overlaps. Gives the number of octets that were missing and the first such gap as
    /// it was; none when all had been seen. The flag says that a rest found no room.
    pub fn fill(&mut self, start: u32, end: u32) -> (Option<(u32, Gap)>, bool) {
        let mut found: Option<(u32, Gap)> = None;
        let mut no_room = false;
        let mut at = 0;
        while let Some(&gap) = self.as_slice().get(at) {
            let from = later(start, gap.start);
            let to = sooner(end, gap.end);
            if !is_before(from, to) {
                at += 1;
                continue;
            }
            let octets = to.wrapping_sub(from);
            found = match found {
                Some((sum, first)) if is_before(first.start, gap.start) => Some((sum + octets, first)),
                Some((sum, _)) => Some((sum + octets, gap)),
                None => Some((octets, gap)),
            };
            self.remove(at);
            if is_before(gap.start, from) {
                no_room |= !self.push(Gap { end: from, ..gap });
            }
            if is_before(to, gap.end) {
                no_room |= !self.push(Gap { start: to, ..gap });
            }
        }
        (found, no_room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(gaps: &Gaps) -> Vec<(u32, u32)> {
        let mut ranges: Vec<_> = gaps.as_slice().iter().map(|gap| (gap.start, gap.end)).collect();
        ranges.sort_unstable();
        ranges
    }

    #[test]
    fn a_gap_is_filled_from_either_end_and_split_in_the_middle() {
        let mut gaps = Gaps::default();
        assert!(gaps.open(100, 500, Tick::of(8), 7, 0));
        assert_eq!(gaps.fill(0, 100).0.map(|found| found.0), None);
        assert_eq!(gaps.fill(50, 150).0.map(|found| found.0), Some(50));
        assert_eq!(gaps.fill(300, 350).0.map(|found| found.1.timestamp), Some(7));
        assert_eq!(missing(&gaps), [(150, 300), (350, 500)]);
        assert_eq!(
            gaps.fill(0, 1000).0.map(|found| (found.0, found.1.start)),
            Some((300, 150))
        );
        assert!(missing(&gaps).is_empty());
    }

    #[test]
    fn a_gap_may_wrap_around() {
        let mut gaps = Gaps::default();
        gaps.open(u32::MAX - 9, 20, Tick::of(0), 0, u32::MAX - 9);
        assert_eq!(gaps.fill(u32::MAX, 1).0.map(|found| found.0), Some(2));
        assert_eq!(missing(&gaps), [(1, 20), (u32::MAX - 9, u32::MAX)]);
    }

    #[test]
    fn the_33rd_gap_finds_room_only_where_one_was_acknowledged() {
        let mut gaps = Gaps::default();
        for at in 0..TCP_GAPS as u32 {
            assert!(gaps.open(at * 20, at * 20 + 10, Tick::of(0), 0, 0));
        }
        assert!(!gaps.open(9000, 9010, Tick::of(0), 0, 0));
        assert!(gaps.open(9000, 9010, Tick::of(0), 0, 15));
        assert_eq!(missing(&gaps).len(), TCP_GAPS);
        // A hole in the middle of one needs a place more.
        let (found, no_room) = gaps.fill(24, 26);
        assert_eq!((found.map(|found| found.0), no_room), (Some(2), true));
    }

    proptest::proptest! {
        /// Against a set of octets.
        #[test]
        fn what_was_missing_is_counted_as_a_set_would(
            steps in proptest::collection::vec((0u32..200, 1u32..30), 1..60),
            base in proptest::num::u32::ANY,
        ) {
            use std::collections::BTreeSet;
            let mut gaps = Gaps::default();
            let (mut missing_octets, mut next) = (BTreeSet::new(), 100);
            for (start, length) in steps {
                let (start, end) = (start.max(1), start.max(1) + length);
                if start > next {
                    if !gaps.open(base.wrapping_add(next), base.wrapping_add(start), Tick::of(0), 0, base) {
                        break;
                    }
                    missing_octets.extend(next..start);
                }
                let (found, no_room) = gaps.fill(base.wrapping_add(start), base.wrapping_add(end));
                if no_room {
                    break;
                }
                let expected = (start..end).filter(|octet| missing_octets.remove(octet)).count();
                assert_eq!(found.map_or(0, |found| found.0) as usize, expected);
                next = next.max(end);
            }
        }
    }
}
