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

/// Octets read from a capture file at a time.
pub const READ_OCTETS: usize = 256 * 1024;

/// Capture files that one run reads, those found in folders included.
pub const MAX_CAPTURE_FILES: usize = 1 << 20;

/// TCP connections whose performance is measured at a time, unless the configuration says otherwise.
pub const DEFAULT_MAX_TCP_TRACKERS: usize = 1 << 17;
