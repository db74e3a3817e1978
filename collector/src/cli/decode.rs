//! `decode`: every message, template and record of captures, IPFIX files and raw datagrams, one JSON object a line.
//!
//! Sessions are scoped as the collector scopes them: sender and receiver of datagrams, the connection of streams. Files
//! that name nobody (IPFIX files, raw datagrams) are one session together, so that templates and data may lie in two files.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use flowgauge_ie_registry::Registry;
use flowgauge_templates::error::DecodeError;
use flowgauge_templates::ipfix::Template;
use flowgauge_templates::management::{
    CollectingConfig, CollectingSession, Event, MessageHeader, TemplateChange, TransportKind, Version,
};
use flowgauge_templates::text::{TextContext, record_json};
use serde_json::{Map, Value as Json, json};

use super::arguments::DecodeArguments;
use super::columns::registry;
use super::output::Output;
use crate::failure::Failure;
use crate::io::input::{Fault, Item, Protocol, Received, UNKNOWN, protocol_of, read_input};
use crate::query::time::format_time;

type Ends = (SocketAddr, SocketAddr, bool, Version);

/// Decodes every file, and fails at the end when one could not be read to its end.
pub fn decode(arguments: &DecodeArguments, out: &mut Output) -> Result<(), Failure> {
    let mut decoding = Decoding {
        registry: registry(arguments.elements.as_deref())?,
        sessions: HashMap::new(),
        waiting: BTreeSet::new(),
    };
    let mut failures = Vec::new();
    for path in &arguments.files {
        let result = read_input(path, &mut |item| decoding.item(item, out));
        if out.is_gone() {
            return Ok(());
        }
        failures.extend(result.err());
    }
    decoding.finish(out)?;
    out.finish()?;
    let Some(last) = failures.pop() else { return Ok(()) };
    failures
        .iter()
        .for_each(|failure| eprintln!("flowgauge-collector: {}", failure.line));
    Err(last)
}

struct Decoding {
    registry: Registry,
    sessions: HashMap<Ends, CollectingSession>,
    /// Templates that Data Sets wait for: session, domain, identifier.
    waiting: BTreeSet<(Ends, u32, u16)>,
}

impl Decoding {
    fn item(&mut self, item: Item<'_>, out: &mut Output) -> Result<(), Failure> {
        match item {
            Item::Fault(Fault { place, reason }) => {
                out.json(&json!({ "kind": "error", "layer": "packet", "offset": 0, "reason": reason, "packet": place }))
            }
            Item::Received(received) => self.received(&received, out),
        }
    }

    fn received(&mut self, received: &Received<'_>, out: &mut Output) -> Result<(), Failure> {
        match Version::of(received.bytes) {
            Some(version) => self.message(version, received, out),
            None if protocol_of(received.bytes) == Some(Protocol::Sflow5) => super::decode_sflow::lines(received)
                .iter()
                .try_for_each(|line| out.json(line)),
            None => {
                let name = protocol_of(received.bytes).unwrap_or(Protocol::Unknown).as_str();
                let mut line =
                    json!({ "kind": "error", "layer": "message", "offset": 0, "reason": "unsupported_version" });
                add(&mut line, "protocol", name.into());
                add_exporter(&mut line, received);
                out.json(&line)
            }
        }
    }

