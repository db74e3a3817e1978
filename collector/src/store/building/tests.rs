//! Segments written here beside segments of the same rows written by tantivy: columns, values, terms and rows of terms.

use std::net::Ipv6Addr;

use proptest::prelude::*;
use tantivy::columnar::{Column as Codes, DynamicColumn};
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, Index, SegmentReader, SingleSegmentIndexWriter, TERMINATED};

use super::*;
use crate::normalize::columns::{column, id};
use crate::normalize::row::{Cell, OtherCells, RowCells};

/// A value of a row as tantivy reads it: a cell, or all other elements as one object.
#[derive(Clone, Debug)]
enum RowValue<'a> {
    Cell(CellRef<'a>),
    Other(&'a Row),
}

impl<'a> Value<'a> for RowValue<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = OtherValues<'a>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        match self {
            Self::Other(row) => ReferenceValue::Object(OtherValues(row.other())),
            Self::Cell(cell) => ReferenceValue::Leaf(match *cell {
                CellRef::Number(value) => ReferenceValueLeaf::U64(value),
                CellRef::Signed(value) => ReferenceValueLeaf::I64(value),
                CellRef::Float(value) => ReferenceValueLeaf::F64(value),
                CellRef::Ip(value) => ReferenceValueLeaf::IpAddr(Ipv6Addr::from_bits(value)),
                CellRef::Text(text) => ReferenceValueLeaf::Str(text),
                CellRef::Bool(value) => ReferenceValueLeaf::Bool(value),
            }),
        }
    }
}

#[derive(Debug)]
struct OtherValues<'a>(OtherCells<'a>);

impl<'a> Iterator for OtherValues<'a> {
    type Item = (&'a str, RowValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, cell) = self.0.next()?;
        Some((name, RowValue::Cell(cell)))
    }
}

#[derive(Debug)]
struct FieldValues<'a> {
    cells: RowCells<'a>,
    other: Option<&'a Row>,
}

impl<'a> Iterator for FieldValues<'a> {
    type Item = (Field, RowValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        for (column, cell) in self.cells.by_ref() {
            if let Some(field) = SCHEMA.field(column) {
                return Some((field, RowValue::Cell(cell)));
            }
        }
        let other = SCHEMA.schema.get_field(OTHER).unwrap();
        self.other.take().map(|row| (other, RowValue::Other(row)))
    }
}

/// A row as a document of tantivy's.
#[derive(Debug)]
struct RowDocument(Row);

impl Document for RowDocument {
    type Value<'a> = RowValue<'a>;
    type FieldsValuesIter<'a> = FieldValues<'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        FieldValues {
            cells: self.0.cells(),
            other: self.0.has_other().then_some(&self.0),
        }
    }
}

fn by_tantivy(rows: &[Row]) -> (Index, RamDirectory) {
    let files = RamDirectory::create();
    let mut writer: SingleSegmentIndexWriter<RowDocument> = Index::builder()
        .schema(SCHEMA.schema.clone())
        .settings(settings())
        .single_segment_index_writer(files.clone(), 64 << 20)
        .unwrap();
    for row in rows {
        writer.add_document(RowDocument(copied(row))).unwrap();
    }
    (writer.finalize().unwrap(), files)
}

fn by_us(rows: &[Row]) -> (Index, RamDirectory) {
    let mut builder = SegmentBuilder::default();
    for row in rows {
        builder.add(row);
    }
    let files = RamDirectory::create();
    builder.finish(&files).unwrap();
    (Index::open(files.clone()).unwrap(), files)
}

fn copied(row: &Row) -> Row {
    let mut copy = Row::new();
    for (column, cell) in row.cells() {
        copy.set(column, &owned(cell));
    }
    for (name, cell) in row.other() {
        copy.add_other(name, cell);
    }
    copy
}

fn owned(cell: CellRef<'_>) -> Cell {
    match cell {
        CellRef::Number(value) => Cell::Number(value),
        CellRef::Signed(value) => Cell::Signed(value),
        CellRef::Float(value) => Cell::Float(value),
        CellRef::Ip(value) => Cell::Ip(value),
        CellRef::Text(text) => Cell::Text(text.into()),
        CellRef::Bool(value) => Cell::Bool(value),
    }
}

fn reader_of(index: &Index) -> SegmentReader {
    let segments = index.searchable_segments().unwrap();
    assert_eq!(segments.len(), 1);
    SegmentReader::open(&segments[0]).unwrap()
}

