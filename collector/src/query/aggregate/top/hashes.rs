//! Hashes of groups, row by row: of values, so that a group has the same one in every segment, where codes differ.

use std::io;

use tantivy::columnar::{Column, ColumnIndex};

use super::super::super::bits::Bits;
use super::super::super::filter::ast::Subject;
use super::super::super::scan::{BLOCK, first_codes};
use super::super::plan::{Group, Plan, Prefix};
use super::super::values::cut_address;
use crate::limits;
use crate::normalize::columns::{ColumnId, id};
use crate::store::segment::{Codes, Decode, OpenSegment};

/// What hashes are multiplied with: digits of pi without a pattern.
const MULTIPLIER: u64 = 0x9216_d5d9_8979_fb1b;
/// What a column that is not there counts as.
const ABSENT: u64 = 0xa458_fea3_f493_3d7e;
/// Hashes of all codes are kept beside each other when there are at most so many codes for each row.
const CODES_PER_ROW: u64 = 4;

/// Mixes two numbers: every bit of the outcome depends on every bit of them.
#[inline(always)]
fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ right) * u128::from(MULTIPLIER);
    product as u64 ^ (product >> 64) as u64
}

/// Documents that are looked at together.
#[derive(Default)]
pub struct Block {
    /// The first one that could be.
    from: u32,
    /// All of them, in order.
    pub docs: Vec<u32>,
    /// None is missing between them.
    is_whole: bool,
    codes: Vec<u64>,
    some_codes: Vec<Option<u64>>,
}

impl Block {
    /// Where blocks of so many documents start.
    pub fn starts(documents: &Bits) -> impl Iterator<Item = u32> + use<> {
        (0..documents.len()).step_by(BLOCK as usize)
    }

    /// Looks at the documents from `from`; tells whether there are any.
    pub fn start(&mut self, documents: &Bits, from: u32) -> bool {
        let to = documents.len().min(from + BLOCK);
        self.from = from;
        self.docs.clear();
        documents.docs_of(from, to, &mut self.docs);
        self.is_whole = self.docs.len() == (to - from) as usize;
        !self.docs.is_empty()
    }

    /// Does something with every document's place in the block and its first code.
    #[inline(always)]
    pub fn each_code(&mut self, column: &Column<u64>, mut see: impl FnMut(usize, Option<u64>)) {
        if let ColumnIndex::Full = column.index {
            // Every place is written below.
            self.codes.resize(self.docs.len(), 0);
            if self.is_whole {
                column.values.get_range(u64::from(self.from), &mut self.codes);
            } else {
                column.values.get_vals(&self.docs, &mut self.codes);
            }
            for (at, code) in self.codes.iter().enumerate() {
                see(at, Some(*code));
            }
        } else {
            first_codes(column, &self.docs, &mut self.some_codes);
            for (at, code) in self.some_codes.iter().enumerate() {
                see(at, *code);
            }
        }
    }
}

/// How codes of a column become numbers that equal values share.
enum Values {
    /// Codes are the same everywhere.
    Codes,
    /// By code, from the least one on.
    Table(u64, Vec<u64>),
    /// By code, in order.
    Sorted(Vec<(u64, u64)>),
    /// Addresses that are too far apart for a table.
    Address(Option<Prefix>),
}

/// A column that is grouped by.
struct HashColumn {
    codes: Codes,
    values: Values,
}

impl HashColumn {
    fn open(codes: &Codes, prefix: Option<Prefix>, documents: &Bits) -> io::Result<Self> {
        let values = match &codes.decode {
            Decode::Ip(_) if codes.column.values.num_vals() == 0 => Values::Codes,
            Decode::Ip(accessor) => {
                let (least, largest) = (codes.column.min_value(), codes.column.max_value());
                let places = largest.saturating_sub(least) + 1;
                if places <= u64::from(documents.count()) * CODES_PER_ROW && places <= limits::TOP_TABLE_CODES {
                    let find = |code: u64| accessor.compact_to_u128(code as u32);
                    let mut table = vec![0; places as usize];
                    fill(
                        &mut table,
                        least,
                        (find(least), find(largest)),
                        &find,
                        &|address: u128| address_number(address, prefix),
                    );
                    Values::Table(least, table)
                } else {
                    Values::Address(prefix)
                }
            }
            Decode::Text(_) => text_numbers(codes, documents)?,
            _ => Values::Codes,
        };
        Ok(Self {
            codes: codes.clone(),
            values,
        })
    }

