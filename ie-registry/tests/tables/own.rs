//! All tables together: names, numbers, constants, and the rules that our own elements keep.

use std::collections::{BTreeMap, BTreeSet};

use flowgauge_ie_registry::{DataType, ElementId, FLOWGAUGE_PEN, NETFLOW9_PEN, REVERSE_BIT, Registry, Units, ids};
use proptest::prelude::*;

#[test]
fn names_are_identifiers_and_numbers_are_unique() {
    let mut seen = BTreeSet::new();
    let mut last = None;
    for element in Registry::builtin().iter() {
        assert!(seen.insert(element.id), "{} twice", element.id);
        assert!(last < Some(element.id), "sorted by number");
        last = Some(element.id);
        assert!(element.id.id <= 0x7fff || element.id.pen == NETFLOW9_PEN);
        assert!(
            element.name.starts_with(|c: char| c.is_ascii_alphabetic())
                && element.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
            "{}: {:?}",
            element.id,
            element.name
        );
        assert!(element.name.len() <= flowgauge_ie_registry::limits::MAX_NAME_OCTETS);
    }
}

#[test]
fn iana_and_own_names_are_unique_without_regard_to_case() {
    let mut names = BTreeMap::new();
    for element in Registry::builtin().iter() {
        if matches!(element.id.pen, 0 | 29305 | FLOWGAUGE_PEN) {
            let held = names.insert(element.name.to_lowercase(), element.id);
            assert_eq!(held, None, "{} {}", element.name, element.id);
        }
    }
}

#[test]
fn own_elements_can_be_announced() {
    let registry = Registry::builtin();
    let own: Vec<_> = registry.iter().filter(|e| e.id.pen == FLOWGAUGE_PEN).collect();
    assert_eq!(own.iter().filter(|e| e.id.id & REVERSE_BIT == 0).count(), 126);
    for element in own {
        assert!(
            element.semantics.suits(element.data_type),
            "{}: RFC 5610 section 3.10",
            element.name
        );
        let unit = [
            ("Microseconds", Units::Microseconds),
            ("Milliseconds", Units::Milliseconds),
            ("Octets", Units::Octets),
        ];
        for (ending, units) in unit {
            if element.name.ends_with(ending) {
                assert_eq!(element.units, units, "{}", element.name);
            }
        }
    }
    // Numbers that the design fixes.
    for (id, name, data_type) in [
        (1, "dnsQueryName", DataType::String),
        (7, "dnsResponseTimeMicroseconds", DataType::Unsigned32),
        (32, "tlsServerName", DataType::String),
        (37, "quicVersion", DataType::Unsigned32),
        (64, "tcpHandshakeRttServerMicroseconds", DataType::Unsigned32),
        (65, "tcpHandshakeRttClientMicroseconds", DataType::Unsigned32),
        (128, "summaryMetric", DataType::String),
        (133, "sketchEstimate", DataType::Float64),
        (134, "sketchImage", DataType::OctetArray),
        (140, "summaryQuantileValue", DataType::Float64),
        (141, "sketchImageOctets", DataType::Unsigned32),
        (142, "recordId", DataType::Unsigned64),
        (143, "exporterSoftware", DataType::String),
        (144, "exporterClockState", DataType::Unsigned8),
        (145, "exporterClockErrorMicroseconds", DataType::Unsigned32),
    ] {
        let element = registry.element(ElementId::new(FLOWGAUGE_PEN, id)).unwrap();
        assert_eq!((element.name.as_ref(), element.data_type), (name, data_type));
    }
}

#[test]
fn constants_are_the_numbers_of_their_names() {
    let registry = Registry::builtin();
    let name = |id: ElementId| registry.element(id).unwrap().name.as_ref();
    assert_eq!(name(ids::SOURCE_IPV4_ADDRESS), "sourceIPv4Address");
    assert_eq!(name(ids::POST_NAT_SOURCE_IPV6_ADDRESS), "postNATSourceIPv6Address");
    assert_eq!(name(ids::INGRESS_VRFID), "ingressVRFID");
    assert_eq!(name(ids::VRF_NAME), "VRFname");
    assert_eq!(name(ids::DOT1Q_VLAN_ID), "dot1qVlanId");
    assert_eq!(name(ids::MESSAGE_MD5_CHECKSUM), "messageMD5Checksum");
    assert_eq!(name(ids::DNS_QUERY_NAME), "dnsQueryName");
    assert_eq!(name(ids::REVERSE_TCP_BUSY_MILLISECONDS), "reverseTcpBusyMilliseconds");
}

