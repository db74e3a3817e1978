//! `query`: search and aggregation on the command line, of a running collector or of a data directory.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;

use super::arguments::{Format, Limit, QueryArguments};
use super::client::{Client, Refusal};
use super::output::Output;
use super::table::{Align, Layout, Shown};
use crate::api::{about_json, aggregate_interval, answer_json};
use crate::failure::Failure;
use crate::forms::{Form, write_download, write_table};
use crate::normalize::row::cut;
use crate::query::table::{OTHER, PREVIOUS};
use crate::query::{
    AggregateRequest, Compare, Filter, FilterError, FlowsRequest, OnceRule, QueryError, Table, TierAsked, aggregate,
    download, filter, flows, time, told_of_damage,
};
use crate::run::{now_ns, store_failure};
use crate::store::Store;

/// Columns of a list of flows, where they are present.
const LISTED: [&str; 12] = [
    "start",
    "duration",
    "proto",
    "src.ip",
    "src.port",
    "dst.ip",
    "dst.port",
    "tcp.flags",
    "packets",
    "octets",
    "rev.packets",
    "rev.octets",
];

/// Asks and prints.
pub fn query(arguments: &QueryArguments, out: &mut Output) -> Result<(), Failure> {
    let Some(path) = &arguments.output else {
        if arguments.format == Format::Parquet && std::io::stdout().is_terminal() {
            return Err(Failure::usage(
                "--format: parquet is not for terminals; name a file with --output FILE",
            ));
        }
        return print(arguments, out);
    };
    let mut file = Output::file(path)?;
    print(arguments, &mut file)?;
    file.finish()
}

fn print(arguments: &QueryArguments, out: &mut Output) -> Result<(), Failure> {
    let is_page = is_aggregate(arguments) || matches!(arguments.format, Format::Json | Format::Table);
    if arguments.limit == Some(Limit::All) && is_page {
        return Err(Failure::usage(
            "--limit: all is for flows as csv, ndjson or parquet; add --format, or say how many",
        ));
    }
    match arguments.format {
        Format::Json => out.json(&answer(arguments)?.body),
        Format::Table => table(arguments, &answer(arguments)?, out),
        Format::Ndjson => rows(arguments, Form::Ndjson, out),
        Format::Csv => rows(arguments, Form::Csv, out),
        Format::Parquet => rows(arguments, Form::Parquet, out),
    }
}

fn answer(arguments: &QueryArguments) -> Result<Answer, Failure> {
    match &arguments.data {
        Some(directory) => Ok(Answer {
            body: answer_json(&offline(arguments, directory)?),
            ledger: None,
        }),
        None => online(arguments),
    }
}

/// Rows as the API writes them, without keeping them.
fn rows(arguments: &QueryArguments, form: Form, out: &mut Output) -> Result<(), Failure> {
    if let Some(directory) = &arguments.data {
        if arguments.limit == Some(Limit::All) {
            return everything(arguments, directory, form, out);
        }
        let table = offline(arguments, directory)?;
        warn_of_damage(table.stats.segments_left_out);
        let written = write_table(form, &table, Some(about_json(&table)), &mut *out).map(drop);
        return out.told(written);
    }
    let (path, parameters) = asked(arguments);
    let take = |octets: &[u8]| out.bytes(octets).map(|()| !out.is_gone());
    Client::new(&arguments.url)?
        .rows(path, &parameters, form, take)
        .map_err(|refusal| refused(arguments, refusal))
}

struct Answer {
    /// As the API answers.
    body: Json,
    /// What the collector says about losses, if one was asked.
    ledger: Option<Json>,
}

impl Answer {
    fn rows(&self) -> &[Json] {
        self.body
            .get("rows")
            .and_then(Json::as_array)
            .map_or(&[], Vec::as_slice)
    }

    fn stat(&self, name: &str) -> Option<&Json> {
        self.body.get("stats")?.get(name)
    }
}

fn is_aggregate(arguments: &QueryArguments) -> bool {
    !arguments.top.is_empty()
        || arguments.by.is_some()
        || arguments.interval.is_some()
        || arguments.tier.is_some()
        || arguments.compare.is_some()
}

