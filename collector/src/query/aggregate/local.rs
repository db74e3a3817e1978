//! Groups and sums of one segment, by codes of that segment; nothing is decoded for a row.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

use tantivy::columnar::MonotonicallyMappableToU64;

use super::super::bits::Bits;
use super::super::scan::BLOCK;
use super::super::{QueryError, Watch};
use super::metric::MetricKind;
use super::plan::Plan;
use super::values::{LocalCode, Reader};
use crate::limits;
use crate::normalize::columns::id;
use crate::store::segment::OpenSegment;

/// What is added up for one metric, one slot a group.
pub enum Sums {
    /// Rows.
    Flows(Vec<u64>),
    /// Whole sums and sums of floating-point numbers.
    Sum(Vec<i128>, Vec<f64>),
    /// The same with how many values there were.
    Avg(Vec<i128>, Vec<f64>, Vec<u64>),
    /// The least or largest code.
    Extreme(Vec<Option<LocalCode>>, bool),
    /// Every value with its group, each once.
    Unique(HashMap<(u32, LocalCode), (), RandomState>),
    /// Every value with its group.
    All(Vec<(u32, LocalCode)>),
}

impl Sums {
    fn new(kind: &MetricKind) -> Self {
        match kind {
            MetricKind::Flows | MetricKind::FlowRate => Self::Flows(Vec::new()),
            MetricKind::Sum(_) | MetricKind::Rate(..) => Self::Sum(Vec::new(), Vec::new()),
            MetricKind::Avg(_) => Self::Avg(Vec::new(), Vec::new(), Vec::new()),
            MetricKind::Min(_) => Self::Extreme(Vec::new(), false),
            MetricKind::Max(_) => Self::Extreme(Vec::new(), true),
            MetricKind::Unique(_) => Self::Unique(HashMap::default()),
            MetricKind::Quantile(..) => Self::All(Vec::new()),
        }
    }

    fn grow(&mut self, groups: usize) {
        match self {
            Self::Flows(flows) => flows.resize(groups, 0),
            Self::Sum(whole, floats) => {
                whole.resize(groups, 0);
                floats.resize(groups, 0.0);
            }
            Self::Avg(whole, floats, counts) => {
                whole.resize(groups, 0);
                floats.resize(groups, 0.0);
                counts.resize(groups, 0);
            }
            Self::Extreme(codes, _) => codes.resize(groups, None),
            Self::Unique(_) | Self::All(_) => {}
        }
    }

    fn values(&self) -> usize {
        match self {
            Self::Unique(seen) => seen.len(),
            Self::All(all) => all.len(),
            _ => 0,
        }
    }
}

/// A group within a segment.
#[derive(Clone, Debug)]
pub struct LocalGroup {
    /// Number of its bucket, 0 without an interval.
    pub bucket: i64,
    /// Codes of the columns it is grouped by.
    pub key: Vec<Option<LocalCode>>,
}

/// Everything of one segment.
pub struct Local<'s> {
    /// Readers of the columns grouped by.
    pub keys: Vec<Reader<'s>>,
    /// Readers of each metric's columns.
    pub metrics: Vec<Vec<Reader<'s>>>,
    /// Groups, numbered in order of arrival.
    pub groups: Vec<LocalGroup>,
    /// Sums, one for each metric.
    pub sums: Vec<Sums>,
}

/// Words of a packed key for one column: which of its columns, and the code.
const WORDS: usize = 2;
const ABSENT: u64 = u64::MAX;

