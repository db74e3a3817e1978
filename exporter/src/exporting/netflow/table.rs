//! The one place where a flow becomes fields of NetFlow version 9 (RFC 3954 section 8): a line for each field.
//!
//! As with IPFIX, a flow has only fields that it can fill, so that what is absent picks another template. A template's
//! identifier is its [`Variant`]: the same flows have the same template after a restart, so that a collector which has
//! missed the new one reads them right with the old one.
//!
//! The RFC has numbers up to 79. Those above are of Cisco's later tables, which IANA took over into IPFIX: IN_DST_MAC (80,
//! for the RFC's 57 means the address behind the router by now), flowEndReason, absolute milliseconds, the inner
//! VLAN, the Ethernet type. Collectors skip what they do not know, since templates say how long it is.

use std::net::IpAddr;

use super::uniflow::Uniflow;
use super::uptime::PacketTime;

/// A set of bits: which fields a flow has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant(pub u16);

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Bit { $($name,)* COUNT }
        $($(#[$doc])* const $name: u16 = 1 << Bit::$name as u16;)*
    };
}

bits! {
    /// IPv6 addresses.
    V6,
    /// Ports.
    PORTS,
    /// TCP flags.
    TCP,
    /// Type and code of ICMP.
    ICMP,
    /// Counters beyond 32 bits.
    WIDE,
    /// Lasted too long for times since the start.
    ABSOLUTE,
    /// VLAN tag.
    VLAN,
    /// Second VLAN tag.
    INNER_VLAN,
    /// Chosen by a sampler.
    SAMPLED,
    /// Aggregated Flow.
    FOLD,
    /// ARP messages in place of IP packets.
    ARP,
    /// MAC addresses.
    MAC,
    /// Interfaces.
    INTERFACE,
    /// MPLS label.
    LABEL,
}

/// How many variants there may be.
pub const VARIANTS: usize = 1 << Bit::COUNT as usize;
/// What every flow keeps when templates run out: what counters are of, and what they mean.
const OPTIONAL: u16 = MAC | INTERFACE | LABEL;

const TCP_PROTOCOL: u8 = 6;
/// Protocols with ports in their first four octets: TCP, UDP, DCCP, SCTP, UDP-Lite.
const PORT_PROTOCOLS: [u8; 5] = [TCP_PROTOCOL, 17, 33, 132, 136];

impl Variant {
    /// What a flow has. With `absolute`, its times are not since the exporter's start.
    #[inline]
    pub fn of(flow: &Uniflow, absolute: bool) -> Self {
        let bits = [
            (flow.src.is_ipv6(), V6),
            (PORT_PROTOCOLS.contains(&flow.protocol), PORTS),
            (flow.protocol == TCP_PROTOCOL, TCP),
            (flow.icmp.is_some(), ICMP),
            (flow.packets | flow.octets > u64::from(u32::MAX), WIDE),
            (absolute, ABSOLUTE),
            (flow.vlan[0] != 0, VLAN),
            (flow.vlan[1] != 0, INNER_VLAN),
            (flow.sampler != 0, SAMPLED),
            (flow.flows.is_some(), FOLD),
            (flow.is_arp, ARP),
            (flow.src_mac != [0; 6] || flow.dst_mac != [0; 6], MAC),
            (flow.input | flow.output != 0, INTERFACE),
            (flow.label.is_some(), LABEL),
        ];
        Self(
            bits.iter()
                .fold(0, |set, (is_there, bit)| if *is_there { set | bit } else { set }),
        )
    }

    /// The same without what is not needed to understand a flow; none where there is no such thing.
    pub fn reduced(self) -> Option<Self> {
        let reduced = Self(self.0 & !OPTIONAL);
        (reduced != self).then_some(reduced)
    }

    #[inline(always)]
    fn has(self, bits: u16) -> bool {
        self.0 & bits == bits
    }

    #[inline(always)]
    fn lacks(self, bits: u16) -> bool {
        self.0 & bits == 0
    }
}

/// A field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// RFC 3954 section 8.
    pub number: u16,
    /// Octets.
    pub octets: u16,
}

/// Expands the table to the fields of a template and to what writes their values, in the same order.
macro_rules! table {
    (|$variant:ident, $flow:ident, $time:ident| $(if $when:expr => { $($name:ident = $number:literal [$octets:literal] => $value:expr;)* })*) => {
        /// The fields of the template for a variant.
        pub fn fields($variant: Variant) -> Vec<Field> {
            let mut fields = Vec::new();
            $(if $when {
                fields.extend([$(Field { number: $number, octets: $octets }),*]);
            })*
            fields
        }

        /// Appends the values of a flow that has the variant's fields.
        #[inline]
        pub fn write($variant: Variant, $flow: &Uniflow, $time: PacketTime, out: &mut Vec<u8>) {
            $(if $when {
                const OCTETS: usize = 0 $(+ $octets)*;
                let mut room = [0; OCTETS];
                let rest = &mut room[..];
                $(
                    let (place, rest) = rest.split_at_mut($octets);
                    let value: [u8; $octets] = $value;
                    place.copy_from_slice(&value);
                )*
                let _ = rest;
                out.extend_from_slice(&room);
            })*
        }

        /// Names in the RFC's words, for those who read a template.
        #[cfg(test)]
        pub const NAMES: &[(u16, &str)] = &[$($(($number, stringify!($name)),)*)*];
    };
}

