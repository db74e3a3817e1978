//! Rollups against a naive evaluator over the rows that they are made of, before and after they are merged and made again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::naive;
use super::rows::{PlainRow, S, T0};
use crate::normalize::codes::{KIND_DNS, KIND_FLOW};
use crate::normalize::columns::{ColumnId, column, id};
use crate::normalize::row::{Cell, Row, ip_to_u128, u128_to_ip};
use crate::query::aggregate::{Compare, Interval};
use crate::query::filter::parse;
use crate::query::{AggregateRequest, Table, TierAsked, aggregate};
use crate::rollups::Tier;
use crate::store::{Store, StoreConfig};

const HOUR: i64 = Tier::Hour.width_ns();
/// From here on until rollups of the last row are days.
const LATER: i64 = T0 + 6 * 24 * HOUR;

fn address(text: &str) -> Cell {
    Cell::Ip(ip_to_u128(text.parse().unwrap()))
}

fn maybe(column: ColumnId, values: &'static [&'static str]) -> BoxedStrategy<Option<(ColumnId, Cell)>> {
    let cell = (0..values.len()).prop_map(move |at| (column, Cell::Text(values[at].into())));
    proptest::option::weighted(0.6, cell).boxed()
}

fn number(column: ColumnId, values: std::ops::Range<u64>) -> BoxedStrategy<Option<(ColumnId, Cell)>> {
    let cell = values.prop_map(move |value| (column, Cell::Number(value)));
    proptest::option::weighted(0.8, cell).boxed()
}

fn duration(column: ColumnId) -> BoxedStrategy<Option<(ColumnId, Cell)>> {
    let cell = (0..1_000i64).prop_map(move |ms| (column, Cell::Signed(ms * 1_000_000)));
    proptest::option::weighted(0.3, cell).boxed()
}

/// How long before it arrived a flow began: nothing for no time at all.
fn age() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        20 => (0..300i64).prop_map(|s| Some(s * S)),
        4 => (0..30 * 60i64).prop_map(|m| Some(m * 60 * S)),
        // 1970 and 2106, as a broken clock says them.
        1 => Just(Some(T0 - 5 * S)),
        1 => Just(Some(T0 - 4_291_000_000 * S)),
        1 => Just(None),
    ]
}

