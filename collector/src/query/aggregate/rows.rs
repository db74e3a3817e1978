//! Rows of an answer: which groups are shown, in which order, and their series.

use std::cmp::Ordering;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::output::{Formula, Output, quotient};
use super::plan::{OrderBy, Plan};
use super::total::{Answer, GroupKey, Place, bucket_word};
use crate::limits;
use crate::normalize::columns::ColumnKind;
use crate::normalize::row::{Cell, ip_to_u128};
use crate::query::filter::ast::Subject;
use crate::query::order::total_order;
use crate::query::table::{OTHER, PREVIOUS, TableColumn, TableRow};
use crate::query::{QueryError, Table};

/// What everything together has of each output that is a share, by bucket.
#[derive(Default)]
pub struct Wholes(HashMap<u64, Vec<f64>, RandomState>);

impl Wholes {
    /// Adds everything up, where shares are asked for.
    pub fn of(answer: &Answer, plan: &Plan) -> Wholes {
        let shares: Vec<(usize, usize)> = (0..)
            .zip(&plan.outputs)
            .filter_map(|(output, shown)| match shown.formula {
                Formula::Share(metric) => Some((output, metric)),
                _ => None,
            })
            .collect();
        let mut wholes = Wholes::default();
        if shares.is_empty() {
            return wholes;
        }
        for place in answer.places() {
            let sums = wholes.0.entry(answer.bucket_word(place)).or_default();
            sums.resize(plan.outputs.len(), 0.0);
            for (output, metric) in &shares {
                let part = answer.float(plan, *metric, Some(place));
                if let (Some(sum), Some(part)) = (sums.get_mut(*output), part) {
                    *sum += part;
                }
            }
        }
        wholes
    }

    fn whole(&self, bucket: u64, output: usize) -> Option<f64> {
        self.0.get(&bucket)?.get(output).copied()
    }
}

/// An answer that can be read output by output.
pub struct Found {
    /// What was gathered.
    pub answer: Answer,
    /// What shares are of.
    pub wholes: Wholes,
}

impl Found {
    /// Reads an answer.
    pub fn new(answer: Answer, plan: &Plan) -> Found {
        Found {
            wholes: Wholes::of(&answer, plan),
            answer,
        }
    }

    /// An output of a group, in a bucket of a series.
    fn value(&self, plan: &Plan, at: usize, place: Option<Place>, bucket: u64) -> Option<Cell> {
        let output = plan.outputs.get(at)?;
        let float = |metric: usize| self.answer.float(plan, metric, place);
        match output.formula {
            Formula::Metric(metric) => self.answer.metric(plan, metric, place),
            Formula::Ratio(above, below) => quotient(float(above)?, float(below)?).map(Cell::Float),
            Formula::Share(part) => quotient(float(part)?, self.wholes.whole(bucket, at)?).map(Cell::Float),
        }
    }

    /// All outputs that are shown.
    fn values<'a>(
        &'a self,
        plan: &'a Plan,
        group: &GroupKey,
        bucket: Option<i64>,
    ) -> impl Iterator<Item = Option<Cell>> + 'a {
        let (place, word) = (self.answer.find(group, bucket), bucket_word(bucket));
        (0..plan.shown).map(move |at| self.value(plan, at, place, word))
    }
}

/// The groups that are shown, in order.
pub fn ranked(found: &Found, plan: &Plan) -> Vec<GroupKey> {
    let answer = &found.answer;
    let key = |place: Place| match plan.order {
        OrderBy::Output(at) => found.value(plan, at, Some(place), answer.bucket_word(place)),
        OrderBy::Group(at) => answer.group_cell(place, at).map(|cell| sorted_by(plan, at, cell)),
    };
    let mut keyed: Vec<(Option<Cell>, Place)> = answer.places().map(|place| (key(place), place)).collect();
    if keyed.len() > plan.limit {
        let (_, last, _) = keyed.select_nth_unstable_by(plan.limit - 1, |left, right| by_key(plan, &left.0, &right.0));
        // Groups that are as large as the last one stay: which of them are shown must not depend on threads.
        let last = last.0.clone();
        keyed.retain(|entry| by_key(plan, &entry.0, &last) != Ordering::Greater);
    }
    let mut shown: Vec<_> = keyed
        .into_iter()
        .map(|(key, place)| {
            let group = answer.group(place);
            let cells = answer.group_cells(&group).into_iter().enumerate();
            let cells = cells.map(|(at, cell)| cell.map(|cell| sorted_by(plan, at, cell)));
            (key, cells.collect::<Vec<_>>(), group)
        })
        .collect();
    shown.sort_by(|left, right| by_key(plan, &left.0, &right.0).then_with(|| compare_keys(&left.1, &right.1)));
    shown.truncate(plan.limit);
    shown.into_iter().map(|(_, _, group)| group).collect()
}

