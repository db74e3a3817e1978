//! Transactions are read back through their templates, as a collector does, and compared with what they say.

use std::net::IpAddr;
use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use flowgauge_templates::management::{CollectingConfig, CollectingSession, Event, ExportingConfig, TransportKind};
use flowgauge_templates::text::{TextContext, record_json};
use serde_json::{Value, json};

use crate::config::Times;
use crate::exporting::ExportingProcess;
use crate::metering::dns::{DnsAnswers, DnsStatus, DnsTransaction, Edns, Subnet, TextRange};
use crate::metering::{FlowEndReason, FlowKey, Place, Records};

const NOW: i64 = 1_767_225_630_000_000_000;

fn add(records: &mut Records, octets: &[u8]) -> TextRange {
    let start = records.octets.len();
    records.octets.extend_from_slice(octets);
    TextRange::since(start, &records.octets)
}

/// A transaction with all that there can be.
fn full(records: &mut Records, client: &str, server: &str) -> DnsTransaction {
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let lists = [
        add(records, b"\x09a.example\x00\x01\x00\x00\x00\x3c\xc0\x00\x02\x07\x09a.example\x00\x01\x00\x00\x00\x3c\xc0\x00\x02\x08"),
        TextRange::default(),
        add(records, b"\x09b.example\x00\x05\x00\x00\x01\x2c\x0b\x01a\x07example\x00"),
    ];
    let answer_lists = Place::push(&mut records.dns_answers, DnsAnswers { interval: 16, lists });
    DnsTransaction {
        key: FlowKey {
            src: address(client),
            dst: address(server),
            src_port: 40_000,
            dst_port: 53,
            protocol: 17,
            vlan: [5, 0],
            interface: 0,
        },
        start_ns: 1_767_225_622_230_380_000,
        end_ns: 1_767_225_622_243_792_000,
        status: DnsStatus::Answered,
        end_reason: FlowEndReason::EndOfFlow,
        id: 77,
        qname: add(records, b"b.example"),
        qtype: 1,
        qclass: 1,
        rcode: Some(16),
        flags: 0x8180,
        latency_us: Some(13_412),
        query_octets: Some(40),
        response_octets: Some(120),
        answers: 3,
        retries: 2,
        edns: Some(Edns {
            udp_octets: 1232,
            version: 0,
            flags: 0x8000,
        }),
        extended_error: Some(18),
        client_subnet: Subnet::read(1, 24, &[203, 0, 113]),
        selector: 0,
        answer_lists,
    }
}

fn unanswered(records: &mut Records) -> DnsTransaction {
    DnsTransaction {
        status: DnsStatus::Unanswered,
        end_reason: FlowEndReason::IdleTimeout,
        rcode: None,
        latency_us: None,
        response_octets: None,
        edns: None,
        extended_error: None,
        client_subnet: None,
        answer_lists: Place::NONE,
        ..full(records, "2001:db8::1", "2001:db8::53")
    }
}

fn process(transport: TransportKind, octets: usize) -> ExportingProcess {
    let mut config = ExportingConfig::of(transport, 1);
    config.max_message_octets = octets;
    ExportingProcess::new(config, Times::Milliseconds, Arc::new([])).unwrap()
}

/// What a collector that hears all Messages makes of the data records, and how many each Message said it has.
fn heard(process: &mut ExportingProcess) -> (Vec<Value>, u32) {
    let mut session = CollectingSession::new(TransportKind::Tcp, CollectingConfig::default());
    let mut registry = Registry::new();
    let (mut rows, mut said) = (Vec::new(), 0);
    let mut answers = Vec::new();
    while let Some(message) = process.poll_message() {
        said += message.flow_records;
        session
            .handle_message(NOW, &message.bytes, &mut registry, &mut |event| match event {
                Event::Template { template, .. } => answers.push(template.clone()),
                Event::Records { template, records, .. } if !template.is_options() => {
                    let scope = Known(&answers);
                    let context = TextContext {
                        registry: Registry::builtin(),
                        scope: &scope,
                    };
                    rows.extend(records.map(|record| Value::Object(record_json(&record, context))));
                }
                Event::Error(error) => panic!("{error:?}"),
                _ => {}
            })
            .unwrap();
    }
    (rows, said)
}

struct Known<'t>(&'t [Arc<flowgauge_templates::ipfix::Template>]);

impl flowgauge_templates::ipfix::list::TemplateScope for Known<'_> {
    fn template(&self, id: u16) -> Option<&Arc<flowgauge_templates::ipfix::Template>> {
        self.0.iter().find(|template| template.id() == id)
    }
}

