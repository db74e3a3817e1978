//! `run`: starts the collector, waits for signals, and ends it in order.

use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::arguments::RunArguments;
use super::logging::{self, LogLevel};
use crate::config::{Config, KEYS, load};
use crate::failure::Failure;
use crate::run::{Collector, Shared, now_ns};

/// The configuration that arguments, environment and file come to.
pub fn configuration(arguments: &RunArguments) -> Result<Config, Failure> {
    load(arguments.config.as_deref(), std::env::vars(), &arguments.keys.0)
}

/// How soon after the first signal a second one still means the same.
const SAME_WISH: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT.
pub fn run(arguments: &RunArguments) -> Result<(), Failure> {
    let config = configuration(arguments)?;
    let level = logging::start(&config);
    // Before anything is started, so that no signal falls into a gap.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])
        .map_err(|error| Failure::running(format!("cannot wait for signals: {error}")))?;
    let collector = Collector::start(config)?;
    announce(&collector);
    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        reload(arguments, collector.shared(), &level);
    }
    eprintln!("flowgauge-collector: stopping: reading sockets and queue empty (a second signal ends at once)");
    // `timeout` and some service supervisors signal the process and its group: the same wish twice, not an urgent one.
    let asked = std::time::Instant::now();
    let is_urgent = move |signal| signal != SIGHUP && asked.elapsed() >= SAME_WISH;
    std::thread::spawn(move || {
        if signals.forever().any(is_urgent) {
            eprintln!("flowgauge-collector: ended at once; what was not journaled or committed is lost");
            std::process::exit(1);
        }
    });
    let accounts = collector.stop();
    eprintln!("flowgauge-collector: {accounts}");
    if accounts.store.rows_lost > 0 {
        return Err(Failure::running(format!(
            "{} records could not be stored; see the log",
            accounts.store.rows_lost
        )));
    }
    Ok(())
}

fn announce(collector: &Collector) {
    let shared = collector.shared();
    for listener in &shared.listeners {
        tracing::info!(
            "listening on {}://{}",
            listener.configured.transport.as_str(),
            listener.address
        );
    }
    let status = shared.store.status();
    tracing::info!(
        "store {}: {} rows, {} octets",
        shared.config.data.display(),
        status.rows,
        status.octets
    );
    tracing::info!("page and API on http://{}/", collector.http_address());
}

/// What can change while running: the log level, the user's elements and rules of alerts. The rest is named, with what it takes.
fn reload(arguments: &RunArguments, shared: &Arc<Shared>, level: &LogLevel) {
    let config = match configuration(arguments) {
        Ok(config) => config,
        Err(failure) => {
            tracing::error!("reload: {failure}; going on as before");
            return;
        }
    };
    level.set(&config.log_level);
    if let Some(path) = &config.elements_file {
        match std::fs::read_to_string(path) {
            Ok(text) => match shared.process().load_elements(&text) {
                Ok(count) => tracing::info!("reload: {count} elements of {} taken up", path.display()),
                Err(error) => tracing::error!("reload: elements {}: {error}; going on as before", path.display()),
            },
            Err(error) => tracing::error!("reload: {}", Failure::file("elements", path, &error)),
        }
    }
    shared.enrich_files.look();
    shared.enrich_files.look();
    let rules = shared.alerts.reload(&config.alerts.rules, now_ns());
    if rules > 0 {
        tracing::info!("reload: {rules} rules of alerts are in force");
    }
    let mut waiting = Vec::new();
    for key in KEYS
        .iter()
        .filter(|key| !matches!(key.path().as_str(), "log.level" | "elements.file"))
    {
        if key.text(&config) != key.text(&shared.config) {
            waiting.push(key.path());
        }
    }
    if waiting.is_empty() {
        tracing::info!("reload: done");
    } else {
        tracing::warn!("reload: {} changed and takes a restart", waiting.join(", "));
    }
}
