//! One flow as the store takes it: cells by column, and the elements no column takes by name.
//!
//! Texts lie in one buffer and buffers are used again by later rows of the same thread, so that a row costs no allocation.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;

use super::columns::ColumnId;
use crate::limits;

/// A value, owned.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// An unsigned number.
    Number(u64),
    /// A signed number: times and durations in nanoseconds, and signed elements.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// An address, IPv4 as v4-mapped IPv6.
    Ip(u128),
    /// Text.
    Text(Arc<str>),
    /// A MAC address in the low 48 bits.
    Mac(u64),
    /// True or false.
    Bool(bool),
}

/// A value of a row, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CellRef<'a> {
    /// An unsigned number, also MAC addresses.
    Number(u64),
    /// A signed number.
    Signed(i64),
    /// A floating-point number.
    Float(f64),
    /// An address, IPv4 as v4-mapped IPv6.
    Ip(u128),
    /// Text.
    Text(&'a str),
    /// True or false.
    Bool(bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Packed {
    Number(u64),
    Signed(i64),
    Float(f64),
    Ip(u128),
    Text { start: u32, end: u32 },
    Bool(bool),
}

/// Cells that [`Row::settle`] takes without sorting all of the row.
const APPENDED_CELLS: usize = 32;

/// IPv4 as v4-mapped IPv6, IPv6 as it is, in host order.
pub fn ip_to_u128(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address again: v4-mapped ones as IPv4.
pub fn u128_to_ip(bits: u128) -> IpAddr {
    Ipv6Addr::from_bits(bits).to_canonical()
}

/// An IPv4 address as it is stored.
pub fn ipv4_to_u128(octets: [u8; 4]) -> u128 {
    ip_to_u128(IpAddr::V4(Ipv4Addr::from(octets)))
}

/// One flow.
#[derive(Debug, Default)]
pub struct Row {
    buffers: Buffers,
}

#[derive(Debug, Default)]
struct Buffers {
    cells: Vec<(ColumnId, Packed)>,
    other: Vec<(Arc<str>, Packed)>,
    text: String,
}

thread_local! {
    static RECYCLED: RefCell<Vec<Buffers>> = const { RefCell::new(Vec::new()) };
}

impl Row {
    /// An empty row, in the buffers of an earlier one when there are any.
    pub fn new() -> Self {
        let buffers = RECYCLED
            .try_with(|recycled| recycled.borrow_mut().pop())
            .ok()
            .flatten()
            .unwrap_or_default();
        Self { buffers }
    }

    /// Puts a number into a column, replacing what was there.
    pub fn set_number(&mut self, column: ColumnId, value: u64) {
        self.set_packed(column, Packed::Number(value));
    }

    /// Puts a floating-point number into a column, replacing what was there.
    pub fn set_float(&mut self, column: ColumnId, value: f64) {
        self.set_packed(column, Packed::Float(value));
    }

    /// Puts true or false into a column, replacing what was there.
    pub fn set_bool(&mut self, column: ColumnId, value: bool) {
        self.set_packed(column, Packed::Bool(value));
    }

    /// Puts a number into a column that is empty: a plan knows that it is.
    #[inline]
    pub(super) fn push_number(&mut self, column: ColumnId, value: u64) {
        self.buffers.cells.push((column, Packed::Number(value)));
    }

    /// Puts a signed number into a column that is empty.
    #[inline]
    pub(super) fn push_signed(&mut self, column: ColumnId, value: i64) {
        self.buffers.cells.push((column, Packed::Signed(value)));
    }

    /// Puts an address into a column that is empty.
    #[inline]
    pub(super) fn push_ip(&mut self, column: ColumnId, value: u128) {
        self.buffers.cells.push((column, Packed::Ip(value)));
    }

    /// Brings cells into the order of columns, which the store takes quicker; later ones of a column go.
    pub(crate) fn sort(&mut self) {
        self.buffers.cells.sort_by_key(|(column, _)| *column);
        self.buffers.cells.dedup_by_key(|(column, _)| *column);
    }

    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        self.buffers.cells.len()
    }

    /// The text of the cell at a place.
    pub(crate) fn text_at(&self, place: usize) -> Option<&str> {
        match self.buffers.cells.get(place).map(|(_, packed)| self.unpack(*packed)) {
            Some(CellRef::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Replaces the number of the cell at a place.
    pub(crate) fn replace_number(&mut self, place: usize, value: u64) {
        if let Some((_, cell)) = self.buffers.cells.get_mut(place) {
            *cell = Packed::Number(value);
        }
    }

    /// Appends a number to a sorted row, for a column that is empty. [`Row::settle`] is to follow.
    #[inline]
    pub(crate) fn append_number(&mut self, column: ColumnId, value: u64) {
        self.buffers.cells.push((column, Packed::Number(value)));
    }

    /// Appends text to a sorted row, for a column that is empty. [`Row::settle`] is to follow.
    #[inline]
    pub(crate) fn append_text(&mut self, column: ColumnId, value: &str) {
        let (packed, _) = self.keep_text(value);
        self.buffers.cells.push((column, packed));
    }

    /// Appends a text whose octets stand in the text at `place` among the cells already. [`Row::settle`] is to follow.
    pub(crate) fn append_part(&mut self, column: ColumnId, place: usize, octets: Range<usize>) {
        let Some((_, Packed::Text { start, end })) = self.buffers.cells.get(place) else {
            return;
        };
        let part = Packed::Text {
            start: start.saturating_add(octets.start as u32).min(*end),
            end: start.saturating_add(octets.end as u32).min(*end),
        };
        self.buffers.cells.push((column, part));
    }

    /// Brings what was appended to the first `sorted` cells, which are in order, to its place among them.
    pub(crate) fn settle(&mut self, sorted: usize) {
        let cells = &mut self.buffers.cells;
        let added = cells.len().saturating_sub(sorted);
        let mut tail = [(ColumnId(0), Packed::Bool(false)); APPENDED_CELLS];
        let (Some(tail), Some(appended)) = (tail.get_mut(..added), cells.get(sorted..)) else {
            return self.sort();
        };
        tail.copy_from_slice(appended);
        tail.sort_unstable_by_key(|(column, _)| *column);
        // From the back, so that nothing is moved twice.
        let (mut left, mut to) = (sorted, cells.len());
        for added in tail.iter().rev() {
            while let Some(cell) = left
                .checked_sub(1)
                .and_then(|at| cells.get(at))
                .filter(|cell| cell.0 > added.0)
            {
                let cell = *cell;
                left -= 1;
                to -= 1;
                if let Some(place) = cells.get_mut(to) {
                    *place = cell;
                }
            }
            to -= 1;
            if let Some(place) = cells.get_mut(to) {
                *place = *added;
            }
        }
    }

    /// Puts a signed number (times, durations) into a column, replacing what was there.
    pub fn set_signed(&mut self, column: ColumnId, value: i64) {
        self.set_packed(column, Packed::Signed(value));
    }

    /// Puts an address into a column, replacing what was there.
    pub fn set_ip(&mut self, column: ColumnId, value: u128) {
        self.set_packed(column, Packed::Ip(value));
    }

    /// Puts text into a column, replacing what was there. Returns false when it had to be cut short.
    pub fn set_text(&mut self, column: ColumnId, value: &str) -> bool {
        let (packed, whole) = self.keep_text(value);
        self.set_packed(column, packed);
        whole
    }

    /// Puts a cell into a column, replacing what was there. Returns false when text had to be cut short.
    pub fn set(&mut self, column: ColumnId, cell: &Cell) -> bool {
        let (packed, whole) = self.pack(cell);
        self.set_packed(column, packed);
        whole
    }

    fn pack(&mut self, cell: &Cell) -> (Packed, bool) {
        match cell {
            Cell::Number(value) | Cell::Mac(value) => (Packed::Number(*value), true),
            Cell::Signed(value) => (Packed::Signed(*value), true),
            Cell::Float(value) => (Packed::Float(*value), true),
            Cell::Ip(value) => (Packed::Ip(*value), true),
            Cell::Bool(value) => (Packed::Bool(*value), true),
            Cell::Text(text) => self.keep_text(text),
        }
    }

    fn set_packed(&mut self, column: ColumnId, packed: Packed) {
        match self.buffers.cells.iter_mut().find(|(at, _)| *at == column) {
            Some((_, cell)) => *cell = packed,
            None => self.buffers.cells.push((column, packed)),
        }
    }

    fn keep_text(&mut self, value: &str) -> (Packed, bool) {
        let kept = cut(value, limits::TEXT_VALUE_OCTETS);
        let text = &mut self.buffers.text;
        let start = text.len() as u32;
        text.push_str(kept);
        (
            Packed::Text {
                start,
                end: text.len() as u32,
            },
            kept.len() == value.len(),
        )
    }

    /// Keeps an element that no column takes. Returns false when the row is full or text had to be cut short.
    pub fn add_other(&mut self, name: &Arc<str>, value: CellRef<'_>) -> bool {
        if self.buffers.other.len() >= limits::OTHER_ELEMENTS_PER_ROW {
            return false;
        }
        let (packed, whole) = match value {
            CellRef::Number(value) => (Packed::Number(value), true),
            CellRef::Signed(value) => (Packed::Signed(value), true),
            CellRef::Float(value) => (Packed::Float(value), true),
            // tantivy keeps no addresses by name: they are text.
            CellRef::Ip(value) => {
                let text = &mut self.buffers.text;
                let start = text.len() as u32;
                // Writing to a String does not fail.
                let _ = write!(text, "{}", u128_to_ip(value));
                (
                    Packed::Text {
                        start,
                        end: text.len() as u32,
                    },
                    true,
                )
            }
            CellRef::Bool(value) => (Packed::Bool(value), true),
            CellRef::Text(text) => self.keep_text(text),
        };
        self.buffers.other.push((Arc::clone(name), packed));
        whole
    }

    fn unpack(&self, packed: Packed) -> CellRef<'_> {
        match packed {
            Packed::Number(value) => CellRef::Number(value),
            Packed::Signed(value) => CellRef::Signed(value),
            Packed::Float(value) => CellRef::Float(value),
            Packed::Ip(value) => CellRef::Ip(value),
            Packed::Bool(value) => CellRef::Bool(value),
            Packed::Text { start, end } => {
                CellRef::Text(self.buffers.text.get(start as usize..end as usize).unwrap_or_default())
            }
        }
    }

    /// What a column holds.
    pub fn get(&self, column: ColumnId) -> Option<CellRef<'_>> {
        self.buffers
            .cells
            .iter()
            .find(|(at, _)| *at == column)
            .map(|(_, packed)| self.unpack(*packed))
    }

    /// The number a column holds.
    pub fn number(&self, column: ColumnId) -> Option<u64> {
        match self.get(column)? {
            CellRef::Number(value) => Some(value),
            _ => None,
        }
    }

    /// The signed number (time, duration) a column holds.
    pub fn signed(&self, column: ColumnId) -> Option<i64> {
        match self.get(column)? {
            CellRef::Signed(value) => Some(value),
            _ => None,
        }
    }

    /// Every cell, in the order they were put in.
    pub fn cells(&self) -> RowCells<'_> {
        RowCells {
            row: self,
            cells: self.buffers.cells.iter(),
        }
    }

    /// Every element no column takes, by name.
    pub fn other(&self) -> OtherCells<'_> {
        OtherCells {
            row: self,
            other: self.buffers.other.iter(),
        }
    }

    /// Whether there are elements no column takes.
    pub fn has_other(&self) -> bool {
        !self.buffers.other.is_empty()
    }

    /// Keeps the other elements whose names `keep` accepts; returns how many went.
    pub fn retain_other(&mut self, mut keep: impl FnMut(&Arc<str>) -> bool) -> usize {
        let before = self.buffers.other.len();
        self.buffers.other.retain(|(name, _)| keep(name));
        before - self.buffers.other.len()
    }
}

/// Cells of a row.
#[derive(Clone, Debug)]
pub struct RowCells<'a> {
    row: &'a Row,
    cells: std::slice::Iter<'a, (ColumnId, Packed)>,
}

