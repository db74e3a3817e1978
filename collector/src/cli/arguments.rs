//! What can be written on the command line. Keys of the configuration become flags of `run` and `check` from their one table.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{Config, KEYS, Key};

const EXAMPLES: &str = "Examples:
  flowgauge-collector run --listen udp://0.0.0.0:4739 --listen tcp://0.0.0.0:4739 --data ./data
  flowgauge-collector query 'src.ip in 10.0.0.0/8 and dst.port = 53' --from -1h
  flowgauge-collector query --top src.ip --by octets --limit 5
  flowgauge-collector decode capture.pcap | jq 'select(.kind == \"record\").fields'
  flowgauge-collector replay capture.pcap --to udp://127.0.0.1:4739 --speed max";

/// Receives flow exports (IPFIX over UDP and TCP), keeps them searchable, and answers by HTTP and on the command line.
#[derive(Debug, Parser)]
#[command(name = "flowgauge-collector", version, max_term_width = 120, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Receive, store and serve until a signal ends it
    #[command(
        after_help = "SIGTERM and SIGINT read sockets and queue empty, commit, and print the accounts. SIGHUP reloads the \
configuration.\n\nExamples:\n  flowgauge-collector run\n  flowgauge-collector run --config collector.toml --http 0.0.0.0:8080"
    )]
    Run(RunArguments),
    /// Search and aggregate stored flows
    #[command(after_help = "Examples:
  flowgauge-collector query 'proto = tcp and octets > 10M' --limit 20
  flowgauge-collector query 'port 53' --top dns.qname --by flows --from now-1d
  flowgauge-collector query --interval 1m --from -1h --format csv
  flowgauge-collector query --top src.ip --by octets --from -30d --tier rollup
  flowgauge-collector query --top app.name --by 'share(octets)' --from -1h --compare 1d --other
  flowgauge-collector query 'port 53' --from -1h --limit all --format parquet -o dns.parquet
  flowgauge-collector query --data ./data 'host 10.0.0.1'")]
    Query(QueryArguments),
    /// Merge summaries of exporters: counters, different values, quantiles and top lists, with their limits
    #[command(
        after_help = "Without METRIC, those stored are listed. A name asks for what is below it, too: dns.qname for the \
number of different names and for the top list of them.\n\nExamples:\n  flowgauge-collector summaries\n  \
flowgauge-collector summaries dns.qname --from -1h\n  \
flowgauge-collector summaries dns.latency --ranks 0.5,0.99 --exporters 192.0.2.1,192.0.2.2"
    )]
    Summaries(SummariesArguments),
    /// Show rules of alerts with their states, or what changed
    #[command(
        after_help = "Rules stand in the configuration as [[alerts.rule]]; `check --config FILE` says whether they can be \
used.\n\nExamples:\n  flowgauge-collector alerts\n  flowgauge-collector alerts --groups\n  \
flowgauge-collector alerts --history --limit 20\n  flowgauge-collector alerts --format json"
    )]
    Alerts(AlertsArguments),
    /// Make the tables of minutes, hours and days again
    #[command(subcommand)]
    Rollups(RollupsCommand),
    /// Print every message, template and record of captures, IPFIX files and raw datagrams as NDJSON
    #[command(
        after_help = "Files are told apart by their first octets. Faults are lines too, and decoding goes on behind them; \
the exit status is 1 when a file could not be read to its end.\n\nExamples:\n  flowgauge-collector decode capture.pcapng\n  \
flowgauge-collector decode templates.dat data.dat"
    )]
    Decode(DecodeArguments),
    /// Send the datagrams of a capture, an IPFIX file or a journal again
    #[command(
        after_help = "Examples:\n  flowgauge-collector replay capture.pcap --to udp://127.0.0.1:4739\n  \
flowgauge-collector replay flows.ipfix --to tcp://127.0.0.1:4739 --speed 10\n  \
flowgauge-collector replay data/journal --to udp://127.0.0.1:4739 --speed max"
    )]
    Replay(ReplayArguments),
    /// List the columns that flows have
    Columns(ColumnsArguments),
    /// List information elements, or show those whose name holds NAME
    Elements(ElementsArguments),
    /// Check a configuration and print what it comes to
    Check(RunArguments),
    /// Say how much disk and memory a rate of flows takes with a configuration
    #[command(
        after_help = "With --data a store of yours is measured: what its flows took is what further ones take. Without, \
what flows of our exporter took elsewhere.\n\nExamples:\n  flowgauge-collector predict --rate 10000 --keep 30d\n  \
flowgauge-collector predict --rate 10000 --config collector.toml --data ./data"
    )]
    Predict(PredictArguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// Arguments of `run` and `check`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// TOML file; every key is also a flag and a variable FLOWGAUGE_SECTION_KEY, and flags win
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keys given as flags.
    #[command(flatten)]
    pub keys: KeyFlags,
}

