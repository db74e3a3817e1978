//! One direction of a connection: what its sender sent as seen here, and what the other side said to it.
//!
//! The common packet, data in order or an ACK that moves on, touches nothing but this; gaps and what is sent again take
//! the long way through [`Losses`].

mod answer;
mod displaced;
mod interval;
mod round_trip;

use super::MeasurementFlags;
use super::losses::Losses;
use super::pool::{NONE, Pool};
use super::probes::{Probes, Tick};
use super::sequence::distance;
use super::sketch::{Histogram, Samples};
use flowgauge_templates::packet::TcpFlags;

/// Segments farther from what is expected, or ACKs, are of another connection or forged.
const PLAUSIBLE: i32 = 1 << 30;
/// Largest payload where the SYN that states it was not seen.
const USUAL_SEGMENT_OCTETS: u32 = 1460;
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
    /// When the left edge moved last.
    acknowledged_ns: i64,
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
            acknowledged_ns: 0,
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

    pub fn largest_flight(&self) -> u32 {
        self.largest_flight
    }

    pub fn arrives(&self) -> u32 {
        self.arrives
    }

    pub fn losses_place(&self) -> u32 {
        self.losses
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
