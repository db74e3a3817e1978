//! Images and records that lie: refused and counted, what can be read beside them stays, nothing panics.

use flowgauge_sketches::Refusal;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn refusals(counters: &super::super::SummaryCounters) -> Vec<(&'static str, u64)> {
    let all = Refusal::ALL
        .iter()
        .map(|refusal| refusal.as_str())
        .zip(counters.refused);
    all.filter(|(_, count)| *count > 0).collect()
}

#[test]
fn images_that_lie_are_refused_and_their_readable_values_stay() {
    let names = names(1, 500, 2_000);
    let different = cardinality_of(&names);
    let good = different.image();
    let changed = |at: usize, octet: u8| {
        let mut image = good.clone();
        image[at] = octet;
        image
    };
    let parameter = different.parameter();
    // Octet 2 is the family, octet 3 lg k (Apache DataSketches, HllSketch preamble).
    let cases: [(&str, u8, u16, Vec<u8>); 7] = [
        ("family", 3, 11, vec![3, 3, 3, 0, 0, 0x1e, 0xcc, 0x93]),
        ("family", FAMILY_HLL, parameter, changed(2, FAMILY_FREQUENCY)),
        ("family", FAMILY_FREQUENCY, parameter, good.clone()),
        ("size", FAMILY_HLL, parameter, changed(3, 21)),
        ("size", FAMILY_HLL, parameter + 1, good.clone()),
        ("cut", FAMILY_HLL, parameter, good[..2].to_vec()),
        ("corrupt", FAMILY_HLL, parameter, good[..good.len() / 2].to_vec()),
    ];
    for (reason, family, parameter, image) in cases {
        let mut receiver = Receiver::new();
        let mut exporter = Exporter::new("192.0.2.1:5000", 7);
        let mut sent = Sent::cardinality("dns.qname", 0, &different);
        sent.part = Some((family, parameter, image.len(), 0, image));
        receiver.take(&mut exporter, &[sent]);
        let counters = receiver.settle();
        assert_eq!(refusals(&counters), [(reason, 1)], "{family} {parameter}");
        assert_eq!((counters.stored, counters.summaries, counters.images), (1, 1, 0));
        let answer = receiver.metric("dns.qname");
        assert_eq!(answer["rows"][0]["value"], different.estimate().value);
        assert_eq!(answer["stats"]["without_image"], 1);
    }
}

#[test]
fn an_image_in_parts_that_is_refused_costs_its_parts() {
    let list = list_of(&names(2, 5_000, 4_000));
    let mut sent = Sent::list("dns.qname.top", 0, &list, 10);
    if let Some((_, _, _, _, image)) = &mut sent.part {
        image[2] = FAMILY_HLL;
    }
    let parts = sent.split(1_200);
    let mut receiver = Receiver::new();
    receiver.take(&mut Exporter::new("192.0.2.1:5000", 7), &parts);
    let counters = receiver.settle();
    assert_eq!(refusals(&counters), [("family", 1)]);
    assert_eq!((counters.stored, counters.image_refused), (1, parts.len() as u64 - 1));
}

#[test]
fn records_that_make_no_sense_are_counted() {
    let good = Sent::counter("packets", 0, 5);
    let wrong = |change: fn(&mut Sent)| {
        let mut sent = good.clone();
        change(&mut sent);
        sent
    };
    let different = cardinality_of(&names(1, 50, 50));
    let mut upside_down = Sent::cardinality("dns.qname", 0, &different).without_image();
    if let Some(Readable::Cardinality(estimate)) = &mut upside_down.readable {
        (estimate.lower, estimate.upper) = (estimate.upper + 1.0, estimate.lower);
    }
    let mut no_number = upside_down.clone();
    if let Some(Readable::Cardinality(estimate)) = &mut no_number.readable {
        (estimate.value, estimate.lower, estimate.upper) = (f64::NAN, 0.0, 1.0);
    }
    let mut beyond = Sent::cardinality("dns.qname", 0, &different);
    if let Some((_, _, whole, _, octets)) = &mut beyond.part {
        *whole = octets.len() - 1;
    }
    let records = [
        wrong(|sent| sent.metric = ""),
        wrong(|sent| sent.metric = "with space"),
        wrong(|sent| sent.kind = 0),
        wrong(|sent| sent.kind = 9),
        wrong(|sent| sent.window_ms.1 = sent.window_ms.0),
        wrong(|sent| sent.window_ms.1 += 400 * 86_400_000),
        upside_down,
        no_number,
        beyond,
    ];
    let mut receiver = Receiver::new();
    let mut exporter = Exporter::new("192.0.2.1:5000", 7);
    receiver.take(&mut exporter, &records);
    receiver.take(&mut exporter, std::slice::from_ref(&good));
    let counters = receiver.settle();
    assert_eq!((counters.malformed, counters.stored), (records.len() as u64, 1));
    assert_eq!(
        counters.lost().into_iter().collect::<Vec<_>>(),
        [("summary_malformed", 9)]
    );
    assert_eq!(
        receiver.ask(&SummariesRequest::default())["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Octets of a Message turned over anywhere behind its header and templates' Sets.
    #[test]
    fn any_octets_are_met_with_an_answer(seed in any::<u64>(), flips in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..20)) {
        let mut receiver = Receiver::new();
        let mut exporter = Exporter::new("192.0.2.1:5000", 7);
        let names = names(seed | 1, 300, 400);
        let mut sizes = Quantiles::high();
        (0..200u16).for_each(|size| sizes.update(f32::from(size)));
        let records = [
            Sent::cardinality("dns.qname", 0, &cardinality_of(&names)),
            Sent::list("dns.qname.top", 0, &list_of(&names), 5),
            Sent::quantiles("dns.latency", 0, &sizes),
        ];
        let templates = exporter.messages(&records);
        for message in &templates {
            receiver.take_message(&exporter, message);
        }
        for message in exporter.messages(&[Sent::cardinality("dns.qname", 1, &cardinality_of(&names)),
            Sent::list("dns.qname.top", 1, &list_of(&names), 5), Sent::quantiles("dns.latency", 1, &sizes)]) {
            let mut message = message.clone();
            for (at, flip) in &flips {
                let at = 20 + at.index(message.len() - 20);
                message[at] ^= flip;
            }
            let key = SessionKey { listener: 0, peer: exporter.peer, connection: 5_000 };
            let mut rows = Vec::new();
            receiver.process.handle(T0_MS * NS_PER_MS, key, &message, &mut rows);
        }
        receiver.kept.close(T0_MS * NS_PER_MS).unwrap();
        let counters = receiver.kept.counters();
        prop_assert!(counters.is_balanced(), "{:?}", counters);
        prop_assert_eq!(receiver.process.totals().sum.internal_faults, 0);
        for metric in ["dns.qname", "dns.latency"] {
            let answer = summaries(&receiver.kept.segments(), &asking(metric)).unwrap().to_json();
            prop_assert!(answer["rows"].as_array().is_some_and(|rows| !rows.is_empty()), "{}", json!(answer));
        }
    }
}
