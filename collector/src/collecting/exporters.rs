//! Who may send, how much, and what the user says about them: by address or network, the longest prefix first.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};

use crate::limits::{EXPORTER_RULES, EXPORTERS};
use crate::normalize::facts::{ExporterFacts, LABEL};
use crate::normalize::row::ip_to_u128;
use crate::normalize::sampling::Rate;

const NS_PER_S: f64 = 1e9;
/// An exporter that is silent for longer is forgotten; what is known of it is worked out again.
const SILENCE_NS: i64 = 3_600_000_000_000;

/// An address, or the network it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl std::str::FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Prefix, String> {
        let wrong = || format!("{text:?} is no address or network; write it like 10.0.0.0/8 or 2001:db8::1");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            Some(length) => length.parse().ok().filter(|length| *length <= most).ok_or_else(wrong)?,
            None => most,
        };
        Ok(Prefix { address, length })
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Prefix {
    /// Bits of the v4-mapped address that must be the same.
    fn bits(self) -> u32 {
        u32::from(self.length) + if self.address.is_ipv4() { 96 } else { 0 }
    }

    /// Whether the address is in it.
    pub fn holds(self, address: IpAddr) -> bool {
        let differ = ip_to_u128(self.address) ^ ip_to_u128(address.to_canonical());
        differ.checked_shr(128 - self.bits()).unwrap_or(0) == 0
    }
}

/// What the user says about exporters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExporterRules {
    /// Who may send; empty is everybody.
    pub allow: Vec<Prefix>,
    /// Datagrams a second that one exporter may send; 0 is any number.
    pub datagrams_per_second: u64,
    /// Names.
    pub names: Vec<(Prefix, String)>,
    /// Labels: key and value.
    pub labels: Vec<(Prefix, (String, String))>,
    /// Sampling: one packet in so many, whatever the exporter says.
    pub sampling: Vec<(Prefix, u64)>,
    /// Observation Domains, whatever the exporter says.
    pub domains: Vec<(Prefix, u32)>,
}

/// `PREFIX=VALUE, PREFIX=VALUE, ..`, as settings have it.
///
/// # Errors
/// Which part is wrong, and what it should look like.
pub fn by_prefix<T>(text: &str, value: impl Fn(&str) -> Result<T, String>) -> Result<Vec<(Prefix, T)>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    let parsed: Result<Vec<_>, String> = items
        .map(|item| {
            let (prefix, text) = item
                .split_once('=')
                .ok_or_else(|| format!("{item:?} is not NETWORK=VALUE"))?;
            Ok((prefix.trim().parse()?, value(text.trim())?))
        })
        .collect();
    let parsed = parsed?;
    if parsed.len() > EXPORTER_RULES {
        return Err(format!("{} are too many; at most {EXPORTER_RULES}", parsed.len()));
    }
    Ok(parsed)
}

/// As settings show it, see [`by_prefix`].
pub fn prefixes_text<T>(items: &[(Prefix, T)], value: impl Fn(&T) -> String) -> String {
    let items = items.iter().map(|(prefix, of)| format!("{prefix}={}", value(of)));
    items.collect::<Vec<_>>().join(",")
}

impl ExporterRules {
    fn is_empty(&self) -> bool {
        *self == ExporterRules::default()
    }

    /// Whether flow exports of this address are taken.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|prefix| prefix.holds(address))
    }

    fn facts(&self, address: IpAddr) -> ExporterFacts {
        let mut labels: Vec<&(Prefix, (String, String))> =
            self.labels.iter().filter(|(prefix, _)| prefix.holds(address)).collect();
        // The longest prefix's word about a label wins, and of equals the last.
        labels.sort_by_key(|(prefix, _)| prefix.bits());
        let mut facts = ExporterFacts {
            name: longest(&self.names, address).map(|name| name.as_str().into()),
            labels: Vec::new(),
            rate: longest(&self.sampling, address).map(|interval| Rate::one_in(*interval)),
            domain: longest(&self.domains, address).copied(),
        };
        for (_, (key, value)) in labels {
            let name = format!("{LABEL}{key}");
            facts.labels.retain(|(held, _)| **held != *name);
            facts.labels.push((name.into(), value.as_str().into()));
        }
        facts
    }
}

