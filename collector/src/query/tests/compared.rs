//! Ratios, shares, everything else and what was before, of groups and their series, against sums made row by row.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::aggregates::{METRICS, as_float, expected, near, text};
use super::naive;
use super::rows::{PlainRow, S, T0, filter, row, stored};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::Cell;
use crate::query::aggregate::{AggregateRequest, Compare, Interval, aggregate};
use crate::query::{Filter, QueryError, Table, row_to_json};

/// What is made of metrics.
const MADE: [&str; 5] = [
    "octets/packets",
    "unique(dst.ip) / flows",
    "share(octets)",
    "share(fps)",
    "avg(dns.latency)/max(duration)",
];

fn value(metric: &str, rows: &[&PlainRow], all: &[&PlainRow], seconds: f64) -> Option<f64> {
    let quotient = |above: Option<f64>, below: Option<f64>| {
        let below = below.filter(|below| *below != 0.0)?;
        Some(above? / below)
    };
    let of = |metric: &str, rows: &[&PlainRow]| match metric.trim() {
        "packets" => Some(numbers(rows, id::PACKETS).iter().sum()),
        "max(duration)" => numbers(rows, id::DURATION).into_iter().reduce(f64::max),
        other => expected(other, rows, seconds),
    };
    if let Some(inner) = metric.strip_prefix("share(") {
        let inner = inner.trim_end_matches(')');
        return quotient(of(inner, rows), of(inner, all));
    }
    match metric.split_once('/') {
        Some((above, below)) => quotient(of(above, rows), of(below, rows)),
        None => expected(metric, rows, seconds),
    }
}

fn numbers(rows: &[&PlainRow], column: ColumnId) -> Vec<f64> {
    rows.iter()
        .filter_map(|row| row.cells.get(&column))
        .map(as_float)
        .collect()
}

fn time(row: &PlainRow, column: ColumnId) -> i64 {
    match row.cells[&column] {
        Cell::Signed(ns) => ns,
        _ => unreachable!(),
    }
}

/// The rows of a time, each with its bucket.
fn within(
    rows: &[PlainRow],
    root: &crate::query::filter::ast::Node,
    span: (i64, i64),
    shift: i64,
    width: Option<i64>,
) -> Vec<(i64, PlainRow)> {
    let (from, to) = (span.0 - shift, span.1 - shift);
    let fits = |row: &&PlainRow| time(row, id::END) >= from && time(row, id::START) < to && naive::fits(root, row);
    let bucket = |row: &PlainRow| {
        width.map_or(0, |width| {
            (time(row, id::START) + shift).max(span.0).div_euclid(width) * width
        })
    };
    rows.iter().filter(fits).map(|row| (bucket(row), row.clone())).collect()
}

fn check(metric: &str, found: Option<&Cell>, wanted: Option<f64>, context: &str) -> Result<(), TestCaseError> {
    let found = found.map(as_float);
    let fits = match (found, wanted) {
        (Some(found), Some(wanted)) => near(found, wanted) || wanted >= u64::MAX as f64 && found >= 1.8e19,
        (found, wanted) => found.is_none() && wanted.is_none(),
    };
    prop_assert!(fits, "{} {}: {:?} instead of {:?}", context, metric, found, wanted);
    Ok(())
}

#[derive(Clone, Debug)]
struct Asked {
    columns: Vec<ColumnId>,
    span: (i64, i64),
    width: Option<i64>,
    compare: Compare,
    limit: usize,
    order: &'static str,
}

fn asked() -> impl Strategy<Value = Asked> {
    let columns = [
        vec![],
        vec![id::SRC_IP],
        vec![id::PROTO],
        vec![id::DNS_QNAME, id::PROTO],
        vec![id::DURATION],
    ];
    let compare = prop_oneof![
        Just(Compare::Previous),
        (1..12i64).prop_map(|half| Compare::Ns(half * S / 2))
    ];
    let width = prop_oneof![Just(None), Just(Some(S)), Just(Some(3 * S / 2))];
    let orders = [
        "-octets",
        "-flows",
        "flows",
        "-octets/packets",
        "-share(fps)",
        "unique(dst.ip)",
    ];
    (
        0..columns.len(),
        (2..10i64, 1..10i64),
        width,
        compare,
        1..5usize,
        0..orders.len(),
    )
        .prop_map(move |(at, (from, length), width, compare, limit, order)| {
            let from = T0 + from * S / 2;
            Asked {
                columns: columns[at].clone(),
                span: (from, from + length * S / 2),
                width,
                compare,
                limit,
                order: orders[order],
            }
        })
}

