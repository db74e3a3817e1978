//! Groups, metrics and series against sums made row by row.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::naive;
use super::rows::{PlainRow, S, T0, filter, row, stored};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{Cell, u128_to_ip};
use crate::query::aggregate::{AggregateRequest, Interval, aggregate};
use crate::query::{Filter, QueryError, Table};

pub fn text(cell: Option<&Cell>) -> String {
    cell.map_or("-".to_owned(), |cell| match cell {
        Cell::Ip(address) => u128_to_ip(*address).to_string(),
        // Zero is zero.
        Cell::Float(value) => format!("{value:?}"),
        other => format!("{other:?}"),
    })
}

fn number(row: &PlainRow, column: ColumnId) -> Option<f64> {
    match row.cells.get(&column)? {
        Cell::Number(value) => Some(*value as f64),
        Cell::Signed(value) => Some(*value as f64),
        Cell::Float(value) if !value.is_nan() => Some(*value),
        _ => None,
    }
}

/// Each metric, made of rows.
pub const METRICS: [&str; 14] = [
    "flows",
    "octets",
    "total.packets",
    "unique(dst.ip)",
    "unique(dns.qname)",
    "min(duration)",
    "max(start)",
    "avg(dns.latency)",
    "p50(octets)",
    "p95(dns.latency)",
    "sum(src.port)",
    "unique(32473.77)",
    "max(ciscoFirewallEvent)",
    "fps",
];

pub fn expected(metric: &str, rows: &[&PlainRow], seconds: f64) -> Option<f64> {
    let numbers = |column| rows.iter().filter_map(|row| number(row, column)).collect::<Vec<f64>>();
    let sum = |column| Some(numbers(column).iter().sum::<f64>());
    let unique = |column: ColumnId| {
        Some(
            rows.iter()
                .filter_map(|row| row.cells.get(&column))
                .map(|cell| text(Some(cell)))
                .collect::<BTreeSet<_>>()
                .len() as f64,
        )
    };
    let rank = |column, share: f64| {
        let mut values = numbers(column);
        values.sort_by(f64::total_cmp);
        // The first value that is not exceeded by at least that share of all.
        (1..=values.len())
            .find(|at| *at as f64 >= share * values.len() as f64 - 1e-9)
            .map(|at| values[at - 1])
    };
    match metric {
        "flows" => Some(rows.len() as f64),
        "fps" => Some(rows.len() as f64 / seconds),
        "octets" => sum(id::OCTETS),
        "total.packets" => Some(sum(id::PACKETS)? + sum(id::REV_PACKETS)?),
        "sum(src.port)" => sum(id::SRC_PORT),
        "unique(dst.ip)" => unique(id::DST_IP),
        "unique(dns.qname)" => unique(id::DNS_QNAME),
        "unique(32473.77)" => Some(
            rows.iter()
                .filter_map(|row| row.other.get("32473.77"))
                .map(|cell| text(Some(cell)))
                .collect::<BTreeSet<_>>()
                .len() as f64,
        ),
        "max(ciscoFirewallEvent)" => rows
            .iter()
            .filter_map(|row| match row.other.get("ciscoFirewallEvent")? {
                Cell::Number(value) => Some(*value as f64),
                _ => None,
            })
            .reduce(f64::max),
        "min(duration)" => numbers(id::DURATION).into_iter().reduce(f64::min),
        "max(start)" => numbers(id::START).into_iter().reduce(f64::max),
        "avg(dns.latency)" => {
            let values = numbers(id::DNS_LATENCY);
            (!values.is_empty()).then(|| (values.iter().sum::<f64>() / values.len() as f64).round())
        }
        "p50(octets)" => rank(id::OCTETS, 0.5),
        "p95(dns.latency)" => rank(id::DNS_LATENCY, 0.95),
        other => panic!("{other}"),
    }
}

pub fn as_float(cell: &Cell) -> f64 {
    match cell {
        Cell::Number(value) => *value as f64,
        Cell::Signed(value) => *value as f64,
        Cell::Float(value) => *value,
        other => panic!("{other:?}"),
    }
}

pub fn near(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
}

type Groups = BTreeMap<Vec<String>, Vec<Option<f64>>>;

fn groups_of(table: &Table, keys: usize) -> Groups {
    let row = |row: &crate::query::table::TableRow| {
        let (key, metrics) = row.cells.split_at(keys);
        let key = key.iter().map(|cell| text(cell.as_ref())).collect();
        (key, metrics.iter().map(|cell| cell.as_ref().map(as_float)).collect())
    };
    table.rows.iter().map(row).collect()
}

