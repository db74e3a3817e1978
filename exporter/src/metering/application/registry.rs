//! The table of application protocols, and what follows from it: templates, names, sets of protocols.

use flowgauge_templates::ipfix::FieldSpecifier;

use super::protocol::{Field, Protocol};
use super::{arp, dhcp, http, quic, smtp, ssh, stun, tls};

/// Every protocol. A record names one by its place here, within one run.
pub static PROTOCOLS: &[&dyn Protocol] = &[
    &http::Http,
    &ssh::Ssh,
    &smtp::Smtp,
    &dhcp::Dhcp,
    &dhcp::Dhcpv6,
    &arp::Arp,
    &tls::Tls,
    &tls::Dtls,
    &quic::Quic,
    &stun::Stun,
];

/// More than [`PROTOCOLS`] ever has: they are the bits of a set.
pub const MAX_PROTOCOLS: usize = 32;

/// The fields of a protocol's records, by [`super::ApplicationRecord::protocol`]; none for one that there is not.
pub fn fields(protocol: u8) -> &'static [Field] {
    PROTOCOLS
        .get(usize::from(protocol))
        .map_or(&[], |protocol| protocol.about().fields)
}

/// The fields of a record in which the fields `present` are there, as a template has them.
pub fn field_specifiers(protocol: u8, present: u32) -> impl Iterator<Item = FieldSpecifier> {
    fields(protocol)
        .iter()
        .enumerate()
        .filter(move |(at, _)| present >> at & 1 != 0)
        .map(|(_, field)| field.specifier())
}

/// Some of [`PROTOCOLS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolSet(u32);

impl ProtocolSet {
    /// All of them.
    pub const ALL: ProtocolSet = ProtocolSet(u32::MAX);
    /// None of them.
    pub const NONE: ProtocolSet = ProtocolSet(0);

    /// The place of the protocol with that name, if there is one.
    pub fn place(name: &str) -> Option<u8> {
        let at = PROTOCOLS
            .iter()
            .position(|protocol| protocol.about().name.eq_ignore_ascii_case(name))?;
        u8::try_from(at).ok()
    }

    /// The set with that protocol added.
    #[must_use]
    pub const fn with(self, protocol: u8) -> ProtocolSet {
        ProtocolSet(self.0 | 1 << (protocol & 31))
    }

    /// Whether it has that protocol.
    pub const fn has(self, protocol: u8) -> bool {
        self.0 >> (protocol & 31) & 1 != 0
    }

    /// Names of all protocols, for the configuration and its messages.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PROTOCOLS.iter().map(|protocol| protocol.about().name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use flowgauge_ie_registry::{DataType, Registry};

    use super::*;
    use crate::metering::application::protocol::Kind;

    #[test]
    fn every_protocol_has_a_name_of_its_own_and_fields_that_the_registry_types_alike() {
        assert!(PROTOCOLS.len() <= MAX_PROTOCOLS);
        let mut names = HashSet::new();
        for (at, protocol) in PROTOCOLS.iter().enumerate() {
            let about = protocol.about();
            assert!(names.insert(about.name));
            assert_eq!(about.name, about.name.to_ascii_lowercase());
            assert_eq!(ProtocolSet::place(about.name), Some(at as u8));
            assert_eq!(about.fields.first(), Some(&Field::NAME), "{}", about.name);
            assert!(about.fields.len() <= 32 && !about.carriers.is_empty());
            let elements: HashSet<_> = about.fields.iter().map(|field| field.element).collect();
            assert_eq!(elements.len(), about.fields.len(), "{}: one element twice", about.name);
            for field in about.fields {
                let element = Registry::builtin().element(field.element).unwrap();
                match field.kind {
                    Kind::Text(_) => assert_eq!(element.data_type, DataType::String, "{}", element.name),
                    Kind::Fixed(octets) => {
                        assert!(element.data_type.allows_length(u16::from(octets)), "{}", element.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_template_has_the_fields_that_are_present() {
        let all = fields(0);
        let two: Vec<_> = field_specifiers(0, 0b101).collect();
        assert_eq!(two, [all[0].specifier(), all[2].specifier()]);
        assert_eq!(field_specifiers(200, u32::MAX).count(), 0);
        assert!(ProtocolSet::ALL.has(0) && !ProtocolSet::NONE.has(0) && ProtocolSet::NONE.with(1).has(1));
    }
}
