//! Conversations that several exporters saw: which rows stay, against a naive choice; and the same answers, whether an
//! exporter says both directions in one record or each in its own.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::rows::{PlainRow, S, T0, stored};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{Cell, ip_to_u128, ipv4_to_u128};
use crate::query::{AggregateRequest, FlowsRequest, OnceRule, QueryError, Table, TierAsked, aggregate, flows};
use crate::store::Snapshot;

/// Five seconds: as the guide says.
const SLACK: i64 = 5 * S;

#[derive(Clone, Debug)]
struct Conversation {
    ends: [(u8, u64); 2],
    proto: u64,
    start: i64,
    length: i64,
    packets: [u64; 2],
}

/// How an exporter tells of a conversation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Not,
    Both,
    Each,
    There,
    Back,
}

fn conversation() -> impl Strategy<Value = Conversation> {
    let end = || (0..4u8, 0..2u64);
    ((end(), end()), 6..8u64, 0..40i64, 0..8i64, (1..6u64, 1..6u64)).prop_map(
        |((from, to), proto, start, length, (there, back))| Conversation {
            ends: [from, to],
            proto,
            start: T0 + start * S,
            length: length * S,
            packets: [there, back],
        },
    )
}

fn told() -> impl Strategy<Value = Told> {
    prop_oneof![
        Just(Told::Not),
        Just(Told::Both),
        Just(Told::Each),
        Just(Told::There),
        Just(Told::Back)
    ]
}

fn record(conversation: &Conversation, exporter: u8, direction: usize, packets: u64, back: Option<u64>) -> PlainRow {
    let mut row = PlainRow::default();
    let [from, to] = match direction {
        0 => conversation.ends,
        _ => [conversation.ends[1], conversation.ends[0]],
    };
    let address = |last: u8| Cell::Ip(ipv4_to_u128([10, 0, 0, last]));
    for (column, cell) in [
        (id::EXPORTER_IP, Cell::Ip(ipv4_to_u128([192, 0, 2, exporter]))),
        (id::START, Cell::Signed(conversation.start)),
        (id::DURATION, Cell::Signed(conversation.length)),
        (id::END, Cell::Signed(conversation.start + conversation.length)),
        (id::SRC_IP, address(from.0)),
        (id::DST_IP, address(to.0)),
        (id::SRC_PORT, Cell::Number(from.1)),
        (id::DST_PORT, Cell::Number(to.1)),
        (id::PROTO, Cell::Number(conversation.proto)),
        (id::PACKETS, Cell::Number(packets)),
        (id::OCTETS, Cell::Number(packets * 100)),
    ] {
        row.cells.insert(column, cell);
    }
    if let Some(back) = back {
        row.cells.insert(id::REV_PACKETS, Cell::Number(back));
        row.cells.insert(id::REV_OCTETS, Cell::Number(back * 100));
    }
    row
}

/// Rows of one exporter; `more` packets are what only it saw.
fn records(conversation: &Conversation, exporter: u8, told: Told, more: u64) -> Vec<PlainRow> {
    let [there, back] = conversation.packets.map(|packets| packets + more);
    let record = |direction, packets, back| record(conversation, exporter, direction, packets, back);
    match told {
        Told::Not => vec![],
        Told::Both => vec![record(0, there, Some(back))],
        Told::Each => vec![record(0, there, None), record(1, back, None)],
        Told::There => vec![record(0, there, None)],
        Told::Back => vec![record(1, back, None)],
    }
}

fn number(row: &PlainRow, column: ColumnId) -> u64 {
    match row.cells.get(&column) {
        Some(Cell::Number(value)) => *value,
        _ => 0,
    }
}

fn time(row: &PlainRow, column: ColumnId) -> i64 {
    match row.cells[&column] {
        Cell::Signed(ns) => ns,
        _ => unreachable!(),
    }
}

fn ip(row: &PlainRow, column: ColumnId) -> u128 {
    match row.cells[&column] {
        Cell::Ip(address) => address,
        _ => unreachable!(),
    }
}

/// Source and destination.
fn ends(row: &PlainRow) -> [(u128, u64); 2] {
    [
        (ip(row, id::SRC_IP), number(row, id::SRC_PORT)),
        (ip(row, id::DST_IP), number(row, id::DST_PORT)),
    ]
}