fn check_table(
    table: &Table,
    rows: &[PlainRow],
    root: &crate::query::filter::ast::Node,
    asked: &Asked,
) -> Result<(), TestCaseError> {
    let shift = match asked.compare {
        Compare::Previous => asked.span.1 - asked.span.0,
        Compare::Ns(shift) => shift,
    };
    let context = format!("{asked:?}");
    let at = |name: &str| table.columns.iter().position(|column| column.name == name).unwrap();
    let names: Vec<usize> = asked.columns.iter().map(|column| at(column.column().name)).collect();
    let key_of = |row: &PlainRow| {
        asked
            .columns
            .iter()
            .map(|column| text(row.cells.get(column)))
            .collect::<Vec<_>>()
    };
    let is_other = |row: &crate::query::table::TableRow| row.cells[at("_other")].is_some();
    let shown: BTreeSet<Vec<String>> = table
        .rows
        .iter()
        .filter(|row| !is_other(row))
        .map(|row| names.iter().map(|at| text(row.cells[*at].as_ref())).collect())
        .collect();
    prop_assert!(asked.columns.is_empty() || shown.len() <= asked.limit);
    let (present, previous) = (
        within(rows, root, asked.span, 0, asked.width),
        within(rows, root, asked.span, shift, asked.width),
    );
    let mut seen: BTreeMap<(Vec<String>, bool), usize> = BTreeMap::new();
    for row in &table.rows {
        let bucket = match asked.width {
            Some(_) => match row.cells[at("time")] {
                Some(Cell::Signed(ns)) => ns,
                _ => panic!("{context}"),
            },
            None => 0,
        };
        // Of the first and the last bucket, only what was asked about.
        let (first, last) = match asked.width {
            Some(width) => (bucket.max(asked.span.0), (bucket + width).min(asked.span.1)),
            None => asked.span,
        };
        let seconds = (last - first) as f64 / S as f64;
        let key: Vec<String> = names.iter().map(|at| text(row.cells[*at].as_ref())).collect();
        *seen.entry((key.clone(), is_other(row))).or_default() += 1;
        for (rows, before) in [(&present, ""), (&previous, "previous.")] {
            let all: Vec<&PlainRow> = rows
                .iter()
                .filter(|(at, _)| *at == bucket)
                .map(|(_, row)| row)
                .collect();
            let own: Vec<&PlainRow> = match is_other(row) {
                true => all
                    .iter()
                    .filter(|row| !shown.contains(&key_of(row)))
                    .copied()
                    .collect(),
                false => all.iter().filter(|row| key_of(row) == key).copied().collect(),
            };
            for metric in METRICS.iter().chain(&MADE) {
                let found = row.cells[at(&format!("{before}{metric}"))].as_ref();
                check(
                    metric,
                    found,
                    value(metric, &own, &all, seconds),
                    &format!("{key:?} {before} {context}"),
                )?;
            }
        }
    }
    // Every bucket once, of every group.
    let buckets = asked.width.map_or(1, |width| {
        (asked.span.1 - 1).div_euclid(width) - asked.span.0.div_euclid(width) + 1
    });
    prop_assert!(seen.values().all(|count| *count as i64 == buckets), "{context}");
    if asked.columns.is_empty() {
        prop_assert_eq!(seen.len(), 1);
        return Ok(());
    }
    // The first groups, in order.
    let whole: Vec<&PlainRow> = present.iter().map(|(_, row)| row).collect();
    let seconds = (asked.span.1 - asked.span.0) as f64 / S as f64;
    let order = |key: &Vec<String>| {
        let own: Vec<&PlainRow> = whole.iter().filter(|row| key_of(row) == *key).copied().collect();
        value(asked.order.trim_start_matches('-'), &own, &whole, seconds)
    };
    let keys: BTreeSet<Vec<String>> = whole.iter().map(|row| key_of(row)).collect();
    let mut wanted: Vec<Option<f64>> = keys.iter().map(order).collect();
    let sign = if asked.order.starts_with('-') { -1.0 } else { 1.0 };
    wanted.sort_by(|a, b| match (a, b) {
        (Some(a), Some(b)) => (sign * a).total_cmp(&(sign * b)),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    wanted.truncate(asked.limit);
    let mut order_seen: Vec<Vec<String>> = Vec::new();
    for row in table.rows.iter().filter(|row| !is_other(row)) {
        let key: Vec<String> = names.iter().map(|at| text(row.cells[*at].as_ref())).collect();
        if order_seen.last() != Some(&key) {
            order_seen.push(key);
        }
    }
    let found: Vec<Option<f64>> = order_seen.iter().map(order).collect();
    let same = found.len() == wanted.len()
        && found.iter().zip(&wanted).all(|pair| match pair {
            (Some(a), Some(b)) => near(*a, *b) || (*a >= u64::MAX as f64 && *b >= u64::MAX as f64),
            (a, b) => a.is_none() && b.is_none(),
        });
    prop_assert!(same, "{context}: {found:?} instead of {wanted:?}");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_before_and_what_is_left_are_those_of_the_rows(
        rows in proptest::collection::vec(row(), 1..120),
        per_segment in 20..120usize,
        questions in proptest::collection::vec((filter(), asked()), 10),
    ) {
        let (_dir, snapshot) = stored(&rows, per_segment);
        for (root, asked) in questions {
            let request = AggregateRequest {
                filter: Some(Filter { root: root.clone() }),
                from_ns: Some(asked.span.0),
                to_ns: Some(asked.span.1),
                group_by: asked.columns.iter().map(|column| column.column().name.to_owned()).collect(),
                metrics: METRICS.iter().chain(&MADE).map(|metric| (*metric).to_owned()).collect(),
                interval: asked.width.map(Interval::Ns),
                limit: asked.limit,
                order_by: Some(asked.order.to_owned()),
                compare: Some(asked.compare),
                other: true,
                ..AggregateRequest::default()
            };
            let table = aggregate(&snapshot, &request).unwrap();
            check_table(&table, &rows, &root, &asked)?;
        }
    }
}

fn flow(at: i64, port: u64, octets: u64) -> PlainRow {
    let mut row = PlainRow::default();
    row.cells.insert(id::START, Cell::Signed(T0 + at * S));
    row.cells.insert(id::DURATION, Cell::Signed(0));
    row.cells.insert(id::DST_PORT, Cell::Number(port));
    row.cells.insert(id::OCTETS, Cell::Number(octets));
    row
}

#[test]
fn rows_say_what_was_before_and_what_is_left() {
    let rows = [
        flow(0, 53, 7),
        flow(1, 80, 5),
        flow(10, 53, 30),
        flow(11, 443, 60),
        flow(12, 22, 10),
    ];
    let (_dir, snapshot) = stored(&rows, 2);
    let request = AggregateRequest {
        from_ns: Some(T0 + 10 * S),
        to_ns: Some(T0 + 20 * S),
        group_by: vec!["dst.port".into()],
        metrics: vec!["octets".into(), "share(octets)".into(), "octets/packets".into()],
        limit: 2,
        compare: Some(Compare::Previous),
        other: true,
        ..AggregateRequest::default()
    };
    let table = aggregate(&snapshot, &request).unwrap();
    assert_eq!(table.stats.compare_ns, Some((T0, T0 + 10 * S)));
    let rows: Vec<_> = table
        .rows
        .iter()
        .map(|row| serde_json::Value::Object(row_to_json(&table.columns, row)))
        .collect();
    let nothing = serde_json::Value::Null;
    assert_eq!(
        serde_json::Value::Array(rows),
        serde_json::json!([
            { "dst.port": 443, "octets": 60, "share(octets)": 0.6, "octets/packets": nothing,
              "previous": { "octets": 0, "share(octets)": 0.0, "octets/packets": nothing } },
            { "dst.port": 53, "octets": 30, "share(octets)": 0.3, "octets/packets": nothing,
              "previous": { "octets": 7, "share(octets)": 7.0 / 12.0, "octets/packets": nothing } },
            { "dst.port": nothing, "_other": true, "octets": 10, "share(octets)": 0.1, "octets/packets": nothing,
              "previous": { "octets": 5, "share(octets)": 5.0 / 12.0, "octets/packets": nothing } },
        ])
    );
    // Without anything outside there is no such row.
    let whole = AggregateRequest {
        limit: 3,
        compare: None,
        ..request.clone()
    };
    assert_eq!(aggregate(&snapshot, &whole).unwrap().rows.len(), 3);
    for (wrong, says) in [
        (
            AggregateRequest {
                from_ns: None,
                ..request.clone()
            },
            "give from",
        ),
        (
            AggregateRequest {
                to_ns: None,
                ..request.clone()
            },
            "give to",
        ),
        (
            AggregateRequest {
                compare: Some(Compare::Ns(0)),
                ..request.clone()
            },
            "longer than 0",
        ),
        (
            AggregateRequest {
                compare: Some(Compare::Ns(i64::MAX)),
                from_ns: Some(i64::MIN),
                ..request.clone()
            },
            "before all time",
        ),
    ] {
        match aggregate(&snapshot, &wrong) {
            Err(QueryError::Request {
                parameter: "compare",
                detail,
                ..
            }) => assert!(detail.contains(says), "{detail}"),
            other => panic!("{says}: {other:?}"),
        }
    }
    assert!(Compare::parse("yesterday").unwrap_err().contains("previous"));
    assert_eq!(Compare::parse("1d"), Ok(Compare::Ns(86_400 * S)));
}
