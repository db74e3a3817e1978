//! Exporters whose sequence numbers count something else than their protocol says: recognised by numbers that are right
//! under another reading and wrong under the rule, so that nothing is called lost that was not.

use super::sequence::{SequenceCounters, SequenceOutcome, SequenceTracker};
use crate::header::{SequenceUnit, Version};
use crate::limits::HABIT_MESSAGES;

/// What an exporter's sequence numbers count instead of what its protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SequenceHabit {
    /// The flow records of the Message itself, too, and options records never: softflowd's IPFIX.
    IncludesItself,
    /// Flow records, and options records not.
    WithoutOptions,
    /// Messages instead of records.
    Messages,
    /// Records of flows and options instead of Messages.
    Records,
}

impl SequenceHabit {
    /// Habits that one version may have, at most.
    const MAX: usize = 3;

    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IncludesItself => "includes_itself",
            Self::WithoutOptions => "without_options",
            Self::Messages => "messages",
            Self::Records => "records",
        }
    }

    const fn all(version: Version) -> &'static [SequenceHabit] {
        match version {
            Version::Ipfix => &[Self::WithoutOptions, Self::IncludesItself, Self::Messages],
            Version::Netflow9 => &[Self::WithoutOptions, Self::IncludesItself, Self::Records],
            Version::Netflow7 | Version::Netflow5 => &[Self::IncludesItself, Self::Messages],
        }
    }

    /// The number that the Message would have under a rule that counts what went before, and how much it adds.
    fn read(self, sequence: u32, counted: Option<Counted>) -> (u32, Option<u32>) {
        let flows = counted.map(|counted| counted.flows);
        match self {
            Self::IncludesItself => (sequence.wrapping_sub(flows.unwrap_or(0)), flows),
            Self::WithoutOptions => (sequence, flows),
            Self::Messages => (sequence, Some(1)),
            Self::Records => (sequence, counted.map(Counted::records)),
        }
    }
}

/// Data Records of a Message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Of flows.
    pub flows: u32,
    /// Of options.
    pub options: u32,
}

impl Counted {
    /// Of both.
    #[must_use]
    pub const fn records(self) -> u32 {
        self.flows.wrapping_add(self.options)
    }
}

/// One reading of the numbers: the protocol's own, or a habit.
#[derive(Clone, Debug)]
struct Reading {
    habit: Option<SequenceHabit>,
    tracker: SequenceTracker,
    /// Messages that were right under this reading and wrong under the one believed, since it last was wrong itself.
    proven: u32,
}

/// The sequence numbers of one Observation Domain of a session, followed under every reading.
#[derive(Clone, Debug)]
pub(super) struct MessageSequence {
    version: Version,
    readings: Vec<Reading>,
    believed: usize,
}

impl MessageSequence {
    pub fn new(version: Version) -> Self {
        let habits = SequenceHabit::all(version).iter().copied().map(Some);
        let reading = |habit| Reading {
            habit,
            tracker: SequenceTracker::default(),
            proven: 0,
        };
        Self {
            version,
            readings: std::iter::once(None).chain(habits).map(reading).collect(),
            believed: 0,
        }
    }

