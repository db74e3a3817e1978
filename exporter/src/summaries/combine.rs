//! Puts counts of the same item together before they go into sketches.
//!
//! A sketch costs tens of nanoseconds an update, and each item feeds several. What comes from one address comes in runs,
//! so most of it only adds to a place of a small table; what is pushed out of it, and all at the end of a window, goes into
//! the sketches with its whole weight. The result is that of updating each time: weights add up, and a cardinality
//! counts a value once however often it comes.

use super::names::last_labels;
use super::sketch::Item;

/// One item's counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    key: u128,
    /// What was counted: packets and octets, or queries and responses.
    pub counts: [u64; 2],
    /// Octets of the item: its form; 0 when the place is free.
    length: u8,
    /// Ways that it was seen on, a bit each.
    pub ways: u8,
}

impl Place {
    /// The item.
    #[inline]
    pub fn with<R>(&self, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let octets = self.key.to_be_bytes();
        Some(take(octets.get(16 - usize::from(self.length).min(16)..)?))
    }

    /// The item's number; IPv4 addresses are as they were given.
    pub fn key(&self) -> u128 {
        self.key
    }
}

/// A table in which every item has one place, which it may have to give up to another one.
#[derive(Clone, Debug)]
pub(super) struct Combined {
    places: Box<[Place]>,
}

impl Combined {
    /// `places` is a power of two.
    pub fn new(places: usize) -> Combined {
        Combined {
            places: vec![Place::default(); places.next_power_of_two()].into_boxed_slice(),
        }
    }

    /// Adds counts to an item of `length` octets, the last ones of `key`. `sink` takes what has to make room.
    #[inline]
    pub fn count(&mut self, key: u128, length: u8, ways: u8, counts: [u64; 2], sink: impl FnOnce(&Place)) {
        let mixed = ((key >> 64) as u64 ^ (key as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (mixed >> 40) as usize & (self.places.len() - 1);
        let Some(place) = self.places.get_mut(at) else { return };
        if place.key == key && place.length == length {
            for (sum, count) in place.counts.iter_mut().zip(counts) {
                *sum = sum.saturating_add(count);
            }
            place.ways |= ways;
            return;
        }
        if place.length > 0 {
            sink(place);
        }
        *place = Place {
            key,
            counts,
            length,
            ways,
        };
    }

    /// Empties it.
    pub fn flush(&mut self, mut sink: impl FnMut(&Place)) {
        for place in self.places.iter_mut().filter(|place| place.length > 0) {
            sink(place);
            *place = Place::default();
        }
    }
}

/// Counts of every port: clients take a new one for nearly every query, which a small table would only pass on.
#[derive(Clone, Debug, Default)]
pub(super) struct Ports {
    /// Packets and octets; there are none before the first.
    counts: Vec<[u64; 2]>,
}

impl Ports {
    /// Counts a packet.
    #[inline]
    pub fn count(&mut self, port: u16, octets: u64) {
        if self.counts.is_empty() {
            self.counts = vec![[0; 2]; 1 << 16];
        }
        if let Some([packets, sum]) = self.counts.get_mut(usize::from(port)) {
            *packets += 1;
            *sum = sum.saturating_add(octets);
        }
    }

    /// Those that were seen, with their packets and octets.
    pub fn iter(&self) -> impl Iterator<Item = (u16, [u64; 2])> + '_ {
        let seen = |(_, counts): &(usize, &[u64; 2])| counts[0] > 0;
        self.counts
            .iter()
            .enumerate()
            .filter(seen)
            .map(|(port, counts)| (port as u16, *counts))
    }
}

/// What is counted of a name: queries, µs waited for answers, octets of responses.
pub(super) type NameCounts = [u64; 3];

/// The same for DNS names, whose zones are found once while they have their place.
#[derive(Clone, Debug)]
pub(super) struct CombinedNames {
    places: Box<[NamePlace]>,
}

/// A name.
#[derive(Clone, Debug)]
pub(super) struct NamePlace {
    name: Item,
    counts: NameCounts,
    /// Where its last two and its last three labels begin, as the public suffix list counts them; the name's length where
    /// it has fewer.
    labels_at: [u16; 2],
    zone_hash: u64,
}

impl NamePlace {
    pub fn name(&self) -> &[u8] {
        self.name.octets()
    }

