//! Whatever comes, nothing panics, nothing grows past its bound, and each refusal is counted.

use proptest::prelude::*;

use super::conversation::{self, Flow};
use super::*;
use crate::limits;

fn faults(counters: &ApplicationCounters, protocol: &str, fault: Fault) -> u64 {
    counters.faults[usize::from(ProtocolSet::place(protocol).unwrap())][fault as usize]
}

#[test]
fn an_unknown_flow_stops_costing_after_its_first_packets() {
    let mut flow = Flow::tcp(9100);
    for packet in 0..10 {
        flow.say(0, packet * 100, &[0xee; 100]);
    }
    assert!(!flow.place.wants(0) && flow.place.wants(1));
    for packet in 0..10 {
        flow.say(1, packet * 100, &[0xee; 100]);
    }
    assert!(!flow.place.wants(0) && !flow.place.wants(1) && !flow.place.is_held());
    let counters = flow.end();
    assert_eq!((counters.flows_inspected, counters.memory_octets), (1, 0));
    assert_eq!(
        counters.packets_unrecognised,
        2 * u64::from(limits::RECOGNITION_PACKETS)
    );
}

/// SOCKS (RFC 1928) says a few octets first, which could begin other things; what it carries is read all the same.
#[test]
fn octets_that_waited_in_vain_do_not_cost_the_flow_its_name() {
    let mut flow = Flow::tcp(1080);
    flow.say(0, 0, &[5, 1, 0]);
    flow.say(0, 3, &[5, 1, 0, 1, 192, 0, 2, 1, 0, 80]);
    assert_eq!((flow.known(), flow.applications.counters().reading_now), (None, 0));
    flow.say(0, 13, b"GET / HTTP/1.1\r\n");
    assert_eq!(flow.known().unwrap().0, "http");
    assert_eq!(flow.end().packets_unrecognised, 2);
}

#[test]
fn a_gap_ends_a_direction_and_what_came_before_it_is_told() {
    let mut flow = Flow::tcp(80);
    flow.say(0, 0, b"GET /a HTTP/1.1\r\nHost: b\r\nUser-");
    flow.say(0, 20_000, b"Agent: c\r\n\r\n");
    assert!(!flow.place.wants(0) && flow.place.wants(1));
    let (_, values) = flow.known().unwrap();
    assert_eq!(
        (&values["httpRequestTarget"][..], &values["httpRequestHost"][..]),
        ("/a", "b")
    );
    assert_eq!(values["httpUserAgent"], "");
    assert_eq!(faults(&flow.end(), "http", Fault::Gap), 1);
}

#[test]
fn more_parts_than_are_held_are_a_gap() {
    let mut flow = Flow::tcp(80);
    flow.say(0, 0, b"GET /");
    for part in 1..6 {
        flow.say(0, 10 * part, b"xxxxx");
    }
    assert!(!flow.place.wants(0));
    assert_eq!(faults(&flow.end(), "http", Fault::Gap), 1);
}

#[test]
fn a_packet_captured_in_part_tells_its_whole_lines() {
    let mut flow = Flow::tcp(80);
    flow.packet(0, 0, b"GET /a HTTP/1.1\r\nHost: b\r\nUser-", 400);
    assert_eq!(flow.known().unwrap().1["httpRequestHost"], "b");
    assert!(!flow.place.wants(0));
    assert_eq!(faults(&flow.end(), "http", Fault::Cut), 1);
    let mut flow = Flow::tcp(80);
    flow.packet(0, 0, b"", 400);
    flow.packet(0, 400, b"GE", 400);
    assert_eq!(flow.known(), None);
    assert_eq!(flow.end().packets_unrecognised, 2);
}

#[test]
fn a_line_without_an_end_is_let_go_of_at_the_bound() {
    let mut flow = Flow::tcp(80);
    flow.say(0, 0, b"GET /");
    for packet in 0..20 {
        flow.say(0, 5 + packet * 1000, &[b'a'; 1000]);
    }
    assert!(!flow.place.wants(0));
    assert_eq!(flow.known().unwrap().1["httpRequestMethod"], "");
    let counters = flow.end();
    assert_eq!(
        faults(&counters, "http", Fault::TooLong) + faults(&counters, "http", Fault::Gap),
        1
    );
    assert!(counters.memory_octets <= 7 * 64 * 1024, "{}", counters.memory_octets);
}

