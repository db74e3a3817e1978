//! A column of numbers: what is kept while it fills, and how it is written.

use std::io;

use tantivy::columnar::MonotonicallyMappableToU64;
use tantivy::columnar::column_values::{CodecType, serialize_u64_based_column_values};

use super::narrow::Narrow;
use super::postings::Lists;
use super::presence::{Presence, Rows};
use crate::normalize::columns::ColumnKind;
use crate::normalize::row::CellRef;

/// Values that are looked at together when a codec is chosen; as many as tantivy's codec of pieces of lines takes.
const BLOCK: usize = 512;
/// Blocks that are looked at.
const SAMPLED_BLOCKS: usize = 16;
/// Bits a value that must be saved in a block for a line to be tried.
const BITS_SAVED: u32 = 2;
/// Lists of rows are made by a table where numbers lie within this distance.
const TABLE_PLACES: u64 = 1 << 20;

/// What numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unsigned,
    Signed,
    Float,
    Bool,
}

/// A column of numbers.
#[derive(Debug)]
pub struct Numbers {
    kind: Kind,
    presence: Presence,
    /// Numbers so that small ones of either sign are narrow.
    values: Narrow,
}

impl Numbers {
    /// An empty column; of a kind that is no number, unsigned ones.
    pub fn new(kind: ColumnKind) -> Self {
        Self {
            kind: match kind {
                ColumnKind::Time | ColumnKind::Duration => Kind::Signed,
                ColumnKind::Float => Kind::Float,
                ColumnKind::Bool => Kind::Bool,
                _ => Kind::Unsigned,
            },
            presence: Presence::default(),
            values: Narrow::default(),
        }
    }

    /// Appends the number of a row; others are taken as the column's kind.
    #[inline]
    pub fn push(&mut self, row: u32, cell: CellRef<'_>) {
        let value = match (self.kind, cell) {
            (Kind::Unsigned, CellRef::Number(value)) => value,
            (Kind::Signed, CellRef::Signed(value)) => folded(value),
            (Kind::Float, CellRef::Float(value)) => value.to_bits(),
            (Kind::Bool, CellRef::Bool(value)) => u64::from(value),
            (kind, cell) => match converted(kind, cell) {
                Some(value) => value,
                None => return,
            },
        };
        if self.presence.note(row) {
            self.values.push(value);
        }
    }

    /// Memory it takes.
    pub fn octets(&self) -> usize {
        self.presence.octets() + self.values.octets()
    }

    /// Whether no row has a number.
    pub fn is_empty(&self) -> bool {
        self.presence.is_empty()
    }

    /// The column as it is written: its rows, and codes with the order of the numbers.
    pub fn finish(self, rows: u32) -> Coded {
        let codes = match self.kind {
            Kind::Unsigned | Kind::Bool => self.values.map(|value| value),
            Kind::Signed => self.values.map(|value| unfolded(value).to_u64()),
            Kind::Float => self.values.map(|value| f64::from_bits(value).to_u64()),
        };
        Coded {
            rows: self.presence.rows(rows),
            codes,
        }
    }
}

/// A number of another kind than the column's, as tantivy takes it.
#[cold]
fn converted(kind: Kind, cell: CellRef<'_>) -> Option<u64> {
    match (kind, cell) {
        (Kind::Unsigned, CellRef::Signed(value)) => Some(value as u64),
        (Kind::Signed, CellRef::Number(value)) => Some(folded(value as i64)),
        (Kind::Float, CellRef::Number(value)) => Some((value as f64).to_bits()),
        (Kind::Float, CellRef::Signed(value)) => Some((value as f64).to_bits()),
        (Kind::Unsigned, CellRef::Bool(value)) => Some(u64::from(value)),
        _ => None,
    }
}

