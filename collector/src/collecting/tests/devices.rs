//! What devices tell beside plain flows: packets within records, Selection Sequences, statistics; and what the user says
//! about them.

use super::*;
use crate::collecting::exporters::by_prefix;
use crate::normalize::sampling::Rate;

fn be(number: u64, octets: usize) -> Vec<u8> {
    number.to_be_bytes()[8 - octets..].to_vec()
}

/// Ethernet, VLAN 5, IPv4 of 1 500 octets, TCP SYN from 10.0.0.1:40000 to 192.0.2.1:443, cut behind its header.
fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 5, 8, 0];
    frame.extend(packet());
    frame
}

fn packet() -> Vec<u8> {
    let mut packet = vec![
        0x45, 0x20, 0x05, 0xdc, 0, 1, 0, 0, 63, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1,
    ];
    packet.extend([
        0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0x20, 0, 0, 0, 0, 0,
    ]);
    packet
}

fn assert_packet(row: &Row) {
    assert_eq!(row.get(id::SRC_IP), Some(CellRef::Ip(ipv4_to_u128([10, 0, 0, 1]))));
    assert_eq!(row.get(id::DST_IP), Some(CellRef::Ip(ipv4_to_u128([192, 0, 2, 1]))));
    let numbers = [
        id::SRC_PORT,
        id::DST_PORT,
        id::PROTO,
        id::TCP_FLAGS,
        id::TTL_MIN,
        id::TOS,
    ];
    let numbers = numbers.map(|column| row.number(column).unwrap());
    assert_eq!(numbers, [40_000, 443, 6, 2, 63, 0x20]);
}

#[test]
fn packet_reports_become_rows_that_a_selection_sequence_scales() {
    let mut process = process();
    // Sequence 9: one in 100 by count (Selector 1), then each with a probability of 1/8 (Selector 3): RFC 5476.
    let options = [
        options_template_set(600, &[(302, 8), (304, 2), (305, 4), (306, 4)]),
        options_template_set(602, &[(302, 8), (304, 2), (311, 8)]),
        options_template_set(603, &[(301, 8), (138, 8), (302, 8), (302, 8)]),
        set(600, &[be(1, 8), be(1, 2), be(1, 4), be(99, 4)].concat()),
        set(602, &[be(3, 8), be(4, 2), 0.125f64.to_be_bytes().to_vec()].concat()),
        set(603, &[be(9, 8), be(1, 8), be(1, 8), be(3, 8)].concat()),
    ];
    assert!(take(&mut process, NOW, udp(A), &message(7, 0, &options)).is_empty());
    // selectionSequenceId, dataLinkFrameSize, dataLinkFrameSection.
    let frame = frame();
    let template = template_set(700, &[(301, 8), (312, 2), (315, frame.len() as u16)]);
    let of = |sequence: u64| set(700, &[be(sequence, 8), be(1518, 2), frame.clone()].concat());
    let rows = take(&mut process, NOW, udp(A), &message(7, 3, &[template, of(9), of(8)]));
    assert_packet(&rows[0]);
    let numbers = [
        id::PACKETS,
        id::OCTETS,
        id::SAMPLING,
        id::RAW_PACKETS,
        id::RAW_OCTETS,
        id::VLAN,
    ];
    assert_eq!(
        numbers.map(|column| rows[0].number(column)),
        [800, 1_200_000, 800, 1, 1_500, 5].map(Some)
    );
    assert!(rows[0].other().any(|(name, _)| &**name == "dataLinkFrameSection"));
    assert_eq!(
        numbers.map(|column| rows[1].number(column)),
        [Some(1), Some(1_500), None, None, None, Some(5)],
        "nobody told what sequence 8 is"
    );
}

#[test]
fn a_packet_fills_what_no_field_says() {
    let mut process = process();
    let packet = packet();
    // destinationTransportPort, octets and packets are fields' own.
    let template = template_set(701, &[(11, 2), (1, 4), (2, 4), (313, packet.len() as u16)]);
    let record = set(701, &[be(8080, 2), be(7_000, 4), be(5, 4), packet].concat());
    let rows = take(&mut process, NOW, udp(A), &message(7, 0, &[template, record]));
    let numbers = [id::SRC_PORT, id::DST_PORT, id::OCTETS, id::PACKETS].map(|column| rows[0].number(column));
    assert_eq!(numbers, [Some(40_000), Some(8_080), Some(7_000), Some(5)]);
    // What is no packet is kept and fills nothing.
    let template = template_set(702, &[(313, 4), (315, 3)]);
    let record = set(702, &[vec![0xff; 4], vec![1, 2, 3]].concat());
    let rows = take(&mut process, NOW, udp(A), &message(7, 1, &[template, record]));
    assert_eq!((rows[0].get(id::SRC_IP), rows[0].number(id::PACKETS)), (None, None));
    assert_eq!(rows[0].other().count(), 2);
}

