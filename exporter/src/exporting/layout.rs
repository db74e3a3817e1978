//! The one place where a Flow Record becomes a template and octets: each field is one line of the table below.
//!
//! A record has only fields that it can fill, so what is absent (a reverse direction, VLAN tags, a handshake RTT) picks
//! another template instead of a made-up 0. The table is written once for all [`Variant`]s: it expands to a function
//! that lists Field Specifiers and to one that writes the values by straight stores, in the same order.
//!
//! Elements: IANA, reverse elements of RFC 5103 (enterprise 29305), and Flowgauge's own.

use std::net::IpAddr;

use flowgauge_ie_registry::ids;
use flowgauge_templates::ipfix::value::ntp_octets;
use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter, Resolution};

use crate::config::Times;
use crate::metering::record::FlowRecord;

/// Which of the optional fields a record has: a set of bits, so that it indexes an array of templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant(u16);

/// IPv6 addresses.
const V6: u16 = 1 << 0;
/// The protocol has ports.
const PORTS: u16 = 1 << 1;
/// TCP control bits.
const TCP: u16 = 1 << 2;
/// Type and code of the first ICMP packet.
const ICMP: u16 = 1 << 3;
/// Packets in the reverse direction.
const REVERSE: u16 = 1 << 4;
/// Type and code of the first reverse ICMP packet.
const REVERSE_ICMP: u16 = 1 << 5;
/// One VLAN tag.
const VLAN: u16 = 1 << 6;
/// A second VLAN tag.
const INNER_VLAN: u16 = 1 << 7;
/// The link has MAC addresses.
const MAC: u16 = 1 << 8;
/// Handshake RTT towards the server.
const SERVER_RTT: u16 = 1 << 9;
/// Handshake RTT towards the client.
const CLIENT_RTT: u16 = 1 << 10;
/// Times in nanoseconds.
const NANOSECONDS: u16 = 1 << 11;

/// TCP, and the other protocols with ports in the first four octets: UDP, DCCP, SCTP, UDP-Lite.
const TCP_PROTOCOL: u8 = 6;
const PORT_PROTOCOLS: [u8; 5] = [TCP_PROTOCOL, 17, 33, 132, 136];

impl Variant {
    /// One more than the largest [`Self::index`].
    pub const COUNT: usize = 1 << 12;

    /// What `record` has.
    pub fn of(record: &FlowRecord, times: Times) -> Self {
        let key = &record.key;
        let reverse = record.reverse.packets > 0;
        let bits = [
            (key.src.is_ipv6(), V6),
            (PORT_PROTOCOLS.contains(&key.protocol), PORTS),
            (key.protocol == TCP_PROTOCOL, TCP),
            (record.icmp[0].is_some(), ICMP),
            (reverse, REVERSE),
            (reverse && record.icmp[1].is_some(), REVERSE_ICMP),
            (key.vlan[0] != 0, VLAN),
            (key.vlan[1] != 0, INNER_VLAN),
            (record.src_mac != [0; 6] || record.dst_mac != [0; 6], MAC),
            (record.handshake_rtt_us[0].is_some(), SERVER_RTT),
            (record.handshake_rtt_us[1].is_some(), CLIENT_RTT),
            (times == Times::Nanoseconds, NANOSECONDS),
        ];
        Self(
            bits.iter()
                .fold(0, |set, (is_there, bit)| if *is_there { set | bit } else { set }),
        )
    }

    /// Below [`Self::COUNT`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The variant with that index, if there is one.
    pub fn from_index(index: usize) -> Option<Self> {
        u16::try_from(index)
            .ok()
            .filter(|bits| usize::from(*bits) < Self::COUNT)
            .map(Self)
    }

    #[inline]
    fn has(self, bits: u16) -> bool {
        self.0 & bits == bits
    }

    #[inline]
    fn lacks(self, bit: u16) -> bool {
        self.0 & bit == 0
    }
}

/// Expands the table: `role ELEMENT[octets] if condition = value as an array of that many octets`.
macro_rules! layout {
    (|$variant:ident, $record:ident| $($role:ident $element:ident [$octets:literal] if $when:expr => $value:expr;)*) => {
        /// Every field that some variant has.
        pub static ALL_FIELDS: &[FieldSpecifier] = &[$(FieldSpecifier::new(ids::$element, $octets)),*];

        /// The fields of the template for `variant`, in the order in which [`write`] writes them.
        pub fn fields($variant: Variant) -> Vec<FieldSpecifier> {
            let mut fields = Vec::new();
            $(if $when {
                fields.push(FieldSpecifier::new(ids::$element, $octets));
            })*
            fields
        }

        /// flowKeyIndicator of the template for `variant`: bit n is set when field n is a Flow Key (RFC 7011 section 4.4).
        pub fn flow_key_indicator($variant: Variant) -> u64 {
            let mut indicator = 0u64;
            let mut bit = 1u64;
            $(if $when {
                if role::$role {
                    indicator |= bit;
                }
                bit <<= 1;
            })*
            let _ = bit;
            indicator
        }

        /// Appends the values of `record`, which must be of `variant`.
        #[inline]
        pub fn write($variant: Variant, $record: &FlowRecord, writer: &mut RecordWriter<'_>) {
            $(if $when {
                writer.array::<$octets>($value);
            })*
        }
    };
}

