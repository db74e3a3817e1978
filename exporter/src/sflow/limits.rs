//! The named maxima of the sFlow agent: nothing between sampling and the wire grows beyond them.

use std::time::Duration;

/// Octets of a sampled packet that are sent unless told otherwise: what sFlow agents have always sent.
pub const HEADER_OCTETS: u16 = 128;
/// The least that can be asked for: the headers of TCP over IPv6 over Ethernet with a tag.
pub const MIN_HEADER_OCTETS: u16 = 80;
/// The most that can be asked for: a sample has to fit into the smallest datagram.
pub const MAX_HEADER_OCTETS: u16 = 256;

/// Octets kept of a sampled packet until it is sent: enough to read an HTTP request from.
pub const SAMPLED_OCTETS: usize = 512;
/// Sampled packets that wait to be sent; beyond it they are drops, which the next samples declare.
pub const QUEUED_SAMPLES: usize = 1024;
/// Samples after which the sending thread is woken; it looks by itself a few times a second.
pub const WAKING_SAMPLES: usize = 64;
/// Samples that the sending thread takes at a time.
pub const TAKEN_SAMPLES: usize = 32;
/// Interfaces whose packets are sampled; packets of others are counted and not sampled.
pub const MAX_SOURCES: usize = 1024;
/// Interfaces that have their counters sampled.
pub const MAX_POLLED: usize = 1024;

/// A sample leaves after no more than this and a tick, with others or alone. With what the kernel's ring keeps back that is
/// less than the second that agents have.
pub const FLUSH: Duration = Duration::from_millis(400);
/// How long the sending thread sleeps at a time while there is little to do.
pub const TICK: Duration = Duration::from_millis(200);
/// The least time between two samples of the same counters.
pub const MIN_POLLING: Duration = Duration::from_secs(1);
/// The most.
pub const MAX_POLLING: Duration = Duration::from_secs(24 * 3600);

/// Octets of an HTTP request line that are sent.
pub const URL_OCTETS: usize = 255;
/// Octets of an HTTP Host that are sent.
pub const HOST_OCTETS: usize = 64;
/// Octets of the name of a user that are sent.
pub const USER_OCTETS: usize = 64;
/// Octets of the name of a host, and of the version of its system, that are sent.
pub const NAME_OCTETS: [usize; 2] = [64, 32];
/// Users whose names are remembered.
pub const MAX_USERS: usize = 1024;
/// Adapters of a host that are named.
pub const MAX_ADAPTERS: usize = 16;
/// File systems whose space is looked at.
pub const MAX_FILE_SYSTEMS: usize = 64;
/// Octets of a file of the system that are read.
pub const MAX_SYSTEM_FILE_OCTETS: u64 = 1 << 20;
