//! Puts flows together: totals, top lists and series.
//!
//! Every segment is added up by its codes, in parallel; then groups are put together by their values. Exact, and
//! bounded: what would take too much memory is refused with what to ask instead.

mod keys;
mod local;
pub mod metric;
mod plan;
mod rolled;
mod total;
mod values;

use std::cmp::Ordering;
use std::sync::atomic::{AtomicUsize, Ordering as Memory};
use std::sync::{Arc, Mutex, PoisonError};

use super::evaluate::Selection;
use super::filter::Filter;
use super::filter::ast::Subject;
use super::order::total_order;
use super::table::{TableColumn, TableRow};
use super::{Limits, QueryError, QueryStats, Table, Watch};
use crate::limits;
use crate::normalize::columns::ColumnKind;
use crate::normalize::row::Cell;
use crate::store::Snapshot;
use crate::store::segment::Segment;
use local::Local;
use plan::{OrderBy, Plan};
use rolled::Rolled;
pub use rolled::{TIERS, TierAsked};
use total::{Answer, GroupKey, Place, Total};

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
    let watch = Watch::new(&request.limits);
    let plan = Plan::new(snapshot, request)?;
    let hint = match rolled::answer(snapshot, request, &plan, &watch)? {
        Rolled::Answer(table) => return Ok(*table),
        Rolled::Flows(hint) => hint,
    };
    let mut stats = QueryStats {
        hint,
        from_ns: Some(plan.span_ns.0),
        to_ns: Some(plan.span_ns.1),
        ..QueryStats::default()
    };
    let all = |plan: &Plan, stats: &mut QueryStats| gather(snapshot, request, plan, Total::new(plan), &watch, stats);
    let mut table = if plan.interval_ns.is_none() {
        let answer = all(&plan, &mut stats)?.finish();
        top_table(&answer, &plan)
    } else if plan.groups.is_empty() {
        let answer = all(&plan, &mut stats)?.finish();
        series_table(&answer, &plan, &[NO_GROUP.into()])?
    } else {
        // First which groups, then their series: only those are kept bucket by bucket.
        let whole = plan.without_interval();
        let first = all(&whole, &mut QueryStats::default())?;
        let found = first.finish();
        let groups: Vec<GroupKey> = ranked(&found, &whole)
            .into_iter()
            .map(|place| found.group(place))
            .collect();
        let total = found.for_groups(&plan, &groups);
        let answer = gather(snapshot, request, &plan, total, &watch, &mut stats)?.finish();
        series_table(&answer, &plan, &groups)?
    };
    stats.elapsed_ms = watch.elapsed_ms();
    table.stats = stats;
    table.interval_ns = plan.interval_ns;
    Ok(table)
}

/// Adds up every segment, a few at a time.
fn gather(
    snapshot: &Snapshot,
    request: &AggregateRequest,
    plan: &Plan,
    total: Total,
    watch: &Watch,
    stats: &mut QueryStats,
) -> Result<Total, QueryError> {
    let selection = Selection {
        kinds: plan.kinds,
        filter: request.filter.as_ref(),
        from_ns: plan.from_ns,
        to_ns: plan.to_ns,
    };
    let overlaps = |segment: &&Arc<Segment>| segment.overlaps(plan.from_ns, plan.to_ns);
    let segments: Vec<&Arc<Segment>> = snapshot.segments().iter().filter(overlaps).collect();
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((QueryStats::default(), Vec::new()));
    let work = || -> Result<(), QueryError> {
        while let Some(segment) = segments.get(next.fetch_add(1, Memory::Relaxed)) {
            let Some(open) = segment.open() else { continue };
            let documents = selection.documents(segment, open, watch)?;
            let local = Local::gather(segment, open, &documents, plan, watch)?;
            total.add(&local, plan)?;
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (stats, partitions) = &mut *shared;
            stats.segments += 1;
            stats.rows_read += u64::from(segment.rows());
            stats.rows_matched += u64::from(documents.count());
            partitions.push(segment.partition());
        }
        Ok(())
    };
    let threads = limits::QUERY_THREADS.min(segments.len()).max(1);
    let results = std::thread::scope(|scope| {
        let told = || work().inspect_err(|_| watch.fail());
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(told)).collect();
        let mut results = vec![told()];
        for other in others {
            results.push(other.join().unwrap_or_else(|_| {
                Err(QueryError::Store {
                    detail: "a thread of the query panicked".to_owned(),
                })
            }));
        }
        results
    });
    // What went wrong first, not who was told to stop because of it.
    let mut errors: Vec<QueryError> = results.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(|error| *error == QueryError::Cancelled);
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    let (found, mut partitions) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    partitions.sort_unstable();
    partitions.dedup();
    stats.segments = found.segments;
    stats.rows_read = found.rows_read;
    stats.rows_matched = found.rows_matched;
    stats.partitions = partitions.len() as u64;
    Ok(total)
}

