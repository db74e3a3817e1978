//! What came, what became of it, and whether the sum balances: one value for `/status`, `/metrics` and the last line.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Shared;
use crate::collecting::Totals;
use crate::store::{StoreCounters, StoreStatus};
use crate::summaries::SummaryCounters;

/// The collector's accounts at one moment.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// The ledger's sums.
    pub totals: Totals,
    /// What the store did.
    pub store: StoreCounters,
    /// What became of summaries.
    pub summaries: SummaryCounters,
    /// What the store holds.
    pub status: StoreStatus,
    /// Datagrams read from the kernel by all listeners, and Messages read from streams.
    pub read: u64,
    /// Datagrams that the kernel dropped.
    pub kernel_drops: u64,
    /// Datagrams dropped because the queue was full.
    pub queue_drops: u64,
    /// Rows never given to the store, and rows it panicked over.
    pub rows_faulted: (u64, u64),
    /// Rows given up at the end, because the store could not write.
    pub rows_given_up: u64,
    /// Datagrams and Messages that are in the journal and not decoded yet, of this run.
    pub journal_waiting: u64,
    /// Stretches of damage in the journal, and what could not be journaled at the end.
    pub journal_lost: (u64, u64),
    /// No row was between decoding and the store while this was taken.
    pub at_rest: bool,
}

/// The accounts now.
pub fn accounts(shared: &Shared) -> Accounts {
    let (mut read, mut kernel_drops, mut queue_drops) = (0, 0, 0);
    for listener in &shared.listeners {
        // Within DTLS, what counts is the Messages that were in it.
        match (listener.counters.sessions(), listener.counters.datagrams()) {
            (Some(sessions), _) => read += sessions.messages.load(Ordering::Relaxed),
            (None, Some(datagrams)) => read += datagrams.datagrams.load(Ordering::Relaxed),
            (None, None) => {}
        }
        if let Some(datagrams) = listener.counters.datagrams() {
            kernel_drops += datagrams.kernel_drops.load(Ordering::Relaxed);
            queue_drops += datagrams.queue_drops.load(Ordering::Relaxed);
        }
    }
    // The store first: rows are made before they are stored, so a look in between never shows more stored than made.
    let before = shared.handing_over.load(Ordering::Acquire);
    let store = shared.store.counters();
    let summaries = shared.summaries.counters();
    let totals = shared.process().totals();
    let faulted = |count: &AtomicU64| count.load(Ordering::Acquire);
    let rows_faulted = (faulted(&shared.rows_not_added), faulted(&shared.rows_at_fault));
    let rows_given_up = faulted(&shared.rows_given_up);
    let handled = faulted(&shared.entries_handled);
    let journaled = shared
        .journal
        .as_ref()
        .map(|journal| journal.entries.load(Ordering::Acquire));
    let journal_waiting = journaled.map_or(0, |journaled| journaled.saturating_sub(handled));
    let at_rest = before.is_multiple_of(2) && before == shared.handing_over.load(Ordering::Acquire);
    Accounts {
        totals,
        store,
        summaries,
        status: shared.store.status(),
        read,
        kernel_drops,
        queue_drops,
        rows_faulted,
        rows_given_up,
        journal_waiting,
        journal_lost: (faulted(&shared.journal_damaged), faulted(&shared.not_journaled)),
        at_rest,
    }
}

impl Accounts {
    /// Records that are durable and searchable.
    pub fn stored(&self) -> u64 {
        self.store.rows_committed + self.summaries.stored
    }

    /// Records of this run, and those of the run before that still waited for others when it ended.
    pub fn records(&self) -> u64 {
        self.totals.sum.records + self.summaries.carried
    }

    /// Records that are decoded and not yet committed.
    pub fn waiting(&self) -> u64 {
        let lost = self.lost().values().sum::<u64>();
        self.records().saturating_sub(self.stored() + lost)
    }

    /// Records that were received and not stored, by reason.
    pub fn lost(&self) -> BTreeMap<&'static str, u64> {
        let sum = &self.totals.sum;
        let not_made = sum.records - sum.rows - sum.summaries;
        let faulted = self.rows_faulted.0 + self.rows_faulted.1 + not_made;
        let reasons = [
            ("store_error", self.store.rows_lost + self.rows_given_up),
            ("internal_fault", faulted),
        ];
        let reasons = reasons.into_iter().chain(self.summaries.lost());
        reasons.filter(|(_, count)| *count > 0).collect()
    }

    /// What never became a record, by reason: of datagrams, of Sets, and (by sequence number) of records.
    pub fn missing(&self) -> BTreeMap<&'static str, u64> {
        let sum = &self.totals.sum;
        [
            ("records_lost_before_arrival", self.totals.records_missing),
            ("datagrams_lost_before_arrival", self.totals.datagrams_missing),
            ("datagrams_dropped_by_kernel", self.kernel_drops),
            ("datagrams_dropped_by_queue", self.queue_drops),
            ("journal_entries_damaged", self.journal_lost.0),
            ("datagrams_given_up_at_the_end", self.journal_lost.1),
            ("datagrams_of_unsupported_version", sum.unsupported_version),
            ("datagrams_beyond_session_limit", sum.too_many_sessions),
            ("datagrams_not_allowed", sum.not_allowed),
            ("datagrams_beyond_rate_limit", sum.rate_limited),
            ("datagrams_not_decodable", sum.refused),
            ("messages_given_up_by_internal_fault", sum.internal_faults),
            ("sets_without_template", sum.sets_expired + sum.sets_abandoned),
            ("sets_beyond_waiting_limit", sum.sets_overflowed),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
    }

    /// Whether `received = stored + waiting + each reason` holds, here and in every account.
    pub fn balanced(&self) -> bool {
        let (records, handed_over) = (
            self.totals.sum.rows,
            self.store.rows_added + self.rows_faulted.0 + self.rows_given_up,
        );
        let rows_balance = if self.at_rest {
            records == handed_over
        } else {
            records >= handed_over
        };
        let stored_balances = self.store.rows_added >= self.store.rows_committed + self.store.rows_lost;
        // The summaries were looked at before the records were.
        let taken = self.summaries.received - self.summaries.carried;
        let summaries_balance = self.summaries.is_balanced() && taken <= self.totals.sum.summaries;
        self.totals.balanced && rows_balance && stored_balances && summaries_balance
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sum = &self.totals.sum;
        write!(
            f,
            "accounts: datagrams={} messages={} records={} stored={} waiting={} options={} sets_waiting={} exporters={}",
            sum.datagrams,
            sum.messages,
            self.records(),
            self.stored(),
            self.waiting(),
            sum.options_records,
            self.totals.sets_waiting,
            self.totals.accounts,
        )?;
        if self.journal_waiting > 0 {
            write!(f, " journal_waiting={}", self.journal_waiting)?;
        }
        if sum.repeated > 0 {
            write!(f, " repeated={}", sum.repeated)?;
        }
        for (reason, count) in self.lost().iter().chain(&self.missing()) {
            write!(f, " {reason}={count}")?;
        }
        write!(f, " balanced={}", self.balanced())
    }
}
