//! Templates in a form to keep: what a collector writes down so that a restart costs no record of a device that
//! repeats its templates once in half an hour.

use crate::error::DecodeErrorKind;
use crate::ipfix::{FieldSpecifier, MIN_TEMPLATE_ID, Template};
use crate::limits::MAX_FIELDS;

/// The templates of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedTemplates {
    /// By domain and identifier.
    pub templates: Vec<SavedTemplate>,
}

/// One template.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedTemplate {
    /// Observation Domain ID.
    pub domain: u32,
    /// Template identifier.
    pub id: u16,
    /// How many of the fields are scope.
    #[serde(default)]
    pub scope_field_count: u16,
    /// When it was last announced, in nanoseconds since 1970.
    pub announced_ns: i64,
    /// The fields in order, each as enterprise number, element number and length.
    pub fields: Vec<FieldSpecifier>,
}

impl SavedTemplate {
    pub(super) fn new(domain: u32, template: &Template, announced_ns: i64) -> Self {
        let fields = template.fields().iter().map(|field| field.specifier).collect();
        let (id, scope_field_count) = (template.id(), template.scope_field_count());
        Self {
            domain,
            id,
            scope_field_count,
            announced_ns,
            fields,
        }
    }

    /// The same rules as on the wire: files are edited and damaged too.
    pub(super) fn checked(&self) -> Result<(u16, u16, &[FieldSpecifier]), DecodeErrorKind> {
        if self.id < MIN_TEMPLATE_ID {
            return Err(DecodeErrorKind::TemplateId);
        }
        if self.fields.len() > MAX_FIELDS {
            return Err(DecodeErrorKind::TooManyFields);
        }
        if usize::from(self.scope_field_count) > self.fields.len() {
            return Err(DecodeErrorKind::ScopeCount);
        }
        if self.fields.iter().map(FieldSpecifier::min_octets).sum::<usize>() == 0 {
            return Err(DecodeErrorKind::EmptyTemplate);
        }
        Ok((self.id, self.scope_field_count, &self.fields))
    }
}
