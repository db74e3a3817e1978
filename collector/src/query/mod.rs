//! Answers questions about stored flows: filter, list, aggregate, complete.

pub mod aggregate;
mod bits;
pub mod complete;
mod cursor;
mod download;
mod ends;
mod evaluate;
pub mod filter;
pub mod flows;
mod kinds;
mod once;
mod order;
mod parallel;
mod ranges;
mod scan;
mod seen;
mod sound;
pub mod table;
pub mod time;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

pub use aggregate::{AggregateRequest, Compare, TIERS, TierAsked, aggregate};
pub use complete::{Completion, CompletionItem, complete};
pub use download::{Download, download};
pub use filter::{Filter, FilterError};
pub use flows::{FlowsRequest, flow, flows};
pub use once::OnceRule;
pub use table::{Table, cell_to_json, row_to_json};
pub(crate) use watch::Watch;

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// A parameter other than the filter is wrong: the caller's fault.
    #[error("{detail}")]
    Request {
        /// Name of the parameter (`group_by`, `metrics`, `cursor`, ..).
        parameter: &'static str,
        /// What is wrong and what is possible.
        detail: String,
        /// The nearest thing that would be right.
        nearest: Option<String>,
    },
    /// The answer did not come in time.
    #[error("the query took longer than {limit_ms} ms; ask about a shorter time or filter more")]
    Timeout {
        /// The limit.
        limit_ms: u64,
    },
    /// The caller went away.
    #[error("the query was cancelled")]
    Cancelled,
    /// A bound on memory was reached.
    #[error("{detail}")]
    TooMuch {
        /// Which bound, and what to ask instead.
        detail: String,
    },
    /// The store could not be read.
    #[error("the store could not be read: {detail}")]
    Store {
        /// What the store said.
        detail: String,
    },
}

/// How long a query may take and who may end it.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// When the query must have ended.
    pub deadline: Option<Instant>,
    /// Set by the caller when the answer is no longer wanted.
    pub cancelled: Option<Arc<AtomicBool>>,
}

/// What an answer cost and where it comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryStats {
    /// Rows that were looked at.
    pub rows_read: u64,
    /// Rows that matched.
    pub rows_matched: u64,
    /// Time it took.
    pub elapsed_ms: f64,
    /// Partitions that were looked at.
    pub partitions: u64,
    /// Segments that were looked at.
    pub segments: u64,
    /// Segments that may have had something to say, and cannot be read.
    pub segments_left_out: u64,
    /// Start of the time asked about or found, nanoseconds.
    pub from_ns: Option<i64>,
    /// End of the time asked about or found, nanoseconds.
    pub to_ns: Option<i64>,
    /// The time that was compared with.
    pub compare_ns: Option<(i64, i64)>,
    /// How conversations were counted once, and how many rows were left out for it.
    pub once: Option<(String, u64)>,
    /// What answered: empty for flows, else the coarsest tier of rollups.
    pub tier: &'static str,
    /// How far a value is off at most; 0 for what is exact.
    pub error_bound: f64,
    /// With which confidence it is not off by more; 0 for what is exact.
    pub confidence: f64,
    /// Windows of rollups that were merged.
    pub windows: u64,
    /// Files of rollups that they are in.
    pub rollups: u64,
    /// What to know about the answer, in one line.
    pub hint: Option<String>,
}

impl QueryStats {
    /// Says that segments could not be read.
    fn leave_out(&mut self, segments: u64) {
        self.segments_left_out = segments;
        if let Some(told) = told_of_damage(segments) {
            self.hint = Some(match self.hint.take() {
                Some(hint) => format!("{hint}; {told}"),
                None => told,
            });
        }
    }
}

/// What people are told of segments that cannot be read.
pub fn told_of_damage(segments: u64) -> Option<String> {
    let which = match segments {
        0 => return None,
        1 => "one segment of the store is",
        _ => &format!("{segments} segments of the store are"),
    };
    Some(format!("{which} damaged and left out: flows are missing"))
}

#[cfg(test)]
mod tests;
