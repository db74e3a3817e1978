//! Stories in virtual time: frames go in at stated times, records and counters come out.

use std::net::IpAddr;

use flowgauge_templates::packet::{Fault, LinkType};

use super::*;
use crate::capture::{FramePlace, Frames};
use crate::limits;

mod flood;
mod fragments;

const SECOND: i64 = 1_000_000_000;
const MS: i64 = 1_000_000;
const T0: i64 = 1_767_225_600 * SECOND;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// Who sends: A to B or B to A.
#[derive(Clone, Copy, PartialEq)]
enum End {
    A,
    B,
}
use End::{A, B};

struct Story {
    meter: Meter,
}

impl Story {
    fn new(config: MeterConfig) -> Story {
        Story {
            meter: Meter::new(config),
        }
    }

    fn frame(&mut self, at: i64, packet: &[u8]) {
        self.meter
            .handle_frame(T0 + at, LinkType::RAW, packet, packet.len() as u32, 0);
    }

    /// Frames that are looked at together, all at one time.
    fn group(&mut self, at: i64, packets: &[Vec<u8>]) {
        let mut places = Vec::new();
        let mut start = 0;
        for packet in packets {
            places.push(FramePlace {
                time_ns: T0 + at,
                link_type: LinkType::RAW,
                interface: 0,
                wire_length: packet.len() as u32,
                start,
                captured: packet.len(),
                consumed: packet.len(),
            });
            start += packet.len();
        }
        self.meter.handle_frames(&Frames::new(&packets.concat(), &places));
    }

    fn udp(&mut self, at: i64, from: End, port: u16, payload: usize) {
        self.frame(at, &ipv4(from, 17, &udp(from, port, payload)));
    }

    fn tcp(&mut self, at: i64, from: End, flags: u8, sequence: u32, acknowledgment: u32, payload: usize) {
        self.frame(at, &ipv4(from, 6, &tcp(from, flags, sequence, acknowledgment, payload)));
    }

    fn records(&mut self) -> Vec<FlowRecord> {
        self.meter.take_records().flows
    }

    fn finish(&mut self) -> Vec<FlowRecord> {
        assert!(self.meter.finish(FlowEndReason::ForcedEnd));
        let counters = self.meter.counters();
        assert_eq!(
            counters.packets_seen,
            counters.packets_metered + counters.packets_not_metered()
        );
        assert_eq!(counters.flows_active, 0);
        self.records()
    }
}

fn ipv4(from: End, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = ((20 + payload.len()) as u16).to_be_bytes();
    let (a, b) = ([192, 0, 2, 1], [198, 51, 100, 2]);
    let (src, dst) = if from == A { (a, b) } else { (b, a) };
    let ttl = if from == A { 64 } else { 57 };
    [
        &[0x45, 0, length[0], length[1], 0, 1, 0x40, 0, ttl, protocol, 0, 0][..],
        &src,
        &dst,
        payload,
    ]
    .concat()
}

fn ports(from: End, port: u16) -> Vec<u8> {
    let (high, low) = (40_000u16.to_be_bytes(), port.to_be_bytes());
    if from == A {
        [high, low].concat()
    } else {
        [low, high].concat()
    }
}

fn udp(from: End, port: u16, payload: usize) -> Vec<u8> {
    [
        &ports(from, port)[..],
        &((8 + payload) as u16).to_be_bytes(),
        &[0, 0],
        &vec![0; payload],
    ]
    .concat()
}

fn tcp(from: End, flags: u8, sequence: u32, acknowledgment: u32, payload: usize) -> Vec<u8> {
    let fields = [
        &sequence.to_be_bytes()[..],
        &acknowledgment.to_be_bytes(),
        &[0x50, flags, 0x20, 0, 0, 0, 0, 0],
    ];
    [&ports(from, 443)[..], &fields.concat(), &vec![0; payload]].concat()
}

fn counts(record: &FlowRecord) -> [(u64, u64); 2] {
    [&record.forward, &record.reverse].map(|way| (way.packets, way.octets))
}

fn times(record: &FlowRecord) -> (i64, i64) {
    (record.start_ns - T0, record.end_ns - T0)
}