/// What a group is put in order by: a network by its address, not by its text.
fn sorted_by(plan: &Plan, at: usize, cell: Cell) -> Cell {
    let is_network = plan.groups.get(at).is_some_and(|group| group.prefix.is_some());
    let address = match &cell {
        Cell::Text(text) if is_network => text.split('/').next().and_then(|address| address.parse().ok()),
        _ => None,
    };
    address.map_or(cell, |address| Cell::Ip(ip_to_u128(address)))
}

/// The order of groups by what they are ranked by; those without it come last.
pub fn by_key(plan: &Plan, left: &Option<Cell>, right: &Option<Cell>) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) if plan.descending => total_order(right, left),
        (Some(left), Some(right)) => total_order(left, right),
        (left, right) => left.is_none().cmp(&right.is_none()),
    }
}

/// The order of groups whose values are equal.
pub fn compare_keys(left: &[Option<Cell>], right: &[Option<Cell>]) -> Ordering {
    let compared = left.iter().zip(right).map(|pair| match pair {
        (Some(a), Some(b)) => total_order(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    compared.fold(Ordering::Equal, Ordering::then)
}

/// Columns of an answer: time, groups and outputs.
pub fn table_columns(plan: &Plan) -> Vec<TableColumn> {
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
    time.into_iter().chain(groups).chain(output_columns(plan, "")).collect()
}

fn output_columns<'a>(plan: &'a Plan, before: &'a str) -> impl Iterator<Item = TableColumn> + 'a {
    plan.outputs
        .iter()
        .take(plan.shown)
        .map(move |output: &Output| TableColumn {
            name: format!("{before}{}", output.name),
            kind: output.kind,
            unit: output.unit,
        })
}

/// Columns behind the others: which row is everything else, and what was before.
pub fn further_columns(plan: &Plan) -> Vec<TableColumn> {
    let other = plan.other.then(|| TableColumn {
        name: OTHER.to_owned(),
        kind: ColumnKind::Bool,
        unit: "",
    });
    let previous = plan.compare_ns.map(|_| output_columns(plan, PREVIOUS));
    other.into_iter().chain(previous.into_iter().flatten()).collect()
}

/// What is shown, in order.
pub struct Groups {
    /// Groups.
    pub shown: Vec<GroupKey>,
    /// There is something outside of them that is shown, too.
    pub rest: bool,
}

/// First and last bucket of a series, of what was asked about or found.
pub fn buckets_of(plan: &Plan, found: Option<(i64, i64)>, groups: usize) -> Result<Option<(i64, i64)>, QueryError> {
    let width = plan.interval_ns.unwrap_or(1);
    let first = plan
        .from_ns
        .map(|from| from.div_euclid(width))
        .or(found.map(|(first, _)| first));
    let last = plan
        .to_ns
        .map(|to| to.saturating_sub(1).div_euclid(width))
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

/// The buckets of a series in the order in which they are shown; without a series, one that is none.
pub fn shown_buckets(plan: &Plan, found: Option<(i64, i64)>, groups: usize) -> Result<Vec<Option<i64>>, QueryError> {
    if plan.interval_ns.is_none() {
        return Ok(vec![None]);
    }
    let Some((first, last)) = buckets_of(plan, found, groups)? else {
        return Ok(Vec::new());
    };
    let mut buckets: Vec<Option<i64>> = (first..=last).map(Some).collect();
    if plan.newest_first {
        buckets.reverse();
    }
    Ok(buckets)
}

/// The table of groups, or of their series.
pub fn table(plan: &Plan, groups: &Groups, present: &Found, previous: Option<&Found>) -> Result<Table, QueryError> {
    let mut columns = table_columns(plan);
    columns.extend(further_columns(plan));
    let mut table = Table {
        columns,
        ..Table::default()
    };
    let rest = groups.rest.then(|| present.answer.rest_group());
    let found = plan.interval_ns.and_then(|_| present.answer.buckets());
    let buckets = shown_buckets(plan, found, groups.shown.len() + usize::from(groups.rest))?;
    for group in groups.shown.iter().chain(&rest) {
        let names = present.answer.group_cells(group);
        for bucket in &buckets {
            let time = bucket.map(|at| Some(Cell::Signed(at.saturating_mul(plan.interval_ns.unwrap_or(1)))));
            let other = plan
                .other
                .then(|| (Some(group) == rest.as_ref()).then_some(Cell::Bool(true)));
            let before = previous.map(|previous| previous.values(plan, group, *bucket));
            let cells = time
                .into_iter()
                .chain(names.iter().cloned())
                .chain(present.values(plan, group, *bucket))
                .chain(other)
                .chain(before.into_iter().flatten())
                .collect();
            table.rows.push(TableRow {
                cells,
                ..TableRow::default()
            });
        }
    }
    Ok(table)
}
