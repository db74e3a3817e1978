//! What looking at payload costs: packets that nothing recognises, those of flows that are done with, and whole
//! conversations of each protocol from the fixtures, their records included.
#![allow(missing_docs)]

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowgauge_exporter::metering::Records;
use flowgauge_exporter::metering::application::tls::{client_hello, ja4};
use flowgauge_exporter::metering::application::{ApplicationConfig, ApplicationPlace, Applications, Carrier, Payload};

fn payload(bytes: &[u8], carrier: Carrier, ports: [u16; 2], direction: usize) -> Payload<'_> {
    Payload {
        bytes,
        octets: bytes.len() as u32,
        direction,
        sequence: (carrier == Carrier::Tcp).then_some(1),
        first_sequence: (carrier == Carrier::Tcp).then_some(1),
        ports: if direction == 0 { ports } else { [ports[1], ports[0]] },
        carrier,
        now_ns: 0,
    }
}

/// Messages of a fixture, without its escapes for repeated octets; enough for those that are benched.
fn messages(name: &str) -> Vec<(usize, Vec<u8>)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../fixtures/application/{name}.txt"));
    let text = std::fs::read_to_string(file).expect("a fixture");
    let lines = text.lines().filter_map(|line| match line.split_at_checked(2)? {
        ("> ", said) => Some((0, octets(said))),
        ("< ", said) => Some((1, octets(said))),
        _ => None,
    });
    lines.collect()
}

fn octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (octet, length) = match rest.as_bytes() {
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b'x', ..] => (u8::from_str_radix(&rest[2..4], 16).expect("hex"), 4),
            _ => (first as u8, 1),
        };
        out.push(octet);
        rest = &rest[length..];
    }
    out
}

fn unknown(criterion: &mut Criterion) {
    let mut applications = Applications::new(ApplicationConfig::default());
    let mut group = criterion.benchmark_group("application");
    group.throughput(Throughput::Elements(1));
    let cases = [
        ("tcp, no protocol begins so", [0xee; 100], Carrier::Tcp, [40000, 9100]),
        ("udp, no protocol begins so", [0xb5; 100], Carrier::Udp, [40000, 53]),
        ("tcp, three may begin so", [b'S'; 100], Carrier::Tcp, [40000, 9100]),
        ("udp, three may begin so", [1; 100], Carrier::Udp, [40000, 9100]),
    ];
    for (name, bytes, carrier, ports) in cases {
        let payload = payload(&bytes, carrier, ports, 0);
        group.bench_function(format!("first packet, {name}"), |bencher| {
            bencher.iter(|| {
                let mut place = ApplicationPlace::default();
                applications.inspect(&mut place, black_box(&payload));
                place
            });
        });
    }
    let mut place = ApplicationPlace::default();
    let unknown = payload(&[0xee; 100], Carrier::Tcp, [40000, 9100], 0);
    for _ in 0..10 {
        applications.inspect(&mut place, &unknown);
    }
    group.bench_function("further packet, direction closed", |bencher| {
        bencher.iter(|| black_box(place).wants(black_box(0)));
    });
    group.finish();
}

fn conversations(criterion: &mut Criterion) {
    let mut applications = Applications::new(ApplicationConfig::default());
    let mut records = Records::default();
    let mut group = criterion.benchmark_group("conversation and its record");
    for (name, carrier, port) in [
        ("http-pipelined", Carrier::Tcp, 80),
        ("ssh", Carrier::Tcp, 22),
        ("smtp", Carrier::Tcp, 25),
        ("stun", Carrier::Udp, 3478),
        ("tls", Carrier::Tcp, 443),
        ("quic", Carrier::Udp, 443),
    ] {
        let messages = messages(name);
        group.throughput(Throughput::Elements(messages.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut place = ApplicationPlace::default();
                for (direction, octets) in &messages {
                    applications.inspect(&mut place, &payload(octets, carrier, [40000, port], *direction));
                }
                records.octets.clear();
                records.applications.clear();
                let taken = applications.take(&place, &mut records);
                applications.free(&mut place);
                taken
            });
        });
    }
    group.finish();
}

/// What a hello costs: its fields, its fingerprint, and an Initial packet of QUIC around it.
fn hellos(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hello");
    let record = messages("tls").swap_remove(0).1;
    let message = record.get(5..).expect("a record header");
    group.bench_function("ClientHello, fields", |bencher| {
        bencher.iter(|| client_hello::parse(black_box(message)));
    });
    let hello = client_hello::parse(message).expect("a ClientHello");
    group.bench_function("ClientHello, JA4", |bencher| {
        bencher.iter(|| ja4::fingerprint(black_box(&hello), ja4::Carrier::Tls));
    });
    let mut applications = Applications::new(ApplicationConfig::default());
    for (name, carrier) in [("tls", Carrier::Tcp), ("quic", Carrier::Udp)] {
        let octets = messages(name).swap_remove(0).1;
        let payload = payload(&octets, carrier, [40000, 443], 0);
        group.bench_function(
            format!("first packet of {name}, recognised, read and kept"),
            |bencher| {
                bencher.iter(|| {
                    let mut place = ApplicationPlace::default();
                    applications.inspect(&mut place, black_box(&payload));
                    applications.free(&mut place);
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, unknown, conversations, hellos);
criterion_main!(benches);
