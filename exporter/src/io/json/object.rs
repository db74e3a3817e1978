//! The fields of a record as the rest of an object, written from its octets straight into the line: what
//! [`flowgauge_templates::text`] builds as values and prints, without the values.

use std::collections::HashSet;
use std::io::Write as _;

use flowgauge_ie_registry::{ElementId, Registry, ids};
use flowgauge_templates::ipfix::record::DataRecord;
use flowgauge_templates::ipfix::{FieldSpecifier, Template, Value};
use flowgauge_templates::text::{TextContext, record_json, value_json};

use super::time::write_time;

/// Elements that say which name a client asked a server for; the first that is there counts.
const SERVER_NAMES: [ElementId; 2] = [ids::TLS_SERVER_NAME, ids::HTTP_REQUEST_HOST];

/// How the records of one template are written.
#[derive(Debug)]
pub(super) struct Plan {
    template: Template,
    /// `,"name":` of each field.
    keys: Vec<Box<[u8]>>,
    /// No element occurs twice: those that do become arrays.
    is_plain: bool,
    /// The field with the server's name.
    server_name: Option<usize>,
}

impl Plan {
    pub fn new(fields: &[FieldSpecifier]) -> Self {
        let template = Template::compile(256, 0, fields, Registry::builtin());
        let keys = template.fields().iter().map(|field| {
            let mut key = vec![b','];
            write_text(&mut key, &field.name);
            key.push(b':');
            key.into_boxed_slice()
        });
        let mut names = HashSet::new();
        Self {
            keys: keys.collect(),
            is_plain: template.fields().iter().all(|field| names.insert(&*field.name)),
            server_name: SERVER_NAMES
                .iter()
                .find_map(|element| fields.iter().position(|field| field.element == *element)),
            template,
        }
    }

    /// The only record in `octets`.
    pub fn record<'t, 'a>(&'t self, octets: &'a [u8]) -> Option<DataRecord<'t, 'a>> {
        self.template.records(octets).next()
    }

    /// The name of the server.
    pub fn server_name<'a>(&self, record: &DataRecord<'_, 'a>) -> Option<&'a [u8]> {
        match record.value(self.server_name?)? {
            Value::String(name) => Some(name),
            _ => None,
        }
    }

    /// Appends the fields to an object that has some already.
    pub fn write(&self, record: &DataRecord<'_, '_>, context: TextContext<'_>, out: &mut Vec<u8>) {
        if !self.is_plain {
            for (name, value) in &record_json(record, context) {
                out.push(b',');
                write_text(out, name);
                out.push(b':');
                // Writing to memory does not fail, and all keys are text.
                let _ = serde_json::to_writer(&mut *out, value);
            }
            return;
        }
        for (key, (_, value)) in self.keys.iter().zip(record.fields()) {
            out.extend_from_slice(key);
            write_value(out, &value, context);
        }
    }
}

fn write_value(out: &mut Vec<u8>, value: &Value<'_>, context: TextContext<'_>) {
    match value {
        Value::Unsigned(number) => write_number(out, *number),
        Value::String(_) => write_text(out, &value.to_text().unwrap_or_default()),
        Value::Ipv4(address) => {
            out.push(b'"');
            for (at, octet) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    out.push(b'.');
                }
                write_number(out, u64::from(octet));
            }
            out.push(b'"');
        }
        Value::Ipv6(address) => {
            let _ = write!(out, "\"{address}\"");
        }
        Value::Mac(octets) => {
            out.push(b'"');
            for (at, octet) in octets.iter().enumerate() {
                if at > 0 {
                    out.push(b':');
                }
                write_hex(out, *octet);
            }
            out.push(b'"');
        }
        Value::Octets(octets) => {
            out.push(b'"');
            octets.iter().for_each(|octet| write_hex(out, *octet));
            out.push(b'"');
        }
        Value::DateTime { ns, resolution } => {
            out.push(b'"');
            write_time(out, *ns, b'T', resolution.digits());
            out.extend_from_slice(b"Z\"");
        }
        // Rare, or as quick.
        Value::Signed(_) | Value::Float(_) | Value::Boolean(_) | Value::List(..) => {
            let _ = serde_json::to_writer(out, &value_json(value, context));
        }
    }
}

#[inline]
fn write_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut begin = digits.len();
    for digit in digits.iter_mut().rev() {
        begin -= 1;
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(begin..).unwrap_or_default());
}

#[inline]
fn write_hex(out: &mut Vec<u8>, octet: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for half in [octet >> 4, octet & 15] {
        out.push(DIGITS.get(usize::from(half)).copied().unwrap_or(b'?'));
    }
}

/// As JSON writes text, with its quotes.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_hex_are_whole() {
        let mut out = Vec::new();
        for number in [0, 7, 10, 4_294_967_296, u64::MAX] {
            write_number(&mut out, number);
            out.push(b' ');
        }
        write_hex(&mut out, 0x0f);
        write_text(&mut out, "a\"b\n\u{1}é");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "0 7 10 4294967296 18446744073709551615 0f\"a\\\"b\\n\\u0001é\""
        );
    }
}
