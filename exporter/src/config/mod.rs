//! Configuration of the exporter: text from flags, environment and file goes in, checked plain values come out.
//!
//! Nothing is opened or resolved here, so that `check` can say all that is wrong without side effects.

mod api;
pub mod cli;
mod describe;
pub mod destination;
pub mod duration;
pub mod file;
mod files;
pub mod keys;
pub mod lines;
mod metering;
pub mod pattern;
mod sflow;
mod size;

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub use api::ApiConfig;
pub use destination::{Destination, Endpoint};
pub use files::{FilesConfig, Keep};
use keys::{Setting, Settings, nearest};
pub use lines::LinesConfig;
pub use metering::{Applications, MeteringConfig, SummarySettings};
pub use sflow::SflowConfig;

use crate::exporting::limits;
use crate::io::live::ANY;
use crate::spool::SpoolConfig;

/// Everything `run` needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where packets come from.
    pub capture: CaptureConfig,
    /// How packets become flows.
    pub metering: MeteringConfig,
    /// How flow records leave.
    pub exporting: ExportingConfig,
    /// How packets and counters are sampled for sFlow.
    pub sflow: SflowConfig,
    /// Where the HTTP API is served, if it is.
    pub api: Option<ApiConfig>,
    /// What is said on standard error.
    pub log: LogConfig,
}

/// Where packets come from.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureConfig {
    /// Interfaces or files.
    pub source: Source,
    /// BPF expression.
    pub filter: Option<String>,
    /// Threads for each interface.
    pub workers: usize,
    /// Octets of the kernel's ring of each worker.
    pub buffer: u32,
    /// Octets looked at of each frame, live.
    pub snaplen: u32,
    /// Whom to become once all is open; `None` for `nobody`, if there is one.
    pub user: Option<String>,
}

/// Live or from files, never both: their clocks differ.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Interface names, at least one.
    Live(Vec<String>),
    /// Files, directories or `-`, at least one.
    Files(Vec<PathBuf>),
}

/// How flow records leave.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportingConfig {
    /// Each gets everything.
    pub to: Vec<Destination>,
    /// These share the records among them, those of a flow at one.
    pub share: Vec<Destination>,
    /// Observation Domain ID.
    pub domain: u32,
    /// Resolution of flow times.
    pub times: Times,
    /// Largest Message over UDP, in octets.
    pub mtu: u16,
    /// Records a second over UDP; `None` is the default of the source.
    pub rate: Option<u64>,
    /// Records that wait for each destination.
    pub queue: usize,
    /// Templates go again over UDP after this long.
    pub template_refresh: Duration,
    /// Templates go again over UDP after this many Messages; 0 for never.
    pub template_refresh_messages: u64,
    /// Trying to deliver at the end stops after this long.
    pub drain_timeout: Duration,
    /// Which part of summaries leaves.
    pub summaries: SummaryExportConfig,
    /// Over SCTP, Flow Records that have not arrived after this long are given up; `None` for never.
    pub sctp_lifetime: Option<Duration>,
    /// Over DTLS, the collector is asked this often whether it is there; zero for never.
    pub dtls_check: Duration,
    /// Where records wait on disk for collectors by TCP, TLS, DTLS and SCTP; `None` for in memory only.
    pub spool: Option<SpoolConfig>,
    /// How to show who we are and to know who a collector is; there when a destination needs it.
    pub tls: Option<TlsFiles>,
    /// When files change and when they go.
    pub files: FilesConfig,
    /// How lines leave.
    pub lines: LinesConfig,
}

/// PEM files, read when a destination starts and again when they have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that a collector's certificate must come from.
    pub ca: PathBuf,
}

/// Which part of summaries leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryExportConfig {
    /// Octets a minute to each destination.
    pub budget: u32,
    /// Whether the images of sketches are sent.
    pub images: bool,
}

impl Default for SummaryExportConfig {
    fn default() -> Self {
        Self {
            budget: limits::SUMMARY_OCTETS,
            images: true,
        }
    }
}

impl SummaryExportConfig {
    fn read(reader: &mut Reader<'_>) -> Self {
        let images = reader
            .one("summary_images", |text| metering::either(text, "on", "off"))
            .unwrap_or(true);
        let default = match images {
            true => limits::SUMMARY_OCTETS,
            false => limits::SUMMARY_OCTETS_WITHOUT_IMAGES,
        };
        Self {
            budget: reader.one("summary_budget", size::budget).unwrap_or(default),
            images,
        }
    }
}

