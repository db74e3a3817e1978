//! The pool of trackers. A flow holds a place in it once it carries data, so that scans cost nothing.

use super::{TcpConnection, TcpPacket, TcpPerformance};
use crate::limits;

/// Whether TCP performance is measured, and of how many connections at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpConfig {
    /// Off: nothing is tracked and no record has a TCP part.
    pub enabled: bool,
    /// Connections tracked at most; further ones have no TCP part and are counted.
    pub max_trackers: usize,
}

impl Default for TcpConfig {
    fn default() -> TcpConfig {
        TcpConfig {
            enabled: true,
            max_trackers: limits::DEFAULT_MAX_TCP_TRACKERS,
        }
    }
}

/// Which tracker a flow has; what it starts with says that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerPlace(u32);

impl TrackerPlace {
    /// No tracker.
    pub const NONE: TrackerPlace = TrackerPlace(u32::MAX);
}

impl Default for TrackerPlace {
    fn default() -> TrackerPlace {
        TrackerPlace::NONE
    }
}

/// Every connection's tracker.
#[derive(Debug)]
pub struct TcpTrackers {
    config: TcpConfig,
}

impl TcpTrackers {
    /// An empty pool; it grows with the connections, up to `config.max_trackers`.
    pub fn new(config: TcpConfig) -> TcpTrackers {
        TcpTrackers { config }
    }

    /// Accounts for one packet, after [`TcpConnection::follow`] has seen it.
    #[inline]
    pub fn follow(
        &mut self,
        place: &mut TrackerPlace,
        connection: &TcpConnection,
        packet: &TcpPacket<'_>,
        direction: usize,
        now_ns: i64,
    ) {
        if !self.config.enabled {
            return;
        }
        let _ = (place, connection, packet, direction, now_ns);
    }

    /// What was measured since the last call, for a record that is being made; none when there is nothing to say.
    /// Forward is direction 0. `ended` says that the flow ends with this record.
    pub fn take(
        &mut self,
        place: TrackerPlace,
        connection: &mut TcpConnection,
        now_ns: i64,
        ended: bool,
    ) -> Option<TcpPerformance> {
        let _ = (place, connection, now_ns, ended);
        None
    }

    /// Gives a flow's tracker back.
    pub fn free(&mut self, place: &mut TrackerPlace) {
        *place = TrackerPlace::NONE;
    }
}
