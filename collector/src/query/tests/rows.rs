//! Made-up rows and filters over small sets of values, so that they meet often.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::normalize::columns::{ColumnId, ColumnKind, id};
use crate::normalize::row::{Cell, CellRef, Row, ip_to_u128};
use crate::query::filter::ast::{Literal, Node, NodeKind, Operator, Span, Subject, Test};
use crate::query::filter::pattern::Pattern;
use crate::store::{Snapshot, Store, StoreConfig};

pub const T0: i64 = 1_767_225_600_000_000_000;
pub const S: i64 = 1_000_000_000;

/// A row as the naive evaluator reads it: no code of the store in between.
#[derive(Clone, Debug, Default)]
pub struct PlainRow {
    pub cells: BTreeMap<ColumnId, Cell>,
    pub other: BTreeMap<&'static str, Cell>,
}

pub const ADDRESSES: [&str; 6] = [
    "10.0.0.1",
    "10.0.1.2",
    "192.0.2.7",
    "2001:db8::1",
    "2001:db8::2",
    "0.0.0.0",
];
pub const TEXTS: [&str; 6] = [
    "www.example.com",
    "example.com",
    "WWW.EXAMPLE.COM",
    "mail.example.org",
    "ä \"b\\",
    "a/b",
];
pub const OTHERS: [&str; 3] = ["32473.77", "ciscoFirewallEvent", "ipNextHopIPv4Address"];

pub fn value(kind: ColumnKind) -> BoxedStrategy<Cell> {
    match kind {
        ColumnKind::Time => (0..20i64).prop_map(|s| Cell::Signed(T0 + s * S / 2)).boxed(),
        ColumnKind::Duration => {
            prop_oneof![(-2..6i64).prop_map(|s| Cell::Signed(s * S)), Just(Cell::Signed(1))].boxed()
        }
        ColumnKind::Ip => (0..ADDRESSES.len())
            .prop_map(|at| Cell::Ip(ip_to_u128(ADDRESSES[at].parse().unwrap())))
            .boxed(),
        ColumnKind::Number => prop_oneof![0..8u64, Just(18), Just(53), Just(u64::MAX), Just(1_500)]
            .prop_map(Cell::Number)
            .boxed(),
        ColumnKind::Float => prop_oneof![
            Just(0.0),
            Just(-0.0),
            Just(1.5),
            Just(-3.25),
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(1e12)
        ]
        .prop_map(Cell::Float)
        .boxed(),
        ColumnKind::Text => (0..TEXTS.len()).prop_map(|at| Cell::Text(TEXTS[at].into())).boxed(),
        ColumnKind::Mac => (0..4u64).prop_map(|value| Cell::Mac(value << 20)).boxed(),
        ColumnKind::Bool => any::<bool>().prop_map(Cell::Bool).boxed(),
    }
}

/// Columns of every kind, with and without an inverted index.
pub const COLUMNS: [ColumnId; 19] = [
    id::START,
    id::END,
    id::DURATION,
    id::SRC_IP,
    id::DST_IP,
    id::EXPORTER_IP,
    id::SRC_PORT,
    id::DST_PORT,
    id::PROTO,
    id::OCTETS,
    id::PACKETS,
    id::TCP_FLAGS,
    id::SRC_MAC,
    id::DNS_QNAME,
    id::HTTP_PATH,
    id::TLS_SNI,
    id::TCP_NON_IDLE_BPS,
    id::TCP_BUFFERBLOAT,
    id::DNS_LATENCY,
];

fn other(name: &'static str) -> BoxedStrategy<Cell> {
    match name {
        "32473.77" => prop_oneof![Just("00ff"), Just("0010")]
            .prop_map(|hex| Cell::Text(hex.into()))
            .boxed(),
        "ciscoFirewallEvent" => (0..4u64).prop_map(Cell::Number).boxed(),
        _ => (0..3usize).prop_map(|at| Cell::Text(ADDRESSES[at].into())).boxed(),
    }
}

