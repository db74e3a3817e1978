//! Enrichment at arrival: rows get what is known about their addresses and ports besides what their record says, so that
//! flows can be asked for by country, network or name without a look-up later, when the answer might be another.
//!
//! A row costs no allocation and few look-ups: addresses are kept ready with what files say of them, and names are found by a
//! hash of client and address. What a record says itself wins everywhere.

mod answers;
pub mod files;
pub mod geo;
mod glance;
pub mod names;
pub mod networks;
pub mod networks_file;
mod ready;
mod saved;
mod services;
mod texts;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowgauge_templates::ipfix::record::DataRecord;
use flowgauge_templates::management::DomainTemplates;

use self::files::{Contents, Files};
use self::glance::Glance;
use self::names::{NameCounters, NamesConfig, Observation, ObservedNames, Seen};
use self::networks::Network;
use self::ready::Ready;
use crate::limits::{OBSERVED_NAME_OCTETS, OBSERVED_TLS_S, OBSERVED_TTL_S};
use crate::normalize::codes::{APPLICATION_PORT, KIND_FLOW, NAME_DNS, NAME_HTTP, NAME_TLS, NAME_TLS_SEEN};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::{CellRef, Row, u128_to_ip};
use crate::normalize::zone::{zone_of, zone_part};

const NS_PER_S: i64 = 1_000_000_000;
/// Stands in a record where the number of a system does not fit in 16 bits (RFC 6793 section 9).
const AS_TRANS: u64 = 23_456;

/// Whose word about autonomous systems counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SystemsFrom {
    /// The exporter's where it says one, which knows its routes; else the databases'.
    #[default]
    Exporter,
    /// The databases' where they say one, else the exporter's.
    Geo,
}

impl SystemsFrom {
    /// As settings have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            SystemsFrom::Exporter => "exporter",
            SystemsFrom::Geo => "geo",
        }
    }
}

/// What enrichment is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrichConfig {
    /// Databases in MaxMind's format.
    pub geo: Vec<PathBuf>,
    /// The user's networks.
    pub networks: Option<PathBuf>,
    /// Whose word about autonomous systems counts.
    pub systems: SystemsFrom,
    /// Whether applications that the exporter does not name get the name of their port's service.
    pub services: bool,
    /// Observed names.
    pub names: NamesConfig,
}

impl Default for EnrichConfig {
    fn default() -> EnrichConfig {
        EnrichConfig {
            geo: Vec::new(),
            networks: None,
            systems: SystemsFrom::default(),
            services: true,
            names: NamesConfig {
                entries: 1 << 18,
                grace_ns: 600 * NS_PER_S,
            },
        }
    }
}

/// What enrichment did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnrichCounters {
    /// Rows it looked at.
    pub rows: u64,
    /// Addresses that were ready, and those that were looked up in the files.
    pub addresses_ready: u64,
    /// See [`EnrichCounters::addresses_ready`].
    pub addresses_looked_up: u64,
    /// Records of databases that could not be read.
    pub geo_faults: u64,
    /// Addresses that got a name from their own flow.
    pub named_by_flow: u64,
    /// Addresses that got a name which the other end of the flow was told or asked for.
    pub named_by_client: u64,
    /// Addresses that got a name which somebody else was told or asked for.
    pub named_by_others: u64,
    /// Rows whose application is the service of a port.
    pub applications: u64,
    /// Observed names.
    pub names: NameCounters,
}

/// One end of a flow: the columns of what is known about it.
struct End {
    country: ColumnId,
    city: ColumnId,
    system: ColumnId,
    system_name: ColumnId,
    net: ColumnId,
    role: ColumnId,
    site: ColumnId,
    region: ColumnId,
    tenant: ColumnId,
    name: ColumnId,
    name_source: ColumnId,
}

const SRC: End = End {
    country: id::SRC_COUNTRY,
    city: id::SRC_CITY,
    system: id::SRC_AS,
    system_name: id::SRC_AS_NAME,
    net: id::SRC_NET,
    role: id::SRC_NET_ROLE,
    site: id::SRC_NET_SITE,
    region: id::SRC_NET_REGION,
    tenant: id::SRC_NET_TENANT,
    name: id::SRC_NAME,
    name_source: id::SRC_NAME_SOURCE,
};

const DST: End = End {
    country: id::DST_COUNTRY,
    city: id::DST_CITY,
    system: id::DST_AS,
    system_name: id::DST_AS_NAME,
    net: id::DST_NET,
    role: id::DST_NET_ROLE,
    site: id::DST_NET_SITE,
    region: id::DST_NET_REGION,
    tenant: id::DST_NET_TENANT,
    name: id::DST_NAME,
    name_source: id::DST_NAME_SOURCE,
};

