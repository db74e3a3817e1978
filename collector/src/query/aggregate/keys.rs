//! Numbers the groups of one segment: codes of all columns packed into one number as narrow as the segment allows.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};

use super::super::QueryError;
use super::values::{LocalCode, Reader};
use crate::limits;

/// Keys of at most this many bits are places of a table, when the table is not much larger than the documents.
const DENSE_BITS: u32 = 22;
/// Places of the table for each document.
const DENSE_PLACES: u64 = 32;
/// A place of the table that has no group yet.
const NO_GROUP: u32 = u32::MAX;

/// How one part of a key is packed: 0 is absent, otherwise one more than the distance from the least code.
#[derive(Clone, Copy, Debug)]
struct Part {
    shift: u32,
    bits: u32,
    code_bits: u32,
    least: u64,
}

impl Part {
    fn new(kinds: usize, least: u64, largest: u64) -> Self {
        let distance = u128::from(largest.saturating_sub(least)) + 1;
        let code_bits = u128::BITS - distance.leading_zeros();
        let kind_bits = usize::BITS - kinds.saturating_sub(1).leading_zeros();
        Self {
            shift: 0,
            bits: code_bits + kind_bits,
            code_bits,
            least,
        }
    }

    fn pack(&self, (kind, code): LocalCode) -> u128 {
        let distance = u128::from(code.saturating_sub(self.least)) + 1;
        u128::from(kind) << self.code_bits | distance
    }

    fn unpack(&self, key: u128) -> Option<LocalCode> {
        let part = (key >> self.shift) & low_bits(self.bits);
        let distance = part & low_bits(self.code_bits);
        let code = u64::try_from(distance.checked_sub(1)?).ok()?;
        Some(((part >> self.code_bits) as u8, self.least.saturating_add(code)))
    }
}

fn low_bits(bits: u32) -> u128 {
    1u128.checked_shl(bits).map_or(u128::MAX, |end| end - 1)
}

enum Table {
    /// Groups by key.
    Dense(Vec<u32>),
    /// Groups by key.
    Hashed(HashMap<u128, u32, RandomState>),
    /// Keys that do not fit into one number, several words each.
    Wide {
        table: HashTable<u32>,
        hasher: RandomState,
        words: Vec<u64>,
        width: usize,
    },
}

/// The groups of a segment.
pub struct Keys {
    parts: Vec<Part>,
    table: Table,
    /// Keys by group, when they fit into one number.
    keys: Vec<u128>,
    /// Keys of the documents looked at.
    block: Vec<u128>,
    wide_block: Vec<u64>,
    groups: usize,
}

