//! What is written arrives, whatever the Messages hold.

use flowgauge_ie_registry::DataType;

use crate::error::DecodeErrorKind;
use crate::ipfix::Value;

use super::*;

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

/// RFC 7011 section 3.1: each stream of SCTP counts its own records; templates hold for all of them (section 8.2).
#[test]
fn streams_share_templates_and_count_for_themselves() {
    let mut pair = Pair::new(TransportKind::Sctp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    let one = |pair: &mut Pair, sequence: u32| {
        pair.exporter.record(START, template, write(1, "a")).unwrap();
        let mut message = pair.sent(START).remove(0);
        message.get_mut(8..12).unwrap().copy_from_slice(&sequence.to_be_bytes());
        message
    };
    // The number of the stream, that in the Message, and what is missing before it.
    let story = [
        (3, 100, 0),
        (0, 0, 0),
        (3, 101, 0),
        (0, 1, 0),
        (3, 105, 3),
        (0, 4, 2),
        (9, 7, 0),
        (9, 8, 0),
    ];
    let mut outcomes = Vec::new();
    for (stream, sequence, _) in story {
        let message = one(&mut pair, sequence);
        let mut sink = |event: Event<'_, '_>| {
            if let Event::Sequence { outcome, .. } = event {
                outcomes.push(outcome);
            }
        };
        pair.collector
            .handle_message_on(START, stream, &message, &mut pair.registry, &mut sink)
            .unwrap();
    }
    let missing = outcomes.iter().map(|outcome| match outcome {
        SequenceOutcome::Gap(missing) => *missing,
        SequenceOutcome::First | SequenceOutcome::InOrder => 0,
        other => panic!("{other:?}"),
    });
    assert_eq!(missing.collect::<Vec<_>>(), story.map(|(_, _, missing)| missing));
    let (_, counters) = pair.collector.sequences().next().unwrap();
    assert_eq!((counters.gaps, counters.lost_records), (2, 5));
    assert_eq!(
        (pair.collector.counters().flow_records, pair.collector.pending_sets()),
        (8, 0)
    );

    // Streams beyond the bound are taken all the same; only their numbers are not followed.
    for stream in 100..100 + 2 * crate::limits::MAX_STREAMS_PER_DOMAIN as u16 {
        let message = one(&mut pair, 5);
        pair.collector
            .handle_message_on(START, stream, &message, &mut pair.registry, &mut |_| {})
            .unwrap();
    }
    assert_eq!(pair.collector.counters().flow_records, 8 + 128);
}
