//! What a Flow Record costs on its way out: its template chosen, its octets laid out, Messages packed and closed. A batch
//! of 500 biflows an iteration, as several batches from metering are; nothing is sent.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowgauge_exporter::config::Times;
use flowgauge_exporter::exporting::ExportingProcess;
use flowgauge_exporter::metering::{Direction, FlowEndReason, FlowKey, FlowRecord, Place, Records};
use flowgauge_templates::management::{ExportingConfig, TransportKind};

const NOW_NS: i64 = 1_767_225_622_230_380_000;
const RECORDS: usize = 500;

/// A TCP connection, or for `place` beyond a share of the batch something else: `kinds` decides the mix.
fn record(place: usize, kind: usize) -> FlowRecord {
    let (src, dst): (IpAddr, IpAddr) = match kind {
        2 => (
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, place as u16).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 1, 2).into(),
        ),
        _ => (
            Ipv4Addr::new(10, 0, (place >> 8) as u8, place as u8).into(),
            Ipv4Addr::new(192, 0, 2, 1).into(),
        ),
    };
    let start_ns = NOW_NS + place as i64 * 1_000_000;
    let forward = Direction {
        packets: 12,
        octets: 4_321,
        tcp_flags: if kind == 1 { 0 } else { 0x1b },
        first_ns: start_ns,
        last_ns: start_ns + 90_000_000,
        tos: 0,
        ttl_min: 64,
        ttl_max: 64,
    };
    FlowRecord {
        key: FlowKey {
            src,
            dst,
            src_port: 40_000 + place as u16,
            dst_port: if kind == 1 { 53 } else { 443 },
            protocol: if kind == 1 { 17 } else { 6 },
            vlan: [0, 0],
            interface: 1,
        },
        start_ns,
        end_ns: start_ns + 90_000_000,
        forward,
        reverse: Direction {
            octets: 98_765,
            ..forward
        },
        end_reason: FlowEndReason::EndOfFlow,
        src_mac: [2, 0, 0, 0, 0, 1],
        dst_mac: [2, 0, 0, 0, 0, 2],
        icmp: [None, None],
        selector: 0,
        tcp: Place::NONE,
        tunnel: Place::NONE,
        labels: Place::NONE,
        application: Place::NONE,
        fold: Place::NONE,
        handshake_rtt_us: if kind == 1 {
            [None, None]
        } else {
            [Some(20_100), Some(310)]
        },
    }
}

fn process(transport: TransportKind, octets: usize, times: Times) -> ExportingProcess {
    let config = ExportingConfig {
        max_message_octets: octets,
        ..ExportingConfig::of(transport, 1)
    };
    ExportingProcess::new(config, times, Arc::new([])).expect("room for every template")
}

fn encode(criterion: &mut Criterion) {
    let tcp: Records = (0..RECORDS).map(|place| record(place, 0)).collect::<Vec<_>>().into();
    let mixed: Records = (0..RECORDS)
        .map(|place| record(place, place % 3))
        .collect::<Vec<_>>()
        .into();
    let mut group = criterion.benchmark_group("encode_biflow");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, records, transport, octets, times) in [
        ("tcp_ms/udp_1400", &tcp, TransportKind::Udp, 1400, Times::Milliseconds),
        ("tcp_ns/udp_1400", &tcp, TransportKind::Udp, 1400, Times::Nanoseconds),
        (
            "mixed_ms/udp_1400",
            &mixed,
            TransportKind::Udp,
            1400,
            Times::Milliseconds,
        ),
        (
            "mixed_ms/file_65535",
            &mixed,
            TransportKind::File,
            65_535,
            Times::Milliseconds,
        ),
    ] {
        let mut process = process(transport, octets, times);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                process.handle_records(NOW_NS, black_box(records), 0);
                while let Some(message) = process.poll_message() {
                    black_box(&message.bytes);
                    process.recycle(message.bytes);
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(std::time::Duration::from_secs(1)).warm_up_time(std::time::Duration::from_millis(300));
    targets = encode
}
criterion_main!(benches);
