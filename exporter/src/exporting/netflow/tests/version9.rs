//! Version 9: templates, options, sequence numbers, and flows of every form.

use proptest::prelude::*;

use super::*;
use crate::exporting::netflow::NetFlow9;
use crate::exporting::netflow::table::{self, Variant};
use crate::exporting::netflow::uptime::RANGE_MS;
use crate::exporting::{Loss, Volume};
use crate::metering::FoldRecord;
use crate::metering::labels::LabelRecord;
use crate::metering::records::Place;
use crate::metering::sampling::{Algorithm, Sampling, Selector};

const NOTHING: Volume = Volume {
    flows: 0,
    packets: 0,
    octets: 0,
};

fn nothing_left(encoder: &mut NetFlow9) {
    assert_eq!(
        encoder.take_refused(),
        [(Loss::NotExpressible, NOTHING), (Loss::Failed, NOTHING)]
    );
}

#[test]
fn a_biflow_leaves_as_two_flows_and_counts_once() {
    let mut encoder = NetFlow9::new(config(1400), &[]);
    let records = [samples::udp(), samples::tcp(), samples::icmp6()];
    encoder.handle_records(NOW, &batch(&records));
    let heard = hear(&mut Peer::new(0x0107), &mut encoder, 1400);
    assert_eq!((heard.flow_records, heard.records, heard.datagrams), (3, 5, 1));
    assert_eq!(heard.flows, expected(&records));
    assert_eq!((heard.templates, heard.options_templates), (3, 0));
    nothing_left(&mut encoder);
    assert_eq!(encoder.take_reduced(), 0);
}

#[test]
fn templates_go_again_by_count_and_by_time() {
    let mut config = config(512);
    config.template_refresh_messages = 10;
    let mut encoder = NetFlow9::new(config, &[]);
    let mut peer = Peer::new(0x0107);
    let records: Vec<_> = std::iter::repeat_with(samples::tcp).take(200).collect();
    encoder.handle_records(NOW, &batch(&records));
    let heard = hear(&mut peer, &mut encoder, 512);
    assert_eq!(heard.flow_records, 200);
    assert_eq!(
        heard.templates as u64,
        heard.datagrams.div_ceil(10),
        "at the front, and before every tenth"
    );
    assert!(heard.templates > 3);
    // By time, also while there are no flows.
    assert!(!encoder.handle_timeout(NOW + 599_000_000_000));
    assert_eq!(hear(&mut peer, &mut encoder, 512).templates, 0);
    assert!(
        encoder.handle_timeout(NOW + 600_000_000_000),
        "statistics are due as well"
    );
    encoder.handle_statistics(NOW + 600_000_000_000, &statistics());
    let heard = hear(&mut peer, &mut encoder, 512);
    assert_eq!(
        (heard.templates, heard.options_templates, heard.options.len()),
        (1, 1, 1)
    );
    assert!(!encoder.handle_timeout(NOW + 601_000_000_000));
    assert!(drain(&mut encoder).is_empty());
}

#[test]
fn statistics_say_what_left() {
    let mut encoder = NetFlow9::new(config(1400), &[]);
    encoder.handle_statistics(NOW, &statistics());
    let heard = hear(&mut Peer::new(0x0107), &mut encoder, 1400);
    let [(scope, fields)] = &*heard.options else {
        panic!("{heard:?}")
    };
    assert_eq!(scope, &[0, 1]);
    let told = [40, 41, 42].map(|id| u64::from_be_bytes(fields[&id][..].try_into().unwrap()));
    assert_eq!(told, [1 << 33, 17, 4242]);
    // Also where a capture had no flows: then it is now.
    let mut config = config(1400);
    config.from_files = true;
    let mut encoder = NetFlow9::new(config, &[]);
    encoder.handle_statistics(NOW, &statistics());
    let datagrams = drain(&mut encoder);
    assert_eq!(
        datagrams[0].bytes[8..12],
        u32::to_be_bytes((NOW / 1_000_000_000) as u32 + 1)
    );
}

