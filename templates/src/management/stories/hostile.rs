//! Any template and any bytes.

use flowgauge_ie_registry::DataType;
use proptest::prelude::*;

use crate::error::DecodeErrorKind;

use super::*;

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

    let mut limited = CollectingSession::new(
        TransportKind::Udp,
        CollectingConfig {
            templates_per_domain: 3,
            ..CollectingConfig::default()
        },
    );
    for id in 256..266u16 {
        let announced = Announced {
            id,
            scope_field_count: 0,
            fields: vec![iana(1, 1)],
        };
        limited
            .handle_message(START, &template_message(2, &[announced]), &mut registry, &mut |_| {})
            .unwrap();
    }
    assert_eq!(limited.templates().count(), 3);
    assert_eq!(limited.counters().errors.of(DecodeErrorKind::TooManyTemplates), 7);

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

/// At length, for `make fuzz`: Messages of others with octets changed, doubled, cut out and put together.
#[test]
#[ignore = "runs for SECONDS, by `make fuzz`"]
fn fuzz_messages() {
    let seconds = std::env::var("SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(60);
    let mut seeds = seeds();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let mut done = 0u64;
    while std::time::Instant::now() < until {
        let mut collector = CollectingSession::new(TransportKind::Tcp, CollectingConfig::default());
        let mut registry = Registry::new();
        for _ in 0..200 {
            let mut bytes = seeds.get(random(seeds.len())).unwrap().clone();
            for _ in 0..random(8) {
                let place = random(bytes.len());
                match random(4) {
                    0 => *bytes.get_mut(place).unwrap() = random(256) as u8,
                    1 => bytes.truncate(place.max(1)),
                    2 => *bytes.get_mut(place).unwrap() ^= 1 << random(8),
                    _ => {
                        let other = seeds.get(random(seeds.len())).unwrap();
                        let from = random(other.len());
                        bytes.extend_from_slice(other.get(from..).unwrap_or_default());
                        bytes.truncate(65_535);
                    }
                }
            }
            let mut records = 0u64;
            let _ = collector.handle_message(START + done as i64, &bytes, &mut registry, &mut |event| {
                if let Event::Records {
                    records: found,
                    scope,
                    registry,
                    ..
                } = event
                {
                    records += found
                        .map(|r| record_json(&r, TextContext { registry, scope }).len() as u64)
                        .sum::<u64>();
                }
            });
            done += 1;
            if random(5_000) == 0 && seeds.len() < 4_096 {
                seeds.push(bytes);
            }
        }
        collector.handle_timeout(START + done as i64 * S);
    }
    println!("{done} Messages in {seconds} s");
    assert!(done > 0);
}

/// Messages of the corpus where it is there, and one of our own.
fn seeds() -> Vec<Vec<u8>> {
    let mut pair = Pair::new(TransportKind::Tcp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    pair.exporter.record(START, template, write(1, "eth0")).unwrap();
    let mut seeds = pair.sent(START);
    let shared = std::env::var("FLOWGAUGE_SHARED").unwrap_or_else(|_| "../../shared".into());
    for folder in ["ipfixcol", "ipfixrw", "vermont", "logstash"] {
        let folder = std::path::Path::new(&shared).join("corpus/flowexport").join(folder);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(bytes) = std::fs::read(entry.path()) else {
                continue;
            };
            let mut rest = &*bytes;
            while let Ok(Some(length)) = crate::ipfix::message_length(rest) {
                let Some((message, behind)) = rest.split_at_checked(length) else {
                    break;
                };
                seeds.push(message.to_vec());
                rest = behind;
            }
        }
    }
    seeds
}
