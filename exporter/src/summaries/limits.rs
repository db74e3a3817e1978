//! The named maxima of summaries: what traffic says decides nothing about how much memory they take.

/// Windows that are filled at the same time: the current one, the one before it, and two for what comes late.
pub const OPEN_WINDOWS: usize = 4;
/// A window stays open for this long behind its end: an unanswered DNS query is known only after its timeout.
pub const LATENESS_NS: i64 = 10_000_000_000;
/// Shortest and longest window, ns.
pub const WINDOW_NS: [i64; 2] = [1_000_000_000, 3_600_000_000_000];
/// Places for frequent items of a list; three quarters of them are used. The error is at most 3.5 / this of the weight.
pub const LIST_PLACES: usize = 1024;
/// Fewest places to which a list is shrunk so that its image fits into what the budget leaves.
pub const LEAST_LIST_PLACES: usize = 16;
/// Rows of a list that are exported, and that are shown.
pub const LIST_ROWS: usize = 10;
/// Most rows of a list that anybody can ask for.
pub const MAX_LIST_ROWS: usize = 1000;
/// Registers of a cardinality: 2^11 give a standard error of 2.3 %, and an image that fits into one Message.
pub const CARDINALITY_LG_K: u8 = 11;
/// Addresses whose counts are put together before they go into sketches, for each end. A power of two.
pub const COMBINED_ADDRESSES: usize = 1024;
/// Ports likewise.
pub const COMBINED_PORTS: usize = 512;
/// Names likewise.
pub const COMBINED_NAMES: usize = 1024;
/// Octets of an item that a foreign image may hold: a DNS name with every octet escaped.
pub const ITEM_OCTETS: usize = 1024;
/// Octets of an image that is looked at.
pub const IMAGE_OCTETS: usize = 1 << 20;
/// Largest parameters of a foreign image that are taken: they decide how much memory it gets.
pub const IMAGE_LG_K: u8 = 16;
/// Likewise of quantiles.
pub const IMAGE_K: u16 = 1024;
