//! What options records say about the exporter itself: which sampling is in force, what interfaces, applications and VRFs
//! are called, when the exporter started.

use std::net::IpAddr;
use std::sync::Arc;

use flowgauge_ie_registry::{ElementId, ids};
use flowgauge_templates::ipfix::{DataRecord, Template, Value};
use flowgauge_templates::management::MessageHeader;
use foldhash::{HashMap, HashMapExt as _};

use crate::limits::{OPTIONS_DOMAINS, OPTIONS_NAMES, OPTIONS_NAMES_PER_DOMAIN};
use crate::normalize::facts::{DomainFacts, Facts};
use crate::normalize::sampling::{RateField, RateFields, RateScope};

/// Elements of options records that are put to work, beside those of sampling.
const KNOWN: [ElementId; 6] = [
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
    sampler: Option<u64>,
    interface: Option<u64>,
    application: Option<&'r [u8]>,
    vrf: Option<u64>,
    interface_name: Option<String>,
    interface_description: Option<String>,
    application_name: Option<String>,
    application_description: Option<String>,
    vrf_name: Option<String>,
    started_ns: Option<i64>,
}

impl OptionsData {
    /// Whether records of a template say anything that is put to work.
    pub fn is_told_by(template: &Template) -> bool {
        template
            .fields()
            .iter()
            .any(|field| KNOWN.contains(&field.specifier.element) || RateField::of(&field.name).is_some())
    }

    /// Learns from one record.
    pub fn learn(&mut self, exporter: IpAddr, header: &MessageHeader, record: &DataRecord<'_, '_>) {
        let told = Told::by(record);
        let Some(facts) = self.domain(exporter, header.domain) else {
            return;
        };
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
            self.overflowed += refused;
        }
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
        for (named, name) in named {
            if let Some((named, name)) = named.zip(name) {
                self.name(exporter, header.domain, &named, &name);
            }
        }
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

impl<'r> Told<'r> {
    fn by(record: &DataRecord<'_, 'r>) -> Told<'r> {
        let mut told = Told::default();
        for ((field, value), (_, octets)) in record.fields().zip(record.raw()) {
            match field.specifier.element {
                ids::SELECTOR_ID => told.selector = value.to_u64(),
                ids::SAMPLER_ID => told.sampler = value.to_u64(),
                ids::INGRESS_INTERFACE | ids::EGRESS_INTERFACE => told.interface = told.interface.or(value.to_u64()),
                ids::APPLICATION_ID => told.application = Some(octets),
                ids::INGRESS_VRFID | ids::EGRESS_VRFID => told.vrf = told.vrf.or(value.to_u64()),
                ids::INTERFACE_NAME => told.interface_name = text(&value),
                ids::INTERFACE_DESCRIPTION => told.interface_description = text(&value),
                ids::APPLICATION_NAME => told.application_name = text(&value),
                ids::APPLICATION_DESCRIPTION => told.application_description = text(&value),
                ids::VRF_NAME => told.vrf_name = text(&value),
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

fn text(value: &Value<'_>) -> Option<String> {
    value
        .to_text()
        .map(|text| text.into_owned())
        .filter(|text| !text.is_empty())
}
