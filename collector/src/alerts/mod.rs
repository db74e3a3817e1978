//! Alerts: rules over flows and over the collector's own ledger, looked at again and again, with states that last.
//!
//! [`rule`] is what the user writes, [`state`] what a value does to a state (no clock, no store), [`book`] all rules with
//! their states and what changed, [`evaluate`] and [`ledger`] where values come from, and [`rounds`] the one thread that
//! brings them together. Receiving and indexing never wait for any of it.

pub mod book;
mod evaluate;
mod ledger;
mod reading;
mod rounds;
pub mod rule;
mod saved;
pub mod state;
mod webhook;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use book::Book;
pub use reading::read_rules;
pub use rounds::{AlertThreads, start};
pub use rule::{Rule, rules_toml};
pub use webhook::{Outcome, WebhookStatus, Webhooks, check_url};

/// What the user says about alerts.
#[derive(Clone, Debug)]
pub struct AlertsConfig {
    /// How often rules are looked at.
    pub interval: Duration,
    /// How long before now the window of a rule ends: flows are told when they are over, or at the exporter's active timeout.
    pub delay: Duration,
    /// How long one rule may take.
    pub time_limit: Duration,
    /// Where changes are sent.
    pub webhooks: Vec<String>,
    /// How long a webhook may take to answer.
    pub webhook_timeout: Duration,
    /// The rules.
    pub rules: Vec<Rule>,
}

impl Default for AlertsConfig {
    fn default() -> AlertsConfig {
        AlertsConfig {
            interval: Duration::from_secs(60),
            delay: Duration::from_secs(60),
            time_limit: Duration::from_secs(10),
            webhooks: Vec::new(),
            webhook_timeout: Duration::from_secs(10),
            rules: Vec::new(),
        }
    }
}

/// Both clocks at one moment: states last by the steady one, which never jumps, and are told by that of the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds since 1970 UTC.
    pub wall_ns: i64,
    /// Nanoseconds since the collector started.
    pub steady_ns: i64,
}

/// What alerts have done.
#[derive(Debug, Default)]
pub struct AlertCounters {
    /// Rules looked at.
    pub evaluations: AtomicU64,
    /// Of them, those that got no answer.
    pub evaluation_errors: AtomicU64,
    /// Rounds left out because the one before took too long.
    pub skipped: AtomicU64,
    /// Groups that were not kept because a rule had too many.
    pub groups_left_out: AtomicU64,
    /// Times that the clock of the wall went back.
    pub clock_jumps: AtomicU64,
    /// Times that states could not be saved.
    pub save_errors: AtomicU64,
    /// What the last round took, milliseconds.
    pub round_ms: AtomicU64,
}

/// Alerts of a running collector.
pub struct Alerts {
    /// As configured; its rules are those of the start, the ones in force are in the book.
    pub config: AlertsConfig,
    /// What was done.
    pub counters: AlertCounters,
    /// Who is told.
    pub webhooks: Webhooks,
    book: Mutex<Book>,
    started: Instant,
}

impl Alerts {
    /// Rules that were never looked at.
    ///
    /// # Errors
    /// A webhook that cannot be used.
    pub fn new(config: AlertsConfig, now_ns: i64) -> Result<Alerts, String> {
        let mut book = Book::default();
        book.replace(&config.rules, now(0, now_ns));
        let webhooks = Webhooks::new(&config.webhooks, config.webhook_timeout)?;
        Ok(Alerts {
            config,
            counters: AlertCounters::default(),
            webhooks,
            book: Mutex::new(book),
            started: Instant::now(),
        })
    }

    /// States and history, for one look.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes other rules; states of those that ask the same go on. Returns how many there are.
    pub fn reload(&self, rules: &[Rule], now_ns: i64) -> usize {
        let moment = self.moment(now_ns);
        let changes = self.book().replace(rules, moment);
        self.webhooks.tell(&changes);
        rules.len()
    }

    fn moment(&self, wall_ns: i64) -> Moment {
        let steady = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        now(steady, wall_ns)
    }

    /// One more of something that is counted.
    fn count(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

fn now(steady_ns: i64, wall_ns: i64) -> Moment {
    Moment { wall_ns, steady_ns }
}

/// What is told of one change; see [`book::Change`].
type Changes = Vec<Arc<book::Change>>;
