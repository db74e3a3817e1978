//! Rows as Apache Parquet: a typed column each, in row groups of bounded size.
//!
//! Times are timestamps of nanoseconds in UTC; durations are whole nanoseconds and have `_ns` behind their name; numbers
//! have the width of the element they come from; addresses are text, which every reader of Parquet compares and shows;
//! what is absent is null. Columns are written one after the other, so the rows of a group are kept until it is full.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{ColumnPath, Type};

use super::facts::Typed;
use super::{ELEMENT_KIND, Head};
use crate::limits::{PARQUET_GROUP_OCTETS, PARQUET_GROUP_ROWS};
use crate::normalize::columns::ColumnKind;
use crate::normalize::row::Cell;
use crate::query::table::{TableRow, cell_to_text};

/// Where a column's cells are in a row.
enum Source {
    Id,
    Cell(usize),
    Other(String),
}

enum Values {
    Whole32(Vec<i32>),
    Whole64(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    Text(Vec<ByteArray>),
}

/// The cells of a row group in one column.
struct Gathered {
    source: Source,
    kind: ColumnKind,
    values: Values,
    /// 1 where there is a value, 0 where there is none: Parquet's definition levels.
    present: Vec<i16>,
}

/// Writes rows as Parquet.
pub struct ParquetRows<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: Vec<Gathered>,
    rows: usize,
    octets: usize,
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        // What the sink said is not ours to wrap: that a reader is gone must be seen.
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        other => io::Error::other(other),
    }
}

impl<W: Write + Send> ParquetRows<W> {
    /// Begins a file.
    pub fn begin(head: &Head, sink: W) -> io::Result<Self> {
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        let mut add = |name: String, source: Source, kind: ColumnKind, typed: Typed| -> ParquetResult<()> {
            fields.push(Arc::new(field(&name, typed)?));
            columns.push(Gathered {
                source,
                kind,
                values: Values::of(typed),
                present: Vec::new(),
            });
            Ok(())
        };
        if head.has_ids {
            add("_id".to_owned(), Source::Id, ColumnKind::Text, Typed::Text).map_err(failed)?;
        }
        for (at, column) in head.columns.iter().enumerate() {
            let facts = head.facts.get(at).copied().unwrap_or_default();
            let name = match column.kind {
                ColumnKind::Duration => format!("{}_ns", column.name),
                _ => column.name.clone(),
            };
            let typed = facts.typed(&column.name, column.kind);
            add(name, Source::Cell(at), column.kind, typed).map_err(failed)?;
        }
        for (name, facts) in &head.other {
            let typed = facts.typed(name, ELEMENT_KIND);
            add(name.clone(), Source::Other(name.clone()), ELEMENT_KIND, typed).map_err(failed)?;
        }
        let schema = Type::group_type_builder("flowgauge").with_fields(fields).build();
        let writer = SerializedFileWriter::new(sink, Arc::new(schema.map_err(failed)?), Arc::new(properties(head)));
        Ok(Self {
            writer: writer.map_err(failed)?,
            columns,
            rows: 0,
            octets: 0,
        })
    }

