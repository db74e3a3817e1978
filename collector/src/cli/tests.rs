//! The command line: what it prints and how it fails.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use serde_json::{Value as Json, json};

use super::arguments::{Cli, Command};
use super::output::Output;
use super::{decode, query};
use crate::config::Config;
use crate::failure::Failure;
use crate::io::listener::Transport;
use crate::run::Collector;
use crate::test_messages::*;

/// What a command printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<Json> {
        self.text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn run(arguments: &[&str]) -> (String, Result<(), Failure>) {
    let cli = Cli::try_parse_from([&["flowgauge-collector"], arguments].concat()).unwrap();
    let printed = Printed::default();
    let mut out = Output::to(printed.clone());
    let result = match cli.command {
        Command::Decode(arguments) => decode::decode(&arguments, &mut out),
        Command::Query(arguments) => query::query(&arguments, &mut out),
        Command::Alerts(arguments) => super::alerts::alerts(&arguments, &mut out),
        Command::Columns(arguments) => super::columns::columns(arguments.json, &mut out),
        Command::Elements(arguments) => super::columns::elements(&arguments, &mut out),
        Command::Check(arguments) => super::check::check(&arguments, &mut out),
        Command::Predict(arguments) => super::predict::predict(&arguments, &mut out),
        Command::Replay(arguments) => super::replay::replay(&arguments),
        other => panic!("{other:?} is not run here"),
    };
    (printed.text(), result)
}

fn refused(arguments: &[&str]) -> Failure {
    let arguments = ["flowgauge-collector"].iter().chain(arguments).map(Into::into);
    super::main(arguments).unwrap_err()
}

fn written(directory: &Path, name: &str, bytes: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn wrong_arguments_are_one_line_and_status_2() {
    for (arguments, line) in [
        (
            &["run", "--liste", "x"][..],
            "unexpected argument '--liste' found; a similar argument exists: '--listen' (see --help)",
        ),
        (
            &["query", "--format", "xml"],
            "invalid value 'xml' for '--format <FORMAT>'",
        ),
        (&["decode"], "<FILE>... is missing (see --help)"),
        (&[], "no command is given"),
        (&["run", "--http", "nowhere"], "--http: \"nowhere\" is not ADDRESS:PORT"),
        (
            &["run", "--listen", "quic://0.0.0.0:4740"],
            "--listen: \"quic://0.0.0.0:4740\": unknown transport \"quic\"",
        ),
        (
            &["replay", "x", "--to", "file:y"],
            "--to: \"file:y\" is not udp://HOST:PORT",
        ),
        (
            &["replay", "x", "--to", "udp://127.0.0.1:9", "--speed", "fast"],
            "--speed: \"fast\" is neither",
        ),
        (&["query", "--url", "ftp://x"], "--url: \"ftp://x\" is not http://"),
    ] {
        let failure = refused(arguments);
        assert!(failure.line.starts_with(line), "{arguments:?}: {failure}");
        assert_eq!(
            (failure.status, failure.line.lines().count()),
            (2, 1),
            "{arguments:?}: {failure}"
        );
    }
}

#[test]
fn what_cannot_be_reached_is_one_line_and_status_1() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = refused(&["query", "--url", &format!("http://{free}")]);
    assert!(
        failure.status == 1 && failure.line.contains("start a collector"),
        "{failure}"
    );
    let empty = tempfile::tempdir().unwrap();
    let failure = refused(&["query", "--data", empty.path().to_str().unwrap()]);
    assert!(
        failure.status == 1 && failure.line.contains("no store here"),
        "{failure}"
    );
    let failure = refused(&["decode", "/nonexistent/file"]);
    assert_eq!(
        (failure.status, failure.line.as_str()),
        (1, "input /nonexistent/file: there is no such file; check the path")
    );
}

