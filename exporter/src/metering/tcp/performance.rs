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

/// What one direction's sender and its path did since the record before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TcpDirection {
    /// Segments sent again whose octets had been seen here, or that filled a gap that a loss had made.
    pub retransmitted_packets: u32,
    /// Payload octets of these.
    pub retransmitted_octets: u64,
    /// Those after three duplicate ACKs or a SACK.
    pub fast_retransmissions: u32,
    /// Those after a retransmission timeout.
    pub timeout_retransmissions: u32,
    /// Those that the receiver had no need of.
    pub spurious_retransmissions: u32,
    /// Segments that came behind later ones.
    pub out_of_order_packets: u32,
    /// Duplicate ACKs that this direction sent (RFC 5681 section 2).
    pub duplicate_acks: u32,
    /// Times this direction's window closed.
    pub zero_windows: u32,
    /// How long it was closed, ms.
    pub zero_window_ms: u32,
    /// How long data was in flight, ms.
    pub busy_ms: u32,
    /// Payload octets newly acknowledged by the other side.
    pub acknowledged_octets: u64,
    /// How long the sender had nothing to send although the window was open, ms.
    pub application_limited_ms: u32,
    /// Throughput while busy, bit/s; none without busy time.
    pub non_idle_bps: Option<f64>,
    /// Whether the queue before the receiver delays loaded traffic; none is unknown.
    pub bufferbloat: Option<bool>,
    /// 90th percentile of loaded samples above the base, ms.
    pub bufferbloat_ms: u32,
    /// Where this direction's data disappears, if it does.
    pub blackhole: Option<BlackholeKind>,
    /// Largest IP packet known to arrive and smallest known not to; 0 is unknown.
    pub path_mtu: [u32; 2],
    /// Packets marked Congestion Experienced (RFC 3168).
    pub ce_packets: u32,
}

/// Performance of one biflow's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TcpPerformance {
    /// Between the observation point and the server, then the client.
    pub rtt: [RttSummary; 2],
    /// Forward, then reverse.
    pub directions: [TcpDirection; 2],
}
