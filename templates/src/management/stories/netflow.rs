//! NetFlow 9, 5 and 7 through the session that IPFIX goes through. Bytes are put together by hand after RFC 3954 and
//! Cisco's tables.

use super::*;

/// 2026-01-01T00:00:00Z.
const EXPORT_S: u32 = 1_767_225_600;
const UPTIME_MS: u32 = 1_000_000;

fn be16(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    [be16(&[id, 4 + body.len() as u16]), body.to_vec()].concat()
}

fn message9(sequence: u32, source: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let words = [UPTIME_MS, EXPORT_S, sequence, source];
    let header: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    [be16(&[9, sets.len() as u16]), header, sets.concat()].concat()
}

/// Template 256: source address, packets in 4 octets, first and last switched.
fn flow_template() -> Vec<u8> {
    set(0, &be16(&[256, 4, 8, 4, 2, 4, 22, 4, 21, 4]))
}

fn flow(packets: u32) -> Vec<u8> {
    let times = [packets, UPTIME_MS - 2_000, UPTIME_MS - 500];
    [
        vec![10, 0, 0, 1],
        times.iter().flat_map(|word| word.to_be_bytes()).collect(),
    ]
    .concat()
}

fn session(version: Version) -> Pair {
    let mut pair = Pair::new(TransportKind::Udp);
    pair.collector = CollectingSession::of_version(version, TransportKind::Udp, CollectingConfig::default());
    pair
}

#[test]
fn version_9_goes_the_way_of_ipfix() {
    let mut pair = session(Version::Netflow9);
    let body = [flow(7), flow(8), vec![0, 0]].concat();
    pair.receive(START, &message9(1, 5, &[set(256, &body)])).unwrap();
    pair.receive(START + S, &message9(2, 5, &[flow_template(), set(256, &flow(9))]))
        .unwrap();
    assert_eq!(pair.log, ["pending 256", "template 256 New", "waited 1 s"]);
    let packets = |n: u32| {
        let (start, end) = (UPTIME_MS - 2_000, UPTIME_MS - 500);
        format!(
            r#"{{"sourceIPv4Address":"10.0.0.1","packetDeltaCount":{n},"flowStartSysUpTime":{start},"flowEndSysUpTime":{end}}}"#
        )
    };
    assert_eq!(pair.records, [packets(7), packets(8), packets(9)]);
    let counters = pair.collector.counters();
    assert_eq!(
        (counters.messages, counters.flow_records, counters.errors.total()),
        (2, 3, 0)
    );
    pair.receive(START + 2 * S, &message9(3, 6, &[set(256, &flow(1))]))
        .unwrap();
    assert_eq!(pair.records.len(), 3, "another source is another scope");
}

/// RFC 3954 section 5.1: the sequence number counts Export Packets.
#[test]
fn version_9_counts_messages() {
    let mut pair = session(Version::Netflow9);
    for sequence in [10, 11, 14, 13, 15] {
        let sets = [flow_template(), set(256, &flow(1)), set(256, &flow(1))];
        pair.receive(START, &message9(sequence, 5, &sets)).unwrap();
    }
    let (_, counters) = pair.collector.sequences().next().unwrap();
    assert_eq!(
        (counters.gaps, counters.lost_records, counters.late_messages),
        (1, 1, 1)
    );
}

/// RFC 3954 section 6.1: lengths in octets, and scopes by a numbering of their own.
#[test]
fn version_9_options_say_their_lengths_in_octets() {
    let mut pair = session(Version::Netflow9);
    // Scope: interface in 2 octets, system in none; options: interfaceName in 6, samplingInterval in 4.
    let template = set(1, &be16(&[257, 8, 8, 2, 2, 1, 0, 82, 6, 34, 4, 0]));
    let record = [&[0, 3][..], b"eth3\0\0", &100u32.to_be_bytes()].concat();
    pair.receive(START, &message9(1, 5, &[template, set(257, &record)]))
        .unwrap();
    assert_eq!(pair.log, ["template 257 New"]);
    let expected = r#"{"ingressInterface":3,"exportingProcessId":"","interfaceName":"eth3","samplingInterval":100}"#;
    assert_eq!(pair.records, [expected]);
    let template = pair.collector.templates().next().unwrap().1;
    assert_eq!((template.scope_field_count(), template.is_options()), (2, true));
    assert_eq!(pair.collector.counters().options_records, 1);
}

