//! Answers in the form the client asks for: JSON, NDJSON or CSV (RFC 4180).

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json, json};

use crate::query::table::cell_to_text;
use crate::query::{QueryStats, Table, row_to_json, time};

/// The forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One object with rows, stats and the next page.
    Json,
    /// One row a line.
    Ndjson,
    /// A line of names, then one row a line.
    Csv,
}

impl Form {
    /// The form the Accept header prefers among the known ones, the first of equals; JSON when there is none.
    pub fn of(headers: &HeaderMap) -> Form {
        let accepted = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut best = (Form::Json, 0.0);
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default() {
                "text/csv" => Form::Csv,
                "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Form::Ndjson,
                "application/json" => Form::Json,
                // "Anything" does not outdo what is named.
                _ => continue,
            };
            // RFC 9110 section 12.4.2: without a weight it is 1, and 0 means "not this one".
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(Ok(1.0), str::parse::<f32>);
            if let Ok(weight) = weight
                && weight > best.1
            {
                best = (form, weight);
            }
        }
        best.0
    }
}

/// What an answer cost, as JSON.
pub fn stats_json(stats: &QueryStats, interval_ns: Option<i64>) -> Json {
    let moment = |ns: Option<i64>| ns.map(time::format_time);
    let mut object = json!({
        "rows_read": stats.rows_read,
        "rows_matched": stats.rows_matched,
        "elapsed_ms": stats.elapsed_ms,
        "partitions": stats.partitions,
        "segments": stats.segments,
        "tier": match stats.tier {
            "" => "flows",
            tier => tier,
        },
        "error_bound": 0,
        "from": moment(stats.from_ns),
        "to": moment(stats.to_ns),
    });
    let Some(fields) = object.as_object_mut() else {
        return object;
    };
    if let Some(interval_ns) = interval_ns {
        fields.insert("interval_ns".to_owned(), interval_ns.into());
    }
    if let Some((from, to)) = stats.compare_ns {
        let span = json!({ "from": time::format_time(from), "to": time::format_time(to) });
        fields.insert("compare".to_owned(), span);
    }
    if let Some((rule, left_out)) = &stats.once {
        fields.insert("once".to_owned(), json!({ "rule": rule, "left_out": left_out }));
    }
    if let Some(hint) = &stats.hint {
        fields.insert("hint".to_owned(), hint.as_str().into());
    }
    if !stats.tier.is_empty() {
        fields.insert("error_bound".to_owned(), stats.error_bound.into());
        fields.insert("confidence".to_owned(), stats.confidence.into());
        fields.insert("windows".to_owned(), stats.windows.into());
        fields.insert("rollups".to_owned(), stats.rollups.into());
    }
    object
}

/// The rows as JSON objects.
pub fn rows_json(table: &Table) -> impl Iterator<Item = Map<String, Json>> + '_ {
    table.rows.iter().map(|row| row_to_json(&table.columns, row))
}

/// A whole answer as JSON.
pub fn answer_json(table: &Table) -> Json {
    json!({
        "rows": rows_json(table).map(Json::Object).collect::<Vec<_>>(),
        "stats": stats_json(&table.stats, table.interval_ns),
        "next": table.next,
    })
}

/// The rows one a line.
pub fn answer_ndjson(table: &Table) -> String {
    rows_json(table)
        .map(|row| Json::Object(row).to_string() + "\n")
        .collect()
}

