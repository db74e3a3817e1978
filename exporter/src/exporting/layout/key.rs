//! Flow Keys: addresses, ports, protocol, VLAN ids. An Aggregated Flow has no source.

use std::net::IpAddr;

use super::variant::*;
use crate::metering::record::FlowRecord;

super::group! { |v, r: &FlowRecord|
    if v.lacks(V6 | FOLD) => {
        key   SOURCE_IPV4_ADDRESS[4]      => v4(r.key.src);
        key   DESTINATION_IPV4_ADDRESS[4] => v4(r.key.dst);
    }
    if v.lacks(V6) && v.has(FOLD) => {
        key   DESTINATION_IPV4_ADDRESS[4] => v4(r.key.dst);
    }
    if v.has(V6) && v.lacks(FOLD) => {
        key   SOURCE_IPV6_ADDRESS[16]      => v6(r.key.src);
        key   DESTINATION_IPV6_ADDRESS[16] => v6(r.key.dst);
    }
    if v.has(V6 | FOLD) => {
        key   DESTINATION_IPV6_ADDRESS[16] => v6(r.key.dst);
    }
    if v.has(PORTS) && v.lacks(FOLD) => {
        key   SOURCE_TRANSPORT_PORT[2]      => r.key.src_port.to_be_bytes();
        key   DESTINATION_TRANSPORT_PORT[2] => r.key.dst_port.to_be_bytes();
    }
    if v.has(PORTS | FOLD) => {
        key   DESTINATION_TRANSPORT_PORT[2] => r.key.dst_port.to_be_bytes();
    }
    if v.has(ARP) => {
        key   ETHERNET_TYPE[2] => ETHERTYPE_ARP.to_be_bytes();
    }
    if v.lacks(ARP) => {
        key   PROTOCOL_IDENTIFIER[1] => [r.key.protocol];
        key   IP_VERSION[1]          => [if v.has(V6) { 6 } else { 4 }];
    }
    if v.has(VLAN) => {
        key   DOT1Q_VLAN_ID[2] => r.key.vlan[0].to_be_bytes();
    }
    if v.has(INNER_VLAN) => {
        key   DOT1Q_CUSTOMER_VLAN_ID[2] => r.key.vlan[1].to_be_bytes();
    }
}

/// IEEE 802's number of ARP (RFC 826).
const ETHERTYPE_ARP: u16 = 0x0806;

#[inline]
fn v4(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        // Both addresses of a key are of one family, and the variant says which.
        IpAddr::V6(_) => [0; 4],
    }
}

#[inline]
fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
    }
}
