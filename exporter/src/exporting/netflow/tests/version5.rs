//! Version 5: what fits into 48 octets, and that the rest is counted.

use proptest::prelude::*;

use super::*;
use crate::exporting::Loss;
use crate::exporting::limits::NETFLOW5_SPLIT_RECORDS;
use crate::exporting::netflow::{NetFlow5, faults};
use crate::metering::sampling::{Algorithm, Sampling};

const MAX: u64 = u32::MAX as u64;

fn encoder(max_octets: usize) -> NetFlow5 {
    NetFlow5::new(config(max_octets), &[])
}

fn not_expressible(encoder: &mut NetFlow5) -> (u64, u64, u64) {
    let [(loss, left), (_, refused)] = encoder.take_refused();
    assert_eq!((loss, refused.flows), (Loss::NotExpressible, 0));
    (left.flows, left.packets, left.octets)
}

#[test]
fn thirty_a_datagram_where_they_fit() {
    let records: Vec<_> = std::iter::repeat_with(samples::tcp).take(100).collect();
    for (max_octets, most) in [(512, 10), (1400, 28), (1464, 30), (9000, 30)] {
        let mut encoder = encoder(max_octets);
        encoder.handle_records(NOW, &batch(&records));
        let heard = hear(&mut Peer::new(0x0107), &mut encoder, max_octets);
        assert_eq!(
            (heard.records, heard.datagrams),
            (200, 200u64.div_ceil(most)),
            "{max_octets}"
        );
        assert_eq!((heard.flow_records, not_expressible(&mut encoder)), (100, (0, 0, 0)));
        assert_eq!(heard.flows, expected(&records));
    }
}

#[test]
fn ipv6_and_summaries_are_not_expressible() {
    let mut encoder = encoder(1400);
    let mut records = batch(&[samples::udp(), samples::icmp6()]);
    records.summaries = summaries(2);
    encoder.handle_records(NOW, &records);
    let heard = hear(&mut Peer::new(0x0107), &mut encoder, 1400);
    assert_eq!((heard.flow_records, heard.records), (1, 2));
    let icmp6 = samples::icmp6().forward;
    assert_eq!(not_expressible(&mut encoder), (3, icmp6.packets, icmp6.octets));
    assert_eq!(not_expressible(&mut encoder), (0, 0, 0), "once");
}

#[test]
fn counters_beyond_32_bits_are_split_and_add_up() {
    for (packets, octets, parts) in [
        (MAX, MAX, 1),
        (1000, MAX + 1, 2),
        (10_000_000, 10 * MAX + 3, 11),
        (MAX + 1, 64 * MAX + 64, 65),
    ] {
        let mut record = samples::tcp();
        (record.forward.packets, record.forward.octets) = (packets, octets);
        let records = [record];
        let mut encoder = encoder(1400);
        encoder.handle_records(NOW, &batch(&records));
        let heard = hear(&mut Peer::new(0x0107), &mut encoder, 1400);
        assert_eq!((heard.records, heard.flow_records), (parts + 1, 1));
        assert_eq!(heard.flows, expected(&records));
        assert_eq!(not_expressible(&mut encoder), (0, 0, 0));
    }
    let mut record = samples::tcp();
    record.forward.octets = NETFLOW5_SPLIT_RECORDS * MAX;
    let mut encoder = encoder(1400);
    encoder.handle_records(NOW, &batch(&[record]));
    assert!(drain(&mut encoder).is_empty());
    assert_eq!(not_expressible(&mut encoder).0, 1);
}

#[test]
fn interfaces_beyond_16_bits_are_unknown_and_counted() {
    let mut records = [samples::tcp(), samples::udp()];
    records[0].key.interface = 65_536;
    records[1].key.interface = 65_535;
    let mut encoder = encoder(1400);
    encoder.handle_records(NOW, &batch(&records));
    assert_eq!(encoder.take_reduced(), 1);
    records[0].key.interface = 0;
    assert_eq!(
        hear(&mut Peer::new(0x0107), &mut encoder, 1400).flows,
        expected(&records)
    );
}

