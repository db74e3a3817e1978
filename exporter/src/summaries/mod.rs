//! Mergeable summaries of what was metered: counters and sketches in windows of the wall clock.
//!
//! A pure core that metering feeds packet by packet and transaction by transaction. Flow Records would not do: one spans
//! several windows, and its octets could only be guessed apart.

mod combine;
pub mod json;
pub mod limits;
pub mod metrics;
mod names;
pub mod sketch;
#[cfg(test)]
mod tests;
mod window;
mod windows;

pub use metrics::{Kind, Metric};
pub use window::{Summary, Window};
pub use windows::{Summaries, SummariesConfig, SummaryCounters};
