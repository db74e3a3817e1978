//! Packets in, transactions and their account out. Messages are spelled out from RFC 1035, 6891, 7766, 7871, 8914, 6762.

use flowgauge_templates::packet::LinkType;
use proptest::prelude::*;

use super::*;
use crate::limits;
use crate::metering::{FlowEndReason, Meter, MeterConfig, Records};

const MS: i64 = 1_000_000;
const START_NS: i64 = 1_767_225_600_000_000_000;
const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 53];

/// A meter and the clock.
struct Host {
    meter: Meter,
    now_ns: i64,
    records: Records,
}

impl Host {
    fn new(dns: DnsConfig) -> Host {
        let meter = Meter::new(MeterConfig {
            dns,
            ..MeterConfig::default()
        });
        Host {
            meter,
            now_ns: START_NS,
            records: Records::default(),
        }
    }

    fn udp(&mut self, src: ([u8; 4], u16), dst: ([u8; 4], u16), message: &[u8]) {
        let mut datagram = [src.1, dst.1, 8 + message.len() as u16, 0]
            .map(u16::to_be_bytes)
            .concat();
        datagram.extend(message);
        self.packet(17, src.0, dst.0, &datagram);
    }

    fn packet(&mut self, protocol: u8, src: [u8; 4], dst: [u8; 4], above: &[u8]) {
        let length = (20 + above.len() as u16).to_be_bytes();
        let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend(src);
        packet.extend(dst);
        packet.extend(above);
        let wire = packet.len() as u32;
        self.meter.handle_frame(self.now_ns, LinkType::RAW, &packet, wire, 0);
    }

