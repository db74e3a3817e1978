//! Countries, cities and autonomous systems of addresses, from databases in MaxMind's format.
//!
//! Texts are not copied: what is found is a place in the file as it lies in memory, so that it can be kept beside an address
//! for a few octets.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use maxminddb::{Reader, WithinOptions};
use serde::Deserialize;

use crate::limits::{GEO_FILE_OCTETS, GEO_SYSTEMS};

/// A text in one of the files; empty for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextAt {
    start: u32,
    length: u16,
    file: u8,
}

impl TextAt {
    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.length == 0
    }
}

/// What databases say about an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeoFacts {
    /// Code of its country, or of that where it is registered.
    pub country: TextAt,
    /// City, in English.
    pub city: TextAt,
    /// Number of the autonomous system that announces it; 0 for none.
    pub system: u32,
    /// Who runs that.
    pub system_name: TextAt,
}

/// What is read of a record. Databases of all kinds say the same things at the same places.
#[derive(Default, Deserialize)]
struct Found<'a> {
    #[serde(borrow, default)]
    country: Option<Country<'a>>,
    #[serde(borrow, default)]
    registered_country: Option<Country<'a>>,
    #[serde(borrow, default)]
    city: Option<City<'a>>,
    #[serde(default)]
    autonomous_system_number: Option<u32>,
    #[serde(borrow, default)]
    autonomous_system_organization: Option<&'a str>,
    #[serde(borrow, default)]
    traits: Option<Traits<'a>>,
}

#[derive(Deserialize)]
struct Country<'a> {
    #[serde(borrow, default)]
    iso_code: Option<&'a str>,
}

#[derive(Deserialize)]
struct City<'a> {
    #[serde(borrow, default)]
    names: Option<Names<'a>>,
}

#[derive(Deserialize)]
struct Names<'a> {
    #[serde(borrow, default)]
    en: Option<&'a str>,
}

/// Where databases of enterprises have their systems.
#[derive(Deserialize)]
struct Traits<'a> {
    #[serde(default)]
    autonomous_system_number: Option<u32>,
    #[serde(borrow, default)]
    autonomous_system_organization: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn country(&self) -> Option<&'a str> {
        let code = |country: &Option<Country<'a>>| country.as_ref()?.iso_code;
        code(&self.country).or_else(|| code(&self.registered_country))
    }

    fn city(&self) -> Option<&'a str> {
        self.city.as_ref()?.names.as_ref()?.en
    }

    fn system(&self) -> Option<u32> {
        let inner = || self.traits.as_ref()?.autonomous_system_number;
        self.autonomous_system_number
            .or_else(inner)
            .filter(|number| *number != 0)
    }

    fn organisation(&self) -> Option<&'a str> {
        let inner = || self.traits.as_ref()?.autonomous_system_organization;
        self.autonomous_system_organization.or_else(inner)
    }
}

/// One database.
pub struct GeoFile {
    reader: Reader<Arc<[u8]>>,
    octets: Arc<[u8]>,
    /// Where the name of each autonomous system stands.
    systems: HashMap<u32, TextAt>,
    has_systems: bool,
    has_places: bool,
}

impl fmt::Debug for GeoFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GeoFile").field(&self.kind()).finish()
    }
}