/// Every value of every column that has any: its name and kind, row and value.
fn values_of(reader: &SegmentReader) -> Vec<(String, u32, String)> {
    let mut all = Vec::new();
    let names = COLUMNS.iter().map(|column| column.name.to_owned());
    let others = OTHERS
        .iter()
        .map(|name| format!("{OTHER}.{}", name.replace('.', "\\.")));
    let handles = names.chain(others).flat_map(|name| {
        let handles = reader.fast_fields().dynamic_column_handles(&name).unwrap();
        handles.into_iter().map(move |handle| (name.clone(), handle))
    });
    for (name, handle) in handles {
        let kind = handle.column_type();
        let name = format!("{name} {kind:?}");
        fn each<T: Copy + PartialOrd + std::fmt::Debug + Send + Sync + 'static>(
            column: &Codes<T>,
            rows: u32,
            say: impl Fn(T) -> String,
        ) -> Vec<(u32, String)> {
            let of = |row| {
                column
                    .values_for_doc(row)
                    .map(|value| (row, say(value)))
                    .collect::<Vec<_>>()
            };
            (0..rows).flat_map(of).collect()
        }
        let rows = reader.max_doc();
        let values = match handle.open().unwrap() {
            DynamicColumn::U64(column) => each(&column, rows, |value| value.to_string()),
            DynamicColumn::I64(column) => each(&column, rows, |value| value.to_string()),
            DynamicColumn::F64(column) => each(&column, rows, |value| format!("{:x}", value.to_bits())),
            DynamicColumn::Bool(column) => each(&column, rows, |value| value.to_string()),
            DynamicColumn::IpAddr(column) => each(&column, rows, |value| value.to_string()),
            DynamicColumn::Str(column) => each(column.ords(), rows, |ord| {
                let mut text = String::new();
                assert!(column.ord_to_str(ord, &mut text).unwrap());
                format!("{ord} {text}")
            }),
            other => panic!("{name} is a {other:?}"),
        };
        all.extend(values.into_iter().map(|(row, value)| (name.clone(), row, value)));
    }
    all
}

/// Every term of every index with its rows.
fn terms_of(reader: &SegmentReader) -> Vec<(String, Vec<u8>, Vec<u32>)> {
    let mut all = Vec::new();
    for (field, entry) in reader.schema().fields().filter(|(_, entry)| entry.is_indexed()) {
        let index = reader.inverted_index(field).unwrap();
        let mut stream = index.terms().stream().unwrap();
        while stream.advance() {
            let info = stream.value();
            let mut postings = index
                .read_postings_from_terminfo(info, IndexRecordOption::Basic)
                .unwrap();
            let mut rows = Vec::new();
            let mut row = postings.doc();
            while row != TERMINATED {
                rows.push(row);
                row = postings.advance();
            }
            assert_eq!(info.doc_freq as usize, rows.len());
            all.push((entry.name().to_owned(), stream.key().to_vec(), rows));
        }
    }
    all
}

fn octets_of(index: &Index, files: &RamDirectory) -> usize {
    let id = index.searchable_segments().unwrap()[0].id().uuid_string();
    let names = ["fast", "term", "idx", "pos", "fieldnorm", "store"];
    let read = |name| files.open_read(Path::new(&format!("{id}.{name}"))).unwrap();
    names.map(|name| read(name).read_bytes().unwrap().len()).iter().sum()
}

fn same(rows: &[Row]) {
    let ((theirs, _), (ours, _)) = (by_tantivy(rows), by_us(rows));
    assert!(ours.validate_checksum().unwrap().is_empty());
    let (theirs, ours) = (reader_of(&theirs), reader_of(&ours));
    assert_eq!(ours.max_doc(), rows.len() as u32);
    assert_eq!(values_of(&ours), values_of(&theirs));
    assert_eq!(terms_of(&ours), terms_of(&theirs));
}

fn cell(kind: ColumnKind) -> BoxedStrategy<Cell> {
    match kind {
        ColumnKind::Ip => prop_oneof![
            (0u128..8).prop_map(|low| Cell::Ip(0xffff_0a00_0000 + low * 7)),
            prop_oneof![Just(0), Just(u128::MAX), any::<u128>()].prop_map(Cell::Ip),
        ]
        .boxed(),
        ColumnKind::Text => prop_oneof!["[ab]{0,3}", "\\PC{0,12}"]
            .prop_map(|text| Cell::Text(text.into()))
            .boxed(),
        ColumnKind::Number => prop_oneof![0u64..300, any::<u64>()].prop_map(Cell::Number).boxed(),
        ColumnKind::Mac => (0u64..1 << 48).prop_map(Cell::Mac).boxed(),
        ColumnKind::Time | ColumnKind::Duration => prop_oneof![-5i64..300, any::<i64>()].prop_map(Cell::Signed).boxed(),
        ColumnKind::Float => any::<f64>().prop_map(Cell::Float).boxed(),
        ColumnKind::Bool => any::<bool>().prop_map(Cell::Bool).boxed(),
    }
}

