//! One flow record of 26 fields, decoded and encoded: ours, netflow_parser, netgauze-flow-pkt, and the same flow as a
//! protobuf message. Every side gets the same flows and does one Message's worth of them an iteration.

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowgauge_ie_registry::{ElementId, REVERSE_PEN, Registry};
use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter};
use flowgauge_templates::management::{
    CollectingConfig, CollectingSession, Event, ExportingConfig, ExportingSession, TemplateId, TransportKind, Version,
};
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput as _;
use prost::Message as _;

const NOW: i64 = 1_767_225_600_000_000_000;
const RECORDS: u64 = 13;

/// The flow, as protobuf with proto3 types, in the manner of the schemas that flow collectors put into queues.
#[derive(Clone, PartialEq, prost::Message)]
struct Flow {
    #[prost(bytes = "vec", tag = "1")]
    source: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    destination: Vec<u8>,
    #[prost(uint32, tag = "3")]
    source_port: u32,
    #[prost(uint32, tag = "4")]
    destination_port: u32,
    #[prost(uint32, tag = "5")]
    protocol: u32,
    #[prost(uint32, tag = "6")]
    tcp_flags: u32,
    #[prost(uint32, tag = "7")]
    tos: u32,
    #[prost(uint64, tag = "8")]
    octets: u64,
    #[prost(uint64, tag = "9")]
    packets: u64,
    #[prost(uint64, tag = "10")]
    reverse_octets: u64,
    #[prost(uint64, tag = "11")]
    reverse_packets: u64,
    #[prost(uint64, tag = "12")]
    start_ms: u64,
    #[prost(uint64, tag = "13")]
    end_ms: u64,
    #[prost(uint32, tag = "14")]
    end_reason: u32,
    #[prost(uint32, tag = "15")]
    ingress: u32,
    #[prost(uint32, tag = "16")]
    egress: u32,
    #[prost(uint64, tag = "17")]
    source_mac: u64,
    #[prost(uint64, tag = "18")]
    destination_mac: u64,
    #[prost(uint32, tag = "19")]
    vlan: u32,
    #[prost(uint32, tag = "20")]
    ip_version: u32,
    #[prost(uint32, tag = "21")]
    reverse_tcp_flags: u32,
    #[prost(uint32, tag = "22")]
    ttl_min: u32,
    #[prost(uint32, tag = "23")]
    ttl_max: u32,
    #[prost(uint32, tag = "24")]
    source_as: u32,
    #[prost(uint32, tag = "25")]
    destination_as: u32,
    #[prost(uint32, tag = "26")]
    direction: u32,
}

fn flow(number: u64) -> Flow {
    Flow {
        source: vec![10, 0, 3, number as u8],
        destination: vec![192, 0, 2, 7],
        source_port: 40_000 + number as u32,
        destination_port: 443,
        protocol: 6,
        tcp_flags: 0x1b,
        tos: 8,
        octets: 123_456 + number,
        packets: 190,
        reverse_octets: 7_654_321,
        reverse_packets: 5_300,
        start_ms: 1_767_225_600_123,
        end_ms: 1_767_225_601_456,
        end_reason: 3,
        ingress: 2,
        egress: 3,
        source_mac: 0x0011_2233_4455,
        destination_mac: 0x6677_8899_aabb,
        vlan: 100,
        ip_version: 4,
        reverse_tcp_flags: 0x1b,
        ttl_min: 63,
        ttl_max: 64,
        source_as: 64_496,
        destination_as: 64_511,
        direction: 1,
    }
}

fn fields() -> Vec<FieldSpecifier> {
    let iana = [
        (8, 4),
        (12, 4),
        (7, 2),
        (11, 2),
        (4, 1),
        (6, 2),
        (5, 1),
        (1, 8),
        (2, 8),
        (152, 8),
        (153, 8),
        (136, 1),
        (10, 4),
        (14, 4),
        (56, 6),
        (80, 6),
        (58, 2),
        (60, 1),
        (52, 1),
        (53, 1),
        (16, 4),
        (17, 4),
        (61, 1),
    ];
    let reverse = [(1, 8), (2, 8), (6, 2)];
    let iana = iana.map(|(id, length)| FieldSpecifier::new(ElementId::iana(id), length));
    let reverse = reverse.map(|(id, length)| FieldSpecifier::new(ElementId::new(REVERSE_PEN, id), length));
    iana.into_iter().chain(reverse).collect()
}