    fn message(&mut self, version: Version, received: &Received<'_>, out: &mut Output) -> Result<(), Failure> {
        let ends = (received.from, received.to, received.stream, version);
        let session = self.sessions.entry(ends).or_insert_with(|| {
            let kind = match (received.from == UNKNOWN, received.stream) {
                (true, _) => TransportKind::File,
                (false, true) => TransportKind::Tcp,
                (false, false) => TransportKind::Udp,
            };
            CollectingSession::of_version(version, kind, CollectingConfig::default())
        });
        let waiting = &mut self.waiting;
        let mut lines: Vec<Json> = Vec::new();
        let result =
            session.handle_message(
                received.time_ns,
                received.bytes,
                &mut self.registry,
                &mut |event| match event {
                    Event::Message(header) => {
                        let mut line = message_json(header);
                        add_exporter(&mut line, received);
                        lines.push(line);
                    }
                    Event::Template {
                        domain,
                        template,
                        change,
                    } => lines.push(template_json(domain, template, change)),
                    Event::Withdrawn { domain, id } => {
                        lines.push(
                            json!({ "kind": "template", "template": id, "domain": domain, "change": "withdrawn" }),
                        );
                    }
                    Event::Records {
                        header,
                        template,
                        records,
                        scope,
                        registry,
                        waited_ns,
                    } => {
                        if waited_ns.is_some() {
                            waiting.remove(&(ends, header.domain, template.id()));
                        }
                        let kind = if template.is_options() {
                            "options_record"
                        } else {
                            "record"
                        };
                        let context = TextContext { registry, scope };
                        for record in records.by_ref() {
                            let fields: Map<String, Json> = record_json(&record, context);
                            lines.push(json!({
                                "kind": kind,
                                "template": template.id(),
                                "domain": header.domain,
                                "fields": fields,
                            }));
                        }
                    }
                    Event::Pending { header, set_id, .. } => {
                        waiting.insert((ends, header.domain, set_id));
                    }
                    Event::Error(error) => lines.push(error_json(&error)),
                    Event::Sequence { .. } => {}
                },
            );
        if let Err(error) = result {
            let mut line = error_json(&error);
            add_exporter(&mut line, received);
            lines.push(line);
        }
        lines.iter().try_for_each(|line| out.json(line))
    }

    /// What waited for a template that never came.
    fn finish(&self, out: &mut Output) -> Result<(), Failure> {
        self.waiting.iter().try_for_each(|((from, ..), domain, id)| {
            let mut line = json!({
                "kind": "error",
                "layer": "set",
                "offset": 0,
                "reason": "no_template",
                "template": id,
                "domain": domain,
            });
            if *from != UNKNOWN {
                add(&mut line, "exporter", from.to_string().into());
            }
            out.json(&line)
        })
    }
}

fn add(line: &mut Json, name: &str, value: Json) {
    if let Some(object) = line.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn add_exporter(line: &mut Json, received: &Received<'_>) {
    if received.from != UNKNOWN {
        add(line, "exporter", received.from.to_string().into());
    }
}

fn message_json(header: &MessageHeader) -> Json {
    let mut line = json!({
        "kind": "message",
        "protocol": header.version.as_str(),
        "export_time": format_time(header.export_ns()),
        "sequence": header.sequence,
        "domain": header.domain,
        "length": header.length,
    });
    if let Some(uptime_ms) = header.uptime_ms {
        add(&mut line, "uptime_ms", uptime_ms.into());
    }
    if let Some(sampling) = header.sampling {
        add(&mut line, "engine_type", (header.domain >> 8).into());
        add(&mut line, "engine_id", (header.domain & 0xff).into());
        add(&mut line, "sampling_mode", sampling.mode.into());
        add(&mut line, "sampling_interval", sampling.interval.into());
    }
    line
}

fn template_json(domain: u32, template: &Template, change: TemplateChange) -> Json {
    let fields: Vec<Json> = template
        .fields()
        .iter()
        .map(|field| {
            let length = if field.specifier.is_variable() {
                Json::from("variable")
            } else {
                field.specifier.length.into()
            };
            json!({
                "name": &*field.name,
                "element": field.specifier.element.to_string(),
                "type": field.data_type.name(),
                "length": length,
            })
        })
        .collect();
    let change = match change {
        TemplateChange::New => "new",
        TemplateChange::Refreshed => "refreshed",
        TemplateChange::Replaced => "replaced",
        TemplateChange::Retyped => "retyped",
    };
    if template.is_options() {
        json!({
            "kind": "options_template",
            "template": template.id(),
            "domain": domain,
            "change": change,
            "scope_fields": template.scope_field_count(),
            "fields": fields,
        })
    } else {
        json!({ "kind": "template", "template": template.id(), "domain": domain, "change": change, "fields": fields })
    }
}

fn error_json(error: &DecodeError) -> Json {
    json!({
        "kind": "error",
        "layer": error.layer.as_str(),
        "offset": error.offset,
        "reason": error.kind.as_str(),
        "needed": error.needed,
        "available": error.available,
    })
}
