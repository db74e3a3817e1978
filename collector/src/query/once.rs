//! One conversation that several exporters saw, counted once: finds the rows to leave out.
//!
//! A conversation is what has the same addresses, ports and protocol, in either direction, and follows each other in time. Of
//! each, the rows of one exporter stay; of the others those that are of a time, or of a direction, that it did not see. Of
//! these one exporter is chosen again, until nothing is left.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
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
        format!(
            "a conversation counts as seen by {who}; a time or a direction that this one did not see, by the next that did"
        )
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

    /// First and last moment.
    fn span_ns(&self) -> (i64, i64) {
        (self.start_ns.min(self.end_ns), self.start_ns.max(self.end_ns))
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
    // Those that were not chosen are looked at again among themselves, in the same order.
    while !seen.is_empty() {
        let mut next = Vec::new();
        let mut first = 0;
        while first < seen.len() {
            watch.check()?;
            let last = first + together(seen.get(first..).unwrap_or_default());
            choice.settle(seen.get(first..last).unwrap_or_default(), &mut next, |row| {
                let Some((_, segment)) = segments.get(row.segment as usize) else {
                    return;
                };
                let bits = left
                    .by_segment
                    .entry(name(segment))
                    .or_insert_with(|| Bits::none(segment.rows()));
                bits.insert(row.doc);
                left.rows += 1;
            });
            first = last;
        }
        seen = next;
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

/// How many rows, in order of conversations and starts, follow each other in the first conversation; at least one.
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
    /// Chooses an exporter for rows that follow each other. What it saw, too, is left out; what it did not see is for the next
    /// one to be chosen.
    fn settle(&self, rows: &[Seen], next: &mut Vec<Seen>, mut leave_out: impl FnMut(&Seen)) {
        let is_of_one = rows
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a.exporter == b.exporter));
        let Some(chosen) = (!is_of_one).then(|| self.best(rows)).flatten() else {
            return;
        };
        let of_chosen = || rows.iter().filter(|row| row.exporter == chosen);
        let seen = Stretches::of(of_chosen());
        let [back, forward] = [false, true].map(|forward| Stretches::of(of_chosen().filter(|row| row.covers(forward))));
        for row in rows.iter().filter(|row| row.exporter != chosen) {
            // Nobody can take a row apart.
            let seen = match (row.rev_packets > 0, row.is_forward) {
                (true, _) => &seen,
                (false, true) => &forward,
                (false, false) => &back,
            };
            if seen.have(row.span_ns()) {
                leave_out(row);
            } else {
                next.push(*row);
            }
        }
    }

    /// The exporter whose rows are taken.
    fn best(&self, rows: &[Seen]) -> Option<u32> {
        let mut packets: BTreeMap<u32, u64> = BTreeMap::new();
        for row in rows {
            let sum = packets.entry(row.exporter).or_default();
            *sum = sum.saturating_add(row.all_packets());
        }
        let ranked = packets.into_iter().map(|(exporter, packets)| {
            let address = self.exporters.get(exporter as usize).copied().unwrap_or_default();
            (self.rule.rank(address, packets), exporter)
        });
        ranked.min().map(|(_, exporter)| exporter)
    }
}

/// When an exporter saw something: first and last moments of rows that follow each other, in order.
struct Stretches(Vec<(i64, i64)>);

impl Stretches {
    /// Of rows in order of their starts.
    fn of<'r>(rows: impl Iterator<Item = &'r Seen>) -> Stretches {
        let mut stretches: Vec<(i64, i64)> = Vec::new();
        for (first, last) in rows.map(Seen::span_ns) {
            match stretches.last_mut() {
                Some(held) if first <= held.1.saturating_add(SLACK_NS) => {
                    *held = (held.0.min(first), held.1.max(last));
                }
                _ => stretches.push((first, last)),
            }
        }
        Stretches(stretches)
    }

    /// Whether one of them is about the same time: at least half of the shorter, give or take the slack. What only touches, when
    /// traffic moves from one exporter to another, is not.
    fn have(&self, (first, last): (i64, i64)) -> bool {
        let from = self.0.partition_point(|held| held.1.saturating_add(SLACK_NS) < first);
        let near = self.0.get(from..).unwrap_or_default();
        let length = |(first, last): (i64, i64)| i128::from(last) - i128::from(first);
        let mut near = near.iter().take_while(|held| held.0 <= last.saturating_add(SLACK_NS));
        near.any(|held| {
            let common = length((held.0.max(first), held.1.min(last))) + i128::from(SLACK_NS);
            common * 2 >= length(*held).min(length((first, last)))
        })
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
