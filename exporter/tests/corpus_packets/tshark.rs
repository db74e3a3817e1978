//! tshark reads the same frames: the innermost packet's addresses, length and ports must be the same.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use flowgauge_templates::packet::{Fault, Headers, TunnelKind, parse};

use super::{Captured, captures, corpus, frames};

/// What both can say of the innermost packet.
#[derive(Clone, Debug, PartialEq)]
struct Innermost {
    src: IpAddr,
    dst: IpAddr,
    octets: u32,
    ports: [u16; 2],
}

impl std::fmt::Display for Innermost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [src, dst] = self.ports;
        write!(f, "{}:{src} > {}:{dst} {}", self.src, self.dst, self.octets)
    }
}

fn ours(headers: &Headers<'_>) -> Option<Innermost> {
    let network = headers.network?;
    Some(Innermost {
        src: network.src(),
        dst: network.dst(),
        octets: network.octets,
        ports: headers.ports,
    })
}

const FIELDS: [&str; 23] = [
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ip.len",
    "ipv6.src",
    "ipv6.dst",
    "ipv6.plen",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "sctp.srcport",
    "sctp.dstport",
    "dccp.srcport",
    "dccp.dstport",
    "vlan.id",
    "vxlan.vni",
    "geneve.vni",
    "gre.key",
    "gtp.teid",
    "erspan.spanid",
    "mpls.label",
    "pppoe.session_id",
];

/// Layers behind which packets are quoted or sampled rather than carried.
const QUOTES: [&str; 4] = ["icmp", "icmpv6", "sflow", "openflow"];

/// The innermost packet of a line of tshark's; an error where the line does not say.
fn theirs(line: &str) -> Result<Option<Innermost>, ()> {
    let cells: Vec<&str> = line.split('\t').collect();
    let list = |at: usize| -> Vec<&str> {
        let cell = cells.get(at).copied().unwrap_or_default();
        cell.split(',').filter(|value| !value.is_empty()).collect()
    };
    let (mut v4, mut v6, mut last) = (0, 0, None);
    let mut ports: BTreeMap<&str, usize> = BTreeMap::new();
    let mut transport = None;
    for layer in cells.first().copied().unwrap_or_default().split(':') {
        match layer {
            "ip" => (v4, last, transport) = (v4 + 1, Some((1, v4)), None),
            "ipv6" => (v6, last, transport) = (v6 + 1, Some((4, v6)), None),
            "tcp" | "udp" | "sctp" | "dccp" => {
                let count = ports.entry(layer).or_default();
                let first = match layer {
                    "tcp" => 7,
                    "udp" => 9,
                    "sctp" => 11,
                    _ => 13,
                };
                transport = Some((first, *count));
                *count += 1;
            }
            _ if QUOTES.contains(&layer) => break,
            _ => {}
        }
    }
    let Some((first, place)) = last else { return Ok(None) };
    let cell = |column: usize, place: usize| list(column).get(place).copied().ok_or(());
    let address = |column: usize| cell(column, place)?.parse::<IpAddr>().map_err(|_| ());
    let number = |column: usize, place: usize| cell(column, place)?.parse::<u32>().map_err(|_| ());
    let length = number(first + 2, place)?;
    Ok(Some(Innermost {
        src: address(first)?,
        dst: address(first + 1)?,
        octets: if first == 4 { length + 40 } else { length },
        ports: match transport {
            Some((column, place)) => [number(column, place)? as u16, number(column + 1, place)? as u16],
            None => [0; 2],
        },
    }))
}

