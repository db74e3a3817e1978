//! Forms of rows that have every kind of cell, and those that hurt.

use serde_json::{Value as Json, json};

use super::*;
use crate::normalize::row::{Cell, ipv4_to_u128};
use crate::query::row_to_json;
use crate::test_duckdb;

fn column(name: &str, kind: ColumnKind) -> TableColumn {
    TableColumn {
        name: name.to_owned(),
        kind,
        unit: "",
    }
}

fn text(text: &str) -> Cell {
    Cell::Text(text.into())
}

fn written(form: Form, table: &Table) -> Vec<u8> {
    write_table(form, table, None, Vec::new()).unwrap()
}

/// Texts that a form may take for something else.
const HOSTILE: [&str; 9] = [
    "a \"b\", c",
    "two\r\nlines",
    "=1+1",
    "@SUM(A1)",
    "-",
    " , ",
    "\"",
    "null",
    "über \u{0} 🦀",
];

/// Every kind of cell, each present and absent, and elements of all kinds.
fn table() -> Table {
    let columns = vec![
        column("start", ColumnKind::Time),
        column("duration", ColumnKind::Duration),
        column("src.ip", ColumnKind::Ip),
        column("src.port", ColumnKind::Number),
        column("proto", ColumnKind::Number),
        column("src.as", ColumnKind::Number),
        column("octets", ColumnKind::Number),
        column("dst.port", ColumnKind::Number),
        column("dns.qname", ColumnKind::Text),
        column("src.mac", ColumnKind::Mac),
        column("tcp.non_idle_bps", ColumnKind::Float),
        column("tcp.bufferbloat", ColumnKind::Bool),
        column("vlan", ColumnKind::Number),
    ];
    let full = |at: u64| {
        vec![
            Some(Cell::Signed(1_767_225_600_123_456_789 + at as i64)),
            Some(Cell::Signed(-5)),
            Some(Cell::Ip(ipv4_to_u128([192, 0, 2, at as u8]))),
            Some(Cell::Number(65_535)),
            Some(Cell::Number(255)),
            Some(Cell::Number(4_294_967_295)),
            Some(Cell::Number(u64::MAX)),
            // More than its element can say, as an exporter may.
            Some(Cell::Number(65_536)),
            HOSTILE.get(at as usize).map(|text| self::text(text)),
            Some(Cell::Mac(0x0000_5e00_5301)),
            Some(Cell::Float(0.1)),
            Some(Cell::Bool(at == 0)),
            None,
        ]
    };
    let other = |at: u64| match at {
        0 => vec![
            ("note".to_owned(), text("of one")),
            ("mixed".to_owned(), Cell::Number(7)),
            ("count".to_owned(), Cell::Number(300)),
        ],
        1 => vec![
            ("mixed".to_owned(), text("seven")),
            ("offset".to_owned(), Cell::Signed(-1)),
            ("peer".to_owned(), Cell::Ip(1)),
            // A name that is a column's is that column.
            ("vlan".to_owned(), Cell::Number(9)),
        ],
        _ => Vec::new(),
    };
    let rows = (0..10).map(|at| TableRow {
        id: format!("{at:x}"),
        cells: if at == 9 { vec![None; 13] } else { full(at) },
        other: other(at),
    });
    Table {
        columns,
        rows: rows.collect(),
        ..Table::default()
    }
}

fn lines(table: &Table) -> Vec<Json> {
    let rows = table.rows.iter().map(|row| row_to_json(&table.columns, row));
    rows.map(Json::Object).collect()
}

#[test]
fn csv_has_a_column_for_every_element_and_quotes_what_needs_it() {
    let table = Table {
        columns: vec![column("start", ColumnKind::Time), column("octets", ColumnKind::Number)],
        rows: vec![
            TableRow {
                id: "x".to_owned(),
                cells: vec![Some(Cell::Signed(0)), Some(Cell::Number(7))],
                other: vec![("note".to_owned(), text("a \"b\", c"))],
            },
            TableRow {
                id: "y".to_owned(),
                cells: vec![Some(Cell::Signed(1_500_000_000)), None],
                other: vec![("sum".to_owned(), text("=1+1"))],
            },
        ],
        named: vec!["absent".to_owned(), "note".to_owned()],
        ..Table::default()
    };
    assert_eq!(
        String::from_utf8(written(Form::Csv, &table)).unwrap(),
        "start,octets,absent,note,sum\r\n1970-01-01T00:00:00Z,7,,\"a \"\"b\"\", c\",\r\n\
         1970-01-01T00:00:01.5Z,,,,=1+1\r\n"
    );
}

#[test]
fn lines_hold_what_json_says() {
    let table = table();
    let text = String::from_utf8(written(Form::Ndjson, &table)).unwrap();
    let read: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, lines(&table));
}

