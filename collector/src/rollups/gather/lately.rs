//! Small tables of what came lately, and numbers for texts that come again and again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::RandomState;

use crate::limits;

/// Sums of what came lately, each in the one place its hash gives it; what was there leaves.
#[derive(Debug)]
pub struct Lately<K, V> {
    pub places: Vec<Option<(K, V)>>,
}

impl<K: Copy + Eq + Hash, V: Copy> Lately<K, V> {
    pub fn new(places: usize) -> Lately<K, V> {
        Lately {
            places: vec![None; places.next_power_of_two()],
        }
    }

    /// Adds to a key's sum; gives back what had to leave for it.
    #[inline]
    pub fn add(&mut self, hasher: &RandomState, key: K, value: V, sum: impl FnOnce(&mut V, V)) -> Option<(K, V)> {
        let mask = self.places.len() - 1;
        let place = self.places.get_mut(hasher.hash_one(key) as usize & mask)?;
        match place {
            Some((held, held_value)) if *held == key => {
                sum(held_value, value);
                None
            }
            _ => place.replace((key, value)),
        }
    }
}

/// Texts that come again and again as numbers; 0 is no text, the last number all texts without a place.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Box<str>, u32, RandomState>,
    texts: Vec<Box<str>>,
}

/// The number of all texts without a place.
pub const OTHER_NAME: u32 = u32::MAX;

impl Names {
    #[inline]
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        if self.texts.len() >= limits::ROLLUP_NAMES {
            return OTHER_NAME;
        }
        self.texts.push(text.into());
        let number = self.texts.len() as u32;
        self.numbers.insert(text.into(), number);
        number
    }

    pub fn text(&self, number: u32) -> Option<&str> {
        let at = (number as usize).checked_sub(1)?;
        self.texts.get(at).map(AsRef::as_ref)
    }
}
