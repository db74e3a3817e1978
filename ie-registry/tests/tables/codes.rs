//! Code lists: sound in themselves, and equal to a second source where one exists.

use std::collections::BTreeMap;

use flowgauge_ie_registry::{ElementId, Registry, Semantics, code_list, code_lists, ids};

use crate::sources::registry_file;

#[test]
fn lists_are_sorted_without_repeats_and_named() {
    let mut count = 0;
    for list in code_lists() {
        count += 1;
        assert!(!list.entries.is_empty(), "{}", list.name);
        assert!(list.entries.windows(2).all(|w| w[0].0 < w[1].0), "{}", list.name);
        for &(code, label) in list.entries {
            assert_eq!(list.label(code), Some(label), "{}", list.name);
            assert!(!label.trim().is_empty() && label == label.trim());
            let found = list.code(&label.to_uppercase()).unwrap();
            assert!(found <= code, "{} {label}", list.name);
        }
        assert_eq!(list.label(u64::MAX), None);
        assert_eq!(code_list(list.name), Some(list));
    }
    assert_eq!(count, 55);
    assert_eq!(code_list("nonsense"), None);
}

#[test]
fn elements_name_their_values() {
    let registry = Registry::builtin();
    let label = |id: ElementId, code: u64| registry.element(id)?.codes?.label(code);
    assert_eq!(label(ids::PROTOCOL_IDENTIFIER, 6), Some("TCP"));
    assert_eq!(label(ids::PROTOCOL_IDENTIFIER, 58), Some("IPv6-ICMP"));
    assert_eq!(label(ids::FLOW_END_REASON, 2), Some("active timeout"));
    assert_eq!(label(ids::FORWARDING_STATUS, 0x81), Some("Dropped: ACL deny"));
    assert_eq!(label(ids::DNS_RESPONSE_CODE, 3), Some("NXDOMAIN"));
    assert_eq!(label(ids::DNS_QUERY_TYPE, 28), Some("AAAA"));
    assert_eq!(label(ids::TLS_VERSION, 0x304), Some("TLS 1.3"));
    assert_eq!(label(ids::ETHERNET_TYPE, 0x86dd), Some("IPv6"));
    assert_eq!(label(ElementId::new(29305, 61), 1), Some("egress"));
    let protocol = code_list("protocol").unwrap();
    assert_eq!(protocol.code("udp"), Some(17));
    assert_eq!(protocol.code("no such protocol"), None);
}

/// For flags a code is a mask, for everything else it fits the element.
#[test]
fn codes_fit_their_elements() {
    for element in Registry::builtin().iter() {
        let Some(list) = element.codes else { continue };
        assert!(element.data_type.is_unsigned(), "{}", element.name);
        let octets = u32::from(element.data_type.max_length().unwrap());
        let highest = if octets >= 8 { u64::MAX } else { (1 << (8 * octets)) - 1 };
        for (code, label) in list.entries {
            assert!(*code <= highest, "{} {label}", element.name);
            if element.semantics == Semantics::Flags {
                assert!(code.is_power_of_two(), "{} {label}", element.name);
            }
        }
    }
}

/// tshark made its tables by hand from the same registries.
#[test]
fn lists_agree_with_tshark() {
    let plain = |label: &str| -> String {
        label
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase()
    };
    // Ours, tshark's file, what is added to a code there, codes that differ and why.
    type Known = &'static [(u64, &'static str)];
    let pairs: [(&str, &str, u64, Known); 6] = [
        ("flow-end-reason", "_flow_end_reason", 0, &[]),
        (
            "firewall-event",
            "_firewall_event",
            0,
            &[(0, "IANA says Ignore (invalid), tshark Default (ignore)")],
        ),
        ("nat-event", "_nat_event", 0, &[]),
        ("selector-algorithm", "_selector_algorithm", 0, &[]),
        ("classification-engine", "_appl_id.classification_engine_id", 0, &[]),
        (
            "forwarding-status",
            "_forwarding_status_drop_code",
            0x80,
            &[(0x85, "tshark writes & for and")],
        ),
    ];
    for (name, file, offset, known) in pairs {
        let Some(text) = registry_file(&format!("vendor/tshark/{file}.tsv")) else {
            return;
        };
        let theirs: BTreeMap<u64, &str> = text
            .lines()
            .filter_map(|l| l.split_once('\t'))
            .map(|(code, label)| (code.parse::<u64>().unwrap() + offset, label))
            .collect();
        let list = code_list(name).unwrap();
        let mut same = 0;
        for (code, label) in theirs {
            // We leave out codes that the registry reserves.
            let Some(ours) = list.label(code) else {
                assert!(matches!(label, "Reserved" | "Unknown"), "{name} {code} {label}");
                continue;
            };
            let (ours, theirs) = (plain(ours), plain(label));
            let differs = ours.replacen("dropped", "drop", 1) != theirs.replacen("dropped", "drop", 1);
            assert_eq!(
                differs,
                known.iter().any(|(k, _)| *k == code),
                "{name} {code}: {ours} {theirs}"
            );
            same += usize::from(!differs);
        }
        assert!(same >= 4, "{name}: only {same} codes compared");
    }
}
