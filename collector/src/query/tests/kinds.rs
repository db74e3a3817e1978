//! Flows and DNS transactions beside each other: which questions read which, and what counts what.

use super::rows::{PlainRow, S, T0, stored};
use crate::normalize::codes::{KIND_DNS, KIND_FLOW};
use crate::normalize::columns::id;
use crate::normalize::row::Cell;
use crate::query::filter::parse;
use crate::query::{AggregateRequest, FlowsRequest, aggregate, flows};
use crate::store::Snapshot;

fn plain(kind: Option<u64>, number: u64) -> PlainRow {
    let mut row = PlainRow::default();
    let mut set = |column, cell| row.cells.insert(column, cell);
    set(id::START, Cell::Signed(T0 + number as i64 * S));
    set(id::DURATION, Cell::Signed(S));
    set(id::DST_PORT, Cell::Number(53));
    if let Some(kind) = kind {
        set(id::KIND, Cell::Number(kind));
    }
    if kind == Some(KIND_DNS) {
        set(id::DNS_QNAME, Cell::Text("www.example.com".into()));
        set(id::DNS_RCODE, Cell::Number(0));
        set(id::DNS_LATENCY, Cell::Signed(number as i64 * 1_000));
    } else {
        set(id::OCTETS, Cell::Number(100));
        set(id::PACKETS, Cell::Number(2));
    }
    row
}

/// Three flows, one of a store from before kinds, one flow with a name of its own, and four transactions.
fn rows() -> Vec<PlainRow> {
    let mut rows: Vec<PlainRow> = [
        Some(KIND_FLOW),
        Some(KIND_DNS),
        Some(KIND_DNS),
        None,
        Some(KIND_DNS),
        Some(KIND_FLOW),
        Some(KIND_DNS),
    ]
    .into_iter()
    .zip(1..)
    .map(|(kind, number)| plain(kind, number))
    .collect();
    rows[5]
        .cells
        .insert(id::DNS_QNAME, Cell::Text("flow.example.org".into()));
    rows
}

fn count(snapshot: &Snapshot, filter: &str, order: Option<&str>) -> usize {
    let request = FlowsRequest {
        filter: parse(filter, 0).unwrap(),
        order: order.map(str::to_owned),
        ..FlowsRequest::default()
    };
    let table = flows(snapshot, &request).unwrap();
    assert_eq!(table.stats.rows_matched, table.rows.len() as u64, "{filter}");
    table.rows.len()
}

fn totals(snapshot: &Snapshot, filter: &str, group_by: &[&str], metrics: &[&str]) -> Vec<Vec<Option<Cell>>> {
    let request = AggregateRequest {
        filter: parse(filter, 0).unwrap(),
        group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
        metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
        ..AggregateRequest::default()
    };
    let rows = aggregate(snapshot, &request).unwrap().rows;
    rows.into_iter().map(|row| row.cells).collect()
}

#[test]
fn questions_are_about_flows_unless_they_name_what_transactions_have() {
    // Segments with both kinds, with one only, and with rows that do not say.
    for per_segment in [7, 2, 1] {
        let (_dir, snapshot) = stored(&rows(), per_segment);
        for (filter, found) in [
            ("", 3),
            ("dst.port = 53", 3),
            ("not src.port = 1", 3),
            ("octets > 0", 3),
            ("kind = dns", 4),
            ("kind = flow", 2),
            ("kind = dns or kind = flow", 6),
            ("dns.qname = www.example.com", 4),
            ("dst.port = 53 and dns.qname ~ example", 5),
            ("dns.latency > 3us", 2),
            ("dnsTransactionId exists", 0),
            ("not dns.rcode = NOERROR", 3),
            ("www.example.com", 4),
        ] {
            assert_eq!(
                count(&snapshot, filter, None),
                found,
                "{filter:?} with {per_segment} rows a segment"
            );
        }
        // The slowest first: what is ordered by latency is about transactions, too.
        assert_eq!(count(&snapshot, "", Some("-dns.latency")), 7);
        assert_eq!(count(&snapshot, "", Some("-octets")), 3);
    }
}

#[test]
fn totals_count_each_kind_by_itself() {
    let number = |value| Some(Cell::Number(value));
    for per_segment in [7, 2, 1] {
        let (_dir, snapshot) = stored(&rows(), per_segment);
        let plain = ["flows", "packets", "octets"];
        assert_eq!(
            totals(&snapshot, "", &[], &plain),
            [vec![number(3), number(6), number(300)]]
        );
        assert_eq!(
            totals(&snapshot, "", &[], &["flows", "transactions", "octets"]),
            [vec![number(3), number(4), number(300)]]
        );
        assert_eq!(
            totals(
                &snapshot,
                "dns.qname exists",
                &["dns.qname"],
                &["transactions", "flows", "octets"]
            ),
            [
                vec![
                    Some(Cell::Text("www.example.com".into())),
                    number(4),
                    number(0),
                    number(0)
                ],
                vec![
                    Some(Cell::Text("flow.example.org".into())),
                    number(0),
                    number(1),
                    number(100)
                ],
            ]
        );
        assert_eq!(
            totals(&snapshot, "", &["kind"], &["transactions"])
                .into_iter()
                .map(|row| row[0].clone())
                .collect::<Vec<_>>(),
            [number(KIND_DNS), number(KIND_FLOW), None]
        );
        let slowest = totals(&snapshot, "", &[], &["max(dns.latency)", "flows"]);
        assert_eq!(slowest, [vec![Some(Cell::Signed(7_000)), number(3)]]);
    }
}

#[test]
fn no_metric_changes_another_one() {
    let mut rows = rows();
    for row in &mut rows {
        if row.cells.get(&id::KIND) == Some(&Cell::Number(KIND_DNS)) {
            row.cells.insert(id::DURATION, Cell::Signed(9 * S));
        }
    }
    for per_segment in [7, 2, 1] {
        let (_dir, snapshot) = stored(&rows, per_segment);
        let beside = ["unique(dns.qname)", "max(dns.latency)", "transactions"];
        for metric in [
            "avg(duration)",
            "max(duration)",
            "p95(duration)",
            "unique(duration)",
            "sum(duration)",
            "fps",
        ] {
            let lone = totals(&snapshot, "", &[], &[metric]);
            for other in beside {
                let both = totals(&snapshot, "", &[], &[metric, other]);
                assert_eq!(both[0][0], lone[0][0], "{metric} beside {other}");
                assert_eq!(
                    both[0][1],
                    totals(&snapshot, "", &[], &[other])[0][0],
                    "{other} beside {metric}"
                );
            }
        }
        // A filter, or a group, is about all of them.
        assert_eq!(
            totals(&snapshot, "kind exists", &[], &["max(duration)"]),
            [[Some(Cell::Signed(9 * S))]]
        );
        let by_kind = totals(&snapshot, "", &["kind"], &["max(duration)"]);
        assert_eq!(by_kind[0], [Some(Cell::Number(KIND_DNS)), Some(Cell::Signed(9 * S))]);
    }
}
