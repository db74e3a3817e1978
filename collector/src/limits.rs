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
pub const RECYCLED_ROWS: usize = 2_048;
/// Cells of one row a recycled buffer may hold before it is given back.
pub const RECYCLED_ROW_CELLS: usize = 512;
/// Octets of text a recycled row may hold before it is given back.
pub const RECYCLED_ROW_TEXT_OCTETS: usize = 65_536;

/// Segments written but not yet published: one is being serialised while the next one fills.
pub const SEGMENTS_IN_FLIGHT: usize = 1;
/// How often a segment that the disk does not take is tried when the collector stops and no journal has its rows.
pub const WRITES_AT_THE_END: u32 = 3;
/// What a partition of rows whose times nobody can believe covers at least, seconds of arrival.
pub const ODD_PARTITION_S: u64 = 86_400;
/// A clock that goes on by more than this at once is not believed at once.
pub const CLOCK_JUMP_NS: i64 = 86_400_000_000_000;
/// A clock that says less, the beginning of 2020, was never set.
pub const CLOCK_LEAST_NS: i64 = 1_577_836_800_000_000_000;
/// Segments of one partition that are kept beside each other before some are merged.
pub const SEGMENTS_PER_PARTITION: usize = 24;
/// Segments merged in one go.
pub const SEGMENTS_PER_MERGE: usize = 12;
/// Rows of a merged segment.
pub const ROWS_PER_MERGED_SEGMENT: u64 = 8_000_000;
/// Octets at the end of each file of a segment that are looked at whenever it is opened.
pub const SEGMENT_END_OCTETS: u64 = 16_384;
/// Segments of so many rows are left as they are until their partition is sealed.
pub const ROWS_OF_A_LARGE_SEGMENT: u64 = 200_000;
/// With so many rows waiting when it is time to commit, some more are waited for: large segments cost less.
pub const ROWS_WORTH_WAITING: u64 = 20_000;
/// How much longer, in times of what rows wait at most otherwise.
pub const COMMIT_STRETCH: i64 = 4;

/// Octets of a filter text.
pub const FILTER_OCTETS: usize = 65_536;
/// Nesting of parentheses and `not` in a filter.
pub const FILTER_DEPTH: usize = 64;
/// Leaves of a filter (comparisons and words).
pub const FILTER_LEAVES: usize = 1_024;
/// Values of one set (`in (..)`).
pub const FILTER_SET_VALUES: usize = 4_096;
/// Regular expressions of a filter: a few octets of each may ask for [`PATTERN_COMPILED_OCTETS`].
pub const FILTER_EXPRESSIONS: usize = 32;
/// Octets of one pattern.
pub const PATTERN_OCTETS: usize = 1_024;
/// Octets a compiled pattern may take.
pub const PATTERN_COMPILED_OCTETS: usize = 1 << 20;

/// Rows of one answer of `flows`.
pub const FLOWS_PER_ANSWER: usize = 100_000;
/// Elements that no column takes which a list of flows may name.
pub const FIELD_ELEMENTS: usize = 64;
/// Values of all rows of one answer of `flows`, absent ones too.
pub const CELLS_PER_ANSWER: usize = 16_000_000;
/// Rows of one file of flows; more are refused before the first one is written.
pub const FLOWS_PER_DOWNLOAD: u64 = 10_000_000;
/// Elements that no column takes in one file.
pub const DOWNLOAD_ELEMENTS: usize = 1_024;
/// Octets in which is kept which rows go into a file; those of further segments are looked for a second time.
pub const DOWNLOAD_SELECTED_OCTETS: usize = 16 << 20;
/// Files that are written at one time; further ones are refused.
pub const DOWNLOADS: usize = 4;
/// Groups held while an aggregate runs, over all threads.
pub const GROUPS_PER_AGGREGATE: usize = 4_000_000;
/// Buckets that rows are added up in to find what a top list can be of: 8 octets each, for each thread of a query.
pub const TOP_BUCKETS: usize = 1 << 22;
/// Stored rows that a top list is looked for in this way, a bit each; of more, every group is added up.
pub const TOP_ROWS: u64 = 1 << 30;
/// Rows whose bucket is kept, 4 octets each; of more, it is found a second time.
pub const TOP_KEPT_ROWS: u64 = 1 << 24;
/// Codes of one column of a segment whose hashes are kept beside each other, 8 octets each, for each thread.
pub const TOP_TABLE_CODES: u64 = 1 << 22;
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
/// Rows that `once` compares with each other: 64 octets each.
pub const ONCE_ROWS: usize = 3_000_000;
/// Exporters that `once` may prefer, in order.
pub const ONCE_EXPORTERS: usize = 64;
/// Items of one answer of `complete`.
pub const COMPLETIONS: usize = 50;
/// Dictionary terms read for one answer of `complete`.
pub const COMPLETION_TERMS: usize = 20_000;
/// Newest rows counted for one answer of `complete`.
pub const COMPLETION_ROWS: u32 = 262_144;
/// Of those, rows of one segment.
pub const COMPLETION_ROWS_PER_SEGMENT: u32 = 65_536;
/// Threads that work on one query.
pub const QUERY_THREADS: usize = 2;
/// How long the files of a segment count as what was written once that was found, seconds: a question that fails for another
/// reason does not read all of it again.
pub const SEGMENT_SOUND_S: u64 = 600;

