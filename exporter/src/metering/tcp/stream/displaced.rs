//! Segments that do not continue behind the highest octet: gaps, what fills them, what is sent again, and probes
//! (tcp-metrics 5).

use super::super::MeasurementFlags;
use super::super::losses::{BLACKHOLE_NS, Losses, Resent};
use super::super::probes::{Probes, microseconds};
use super::super::sequence::{distance, is_before, later};
use super::{Moment, PLAUSIBLE, Segment, Stream};

/// Segments that arrive behind a lost one before it is sent again (RFC 5681 section 3.2).
const DUPLICATE_ACKS: u32 = 3;
/// A segment that comes this long behind one sent later was not merely overtaken.
const OVERTAKEN_US: u32 = 3_000;

impl Stream {
    /// A segment that does not continue behind the highest octet.
    #[cold]
    pub(super) fn displaced(
        &mut self,
        probes: &mut Probes,
        segment: &Segment,
        receiver: &Stream,
        moment: &mut Moment<'_>,
    ) {
        let ahead = distance(self.next, segment.sequence);
        if !(-PLAUSIBLE..=PLAUSIBLE).contains(&ahead) {
            return;
        }
        if ahead > 0 {
            self.open_gap(segment, moment);
            return self.extend(probes, segment, true, moment);
        }
        if segment.payload_octets == 0 {
            // A FIN again; only data is counted as sent again.
            return;
        }
        if ahead == -1 && segment.payload_octets == 1 && self.probes_with_octet(receiver, moment.now_ns) {
            return;
        }
        self.take_old(probes, segment, receiver, moment);
    }

    /// One octet below the next expected one: a probe of a closed window (RFC 9293 section 3.8.6.1) or a keep-alive
    /// (section 3.8.4), unless its octet may be missing: then it is sent again.
    pub(super) fn probes_with_octet(&mut self, receiver: &Stream, now_ns: i64) -> bool {
        let quiet_ns = now_ns.saturating_sub(self.progress_ns.max(self.sent_ns));
        let probes = receiver.closed || !self.busy && quiet_ns >= self.rto_ns(receiver);
        if probes {
            self.count_probe(receiver);
        }
        probes
    }

    pub(super) fn count_probe(&mut self, receiver: &Stream) {
        let count = match receiver.closed {
            true => &mut self.counts.window_probes,
            false => &mut self.counts.keep_alives,
        };
        *count += 1;
    }

    /// Follows a segment without data, SYN, FIN or RST.
    #[inline(always)]
    pub fn send_nothing(&mut self, sequence: u32, receiver: &Stream) {
        if !self.begun {
            self.begin_at(sequence);
        } else if distance(self.next, sequence) == -1 && !self.fin {
            self.count_probe(receiver);
        }
    }

    pub(super) fn open_gap(&mut self, segment: &Segment, moment: &mut Moment<'_>) {
        // What was acknowledged arrived by another way than past here.
        let start = later(self.next, self.acknowledged);
        if start != self.next {
            self.flags.insert(MeasurementFlags::CAPTURE_GAP);
        }
        if !is_before(start, segment.sequence) {
            return;
        }
        let (acknowledged, tick) = (self.acknowledged, moment.tick);
        let Some(losses) = self.losses(moment) else { return };
        let gaps = &mut losses.gaps;
        if !gaps.open(start, segment.sequence, tick, segment.timestamp, acknowledged) {
            self.flags.insert(MeasurementFlags::GAPS_APPROXIMATE);
            moment.shared.gaps_dropped += 1;
        }
    }

    pub(super) fn losses<'a>(&mut self, moment: &'a mut Moment<'_>) -> Option<&'a mut Losses> {
        let losses = moment.shared.losses.ensure(&mut self.losses);
        if losses.is_none() {
            self.flags.insert(MeasurementFlags::LOSSES_UNTRACKED);
        }
        losses
    }

