//! Top lists over rows that were looked through first, against sums made row by row and against all groups added up.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::aggregates::{as_float, near, text};
use super::naive;
use super::rows::{PlainRow, S, T0, filter, row, stored};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{Cell, ipv4_to_u128, u128_to_ip};
use crate::query::aggregate::{
    AggregateRequest, Compare, Interval, Tuning, aggregate, aggregate_tuned, looked_through,
};
use crate::query::{Filter, OnceRule, Table};

/// So few buckets that groups meet in them, and rows are looked through even when they are few.
fn small(bits: u32) -> Tuning {
    Tuning {
        least_rows: 0,
        rows_per_group: usize::MAX >> 32,
        bits,
        buckets: (1, 1),
        rounds: 3,
        few_rows: 0,
        // Of most rows they are found twice.
        kept_rows: u64::from(bits) * 20,
    }
}

const GROUPS: [&[&str]; 10] = [
    &["src.ip"],
    &["src.ip/24/32"],
    &["tls.sni"],
    &["proto", "dns.qname"],
    &["src.mac", "dst.port", "src.ip"],
    &["host"],
    &["host/16", "peer.port"],
    &["tcp.bufferbloat"],
    &["start", "dst.ip/0"],
    &["host", "tls.sni", "peer"],
];

const METRICS: [&[&str]; 6] = [
    &["octets", "flows", "unique(dst.ip)"],
    &["flows"],
    &["bps", "avg(dns.latency)"],
    &["total.packets", "octets/packets"],
    &["transactions", "fps"],
    &["sum(src.port)", "max(start)"],
];

/// Numbers that add up to what a sum can hold.
fn modest(mut rows: Vec<PlainRow>) -> Vec<PlainRow> {
    for cell in rows.iter_mut().flat_map(|row| row.cells.values_mut()) {
        if let Cell::Number(value) = cell {
            *value %= 1 << 40;
        }
    }
    rows
}

/// The source's address within /24 or /32, as it is shown.
fn network(row: &PlainRow) -> String {
    let Some(Cell::Ip(address)) = row.cells.get(&id::SRC_IP) else {
        return "-".to_owned();
    };
    match u128_to_ip(*address) {
        std::net::IpAddr::V4(v4) => format!(
            "Text({:?})",
            format!("{}/24", std::net::Ipv4Addr::from(v4.to_bits() & !255))
        ),
        std::net::IpAddr::V6(v6) => format!(
            "Text({:?})",
            format!("{}/32", std::net::Ipv6Addr::from(v6.to_bits() >> 96 << 96))
        ),
    }
}

fn sum_of(row: &PlainRow, columns: &[ColumnId]) -> f64 {
    let cells = columns.iter().filter_map(|column| row.cells.get(column));
    cells.map(as_float).sum()
}

