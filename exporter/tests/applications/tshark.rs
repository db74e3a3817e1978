//! Captures that others made, beside tshark: each flow in which either of us reads a protocol, and each value of it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metering::{Ends, Known, ends, meter};
use crate::shared;

const FIELDS: [&str; 27] = [
    "frame.protocols",
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "udp.srcport",
    "tcp.dstport",
    "udp.dstport",
    "tcp.stream",
    "udp.stream",
    "http.request.method",
    "http.request.uri",
    "http.host",
    "http.user_agent",
    "http.response.code",
    "http.content_type",
    "ssh.protocol",
    "smtp.response.code",
    "smtp.rsp.parameter",
    "smtp.req.command",
    "smtp.req.parameter",
    "dhcp.option.dhcp",
    "dhcp.option.hostname",
    "dhcpv6.msgtype",
    "stun.type",
    "stun.att.software",
];
const PROTOCOLS: [&str; 6] = ["http", "ssh", "smtp", "dhcp", "dhcpv6", "stun"];
/// Stands between several values of one field in one frame.
const AND: char = '\u{1f}';

/// What tshark reads in one flow.
#[derive(Default)]
struct Theirs {
    ends: Option<Ends>,
    protocol: &'static str,
    values: BTreeMap<&'static str, String>,
    /// Directions of which a datagram was seen, by source port and address.
    seen: Vec<(IpAddr, u16)>,
}

impl Theirs {
    fn set(&mut self, element: &'static str, value: &str) {
        if !value.is_empty() {
            self.values.entry(element).or_insert_with(|| value.to_owned());
        }
    }
}

/// One frame's fields.
struct Frame<'a>(Vec<&'a str>);

impl<'a> Frame<'a> {
    fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
        let at = FIELDS.iter().position(|field| *field == name).unwrap();
        let values = self.0.get(at).copied().unwrap_or_default();
        values.split(AND).filter(|value| !value.is_empty())
    }

    fn first(&self, name: &str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    /// The innermost, where there are tunnels.
    fn last(&self, name: &str) -> Option<&'a str> {
        self.all(name).next_back()
    }
}

