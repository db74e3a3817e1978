//! What the cells of a column hold, which decides its type where a form has types.

use flowgauge_ie_registry::{DataType, Registry};

use crate::normalize::columns::{ColumnKind, column};
use crate::normalize::row::Cell;

/// What was met in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The largest unsigned number.
    pub number: Option<u64>,
    /// A signed number.
    pub signed: bool,
    /// A floating-point number.
    pub float: bool,
    /// True or false.
    pub bool: bool,
    /// Text, or what is shown as text: addresses.
    pub text: bool,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Nanoseconds since 1970 UTC.
    Time,
    /// A whole number of so many bits, with a sign or not.
    Whole {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Whether it may be below 0.
        signed: bool,
    },
    /// A floating-point number of 64 bits.
    Float,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

impl Facts {
    /// Adds a cell.
    pub fn add(&mut self, cell: Option<&Cell>) {
        match cell {
            None => {}
            Some(Cell::Number(value)) => self.number = self.number.max(Some(*value)),
            Some(Cell::Signed(_)) => self.signed = true,
            Some(Cell::Float(_)) => self.float = true,
            Some(Cell::Bool(_)) => self.bool = true,
            Some(Cell::Ip(_) | Cell::Text(_) | Cell::Mac(_)) => self.text = true,
        }
    }

    /// Adds what was met elsewhere.
    pub fn merge(&mut self, other: &Facts) {
        self.number = self.number.max(other.number);
        self.signed |= other.signed;
        self.float |= other.float;
        self.bool |= other.bool;
        self.text |= other.text;
    }

    /// The type that takes all of it without losing anything. Where nothing speaks against it, it is the one that
    /// the column has in every answer, so that files of different times can be read as one.
    pub fn typed(&self, name: &str, kind: ColumnKind) -> Typed {
        let is_whole = !(self.float || self.bool || self.text);
        match kind {
            ColumnKind::Ip | ColumnKind::Mac => return Typed::Text,
            ColumnKind::Time if is_whole && self.number.is_none() => return Typed::Time,
            ColumnKind::Duration if is_whole && self.number.is_none() => {
                return Typed::Whole { bits: 64, signed: true };
            }
            _ => {}
        }
        let kinds = [self.number.is_some() || self.signed || self.float, self.bool, self.text];
        match kinds.iter().filter(|is_met| **is_met).count() {
            0 => nothing_met(name, kind),
            1 if self.text => Typed::Text,
            1 if self.bool => Typed::Bool,
            1 if self.float || kind == ColumnKind::Float => Typed::Float,
            1 => self.whole(name),
            _ => Typed::Text,
        }
    }

    fn whole(&self, name: &str) -> Typed {
        let largest = self.number.unwrap_or(0);
        if self.signed {
            // No whole number of 64 bits has both a sign and the upper half.
            return match i64::try_from(largest) {
                Ok(_) => Typed::Whole { bits: 64, signed: true },
                Err(_) => Typed::Text,
            };
        }
        let bits = width(name);
        let fits = bits == 64 || largest >> bits == 0;
        Typed::Whole {
            bits: if fits { bits } else { 64 },
            signed: false,
        }
    }
}

fn nothing_met(name: &str, kind: ColumnKind) -> Typed {
    match kind {
        ColumnKind::Time => Typed::Time,
        ColumnKind::Duration => Typed::Whole { bits: 64, signed: true },
        ColumnKind::Number => Typed::Whole {
            bits: width(name),
            signed: false,
        },
        ColumnKind::Float => Typed::Float,
        ColumnKind::Bool => Typed::Bool,
        ColumnKind::Ip | ColumnKind::Mac | ColumnKind::Text => Typed::Text,
    }
}

/// Bits of the widest element a column comes from; 64 where it comes from none.
fn width(name: &str) -> u8 {
    let registry = Registry::builtin();
    let of_element = |element: &&'static str| match registry.by_name(element).map(|element| element.data_type) {
        Some(DataType::Unsigned8) => 8,
        Some(DataType::Unsigned16) => 16,
        Some(DataType::Unsigned32) => 32,
        _ => 64,
    };
    let Some(column) = column(name).filter(|column| column.column().name == name) else {
        return 64;
    };
    column.column().elements.iter().map(of_element).max().unwrap_or(64)
}
