//! What options records say about the exporter itself: which sampling is in force, what interfaces, applications and VRFs
//! are called, when the exporter started.

use std::net::IpAddr;
use std::sync::Arc;

use flowgauge_ie_registry::{ElementId, Semantics, ids};
use flowgauge_templates::ipfix::{DataRecord, Field, Template, Value};
use flowgauge_templates::management::MessageHeader;
use foldhash::{HashMap, HashMapExt as _};

use crate::limits::{
    OPTIONS_DOMAINS, OPTIONS_NAMES, OPTIONS_NAMES_PER_DOMAIN, SELECTORS_PER_DOMAIN, SELECTORS_PER_SEQUENCE,
    STATISTICS_PER_DOMAIN,
};
use crate::normalize::facts::{DomainFacts, Facts, Names, Statistics};
use crate::normalize::sampling::{Rate, RateField, RateFields, RateScope};

/// Elements of options records that are put to work, beside those of sampling.
const KNOWN: [ElementId; 8] = [
    ids::OBSERVATION_DOMAIN_NAME,
    ids::SELECTION_SEQUENCE_ID,
    ids::INTERFACE_NAME,
    ids::INTERFACE_DESCRIPTION,
    ids::APPLICATION_NAME,
    ids::APPLICATION_DESCRIPTION,
    ids::VRF_NAME,
    ids::SYSTEM_INIT_TIME_MILLISECONDS,
];

/// What every exporter told, by Observation Domain.
#[derive(Debug)]
pub(super) struct OptionsData {
    domains: HashMap<(IpAddr, u32), DomainFacts>,
    names: usize,
    /// Names and rates left out because there were too many.
    overflowed: u64,
}

impl Default for OptionsData {
    fn default() -> OptionsData {
        OptionsData {
            domains: HashMap::new(),
            names: 0,
            overflowed: 0,
        }
    }
}

/// Which kind of thing a name is for.
enum Named<'n> {
    Interface(u64),
    Application(&'n [u8]),
    Vrf(u64),
}

/// What the fields of one options record said.
#[derive(Default)]
struct Told<'r> {
    rate: RateFields,
    selector: Option<u64>,
    /// Every Selector of the record, where there is a Selection Sequence.
    selectors: Vec<u64>,
    sequence: Option<u64>,
    sampler: Option<u64>,
    interface: Option<u64>,
    application: Option<&'r [u8]>,
    vrf: Option<u64>,
    interface_name: Option<String>,
    interface_description: Option<String>,
    application_name: Option<String>,
    application_description: Option<String>,
    vrf_name: Option<String>,
    exporter_name: Option<String>,
    started_ns: Option<i64>,
}

impl OptionsData {
    /// Whether records of a template say anything that is put to work.
    pub fn is_told_by(template: &Template) -> bool {
        template.fields().iter().any(|field| {
            KNOWN.contains(&field.specifier.element) || RateField::of(&field.name).is_some() || is_statistic(field)
        })
    }

    /// Learns from one record.
    pub fn learn(&mut self, exporter: IpAddr, header: &MessageHeader, record: &DataRecord<'_, '_>) {
        let mut overflowed = 0;
        let told = Told::by(record);
        let Some(facts) = self.domain(exporter, header.domain) else {
            return;
        };
        for (field, value) in record.fields() {
            if let Some(number) = value.to_u64().filter(|_| is_statistic(field)) {
                overflowed += u64::from(!note_statistic(facts, &field.name, number));
                facts.statistics_ns = header.export_ns();
            }
        }
        if let (Some(sequence), [_, ..]) = (told.sequence, told.selectors.as_slice()) {
            let sequences = facts.sequences.get_or_insert_with(HashMap::new);
            if sequences.len() < SELECTORS_PER_DOMAIN || sequences.contains_key(&sequence) {
                sequences.insert(sequence, told.selectors.as_slice().into());
            } else {
                overflowed += 1;
            }
        }
        if told.started_ns.is_some() {
            facts.started_ns = told.started_ns;
        }
        if let Some(rate) = told.rate.rate() {
            let scope = match (told.selector.or(told.sampler), told.interface) {
                (Some(id), _) => RateScope::Selector(id),
                (None, Some(index)) => RateScope::Interface(index),
                (None, None) => RateScope::Domain,
            };
            let before = facts.rates.overflowed;
            facts
                .rates
                .announce(scope, rate, header.export_ns(), told.sampler.is_some());
            let refused = facts.rates.overflowed - before;
            overflowed += refused;
        }
        self.overflowed += overflowed;
        let named = [
            (
                told.interface.map(Named::Interface),
                told.interface_name.or(told.interface_description),
            ),
            (
                told.application.map(Named::Application),
                told.application_name.or(told.application_description),
            ),
            (told.vrf.map(Named::Vrf), told.vrf_name),
        ];
        if let Some(name) = told.exporter_name {
            self.set_exporter(exporter, header.domain, &name);
        }
        for (named, name) in named {
            if let Some((named, name)) = named.zip(name) {
                self.name(exporter, header.domain, &named, &name);
            }
        }
    }