/// The metric that is asked for first, then the usual ones.
fn metrics(arguments: &QueryArguments) -> Vec<String> {
    let by = arguments.by.clone().map(|by| by.trim_start_matches('-').to_owned());
    // Rollups of addresses and names know nothing but what these are ordered by.
    let is_rolled = arguments
        .tier
        .as_deref()
        .is_some_and(|tier| !["auto", "raw"].contains(&tier));
    let usual: &[&str] = match is_rolled {
        true if by.is_some() => &[],
        true => &["octets"],
        false => &["octets", "packets", "flows"],
    };
    let usual = usual.iter().map(|name| (*name).to_owned());
    let mut metrics: Vec<String> = Vec::new();
    for metric in by.into_iter().chain(usual) {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    metrics
}

/// What the API is asked: path and parameters.
fn asked(arguments: &QueryArguments) -> (&'static str, Vec<(&'static str, String)>) {
    let mut parameters: Vec<(&'static str, String)> = Vec::new();
    let mut add = |name: &'static str, text: Option<String>| parameters.extend(text.map(|text| (name, text)));
    add("filter", arguments.filter.clone());
    add("from", arguments.from.clone());
    add("to", arguments.to.clone());
    add("once", arguments.once.clone());
    add("limit", arguments.limit.map(|limit| limit.to_string()));
    let joined = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
    let path = if is_aggregate(arguments) {
        add("group_by", joined(&arguments.top));
        add("metrics", Some(metrics(arguments).join(",")));
        add("interval", arguments.interval.clone());
        add("tier", arguments.tier.clone());
        add("compare", arguments.compare.clone());
        add("other", arguments.other.then(|| "true".to_owned()));
        add(
            "order_by",
            metrics(arguments).first().map(|metric| format!("-{metric}")),
        );
        "/api/v1/aggregate"
    } else {
        add("fields", joined(&arguments.fields));
        add("order", arguments.order.clone());
        "/api/v1/flows"
    };
    (path, parameters)
}

fn online(arguments: &QueryArguments) -> Result<Answer, Failure> {
    let client = Client::new(&arguments.url)?;
    let (path, parameters) = asked(arguments);
    let body = client
        .get(path, &parameters)
        .map_err(|refusal| refused(arguments, refusal))?;
    // The footer's warning is a courtesy: an answer without it is still one.
    let ledger = client
        .get("/api/v1/status", &[])
        .ok()
        .and_then(|status| status.get("ledger").cloned());
    Ok(Answer { body, ledger })
}

fn refused(arguments: &QueryArguments, refusal: Refusal) -> Failure {
    let problem = match refusal {
        Refusal::Failure(failure) => return failure,
        Refusal::Problem(problem) => problem,
    };
    let text = |name: &str| problem.get(name).and_then(Json::as_str).map(str::to_owned);
    let detail = text("detail").unwrap_or_else(|| "the collector refused without saying why".to_owned());
    let number = |name: &str| {
        problem
            .get(name)
            .and_then(Json::as_u64)
            .and_then(|number| usize::try_from(number).ok())
    };
    if let (Some(offset), Some(len)) = (number("offset"), number("length")) {
        let items = problem
            .get("expected")
            .and_then(Json::as_array)
            .cloned()
            .unwrap_or_default();
        let expected = items.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        return filter_failure(
            arguments,
            &FilterError {
                offset,
                len,
                detail,
                expected,
                nearest: text("nearest"),
            },
        );
    }
    let near = text("nearest").map_or_else(String::new, |near| format!("; did you mean {near}?"));
    match problem.get("status").and_then(Json::as_u64) {
        Some(400 | 422) => Failure::usage(format!("{detail}{near}")),
        _ => Failure::running(format!("{}: {detail}", arguments.url)),
    }
}

/// The filter with a caret under the place.
fn filter_failure(arguments: &QueryArguments, error: &FilterError) -> Failure {
    let text = arguments.filter.as_deref().unwrap_or_default();
    let before = cut(text, error.offset).chars().count();
    let marked = text
        .get(error.offset..error.offset + error.len)
        .map_or(1, |place| place.chars().count().max(1));
    let shown: String = text
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    Failure::usage(format!(
        "{error}\n  {shown}\n  {}{}",
        " ".repeat(before),
        "^".repeat(marked)
    ))
}

/// Forms of rows have no place to say that some are missing.
fn warn_of_damage(segments: u64) {
    if let Some(told) = told_of_damage(segments) {
        eprintln!("flowgauge-collector: {told}");
    }
}

/// How often a question is asked again because a running collector merged rollups away under it.
const TRIES: u32 = 5;

fn offline(arguments: &QueryArguments, directory: &Path) -> Result<Table, Failure> {
    let mut tries = 1;
    loop {
        let (table, is_whole) = offline_once(arguments, directory)?;
        if is_whole || tries == TRIES {
            return Ok(table);
        }
        tries += 1;
    }
}

/// What a question is about, from the arguments.
struct Asked {
    store: Arc<Store>,
    filter: Option<Filter>,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
    once: Option<OnceRule>,
    now: i64,
}

fn ask(arguments: &QueryArguments, directory: &Path) -> Result<Asked, Failure> {
    let now = now_ns();
    let moment = |flag: &str, text: &Option<String>| {
        let read =
            |text: &String| time::parse_time(text, now).map_err(|why| Failure::usage(format!("--{flag}: {why}")));
        text.as_ref().map(read).transpose()
    };
    let filter_text = arguments.filter.as_deref().unwrap_or_default();
    let (from_ns, to_ns) = (moment("from", &arguments.from)?, moment("to", &arguments.to)?);
    // Without a store to know more names by, a wrong filter is the first thing to say.
    let store = Store::open_read_only(directory).map_err(|error| match filter::parse(filter_text, now) {
        Err(fault) => filter_failure(arguments, &fault),
        Ok(_) => store_failure(&error),
    })?;
    let filter =
        filter::parse_over(filter_text, now, &store.snapshot()).map_err(|error| filter_failure(arguments, &error))?;
    let once = arguments.once.as_deref().map(OnceRule::parse).transpose();
    let once = once.map_err(|why| Failure::usage(format!("--once: {why}")))?;
    Ok(Asked {
        store,
        filter,
        from_ns,
        to_ns,
        once,
        now,
    })
}

/// Every flow that matches, from the files.
fn everything(arguments: &QueryArguments, directory: &Path, form: Form, out: &mut Output) -> Result<(), Failure> {
    let asked = ask(arguments, directory)?;
    let request = FlowsRequest {
        filter: asked.filter,
        from_ns: asked.from_ns,
        to_ns: asked.to_ns,
        once: asked.once,
        order: arguments.order.clone(),
        fields: arguments.fields.clone(),
        ..FlowsRequest::default()
    };
    let download = download(asked.store.snapshot(), request).map_err(failure)?;
    warn_of_damage(download.segments_left_out());
    let written = write_download(form, download, None, &mut *out).map(drop);
    out.told(written)
}

/// The answer, and whether everything could be read for it.
fn offline_once(arguments: &QueryArguments, directory: &Path) -> Result<(Table, bool), Failure> {
    let Asked {
        store,
        filter,
        from_ns,
        to_ns,
        once,
        now,
    } = ask(arguments, directory)?;
    let snapshot = store.snapshot();
    let limit = match arguments.limit {
        Some(Limit::Of(limit)) => limit,
        _ => 0,
    };
    let table = if is_aggregate(arguments) {
        let metrics = metrics(arguments);
        let interval = arguments.interval.as_deref().map(aggregate_interval).transpose();
        let compare = arguments.compare.as_deref().map(Compare::parse).transpose();
        let compare = compare.map_err(|why| Failure::usage(format!("--compare: {why}")))?;
        let request = AggregateRequest {
            filter,
            from_ns,
            to_ns: to_ns.or_else(|| compare.map(|_| now)),
            once,
            compare,
            other: arguments.other,
            group_by: arguments.top.clone(),
            interval: interval.map_err(|why| Failure::usage(format!("--interval: {why}")))?,
            limit,
            tier: arguments
                .tier
                .as_deref()
                .map_or(Ok(TierAsked::Auto), TierAsked::parse)
                .map_err(failure)?,
            order_by: metrics.first().map(|metric| format!("-{metric}")),
            metrics,
            ..AggregateRequest::default()
        };
        aggregate(&snapshot, &request)
    } else {
        let (order, fields) = (arguments.order.clone(), arguments.fields.clone());
        flows(
            &snapshot,
            &FlowsRequest {
                filter,
                from_ns,
                to_ns,
                limit,
                once,
                order,
                fields,
                ..FlowsRequest::default()
            },
        )
    };
    Ok((table.map_err(failure)?, store.counters().rollups_damaged == 0))
}

fn failure(error: QueryError) -> Failure {
    match error {
        QueryError::Request {
            nearest: Some(near),
            detail,
            ..
        } => Failure::usage(format!("{detail}; did you mean {near}?")),
        QueryError::Request { detail, .. } => Failure::usage(detail),
        other => Failure::running(other.to_string()),
    }
}

/// A value of a row; what was before is in an object of its own.
fn value<'r>(row: &'r Json, name: &str) -> Option<&'r Json> {
    match name.strip_prefix(PREVIOUS) {
        Some(name) => row.get("previous")?.get(name),
        None => row.get(name),
    }
}

