//! Time as datagrams tell it: since the host was started, or since the first packet of the files.

use std::time::{Duration, Instant};

use super::system::System;

/// The clock of an agent.
#[derive(Debug)]
pub enum Clock {
    /// Of the system.
    System {
        /// A moment.
        at: Instant,
        /// How long the host had been up then.
        up: Duration,
    },
    /// Of the packets.
    Packets {
        /// The first one, ns since 1970 UTC; none before it.
        first_ns: Option<i64>,
        /// The newest one.
        newest_ns: i64,
    },
}

/// A moment of a clock, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Clock {
    /// Of the system when packets are live.
    pub fn new(system: &System, is_live: bool) -> Clock {
        if !is_live {
            return Clock::Packets {
                first_ns: None,
                newest_ns: 0,
            };
        }
        let text = system.text("proc/uptime").unwrap_or_default();
        let seconds = text.split(' ').next().and_then(|text| text.parse::<f64>().ok());
        let up = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Clock::System {
            at: Instant::now(),
            up: up.unwrap_or_default(),
        }
    }

    /// A packet of this time is handled now. Files in the wrong order do not turn the clock back.
    pub fn see(&mut self, time_ns: i64) {
        if let Clock::Packets { first_ns, newest_ns } = self {
            let first_ns = *first_ns.get_or_insert(time_ns);
            *newest_ns = time_ns.max(*newest_ns).max(first_ns);
        }
    }

    /// Now.
    pub fn moment(&self) -> Moment {
        match self {
            Clock::System { at, up } => Moment((*up + at.elapsed()).as_millis() as u64),
            Clock::Packets { first_ns, newest_ns } => {
                let passed_ns = newest_ns.saturating_sub(first_ns.unwrap_or(*newest_ns));
                Moment(passed_ns.max(0).unsigned_abs() / 1_000_000)
            }
        }
    }

    /// Milliseconds for a datagram; they wrap after 49 days, as all agents' do.
    pub fn uptime_ms(&self) -> u32 {
        self.moment().0 as u32
    }

    /// Whether so much time has passed since a moment.
    pub fn has_passed(&self, since: Moment, time: Duration) -> bool {
        u128::from(self.moment().0.saturating_sub(since.0)) >= time.as_millis()
    }

    /// Whether so much time will have passed once a packet of this time is handled.
    pub fn is_over(&self, time_ns: i64, since: Moment, time: Duration) -> bool {
        match self {
            Clock::System { .. } => self.has_passed(since, time),
            Clock::Packets { first_ns, .. } => {
                let passed_ns = time_ns
                    .saturating_sub(first_ns.unwrap_or(time_ns))
                    .max(0)
                    .unsigned_abs();
                u128::from((passed_ns / 1_000_000).saturating_sub(since.0)) >= time.as_millis()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    #[test]
    fn files_have_the_time_of_their_packets() {
        let mut clock = Clock::new(&System::default(), false);
        assert_eq!(clock.uptime_ms(), 0);
        clock.see(1_700_000_000 * SECOND_NS);
        let first = clock.moment();
        assert_eq!(clock.uptime_ms(), 0);
        clock.see(1_700_000_002 * SECOND_NS + 5_999_999);
        assert_eq!(clock.uptime_ms(), 2005);
        clock.see(1_600_000_000 * SECOND_NS);
        assert_eq!(clock.uptime_ms(), 2005, "not back");
        assert!(clock.has_passed(first, Duration::from_secs(2)) && !clock.has_passed(first, Duration::from_secs(3)));
        let next = 1_700_000_003 * SECOND_NS;
        assert!(
            clock.is_over(next, first, Duration::from_secs(3)) && !clock.is_over(next, first, Duration::from_secs(4))
        );
        clock.see((1_700_000_000 + 50 * 86_400) * SECOND_NS);
        assert_eq!(clock.uptime_ms(), (50u64 * 86_400_000) as u32, "wraps");
    }

    #[test]
    fn live_it_is_the_systems() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("proc")).unwrap();
        std::fs::write(directory.path().join("proc/uptime"), "12.34 5.00\n").unwrap();
        let clock = Clock::new(&System::at(directory.path()), true);
        assert!((12_340..13_340).contains(&clock.uptime_ms()));
    }
}
