//! A segment as it fills: narrow columns in memory, written as a segment of tantivy when it is handed over.
//!
//! What is written is tantivy's format, read and merged by tantivy. Its own writer finds the column of each value by name,
//! logs it, hashes each indexed value once more and sorts both; here a value goes straight to its column, and texts and
//! addresses are found once for the column and the inverted index (docs/decisions/0014). Tests hold what is written against
//! tantivy's own.

mod addresses;
mod columnar;
mod compact;
mod interned;
mod narrow;
mod numbers;
mod postings;
mod presence;
#[cfg(test)]
mod tests;
mod texts;

use std::ops::Range;
use std::path::Path;

use tantivy::columnar::{ColumnType, ColumnarWriter};
use tantivy::directory::{RamDirectory, TerminatingWrite};
use tantivy::fieldnorm::FieldNormsSerializer;
use tantivy::index::SegmentComponent;
use tantivy::postings::InvertedIndexSerializer;
use tantivy::schema::Field;
use tantivy::store::StoreWriter;
use tantivy::{Directory, Index, IndexMeta, IndexSettings};

use super::schema::{OTHER, SCHEMA};
use crate::normalize::columns::{COLUMNS, Column, ColumnId, ColumnKind, columns};
use crate::normalize::row::{CellRef, Row, u128_to_ip};
use columnar::{ColumnsFile, columns_of, key};
use interned::{Addresses, Numbered, Texts};
use numbers::Numbers;

/// Where tantivy keeps what it knows of its segments.
const META: &str = "meta.json";
/// Separates the steps of a path in a name of tantivy's.
const STEP: char = '\u{1}';

