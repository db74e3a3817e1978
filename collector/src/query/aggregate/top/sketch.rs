//! What rows come to by the hash of their group: no group has more than the rows whose hash falls where its own does.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

use tantivy::columnar::Column;

use super::super::super::bits::Bits;
use super::super::super::filter::ast::Subject;
use super::super::super::kinds::Kinds;
use super::super::super::parallel::each;
use super::super::super::{QueryError, Watch};
use super::super::metric::Metric;
use super::super::plan::Plan;
use super::super::selected::{Part, Selected};
use super::hashes::{Block, Hashes};
use crate::normalize::codes::KIND_FLOW;
use crate::normalize::columns::{ColumnKind, id};
use crate::store::segment::{Decode, OpenSegment};

/// What a row has of the metric that groups are put in order by.
enum Amounts<'s> {
    /// Columns added up, by the end that a flow is seen from.
    Sum([Vec<&'s Column<u64>>; 2]),
    /// One, when it is of this kind.
    One(u64, Option<&'s Column<u64>>),
}

impl<'s> Amounts<'s> {
    /// In a segment; `None` when they may be less than nothing, or no whole numbers.
    fn open(open: &'s OpenSegment, plan: &Plan, metric: &Metric) -> Option<Self> {
        if let Some(counted) = metric.counted() {
            let kinds = match plan.kinds {
                Kinds::Flows => None,
                Kinds::Counters | Kinds::All => Some(&open.column(id::KIND)?.column),
            };
            return Some(Self::One(counted, kinds));
        }
        let columns = |subjects: &[Subject]| {
            let mut columns = Vec::with_capacity(subjects.len());
            for subject in subjects {
                let Subject::Column(column) = subject else { return None };
                if column.column().kind != ColumnKind::Number {
                    return None;
                }
                match open.column(*column) {
                    Some(codes) if matches!(codes.decode, Decode::Number) => columns.push(&codes.column),
                    Some(_) => return None,
                    None => {}
                }
            }
            Some(columns)
        };
        let first = columns(metric.subjects())?;
        let second = match metric.other_end.as_slice() {
            [] => first.clone(),
            subjects => columns(subjects)?,
        };
        Some(Self::Sum([first, second]))
    }

    /// What a row has at most.
    fn largest(&self) -> u128 {
        match self {
            Self::One(..) => 1,
            Self::Sum(ends) => {
                let of_end = |columns: &Vec<&Column<u64>>| {
                    let columns = columns.iter().filter(|column| column.values.num_vals() > 0);
                    columns.map(|column| u128::from(column.max_value())).sum::<u128>()
                };
                ends.iter().map(of_end).max().unwrap_or(0)
            }
        }
    }

    /// One for each document of a block.
    fn of(&self, end: usize, block: &mut Block, out: &mut Vec<u64>) {
        out.clear();
        match self {
            Self::One(counted, None) => out.resize(block.docs.len(), u64::from(*counted == KIND_FLOW)),
            Self::One(counted, Some(kinds)) => {
                block.each_code(kinds, |_, kind| {
                    out.push(u64::from(kind.unwrap_or(KIND_FLOW) == *counted))
                });
            }
            Self::Sum(ends) => {
                out.resize(block.docs.len(), 0);
                for column in ends.get(end).into_iter().flatten() {
                    block.each_code(column, |at, code| {
                        if let Some(slot) = out.get_mut(at) {
                            // What all rows have together does not go over.
                            *slot = slot.wrapping_add(code.unwrap_or(0));
                        }
                    });
                }
            }
        }
    }
}

/// What a metric of all rows comes to at most; `None` when it does not go with what is here.
pub fn most(rows: &Selected<'_>, plan: &Plan, metric: &Metric) -> Option<u128> {
    let ends = if plan.has_ends() { 2 } else { 1 };
    let of_part = |part: &Part<'_>| {
        let largest = Amounts::open(part.open, plan, metric)?.largest();
        Some(largest * u128::from(part.count()) * ends)
    };
    rows.parts.iter().map(of_part).sum()
}

/// Sums of rows by the hash of their group.
pub struct Sketch {
    /// What the rows of each bucket have together.
    sums: Vec<u64>,
    /// How far a hash is moved to the right to be the number of a bucket.
    shift: u32,
    /// The bucket of every row of each part, in the order in which rows are looked at, if they are kept.
    kept: Vec<OnceLock<Vec<u32>>>,
    seed: u64,
}

/// What a sketch is of.
pub struct Sketching<'s, 'q> {
    /// The rows.
    pub rows: &'s Selected<'q>,
    /// The question.
    pub plan: &'s Plan,
    /// What groups are put in order by.
    pub metric: &'s Metric,
    /// Ends it.
    pub watch: &'s Watch,
    /// The buckets of so many rows are kept.
    pub kept_rows: u64,
}

pub fn store_error(error: io::Error) -> QueryError {
    QueryError::Store {
        detail: error.to_string(),
    }
}

impl<'q> Sketching<'_, 'q> {
    fn ends(&self) -> usize {
        if self.plan.has_ends() { 2 } else { 1 }
    }

    /// Adds up every row, in two to the power of `bits` buckets.
    pub fn sketch(&self, bits: u32, seed: u64) -> Result<Sketch, QueryError> {
        let keeps = self.rows.count() * self.ends() as u64 <= self.kept_rows;
        let parts: Vec<(usize, &Part<'_>)> = self.rows.parts.iter().enumerate().collect();
        let mut sketch = Sketch {
            sums: Vec::new(),
            shift: u64::BITS - bits,
            kept: parts.iter().map(|_| OnceLock::new()).collect(),
            seed,
        };
        // One table for each thread: they would wait for each other's memory otherwise.
        let tables: Mutex<Vec<Vec<u64>>> = Mutex::default();
        each(&parts, self.watch, |(at, part)| {
            let table = tables.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut table = table.unwrap_or_else(|| vec![0; 1 << bits]);
            let Some(amounts) = Amounts::open(part.open, self.plan, self.metric) else {
                return Ok(());
            };
            let rows = part.count() as usize * self.ends();
            let mut all = Vec::with_capacity(if keeps { rows } else { 0 });
            let mut values = Vec::new();
            self.each_block(part, &sketch, |end, block, buckets| {
                amounts.of(end, block, &mut values);
                for (bucket, value) in buckets.iter().zip(&values) {
                    if let Some(sum) = table.get_mut(*bucket as usize) {
                        *sum = sum.wrapping_add(*value);
                    }
                }
                if keeps {
                    all.extend_from_slice(buckets);
                }
            })?;
            if let (true, Some(kept)) = (keeps, sketch.kept.get(*at)) {
                let _ = kept.set(all);
            }
            tables.lock().unwrap_or_else(PoisonError::into_inner).push(table);
            Ok(())
        })?;
        let mut tables = tables.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter();
        sketch.sums = tables.next().unwrap_or_default();
        for table in tables {
            for (sum, other) in sketch.sums.iter_mut().zip(table) {
                *sum = sum.wrapping_add(other);
            }
        }
        Ok(sketch)
    }

    /// Goes through the rows of a part and the buckets they are in.
    fn each_block(
        &self,
        part: &Part<'_>,
        sketch: &Sketch,
        mut see: impl FnMut(usize, &mut Block, &[u32]),
    ) -> Result<(), QueryError> {
        let hashes = Hashes::open(part.open, self.plan, &part.all(), sketch.seed).map_err(store_error)?;
        let (mut block, mut of_rows, mut buckets) = (Block::default(), Vec::new(), Vec::new());
        for from in Block::starts(&part.documents) {
            self.watch.check()?;
            for end in 0..self.ends() {
                if !block.start(part.of_end(end), from) {
                    continue;
                }
                hashes.of(end, &mut block, &mut of_rows);
                buckets.clear();
                buckets.extend(of_rows.iter().map(|hash| (hash >> sketch.shift) as u32));
                see(end, &mut block, &buckets);
            }
        }
        Ok(())
    }

    /// The rows in buckets that have at least so much.
    pub fn rows_of(&self, sketch: &Sketch, sum: u64) -> Result<Selected<'q>, QueryError> {
        let wanted = sketch.at_least(sum);
        let found: Vec<OnceLock<[Bits; 2]>> = self.rows.parts.iter().map(|_| OnceLock::new()).collect();
        let parts: Vec<_> = self.rows.parts.iter().zip(&sketch.kept).zip(&found).collect();
        each(&parts, self.watch, |((part, kept), found)| {
            let mut ends = [Bits::none(part.documents.len()), Bits::none(part.documents.len())];
            let mut see = |end: usize, docs: &[u32], buckets: &[u32]| {
                let Some(documents) = ends.get_mut(end) else { return };
                for (doc, bucket) in docs.iter().zip(buckets) {
                    if wanted.contains(*bucket) {
                        documents.insert(*doc);
                    }
                }
            };
            match kept.get() {
                None => self.each_block(part, sketch, |end, block, buckets| see(end, &block.docs, buckets))?,
                Some(kept) => {
                    let (mut block, mut rest) = (Block::default(), kept.as_slice());
                    for from in Block::starts(&part.documents) {
                        self.watch.check()?;
                        for end in 0..self.ends() {
                            if !block.start(part.of_end(end), from) {
                                continue;
                            }
                            let (buckets, behind) = rest.split_at(block.docs.len().min(rest.len()));
                            see(end, &block.docs, buckets);
                            rest = behind;
                        }
                    }
                }
            }
            let _ = found.set(ends);
            Ok(())
        })?;
        let parts = self.rows.parts.iter().zip(found).filter_map(|(part, documents)| {
            let [documents, second] = documents.into_inner()?;
            let part = Part {
                documents,
                second: (self.ends() == 2).then_some(second),
                ..*part
            };
            (part.count() > 0).then_some(part)
        });
        Ok(Selected { parts: parts.collect() })
    }
}

impl Sketch {
    /// Buckets that have at least so much.
    fn at_least(&self, sum: u64) -> Bits {
        let mut found = Bits::none(self.sums.len() as u32);
        for (bucket, held) in (0..).zip(&self.sums) {
            if *held >= sum {
                found.insert(bucket);
            }
        }
        found
    }

    /// What the bucket has that so many others are not larger than; at least 1.
    pub fn largest(&self, count: usize) -> u64 {
        let mut sums: Vec<u64> = self.sums.iter().copied().filter(|sum| *sum > 0).collect();
        if sums.len() <= count {
            return 1;
        }
        let (_, sum, _) = sums.select_nth_unstable_by(count, |left, right| right.cmp(left));
        *sum
    }
}
