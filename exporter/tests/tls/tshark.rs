//! Every hello that tshark reads in the corpus, beside ours: names, versions, cipher suites, and JA4 made here anew from
//! tshark's fields, as its own JA4 came with a later version.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_ie_registry::ids;
use sha2::{Digest, Sha256};

use crate::reading::{Flow, Key, read};
use crate::{captures, explain, name, shared};

/// What is asked of tshark; those of DTLS are the same with another first letter.
const FIELDS: [&str; 10] = [
    "handshake.type",
    "handshake.version",
    "handshake.ciphersuite",
    "handshake.extension.type",
    "handshake.extensions.supported_version",
    "handshake.sig_hash_alg",
    "handshake.sig_hash_alg_len",
    "handshake.extensions_alpn_str",
    "handshake.extensions_server_name",
    "handshake.extension.len",
];

const ADDRESSES: [&str; 8] = [
    "ip.src",
    "ipv6.src",
    "ip.dst",
    "ipv6.dst",
    "tcp.srcport",
    "udp.srcport",
    "tcp.dstport",
    "udp.dstport",
];

/// A frame's hello.
struct Hello {
    /// By addresses of IPv4 and of IPv6; of a tunnel, one of them may be that around it.
    keys: Vec<Key>,
    is_quic: bool,
    is_dtls: bool,
    fields: HashMap<&'static str, Vec<String>>,
}

impl Hello {
    fn numbers(&self, field: &str) -> Vec<u32> {
        let text = self.fields.get(field).into_iter().flatten();
        let number = |text: &String| match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
            None => text.parse().unwrap(),
        };
        text.map(number).collect()
    }

    fn is(&self, kind: u32) -> bool {
        let kinds = self.numbers("handshake.type");
        kinds.iter().filter(|kind| matches!(kind, 1 | 2)).eq([&kind])
    }

    /// Versions offered or chosen, GREASE left out.
    fn version(&self) -> u32 {
        let offered = self.numbers("handshake.extensions.supported_version");
        let offered = offered.into_iter().filter(|version| !is_grease(*version));
        let highest = if self.is_dtls { offered.min() } else { offered.max() };
        highest.unwrap_or_else(|| self.numbers("handshake.version")[0])
    }

    fn server_name(&self) -> String {
        let names = self.fields.get("handshake.extensions_server_name");
        names.and_then(|names| names.first()).cloned().unwrap_or_default()
    }

    /// JA4 as FoxIO describes it, in the plainest way.
    fn ja4(&self) -> String {
        let carrier = match (self.is_quic, self.is_dtls) {
            (true, _) => 'q',
            (_, true) => 'd',
            _ => 't',
        };
        let version = match self.version() {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0xfeff => "d1",
            0xfefd => "d2",
            0xfefc => "d3",
            _ => "00",
        };
        let without_grease = |field| -> Vec<u32> {
            let all = self.numbers(field).into_iter();
            all.filter(|value| !is_grease(*value)).collect()
        };
        let mut suites = without_grease("handshake.ciphersuite");
        let all_extensions = without_grease("handshake.extension.type");
        let protocol = self
            .fields
            .get("handshake.extensions_alpn_str")
            .and_then(|names| names.first());
        let ends = match protocol.map(|name| name.as_bytes()) {
            None | Some([]) => "00".to_owned(),
            Some([first @ last] | [first, .., last]) => {
                if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                    format!("{}{}", char::from(*first), char::from(*last))
                } else {
                    format!("{:x}{:x}", first >> 4, last & 15)
                }
            }
        };
        let count = |values: &[u32]| values.len().min(99);
        let readable = format!(
            "{carrier}{version}{}{:02}{:02}{ends}",
            if all_extensions.contains(&0) { 'd' } else { 'i' },
            count(&suites),
            count(&all_extensions)
        );
        suites.sort_unstable();
        let mut extensions: Vec<u32> = all_extensions
            .iter()
            .copied()
            .filter(|kind| !matches!(kind, 0 | 16))
            .collect();
        extensions.sort_unstable();
        let mut text = hex(&extensions);
        let algorithms = self.signature_algorithms();
        if !algorithms.is_empty() {
            text = format!("{text}_{}", hex(&algorithms));
        }
        let hash = |text: String, values: &[u32]| match values {
            [] => "000000000000".to_owned(),
            _ => Sha256::digest(text)[..6]
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect(),
        };
        format!("{readable}_{}_{}", hash(hex(&suites), &suites), hash(text, &extensions))
    }

    /// tshark puts the algorithms of several extensions into one list.
    fn signature_algorithms(&self) -> Vec<u32> {
        let all = self.numbers("handshake.sig_hash_alg");
        let lengths = self.numbers("handshake.sig_hash_alg_len");
        let kinds = self.numbers("handshake.extension.type");
        let lists = kinds.iter().filter(|kind| matches!(kind, 13 | 34 | 50));
        let mut at = 0;
        for (kind, length) in lists.zip(lengths) {
            let end = at + length as usize / 2;
            if *kind == 13 {
                return all[at..end]
                    .iter()
                    .copied()
                    .filter(|value| !is_grease(*value))
                    .collect();
            }
            at = end;
        }
        Vec::new()
    }
}