fn same(left: &Groups, right: &Groups) -> Result<(), TestCaseError> {
    prop_assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>());
    for (key, metrics) in left {
        for ((metric, left), right) in METRICS.iter().zip(metrics).zip(&right[key]) {
            let fits = match (left, right) {
                (Some(left), Some(right)) => near(*left, *right),
                (left, right) => left.is_none() && right.is_none(),
            };
            // Sums of the largest numbers stop at the largest number.
            let capped = right.is_some_and(|right| right >= u64::MAX as f64) && left.is_some_and(|left| left >= 1.8e19);
            prop_assert!(
                fits || capped,
                "{:?} {}: {:?} instead of {:?}",
                key,
                metric,
                left,
                right
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_and_metrics_are_those_of_the_rows(
        rows in proptest::collection::vec(row(), 1..150),
        per_segment in 20..150usize,
        filters in proptest::collection::vec(filter(), 8),
    ) {
        let columns = [
            vec![],
            vec![id::SRC_IP],
            vec![id::PROTO, id::DNS_QNAME],
            vec![id::TCP_BUFFERBLOAT, id::SRC_MAC, id::DST_PORT],
            vec![id::END],
        ];
        let (_dir, snapshot) = stored(&rows, per_segment);
        for (root, columns) in filters.into_iter().zip(columns.iter().cycle()) {
            let mut wanted: BTreeMap<Vec<String>, Vec<&PlainRow>> = BTreeMap::new();
            if columns.is_empty() {
                wanted.insert(vec![], vec![]);
            }
            for row in rows.iter().filter(|row| naive::fits(&root, row)) {
                let key = columns.iter().map(|column| text(row.cells.get(column))).collect();
                wanted.entry(key).or_default().push(row);
            }
            let request = AggregateRequest {
                filter: Some(Filter { root }),
                from_ns: Some(T0 - 100 * S),
                to_ns: Some(T0 + 100 * S),
                group_by: columns.iter().map(|column| column.column().name.to_owned()).collect(),
                metrics: METRICS.map(str::to_owned).to_vec(),
                limit: 10_000,
                ..AggregateRequest::default()
            };
            let table = aggregate(&snapshot, &request).unwrap();
            let expected = wanted.iter().map(|(key, rows)| {
                (key.clone(), METRICS.iter().map(|metric| expected(metric, rows, 200.0)).collect())
            });
            same(&groups_of(&table, columns.len()), &expected.collect())?;
        }
    }

    #[test]
    fn a_series_has_every_bucket_and_every_flow_once(rows in proptest::collection::vec(row(), 1..100)) {
        let (_dir, snapshot) = stored(&rows, 40);
        let request = |group_by: &[&str]| AggregateRequest {
            from_ns: Some(T0),
            to_ns: Some(T0 + 12 * S),
            group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
            metrics: vec!["flows".into(), "unique(src.ip)".into()],
            interval: Some(Interval::Ns(2 * S)),
            limit: 1_000,
            ..AggregateRequest::default()
        };
        let start = |row: &PlainRow| match row.cells[&id::START] { Cell::Signed(ns) => ns, _ => unreachable!() };
        let end = |row: &PlainRow| match row.cells[&id::END] { Cell::Signed(ns) => ns, _ => unreachable!() };
        let mut wanted: BTreeMap<i64, u64> = (0..6).map(|bucket| (T0 + bucket * 2 * S, 0)).collect();
        for row in rows.iter().filter(|row| end(row) >= T0 && start(row) < T0 + 12 * S) {
            *wanted.get_mut(&(T0 + (start(row) - T0) / (2 * S) * 2 * S)).unwrap() += 1;
        }
        let table = aggregate(&snapshot, &request(&[])).unwrap();
        let series: Vec<(i64, u64)> = table.rows.iter().map(|row| match (&row.cells[0], &row.cells[1]) {
            (Some(Cell::Signed(time)), Some(Cell::Number(flows))) => (*time, *flows),
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(series, wanted.into_iter().collect::<Vec<_>>());

        let grouped = aggregate(&snapshot, &request(&["proto"])).unwrap();
        let flows = |table: &Table, at: usize| table.rows.iter().map(|row| as_float(row.cells[at].as_ref().unwrap())).sum::<f64>();
        prop_assert_eq!(flows(&grouped, 2), flows(&table, 1));
        prop_assert_eq!(grouped.rows.len() % 6, 0);
    }
}

#[test]
fn nothing_stored_has_totals_of_nothing() {
    let snapshot = crate::store::Snapshot::default();
    let table = aggregate(&snapshot, &AggregateRequest::default()).unwrap();
    assert_eq!(table.rows[0].cells, vec![Some(Cell::Number(0)); 3]);
    let request = AggregateRequest {
        interval: Some(Interval::Auto),
        ..AggregateRequest::default()
    };
    assert_eq!(aggregate(&snapshot, &request).unwrap().rows.len(), 0);
}

fn three_rows() -> (tempfile::TempDir, std::sync::Arc<crate::store::Snapshot>) {
    let row = |at: i64, octets: u64, address: u128| {
        let mut row = PlainRow::default();
        row.cells.insert(id::START, Cell::Signed(T0 + at * S));
        row.cells.insert(id::DURATION, Cell::Signed(0));
        row.cells.insert(id::OCTETS, Cell::Number(octets));
        row.cells.insert(id::SRC_IP, Cell::Ip(address));
        row
    };
    let v4 = |last: u8| crate::normalize::row::ipv4_to_u128([10, 0, last, 9]);
    stored(&[row(0, 5, v4(1)), row(50, 7, v4(1) + 1), row(99, 6, v4(2))], 2)
}

#[test]
fn addresses_group_by_network_and_come_in_order() {
    let (_dir, snapshot) = three_rows();
    let request = AggregateRequest {
        group_by: vec!["src.ip/24".into()],
        ..AggregateRequest::default()
    };
    let table = aggregate(&snapshot, &request).unwrap();
    let rows: Vec<_> = table.rows.iter().map(|row| row.cells[..2].to_vec()).collect();
    let net = |text: &str, octets| vec![Some(Cell::Text(text.into())), Some(Cell::Number(octets))];
    assert_eq!(rows, vec![net("10.0.1.0/24", 12), net("10.0.2.0/24", 6)]);
    let request = AggregateRequest {
        order_by: Some("max(octets)".into()),
        limit: 1,
        ..request
    };
    let table = aggregate(&snapshot, &request).unwrap();
    assert_eq!(table.rows[0].cells[0], Some(Cell::Text("10.0.2.0/24".into())));
    assert_eq!(table.rows[0].cells.len(), 4, "what is only ordered by is not shown");
}

#[test]
fn auto_finds_a_width() {
    let (_dir, snapshot) = three_rows();
    let request = AggregateRequest {
        interval: Some(Interval::Auto),
        ..AggregateRequest::default()
    };
    let table = aggregate(&snapshot, &request).unwrap();
    assert_eq!((table.interval_ns, table.rows.len()), (Some(S), 100));
}

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let (_dir, snapshot) = three_rows();
    let refused = |request: AggregateRequest| match aggregate(&snapshot, &request).unwrap_err() {
        QueryError::Request {
            parameter,
            detail,
            nearest,
        } => (parameter, detail, nearest),
        other => panic!("{other:?}"),
    };
    let base = AggregateRequest::default;
    let (parameter, detail, _) = refused(AggregateRequest {
        interval: Some(Interval::Ns(1)),
        ..base()
    });
    assert_eq!(parameter, "interval");
    assert!(detail.contains("at least 1s"), "{detail}");
    let (parameter, _, nearest) = refused(AggregateRequest {
        group_by: vec!["src.ipp".into()],
        ..base()
    });
    assert_eq!((parameter, nearest.as_deref()), ("group_by", Some("src.ip")));
    assert_eq!(
        refused(AggregateRequest {
            group_by: vec!["proto/8".into()],
            ..base()
        })
        .0,
        "group_by"
    );
    assert_eq!(
        refused(AggregateRequest {
            group_by: vec!["src.ip/129".into()],
            ..base()
        })
        .0,
        "group_by"
    );
    assert_eq!(
        refused(AggregateRequest {
            metrics: vec!["sum(src.ip)".into()],
            ..base()
        })
        .0,
        "metrics"
    );
    assert_eq!(
        refused(AggregateRequest {
            order_by: Some("-octet".into()),
            ..base()
        })
        .0,
        "order_by"
    );
    assert_eq!(
        refused(AggregateRequest {
            from_ns: Some(5),
            to_ns: Some(5),
            ..base()
        })
        .0,
        "from"
    );
    assert_eq!(
        refused(AggregateRequest {
            group_by: vec!["proto".into(); 9],
            ..base()
        })
        .0,
        "group_by"
    );
}
