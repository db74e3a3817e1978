//! Puts flows together: totals, top lists and series.
//!
//! Every segment is added up by its codes, in parallel; then groups are put together by their values. Exact, and
//! bounded: what would take too much memory is refused with what to ask instead.

mod local;
pub mod metric;
mod plan;
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
use total::Total;

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
    let mut stats = QueryStats {
        from_ns: Some(plan.span_ns.0),
        to_ns: Some(plan.span_ns.1),
        ..QueryStats::default()
    };
    let mut table = if plan.interval_ns.is_none() {
        let total = gather(snapshot, request, &plan, Total::new(&plan), &watch, &mut stats)?;
        let order = ranked(&total, &plan);
        top_table(&total, &plan, &order)
    } else if plan.groups.is_empty() {
        let total = gather(snapshot, request, &plan, Total::new(&plan), &watch, &mut stats)?;
        series_table(&total, &plan, &[0])?
    } else {
        // First which groups, then their series: only those are kept bucket by bucket.
        let whole = plan.without_interval();
        let first = gather(
            snapshot,
            request,
            &whole,
            Total::new(&whole),
            &watch,
            &mut QueryStats::default(),
        )?;
        let chosen: Vec<_> = ranked(&first, &whole)
            .into_iter()
            .map(|group| first.raw_group_cells(group))
            .collect();
        let total = gather(
            snapshot,
            request,
            &plan,
            Total::for_groups(&plan, &chosen),
            &watch,
            &mut stats,
        )?;
        let order: Vec<usize> = (0..total.groups()).collect();
        series_table(&total, &plan, &order)?
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
        filter: request.filter.as_ref(),
        from_ns: plan.from_ns,
        to_ns: plan.to_ns,
    };
    let overlaps = |segment: &&Arc<Segment>| segment.overlaps(plan.from_ns, plan.to_ns);
    let segments: Vec<&Arc<Segment>> = snapshot.segments().iter().filter(overlaps).collect();
    let next = AtomicUsize::new(0);
    let shared = Mutex::new((total, QueryStats::default(), Vec::new()));
    let work = || -> Result<(), QueryError> {
        while let Some(segment) = segments.get(next.fetch_add(1, Memory::Relaxed)) {
            let Some(open) = segment.open() else { continue };
            let documents = selection.documents(segment, open, watch)?;
            let local = Local::gather(open, &documents, plan, watch)?;
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (total, stats, partitions) = &mut *shared;
            total.add(&local, plan)?;
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
    let (mut total, found, mut partitions) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    partitions.sort_unstable();
    partitions.dedup();
    stats.segments = found.segments;
    stats.rows_read = found.rows_read;
    stats.rows_matched = found.rows_matched;
    stats.partitions = partitions.len() as u64;
    total.finish();
    Ok(total)
}

/// The groups that are shown, in order.
fn ranked(total: &Total, plan: &Plan) -> Vec<usize> {
    let key = |group: usize| match plan.order {
        OrderBy::Metric(at) => total.metric(plan, at, group, 0),
        OrderBy::Group(at) => total.group_cells(group).into_iter().nth(at).flatten(),
        OrderBy::Time => None,
    };
    let mut keyed: Vec<(Option<Cell>, usize)> = (0..total.groups()).map(|group| (key(group), group)).collect();
    let by_key = |left: &(Option<Cell>, usize), right: &(Option<Cell>, usize)| match (&left.0, &right.0) {
        (Some(a), Some(b)) => {
            let order = total_order(a, b);
            if plan.descending { order.reverse() } else { order }
        }
        // Groups without the value come last.
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    if keyed.len() > plan.limit && plan.limit > 0 {
        keyed.select_nth_unstable_by(plan.limit - 1, by_key);
        // Groups that are as large as the last one: which of them are shown must not depend on threads.
        let last = keyed.get(plan.limit - 1).cloned();
        keyed.retain(|entry| {
            last.as_ref()
                .is_some_and(|last| by_key(entry, last) != Ordering::Greater)
        });
    }
    let mut shown: Vec<_> = keyed
        .into_iter()
        .map(|(key, group)| (key, total.group_cells(group), group))
        .collect();
    shown.sort_by(|left, right| {
        by_key(&(left.0.clone(), 0), &(right.0.clone(), 0)).then_with(|| compare_keys(&left.1, &right.1))
    });
    shown.truncate(plan.limit);
    shown.into_iter().map(|(_, _, group)| group).collect()
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

fn metrics_of<'t>(
    total: &'t Total,
    plan: &'t Plan,
    group: usize,
    bucket: i64,
) -> impl Iterator<Item = Option<Cell>> + 't {
    (0..plan.shown).map(move |at| total.metric(plan, at, group, bucket))
}

fn top_table(total: &Total, plan: &Plan, order: &[usize]) -> Table {
    let row = |group: usize| {
        let cells = total
            .group_cells(group)
            .into_iter()
            .chain(metrics_of(total, plan, group, 0))
            .collect();
        TableRow {
            cells,
            ..TableRow::default()
        }
    };
    let rows = if plan.groups.is_empty() {
        vec![row(0)]
    } else {
        order.iter().map(|group| row(*group)).collect()
    };
    Table {
        columns: table_columns(plan),
        rows,
        ..Table::default()
    }
}

fn series_table(total: &Total, plan: &Plan, groups: &[usize]) -> Result<Table, QueryError> {
    let width = plan.interval_ns.unwrap_or(1);
    let found = total.buckets();
    let first = plan
        .from_ns
        .map(|from| from.div_euclid(width))
        .or(found.map(|(first, _)| first));
    let last = plan
        .to_ns
        .map(|to| (to - 1).div_euclid(width))
        .or(found.map(|(_, last)| last));
    let mut table = Table {
        columns: table_columns(plan),
        ..Table::default()
    };
    let (Some(first), Some(last)) = (first, last.or(first)) else {
        return Ok(table);
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
    if buckets.saturating_mul(groups.len()) > limits::ROWS_PER_AGGREGATE {
        return refuse(format!(
            "{buckets} buckets of {} groups are too many rows; use a longer interval",
            groups.len()
        ));
    }
    for group in groups {
        let cells = total.group_cells(*group);
        for bucket in first..=last {
            let time = std::iter::once(Some(Cell::Signed(bucket.saturating_mul(width))));
            let cells = time
                .chain(cells.iter().cloned())
                .chain(metrics_of(total, plan, *group, bucket))
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
