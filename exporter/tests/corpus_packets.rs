//! The packet parser over foreign captures, many of them damaged on purpose, and beside tshark's reading of them.
//!
//! The corpus is not part of this repository: without it, or without tshark, the tests say what they leave out.
#![allow(clippy::unwrap_used)]

#[path = "corpus_packets/tshark.rs"]
mod tshark;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flowgauge_exporter::capture::{CaptureDecoder, Step};
use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_templates::packet::{Fault, Headers, LinkType};

/// A frame of a capture.
pub struct Captured {
    /// Where it is in the corpus.
    pub file: String,
    /// Its number in the file, from 1 on.
    pub number: usize,
    /// How its first header reads.
    pub link_type: LinkType,
    /// Octets on the wire.
    pub wire_length: u32,
    /// What was captured.
    pub bytes: Vec<u8>,
}

fn corpus() -> Option<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let corpus = shared.join("corpus");
    if !corpus.is_dir() {
        println!(
            "skipped: no corpus at {}: the packet parser does not meet foreign captures",
            corpus.display()
        );
        return None;
    }
    Some(corpus)
}

/// Every file that begins as a capture does, compressed or not, whatever its name.
fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            captures(&path, found);
        } else if is_capture(&path) {
            found.push(path);
        }
    }
}

fn is_capture(path: &Path) -> bool {
    use std::io::Read;
    const COMPRESSED: [[u8; 2]; 2] = [[0x1f, 0x8b], [0x28, 0xb5]];
    let mut head = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    file.take(4096).read_to_end(&mut head).unwrap();
    let named = path.to_string_lossy();
    let is_packed = head.first_chunk().is_some_and(|magic| COMPRESSED.contains(magic));
    if is_packed {
        return [".pcap", ".pcapng", ".dmp", ".trace", ".cap"]
            .iter()
            .any(|suffix| named.contains(suffix));
    }
    matches!(
        CaptureDecoder::new().step(&head),
        Ok(Step::Skip(_) | Step::Need(_) | Step::Frame(_))
    ) && head.len() >= 24
}

/// The first `most` frames of a capture, up to where it is broken.
fn frames(corpus: &Path, path: &Path, most: usize, mut each: impl FnMut(Captured)) {
    let Ok(mut source) = PcapFiles::open(&[path.to_path_buf()], None) else {
        return;
    };
    let file = path.strip_prefix(corpus).unwrap().display().to_string();
    for number in 1..=most {
        match source.next_frame() {
            Ok(Next::Frame(frame)) => each(Captured {
                file: file.clone(),
                number,
                link_type: frame.link_type,
                wire_length: frame.wire_length,
                bytes: frame.bytes.to_vec(),
            }),
            _ => return,
        }
    }
}

/// What must hold for any frame whatever.
fn check(frame: &[u8], headers: &Headers<'_>) {
    let within = |part: &[u8]| {
        let (start, end) = (frame.as_ptr() as usize, frame.as_ptr() as usize + frame.len());
        part.is_empty() || (part.as_ptr() as usize >= start && part.as_ptr() as usize + part.len() <= end)
    };
    assert!(within(headers.payload), "the payload is not in the frame");
    assert_eq!(
        headers.network.is_none(),
        headers.fault.is_some_and(Fault::costs_packet),
        "{headers:?}"
    );
    let Some(network) = headers.network else {
        assert_eq!((headers.tunnel, headers.payload), (None, &[][..]));
        return;
    };
    assert!(u32::from(network.header_octets) <= network.octets, "{headers:?}");
    assert!(
        headers.payload_octets + u32::from(network.header_octets) <= network.octets,
        "{headers:?}"
    );
    assert!(headers.payload.len() <= headers.payload_octets as usize, "{headers:?}");
    assert!(headers.arp.is_none());
}

#[test]
fn every_capture_is_read_without_panic_and_without_contradiction() {
    let Some(corpus) = corpus() else { return };
    let mut files = Vec::new();
    captures(&corpus, &mut files);
    let (mut seen, mut packets, mut opened) = (0u64, 0u64, BTreeMap::<&str, u64>::new());
    let (mut faults, mut slowest) = (BTreeMap::<&str, u64>::new(), Duration::ZERO);
    for path in &files {
        frames(&corpus, path, usize::MAX, |frame| {
            let mut headers = Headers::default();
            let started = Instant::now();
            headers.read(frame.link_type, &frame.bytes, frame.wire_length);
            slowest = slowest.max(started.elapsed());
            check(&frame.bytes, &headers);
            seen += 1;
            packets += u64::from(headers.network.is_some());
            if let Some(tunnel) = headers.tunnel {
                *opened.entry(tunnel.kind.as_str()).or_default() += 1;
            }
            if let Some(fault) = headers.fault {
                *faults.entry(fault.as_str()).or_default() += 1;
            }
            headers.read_outer(frame.link_type, &frame.bytes, frame.wire_length);
            check(&frame.bytes, &headers);
            assert_eq!(headers.tunnel, None);
        });
    }
    println!(
        "{} captures, {seen} frames, {packets} packets, slowest {slowest:?}",
        files.len()
    );
    println!("tunnels opened: {opened:?}");
    println!("faults: {faults:?}");
    assert!(files.len() > 1000 && packets > 100_000, "the corpus shrank");
    // Kinds of which the corpus has captures.
    const THERE: [&str; 13] = [
        "VXLAN",
        "VXLAN-GPE",
        "GENEVE",
        "GRE",
        "IP-in-IP",
        "GTP-U",
        "ERSPAN",
        "Teredo",
        "SRv6",
        "PPTP",
        "MPLS",
        "AYIYA",
        "CAPWAP",
    ];
    for kind in THERE {
        assert!(opened.contains_key(kind), "no {kind} was opened");
    }
    assert!(slowest < Duration::from_millis(50), "{slowest:?} for one frame");
}
