//! DTLS over UDP (RFC 6347, RFC 9147): the same hellos, in records that say where they belong.

use super::gather::Gather;
use super::ja4::Carrier as Ja4Carrier;
use super::limits::MAX_HELLO_OCTETS;
use super::octets::Octets;
use super::records::CONTENT_HANDSHAKE;
use super::{FIELDS, HANDSHAKE_CLIENT_HELLO, HANDSHAKE_SERVER_HELLO, client_hello, server_hello};
use super::{set_client_hello, set_server_hello};
use crate::metering::application::{
    About, Carrier, Conversation, Fault, FirstOctets, Input, Progress, Protocol, Values, Verdict,
};

static ABOUT: About = About {
    name: "dtls",
    fields: &FIELDS,
    carriers: &[Carrier::Udp],
    first_octets: FirstOctets::of(&[CONTENT_HANDSHAKE]),
    hold_octets: MAX_HELLO_OCTETS as u16 + 1024,
};

/// The answer to a ClientHello without cookie; another ClientHello follows (RFC 6347 section 4.2.1).
const HANDSHAKE_HELLO_VERIFY_REQUEST: u8 = 3;

/// The protocol.
pub struct Dtls;

/// A part of a handshake message.
struct Fragment<'a> {
    kind: u8,
    length: usize,
    sequence: u16,
    offset: usize,
    data: &'a [u8],
}

impl Protocol for Dtls {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        match *input.octets {
            // DTLS 1.0 and 1.2 (1.3 says 1.2 here), or what OpenSSL had before them; epoch 0; a message that begins.
            [
                CONTENT_HANDSHAKE,
                0xfe,
                0xff | 0xfd,
                0,
                0,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                1..=3,
                ..,
            ]
            | [CONTENT_HANDSHAKE, 1, 0, 0, 0, _, _, _, _, _, _, _, _, 1..=3, ..] => Verdict::Yes,
            _ => Verdict::No,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let mut records = Octets::new(input.octets);
        while !records.is_empty() {
            // Records behind a sound one that are no plaintext handshake do not matter.
            let Ok(fragments) = record(&mut records) else {
                return Progress::More;
            };
            let mut fragments = Octets::new(fragments.unwrap_or_default());
            while !fragments.is_empty() {
                let progress = fragment(&mut fragments).map(|fragment| take(input, conversation, &fragment));
                match progress {
                    Ok(Progress::More) => {}
                    Ok(progress) => return progress,
                    Err(fault) => return Progress::Fault(fault),
                }
            }
        }
        Progress::More
    }
}

/// What a record of the handshake before encryption holds; nothing for other records.
fn record<'a>(records: &mut Octets<'a>) -> Result<Option<&'a [u8]>, Fault> {
    let content = records.u8()?;
    let _version: &[u8; 2] = records.array()?;
    let epoch = records.u16()?;
    let _sequence: &[u8; 6] = records.array()?;
    let data = records.vector16()?;
    Ok((content == CONTENT_HANDSHAKE && epoch == 0).then_some(data))
}

fn fragment<'a>(octets: &mut Octets<'a>) -> Result<Fragment<'a>, Fault> {
    let kind = octets.u8()?;
    let length = octets.u24()?;
    let sequence = octets.u16()?;
    let offset = octets.u24()?;
    let data_length = octets.u24()?;
    let data = octets.take(data_length)?;
    if offset + data.len() > length {
        return Err(Fault::Malformed);
    }
    Ok(Fragment {
        kind,
        length,
        sequence,
        offset,
        data,
    })
}

fn take(input: &Input<'_>, conversation: &mut Conversation<'_>, fragment: &Fragment<'_>) -> Progress {
    match fragment.kind {
        HANDSHAKE_CLIENT_HELLO | HANDSHAKE_SERVER_HELLO => {}
        HANDSHAKE_HELLO_VERIFY_REQUEST => return Progress::More,
        _ => return Progress::Done,
    }
    if fragment.length > MAX_HELLO_OCTETS {
        return Progress::Fault(Fault::TooLong);
    }
    if fragment.data.len() == fragment.length {
        return read_message(fragment.kind, fragment.data, conversation.values);
    }
    let tag = 1 + (fragment.sequence as u8) % 100 * 2 + input.direction as u8;
    let mut gather = Gather::new(conversation.notes, 0, tag);
    if let Err(fault) = gather.put(fragment.offset, fragment.data, fragment.length) {
        return Progress::Fault(fault);
    }
    match gather.ready() {
        message if message.len() >= fragment.length => {
            let progress = read_message(fragment.kind, message, conversation.values);
            Gather::clear(conversation.notes, 0);
            progress
        }
        _ => Progress::More,
    }
}

fn read_message(kind: u8, body: &[u8], values: &mut Values) -> Progress {
    let result = match kind {
        HANDSHAKE_CLIENT_HELLO => {
            client_hello::parse_body(body, true).and_then(|hello| set_client_hello(values, &hello, Ja4Carrier::Dtls))
        }
        _ => server_hello::parse_body(body).and_then(|hello| set_server_hello(values, &hello)),
    };
    match result {
        Ok(()) => Progress::Done,
        Err(fault) => Progress::Fault(fault),
    }
}
