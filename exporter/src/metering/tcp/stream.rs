//! One direction of a connection: what its sender sent as seen here, and what the other side said to it.
//!
//! The common packet, data in order or an ACK that moves on, touches nothing but this; gaps and what is sent again take
//! the long way through [`Losses`].

use super::MeasurementFlags;
use super::losses::{BLACKHOLE_NS, Losses, Resent};
use super::pool::{NONE, Pool};
use super::probes::{Probes, TICKS_PER_US, Tick, microseconds};
use super::sequence::{distance, is_before, later};
use super::sketch::{Histogram, Samples};
use flowgauge_templates::packet::TcpFlags;

/// Segments farther from what is expected, or ACKs, are of another connection or forged.
const PLAUSIBLE: i32 = 1 << 30;
/// Octets acknowledged without being seen; more at a time is no capture that lost packets.
const UNSEEN: i32 = 1 << 24;
/// Largest payload where the SYN that states it was not seen.
const USUAL_SEGMENT_OCTETS: u32 = 1460;
/// A path that loads this many segments is loaded (tcp-metrics 8).
const LOADED_SEGMENTS: u32 = 10;
/// An answer to a lone segment that takes this long longer than it could may be a delayed ACK (RFC 9293 section 3.8.6.3 allows 500 ms; Linux
/// begins at 40 ms).
const DELAYED_ACK_US: u32 = 40_000;
/// Retransmission timeout before anything is known, and its floor (RFC 6298 section 2; tcp-metrics 3).
const FIRST_RTO_NS: i64 = 1_000_000_000;
const LEAST_RTO_NS: i64 = 200_000_000;
/// A segment that comes this long behind one sent later was not merely overtaken.
const OVERTAKEN_US: u32 = 3_000;
/// No time.
const NEVER: i64 = i64::MIN;

/// Pools and counters that all connections share.
#[derive(Debug)]
pub struct Shared {
    pub losses: Pool<Losses>,
    pub histograms: Pool<Histogram>,
    /// Gaps that were not followed because a direction had too many.
    pub gaps_dropped: u64,
}

/// When a packet was seen, and what the connection knows.
#[derive(Debug)]
pub struct Moment<'a> {
    pub now_ns: i64,
    pub tick: Tick,
    /// Both sides' handshake round-trip times together.
    pub handshake_us: Option<u32>,
    pub shared: &'a mut Shared,
}

/// A segment that carries data or a FIN.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub sequence: u32,
    pub payload_octets: u32,
    /// The IP packet.
    pub packet_octets: u32,
    pub fin: bool,
    /// TSval; 0 is none.
    pub timestamp: u32,
}

impl Segment {
    /// The sequence number behind the last octet.
    #[inline(always)]
    fn end(&self) -> u32 {
        self.sequence
            .wrapping_add(self.payload_octets)
            .wrapping_add(u32::from(self.fin))
    }
}

/// What an ACK says to the stream.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgment<'a> {
    pub number: u32,
    /// TSecr; 0 is none.
    pub echo: u32,
    /// No data, no SYN, no FIN.
    pub pure: bool,
    pub window: Option<u16>,
    /// Options in which a SACK may be.
    pub options: &'a [u8],
}

