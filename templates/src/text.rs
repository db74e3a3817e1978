//! The one text form of values and records: what `decode` prints, what goldens hold, what people read.

use std::fmt::Write as _;

use flowgauge_ie_registry::{ElementId, Registry};
use jiff::Timestamp;
use serde_json::{Map, Number, Value as Json};

use crate::ipfix::list::{BasicList, SubTemplateList, SubTemplateMultiList, TemplateScope};
use crate::ipfix::record::{DataRecord, Records};
use crate::ipfix::value::{Resolution, Value, decode_value};
use crate::limits::MAX_LIST_DEPTH;
use flowgauge_ie_registry::DataType;

/// paddingOctets: carries nothing by its definition, and is shown only when it does all the same.
const PADDING: ElementId = ElementId::iana(210);

/// What the text of structured data needs to know.
#[derive(Clone, Copy)]
pub struct TextContext<'c> {
    /// Names and types of elements within basicLists.
    pub registry: &'c Registry,
    /// Templates of records within lists.
    pub scope: &'c dyn TemplateScope,
}

/// `record` as an object from element name to value, in the order of its template.
///
/// An element that occurs more than once becomes an array of its values.
#[must_use]
pub fn record_json(record: &DataRecord<'_, '_>, context: TextContext<'_>) -> Map<String, Json> {
    record_at_depth(record, context, 0)
}

fn record_at_depth(record: &DataRecord<'_, '_>, context: TextContext<'_>, depth: usize) -> Map<String, Json> {
    let mut object = Map::new();
    let mut repeated: Vec<&str> = Vec::new();
    for (field, value) in record.fields() {
        if field.specifier.element == PADDING && is_zero(&value) {
            continue;
        }
        let json = value_at_depth(&value, context, depth);
        let name = &*field.name;
        match object.get_mut(name) {
            None => {
                object.insert(name.to_owned(), json);
            }
            Some(Json::Array(values)) if repeated.contains(&name) => values.push(json),
            Some(first) => {
                *first = Json::Array(vec![first.take(), json]);
                repeated.push(name);
            }
        }
    }
    object
}

fn is_zero(value: &Value<'_>) -> bool {
    matches!(value, Value::Octets(octets) if octets.iter().all(|octet| *octet == 0))
}

/// `value` as JSON: numbers as numbers, addresses and times as text, octets in hex, lists as arrays of objects.
#[must_use]
pub fn value_json(value: &Value<'_>, context: TextContext<'_>) -> Json {
    value_at_depth(value, context, 0)
}

fn value_at_depth(value: &Value<'_>, context: TextContext<'_>, depth: usize) -> Json {
    match value {
        Value::Unsigned(number) => Json::from(*number),
        Value::Signed(number) => Json::from(*number),
        Value::Float(number) => float_json(*number),
        Value::Boolean(truth) => Json::from(*truth),
        Value::Mac(octets) => Json::from(mac_text(octets)),
        Value::String(_) => Json::from(value.to_text().unwrap_or_default().into_owned()),
        Value::Octets(octets) => Json::from(hex_text(octets)),
        Value::Ipv4(address) => Json::from(address.to_string()),
        Value::Ipv6(address) => Json::from(address.to_string()),
        Value::DateTime { ns, resolution } => Json::from(time_text(*ns, *resolution)),
        Value::List(data_type, octets) => {
            list_json(*data_type, octets, context, depth).unwrap_or_else(|| Json::from(hex_text(octets)))
        }
    }
}

/// JSON has no NaN and no infinities: those are text.
fn float_json(number: f64) -> Json {
    Number::from_f64(number).map_or_else(|| Json::from(number.to_string()), Json::Number)
}

/// `None` where the list is cut or too deep: its octets are shown instead.
fn list_json(data_type: DataType, octets: &[u8], context: TextContext<'_>, depth: usize) -> Option<Json> {
    if depth >= MAX_LIST_DEPTH {
        return None;
    }
    match data_type {
        DataType::BasicList => basic_list_json(octets, context, depth),
        DataType::SubTemplateList => {
            let list = SubTemplateList::parse(octets).ok()?;
            let mut rows = Vec::new();
            sub_records(list.template_id, list.content(), context, depth, &mut rows);
            Some(Json::Array(rows))
        }
        DataType::SubTemplateMultiList => {
            let list = SubTemplateMultiList::parse(octets).ok()?;
            let mut rows = Vec::new();
            for group in list.groups() {
                let (template_id, content) = group.ok()?;
                sub_records(template_id, content, context, depth, &mut rows);
            }
            Some(Json::Array(rows))
        }
        _ => None,
    }
}

fn basic_list_json(octets: &[u8], context: TextContext<'_>, depth: usize) -> Option<Json> {
    let list = BasicList::parse(octets).ok()?;
    let element = context.registry.element(list.field.element);
    let name = element.map_or_else(|| list.field.element.to_string(), |element| element.name.to_string());
    let data_type = element.map_or(DataType::OctetArray, |element| element.data_type);
    let mut rows = Vec::new();
    for value in list.values() {
        let json = value_at_depth(&decode_value(data_type, value.ok()?), context, depth + 1);
        rows.push(Json::Object(Map::from_iter([(name.clone(), json)])));
    }
    Some(Json::Array(rows))
}

/// Records of one template, or one object with the octets where the template is not known.
fn sub_records(template_id: u16, content: &[u8], context: TextContext<'_>, depth: usize, rows: &mut Vec<Json>) {
    let Some(template) = context.scope.template(template_id) else {
        let pairs = [
            ("template", Json::from(template_id)),
            ("octets", Json::from(hex_text(content))),
        ];
        rows.push(Json::Object(
            pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        ));
        return;
    };
    let records: Records<'_, '_> = template.records(content);
    rows.extend(records.map(|record| Json::Object(record_at_depth(&record, context, depth + 1))));
}

/// RFC 3339 in UTC, with as many digits as the element's type has.
#[must_use]
pub fn time_text(ns: i64, resolution: Resolution) -> String {
    match Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(time) => format!("{time:.*}", resolution.digits()),
        Err(_) => ns.to_string(),
    }
}

/// Two lower-case digits an octet, with colons.
#[must_use]
pub fn mac_text(octets: &[u8; 6]) -> String {
    let [a, b, c, d, e, f] = octets;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}

/// Two lower-case digits an octet.
#[must_use]
pub fn hex_text(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        // Writing to a String does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_digits_of_their_type() {
        for (resolution, text) in [
            (Resolution::Seconds, "2026-01-01T00:00:22Z"),
            (Resolution::Milliseconds, "2026-01-01T00:00:22.230Z"),
            (Resolution::Microseconds, "2026-01-01T00:00:22.230380Z"),
            (Resolution::Nanoseconds, "2026-01-01T00:00:22.230380000Z"),
        ] {
            assert_eq!(time_text(1_767_225_622_230_380_000, resolution), text);
        }
    }

    #[test]
    fn what_json_has_no_number_for_is_text() {
        assert_eq!(float_json(1.5), serde_json::json!(1.5));
        assert_eq!(float_json(f64::NAN), serde_json::json!("NaN"));
        assert_eq!(mac_text(&[0, 0x1b, 2, 3, 4, 0xff]), "00:1b:02:03:04:ff");
        assert_eq!(hex_text(&[0, 0xab]), "00ab");
    }
}