/// A row, with the time since the one before arrived.
fn row() -> impl Strategy<Value = (i64, Option<i64>, PlainRow)> {
    let texts = vec![
        maybe(id::APP_NAME, &["web", "dns", "ssh"]),
        maybe(id::SRC_NET, &["campus", "dorm"]),
        maybe(id::DST_NET, &["campus", "lab"]),
        maybe(id::SRC_COUNTRY, &["DE", "FR"]),
        maybe(id::DST_COUNTRY, &["US", "DE"]),
        maybe(id::DST_NAME, &["a.example", "b.example", "c.example"]),
        maybe(id::TLS_SNI, &["www.example.com", "cdn.example.net"]),
        number(id::IN_IF, 0..3),
        number(id::OUT_IF, 0..3),
        number(id::PROTO, 5..8),
        number(id::SRC_AS, 64_500..64_503),
        number(id::DST_AS, 64_500..64_503),
        number(id::DST_PORT, 50..56),
        number(id::OCTETS, 0..1_000_000),
        number(id::PACKETS, 0..1_000),
        number(id::REV_OCTETS, 0..1_000_000),
        number(id::REV_PACKETS, 0..1_000),
        duration(id::TCP_RTT_CLIENT),
        duration(id::TCP_RTT_SERVER),
    ];
    // Names with their zones, as publicsuffix.org has it.
    let names = [
        ("example.com", "example.com"),
        ("www.example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("b.test", "b.test"),
    ];
    let ends = (
        0..3u8,
        proptest::option::weighted(0.9, 0..20u8),
        proptest::option::weighted(0.9, 0..20u8),
    );
    let fate = (number(id::DNS_STATUS, 0..3), number(id::DNS_RCODE, 0..4));
    let dns = (
        proptest::bool::weighted(0.3),
        0..names.len(),
        duration(id::DNS_LATENCY),
        fate,
    );
    (0..1_800i64, age(), ends, texts, dns).prop_map(move |(wait, age, (exporter, src, dst), texts, dns)| {
        let mut row = PlainRow::default();
        let exporter = address(&format!("198.51.100.{exporter}"));
        row.cells.insert(id::EXPORTER_IP, exporter);
        let ip = |last: u8| address(&format!("10.0.0.{last}"));
        row.cells.extend(src.map(|last| (id::SRC_IP, ip(last))));
        row.cells.extend(dst.map(|last| (id::DST_IP, ip(last))));
        let (is_dns, name, latency, (status, rcode)) = dns;
        if is_dns {
            row.cells.insert(id::KIND, Cell::Number(KIND_DNS));
            row.cells.insert(id::DNS_QNAME, Cell::Text(names[name].0.into()));
            row.cells.insert(id::DNS_ZONE, Cell::Text(names[name].1.into()));
            row.cells.extend(latency);
            row.cells.extend(status);
            row.cells.extend(rcode);
        } else {
            row.cells.insert(id::KIND, Cell::Number(KIND_FLOW));
            row.cells.extend(texts.into_iter().flatten());
        }
        (wait * S, age, row)
    })
}

/// A store of rows as they arrived, and what of it can be believed of their time.
pub struct Stored {
    _dir: TempDir,
    pub store: Arc<Store>,
    rows: Vec<(Option<i64>, PlainRow)>,
}

pub fn store(rows: &[(i64, Option<i64>, PlainRow)], per_segment: usize) -> Stored {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        memory_octets: 4 << 20,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.path(), config).unwrap();
    let mut writer = store.writer().unwrap();
    let mut now = T0;
    let mut kept = Vec::new();
    for chunk in rows.chunks(per_segment.max(1)) {
        for (wait, age, plain) in chunk {
            now += wait;
            let mut plain = plain.clone();
            let start = age.map(|age| now - age);
            plain.cells.insert(id::RECEIVED, Cell::Signed(now));
            plain.cells.extend(start.map(|start| (id::START, Cell::Signed(start))));
            let mut row = Row::new();
            plain.cells.iter().for_each(|(column, cell)| {
                row.set(*column, cell);
            });
            writer.add(now, row).unwrap();
            let is_believed = |start: &i64| (now - 10 * 365 * 24 * HOUR..=now + 24 * HOUR).contains(start);
            kept.push((start.filter(is_believed), plain));
        }
        writer.commit(now).unwrap();
        store.roll(now);
    }
    writer.close(now).unwrap();
    Stored {
        _dir: dir,
        store,
        rows: kept,
    }
}

fn kind(row: &PlainRow) -> u64 {
    match row.cells[&id::KIND] {
        Cell::Number(kind) => kind,
        _ => unreachable!(),
    }
}

fn value(row: &PlainRow, column: ColumnId) -> Option<f64> {
    match row.cells.get(&column)? {
        Cell::Number(value) => Some(*value as f64),
        Cell::Signed(value) => Some(*value as f64),
        _ => None,
    }
}

fn text(cell: Option<&Cell>) -> String {
    cell.map_or("-".to_owned(), |cell| match cell {
        Cell::Ip(address) => u128_to_ip(*address).to_string(),
        other => format!("{other:?}"),
    })
}

/// A metric of some rows, made one by one; clients of zones are those of transactions.
fn truth(metric: &str, rows: &[&PlainRow], of_zones: bool) -> Option<f64> {
    let flows = || rows.iter().filter(|row| kind(row) == KIND_FLOW);
    let sum = |column: ColumnId| flows().filter_map(|row| value(row, column)).sum::<f64>();
    if let Some(field) = metric.strip_prefix("unique(") {
        let of = column(field.trim_end_matches(')')).unwrap();
        let different: BTreeSet<String> = rows
            .iter()
            .filter(|row| of_zones || of == id::DNS_QNAME || kind(row) == KIND_FLOW)
            .filter_map(|row| row.cells.get(&of))
            .map(|cell| text(Some(cell)))
            .collect();
        return Some(different.len() as f64);
    }
    if let Some(field) = metric.strip_prefix("p95(") {
        let of = column(field.trim_end_matches(')')).unwrap();
        let mut values: Vec<f64> = rows.iter().filter_map(|row| value(row, of)).collect();
        values.sort_by(f64::total_cmp);
        return values
            .get((values.len() as f64 * 0.95 - 1e-9).ceil().max(1.0) as usize - 1)
            .copied();
    }
    Some(match metric {
        "flows" => flows().count() as f64,
        "transactions" => rows.iter().filter(|row| kind(row) == KIND_DNS).count() as f64,
        "octets" => sum(id::OCTETS),
        "packets" => sum(id::PACKETS),
        "rev.octets" => sum(id::REV_OCTETS),
        "total.packets" => sum(id::PACKETS) + sum(id::REV_PACKETS),
        other => panic!("{other}"),
    })
}

