//! When to try again what failed: exponential back-off with jitter, without a clock, so that outages are told in virtual time.

use std::time::Duration;

const NS_PER_MS: u64 = 1_000_000;
/// The first delay after a success.
const FIRST_DELAY_NS: u64 = 250 * NS_PER_MS;
/// Delays grow to this and no further.
const MAX_DELAY_NS: u64 = 30_000 * NS_PER_MS;
/// A connection that held this long starts the back-off anew; a peer that accepts and closes at once does not.
const STABLE_NS: i64 = 10_000 * NS_PER_MS as i64;

/// The back-off of one destination.
#[derive(Debug)]
pub struct Retry {
    delay_ns: u64,
    not_before_ns: i64,
    connected_ns: Option<i64>,
    random: u64,
    failures: u64,
}

impl Retry {
    /// Due at once; `seed` sets the jitter apart from that of other exporters.
    pub fn new(seed: u64) -> Self {
        Self {
            delay_ns: FIRST_DELAY_NS,
            not_before_ns: i64::MIN,
            connected_ns: None,
            random: seed | 1,
            failures: 0,
        }
    }

    /// Whether a try is due at `now_ns`.
    pub fn is_due(&self, now_ns: i64) -> bool {
        now_ns >= self.not_before_ns
    }

    /// How long to wait until a try is due.
    pub fn wait(&self, now_ns: i64) -> Duration {
        let wait_ns = self.not_before_ns.saturating_sub(now_ns).max(0);
        Duration::from_nanos(wait_ns.unsigned_abs())
    }

    /// Tries that failed in a row.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// A try succeeded.
    pub fn handle_success(&mut self, now_ns: i64) {
        self.connected_ns = Some(now_ns);
        self.failures = 0;
    }

    /// A try failed, or what it had established broke. The delay is half fixed and half random, so that exporters
    /// that lost the same collector do not come back together.
    pub fn handle_failure(&mut self, now_ns: i64) -> Duration {
        let was_stable = self
            .connected_ns
            .take()
            .is_some_and(|since| now_ns.saturating_sub(since) >= STABLE_NS);
        if was_stable {
            self.delay_ns = FIRST_DELAY_NS;
        }
        self.failures += 1;
        let half_ns = self.delay_ns / 2;
        let delay_ns = half_ns + self.random() % half_ns.max(1);
        self.delay_ns = (self.delay_ns * 2).min(MAX_DELAY_NS);
        self.not_before_ns = now_ns.saturating_add_unsigned(delay_ns);
        Duration::from_nanos(delay_ns)
    }

    /// xorshift64: jitter needs no better.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

/// A seed that differs between processes and destinations.
pub fn seed() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn delays_double_to_the_maximum_within_their_jitter() {
        let mut retry = Retry::new(42);
        let mut now = 0;
        assert!(retry.is_due(now));
        for step in 0..12u32 {
            let full = (FIRST_DELAY_NS << step).min(MAX_DELAY_NS);
            let delay = retry.handle_failure(now).as_nanos() as u64;
            assert!((full / 2..full).contains(&delay), "step {step}: {delay}");
            assert!(!retry.is_due(now));
            assert_eq!(retry.wait(now).as_nanos() as u64, delay);
            now += delay as i64;
            assert!(retry.is_due(now));
        }
        assert_eq!(retry.failures(), 12);
    }

    #[test]
    fn only_a_connection_that_held_starts_anew() {
        let mut retry = Retry::new(7);
        for _ in 0..8 {
            retry.handle_failure(0);
        }
        // Accepted and closed within a second: the delay stays long.
        retry.handle_success(100 * S);
        assert!(retry.handle_failure(101 * S) > Duration::from_secs(14));
        // Held for a minute: quick again.
        retry.handle_success(200 * S);
        assert!(retry.handle_failure(260 * S) < Duration::from_millis(250));
        assert_eq!(retry.failures(), 1);
    }

    #[test]
    fn jitter_differs_by_seed() {
        let delays: std::collections::HashSet<_> = (1..20)
            .map(|seed| Retry::new(0x9e37_79b9_7f4a_7c15u64.wrapping_mul(seed)).handle_failure(0))
            .collect();
        assert!(delays.len() > 15);
    }
}