/// One direction. Durations and counts are those since the last record.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Highest octet seen, and one: SND.NXT of RFC 9293.
    next: u32,
    /// Highest ACK of the other side: SND.UNA.
    acknowledged: u32,
    /// The first octet, as far as it is known.
    first: u32,
    fin_end: u32,
    /// `next` and `acknowledged` mean something.
    pub begun: bool,
    /// Data was seen.
    pub has_data: bool,
    fin: bool,
    reset: bool,
    /// Something is in flight.
    busy: bool,
    /// One octet beyond `next` was sent to probe a closed window.
    probed: bool,
    /// The latest segment is smaller than it could be.
    small: bool,
    /// Segments since nothing was in flight.
    segments: u8,
    /// Duplicate ACKs for the left edge.
    duplicates: u16,
    pub flags: MeasurementFlags,
    /// Largest payload; 0 is unknown.
    maximum_segment_octets: u32,
    largest_flight: u32,
    /// Largest IP packet known to arrive.
    arrives: u32,
    /// A larger one that is not acknowledged yet, and where it ends; 0 is none.
    candidate: u32,
    candidate_end: u32,

    /// Since when something is in flight.
    busy_ns: i64,
    /// When the left edge moved last, or something came in flight.
    progress_ns: i64,
    /// Latest segment.
    sent_ns: i64,
    /// Since when nothing was in flight; [`NEVER`] when that says nothing about the sender.
    idle_ns: i64,
    pub busy_total_ns: i64,
    pub idle_total_ns: i64,
    pub acknowledged_octets: u64,

    smoothed_us: u32,
    variation_us: u32,
    /// How far apart probes are, in ticks.
    spacing: u32,
    /// Least round-trip time; the largest number is none.
    base_us: u32,
    pub samples: Samples,
    /// Samples taken under load.
    loaded: u32,
    losses: u32,

    /// The window its sender last offered, not scaled.
    window: u16,
    window_known: bool,
    closed: bool,
    /// Whether `reopened` means something.
    stalled: bool,
    reopened: Tick,
    closed_ns: i64,
    pub closed_total_ns: i64,
    pub closed_longest_ns: i64,

    pub counts: Counts,
}

/// Packets of a kind since the last record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Duplicate ACKs that the other side sent to this stream.
    pub duplicate_acks: u32,
    pub keep_alives: u32,
    pub window_probes: u32,
    pub zero_window_packets: u32,
    pub zero_windows: u32,
    pub ect: u32,
    pub ce: u32,
    pub ece: u32,
    pub cwr: u32,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream {
            next: 0,
            acknowledged: 0,
            first: 0,
            fin_end: 0,
            begun: false,
            has_data: false,
            fin: false,
            reset: false,
            busy: false,
            probed: false,
            small: false,
            segments: 0,
            duplicates: 0,
            flags: MeasurementFlags::default(),
            maximum_segment_octets: 0,
            largest_flight: 0,
            arrives: 0,
            candidate: 0,
            candidate_end: 0,
            busy_ns: 0,
            progress_ns: 0,
            sent_ns: 0,
            idle_ns: NEVER,
            busy_total_ns: 0,
            idle_total_ns: 0,
            acknowledged_octets: 0,
            smoothed_us: 0,
            variation_us: 0,
            spacing: 0,
            base_us: u32::MAX,
            samples: Samples::default(),
            loaded: NONE,
            losses: NONE,
            window: 0,
            window_known: false,
            closed: false,
            stalled: false,
            reopened: Tick::default(),
            closed_ns: 0,
            closed_total_ns: 0,
            closed_longest_ns: 0,
            counts: Counts::default(),
        }
    }
}

impl Stream {
    /// Begins where the first octet is known to be.
    pub fn begin(&mut self, sequence: u32, maximum_segment_octets: u32) {
        self.begin_at(sequence);
        self.maximum_segment_octets = maximum_segment_octets;
    }

    fn begin_at(&mut self, sequence: u32) {
        (self.next, self.acknowledged, self.first) = (sequence, sequence, sequence);
        self.begun = true;
    }

    /// Begins anew when a SYN says that octets are counted from elsewhere: another connection of the same ends, the
    /// first of which was not seen to end.
    pub fn restart(&mut self, sequence: u32, probes: &mut Probes, shared: &mut Shared) {
        if self.begun && sequence == self.first {
            return;
        }
        self.begin_at(sequence);
        (self.fin, self.reset, self.busy) = (false, false, false);
        (self.idle_ns, self.candidate, self.probed, self.segments) = (NEVER, 0, false, 0);
        probes.reset(false);
        if let Some(losses) = shared.losses.at(self.losses) {
            losses.restart();
        }
    }

