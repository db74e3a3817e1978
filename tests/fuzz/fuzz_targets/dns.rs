//! Any messages over UDP and TCP in one conversation: no panic, an account that balances, and names as they must be.
//!
//! Input: packets: flags (1: from the client, TCP, SYN, FIN, half captured, mDNS port), milliseconds to wait in eighths of
//! a second (1), how far it is from where its side of a TCP connection was (1, signed), how long it is (2), its octets.
#![no_main]

use flowgauge_exporter::metering::dns::DnsConfig;
use flowgauge_exporter::metering::{FlowEndReason, Meter, MeterConfig, Records};
use flowgauge_templates::packet::LinkType;
use libfuzzer_sys::fuzz_target;

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 53];

fuzz_target!(|input: &[u8]| {
    let mut meter = Meter::new(MeterConfig {
        max_flows: 16,
        dns: DnsConfig {
            answers_interval: 1,
            max_open: 8,
            ..DnsConfig::default()
        },
        ..MeterConfig::default()
    });
    let mut next = [u32::MAX - 100, 7];
    let mut now_ns = 1_767_225_600_000_000_000;
    let mut made = 0;
    let mut rest = input;
    while let [flags, wait, distance, high, low, behind @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(behind.len()).min(60_000);
        let (payload, behind) = behind.split_at(length);
        rest = behind;
        now_ns += i64::from(*wait) * 125_000_000;
        let has = |bit: u8| flags >> bit & 1 == 1;
        let (from_client, is_tcp) = (has(0), has(1));
        let port: u16 = if has(5) { 5353 } else { 53 };
        let ports = if from_client { [40_000, port] } else { [port, 40_000] };
        let mut above = ports.map(u16::to_be_bytes).concat();
        if is_tcp {
            let side = &mut next[usize::from(from_client)];
            let sequence = side.wrapping_add_signed(i32::from(*distance as i8));
            *side = sequence.wrapping_add(length as u32);
            above.extend(sequence.to_be_bytes());
            let flags = 16 | u8::from(has(2)) << 1 | u8::from(has(3));
            above.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        } else {
            above.extend((8 + length as u16).to_be_bytes());
            above.extend([0, 0]);
        }
        above.extend(payload);
        let total = (20 + above.len() as u16).to_be_bytes();
        let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, if is_tcp { 6 } else { 17 }, 0, 0];
        packet.extend(if from_client { [CLIENT, SERVER] } else { [SERVER, CLIENT] }.concat());
        packet.extend(above);
        let wire = packet.len() as u32;
        if has(4) {
            packet.truncate(packet.len() - length / 2);
        }
        meter.handle_frame(now_ns, LinkType::RAW, &packet, wire, 0);
        made += check(&meter.take_records());
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        made += check(&meter.take_records());
    }
    made += check(&meter.take_records());
    let counters = meter.dns_counters();
    assert!(counters.is_balanced(), "{counters:?}");
    assert_eq!((counters.open, made), (0, counters.opened + counters.without_query));
});

fn check(records: &Records) -> u64 {
    for one in &records.dns {
        let name = one.qname(records);
        assert!(!name.is_empty() && name.len() <= 1004);
        assert!(name.iter().all(|octet| matches!(octet, 0x21..=0x7e) && !octet.is_ascii_uppercase()));
        assert_eq!(one.latency_us.is_some(), one.query_octets.is_some() && one.response_octets.is_some());
        assert!(one.start_ns <= one.end_ns);
        for list in one.answer_lists.of(&records.dns_answers).iter().flat_map(|answers| &answers.lists) {
            assert_eq!(list.of(&records.octets).len(), list.length as usize);
        }
    }
    records.dns.len() as u64
}
