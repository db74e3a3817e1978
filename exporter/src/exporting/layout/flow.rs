//! What every flow has: times, counters of its first direction, where it was seen and why its record ends.

use flowgauge_templates::ipfix::Resolution;
use flowgauge_templates::ipfix::value::ntp_octets;

use super::variant::*;
use crate::metering::record::FlowRecord;

super::group! { |v, r: &FlowRecord|
    if v.lacks(NANOSECONDS) => {
        value FLOW_START_MILLISECONDS[8] => milliseconds(r.start_ns);
        value FLOW_END_MILLISECONDS[8]   => milliseconds(r.end_ns);
    }
    if v.has(NANOSECONDS) => {
        value FLOW_START_NANOSECONDS[8] => nanoseconds(r.start_ns);
        value FLOW_END_NANOSECONDS[8]   => nanoseconds(r.end_ns);
    }
    if v.lacks(WIDE) => {
        value PACKET_DELTA_COUNT[4] => narrow(r.forward.packets);
        value OCTET_DELTA_COUNT[4]  => narrow(r.forward.octets);
    }
    if v.has(WIDE) => {
        value PACKET_DELTA_COUNT[8] => r.forward.packets.to_be_bytes();
        value OCTET_DELTA_COUNT[8]  => r.forward.octets.to_be_bytes();
    }
    if v.has(INTERFACE) => {
        value INGRESS_INTERFACE[4] => r.key.interface.to_be_bytes();
    }
    if v.has(TCP) => {
        value TCP_CONTROL_BITS[2] => r.forward.tcp_flags.to_be_bytes();
    }
    if v.has(ICMP) && v.lacks(V6) => {
        value ICMP_TYPE_CODE_IPV4[2] => icmp(r.icmp[0]);
    }
    if v.has(V6 | ICMP) => {
        value ICMP_TYPE_CODE_IPV6[2] => icmp(r.icmp[0]);
    }
    if v.lacks(ARP) => {
        value IP_CLASS_OF_SERVICE[1] => [r.forward.tos];
        value MINIMUM_TTL[1]         => [r.forward.ttl_min];
        value MAXIMUM_TTL[1]         => [r.forward.ttl_max];
    }
    if true => {
        value FLOW_END_REASON[1] => [r.end_reason as u8];
    }
    if v.has(MAC) => {
        value SOURCE_MAC_ADDRESS[6]      => r.src_mac;
        value DESTINATION_MAC_ADDRESS[6] => r.dst_mac;
    }
    if v.has(SERVER_RTT) => {
        value TCP_HANDSHAKE_RTT_SERVER_MICROSECONDS[4] => microseconds(r.handshake_rtt_us[0]);
    }
    if v.has(CLIENT_RTT) => {
        value TCP_HANDSHAKE_RTT_CLIENT_MICROSECONDS[4] => microseconds(r.handshake_rtt_us[1]);
    }
}

/// A counter of a variant whose counters all fit.
#[inline]
pub(super) fn narrow(count: u64) -> [u8; 4] {
    (count as u32).to_be_bytes()
}

#[inline]
fn milliseconds(ns: i64) -> [u8; 8] {
    (ns.max(0) / 1_000_000).to_be_bytes()
}

#[inline]
fn nanoseconds(ns: i64) -> [u8; 8] {
    ntp_octets(ns, Resolution::Nanoseconds)
}

/// The variant has the bit only where there is a value.
#[inline]
pub(super) fn icmp(type_and_code: Option<u16>) -> [u8; 2] {
    type_and_code.unwrap_or_default().to_be_bytes()
}

#[inline]
fn microseconds(rtt: Option<u32>) -> [u8; 4] {
    rtt.unwrap_or_default().to_be_bytes()
}