    /// Octets in flight.
    #[inline(always)]
    fn flight(&self) -> u32 {
        distance(self.acknowledged, self.next).max(0) as u32
    }

    /// Whether its sender sent a FIN or RST.
    pub fn is_closed(&self) -> bool {
        self.fin || self.reset
    }

    /// Its sender sent a RST.
    pub fn reset(&mut self) {
        self.reset = true;
    }

    /// Marks of congestion and of it being heard of; those of a SYN negotiate (RFC 3168 section 6.1.1).
    #[inline(always)]
    pub fn count_ecn(&mut self, ecn: u8, flags: TcpFlags) {
        const ECE: TcpFlags = TcpFlags(0x40);
        const CWR: TcpFlags = TcpFlags(0x80);
        const MARKS: TcpFlags = TcpFlags(0xc0);
        if ecn != 0 {
            let congested = ecn == 3;
            self.counts.ce += u32::from(congested);
            self.counts.ect += u32::from(!congested);
        }
        if flags.any(MARKS) {
            self.counts.ece += u32::from(flags.any(ECE));
            self.counts.cwr += u32::from(flags.any(CWR));
        }
    }

    /// Follows a segment that carries data or a FIN. `receiver` is the other direction.
    #[inline(always)]
    pub fn send(&mut self, probes: &mut Probes, segment: &Segment, receiver: &Stream, moment: &mut Moment<'_>) {
        if !self.begun {
            self.begin_at(segment.sequence);
        }
        if segment.sequence != self.next {
            return self.displaced(probes, segment, receiver, moment);
        }
        if receiver.closed && segment.payload_octets == 1 && !segment.fin {
            // The octet goes again once the window opens, unless it is acknowledged.
            self.counts.window_probes += 1;
            self.probed = true;
            return;
        }
        self.probed = false;
        self.extend(probes, segment, true, moment);
    }

    /// Takes in what continues behind the highest octet.
    #[inline(always)]
    fn extend(&mut self, probes: &mut Probes, segment: &Segment, probe: bool, moment: &Moment<'_>) {
        let now_ns = moment.now_ns;
        let end = segment.end();
        self.next = end;
        self.sent_ns = now_ns;
        self.has_data |= segment.payload_octets > 0;
        let mut flight = self.flight();
        if flight > PLAUSIBLE as u32 {
            // Nothing acknowledges it here.
            (self.acknowledged, flight) = (end, 0);
        }
        if !self.busy && flight > 0 {
            self.busy = true;
            (self.busy_ns, self.progress_ns) = (now_ns, now_ns);
            self.segments = 0;
            self.end_idle(now_ns);
        }
        self.segments = self.segments.saturating_add(1);
        self.largest_flight = self.largest_flight.max(flight);
        self.small = segment.payload_octets < self.load_unit();
        if segment.packet_octets > self.arrives {
            self.consider(segment, end);
        }
        if segment.fin {
            (self.fin, self.fin_end) = (true, end);
        }
        let by_timestamp = segment.timestamp != 0;
        if by_timestamp != probes.by_timestamp {
            probes.reset(by_timestamp);
        }
        if by_timestamp {
            probes.offer(segment.timestamp, moment.tick, self.spacing);
        } else if probe {
            probes.offer(end, moment.tick, self.spacing);
        }
    }

    /// The largest payload to reckon with.
    #[inline(always)]
    fn load_unit(&self) -> u32 {
        match self.maximum_segment_octets {
            0 => USUAL_SEGMENT_OCTETS,
            known => known,
        }
    }

    /// An IP packet as large as it is on the path: segments that a network card has yet to cut, or has put together,
    /// are larger here.
    fn on_path(&self, segment: &Segment) -> u32 {
        let beyond = segment.payload_octets.saturating_sub(self.load_unit());
        segment.packet_octets.saturating_sub(beyond)
    }

    #[inline(never)]
    fn consider(&mut self, segment: &Segment, end: u32) {
        let octets = self.on_path(segment);
        if octets > self.arrives && octets > self.candidate {
            (self.candidate, self.candidate_end) = (octets, end);
        }
    }

