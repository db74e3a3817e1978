//! The ledger: what came from each exporter and what became of it. Its sums balance at every moment.
//!
//! Datagrams: `received = messages + refused by kind`. Records: each became a row, or panicked and is counted.
//! Sets that came before their template: `waited = replayed + waiting + given up by reason`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use flowgauge_templates::error::ErrorCounters;
use flowgauge_templates::management::{SequenceCounters, SequenceHabit, SequenceUnit};
use foldhash::{HashMap, HashMapExt as _};

use crate::io::input::Protocol;
use crate::io::listener::Transport;
use crate::limits::ACCOUNTS;

/// Whose account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// Address of the exporter; unspecified in the common account of those beyond the limit.
    pub address: IpAddr,
    /// What it speaks.
    pub protocol: Protocol,
    /// Observation Domain; 0 for datagrams that were refused before it was known.
    pub domain: u32,
}

/// What a Message's sequence numbers said, summed over sessions. Losses are in what the protocol counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceTotals {
    /// Missing by the numbers, less what came late: records or datagrams, see [`Protocol::sequence_unit`].
    pub lost: u64,
    /// Gaps met.
    pub gaps: u64,
    /// Messages that came late: out of order.
    pub reordered: u64,
    /// Messages that came twice.
    pub duplicate: u64,
    /// Times the exporter began anew.
    pub restarts: u64,
    /// Messages whose number could not be judged.
    pub unverified: u64,
    /// What the numbers of the session heard last were found to count, where that is not what the protocol says.
    pub habit: Option<SequenceHabit>,
}

impl SequenceTotals {
    /// Adds what a session's counters grew by.
    pub fn grow(&mut self, before: &SequenceCounters, after: &SequenceCounters) {
        let grow = |total: &mut u64, before: u64, after: u64| *total = (*total + after).saturating_sub(before);
        grow(&mut self.lost, before.lost_records, after.lost_records);
        grow(&mut self.gaps, before.gaps, after.gaps);
        // A Message seen before lies behind, too; it is told apart here.
        let late = |counters: &SequenceCounters| counters.late_messages - counters.duplicate_messages;
        grow(&mut self.reordered, late(before), late(after));
        grow(&mut self.duplicate, before.duplicate_messages, after.duplicate_messages);
        grow(&mut self.restarts, before.restarts, after.restarts);
        self.habit = after.habit;
        grow(
            &mut self.unverified,
            before.unverified_messages,
            after.unverified_messages,
        );
    }

    fn add(&mut self, other: &SequenceTotals) {
        self.lost += other.lost;
        self.gaps += other.gaps;
        self.reordered += other.reordered;
        self.duplicate += other.duplicate;
        self.restarts += other.restarts;
        self.unverified += other.unverified;
    }
}

/// One exporter's account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The transport it was last heard on.
    pub transport: Option<Transport>,
    /// Datagrams, or Messages of streams.
    pub datagrams: u64,
    /// Their octets.
    pub octets: u64,
    /// Messages with a sound header.
    pub messages: u64,
    /// Datagrams refused because their version is not decoded.
    pub unsupported_version: u64,
    /// Datagrams refused because there were too many sessions.
    pub too_many_sessions: u64,
    /// Datagrams refused because their sender is not allowed.
    pub not_allowed: u64,
    /// Datagrams refused because their sender sent too many.
    pub rate_limited: u64,
    /// Datagrams refused because their Message header is not sound; the kinds are in `errors`.
    pub refused: u64,
    /// Messages given up because decoding them panicked: our bug, and each is counted.
    pub internal_faults: u64,
    /// Faults by kind: refused headers, and faults within Messages that cost no more than their Set.
    pub errors: ErrorCounters,
    /// Data Records, and samples, that become rows.
    pub records: u64,
    /// Data Records of options.
    pub options_records: u64,
    /// Rows made of them.
    pub rows: u64,
    /// Records that came again, by their numbers. They are none of `records`.
    pub repeated: u64,
    /// Of the records, those of summaries, which have accounts of their own.
    pub summaries: u64,
    /// Of those, rows whose sampling rate was not known when they came.
    pub rates_unknown: u64,
    /// sFlow counter samples. Each is one of `records`, or several.
    pub counter_samples: u64,
    /// sFlow counter samples with more records than are kept.
    pub counter_records_cut: u64,
    /// sFlow samples of formats that are not read.
    pub unknown_samples: u64,
    /// Template Records accepted, repetitions included.
    pub templates: u64,
    /// Sequence numbers.
    pub sequence: SequenceTotals,
    /// Sets that came before their template.
    pub sets_waited: u64,
    /// Of those, decoded when it came.
    pub sets_replayed: u64,
    /// Of those, given up because too many waited.
    pub sets_overflowed: u64,
    /// Of those, given up because it did not come in time.
    pub sets_expired: u64,
    /// Of those, given up because their session ended.
    pub sets_abandoned: u64,
    /// When it was first heard, nanoseconds.
    pub first_ns: i64,
    /// When it was last heard, nanoseconds.
    pub last_ns: i64,
}