/// Datagrams taken from the kernel by one call.
pub const DATAGRAMS_PER_READ: usize = 64;
/// Octets of one datagram.
pub const DATAGRAM_OCTETS: usize = 65_535;
/// Emptied receive batches kept for use again.
pub const RECYCLED_BATCHES: usize = 64;
/// Octets of a receive batch that is kept for use again; larger ones are given back.
pub const RECYCLED_BATCH_OCTETS: usize = 1 << 20;
/// Octets of an IPFIX Message, on a stream too: its length field has 16 bits (RFC 7011 section 3.1).
pub const MESSAGE_OCTETS: usize = 65_535;
/// Octets read from a stream before its Messages are handed on.
pub const STREAM_BUFFER_OCTETS: usize = 256 * 1024;
/// A TLS handshake that has not ended by then is given up.
pub const HANDSHAKE_S: u64 = 10;
/// Longest that a connection is read on after a handshake that failed, and how often, 4 KiB each.
pub const LINGER_MS: u64 = 300;
/// See [`LINGER_MS`].
pub const LINGER_READS: usize = 64;
/// Octets of the datagrams that a DTLS handshake is said in: fits an Ethernet path with room for tunnels.
pub const DTLS_DATAGRAM_OCTETS: u32 = 1_400;
/// Octets that a DTLS record may have in it (RFC 6347 section 4.1).
pub const DTLS_RECORD_OCTETS: usize = 1 << 14;
/// DTLS handshakes under way at one listener; with more, the oldest is given up.
pub const DTLS_HANDSHAKES: usize = 256;
/// DTLS handshakes begun within a second at one listener: each costs about a millisecond of computing.
pub const DTLS_HANDSHAKES_PER_S: u32 = 256;
/// The same with one address.
pub const DTLS_HANDSHAKES_PER_ADDRESS_S: u32 = 32;
/// Answers within a second to who goes on with a DTLS session that is not known.
pub const DTLS_ANSWERS_PER_S: u32 = 100;
/// A DTLS session that is silent for this long gives way to a new one when there are too many.
pub const DTLS_SILENT_S: u64 = 300;
/// Names of exporters' certificates that are kept to be shown beside their addresses.
pub const CLIENT_NAMES: usize = 16_384;
/// A stream that began a Message and does not end it in this time is closed.
pub const STREAM_STALL_S: u64 = 60;
/// How long sockets are still read when the collector stops.
pub const DRAIN_MS: u64 = 5_000;
/// A stream that stays silent for this long while the collector stops is done.
pub const DRAIN_SILENCE_MS: u64 = 250;

/// Spools of exporters of which is remembered which records came, so that none is stored twice.
pub const RECORD_NUMBERERS: usize = 4096;

/// Stretches of record numbers that are remembered of one spool. They end where records are missing or come later.
pub const RECORD_STRETCHES: usize = 64;

/// Transport sessions whose templates are kept.
pub const SESSIONS: usize = 16_384;
/// Sessions given up at once when there are too many: those without templates first, then those idle longest.
pub const SESSIONS_PER_EVICTION: usize = 1_024;

/// Sources of sFlow counters (interfaces, hosts, queues) whose growth is followed; an exporter may have so many of them.
pub const COUNTER_SOURCES: usize = 65_536;
/// See [`COUNTER_SOURCES`].
pub const COUNTER_SOURCES_PER_EXPORTER: usize = 8_192;
/// Rows made of one sFlow counter sample, whose formats may come again for every queue.
pub const ROWS_PER_COUNTER_SAMPLE: usize = 256;

