//! Puts flows together: totals, top lists and series.
//!
//! Every segment is added up by its codes, in parallel; then groups are put together by their values. Exact, and
//! bounded: what would take too much memory is refused with what to ask instead.

mod keys;
mod local;
pub mod metric;
mod networks;
mod output;
mod plan;
mod rolled;
mod rows;
mod selected;
mod top;
mod total;
mod values;

use super::evaluate::Selection;
use super::filter::Filter;
use super::once::{self, LeftOut, OnceRule};
use super::{Limits, QueryError, QueryStats, Table, Watch, time};
use crate::query::sound::without_damage;
use crate::store::Snapshot;
use crate::store::segment::Segment;
use plan::Plan;
use rolled::Rolled;
pub use rolled::{TIERS, TierAsked};
use rows::{Found, Groups};
use selected::Source;
pub(super) use top::Tuning;
#[cfg(test)]
pub(super) use top::looked_through;
use total::Total;

/// The one group there is when nothing is grouped by: no column is there.
const NO_GROUP: [u64; 1] = [0];

/// Width of the buckets of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Chosen so that the time asked about has about a hundred buckets.
    Auto,
    /// Nanoseconds.
    Ns(i64),
}

/// The time that an answer is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// As long as the time asked about, and right before it.
    Previous,
    /// So many nanoseconds earlier.
    Ns(i64),
}

impl Compare {
    /// Reads `previous` or a duration.
    ///
    /// # Errors
    /// One line that says what is possible.
    pub fn parse(text: &str) -> Result<Compare, String> {
        if text.trim().eq_ignore_ascii_case("previous") {
            return Ok(Compare::Previous);
        }
        let read = time::parse_duration(text).map(Compare::Ns);
        read.map_err(|_| {
            let text = crate::normalize::row::cut(text, 48);
            format!("{text:?} is nothing to compare with; use previous, or how much earlier: 1d")
        })
    }
}

/// What to put together.
#[derive(Clone, Debug, Default)]
pub struct AggregateRequest {
    /// Which flows; `None` is all.
    pub filter: Option<Filter>,
    /// Flows that end at or after this time, nanoseconds.
    pub from_ns: Option<i64>,
    /// Flows that start before this time, nanoseconds.
    pub to_ns: Option<i64>,
    /// Columns or element names to group by, addresses with an optional `/LENGTH`; empty is one row of totals.
    pub group_by: Vec<String>,
    /// Metrics; empty is `octets`, `packets`, `flows`.
    pub metrics: Vec<String>,
    /// A series, one row per bucket (and group).
    pub interval: Option<Interval>,
    /// At most so many groups; 0 is 10.
    pub limit: usize,
    /// A metric or group column, `-` before it for descending; `None` is the first metric, descending.
    pub order_by: Option<String>,
    /// What the same groups had earlier, beside what they have.
    pub compare: Option<Compare>,
    /// Behind the groups, everything outside of them as one more.
    pub other: bool,
    /// Conversations that several exporters saw count once.
    pub once: Option<OnceRule>,
    /// What answers: flows or rollups.
    pub tier: TierAsked,
    /// How long it may take.
    pub limits: Limits,
}

/// Puts flows together.
///
/// Without `group_by` there is one row of totals. With `interval` rows have a `time` and empty buckets are there with
/// zeros; a flow is in the bucket of its start, or in the first when it began before the time asked about.
///
/// # Errors
/// When a parameter is wrong, a bound or the time is reached, or the store cannot be read.
pub fn aggregate(snapshot: &Snapshot, request: &AggregateRequest) -> Result<Table, QueryError> {
    aggregate_tuned(snapshot, request, &Tuning::default())
}

/// The same, with other bounds on when rows are looked through for a top list.
pub(super) fn aggregate_tuned(
    snapshot: &Snapshot,
    request: &AggregateRequest,
    tuning: &Tuning,
) -> Result<Table, QueryError> {
    // What is compared with is earlier.
    let from_ns = request.from_ns.filter(|_| request.compare.is_none());
    let reads = |segment: &Segment| segment.overlaps(from_ns, request.to_ns);
    without_damage(snapshot, &request.limits, reads, || answer(snapshot, request, tuning))
}

fn answer(snapshot: &Snapshot, request: &AggregateRequest, tuning: &Tuning) -> Result<Table, QueryError> {
    let watch = Watch::new(&request.limits);
    let plan = Plan::new(snapshot, request)?;
    // A series of too many buckets is refused before anything is read for it.
    if plan.interval_ns.is_some() {
        rows::buckets_of(&plan, None, 1)?;
    }
    let hint = match rolled::answer(snapshot, request, &plan, &watch)? {
        Rolled::Answer(table) => return Ok(*table),
        Rolled::Flows(hint) => hint,
    };
    let plan = plan.without_odd_times(snapshot);
    let mut stats = QueryStats {
        hint,
        from_ns: Some(plan.span_ns.0),
        to_ns: Some(plan.span_ns.1),
        ..QueryStats::default()
    };
    let question = Question {
        snapshot,
        request,
        tuning,
        watch: &watch,
    };
    let (groups, present) = question.present(&plan, &mut stats)?;
    let previous = question.previous(&plan, &groups, &present, &mut stats)?;
    if stats.hint.is_none() {
        stats.hint = stats
            .compare_ns
            .and_then(|compared| before_the_oldest(snapshot, compared));
    }
    stats.leave_out(question.segments_left_out(&plan));
    let mut table = rows::table(&plan, &groups, &present, previous.as_ref())?;
    stats.elapsed_ms = watch.elapsed_ms();
    table.stats = stats;
    table.interval_ns = plan.interval_ns;
    Ok(table)
}