/// The settings of every segment.
pub fn settings() -> IndexSettings {
    IndexSettings {
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

/// Rows that are to become a segment.
pub struct SegmentBuilder {
    rows: u32,
    /// By number of the column.
    columns: Vec<Values>,
    /// Elements no column takes.
    other: Option<ColumnarWriter>,
    path: String,
}

/// What a column of the store has so far.
enum Values {
    /// Computed, not stored.
    None,
    Numbers(Numbers),
    Texts(Numbered<Texts>),
    Addresses(Numbered<Addresses>),
}

impl Values {
    fn new(column: &Column) -> Self {
        match column.kind {
            _ if !column.stored => Self::None,
            ColumnKind::Ip => Self::Addresses(Numbered::default()),
            ColumnKind::Text => Self::Texts(Numbered::default()),
            kind => Self::Numbers(Numbers::new(kind)),
        }
    }

    #[inline]
    fn push(&mut self, row: u32, cell: CellRef<'_>) {
        match (self, cell) {
            (Self::Addresses(addresses), CellRef::Ip(address)) => addresses.push(row, &address),
            (Self::Texts(texts), CellRef::Text(text)) => texts.push(row, text.as_bytes()),
            (Self::Numbers(numbers), cell) => numbers.push(row, cell),
            _ => {}
        }
    }

    fn octets(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Numbers(numbers) => numbers.octets(),
            Self::Texts(texts) => texts.octets(),
            Self::Addresses(addresses) => addresses.octets(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Numbers(numbers) => numbers.is_empty(),
            Self::Texts(texts) => texts.is_empty(),
            Self::Addresses(addresses) => addresses.is_empty(),
        }
    }
}

impl Default for SegmentBuilder {
    fn default() -> Self {
        Self {
            rows: 0,
            columns: COLUMNS.iter().map(Values::new).collect(),
            other: None,
            path: String::new(),
        }
    }
}

impl SegmentBuilder {
    /// Appends a row.
    pub fn add(&mut self, row: &Row) {
        for (column, cell) in row.cells() {
            if let Some(values) = self.columns.get_mut(usize::from(column.0)) {
                values.push(self.rows, cell);
            }
        }
        if row.has_other() {
            self.add_other(row);
        }
        self.rows += 1;
    }

    fn add_other(&mut self, row: &Row) {
        let (other, path, row_number) = (self.other.get_or_insert_default(), &mut self.path, self.rows);
        for (name, cell) in row.other() {
            path.clear();
            path.push_str(OTHER);
            path.push(STEP);
            path.push_str(name);
            match cell {
                CellRef::Number(value) => other.record_numerical(row_number, path, value),
                CellRef::Signed(value) => other.record_numerical(row_number, path, value),
                CellRef::Float(value) => other.record_numerical(row_number, path, value),
                CellRef::Bool(value) => other.record_bool(row_number, path, value),
                CellRef::Text(text) => other.record_str(row_number, path, text),
                // Rows keep addresses of others as text.
                CellRef::Ip(address) => other.record_str(row_number, path, &u128_to_ip(address).to_string()),
            }
        }
    }

    /// Memory it takes.
    pub fn octets(&self) -> usize {
        let columns: usize = self.columns.iter().map(Values::octets).sum();
        columns + self.other.as_ref().map_or(0, ColumnarWriter::mem_usage)
    }

    /// Writes the segment, as the only one of an index.
    ///
    /// # Errors
    /// tantivy's; what is in `files` is worth nothing then.
    pub fn finish(mut self, files: &RamDirectory) -> tantivy::Result<()> {
        let index = Index::create(files.clone(), SCHEMA.schema.clone(), settings())?;
        let segment = index.new_segment().with_max_doc(self.rows);
        let mut inverted = InvertedIndexSerializer::open(&segment)?;
        let mut file = ColumnsFile::new(segment.open_write(SegmentComponent::FastFields)?)?;
        self.write_columns(&mut file, &mut inverted)?;
        file.close(self.rows)?.terminate()?;
        inverted.close()?;
        FieldNormsSerializer::from_write(segment.open_write(SegmentComponent::FieldNorms)?)?.close()?;
        // Nothing is read from stored documents: there are none.
        let settings = settings();
        let (compression, block) = (settings.docstore_compression, settings.docstore_blocksize);
        StoreWriter::new(segment.open_write(SegmentComponent::Store)?, compression, block, false)?.close()?;
        let meta = IndexMeta {
            index_settings: settings,
            persisted_custom_extensions: Vec::new(),
            segments: vec![segment.meta().clone()],
            schema: index.schema(),
            opstamp: 0,
            payload: None,
        };
        let mut meta = serde_json::to_vec_pretty(&meta)?;
        meta.push(b'\n');
        index.directory().atomic_write(Path::new(META), &meta)?;
        Ok(())
    }

    fn write_columns<W: std::io::Write>(
        &mut self,
        file: &mut ColumnsFile<W>,
        inverted: &mut InvertedIndexSerializer,
    ) -> tantivy::Result<()> {
        let rows = self.rows;
        let mut others = Vec::new();
        if let Some(mut other) = self.other.take() {
            other.serialize(rows, None, &mut others)?;
        }
        let mut octets = Vec::new();
        for (key, source) in in_order(&self.columns, columns_of_others(&others)?) {
            octets.clear();
            match source {
                Source::Other(range) => octets.extend_from_slice(others.get(range).unwrap_or_default()),
                Source::Column(column, field) => {
                    let values = self.columns.get_mut(usize::from(column.0));
                    let values = values.map_or(Values::None, |values| std::mem::replace(values, Values::None));
                    let index = column.column().indexed.then_some((&mut *inverted, field));
                    match values {
                        Values::None => {}
                        Values::Texts(texts) => texts::write(texts, rows, &mut octets, index)?,
                        Values::Addresses(addresses) => addresses::write(addresses, rows, &mut octets, index)?,
                        Values::Numbers(numbers) => {
                            let coded = numbers.finish(rows);
                            coded.write(rows, &mut octets)?;
                            if let Some((index, field)) = index {
                                let (different, lists) = coded.lists();
                                let code = |at: usize| different.get(at).copied().unwrap_or(0).to_be_bytes();
                                lists.write(index, field, code)?;
                            }
                        }
                    }
                }
            }
            file.column(&key, &octets)?;
        }
        Ok(())
    }
}

/// Where the octets of a column of the file are from.
enum Source {
    Column(ColumnId, Field),
    Other(Range<usize>),
}

/// Every column that has values, by its key in the file.
fn in_order(values: &[Values], others: Vec<(Vec<u8>, Range<usize>)>) -> Vec<(Vec<u8>, Source)> {
    let others = others.into_iter().map(|(key, range)| (key, Source::Other(range)));
    let filled = columns().zip(values).filter(|(_, values)| !values.is_empty());
    let filled = filled.filter_map(|((id, column), _)| {
        let kind = match column.kind {
            ColumnKind::Time | ColumnKind::Duration => ColumnType::I64,
            ColumnKind::Number | ColumnKind::Mac => ColumnType::U64,
            ColumnKind::Float => ColumnType::F64,
            ColumnKind::Bool => ColumnType::Bool,
            ColumnKind::Ip => ColumnType::IpAddr,
            ColumnKind::Text => ColumnType::Str,
        };
        let source = Source::Column(id, SCHEMA.field(id)?);
        Some((key(column.name, kind.to_code()), source))
    });
    let mut all: Vec<(Vec<u8>, Source)> = filled.chain(others).collect();
    all.sort_by(|(left, _), (right, _)| left.cmp(right));
    all
}

fn columns_of_others(file: &[u8]) -> std::io::Result<Vec<(Vec<u8>, Range<usize>)>> {
    match file {
        [] => Ok(Vec::new()),
        file => columns_of(file),
    }
}
