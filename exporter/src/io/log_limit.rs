//! Keeps a fault that repeats from filling the log: the first is said at once, the others once in a while with their number.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(10);

/// The limit of one message.
#[derive(Debug, Default)]
pub struct LogLimit {
    said: Option<Instant>,
    withheld: u64,
}

impl LogLimit {
    /// Whether to say it now, and how many times it happened since it was last said.
    pub fn permit(&mut self, now: Instant) -> Option<u64> {
        if self
            .said
            .is_some_and(|said| now.saturating_duration_since(said) < INTERVAL)
        {
            self.withheld += 1;
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.withheld) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_and_the_rest_are_counted() {
        let mut limit = LogLimit::default();
        let start = Instant::now();
        assert_eq!(limit.permit(start), Some(1));
        for second in 1..10 {
            assert_eq!(limit.permit(start + Duration::from_secs(second)), None);
        }
        assert_eq!(limit.permit(start + INTERVAL), Some(10));
        assert_eq!(limit.permit(start + INTERVAL), None);
    }
}