/// Rows that stay, found as plainly as possible: any two rows that touch are together, until nothing changes; of those that
/// are together one exporter's stay, and what it did not see is looked at again.
fn staying(rows: &[PlainRow], preferred: &[u128]) -> BTreeSet<u64> {
    let conversation = |row: &PlainRow| {
        let mut ends = ends(row);
        ends.sort_unstable();
        (ends, number(row, id::PROTO))
    };
    let touch = |a: &PlainRow, b: &PlainRow| {
        conversation(a) == conversation(b)
            && time(a, id::START) <= time(b, id::END) + SLACK
            && time(b, id::START) <= time(a, id::END) + SLACK
    };
    // The first row of those that each is together with.
    let together = |members: &[&PlainRow]| -> Vec<usize> {
        let mut group: Vec<usize> = (0..members.len()).collect();
        loop {
            let before = group.clone();
            for a in 0..members.len() {
                for b in 0..members.len() {
                    if touch(members[a], members[b]) {
                        let least = group[a].min(group[b]);
                        (group[a], group[b]) = (least, least);
                    }
                }
            }
            if before == group {
                return group;
            }
        }
    };
    let packets = |row: &PlainRow| number(row, id::PACKETS) + number(row, id::REV_PACKETS);
    let best = |members: &[&PlainRow]| -> u128 {
        let mut seen: BTreeMap<u128, u64> = BTreeMap::new();
        for row in members {
            *seen.entry(ip(row, id::EXPORTER_IP)).or_default() += packets(row);
        }
        if let Some(first) = preferred.iter().find(|address| seen.contains_key(address)) {
            return *first;
        }
        let most = seen.values().max().unwrap();
        *seen.iter().find(|(_, packets)| *packets == most).unwrap().0
    };
    let is_forward = |row: &PlainRow| ends(row)[0] <= ends(row)[1];
    let has_back = |row: &PlainRow| number(row, id::REV_PACKETS) > 0;
    let mut stay: BTreeSet<usize> = BTreeSet::new();
    let mut left: Vec<usize> = (0..rows.len()).collect();
    while !left.is_empty() {
        let members: Vec<&PlainRow> = left.iter().map(|at| &rows[*at]).collect();
        let group = together(&members);
        let mut next = Vec::new();
        for first in 0..members.len() {
            let own: Vec<usize> = (0..members.len()).filter(|at| group[*at] == first).collect();
            if own.is_empty() {
                continue;
            }
            let own_rows: Vec<&PlainRow> = own.iter().map(|at| members[*at]).collect();
            let chosen = best(&own_rows);
            let is_chosen = |row: &PlainRow| ip(row, id::EXPORTER_IP) == chosen;
            for at in own {
                let row = members[at];
                if is_chosen(row) {
                    stay.insert(left[at]);
                    continue;
                }
                // What the chosen one saw in this direction; of both directions, anything.
                let seen: Vec<&PlainRow> = own_rows
                    .iter()
                    .copied()
                    .filter(|other| is_chosen(other))
                    .filter(|other| has_back(row) || has_back(other) || is_forward(row) == is_forward(other))
                    .collect();
                let stretches = together(&seen);
                let is_covered = (0..seen.len()).any(|stretch| {
                    let of: Vec<&&PlainRow> = (0..seen.len())
                        .filter(|at| stretches[*at] == stretch)
                        .map(|at| &seen[at])
                        .collect();
                    let from = of.iter().map(|row| time(row, id::START)).min();
                    let to = of.iter().map(|row| time(row, id::END)).max();
                    from.zip(to).is_some_and(|(from, to)| {
                        let (start, end) = (time(row, id::START), time(row, id::END));
                        let common = to.min(end) - from.max(start) + SLACK;
                        common >= 0 && 2 * common >= (to - from).min(end - start)
                    })
                });
                if !is_covered {
                    next.push(left[at]);
                }
            }
        }
        left = next;
    }
    stay.into_iter().map(|at| at as u64).collect()
}

fn listed(snapshot: &Snapshot, rule: &OnceRule, limit: usize) -> (BTreeSet<u64>, Option<(String, u64)>) {
    let mut found = BTreeSet::new();
    let mut request = FlowsRequest {
        once: Some(rule.clone()),
        limit,
        ..FlowsRequest::default()
    };
    loop {
        let table = flows(snapshot, &request).unwrap();
        found.extend(table.rows.iter().map(|row| u64::from_str_radix(&row.id, 16).unwrap()));
        request.cursor = table.next.clone();
        if request.cursor.is_none() {
            return (found, table.stats.once);
        }
    }
}