/// Gives rows what is known about them, and learns names from them.
#[derive(Debug)]
pub struct Enricher {
    config: EnrichConfig,
    files: Arc<Files>,
    /// What files held when they were asked last.
    contents: Arc<Contents>,
    generation: u64,
    has_contents: bool,
    ready: Ready,
    names: ObservedNames,
    /// A name in lower case.
    lower: String,
    counters: EnrichCounters,
}

impl Enricher {
    /// With what files hold now.
    pub fn new(config: EnrichConfig, files: Arc<Files>) -> Enricher {
        let mut enricher = Enricher {
            names: ObservedNames::new(config.names),
            config,
            generation: files.generation(),
            contents: files.contents(),
            files,
            has_contents: false,
            ready: Ready::default(),
            lower: String::new(),
            counters: EnrichCounters::default(),
        };
        enricher.has_contents = enricher.is_said_something();
        enricher
    }

    fn is_said_something(&self) -> bool {
        !self.contents.geo.is_empty() || !self.contents.networks.is_empty()
    }

    /// The files that it reads.
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// What it did.
    pub fn counters(&self) -> EnrichCounters {
        EnrichCounters {
            addresses_ready: self.ready.hits,
            addresses_looked_up: self.ready.misses,
            geo_faults: self.ready.faults,
            names: self.names.counters(),
            ..self.counters
        }
    }

    /// Takes up what files hold, if they changed. To be asked once for each datagram.
    #[inline]
    pub fn take_up_files(&mut self) {
        if self.files.generation() != self.generation {
            self.generation = self.files.generation();
            self.contents = self.files.contents();
            self.has_contents = self.is_said_something();
            self.ready.clear();
        }
    }

    /// Takes up the names that an earlier run saved; says how many.
    ///
    /// # Errors
    /// When the file is there and cannot be read. Names are then learned anew.
    pub fn load_names(&mut self, path: &Path) -> std::io::Result<u64> {
        match self.config.names.entries {
            0 => Ok(0),
            _ => saved::read(&mut self.names, path),
        }
    }