impl<'s> Local<'s> {
    /// Adds up the documents of a segment.
    pub fn gather(open: &'s OpenSegment, documents: &Bits, plan: &Plan, watch: &Watch) -> Result<Self, QueryError> {
        let reader = |subject| Reader::open(open, subject);
        let mut local = Self {
            keys: plan.groups.iter().map(|group| reader(&group.subject)).collect(),
            metrics: plan
                .metrics
                .iter()
                .map(|metric| metric.subjects().iter().map(reader).collect())
                .collect(),
            groups: Vec::new(),
            sums: plan.metrics.iter().map(|metric| Sums::new(&metric.kind)).collect(),
        };
        let starts = plan.interval_ns.and_then(|_| open.column(id::START));
        let mut grouping = Grouping::new(plan.groups.len());
        let (mut docs, mut scratch, mut codes) = (Vec::new(), Vec::new(), Vec::new());
        let mut numbers = Vec::new();
        for from in (0..documents.len()).step_by(BLOCK as usize) {
            docs.clear();
            documents.docs_of(from, documents.len().min(from + BLOCK), &mut docs);
            if docs.is_empty() {
                continue;
            }
            watch.check()?;
            grouping.start(docs.len());
            if let Some(starts) = starts {
                super::super::scan::first_codes(&starts.column, &docs, &mut scratch);
                grouping.take_buckets(&scratch, plan);
            }
            for (at, key) in local.keys.iter().enumerate() {
                key.read(&docs, &mut scratch, &mut codes);
                grouping.take_codes(at, &codes);
            }
            grouping.number(&mut local.groups, &mut numbers)?;
            local.add_up(&docs, &numbers, &mut scratch, &mut codes)?;
        }
        Ok(local)
    }

    fn add_up(
        &mut self,
        docs: &[u32],
        groups: &[u32],
        scratch: &mut Vec<Option<u64>>,
        codes: &mut Vec<Option<LocalCode>>,
    ) -> Result<(), QueryError> {
        let mut values = 0;
        for (sums, readers) in self.sums.iter_mut().zip(&self.metrics) {
            sums.grow(self.groups.len());
            if let Sums::Flows(flows) = sums {
                for group in groups {
                    if let Some(slot) = flows.get_mut(*group as usize) {
                        *slot += 1;
                    }
                }
            }
            for reader in readers {
                reader.read(docs, scratch, codes);
                add_codes(sums, reader, groups, codes);
            }
            values += sums.values();
        }
        if values > limits::VALUES_PER_AGGREGATE {
            return Err(too_many_values());
        }
        Ok(())
    }
}

/// The bound on values was reached.
pub fn too_many_values() -> QueryError {
    QueryError::TooMuch {
        detail: format!(
            "unique and quantiles would hold more than {} values; ask about a shorter time or filter more",
            limits::VALUES_PER_AGGREGATE
        ),
    }
}

fn add_codes(sums: &mut Sums, reader: &Reader<'_>, groups: &[u32], codes: &[Option<LocalCode>]) {
    let present = groups
        .iter()
        .zip(codes)
        .filter_map(|(group, code)| Some((*group, (*code)?)));
    match sums {
        Sums::Flows(_) => {}
        Sums::Sum(whole, floats) => {
            for (group, code) in present {
                add_one(reader, code, group, whole, floats);
            }
        }
        Sums::Avg(whole, floats, counts) => {
            for (group, code) in present {
                if add_one(reader, code, group, whole, floats)
                    && let Some(count) = counts.get_mut(group as usize)
                {
                    *count += 1;
                }
            }
        }
        Sums::Extreme(extremes, largest) => {
            for (group, code) in present.filter(|(_, code)| reader.float(*code).is_some()) {
                let Some(slot) = extremes.get_mut(group as usize) else {
                    continue;
                };
                // Codes of different columns are compared when segments are put together.
                let better = match slot {
                    Some(held) if held.0 == code.0 => (code.1 > held.1) == *largest && code.1 != held.1,
                    Some(held) => {
                        let order = reader.float(code).partial_cmp(&reader.float(*held));
                        order
                            == Some(if *largest {
                                std::cmp::Ordering::Greater
                            } else {
                                std::cmp::Ordering::Less
                            })
                    }
                    None => true,
                };
                if better {
                    *slot = Some(code);
                }
            }
        }
        Sums::Unique(seen) => {
            for pair in present {
                seen.insert(pair, ());
            }
        }
        Sums::All(all) => all.extend(present.filter(|(_, code)| reader.float(*code).is_some())),
    }
}

