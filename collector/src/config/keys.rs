//! The one table of keys: name, flag, help, how it is read and how it is shown.

use std::path::PathBuf;
use std::time::Duration;

use super::{Key, LogFormat};
use crate::alerts::check_url;
use crate::collecting::exporters::{Prefix, by_prefix, prefixes_text};
use crate::enrich::SystemsFrom;
use crate::io::listener::{ListenAddress, parse_host_port};
use crate::io::relay::RelayAddress;
use crate::limits::{ALERT_INTERVAL_S, GEO_FILES, JOURNAL_LEAST_OCTETS, OBSERVED_NAMES, RECEIVERS, RELAYS, WEBHOOKS};
use crate::quantity::{duration_text, octets_text, parse_octets};
use crate::query::time::parse_duration;

fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    u64::try_from(parse_duration(text)?)
        .map(Duration::from_nanos)
        .map_err(|_| format!("{text:?} is negative"))
}

fn shown(duration: Duration) -> String {
    duration_text(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn octets(text: &str) -> Result<usize, String> {
    usize::try_from(parse_octets(text)?).map_err(|_| format!("{text:?} is too large"))
}

fn count(text: &str) -> Result<u64, String> {
    text.replace('_', "")
        .parse()
        .map_err(|_| format!("{text:?} is not a whole number"))
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn path_text(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |path| path.display().to_string())
}

fn is_label_key(key: &str) -> bool {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"_-".contains(&octet);
    (1..=64).contains(&key.len()) && key.bytes().all(allowed)
}

macro_rules! key {
    ($section:literal, $name:literal, $flag:literal, $value:literal, $help:literal, list: $list:literal,
     $set:expr, $text:expr) => {
        Key {
            section: $section,
            name: $name,
            flag: $flag,
            value: $value,
            help: $help,
            list: $list,
            set: $set,
            text: $text,
        }
    };
    ($section:literal, $name:literal, $flag:literal, $value:literal, $help:literal, $set:expr, $text:expr) => {
        key!($section, $name, $flag, $value, $help, list: false, $set, $text)
    };
}

/// Every key there is.
pub static KEYS: &[Key] = &[
    key!("listen", "addresses", "listen", "LISTEN",
        "Where flow exports come in: udp://A:P (IPFIX, NetFlow 5, 7 and 9, sFlow 5, told apart by themselves), tcp://A:P, tls://A:P, dtls://A:P or sctp://A:P (IPFIX); repeatable",
        list: true,
        |config, text| {
            let listeners: Result<Vec<ListenAddress>, String> =
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::parse).collect();
            config.listeners = listeners?;
            Ok(())
        },
        |config| config.listeners.iter().map(ListenAddress::to_string).collect::<Vec<_>>().join(",")),
    key!(
        "listen",
        "receive_buffer",
        "receive-buffer",
        "SIZE",
        "Receive buffer asked of the kernel for each UDP socket",
        |config, text| {
            config.receive_buffer_octets = octets(text)?.min(1 << 30);
            Ok(())
        },
        |config| octets_text(config.receive_buffer_octets as u64)
    ),
    key!(
        "listen",
        "queue",
        "queue",
        "SIZE",
        "Memory for what waits to be journaled; beyond it datagrams are dropped and counted, streams wait",
        |config, text| {
            config.queue_octets = octets(text)?;
            Ok(())
        },
        |config| octets_text(config.queue_octets as u64)
    ),
    key!(
        "listen",
        "receivers",
        "receivers",
        "N",
        "Sockets that share each UDP address, each read by a thread of its own; exporters spread over them",
        |config, text| {
            let receivers = count(text)?;
            if !(1..=RECEIVERS as u64).contains(&receivers) {
                return Err(format!("{text:?} is not a number from 1 to {RECEIVERS}"));
            }
            config.receivers = receivers as usize;
            Ok(())
        },
        |config| config.receivers.to_string()
    ),
    key!(
        "listen",
        "tcp_connections",
        "tcp-connections",
        "N",
        "Connections (over DTLS, sessions) open at one time, each listener",
        |config, text| {
            config.tcp_connections = count(text)?;
            Ok(())
        },
        |config| config.tcp_connections.to_string()
    ),
    key!(
        "listen",
        "tcp_idle",
        "tcp-idle",
        "D",
        "Close connections that bring nothing for this long; 0 keeps them (over DTLS, for 12 h)",
        |config, text| {
            config.tcp_idle = duration(text)?;
            Ok(())
        },
        |config| shown(config.tcp_idle)
    ),
    key!(
        "listen",
        "tls_certificate",
        "tls-certificate",
        "FILE",
        "For tls:// and dtls://, the certificate that exporters know the collector by, and those it was issued with (PEM)",
        |config, text| {
            config.tls.certificate = path(text);
            Ok(())
        },
        |config| path_text(&config.tls.certificate)
    ),
    key!(
        "listen",
        "tls_key",
        "tls-key",
        "FILE",
        "For tls:// and dtls://, the private key of the certificate (PEM)",
        |config, text| {
            config.tls.key = path(text);
            Ok(())
        },
        |config| path_text(&config.tls.key)
    ),
    key!(
        "listen",
        "tls_ca",
        "tls-ca",
        "FILE",
        "For tls:// and dtls://, the authorities that exporters' certificates must come from (PEM)",
        |config, text| {
            config.tls.ca = path(text);
            Ok(())
        },
        |config| path_text(&config.tls.ca)
    ),
    key!("listen", "tls_clients", "tls-clients", "NAMES",
        "For tls:// and dtls://, let in only exporters whose certificate has one of these names (subjectAltName)",
        list: true,
        |config, text| {
            let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
            config.tls.clients = names.map(str::to_owned).collect();
            Ok(())
        },
        |config| config.tls.clients.join(",")),
    key!("relay", "destinations", "relay", "udp://HOST:PORT",
        "Send a copy of every datagram that comes over UDP there; with ?source=keep from the exporter's address and port (takes CAP_NET_RAW); repeatable",
        list: true,
        |config, text| {
            let relays: Result<Vec<RelayAddress>, String> =
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::parse).collect();
            config.relays = relays?;
            if config.relays.len() > RELAYS {
                return Err(format!("{} destinations are more than {RELAYS}", config.relays.len()));
            }
            Ok(())
        },
        |config| config.relays.iter().map(RelayAddress::to_string).collect::<Vec<_>>().join(",")),
    key!(
        "journal",
        "size",
        "journal-size",
        "SIZE",
        "What the journal between receiving and indexing may take on disk; 0 keeps none",
        |config, text| {
            let octets = parse_octets(text)?;
            if (1..JOURNAL_LEAST_OCTETS).contains(&octets) {
                return Err(format!(
                    "{text:?} is too small: use at least {}, or 0 for none",
                    octets_text(JOURNAL_LEAST_OCTETS)
                ));
            }
            config.journal_octets = octets;
            Ok(())
        },
        |config| octets_text(config.journal_octets)
    ),
    key!(
        "journal",
        "sync",
        "journal-sync",
        "D",
        "What is journaled is durable at the latest after this time; 0 makes it so before it counts as received",
        |config, text| {
            config.journal_sync = duration(text)?;
            Ok(())
        },
        |config| shown(config.journal_sync)
    ),
    key!(
        "journal",
        "keep",
        "journal-keep",
        "D",
        "Keep what was indexed of the journal this long, for replay, as far as its size allows",
        |config, text| {
            config.journal_keep = duration(text)?;
            Ok(())
        },
        |config| shown(config.journal_keep)
    ),
    key!(
        "http",
        "address",
        "http",
        "ADDRESS:PORT",
        "Where the page, the API and /metrics are served; loopback unless told otherwise",
        |config, text| {
            config.http = parse_host_port(text)
                .ok_or_else(|| format!("{text:?} is not ADDRESS:PORT; write it like 127.0.0.1:8080"))?;
            Ok(())
        },
        |config| config.http.to_string()
    ),
    key!(
        "http",
        "query_timeout",
        "query-timeout",
        "D",
        "How long one query over HTTP may take",
        |config, text| {
            config.query_timeout = duration(text)?;
            Ok(())
        },
        |config| shown(config.query_timeout)
    ),
    key!(
        "store",
        "directory",
        "data",
        "DIR",
        "Where data is kept",
        |config, text| {
            if text.is_empty() {
                return Err("an empty path is no directory".to_owned());
            }
            config.data = PathBuf::from(text);
            Ok(())
        },
        |config| config.data.display().to_string()
    ),
    key!(
        "store",
        "partition",
        "partition",
        "D",
        "Arrival time one partition covers; retention removes whole partitions",
        |config, text| {
            config.store.partition_s = duration(text)?.as_secs();
            if config.store.partition_s == 0 {
                Err("a partition covers at least 1s".to_owned())
            } else {
                Ok(())
            }
        },
        |config| shown(Duration::from_secs(config.store.partition_s))
    ),
    key!(
        "store",
        "partition_size",
        "partition-size",
        "SIZE",
        "Size after which a partition is sealed before its time is over",
        |config, text| {
            config.store.partition_octets = parse_octets(text)?;
            Ok(())
        },
        |config| octets_text(config.store.partition_octets)
    ),
    key!(
        "store",
        "commit",
        "commit",
        "D",
        "Records are searchable after this time, four times of it where many come at once",
        |config, text| {
            config.store.commit_ms = duration(text)?.as_millis() as u64;
            Ok(())
        },
        |config| shown(Duration::from_millis(config.store.commit_ms))
    ),
    key!(
        "store",
        "commit_rows",
        "commit-rows",
        "N",
        "Records that are committed before their time is over",
        |config, text| {
            config.store.commit_rows = count(text)?.max(1);
            Ok(())
        },
        |config| config.store.commit_rows.to_string()
    ),
    key!(
        "store",
        "memory",
        "memory",
        "SIZE",
        "Memory that records not yet committed may take",
        |config, text| {
            config.store.memory_octets = octets(text)?;
            Ok(())
        },
        |config| octets_text(config.store.memory_octets as u64)
    ),
    key!(
        "store",
        "keep",
        "keep",
        "D",
        "Remove partitions that ended this long ago; 0 keeps them",
        |config, text| {
            config.store.retention_s = duration(text)?.as_secs();
            Ok(())
        },
        |config| shown(Duration::from_secs(config.store.retention_s))
    ),
    key!(
        "store",
        "keep_size",
        "keep-size",
        "SIZE",
        "Remove the oldest partitions when all take more than this; 0 keeps them",
        |config, text| {
            config.store.retention_octets = parse_octets(text)?;
            Ok(())
        },
        |config| octets_text(config.store.retention_octets)
    ),
    key!(
        "store",
        "keep_summaries",
        "keep-summaries",
        "D",
        "Remove summaries whose windows ended this long ago; 0 keeps them",
        |config, text| {
            config.summaries.retention_s = duration(text)?.as_secs();
            Ok(())
        },
        |config| shown(Duration::from_secs(config.summaries.retention_s))
    ),
    key!(
        "store",
        "keep_summaries_size",
        "keep-summaries-size",
        "SIZE",
        "Remove the oldest summaries when all take more than this; 0 keeps them",
        |config, text| {
            config.summaries.retention_octets = parse_octets(text)?;
            Ok(())
        },
        |config| octets_text(config.summaries.retention_octets)
    ),
    key!(
        "rollups",
        "enabled",
        "rollups",
        "yes|no",
        "Whether tables of minutes, hours and days are made of what arrives",
        |config, text| {
            config.store.rollups.enabled = match text {
                "yes" | "true" => true,
                "no" | "false" => false,
                _ => return Err(format!("{text:?} is neither yes nor no")),
            };
            Ok(())
        },
        |config| if config.store.rollups.enabled { "yes" } else { "no" }.to_owned()
    ),
    key!(
        "rollups",
        "keep_minutes",
        "keep-minutes",
        "D",
        "Remove rollups of minutes that arrived this long ago; 0 keeps them",
        |config, text| {
            config.store.rollups.minute.seconds = duration(text)?.as_secs();
            Ok(())
        },
        |config| shown(Duration::from_secs(config.store.rollups.minute.seconds))
    ),
    key!(
        "rollups",
        "keep_minutes_size",
        "keep-minutes-size",
        "SIZE",
        "Remove the oldest rollups of minutes when all take more than this; 0 keeps them",
        |config, text| {
            config.store.rollups.minute.octets = parse_octets(text)?;
            Ok(())
        },
        |config| octets_text(config.store.rollups.minute.octets)
    ),
    key!(
        "rollups",
        "keep_hours",
        "keep-hours",
        "D",
        "Remove rollups of hours that arrived this long ago; 0 keeps them",
        |config, text| {
            config.store.rollups.hour.seconds = duration(text)?.as_secs();
            Ok(())
        },
        |config| shown(Duration::from_secs(config.store.rollups.hour.seconds))
    ),
    key!(
        "rollups",
        "keep_hours_size",
        "keep-hours-size",
        "SIZE",
        "Remove the oldest rollups of hours when all take more than this; 0 keeps them",
        |config, text| {
            config.store.rollups.hour.octets = parse_octets(text)?;
            Ok(())
        },
        |config| octets_text(config.store.rollups.hour.octets)
    ),
    key!(
        "rollups",
        "keep_days",
        "keep-days",
        "D",
        "Remove rollups of days that arrived this long ago; 0 keeps them",
        |config, text| {
            config.store.rollups.day.seconds = duration(text)?.as_secs();
            Ok(())
        },
        |config| shown(Duration::from_secs(config.store.rollups.day.seconds))
    ),
    key!(
        "rollups",
        "keep_days_size",
        "keep-days-size",
        "SIZE",
        "Remove the oldest rollups of days when all take more than this; 0 keeps them",
        |config, text| {
            config.store.rollups.day.octets = parse_octets(text)?;
            Ok(())
        },
        |config| octets_text(config.store.rollups.day.octets)
    ),
    key!(
        "templates",
        "lifetime",
        "template-lifetime",
        "D",
        "How long a template that came over UDP stays without being repeated",
        |config, text| {
            config.template_lifetime = duration(text)?;
            Ok(())
        },
        |config| shown(config.template_lifetime)
    ),
    key!(
        "templates",
        "per_domain",
        "templates-per-domain",
        "N",
        "Templates that an exporter may have in one Observation Domain; further ones are refused and counted",
        |config, text| {
            let most = flowgauge_templates::limits::MAX_TEMPLATES_PER_DOMAIN;
            let number = u16::try_from(count(text)?)
                .ok()
                .filter(|number| usize::from(*number) <= most);
            config.templates_per_domain = number.ok_or_else(|| format!("{text:?} is more than {most}"))?;
            Ok(())
        },
        |config| config.templates_per_domain.to_string()
    ),
    key!(
        "templates",
        "pending_age",
        "pending-age",
        "D",
        "How long records wait for a template that has not come yet",
        |config, text| {
            config.pending_age = duration(text)?;
            Ok(())
        },
        |config| shown(config.pending_age)
    ),
    key!(
        "templates",
        "save_interval",
        "template-save-interval",
        "D",
        "How often templates are saved for the next start, beside at the end",
        |config, text| {
            config.template_save_interval = duration(text)?;
            Ok(())
        },
        |config| shown(config.template_save_interval)
    ),
    key!("exporters", "allow", "allow-exporter", "NETWORK",
        "Take flow exports of these addresses and networks only; repeatable",
        list: true,
        |config, text| {
            let items = text.split(',').map(str::trim).filter(|text| !text.is_empty());
            config.exporters.allow = items.map(str::parse).collect::<Result<Vec<Prefix>, String>>()?;
            Ok(())
        },
        |config| config.exporters.allow.iter().map(Prefix::to_string).collect::<Vec<_>>().join(",")),
    key!(
        "exporters",
        "datagrams_per_second",
        "exporter-datagrams",
        "N",
        "Datagrams a second that one exporter may send; more are dropped and counted; 0 is any number",
        |config, text| {
            config.exporters.datagrams_per_second = count(text)?;
            Ok(())
        },
        |config| config.exporters.datagrams_per_second.to_string()
    ),
    key!("exporters", "names", "exporter-name", "NETWORK=NAME",
        "What exporters are called, in the column exporter.name; repeatable",
        list: true,
        |config, text| {
            config.exporters.names = by_prefix(text, |name| Ok(name.to_owned()))?;
            Ok(())
        },
        |config| prefixes_text(&config.exporters.names, String::clone)),
    key!("exporters", "labels", "exporter-label", "NETWORK=KEY:VALUE",
        "Labels of exporters, searchable as label.KEY; repeatable",
        list: true,
        |config, text| {
            config.exporters.labels = by_prefix(text, |label| {
                let parts = label.split_once(':').filter(|(key, _)| is_label_key(key));
                let (key, value) = parts.ok_or_else(|| {
                    format!("{label:?} is not KEY:VALUE with a key of letters, digits, '_' and '-'")
                })?;
                Ok((key.to_owned(), value.to_owned()))
            })?;
            Ok(())
        },
        |config| prefixes_text(&config.exporters.labels, |(key, value)| format!("{key}:{value}"))),
    key!("exporters", "sampling", "exporter-sampling", "NETWORK=N",
        "Sampling of exporters, one packet in N, whatever they say themselves; repeatable",
        list: true,
        |config, text| {
            config.exporters.sampling = by_prefix(text, |interval| {
                count(interval)?.checked_sub(1).map(|less| less + 1).ok_or_else(|| "one in 0 is no sampling".to_owned())
            })?;
            Ok(())
        },
        |config| prefixes_text(&config.exporters.sampling, u64::to_string)),
    key!("exporters", "domains", "exporter-domain", "NETWORK=ID",
        "Observation Domain of exporters, whatever they say themselves; repeatable",
        list: true,
        |config, text| {
            config.exporters.domains = by_prefix(text, |domain| {
                domain.parse().map_err(|_| format!("{domain:?} is no number below 2^32"))
            })?;
            Ok(())
        },
        |config| prefixes_text(&config.exporters.domains, u32::to_string)),
    key!("enrich", "geo", "geo", "FILE",
        "Databases in MaxMind's format, of countries, cities or autonomous systems; read again when they change; repeatable",
        list: true,
        |config, text| {
            let files: Vec<PathBuf> =
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(PathBuf::from).collect();
            if files.len() > GEO_FILES {
                return Err(format!("{} files are too many; at most {GEO_FILES}", files.len()));
            }
            config.enrich.geo = files;
            Ok(())
        },
        |config| config.enrich.geo.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")),
    key!(
        "enrich",
        "networks",
        "networks",
        "FILE",
        "Your networks as CSV (prefix,name,role,site,region,tenant) or TOML ([[network]]); read again when it changes",
        |config, text| {
            config.enrich.networks = path(text);
            Ok(())
        },
        |config| path_text(&config.enrich.networks)
    ),
    key!(
        "enrich",
        "systems",
        "systems-from",
        "WHOSE",
        "Whose word about autonomous systems counts where there are two: exporter or geo",
        |config, text| {
            config.enrich.systems = match text {
                "exporter" => SystemsFrom::Exporter,
                "geo" => SystemsFrom::Geo,
                _ => return Err(format!("{text:?} is neither exporter nor geo")),
            };
            Ok(())
        },
        |config| config.enrich.systems.as_str().to_owned()
    ),
    key!(
        "enrich",
        "services",
        "services",
        "on|off",
        "Whether applications that the exporter does not name get the name of their port's service",
        |config, text| {
            config.enrich.services = match text {
                "on" | "true" => true,
                "off" | "false" => false,
                _ => return Err(format!("{text:?} is neither on nor off")),
            };
            Ok(())
        },
        |config| if config.enrich.services { "on" } else { "off" }.to_owned()
    ),
    key!(
        "enrich",
        "names",
        "observed-names",
        "N",
        "Names of addresses kept from DNS answers and TLS handshakes that were seen; 0 keeps none",
        |config, text| {
            config.enrich.names.entries = usize::try_from(count(text)?)
                .ok()
                .filter(|entries| *entries <= OBSERVED_NAMES)
                .ok_or_else(|| format!("{text:?} is more than {OBSERVED_NAMES}"))?;
            Ok(())
        },
        |config| config.enrich.names.entries.to_string()
    ),
    key!(
        "enrich",
        "names_grace",
        "observed-names-grace",
        "D",
        "How long such a name counts beyond its lifetime, and behind the last flow of who asked for it",
        |config, text| {
            config.enrich.names.grace_ns = i64::try_from(duration(text)?.as_nanos()).unwrap_or(i64::MAX);
            Ok(())
        },
        |config| duration_text(config.enrich.names.grace_ns)
    ),
    key!(
        "alerts",
        "interval",
        "alerts-interval",
        "D",
        "How often rules of alerts are looked at; at least 10s",
        |config, text| {
            let interval = duration(text)?;
            if interval < Duration::from_secs(ALERT_INTERVAL_S) {
                return Err(format!("{text:?} is less than {ALERT_INTERVAL_S}s"));
            }
            config.alerts.interval = interval;
            Ok(())
        },
        |config| shown(config.alerts.interval)
    ),
    key!(
        "alerts",
        "delay",
        "alerts-delay",
        "D",
        "How long before now the window of a rule ends: as long as the active timeout of your exporters",
        |config, text| {
            config.alerts.delay = duration(text)?;
            Ok(())
        },
        |config| shown(config.alerts.delay)
    ),
    key!(
        "alerts",
        "time_limit",
        "alerts-time-limit",
        "D",
        "How long one look at one rule may take",
        |config, text| {
            config.alerts.time_limit = duration(text)?;
            Ok(())
        },
        |config| shown(config.alerts.time_limit)
    ),
    key!("alerts", "webhooks", "alerts-webhook", "URL",
        "Where alerts that fire or are over are sent as JSON by HTTP POST: http://.. or https://..; repeatable",
        list: true,
        |config, text| {
            let urls: Vec<String> =
                text.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect();
            if urls.len() > WEBHOOKS {
                return Err(format!("{} webhooks are too many; at most {WEBHOOKS}", urls.len()));
            }
            urls.iter().try_for_each(|url| check_url(url))?;
            config.alerts.webhooks = urls;
            Ok(())
        },
        |config| config.alerts.webhooks.join(",")),
    key!(
        "alerts",
        "webhook_timeout",
        "alerts-webhook-timeout",
        "D",
        "How long a webhook may take to answer",
        |config, text| {
            let timeout = duration(text)?;
            if timeout.is_zero() {
                return Err("a webhook needs some time to answer".to_owned());
            }
            config.alerts.webhook_timeout = timeout;
            Ok(())
        },
        |config| shown(config.alerts.webhook_timeout)
    ),
    key!(
        "elements",
        "file",
        "elements",
        "FILE",
        "Your own information elements as CSV: pen,id,name,type,semantics,units,status",
        |config, text| {
            config.elements_file = (!text.is_empty()).then(|| PathBuf::from(text));
            Ok(())
        },
        |config| config
            .elements_file
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default()
    ),
    key!(
        "equivalents",
        "file",
        "equivalents",
        "FILE",
        "More elements that mean what a column means, as TOML: \"http.host\" = [\"PEN.ID\", ..]",
        |config, text| {
            config.equivalents_file = (!text.is_empty()).then(|| PathBuf::from(text));
            Ok(())
        },
        |config| config
            .equivalents_file
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default()
    ),
    key!(
        "log",
        "level",
        "log-level",
        "LEVEL",
        "What is logged on standard error: error, warn, info, debug or trace",
        |config, text| {
            let wrong = || format!("{text:?} is not a log level: use error, warn, info, debug or trace");
            text.parse::<tracing_subscriber::filter::Targets>()
                .map_err(|_| wrong())?;
            // A word alone would be taken for the name of a module, of which nothing else is then logged.
            if !text.contains('=') {
                text.parse::<tracing_subscriber::filter::LevelFilter>()
                    .map_err(|_| wrong())?;
            }
            config.log_level = text.to_owned();
            Ok(())
        },
        |config| config.log_level.clone()
    ),
    key!(
        "log",
        "format",
        "log-format",
        "FORMAT",
        "How it is logged: text or json",
        |config, text| {
            config.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(format!("{text:?} is not a log format: use text or json")),
            };
            Ok(())
        },
        |config| match config.log_format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        }
    ),
];
