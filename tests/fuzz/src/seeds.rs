//! Makes inputs for the fuzz targets of captures: `seeds CORPUS OUTPUT` writes OUTPUT/TARGET/*.
//!
//! Captures are read where they are. Few frames of each and none that is long, because libFuzzer learns more from many
//! small inputs than from large ones.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

// For the runtime that instrumented code reports its coverage to.
use libfuzzer_sys as _;

use flowgauge_collector::io::input::{Item, Protocol, protocol_of, read_input};
use flowgauge_collector::journal::{Entry, Kind, SegmentHeader};
use flowgauge_exporter::capture::{Frame, FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::summaries::sketch::{Cardinality, Item as Counted, List, Quantiles};
use flowgauge_templates::packet::{self, Transport};

const FRAMES_OF_A_CAPTURE: usize = 12;

/// Name, maker of inputs, octets of an input at most.
type Target = (&'static str, fn(&Frame<'_>) -> Option<Vec<u8>>, usize);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [corpus, output] = arguments.as_slice() else {
        return Err("usage: seeds CORPUS OUTPUT".into());
    };
    let mut captures = Vec::new();
    find(corpus, &mut captures)?;
    // Makers give nothing for a frame that their target has no use for.
    let targets: [Target; 3] = [
        ("packet", packet_of, 512),
        ("application", application_of, 1400),
        ("dns", dns_of, 1400),
    ];
    for (target, ..) in targets {
        std::fs::create_dir_all(output.join(target))?;
    }
    let mut written = 0usize;
    for capture in &captures {
        let Ok(mut source) = PcapFiles::open(std::slice::from_ref(capture), None) else {
            continue;
        };
        for _ in 0..FRAMES_OF_A_CAPTURE {
            let Ok(Next::Frame(frame)) = source.next_frame() else {
                break;
            };
            for (target, make, longest) in targets {
                let Some(mut seed) = make(&frame) else { continue };
                seed.truncate(longest);
                std::fs::write(output.join(target).join(format!("{written:06}")), seed)?;
            }
            written += 1;
        }
    }
    written += exports(corpus, output)?;
    written += images(output)?;
    written += journals(output)?;
    println!("{written} seeds of {} captures in {}", captures.len(), output.display());
    Ok(())
}

/// Images of sketches of each family, with few values and with many.
fn images(output: &Path) -> Result<usize, Box<dyn Error>> {
    let mut images = Vec::new();
    for values in [0u32, 1, 5, 60, 1000, 30_000] {
        let mut different = Cardinality::default();
        let mut distributions = [Quantiles::even(), Quantiles::high()];
        let mut list = List::default();
        for number in 0..values {
            different.update(&number.to_be_bytes());
            distributions.iter_mut().for_each(|one| one.update((number % 977) as f32));
            list.update(Counted::new(format!("h{}.example", number % 60).as_bytes()), 1);
        }
        images.push(different.image());
        images.extend(distributions.iter().map(Quantiles::image));
        images.push(list.image());
    }
    std::fs::create_dir_all(output.join("images"))?;
    for (number, image) in images.iter().enumerate() {
        std::fs::write(output.join("images").join(format!("{number:06}")), image)?;
    }
    Ok(images.len())
}

/// Sound segments of the collector's journal, with entries of different lengths.
fn journals(output: &Path) -> Result<usize, Box<dyn Error>> {
    std::fs::create_dir_all(output.join("journal"))?;
    let segments = [0usize, 1, 3, 9];
    for entries in segments {
        let header = SegmentHeader {
            sync: 0x0102_0304,
            position: 7,
        };
        let mut segment = header.encode().to_vec();
        Entry::note(Kind::Listeners, 1, b"udp://[::]:4739\ntcp://[::]:4739").encode(header.sync, &mut segment);
        for number in 0..entries {
            Entry::note(Kind::Message, 1, &vec![7; number * 20]).encode(header.sync, &mut segment);
        }
        std::fs::write(output.join("journal").join(format!("{entries:06}")), segment)?;
    }
    Ok(segments.len())
}