impl Account {
    /// Every datagram is a Message or refused.
    pub fn is_balanced(&self) -> bool {
        let unwanted = self.not_allowed + self.rate_limited;
        let refused =
            unwanted + self.unsupported_version + self.too_many_sessions + self.refused + self.internal_faults;
        // A record whose row was not made has its Message among the faults.
        self.datagrams == self.messages + refused && self.records - self.rows - self.summaries <= self.internal_faults
    }

    /// Errors by the name of their kind.
    pub fn errors(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let own = [
            ("unsupported_version", self.unsupported_version),
            ("too_many_sessions", self.too_many_sessions),
            ("not_allowed", self.not_allowed),
            ("rate_limited", self.rate_limited),
            ("internal_fault", self.internal_faults),
            ("unknown_sample", self.unknown_samples),
            ("counter_records_cut", self.counter_records_cut),
        ];
        self.errors
            .iter()
            .map(|(kind, count)| (kind.as_str(), count))
            .chain(own)
            .filter(|(_, count)| *count > 0)
    }

    fn add(&mut self, other: &Account) {
        self.datagrams += other.datagrams;
        self.octets += other.octets;
        self.messages += other.messages;
        self.unsupported_version += other.unsupported_version;
        self.too_many_sessions += other.too_many_sessions;
        self.not_allowed += other.not_allowed;
        self.rate_limited += other.rate_limited;
        self.refused += other.refused;
        self.internal_faults += other.internal_faults;
        self.records += other.records;
        self.options_records += other.options_records;
        self.rows += other.rows;
        self.repeated += other.repeated;
        self.summaries += other.summaries;
        self.rates_unknown += other.rates_unknown;
        self.counter_samples += other.counter_samples;
        self.counter_records_cut += other.counter_records_cut;
        self.unknown_samples += other.unknown_samples;
        self.templates += other.templates;
        self.sequence.add(&other.sequence);
        self.sets_waited += other.sets_waited;
        self.sets_replayed += other.sets_replayed;
        self.sets_overflowed += other.sets_overflowed;
        self.sets_expired += other.sets_expired;
        self.sets_abandoned += other.sets_abandoned;
    }
}

/// All accounts together, and the Sets that wait now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The sum of the accounts; their faults are in `errors`.
    pub sum: Account,
    /// Faults by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// Records missing by sequence numbers that count records.
    pub records_missing: u64,
    /// Datagrams missing by sequence numbers that count datagrams.
    pub datagrams_missing: u64,
    /// Sets that wait for their template now.
    pub sets_waiting: u64,
    /// Accounts.
    pub accounts: u64,
    /// Datagrams that went to the common account because there were too many.
    pub accounts_overflowed: u64,
    /// Whether every account, and the Sets, balance.
    pub balanced: bool,
}

fn common(protocol: Protocol) -> AccountKey {
    AccountKey {
        address: IpAddr::from([0, 0, 0, 0]),
        protocol,
        domain: 0,
    }
}

/// Every account.
#[derive(Debug)]
pub struct Ledger {
    accounts: HashMap<AccountKey, Account>,
    overflowed: u64,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            accounts: HashMap::new(),
            overflowed: 0,
        }
    }
}

impl Ledger {
    /// The account of `key`, opened when there is none; the common account of its protocol when there are too many.
    pub fn account(&mut self, key: AccountKey, now_ns: i64) -> &mut Account {
        let known = self.accounts.contains_key(&key);
        let key = if known || self.accounts.len() < ACCOUNTS {
            key
        } else {
            self.overflowed += 1;
            common(key.protocol)
        };
        let account = self.accounts.entry(key).or_insert_with(|| Account {
            first_ns: now_ns,
            ..Account::default()
        });
        account.last_ns = now_ns;
        account
    }

    /// The common account of a protocol: of exporters beyond the limit, and of those that are not allowed.
    pub fn common_account(&mut self, protocol: Protocol, now_ns: i64) -> &mut Account {
        let account = self.accounts.entry(common(protocol)).or_insert_with(|| Account {
            first_ns: now_ns,
            ..Account::default()
        });
        account.last_ns = now_ns;
        account
    }

    /// Every account, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&AccountKey, &Account)> {
        self.accounts.iter()
    }

    /// Everything added up.
    pub fn totals(&self, sets_waiting: u64) -> Totals {
        let mut sum = Account::default();
        let mut errors = BTreeMap::new();
        let (mut records_missing, mut datagrams_missing) = (0, 0);
        for (key, account) in &self.accounts {
            match key.protocol.sequence_unit() {
                SequenceUnit::Records => records_missing += account.sequence.lost,
                SequenceUnit::Messages => datagrams_missing += account.sequence.lost,
            }
            sum.add(account);
            account
                .errors()
                .for_each(|(kind, count)| *errors.entry(kind).or_default() += count);
        }
        let sets_balanced = sum.sets_waited
            == sum.sets_replayed + sum.sets_overflowed + sum.sets_expired + sum.sets_abandoned + sets_waiting;
        Totals {
            records_missing,
            datagrams_missing,
            sets_waiting,
            accounts: self.accounts.len() as u64,
            accounts_overflowed: self.overflowed,
            balanced: sets_balanced && self.accounts.values().all(Account::is_balanced),
            sum,
            errors,
        }
    }
}
