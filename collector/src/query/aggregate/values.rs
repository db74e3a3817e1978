//! Codes of one subject in one segment, and words that mean the same value in every segment.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tantivy::columnar::MonotonicallyMappableToU64;

use super::super::ends::EndColumn;
use super::super::evaluate::subject_codes;
use super::super::filter::ast::Subject;
use super::super::scan::first_codes;
use super::networks::Networks;
use super::plan::Prefix;
use crate::normalize::columns::{ColumnKind, id};
use crate::normalize::row::{Cell, ip_to_u128, u128_to_ip};
use crate::store::segment::{Codes, Decode, OpenSegment};

/// Reads a subject in one segment, one code a document: the first value of the first kind it has.
pub enum Reader<'s> {
    /// No document has it.
    Absent,
    /// Columns of one subject by kind of value.
    Codes(Vec<Codes>),
    /// Ends of flows.
    End(EndColumn<'s>),
    /// Columns of the two ends of a flow: the host's, when it is the source and when it is the destination.
    Both(Box<[Option<Codes>; 2]>),
    /// Addresses, of which only the network counts.
    Networks(Box<Networks>),
}

/// The code of a value within a segment: which of the subject's columns, and the code there.
pub type LocalCode = (u8, u64);

impl<'s> Reader<'s> {
    /// Opens a subject.
    pub fn open(open: &'s OpenSegment, subject: &Subject) -> Self {
        if *subject == Subject::Column(id::END) {
            return EndColumn::open(open).map_or(Self::Absent, Self::End);
        }
        let codes = subject_codes(open, subject);
        if codes.is_empty() {
            Self::Absent
        } else {
            Self::Codes(codes)
        }
    }

    /// Opens a subject whose addresses are cut to so many bits, for so many documents.
    pub fn open_cut(open: &'s OpenSegment, subject: &Subject, prefix: Prefix, documents: u32) -> Self {
        let networks = match subject {
            Subject::Column(column) => open.column(*column),
            Subject::Other(_) => None,
        };
        let networks = networks.and_then(|codes| Networks::open(codes, prefix, documents));
        networks.map_or_else(
            || Self::open(open, subject),
            |networks| Self::Networks(Box::new(networks)),
        )
    }

    /// Opens the columns of the two ends of a flow.
    pub fn open_both(open: &'s OpenSegment, ends: [&Subject; 2]) -> Self {
        match ends {
            [Subject::Column(first), Subject::Column(second)] if first != second => {
                let both = [first, second].map(|column| open.column(*column).cloned());
                match both.iter().any(Option::is_some) {
                    true => Self::Both(Box::new(both)),
                    false => Self::Absent,
                }
            }
            [subject, _] => Self::open(open, subject),
        }
    }

    /// Codes of documents, in their order; `end` is 1 for flows seen from their destination.
    pub fn read(&self, end: usize, docs: &[u32], scratch: &mut Vec<Option<u64>>, out: &mut Vec<Option<LocalCode>>) {
        out.clear();
        match self {
            Self::Both(ends) => match ends.get(end) {
                Some(Some(codes)) => {
                    first_codes(&codes.column, docs, scratch);
                    out.extend(scratch.iter().map(|code| code.map(|code| (end as u8, code))));
                }
                _ => out.resize(docs.len(), None),
            },
            Self::Absent => out.resize(docs.len(), None),
            Self::End(end) => {
                end.codes(docs, scratch);
                out.extend(scratch.iter().map(|code| code.map(|code| (0, code))));
            }
            Self::Networks(networks) => {
                first_codes(&networks.codes.column, docs, scratch);
                out.extend(scratch.iter().map(|code| code.map(|code| (0, networks.of(code)))));
            }
            Self::Codes(columns) => {
                for (codes, at) in columns.iter().zip(0u8..) {
                    first_codes(&codes.column, docs, scratch);
                    if at == 0 {
                        out.extend(scratch.iter().map(|code| code.map(|code| (0, code))));
                        continue;
                    }
                    for (slot, code) in out.iter_mut().zip(&*scratch) {
                        if slot.is_none() {
                            *slot = code.map(|code| (at, code));
                        }
                    }
                }
            }
        }
    }