fn shown(table: &Table) -> Vec<String> {
    table.rows.iter().map(|row| format!("{:?}", row.cells)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_top_is_that_of_all_groups(
        rows in proptest::collection::vec(row(), 40..160),
        per_segment in 20..100usize,
        filters in proptest::collection::vec(filter(), 12),
        bits in 1..7u32,
        limit in 1..5usize,
    ) {
        let rows = modest(rows);
        let (_dir, snapshot) = stored(&rows, per_segment);
        let mut looked = 0;
        for (at, root) in filters.into_iter().enumerate() {
            for group_by in GROUPS {
                let metrics = METRICS[(at + group_by.len()) % METRICS.len()];
                let request = AggregateRequest {
                    filter: (at % 3 == 0).then(|| Filter { root: root.clone() }),
                    from_ns: Some(T0 + (at as i64 % 4) * S),
                    to_ns: Some(T0 + 100 * S),
                    group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
                    metrics: metrics.iter().map(|name| (*name).to_owned()).collect(),
                    interval: (at % 4 == 1).then_some(Interval::Ns(20 * S)),
                    compare: (at % 5 == 2).then_some(Compare::Ns(2 * S)),
                    once: (at % 4 == 2).then(OnceRule::default),
                    limit,
                    ..AggregateRequest::default()
                };
                let plain = aggregate(&snapshot, &request).unwrap();
                let tuned = aggregate_tuned(&snapshot, &request, &small(bits)).unwrap();
                prop_assert_eq!(shown(&tuned), shown(&plain), "{:?}", request);
                let cost = |table: &Table| {
                    let stats = &table.stats;
                    (stats.rows_read, stats.rows_matched, stats.segments, stats.partitions, stats.once.clone(), stats.compare_ns)
                };
                prop_assert_eq!(cost(&tuned), cost(&plain));
                looked += looked_through(&snapshot, &request, &small(bits)).map_or(0, |(rounds, _)| rounds);
            }
        }
        prop_assert!(looked > 40, "looked through {} times", looked);
    }

    #[test]
    fn the_top_is_that_of_the_rows(
        rows in proptest::collection::vec(row(), 40..160),
        per_segment in 20..100usize,
        filters in proptest::collection::vec(filter(), 6),
        bits in 1..7u32,
        limit in 1..5usize,
    ) {
        let rows = modest(rows);
        let (_dir, snapshot) = stored(&rows, per_segment);
        for (at, root) in filters.into_iter().enumerate() {
            let is_network = at % 2 == 0;
            let mut wanted: BTreeMap<Vec<String>, f64> = BTreeMap::new();
            for row in rows.iter().filter(|row| naive::fits(&root, row)) {
                let key = match is_network {
                    true => vec![network(row)],
                    false => [id::TLS_SNI, id::DST_PORT].map(|column| text(row.cells.get(&column))).to_vec(),
                };
                *wanted.entry(key).or_default() += sum_of(row, &[id::OCTETS, id::REV_OCTETS]);
            }
            let group_by = if is_network { vec!["src.ip/24/32"] } else { vec!["tls.sni", "dst.port"] };
            let request = AggregateRequest {
                filter: Some(Filter { root }),
                group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
                metrics: vec!["total.octets".into()],
                limit,
                ..AggregateRequest::default()
            };
            let table = aggregate_tuned(&snapshot, &request, &small(bits)).unwrap();
            let mut largest: Vec<f64> = wanted.values().copied().collect();
            largest.sort_by(|left, right| right.total_cmp(left));
            largest.truncate(limit);
            prop_assert_eq!(table.rows.len(), largest.len());
            for (row, largest) in table.rows.iter().zip(largest) {
                let (key, value) = row.cells.split_at(group_by.len());
                let key: Vec<String> = key.iter().map(|cell| text(cell.as_ref())).collect();
                let value = as_float(value[0].as_ref().unwrap());
                prop_assert!(near(value, largest), "{:?}: {} instead of {}", key, value, largest);
                prop_assert!(near(wanted[&key], value), "{:?}: {} instead of {}", key, value, wanted[&key]);
            }
        }
    }
}

/// Rows of sources of their own, each with so many octets.
fn sources(octets: impl Iterator<Item = u64>) -> Vec<PlainRow> {
    let row = |(at, octets): (u32, u64)| {
        let mut row = PlainRow::default();
        let [_, b, c, d] = at.to_be_bytes();
        row.cells.insert(id::START, Cell::Signed(T0));
        row.cells.insert(id::DURATION, Cell::Signed(0));
        row.cells.insert(id::OCTETS, Cell::Number(octets));
        row.cells.insert(id::SRC_IP, Cell::Ip(ipv4_to_u128([10, b, c, d])));
        row
    };
    (0..).zip(octets).map(row).collect()
}

fn by_source(limit: usize) -> AggregateRequest {
    AggregateRequest {
        group_by: vec!["src.ip".into()],
        metrics: vec!["octets".into()],
        limit,
        ..AggregateRequest::default()
    }
}

#[test]
fn few_groups_are_held_for_a_short_list() {
    // Every source is in two segments.
    let octets: Vec<u64> = (0..2_000).map(|at| 1 + at * at % 1_009).collect();
    let mut rows = sources(octets.iter().copied());
    rows.extend(sources(octets.iter().copied()));
    let (_dir, snapshot) = stored(&rows, 1_500);
    let request = by_source(5);
    let plain = aggregate(&snapshot, &request).unwrap();
    let mut rounds = Vec::new();
    for bits in [1, 4, 8, 12] {
        let mut tuning = small(bits);
        if bits == 12 {
            // Hashes differ from run to run; of so many buckets some have large groups in every one.
            tuning.buckets = (4, 64);
        }
        let (looked, held) = looked_through(&snapshot, &request, &tuning).unwrap();
        rounds.push(looked);
        if bits == 12 {
            assert!(held < 1_000, "{held} groups");
        }
        assert_eq!(
            shown(&aggregate_tuned(&snapshot, &request, &tuning).unwrap()),
            shown(&plain)
        );
    }
    // Two buckets leave nothing out, and nobody looks again; with more of them rows become fewer.
    assert_eq!(rounds[0], 1, "{rounds:?}");
    assert!(rounds[3] >= 1, "{rounds:?}");
    assert!(looked_through(&snapshot, &request, &Tuning::default()).is_none());
}

#[test]
fn groups_as_large_as_the_last_one_are_told_apart_by_their_values() {
    let (_dir, snapshot) = stored(&sources((0..900).map(|at| if at % 3 == 0 { 70 } else { 7 })), 200);
    let request = by_source(4);
    for bits in [2, 6, 10] {
        let table = aggregate_tuned(&snapshot, &request, &small(bits)).unwrap();
        let addresses: Vec<_> = table.rows.iter().map(|row| text(row.cells[0].as_ref())).collect();
        assert_eq!(addresses, ["10.0.0.0", "10.0.0.3", "10.0.0.6", "10.0.0.9"]);
        assert!(table.rows.iter().all(|row| row.cells[1] == Some(Cell::Number(70))));
    }
}

#[test]
fn what_cannot_be_looked_through_is_added_up() {
    let rounds = |request: &AggregateRequest, rows: &[PlainRow]| {
        let (_dir, snapshot) = stored(rows, 100);
        let plain = aggregate(&snapshot, request).unwrap();
        assert_eq!(
            shown(&aggregate_tuned(&snapshot, request, &small(6)).unwrap()),
            shown(&plain)
        );
        looked_through(&snapshot, request, &small(6)).map(|(rounds, _)| rounds)
    };
    let rows = sources(1..300);
    assert!(rounds(&by_source(3), &rows) > Some(0));
    // Sums that could go over: 300 times the largest number.
    let mut large = rows.clone();
    large[7].cells.insert(id::OCTETS, Cell::Number(u64::MAX));
    assert_eq!(rounds(&by_source(3), &large), Some(0));
    // As many groups as there are rows.
    assert_eq!(rounds(&by_source(290), &rows), Some(0));
    let other = |change: fn(&mut AggregateRequest)| {
        let mut request = by_source(3);
        change(&mut request);
        rounds(&request, &rows)
    };
    // The smallest; what is outside; parts of the whole; what does not only grow; what has no column.
    assert_eq!(other(|request| request.order_by = Some("octets".into())), None);
    assert_eq!(other(|request| request.order_by = Some("src.ip".into())), None);
    assert_eq!(other(|request| request.other = true), None);
    assert_eq!(other(|request| request.metrics.push("share(octets)".into())), None);
    assert_eq!(other(|request| request.order_by = Some("-max(octets)".into())), None);
    assert_eq!(
        other(|request| request.order_by = Some("-sum(duration)".into())),
        Some(0)
    );
    assert_eq!(other(|request| request.group_by = vec!["end".into()]), None);
    assert_eq!(other(|request| request.group_by = vec!["32473.77".into()]), None);
}
