//! Every variant's record is read back through its own template and compared with what is spelled out here by number.

use flowgauge_ie_registry::{ElementId, FLOWGAUGE_PEN, REVERSE_PEN, Registry};
use flowgauge_templates::ipfix::{Template, Value};
use proptest::prelude::*;

use super::*;
use crate::config::Times;
use crate::exporting::samples;
use crate::metering::sampling::Algorithm;
use crate::metering::tcp::{RttSummary, TcpDirection};

fn parts<'r>(records: &'r Records, selectors: &'r [Selector]) -> Parts<'r> {
    Parts {
        record: &records.flows[0],
        records,
        selectors,
    }
}

fn encoded(variant: Variant, parts: &Parts<'_>) -> Vec<u8> {
    let mut room = [0; 4096];
    let mut writer = RecordWriter::new(&mut room);
    write(variant, parts, &mut writer);
    assert_eq!(writer.missing(), 0);
    let written = writer.written();
    room[..written].to_vec()
}

/// Encodes, and decodes again through the template, by element.
fn round_trip(parts: &Parts<'_>, times: Times) -> Vec<(ElementId, String)> {
    let variant = Variant::of(parts, times);
    let template = Template::compile(256, 0, &specifiers(variant), Registry::builtin());
    let octets = encoded(variant, parts);
    if let Some(length) = template.fixed_length() {
        assert_eq!(length, octets.len());
    }
    let mut records = template.records(&octets);
    let decoded = records.next().expect("one record");
    assert_eq!(decoded.bytes().len(), octets.len());
    let values = decoded
        .fields()
        .map(|(field, value)| {
            assert!(field.known, "{}", field.name);
            let text = match value {
                Value::Unsigned(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Ipv4(address) => address.to_string(),
                Value::Ipv6(address) => address.to_string(),
                Value::Mac(mac) => format!("{mac:02x?}"),
                Value::Octets(octets) => format!("{octets:02x?}"),
                Value::String(text) => String::from_utf8_lossy(text).into_owned(),
                Value::DateTime { ns, .. } => ns.to_string(),
                other => panic!("{}: {other:?} is not of its type", field.name),
            };
            (field.specifier.element, text)
        })
        .collect();
    assert!(records.next().is_none());
    values
}

fn ours(id: u16) -> ElementId {
    ElementId::new(FLOWGAUGE_PEN, id)
}

fn when(is_there: bool, value: impl ToString) -> Option<String> {
    is_there.then(|| value.to_string())
}

type Expected = Vec<(ElementId, Option<String>)>;

/// What the record says, spelled out apart from the tables: element, and value when it is there.
fn expected(parts: &Parts<'_>, times: Times) -> Expected {
    let r = parts.record;
    let v6 = r.key.src.is_ipv6();
    let reverse = r.reverse.packets > 0;
    let ports = [6, 17, 33, 132, 136].contains(&r.key.protocol);
    let tcp = r.key.protocol == 6;
    let fold = parts.fold().is_some();
    let ms = times == Times::Milliseconds;
    let iana = ElementId::iana;
    let back = |id: u16| ElementId::new(REVERSE_PEN, id);
    let truncated = |ns: i64| ns / 1_000_000 * 1_000_000;
    let macs = r.src_mac != [0; 6] || r.dst_mac != [0; 6];
    let mut expected = vec![
        (iana(152), when(ms, truncated(r.start_ns))),
        (iana(153), when(ms, truncated(r.end_ns))),
        (iana(156), when(!ms, r.start_ns)),
        (iana(157), when(!ms, r.end_ns)),
        (iana(8), when(!v6 && !fold, r.key.src)),
        (iana(12), when(!v6, r.key.dst)),
        (iana(27), when(v6 && !fold, r.key.src)),
        (iana(28), when(v6, r.key.dst)),
        (iana(7), when(ports && !fold, r.key.src_port)),
        (iana(11), when(ports, r.key.dst_port)),
        (iana(4), when(true, r.key.protocol)),
        (iana(60), when(true, if v6 { 6 } else { 4 })),
        (iana(256), None),
        (iana(10), when(r.key.interface != 0, r.key.interface)),
        (iana(243), when(r.key.vlan[0] > 0, r.key.vlan[0])),
        (iana(245), when(r.key.vlan[1] > 0, r.key.vlan[1])),
        (iana(2), when(true, r.forward.packets)),
        (iana(1), when(true, r.forward.octets)),
        (back(2), when(reverse, r.reverse.packets)),
        (back(1), when(reverse, r.reverse.octets)),
        (iana(6), when(tcp, r.forward.tcp_flags)),
        (back(6), when(tcp && reverse, r.reverse.tcp_flags)),
        (iana(32), r.icmp[0].filter(|_| !v6).map(|code| code.to_string())),
        (iana(139), r.icmp[0].filter(|_| v6).map(|code| code.to_string())),
        (
            back(32),
            r.icmp[1].filter(|_| !v6 && reverse).map(|code| code.to_string()),
        ),
        (
            back(139),
            r.icmp[1].filter(|_| v6 && reverse).map(|code| code.to_string()),
        ),
        (iana(5), when(true, r.forward.tos)),
        (iana(52), when(true, r.forward.ttl_min)),
        (iana(53), when(true, r.forward.ttl_max)),
        (back(5), when(reverse, r.reverse.tos)),
        (back(52), when(reverse, r.reverse.ttl_min)),
        (back(53), when(reverse, r.reverse.ttl_max)),
        (iana(136), when(true, r.end_reason as u8)),
        (iana(56), when(macs, format!("{:02x?}", r.src_mac))),
        (iana(80), when(macs, format!("{:02x?}", r.dst_mac))),
        (ours(64), r.handshake_rtt_us[0].map(|us| us.to_string())),
        (ours(65), r.handshake_rtt_us[1].map(|us| us.to_string())),
    ];
    expected.extend(expected_tunnel(parts));
    expected.extend(expected_labels(parts, reverse));
    expected.extend(expected_fold(parts));
    expected.extend(expected_tcp(parts, reverse));
    expected
}

fn expected_tunnel(parts: &Parts<'_>) -> Expected {
    let tunnel = parts.tunnel();
    let v4 = tunnel.filter(|tunnel| tunnel.src.is_ipv4());
    let v6 = tunnel.filter(|tunnel| tunnel.src.is_ipv6());
    vec![
        (ours(48), tunnel.map(|tunnel| tunnel.kind.to_string())),
        (
            ours(49),
            tunnel.and_then(|tunnel| tunnel.identifier).map(|id| id.to_string()),
        ),
        (ours(50), v4.map(|tunnel| tunnel.src.to_string())),
        (ours(51), v4.map(|tunnel| tunnel.dst.to_string())),
        (ours(52), v6.map(|tunnel| tunnel.src.to_string())),
        (ours(53), v6.map(|tunnel| tunnel.dst.to_string())),
    ]
}

/// RFC 3032: 20 bits label, 3 bits class, 1 bit bottom of stack; the element has these 24 bits.
fn expected_labels(parts: &Parts<'_>, reverse: bool) -> Expected {
    let labels = parts.labels();
    let forward = labels.filter(|labels| labels.depth[0] > 0);
    let reverse = labels.filter(|labels| reverse && labels.depth[1] > 0);
    let section = |entry: u32| format!("{:02x?}", &entry.to_be_bytes()[..3]);
    let back = |id| ElementId::new(REVERSE_PEN, id);
    vec![
        (ElementId::iana(70), forward.map(|labels| section(labels.top[0]))),
        (ElementId::iana(202), forward.map(|labels| labels.depth[0].to_string())),
        (back(70), reverse.map(|labels| section(labels.top[1]))),
        (back(202), reverse.map(|labels| labels.depth[1].to_string())),
    ]
}

fn expected_fold(parts: &Parts<'_>) -> Expected {
    let fold = parts.fold();
    vec![
        (ElementId::iana(3), fold.map(|fold| fold.flows.to_string())),
        (ElementId::iana(378), fold.map(|fold| fold.sources.to_string())),
        (
            ElementId::iana(337),
            fold.map(|fold| fold.sources_between[0].to_string()),
        ),
        (
            ElementId::iana(336),
            fold.map(|fold| fold.sources_between[1].to_string()),
        ),
        (ElementId::iana(338), fold.map(|_| "0.95".to_owned())),
    ]
}

fn expected_tcp(parts: &Parts<'_>, reverse: bool) -> Expected {
    let tcp = parts.tcp();
    let mut expected = Vec::new();
    for (side, first) in [(0, 66), (1, 73)] {
        let rtt = tcp.map(|tcp| tcp.rtt[side]).filter(|rtt| rtt.samples > 0);
        let fields: [fn(&RttSummary) -> u32; 7] = [
            |rtt| rtt.minimum_us,
            |rtt| rtt.mean_us,
            |rtt| rtt.p50_us,
            |rtt| rtt.p90_us,
            |rtt| rtt.p99_us,
            |rtt| rtt.maximum_us,
            |rtt| rtt.samples,
        ];
        for (id, field) in (first..).zip(fields) {
            expected.push((ours(id), rtt.map(|rtt| field(&rtt).to_string())));
        }
    }
    let directions = tcp.map(|tcp| tcp.directions).unwrap_or_default();
    let shown = if reverse { &directions[..] } else { &directions[..1] };
    let any = |there: fn(&TcpDirection) -> bool| tcp.is_some() && shown.iter().any(there);
    let trouble = any(|d| {
        [
            d.syns.saturating_sub(1),
            d.retransmitted_packets,
            d.out_of_order_packets,
            d.duplicate_acks,
            d.zero_windows,
            d.zero_window_packets,
            d.zero_window_probes,
            d.keep_alives,
            d.ect_packets,
            d.ce_packets,
            d.ece_packets,
            d.cwr_packets,
        ]
        .iter()
        .any(|count| *count > 0)
    });
    for (way, d) in directions.iter().enumerate() {
        let there = tcp.is_some() && (way == 0 || reverse);
        let blackhole = d.blackhole.is_some();
        let loaded = d.loaded_samples > 0 && d.base_rtt_us.is_some();
        let of_direction: [(u16, bool, String); 39] = [
            (100, true, d.flags.0.to_string()),
            (99, trouble, d.syns.to_string()),
            (80, true, d.retransmitted_packets.to_string()),
            (81, trouble, d.retransmitted_octets.to_string()),
            (85, trouble, d.out_of_order_packets.to_string()),
            (86, trouble, d.duplicate_acks.to_string()),
            (87, trouble, d.zero_windows.to_string()),
            (89, true, d.busy_ms.to_string()),
            (90, true, d.acknowledged_octets.to_string()),
            (91, d.non_idle_bps.is_some(), d.application_limited_ms.to_string()),
            (165, loaded, d.largest_flight.to_string()),
            (82, trouble, d.fast_retransmissions.to_string()),
            (160, trouble, d.fast_octets.to_string()),
            (83, trouble, d.timeout_retransmissions.to_string()),
            (161, trouble, d.timeout_octets.to_string()),
            (84, trouble, d.spurious_retransmissions.to_string()),
            (162, trouble, d.spurious_octets.to_string()),
            (163, trouble, d.out_of_order_octets.to_string()),
            (164, trouble, d.zero_window_packets.to_string()),
            (88, trouble, d.zero_window_ms.to_string()),
            (103, trouble, d.zero_window_longest_ms.to_string()),
            (102, trouble, d.zero_window_probes.to_string()),
            (101, trouble, d.keep_alives.to_string()),
            (109, trouble, d.ect_packets.to_string()),
            (98, trouble, d.ce_packets.to_string()),
            (110, trouble, d.ece_packets.to_string()),
            (111, trouble, d.cwr_packets.to_string()),
            (92, d.non_idle_bps.is_some(), d.non_idle_bps.unwrap_or(0.0).to_string()),
            (105, loaded, d.base_rtt_us.unwrap_or(0).to_string()),
            (104, loaded, d.loaded_samples.to_string()),
            (166, loaded, d.loaded_p90_us.to_string()),
            (
                93,
                d.bufferbloat.is_some(),
                u8::from(d.bufferbloat.unwrap_or(false)).to_string(),
            ),
            (94, d.bufferbloat.is_some(), d.bufferbloat_ms.to_string()),
            (95, blackhole, d.blackhole.map_or(0, |kind| kind as u8).to_string()),
            (106, blackhole, d.blackhole_retransmissions.to_string()),
            (107, blackhole, d.blackhole_ms.to_string()),
            (108, d.recovery_ms.is_some(), d.recovery_ms.unwrap_or(0).to_string()),
            (96, d.path_mtu[0] > 0, d.path_mtu[0].to_string()),
            (97, d.path_mtu[1] > 0, d.path_mtu[1].to_string()),
        ];
        for (id, has, value) in of_direction {
            let id = if way == 0 { id } else { id | 0x4000 };
            expected.push((ours(id), when(there && has, value)));
        }
    }
    expected
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_nothing_is_made_up(
        records in samples::any_records(),
        nanoseconds in any::<bool>(),
    ) {
        let times = if nanoseconds { Times::Nanoseconds } else { Times::Milliseconds };
        let parts = parts(&records, &[]);
        let mut values = round_trip(&parts, times);
        for (element, value) in expected(&parts, times) {
            let at = values.iter().position(|(id, _)| *id == element);
            let read = at.map(|at| values.swap_remove(at).1);
            prop_assert_eq!(read.as_deref(), value.as_deref(), "{}", element);
        }
        prop_assert!(values.is_empty(), "{:?} nobody expects", values);
    }
}

#[test]
fn every_bit_adds_fields_that_the_registry_knows() {
    let all = variant::ALL_BITS.iter().fold(0, |all, bit| all | bit);
    let samples = variant::ALL_BITS
        .iter()
        .flat_map(|bit| [*bit, all & !*bit])
        .chain([0, all]);
    for bits in samples {
        let template = Template::compile(256, 0, &specifiers(Variant::from_bits(bits, None)), Registry::builtin());
        for field in template.fields() {
            assert!(field.known, "{}", field.name);
            let length = field.specifier.length;
            assert!(
                field.data_type.allows_length(length),
                "{} in {length} octets",
                field.name
            );
        }
    }
}

#[test]
fn keys_are_among_the_first_64_fields_and_core_fits_the_smallest_message() {
    let all = variant::ALL_BITS.iter().fold(0, |all, bit| all | bit);
    for bits in [all, all & !variant::FOLD, all & !variant::V6] {
        let full = Variant::from_bits(bits, None);
        let fields = fields(full);
        let last = fields.iter().rposition(|field| field.is_key).unwrap();
        assert!(last < 64, "{last}");
        let core = Variant::reductions(full)[1];
        assert!(core.is_core());
        let template: usize = specifiers(core)
            .iter()
            .map(|field| if field.element.pen == 0 { 4 } else { 8 })
            .sum();
        // Message, Set and Template Record headers.
        assert!(16 + 4 + 4 + template <= usize::from(crate::exporting::limits::MIN_UDP_MESSAGE_OCTETS));
    }
}

/// Wireshark leaves out templates of more than 60 fields unless told otherwise.
#[test]
fn a_connection_without_trouble_stays_within_60_fields() {
    use variant::*;
    let calm = TCP | PORTS | REVERSE | MAC | SERVER_RTT | CLIENT_RTT | PERFORMANCE | SERVER_SAMPLES | CLIENT_SAMPLES;
    let fields = |protocol: u8| {
        let all = (1u64 << crate::metering::application::fields(protocol).len()) - 1;
        let bits = calm | THROUGHPUT | REVERSE_THROUGHPUT;
        specifiers(Variant::from_bits(bits, Some((protocol, all as u32)))).len()
    };
    for name in ["http", "tls"] {
        let protocol = crate::metering::application::ProtocolSet::place(name).unwrap();
        assert!(fields(protocol) <= 60, "{name}: {}", fields(protocol));
    }
}

#[test]
fn an_application_goes_out_as_its_protocol_has_it() {
    use flowgauge_ie_registry::ids;

    let (records, protocol) = samples::with_application();
    let parts = parts(&records, &[]);
    let values = round_trip(&parts, Times::Milliseconds);
    let look = |element: ElementId| {
        values
            .iter()
            .find(|(id, _)| *id == element)
            .map(|(_, text)| text.as_str())
    };
    assert_eq!(look(ids::APPLICATION_NAME), Some("http"));
    assert_eq!(look(ids::HTTP_REQUEST_HOST), Some("example.com"));
    assert_eq!(look(ids::HTTP_STATUS_CODE), None, "absent numbers are left out");
    assert_eq!(protocol, "http");
    let without = Variant::of(&parts, Times::Milliseconds).reductions()[0];
    assert!(
        specifiers(without)
            .iter()
            .all(|field| field.element != ids::APPLICATION_NAME)
    );
    assert_eq!(
        Template::compile(256, 0, &specifiers(without), Registry::builtin()).fixed_length(),
        Some(encoded(without, &parts).len())
    );
}

#[test]
fn a_record_says_by_which_selector_and_what_to_multiply_by() {
    let selector = |id, algorithm| Selector { id, algorithm };
    let selectors = [
        selector(0, Algorithm::Everything),
        selector(1, Algorithm::Systematic { interval: 1, space: 99 }),
        selector(
            2,
            Algorithm::RandomOutOf {
                size: 2,
                population: 20,
            },
        ),
        selector(3, Algorithm::Probability(0.3)),
        selector(4, Algorithm::Flows { interval: 7 }),
    ];
    for (id, expected) in [
        (0, &[][..]),
        (1, &[(302, "1"), (305, "1"), (306, "99")]),
        (2, &[(302, "2"), (34, "10")]),
        (3, &[(302, "3"), (311, "0.3")]),
        (4, &[(302, "4"), (34, "7")]),
        (9, &[]),
    ] {
        let mut record = samples::udp();
        record.selector = id;
        let records = vec![record].into();
        let values = round_trip(&parts(&records, &selectors), Times::Milliseconds);
        let said: Vec<_> = values
            .iter()
            .filter(|(element, _)| element.pen == 0 && [34, 302, 305, 306, 311].contains(&element.id))
            .map(|(element, text)| (element.id, text.as_str()))
            .collect();
        assert_eq!(said, expected);
    }
}

/// RFC 7011 section 6.2: the leading octets that are 0 are left out, of all counters or of none.
#[test]
fn counters_take_8_octets_only_where_one_of_them_needs_it() {
    let octets = |count| {
        let mut record = samples::tcp();
        record.reverse.octets = count;
        let records = vec![record].into();
        let parts = parts(&records, &[]);
        let values = round_trip(&parts, Times::Milliseconds);
        let read = values.iter().find(|(id, _)| *id == ElementId::new(REVERSE_PEN, 1));
        assert_eq!(read.map(|(_, text)| text.clone()), Some(count.to_string()));
        encoded(Variant::of(&parts, Times::Milliseconds), &parts).len()
    };
    assert_eq!(octets(0xffff_ffff) + 4 * 4, octets(0x1_0000_0000));
}

#[test]
fn flow_keys_are_the_key_of_the_record() {
    let mut record = samples::tcp();
    record.key.vlan = [100, 0];
    let records = vec![record].into();
    let fields = fields(Variant::of(&parts(&records, &[]), Times::Milliseconds));
    let indicator = flow_key_indicator(&fields);
    let keys: Vec<u16> = fields
        .iter()
        .enumerate()
        .filter(|(place, _)| indicator & (1 << place) != 0)
        .map(|(_, field)| field.specifier.element.id)
        .collect();
    assert_eq!(keys, [8, 12, 7, 11, 4, 60, 243]);
}

#[test]
fn one_way_flows_save_the_reverse_octets() {
    let octets = |record: FlowRecord| {
        let records = vec![record].into();
        let parts = parts(&records, &[]);
        encoded(Variant::of(&parts, Times::Milliseconds), &parts).len()
    };
    let both = samples::tcp();
    let mut one = both.clone();
    one.reverse = Default::default();
    assert_eq!(octets(both) - octets(one), 13);
}