    /// Adds rows.
    pub fn rows(&mut self, rows: &[TableRow]) -> io::Result<()> {
        for row in rows {
            for column in &mut self.columns {
                self.octets += column.add(row)?;
            }
            self.rows += 1;
            if self.rows >= PARQUET_GROUP_ROWS || self.octets >= PARQUET_GROUP_OCTETS {
                self.group().map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Writes the last rows and what readers find them by.
    pub fn end(mut self) -> io::Result<W> {
        if self.rows > 0 {
            self.group().map_err(failed)?;
        }
        self.writer.into_inner().map_err(failed)
    }

    fn group(&mut self) -> ParquetResult<()> {
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            let Some(writer) = group.next_column()? else { break };
            column.write(writer)?;
        }
        group.close()?;
        (self.rows, self.octets) = (0, 0);
        Ok(())
    }
}

fn properties(head: &Head) -> WriterProperties {
    // Names of flows grow from row to row: what they have in common is written once.
    let ids = ColumnPath::from("_id");
    let about = head.about.as_ref();
    WriterProperties::builder()
        .set_created_by(concat!("flowgauge-collector ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_dictionary_enabled(ids.clone(), false)
        .set_column_encoding(ids, Encoding::DELTA_BYTE_ARRAY)
        .set_key_value_metadata(about.map(|about| vec![KeyValue::new("flowgauge.about".to_owned(), about.clone())]))
        .build()
}

fn field(name: &str, typed: Typed) -> ParquetResult<Type> {
    let (physical, logical) = match typed {
        Typed::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::NANOS))),
        Typed::Whole { bits, signed } => {
            let physical = if bits == 64 { Physical::INT64 } else { Physical::INT32 };
            (physical, Some(LogicalType::integer(bits.cast_signed(), signed)))
        }
        Typed::Float => (Physical::DOUBLE, None),
        Typed::Bool => (Physical::BOOLEAN, None),
        Typed::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

impl Values {
    fn of(typed: Typed) -> Values {
        match typed {
            Typed::Time | Typed::Whole { bits: 64, .. } => Values::Whole64(Vec::new()),
            Typed::Whole { .. } => Values::Whole32(Vec::new()),
            Typed::Float => Values::Float(Vec::new()),
            Typed::Bool => Values::Bool(Vec::new()),
            Typed::Text => Values::Text(Vec::new()),
        }
    }

    /// Adds a cell, and says whether the type takes it and how many octets it is.
    fn push(&mut self, kind: ColumnKind, cell: &Cell) -> Option<usize> {
        match (self, cell) {
            (Values::Whole64(values), Cell::Signed(value)) => values.push(*value),
            // An unsigned number's bits: the type says that they have no sign.
            (Values::Whole64(values), Cell::Number(value)) => values.push(value.cast_signed()),
            (Values::Whole32(values), Cell::Number(value)) => values.push(u32::try_from(*value).ok()?.cast_signed()),
            (Values::Float(values), Cell::Float(value)) => values.push(*value),
            (Values::Float(values), Cell::Number(value)) => values.push(*value as f64),
            (Values::Float(values), Cell::Signed(value)) => values.push(*value as f64),
            (Values::Bool(values), Cell::Bool(value)) => values.push(*value),
            (Values::Text(values), Cell::Text(text)) => return Some(push_text(values, text.as_bytes())),
            (Values::Text(values), cell) => return Some(push_text(values, cell_to_text(kind, cell).as_bytes())),
            _ => return None,
        }
        Some(8)
    }
}

/// Adds a text and says how many octets it takes: the same one again takes no copy.
fn push_text(values: &mut Vec<ByteArray>, text: &[u8]) -> usize {
    let same = values.last().filter(|last| last.data() == text).cloned();
    let taken = same.as_ref().map_or(text.len(), |_| 0);
    values.push(same.unwrap_or_else(|| ByteArray::from(text.to_vec())));
    taken + size_of::<ByteArray>()
}

impl Gathered {
    /// Adds a row's cell and says how many octets it takes.
    fn add(&mut self, row: &TableRow) -> io::Result<usize> {
        let cell = match &self.source {
            Source::Id => {
                self.present.push(1);
                return match &mut self.values {
                    Values::Text(values) => Ok(push_text(values, row.id.as_bytes())),
                    _ => Err(io::Error::other("names of flows are text")),
                };
            }
            Source::Cell(at) => row.cells.get(*at).and_then(Option::as_ref),
            Source::Other(name) => row.other.iter().find(|(known, _)| known == name).map(|(_, cell)| cell),
        };
        self.present.push(i16::from(cell.is_some()));
        let Some(cell) = cell else {
            return Ok(size_of::<i16>());
        };
        // The type was made for what the column holds, so this is a fault of ours, and no reason to leave a value out.
        let refused = || io::Error::other(format!("a column's type does not take {cell:?}"));
        let taken = self.values.push(self.kind, cell).ok_or_else(refused)?;
        Ok(taken + size_of::<i16>())
    }

    fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> ParquetResult<()> {
        let present = Some(self.present.as_slice());
        match &mut self.values {
            Values::Whole32(values) => {
                writer.typed::<Int32Type>().write_batch(values, present, None)?;
                values.clear();
            }
            Values::Whole64(values) => {
                writer.typed::<Int64Type>().write_batch(values, present, None)?;
                values.clear();
            }
            Values::Float(values) => {
                writer.typed::<DoubleType>().write_batch(values, present, None)?;
                values.clear();
            }
            Values::Bool(values) => {
                writer.typed::<BoolType>().write_batch(values, present, None)?;
                values.clear();
            }
            Values::Text(values) => {
                writer.typed::<ByteArrayType>().write_batch(values, present, None)?;
                values.clear();
            }
        }
        self.present.clear();
        writer.close()
    }
}
