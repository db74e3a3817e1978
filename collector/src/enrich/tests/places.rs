//! Places and systems are those of the source of the databases.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

use super::super::geo::{Geo, GeoFile};
use super::super::networks::Prefix;
use super::databases;

fn geo(names: &[&str]) -> Option<Geo> {
    let folder = databases()?;
    let open = |name: &&str| Arc::new(GeoFile::open(&folder.join(name)).unwrap());
    Some(Geo::new(names.iter().map(open).collect()))
}

/// Networks of a source with what is said about them.
fn source(name: &str) -> Vec<(Prefix, Value)> {
    let text = std::fs::read(databases().unwrap().join(name)).unwrap();
    let source: Value = serde_json::from_slice(&text).unwrap();
    let entries = source
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|entry| entry.as_object().unwrap());
    // What the source says of tunnels (2002::/16) and of IPv4 in the mapped form is not in the tree under these addresses.
    entries
        .filter_map(|(prefix, value)| Some((prefix.parse::<Prefix>().ok()?, value.clone())))
        .collect()
}

fn holds(prefix: Prefix, address: IpAddr) -> Option<u8> {
    let (of, length) = prefix.parts();
    let (of, address, most) = match (of, address) {
        (IpAddr::V4(of), IpAddr::V4(address)) => (u128::from(of.to_bits()), u128::from(address.to_bits()), 32),
        (IpAddr::V6(of), IpAddr::V6(address)) => (of.to_bits(), address.to_bits(), 128),
        _ => return None,
    };
    let differ = (of ^ address).checked_shr(u32::from(most - length)).unwrap_or(0);
    (differ == 0).then_some(length)
}

/// What the source says about an address: the longest network's word.
fn said(source: &[(Prefix, Value)], address: IpAddr) -> &Value {
    let holding = source
        .iter()
        .filter_map(|(prefix, value)| Some((holds(*prefix, address)?, value)));
    holding
        .max_by_key(|(length, _)| *length)
        .map_or(&Value::Null, |(_, value)| value)
}

#[test]
fn cities_and_countries_are_those_of_the_source() {
    for (file, json) in [
        ("GeoLite2-City-Test.mmdb", "GeoLite2-City-Test.json"),
        ("GeoIP2-City-Test.mmdb", "GeoIP2-City-Test.json"),
    ] {
        let Some(geo) = geo(&[file]) else { return };
        let source = source(json);
        let (mut countries, mut cities, mut faults) = (0, 0, 0);
        for (prefix, _) in &source {
            let address = prefix.parts().0;
            let value = said(&source, address);
            let facts = geo.look_up(address, &mut faults);
            let code = ["country", "registered_country"]
                .iter()
                .find_map(|of| value[of]["iso_code"].as_str());
            let city = value["city"]["names"]["en"].as_str();
            assert_eq!(geo.text(facts.country), code.unwrap_or_default(), "{prefix}");
            assert_eq!(geo.text(facts.city), city.unwrap_or_default(), "{prefix}");
            countries += usize::from(code.is_some());
            cities += usize::from(city.is_some());
        }
        assert!(countries > 100 && cities >= 10, "{file}: {countries} {cities}");
        assert_eq!(faults, 0);
        let nobody = geo.look_up("192.0.2.1".parse().unwrap(), &mut faults);
        assert!(nobody.country.is_empty() && nobody.city.is_empty() && nobody.system == 0);
    }
}

#[test]
fn systems_are_those_of_the_source_and_have_the_name_of_their_number() {
    let Some(geo) = geo(&["GeoLite2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb"]) else {
        return;
    };
    let source = source("GeoLite2-ASN-Test.json");
    let mut names: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for (_, value) in &source {
        if let (Some(number), Some(name)) = (
            value["autonomous_system_number"].as_u64(),
            value["autonomous_system_organization"].as_str(),
        ) {
            names.entry(number).or_default().insert(name);
        }
    }
    let (mut systems, mut named, mut faults) = (0, 0, 0);
    for (prefix, _) in &source {
        let address = prefix.parts().0;
        let number = said(&source, address)["autonomous_system_number"].as_u64().unwrap_or(0);
        let facts = geo.look_up(address, &mut faults);
        assert_eq!(u64::from(facts.system), number, "{prefix}");
        systems += usize::from(number != 0);
        match names.get(&number) {
            Some(names) => {
                assert!(names.contains(geo.text(facts.system_name)), "{prefix}");
                named += 1;
            }
            None => assert!(facts.system_name.is_empty(), "{prefix}"),
        }
    }
    assert!(systems > 100 && named > 100, "{systems} {named}");
    assert_eq!(faults, 0);
    assert_eq!(geo.text(geo.system_name(1221)), "Telstra Pty Ltd");
    assert!(geo.system_name(4_200_000_000).is_empty());
}

#[test]
fn the_first_file_that_says_something_wins() {
    let Some(both) = geo(&[
        "GeoLite2-Country-Test.mmdb",
        "GeoIP2-City-Test.mmdb",
        "GeoIP2-ISP-Test.mmdb",
    ]) else {
        return;
    };
    let Some(alone) = geo(&["GeoIP2-City-Test.mmdb"]) else {
        return;
    };
    let address = "2.125.160.216".parse().unwrap();
    let (both_say, says) = (both.look_up(address, &mut 0), alone.look_up(address, &mut 0));
    assert_eq!(both.text(both_say.country), "GB");
    // Only the second of them knows cities.
    assert_eq!(both.text(both_say.city), alone.text(says.city));
    assert_eq!(both.text(both_say.city), "Boxford");
    let telstra = both.look_up("1.128.0.1".parse().unwrap(), &mut 0);
    assert_eq!(
        (telstra.system, both.text(telstra.system_name)),
        (1221, "Telstra Pty Ltd")
    );
}

#[test]
fn files_that_cannot_be_used_are_refused_with_what_is_wrong() {
    let Some(folder) = databases() else { return };
    let error = |name: &str| GeoFile::open(&folder.join(name)).unwrap_err();
    assert!(error("GeoLite2-ASN-Test.json").starts_with("is no sound MaxMind database"));
    assert!(error("GeoIP2-Anonymous-IP-Test.mmdb").contains("holds `GeoIP2-Anonymous-IP`"));
    assert!(error("absent.mmdb").starts_with("cannot be read"));
    for broken in [
        "GeoIP2-City-Test-Broken-Double-Format.mmdb",
        "GeoIP2-City-Test-Invalid-Node-Count.mmdb",
    ] {
        assert!(error(broken).starts_with("is no sound MaxMind database"), "{broken}");
    }
}

#[test]
fn damage_anywhere_is_found_or_does_no_harm() {
    let Some(folder) = databases() else { return };
    let sound = std::fs::read(folder.join("GeoLite2-ASN-Test.mmdb")).unwrap();
    let (mut refused, mut faults) = (0, 0);
    for at in (0..sound.len()).step_by(97) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0xff;
        let Ok(file) = GeoFile::of(damaged.into()) else {
            refused += 1;
            continue;
        };
        let geo = Geo::new(vec![Arc::new(file)]);
        for first in 0..=255u8 {
            let facts = geo.look_up([first, 128, 2, 3].into(), &mut faults);
            let _ = geo.text(facts.system_name).len();
        }
    }
    assert!(refused > 10, "{refused}");
    for length in [0, 1, sound.len() / 2, sound.len() - 1] {
        assert!(GeoFile::of(sound[..length].into()).is_err(), "{length}");
    }
}