/// Octets of an input of flow exports, which take templates before records.
const EXPORT_OCTETS: usize = 4096;
/// Files of flow exports of this many datagrams at most are taken whole, others from their beginning.
const DATAGRAMS_OF_AN_EXPORT: usize = 8;

/// Inputs of what devices exported: the datagrams of a file, each behind its length, for the target of their protocol.
fn exports(corpus: &Path, output: &Path) -> Result<usize, Box<dyn Error>> {
    let mut files = Vec::new();
    all(&corpus.join("flowexport"), &mut files)?;
    let mut written = 0;
    for file in &files {
        let mut seeds: BTreeMap<&str, (usize, Vec<u8>)> = BTreeMap::new();
        let _ = read_input(file, &mut |item| {
            let Item::Received(received) = item else { return Ok(()) };
            let target = match protocol_of(received.bytes) {
                Some(Protocol::Ipfix) => "ipfix",
                Some(Protocol::Netflow9) => "netflow9",
                Some(Protocol::Netflow5 | Protocol::Netflow7) => "netflow5",
                Some(Protocol::Sflow5) => "sflow",
                _ => return Ok(()),
            };
            let first = if target == "netflow5" { vec![received.bytes[1] >> 1 & 1] } else { Vec::new() };
            let (count, seed) = seeds.entry(target).or_insert((0, first));
            let length = received.bytes.len();
            if *count < DATAGRAMS_OF_AN_EXPORT && length < 0x1000 && seed.len() + 2 + length <= EXPORT_OCTETS {
                *count += 1;
                seed.extend((length as u16).to_be_bytes());
                seed.extend(received.bytes);
            }
            Ok(())
        });
        for (target, (_, seed)) in seeds {
            std::fs::create_dir_all(output.join(target))?;
            std::fs::write(output.join(target).join(format!("{written:06}")), seed)?;
            written += 1;
        }
    }
    Ok(written)
}

fn all(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            all(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        let name = path.to_string_lossy();
        if path.is_dir() {
            find(&path, found)?;
        } else if [".pcap", ".pcapng", ".cap", ".dmp"]
            .iter()
            .any(|suffix| name.contains(suffix))
        {
            found.push(path);
        }
    }
    Ok(())
}

fn packet_of(frame: &Frame<'_>) -> Option<Vec<u8>> {
    let missing = frame.wire_length as usize - frame.bytes.len();
    let mut seed = frame.link_type.0.to_le_bytes().to_vec();
    seed.push(u8::try_from(missing).unwrap_or(u8::MAX));
    seed.extend(frame.bytes);
    Some(seed)
}

/// A conversation of one packet.
fn application_of(frame: &Frame<'_>) -> Option<Vec<u8>> {
    let headers = packet::parse(frame.link_type, frame.bytes, frame.wire_length);
    let carrier = match headers.transport {
        Transport::Tcp(_) => 0,
        Transport::Udp { .. } => 1,
        _ => return None,
    };
    let length = u16::try_from(headers.payload.len()).ok().filter(|length| *length > 0)?;
    let mut seed = vec![carrier];
    seed.extend(headers.ports.iter().flat_map(|port| port.to_be_bytes()));
    seed.extend([8, 0]);
    seed.extend(length.to_be_bytes());
    seed.extend(headers.payload);
    Some(seed)
}

/// A conversation of one packet on a port of DNS.
fn dns_of(frame: &Frame<'_>) -> Option<Vec<u8>> {
    let headers = packet::parse(frame.link_type, frame.bytes, frame.wire_length);
    let is_tcp = match headers.transport {
        Transport::Tcp(_) => true,
        Transport::Udp { .. } => false,
        _ => return None,
    };
    let port = headers.ports.iter().find(|port| [53, 5353].contains(*port))?;
    let length = u16::try_from(headers.payload.len()).ok().filter(|length| *length > 0)?;
    let from_client = headers.ports[1] == *port;
    let flags = u8::from(from_client) | u8::from(is_tcp) << 1 | u8::from(*port == 5353) << 5;
    let mut seed = vec![flags, 0, 0];
    seed.extend(length.to_be_bytes());
    seed.extend(headers.payload);
    Some(seed)
}
