//! The Exporting Process: Flow Records in, IPFIX Messages out. A pure core; the sockets and files are in [`crate::io`].

pub mod accounts;
pub mod dns;
pub mod encoder;
pub mod events;
pub mod identity;
pub mod layout;
pub mod limits;
pub mod netflow;
pub mod options;
pub mod packing;
#[cfg(test)]
pub(crate) mod samples;
mod selectors;
pub mod summaries;
mod templates;

pub use accounts::{AccountsSnapshot, DestinationAccounts, Loss, Volume};
pub use events::{Event, EventCounts};
pub use options::{MeteringStatistics, Statistics};
pub use packing::{Content, ExportingProcess, Outgoing};
