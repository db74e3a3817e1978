//! Templates in a form to keep: what a collector writes down so that a restart costs no record of a device that
//! repeats its templates once in half an hour.

use crate::error::DecodeErrorKind;
use crate::header::MessageHeader;
use crate::ipfix::{FieldSpecifier, MIN_TEMPLATE_ID, Template};
use crate::limits::MAX_FIELDS;

/// The templates of one session, and what waits for others.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedTemplates {
    /// By domain and identifier.
    pub templates: Vec<SavedTemplate>,
    /// Sets that wait for their template, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<SavedSet>,
}

/// One Set that waits for its template.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SavedSet {
    /// The header of the Message that it came in.
    pub header: MessageHeader,
    /// The template's identifier.
    pub set_id: u16,
    /// When it came, in nanoseconds since 1970.
    pub received_ns: i64,
    /// Its octets, two hexadecimal digits each.
    #[serde(with = "hexadecimal")]
    pub body: Box<[u8]>,
}

mod hexadecimal {
    //! Octets as text: a quarter of what JSON makes of a list of numbers.

    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;

    pub fn serialize<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
        let text: String = octets
            .iter()
            .flat_map(|octet| [digit(octet >> 4), digit(octet & 15)])
            .collect();
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Box<[u8]>, D::Error> {
        let text = std::borrow::Cow::<'d, str>::deserialize(deserializer)?;
        let digit = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        };
        let octet = |pair: &[u8]| match *pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        let octets: Option<Vec<u8>> = text.as_bytes().chunks(2).map(octet).collect();
        octets
            .map(Vec::into_boxed_slice)
            .ok_or_else(|| D::Error::custom("not hexadecimal digits"))
    }
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
