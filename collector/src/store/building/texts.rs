//! A column of texts: each different one once, in a dictionary that the column and the inverted index share.

use std::io;

use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field;
use tantivy_sstable::{Dictionary, VoidSSTable};

use super::interned::{self, ranks};
use super::narrow::Narrow;
use super::numbers::Coded;
use super::postings::Lists;
use super::presence::Presence;

/// A column of texts.
#[derive(Debug, Default)]
pub struct Texts {
    presence: Presence,
    interned: interned::Texts,
    numbers: Narrow,
}

impl Texts {
    /// Appends the text of a row.
    #[inline]
    pub fn push(&mut self, row: u32, text: &str) {
        if self.presence.note(row) {
            self.numbers.push(u64::from(self.interned.number(text.as_bytes())));
        }
    }

    /// Memory it takes.
    pub fn octets(&self) -> usize {
        self.presence.octets() + self.interned.octets() + self.numbers.octets()
    }

    /// Whether no row has a text.
    pub fn is_empty(&self) -> bool {
        self.presence.is_empty()
    }

    /// Writes the column of a segment of so many rows, and its inverted index where it has one.
    pub fn write(
        self,
        rows: u32,
        out: &mut Vec<u8>,
        index: Option<(&mut InvertedIndexSerializer, Field)>,
    ) -> io::Result<()> {
        let order = self.interned.order();
        let text = |ordinal: usize| self.interned.text(order.get(ordinal).copied().unwrap_or(0));
        let mut dictionary = Dictionary::<VoidSSTable>::builder(Vec::new())?;
        for ordinal in 0..order.len() {
            dictionary.insert(text(ordinal), &())?;
        }
        let dictionary = dictionary.finish()?;
        out.extend_from_slice(&dictionary);
        let ranks = ranks(order.iter().copied(), order.len());
        let rank = |number: u64| ranks.get(number as usize).copied().unwrap_or(0);
        let coded = Coded {
            rows: self.presence.rows(rows),
            codes: self.numbers.map(|number| u64::from(rank(number))),
        };
        coded.write(rows, out)?;
        out.extend((dictionary.len() as u32).to_le_bytes());
        let Some((index, field)) = index else { return Ok(()) };
        let lists = Lists::new(&self.numbers.map(rank), order.len(), &coded.rows);
        lists.write(index, field, text)
    }
}