/// What can be asked: groups, metrics, filter.
const QUESTIONS: [(&[&str], &[&str], &str); 31] = [
    (&[], &["octets", "packets", "flows", "rev.octets", "total.packets"], ""),
    (
        &["exporter.ip"],
        &["flows", "octets", "unique(src.ip)", "unique(dst.ip)"],
        "",
    ),
    (&["exporter.ip", "in.if"], &["octets", "flows"], ""),
    (&["in.if"], &["octets", "flows"], "exporter.ip = 198.51.100.1"),
    (
        &["out.if"],
        &["flows"],
        "exporter.ip in 198.51.100.0/31 and not out.if = 2",
    ),
    (&["proto"], &["packets"], "proto != 6"),
    (&["app.name"], &["octets", "rev.octets"], ""),
    (&["app.name"], &["octets"], "app.name ~ \"*s*\" and exporter.ip exists"),
    (&[], &["octets", "flows"], "app.name = web or app.name = ssh"),
    (&["src.net"], &["flows", "unique(src.ip)"], ""),
    (&["dst.net"], &["octets", "unique(dst.ip)"], "dst.net = lab"),
    (&["src.as"], &["octets"], "src.as in (64500, 64501)"),
    (&["dst.as"], &["flows"], "dst.as > 64500"),
    (&["src.country"], &["octets"], ""),
    (&["dst.country"], &["octets"], "dst.country exists"),
    (&["src.ip"], &["octets"], ""),
    (&["src.ip"], &["rev.octets"], ""),
    (&["dst.ip", "src.ip"], &["octets"], ""),
    (&["dst.port"], &["octets"], ""),
    (&["dst.name"], &["octets"], ""),
    (&["dns.qname"], &["transactions"], ""),
    (&["src.ip"], &["packets"], ""),
    (&["dst.ip"], &["packets"], ""),
    (&["src.ip"], &["flows"], ""),
    (&["dst.ip"], &["flows"], ""),
    (
        &["dns.zone"],
        &[
            "transactions",
            "unique(src.ip)",
            "unique(dns.qname)",
            "p95(dns.latency)",
        ],
        "",
    ),
    (&["dns.zone"], &["transactions"], "dns.status = 1 and dns.rcode = 0"),
    (
        &[],
        &["transactions", "unique(src.ip)", "p95(dns.latency)"],
        "dns.zone = example.com",
    ),
    (&[], &["transactions"], "dns.rcode = 3"),
    (&["exporter.ip"], &["transactions"], "dns.status = 2"),
    (
        &[],
        &[
            "unique(dns.qname)",
            "p95(dns.latency)",
            "p95(tcp.rtt.server)",
            "unique(src.ip)",
        ],
        "",
    ),
];

fn ask(stored: &Stored, (groups, metrics, filter): (&[&str], &[&str], &str), asked: TierAsked, span: Span) -> Table {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let request = AggregateRequest {
        filter: parse(filter, 0).unwrap(),
        from_ns: span.0,
        to_ns: span.1,
        group_by: names(groups),
        metrics: names(metrics),
        limit: 1_000,
        tier: asked,
        ..AggregateRequest::default()
    };
    aggregate(&stored.store.snapshot(), &request).unwrap()
}

type Span = (Option<i64>, Option<i64>);

