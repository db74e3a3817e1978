//! One conversation that several exporters saw, counted once: finds the rows to leave out.
//!
//! A conversation is what has the same addresses, ports and protocol, in either direction, and overlaps in time. Of each,
//! the rows of one exporter stay, and of another one those of a direction that the first did not see.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::quality::RandomState;
use tantivy::columnar::MonotonicallyMappableToU64 as _;

use super::bits::Bits;
use super::ends::EndColumn;
use super::evaluate::Selection;
use super::parallel::each;
use super::scan::{BLOCK, first_codes};
use super::{QueryError, Watch};
use crate::limits;
use crate::normalize::codes::KIND_FLOW;
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{cut, ip_to_u128, u128_to_ip};
use crate::store::Snapshot;
use crate::store::segment::{Decode, OpenSegment, Segment};

/// Clocks of exporters differ, and a packet takes its time from one to the next: so far apart is still together.
const SLACK_NS: i64 = 5_000_000_000;

/// Which exporter is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnceRule {
    /// The first of these that saw a conversation; without one, who saw the most packets.
    pub preferred: Vec<u128>,
}

impl OnceRule {
    /// Reads `auto` or addresses of exporters with commas.
    ///
    /// # Errors
    /// One line that says what is possible.
    pub fn parse(text: &str) -> Result<OnceRule, String> {
        if text.trim().eq_ignore_ascii_case("auto") {
            return Ok(OnceRule::default());
        }
        let address = |word: &str| {
            let read: Result<IpAddr, _> = word.trim().parse();
            read.map(ip_to_u128).map_err(|_| {
                format!(
                    "{:?} is no address of an exporter; use auto, or addresses with commas",
                    cut(word, 48)
                )
            })
        };
        let mut preferred = Vec::new();
        for word in text.split(',') {
            if preferred.len() == limits::ONCE_EXPORTERS {
                return Err(format!("at most {} exporters can be preferred", limits::ONCE_EXPORTERS));
            }
            preferred.push(address(word)?);
        }
        Ok(OnceRule { preferred })
    }

    /// The rule as people read it.
    pub fn words(&self) -> String {
        let most = "the exporter that saw the most packets of it";
        let names: Vec<String> = self
            .preferred
            .iter()
            .map(|address| u128_to_ip(*address).to_string())
            .collect();
        let who = match names.is_empty() {
            true => most.to_owned(),
            false => format!("the first of {} that saw it, else {most}", names.join(", ")),
        };
        format!("a conversation counts as seen by {who}; a direction that this one did not see, by the next that did")
    }

    /// Smaller is better.
    fn rank(&self, address: u128, packets: u64) -> (usize, Reverse<u64>, u128) {
        let place = self.preferred.iter().position(|preferred| *preferred == address);
        (place.unwrap_or(usize::MAX), Reverse(packets), address)
    }
}

/// Rows to leave out.
#[derive(Debug, Default)]
pub struct LeftOut {
    by_segment: HashMap<usize, Bits>,
    /// How many there are.
    pub rows: u64,
}

impl LeftOut {
    /// Takes them out of a segment's documents.
    pub fn take_out(&self, segment: &Arc<Segment>, documents: &mut Bits) {
        if let Some(bits) = self.by_segment.get(&name(segment)) {
            documents.and_not(bits);
        }
    }
}

fn name(segment: &Arc<Segment>) -> usize {
    Arc::as_ptr(segment) as usize
}

/// A row.
#[derive(Clone, Copy, Debug)]
struct Seen {
    conversation: u128,
    start_ns: i64,
    end_ns: i64,
    packets: u64,
    rev_packets: u64,
    exporter: u32,
    segment: u32,
    doc: u32,
    /// The source is the end that is named first.
    is_forward: bool,
}

impl Seen {
    fn covers(&self, forward: bool) -> bool {
        self.is_forward == forward || self.rev_packets > 0
    }

    /// Only of one direction.
    fn is_only(&self, forward: bool) -> bool {
        self.is_forward == forward && self.rev_packets == 0
    }

    fn all_packets(&self) -> u64 {
        self.packets.saturating_add(self.rev_packets)
    }
}

/// Exporters in the order they were met.
type Exporters = Mutex<(HashMap<u128, u32>, Vec<u128>)>;

