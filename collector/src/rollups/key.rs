//! Keys of sections as octets: one component for each column, so that they are compared, kept and read without a dictionary.
//!
//! ```text
//! component = 0 (absent) | 1 address:16 | 2 number:8 | 3 length:2 text      numbers are big-endian
//! ```

use flowgauge_sketches::Item;

use crate::normalize::row::{Cell, cut};

const ABSENT: u8 = 0;
const IP: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;
/// Longer texts are cut: they are names, and those of DNS have at most 1 016 octets escaped.
const TEXT_OCTETS: usize = 1_000;

/// Writes keys, one after the other, into the same buffer.
#[derive(Debug, Default)]
pub struct KeyWriter {
    octets: Vec<u8>,
}

impl KeyWriter {
    /// Begins a key.
    #[inline]
    pub fn begin(&mut self) -> &mut KeyWriter {
        self.octets.clear();
        self
    }

    /// An address.
    #[inline]
    pub fn ip(&mut self, address: Option<u128>) -> &mut KeyWriter {
        match address {
            None => self.octets.push(ABSENT),
            Some(address) => {
                self.octets.push(IP);
                self.octets.extend_from_slice(&address.to_be_bytes());
            }
        }
        self
    }

    /// A number.
    #[inline]
    pub fn number(&mut self, number: Option<u64>) -> &mut KeyWriter {
        match number {
            None => self.octets.push(ABSENT),
            Some(number) => {
                self.octets.push(NUMBER);
                self.octets.extend_from_slice(&number.to_be_bytes());
            }
        }
        self
    }

    /// Text.
    #[inline]
    pub fn text(&mut self, text: Option<&str>) -> &mut KeyWriter {
        match text {
            None => self.octets.push(ABSENT),
            Some(text) => {
                let text = cut(text, TEXT_OCTETS);
                self.octets.push(TEXT);
                self.octets.extend_from_slice(&(text.len() as u16).to_be_bytes());
                self.octets.extend_from_slice(text.as_bytes());
            }
        }
        self
    }

    /// The whole key.
    #[inline]
    pub fn item(&self) -> Item {
        Item::new(&self.octets)
    }
}

/// The components of a key; nothing when they are not `count`.
pub fn cells(key: &[u8], count: usize) -> Option<Vec<Option<Cell>>> {
    let mut rest = key;
    let mut cells = Vec::with_capacity(count);
    while let Some((kind, behind)) = rest.split_first() {
        let (cell, behind) = match *kind {
            ABSENT => (None, behind),
            IP => {
                let (octets, behind) = behind.split_first_chunk()?;
                (Some(Cell::Ip(u128::from_be_bytes(*octets))), behind)
            }
            NUMBER => {
                let (octets, behind) = behind.split_first_chunk()?;
                (Some(Cell::Number(u64::from_be_bytes(*octets))), behind)
            }
            TEXT => {
                let (length, behind) = behind.split_first_chunk()?;
                let (text, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                (Some(Cell::Text(std::str::from_utf8(text).ok()?.into())), behind)
            }
            _ => return None,
        };
        cells.push(cell);
        rest = behind;
    }
    (cells.len() == count).then_some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_and_nonsense_does_not() {
        let mut writer = KeyWriter::default();
        let key = writer
            .begin()
            .ip(Some(7))
            .number(Some(u64::MAX))
            .text(Some("ä"))
            .text(None)
            .item();
        let wanted = [
            Some(Cell::Ip(7)),
            Some(Cell::Number(u64::MAX)),
            Some(Cell::Text("ä".into())),
            None,
        ];
        assert_eq!(cells(key.octets(), 4).unwrap(), wanted);
        assert_eq!(cells(key.octets(), 3), None);
        for cut in 1..key.octets().len() {
            assert_eq!(cells(&key.octets()[..cut], 4), None);
        }
        assert_eq!(cells(&[9], 1), None);
        assert_eq!(cells(&[], 0), Some(Vec::new()));
        let long = writer.begin().text(Some(&"x".repeat(900))).text(Some("y")).item();
        assert_eq!(cells(long.octets(), 2).unwrap()[1], Some(Cell::Text("y".into())));
    }
}