fn write(flow: &Flow, out: &mut RecordWriter<'_>) {
    out.array(*flow.source.first_chunk::<4>().expect("an IPv4 address"));
    out.array(*flow.destination.first_chunk::<4>().expect("an IPv4 address"));
    out.u16(flow.source_port as u16);
    out.u16(flow.destination_port as u16);
    out.u8(flow.protocol as u8);
    out.u16(flow.tcp_flags as u16);
    out.u8(flow.tos as u8);
    out.u64(flow.octets);
    out.u64(flow.packets);
    out.u64(flow.start_ms);
    out.u64(flow.end_ms);
    out.u8(flow.end_reason as u8);
    out.u32(flow.ingress);
    out.u32(flow.egress);
    out.array(*flow.source_mac.to_be_bytes().last_chunk::<6>().expect("6 of 8"));
    out.array(*flow.destination_mac.to_be_bytes().last_chunk::<6>().expect("6 of 8"));
    out.u16(flow.vlan as u16);
    out.u8(flow.ip_version as u8);
    out.u8(flow.ttl_min as u8);
    out.u8(flow.ttl_max as u8);
    out.u32(flow.source_as);
    out.u32(flow.destination_as);
    out.u8(flow.direction as u8);
    out.u64(flow.reverse_octets);
    out.u64(flow.reverse_packets);
    out.u16(flow.reverse_tcp_flags as u16);
}

fn exporter() -> (ExportingSession, TemplateId) {
    let config = ExportingConfig {
        template_refresh_messages: 0,
        ..ExportingConfig::of(TransportKind::Udp, 1)
    };
    let mut session = ExportingSession::new(config);
    let template = session.add_template(&fields()).expect("a sound template");
    (session, template)
}

/// A Message with the template, and one with records only.
fn messages() -> (Vec<u8>, Vec<u8>) {
    let (mut session, template) = exporter();
    let mut both = (0..2).map(|_| {
        let count = if session.counters().records == 0 { 1 } else { RECORDS };
        for number in 0..count {
            session
                .record(NOW, template, |out| write(&flow(number), out))
                .expect("a record that fits");
        }
        session.flush(NOW);
        session.poll_message().expect("a Message").bytes
    });
    let first = both.next().expect("two");
    let second = both.next().expect("two");
    (first, second)
}

fn decode(criterion: &mut Criterion) {
    let (announcement, message) = messages();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(RECORDS));

    let mut registry = Registry::new();
    let mut session = CollectingSession::new(TransportKind::Udp, CollectingConfig::default());
    session
        .handle_message(NOW, &announcement, &mut registry, &mut |_| {})
        .expect("a sound Message");
    group.bench_function("flowgauge", |bencher| {
        bencher.iter(|| {
            let mut fields = 0;
            session
                .handle_message(NOW, black_box(&message), &mut registry, &mut |event| {
                    if let Event::Records { records, .. } = event {
                        for record in records {
                            for (_, octets) in record.raw() {
                                fields += black_box(octets).len();
                            }
                        }
                    }
                })
                .expect("a sound Message");
            fields
        });
    });
    group.bench_function("flowgauge, typed values", |bencher| {
        bencher.iter(|| {
            session
                .handle_message(NOW, black_box(&message), &mut registry, &mut |event| {
                    if let Event::Records { records, .. } = event {
                        for record in records {
                            record.fields().for_each(|(_, value)| {
                                black_box(value);
                            });
                        }
                    }
                })
                .expect("a sound Message");
        });
    });

    let mut parser = netflow_parser::NetflowParser::builder()
        .build()
        .expect("its own defaults");
    assert_eq!(parser.parse_bytes(&announcement).packets.len(), 1);
    group.bench_function("netflow_parser", |bencher| {
        bencher.iter(|| black_box(parser.parse_bytes(black_box(&message)).packets.len()));
    });

    let mut templates = HashMap::new();
    netgauze_flow_pkt::ipfix::IpfixPacket::parse(&mut SliceReader::new(&announcement), &mut templates)
        .expect("a template");
    group.bench_function("netgauze-flow-pkt", |bencher| {
        bencher.iter(|| {
            let mut reader = SliceReader::new(black_box(&message));
            black_box(netgauze_flow_pkt::ipfix::IpfixPacket::parse(&mut reader, &mut templates).expect("records"))
        });
    });

    let mut delimited = Vec::new();
    (0..RECORDS).for_each(|number| flow(number).encode_length_delimited(&mut delimited).expect("room"));
    group.bench_function("prost", |bencher| {
        bencher.iter(|| {
            let mut rest = black_box(&*delimited);
            while !rest.is_empty() {
                black_box(Flow::decode_length_delimited(&mut rest).expect("a flow"));
            }
        });
    });
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let flows: Vec<_> = (0..RECORDS).map(flow).collect();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(RECORDS));
    let (mut session, template) = exporter();
    group.bench_function("flowgauge", |bencher| {
        bencher.iter(|| {
            for flow in black_box(&flows) {
                session
                    .record(NOW, template, |out| write(flow, out))
                    .expect("a record that fits");
            }
            session.flush(NOW);
            while let Some(message) = session.poll_message() {
                session.recycle(black_box(message).bytes);
            }
        });
    });
    let mut out = Vec::new();
    group.bench_function("prost", |bencher| {
        bencher.iter(|| {
            out.clear();
            for flow in black_box(&flows) {
                flow.encode_length_delimited(&mut out).expect("room");
            }
            black_box(&out);
        });
    });
    group.finish();
}