#[test]
fn both_directions_are_one_biflow_oriented_by_its_first_packet() {
    let mut story = Story::new(MeterConfig::default());
    story.udp(0, B, 53, 100);
    story.udp(5 * MS, A, 53, 10);
    story.udp(9 * MS, A, 53, 20);
    let [record] = &story.finish()[..] else {
        panic!("one record")
    };
    assert_eq!(record.key.src, "198.51.100.2".parse::<IpAddr>().unwrap());
    assert_eq!(
        (record.key.src_port, record.key.dst_port, record.key.protocol),
        (53, 40_000, 17)
    );
    assert_eq!(counts(record), [(1, 128), (2, 38 + 48)]);
    assert_eq!(
        (times(record), record.end_reason),
        ((0, 9 * MS), FlowEndReason::ForcedEnd)
    );
    assert_eq!(
        (record.reverse.first_ns - T0, record.reverse.last_ns - T0),
        (5 * MS, 9 * MS)
    );
    assert_eq!((record.forward.ttl_min, record.reverse.ttl_max), (57, 64));
    let counters = story.meter.counters();
    assert_eq!(
        (
            counters.packets_metered,
            counters.octets_metered,
            counters.flows_created
        ),
        (3, 214, 1)
    );
    assert_eq!(counters.records_for(FlowEndReason::ForcedEnd), 1);
}

#[test]
fn an_idle_flow_ends_by_its_own_next_packet_or_by_time() {
    let mut story = Story::new(MeterConfig::default());
    story.udp(0, A, 53, 1);
    story.udp(14_999 * MS, A, 53, 1);
    assert_eq!(story.records(), []);
    story.udp(29_999 * MS, A, 53, 1);
    let [record] = &story.records()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (times(record), record.end_reason),
        ((0, 14_999 * MS), FlowEndReason::IdleTimeout)
    );

    story.meter.handle_timeout(T0 + 44_998 * MS);
    assert_eq!(story.meter.records_waiting(), 0);
    story.meter.handle_timeout(T0 + 45_010 * MS);
    let [record] = &story.records()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (times(record), record.end_reason),
        ((29_999 * MS, 29_999 * MS), FlowEndReason::IdleTimeout)
    );
    assert_eq!(story.finish(), []);
    assert_eq!(story.meter.counters().flows_created, 2);
}

#[test]
fn an_active_flow_is_cut_and_keeps_its_orientation() {
    let mut story = Story::new(MeterConfig::default());
    for second in 0..60 {
        story.udp(second * SECOND, if second == 0 { A } else { B }, 53, 1);
    }
    assert_eq!(story.records(), []);
    // The wheel gives the record although no packet of this flow comes.
    story.meter.handle_timeout(T0 + 60_010 * MS);
    let [record] = &story.records()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (times(record), record.end_reason),
        ((0, 59 * SECOND), FlowEndReason::ActiveTimeout)
    );
    assert_eq!(counts(record), [(1, 29), (59, 59 * 29)]);
    story.udp(61 * SECOND, B, 53, 2);
    let [record] = &story.finish()[..] else {
        panic!("one record")
    };
    assert_eq!(record.key.src, "192.0.2.1".parse::<IpAddr>().unwrap());
    assert_eq!(counts(record), [(0, 0), (1, 30)]);
    assert_eq!(times(record), (61 * SECOND, 61 * SECOND));
    assert_eq!(story.meter.counters().flows_created, 1);
}

#[test]
fn a_cut_flow_that_stays_quiet_leaves_without_an_empty_record() {
    let mut story = Story::new(MeterConfig {
        active_timeout_ns: SECOND,
        ..MeterConfig::default()
    });
    story.udp(0, A, 53, 1);
    for second in [2, 30] {
        story.meter.handle_timeout(T0 + second * SECOND);
    }
    let [record] = &story.records()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (counts(record), record.end_reason),
        ([(1, 29), (0, 0)], FlowEndReason::ActiveTimeout)
    );
    assert_eq!(story.meter.counters().flows_active, 0);
}