/// The columns of a printed answer: those asked for, or the listed ones that are present, or all of an aggregate.
fn printed(arguments: &QueryArguments, answer: &Answer) -> Vec<String> {
    if is_aggregate(arguments) {
        let time = arguments.interval.iter().map(|_| "time".to_owned());
        let mut names: Vec<String> = time
            .chain(arguments.top.iter().cloned())
            .chain(metrics(arguments))
            .collect();
        let limits_of = |before: &'static str| {
            let limits = move |name: String| [format!("{before}{name}.lower"), format!("{before}{name}.upper")];
            let is_there = |name: &String| answer.rows().iter().any(|row| value(row, name).is_some());
            metrics(arguments).into_iter().flat_map(limits).filter(is_there)
        };
        names.extend(limits_of(""));
        if arguments.compare.is_some() {
            names.extend(metrics(arguments).into_iter().map(|name| format!("{PREVIOUS}{name}")));
            names.extend(limits_of(PREVIOUS));
        }
        return names;
    }
    if !arguments.fields.is_empty() {
        return arguments.fields.clone();
    }
    let present = |name: &&str| answer.rows().iter().any(|row| row.get(*name).is_some());
    let columns: Vec<String> = LISTED
        .iter()
        .filter(|name| present(name))
        .map(|name| (*name).to_owned())
        .collect();
    if columns.is_empty() {
        LISTED.map(str::to_owned).to_vec()
    } else {
        columns
    }
}