/// The rows as CSV; elements no column takes get columns of their own behind the others.
pub fn answer_csv(table: &Table) -> String {
    let mut other: Vec<&str> = table
        .rows
        .iter()
        .flat_map(|row| &row.other)
        .map(|(name, _)| name.as_str())
        .collect();
    other.sort_unstable();
    other.dedup();
    let names = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .chain(other.iter().copied());
    let mut text = csv_line(names.map(str::to_owned));
    for row in &table.rows {
        let cells = table.columns.iter().zip(&row.cells).map(|(column, cell)| {
            cell.as_ref()
                .map(|cell| cell_to_text(column.kind, cell))
                .unwrap_or_default()
        });
        let others = other.iter().map(|name| {
            let cell = row.other.iter().find(|(known, _)| known == name);
            cell.map(|(_, cell)| cell_to_text(crate::normalize::columns::ColumnKind::Text, cell))
                .unwrap_or_default()
        });
        text.push_str(&csv_line(cells.chain(others)));
    }
    text
}

/// One line of CSV with its line end.
pub fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        if cell.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

/// The answer in the form the client asks for. Forms without stats name the next page in a header.
pub fn render(form: Form, table: &Table) -> Response {
    let (kind, body) = match form {
        Form::Json => ("application/json", answer_json(table).to_string()),
        Form::Ndjson => ("application/x-ndjson", answer_ndjson(table)),
        Form::Csv => ("text/csv; charset=utf-8", answer_csv(table)),
    };
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    if let Some(next) = table.next.as_deref().and_then(|next| HeaderValue::from_str(next).ok()) {
        headers.insert("flowgauge-next", next);
    }
    response
}

/// An answer that is JSON already, with the columns that its rows may have.
pub fn render_json(form: Form, columns: &[&str], answer: &Json) -> Response {
    let rows = answer
        .get("rows")
        .and_then(Json::as_array)
        .map_or(&[][..], Vec::as_slice);
    let (kind, body) = match form {
        Form::Json => ("application/json", answer.to_string()),
        Form::Ndjson => (
            "application/x-ndjson",
            rows.iter().map(|row| row.to_string() + "\n").collect(),
        ),
        Form::Csv => ("text/csv; charset=utf-8", rows_csv(columns, rows)),
    };
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response();
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, vary);
    response
}

/// Rows of an answer as CSV.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::columns::ColumnKind;
    use crate::normalize::row::Cell;
    use crate::query::table::{TableColumn, TableRow};

    fn column(name: &str, kind: ColumnKind) -> TableColumn {
        TableColumn {
            name: name.to_owned(),
            kind,
            unit: "",
        }
    }

    #[test]
    fn the_preferred_known_form_is_taken() {
        let of = |accept: &str| {
            Form::of(&HeaderMap::from_iter([(
                header::ACCEPT,
                HeaderValue::from_str(accept).unwrap(),
            )]))
        };
        assert_eq!(of("text/csv"), Form::Csv);
        assert_eq!(of("text/html, application/x-ndjson;q=0.9, */*"), Form::Ndjson);
        assert_eq!(of("text/csv;q=0.1, application/json"), Form::Json);
        assert_eq!(of("text/csv;q=0, */*"), Form::Json);
        assert_eq!(of("text/html"), Form::Json);
        assert_eq!(Form::of(&HeaderMap::new()), Form::Json);
    }

    #[test]
    fn csv_has_a_column_for_every_element_and_quotes_what_needs_it() {
        let table = Table {
            columns: vec![column("start", ColumnKind::Time), column("octets", ColumnKind::Number)],
            rows: vec![
                TableRow {
                    id: "x".to_owned(),
                    cells: vec![Some(Cell::Signed(0)), Some(Cell::Number(7))],
                    other: vec![("note".to_owned(), Cell::Text("a \"b\", c".into()))],
                },
                TableRow {
                    id: "y".to_owned(),
                    cells: vec![Some(Cell::Signed(1_500_000_000)), None],
                    other: vec![],
                },
            ],
            ..Table::default()
        };
        let text = answer_csv(&table);
        let lines: Vec<_> = text.split("\r\n").collect();
        assert_eq!(
            lines,
            [
                "start,octets,note",
                "1970-01-01T00:00:00Z,7,\"a \"\"b\"\", c\"",
                "1970-01-01T00:00:01.5Z,,",
                ""
            ]
        );
    }
}
