//! Values of one subject, given numbers that mean the same in every segment.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tantivy::columnar::MonotonicallyMappableToU64;

use super::super::ends::EndColumn;
use super::super::filter::ast::Subject;
use super::super::scan::first_codes;
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
}

/// The code of a value within a segment: which of the subject's columns, and the code there.
pub type LocalCode = (u8, u64);

impl<'s> Reader<'s> {
    /// Opens a subject.
    pub fn open(open: &'s OpenSegment, subject: &Subject) -> Self {
        if *subject == Subject::Column(id::END) {
            return EndColumn::open(open).map_or(Self::Absent, Self::End);
        }
        let codes = super::super::evaluate::subject_codes(open, subject);
        if codes.is_empty() {
            Self::Absent
        } else {
            Self::Codes(codes)
        }
    }

    /// Codes of documents, in their order.
    pub fn read(&self, docs: &[u32], scratch: &mut Vec<Option<u64>>, out: &mut Vec<Option<LocalCode>>) {
        out.clear();
        match self {
            Self::Absent => out.resize(docs.len(), None),
            Self::End(end) => {
                end.codes(docs, scratch);
                out.extend(scratch.iter().map(|code| code.map(|code| (0, code))));
            }
            Self::Codes(columns) => {
                out.resize(docs.len(), None);
                for (codes, at) in columns.iter().zip(0u8..) {
                    first_codes(&codes.column, docs, scratch);
                    for (slot, code) in out.iter_mut().zip(&*scratch) {
                        if slot.is_none() {
                            *slot = code.map(|code| (at, code));
                        }
                    }
                }
            }
        }
    }

    /// The value of a code.
    pub fn cell(&self, (at, code): LocalCode) -> io::Result<Cell> {
        match self {
            Self::Codes(columns) => match columns.get(usize::from(at)) {
                Some(codes) => codes.cell(code),
                None => Err(io::Error::other("a column went away")),
            },
            _ => Ok(Cell::Signed(i64::from_u64(code))),
        }
    }

    /// The number of a code as a floating-point number; text has none.
    pub fn float(&self, (at, code): LocalCode) -> Option<f64> {
        match self.decode(at)? {
            Decode::Number => Some(code as f64),
            Decode::Signed => Some(i64::from_u64(code) as f64),
            Decode::Float => Some(f64::from_u64(code)).filter(|value| !value.is_nan()),
            Decode::Bool => Some(code as f64),
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

    fn decode(&self, at: u8) -> Option<&Decode> {
        match self {
            Self::Codes(columns) => columns.get(usize::from(at)).map(|codes| &codes.decode),
            Self::End(_) => Some(&Decode::Signed),
            Self::Absent => None,
        }
    }
}

/// A key that equal values share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum ValueKey {
    Number(u64),
    Signed(i64),
    Float(u64),
    Ip(u128),
    Bool(bool),
    Text(Arc<str>),
}

/// Every value seen of one subject, numbered in order of arrival.
#[derive(Debug)]
pub struct Values {
    numbers: HashMap<ValueKey, u32, RandomState>,
    cells: Vec<Cell>,
    prefix: Option<u32>,
    is_mac: bool,
}

impl Values {
    /// For values of a subject; addresses are cut to `prefix` bits.
    pub fn new(subject: &Subject, prefix: Option<u32>) -> Self {
        let is_mac = matches!(subject, Subject::Column(column) if column.column().kind == ColumnKind::Mac);
        Self {
            numbers: HashMap::default(),
            cells: Vec::new(),
            prefix,
            is_mac,
        }
    }

    /// The number of a value.
    pub fn number(&mut self, cell: Cell) -> u32 {
        let cell = match (cell, self.prefix) {
            (Cell::Ip(address), Some(prefix)) => Cell::Ip(cut_address(address, prefix)),
            (Cell::Number(value), _) if self.is_mac => Cell::Mac(value),
            (cell, _) => cell,
        };
        let key = match &cell {
            Cell::Number(value) | Cell::Mac(value) => ValueKey::Number(*value),
            Cell::Signed(value) => ValueKey::Signed(*value),
            Cell::Float(value) => ValueKey::Float(value.to_bits()),
            Cell::Ip(value) => ValueKey::Ip(*value),
            Cell::Bool(value) => ValueKey::Bool(*value),
            Cell::Text(text) => ValueKey::Text(Arc::clone(text)),
        };
        let next = u32::try_from(self.cells.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.cells.push(cell);
        }
        number
    }

    /// The value of a number.
    pub fn raw_cell(&self, number: u32) -> Option<Cell> {
        self.cells.get(number as usize).cloned()
    }

    /// The value of a number, networks as text with their length.
    pub fn cell(&self, number: u32) -> Option<Cell> {
        let cell = self.cells.get(number as usize)?;
        Some(match (cell, self.prefix) {
            (Cell::Ip(address), Some(prefix)) => {
                let address = u128_to_ip(*address);
                let width = if address.is_ipv4() { 32 } else { 128 };
                Cell::Text(format!("{address}/{}", prefix.min(width)).into())
            }
            (cell, _) => cell.clone(),
        })
    }
}

/// The first bits of an address, counted within its family.
fn cut_address(address: u128, prefix: u32) -> u128 {
    match u128_to_ip(address) {
        IpAddr::V4(v4) => {
            let kept = u32::MAX.checked_shl(32u32.saturating_sub(prefix)).unwrap_or(0);
            ip_to_u128(IpAddr::V4((v4.to_bits() & kept).into()))
        }
        IpAddr::V6(_) => address & u128::MAX.checked_shl(128u32.saturating_sub(prefix)).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_cut_within_their_family() {
        let mut values = Values::new(&Subject::Column(id::SRC_IP), Some(24));
        let of = |text: &str| Cell::Ip(ip_to_u128(text.parse().unwrap()));
        let a = values.number(of("10.1.2.3"));
        assert_eq!(values.number(of("10.1.2.250")), a);
        assert_ne!(values.number(of("10.1.3.1")), a);
        let v6 = values.number(of("2001:db8::1"));
        assert_eq!(values.cell(a), Some(Cell::Text("10.1.2.0/24".into())));
        assert_eq!(values.cell(v6), Some(Cell::Text("2001:d00::/24".into())));
        assert_eq!(
            cut_address(ip_to_u128("10.1.2.3".parse().unwrap()), 0),
            ip_to_u128("0.0.0.0".parse().unwrap())
        );
        assert_eq!(
            cut_address(ip_to_u128("2001:db8::1".parse().unwrap()), 128),
            ip_to_u128("2001:db8::1".parse().unwrap())
        );
    }
}
