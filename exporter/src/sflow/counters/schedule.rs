//! When to poll what: every source once an interval, the moments of all spread over it, beginning at random, so that
//! neither the sources of an agent nor those of several agents are polled together (section 3.2 of the specification).

use std::time::{Duration, Instant};

/// A source of counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// The host.
    Host,
    /// An interface, by its name.
    Interface(String),
}

#[derive(Debug)]
struct Entry {
    what: Polled,
    due: Instant,
    /// The interface's number when it was polled last.
    index: u32,
    sequence: u32,
}

/// What is polled, and when.
#[derive(Debug)]
pub struct Schedule {
    interval: Duration,
    entries: Vec<Entry>,
    /// Where in the interval the next new source is polled, as a part of 2^32.
    phase: u32,
}

impl Schedule {
    /// Nothing yet; the seed says where in the interval the first one is.
    pub fn new(interval: Duration, seed: u64) -> Schedule {
        Schedule {
            interval,
            entries: Vec::new(),
            phase: seed as u32,
        }
    }

    /// What there is now: others are forgotten, new ones join.
    pub fn update(&mut self, now: Instant, sources: impl IntoIterator<Item = Polled>) {
        let sources: Vec<Polled> = sources.into_iter().collect();
        self.entries.retain(|entry| sources.contains(&entry.what));
        for what in sources {
            if self.entries.iter().any(|entry| entry.what == what) {
                continue;
            }
            // Steps of the golden section fall far from all before, however many follow.
            self.phase = self.phase.wrapping_add(0x9e37_79b9);
            let part = f64::from(self.phase) / f64::from(u32::MAX);
            self.entries.push(Entry {
                what,
                due: now + self.interval.mul_f64(part),
                index: 0,
                sequence: 0,
            });
        }
    }

    /// How long until one is due.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        let due = self.entries.iter().map(|entry| entry.due).min()?;
        Some(due.saturating_duration_since(now))
    }

    /// One that is due.
    pub fn poll(&mut self, now: Instant) -> Option<Polled> {
        let interval = self.interval;
        let entry = self.entries.iter_mut().find(|entry| entry.due <= now)?;
        entry.due += interval;
        if entry.due <= now {
            // Somebody stopped the clock, or us.
            entry.due = now + interval;
        }
        Some(entry.what.clone())
    }

    /// The number of the next sample of a source: another interface of the same name begins anew.
    pub fn sequence(&mut self, what: &Polled, index: u32) -> u32 {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.what == *what) else {
            return 1;
        };
        if entry.index != index {
            (entry.index, entry.sequence) = (index, 0);
        }
        entry.sequence = entry.sequence.wrapping_add(1);
        entry.sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(number: usize) -> Polled {
        Polled::Interface(format!("eth{number}"))
    }

    #[test]
    fn all_are_polled_once_an_interval_and_apart() {
        const INTERVAL: Duration = Duration::from_secs(30);
        let start = Instant::now();
        let mut schedule = Schedule::new(INTERVAL, 0xdead_beef_1234_5678);
        schedule.update(start, (0..9).map(interface).chain([Polled::Host]));
        let mut moments = Vec::new();
        for millisecond in 0..60_000 {
            let now = start + Duration::from_millis(millisecond);
            while let Some(polled) = schedule.poll(now) {
                moments.push((millisecond, polled));
            }
        }
        assert_eq!(moments.len(), 20);
        for (first, second) in moments.iter().zip(&moments[10..]) {
            assert_eq!((first.0 + 30_000, &first.1), (second.0, &second.1));
        }
        let nearest = moments.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap();
        assert!(nearest > 1000, "{moments:?}");
    }

    #[test]
    fn what_goes_is_forgotten_and_what_comes_joins() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(10), 1);
        schedule.update(start, [interface(0), interface(1)]);
        assert_eq!(schedule.sequence(&interface(0), 5), 1);
        assert_eq!(schedule.sequence(&interface(0), 5), 2);
        schedule.update(start, [interface(0), interface(2)]);
        assert_eq!(schedule.sequence(&interface(0), 5), 3);
        assert_eq!(schedule.sequence(&interface(0), 6), 1, "made anew");
        let later = start + Duration::from_secs(100);
        let polled: Vec<_> = std::iter::from_fn(|| schedule.poll(later)).collect();
        assert_eq!(polled, [interface(0), interface(2)]);
        assert_eq!(schedule.wait(later), Some(Duration::from_secs(10)));
    }
}
