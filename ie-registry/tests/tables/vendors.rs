//! The vendors' elements against second sources: another tool's table of the same enterprise.
//!
//! A second source agrees when it reads the same octets the same way. Where it knows no octetArray or time types it
//! writes string, unsigned or boolean as unsigned8, which is no contradiction. Every real one is listed with why
//! our table keeps its own.

use std::collections::BTreeMap;

use flowgauge_ie_registry::{DataType, ElementId, NTOP_PEN, Registry};

use crate::sources::{blocks, registry_file, text_of};

/// Elements whose type differs in a second source.
const KNOWN: [(u32, u16, &str, &str); 15] = [
    (0, 89, "libfds", "an older registry; IANA's is the truth"),
    (6871, 14, "logstash", "an older YAF had one octet of flags"),
    (6871, 15, "logstash", "an older YAF had one octet of flags"),
    (6871, 185, "logstash", "CERT's own file says unsigned32"),
    (6871, 219, "logstash", "the target of an SRV record is a name"),
    (6871, 223, "logstash", "the number was given to mysqlUsername"),
    (6871, 245, "logstash", "CERT's own file says unsigned8"),
    (6871, 250, "logstash", "CERT's own file says unsigned16"),
    (6871, 288, "logstash", "reverseRtpPayloadType moved to 16671"),
    (6871, 508, "logstash", "CERT's own file says unsigned16"),
    (3054, 194, "logstash", "threatIpv6 is no IPv4 address"),
    (9, 12244, "tshark", "libfds and logstash agree on string"),
    (5951, 209, "tshark", "libfds and logstash agree on four octets"),
    (5951, 241, "tshark", "libfds and logstash agree on four octets"),
    (5951, 242, "tshark", "libfds and logstash agree on four octets"),
];
fn is_known(id: ElementId, source: &str) -> bool {
    KNOWN
        .iter()
        .any(|(pen, number, s, _)| (*pen, *number, *s) == (id.pen, id.id, source))
}

fn agree(ours: DataType, theirs: DataType) -> bool {
    ours == theirs
        || matches!(
            (ours, theirs),
            (DataType::OctetArray, DataType::String) | (DataType::Boolean, DataType::Unsigned8)
        )
        || (ours.max_length() == theirs.max_length()
            && (ours.is_time() && theirs.is_unsigned() || ours.is_unsigned() && theirs.is_time()))
}

/// One element of a second source: ours is there and agrees, unless it is known not to.
fn check(source: &str, id: ElementId, theirs: DataType, name: &str) {
    let element = Registry::builtin()
        .element(id)
        .unwrap_or_else(|| panic!("{source}: {id} {name} is missing"));
    assert_eq!(
        agree(element.data_type, theirs),
        !is_known(id, source),
        "{source}: {id} {name} {theirs}, ours {} {}",
        element.name,
        element.data_type
    );
}

#[test]
fn libfds_agrees() {
    let mut compared = BTreeMap::new();
    for (file, pen) in [
        ("iana", 0),
        ("cert", 6871),
        ("cisco", 9),
        ("netflowExtra", 9),
        ("vmware", 6876),
        ("netscaler", 5951),
    ] {
        let Some(xml) = registry_file(&format!("vendor/libfds/{file}.xml")) else {
            return;
        };
        for element in blocks(&xml, "element") {
            let id: u16 = text_of(element, "id").parse().unwrap();
            let name = text_of(element, "name");
            let data_type = DataType::from_name(&text_of(element, "dataType")).unwrap();
            let id = ElementId::new(pen, id);
            check("libfds", id, data_type, &name);
            let ours = Registry::builtin().element(id).unwrap();
            *compared.entry(pen).or_insert(0) += 1;
            // CERT renamed and gave away some numbers, IANA corrected spellings; the others must have the name.
            if !matches!(pen, 0 | 6871) {
                assert_eq!(ours.name, name, "{id}");
            }
        }
    }
    assert_eq!(
        compared,
        BTreeMap::from([(0, 460), (9, 111), (5951, 121), (6871, 241), (6876, 10)])
    );
}

/// `(enterprise, id, type, name)` of logstash's two-level file.
fn logstash() -> Option<Vec<(u32, u16, DataType, String)>> {
    let text = registry_file("vendor/logstash-ipfix-vendors.yaml")?;
    let (mut pen, mut id, mut values) = (0, 0, Vec::<&str>::new());
    let mut rows = Vec::new();
    for line in text.lines().chain(["0:"]) {
        if let Some(item) = line.trim_start().strip_prefix("- ") {
            values.push(item.trim_start_matches(':').trim());
            continue;
        }
        let Some(key) = line.strip_suffix(':') else { continue };
        if let [kind, name] = values[..] {
            let data_type = match kind {
                "uint8" => DataType::Unsigned8,
                "uint15" | "uint16" => DataType::Unsigned16,
                "uint32" => DataType::Unsigned32,
                "uint64" => DataType::Unsigned64,
                "int8" => DataType::Signed8,
                "int32" => DataType::Signed32,
                "string" => DataType::String,
                "octetarray" => DataType::OctetArray,
                "float" => DataType::Float32,
                "double" => DataType::Float64,
                "ip4_addr" => DataType::Ipv4Address,
                "ip6_addr" => DataType::Ipv6Address,
                "mac_addr" => DataType::MacAddress,
                other => panic!("logstash type {other}"),
            };
            rows.push((pen, id, data_type, name.to_owned()));
        }
        values.clear();
        match key.strip_prefix("  ") {
            Some(number) => id = number.parse().unwrap(),
            None => pen = key.parse().unwrap(),
        }
    }
    Some(rows)
}

