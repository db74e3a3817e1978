//! Flow records for tests: one of each common kind, and arbitrary ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::metering::record::{Direction, FlowEndReason, FlowKey, FlowRecord};
use crate::metering::records::Place;

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
    let key = (addresses, any::<[u16; 2]>(), protocol, any::<[u16; 2]>(), any::<u32>()).prop_map(
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
                application: Place::NONE,
                fold: Place::NONE,
            }
        },
    )
}

fn direction(least_packets: u64) -> impl Strategy<Value = Direction> {
    let packets = prop_oneof![Just(least_packets), least_packets..=u64::MAX / 4];
    (packets, 0..=u64::MAX / 4, any::<u16>(), any::<[u8; 3]>()).prop_map(
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