impl<'a> Iterator for RowCells<'a> {
    type Item = (ColumnId, CellRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.cells
            .next()
            .map(|(column, packed)| (*column, self.row.unpack(*packed)))
    }
}

/// Other elements of a row.
#[derive(Clone, Debug)]
pub struct OtherCells<'a> {
    row: &'a Row,
    other: std::slice::Iter<'a, (Arc<str>, Packed)>,
}

impl<'a> Iterator for OtherCells<'a> {
    type Item = (&'a Arc<str>, CellRef<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.other.next().map(|(name, packed)| (name, self.row.unpack(*packed)))
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let mut buffers = std::mem::take(&mut self.buffers);
        if buffers.cells.capacity() == 0
            || buffers.cells.capacity() > limits::RECYCLED_ROW_CELLS
            || buffers.text.capacity() > limits::RECYCLED_ROW_TEXT_OCTETS
        {
            return;
        }
        buffers.cells.clear();
        buffers.other.clear();
        buffers.text.clear();
        // Fails only while the thread ends; the buffers are then freed with it.
        let _ = RECYCLED.try_with(|recycled| {
            let mut recycled = recycled.borrow_mut();
            if recycled.len() < limits::RECYCLED_ROWS {
                recycled.push(buffers);
            }
        });
    }
}

/// The longest beginning of `text` that has at most `octets` octets and ends between characters.
pub fn cut(text: &str, octets: usize) -> &str {
    let mut end = octets.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}
