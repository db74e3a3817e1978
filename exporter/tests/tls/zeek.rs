//! TLS and QUIC beside Zeek's logs of the same captures.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use flowgauge_ie_registry::ids;

use crate::reading::{Capture, Flow, Key, read};
use crate::{explain, shared};

/// The rows of a log, each field by its name; `-` is none.
fn log(path: &Path) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let fields = text.lines().find_map(|line| line.strip_prefix("#fields\t"));
    let fields: Vec<&str> = fields.unwrap_or_default().split('\t').collect();
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let row = |line: &str| {
        let values = fields.iter().zip(line.split('\t'));
        let known = values.filter(|(_, value)| !matches!(*value, "-" | "(empty)"));
        known
            .map(|(field, value)| ((*field).to_owned(), value.to_owned()))
            .collect()
    };
    rows.map(row).collect()
}

fn key(row: &HashMap<String, String>, protocol: u8) -> Option<Key> {
    let address = |field: &str| row.get(field)?.parse().ok();
    let port = |field: &str| row.get(field)?.parse().ok();
    Some((
        address("id.orig_h")?,
        address("id.resp_h")?,
        port("id.orig_p")?,
        port("id.resp_p")?,
        protocol,
    ))
}

fn version(name: &str) -> u64 {
    match name {
        "SSLv3" => 0x0300,
        "TLSv10" => 0x0301,
        "TLSv11" => 0x0302,
        "TLSv12" => 0x0303,
        "TLSv13" => 0x0304,
        "DTLSv10" => 0xfeff,
        "DTLSv12" => 0xfefd,
        "DTLSv13" => 0xfefc,
        draft => 0x7f00 | draft.strip_prefix("TLSv13-draft").unwrap().parse::<u64>().unwrap(),
    }
}

/// The logs that Zeek made, each with its captures; several of them make one log in some of its tests.
fn logs(corpus: &Path, kind: &str) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let map = std::fs::read_to_string(corpus.join("MAP.tsv")).unwrap();
    let mut logs: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for line in map.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [capture, baseline, names] = columns[..] else {
            continue;
        };
        for name in names.split(' ').filter(|name| name.starts_with(kind)) {
            let log = Path::new(baseline).join(name);
            logs.entry(log).or_default().push(corpus.join("Traces").join(capture));
        }
    }
    logs
}

fn compare(kind: &str, reasons: &[(&str, &str)], difference: impl Fn(&HashMap<String, String>, &Flow) -> Vec<String>) {
    let Some(corpus) = shared("corpus/zeek") else { return };
    let (mut compared, mut agree, mut elsewhere, mut differences) = (0, 0, 0, Vec::new());
    for (path, captures) in logs(&corpus, kind) {
        let captures: Vec<Capture> = captures.iter().map(|capture| read(capture)).collect();
        for row in log(&corpus.join("Baseline").join(&path)) {
            // Logs that were cut to some of their columns may tell no addresses.
            let Some(tcp) = key(&row, 6) else { continue };
            let udp = (tcp.0, tcp.1, tcp.2, tcp.3, 17);
            let is_there = |capture: &Capture| capture.keys.contains(&tcp) || capture.keys.contains(&udp);
            if !captures.iter().any(is_there) {
                elsewhere += 1;
                continue;
            }
            compared += 1;
            let flows = captures.iter().flat_map(|capture| &capture.flows);
            let found: Vec<_> = flows
                .filter(|flow| flow.is_between(&tcp) || flow.is_between(&udp))
                .map(|flow| difference(&row, flow))
                .collect();
            if found.iter().any(Vec::is_empty) {
                agree += 1;
            } else {
                differences.push(format!("{} {tcp:?}: {found:?}", path.display()));
            }
        }
    }
    println!("{kind}: {agree} of {compared} rows agree; {elsewhere} rows are of captures that are not there");
    explain(differences, reasons);
    assert!(compared > 0);
}

#[test]
fn ssl_logs() {
    let Some(registry) = shared("registry/dns-tls") else {
        return;
    };
    let suites = std::fs::read_to_string(registry.join("tls.handshake.ciphersuite.tsv")).unwrap();
    let suites: HashMap<&str, u64> = suites
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(number, name)| (name, number.parse().unwrap()))
        .collect();
    let reasons = [
        ("smtp.starttls", "it begins within another protocol"),
        ("xmpp", "it begins within another protocol"),
        ("dtls-stun", "it is on a flow that began as STUN, and is known as that"),
    ];
    compare("ssl", &reasons, |row, flow| {
        let mut differences = Vec::new();
        let mut compare = |what: &str, theirs: Option<String>, ours: String| {
            if let Some(theirs) = theirs.filter(|theirs| *theirs != ours) {
                differences.push(format!("{what} {ours:?}, not {theirs:?}"));
            }
        };
        let number = |element| {
            flow.number(element)
                .map_or(String::new(), |number| format!("{number:04x}"))
        };
        let chosen = row.get("version").map(|name| format!("{:04x}", version(name)));
        compare("version", chosen, number(ids::TLS_VERSION));
        let suite = row.get("cipher").and_then(|name| suites.get(name.as_str()));
        compare(
            "suite",
            suite.map(|suite| format!("{suite:04x}")),
            number(ids::TLS_CIPHER_SUITE),
        );
        compare("name", row.get("server_name").cloned(), flow.server_name());
        let protocol = row.get("next_protocol").cloned();
        compare("protocol", protocol, flow.text(ids::TLS_APPLICATION_PROTOCOL));
        differences
    });
}

#[test]
fn quic_logs() {
    compare("quic", &[], |row, flow| {
        let mut differences = Vec::new();
        let mut compare = |what: &str, theirs: Option<&String>, ours: String| {
            if let Some(theirs) = theirs.filter(|theirs| **theirs != ours) {
                differences.push(format!("{what} {ours:?}, not {theirs:?}"));
            }
        };
        let version = match flow.number(ids::QUIC_VERSION) {
            Some(1) => "1".to_owned(),
            Some(0x6b33_43cf) => "quicv2".to_owned(),
            other => format!("{other:x?}"),
        };
        compare("version", row.get("version"), version);
        compare("name", row.get("server_name"), flow.server_name());
        // Zeek keeps the first protocol that a client offers.
        let offered = flow.text(ids::TLS_APPLICATION_PROTOCOL);
        let first = offered.split(',').next().unwrap_or_default().to_owned();
        compare("protocol", row.get("client_protocol"), first);
        differences
    });
}
