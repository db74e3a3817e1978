//! The thread that looks at every rule in turn, again and again; the only place of alerts that knows clocks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::evaluate::{Allowance, values};
use super::ledger::{Look, Memory};
use super::rule::{Rule, Source, ns};
use super::{Alerts, saved};
use crate::failure::Failure;
use crate::limits::{ALERT_FILE_OCTETS, WEBHOOK_END_MS};
use crate::run::{Shared, now_ns};

/// How soon after the start rules are looked at first.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How often is looked whether webhooks are done.
const END_TICK: Duration = Duration::from_millis(10);
/// How often states are saved when nothing changes.
const SAVE_INTERVAL: Duration = Duration::from_secs(300);

/// The threads of alerts.
#[derive(Debug)]
pub struct AlertThreads {
    stopping: Arc<AtomicBool>,
    rounds: JoinHandle<Memory>,
    webhooks: Vec<JoinHandle<()>>,
}

/// Takes up what was saved, and starts to look.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(shared: &Arc<Shared>) -> Result<AlertThreads, Failure> {
    let failed = |error| Failure::running(format!("cannot start a thread: {error}"));
    let mut memory = Memory::default();
    let (alerts, path) = (&shared.alerts, file(shared));
    let at = alerts.moment(now_ns());
    let taken = saved::take_up(&path, &mut alerts.book(), &mut memory, &alerts.webhooks, at);
    if let Err(error) = taken {
        tracing::warn!("{}; alerts begin anew", Failure::file("alerts", &path, &error));
    }
    let webhooks = alerts.webhooks.start().map_err(failed)?;
    let stopping = Arc::new(AtomicBool::new(false));
    let rounds = Rounds {
        shared: Arc::clone(shared),
        memory,
        stopping: Arc::clone(&stopping),
        last_wall_ns: at.wall_ns,
        saved: Instant::now(),
    };
    let rounds = std::thread::Builder::new()
        .name("alerts".to_owned())
        .spawn(move || rounds.run())
        .map_err(failed)?;
    Ok(AlertThreads {
        stopping,
        rounds,
        webhooks,
    })
}

impl AlertThreads {
    /// Ends the round that is under way, tells webhooks what can be told in a moment, and saves states.
    pub fn end(self, shared: &Shared) {
        self.stopping.store(true, Ordering::Release);
        self.rounds.thread().unpark();
        let memory = self.rounds.join();
        shared.alerts.webhooks.end();
        // Who does not answer is not waited for: what it was told is saved, and told again.
        let until = Instant::now() + Duration::from_millis(WEBHOOK_END_MS) + END_TICK;
        while Instant::now() < until && !self.webhooks.iter().all(JoinHandle::is_finished) {
            std::thread::sleep(END_TICK);
        }
        if let Ok(memory) = memory {
            save(shared, &memory);
        }
    }
}

/// Where states are kept.
fn file(shared: &Shared) -> PathBuf {
    shared.config.data.join("alerts.json")
}

fn save(shared: &Shared, memory: &Memory) {
    let (alerts, path) = (&shared.alerts, file(shared));
    let at = alerts.moment(now_ns());
    let (text, left_out) = {
        let book = alerts.book();
        // Who has no rules gets no file.
        if book.rules().is_empty() && book.history().next().is_none() && !path.exists() {
            return;
        }
        saved::text(&book, memory, &alerts.webhooks, at)
    };
    if left_out > 0 {
        Alerts::count(&alerts.counters.save_errors, 1);
        tracing::warn!(
            "alerts {}: {left_out} states and messages found no room in {ALERT_FILE_OCTETS} octets and begin anew after a \
             restart; have fewer groups",
            path.display()
        );
    }
    if let Err(error) = saved::write(&path, &text) {
        Alerts::count(&alerts.counters.save_errors, 1);
        tracing::warn!("{}", Failure::file("alerts", &path, &error));
    }
}

struct Rounds {
    shared: Arc<Shared>,
    memory: Memory,
    stopping: Arc<AtomicBool>,
    last_wall_ns: i64,
    saved: Instant,
}

impl Rounds {
    fn run(mut self) -> Memory {
        let interval = self.shared.alerts.config.interval.max(Duration::from_millis(1));
        let mut due = Instant::now() + FIRST_LOOK.min(interval);
        while !self.is_stopping() {
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                std::thread::park_timeout(left);
                continue;
            }
            let begun = Instant::now();
            let changed = self.round();
            self.shared
                .alerts
                .counters
                .round_ms
                .store(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
            if changed || self.saved.elapsed() >= SAVE_INTERVAL {
                save(&self.shared, &self.memory);
                self.saved = Instant::now();
            }
            due += interval;
            let late = Instant::now().saturating_duration_since(due);
            // Rounds that are due while one runs are not made up for.
            let skipped = u64::try_from(late.as_nanos() / interval.as_nanos()).unwrap_or(u64::MAX);
            if skipped > 0 {
                Alerts::count(&self.shared.alerts.counters.skipped, skipped);
                due = Instant::now();
            }
        }
        self.memory
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Looks at every rule. Returns whether something changed.
    fn round(&mut self) -> bool {
        let alerts = &self.shared.alerts;
        let rules: Vec<Arc<Rule>> = alerts
            .book()
            .rules()
            .iter()
            .map(|watched| Arc::clone(&watched.rule))
            .collect();
        let at = alerts.moment(now_ns());
        if at.wall_ns < self.last_wall_ns {
            Alerts::count(&alerts.counters.clock_jumps, 1);
            tracing::warn!("the clock was set back; windows of alerts go back with it");
        }
        self.last_wall_ns = at.wall_ns;
        let needs_ledger = rules.iter().any(|rule| rule.source() != Source::Flows);
        let look = needs_ledger.then(|| Look::at(&self.shared));
        if let Some(look) = &look {
            self.memory.hear(look, at);
        }
        self.memory.keep(|name| rules.iter().any(|rule| rule.name == name));
        let mut changed = false;
        for rule in &rules {
            if self.is_stopping() {
                break;
            }
            let found = match &look {
                Some(look) if rule.source() != Source::Flows => Ok(self.memory.values(rule, look, at)),
                _ => {
                    let allowance = Allowance {
                        time: alerts.config.time_limit,
                        stopping: &self.stopping,
                    };
                    let to_ns = at.wall_ns.saturating_sub(ns(alerts.config.delay));
                    // A panic is our bug, and no reason to be silent about the other rules.
                    let look = || values(rule, &self.shared.store.snapshot(), to_ns, &allowance);
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(look))
                        .unwrap_or_else(|_| Err("an internal fault; see the log".to_owned()))
                }
            };
            if found.is_err() && self.is_stopping() {
                break;
            }
            Alerts::count(&alerts.counters.evaluations, 1);
            if found.is_err() {
                Alerts::count(&alerts.counters.evaluation_errors, 1);
            }
            let (changes, left_out) = alerts.book().take(rule, found, alerts.moment(at.wall_ns));
            Alerts::count(&alerts.counters.groups_left_out, left_out);
            alerts.webhooks.tell(&changes);
            changed |= !changes.is_empty();
        }
        changed
    }
}