    /// As a sample needs it: of one segment, and nothing is made ready.
    fn of_one_segment(codes: &Codes, prefix: Option<Prefix>) -> Self {
        let is_cut = prefix.is_some() && matches!(codes.decode, Decode::Ip(_));
        Self {
            codes: codes.clone(),
            values: if is_cut { Values::Address(prefix) } else { Values::Codes },
        }
    }

    fn add_to(&self, block: &mut Block, hashes: &mut [u64]) {
        match &self.values {
            Values::Codes => self.add(block, hashes, |code| code),
            Values::Table(least, table) => self.add(block, hashes, |code| {
                table.get(code.wrapping_sub(*least) as usize).copied().unwrap_or(0)
            }),
            Values::Sorted(numbers) => self.add(block, hashes, |code| {
                let at = numbers.binary_search_by_key(&code, |(code, _)| *code);
                at.ok().and_then(|at| numbers.get(at)).map_or(0, |(_, number)| *number)
            }),
            Values::Address(prefix) => self.add(block, hashes, |code| match &self.codes.decode {
                Decode::Ip(accessor) => address_number(accessor.compact_to_u128(code as u32), *prefix),
                _ => code,
            }),
        }
    }

    #[inline(always)]
    fn add(&self, block: &mut Block, hashes: &mut [u64], number: impl Fn(u64) -> u64) {
        block.each_code(&self.codes.column, |at, code| {
            if let Some(hash) = hashes.get_mut(at) {
                *hash = mix(*hash, code.map_or(ABSENT, &number));
            }
        });
    }
}

/// Numbers of addresses, by code: codes go up with addresses, mostly one by one, so that few must be looked for.
fn fill(
    out: &mut [u64],
    first: u64,
    (least, largest): (u128, u128),
    find: &impl Fn(u64) -> u128,
    number: &impl Fn(u128) -> u64,
) {
    let steps = out.len().saturating_sub(1);
    if largest.wrapping_sub(least) == steps as u128 {
        for (slot, address) in out.iter_mut().zip(least..=largest) {
            *slot = number(address);
        }
        return;
    }
    if let [one, other] = out {
        (*one, *other) = (number(least), number(largest));
        return;
    }
    let middle = out.len() / 2;
    let (left, right) = out.split_at_mut(middle);
    let at = first + middle as u64;
    fill(left, first, (least, find(at - 1)), find, number);
    fill(right, at, (find(at), largest), find, number);
}

fn address_number(address: u128, prefix: Option<Prefix>) -> u64 {
    let address = prefix.map_or(address, |prefix| cut_address(address, prefix));
    mix((address >> 64) as u64, ABSENT) ^ address as u64
}

/// Numbers of the texts that documents have, each read once.
fn text_numbers(codes: &Codes, documents: &Bits) -> io::Result<Values> {
    let Decode::Text(text) = &codes.decode else {
        return Ok(Values::Codes);
    };
    let terms = text.dictionary().num_terms();
    let mut met = Bits::none(u32::try_from(terms).unwrap_or(u32::MAX));
    let mut block = Block::default();
    for from in Block::starts(documents) {
        if block.start(documents, from) {
            block.each_code(&codes.column, |_, code| {
                if let Some(ord) = code.and_then(|code| u32::try_from(code).ok()) {
                    met.insert(ord);
                }
            });
        }
    }
    let mut ords = Vec::new();
    met.docs_of(0, met.len(), &mut ords);
    let ords: Vec<u64> = ords.into_iter().map(u64::from).collect();
    let mut sorted = Vec::with_capacity(ords.len());
    let mut next = ords.iter();
    text.dictionary().sorted_ords_to_term_cb(&ords, |term| {
        if let Some(ord) = next.next() {
            // Texts are equal when they are shown the same.
            let shown = String::from_utf8_lossy(term);
            sorted.push((*ord, text_number(shown.as_bytes())));
        }
    })?;
    let places = terms as u64;
    if places > sorted.len() as u64 * CODES_PER_ROW || places > limits::TOP_TABLE_CODES {
        return Ok(Values::Sorted(sorted));
    }
    let mut table = vec![0; terms];
    for (ord, number) in sorted {
        if let Some(slot) = table.get_mut(ord as usize) {
            *slot = number;
        }
    }
    Ok(Values::Table(0, table))
}

