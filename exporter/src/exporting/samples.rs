//! Flow records for tests: one of each common kind, and arbitrary ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::metering::application::{ApplicationRecord, ProtocolSet};
use crate::metering::labels::LabelRecord;
use crate::metering::record::{Direction, FlowEndReason, FlowKey, FlowRecord};
use crate::metering::records::Place;
use crate::metering::tcp::{BlackholeKind, MeasurementFlags, RttSummary, TcpDirection, TcpPerformance};
use crate::metering::tunnel::TunnelRecord;
use crate::metering::{FoldRecord, Records};

/// 2026-01-01T00:00:22.230380 UTC.
pub const START_NS: i64 = 1_767_225_622_230_380_000;

/// A DNS question and its answer.
pub fn udp() -> FlowRecord {
    let forward = Direction {
        packets: 1,
        octets: 78,
        first_ns: START_NS,
        last_ns: START_NS,
        ttl_min: 64,
        ttl_max: 64,
        ..Direction::default()
    };
    let reverse = Direction {
        octets: 134,
        first_ns: START_NS + 13_412_000,
        last_ns: START_NS + 13_412_000,
        ..forward
    };
    FlowRecord {
        key: FlowKey {
            src: Ipv4Addr::new(10, 0, 0, 13).into(),
            dst: Ipv4Addr::new(192, 0, 2, 1).into(),
            src_port: 21_279,
            dst_port: 53,
            protocol: 17,
            vlan: [0, 0],
            interface: 0,
        },
        start_ns: START_NS,
        end_ns: START_NS + 13_412_000,
        forward,
        reverse,
        end_reason: FlowEndReason::IdleTimeout,
        src_mac: [2, 0, 0, 0, 0, 1],
        dst_mac: [2, 0, 0, 0, 0, 2],
        icmp: [None, None],
        handshake_rtt_us: [None, None],
        selector: 0,
        tcp: Place::NONE,
        tunnel: Place::NONE,
        labels: Place::NONE,
        application: Place::NONE,
        fold: Place::NONE,
    }
}

/// A TCP connection over IPv4 with both handshake times.
pub fn tcp() -> FlowRecord {
    let mut record = udp();
    record.key.protocol = 6;
    record.key.dst_port = 443;
    record.forward.tcp_flags = 0x1b;
    record.reverse.tcp_flags = 0x13;
    record.end_reason = FlowEndReason::EndOfFlow;
    record.handshake_rtt_us = [Some(20_100), Some(310)];
    record
}

/// A ping over IPv6 that nobody answered.
pub fn icmp6() -> FlowRecord {
    let mut record = udp();
    record.key.src = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into();
    record.key.dst = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).into();
    record.key.protocol = 58;
    record.key.src_port = 0;
    record.key.dst_port = 0;
    record.icmp = [Some(0x8000), None];
    record.reverse = Direction::default();
    record
}

/// Any record that metering could make, and some that it could not.
pub fn any_record() -> impl Strategy<Value = FlowRecord> {
    let addresses = prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|pair| pair.map(IpAddr::from)),
        any::<[[u8; 16]; 2]>().prop_map(|pair| pair.map(IpAddr::from)),
    ];
    let protocol = prop_oneof![Just(1), Just(6), Just(17), Just(58), Just(132), any::<u8>()];
    let key = (
        addresses,
        any::<[u16; 2]>(),
        protocol,
        any::<[u16; 2]>(),
        prop_oneof![Just(0), any::<u32>()],
    )
        .prop_map(
            |([src, dst], [src_port, dst_port], protocol, vlan, interface)| FlowKey {
                src,
                dst,
                src_port,
                dst_port,
                protocol,
                vlan: vlan.map(|id| if id & 0x8000 == 0 { 0 } else { id & 0xfff }),
                interface,
            },
        );
    let times = (0i64..4_000_000_000_000_000_000, 0i64..4_000_000_000_000);
    let rest = (
        any::<[Option<u16>; 2]>(),
        any::<[Option<u32>; 2]>(),
        proptest::sample::select(&FlowEndReason::ALL[..]),
        prop_oneof![Just([[0u8; 6]; 2]), any::<[[u8; 6]; 2]>()],
    );
    (key, times, direction(1), direction(0), rest).prop_map(
        |(key, (start_ns, lasts_ns), forward, reverse, (icmp, handshake_rtt_us, end_reason, [src_mac, dst_mac]))| {
            FlowRecord {
                key,
                start_ns,
                end_ns: start_ns + lasts_ns,
                forward,
                reverse,
                end_reason,
                src_mac,
                dst_mac,
                icmp,
                handshake_rtt_us,
                selector: 0,
                tcp: Place::NONE,
                tunnel: Place::NONE,
                labels: Place::NONE,
                application: Place::NONE,
                fold: Place::NONE,
            }
        },
    )
}

