//! Log lines on standard error: text or JSON, at a level that SIGHUP can change, limited by rate with a counter that is not.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing_subscriber::filter::{LevelFilter, Targets, dynamic_filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFormat};

/// Lines from one place in the code within [`WINDOW`]; more are counted and left out.
const LINES_PER_WINDOW: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

static SUPPRESSED: AtomicU64 = AtomicU64::new(0);

/// Lines left out since the start.
pub fn suppressed_lines() -> u64 {
    SUPPRESSED.load(Ordering::Relaxed)
}

/// Changes the level of a running program.
pub struct LogLevel(reload::Handle<Targets, tracing_subscriber::Registry>);

/// A level alone is that of our own lines; libraries speak up from warnings on. Anything longer is taken as it is.
fn targets(level: &str) -> Targets {
    match level.parse::<LevelFilter>() {
        Ok(own) => Targets::new()
            .with_default(own.min(LevelFilter::WARN))
            .with_target("flowgauge", own),
        Err(_) => level.parse().unwrap_or_default(),
    }
}

impl LogLevel {
    /// Sets what is logged from now on.
    pub fn set(&self, level: &str) {
        let _ = self.0.reload(targets(level));
    }
}

/// How often each place in the code has spoken lately. There are as many places as the code has: bounded.
#[derive(Default)]
struct RateLimit(Mutex<HashMap<Identifier, (Instant, u32)>>);

impl RateLimit {
    fn allows(&self, place: Identifier, now: Instant) -> bool {
        let Ok(mut places) = self.0.lock() else { return true };
        let (since, lines) = places.entry(place).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *lines) = (now, 0);
        }
        *lines += 1;
        let allowed = *lines <= LINES_PER_WINDOW;
        if !allowed {
            SUPPRESSED.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }
}

/// Starts logging for the whole process.
pub fn start(config: &Config) -> LogLevel {
    let (level, handle) = reload::Layer::new(targets(&config.log_level));
    let rate = RateLimit::default();
    let limited =
        dynamic_filter_fn(move |metadata, _| !metadata.is_event() || rate.allows(metadata.callsite(), Instant::now()));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match config.log_format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry()
        .with(level)
        .with(lines.with_filter(limited))
        .try_init();
    LogLevel(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_that_of_our_own_lines() {
        let debug = targets("debug");
        assert!(debug.would_enable("flowgauge_collector::run", &tracing::Level::DEBUG));
        assert!(!debug.would_enable("tantivy::directory", &tracing::Level::INFO));
        assert!(debug.would_enable("tantivy::directory", &tracing::Level::WARN));
        assert!(!targets("error").would_enable("tantivy", &tracing::Level::WARN));
        assert!(targets("info,tantivy=debug").would_enable("tantivy::directory", &tracing::Level::DEBUG));
    }

    #[test]
    fn a_place_that_speaks_too_often_is_cut_short_and_counted() {
        let rate = RateLimit::default();
        let place = tracing::callsite::Identifier(&TEST_PLACE);
        let now = Instant::now();
        let before = suppressed_lines();
        let allowed = (0..50).filter(|_| rate.allows(place.clone(), now)).count();
        assert_eq!(allowed, LINES_PER_WINDOW as usize);
        assert_eq!(suppressed_lines() - before, 30);
        assert!(rate.allows(place, now + WINDOW));
    }

    struct TestPlace;
    static TEST_PLACE: TestPlace = TestPlace;
    impl tracing::Callsite for TestPlace {
        fn set_interest(&self, _: tracing::subscriber::Interest) {}
        fn metadata(&self) -> &tracing::Metadata<'_> {
            unreachable!("the place is only told apart by its address")
        }
    }
}
