//! An index of bounded places and bounded search: buckets of eight, one cache line each.
//!
//! A bucket that is full gives up its oldest entry instead of growing a chain, so that nobody can make looking up slow by
//! sending what falls into one bucket.

/// Entries of a bucket.
const WAYS: usize = 8;

/// From hash to place. The owner knows what is at a place and compares.
#[derive(Debug)]
pub(super) struct Buckets {
    /// Tag of the hash above the place plus 1; 0 is no entry. The newest is first.
    buckets: Vec<[u64; WAYS]>,
    most: usize,
}

impl Buckets {
    /// For at most `places`: with that many there are two to four times as many entries. Takes memory with the first use.
    pub fn new(places: usize) -> Buckets {
        Buckets {
            buckets: Vec::new(),
            most: (places / 4).next_power_of_two().max(2),
        }
    }

    #[inline]
    fn bucket(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.buckets.len().wrapping_sub(1))
    }

    /// The newest place under a hash for which `is_it` holds.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let bucket = self.buckets.get(self.bucket(hash))?;
        let tagged = |entry: &u64| *entry != 0 && (entry >> 32) as u32 == hash as u32;
        bucket
            .iter()
            .filter(|entry| tagged(entry))
            .map(|entry| *entry as u32 - 1)
            .find(|place| is_it(*place))
    }

    /// Adds a place. Gives back the one that had to make room.
    #[inline]
    pub fn insert(&mut self, hash: u64, place: u32) -> Option<u32> {
        if self.buckets.is_empty() {
            self.buckets = vec![[0; WAYS]; self.most];
        }
        let at = self.bucket(hash);
        let bucket = self.buckets.get_mut(at)?;
        let vacant = bucket.iter().position(|entry| *entry == 0);
        let last = vacant.unwrap_or(WAYS - 1);
        let oldest = bucket.get(last).copied().unwrap_or_default();
        bucket.copy_within(..last, 1);
        bucket[0] = u64::from(hash as u32) << 32 | (u64::from(place) + 1);
        (oldest as u32).checked_sub(1)
    }

    /// Takes out what [`Buckets::insert`] put in; without it there, nothing happens.
    #[inline]
    pub fn remove(&mut self, hash: u64, place: u32) {
        let at = self.bucket(hash);
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        let meant = |entry: &u64| *entry as u32 == place + 1;
        if let Some(found) = bucket.iter().position(meant) {
            bucket.copy_within(found + 1.., found);
            bucket[WAYS - 1] = 0;
        }
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.buckets.capacity() * size_of::<[u64; WAYS]>()
    }
}

/// Spreads a hash of 32 bits and a number over 64 bits, of which the upper half picks the bucket.
#[inline]
pub(super) fn spread(hash: u32, number: u16) -> u64 {
    let mixed = (u64::from(hash) << 16 | u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_gives_up_its_oldest() {
        let mut buckets = Buckets::new(8);
        assert_eq!(buckets.find(7, |_| true), None);
        for place in 0..8 {
            assert_eq!(buckets.insert(7, place), None);
        }
        assert_eq!(buckets.find(7, |_| true), Some(7));
        assert_eq!(buckets.find(7, |place| place < 3), Some(2));
        assert_eq!(buckets.insert(7, 8), Some(0));
        buckets.remove(7, 5);
        assert_eq!(buckets.find(7, |place| place == 5), None);
        assert_eq!(buckets.find(7, |place| place == 4), Some(4));
        assert_eq!(buckets.insert(7, 9), None);
        assert_eq!(buckets.insert(7, 10), Some(1));
        // Same bucket, another tag.
        assert_eq!(buckets.find(8, |_| true), None);
    }

    #[test]
    fn many_of_one_client_spread() {
        // Ids in a row, as some clients count them, behind one hash.
        let mut buckets = Buckets::new(1 << 16);
        let evicted = (0..1u32 << 15).filter(|id| buckets.insert(spread(0x1234_5678, *id as u16), *id).is_some());
        assert!(evicted.count() < 50);
    }
}
