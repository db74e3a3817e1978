//! The values of a rule over stored flows: the same questions that `/aggregate` answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json};

use super::book::Reading;
use super::rule::Rule;
use crate::limits::ALERT_GROUPS_READ;
use crate::normalize::columns::ColumnKind;
use crate::query::filter::ast::{Node, NodeKind};
use crate::query::{AggregateRequest, Filter, Limits, QueryError, Table, aggregate, cell_to_json, filter};
use crate::store::Snapshot;

/// What one look may cost, and who may end it.
pub(super) struct Allowance<'a> {
    /// How long it may take.
    pub time: Duration,
    /// The collector stops.
    pub stopping: &'a Arc<AtomicBool>,
}

/// The values of a rule at the end of its window.
pub(super) fn values(
    rule: &Rule,
    snapshot: &Snapshot,
    to_ns: i64,
    allowance: &Allowance<'_>,
) -> Result<Reading, String> {
    let limits = Limits {
        deadline: Some(Instant::now() + allowance.time),
        cancelled: Some(Arc::clone(allowance.stopping)),
    };
    let read =
        |key: &str, text: &str| filter::parse_over(text, to_ns, snapshot).map_err(|error| format!("{key}: {error}"));
    let all = read("filter", &rule.filter)?;
    let ask = |filter: Option<Filter>, is_last: bool| {
        // Of a ratio both sides must have the same groups, so that those with the most are taken.
        let order = (!rule.op.is_upwards() && is_last && rule.part.is_none()).then(|| rule.metric.clone());
        let request = AggregateRequest {
            filter,
            from_ns: Some(to_ns.saturating_sub(rule.window_ns)),
            to_ns: Some(to_ns),
            group_by: rule.group_by.clone(),
            metrics: vec![rule.metric.clone()],
            limit: ALERT_GROUPS_READ,
            order_by: order,
            limits: limits.clone(),
            ..AggregateRequest::default()
        };
        aggregate(snapshot, &request)
            .map(|table| groups(&table, rule.group_by.len()))
            .map_err(|error| told(&error))
    };
    let Some(part) = &rule.part else {
        let (values, unit) = ask(all, true)?;
        return Ok(Reading {
            left_out: u64::from(values.len() >= ALERT_GROUPS_READ),
            values,
            unit,
        });
    };
    let part = read("where", part)?;
    let (whole, _) = ask(all.clone(), false)?;
    let (some, _) = ask(both(all, part), true)?;
    let left_out = u64::from(whole.len() >= ALERT_GROUPS_READ);
    let is_cut = some.len() >= ALERT_GROUPS_READ;
    let some: HashMap<String, Option<f64>> = some.into_iter().collect();
    let ratio = |(group, whole): (String, Option<f64>)| {
        let part = match some.get(&group) {
            Some(part) => part.unwrap_or(0.0),
            // Not read: nothing can be said.
            None if is_cut => return (group, None),
            None => 0.0,
        };
        let whole = whole.filter(|whole| *whole != 0.0 && *whole >= rule.at_least);
        (group, whole.map(|whole| part / whole))
    };
    Ok(Reading {
        values: whole.into_iter().map(ratio).collect(),
        unit: String::new(),
        left_out,
    })
}

fn told(error: &QueryError) -> String {
    match error {
        QueryError::Timeout { limit_ms } => {
            format!("the rule took longer than {limit_ms} ms; see alerts.time_limit, or a shorter window")
        }
        other => other.to_string(),
    }
}

/// Flows that both filters take.
fn both(left: Option<Filter>, right: Option<Filter>) -> Option<Filter> {
    match (left, right) {
        (Some(left), Some(right)) => Some(Filter {
            root: Node {
                span: right.root.span,
                kind: NodeKind::And(vec![left.root, right.root]),
            },
        }),
        (left, right) => left.or(right),
    }
}

/// Groups as JSON with the value of the metric behind them, and its unit.
fn groups(table: &Table, columns: usize) -> (Vec<(String, Option<f64>)>, String) {
    let rows = table.rows.iter().map(|row| {
        let group: Map<String, Json> = table
            .columns
            .iter()
            .zip(&row.cells)
            .take(columns)
            .map(|(column, cell)| {
                let value = cell.as_ref().map_or(Json::Null, |cell| cell_to_json(column.kind, cell));
                (column.name.clone(), value)
            })
            .collect();
        let metric = table.columns.get(columns).zip(row.cells.get(columns));
        let value = metric.and_then(|(column, cell)| {
            let cell = cell.as_ref()?;
            cell_to_json(column.kind, cell).as_f64()
        });
        (Json::Object(group).to_string(), value)
    });
    let unit = table.columns.get(columns).map_or("", |column| match column.kind {
        ColumnKind::Duration => "ns",
        _ => column.unit,
    });
    (rows.collect(), unit.to_owned())
}
