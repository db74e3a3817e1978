//! Collectors that do not read IPFIX get by NetFlow what others get: every flow in version 9, every one of IPv4 in version 5,
//! without a gap, with the octets of the capture and to the millisecond at the times that IPFIX says.

mod nfacctd;
mod stored;
mod wire;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::peers::{Nfcapd, is_installed};
use crate::support::{biflows, free_port, program, root, shared, skipped, succeed, synth, text};
use nfacctd::Nfacctd;

const VERSIONS: [u8; 2] = [9, 5];

/// Source, destination, ports, protocol.
type Key = (IpAddr, IpAddr, u64, u64, u64);

/// What a collector knows: packets, octets and records of each direction, and from when to when both together were.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flows {
    directions: BTreeMap<Key, [u64; 3]>,
    spans_ms: BTreeMap<Key, [i64; 2]>,
}

impl Flows {
    fn add(&mut self, key: Key, packets: u64, octets: u64, span_ms: [i64; 2]) {
        let direction = self.directions.entry(key).or_default();
        *direction = [direction[0] + packets, direction[1] + octets, direction[2] + 1];
        let span = self.spans_ms.entry(key.min(back(key))).or_insert(span_ms);
        *span = [span[0].min(span_ms[0]), span[1].max(span_ms[1])];
    }

    /// Records, packets, octets.
    fn totals(&self) -> [u64; 3] {
        self.directions
            .values()
            .fold([0; 3], |sum, of| [sum[0] + of[2], sum[1] + of[0], sum[2] + of[1]])
    }

    fn only_ipv4(mut self) -> Self {
        self.directions.retain(|key, _| key.0.is_ipv4());
        self.spans_ms.retain(|key, _| key.0.is_ipv4());
        self
    }
}

fn back((src, dst, src_port, dst_port, protocol): Key) -> Key {
    (dst, src, dst_port, src_port, protocol)
}

/// `2026-01-01T00:00:00.044`, with or without a Z, as milliseconds since 1970 (Howard Hinnant's days_from_civil).
fn milliseconds(text: &str) -> i64 {
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap_or_else(|_| panic!("{text}"));
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + number(11, 13) * 3600 + number(14, 16) * 60 + number(17, 19);
    seconds * 1000 + if text.len() >= 23 { number(20, 23) } else { 0 }
}

#[test]
fn the_test_reads_dates() {
    // date -d 2026-01-01T00:00:22.230Z +%s%3N, and of a leap day.
    assert_eq!(milliseconds("2026-01-01T00:00:22.230Z"), 1_767_225_622_230);
    assert_eq!(milliseconds("2004-02-29T23:59:59.999"), 1_078_099_199_999);
}

/// Exports `capture` to a destination of NetFlow, and in the same run into a file: what was in that.
fn export(capture: &Path, destination: &str, folder: &Path, more: &[&str]) -> Flows {
    let file = folder.join("same.ipfix");
    let (capture, file_to) = (capture.to_str().unwrap(), format!("file:{}", file.display()));
    let mut arguments = vec!["run", "--read", capture, "--to", destination, "--to", &file_to];
    arguments.extend(more);
    succeed(&program("flowgauge-exporter"), &arguments);
    decoded(&file)
}

/// Every biflow of an IPFIX File as the two flows that it is.
fn decoded(file: &Path) -> Flows {
    let output = succeed(&program("flowgauge-collector"), &["decode", file.to_str().unwrap()]);
    let mut flows = Flows::default();
    for line in text(&output.stdout).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let fields = &line["fields"];
        if line["kind"] != "record" || fields.get("packetDeltaCount").is_none() {
            continue;
        }
        let number = |name: &str| fields[name].as_u64().unwrap_or(0);
        let address = |v4: &str, v6: &str| -> IpAddr {
            let text = fields.get(v4).or(fields.get(v6)).and_then(Value::as_str);
            text.unwrap_or_else(|| panic!("{line}")).parse().unwrap()
        };
        let key = (
            address("sourceIPv4Address", "sourceIPv6Address"),
            address("destinationIPv4Address", "destinationIPv6Address"),
            number("sourceTransportPort"),
            number("destinationTransportPort"),
            number("protocolIdentifier"),
        );
        let span =
            ["flowStartMilliseconds", "flowEndMilliseconds"].map(|name| milliseconds(fields[name].as_str().unwrap()));
        if number("packetDeltaCount") > 0 {
            flows.add(key, number("packetDeltaCount"), number("octetDeltaCount"), span);
        }
        if number("reversePacketDeltaCount") > 0 {
            let (packets, octets) = (number("reversePacketDeltaCount"), number("reverseOctetDeltaCount"));
            flows.add(back(key), packets, octets, span);
        }
    }
    flows
}

/// The fixture, generated traffic where the generator is, and a capture of somebody else's where the corpus is.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut captures = vec![root().join("fixtures/office.pcap")];
    captures.extend(synth(folder, "mix", 7, 60_000).map(|(capture, _)| capture));
    captures.extend(corpus());
    captures
}

fn corpus() -> Option<PathBuf> {
    let capture = shared()?.join("corpus/tcp-samples/synscan.pcapng");
    capture.is_file().then_some(capture)
}

fn of_version(version: u8, flows: Flows) -> Flows {
    if version == 5 { flows.only_ipv4() } else { flows }
}

