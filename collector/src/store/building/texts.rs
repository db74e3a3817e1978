//! A column of texts as it is written: a dictionary that the column and the inverted index share.

use std::io;

use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field;
use tantivy_sstable::{Dictionary, VoidSSTable};

use super::interned::{Numbered, Texts};
use super::numbers::Coded;
use super::postings::Lists;

/// Writes the column of a segment of so many rows, and its inverted index where it has one.
pub fn write(
    texts: Numbered<Texts>,
    rows: u32,
    out: &mut Vec<u8>,
    index: Option<(&mut InvertedIndexSerializer, Field)>,
) -> io::Result<()> {
    let order = texts.interned.order();
    let (interned, present, ordinals) = texts.finish(rows, order.iter().copied());
    let text = |ordinal: usize| interned.text(order.get(ordinal).copied().unwrap_or(0));
    let mut dictionary = Dictionary::<VoidSSTable>::builder(Vec::new())?;
    for ordinal in 0..order.len() {
        dictionary.insert(text(ordinal), &())?;
    }
    let dictionary = dictionary.finish()?;
    out.extend_from_slice(&dictionary);
    let coded = Coded {
        rows: present,
        codes: ordinals.iter().map(|ordinal| u64::from(*ordinal)).collect(),
    };
    coded.write(rows, out)?;
    out.extend((dictionary.len() as u32).to_le_bytes());
    let Some((index, field)) = index else { return Ok(()) };
    Lists::new(&ordinals, order.len(), &coded.rows).write(index, field, text)
}