impl Keys {
    /// Groups of up to `documents` documents by these columns; buckets come first, as codes from `buckets`.
    pub fn new(readers: &[Reader<'_>], buckets: Option<(u64, u64)>, documents: u32) -> Self {
        let columns = readers.iter().map(|reader| {
            let (kinds, least, largest) = reader.bounds();
            Part::new(kinds, least, largest)
        });
        let mut parts: Vec<Part> = buckets
            .map(|(first, last)| Part::new(1, first, last))
            .into_iter()
            .chain(columns)
            .collect();
        let mut bits = 0;
        for part in &mut parts {
            part.shift = bits;
            bits += part.bits;
        }
        let table = if bits <= DENSE_BITS && 1 << bits <= u64::from(documents) * DENSE_PLACES + 1_024 {
            Table::Dense(vec![NO_GROUP; 1 << bits])
        } else if bits <= u128::BITS {
            Table::Hashed(HashMap::default())
        } else {
            let width = parts.len() * 2;
            Table::Wide {
                table: HashTable::new(),
                hasher: RandomState::default(),
                words: Vec::new(),
                width,
            }
        };
        Self {
            parts,
            table,
            keys: Vec::new(),
            block: Vec::new(),
            wide_block: Vec::new(),
            groups: 0,
        }
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.groups
    }

    /// Starts a block of documents.
    pub fn start(&mut self, docs: usize) {
        self.block.clear();
        self.wide_block.clear();
        match &self.table {
            Table::Wide { width, .. } => self.wide_block.resize(docs * width, 0),
            _ => self.block.resize(docs, 0),
        }
    }

    /// Takes the codes of a part for every document of the block.
    pub fn take(&mut self, part: usize, codes: &[Option<LocalCode>]) {
        let Some(packing) = self.parts.get(part) else { return };
        if let Table::Wide { width, .. } = self.table {
            for (words, code) in self.wide_block.chunks_mut(width).zip(codes) {
                if let (Some([tag, word]), Some((kind, code))) = (words.get_mut(part * 2..part * 2 + 2), code) {
                    (*tag, *word) = (u64::from(*kind) + 1, *code);
                }
            }
            return;
        }
        for (key, code) in self.block.iter_mut().zip(codes) {
            if let Some(code) = code {
                *key |= packing.pack(*code) << packing.shift;
            }
        }
    }

    /// The groups of the block's documents.
    pub fn number(&mut self, numbers: &mut Vec<u32>) -> Result<(), QueryError> {
        numbers.clear();
        match &mut self.table {
            Table::Dense(groups) => {
                for key in &self.block {
                    let Some(group) = groups.get_mut(*key as usize) else {
                        continue;
                    };
                    if *group == NO_GROUP {
                        *group = self.keys.len() as u32;
                        self.keys.push(*key);
                    }
                    numbers.push(*group);
                }
                self.groups = self.keys.len();
            }
            Table::Hashed(groups) => {
                for key in &self.block {
                    let next = self.keys.len() as u32;
                    let group = *groups.entry(*key).or_insert(next);
                    if group == next {
                        self.keys.push(*key);
                    }
                    numbers.push(group);
                }
                self.groups = self.keys.len();
            }
            Table::Wide {
                table,
                hasher,
                words,
                width,
            } => {
                let width = *width;
                for key in self.wide_block.chunks(width) {
                    let hash = hasher.hash_one(key);
                    let of = |words: &[u64], group: u32| {
                        words
                            .get(group as usize * width..(group as usize + 1) * width)
                            .unwrap_or_default()
                            .to_vec()
                    };
                    let next = self.groups as u32;
                    let held = table.find(hash, |group| of(words, *group) == key).copied();
                    let group = held.unwrap_or(next);
                    if held.is_none() {
                        words.extend_from_slice(key);
                        self.groups += 1;
                        table.insert_unique(hash, next, |group| hasher.hash_one(of(words, *group).as_slice()));
                    }
                    numbers.push(group);
                }
            }
        }
        if self.groups > limits::GROUPS_PER_AGGREGATE {
            Err(too_many_groups())
        } else {
            Ok(())
        }
    }

    /// The codes of a part for every group.
    pub fn codes(&self, part: usize) -> Vec<Option<LocalCode>> {
        let Some(packing) = self.parts.get(part) else {
            return vec![None; self.groups];
        };
        match &self.table {
            Table::Wide { words, width, .. } => words
                .chunks(*width)
                .map(|words| match words.get(part * 2..part * 2 + 2) {
                    Some([tag, code]) if *tag > 0 => Some(((*tag - 1) as u8, *code)),
                    _ => None,
                })
                .collect(),
            _ => self.keys.iter().map(|key| packing.unpack(*key)).collect(),
        }
    }
}

/// The bound on groups was reached.
pub fn too_many_groups() -> QueryError {
    QueryError::TooMuch {
        detail: format!(
            "there are more than {} groups; group by fewer columns or a prefix, filter more, or use a longer interval",
            limits::GROUPS_PER_AGGREGATE
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_out_as_they_went_in() {
        for (kinds, least, largest) in [
            (1, 0, 0),
            (1, 5, 9),
            (3, 0, u64::MAX),
            (1, u64::MAX, u64::MAX),
            (2, 7, 1 << 40),
        ] {
            let part = Part {
                shift: 3,
                ..Part::new(kinds, least, largest)
            };
            for kind in 0..kinds as u8 {
                for code in [least, largest, least + (largest - least) / 2] {
                    assert_eq!(part.unpack(part.pack((kind, code)) << 3), Some((kind, code)));
                }
            }
            assert_eq!(part.unpack(0), None);
        }
    }
}
