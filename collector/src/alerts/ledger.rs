//! The values of rules over the collector's own accounts: who is silent, what did not arrive, what was lost here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

use flowgauge_templates::management::SequenceUnit;
use serde_json::json;

use super::Moment;
use super::book::Reading;
use super::rule::{Rule, Source};
use crate::collecting::Account;
use crate::limits::{ALERT_EXPORTER_FORGOTTEN_S, ALERT_SAMPLES, EXPORTERS};
use crate::run::{Accounts, Shared, accounts};

/// What is on the way or with others, not lost by the collector, and what it was told not to take.
const NOT_OURS: [&str; 4] = [
    "records_lost_before_arrival",
    "datagrams_lost_before_arrival",
    "datagrams_not_allowed",
    "datagrams_beyond_rate_limit",
];

/// Of an exporter in one protocol: how much was missing by its sequence numbers, how much came.
type Arrived = (u64, u64);

/// The ledger at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    /// When something last came.
    last_ns: HashMap<IpAddr, i64>,
    /// By exporter and protocol.
    arrived: HashMap<(IpAddr, &'static str), Arrived>,
    /// By reason.
    lost: BTreeMap<&'static str, u64>,
}

impl Look {
    /// Looks. The Collecting Process is held for as long as its accounts are read.
    pub fn at(shared: &Shared) -> Look {
        let mut look = Look::default();
        let nobody = IpAddr::from([0, 0, 0, 0]);
        for (key, account) in shared.process().ledger().iter() {
            // The common account is of nobody.
            if key.address == nobody {
                continue;
            }
            let last = look.last_ns.entry(key.address).or_insert(i64::MIN);
            *last = account.last_ns.max(*last);
            let arrived = look.arrived.entry((key.address, key.protocol.as_str())).or_default();
            arrived.0 += account.sequence.lost;
            arrived.1 += came(account, key.protocol.sequence_unit());
        }
        look.lost = ours(&accounts(shared));
        look
    }
}

fn came(account: &Account, unit: SequenceUnit) -> u64 {
    match unit {
        SequenceUnit::Records => account.records + account.options_records,
        SequenceUnit::Messages => account.messages,
    }
}

fn ours(accounts: &Accounts) -> BTreeMap<&'static str, u64> {
    let mut lost = accounts.lost();
    lost.extend(accounts.missing());
    lost.retain(|reason, _| !NOT_OURS.contains(reason));
    lost
}

/// When an exporter was heard last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    /// By the wall, as the ledger has it.
    last_ns: i64,
    /// Steadily: a wall clock that is set makes nobody silent, and hides nobody's silence.
    steady_ns: i64,
}

/// What earlier looks said, as far as rules ask for it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Exporters that were heard, also in runs before this one.
    heard: HashMap<IpAddr, Heard>,
    /// When was looked last.
    looked_ns: i64,
    /// Looks by rule, the oldest first.
    looks: HashMap<String, VecDeque<(i64, Look)>>,
}

impl Memory {
    /// Takes note of who was heard. Whoever is silent for very long is forgotten.
    pub fn hear(&mut self, look: &Look, at: Moment) {
        let between = at.steady_ns.saturating_sub(self.looked_ns).max(0);
        for (address, last_ns) in &look.last_ns {
            let before = self.heard.get(address);
            if before.is_some_and(|heard| heard.last_ns == *last_ns)
                || before.is_none() && self.heard.len() >= EXPORTERS
            {
                continue;
            }
            let age = at.wall_ns.saturating_sub(*last_ns).clamp(0, between);
            let heard = Heard {
                last_ns: *last_ns,
                steady_ns: at.steady_ns.saturating_sub(age),
            };
            self.heard.insert(*address, heard);
        }
        self.looked_ns = at.steady_ns;
        let forgotten_ns = ALERT_EXPORTER_FORGOTTEN_S.saturating_mul(1_000_000_000);
        self.heard
            .retain(|_, heard| at.wall_ns.saturating_sub(heard.last_ns) < forgotten_ns);
    }

    /// Exporters of the run before: address, when heard last by the wall, and for how long silent when that was saved. Silence
    /// goes on from there: while the collector was away, nobody listened.
    pub fn remember(&mut self, heard: impl IntoIterator<Item = (IpAddr, i64, i64)>) {
        for (address, last_ns, silent_ns) in heard.into_iter().take(EXPORTERS) {
            let steady_ns = -silent_ns.max(0);
            self.heard.insert(address, Heard { last_ns, steady_ns });
        }
    }