#[test]
fn every_field_arrives_by_its_name() {
    let mut records = Records::default();
    let one = full(&mut records, "10.0.0.1", "192.0.2.53");
    records.dns.push(one);
    let mut process = process(TransportKind::Tcp, 16_384);
    process.handle_records(NOW, &records, 0);
    let (rows, said) = heard(&mut process);
    assert_eq!((said, process.take_refused(), process.take_reduced()), (1, 0, 0));
    let answer = |address: &str| json!({"dnsAnswerName": "a.example", "dnsAnswerType": 1, "dnsAnswerTtl": 60, "dnsAnswerIPv4Address": address});
    let alias = json!({"dnsAnswerName": "b.example", "dnsAnswerType": 5, "dnsAnswerTtl": 300,
        "dnsAnswerData": "0161076578616d706c6500"});
    assert_eq!(
        rows,
        [json!({
            "sourceIPv4Address": "10.0.0.1", "destinationIPv4Address": "192.0.2.53",
            "sourceTransportPort": 40_000, "destinationTransportPort": 53,
            "protocolIdentifier": 17, "ipVersion": 4, "dot1qVlanId": 5,
            "flowStartMilliseconds": "2026-01-01T00:00:22.230Z", "flowEndMilliseconds": "2026-01-01T00:00:22.243Z",
            "flowEndReason": 3, "dnsTransactionStatus": 1,
            "dnsQueryName": "b.example", "dnsQueryType": 1, "dnsQueryClass": 1,
            "dnsTransactionId": 77, "dnsRetryCount": 2,
            "dnsResponseCode": 16, "dnsFlags": 0x8180, "dnsAnswerCount": 3, "dnsResponseOctets": 120,
            "dnsQueryOctets": 40, "dnsResponseTimeMicroseconds": 13_412,
            "dnsEdnsUdpSize": 1232, "dnsEdnsFlags": 0x8000, "dnsExtendedError": 18,
            "dnsClientSubnet": "203.0.113.0/24", "dnsAnswerSamplingInterval": 16,
            "subTemplateList": [[answer("192.0.2.7"), answer("192.0.2.8")], [alias]],
        })]
    );
}

#[test]
fn what_is_not_known_is_not_there() {
    let mut records = Records::default();
    let one = unanswered(&mut records);
    records.dns.push(one);
    let mut process = process(TransportKind::Tcp, 16_384);
    process.handle_records(NOW, &records, 0);
    let row = heard(&mut process).0.remove(0);
    for absent in [
        "dnsResponseCode",
        "dnsFlags",
        "dnsResponseTimeMicroseconds",
        "dnsEdnsFlags",
        "subTemplateList",
        "sourceIPv4Address",
    ] {
        assert_eq!(row.get(absent), None, "{absent}");
    }
    assert_eq!(
        (&row["dnsTransactionStatus"], &row["flowEndReason"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (&row["sourceIPv6Address"], &row["dnsQueryOctets"]),
        (&json!("2001:db8::1"), &json!(40))
    );
}

/// 60 of three kinds among flows.
fn batch() -> Records {
    let mut records = Records::from(vec![crate::exporting::samples::udp(), crate::exporting::samples::tcp()]);
    for number in 0..60u16 {
        let mut one = match number % 3 {
            0 => unanswered(&mut records),
            _ => full(&mut records, "10.0.0.1", "192.0.2.53"),
        };
        if number % 3 == 2 {
            one.answer_lists = Place::NONE;
        }
        one.id = number;
        records.dns.push(one);
    }
    records
}

#[test]
fn all_of_a_batch_leave_and_after_a_restart_the_rest_of_it() {
    let records = batch();
    assert_eq!(records.len(), 62);
    let mut process = process(TransportKind::Tcp, 1400);
    process.handle_records(NOW, &records, 0);
    let mut left = 0;
    let mut messages = 0;
    while let Some(message) = process.poll_message() {
        if messages < 2 {
            left += message.flow_records;
        }
        messages += u32::from(message.flow_records > 0);
    }
    assert!(left > 2 && left < 62 && messages > 4, "{left} in {messages}");
    process.restart();
    process.handle_records(NOW, &records, left as usize);
    let (rows, said) = heard(&mut process);
    assert_eq!((rows.len() as u32, said), (62 - left, 62 - left));
    // Lists are understood in the new session as well.
    let lists = rows.iter().filter_map(|row| row["subTemplateList"].as_array());
    assert!(lists.clone().count() > 0);
    assert!(lists.flatten().all(|list| list[0].get("octets").is_none()), "{rows:?}");
}

#[test]
fn over_udp_lists_are_understood_after_templates_are_repeated() {
    let mut config = ExportingConfig::of(TransportKind::Udp, 1);
    config.template_refresh_messages = 3;
    let mut process = ExportingProcess::new(config, Times::Nanoseconds, Arc::new([])).unwrap();
    for _ in 0..5 {
        process.handle_records(NOW, &batch(), 0);
    }
    let (rows, said) = heard(&mut process);
    assert_eq!((rows.len(), said), (310, 310));
    let lists: Vec<_> = rows
        .iter()
        .filter_map(|row| row["subTemplateList"].as_array())
        .flatten()
        .collect();
    assert_eq!(lists.len(), 200);
    assert!(lists.iter().all(|list| list[0].get("octets").is_none()));
}

#[test]
fn without_room_for_them_answers_stay_behind() {
    let mut records = Records::default();
    let mut one = full(&mut records, "10.0.0.1", "192.0.2.53");
    let many = b"\x09a.example\x00\x01\x00\x00\x00\x3c\xc0\x00\x02\x07".repeat(25);
    let list = add(&mut records, &many);
    let lists = [list, TextRange::default(), TextRange::default()];
    one.answer_lists = Place::push(&mut records.dns_answers, DnsAnswers { interval: 1, lists });
    records.dns.push(one);
    let mut process = process(TransportKind::Udp, 512);
    process.handle_records(NOW, &records, 0);
    let (rows, said) = heard(&mut process);
    assert_eq!((said, process.take_refused(), process.take_reduced()), (1, 0, 1));
    assert_eq!(
        (rows[0].get("subTemplateList"), &rows[0]["dnsAnswerCount"]),
        (None, &json!(3))
    );
}
