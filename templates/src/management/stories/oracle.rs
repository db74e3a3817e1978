//! The same Messages to netflow_parser: as many records, and the same octets in each field.

use std::collections::BTreeMap;

use netflow_parser::variable_versions::ipfix::FlowSetBody;
use netflow_parser::variable_versions::v9;
use netflow_parser::{FieldValue, NetflowPacket, NetflowParser};
use proptest::prelude::*;

use super::*;

type Records = Vec<Vec<Vec<u8>>>;

/// Octets of each field of each record, in order; `None` for what it does not decode.
fn theirs(parser: &mut NetflowParser, message: &[u8]) -> Option<Records> {
    let result = parser.parse_bytes(message);
    let [NetflowPacket::IPFix(ipfix)] = &*result.packets else {
        return None;
    };
    let octets = |value: &FieldValue| {
        let mut out = Vec::new();
        value.write_be_bytes(&mut out).ok()?;
        Some(out)
    };
    let mut records = Vec::new();
    for set in &ipfix.flowsets {
        let of_set = match &set.body {
            FlowSetBody::Data(data) => &data.fields,
            FlowSetBody::OptionsData(data) => &data.fields,
            FlowSetBody::NoTemplate(_) | FlowSetBody::Empty => return None,
            _ => continue,
        };
        for record in of_set {
            records.push(record.iter().map(|(_, value)| octets(value)).collect::<Option<_>>()?);
        }
    }
    result.error.is_none().then_some(records)
}

fn ours(session: &mut CollectingSession, registry: &mut Registry, message: &[u8]) -> Option<Records> {
    let mut records = Vec::new();
    let mut whole = true;
    let result = session.handle_message(START, message, registry, &mut |event| match event {
        Event::Records {
            records: found,
            waited_ns: None,
            ..
        } => {
            records.extend(found.map(|record| record.raw().map(|(_, octets)| octets.to_vec()).collect::<Vec<_>>()));
        }
        Event::Pending { .. } | Event::Error(_) | Event::Records { .. } => whole = false,
        _ => {}
    });
    (result.is_ok() && whole).then_some(records)
}

/// Elements of each type, with a length that is theirs.
const ELEMENTS: [(u16, u16); 16] = [
    (8, 4),
    (12, 4),
    (27, 16),
    (7, 2),
    (11, 2),
    (4, 1),
    (1, 8),
    (2, 4),
    (56, 6),
    (82, u16::MAX),
    (10, 4),
    (152, 8),
    (136, 1),
    (371, u16::MAX),
    (5, 1),
    (148, 8),
];

proptest! {
    #[test]
    fn generated_messages_read_the_same(
        places in prop::collection::vec(0usize..ELEMENTS.len(), 1..20),
        rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 16), 1..30),
        // It passes over records whose only content is an empty string.
        text in "[a-z]{1,40}",
    ) {
        let fields: Vec<_> = places.iter().filter_map(|place| ELEMENTS.get(*place)).map(|(id, length)| iana(*id, *length)).collect();
        let mut exporter = ExportingSession::new(ExportingConfig::of(TransportKind::Tcp, 1));
        let template = exporter.add_template(&fields).unwrap();
        for row in &rows {
            exporter.record(START, template, |out| for field in &fields {
                if field.is_variable() {
                    out.variable(text.as_bytes());
                } else {
                    out.bytes(row.get(..usize::from(field.length)).unwrap());
                }
            }).unwrap();
        }
        exporter.flush(START);
        let message = exporter.poll_message().unwrap().bytes;
        let mut parser = NetflowParser::builder().build().unwrap();
        let mut session = CollectingSession::new(TransportKind::Tcp, CollectingConfig::default());
        let ours = ours(&mut session, &mut Registry::new(), &message).unwrap();
        prop_assert_eq!(ours.len(), rows.len());
        // Where it refuses values (a reason it does not know, say), there is nothing to compare with.
        if let Some(theirs) = theirs(&mut parser, &message) {
            prop_assert_eq!(theirs, ours);
        }
    }
}

