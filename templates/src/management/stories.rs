//! An exporter's and a collector's session beside each other, in virtual time.

use flowgauge_ie_registry::{DataType, ElementId, Registry};
use proptest::prelude::*;

use super::*;
use crate::error::DecodeErrorKind;
use crate::ipfix::write::MessageBuffer;
use crate::ipfix::{FieldSpecifier, RecordWriter, Value};
use crate::text::{TextContext, record_json};

const S: i64 = 1_000_000_000;
const START: i64 = 1_767_225_600 * S;

fn iana(id: u16, length: u16) -> FieldSpecifier {
    FieldSpecifier::new(ElementId::iana(id), length)
}

/// sourceIPv4Address, octetDeltaCount in 8 octets, interfaceName of any length.
fn fields() -> Vec<FieldSpecifier> {
    vec![iana(8, 4), iana(1, 8), FieldSpecifier::variable(ElementId::iana(82))]
}

fn write(number: u64, name: &str) -> impl Fn(&mut RecordWriter<'_>) {
    move |out| {
        out.ipv4([10, 0, 0, 1].into());
        out.u64(number);
        out.variable(name.as_bytes());
    }
}

struct Pair {
    exporter: ExportingSession,
    collector: CollectingSession,
    registry: Registry,
    /// Records as text, in the order they came out.
    records: Vec<String>,
    /// What else happened.
    log: Vec<String>,
}

impl Pair {
    fn new(transport: TransportKind) -> Self {
        Self::with(ExportingConfig::of(transport, 7))
    }

    fn with(config: ExportingConfig) -> Self {
        Self {
            exporter: ExportingSession::new(config),
            collector: CollectingSession::new(config.transport, CollectingConfig::default()),
            registry: Registry::new(),
            records: Vec::new(),
            log: Vec::new(),
        }
    }

    fn sent(&mut self, now_ns: i64) -> Vec<Vec<u8>> {
        self.exporter.flush(now_ns);
        std::iter::from_fn(|| self.exporter.poll_message())
            .map(|message| message.bytes)
            .collect()
    }

    fn receive(&mut self, now_ns: i64, message: &[u8]) -> Result<(), crate::DecodeError> {
        let (records, log) = (&mut self.records, &mut self.log);
        self.collector
            .handle_message(now_ns, message, &mut self.registry, &mut |event| match event {
                Event::Records {
                    records: found,
                    scope,
                    registry,
                    waited_ns,
                    ..
                } => {
                    let context = TextContext { registry, scope };
                    records.extend(found.map(|r| serde_json::to_string(&record_json(&r, context)).unwrap()));
                    if let Some(waited) = waited_ns {
                        log.push(format!("waited {} s", waited / S));
                    }
                }
                Event::Template { template, change, .. } => log.push(format!("template {} {change:?}", template.id())),
                Event::Withdrawn { id, .. } => log.push(format!("withdrawn {id}")),
                Event::Pending { set_id, .. } => log.push(format!("pending {set_id}")),
                Event::Error(error) => log.push(error.to_string()),
                Event::Sequence {
                    outcome: SequenceOutcome::InOrder | SequenceOutcome::First,
                    ..
                }
                | Event::Message(_) => {}
                Event::Sequence { outcome, .. } => log.push(format!("{outcome:?}")),
            })
    }

    fn pass(&mut self, now_ns: i64) {
        for message in self.sent(now_ns) {
            self.receive(now_ns, &message).unwrap();
        }
    }
}

