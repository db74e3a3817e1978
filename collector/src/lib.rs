//! The collector: receives flow exports, maps them onto one table of columns, keeps and searches them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod alerts;
pub mod api;
pub mod cli;
pub mod collecting;
pub mod config;
pub mod enrich;
pub mod failure;
pub mod forms;
pub mod io;
pub mod journal;
pub mod limits;
pub mod normalize;
pub mod quantity;
pub mod query;
pub mod rehearsal;
pub mod rollups;
pub mod run;
pub mod sizing;
pub mod store;
pub mod summaries;

#[cfg(test)]
mod test_duckdb;
#[cfg(test)]
mod test_messages;