    /// How many columns there are, and the least and largest code of them all.
    pub fn bounds(&self) -> (usize, u64, u64) {
        match self {
            Self::Absent => (1, 0, 0),
            Self::End(end) => {
                let (first, last) = end.bounds();
                (1, first, last)
            }
            Self::Codes(_) | Self::Both(_) | Self::Networks(_) => {
                let columns = self.columns();
                let filled = || {
                    columns
                        .iter()
                        .flatten()
                        .map(|codes| &codes.column)
                        .filter(|column| column.values.num_vals() > 0)
                };
                let least = filled().map(|column| column.min_value()).min().unwrap_or(0);
                let largest = filled().map(|column| column.max_value()).max().unwrap_or(0);
                (columns.len(), least, largest)
            }
        }
    }

    /// Its columns, by the number they have in codes.
    fn columns(&self) -> Vec<Option<&Codes>> {
        match self {
            Self::Codes(columns) => columns.iter().map(Some).collect(),
            Self::Both(ends) => ends.iter().map(Option::as_ref).collect(),
            Self::Networks(networks) => vec![Some(&networks.codes)],
            _ => Vec::new(),
        }
    }

    fn column(&self, at: u8) -> Option<&Codes> {
        match self {
            Self::Codes(columns) => columns.get(usize::from(at)),
            Self::Both(ends) => ends.get(usize::from(at))?.as_ref(),
            Self::Networks(networks) => Some(&networks.codes),
            _ => None,
        }
    }

    /// The value of a code.
    pub fn cell(&self, (at, code): LocalCode) -> io::Result<Cell> {
        match self {
            Self::Codes(_) | Self::Both(_) | Self::Networks(_) => match self.column(at) {
                Some(codes) => codes.cell(code),
                None => Err(io::Error::other("a column went away")),
            },
            _ => Ok(Cell::Signed(i64::from_u64(code))),
        }
    }

    /// The number of a code as a floating-point number; text and NaN have none.
    pub fn float(&self, (at, code): LocalCode) -> Option<f64> {
        match self.decode(at)? {
            Decode::Number | Decode::Bool => Some(code as f64),
            Decode::Signed => Some(i64::from_u64(code) as f64),
            Decode::Float => Some(f64::from_u64(code)).filter(|value| !value.is_nan()),
            Decode::Ip(_) | Decode::Text(_) => None,
        }
    }

    /// The whole number of a code, `None` for others.
    pub fn whole(&self, (at, code): LocalCode) -> Option<i128> {
        match self.decode(at)? {
            Decode::Number | Decode::Bool => Some(i128::from(code)),
            Decode::Signed => Some(i128::from(i64::from_u64(code))),
            _ => None,
        }
    }

    /// A number with the order of the values in every segment: codes of a column, floating-point numbers of an element.
    pub fn ordered(&self, subject: &Subject, code: LocalCode) -> Option<u64> {
        let float = self.float(code)?;
        match subject {
            Subject::Column(_) => Some(code.1),
            Subject::Other(_) => Some(float.to_u64()),
        }
    }

    fn decode(&self, at: u8) -> Option<&Decode> {
        match self {
            Self::Codes(_) | Self::Both(_) | Self::Networks(_) => self.column(at).map(|codes| &codes.decode),
            Self::End(_) => Some(&Decode::Signed),
            Self::Absent => None,
        }
    }
}

/// The value of [`Reader::ordered`].
pub fn ordered_cell(subject: &Subject, ordered: u64) -> Cell {
    match subject {
        Subject::Column(column) => match column.column().kind {
            ColumnKind::Time | ColumnKind::Duration => Cell::Signed(i64::from_u64(ordered)),
            ColumnKind::Float => Cell::Float(f64::from_u64(ordered)),
            _ => Cell::Number(ordered),
        },
        Subject::Other(_) => Cell::Float(f64::from_u64(ordered)),
    }
}

/// Two words that equal values of a subject share in every segment.
pub type Words = [u64; 2];

/// Turns codes into words and words into values.
#[derive(Debug)]
pub enum Encoder {
    /// Codes are the words.
    Codes(ColumnKind),
    /// Addresses are two words, cut to so many bits.
    Ip(Option<Prefix>),
    /// Everything else is numbered as it is met.
    Numbered(Mutex<Numbered>, Option<Prefix>),
}

/// Values in order of arrival.
#[derive(Debug, Default)]
pub struct Numbered {
    numbers: HashMap<ValueKey, u64, RandomState>,
    cells: Vec<Cell>,
}

/// A key that equal values share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ValueKey {
    Number(i128),
    Float(u64),
    Bool(bool),
    Text(Arc<str>),
}

