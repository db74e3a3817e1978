//! What following TCP performance costs a packet: bulk transfer in order, each second segment acknowledged, with and
//! without timestamps; the same with one segment in 100 lost; and SYNs that are only refused.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flowgauge_exporter::metering::tcp::{TcpConfig, TcpConnection, TcpPacket, TcpState, TcpTrackers, TrackerPlace};
use flowgauge_templates::packet::{Tcp, TcpFlags};

const SEGMENTS: u32 = 10_000;
const SEGMENT_OCTETS: u32 = 1448;
const TICK_NS: i64 = 12_000;

struct Seen {
    direction: usize,
    sequence: u32,
    acknowledgment: u32,
    flags: TcpFlags,
    payload_octets: u32,
    options: Vec<u8>,
    time_ns: i64,
}

fn timestamps(value: u32, echo: u32) -> Vec<u8> {
    let mut options = vec![1, 1, 8, 10];
    options.extend(value.to_be_bytes());
    options.extend(echo.to_be_bytes());
    options
}

/// A transfer of `SEGMENTS`, whose ACKs come `flight` segments later. Each `lose`th segment is sent again.
fn transfer(with_timestamps: bool, flight: u32, lose: u32) -> Vec<Seen> {
    let mut seen = Vec::new();
    for segment in 0..SEGMENTS + flight {
        let time_ns = i64::from(segment) * TICK_NS;
        let clock = 1 + (time_ns / 1_000_000) as u32;
        let options = |value, echo| {
            if with_timestamps {
                timestamps(value, echo)
            } else {
                Vec::new()
            }
        };
        if segment < SEGMENTS {
            let mut send = |sequence: u32| {
                seen.push(Seen {
                    direction: 0,
                    sequence: sequence * SEGMENT_OCTETS,
                    acknowledgment: 1,
                    flags: TcpFlags::ACK,
                    payload_octets: SEGMENT_OCTETS,
                    options: options(clock, clock),
                    time_ns,
                });
            };
            send(segment);
            if lose > 0 && segment % lose == lose - 1 {
                send(segment - lose / 2);
            }
        }
        if segment >= flight && segment % 2 == 0 {
            let answered = segment - flight;
            let echo = 1 + (i64::from(answered) * TICK_NS / 1_000_000) as u32;
            seen.push(Seen {
                direction: 1,
                sequence: 1,
                acknowledgment: answered * SEGMENT_OCTETS,
                flags: TcpFlags::ACK,
                payload_octets: 0,
                options: options(clock, echo),
                time_ns: time_ns + TICK_NS / 2,
            });
        }
    }
    seen
}

fn follow(trackers: &mut TcpTrackers, seen: &[Seen]) {
    let (mut place, mut connection, mut state) = (TrackerPlace::NONE, TcpConnection::default(), TcpState::default());
    for seen in seen {
        let packet = TcpPacket {
            sequence: seen.sequence,
            acknowledgment: seen.acknowledgment,
            flags: seen.flags,
            window: Some(1000),
            options: &seen.options,
            payload_octets: seen.payload_octets,
            ip_octets: seen.payload_octets + 52,
            ecn: 0,
        };
        if state.concerned_by(seen.flags) {
            let tcp = Tcp {
                sequence: packet.sequence,
                acknowledgment: packet.acknowledgment,
                flags: packet.flags,
                window: packet.window,
                options: packet.options,
            };
            connection.follow(&mut state, &tcp, seen.direction, packet.payload_octets, seen.time_ns);
        }
        trackers.follow(&mut place, &connection, &packet, seen.direction, seen.time_ns);
    }
    black_box(trackers.take(place, &mut connection, 0, true));
    trackers.free(&mut place);
}

fn handshakes_refused(trackers: &mut TcpTrackers) {
    for port in 0..SEGMENTS {
        let (mut place, mut connection, mut state) =
            (TrackerPlace::NONE, TcpConnection::default(), TcpState::default());
        for (direction, flags) in [(0, TcpFlags::SYN), (1, TcpFlags::RST | TcpFlags::ACK)] {
            let packet = TcpPacket {
                sequence: port,
                acknowledgment: port + 1,
                flags,
                window: Some(1024),
                options: &[2, 4, 5, 0xb4],
                payload_octets: 0,
                ip_octets: 44,
                ecn: 0,
            };
            trackers.follow(&mut place, &connection, &packet, direction, 0);
            black_box(&mut state);
        }
        black_box(trackers.take(place, &mut connection, 0, true));
        trackers.free(&mut place);
    }
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tcp performance");
    let mut trackers = TcpTrackers::new(TcpConfig::default());
    for (name, seen) in [
        ("bulk, timestamps", transfer(true, 40, 0)),
        ("bulk, no timestamps", transfer(false, 40, 0)),
        ("1 % sent again, timestamps", transfer(true, 40, 100)),
    ] {
        group.throughput(Throughput::Elements(seen.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| follow(&mut trackers, &seen)));
    }
    group.throughput(Throughput::Elements(2 * u64::from(SEGMENTS)));
    group.bench_function("SYN and RST", |bencher| {
        bencher.iter(|| handshakes_refused(&mut trackers))
    });
    group.finish();
}

criterion_group!(tcp, benches);
criterion_main!(tcp);
