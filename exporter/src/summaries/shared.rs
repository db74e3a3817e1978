//! The summaries of all workers in one place, for whoever reads them: export, the HTTP API, the terminal page.
//!
//! Workers fill windows of their own without any lock. At most once a second, and whenever a window closes, each hands
//! over what it has; windows of the same span are merged as soon as every worker has closed its part. Readers get
//! snapshots that never change.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::limits::{KEPT_WINDOWS, PATIENCE_NS, RATE_SAMPLES, WAITING_WINDOWS};
use super::window::Window;
use super::windows::{Summaries, SummaryCounters};

/// How summaries are kept for readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedConfig {
    /// Length of a window, ns; what readers are told.
    pub window_ns: i64,
    /// Closed windows that are kept; brought into [`KEPT_WINDOWS`].
    pub kept: usize,
    /// Workers that will hand windows over. A window is whole when all have closed their part of it.
    pub workers: usize,
    /// Whether a worker waits for export when it lags behind: packets come from files.
    pub waits: bool,
}

impl Default for SharedConfig {
    fn default() -> SharedConfig {
        SharedConfig {
            window_ns: 60_000_000_000,
            kept: 5,
            workers: 1,
            waits: false,
        }
    }
}

/// Packets, octets and DNS transactions a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Until when, ns since 1970 UTC; 0 before there are any.
    pub until_ns: i64,
    /// Over how long, ns.
    pub over_ns: i64,
    /// Packets a second.
    pub packets: f64,
    /// IP octets a second.
    pub octets: f64,
    /// DNS transactions a second.
    pub transactions: f64,
}

/// A closed window and its number in the order of closing, from 1.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Larger for those that closed later.
    pub sequence: u64,
    /// The window.
    pub window: Arc<Window>,
}

/// What became of windows after they closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedCounters {
    /// Windows that were whole.
    pub windows: u64,
    /// Of those, late parts of a window that had been taken for whole.
    pub late_parts: u64,
    /// Closed windows that nobody took in time; they were not exported.
    pub dropped: u64,
}

/// The summaries of all workers.
#[derive(Debug)]
pub struct SharedSummaries {
    config: SharedConfig,
    wants_open: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
    taken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    workers: Vec<WorkerState>,
    /// Parts of windows that are not whole yet.
    parts: Vec<Window>,
    /// Those of them that somebody is merging.
    merging: usize,
    closed: VecDeque<Closed>,
    /// Whole windows for export, if there is any.
    outgoing: Option<VecDeque<Arc<Window>>>,
    sequence: u64,
    counters: SharedCounters,
}

#[derive(Clone, Debug)]
struct WorkerState {
    /// Oldest first.
    open: Vec<Arc<Window>>,
    /// All windows that end at or before this are closed.
    closed_until_ns: i64,
    counters: SummaryCounters,
    /// What was counted at some moments, newest last: time, packets, octets, transactions.
    totals: VecDeque<(i64, [u64; 3])>,
    finished: bool,
}

impl Default for WorkerState {
    fn default() -> WorkerState {
        WorkerState {
            open: Vec::new(),
            closed_until_ns: i64::MIN,
            counters: SummaryCounters::default(),
            totals: VecDeque::new(),
            finished: false,
        }
    }
}

impl SharedSummaries {
    /// Nothing handed over yet.
    pub fn new(config: SharedConfig) -> SharedSummaries {
        let [least, most] = KEPT_WINDOWS;
        let workers = config.workers.max(1);
        SharedSummaries {
            config: SharedConfig {
                kept: config.kept.clamp(least, most),
                workers,
                ..config
            },
            wants_open: AtomicBool::new(false),
            state: Mutex::new(State {
                workers: vec![WorkerState::default(); workers],
                ..State::default()
            }),
            changed: Condvar::new(),
            taken: Condvar::new(),
        }
    }

    /// How it was made.
    pub fn config(&self) -> &SharedConfig {
        &self.config
    }

