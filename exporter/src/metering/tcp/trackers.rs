//! The pool of trackers. A flow holds a place in it once it carries data, so that scans cost nothing.

use flowgauge_templates::packet::TcpFlags;

use super::losses::Losses;
use super::pool::Pool;
use super::report;
use super::sketch::Histogram;
use super::stream::Shared;
use super::tracker::Tracker;
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

/// Which tracker a flow has. Until it has one: of which directions a packet was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackerPlace(u32);

impl TrackerPlace {
    /// No tracker.
    pub const NONE: TrackerPlace = TrackerPlace(u32::MAX);
    /// There was none to have.
    const REFUSED: TrackerPlace = TrackerPlace(u32::MAX - 4);

    /// One of directions 0 and 1, or both, was heard: the numbers below that of [`TrackerPlace::NONE`].
    fn heard(self) -> u32 {
        u32::MAX - self.0
    }

    fn is_tracker(self) -> bool {
        self.0 < TrackerPlace::REFUSED.0
    }
}

impl Default for TrackerPlace {
    fn default() -> TrackerPlace {
        TrackerPlace::NONE
    }
}

/// The account of tracking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Connections tracked.
    pub trackers_created: u64,
    /// Trackers in use.
    pub trackers_active: u64,
    /// Connections not tracked because all trackers were in use.
    pub trackers_refused: u64,
    /// Times that losses were not followed because there was no memory for it.
    pub losses_refused: u64,
    /// Times that quantiles became approximate because there was no memory for a histogram.
    pub histograms_refused: u64,
    /// Gaps that were not followed because a direction had too many.
    pub gaps_dropped: u64,
}

/// Every connection's tracker.
#[derive(Debug)]
pub struct TcpTrackers {
    enabled: bool,
    trackers: Pool<Tracker>,
    shared: Shared,
    created: u64,
}

impl TcpTrackers {
    /// An empty pool; it grows with the connections, up to `config.max_trackers`. Memory for losses and histograms is
    /// for a share of them, as most connections lose nothing and have few samples.
    pub fn new(config: TcpConfig) -> TcpTrackers {
        let part =
            |share: usize| (config.max_trackers / share).max(limits::LEAST_TCP_PARTS.min(2 * config.max_trackers));
        TcpTrackers {
            enabled: config.enabled,
            trackers: Pool::new(config.max_trackers.min(TrackerPlace::REFUSED.0 as usize)),
            shared: Shared {
                losses: Pool::<Losses>::new(part(limits::TCP_TRACKERS_PER_LOSSES)),
                histograms: Pool::<Histogram>::new(part(limits::TCP_TRACKERS_PER_HISTOGRAM)),
                gaps_dropped: 0,
            },
            created: 0,
        }
    }

    /// Accounts for one packet, after [`TcpConnection::follow`] has seen it.
    #[inline(always)]
    pub fn follow(
        &mut self,
        place: &mut TrackerPlace,
        connection: &TcpConnection,
        packet: &TcpPacket<'_>,
        direction: usize,
        now_ns: i64,
    ) {
        if !place.is_tracker() && !self.begin(place, connection, packet, direction) {
            return;
        }
        if let Some(tracker) = self.trackers.at(place.0) {
            tracker.follow(packet, direction, now_ns, &mut self.shared);
        }
    }

    /// Gives a connection a tracker with its first data, its second packet of a direction behind the handshake, or a
    /// closed window.
    #[inline(never)]
    fn begin(
        &mut self,
        place: &mut TrackerPlace,
        connection: &TcpConnection,
        packet: &TcpPacket<'_>,
        direction: usize,
    ) -> bool {
        const HANDSHAKE: TcpFlags = TcpFlags(TcpFlags::SYN.0 | TcpFlags::RST.0);
        if *place == TrackerPlace::REFUSED || !self.enabled {
            return false;
        }
        let heard = place.heard();
        let mark = 1 << (direction & 1);
        if packet.payload_octets == 0 {
            if packet.flags.any(HANDSHAKE) {
                return false;
            }
            let closed = packet.window == Some(0);
            if heard & mark == 0 && !closed && !packet.flags.any(TcpFlags::FIN) {
                place.0 = u32::MAX - (heard | mark);
                return false;
            }
        }
        let Some(taken) = self.trackers.take() else {
            *place = TrackerPlace::REFUSED;
            return false;
        };
        *place = TrackerPlace(taken);
        self.created += 1;
        if let Some(tracker) = self.trackers.at(taken) {
            tracker.begin(connection, [heard & 1 != 0, heard & 2 != 0], &mut self.shared);
        }
        true
    }

    /// What was measured since the last call, for a record that is being made; none when there is nothing to say.
    /// Forward is direction 0. `ended` says that the flow ends with this record. Intervals that are open are closed at
    /// the last packet, not now.
    pub fn take(
        &mut self,
        place: TrackerPlace,
        connection: &mut TcpConnection,
        _now_ns: i64,
        ended: bool,
    ) -> Option<TcpPerformance> {
        if !self.enabled {
            return None;
        }
        let tracker = if place.is_tracker() {
            self.trackers.at(place.0)
        } else {
            None
        };
        report::take(tracker, connection, ended, &mut self.shared)
    }

    /// Gives a flow's tracker back.
    pub fn free(&mut self, place: &mut TrackerPlace) {
        if place.is_tracker() {
            if let Some(tracker) = self.trackers.at(place.0) {
                tracker.free(&mut self.shared);
            }
            self.trackers.free(&mut place.0);
        }
        *place = TrackerPlace::NONE;
    }

    /// The account so far.
    pub fn counters(&self) -> TcpCounters {
        TcpCounters {
            trackers_created: self.created,
            trackers_active: self.trackers.in_use() as u64,
            trackers_refused: self.trackers.refused(),
            losses_refused: self.shared.losses.refused(),
            histograms_refused: self.shared.histograms.refused(),
            gaps_dropped: self.shared.gaps_dropped,
        }
    }
}