#[test]
fn stacks_of_labels_read_from_the_top() {
    let mut process = process();
    let template = template_set(703, &[(70, 3), (71, 3), (72, 3), (495, 16), (498, 1)]);
    let segment = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    // Labels 24021 and 16, then nothing: 20 bits each, above class and bottom of stack.
    let labels = [be(24_021 << 4, 3), be(16 << 4 | 1, 3), vec![0; 3]].concat();
    let record = set(703, &[labels, segment.to_vec(), vec![2]].concat());
    let rows = take(&mut process, NOW, udp(A), &message(7, 0, &[template, record]));
    assert_eq!(rows[0].get(id::MPLS_LABELS), Some(CellRef::Text("24021 16")));
    assert_eq!(
        rows[0].get(id::SRV6_SEGMENT),
        Some(CellRef::Ip(u128::from_be_bytes(segment)))
    );
    assert_eq!(rows[0].number(id::SRV6_LEFT), Some(2));
}

#[test]
fn what_exporters_count_about_themselves_is_kept() {
    let mut process = process();
    // exportingProcessId: Messages, octets and flows exported, then packets ignored.
    let options = [
        options_template_set(610, &[(144, 4), (41, 8), (40, 8), (42, 8), (164, 8)]),
        set(610, &[be(1, 4), be(10, 8), be(9_000, 8), be(70, 8), be(3, 8)].concat()),
    ];
    take(&mut process, NOW, udp(A), &message(7, 0, &options));
    let later = set(610, &[be(1, 4), be(12, 8), be(9_900, 8), be(71, 8), be(3, 8)].concat());
    take(&mut process, NOW, udp(A), &message(7, 1, &[later]));
    let (at_ns, counters) = process.statistics("198.51.100.1".parse().unwrap(), 7).unwrap();
    assert_eq!(at_ns, i64::from(EXPORT_TIME) * S);
    let counters: Vec<_> = counters.iter().map(|(name, number)| (&**name, *number)).collect();
    assert_eq!(
        counters,
        [
            ("exportedMessageTotalCount", 12),
            ("exportedOctetTotalCount", 9_900),
            ("exportedFlowRecordTotalCount", 71),
            ("ignoredPacketTotalCount", 3),
        ]
    );
    assert_eq!(process.statistics("198.51.100.2".parse().unwrap(), 7), None);
}

/// A process that takes exporters of 198.51.100.0/24 alone, up to 3 datagrams a second each.
fn ruled() -> CollectingProcess {
    let text = |text: &str| Ok(text.to_owned());
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    let exporters = ExporterRules {
        allow: vec!["198.51.100.0/24".parse().unwrap()],
        datagrams_per_second: 3,
        names: by_prefix("198.51.100.1=edge-1", text).unwrap(),
        labels: by_prefix("198.51.100.0/24=x", |_| Ok(("site".to_owned(), "berlin".to_owned()))).unwrap(),
        sampling: by_prefix("198.51.100.1=10", number).unwrap(),
        domains: by_prefix("198.51.100.1/32=99", |_| Ok(99)).unwrap(),
    };
    let config = ProcessConfig {
        listeners: vec![Transport::Udp, Transport::Tcp],
        exporters,
        ..ProcessConfig::default()
    };
    CollectingProcess::new(config, Registry::new())
}

