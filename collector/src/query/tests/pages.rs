//! Pages that follow each other while rows arrive, in every order; time limits; completion.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use proptest::prelude::*;

use super::rows::{COLUMNS, PlainRow, S, T0, row, stored};
use crate::limits;
use crate::normalize::columns::id;
use crate::normalize::row::{Cell, Row};
use crate::query::aggregate::{AggregateRequest, aggregate};
use crate::query::{FlowsRequest, Limits, QueryError, complete, flow, flows};
use crate::store::{Snapshot, Store, StoreConfig};

fn all_pages(snapshot: &Snapshot, order: &str, limit: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = None;
    loop {
        let request = FlowsRequest {
            order: Some(order.into()),
            limit,
            cursor,
            ..FlowsRequest::default()
        };
        let table = flows(snapshot, &request).unwrap();
        assert!(table.rows.len() <= limit);
        ids.extend(table.rows.into_iter().map(|row| row.id));
        cursor = table.next;
        if cursor.is_none() {
            return ids;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pages_have_every_row_once_in_every_order(
        rows in proptest::collection::vec(row(), 1..60),
        limit in 1..20usize,
    ) {
        let (_dir, snapshot) = stored(&rows, 25);
        for column in COLUMNS {
            for sign in ["", "-"] {
                let order = format!("{sign}{}", column.column().name);
                let whole = all_pages(&snapshot, &order, 1_000);
                prop_assert_eq!(whole.len(), rows.len());
                prop_assert_eq!(&all_pages(&snapshot, &order, limit), &whole, "{}", order);
                let values: Vec<Option<&Cell>> = whole
                    .iter()
                    .map(|id| rows[usize::from_str_radix(id, 16).unwrap()].cells.get(&column))
                    .collect();
                let sorted = values.windows(2).all(|pair| match pair {
                    // NaN has a place, but not one that matters.
                    [Some(a), Some(b)] => super::super::order::compare_cells(a, b).is_none_or(|order| {
                        if sign.is_empty() { order.is_le() } else { order.is_ge() }
                    }),
                    [a, b] => a.is_some() || b.is_none(),
                    _ => unreachable!(),
                });
                prop_assert!(sorted, "{}", order);
            }
        }
    }
}

fn simple(at: i64) -> Row {
    let mut row = Row::new();
    row.set_signed(id::START, T0 + at);
    row.set_signed(id::DURATION, 0);
    row
}

#[test]
fn a_cursor_goes_on_where_it_was_while_rows_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(
        dir.path(),
        StoreConfig {
            memory_octets: 4 << 20,
            ..StoreConfig::default()
        },
    )
    .unwrap();
    let mut writer = store.writer().unwrap();
    let starts = |table: &crate::query::Table| -> Vec<i64> {
        table
            .rows
            .iter()
            .map(|row| match row.cells[0] {
                Some(Cell::Signed(ns)) => ns - T0,
                _ => panic!(),
            })
            .collect()
    };
    let mut request = FlowsRequest {
        limit: 4,
        ..FlowsRequest::default()
    };
    for at in 0..10 {
        writer.add(T0, simple(at)).unwrap();
        writer.commit(T0).unwrap();
    }
    let first = flows(&store.snapshot(), &request).unwrap();
    assert_eq!(starts(&first), vec![9, 8, 7, 6]);
    // Newer rows, one that belongs into the middle, and merges.
    for at in (10..50).chain([6, 3]) {
        writer.add(T0, simple(at)).unwrap();
        writer.commit(T0).unwrap();
    }
    writer.close(T0).unwrap();
    request.cursor = first.next;
    let second = flows(&store.snapshot(), &request).unwrap();
    // The later row with the same start stands before the cursor, as everything that came later does.
    assert_eq!(starts(&second), vec![5, 4, 3, 3]);
    let id = &second.rows[0].id;
    assert_eq!(starts(&flow(&store.snapshot(), id).unwrap()), vec![5]);
    assert_eq!(flow(&store.snapshot(), "ffffff").unwrap().rows.len(), 0);
    assert!(flow(&store.snapshot(), "nothing").is_err());
    for wrong in ["", "zz", "00", "ä", "7b7d"] {
        let request = FlowsRequest {
            cursor: Some(wrong.into()),
            ..FlowsRequest::default()
        };
        let error = flows(&store.snapshot(), &request).unwrap_err();
        assert!(
            matches!(
                error,
                QueryError::Request {
                    parameter: "cursor",
                    ..
                }
            ),
            "{wrong}: {error:?}"
        );
    }
    request.order = Some("octets".into());
    assert!(matches!(
        flows(&store.snapshot(), &request),
        Err(QueryError::Request {
            parameter: "cursor",
            ..
        })
    ));
    request.order = Some("octtets".into());
    let Err(QueryError::Request {
        parameter: "order",
        nearest,
        ..
    }) = flows(&store.snapshot(), &request)
    else {
        panic!()
    };
    assert_eq!(nearest.as_deref(), Some("octets"));
}

#[test]
fn fields_are_those_asked_for() {
    let mut plain = PlainRow::default();
    plain.cells.insert(id::START, Cell::Signed(T0));
    plain.cells.insert(id::DURATION, Cell::Signed(S));
    plain.cells.insert(id::END, Cell::Signed(T0 + S));
    plain.other.insert("32473.77", Cell::Text("00".into()));
    let (_dir, snapshot) = stored(&[plain], 1);
    let fields = ["32473.77", "end", "octets", "ciscoFirewallEvent"]
        .map(str::to_owned)
        .to_vec();
    let table = flows(
        &snapshot,
        &FlowsRequest {
            fields,
            ..FlowsRequest::default()
        },
    )
    .unwrap();
    let row = crate::query::row_to_json(&table.columns, &table.rows[0]);
    let json = serde_json::json!({"_id": "0", "end": "2026-01-01T00:00:01Z", "32473.77": "00"});
    assert_eq!(serde_json::Value::Object(row), json);
}

#[test]
fn a_query_ends_in_time_and_when_it_is_told_to() {
    let (_dir, snapshot) = stored(
        &[PlainRow {
            cells: simple_cells(),
            ..PlainRow::default()
        }],
        1,
    );
    let late = Limits {
        deadline: Some(Instant::now()),
        cancelled: None,
    };
    let error = flows(
        &snapshot,
        &FlowsRequest {
            limits: late.clone(),
            ..FlowsRequest::default()
        },
    )
    .unwrap_err();
    assert!(matches!(error, QueryError::Timeout { .. }), "{error:?}");
    let error = aggregate(
        &snapshot,
        &AggregateRequest {
            limits: late,
            ..AggregateRequest::default()
        },
    )
    .unwrap_err();
    assert!(matches!(error, QueryError::Timeout { .. }), "{error:?}");
    let gone = Limits {
        deadline: None,
        cancelled: Some(Arc::new(AtomicBool::new(true))),
    };
    let error = aggregate(
        &snapshot,
        &AggregateRequest {
            limits: gone,
            ..AggregateRequest::default()
        },
    )
    .unwrap_err();
    assert_eq!(error, QueryError::Cancelled);
}

fn simple_cells() -> std::collections::BTreeMap<crate::normalize::columns::ColumnId, Cell> {
    [(id::START, Cell::Signed(T0)), (id::DURATION, Cell::Signed(0))]
        .into_iter()
        .collect()
}

#[test]
fn completion_knows_what_can_come_next() {
    let mut plain = PlainRow {
        cells: simple_cells(),
        ..PlainRow::default()
    };
    plain.cells.insert(id::DNS_QNAME, Cell::Text("www.example.com".into()));
    plain
        .cells
        .insert(id::SRC_IP, Cell::Ip(crate::normalize::row::ipv4_to_u128([10, 1, 2, 3])));
    plain.cells.insert(id::DST_PORT, Cell::Number(53));
    plain.other.insert("ciscoFirewallEvent", Cell::Number(2));
    let (_dir, snapshot) = stored(&[plain], 1);
    let items = |text: &str| {
        let completion = complete(&snapshot, text, text.len());
        let items: Vec<_> = completion
            .items
            .into_iter()
            .map(|item| (item.text, item.kind))
            .collect();
        (completion.from, completion.to, items)
    };
    let has = |text: &str, item: &str, kind: &str| {
        let (_, _, items) = items(text);
        assert!(
            items.iter().any(|(text, found)| text == item && *found == kind),
            "{text} -> {item}: {items:?}"
        );
    };
    has("", "src.ip", "column");
    has("src", "src.ip", "column");
    has("src", "src", "keyword");
    has("not (po", "port", "keyword");
    has("cisco", "ciscoFirewallEvent", "column");
    has("qname", "dns.qname", "column");
    has("src.ip ", "in", "operator");
    has("dns.qname ", "~", "operator");
    has("dns.qname = ww", "www.example.com", "value");
    has("dns.qname = \"ww", "www.example.com", "value");
    has("src.ip = 10.1.", "10.1.2.3", "value");
    has("src.ip = 1", "10.1.2.3", "value");
    has("host ", "10.1.2.3", "value");
    has("dst.port in (80, 5", "53", "value");
    has("dns.rcode = nx", "NXDOMAIN", "value");
    has("proto = t", "tcp", "value");
    has("src.ip = 10.1.2.3 ", "and", "keyword");
    has("tcp ", "or", "keyword");
    has("src ", "port", "keyword");
    has("port in (53) ", "and", "keyword");
    let (from, to, _) = items("src.ip = 10.1");
    assert_eq!((from, to), (9, 13));
    let completion = complete(&snapshot, "src.xip = 1", 5);
    assert_eq!((completion.from, completion.to), (0, 7));
    for text in ["ää", "((((", "\"", "= = =", "src.ip in (", "a & b"] {
        for at in 0..=text.len() + 1 {
            complete(&snapshot, text, at);
        }
    }
}

/// Values come by what they begin with, whatever kind of column they are in, the commonest first.
#[test]
fn values_seen_are_offered_for_every_kind_of_column() {
    use crate::normalize::row::{ip_to_u128, ipv4_to_u128};
    let ip = |text: &str| Cell::Ip(ip_to_u128(text.parse().unwrap()));
    let rows: Vec<PlainRow> = (0..30_000u32)
        .map(|at| {
            let mut row = PlainRow {
                cells: simple_cells(),
                ..PlainRow::default()
            };
            // Many others before those that are looked for, in every order there is.
            let octets = (at % 9_000).to_be_bytes();
            row.cells
                .insert(id::SRC_IP, Cell::Ip(ipv4_to_u128([1, octets[1], octets[2], octets[3]])));
            row.cells.insert(id::DST_PORT, Cell::Number(u64::from(at % 20_000)));
            row.cells
                .insert(id::DNS_QNAME, Cell::Text(format!("a{at}.example").into()));
            if at % 10 == 0 {
                row.cells.insert(id::SRC_IP, ip("192.0.2.7"));
                row.cells.insert(id::DST_IP, ip("2001:db8::53"));
                row.cells.insert(id::EXPORTER_IP, ip("198.51.100.20"));
                row.cells.insert(id::EXPORTER_NAME, Cell::Text("edge-1".into()));
                row.cells
                    .insert(id::IN_IF_NAME, Cell::Text("GigabitEthernet0/1".into()));
                row.cells.insert(id::IN_IF, Cell::Number(436_207_616));
                row.cells.insert(id::APP_NAME, Cell::Text("https".into()));
                row.cells.insert(id::SRC_COUNTRY, Cell::Text("NO".into()));
                row.cells.insert(id::SRC_MAC, Cell::Mac(0x0000_5e00_5301));
                row.cells.insert(id::DST_PORT, Cell::Number(60_443));
                row.cells.insert(id::DNS_QNAME, Cell::Text("www.example".into()));
                row.other.insert("wlanSSID", Cell::Text("guests".into()));
                row.other.insert("applicationCategoryName", Cell::Text("voice".into()));
            }
            if at % 100 == 0 {
                row.cells.insert(id::EXPORTER_NAME, Cell::Text("edge-2".into()));
                row.cells.insert(id::APP_NAME, Cell::Text("http".into()));
            }
            row
        })
        .collect();
    let (_dir, snapshot) = stored(&rows, 20_000);
    let first = |text: &str| {
        let completion = complete(&snapshot, text, text.len());
        assert!(completion.items.len() <= limits::COMPLETIONS);
        let values = completion.items.into_iter().filter(|item| item.kind == "value");
        values.map(|item| (item.text, item.help)).next().unwrap_or_default()
    };
    for (text, value) in [
        ("src.ip = 19", "192.0.2.7"),
        ("src.ip = 192.0.", "192.0.2.7"),
        ("host 192", "192.0.2.7"),
        ("dst.ip = 2001:d", "\"2001:db8::53\""),
        ("dst.ip in (2001:db8::", "\"2001:db8::53\""),
        ("exporter.ip = 198.5", "198.51.100.20"),
        ("exporter.ip = ", "198.51.100.20"),
        ("exporter.name = ed", "edge-1"),
        ("in.if.name = gig", "\"GigabitEthernet0/1\""),
        ("in.if = 43", "436207616"),
        ("app.name = ht", "https"),
        ("src.country = n", "NO"),
        ("src.mac = 00:00:5e", "00:00:5e:00:53:01"),
        ("dst.port = 604", "60443"),
        ("dns.qname = ", "www.example"),
        ("wlanSSID = g", "guests"),
        ("applicationCategoryName = ", "voice"),
    ] {
        let (found, help) = first(text);
        let plain = value.trim_matches('"');
        assert_eq!(found.trim_matches('"'), plain, "{text}: {help}");
        assert!(help.contains(" of the newest rows"), "{text}: {help}");
    }
    // One among thousands that begin alike.
    assert_eq!(first("dns.qname = a29995").0, "a29995.example");
    // Numbers that hardly ever come again are not offered.
    assert_eq!(first("octets = ").0, "");
}

#[test]
fn fields_are_given_once_and_not_without_end() {
    let mut row = PlainRow::default();
    row.cells.insert(id::START, Cell::Signed(T0));
    row.other.insert("ciscoFirewallEvent", Cell::Number(2));
    let (_dir, snapshot) = stored(&[row], 1);
    let request = |fields: Vec<String>| FlowsRequest {
        fields,
        ..FlowsRequest::default()
    };
    let names = [
        "ciscoFirewallEvent",
        "start",
        "ciscofirewallevent",
        " ciscoFirewallEvent",
        "start",
    ];
    let names = names.repeat(100).into_iter().map(str::to_owned).collect();
    let table = flows(&snapshot, &request(names)).unwrap();
    assert_eq!(table.columns.len(), 1);
    assert_eq!(table.named, ["ciscoFirewallEvent"]);
    assert_eq!(
        table.rows[0].other,
        [("ciscoFirewallEvent".to_owned(), Cell::Signed(2))]
    );
    // Any element has a name like this.
    let many = |count: usize| (1..=count).map(|at| format!("32473.{at}")).collect::<Vec<_>>();
    assert!(flows(&snapshot, &request(many(64))).is_ok());
    assert!(matches!(
        flows(&snapshot, &request(many(65))),
        Err(QueryError::Request {
            parameter: "fields",
            ..
        })
    ));
}

#[test]
fn answers_say_that_a_damaged_segment_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), StoreConfig::default()).unwrap();
    let mut writer = store.writer().unwrap();
    for at in 0..3 {
        writer.add(T0, simple(at * S)).unwrap();
        writer.commit(T0).unwrap();
    }
    writer.close(T0).unwrap();
    let path = store.snapshot().segments()[1].path().to_owned();
    drop(store);
    for file in std::fs::read_dir(path).unwrap() {
        std::fs::write(file.unwrap().path(), "not what it was").unwrap();
    }
    let store = Store::open_read_only(dir.path()).unwrap();
    let snapshot = store.snapshot();
    let told = Some("one segment of the store is damaged and left out: flows are missing");
    for request in [
        AggregateRequest::default(),
        AggregateRequest {
            group_by: vec!["src.ip".into()],
            interval: Some(crate::query::aggregate::Interval::Ns(S)),
            ..AggregateRequest::default()
        },
    ] {
        let stats = aggregate(&snapshot, &request).unwrap().stats;
        assert_eq!((stats.segments_left_out, stats.hint.as_deref()), (1, told));
        assert_eq!((stats.segments, stats.rows_matched), (2, 2));
    }
    let table = flows(&snapshot, &FlowsRequest::default()).unwrap();
    assert_eq!((table.rows.len(), table.stats.segments_left_out), (2, 1));
    assert_eq!(table.stats.hint.as_deref(), told);
    let file = crate::query::download(Arc::clone(&snapshot), FlowsRequest::default()).unwrap();
    assert_eq!((file.rows(), file.segments_left_out()), (2, 1));
    // Who asks about another time misses nothing.
    let request = FlowsRequest {
        to_ns: Some(T0 + S / 2),
        ..FlowsRequest::default()
    };
    let stats = flows(&snapshot, &request).unwrap().stats;
    assert_eq!((stats.segments_left_out, stats.hint), (0, None));
}