impl Numbered {
    fn number(&mut self, cell: Cell) -> u64 {
        let key = match &cell {
            Cell::Number(value) | Cell::Mac(value) => ValueKey::Number(i128::from(*value)),
            Cell::Signed(value) => ValueKey::Number(i128::from(*value)),
            Cell::Float(value) => ValueKey::Float(value.to_bits()),
            Cell::Ip(value) => ValueKey::Text(u128_to_ip(*value).to_string().into()),
            Cell::Bool(value) => ValueKey::Bool(*value),
            Cell::Text(text) => ValueKey::Text(Arc::clone(text)),
        };
        let next = self.cells.len() as u64;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.cells.push(cell);
        }
        number
    }
}

impl Encoder {
    /// For the values of a subject; addresses are cut to `prefix` bits.
    pub fn new(subject: &Subject, prefix: Option<Prefix>) -> Self {
        match subject {
            Subject::Column(column) => match column.column().kind {
                ColumnKind::Ip => Self::Ip(prefix),
                ColumnKind::Text => Self::Numbered(Mutex::default(), None),
                kind => Self::Codes(kind),
            },
            Subject::Other(_) => Self::Numbered(Mutex::default(), prefix),
        }
    }

    /// Words of codes, in their order; equal codes are turned once.
    pub fn words(&self, reader: &Reader<'_>, codes: &[Option<LocalCode>]) -> io::Result<Vec<Option<Words>>> {
        if let Self::Codes(_) = self {
            return Ok(codes.iter().map(|code| code.map(|(_, code)| [code, 0])).collect());
        }
        if let Self::Ip(prefix) = self {
            return addresses(reader, *prefix, codes);
        }
        let mut distinct: Vec<LocalCode> = codes.iter().flatten().copied().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let cells = cells(reader, &distinct)?;
        let words = self.cell_words(cells);
        let word_of = |code: &LocalCode| distinct.binary_search(code).ok().and_then(|at| words.get(at)).copied();
        // Texts are few next to rows, and a binary search among them needs no table.
        Ok(codes.iter().map(|code| code.as_ref().and_then(word_of)).collect())
    }

    fn cell_words(&self, cells: Vec<Cell>) -> Vec<Words> {
        match self {
            Self::Codes(_) | Self::Ip(_) => Vec::new(),
            Self::Numbered(numbered, prefix) => {
                let mut numbered = numbered.lock().unwrap_or_else(PoisonError::into_inner);
                cells
                    .into_iter()
                    .map(|cell| {
                        let cell = match (&cell, prefix) {
                            (Cell::Text(text), Some(prefix)) => network_text(text, *prefix).unwrap_or(cell),
                            _ => cell,
                        };
                        [numbered.number(cell), 0]
                    })
                    .collect()
            }
        }
    }

    /// The value of words.
    pub fn cell(&self, [high, low]: Words) -> Cell {
        match self {
            Self::Codes(ColumnKind::Time | ColumnKind::Duration) => Cell::Signed(i64::from_u64(high)),
            Self::Codes(ColumnKind::Float) => Cell::Float(f64::from_u64(high)),
            Self::Codes(ColumnKind::Bool) => Cell::Bool(high != 0),
            Self::Codes(ColumnKind::Mac) => Cell::Mac(high),
            Self::Codes(_) => Cell::Number(high),
            Self::Ip(prefix) => {
                let address = u128::from(high) << 64 | u128::from(low);
                prefix.map_or(Cell::Ip(address), |prefix| {
                    Cell::Text(shown_network(address, prefix).into())
                })
            }
            Self::Numbered(numbered, _) => {
                let numbered = numbered.lock().unwrap_or_else(PoisonError::into_inner);
                numbered
                    .cells
                    .get(high as usize)
                    .cloned()
                    .unwrap_or(Cell::Text("".into()))
            }
        }
    }
}

/// A table of addresses is kept when it has at most so many places for each group: else finding is quicker than filling.
const PLACES_PER_GROUP: u64 = 2;

