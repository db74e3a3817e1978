//! Files of flow exports: what kind one is, told from its first octets, and the datagrams and Messages in it.

use std::fs::File;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use flowgauge_templates::header::{SequenceUnit, Version};
use flowgauge_templates::ipfix::message_length;

use super::capture_file;
use crate::failure::Failure;
use crate::journal;

/// Something a flow exporter sent.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// When, nanoseconds since 1970 UTC; 0 where the file does not say.
    pub time_ns: i64,
    /// Who sent it; an unspecified address where the file does not say.
    pub from: SocketAddr,
    /// Who it was sent to.
    pub to: SocketAddr,
    /// Whether it came on a stream.
    pub stream: bool,
    /// One datagram, or one Message of a stream or file.
    pub bytes: &'a [u8],
    /// Where it lies: the number of the packet in a capture, the octet in other files.
    pub place: u64,
}

/// What a file gives.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// Something that was received.
    Received(Received<'a>),
    /// Something that could not be read, and was left out.
    Fault(Fault<'a>),
}

/// Something in a file that could not be read.
#[derive(Clone, Copy, Debug)]
pub struct Fault<'a> {
    /// Where it lies: the number of the packet in a capture, the octet in other files.
    pub place: u64,
    /// Why, as a closed set of words.
    pub reason: &'a str,
}

/// What kind of file one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// pcap or pcapng.
    Capture,
    /// IPFIX Messages one behind the other: an IPFIX file (RFC 5655) or a raw datagram.
    Ipfix,
    /// One raw datagram of another protocol.
    Datagram,
    /// A segment of a collector's journal.
    Journal,
}

/// The address of senders that a file does not name.
pub const UNKNOWN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// The kind of a file that starts with `magic`, or why there is none.
pub fn kind_of(magic: &[u8]) -> Result<Kind, &'static str> {
    match magic {
        [0xa1, 0xb2, 0xc3, 0xd4 | 0xcd, ..] | [0xd4 | 0xcd, 0xc3, 0xb2, 0xa1, ..] => Ok(Kind::Capture),
        [0xa1, 0xb2, 0x3c, 0x4d, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..] => Ok(Kind::Capture),
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => Ok(Kind::Capture),
        [b'F', b'G', b'J', b'O', ..] => Ok(Kind::Journal),
        [0, 10, _, _, ..] => Ok(Kind::Ipfix),
        [0, 5 | 7 | 9, _, _, ..] | [0, 0, 0, 5, ..] => Ok(Kind::Datagram),
        [0x1f, 0x8b, ..] => Err("it is compressed with gzip; unpack it first (gunzip)"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err("it is compressed with zstd; unpack it first (unzstd)"),
        [] => Err("it is empty"),
        _ => Err("neither a pcap or pcapng capture, nor IPFIX Messages, nor a flow datagram, nor a journal"),
    }
}

/// Hands every datagram and Message of a file to `sink`, in order; of a directory, those of the journal in it.
///
/// # Errors
/// When the file cannot be opened, is of no known kind, or cannot be read to its end: the line says at which place.
pub fn read_input(path: &Path, sink: &mut dyn FnMut(Item<'_>) -> Result<(), Failure>) -> Result<(), Failure> {
    if path.is_dir() {
        let segments = journal::segments(path).map_err(|error| Failure::file("input", path, &error))?;
        if segments.is_empty() {
            return Err(Failure::running(format!(
                "input {}: no segments of a journal are in it; name a collector's journal directory or files",
                path.display()
            )));
        }
        return segments.iter().try_for_each(|segment| read_input(segment, sink));
    }
    let mut file = File::open(path).map_err(|error| Failure::file("input", path, &error))?;
    let mut magic = [0; 4];
    let mut octets = 0;
    while let Some(rest) = magic.get_mut(octets..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(|error| Failure::file("input", path, &error))? {
            0 => break,
            read => octets += read,
        }
    }
    let kind = kind_of(magic.get(..octets).unwrap_or_default())
        .map_err(|why| Failure::running(format!("input {}: {why}", path.display())))?;
    if kind == Kind::Capture {
        return capture_file::read(path, sink);
    }
    let bytes = std::fs::read(path).map_err(|error| Failure::file("input", path, &error))?;
    match kind {
        Kind::Ipfix => read_messages(path, &bytes, sink),
        Kind::Journal => journal::read_segment(&bytes, &mut |place, entry| match entry {
            Some(entry) if entry.kind.is_received() => sink(Item::Received(Received {
                time_ns: entry.received_ns,
                from: entry.peer,
                to: UNKNOWN,
                stream: entry.kind == journal::Kind::Message,
                bytes: entry.bytes,
                place,
            })),
            Some(_) => Ok(()),
            None => sink(Item::Fault(Fault {
                place,
                reason: "damaged",
            })),
        }),
        _ => sink(Item::Received(Received {
            time_ns: 0,
            from: UNKNOWN,
            to: UNKNOWN,
            stream: false,
            bytes: &bytes,
            place: 0,
        })),
    }
}

fn read_messages(
    path: &Path,
    bytes: &[u8],
    sink: &mut dyn FnMut(Item<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let place = (bytes.len() - rest.len()) as u64;
        let length = match message_length(rest) {
            Ok(Some(length)) if length <= rest.len() => length,
            // A last Message that is cut is handed on as it is, so that the decoder says what is missing.
            Ok(_) => rest.len(),
            Err(error) => {
                let path: PathBuf = path.to_owned();
                return Err(Failure::running(format!(
                    "input {}: at octet {place}: {error}; nothing behind it can be read",
                    path.display()
                )));
            }
        };
        let (message, behind) = rest.split_at(length);
        let export_time = message
            .get(4..8)
            .and_then(|octets| octets.try_into().ok())
            .map_or(0, u32::from_be_bytes);
        let time_ns = i64::from(export_time) * 1_000_000_000;
        sink(Item::Received(Received {
            time_ns,
            from: UNKNOWN,
            to: UNKNOWN,
            stream: true,
            bytes: message,
            place,
        }))?;
        rest = behind;
        if matches!(message_length(message), Ok(Some(length)) if length > message.len()) || message.len() < 4 {
            return Err(Failure::running(format!(
                "input {}: at octet {place}: the last Message is cut: the file ends within it",
                path.display()
            )));
        }
    }
    Ok(())
}

/// Whether a datagram looks like a flow export, and of which protocol.
pub fn protocol_of(bytes: &[u8]) -> Option<Protocol> {
    match bytes {
        [0, 0, 0, 5, ..] => Some(Protocol::Sflow5),
        _ => Version::of(bytes).map(Protocol::from),
    }
}

/// What a flow exporter speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// IPFIX (RFC 7011).
    Ipfix,
    /// NetFlow version 9 (RFC 3954).
    Netflow9,
    /// NetFlow version 7.
    Netflow7,
    /// NetFlow version 5.
    Netflow5,
    /// sFlow version 5.
    Sflow5,
    /// None of these.
    Unknown,
}