pub fn row() -> impl Strategy<Value = PlainRow> {
    let stored: Vec<ColumnId> = COLUMNS.into_iter().filter(|column| *column != id::END).collect();
    let cells: Vec<_> = stored
        .iter()
        .map(|column| {
            let value = value(column.column().kind);
            if [id::START, id::DURATION].contains(column) {
                return value.prop_map(Some).boxed();
            }
            proptest::option::weighted(0.7, value).boxed()
        })
        .collect();
    let others: Vec<_> = OTHERS
        .iter()
        .map(|name| proptest::option::weighted(0.3, other(name)))
        .collect();
    (cells, others).prop_map(move |(cells, others)| {
        let mut row = PlainRow::default();
        for (column, cell) in stored.iter().zip(cells) {
            row.cells.extend(cell.map(|cell| (*column, cell)));
        }
        let (Cell::Signed(start), Cell::Signed(duration)) = (&row.cells[&id::START], &row.cells[&id::DURATION]) else {
            unreachable!()
        };
        row.cells.insert(id::END, Cell::Signed(start + duration));
        for (name, cell) in OTHERS.iter().zip(others) {
            row.other.extend(cell.map(|cell| (*name, cell)));
        }
        row
    })
}

/// Stores rows in several segments.
pub fn stored(rows: &[PlainRow], per_segment: usize) -> (TempDir, Arc<Snapshot>) {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        memory_octets: 4 << 20,
        ..StoreConfig::default()
    };
    let store = Store::open(dir.path(), config).unwrap();
    let mut writer = store.writer().unwrap();
    for chunk in rows.chunks(per_segment.max(1)) {
        for plain in chunk {
            let mut row = Row::new();
            for (column, cell) in plain.cells.iter().filter(|(column, _)| **column != id::END) {
                row.set(*column, cell);
            }
            for (name, cell) in &plain.other {
                let value = match cell {
                    Cell::Number(value) => CellRef::Number(*value),
                    Cell::Text(text) => CellRef::Text(text),
                    other => panic!("{other:?}"),
                };
                row.add_other(&Arc::from(*name), value);
            }
            writer.add(T0, row).unwrap();
        }
        writer.commit(T0).unwrap();
    }
    writer.close(T0).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.rows(), rows.len() as u64);
    (dir, snapshot)
}

fn operator() -> impl Strategy<Value = Operator> {
    (0..Operator::ALL.len()).prop_map(|at| Operator::ALL[at].0)
}

fn literal(kind: ColumnKind) -> BoxedStrategy<Literal> {
    value(kind)
        .prop_map(move |cell| match cell {
            Cell::Number(value) => Literal::Number(value),
            Cell::Mac(value) => Literal::Mac(value),
            Cell::Signed(ns) if kind == ColumnKind::Time => Literal::Time(ns),
            Cell::Signed(ns) => Literal::Duration(ns),
            // No one writes these.
            Cell::Float(value) => Literal::Float(if value.is_finite() { value } else { 7.0 }),
            Cell::Ip(address) => Literal::Ip(address),
            Cell::Text(text) => Literal::Text(text.to_string()),
            Cell::Bool(value) => Literal::Bool(value),
        })
        .boxed()
}

fn net() -> impl Strategy<Value = Literal> {
    (0..ADDRESSES.len(), 0..=128u32).prop_map(|(at, length)| {
        let address = ip_to_u128(ADDRESSES[at].parse().unwrap());
        let host = u128::MAX.checked_shr(length).unwrap_or(0);
        Literal::Net(address & !host, address | host)
    })
}

