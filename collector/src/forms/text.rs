//! Rows as lines: CSV (RFC 4180) and NDJSON.
//!
//! Texts are written as they arrived. What begins with `=`, `+`, `-` or `@` stays so: a spreadsheet may take it for a
//! formula, and whoever puts a mark before it changes the data of everybody else.

use std::io::{self, Write};

use serde_json::Value as Json;

use super::{ELEMENT_KIND, Head};
use crate::query::row_to_json;
use crate::query::table::{TableColumn, TableRow, cell_to_text};

/// The line of names.
pub fn csv_head(head: &Head) -> String {
    let columns = head.columns.iter().map(|column| column.name.clone());
    csv_line(columns.chain(head.other.iter().map(|(name, _)| name.clone())))
}

/// One row as CSV.
pub fn csv_row(head: &Head, row: &TableRow, sink: &mut impl Write) -> io::Result<()> {
    let cells = head.columns.iter().zip(&row.cells).map(|(column, cell)| {
        let cell = cell.as_ref();
        cell.map(|cell| cell_to_text(column.kind, cell)).unwrap_or_default()
    });
    let others = head.other.iter().map(|(name, _)| {
        let cell = row.other.iter().find(|(known, _)| known == name);
        cell.map(|(_, cell)| cell_to_text(ELEMENT_KIND, cell))
            .unwrap_or_default()
    });
    sink.write_all(csv_line(cells.chain(others)).as_bytes())
}

/// One row as a line of JSON.
pub fn ndjson_row(columns: &[TableColumn], row: &TableRow, sink: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *sink, &row_to_json(columns, row))?;
    sink.write_all(b"\n")
}

/// One line of CSV with its line end.
pub fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let mut line = String::new();
    for (at, cell) in cells.enumerate() {
        if at > 0 {
            line.push(',');
        }
        if cell.contains(['"', ',', '\n', '\r']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&cell);
        }
    }
    line + "\r\n"
}

/// Rows of an answer that is JSON already, as CSV.
pub fn rows_csv(columns: &[&str], rows: &[Json]) -> String {
    let mut text = csv_line(columns.iter().map(|name| (*name).to_owned()));
    for row in rows {
        text.push_str(&csv_line(columns.iter().map(|name| match row.get(*name) {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        })));
    }
    text
}
