//! What may not have arrived: UDP confirms nothing, but a collector that answers a hello has read what was sent before it.
//!
//! Datagrams that the network lost are not found so, only a collector that is gone: as over UDP, gaps of the sequence
//! numbers tell the collector of the others.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Where nothing is ever answered, what was sent longer ago than this would have come back, if it did.
const RECENTLY: Duration = Duration::from_secs(1);
/// How finely that is told.
const SLOT: Duration = Duration::from_millis(100);

/// How much was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    messages: u64,
    records: u64,
}

/// A hello under way.
#[derive(Clone, Copy, Debug)]
struct Check {
    number: u64,
    at: Instant,
    /// What was sent before it.
    before: Sent,
}

/// Messages and Flow Records of one session.
#[derive(Debug)]
pub(super) struct Doubt {
    sent: Sent,
    confirmed: Sent,
    checks: VecDeque<Check>,
    next: u64,
    /// Since when nothing that was asked has been answered.
    unanswered: Option<Instant>,
    has_answered: bool,
    last: Instant,
    /// What had been sent at some moments of late.
    recent: VecDeque<(Instant, Sent)>,
}

impl Doubt {
    /// Checks under way; the oldest is forgotten, as if it were lost.
    const MAX_CHECKS: usize = 64;
    /// The numbers of checks begin far above those of any handshake's records.
    const FIRST_NUMBER: u64 = 1 << 20;

    pub fn new(now: Instant) -> Self {
        Self {
            sent: Sent::default(),
            confirmed: Sent::default(),
            checks: VecDeque::new(),
            next: Self::FIRST_NUMBER,
            unanswered: None,
            has_answered: false,
            last: now,
            recent: VecDeque::new(),
        }
    }

    /// A Message was handed over.
    pub fn handle_sent(&mut self, now: Instant, records: u32) {
        self.sent.messages += 1;
        self.sent.records += u64::from(records);
        match self.recent.back_mut() {
            Some((at, sent)) if now.saturating_duration_since(*at) < SLOT => *sent = self.sent,
            _ => self.recent.push_back((now, self.sent)),
        }
        while let [_, (second, _), ..] = self.recent.make_contiguous()
            && now.saturating_duration_since(*second) >= RECENTLY
        {
            self.recent.pop_front();
        }
    }

    /// The number of a hello that is sent now.
    pub fn begin_check(&mut self, now: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.checks.len() >= Self::MAX_CHECKS {
            self.checks.pop_front();
        }
        self.checks.push_back(Check {
            number,
            at: now,
            before: self.sent,
        });
        self.unanswered.get_or_insert(now);
        self.last = now;
        number
    }

    /// A hello was answered: by its number, or else the oldest one.
    pub fn handle_answer(&mut self, number: u64) {
        let place = self.checks.iter().position(|check| check.number == number).unwrap_or(0);
        let Some(check) = self.checks.get(place).copied() else {
            return;
        };
        // What was asked before is answered with it.
        self.checks.drain(..=place);
        self.confirmed = check.before;
        self.has_answered = true;
        self.unanswered = self.checks.front().map(|check| check.at);
    }

    /// Whether hellos are answered at all.
    pub fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// How long the oldest hello under way has gone without an answer.
    pub fn unanswered_for(&self, now: Instant) -> Duration {
        self.unanswered
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// How long ago the last hello was sent.
    pub fn since_check(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last)
    }

    /// Messages that were sent behind the last hello.
    pub fn unchecked(&self) -> u64 {
        let checked = self.checks.back().map_or(self.confirmed, |check| check.before);
        self.sent.messages - checked.messages
    }

    /// Messages of which nobody knows.
    pub fn messages(&self) -> u64 {
        self.sent.messages - self.confirmed.messages
    }

    fn settled(&self, now: Instant) -> Sent {
        if self.has_answered {
            return self.confirmed;
        }
        let old = self.recent.iter().rev();
        let mut old = old.filter(|(at, _)| now.saturating_duration_since(*at) >= RECENTLY);
        old.next().map_or(Sent::default(), |(_, sent)| *sent)
    }

    /// Messages, counted from the first, that are not in doubt.
    pub fn arrived(&self, now: Instant) -> u64 {
        self.settled(now).messages
    }

    /// Flow Records that are.
    pub fn records(&self, now: Instant) -> u64 {
        self.sent.records - self.settled(now).records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_settles_what_was_sent_before_its_hello() {
        let begun = Instant::now();
        let mut doubt = Doubt::new(begun);
        doubt.handle_sent(begun, 10);
        let first = doubt.begin_check(begun);
        doubt.handle_sent(begun, 5);
        let second = doubt.begin_check(begun + RECENTLY);
        doubt.handle_sent(begun + RECENTLY, 1);
        assert_eq!((doubt.messages(), doubt.unchecked()), (3, 1));
        assert_eq!(doubt.unanswered_for(begun + RECENTLY * 3), RECENTLY * 3);
        doubt.handle_answer(first);
        assert_eq!((doubt.records(begun), doubt.arrived(begun)), (6, 1));
        assert_eq!(
            doubt.unanswered_for(begun + RECENTLY * 3),
            RECENTLY * 2,
            "since the second"
        );
        doubt.handle_answer(second);
        assert_eq!((doubt.records(begun), doubt.messages(), doubt.unchecked()), (1, 1, 1));
        assert_eq!(doubt.unanswered_for(begun + RECENTLY * 3), Duration::ZERO);
        doubt.handle_answer(second);
        assert_eq!(doubt.records(begun), 1, "said twice");
        // A later answer is one to all before; an unknown number is one to the oldest.
        let numbers: Vec<u64> = (0..4).map(|_| doubt.begin_check(begun)).collect();
        doubt.handle_answer(numbers[2]);
        assert_eq!((doubt.records(begun), doubt.checks.len()), (0, 1));
        doubt.handle_answer(0);
        assert_eq!(doubt.checks.len(), 0);
    }

    #[test]
    fn where_nothing_is_answered_only_what_is_recent_is_in_doubt() {
        let begun = Instant::now();
        let mut doubt = Doubt::new(begun);
        for tenth in 0..50u32 {
            doubt.handle_sent(begun + SLOT * tenth, 1);
            doubt.begin_check(begun);
        }
        assert!(!doubt.has_answered());
        assert!(doubt.recent.len() <= 12, "{}", doubt.recent.len());
        assert_eq!(doubt.checks.len(), 50);
        let now = begun + SLOT * 49;
        assert_eq!((doubt.records(now), doubt.arrived(now)), (10, 40));
        assert_eq!(doubt.records(now + RECENTLY * 2), 0);
        for _ in 0..2 * Doubt::MAX_CHECKS {
            doubt.begin_check(begun);
        }
        assert_eq!(doubt.checks.len(), Doubt::MAX_CHECKS);
    }
}
