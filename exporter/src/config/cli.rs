//! The command line. It only collects text; [`super::Config`] is built from it afterwards, so that a value in the
//! environment or in the file is refused in the same words as a flag.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, Parser, Subcommand};

use super::ConfigError;
use super::keys::{KEYS, Key, Origin, Setting, Settings, Shape, nearest};
use crate::summaries::limits::{LIST_ROWS, MAX_LIST_ROWS};
use crate::summaries::networks::Networks;

/// Turns packets into IPFIX flow records.
#[derive(Debug, Parser)]
#[command(name = "flowgauge-exporter", version, about, max_term_width = 110)]
#[command(propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Capture packets, meter them as flows and send the flow records
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// Sum captures up as JSON: counters, unique values, quantiles and top lists, with the limits of each estimate
    #[command(after_help = "Example: flowgauge-exporter summary --read day.pcap.gz | jq '.metrics[\"ip.src\"]'")]
    Summary(SummaryArgs),
    /// Show what traffic is made of, live in the terminal: rates, top lists, DNS; or as JSON; or a few numbers at once
    #[command(after_help = TOP_EXAMPLES)]
    Top(TopArgs),
    /// List the interfaces that packets can be captured from
    Interfaces,
    /// Read a configuration file and say what is wrong with it
    Check {
        /// The TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print the completion script of a shell
    #[command(after_help = "Example: flowgauge-exporter completions bash > /etc/bash_completion.d/flowgauge-exporter")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff)
    #[command(after_help = "Example: flowgauge-exporter man | man -l -")]
    Man,
}

const RUN_EXAMPLES: &str = "\
Examples:
  flowgauge-exporter run --interface eth0 --to udp://collector.example:4739
  flowgauge-exporter run --read day.pcap.gz --to file:day.ipfix
  flowgauge-exporter run --read a.pcap b.pcap --to tcp://[::1]:4739 --to json:-
  tcpdump -w - | flowgauge-exporter run --read - --filter 'not port 22' --to json:-
  flowgauge-exporter run --interface eth0 --workers 4 --buffer 64M --sample adaptive --to tcp://[::1]:4739
  flowgauge-exporter run --interface eth0 eth1 --sample flow:1/16 --applications tls,quic --to udp://h
  flowgauge-exporter run --interface eth0 --rotate 5m --keep-age 7d --to file:/var/flows/%F/%H%M.ipfix
  flowgauge-exporter run --config /etc/flowgauge/exporter.toml

DEST: udp://HOST[:4739], tcp://HOST[:4739], tls://HOST[:4740] and dtls://HOST[:4740]
      (both ends with a certificate), sctp://HOST[:4739] (Linux with SCTP), netflow9://HOST[:2055] and netflow5://HOST[:2055]
      (collectors that do not read IPFIX), sflow://HOST[:6343] (samples of packets and
      counters, no flow records; see --sflow-sample), file:PATH (IPFIX File, RFC 5655), json:PATH or json:- (one object a line),
      json:tcp://HOST:PORT, json:http://HOST[:80]/PATH and json:https:// (lines, NDJSON by POST),
      syslog://HOST[:514] and syslog+tcp://HOST[:514] (RFC 5424, JSON as the text)
PATH may have the time of a file in it, in UTC: file:/var/flows/%Y%m%d-%H%M.ipfix; see --rotate, --keep-files
Durations: 500ms, 15s, 1m, 2h
Sampling: 1/100 every 100th packet, random:1/100 one of each 100 at random (random:3/100 three),
      probability:0.01 each packet with this chance, flow:1/100 one flow in 100 with all its
      packets, adaptive 1/2, 1/4, 1/8 and so on while the capture cannot keep up

Every flag is also a key of the file ([metering] idle_timeout) and an environment variable
(FLOWGAUGE_METERING_IDLE_TIMEOUT, values of lists separated by commas). A flag wins over
the environment, the environment over the file.

SIGTERM and SIGINT end all flows, send what is queued and print the accounts; a second one
gives up what is queued. A file grows as PATH.part until it is complete.

Exit status: 0 done, 1 failed while running or records lost at the end, 2 wrong arguments
or configuration.";