    /// Takes a Message; `counted` is `None` where records could not be counted, for want of a template.
    pub fn observe(
        &mut self,
        now_ns: i64,
        sequence: u32,
        counted: Option<Counted>,
        uptime_ms: Option<u32>,
    ) -> SequenceOutcome {
        let rule = self.readings.first_mut();
        let began_anew = rule
            .zip(uptime_ms)
            .is_some_and(|(rule, uptime_ms)| rule.tracker.observe_uptime(now_ns, uptime_ms));
        let mut right = [false; 1 + SequenceHabit::MAX];
        let mut outcome = SequenceOutcome::First;
        for (at, (reading, right)) in self.readings.iter_mut().zip(&mut right).enumerate() {
            let (sequence, adds) = match (reading.habit, self.version.sequence_counts()) {
                (Some(habit), _) => habit.read(sequence, counted),
                (None, SequenceUnit::Records) => (sequence, counted.map(Counted::records)),
                (None, SequenceUnit::Messages) => (sequence, Some(1)),
            };
            let seen = reading.tracker.observe(sequence, adds, began_anew);
            *right = seen == SequenceOutcome::InOrder;
            if at == self.believed {
                outcome = seen;
            }
        }
        let believed_right = right.get(self.believed).copied().unwrap_or(false);
        for (reading, right) in self.readings.iter_mut().zip(right) {
            match (right, believed_right) {
                (true, false) => reading.proven += 1,
                (true, true) => {}
                (false, _) => reading.proven = 0,
            }
        }
        if let Some(proven) = self
            .readings
            .iter()
            .position(|reading| reading.proven >= HABIT_MESSAGES)
        {
            self.believed = proven;
            self.readings.iter_mut().for_each(|reading| reading.proven = 0);
        }
        outcome
    }

    /// The totals, under the reading that is believed.
    pub fn counters(&self) -> SequenceCounters {
        let believed = self.readings.get(self.believed);
        believed.map_or_else(SequenceCounters::default, |reading| SequenceCounters {
            habit: reading.habit,
            ..reading.tracker.counters()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(version: Version, messages: &[(u32, u32, u32)]) -> SequenceCounters {
        let mut sequence = MessageSequence::new(version);
        for (number, flows, options) in messages {
            let counted = Counted {
                flows: *flows,
                options: *options,
            };
            sequence.observe(0, *number, Some(counted), None);
        }
        sequence.counters()
    }

    /// What softflowd 1.0 sends: 21 flows and an options record under number 21, then 28 under 49, ... 15 under 119.
    #[test]
    fn numbers_that_include_their_own_message_are_no_loss() {
        let softflowd = [(21, 21, 1), (49, 28, 0), (77, 28, 0), (104, 27, 0), (119, 15, 0)];
        let counters = follow(Version::Ipfix, &softflowd);
        assert_eq!(counters.habit, Some(SequenceHabit::IncludesItself));
        assert_eq!(
            (counters.lost_records, counters.gaps, counters.late_messages),
            (0, 0, 0)
        );
        // What is really lost is still seen: 20 flows before the last Message.
        let counters = follow(Version::Ipfix, &[&softflowd[..], &[(149, 10, 0)]].concat());
        assert_eq!((counters.lost_records, counters.gaps), (20, 1));
    }

    #[test]
    fn other_habits_are_told_apart() {
        let options_uncounted = [(0, 5, 1), (5, 5, 2), (10, 5, 1), (15, 5, 1), (20, 5, 0)];
        let counters = follow(Version::Ipfix, &options_uncounted);
        assert_eq!(
            (counters.habit, counters.lost_records),
            (Some(SequenceHabit::WithoutOptions), 0)
        );
        let messages = [(7, 5, 0), (8, 6, 0), (9, 7, 0), (10, 5, 0), (11, 5, 0)];
        let counters = follow(Version::Ipfix, &messages);
        assert_eq!(
            (counters.habit, counters.lost_records),
            (Some(SequenceHabit::Messages), 0)
        );
        let records = [(7, 5, 0), (12, 6, 0), (18, 7, 0), (25, 5, 0), (30, 5, 0)];
        let counters = follow(Version::Netflow9, &records);
        assert_eq!(counters.lost_records, 0);
        assert!(counters.habit.is_some());
    }

    /// Loss, late and double Messages of an exporter that counts as it should prove nothing.
    #[test]
    fn an_exporter_that_counts_right_is_believed() {
        let mut messages = Vec::new();
        let mut sequence = 0;
        for n in 0u32..200 {
            let flows = 1 + n * 7 % 29;
            let options = u32::from(n % 20 == 0);
            if n % 3 != 0 {
                messages.push((sequence, flows, options));
            }
            sequence += flows + options;
        }
        let counters = follow(Version::Ipfix, &messages);
        assert_eq!(counters.habit, None);
        assert!(counters.gaps > 50);
    }
}