/// SYN, SYN-ACK, ACK, one exchange, FIN both ways, last ACK.
fn connection(story: &mut Story, at: i64, isn: u32) {
    let (a, b) = (isn, isn.wrapping_add(7_000_000));
    story.tcp(at, A, SYN, a, 0, 0);
    story.tcp(at + 20 * MS, B, SYN | ACK, b, a + 1, 0);
    story.tcp(at + 25 * MS, A, ACK, a + 1, b + 1, 0);
    story.tcp(at + 26 * MS, A, PSH | ACK, a + 1, b + 1, 100);
    story.tcp(at + 46 * MS, B, PSH | ACK, b + 1, a + 101, 500);
    story.tcp(at + 50 * MS, A, FIN | ACK, a + 101, b + 501, 0);
    story.tcp(at + 70 * MS, B, FIN | ACK, b + 501, a + 102, 0);
    story.tcp(at + 75 * MS, A, ACK, a + 102, b + 502, 0);
}

#[test]
fn a_connection_ends_when_both_fins_are_acknowledged_and_keeps_what_trails() {
    let mut story = Story::new(MeterConfig::default());
    connection(&mut story, 0, 1000);
    story.tcp(300 * MS, B, FIN | ACK, 7_001_501, 1102, 0);
    story.meter.handle_timeout(T0 + 2_290 * MS);
    assert_eq!(story.meter.records_waiting(), 0);
    story.meter.handle_timeout(T0 + 2_310 * MS);
    let [record] = &story.records()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (times(record), record.end_reason),
        ((0, 300 * MS), FlowEndReason::EndOfFlow)
    );
    assert_eq!(counts(record), [(5, 300), (4, 660)]);
    assert_eq!((record.forward.tcp_flags, record.reverse.tcp_flags), (27, 27));
    assert_eq!(record.handshake_rtt_us, [Some(20_000), Some(5_000)]);
}

#[test]
fn the_same_ports_again_are_another_biflow_but_a_repeated_syn_is_not() {
    let mut story = Story::new(MeterConfig::default());
    connection(&mut story, 0, 1000);
    connection(&mut story, 500 * MS, 90_000);
    let [first] = &story.records()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (times(first), first.end_reason),
        ((0, 75 * MS), FlowEndReason::EndOfFlow)
    );
    let [second] = &story.finish()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (times(second), second.end_reason),
        ((500 * MS, 575 * MS), FlowEndReason::EndOfFlow)
    );
    assert_eq!(second.handshake_rtt_us, [Some(20_000), Some(5_000)]);

    // A refused client that tries again with the same sequence number.
    let mut story = Story::new(MeterConfig::default());
    for at in [0, 500 * MS] {
        story.tcp(at, A, SYN, 5, 0, 0);
        story.tcp(at + MS, B, RST | ACK, 0, 6, 0);
    }
    let [record] = &story.finish()[..] else {
        panic!("one record")
    };
    assert_eq!(
        (counts(record), record.end_reason),
        ([(2, 80), (2, 80)], FlowEndReason::EndOfFlow)
    );
}

#[test]
fn a_new_syn_after_long_silence_is_another_biflow() {
    for (silence, records) in [(9 * SECOND, 1), (11 * SECOND, 2)] {
        let mut story = Story::new(MeterConfig {
            idle_timeout_ns: 3600 * SECOND,
            ..MeterConfig::default()
        });
        story.tcp(0, A, SYN, 1000, 0, 0);
        story.tcp(20 * MS, B, SYN | ACK, 5000, 1001, 0);
        story.tcp(25 * MS, A, ACK, 1001, 5001, 0);
        // The client has started anew; its SYN is sent again, too.
        story.tcp(25 * MS + silence, A, SYN, 77_000, 0, 0);
        story.tcp(SECOND + silence, A, SYN, 77_000, 0, 0);
        story.tcp(13 * SECOND + silence, A, SYN, 77_000, 0, 0);
        let found = story.finish();
        assert_eq!(found.len(), records);
        let expected = if records == 2 { (2, 80) } else { (5, 200) };
        assert_eq!(counts(&found[0])[0], expected);
    }
}