#[test]
fn what_is_exported_is_collected() {
    let mut pair = Pair::new(TransportKind::Tcp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    for (number, name) in [(1, "eth0"), (u64::MAX, ""), (3, &*"x".repeat(300))] {
        pair.exporter.record(START, template, write(number, name)).unwrap();
    }
    pair.pass(START);
    assert_eq!(pair.records.len(), 3);
    let first = r#"{"sourceIPv4Address":"10.0.0.1","octetDeltaCount":1,"interfaceName":"eth0"}"#;
    assert_eq!(pair.records.first().unwrap(), first);
    assert!(pair.records.get(1).unwrap().contains("18446744073709551615"));
    assert_eq!(pair.log, ["template 256 New"]);
    let (sent, received) = (pair.exporter.counters(), pair.collector.counters());
    assert_eq!(
        (sent.records, received.flow_records, received.errors.total()),
        (3, 3, 0)
    );
    assert_eq!((sent.messages, sent.octets), (received.messages, received.octets));
}

/// RFC 7011 section 3.1: the header's export time, and a sequence number that counts Data Records.
#[test]
fn messages_say_when_they_left_and_how_many_records_went_before() {
    let config = ExportingConfig {
        max_message_octets: 120,
        ..ExportingConfig::of(TransportKind::Udp, 9)
    };
    let mut pair = Pair::with(config);
    let template = pair.exporter.add_template(&fields()).unwrap();
    for number in 0..10 {
        pair.exporter
            .record(START + number as i64 * S, template, write(number, "eth0"))
            .unwrap();
    }
    let messages = pair.sent(START + 10 * S);
    let mut before = 0;
    for message in &messages {
        assert!(message.len() <= 120);
        let header = *crate::ipfix::Message::parse(message).unwrap().header();
        assert_eq!(
            (usize::from(header.length), header.domain, header.sequence),
            (message.len(), 9, before)
        );
        let so_far = pair.collector.counters().flow_records;
        pair.receive(START, message).unwrap();
        before += (pair.collector.counters().flow_records - so_far) as u32;
    }
    assert!(messages.len() > 2);
    assert_eq!((before, pair.exporter.counters().records), (10, 10));
    let last = crate::ipfix::Message::parse(messages.last().unwrap())
        .unwrap()
        .header()
        .export_time;
    assert_eq!(i64::from(last), START / S + 10);
}

#[test]
fn over_udp_templates_are_repeated_by_time_and_by_count() {
    let config = ExportingConfig {
        template_refresh_messages: 3,
        ..ExportingConfig::of(TransportKind::Udp, 7)
    };
    let mut pair = Pair::with(config);
    let template = pair.exporter.add_template(&fields()).unwrap();
    let mut announced_at = Vec::new();
    for second in [0, 1, 2, 3, 4, 5, 700] {
        pair.exporter
            .record(START + second * S, template, write(1, "eth0"))
            .unwrap();
        pair.pass(START + second * S);
        announced_at.push((second, pair.exporter.counters().templates));
    }
    assert_eq!(announced_at, [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 2), (700, 3)]);
    assert_eq!(pair.exporter.counters().refreshes, 2);
    assert_eq!(pair.records.len(), 7);
}

