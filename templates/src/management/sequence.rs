//! Sequence numbers of one stream of Messages: they count what went before, so a gap says how much was lost. Data Records
//! in IPFIX (RFC 7011 section 3.1), flows in NetFlow 5 and 7, Messages in NetFlow 9 (RFC 3954 section 5.1).

use super::habits::SequenceHabit;
use crate::limits::{REORDER_WINDOW, UPTIME_TOLERANCE_MS};

/// What a Message's sequence number says beside those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceOutcome {
    /// The first Message: nothing to compare with.
    First,
    /// Just what was expected.
    InOrder,
    /// So many records are missing before this Message.
    Gap(u32),
    /// A Message that was missed before, or one again: the number lies behind what is expected.
    Late,
    /// The number went back further than Messages are late: the exporter began anew.
    Restarted,
    /// The Message before held Sets that could not be counted, so nothing was expected.
    Unverified,
}

/// Totals over a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceCounters {
    /// Records missing by the numbers, less those that came late.
    pub lost_records: u64,
    /// Gaps met.
    pub gaps: u64,
    /// Messages whose number lay behind.
    pub late_messages: u64,
    /// Late Messages that filled no gap: seen before.
    pub duplicate_messages: u64,
    /// Times the exporter began anew.
    pub restarts: u64,
    /// Messages that could not be judged.
    pub unverified_messages: u64,
    /// What the numbers were found to count, where that is not what the protocol says.
    pub habit: Option<SequenceHabit>,
}

impl SequenceCounters {
    /// Those of two streams together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            lost_records: self.lost_records + other.lost_records,
            gaps: self.gaps + other.gaps,
            late_messages: self.late_messages + other.late_messages,
            duplicate_messages: self.duplicate_messages + other.duplicate_messages,
            restarts: self.restarts + other.restarts,
            unverified_messages: self.unverified_messages + other.unverified_messages,
            habit: self.habit.or(other.habit),
        }
    }
}

/// Follows the numbers of one stream.
#[derive(Clone, Debug, Default)]
pub struct SequenceTracker {
    expected: Option<u32>,
    uncertain: bool,
    /// Records missing that a late Message may still bring.
    open_gap: u64,
    /// The uptime in the last Message, and when the exporter then started, both in milliseconds modulo 2^32.
    uptime: Option<(u32, u32)>,
    counters: SequenceCounters,
}

impl SequenceTracker {
    /// Takes a Message with `sequence` in its header and `records` Data Records; `None` when they cannot be counted,
    /// for want of a template.
    ///
    /// `began_anew` says that something else told of a restart: see [`SequenceTracker::observe_uptime`].
    pub fn observe(&mut self, sequence: u32, records: Option<u32>, began_anew: bool) -> SequenceOutcome {
        let outcome = if began_anew && self.expected.is_some() {
            self.restarted()
        } else {
            self.judge(sequence, records.unwrap_or(0))
        };
        if !matches!(outcome, SequenceOutcome::Late) {
            self.expected = Some(sequence.wrapping_add(records.unwrap_or(0)));
            self.uncertain = records.is_none();
        }
        outcome
    }

    /// Takes the exporter's uptime in a Message that came at `now_ns`; says whether the exporter began anew since the
    /// last one: its uptime went back, by more than Messages are late, and not just because the number went round
    /// after 49.7 days.
    pub fn observe_uptime(&mut self, now_ns: i64, uptime_ms: u32) -> bool {
        // Modulo 2^32 on purpose: the uptime is, too.
        let started_ms = (now_ns.div_euclid(1_000_000) as u32).wrapping_sub(uptime_ms);
        let before = self.uptime.replace((uptime_ms, started_ms));
        before.is_some_and(|(uptime_before_ms, started_before_ms)| {
            let moved_ms = started_ms.wrapping_sub(started_before_ms).cast_signed();
            uptime_ms < uptime_before_ms && moved_ms.unsigned_abs() > UPTIME_TOLERANCE_MS
        })
    }

    /// The totals.
    #[must_use]
    pub fn counters(&self) -> SequenceCounters {
        self.counters
    }

    fn restarted(&mut self) -> SequenceOutcome {
        self.counters.restarts += 1;
        self.open_gap = 0;
        SequenceOutcome::Restarted
    }