fn table(arguments: &QueryArguments, answer: &Answer, out: &mut Output) -> Result<(), Failure> {
    let names = printed(arguments, answer);
    let shown: Vec<Shown> = names
        .iter()
        .map(|name| {
            Shown::of(if name == "time" {
                "start"
            } else {
                name.trim_start_matches(PREVIOUS)
            })
        })
        .collect();
    let head: Vec<(String, Align)> = names
        .iter()
        .cloned()
        .zip(shown.iter().map(|shown| shown.align()))
        // Only the values tell whether an element that is no column is text.
        .map(|(name, align)| {
            let is_text = answer
                .rows()
                .iter()
                .any(|row| value(row, &name).is_some_and(Json::is_string));
            (name, if is_text { Align::Left } else { align })
        })
        .collect();
    let mut layout = Layout::new(head);
    for row in answer.rows() {
        let is_other = row.get(OTHER).is_some();
        let cells = names.iter().zip(&shown).map(|(name, shown)| {
            // What is outside the groups stands in the place of the first of their names.
            match is_other && Some(name) == arguments.top.first() {
                true => "(other)".to_owned(),
                false => shown.cell(value(row, name)),
            }
        });
        layout.row(cells.collect());
    }
    out.bytes(layout.to_string().as_bytes())?;
    out.line(&footer(answer, asked_span(arguments)))?;
    if let Some(warning) = answer.ledger.as_ref().and_then(loss_warning) {
        let red = std::io::stdout().is_terminal();
        out.line(&if red {
            format!("\u{1b}[31m{warning}\u{1b}[0m")
        } else {
            warning
        })?;
    }
    Ok(())
}

/// The time that was asked about, as far as it was.
fn asked_span(arguments: &QueryArguments) -> [Option<i64>; 2] {
    let now = now_ns();
    let moment = |text: &Option<String>| time::parse_time(text.as_deref()?, now).ok();
    [moment(&arguments.from), moment(&arguments.to)]
}

/// The time that was answered about, where that is another one than was asked about: windows of rollups are wider.
fn widened(answer: &Answer, asked: [Option<i64>; 2]) -> Option<String> {
    const NEAR_NS: u64 = 1_000_000_000;
    let [from, to] = ["from", "to"].map(|name| answer.stat(name).and_then(Json::as_str));
    let is_other = |text: Option<&str>, asked: Option<i64>| {
        let found = text.and_then(|text| time::parse_time(text, 0).ok());
        found
            .zip(asked)
            .is_some_and(|(found, asked)| found.abs_diff(asked) > NEAR_NS)
    };
    (is_other(from, asked[0]) || is_other(to, asked[1]))
        .then(|| format!("; of {} to {}", from.unwrap_or("?"), to.unwrap_or("?")))
}

