//! The tunnel around a flow: kind and identifier are Flow Keys, as one inner address can be in many of them.

use std::net::IpAddr;

use super::variant::*;
use crate::metering::tunnel::TunnelRecord;

super::group! { |v, t: &TunnelRecord|
    if v.has(TUNNEL) => {
        key   TUNNEL_KIND[1] => [t.kind];
    }
    if v.has(TUNNEL_ID) => {
        key   TUNNEL_IDENTIFIER[8] => t.identifier.unwrap_or_default().to_be_bytes();
    }
    if v.has(TUNNEL) && v.lacks(TUNNEL_V6) => {
        value TUNNEL_SOURCE_IPV4_ADDRESS[4]      => v4(t.src);
        value TUNNEL_DESTINATION_IPV4_ADDRESS[4] => v4(t.dst);
    }
    if v.has(TUNNEL_V6) => {
        value TUNNEL_SOURCE_IPV6_ADDRESS[16]      => v6(t.src);
        value TUNNEL_DESTINATION_IPV6_ADDRESS[16] => v6(t.dst);
    }
}

fn v4(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        // Both ends are of one family, and the variant says which.
        IpAddr::V6(_) => [0; 4],
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
    }
}
