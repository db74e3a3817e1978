//! What an exporter told about itself in options records: rates, and names of what its records only number.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use super::columns::id;
use super::row::{CellRef, Row};
use super::sampling::{Found, Rate, Rates};

/// What the names of exporters' labels begin with.
pub const LABEL: &str = "label.";

/// Names by number or by octets; no map is made before there is one.
#[derive(Debug)]
pub struct Names<K>(Option<HashMap<K, Arc<str>>>);

impl<K> Default for Names<K> {
    fn default() -> Self {
        Names(None)
    }
}

impl<K: Eq + std::hash::Hash> Names<K> {
    /// Gives `key` its name. False when `room` is asked for and there is none.
    pub fn set(&mut self, key: K, name: &str, room: bool) -> bool {
        let names = self.0.get_or_insert_with(HashMap::new);
        match names.get_mut(&key) {
            Some(known) if **known == *name => {}
            Some(known) => *known = name.into(),
            None if !room => return false,
            None => drop(names.insert(key, name.into())),
        }
        true
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, HashMap::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every name, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<str>)> {
        self.0.iter().flatten()
    }

    /// The name of `key`.
    pub fn get<Q>(&self, key: &Q) -> Option<&Arc<str>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + std::hash::Hash + ?Sized,
    {
        self.0.as_ref()?.get(key)
    }
}

/// What one Observation Domain of an exporter told.
#[derive(Debug, Default)]
pub struct DomainFacts {
    /// What the exporter is called, or its domain.
    pub name: Option<Arc<str>>,
    /// Sampling.
    pub rates: Rates,
    /// Interfaces by index.
    pub interfaces: Names<u64>,
    /// Applications by applicationId (RFC 6759).
    pub applications: Names<Box<[u8]>>,
    /// VRFs by number.
    pub vrfs: Names<u64>,
    /// Selectors that follow each other, by Selection Sequence (RFC 5476 section 6.5.1).
    pub sequences: Option<HashMap<u64, Box<[u64]>>>,
    /// When the exporter started, nanoseconds: what its times in milliseconds since then count from.
    pub started_ns: Option<i64>,
    /// Counters that the exporter tells about itself, by name: the last word of each.
    pub statistics: Vec<(Arc<str>, u64)>,
    /// When it told the last of them, nanoseconds.
    pub statistics_ns: i64,
}

/// Counters that an exporter told about itself, and when (nanoseconds).
pub type Statistics<'s> = (i64, &'s [(Arc<str>, u64)]);

/// What the user says about an exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExporterFacts {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Labels: the names they are kept under, and their values.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
    /// The rate of all its records, whatever they say.
    pub rate: Option<Rate>,
    /// The Observation Domain of all its records, whatever they say.
    pub domain: Option<u32>,
}

impl ExporterFacts {
    /// Puts name and labels into a row.
    pub fn put(&self, row: &mut Row) {
        if let Some(name) = &self.name {
            row.set_text(id::EXPORTER_NAME, name);
        }
        for (name, value) in &self.labels {
            row.add_other(name, CellRef::Text(value));
        }
    }
}

impl DomainFacts {
    /// Names held.
    pub fn names(&self) -> usize {
        self.interfaces.len() + self.applications.len() + self.vrfs.len()
    }
}

/// What is known about the exporter of a record: its own domain's word first, then that of domain 0, which is about the
/// whole exporter (RFC 7011 section 3.1).
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'f> {
    /// The record's domain.
    pub own: Option<&'f DomainFacts>,
    /// Domain 0, where that is another one.
    pub common: Option<&'f DomainFacts>,
    /// What the user says about the exporter.
    pub exporter: Option<&'f ExporterFacts>,
}

impl<'f> Facts<'f> {
    fn first<T>(self, of: impl Fn(&'f DomainFacts) -> Option<T>) -> Option<T> {
        self.own.and_then(&of).or_else(|| self.common.and_then(&of))
    }

    /// What the exporter is called.
    pub fn name(self) -> Option<&'f Arc<str>> {
        self.first(|facts| facts.name.as_ref())
    }

    /// The name of an interface.
    pub fn interface(self, index: u64) -> Option<&'f Arc<str>> {
        self.first(|facts| facts.interfaces.get(&index))
    }

    /// The name of an application.
    pub fn application(self, id: &[u8]) -> Option<&'f Arc<str>> {
        self.first(|facts| facts.applications.get(id))
    }

    /// The name of a VRF.
    pub fn vrf(self, id: u64) -> Option<&'f Arc<str>> {
        self.first(|facts| facts.vrfs.get(&id))
    }

    /// When the exporter started.
    pub fn started_ns(self) -> Option<i64> {
        self.first(|facts| facts.started_ns)
    }

    /// The rate of a Selection Sequence: that of each of its Selectors, of what the one before left. `None` when nobody
    /// told of the sequence.
    pub fn sequence_rate(self, sequence: u64, export_ns: i64) -> Option<Found> {
        let selectors = self.first(|facts| facts.sequences.as_ref()?.get(&sequence))?;
        let mut all = Rate::ONE;
        for selector in selectors {
            match self.rate(Some(*selector), None, export_ns) {
                Found::Rate(rate) => all = all.then(rate),
                Found::Undeclared | Found::Unknown => return Some(Found::Unknown),
            }
        }
        Some(Found::Rate(all))
    }

    /// The rate that was in force for a record.
    pub fn rate(self, selector: Option<u64>, interface: Option<u64>, export_ns: i64) -> Found {
        let of = |facts: Option<&DomainFacts>| {
            let rates = facts.map(|facts| &facts.rates).filter(|rates| !rates.is_empty())?;
            Some(rates.find(selector, interface, export_ns))
        };
        let (own, common) = (of(self.own), of(self.common));
        let nobody = if selector.is_some_and(|id| id != 0) {
            Found::Unknown
        } else {
            Found::Undeclared
        };
        match own {
            Some(Found::Rate(rate)) => Found::Rate(rate),
            _ => common
                .filter(|found| matches!(found, Found::Rate(_)))
                .or(own)
                .or(common)
                .unwrap_or(nobody),
        }
    }
}