#[test]
fn check_prints_a_configuration_that_reads_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = written(directory.path(), "c.toml", b"[store]\nkeep = \"7d\"\n");
    let (text, result) = run(&["check", "--config", &file, "--http", "127.0.0.1:9"]);
    result.unwrap();
    assert!(
        text.contains("keep = \"7d\"") && text.contains("address = \"127.0.0.1:9\""),
        "{text}"
    );
    let again = written(directory.path(), "again.toml", text.as_bytes());
    assert_eq!(run(&["check", "--config", &again]).0, text);
    let wrong = written(directory.path(), "wrong.toml", b"[elements]\nfile = \"/nonexistent\"\n");
    assert_eq!(run(&["check", "--config", &wrong]).1.unwrap_err().status, 2);
}

#[test]
fn columns_and_elements_are_listed() {
    let (text, _) = run(&["columns", "--json"]);
    assert!(
        text.lines()
            .any(|line| line.starts_with("{\"name\":\"src.ip\",\"kind\":\"ip\""))
    );
    let (text, _) = run(&["elements", "0.8"]);
    assert_eq!(
        text.lines()
            .nth(1)
            .unwrap()
            .split_whitespace()
            .take(3)
            .collect::<Vec<_>>(),
        ["0.8", "sourceIPv4Address", "ipv4Address"]
    );
    let failure = run(&["elements", "sourceIPv4Adress"]).1.unwrap_err();
    assert_eq!(
        failure.line,
        "no element's name holds \"sourceipv4adress\"; did you mean sourceIPv4Address?"
    );
}

#[test]
fn decode_prints_messages_templates_records_and_errors_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let options = [
        options_template_set(400, &[(149, 4), (82, 4)]),
        set(400, &[0, 0, 0, 9, b'e', b't', b'h', b'0']),
    ];
    let unknown = [template_set(401, &[(4, 1), (32_000, 2)]), set(401, &[17, 0xbe, 0xef])];
    let file = written(
        directory.path(),
        "a.ipfix",
        &[
            message(7, 0, &[flow_set([1])]),
            message(7, 1, &[flow_template()]),
            message(7, 1, &options),
            message(7, 1, &unknown),
            message(7, 2, &[set(999, &[0; 8])]),
            message(7, 2, &[vec![1, 0, 0, 2]]),
        ]
        .concat(),
    );
    let (text, result) = run(&["decode", &file]);
    result.unwrap();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message",
            "message",
            "template",
            "record",
            "message",
            "options_template",
            "options_record",
            "message",
            "template",
            "record",
            "message",
            "message",
            "error",
            "error"
        ]
    );
    assert_eq!(
        text.lines().next().unwrap(),
        "{\"kind\":\"message\",\"protocol\":\"ipfix\",\"export_time\":\"2026-01-01T00:01:00Z\",\"sequence\":0,\"domain\":7,\"length\":61}"
    );
    assert_eq!(
        lines[3],
        json!({ "kind": "record", "template": 256, "domain": 7, "fields": {
            "sourceIPv4Address": "10.0.0.1",
            "destinationIPv4Address": "192.0.2.1",
            "sourceTransportPort": 40_000,
            "destinationTransportPort": 443,
            "protocolIdentifier": 6,
            "octetDeltaCount": 100,
            "packetDeltaCount": 3,
            "flowStartMilliseconds": "2026-01-01T00:00:50.001Z",
            "flowEndMilliseconds": "2026-01-01T00:00:52.001Z",
        }})
    );
    assert_eq!(lines[5]["scope_fields"], 1);
    assert_eq!(
        lines[6]["fields"],
        json!({ "observationDomainId": 9, "interfaceName": "eth0" })
    );
    assert_eq!(
        lines[9]["fields"],
        json!({ "protocolIdentifier": 17, "0.32000": "beef" })
    );
    assert_eq!(
        (&lines[12]["layer"], &lines[12]["reason"]),
        (&json!("set"), &json!("set_length"))
    );
    assert_eq!(
        (&lines[13]["reason"], &lines[13]["template"]),
        (&json!("no_template"), &json!(999))
    );
}

