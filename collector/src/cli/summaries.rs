//! `summaries`: what exporters summed up, merged, of a running collector or of a data directory.

use std::path::Path;

use serde_json::Value as Json;

use super::arguments::{Format, SummariesArguments};
use super::client::{Client, Refusal};
use super::output::Output;
use super::table::{Align, Layout};
use crate::api::summaries as api;
use crate::failure::Failure;
use crate::forms::rows_csv;
use crate::query::{QueryError, time};
use crate::run::now_ns;
use crate::summaries;

/// Asks and prints.
pub fn summaries(arguments: &SummariesArguments, out: &mut Output) -> Result<(), Failure> {
    let answer = match &arguments.data {
        Some(directory) => offline(arguments, directory)?,
        None => online(arguments)?,
    };
    let rows = answer
        .get("rows")
        .and_then(Json::as_array)
        .map_or(&[][..], Vec::as_slice);
    let columns = match arguments.metric {
        Some(_) => &api::COLUMNS[..],
        None => &api::LIST_COLUMNS,
    };
    match arguments.format {
        Format::Json => out.json(&answer),
        Format::Ndjson => rows.iter().try_for_each(|row| out.json(row)),
        Format::Csv => out.bytes(rows_csv(columns, rows).as_bytes()),
        Format::Parquet => Err(Failure::usage(
            "--format: summaries are not written as parquet; use csv, ndjson or json",
        )),
        Format::Table => {
            out.bytes(table(columns, rows).to_string().as_bytes())?;
            out.line(&footer(arguments, &answer, rows.len()))
        }
    }
}

fn online(arguments: &SummariesArguments) -> Result<Json, Failure> {
    let client = Client::new(&arguments.url)?;
    let joined = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
    let parameters: Vec<(&str, String)> = [
        ("metric", arguments.metric.clone()),
        ("from", arguments.from.clone()),
        ("to", arguments.to.clone()),
        ("exporters", joined(&arguments.exporters)),
        ("limit", arguments.limit.map(|limit| limit.to_string())),
        ("ranks", joined(&arguments.ranks)),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, text?)))
    .collect();
    client
        .get("/api/v1/summaries", &parameters)
        .map_err(|refusal| match refusal {
            Refusal::Failure(failure) => failure,
            Refusal::Problem(problem) => {
                let text = |name: &str| problem.get(name).and_then(Json::as_str);
                let detail = text("detail").unwrap_or("the collector refused without saying why");
                let near = text("nearest").map_or_else(String::new, |near| format!("; did you mean {near}?"));
                match problem.get("status").and_then(Json::as_u64) {
                    Some(400 | 422) => Failure::usage(format!("{detail}{near}")),
                    _ => Failure::running(format!("{}: {detail}", arguments.url)),
                }
            }
        })
}

fn offline(arguments: &SummariesArguments, directory: &Path) -> Result<Json, Failure> {
    let now = now_ns();
    let moment = |flag: &str, text: &Option<String>| {
        let read =
            |text: &String| time::parse_time(text, now).map_err(|why| Failure::usage(format!("--{flag}: {why}")));
        text.as_ref().map(read).transpose()
    };
    let mut request = api::request(arguments.metric.as_deref(), &arguments.exporters, &arguments.ranks)
        .map_err(|(_, why)| Failure::usage(format!("--{why}")))?;
    request.from_ns = moment("from", &arguments.from)?;
    request.to_ns = moment("to", &arguments.to)?;
    request.limit = arguments.limit.unwrap_or(0);
    if !directory.is_dir() {
        let path = directory.display();
        return Err(Failure::running(format!(
            "{path}: no store here; give the --data directory of a collector"
        )));
    }
    let stored = summaries::stored_in(directory)
        .map_err(|error| Failure::file("summaries", &summaries::folder(directory), &error))?;
    let answer = summaries::summaries(&stored, &request).map_err(|error| match error {
        QueryError::Request { detail, nearest, .. } => {
            let near = nearest.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            Failure::usage(format!("{detail}{near}"))
        }
        other => Failure::running(other.to_string()),
    })?;
    Ok(answer.to_json())
}

/// Columns that some row has, numbers to the right.
fn table(columns: &[&'static str], rows: &[Json]) -> Layout {
    let present = |name: &&&str| {
        rows.iter()
            .any(|row| row.get(**name).is_some_and(|cell| !cell.is_null()))
    };
    let shown: Vec<&'static str> = match rows {
        [] => columns.to_vec(),
        _ => columns.iter().filter(present).copied().collect(),
    };
    let is_number = |name: &str| rows.iter().any(|row| row.get(name).is_some_and(Json::is_number));
    let head = shown.iter().map(|name| {
        let align = if is_number(name) { Align::Right } else { Align::Left };
        (*name, align)
    });
    let mut layout = Layout::new(head.collect());
    for row in rows {
        layout.row(shown.iter().map(|name| cell(row.get(*name))).collect());
    }
    layout
}

/// What was estimated is not known to more than a few digits.
fn cell(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(Json::Number(number)) if number.is_f64() => {
            let number = number.as_f64().unwrap_or(0.0);
            let text = if number.abs() >= 1_000.0 {
                format!("{number:.0}")
            } else {
                format!("{number:.4}")
            };
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
        Some(other) => other.to_string(),
    }
}

fn footer(arguments: &SummariesArguments, answer: &Json, rows: usize) -> String {
    let stat = |name: &str| {
        let value = answer.get("stats").and_then(|stats| stats.get(name));
        value.and_then(Json::as_u64).unwrap_or(0)
    };
    if arguments.metric.is_none() {
        return format!("{rows} metrics");
    }
    let without = match stat("without_image") {
        0 => String::new(),
        without => format!(", {without} of them without an image"),
    };
    format!(
        "{rows} rows from {} exporters and {} windows: {} summaries{without}",
        stat("exporters"),
        stat("windows"),
        stat("summaries"),
    )
}
