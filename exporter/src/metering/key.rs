//! Flow keys as the table compares them: both directions of a biflow give the same 48 octets and the same hash.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flowgauge_templates::packet::{Arp, Headers, IpVersion, Network};

use super::record::FlowKey;

/// A key whose two ends are in a fixed order: the smaller (address, port) is the low end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PackedKey {
    pub(super) low: u128,
    pub(super) high: u128,
    /// Low port, high port, outer VLAN id, inner VLAN id, from the most significant bits down.
    pub(super) ports_vlan: u64,
    /// Tunnel identifier (32 bits), whether there is one and tunnel kind (8), protocol (8), IP version (8), from the more
    /// significant bits down.
    pub(super) context: u64,
}

impl PartialEq for PackedKey {
    #[inline(always)]
    fn eq(&self, other: &PackedKey) -> bool {
        // Without branches: the hash has made equality all but certain.
        let addresses = (self.low ^ other.low) | (self.high ^ other.high);
        let rest = (self.ports_vlan ^ other.ports_vlan) | (self.context ^ other.context);
        addresses | u128::from(rest) == 0
    }
}

impl PackedKey {
    /// The key of a packet, and whether its source is the high end.
    #[inline(always)]
    pub fn of(network: &Network, headers: &Headers<'_>) -> (PackedKey, bool) {
        // One after the other, as they were stored: loaded together they would wait for both stores to end.
        let ports = [headers.ports[0], headers.ports[1]];
        PackedKey::with_transport(network, headers, network.protocol, ports)
    }

    /// The key of a packet whose protocol and ports are known from elsewhere, as of a fragment other than the first.
    #[inline(always)]
    pub fn with_transport(
        network: &Network,
        headers: &Headers<'_>,
        protocol: u8,
        [src_port, dst_port]: [u16; 2],
    ) -> (PackedKey, bool) {
        let (low, high, low_port, high_port, from_high) = if network.version == IpVersion::V4 {
            // An address and a port are one number of 48 bits.
            let end = |bits: u128, port: u16| (bits as u64 & 0xffff_ffff) << 16 | u64::from(port);
            let (src, dst) = (end(network.src_bits, src_port), end(network.dst_bits, dst_port));
            let (low, high) = (src.min(dst), src.max(dst));
            let address = |end: u64| MAPPED | u128::from(end >> 16);
            (address(low), address(high), low as u16, high as u16, src > dst)
        } else if (network.src_bits, src_port) > (network.dst_bits, dst_port) {
            (network.dst_bits, network.src_bits, dst_port, src_port, true)
        } else {
            (network.src_bits, network.dst_bits, src_port, dst_port, false)
        };
        let [outer, inner] = headers.link.vlan;
        let key = PackedKey {
            low,
            high,
            ports_vlan: u64::from(low_port) << 48
                | u64::from(high_port) << 32
                | u64::from(outer) << 16
                | u64::from(inner),
            context: tunnel_bits(headers) | u64::from(protocol) << 8 | network.version as u64,
        };
        (key, from_high)
    }

    /// The key of an ARP message: protocol 0 between the addresses it speaks of.
    pub fn of_arp(arp: &Arp, headers: &Headers<'_>) -> (PackedKey, bool) {
        let mapped = |address: Ipv4Addr| address.to_ipv6_mapped().to_bits();
        let (src, dst) = (mapped(arp.sender_ip), mapped(arp.target_ip));
        let [outer, inner] = headers.link.vlan;
        let key = PackedKey {
            low: src.min(dst),
            high: src.max(dst),
            ports_vlan: u64::from(outer) << 16 | u64::from(inner),
            context: IpVersion::V4 as u64,
        };
        (key, src > dst)
    }

    /// IP version.
    #[inline(always)]
    pub fn version(&self) -> IpVersion {
        match self.context as u8 == IpVersion::V4 as u8 {
            true => IpVersion::V4,
            false => IpVersion::V6,
        }
    }

    /// IP protocol.
    #[inline(always)]
    pub fn protocol(&self) -> u8 {
        (self.context >> 8) as u8
    }

    /// The key as records show it; `from_high` says that the first packet's source was the high end.
    pub fn oriented(&self, from_high: bool, interface: u32) -> FlowKey {
        let (low_port, high_port) = ((self.ports_vlan >> 48) as u16, (self.ports_vlan >> 32) as u16);
        // Taken by number: which end is the source is as good as random, and a branch on it goes wrong every other time.
        let ends = [(self.low, low_port), (self.high, high_port)];
        let (src, src_port) = ends[usize::from(from_high)];
        let (dst, dst_port) = ends[usize::from(!from_high)];
        FlowKey {
            src: self.address(src),
            dst: self.address(dst),
            src_port,
            dst_port,
            protocol: self.protocol(),
            vlan: [(self.ports_vlan >> 16) as u16, self.ports_vlan as u16],
            interface,
        }
    }

    fn address(&self, bits: u128) -> IpAddr {
        if self.context as u8 == IpVersion::V4 as u8 {
            IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    }
}

/// IPv4 addresses as IPv6 writes them (RFC 4291 section 2.5.5.2).
const MAPPED: u128 = 0xffff_0000_0000;

/// What a tunnel adds to the key. GTP-U and others name one tunnel differently in each direction: then the kind alone.
#[inline(always)]
fn tunnel_bits(headers: &Headers<'_>) -> u64 {
    let Some(tunnel) = &headers.tunnel else { return 0 };
    let kind = u64::from(tunnel.kind as u8 & 0x7f) << 16;
    match tunnel.identifier {
        // No kind of tunnel has more than 32 bits.
        Some(identifier) if tunnel.kind.identifier_is_shared() => identifier << 32 | 1 << 23 | kind,
        _ => kind,
    }
}

/// A keyed hash of flow keys, of folded 64 x 64 bit multiplications as in wyhash. Who does not know the seed cannot
/// choose keys that collide.
#[derive(Clone, Debug)]
pub(super) struct KeyHasher {
    seeds: [u64; 7],
}

impl KeyHasher {
    pub fn new(seed: u64) -> KeyHasher {
        // splitmix64 turns one number into several unrelated ones.
        let mut state = seed;
        let seeds = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        });
        KeyHasher { seeds }
    }

    /// 32 bits: enough to place a key in a table of 2^28 flows and to tell most others apart unseen.
    #[inline(always)]
    pub fn hash(&self, key: &PackedKey) -> u32 {
        let [a, b, c, d, e, f, last] = self.seeds;
        let rest = fold(key.ports_vlan ^ e, key.context ^ f);
        if key.context as u8 == IpVersion::V4 as u8 {
            let addresses = (key.low as u64) << 32 | key.high as u64 & 0xffff_ffff;
            return fold(addresses ^ a ^ rest, last) as u32;
        }
        let low = fold(key.low as u64 ^ a, (key.low >> 64) as u64 ^ b);
        let high = fold(key.high as u64 ^ c, (key.high >> 64) as u64 ^ d);
        fold(low ^ high.rotate_left(23) ^ rest, last) as u32
    }
}

impl KeyHasher {
    /// 64 bits of one address, all of them equally likely to be set.
    #[inline]
    pub fn hash_address(&self, bits: u128) -> u64 {
        let [a, b, c, ..] = self.seeds;
        fold(
            fold(bits as u64 ^ a, (bits >> 64) as u64 ^ b) ^ c,
            0x9e37_79b9_7f4a_7c15,
        )
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}
