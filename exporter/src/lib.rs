//! Turns packets into IPFIX Flow Records: captures frames, meters biflows, exports them.
//!
//! `capture` and `metering` are pure cores: no sockets, files, threads or clock. `io` holds the shells around them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod api;
pub mod capture;
pub mod config;
pub mod exporting;
pub mod io;
pub mod limits;
pub mod metering;
pub mod run;
pub mod sflow;
pub mod spool;
pub mod summaries;
pub mod top;