/// NetFlow 9 after RFC 3954: a template of 18 fields as routers send them, and a Message of 25 records.
fn netflow9() -> (Vec<u8>, Vec<u8>) {
    const FIELDS: [(u16, u16); 18] = [
        (8, 4),
        (12, 4),
        (15, 4),
        (10, 4),
        (14, 4),
        (2, 4),
        (1, 4),
        (22, 4),
        (21, 4),
        (7, 2),
        (11, 2),
        (6, 1),
        (4, 1),
        (5, 1),
        (61, 1),
        (16, 4),
        (17, 4),
        (48, 2),
    ];
    let header = |sequence: u32| {
        let words = [1_000_000, 1_767_225_600, sequence, 1];
        let words = words.iter().flat_map(|word: &u32| word.to_be_bytes());
        [0, 9, 0, 25].into_iter().chain(words).collect::<Vec<u8>>()
    };
    let set = |id: u16, body: &[u8]| {
        let length = (4 + body.len()) as u16;
        [&id.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
    };
    let mut template = [256u16.to_be_bytes(), (FIELDS.len() as u16).to_be_bytes()].concat();
    for (id, length) in FIELDS {
        template.extend([id.to_be_bytes(), length.to_be_bytes()].concat());
    }
    let octets: usize = FIELDS.iter().map(|(_, length)| usize::from(*length)).sum();
    let records: Vec<u8> = (0..25 * octets).map(|at| at as u8 & 0x1f).collect();
    (
        [header(0), set(0, &template)].concat(),
        [header(1), set(256, &records)].concat(),
    )
}

/// NetFlow 5 after Cisco's table: 30 records.
fn netflow5() -> Vec<u8> {
    let mut bytes = vec![0, 5, 0, 30];
    bytes.extend(
        [1_000_000u32, 1_767_225_600, 0, 0, 0]
            .iter()
            .flat_map(|word| word.to_be_bytes()),
    );
    bytes.extend((0..30 * 48).map(|at| at as u8 & 0x1f));
    bytes
}

/// The same datagrams of NetFlow by ours, every value read by its type, and by netflow_parser.
fn decode_netflow(criterion: &mut Criterion) {
    let (announcement, message) = netflow9();
    for (name, version, announcement, message, records) in [
        ("decode NetFlow 9", Version::Netflow9, Some(announcement), message, 25),
        ("decode NetFlow 5", Version::Netflow5, None, netflow5(), 30),
    ] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(records));
        let mut registry = Registry::new();
        let mut session = CollectingSession::of_version(version, TransportKind::Udp, CollectingConfig::default());
        let mut parser = netflow_parser::NetflowParser::builder()
            .build()
            .expect("its own defaults");
        if let Some(announcement) = announcement {
            session
                .handle_message(NOW, &announcement, &mut registry, &mut |_| {})
                .expect("a sound Message");
            assert_eq!(parser.parse_bytes(&announcement).packets.len(), 1);
        }
        group.bench_function("flowgauge", |bencher| {
            bencher.iter(|| {
                session
                    .handle_message(NOW, black_box(&message), &mut registry, &mut |event| {
                        if let Event::Records { records, .. } = event {
                            for record in records {
                                for (_, octets) in record.raw() {
                                    black_box(octets);
                                }
                            }
                        }
                    })
                    .expect("a sound Message");
            });
        });
        group.bench_function("flowgauge, typed values", |bencher| {
            bencher.iter(|| {
                let mut seen = 0;
                session
                    .handle_message(NOW, black_box(&message), &mut registry, &mut |event| {
                        if let Event::Records { records, .. } = event {
                            for record in records {
                                seen += 1;
                                record.fields().for_each(|(_, value)| {
                                    black_box(value);
                                });
                            }
                        }
                    })
                    .expect("a sound Message");
                assert_eq!(seen, records);
            });
        });
        group.bench_function("netflow_parser", |bencher| {
            bencher.iter(|| black_box(parser.parse_bytes(black_box(&message)).packets.len()));
        });
        group.finish();
    }
}

criterion_group!(benches, decode, decode_netflow, encode);
criterion_main!(benches);