/// sFlow sub-agents whose datagram numbers are followed.
pub const SFLOW_AGENTS: usize = 16_384;
/// A UDP session that is silent for this long ends.
pub const SESSION_IDLE_S: i64 = 12 * 3_600;
/// Exporters whose rules and allowances are kept ready; further ones share one allowance.
pub const EXPORTERS: usize = 16_384;
/// Rules of one kind about exporters.
pub const EXPORTER_RULES: usize = 4_096;
/// Accounts of exporters (address, domain, protocol); what comes beyond goes to one common account.
pub const ACCOUNTS: usize = 16_384;
/// Accounts that `/metrics` names one by one.
pub const ACCOUNTS_IN_METRICS: usize = 1_000;
/// Elements that the table of equivalents may hold.
pub const EQUIVALENTS: usize = 16_384;
/// Values looked at in the lists of one record for columns that they fill.
pub const LIST_VALUES_PER_ROW: usize = 1_024;
/// Names of interfaces, applications and VRFs learned from options, of all exporters together.
pub const OPTIONS_NAMES: usize = 524_288;
/// Of those, names of one Observation Domain of an exporter.
pub const OPTIONS_NAMES_PER_DOMAIN: usize = 65_536;
/// Observation Domains of exporters whose options data is kept.
pub const OPTIONS_DOMAINS: usize = 16_384;
/// Selectors, samplers and interfaces of one Observation Domain whose sampling is kept.
pub const SELECTORS_PER_DOMAIN: usize = 4_096;
/// Selectors of one Selection Sequence.
pub const SELECTORS_PER_SEQUENCE: usize = 8;
/// Counters about itself that an exporter may tell of in one Observation Domain.
pub const STATISTICS_PER_DOMAIN: usize = 64;
/// Rates of one Selector: those it had before are for records of before.
pub const RATES_PER_SELECTOR: usize = 16;
/// Octets of the saved templates file.
pub const SAVED_TEMPLATES_OCTETS: u64 = 256 << 20;

/// HTTP queries that run at one time; further ones wait.
pub const QUERIES: usize = 8;
/// Readers of `/live` at one time.
pub const LIVE_READERS: usize = 64;
/// Rows one reader of `/live` gets a second.
pub const LIVE_ROWS_PER_SECOND: usize = 1_000;
/// Octets of one HTTP answer the command line reads.
pub const ANSWER_OCTETS: u64 = 1 << 30;

/// Rows of one group of a Parquet file: what readers take in one go.
pub const PARQUET_GROUP_ROWS: usize = 122_880;
/// Octets of the rows of such a group before it is written.
pub const PARQUET_GROUP_OCTETS: usize = 32 << 20;
/// Octets of an answer that are handed on in one piece.
pub const ANSWER_PIECE_OCTETS: usize = 64 << 10;
/// Pieces that wait for a client to read them.
pub const ANSWER_PIECES: usize = 8;
/// How long a piece waits for a client to read before the answer is broken off, seconds.
pub const ANSWER_STALL_S: u64 = 60;

/// TCP streams followed in one capture file.
pub const CAPTURED_STREAMS: usize = 65_536;
/// Octets of one captured stream that wait for a missing segment.
pub const CAPTURED_STREAM_OCTETS: usize = 4 << 20;
/// Octets left free on the store's disk: with less, nothing more is indexed until there is room again.
pub const DISK_RESERVE_OCTETS: u64 = 64 << 20;
/// Of them, octets that the journal leaves free: with less, nothing more is received.
pub const JOURNAL_RESERVE_OCTETS: u64 = 8 << 20;

/// Sockets of one UDP address.
pub const RECEIVERS: usize = 64;
/// The least that a journal may be limited to, octets.
pub const JOURNAL_LEAST_OCTETS: u64 = 16 << 20;
/// Octets of one entry of the journal beside its header: those of a datagram or Message.
pub const JOURNAL_ENTRY_OCTETS: usize = 65_535;
/// Octets of one segment of the journal, unless all of it is small.
pub const JOURNAL_SEGMENT_OCTETS: u64 = 64 << 20;
/// How long one segment of the journal is written to, so that quiet ones go, too.
pub const JOURNAL_SEGMENT_NS: i64 = 3_600_000_000_000;
/// Listeners of earlier runs that a journal may name beside those that are configured.
pub const JOURNAL_LISTENERS: usize = 1_024;
/// Octets read from the journal at once.
pub const JOURNAL_READ_OCTETS: usize = 1 << 20;
/// Octets of batches that are handed to indexing in memory; when more wait, it reads the journal instead.
pub const HANDOVER_OCTETS: usize = 64 << 20;
/// Batches written to the journal by one call.
pub const JOURNAL_BATCHES_PER_WRITE: usize = 256;
/// How far indexing goes on when the collector stops; what is left stays in the journal for the next start.
pub const INDEXING_AT_THE_END_MS: u64 = 10_000;
/// Octets of the journal between two notes of what decoding knows: what is decoded again at a start.
pub const CHECKPOINT_OCTETS: u64 = 128 << 20;
/// Octets of waiting Sets, of all sessions together, that are kept across a restart.
pub const SAVED_PENDING_OCTETS: usize = 64 << 20;

