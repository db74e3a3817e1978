//! From the hash of a key to the flow's place in the slab: open addressing by lines of eight.
//!
//! A line is one cache line of hashes and places, filled from the front; what finds no room in its own goes into the next
//! one with room. So nearly every look is at one line, whose hashes are compared all at once: walking from bucket to
//! bucket, the processor guesses wrong where to stop for every other flow, which took a tenth of the time of port scans.
//! Growing and deleting (by moving back, hence no tombstones) read nothing but the lines. The slab is touched only for a
//! flow that matches in 32 bits; exact comparison of keys is the caller's.

use super::prefetch::prefetch;

/// Buckets of a line.
const LINE: usize = 8;

/// Lines of an empty index.
const LEAST_LINES: usize = 128;

/// Buckets that are one cache line. Those with a place come first.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Line {
    hashes: [u32; LINE],
    /// Place + 1; 0 is empty.
    places: [u32; LINE],
}

impl Line {
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.places[LINE - 1] != 0
    }

    /// One bit for each bucket with this hash, empty ones among them.
    #[inline(always)]
    fn with_hash(&self, hash: u32) -> u32 {
        equal(&self.hashes, hash)
    }

    /// How many places there are, of a line that is not full: halving, without a guess.
    #[inline(always)]
    fn len(&self) -> usize {
        let taken = |at: usize| usize::from(self.places[at & (LINE - 1)] != 0);
        let mut len = 4 * taken(3);
        len += 2 * taken(len + 1);
        len + taken(len)
    }

    /// Adds a place to a line that is not full.
    #[inline(always)]
    fn push(&mut self, hash: u32, place: u32) {
        let at = self.len() & (LINE - 1);
        self.hashes[at] = hash;
        self.places[at] = place;
    }

    /// Where a place is.
    #[inline(always)]
    fn position(&self, hash: u32, place: u32) -> Option<usize> {
        let mut found = self.with_hash(hash);
        while found != 0 {
            let at = found.trailing_zeros() as usize & (LINE - 1);
            if self.places[at] == place {
                return Some(at);
            }
            found &= found - 1;
        }
        None
    }

    /// Takes a bucket out and fills its place with the last one.
    #[inline(always)]
    fn remove(&mut self, at: usize) {
        let last = if self.is_full() { LINE } else { self.len() } - 1;
        let (at, last) = (at & (LINE - 1), last & (LINE - 1));
        self.hashes[at] = self.hashes[last];
        self.places[at] = self.places[last];
        self.places[last] = 0;
    }
}

/// Places of flows by the hashes of their keys.
#[derive(Debug)]
pub(super) struct FlowIndex {
    /// A power of two; a flow's home is the line that the low bits of its hash number.
    lines: Vec<Line>,
    len: usize,
}

impl FlowIndex {
    pub fn new() -> FlowIndex {
        FlowIndex {
            lines: vec![Line::default(); LEAST_LINES],
            len: 0,
        }
    }

    #[inline(always)]
    fn mask(&self) -> usize {
        self.lines.len() - 1
    }

    /// Octets of an index that has grown to so many flows.
    pub fn octets_for(flows: usize) -> usize {
        let buckets = (flows * 3).div_ceil(2).next_power_of_two();
        buckets.max(LEAST_LINES * LINE) / LINE * size_of::<Line>()
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }

    /// Fetches the line of a hash ahead of its use.
    #[inline(always)]
    pub fn prefetch(&self, hash: u32) {
        prefetch(self.lines.as_ptr().wrapping_add(hash as usize & self.mask()));
    }

    /// The first place with this hash; most probably the one that is meant.
    #[inline(always)]
    pub fn likely(&self, hash: u32) -> Option<u32> {
        self.find(hash, |_| true)
    }

    /// The place with this hash for which `matches` holds.
    #[inline(always)]
    pub fn find(&self, hash: u32, mut matches: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.mask();
        let mut at = hash as usize;
        loop {
            // The mask keeps `at` within the lines; at most 2/3 of the buckets are taken, so a line with room ends the loop.
            let line = &self.lines[at & mask];
            let mut found = line.with_hash(hash);
            while found != 0 {
                let place = line.places[found.trailing_zeros() as usize & (LINE - 1)];
                if place != 0 && matches(place - 1) {
                    return Some(place - 1);
                }
                found &= found - 1;
            }
            if !line.is_full() {
                return None;
            }
            at += 1;
        }
    }

    /// Adds a place that is not there yet.
    #[inline]
    pub fn insert(&mut self, hash: u32, place: u32) {
        if (self.len + 1) * 3 > self.lines.len() * LINE * 2 {
            self.grow();
        }
        self.len += 1;
        put(&mut self.lines, hash, place + 1);
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = vec![Line::default(); self.lines.len() * 2];
        for line in &self.lines {
            for (hash, place) in line.hashes.iter().zip(line.places) {
                if place != 0 {
                    put(&mut larger, *hash, place);
                }
            }
        }
        self.lines = larger;
    }

