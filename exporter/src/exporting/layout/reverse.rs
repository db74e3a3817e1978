//! The other direction of a biflow (RFC 5103).

use super::flow::{icmp, narrow};
use super::variant::*;
use crate::metering::record::FlowRecord;

super::group! { |v, r: &FlowRecord|
    if v.has(REVERSE) && v.lacks(WIDE) => {
        value REVERSE_PACKET_DELTA_COUNT[4] => narrow(r.reverse.packets);
        value REVERSE_OCTET_DELTA_COUNT[4]  => narrow(r.reverse.octets);
    }
    if v.has(REVERSE | WIDE) => {
        value REVERSE_PACKET_DELTA_COUNT[8] => r.reverse.packets.to_be_bytes();
        value REVERSE_OCTET_DELTA_COUNT[8]  => r.reverse.octets.to_be_bytes();
    }
    if v.has(TCP | REVERSE) => {
        value REVERSE_TCP_CONTROL_BITS[2] => r.reverse.tcp_flags.to_be_bytes();
    }
    if v.has(REVERSE_ICMP) && v.lacks(V6) => {
        value REVERSE_ICMP_TYPE_CODE_IPV4[2] => icmp(r.icmp[1]);
    }
    if v.has(V6 | REVERSE_ICMP) => {
        value REVERSE_ICMP_TYPE_CODE_IPV6[2] => icmp(r.icmp[1]);
    }
    if v.has(REVERSE) && v.lacks(ARP) => {
        value REVERSE_IP_CLASS_OF_SERVICE[1] => [r.reverse.tos];
        value REVERSE_MINIMUM_TTL[1]         => [r.reverse.ttl_min];
        value REVERSE_MAXIMUM_TTL[1]         => [r.reverse.ttl_max];
    }
}