/// Whether a field is a Flow Key.
#[allow(non_upper_case_globals)] // words of the table
mod role {
    pub const key: bool = true;
    pub const value: bool = false;
}

layout! { |v, r|
    value FLOW_START_MILLISECONDS[8]          if v.lacks(NANOSECONDS)    => milliseconds(r.start_ns);
    value FLOW_END_MILLISECONDS[8]            if v.lacks(NANOSECONDS)    => milliseconds(r.end_ns);
    value FLOW_START_NANOSECONDS[8]           if v.has(NANOSECONDS)      => nanoseconds(r.start_ns);
    value FLOW_END_NANOSECONDS[8]             if v.has(NANOSECONDS)      => nanoseconds(r.end_ns);
    key   SOURCE_IPV4_ADDRESS[4]              if v.lacks(V6)             => v4(r.key.src);
    key   DESTINATION_IPV4_ADDRESS[4]         if v.lacks(V6)             => v4(r.key.dst);
    key   SOURCE_IPV6_ADDRESS[16]             if v.has(V6)               => v6(r.key.src);
    key   DESTINATION_IPV6_ADDRESS[16]        if v.has(V6)               => v6(r.key.dst);
    key   SOURCE_TRANSPORT_PORT[2]            if v.has(PORTS)            => r.key.src_port.to_be_bytes();
    key   DESTINATION_TRANSPORT_PORT[2]       if v.has(PORTS)            => r.key.dst_port.to_be_bytes();
    key   PROTOCOL_IDENTIFIER[1]              if true                    => [r.key.protocol];
    key   IP_VERSION[1]                       if true                    => [if v.has(V6) { 6 } else { 4 }];
    value INGRESS_INTERFACE[4]                if true                    => r.key.interface.to_be_bytes();
    key   DOT1Q_VLAN_ID[2]                    if v.has(VLAN)             => r.key.vlan[0].to_be_bytes();
    key   DOT1Q_CUSTOMER_VLAN_ID[2]           if v.has(INNER_VLAN)       => r.key.vlan[1].to_be_bytes();
    value SOURCE_MAC_ADDRESS[6]               if v.has(MAC)              => r.src_mac;
    value DESTINATION_MAC_ADDRESS[6]          if v.has(MAC)              => r.dst_mac;
    value PACKET_DELTA_COUNT[8]               if true                    => r.forward.packets.to_be_bytes();
    value OCTET_DELTA_COUNT[8]                if true                    => r.forward.octets.to_be_bytes();
    value REVERSE_PACKET_DELTA_COUNT[8]       if v.has(REVERSE)          => r.reverse.packets.to_be_bytes();
    value REVERSE_OCTET_DELTA_COUNT[8]        if v.has(REVERSE)          => r.reverse.octets.to_be_bytes();
    value TCP_CONTROL_BITS[2]                 if v.has(TCP)              => r.forward.tcp_flags.to_be_bytes();
    value REVERSE_TCP_CONTROL_BITS[2]         if v.has(TCP | REVERSE)    => r.reverse.tcp_flags.to_be_bytes();
    value ICMP_TYPE_CODE_IPV4[2]              if v.lacks(V6) && v.has(ICMP) => icmp(r.icmp[0]);
    value ICMP_TYPE_CODE_IPV6[2]              if v.has(V6 | ICMP)        => icmp(r.icmp[0]);
    value REVERSE_ICMP_TYPE_CODE_IPV4[2]      if v.lacks(V6) && v.has(REVERSE_ICMP) => icmp(r.icmp[1]);
    value REVERSE_ICMP_TYPE_CODE_IPV6[2]      if v.has(V6 | REVERSE_ICMP) => icmp(r.icmp[1]);
    value IP_CLASS_OF_SERVICE[1]              if true                    => [r.forward.tos];
    value MINIMUM_TTL[1]                      if true                    => [r.forward.ttl_min];
    value MAXIMUM_TTL[1]                      if true                    => [r.forward.ttl_max];
    value REVERSE_IP_CLASS_OF_SERVICE[1]      if v.has(REVERSE)          => [r.reverse.tos];
    value REVERSE_MINIMUM_TTL[1]              if v.has(REVERSE)          => [r.reverse.ttl_min];
    value REVERSE_MAXIMUM_TTL[1]              if v.has(REVERSE)          => [r.reverse.ttl_max];
    value FLOW_END_REASON[1]                  if true                    => [r.end_reason as u8];
    value TCP_HANDSHAKE_RTT_SERVER_MICROSECONDS[4] if v.has(SERVER_RTT)  => microseconds(r.handshake_rtt_us[0]);
    value TCP_HANDSHAKE_RTT_CLIENT_MICROSECONDS[4] if v.has(CLIENT_RTT)  => microseconds(r.handshake_rtt_us[1]);
}