#[test]
fn shared_names_are_found_by_precedence() {
    let registry = Registry::builtin();
    let id = |name: &str| registry.by_name(name).map(|e| e.id);
    // IANA before Cisco, in any case; ours before others; the reverse of IANA's before a vendor's.
    assert_eq!(id("userName"), Some(ElementId::iana(371)));
    assert_eq!(id("USERNAME"), Some(ElementId::iana(371)));
    assert_eq!(id("dnsQueryName"), Some(ids::DNS_QUERY_NAME));
    assert_eq!(id("DnsQueryName"), Some(ElementId::new(26866, 204)), "exact first");
    assert_eq!(id("dnsqueryname"), Some(ids::DNS_QUERY_NAME));
    assert_eq!(id("reverseOctetDeltaCount"), Some(ElementId::new(29305, 1)));
    assert_eq!(id("Timestamp"), Some(ElementId::new(10704, 1)), "lowest enterprise");
    assert_eq!(
        id("ssl_server_name_raw"),
        Some(ElementId::new(26866, 2539)),
        "lowest id"
    );
    assert_eq!(id("ciscoFirewallEvent"), Some(ElementId::new(9, 7237)));
    assert_eq!(id(""), None);
    assert_eq!(id("zzz"), None);
    assert_eq!(id("octetDeltaCoun"), None);
}

#[test]
fn netflow9_field_types_lead_to_elements() {
    let of = ElementId::netflow9;
    assert_eq!(of(1), ElementId::iana(1));
    assert_eq!(of(45003), ElementId::new(9, 12235));
    assert_eq!(of(40005), ElementId::new(9, 7237));
    assert_eq!(of(57595), ElementId::new(35632, 123));
    assert_eq!(of(33616), ElementId::new(9, 848));
    assert_eq!(of(6662), ElementId::new(NETFLOW9_PEN, 6662));
    assert_eq!(of(56701), ElementId::new(NETFLOW9_PEN, 56701));
    assert_eq!(of(65535), ElementId::new(9, 32767));
}

/// The plain rule that both lookups must equal: walk the whole table.
fn scan_by_name(name: &str) -> Option<ElementId> {
    let rank = |id: ElementId| match id.pen {
        0 => 0,
        29305 => 1,
        FLOWGAUGE_PEN => 2,
        _ => 3,
    };
    let candidates: Vec<_> = Registry::builtin()
        .iter()
        .filter(|e| e.name.eq_ignore_ascii_case(name))
        .map(|e| (e.name != name, rank(e.id), e.id))
        .collect();
    candidates.into_iter().min().map(|(_, _, id)| id)
}

proptest! {
    #[test]
    fn lookup_by_number_equals_a_scan(
        pen in prop_oneof![
            Just(0u32), Just(9), Just(6871), Just(29305), Just(FLOWGAUGE_PEN), Just(NETFLOW9_PEN), any::<u32>()
        ],
        id in prop_oneof![0u16..600, any::<u16>()],
    ) {
        let id = ElementId::new(pen, id);
        let registry = Registry::builtin();
        prop_assert_eq!(registry.element(id), registry.iter().find(|e| e.id == id));
    }

    #[test]
    fn lookup_by_name_equals_a_scan(
        at in any::<prop::sample::Index>(),
        flips in any::<u64>(),
        cut in prop::option::weighted(0.2, 0usize..40),
    ) {
        let elements: Vec<_> = Registry::builtin().iter().collect();
        let name: String = at
            .get(&elements)
            .name
            .chars()
            .enumerate()
            .map(|(i, c)| if flips >> (i % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c })
            .take(cut.unwrap_or(usize::MAX))
            .collect();
        let found = Registry::builtin().by_name(&name).map(|e| e.id);
        prop_assert_eq!(found, scan_by_name(&name));
    }

    #[test]
    fn any_text_can_be_looked_up(name in ".*") {
        let found = Registry::builtin().by_name(&name).map(|e| e.id);
        prop_assert_eq!(found, scan_by_name(&name));
    }
}

#[test]
fn every_name_finds_an_element_of_that_name() {
    let registry = Registry::builtin();
    for element in registry.iter() {
        assert_eq!(registry.by_name(&element.name).unwrap().name, element.name);
        assert_eq!(registry.element(element.id), Some(element));
    }
}
