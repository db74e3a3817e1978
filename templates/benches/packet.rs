//! What it costs to read a packet's headers: our parser and etherparse's over the same frames, in one run.
//!
//! Of tunnels etherparse reads the outer packet only, so that ours with tunnels left closed is what compares with it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::{PacketBuilder, SlicedPacket};
use flowgauge_templates::packet::{Headers, LinkType};

type Kind = (&'static str, Vec<u8>);

/// The frames that most traffic is made of.
fn kinds() -> Vec<Kind> {
    let ethernet = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let v4 = || ethernet().ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64);
    let v6 = || ethernet().ipv6([0x20; 16], [0x30; 16], 64);
    let tagged = || {
        let vlan = ethernet().single_vlan(5.try_into().expect("a VLAN id of 12 bits"));
        vlan.ipv4([192, 0, 2, 1], [198, 51, 100, 2], 64)
    };
    let (short, long) = ([0; 64], [0; 1400]);
    let frame = |write: &dyn Fn(&mut Vec<u8>) -> Result<(), etherparse::err::packet::BuildWriteError>| {
        let mut frame = Vec::new();
        write(&mut frame).expect("a sound frame");
        frame
    };
    vec![
        (
            "ipv4_tcp",
            frame(&|out| v4().tcp(40000, 443, 7, 1024).ack(9).write(out, &long)),
        ),
        ("ipv4_udp", frame(&|out| v4().udp(40000, 53).write(out, &short))),
        (
            "ipv6_tcp",
            frame(&|out| v6().tcp(40000, 443, 7, 1024).ack(9).write(out, &long)),
        ),
        (
            "vlan_ipv4_tcp",
            frame(&|out| tagged().tcp(40000, 443, 7, 1024).ack(9).write(out, &long)),
        ),
    ]
}

/// The first of them in each of the tunnels that data centres and mobile networks are made of.
fn tunnels(inner: &[u8]) -> Vec<Kind> {
    let ethernet = || PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let packet = inner.get(14..).unwrap_or_default();
    let in_udp = |port: u16, parts: [&[u8]; 2]| {
        let mut frame = Vec::new();
        let builder = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(50_000, port);
        builder.write(&mut frame, &parts.concat()).expect("a sound frame");
        frame
    };
    let in_ip = |protocol: u8, parts: [&[u8]; 2]| {
        let mut frame = Vec::new();
        let builder = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
        builder
            .write(&mut frame, protocol.into(), &parts.concat())
            .expect("a sound frame");
        frame
    };
    let [high, low] = (packet.len() as u16).to_be_bytes();
    vec![
        ("vxlan", in_udp(4789, [&[8, 0, 0, 0, 0, 0x13, 0x88, 0], inner])),
        ("geneve", in_udp(6081, [&[0, 0, 0x65, 0x58, 0, 0x13, 0x88, 0], inner])),
        ("gtp_u", in_udp(2152, [&[0x30, 255, high, low, 0, 0, 0, 9], packet])),
        ("gre_key", in_ip(47, [&[0x20, 0, 8, 0, 0, 0, 0, 77], packet])),
        ("ip_in_ip", in_ip(4, [&[], packet])),
    ]
}

fn headers(criterion: &mut Criterion) {
    let kinds = kinds();
    // In an order that branch predictors cannot learn, as on a link.
    let mut state = 1u64;
    let mixed: Vec<&[u8]> = (0..4096)
        .filter_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            kinds
                .get((state >> 60) as usize % kinds.len())
                .map(|(_, frame)| frame.as_slice())
        })
        .collect();
    let mut sets: Vec<(&str, Vec<&[u8]>)> = kinds
        .iter()
        .map(|(name, frame)| (*name, vec![frame.as_slice(); 4096]))
        .collect();
    sets.push(("mixed", mixed));
    let tunnels = tunnels(kinds.first().map_or(&[], |(_, frame)| frame));
    sets.extend(
        tunnels
            .iter()
            .map(|(name, frame)| (*name, vec![frame.as_slice(); 4096])),
    );
    for (name, frames) in &sets {
        let mut group = criterion.benchmark_group(format!("packet_headers/{name}"));
        group.throughput(Throughput::Elements(frames.len() as u64));
        group.bench_function("flowgauge", |bencher| {
            bencher.iter(|| {
                // As the Metering Process does it, in place; likewise below, nothing is moved to be looked at.
                let mut headers = Headers::default();
                for frame in frames {
                    headers.read(LinkType::ETHERNET, black_box(frame), frame.len() as u32);
                    black_box(&headers);
                }
            });
        });
        group.bench_function("flowgauge_closed", |bencher| {
            bencher.iter(|| {
                let mut headers = Headers::default();
                for frame in frames {
                    headers.read_outer(LinkType::ETHERNET, black_box(frame), frame.len() as u32);
                    black_box(&headers);
                }
            });
        });
        group.bench_function("etherparse_sliced", |bencher| {
            bencher.iter(|| {
                for frame in frames {
                    let _ = black_box(&SlicedPacket::from_ethernet(black_box(frame)));
                }
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(1)).warm_up_time(std::time::Duration::from_millis(300));
    targets = headers
}
criterion_main!(benches);