fn ask(snapshot: &Snapshot, groups: &[&str], once: Option<OnceRule>) -> Table {
    let metrics = [
        "octets",
        "rev.octets",
        "total.octets",
        "total.packets",
        "unique(peer)",
        "unique(peer.port)",
    ];
    let shown = if groups.is_empty() {
        &metrics[2..4]
    } else {
        &metrics[..]
    };
    let request = AggregateRequest {
        group_by: groups.iter().map(|name| (*name).to_owned()).collect(),
        metrics: shown.iter().map(|name| (*name).to_owned()).collect(),
        order_by: Some("-total.octets".into()),
        limit: 1_000,
        once,
        ..AggregateRequest::default()
    };
    aggregate(snapshot, &request).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_exporter_of_each_conversation_stays(
        seen in proptest::collection::vec((conversation(), proptest::collection::vec((told(), 0..3u64), 3)), 1..14),
        per_segment in 3..20usize,
        limit in 1..40usize,
        preferred in proptest::collection::vec(0..4u8, 0..3),
    ) {
        let mut rows = Vec::new();
        for (conversation, tellers) in &seen {
            for ((told, more), exporter) in tellers.iter().zip(1..) {
                rows.extend(records(conversation, exporter, *told, *more));
            }
        }
        prop_assume!(!rows.is_empty());
        let (_dir, snapshot) = stored(&rows, per_segment);
        let rule = OnceRule { preferred: preferred.iter().map(|last| ipv4_to_u128([192, 0, 2, *last])).collect() };
        let wanted = staying(&rows, &rule.preferred);
        let (found, stats) = listed(&snapshot, &rule, limit);
        prop_assert_eq!(&found, &wanted, "{:?}", rows);
        prop_assert_eq!(stats, Some((rule.words(), (rows.len() - wanted.len()) as u64)));
        let total: u64 = wanted.iter().map(|at| &rows[*at as usize]).map(|row| number(row, id::OCTETS) + number(row, id::REV_OCTETS)).sum();
        let table = ask(&snapshot, &[], Some(rule));
        prop_assert_eq!(&table.rows[0].cells[0], &Some(Cell::Number(total)));
        prop_assert_eq!(table.stats.rows_matched, wanted.len() as u64);
    }

    #[test]
    fn one_record_or_two_give_the_same_answers(
        seen in proptest::collection::vec((conversation(), proptest::collection::vec(any::<bool>(), 3)), 1..14),
        exporters in 1..4u8,
        per_segment in 3..20usize,
    ) {
        // Everything twice: once of one exporter in records of both directions, once of several that each do as they like.
        let (mut plain, mut mixed) = (Vec::new(), Vec::new());
        for (at, (conversation, ways)) in (0u64..).zip(&seen) {
            let mut conversation = conversation.clone();
            // Each its own.
            conversation.ends[0].1 = 1_000 + at;
            plain.extend(records(&conversation, 1, Told::Both, 0));
            for exporter in 1..=exporters {
                let told = if ways[usize::from(exporter) - 1] { Told::Both } else { Told::Each };
                mixed.extend(records(&conversation, exporter, told, 0));
            }
        }
        let ((_a, plain), (_b, mixed)) = (stored(&plain, per_segment), stored(&mixed, per_segment));
        for groups in [&[][..], &["host"], &["host", "peer"], &["host.port"], &["host/24", "proto"], &["peer.port", "host"]] {
            prop_assert_eq!(ask(&plain, groups, None).rows, ask(&mixed, groups, Some(OnceRule::default())).rows, "{:?}", groups);
        }
    }

    #[test]
    fn hosts_have_what_they_sent_and_got(
        seen in proptest::collection::vec((conversation(), told()), 1..14),
        per_segment in 3..20usize,
    ) {
        let rows: Vec<PlainRow> = seen.iter().flat_map(|(conversation, told)| records(conversation, 1, *told, 0)).collect();
        prop_assume!(!rows.is_empty());
        let mut wanted: BTreeMap<u128, (u64, u64, BTreeSet<u128>)> = BTreeMap::new();
        for row in &rows {
            let [(src, _), (dst, _)] = ends(row);
            for (host, peer, sent, got) in [(src, dst, id::OCTETS, id::REV_OCTETS), (dst, src, id::REV_OCTETS, id::OCTETS)] {
                let held = wanted.entry(host).or_default();
                held.0 += number(row, sent);
                held.1 += number(row, got);
                held.2.insert(peer);
            }
        }
        let (_dir, snapshot) = stored(&rows, per_segment);
        let found: BTreeMap<u128, (u64, u64, u64)> = ask(&snapshot, &["host"], None).rows.iter().map(|row| {
            let number = |at: usize| match row.cells[at] { Some(Cell::Number(value)) => value, _ => panic!("{row:?}") };
            match row.cells[0] {
                Some(Cell::Ip(host)) => (host, (number(1), number(2), number(5))),
                _ => panic!("{row:?}"),
            }
        }).collect();
        let wanted: BTreeMap<u128, (u64, u64, u64)> = wanted.into_iter().map(|(host, (sent, got, peers))| (host, (sent, got, peers.len() as u64))).collect();
        prop_assert_eq!(found, wanted);
    }
}