/// Octets of a summary metric's name.
pub const SUMMARY_METRIC_OCTETS: usize = 128;
/// The longest window of a summary, milliseconds.
pub const SUMMARY_WINDOW_MS: i64 = 86_400_000;
/// Rows of a list in one summary record.
pub const SUMMARY_ROWS: usize = 1_000;
/// Octets of an item as text: a name with every octet escaped.
pub const SUMMARY_ITEM_OCTETS: usize = 1_024;
/// Octets of a sketch image.
pub const SUMMARY_IMAGE_OCTETS: usize = 1 << 20;
/// Images that lack parts at one time.
pub const SUMMARY_IMAGES_PARTIAL: usize = 4_096;
/// Octets of their parts.
pub const SUMMARY_IMAGES_OCTETS: usize = 32 << 20;
/// Parts of one image.
pub const SUMMARY_PARTS: usize = 1_024;
/// How long the parts of an image wait for each other, seconds.
pub const SUMMARY_PART_AGE_S: i64 = 60;
/// Summaries whose fingerprints are kept, to know those that come twice.
pub const SUMMARIES_REMEMBERED: usize = 65_536;
/// Octets of summaries that wait to be written; with more, further ones are given up until the disk takes them.
pub const SUMMARIES_WAITING_OCTETS: usize = 16 << 20;
/// Octets of summaries that are written without waiting for the next tick.
pub const SUMMARIES_WRITE_OCTETS: usize = 1 << 20;
/// Octets of a segment of summaries before the next one is begun.
pub const SUMMARY_SEGMENT_OCTETS: u64 = 16 << 20;
/// Metrics that a segment of summaries lists; summaries of further ones are kept and found, not listed.
pub const SUMMARY_METRICS_LISTED: usize = 1_024;
/// Windows and exporters of one merged summary that are told apart when they are counted.
pub const SUMMARY_KEYS_COUNTED: usize = 1 << 20;
/// Items of lists without images that are added up.
pub const SUMMARY_ITEMS_ADDED: usize = 1 << 18;
/// Metrics merged in one answer.
pub const SUMMARIES_PER_ANSWER: usize = 256;

/// Destinations of the relay.
pub const RELAYS: usize = 16;
/// Octets of copies that wait for one destination of the relay; more are dropped.
pub const RELAY_OCTETS: u64 = 16 << 20;
/// Reads whose copies wait for one destination of the relay.
pub const RELAY_BATCHES: usize = 4_096;
/// How long the relay may take to send what waits when the collector stops.
pub const RELAY_END_MS: u64 = 2_000;

/// Databases of places and systems.
pub const GEO_FILES: usize = 8;
/// Octets of one of them.
pub const GEO_FILE_OCTETS: u64 = 1 << 30;
/// Autonomous systems whose names are kept.
pub const GEO_SYSTEMS: usize = 1 << 18;
/// Networks of the user.
pub const NETWORKS: usize = 1 << 20;
/// Octets of the file of the user's networks.
pub const NETWORKS_FILE_OCTETS: u64 = 256 << 20;
/// Octets of a word about a network.
pub const NETWORK_TEXT_OCTETS: usize = 255;
/// Addresses whose places, systems and networks are kept ready; a power of two.
pub const ADDRESSES_READY: usize = 1 << 15;
/// Observed names at most, each of an address as one client or as anybody knows it; a power of two.
pub const OBSERVED_NAMES: usize = 1 << 22;
/// Names of one address that are kept for one client, or for all.
pub const OBSERVED_NAMES_PER_ADDRESS: usize = 4;
/// Octets of an observed name: the longest of DNS, with every octet escaped (RFC 1035 section 2.3.4).
pub const OBSERVED_NAME_OCTETS: usize = 1_004;
/// Sets of eight names that are given up at once when names take too many octets.
pub const OBSERVED_SETS_SWEPT: usize = 64;
/// How long the word of a DNS answer counts at most, seconds.
pub const OBSERVED_TTL_S: i64 = 86_400;
/// How long a name that was asked for over TLS counts, seconds.
pub const OBSERVED_TLS_S: i64 = 3_600;
/// Octets of the file in which observed names are kept across a restart.
pub const OBSERVED_FILE_OCTETS: u64 = 512 << 20;

