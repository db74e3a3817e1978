//! The column table as a tantivy schema, and [`Row`] as a tantivy document without anything in between.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};
use tantivy::schema::{
    Field, IndexRecordOption, IpAddrOptions, JsonObjectOptions, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};

use crate::normalize::columns::{Column, ColumnId, ColumnKind, columns};
use crate::normalize::row::{CellRef, OtherCells, Row, RowCells};

/// The JSON field that holds every element no column takes, by name.
pub const OTHER: &str = "other";

/// The schema and the field of every column, made once.
#[derive(Debug)]
pub struct StoreSchema {
    /// What tantivy needs.
    pub schema: Schema,
    /// A number that differs from that of other schemas.
    pub fingerprint: u64,
    fields: Vec<Option<Field>>,
    other: Field,
}

impl StoreSchema {
    /// The field of a column, `None` for computed ones.
    pub fn field(&self, column: ColumnId) -> Option<Field> {
        self.fields.get(usize::from(column.0)).copied().flatten()
    }
}

/// The schema of new segments.
pub static SCHEMA: LazyLock<StoreSchema> = LazyLock::new(|| {
    let mut builder = Schema::builder();
    let fields = columns()
        .map(|(_, column)| column.stored.then(|| add_field(&mut builder, column)))
        .collect();
    let other = builder.add_json_field(OTHER, JsonObjectOptions::default().set_fast("raw"));
    let schema = builder.build();
    let fingerprint = fingerprint(&schema);
    StoreSchema {
        schema,
        fingerprint,
        fields,
        other,
    }
});

/// FNV-1a of the schema as tantivy writes it: the same on every machine and with every compiler.
fn fingerprint(schema: &Schema) -> u64 {
    let text = serde_json::to_string(schema).unwrap_or_default();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3)
    })
}

fn add_field(builder: &mut tantivy::schema::SchemaBuilder, column: &Column) -> Field {
    let numeric = || {
        let options = NumericOptions::default().set_fast();
        if column.indexed { options.set_indexed() } else { options }
    };
    match column.kind {
        ColumnKind::Time | ColumnKind::Duration => builder.add_i64_field(column.name, numeric()),
        ColumnKind::Number | ColumnKind::Mac => builder.add_u64_field(column.name, numeric()),
        ColumnKind::Float => builder.add_f64_field(column.name, numeric()),
        ColumnKind::Bool => builder.add_bool_field(column.name, numeric()),
        ColumnKind::Ip => {
            let options = IpAddrOptions::default().set_fast();
            builder.add_ip_addr_field(
                column.name,
                if column.indexed { options.set_indexed() } else { options },
            )
        }
        ColumnKind::Text => {
            let options = TextOptions::default().set_fast("raw");
            let indexing = TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::Basic);
            builder.add_text_field(
                column.name,
                if column.indexed {
                    options.set_indexing_options(indexing)
                } else {
                    options
                },
            )
        }
    }
}

/// A value of a row as tantivy reads it: a cell, or all other elements as one object.
#[derive(Clone, Debug)]
pub enum RowValue<'a> {
    /// A cell of a column, or one other element.
    Cell(CellRef<'a>),
    /// Every other element.
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

/// Other elements with their names.
#[derive(Debug)]
pub struct OtherValues<'a>(OtherCells<'a>);

impl<'a> Iterator for OtherValues<'a> {
    type Item = (&'a str, RowValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, cell) = self.0.next()?;
        Some((name, RowValue::Cell(cell)))
    }
}

/// Fields of a row with their values.
#[derive(Debug)]
pub struct FieldValues<'a> {
    schema: &'static StoreSchema,
    cells: RowCells<'a>,
    other: Option<&'a Row>,
}

impl<'a> Iterator for FieldValues<'a> {
    type Item = (Field, RowValue<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        for (column, cell) in self.cells.by_ref() {
            if let Some(field) = self.schema.field(column) {
                return Some((field, RowValue::Cell(cell)));
            }
        }
        self.other.take().map(|row| (self.schema.other, RowValue::Other(row)))
    }
}

impl Document for Row {
    type Value<'a> = RowValue<'a>;
    type FieldsValuesIter<'a> = FieldValues<'a>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        FieldValues {
            schema: &SCHEMA,
            cells: self.cells(),
            other: self.has_other().then_some(self),
        }
    }
}