/// Finds the rows to leave out of those selected.
///
/// # Errors
/// When there are too many of them, the time is over, or the store cannot be read.
pub fn find(
    snapshot: &Snapshot,
    selection: &Selection<'_>,
    rule: &OnceRule,
    watch: &Watch,
) -> Result<LeftOut, QueryError> {
    let overlapping = snapshot
        .segments()
        .iter()
        .filter(|segment| segment.overlaps(selection.from_ns, selection.to_ns));
    let segments: Vec<(u32, &Arc<Segment>)> = (0..).zip(overlapping).collect();
    let hashers = (RandomState::default(), RandomState::default());
    let exporters = Exporters::default();
    let (rows, seen) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    each(&segments, watch, |(at, segment)| {
        let Some(open) = segment.open() else { return Ok(()) };
        let documents = selection.documents(segment, open, watch)?;
        let count = documents.count() as usize;
        if rows.fetch_add(count, Ordering::Relaxed) + count > limits::ONCE_ROWS {
            return Err(too_many());
        }
        let found = read(open, *at, &documents, &exporters, &hashers, watch)?;
        seen.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        Ok(())
    })?;
    let mut seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (_, exporters) = exporters.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut left = LeftOut::default();
    if exporters.len() < 2 {
        return Ok(left);
    }
    seen.sort_unstable_by_key(|row| (row.conversation, row.start_ns));
    let choice = Choice {
        rule,
        exporters: &exporters,
    };
    let mut first = 0;
    while first < seen.len() {
        watch.check()?;
        let last = first + together(seen.get(first..).unwrap_or_default());
        for row in choice.left_out(seen.get_mut(first..last).unwrap_or_default()) {
            let Some((_, segment)) = segments.get(row.segment as usize) else {
                continue;
            };
            let bits = left
                .by_segment
                .entry(name(segment))
                .or_insert_with(|| Bits::none(segment.rows()));
            bits.insert(row.doc);
            left.rows += 1;
        }
        first = last;
    }
    Ok(left)
}

fn too_many() -> QueryError {
    QueryError::TooMuch {
        detail: format!(
            "once would compare more than {} rows with each other; ask about a shorter time, filter more, or filter by \
             exporter.ip instead",
            limits::ONCE_ROWS
        ),
    }
}

/// How many rows, in order of conversations and starts, are the first conversation; at least one.
fn together(rows: &[Seen]) -> usize {
    let Some(first) = rows.first() else { return 1 };
    let mut until = first.end_ns.max(first.start_ns);
    let mut count = 1;
    for row in rows.iter().skip(1) {
        if row.conversation != first.conversation || row.start_ns > until.saturating_add(SLACK_NS) {
            break;
        }
        until = until.max(row.end_ns).max(row.start_ns);
        count += 1;
    }
    count
}

/// Chooses between exporters.
struct Choice<'c> {
    rule: &'c OnceRule,
    exporters: &'c [u128],
}

impl Choice<'_> {
    /// The rows of a conversation that do not stay.
    fn left_out<'r>(&self, rows: &'r mut [Seen]) -> impl Iterator<Item = &'r Seen> + use<'r> {
        rows.sort_unstable_by_key(|row| row.exporter);
        let chosen = self.best(rows, |_| true);
        let is_covered = |forward: bool| {
            rows.iter()
                .any(|row| Some(row.exporter) == chosen && row.covers(forward))
        };
        // A direction that is missing is taken from who saw nothing else in those rows.
        let missing: Vec<(bool, Option<u32>)> = [false, true]
            .into_iter()
            .filter(|forward| !is_covered(*forward))
            .map(|forward| (forward, self.best(rows, |row| row.is_only(forward))))
            .collect();
        rows.iter().filter(move |row| {
            let of = Some(row.exporter);
            let is_stitched = || {
                missing
                    .iter()
                    .any(|(forward, chosen)| of == *chosen && row.is_only(*forward))
            };
            of != chosen && !is_stitched()
        })
    }

    /// The exporter whose rows are taken, of those that fit; rows are in order of exporters.
    fn best(&self, rows: &[Seen], fits: impl Fn(&Seen) -> bool) -> Option<u32> {
        let exporters = rows.chunk_by(|left, right| left.exporter == right.exporter);
        let ranked = exporters.filter_map(|rows| {
            let fitting = || rows.iter().filter(|row| fits(row));
            let exporter = fitting().next()?.exporter;
            let packets = fitting().map(Seen::all_packets).fold(0, u64::saturating_add);
            let address = self.exporters.get(exporter as usize).copied().unwrap_or_default();
            Some((self.rule.rank(address, packets), exporter))
        });
        ranked.min().map(|(_, exporter)| exporter)
    }
}