#[inline]
fn milliseconds(ns: i64) -> [u8; 8] {
    (ns.max(0) / 1_000_000).to_be_bytes()
}

#[inline]
fn nanoseconds(ns: i64) -> [u8; 8] {
    ntp_octets(ns, Resolution::Nanoseconds)
}

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

/// The variant has the bit only where there is a value.
#[inline]
fn icmp(type_and_code: Option<u16>) -> [u8; 2] {
    type_and_code.unwrap_or_default().to_be_bytes()
}

#[inline]
fn microseconds(rtt: Option<u32>) -> [u8; 4] {
    rtt.unwrap_or_default().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use flowgauge_ie_registry::{ElementId, REVERSE_PEN, Registry};
    use flowgauge_templates::ipfix::{Template, Value};
    use proptest::prelude::*;

    use super::*;
    use crate::exporting::samples;

    /// Encodes, and decodes again through the template, by element.
    fn round_trip(record: &FlowRecord, times: Times) -> Vec<(ElementId, String)> {
        let variant = Variant::of(record, times);
        let template = Template::compile(256, 0, &fields(variant), Registry::builtin());
        let mut octets = [0; 512];
        let mut writer = RecordWriter::new(&mut octets);
        write(variant, record, &mut writer);
        let written = writer.written();
        let octets = &octets[..written];
        assert_eq!(template.fixed_length(), Some(octets.len()));
        let mut records = template.records(octets);
        let decoded = records.next().expect("one record");
        let values = decoded
            .fields()
            .map(|(field, value)| {
                assert!(field.known, "{}", field.name);
                let text = match value {
                    Value::Unsigned(number) => number.to_string(),
                    Value::Ipv4(address) => address.to_string(),
                    Value::Ipv6(address) => address.to_string(),
                    Value::Mac(mac) => format!("{mac:02x?}"),
                    Value::DateTime { ns, .. } => ns.to_string(),
                    other => panic!("{}: {other:?} is not of its type", field.name),
                };
                (field.specifier.element, text)
            })
            .collect();
        assert!(records.next().is_none());
        values
    }

    fn look(values: &[(ElementId, String)], element: ElementId) -> Option<&str> {
        values
            .iter()
            .find(|(id, _)| *id == element)
            .map(|(_, text)| text.as_str())
    }

    /// What the record says, spelled out apart from the table: element, and value when it is there.
    fn expected(r: &FlowRecord, times: Times) -> Vec<(ElementId, Option<String>)> {
        let v6 = r.key.src.is_ipv6();
        let reverse = r.reverse.packets > 0;
        let ports = [6, 17, 33, 132, 136].contains(&r.key.protocol);
        let ms = times == Times::Milliseconds;
        let back = |id: u16| ElementId::new(REVERSE_PEN, id);
        let when = |is_there: bool, value: String| is_there.then_some(value);
        let truncated = |ns: i64| (ns / 1_000_000 * 1_000_000).to_string();
        vec![
            (ElementId::iana(152), when(ms, truncated(r.start_ns))),
            (ElementId::iana(153), when(ms, truncated(r.end_ns))),
            (ElementId::iana(156), when(!ms, r.start_ns.to_string())),
            (ElementId::iana(157), when(!ms, r.end_ns.to_string())),
            (ElementId::iana(8), when(!v6, r.key.src.to_string())),
            (ElementId::iana(12), when(!v6, r.key.dst.to_string())),
            (ElementId::iana(27), when(v6, r.key.src.to_string())),
            (ElementId::iana(28), when(v6, r.key.dst.to_string())),
            (ElementId::iana(7), when(ports, r.key.src_port.to_string())),
            (ElementId::iana(11), when(ports, r.key.dst_port.to_string())),
            (ElementId::iana(4), Some(r.key.protocol.to_string())),
            (ElementId::iana(60), Some(if v6 { "6" } else { "4" }.to_owned())),
            (ElementId::iana(10), Some(r.key.interface.to_string())),
            (ElementId::iana(243), when(r.key.vlan[0] > 0, r.key.vlan[0].to_string())),
            (ElementId::iana(245), when(r.key.vlan[1] > 0, r.key.vlan[1].to_string())),
            (ElementId::iana(2), Some(r.forward.packets.to_string())),
            (ElementId::iana(1), Some(r.forward.octets.to_string())),
            (back(2), when(reverse, r.reverse.packets.to_string())),
            (back(1), when(reverse, r.reverse.octets.to_string())),
            (
                ElementId::iana(6),
                when(r.key.protocol == 6, r.forward.tcp_flags.to_string()),
            ),
            (
                back(6),
                when(r.key.protocol == 6 && reverse, r.reverse.tcp_flags.to_string()),
            ),
            (
                ElementId::iana(32),
                r.icmp[0].filter(|_| !v6).map(|code| code.to_string()),
            ),
            (
                ElementId::iana(139),
                r.icmp[0].filter(|_| v6).map(|code| code.to_string()),
            ),
            (
                back(32),
                r.icmp[1].filter(|_| !v6 && reverse).map(|code| code.to_string()),
            ),
            (
                back(139),
                r.icmp[1].filter(|_| v6 && reverse).map(|code| code.to_string()),
            ),
            (ElementId::iana(5), Some(r.forward.tos.to_string())),
            (ElementId::iana(52), Some(r.forward.ttl_min.to_string())),
            (ElementId::iana(53), Some(r.forward.ttl_max.to_string())),
            (back(5), when(reverse, r.reverse.tos.to_string())),
            (back(52), when(reverse, r.reverse.ttl_min.to_string())),
            (back(53), when(reverse, r.reverse.ttl_max.to_string())),
            (ElementId::iana(136), Some((r.end_reason as u8).to_string())),
            (
                ElementId::new(32473, 64),
                r.handshake_rtt_us[0].map(|us| us.to_string()),
            ),
            (
                ElementId::new(32473, 65),
                r.handshake_rtt_us[1].map(|us| us.to_string()),
            ),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_nothing_is_made_up(
            record in samples::any_record(),
            nanoseconds in any::<bool>(),
        ) {
            let times = if nanoseconds { Times::Nanoseconds } else { Times::Milliseconds };
            let values = round_trip(&record, times);
            for (element, value) in expected(&record, times) {
                prop_assert_eq!(look(&values, element), value.as_deref(), "{}", element);
            }
            let macs = record.src_mac != [0; 6] || record.dst_mac != [0; 6];
            prop_assert_eq!(look(&values, ElementId::iana(56)).is_some(), macs);
            prop_assert_eq!(look(&values, ElementId::iana(80)).is_some(), macs);
        }
    }

    #[test]
    fn every_variant_is_a_usable_template() {
        for index in 0..Variant::COUNT {
            let variant = Variant::from_index(index).unwrap();
            let fields = fields(variant);
            let template = Template::compile(256, 0, &fields, Registry::builtin());
            for field in template.fields() {
                assert!(field.known, "{}", field.name);
                let length = field.specifier.length;
                assert!(
                    field.data_type.allows_length(length),
                    "{} in {length} octets",
                    field.name
                );
            }
            assert!(fields.len() <= 64, "flowKeyIndicator has 64 bits");
            let octets: usize = fields
                .iter()
                .map(|field| if field.element.pen == 0 { 4 } else { 8 })
                .sum();
            assert!(octets + 24 <= usize::from(crate::exporting::limits::MIN_UDP_MESSAGE_OCTETS));
        }
        assert_eq!(Variant::from_index(Variant::COUNT), None);
    }

    #[test]
    fn flow_keys_are_the_key_of_the_record() {
        let mut record = samples::tcp();
        record.key.vlan = [100, 0];
        let variant = Variant::of(&record, Times::Milliseconds);
        let indicator = flow_key_indicator(variant);
        let keys: Vec<u16> = fields(variant)
            .iter()
            .enumerate()
            .filter(|(place, _)| indicator & (1 << place) != 0)
            .map(|(_, field)| field.element.id)
            .collect();
        assert_eq!(keys, [8, 12, 7, 11, 4, 60, 243]);
    }

    #[test]
    fn one_way_flows_save_the_reverse_octets() {
        let mut record = samples::tcp();
        let octets = |record: &FlowRecord| encoded(record, Times::Milliseconds).len();
        let both = octets(&record);
        record.reverse = Default::default();
        assert_eq!(both - octets(&record), 21);
    }

    fn encoded(record: &FlowRecord, times: Times) -> Vec<u8> {
        let mut room = [0; 512];
        let mut writer = RecordWriter::new(&mut room);
        write(Variant::of(record, times), record, &mut writer);
        assert_eq!(writer.missing(), 0);
        let written = writer.written();
        room[..written].to_vec()
    }
}
