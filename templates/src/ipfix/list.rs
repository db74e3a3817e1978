//! Structured data (RFC 6313): lists of values and of records within one field.
//!
//! A list is read from the value's octets each time it is asked for; what it needs of templates the caller brings.

use std::sync::Arc;

use super::record::Records;
use super::template::Template;
use super::wire::FieldSpecifier;
use crate::bytes::{Reader, split_variable};
use crate::error::{DecodeError, DecodeErrorKind, Layer};

/// The label of a list's semantic (RFC 6313 section 4.4, registry "IPFIX Structured Data Types Semantics").
#[must_use]
pub const fn semantic_label(semantic: u8) -> &'static str {
    match semantic {
        0 => "noneOf",
        1 => "exactlyOneOf",
        2 => "oneOrMoreOf",
        3 => "allOf",
        4 => "ordered",
        _ => "undefined",
    }
}

/// Values of one element.
#[derive(Clone, Debug)]
pub struct BasicList<'a> {
    /// How the values relate: see [`semantic_label`].
    pub semantic: u8,
    /// The element of every value.
    pub field: FieldSpecifier,
    content: &'a [u8],
}

impl<'a> BasicList<'a> {
    /// Reads the list's header.
    ///
    /// # Errors
    /// `ListCut` when there is less than the header.
    pub fn parse(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets, Layer::List, 0);
        let header = reader
            .u8()
            .and_then(|semantic| Ok((semantic, FieldSpecifier::read(&mut reader)?)));
        let (semantic, field) = header.map_err(cut)?;
        Ok(Self {
            semantic,
            field,
            content: reader.rest(),
        })
    }

    /// The octets of each value. A cut value is an error, and the last.
    pub fn values(&self) -> impl Iterator<Item = Result<&'a [u8], DecodeError>> + use<'a> {
        let (field, whole) = (self.field, self.content);
        let mut rest = whole;
        std::iter::from_fn(move || {
            // Values of no length have no number either.
            if rest.is_empty() || field.length == 0 {
                return None;
            }
            let split = if field.is_variable() {
                split_variable(rest).map(|(_, value, rest)| (value, rest))
            } else {
                rest.split_at_checked(usize::from(field.length))
            };
            let Some((value, behind)) = split else {
                let (offset, available) = (whole.len() - rest.len(), rest.len());
                rest = &[];
                let kind = DecodeErrorKind::ListCut;
                return Some(Err(DecodeError {
                    kind,
                    layer: Layer::List,
                    offset,
                    needed: available + 1,
                    available,
                }));
            };
            rest = behind;
            Some(Ok(value))
        })
    }
}

/// Records of one template.
#[derive(Clone, Debug)]
pub struct SubTemplateList<'a> {
    /// How the records relate: see [`semantic_label`].
    pub semantic: u8,
    /// The template of every record, of the same session and domain.
    pub template_id: u16,
    content: &'a [u8],
}

impl<'a> SubTemplateList<'a> {
    /// Reads the list's header.
    ///
    /// # Errors
    /// `ListCut` when there is less than the header.
    pub fn parse(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets, Layer::List, 0);
        let header = reader.u8().and_then(|semantic| Ok((semantic, reader.u16()?)));
        let (semantic, template_id) = header.map_err(cut)?;
        Ok(Self {
            semantic,
            template_id,
            content: reader.rest(),
        })
    }

    /// The records, by their template. Unlike a Set, a list has no padding: check [`Records::error`] and what is left.
    #[must_use]
    pub fn records<'t>(&self, template: &'t Template) -> Records<'t, 'a> {
        template.records(self.content)
    }

    /// The octets of all records.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.content
    }
}

/// Records of several templates.
#[derive(Clone, Debug)]
pub struct SubTemplateMultiList<'a> {
    /// How the records relate: see [`semantic_label`].
    pub semantic: u8,
    content: &'a [u8],
}

impl<'a> SubTemplateMultiList<'a> {
    /// Reads the list's header.
    ///
    /// # Errors
    /// `ListCut` when it is empty.
    pub fn parse(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(octets, Layer::List, 0);
        let semantic = reader.u8().map_err(cut)?;
        Ok(Self {
            semantic,
            content: reader.rest(),
        })
    }

    /// The template identifier and the octets of each group. A wrong group is an error, and the last.
    pub fn groups(&self) -> impl Iterator<Item = Result<(u16, &'a [u8]), DecodeError>> + use<'a> {
        let mut reader = Reader::new(self.content, Layer::List, 1);
        std::iter::from_fn(move || {
            if reader.is_empty() {
                return None;
            }
            let group = group(&mut reader);
            if group.is_err() {
                reader = Reader::new(&[], Layer::List, reader.offset());
            }
            Some(group)
        })
    }
}

/// A group's length counts its own header of 4 octets (RFC 6313 section 4.5.3).
fn group<'a>(reader: &mut Reader<'a>) -> Result<(u16, &'a [u8]), DecodeError> {
    let at = reader.clone();
    let template_id = reader.u16().map_err(cut)?;
    let length = usize::from(reader.u16().map_err(cut)?);
    let octets = length
        .checked_sub(4)
        .ok_or_else(|| at.fault(DecodeErrorKind::ListCut, 4, length))?;
    Ok((template_id, reader.take(octets).map_err(cut)?))
}

fn cut(error: DecodeError) -> DecodeError {
    DecodeError {
        kind: DecodeErrorKind::ListCut,
        ..error
    }
}

/// Where structured data finds the templates of its records: those of the session and domain it came in.
pub trait TemplateScope {
    /// The template in force under `id`.
    fn template(&self, id: u16) -> Option<&Arc<Template>>;
}

/// No templates: lists of records stay octets.
impl TemplateScope for () {
    fn template(&self, _: u16) -> Option<&Arc<Template>> {
        None
    }
}
