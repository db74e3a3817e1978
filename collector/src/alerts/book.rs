//! All rules with their states, and what changed: told to whoever asks, and to webhooks.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use super::rule::Rule;
use super::state::{State, Tracked};
use super::{Changes, Moment};
use crate::limits::{ALERT_GROUPS, ALERT_HISTORY};

/// The group of a rule that has none, as JSON.
pub const NO_GROUP: &str = "{}";

/// The values of a rule at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// By group, which is a JSON object.
    pub values: Vec<(String, Option<f64>)>,
    /// Unit of the values, empty where there is none.
    pub unit: String,
    /// Groups that are there and were not read.
    pub left_out: u64,
}

/// A change of state as it is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When, nanoseconds of the wall clock.
    pub time_ns: i64,
    /// Of which rule.
    pub name: String,
    /// Of which group, a JSON object.
    pub group: String,
    /// The state before.
    pub from: State,
    /// The state behind.
    pub to: State,
    /// The value that did it.
    pub value: Option<f64>,
}

/// A change of state as it is told.
#[derive(Clone, Debug)]
pub struct Change {
    /// What is remembered of it.
    pub entry: Entry,
    /// The rule.
    pub rule: Arc<Rule>,
    /// Since when the state before was there.
    pub since_ns: i64,
    /// Why the rule could not be looked at.
    pub error: Option<String>,
}

impl Change {
    /// What happened, if it is worth a message.
    pub fn event(&self) -> Option<&'static str> {
        match (self.entry.from, self.entry.to) {
            (_, State::Error) => Some("error"),
            (State::Error, _) => Some("recovered"),
            (_, State::Firing) => Some("firing"),
            (State::Firing, _) => Some("resolved"),
            _ => None,
        }
    }
}

/// A rule and its states.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The rule.
    pub rule: Arc<Rule>,
    /// The worst state of its groups, or [`State::Error`].
    pub overall: Tracked,
    /// When it was last looked at, nanoseconds of the wall clock.
    pub evaluated_ns: Option<i64>,
    /// Why it could not be looked at.
    pub error: Option<String>,
    /// Unit of its values.
    pub unit: String,
    /// States by group.
    pub groups: BTreeMap<String, Tracked>,
}

impl Watched {
    fn new(rule: Arc<Rule>, at: Moment) -> Watched {
        Watched {
            rule,
            overall: Tracked::new(State::NoData, at),
            evaluated_ns: None,
            error: None,
            unit: String::new(),
            groups: BTreeMap::new(),
        }
    }

    /// The worst state of its groups, and the value that is in it.
    fn worst(&self) -> (State, Option<f64>) {
        let upwards = self.rule.op.is_upwards();
        let rank = |value: Option<f64>| match value {
            None => f64::NEG_INFINITY,
            Some(value) if upwards => value,
            Some(value) => -value,
        };
        let worst = self.groups.values().max_by(|left, right| {
            let by_value = rank(left.value).total_cmp(&rank(right.value));
            left.state.cmp(&right.state).then(by_value)
        });
        worst.map_or((State::NoData, None), |group| (group.state, group.value))
    }

    fn change(&self, group: &str, (from, since_ns): (State, i64), tracked: &Tracked, at: Moment) -> Arc<Change> {
        Arc::new(Change {
            entry: Entry {
                time_ns: at.wall_ns,
                name: self.rule.name.clone(),
                group: group.to_owned(),
                from,
                to: tracked.state,
                value: tracked.value,
            },
            rule: Arc::clone(&self.rule),
            since_ns,
            error: self.error.clone(),
        })
    }

    /// Groups beyond the bound: first those that are not in trouble, then those far from it.
    fn leave_out(&self, values: &mut Vec<(String, Option<f64>)>) -> u64 {
        if values.len() <= ALERT_GROUPS {
            return 0;
        }
        let upwards = self.rule.op.is_upwards();
        values.sort_by_cached_key(|(group, value)| {
            let calm = !self.groups.get(group).is_some_and(|tracked| is_trouble(tracked.state));
            let value = value.unwrap_or(if upwards { f64::NEG_INFINITY } else { f64::INFINITY });
            (calm, Ranked(if upwards { -value } else { value }))
        });
        let left_out = values.len() - ALERT_GROUPS;
        values.truncate(ALERT_GROUPS);
        left_out as u64
    }

    fn take(&mut self, reading: Reading, at: Moment) -> (Changes, u64) {
        let mut changes = Changes::new();
        let Reading { mut values, unit, .. } = reading;
        let left_out = reading.left_out + self.leave_out(&mut values);
        let was_evaluated = self.evaluated_ns.is_some();
        self.unit = unit;
        self.recover(at, &mut changes);
        let first = match self.rule.has_groups() {
            // A group that was not there was not bad.
            true => State::Ok,
            false => State::NoData,
        };
        let mut there = HashSet::new();
        for (group, value) in values {
            let mut tracked = self
                .groups
                .get(&group)
                .cloned()
                .unwrap_or_else(|| Tracked::new(first, at));
            let since_ns = tracked.since_ns;
            if let Some(from) = tracked.take(&self.rule, value, at)
                && (was_evaluated || is_trouble(tracked.state))
            {
                changes.push(self.change(&group, (from, since_ns), &tracked, at));
            }
            self.groups.insert(group.clone(), tracked);
            there.insert(group);
        }
        let gone: Vec<String> = self
            .groups
            .keys()
            .filter(|group| !there.contains(*group))
            .cloned()
            .collect();
        for group in gone {
            self.resolve(&group, at, &mut changes);
        }
        let (state, value) = self.worst();
        self.overall.value = value;
        self.overall.since_ns = self.overall.since_ns.min(at.wall_ns);
        self.overall.enter(state, at);
        (changes, left_out)
    }