impl From<Version> for Protocol {
    fn from(version: Version) -> Protocol {
        match version {
            Version::Ipfix => Protocol::Ipfix,
            Version::Netflow9 => Protocol::Netflow9,
            Version::Netflow7 => Protocol::Netflow7,
            Version::Netflow5 => Protocol::Netflow5,
        }
    }
}

impl Protocol {
    /// What its sequence numbers count.
    pub const fn sequence_unit(self) -> SequenceUnit {
        match self {
            Protocol::Ipfix => Version::Ipfix.sequence_counts(),
            Protocol::Netflow9 => Version::Netflow9.sequence_counts(),
            Protocol::Netflow7 => Version::Netflow7.sequence_counts(),
            Protocol::Netflow5 => Version::Netflow5.sequence_counts(),
            Protocol::Sflow5 | Protocol::Unknown => SequenceUnit::Messages,
        }
    }

    /// The name in answers and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Protocol::Ipfix => "ipfix",
            Protocol::Netflow9 => "netflow9",
            Protocol::Netflow7 => "netflow7",
            Protocol::Netflow5 => "netflow5",
            Protocol::Sflow5 => "sflow5",
            Protocol::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> (Vec<(u64, usize)>, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("input");
        std::fs::write(&path, bytes).unwrap();
        let mut seen = Vec::new();
        let result = read_input(&path, &mut |item| {
            if let Item::Received(received) = item {
                seen.push((received.place, received.bytes.len()));
            }
            Ok(())
        });
        (seen, result.err().map(|failure| failure.line))
    }

    fn message(length: u16) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(length)];
        bytes[1] = 10;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    #[test]
    fn messages_lie_one_behind_the_other() {
        let (seen, error) = read_all(&[message(16), message(20), message(16)].concat());
        assert_eq!(seen, [(0, 16), (16, 20), (36, 16)]);
        assert_eq!(error, None);
    }

    #[test]
    fn a_cut_file_gives_what_is_before_the_cut_and_names_the_place() {
        let (seen, error) = read_all(&[message(16), message(20)].concat()[..30]);
        assert_eq!(seen, [(0, 16), (16, 14)]);
        assert!(error.unwrap().contains("at octet 16"));
        let (seen, error) = read_all(&[message(16), b"garbage".to_vec()].concat());
        assert_eq!(seen, [(0, 16)]);
        assert!(error.unwrap().contains("at octet 16"));
    }

    #[test]
    fn files_of_other_kinds_are_named() {
        assert!(read_all(b"").1.unwrap().contains("empty"));
        assert!(read_all(&[0x1f, 0x8b, 8, 0]).1.unwrap().contains("gunzip"));
        assert!(read_all(b"hello").1.unwrap().contains("neither"));
        assert_eq!(read_all(&[0, 9, 0, 1, 0, 0]).0, [(0, 6)]);
    }

    #[test]
    fn a_journal_gives_what_was_received() {
        let dir = tempfile::tempdir().unwrap();
        let error = read_input(dir.path(), &mut |_| Ok(())).unwrap_err();
        assert!(error.line.contains("no segments of a journal"), "{error}");
        let config = journal::JournalConfig {
            directory: dir.path().to_owned(),
            size_octets: 16 << 20,
            sync: std::time::Duration::from_secs(1),
            keep: std::time::Duration::ZERO,
        };
        let opened = journal::JournalWriter::open(config, 7, &["udp://[::]:4739".to_owned()], 0, 1);
        let queue = crate::io::queue::Queue::new(1 << 20, 7);
        let peer: SocketAddr = "[2001:db8::1]:5000".parse().unwrap();
        let (mut datagrams, mut messages) = (queue.batch(0, 0, 5), queue.batch(0, 3, 6));
        datagrams.push(peer, &message(16));
        messages.push(peer, &message(20));
        messages.close(peer);
        opened.unwrap().writer.append(1, &mut [datagrams, messages]).unwrap();
        let mut seen = Vec::new();
        read_input(dir.path(), &mut |item| {
            let Item::Received(received) = item else {
                panic!("{item:?}")
            };
            seen.push((received.time_ns, received.from, received.stream, received.bytes.len()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(5, peer, false, 16), (6, peer, true, 20)]);
    }
}
