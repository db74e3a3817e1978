//! One entry of the journal: a datagram or Message, or a note of the collector's own, with its checksum.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::io::input::UNKNOWN;
use crate::limits::JOURNAL_ENTRY_OCTETS;

/// Octets before an entry's own.
pub const HEADER_OCTETS: usize = 56;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One datagram.
    Datagram,
    /// One Message of a stream.
    Message,
    /// A stream ended.
    Closed,
    /// The listeners that entries number, one a line: the first entry of each segment.
    Listeners,
    /// A collector began; streams of before have ended.
    Began,
}

impl Kind {
    const ALL: [Kind; 5] = [
        Kind::Datagram,
        Kind::Message,
        Kind::Closed,
        Kind::Listeners,
        Kind::Began,
    ];

    /// Whether it holds what an exporter sent.
    pub fn is_received(self) -> bool {
        matches!(self, Kind::Datagram | Kind::Message)
    }
}

/// An entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it is.
    pub kind: Kind,
    /// Which listener it came from: its place in the segment's table.
    pub listener: u16,
    /// Who sent it.
    pub peer: SocketAddr,
    /// The connection, for streams; 0 for datagrams.
    pub connection: u64,
    /// When it was read, nanoseconds since 1970 UTC.
    pub received_ns: i64,
    /// What was received.
    pub bytes: &'a [u8],
}

/// Why no entry is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There may be one, of which so many octets would be needed.
    Short(usize),
    /// There is none.
    Damaged,
}

impl<'a> Entry<'a> {
    /// A note of the collector's own.
    pub fn note(kind: Kind, received_ns: i64, bytes: &'a [u8]) -> Entry<'a> {
        Entry {
            kind,
            listener: 0,
            peer: UNKNOWN,
            connection: 0,
            received_ns,
            bytes,
        }
    }

    /// Octets it takes in the journal.
    pub fn octets(&self) -> usize {
        HEADER_OCTETS + self.bytes.len()
    }

    /// Appends it. More octets than an entry may hold are cut off; no datagram and no Message has as many.
    pub fn encode(&self, sync: u32, out: &mut Vec<u8>) {
        let bytes = self.bytes.get(..JOURNAL_ENTRY_OCTETS).unwrap_or(self.bytes);
        let (family, address, scope) = match self.peer {
            SocketAddr::V4(peer) => (4, peer.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(peer) => (6, *peer.ip(), peer.scope_id()),
        };
        let mut header = [0; HEADER_OCTETS];
        let mut at = 0;
        let mut put = |octets: &[u8]| {
            if let Some(place) = header.get_mut(at..at + octets.len()) {
                place.copy_from_slice(octets);
            }
            at += octets.len();
        };
        put(&sync.to_le_bytes());
        put(&[0; 4]);
        put(&(bytes.len() as u32).to_le_bytes());
        put(&[self.kind as u8, family]);
        put(&self.listener.to_le_bytes());
        put(&self.received_ns.to_le_bytes());
        put(&self.connection.to_le_bytes());
        put(&address.octets());
        put(&self.peer.port().to_le_bytes());
        put(&[0; 2]);
        put(&scope.to_le_bytes());
        let (_, covered) = header.split_at(8);
        let crc = checksum(covered, bytes).to_le_bytes();
        for (place, octet) in header.iter_mut().skip(4).zip(crc) {
            *place = octet;
        }
        out.extend_from_slice(&header);
        out.extend_from_slice(bytes);
    }

    /// The entry that `bytes` begin with.
    ///
    /// # Errors
    /// Why there is none.
    pub fn decode(bytes: &'a [u8], sync: u32) -> Result<Entry<'a>, Fault> {
        let (entry, crc, covered) = Entry::read(bytes, Some(sync))?;
        if crc == checksum(covered, entry.bytes) {
            Ok(entry)
        } else {
            Err(Fault::Damaged)
        }
    }

    /// As [`Entry::decode`], for octets that never left memory.
    pub fn decode_own(bytes: &'a [u8]) -> Option<Entry<'a>> {
        Entry::read(bytes, None).ok().map(|(entry, ..)| entry)
    }

    fn read(bytes: &'a [u8], sync: Option<u32>) -> Result<(Entry<'a>, u32, &'a [u8]), Fault> {
        let Some((header, behind)) = bytes.split_first_chunk::<HEADER_OCTETS>() else {
            return match (sync, bytes.first_chunk()) {
                (Some(sync), Some(first)) if u32::from_le_bytes(*first) != sync => Err(Fault::Damaged),
                _ => Err(Fault::Short(HEADER_OCTETS)),
            };
        };
        let mut rest: &[u8] = header;
        let found = u32::from_le_bytes(take(&mut rest));
        if sync.is_some_and(|sync| sync != found) {
            return Err(Fault::Damaged);
        }
        let crc = u32::from_le_bytes(take(&mut rest));
        let (_, covered) = header.split_at(8);
        let length = u32::from_le_bytes(take(&mut rest)) as usize;
        let [kind, family] = take(&mut rest);
        let kind = *Kind::ALL.get(usize::from(kind)).ok_or(Fault::Damaged)?;
        if length > JOURNAL_ENTRY_OCTETS {
            return Err(Fault::Damaged);
        }
        let octets = behind.get(..length).ok_or(Fault::Short(HEADER_OCTETS + length))?;
        let listener = u16::from_le_bytes(take(&mut rest));
        let received_ns = i64::from_le_bytes(take(&mut rest));
        let connection = u64::from_le_bytes(take(&mut rest));
        let address = Ipv6Addr::from(take::<16>(&mut rest));
        let port = u16::from_le_bytes(take(&mut rest));
        let _: [u8; 2] = take(&mut rest);
        let scope = u32::from_le_bytes(take(&mut rest));
        let peer = match (family, address.to_ipv4_mapped()) {
            (4, Some(address)) => SocketAddr::new(IpAddr::V4(address), port),
            _ => SocketAddrV6::new(address, port, 0, scope).into(),
        };
        let entry = Entry {
            kind,
            listener,
            peer,
            connection,
            received_ns,
            bytes: octets,
        };
        Ok((entry, crc, covered))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    match rest.split_first_chunk() {
        Some((taken, behind)) => {
            *rest = behind;
            *taken
        }
        None => [0; N],
    }
}

fn checksum(header: &[u8], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(bytes);
    hasher.finalize()
}