    /// Has workers copy their open windows once a second from now on. Without it, [`SharedSummaries::open`] has nothing:
    /// a copy costs a worker milliseconds, which those without readers do not pay.
    pub fn keep_open(&self) {
        self.wants_open.store(true, Relaxed);
    }

    /// Whether [`SharedSummaries::keep_open`] was called.
    pub fn keeps_open(&self) -> bool {
        self.wants_open.load(Relaxed)
    }

    /// Takes over what a worker has: the windows that it closed, and a copy of the newest open one where that is wanted.
    /// A worker calls this once a second, and when it has closed windows.
    pub fn hand_over(&self, worker: usize, now_ns: i64, summaries: &mut Summaries) {
        let open = match self.keeps_open() {
            true => summaries.snapshots().map(Arc::new).collect(),
            false => Vec::new(),
        };
        let closed = summaries.take_closed();
        let whole = !closed.is_empty();
        let mut state = self.lock();
        if let Some(of_worker) = state.workers.get_mut(worker) {
            of_worker.open = open;
            of_worker.closed_until_ns = summaries.closed_until_ns();
            of_worker.counters = *summaries.counters();
            let totals = [
                of_worker.counters.packets,
                of_worker.counters.octets,
                of_worker.counters.transactions,
            ];
            if of_worker.totals.len() >= RATE_SAMPLES {
                of_worker.totals.pop_front();
            }
            of_worker.totals.push_back((now_ns, totals));
        }
        state = self.add_parts(state, closed);
        drop(state);
        if self.config.workers == 1 {
            self.collect();
        } else if whole {
            self.changed.notify_all();
        }
    }

    /// A worker ends: all of its windows are handed over as closed.
    pub fn finish(&self, worker: usize, now_ns: i64, summaries: &mut Summaries) {
        summaries.finish();
        self.hand_over(worker, now_ns, summaries);
        let mut state = self.lock();
        if let Some(of_worker) = state.workers.get_mut(worker) {
            of_worker.open = Vec::new();
            of_worker.finished = true;
        }
        drop(state);
        self.collect();
        self.changed.notify_all();
    }

    /// No worker will hand anything over any more, even one that ended without a word.
    pub fn end(&self) {
        self.lock().workers.iter_mut().for_each(|worker| worker.finished = true);
        self.collect();
        self.changed.notify_all();
    }

    /// Bounded: who reads files waits until those before have been taken, live the oldest part goes.
    fn add_parts<'s>(&'s self, mut state: MutexGuard<'s, State>, closed: Vec<Window>) -> MutexGuard<'s, State> {
        for window in closed {
            let is_full = |state: &State| {
                let outgoing = state.outgoing.as_ref().map_or(0, VecDeque::len);
                state.parts.len() + outgoing >= WAITING_WINDOWS * self.config.workers
            };
            if self.config.waits && state.outgoing.is_some() {
                let woken = self
                    .taken
                    .wait_while(state, |state| is_full(state) && state.outgoing.is_some());
                state = woken.unwrap_or_else(PoisonError::into_inner);
            } else if is_full(&state) {
                state.counters.dropped += 1;
                if state.parts.is_empty() {
                    state.outgoing.as_mut().and_then(VecDeque::pop_front);
                } else {
                    state.parts.remove(0);
                }
            }
            state.parts.push(window);
            if self.config.workers == 1 {
                state = self.collect_locked(state);
            }
        }
        state
    }

    /// Merges the parts of windows that are whole. With one worker this happens by itself; with several, whoever exports
    /// calls it, so that no worker is kept from its packets.
    pub fn collect(&self) {
        drop(self.collect_locked(self.lock()));
    }

