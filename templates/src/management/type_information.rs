//! Types announced in-band (RFC 5610): options records that say what an enterprise's element is called and holds.

use std::borrow::Cow;

use flowgauge_ie_registry::ids::{
    INFORMATION_ELEMENT_DATA_TYPE as DATA_TYPE, INFORMATION_ELEMENT_DESCRIPTION as DESCRIPTION, INFORMATION_ELEMENT_ID,
    INFORMATION_ELEMENT_NAME as NAME, INFORMATION_ELEMENT_RANGE_BEGIN as RANGE_BEGIN,
    INFORMATION_ELEMENT_RANGE_END as RANGE_END, INFORMATION_ELEMENT_SEMANTICS as SEMANTICS,
    INFORMATION_ELEMENT_UNITS as UNITS, PRIVATE_ENTERPRISE_NUMBER,
};
use flowgauge_ie_registry::{Added, DataType, Element, ElementId, Registry, Semantics, Units};

use crate::ipfix::value::unsigned;
use crate::ipfix::{DataRecord, FieldSpecifier, RecordWriter, Template, Value};

/// The fields of the type records that we send, the first two of them scope (RFC 5610 section 3.9).
pub const TYPE_RECORD_FIELDS: [FieldSpecifier; 9] = [
    FieldSpecifier::new(PRIVATE_ENTERPRISE_NUMBER, 4),
    FieldSpecifier::new(INFORMATION_ELEMENT_ID, 2),
    FieldSpecifier::new(DATA_TYPE, 1),
    FieldSpecifier::new(SEMANTICS, 1),
    FieldSpecifier::new(UNITS, 2),
    FieldSpecifier::new(RANGE_BEGIN, 8),
    FieldSpecifier::new(RANGE_END, 8),
    FieldSpecifier::variable(NAME),
    // Always empty here, and there all the same: libfixbuf passes over type records without it.
    FieldSpecifier::variable(DESCRIPTION),
];

/// How many of [`TYPE_RECORD_FIELDS`] are scope.
pub const TYPE_RECORD_SCOPE: u16 = 2;

/// Writes the type record of `element`, in the order of [`TYPE_RECORD_FIELDS`].
pub fn write_type_record(element: &Element, out: &mut RecordWriter<'_>) {
    let (begin, end) = element.range.unwrap_or((0, 0));
    out.u32(element.id.pen);
    out.u16(element.id.id);
    out.u8(element.data_type.code());
    out.u8(element.semantics.code());
    out.u16(element.units.code());
    out.u64(begin);
    out.u64(end);
    out.variable(element.name.as_bytes());
    out.variable(b"");
}

/// What a Set of type records brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Learned {
    /// Elements that have a new name or type.
    pub(super) accepted: u64,
    /// Records that define nothing usable.
    pub(super) refused: u64,
}

/// Whether an Options Template has what a type record needs.
pub(super) fn describes_types(template: &Template) -> bool {
    [PRIVATE_ENTERPRISE_NUMBER, INFORMATION_ELEMENT_ID, DATA_TYPE, NAME]
        .iter()
        .all(|element| {
            template
                .fields()
                .iter()
                .any(|field| field.specifier.element == *element)
        })
}

pub(super) fn learn(template: &Template, body: &[u8], registry: &mut Registry) -> Learned {
    let mut learned = Learned::default();
    for record in template.records(body) {
        let Some(element) = element_of(&record) else {
            learned.refused += 1;
            continue;
        };
        match registry.add(element) {
            Ok(Added::New | Added::Replaced) => learned.accepted += 1,
            Ok(Added::Unchanged | Added::Kept) => {}
            Err(_) => learned.refused += 1,
        }
    }
    learned
}

fn element_of(record: &DataRecord<'_, '_>) -> Option<Element> {
    let mut id = ElementId::default();
    let mut name = None;
    let mut data_type = None;
    let (mut semantics, mut units) = (Semantics::Default, Units::None);
    let (mut begin, mut end) = (0, 0);
    for (field, (_, octets)) in record.template().fields().iter().zip(record.raw()) {
        let number = unsigned(octets);
        match field.specifier.element {
            PRIVATE_ENTERPRISE_NUMBER => id.pen = u32::try_from(number?).ok()?,
            // Some write the enterprise bit here as it stands in Field Specifiers.
            INFORMATION_ELEMENT_ID => id.id = u16::try_from(number?).ok()? & 0x7fff,
            DATA_TYPE => data_type = DataType::from_code(u8::try_from(number?).ok()?),
            SEMANTICS => {
                semantics = number
                    .and_then(|n| Semantics::from_code(n.try_into().ok()?))
                    .unwrap_or(semantics)
            }
            UNITS => {
                units = number
                    .and_then(|n| Units::from_code(n.try_into().ok()?))
                    .unwrap_or(units)
            }
            RANGE_BEGIN => begin = number.unwrap_or(0),
            RANGE_END => end = number.unwrap_or(0),
            NAME => name = Value::String(octets).to_text(),
            _ => {}
        }
    }
    let name = name.filter(|name| !name.is_empty())?.into_owned();
    let mut element = Element::new(id, Cow::<'static, str>::Owned(name), data_type?);
    element.semantics = semantics;
    element.units = units;
    element.range = (end > begin).then_some((begin, end));
    Some(element)
}
