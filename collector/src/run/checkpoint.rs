//! Keeps what decoding knows across restarts: at intervals, for one position in the journal, written once the store has
//! committed that position. What lies before it in the journal is needed no more.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Shared, now_ns};
use crate::collecting::State;
use crate::limits::CHECKPOINT_OCTETS;
use crate::rehearsal::{Phase, during};

/// Pause before what is known is written once more where it could not be.
const PAUSE: Duration = Duration::from_secs(2);
/// At most this part of the time goes into noting what is known, however much that is.
const PART_OF_TIME: u32 = 20;

pub(super) struct Checkpoint {
    has_journal: bool,
    interval: Duration,
    octets: u64,
    due: Instant,
    last_position: u64,
    not_before: Instant,
    /// Noted, and not yet written: the store has not come as far, or the disk does not take it.
    waiting: Option<State>,
    /// Before this it is not tried again.
    again: Option<Instant>,
}

impl Checkpoint {
    pub fn new(shared: &Shared, has_journal: bool) -> Checkpoint {
        let interval = shared.config.template_save_interval.max(Duration::from_secs(1));
        Checkpoint {
            has_journal,
            interval,
            octets: CHECKPOINT_OCTETS.min(shared.config.journal_octets / 4),
            due: Instant::now() + interval,
            last_position: 0,
            not_before: Instant::now(),
            waiting: None,
            again: None,
        }
    }

    /// Whether one waits for the store to commit its position.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Notes what is known at `position` when it is time to, and writes it when the store has come as far.
    pub fn handle_timeout(&mut self, shared: &Shared, now: Instant, position: u64) {
        if self.waiting.is_some() {
            if self.again.is_none_or(|again| now >= again) {
                self.write_if_committed(shared);
            }
            return;
        }
        let grown = self.has_journal && position.saturating_sub(self.last_position) >= self.octets;
        // A full journal has no room until what is indexed of it is released.
        let is_full = shared
            .journal
            .as_ref()
            .is_some_and(|journal| journal.is_full.load(Ordering::Acquire));
        if now < self.due && !((grown || is_full && position > self.last_position) && now >= self.not_before) {
            return;
        }
        self.due = now + self.interval;
        // What summaries came before is not met again by decoding from here.
        if let Err(error) = shared.summaries.handle_timeout(now_ns()) {
            tracing::warn!("summaries: {error}");
            return;
        }
        self.note(shared, position);
        self.not_before = Instant::now() + now.elapsed() * PART_OF_TIME;
        self.write_if_committed(shared);
    }

    /// The last one: everything was committed that could be.
    pub fn close(&mut self, shared: &Shared, position: u64) {
        self.note(shared, position);
        self.write_if_committed(shared);
    }

    fn note(&mut self, shared: &Shared, position: u64) {
        self.last_position = position;
        // What came before it in the journal is needed no more: summaries of it must be on the disk.
        if shared.summaries.handle_timeout(now_ns()).is_err() {
            return;
        }
        let position = self.has_journal.then_some(position);
        match State::of(&shared.process(), now_ns(), &shared.listener_names, position) {
            Ok(state) => self.waiting = Some(state),
            Err(failure) => tracing::warn!("{failure}"),
        }
    }

    fn write_if_committed(&mut self, shared: &Shared) {
        let committed = shared.store.journal_position();
        let Some(state) = self
            .waiting
            .take_if(|state| state.journal.is_none() || state.journal <= committed)
        else {
            return;
        };
        let _noted = during(Phase::Checkpoint);
        self.again = None;
        match state.write(&shared.templates_path()) {
            Ok(()) => {
                if let (Some(position), Some(journal)) = (state.journal, &shared.journal) {
                    journal.released.fetch_max(position, Ordering::AcqRel);
                }
            }
            Err(failure) => {
                tracing::warn!("{failure}; it is tried again");
                // Nothing of the journal is released until then, so that this may be all that a full one waits for.
                self.again = Some(Instant::now() + PAUSE);
                self.waiting = Some(state);
            }
        }
    }
}