    /// A group that is not there any more is in no trouble.
    fn resolve(&mut self, group: &str, at: Moment, changes: &mut Changes) {
        let Some(mut tracked) = self.groups.remove(group) else {
            return;
        };
        let since_ns = tracked.since_ns;
        tracked.value = None;
        if is_trouble(tracked.state)
            && let Some(from) = tracked.enter(State::Ok, at)
        {
            changes.push(self.change(group, (from, since_ns), &tracked, at));
        }
    }

    fn fail(&mut self, why: String, at: Moment) -> Changes {
        self.error = Some(why);
        let since_ns = self.overall.since_ns;
        match self.overall.enter(State::Error, at) {
            None => Changes::new(),
            Some(from) => vec![self.change(NO_GROUP, (from, since_ns), &self.overall, at)],
        }
    }

    fn recover(&mut self, at: Moment, changes: &mut Changes) {
        if self.error.take().is_none() {
            return;
        }
        let since_ns = self.overall.since_ns;
        let (state, _) = self.worst();
        if let Some(from) = self.overall.enter(state, at) {
            changes.push(self.change(NO_GROUP, (from, since_ns), &self.overall, at));
        }
    }
}

/// Whether somebody is or may soon be told.
pub(super) fn is_trouble(state: State) -> bool {
    matches!(state, State::Pending | State::Firing)
}

/// A number in the order of numbers.
struct Ranked(f64);

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Rules in the order of the configuration, and what changed.
#[derive(Clone, Debug, Default)]
pub struct Book {
    rules: Vec<Watched>,
    history: VecDeque<Entry>,
}

impl Book {
    /// Every rule with its states.
    pub fn rules(&self) -> &[Watched] {
        &self.rules
    }

    /// What changed, the oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.history.iter()
    }

    /// How many rules, and how many groups, are in a state.
    pub fn count(&self, state: State) -> (u64, u64) {
        let groups = self.rules.iter().flat_map(|watched| watched.groups.values());
        let in_state = |watched: &&Watched| watched.overall.state == state;
        (
            self.rules.iter().filter(in_state).count() as u64,
            groups.filter(|group| group.state == state).count() as u64,
        )
    }

    /// Takes other rules. Those that ask the same keep their states; what fires and is asked no more is resolved.
    pub fn replace(&mut self, rules: &[Rule], at: Moment) -> Changes {
        let mut changes = Changes::new();
        let mut before: Vec<Option<Watched>> = self.rules.drain(..).map(Some).collect();
        let mut taken = Vec::new();
        for rule in rules {
            let asks = |watched: &&mut Option<Watched>| watched.as_ref().is_some_and(|old| old.rule.asks_as(rule));
            let rule = Arc::new(rule.clone());
            taken.push(match before.iter_mut().find(asks).and_then(Option::take) {
                Some(old) => Watched { rule, ..old },
                None => Watched::new(rule, at),
            });
        }
        for mut gone in before.into_iter().flatten() {
            for group in gone.groups.keys().cloned().collect::<Vec<_>>() {
                gone.resolve(&group, at, &mut changes);
            }
        }
        self.rules = taken;
        self.remember(&changes);
        changes
    }

    /// Takes what was found out about a rule. Returns what changed, and how many groups were left out.
    pub fn take(&mut self, rule: &Arc<Rule>, found: Result<Reading, String>, at: Moment) -> (Changes, u64) {
        // It may be that the rules were replaced in the meantime.
        let Some(watched) = self.rules.iter_mut().find(|watched| Arc::ptr_eq(&watched.rule, rule)) else {
            return (Changes::new(), 0);
        };
        let (changes, left_out) = match found {
            Ok(reading) => watched.take(reading, at),
            Err(why) => (watched.fail(why, at), 0),
        };
        watched.evaluated_ns = Some(at.wall_ns);
        self.remember(&changes);
        (changes, left_out)
    }

    fn remember(&mut self, changes: &Changes) {
        for change in changes {
            self.put(change.entry.clone());
        }
    }

    /// Puts an entry behind the others; the oldest goes when there are too many.
    pub(super) fn put(&mut self, entry: Entry) {
        if self.history.len() >= ALERT_HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(entry);
    }

    /// Takes up a state of the run before, if the rule still asks the same.
    pub(super) fn take_up(&mut self, name: &str, asks: &str, saved: impl FnOnce(&mut Watched)) {
        let asked = |watched: &&mut Watched| watched.rule.name == name && question(&watched.rule) == asks;
        if let Some(watched) = self.rules.iter_mut().find(asked) {
            saved(watched);
        }
    }
}

/// What a rule asks, as text: states are of one question.
pub(super) fn question(rule: &Rule) -> String {
    let part = rule.part.as_deref().unwrap_or_default();
    let groups = rule.group_by.join(",");
    let parts = [&rule.metric, &rule.filter, part, &groups, rule.op.as_str()];
    serde_json::Value::from(parts.to_vec()).to_string()
}
