//! Records into summaries: whole ones, images in parts, what comes twice, and what does not come.

use flowgauge_sketches::Quantiles;
use serde_json::json;

use super::*;
use crate::limits::{SUMMARY_IMAGES_OCTETS, SUMMARY_PART_AGE_S};

const LATER_NS: i64 = (T0_MS + (SUMMARY_PART_AGE_S + 1) * 1_000) * NS_PER_MS;

#[test]
fn every_kind_comes_as_it_was_sent() {
    let mut receiver = Receiver::new();
    let mut exporter = Exporter::new("192.0.2.1:5000", 7);
    let names = names(1, 50, 400);
    let mut sizes = Quantiles::even();
    (1..=100u16).for_each(|size| sizes.update(f32::from(size)));
    let (list, different) = (list_of(&names), cardinality_of(&names));
    receiver.take(
        &mut exporter,
        &[
            Sent::counter("packets", 0, 17),
            Sent::cardinality("dns.qname", 0, &different),
            Sent::list("dns.qname.top", 0, &list, 3),
            Sent::quantiles("packet.size", 0, &sizes),
        ],
    );
    let counters = receiver.settle();
    assert_eq!((counters.received, counters.stored, counters.summaries), (4, 4, 4));
    assert_eq!((counters.images, counters.refused), (3, [0; 4]));

    let packets = receiver.metric("packets");
    assert_eq!(packets["rows"][0]["value"], 17);
    assert_eq!(packets["metrics"][0]["without_image"], 0, "a sum needs none");
    assert_eq!(packets["metrics"][0]["from"], "2026-01-01T00:00:00Z");
    assert_eq!(packets["metrics"][0]["to"], "2026-01-01T00:01:00Z");

    // The name asks for the number and for the list, not for names that only begin alike.
    let answer = receiver.metric("dns.qname");
    let of = |metric: &str| -> Vec<Json> {
        let rows = answer["rows"].as_array().unwrap();
        rows.iter().filter(|row| row["metric"] == metric).cloned().collect()
    };
    let estimate = different.estimate();
    assert_eq!(of("dns.qname")[0]["value"], estimate.value);
    assert_eq!(of("dns.qname")[0]["lower"], estimate.lower);
    assert_eq!(of("dns.qname")[0]["upper"], estimate.upper);
    let (rows, sent) = (of("dns.qname.top"), list.rows(10));
    assert_eq!(rows.len(), 10, "more than the three that could be read");
    for (row, sent) in rows.iter().zip(&sent) {
        assert_eq!(row["item"].as_str().unwrap().as_bytes(), sent.item.octets());
        assert_eq!(
            (&row["value"], &row["lower"]),
            (&json!(sent.weight), &json!(sent.limits[0]))
        );
    }
    assert_eq!(receiver.metric("dns")["metrics"].as_array().unwrap().len(), 2);

    let request = SummariesRequest {
        ranks: vec![0.0, 0.25, 1.0],
        ..asking("packet.size")
    };
    let values: Vec<f64> = receiver.ask(&request)["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["value"].as_f64().unwrap())
        .collect();
    assert_eq!(values, [1.0, 25.0, 100.0]);
}

#[test]
fn an_image_in_parts_is_whole_in_whatever_order_they_come() {
    let list = list_of(&names(2, 5_000, 4_000));
    let sent = Sent::list("dns.qname.top", 0, &list, 10);
    let whole = sent.part.clone().unwrap().4;
    let mut next = numbers(3);
    for octets in [1_200, 7, whole.len() - 1] {
        let parts = sent.split(octets.max(whole.len() / 900));
        for round in 0..3 {
            let mut receiver = Receiver::new();
            let mut exporter = Exporter::new("192.0.2.1:5000", 7);
            let mut parts = parts.clone();
            match round {
                0 => {}
                1 => parts.reverse(),
                _ => parts.sort_by_cached_key(|_| next()),
            }
            receiver.take(&mut exporter, &parts);
            let counters = receiver.settle();
            assert_eq!(counters.stored, parts.len() as u64);
            assert_eq!((counters.summaries, counters.images, counters.waiting), (1, 1, 0));
            assert_eq!(counters.parts_octets, 0);
            let answer = receiver.metric("dns.qname.top");
            assert_eq!(answer["metrics"][0]["weight"], list.weight());
            assert_eq!(answer["rows"][0]["value"], list.rows(1)[0].weight);
        }
    }
}

#[test]
fn parts_that_do_not_come_leave_what_can_be_read() {
    let list = list_of(&names(4, 5_000, 4_000));
    let parts = Sent::list("dns.qname.top", 0, &list, 10).split(1_200);
    let mut receiver = Receiver::new();
    let mut exporter = Exporter::new("192.0.2.1:5000", 7);
    receiver.take(&mut exporter, &parts[..parts.len() - 1]);
    // Of another window only a later part comes: nothing of it can be read.
    let mut later = parts[1].clone();
    later.window_ms = (T0_MS + MINUTE_MS, T0_MS + 2 * MINUTE_MS);
    receiver.take(&mut exporter, &[later]);
    assert_eq!(receiver.settle().waiting, parts.len() as u64);
    receiver.kept.handle_timeout(LATER_NS).unwrap();
    let counters = receiver.settle();
    assert_eq!((counters.stored, counters.summaries, counters.images), (1, 1, 0));
    assert_eq!(counters.incomplete, parts.len() as u64 - 1);
    assert_eq!((counters.expired, counters.waiting), (2, 0));

    let answer = receiver.metric("dns.qname.top");
    let about = &answer["metrics"][0];
    assert_eq!((&about["without_image"], &about["left_out"]), (&json!(1), &json!(0)));
    // What is behind the rows is not known: each of the others has at most the weight of the last.
    assert_eq!(about["error"], list.rows(10)[9].limits[1]);
    let rows = answer["rows"].as_array().unwrap();
    for (row, sent) in rows.iter().zip(list.rows(10)) {
        assert_eq!(row["value"], sent.weight);
        assert_eq!(row["lower"], sent.limits[0]);
        assert_eq!(row["upper"], sent.limits[1]);
    }
}

#[test]
fn what_comes_twice_counts_once_and_what_differs_adds_up() {
    let mut receiver = Receiver::new();
    let mut exporter = Exporter::new("192.0.2.1:5000", 7);
    let parts = Sent::list("dns.qname.top", 0, &list_of(&names(5, 3_000, 3_000)), 10).split(1_000);
    let (first, rest) = parts.split_at(2);
    receiver.take(&mut exporter, first);
    receiver.take(&mut exporter, first);
    receiver.take(&mut exporter, rest);
    receiver.take(&mut exporter, &parts);
    receiver.take(
        &mut exporter,
        &[Sent::counter("packets", 0, 5), Sent::counter("packets", 0, 5)],
    );
    // The exporter was started again within the window: what it says is about other packets.
    let mut restarted = Exporter::new("192.0.2.1:5001", 7);
    receiver.take(&mut restarted, &[Sent::counter("packets", 0, 3)]);
    let counters = receiver.settle();
    assert_eq!(counters.summaries, 3);
    assert_eq!(counters.stored, parts.len() as u64 + 2);
    assert_eq!(counters.repeated, 2 + parts.len() as u64 + 1);
    let packets = receiver.metric("packets");
    assert_eq!(packets["rows"][0]["value"], 8);
    assert_eq!(packets["metrics"][0]["exporters"], 1);
    assert_eq!(packets["metrics"][0]["windows"], 1);
    assert_eq!(packets["metrics"][0]["summaries"], 2);
}

/// Parts that never become whole, from more exporters than there is room for.
#[test]
fn memory_is_bounded_whatever_comes() {
    let mut receiver = Receiver::new();
    let octets = vec![7u8; 30_000];
    let mut sent = 0;
    for port in 1..=1_500u16 {
        let mut exporter = Exporter::new(&format!("192.0.2.1:{port}"), 7);
        let mut part = Sent::counter("dns.qname.top", 0, 0);
        part.kind = Kind::FrequentItems as u8;
        part.readable = None;
        part.part = Some((FAMILY_FREQUENCY, 10, 60_000, 0, octets.clone()));
        receiver.take(&mut exporter, &[part]);
        sent += 1;
        assert!(receiver.kept.counters().parts_octets <= SUMMARY_IMAGES_OCTETS);
    }
    let counters = receiver.settle();
    assert_eq!(counters.received, sent);
    assert!(counters.evicted > 300, "{counters:?}");
    assert_eq!(counters.incomplete, counters.evicted);
    receiver.kept.close(T0_MS * NS_PER_MS).unwrap();
    let counters = receiver.settle();
    assert_eq!((counters.waiting, counters.incomplete), (0, sent));
    assert_eq!(counters.parts_octets, 0);
}
