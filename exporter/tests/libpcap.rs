//! libpcap reads the same captures: every frame must have the same octets, times, lengths and link type.
//!
//! Runs over the captures of a corpus that is not part of this repository, many of them damaged on purpose.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_templates::packet::{self, Fault};
use pcap::{Capture, Precision};

fn corpus() -> Option<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let corpus = shared.join("corpus");
    if !corpus.is_dir() {
        println!(
            "skipped: no corpus at {}: libpcap is not compared on foreign captures",
            corpus.display()
        );
        return None;
    }
    Some(corpus)
}

fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            captures(&path, found);
        } else if path
            .extension()
            .is_some_and(|suffix| ["pcap", "pcapng", "cap", "dmp"].iter().any(|s| suffix == *s))
        {
            found.push(path);
        }
    }
}

/// Octets, time in ns, length on the wire.
type Read = (Vec<u8>, i64, u32);

fn ours(path: &Path) -> (Vec<(Read, u16)>, Option<String>) {
    let mut source = PcapFiles::open(&[path.to_path_buf()], None).unwrap();
    let mut frames = Vec::new();
    loop {
        match source.next_frame() {
            Ok(Next::Frame(frame)) => {
                frames.push((
                    (frame.bytes.to_vec(), frame.time_ns, frame.wire_length),
                    frame.link_type.0,
                ));
                // Whatever a corpus holds, the parser comes to an end and its account has one entry a frame.
                let headers = packet::parse(frame.link_type, frame.bytes, frame.wire_length);
                assert_eq!(
                    headers.network.is_none(),
                    headers.fault.is_some_and(Fault::costs_packet)
                );
            }
            Ok(_) => return (frames, None),
            Err(error) => return (frames, Some(error.to_string())),
        }
    }
}

fn theirs(path: &Path) -> Result<(Vec<Read>, i32, Option<String>), pcap::Error> {
    let mut capture = Capture::from_file_with_precision(path, Precision::Nano)?;
    let link_type = capture.get_datalink().0;
    let mut frames = Vec::new();
    loop {
        match capture.next_packet() {
            Ok(frame) => {
                let time = frame.header.ts.tv_sec * 1_000_000_000 + frame.header.ts.tv_usec;
                frames.push((frame.data.to_vec(), time, frame.header.len.max(frame.header.caplen)));
            }
            Err(pcap::Error::NoMorePackets) => return Ok((frames, link_type, None)),
            Err(error) => return Ok((frames, link_type, Some(error.to_string()))),
        }
    }
}

/// libpcap gives raw IP and ATM numbers of its own.
fn same_link(ours: u16, theirs: i32) -> bool {
    i32::from(ours) == theirs || [(101, 12), (100, 11)].contains(&(ours, theirs))
}

#[test]
fn every_frame_of_the_corpus_is_the_same() {
    let Some(corpus) = corpus() else { return };
    let mut paths = Vec::new();
    captures(&corpus, &mut paths);
    paths.sort();
    let (mut compared, mut frames, mut wrong, mut only_ours) = (0, 0, Vec::new(), 0);
    for path in &paths {
        let (our_frames, our_error) = ours(path);
        let Ok((their_frames, link_type, their_error)) = theirs(path) else {
            only_ours += 1;
            continue;
        };
        compared += 1;
        frames += their_frames.len();
        let name = path.strip_prefix(&corpus).unwrap().display();
        if let Some(at) = their_frames
            .iter()
            .zip(&our_frames)
            .position(|(theirs, (ours, _))| !same(ours, theirs))
        {
            wrong.push(format!("{name}: frame {at} differs"));
        }
        if our_frames.len() < their_frames.len() {
            wrong.push(format!(
                "{name}: {} frames, not {}: {our_error:?}",
                our_frames.len(),
                their_frames.len()
            ));
        }
        // libpcap gives up where interfaces of one file differ; we go on.
        if our_frames.len() > their_frames.len() && their_error.is_none() {
            wrong.push(format!(
                "{name}: {} frames, not {}",
                our_frames.len(),
                their_frames.len()
            ));
        }
        if their_error.is_none() && our_error.is_some() {
            wrong.push(format!("{name}: {our_error:?}"));
        }
        if our_frames
            .iter()
            .take(their_frames.len())
            .any(|(_, ours)| !same_link(*ours, link_type))
        {
            wrong.push(format!(
                "{name}: link type {:?}, not {link_type}",
                our_frames.first().map(|(_, ours)| ours)
            ));
        }
    }
    println!("compared {compared} captures with {frames} frames; libpcap does not open {only_ours} more");
    assert!(wrong.is_empty(), "{} of {compared}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 500, "only {compared} captures compared");
}

/// What libpcap does otherwise: it cuts frames to the snap length of the file header, it takes the 32 bits of seconds and
/// of their fraction as signed (so 2039 is before 1970), and Simple Packet Blocks have time 0.
fn same(ours: &Read, theirs: &Read) -> bool {
    const TURN: i64 = 1 << 32;
    let turns = [0, TURN, TURN * 1000, TURN * 1_000_000_000];
    let cut = ours.0.len() > theirs.0.len();
    let wire = if cut { ours.2 >= theirs.2 } else { ours.2 == theirs.2 };
    ours.0.starts_with(&theirs.0) && wire && (theirs.1 == 0 || turns.contains(&(ours.1 - theirs.1)))
}