    fn segment(&mut self, from_client: bool, sequence: u32, flags: u8, payload: &[u8]) {
        let (src, dst) = if from_client { (40_000u16, 53u16) } else { (53, 40_000) };
        let mut segment = [src, dst].map(u16::to_be_bytes).concat();
        segment.extend(sequence.to_be_bytes());
        segment.extend([0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(payload);
        let (from, to) = if from_client {
            (CLIENT, SERVER)
        } else {
            (SERVER, CLIENT)
        };
        self.packet(6, from, to, &segment);
    }

    fn ask(&mut self, message: &[u8]) {
        self.udp((CLIENT, 40_000), (SERVER, 53), message);
    }

    fn respond(&mut self, message: &[u8]) {
        self.udp((SERVER, 53), (CLIENT, 40_000), message);
    }

    /// Lets time pass.
    fn wait(&mut self, ms: i64) {
        self.now_ns += ms * MS;
        self.meter.handle_timeout(self.now_ns);
    }

    /// What there is so far.
    fn take(&mut self) -> Vec<DnsTransaction> {
        self.records = self.meter.take_records();
        let counters = self.meter.dns_counters();
        assert!(counters.is_balanced(), "{counters:?}");
        self.records.dns.clone()
    }

    fn finish(&mut self) -> Vec<DnsTransaction> {
        let mut all = Vec::new();
        while !self.meter.finish(FlowEndReason::ForcedEnd) {
            all.extend(self.take());
        }
        all.extend(self.take());
        assert_eq!(self.meter.dns_counters().open, 0);
        all
    }

    fn name(&self, transaction: &DnsTransaction) -> String {
        String::from_utf8(transaction.qname(&self.records).to_vec()).unwrap()
    }

    fn counters(&self) -> DnsCounters {
        self.meter.dns_counters()
    }
}

fn host() -> Host {
    Host::new(DnsConfig {
        answers_interval: 1,
        ..DnsConfig::default()
    })
}

fn name(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut octets: Vec<u8> = labels
        .flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat())
        .collect();
    octets.push(0);
    octets
}

/// Header, one question, and any records behind it.
fn message(id: u16, flags: u16, qname: &str, qtype: u16, counts: [u16; 3], records: &[u8]) -> Vec<u8> {
    let mut message = [id, flags, 1].map(u16::to_be_bytes).concat();
    message.extend(counts.map(u16::to_be_bytes).concat());
    message.extend(name(qname));
    message.extend([qtype, 1].map(u16::to_be_bytes).concat());
    message.extend(records);
    message
}

fn query(id: u16, qname: &str, qtype: u16) -> Vec<u8> {
    message(id, 0x0100, qname, qtype, [0; 3], &[])
}

fn response(id: u16, qname: &str, qtype: u16, rcode: u16) -> Vec<u8> {
    message(id, 0x8180 | rcode, qname, qtype, [0; 3], &[])
}

/// A record owned by the name in the question.
fn record(rtype: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let mut record = vec![0xc0, 12];
    record.extend(rtype.to_be_bytes());
    record.extend([0, 1]);
    record.extend(ttl.to_be_bytes());
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

fn opt(udp_octets: u16, extended_rcode: u8, flags: u16, options: &[(u16, &[u8])]) -> Vec<u8> {
    let data: Vec<u8> = options
        .iter()
        .flat_map(|(code, value)| [&code.to_be_bytes(), &(value.len() as u16).to_be_bytes()[..], value].concat())
        .collect();
    let mut record = vec![0, 0, 41];
    record.extend(udp_octets.to_be_bytes());
    record.extend([extended_rcode, 0]);
    record.extend(flags.to_be_bytes());
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

#[test]
fn a_query_and_its_response_are_one_transaction() {
    let mut host = host();
    host.ask(&query(7, "WWW.Example.com", 28));
    host.wait(12);
    host.respond(&response(7, "www.eXample.COM", 28, 3));
    let transactions = host.take();
    let [one] = transactions.as_slice() else {
        panic!("{transactions:?}")
    };
    assert_eq!(host.name(one), "www.example.com");
    assert_eq!(
        (one.status, one.end_reason),
        (DnsStatus::Answered, FlowEndReason::EndOfFlow)
    );
    assert_eq!(
        (one.id, one.qtype, one.qclass, one.rcode, one.flags),
        (7, 28, 1, Some(3), 0x8183)
    );
    assert_eq!(
        (one.start_ns, one.end_ns, one.latency_us),
        (START_NS, START_NS + 12 * MS, Some(12_000))
    );
    assert_eq!(
        (one.query_octets, one.response_octets, one.retries),
        (Some(33), Some(33), 0)
    );
    assert_eq!((one.key.src.to_string(), one.key.src_port), ("10.0.0.1".into(), 40_000));
    assert_eq!(
        (one.key.dst.to_string(), one.key.dst_port, one.key.protocol),
        ("192.0.2.53".into(), 53, 17)
    );
    let counters = host.counters();
    assert_eq!((counters.messages, counters.queries, counters.responses), (2, 1, 1));
    assert_eq!((counters.opened, counters.answered, counters.open), (1, 1, 0));
    // Their flow is there as it always was.
    assert_eq!(host.meter.counters().flows_active, 1);
}

#[test]
fn without_a_response_it_times_out_after_its_last_query() {
    let mut host = host();
    host.ask(&query(1, "a.example", 1));
    host.wait(2_000);
    host.ask(&query(1, "a.example", 1));
    host.wait(4_900);
    assert!(host.take().is_empty());
    host.wait(200);
    let transactions = host.take();
    let [one] = transactions.as_slice() else {
        panic!("{transactions:?}")
    };
    assert_eq!(
        (one.status, one.end_reason),
        (DnsStatus::Unanswered, FlowEndReason::IdleTimeout)
    );
    assert_eq!(
        (one.start_ns, one.end_ns, one.retries),
        (START_NS, START_NS + 2_000 * MS, 1)
    );
    assert_eq!(
        (one.rcode, one.latency_us, one.response_octets, one.flags),
        (None, None, None, 0x0100)
    );
    host.respond(&response(1, "a.example", 1, 0));
    let [late] = &host.take()[..] else { panic!() };
    assert_eq!((late.status, late.query_octets), (DnsStatus::NoQuery, None));
    assert_eq!((late.key.src_port, late.key.dst_port), (40_000, 53));
    let counters = host.counters();
    assert_eq!((counters.opened, counters.retries, counters.timed_out), (1, 1, 1));
    assert_eq!((counters.answered, counters.without_query), (0, 1));
}

#[test]
fn identifier_name_type_and_flow_have_to_agree() {
    let mut host = host();
    host.ask(&query(1, "a.example", 1));
    for wrong in [
        response(2, "a.example", 1, 0),
        response(1, "b.example", 1, 0),
        response(1, "a.example", 28, 0),
    ] {
        host.respond(&wrong);
    }
    host.udp((SERVER, 53), (CLIENT, 40_001), &response(1, "a.example", 1, 0));
    // From the client itself.
    host.ask(&response(1, "a.example", 1, 0));
    let statuses: Vec<_> = host.take().iter().map(|one| one.status).collect();
    assert_eq!(statuses, [DnsStatus::NoQuery; 5]);
    host.respond(&response(1, "a.example", 1, 0));
    assert_eq!(host.take()[0].status, DnsStatus::Answered);
}

#[test]
fn a_response_without_its_question_finds_the_query() {
    let mut host = host();
    host.ask(&query(9, "a.example", 1));
    let refused = [&[0, 9, 0x80, 5][..], &[0; 8]].concat();
    host.respond(&refused);
    let transactions = host.take();
    assert_eq!(host.name(&transactions[0]), "a.example");
    assert_eq!(
        (transactions[0].status, transactions[0].rcode),
        (DnsStatus::Answered, Some(5))
    );
    host.respond(&refused);
    let transactions = host.take();
    assert_eq!(host.name(&transactions[0]), ".");
    assert_eq!(transactions[0].status, DnsStatus::NoQuery);
}

#[test]
fn edns_tells_size_flags_subnet_and_errors() {
    let mut host = host();
    let subnet: &[u8] = &[0, 1, 24, 0, 203, 0, 113];
    host.ask(&message(
        1,
        0x0100,
        "a.example",
        1,
        [0, 0, 1],
        &opt(1232, 0, 0x8000, &[(10, &[1; 8]), (8, subnet)]),
    ));
    // BADVERS is 16: its upper bits are in the OPT record.
    let error: &[u8] = &[0, 18, b'n', b'o'];
    host.respond(&message(
        1,
        0x8180,
        "a.example",
        1,
        [0, 0, 1],
        &opt(4096, 1, 0, &[(15, error)]),
    ));
    let one = host.take().remove(0);
    let edns = one.edns.unwrap();
    assert_eq!((edns.udp_octets, edns.version, edns.is_dnssec_ok()), (1232, 0, true));
    assert_eq!(one.client_subnet.unwrap().to_string(), "203.0.113.0/24");
    assert_eq!((one.rcode, one.extended_error), (Some(16), Some(18)));
    let read = |family, prefix, octets: &[u8]| Subnet::read(family, prefix, octets).map(|subnet| subnet.to_string());
    assert_eq!(
        read(2, 56, &[0x20, 1, 0xd, 0xb8, 0, 0, 0xff]),
        Some("2001:db8:0:ff00::/56".into())
    );
    assert_eq!(read(1, 20, &[198, 51, 0xff]), Some("198.51.240.0/20".into()));
    assert_eq!(read(1, 0, &[]), Some("0.0.0.0/0".into()));
    assert_eq!(
        (read(1, 33, &[0; 4]), read(1, 24, &[1, 2]), read(3, 0, &[])),
        (None, None, None)
    );
}

#[test]
fn junk_is_counted_by_reason() {
    let mut host = host();
    let whole = query(1, "a.example", 1);
    let with = |at: usize, octets: &[u8]| {
        let mut message = whole.clone();
        message[at..at + octets.len()].copy_from_slice(octets);
        message
    };
    let cases = [
        (DnsFault::HeaderCut, whole[..11].to_vec()),
        (DnsFault::UnknownOperation, with(2, &[0x39])),
        (DnsFault::NoQuestion, with(5, &[0])),
        (DnsFault::SeveralQuestions, with(5, &[2])),
        (DnsFault::NameCut, whole[..20].to_vec()),
        (DnsFault::LabelKind, with(12, &[0x80])),
        (DnsFault::PointerNotBackwards, with(12, &[0xc0, 12])),
        (DnsFault::QuestionCut, whole[..whole.len() - 1].to_vec()),
        (
            DnsFault::NameTooLong,
            [&whole[..12], &[&[63][..], &[b'a'; 63]].concat().repeat(5)].concat(),
        ),
    ];
    for (fault, junk) in &cases {
        host.ask(junk);
        assert_eq!(host.counters().faults[*fault as usize], 1, "{fault:?}");
    }
    assert!(host.take().is_empty());
    assert_eq!(host.counters().faults_total(), cases.len() as u64);
    // What lies behind the question does not keep it from being used.
    for (fault, lying) in [
        (
            DnsFault::RecordsCut,
            message(2, 0x8180, "a.example", 1, [9, 0, 0], &record(1, 60, &[1, 2, 3, 4])),
        ),
        (
            DnsFault::TrailingOctets,
            message(3, 0x8180, "a.example", 1, [0; 3], b"more"),
        ),
    ] {
        host.respond(&lying);
        assert_eq!(host.take().len(), 1);
        assert_eq!(host.counters().used_with_fault[fault as usize], 1, "{fault:?}");
    }
    // Truncation within a record is no fault.
    host.respond(&message(
        4,
        0x8380,
        "a.example",
        1,
        [9, 0, 0],
        &record(1, 60, &[1, 2, 3, 4]),
    ));
    assert_eq!(host.counters().used_with_fault_by_reason().count(), 2);
    assert_eq!(host.take()[0].flags & message::FLAG_TRUNCATED, message::FLAG_TRUNCATED);
}

#[test]
fn a_full_table_gives_up_the_oldest() {
    let mut host = Host::new(DnsConfig {
        max_open: 100,
        ..DnsConfig::default()
    });
    for id in 0..1_000 {
        host.wait(1);
        host.ask(&query(id, "a.example", 1));
    }
    assert!(host.counters().open < 100);
    let transactions = host.finish();
    assert_eq!(transactions.len(), 1_000);
    let of = |reason| transactions.iter().filter(|one| one.end_reason == reason).count() as u64;
    let counters = host.counters();
    assert_eq!(of(FlowEndReason::LackOfResources), counters.evicted);
    assert_eq!(of(FlowEndReason::ForcedEnd), counters.stopped);
    assert!(counters.evicted >= 900 && counters.stopped >= 60, "{counters:?}");
    assert!(transactions.iter().all(|one| one.status == DnsStatus::Unanswered));
}

#[test]
fn more_than_may_wait_are_ended_in_turns() {
    let mut host = host();
    let most = limits::MAX_PENDING_RECORDS;
    let asked = 2 * most + 100;
    for id in 0..asked {
        host.ask(&query(id as u16, "a.example", 1));
    }
    host.wait(6_000);
    assert_eq!(host.take().len(), most);
    host.wait(1);
    assert_eq!(host.take().len(), most);
    assert_eq!(host.finish().len(), asked - 2 * most);
    let counters = host.counters();
    assert_eq!(counters.timed_out + counters.stopped, asked as u64);
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Queries in one piece or any, in any order of segments.
fn over_tcp(host: &mut Host, octets: &[u8], from_client: bool, first: u32, cuts: &[usize]) {
    let mut at = 0;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (octets.len() + 1)).collect();
    ends.sort_unstable();
    ends.push(octets.len());
    for end in ends {
        if end > at {
            host.segment(from_client, first.wrapping_add(at as u32), ACK, &octets[at..end]);
            at = end;
        }
    }
}

#[test]
fn over_tcp_messages_are_told_apart_by_their_lengths() {
    let mut host = host();
    let first = u32::MAX - 20;
    host.segment(true, first.wrapping_sub(1), SYN, &[]);
    host.segment(false, 99, SYN | ACK, &[]);
    let queries: Vec<u8> = (0..5).flat_map(|id| framed(&query(id, "a.example", 1))).collect();
    over_tcp(&mut host, &queries, true, first, &[]);
    let responses: Vec<u8> = (0..5).flat_map(|id| framed(&response(id, "a.example", 1, 0))).collect();
    host.wait(3);
    over_tcp(&mut host, &responses, false, 100, &[1, 40, 41, 90]);
    // All of it again.
    over_tcp(&mut host, &responses, false, 100, &[17]);
    let transactions = host.take();
    assert_eq!(transactions.len(), 5);
    for one in &transactions {
        assert_eq!(
            (one.status, one.latency_us, one.key.protocol),
            (DnsStatus::Answered, Some(3_000), 6)
        );
        assert_eq!((one.query_octets, one.response_octets), (Some(27), Some(27)));
    }
    let counters = host.counters();
    assert_eq!((counters.messages, counters.tcp_messages), (10, 10));
    let StreamCounters {
        followed,
        gaps,
        octets_skipped,
        ..
    } = counters.streams;
    assert_eq!((followed, gaps, octets_skipped), (1, 0, 0));
}

use super::counters::StreamCounters;

#[test]
fn a_segment_out_of_order_waits_for_the_one_before_it() {
    let mut host = host();
    host.segment(true, 0, SYN, &[]);
    let octets = [framed(&query(1, "a.example", 1)), framed(&query(2, "b.example", 1))].concat();
    host.segment(true, 1 + 40, ACK, &octets[40..]);
    host.segment(true, 1 + 20, ACK, &octets[20..40]);
    assert_eq!(host.counters().messages, 0);
    host.segment(true, 1, ACK, &octets[..30]);
    assert_eq!((host.counters().queries, host.counters().streams.gaps), (2, 0));
    assert!(host.meter.finish(FlowEndReason::ForcedEnd));
}

#[test]
fn behind_a_gap_or_without_a_beginning_it_goes_on_with_what_looks_like_a_message() {
    let mut host = host();
    // No SYN, and the rest of some message.
    host.segment(true, 500, ACK, b"of something long that began before");
    let octets = framed(&query(1, "a.example", 1));
    host.segment(true, 535, ACK, &octets);
    assert_eq!(host.counters().queries, 1);
    // A segment is missing for good: nine more come.
    let mut at = 535 + octets.len() as u32 + 100;
    for id in 2..12 {
        let octets = framed(&query(id, "a.example", 1));
        host.segment(true, at, ACK, &octets);
        at += octets.len() as u32;
    }
    let counters = host.counters();
    assert_eq!((counters.queries, counters.streams.gaps), (11, 1));
    // What is no DNS at all.
    host.segment(true, at, ACK, &[0; 600]);
    host.segment(true, at + 600, ACK, &[0; 600]);
    assert_eq!(host.counters().messages, 11);
    assert_eq!(host.counters().streams.octets_skipped, 35 + 1200);
}

#[test]
fn mdns_questions_to_one_are_paired_and_those_to_all_are_not() {
    let mut host = host();
    let group = ([224, 0, 0, 251], 5353);
    // To everybody, and the answer to everybody, which repeats no question and asks to forget what was known.
    host.udp(
        (CLIENT, 5353),
        group,
        &message(0, 0, "_ipp._tcp.local", 12, [0; 3], &[]),
    );
    let answer = [
        &[0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0][..],
        &name("Printer.local"),
        &[0, 1, 0x80, 1, 0, 0, 0, 120, 0, 4, 10, 0, 0, 9],
    ]
    .concat();
    host.udp(([10, 0, 0, 9], 5353), group, &answer);
    let transactions = host.take();
    let [one] = transactions.as_slice() else {
        panic!("{transactions:?}")
    };
    assert_eq!(host.name(one), "printer.local");
    assert_eq!(
        (one.status, one.qtype, one.qclass, one.answers),
        (DnsStatus::NoQuery, 1, 1, 1)
    );
    // RFC 6762 section 6.7: from another port, answered by whoever knows, with id and question repeated.
    host.udp((CLIENT, 40_000), group, &query(77, "printer.local", 1));
    host.wait(20);
    host.udp(
        ([10, 0, 0, 9], 5353),
        (CLIENT, 40_000),
        &response(77, "printer.local", 1, 0),
    );
    let one = host.take().remove(0);
    assert_eq!((one.status, one.latency_us), (DnsStatus::Answered, Some(20_000)));
    assert_eq!(
        (one.key.src.to_string(), one.key.dst.to_string()),
        ("10.0.0.1".into(), "10.0.0.9".into())
    );
    host.udp((CLIENT, 40_000), group, &query(78, "nobody.local", 1));
    host.wait(5_200);
    let one = host.take().remove(0);
    assert_eq!(
        (one.status, one.key.dst.to_string()),
        (DnsStatus::Unanswered, "224.0.0.251".into())
    );
    let counters = host.counters();
    assert_eq!((counters.multicast_queries, counters.multicast_responses), (1, 1));
}

#[test]
fn answers_are_read_on_the_sample_with_their_names_written_out() {
    let mut host = Host::new(DnsConfig {
        answers_interval: 2,
        ..DnsConfig::default()
    });
    // Target of the alias: "cdn" in front of the question's name.
    let answers = [
        record(5, 300, b"\x03Cdn\xc0\x0c"),
        record(1, 60, &[192, 0, 2, 7]),
        record(28, 60, &[0x20; 16]),
    ]
    .concat();
    for id in 0..4 {
        host.respond(&message(id, 0x8180, "a.example", 1, [3, 0, 0], &answers));
    }
    let transactions = host.take();
    let lists: Vec<_> = transactions
        .iter()
        .map(|one| one.answer_lists.of(&host.records.dns_answers))
        .collect();
    assert!(lists[0].is_none() && lists[2].is_none());
    let lists = lists[1]
        .unwrap()
        .lists
        .map(|list| list.of(&host.records.octets).to_vec());
    let owner = b"\x09a.example".to_vec();
    let expected = [
        [&owner[..], &[0, 1, 0, 0, 0, 60, 192, 0, 2, 7]].concat(),
        [&owner[..], &[0, 28, 0, 0, 0, 60], &[0x20; 16]].concat(),
        [&owner[..], &[0, 5, 0, 0, 1, 44, 15], b"\x03cdn\x01a\x07example\x00"].concat(),
    ];
    assert_eq!(lists, expected);
    let counters = host.counters();
    assert_eq!(
        (counters.answers_sampled, counters.answers, counters.answers_unreadable),
        (2, 6, 0)
    );
}

#[test]
fn the_first_fragment_tells_all_but_its_answers() {
    let mut host = host();
    let answers = record(16, 60, &[7; 200]).repeat(9);
    let message = message(1, 0x8180, "a.example", 16, [9, 0, 0], &answers);
    let mut datagram = [53, 40_000, 8 + message.len() as u16, 0].map(u16::to_be_bytes).concat();
    datagram.extend(&message[..1472]);
    let length = (20 + datagram.len() as u16).to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 7, 0x20, 0, 64, 17, 0, 0];
    packet.extend([SERVER, CLIENT].concat());
    packet.extend(datagram);
    host.ask(&query(1, "a.example", 16));
    host.meter
        .handle_frame(host.now_ns, LinkType::RAW, &packet, packet.len() as u32, 0);
    let one = host.take().remove(0);
    assert_eq!((one.status, one.answers), (DnsStatus::Answered, 9));
    assert_eq!(one.response_octets.map(usize::from), Some(message.len()));
    let counters = host.counters();
    assert_eq!(
        (counters.cut_messages, counters.used_with_fault_by_reason().count()),
        (1, 0)
    );
}

#[test]
fn off_means_off() {
    let mut host = Host::new(DnsConfig {
        enabled: false,
        ..DnsConfig::default()
    });
    host.ask(&query(1, "a.example", 1));
    assert_eq!((host.counters(), host.finish().len()), (DnsCounters::default(), 0));
    assert_eq!(host.meter.counters().flows_created, 1);
}

proptest! {
    /// However segments part them, and wherever sequence numbers wrap, the same messages come out.
    #[test]
    fn any_parting_gives_the_same_messages(first: u32, cuts in proptest::collection::vec(any::<usize>(), 0..12), order: u64) {
        let mut host = host();
        host.segment(true, first.wrapping_sub(1), SYN, &[]);
        let octets: Vec<u8> = (0..4).flat_map(|id| framed(&query(id, "a.example", 1))).collect();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % octets.len()).chain([0, octets.len()]).collect();
        ends.sort_unstable();
        let mut pieces: Vec<(usize, usize)> = ends.windows(2).map(|ends| (ends[0], ends[1])).filter(|(a, b)| a < b).collect();
        // Two neighbours change places, which is always within what may wait.
        if pieces.len() > 1 {
            let at = order as usize % (pieces.len() - 1);
            pieces.swap(at, at + 1);
        }
        for (start, end) in pieces {
            host.segment(true, first.wrapping_add(start as u32), ACK, &octets[start..end]);
        }
        prop_assert_eq!(host.counters().queries, 4);
        prop_assert_eq!(host.counters().streams.gaps, 0);
        prop_assert_eq!(host.counters().faults_total(), 0);
    }

    /// Any octets over UDP and TCP, in both directions: the account balances.
    #[test]
    fn any_octets_balance(packets in proptest::collection::vec((any::<[bool; 2]>(), any::<u8>(), any_message()), 0..40)) {
        let mut host = host();
        let mut at = [7u32, 9];
        for ([from_client, tcp], ms, octets) in packets {
            host.wait(i64::from(ms) * 8);
            match (tcp, from_client) {
                (true, _) => {
                    let side = usize::from(from_client);
                    host.segment(from_client, at[side].wrapping_add(u32::from(ms & 1) * 5), ACK, &octets);
                    at[side] = at[side].wrapping_add(octets.len() as u32);
                }
                (false, true) => host.ask(&octets),
                (false, false) => host.respond(&octets),
            }
            host.take();
        }
        host.finish();
    }
}

/// Octets that are messages, almost messages, and none.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let whole = (
        0u16..4,
        any::<bool>(),
        0u16..3,
        proptest::collection::vec(any::<u8>(), 0..40),
    )
        .prop_map(|(id, is_query, answers, records)| {
            let flags = if is_query { 0x0100 } else { 0x8180 };
            message(id, flags, "a.example", 1, [answers, 0, 1], &records)
        });
    let changed = (whole.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut octets, at, octet)| {
        let at = at.index(octets.len());
        octets[at] = octet;
        octets
    });
    let framed = whole.clone().prop_map(|octets| framed(&octets));
    prop_oneof![whole, changed, framed, proptest::collection::vec(any::<u8>(), 1..300)]
}