/// Words of addresses, each found once when codes lie close together.
fn addresses(
    reader: &Reader<'_>,
    prefix: Option<Prefix>,
    codes: &[Option<LocalCode>],
) -> io::Result<Vec<Option<Words>>> {
    let (_, least, largest) = reader.bounds();
    let places = largest.saturating_sub(least) + 1;
    // Of one column: another one has other codes for the same addresses.
    let is_one = !matches!(reader, Reader::Both(_));
    let mut table: Vec<Option<Words>> = if is_one && places <= codes.len() as u64 * PLACES_PER_GROUP {
        vec![None; places as usize]
    } else {
        Vec::new()
    };
    let find = |code: LocalCode| -> io::Result<Words> {
        let Cell::Ip(address) = reader.cell(code)? else {
            return Err(io::Error::other("a column holds no addresses"));
        };
        Ok(address_words(address, prefix))
    };
    let words = codes.iter().map(|code| {
        let Some(code) = code else { return Ok(None) };
        let Some(slot) = table.get_mut(code.1.saturating_sub(least) as usize) else {
            return find(*code).map(Some);
        };
        if slot.is_none() {
            *slot = Some(find(*code)?);
        }
        Ok(*slot)
    });
    words.collect()
}

fn address_words(address: u128, prefix: Option<Prefix>) -> Words {
    let address = prefix.map_or(address, |prefix| cut_address(address, prefix));
    [(address >> 64) as u64, address as u64]
}

/// Values of sorted codes; texts are read from their dictionary in one go.
fn cells(reader: &Reader<'_>, sorted: &[LocalCode]) -> io::Result<Vec<Cell>> {
    let mut all = Vec::with_capacity(sorted.len());
    for group in sorted.chunk_by(|left, right| left.0 == right.0) {
        let text = match group.first().and_then(|(at, _)| reader.decode(*at)) {
            Some(Decode::Text(text)) => Some(text),
            _ => None,
        };
        let Some(text) = text else {
            for code in group {
                all.push(reader.cell(*code)?);
            }
            continue;
        };
        let before = all.len();
        let ords: Vec<u64> = group.iter().map(|(_, ord)| *ord).collect();
        text.dictionary().sorted_ords_to_term_cb(&ords, |term| {
            all.push(Cell::Text(String::from_utf8_lossy(term).into()));
        })?;
        if all.len() - before != group.len() {
            return Err(io::Error::other("a dictionary lacks terms"));
        }
    }
    Ok(all)
}

fn network_text(text: &str, prefix: Prefix) -> Option<Cell> {
    let address = text.parse().ok().map(ip_to_u128)?;
    Some(Cell::Text(shown_network(cut_address(address, prefix), prefix).into()))
}

fn shown_network(address: u128, prefix: Prefix) -> String {
    let address = u128_to_ip(address);
    let length = if address.is_ipv4() { prefix.v4 } else { prefix.v6 };
    format!("{address}/{length}")
}

/// The first bits of an address, counted within its family.
pub fn cut_address(address: u128, prefix: Prefix) -> u128 {
    match u128_to_ip(address) {
        IpAddr::V4(v4) => {
            let kept = u32::MAX.checked_shl(32u32.saturating_sub(prefix.v4)).unwrap_or(0);
            ip_to_u128(IpAddr::V4((v4.to_bits() & kept).into()))
        }
        IpAddr::V6(_) => address & u128::MAX.checked_shl(128u32.saturating_sub(prefix.v6)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_cut_within_their_family() {
        let prefix = Prefix { v4: 24, v6: 48 };
        let encoder = Encoder::new(&Subject::Column(id::SRC_IP), Some(prefix));
        let of = |text: &str| address_words(ip_to_u128(text.parse().unwrap()), Some(prefix));
        let a = of("10.1.2.3");
        assert_eq!(of("10.1.2.250"), a);
        assert_ne!(of("10.1.3.1"), a);
        assert_eq!(encoder.cell(a), Cell::Text("10.1.2.0/24".into()));
        assert_eq!(
            encoder.cell(of("2001:db8:1:2::1")),
            Cell::Text("2001:db8:1::/48".into())
        );
        assert_eq!(network_text("10.1.2.3", prefix), Some(Cell::Text("10.1.2.0/24".into())));
        let cut = |text: &str, v4, v6| {
            u128_to_ip(cut_address(ip_to_u128(text.parse().unwrap()), Prefix { v4, v6 })).to_string()
        };
        assert_eq!(cut("10.1.2.3", 0, 0), "0.0.0.0");
        assert_eq!(cut("10.1.2.3", 32, 64), "10.1.2.3");
        assert_eq!(cut("2001:db8::1", 0, 128), "2001:db8::1");
        assert_eq!(cut("2001:db8::1", 32, 1), "::");
        // An address of IPv4 within IPv6 never becomes one of another family.
        assert_eq!(cut("::ffff:0:1:1", 24, 0), "::");
    }
}
