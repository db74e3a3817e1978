//! Countries and autonomous systems of addresses, from databases in MaxMind's format.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use maxminddb::{PathElement, Reader};

/// Longest code of a country that is taken from a database, octets.
const CODE_OCTETS: usize = 8;

/// Up to one database of each kind.
#[derive(Default)]
pub struct Geo {
    countries: Option<Reader<Vec<u8>>>,
    systems: Option<Reader<Vec<u8>>>,
}

impl fmt::Debug for Geo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |reader: &Option<Reader<Vec<u8>>>| reader.as_ref().map(|one| one.metadata().database_type.clone());
        f.debug_struct("Geo")
            .field("countries", &kind(&self.countries))
            .field("systems", &kind(&self.systems))
            .finish()
    }
}

impl Geo {
    /// Reads files; what each is for follows from the type that it states.
    ///
    /// # Errors
    /// One line: the file, and what is wrong with it.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Geo, String> {
        let mut geo = Geo::default();
        for path in paths {
            let path = path.as_ref();
            let wrong = |what: &str| format!("{}: {what}", path.display());
            let reader = Reader::open_readfile(path)
                .map_err(|error| wrong(&format!("cannot be read as a MaxMind database: {error}")))?;
            let kind = reader.metadata().database_type.clone();
            let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
            let place = if has(&["ASN", "ISP"]) {
                &mut geo.systems
            } else if has(&["Country", "City", "Enterprise"]) {
                &mut geo.countries
            } else {
                return Err(wrong(&format!(
                    "holds `{kind}`; a database of countries, cities or autonomous systems is wanted"
                )));
            };
            if place.replace(reader).is_some() {
                return Err(wrong(&format!(
                    "holds `{kind}`, as one before it does; give one of each kind"
                )));
            }
        }
        Ok(geo)
    }

    /// Code of the country where an address is, or else of the one where it is registered.
    pub fn country(&self, address: IpAddr) -> Option<&str> {
        let found = self.countries.as_ref()?.lookup(address).ok()?;
        let code = |of: &str| {
            let path = [PathElement::Key(of), PathElement::Key("iso_code")];
            found.decode_path::<&str>(&path).ok().flatten()
        };
        let code = code("country").or_else(|| code("registered_country"))?;
        (!code.is_empty() && code.len() <= CODE_OCTETS).then_some(code)
    }

    /// Number of the autonomous system that announces an address.
    pub fn system(&self, address: IpAddr) -> Option<u32> {
        let found = self.systems.as_ref()?.lookup(address).ok()?;
        let path = [PathElement::Key("autonomous_system_number")];
        found.decode_path(&path).ok().flatten()
    }
}

/// How a system is written.
pub(super) fn system_text(number: u32) -> String {
    format!("AS{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test databases of MaxMind, where they are.
    fn folder() -> Option<std::path::PathBuf> {
        let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
            Into::into,
        );
        let folder = shared.join("registry/geo");
        if !folder.is_dir() {
            println!(
                "skipped: no databases at {}: countries are not looked up",
                folder.display()
            );
            return None;
        }
        Some(folder)
    }

    #[test]
    fn addresses_have_the_countries_and_systems_of_the_source_of_the_databases() {
        let Some(folder) = folder() else { return };
        let geo = Geo::open(&[
            folder.join("GeoLite2-City-Test.mmdb"),
            folder.join("GeoLite2-ASN-Test.mmdb"),
        ])
        .unwrap();
        let read = |name: &str| -> serde_json::Value {
            serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
        };
        let (mut countries, mut systems) = (0, 0);
        for (name, is_city) in [("GeoLite2-City-Test.json", true), ("GeoLite2-ASN-Test.json", false)] {
            let source = read(name);
            let networks: Vec<(&String, &serde_json::Value)> = source
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|one| one.as_object().unwrap())
                .collect();
            for (network, value) in &networks {
                let address: IpAddr = network.split('/').next().unwrap().parse().unwrap();
                // A longer network within this one may hold its first address.
                let holders = networks
                    .iter()
                    .filter(|(other, _)| other.split('/').next() == network.split('/').next());
                if holders.count() > 1 {
                    continue;
                }
                if is_city {
                    let code = ["country", "registered_country"]
                        .iter()
                        .find_map(|of| value[of]["iso_code"].as_str());
                    assert_eq!(geo.country(address), code, "{network}");
                    countries += usize::from(code.is_some());
                } else {
                    let number = value["autonomous_system_number"].as_u64();
                    assert_eq!(geo.system(address).map(u64::from), number, "{network}");
                    systems += usize::from(number.is_some());
                }
            }
        }
        assert!(countries > 50 && systems > 50, "{countries} {systems}");
        assert_eq!(geo.country("192.0.2.1".parse().unwrap()), None);
        assert_eq!(system_text(64496), "AS64496");
    }

    #[test]
    fn files_that_are_none_are_named() {
        let Some(folder) = folder() else { return };
        let error = |name: &str| Geo::open(&[folder.join(name)]).unwrap_err();
        assert!(
            error("GeoLite2-ASN-Test.json").contains("GeoLite2-ASN-Test.json: cannot be read as a MaxMind database")
        );
        assert!(error("GeoIP2-Anonymous-IP-Test.mmdb").contains("holds `GeoIP2-Anonymous-IP`"));
        assert!(error("absent.mmdb").contains("absent.mmdb: cannot be read"));
        let twice = [
            folder.join("GeoLite2-City-Test.mmdb"),
            folder.join("GeoLite2-Country-Test.mmdb"),
        ];
        assert!(Geo::open(&twice).unwrap_err().contains("give one of each kind"));
    }

    #[test]
    fn broken_databases_answer_nothing_and_do_no_harm() {
        let Some(folder) = folder() else { return };
        for name in [
            "GeoIP2-City-Test-Broken-Double-Format.mmdb",
            "GeoIP2-City-Test-Invalid-Node-Count.mmdb",
        ] {
            let Ok(geo) = Geo::open(&[folder.join(name)]) else {
                continue;
            };
            for first in 0..=255u8 {
                for address in [
                    IpAddr::from([first, 1, 2, 3]),
                    IpAddr::from([0x2000 + u16::from(first), 1, 2, 3, 4, 5, 6, 7]),
                ] {
                    let code = geo.country(address);
                    assert!(code.is_none_or(|code| code.len() <= CODE_OCTETS));
                }
            }
        }
    }
}
