//! How long destinations may try: until someone stops the exporter, or until nothing has moved for too long.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by `run`, the signal thread and all destinations.
#[derive(Debug)]
pub struct Stop {
    /// Asked after every frame, hence apart from the rest.
    requested: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
    drain_timeout: Duration,
    /// Reading files: nothing is dropped, so a destination that takes nothing would hold everything up for ever.
    from_files: bool,
}

#[derive(Debug, Default)]
struct State {
    draining_since: Option<Instant>,
    abandoned: bool,
}

impl Stop {
    /// Nothing requested yet.
    pub fn new(drain_timeout: Duration, from_files: bool) -> Self {
        Self {
            requested: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
            drain_timeout,
            from_files,
        }
    }

    /// Someone wants the exporter to end: flows end and queues drain. The second time, queues are given up.
    pub fn request(&self) {
        let again = self.requested.swap(true, Relaxed);
        self.lock().abandoned |= again;
        self.changed.notify_all();
    }

    /// Whether packets should be taken no more.
    #[inline]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Relaxed)
    }

    /// No more records will come: what is queued has the drain timeout left.
    pub fn drain(&self) {
        self.lock().draining_since.get_or_insert_with(Instant::now);
        self.changed.notify_all();
    }

    /// Whether a destination that last moved something at `progress` should give up.
    pub fn is_over(&self, progress: Instant) -> bool {
        let state = self.lock();
        let since = match state.draining_since {
            Some(draining) => draining.max(progress),
            None if self.from_files => progress,
            None => return state.abandoned,
        };
        state.abandoned || since.elapsed() >= self.drain_timeout
    }

    /// Sleeps for `duration`, or until the queues are given up or begin to drain.
    pub fn sleep(&self, duration: Duration) {
        let deadline = Instant::now() + duration;
        let mut state = self.lock();
        let (abandoned, draining) = (state.abandoned, state.draining_since.is_some());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.abandoned != abandoned || state.draining_since.is_some() != draining {
                return;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn live_destinations_try_until_told_to_stop_and_then_for_the_drain_timeout() {
        let long_ago = Instant::now() - Duration::from_secs(60);
        let stop = Stop::new(Duration::from_secs(30), false);
        assert!(!stop.is_over(long_ago));
        stop.request();
        assert!(stop.is_requested() && !stop.is_over(long_ago));
        stop.drain();
        assert!(!stop.is_over(long_ago), "the time begins with the draining");
        stop.request();
        assert!(stop.is_over(Instant::now()), "asked twice");
    }

    #[test]
    fn files_wait_only_while_something_moves() {
        let stop = Stop::new(Duration::from_secs(30), true);
        assert!(!stop.is_over(Instant::now()));
        assert!(stop.is_over(Instant::now() - Duration::from_secs(31)));
    }

    #[test]
    fn sleep_ends_early_when_asked_twice() {
        let stop = Stop::new(LONG, false);
        stop.request();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(10));
                stop.request();
            });
            stop.sleep(LONG);
        });
        assert!(stop.is_over(Instant::now()));
    }
}