#[test]
fn sequence_numbers_wrap() {
    let mut story = Story::new(MeterConfig::default());
    let (a, b) = (u32::MAX, u32::MAX - 1);
    story.tcp(0, A, SYN, a, 0, 0);
    story.tcp(20 * MS, B, SYN | ACK, b, 0, 0);
    story.tcp(25 * MS, A, FIN | ACK, 0, u32::MAX, 0);
    story.tcp(45 * MS, B, FIN | ACK, u32::MAX, 1, 4);
    story.tcp(50 * MS, A, ACK, 1, 4, 0);
    let [record] = &story.finish()[..] else {
        panic!("one record")
    };
    assert_eq!(record.end_reason, FlowEndReason::EndOfFlow);
    assert_eq!(record.handshake_rtt_us, [Some(20_000), Some(5_000)]);
}

#[test]
fn ambiguous_handshakes_are_left_out() {
    let handshake = |syns: &[i64], syn_acks: &[i64]| {
        let mut story = Story::new(MeterConfig::default());
        syns.iter().for_each(|at| story.tcp(at * MS, A, SYN, 9, 0, 0));
        syn_acks
            .iter()
            .for_each(|at| story.tcp(at * MS, B, SYN | ACK, 50, 10, 0));
        story.tcp(2000 * MS, A, ACK, 10, 51, 0);
        story.finish()[0].handshake_rtt_us
    };
    assert_eq!(handshake(&[0], &[1990]), [Some(1_990_000), Some(10_000)]);
    assert_eq!(handshake(&[0, 1000], &[1990]), [None, Some(10_000)]);
    assert_eq!(handshake(&[0], &[990, 1990]), [None, None]);
    assert_eq!(
        handshake(&[], &[1990]),
        [None, Some(10_000)],
        "the SYN was not captured"
    );
    assert_eq!(handshake(&[0], &[]), [None, None]);
}

#[test]
fn icmp_request_and_reply_are_one_biflow() {
    let mut story = Story::new(MeterConfig::default());
    story.frame(0, &ipv4(A, 1, &[8, 0, 0, 0, 0, 1, 0, 1]));
    story.frame(MS, &ipv4(B, 1, &[0, 0, 0, 0, 0, 1, 0, 1]));
    story.frame(2 * MS, &ipv4(B, 1, &[3, 1, 0, 0, 0, 0, 0, 0]));
    let [record] = &story.finish()[..] else {
        panic!("one record")
    };
    assert_eq!((record.key.src_port, record.key.dst_port), (0, 0));
    assert_eq!(
        (counts(record), record.icmp),
        ([(1, 28), (2, 56)], [Some(0x0800), Some(0)])
    );
}

#[test]
fn tags_are_part_of_the_key_and_interfaces_are_not() {
    let mut meter = Meter::new(MeterConfig::default());
    let packet = ipv4(A, 17, &udp(A, 53, 1));
    let tagged = |tags: &[u16]| {
        let types: Vec<u8> = tags.iter().flat_map(|half| half.to_be_bytes()).collect();
        [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &types, &packet].concat()
    };
    let frames = [
        (tagged(&[0x0800]), 1),
        (tagged(&[0x8100, 5, 0x0800]), 1),
        (tagged(&[0x88a8, 5, 0x8100, 6, 0x0800]), 1),
        (tagged(&[0x88a8, 5, 0x8100, 6, 0x8100, 7, 0x0800]), 1),
        (tagged(&[0x0800]), 2),
    ];
    for (frame, interface) in &frames {
        meter.handle_frame(T0, LinkType::ETHERNET, frame, frame.len() as u32, *interface);
    }
    assert!(meter.finish(FlowEndReason::ForcedEnd));
    let mut keys: Vec<_> = meter
        .take_records()
        .flows
        .into_iter()
        .map(|record| (record.key.interface, record.key.vlan, record.forward.packets))
        .collect();
    keys.sort_unstable();
    // A tap's two interfaces are one observation: the record names that of the first packet.
    assert_eq!(keys, [(1, [0, 0], 2), (1, [5, 0], 1), (1, [5, 6], 2)]);
    assert_eq!(meter.counters().vlan_tags_skipped, 1);
}

