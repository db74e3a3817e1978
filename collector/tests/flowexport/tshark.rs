//! What tshark makes of the same datagrams: they are written into one capture, and its PDML is read line by line.

use std::path::Path;
use std::process::Command;

/// A node of tshark's tree that holds octets of its own.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub name: String,
    pub offset: usize,
    pub octets: Vec<u8>,
    pub show: String,
}

/// One flow.
#[derive(Debug, Default)]
pub struct Record {
    pub leaves: Vec<Leaf>,
}

/// Octets before the datagram in each packet: IPv4 and UDP.
const BEFORE: usize = 28;
const PORT: u16 = 2055;

/// A datagram, and the number of the exporter that sent it: tshark keeps templates by exporter.
pub type Sent<'a> = (u16, &'a [u8]);

/// The records of each datagram; `None` where there is no tshark.
pub fn decode(datagrams: &[Sent<'_>], directory: &Path) -> Option<Vec<Vec<Record>>> {
    let path = directory.join("datagrams.pcap");
    std::fs::write(&path, capture(datagrams)).unwrap();
    let output = Command::new("tshark")
        .args(["-d", &format!("udp.port=={PORT},cflow"), "-T", "pdml", "-r"])
        .arg(&path)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.split("<packet>").skip(1).map(records).collect())
}

fn capture(datagrams: &[Sent<'_>]) -> Vec<u8> {
    let mut file = Vec::new();
    // pcap of raw IPv4 (link type 228).
    for word in [0xa1b2_c3d4u32, 0x0002_0004, 0, 0, 0x0004_0000, 228] {
        file.extend(word.to_ne_bytes());
    }
    // The version is two numbers of 16 bits.
    file[4..8].copy_from_slice(&[2u16.to_ne_bytes(), 4u16.to_ne_bytes()].concat());
    for (at, (exporter, datagram)) in datagrams.iter().enumerate() {
        let [high, low] = exporter.to_be_bytes();
        let length = (BEFORE + datagram.len()) as u32;
        for word in [at as u32, 0, length, length] {
            file.extend(word.to_ne_bytes());
        }
        let octets = |number: usize| (number as u16).to_be_bytes();
        file.extend(
            [
                &[0x45, 0][..],
                &octets(BEFORE + datagram.len()),
                &[0, 0, 0, 0, 64, 17, 0, 0],
            ]
            .concat(),
        );
        file.extend([10, 0, high, low, 192, 0, 2, 2]);
        file.extend(
            [
                &PORT.to_be_bytes()[..],
                &PORT.to_be_bytes(),
                &octets(8 + datagram.len()),
                &[0, 0],
            ]
            .concat(),
        );
        file.extend(*datagram);
    }
    file
}

struct Node {
    leaf: Leaf,
    masked: bool,
    /// Whether anything within it was taken as a leaf.
    divided: bool,
    record: bool,
}

fn records(packet: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut open: Vec<Node> = Vec::new();
    let mut within_cflow = false;
    for line in packet.lines().map(str::trim_start) {
        if line.starts_with("<proto ") {
            within_cflow = attribute(line, "name").as_deref() == Some("cflow");
        } else if line.starts_with("</proto") {
            within_cflow = false;
        } else if !within_cflow {
        } else if line.starts_with("</field>") {
            let Some(node) = open.pop() else { continue };
            close(node, &mut open, &mut records);
        } else if line.starts_with("<field ") {
            let node = node(line);
            if node.record {
                records.push(Record::default());
            }
            if line.ends_with("/>") {
                close(node, &mut open, &mut records);
            } else {
                open.push(node);
            }
        }
    }
    records
}

fn node(line: &str) -> Node {
    let text = |name| attribute(line, name).unwrap_or_default();
    let (name, show) = (text("name"), text("show"));
    let record = name.is_empty() && ["Flow ", "pdu ", "PDU "].iter().any(|start| show.starts_with(start));
    Node {
        masked: attribute(line, "unmaskedvalue").is_some(),
        divided: false,
        record,
        leaf: Leaf {
            offset: text("pos").parse::<usize>().unwrap_or(0).saturating_sub(BEFORE),
            octets: octets(&text("value")),
            name,
            show,
        },
    }
}

/// A node becomes a leaf of the record around it when nothing within it did, bits of its octets aside.
fn close(node: Node, open: &mut [Node], records: &mut [Record]) {
    let within = open.iter().any(|node| node.record);
    if node.record || !within {
        return;
    }
    if node.masked || (node.leaf.octets.is_empty() && !node.divided) {
        return;
    }
    if let Some(parent) = open.last_mut().filter(|parent| !parent.record) {
        parent.divided = true;
    }
    if !node.divided
        && let Some(record) = records.last_mut()
    {
        record.leaves.push(node.leaf);
    }
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter_map(|digit| (digit as char).to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn attribute(line: &str, name: &str) -> Option<String> {
    let start = line.find(&format!(" {name}=\""))? + name.len() + 3;
    let text = line.get(start..)?;
    let text = text.get(..text.find('"')?)?;
    Some(
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&amp;", "&"),
    )
}