/// Names of elements no column takes.
const OTHERS: [&str; 4] = ["vendor.a", "b", "c d", "z"];

/// Columns of every kind, with an index and without.
const NAMES: [&str; 12] = [
    "start", "duration", "src.ip", "dst.ip", "exporter", "src.port", "octets", "tls.sni", "app.name", "dst.name",
    "src.mac", "proto",
];

fn row() -> impl Strategy<Value = Row> {
    let ids = || NAMES.iter().filter_map(|name| column(name));
    let cells: Vec<_> = ids()
        .map(|id| proptest::option::weighted(0.7, cell(id.column().kind)))
        .collect();
    let other = proptest::collection::vec((0usize..4, cell(ColumnKind::Number), cell(ColumnKind::Text)), 0..3);
    (cells, other).prop_map(move |(cells, other)| {
        let mut row = Row::new();
        for (id, cell) in ids().zip(cells) {
            if let Some(cell) = cell {
                row.set(id, &cell);
            }
        }
        for (at, number, text) in other {
            let name = OTHERS[at].into();
            match (at, &number, &text) {
                (0, Cell::Number(value), _) => row.add_other(&name, CellRef::Number(*value >> 1)),
                (1, Cell::Number(value), _) => row.add_other(&name, CellRef::Signed(-(*value as i64 >> 1))),
                (2, _, Cell::Text(text)) => row.add_other(&name, CellRef::Text(text)),
                (_, Cell::Number(value), _) => row.add_other(&name, CellRef::Bool(*value % 2 == 0)),
                _ => true,
            };
        }
        row
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn segments_are_what_tantivy_writes(rows in proptest::collection::vec(row(), 0..40)) {
        same(&rows);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// As many rows as several blocks of lists and of columns.
fn many() -> Vec<Row> {
    let mut random = Random(7);
    let of = |at: u64| {
        let mut row = Row::new();
        row.set_signed(id::START, 1_767_225_600_000_000_000 + at as i64 * 1_000_000);
        row.set_ip(id::SRC_IP, 0xffff_0a00_0000 + u128::from(random.below(5_000) * 3));
        row.set_ip(id::DST_IP, 0x2001_0db8 << 96 | u128::from(random.below(1 << 30)) << 30);
        row.set_number(id::SRC_PORT, random.below(65_536));
        row.set_number(
            id::DST_PORT,
            if random.below(3) > 0 { 443 } else { random.below(1_024) },
        );
        row.set_number(id::OCTETS, random.below(1 << 40));
        if random.below(2) == 0 {
            row.set_text(id::TLS_SNI, &format!("host-{}.example.com", random.below(900)));
        }
        row
    };
    (0..12_000).map(of).collect()
}

#[test]
fn large_segments_are_what_tantivy_writes_and_no_larger() {
    let rows = many();
    same(&rows);
    let ((theirs, their_files), (ours, our_files)) = (by_tantivy(&rows), by_us(&rows));
    let (theirs, ours) = (octets_of(&theirs, &their_files), octets_of(&ours, &our_files));
    assert!(ours <= theirs, "{ours} octets, tantivy's own {theirs}");
}

#[test]
fn segments_of_both_merge() {
    let rows = many();
    let (first, second) = rows.split_at(5_000);
    let merged =
        tantivy::indexer::merge_indices(&[by_us(first).0, by_tantivy(second).0], RamDirectory::create()).unwrap();
    let whole = by_tantivy(&rows).0;
    let (merged, whole) = (reader_of(&merged), reader_of(&whole));
    assert_eq!(values_of(&merged), values_of(&whole));
    assert_eq!(terms_of(&merged), terms_of(&whole));
}

#[test]
fn what_it_takes_is_what_its_rows_hold() {
    let rows = many();
    let mut builder = SegmentBuilder::default();
    assert_eq!(builder.octets(), 0);
    for row in &rows {
        builder.add(row);
    }
    // Seven columns: 8 octets of time, 6 of octets, ports and numbers of values of 4 at most, and the values themselves.
    let octets = builder.octets() / rows.len();
    assert!((20..120).contains(&octets), "{octets} octets a row");
}
