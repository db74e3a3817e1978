//! `decode` of sFlow: one line a datagram and one a sample, every record with the names of its fields.
//!
//! Samples are cut by our own reader, so that a broken one costs itself alone. Their hundred record formats are named
//! by a library, which is given each sample as a datagram of its own.

use std::net::IpAddr;

use flowgauge_templates::error::DecodeError;
use flowgauge_templates::packet::{self, LinkType};
use flowgauge_templates::sflow::{Datagram, FlowRecord, Sample};
use flowparser_sflow::{SflowParser, SflowSample};
use serde_json::{Map, Value as Json, json};

use crate::io::input::{Received, UNKNOWN};

/// Octets of the header that a lone sample is given.
const HEADER: [u32; 7] = [5, 1, 0, 0, 0, 0, 1];

/// The lines of one datagram.
pub(super) fn lines(received: &Received<'_>) -> Vec<Json> {
    let datagram = match Datagram::parse(received.bytes) {
        Ok(datagram) => datagram,
        Err(error) => return vec![of_sender(error_line(&error), received)],
    };
    let message = json!({
        "kind": "message",
        "protocol": "sflow5",
        "agent": datagram.agent.map(|agent| agent.to_string()),
        "domain": datagram.sub_agent,
        "sequence": datagram.sequence,
        "uptime_ms": datagram.uptime_ms,
        "samples": datagram.sample_count,
        "length": received.bytes.len(),
    });
    let mut lines = vec![of_sender(message, received)];
    let (mut bodies, mut samples) = (datagram.samples(), datagram.samples());
    while let Some(body) = bodies.next_body() {
        lines.push(match (body, samples.next()) {
            (Ok((format, offset, body)), Some(Ok(sample))) => sample_line(format, offset, body, &sample),
            (Err(error), _) | (_, Some(Err(error))) => error_line(&error),
            (Ok(_), None) => break,
        });
    }
    lines
}

fn of_sender(mut line: Json, received: &Received<'_>) -> Json {
    if let (true, Some(object)) = (received.from != UNKNOWN, line.as_object_mut()) {
        object.insert("exporter".to_owned(), received.from.to_string().into());
    }
    line
}

fn error_line(error: &DecodeError) -> Json {
    json!({
        "kind": "error",
        "layer": error.layer.as_str(),
        "offset": error.offset,
        "reason": error.kind.as_str(),
        "needed": error.needed,
        "available": error.available,
    })
}

fn sample_line(format: u32, offset: usize, body: &[u8], sample: &Sample<'_>) -> Json {
    let kind = match sample {
        Sample::Flow(_) => "sflow_flow",
        Sample::Counters(_) => "sflow_counters",
        Sample::Discarded(_) => "sflow_drops",
        Sample::Unknown { .. } => "sflow_unknown",
    };
    let Some(fields) = named(format, body) else {
        return json!({
            "kind": "error", "layer": "set", "offset": offset, "reason": "record_cut", "sample": kind, "octets": hex(body),
        });
    };
    let mut line = json!({ "kind": kind });
    let Some(object) = line.as_object_mut() else {
        return line;
    };
    object.extend(fields);
    if let Sample::Flow(flow) = sample
        && let Some(packet) = flow.records.clone().find_map(|record| packet_json(&record.ok()?))
    {
        object.insert("packet".to_owned(), packet);
    }
    line
}

/// The fields of one sample under the library's names; none when it cannot read them.
fn named(format: u32, body: &[u8]) -> Option<Map<String, Json>> {
    let mut lone: Vec<u8> = HEADER.iter().flat_map(|word| word.to_be_bytes()).collect();
    lone.extend_from_slice(&format.to_be_bytes());
    lone.extend_from_slice(&u32::try_from(body.len()).ok()?.to_be_bytes());
    lone.extend_from_slice(body);
    let mut result = SflowParser::default().parse_bytes(&lone);
    let sample: SflowSample = result.datagrams.pop()?.samples.pop()?;
    let Json::Object(tagged) = serde_json::to_value(sample).ok()? else {
        return None;
    };
    let (_, fields) = tagged.into_iter().next()?;
    let Json::Object(mut fields) = tidy(fields) else {
        return None;
    };
    if let Some(Json::Array(records)) = fields.get_mut("records") {
        for record in records {
            *record = flattened(record.take());
        }
    }
    Some(fields)
}

/// `{"Name": {fields}}` as `{"record": "Name", fields}`.
fn flattened(record: Json) -> Json {
    let Json::Object(tagged) = record else { return record };
    let mut flat = Map::new();
    for (name, fields) in tagged {
        flat.insert("record".to_owned(), name.into());
        match fields {
            Json::Object(fields) => flat.extend(fields),
            other => drop(flat.insert("value".to_owned(), other)),
        }
    }
    Json::Object(flat)
}

/// Octets as hexadecimal text, addresses as text.
fn tidy(value: Json) -> Json {
    match value {
        Json::Object(object) => {
            if let (1, Some((name, address))) = (object.len(), object.iter().next())
                && (name == "IPv4" || name == "IPv6")
            {
                return address.clone();
            }
            let tidied = object.into_iter().map(|(name, value)| match (name.as_str(), &value) {
                ("header" | "data", Json::Array(octets)) => {
                    let octets: Vec<u8> = octets
                        .iter()
                        .filter_map(|octet| octet.as_u64()?.try_into().ok())
                        .collect();
                    (name, hex(&octets).into())
                }
                _ => (name, tidy(value)),
            });
            Json::Object(tidied.collect())
        }
        Json::Array(values) => Json::Array(values.into_iter().map(tidy).collect()),
        value => value,
    }
}

/// What our packet parser reads in a sampled header, under IANA's names.
fn packet_json(record: &FlowRecord<'_>) -> Option<Json> {
    let FlowRecord::Header(raw) = record else { return None };
    let link_type: LinkType = raw.protocol.link_type()?;
    let headers = packet::parse(link_type, raw.header, raw.frame_length.saturating_sub(raw.stripped));
    let network = headers.network?;
    let (src, dst): (IpAddr, IpAddr) = (network.src(), network.dst());
    let version = if src.is_ipv4() { "IPv4" } else { "IPv6" };
    let mut packet = Map::new();
    packet.insert(format!("source{version}Address"), src.to_string().into());
    packet.insert(format!("destination{version}Address"), dst.to_string().into());
    packet.insert("protocolIdentifier".to_owned(), network.protocol.into());
    packet.insert("octetDeltaCount".to_owned(), network.octets.into());
    if headers.ports != [0, 0] {
        packet.insert("sourceTransportPort".to_owned(), headers.ports[0].into());
        packet.insert("destinationTransportPort".to_owned(), headers.ports[1].into());
    }
    Some(Json::Object(packet))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
