//! What became of every packet that could have been sampled, and of every datagram.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::queue::{SampleQueue, SourceTotals};

/// Counters of the sending thread, which other threads read.
#[derive(Debug)]
pub struct SflowAccounts {
    queue: Arc<SampleQueue>,
    /// One for each collector.
    pub receivers: Vec<ReceiverAccounts>,
    /// Flow samples in datagrams.
    pub flow_samples: AtomicU64,
    /// Counter samples in datagrams.
    pub counter_samples: AtomicU64,
    /// Sampled packets that no header of sFlow can be made of.
    pub without_format: AtomicU64,
    /// Sampled packets that were queued and never left.
    pub given_up: AtomicU64,
    /// Whether the sending thread ended before its time.
    pub failed: AtomicBool,
}

/// Counters of one collector.
#[derive(Debug)]
pub struct ReceiverAccounts {
    /// As it was given.
    pub name: String,
    /// Datagrams sent.
    pub datagrams: AtomicU64,
    /// Octets of them.
    pub octets: AtomicU64,
    /// Datagrams that the system refused, or that came back.
    pub errors: AtomicU64,
}

impl SflowAccounts {
    /// Nothing counted yet.
    pub fn new(queue: Arc<SampleQueue>, receivers: impl IntoIterator<Item = String>) -> Self {
        let receiver = |name| ReceiverAccounts {
            name,
            datagrams: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        };
        Self {
            queue,
            receivers: receivers.into_iter().map(receiver).collect(),
            flow_samples: AtomicU64::new(0),
            counter_samples: AtomicU64::new(0),
            without_format: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// The counters now.
    pub fn snapshot(&self) -> SflowSnapshot {
        let (sources, beyond) = self.queue.totals();
        SflowSnapshot {
            sources,
            beyond,
            receivers: self.receivers.iter().map(ReceiverAccounts::snapshot).collect(),
            flow_samples: self.flow_samples.load(Relaxed),
            counter_samples: self.counter_samples.load(Relaxed),
            without_format: self.without_format.load(Relaxed),
            given_up: self.given_up.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }
}

impl ReceiverAccounts {
    fn snapshot(&self) -> ReceiverSnapshot {
        ReceiverSnapshot {
            name: self.name.clone(),
            datagrams: self.datagrams.load(Relaxed),
            octets: self.octets.load(Relaxed),
            errors: self.errors.load(Relaxed),
        }
    }
}

/// All of it at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SflowSnapshot {
    /// Of each interface.
    pub sources: Vec<SourceTotals>,
    /// Packets of interfaces beyond those.
    pub beyond: u64,
    /// Of each collector.
    pub receivers: Vec<ReceiverSnapshot>,
    /// Flow samples in datagrams.
    pub flow_samples: u64,
    /// Counter samples in datagrams.
    pub counter_samples: u64,
    /// Sampled packets that no header of sFlow can be made of.
    pub without_format: u64,
    /// Sampled packets that were queued and never left.
    pub given_up: u64,
    /// Whether the sending thread ended before its time.
    pub failed: bool,
}

/// One collector's counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverSnapshot {
    /// As it was given.
    pub name: String,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Octets of them.
    pub octets: u64,
    /// Datagrams that the system refused, or that came back.
    pub errors: u64,
}

impl SflowSnapshot {
    fn sum(&self, pick: impl Fn(&SourceTotals) -> u64) -> u64 {
        self.sources.iter().map(pick).sum()
    }

    /// Packets taken.
    pub fn sampled(&self) -> u64 {
        self.sum(|source| source.sampled)
    }

    /// Packets left out.
    pub fn skipped(&self) -> u64 {
        self.sum(|source| source.skipped) + self.beyond
    }

    /// Packets taken that found the queue full.
    pub fn dropped(&self) -> u64 {
        self.sum(|source| source.dropped)
    }

    /// Packets that could have been taken.
    pub fn seen(&self) -> u64 {
        self.sampled() + self.skipped()
    }

    /// Whether every packet taken is accounted for; true when the agent has ended.
    pub fn is_balanced(&self) -> bool {
        self.sampled() == self.flow_samples + self.dropped() + self.without_format + self.given_up
    }

    /// Whether something is missing that should be there.
    ///
    /// Live, what a full queue dropped and what a collector refused is declared, and goes on.
    pub fn is_failure(&self, from_files: bool) -> bool {
        let refused = self.receivers.iter().any(|receiver| receiver.errors > 0);
        self.failed || self.given_up > 0 || (from_files && (self.dropped() > 0 || refused))
    }

    /// Lines for people.
    pub fn lines(&self) -> Vec<String> {
        let receivers = self.receivers.iter().map(ToString::to_string);
        std::iter::once(self.to_string()).chain(receivers).collect()
    }
}

impl fmt::Display for SflowSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sFlow: {} packets seen = {} sampled + {} not sampled; {} flow samples and {} counter samples sent",
            self.seen(),
            self.sampled(),
            self.skipped(),
            self.flow_samples,
            self.counter_samples
        )?;
        for (count, what) in [
            (self.dropped(), "dropped as the queue was full"),
            (self.without_format, "of links that sFlow has no format for"),
            (self.beyond, "not sampled for their many interfaces"),
            (self.given_up, "given up at the end"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ReceiverSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} datagrams sent, {} octets, {} not taken",
            self.name, self.datagrams, self.octets, self.errors
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sflow::queue::Traffic;

    #[test]
    fn lines_balance_and_name_what_is_missing() {
        let mut snapshot = SflowSnapshot {
            sources: vec![SourceTotals {
                interface: 1,
                skipped: 90,
                sampled: 10,
                dropped: 2,
                traffic: Traffic::default(),
            }],
            receivers: vec![ReceiverSnapshot {
                name: "sflow://h:6343".to_owned(),
                datagrams: 3,
                octets: 900,
                errors: 0,
            }],
            flow_samples: 7,
            counter_samples: 4,
            without_format: 1,
            ..SflowSnapshot::default()
        };
        assert!(snapshot.is_balanced());
        assert_eq!(
            snapshot.lines(),
            [
                "sFlow: 100 packets seen = 10 sampled + 90 not sampled; 7 flow samples and 4 counter samples sent, \
                 2 dropped as the queue was full, 1 of links that sFlow has no format for",
                "sflow://h:6343: 3 datagrams sent, 900 octets, 0 not taken",
            ]
        );
        assert!(!snapshot.is_failure(false) && snapshot.is_failure(true));
        snapshot.given_up = 1;
        assert!(snapshot.is_failure(false));
    }
}
