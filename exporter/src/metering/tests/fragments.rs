//! Fragments in order, out of order, late and never complete.

use super::*;

/// A fragment of a UDP datagram from A to B or back, at an offset in octets.
fn fragment(from: End, id: u16, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = ipv4(from, 17, payload);
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    let field = (u16::from(more) << 13) | (offset / 8);
    packet[6..8].copy_from_slice(&field.to_be_bytes());
    packet
}

fn first(from: End, id: u16) -> Vec<u8> {
    fragment(from, id, 0, true, &udp(from, 53, 40))
}

fn later(from: End, id: u16, offset: u16) -> Vec<u8> {
    fragment(from, id, offset, offset < 96, &[0; 48])
}

fn fragment_counters(story: &Story) -> [u64; 6] {
    let counters = story.meter.counters();
    [
        counters.later_fragments,
        counters.fragments_joined,
        counters.fragments_joined_late,
        counters.fragments_timed_out,
        counters.fragments_displaced,
        counters.fragments_waiting,
    ]
}

#[test]
fn fragments_join_the_flow_of_the_first_one_in_any_order() {
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [1, 0, 2]] {
        let mut story = Story::new(MeterConfig::default());
        for (at, number) in order.into_iter().enumerate() {
            let packet = match number {
                0 => first(A, 7),
                number => later(A, 7, 48 * number),
            };
            story.frame(at as i64 * MS, &packet);
        }
        let joined = 2 - order.iter().position(|number| *number == 0).unwrap_or(0) as u64;
        assert_eq!(fragment_counters(&story), [2, joined, 2 - joined, 0, 0, 0], "{order:?}");
        let [record] = &story.finish()[..] else {
            panic!("one record: {order:?}")
        };
        assert_eq!((record.key.src_port, record.key.dst_port), (40_000, 53));
        assert_eq!(
            (counts(record)[0], times(record)),
            ((3, 3 * 68), (0, 2 * MS)),
            "{order:?}"
        );
        assert_eq!((record.forward.first_ns - T0, record.forward.last_ns - T0), (0, 2 * MS));
    }
}

#[test]
fn fragments_of_one_group_join_the_flow_from_before_it() {
    let mut story = Story::new(MeterConfig::default());
    story.group(0, &[ipv4(A, 17, &udp(A, 53, 40))]);
    story.group(MS, &[first(A, 7), later(A, 7, 48), later(A, 7, 96)]);
    assert_eq!(fragment_counters(&story), [2, 2, 0, 0, 0, 0]);
    let records = story.finish();
    assert_eq!(
        records.iter().map(|record| counts(record)[0]).collect::<Vec<_>>(),
        [(4, 4 * 68)]
    );
}

#[test]
fn each_direction_and_each_datagram_has_its_own() {
    let mut story = Story::new(MeterConfig::default());
    story.frame(0, &first(A, 7));
    story.frame(MS, &first(B, 7));
    story.frame(2 * MS, &later(B, 7, 48));
    story.frame(3 * MS, &later(A, 7, 48));
    story.frame(4 * MS, &later(A, 8, 48));
    assert_eq!(fragment_counters(&story), [3, 2, 0, 0, 0, 1]);
    let records = story.finish();
    let [record, alone] = &records[..] else {
        panic!("two records: {records:?}")
    };
    assert_eq!(counts(record), [(2, 2 * 68), (2, 2 * 68)]);
    assert_eq!((alone.key.src_port, alone.key.dst_port, alone.key.protocol), (0, 0, 17));
    assert_eq!((counts(alone)[0], times(alone)), ((1, 68), (4 * MS, 4 * MS)));
    assert_eq!(fragment_counters(&story), [3, 2, 0, 1, 0, 0]);
}

