//! A column of addresses as it is written: small numbers in the order of the addresses.

use std::io;

use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field;

use super::compact::Compact;
use super::interned::{Addresses, Numbered};
use super::postings::Lists;

/// Writes the column of a segment of so many rows, and its inverted index where it has one.
pub fn write(
    addresses: Numbered<Addresses>,
    rows: u32,
    out: &mut Vec<u8>,
    index: Option<(&mut InvertedIndexSerializer, Field)>,
) -> io::Result<()> {
    let order = addresses.interned.order();
    let (_, present, ordinals) = addresses.finish(rows, order.iter().map(|(_, number)| *number));
    let octets = present.write(rows, out)?;
    Compact::new(&order, ordinals.len()).write(&ordinals, out)?;
    out.extend(octets.to_le_bytes());
    let Some((index, field)) = index else { return Ok(()) };
    let address = |ordinal: usize| order.get(ordinal).map_or(0, |(address, _)| *address).to_be_bytes();
    Lists::new(&ordinals, order.len(), &present).write(index, field, address)
}