fn text_number(text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let hash = words
        .iter()
        .fold(text.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    mix(hash, u64::from_le_bytes(last))
}

/// Hashes of the groups of a segment's rows.
pub struct Hashes {
    /// By group, then by the end that a flow is seen from.
    columns: Vec<Vec<Option<HashColumn>>>,
    seed: u64,
}

/// The columns of a group at each end; `None` when hashes of it would not be those of its values.
fn columns_of(group: &Group) -> Option<Vec<ColumnId>> {
    match (&group.subject, group.ends) {
        (_, Some([first, second])) if first != second => Some(vec![first, second]),
        (Subject::Column(column), _) if *column != id::END => Some(vec![*column]),
        _ => None,
    }
}

/// Whether groups of this can be hashed.
pub fn can_hash(group: &Group) -> bool {
    columns_of(group).is_some_and(|columns| !columns.contains(&id::END))
}

impl Hashes {
    /// Of documents of a segment.
    pub fn open(open: &OpenSegment, plan: &Plan, documents: &Bits, seed: u64) -> io::Result<Self> {
        Self::with(open, plan, seed, |codes, prefix| {
            HashColumn::open(codes, prefix, documents)
        })
    }

    /// Of a few documents of one segment; other segments have others for the same groups.
    pub fn of_one_segment(open: &OpenSegment, plan: &Plan) -> io::Result<Self> {
        Self::with(open, plan, 0, |codes, prefix| {
            Ok(HashColumn::of_one_segment(codes, prefix))
        })
    }

    fn with(
        open: &OpenSegment,
        plan: &Plan,
        seed: u64,
        make: impl Fn(&Codes, Option<Prefix>) -> io::Result<HashColumn>,
    ) -> io::Result<Self> {
        let of_group = |group: &Group| {
            let columns = columns_of(group).unwrap_or_default().into_iter();
            columns
                .map(|column| open.column(column).map(|codes| make(codes, group.prefix)).transpose())
                .collect::<io::Result<Vec<_>>>()
        };
        Ok(Self {
            columns: plan.groups.iter().map(of_group).collect::<io::Result<_>>()?,
            seed,
        })
    }

    /// One for each document of a block, seen from an end.
    pub fn of(&self, end: usize, block: &mut Block, out: &mut Vec<u64>) {
        out.clear();
        out.resize(block.docs.len(), self.seed);
        for ends in &self.columns {
            match ends.get(end).or(ends.first()) {
                Some(Some(column)) => column.add_to(block, out),
                _ => out.iter_mut().for_each(|hash| *hash = mix(*hash, ABSENT)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_addresses_have_what_is_found() {
        // Runs of addresses with gaps between them, as codes are numbered.
        let runs: [(u128, u64); 5] = [(10, 1), (12, 5), (90, 2), (1 << 64, 40), (u128::MAX - 2, 3)];
        let all: Vec<u128> = runs
            .iter()
            .flat_map(|(first, count)| (0..*count).map(move |at| first + u128::from(at)))
            .collect();
        for from in 0..all.len() {
            for to in from..all.len() {
                let wanted = &all[from..=to];
                let mut table = vec![0; wanted.len()];
                let find = |code: u64| all[code as usize - 7];
                fill(&mut table, from as u64 + 7, (all[from], all[to]), &find, &|address| {
                    address_number(address, None)
                });
                let wanted: Vec<u64> = wanted.iter().map(|address| address_number(*address, None)).collect();
                assert_eq!(table, wanted, "{from}..={to}");
            }
        }
    }

    #[test]
    fn texts_have_numbers_of_their_own() {
        let texts = [
            "",
            "\0",
            "a",
            "a\0",
            "abcdefgh",
            "abcdefgh\0",
            "abcdefghi",
            "bacdefgh",
            "hgfedcbaabcdefgh",
            "abcdefghhgfedcba",
        ];
        let mut numbers = texts.map(|text| text_number(text.as_bytes()));
        numbers.sort_unstable();
        assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "{numbers:?}");
    }
}
