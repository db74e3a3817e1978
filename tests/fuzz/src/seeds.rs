//! Makes inputs for the fuzz targets of captures: `seeds CORPUS OUTPUT` writes OUTPUT/TARGET/*.
//!
//! Captures are read where they are. Few frames of each and none that is long, because libFuzzer learns more from many
//! small inputs than from large ones.

use std::error::Error;
use std::path::{Path, PathBuf};

// For the runtime that instrumented code reports its coverage to.
use libfuzzer_sys as _;

use flowgauge_exporter::capture::{Frame, FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
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
    println!("{written} seeds of {} captures in {}", captures.len(), output.display());
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