const TOP_EXAMPLES: &str = "\
Examples:
  flowgauge-exporter top --interface eth0
  flowgauge-exporter top --read day.pcap.gz --networks 10.0.0.0/8
  flowgauge-exporter top --url http://127.0.0.1:10853
  flowgauge-exporter top --interface eth0 --packets 5000
  flowgauge-exporter top --interface eth0 --json | jq .rates

Keys: 1 to 4 or Tab change the page, / filters names, s sorts, p pauses, w shows the newest
window only, up and down scroll, q quits.";

/// The flags of `top`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("from").required(true))]
pub struct TopArgs {
    /// Capture live from this interface
    #[arg(short, long, value_name = "IF", group = "from")]
    pub interface: Option<String>,
    /// Read captures: pcap or pcapng, plain, gzip or zstd; a directory means its files by name, - standard input
    #[arg(short, long, value_name = "FILE|DIR|-", num_args = 1.., group = "from")]
    pub read: Vec<PathBuf>,
    /// Ask the exporter that serves its API there, such as http://127.0.0.1:10853
    #[arg(short, long, value_name = "URL", group = "from")]
    pub url: Option<String>,
    /// Only packets that match this BPF expression, as tcpdump takes it
    #[arg(short, long, value_name = "BPF", conflicts_with = "url")]
    pub filter: Option<String>,
    /// What is ours, separated by commas, so that in is told from out [default: the addresses of the interface]
    #[arg(long, value_name = "CIDR,..", value_parser = networks, conflicts_with = "url")]
    pub networks: Option<Networks>,
    /// MaxMind database of countries or of autonomous systems (may be repeated: one of each)
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub geo: Vec<PathBuf>,
    /// Print packets out, packets in and the busiest destinations of the first N packets, and end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "url")]
    pub packets: Option<u64>,
    /// Print one JSON object a second, or one when files are read, in place of the page
    #[arg(long)]
    pub json: bool,
}

/// The flags of `summary`.
#[derive(Debug, Args)]
pub struct SummaryArgs {
    /// Captures: pcap or pcapng, plain, gzip or zstd; a directory means its files by name, - standard input
    #[arg(short, long, value_name = "FILE|DIR|-", num_args = 1.., required = true)]
    pub read: Vec<PathBuf>,
    /// Only packets that match this BPF expression, as tcpdump takes it
    #[arg(short, long, value_name = "BPF")]
    pub filter: Option<String>,
    /// Length of the windows that are merged, 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = window)]
    pub window: Duration,
    /// Rows of each top list
    #[arg(long, value_name = "N", default_value_t = LIST_ROWS, value_parser = rows)]
    pub rows: usize,
    /// Networks that are ours, separated by commas: they tell traffic in from traffic out
    #[arg(long, value_name = "CIDR,..", value_parser = networks)]
    pub networks: Option<Networks>,
    /// MaxMind database of countries or of autonomous systems (may be repeated: one of each)
    #[arg(long, value_name = "FILE")]
    pub geo: Vec<PathBuf>,
}

fn networks(text: &str) -> Result<Networks, String> {
    Networks::parse(text.split(',').map(str::trim))
}

fn window(text: &str) -> Result<Duration, String> {
    let window = super::duration::parse(text)?;
    match super::metering::is_window(window) {
        true => Ok(window),
        false => Err("a window lasts from 1s to 1h".to_owned()),
    }
}

fn rows(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rows) if rows <= MAX_LIST_ROWS => Ok(rows),
        _ => Err(format!("write a number up to {MAX_LIST_ROWS}")),
    }
}

