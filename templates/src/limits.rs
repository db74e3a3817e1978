//! Every bound that bytes from outside can reach. Each has a counter that moves when it is reached.

/// Fields of one template. The longest seen in the field has 80; a Message could hold 16 000.
pub const MAX_FIELDS: usize = 1_024;

/// Templates in force in one Observation Domain of one session.
pub const MAX_TEMPLATES_PER_DOMAIN: usize = 2_048;

/// Observation Domains of one transport session.
pub const MAX_DOMAINS_PER_SESSION: usize = 1_024;

/// SCTP streams of one Observation Domain whose sequence numbers are followed, each for itself; those of further ones are
/// not judged.
pub const MAX_STREAMS_PER_DOMAIN: usize = 64;

/// Fields of all templates of one session together: bounds memory where the two limits above would multiply.
pub const MAX_FIELDS_PER_SESSION: usize = 262_144;

/// Sets of one session that wait for their template.
pub const MAX_PENDING_SETS: usize = 1_024;

/// Octets of one session's Sets that wait for their template.
pub const MAX_PENDING_OCTETS: usize = 1 << 20;

/// Seconds a Set waits for its template.
pub const PENDING_AGE_S: u32 = 300;

/// Seconds a template that came over UDP stays in force without being repeated (RFC 7011 section 8.4).
/// Far above the three refreshes that the RFC asks for, since devices exist that send templates once an hour.
pub const TEMPLATE_LIFETIME_S: u32 = 6 * 3600;

/// How deep structured data (RFC 6313) may nest.
pub const MAX_LIST_DEPTH: usize = 8;

/// Records behind the expected sequence number within which a Message is late rather than the exporter restarted.
pub const REORDER_WINDOW: u32 = 65_536;

/// Milliseconds by which an exporter's start may seem to move because Messages are late; beyond, it began anew.
pub const UPTIME_TOLERANCE_MS: u32 = 30_000;

/// Messages in a row that must be right under another reading of an exporter's sequence numbers, and wrong under the
/// protocol's, before that reading is believed.
pub const HABIT_MESSAGES: u32 = 3;

/// Octets of a Message: the 16-bit length of its header.
pub const MAX_MESSAGE_OCTETS: usize = 65_535;

/// Octets of a Message over UDP where the path MTU is not known (RFC 7011 section 10.3.3 says 512 for IPv4;
/// Ethernet less the largest common tunnel overhead is what fleets have).
pub const DEFAULT_UDP_MESSAGE_OCTETS: usize = 1_420;

/// Lanes of an optical module whose counters are read from one sFlow record; the fastest have sixteen.
pub const COUNTER_LANES: u64 = 16;
