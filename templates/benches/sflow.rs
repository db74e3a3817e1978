//! sFlow datagrams read by our own reader and by flowparser-sflow: packets with what devices add to them, and counters.
//!
//! Both do the same: every sample, every record of it, every value. Theirs makes owned structs of them; ours looks at the
//! octets where they are.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowgauge_templates::sflow::{CounterLayout, CounterValue, Datagram, FlowRecord, Sample};
use flowparser_sflow::SflowParser;

/// Samples of a datagram: what fits into 1 500 octets.
const FLOWS: u64 = 7;
const COUNTERS: u64 = 8;

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn block(format: u32, body: &[u8]) -> Vec<u8> {
    [words(&[format, body.len() as u32]), body.to_vec()].concat()
}

fn datagram(samples: &[Vec<u8>]) -> Vec<u8> {
    [
        words(&[5, 1, 0xc000_0263, 0, 17, 5_000, samples.len() as u32]),
        samples.concat(),
    ]
    .concat()
}

/// 128 octets of a frame, the VLANs, and the routes: what switches send of each packet.
fn flows() -> Vec<u8> {
    let samples = (0..FLOWS).map(|number| {
        let header = block(1, &[words(&[1, 1518, 4, 128]), vec![number as u8; 128]].concat());
        let switch = block(1001, &words(&[100, 0, 200, 0]));
        let router = block(1002, &words(&[1, 0x0a00_0009, 24, 16]));
        let head = words(&[number as u32, 3, 400, 800, 0, 3, 5, 3]);
        block(1, &[head, header, switch, router].concat())
    });
    datagram(&samples.collect::<Vec<_>>())
}

/// Interface and Ethernet counters of as many interfaces.
fn counters() -> Vec<u8> {
    let samples = (0..COUNTERS as u32).map(|number| {
        let interface = block(1, &words(&[number; 22]));
        let ethernet = block(2, &words(&[number; 13]));
        block(2, &[words(&[9, number, 2]), interface, ethernet].concat())
    });
    datagram(&samples.collect::<Vec<_>>())
}

/// Every record, and every counter by name and value: how many there were, and a sum that nobody can leave out.
fn read(bytes: &[u8]) -> (usize, u64) {
    let datagram = Datagram::parse(bytes).expect("a sound datagram");
    let (mut values, mut sum) = (0, 0u64);
    for sample in datagram.samples() {
        match sample.expect("a sound sample") {
            Sample::Flow(flow) => {
                for record in flow.records {
                    values += 1;
                    sum += match record.expect("a sound record") {
                        FlowRecord::Header(raw) => raw.header.len() as u64 + u64::from(raw.frame_length),
                        FlowRecord::Switch { src, dst } => u64::from(src[0] + dst[0]),
                        FlowRecord::Router { masks, .. } => u64::from(masks[0] + masks[1]),
                        _ => 0,
                    };
                }
            }
            Sample::Counters(counters) => {
                for record in counters.records {
                    let (format, body) = record.expect("a sound record");
                    let layout = CounterLayout::of(format).expect("a known format");
                    for counter in layout.read(body) {
                        let counter = counter.expect("a whole record");
                        values += 1;
                        sum += counter.field.name.len() as u64;
                        if let CounterValue::Number(number) = counter.value {
                            sum = sum.wrapping_add(number);
                        }
                    }
                }
            }
            _ => {}
        }
    }
    (values, sum)
}

fn bench(criterion: &mut Criterion) {
    for (name, bytes, samples, values) in [
        ("sFlow flow samples", flows(), FLOWS, FLOWS as usize * 3),
        ("sFlow counter samples", counters(), COUNTERS, COUNTERS as usize * 32),
    ] {
        assert_eq!(read(&bytes).0, values);
        let parser = SflowParser::default();
        let theirs = parser.parse_bytes(&bytes);
        assert_eq!(
            theirs
                .datagrams
                .iter()
                .map(|datagram| datagram.samples.len() as u64)
                .sum::<u64>(),
            samples
        );
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(samples));
        group.bench_function("flowgauge", |bencher| bencher.iter(|| read(black_box(&bytes))));
        group.bench_function("flowparser-sflow", |bencher| {
            bencher.iter(|| black_box(parser.parse_bytes(black_box(&bytes))).datagrams.len());
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