table! { |v, f, t|
    if v.lacks(V6) => {
        IPV4_SRC_ADDR = 8[4]  => v4(f.src);
        IPV4_DST_ADDR = 12[4] => v4(f.dst);
    }
    if v.has(V6) => {
        IPV6_SRC_ADDR = 27[16] => v6(f.src);
        IPV6_DST_ADDR = 28[16] => v6(f.dst);
    }
    if v.has(PORTS) => {
        L4_SRC_PORT = 7[2]  => f.src_port.to_be_bytes();
        L4_DST_PORT = 11[2] => f.dst_port.to_be_bytes();
    }
    if v.lacks(ABSOLUTE) => {
        LAST_SWITCHED  = 21[4] => t.since_boot(f.end_ms).to_be_bytes();
        FIRST_SWITCHED = 22[4] => t.since_boot(f.start_ms).to_be_bytes();
    }
    if v.has(ABSOLUTE) => {
        FLOW_START_MILLISECONDS = 152[8] => f.start_ms.to_be_bytes();
        FLOW_END_MILLISECONDS   = 153[8] => f.end_ms.to_be_bytes();
    }
    if v.lacks(WIDE) => {
        IN_BYTES = 1[4] => narrow(f.octets);
        IN_PKTS  = 2[4] => narrow(f.packets);
    }
    if v.has(WIDE) => {
        IN_BYTES = 1[8] => f.octets.to_be_bytes();
        IN_PKTS  = 2[8] => f.packets.to_be_bytes();
    }
    if v.has(FOLD) => {
        FLOWS = 3[4] => narrow(f.flows.unwrap_or_default().min(u64::from(u32::MAX)));
    }
    if v.lacks(ARP) => {
        PROTOCOL            = 4[1]  => [f.protocol];
        IP_PROTOCOL_VERSION = 60[1] => [if v.has(V6) { 6 } else { 4 }];
        TOS                 = 5[1]  => [f.tos];
        MIN_TTL             = 52[1] => [f.ttl[0]];
        MAX_TTL             = 53[1] => [f.ttl[1]];
    }
    if v.has(ARP) => {
        ETHERNET_TYPE = 256[2] => ETHERTYPE_ARP.to_be_bytes();
    }
    if v.has(TCP) => {
        TCP_FLAGS = 6[1] => [f.tcp_flags.to_be_bytes()[1]];
    }
    if v.has(ICMP) => {
        ICMP_TYPE = 32[2] => f.icmp.unwrap_or_default().to_be_bytes();
    }
    if true => {
        FLOW_END_REASON = 136[1] => [f.end_reason];
    }
    if v.has(VLAN) => {
        SRC_VLAN = 58[2] => f.vlan[0].to_be_bytes();
    }
    if v.has(INNER_VLAN) => {
        INNER_VLAN_ID = 245[2] => f.vlan[1].to_be_bytes();
    }
    if v.has(MAC) => {
        IN_SRC_MAC = 56[6] => f.src_mac;
        IN_DST_MAC = 80[6] => f.dst_mac;
    }
    if v.has(INTERFACE) => {
        INPUT_SNMP  = 10[4] => f.input.to_be_bytes();
        OUTPUT_SNMP = 14[4] => f.output.to_be_bytes();
    }
    if v.has(LABEL) => {
        MPLS_LABEL_1 = 70[3] => label(f.label.unwrap_or_default());
    }
    if v.has(SAMPLED) => {
        FLOW_SAMPLER_ID = 48[1] => [sampler(f.sampler)];
    }
}

/// IEEE 802's number of ARP (RFC 826).
const ETHERTYPE_ARP: u16 = 0x0806;

/// Octets of a record.
pub fn octets(fields: &[Field]) -> usize {
    fields.iter().map(|field| usize::from(field.octets)).sum()
}

/// A counter of a variant whose counters all fit.
fn narrow(count: u64) -> [u8; 4] {
    (count as u32).to_be_bytes()
}

/// FLOW_SAMPLER_ID has one octet; there are no more Selectors than that.
pub fn sampler(selector: u32) -> u8 {
    u8::try_from(selector).unwrap_or(u8::MAX)
}

/// Label, class and bottom of stack, without the time to live.
fn label(entry: u32) -> [u8; 3] {
    let [a, b, c, _] = entry.to_be_bytes();
    [a, b, c]
}

fn v4(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(address) => address.octets(),
        // Both addresses of a flow are of one family, and the variant says which.
        IpAddr::V6(_) => [0; 4],
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
    }
}
