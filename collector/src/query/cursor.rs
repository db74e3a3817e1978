//! Where a page ended: the last row's value and number, as text for the next request.

use serde::{Deserialize, Serialize};
use tantivy::columnar::MonotonicallyMappableToU64;

use super::QueryError;
use super::filter::ast::{Literal, Operator};
use super::ranges::{Ranges, ranges};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::Cell;
use crate::store::segment::{Codes, Decode};

/// What pages belong to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageOf {
    /// The column of the order.
    pub column: ColumnId,
    /// Its direction.
    pub descending: bool,
    /// Which question.
    pub question: u64,
    /// The time the first page is about; later pages are about the same, whatever `-1h` means by then.
    pub span_ns: (Option<i64>, Option<i64>),
}

/// The last row of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Cursor {
    /// The question.
    pub of: PageOf,
    /// The last row's value.
    pub value: Option<Cell>,
    /// The last row's number.
    pub row: u64,
}

/// A cursor as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    order: String,
    question: u64,
    from: Option<i64>,
    to: Option<i64>,
    value: Option<WrittenCell>,
    row: u64,
}

#[derive(Serialize, Deserialize)]
enum WrittenCell {
    Number(u64),
    Signed(i64),
    // JSON has no number for all of them.
    Float(u64),
    Ip(String),
    Text(String),
    Bool(bool),
}

impl Cursor {
    /// Opaque text of hexadecimal digits.
    pub fn to_text(&self) -> String {
        let value = self.value.as_ref().map(|cell| match cell {
            Cell::Number(value) | Cell::Mac(value) => WrittenCell::Number(*value),
            Cell::Signed(value) => WrittenCell::Signed(*value),
            Cell::Float(value) => WrittenCell::Float(value.to_bits()),
            Cell::Ip(value) => WrittenCell::Ip(format!("{value:x}")),
            Cell::Text(text) => WrittenCell::Text(text.to_string()),
            Cell::Bool(value) => WrittenCell::Bool(*value),
        });
        let written = Written {
            order: self.of.order(),
            question: self.of.question,
            from: self.of.span_ns.0,
            to: self.of.span_ns.1,
            value,
            row: self.row,
        };
        let json = serde_json::to_vec(&written).unwrap_or_default();
        flowgauge_templates::text::hex_text(&json)
    }

    /// Reads a cursor for a question, and gives that the time of the first page.
    ///
    /// # Errors
    /// When it is none, or comes from another question or order.
    pub fn parse(text: &str, of: &mut PageOf) -> Result<Self, QueryError> {
        let wrong = |detail: &str| QueryError::Request {
            parameter: "cursor",
            detail: detail.to_owned(),
            nearest: None,
        };
        let written: Written = octets(text)
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| wrong("the cursor is not one of this server; ask without it for the first page"))?;
        if written.order != of.order() {
            return Err(wrong(
                "the cursor belongs to another order; ask without it for the first page",
            ));
        }
        if written.question != of.question {
            return Err(wrong(
                "the cursor belongs to another filter or time; ask without it for the first page",
            ));
        }
        of.span_ns = (written.from, written.to);
        let value = match written.value {
            None => None,
            Some(cell) => Some(match cell {
                WrittenCell::Number(value) => Cell::Number(value),
                WrittenCell::Signed(value) => Cell::Signed(value),
                WrittenCell::Float(bits) => Cell::Float(f64::from_bits(bits)),
                WrittenCell::Ip(digits) => {
                    Cell::Ip(u128::from_str_radix(&digits, 16).map_err(|_| wrong("the cursor is damaged"))?)
                }
                WrittenCell::Text(text) => Cell::Text(text.into()),
                WrittenCell::Bool(value) => Cell::Bool(value),
            }),
        };
        Ok(Self {
            of: *of,
            value,
            row: written.row,
        })
    }

    /// The rows behind it, in codes of a segment.
    ///
    /// # Errors
    /// When the segment's dictionary cannot be read.
    pub fn behind(&self, codes: Option<&Codes>, column: ColumnId) -> Result<Behind, QueryError> {
        let signed = Decode::Signed;
        let decode = if column == id::END {
            Some(&signed)
        } else {
            codes.map(|codes| &codes.decode)
        };
        let (mut beyond, mut same) = (Ranges::default(), Ranges::default());
        if let (Some(value), Some(decode)) = (&self.value, decode) {
            let literal = literal(value);
            let further = if self.of.descending {
                Operator::Less
            } else {
                Operator::Greater
            };
            let read = |operator| {
                ranges(decode, operator, &literal).map_err(|error| QueryError::Store {
                    detail: error.to_string(),
                })
            };
            if let (Cell::Float(value), Decode::Float) = (value, decode) {
                // In the order of codes, where NaN and both zeros have their places.
                let code = value.to_u64();
                let (below, above) = (code.checked_sub(1).map(|last| (0, last)), code.checked_add(1));
                let further = if self.of.descending {
                    below
                } else {
                    above.map(|first| (first, u64::MAX))
                };
                beyond = Ranges(further.into_iter().collect());
                same = Ranges(vec![(code, code)]);
            } else {
                beyond = read(further)?;
                same = read(Operator::Equal)?;
            }
        }
        Ok(Behind {
            beyond,
            same,
            row: self.row,
            has_value: self.value.is_some(),
        })
    }
}

/// Rows that come behind a cursor.
#[derive(Debug)]
pub struct Behind {
    beyond: Ranges,
    same: Ranges,
    row: u64,
    has_value: bool,
}

impl Behind {
    /// Whether a row with this code comes behind the cursor.
    pub fn contains(&self, code: Option<u64>, row: u64, descending: bool) -> bool {
        let later = if descending { row < self.row } else { row > self.row };
        match code {
            // Rows without a value come last.
            None => self.has_value || later,
            Some(code) => self.has_value && (self.beyond.contains(code) || (self.same.contains(code) && later)),
        }
    }
}

fn literal(cell: &Cell) -> Literal {
    match cell {
        Cell::Number(value) | Cell::Mac(value) => Literal::Number(*value),
        Cell::Signed(value) => Literal::Time(*value),
        Cell::Float(value) => Literal::Float(*value),
        Cell::Ip(value) => Literal::Ip(*value),
        Cell::Text(text) => Literal::Text(text.to_string()),
        Cell::Bool(value) => Literal::Bool(*value),
    }
}

impl PageOf {
    fn order(&self) -> String {
        let sign = if self.descending { "-" } else { "" };
        format!("{sign}{}", self.column.column().name)
    }
}

/// A number that is the same in every run (FNV-1a).
pub fn fnv(octets: &[u8]) -> u64 {
    let mix = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
    octets.iter().fold(0xcbf2_9ce4_8422_2325, mix)
}

fn octets(hex: &str) -> Option<Vec<u8>> {
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) || hex.is_empty() {
        return None;
    }
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok())
        .collect()
}