fn theirs(capture: &Path) -> Vec<Theirs> {
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-r"])
        .arg(capture)
        .args(["-T", "fields", "-E", "occurrence=a"]);
    command.arg("-E").arg(format!("aggregator={AND}"));
    command.args([
        "-o",
        "http.desegment_body:FALSE",
        "-o",
        "tls.desegment_ssl_records:FALSE",
    ]);
    command.args(["-Y", &PROTOCOLS.join(" or ")]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut flows: Vec<Theirs> = Vec::new();
    let mut places: HashMap<(String, &'static str), usize> = HashMap::new();
    for line in text.lines() {
        let frame = Frame(line.split('\t').collect());
        let layers: Vec<&str> = frame.first("frame.protocols").split(':').collect();
        // What is sealed, quoted in an ICMP message or wrapped in another protocol is not a flow's own payload.
        let at = layers.iter().position(|layer| PROTOCOLS.contains(layer)).unwrap_or(0);
        let Some(protocol) = PROTOCOLS.into_iter().find(|protocol| layers.get(at) == Some(protocol)) else {
            continue;
        };
        if !matches!(layers[at - 1], "tcp" | "udp") || layers.iter().any(|layer| layer.starts_with("icmp")) {
            continue;
        }
        let network = layers[..at].iter().rev().find(|layer| matches!(**layer, "ip" | "ipv6"));
        let address = |end: &str| frame.last(&format!("{}.{end}", network?))?.parse::<IpAddr>().ok();
        let port = |end: &str| frame.last(&format!("{}.{end}", layers[at - 1]))?.parse::<u16>().ok();
        let (Some(src), Some(dst), Some(src_port), Some(dst_port)) =
            (address("src"), address("dst"), port("srcport"), port("dstport"))
        else {
            continue;
        };
        let stream = format!("{} {}", frame.first("tcp.stream"), frame.first("udp.stream"));
        let place = *places.entry((stream, protocol)).or_insert(flows.len());
        if place == flows.len() {
            flows.push(Theirs {
                protocol,
                ..Theirs::default()
            });
        }
        let flow = &mut flows[place];
        let number = if layers[at - 1] == "tcp" { 6 } else { 17 };
        flow.ends = Some(ends((src, src_port), (dst, dst_port), number));
        note(flow, &frame, (src, src_port), dst_port);
    }
    flows
}

fn note(flow: &mut Theirs, frame: &Frame<'_>, src: (IpAddr, u16), dst_port: u16) {
    let is_new = !flow.seen.contains(&src);
    if is_new {
        flow.seen.push(src);
    }
    match flow.protocol {
        "http" => {
            if !frame.first("http.request.method").is_empty() && !flow.values.contains_key("httpRequestMethod") {
                flow.set("httpRequestMethod", frame.first("http.request.method"));
                flow.set("httpRequestTarget", frame.first("http.request.uri"));
                flow.set("httpRequestHost", frame.first("http.host"));
                flow.set("httpUserAgent", frame.first("http.user_agent"));
            }
            let final_code = |code: &&str| !code.starts_with('1') || *code == "101";
            if let Some(code) = frame.all("http.response.code").find(final_code) {
                flow.set("httpStatusCode", code);
            }
        }
        "ssh" => {
            let from_server = src.1 == 22 || (dst_port != 22 && flow.seen.len() == 2 && flow.seen[1] == src);
            let element = if from_server {
                "sshServerVersion"
            } else {
                "sshClientVersion"
            };
            flow.set(element, frame.first("ssh.protocol"));
        }
        "smtp" => {
            if frame.first("smtp.response.code") == "220" {
                flow.set("smtpServerGreeting", frame.first("smtp.rsp.parameter"));
            }
            let command = frame.first("smtp.req.command").to_ascii_uppercase();
            if ["EHLO", "HELO", "LHLO"].contains(&command.as_str()) {
                flow.set("smtpClientName", frame.first("smtp.req.parameter").trim());
            }
        }
        "dhcp" if is_new => {
            flow.set("dhcpMessageType", frame.first("dhcp.option.dhcp"));
            flow.set("dhcpHostName", frame.first("dhcp.option.hostname"));
        }
        "stun" if is_new => flow.set("stunSoftware", frame.first("stun.att.software")),
        _ => {}
    }
}

/// Counts of one protocol.
#[derive(Default)]
struct Row {
    flows: usize,
    values: usize,
    equal: usize,
    only_ours: usize,
}

fn compare(theirs: &[Theirs], ours: &[Known], rows: &mut BTreeMap<&'static str, Row>, differences: &mut Vec<String>) {
    let mut taken = vec![false; ours.len()];
    for flow in theirs {
        // Sealed or later octets of a connection that tshark names by its port.
        if flow.values.is_empty() && matches!(flow.protocol, "http" | "ssh" | "smtp") {
            continue;
        }
        let row = rows.entry(flow.protocol).or_default();
        row.flows += 1;
        let found = (0..ours.len()).find(|at| {
            let known = &ours[*at];
            !taken[*at] && Some(known.ends) == flow.ends && known.protocol() == flow.protocol
        });
        let Some(at) = found else {
            differences.push(format!("{} {:?}: not recognised", flow.protocol, flow.values));
            continue;
        };
        taken[at] = true;
        for (element, value) in &flow.values {
            row.values += 1;
            let ours = ours[at].get(element);
            match ours == value || is_cut(ours, value) {
                true => row.equal += 1,
                false => differences.push(format!("{} {element}: {ours:?}, not {value:?}", flow.protocol)),
            }
        }
    }
    for (flow, _) in ours.iter().zip(taken).filter(|(_, taken)| !taken) {
        if let Some(protocol) = PROTOCOLS.into_iter().find(|protocol| *protocol == flow.protocol()) {
            rows.entry(protocol).or_default().only_ours += 1;
            println!("  only ours: {:?}", flow.values);
        }
    }
}

/// Ours ends at a bound, which no field has below 250 octets but the ones of HTTP.
fn is_cut(ours: &str, value: &str) -> bool {
    ours.len() > 200 && value.starts_with(ours)
}

/// Differences that are known, by a part of their text, with their reason. Any other fails the test.
const REASONS: &[(&str, &str)] = &[
    ("-302-frag.pcap: http", "its IP fragments are not put together"),
    ("frag_http_req.pcap: http", "its IP fragments are not put together"),
    ("tcpdump/arcnet-", "ARCNET is no link type of ours"),
    (
        "get-to-ssh-server.pcap: ssh",
        "its client speaks HTTP, and a flow has one protocol",
    ),
    ("stun_tcp_multiple", "STUN behind a frame of RFC 4571"),
    ("/stun.pcap: stun", "STUN behind a frame of RFC 4571"),
    (
        "http/methods.pcap",
        "a request line without a target, or one that runs into the version",
    ),
];

/// Captures whose list says that they hold one of the protocols; the large ones and all others too when
/// `FLOWGAUGE_EXHAUSTIVE` is set.
fn captures(corpus: &Path) -> Vec<PathBuf> {
    let all = std::env::var_os("FLOWGAUGE_EXHAUSTIVE").is_some();
    let list = std::fs::read_to_string(corpus.join("FILES.tsv")).unwrap();
    let mut found = Vec::new();
    for line in list.lines().skip(1) {
        let mut cells = line.split('\t');
        let (Some(set), Some(file)) = (cells.next(), cells.next()) else {
            continue;
        };
        let name = file.to_ascii_lowercase();
        let named = ["http", "ssh", "smtp", "dhcp", "stun"]
            .iter()
            .any(|word| name.contains(word));
        let is_capture = name.contains("pcap") || name.ends_with(".cap") || name.ends_with(".trace");
        if is_capture && (all || named) && !set.starts_with("flowexport") {
            found.push(corpus.join(set).join(file));
        }
    }
    const LARGE: u64 = 1 << 20;
    found.retain(|path| {
        path.metadata()
            .is_ok_and(|file| file.is_file() && (all || file.len() < LARGE))
    });
    found
}

#[test]
fn values_agree_with_tshark() {
    let Some(corpus) = shared("corpus") else { return };
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: no tshark: applications of other people's captures are not compared");
        return;
    }
    let captures = captures(&corpus);
    let next = AtomicUsize::new(0);
    let found = Mutex::new((BTreeMap::<&'static str, Row>::new(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(capture) = captures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (theirs, (ours, _)) = (theirs(capture), meter(capture));
                    let mut differences = Vec::new();
                    let (rows, all) = &mut *found.lock().unwrap();
                    compare(&theirs, &ours, rows, &mut differences);
                    let name = capture.strip_prefix(&corpus).unwrap().display();
                    all.extend(differences.iter().map(|difference| format!("{name}: {difference}")));
                }
            });
        }
    });
    let (rows, mut differences) = found.into_inner().unwrap();
    println!("{} captures beside tshark", captures.len());
    println!(
        "{:8} {:>8} {:>8} {:>8} {:>10}",
        "protocol", "flows", "values", "equal", "only ours"
    );
    for (protocol, row) in &rows {
        let Row {
            flows,
            values,
            equal,
            only_ours,
        } = row;
        println!("{protocol:8} {flows:8} {values:8} {equal:8} {only_ours:10}");
    }
    differences.sort();
    let mut unexplained = Vec::new();
    for difference in differences {
        match REASONS.iter().find(|(part, _)| difference.contains(part)) {
            Some((_, reason)) => println!("  {difference}: {reason}"),
            None => unexplained.push(difference),
        }
    }
    assert!(unexplained.is_empty(), "without a reason:\n{}", unexplained.join("\n"));
    assert!(rows["http"].equal > 100, "too few values to say anything");
}
