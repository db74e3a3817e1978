//! States, history, exporters that were heard and messages that wait, across a restart: one small file, replaced in one
//! step. Without it nothing is lost but how long states last.

use std::io::{Read as _, Write as _};
use std::net::IpAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::book::{Book, Entry, Watched, is_trouble, question};
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

/// What there is to save, as it is at this moment, and how many parts of it found no room.
pub(super) fn text(book: &Book, memory: &Memory, webhooks: &Webhooks, at: Moment) -> (String, u64) {
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
    within(saved, usize::try_from(ALERT_FILE_OCTETS).unwrap_or(usize::MAX))
}

/// Texts, numbers and lists of them always become JSON.
fn json(part: &impl Serialize) -> String {
    serde_json::to_string(part).unwrap_or_default()
}

/// What is left of the file's room.
struct Room {
    octets: usize,
    left_out: u64,
}

impl Room {
    fn takes(&mut self, part: &impl Serialize) -> bool {
        // With the comma behind it.
        let octets = json(part).len() + 1;
        let fits = octets <= self.octets;
        match fits {
            true => self.octets -= octets,
            false => self.left_out += 1,
        }
        fits
    }
}

/// The text in at most so many octets, for more than that is not read back: groups in trouble go before what waits to be told,
/// what was heard and what changed, and groups without trouble come last.
fn within(mut saved: Saved, most: usize) -> (String, u64) {
    let whole = json(&saved);
    if whole.len() <= most {
        return (whole, 0);
    }
    let empty = Saved {
        form: FORM.to_owned(),
        ..Saved::default()
    };
    let mut room = Room {
        octets: most.saturating_sub(json(&empty).len()),
        left_out: 0,
    };
    let mut calm: Vec<Vec<(String, SavedState)>> = Vec::new();
    saved.rules.retain_mut(|rule| {
        let groups = std::mem::take(&mut rule.groups);
        let is_kept = room.takes(rule);
        match is_kept {
            true => calm.push(groups),
            false => room.left_out += groups.len() as u64,
        }
        is_kept
    });
    for (rule, groups) in saved.rules.iter_mut().zip(&mut calm) {
        let is_bad = |(_, saved): &mut (String, SavedState)| State::parse(&saved.state).is_some_and(is_trouble);
        rule.groups = groups
            .extract_if(.., is_bad)
            .filter(|group| room.takes(group))
            .collect();
    }
    saved.waiting.retain(|message| room.takes(message));
    saved.heard.retain(|heard| room.takes(heard));
    // The newest is worth most.
    saved.history.reverse();
    saved.history.retain(|entry| room.takes(entry));
    saved.history.reverse();
    for (rule, groups) in saved.rules.iter_mut().zip(calm) {
        rule.groups.extend(groups.into_iter().filter(|group| room.takes(group)));
    }
    (json(&saved), room.left_out)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::book::Reading;
    use crate::alerts::rule::Rule;
    use std::time::Duration;

    #[test]
    fn what_is_written_has_room_in_what_is_read_and_those_in_trouble_go_first() {
        let at = super::super::now(0, 1_767_268_800_000_000_000);
        let rule = Rule {
            name: "busy".to_owned(),
            metric: "pps".to_owned(),
            group_by: vec!["src.ip".to_owned()],
            threshold: 100.0,
            ..Rule::default()
        };
        let mut book = Book::default();
        book.replace(&[rule], at);
        let rule = book.rules()[0].rule.clone();
        let groups = |number: u64| {
            (
                format!("{{\"src.ip\":\"10.0.0.{number}\"}}"),
                Some((number % 10 * 11 + 2) as f64),
            )
        };
        let reading = Reading {
            values: (0..300).map(groups).collect(),
            ..Reading::default()
        };
        book.take(&rule, Ok(reading), at);
        let webhooks = Webhooks::new(&[], Duration::from_secs(1)).unwrap();
        let memory = Memory::default();
        let (whole, left_out) = text(&book, &memory, &webhooks, at);
        assert_eq!(left_out, 0);
        let count = |saved: &Saved, state: State| {
            let groups = saved.rules.iter().flat_map(|rule| &rule.groups);
            groups.filter(|(_, saved)| saved.state == state.as_str()).count()
        };
        let read = |text: &str| serde_json::from_str::<Saved>(text).unwrap();
        assert_eq!(
            (count(&read(&whole), State::Firing), count(&read(&whole), State::Ok)),
            (30, 270)
        );
        for most in [
            whole.len(),
            whole.len() - 1,
            whole.len() / 2,
            whole.len() / 3,
            whole.len() / 8,
        ] {
            let (text, left_out) = within(read(&whole), most);
            assert!(text.len() <= most, "{} of {most}", text.len());
            let saved = read(&text);
            let (firing, calm) = (count(&saved, State::Firing), count(&saved, State::Ok));
            assert!(calm == 0 || firing == 30, "{firing} {calm} in {most}");
            let held = firing + calm + saved.history.len();
            assert_eq!(held as u64 + left_out, 330, "{most}");
            assert_eq!(left_out == 0, most == whole.len());
        }
        // Not even the rule has room.
        let (text, left_out) = within(read(&whole), 100);
        assert!(text.len() <= 100 && read(&text).rules.is_empty());
        assert_eq!(left_out, 331);
    }
}
