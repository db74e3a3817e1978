//! Maps Data Records onto the column table, so that every exporter's flows can be asked the same questions.

pub mod codes;
pub mod columns;
mod finish;
pub mod plan;
pub mod row;

#[cfg(test)]
mod tests;

pub use plan::{ExporterClock, NormalizingCounters, NormalizingPlan, Received};
