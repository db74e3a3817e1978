//! States, history, exporters that were heard and messages that wait, across a restart: one small file, replaced in one
//! step. Without it nothing is lost but how long states last.

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::book::{Book, Entry, Watched, question};
use super::ledger::Memory;
use super::state::{State, Tracked};
use super::{Moment, Webhooks};
use crate::limits::{ALERT_FILE_OCTETS, ALERT_GROUPS, ALERT_HISTORY, WEBHOOK_QUEUE, WEBHOOKS};

/// What the file says of itself.
const FORM: &str = "flowgauge alerts 1";

#[derive(Default, Serialize, Deserialize)]
struct Saved {
    form: String,
    rules: Vec<SavedRule>,
    history: Vec<SavedEntry>,
    /// Address, when heard last, for how long silent.
    heard: Vec<(IpAddr, i64, i64)>,
    waiting: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
struct SavedRule {
    name: String,
    asks: String,
    evaluated_ns: Option<i64>,
    overall: SavedState,
    groups: Vec<(String, SavedState)>,
}

#[derive(Serialize, Deserialize)]
struct SavedState {
    state: String,
    since_ns: i64,
    /// How long it lasted when it was saved: the time of which nobody knows does not count.
    lasted_ns: i64,
    value: Option<f64>,
}

#[derive(Serialize, Deserialize)]
struct SavedEntry {
    time_ns: i64,
    name: String,
    group: String,
    from: String,
    to: String,
    value: Option<f64>,
}

impl SavedState {
    fn of(tracked: &Tracked, at: Moment) -> SavedState {
        SavedState {
            state: tracked.state.as_str().to_owned(),
            since_ns: tracked.since_ns,
            lasted_ns: at.steady_ns.saturating_sub(tracked.since_steady_ns),
            value: tracked.value,
        }
    }

    fn tracked(&self, at: Moment) -> Option<Tracked> {
        Some(Tracked {
            state: State::parse(&self.state)?,
            since_ns: self.since_ns.min(at.wall_ns),
            since_steady_ns: at.steady_ns.saturating_sub(self.lasted_ns.max(0)),
            value: self.value,
        })
    }
}

/// What there is to save, as it is at this moment.
pub(super) fn text(book: &Book, memory: &Memory, webhooks: &Webhooks, at: Moment) -> String {
    let rule = |watched: &Watched| SavedRule {
        name: watched.rule.name.clone(),
        asks: question(&watched.rule),
        evaluated_ns: watched.evaluated_ns,
        overall: SavedState::of(&watched.overall, at),
        groups: watched
            .groups
            .iter()
            .map(|(group, tracked)| (group.clone(), SavedState::of(tracked, at)))
            .collect(),
    };
    let entry = |entry: &Entry| SavedEntry {
        time_ns: entry.time_ns,
        name: entry.name.clone(),
        group: entry.group.clone(),
        from: entry.from.as_str().to_owned(),
        to: entry.to.as_str().to_owned(),
        value: entry.value,
    };
    let saved = Saved {
        form: FORM.to_owned(),
        rules: book.rules().iter().map(rule).collect(),
        history: book.history().map(entry).collect(),
        heard: memory.heard(at).collect(),
        waiting: webhooks.waiting(),
    };
    // Texts, numbers and lists of them always become JSON.
    serde_json::to_string(&saved).unwrap_or_default()
}

/// Writes it. The file is replaced in one step.
pub(super) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    std::fs::rename(&beside, path)
}

/// Takes up what the run before saved; states of rules that ask something else now are left out.
///
/// # Errors
/// When the file is there and cannot be read, or is none of ours.
pub(super) fn take_up(
    path: &Path,
    book: &mut Book,
    memory: &mut Memory,
    webhooks: &Webhooks,
    at: Moment,
) -> std::io::Result<()> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(ALERT_FILE_OCTETS).read_to_end(&mut text)?;
    let saved: Saved = serde_json::from_slice(&text)?;
    if saved.form != FORM {
        return Err(std::io::Error::other(format!("it is not of the form `{FORM}`")));
    }
    for rule in &saved.rules {
        book.take_up(&rule.name, &rule.asks, |watched| {
            watched.evaluated_ns = rule.evaluated_ns;
            if let Some(overall) = rule.overall.tracked(at) {
                // So that it is told when the rule can be looked at again.
                let was_error = overall.state == State::Error;
                watched.error = was_error.then(|| "not looked at since the collector started".to_owned());
                watched.overall = overall;
            }
            let groups = rule.groups.iter().take(ALERT_GROUPS);
            watched.groups = groups
                .filter_map(|(group, state)| Some((group.clone(), state.tracked(at)?)))
                .collect();
        });
    }
    let skipped = saved.history.len().saturating_sub(ALERT_HISTORY);
    for entry in saved.history.iter().skip(skipped) {
        let (Some(from), Some(to)) = (State::parse(&entry.from), State::parse(&entry.to)) else {
            continue;
        };
        book.put(Entry {
            time_ns: entry.time_ns,
            name: entry.name.clone(),
            group: entry.group.clone(),
            from,
            to,
            value: entry.value,
        });
    }
    memory.remember(saved.heard);
    for (url, body) in saved.waiting.iter().take(WEBHOOK_QUEUE * WEBHOOKS) {
        webhooks.put_back(url, body);
    }
    Ok(())
}
