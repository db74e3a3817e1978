//! By how much counters grew since the sample before: what a rate is made of, with wraps and resets told apart.
//!
//! Every sample says totals since some start that nobody knows. The difference to the sample before is worked out once,
//! here, where the agent's uptime and the number of the sample tell a restart, a wrap and a late sample apart. It never
//! says more than what happened: after a reset it is what was counted since.

use std::net::IpAddr;

use flowgauge_templates::sflow::CounterKind;
use foldhash::{HashMap, HashMapExt as _};

use crate::limits::{COUNTER_SOURCES, COUNTER_SOURCES_PER_EXPORTER};

const NS_PER_MS: i64 = 1_000_000;
const NS_PER_S: i64 = 1_000_000_000;
/// A source that is silent for longer is forgotten: a 32-bit counter may have gone round more than once.
const SILENCE_NS: i64 = 2 * 3_600 * NS_PER_S;
/// How far the agent's clock and ours may be apart between two samples.
const CLOCK_TOLERANCE_NS: i64 = 60 * NS_PER_S;
/// A sample up to so many numbers behind, within so long a time, is late or came twice.
const LATE_SAMPLES: u32 = 16;
const LATE_NS: i64 = 5 * NS_PER_S;
/// A 32-bit counter that was above half went round when it grew by less than half.
const HALF: u64 = 1 << 31;

/// Whose counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub exporter: IpAddr,
    pub sub_agent: u32,
    pub class: u32,
    pub index: u32,
    /// Tells several of one source apart: a queue, an optical module.
    pub key: u64,
}

/// When a sample was taken, as far as can be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub now_ns: i64,
    pub uptime_ms: u32,
    pub sequence: u32,
}

#[derive(Debug)]
struct Seen {
    taken: Taken,
    values: Vec<(&'static str, u64)>,
}

/// What counters were when they were last seen, of every source.
#[derive(Debug, Default)]
pub(crate) struct CounterSources {
    sources: Option<HashMap<Source, Seen>>,
    of_exporter: Option<HashMap<IpAddr, usize>>,
    /// Samples whose growth is not known because there are too many sources.
    pub overflowed: u64,
    /// Counters that began anew.
    pub resets: u64,
}

/// A sample's counters beside those of the sample before.
pub(crate) struct Growing<'s> {
    before: Option<&'s mut Seen>,
    resets: &'s mut u64,
    /// When the sample before was taken, where its counters are worth comparing.
    pub since_ns: Option<i64>,
    taken: Taken,
    agent_restarted: bool,
    at: usize,
}

impl CounterSources {
    /// Begins a sample of a source.
    pub fn begin(&mut self, source: Source, taken: Taken) -> Growing<'_> {
        let sources = self.sources.get_or_insert_with(HashMap::new);
        let known = sources.contains_key(&source);
        if !known {
            let of_exporter = self.of_exporter.get_or_insert_with(HashMap::new);
            let held = of_exporter.get(&source.exporter).copied().unwrap_or(0);
            if sources.len() >= COUNTER_SOURCES || held >= COUNTER_SOURCES_PER_EXPORTER {
                self.overflowed += 1;
                return Growing::unknown(&mut self.resets, taken);
            }
            of_exporter.insert(source.exporter, held + 1);
        }
        let seen = sources.entry(source).or_insert_with(|| Seen {
            taken,
            values: Vec::new(),
        });
        if !known {
            return Growing {
                before: Some(seen),
                ..Growing::unknown(&mut self.resets, taken)
            };
        }
        let elapsed_ns = taken.now_ns.saturating_sub(seen.taken.now_ns);
        let uptime_ns = i64::from(taken.uptime_ms.wrapping_sub(seen.taken.uptime_ms)).saturating_mul(NS_PER_MS);
        let agent_restarted =
            taken.uptime_ms < seen.taken.uptime_ms && (uptime_ns - elapsed_ns).abs() > CLOCK_TOLERANCE_NS;
        let behind = seen.taken.sequence.wrapping_sub(taken.sequence);
        if behind < LATE_SAMPLES && elapsed_ns < LATE_NS && !agent_restarted {
            return Growing::unknown(&mut self.resets, taken);
        }
        if elapsed_ns > SILENCE_NS {
            seen.values.clear();
        }
        let since_ns = (elapsed_ns <= SILENCE_NS).then_some(seen.taken.now_ns);
        seen.taken = taken;
        Growing {
            before: Some(seen),
            since_ns,
            agent_restarted,
            ..Growing::unknown(&mut self.resets, taken)
        }
    }

    /// Forgets sources that are silent.
    pub fn handle_timeout(&mut self, now_ns: i64) {
        let (Some(sources), Some(of_exporter)) = (&mut self.sources, &mut self.of_exporter) else {
            return;
        };
        sources.retain(|source, seen| {
            let keep = now_ns.saturating_sub(seen.taken.now_ns) <= SILENCE_NS;
            if !keep && let Some(held) = of_exporter.get_mut(&source.exporter) {
                *held = held.saturating_sub(1);
            }
            keep
        });
        of_exporter.retain(|_, held| *held > 0);
    }
}

