//! Every maximum of the collector in one place, so that none is hidden in the code it bounds.

/// Other elements (those no column takes) kept per row; more are dropped and counted.
pub const OTHER_ELEMENTS_PER_ROW: usize = 256;
/// Octets of text kept of one value; longer text is cut at a character boundary and counted.
pub const TEXT_VALUE_OCTETS: usize = 16_384;
/// Distinct names of other elements in one segment; rows keep their columns, further names are dropped and counted.
pub const OTHER_NAMES_PER_SEGMENT: usize = 2_048;
/// Octets of the name of an other element.
pub const OTHER_NAME_OCTETS: usize = 256;
/// Rows whose buffers are kept for use by later rows of the same thread.
pub const RECYCLED_ROWS: usize = 64;
/// Cells of one row a recycled buffer may hold before it is given back.
pub const RECYCLED_ROW_CELLS: usize = 512;
/// Octets of text a recycled row may hold before it is given back.
pub const RECYCLED_ROW_TEXT_OCTETS: usize = 65_536;

/// Segments written but not yet published: one is being serialised while the next one fills.
pub const SEGMENTS_IN_FLIGHT: usize = 1;
/// Segments of one partition that are kept beside each other before some are merged.
pub const SEGMENTS_PER_PARTITION: usize = 24;
/// Segments merged in one go.
pub const SEGMENTS_PER_MERGE: usize = 12;
/// Rows of a merged segment; larger ones are left as they are.
pub const ROWS_PER_MERGED_SEGMENT: u64 = 8_000_000;

/// Octets of a filter text.
pub const FILTER_OCTETS: usize = 65_536;
/// Nesting of parentheses and `not` in a filter.
pub const FILTER_DEPTH: usize = 64;
/// Leaves of a filter (comparisons and words).
pub const FILTER_LEAVES: usize = 1_024;
/// Values of one set (`in (..)`).
pub const FILTER_SET_VALUES: usize = 4_096;
/// Octets of one pattern.
pub const PATTERN_OCTETS: usize = 1_024;
/// Octets a compiled pattern may take.
pub const PATTERN_COMPILED_OCTETS: usize = 1 << 20;

/// Rows of one answer of `flows`.
pub const FLOWS_PER_ANSWER: usize = 100_000;
/// Groups held while an aggregate runs, over all threads.
pub const GROUPS_PER_AGGREGATE: usize = 4_000_000;
/// Rows of one answer of `aggregate`, series counted by bucket.
pub const ROWS_PER_AGGREGATE: usize = 1_000_000;
/// Buckets of one series.
pub const BUCKETS_PER_SERIES: usize = 10_000;
/// Columns one aggregate may group by.
pub const GROUP_COLUMNS: usize = 8;
/// Metrics of one aggregate.
pub const METRICS_PER_AGGREGATE: usize = 32;
/// Values held for `unique` and quantiles while an aggregate runs.
pub const VALUES_PER_AGGREGATE: usize = 16_000_000;
/// Items of one answer of `complete`.
pub const COMPLETIONS: usize = 50;
/// Dictionary terms read for one answer of `complete`.
pub const COMPLETION_TERMS: usize = 20_000;
/// Threads that work on one query.
pub const QUERY_THREADS: usize = 2;