    /// Takes a place out. What had found no room in its line moves back, so that it is still reached from there.
    #[inline]
    pub fn remove(&mut self, hash: u32, place: u32) {
        let mask = self.mask();
        let mut at = hash as usize & mask;
        let bucket = loop {
            let line = &self.lines[at];
            if let Some(bucket) = line.position(hash, place + 1) {
                break bucket;
            }
            if !line.is_full() {
                debug_assert!(false, "a flow is in the index from its creation to its end");
                return;
            }
            at = (at + 1) & mask;
        };
        self.len -= 1;
        if self.lines[at].is_full() {
            self.remove_from_full(at, bucket);
        } else {
            self.lines[at].remove(bucket);
        }
    }

    /// Closes the gap in a line that was full: others may have passed it by.
    #[cold]
    fn remove_from_full(&mut self, mut gap: usize, mut bucket: usize) {
        let mask = self.mask();
        let mut at = gap;
        while self.lines[at].is_full() {
            at = (at + 1) & mask;
            let line = self.lines[at];
            // It may move back to the gap unless its home lies behind the gap.
            let from_gap = at.wrapping_sub(gap) & mask;
            let passed = |home: u32| at.wrapping_sub(home as usize) & mask >= from_gap;
            let moves = (0..LINE).find(|bucket| line.places[*bucket] != 0 && passed(line.hashes[*bucket]));
            if let Some(other) = moves {
                let to = &mut self.lines[gap];
                (to.hashes[bucket], to.places[bucket]) = (line.hashes[other], line.places[other]);
                (gap, bucket) = (at, other);
            }
        }
        self.lines[gap].remove(bucket);
    }
}

/// One bit for each of the numbers that is `wanted`. The compiler makes 30 instructions of the loop below, which is one look
/// at the index; these are 9, and port scans take 4 looks for each flow.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn equal(numbers: &[u32; LINE], wanted: u32) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi32, _mm_movemask_epi8, _mm_packs_epi16, _mm_packs_epi32, _mm_set_epi32, _mm_set1_epi32,
    };
    let [a, b, c, d, e, f, g, h] = numbers.map(|number| number as i32);
    // SAFETY: every x86-64 has SSE2, and these work on values alone.
    unsafe {
        let wanted = _mm_set1_epi32(wanted as i32);
        let low = _mm_cmpeq_epi32(_mm_set_epi32(d, c, b, a), wanted);
        let high = _mm_cmpeq_epi32(_mm_set_epi32(h, g, f, e), wanted);
        let both = _mm_packs_epi32(low, high);
        _mm_movemask_epi8(_mm_packs_epi16(both, both)) as u32 & 0xff
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn equal(numbers: &[u32; LINE], wanted: u32) -> u32 {
    let mut found = 0;
    for (at, number) in numbers.iter().enumerate() {
        found |= u32::from(*number == wanted) << at;
    }
    found
}

/// Adds a place + 1 to the first line with room.
#[inline(always)]
fn put(lines: &mut [Line], hash: u32, place: u32) {
    let mask = lines.len() - 1;
    let mut at = hash as usize & mask;
    while lines[at].is_full() {
        at = (at + 1) & mask;
    }
    lines[at].push(hash, place);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Eight hashes for each of the last three lines.
    fn hash_of(spread: u32) -> u32 {
        u32::MAX - spread % 3 - ((spread / 3) << 20)
    }

    proptest! {
        /// Against a list of pairs, with hashes of few lines so that these overflow, the last one into the first.
        #[test]
        fn keeps_what_a_list_keeps(steps in prop::collection::vec((any::<bool>(), 0u32..24, 0u32..64), 0..400)) {
            let mut index = FlowIndex::new();
            let mut model: Vec<(u32, u32)> = Vec::new();
            for (adding, spread, place) in steps {
                let hash = hash_of(spread);
                let known = model.iter().position(|(_, other)| *other == place);
                match (adding, known) {
                    (true, None) => {
                        index.insert(hash, place);
                        model.push((hash, place));
                    }
                    (false, Some(at)) => {
                        let (hash, place) = model.swap_remove(at);
                        index.remove(hash, place);
                    }
                    _ => {}
                }
                prop_assert_eq!(index.len, model.len());
            }
            for place in 0..64 {
                let expected = model.iter().find(|(_, other)| *other == place);
                for spread in 0..24 {
                    let hash = hash_of(spread);
                    let found = index.find(hash, |candidate| candidate == place);
                    prop_assert_eq!(found.is_some(), expected.is_some_and(|(home, _)| *home == hash));
                }
            }
        }
    }

    #[test]
    fn grows_and_still_finds() {
        let mut index = FlowIndex::new();
        let hash = |place: u32| place.wrapping_mul(0x9e37_79b9);
        for place in 0..10_000 {
            index.insert(hash(place), place);
        }
        for place in (0..10_000).step_by(2) {
            index.remove(hash(place), place);
        }
        for place in 0..10_000 {
            assert_eq!(
                index.find(hash(place), |found| found == place).is_some(),
                place % 2 == 1
            );
        }
        assert_eq!(index.len, 5000);
    }
}