fn direction(least_packets: u64) -> impl Strategy<Value = Direction> {
    let packets = prop_oneof![Just(least_packets), least_packets..=5000, least_packets..=u64::MAX / 4];
    let octets = prop_oneof![3 => 0..=u64::from(u32::MAX), 1 => 0..=u64::MAX / 4];
    (packets, octets, any::<u16>(), any::<[u8; 3]>()).prop_map(
        |(packets, octets, tcp_flags, [tos, ttl_min, ttl_max])| Direction {
            packets,
            octets,
            tcp_flags,
            tos,
            ttl_min,
            ttl_max,
            ..Direction::default()
        },
    )
}

/// One record of HTTP without a status: what the protocol's table says, in its order.
pub fn with_application() -> (Records, &'static str) {
    let values = b"\x04http\x0bexample.com";
    let protocol = ProtocolSet::place("http").expect("HTTP is known");
    let mut records = Records::from(vec![tcp()]);
    let fields = crate::metering::application::fields(protocol);
    let place = |element| {
        fields
            .iter()
            .position(|field| field.element == element)
            .expect("HTTP has it")
    };
    let present = 1 << place(flowgauge_ie_registry::ids::APPLICATION_NAME)
        | 1 << place(flowgauge_ie_registry::ids::HTTP_REQUEST_HOST);
    records.octets.extend_from_slice(b"others'");
    let start = records.octets.len() as u32;
    records.octets.extend_from_slice(values);
    let application = ApplicationRecord {
        protocol,
        present,
        start,
        length: values.len() as u32,
    };
    records.flows[0].application = Place::push(&mut records.applications, application);
    (records, "http")
}

/// A batch of one record that has any of the parts but an application.
pub fn any_records() -> impl Strategy<Value = Records> {
    let tunnel = proptest::option::of((any::<u8>(), any::<Option<u64>>(), ends()));
    let fold = proptest::option::weighted(0.2, (any::<[u64; 2]>(), [0.0f64..1e12, 0.0f64..1e12]));
    let tcp = proptest::option::of((any_rtt(), any_rtt(), any_tcp(), any_tcp()));
    let labels = proptest::option::of(any::<([u32; 2], [u8; 2])>());
    (any_record(), tunnel, fold, tcp, labels).prop_map(|(record, tunnel, fold, tcp, labels)| {
        let mut records = Records::from(vec![record]);
        if let Some((top, depth)) = labels {
            records.flows[0].labels = Place::push(&mut records.labels, LabelRecord { top, depth });
        }
        if let Some((kind, identifier, [src, dst])) = tunnel {
            let tunnel = TunnelRecord {
                kind,
                identifier,
                src,
                dst,
            };
            records.flows[0].tunnel = Place::push(&mut records.tunnels, tunnel);
        }
        if let Some(([flows, sources], sources_between)) = fold {
            let fold = FoldRecord {
                flows,
                sources,
                sources_between,
            };
            records.flows[0].fold = Place::push(&mut records.folds, fold);
        }
        if let Some((server, client, forward, reverse)) = tcp {
            let performance = TcpPerformance {
                rtt: [server, client],
                directions: [forward, reverse],
            };
            records.flows[0].tcp = Place::push(&mut records.tcp, performance);
        }
        records
    })
}