/// NetFlow 9, 5 and 7 as octets of each field of each record; `None` for what it does not decode.
fn theirs_netflow(parser: &mut NetflowParser, message: &[u8]) -> Option<Records> {
    let result = parser.parse_bytes(message);
    let value = |value: &FieldValue| {
        let mut out = Vec::new();
        value.write_be_bytes(&mut out).ok().map(|()| out)
    };
    let mut records = Records::new();
    match &*result.packets {
        [NetflowPacket::V9(packet)] => {
            for set in &packet.flowsets {
                match &set.body {
                    v9::FlowSetBody::Data(data) => {
                        for record in &data.fields {
                            records.push(record.iter().map(|(_, field)| value(field)).collect::<Option<_>>()?);
                        }
                    }
                    v9::FlowSetBody::NoTemplate(_) | v9::FlowSetBody::Empty => return None,
                    _ => {}
                }
            }
        }
        [NetflowPacket::V5(packet)] => {
            for r in &packet.flowsets {
                let (short, word) = (|n: u16| n.to_be_bytes().to_vec(), |n: u32| n.to_be_bytes().to_vec());
                records.push(vec![
                    r.src_addr.octets().to_vec(),
                    r.dst_addr.octets().to_vec(),
                    r.next_hop.octets().to_vec(),
                    short(r.input),
                    short(r.output),
                    word(r.d_pkts),
                    word(r.d_octets),
                    word(r.first),
                    word(r.last),
                    short(r.src_port),
                    short(r.dst_port),
                    vec![r.pad1],
                    vec![r.tcp_flags],
                    vec![r.protocol_number],
                    vec![r.tos],
                    short(r.src_as),
                    short(r.dst_as),
                    vec![r.src_mask],
                    vec![r.dst_mask],
                    short(r.pad2),
                ]);
            }
        }
        [NetflowPacket::V7(packet)] => {
            for r in &packet.flowsets {
                let (short, word) = (|n: u16| n.to_be_bytes().to_vec(), |n: u32| n.to_be_bytes().to_vec());
                records.push(vec![
                    r.src_addr.octets().to_vec(),
                    r.dst_addr.octets().to_vec(),
                    r.next_hop.octets().to_vec(),
                    short(r.input),
                    short(r.output),
                    word(r.d_pkts),
                    word(r.d_octets),
                    word(r.first),
                    word(r.last),
                    short(r.src_port),
                    short(r.dst_port),
                    vec![r.flags_fields_valid],
                    vec![r.tcp_flags],
                    vec![r.protocol_number],
                    vec![r.tos],
                    short(r.src_as),
                    short(r.dst_as),
                    vec![r.src_mask],
                    vec![r.dst_mask],
                    short(r.flags_fields_invalid),
                    r.router_src.octets().to_vec(),
                ]);
            }
        }
        _ => return None,
    }
    result.error.is_none().then_some(records)
}

