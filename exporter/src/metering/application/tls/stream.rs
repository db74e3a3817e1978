//! TLS over TCP.

use super::ja4::Carrier as Ja4Carrier;
use super::limits::MAX_STREAM_OCTETS;
use super::octets::Octets;
use super::records::{CONTENT_HANDSHAKE, First, first_message};
use super::{FIELDS, HANDSHAKE_CLIENT_HELLO, HANDSHAKE_SERVER_HELLO, client_hello, server_hello};
use super::{set_client_hello, set_server_hello};
use crate::metering::application::{
    About, Carrier, Conversation, Fault, FirstOctets, Input, Progress, Protocol, Values, Verdict,
};
use flowgauge_ie_registry::ids;

static ABOUT: About = About {
    name: "tls",
    fields: &FIELDS,
    carriers: &[Carrier::Tcp],
    first_octets: FirstOctets::range(0x80, 0xff).with(CONTENT_HANDSHAKE),
    hold_octets: MAX_STREAM_OCTETS as u16,
};

/// Messages of SSL 2.0.
const SSL2_CLIENT_HELLO: u8 = 1;
const SSL2_SERVER_HELLO: u8 = 4;

/// The protocol.
pub struct Tls;

impl Protocol for Tls {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        match *input.octets {
            [
                CONTENT_HANDSHAKE,
                3,
                0..=4,
                _,
                _,
                HANDSHAKE_CLIENT_HELLO | HANDSHAKE_SERVER_HELLO,
                ..,
            ] => Verdict::Yes,
            [CONTENT_HANDSHAKE] | [CONTENT_HANDSHAKE, 3] | [CONTENT_HANDSHAKE, 3, 0..=4] => Verdict::More,
            [CONTENT_HANDSHAKE, 3, 0..=4, _] | [CONTENT_HANDSHAKE, 3, 0..=4, _, _] => Verdict::More,
            [0x80..=0xff, ..] => match ssl2_hello(input.octets) {
                Ok(_) => Verdict::Yes,
                Err(verdict) => verdict,
            },
            _ => Verdict::No,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        if let [0x80..=0xff, ..] = input.octets {
            return match ssl2_hello(input.octets) {
                Ok(version) => {
                    conversation.values.set_number(ids::TLS_VERSION, version.into());
                    Progress::Done
                }
                Err(Verdict::More) if !input.end => Progress::More,
                Err(_) => Progress::Fault(Fault::Malformed),
            };
        }
        let progress = match first_message(input.octets, conversation.notes) {
            Ok(First::Message(kind, body)) => read_message(kind, body, true, conversation.values),
            Ok(First::Part(Some(kind), part)) if input.end => {
                match read_message(kind, part, false, conversation.values) {
                    Progress::Done => Progress::Fault(Fault::Cut),
                    progress => progress,
                }
            }
            Ok(First::Part(..)) => Progress::More,
            Ok(First::Alert) => Progress::Done,
            Err(fault) => Progress::Fault(fault),
        };
        conversation.notes.clear();
        progress
    }
}

fn read_message(kind: u8, body: &[u8], whole: bool, values: &mut Values) -> Progress {
    let result = match kind {
        HANDSHAKE_CLIENT_HELLO if whole => {
            client_hello::parse_body(body, false).and_then(|hello| set_client_hello(values, &hello, Ja4Carrier::Tls))
        }
        HANDSHAKE_CLIENT_HELLO => {
            client_hello::parse_part(body).and_then(|hello| set_client_hello(values, &hello, Ja4Carrier::Tls))
        }
        HANDSHAKE_SERVER_HELLO if whole => {
            server_hello::parse_body(body).and_then(|hello| set_server_hello(values, &hello))
        }
        HANDSHAKE_SERVER_HELLO => Ok(()),
        _ => Err(Fault::Malformed),
    };
    match result {
        Ok(()) => Progress::Done,
        Err(fault) => Progress::Fault(fault),
    }
}

/// The version in a hello of SSL 2.0, which a client may send for later versions too (RFC 5246 appendix E.2).
fn ssl2_hello(octets: &[u8]) -> Result<u16, Verdict> {
    let version = match *octets {
        [_, _, SSL2_CLIENT_HELLO, high, low, ..] | [_, _, SSL2_SERVER_HELLO, _, _, high, low, ..] => {
            u16::from_be_bytes([high, low])
        }
        [_, _, SSL2_CLIENT_HELLO | SSL2_SERVER_HELLO, ..] | [_] | [_, _] => return Err(Verdict::More),
        _ => return Err(Verdict::No),
    };
    if !matches!(version, 0x0002 | 0x0300..=0x0304) {
        return Err(Verdict::No);
    }
    let mut octets = Octets::new(octets);
    let record = octets.u16().map_or(0, |length| usize::from(length & 0x7fff));
    let kind = octets.u8().unwrap_or_default();
    // Certificate type and session id match of a server stand in front of the version.
    let fixed = if kind == SSL2_CLIENT_HELLO { 2 } else { 4 };
    if octets.take(fixed).is_err() {
        return Err(Verdict::More);
    }
    let mut variable = 0;
    for _ in 0..3 {
        match octets.u16() {
            Ok(length) => variable += usize::from(length),
            Err(_) => return Err(Verdict::More),
        }
    }
    match record == 1 + fixed + 6 + variable {
        true => Ok(version),
        false => Err(Verdict::No),
    }
}
