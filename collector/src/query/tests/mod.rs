//! The store's answers against a naive evaluator over made-up rows, and the stories of pages, bounds and completion.

mod aggregates;
mod compared;
mod counters;
mod kinds;
mod naive;
mod once;
mod pages;
mod rolled;
mod rows;
mod spans;
mod top;
mod windows;

use proptest::prelude::*;

use super::filter::{Filter, parse};
use super::{FlowsRequest, flows};
use crate::limits;
use rows::{PlainRow, filter, row, stored};

/// Numbers of the rows that fit, from the store.
fn found(snapshot: &crate::store::Snapshot, filter: Option<Filter>, from: Option<i64>, to: Option<i64>) -> Vec<u64> {
    let request = FlowsRequest {
        filter,
        from_ns: from,
        to_ns: to,
        limit: limits::FLOWS_PER_ANSWER,
        ..FlowsRequest::default()
    };
    let table = flows(snapshot, &request).unwrap();
    assert_eq!(table.stats.rows_matched, table.rows.len() as u64);
    let mut rows: Vec<u64> = table
        .rows
        .iter()
        .map(|row| u64::from_str_radix(&row.id, 16).unwrap())
        .collect();
    rows.sort_unstable();
    rows
}

fn expected(rows: &[PlainRow], fits: impl Fn(&PlainRow) -> bool) -> Vec<u64> {
    (0..)
        .zip(rows)
        .filter(|(_, row)| fits(row))
        .map(|(number, _)| number)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn filters_find_what_they_say(
        rows in proptest::collection::vec(row(), 1..150),
        per_segment in 20..150usize,
        filters in proptest::collection::vec(filter(), 60),
    ) {
        let (_dir, snapshot) = stored(&rows, per_segment);
        for root in filters {
            let filter = Filter { root };
            let text = filter.to_string();
            // What is shown means the same.
            let read = parse(&text, 0).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            prop_assert_eq!(read.as_ref(), Some(&filter), "{}", text);
            let wanted = expected(&rows, |row| naive::fits(&filter.root, row));
            prop_assert_eq!(found(&snapshot, Some(filter), None, None), wanted, "{}", text);
        }
    }

    #[test]
    fn times_select_flows_that_overlap(
        rows in proptest::collection::vec(row(), 1..80),
        times in proptest::collection::vec((0..25i64, 0..25i64), 20),
    ) {
        use crate::normalize::{columns::id, row::Cell};
        let (_dir, snapshot) = stored(&rows, 30);
        let ns = |row: &PlainRow, column| match row.cells[&column] { Cell::Signed(ns) => ns, _ => unreachable!() };
        for (from, to) in times {
            let (from, to) = (rows::T0 + from.min(to) * rows::S / 2, rows::T0 + from.max(to) * rows::S / 2);
            let wanted = expected(&rows, |row| ns(row, id::END) >= from && ns(row, id::START) < to);
            prop_assert_eq!(found(&snapshot, None, Some(from), Some(to)), wanted);
            let filter = parse("proto != 6 and octets exists", 0).unwrap().unwrap();
            let wanted = expected(&rows, |row| ns(row, id::START) < to && naive::fits(&filter.root, row));
            prop_assert_eq!(found(&snapshot, Some(filter), None, Some(to)), wanted);
        }
    }
}