    /// Data below the highest octet: sent again, or overtaken.
    pub(super) fn take_old(
        &mut self,
        probes: &mut Probes,
        segment: &Segment,
        receiver: &Stream,
        moment: &mut Moment<'_>,
    ) {
        let start = segment.sequence;
        let end = start.wrapping_add(segment.payload_octets);
        let beyond = distance(self.next, end).max(0) as u32;
        let rto_ns = self.rto_ns(receiver);
        let (next, acknowledged) = (self.next, self.acknowledged);
        let waited_ns = moment.now_ns.saturating_sub(self.progress_ns.max(self.sent_ns));
        let resent = Resent {
            start,
            end,
            octets: segment.payload_octets - beyond.min(segment.payload_octets),
            packet_octets: self.on_path(segment),
            duplicate_acks: self.duplicates,
            acknowledged,
            next,
            late: waited_ns >= rto_ns,
            silence_ns: moment.now_ns.saturating_sub(self.progress_ns),
            patience_ns: BLACKHOLE_NS.max(3 * rto_ns),
            overdue_ns: moment.now_ns.saturating_add(rto_ns),
            peer_closed: receiver.is_closed(),
        };
        let (tick, handshake_us) = (moment.tick, moment.handshake_us);
        // How long the ACK has been there that asks for this segment, which more have overtaken than a sender lets pass
        // before it sends one again.
        let overtakers = distance(end, next).max(0) as u32;
        let acknowledged_us = (start == acknowledged && overtakers > DUPLICATE_ACKS * self.load_unit())
            .then(|| (moment.now_ns.saturating_sub(self.acknowledged_ns).max(0) / 1000) as u64);
        if let Some(losses) = self.losses(moment) {
            let (filled, no_room) = losses.gaps.fill(start, end);
            let overtaken = filled.is_some_and(|(_, gap)| {
                was_overtaken(&Filling {
                    timestamp: segment.timestamp,
                    overtaker: gap.timestamp,
                    age_us: microseconds(tick.since(gap.opened)),
                    handshake_us,
                    acknowledged_us,
                    response_us: receiver.base_us(),
                })
            });
            if overtaken {
                losses.out_of_order.add(segment.payload_octets);
                losses.blur(start, end);
            } else {
                losses.count_retransmission(&resent);
            }
            if no_room {
                self.flags.insert(MeasurementFlags::GAPS_APPROXIMATE);
                moment.shared.gaps_dropped += 1;
            }
        }
        if !probes.by_timestamp {
            probes.drop_beyond(start);
        }
        if is_before(start, self.candidate_end) {
            self.candidate = 0;
        }
        self.sent_ns = moment.now_ns;
        self.has_data = true;
        if beyond > 0 {
            self.extend(probes, segment, false, moment);
        }
    }
}

/// A segment that fills a gap.
struct Filling {
    /// Its TSval, and that of the segment behind the gap; 0 is none.
    timestamp: u32,
    overtaker: u32,
    /// How long the gap has been open.
    age_us: u32,
    handshake_us: Option<u32>,
    /// How long ago the ACK that asks for this very segment passed, if many overtook it.
    acknowledged_us: Option<u64>,
    /// The least time that the sender took to answer.
    response_us: Option<u32>,
}

/// Whether a segment that fills a gap was overtaken on its way, rather than sent again because the first copy was lost
/// before it came here: its sender's clock is not past that of the segment which overtook it, or, without timestamps,
/// no answer can have passed in between. A clock that stands still for longer than an answer takes tells nothing.
fn was_overtaken(filling: &Filling) -> bool {
    let age_us = filling.age_us;
    let soon = age_us < filling.handshake_us.unwrap_or(OVERTAKEN_US).min(OVERTAKEN_US) && !answers(filling);
    if filling.timestamp == 0 || filling.overtaker == 0 {
        return soon;
    }
    match distance(filling.overtaker, filling.timestamp) {
        0 => soon || filling.handshake_us.is_none_or(|handshake_us| age_us < handshake_us) && !answers(filling),
        later => later < 0,
    }
}

/// Whether the segment answers the ACK that asks for it, as a sender in recovery does (RFC 6582 section 3.2): that ACK
/// had reached the sender when the segment was sent, and had not when the segment behind the gap was.
fn answers(filling: &Filling) -> bool {
    let (Some(acknowledged_us), Some(response_us)) = (filling.acknowledged_us, filling.response_us) else {
        return false;
    };
    let (response_us, age_us) = (u64::from(response_us), u64::from(filling.age_us));
    // Answers do not all take the same time: a little less is possible.
    acknowledged_us >= response_us - response_us / 32 && acknowledged_us < response_us + age_us
}
