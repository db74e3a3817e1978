//! Which elements have a reverse counterpart, against the words of RFC 5103 section 6.1 and the registry's groups.

use flowgauge_ie_registry::{CERT_PEN, ElementId, FLOWGAUGE_PEN, REVERSE_BIT, REVERSE_PEN, Registry, ids};

use crate::sources::{blocks, registry_file, shared_file, text_of};

#[test]
fn reverse_elements_are_named_and_typed_like_the_forward_one() {
    let registry = Registry::builtin();
    let mut pairs = 0;
    for element in registry.iter().filter(|e| e.reversible) {
        let reverse = registry.reverse_of(element).unwrap();
        let mut letters = element.name.chars();
        let first = letters.next().unwrap().to_ascii_uppercase();
        assert_eq!(reverse.name, format!("reverse{first}{}", letters.as_str()));
        assert_eq!(reverse.data_type, element.data_type);
        assert_eq!(reverse.semantics, element.semantics);
        assert_eq!(reverse.units, element.units);
        assert_eq!(reverse.codes, element.codes);
        assert!(!reverse.reversible);
        assert_eq!(Registry::forward_id(reverse.id), Some(element.id));
        assert_eq!(Registry::reverse_id(reverse.id), None);
        pairs += 1;
    }
    let under = |pen: u32| registry.iter().filter(|e| e.id.pen == pen).count();
    let with_bit = |pen: u32| {
        registry
            .iter()
            .filter(|e| e.id.pen == pen && e.id.id & REVERSE_BIT != 0)
            .count()
    };
    assert_eq!(pairs, under(REVERSE_PEN) + with_bit(CERT_PEN) + with_bit(FLOWGAUGE_PEN));
}

#[test]
fn examples_have_the_numbers_that_exporters_use() {
    let registry = Registry::builtin();
    let reverse = |id| Registry::reverse_id(id);
    assert_eq!(reverse(ids::PACKET_DELTA_COUNT), Some(ElementId::new(REVERSE_PEN, 2)));
    assert_eq!(ids::REVERSE_PACKET_DELTA_COUNT, ElementId::new(REVERSE_PEN, 2));
    assert_eq!(
        reverse(ElementId::new(CERT_PEN, 14)),
        Some(ElementId::new(CERT_PEN, 0x4000 | 14))
    );
    assert_eq!(
        reverse(ids::TCP_RETRANSMITTED_PACKET_DELTA_COUNT),
        Some(ElementId::new(FLOWGAUGE_PEN, 0x4000 | 80))
    );
    assert_eq!(reverse(ids::PADDING_OCTETS), None);
    assert_eq!(reverse(ElementId::new(9, 12235)), None);
    assert_eq!(reverse(ElementId::iana(65)), None);
    assert_eq!(registry.element(ElementId::new(REVERSE_PEN, 148)), None);
    assert_eq!(Registry::forward_id(ElementId::new(REVERSE_PEN, 148)), None);
}

/// Item 1, 4 and 5 of the list name elements; items 2 and 3 name sections of RFC 5102, which IANA's registry keeps
/// as the groups `config` and `processCounter`.
#[test]
fn non_reversible_elements_are_those_of_the_rfc() {
    let (Some(rfc), Some(xml)) = (shared_file("rfc/rfc5103.txt"), registry_file("iana/ipfix.xml")) else {
        return;
    };
    let start = rfc
        .find("The following specific Information Elements are not reversible")
        .unwrap();
    let end = start + rfc[start..].find("Any future addition").unwrap();
    let list = &rfc[start..end];
    let words: Vec<&str> = list.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let registry = Registry::builtin();
    let mut named = 0;
    for record in blocks(&xml, "record") {
        let name = text_of(record, "name");
        let Some(element) = registry.by_name(&name).filter(|e| e.id.pen == 0) else {
            continue;
        };
        let group = text_of(record, "group");
        let by_name = words.contains(&element.name.as_ref());
        let by_group = matches!(group.as_str(), "config" | "processCounter");
        if by_name || by_group {
            named += 1;
            assert!(!element.reversible, "{name}");
        }
        // "Information Elements commonly used as Flow Keys ... are reversible", counters and times all the more.
        if matches!(
            group.as_str(),
            "ipHeader" | "transportHeader" | "subIpHeader" | "flowCounter" | "timestamp" | "minMax"
        ) {
            let process = group == "timestamp" && element.id.id >= 258;
            assert!(element.reversible || process, "{name} in {group}");
        }
    }
    assert_eq!(named, 6 + 10 + 9);
    // What the RFC leaves to judgement ("any future addition ... that meets the criteria") is listed with a reason.
    let rules = include_str!("../../data/rules/not-reversible.csv");
    let not = registry.iter().filter(|e| e.id.pen == 0 && !e.reversible).count();
    let listed = rules
        .lines()
        .filter(|l| l.starts_with(|c: char| c.is_ascii_digit()))
        .count();
    assert_eq!(not, listed);
    assert_eq!(rules.lines().filter(|l| l.contains("later:")).count(), listed - named);
}
