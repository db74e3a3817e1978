//! Puts counts of the same item together before they go into sketches.
//!
//! A sketch costs tens of nanoseconds an update, and each item feeds three. Packets of one address come in runs, so most of
//! them only add to a place of a small table; what is pushed out of it, and all at the end of a window, goes into the
//! sketches with its whole weight. The result is that of updating for each packet: weights add up, and a cardinality
//! counts a value once however often it comes.

use super::sketch::{Cardinality, Item, List};

/// One item's counts.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: u128,
    /// Octets of the item: its form; 0 when the place is free.
    length: u8,
    packets: u32,
    octets: u64,
}

/// Where counts go.
#[derive(Debug)]
pub(super) struct Sinks<'s> {
    pub different: &'s mut Cardinality,
    pub packets: &'s mut List,
    pub octets: Option<&'s mut List>,
}

impl Sinks<'_> {
    #[inline]
    fn take(&mut self, place: &Place) {
        let octets = place.key.to_be_bytes();
        let Some(octets) = octets.get(16 - usize::from(place.length).min(16)..) else {
            return;
        };
        self.different.update(octets);
        let item = Item::new(octets);
        if let Some(list) = &mut self.octets {
            list.update(item.clone(), place.octets);
        }
        self.packets.update(item, u64::from(place.packets));
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

    /// Counts a packet of an item of `length` octets, the last ones of `key`.
    #[inline]
    pub fn count(&mut self, key: u128, length: u8, octets: u64, sinks: &mut Sinks<'_>) {
        let mixed = ((key >> 64) as u64 ^ (key as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (mixed >> 40) as usize & (self.places.len() - 1);
        let Some(place) = self.places.get_mut(at) else { return };
        if place.key == key && place.length == length && place.packets < u32::MAX {
            place.packets += 1;
            place.octets = place.octets.saturating_add(octets);
            return;
        }
        if place.length > 0 {
            sinks.take(place);
        }
        *place = Place {
            key,
            length,
            packets: 1,
            octets,
        };
    }

    /// Empties it.
    pub fn flush(&mut self, sinks: &mut Sinks<'_>) {
        for place in &mut self.places {
            if place.length > 0 {
                sinks.take(place);
                *place = Place::default();
            }
        }
    }
}

/// The same for names, which bring their number of transactions only.
#[derive(Clone, Debug)]
pub(super) struct CombinedNames {
    places: Box<[NamePlace]>,
}

#[derive(Clone, Debug)]
struct NamePlace {
    name: Item,
    /// Transactions, those with a query, and those with a response.
    counts: [u32; 3],
}

impl CombinedNames {
    /// `places` is a power of two.
    pub fn new(places: usize) -> CombinedNames {
        let free = NamePlace {
            name: Item::new(&[]),
            counts: [0; 3],
        };
        CombinedNames {
            places: vec![free; places.next_power_of_two()].into_boxed_slice(),
        }
    }

    /// Counts a transaction; `sink` takes a name that has to go, with its counts.
    #[inline]
    pub fn count(&mut self, name: &[u8], counts: [u32; 3], mut sink: impl FnMut(&[u8], [u32; 3])) {
        let at = hash(name) as usize & (self.places.len() - 1);
        let Some(place) = self.places.get_mut(at) else { return };
        if place.name.octets() == name {
            for (sum, count) in place.counts.iter_mut().zip(counts) {
                *sum = sum.saturating_add(count);
            }
            return;
        }
        if !place.name.octets().is_empty() {
            sink(place.name.octets(), place.counts);
        }
        *place = NamePlace {
            name: Item::new(name),
            counts,
        };
    }

    /// Empties it.
    pub fn flush(&mut self, mut sink: impl FnMut(&[u8], [u32; 3])) {
        for place in &mut self.places {
            if !place.name.octets().is_empty() {
                sink(place.name.octets(), place.counts);
                place.name = Item::new(&[]);
                place.counts = [0; 3];
            }
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