#[test]
fn the_user_says_what_exporters_are_called_and_sample_at() {
    let mut process = ruled();
    let rows = take(
        &mut process,
        NOW,
        udp(A),
        &message(7, 0, &[flow_template(), flow_set([1])]),
    );
    let row = &rows[0];
    assert_eq!(row.get(id::EXPORTER_NAME), Some(CellRef::Text("edge-1")));
    assert_eq!(row.number(id::EXPORTER_DOMAIN), Some(99));
    assert_eq!(
        (row.number(id::OCTETS), row.number(id::RAW_OCTETS)),
        (Some(1_000), Some(100))
    );
    assert_eq!(row.number(id::SAMPLING), Some(10));
    let label = row.other().find(|(name, _)| &***name == "label.site");
    assert_eq!(label.map(|(_, value)| value), Some(CellRef::Text("berlin")));
    // Sequence numbers are those of the domain that the exporter says.
    take(&mut process, NOW, udp(A), &message(7, 5, &[flow_set([1])]));
    assert_eq!(account(&process, "198.51.100.1", Protocol::Ipfix, 99).sequence.lost, 4);
    let rows = take(
        &mut process,
        NOW,
        udp(B),
        &message(7, 0, &[flow_template(), flow_set([1])]),
    );
    assert_eq!(rows[0].get(id::EXPORTER_NAME), None);
    assert_eq!(
        (rows[0].number(id::EXPORTER_DOMAIN), rows[0].number(id::SAMPLING)),
        (Some(7), None)
    );
    assert_eq!(
        process.exporter_facts("198.51.100.1".parse().unwrap()).unwrap().rate,
        Some(Rate::one_in(10))
    );
}

#[test]
fn who_may_not_send_and_who_sends_too_much_is_refused_and_counted() {
    let mut process = ruled();
    let bytes = message(7, 0, &[flow_template(), flow_set([1])]);
    for spoofed in 0..40u8 {
        let peer = format!("203.0.113.{spoofed}:4000");
        assert!(take(&mut process, NOW, udp(&peer), &bytes).is_empty());
    }
    let refused = account(&process, "0.0.0.0", Protocol::Ipfix, 0);
    assert_eq!((refused.datagrams, refused.not_allowed, refused.messages), (40, 40, 0));
    assert_eq!(process.ledger().iter().count(), 1, "spoofed senders get no accounts");
    let taken: usize = (0..5).map(|_| take(&mut process, NOW, udp(B), &bytes).len()).sum();
    assert_eq!(taken, 3);
    let totals = process.totals();
    assert_eq!((totals.sum.rate_limited, totals.sum.messages), (2, 3));
    assert_eq!(totals.errors.get("rate_limited"), Some(&2));
    assert_eq!(take(&mut process, NOW + S, udp(B), &bytes).len(), 1);
}

/// Octets that were allocated and not given back, as the allocator counts them.
fn resident_octets() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = status.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

/// Spoofed senders, domains, template ids, sub-agents and interfaces, each new in every datagram: what is held stays
/// within its bounds, and with it the memory. `make fuzz` does it at length.
#[test]
fn spoofed_senders_domains_and_templates_do_not_grow_us() {
    let mut process = process();
    let mut rows = Vec::new();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let rounds: u32 = std::env::var("FLOWGAUGE_SPOOFED").map_or(60_000, |text| text.parse().unwrap());
    let mut settled = 0;
    for n in 0..rounds {
        let address = (n.wrapping_mul(2_654_435_761)).to_be_bytes();
        let peer = |port: u16| SessionKey {
            listener: 0,
            peer: SocketAddr::from((address, port)),
            connection: 0,
        };
        let id = 256 + (n % 60_000) as u16;
        let ipfix = message(n, 0, &[template_set(id, &[(8, 4), (1, 8)]), flow_set([1])]);
        let options = message(
            n,
            0,
            &[
                options_template_set(300, &[(10, 4), (82, 4)]),
                set(300, &[n.to_be_bytes(), *b"eth0"].concat()),
            ],
        );
        let interface = [words(&[1, 88]), words(&[n; 22])].concat();
        let sample = [words(&[n, n & 0x00ff_ffff, 1]), interface].concat();
        let sflow = [words(&[5, 1, n, n, n, n, 1, 2, sample.len() as u32]), sample].concat();
        for (port, bytes) in [(4_000, &ipfix), (4_001, &options), (4_002, &sflow)] {
            process.handle(NOW + i64::from(n) * 1_000, peer(port), bytes, &mut rows);
        }
        rows.clear();
        // By then every table is full.
        if n == rounds * 3 / 4 {
            settled = resident_octets();
        }
    }
    let grown = resident_octets().saturating_sub(settled);
    assert!(grown < 24 << 20, "{grown} octets more than when every table was full");
    assert!(process.sessions() <= limits::SESSIONS);
    let totals = process.totals();
    assert!(totals.balanced);
    assert_eq!(totals.sum.datagrams, 3 * u64::from(rounds));
    assert!(totals.accounts <= limits::ACCOUNTS as u64 + 8 && totals.accounts_overflowed > 0);
    let counters = process.counters();
    assert!(counters.sessions_evicted > 0 && counters.options_overflowed > 0);
}
