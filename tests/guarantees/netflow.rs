//! Collectors that do not read IPFIX get by NetFlow what others get: every flow in version 9, every one of IPv4 in version 5,
//! without a gap, with the octets of the capture and to the millisecond at the times that IPFIX says.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::peers::{Nfcapd, is_installed};
use crate::support::{biflows, free_port, program, root, shared, skipped, succeed, synth, text};

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

/// What arrives at a socket until the exporter is done, as a capture.
fn datagrams(capture: &Path, version: u8, folder: &Path) -> (PathBuf, Flows) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = socket.local_addr().unwrap().port();
    let destination = format!("netflow{version}://127.0.0.1:{port}");
    let (mut octets, sent) = std::thread::scope(|scope| {
        let exporter = scope.spawn(|| export(capture, &destination, folder, &["--rate", "20000"]));
        let mut pcap = Vec::new();
        // libpcap's file header, of link type RAW.
        for number in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 101] {
            pcap.extend(number.to_le_bytes());
        }
        let mut buffer = vec![0; 65_535];
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) => pcap.extend(packet(&buffer[..length])),
                Err(_) if exporter.is_finished() => break,
                Err(_) => {}
            }
        }
        (pcap, exporter.join().unwrap())
    });
    let file = folder.join("wire.pcap");
    std::fs::write(&file, &mut octets).unwrap();
    (file, sent)
}