/// The flags of `run`: all text, all optional. The names of the fields are the ids in [`KEYS`].
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Settings from a TOML file; flags and environment win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Capture live from this interface (may be repeated)
    #[arg(short, long, value_name = "IF", num_args = 1.., env = "FLOWGAUGE_CAPTURE_INTERFACE", help_heading = "Capture")]
    interface: Vec<String>,
    /// Read captures: pcap or pcapng, plain, gzip or zstd; a directory means its files by name, - standard input
    #[arg(short, long, value_name = "FILE|DIR|-", num_args = 1.., env = "FLOWGAUGE_CAPTURE_READ", help_heading = "Capture")]
    read: Vec<String>,
    /// Meter only packets that match this BPF expression, as tcpdump takes it
    #[arg(
        short,
        long,
        value_name = "BPF",
        env = "FLOWGAUGE_CAPTURE_FILTER",
        help_heading = "Capture"
    )]
    filter: Option<String>,
    /// Threads for each interface; the kernel spreads flows over them, both directions of one to the same [default: 1]
    #[arg(long, value_name = "N", env = "FLOWGAUGE_CAPTURE_WORKERS", help_heading = "Capture")]
    workers: Option<String>,
    /// Size of the kernel's ring, for each worker of each interface: 512K, 64M, 1G [default: 4M]
    #[arg(
        long,
        value_name = "SIZE",
        env = "FLOWGAUGE_CAPTURE_BUFFER",
        help_heading = "Capture"
    )]
    buffer: Option<String>,
    /// Octets of each frame that are looked at, live; counters are of the whole packet [default: 2048]
    #[arg(long, value_name = "N", env = "FLOWGAUGE_CAPTURE_SNAPLEN", help_heading = "Capture")]
    snaplen: Option<String>,
    /// Started as root and capturing live, become this user once all is open; root stays root [default: nobody]
    #[arg(long, value_name = "NAME", env = "FLOWGAUGE_CAPTURE_USER", help_heading = "Capture")]
    user: Option<String>,

    /// End a flow after this long without a packet [default: 15s]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_METERING_IDLE_TIMEOUT",
        help_heading = "Metering"
    )]
    idle_timeout: Option<String>,
    /// Report a flow that goes on at least this often [default: 60s]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_METERING_ACTIVE_TIMEOUT",
        help_heading = "Metering"
    )]
    active_timeout: Option<String>,
    /// Hold at most this many flows; beyond it the oldest are ended early [default: 1048576]
    #[arg(
        long,
        value_name = "N",
        env = "FLOWGAUGE_METERING_MAX_FLOWS",
        help_heading = "Metering"
    )]
    max_flows: Option<String>,
    /// Meter a part of the packets, 1/N, random:n/N or probability:P, or of the flows, flow:1/N; adaptive: all, unless that
    /// is too much [default: all]
    #[arg(
        long,
        value_name = "HOW",
        env = "FLOWGAUGE_METERING_SAMPLE",
        help_heading = "Metering"
    )]
    sample: Option<String>,
    /// Measure how TCP fares (round trips, retransmissions, ..): on or off [default: on]
    #[arg(
        long,
        value_name = "on|off",
        env = "FLOWGAUGE_METERING_TCP_PERFORMANCE",
        help_heading = "Metering"
    )]
    tcp_performance: Option<String>,
    /// Protocols to read names from: all, none, or some, separated by commas; arp only when it is named [default: all]
    #[arg(
        long,
        value_name = "NAMES",
        env = "FLOWGAUGE_METERING_APPLICATIONS",
        help_heading = "Metering"
    )]
    applications: Vec<String>,
    /// Meter what is inside of tunnels (open), or the tunnels (closed) [default: open]
    #[arg(
        long,
        value_name = "open|closed",
        env = "FLOWGAUGE_METERING_TUNNELS",
        help_heading = "Metering"
    )]
    tunnels: Option<String>,
    /// Pair DNS queries with their responses, a record for each transaction beside the flows: on or off [default: off]
    #[arg(
        long,
        value_name = "on|off",
        env = "FLOWGAUGE_METERING_DNS",
        help_heading = "Metering"
    )]
    dns: Option<String>,
    /// Ports on which DNS is spoken, up to four; mDNS is known by its own [default: 53]
    #[arg(
        long,
        value_name = "PORTS",
        env = "FLOWGAUGE_METERING_DNS_PORTS",
        help_heading = "Metering"
    )]
    dns_ports: Vec<String>,
    /// Take a DNS query without a response for this long as unanswered [default: 5s]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_METERING_DNS_TIMEOUT",
        help_heading = "Metering"
    )]
    dns_timeout: Option<String>,
    /// Read the answers of one DNS response in N: 1/N, all or off [default: 1/16]
    #[arg(
        long,
        value_name = "HOW",
        env = "FLOWGAUGE_METERING_DNS_ANSWERS",
        help_heading = "Metering"
    )]
    dns_answers: Option<String>,
    /// Sum packets and DNS transactions up in windows of this length, 1s to 1h, and export them: on (60s) or off [default: off]
    #[arg(
        long,
        value_name = "on|off|TIME",
        env = "FLOWGAUGE_METERING_SUMMARIES",
        help_heading = "Metering"
    )]
    summaries: Option<String>,
    /// Closed windows of summaries that are kept for whoever asks on this host [default: 5]
    #[arg(
        long,
        value_name = "N",
        env = "FLOWGAUGE_METERING_SUMMARY_WINDOWS",
        help_heading = "Metering"
    )]
    summary_windows: Option<String>,
    /// Networks that are ours: they tell traffic in from traffic out in summaries [default: live, this host's addresses]
    #[arg(
        long,
        value_name = "CIDR,..",
        env = "FLOWGAUGE_METERING_NETWORKS",
        help_heading = "Metering"
    )]
    networks: Vec<String>,
    /// MaxMind database of countries or of autonomous systems, for summaries and the client_country of lines (may be repeated: one of each)
    #[arg(long, value_name = "FILE", env = "FLOWGAUGE_METERING_GEO", help_heading = "Metering")]
    geo: Vec<String>,

    /// Send all flow records to this destination (may be repeated; each gets everything). Behind a comma, as in
    /// tcp://a,tcp://b, collectors by TCP, TLS, DTLS or SCTP that stand in where the first does not answer
    #[arg(long, value_name = "DEST", num_args = 1.., env = "FLOWGAUGE_EXPORTING_TO", help_heading = "Exporting")]
    to: Vec<String>,
    /// Share all flow records among these destinations (to be repeated): those of a flow go to the same one
    #[arg(long, value_name = "DEST", num_args = 1.., env = "FLOWGAUGE_EXPORTING_SHARE", help_heading = "Exporting")]
    share: Vec<String>,
    /// Observation Domain ID of the Messages [default: 1]
    #[arg(
        long,
        value_name = "ID",
        env = "FLOWGAUGE_EXPORTING_DOMAIN",
        help_heading = "Exporting"
    )]
    domain: Option<String>,
    /// Resolution of flow times: milliseconds or nanoseconds [default: milliseconds]
    #[arg(
        long,
        value_name = "UNIT",
        env = "FLOWGAUGE_EXPORTING_TIMES",
        help_heading = "Exporting"
    )]
    times: Option<String>,
    /// Largest Message over UDP, in octets of datagram payload [default: 1400]
    #[arg(
        long,
        value_name = "OCTETS",
        env = "FLOWGAUGE_EXPORTING_MTU",
        help_heading = "Exporting"
    )]
    mtu: Option<String>,
    /// Most records a second over UDP, 0 for no limit [default: 50000 when reading files, no limit live]
    #[arg(long, value_name = "N", env = "FLOWGAUGE_EXPORTING_RATE", help_heading = "Exporting")]
    rate: Option<String>,
    /// Records that wait for each destination; live, the oldest go when it is full [default: 200000]
    #[arg(
        long,
        value_name = "N",
        env = "FLOWGAUGE_EXPORTING_QUEUE",
        help_heading = "Exporting"
    )]
    queue: Option<String>,
    /// Over UDP, send templates, types and statistics again this often [default: 10m]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_EXPORTING_TEMPLATE_REFRESH",
        help_heading = "Exporting"
    )]
    template_refresh: Option<String>,
    /// Over UDP, send templates again after this many Messages, 0 for never [default: 1000]
    #[arg(
        long,
        value_name = "N",
        env = "FLOWGAUGE_EXPORTING_TEMPLATE_REFRESH_MESSAGES",
        help_heading = "Exporting"
    )]
    template_refresh_messages: Option<String>,
    /// Give a destination up that takes nothing for this long, at the end or while files are read [default: 30s]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_EXPORTING_DRAIN_TIMEOUT",
        help_heading = "Exporting"
    )]
    drain_timeout: Option<String>,
    /// Octets of summaries a minute to each destination, whatever the traffic does [default: 64K, without images 6800]
    #[arg(
        long,
        value_name = "SIZE",
        env = "FLOWGAUGE_EXPORTING_SUMMARY_BUDGET",
        help_heading = "Exporting"
    )]
    summary_budget: Option<String>,
    /// Send the images of sketches, by which summaries of several exporters are merged: on or off [default: on]
    #[arg(
        long,
        value_name = "on|off",
        env = "FLOWGAUGE_EXPORTING_SUMMARY_IMAGES",
        help_heading = "Exporting"
    )]
    summary_images: Option<String>,
    /// Over SCTP, give flow records up that have not arrived after this long (RFC 3758) [default: never]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_EXPORTING_SCTP_LIFETIME",
        help_heading = "Exporting"
    )]
    sctp_lifetime: Option<String>,
    /// Over DTLS, ask the collector this often whether it is there, ten times rarer while nothing is sent; 0 for never [default: 1s]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_EXPORTING_DTLS_CHECK",
        help_heading = "Exporting"
    )]
    dtls_check: Option<String>,
    /// Keep records on disk until a collector by TCP, TLS, DTLS or SCTP has them: outages and restarts then lose none.
    /// Each destination has a folder of its own in DIR [default: in memory only, see --queue]
    #[arg(
        long,
        value_name = "DIR",
        env = "FLOWGAUGE_EXPORTING_SPOOL",
        help_heading = "Exporting"
    )]
    spool: Option<String>,
    /// Octets on disk for each destination; beyond them the oldest records are given up, and declared [default: 1G]
    #[arg(
        long,
        value_name = "SIZE",
        env = "FLOWGAUGE_EXPORTING_SPOOL_SIZE",
        help_heading = "Exporting"
    )]
    spool_size: Option<String>,
    /// Records that have waited on disk for longer are given up, and declared [default: 24h]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_EXPORTING_SPOOL_AGE",
        help_heading = "Exporting"
    )]
    spool_age: Option<String>,
    /// For tls:// and dtls://, what the collector knows us by: a certificate and those it was issued with (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "FLOWGAUGE_EXPORTING_TLS_CERTIFICATE",
        help_heading = "Exporting"
    )]
    tls_certificate: Option<String>,
    /// For tls:// and dtls://, the private key of the certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "FLOWGAUGE_EXPORTING_TLS_KEY",
        help_heading = "Exporting"
    )]
    tls_key: Option<String>,
    /// For tls:// and dtls://, the authorities that a collector's certificate must come from (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "FLOWGAUGE_EXPORTING_TLS_CA",
        help_heading = "Exporting"
    )]
    tls_ca: Option<String>,
    /// Begin a new file after this long, at multiples of it in UTC; captures are read with their own time. A name with a
    /// time in it, as file:%Y%m%d-%H%M.ipfix, does so whenever it changes [default: one file]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_EXPORTING_ROTATE",
        help_heading = "Files"
    )]
    rotate: Option<String>,
    /// Begin a new file rather than let one grow beyond this [default: no limit]
    #[arg(
        long,
        value_name = "SIZE",
        env = "FLOWGAUGE_EXPORTING_ROTATE_SIZE",
        help_heading = "Files"
    )]
    rotate_size: Option<String>,
    /// Of files that change, keep at most so many of each destination; the oldest go [default: all]
    #[arg(
        long,
        value_name = "N",
        env = "FLOWGAUGE_EXPORTING_KEEP_FILES",
        help_heading = "Files"
    )]
    keep_files: Option<String>,
    /// Of files that change, keep none that was completed longer ago than this [default: all]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLOWGAUGE_EXPORTING_KEEP_AGE",
        help_heading = "Files"
    )]
    keep_age: Option<String>,
    /// Of files that change, keep at most so many octets of each destination [default: all]
    #[arg(
        long,
        value_name = "SIZE",
        env = "FLOWGAUGE_EXPORTING_KEEP_SIZE",
        help_heading = "Files"
    )]
    keep_size: Option<String>,
    /// For syslog, FACILITY.SEVERITY or the number of both [default: local0.info]
    #[arg(
        long,
        value_name = "PRI",
        env = "FLOWGAUGE_EXPORTING_SYSLOG_PRIORITY",
        help_heading = "Lines"
    )]
    syslog_priority: Option<String>,
    /// For json:http, a file with `Bearer TOKEN` or USER:PASSWORD, as @FILE; these themselves in the environment or the
    /// TOML file only [default: none]
    #[arg(
        long,
        value_name = "@FILE",
        env = "FLOWGAUGE_EXPORTING_HTTP_AUTHORIZATION",
        help_heading = "Lines"
    )]
    http_authorization: Option<String>,
    /// For json:http, compress what is posted: on or off [default: off]
    #[arg(
        long,
        value_name = "on|off",
        env = "FLOWGAUGE_EXPORTING_HTTP_GZIP",
        help_heading = "Lines"
    )]
    http_gzip: Option<String>,
    /// For json:https, the authorities that the server's certificate must come from (PEM) [default: the system's]
    #[arg(
        long,
        value_name = "FILE",
        env = "FLOWGAUGE_EXPORTING_HTTP_CA",
        help_heading = "Lines"
    )]
    http_ca: Option<String>,

    /// For sflow://, sample one packet in N at random, 1/N, or none, off; apart from --sample [default: 1/1000]
    #[arg(long, value_name = "1/N|off", env = "FLOWGAUGE_SFLOW_SAMPLE", help_heading = "sFlow")]
    sflow_sample: Option<String>,
    /// For sflow://, send counters of interfaces and of the host at least this often, live, or off [default: 30s]
    #[arg(
        long,
        value_name = "TIME|off",
        env = "FLOWGAUGE_SFLOW_POLLING",
        help_heading = "sFlow"
    )]
    sflow_polling: Option<String>,
    /// For sflow://, octets of a sampled packet that are sent [default: 128]
    #[arg(long, value_name = "N", env = "FLOWGAUGE_SFLOW_HEADER", help_heading = "sFlow")]
    sflow_header: Option<String>,
    /// For sflow://, the address that tells this host from others [default: the one that sends to the first collector]
    #[arg(long, value_name = "ADDR", env = "FLOWGAUGE_SFLOW_AGENT", help_heading = "sFlow")]
    sflow_agent: Option<String>,
    /// For sflow://, the number that tells this agent from others of this host [default: 0]
    #[arg(long, value_name = "N", env = "FLOWGAUGE_SFLOW_SUB_AGENT", help_heading = "sFlow")]
    sflow_sub_agent: Option<String>,

    /// Serve rates, summaries and metrics over HTTP here, or off [default: 127.0.0.1:10853 live, off when reading files].
    /// Given an address, summaries are made for those who ask, even if none are exported
    #[arg(long, value_name = "ADDR|off", env = "FLOWGAUGE_API_ADDRESS", help_heading = "API")]
    api: Option<String>,

    /// Form of the log on standard error: text or json [default: text]
    #[arg(long, value_name = "FORM", env = "FLOWGAUGE_LOG_FORMAT", help_heading = "Log")]
    log: Option<String>,
    /// Log only warnings and errors, and no accounts at the end
    #[arg(short, long, env = "FLOWGAUGE_LOG_QUIET", help_heading = "Log", value_parser = FalseyValueParser::new())]
    quiet: bool,
}

