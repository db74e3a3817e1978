//! Groups and sums of one segment, by codes of that segment; nothing is decoded for a row.

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use tantivy::columnar::MonotonicallyMappableToU64;

use super::super::bits::Bits;
use super::super::filter::ast::Subject;
use super::super::kinds::Kinds;
use super::super::scan::{BLOCK, first_codes};
use super::super::{QueryError, Watch};
use super::keys::Keys;
use super::metric::{Metric, MetricKind};
use super::plan::{Group, Plan};
use super::values::{LocalCode, Reader};
use crate::limits;
use crate::normalize::codes::KIND_FLOW;
use crate::normalize::columns::id;
use crate::store::segment::{OpenSegment, Segment};

/// What is added up for one metric, one slot a group.
pub enum Sums {
    /// Rows.
    Rows(Vec<u64>),
    /// Whole sums and sums of floating-point numbers.
    Sum(Vec<i128>, Vec<f64>),
    /// The same with how many values there were.
    Avg(Vec<i128>, Vec<f64>, Vec<u64>),
    /// The least or largest value, in order of values.
    Extreme(Vec<Option<u64>>, bool),
    /// Every value with its group, each once.
    Unique(HashMap<(u32, LocalCode), (), RandomState>),
    /// Every value with its group, in order of values.
    All(Vec<(u32, u64)>),
}

impl Sums {
    /// Nothing yet.
    pub fn new(kind: &MetricKind) -> Self {
        match kind {
            MetricKind::Count(_) | MetricKind::FlowRate => Self::Rows(Vec::new()),
            MetricKind::Sum(_) | MetricKind::Rate(..) => Self::Sum(Vec::new(), Vec::new()),
            MetricKind::Avg(_) => Self::Avg(Vec::new(), Vec::new(), Vec::new()),
            MetricKind::Min(_) => Self::Extreme(Vec::new(), false),
            MetricKind::Max(_) => Self::Extreme(Vec::new(), true),
            MetricKind::Unique(_) => Self::Unique(HashMap::default()),
            MetricKind::Quantile(..) => Self::All(Vec::new()),
        }
    }

    /// Nothing yet, of the same kind.
    pub fn like(&self) -> Self {
        match self {
            Self::Rows(_) => Self::Rows(Vec::new()),
            Self::Sum(..) => Self::Sum(Vec::new(), Vec::new()),
            Self::Avg(..) => Self::Avg(Vec::new(), Vec::new(), Vec::new()),
            Self::Extreme(_, largest) => Self::Extreme(Vec::new(), *largest),
            Self::Unique(_) => Self::Unique(HashMap::default()),
            Self::All(_) => Self::All(Vec::new()),
        }
    }