#[test]
fn nfcapd_reads_both_versions_without_a_gap_and_at_the_right_times() {
    if !is_installed("nfcapd") {
        return skipped("nfcapd", "it is not installed (Debian: nfdump)");
    }
    let folder = tempfile::tempdir().unwrap();
    for (version, capture) in VERSIONS.into_iter().flat_map(|version| {
        let captures = captures(folder.path());
        captures.into_iter().map(move |capture| (version, capture))
    }) {
        let (port, store) = (free_port(), tempfile::tempdir().unwrap());
        let peer = Nfcapd::start(store.path(), port);
        let destination = format!("netflow{version}://127.0.0.1:{port}");
        let sent = of_version(version, export(&capture, &destination, folder.path(), &[]));
        let (summary, records) = peer.flows();
        let name = capture.display();
        assert_eq!(
            summary.get("Sequence failures"),
            Some(&0),
            "{version}, {name}: {summary:?}"
        );
        assert_eq!(
            ["Flows", "Packets", "Bytes"].map(|name| summary[name]),
            sent.totals(),
            "{version}, {name}"
        );
        assert_eq!(of_nfdump(&records), sent, "{version}, {name}");
    }
}

fn of_nfdump(records: &Value) -> Flows {
    let mut flows = Flows::default();
    for record in records.as_array().unwrap() {
        let number = |name: &str| record[name].as_u64().unwrap_or(0);
        let address = |side: &str| -> IpAddr {
            let text = record
                .get(format!("{side}4_addr"))
                .or(record.get(format!("{side}6_addr")));
            text.and_then(Value::as_str)
                .unwrap_or_else(|| panic!("{record}"))
                .parse()
                .unwrap()
        };
        let ports = ["src_port", "dst_port"].map(number);
        let key = (address("src"), address("dst"), ports[0], ports[1], number("proto"));
        let span = ["first", "last"].map(|name| milliseconds(record[name].as_str().unwrap()));
        flows.add(key, number("in_packets"), number("in_bytes"), span);
    }
    flows
}

/// Packets and octets are those of the capture itself, as its generator and tshark know them.
#[test]
fn nothing_of_the_capture_is_missing() {
    if !is_installed("nfcapd") || !is_installed("tshark") {
        return skipped("nfcapd and tshark", "they are not installed (Debian: nfdump, tshark)");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut captures: Vec<(PathBuf, [[u64; 2]; 2])> = vec![];
    if let Some((capture, truth)) = synth(folder.path(), "tcp", 11, 50_000) {
        let truth = biflows::truth(&truth);
        let all = biflows::totals(&truth);
        let v4 = biflows::totals(&truth.into_iter().filter(|(key, _)| !key.0.contains(':')).collect());
        captures.push((capture, [[all.0, all.1], [v4.0, v4.1]]));
    }
    for capture in [Some(root().join("fixtures/office.pcap")), corpus()]
        .into_iter()
        .flatten()
    {
        let of_capture = by_tshark(&capture);
        captures.push((capture, of_capture));
    }
    for (capture, [all, v4]) in captures {
        for (version, expected) in VERSIONS.into_iter().zip([all, v4]) {
            let (port, store) = (free_port(), tempfile::tempdir().unwrap());
            let peer = Nfcapd::start(store.path(), port);
            export(
                &capture,
                &format!("netflow{version}://127.0.0.1:{port}"),
                folder.path(),
                &[],
            );
            let summary = peer.summary();
            assert_eq!(
                ["Packets", "Bytes"].map(|name| summary[name]),
                expected,
                "{version}, {}",
                capture.display()
            );
        }
    }
}

/// IP packets and their octets, of both versions of IP together and of IPv4 alone.
fn by_tshark(capture: &Path) -> [[u64; 2]; 2] {
    let fields = ["-T", "fields", "-e", "ip.len", "-e", "ipv6.plen", "-E", "occurrence=f"];
    let lines = tshark(
        &[
            &["-r", capture.to_str().unwrap(), "-o", "ip.defragment:FALSE"],
            &fields[..],
        ]
        .concat(),
    );
    let (mut all, mut v4) = ([0, 0], [0, 0]);
    for line in lines.lines() {
        let (of_v4, of_v6) = line.split_once('\t').unwrap();
        if let Ok(octets) = of_v4.parse::<u64>() {
            v4 = [v4[0] + 1, v4[1] + octets];
            all = [all[0] + 1, all[1] + octets];
        } else if let Ok(octets) = of_v6.parse::<u64>() {
            all = [all[0] + 1, all[1] + octets + 40];
        }
    }
    [all, v4]
}

fn tshark(arguments: &[&str]) -> String {
    let output = Command::new("tshark").args(arguments).output().expect("tshark");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn nfacctd_adds_up_the_same() {
    if !is_installed("nfacctd") {
        return skipped("nfacctd", "it is not installed (Debian: pmacct)");
    }
    for version in VERSIONS {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let peer = Nfacctd::start(folder.path(), port);
        let capture = root().join("fixtures/office.pcap");
        let destination = format!("netflow{version}://127.0.0.1:{port}");
        let sent = of_version(version, export(&capture, &destination, folder.path(), &[]));
        let (sum, log) = peer.totals();
        let [_, packets, octets] = sent.totals();
        assert_eq!(sum, [packets, octets], "{version}: {log}");
        assert!(!log.contains("WARN"), "{log}");
    }
}
