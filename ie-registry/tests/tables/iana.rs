//! IANA's elements against the registry's own XML.

use std::collections::BTreeMap;

use flowgauge_ie_registry::{DataType, ElementId, Registry, Semantics, Status, Units, iana_date};

use crate::sources::{blocks, registry_file, text_of};

/// Rows of the registry of 2026-07-22 that name an element with a type. The registry has 509 rows; of the other
/// seven, one is reserved (0), three keep numbers for NetFlow v9 (65-69, 97, 105-127), two are withdrawn without
/// a name (416, 419) and one is the unassigned rest.
const ASSIGNED: usize = 502;

fn builtin_iana() -> BTreeMap<u16, &'static flowgauge_ie_registry::Element> {
    Registry::builtin()
        .iter()
        .filter(|e| e.id.pen == 0)
        .map(|e| (e.id.id, e))
        .collect()
}

#[test]
fn the_table_holds_every_assigned_element() {
    assert_eq!(builtin_iana().len(), ASSIGNED);
    let table = include_str!("../../data/iana-ipfix.csv");
    let rows = table.lines().filter(|l| l.starts_with("0,")).collect::<Vec<_>>();
    assert_eq!(rows.len(), 509);
    assert!(table.contains(&format!("# date: {}", iana_date())));
}

#[test]
fn numbers_without_a_definition_are_unknown() {
    let registry = Registry::builtin();
    for id in [0, 65, 69, 97, 105, 127, 416, 419, 534, 32767, 32768, 65535] {
        assert_eq!(registry.element(ElementId::iana(id)), None, "{id}");
    }
    assert_eq!(registry.by_name("Reserved"), None);
    assert_eq!(registry.by_name("Unassigned"), None);
}

#[test]
fn every_element_equals_the_registry() {
    let Some(xml) = registry_file("iana/ipfix.xml") else {
        return;
    };
    let dates = blocks(&xml, "updated");
    assert_eq!(dates.first().copied(), Some(iana_date()));
    let ours = builtin_iana();
    let (mut assigned, mut rows) = (0, 0);
    for record in blocks(&xml, "record") {
        let number = text_of(record, "elementId");
        if number.is_empty() {
            continue;
        }
        rows += 1;
        let data_type = text_of(record, "dataType");
        if data_type.is_empty() {
            if let Ok(id) = number.parse() {
                assert!(!ours.contains_key(&id), "{id} has no type in the registry");
            }
            continue;
        }
        assigned += 1;
        let id: u16 = number.parse().unwrap();
        let element = ours.get(&id).unwrap_or_else(|| panic!("{id} is missing"));
        assert_eq!(element.name, text_of(record, "name"), "{id}");
        assert_eq!(Some(element.data_type), DataType::from_name(&data_type), "{id}");
        let or = |text: String, default: &str| {
            if text.is_empty() { default.to_owned() } else { text }
        };
        let semantics = or(text_of(record, "dataTypeSemantics"), "default");
        assert_eq!(Some(element.semantics), Semantics::from_name(&semantics), "{id}");
        let units = or(text_of(record, "units"), "none");
        assert_eq!(Some(element.units), Units::from_name(&units), "{id}");
        let status = text_of(record, "status");
        assert_eq!(Some(element.status), Status::from_name(&status), "{id}");
        let range = text_of(record, "range");
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
            None => text.parse().unwrap(),
        };
        let range = range.split_once('-').map(|(a, b)| (number(a), number(b)));
        assert_eq!(element.range, range, "{id}");
    }
    assert_eq!((rows, assigned), (509, ASSIGNED));
}

/// The numbers of RFC 5610's registries are the codes of our enums.
#[test]
fn codes_of_types_semantics_and_units_equal_the_registry() {
    let Some(xml) = registry_file("iana/ipfix.xml") else {
        return;
    };
    let entries = |id: &str| -> Vec<(u16, String)> {
        let start = xml.find(&format!("<registry id=\"{id}\"")).unwrap();
        let end = start + xml[start..].find("</registry>").unwrap();
        blocks(&xml[start..end], "record")
            .iter()
            .filter_map(|r| Some((text_of(r, "value").parse().ok()?, text_of(r, "description"))))
            .collect()
    };
    let types: Vec<_> = DataType::ALL
        .iter()
        .map(|t| (u16::from(t.code()), t.name().to_owned()))
        .collect();
    assert_eq!(types, entries("ipfix-information-element-data-types"));
    let semantics: Vec<_> = Semantics::ALL
        .iter()
        .map(|s| (u16::from(s.code()), s.name().to_owned()))
        .collect();
    assert_eq!(semantics, entries("ipfix-information-element-semantics"));
    let units: Vec<_> = Units::ALL.iter().map(|u| (u.code(), u.name().to_owned())).collect();
    assert_eq!(units, entries("ipfix-information-element-units"));
}
