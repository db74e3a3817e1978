//! The one list of settings: each is a key of the TOML file, a flag of `run`, and an environment variable.
//!
//! A setting reaches [`super::Config`] the same way from all three, as text with its [`Origin`], so that a wrong value
//! is refused by one parser and the error says where the value stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// How often a key may be given and what its TOML value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One string, or a number written without quotes.
    Text,
    /// A string or an array of strings; separated by commas in the environment.
    List,
    /// `true` or `false`; a flag without a value.
    Switch,
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Section of the TOML file, and first part of the environment variable.
    pub section: &'static str,
    /// Key within the section.
    pub name: &'static str,
    /// Name of the flag with `_` for `-`: the key's name, where that says enough without its section.
    pub id: &'static str,
    /// What values look like.
    pub shape: Shape,
}

const fn key(section: &'static str, name: &'static str, shape: Shape) -> Key {
    Key {
        section,
        name,
        id: name,
        shape,
    }
}

/// Every setting of `run`. Flag names are unique across sections, because flags have no sections.
pub static KEYS: &[Key] = &[
    key("capture", "interface", Shape::List),
    key("capture", "read", Shape::List),
    key("capture", "filter", Shape::Text),
    key("capture", "workers", Shape::Text),
    key("capture", "buffer", Shape::Text),
    key("capture", "snaplen", Shape::Text),
    key("capture", "user", Shape::Text),
    key("metering", "idle_timeout", Shape::Text),
    key("metering", "active_timeout", Shape::Text),
    key("metering", "max_flows", Shape::Text),
    key("metering", "sample", Shape::Text),
    key("metering", "tcp_performance", Shape::Text),
    key("metering", "applications", Shape::List),
    key("metering", "tunnels", Shape::Text),
    key("metering", "dns", Shape::Text),
    key("metering", "dns_ports", Shape::List),
    key("metering", "dns_timeout", Shape::Text),
    key("metering", "dns_answers", Shape::Text),
    key("metering", "summaries", Shape::Text),
    key("metering", "summary_windows", Shape::Text),
    key("metering", "networks", Shape::List),
    key("metering", "geo", Shape::List),
    key("exporting", "to", Shape::List),
    key("exporting", "share", Shape::List),
    key("exporting", "domain", Shape::Text),
    key("exporting", "times", Shape::Text),
    key("exporting", "mtu", Shape::Text),
    key("exporting", "rate", Shape::Text),
    key("exporting", "queue", Shape::Text),
    key("exporting", "template_refresh", Shape::Text),
    key("exporting", "template_refresh_messages", Shape::Text),
    key("exporting", "drain_timeout", Shape::Text),
    key("exporting", "summary_budget", Shape::Text),
    key("exporting", "summary_images", Shape::Text),
    key("exporting", "sctp_lifetime", Shape::Text),
    key("exporting", "dtls_check", Shape::Text),
    key("exporting", "spool", Shape::Text),
    key("exporting", "spool_size", Shape::Text),
    key("exporting", "spool_age", Shape::Text),
    key("exporting", "tls_certificate", Shape::Text),
    key("exporting", "tls_key", Shape::Text),
    key("exporting", "tls_ca", Shape::Text),
    key("exporting", "rotate", Shape::Text),
    key("exporting", "rotate_size", Shape::Text),
    key("exporting", "keep_files", Shape::Text),
    key("exporting", "keep_age", Shape::Text),
    key("exporting", "keep_size", Shape::Text),
    key("exporting", "syslog_priority", Shape::Text),
    key("exporting", "http_authorization", Shape::Text),
    key("exporting", "http_gzip", Shape::Text),
    key("exporting", "http_ca", Shape::Text),
    Key {
        id: "sflow_sample",
        ..key("sflow", "sample", Shape::Text)
    },
    Key {
        id: "sflow_polling",
        ..key("sflow", "polling", Shape::Text)
    },
    Key {
        id: "sflow_header",
        ..key("sflow", "header", Shape::Text)
    },
    Key {
        id: "sflow_agent",
        ..key("sflow", "agent", Shape::Text)
    },
    Key {
        id: "sflow_sub_agent",
        ..key("sflow", "sub_agent", Shape::Text)
    },
    Key {
        id: "api",
        ..key("api", "address", Shape::Text)
    },
    Key {
        id: "log",
        ..key("log", "format", Shape::Text)
    },
    key("log", "quiet", Shape::Switch),
];

impl Key {
    /// The environment variable: `FLOWGAUGE_SECTION_KEY`.
    pub fn variable(&self) -> String {
        format!("FLOWGAUGE_{}_{}", self.section, self.name).to_ascii_uppercase()
    }

    /// The flag with its dashes.
    pub fn flag(&self) -> String {
        format!("--{}", self.id.replace('_', "-"))
    }
}

/// Where a value was written, to be named when it is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, with its dashes.
    Flag(String),
    /// In the environment.
    Variable(String),
    /// In the TOML file.
    File {
        /// The file as it was named on the command line.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// `section.key`.
        key: String,
    },
}

impl Origin {
    /// Which wins: a flag over the environment, the environment over the file.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Flag(_) => 2,
            Self::Variable(_) => 1,
            Self::File { .. } => 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(text) | Self::Variable(text) => f.write_str(text),
            Self::File { path, line, key } => write!(f, "{}:{line}: {key}", path.display()),
        }
    }
}

/// The values of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// At least one; exactly one unless the key is a [`Shape::List`].
    pub values: Vec<String>,
    /// Where they come from.
    pub origin: Origin,
}

/// Settings by [`Key::id`], before anything is built from them.
pub type Settings = BTreeMap<&'static str, Setting>;

/// The one of `names` that was probably meant, when one is near enough.
pub fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