/// Resolution of flow times: which elements carry them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// flowStartMilliseconds and flowEndMilliseconds.
    #[default]
    Milliseconds,
    /// flowStartNanoseconds and flowEndNanoseconds.
    Nanoseconds,
}

/// What is said on standard error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogConfig {
    /// JSON lines in place of text.
    pub json: bool,
    /// Warnings and errors only.
    pub quiet: bool,
}

/// What is wrong with the arguments or the configuration: one line each, ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// At least one.
    pub lines: Vec<String>,
    /// Nothing is wrong, but a source or a destination has to be added on the command line.
    pub only_missing: bool,
}

impl ConfigError {
    /// An error of one line.
    pub fn one(line: impl Into<String>) -> Self {
        Self {
            lines: vec![line.into()],
            only_missing: false,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Puts the settings of the command line and environment over those of the file, if one is named.
///
/// # Errors
/// What is wrong with the file.
pub fn collect(config_file: Option<&Path>, given: Settings) -> Result<Settings, ConfigError> {
    let mut settings = match config_file {
        Some(path) => file::load(path)?,
        None => Settings::new(),
    };
    settings.extend(given);
    Ok(settings)
}

impl Config {
    /// Builds the configuration; whatever is not set takes its default.
    ///
    /// # Errors
    /// Every value that is wrong, and a missing source or destination.
    pub fn build(settings: &Settings) -> Result<Self, ConfigError> {
        let mut reader = Reader {
            settings,
            wrong: Vec::new(),
            missing: Vec::new(),
        };
        let defaults = Defaults::new();
        let source = reader.source();
        let to = reader.list("to", Destination::parse);
        if to.is_empty() && !settings.contains_key("to") && !settings.contains_key("share") {
            reader.missing.push(
                "no destination: add --to DEST, such as --to udp://127.0.0.1:4739, --to file:flows.ipfix or --to json:-"
                    .to_owned(),
            );
        }
        let share = reader.share();
        reader.few_enough_and_different(&[to.as_slice(), &share].concat());
        let tls = reader.tls_files(to.iter().chain(&share));
        let files = FilesConfig::read(&mut reader, &to);
        let lines = LinesConfig::read(&mut reader);
        let source = source.unwrap_or(Source::Files(Vec::new()));
        let api = ApiConfig::read(&mut reader, &source);
        let mut metering = MeteringConfig::read(&mut reader);
        if api.is_some_and(|api| api.is_required) && !settings.contains_key("summaries") {
            metering.summaries.make_for_readers();
        }
        let config = Self {
            capture: CaptureConfig {
                source,
                filter: reader.one("filter", |text| {
                    crate::io::pcap_file::check_filter(text)
                        .map(|()| text.to_owned())
                        .map_err(|fault| fault.to_string())
                }),
                workers: reader
                    .one("workers", |text| number(text, 1, crate::limits::MAX_WORKERS))
                    .unwrap_or(1),
                buffer: reader.one("buffer", size::ring).unwrap_or(crate::limits::RING_OCTETS),
                snaplen: reader
                    .one("snaplen", |text| {
                        number(text, crate::limits::MIN_SNAPLEN, crate::limits::MAX_SNAPLEN)
                    })
                    .unwrap_or(crate::limits::SNAPLEN),
                user: reader.one("user", |text| Ok(text.to_owned())),
            },
            metering,
            exporting: ExportingConfig {
                to,
                share,
                domain: reader
                    .one("domain", |text| number(text, 0, u32::MAX))
                    .unwrap_or(defaults.domain),
                times: reader.one("times", times).unwrap_or_default(),
                mtu: reader
                    .one("mtu", |text| {
                        number(text, limits::MIN_UDP_MESSAGE_OCTETS, limits::MAX_UDP_MESSAGE_OCTETS)
                    })
                    .unwrap_or(limits::UDP_MESSAGE_OCTETS),
                rate: reader.one("rate", |text| number(text, 0, u64::MAX)),
                queue: reader
                    .one("queue", |text| {
                        number(text, limits::MIN_QUEUE_RECORDS, limits::MAX_QUEUE_RECORDS)
                    })
                    .unwrap_or(limits::QUEUE_RECORDS),
                template_refresh: reader
                    .one("template_refresh", positive_duration)
                    .unwrap_or(defaults.template_refresh),
                template_refresh_messages: reader
                    .one("template_refresh_messages", |text| number(text, 0, u64::MAX))
                    .unwrap_or(limits::TEMPLATE_REFRESH_MESSAGES),
                drain_timeout: reader
                    .one("drain_timeout", duration::parse)
                    .unwrap_or(defaults.drain_timeout),
                summaries: SummaryExportConfig::read(&mut reader),
                sctp_lifetime: reader.one("sctp_lifetime", positive_duration),
                dtls_check: reader.one("dtls_check", duration::parse).unwrap_or(limits::DTLS_CHECK),
                spool: reader.spool(),
                tls,
                files,
                lines,
            },
            sflow: SflowConfig::read(&mut reader),
            api,
            log: LogConfig {
                json: reader.one("log", log_form).unwrap_or_default(),
                quiet: reader.one("quiet", switch).unwrap_or_default(),
            },
        };
        match (reader.wrong.is_empty(), reader.missing.is_empty()) {
            (true, true) => Ok(config),
            (true, false) => Err(ConfigError {
                lines: reader.missing,
                only_missing: true,
            }),
            _ => Err(ConfigError {
                lines: reader.wrong,
                only_missing: false,
            }),
        }
    }
}

/// What waits on disk for longer is given up unless told otherwise.
const SPOOL_AGE: Duration = Duration::from_secs(24 * 3600);

struct Defaults {
    template_refresh: Duration,
    drain_timeout: Duration,
    domain: u32,
}

impl Defaults {
    const fn new() -> Self {
        Self {
            template_refresh: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(30),
            domain: 1,
        }
    }
}

/// Takes values out of the settings and gathers what is wrong with them.
struct Reader<'s> {
    settings: &'s Settings,
    wrong: Vec<String>,
    /// What the command line may still add to a file.
    missing: Vec<String>,
}

impl Reader<'_> {
    fn one<T>(&mut self, id: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Setting { values, origin } = self.settings.get(id)?;
        match parse(values.last()?) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong.push(format!("{origin}: {why}"));
                None
            }
        }
    }

    fn list<T>(&mut self, id: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let Some(Setting { values, origin }) = self.settings.get(id) else {
            return Vec::new();
        };
        let mut list = Vec::with_capacity(values.len());
        for text in values {
            match parse(text) {
                Ok(value) => list.push(value),
                Err(why) => self.wrong.push(format!("{origin}: {why}")),
            }
        }
        list
    }

    /// All values of a list at once.
    fn all<T>(&mut self, id: &str, parse: impl Fn(&[String]) -> Result<T, String>) -> Option<T> {
        let Setting { values, origin } = self.settings.get(id)?;
        match parse(values) {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong.push(format!("{origin}: {why}"));
                None
            }
        }
    }

    /// Destinations that share the records.
    fn share(&mut self) -> Vec<Destination> {
        let share = self.list("share", |text| match Destination::parse(text)? {
            to if to.takes_samples() => Err(format!("destination {to} takes samples and cannot share flow records")),
            to => Ok(to),
        });
        if share.len() == 1 {
            self.refuse(
                "share",
                "one destination has nobody to share with; give --share several times, or use --to",
            );
        }
        share
    }

    /// Where records wait on disk, if they do.
    fn spool(&mut self) -> Option<SpoolConfig> {
        let directory = self.one("spool", |text| match text {
            "" => Err("is empty; name a directory, such as /var/lib/flowgauge/spool".to_owned()),
            _ => Ok(PathBuf::from(text)),
        });
        let size = self.one("spool_size", size::spool).unwrap_or(limits::SPOOL_OCTETS);
        let age = self.one("spool_age", positive_duration).unwrap_or(SPOOL_AGE);
        if directory.is_none() {
            for id in ["spool_size", "spool_age"] {
                self.refuse(id, "means nothing without --spool DIR");
            }
        }
        Some(SpoolConfig {
            directory: directory?,
            size,
            age,
        })
    }

    /// All three files, or what is missing when a destination needs them.
    fn tls_files<'d>(&mut self, mut to: impl Iterator<Item = &'d Destination>) -> Option<TlsFiles> {
        let mut file = |id| self.one(id, |text| Ok(PathBuf::from(text)));
        let files = (file("tls_certificate"), file("tls_key"), file("tls_ca"));
        match (files, to.find(|destination| destination.is_secure())) {
            ((Some(certificate), Some(key), Some(ca)), _) => Some(TlsFiles { certificate, key, ca }),
            (_, Some(destination)) => {
                self.missing.push(format!(
                    "{destination} needs --tls-certificate, --tls-key and --tls-ca, each a PEM file"
                ));
                None
            }
            _ => None,
        }
    }

    /// A value that is right by itself and wrong beside another.
    fn refuse(&mut self, id: &str, why: &str) {
        if let Some(Setting { origin, .. }) = self.settings.get(id) {
            self.wrong.push(format!("{origin}: {why}"));
        }
    }

    fn is_from_files(&self) -> bool {
        let rank = |id: &str| self.settings.get(id).map(|setting| setting.origin.rank());
        rank("read") > rank("interface")
    }

    fn source(&mut self) -> Option<Source> {
        let mut interfaces = self.list("interface", |text| Ok(text.to_owned()));
        let mut files = self.list("read", |text| Ok(PathBuf::from(text)));
        // What is nearer wins, as for any other key: a file may name the interface and the command line a capture.
        if let (Some(live), Some(read)) = (self.settings.get("interface"), self.settings.get("read")) {
            match live.origin.rank().cmp(&read.origin.rank()) {
                Ordering::Less => interfaces.clear(),
                Ordering::Equal => {}
                Ordering::Greater => files.clear(),
            }
        }
        match (interfaces.is_empty(), files.is_empty()) {
            (false, true) => {
                self.different_interfaces(&interfaces);
                Some(Source::Live(interfaces))
            }
            (true, false) => Some(Source::Files(files)),
            (true, true) => {
                self.missing.push(
                    "no packets to meter: add --interface IF (`flowgauge-exporter interfaces` lists them) or --read FILE"
                        .to_owned(),
                );
                None
            }
            (false, false) => {
                self.wrong.push(
                    "--interface and --read exclude each other: live packets and files have different clocks"
                        .to_owned(),
                );
                None
            }
        }
    }

    /// Packets of an interface that is captured twice would all count twice: only copies on others are known as such.
    fn different_interfaces(&mut self, interfaces: &[String]) {
        for (at, interface) in interfaces.iter().enumerate() {
            if interfaces.iter().take(at).any(|earlier| earlier == interface) {
                self.wrong.push(format!("interface {interface} is given twice"));
            }
        }
        if interfaces.len() > 1 && interfaces.iter().any(|interface| interface == ANY) {
            self.wrong.push(format!(
                "interface {ANY} captures from all the others already: give it alone"
            ));
        }
    }

    /// Two writers would destroy one file, and a collector would count everything twice.
    fn few_enough_and_different(&mut self, to: &[Destination]) {
        if to.len() > limits::DESTINATIONS {
            self.wrong.push(format!(
                "{} destinations are more than the {} there can be",
                to.len(),
                limits::DESTINATIONS
            ));
        }
        for (at, destination) in to.iter().enumerate() {
            if to.iter().take(at).any(|earlier| earlier == destination) {
                self.wrong.push(format!("destination {destination} is given twice"));
            }
        }
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        Duration::ZERO => Err("must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

fn number<T: FromStr + PartialOrd + fmt::Display>(text: &str, least: T, most: T) -> Result<T, String> {
    match text.replace('_', "").parse::<T>() {
        Ok(number) if number >= least && number <= most => Ok(number),
        _ => Err(format!("`{text}` is not a number from {least} to {most}")),
    }
}

fn times(text: &str) -> Result<Times, String> {
    match text {
        "milliseconds" | "ms" => Ok(Times::Milliseconds),
        "nanoseconds" | "ns" => Ok(Times::Nanoseconds),
        _ => Err(not_one_of(text, &["milliseconds", "nanoseconds"])),
    }
}

fn log_form(text: &str) -> Result<bool, String> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        _ => Err(not_one_of(text, &["text", "json"])),
    }
}

fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| not_one_of(text, &["true", "false"]))
}

fn not_one_of(text: &str, known: &[&str]) -> String {
    let known_list = known.join(" or ");
    match nearest(text, known.iter().copied()) {
        Some(meant) => format!("`{text}` is not {known_list}; did you mean {meant}?"),
        None => format!("`{text}` is not {known_list}"),
    }
}

#[cfg(test)]
mod tests {
    use super::keys::Origin;
    use super::*;

    fn settings(pairs: &[(&'static str, &str)]) -> Settings {
        pairs
            .iter()
            .map(|(id, value)| {
                let setting = Setting {
                    values: value.split(' ').map(str::to_owned).collect(),
                    origin: Origin::Flag(format!("--{}", id.replace('_', "-"))),
                };
                (*id, setting)
            })
            .collect()
    }

    fn lines(pairs: &[(&'static str, &str)]) -> Vec<String> {
        Config::build(&settings(pairs)).unwrap_err().lines
    }

    #[test]
    fn defaults_are_those_of_the_help() {
        let config = Config::build(&settings(&[("read", "a.pcap"), ("to", "json:-")])).unwrap();
        assert_eq!(config.metering.idle_timeout, Duration::from_secs(15));
        assert_eq!(config.metering.active_timeout, Duration::from_secs(60));
        assert_eq!(config.exporting.domain, 1);
        assert_eq!(config.exporting.mtu, 1400);
        assert_eq!(config.exporting.queue, 200_000);
        assert_eq!(config.exporting.template_refresh, Duration::from_secs(600));
        assert_eq!(config.exporting.template_refresh_messages, 1000);
        assert_eq!(config.exporting.drain_timeout, Duration::from_secs(30));
        assert_eq!(config.exporting.times, Times::Milliseconds);
        assert_eq!(config.log, LogConfig::default());
    }

    #[test]
    fn nothing_given_says_what_to_do() {
        let lines = lines(&[]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("--interface IF") && lines[0].contains("--read FILE"));
        assert!(lines[1].contains("--to DEST"));
    }

    #[test]
    fn every_wrong_value_gets_its_line_and_origin() {
        let lines = lines(&[
            ("read", "a.pcap"),
            ("to", "quic://h json:-"),
            ("idle_timeout", "15"),
            ("times", "nanosecond"),
            ("mtu", "10"),
            ("domain", "4294967296"),
        ]);
        assert_eq!(
            lines,
            [
                "--to: destination `quic://h`: unknown scheme `quic`; udp, tcp, tls, dtls, sctp, netflow9, netflow5, sflow, syslog, syslog+tcp, file and json are there",
                "--idle-timeout: `15` is not a duration: write a number and a unit, such as 500ms, 15s, 1m, 2h",
                "--domain: `4294967296` is not a number from 0 to 4294967295",
                "--times: `nanosecond` is not milliseconds or nanoseconds; did you mean nanoseconds?",
                "--mtu: `10` is not a number from 512 to 65507",
            ]
        );
    }

    #[test]
    fn a_source_and_a_destination_only_once() {
        assert_eq!(
            lines(&[("interface", "lo eth0 lo any"), ("to", "json:-")]),
            [
                "interface lo is given twice",
                "interface any captures from all the others already: give it alone"
            ]
        );
        assert!(lines(&[("read", "a"), ("interface", "lo"), ("to", "json:-")])[0].contains("exclude"));
        assert!(lines(&[("read", "a"), ("to", "file:x file:x")])[0].contains("twice"));
    }

    #[test]
    fn captures_on_the_command_line_win_over_interfaces_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("e.toml");
        std::fs::write(&path, "[capture]\ninterface = \"eth0\"\n[exporting]\nto = \"json:-\"\n").unwrap();
        let source = |given| {
            let settings = collect(Some(&path), settings(given)).unwrap();
            Config::build(&settings).unwrap().capture.source
        };
        assert_eq!(source(&[]), Source::Live(vec!["eth0".to_owned()]));
        assert_eq!(source(&[("read", "a.pcap")]), Source::Files(vec!["a.pcap".into()]));
        let two = Source::Live(vec!["lo".to_owned(), "eth1".to_owned()]);
        assert_eq!(source(&[("interface", "lo eth1")]), two);
    }

    #[test]
    fn capture_and_metering_have_defaults_and_bounds() {
        let config = Config::build(&settings(&[("interface", "lo"), ("to", "json:-")])).unwrap();
        assert_eq!((config.capture.workers, config.capture.buffer), (1, 4 << 20));
        assert_eq!((config.capture.snaplen, config.capture.user), (2048, None));
        assert!(config.metering.tcp_performance && config.metering.open_tunnels);
        assert_eq!(config.metering.sampling, crate::metering::Sampling::Everything);
        assert_eq!(
            lines(&[
                ("interface", "lo"),
                ("to", "json:-"),
                ("workers", "0"),
                ("buffer", "64"),
                ("snaplen", "20"),
                ("sample", "10"),
                ("tcp_performance", "yes"),
                ("applications", "tsl"),
                ("tunnels", "close"),
            ])
            .len(),
            7
        );
        let files = [("read", "a"), ("to", "json:-"), ("sample", "adaptive")];
        assert!(lines(&files)[0].starts_with("--sample: adaptive is for live capture"));
    }

    #[test]
    fn flags_win_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("e.toml");
        std::fs::write(
            &path,
            "[exporting]\nto = \"json:-\"\ndomain = 7\n[capture]\nread = \"a\"\n[metering]\nidle_timeout = \"0s\"\n",
        )
        .unwrap();
        let settings = collect(Some(&path), settings(&[("domain", "8")])).unwrap();
        let error = Config::build(&settings).unwrap_err();
        assert_eq!(
            error.lines,
            [format!(
                "{}:7: metering.idle_timeout: must be longer than 0",
                path.display()
            )]
        );
    }
}
