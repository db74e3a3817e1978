//! Values that come again and again, each kept once under a number.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

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

impl Texts {
    /// The number of a text.
    pub fn number(&mut self, text: &[u8]) -> u32 {
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

    /// The text of a number.
    pub fn text(&self, number: u32) -> &[u8] {
        of(&self.octets, &self.ends, number).unwrap_or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
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
        let mut keys: Vec<(u64, u32)> = (0..self.len() as u32)
            .map(|number| (first(self.text(number)), number))
            .collect();
        keys.sort_unstable_by(|left, right| {
            let by_rest = || self.text(left.1).cmp(self.text(right.1));
            left.0.cmp(&right.0).then_with(by_rest)
        });
        keys.into_iter().map(|(_, number)| number).collect()
    }

    /// Memory they take.
    pub fn octets(&self) -> usize {
        self.table.capacity() * (size_of::<u32>() + 1)
            + self.octets.capacity()
            + self.ends.capacity() * size_of::<usize>()
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

impl Addresses {
    /// The number of an address.
    pub fn number(&mut self, address: u128) -> u32 {
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Addresses in their order, with their numbers.
    pub fn order(&self) -> Vec<(u128, u32)> {
        let mut order: Vec<(u128, u32)> = self.addresses.iter().copied().zip(0..).collect();
        order.sort_unstable();
        order
    }

    /// Memory they take.
    pub fn octets(&self) -> usize {
        self.table.capacity() * (size_of::<u32>() + 1) + self.addresses.capacity() * size_of::<u128>()
    }
}

/// Places in the order, by number.
pub fn ranks(order: impl Iterator<Item = u32>, count: usize) -> Vec<u32> {
    let mut ranks = vec![0; count];
    for (number, rank) in order.zip(0..) {
        if let Some(slot) = ranks.get_mut(number as usize) {
            *slot = rank;
        }
    }
    ranks
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
        let numbers: Vec<u32> = [9, u128::MAX, 9, 0].map(|address| addresses.number(address)).into();
        assert_eq!(numbers, [0, 1, 0, 2]);
        let order = addresses.order();
        assert_eq!(order, [(0, 2), (9, 0), (u128::MAX, 1)]);
        assert_eq!(ranks(order.iter().map(|(_, number)| *number), 3), [1, 2, 0]);
    }
}
