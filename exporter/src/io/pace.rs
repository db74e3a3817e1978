//! Pacing over UDP: a file is read faster than a collector's receive buffer empties, and nobody says so when it overruns.
//!
//! A token bucket without a clock. Its burst is one system call's worth of datagrams, so that sleeping costs little CPU.

use std::time::Duration;

/// Records may leave at this rate, with bursts up to the size of one call.
#[derive(Debug)]
pub struct Pace {
    ns_per_record: f64,
    /// When the line is free again if everything sent so far had left at the rate.
    free_ns: i64,
}

impl Pace {
    /// `records_per_s` of `None` or 0 means no limit.
    pub fn new(records_per_s: Option<u64>) -> Option<Self> {
        match records_per_s {
            None | Some(0) => None,
            Some(rate) => Some(Self {
                ns_per_record: 1e9 / rate as f64,
                free_ns: i64::MIN,
            }),
        }
    }

    /// `records` leave at `now_ns`: how long to sleep before the next may.
    pub fn handle_sent(&mut self, now_ns: i64, records: u64) -> Duration {
        let cost_ns = (self.ns_per_record * records as f64) as i64;
        self.free_ns = self.free_ns.max(now_ns).saturating_add(cost_ns);
        Duration::from_nanos(self.free_ns.saturating_sub(now_ns).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_over_any_stretch() {
        let mut pace = Pace::new(Some(50_000)).unwrap();
        let mut now = 1_000;
        let mut records = 0;
        while now < 1_000_001_000 {
            now += pace.handle_sent(now, 320).as_nanos() as i64;
            records += 320;
        }
        assert!((49_900..=50_400).contains(&records), "{records}");
    }

    #[test]
    fn time_not_used_is_not_saved_up() {
        let mut pace = Pace::new(Some(1000)).unwrap();
        pace.handle_sent(0, 1);
        let late = 60_000_000_000;
        assert_eq!(pace.handle_sent(late, 100), Duration::from_millis(100));
        assert_eq!(pace.handle_sent(late, 100), Duration::from_millis(200));
    }

    #[test]
    fn no_rate_means_no_pace() {
        assert!(Pace::new(None).is_none());
        assert!(Pace::new(Some(0)).is_none());
    }
}
