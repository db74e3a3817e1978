//! The collector's configuration: one table of keys, read from defaults, a TOML file, the environment and flags, in that order.
//!
//! Every key is `section.name` in the file, `FLOWGAUGE_SECTION_NAME` in the environment and a flag; all three give text to
//! the same setter, so that a value means and complains the same everywhere.

mod file;
mod keys;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::alerts::{AlertsConfig, rules_toml};
use crate::collecting::ExporterRules;
use crate::enrich::EnrichConfig;
use crate::failure::{Failure, nearest};
use crate::io::listener::{DEFAULT_LISTENERS, ListenAddress};
use crate::io::relay::RelayAddress;
use crate::io::tls::TlsConfig;
use crate::store::StoreConfig;
use crate::summaries::SummariesConfig;

pub use file::read_file;
pub use keys::KEYS;

/// Everything the collector can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen for flow exports.
    pub listeners: Vec<ListenAddress>,
    /// Receive buffer asked of the kernel for each UDP socket, octets.
    pub receive_buffer_octets: usize,
    /// What may wait between receiving and the journal, octets.
    pub queue_octets: usize,
    /// Sockets, and threads that read them, of each UDP address.
    pub receivers: usize,
    /// What the journal may take on disk, octets; 0 keeps none.
    pub journal_octets: u64,
    /// How old what is journaled may be before it is durable.
    pub journal_sync: Duration,
    /// How long the journal stays after it was indexed.
    pub journal_keep: Duration,
    /// Where copies of datagrams go.
    pub relays: Vec<RelayAddress>,
    /// Connections at one time, each listener.
    pub tcp_connections: u64,
    /// A connection without a Message for this long is closed; zero keeps it.
    pub tcp_idle: Duration,
    /// Certificates of `tls://`.
    pub tls: TlsConfig,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// How long one query over HTTP may take.
    pub query_timeout: Duration,
    /// Where data is kept.
    pub data: PathBuf,
    /// How the store behaves.
    pub store: StoreConfig,
    /// How long summaries are kept.
    pub summaries: SummariesConfig,
    /// How long a template that came over UDP stays without being repeated.
    pub template_lifetime: Duration,
    /// Templates of an exporter in one Observation Domain.
    pub templates_per_domain: u16,
    /// How long Sets wait for their template.
    pub pending_age: Duration,
    /// How often templates are saved, beside at the end.
    pub template_save_interval: Duration,
    /// What the user says about exporters.
    pub exporters: ExporterRules,
    /// What rows get besides what their records say.
    pub enrich: EnrichConfig,
    /// What is looked at again and again, and who is told.
    pub alerts: AlertsConfig,
    /// A user's own elements (CSV).
    pub elements_file: Option<PathBuf>,
    /// A user's elements that mean what columns mean (TOML).
    pub equivalents_file: Option<PathBuf>,
    /// What is logged: a level, or per module as `tracing` filters have it.
    pub log_level: String,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            listeners: DEFAULT_LISTENERS.iter().filter_map(|text| text.parse().ok()).collect(),
            receive_buffer_octets: 32 << 20,
            queue_octets: 256 << 20,
            receivers: 1,
            relays: Vec::new(),
            journal_octets: 4 << 30,
            journal_sync: Duration::from_secs(1),
            journal_keep: Duration::ZERO,
            tcp_connections: 1_024,
            tcp_idle: Duration::ZERO,
            tls: TlsConfig::default(),
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            query_timeout: Duration::from_secs(30),
            data: default_data_directory(),
            store: StoreConfig::default(),
            summaries: SummariesConfig::default(),
            template_lifetime: Duration::from_secs(u64::from(flowgauge_templates::limits::TEMPLATE_LIFETIME_S)),
            pending_age: Duration::from_secs(u64::from(flowgauge_templates::limits::PENDING_AGE_S)),
            templates_per_domain: flowgauge_templates::limits::MAX_TEMPLATES_PER_DOMAIN as u16,
            template_save_interval: Duration::from_secs(60),
            exporters: ExporterRules::default(),
            enrich: EnrichConfig::default(),
            alerts: AlertsConfig::default(),
            elements_file: None,
            equivalents_file: None,
            log_level: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

