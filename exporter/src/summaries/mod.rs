//! Mergeable summaries of what was metered: counters and sketches in windows of the wall clock.
//!
//! A pure core that metering feeds packet by packet and transaction by transaction. Flow Records would not do: one spans
//! several windows, and its octets could only be guessed apart.

mod combine;
pub mod geo;
pub mod json;
pub mod limits;
mod names;
pub mod networks;
mod open;
pub mod record;
mod seconds;
pub mod shared;
#[cfg(test)]
mod tests;
mod transactions;
mod window;
mod windows;
mod zones;

// What both programs agree on lies in a crate of its own.
pub use flowgauge_sketches as sketch;
pub use flowgauge_sketches::metrics::{self, Kind, Metric};
pub use networks::Networks;
pub use shared::{SharedConfig, SharedSummaries};
pub use window::{Summary, Window};
pub use windows::{Summaries, SummariesConfig, SummaryCounters};
pub use zones::{Zone, Zones};