/// Says that flows of the time compared with are gone, if they may be.
fn before_the_oldest(snapshot: &Snapshot, (from_ns, _): (i64, i64)) -> Option<String> {
    let oldest = snapshot.lost_before_ns()?;
    (from_ns < oldest).then(|| {
        format!(
            "what was before is only of flows that are still kept, and those from before {} are gone",
            time::format_time(oldest)
        )
    })
}

/// A request over flows.
struct Question<'q> {
    snapshot: &'q Snapshot,
    request: &'q AggregateRequest,
    tuning: &'q Tuning,
    watch: &'q Watch,
}

impl<'q> Question<'q> {
    fn selection(&self, plan: &Plan) -> Selection<'q> {
        let (from_ns, to_ns) = plan.rows_span();
        Selection {
            kinds: plan.kinds,
            filter: self.request.filter.as_ref(),
            from_ns,
            to_ns,
            // What has no time is in no bucket, and its group is no reason for a series.
            timed: self.request.interval.is_some(),
        }
    }

    /// Segments of the time asked about, or compared with, that could not be read.
    fn segments_left_out(&self, plan: &Plan) -> u64 {
        let spans = [Some(plan.rows_span()), plan.of_previous().map(|plan| plan.rows_span())];
        let segments = self.snapshot.segments().iter();
        let asked = segments.filter(|segment| spans.iter().flatten().any(|span| segment.overlaps(span.0, span.1)));
        asked.filter(|segment| segment.open().is_none()).count() as u64
    }

    /// The rows that would count again.
    fn left_out(&self, plan: &Plan) -> Result<Option<LeftOut>, QueryError> {
        let rule = self.request.once.as_ref();
        let found = rule.map(|rule| once::find(self.snapshot, &self.selection(plan), rule, self.watch));
        found.transpose()
    }

    fn source<'s>(&'s self, plan: &Plan, left_out: Option<&'s LeftOut>) -> Source<'s> {
        Source {
            snapshot: self.snapshot,
            selection: self.selection(plan),
            left_out,
            watch: self.watch,
        }
    }

    /// Which groups are shown, and what they have.
    fn present(&self, plan: &Plan, stats: &mut QueryStats) -> Result<(Groups, Found), QueryError> {
        let left_out = self.left_out(plan)?;
        let once = self.request.once.as_ref().zip(left_out.as_ref());
        stats.once = once.map(|(rule, left_out)| (rule.words(), left_out.rows));
        let source = self.source(plan, left_out.as_ref());
        if plan.groups.is_empty() {
            let groups = Groups {
                shown: vec![NO_GROUP.into()],
                rest: false,
            };
            let answer = source.gather(plan, Total::new(plan), stats)?.finish();
            return Ok((groups, Found::new(answer, plan)));
        }
        // First which groups, then their series: only those are kept bucket by bucket.
        let whole = plan.without_interval();
        let (answer, rows) = match top::top(&source, &whole, self.tuning, stats)? {
            Some(top) => {
                tracing::debug!(
                    rounds = top.rounds,
                    groups = top.answer.len(),
                    "groups that may be shown"
                );
                (top.answer, Some(top.rows))
            }
            None => (source.gather(&whole, Total::new(&whole), stats)?.finish(), None),
        };
        let mut found = Found::new(answer, &whole);
        let shown = rows::ranked(&found, &whole);
        let groups = Groups {
            rest: plan.other && (found.answer.len() > shown.len() || plan.compare_ns.is_some()),
            shown,
        };
        if plan.interval_ns.is_some() {
            let total = found.answer.for_groups(plan, &groups.shown);
            let total = match rows {
                Some(rows) => rows.gather(plan, total, self.watch)?,
                None => source.gather(plan, total, stats)?,
            };
            found = Found::new(total.finish(), plan);
        } else if groups.rest {
            found.answer.put_rest_together(plan, &groups.shown);
        }
        Ok((groups, found))
    }

    /// What the same groups had before.
    fn previous(
        &self,
        plan: &Plan,
        groups: &Groups,
        present: &Found,
        stats: &mut QueryStats,
    ) -> Result<Option<Found>, QueryError> {
        let Some(plan) = plan.of_previous() else {
            return Ok(None);
        };
        let total = present.answer.for_groups(&plan, &groups.shown);
        let mut cost = QueryStats::default();
        let left_out = self.left_out(&plan)?;
        let source = self.source(&plan, left_out.as_ref());
        let found = Found::new(source.gather(&plan, total, &mut cost)?.finish(), &plan);
        stats.rows_read += cost.rows_read;
        stats.compare_ns = match plan.rows_span() {
            (Some(from), Some(to)) => Some((from, to)),
            _ => None,
        };
        Ok(Some(found))
    }
}
