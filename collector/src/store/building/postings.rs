//! The inverted index: for each different value of a column, the rows that have it.

use std::io;

use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field;

use super::presence::Rows;

/// Longer terms are not in the index, as with tantivy's own writer.
const TERM_OCTETS: usize = u16::MAX as usize - 5;

/// Rows of each value, by its place among the different ones.
#[derive(Debug)]
pub struct Lists {
    /// Where the list of each begins, and behind the last one.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Lists {
    /// Puts values, said by their place among `different` ones, together with their rows.
    pub fn new(ordinals: &[u32], different: usize, rows: &Rows) -> Self {
        let mut starts = vec![0u32; different + 1];
        for ordinal in ordinals {
            if let Some(count) = starts.get_mut(*ordinal as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        // Each start goes on to the end of its list, which is the start of the next.
        let mut lists = vec![0u32; ordinals.len()];
        for (place, ordinal) in ordinals.iter().enumerate() {
            let Some(start) = starts.get_mut(*ordinal as usize) else {
                continue;
            };
            if let Some(slot) = lists.get_mut(*start as usize) {
                *slot = rows.row(place);
            }
            *start += 1;
        }
        starts.pop();
        starts.insert(0, 0);
        Self { starts, rows: lists }
    }

    /// The rows of one, in their order.
    pub fn rows(&self, ordinal: usize) -> &[u32] {
        let bounds = (self.starts.get(ordinal), self.starts.get(ordinal + 1));
        let (Some(start), Some(end)) = bounds else {
            return &[];
        };
        self.rows.get(*start as usize..*end as usize).unwrap_or_default()
    }

    /// Writes them as the index of a field; `term` is what tantivy calls the value at a place.
    pub fn write<T: AsRef<[u8]>>(
        &self,
        index: &mut InvertedIndexSerializer,
        field: Field,
        term: impl Fn(usize) -> T,
    ) -> io::Result<()> {
        let mut writer = index.new_field(field, self.rows.len() as u64, None)?;
        for ordinal in 0..self.starts.len().saturating_sub(1) {
            let term = term(ordinal);
            let term = term.as_ref();
            if term.len() > TERM_OCTETS {
                continue;
            }
            let rows = self.rows(ordinal);
            writer.new_term(term, rows.len() as u32, false)?;
            for row in rows {
                writer.write_doc(*row, 0, &[]);
            }
            writer.close_term()?;
        }
        writer.close()
    }
}
