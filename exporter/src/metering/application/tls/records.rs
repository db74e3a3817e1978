//! Finds the first handshake message of a stream of records (RFC 8446 section 5.1).
//!
//! "Handshake messages MAY be coalesced into a single TLSPlaintext record or fragmented across several records": a
//! message within one record is read where it lies, one over several is joined in the scratch given, once it is whole.

use super::limits::MAX_HELLO_OCTETS;
use super::octets::Octets;
use crate::metering::application::Fault;

const CONTENT_CHANGE_CIPHER_SPEC: u8 = 20;
const CONTENT_ALERT: u8 = 21;
pub const CONTENT_HANDSHAKE: u8 = 22;

const ALERT_LEVEL_WARNING: u8 = 1;

/// RFC 8446 section 5.1: "The length MUST NOT exceed 2^14 bytes."
const MAX_FRAGMENT_OCTETS: usize = 1 << 14;

/// What a stream begins with.
#[derive(Debug, PartialEq, Eq)]
pub enum First<'a> {
    /// A handshake message: its type and what is behind its header.
    Message(u8, &'a [u8]),
    /// A handshake message that is not whole yet: its type, once it is there, and the part of it in the first record.
    Part(Option<u8>, &'a [u8]),
    /// An alert that ends the connection, or a change of keys, in its place.
    Alert,
}

/// Looks for the first handshake message.
pub fn first_message<'a>(stream: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<First<'a>, Fault> {
    let mut records = Octets::new(stream);
    // A server that does not know the name it was asked for may say so, and go on (RFC 6066 section 3).
    let (stream, fragment) = loop {
        let stream = records.rest();
        let Some(record) = next_record(&mut records)? else {
            return Ok(First::Part(None, &[]));
        };
        match (record.content, record.fragment) {
            (CONTENT_HANDSHAKE, fragment) => break (stream, fragment),
            (CONTENT_ALERT, [ALERT_LEVEL_WARNING, _]) => {}
            (CONTENT_ALERT, [] | [ALERT_LEVEL_WARNING]) if !record.whole => return Ok(First::Part(None, &[])),
            _ => return Ok(First::Alert),
        }
    };
    let mut message = Octets::new(fragment);
    let header = message.u8().and_then(|kind| Ok((kind, message.u24()?)));
    match header {
        Ok((kind, length)) => {
            if length > MAX_HELLO_OCTETS {
                return Err(Fault::TooLong);
            }
            match message.rest().get(..length) {
                Some(body) => Ok(First::Message(kind, body)),
                None => joined(stream, message.rest(), scratch),
            }
        }
        Err(_) => joined(stream, &[], scratch),
    }
}

/// The message from all records there are.
fn joined<'a>(stream: &'a [u8], first: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<First<'a>, Fault> {
    let mut header = [0; 4];
    let mut count = 0;
    let mut needed = None;
    let mut records = Octets::new(stream);
    while let Some(record) = next_record(&mut records)? {
        if record.content != CONTENT_HANDSHAKE {
            return Err(Fault::Malformed);
        }
        let fragment = record.fragment;
        for (place, octet) in header.iter_mut().skip(count).zip(fragment) {
            *place = *octet;
        }
        count += fragment.len();
        if count >= header.len() && needed.is_none() {
            let [_, length @ ..] = header;
            let length = length.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
            if length > MAX_HELLO_OCTETS {
                return Err(Fault::TooLong);
            }
            needed = Some(header.len() + length);
        }
        if !record.whole || needed.is_some_and(|needed| count >= needed) {
            break;
        }
    }
    let [kind, ..] = header;
    let Some(needed) = needed.filter(|needed| count >= *needed) else {
        return Ok(First::Part((count > 0).then_some(kind), first));
    };
    scratch.clear();
    let mut records = Octets::new(stream);
    while let Some(record) = next_record(&mut records)? {
        scratch.extend_from_slice(record.fragment);
        if scratch.len() >= needed {
            break;
        }
    }
    let body = scratch.get(header.len()..needed).ok_or(Fault::Malformed)?;
    Ok(First::Message(kind, body))
}

struct Record<'a> {
    content: u8,
    /// What is there of its fragment.
    fragment: &'a [u8],
    /// Whether that is all of it.
    whole: bool,
}

/// The next record; nothing when not even its header is there.
fn next_record<'a>(records: &mut Octets<'a>) -> Result<Option<Record<'a>>, Fault> {
    let mut octets = *records;
    let Ok([content, major, _minor, high, low]) = octets.array::<5>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if *major != 3 || length == 0 || length > MAX_FRAGMENT_OCTETS {
        return Err(Fault::Malformed);
    }
    match *content {
        CONTENT_HANDSHAKE | CONTENT_ALERT | CONTENT_CHANGE_CIPHER_SPEC => {}
        _ => return Err(Fault::Malformed),
    }
    let rest = octets.rest();
    let whole = rest.len() >= length;
    let fragment = octets.take(length.min(rest.len()))?;
    *records = octets;
    Ok(Some(Record {
        content: *content,
        fragment,
        whole,
    }))
}