/// What else both say of the layers around: VLAN ids, the tunnel's identifier, labels, the PPPoE session. An error names
/// what differs.
fn compare_around(headers: &Headers<'_>, line: &str) -> Result<(), String> {
    let cells: Vec<&str> = line.split('\t').collect();
    let list = |name: &str| -> Vec<u64> {
        let column = FIELDS.iter().position(|field| *field == name).unwrap();
        let cell = cells.get(column).copied().unwrap_or_default();
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
            None => text.parse().unwrap(),
        };
        cell.split(',').filter(|value| !value.is_empty()).map(number).collect()
    };
    let same = |what: &str, ours: Vec<u64>, theirs: Vec<u64>| match ours == theirs {
        true => Ok(()),
        false => Err(format!("{what}: ours {ours:?}, theirs {theirs:?}")),
    };
    let link = &headers.link;
    let Some(tunnel) = headers.tunnel else {
        let ids: Vec<u64> = link
            .vlan
            .iter()
            .take(link.vlan_tags.into())
            .map(|id| u64::from(*id))
            .collect();
        same("VLAN", ids, list("vlan.id").into_iter().take(2).collect())?;
        let [top, bottom] = link.mpls.map(|entry| u64::from(entry >> 12));
        let labels = list("mpls.label");
        let ends = [labels.first(), labels.last()].map(|label| label.copied().unwrap_or_default());
        let ours = if link.mpls_labels == 0 { [0; 2] } else { [top, bottom] };
        same("MPLS", ours.to_vec(), ends.to_vec())?;
        return same(
            "PPPoE",
            link.pppoe_session.iter().map(|session| u64::from(*session)).collect(),
            list("pppoe.session_id"),
        );
    };
    let name = match tunnel.kind {
        TunnelKind::Vxlan => "vxlan.vni",
        TunnelKind::Geneve => "geneve.vni",
        TunnelKind::Gre => "gre.key",
        TunnelKind::GtpU => "gtp.teid",
        TunnelKind::Erspan => "erspan.spanid",
        _ => return Ok(()),
    };
    let theirs = list(name).last().copied();
    same(
        tunnel.kind.as_str(),
        tunnel.identifier.into_iter().collect(),
        theirs.into_iter().collect(),
    )
}

/// Frames of many captures and link types as one pcapng file, so that tshark starts once.
fn write_pcapng(path: &Path, frames: &[Captured]) {
    let mut interfaces: Vec<u16> = frames.iter().map(|frame| frame.link_type.0).collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut block = |kind: u32, body: &[u8]| {
        let total = (body.len().next_multiple_of(4) + 12) as u32;
        out.write_all(&kind.to_le_bytes()).unwrap();
        out.write_all(&total.to_le_bytes()).unwrap();
        out.write_all(body).unwrap();
        out.write_all(&[0; 3][..body.len().next_multiple_of(4) - body.len()])
            .unwrap();
        out.write_all(&total.to_le_bytes()).unwrap();
    };
    let magic_version_length = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    block(0x0a0d_0d0a, &magic_version_length);
    for link_type in &interfaces {
        block(1, &[&link_type.to_le_bytes()[..], &[0, 0], &[0; 4]].concat());
    }
    for frame in frames {
        let interface = interfaces.binary_search(&frame.link_type.0).unwrap() as u32;
        let mut body = interface.to_le_bytes().to_vec();
        body.extend([0; 8]);
        body.extend((frame.bytes.len() as u32).to_le_bytes());
        body.extend(frame.wire_length.max(frame.bytes.len() as u32).to_le_bytes());
        body.extend(&frame.bytes);
        block(6, &body);
    }
}

/// Captures on which the two differ, by the end of their path, and why.
const EXPLAINED: [(&str, &str); 17] = [
    (
        "mpls-eompls-cw.pcap",
        "tshark takes the control word for the start of a frame",
    ),
    (
        "802_15_4-data.pcap",
        "6LoWPAN: its addresses are put together from other layers; not read here",
    ),
    ("LINKTYPE_PKTAP.pcap", "link type not read here"),
    ("arcnet-rfc1051-arp-icmp-http.pcap", "link type not read here"),
    ("arcnet-rfc1201-arp-icmp-http.pcap", "link type not read here"),
    ("bgp-aigp.pcap", "link type (Juniper) not read here"),
    (
        "PIM_register_register-stop.pcap",
        "a PIM register is a flow of PIM here",
    ),
    ("nhrp-trace.pcap", "NHRP quotes the packet that it could not resolve"),
    (
        "bigtcp-ipv4-geneve-ipv4.pcap",
        "tshark does not open datagrams without a length",
    ),
    (
        "bigtcp-ipv4-geneve-ipv6.pcap",
        "tshark does not open datagrams without a length",
    ),
    (
        "bigtcp-ipv4-vxlan-ipv4.pcap",
        "tshark does not open datagrams without a length",
    ),
    (
        "bigtcp-ipv4-vxlan-ipv6.pcap",
        "tshark does not open datagrams without a length",
    ),
    ("vxlan_port_8472.pcap", "tshark knows VXLAN by its assigned port only"),
    ("cve2015-0261-crash.pcap", "tshark does not read SLIP"),
    ("cve2015-0261-ipv6.pcap", "tshark does not read SLIP"),
    ("icmp6_nodeinfo_oobr.pcap", "tshark does not read SLIP"),
    (
        "pbb-recursive-frames.pcapng",
        "40 frames in frames: beyond the limit here",
    ),
];