/// The command line, ready to be matched, completed or printed as a manual.
pub fn command() -> clap::Command {
    // The help names the variables; what they hold at the moment is noise there, and may be a secret one day.
    Cli::command().mut_subcommand("run", |run| run.mut_args(|arg| arg.hide_env_values(true)))
}

/// What clap minds, as one line for people; none for what is no fault, such as a help text.
pub fn complaint(error: &clap::Error) -> Option<String> {
    use clap::error::ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    if matches!(
        error.kind(),
        DisplayHelp | DisplayVersion | DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return None;
    }
    let mut line = String::new();
    for part in error.render().to_string().lines().map(str::trim) {
        if part.starts_with("Usage:") || part.starts_with("For more information") {
            break;
        }
        let part = part.strip_prefix("error: ").unwrap_or(part);
        if part.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push_str(if part.starts_with("tip:") { "; " } else { " " });
        }
        line.push_str(part);
    }
    line.push_str("; --help says more");
    Some(line)
}

/// Variables that look like settings and are none: a typing error would otherwise go unnoticed.
///
/// # Errors
/// One line for each, with the nearest variable there is.
pub fn check_variables(names: impl IntoIterator<Item = String>) -> Result<(), ConfigError> {
    // The other programs of the project have variables of their own; these sections are ours alone.
    const OURS: [&str; 5] = [
        "FLOWGAUGE_CAPTURE_",
        "FLOWGAUGE_METERING_",
        "FLOWGAUGE_EXPORTING_",
        "FLOWGAUGE_SFLOW_",
        "FLOWGAUGE_API_",
    ];
    let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
    let mut lines: Vec<String> = names
        .into_iter()
        .filter(|name| OURS.iter().any(|ours| name.starts_with(ours)) && !known.contains(name))
        .map(|name| match nearest(&name, known.iter().map(String::as_str)) {
            Some(meant) => format!("unknown variable {name}; did you mean {meant}?"),
            None => format!("unknown variable {name}; `run --help` lists them"),
        })
        .collect();
    lines.sort();
    if lines.is_empty() {
        return Ok(());
    }
    Err(ConfigError {
        lines,
        only_missing: false,
    })
}