    /// Gives an exporter, or one Observation Domain of it, its name.
    pub fn set_exporter(&mut self, exporter: IpAddr, domain: u32, name: &str) {
        if let Some(facts) = self.domain(exporter, domain)
            && facts.name.as_deref() != Some(name)
        {
            facts.name = Some(name.into());
        }
    }

    /// What an exporter calls itself.
    pub fn exporter(&self, exporter: IpAddr, domain: u32) -> Option<&Arc<str>> {
        self.facts(exporter, domain).name()
    }

    /// Gives an interface its name.
    pub fn set_interface(&mut self, exporter: IpAddr, domain: u32, index: u32, name: &str) {
        self.name(exporter, domain, &Named::Interface(index.into()), name);
    }

    /// The name of an interface.
    pub fn interface(&self, exporter: IpAddr, domain: u32, index: u64) -> Option<&Arc<str>> {
        self.facts(exporter, domain).interface(index)
    }

    /// What is known about the exporter of records of a domain.
    pub fn facts(&self, exporter: IpAddr, domain: u32) -> Facts<'_> {
        if self.domains.is_empty() {
            return Facts::default();
        }
        let of = |domain| self.domains.get(&(exporter, domain));
        Facts {
            own: of(domain),
            common: if domain == 0 { None } else { of(0) },
            exporter: None,
        }
    }

    /// Counters that an exporter told about itself in a domain, and when (nanoseconds).
    pub fn statistics(&self, exporter: IpAddr, domain: u32) -> Option<Statistics<'_>> {
        let facts = self.domains.get(&(exporter, domain))?;
        (!facts.statistics.is_empty()).then_some((facts.statistics_ns, facts.statistics.as_slice()))
    }

    /// What is known, in a form to keep across a restart.
    pub fn save(&self) -> Vec<SavedOptions> {
        let mut saved: Vec<SavedOptions> = self
            .domains
            .iter()
            .map(|(of, facts)| SavedOptions::of(*of, facts))
            .collect();
        saved.sort_by_key(|saved| (saved.exporter, saved.domain));
        saved
    }

    /// Takes up what an earlier run saved, within the same bounds as what exporters tell.
    pub fn load(&mut self, saved: &[SavedOptions]) {
        for options in saved {
            let of = (options.exporter, options.domain);
            let Some(facts) = self.domain(of.0, of.1) else { continue };
            facts.started_ns = options.started_ns;
            facts.name = options.name.as_deref().map(Arc::from);
            for (scope, sampler, history) in &options.rates {
                for (since_ns, rate) in history {
                    facts.rates.announce(*scope, *rate, *since_ns, *sampler);
                }
            }
            for (index, name) in &options.interfaces {
                self.name(of.0, of.1, &Named::Interface(*index), name);
            }
            for (id, name) in &options.applications {
                self.name(of.0, of.1, &Named::Application(id), name);
            }
            for (id, name) in &options.vrfs {
                self.name(of.0, of.1, &Named::Vrf(*id), name);
            }
        }
    }

    /// Names and rates left out because there were too many.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn domain(&mut self, exporter: IpAddr, domain: u32) -> Option<&mut DomainFacts> {
        let of = (exporter, domain);
        if self.domains.len() >= OPTIONS_DOMAINS && !self.domains.contains_key(&of) {
            self.overflowed += 1;
            return None;
        }
        Some(self.domains.entry(of).or_default())
    }

    fn name(&mut self, exporter: IpAddr, domain: u32, named: &Named<'_>, name: &str) {
        let names = self.names;
        let Some(facts) = self.domain(exporter, domain) else {
            return;
        };
        let before = facts.names();
        let room = before < OPTIONS_NAMES_PER_DOMAIN && names < OPTIONS_NAMES;
        let set = match *named {
            Named::Interface(index) => facts.interfaces.set(index, name, room),
            Named::Application(id) => facts.applications.set(id.into(), name, room),
            Named::Vrf(id) => facts.vrfs.set(id, name, room),
        };
        let grown = facts.names() - before;
        self.names += grown;
        self.overflowed += u64::from(!set);
    }
}