fn longest<T>(rules: &[(Prefix, T)], address: IpAddr) -> Option<&T> {
    let holding = rules.iter().filter(|(prefix, _)| prefix.holds(address));
    holding.max_by_key(|(prefix, _)| prefix.bits()).map(|(_, value)| value)
}

/// What is done with a datagram.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Admission {
    /// It is taken; what the user says about its exporter.
    Taken(Option<Arc<ExporterFacts>>),
    /// Its sender is not allowed.
    NotAllowed,
    /// Its sender sends too many.
    TooMany,
}

#[derive(Debug)]
struct Known {
    is_allowed: bool,
    facts: Arc<ExporterFacts>,
    bucket: Bucket,
}

/// As many datagrams as a second's may come at once.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at_ns: i64,
}

impl Bucket {
    fn full(per_second: u64, now_ns: i64) -> Bucket {
        Bucket {
            tokens: per_second as f64,
            at_ns: now_ns,
        }
    }

    fn take(&mut self, per_second: u64, now_ns: i64) -> bool {
        let most = per_second as f64;
        let passed = now_ns.saturating_sub(self.at_ns).max(0) as f64 / NS_PER_S;
        self.tokens = (self.tokens + passed * most).min(most);
        self.at_ns = self.at_ns.max(now_ns);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// Exporters that were heard, and the rules.
#[derive(Debug)]
pub(super) struct Exporters {
    rules: ExporterRules,
    by_address: HashMap<IpAddr, Known>,
    /// Shared by all that are heard when there are too many.
    common: Bucket,
}

impl Exporters {
    pub fn new(rules: ExporterRules) -> Exporters {
        Exporters {
            common: Bucket::full(rules.datagrams_per_second, i64::MIN),
            rules,
            by_address: HashMap::new(),
        }
    }

    /// What is done with a datagram or Message of an exporter. Streams are slowed down by what they feel, not cut.
    pub fn admit(&mut self, now_ns: i64, address: IpAddr, is_datagram: bool) -> Admission {
        if self.rules.is_empty() {
            return Admission::Taken(None);
        }
        let per_second = self.rules.datagrams_per_second;
        let rules = &self.rules;
        let judge = || Known {
            is_allowed: rules.allows(address),
            facts: Arc::new(rules.facts(address)),
            bucket: Bucket::full(per_second, now_ns),
        };
        let has_room = self.by_address.len() < EXPORTERS || self.by_address.contains_key(&address);
        let mut beyond = None;
        let (known, common) = match has_room {
            true => (self.by_address.entry(address).or_insert_with(judge), None),
            false => (beyond.insert(judge()), Some(&mut self.common)),
        };
        if !known.is_allowed {
            return Admission::NotAllowed;
        }
        let bucket = common.unwrap_or(&mut known.bucket);
        if per_second > 0 && is_datagram && !bucket.take(per_second, now_ns) {
            return Admission::TooMany;
        }
        bucket.at_ns = bucket.at_ns.max(now_ns);
        Admission::Taken(Some(Arc::clone(&known.facts)))
    }

    /// What the user says about an exporter.
    pub fn facts(&self, address: IpAddr) -> Option<ExporterFacts> {
        (!self.rules.is_empty()).then(|| self.rules.facts(address))
    }

    /// Forgets exporters that are silent.
    pub fn handle_timeout(&mut self, now_ns: i64) {
        self.by_address
            .retain(|_, known| now_ns.saturating_sub(known.bucket.at_ns) <= SILENCE_NS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn rules() -> ExporterRules {
        let text = |text: &str| Ok(text.to_owned());
        let label = |text: &str| {
            let (key, value) = text.split_once(':').ok_or("no label")?;
            Ok((key.to_owned(), value.to_owned()))
        };
        ExporterRules {
            allow: vec!["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            names: by_prefix("10.0.0.0/8=inside, 10.1.2.3=core-1", text).unwrap(),
            labels: by_prefix(
                "10.0.0.0/8=site:berlin,10.1.0.0/16=site:bonn,10.1.0.0/16=role:edge",
                label,
            )
            .unwrap(),
            sampling: by_prefix("10.1.0.0/16=1000", |text| text.parse().map_err(|_| "no".to_owned())).unwrap(),
            domains: Vec::new(),
            datagrams_per_second: 0,
        }
    }

    #[test]
    fn the_longest_prefix_wins() {
        let rules = rules();
        let facts = rules.facts(address("10.1.2.3"));
        assert_eq!(facts.name.as_deref(), Some("core-1"));
        assert_eq!(facts.rate, Some(Rate::one_in(1000)));
        let labels: Vec<_> = facts.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(labels, [("label.site", "bonn"), ("label.role", "edge")]);
        let facts = rules.facts(address("::ffff:10.200.0.1"));
        assert_eq!(facts.name.as_deref(), Some("inside"));
        assert_eq!(facts.rate, None);
    }

    #[test]
    fn who_is_not_allowed_is_refused() {
        let mut exporters = Exporters::new(rules());
        let mut admit = |text: &str| exporters.admit(0, address(text), true);
        assert!(matches!(admit("10.9.9.9"), Admission::Taken(Some(_))));
        assert!(matches!(admit("2001:db8:1::1"), Admission::Taken(Some(_))));
        assert_eq!(admit("11.0.0.1"), Admission::NotAllowed);
        assert_eq!(admit("2001:db9::1"), Admission::NotAllowed);
        assert_eq!(
            Exporters::new(ExporterRules::default()).admit(0, address("11.0.0.1"), true),
            Admission::Taken(None)
        );
    }

    #[test]
    fn a_second_of_datagrams_may_come_at_once_and_streams_are_not_cut() {
        let mut exporters = Exporters::new(ExporterRules {
            datagrams_per_second: 10,
            ..ExporterRules::default()
        });
        let mut taken = |now_ns: i64, of: &str, is_datagram: bool| {
            let of = address(of);
            let taken = (0..100).filter(|_| exporters.admit(now_ns, of, is_datagram) != Admission::TooMany);
            taken.count()
        };
        assert_eq!(taken(S, "10.0.0.1", true), 10);
        assert_eq!(taken(S, "10.0.0.2", true), 10, "each has its own");
        assert_eq!(taken(S + S / 2, "10.0.0.1", true), 5);
        assert_eq!(taken(S, "10.0.0.1", true), 0, "time that goes back gives nothing");
        assert_eq!(taken(60 * S, "10.0.0.1", true), 10);
        assert_eq!(taken(60 * S, "10.0.0.1", false), 100);
    }

    #[test]
    fn spoofed_senders_share_one_allowance_when_they_are_too_many() {
        let mut exporters = Exporters::new(ExporterRules {
            datagrams_per_second: 5,
            ..ExporterRules::default()
        });
        let sender = |n: usize| IpAddr::from((n as u32 + 0x0b00_0000).to_be_bytes());
        for n in 0..EXPORTERS {
            exporters.admit(S, sender(n), true);
        }
        let beyond = EXPORTERS..EXPORTERS + 100;
        let taken = beyond.filter(|n| exporters.admit(S, sender(*n), true) != Admission::TooMany);
        assert_eq!(taken.count(), 5);
        assert_eq!(exporters.by_address.len(), EXPORTERS);
        exporters.handle_timeout(S + SILENCE_NS + 1);
        assert_eq!(exporters.by_address.len(), 0);
    }

    #[test]
    fn wrong_networks_are_told() {
        for wrong in ["10.0.0.0/33", "10.0.0", "2001:db8::/129", "x=y"] {
            assert!(
                wrong
                    .parse::<Prefix>()
                    .unwrap_err()
                    .contains("is no address or network")
            );
        }
        let none = |_: &str| Ok(());
        assert_eq!(
            by_prefix("10.0.0.1", none),
            Err("\"10.0.0.1\" is not NETWORK=VALUE".to_owned())
        );
    }
}