#[test]
fn logstash_agrees() {
    let Some(rows) = logstash() else { return };
    let registry = Registry::builtin();
    let mut compared = 0;
    for (pen, id, data_type, name) in &rows {
        let id = ElementId::new(*pen, *id);
        // Not reversible (RFC 5103 section 6.1), but there.
        if *pen == 29305 && registry.element(id).is_none() {
            let forward = registry.element(ElementId::iana(id.id));
            assert!(forward.is_none_or(|e| !e.reversible), "{name}");
            continue;
        }
        // Reverse elements have the type, and the difference, of the forward one.
        let forward = Registry::forward_id(id).unwrap_or(id);
        if !is_known(forward, "logstash") {
            check("logstash", id, *data_type, name);
        }
        compared += 1;
    }
    assert_eq!(rows.len(), 1355);
    assert_eq!(compared, 1325);
}

/// CERT's reverse elements by our rule against a table that lists them.
#[test]
fn reverse_names_of_cert_agree_with_logstash() {
    let Some(rows) = logstash() else { return };
    let mut compared = 0;
    for (pen, id, _, name) in rows {
        if pen != 6871 || id & 0x4000 == 0 {
            continue;
        }
        let id = ElementId::new(pen, id);
        let element = Registry::builtin().element(id).unwrap();
        assert!(element.name.eq_ignore_ascii_case(&name), "{id} {name}");
        compared += 1;
    }
    assert_eq!(compared, 20);
}

#[test]
fn tshark_knows_no_element_that_we_lack() {
    let registry = Registry::builtin();
    let mut compared = 0;
    for (file, pen) in [
        ("barracuda-10704", 10704),
        ("cisco-9", 9),
        ("fastip-nonIANA", 33610),
        ("gigamon-26866", 26866),
        ("ixia-3054", 3054),
        ("netscaler-5951", 5951),
        ("niagara_networks-47729", 47729),
        ("ntop-35632", 35632),
        ("plixer-13745", 13745),
    ] {
        let Some(text) = registry_file(&format!("vendor/tshark/{file}.tsv")) else {
            return;
        };
        for line in text.lines() {
            let (id, name) = line.split_once('\t').unwrap();
            let id = ElementId::new(pen, id.parse().unwrap());
            assert!(registry.element(id).is_some(), "{id} {name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 818);
}

/// nProbe's manual against tshark's list: names, the size of each type, and both numbers of each element.
#[test]
fn nprobe_manual_agrees_with_tshark() {
    let (Some(manual), Some(tsv)) = (
        registry_file("vendor/ntop-35632-nprobe.rst"),
        registry_file("vendor/tshark/ntop-35632.tsv"),
    ) else {
        return;
    };
    let tshark: BTreeMap<u16, &str> = tsv
        .lines()
        .filter_map(|l| l.split_once('\t'))
        .map(|(id, name)| (id.parse().unwrap(), name))
        .collect();
    // tshark has a slip of the pen: SRC_TO_SRC.
    let renamed = [85, 86, 87];
    let (mut compared, mut both) = (0, 0);
    for line in manual.lines() {
        let Some(rest) = line.trim_start().strip_prefix("[NFv9 ") else {
            continue;
        };
        let (netflow9, rest) = rest.split_once("][IPFIX 35632.").unwrap();
        let (id, rest) = rest.split_once("][Len ").unwrap();
        let (length, rest) = rest.split_once("] %").unwrap();
        let name = rest.split_whitespace().next().unwrap();
        let id: u16 = id.parse().unwrap();
        let element_id = ElementId::new(NTOP_PEN, id);
        assert_eq!(ElementId::netflow9(netflow9.parse().unwrap()), element_id);
        let element = Registry::builtin().element(element_id).unwrap();
        assert_eq!(element.name, name);
        let length: u16 = length.trim_end_matches(" varlen").parse().unwrap();
        assert!(
            element.data_type.allows_length(length),
            "{name}: {} in {length} octets",
            element.data_type
        );
        if let Some(theirs) = tshark.get(&id) {
            assert_eq!(*theirs != name, renamed.contains(&id), "{name} {theirs}");
            both += 1;
        }
        compared += 1;
    }
    assert_eq!((compared, both), (95, 79));
}

/// UniRec's mapping file names elements of CESNET and Flowmon; every name must be one of ours.
#[test]
fn unirec_names_are_known() {
    let Some(text) = registry_file("vendor/unirec-elements.txt") else {
        return;
    };
    let registry = Registry::builtin();
    let mut missing = Vec::new();
    let mut known = 0;
    for word in text
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split_whitespace().nth(2))
        .flat_map(|w| w.split(','))
    {
        let Some((scheme, name)) = word.split_once(':') else {
            continue;
        };
        let pen = match scheme {
            "cesnet" => 8057,
            "flowmon" => 39499,
            "iana" => 0,
            "cert" => 6871,
            _ => continue,
        };
        let found = registry
            .iter()
            .any(|e| e.id.pen == pen && e.name.eq_ignore_ascii_case(name));
        if found {
            known += 1;
        } else {
            missing.push(word);
        }
    }
    assert_eq!(missing, Vec::<&str>::new());
    assert!(known > 100, "{known}");
}