/// Whether an answer is what the rows say of the time that it says it is about.
fn check(stored: &Stored, question: (&[&str], &[&str], &str), asked: TierAsked, span: Span) {
    let (groups, metrics, filter) = question;
    let table = ask(stored, question, asked, span);
    let context = format!("{question:?} {asked:?} {span:?} {:?}", table.stats);
    let (from, to) = (table.stats.from_ns.unwrap(), table.stats.to_ns.unwrap());
    let filter = parse(filter, 0).unwrap();
    let columns: Vec<ColumnId> = groups.iter().map(|name| column(name).unwrap()).collect();
    let is_in = |start: &Option<i64>| match span {
        (None, None) => true,
        _ => start.is_some_and(|start| from <= start && start < to),
    };
    let mut wanted: BTreeMap<Vec<String>, Vec<&PlainRow>> = BTreeMap::new();
    if groups.is_empty() {
        wanted.insert(Vec::new(), Vec::new());
    }
    let of_zones = groups.contains(&"dns.zone") || question.2.contains("dns.zone");
    let is_about = |row: &PlainRow| {
        let of_dns = question.2.contains("dns.") || groups.iter().any(|group| group.starts_with("dns."));
        if of_dns && kind(row) != KIND_DNS {
            return false;
        }
        let all_kinds = groups.is_empty() && filter.is_none() || of_dns;
        (all_kinds || kind(row) == KIND_FLOW) && filter.as_ref().is_none_or(|filter| naive::fits(&filter.root, row))
    };
    for (_, row) in stored.rows.iter().filter(|(start, row)| is_in(start) && is_about(row)) {
        let key = columns.iter().map(|column| text(row.cells.get(column))).collect();
        wanted.entry(key).or_default().push(row);
    }
    // Lists hold what there is.
    let is_list = ["src.ip", "dst.ip", "dst.port", "dst.name", "dns.qname"]
        .iter()
        .any(|name| groups.contains(name));
    if is_list {
        wanted.retain(|key, rows| !key.contains(&"-".to_owned()) && truth(metrics[0], rows, of_zones) != Some(0.0));
    }
    let shown = groups.len() + metrics.len();
    let as_float = |cell: &Option<Cell>| match cell {
        Some(Cell::Number(value)) => Some(*value as f64),
        Some(Cell::Signed(value)) => Some(*value as f64),
        None => None,
        other => panic!("{other:?}"),
    };
    let found: BTreeMap<Vec<String>, Vec<Option<f64>>> = table
        .rows
        .iter()
        .map(|row| {
            let key = row.cells[..groups.len()]
                .iter()
                .map(|cell| text(cell.as_ref()))
                .collect();
            (key, row.cells[groups.len()..shown].iter().map(as_float).collect())
        })
        .collect();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>(),
        "{context}"
    );
    for (key, rows) in &wanted {
        for (metric, found) in metrics.iter().zip(&found[key]) {
            let truth = truth(metric, rows, of_zones);
            let is_same = match (found, truth) {
                // Values of quantiles have 24 bits.
                (Some(found), Some(truth)) => (found - truth).abs() <= truth.abs() * 1e-6,
                (found, truth) => found.is_none() && truth.is_none(),
            };
            assert!(is_same, "{key:?} {metric}: {found:?} instead of {truth:?}: {context}");
        }
    }
    // Few enough values that nothing had to be put together.
    assert!(
        metrics.iter().any(|metric| metric.contains('(')) || table.stats.error_bound == 0.0,
        "{context}"
    );
}

