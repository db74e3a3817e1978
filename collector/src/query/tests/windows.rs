//! Series, comparisons and what is left of rollups: windows without time, limits of what was before, parts of windows.

use super::rolled::{Stored, store};
use super::rows::{PlainRow, S, T0};
use crate::normalize::codes::KIND_FLOW;
use crate::normalize::columns::id;
use crate::normalize::row::{Cell, ipv4_to_u128};
use crate::query::aggregate::{Compare, Interval};
use crate::query::{AggregateRequest, Table, TierAsked, aggregate};
use crate::rollups::Tier;

const MINUTE: i64 = 60 * S;
const HOUR: i64 = 60 * MINUTE;

fn flow(interface: u64, octets: u64) -> PlainRow {
    let mut row = PlainRow::default();
    for (column, cell) in [
        (id::KIND, Cell::Number(KIND_FLOW)),
        (id::EXPORTER_IP, Cell::Ip(ipv4_to_u128([192, 0, 2, 1]))),
        (id::IN_IF, Cell::Number(interface)),
        (id::OCTETS, Cell::Number(octets)),
    ] {
        row.cells.insert(column, cell);
    }
    row
}

fn ask(stored: &Stored, request: AggregateRequest) -> Table {
    aggregate(&stored.store.snapshot(), &request).unwrap()
}

fn metrics(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn cells<'t>(table: &'t Table, name: &str) -> Vec<Option<&'t Cell>> {
    let at = table.columns.iter().position(|column| column.name == name);
    let at = at.unwrap_or_else(|| panic!("{name} in {:?}", table.columns));
    table.rows.iter().map(|row| row.cells[at].as_ref()).collect()
}

#[test]
fn windows_without_time_are_in_no_series() {
    let rows = [
        (0, Some(0), flow(1, 5)),
        (S, None, flow(1, 7)),
        (60 * S, Some(0), flow(2, 6)),
    ];
    let stored = store(&rows, 2);
    for groups in [&[][..], &["in.if"]] {
        let request = AggregateRequest {
            interval: Some(Interval::Ns(MINUTE)),
            group_by: metrics(groups),
            metrics: metrics(&["octets"]),
            tier: TierAsked::Rollup,
            ..AggregateRequest::default()
        };
        let table = ask(&stored, request.clone());
        let raw = ask(
            &stored,
            AggregateRequest {
                tier: TierAsked::Raw,
                ..request
            },
        );
        assert_eq!(table.rows, raw.rows);
        assert_eq!(table.rows[0].cells[0], Some(Cell::Signed(T0)));
    }
    let totals = AggregateRequest {
        metrics: metrics(&["octets"]),
        tier: TierAsked::Rollup,
        ..AggregateRequest::default()
    };
    assert_eq!(ask(&stored, totals).rows[0].cells, [Some(Cell::Number(18))]);
}

#[test]
fn what_was_before_has_its_limits() {
    // So many interfaces in one window that some are put together; later a few, one of them new.
    let mut rows: Vec<(i64, Option<i64>, PlainRow)> =
        (0..3_000).map(|at| (0, Some(0), flow(at, 10 + at % 7))).collect();
    rows.push((HOUR, Some(0), flow(2_999, 100)));
    rows.extend([1, 2, 3, 9_999].map(|at| (0, Some(0), flow(at, 50))));
    let stored = store(&rows, 4_000);
    let table = ask(
        &stored,
        AggregateRequest {
            from_ns: Some(T0 + HOUR),
            to_ns: Some(T0 + 2 * HOUR),
            compare: Some(Compare::Ns(HOUR)),
            group_by: metrics(&["in.if"]),
            metrics: metrics(&["octets"]),
            tier: TierAsked::Only(Tier::Minute),
            ..AggregateRequest::default()
        },
    );
    assert_eq!(table.rows.len(), 5);
    assert!(
        table.columns.iter().all(|column| column.name != "octets.lower"),
        "{:?}",
        table.columns
    );
    assert!(table.stats.error_bound > 0.0, "{:?}", table.stats);
    let number = |cell: Option<&Cell>| match cell {
        Some(Cell::Number(value)) => Some(*value),
        None => None,
        other => panic!("{other:?}"),
    };
    let (lower, upper) = (
        cells(&table, "previous.octets.lower"),
        cells(&table, "previous.octets.upper"),
    );
    let names = cells(&table, "in.if");
    for (at, value) in cells(&table, "previous.octets").into_iter().enumerate() {
        let interface = number(names[at]).unwrap();
        let truth = if interface < 3_000 { 10 + interface % 7 } else { 0 };
        let [lower, upper] = [lower[at], upper[at]].map(|cell| number(cell).unwrap());
        assert!((lower..=upper).contains(&truth), "{interface}: {lower} to {upper}");
        // Those of which nothing is known by themselves have no value.
        assert!(
            number(value).is_none_or(|value| value == truth),
            "{interface}: {value:?}"
        );
        assert!(number(value).is_some() || upper > 0);
    }
    let last = names.iter().position(|name| number(*name) == Some(9_999)).unwrap();
    assert_eq!(cells(&table, "previous.octets")[last], None);
}

