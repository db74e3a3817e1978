//! The sFlow agent (sFlow version 5, host structures): packets sampled at random and counters polled, in UDP datagrams.
//!
//! ```text
//! frames -Sampler-> SampleQueue -> sending thread -datagrams-> collectors
//!                                  /proc, /sys -^
//! ```
//! Sampling is apart from metering and from its own sampling: every worker samples the frames that it reads before they
//! are metered, each interface as a data source of its own. Live, metering never waits for it.

pub mod accounts;
pub mod agent;
mod clock;
mod counters;
mod datagram;
mod direction;
mod header;
pub mod limits;
pub mod queue;
mod receivers;
mod request;
mod sample;
pub mod sampler;
mod sockets;
mod system;
mod xdr;

pub use accounts::{SflowAccounts, SflowSnapshot};
pub use agent::{Agent, AgentConfig};
pub use queue::SampleQueue;
pub use sampler::Sampler;