/// The groups that are shown, in order.
fn ranked(answer: &Answer, plan: &Plan) -> Vec<Place> {
    let key = |place: Place| match plan.order {
        OrderBy::Metric(at) => answer.metric(plan, at, Some(place)),
        OrderBy::Group(at) => answer.group_cell(place, at),
        OrderBy::Time => None,
    };
    let mut keyed: Vec<(Option<Cell>, Place)> = answer.places().map(|place| (key(place), place)).collect();
    let by_key = |left: &Option<Cell>, right: &Option<Cell>| match (left, right) {
        (Some(a), Some(b)) => {
            let order = total_order(a, b);
            if plan.descending { order.reverse() } else { order }
        }
        // Groups without the value come last.
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    if keyed.len() > plan.limit {
        let (_, last, _) = keyed.select_nth_unstable_by(plan.limit - 1, |left, right| by_key(&left.0, &right.0));
        // Groups that are as large as the last one stay: which of them are shown must not depend on threads.
        let last = last.0.clone();
        keyed.retain(|entry| by_key(&entry.0, &last) != Ordering::Greater);
    }
    let mut shown: Vec<_> = keyed
        .into_iter()
        .map(|(key, place)| (key, answer.group_cells(&answer.group(place)), place))
        .collect();
    shown.sort_by(|left, right| by_key(&left.0, &right.0).then_with(|| compare_keys(&left.1, &right.1)));
    shown.truncate(plan.limit);
    shown.into_iter().map(|(_, _, place)| place).collect()
}

fn compare_keys(left: &[Option<Cell>], right: &[Option<Cell>]) -> Ordering {
    let compared = left.iter().zip(right).map(|pair| match pair {
        (Some(a), Some(b)) => total_order(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    compared.fold(Ordering::Equal, Ordering::then)
}

fn table_columns(plan: &Plan) -> Vec<TableColumn> {
    let time = plan.interval_ns.map(|_| TableColumn {
        name: "time".to_owned(),
        kind: ColumnKind::Time,
        unit: "",
    });
    let groups = plan.groups.iter().map(|group| {
        let kind = match (&group.subject, group.prefix) {
            (_, Some(_)) | (Subject::Other(_), None) => ColumnKind::Text,
            (Subject::Column(column), None) => column.column().kind,
        };
        TableColumn {
            name: group.name.clone(),
            kind,
            unit: "",
        }
    });
    let metrics = plan.metrics.iter().take(plan.shown).map(|metric| {
        let (kind, unit) = metric.shown();
        TableColumn {
            name: metric.name.clone(),
            kind,
            unit,
        }
    });
    time.into_iter().chain(groups).chain(metrics).collect()
}

fn metrics_of<'a>(answer: &'a Answer, plan: &'a Plan, place: Option<Place>) -> impl Iterator<Item = Option<Cell>> + 'a {
    (0..plan.shown).map(move |at| answer.metric(plan, at, place))
}

fn top_table(answer: &Answer, plan: &Plan) -> Table {
    let row = |cells: Vec<Option<Cell>>, place: Option<Place>| TableRow {
        cells: cells.into_iter().chain(metrics_of(answer, plan, place)).collect(),
        ..TableRow::default()
    };
    let rows = if plan.groups.is_empty() {
        vec![row(Vec::new(), answer.places().next())]
    } else {
        let places = ranked(answer, plan).into_iter();
        places
            .map(|place| row(answer.group_cells(&answer.group(place)), Some(place)))
            .collect()
    };
    Table {
        columns: table_columns(plan),
        rows,
        ..Table::default()
    }
}

/// First and last bucket of a series, of what was asked about or found.
fn buckets_of(plan: &Plan, found: Option<(i64, i64)>, groups: usize) -> Result<Option<(i64, i64)>, QueryError> {
    let width = plan.interval_ns.unwrap_or(1);
    let first = plan
        .from_ns
        .map(|from| from.div_euclid(width))
        .or(found.map(|(first, _)| first));
    let last = plan
        .to_ns
        .map(|to| (to - 1).div_euclid(width))
        .or(found.map(|(_, last)| last));
    let (Some(first), Some(last)) = (first, last.or(first)) else {
        return Ok(None);
    };
    let buckets = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(0);
    let refuse = |detail: String| {
        Err(QueryError::Request {
            parameter: "interval",
            detail,
            nearest: None,
        })
    };
    if buckets > limits::BUCKETS_PER_SERIES {
        let least = width.saturating_mul((buckets / limits::BUCKETS_PER_SERIES) as i64 + 1) / 1_000_000_000 + 1;
        return refuse(format!(
            "this interval makes {buckets} buckets and {} are the most; use at least {least}s, or a shorter time",
            limits::BUCKETS_PER_SERIES
        ));
    }
    if buckets.saturating_mul(groups) > limits::ROWS_PER_AGGREGATE {
        return refuse(format!(
            "{buckets} buckets of {groups} groups are too many rows; use a longer interval"
        ));
    }
    Ok(Some((first, last)))
}

fn series_table(answer: &Answer, plan: &Plan, groups: &[GroupKey]) -> Result<Table, QueryError> {
    let width = plan.interval_ns.unwrap_or(1);
    let mut table = Table {
        columns: table_columns(plan),
        ..Table::default()
    };
    let Some((first, last)) = buckets_of(plan, answer.buckets(), groups.len())? else {
        return Ok(table);
    };
    for group in groups {
        let cells = answer.group_cells(group);
        for bucket in first..=last {
            let time = std::iter::once(Some(Cell::Signed(bucket.saturating_mul(width))));
            let cells = time
                .chain(cells.iter().cloned())
                .chain(metrics_of(answer, plan, answer.find(group, bucket)))
                .collect();
            table.rows.push(TableRow {
                cells,
                ..TableRow::default()
            });
        }
    }
    if plan.groups.is_empty() && plan.order == OrderBy::Time && plan.descending {
        table.rows.reverse();
    }
    Ok(table)
}