impl<'s> Growing<'s> {
    fn unknown(resets: &'s mut u64, taken: Taken) -> Growing<'s> {
        Growing {
            before: None,
            resets,
            since_ns: None,
            taken,
            agent_restarted: false,
            at: 0,
        }
    }

    /// By how much a counter grew; `None` when nothing is known of before.
    pub fn growth(&mut self, name: &'static str, kind: CounterKind, now: u64) -> Option<u64> {
        let seen = self.before.as_mut()?;
        // Samples of a source have the same counters in the same order, nearly always.
        let at = match seen.values.get(self.at) {
            Some((held, _)) if *held == name => Some(self.at),
            _ => seen.values.iter().position(|(held, _)| *held == name),
        };
        let Some((at, slot)) = at.and_then(|at| Some((at, seen.values.get_mut(at)?))) else {
            seen.values.push((name, now));
            return None;
        };
        self.at = at + 1;
        let before = std::mem::replace(&mut slot.1, now);
        if let Some(grown) = now.checked_sub(before) {
            return Some(grown);
        }
        let round = (now + (1 << 32)).wrapping_sub(before);
        if kind == CounterKind::Counter32 && !self.agent_restarted && before >= HALF && round < HALF {
            return Some(round);
        }
        *self.resets += 1;
        Some(now)
    }

    /// When the growth began and how long it took, nanoseconds.
    pub fn span(&self) -> (i64, i64) {
        let since = self.since_ns.unwrap_or(self.taken.now_ns).min(self.taken.now_ns);
        (since, self.taken.now_ns - since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_767_225_622_000_000_000;

    fn source(exporter: u8) -> Source {
        Source {
            exporter: IpAddr::from([192, 0, 2, exporter]),
            sub_agent: 0,
            class: 0,
            index: 3,
            key: 0,
        }
    }

    fn taken(seconds: i64, uptime_ms: u32, sequence: u32) -> Taken {
        Taken {
            now_ns: START + seconds * NS_PER_S,
            uptime_ms,
            sequence,
        }
    }

    /// What each sample of one counter grew by.
    fn growths(kind: CounterKind, samples: &[(i64, u32, u32, u64)]) -> (Vec<Option<u64>>, u64) {
        let mut sources = CounterSources::default();
        let growths = samples.iter().map(|(seconds, uptime_ms, sequence, value)| {
            let mut growing = sources.begin(source(1), taken(*seconds, *uptime_ms, *sequence));
            growing.growth("n", kind, *value)
        });
        let growths = growths.collect();
        (growths, sources.resets)
    }

    #[test]
    fn growth_wraps_and_resets() {
        use CounterKind::{Counter32, Counter64};
        let near = (1u64 << 32) - 100;
        // Grows, goes round, then is cleared by hand.
        let samples = [
            (0, 0, 1, near),
            (20, 20_000, 2, near + 50),
            (40, 40_000, 3, 150),
            (60, 60_000, 4, 20),
        ];
        assert_eq!(
            growths(Counter32, &samples),
            (vec![None, Some(50), Some(200), Some(20)], 1)
        );
        // 64 bits do not go round: the same is a reset twice.
        assert_eq!(
            growths(Counter64, &samples),
            (vec![None, Some(50), Some(150), Some(20)], 2)
        );
        // With the agent's start in between it is no wrap either.
        let restarted = [(0, 900_000, 7, near), (20, 1_000, 1, 150)];
        assert_eq!(growths(Counter32, &restarted), (vec![None, Some(150)], 1));
        // The agent began anew, what it reads went on.
        let went_on = [(0, 900_000, 7, 1000), (20, 1_000, 1, 1500)];
        assert_eq!(growths(Counter64, &went_on), (vec![None, Some(500)], 0));
        // The uptime goes round after 49.7 days, which is no restart.
        let round = [(0, u32::MAX - 9_999, 7, near), (20, 10_000, 8, 100)];
        assert_eq!(growths(Counter32, &round), (vec![None, Some(200)], 0));
    }

    #[test]
    fn late_samples_and_those_that_came_twice_grow_nothing() {
        let samples = [
            (0, 0, 5, 100),
            (20, 20_000, 7, 300),
            (20, 20_000, 7, 300),
            (21, 20_000, 6, 200),
            (40, 40_000, 8, 450),
        ];
        assert_eq!(
            growths(CounterKind::Counter64, &samples).0,
            [None, Some(200), None, None, Some(150)]
        );
        // Agents that number nothing are believed all the same.
        let unnumbered = [(0, 0, 0, 1), (20, 20_000, 0, 3)];
        assert_eq!(growths(CounterKind::Counter64, &unnumbered).0, [None, Some(2)]);
    }

    #[test]
    fn silence_ends_what_is_known_and_sources_are_bounded() {
        let after = SILENCE_NS / NS_PER_S + 1;
        let silent = [(0, 0, 1, 5), (after, 1, 2, 9)];
        assert_eq!(growths(CounterKind::Counter64, &silent).0, [None, None]);
        let mut sources = CounterSources::default();
        let of = |sources: &mut CounterSources, exporter: u8, count: u32| {
            for index in 0..count {
                let one = Source {
                    index,
                    ..source(exporter)
                };
                sources
                    .begin(one, taken(0, 0, 1))
                    .growth("n", CounterKind::Counter64, 1);
            }
        };
        let most = COUNTER_SOURCES_PER_EXPORTER as u32;
        of(&mut sources, 1, most + 5);
        assert_eq!(sources.overflowed, 5);
        let exporters = (COUNTER_SOURCES / COUNTER_SOURCES_PER_EXPORTER) as u8;
        for exporter in 2..=exporters + 1 {
            of(&mut sources, exporter, most);
        }
        assert_eq!(sources.sources.as_ref().map(HashMap::len), Some(COUNTER_SOURCES));
        sources.handle_timeout(START + SILENCE_NS + 1);
        assert_eq!(sources.sources.as_ref().map(HashMap::len), Some(0));
        assert_eq!(sources.of_exporter.as_ref().map(HashMap::len), Some(0));
    }
}
