//! Finds the rows that a top list can be of, so that not every group must be held to show ten of them.
//!
//! Every row's amount is added to the bucket that its group's hash names. A group has at most what its bucket has.
//! The groups of the largest buckets are added up as groups; the last one that would be shown says how much it takes to
//! be on the list, and groups of buckets that have less are not on it. Exact: what is left out is known not to be shown.

mod hashes;
mod sketch;

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::super::{QueryError, QueryStats};
use super::metric::{Metric, MetricKind};
use super::output::Formula;
use super::plan::{OrderBy, Plan};
use super::selected::{Selected, Source};
use super::total::{Answer, Total};
use crate::limits;
use hashes::{Block, Hashes};
use sketch::{Sketching, most, store_error};

/// When and how rows are looked through.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Fewer rows are added up as they are.
    pub least_rows: u64,
    /// Of a sample, at least one group in so many rows: fewer groups are quickly added up as they are.
    pub rows_per_group: usize,
    /// Two to the power of this are the buckets at most.
    pub bits: u32,
    /// Largest buckets for each group that is shown, and at least so many.
    pub buckets: (usize, usize),
    /// How often rows are looked through at most.
    pub rounds: u32,
    /// So few are worth no further round.
    pub few_rows: u64,
    /// The buckets of so many rows are kept.
    pub kept_rows: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            least_rows: 100_000,
            rows_per_group: 16,
            bits: limits::TOP_BUCKETS.ilog2(),
            buckets: (4, 64),
            rounds: 3,
            few_rows: 50_000,
            kept_rows: limits::TOP_KEPT_ROWS,
        }
    }
}

/// Sums whose rates are the same number differ by less than this many bits' last one.
const RATE_BITS: u32 = 40;
/// There are at least so many rows for each bucket that is added up as groups.
const ROWS_PER_BUCKET: u64 = 8;
/// Blocks of rows that a sample is of.
const SAMPLED_BLOCKS: usize = 16;

/// The groups that may be shown, and their rows.
pub struct Top<'q> {
    /// The groups.
    pub answer: Answer,
    /// Their rows, and maybe others.
    pub rows: Selected<'q>,
    /// How often rows were looked through.
    pub rounds: u32,
}

/// The metric that groups are put in order by, when small parts of it cannot come to much: it only grows, row by row.
fn ranking(plan: &Plan) -> Option<usize> {
    let OrderBy::Output(at) = plan.order else { return None };
    let Formula::Metric(metric) = plan.outputs.get(at)?.formula else {
        return None;
    };
    let grows = match plan.metrics.get(metric)?.kind {
        MetricKind::Count(_) | MetricKind::FlowRate | MetricKind::Sum(_) | MetricKind::Rate(..) => true,
        MetricKind::Unique(_) | MetricKind::Min(_) | MetricKind::Max(_) => false,
        MetricKind::Avg(_) | MetricKind::Quantile(..) => false,
    };
    let hashes = !plan.groups.is_empty() && plan.groups.iter().all(hashes::can_hash);
    (plan.descending && grows && hashes && !plan.needs_rest() && plan.interval_ns.is_none()).then_some(metric)
}

/// Adds up the groups that may be shown; `None` when all must be, and nothing was read yet.
pub fn top<'q>(
    source: &Source<'q>,
    plan: &Plan,
    tuning: &Tuning,
    stats: &mut QueryStats,
) -> Result<Option<Top<'q>>, QueryError> {
    let Some(metric) = ranking(plan) else { return Ok(None) };
    let stored: u64 = source.segments().iter().map(|segment| u64::from(segment.rows())).sum();
    if !(tuning.least_rows..=limits::TOP_ROWS).contains(&stored) {
        return Ok(None);
    }
    let rows = source.select(stats)?;
    let search = Search {
        source,
        plan,
        metric,
        tuning,
    };
    search.run(rows).map(Some)
}

struct Search<'s, 'q> {
    source: &'s Source<'q>,
    plan: &'s Plan,
    metric: usize,
    tuning: &'s Tuning,
}

