//! The forms an answer is written in, for the API and for files: rows one after the other into any writer, so that an
//! answer of any length takes no more memory than a few of its rows.

pub mod facts;
mod parquet;
mod text;

use std::io::{self, Write};
use std::time::{Duration, Instant};

pub use facts::Facts;
pub use text::{csv_line, rows_csv};

use self::parquet::ParquetRows;
use crate::normalize::columns::ColumnKind;
use crate::query::table::{TableColumn, TableRow};
use crate::query::{Download, Limits, Table};

/// The forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One object with rows, stats and the next page.
    Json,
    /// One row a line.
    Ndjson,
    /// A line of names, then one row a line (RFC 4180).
    Csv,
    /// Apache Parquet: typed columns, for DuckDB and its like.
    Parquet,
}

impl Form {
    /// Every form.
    pub const ALL: [Form; 4] = [Form::Json, Form::Ndjson, Form::Csv, Form::Parquet];

    /// Its name in `format=`, and the end of names of files in it.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Json => "json",
            Form::Ndjson => "ndjson",
            Form::Csv => "csv",
            Form::Parquet => "parquet",
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Form::Json => "application/json",
            Form::Ndjson => "application/x-ndjson",
            Form::Csv => "text/csv; charset=utf-8",
            Form::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The form of a media type without its parameters.
    pub fn of_media_type(text: &str) -> Option<Form> {
        match text {
            "text/csv" => Some(Form::Csv),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Form::Ndjson),
            "application/json" => Some(Form::Json),
            "application/vnd.apache.parquet" => Some(Form::Parquet),
            _ => None,
        }
    }
}

/// What there is to know of an answer before its rows are written.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Columns of every row.
    pub columns: Vec<TableColumn>,
    /// What their cells hold, as far as it is known.
    pub facts: Vec<Facts>,
    /// Elements no column takes, sorted by name, and what they hold.
    pub other: Vec<(String, Facts)>,
    /// Whether rows have names of their own: those of flows have.
    pub has_ids: bool,
    /// What is to be said about the answer as a whole, as JSON, in forms that have a place for it.
    pub about: Option<String>,
}

impl Head {
    /// The head of rows that are all there.
    pub fn of(table: &Table) -> Head {
        let mut facts = vec![Facts::default(); table.columns.len()];
        let mut other = std::collections::BTreeMap::<&str, Facts>::new();
        for name in &table.named {
            other.entry(name).or_default();
        }
        for row in &table.rows {
            for (facts, cell) in facts.iter_mut().zip(&row.cells) {
                facts.add(cell.as_ref());
            }
            for (name, cell) in &row.other {
                other.entry(name).or_default().add(Some(cell));
            }
        }
        Head {
            columns: table.columns.clone(),
            facts,
            other: other
                .into_iter()
                .map(|(name, facts)| (name.to_owned(), facts))
                .collect(),
            has_ids: table.rows.iter().any(|row| !row.id.is_empty()),
            about: None,
        }
        .without_doubles()
    }

    /// A name is that of a column first: no element takes it a second time.
    #[must_use]
    pub fn without_doubles(mut self) -> Head {
        let columns = &self.columns;
        self.other
            .retain(|(name, _)| columns.iter().all(|column| column.name != *name));
        self
    }
}

/// Writes rows in one form.
pub enum RowsWriter<W: Write + Send> {
    /// See [`Form::Ndjson`].
    Ndjson {
        /// Columns of the rows.
        columns: Vec<TableColumn>,
        /// Where they go.
        sink: W,
    },
    /// See [`Form::Csv`].
    Csv {
        /// What the rows have.
        head: Head,
        /// Where they go.
        sink: W,
    },
    /// See [`Form::Parquet`].
    Parquet(Box<ParquetRows<W>>),
}

impl<W: Write + Send> RowsWriter<W> {
    /// Begins to write. [`Form::Json`] is an object around rows and no form of rows alone, so it is written as lines.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn begin(form: Form, head: Head, mut sink: W) -> io::Result<Self> {
        Ok(match form {
            Form::Json | Form::Ndjson => Self::Ndjson {
                columns: head.columns,
                sink,
            },
            Form::Csv => {
                sink.write_all(text::csv_head(&head).as_bytes())?;
                Self::Csv { head, sink }
            }
            Form::Parquet => Self::Parquet(Box::new(ParquetRows::begin(&head, sink)?)),
        })
    }

    /// Writes rows.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn rows(&mut self, rows: &[TableRow]) -> io::Result<()> {
        match self {
            Self::Ndjson { columns, sink } => rows.iter().try_for_each(|row| text::ndjson_row(columns, row, sink)),
            Self::Csv { head, sink } => rows.iter().try_for_each(|row| text::csv_row(head, row, sink)),
            Self::Parquet(rows_of) => rows_of.rows(rows),
        }
    }

    /// Writes what belongs behind the last row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(self) -> io::Result<W> {
        let mut sink = match self {
            Self::Ndjson { sink, .. } | Self::Csv { sink, .. } => sink,
            Self::Parquet(rows) => rows.end()?,
        };
        sink.flush()?;
        Ok(sink)
    }
}

/// How many rows are turned into a form in one go: between two goes others get the processor.
pub const ROWS_AT_ONCE: usize = 1_024;

/// Writes rows that are all there.
///
/// # Errors
/// When they cannot be written.
pub fn write_table<W: Write + Send>(form: Form, table: &Table, about: Option<String>, sink: W) -> io::Result<W> {
    let head = Head {
        about,
        ..Head::of(table)
    };
    let mut writer = RowsWriter::begin(form, head, sink)?;
    for rows in table.rows.chunks(ROWS_AT_ONCE) {
        writer.rows(rows)?;
    }
    writer.end()
}

/// Writes rows as they are found, each few of them within `timeout`.
///
/// # Errors
/// When they cannot be read or written.
pub fn write_download<W: Write + Send>(
    form: Form,
    mut download: Download,
    timeout: Option<Duration>,
    sink: W,
) -> io::Result<W> {
    let mut writer = RowsWriter::begin(form, download.head().clone(), sink)?;
    loop {
        let limits = Limits {
            deadline: timeout.map(|timeout| Instant::now() + timeout),
            cancelled: None,
        };
        match download.next(&limits).map_err(io::Error::other)? {
            Some(rows) => writer.rows(&rows)?,
            None => return writer.end(),
        }
    }
}

/// Elements are shown as what they are, whatever column they are in.
const ELEMENT_KIND: ColumnKind = ColumnKind::Text;

#[cfg(test)]
mod tests;