    /// Makes room for so many groups.
    pub fn grow(&mut self, groups: usize) {
        match self {
            Self::Rows(rows) => rows.resize(groups, 0),
            Self::Sum(whole, floats) => {
                whole.resize(groups, 0);
                floats.resize(groups, 0.0);
            }
            Self::Avg(whole, floats, counts) => {
                whole.resize(groups, 0);
                floats.resize(groups, 0.0);
                counts.resize(groups, 0);
            }
            Self::Extreme(values, _) => values.resize(groups, None),
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

/// Everything of one segment.
pub struct Local<'s> {
    /// Readers of the columns grouped by.
    pub readers: Vec<Reader<'s>>,
    /// Readers of each metric's columns.
    pub metrics: Vec<Vec<Reader<'s>>>,
    /// Reader of what a row is, where it may be no flow.
    kinds: Reader<'s>,
    /// The groups.
    pub keys: Keys,
    /// Sums, one for each metric.
    pub sums: Vec<Sums>,
}

impl<'s> Local<'s> {
    /// Adds up the documents of a segment: those to see from their source, and those from their destination if flows are
    /// seen from both.
    pub fn gather(
        segment: &Segment,
        open: &'s OpenSegment,
        documents: [&Bits; 2],
        plan: &Plan,
        watch: &Watch,
    ) -> Result<Self, QueryError> {
        let reader = |subject: &Subject| Reader::open(open, subject);
        let of_group = |group: &Group| match (group.ends, group.prefix) {
            (Some([first, second]), _) => Reader::open_both(open, [&Subject::Column(first), &Subject::Column(second)]),
            (None, Some(prefix)) => Reader::open_cut(open, &group.subject, prefix, documents[0].count()),
            (None, None) => reader(&group.subject),
        };
        let of_metric = |metric: &Metric| match metric.other_end.is_empty() {
            true => metric.subjects().iter().map(reader).collect(),
            false => {
                let ends = metric.subjects().iter().zip(&metric.other_end);
                ends.map(|(first, second)| Reader::open_both(open, [first, second]))
                    .collect()
            }
        };
        let ends = if plan.has_ends() { 2 } else { 1 };
        let readers: Vec<_> = plan.groups.iter().map(of_group).collect();
        let (first_ns, last_ns) = segment.meta().start_ns;
        let buckets = plan
            .interval_ns
            .map(|_| (plan.bucket(first_ns).to_u64(), plan.bucket(last_ns).to_u64()));
        let mut local = Self {
            kinds: match plan.kinds {
                Kinds::Flows => Reader::Absent,
                Kinds::Counters | Kinds::All => reader(&Subject::Column(id::KIND)),
            },
            keys: Keys::new(
                &readers,
                buckets,
                documents.iter().take(ends).map(|documents| documents.count()).sum(),
            ),
            readers,
            metrics: plan.metrics.iter().map(of_metric).collect(),
            sums: plan.metrics.iter().map(|metric| Sums::new(&metric.kind)).collect(),
        };
        let starts = buckets.and_then(|_| open.column(id::START));
        let (mut docs, mut scratch, mut codes, mut numbers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for from in (0..segment.rows()).step_by(BLOCK as usize) {
            for (end, documents) in documents.into_iter().enumerate().take(ends) {
                docs.clear();
                documents.docs_of(from, documents.len().min(from + BLOCK), &mut docs);
                if docs.is_empty() {
                    continue;
                }
                watch.check()?;
                local.keys.start(docs.len());
                if let Some(starts) = starts {
                    first_codes(&starts.column, &docs, &mut scratch);
                    codes.clear();
                    let bucket = |code: u64| (0, plan.bucket(i64::from_u64(code)).to_u64());
                    codes.extend(scratch.iter().map(|code| code.map(bucket)));
                    local.keys.take(0, &codes);
                }
                let first = usize::from(buckets.is_some());
                for (at, reader) in local.readers.iter().enumerate() {
                    reader.read(end, &docs, &mut scratch, &mut codes);
                    local.keys.take(first + at, &codes);
                }
                local.keys.number(&mut numbers)?;
                local.add_up(plan, end, &docs, &numbers, &mut scratch, &mut codes)?;
            }
        }
        Ok(local)
    }

    fn add_up(
        &mut self,
        plan: &Plan,
        end: usize,
        docs: &[u32],
        groups: &[u32],
        scratch: &mut Vec<Option<u64>>,
        codes: &mut Vec<Option<LocalCode>>,
    ) -> Result<(), QueryError> {
        let mut values = 0;
        // What does not say what it is is a flow.
        self.kinds.read(end, docs, scratch, codes);
        let kinds: Vec<u64> = codes
            .iter()
            .map(|code| code.map_or(KIND_FLOW, |(_, code)| code))
            .collect();
        for ((sums, readers), metric) in self.sums.iter_mut().zip(&self.metrics).zip(&plan.metrics) {
            sums.grow(self.keys.len());
            if let (Sums::Rows(rows), Some(counted)) = (&mut *sums, metric.counted()) {
                for (group, kind) in groups.iter().zip(&kinds) {
                    if let Some(slot) = rows.get_mut(*group as usize) {
                        *slot += u64::from(*kind == counted);
                    }
                }
            }
            for (reader, subject) in readers.iter().zip(metric.subjects()) {
                if let Reader::Absent = reader {
                    continue;
                }
                reader.read(end, docs, scratch, codes);
                if let Some(only) = metric.reads.only_of(plan.kinds) {
                    let of_others = codes.iter_mut().zip(&kinds).filter(|(_, kind)| **kind != only);
                    of_others.for_each(|(code, _)| *code = None);
                }
                add_codes(sums, reader, subject, groups, codes);
            }
            values += sums.values();
        }
        if values > limits::VALUES_PER_AGGREGATE {
            Err(too_many_values())
        } else {
            Ok(())
        }
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

fn add_codes(sums: &mut Sums, reader: &Reader<'_>, subject: &Subject, groups: &[u32], codes: &[Option<LocalCode>]) {
    let present = groups
        .iter()
        .zip(codes)
        .filter_map(|(group, code)| Some((*group, (*code)?)));
    match sums {
        Sums::Rows(_) => {}
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
        Sums::Extreme(values, largest) => {
            for (group, code) in present {
                let Some(value) = reader.ordered(subject, code) else {
                    continue;
                };
                if let Some(slot) = values.get_mut(group as usize) {
                    *slot = Some(extreme(*slot, value, *largest));
                }
            }
        }
        Sums::Unique(seen) => {
            for pair in present {
                seen.insert(pair, ());
            }
        }
        Sums::All(all) => {
            all.extend(present.filter_map(|(group, code)| Some((group, reader.ordered(subject, code)?))));
        }
    }
}

/// The larger or smaller of what is held and a value.
pub fn extreme(held: Option<u64>, value: u64, largest: bool) -> u64 {
    match held {
        Some(held) if largest => held.max(value),
        Some(held) => held.min(value),
        None => value,
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