/// Keys of an exact table of one window in a file; those of least weight are put together.
pub const ROLLUP_TABLE_KEYS: usize = 2_048;
/// Keys of an exact table of one window while it is gathered; what comes beyond is put together.
pub const ROLLUP_GATHERED_KEYS: usize = 8_192;
/// Keys of tables that are merged.
pub const ROLLUP_MERGED_KEYS: usize = 131_072;
/// Keys with a distinct count of their own in one window.
pub const ROLLUP_DISTINCT_KEYS: usize = 256;
/// Keys of a section of distributions in a file; the values of others are together.
pub const ROLLUP_SPREAD_KEYS: usize = 128;
/// Zones held while rows are gathered, each with sketches; those of others are together.
pub const ROLLUP_GATHERED_ZONES: usize = 1_024;
/// Texts that come again and again in the rows of one segment: applications, networks, countries.
pub const ROLLUP_NAMES: usize = 16_384;
/// Windows that the rows of one segment may be in; from half of them on it ends, and the rest has no time.
pub const ROLLUP_WINDOWS: usize = 4_096;
/// Rows after which a segment ends whose rows are in very many windows.
pub const ROLLUP_ROWS_OF_MANY_WINDOWS: u64 = 65_536;
/// Addresses, and pairs of them, whose sums are kept before they go into lists and sketches: tables of more do not stay in
/// a processor's cache, where each row looks into three of them.
pub const ROLLUP_GATHERED_SUMS: usize = 7_100;
/// Files of rollups merged in one go within a tier.
pub const ROLLUP_FILES_PER_MERGE: usize = 8;
/// Days in one file once they are old.
pub const ROLLUP_DAYS_PER_FILE: usize = 30;
/// Octets of a section that is read.
pub const ROLLUP_SECTION_OCTETS: usize = 16 << 20;
/// Octets of a file's list of sections.
pub const ROLLUP_ENTRIES_OCTETS: u64 = 256 << 20;
/// Files of rollups that one answer reads in turn.
pub const ROLLUP_FILES_OPEN: usize = 8;
/// Values of a series from rollups, each with its limits.
pub const ROLLUP_VALUES_PER_ANSWER: usize = 4_000_000;
/// Windows of rollups looked at for one answer.
pub const ROLLUP_WINDOWS_PER_ANSWER: usize = 262_144;

/// Rules of alerts.
pub const ALERT_RULES: usize = 256;
/// Octets of a rule's name, and of the name or text of one of its labels.
pub const ALERT_TEXT_OCTETS: usize = 256;
/// Labels of one rule.
pub const ALERT_LABELS: usize = 32;
/// Groups of one rule whose states are kept: those that fire or are about to, then those nearest to it.
pub const ALERT_GROUPS: usize = 1_000;
/// Groups of one rule that are read at each evaluation.
pub const ALERT_GROUPS_READ: usize = 20_000;
/// Changes of state that are remembered.
pub const ALERT_HISTORY: usize = 1_000;
/// The least time between two evaluations, seconds.
pub const ALERT_INTERVAL_S: u64 = 10;
/// Places that are told of alerts.
pub const WEBHOOKS: usize = 8;
/// Messages that wait for one webhook; with more, the oldest is dropped and counted.
pub const WEBHOOK_QUEUE: usize = 1_024;
/// How long one message is tried, with pauses from one second that grow twofold up to a minute, seconds.
pub const WEBHOOK_PATIENCE_S: u64 = 6 * 3_600;
/// The longest pause between tries that a webhook can ask for, seconds.
pub const WEBHOOK_PAUSE_S: u64 = 300;
/// How long messages are still sent when the collector stops.
pub const WEBHOOK_END_MS: u64 = 2_000;
/// Looks at the ledger that are kept of one window of an alert.
pub const ALERT_SAMPLES: usize = 32;
/// A known exporter that is silent for this long is forgotten by alerts.
pub const ALERT_EXPORTER_FORGOTTEN_S: i64 = 7 * 86_400;
/// Octets of the file in which states of alerts are kept.
pub const ALERT_FILE_OCTETS: u64 = 64 << 20;