#[test]
fn what_is_not_metered_is_counted_by_reason() {
    let mut meter = Meter::new(MeterConfig::default());
    let ethernet = |kind: u16, packet: &[u8]| [&[0; 12][..], &kind.to_be_bytes(), packet].concat();
    for frame in [
        ethernet(0x0806, &[0; 28]),
        ethernet(0x0806, &[0; 28]),
        ethernet(0x88cc, &[0; 28]),
        ethernet(0x0800, &[0x45, 0]),
        ethernet(0x0800, &ipv4(A, 6, &[0; 5])),
    ] {
        meter.handle_frame(T0, LinkType::ETHERNET, &frame, frame.len() as u32, 0);
    }
    assert!(meter.finish(FlowEndReason::ForcedEnd));
    let counters = meter.counters();
    let reasons: Vec<_> = counters.not_metered_by_reason().collect();
    assert_eq!(reasons, [("arp", 2), ("not_ip", 1), ("ip_header_cut", 1)]);
    let faults: Vec<_> = counters.metered_with_fault_by_reason().collect();
    assert_eq!(faults, [("transport_length", 1)]);
    assert_eq!(
        (
            counters.packets_seen,
            counters.packets_metered,
            counters.records_total()
        ),
        (5, 1, 1)
    );
    assert_eq!(counters.not_metered[Fault::Arp as usize], 2);
}

#[test]
fn late_frames_lengthen_flows_backwards_and_never_give_negative_times() {
    let mut story = Story::new(MeterConfig::default());
    story.udp(10 * MS, A, 53, 1);
    story.udp(5 * MS, A, 53, 1);
    story.udp(7 * MS, B, 53, 1);
    story.udp(6 * MS, B, 53, 1);
    let [record] = &story.finish()[..] else {
        panic!("one record")
    };
    assert_eq!(times(record), (5 * MS, 10 * MS));
    assert_eq!(
        (record.forward.first_ns - T0, record.forward.last_ns - T0),
        (5 * MS, 10 * MS)
    );
    assert_eq!(
        (record.reverse.first_ns - T0, record.reverse.last_ns - T0),
        (6 * MS, 7 * MS)
    );
    assert_eq!(
        (
            story.meter.counters().out_of_order_frames,
            story.meter.counters().clock_set_back
        ),
        (3, 0)
    );
}

#[test]
fn a_flow_does_not_join_one_of_a_newer_capture() {
    let mut story = Story::new(MeterConfig::default());
    story.udp(0, A, 53, 1);
    story.udp(MS, B, 53, 1);
    story.udp(-86_400 * SECOND, A, 53, 1);
    story.udp(MS - 86_400 * SECOND, B, 53, 1);
    let records = story.finish();
    let spans: Vec<_> = records.iter().map(times).collect();
    let day = 86_400 * SECOND;
    assert_eq!(spans, [(0, MS), (-day, MS - day)]);
    assert_eq!(
        (
            story.meter.counters().clock_set_back,
            story.meter.counters().packets_metered
        ),
        (1, 4)
    );
}

#[test]
fn flows_still_grow_old_when_an_older_capture_follows() {
    let mut story = Story::new(MeterConfig::default());
    story.udp(0, A, 53, 1);
    for second in 0..40 {
        story.udp((second - 86_400) * SECOND, B, 1000 + (second % 2) as u16, 1);
    }
    story.udp((60 - 86_400) * SECOND, A, 99, 1);
    let ended: Vec<u16> = story.records().iter().map(|record| record.key.src_port).collect();
    assert_eq!(ended, [1000, 1001]);
    assert_eq!(story.finish().len(), 2);
    assert_eq!(story.meter.counters().clock_set_back, 1);
}