/// Rollups say of ratios, shares, what is left and what was before the same as flows, and so do their series.
fn is_same_with_flows(stored: &Stored, (groups, _, filter): (&[&str], &[&str], &str)) -> bool {
    let metrics = ["octets", "flows", "share(octets)", "octets/flows"];
    let request = AggregateRequest {
        filter: parse(filter, 0).unwrap(),
        from_ns: Some(T0 + 5 * HOUR),
        to_ns: Some(T0 + 17 * HOUR),
        group_by: groups.iter().map(|name| (*name).to_owned()).collect(),
        metrics: metrics.map(str::to_owned).to_vec(),
        limit: 2,
        compare: Some(Compare::Ns(4 * HOUR)),
        other: true,
        ..AggregateRequest::default()
    };
    [None, Some(Interval::Ns(2 * HOUR))].into_iter().all(|interval| {
        let asked = |tier| AggregateRequest {
            tier,
            interval,
            ..request.clone()
        };
        let snapshot = stored.store.snapshot();
        let flows = aggregate(&snapshot, &asked(TierAsked::Raw)).unwrap();
        let rolled = aggregate(&snapshot, &asked(TierAsked::Rollup)).unwrap();
        let cells = |table: &Table| -> Vec<Vec<String>> {
            let columns: Vec<usize> = (0..table.columns.len())
                .filter(|at| {
                    ![".lower", ".upper"]
                        .iter()
                        .any(|limit| table.columns[*at].name.ends_with(limit))
                })
                .collect();
            let shown = |cell: &Option<Cell>| match cell {
                Some(Cell::Float(value)) => format!("{value:.9}"),
                other => text(other.as_ref()),
            };
            table
                .rows
                .iter()
                .map(|row| columns.iter().map(|at| shown(&row.cells[*at])).collect())
                .collect()
        };
        // A row of nothing is left out by flows only when nothing is compared.
        assert_eq!(flows.rows.len(), rolled.rows.len(), "{request:?}");
        cells(&flows) == cells(&rolled) && rolled.stats.compare_ns == Some((T0 + HOUR, T0 + 13 * HOUR))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rollups_say_what_their_rows_say(
        rows in proptest::collection::vec(row(), 20..180),
        per_segment in 5..60usize,
        ends in proptest::collection::vec((0..4 * 24 * 60i64, 0..4 * 24 * 60i64), 2),
    ) {
        let stored = store(&rows, per_segment);
        let mut spans: Vec<Span> = vec![(None, None), (Some(T0), None), (None, Some(T0 + 20 * HOUR))];
        spans.extend(ends.iter().filter(|(a, b)| a != b).map(|(a, b)| {
            // Ends that lie within minutes, too.
            let at = |minute: i64| T0 - 24 * HOUR + minute * 61 * S;
            (Some(at(*a.min(b))), Some(at(*a.max(b))))
        }));
        let tiers = [TierAsked::Rollup, TierAsked::Only(Tier::Minute), TierAsked::Only(Tier::Hour), TierAsked::Only(Tier::Day)];
        let check_all = |stored: &Stored| {
            let combinations = spans.iter().flat_map(|span| tiers.iter().map(move |tier| (*span, *tier)));
            for (span, tier) in combinations {
                for question in QUESTIONS {
                    check(stored, question, tier, span);
                }
            }
        };
        check_all(&stored);
        stored.store.roll(LATER);
        let snapshot = stored.store.snapshot();
        for tier in Tier::ALL {
            let rows: u64 = snapshot.rollups_of(tier).map(|file| file.meta().rows.1 - file.meta().rows.0).sum();
            prop_assert_eq!(rows, stored.rows.len() as u64, "{:?}", tier);
        }
        let minutes = ask(&stored, QUESTIONS[0], TierAsked::Only(Tier::Minute), (None, None));
        check_all(&stored);
        let rebuilt = stored.store.rebuild_rollups(None, None, LATER).unwrap();
        prop_assert_eq!((rebuilt.rows, rebuilt.left), (stored.rows.len() as u64, 0));
        prop_assert_eq!(&ask(&stored, QUESTIONS[0], TierAsked::Only(Tier::Minute), (None, None)).rows, &minutes.rows);
        check_all(&stored);
        for at in [0, 1, 2, 3, 4, 6, 7, 8, 10, 11, 13] {
            prop_assert!(is_same_with_flows(&stored, QUESTIONS[at]), "{:?}", QUESTIONS[at]);
        }
        // Flows themselves, where both say the same.
        for question in &QUESTIONS[..9] {
            let (flows, rolled) = (ask(&stored, *question, TierAsked::Raw, (None, None)), ask(&stored, *question, TierAsked::Rollup, (None, None)));
            let groups = question.0.len();
            let exact = |table: &Table| -> BTreeMap<Vec<String>, Option<Cell>> {
                table.rows.iter().map(|row| (row.cells[..groups].iter().map(|cell| text(cell.as_ref())).collect(), row.cells[groups].clone())).collect()
            };
            prop_assert_eq!(exact(&flows), exact(&rolled), "{:?}", question);
        }
    }
}
