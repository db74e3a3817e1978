//! Names of flows are those that tshark reads in the same capture: what the flow itself asked for, else what its client was
//! told before it began. They are there without a look-up, and after a crash none is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use flowgauge_collector::query::time::parse_time;
use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::{program, shared, skipped, succeed, text};

const CAPTURES: [&str; 3] = [
    "ndpi/pcap/iphone.pcap",
    "ndpi/pcap/android.pcap",
    "pcapplusplus/pcap_examples/many-protocols.pcap",
];
/// Numbers of the sources of names, as the page of columns has them.
const TLS: u64 = 1;
const HTTP: u64 = 2;
const DNS: u64 = 3;
/// Clocks are given so much, and names last at least so long beyond their lifetime.
const SLACK_NS: i64 = 2_000_000_000;
const GRACE_NS: i64 = 600_000_000_000;

/// Exporters send so many addresses of a long answer at least.
const ANSWERS_EXPORTED: usize = 8;

/// Names of one address that a client keeps.
const NAMES_KEPT: usize = 4;

/// One address in an answer.
#[derive(Debug)]
struct Told {
    at_ns: i64,
    name: String,
    is_exported: bool,
}

/// What tshark reads.
#[derive(Default)]
struct Truth {
    /// When a client was told that an address has a name.
    told: BTreeMap<(String, String), Vec<Told>>,
    /// Names asked for in each conversation: client, its port, server, its port.
    asked: BTreeMap<[String; 4], BTreeSet<String>>,
    /// Every name of an address.
    names: BTreeMap<String, BTreeSet<String>>,
}

fn nanoseconds(seconds: &str) -> i64 {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    whole.parse::<i64>().unwrap() * 1_000_000_000 + format!("{part:0<9}").get(..9).unwrap().parse::<i64>().unwrap()
}

fn tshark(capture: &Path, filter: &str, fields: &[&str]) -> Option<Vec<Vec<String>>> {
    let fields = fields.iter().flat_map(|field| ["-e", field]);
    let output = Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .args(["-n", "-Y", filter, "-T", "fields"])
        .args(fields)
        .output()
        .ok()?;
    let lines = text(&output.stdout);
    let split = |line: &str| line.split('\t').map(str::to_lowercase).collect();
    Some(lines.lines().map(split).collect())
}

/// One of two columns, of the two families.
fn either(line: &[String], v4: usize, v6: usize) -> &str {
    if line[v4].is_empty() { &line[v6] } else { &line[v4] }
}

fn truth(capture: &Path) -> Option<Truth> {
    let mut truth = Truth::default();
    let answers = tshark(
        capture,
        "dns.flags.response == 1 && dns.flags.rcode == 0 && udp.srcport == 53",
        &[
            "frame.time_epoch",
            "ip.dst",
            "ipv6.dst",
            "dns.qry.name",
            "dns.a",
            "dns.aaaa",
        ],
    )?;
    for line in answers {
        let client = either(&line, 1, 2).to_owned();
        for list in [&line[4], &line[5]] {
            for (place, address) in list.split(',').enumerate().filter(|(_, text)| !text.is_empty()) {
                let told = truth.told.entry((client.clone(), address.to_owned())).or_default();
                told.push(Told {
                    at_ns: nanoseconds(&line[0]),
                    name: line[3].clone(),
                    is_exported: place < ANSWERS_EXPORTED,
                });
                truth
                    .names
                    .entry(address.to_owned())
                    .or_default()
                    .insert(line[3].clone());
            }
        }
    }
    let asked = tshark(
        capture,
        "tls.handshake.extensions_server_name || http.host",
        &[
            "ip.src",
            "ipv6.src",
            "tcp.srcport",
            "udp.srcport",
            "ip.dst",
            "ipv6.dst",
            "tcp.dstport",
            "udp.dstport",
            "tls.handshake.extensions_server_name",
            "http.host",
        ],
    )?;
    for line in asked {
        let conversation = [(0, 1), (2, 3), (4, 5), (6, 7)].map(|(one, other)| either(&line, one, other).to_owned());
        for name in [&line[8], &line[9]]
            .into_iter()
            .flat_map(|list| list.split(','))
            .filter(|text| !text.is_empty())
        {
            let name = name.split(':').next().unwrap().to_owned();
            truth
                .names
                .entry(conversation[2].clone())
                .or_default()
                .insert(name.clone());
            truth.asked.entry(conversation.clone()).or_default().insert(name);
        }
    }
    Some(truth)
}

/// How many flows were compared, by where their name was seen.
#[derive(Debug, Default)]
struct Compared {
    by_flow: usize,
    by_client: usize,
    by_others: usize,
    unnamed: usize,
}

const COLUMNS: &str = "received,start,src.ip,dst.ip,src.port,dst.port,src.name,dst.name,src.name.source,dst.name.source,tls.sni,http.host";

fn flows(collector: &Collector) -> Vec<Value> {
    let answer = collector.get(&format!(
        "/api/v1/flows?filter=kind%3Dflow&limit=100000&fields={COLUMNS}"
    ));
    let mut rows = answer["rows"].as_array().unwrap().clone();
    rows.sort_by_key(|row| parse_time(row["received"].as_str().unwrap(), 0).unwrap());
    rows
}