#[test]
fn a_cut_file_is_decoded_to_the_cut_and_fails_with_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let whole = message(7, 0, &[flow_template(), flow_set([1])]);
    let bytes = [&whole[..], &message(7, 1, &[flow_set([2])])[..30]].concat();
    let file = written(directory.path(), "cut.ipfix", &bytes);
    let other = written(directory.path(), "whole.ipfix", &message(7, 2, &[flow_set([3])]));
    let (text, result) = run(&["decode", &file, &other]);
    let failure = result.unwrap_err();
    assert_eq!(failure.status, 1);
    assert!(failure.line.contains(&format!("at octet {}", whole.len())), "{failure}");
    assert_eq!(
        text.lines().filter(|line| line.contains("\"kind\":\"record\"")).count(),
        2,
        "the next file is read"
    );
}

/// A capture written by hand: a pcap header and UDP datagrams over raw IPv4.
fn capture(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [
        0xa1b2_3c4du32.to_le_bytes(),
        [2, 0, 4, 0],
        [0; 4],
        [0; 4],
        65_535u32.to_le_bytes(),
        101u32.to_le_bytes(),
    ]
    .concat();
    for (at, payload) in (0u32..).zip(datagrams) {
        let udp = u16::try_from(8 + payload.len()).unwrap();
        let ip = [
            &[0x45, 0][..],
            &(20 + udp).to_be_bytes(),
            &[0, 0, 0, 0, 64, 17, 0, 0, 198, 51, 100, 7, 192, 0, 2, 9],
            &[0x13, 0x88, 0x12, 0x83],
            &udp.to_be_bytes(),
            &[0, 0],
            payload,
        ]
        .concat();
        let length = u32::try_from(ip.len()).unwrap().to_le_bytes();
        file.extend([(EXPORT_TIME + at).to_le_bytes(), 5u32.to_le_bytes(), length, length].concat());
        file.extend(ip);
    }
    file
}

#[test]
fn captures_give_their_datagrams_and_what_is_not_flow_export_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let datagrams = [
        message(7, 0, &[flow_template(), flow_set([1, 2])]),
        b"\x12\x34dns".to_vec(),
        vec![0, 9, 0, 1],
    ];
    let bytes = capture(&datagrams);
    let file = written(directory.path(), "a.pcap", &bytes);
    let (text, result) = run(&["decode", &file]);
    result.unwrap();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["exporter"], "198.51.100.7:5000");
    assert_eq!(lines.iter().filter(|line| line["kind"] == "record").count(), 2);
    assert_eq!(
        (&lines[4]["reason"], &lines[4]["exporter"]),
        (&json!("truncated"), &json!("198.51.100.7:5000"))
    );
    assert_eq!(lines.len(), 5);
    let cut = written(directory.path(), "cut.pcap", &bytes[..bytes.len() - 3]);
    let (text, result) = run(&["decode", &cut]);
    assert!(result.unwrap_err().line.contains("after packet 2"));
    assert_eq!(text.lines().count(), 4);
}

struct Running {
    collector: Collector,
    directory: tempfile::TempDir,
}

fn start() -> Running {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Config {
        listeners: vec![
            "udp://127.0.0.1:0".parse().unwrap(),
            "tcp://127.0.0.1:0".parse().unwrap(),
        ],
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: directory.path().join("data"),
        ..Config::default()
    };
    config.store.commit_ms = 20;
    Running {
        collector: Collector::start(config).unwrap(),
        directory,
    }
}