#[test]
fn there_is_no_row_of_others_where_there_are_none() {
    let rows: Vec<_> = (0..3).map(|at| (0, Some(0), flow(at, 10))).collect();
    let stored = store(&rows, 10);
    let found = |tier, limit, interval| {
        let request = AggregateRequest {
            from_ns: Some(T0),
            to_ns: Some(T0 + HOUR),
            group_by: metrics(&["in.if"]),
            metrics: metrics(&["octets"]),
            other: true,
            limit,
            tier,
            interval,
            ..AggregateRequest::default()
        };
        ask(&stored, request).rows
    };
    for interval in [None, Some(Interval::Ns(HOUR))] {
        for (limit, rows) in [(3, 3), (2, 3), (1, 2)] {
            let rolled = found(TierAsked::Rollup, limit, interval);
            assert_eq!(rolled.len(), rows, "{limit}");
            assert_eq!(rolled, found(TierAsked::Raw, limit, interval), "{limit}");
        }
    }
}

#[test]
fn parts_of_buckets_have_rates_of_their_own() {
    let rows: Vec<_> = (0..8).map(|at| (15 * MINUTE, Some(0), flow(1, 100 + at))).collect();
    let stored = store(&rows, 3);
    for (from, to) in [(30, 105), (60, 120)] {
        let request = |tier| AggregateRequest {
            from_ns: Some(T0 + from * MINUTE),
            to_ns: Some(T0 + to * MINUTE),
            interval: Some(Interval::Ns(HOUR)),
            compare: Some(Compare::Ns(15 * MINUTE)),
            metrics: metrics(&["bps", "fps"]),
            tier,
            ..AggregateRequest::default()
        };
        let (raw, rolled) = (
            ask(&stored, request(TierAsked::Raw)),
            ask(&stored, request(TierAsked::Rollup)),
        );
        assert_eq!(rolled.rows.len(), raw.rows.len());
        for name in ["bps", "fps", "previous.bps", "previous.fps"] {
            for (raw, rolled) in cells(&raw, name).into_iter().zip(cells(&rolled, name)) {
                let (Some(Cell::Float(raw)), Some(Cell::Float(rolled))) = (raw, rolled) else {
                    panic!("{name}");
                };
                assert!((raw - rolled).abs() < 1e-9, "{name}: {rolled} instead of {raw}");
            }
        }
    }
    // Half an hour with flows at 30 and 45 minutes.
    let series = ask(
        &stored,
        AggregateRequest {
            from_ns: Some(T0 + 30 * MINUTE),
            to_ns: Some(T0 + 120 * MINUTE),
            interval: Some(Interval::Ns(HOUR)),
            metrics: metrics(&["bps"]),
            tier: TierAsked::Rollup,
            ..AggregateRequest::default()
        },
    );
    assert_eq!(cells(&series, "bps")[0], Some(&Cell::Float(203.0 * 8.0 / 1_800.0)));
}
