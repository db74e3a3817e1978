//! Which window takes what, and that counting it there is exact.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use super::Numbers;
use crate::metering::dns::{DnsStatus, DnsTransaction};
use crate::metering::facts::PacketFacts;
use crate::metering::record::{FlowEndReason, FlowKey};
use crate::metering::records::Place;
use crate::summaries::limits::OPEN_WINDOWS;
use crate::summaries::{Metric, Summaries, SummariesConfig, Summary, Window};

const SECOND_NS: i64 = 1_000_000_000;
/// A whole minute.
const START_NS: i64 = 1_767_225_600 * SECOND_NS;

fn facts(time_ns: i64, src: u32, octets: u32) -> PacketFacts {
    PacketFacts {
        time_ns,
        src: 0xffff_0000_0000 | u128::from(src),
        dst: 0xffff_0a00_0001,
        octets,
        ports: [4000, 53],
        protocol: 17,
        is_ipv4: true,
        tcp_flags: 0,
    }
}

fn ten_seconds() -> Summaries {
    Summaries::new(SummariesConfig {
        window_ns: 10 * SECOND_NS,
        lateness_ns: 5 * SECOND_NS,
        ..SummariesConfig::default()
    })
}

fn starts(windows: &[Window]) -> Vec<i64> {
    windows
        .iter()
        .map(|window| (window.start_ns - START_NS) / SECOND_NS)
        .collect()
}

fn transaction(name_at: i64, status: DnsStatus, rcode: Option<u16>) -> DnsTransaction {
    let answered = status == DnsStatus::Answered;
    DnsTransaction {
        key: FlowKey {
            src: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            dst: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)),
            src_port: 4000,
            dst_port: 53,
            protocol: 17,
            vlan: [0; 2],
            interface: 0,
        },
        start_ns: name_at,
        end_ns: name_at,
        status,
        end_reason: FlowEndReason::EndOfFlow,
        id: 1,
        qname: crate::metering::dns::TextRange::default(),
        qtype: 28,
        qclass: 1,
        rcode,
        flags: 0x8180,
        latency_us: answered.then_some(1500),
        query_octets: (status != DnsStatus::NoQuery).then_some(40),
        response_octets: (status != DnsStatus::Unanswered).then_some(120),
        answers: 1,
        retries: 0,
        edns: None,
        extended_error: None,
        client_subnet: None,
        selector: 0,
        answer_lists: Place::NONE,
    }
}

#[test]
fn windows_begin_at_whole_multiples_and_close_when_the_late_had_their_time() {
    let mut summaries = ten_seconds();
    summaries.packet(&facts(START_NS + 3 * SECOND_NS, 1, 100));
    summaries.packet(&facts(START_NS + 12 * SECOND_NS, 1, 100));
    assert!(!summaries.has_closed());
    // Late, and in time for its own window.
    summaries.packet(&facts(START_NS + 9 * SECOND_NS, 1, 50));
    summaries.handle_timeout(START_NS + 15 * SECOND_NS - 1);
    assert!(!summaries.has_closed());
    summaries.handle_timeout(START_NS + 15 * SECOND_NS);
    let closed = summaries.take_closed();
    assert_eq!(starts(&closed), [0]);
    assert_eq!(closed[0].end_ns, START_NS + 10 * SECOND_NS);
    assert_eq!(
        (closed[0].counter(Metric::Packets), closed[0].counter(Metric::Octets)),
        (2, 150)
    );
    // Later still: its window comes again, with nothing but it.
    summaries.packet(&facts(START_NS + SECOND_NS, 1, 60));
    summaries.finish();
    let closed = summaries.take_closed();
    assert_eq!(starts(&closed), [0, 10]);
    assert_eq!(closed[0].counter(Metric::Octets), 60);
    let counters = summaries.counters();
    assert_eq!(
        (counters.packets, counters.late, counters.too_late, counters.windows),
        (4, 2, 0, 3)
    );
}