    fn judge(&mut self, sequence: u32, records: u32) -> SequenceOutcome {
        let Some(expected) = self.expected else {
            return SequenceOutcome::First;
        };
        let ahead = sequence.wrapping_sub(expected);
        let behind = expected.wrapping_sub(sequence);
        if ahead == 0 {
            return SequenceOutcome::InOrder;
        }
        if self.uncertain {
            self.counters.unverified_messages += 1;
            return SequenceOutcome::Unverified;
        }
        if ahead < 1 << 31 {
            self.counters.gaps += 1;
            self.counters.lost_records += u64::from(ahead);
            self.open_gap += u64::from(ahead);
            return SequenceOutcome::Gap(ahead);
        }
        // Zero is where an exporter begins; a gap of that very size before it is the rarer case.
        if behind > REORDER_WINDOW || (sequence == 0 && self.open_gap == 0) {
            return self.restarted();
        }
        self.counters.late_messages += 1;
        let filled = u64::from(records).min(self.open_gap);
        if records > 0 && filled == 0 {
            self.counters.duplicate_messages += 1;
        }
        self.open_gap -= filled;
        self.counters.lost_records -= filled;
        SequenceOutcome::Late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(messages: &[(u32, u32)]) -> (Vec<SequenceOutcome>, SequenceCounters) {
        let mut tracker = SequenceTracker::default();
        let outcomes = messages
            .iter()
            .map(|(sequence, records)| tracker.observe(*sequence, Some(*records), false))
            .collect();
        (outcomes, tracker.counters())
    }

    #[test]
    fn a_gap_is_as_large_as_the_records_that_are_missing() {
        let (outcomes, counters) = follow(&[(100, 5), (105, 5), (117, 3), (120, 1)]);
        use SequenceOutcome::*;
        assert_eq!(outcomes, [First, InOrder, Gap(7), InOrder]);
        assert_eq!(
            counters,
            SequenceCounters {
                lost_records: 7,
                gaps: 1,
                ..Default::default()
            }
        );
    }

    #[test]
    fn a_late_message_fills_its_gap_and_a_double_one_does_not() {
        let (outcomes, counters) = follow(&[(0, 5), (10, 5), (5, 5), (5, 5), (15, 5)]);
        use SequenceOutcome::*;
        assert_eq!(outcomes, [First, Gap(5), Late, Late, InOrder]);
        let expected = SequenceCounters {
            gaps: 1,
            late_messages: 2,
            duplicate_messages: 1,
            ..Default::default()
        };
        assert_eq!(counters, expected);
    }

    #[test]
    fn numbers_go_round_at_the_top_without_a_gap() {
        let (outcomes, counters) = follow(&[(u32::MAX - 1, 4), (2, 1), (3, 1)]);
        use SequenceOutcome::*;
        assert_eq!(outcomes, [First, InOrder, InOrder]);
        assert_eq!(counters, SequenceCounters::default());
    }

    #[test]
    fn an_exporter_that_begins_anew_has_lost_nothing() {
        let (outcomes, counters) = follow(&[(5_000_000, 10), (0, 10), (10, 1), (0, 1), (1, 1)]);
        use SequenceOutcome::*;
        assert_eq!(outcomes, [First, Restarted, InOrder, Restarted, InOrder]);
        assert_eq!(
            counters,
            SequenceCounters {
                restarts: 2,
                ..Default::default()
            }
        );
    }

    #[test]
    fn an_uptime_that_goes_back_is_a_restart_and_one_that_goes_round_is_none() {
        let s = 1_000_000_000;
        let follow = |uptimes: &[(i64, u32)]| {
            let mut tracker = SequenceTracker::default();
            let restarts = uptimes
                .iter()
                .map(|(at_s, uptime_ms)| tracker.observe_uptime(at_s * s, *uptime_ms));
            restarts.collect::<Vec<_>>()
        };
        assert_eq!(
            follow(&[(100, 50_000), (110, 60_000), (120, 5_000)]),
            [false, false, true]
        );
        assert_eq!(
            follow(&[(100, u32::MAX - 4_999), (110, 5_000)]),
            [false, false],
            "it went round"
        );
        assert_eq!(
            follow(&[(100, 3_456_000_000), (110, 5_000)]),
            [false, true],
            "after 40 days"
        );
        assert_eq!(follow(&[(100, 50_000), (101, 40_000)]), [false, false], "late");
        assert_eq!(
            follow(&[(100, 7), (200, 7), (300, 7)]),
            [false; 3],
            "an exporter that has no uptime"
        );
        let mut tracker = SequenceTracker::default();
        tracker.observe(900, Some(1), false);
        assert_eq!(
            tracker.observe(5_000, Some(1), true),
            SequenceOutcome::Restarted,
            "not a gap"
        );
        assert_eq!((tracker.counters().lost_records, tracker.counters().restarts), (0, 1));
    }

    #[test]
    fn behind_a_message_that_could_not_be_counted_nothing_is_called_lost() {
        let mut tracker = SequenceTracker::default();
        tracker.observe(0, None, false);
        assert_eq!(tracker.observe(21, Some(1), false), SequenceOutcome::Unverified);
        assert_eq!(tracker.observe(22, Some(1), false), SequenceOutcome::InOrder);
        assert_eq!(
            tracker.counters(),
            SequenceCounters {
                unverified_messages: 1,
                ..Default::default()
            }
        );
    }
}
