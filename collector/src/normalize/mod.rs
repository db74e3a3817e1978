//! Maps Data Records onto the column table, so that every exporter's flows can be asked the same questions.

pub mod codes;
pub mod columns;
pub mod counters;
pub mod equivalents;
pub mod facts;
mod finish;
mod lists;
pub mod packet;
pub mod plan;
pub mod row;
pub mod sampling;
pub mod zone;

#[cfg(test)]
mod tests;

pub use equivalents::Equivalents;
pub use finish::scale;
pub use plan::{ExporterClock, NormalizingCounters, NormalizingPlan, Received};
