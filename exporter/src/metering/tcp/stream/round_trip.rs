//! Round-trip times: what a sample changes, which are taken under load, and how long a sender waits (RFC 6298).

use super::super::MeasurementFlags;
use super::super::pool::Pool;
use super::super::probes::microseconds;
use super::super::probes::{TICKS_PER_US, Tick};
use super::super::sketch::Histogram;
use super::{Acknowledgment, Moment, Shared, Stream};

/// A path that loads this many segments is loaded (tcp-metrics 8).
const LOADED_SEGMENTS: u32 = 10;
/// An answer to a lone segment that takes this long longer than it could may be a delayed ACK (RFC 9293 section 3.8.6.3 allows 500 ms; Linux
/// begins at 40 ms).
const DELAYED_ACK_US: u32 = 40_000;
/// Retransmission timeout before anything is known, and its floor (RFC 6298 section 2; tcp-metrics 3).
const FIRST_RTO_NS: i64 = 1_000_000_000;
const LEAST_RTO_NS: i64 = 200_000_000;

impl Stream {
    /// How long the sender waits for an ACK (RFC 6298 section 2.3), over both parts of the path, ns.
    pub(super) fn rto_ns(&self, receiver: &Stream) -> i64 {
        let part = |stream: &Stream| i64::from(stream.smoothed_us) + 4 * i64::from(stream.variation_us);
        match part(self) + part(receiver) {
            0 => FIRST_RTO_NS,
            us => LEAST_RTO_NS.max(us * 1000),
        }
    }

    /// A round-trip time.
    pub(super) fn sample(
        &mut self,
        sent: Tick,
        by_timestamp: bool,
        ack: &Acknowledgment<'_>,
        receiver: &Stream,
        moment: &mut Moment<'_>,
    ) {
        // Karn's rule; timestamps tell which instance was answered.
        if !by_timestamp
            && let Some(losses) = moment.shared.losses.at(self.losses)
            && losses.blurs(ack.number)
        {
            return;
        }
        let us = microseconds(moment.tick.since(sent));
        let lone = ack.pure && self.segments == 1 && self.small;
        let delayed = lone && us >= DELAYED_ACK_US && (self.base_us == u32::MAX || us - DELAYED_ACK_US >= self.base_us);
        self.take_sample(us, delayed, moment.shared);
        let flight = self.flight();
        if flight >= LOADED_SEGMENTS * self.load_unit() && flight >= self.largest_flight / 2 {
            self.take_loaded(us, sent, receiver, moment);
        }
    }

    /// Counts a round-trip time; `delayed` when it may be that of a delayed ACK.
    #[inline]
    pub fn take_sample(&mut self, us: u32, delayed: bool, shared: &mut Shared) {
        self.samples.add(us, delayed, &mut shared.histograms);
        // RFC 6298 section 2.
        if self.smoothed_us == 0 {
            (self.smoothed_us, self.variation_us) = (us, us / 2);
        } else {
            let error = self.smoothed_us.abs_diff(us);
            self.variation_us = ((3 * u64::from(self.variation_us) + u64::from(error)) / 4) as u32;
            self.smoothed_us = ((7 * u64::from(self.smoothed_us) + u64::from(us)) / 8) as u32;
        }
        const PARTS: u32 = crate::limits::TCP_PROBES as u32;
        self.spacing = (self.smoothed_us / PARTS).saturating_mul(TICKS_PER_US);
        if !delayed {
            self.base_us = self.base_us.min(us);
        }
    }

    pub(super) fn take_loaded(&mut self, us: u32, sent: Tick, receiver: &Stream, moment: &mut Moment<'_>) {
        let since_reopened = moment.tick.since(receiver.reopened);
        if receiver.closed || receiver.stalled && since_reopened <= moment.tick.since(sent) {
            self.flags.insert(MeasurementFlags::RECEIVER_STALL);
        } else if let Some(loaded) = moment.shared.histograms.ensure(&mut self.loaded) {
            loaded.add(us);
        } else {
            self.flags.insert(MeasurementFlags::QUANTILES_APPROXIMATE);
        }
    }

    pub fn base_us(&self) -> Option<u32> {
        (self.base_us != u32::MAX).then_some(self.base_us)
    }

    /// How many round-trip times were taken under load, and their 90th percentile, µs.
    pub fn loaded(&self, histograms: &Pool<Histogram>) -> (u32, u32) {
        let loaded = histograms.look(self.loaded);
        let p90 = loaded.and_then(|loaded| loaded.quantiles([90]));
        (loaded.map_or(0, Histogram::total), p90.map_or(0, |[p90]| p90))
    }
}
