//! The collector: receives flow exports, maps them onto one table of columns, keeps and searches them.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod limits;
pub mod normalize;
pub mod query;
pub mod store;
