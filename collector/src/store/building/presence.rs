//! Which rows have a value in a column: all so far, or a list of them.

use std::io;

use tantivy::columnar::column_index::{SerializableColumnIndex, SerializableOptionalIndex, serialize_column_index};

/// Rows that have a value, in their order.
#[derive(Debug, Default)]
pub struct Presence {
    count: u32,
    /// Their numbers, once one was left out.
    rows: Option<Vec<u32>>,
}

impl Presence {
    /// Notes that a row has a value; false when it had one before.
    #[inline]
    pub fn note(&mut self, row: u32) -> bool {
        match &mut self.rows {
            None if row == self.count => {}
            None if row < self.count => return false,
            None => self.rows = Some((0..self.count).chain([row]).collect()),
            Some(rows) if rows.last().is_some_and(|last| *last >= row) => return false,
            Some(rows) => rows.push(row),
        }
        self.count += 1;
        true
    }

    /// Whether no row has one.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The row of each value, of `rows` rows.
    pub fn rows(self, rows: u32) -> Rows {
        match self.rows {
            Some(list) => Rows::List(list),
            None if self.count == rows => Rows::All,
            None => Rows::List((0..self.count).collect()),
        }
    }

    /// Memory it takes.
    pub fn octets(&self) -> usize {
        self.rows.as_ref().map_or(0, |rows| rows.capacity() * size_of::<u32>())
    }
}

/// The rows of a column's values.
#[derive(Debug)]
pub enum Rows {
    /// Each has one.
    All,
    /// Those that have one.
    List(Vec<u32>),
}

impl Rows {
    /// The row of the value at a place among values.
    #[inline]
    pub fn row(&self, place: usize) -> u32 {
        match self {
            Self::All => place as u32,
            Self::List(rows) => rows.get(place).copied().unwrap_or(u32::MAX),
        }
    }

    /// Writes them as tantivy keeps them; returns how many octets that took.
    pub fn write(&self, rows: u32, out: &mut Vec<u8>) -> io::Result<u32> {
        let index = match self {
            Self::All => SerializableColumnIndex::Full,
            Self::List(list) => SerializableColumnIndex::Optional(SerializableOptionalIndex {
                non_null_row_ids: Box::new(&list[..]),
                num_rows: rows,
            }),
        };
        serialize_column_index(index, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(noted: &[u32], rows: u32) -> Vec<u32> {
        let mut presence = Presence::default();
        for row in noted {
            assert!(presence.note(*row));
            assert!(!presence.note(*row), "a row has one value");
        }
        let count = noted.len();
        let rows = presence.rows(rows);
        (0..count).map(|place| rows.row(place)).collect()
    }

    #[test]
    fn rows_come_back() {
        assert!(Presence::default().is_empty());
        assert!(matches!(Presence::default().rows(0), Rows::All));
        assert_eq!(of(&[0, 1, 2], 3), [0, 1, 2]);
        assert_eq!(of(&[0, 1], 9), [0, 1]);
        assert_eq!(of(&[0, 2, 3, 8], 9), [0, 2, 3, 8]);
        assert_eq!(of(&[5], 6), [5]);
    }
}