    /// The same of this run, at this moment.
    pub fn heard(&self, at: Moment) -> impl Iterator<Item = (IpAddr, i64, i64)> + '_ {
        let each = self.heard.iter();
        each.map(move |(address, heard)| (*address, heard.last_ns, silent_ns(heard, at)))
    }

    /// Forgets looks of rules that are no more.
    pub fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.looks.retain(|name, _| is_there(name));
    }

    /// The values of a rule.
    pub fn values(&mut self, rule: &Rule, look: &Look, at: Moment) -> Reading {
        match rule.source() {
            Source::ExporterSilence => self.silence(rule, at),
            Source::ExporterLoss => {
                let before = self.before(rule, look, at);
                loss(rule, &before, look)
            }
            Source::CollectorLost => lost(&self.before(rule, look, at), look),
            Source::Flows => Reading::default(),
        }
    }

    fn silence(&self, rule: &Rule, at: Moment) -> Reading {
        let values = self
            .heard
            .iter()
            .filter(|(address, _)| is_asked(rule, address))
            .map(|(address, heard)| {
                let silent = silent_ns(heard, at) as f64;
                (json!({ "exporter": address }).to_string(), Some(silent))
            });
        Reading {
            values: values.collect(),
            unit: "ns".to_owned(),
            left_out: 0,
        }
    }

    /// The look at the start of the rule's window, or the first there was. This look is remembered for later.
    fn before(&mut self, rule: &Rule, look: &Look, at: Moment) -> Look {
        let looks = self.looks.entry(rule.name.clone()).or_default();
        let spacing = rule.window_ns / ALERT_SAMPLES as i64;
        let is_due = looks
            .back()
            .is_none_or(|(taken, _)| at.steady_ns.saturating_sub(*taken) >= spacing);
        if is_due {
            looks.push_back((at.steady_ns, look.clone()));
        }
        let start = at.steady_ns.saturating_sub(rule.window_ns);
        // One that is older than the window is its start; what is older still is not needed.
        while looks.get(1).is_some_and(|(taken, _)| *taken <= start) || looks.len() > ALERT_SAMPLES + 2 {
            looks.pop_front();
        }
        looks.front().map(|(_, look)| look.clone()).unwrap_or_default()
    }
}

fn silent_ns(heard: &Heard, at: Moment) -> i64 {
    at.steady_ns.saturating_sub(heard.steady_ns).max(0)
}

fn is_asked(rule: &Rule, address: &IpAddr) -> bool {
    rule.exporters.is_empty() || rule.exporters.iter().any(|prefix| prefix.holds(*address))
}

/// Of all protocols of an exporter, the one that lost the largest part.
fn loss(rule: &Rule, before: &Look, look: &Look) -> Reading {
    let mut parts: BTreeMap<IpAddr, Option<f64>> = BTreeMap::new();
    for ((address, protocol), (missing, came)) in &look.arrived {
        if !is_asked(rule, address) {
            continue;
        }
        let (missing_before, came_before) = before.arrived.get(&(*address, *protocol)).copied().unwrap_or_default();
        // What came late is taken off again: then less is missing than before.
        let missing = missing.saturating_sub(missing_before) as f64;
        let sent = missing + came.saturating_sub(came_before) as f64;
        let part = (sent > 0.0 && sent >= rule.at_least).then(|| missing / sent);
        let worst = parts.entry(*address).or_default();
        *worst = match (*worst, part) {
            (Some(left), Some(right)) => Some(left.max(right)),
            (left, right) => left.or(right),
        };
    }
    let values = parts.iter();
    Reading {
        values: values
            .map(|(address, part)| (json!({ "exporter": address }).to_string(), *part))
            .collect(),
        ..Reading::default()
    }
}

fn lost(before: &Look, look: &Look) -> Reading {
    let grown = look.lost.iter().map(|(reason, count)| {
        let before = before.lost.get(reason).copied().unwrap_or(0);
        let grown = count.saturating_sub(before);
        (json!({ "reason": reason }).to_string(), Some(grown as f64))
    });
    let values: Vec<_> = grown.collect();
    let nothing = || vec![(json!({ "reason": "any" }).to_string(), Some(0.0))];
    Reading {
        values: if values.is_empty() { nothing() } else { values },
        ..Reading::default()
    }
}

#[cfg(test)]
mod tests;
