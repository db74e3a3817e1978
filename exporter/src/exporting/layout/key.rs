//! Flow Keys: addresses, ports, protocol, VLAN ids. An Aggregated Flow has no source.

use std::net::IpAddr;

use super::variant::*;
use crate::metering::record::FlowRecord;

super::group! { |v, r: &FlowRecord|
    key SOURCE_IPV4_ADDRESS[4]          if v.lacks(V6 | FOLD)                  => v4(r.key.src);
    key DESTINATION_IPV4_ADDRESS[4]     if v.lacks(V6)                         => v4(r.key.dst);
    key SOURCE_IPV6_ADDRESS[16]         if v.has(V6) && v.lacks(FOLD)          => v6(r.key.src);
    key DESTINATION_IPV6_ADDRESS[16]    if v.has(V6)                           => v6(r.key.dst);
    key SOURCE_TRANSPORT_PORT[2]        if v.has(PORTS) && v.lacks(FOLD)       => r.key.src_port.to_be_bytes();
    key DESTINATION_TRANSPORT_PORT[2]   if v.has(PORTS)                        => r.key.dst_port.to_be_bytes();
    key ETHERNET_TYPE[2]                if v.has(ARP)                          => ETHERTYPE_ARP.to_be_bytes();
    key PROTOCOL_IDENTIFIER[1]          if v.lacks(ARP)                        => [r.key.protocol];
    key IP_VERSION[1]                   if v.lacks(ARP)                        => [if v.has(V6) { 6 } else { 4 }];
    key DOT1Q_VLAN_ID[2]                if v.has(VLAN)                         => r.key.vlan[0].to_be_bytes();
    key DOT1Q_CUSTOMER_VLAN_ID[2]       if v.has(INNER_VLAN)                   => r.key.vlan[1].to_be_bytes();
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