impl<'q> Search<'_, 'q> {
    fn run(&self, mut rows: Selected<'q>) -> Result<Top<'q>, QueryError> {
        let (mut rounds, mut least) = (0, 0);
        let hasher = RandomState::default();
        if let Some(metric) = self.pays(&rows)? {
            while rounds < self.tuning.rounds {
                rounds += 1;
                let sketching = Sketching {
                    rows: &rows,
                    plan: self.plan,
                    metric,
                    watch: self.source.watch,
                    kept_rows: self.tuning.kept_rows,
                };
                let before = rows.count();
                let sketch = sketching.sketch(self.bits(before), hasher.hash_one(rounds))?;
                let floor = sketch.largest(self.buckets()).max(least);
                let found = sketching.rows_of(&sketch, floor)?;
                let answer = self.gather(&found)?;
                least = self.least(&answer).max(least);
                if least >= floor {
                    // Every bucket that has so much was among them.
                    return Ok(Top {
                        answer,
                        rows: found,
                        rounds,
                    });
                }
                if least == 0 {
                    break;
                }
                drop(answer);
                rows = sketching.rows_of(&sketch, least)?;
                if rows.count() <= self.tuning.few_rows || rows.count() > before / 2 {
                    break;
                }
            }
        }
        let answer = self.gather(&rows)?;
        Ok(Top { answer, rows, rounds })
    }

    fn gather(&self, rows: &Selected<'_>) -> Result<Answer, QueryError> {
        let total = rows.gather(self.plan, Total::new(self.plan), self.source.watch)?;
        Ok(total.finish())
    }

    /// The metric to look through rows by, when that is less work than to add up all groups.
    fn pays(&self, rows: &Selected<'_>) -> Result<Option<&Metric>, QueryError> {
        let Some(metric) = self.plan.metrics.get(self.metric) else {
            return Ok(None);
        };
        let count = rows.count();
        let is_many = count >= self.tuning.least_rows && self.buckets() as u64 <= count / ROWS_PER_BUCKET;
        // A bucket's sum is a number of 64 bits.
        let is_small = || most(rows, self.plan, metric).is_some_and(|most| most <= u128::from(u64::MAX));
        Ok((is_many && is_small() && self.has_many_groups(rows)?).then_some(metric))
    }

    /// Looks at a few rows of the largest segment.
    fn has_many_groups(&self, rows: &Selected<'_>) -> Result<bool, QueryError> {
        let Some(part) = rows.parts.first() else {
            return Ok(false);
        };
        let hashes = Hashes::of_one_segment(part.open, self.plan).map_err(store_error)?;
        let starts: Vec<u32> = Block::starts(&part.documents).collect();
        let (mut block, mut of_block, mut all) = (Block::default(), Vec::new(), Vec::new());
        for from in starts.iter().step_by(starts.len().div_ceil(SAMPLED_BLOCKS).max(1)) {
            if block.start(&part.documents, *from) {
                hashes.of(0, &mut block, &mut of_block);
                all.extend_from_slice(&of_block);
            }
        }
        let sampled = all.len();
        all.sort_unstable();
        all.dedup();
        Ok(all.len() * self.tuning.rows_per_group >= sampled)
    }

    /// How many of the largest buckets are added up as groups first.
    fn buckets(&self) -> usize {
        let (each, at_least) = self.tuning.buckets;
        self.plan.limit.saturating_mul(each).max(at_least)
    }

    /// About half as many buckets as rows, as a power of two: more take longer to make ready than they spare.
    fn bits(&self, rows: u64) -> u32 {
        (rows / 2).max(2).next_power_of_two().ilog2().min(self.tuning.bits)
    }

    /// What the last group that would be shown has; 0 when there are too few.
    fn least(&self, answer: &Answer) -> u64 {
        let wholes = answer.places().filter_map(|place| answer.whole(self.metric, place));
        let mut wholes: Vec<u64> = wholes.collect();
        let last = self.plan.limit.saturating_sub(1);
        if last >= wholes.len() {
            return 0;
        }
        let (_, least, _) = wholes.select_nth_unstable_by(last, |left, right| right.cmp(left));
        // Rates are floating-point numbers: those of slightly less may be the same.
        *least - (*least >> RATE_BITS)
    }
}

/// How often rows were looked through for a request, and how many groups were held in the end.
#[cfg(test)]
pub fn looked_through(
    snapshot: &crate::store::Snapshot,
    request: &super::AggregateRequest,
    tuning: &Tuning,
) -> Option<(u32, usize)> {
    let plan = Plan::new(snapshot, request).unwrap().without_interval();
    let (from_ns, to_ns) = plan.rows_span();
    let source = Source {
        snapshot,
        selection: super::Selection {
            kinds: plan.kinds,
            filter: request.filter.as_ref(),
            from_ns,
            to_ns,
            timed: request.interval.is_some(),
        },
        left_out: None,
        watch: &super::Watch::new(&request.limits),
    };
    let top = top(&source, &plan, tuning, &mut QueryStats::default()).unwrap();
    top.map(|top| (top.rounds, top.answer.len()))
}
