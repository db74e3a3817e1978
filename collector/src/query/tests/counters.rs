//! Counters of devices beside flows: totals of flows leave them out, and their growth is summed and rated by interval.

use super::rows::{PlainRow, S, T0, stored};
use crate::normalize::codes::{KIND_COUNTERS, KIND_FLOW};
use crate::normalize::columns::id;
use crate::normalize::row::Cell;
use crate::query::aggregate::Interval;
use crate::query::filter::parse;
use crate::query::{AggregateRequest, FlowsRequest, aggregate, flows};

/// Ten flows, and two interfaces that are read every 20 s: one brings 1 000 octets each time, the other 3 000.
fn rows() -> Vec<PlainRow> {
    let mut rows = Vec::new();
    for number in 0..10u64 {
        let mut flow = PlainRow::default();
        flow.cells.insert(id::START, Cell::Signed(T0 + number as i64 * S));
        flow.cells.insert(id::DURATION, Cell::Signed(S));
        flow.cells.insert(id::KIND, Cell::Number(KIND_FLOW));
        flow.cells.insert(id::OCTETS, Cell::Number(7));
        rows.push(flow);
        for (interface, octets) in [(1, 1_000), (2, 3_000)] {
            let mut counters = PlainRow::default();
            counters
                .cells
                .insert(id::START, Cell::Signed(T0 + number as i64 * 20 * S));
            counters.cells.insert(id::DURATION, Cell::Signed(20 * S));
            counters.cells.insert(id::KIND, Cell::Number(KIND_COUNTERS));
            counters.cells.insert(id::IN_IF, Cell::Number(interface));
            counters.other.insert("ifInOctets", Cell::Number((number + 1) * octets));
            counters.other.insert("ifInOctetsDelta", Cell::Number(octets));
            rows.push(counters);
        }
    }
    rows
}

fn table(request: AggregateRequest, metrics: &[&str]) -> Vec<Vec<Option<Cell>>> {
    let (_dir, snapshot) = stored(&rows(), 7);
    let request = AggregateRequest {
        metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect(),
        ..request
    };
    let table = aggregate(&snapshot, &request).unwrap();
    table.rows.into_iter().map(|row| row.cells).collect()
}

#[test]
fn totals_of_flows_leave_counters_out() {
    let totals = table(AggregateRequest::default(), &["flows", "octets"]);
    assert_eq!(totals, [[Some(Cell::Number(10)), Some(Cell::Number(70))]]);
    let (_dir, snapshot) = stored(&rows(), 7);
    let found = |filter: &str| {
        let request = FlowsRequest {
            filter: parse(filter, 0).unwrap(),
            limit: 1_000,
            ..FlowsRequest::default()
        };
        flows(&snapshot, &request).unwrap().rows.len()
    };
    assert_eq!(found(""), 10);
    assert_eq!(found("kind = counters"), 20);
    assert_eq!(found("ifInOctets > 15000"), 5, "six of 3 000 and more");
    assert_eq!(found("kind exists"), 30);
}

#[test]
fn growth_is_summed_by_interface_and_rated_by_interval() {
    let by_interface = AggregateRequest {
        group_by: vec!["in.if".to_owned()],
        ..AggregateRequest::default()
    };
    let metrics = ["increase(ifInOctets)", "max(ifInOctets)"];
    let float = |value: f64| Some(Cell::Float(value));
    assert_eq!(
        table(by_interface.clone(), &metrics),
        [
            [Some(Cell::Number(2)), float(30_000.0), float(30_000.0)],
            [Some(Cell::Number(1)), float(10_000.0), float(10_000.0)],
        ]
    );
    let minutes = AggregateRequest {
        filter: parse("in.if = 2", 0).unwrap(),
        from_ns: Some(T0),
        to_ns: Some(T0 + 120 * S),
        interval: Some(Interval::Ns(60 * S)),
        ..AggregateRequest::default()
    };
    let series = table(minutes, &["rate(ifinoctets)"]);
    // Three samples of 3 000 octets each minute.
    assert_eq!(
        series,
        [
            [Some(Cell::Signed(T0)), float(150.0)],
            [Some(Cell::Signed(T0 + 60 * S)), float(150.0)]
        ]
    );
}

#[test]
fn growth_stands_beside_totals_of_flows() {
    let both = table(
        AggregateRequest::default(),
        &[
            "octets",
            "flows",
            "increase(ifInOctets)",
            "avg(duration)",
            "unique(in.if)",
        ],
    );
    let wanted = [
        Some(Cell::Number(70)),
        Some(Cell::Number(10)),
        Some(Cell::Float(40_000.0)),
        Some(Cell::Signed(S)),
        Some(Cell::Number(0)),
    ];
    assert_eq!(both, [wanted]);
}
