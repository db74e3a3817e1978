//! A template that has been accepted: its fields with names and types, and the plan to cut records with.

use std::sync::Arc;

use flowgauge_ie_registry::{DataType, Registry, Semantics};

use super::record::Records;
use super::value::ValueReader;
use super::wire::{FieldSpecifier, TemplateRecord};

/// One field of an accepted template.
#[derive(Clone, Debug)]
pub struct Field {
    /// As announced.
    pub specifier: FieldSpecifier,
    /// The element's type; octets where no registry knows the element.
    pub data_type: DataType,
    /// How its values are read.
    pub reader: ValueReader,
    /// The element's semantics.
    pub semantics: Semantics,
    /// The element's name; `PEN.ID` where no registry knows the element.
    pub name: Arc<str>,
    /// Whether a registry knew the element.
    pub known: bool,
}

/// How records of a template are cut into fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// Every record has the same length: where each field starts, and at the end the length of the record.
    Fixed(Box<[u32]>),
    /// At least one field brings its own length.
    Variable,
}

/// An accepted template. Made once, shared by all who decode with it, never changed.
#[derive(Clone, Debug)]
pub struct Template {
    id: u16,
    scope_field_count: u16,
    fields: Box<[Field]>,
    layout: Layout,
    min_length: usize,
}

impl Template {
    /// Looks up each field's element and lays out the plan.
    ///
    /// `fields` must take at least one octet together, which [`super::TemplateRecords`] makes sure of.
    #[must_use]
    pub fn compile(id: u16, scope_field_count: u16, fields: &[FieldSpecifier], registry: &Registry) -> Self {
        let min_length = fields.iter().map(FieldSpecifier::min_octets).sum();
        let layout = if fields.iter().any(FieldSpecifier::is_variable) {
            Layout::Variable
        } else {
            let ends = fields.iter().scan(0u32, |end, field| {
                *end += u32::from(field.length);
                Some(*end)
            });
            Layout::Fixed(std::iter::once(0).chain(ends).collect())
        };
        let fields = fields
            .iter()
            .map(|specifier| compile_field(*specifier, registry))
            .collect();
        Self {
            id,
            scope_field_count,
            fields,
            layout,
            min_length,
        }
    }

    /// The identifier that Data Sets name.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.id
    }

    /// How many of the first fields say what the record is about; 0 for a template of flow records.
    #[must_use]
    pub fn scope_field_count(&self) -> u16 {
        self.scope_field_count
    }

    /// Whether its records are options rather than flows.
    #[must_use]
    pub fn is_options(&self) -> bool {
        self.scope_field_count > 0
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Octets of the shortest possible record; at least 1.
    #[must_use]
    pub fn min_length(&self) -> usize {
        self.min_length
    }

    /// Octets of every record, when none of the fields brings its own length.
    #[must_use]
    pub fn fixed_length(&self) -> Option<usize> {
        matches!(self.layout, Layout::Fixed(_)).then_some(self.min_length)
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The records in the body of a Data Set. Allocates nothing.
    #[must_use]
    pub fn records<'t, 'a>(&'t self, body: &'a [u8]) -> Records<'t, 'a> {
        Records::new(self, body)
    }

    /// Whether it says the same as an announcement.
    #[must_use]
    pub fn is_same(&self, scope_field_count: u16, fields: &[FieldSpecifier]) -> bool {
        self.scope_field_count == scope_field_count
            && self.fields.len() == fields.len()
            && self
                .fields
                .iter()
                .zip(fields)
                .all(|(field, specifier)| field.specifier == *specifier)
    }

    /// The announcement that it was made from.
    #[must_use]
    pub fn to_record(&self) -> TemplateRecord {
        TemplateRecord::Announced {
            id: self.id,
            scope_field_count: self.scope_field_count,
            fields: self.fields.iter().map(|field| field.specifier).collect(),
        }
    }
}

fn compile_field(specifier: FieldSpecifier, registry: &Registry) -> Field {
    match registry.element(specifier.element) {
        Some(element) => Field {
            specifier,
            data_type: element.data_type,
            reader: ValueReader::of(element.data_type, specifier.length),
            semantics: element.semantics,
            name: Arc::from(element.name.as_ref()),
            known: true,
        },
        None => Field {
            specifier,
            data_type: DataType::OctetArray,
            reader: ValueReader::Any(DataType::OctetArray),
            semantics: Semantics::Default,
            name: Arc::from(specifier.element.to_string()),
            known: false,
        },
    }
}