/// Two addresses of one family.
fn ends() -> impl Strategy<Value = [IpAddr; 2]> {
    prop_oneof![
        any::<[[u8; 4]; 2]>().prop_map(|pair| pair.map(IpAddr::from)),
        any::<[[u8; 16]; 2]>().prop_map(|pair| pair.map(IpAddr::from)),
    ]
}

fn any_rtt() -> impl Strategy<Value = RttSummary> {
    (any::<[u32; 6]>(), prop_oneof![Just(0), any::<u32>()]).prop_map(
        |([minimum_us, mean_us, p50_us, p90_us, p99_us, maximum_us], samples)| RttSummary {
            samples,
            minimum_us,
            mean_us,
            p50_us,
            p90_us,
            p99_us,
            maximum_us,
        },
    )
}

fn any_tcp() -> impl Strategy<Value = TcpDirection> {
    let often_0 = || prop_oneof![Just(0u32), any::<u32>()];
    let counts = (any::<[u32; 12]>(), any::<[u64; 6]>(), any::<u16>());
    let rare = (
        often_0(),
        often_0(),
        often_0(),
        often_0(),
        often_0(),
        often_0(),
        often_0(),
        often_0(),
        often_0(),
    );
    let kinds = proptest::option::of(proptest::sample::select(
        &[
            BlackholeKind::Syn,
            BlackholeKind::DeadPath,
            BlackholeKind::PmtuSuspected,
            BlackholeKind::PmtuConfirmed,
        ][..],
    ));
    let unknown = (
        proptest::option::of(0.0f64..1e12),
        any::<[Option<u32>; 2]>(),
        any::<Option<bool>>(),
        kinds,
        [often_0(), often_0(), often_0(), often_0()],
    );
    let direction = (counts, rare, unknown).prop_map(|((counts, octets, flags), rare, unknown)| TcpDirection {
        flags: MeasurementFlags(flags),
        syns: rare.7,
        retransmitted_packets: rare.0,
        retransmitted_octets: octets[0],
        fast_retransmissions: counts[1],
        fast_octets: octets[1],
        timeout_retransmissions: counts[2],
        timeout_octets: octets[2],
        spurious_retransmissions: counts[3],
        spurious_octets: octets[3],
        out_of_order_packets: rare.1,
        out_of_order_octets: octets[4],
        duplicate_acks: rare.8,
        keep_alives: rare.2,
        zero_window_probes: rare.3,
        zero_window_packets: unknown.4[0],
        zero_windows: unknown.4[1],
        zero_window_ms: counts[5],
        zero_window_longest_ms: counts[6],
        busy_ms: counts[7],
        acknowledged_octets: octets[5],
        application_limited_ms: counts[8],
        non_idle_bps: unknown.0,
        largest_flight: counts[9],
        base_rtt_us: unknown.1[0],
        loaded_samples: rare.4,
        loaded_p90_us: counts[10],
        bufferbloat: unknown.2,
        bufferbloat_ms: counts[11],
        blackhole: unknown.3,
        blackhole_retransmissions: counts[0],
        blackhole_ms: counts[1],
        recovery_ms: unknown.1[1],
        path_mtu: [unknown.4[2], unknown.4[3]],
        ect_packets: rare.5,
        ce_packets: rare.6,
        ece_packets: counts[2],
        cwr_packets: counts[3],
    });
    // Arbitrary counts are hardly ever all 0; a connection without trouble is the usual one.
    (direction, any::<bool>()).prop_map(|(direction, calm)| match calm {
        false => direction,
        true => TcpDirection {
            flags: direction.flags,
            syns: direction.syns % 2,
            busy_ms: direction.busy_ms,
            non_idle_bps: direction.non_idle_bps,
            ..TcpDirection::default()
        },
    })
}