/// The same for the layers around.
const EXPLAINED_AROUND: [(&str, &str); 5] = [
    ("dot1ad.pcap", "tshark has service tags in another field"),
    (
        "erspan-type-i-3.pcap",
        "a mirrored frame without a packet: tshark shows its tag, the packet around is ours",
    ),
    (
        "erspan-type-ii-3.pcap",
        "a mirrored frame without a packet: tshark shows its tag, the packet around is ours",
    ),
    ("sflow_expanded.pcap", "a sampled frame's tag"),
    ("pbb.pcap", "the backbone's tag, where the frame inside has none"),
];

fn compare(most_frames: usize) {
    let Some(corpus) = corpus() else { return };
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: no tshark: nobody else reads the packets of the corpus");
        return;
    }
    let mut files = Vec::new();
    captures(&corpus, &mut files);
    let mut all = Vec::new();
    for path in &files {
        frames(&corpus, path, most_frames, |frame| all.push(frame));
    }
    let folder = tempfile::tempdir().unwrap();
    let merged = folder.path().join("merged.pcapng");
    write_pcapng(&merged, &all);
    let mut child = Command::new("tshark")
        .args(["-n", "-T", "fields", "-r"])
        .arg(&merged)
        .args(["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"])
        .args([
            "-o",
            "tcp.desegment_tcp_streams:FALSE",
            "-o",
            "tcp.analyze_sequence_numbers:FALSE",
        ])
        .args(FIELDS.iter().flat_map(|field| ["-e", field]))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
    let (mut same, mut unsaid, mut contradicted) = (0, 0, 0);
    let mut differences: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut around: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for frame in &all {
        let line = lines.next().expect("a line a frame").unwrap();
        let line = String::from_utf8_lossy(&line);
        let headers = parse(frame.link_type, &frame.bytes, frame.wire_length);
        let Ok(theirs) = theirs(&line) else {
            unsaid += 1;
            continue;
        };
        let ours = ours(&headers);
        if ours == theirs {
            same += 1;
            // Frames in frames that lead to no packet are followed by tshark further than by us.
            if let (Some(_), Err(what)) = (&ours, compare_around(&headers, &line)) {
                around
                    .entry(&frame.file)
                    .or_default()
                    .push(format!("frame {} {what}", frame.number));
            }
            continue;
        }
        // tshark goes by the packet's own first bits there.
        if headers.fault == Some(Fault::IpVersion) && theirs.is_some() {
            contradicted += 1;
            continue;
        }
        let show = |seen: &Option<Innermost>| seen.as_ref().map_or("-".to_owned(), Innermost::to_string);
        let stack = line.split('\t').next().unwrap_or_default();
        differences.entry(&frame.file).or_default().push(format!(
            "frame {} {stack} {:?}: ours {} ({}{}), theirs {}",
            frame.number,
            frame.link_type,
            show(&ours),
            headers.tunnel.map_or("", |tunnel| tunnel.kind.as_str()),
            headers.fault.map_or("", |fault| fault.as_str()),
            show(&theirs)
        ));
    }
    child.wait().unwrap();
    let differing: usize = differences.values().map(Vec::len).sum();
    println!(
        "{} frames: {same} the same, {unsaid} not said by tshark, {contradicted} of another IP version than their link says, {differing} differ",
        all.len()
    );
    let mut unexplained = Vec::new();
    for (file, lines) in &around {
        match EXPLAINED_AROUND.iter().find(|(end, _)| file.ends_with(end)) {
            Some((_, why)) => println!("around, {file} ({}): {why}", lines.len()),
            None => unexplained.extend(lines.iter().take(3).map(|line| format!("around, {file}: {line}"))),
        }
    }
    for (file, lines) in &differences {
        match EXPLAINED.iter().find(|(end, _)| file.ends_with(end)) {
            Some((_, why)) => println!("{file} ({}): {why}", lines.len()),
            None => unexplained.extend(
                lines
                    .iter()
                    .take(3)
                    .map(|line| format!("{file} ({}): {line}", lines.len())),
            ),
        }
    }
    assert!(same > all.len() / 10 * 9, "hardly anything was compared");
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}

#[test]
fn tshark_sees_the_same_innermost_packets() {
    compare(60);
}

#[test]
#[ignore = "takes a minute: every frame of the corpus"]
fn tshark_sees_the_same_in_every_frame() {
    compare(usize::MAX);
}
