//! The other direction of a biflow (RFC 5103).

use super::flow::{icmp, narrow};
use super::variant::*;
use crate::metering::record::FlowRecord;

super::group! { |v, r: &FlowRecord|
    value REVERSE_PACKET_DELTA_COUNT[4]     if v.has(REVERSE) && v.lacks(WIDE)         => narrow(r.reverse.packets);
    value REVERSE_OCTET_DELTA_COUNT[4]      if v.has(REVERSE) && v.lacks(WIDE)         => narrow(r.reverse.octets);
    value REVERSE_PACKET_DELTA_COUNT[8]     if v.has(REVERSE | WIDE)                   => r.reverse.packets.to_be_bytes();
    value REVERSE_OCTET_DELTA_COUNT[8]      if v.has(REVERSE | WIDE)                   => r.reverse.octets.to_be_bytes();
    value REVERSE_TCP_CONTROL_BITS[2]       if v.has(TCP | REVERSE)                    => r.reverse.tcp_flags.to_be_bytes();
    value REVERSE_ICMP_TYPE_CODE_IPV4[2]    if v.has(REVERSE_ICMP) && v.lacks(V6)      => icmp(r.icmp[1]);
    value REVERSE_ICMP_TYPE_CODE_IPV6[2]    if v.has(V6 | REVERSE_ICMP)                => icmp(r.icmp[1]);
    value REVERSE_IP_CLASS_OF_SERVICE[1]    if v.has(REVERSE) && v.lacks(ARP)          => [r.reverse.tos];
    value REVERSE_MINIMUM_TTL[1]            if v.has(REVERSE) && v.lacks(ARP)          => [r.reverse.ttl_min];
    value REVERSE_MAXIMUM_TTL[1]            if v.has(REVERSE) && v.lacks(ARP)          => [r.reverse.ttl_max];
}
