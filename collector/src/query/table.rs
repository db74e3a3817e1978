//! Typed answers, and the one way they become JSON for the API and the command line.

use crate::normalize::columns::ColumnKind;
use crate::normalize::row::{Cell, u128_to_ip};

use super::{QueryStats, time};

/// Name of the column that tells the row of everything outside the groups shown.
pub const OTHER: &str = "_other";
/// What names of columns begin with that are about the time compared with; they are an object of their own in JSON.
pub const PREVIOUS: &str = "previous.";

/// One column of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct TableColumn {
    /// Name: a column's, an element's, or a metric as it was asked for.
    pub name: String,
    /// How its cells are shown.
    pub kind: ColumnKind,
    /// Unit of its cells, empty where there is none.
    pub unit: &'static str,
}

/// One row of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableRow {
    /// Opaque name of the flow, empty in aggregates.
    pub id: String,
    /// One cell per column, absent ones are `None`.
    pub cells: Vec<Option<Cell>>,
    /// Elements no column takes, by name.
    pub other: Vec<(String, Cell)>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<TableColumn>,
    /// Its rows, in order.
    pub rows: Vec<TableRow>,
    /// What it cost.
    pub stats: QueryStats,
    /// Names of elements that were asked for, which rows may have or not.
    pub named: Vec<String>,
    /// Where the next page starts, if there is more.
    pub next: Option<String>,
    /// Width of a bucket of a series, nanoseconds.
    pub interval_ns: Option<i64>,
}

/// A cell as JSON: times RFC 3339, durations nanoseconds, addresses and MACs text, numbers numbers.
pub fn cell_to_json(kind: ColumnKind, cell: &Cell) -> serde_json::Value {
    match cell {
        Cell::Number(value) if kind == ColumnKind::Mac => mac_text(*value).into(),
        Cell::Number(value) => (*value).into(),
        Cell::Signed(value) if kind == ColumnKind::Time => time::format_time(*value).into(),
        Cell::Signed(value) => (*value).into(),
        Cell::Float(value) => (*value).into(),
        Cell::Ip(value) => u128_to_ip(*value).to_string().into(),
        Cell::Text(text) => text.as_ref().into(),
        Cell::Mac(value) => mac_text(*value).into(),
        Cell::Bool(value) => (*value).into(),
    }
}

/// A cell as text, as tables and CSV show it.
pub fn cell_to_text(kind: ColumnKind, cell: &Cell) -> String {
    match cell_to_json(kind, cell) {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Six octets as `00:11:22:33:44:55`.
pub fn mac_text(value: u64) -> String {
    let [_, _, a, b, c, d, e, f] = value.to_be_bytes();
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// A row as a JSON object: `_id` first where there is one, then present cells, then other elements.
///
/// Rows of aggregates, which have no `_id`, say of every column that there is nothing, too; what was before is an object
/// of its own in them.
pub fn row_to_json(columns: &[TableColumn], row: &TableRow) -> serde_json::Map<String, serde_json::Value> {
    let mut object = serde_json::Map::new();
    let is_flow = !row.id.is_empty();
    if is_flow {
        object.insert("_id".to_owned(), row.id.clone().into());
    }
    let mut previous = serde_json::Map::new();
    for (column, cell) in columns.iter().zip(&row.cells) {
        let value = match cell {
            Some(cell) => cell_to_json(column.kind, cell),
            None if is_flow || column.name == OTHER => continue,
            None => serde_json::Value::Null,
        };
        match column.name.strip_prefix(PREVIOUS) {
            Some(name) if !is_flow => previous.insert(name.to_owned(), value),
            _ => object.insert(column.name.clone(), value),
        };
    }
    if !previous.is_empty() {
        object.insert("previous".to_owned(), previous.into());
    }
    for (name, cell) in &row.other {
        object
            .entry(name.clone())
            .or_insert_with(|| cell_to_json(ColumnKind::Text, cell));
    }
    object
}
