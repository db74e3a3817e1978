//! How long templates and waiting Sets are kept, on each transport.

use crate::error::DecodeErrorKind;

use super::*;

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

/// Ten records before their template, a restart, then the template.
#[test]
fn records_that_wait_survive_a_restart_of_the_collector() {
    let mut pair = Pair::new(TransportKind::Udp);
    let template = pair.exporter.add_template(&fields()).unwrap();
    for n in 0..10 {
        pair.exporter.record(START, template, write(n, "a")).unwrap();
    }
    let messages = pair.sent(START);
    let of_type = |options: bool| {
        let mut found = Vec::new();
        for message in &messages {
            let message = crate::ipfix::Message::parse(message).unwrap();
            for set in message.sets() {
                let set = set.unwrap();
                if (set.id < 256) == options {
                    found.extend(set.id.to_be_bytes());
                    found.extend((set.body.len() as u16 + 4).to_be_bytes());
                    found.extend(set.body);
                }
            }
        }
        let mut bytes = messages[0][..16].to_vec();
        bytes.extend(found);
        let length = (bytes.len() as u16).to_be_bytes();
        bytes[2..4].copy_from_slice(&length);
        bytes
    };
    let (announcement, data) = (of_type(true), of_type(false));
    let mut registry = Registry::new();
    let mut before = CollectingSession::new(TransportKind::Udp, CollectingConfig::default());
    before.handle_message(START, &data, &mut registry, &mut |_| {}).unwrap();
    assert_eq!(before.pending_sets(), 1);
    let written = serde_json::to_string(&before.save()).unwrap();

    let mut after = CollectingSession::new(TransportKind::Udp, CollectingConfig::default());
    after.load(&serde_json::from_str(&written).unwrap(), &registry);
    assert_eq!((after.pending_sets(), after.pending_counters().waited_sets), (1, 1));
    let mut records = 0;
    let mut count = |event: Event<'_, '_>| {
        if let Event::Records { records: found, .. } = event {
            records += found.count();
        }
    };
    after
        .handle_message(START + S, &announcement, &mut registry, &mut count)
        .unwrap();
    assert_eq!(
        (records, after.pending_sets(), after.pending_counters().replayed_sets),
        (10, 0, 1)
    );
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