/// The first value of a column in each document.
fn values(open: &OpenSegment, column: ColumnId, docs: &[u32], out: &mut Vec<Option<u64>>) {
    match open.column(column) {
        Some(codes) => first_codes(&codes.column, docs, out),
        None => {
            out.clear();
            out.resize(docs.len(), None);
        }
    }
}

/// Rows of a segment; those without addresses are of no conversation.
fn read(
    open: &OpenSegment,
    segment: u32,
    documents: &Bits,
    exporters: &Exporters,
    hashers: &(RandomState, RandomState),
    watch: &Watch,
) -> Result<Vec<Seen>, QueryError> {
    let mut seen = Vec::new();
    let address = |column: ColumnId, code: u64| match &open.column(column)?.decode {
        Decode::Ip(accessor) => Some(accessor.compact_to_u128(code as u32)),
        _ => None,
    };
    let ends = EndColumn::open(open);
    let mut known: HashMap<Option<u64>, u32> = HashMap::new();
    const COLUMNS: [ColumnId; 9] = [
        id::SRC_IP,
        id::DST_IP,
        id::SRC_PORT,
        id::DST_PORT,
        id::PROTO,
        id::KIND,
        id::PACKETS,
        id::REV_PACKETS,
        id::EXPORTER_IP,
    ];
    let mut codes: [Vec<Option<u64>>; COLUMNS.len()] = Default::default();
    let (mut docs, mut starts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for from in (0..documents.len()).step_by(BLOCK as usize) {
        docs.clear();
        documents.docs_of(from, documents.len().min(from + BLOCK), &mut docs);
        if docs.is_empty() {
            continue;
        }
        watch.check()?;
        for (column, codes) in COLUMNS.into_iter().zip(&mut codes) {
            values(open, column, &docs, codes);
        }
        values(open, id::START, &docs, &mut starts);
        match &ends {
            Some(ends) => ends.codes(&docs, &mut lasts),
            None => lasts.clone_from(&starts),
        }
        for ((at, doc), (start, end)) in docs.iter().enumerate().zip(starts.iter().zip(&lasts)) {
            let [
                src,
                dst,
                src_port,
                dst_port,
                proto,
                kind,
                packets,
                rev_packets,
                exporter,
            ] = std::array::from_fn(|column| codes.get(column).and_then(|codes| codes.get(at).copied()).flatten());
            let ends = src
                .and_then(|code| address(id::SRC_IP, code))
                .zip(dst.and_then(|code| address(id::DST_IP, code)));
            let (Some((src, dst)), Some(start)) = (ends, start) else {
                continue;
            };
            let (source, destination) = ((src, src_port), (dst, dst_port));
            let is_forward = source <= destination;
            let pair = if is_forward {
                (source, destination)
            } else {
                (destination, source)
            };
            let key = (pair, proto, kind.unwrap_or(KIND_FLOW));
            let exporter = *known.entry(exporter).or_insert_with(|| {
                let address = exporter
                    .and_then(|code| address(id::EXPORTER_IP, code))
                    .unwrap_or_default();
                let mut exporters = exporters.lock().unwrap_or_else(PoisonError::into_inner);
                let (numbers, addresses) = &mut *exporters;
                *numbers.entry(address).or_insert_with(|| {
                    addresses.push(address);
                    (addresses.len() - 1) as u32
                })
            });
            let start_ns = i64::from_u64(*start);
            seen.push(Seen {
                conversation: u128::from(hashers.0.hash_one(key)) << 64 | u128::from(hashers.1.hash_one(key)),
                start_ns,
                end_ns: end.map_or(start_ns, i64::from_u64),
                packets: packets.unwrap_or(0),
                rev_packets: rev_packets.unwrap_or(0),
                exporter,
                segment,
                doc: *doc,
                is_forward,
            });
        }
    }
    Ok(seen)
}