/// Small numbers of either sign as small numbers.
fn folded(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unfolded(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A column of codes, to be written.
#[derive(Debug)]
pub struct Coded {
    /// Rows of the values.
    pub rows: Rows,
    /// Their codes.
    pub codes: Vec<u64>,
}

impl Coded {
    /// Writes it as tantivy keeps it, in a segment of so many rows.
    pub fn write(&self, rows: u32, out: &mut Vec<u8>) -> io::Result<()> {
        let index = self.rows.write(rows, out)?;
        let codecs: &[CodecType] = match lies_on_lines(&self.codes) {
            true => &[CodecType::Bitpacked, CodecType::BlockwiseLinear],
            false => &[CodecType::Bitpacked],
        };
        serialize_u64_based_column_values::<u64>(&&self.codes[..], codecs, out)?;
        out.extend(index.to_le_bytes());
        Ok(())
    }

    /// The rows of each different code, and the codes.
    pub fn lists(&self) -> (Vec<u64>, Lists) {
        let (least, largest) = bounds(&self.codes);
        let mut different = Vec::new();
        let places = largest.saturating_sub(least).saturating_add(1);
        let ordinals: Vec<u32> = if places <= TABLE_PLACES {
            let mut table = vec![u32::MAX; places as usize];
            for code in &self.codes {
                if let Some(place) = table.get_mut((code - least) as usize) {
                    *place = 0;
                }
            }
            for (at, place) in table.iter_mut().enumerate().filter(|(_, place)| **place == 0) {
                *place = different.len() as u32;
                different.push(least + at as u64);
            }
            let ordinal = |code: &u64| table.get((code - least) as usize).copied().unwrap_or(0);
            self.codes.iter().map(ordinal).collect()
        } else {
            different.extend_from_slice(&self.codes);
            different.sort_unstable();
            different.dedup();
            let ordinal = |code: &u64| different.binary_search(code).unwrap_or(0) as u32;
            self.codes.iter().map(ordinal).collect()
        };
        let lists = Lists::new(&ordinals, different.len(), &self.rows);
        (different, lists)
    }
}

fn bounds(codes: &[u64]) -> (u64, u64) {
    let bounds = |(least, largest): (u64, u64), code: &u64| (least.min(*code), largest.max(*code));
    codes.iter().fold((u64::MAX, 0), bounds)
}

/// Whether neighbours lie so close together that pieces of lines may take fewer bits than the numbers: times do.
fn lies_on_lines(codes: &[u64]) -> bool {
    let bits = |codes: &[u64]| {
        let (least, largest) = bounds(codes);
        u64::BITS - largest.saturating_sub(least).leading_zeros()
    };
    let step = (codes.len() / BLOCK / SAMPLED_BLOCKS).max(1);
    let blocks = codes.chunks_exact(BLOCK).step_by(step);
    let (count, sum) = blocks.fold((0, 0), |(count, sum), block| (count + 1, sum + bits(block)));
    count > 0 && sum / count + BITS_SAVED <= bits(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_sign_are_folded_and_come_back() {
        for value in [0, 1, -1, 77, -78, i64::MAX, i64::MIN] {
            assert_eq!(unfolded(folded(value)), value);
        }
        assert_eq!((folded(-1), folded(1), folded(-2)), (1, 2, 3));
    }

    #[test]
    fn lists_are_the_same_by_table_and_by_order() {
        let of = |codes: &[u64]| {
            let coded = Coded {
                rows: Rows::All,
                codes: codes.to_vec(),
            };
            let (different, lists) = coded.lists();
            let rows = (0..different.len()).map(|at| lists.rows(at).to_vec());
            different.iter().copied().zip(rows).collect::<Vec<_>>()
        };
        let expected = |far: u64| vec![(3, vec![1, 4]), (5, vec![0]), (9 + far, vec![2, 3])];
        for far in [0, 1 << 40, u64::MAX - 9] {
            assert_eq!(of(&[5, 3, 9 + far, 9 + far, 3]), expected(far));
        }
        assert_eq!(of(&[u64::MAX]), [(u64::MAX, vec![0])]);
        assert_eq!(of(&[]), []);
    }

    #[test]
    fn times_lie_on_lines_and_counters_do_not() {
        let times: Vec<u64> = (0..10_000).map(|at| at * 1_000 + at % 7).collect();
        assert!(lies_on_lines(&times));
        let counters: Vec<u64> = (0..10_000u64)
            .map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)
            .collect();
        assert!(!lies_on_lines(&counters));
        assert!(!lies_on_lines(&[]));
    }
}