#[test]
fn types_take_all_that_was_met_and_are_the_same_where_they_can() {
    let of = |name: &str, kind, cells: &[Cell]| {
        let mut facts = Facts::default();
        cells.iter().for_each(|cell| facts.add(Some(cell)));
        facts.typed(name, kind)
    };
    use facts::Typed;
    let whole = |bits, signed| Typed::Whole { bits, signed };
    let number = ColumnKind::Number;
    assert_eq!(of("src.port", number, &[]), whole(16, false));
    assert_eq!(of("src.port", number, &[Cell::Number(0)]), whole(16, false));
    assert_eq!(of("src.port", number, &[Cell::Number(65_536)]), whole(64, false));
    assert_eq!(of("proto", number, &[]), whole(8, false));
    assert_eq!(of("octets", number, &[Cell::Number(1)]), whole(64, false));
    assert_eq!(of("max(src.port)", number, &[Cell::Number(1)]), whole(64, false));
    assert_eq!(of("start", ColumnKind::Time, &[]), Typed::Time);
    assert_eq!(of("duration", ColumnKind::Duration, &[]), whole(64, true));
    // An average of durations may have a part.
    assert_eq!(
        of("avg(duration)", ColumnKind::Duration, &[Cell::Float(0.5)]),
        Typed::Float
    );
    assert_eq!(of("bps", ColumnKind::Float, &[Cell::Number(1)]), Typed::Float);
    assert_eq!(of("x", ColumnKind::Text, &[Cell::Number(1)]), whole(64, false));
    assert_eq!(
        of("x", ColumnKind::Text, &[Cell::Number(1), Cell::Signed(-1)]),
        whole(64, true)
    );
    assert_eq!(
        of("x", ColumnKind::Text, &[Cell::Number(u64::MAX), Cell::Signed(-1)]),
        Typed::Text
    );
    assert_eq!(
        of("x", ColumnKind::Text, &[Cell::Number(1), Cell::Bool(true)]),
        Typed::Text
    );
    assert_eq!(of("x", ColumnKind::Text, &[Cell::Bool(true)]), Typed::Bool);
}

#[test]
fn duckdb_reads_every_kind_of_cell() {
    let table = table();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.parquet");
    std::fs::write(&file, written(Form::Parquet, &table)).unwrap();
    let mut wanted = lines(&table);
    // The second row's vlan came from an element.
    wanted[1].as_object_mut().unwrap().remove("vlan");
    let Some(found) = test_duckdb::compared(&file, &wanted) else {
        return;
    };
    assert_eq!(found.cells, 10 + 9 * 12 + 6);
    let types = json!({
        "_id": "VARCHAR", "start": "TIMESTAMPTZ_NS", "duration_ns": "BIGINT", "src.ip": "VARCHAR",
        "src.port": "USMALLINT", "proto": "UTINYINT", "src.as": "UINTEGER", "octets": "UBIGINT", "dst.port": "UBIGINT",
        "dns.qname": "VARCHAR", "src.mac": "VARCHAR", "tcp.non_idle_bps": "DOUBLE", "tcp.bufferbloat": "BOOLEAN",
        "vlan": "USMALLINT", "count": "UBIGINT", "mixed": "VARCHAR", "note": "VARCHAR", "offset": "BIGINT", "peer": "VARCHAR",
    });
    assert_eq!(json!(found.types), types);
}

#[test]
fn groups_end_at_their_rows_and_at_their_octets() {
    let row = |at: usize, text: String| TableRow {
        id: String::new(),
        cells: vec![Some(Cell::Number(at as u64)), Some(Cell::Text(text.into()))],
        other: Vec::new(),
    };
    let columns = vec![
        column("octets", ColumnKind::Number),
        column("dns.qname", ColumnKind::Text),
    ];
    let rows = crate::limits::PARQUET_GROUP_ROWS + 1;
    let many = Table {
        columns: columns.clone(),
        rows: (0..rows).map(|at| row(at, String::new())).collect(),
        ..Table::default()
    };
    let long = crate::limits::TEXT_VALUE_OCTETS;
    let rows = crate::limits::PARQUET_GROUP_OCTETS / long + 1;
    let large = Table {
        columns,
        rows: (0..rows).map(|at| row(at, format!("{at:0long$}"))).collect(),
        ..Table::default()
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, table) in [("many", many), ("large", large)] {
        let file = folder.path().join(name);
        std::fs::write(&file, written(Form::Parquet, &table)).unwrap();
        let Some(found) = test_duckdb::compared(&file, &lines(&table)) else {
            return;
        };
        assert_eq!((found.groups, found.cells), (2, table.rows.len() * 2), "{name}");
    }
}

#[test]
fn a_writer_that_fails_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for form in [Form::Csv, Form::Ndjson, Form::Parquet] {
        let told = write_table(form, &table(), None, Full).err().unwrap();
        assert_eq!(told.kind(), io::ErrorKind::StorageFull, "{form:?}");
    }
}