/// The keys of the configuration that were given as flags.
#[derive(Debug, Default)]
pub struct KeyFlags(pub Vec<(&'static Key, String)>);

impl FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<KeyFlags, clap::Error> {
        let given = KEYS.iter().filter_map(|key| {
            let values: Vec<String> = matches.get_many::<String>(key.flag)?.cloned().collect();
            Some((key, values.join(",")))
        });
        Ok(KeyFlags(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = KeyFlags::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for KeyFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let defaults = Config::default();
        KEYS.iter().fold(command, |command, key| {
            let default = key.text(&defaults);
            let help = if default.is_empty() {
                format!("{} [key: {}]", key.help, key.path())
            } else {
                format!("{} [key: {}] [default: {default}]", key.help, key.path())
            };
            let action = if key.list { ArgAction::Append } else { ArgAction::Set };
            command.arg(
                Arg::new(key.flag)
                    .long(key.flag)
                    .value_name(key.value)
                    .help(help)
                    .action(action),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        KeyFlags::augment_args(command)
    }
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned, with units and labels, for people
    Table,
    /// One object, as the API answers
    Json,
    /// One row a line
    Ndjson,
    /// RFC 4180
    Csv,
    /// Apache Parquet, for DuckDB and its like
    Parquet,
}

/// How much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Everything there is.
    All,
    /// At most so many, at least 1.
    Of(usize),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Limit, String> {
        match text.parse() {
            _ if text.eq_ignore_ascii_case("all") => Ok(Limit::All),
            Ok(0) => Err("0 asks for nothing; it is at least 1".to_owned()),
            Ok(limit) => Ok(Limit::Of(limit)),
            Err(_) => Err("it is a whole number, or all".to_owned()),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::All => f.write_str("all"),
            Limit::Of(limit) => limit.fmt(f),
        }
    }
}

/// Arguments of `query`.
#[derive(Debug, Args)]
pub struct QueryArguments {
    /// Which flows; see the filter language. All unless given
    pub filter: Option<String>,
    /// Collector to ask
    #[arg(
        long,
        value_name = "URL",
        env = "FLOWGAUGE_URL",
        default_value = "http://127.0.0.1:8080",
        conflicts_with = "data"
    )]
    pub url: String,
    /// Read a collector's data directory instead, whether or not one is running
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Flows that end at or after this time: RFC 3339, now-1h, -15m or epoch seconds
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Flows that start before this time
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Group by these columns and give the largest groups; addresses may have prefix lengths: src.ip/24,
    /// or src.ip/24/48 for those of IPv6, too
    #[arg(long, value_name = "FIELD[,FIELD..]", value_delimiter = ',')]
    pub top: Vec<String>,
    /// What groups are ordered by and totals are of: octets, packets, flows, bps, unique(dst.ip), p99(dns.latency),
    /// octets/packets, share(octets), ..
    #[arg(long, value_name = "METRIC")]
    pub by: Option<String>,
    /// A series with buckets of this width, or auto
    #[arg(long, value_name = "D")]
    pub interval: Option<String>,
    /// Beside it, what the same groups had before: previous (as long, right before --from) or how much earlier, like 1d
    #[arg(long, value_name = "previous|D", requires = "from", conflicts_with_all = ["fields", "order"])]
    pub compare: Option<String>,
    /// Count conversations that several exporters saw once: auto (as the one that saw the most packets), or exporters, the
    /// first that saw it
    #[arg(long, value_name = "auto|ADDRESS[,ADDRESS..]")]
    pub once: Option<String>,
    /// Behind the groups, everything outside of them as one more row
    #[arg(long, requires = "top")]
    pub other: bool,
    /// What answers: auto (flows, and rollups of times whose flows are gone), raw, rollup, or windows of a minute, hour or day
    #[arg(long, value_name = "TIER", value_parser = clap::builder::PossibleValuesParser::new(crate::query::TIERS))]
    pub tier: Option<String>,
    /// At most so many rows or groups; all flows that match as csv, ndjson or parquet
    #[arg(long, value_name = "N|all")]
    pub limit: Option<Limit>,
    /// Columns of the list, in this order
    #[arg(long, value_name = "FIELD[,FIELD..]", value_delimiter = ',', conflicts_with_all = ["top", "by", "interval", "tier"])]
    pub fields: Vec<String>,
    /// Column the list is ordered by, with - before it for descending
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, conflicts_with_all = ["top", "by", "interval", "tier"])]
    pub order: Option<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write the answer to this file instead; it has its name once it is whole
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Arguments of `summaries`.
#[derive(Debug, Args)]
pub struct SummariesArguments {
    /// The metric, or what names of metrics begin with
    pub metric: Option<String>,
    /// Collector to ask
    #[arg(
        long,
        value_name = "URL",
        env = "FLOWGAUGE_URL",
        default_value = "http://127.0.0.1:8080",
        conflicts_with = "data"
    )]
    pub url: String,
    /// Read a collector's data directory instead, whether or not one is running
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Windows that end after this time: RFC 3339, now-1h, -15m or epoch seconds
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Windows that start before this time
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Of these exporters; all unless given
    #[arg(long, value_name = "ADDRESS[,ADDRESS..]", value_delimiter = ',')]
    pub exporters: Vec<String>,
    /// At most so many items of a top list
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub limit: Option<usize>,
    /// Ranks of quantiles, from 0 to 1
    #[arg(long, value_name = "RANK[,RANK..]", value_delimiter = ',')]
    pub ranks: Vec<String>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// Forms of what `alerts` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AlertsFormat {
    /// Aligned, for people
    Table,
    /// One object, as the API answers
    Json,
}

