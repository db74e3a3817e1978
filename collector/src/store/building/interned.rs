//! Values that come again and again, each kept once under a number, and columns of such numbers.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::narrow::Narrow;
use super::presence::{Presence, Rows};

/// Different values by number.
pub trait Interned: Default {
    /// What is kept once.
    type Value: ?Sized;

    /// The number of a value.
    fn number(&mut self, value: &Self::Value) -> u32;

    /// Memory they take.
    fn octets(&self) -> usize;
}

/// A column of values that are kept once each.
#[derive(Debug, Default)]
pub struct Numbered<I> {
    presence: Presence,
    /// The values.
    pub interned: I,
    numbers: Narrow,
}

impl<I: Interned> Numbered<I> {
    /// Appends the value of a row.
    #[inline]
    pub fn push(&mut self, row: u32, value: &I::Value) {
        if self.presence.note(row) {
            self.numbers.push(u64::from(self.interned.number(value)));
        }
    }

    /// Memory it takes.
    pub fn octets(&self) -> usize {
        self.presence.octets() + self.interned.octets() + self.numbers.octets()
    }

    /// Whether no row has a value.
    pub fn is_empty(&self) -> bool {
        self.presence.is_empty()
    }

    /// The values, which of `rows` rows have one, and the place of each row's in the order that `order` puts numbers into.
    pub fn finish(self, rows: u32, order: impl Iterator<Item = u32>) -> (I, Rows, Vec<u32>) {
        let mut places = Vec::new();
        for (number, place) in order.zip(0..) {
            let number = number as usize;
            if places.len() <= number {
                places.resize(number + 1, 0);
            }
            if let Some(slot) = places.get_mut(number) {
                *slot = place;
            }
        }
        let place = |number: u64| places.get(number as usize).copied().unwrap_or(0);
        let ordinals = self.numbers.map(place);
        (self.interned, self.presence.rows(rows), ordinals)
    }
}

/// Octets of different texts, by number.
#[derive(Debug, Default)]
pub struct Texts {
    table: HashTable<u32>,
    hasher: RandomState,
    octets: Vec<u8>,
    ends: Vec<usize>,
    /// What was asked for before: neighbours are often the same.
    last: u32,
}

impl Interned for Texts {
    type Value = [u8];

    fn number(&mut self, text: &[u8]) -> u32 {
        let (octets, ends) = (&self.octets, &self.ends);
        if of(octets, ends, self.last) == Some(text) {
            return self.last;
        }
        let hash = self.hasher.hash_one(text);
        let is_it = |number: &u32| of(octets, ends, *number) == Some(text);
        self.last = match self.table.find(hash, is_it) {
            Some(number) => *number,
            None => {
                let number = self.ends.len() as u32;
                self.octets.extend_from_slice(text);
                self.ends.push(self.octets.len());
                let (octets, ends, hasher) = (&self.octets, &self.ends, &self.hasher);
                let hash_of = |number: &u32| hasher.hash_one(of(octets, ends, *number).unwrap_or_default());
                self.table.insert_unique(hash, number, hash_of);
                number
            }
        };
        self.last
    }

    fn octets(&self) -> usize {
        self.table.capacity() * (size_of::<u32>() + 1)
            + self.octets.capacity()
            + self.ends.capacity() * size_of::<usize>()
    }
}

impl Texts {
    /// The text of a number.
    pub fn text(&self, number: u32) -> &[u8] {
        of(&self.octets, &self.ends, number).unwrap_or_default()
    }

    /// Numbers in the order of their texts.
    pub fn order(&self) -> Vec<u32> {
        // The first octets tell most apart.
        let first = |text: &[u8]| {
            let mut first = [0u8; 8];
            for (slot, octet) in first.iter_mut().zip(text) {
                *slot = *octet;
            }
            u64::from_be_bytes(first)
        };
        let mut keys: Vec<(u64, u32)> = (0..self.ends.len() as u32)
            .map(|number| (first(self.text(number)), number))
            .collect();
        keys.sort_unstable_by(|left, right| {
            let by_rest = || self.text(left.1).cmp(self.text(right.1));
            left.0.cmp(&right.0).then_with(by_rest)
        });
        keys.into_iter().map(|(_, number)| number).collect()
    }
}

fn of<'t>(octets: &'t [u8], ends: &[usize], number: u32) -> Option<&'t [u8]> {
    let number = number as usize;
    let start = match number.checked_sub(1) {
        Some(before) => *ends.get(before)?,
        None => 0,
    };
    octets.get(start..*ends.get(number)?)
}

/// Different addresses, by number.
#[derive(Debug, Default)]
pub struct Addresses {
    table: HashTable<u32>,
    hasher: RandomState,
    addresses: Vec<u128>,
    last: u32,
}

impl Interned for Addresses {
    type Value = u128;

    fn number(&mut self, address: &u128) -> u32 {
        let address = *address;
        let addresses = &self.addresses;
        if addresses.get(self.last as usize) == Some(&address) {
            return self.last;
        }
        let hash = self.hasher.hash_one(address);
        let is_it = |number: &u32| addresses.get(*number as usize) == Some(&address);
        self.last = match self.table.find(hash, is_it) {
            Some(number) => *number,
            None => {
                let number = self.addresses.len() as u32;
                self.addresses.push(address);
                let (addresses, hasher) = (&self.addresses, &self.hasher);
                let hash_of = |number: &u32| hasher.hash_one(addresses.get(*number as usize).copied().unwrap_or(0));
                self.table.insert_unique(hash, number, hash_of);
                number
            }
        };
        self.last
    }

    fn octets(&self) -> usize {
        self.table.capacity() * (size_of::<u32>() + 1) + self.addresses.capacity() * size_of::<u128>()
    }
}

impl Addresses {
    /// Addresses in their order, with their numbers.
    pub fn order(&self) -> Vec<(u128, u32)> {
        let mut order: Vec<(u128, u32)> = self.addresses.iter().copied().zip(0..).collect();
        order.sort_unstable();
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_has_the_same_number() {
        let mut texts = Texts::default();
        let numbers: Vec<u32> = ["", "b", "", "a", "b", "aaaaaaaab", "aaaaaaaaa"]
            .iter()
            .map(|text| texts.number(text.as_bytes()))
            .collect();
        assert_eq!(numbers, [0, 1, 0, 2, 1, 3, 4]);
        let order: Vec<&[u8]> = texts.order().into_iter().map(|number| texts.text(number)).collect();
        assert_eq!(order, [&b""[..], b"a", b"aaaaaaaaa", b"aaaaaaaab", b"b"]);
        let mut addresses = Addresses::default();
        let numbers: Vec<u32> = [9, u128::MAX, 9, 0].map(|address| addresses.number(&address)).into();
        assert_eq!(numbers, [0, 1, 0, 2]);
        let order = addresses.order();
        assert_eq!(order, [(0, 2), (9, 0), (u128::MAX, 1)]);
        let mut column = Numbered::<Addresses>::default();
        [9, u128::MAX, 9, 0]
            .iter()
            .zip(0..)
            .for_each(|(address, row)| column.push(row, address));
        let order = column.interned.order();
        let (_, rows, ordinals) = column.finish(4, order.iter().map(|(_, number)| *number));
        assert!(matches!(rows, Rows::All));
        assert_eq!(ordinals, [1, 2, 1, 0]);
    }
}
