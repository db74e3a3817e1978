//! Every bound of the exporter that outside bytes, traffic or peers can reach, in one place.

/// Biflows kept unless `--max-flows` says otherwise.
pub const DEFAULT_MAX_FLOWS: usize = 1 << 20;

/// Largest `--max-flows`: the table numbers flows with 32 bits.
pub const MAX_MAX_FLOWS: usize = 1 << 28;

/// Flow Records that wait to be polled before expiry pauses until they are.
pub const MAX_PENDING_RECORDS: usize = 2 * crate::exporting::limits::BATCH_RECORDS;

/// Flow Records that the lists of a batch may have room for to be used again.
pub const MAX_RECYCLED_RECORDS: usize = 16_384;

/// Octets of application values likewise.
pub const MAX_RECYCLED_OCTETS: usize = 1 << 20;

/// Aggregated Flows of a flood, those of the rest of each protocol apart.
pub const MAX_FOLDS: usize = 4096;

/// A table for fewer flows than this never folds: it is full all the time.
pub const LEAST_FOLDING_FLOWS: usize = 4096;

/// Folded flows of which is remembered that their first packet was seen, so that the second gets them a place.
pub const MAX_FOLDED_REMEMBERED: usize = 1 << 16;

/// A SYN with a new sequence number begins another connection when the one before has been silent for this long, ns.
pub const TCP_FORGOTTEN_NS: i64 = 10_000_000_000;

/// Fragmented datagrams that are remembered, so that later fragments join the flow of the first one.
pub const MAX_DATAGRAMS: usize = 8192;

/// How long they are remembered, ns: IPv4, IPv6.
pub const FRAGMENT_LIFETIME_NS: [i64; 2] = [30_000_000_000, 60_000_000_000];

/// Planned looks at timeouts that are kept beyond two for each of the most flows; more are swept.
pub const SPARE_VISITS: usize = 4096;

/// Flows looked at, when the table is full, for the one that has been idle longest.
pub const EVICTION_VISITS: usize = 64;

/// Octets of one captured frame. libpcap's own bound.
pub const MAX_FRAME_OCTETS: usize = 256 * 1024;

/// Octets of one pcapng block. Blocks with frames are smaller; larger ones of other kinds are stepped over unread.
pub const MAX_BLOCK_OCTETS: usize = 16 * 1024 * 1024;

/// Interfaces described in one pcapng section.
pub const MAX_INTERFACES: usize = 4096;

/// Frames that a capture file lends at a time.
pub const FRAMES_LENT: usize = 256;

/// Octets read from a capture file at a time.
pub const READ_OCTETS: usize = 256 * 1024;

/// Capture files that one run reads, those found in folders included.
pub const MAX_CAPTURE_FILES: usize = 1 << 20;

/// TCP connections whose performance is measured at a time, unless the configuration says otherwise.
pub const DEFAULT_MAX_TCP_TRACKERS: usize = 1 << 17;

/// Largest N of sampling 1 in N.
pub const MAX_SAMPLING_INTERVAL: u32 = 1 << 24;

/// Largest power of two that adaptive sampling takes one packet in.
pub const ADAPTIVE_STEPS: u32 = 12;

/// Octets of payload that waits to be parsed and of values found in payload, of all flows together.
pub const APPLICATION_MEMORY_OCTETS: usize = 256 * 1024 * 1024;

/// Flows whose application is being read at the same time.
pub const APPLICATION_READINGS: u32 = 1 << 18;

/// Packets with payload in one direction that are looked at before it counts as unknown.
pub const RECOGNITION_PACKETS: u32 = 3;

/// Octets of a direction that wait while its application is not recognised.
pub const UNDECIDED_OCTETS: usize = 4096;

/// Datagrams of one direction that a parser sees at most.
pub const APPLICATION_DATAGRAMS: u8 = 16;

/// Octets of all values of one application record, so that a Data Record fits into a Message of the smallest path MTU.
pub const APPLICATION_VALUE_OCTETS: usize = 800;

/// Octets of the kernel's ring for a worker of an interface unless `--buffer` says otherwise.
pub const RING_OCTETS: u32 = 4 << 20;

/// Smallest and largest `--buffer`.
pub const MIN_RING_OCTETS: u32 = 256 << 10;
/// libpcap takes the size as a signed number of 32 bits.
pub const MAX_RING_OCTETS: u32 = 1 << 30;

/// Octets kept of a live frame unless `--snaplen` says otherwise: the largest frame that is not of jumbo size, whole;
/// of segments that the network card or the kernel has joined the headers and the first payload.
pub const SNAPLEN: u32 = 2048;

/// Smallest `--snaplen`: Ethernet with two VLAN tags, the longest IPv4 and TCP headers.
pub const MIN_SNAPLEN: u32 = 142;

/// Largest `--snaplen`, that of libpcap.
pub const MAX_SNAPLEN: u32 = 262_144;

/// Most `--workers` of an interface.
pub const MAX_WORKERS: usize = 64;

/// Most threads that capture.
pub const MAX_CAPTURES: usize = 256;

/// Packets that a flow table remembers to know them again on another interface: 250 ms of a million a second.
pub const PACKETS_REMEMBERED: usize = 1 << 18;

/// Interfaces captured from in one run.
pub const MAX_LIVE_INTERFACES: usize = 64;

/// Segments of one direction of a TCP connection that wait for their answer to tell a round-trip time.
pub const TCP_PROBES: usize = 16;

/// Gaps in the sequence numbers of one direction of a TCP connection that are followed at a time.
pub const TCP_GAPS: usize = 32;

/// Connections to one that loses segments, for which memory is set aside, and to one direction with so many samples
/// that it needs a histogram.
pub const TCP_TRACKERS_PER_LOSSES: usize = 2;
/// Likewise.
pub const TCP_TRACKERS_PER_HISTOGRAM: usize = 4;

/// Where there are few trackers, parts of either kind at least, as far as there are trackers for them.
pub const LEAST_TCP_PARTS: usize = 1024;

/// DNS transactions that wait for their response, unless the configuration says otherwise.
pub const DNS_OPEN_TRANSACTIONS: usize = 1 << 16;

/// Most that can be asked for.
pub const MAX_DNS_OPEN_TRANSACTIONS: usize = 1 << 24;

/// How often open DNS transactions are looked at for those whose time is over, ns.
pub const DNS_LOOK_NS: i64 = 100_000_000;

/// The answers of one DNS response in this many are read unless told otherwise.
pub const DNS_ANSWERS_INTERVAL: u32 = 16;

/// Largest N of that.
pub const MAX_DNS_ANSWERS_INTERVAL: u32 = 1 << 24;

/// Answers of one DNS response that are read, and octets that their records take.
pub const DNS_ANSWERS: usize = 64;
/// With the longest of usual names, a Data Record fits into a Message of the smallest path MTU.
pub const DNS_ANSWER_OCTETS: usize = 600;

/// TCP connections of DNS that are followed at a time.
pub const DNS_STREAMS: usize = 1 << 15;

/// Octets of DNS messages over TCP that wait for their rest, of all connections together.
pub const DNS_STREAM_OCTETS: usize = 32 << 20;

/// A TCP connection of DNS is forgotten after this long without a packet, ns.
pub const DNS_STREAM_IDLE_NS: i64 = 120_000_000_000;

/// Metered packets that wait to be counted in summaries: many times what a source lends at a time.
pub const MAX_PACKET_FACTS: usize = 8192;
