//! From the hash of a key to the flow's place in the slab: open addressing with linear probing.
//!
//! A bucket is one 64-bit word, the hash above the place, so a probe is one cache line and the slab is touched only
//! for a flow that matches in 32 bits. Growing and deleting (by shifting back, hence no tombstones) read nothing but
//! the buckets. Exact comparison of keys is the caller's.

use super::prefetch::prefetch;

/// Buckets of an empty index.
const LEAST_BUCKETS: usize = 1024;

/// Buckets hold `hash << 32 | place + 1`; 0 is empty.
#[derive(Debug)]
pub(super) struct FlowIndex {
    buckets: Vec<u64>,
    len: usize,
}

impl FlowIndex {
    pub fn new() -> FlowIndex {
        FlowIndex {
            buckets: vec![0; LEAST_BUCKETS],
            len: 0,
        }
    }

    #[inline(always)]
    fn mask(&self) -> usize {
        self.buckets.len() - 1
    }

    /// Octets of an index that has grown to so many flows.
    pub fn octets_for(flows: usize) -> usize {
        (flows * 3).div_ceil(2).next_power_of_two().max(LEAST_BUCKETS) * size_of::<u64>()
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.buckets.capacity() * size_of::<u64>()
    }

    /// Fetches the bucket of a hash ahead of its use.
    #[inline(always)]
    pub fn prefetch(&self, hash: u32) {
        prefetch(self.buckets.as_ptr().wrapping_add(hash as usize & self.mask()));
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
        let mut at = hash as usize & mask;
        loop {
            // The mask keeps `at` within the buckets; at most 2/3 of them are taken, so an empty one ends the loop.
            let bucket = self.buckets[at & mask];
            if bucket == 0 {
                return None;
            }
            if (bucket >> 32) as u32 == hash {
                let place = bucket as u32 - 1;
                if matches(place) {
                    return Some(place);
                }
            }
            at += 1;
        }
    }

    /// Adds a place that is not there yet.
    #[inline]
    pub fn insert(&mut self, hash: u32, place: u32) {
        if (self.len + 1) * 3 > self.buckets.len() * 2 {
            self.grow();
        }
        self.len += 1;
        put(&mut self.buckets, u64::from(hash) << 32 | u64::from(place + 1));
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = vec![0; self.buckets.len() * 2];
        for bucket in self.buckets.iter().filter(|bucket| **bucket != 0) {
            put(&mut larger, *bucket);
        }
        self.buckets = larger;
    }

    /// Takes a place out and closes the gap, so that every remaining bucket is still reached from its home.
    pub fn remove(&mut self, hash: u32, place: u32) {
        let mask = self.mask();
        let wanted = u64::from(hash) << 32 | u64::from(place + 1);
        let mut gap = hash as usize & mask;
        while self.buckets[gap] != wanted {
            if self.buckets[gap] == 0 {
                debug_assert!(false, "a flow is in the index from its creation to its end");
                return;
            }
            gap = (gap + 1) & mask;
        }
        self.len -= 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let bucket = self.buckets[at];
            if bucket == 0 {
                break;
            }
            let home = (bucket >> 32) as usize & mask;
            // It may move back to the gap unless its home lies behind the gap.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.buckets[gap] = bucket;
                gap = at;
            }
        }
        self.buckets[gap] = 0;
    }
}

#[inline(always)]
fn put(buckets: &mut [u64], bucket: u64) {
    let mask = buckets.len() - 1;
    let mut at = (bucket >> 32) as usize & mask;
    while buckets[at] != 0 {
        at = (at + 1) & mask;
    }
    buckets[at] = bucket;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of pairs, with hashes from a small range so that runs of collisions form and wrap.
        #[test]
        fn keeps_what_a_list_keeps(steps in prop::collection::vec((any::<bool>(), 0u32..24, 0u32..64), 0..400)) {
            let mut index = FlowIndex::new();
            let mut model: Vec<(u32, u32)> = Vec::new();
            for (adding, spread, place) in steps {
                let hash = u32::MAX - spread;
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
                    let hash = u32::MAX - spread;
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