/// The rates of one scope: whether a sampler told them, and from when on (ns since 1970) each was in force.
type SavedRates = (RateScope, bool, Vec<(i64, Rate)>);

/// What one Observation Domain of an exporter told, as it is kept across a restart.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct SavedOptions {
    exporter: IpAddr,
    domain: u32,
    started_ns: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    rates: Vec<SavedRates>,
    interfaces: Vec<(u64, String)>,
    applications: Vec<(Vec<u8>, String)>,
    vrfs: Vec<(u64, String)>,
}

impl SavedOptions {
    fn of((exporter, domain): (IpAddr, u32), facts: &DomainFacts) -> SavedOptions {
        let by_number = |names: &Names<u64>| {
            let mut names: Vec<_> = names.iter().map(|(number, name)| (*number, name.to_string())).collect();
            names.sort_unstable();
            names
        };
        let mut rates: Vec<_> = facts
            .rates
            .iter()
            .map(|(scope, sampler, history)| (scope, sampler, history.to_vec()))
            .collect();
        rates.sort_by_key(|(scope, ..)| *scope);
        let mut applications: Vec<_> = facts
            .applications
            .iter()
            .map(|(id, name)| (id.to_vec(), name.to_string()))
            .collect();
        applications.sort_unstable();
        SavedOptions {
            exporter,
            domain,
            started_ns: facts.started_ns,
            name: facts.name.as_ref().map(|name| name.to_string()),
            rates,
            interfaces: by_number(&facts.interfaces),
            applications,
            vrfs: by_number(&facts.vrfs),
        }
    }
}

impl<'r> Told<'r> {
    fn by(record: &DataRecord<'_, 'r>) -> Told<'r> {
        let mut told = Told::default();
        for ((field, value), (_, octets)) in record.fields().zip(record.raw()) {
            match field.specifier.element {
                ids::SELECTOR_ID => {
                    told.selector = value.to_u64();
                    if told.sequence.is_some() && told.selectors.len() < SELECTORS_PER_SEQUENCE {
                        told.selectors.extend(told.selector);
                    }
                }
                ids::SELECTION_SEQUENCE_ID => told.sequence = value.to_u64(),
                ids::SAMPLER_ID => told.sampler = value.to_u64(),
                ids::INGRESS_INTERFACE | ids::EGRESS_INTERFACE => told.interface = told.interface.or(value.to_u64()),
                ids::APPLICATION_ID => told.application = Some(octets),
                ids::INGRESS_VRFID | ids::EGRESS_VRFID => told.vrf = told.vrf.or(value.to_u64()),
                ids::INTERFACE_NAME => told.interface_name = text(&value),
                ids::INTERFACE_DESCRIPTION => told.interface_description = text(&value),
                ids::APPLICATION_NAME => told.application_name = text(&value),
                ids::APPLICATION_DESCRIPTION => told.application_description = text(&value),
                ids::VRF_NAME => told.vrf_name = text(&value),
                ids::OBSERVATION_DOMAIN_NAME => told.exporter_name = text(&value),
                ids::SYSTEM_INIT_TIME_MILLISECONDS => {
                    if let Value::DateTime { ns, .. } = value {
                        told.started_ns = Some(ns);
                    }
                }
                _ => {
                    if let Some(rate) = RateField::of(&field.name) {
                        // What is no number says nothing.
                        let _ = told.rate.take(rate, octets);
                    }
                }
            }
        }
        told
    }
}

/// Whether a field counts something that the exporter did.
fn is_statistic(field: &Field) -> bool {
    matches!(field.semantics, Semantics::TotalCounter | Semantics::DeltaCounter) && field.data_type.is_unsigned()
}

/// Keeps the last word about a counter; false when there are too many.
fn note_statistic(facts: &mut DomainFacts, name: &Arc<str>, number: u64) -> bool {
    let room = facts.statistics.len() < STATISTICS_PER_DOMAIN;
    match facts.statistics.iter_mut().find(|(known, _)| known == name) {
        Some((_, last)) => *last = number,
        None if !room => return false,
        None => facts.statistics.push((Arc::clone(name), number)),
    }
    true
}

fn text(value: &Value<'_>) -> Option<String> {
    value
        .to_text()
        .map(|text| text.into_owned())
        .filter(|text| !text.is_empty())
}
