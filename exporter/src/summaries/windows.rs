//! The windows that are being filled: each packet and transaction goes to the one of its own time, however late it comes,
//! as long as that is among the open ones or newer than they are.

use std::sync::Arc;

use super::geo::Geo;
use super::limits::{LATENESS_NS, OPEN_WINDOWS, WINDOW_NS};
use super::networks::Networks;
use super::open::{Known, OpenWindow};
use super::window::Window;
use crate::metering::dns::DnsTransaction;
use crate::metering::facts::PacketFacts;

/// How summaries are made.
#[derive(Clone, Debug)]
pub struct SummariesConfig {
    /// Length of a window, ns; brought into [`WINDOW_NS`].
    pub window_ns: i64,
    /// How long a window waits behind its end for what is late, ns.
    pub lateness_ns: i64,
    /// What is ours: it tells in from out. With none, every packet's way is unknown.
    pub networks: Arc<Networks>,
    /// Countries and autonomous systems; without it their lists stay empty.
    pub geo: Option<Arc<Geo>>,
}

impl Default for SummariesConfig {
    fn default() -> SummariesConfig {
        SummariesConfig {
            window_ns: 60_000_000_000,
            lateness_ns: LATENESS_NS,
            networks: Arc::default(),
            geo: None,
        }
    }
}

/// The account of summaries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SummaryCounters {
    /// Packets taken in.
    pub packets: u64,
    /// IP octets of them.
    pub octets: u64,
    /// Transactions taken in.
    pub transactions: u64,
    /// Of both, those that went to a window before the newest.
    pub late: u64,
    /// Of both, those that were too late for every window that could be open; they are in none.
    pub too_late: u64,
    /// Windows closed.
    pub windows: u64,
    /// Windows that had to close before their time, because too many were open.
    pub closed_early: u64,
}

impl SummaryCounters {
    /// Adds the account of another worker.
    pub fn add(&mut self, other: &SummaryCounters) {
        self.packets += other.packets;
        self.octets += other.octets;
        self.transactions += other.transactions;
        self.late += other.late;
        self.too_late += other.too_late;
        self.windows += other.windows;
        self.closed_early += other.closed_early;
    }
}

/// Fills windows and closes them.
#[derive(Debug)]
pub struct Summaries {
    config: SummariesConfig,
    /// Oldest first.
    open: Vec<OpenWindow>,
    most_open: usize,
    clock_ns: i64,
    /// The first time that was seen.
    began_ns: i64,
    closed: Vec<Window>,
    counters: SummaryCounters,
}

impl Summaries {
    /// No window open.
    pub fn new(config: SummariesConfig) -> Summaries {
        let [least, most] = WINDOW_NS;
        let config = SummariesConfig {
            window_ns: config.window_ns.clamp(least, most),
            lateness_ns: config.lateness_ns.max(0),
            ..config
        };
        let waiting = usize::try_from(config.lateness_ns / config.window_ns).unwrap_or(usize::MAX);
        let [least, most] = OPEN_WINDOWS;
        Summaries {
            config,
            open: Vec::new(),
            most_open: waiting.saturating_add(3).clamp(least, most),
            clock_ns: i64::MIN,
            began_ns: i64::MAX,
            closed: Vec::new(),
            counters: SummaryCounters::default(),
        }
    }

    /// Takes a packet in.
    #[inline]
    pub fn packet(&mut self, facts: &PacketFacts) {
        if let Some(window) = self.window(facts.time_ns) {
            window.packet(facts);
            self.counters.packets += 1;
            self.counters.octets += u64::from(facts.octets);
        }
    }

    /// Takes a transaction in, by the time at which it ended.
    pub fn transaction(&mut self, transaction: &DnsTransaction, name: &[u8]) {
        if let Some(window) = self.window(transaction.end_ns) {
            window.transaction(transaction, name);
            self.counters.transactions += 1;
        }
    }

    #[inline]
    fn window(&mut self, time_ns: i64) -> Option<&mut OpenWindow> {
        let newest = self.open.len().wrapping_sub(1);
        let is_newest = self
            .open
            .last()
            .is_some_and(|window| window.start_ns() <= time_ns && time_ns < window.end_ns());
        let place = if is_newest { newest } else { self.place(time_ns)? };
        self.clock_ns = self.clock_ns.max(time_ns);
        self.open.get_mut(place)
    }

    /// The place of a window that is not the newest, opened where it must be.
    #[cold]
    fn place(&mut self, time_ns: i64) -> Option<usize> {
        let start_ns = time_ns
            .div_euclid(self.config.window_ns)
            .saturating_mul(self.config.window_ns);
        self.began_ns = self.began_ns.min(time_ns);
        let is_late = time_ns < self.clock_ns;
        if is_late {
            self.counters.late += 1;
        } else {
            self.handle_timeout(time_ns);
        }
        let place = self.open.partition_point(|window| window.start_ns() < start_ns);
        if self.open.get(place).is_some_and(|window| window.start_ns() == start_ns) {
            return Some(place);
        }
        if self.open.len() >= self.most_open {
            if place == 0 {
                // Older than all that are open: making room for it would close them one after the other.
                self.counters.late = self.counters.late.saturating_sub(1);
                self.counters.too_late += 1;
                return None;
            }
            self.counters.closed_early += 1;
            self.close(0);
            return self.place_new(place - 1, start_ns, is_late);
        }
        self.place_new(place, start_ns, is_late)
    }

    fn place_new(&mut self, place: usize, start_ns: i64, is_late: bool) -> Option<usize> {
        let end_ns = start_ns.saturating_add(self.config.window_ns);
        let known = Known {
            networks: self.config.networks.clone(),
            geo: self.config.geo.clone(),
        };
        self.open
            .insert(place, OpenWindow::new(start_ns, end_ns, known, is_late));
        Some(place)
    }

    /// Closes the windows whose time has passed at `now_ns`.
    pub fn handle_timeout(&mut self, now_ns: i64) {
        self.clock_ns = self.clock_ns.max(now_ns);
        let due_ns = self.clock_ns.saturating_sub(self.config.lateness_ns);
        while self.open.first().is_some_and(|window| window.end_ns() <= due_ns) {
            self.close(0);
        }
    }

    /// Closes all windows.
    pub fn finish(&mut self) {
        while !self.open.is_empty() {
            self.close(0);
        }
    }

    fn close(&mut self, place: usize) {
        let window = self.open.remove(place).close(self.looked_ns());
        self.counters.windows += 1;
        self.closed.push(window);
    }

    /// Windows that have closed, oldest first. A late packet may have opened one again: both are parts of the whole.
    pub fn take_closed(&mut self) -> Vec<Window> {
        std::mem::take(&mut self.closed)
    }

    /// Whether [`Summaries::take_closed`] has something to give.
    #[inline]
    pub fn has_closed(&self) -> bool {
        !self.closed.is_empty()
    }

    /// All windows that end at or before this are closed.
    pub fn closed_until_ns(&self) -> i64 {
        self.clock_ns.saturating_sub(self.config.lateness_ns)
    }

    /// Copies of the windows that are being filled, oldest first, as if they closed now.
    pub fn snapshots(&self) -> impl Iterator<Item = Window> + '_ {
        self.open.iter().map(|window| window.clone().close(self.looked_ns()))
    }

    fn looked_ns(&self) -> [i64; 2] {
        [self.began_ns, self.clock_ns]
    }

    /// Windows that are being filled.
    pub fn open_windows(&self) -> usize {
        self.open.len()
    }

    /// The account so far.
    pub fn counters(&self) -> &SummaryCounters {
        &self.counters
    }
}