proptest! {
    #[test]
    fn generated_netflow_9_reads_the_same(
        places in prop::collection::vec(0usize..ELEMENTS.len(), 1..20),
        rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 16), 1..30),
    ) {
        // Times in milliseconds since 1970 are refused where they are beyond its calendar, and no length is variable.
        let fixed = |place: &&usize| ![9, 11, 13].contains(*place);
        let fields: Vec<(u16, u16)> = places.iter().filter(fixed).map(|place| ELEMENTS[*place]).collect();
        prop_assume!(!fields.is_empty());
        let short = |n: u16| n.to_be_bytes();
        let mut template = [short(256), short(fields.len() as u16)].concat();
        fields.iter().for_each(|(id, length)| template.extend([short(*id), short(*length)].concat()));
        let records = rows.iter().flat_map(|row| fields.iter().flat_map(|(_, length)| row[..usize::from(*length)].to_vec()));
        let records: Vec<u8> = records.collect();
        let mut message = [&[0, 9, 0, 2][..], &[0; 16]].concat();
        for (id, body) in [(0, &template), (256, &records)] {
            message.extend([&short(id)[..], &short(4 + body.len() as u16), body].concat());
        }
        let mut session = CollectingSession::of_version(Version::Netflow9, TransportKind::Udp, CollectingConfig::default());
        let ours = ours(&mut session, &mut Registry::new(), &message).unwrap();
        prop_assert_eq!(ours.len(), rows.len());
        let mut parser = NetflowParser::builder().build().unwrap();
        if let Some(theirs) = theirs_netflow(&mut parser, &message) {
            prop_assert_eq!(theirs, ours);
        }
    }

    #[test]
    fn generated_netflow_5_and_7_read_the_same(seven in any::<bool>(), octets in prop::collection::vec(any::<u8>(), 52 * 30), count in 1u16..=28) {
        let (version, size) = if seven { (Version::Netflow7, 52) } else { (Version::Netflow5, 48) };
        let mut message = [version.number().to_be_bytes(), count.to_be_bytes()].concat();
        message.extend([0; 20]);
        message.extend(&octets[..size * usize::from(count)]);
        let mut session = CollectingSession::of_version(version, TransportKind::Udp, CollectingConfig::default());
        let ours = ours(&mut session, &mut Registry::new(), &message).unwrap();
        let theirs = theirs_netflow(&mut NetflowParser::builder().build().unwrap(), &message).unwrap();
        prop_assert_eq!(theirs, ours);
    }
}

#[test]
fn captured_messages_read_the_same() {
    let shared = std::path::PathBuf::from(std::env::var("FLOWGAUGE_SHARED").unwrap_or_else(|_| "../../shared".into()));
    let folder = shared.join("corpus/flowexport/ipfixcol");
    if !folder.is_dir() {
        println!(
            "skipped: netflow_parser on IPFIX files of others ({} is not there)",
            folder.display()
        );
        return;
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for name in ["01-odid0", "02-odid0", "03-odid0-a", "example_flows"] {
        let bytes = std::fs::read(folder.join(format!("{name}.ipfix"))).unwrap();
        let mut parser = NetflowParser::builder()
            .with_max_records_per_flowset(65_535)
            .build()
            .unwrap();
        let mut session = CollectingSession::new(TransportKind::File, CollectingConfig::default());
        let mut registry = Registry::new();
        let mut rest = &*bytes;
        while let Ok(Some(length)) = crate::ipfix::message_length(rest) {
            let (message, behind) = rest.split_at(length);
            rest = behind;
            let ours = ours(&mut session, &mut registry, message);
            let theirs = theirs(&mut parser, message);
            match (ours, theirs) {
                (Some(ours), Some(theirs)) if ours == theirs => {
                    *counts.entry("equal").or_default() += ours.len() as u64
                }
                (Some(ours), Some(theirs)) if theirs.len() < ours.len() => {
                    *counts.entry("records that only we read").or_default() += (ours.len() - theirs.len()) as u64;
                }
                (Some(ours), Some(theirs)) => {
                    let at = ours.iter().zip(&theirs).position(|(a, b)| a != b);
                    let (a, b) = (at.and_then(|at| ours.get(at)), at.and_then(|at| theirs.get(at)));
                    panic!(
                        "{name}: {} and {} records, first difference: {a:?} {b:?}",
                        ours.len(),
                        theirs.len()
                    );
                }
                (Some(_), None) => *counts.entry("only ours").or_default() += 1,
                (None, Some(_)) => panic!("{name}: they read a Message that we do not"),
                (None, None) => *counts.entry("neither").or_default() += 1,
            }
        }
    }
    println!("{counts:?}");
    assert!(
        counts.get("equal").is_some_and(|records| *records > 4_000),
        "{counts:?}"
    );
}
