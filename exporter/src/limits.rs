//! Every bound of the exporter that outside bytes, traffic or peers can reach, in one place.

/// Biflows kept unless `--max-flows` says otherwise.
pub const DEFAULT_MAX_FLOWS: usize = 1 << 20;

/// Largest `--max-flows`: the table numbers flows with 32 bits.
pub const MAX_MAX_FLOWS: usize = 1 << 28;

/// Flow Records that wait to be polled before expiry pauses until they are.
pub const MAX_PENDING_RECORDS: usize = 16_384;

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
