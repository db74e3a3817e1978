//! TCP behind the flow table: where a connection begins and ends, and how well its path carries it.
//!
//! A packet passes [`TcpConnection::follow`], which knows the handshake and the end, and then
//! [`TcpTrackers::follow`], which keeps a tracker for connections that carry data: two streams, each with what its
//! sender sent and what the other side acknowledged. What few connections need lies in pools: losses and histograms.

mod connection;
mod gaps;
mod losses;
mod options;
mod packet;
pub mod performance;
mod pool;
mod probes;
mod report;
mod sequence;
mod sketch;
mod stream;
mod tracker;
mod trackers;

pub use connection::{TcpConnection, TcpState};
pub use packet::TcpPacket;
pub use performance::{BlackholeKind, MeasurementFlags, RttSummary, TcpDirection, TcpPerformance};
pub use trackers::{TcpConfig, TcpCounters, TcpTrackers, TrackerPlace};
