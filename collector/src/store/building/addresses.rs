//! A column of addresses: each different one once while it fills, small numbers in their order when it is written.

use std::io;

use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field;

use super::compact::Compact;
use super::interned::{self, ranks};
use super::narrow::Narrow;
use super::postings::Lists;
use super::presence::Presence;

/// A column of addresses.
#[derive(Debug, Default)]
pub struct Addresses {
    presence: Presence,
    interned: interned::Addresses,
    numbers: Narrow,
}

impl Addresses {
    /// Appends the address of a row.
    #[inline]
    pub fn push(&mut self, row: u32, address: u128) {
        if self.presence.note(row) {
            self.numbers.push(u64::from(self.interned.number(address)));
        }
    }

    /// Memory it takes.
    pub fn octets(&self) -> usize {
        self.presence.octets() + self.interned.octets() + self.numbers.octets()
    }

    /// Whether no row has an address.
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
        let ranks = ranks(order.iter().map(|(_, number)| *number), self.interned.len());
        let ordinals = self
            .numbers
            .map(|number| ranks.get(number as usize).copied().unwrap_or(0));
        let present = self.presence.rows(rows);
        let octets = present.write(rows, out)?;
        Compact::new(&order, ordinals.len()).write(&ordinals, out)?;
        out.extend(octets.to_le_bytes());
        let Some((index, field)) = index else { return Ok(()) };
        let lists = Lists::new(&ordinals, order.len(), &present);
        let address = |ordinal: usize| order.get(ordinal).map_or(0, |(address, _)| *address).to_be_bytes();
        lists.write(index, field, address)
    }
}
