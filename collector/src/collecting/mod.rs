//! The Collecting Process (RFC 7011 section 9): transport sessions, their templates, rows out, and an account of every record.
//!
//! A pure core: it is handed what was received together with the time, and hands out rows. It owns no socket and no clock.

pub mod exporters;
mod handling;
pub mod ledger;
mod options;
mod process;
mod repeated;
mod saved;
mod session;
mod sflow;

#[cfg(test)]
mod tests;

pub use exporters::ExporterRules;
pub use ledger::{Account, AccountKey, Ledger, Totals};
pub use process::{CollectingProcess, ProcessConfig, ProcessCounters, TemplateOf};
pub use saved::{Loaded, State, load_state, load_templates, save_templates};
pub use session::{STREAM_SHIFT, SessionKey};