/// Adds a value to its group; false when it is no number.
fn add_one(reader: &Reader<'_>, code: LocalCode, group: u32, whole: &mut [i128], floats: &mut [f64]) -> bool {
    if let Some(value) = reader.whole(code) {
        if let Some(slot) = whole.get_mut(group as usize) {
            *slot += value;
        }
        return true;
    }
    match (reader.float(code), floats.get_mut(group as usize)) {
        (Some(value), Some(slot)) => {
            *slot += value;
            true
        }
        _ => false,
    }
}

/// Numbers the groups of a segment: keys packed into words beside each other.
struct Grouping {
    width: usize,
    /// Keys of the current block, `width` words each.
    block: Vec<u64>,
    /// Keys of all groups, `width` words each.
    keys: Vec<u64>,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl Grouping {
    fn new(columns: usize) -> Self {
        let width = 1 + columns * WORDS;
        Self {
            width,
            block: Vec::new(),
            keys: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::default(),
        }
    }

    fn start(&mut self, docs: usize) {
        self.block.clear();
        self.block.resize(docs * self.width, 0);
        for bucket in self.block.iter_mut().step_by(self.width) {
            *bucket = 0i64.to_u64();
        }
    }

    fn take_buckets(&mut self, starts: &[Option<u64>], plan: &Plan) {
        for (key, start) in self.block.chunks_mut(self.width).zip(starts) {
            let bucket = start.map_or(0, |code| plan.bucket(i64::from_u64(code)));
            if let Some(word) = key.first_mut() {
                *word = bucket.to_u64();
            }
        }
    }

    fn take_codes(&mut self, column: usize, codes: &[Option<LocalCode>]) {
        let at = 1 + column * WORDS;
        for (key, code) in self.block.chunks_mut(self.width).zip(codes) {
            if let Some([kind, word]) = key.get_mut(at..at + WORDS) {
                (*kind, *word) = code.map_or((ABSENT, 0), |(kind, code)| (u64::from(kind), code));
            }
        }
    }

    fn number(&mut self, groups: &mut Vec<LocalGroup>, numbers: &mut Vec<u32>) -> Result<(), QueryError> {
        numbers.clear();
        let (width, hasher) = (self.width, &self.hasher);
        for key in self.block.chunks(width) {
            let hash = hasher.hash_one(key);
            let keys = &self.keys;
            let of = |number: u32| {
                keys.get(number as usize * width..(number as usize + 1) * width)
                    .unwrap_or_default()
            };
            if let Some(number) = self.table.find(hash, |number| of(*number) == key) {
                numbers.push(*number);
                continue;
            }
            if groups.len() >= limits::GROUPS_PER_AGGREGATE {
                return Err(too_many_groups());
            }
            let number = groups.len() as u32;
            groups.push(unpack(key));
            self.keys.extend_from_slice(key);
            let keys = &self.keys;
            let of = |number: u32| {
                keys.get(number as usize * width..(number as usize + 1) * width)
                    .unwrap_or_default()
            };
            self.table
                .insert_unique(hash, number, |number| hasher.hash_one(of(*number)));
            numbers.push(number);
        }
        Ok(())
    }
}

/// The bound on groups was reached.
pub fn too_many_groups() -> QueryError {
    QueryError::TooMuch {
        detail: format!(
            "there are more than {} groups; group by fewer columns or a prefix, filter more, or use a longer interval",
            limits::GROUPS_PER_AGGREGATE
        ),
    }
}

fn unpack(key: &[u64]) -> LocalGroup {
    let (bucket, codes) = key
        .split_first()
        .map_or((0, &[][..]), |(bucket, codes)| (i64::from_u64(*bucket), codes));
    let key = codes.chunks(WORDS).map(|words| match words {
        [kind, code] if *kind != ABSENT => Some((*kind as u8, *code)),
        _ => None,
    });
    LocalGroup {
        bucket,
        key: key.collect(),
    }
}