    pub fn counts(&self) -> NameCounts {
        self.counts
    }

    fn labels(&self, which: usize) -> Option<&[u8]> {
        let labels = self.name().get(usize::from(*self.labels_at.get(which)?)..)?;
        (!labels.is_empty()).then_some(labels)
    }

    /// The last two labels.
    #[inline]
    pub fn zone(&self) -> Option<&[u8]> {
        self.labels(0)
    }

    /// The last three.
    pub fn longer(&self) -> Option<&[u8]> {
        self.labels(1)
    }

    /// What was given for the zone when the name got its place.
    #[inline]
    pub fn zone_hash(&self) -> u64 {
        self.zone_hash
    }
}

impl CombinedNames {
    /// `places` is a power of two.
    pub fn new(places: usize) -> CombinedNames {
        let free = NamePlace {
            name: Item::new(&[]),
            counts: NameCounts::default(),
            labels_at: [0; 2],
            zone_hash: 0,
        };
        CombinedNames {
            places: vec![free; places.next_power_of_two()].into_boxed_slice(),
        }
    }

    /// Adds counts to a name, and gives its place and whether it got it just now. `sink` takes a name that has to go,
    /// `hash` makes the hash of a zone.
    #[inline]
    pub fn count(
        &mut self,
        name: &[u8],
        counts: NameCounts,
        hash_zone: impl FnOnce(&[u8]) -> u64,
        sink: impl FnOnce(&NamePlace),
    ) -> Option<(&NamePlace, bool)> {
        let at = hash(name) as usize & (self.places.len() - 1);
        let place = self.places.get_mut(at)?;
        if place.name() == name {
            for (sum, count) in place.counts.iter_mut().zip(counts) {
                *sum = sum.saturating_add(count);
            }
            return Some((place, false));
        }
        if !place.name().is_empty() {
            sink(place);
        }
        let [zone, longer] = last_labels(name);
        let begins = |part: Option<&[u8]>| (name.len() - part.map_or(0, <[u8]>::len)) as u16;
        *place = NamePlace {
            name: Item::new(name),
            counts,
            labels_at: [begins(zone), begins(longer)],
            zone_hash: zone.map_or(0, hash_zone),
        };
        Some((place, true))
    }

    /// Empties it.
    pub fn flush(&mut self, mut sink: impl FnMut(&NamePlace)) {
        for place in self.places.iter_mut().filter(|place| !place.name().is_empty()) {
            sink(place);
            place.name = Item::new(&[]);
        }
    }
}

/// Pairs that were seen not long ago, so that a sketch need not be told again.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    marks: Box<[u64]>,
}

impl Seen {
    /// `places` is a power of two.
    pub fn new(places: usize) -> Seen {
        Seen {
            marks: vec![0; places.next_power_of_two()].into_boxed_slice(),
        }
    }

    /// Whether a pair of a good hash and any number is new here. Two pairs in 2^64 are taken for one.
    #[inline]
    pub fn is_new(&mut self, hash: u64, number: u128) -> bool {
        let number = (number >> 64) as u64 ^ (number as u64).rotate_left(32);
        let mark = (hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let at = (mark >> 40) as usize & (self.marks.len() - 1);
        match self.marks.get_mut(at) {
            Some(place) if *place == mark => false,
            Some(place) => {
                *place = mark;
                true
            }
            None => true,
        }
    }
}

/// Eight octets at a time; who aims at one place only makes it slower, not wrong.
#[inline]
fn hash(octets: &[u8]) -> u64 {
    let mut hash = octets.len() as u64;
    for chunk in octets.chunks(8) {
        let mut word = [0; 8];
        for (place, octet) in word.iter_mut().zip(chunk) {
            *place = *octet;
        }
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    hash >> 32
}
