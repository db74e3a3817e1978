//! Programs that others wrote read what we export, without complaint and with the same numbers.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::peers::{Nfcapd, is_installed};
use crate::support::{biflows, free_port, program, root, skipped, succeed, synth, text};

const TIMEOUTS: [&str; 4] = ["--idle-timeout", "1d", "--active-timeout", "1d"];

fn export(capture: &Path, destinations: &[&str]) {
    let mut arguments = vec!["run", "--read", capture.to_str().unwrap()];
    arguments.extend(destinations.iter().flat_map(|destination| ["--to", destination]));
    arguments.extend(TIMEOUTS);
    succeed(&program("flowgauge-exporter"), &arguments);
}

/// The generator's mixed traffic where it is there, else the fixture.
fn capture(folder: &Path) -> PathBuf {
    synth(folder, "mix", 7, 200_000).map_or_else(|| root().join("fixtures/office.pcap"), |(capture, _)| capture)
}

/// The file's records as `decode` reads them: how many, and their packets and octets in both directions.
fn decoded(file: &Path) -> (u64, u64, u64) {
    let output = succeed(&program("flowgauge-collector"), &["decode", file.to_str().unwrap()]);
    let lines = text(&output.stdout);
    let (packets, octets) = biflows::totals(&biflows::decoded(&lines));
    (
        lines
            .lines()
            .filter(|line| line.starts_with(r#"{"kind":"record""#))
            .count() as u64,
        packets,
        octets,
    )
}

#[test]
fn nfcapd_finds_no_gap_and_the_same_totals() {
    if !is_installed("nfcapd") {
        return skipped("nfcapd", "it is not installed (Debian: nfdump)");
    }
    let folder = tempfile::tempdir().unwrap();
    let (port, store, file) = (
        free_port(),
        folder.path().join("nfcapd"),
        folder.path().join("same.ipfix"),
    );
    std::fs::create_dir(&store).unwrap();
    let peer = Nfcapd::start(&store, port);
    let capture = capture(folder.path());
    export(
        &capture,
        &[&format!("udp://127.0.0.1:{port}"), &format!("file:{}", file.display())],
    );
    let summary = peer.summary();
    let (records, packets, octets) = decoded(&file);
    assert_eq!(summary.get("Sequence failures"), Some(&0), "{summary:?}");
    assert_eq!(
        (summary["Flows"], summary["Packets"], summary["Bytes"]),
        (records, packets, octets)
    );
}

/// Every IP packet of the capture and its octets, as tshark counts them in the capture itself.
#[test]
fn tshark_counts_the_same_in_the_capture_and_reads_the_export() {
    if !is_installed("tshark") {
        return skipped("tshark", "it is not installed (Debian: tshark)");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("office.ipfix");
    let capture = root().join("fixtures/office.pcap");
    export(&capture, &[&format!("file:{}", file.display())]);
    let (records, packets, octets) = decoded(&file);

    let lengths = tshark(&[
        "-r",
        capture.to_str().unwrap(),
        "-T",
        "fields",
        "-e",
        "ip.len",
        "-e",
        "ipv6.plen",
    ]);
    let (mut counted, mut summed) = (0, 0);
    for line in lengths.lines() {
        let (v4, v6) = line.split_once('\t').unwrap();
        counted += 1;
        summed += v4
            .parse::<u64>()
            .ok()
            .or_else(|| Some(v6.parse::<u64>().ok()? + 40))
            .expect("an IP packet");
    }
    assert_eq!((packets, octets), (counted, summed));

    // tshark reads IPFIX files (RFC 5655) as they are: one frame a Message.
    let ipfix = file.to_str().unwrap();
    assert_eq!(
        tshark(&["-r", ipfix, "-Y", "_ws.malformed || _ws.expert.severity >= error"]),
        ""
    );
    let json: Value = serde_json::from_str(&tshark(&["-r", ipfix, "-T", "json", "--no-duplicate-keys"])).unwrap();
    let mut seen = (0, 0, 0);
    let mut unknown = BTreeSet::new();
    for_each_flow(&json, &mut |flow| {
        // Forward and reverse of a biflow have the same name here: one value, or an array of two.
        let sum = |name: &str| match flow.get(name) {
            Some(Value::Array(both)) => both.iter().filter_map(|text| text.as_str()?.parse::<u64>().ok()).sum(),
            one => one.and_then(|text| text.as_str()?.parse().ok()).unwrap_or(0),
        };
        if flow.contains_key("cflow.octets") {
            seen = (seen.0 + 1, seen.1 + sum("cflow.packets"), seen.2 + sum("cflow.octets"));
        }
        unknown.extend(flow.keys().filter(|name| name.contains("malformed")).cloned());
    });
    assert!(unknown.is_empty(), "{unknown:?}");
    assert_eq!(seen, (records, packets, octets));
}

fn for_each_flow(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                match inner {
                    Value::Object(flow) if name.starts_with("Flow ") => visit(flow),
                    Value::Array(flows) if name.starts_with("Flow ") => {
                        flows.iter().filter_map(Value::as_object).for_each(&mut *visit)
                    }
                    _ => for_each_flow(inner, visit),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|inner| for_each_flow(inner, visit)),
        _ => {}
    }
}

fn tshark(arguments: &[&str]) -> String {
    let output = Command::new("tshark").args(arguments).output().expect("tshark");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn ipfixdump_knows_every_type_from_the_export_itself() {
    if !is_installed("ipfixDump") {
        return skipped("ipfixDump", "it is not installed (Debian: libfixbuf-tools)");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.ipfix");
    export(&capture(folder.path()), &[&format!("file:{}", file.display())]);
    dump(&file, &["octetDeltaCount", "tcpHandshakeRttServerMicroseconds"]);
}

/// What comes by a connection, through a spool, where records are numbered.
#[test]
fn ipfixdump_reads_what_comes_by_tcp_through_a_spool() {
    if !is_installed("ipfixDump") {
        return skipped("ipfixDump", "it is not installed (Debian: libfixbuf-tools)");
    }
    let folder = tempfile::tempdir().unwrap();
    let capture = capture(folder.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("tcp://{}", listener.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        let mut octets = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut octets).unwrap();
        octets
    });
    let spool = folder.path().join("spool");
    let mut arguments = vec!["run", "--read", capture.to_str().unwrap(), "--to", &to];
    arguments.extend(["--spool", spool.to_str().unwrap()]);
    arguments.extend(TIMEOUTS);
    let said = text(&succeed(&program("flowgauge-exporter"), &arguments).stderr);
    let file = folder.path().join("received.ipfix");
    std::fs::write(&file, received.join().unwrap()).unwrap();
    let flows = dump(&file, &["octetDeltaCount", "recordId"]);
    assert!(
        said.contains(&format!(": {flows} records exported in ")),
        "{flows}: {said}"
    );
}

/// Has ipfixDump read a file, which must know every element and have each of these; says how many flows it found.
fn dump(file: &Path, elements: &[&str]) -> u64 {
    let (records, ..) = decoded(file);
    let dump = Command::new("ipfixDump")
        .args(["--in", file.to_str().unwrap(), "--rfc5610"])
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", text(&dump.stderr));
    assert_eq!(text(&dump.stderr), "", "no warning");
    let lines = text(&dump.stdout);
    for element in elements {
        assert!(lines.contains(element), "{element} has its name");
    }
    assert!(!lines.contains("_alienInformationElement"), "every element is known");
    let flows = lines
        .lines()
        .filter(|line| line.trim_start().starts_with("(1) ") && line.contains("octetDeltaCount : "));
    assert_eq!(flows.count() as u64, records);
    records
}

/// Each file of a series is whole by itself: `decode` needs no other one, and together they say what one file says.
#[test]
fn decode_reads_every_file_of_a_series() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, whole) = (root().join("fixtures/office.pcap"), folder.path().join("whole.ipfix"));
    let run = |more: &[&str]| {
        let arguments = [&["run", "--read", capture.to_str().unwrap()][..], more].concat();
        succeed(&program("flowgauge-exporter"), &arguments);
    };
    run(&["--to", &format!("file:{}", whole.display())]);
    let series = folder.path().join("series");
    std::fs::create_dir(&series).unwrap();
    let to = format!("file:{}/%H%M%S.ipfix", series.display());
    run(&["--rotate", "10s", "--rotate-size", "32K", "--to", &to]);
    let files: Vec<PathBuf> = std::fs::read_dir(&series)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() > 3, "{files:?}");
    let sum = files.iter().map(|file| decoded(file)).fold((0, 0, 0), |sum, one| {
        assert!(one.0 > 0, "no file without flows");
        (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2)
    });
    assert_eq!(sum, decoded(&whole));
    assert_eq!(sum.0, 155);
}