/// Arguments of `alerts`.
#[derive(Debug, Args)]
pub struct AlertsArguments {
    /// Collector to ask
    #[arg(
        long,
        value_name = "URL",
        env = "FLOWGAUGE_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub url: String,
    /// A line for each group, too
    #[arg(long, conflicts_with = "history")]
    pub groups: bool,
    /// Changes of states, the newest first
    #[arg(long)]
    pub history: bool,
    /// At most so many changes
    #[arg(long, value_name = "N", requires = "history", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub limit: Option<usize>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = AlertsFormat::Table)]
    pub format: AlertsFormat,
}

/// What can be done with rollups.
#[derive(Debug, Subcommand)]
pub enum RollupsCommand {
    /// Make them again from the flows that are stored; no collector may run on the directory
    #[command(
        after_help = "Only what arrived in the time given is made again, and only where its flows are still there: rollups \
of flows that are gone stay as they are.\n\nExamples:\n  flowgauge-collector rollups rebuild --data ./data\n  \
flowgauge-collector rollups rebuild --data ./data --from -2d"
    )]
    Rebuild(RebuildArguments),
}

/// Arguments of `rollups rebuild`.
#[derive(Debug, Args)]
pub struct RebuildArguments {
    /// The collector's data directory
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Of flows that arrived at or after this time: RFC 3339, now-1h, -15m or epoch seconds
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Of flows that arrived before this time
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub to: Option<String>,
}

/// Forms of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PredictFormat {
    /// For people
    Table,
    /// One object
    Json,
}

/// Arguments of `predict`.
#[derive(Debug, Args)]
pub struct PredictArguments {
    /// Flow records a second
    #[arg(long, value_name = "N", value_parser = rate)]
    pub rate: f64,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = PredictFormat::Table)]
    pub format: PredictFormat,
    /// What the collector would run with.
    #[command(flatten)]
    pub run: RunArguments,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if f64::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("it is a number above 0".to_owned()),
    }
}

/// Arguments of `decode`.
#[derive(Debug, Args)]
pub struct DecodeArguments {
    /// pcap or pcapng captures, IPFIX files, raw datagrams
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Your own information elements as CSV
    #[arg(long, value_name = "FILE")]
    pub elements: Option<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArguments {
    /// Captures, IPFIX files, or a collector's journal: its directory or segments of it
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where to send: udp://HOST:PORT or tcp://HOST:PORT
    #[arg(long, value_name = "DEST")]
    pub to: String,
    /// How many times as fast as recorded, or max
    #[arg(long, value_name = "X|max", default_value = "1")]
    pub speed: String,
}

/// Arguments of `columns`.
#[derive(Debug, Args)]
pub struct ColumnsArguments {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `elements`.
#[derive(Debug, Args)]
pub struct ElementsArguments {
    /// Part of a name, or PEN.ID
    pub name: Option<String>,
    /// Your own information elements as CSV
    #[arg(long, value_name = "FILE")]
    pub elements: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}
