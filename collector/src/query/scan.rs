//! Reads codes of many documents at once and asks a predicate of each.

use tantivy::columnar::{Column, ColumnIndex};

use super::bits::Bits;
use super::{QueryError, Watch};

/// Documents looked at in one go; a multiple of 64.
pub const BLOCK: u32 = 1_024;
/// Fewer candidates than this in a block are fetched one by one.
const FEW: u32 = 24;

/// Puts those of `within` whose code fits into `out`; a document with several codes fits with any of them.
pub fn scan(
    column: &Column<u64>,
    within: &Bits,
    out: &mut Bits,
    watch: &Watch,
    fits: impl Fn(u64) -> bool,
) -> Result<(), QueryError> {
    let mut codes = vec![0u64; BLOCK as usize];
    let mut docs = Vec::new();
    for from in (0..within.len()).step_by(BLOCK as usize) {
        let to = within.len().min(from + BLOCK);
        let wanted = within.count_range(from, to);
        if wanted == 0 {
            continue;
        }
        watch.check()?;
        let is_multiple = matches!(column.index, ColumnIndex::Multivalued(_));
        if wanted < FEW || is_multiple {
            docs.clear();
            within.docs_of(from, to, &mut docs);
            for doc in docs.iter().filter(|doc| column.values_for_doc(**doc).any(&fits)) {
                out.insert(*doc);
            }
            continue;
        }
        match &column.index {
            ColumnIndex::Full => {
                let Some(codes) = codes.get_mut(..(to - from) as usize) else {
                    continue;
                };
                column.values.get_range(u64::from(from), codes);
                for (chunk, at) in codes.chunks(64).zip((from / 64) as usize..) {
                    let mut word = 0u64;
                    for (bit, code) in chunk.iter().enumerate() {
                        word |= u64::from(fits(*code)) << bit;
                    }
                    out.set_word(at, out.word(at) | word & within.word(at));
                }
            }
            ColumnIndex::Optional(_) => {
                let rows = column.index.docid_range_to_rowids(from..to);
                let Some(codes) = codes.get_mut(..rows.len()) else {
                    continue;
                };
                column.values.get_range(u64::from(rows.start), codes);
                // To find the document of a row takes longer than to look at its code.
                docs.clear();
                docs.extend(rows.zip(&*codes).filter(|(_, code)| fits(**code)).map(|(row, _)| row));
                column.index.select_batch_in_place(from, &mut docs);
                for doc in docs.iter().filter(|doc| within.contains(**doc)) {
                    out.insert(*doc);
                }
            }
            ColumnIndex::Empty { .. } | ColumnIndex::Multivalued(_) => {}
        }
    }
    Ok(())
}

/// Those of `within` that have a value.
pub fn present(column: &Column<u64>, within: &Bits) -> Bits {
    match &column.index {
        ColumnIndex::Empty { .. } => Bits::none(within.len()),
        ColumnIndex::Full => within.clone(),
        ColumnIndex::Optional(_) | ColumnIndex::Multivalued(_) => {
            let mut out = Bits::none(within.len());
            let mut docs = Vec::new();
            for from in (0..within.len()).step_by(BLOCK as usize) {
                docs.clear();
                within.docs_of(from, within.len().min(from + BLOCK), &mut docs);
                for doc in docs.iter().filter(|doc| column.index.has_value(**doc)) {
                    out.insert(*doc);
                }
            }
            out
        }
    }
}

/// The first code of each document.
pub fn first_codes(column: &Column<u64>, docs: &[u32], out: &mut Vec<Option<u64>>) {
    out.clear();
    out.resize(docs.len(), None);
    column.first_vals(docs, out);
}
