//! TCP behind the flow table: where a connection begins and ends, and how well its path carries it.

mod connection;
mod packet;
pub mod performance;
mod trackers;

pub use connection::{TcpConnection, TcpState};
pub use packet::TcpPacket;
pub use performance::{BlackholeKind, MeasurementFlags, RttSummary, TcpDirection, TcpPerformance};
pub use trackers::{TcpConfig, TcpTrackers, TrackerPlace};