#[test]
fn a_first_fragment_that_never_comes_is_waited_for_30_s() {
    let mut story = Story::new(MeterConfig::default());
    story.frame(0, &later(A, 7, 48));
    story.frame(SECOND, &later(A, 7, 96));
    story.meter.handle_timeout(T0 + 30 * SECOND);
    assert_eq!(fragment_counters(&story), [2, 0, 0, 0, 0, 2]);
    assert_eq!(story.meter.counters().packets_metered, 2);
    // The flow they are counted in has been idle for long.
    story.meter.handle_timeout(T0 + 31 * SECOND);
    assert_eq!(fragment_counters(&story), [2, 0, 0, 2, 0, 0]);
    let [record] = &story.records()[..] else {
        panic!("one record")
    };
    assert_eq!((counts(record)[0], times(record)), ((2, 136), (0, SECOND)));
    assert_eq!(record.end_reason, FlowEndReason::IdleTimeout);
    assert_eq!(story.finish(), []);
}

#[test]
fn a_flood_of_fragments_displaces_the_oldest() {
    let config = MeterConfig {
        max_flows: 100,
        ..MeterConfig::default()
    };
    let mut story = Story::new(config);
    for id in 0..1000 {
        story.frame(i64::from(id), &later(A, id, 48));
    }
    // A table for 100 flows remembers 64 datagrams.
    assert_eq!(fragment_counters(&story), [1000, 0, 0, 0, 936, 64]);
    let records = story.finish();
    let [record] = &records[..] else {
        panic!("one record: {records:?}")
    };
    assert_eq!(counts(record)[0], (1000, 68_000));
    assert_eq!(times(record), (0, 999));
}

#[test]
fn fragments_of_ipv6_join_whatever_the_first_one_says_of_their_protocol() {
    let ipv6 = |next: u8, offset: u16, more: bool, payload: &[u8]| {
        let length = (8 + payload.len()) as u16;
        let field = offset | u16::from(more);
        [
            &[0x60, 0, 0, 0][..],
            &length.to_be_bytes(),
            &[44, 61],
            &[0x20; 16],
            &[0x30; 16],
            &[next, 0],
            &field.to_be_bytes(),
            &[0, 0, 0, 9],
            payload,
        ]
        .concat()
    };
    // The fragmented part begins with destination options, behind which is UDP: only the first fragment shows that.
    let options = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &udp(A, 53, 40)].concat();
    let mut story = Story::new(MeterConfig::default());
    story.frame(0, &ipv6(60, 56, false, &[0; 16]));
    story.frame(MS, &ipv6(60, 0, true, &options));
    story.frame(2 * MS, &ipv6(60, 72, false, &[0; 16]));
    assert_eq!(fragment_counters(&story), [2, 1, 1, 0, 0, 0]);
    let [record] = &story.finish()[..] else {
        panic!("one record")
    };
    assert_eq!((record.key.protocol, record.key.dst_port), (17, 53));
    assert_eq!(counts(record)[0], (3, (48 + 56) + 2 * (48 + 16)));
}

#[test]
fn fragments_are_left_out_with_their_flow() {
    let sampling = Sampling::Fixed(sampling::Algorithm::Flows { interval: 2 });
    let (mut taken, mut left_out) = (0, 0);
    for hash_seed in 0..16 {
        let mut story = Story::new(MeterConfig {
            sampling,
            hash_seed,
            ..MeterConfig::default()
        });
        story.frame(0, &later(A, 7, 48));
        story.frame(MS, &first(A, 7));
        story.frame(2 * MS, &later(A, 7, 96));
        let counters = story.meter.counters().clone();
        assert!(story.meter.finish(FlowEndReason::ForcedEnd));
        let records = story.records();
        assert_eq!(counters.packets_seen, counters.packets_metered + counters.sampled_out);
        match counters.packets_metered {
            3 => {
                assert_eq!(counts(&records[0])[0].0, 3);
                taken += 1;
            }
            0 => {
                assert_eq!((records.len(), counters.octets_metered), (0, 0));
                left_out += 1;
            }
            packets => panic!("{packets} of 3 fragments"),
        }
    }
    assert!(taken > 2 && left_out > 2, "{taken} taken, {left_out} left out");
}