#[test]
fn what_comes_from_everywhere_in_time_opens_no_more_windows_than_there_are() {
    let mut summaries = ten_seconds();
    let mut numbers = Numbers(1);
    for _ in 0..5000 {
        let time_ns = START_NS + numbers.below(3_600) as i64 * SECOND_NS;
        summaries.packet(&facts(time_ns, 1, 1));
        assert!(summaries.open_windows() <= OPEN_WINDOWS[0]);
    }
    summaries.finish();
    let packets: u64 = summaries
        .take_closed()
        .iter()
        .map(|window| window.counter(Metric::Packets))
        .sum();
    let counters = summaries.counters();
    assert_eq!(packets, counters.packets);
    assert_eq!(packets + counters.too_late, 5000);
    assert!(counters.too_late > 0 && counters.late > 0);
    // The ends of time are times too.
    for time_ns in [i64::MIN, i64::MAX, 0, i64::MIN, i64::MAX] {
        summaries.packet(&facts(time_ns, 1, 1));
    }
    summaries.finish();
}

#[test]
fn counters_and_short_lists_are_exact_however_the_span_is_cut() {
    for seed in 0..50 {
        let mut numbers = Numbers(seed);
        let mut summaries = ten_seconds();
        let mut by_source: HashMap<u32, [u64; 2]> = HashMap::new();
        let (mut octets, mut tcp) = (0, 0);
        for at in 0..4000 {
            let time_ns = START_NS + at * 10_000_000;
            let mut packet = facts(time_ns, numbers.skewed(500) as u32, 40 + numbers.below(1460) as u32);
            if numbers.below(3) == 0 {
                packet.protocol = 6;
                packet.tcp_flags = 0x02;
                tcp += 1;
            }
            let sums = by_source.entry(packet.src as u32).or_default();
            sums[0] += 1;
            sums[1] += u64::from(packet.octets);
            octets += u64::from(packet.octets);
            summaries.packet(&packet);
        }
        summaries.finish();
        let mut windows = summaries.take_closed();
        assert_eq!(starts(&windows), [0, 10, 20, 30]);
        let mut whole = windows.remove(0);
        windows.iter().for_each(|window| whole.merge(window).unwrap());
        assert_eq!(
            (whole.counter(Metric::Packets), whole.counter(Metric::Octets)),
            (4000, octets)
        );
        assert_eq!(
            (whole.counter(Metric::PacketsTcp), whole.counter(Metric::TcpSyn)),
            (tcp, tcp)
        );
        assert_eq!(whole.counter(Metric::PacketsUdp), 4000 - tcp);
        assert_eq!(
            (whole.start_ns, whole.end_ns, whole.windows),
            (START_NS, START_NS + 40 * SECOND_NS, 4)
        );
        // 500 items have room: nothing is estimated.
        for (metric, which) in [(Metric::TopSrcPackets, 0), (Metric::TopSrcOctets, 1)] {
            let Summary::FrequentItems(list) = whole.summary(metric) else {
                panic!("a list")
            };
            let rows = list.rows(usize::MAX);
            assert_eq!((rows.len(), list.error()), (by_source.len(), 0));
            for row in rows {
                let source = u32::from_be_bytes(row.item.octets().try_into().unwrap());
                assert_eq!(row.limits, [by_source[&source][which]; 2]);
            }
        }
        let Summary::Cardinality(sources) = whole.summary(Metric::IpSrc) else {
            panic!("a cardinality")
        };
        let (estimate, truth) = (sources.estimate(), by_source.len() as f64);
        assert!((estimate.value - truth).abs() < truth * 0.12, "{estimate:?} of {truth}");
        let Summary::Quantiles(rates) = whole.summary(Metric::PacketRate) else {
            panic!("quantiles")
        };
        // A hundred packets in each of the forty seconds.
        assert_eq!(rates.weight(), 40);
        assert_eq!(rates.extremes(), Some([100.0, 100.0]));
    }
}