#[test]
fn rules_are_read_and_told() {
    assert_eq!(OnceRule::parse(" auto "), Ok(OnceRule::default()));
    let rule = OnceRule::parse("192.0.2.1, 2001:db8::1").unwrap();
    assert_eq!(
        rule.preferred,
        ["192.0.2.1", "2001:db8::1"].map(|text| ip_to_u128(text.parse().unwrap()))
    );
    assert!(
        rule.words().contains("the first of 192.0.2.1, 2001:db8::1 that saw it"),
        "{}",
        rule.words()
    );
    for wrong in ["", "first", "192.0.2.1,", "192.0.2.0/24"] {
        assert!(OnceRule::parse(wrong).unwrap_err().contains("use auto"), "{wrong}");
    }
    assert!(OnceRule::parse(&vec!["192.0.2.1"; 65].join(",")).is_err());
}

#[test]
fn rollups_refuse_what_they_cannot_tell() {
    let snapshot = Snapshot::default();
    for (groups, once, parameter) in [
        (&[][..], Some(OnceRule::default()), "once"),
        (&["host"], None, "group_by"),
    ] {
        let request = AggregateRequest {
            group_by: groups.iter().map(|name: &&str| (*name).to_owned()).collect(),
            once,
            tier: TierAsked::Rollup,
            ..AggregateRequest::default()
        };
        match aggregate(&snapshot, &request) {
            Err(QueryError::Request {
                parameter: named,
                detail,
                ..
            }) => {
                assert_eq!(named, parameter);
                assert!(detail.contains("tier=raw"), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
    let lone = AggregateRequest {
        metrics: vec!["unique(peer)".into()],
        ..AggregateRequest::default()
    };
    assert!(matches!(
        aggregate(&snapshot, &lone),
        Err(QueryError::Request {
            parameter: "metrics",
            ..
        })
    ));
}

/// A minute of one conversation, of which an exporter has a row each minute.
fn minute(exporter: u8, minute: i64, ahead: i64) -> PlainRow {
    let conversation = Conversation {
        ends: [(1, 1_000), (2, 80)],
        proto: 6,
        start: T0 + (minute * 60 + ahead) * S,
        length: 59 * S,
        packets: [10, 0],
    };
    record(&conversation, exporter, 0, 10, None)
}

#[test]
fn a_conversation_that_moves_to_another_exporter_keeps_the_rows_of_both() {
    // As the second one saw the last minute of the first, too.
    let moved = |overlap: i64| -> Vec<PlainRow> {
        let first = (0..5).map(|at| minute(1, at, 0));
        first.chain((5 - overlap..10).map(|at| minute(2, at, 2))).collect()
    };
    let octets = |rows: &[PlainRow], rule: &OnceRule| {
        let (_dir, snapshot) = stored(rows, 4);
        let table = ask(&snapshot, &[], Some(rule.clone()));
        (table.rows[0].cells[0].clone(), table.stats.once.unwrap().1)
    };
    for preferred in [
        vec![],
        vec![ipv4_to_u128([192, 0, 2, 1])],
        vec![ipv4_to_u128([192, 0, 2, 2])],
    ] {
        let rule = OnceRule { preferred };
        for overlap in 0..2 {
            let rows = moved(overlap);
            assert_eq!(
                octets(&rows, &rule),
                (Some(Cell::Number(10 * 1_000)), overlap as u64),
                "{overlap} {rule:?}"
            );
        }
        // A third one saw only what came in between, and another day.
        let mut rows = moved(0);
        rows.extend([minute(3, 4, -1), minute(3, 5, -1), minute(3, 1_440, 0)]);
        assert_eq!(octets(&rows, &rule), (Some(Cell::Number(11 * 1_000)), 2), "{rule:?}");
    }
}

#[test]
fn rows_cut_at_other_times_are_of_the_same_traffic() {
    let row = |exporter, from: i64, to: i64| {
        let conversation = Conversation {
            ends: [(1, 1_000), (2, 80)],
            proto: 6,
            start: T0 + from * S,
            length: (to - from) * S,
            packets: [1, 0],
        };
        record(&conversation, exporter, 0, 1, None)
    };
    // A packet each minute: one exporter ends a row after each, the other one goes on for an hour; and one cuts every minute,
    // the other half a minute later.
    let sparse: Vec<PlainRow> = (0..5)
        .map(|at| row(1, at * 60, at * 60))
        .chain([row(2, 0, 240)])
        .collect();
    let cut: Vec<PlainRow> = (0..5)
        .map(|at| row(1, at * 60, at * 60 + 60))
        .chain((0..5).map(|at| row(2, at * 60 + 30, at * 60 + 90)))
        .collect();
    let first = OnceRule {
        preferred: vec![ipv4_to_u128([192, 0, 2, 1])],
    };
    for rows in [sparse, cut] {
        let (_dir, snapshot) = stored(&rows, 4);
        let (found, _) = listed(&snapshot, &first, 100);
        assert_eq!(found, BTreeSet::from_iter(0..5));
    }
}