    /// A segment that does not continue behind the highest octet.
    #[cold]
    fn displaced(&mut self, probes: &mut Probes, segment: &Segment, receiver: &Stream, moment: &mut Moment<'_>) {
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
        if ahead == -1 && segment.payload_octets == 1 && self.probes_window(receiver) {
            return;
        }
        self.take_old(probes, segment, receiver, moment);
    }

    /// An empty segment, or one of one octet, below the next expected one: a keep-alive (RFC 9293 section 3.8.4), a
    /// probe of a closed window (section 3.8.6.1), or, when its octet is not acknowledged, neither.
    fn probes_window(&mut self, receiver: &Stream) -> bool {
        if receiver.closed {
            self.counts.window_probes += 1;
        } else if !self.busy {
            self.counts.keep_alives += 1;
        } else {
            return false;
        }
        true
    }

    /// Follows a segment without data, SYN, FIN or RST.
    #[inline(always)]
    pub fn send_nothing(&mut self, sequence: u32, receiver: &Stream) {
        if !self.begun {
            self.begin_at(sequence);
        } else if distance(self.next, sequence) == -1 && !self.fin {
            self.probe_empty(receiver);
        }
    }

    #[cold]
    fn probe_empty(&mut self, receiver: &Stream) {
        if !self.probes_window(receiver) {
            // A keep-alive while something is in flight is odd, but nothing else.
            self.counts.keep_alives += 1;
        }
    }