impl Running {
    fn wait_for_rows(&self, rows: u64) {
        let began = std::time::Instant::now();
        while self.collector.shared().store.status().rows < rows {
            assert!(
                began.elapsed().as_secs() < 20,
                "{}",
                crate::run::accounts(self.collector.shared())
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn replay_then_query_online_and_offline_agree() {
    let running = start();
    let file = written(
        running.directory.path(),
        "a.pcap",
        &capture(&[
            message(7, 0, &[flow_template(), flow_set([1, 2])]),
            message(7, 2, &[flow_set([3])]),
        ]),
    );
    for (transport, scheme) in [(Transport::Udp, "udp"), (Transport::Tcp, "tcp")] {
        let to = format!("{scheme}://{}", running.collector.address(transport).unwrap());
        run(&["replay", &file, "--to", &to, "--speed", "max"]).1.unwrap();
    }
    running.wait_for_rows(6);
    let url = format!("http://{}", running.collector.http_address());
    let data = running.directory.path().join("data");
    let data = data.to_str().unwrap();
    for arguments in [
        &["src.ip = 10.0.0.3", "--format", "ndjson", "--order", "octets"][..],
        &["--top", "src.ip", "--format", "csv", "--limit", "10"],
        &["--top", "src.ip/24,proto", "--by", "flows", "--format", "ndjson"],
        &["--interval", "1m", "--by", "flows", "--format", "csv"],
        &["--by", "total.octets", "--format", "ndjson"],
        &[
            "--top",
            "src.ip",
            "--by",
            "share(octets)",
            "--other",
            "--limit",
            "2",
            "--format",
            "csv",
        ],
        &[
            "--top",
            "host",
            "--by",
            "unique(peer)",
            "--once",
            "auto",
            "--format",
            "ndjson",
        ],
        &[
            "--once",
            "127.0.0.1",
            "--order",
            "-octets",
            "--fields",
            "src.ip,octets",
            "--format",
            "csv",
        ],
        &[
            "--by",
            "octets/packets",
            "--from",
            "2026-01-01T00:00:00Z",
            "--to",
            "2026-01-02T00:00:00Z",
            "--compare",
            "previous",
            "--format",
            "csv",
        ],
        &[
            "--from",
            "2026-01-01T00:00:50Z",
            "--to",
            "2026-01-01T00:00:50.002Z",
            "--fields",
            "src.ip,octets",
            "--format",
            "csv",
        ],
    ] {
        let online = run(&[&["query", "--url", &url], arguments].concat());
        let offline = run(&[&["query", "--data", data], arguments].concat());
        online.1.unwrap();
        offline.1.unwrap();
        assert!(online.0.lines().count() >= 1, "{arguments:?}");
        assert_eq!(online.0, offline.0, "{arguments:?}");
    }
    let (text, _) = run(&[
        "query", "--url", &url, "--top", "src.ip", "--by", "octets", "--format", "csv",
    ]);
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "src.ip,octets,packets,flows",
            "10.0.0.1,200,6,2",
            "10.0.0.2,200,6,2",
            "10.0.0.3,200,6,2"
        ]
    );
    let compared = [
        "query",
        "--url",
        &url,
        "--top",
        "src.ip",
        "--by",
        "octets/packets",
        "--limit",
        "2",
        "--other",
        "--compare",
        "1d",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-02T00:00:00Z",
    ];
    let (text, _) = run(&compared);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(
        lines[0].ends_with(&[
            "previous.octets/packets",
            "previous.octets",
            "previous.packets",
            "previous.flows"
        ]),
        "{text}"
    );
    // 100 octets in 3 packets, and nothing the day before.
    assert_eq!(lines[1][..2], ["10.0.0.1", "33.3"], "{text}");
    assert_eq!(lines[3][..2], ["(other)", "33.3"], "{text}");
    let (text, _) = run(&[&compared[..], &["--format", "csv"]].concat());
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with(",33.3333") && last.ends_with(",200,6,2,true,,0,0,0"),
        "{text}"
    );
    let (text, _) = run(&["query", "--url", &url, "src.ip = 10.0.0.3", "--limit", "1"]);
    assert!(
        text.contains("  tcp  ") && text.contains("100 B") && text.contains("2 s"),
        "{text}"
    );
    assert!(text.contains("1 rows; at least 2 of "), "{text}");
    assert!(!text.contains("warning"), "{text}");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(&[0, 8], running.collector.address(Transport::Udp).unwrap())
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (text, _) = run(&["query", "--url", &url, "--limit", "1"]);
    assert!(
        text.contains("warning: not everything arrived: 1 datagrams of unsupported version"),
        "{text}"
    );
}

#[test]
fn a_wrong_filter_is_shown_with_its_place() {
    let running = start();
    let url = format!("http://{}", running.collector.http_address());
    let data = running.directory.path().join("data");
    let filter = "proto = tcp and src.ipp = 1";
    let online = run(&["query", "--url", &url, filter]).1.unwrap_err();
    let offline = run(&["query", "--data", data.to_str().unwrap(), filter]).1.unwrap_err();
    assert_eq!(online, offline);
    assert_eq!(online.status, 2);
    let lines: Vec<&str> = online.line.lines().collect();
    assert!(lines[0].contains("did you mean src.ip?"), "{online}");
    assert_eq!(
        lines[1..],
        ["  proto = tcp and src.ipp = 1", "                  ^^^^^^^"]
    );
}

fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    Some(shared.join("corpus/flowexport")).filter(|corpus| corpus.is_dir())
}