/// `must` says that a name which the client was told must be there.
fn compare(row: &Value, truth: &Truth, must: bool, compared: &mut Compared) {
    let field = |name: &str| match &row[name] {
        Value::String(text) => text.to_lowercase(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let start_ns = parse_time(&field("start").to_uppercase(), 0).unwrap();
    for (name, source, client, address) in [
        ("dst.name", "dst.name.source", "src.ip", "dst.ip"),
        ("src.name", "src.name.source", "dst.ip", "src.ip"),
    ] {
        let (client, address, name) = (field(client), field(address), field(name));
        let told = truth
            .told
            .get(&(client.clone(), address.clone()))
            .map_or(&[][..], Vec::as_slice);
        let before = |told: &&Told| told.at_ns <= start_ns + SLACK_NS;
        match row[source].as_u64() {
            Some(TLS | HTTP) => {
                let conversation = ["src.ip", "src.port", "dst.ip", "dst.port"].map(field);
                let asked = truth
                    .asked
                    .get(&conversation)
                    .unwrap_or_else(|| panic!("nobody asked: {row}"));
                assert!(asked.contains(&name), "{row}: {asked:?}");
                compared.by_flow += 1;
            }
            Some(DNS) => {
                assert!(
                    told.iter().filter(before).any(|told| told.name == name),
                    "{row}: {told:?}"
                );
                compared.by_client += 1;
            }
            Some(_) => {
                assert!(
                    truth.names.get(&address).is_some_and(|names| names.contains(&name)),
                    "{row}"
                );
                compared.by_others += 1;
            }
            None => {
                assert_eq!(name, "", "{row}");
                let counts =
                    |told: &Told| told.is_exported && told.at_ns <= start_ns && start_ns <= told.at_ns + GRACE_NS;
                // Of an address with more names only the last ones are kept.
                let few = truth.names.get(&address).is_none_or(|names| names.len() <= NAMES_KEPT);
                assert!(!must || !few || !told.iter().any(counts), "{row}: {told:?}");
                compared.unnamed += 1;
            }
        }
    }
}

fn export(capture: &Path, port: u16, tls: bool) -> u64 {
    let to = format!("tcp://127.0.0.1:{port}");
    let capture = capture.to_str().unwrap();
    let mut arguments = vec![
        "run",
        "--read",
        capture,
        "--dns",
        "on",
        "--dns-answers",
        "all",
        "--to",
        &to,
    ];
    if !tls {
        arguments.extend(["--applications", "none"]);
    }
    let output = succeed(&program("flowgauge-exporter"), &arguments);
    let log = text(&output.stderr);
    let exported = log
        .split(" records exported")
        .next()
        .and_then(|before| before.rsplit(' ').next());
    exported
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("{log}"))
}

/// Waits until so many records are stored; says how many are. Transactions count, too.
fn stored(collector: &Collector, records: u64) -> u64 {
    let begin = std::time::Instant::now();
    loop {
        let stored = collector.get("/api/v1/status")["ledger"]["stored"]
            .as_u64()
            .unwrap_or(0);
        if stored >= records || begin.elapsed() > std::time::Duration::from_secs(10) {
            return stored;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn names_of_flows_are_those_that_tshark_reads() {
    let Some(corpus) = shared().map(|shared| shared.join("corpus")) else {
        return skipped("names of flows", "no captures");
    };
    let mut compared = Compared::default();
    // With what the exporter reads in packets, and by DNS alone.
    for (capture, tls) in [(0, true), (2, true), (1, false), (2, false)] {
        let capture = corpus.join(CAPTURES[capture]);
        let Some(truth) = truth(&capture) else {
            return skipped("names of flows", "no tshark");
        };
        let folder = tempfile::tempdir().unwrap();
        let mut collector = Collector::start(folder.path());
        let records = export(&capture, collector.port, tls);
        assert_eq!(stored(&collector, records), records);
        let known = flows(&collector).len();
        // A capture is read in no time: records of flows come before those of answers. The second time all is known.
        assert_eq!(export(&capture, collector.port, tls), records);
        assert_eq!(stored(&collector, 2 * records), 2 * records);
        let rows = flows(&collector);
        assert_eq!(rows.len(), 2 * known);
        for (place, row) in rows.iter().enumerate() {
            compare(row, &truth, place >= known, &mut compared);
        }
        let names = &collector.get("/api/v1/status")["enrichment"]["names"];
        assert!(names["observed"].as_u64() > Some(10), "{names}");
        collector.kill();
    }
    println!("{compared:?}");
    assert!(compared.by_flow > 50 && compared.by_client > 50, "{compared:?}");
}

/// Everything is journaled when the collector is killed, and indexed by the next one.
#[test]
fn after_a_crash_names_may_be_missing_and_none_is_wrong() {
    let Some(capture) = shared().map(|shared| shared.join("corpus").join(CAPTURES[1])) else {
        return skipped("names after a crash", "no captures");
    };
    let Some(truth) = truth(&capture) else {
        return skipped("names after a crash", "no tshark");
    };
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(folder.path());
    let records = export(&capture, collector.port, false);
    let journaled = |collector: &Collector| {
        collector.get("/api/v1/status")["journal"]["octets"]
            .as_u64()
            .unwrap_or(0)
    };
    // Names come first, and the flows to what they name after them.
    let mut before = 0;
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let now = journaled(&collector);
        if now > 0 && now == before {
            break;
        }
        before = now;
    }
    collector.kill();
    let mut collector = Collector::start(folder.path());
    let found = stored(&collector, records);
    let mut compared = Compared::default();
    for row in flows(&collector) {
        compare(&row, &truth, false, &mut compared);
    }
    collector.kill();
    assert!(
        found > 0 && compared.by_flow + compared.by_client + compared.unnamed > 0,
        "{compared:?}"
    );
}
