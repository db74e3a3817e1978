//! Takes frames, keeps the flow table, makes Flow Records.

use flowgauge_templates::packet::LinkType;

use super::counters::MeterCounters;
use super::record::{FlowEndReason, FlowRecord};
use crate::limits;

/// How flows are cut and how many are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterConfig {
    /// A biflow without a packet for this long ends, ns.
    pub idle_timeout_ns: i64,
    /// A biflow that lasts this long gives a record and goes on, ns.
    pub active_timeout_ns: i64,
    /// A TCP biflow that ended stays for this long, so that what trails behind joins it, ns.
    pub tcp_linger_ns: i64,
    /// Biflows kept at most.
    pub max_flows: usize,
    /// Seed of the hash of flow keys; a secret random number keeps others from aiming at one bucket.
    pub hash_seed: u64,
}

impl Default for MeterConfig {
    fn default() -> MeterConfig {
        MeterConfig {
            idle_timeout_ns: 15_000_000_000,
            active_timeout_ns: 60_000_000_000,
            tcp_linger_ns: 1_000_000_000,
            max_flows: limits::DEFAULT_MAX_FLOWS,
            hash_seed: 0,
        }
    }
}

/// The flow table and what drives it.
#[derive(Debug)]
pub struct Meter {
    config: MeterConfig,
    counters: MeterCounters,
    pending: Vec<FlowRecord>,
}

impl Meter {
    /// An empty table. Memory grows with the flows, up to `config.max_flows`.
    pub fn new(config: MeterConfig) -> Meter {
        Meter { config, counters: MeterCounters::default(), pending: Vec::new() }
    }

    /// Accounts for one frame, captured at `now_ns` (ns since 1970 UTC) and `wire_length` octets long before any snap
    /// length. May make Flow Records of flows that end through it or before it.
    pub fn handle_frame(&mut self, now_ns: i64, link_type: LinkType, frame: &[u8], wire_length: u32, interface: u32) {
        let _ = (now_ns, link_type, frame, wire_length, interface, &self.config);
        self.counters.packets_seen += 1;
    }

    /// Ends the flows whose timeout has passed at `now_ns`; for live capture, where time goes on without packets.
    pub fn handle_timeout(&mut self, now_ns: i64) {
        let _ = now_ns;
    }

    /// Ends all flows for `reason` ([`FlowEndReason::ForcedEnd`]; TCP biflows that ended give
    /// [`FlowEndReason::EndOfFlow`]). Makes at most [`limits::MAX_PENDING_RECORDS`] at a time: returns true when the
    /// table is empty, false when [`Meter::poll_records`] must be drained and this called again.
    #[must_use]
    pub fn finish(&mut self, reason: FlowEndReason) -> bool {
        let _ = reason;
        true
    }

    /// Takes the Flow Records made so far, oldest first.
    pub fn poll_records(&mut self) -> std::vec::Drain<'_, FlowRecord> {
        self.pending.drain(..)
    }

    /// Whether [`Meter::poll_records`] has any; cheap enough to ask after every frame.
    pub fn has_records(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The account so far.
    pub fn counters(&self) -> &MeterCounters {
        &self.counters
    }
}
