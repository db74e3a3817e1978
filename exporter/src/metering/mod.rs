//! The Metering Process: frames in, Flow Records out (RFC 7011 section 2, RFC 5103 biflows).
//!
//! A pure core: time comes with each call, there are no sockets, files, threads or clock. The account balances at
//! every moment: packets seen = packets metered + each named reason not to meter one.

pub mod application;
pub mod counters;
pub mod dns;
mod expiry;
pub mod facts;
mod flow;
pub mod folding;
mod fragments;
mod index;
mod key;
pub mod labels;
mod meter;
mod packets;
mod pool;
mod prefetch;
pub mod record;
pub mod records;
pub mod sampling;
mod slab;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod tunnel;
pub mod twice;
mod wheel;

pub use counters::MeterCounters;
pub use dns::{DnsStatus, DnsTransaction};
pub use folding::FoldRecord;
pub use meter::{Meter, MeterConfig};
pub use record::{Direction, FlowEndReason, FlowKey, FlowRecord};
pub use records::{Place, Records};
pub use sampling::{Sampler, Sampling, Selector};
