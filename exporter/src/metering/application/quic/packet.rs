//! Long headers and the packets of a datagram (RFC 9000 sections 12.2 and 17.2, RFC 8999).

use super::super::tls::octets::Octets;
use super::version::Version;
use crate::metering::application::Fault;

/// RFC 9000 section 17.2: a connection ID of these versions has at most 20 octets.
pub const MAX_CONNECTION_ID_OCTETS: usize = 20;

/// What a packet with a long header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

/// The part of a long header that all versions share (RFC 8999 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongHeader<'a> {
    pub first: u8,
    pub version: u32,
    pub destination: &'a [u8],
    pub source: &'a [u8],
}

/// A packet that says how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub kind: Kind,
    /// The whole packet.
    pub bytes: &'a [u8],
    /// Where its packet number begins.
    pub number_at: usize,
}

impl<'a> LongHeader<'a> {
    /// The header that some bytes begin with; nothing for a short header or none at all.
    pub fn read(octets: &mut Octets<'a>) -> Option<LongHeader<'a>> {
        let first = octets.u8().ok().filter(|first| first & 0x80 != 0)?;
        let version = octets.u32().ok()?;
        let destination = octets.vector8().ok()?;
        let source = octets.vector8().ok()?;
        let fits = destination.len() <= MAX_CONNECTION_ID_OCTETS && source.len() <= MAX_CONNECTION_ID_OCTETS;
        fits.then_some(LongHeader {
            first,
            version,
            destination,
            source,
        })
    }
}

/// Takes the next packet off a datagram whose header was just read from it. A Retry has no length and is its last.
///
/// # Errors
/// `Cut` for a packet that is longer than what there is.
pub fn take<'a>(
    datagram: &mut &'a [u8],
    header: &LongHeader<'a>,
    mut octets: Octets<'a>,
    version: &Version,
) -> Result<Packet<'a>, Fault> {
    let kind = version.kind(header.first);
    if kind == Kind::Initial {
        let token_length = octets.varint()?;
        octets.take(usize::try_from(token_length).unwrap_or(usize::MAX))?;
    }
    let (number_at, end) = if kind == Kind::Retry {
        (datagram.len(), datagram.len())
    } else {
        let length = usize::try_from(octets.varint()?).unwrap_or(usize::MAX);
        let number_at = datagram.len() - octets.rest().len();
        if length > octets.rest().len() {
            return Err(Fault::Cut);
        }
        (number_at, number_at + length)
    };
    let (bytes, rest) = datagram.split_at_checked(end).ok_or(Fault::Cut)?;
    *datagram = rest;
    Ok(Packet { kind, bytes, number_at })
}
