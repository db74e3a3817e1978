//! The named maxima of exporting: nothing between metering and the wire grows beyond them.

/// Flow records a destination's queue holds unless told otherwise, live; some 50 MB when full.
pub const QUEUE_RECORDS: usize = 200_000;
/// The least that can be asked for. A batch that is larger still passes.
pub const MIN_QUEUE_RECORDS: usize = 256;
/// The most that can be asked for.
pub const MAX_QUEUE_RECORDS: usize = 100_000_000;
/// Flow records in one batch from metering to the destinations: enough that what is paid once for each batch (threads
/// that wake up, Messages that are not full, runs of datagrams that end) hardly counts.
pub const BATCH_RECORDS: usize = 4096;
/// Flow records that wait for one destination when files are read: metering works on while it sends. More would only
/// spread them over more memory.
pub const FILE_QUEUE_RECORDS: usize = 2 * BATCH_RECORDS;
/// Batches whose memory is kept for the next ones.
pub const SPARE_BATCHES: usize = 8;
/// Templates of Flow Records in one session; what has more variants goes out with fewer optional groups.
pub const FLOW_TEMPLATES: usize = 512;

/// Packets of NetFlow whose memory is kept for the next ones: those of a batch.
pub const NETFLOW_SPARE_PACKETS: usize = 1024;
/// Records of version 5 that one flow is split over, as its counters have 32 bits: 17 TB. What has more is not sent.
pub const NETFLOW5_SPLIT_RECORDS: u64 = 4096;

/// How often a collector is asked over DTLS whether it is there, unless told otherwise.
pub const DTLS_CHECK: std::time::Duration = std::time::Duration::from_secs(1);

/// Largest Message over UDP unless told otherwise: fits an Ethernet path with room for tunnels.
/// RFC 7011 section 10.3.3 asks for 512 where the path MTU is not known.
pub const UDP_MESSAGE_OCTETS: u16 = 1400;
/// Smallest that still takes every template of Flow Keys and counters; larger ones lose their optional groups.
pub const MIN_UDP_MESSAGE_OCTETS: u16 = 512;
/// What fits into a UDP datagram over IPv4.
pub const MAX_UDP_MESSAGE_OCTETS: u16 = 65507;
/// Message size on a TCP connection: fewer headers, and still a small unit of loss.
pub const TCP_MESSAGE_OCTETS: u16 = 16_384;
/// Message size in an IPFIX File: the length field's maximum (RFC 7011 section 3.1).
pub const FILE_MESSAGE_OCTETS: u16 = 65_535;

/// Templates go again over UDP after this many Messages unless told otherwise.
pub const TEMPLATE_REFRESH_MESSAGES: u64 = 1000;
/// Records a second over UDP when reading files: faster overruns the receive buffer of an untuned collector.
pub const FILE_RATE_RECORDS: u64 = 50_000;

/// Least and most octets of a file, or of a series of files, that can be asked for.
pub const FILE_OCTETS_BOUNDS: [u64; 2] = [1 << 10, 1 << 50];

/// Octets of summaries a minute to each destination unless told otherwise.
pub const SUMMARY_OCTETS: u32 = 65_536;
/// The same where images are not sent: below 7 kB with the templates and types that are repeated every ten minutes.
pub const SUMMARY_OCTETS_WITHOUT_IMAGES: u32 = 6_800;
/// Least and most that can be asked for.
pub const SUMMARY_OCTETS_BOUNDS: [u32; 2] = [1_024, 64 << 20];

/// One part in this many of a window's octets is kept for what comes late to it.
pub const SUMMARY_LATE_SHARE: usize = 16;
/// Octets of an image, whose parts are numbered with 16 bits.
pub const LIST_IMAGE_OCTETS: usize = 65_535;

/// Destinations of one exporter.
pub const DESTINATIONS: usize = 64;

/// Messages from a spool that are handed to the system before it is looked what has arrived of them.
pub const MESSAGES_BETWEEN_LOOKS: usize = 64;
/// Messages from a spool that are on their way and of which the other end's system has not said that it has them.
pub const UNARRIVED_MESSAGES: usize = 1024;
/// Octets of a destination's spool unless told otherwise.
pub const SPOOL_OCTETS: u64 = 1 << 30;
/// The least and the most that can be asked for.
pub const SPOOL_OCTETS_BOUNDS: [u64; 2] = [1 << 20, 1 << 44];