    /// Saves names for the next start; says how many.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_names(&self, path: &Path) -> std::io::Result<u64> {
        saved::write(&self.names, path)
    }

    /// Learns names from the record that a row of a DNS transaction was made of.
    pub fn learn_answers(&mut self, row: &Row, record: &DataRecord<'_, '_>, scope: &DomainTemplates) {
        if self.config.names.entries == 0 {
            return;
        }
        let is_answered = row.number(id::DNS_STATUS) == Some(1) && row.number(id::DNS_RCODE) == Some(0);
        let (Some(CellRef::Text(name)), Some(CellRef::Ip(client))) = (row.get(id::DNS_QNAME), row.get(id::SRC_IP))
        else {
            return;
        };
        let Some(name) = host_name(name, &mut self.lower).filter(|_| is_answered) else {
            return;
        };
        let glance = Glance::of(row);
        let names = &mut self.names;
        answers::addresses(record, scope, &mut |address, seconds| {
            if is_a_host(address) {
                names.observe(&Observation {
                    client,
                    address,
                    name,
                    seen: Seen::Dns,
                    at_ns: glance.end_ns,
                    lifetime_ns: seconds.clamp(0, OBSERVED_TTL_S) * NS_PER_S,
                });
            }
        });
    }

    /// Gives a sorted row what is known about it, and leaves it sorted.
    pub fn enrich(&mut self, row: &mut Row) {
        let glance = Glance::of(row);
        let sorted = row.len();
        self.counters.rows += 1;
        if self.has_contents {
            for (end, of) in [&SRC, &DST].into_iter().zip(glance.ends) {
                if let Some(address) = of.address {
                    self.place(row, end, address, of.system);
                }
            }
        }
        self.name(row, &glance);
        if self.config.services
            && !glance.has_application
            && glance.kind == KIND_FLOW
            && let [src, dst] = glance.ends
            && let Some(name) = services::application(glance.protocol, src.port, dst.port, glance.is_biflow)
        {
            row.append_text(id::APP_NAME, name);
            row.append_number(id::APP_NAME_SOURCE, APPLICATION_PORT);
            self.counters.applications += 1;
        }
        if let Some(place) = glance.qname {
            let name = row.text_at(place).unwrap_or_default();
            match zone_part(name) {
                Some(part) => row.append_part(id::DNS_ZONE, place, part),
                None => {
                    let zone = zone_of(name).into_owned();
                    row.append_text(id::DNS_ZONE, &zone);
                }
            }
        }
        row.settle(sorted);
    }

    /// What files say about the address of one end.
    fn place(&mut self, row: &mut Row, end: &End, address: u128, told: Option<(usize, u64)>) {
        let contents = &*self.contents;
        let facts = self.ready.of(address, contents);
        for (column, text) in [(end.country, facts.geo.country), (end.city, facts.geo.city)] {
            if !text.is_empty() {
                row.append_text(column, contents.geo.text(text));
            }
        }
        let known = u64::from(facts.geo.system);
        let told_number = told.map_or(0, |(_, number)| number);
        let says_nothing = matches!(told_number, 0 | AS_TRANS) || self.config.systems == SystemsFrom::Geo;
        let number = match says_nothing && known != 0 {
            true => known,
            false => told_number,
        };
        match told {
            Some((place, _)) if number != told_number => row.replace_number(place, number),
            None if number != 0 => row.append_number(end.system, number),
            _ => {}
        }
        let name = match number == known {
            true => facts.geo.system_name,
            false => contents.geo.system_name(u32::try_from(number).unwrap_or(0)),
        };
        if !name.is_empty() {
            row.append_text(end.system_name, contents.geo.text(name));
        }
        if let Some(network) = contents.networks.network(facts.network) {
            network_of(row, end, network);
        }
    }

    /// Names of both ends, and what the flow itself teaches.
    fn name(&mut self, row: &mut Row, glance: &Glance) {
        let [src, dst] = glance.ends;
        let (Some(src_address), Some(dst_address)) = (src.address, dst.address) else {
            return;
        };
        if self.config.names.entries == 0 {
            return;
        }
        let mut is_named = dst.is_named;
        if glance.kind == KIND_FLOW {
            for (asked, code) in [(glance.sni, NAME_TLS), (glance.host, NAME_HTTP)] {
                let Some(place) = asked.filter(|_| !is_named) else {
                    continue;
                };
                let whole = row.text_at(place).unwrap_or_default();
                let host = if code == NAME_HTTP { without_port(whole) } else { whole };
                let Some(name) = host_name(host, &mut self.lower) else {
                    continue;
                };
                if code == NAME_TLS && is_a_host(dst_address) {
                    self.names.observe(&Observation {
                        client: src_address,
                        address: dst_address,
                        name,
                        seen: Seen::Tls,
                        at_ns: glance.start_ns.min(glance.end_ns),
                        lifetime_ns: OBSERVED_TLS_S * NS_PER_S,
                    });
                }
                // What stands there as it is to be is not written again.
                match (whole.starts_with(name), name.len()) {
                    (true, octets) => row.append_part(id::DST_NAME, place, 0..octets),
                    (false, _) => row.append_text(id::DST_NAME, &self.lower),
                }
                row.append_number(id::DST_NAME_SOURCE, code);
                self.counters.named_by_flow += 1;
                is_named = true;
            }
        }
        let ends = [
            (&SRC, src.is_named, dst_address, src_address),
            (&DST, is_named, src_address, dst_address),
        ];
        for (end, is_named, client, address) in ends {
            if is_named {
                continue;
            }
            let Some((name, code)) = self.names.name_of(client, address, (glance.start_ns, glance.end_ns)) else {
                continue;
            };
            row.append_text(end.name, name);
            row.append_number(end.name_source, code);
            match code {
                NAME_DNS | NAME_TLS_SEEN => self.counters.named_by_client += 1,
                _ => self.counters.named_by_others += 1,
            }
        }
    }
}

fn network_of(row: &mut Row, end: &End, network: &Network) {
    for (column, text) in [
        (end.net, &network.name),
        (end.role, &network.role),
        (end.site, &network.site),
        (end.region, &network.region),
        (end.tenant, &network.tenant),
    ] {
        if let Some(text) = text {
            row.append_text(column, text);
        }
    }
}

/// What is before the port of `host:port`; an IPv6 address in brackets stays whole, and is no name.
fn without_port(host: &str) -> &str {
    match host.split_once(':') {
        Some((name, _)) if !name.starts_with('[') => name,
        _ => host,
    }
}

/// The name of a host in the form in which names are kept: lower case, without the final dot. `None` for what is none.
fn host_name<'n>(text: &'n str, lower: &'n mut String) -> Option<&'n str> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let looks_like_address = || name.contains(':') || name.bytes().all(|octet| octet.is_ascii_digit() || octet == b'.');
    let is_graphic = name.bytes().all(|octet| octet > b' ' && octet != 0x7f);
    if name.is_empty() || name.len() > OBSERVED_NAME_OCTETS || !is_graphic || looks_like_address() {
        return None;
    }
    if !name.bytes().any(|octet| octet.is_ascii_uppercase()) {
        return Some(name);
    }
    lower.clear();
    lower.push_str(name);
    lower.make_ascii_lowercase();
    Some(lower)
}

/// Whether an address may be one host's: blockers answer with others.
fn is_a_host(address: u128) -> bool {
    match u128_to_ip(address) {
        IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_loopback() || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_loopback() || v6.is_multicast()),
    }
}
