//! The time that rates and series are about: odd clocks do not count, and buckets that are cut off are as long as they are.

use super::rows::{PlainRow, S, T0, stored};
use crate::normalize::columns::id;
use crate::normalize::row::{Cell, ipv4_to_u128};
use crate::query::aggregate::{Compare, Interval};
use crate::query::{AggregateRequest, QueryError, Table, aggregate};
use crate::store::Snapshot;

/// A flow of so many octets, at so many seconds.
fn flow(start: Option<i64>, octets: u64) -> PlainRow {
    let mut row = PlainRow::default();
    row.cells
        .extend(start.map(|start| (id::START, Cell::Signed(T0 + start * S))));
    row.cells.insert(id::DURATION, Cell::Signed(0));
    row.cells.insert(id::OCTETS, Cell::Number(octets));
    row.cells
        .insert(id::SRC_IP, Cell::Ip(ipv4_to_u128([10, 0, 0, octets as u8])));
    row
}

fn ask(snapshot: &Snapshot, request: AggregateRequest) -> Table {
    aggregate(snapshot, &request).unwrap()
}

fn metrics(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn float(value: f64) -> Option<Cell> {
    Some(Cell::Float(value))
}

/// Clocks of 1970 and of 2106, as a broken exporter tells them.
fn odd() -> [PlainRow; 2] {
    [flow(Some(-T0 / S), 0), flow(Some(i64::from(u32::MAX) - T0 / S), 0)]
}

#[test]
fn odd_clocks_do_not_change_rates_and_widths() {
    let plain = [flow(Some(0), 1_000), flow(Some(50), 2_000), flow(Some(100), 3_000)];
    let spoiled = [&plain[..], &odd()].concat();
    let ((_a, plain), (_b, spoiled)) = (stored(&plain, 2), stored(&spoiled, 2));
    for (interval, groups) in [
        (None, &[][..]),
        (None, &["src.ip"]),
        (Some(Interval::Auto), &[]),
        (Some(Interval::Ns(20 * S)), &[]),
        (Some(Interval::Auto), &["octets"]),
    ] {
        let request = AggregateRequest {
            interval,
            group_by: metrics(groups),
            metrics: metrics(&["bps", "sum(octets)"]),
            limit: 3,
            ..AggregateRequest::default()
        };
        let (wanted, found) = (ask(&plain, request.clone()), ask(&spoiled, request.clone()));
        assert_eq!(found.rows, wanted.rows, "{request:?}");
        assert_eq!(found.interval_ns, wanted.interval_ns);
        assert_eq!(
            (found.stats.from_ns, found.stats.to_ns),
            (Some(T0), Some(T0 + 100 * S + 1))
        );
    }
    // They are found by who asks for them, and where there is nothing else.
    let request = AggregateRequest {
        metrics: metrics(&["flows"]),
        ..AggregateRequest::default()
    };
    assert_eq!(ask(&spoiled, request.clone()).rows[0].cells, [Some(Cell::Number(5))]);
    let (_c, lone) = stored(&odd(), 2);
    let table = ask(&lone, request);
    assert_eq!(table.stats.from_ns, Some(0));
}

#[test]
fn buckets_that_are_cut_off_have_rates_of_what_is_left_of_them() {
    let rows = [
        flow(Some(0), 5),
        flow(Some(50), 7),
        flow(Some(70), 6),
        flow(Some(150), 9),
    ];
    let (_dir, snapshot) = stored(&rows, 2);
    let request = |from: i64, to: i64| AggregateRequest {
        from_ns: Some(T0 + from * S),
        to_ns: Some(T0 + to * S),
        interval: Some(Interval::Ns(60 * S)),
        metrics: metrics(&["bps", "fps"]),
        compare: Some(Compare::Previous),
        ..AggregateRequest::default()
    };
    // Minutes of which there are 30 s, and 20 s; a minute earlier is the minute from 0 s on.
    let table = ask(&snapshot, request(30, 80));
    let time = |at: i64| Some(Cell::Signed(T0 + at * S));
    let cells: Vec<_> = table.rows.into_iter().map(|row| row.cells).collect();
    let zero = || float(0.0);
    assert_eq!(
        cells,
        [
            // -20 s to 10 s, and 10 s to 30 s.
            vec![
                time(0),
                float(7.0 * 8.0 / 30.0),
                float(1.0 / 30.0),
                float(5.0 * 8.0 / 30.0),
                float(1.0 / 30.0)
            ],
            vec![time(60), float(6.0 * 8.0 / 20.0), float(1.0 / 20.0), zero(), zero()],
        ]
    );
    // Whole ones are whole, and what nobody asked to end does not.
    let table = ask(
        &snapshot,
        AggregateRequest {
            from_ns: None,
            to_ns: None,
            compare: None,
            ..request(0, 0)
        },
    );
    let bps: Vec<_> = table.rows.iter().map(|row| row.cells[1].clone()).collect();
    assert_eq!(
        bps,
        [
            float(12.0 * 8.0 / 60.0),
            float(6.0 * 8.0 / 60.0),
            float(9.0 * 8.0 / 60.0)
        ]
    );
}

#[test]
fn what_has_no_time_is_in_no_series() {
    let rows = [flow(Some(0), 5), flow(None, 7), flow(Some(70), 6)];
    for per_segment in [3, 1] {
        let (_dir, snapshot) = stored(&rows, per_segment);
        for groups in [&[][..], &["kind"]] {
            let table = ask(
                &snapshot,
                AggregateRequest {
                    interval: Some(Interval::Ns(60 * S)),
                    group_by: metrics(groups),
                    metrics: metrics(&["octets"]),
                    ..AggregateRequest::default()
                },
            );
            let found: Vec<_> = table
                .rows
                .iter()
                .map(|row| (row.cells[0].clone(), row.cells.last().unwrap().clone()))
                .collect();
            let bucket = |at: i64, octets| (Some(Cell::Signed(T0 + at * S)), Some(Cell::Number(octets)));
            assert_eq!(found, [bucket(0, 5), bucket(60, 6)]);
        }
        let totals = ask(
            &snapshot,
            AggregateRequest {
                metrics: metrics(&["octets"]),
                ..AggregateRequest::default()
            },
        );
        assert_eq!(totals.rows[0].cells, [Some(Cell::Number(18))]);
    }
}

#[test]
fn columns_to_group_by_are_named_once() {
    let (_dir, snapshot) = stored(&[flow(Some(0), 5)], 1);
    for (groups, is_refused) in [
        (&["src.ip", "src.ip"][..], true),
        (&["src.ip/24", "proto", " src.ip/24"], true),
        (&["src.ip", "src.ip/24"], false),
    ] {
        let answer = aggregate(
            &snapshot,
            &AggregateRequest {
                group_by: metrics(groups),
                ..AggregateRequest::default()
            },
        );
        let found = matches!(
            answer,
            Err(QueryError::Request {
                parameter: "group_by",
                ..
            })
        );
        assert_eq!(found, is_refused, "{groups:?}");
    }
}

#[test]
fn series_in_order_of_time_are_of_the_largest_groups() {
    // The largest address has most.
    let rows: Vec<PlainRow> = (1..20).map(|at| flow(Some((at % 2) * 60), at as u64)).collect();
    let (_dir, snapshot) = stored(&rows, 7);
    let request = |order: &str, interval| AggregateRequest {
        order_by: Some(order.to_owned()),
        group_by: metrics(&["src.ip"]),
        metrics: metrics(&["octets"]),
        limit: 1,
        interval,
        from_ns: Some(T0),
        to_ns: Some(T0 + 120 * S),
        ..AggregateRequest::default()
    };
    let minutes = Some(Interval::Ns(60 * S));
    for (order, times) in [("time", [0, 60]), ("-time", [60, 0])] {
        let table = ask(&snapshot, request(order, minutes));
        let found: Vec<_> = table.rows.iter().map(|row| row.cells[..2].to_vec()).collect();
        let wanted = times.map(|at| {
            let address = Cell::Ip(ipv4_to_u128([10, 0, 0, 19]));
            vec![Some(Cell::Signed(T0 + at * S)), Some(address)]
        });
        assert_eq!(found, wanted, "{order}");
    }
    assert!(matches!(
        aggregate(&snapshot, &request("time", None)),
        Err(QueryError::Request {
            parameter: "order_by",
            ..
        })
    ));
}

#[test]
fn networks_come_in_the_order_of_their_addresses() {
    let mut rows = Vec::new();
    for net in [[10, 0, 10, 1], [10, 0, 2, 1], [9, 255, 0, 1]] {
        let mut row = flow(Some(0), 5);
        row.cells.insert(id::SRC_IP, Cell::Ip(ipv4_to_u128(net)));
        row.other.insert("ipNextHopIPv4Address", {
            let text = net.map(|octet| octet.to_string()).join(".");
            Cell::Text(text.as_str().into())
        });
        rows.push(row);
    }
    let (_dir, snapshot) = stored(&rows, 2);
    for group in ["src.ip/24", "ipNextHopIPv4Address/24"] {
        // All have the same, and then by themselves.
        for order in [None, Some(group.to_owned())] {
            let table = ask(
                &snapshot,
                AggregateRequest {
                    group_by: metrics(&[group]),
                    order_by: order.clone(),
                    ..AggregateRequest::default()
                },
            );
            let found: Vec<_> = table.rows.iter().map(|row| row.cells[0].clone().unwrap()).collect();
            let wanted = ["9.255.0.0/24", "10.0.2.0/24", "10.0.10.0/24"].map(|net| Cell::Text(net.into()));
            assert_eq!(found, wanted, "{group} {order:?}");
        }
    }
}