/// A record of a capture: IPv4 and UDP around a datagram to port 2055.
fn packet(datagram: &[u8]) -> Vec<u8> {
    let udp = (datagram.len() + 8) as u16;
    let length = u32::from(udp) + 20;
    let mut packet = Vec::new();
    for number in [0, 0, length, length] {
        packet.extend(number.to_le_bytes());
    }
    packet.extend([0x45, 0]);
    packet.extend((length as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend([Ipv4Addr::LOCALHOST.octets(), Ipv4Addr::LOCALHOST.octets()].concat());
    for number in [2055, 2055, udp, 0] {
        packet.extend(number.to_be_bytes());
    }
    packet.extend(datagram);
    packet
}

#[test]
fn tshark_finds_nothing_malformed_and_the_same_times() {
    if !is_installed("tshark") {
        return skipped("tshark", "it is not installed (Debian: tshark)");
    }
    let folder = tempfile::tempdir().unwrap();
    for version in VERSIONS {
        for capture in [Some(root().join("fixtures/office.pcap")), corpus()]
            .into_iter()
            .flatten()
        {
            let (wire, sent) = datagrams(&capture, version, folder.path());
            let wire = wire.to_str().unwrap();
            assert_eq!(
                tshark(&[
                    "-r",
                    wire,
                    "-Y",
                    "!cflow || _ws.malformed || _ws.expert.severity >= warning"
                ]),
                ""
            );
            let json: Value =
                serde_json::from_str(&tshark(&["-r", wire, "-T", "json", "--no-duplicate-keys"])).unwrap();
            assert_eq!(
                of_tshark(&json),
                of_version(version, sent),
                "{version}, {}",
                capture.display()
            );
        }
    }
}

fn of_tshark(packets: &Value) -> Flows {
    let mut flows = Flows::default();
    for packet in packets.as_array().unwrap() {
        let header = &packet["_source"]["layers"]["cflow"];
        let seconds = |value: &Value| -> i64 {
            let (whole, part) = value
                .as_str()
                .unwrap()
                .split_once('.')
                .unwrap_or((value.as_str().unwrap(), "0"));
            whole.parse::<i64>().unwrap() * 1000 + format!("{part:0<3}")[..3].parse::<i64>().unwrap()
        };
        let uptime_ms = seconds(&header["cflow.sysuptime"]);
        assert!((0..=i64::from(i32::MAX)).contains(&uptime_ms), "{uptime_ms}");
        let stamp = header.get("cflow.timestamp_tree").unwrap_or(header);
        let nanoseconds: i64 = stamp["cflow.unix_nsecs"].as_str().unwrap_or("0").parse().unwrap();
        let export_ms =
            stamp["cflow.unix_secs"].as_str().unwrap().parse::<i64>().unwrap() * 1000 + nanoseconds / 1_000_000;
        for_each_flow(header, &mut |flow| {
            let get = |names: &[&str]| names.iter().find_map(|name| flow.get(*name)).and_then(Value::as_str);
            let number = |names: &[&str]| get(names).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            let address =
                |names: &[&str]| -> IpAddr { get(names).unwrap_or_else(|| panic!("{flow:?}")).parse().unwrap() };
            if get(&["cflow.octets"]).is_none() {
                return;
            }
            let protocol = number(&["cflow.protocol"]);
            let ports = match protocol {
                1 | 58 => [0, 0],
                _ => [number(&["cflow.srcport"]), number(&["cflow.dstport"])],
            };
            let times = flow
                .get("cflow.timedelta_tree")
                .and_then(Value::as_object)
                .unwrap_or(flow);
            let span = ["cflow.timestart", "cflow.timeend"].map(|name| export_ms - uptime_ms + seconds(&times[name]));
            let key = (
                address(&["cflow.srcaddr", "cflow.srcaddrv6"]),
                address(&["cflow.dstaddr", "cflow.dstaddrv6"]),
                ports[0],
                ports[1],
                protocol,
            );
            flows.add(key, number(&["cflow.packets"]), number(&["cflow.octets"]), span);
        });
    }
    flows
}

fn for_each_flow(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let is_flow = name.starts_with("Flow ") || name.starts_with("pdu ");
                match inner {
                    Value::Object(flow) if is_flow => visit(flow),
                    Value::Array(flows) if is_flow => flows.iter().filter_map(Value::as_object).for_each(&mut *visit),
                    _ => for_each_flow(inner, visit),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|inner| for_each_flow(inner, visit)),
        _ => {}
    }
}

/// What both ways tell of a flow.
const SHARED: [&str; 18] = [
    "src.ip",
    "dst.ip",
    "src.port",
    "dst.port",
    "proto",
    "ip.version",
    "tos",
    "ttl.min",
    "ttl.max",
    "packets",
    "octets",
    "vlan",
    "vlan.inner",
    "src.mac",
    "dst.mac",
    "end_reason",
    "icmp.type",
    "icmp.code",
];

#[test]
fn our_collector_stores_what_it_stores_of_ipfix() {
    let folder = tempfile::tempdir().unwrap();
    let capture = captures(folder.path())
        .into_iter()
        .nth(1)
        .unwrap_or_else(|| root().join("fixtures/office.pcap"));
    let collector = Collector::start(&folder.path().join("store"));
    let [ipfix, nine, five] =
        ["udp", "netflow9", "netflow5"].map(|scheme| format!("{scheme}://127.0.0.1:{}", collector.port));
    let sent = export(&capture, &nine, folder.path(), &["--domain", "9"]);
    export(&capture, &five, folder.path(), &["--domain", "5"]);
    export(&capture, &ipfix, folder.path(), &["--domain", "1"]);
    let biflows = rows(&collector, 1, sent.totals()[0]);
    let mut expected = Vec::new();
    for row in &biflows {
        expected.push(one_way(row, false));
        if row["rev.packets"].as_u64().is_some_and(|packets| packets > 0) {
            expected.push(one_way(row, true));
        }
    }
    let mut stored: Vec<_> = rows(&collector, 9, sent.totals()[0])
        .iter()
        .map(|row| one_way(row, false))
        .collect();
    (expected.sort(), stored.sort());
    assert_eq!(stored.len(), expected.len());
    for (stored, expected) in stored.iter().zip(&expected) {
        assert_eq!(stored, expected);
    }
    // Version 5 knows no more than this of IPv4.
    let less = |row: &[String]| [&row[..5], &row[6..7], &row[9..11]].concat();
    let of_ipv4 = |row: &&Vec<String>| row[5] == "4" && !["1", "58"].contains(&row[4].as_str());
    let mut expected: Vec<_> = expected.iter().filter(of_ipv4).map(|row| less(row)).collect();
    let five = rows(&collector, 5, sent.only_ipv4().totals()[0]);
    let mut stored: Vec<_> = five
        .iter()
        .map(|row| one_way(row, false))
        .filter(|row| !["1", "58"].contains(&row[4].as_str()))
        .map(|row| less(&row))
        .collect();
    (expected.sort(), stored.sort());
    assert_eq!(stored, expected);
    let status = collector.get("/api/v1/status");
    assert_eq!(status["ledger"]["balanced"], true, "{status}");
    collector.terminate();
}

#[test]
fn our_collector_scales_what_was_sampled_as_it_does_of_ipfix() {
    let folder = tempfile::tempdir().unwrap();
    let capture = root().join("fixtures/office.pcap");
    let collector = Collector::start(&folder.path().join("store"));
    let send = |scheme: &str, domain: u32| {
        let destination = format!("{scheme}://127.0.0.1:{}", collector.port);
        // Every tenth packet: the same ones each time.
        let more = ["--domain", &domain.to_string(), "--sample", "1/10"];
        export(&capture, &destination, folder.path(), &more)
    };
    let sent = send("udp", 11);
    send("netflow9", 19);
    send("netflow5", 15);
    let [all, v4] = [sent.totals(), of_version(5, sent).totals()];
    for (domain, [records, packets, octets]) in [(19, all), (15, v4)] {
        let stored = rows(&collector, domain, records);
        let sum = |name: &str| stored.iter().map(|row| row[name].as_u64().unwrap()).sum::<u64>();
        assert_eq!(stored.len() as u64, records, "{domain}");
        assert_eq!([sum("packets"), sum("octets")], [10 * packets, 10 * octets], "{domain}");
        assert!(stored.iter().all(|row| row["sampling"] == 10), "{domain}");
    }
    collector.terminate();
}

/// The rows of one Observation Domain, once there are `expected` of them or 20 s are over.
fn rows(collector: &Collector, domain: u32, expected: u64) -> Vec<Value> {
    let begin = Instant::now();
    loop {
        let path = format!("/api/v1/flows?limit=100000&filter=exporter.domain%3D{domain}");
        let answer = collector.get(&path);
        let rows = answer["rows"].as_array().unwrap().clone();
        if rows.len() as u64 >= expected || begin.elapsed() > Duration::from_secs(20) {
            return rows;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The columns of [`SHARED`] of a row, turned round for its other direction.
fn one_way(row: &Value, reverse: bool) -> Vec<String> {
    let column = |name: &str| {
        let other = match name {
            "src.ip" => "dst.ip",
            "dst.ip" => "src.ip",
            "src.port" => "dst.port",
            "dst.port" => "src.port",
            "src.mac" => "dst.mac",
            "dst.mac" => "src.mac",
            "tos" => "rev.tos",
            "ttl.min" => "rev.ttl.min",
            "ttl.max" => "rev.ttl.max",
            "packets" => "rev.packets",
            "octets" => "rev.octets",
            "icmp.type" => "rev.icmp.type",
            "icmp.code" => "rev.icmp.code",
            same => same,
        };
        match &row[if reverse { other } else { name }] {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    };
    SHARED.iter().map(|name| column(name)).collect()
}

/// nfacctd of pmacct, which prints what it got as JSON lines.
struct Nfacctd {
    child: Child,
    folder: PathBuf,
}

impl Nfacctd {
    fn start(folder: &Path, port: u16) -> Self {
        let configuration = format!(
            "nfacctd_ip: 127.0.0.1\nnfacctd_port: {port}\nplugins: print\naggregate: src_host,dst_host,src_port,dst_port,proto\n\
             print_output: json\nprint_output_file: {out}\nprint_refresh_time: 3600\nprint_cache_entries: 16411\n\
             logfile: {log}\nnfacctd_pipe_size: 8388608\nplugin_pipe_size: 67108864\nplugin_buffer_size: 65536\n",
            out = folder.join("out.json").display(),
            log = folder.join("log").display(),
        );
        std::fs::write(folder.join("nfacctd.conf"), configuration).unwrap();
        let child = Command::new("nfacctd")
            .arg("-f")
            .arg(folder.join("nfacctd.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nfacctd starts");
        let begin = Instant::now();
        while UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(10), "nfacctd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self {
            child,
            folder: folder.to_owned(),
        }
    }

    /// Ends it; packets and octets that it printed, and its log.
    fn totals(mut self) -> ([u64; 2], String) {
        std::thread::sleep(Duration::from_millis(1_500));
        // SIGINT lets the plugin write what it has.
        Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .expect("kill");
        self.child.wait().expect("nfacctd ends");
        let out = self.folder.join("out.json");
        let begin = Instant::now();
        let mut sum = [0, 0];
        // The plugin is a process of its own, which may still be writing.
        let mut before = usize::MAX;
        while begin.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(300));
            let lines = std::fs::read_to_string(&out).unwrap_or_default();
            if !lines.is_empty() && lines.len() == before {
                sum = lines
                    .lines()
                    .map(|line| serde_json::from_str::<Value>(line).unwrap())
                    .fold([0, 0], |sum, line| {
                        [
                            sum[0] + line["packets"].as_u64().unwrap(),
                            sum[1] + line["bytes"].as_u64().unwrap(),
                        ]
                    });
                break;
            }
            before = lines.len();
        }
        (
            sum,
            std::fs::read_to_string(self.folder.join("log")).unwrap_or_default(),
        )
    }
}

impl Drop for Nfacctd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
