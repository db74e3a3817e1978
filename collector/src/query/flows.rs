//! Lists single flows, a page at a time.

use super::{Limits, QueryError, Table, filter::Filter};
use crate::store::Snapshot;

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct FlowsRequest {
    /// Which flows; `None` is all.
    pub filter: Option<Filter>,
    /// Flows that end at or after this time, nanoseconds.
    pub from_ns: Option<i64>,
    /// Flows that start before this time, nanoseconds.
    pub to_ns: Option<i64>,
    /// At most so many; 0 is 100.
    pub limit: usize,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// A column, `-` before it for descending; `None` is `-start`.
    pub order: Option<String>,
    /// Columns and element names to give; empty is everything.
    pub fields: Vec<String>,
    /// How long it may take.
    pub limits: Limits,
}

/// Lists flows.
///
/// # Errors
/// When a parameter is wrong, the time is over, or the store cannot be read.
pub fn flows(_snapshot: &Snapshot, _request: &FlowsRequest) -> Result<Table, QueryError> {
    Ok(Table::default())
}

/// One flow by its `_id` with every element, as a table of one row; no row when it is gone.
///
/// # Errors
/// When the id is none, or the store cannot be read.
pub fn flow(_snapshot: &Snapshot, _id: &str) -> Result<Table, QueryError> {
    Ok(Table::default())
}