    fn collect_locked<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        while let Some(parts) = state.take_whole() {
            state.merging += 1;
            if parts.len() > 1 {
                // Merging takes a while, and workers must not wait for it.
                drop(state);
                let window = merge(parts.iter());
                state = self.lock();
                state.add_closed(window, self.config.kept);
            } else {
                state.add_closed(parts.into_iter().next(), self.config.kept);
            }
            state.merging -= 1;
            self.changed.notify_all();
        }
        state
    }

    /// Has whole windows kept for [`SharedSummaries::take_outgoing`] from now on.
    pub fn attach_export(&self) {
        self.lock().outgoing.get_or_insert_default();
    }

    /// Nobody will take windows any more.
    pub fn detach_export(&self) {
        self.lock().outgoing = None;
        self.taken.notify_all();
    }

    /// The whole windows that were not taken yet, oldest first, waiting for one at most `timeout`; and whether more may
    /// come.
    pub fn take_outgoing(&self, timeout: Duration) -> (Vec<Arc<Window>>, bool) {
        self.collect();
        let nothing = |state: &mut State| {
            state.outgoing.as_ref().is_none_or(VecDeque::is_empty) && !state.is_over() && !state.has_whole()
        };
        let state = self.changed.wait_timeout_while(self.lock(), timeout, nothing);
        let state = state.unwrap_or_else(PoisonError::into_inner).0;
        let mut state = self.collect_locked(state);
        let windows = state.outgoing.as_mut().map(std::mem::take).unwrap_or_default();
        let goes_on = !state.is_over();
        drop(state);
        self.taken.notify_all();
        (windows.into(), goes_on)
    }

    /// The window that is being filled, merged over the workers, at most a second old. Only after
    /// [`SharedSummaries::keep_open`].
    pub fn open(&self) -> Option<Arc<Window>> {
        self.unfinished().pop()
    }

    /// All windows that are not closed yet, merged over the workers, oldest first: those before the newest wait for what is
    /// late. Only after [`SharedSummaries::keep_open`].
    pub fn unfinished(&self) -> Vec<Arc<Window>> {
        let mut parts: Vec<Arc<Window>> = {
            let state = self.lock();
            state.workers.iter().flat_map(|worker| worker.open.clone()).collect()
        };
        parts.sort_by_key(|part| part.start_ns);
        let spans = parts.chunk_by(|a, b| a.start_ns == b.start_ns);
        spans.filter_map(|span| merged_of(span.to_vec())).collect()
    }

    /// The closed window `back` windows before the newest: 0 is the newest.
    pub fn closed(&self, back: usize) -> Option<Arc<Window>> {
        let mut parts = self.spans();
        if back >= parts.len() {
            return None;
        }
        merged_of(parts.swap_remove(back))
    }

    /// The newest `windows` closed windows in one.
    pub fn merged(&self, windows: usize) -> Option<Arc<Window>> {
        merged_of(self.spans().into_iter().take(windows).flatten().collect())
    }

    /// Closed windows that [`SharedSummaries::closed`] can give.
    pub fn windows(&self) -> usize {
        self.spans().len()
    }

    /// Windows that closed after the one with number `sequence`, oldest first, as far as they are still kept.
    pub fn closed_since(&self, sequence: u64) -> Vec<Closed> {
        let state = self.lock();
        let new = state.closed.iter().filter(|closed| closed.sequence > sequence);
        new.cloned().collect()
    }

    /// As [`SharedSummaries::closed_since`], waiting for one at most `timeout`.
    pub fn wait_closed_since(&self, sequence: u64, timeout: Duration) -> Vec<Closed> {
        let state = self.lock();
        drop(
            self.changed
                .wait_timeout_while(state, timeout, |state| state.sequence <= sequence && !state.is_over()),
        );
        self.closed_since(sequence)
    }

    /// What comes in a second, over the last second or a little more.
    pub fn rates(&self) -> Rates {
        let state = self.lock();
        let mut rates = Rates::default();
        for worker in &state.workers {
            let (Some((until_ns, last)), Some(first_ns)) = (worker.totals.back(), worker.totals.front()) else {
                continue;
            };
            let second_ago = worker
                .totals
                .iter()
                .rev()
                .find(|(ns, _)| ns + 1_000_000_000 <= *until_ns);
            let (since_ns, first) = second_ago.unwrap_or(first_ns);
            let over_ns = until_ns.saturating_sub(*since_ns);
            if over_ns <= 0 {
                continue;
            }
            rates.until_ns = rates.until_ns.max(*until_ns);
            rates.over_ns = rates.over_ns.max(over_ns);
            let of = |at: usize| match (last.get(at), first.get(at)) {
                (Some(last), Some(first)) => last.saturating_sub(*first) as f64 * 1e9 / over_ns as f64,
                _ => 0.0,
            };
            rates.packets += of(0);
            rates.octets += of(1);
            rates.transactions += of(2);
        }
        rates
    }

    /// What all workers took in, as of the last time each handed over.
    pub fn counters(&self) -> SummaryCounters {
        let state = self.lock();
        let mut sum = SummaryCounters::default();
        state.workers.iter().for_each(|worker| sum.add(&worker.counters));
        sum
    }

    /// What became of closed windows.
    pub fn shared_counters(&self) -> SharedCounters {
        self.lock().counters
    }

    /// Closed windows by span, the newest span first; a span has more than one window when a part of it came late.
    fn spans(&self) -> Vec<Vec<Arc<Window>>> {
        let mut closed: Vec<Arc<Window>> = self.lock().closed.iter().map(|closed| closed.window.clone()).collect();
        closed.sort_by_key(|window| std::cmp::Reverse(window.start_ns));
        closed
            .chunk_by(|a, b| a.start_ns == b.start_ns)
            .map(<[_]>::to_vec)
            .collect()
    }

    /// A thread that panicked between two consistent states left nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.workers.iter().all(|worker| worker.finished) && self.parts.is_empty() && self.merging == 0
    }

    /// The start of the oldest window of which all parts are there, or waiting for the others has taken too long.
    fn whole(&self) -> Option<i64> {
        // Who has finished is waited for no longer, and hurries nobody.
        let at_work = || self.workers.iter().filter(|worker| !worker.finished);
        let slowest = at_work().map(|worker| worker.closed_until_ns).min().unwrap_or(i64::MAX);
        let fastest = at_work().map(|worker| worker.closed_until_ns).max().unwrap_or(i64::MAX);
        let due_ns = slowest.max(fastest.saturating_sub(PATIENCE_NS));
        let parts = self
            .parts
            .iter()
            .filter(|part| part.end_ns <= due_ns || self.workers.len() == 1);
        parts.map(|part| part.start_ns).min()
    }

    fn has_whole(&self) -> bool {
        self.whole().is_some()
    }

    fn take_whole(&mut self) -> Option<Vec<Window>> {
        let start_ns = self.whole()?;
        Some(self.parts.extract_if(.., |part| part.start_ns == start_ns).collect())
    }

    fn add_closed(&mut self, window: Option<Window>, kept: usize) {
        let Some(window) = window.map(Arc::new) else { return };
        self.counters.windows += 1;
        if self
            .closed
            .iter()
            .any(|closed| closed.window.start_ns == window.start_ns)
        {
            self.counters.late_parts += 1;
        }
        if let Some(outgoing) = &mut self.outgoing {
            outgoing.push_back(window.clone());
        }
        self.sequence += 1;
        while self.closed.len() >= kept {
            self.closed.pop_front();
        }
        self.closed.push_back(Closed {
            sequence: self.sequence,
            window,
        });
    }
}

/// One window of parts. Those of one span are parts of one window, and count as one.
fn merge<'w>(parts: impl Iterator<Item = &'w Window>) -> Option<Window> {
    let mut whole: Option<Window> = None;
    for part in parts {
        match &mut whole {
            None => whole = Some(part.clone()),
            Some(whole) => {
                let windows = whole.windows;
                let same = whole.start_ns == part.start_ns && whole.end_ns == part.end_ns;
                // Our own windows are all of one kind, and no window is so full that its sums overflow.
                whole.merge(part).unwrap_or_default();
                if same {
                    whole.windows = windows;
                }
            }
        }
    }
    whole
}

fn merged_of(parts: Vec<Arc<Window>>) -> Option<Arc<Window>> {
    match parts.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        parts => merge(parts.iter().map(|part| &**part)).map(Arc::new),
    }
}