fn is_grease(value: u32) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn hex(values: &[u32]) -> String {
    let texts: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    texts.join(",")
}

/// The frames of a capture in which tshark sees a hello.
fn hellos(capture: &Path) -> Vec<Hello> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(capture);
    // Each of ours is one flow; tshark would otherwise wait for what was lost.
    command.args(["-o", "tcp.reassemble_out_of_order:TRUE", "-T", "fields"]);
    command.args(["-Y", "tls.handshake.type in {1,2} || dtls.handshake.type in {1,2}"]);
    command.args(["-e", "quic"]);
    for field in ADDRESSES {
        command.args(["-e", field]);
    }
    for letter in ["tls", "dtls"] {
        for field in FIELDS {
            command.arg("-e").arg(format!("{letter}.{field}"));
        }
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut hellos = Vec::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let (is_quic, columns) = (!columns[0].is_empty(), &columns[1..]);
        // Of tunnels, the innermost addresses.
        let last = |at: usize| columns[at].rsplit(',').next().unwrap().to_owned();
        let address = |at: usize| last(at).parse::<IpAddr>().ok();
        let pairs = [address(0).zip(address(2)), address(1).zip(address(3))];
        let (protocol, at) = if columns[4].is_empty() { (17, 5) } else { (6, 4) };
        let (Ok(src_port), Ok(dst_port)) = (last(at).parse(), last(at + 2).parse()) else {
            continue;
        };
        let keys = pairs.into_iter().flatten();
        let is_dtls = columns[ADDRESSES.len()].is_empty();
        let start = ADDRESSES.len() + if is_dtls { FIELDS.len() } else { 0 };
        let values = columns[start..start + FIELDS.len()].iter();
        let list = |column: &&str| {
            column
                .split(',')
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .collect()
        };
        hellos.push(Hello {
            keys: keys
                .map(|(src, dst)| (src, dst, src_port, dst_port, protocol))
                .collect(),
            is_quic,
            is_dtls,
            fields: FIELDS.into_iter().zip(values.map(list)).collect(),
        });
    }
    hellos
}

#[derive(Default)]
struct Table {
    clients: [usize; 2],
    servers: [usize; 2],
    differences: Vec<String>,
}

impl Table {
    fn compare(&mut self, capture: &str, hellos: &[Hello], flows: &[Flow]) {
        // Of each flow the first hello of either kind; a frame with several is told apart by nobody.
        for (kind, numbers) in [(1, &mut self.clients), (2, &mut self.servers)] {
            let mut met: Vec<&[Key]> = Vec::new();
            for hello in hellos
                .iter()
                .filter(|hello| hello.numbers("handshake.type").contains(&kind))
            {
                if met.contains(&&*hello.keys) || !hello.is(kind) || hello.numbers("handshake.version").is_empty() {
                    continue;
                }
                // In the form of SSL 2.0, of which tshark tells the suites elsewhere and we nothing but the version.
                if kind == 1 && hello.numbers("handshake.ciphersuite").is_empty() {
                    continue;
                }
                met.push(&hello.keys);
                let theirs = match kind {
                    1 => format!("{} {:?}", hello.ja4(), hello.server_name()),
                    _ => format!(
                        "{:04x} {:04x}",
                        hello.version(),
                        hello.numbers("handshake.ciphersuite")[0]
                    ),
                };
                let ours = flows
                    .iter()
                    .filter(|flow| hello.keys.iter().any(|key| flow.is_between(key)));
                let ours: Vec<String> = ours
                    .map(|flow| match kind {
                        1 => format!("{} {:?}", flow.ja4(), flow.server_name()),
                        _ => format!(
                            "{:04x} {:04x}",
                            flow.number(ids::TLS_VERSION).unwrap_or(0),
                            flow.number(ids::TLS_CIPHER_SUITE).unwrap_or(0)
                        ),
                    })
                    .collect();
                numbers[1] += 1;
                if ours.contains(&theirs) {
                    numbers[0] += 1;
                } else {
                    let who = if kind == 1 { "client" } else { "server" };
                    self.differences.push(format!(
                        "{capture} {who} {:?}: tshark {theirs}, ours {ours:?}",
                        hello.keys
                    ));
                }
            }
        }
    }
}