impl GeoFile {
    /// Reads a file and checks all of it, since what is wrong deep in it would else show only with some addresses.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> Result<GeoFile, String> {
        let octets = std::fs::metadata(path)
            .and_then(|data| match data.len() > GEO_FILE_OCTETS {
                true => Err(std::io::Error::other(format!("more than {GEO_FILE_OCTETS} octets"))),
                false => std::fs::read(path),
            })
            .map_err(|error| format!("cannot be read: {error}"))?;
        GeoFile::of(octets.into())
    }

    /// As [`GeoFile::open`], of octets.
    ///
    /// # Errors
    /// As there.
    pub fn of(octets: Arc<[u8]>) -> Result<GeoFile, String> {
        let no_database = |error| format!("is no sound MaxMind database: {error}");
        let reader = Reader::from_source(Arc::clone(&octets)).map_err(no_database)?;
        let kind = reader.metadata().database_type.clone();
        let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
        let has_places = has(&["Country", "City", "Enterprise"]);
        let has_systems = has(&["ASN", "ISP", "Enterprise"]);
        if !has_places && !has_systems {
            return Err(format!(
                "holds `{kind}`; a database of countries, cities or autonomous systems is wanted"
            ));
        }
        reader.verify().map_err(no_database)?;
        let mut file = GeoFile {
            reader,
            octets,
            systems: HashMap::new(),
            has_systems,
            has_places,
        };
        if has_systems {
            file.systems = file.name_systems()?;
        }
        Ok(file)
    }

    /// What it holds, in its maker's words.
    pub fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// The first name of each system.
    fn name_systems(&self) -> Result<HashMap<u32, TextAt>, String> {
        let mut systems = HashMap::new();
        let unreadable = |error| format!("cannot be looked through: {error}");
        for network in self.reader.networks(WithinOptions::default()).map_err(unreadable)? {
            let found = network.and_then(|network| network.decode::<Found<'_>>());
            let found = found.map_err(unreadable)?.unwrap_or_default();
            if let (Some(number), Some(name)) = (found.system(), found.organisation())
                && systems.len() < GEO_SYSTEMS
            {
                systems.entry(number).or_insert_with(|| self.place(0, name));
            }
        }
        Ok(systems)
    }

    /// Where a text that was borrowed from the file stands in it.
    fn place(&self, file: u8, text: &str) -> TextAt {
        let start = (text.as_ptr() as usize).wrapping_sub(self.octets.as_ptr() as usize);
        let place = TextAt {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            length: u16::try_from(text.len()).unwrap_or(0),
            file,
        };
        // A text that lies elsewhere would be none of this file's: never met.
        match self.octets.get(start..start.saturating_add(text.len())) {
            Some(octets) if octets == text.as_bytes() => place,
            _ => TextAt::default(),
        }
    }

    fn look_up(&self, file: u8, address: IpAddr, facts: &mut GeoFacts) -> Result<(), ()> {
        if address.is_ipv6() && self.reader.metadata().ip_version == 4 {
            return Ok(());
        }
        let found = self.reader.lookup(address).map_err(drop)?;
        let Some(found) = found.decode::<Found<'_>>().map_err(drop)? else {
            return Ok(());
        };
        if self.has_places {
            for (place, text) in [(&mut facts.country, found.country()), (&mut facts.city, found.city())] {
                if let Some(text) = text.filter(|_| place.is_empty()) {
                    *place = self.place(file, text);
                }
            }
        }
        if let (true, 0, Some(number)) = (self.has_systems, facts.system, found.system()) {
            facts.system = number;
        }
        Ok(())
    }
}

/// Databases in the order in which they were given: the first that says something wins.
#[derive(Clone, Debug, Default)]
pub struct Geo {
    files: Vec<Arc<GeoFile>>,
}

impl Geo {
    /// Of files.
    pub fn new(files: Vec<Arc<GeoFile>>) -> Geo {
        Geo { files }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What is known about an address; `faults` counts records that could not be read.
    pub fn look_up(&self, address: IpAddr, faults: &mut u64) -> GeoFacts {
        let mut facts = GeoFacts::default();
        for (number, file) in (0u8..).zip(&self.files) {
            *faults += u64::from(file.look_up(number, address, &mut facts).is_err());
        }
        facts.system_name = self.system_name(facts.system);
        facts
    }

    /// Who runs an autonomous system.
    pub fn system_name(&self, number: u32) -> TextAt {
        if number == 0 {
            return TextAt::default();
        }
        let mut files = (0u8..).zip(&self.files);
        let found = files.find_map(|(file, of)| of.systems.get(&number).map(|place| TextAt { file, ..*place }));
        found.unwrap_or_default()
    }

    /// The text at a place; empty for none.
    pub fn text(&self, place: TextAt) -> &str {
        let (start, length) = (place.start as usize, usize::from(place.length));
        let file = self.files.get(usize::from(place.file));
        file.and_then(|file| file.octets.get(start..start + length))
            .and_then(|octets| std::str::from_utf8(octets).ok())
            .unwrap_or_default()
    }
}
