//! What our decoder makes of a capture: the records of each datagram, where they lie, and their fields.

use std::collections::HashMap;

use flowgauge_collector::io::input::{Item, read_input};
use flowgauge_ie_registry::Registry;
use flowgauge_templates::management::{CollectingConfig, CollectingSession, Event, TransportKind, Version};
use flowgauge_templates::text::{TextContext, value_json};

use crate::captures::Capture;

pub struct Field {
    pub name: String,
    /// Octets from the start of the datagram; `None` for what waited for its template.
    pub offset: Option<usize>,
    pub octets: Vec<u8>,
    pub text: String,
}

pub struct Record {
    pub fields: Vec<Field>,
}

#[derive(Default)]
pub struct Datagram {
    pub bytes: Vec<u8>,
    pub records: Vec<Record>,
    pub errors: Vec<String>,
}

/// Every datagram of a capture with what was decoded while it was handled.
pub fn decode(capture: &Capture) -> Vec<Datagram> {
    let mut registry = Registry::new();
    let mut sessions = HashMap::new();
    let mut datagrams = Vec::new();
    for file in &capture.files {
        // A damaged file gives what is before the damage.
        let _ = read_input(file, &mut |item| {
            let Item::Received(received) = item else { return Ok(()) };
            let mut datagram = Datagram {
                bytes: received.bytes.to_vec(),
                ..Datagram::default()
            };
            let Some(version) = Version::of(received.bytes) else {
                return Ok(());
            };
            let session = sessions
                .entry((received.from.ip(), received.to.ip(), version))
                .or_insert_with(|| {
                    let kind = if received.stream {
                        TransportKind::File
                    } else {
                        TransportKind::Udp
                    };
                    CollectingSession::of_version(version, kind, CollectingConfig::default())
                });
            let from = received.bytes.as_ptr() as usize;
            let place = |part: &[u8]| {
                let offset = (part.as_ptr() as usize).wrapping_sub(from);
                (offset <= received.bytes.len()).then_some(offset)
            };
            let (records, errors) = (&mut datagram.records, &mut datagram.errors);
            let result =
                session.handle_message(
                    received.time_ns,
                    received.bytes,
                    &mut registry,
                    &mut |event| match event {
                        Event::Records {
                            template,
                            records: found,
                            scope,
                            registry,
                            ..
                        } => {
                            let context = TextContext { registry, scope };
                            for record in found.by_ref() {
                                let fields = record.fields().zip(record.raw()).zip(template.fields());
                                let fields = fields.map(|(((_, value), (_, octets)), field)| Field {
                                    name: field.name.to_string(),
                                    offset: place(octets),
                                    octets: octets.to_vec(),
                                    text: value_json(&value, context).to_string().trim_matches('"').to_owned(),
                                });
                                records.push(Record {
                                    fields: fields.collect(),
                                });
                            }
                        }
                        Event::Error(error) => errors.push(error.to_string()),
                        _ => {}
                    },
                );
            errors.extend(result.err().map(|error| error.to_string()));
            datagrams.push(datagram);
            Ok(())
        });
    }
    datagrams
}
