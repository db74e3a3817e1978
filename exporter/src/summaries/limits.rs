//! The named maxima of summaries: what traffic says decides nothing about how much memory they take.

/// Fewest and most windows that are filled at the same time: the current one, those that wait for what is late, and two
/// for what comes later still. Windows of a second need the most.
pub const OPEN_WINDOWS: [usize; 2] = [4, 16];
/// A window stays open for this long behind its end: an unanswered DNS query is known only after its timeout.
pub const LATENESS_NS: i64 = 10_000_000_000;
/// Shortest and longest window, ns.
pub const WINDOW_NS: [i64; 2] = [1_000_000_000, 3_600_000_000_000];
/// Rows of a list that are exported, and that are shown.
pub const LIST_ROWS: usize = 10;
/// Most rows of a list that anybody can ask for.
pub const MAX_LIST_ROWS: usize = 1000;
/// Addresses whose counts are put together before they go into sketches, for each end. A power of two.
pub const COMBINED_ADDRESSES: usize = 4096;
/// Names likewise.
pub const COMBINED_NAMES: usize = 4096;
/// Fewest and most closed windows that are kept for readers; a full one takes some 2 MB.
pub const KEPT_WINDOWS: [usize; 2] = [1, 30];
/// Closed windows of each worker that wait to be merged and exported. Then files wait, and live the oldest goes.
pub const WAITING_WINDOWS: usize = 8;
/// A window is taken for whole this long after the first worker has closed it, even if another one has not, ns.
pub const PATIENCE_NS: i64 = 10_000_000_000;
/// Moments of each worker that are remembered for the rates.
pub const RATE_SAMPLES: usize = 16;
/// Types and codes of DNS likewise.
pub const COMBINED_TYPES: usize = 64;
/// Pairs of a zone and a client that are remembered as told already.
pub const SEEN_CLIENTS: usize = 4096;
/// Zones whose clients and names are counted in a window, with two small sketches each.
pub const ZONES: usize = 256;
/// Registers of those: 2^9 give a standard error of 4.6 %.
pub const ZONE_LG_K: u8 = 9;
/// Networks that can be given as the host's own.
pub const NETWORKS: usize = 256;