/// Files of everything.
mod files;

/// Elements, and what tshark calls them.
const BY_TSHARK: [(&str, &str); 9] = [
    ("sourceIPv4Address", "cflow.srcaddr"),
    ("destinationIPv4Address", "cflow.dstaddr"),
    ("sourceIPv6Address", "cflow.srcaddrv6"),
    ("sourceTransportPort", "cflow.srcport"),
    ("destinationTransportPort", "cflow.dstport"),
    ("protocolIdentifier", "cflow.protocol"),
    ("octetDeltaCount", "cflow.octets"),
    ("packetDeltaCount", "cflow.packets"),
    ("ingressInterface", "cflow.inputint"),
];

/// Values of each element of [`BY_TSHARK`] in the order of the file, by another decoder.
fn by_tshark(file: &Path, port: &str) -> Option<Vec<Vec<String>>> {
    let decode_as = format!("udp.port=={port},cflow");
    let fields = BY_TSHARK.iter().flat_map(|(_, field)| ["-e", field]);
    let output = Process::new("tshark")
        .args([
            "-n",
            "-d",
            &decode_as,
            "-T",
            "fields",
            "-E",
            "occurrence=a",
            "-E",
            "aggregator=,",
        ])
        .args(fields)
        .arg("-r")
        .arg(file)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut values = vec![Vec::new(); BY_TSHARK.len()];
    for line in text.lines() {
        for (values, cell) in values.iter_mut().zip(line.split('\t')) {
            values.extend(cell.split(',').filter(|value| !value.is_empty()).map(str::to_owned));
        }
    }
    Some(values)
}

/// An element that a record has more than once is an array.
fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) => vec![text.clone()],
        Json::Array(values) => values.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}

#[test]
fn records_of_the_corpus_are_those_that_tshark_sees() {
    let Some(corpus) = shared() else {
        eprintln!("skipped: comparison with tshark; the corpus is not there");
        return;
    };
    let mut compared = 0;
    for (file, port) in [
        ("pmacct/100-IPFIXv10-CISCO/traffic-00.pcap", "9991"),
        ("pmacct/104-IPFIXv10-IPv6-CISCO-sampling_option/traffic-00.pcap", "9992"),
        ("pmacct/501-IPFIXv10-BGP-IPv6-CISCO-MPLS/traffic-00.pcap", "9991"),
        ("netgauze/100-IPFIXv10-CISCO/traffic-00.pcap", "9991"),
        ("netgauze/flow/srv6/srv6.pcap", "9992"),
        ("ipfixcol/01-odid0.ipfix", "4739"),
        ("ipfixcol/02-odid0.ipfix", "4739"),
        ("ipfixcol/example_flows.ipfix", "4739"),
    ] {
        let path = corpus.join(file);
        let printed = Printed::default();
        let Command::Decode(arguments) = Cli::try_parse_from(["flowgauge-collector", "decode", path.to_str().unwrap()])
            .unwrap()
            .command
        else {
            panic!()
        };
        decode::decode(&arguments, &mut Output::to(printed.clone())).unwrap();
        let lines = printed.lines();
        let Some(theirs) = by_tshark(&path, port) else {
            eprintln!("skipped: comparison with tshark; it is not there");
            return;
        };
        for ((element, _), theirs) in BY_TSHARK.iter().zip(theirs) {
            let ours: Vec<String> = lines
                .iter()
                .filter_map(|line| line["fields"].get(element))
                .flat_map(texts)
                .collect();
            assert_eq!(ours, theirs, "{element} of {file}");
            compared += ours.len();
        }
    }
    assert!(compared > 10_000, "{compared} values compared");
}
