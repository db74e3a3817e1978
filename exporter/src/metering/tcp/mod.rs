//! TCP behind the flow table: where a connection begins and ends, and how well its path carries it.

mod connection;
pub mod performance;

pub(super) use connection::{TcpConnection, TcpState};
pub use performance::{BlackholeKind, RttSummary, TcpDirection, TcpPerformance};