/// What each way of sampling says, by hand from RFC 3954 section 8 and RFC 5477.
#[test]
fn sampling_is_told_before_the_first_flow() {
    let of = |algorithm| Sampling::Fixed(algorithm).selectors();
    for (selectors, mode, interval, exactly) in [
        (of(Algorithm::Systematic { interval: 1, space: 99 }), 1, 100, None),
        (
            of(Algorithm::RandomOutOf {
                size: 1,
                population: 64,
            }),
            2,
            64,
            None,
        ),
        (of(Algorithm::Probability(0.01)), 2, 100, None),
        (of(Algorithm::Flows { interval: 16 }), 2, 16, None),
        (of(Algorithm::Systematic { interval: 2, space: 3 }), 1, 3, Some(311)),
        (
            of(Algorithm::RandomOutOf {
                size: 3,
                population: 10,
            }),
            2,
            3,
            Some(311),
        ),
    ] {
        let mut encoder = NetFlow9::new(config(1400), &selectors);
        let mut record = samples::udp();
        record.selector = 1;
        encoder.handle_records(NOW, &batch(&[record]));
        let datagrams = drain(&mut encoder);
        let mut peer = Peer::new(0x0107);
        let options = peer.hear(&datagrams[0].bytes);
        assert_eq!((options.records, options.options.len()), (0, 2), "{selectors:?}");
        let (sampler, all) = (&options.options[0].1, &options.options[1].1);
        assert_eq!((&sampler[&48][..], &sampler[&49][..]), (&[1][..], &[mode][..]));
        assert_eq!(sampler[&50], u32::to_be_bytes(interval));
        assert_eq!(
            (&all[&34][..], &all[&35][..]),
            (&u32::to_be_bytes(interval)[..], &[mode][..])
        );
        assert_eq!(all.keys().find(|id| **id > 50).copied(), exactly);
        let flows = peer.hear(&datagrams[1].bytes);
        assert_eq!((flows.records, flows.fields[&48]), (2, 1));
    }
    // Of several Selectors none holds for all.
    let mut encoder = NetFlow9::new(config(1400), &Sampling::Adaptive.selectors());
    encoder.handle_records(NOW, &batch(&[samples::udp()]));
    let heard = hear(&mut Peer::new(0x0107), &mut encoder, 1400);
    assert_eq!(heard.options.len(), 12);
    assert!(heard.options.iter().all(|(_, fields)| !fields.contains_key(&34)));
    assert!(
        Sampling::Adaptive
            .selectors()
            .iter()
            .all(|selector| u8::try_from(selector.id).is_ok())
    );
    assert_eq!(NetFlow9::new(config(1400), &[Selector::EVERYTHING]).announced(), (0, 0));
}

#[test]
fn labels_vlans_and_folds_have_their_numbers() {
    let mut records = batch(&[samples::tcp(), samples::udp()]);
    let labels = LabelRecord {
        top: [0x1234_5678, 0],
        depth: [2, 0],
    };
    records.flows[0].key.vlan = [100, 7];
    records.flows[0].labels = Place::push(&mut records.labels, labels);
    let fold = FoldRecord {
        flows: 70_000,
        ..FoldRecord::default()
    };
    records.flows[1].fold = Place::push(&mut records.folds, fold);
    let mut encoder = NetFlow9::new(config(1400), &[]);
    encoder.handle_records(NOW, &records);
    let heard = hear(&mut Peer::new(0x0107), &mut encoder, 1400);
    for (number, octets) in [
        (58, 2),
        (245, 2),
        (70, 3),
        (3, 4),
        (56, 6),
        (80, 6),
        (52, 1),
        (53, 1),
        (136, 1),
    ] {
        assert_eq!(heard.fields.get(&number), Some(&octets), "{number}");
    }
    assert_eq!(heard.flow_records, 2);
}