/// Differences with their reasons.
const REASONS: [(&str, &str); 8] = [
    ("starttls", "it begins within another protocol"),
    ("start-tls", "it begins within another protocol"),
    ("http_connect", "it begins within HTTP"),
    ("443-opvn", "it is inside OpenVPN"),
    ("capwap", "it is inside CAPWAP"),
    (
        "wireguard-ping-tcp-dsb",
        "it is inside WireGuard, whose keys are in the capture",
    ),
    ("stun", "it is on a flow that began as STUN, and is known as that"),
    (
        "tls_invalid_reads",
        "the hello contradicts itself or is cut, so that it has no fingerprint",
    ),
];

/// Whether there are octets in a capture that can begin a hello: starting tshark for each of the others takes minutes.
fn has_signs(capture: &Path) -> bool {
    let mut source = PcapFiles::open(&[capture.to_path_buf()], None).unwrap();
    while let Ok(Next::Frame(frame)) = source.next_frame() {
        let is_sign = |octets: &[u8]| match *octets {
            [0x16, 3, 0..=4, _, _, 1 | 2] | [0x16, 0xfe, 0xfd | 0xff, 0, 0, 0] | [0x16, 1, 0, 0, 0, 0] => true,
            [first, 0, 0, 0, 1, _] | [first, 0xff, 0, 0, _, _] | [first, 0x6b, 0x33, 0x43, 0xcf, _] => first >= 0xc0,
            [first, 0xfa, 0xce, 0xb0, _, _] => first >= 0xc0,
            _ => false,
        };
        if frame.bytes.windows(6).any(is_sign) {
            return true;
        }
    }
    false
}

fn compare(sets: &[&str]) {
    let Some(corpus) = shared("corpus") else { return };
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: no tshark (Debian: tshark): hellos are not compared with what it reads");
        return;
    }
    let mut whole = Table::default();
    for set in sets {
        let folder = corpus.join(set);
        let mut table = Table::default();
        let mut captures = captures(&folder);
        captures.retain(|capture| has_signs(capture));
        if std::env::var_os("FLOWGAUGE_TSHARK_ALL").is_none() {
            let before = captures.len();
            captures.retain(|capture| capture.metadata().is_ok_and(|file| file.len() < 1 << 20));
            if captures.len() < before {
                let left_out = before - captures.len();
                println!("skipped: {left_out} large captures of {set}: FLOWGAUGE_TSHARK_ALL=1 reads them too");
            }
        }
        for capture in &captures {
            let hellos = hellos(capture);
            if !hellos.is_empty() {
                table.compare(&name(capture, &corpus), &hellos, &read(capture).flows);
            }
        }
        let [[clients, of_clients], [servers, of_servers]] = [table.clients, table.servers];
        println!(
            "{set}: {} captures, {clients} of {of_clients} ClientHellos, {servers} of {of_servers} ServerHellos as tshark has them",
            captures.len()
        );
        for (sum, part) in [(&mut whole.clients, table.clients), (&mut whole.servers, table.servers)] {
            sum[0] += part[0];
            sum[1] += part[1];
        }
        whole.differences.extend(table.differences);
    }
    println!(
        "all: {:?} ClientHellos, {:?} ServerHellos",
        whole.clients, whole.servers
    );
    explain(whole.differences, &REASONS);
    assert!(whole.clients[1] > 0);
}

#[test]
fn hellos_of_tls_captures() {
    compare(&[
        "ja4",
        "mercury",
        "wireshark",
        "arkime",
        "flowtest",
        "ipfixprobe",
        "suricata-verify",
    ]);
}

#[test]
fn hellos_of_ndpi_captures() {
    compare(&["ndpi", "ndpi-git"]);
}

#[test]
fn hellos_of_zeek_captures() {
    compare(&["zeek/Traces/tls", "zeek/Traces/quic", "zeek/Traces/websocket"]);
}