/// Mode and interval of the header after Cisco's table, a datagram for each Selector.
#[test]
fn sampling_is_in_the_header() {
    let of = |algorithm| Sampling::Fixed(algorithm).selectors();
    for (selectors, field) in [
        (of(Algorithm::Systematic { interval: 1, space: 99 }), 0x4000 | 100),
        (
            of(Algorithm::RandomOutOf {
                size: 1,
                population: 16_383,
            }),
            0x8000 | 16_383,
        ),
        (
            of(Algorithm::RandomOutOf {
                size: 1,
                population: 16_384,
            }),
            0x8000,
        ),
    ] {
        let mut encoder = NetFlow5::new(config(1400), &selectors);
        let mut record = samples::udp();
        record.selector = 1;
        encoder.handle_records(NOW, &batch(&[record]));
        assert_eq!(hear(&mut Peer::new(0x0107), &mut encoder, 1400).sampling, [field]);
    }
    let mut encoder = NetFlow5::new(config(1400), &Sampling::Adaptive.selectors());
    let mut records = [samples::udp(), samples::udp(), samples::udp()];
    (records[1].selector, records[2].selector) = (3, 3);
    encoder.handle_records(NOW, &batch(&records));
    let heard = hear(&mut Peer::new(0x0107), &mut encoder, 1400);
    assert_eq!((heard.sampling, heard.flow_records), (vec![0, 0x4000 | 8], 3));
}

#[test]
fn what_will_not_arrive_right_is_said_at_the_start() {
    let of = |algorithm| Sampling::Fixed(algorithm).selectors();
    let whole = of(Algorithm::Systematic {
        interval: 1,
        space: 99_999,
    });
    assert_eq!(faults(false, 70_000, &whole).len(), 0);
    assert_eq!(faults(true, 70_000, &whole).len(), 2);
    assert_eq!(faults(true, 65_535, &of(Algorithm::Probability(0.3))).len(), 1);
    assert_eq!(faults(true, 1, &Sampling::Adaptive.selectors()).len(), 0);
}

/// ICMP has a type and nothing else has.
fn with_icmp(mut record: FlowRecord) -> FlowRecord {
    let is_icmp = [1, 58].contains(&record.key.protocol);
    record.icmp = record.icmp.map(|icmp| is_icmp.then(|| icmp.unwrap_or(0x0303)));
    record
}

proptest! {
    #[test]
    fn what_is_ipv4_is_heard_and_the_rest_counted(
        records in proptest::collection::vec(samples::any_record().prop_map(timed).prop_map(with_icmp), 1..120),
        max_octets in 512usize..1500,
        from_files in any::<bool>(),
    ) {
        let parts = |record: &FlowRecord| -> u64 {
            let of = |way: &Direction| way.packets.max(way.octets).div_ceil(MAX).max(1);
            of(&record.forward) + if record.reverse.packets > 0 { of(&record.reverse) } else { 0 }
        };
        let fits = |record: &FlowRecord| record.key.src.is_ipv4() && parts(record) <= NETFLOW5_SPLIT_RECORDS;
        let mut config = config(max_octets);
        config.from_files = from_files;
        let mut encoder = NetFlow5::new(config, &[]);
        encoder.handle_records(NOW, &batch(&records));
        let heard = hear(&mut Peer::new(0x0107), &mut encoder, max_octets);
        let mut sent: Vec<_> = records.iter().filter(|record| fits(record)).cloned().collect();
        prop_assert_eq!(heard.flow_records, sent.len() as u64);
        prop_assert_eq!(not_expressible(&mut encoder).0, (records.len() - sent.len()) as u64);
        let wide = sent.iter().filter(|record| record.key.interface > 65_535).count() as u64;
        prop_assert_eq!(encoder.take_reduced(), wide);
        for record in &mut sent {
            if record.key.interface > 65_535 {
                record.key.interface = 0;
            }
        }
        prop_assert_eq!(heard.flows, expected(&sent));
    }
}