/// A bound with three digits that say something.
fn digits(value: f64) -> String {
    if value >= 100.0 {
        return format!("{value:.0}");
    }
    let places = (2.0 - value.log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.places$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn footer(answer: &Answer, asked: [Option<i64>; 2]) -> String {
    let number = |name: &str| answer.stat(name).and_then(Json::as_u64).unwrap_or(0);
    let elapsed = answer.stat("elapsed_ms").and_then(Json::as_f64).unwrap_or(0.0);
    let more = if answer.body.get("next").is_some_and(Json::is_string) {
        "; there are more, raise --limit"
    } else {
        ""
    };
    // A page that is full leaves out what lies behind it, so there may be more than were counted.
    let least = if more.is_empty() { "" } else { "at least " };
    let once = answer.stat("once").and_then(|once| once.get("left_out")?.as_u64());
    let once = once.map_or_else(String::new, |rows| {
        format!("; {rows} left out, of conversations seen more than once")
    });
    let hint = match answer.stat("hint").and_then(Json::as_str) {
        Some(hint) => format!("; {hint}"),
        None => String::new(),
    };
    if let Some(windows) = answer.stat("windows").and_then(Json::as_u64) {
        let tier = answer.stat("tier").and_then(Json::as_str).unwrap_or_default();
        let error = answer.stat("error_bound").and_then(Json::as_f64).unwrap_or(0.0);
        let confidence = answer.stat("confidence").and_then(Json::as_f64).unwrap_or(1.0);
        let exact = match (error > 0.0, confidence < 1.0) {
            (true, true) => format!(
                "values are off by {} at most, with a confidence of {} %",
                digits(error),
                digits(confidence * 100.0)
            ),
            (true, false) => format!("values are off by {} at most", digits(error)),
            _ => "exact".to_owned(),
        };
        let span = widened(answer, asked).unwrap_or_default();
        return format!(
            "{} rows from {windows} windows of rollups, of a {tier} at most{span}; {exact}; {elapsed:.1} ms{hint}",
            answer.rows().len()
        );
    }
    format!(
        "{} rows; {least}{} of {} flows matched, {} partitions, {elapsed:.1} ms{more}{once}{hint}",
        answer.rows().len(),
        number("rows_matched"),
        number("rows_read"),
        number("partitions"),
    )
}

/// One line when something was lost on the way into the store.
fn loss_warning(ledger: &Json) -> Option<String> {
    let reasons = ["lost", "missing"]
        .into_iter()
        .filter_map(|part| ledger.get(part)?.as_object())
        .flatten();
    let parts: Vec<String> = reasons
        .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
        .collect();
    let unbalanced = ledger.get("balanced").and_then(Json::as_bool) == Some(false);
    if parts.is_empty() && !unbalanced {
        return None;
    }
    let sum = if unbalanced {
        "; the ledger does not balance, please report it"
    } else {
        ""
    };
    Some(format!(
        "warning: not everything arrived: {}{sum} (see /api/v1/status)",
        parts.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_loss_is_told_and_its_absence_is_not() {
        assert_eq!(
            loss_warning(&json!({ "lost": {}, "missing": {}, "balanced": true })),
            None
        );
        let warning = loss_warning(&json!({ "lost": { "store_error": 3 }, "missing": {}, "balanced": true })).unwrap();
        assert!(
            warning.starts_with("warning: not everything arrived: 3 store error"),
            "{warning}"
        );
        assert!(
            loss_warning(&json!({ "lost": {}, "balanced": false }))
                .unwrap()
                .contains("does not balance")
        );
    }

    #[test]
    fn the_last_line_says_how_far_rollups_can_be_believed() {
        let asked = [Some(1_767_225_600_000_000_000), Some(1_767_229_200_000_000_000)];
        let line = |error: f64, confidence: f64, to: &str, hint: Option<&str>| {
            let stats = json!({
                "windows": 3, "tier": "minute", "elapsed_ms": 1.25, "error_bound": error, "confidence": confidence,
                "from": "2026-01-01T00:00:00Z", "to": to, "hint": hint,
            });
            let answer = Answer {
                body: json!({ "rows": [{}], "stats": stats }),
                ledger: None,
            };
            footer(&answer, asked)
        };
        let to = "2026-01-01T01:00:00Z";
        let before = "1 rows from 3 windows of rollups, of a minute at most";
        assert_eq!(line(0.0, 1.0, to, None), format!("{before}; exact; 1.2 ms"));
        for (error, shown) in [(1_234.4, "1234"), (0.3, "0.3"), (0.000_123_4, "0.000123"), (12.0, "12")] {
            let wanted = format!("{before}; values are off by {shown} at most; 1.2 ms");
            assert_eq!(line(error, 1.0, to, None), wanted);
        }
        assert_eq!(
            line(4.0, 0.95, "2026-01-01T02:00:00Z", Some("so it is")),
            format!(
                "{before}; of 2026-01-01T00:00:00Z to 2026-01-01T02:00:00Z; values are off by 4 at most, with a confidence \
                 of 95 %; 1.2 ms; so it is"
            )
        );
    }
}
