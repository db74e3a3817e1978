//! What one biflow's record says about TCP performance.

/// Round-trip times between the observation point and one side of the connection, µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RttSummary {
    /// Samples; with 0 the other fields mean nothing.
    pub samples: u32,
    /// Least.
    pub minimum_us: u32,
    /// Arithmetic mean.
    pub mean_us: u32,
    /// Half of the samples are at most this.
    pub p50_us: u32,
    /// Nine of ten samples are at most this.
    pub p90_us: u32,
    /// 99 of 100 samples are at most this.
    pub p99_us: u32,
    /// Largest.
    pub maximum_us: u32,
}

/// Why data never arrives, numbered as in tcpBlackholeKind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BlackholeKind {
    /// SYNs stay unanswered.
    Syn = 1,
    /// Nothing comes from the peer any more.
    DeadPath = 2,
    /// Only large segments are lost.
    PmtuSuspected = 3,
    /// Large segments are lost, and the same octets in smaller ones arrived.
    PmtuConfirmed = 4,
}

/// What of a measurement is missing or approximate, as in tcpMeasurementFlags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MeasurementFlags(pub u16);

impl MeasurementFlags {
    /// The connection was there before the capture: there is no handshake, and window scale and MSS are unknown.
    pub const MID_STREAM: MeasurementFlags = MeasurementFlags(1);
    /// Nothing was seen of the other direction: there are no round-trip times, and losses show as gaps only.
    pub const ONE_SIDED: MeasurementFlags = MeasurementFlags(2);
    /// Octets were acknowledged that were not seen here.
    pub const CAPTURE_GAP: MeasurementFlags = MeasurementFlags(4);
    /// More gaps at a time than are followed.
    pub const GAPS_APPROXIMATE: MeasurementFlags = MeasurementFlags(8);
    /// Quantiles are those of a selection of samples.
    pub const QUANTILES_APPROXIMATE: MeasurementFlags = MeasurementFlags(16);
    /// Segments have no timestamps: round-trip times come from sequence numbers, order from time.
    pub const NO_TIMESTAMPS: MeasurementFlags = MeasurementFlags(32);
    /// Bufferbloat is unknown: the path was not loaded for long enough.
    pub const FEW_LOADED_SAMPLES: MeasurementFlags = MeasurementFlags(64);
    /// Bufferbloat is unknown: much in flight and the round-trip time as without load, as it looks behind the queue.
    pub const FLAT_RTT_UNDER_LOAD: MeasurementFlags = MeasurementFlags(128);
    /// Samples were left out of bufferbloat because the receiver's window was closed.
    pub const RECEIVER_STALL: MeasurementFlags = MeasurementFlags(256);
    /// An ICMP message said that a packet of this direction was too large.
    pub const ICMP_FRAGMENTATION_NEEDED: MeasurementFlags = MeasurementFlags(512);
    /// No memory was left for following losses: retransmissions and what is near them are not counted.
    pub const LOSSES_UNTRACKED: MeasurementFlags = MeasurementFlags(1024);

    /// Whether any of these is set.
    #[inline]
    pub const fn any(self, flags: MeasurementFlags) -> bool {
        self.0 & flags.0 != 0
    }

    /// Sets these.
    #[inline]
    pub fn insert(&mut self, flags: MeasurementFlags) {
        self.0 |= flags.0;
    }
}

/// What one direction's sender and its path did since the record before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TcpDirection {
    /// What is missing or approximate.
    pub flags: MeasurementFlags,
    /// SYN segments, SYN-ACKs included.
    pub syns: u32,
    /// Segments sent again whose octets had been seen here, or that filled a gap that a loss had made.
    pub retransmitted_packets: u32,
    /// Payload octets of these.
    pub retransmitted_octets: u64,
    /// Those after three duplicate ACKs or a SACK.
    pub fast_retransmissions: u32,
    /// Payload octets of these.
    pub fast_octets: u64,
    /// The others: those after a retransmission timeout.
    pub timeout_retransmissions: u32,
    /// Payload octets of these.
    pub timeout_octets: u64,
    /// Fast or not, those that the receiver had no need of.
    pub spurious_retransmissions: u32,
    /// Payload octets of these.
    pub spurious_octets: u64,
    /// Segments that came behind later ones.
    pub out_of_order_packets: u32,
    /// Payload octets of these.
    pub out_of_order_octets: u64,
    /// Duplicate ACKs that this direction sent (RFC 5681 section 2).
    pub duplicate_acks: u32,
    /// Keep-alives (RFC 9293 section 3.8.4).
    pub keep_alives: u32,
    /// Probes of a closed window (RFC 9293 section 3.8.6.1).
    pub zero_window_probes: u32,
    /// Segments that advertise no window, SYN, FIN and RST apart.
    pub zero_window_packets: u32,
    /// Times this direction's window closed.
    pub zero_windows: u32,
    /// How long it was closed, ms.
    pub zero_window_ms: u32,
    /// How long it was closed at a stretch, at most, ms.
    pub zero_window_longest_ms: u32,
    /// How long data was in flight, ms.
    pub busy_ms: u32,
    /// Payload octets newly acknowledged by the other side.
    pub acknowledged_octets: u64,
    /// How long the sender had nothing to send although the window was open, ms.
    pub application_limited_ms: u32,
    /// Throughput while busy, bit/s; none without busy time.
    pub non_idle_bps: Option<f64>,
    /// Largest number of octets in flight, since the connection began.
    pub largest_flight: u32,
    /// Least round-trip time of this direction's data, since the connection began, µs; none without a sample.
    pub base_rtt_us: Option<u32>,
    /// Round-trip times taken while much was in flight.
    pub loaded_samples: u32,
    /// Their 90th percentile, µs; means nothing without them.
    pub loaded_p90_us: u32,
    /// Whether the queue before the receiver delays loaded traffic; none is unknown.
    pub bufferbloat: Option<bool>,
    /// 90th percentile of loaded samples above the base, ms.
    pub bufferbloat_ms: u32,
    /// Where this direction's data disappears, if it does.
    pub blackhole: Option<BlackholeKind>,
    /// Retransmissions of the octets that disappear, or SYNs without an answer.
    pub blackhole_retransmissions: u32,
    /// How long nothing was acknowledged, ms.
    pub blackhole_ms: u32,
    /// How long it took until something was acknowledged again, ms; none when nothing was.
    pub recovery_ms: Option<u32>,
    /// Largest IP packet known to arrive and smallest known not to; 0 is unknown. Only with `blackhole`.
    pub path_mtu: [u32; 2],
    /// Packets of an ECN-capable transport, not marked (RFC 3168).
    pub ect_packets: u32,
    /// Packets marked Congestion Experienced (RFC 3168).
    pub ce_packets: u32,
    /// Segments with the ECN-Echo flag, SYNs apart.
    pub ece_packets: u32,
    /// Segments with the Congestion Window Reduced flag, SYNs apart.
    pub cwr_packets: u32,
}

/// Performance of one biflow's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TcpPerformance {
    /// Between the observation point and the server, then the client.
    pub rtt: [RttSummary; 2],
    /// Forward, then reverse.
    pub directions: [TcpDirection; 2],
}
