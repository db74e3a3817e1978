//! The account of application recognition: what was looked at, what it was, and why parsers stopped.

use super::protocol::Fault;
use super::registry::MAX_PROTOCOLS;

/// Counters since the start. Arrays by protocol are in the order of [`super::PROTOCOLS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationCounters {
    /// Flows of which at least one packet with payload was looked at.
    pub flows_inspected: u64,
    /// Flows whose protocol was recognised.
    pub recognised: [u64; MAX_PROTOCOLS],
    /// Directions whose parser stopped before the end, by protocol and [`Fault`].
    pub faults: [[u64; Fault::COUNT]; MAX_PROTOCOLS],
    /// Packets that nothing recognised.
    pub packets_unrecognised: u64,
    /// Flows left out because too many were being read at once.
    pub readings_exhausted: u64,
    /// Flows left out, or left unfinished, because the budget of octets was used up.
    pub memory_exhausted: u64,
    /// Texts that were longer than their field may be.
    pub texts_cut: u64,
    /// Flows being read now.
    pub reading_now: u64,
    /// Flows whose values are kept now, those being read included.
    pub known_now: u64,
    /// Octets of memory taken for payload that waits and for values.
    pub memory_octets: u64,
}

impl ApplicationCounters {
    /// Faults of all protocols.
    pub fn faults_total(&self) -> u64 {
        self.faults.iter().flatten().sum()
    }

    /// Flows recognised, of all protocols.
    pub fn recognised_total(&self) -> u64 {
        self.recognised.iter().sum()
    }
}
