//! Ends a query that takes too long or that nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{Limits, QueryError};

/// Checked once per block of documents by every thread of a query.
#[derive(Clone, Debug)]
pub struct Watch {
    started: Instant,
    deadline: Option<Instant>,
    cancelled: Option<Arc<AtomicBool>>,
    // Another thread of the query failed: this one can stop.
    failed: Arc<AtomicBool>,
}

impl Watch {
    /// Starts to count.
    pub fn new(limits: &Limits) -> Self {
        Self {
            started: Instant::now(),
            deadline: limits.deadline,
            cancelled: limits.cancelled.clone(),
            failed: Arc::default(),
        }
    }

    /// Milliseconds since it was made.
    pub fn elapsed_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1_000.0
    }

    /// Tells the other threads of the query to stop.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// When the time is over or the caller cancelled.
    pub fn check(&self) -> Result<(), QueryError> {
        let is_set = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        if is_set(&self.failed) || self.cancelled.as_ref().is_some_and(|flag| is_set(flag)) {
            return Err(QueryError::Cancelled);
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                let limit_ms = deadline.duration_since(self.started).as_millis() as u64;
                Err(QueryError::Timeout { limit_ms })
            }
            _ => Ok(()),
        }
    }
}