#[test]
fn transactions_are_counted_by_code_name_and_zone() {
    let mut summaries = ten_seconds();
    let mut names = HashSet::new();
    for at in 0..900i64 {
        let name = format!("h{}.z{}.co.uk", at % 300, at % 3);
        let (status, rcode) = match at % 17 {
            0 => (DnsStatus::Answered, Some(0)),
            1 => (DnsStatus::Answered, Some(3)),
            2 => (DnsStatus::NoQuery, Some(2)),
            _ => (DnsStatus::Unanswered, None),
        };
        summaries.transaction(&transaction(START_NS + at * 1_000_000, status, rcode), name.as_bytes());
        names.insert(name);
    }
    summaries.finish();
    let [window] = &summaries.take_closed()[..] else {
        panic!("one window")
    };
    let count = |of: fn(i64) -> bool| (0..900).filter(|at| of(*at)).count() as u64;
    assert_eq!(window.counter(Metric::DnsQueries), count(|at| at % 17 != 2));
    assert_eq!(window.counter(Metric::DnsResponses), count(|at| at % 17 < 3));
    assert_eq!(window.counter(Metric::DnsAnswered), count(|at| at % 17 < 2));
    assert_eq!(window.counter(Metric::DnsNxDomain), count(|at| at % 17 == 1));
    assert_eq!(window.counter(Metric::DnsServFail), count(|at| at % 17 == 2));
    let list = |metric| match window.summary(metric) {
        Summary::FrequentItems(list) => list,
        _ => panic!("a list"),
    };
    let zones: Vec<(String, u64)> = list(Metric::TopQname2)
        .rows(10)
        .into_iter()
        .map(|row| (String::from_utf8(row.item.octets().to_vec()).unwrap(), row.weight))
        .collect();
    assert_eq!(
        zones,
        [
            ("z0.co.uk".to_owned(), 300),
            ("z1.co.uk".to_owned(), 300),
            ("z2.co.uk".to_owned(), 300)
        ]
    );
    assert_eq!(list(Metric::TopQname).rows(1000).len(), names.len());
    assert_eq!(list(Metric::TopQtype).rows(5)[0].item.octets(), [0, 28]);
    let servers = [Metric::TopServerQueries, Metric::TopServerResponses].map(|metric| list(metric).rows(1)[0].weight);
    assert_eq!(
        servers,
        [window.counter(Metric::DnsQueries), window.counter(Metric::DnsResponses)]
    );
    let zone = |metric| list(metric).rows(10).iter().map(|row| row.weight).sum::<u64>();
    assert_eq!([zone(Metric::TopZoneQueries), zone(Metric::TopZoneResponses)], servers);
    assert_eq!(
        list(Metric::TopSlow).weight(),
        1500 * window.counter(Metric::DnsAnswered)
    );
}

/// Octets that this process has in memory.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * 4096)
}

#[test]
fn windows_that_are_as_full_as_can_be_take_a_bounded_amount_of_memory() {
    let Some(before) = resident() else {
        println!("skipped: no /proc to read the memory of this process from");
        return;
    };
    let mut numbers = Numbers(9);
    let mut summaries = Summaries::new(SummariesConfig {
        window_ns: 10 * SECOND_NS,
        lateness_ns: 3600 * SECOND_NS,
        ..SummariesConfig::default()
    });
    // Everything is new all the time, in all windows that can be open.
    for at in 0..200_000i64 {
        let time_ns = START_NS + at * 800_000;
        let mut packet = facts(time_ns, numbers.next() as u32, 40 + numbers.below(1460) as u32);
        packet.dst = u128::from(numbers.next()) << 64 | u128::from(numbers.next());
        packet.ports = [numbers.next() as u16, numbers.next() as u16];
        summaries.packet(&packet);
        let mut one = transaction(time_ns, DnsStatus::Answered, Some(3));
        one.key.src = IpAddr::V4(Ipv4Addr::from(numbers.next() as u32));
        one.key.dst = IpAddr::V4(Ipv4Addr::from(numbers.next() as u32));
        one.key.src_port = numbers.next() as u16;
        let name = format!("{:x}.{:x}.{:x}.example", numbers.next(), numbers.next(), numbers.next());
        summaries.transaction(&one, name.as_bytes());
    }
    assert_eq!(summaries.open_windows(), OPEN_WINDOWS[1]);
    let taken = resident().unwrap().saturating_sub(before);
    println!(
        "{} windows take {} kB each",
        OPEN_WINDOWS[1],
        taken / 1024 / OPEN_WINDOWS[1] as u64
    );
    assert!(taken < OPEN_WINDOWS[1] as u64 * 10_000_000, "{taken} octets");
}