/// Field types from 32768 up have no enterprise number behind them in version 9: nProbe's and Cisco ASA's.
#[test]
fn version_9_field_types_of_vendors_lead_to_their_elements() {
    let mut pair = session(Version::Netflow9);
    let template = set(0, &be16(&[300, 3, 57_590, 2, 33_002, 2, 40_000, 4]));
    let record = [be16(&[7, 1_015]), b"bob\0".to_vec()].concat();
    pair.receive(START, &message9(1, 5, &[template, set(300, &record)]))
        .unwrap();
    let elements: Vec<_> = pair.collector.templates().next().unwrap().1.fields().to_vec();
    let elements: Vec<_> = elements.iter().map(|field| field.specifier.element).collect();
    let expected = [(35_632, 118), (9, 234), (9, 7_232)].map(|(pen, id)| ElementId::new(pen, id));
    assert_eq!(elements, expected);
    assert!(pair.records[0].contains(r#""bob""#), "{}", pair.records[0]);
}

#[test]
fn faults_of_version_9_cost_no_more_than_themselves() {
    for (what, bad, kind) in [
        (
            "lengths of half fields",
            set(1, &be16(&[257, 2, 4, 2, 2, 82, 6])),
            "options_length",
        ),
        (
            "options about nothing",
            set(1, &be16(&[257, 0, 4, 82, 6])),
            "scope_count",
        ),
        (
            "a template of nothing",
            set(0, &be16(&[257, 2, 8, 0, 12, 0])),
            "empty_template",
        ),
        (
            "a template without fields",
            set(0, &be16(&[257, 0, 258, 1, 8, 4])),
            "empty_template",
        ),
        (
            "a template beyond its FlowSet",
            set(0, &be16(&[257, 65_535, 8, 4])),
            "truncated",
        ),
        (
            "options beyond their FlowSet",
            set(1, &be16(&[257, 4, 65_535, 1, 4])),
            "truncated",
        ),
        (
            "an identifier of templates",
            set(2, &be16(&[257, 1, 8, 4])),
            "reserved_set_id",
        ),
        (
            "a template with a FlowSet's number",
            set(0, &be16(&[255, 1, 8, 4])),
            "template_id",
        ),
    ] {
        let mut pair = session(Version::Netflow9);
        let sets = [bad, flow_template(), set(256, &flow(1)), vec![1, 44, 0, 0]];
        pair.receive(START, &message9(1, 5, &sets)).unwrap();
        assert_eq!(pair.records.len(), 1, "{what}");
        let kinds: Vec<_> = pair
            .collector
            .counters()
            .errors
            .iter()
            .map(|(kind, _)| kind.as_str())
            .collect();
        assert!(
            kinds.contains(&kind) && kinds.contains(&"set_length"),
            "{what}: {kinds:?}"
        );
        assert!(pair.receive(START, &message9(2, 5, &[])[..19]).is_err());
        assert!(pair.receive(START, &[0, 10, 0, 16]).is_err(), "another version");
    }
}

/// A datagram of version 5 or 7 with records of source address and 9 packets, sent by engine 1/2 one in 100 at random.
fn fixed(version: u16, sequence: u32, said: u16, records: usize) -> Vec<u8> {
    let words = [UPTIME_MS, EXPORT_S, 0, sequence];
    let mut bytes: Vec<u8> = be16(&[version, said]);
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes.extend([1, 2, 0x80, 100]);
    for _ in 0..records {
        let mut record = vec![0; if version == 5 { 48 } else { 52 }];
        record[..4].copy_from_slice(&[10, 0, 0, 1]);
        record[16..20].copy_from_slice(&9u32.to_be_bytes());
        bytes.extend(record);
    }
    bytes
}

#[test]
fn versions_5_and_7_need_no_template_and_count_flows() {
    for (version, number) in [(Version::Netflow5, 5), (Version::Netflow7, 7)] {
        let mut pair = session(version);
        pair.receive(START, &fixed(number, 100, 2, 2)).unwrap();
        pair.receive(START, &fixed(number, 102, 30, 30)).unwrap();
        pair.receive(START, &fixed(number, 140, 1, 1)).unwrap();
        assert_eq!(pair.log, ["Gap(8)"]);
        assert_eq!(pair.records.len(), 33);
        assert!(pair.records[0].starts_with(r#"{"sourceIPv4Address":"10.0.0.1""#));
        assert!(pair.records[0].contains(r#""packetDeltaCount":9"#));
        assert_eq!(pair.records[0].contains("ipv4RouterSc"), number == 7);
        let (domain, counters) = pair.collector.sequences().next().unwrap();
        assert_eq!(
            (domain, counters.lost_records),
            (if number == 5 { 0x0102 } else { 0 }, 8)
        );
        pair.log.clear();
        pair.receive(START, &fixed(number, 141, 3, 2)[..]).unwrap();
        assert_eq!(
            (pair.records.len(), pair.log.len()),
            (35, 1),
            "what is whole of a cut datagram is taken"
        );
        assert_eq!(pair.collector.counters().flow_records, 35);
    }
}
