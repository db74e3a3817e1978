//! The column table as a tantivy schema.

use std::sync::LazyLock;

use tantivy::schema::{
    Field, IndexRecordOption, IpAddrOptions, JsonObjectOptions, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};

use crate::normalize::columns::{Column, ColumnId, ColumnKind, columns};

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
    builder.add_json_field(OTHER, JsonObjectOptions::default().set_fast("raw"));
    let schema = builder.build();
    let fingerprint = fingerprint(&schema);
    StoreSchema {
        schema,
        fingerprint,
        fields,
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