#[test]
fn a_full_table_lets_the_flow_go_that_has_been_idle_longest() {
    let mut story = Story::new(MeterConfig {
        max_flows: 100,
        ..MeterConfig::default()
    });
    for port in 0..100 {
        story.udp(i64::from(port) * 50 * MS, A, port, 1);
    }
    // All but port 30 speak again.
    for port in (0..100).filter(|port| *port != 30) {
        story.udp(5 * SECOND + i64::from(port) * MS, A, port, 1);
    }
    story.udp(6 * SECOND, A, 200, 1);
    let [record] = &story.records()[..] else {
        panic!("one record")
    };
    assert_eq!(record.end_reason, FlowEndReason::LackOfResources);
    assert_eq!(record.key.dst_port, 30);
    let counters = story.meter.counters();
    assert_eq!(
        (counters.flows_active, counters.flows_evicted, counters.flows_created),
        (100, 1, 101)
    );

    // A flood: memory and account hold.
    for port in 0..10_000 {
        story.udp(7 * SECOND + i64::from(port), B, port, 1);
        story.records();
    }
    let active = story.meter.counters().flows_active;
    let rest = story.finish().len() as u64;
    let counters = story.meter.counters();
    assert_eq!((active, rest), (100, 100));
    assert_eq!(counters.flows_created, counters.records_total());
    assert_eq!(
        counters.records_for(FlowEndReason::LackOfResources),
        counters.flows_evicted
    );
    assert_eq!(counters.packets_metered, 100 + 99 + 1 + 10_000);
}

#[test]
fn ending_many_flows_stops_at_the_limit_until_records_are_taken() {
    let mut story = Story::new(MeterConfig::default());
    let flows = limits::MAX_PENDING_RECORDS as u64 + 1000;
    for flow in 0..flows {
        let source = (flow as u32).to_be_bytes();
        let mut packet = ipv4(A, 17, &udp(A, 53, 1));
        packet[12..16].copy_from_slice(&source);
        story.frame(0, &packet);
    }
    story.meter.handle_timeout(T0 + 20 * SECOND);
    assert_eq!(story.records().len(), limits::MAX_PENDING_RECORDS);
    story.meter.handle_timeout(T0 + 20 * SECOND);
    assert_eq!(story.records().len(), 1000);

    for flow in 0..flows {
        let mut packet = ipv4(A, 17, &udp(A, 53, 1));
        packet[12..16].copy_from_slice(&(flow as u32).to_be_bytes());
        story.frame(21 * SECOND, &packet);
    }
    assert!(!story.meter.finish(FlowEndReason::ForcedEnd));
    assert_eq!(story.records().len(), limits::MAX_PENDING_RECORDS);
    assert_eq!(story.finish().len(), 1000);
}

#[test]
fn a_hot_flow_is_two_cache_lines() {
    assert_eq!(size_of::<super::flow::HotFlow>(), 128);
    assert!(size_of::<super::flow::ColdFlow>() <= 128);
}

#[test]
fn arp_gives_records_only_when_asked_to() {
    // RFC 826: a request of A for B, and B's answer.
    let message = |operation: u8, sender: [u8; 4], target: [u8; 4]| {
        let hardware = [2, 0, 0, 0, 0, sender[3]];
        [
            &[0xff; 6][..],
            &hardware,
            &[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, operation],
            &hardware,
            &sender,
            &[0; 6],
            &target,
        ]
        .concat()
    };
    let (a, b) = ([192, 0, 2, 9], [192, 0, 2, 1]);
    for arp in [false, true] {
        let mut meter = Meter::new(MeterConfig {
            arp,
            ..MeterConfig::default()
        });
        for (at, frame) in [message(1, a, b), message(2, b, a), message(1, a, b)]
            .iter()
            .enumerate()
        {
            meter.handle_frame(T0 + at as i64, LinkType::ETHERNET, frame, 60, 0);
        }
        assert!(meter.finish(FlowEndReason::ForcedEnd));
        let counters = meter.counters().clone();
        let (metered, not_metered) = if arp { (3, 0) } else { (0, 3) };
        assert_eq!((counters.packets_metered, counters.arp_metered), (metered, metered));
        assert_eq!(counters.not_metered[Fault::Arp as usize], not_metered);
        assert_eq!((counters.packets_seen, counters.octets_metered), (3, 0));
        let records = meter.take_records();
        assert_eq!(records.len() as u64, metered / 3);
        if let [record] = &records.flows[..] {
            assert_eq!((record.key.src, record.key.dst), (a.into(), b.into()));
            assert_eq!((record.key.protocol, record.key.src_port), (0, 0));
            assert_eq!(counts(record), [(2, 0), (1, 0)]);
            assert_eq!(times(record), (0, 2));
            assert!(records.application(record).is_some());
        }
    }
}