#[test]
fn what_is_no_flow_is_counted_as_such() {
    let mut encoder = NetFlow9::new(config(1400), &[]);
    let mut records = batch(&[samples::udp()]);
    records.summaries = summaries(3);
    encoder.handle_records(NOW, &records);
    assert_eq!(hear(&mut Peer::new(0x0107), &mut encoder, 1400).flow_records, 1);
    let [(loss, left), _] = encoder.take_refused();
    assert_eq!((loss, left.flows), (Loss::NotExpressible, 3));
    nothing_left(&mut encoder);
}

#[test]
fn a_flow_of_months_says_its_times_otherwise() {
    let mut record = samples::tcp();
    record.start_ns = record.end_ns - (RANGE_MS + 1) * 1_000_000;
    let records = [timed(record), samples::udp()];
    let mut encoder = NetFlow9::new(config(1400), &[]);
    encoder.handle_records(NOW, &batch(&records));
    let heard = hear(&mut Peer::new(0x0107), &mut encoder, 1400);
    assert_eq!(heard.flows, expected(&records));
    assert_eq!(heard.fields.get(&152), Some(&8));
    assert_eq!(heard.fields.get(&22), Some(&4), "the others as ever");
}

#[test]
fn captures_from_files_leave_at_their_own_time() {
    let mut config = config(1400);
    config.from_files = true;
    let selectors = Sampling::Fixed(Algorithm::Systematic { interval: 1, space: 9 }).selectors();
    let mut encoder = NetFlow9::new(config, &selectors);
    let mut peer = Peer::new(0x0107);
    for (year, options) in [(30, 2), (40, 2), (35, 0)] {
        let mut record = samples::udp();
        let ago = year * 365 * 86_400_000_000_000;
        (record.start_ns, record.end_ns) = (record.start_ns - ago, record.end_ns - ago);
        let records = [timed(record)];
        encoder.handle_records(NOW, &batch(&records));
        let heard = hear(&mut peer, &mut encoder, 1400);
        assert_eq!(heard.flows, expected(&records));
        assert!(
            heard.uptimes.iter().all(|uptime| *uptime <= 86_401_000),
            "{:?}",
            heard.uptimes
        );
        assert_eq!(heard.options.len(), options, "sampling is told again for a time before");
    }
}

#[test]
fn templates_run_out_in_good_order() {
    let mut encoder = NetFlow9::new(config(1400), &[]);
    let all = (0..table::VARIANTS as u16).map(Variant);
    let mut reduced = 0;
    for variant in all {
        let mut less = false;
        if let Some(place) = encoder.template(variant, &mut less) {
            assert!(place < crate::exporting::limits::FLOW_TEMPLATES);
        }
        reduced += u64::from(less);
    }
    assert!(reduced > 0);
    assert_eq!(encoder.announced().0, crate::exporting::limits::FLOW_TEMPLATES);
}

#[test]
fn names_of_fields_are_those_of_the_registry() {
    use flowgauge_ie_registry::{ElementId, Registry};
    for (number, name) in table::NAMES {
        let element = Registry::builtin().element(ElementId::netflow9(*number));
        assert!(element.is_some(), "{name} = {number} is no field type");
    }
    // Every template fits the smallest packet twice, with its own announcement.
    for variant in (0..table::VARIANTS as u16).map(Variant) {
        let fields = table::fields(variant);
        assert!(20 + 2 * (4 + table::octets(&fields)) + 8 + 4 * fields.len() <= 512);
    }
}

proptest! {
    #[test]
    fn any_records_are_heard_as_they_are(
        records in proptest::collection::vec(samples::any_record().prop_map(timed), 1..120),
        max_octets in 512usize..1500,
        from_files in any::<bool>(),
    ) {
        let mut config = config(max_octets);
        (config.from_files, config.template_refresh_messages) = (from_files, 5);
        let mut encoder = NetFlow9::new(config, &[]);
        let mut peer = Peer::new(0x0107);
        for batch_of in records.chunks(50) {
            encoder.handle_records(NOW, &batch(batch_of));
            let heard = hear(&mut peer, &mut encoder, max_octets);
            prop_assert_eq!(heard.flow_records, batch_of.len() as u64);
            prop_assert_eq!(heard.flows, expected(batch_of));
        }
        nothing_left(&mut encoder);
    }
}
