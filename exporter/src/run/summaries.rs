//! Summaries of what one worker meters, and the thread that exports those of all workers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::FanOut;
use crate::config::{Config, Source};
use crate::exporting::summaries::{SummaryExportCounters, SummaryPlan};
use crate::io::destination::now_ns;
use crate::io::live;
use crate::io::queue::Batch;
use crate::limits::MAX_RECYCLED_OCTETS;
use crate::metering::{Meter, Records};
use crate::summaries::geo::Geo;
use crate::summaries::networks::Networks;
use crate::summaries::{SharedConfig, SharedSummaries, Summaries, SummariesConfig};

/// Open windows, and rates, are handed over this often.
const HAND_OVER: Duration = Duration::from_secs(1);
/// Calls after which it is looked whether it is time for that; where few packets come, timeouts look too.
const TURNS: u8 = 32;
/// How long export sleeps at a time; it wakes when a window closes.
const WAIT: Duration = Duration::from_millis(500);

/// What all workers share, where summaries are wanted.
pub(super) fn shared(config: &Config, workers: usize) -> Option<Arc<SharedSummaries>> {
    let settings = &config.metering.summaries;
    let shared = SharedSummaries::new(SharedConfig {
        window_ns: i64::try_from(settings.window?.as_nanos()).unwrap_or(i64::MAX),
        kept: settings.kept,
        workers,
        waits: matches!(config.capture.source, Source::Files(_)),
    });
    Some(Arc::new(shared))
}

/// The databases of countries and autonomous systems, if any are named.
///
/// # Errors
/// One line for people: a database that cannot be read.
pub(super) fn geo(config: &Config) -> Result<Option<Arc<Geo>>, String> {
    match config.metering.addresses.geo.as_slice() {
        [] => Ok(None),
        paths => Geo::open(paths).map(Arc::new).map(Some),
    }
}

/// How every worker sums up.
pub(super) fn summing(config: &Config, geo: Option<Arc<Geo>>) -> SummariesConfig {
    let Some(window) = config.metering.summaries.window else {
        return SummariesConfig::default();
    };
    let addresses = &config.metering.addresses;
    let is_live = !matches!(config.capture.source, Source::Files(_));
    let networks = match &addresses.networks {
        Some(networks) => networks.clone(),
        // Whose captures are read is not known.
        None if is_live => {
            let interfaces = live::interfaces().unwrap_or_default();
            let texts = interfaces.iter().flat_map(|interface| &interface.addresses);
            Networks::of_addresses(texts.filter_map(|text| text.parse().ok()))
        }
        None => Networks::default(),
    };
    SummariesConfig {
        window_ns: i64::try_from(window.as_nanos()).unwrap_or(i64::MAX),
        networks: Arc::new(networks),
        geo,
        ..SummariesConfig::default()
    }
}

/// What one worker sums up.
pub(super) struct Feed<'r> {
    summaries: Summaries,
    shared: &'r SharedSummaries,
    worker: usize,
    /// Transactions are exported too, not only counted.
    exports_transactions: bool,
    /// Transactions of the batch that are counted already.
    counted: usize,
    handed_over: Instant,
    turns: u8,
}

impl<'r> Feed<'r> {
    pub(super) fn new(
        shared: &'r SharedSummaries,
        summing: &SummariesConfig,
        worker: usize,
        exports_transactions: bool,
    ) -> Self {
        Self {
            summaries: Summaries::new(summing.clone()),
            shared,
            worker,
            exports_transactions,
            counted: 0,
            handed_over: Instant::now(),
            turns: 0,
        }
    }

    /// Counts what was metered since the last call. Says whether the batch must go, because names fill it.
    pub(super) fn count(&mut self, meter: &mut Meter) -> bool {
        if let Some(facts) = meter.facts_mut() {
            facts.drain().for_each(|packet| self.summaries.packet(&packet));
        }
        let records = meter.records();
        let new = records.dns.get(self.counted..).unwrap_or_default();
        for transaction in new {
            self.summaries.transaction(transaction, transaction.qname(records));
        }
        let mut is_full = false;
        if self.exports_transactions {
            self.counted = records.dns.len();
        } else if !new.is_empty() {
            meter.discard_transactions();
            is_full = meter.records().octets.len() > MAX_RECYCLED_OCTETS;
        }
        // Live, this is called for each packet, and the clock would cost as much as counting it.
        self.turns = self.turns.wrapping_add(1);
        let is_due = self.turns.is_multiple_of(TURNS) && self.handed_over.elapsed() >= HAND_OVER;
        if is_due || self.summaries.has_closed() {
            self.hand_over();
        }
        is_full
    }

    /// The batch was taken; what it held is counted.
    pub(super) fn handle_taken(&mut self) {
        self.counted = 0;
    }

    /// Live, windows end without packets too.
    pub(super) fn handle_timeout(&mut self, now_ns: i64) {
        self.summaries.handle_timeout(now_ns);
        if self.summaries.has_closed() || self.handed_over.elapsed() >= HAND_OVER {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&mut self) {
        self.handed_over = Instant::now();
        self.shared.hand_over(self.worker, now_ns(), &mut self.summaries);
    }

    /// Ends all windows.
    pub(super) fn finish(mut self) {
        self.shared.finish(self.worker, now_ns(), &mut self.summaries);
    }
}

/// Exports windows as they become whole, until all workers have ended.
pub(super) fn export(shared: &SharedSummaries, mut plan: SummaryPlan, fan_out: &FanOut<'_>) -> SummaryExportCounters {
    loop {
        let (windows, goes_on) = shared.take_outgoing(WAIT);
        for window in &windows {
            let summaries = plan.records(window);
            if !summaries.is_empty() {
                fan_out.send(Batch::new(Records {
                    summaries,
                    ..Records::default()
                }));
            }
        }
        if !goes_on && windows.is_empty() {
            return plan.counters();
        }
    }
}
