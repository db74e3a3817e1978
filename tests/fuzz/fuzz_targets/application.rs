//! Any payload of one flow, in any segments: no panic, values that fit their template, and nothing kept afterwards.
//!
//! Input: carrier (1 octet), both ports (2 each), then packets: flags (1: direction, captured in part, resent, SYN seen),
//! how far it is from where its direction was (1, signed), how long it is (2), its octets.
#![no_main]

use std::cell::RefCell;

use flowgauge_exporter::metering::Records;
use flowgauge_exporter::metering::application::{
    ApplicationConfig, ApplicationPlace, Applications, Carrier, Kind, Payload, fields,
};
use libfuzzer_sys::fuzz_target;

thread_local! {
    /// One for all inputs: what an input leaves behind would show in a later one.
    static APPLICATIONS: RefCell<Applications> = RefCell::new(Applications::new(ApplicationConfig::default()));
}

fuzz_target!(|input: &[u8]| APPLICATIONS.with_borrow_mut(|applications| run(applications, input)));

fn run(applications: &mut Applications, input: &[u8]) {
    let [carrier, a, b, c, d, packets @ ..] = input else {
        return;
    };
    let carrier = [Carrier::Tcp, Carrier::Udp, Carrier::Arp][usize::from(carrier % 3)];
    let ports = [u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])];
    let mut place = ApplicationPlace::default();
    let first = [u32::MAX - 100, 7];
    let mut next = first;
    let mut rest = packets;
    while let [flags, distance, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len());
        let (bytes, behind) = behind.split_at(length);
        rest = behind;
        let direction = usize::from(flags & 1);
        let sequence = next[direction].wrapping_add_signed(i32::from(*distance as i8));
        next[direction] = sequence.wrapping_add(length as u32);
        let payload = Payload {
            bytes,
            octets: length as u32 + u32::from(flags >> 1 & 1) * 100,
            direction,
            sequence: (carrier == Carrier::Tcp).then_some(sequence),
            first_sequence: (carrier == Carrier::Tcp && flags & 8 == 0).then_some(first[direction]),
            ports: if direction == 0 { ports } else { [ports[1], ports[0]] },
            carrier,
            now_ns: 0,
        };
        for _ in 0..=(flags >> 2 & 1) {
            applications.inspect(&mut place, &payload);
        }
    }
    check(applications, &place);
    applications.free(&mut place);
    let counters = applications.counters();
    assert_eq!((counters.reading_now, counters.known_now), (0, 0));
    assert_eq!((counters.readings_exhausted, counters.memory_exhausted), (0, 0));
}

fn check(applications: &mut Applications, place: &ApplicationPlace) {
    let mut records = Records::default();
    let Some(record) = applications
        .take(place, &mut records)
        .of(&records.applications)
        .copied()
    else {
        return;
    };
    let mut octets = &records.octets[..];
    for (at, field) in fields(record.protocol).iter().enumerate() {
        if record.present >> at & 1 == 0 {
            assert!(!matches!(field.kind, Kind::Text(_)), "texts are always there");
            continue;
        }
        let length = match (field.kind, octets) {
            (Kind::Fixed(length), _) => usize::from(length),
            (Kind::Text(_), [255, high, low, behind @ ..]) => {
                octets = behind;
                usize::from(u16::from_be_bytes([*high, *low]))
            }
            (Kind::Text(_), [length, behind @ ..]) => {
                octets = behind;
                usize::from(*length)
            }
            (Kind::Text(_), []) => panic!("a text without a length"),
        };
        let (value, behind) = octets.split_at(length);
        octets = behind;
        if let Kind::Text(most) = field.kind {
            assert!(value.len() <= usize::from(most));
            let text = std::str::from_utf8(value).expect("text is UTF-8");
            assert!(!text.contains(char::is_control));
        }
    }
    assert!(octets.is_empty());
}