    fn open_gap(&mut self, segment: &Segment, moment: &mut Moment<'_>) {
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

    fn losses<'a>(&mut self, moment: &'a mut Moment<'_>) -> Option<&'a mut Losses> {
        let losses = moment.shared.losses.ensure(&mut self.losses);
        if losses.is_none() {
            self.flags.insert(MeasurementFlags::LOSSES_UNTRACKED);
        }
        losses
    }

    /// Data below the highest octet: sent again, or overtaken.
    fn take_old(&mut self, probes: &mut Probes, segment: &Segment, receiver: &Stream, moment: &mut Moment<'_>) {
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
        if let Some(losses) = self.losses(moment) {
            let (filled, no_room) = losses.gaps.fill(start, end);
            let overtaken = filled.is_some_and(|(_, gap)| {
                let age_us = microseconds(tick.since(gap.opened));
                was_overtaken(segment.timestamp, gap.timestamp, age_us, handshake_us)
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

    /// How long the sender waits for an ACK (RFC 6298 section 2.3), over both parts of the path, ns.
    fn rto_ns(&self, receiver: &Stream) -> i64 {
        let part = |stream: &Stream| i64::from(stream.smoothed_us) + 4 * i64::from(stream.variation_us);
        match part(self) + part(receiver) {
            0 => FIRST_RTO_NS,
            us => LEAST_RTO_NS.max(us * 1000),
        }
    }

    /// Follows an ACK of the other side, which is `receiver`.
    #[inline(always)]
    pub fn acknowledge(
        &mut self,
        probes: &mut Probes,
        ack: &Acknowledgment<'_>,
        receiver: &Stream,
        moment: &mut Moment<'_>,
    ) {
        if !self.begun {
            // What it acknowledges was sent before the capture began.
            return self.begin_at(ack.number);
        }
        let advance = distance(self.acknowledged, ack.number);
        if probes.any() {
            let sent = if probes.by_timestamp {
                probes.answer_timestamp(ack.echo, moment.tick)
            } else if advance > 0 {
                probes.answer_sequence(ack.number, moment.tick)
            } else {
                None
            };
            if let Some(sent) = sent {
                self.sample(sent, probes.by_timestamp, ack, receiver, moment);
            }
        }
        if advance > 0 {
            self.progress(ack.number, advance, moment);
        } else {
            self.stand_still(advance, ack, receiver, moment);
        }
        if !ack.options.is_empty() {
            self.follow_sack(ack, moment);
        }
    }

    /// The left edge moves on.
    #[inline(always)]
    fn progress(&mut self, number: u32, advance: i32, moment: &mut Moment<'_>) {
        let unseen = distance(self.next, number);
        if unseen > 0 {
            if unseen > UNSEEN && self.has_data {
                return;
            }
            if unseen == 1 && self.probed {
                self.next = number;
            } else {
                self.flags.insert(MeasurementFlags::CAPTURE_GAP);
            }
            self.probed = false;
        }
        let mut octets = advance as u32;
        if self.fin && !is_before(number, self.fin_end) && is_before(self.acknowledged, self.fin_end) {
            octets -= 1;
        }
        self.acknowledged_octets += u64::from(octets);
        let silence_ns = moment.now_ns.saturating_sub(self.progress_ns);
        self.acknowledged = number;
        self.progress_ns = moment.now_ns;
        self.duplicates = 0;
        if self.candidate != 0 && !is_before(number, self.candidate_end) {
            self.arrives = std::mem::take(&mut self.candidate);
        }
        if let Some(losses) = moment.shared.losses.at(self.losses) {
            losses.progress(number, moment.now_ns, silence_ns, self.arrives);
        }
        if unseen >= 0 && self.busy {
            self.busy = false;
            self.busy_total_ns += moment.now_ns.saturating_sub(self.busy_ns).max(0);
            self.idle_ns = moment.now_ns;
        }
    }

    /// The left edge stays: a duplicate ACK as in RFC 5681 section 2, or one that tells other things.
    #[inline(always)]
    fn stand_still(&mut self, advance: i32, ack: &Acknowledgment<'_>, receiver: &Stream, moment: &mut Moment<'_>) {
        if self.losses != NONE
            && let Some(losses) = moment.shared.losses.at(self.losses)
        {
            losses.hear();
        }
        let unchanged = receiver.window_known && ack.window == Some(receiver.window);
        if advance == 0 && ack.pure && self.busy && unchanged {
            self.duplicates = self.duplicates.saturating_add(1);
            self.counts.duplicate_acks += 1;
        }
    }

    #[cold]
    fn follow_sack(&mut self, ack: &Acknowledgment<'_>, moment: &mut Moment<'_>) {
        let found = super::options::sack(ack.options);
        if found.as_slice().is_empty() {
            return;
        }
        let (acknowledged, next) = (self.acknowledged, self.next);
        if let Some(losses) = self.losses(moment) {
            losses.follow_sack(found.as_slice(), acknowledged, next);
        }
    }

    /// A round-trip time.
    fn sample(
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

    fn take_loaded(&mut self, us: u32, sent: Tick, receiver: &Stream, moment: &mut Moment<'_>) {
        let since_reopened = moment.tick.since(receiver.reopened);
        if receiver.closed || receiver.stalled && since_reopened <= moment.tick.since(sent) {
            self.flags.insert(MeasurementFlags::RECEIVER_STALL);
        } else if let Some(loaded) = moment.shared.histograms.ensure(&mut self.loaded) {
            loaded.add(us);
        } else {
            self.flags.insert(MeasurementFlags::QUANTILES_APPROXIMATE);
        }
    }

    /// Follows the window that its sender offers; `sender` is the stream it offers it to.
    #[inline(always)]
    pub fn offer_window(&mut self, window: u16, sender: &mut Stream, moment: &Moment<'_>) {
        self.window = window;
        self.window_known = true;
        if window == 0 || self.closed {
            self.turn_window(window == 0, sender, moment);
        }
    }

    #[cold]
    fn turn_window(&mut self, closed: bool, sender: &mut Stream, moment: &Moment<'_>) {
        self.counts.zero_window_packets += u32::from(closed);
        if closed == self.closed {
            return;
        }
        self.closed = closed;
        if closed {
            self.counts.zero_windows += 1;
            self.closed_ns = moment.now_ns;
            sender.end_idle(moment.now_ns);
        } else {
            self.account_closed(moment.now_ns);
            (self.stalled, self.reopened) = (true, moment.tick);
            if sender.has_data && !sender.busy && !sender.fin {
                sender.idle_ns = moment.now_ns;
            }
        }
    }

    fn account_closed(&mut self, until_ns: i64) {
        let closed_ns = until_ns.saturating_sub(self.closed_ns).max(0);
        self.closed_total_ns += closed_ns;
        self.closed_longest_ns = self.closed_longest_ns.max(closed_ns);
    }

    fn end_idle(&mut self, now_ns: i64) {
        if self.idle_ns != NEVER {
            self.idle_total_ns += now_ns.saturating_sub(self.idle_ns).max(0);
            self.idle_ns = NEVER;
        }
    }

    /// The connection is over: that nothing is in flight any more says nothing about its sender.
    pub fn stop_waiting(&mut self) {
        self.idle_ns = NEVER;
    }

    /// Closes what is open at the end of a record, for it to go on in the next.
    pub fn close_intervals(&mut self, last_ns: i64) {
        if self.busy {
            self.busy_total_ns += last_ns.saturating_sub(self.busy_ns).max(0);
            self.busy_ns = last_ns;
        }
        if self.closed {
            self.account_closed(last_ns);
            self.closed_ns = last_ns;
        }
        if self.idle_ns != NEVER && !self.fin {
            self.end_idle(last_ns);
            self.idle_ns = last_ns;
        }
    }

    pub fn base_us(&self) -> Option<u32> {
        (self.base_us != u32::MAX).then_some(self.base_us)
    }

    pub fn largest_flight(&self) -> u32 {
        self.largest_flight
    }

    pub fn arrives(&self) -> u32 {
        self.arrives
    }

    pub fn losses_place(&self) -> u32 {
        self.losses
    }

    /// How long the left edge has not moved although something is in flight, ns.
    pub fn silence_ns(&self, last_ns: i64) -> i64 {
        last_ns.saturating_sub(self.progress_ns).max(0)
    }

    /// How many round-trip times were taken under load, and their 90th percentile, µs.
    pub fn loaded(&self, histograms: &Pool<Histogram>) -> (u32, u32) {
        let loaded = histograms.look(self.loaded);
        let p90 = loaded.and_then(|loaded| loaded.quantiles([90]));
        (loaded.map_or(0, Histogram::total), p90.map_or(0, |[p90]| p90))
    }

    /// Begins the next record.
    pub fn begin_record(&mut self, shared: &mut Shared) {
        shared.histograms.free(&mut self.loaded);
        if let Some(losses) = shared.losses.at(self.losses) {
            losses.begin_record();
        }
        (self.busy_total_ns, self.idle_total_ns) = (0, 0);
        (self.closed_total_ns, self.closed_longest_ns) = (0, 0);
        self.acknowledged_octets = 0;
        self.counts = Counts::default();
        const LASTING: u16 = MeasurementFlags::MID_STREAM.0;
        self.flags.0 &= LASTING;
    }

    /// Gives back what it holds of the pools.
    pub fn free(&mut self, shared: &mut Shared) {
        shared.histograms.free(&mut self.loaded);
        self.samples.free(&mut shared.histograms);
        shared.losses.free(&mut self.losses);
    }
}

/// Whether a segment that fills a gap was overtaken on its way, rather than sent again because the first copy was lost
/// before it came here: its sender's clock is not past that of the segment which overtook it, or, without timestamps,
/// no answer can have passed in between. A clock that stands still for longer than an answer takes tells nothing.
fn was_overtaken(timestamp: u32, overtaker: u32, age_us: u32, handshake_us: Option<u32>) -> bool {
    let soon = age_us < handshake_us.unwrap_or(OVERTAKEN_US).min(OVERTAKEN_US);
    if timestamp == 0 || overtaker == 0 {
        return soon;
    }
    match distance(overtaker, timestamp) {
        0 => soon || handshake_us.is_none_or(|handshake_us| age_us < handshake_us),
        later => later < 0,
    }
}
