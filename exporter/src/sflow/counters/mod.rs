//! Counters of the system, polled: those of interfaces and of the host, each at its own moment of the interval.

mod host;
mod interface;
mod schedule;

pub use host::{Host, HostIdentity, parse_mac};
pub use interface::{DeviceTable, InterfaceCounters, write_capture};
pub use schedule::{Polled, Schedule};
