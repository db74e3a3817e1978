//! Template Records and Field Specifiers as they lie on the wire (RFC 7011 sections 3.2 and 3.4).

use flowgauge_ie_registry::ElementId;

use super::{ENTERPRISE_BIT, MIN_TEMPLATE_ID, VARIABLE_LENGTH};
use crate::bytes::Reader;
use crate::error::{DecodeError, DecodeErrorKind, Layer};
use crate::limits::MAX_FIELDS;

/// Which element a field holds, and in how many octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "(u32, u16, u16)", into = "(u32, u16, u16)")]
pub struct FieldSpecifier {
    /// The element.
    pub element: ElementId,
    /// Octets of each value; [`VARIABLE_LENGTH`] when each value says its own.
    pub length: u16,
}

impl From<(u32, u16, u16)> for FieldSpecifier {
    fn from((pen, id, length): (u32, u16, u16)) -> Self {
        Self {
            element: ElementId::new(pen, id),
            length,
        }
    }
}

impl From<FieldSpecifier> for (u32, u16, u16) {
    fn from(field: FieldSpecifier) -> Self {
        (field.element.pen, field.element.id, field.length)
    }
}

impl FieldSpecifier {
    /// A field of `length` octets.
    #[must_use]
    pub const fn new(element: ElementId, length: u16) -> Self {
        Self { element, length }
    }

    /// A field whose values bring their own length.
    #[must_use]
    pub const fn variable(element: ElementId) -> Self {
        Self {
            element,
            length: VARIABLE_LENGTH,
        }
    }

    /// Whether values bring their own length.
    #[must_use]
    pub const fn is_variable(&self) -> bool {
        self.length == VARIABLE_LENGTH
    }

    /// Octets that a value takes at least, its length included.
    #[must_use]
    pub const fn min_octets(&self) -> usize {
        if self.is_variable() { 1 } else { self.length as usize }
    }

    /// Reads one: 4 octets, or 8 with an enterprise number.
    ///
    /// # Errors
    /// `Truncated`.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let id = reader.u16()?;
        let length = reader.u16()?;
        let pen = if id & ENTERPRISE_BIT == 0 { 0 } else { reader.u32()? };
        Ok(Self {
            element: ElementId::new(pen, id & !ENTERPRISE_BIT),
            length,
        })
    }

    /// Appends the 4 or 8 octets.
    pub fn write(&self, out: &mut Vec<u8>) {
        let enterprise = self.element.pen != 0;
        let id = if enterprise {
            self.element.id | ENTERPRISE_BIT
        } else {
            self.element.id
        };
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&self.length.to_be_bytes());
        if enterprise {
            out.extend_from_slice(&self.element.pen.to_be_bytes());
        }
    }
}

/// What a Template Set or an Options Template Set says about one identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateRecord {
    /// A template.
    Announced {
        /// 256 to 65535.
        id: u16,
        /// How many of the first fields are scope; 0 in Template Sets, at least 1 in Options Template Sets.
        scope_field_count: u16,
        /// The fields in order.
        fields: Vec<FieldSpecifier>,
    },
    /// The template of this identifier ends (RFC 7011 section 8.1); the Set's own identifier means all of its kind.
    Withdrawn {
        /// 256 to 65535, or 2 or 3.
        id: u16,
    },
}

impl TemplateRecord {
    /// Appends the record as it goes on the wire. Counts beyond 65535 cannot be said and are cut there.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Withdrawn { id } => {
                out.extend_from_slice(&id.to_be_bytes());
                out.extend_from_slice(&0u16.to_be_bytes());
            }
            Self::Announced {
                id,
                scope_field_count,
                fields,
            } => {
                let count = u16::try_from(fields.len()).unwrap_or(u16::MAX);
                out.extend_from_slice(&id.to_be_bytes());
                out.extend_from_slice(&count.to_be_bytes());
                if *scope_field_count > 0 {
                    out.extend_from_slice(&scope_field_count.to_be_bytes());
                }
                fields
                    .iter()
                    .take(usize::from(count))
                    .for_each(|field| field.write(out));
            }
        }
    }
}

/// Iterator over the records of a Template Set or an Options Template Set.
///
/// A template that breaks a rule is one error, and the walk goes on behind it; only a cut record ends it.
#[derive(Clone, Debug)]
pub struct TemplateRecords<'a> {
    reader: Reader<'a>,
    options: bool,
}

impl<'a> TemplateRecords<'a> {
    /// Walks the body of a Set; `offset` is where it lies in the Message.
    #[must_use]
    pub fn new(body: &'a [u8], offset: usize, options: bool) -> Self {
        Self {
            reader: Reader::new(body, Layer::Template, offset),
            options,
        }
    }

    fn read(&mut self) -> Result<Result<TemplateRecord, DecodeError>, DecodeError> {
        let at = self.reader.clone();
        let id = self.reader.u16()?;
        let field_count = self.reader.u16()?;
        if field_count == 0 {
            return Ok(Ok(TemplateRecord::Withdrawn { id }));
        }
        let scope_field_count = if self.options { self.reader.u16()? } else { 0 };
        let count = usize::from(field_count);
        // Cut templates are told before anything is allocated for them.
        if self.reader.remaining() < count * 4 {
            return Err(at.fault(DecodeErrorKind::Truncated, count * 4, self.reader.remaining()));
        }
        let mut fields = Vec::with_capacity(count.min(MAX_FIELDS));
        for _ in 0..count {
            let field = FieldSpecifier::read(&mut self.reader)?;
            if fields.len() < MAX_FIELDS {
                fields.push(field);
            }
        }
        let fault = |kind, needed, available| Ok(Err(at.fault(kind, needed, available)));
        if id < MIN_TEMPLATE_ID {
            return fault(
                DecodeErrorKind::TemplateId,
                usize::from(MIN_TEMPLATE_ID),
                usize::from(id),
            );
        }
        if count > MAX_FIELDS {
            return fault(DecodeErrorKind::TooManyFields, MAX_FIELDS, count);
        }
        if self.options && (scope_field_count == 0 || scope_field_count > field_count) {
            return fault(DecodeErrorKind::ScopeCount, 1, usize::from(scope_field_count));
        }
        if fields.iter().map(FieldSpecifier::min_octets).sum::<usize>() == 0 {
            return fault(DecodeErrorKind::EmptyTemplate, 1, 0);
        }
        Ok(Ok(TemplateRecord::Announced {
            id,
            scope_field_count,
            fields,
        }))
    }
}

impl Iterator for TemplateRecords<'_> {
    type Item = Result<TemplateRecord, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Less than a record header is padding (RFC 7011 section 3.3.1), and so are zeros: no template has identifier 0.
        if self.reader.remaining() < 4 || self.reader.rest().iter().all(|octet| *octet == 0) {
            return None;
        }
        match self.read() {
            Ok(record) => Some(record),
            Err(cut) => {
                self.reader = Reader::new(&[], Layer::Template, self.reader.offset());
                Some(Err(cut))
            }
        }
    }
}
