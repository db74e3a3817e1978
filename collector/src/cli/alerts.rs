//! `alerts`: rules with their states, or what changed, of a running collector.

use serde_json::Value as Json;

use super::arguments::{AlertsArguments, AlertsFormat};
use super::client::{Client, Refusal};
use super::output::Output;
use super::table::{Align, Layout};
use crate::failure::Failure;

/// Asks and prints.
pub fn alerts(arguments: &AlertsArguments, out: &mut Output) -> Result<(), Failure> {
    let client = Client::new(&arguments.url)?;
    let limit = arguments.limit.map(|limit| ("limit", limit.to_string()));
    let answer = match arguments.history {
        true => client.get("/api/v1/alerts/history", limit.as_slice()),
        false => client.get("/api/v1/alerts", &[]),
    };
    let answer = answer.map_err(|refusal| match refusal {
        Refusal::Failure(failure) => failure,
        Refusal::Problem(problem) => {
            let detail = problem.get("detail").and_then(Json::as_str);
            let detail = detail.unwrap_or("the collector refused without saying why");
            Failure::running(format!("{}: {detail}", arguments.url))
        }
    })?;
    if arguments.format == AlertsFormat::Json {
        return out.json(&answer);
    }
    let layout = match arguments.history {
        true => changes(&answer),
        false => states(&answer, arguments.groups),
    };
    out.bytes(layout.to_string().as_bytes())?;
    out.line(&footer(&answer, arguments.history))
}

fn list<'a>(answer: &'a Json, name: &str) -> &'a [Json] {
    answer.get(name).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(of: &'a Json, name: &str) -> &'a str {
    of.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// To the second: people compare it with their watch.
fn time(of: &Json, name: &str) -> String {
    match text(of, name).split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => text(of, name).to_owned(),
    }
}

fn states(answer: &Json, groups: bool) -> Layout {
    let mut layout = Layout::new(vec![
        ("rule", Align::Left),
        ("state", Align::Left),
        ("since", Align::Left),
        ("severity", Align::Left),
        ("value", Align::Right),
        ("alerts when", Align::Left),
        ("group", Align::Left),
    ]);
    for rule in list(answer, "rules") {
        let unit = text(rule, "unit");
        let about = match text(rule, "where") {
            "" => text(rule, "metric").to_owned(),
            part => format!("part of {} where {part}", text(rule, "metric")),
        };
        let bound = value(rule.get("threshold"), unit);
        let mut row = |of: &Json, group: String| {
            layout.row(vec![
                text(rule, "name").to_owned(),
                text(of, "state").to_owned(),
                time(of, "since"),
                text(rule, "severity").to_owned(),
                value(of.get("value"), unit),
                format!("{about} {} {bound}", text(rule, "op")),
                group,
            ]);
        };
        row(
            rule,
            rule.get("error").and_then(Json::as_str).unwrap_or_default().to_owned(),
        );
        for group in list(rule, "groups") {
            // Those in trouble are always said.
            if groups || matches!(text(group, "state"), "pending" | "firing") {
                row(group, group_text(group));
            }
        }
    }
    layout
}

fn changes(answer: &Json) -> Layout {
    let mut layout = Layout::new(vec![
        ("time", Align::Left),
        ("rule", Align::Left),
        ("from", Align::Left),
        ("to", Align::Left),
        ("value", Align::Right),
        ("group", Align::Left),
    ]);
    for row in list(answer, "rows") {
        layout.row(vec![
            time(row, "time"),
            text(row, "name").to_owned(),
            text(row, "from").to_owned(),
            text(row, "to").to_owned(),
            value(row.get("value"), ""),
            group_text(row),
        ]);
    }
    layout
}

/// `src.ip=10.0.0.1 dst.port=53`.
fn group_text(of: &Json) -> String {
    let Some(Json::Object(group)) = of.get("group") else {
        return String::new();
    };
    let each = group.iter().map(|(name, value)| match value {
        Json::String(text) => format!("{name}={text}"),
        Json::Null => format!("{name}="),
        other => format!("{name}={other}"),
    });
    each.collect::<Vec<_>>().join(" ")
}

/// A number with a few digits and its unit.
fn value(of: Option<&Json>, unit: &str) -> String {
    let Some(number) = of.and_then(Json::as_f64) else {
        return String::new();
    };
    let (number, unit) = match unit {
        "ns" => (number / 1e9, "s"),
        unit => (number, unit),
    };
    let size = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|(size, _)| number.abs() >= *size && unit != "s");
    let (number, prefix) = size.map_or((number, ""), |(size, prefix)| (number / size, prefix));
    let text = format!("{number:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let space = if prefix.is_empty() && unit.is_empty() { "" } else { " " };
    format!("{text}{space}{prefix}{unit}")
}

fn footer(answer: &Json, is_history: bool) -> String {
    if is_history {
        return format!("{} changes", list(answer, "rows").len());
    }
    let stat = |name: &str| {
        let value = answer.get("stats").and_then(|stats| stats.get(name));
        value.and_then(Json::as_f64).unwrap_or(0.0)
    };
    format!(
        "{} rules: {} firing, {} pending, {} in error; looked at every {} s, {} s late",
        list(answer, "rules").len(),
        stat("firing"),
        stat("pending"),
        stat("error"),
        stat("interval_s"),
        stat("delay_s"),
    )
}