#[test]
fn over_a_stream_templates_go_once() {
    let mut pair = Pair::new(TransportKind::Tcp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    for hour in 0..5 {
        pair.exporter
            .record(START + hour * 3600 * S, template, write(1, "eth0"))
            .unwrap();
        pair.pass(START + hour * 3600 * S);
        pair.collector.handle_timeout(START + hour * 3600 * S);
    }
    let counters = pair.exporter.counters();
    assert_eq!((counters.templates, counters.refreshes, pair.records.len()), (1, 0, 5));
}

#[test]
fn records_before_their_template_wait_for_it() {
    let mut pair = Pair::new(TransportKind::Udp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    pair.exporter.record(START, template, write(1, "a")).unwrap();
    let with_template = pair.sent(START);
    pair.exporter.record(START, template, write(2, "b")).unwrap();
    let without = pair.sent(START);

    pair.receive(START, without.first().unwrap()).unwrap();
    assert_eq!((pair.records.len(), pair.collector.pending_sets()), (0, 1));
    pair.receive(START + 20 * S, with_template.first().unwrap()).unwrap();
    assert_eq!(pair.records.len(), 2);
    assert_eq!(
        pair.log,
        ["pending 256", "template 256 New", "waited 20 s", "Unverified"]
    );
    let pending = pair.collector.pending_counters();
    assert_eq!(
        pending,
        PendingCounters {
            waited_sets: 1,
            replayed_sets: 1,
            ..Default::default()
        }
    );
    assert_eq!(
        (pair.collector.counters().flow_records, pair.collector.pending_sets()),
        (2, 0)
    );
}

#[test]
fn sets_that_wait_too_long_are_given_up_and_counted() {
    let mut pair = Pair::new(TransportKind::Udp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    pair.exporter.record(START, template, write(1, "a")).unwrap();
    pair.sent(START);
    pair.exporter.record(START, template, write(2, "b")).unwrap();
    let without = pair.sent(START);
    pair.receive(START, without.first().unwrap()).unwrap();
    pair.collector.handle_timeout(START + 299 * S);
    assert_eq!(pair.collector.pending_sets(), 1);
    pair.collector.handle_timeout(START + 301 * S);
    let pending = pair.collector.pending_counters();
    assert_eq!(
        (
            pair.collector.pending_sets(),
            pending.expired_sets,
            pending.replayed_sets
        ),
        (0, 1, 0)
    );
}

#[test]
fn templates_over_udp_end_when_they_are_not_repeated() {
    let mut pair = Pair::new(TransportKind::Udp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    pair.exporter.record(START, template, write(1, "a")).unwrap();
    pair.pass(START);
    pair.collector.handle_timeout(START + 5 * 3600 * S);
    assert_eq!(pair.collector.templates().count(), 1);
    pair.collector.handle_timeout(START + 7 * 3600 * S);
    assert_eq!(
        (
            pair.collector.templates().count(),
            pair.collector.counters().expired_templates
        ),
        (0, 1)
    );
}

fn template_message(set_id: u16, records: &[crate::ipfix::TemplateRecord]) -> Vec<u8> {
    let mut wire = Vec::new();
    records.iter().for_each(|record| record.write(&mut wire));
    let mut buffer = MessageBuffer::start(Vec::new(), 65_535, 7);
    let start = buffer.start_set(set_id);
    buffer.push(&wire);
    buffer.finish_set(start);
    buffer.finish(0, 0)
}

/// Writes the length that a Message has come to into its header.
fn set_length(message: &mut [u8]) {
    let length = (message.len() as u16).to_be_bytes();
    message.get_mut(2..4).unwrap().copy_from_slice(&length);
}

#[test]
fn withdrawals_hold_on_streams_and_are_refused_over_udp() {
    use crate::ipfix::TemplateRecord::{Announced, Withdrawn};
    let announced = |id| Announced {
        id,
        scope_field_count: 0,
        fields: fields(),
    };
    let announcement = template_message(2, &[announced(256), announced(257), announced(300)]);
    let withdrawal = template_message(2, &[Withdrawn { id: 257 }, Withdrawn { id: 999 }]);
    let all = template_message(2, &[Withdrawn { id: 2 }]);

    let mut tcp = Pair::new(TransportKind::Tcp);
    for message in [&announcement, &withdrawal] {
        tcp.receive(START, message).unwrap();
    }
    assert_eq!(tcp.collector.templates().count(), 2);
    tcp.receive(START, &all).unwrap();
    let counters = tcp.collector.counters();
    assert_eq!(
        (tcp.collector.templates().count(), counters.withdrawn_templates),
        (0, 3)
    );
    assert_eq!(counters.errors.of(DecodeErrorKind::UnknownWithdrawal), 1);

    let mut udp = Pair::new(TransportKind::Udp);
    for message in [&announcement, &withdrawal, &all] {
        udp.receive(START, message).unwrap();
    }
    let counters = udp.collector.counters();
    assert_eq!(
        (udp.collector.templates().count(), counters.withdrawn_templates),
        (3, 0)
    );
    assert_eq!(counters.errors.of(DecodeErrorKind::WithdrawalOverUdp), 3);
}

#[test]
fn another_template_under_the_same_identifier_takes_over() {
    use crate::ipfix::TemplateRecord::Announced;
    let mut pair = Pair::new(TransportKind::Udp);
    for fields in [vec![iana(1, 8)], vec![iana(1, 8)], vec![iana(2, 4), iana(1, 4)]] {
        pair.receive(
            START,
            &template_message(
                2,
                &[Announced {
                    id: 256,
                    scope_field_count: 0,
                    fields,
                }],
            ),
        )
        .unwrap();
    }
    assert_eq!(
        pair.log,
        ["template 256 New", "template 256 Refreshed", "template 256 Replaced"]
    );
    assert_eq!(pair.collector.counters().replaced_templates, 1);
}

#[test]
fn templates_survive_a_restart_of_the_collector() {
    let mut pair = Pair::new(TransportKind::Udp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    pair.exporter.record(START, template, write(1, "a")).unwrap();
    pair.pass(START);
    let written = serde_json::to_string(&pair.collector.save()).unwrap();

    pair.collector = CollectingSession::new(TransportKind::Udp, CollectingConfig::default());
    let saved: SavedTemplates = serde_json::from_str(&written).unwrap();
    assert_eq!(pair.collector.load(&saved, &pair.registry), 1);
    pair.exporter.record(START, template, write(2, "b")).unwrap();
    pair.pass(START + S);
    assert_eq!((pair.records.len(), pair.collector.pending_sets()), (2, 0));
    assert_eq!(pair.collector.save().templates, saved.templates);
}

#[test]
fn saved_templates_are_checked_like_those_from_the_wire() {
    let mut saved = SavedTemplates::default();
    for (id, fields) in [(5, fields()), (256, vec![]), (257, vec![iana(1, 0)]), (258, fields())] {
        saved.templates.push(SavedTemplate {
            domain: 1,
            id,
            scope_field_count: 0,
            announced_ns: START,
            fields,
        });
    }
    let mut collector = CollectingSession::new(TransportKind::Udp, CollectingConfig::default());
    assert_eq!(collector.load(&saved, Registry::builtin()), 1);
    assert_eq!(collector.counters().errors.total(), 3);
}

#[test]
fn elements_that_nobody_knows_are_named_by_type_records() {
    let mut pair = Pair::new(TransportKind::Tcp);
    let unknown = ElementId::new(64_999, 7);
    let template = pair
        .exporter
        .add_template(&[iana(1, 8), FieldSpecifier::new(unknown, 4)])
        .unwrap();
    let types = pair
        .exporter
        .add_options_template(
            type_information::TYPE_RECORD_SCOPE,
            &type_information::TYPE_RECORD_FIELDS,
        )
        .unwrap();
    let record = |out: &mut RecordWriter<'_>| {
        out.u64(1);
        out.u32(2);
    };
    pair.exporter.record(START, template, record).unwrap();
    let mut element = flowgauge_ie_registry::Element::new(unknown, "queueDepth", DataType::Unsigned32);
    element.semantics = flowgauge_ie_registry::Semantics::Quantity;
    pair.exporter
        .record(START, types, |out| type_information::write_type_record(&element, out))
        .unwrap();
    pair.exporter.record(START, template, record).unwrap();
    pair.pass(START);
    assert_eq!(
        pair.records.first().unwrap(),
        r#"{"octetDeltaCount":1,"64999.7":"00000002"}"#
    );
    assert_eq!(pair.records.last().unwrap(), r#"{"octetDeltaCount":1,"queueDepth":2}"#);
    assert_eq!(pair.registry.element(unknown), Some(&element));
    assert_eq!(pair.collector.counters().typed_elements, 1);
    assert!(pair.log.contains(&"template 256 Retyped".to_owned()), "{:?}", pair.log);
}

#[test]
fn one_sets_fault_does_not_cost_its_siblings() {
    use crate::ipfix::TemplateRecord::Announced;
    let mut pair = Pair::new(TransportKind::Tcp);
    let wrong = [
        Announced {
            id: 255,
            scope_field_count: 0,
            fields: fields(),
        },
        Announced {
            id: 256,
            scope_field_count: 0,
            fields: vec![iana(1, 0), iana(2, 0)],
        },
        Announced {
            id: 257,
            scope_field_count: 0,
            fields: vec![iana(1, 4)],
        },
    ];
    let mut message = template_message(2, &wrong);
    // A reserved Set, a Set of 257 with one record and padding, a Set that says it is longer than the Message.
    message.extend_from_slice(&[0, 9, 0, 6, 1, 1]);
    message.extend_from_slice(&[1, 1, 0, 10, 0, 0, 0, 5, 0, 0]);
    message.extend_from_slice(&[1, 1, 0, 99, 0, 0, 0, 6]);
    set_length(&mut message);
    pair.receive(START, &message).unwrap();
    assert_eq!(pair.records, [r#"{"octetDeltaCount":5}"#]);
    let errors: Vec<_> = pair.collector.counters().errors.iter().collect();
    use DecodeErrorKind::{EmptyTemplate, ReservedSetId, SetLength, TemplateId};
    assert_eq!(
        errors,
        [(SetLength, 1), (ReservedSetId, 1), (TemplateId, 1), (EmptyTemplate, 1)]
    );
}

#[test]
fn a_session_cannot_be_grown_without_end() {
    use crate::ipfix::TemplateRecord::Announced;
    let mut collector = CollectingSession::new(TransportKind::Udp, CollectingConfig::default());
    let mut registry = Registry::new();
    let many: Vec<_> = (0..400).map(|_| iana(1, 1)).collect();
    for id in 256..3_000u16 {
        let announced = Announced {
            id,
            scope_field_count: 0,
            fields: many.clone(),
        };
        collector
            .handle_message(START, &template_message(2, &[announced]), &mut registry, &mut |_| {})
            .unwrap();
    }
    let fields: usize = collector.templates().map(|(_, template)| template.fields().len()).sum();
    assert!(fields <= crate::limits::MAX_FIELDS_PER_SESSION);
    let held = collector.templates().count() as u64;
    assert_eq!(
        held + collector.counters().errors.of(DecodeErrorKind::TooManyTemplates),
        3_000 - 256
    );

    let mut refused = 0;
    for domain in 0..2_000u32 {
        let mut message = template_message(
            2,
            &[Announced {
                id: 256,
                scope_field_count: 0,
                fields: vec![iana(1, 1)],
            }],
        );
        message
            .get_mut(12..16)
            .unwrap()
            .copy_from_slice(&(domain + 10).to_be_bytes());
        refused += u64::from(
            collector
                .handle_message(START, &message, &mut registry, &mut |_| {})
                .is_err(),
        );
    }
    assert_eq!(refused, 2_001 - crate::limits::MAX_DOMAINS_PER_SESSION as u64);
    assert_eq!(collector.counters().errors.of(DecodeErrorKind::TooManyDomains), refused);
}

#[test]
fn a_record_longer_than_a_message_is_refused_and_the_next_one_goes() {
    let config = ExportingConfig {
        max_message_octets: 100,
        ..ExportingConfig::of(TransportKind::Udp, 7)
    };
    let mut pair = Pair::with(config);
    let template = pair.exporter.add_template(&fields()).unwrap();
    let refused = pair.exporter.record(START, template, write(1, &"x".repeat(90)));
    assert_eq!(refused, Err(ExportingError::RecordTooLong(103, 80)));
    pair.exporter.record(START, template, write(2, "eth0")).unwrap();
    pair.pass(START);
    assert_eq!((pair.records.len(), pair.exporter.counters().too_long_records), (1, 1));
    assert_eq!(pair.collector.counters().errors.total(), 0);
}

#[test]
fn a_new_session_begins_at_zero_and_says_its_templates_again() {
    let mut pair = Pair::new(TransportKind::Tcp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    for number in 0..3 {
        pair.exporter.record(START, template, write(number, "a")).unwrap();
    }
    assert_eq!(pair.exporter.restart(), 3, "what had not left is given back as lost");
    pair.collector = CollectingSession::new(TransportKind::Tcp, CollectingConfig::default());
    pair.exporter.record(START, template, write(9, "a")).unwrap();
    let messages = pair.sent(START);
    assert_eq!(
        crate::ipfix::Message::parse(messages.first().unwrap())
            .unwrap()
            .header()
            .sequence,
        0
    );
    pair.receive(START, messages.first().unwrap()).unwrap();
    assert_eq!(pair.records.len(), 1);
}

/// Any field of a fixed or variable length, with an element of any enterprise.
fn any_field() -> impl Strategy<Value = FieldSpecifier> {
    let element = prop_oneof![(Just(0u32), 1u16..500), (1u32..70_000, 1u16..0x8000)];
    (element, prop_oneof![0u16..40, Just(u16::MAX)])
        .prop_map(|((pen, id), length)| FieldSpecifier::new(ElementId::new(pen, id), length))
}

proptest! {
    /// decode(encode(x)) == x, for any template and any octets.
    #[test]
    fn records_come_back_octet_for_octet(
        fields in prop::collection::vec(any_field(), 1..30),
        seed in any::<u64>(),
        count in 1usize..40,
        longest in 600usize..3_000,
        udp in any::<bool>(),
    ) {
        prop_assume!(fields.iter().any(|field| field.min_octets() > 0));
        let transport = if udp { TransportKind::Udp } else { TransportKind::Tcp };
        let mut exporter = ExportingSession::new(ExportingConfig { max_message_octets: longest, ..ExportingConfig::of(transport, 3) });
        let Ok(template) = exporter.add_template(&fields) else { return Ok(()) };
        let mut state = seed;
        let mut octet = || { state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); (state >> 33) as u8 };
        let mut written = Vec::new();
        for _ in 0..count {
            let values: Vec<Vec<u8>> = fields.iter().map(|field| {
                let length = if field.is_variable() { usize::from(octet()) + if octet() == 0 { 300 } else { 0 } } else { usize::from(field.length) };
                (0..length).map(|_| octet()).collect()
            }).collect();
            let result = exporter.record(START, template, |out| for (field, value) in fields.iter().zip(&values) {
                if field.is_variable() { out.variable(value) } else { out.bytes(value) }
            });
            if result.is_ok() { written.push(values); }
        }
        exporter.flush(START);
        let mut collector = CollectingSession::new(transport, CollectingConfig::default());
        let mut registry = Registry::new();
        let mut read: Vec<Vec<Vec<u8>>> = Vec::new();
        let mut gaps = 0;
        while let Some(message) = exporter.poll_message() {
            prop_assert!(message.bytes.len() <= longest);
            collector.handle_message(START, &message.bytes, &mut registry, &mut |event| match event {
                Event::Records { records, .. } => for record in records {
                    read.push(record.raw().map(|(_, octets)| octets.to_vec()).collect());
                    for (place, (_, octets)) in record.raw().enumerate() {
                        assert_eq!(record.get(place), Some(octets));
                    }
                },
                Event::Sequence { outcome: SequenceOutcome::First | SequenceOutcome::InOrder, .. } => {}
                Event::Sequence { .. } => gaps += 1,
                _ => {}
            }).unwrap();
        }
        prop_assert_eq!(&read, &written);
        prop_assert_eq!((collector.counters().errors.total(), gaps), (0, 0));
        prop_assert_eq!(collector.counters().flow_records, exporter.counters().records);
    }

    /// No bytes panic, loop or grow a session; those of a sound Message with some of its octets changed above all.
    #[test]
    fn any_bytes_are_met_with_an_answer(
        noise in prop::collection::vec((0usize..400, any::<u8>()), 0..12),
        tail in prop::collection::vec(any::<u8>(), 0..60),
        repeat in 1usize..4,
    ) {
        let mut exporter = ExportingSession::new(ExportingConfig::of(TransportKind::Tcp, 3));
        let template = exporter.add_template(&fields()).unwrap();
        let lists = exporter.add_template(&[iana(1, 4), FieldSpecifier::variable(ElementId::iana(291)), FieldSpecifier::variable(ElementId::iana(293))]).unwrap();
        let types = exporter.add_options_template(2, &type_information::TYPE_RECORD_FIELDS).unwrap();
        for number in 0..4 {
            exporter.record(START, template, write(number, "abc")).unwrap();
            exporter.record(START, lists, |out| {
                out.u32(1);
                out.variable(&[3, 0, 4, 0, 1, 6, 17]);
                out.variable(&[3, 1, 0, 0, 17, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
            }).unwrap();
            exporter.record(START, types, |out| {
                let element = flowgauge_ie_registry::Element::new(ElementId::new(4_242, 1), "someName", DataType::Unsigned32);
                type_information::write_type_record(&element, out);
            }).unwrap();
        }
        exporter.flush(START);
        let mut bytes = exporter.poll_message().unwrap().bytes;
        for (place, octet) in noise {
            let place = place % bytes.len();
            *bytes.get_mut(place).unwrap() = octet;
        }
        bytes.extend_from_slice(&tail);
        let mut collector = CollectingSession::new(TransportKind::Tcp, CollectingConfig::default());
        let mut registry = Registry::new();
        let mut records = 0u64;
        for _ in 0..repeat {
            let _ = collector.handle_message(START, &bytes, &mut registry, &mut |event| {
                if let Event::Records { records: found, scope, registry, .. } = event {
                    for record in found {
                        records += 1;
                        let _ = record_json(&record, TextContext { registry, scope });
                    }
                }
            });
        }
        let counters = collector.counters();
        prop_assert_eq!(records, counters.flow_records + counters.options_records);
    }
}

/// RFC 6313 lists, by a Message put together by hand from sections 4.5.1 to 4.5.3.
#[test]
fn structured_data_is_read_through_the_templates_of_its_domain() {
    use crate::ipfix::TemplateRecord::Announced;
    let mut pair = Pair::new(TransportKind::Tcp);
    let inner = Announced {
        id: 256,
        scope_field_count: 0,
        fields: vec![iana(7, 2), iana(4, 1)],
    };
    let lists: Vec<_> = [291, 292, 293]
        .into_iter()
        .map(|id| FieldSpecifier::variable(ElementId::iana(id)))
        .collect();
    let outer = Announced {
        id: 257,
        scope_field_count: 0,
        fields: lists,
    };
    let mut message = template_message(2, &[inner, outer]);
    message.extend_from_slice(&[1, 1, 0, 4 + 10 + 10 + 25]);
    // A basicList (semantic 4, ordered) of two ingressInterface in 2 octets.
    message.extend_from_slice(&[9, 4, 0, 10, 0, 2, 0, 1, 0, 2]);
    // A subTemplateList (semantic 3, allOf) of two records of 256.
    message.extend_from_slice(&[9, 3, 1, 0, 0, 80, 6, 0, 53, 17]);
    // A subTemplateMultiList in the long form: one record of 256, one of a template that nobody announced.
    message.extend_from_slice(&[
        255,
        0,
        14 + 8,
        3,
        1,
        0,
        0,
        7,
        1,
        187,
        6,
        3,
        231,
        0,
        14,
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
    ]);
    set_length(&mut message);
    pair.receive(START, &message).unwrap();
    let expected = concat!(
        r#"{"basicList":[{"ingressInterface":1},{"ingressInterface":2}],"#,
        r#""subTemplateList":[{"sourceTransportPort":80,"protocolIdentifier":6},"#,
        r#"{"sourceTransportPort":53,"protocolIdentifier":17}],"#,
        r#""subTemplateMultiList":[{"sourceTransportPort":443,"protocolIdentifier":6},"#,
        r#"{"template":999,"octets":"0102030405060708090a"}]}"#
    );
    assert_eq!(pair.records, [expected]);
    assert_eq!(pair.collector.counters().errors.total(), 0);
}

/// IPFIX files that others wrote, with as many records as another reader finds in them.
#[test]
fn ipfix_files_of_others_are_read() {
    let shared = std::path::PathBuf::from(std::env::var("FLOWGAUGE_SHARED").unwrap_or_else(|_| "../../shared".into()));
    let folder = shared.join("corpus/flowexport/ipfixcol");
    if !folder.is_dir() {
        println!("skipped: IPFIX files of others ({} is not there)", folder.display());
        return;
    }
    // With the Data Records, options among them, that libfixbuf's `ipfixDump --stats` counts.
    let files = [
        ("01-odid0", 4_251),
        ("02-odid0", 121),
        ("03-odid0-a", 151),
        ("example_flows", 3_979),
    ];
    for (name, records) in files {
        let bytes = std::fs::read(folder.join(format!("{name}.ipfix"))).unwrap();
        let mut session = CollectingSession::new(TransportKind::File, CollectingConfig::default());
        let mut registry = Registry::new();
        let mut rest = &*bytes;
        let mut values = 0;
        while let Ok(Some(length)) = crate::ipfix::message_length(rest) {
            let (message, behind) = rest.split_at(length);
            session
                .handle_message(START, message, &mut registry, &mut |event| {
                    if let Event::Records { records, .. } = event {
                        values += records
                            .flat_map(|r| r.fields())
                            .filter(|(_, v)| !matches!(v, Value::Octets(_)))
                            .count();
                    }
                })
                .unwrap();
            rest = behind;
        }
        assert!(rest.is_empty(), "{name}");
        assert_eq!(session.counters().errors.total(), 0, "{name}");
        let counted = session.counters();
        assert_eq!(counted.flow_records + counted.options_records, records, "{name}");
        assert!(values as u64 > records, "{name}");
        assert_eq!(
            session.sequences().map(|(_, s)| s.lost_records).sum::<u64>(),
            0,
            "{name}"
        );
    }
}