/// What was given on the command line of `run` or in the environment, with its origin.
pub fn settings(matches: &ArgMatches) -> Settings {
    let mut settings = Settings::new();
    for key in KEYS {
        let origin = match matches.value_source(key.id) {
            Some(ValueSource::CommandLine) => Origin::Flag(key.flag()),
            Some(ValueSource::EnvVariable) => Origin::Variable(key.variable()),
            _ => continue,
        };
        let values = match key.shape {
            Shape::Switch => vec![matches.get_flag(key.id).to_string()],
            Shape::Text | Shape::List => matches
                .get_many::<String>(key.id)
                .into_iter()
                .flatten()
                .flat_map(|text| split(text, key.shape, &origin))
                .collect(),
        };
        settings.insert(key.id, Setting { values, origin });
    }
    settings
}

/// A variable holds one text: its commas separate the values of a list.
fn split(text: &str, shape: Shape, origin: &Origin) -> Vec<String> {
    match (shape, origin) {
        (Shape::List, Origin::Variable(_)) => text
            .split(',')
            .map(|part| part.trim().to_owned())
            .filter(|part| !part.is_empty())
            .collect(),
        _ => vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_command() -> clap::Command {
        Cli::command().find_subcommand("run").expect("run is there").clone()
    }

    #[test]
    fn every_key_is_a_flag_and_a_variable() {
        let run = run_command();
        for key in KEYS {
            let arg = run
                .get_arguments()
                .find(|arg| arg.get_id() == key.id)
                .unwrap_or_else(|| panic!("no flag for {}", key.id));
            assert_eq!(arg.get_env().unwrap(), key.variable().as_str());
            assert_eq!(format!("--{}", arg.get_long().unwrap()), key.flag());
        }
        // --config, and the help and version that clap adds, are the only flags that are no keys.
        assert_eq!(run.get_arguments().count(), KEYS.len() + 1);
    }

    #[test]
    fn complaints_take_one_line() {
        let complaint = |arguments: &[&str]| {
            let all = ["flowgauge-exporter"].iter().chain(arguments);
            super::complaint(&command().try_get_matches_from(all).unwrap_err())
        };
        assert_eq!(
            complaint(&["run", "--reed", "a"]).unwrap(),
            "unexpected argument '--reed' found; tip: a similar argument exists: '--read'; --help says more"
        );
        assert_eq!(
            complaint(&["check"]).unwrap(),
            "the following required arguments were not provided: --config <FILE>; --help says more"
        );
        assert_eq!(complaint(&["run", "--help"]), None);
        assert_eq!(complaint(&[]), None);
    }

    #[test]
    fn a_mistyped_variable_is_told_from_those_of_others() {
        let names = [
            "FLOWGAUGE_STORE_DIR",
            "FLOWGAUGE_EXPORTING_TO",
            "PATH",
            "FLOWGAUGE_LOG_X",
        ];
        assert_eq!(check_variables(names.map(str::to_owned)), Ok(()));
        let error = check_variables(["FLOWGAUGE_METERING_IDLE_TIMEOUTS".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown variable FLOWGAUGE_METERING_IDLE_TIMEOUTS; did you mean FLOWGAUGE_METERING_IDLE_TIMEOUT?"
        );
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn lists_take_several_values_either_way() {
        let matches = command()
            .try_get_matches_from([
                "flowgauge-exporter",
                "run",
                "--read",
                "a",
                "b",
                "--to",
                "json:-",
                "--to",
                "udp://h",
                "-q",
            ])
            .unwrap();
        let settings = settings(matches.subcommand_matches("run").unwrap());
        assert_eq!(settings["read"].values, ["a", "b"]);
        assert_eq!(settings["to"].values, ["json:-", "udp://h"]);
        assert_eq!(settings["quiet"].values, ["true"]);
        assert_eq!(settings["to"].origin, Origin::Flag("--to".to_owned()));
        assert_eq!(settings.len(), 3);
    }
}