fn compare(column: ColumnId) -> BoxedStrategy<Test> {
    let kind = column.column().kind;
    let subject = Subject::Column(column);
    let plain = {
        let subject = subject.clone();
        (operator(), literal(kind)).prop_map(move |(operator, literal)| {
            // Booleans have no order.
            let operator = if kind == ColumnKind::Bool {
                Operator::Equal
            } else {
                operator
            };
            Test::Compare(subject.clone(), operator, literal)
        })
    };
    if kind != ColumnKind::Ip {
        return plain.boxed();
    }
    let equal = prop_oneof![Just(Operator::Equal), Just(Operator::NotEqual)];
    let nets = (equal, net()).prop_map(move |(operator, net)| Test::Compare(subject.clone(), operator, net));
    prop_oneof![plain, nets].boxed()
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![
        prop_oneof![
            Just("*.example.com"),
            Just("example"),
            Just("?xample.*"),
            Just("\"b"),
            Just("ORG"),
            Just("")
        ]
        .prop_map(|text| Pattern::words(text).unwrap()),
        prop_oneof![
            Just("^www"),
            Just("a/b|\\.org$"),
            Just("(?i)example\\.com$"),
            Just("[^\\x00-\\x7f]")
        ]
        .prop_map(|text| Pattern::regex(text).unwrap()),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let column = || (0..COLUMNS.len()).prop_map(|at| COLUMNS[at]);
    let texts = prop_oneof![Just(id::DNS_QNAME), Just(id::HTTP_PATH), Just(id::TLS_SNI)];
    let flags = (0..32u64).prop_map(|mask| Test::Flags(Subject::Column(id::TCP_FLAGS), mask));
    let pairs = [
        (id::SRC_IP, id::DST_IP),
        (id::SRC_PORT, id::DST_PORT),
        (id::DNS_QNAME, id::TLS_SNI),
        (id::DURATION, id::DNS_LATENCY),
        (id::START, id::END),
        (id::OCTETS, id::TCP_NON_IDLE_BPS),
    ];
    let columns = (0..pairs.len(), operator()).prop_map(move |(at, operator)| {
        Test::Columns(Subject::Column(pairs[at].0), operator, Subject::Column(pairs[at].1))
    });
    let others = prop_oneof![
        (operator(), 0..5u64).prop_map(|(operator, value)| {
            Test::Compare(
                Subject::Other("ciscoFirewallEvent".into()),
                operator,
                Literal::Number(value),
            )
        }),
        (operator(), prop_oneof![Just("00ff"), Just("0011")]).prop_map(|(operator, hex)| {
            Test::Compare(Subject::Other("32473.77".into()), operator, Literal::Text(hex.into()))
        }),
        proptest::collection::vec(net(), 1..3)
            .prop_map(|nets| Test::In(Subject::Other("ipNextHopIPv4Address".into()), nets)),
        Just(Test::Exists(Subject::Other("32473.77".into()))),
    ];
    let set = column().prop_flat_map(|column| {
        let kind = column.column().kind;
        let values = if kind == ColumnKind::Ip {
            prop_oneof![literal(kind), net()].boxed()
        } else {
            literal(kind)
        };
        proptest::collection::vec(values, 1..5).prop_map(move |values| Test::In(Subject::Column(column), values))
    });
    prop_oneof![
        4 => column().prop_flat_map(compare),
        2 => set,
        1 => column().prop_map(|column| Test::Exists(Subject::Column(column))),
        1 => (texts, pattern()).prop_map(|(column, pattern)| Test::Matches(Subject::Column(column), pattern)),
        1 => flags,
        1 => columns,
        1 => others,
        1 => pattern().prop_map(Test::Word),
    ]
}

fn node(kind: NodeKind) -> Node {
    Node {
        kind,
        span: Span::default(),
    }
}

pub fn filter() -> impl Strategy<Value = Node> {
    let leaf = test().prop_map(|test| node(NodeKind::Test(test)));
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| node(NodeKind::And(parts))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| node(NodeKind::Or(parts))),
            inner.prop_map(|inner| node(NodeKind::Not(Box::new(inner)))),
        ]
    })
}