#[test]
fn headers_without_an_end_are_let_go_of() {
    let mut flow = Flow::tcp(80);
    flow.say(0, 0, b"GET / HTTP/1.1\r\n");
    let lines = b"A: b\r\n".repeat(100);
    for packet in 0..5 {
        flow.say(0, 16 + packet * lines.len(), &lines);
    }
    assert!(!flow.place.wants(0));
    assert_eq!(faults(&flow.end(), "http", Fault::TooLong), 1);
}

#[test]
fn with_no_room_left_flows_are_counted_and_left_out() {
    let config = ApplicationConfig {
        readings: 0,
        ..ApplicationConfig::default()
    };
    let mut flow = Flow::new(config, Carrier::Tcp, [49152, 80]);
    flow.say(0, 0, b"GET / HTTP/1.1\r\n");
    assert_eq!(flow.known(), None);
    assert!(!flow.place.wants(0) && !flow.place.wants(1));
    assert_eq!(flow.end().readings_exhausted, 1);

    let config = ApplicationConfig {
        memory_octets: 0,
        ..ApplicationConfig::default()
    };
    let mut flow = Flow::new(config, Carrier::Tcp, [49152, 80]);
    flow.say(0, 0, b"GET / HTTP/1.1\r\n");
    assert_eq!(flow.known(), None);
    assert_eq!(flow.end().memory_exhausted, 1);

    // Room for what is known, none for what waits.
    let config = ApplicationConfig {
        memory_octets: 64 * 1024,
        ..ApplicationConfig::default()
    };
    let mut flow = Flow::new(config, Carrier::Tcp, [49152, 80]);
    flow.say(0, 0, &[&b"GET / HTTP/1.1\r\nX: "[..], &[b'x'; 500]].concat());
    assert_eq!(flow.known().unwrap().1["httpRequestTarget"], "/");
    assert!(!flow.place.wants(0));
    assert_eq!(flow.end().memory_exhausted, 1);
}

#[test]
fn long_values_are_cut_and_the_record_keeps_its_bound() {
    let mut flow = Flow::tcp(80);
    let long = "\u{e9}".repeat(2000);
    let request = format!("GET /{long} HTTP/1.1\r\nHost: {long}\r\nUser-Agent: {long}\r\n\r\n");
    for (at, piece) in request.as_bytes().chunks(1000).enumerate() {
        flow.say(0, at * 1000, piece);
    }
    let (_, values) = flow.known().unwrap();
    assert!(values["httpRequestTarget"].starts_with("/\u{e9}\u{e9}"));
    assert!(values.values().map(String::len).sum::<usize>() <= limits::APPLICATION_VALUE_OCTETS);
    assert!(flow.end().texts_cut >= 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Fixtures with octets changed, in any order, beside any octets.
    #[test]
    fn any_packets(
        packets in prop::collection::vec((0usize..2, 0usize..3000, prop::collection::vec(any::<u8>(), 0..60), 0usize..20), 0..30),
        which in 0usize..32,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        syn_seen: bool,
        extra in 0usize..100,
    ) {
        let all = conversation::all();
        let conversation = &all[which % all.len()];
        let mut flow = Flow::new(ApplicationConfig::default(), conversation.carrier, conversation.ports);
        flow.syn_seen = syn_seen;
        let mut offsets = [0; 2];
        for (direction, octets) in &conversation.messages {
            let mut octets = octets.clone();
            for (place, octet) in &changes {
                let at = place.index(octets.len());
                octets[at] = *octet;
            }
            flow.packet(*direction, offsets[*direction], &octets, octets.len() + extra.saturating_sub(90));
            offsets[*direction] += octets.len();
            for (direction, offset, octets, cut) in &packets {
                flow.packet(*direction, *offset, octets, octets.len() + cut.saturating_sub(15));
            }
        }
        if let Some((protocol, values)) = flow.known() {
            prop_assert_eq!(&values["applicationName"], &protocol);
            let octets = values.values().map(String::len).sum::<usize>();
            prop_assert!(octets <= limits::APPLICATION_VALUE_OCTETS + 64);
        }
        let counters = flow.end();
        prop_assert!(counters.recognised_total() <= 1);
        prop_assert!(counters.memory_octets <= 10 * 64 * 1024);
    }
}