impl Config {
    /// Where the journal lies.
    pub fn journal_directory(&self) -> PathBuf {
        self.data.join("journal")
    }
}

/// `/var/lib/flowgauge` for root, else `$XDG_DATA_HOME/flowgauge` or `~/.local/share/flowgauge`.
pub fn default_data_directory() -> PathBuf {
    // SAFETY: geteuid reads a number of this process and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        return PathBuf::from("/var/lib/flowgauge");
    }
    if let Some(base) = std::env::var_os("XDG_DATA_HOME").filter(|base| !base.is_empty()) {
        return Path::new(&base).join("flowgauge");
    }
    let home = std::env::var_os("HOME").unwrap_or_else(|| ".".into());
    Path::new(&home).join(".local/share/flowgauge")
}

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// The table it stands in.
    pub section: &'static str,
    /// Its name within the table.
    pub name: &'static str,
    /// Its flag, without the dashes.
    pub flag: &'static str,
    /// What its value is called in help.
    pub value: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Whether it takes several values.
    pub list: bool,
    set: fn(&mut Config, &str) -> Result<(), String>,
    text: fn(&Config) -> String,
}

impl Key {
    /// `section.name`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// `FLOWGAUGE_SECTION_NAME`.
    pub fn variable(&self) -> String {
        format!("FLOWGAUGE_{}_{}", self.section, self.name).to_ascii_uppercase()
    }

    /// Sets it from text, lists with commas between their values.
    ///
    /// # Errors
    /// What is wrong with the text and what it should look like.
    pub fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        (self.set)(config, text)
    }

    /// Its value as [`Key::set`] reads it.
    pub fn text(&self, config: &Config) -> String {
        (self.text)(config)
    }
}

/// The key called `section.name`.
pub fn key(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// Defaults, then the file, then the environment, then flags (each a key and its text).
///
/// # Errors
/// The first thing that is wrong, with its place; exit status 2.
pub fn load(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (String, String)>,
    flags: &[(&'static Key, String)],
) -> Result<Config, Failure> {
    let mut config = Config::default();
    if let Some(path) = file {
        read_file(&mut config, path)?;
    }
    let mut variables: Vec<_> = variables
        .into_iter()
        .filter(|(name, _)| name.starts_with("FLOWGAUGE_"))
        .collect();
    variables.sort();
    for (name, text) in variables {
        match KEYS.iter().find(|key| key.variable() == name) {
            Some(key) => key
                .set(&mut config, &text)
                .map_err(|why| Failure::usage(format!("{name}: {why}")))?,
            None => unknown_variable(&name)?,
        }
    }
    for (key, text) in flags {
        key.set(&mut config, text)
            .map_err(|why| Failure::usage(format!("--{}: {why}", key.flag)))?;
    }
    Ok(config)
}

/// Other programs of the family have variables of their own; one in a section of ours is a slip.
fn unknown_variable(name: &str) -> Result<(), Failure> {
    let section = |key: &Key| format!("FLOWGAUGE_{}_", key.section.to_ascii_uppercase());
    if !KEYS.iter().any(|key| name.starts_with(&section(key))) {
        return Ok(());
    }
    let names: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let near = nearest(name, names.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Err(Failure::usage(format!("environment: unknown variable {name}{near}")))
}

/// The configuration as a TOML file with a comment above every key.
pub fn to_toml(config: &Config) -> String {
    let mut text = String::new();
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            text.push_str(&format!("{}[{section}]\n", if text.is_empty() { "" } else { "\n" }));
        }
        let value = key.text(config);
        let quoted = if key.list {
            let items: Vec<String> = value.split(',').map(|item| format!("{item:?}")).collect();
            format!("[{}]", items.join(", "))
        } else {
            format!("{value:?}")
        };
        text.push_str(&format!("# {}\n{} = {quoted}\n", key.help, key.name));
    }
    text.push_str(&rules_toml(&config.alerts.rules));
    text
}

#[cfg(test)]
mod tests;
