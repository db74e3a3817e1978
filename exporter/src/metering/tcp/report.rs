//! Turns what a tracker measured since the last record into that record's part.

use super::losses::{Blackhole, Losses};
use super::stream::{Shared, Stream};
use super::tracker::Tracker;
use super::{BlackholeKind, MeasurementFlags, TcpConnection, TcpDirection, TcpPerformance};

/// Fewer loaded samples leave bufferbloat unknown (tcp-metrics 8).
const LEAST_LOADED: u32 = 8;
/// Delay by the queue that makes it bloated.
const BLOAT_US: u32 = 100_000;
/// Growth under load that no longer counts as flat: a tenth of the base, and 1 ms.
const FLAT_PART: u32 = 10;
const FLAT_US: u32 = 1000;
/// SYNs without an answer that make a blackhole.
const UNANSWERED_SYNS: u8 = 3;

/// The TCP part of a record. `ended`: nothing follows, so that time without data at the end is nobody's waiting.
pub fn take(
    tracker: Option<&mut Tracker>,
    connection: &mut TcpConnection,
    ended: bool,
    shared: &mut Shared,
) -> Option<TcpPerformance> {
    let syns = connection.take_syns();
    let unanswered = connection.unanswered().filter(|(count, _)| *count >= UNANSWERED_SYNS);
    let client = connection.client();
    let mut performance = match tracker {
        Some(tracker) => of_tracker(tracker, connection, ended, shared),
        // Handshakes alone have nothing to say, unless they are in trouble.
        None if syns.iter().all(|&count| count < 2) => return None,
        None => TcpPerformance::default(),
    };
    for (direction, count) in performance.directions.iter_mut().zip(syns) {
        direction.syns = count.into();
    }
    if let Some((count, silence_ns)) = unanswered
        && syns.get(client).is_some_and(|&count| count > 0)
        && let Some(direction) = performance.directions.get_mut(client)
    {
        direction.blackhole = Some(BlackholeKind::Syn);
        direction.blackhole_retransmissions = count.into();
        direction.blackhole_ms = milliseconds(silence_ns);
    }
    Some(performance)
}

fn of_tracker(tracker: &mut Tracker, connection: &TcpConnection, ended: bool, shared: &mut Shared) -> TcpPerformance {
    let mut performance = TcpPerformance::default();
    let last_ns = tracker.last_ns;
    let duplicates = tracker.streams.map(|stream| stream.counts.duplicate_acks);
    let both_began = [0, 1].map(|direction| connection.beginning(direction).is_some()) == [true; 2];
    for direction in 0..2 {
        let by_timestamp = tracker.by_timestamp(direction);
        let (heard, stream) = (tracker.heard[1 - direction], &mut tracker.streams[direction]);
        let side = usize::from(direction != connection.client());
        if stream.samples.approximate() {
            stream.flags.insert(MeasurementFlags::QUANTILES_APPROXIMATE);
        }
        performance.rtt[side] = stream.samples.take(&mut shared.histograms);
        if ended {
            stream.stop_waiting();
        }
        stream.close_intervals(last_ns);
        let said = &mut performance.directions[direction];
        describe(said, stream, heard, shared);
        said.duplicate_acks = duplicates[1 - direction];
        if stream.has_data && !by_timestamp {
            said.flags.insert(MeasurementFlags::NO_TIMESTAMPS);
        }
        if let Some(losses) = shared.losses.look(stream.losses_place()) {
            describe_losses(said, losses);
            let silence_ns = stream.silence_ns(last_ns);
            let blackhole = losses.blackhole(silence_ns, stream.arrives(), both_began);
            describe_blackhole(said, blackhole);
        }
        stream.begin_record(shared);
    }
    performance
}

fn describe(said: &mut TcpDirection, stream: &Stream, heard: bool, shared: &Shared) {
    let counts = &stream.counts;
    said.flags = stream.flags;
    said.keep_alives = counts.keep_alives;
    said.zero_window_probes = counts.window_probes;
    said.zero_window_packets = counts.zero_window_packets;
    said.zero_windows = counts.zero_windows;
    said.zero_window_ms = milliseconds(stream.closed_total_ns);
    said.zero_window_longest_ms = milliseconds(stream.closed_longest_ns);
    said.ect_packets = counts.ect;
    said.ce_packets = counts.ce;
    said.ece_packets = counts.ece;
    said.cwr_packets = counts.cwr;
    said.acknowledged_octets = stream.acknowledged_octets;
    said.base_rtt_us = stream.base_us();
    if !heard {
        // Without ACKs nobody knows what is in flight.
        said.flags.insert(MeasurementFlags::ONE_SIDED);
        return;
    }
    said.busy_ms = milliseconds(stream.busy_total_ns);
    said.application_limited_ms = milliseconds(stream.idle_total_ns);
    said.non_idle_bps = (stream.has_data && stream.busy_total_ns > 0)
        .then(|| stream.acknowledged_octets as f64 * 8e9 / stream.busy_total_ns as f64);
    said.largest_flight = stream.largest_flight();
    let (loaded, p90_us) = stream.loaded(&shared.histograms);
    (said.loaded_samples, said.loaded_p90_us) = (loaded, p90_us);
    judge_bufferbloat(said);
}

/// Whether round-trip times under load say that a queue delays them (tcp-metrics 8).
fn judge_bufferbloat(said: &mut TcpDirection) {
    let Some(base_us) = said.base_rtt_us.filter(|_| said.loaded_samples > 0) else {
        return;
    };
    if said.loaded_samples < LEAST_LOADED {
        return said.flags.insert(MeasurementFlags::FEW_LOADED_SAMPLES);
    }
    let growth_us = said.loaded_p90_us.saturating_sub(base_us);
    if growth_us < FLAT_US.max(base_us / FLAT_PART) {
        return said.flags.insert(MeasurementFlags::FLAT_RTT_UNDER_LOAD);
    }
    said.bufferbloat = Some(growth_us >= BLOAT_US && growth_us >= base_us);
    said.bufferbloat_ms = growth_us / 1000;
}

fn describe_losses(said: &mut TcpDirection, losses: &Losses) {
    (said.retransmitted_packets, said.retransmitted_octets) = losses.retransmitted.both();
    (said.fast_retransmissions, said.fast_octets) = losses.fast.both();
    (said.timeout_retransmissions, said.timeout_octets) = losses.timeout.both();
    (said.spurious_retransmissions, said.spurious_octets) = losses.spurious().both();
    (said.out_of_order_packets, said.out_of_order_octets) = losses.out_of_order.both();
}

fn describe_blackhole(said: &mut TcpDirection, blackhole: Option<Blackhole>) {
    let Some(blackhole) = blackhole else { return };
    said.blackhole = Some(blackhole.kind);
    said.blackhole_retransmissions = blackhole.retransmissions;
    said.blackhole_ms = milliseconds(blackhole.silence_ns);
    said.recovery_ms = blackhole.recovered.then_some(said.blackhole_ms);
    said.path_mtu = blackhole.path_mtu;
}

/// Rounded.
fn milliseconds(ns: i64) -> u32 {
    u32::try_from(ns.saturating_add(500_000) / 1_000_000).unwrap_or(if ns < 0 { 0 } else { u32::MAX })
}
