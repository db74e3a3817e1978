//! Lines against the text form that `decode` prints, which is made in another way: as values first.

use flowgauge_templates::text::record_json;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::exporting::samples;
use crate::metering::dns::{DnsStatus, TextRange};
use crate::metering::record::FlowEndReason;
use crate::metering::records::Place;

/// tcp-metrics' contract with monitoring, in its order.
const KEYS: [&str; 7] = [
    "start_timestamp",
    "end_timestamp",
    "client_country",
    "server_zone",
    "blackholed",
    "bufferbloat",
    "non_idle_throughput_mbps",
];

fn encoder(times: Times) -> Encoder {
    Encoder::new(times, Arc::new([]), None)
}

/// All records of a batch as lines, read by serde.
fn lines_of(records: &Records, times: Times) -> Vec<Map<String, Value>> {
    let (mut encoder, mut lines) = (encoder(times), Lines::default());
    (0..records.len()).for_each(|at| encoder.write(records, at, &mut lines));
    assert_eq!(lines.len(), records.len());
    lines
        .iter()
        .map(|line| serde_json::from_slice(line.text).unwrap())
        .collect()
}

/// Takes the first keys off, which must be those of the contract.
fn split(line: Map<String, Value>) -> (Vec<Value>, Map<String, Value>) {
    let names: Vec<&str> = line.keys().take(7).map(String::as_str).collect();
    assert_eq!(names, KEYS);
    let mut pairs = line.into_iter();
    let head = pairs.by_ref().take(7).map(|(_, value)| value).collect();
    (head, pairs.collect())
}

fn as_values(records: &Records, times: Times) -> Map<String, Value> {
    let parts = Parts {
        record: &records.flows[0],
        records,
        selectors: &[],
    };
    let variant = Variant::of(&parts, times);
    let template = Template::compile(256, 0, &layout::specifiers(variant), Registry::builtin());
    let mut room = vec![0; 65_535];
    let mut writer = RecordWriter::new(&mut room);
    layout::write(variant, &parts, &mut writer);
    let written = writer.written();
    let lists = ListTemplates::new();
    let context = TextContext {
        registry: Registry::builtin(),
        scope: &lists,
    };
    record_json(&template.records(&room[..written]).next().unwrap(), context)
}

proptest! {
    #[test]
    fn fields_are_what_the_text_form_says(records in samples::any_records(), nanoseconds: bool) {
        let times = if nanoseconds { Times::Nanoseconds } else { Times::Milliseconds };
        let line = lines_of(&records, times).remove(0);
        let (head, fields) = split(line);
        let expected = as_values(&records, times);
        prop_assert_eq!(fields.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        // Printed and read once more: floats have one shortest form.
        let expected: Map<String, Value> = serde_json::from_str(&serde_json::to_string(&expected).unwrap()).unwrap();
        prop_assert_eq!(fields, expected);
        let has_tcp = records.tcp(&records.flows[0]).is_some();
        prop_assert!(has_tcp || head[4..] == [Value::Null, Value::Null, Value::Null]);
    }
}

#[test]
fn a_connection_with_a_name_says_its_zone() {
    let (records, _) = samples::with_application();
    let (head, fields) = split(lines_of(&records, Times::Milliseconds).remove(0));
    assert_eq!(head[0], "2026-01-01 00:00:22.230380Z");
    assert_eq!((&head[2], &head[3]), (&Value::Null, &Value::from("example.com")));
    assert_eq!(fields["httpRequestHost"], "example.com");
    assert_eq!(fields, as_values(&records, Times::Milliseconds));
}

#[test]
fn records_of_dns_begin_alike() {
    let mut records = Records::from(vec![samples::udp()]);
    let key = records.flows[0].key;
    records.octets.extend_from_slice(b"example.com");
    records.dns.push(DnsTransaction {
        key,
        start_ns: samples::START_NS,
        end_ns: samples::START_NS + 1_500_000,
        status: DnsStatus::Unanswered,
        end_reason: FlowEndReason::IdleTimeout,
        id: 7,
        qname: TextRange { start: 0, length: 11 },
        qtype: 1,
        qclass: 1,
        rcode: None,
        flags: 0x100,
        latency_us: None,
        query_octets: Some(30),
        response_octets: None,
        answers: 0,
        retries: 0,
        edns: None,
        extended_error: None,
        client_subnet: None,
        selector: 0,
        answer_lists: Place::NONE,
    });
    let mut lines = lines_of(&records, Times::Milliseconds);
    let (head, fields) = split(lines.remove(1));
    assert_eq!(head[0], "2026-01-01 00:00:22.230380Z");
    assert_eq!(head[1], "2026-01-01 00:00:22.231880Z");
    assert!(head[2..].iter().all(Value::is_null));
    assert_eq!(fields["dnsQueryName"], "example.com");
}

#[test]
fn countries_are_those_of_the_client() {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        Into::into,
    );
    let path = shared.join("registry/geo/GeoLite2-City-Test.mmdb");
    if !path.is_file() {
        println!(
            "skipped: no database at {}: countries are not looked up",
            path.display()
        );
        return;
    }
    let geo = Arc::new(Geo::open(&[path]).unwrap());
    let mut encoder = Encoder::new(Times::Milliseconds, Arc::new([]), Some(geo));
    let mut record = samples::tcp();
    // The source of the database says GB for this network.
    record.key.src = "81.2.69.142".parse().unwrap();
    let mut lines = Lines::default();
    encoder.write(&Records::from(vec![record]), 0, &mut lines);
    let line: Map<String, Value> = serde_json::from_slice(lines.iter().next().unwrap().text).unwrap();
    assert_eq!(line["client_country"], "GB");
}
