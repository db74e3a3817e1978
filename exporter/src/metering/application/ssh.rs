//! SSH: the identification strings of both sides (RFC 4253 section 4.2).

use flowgauge_ie_registry::ids;

use super::protocol::{About, Carrier, Conversation, Fault, Field, FirstOctets, Input, Progress, Protocol, Verdict};

/// RFC 4253 section 4.2: the string is at most 255 characters long, its CR and LF included.
const MAX_LINE_OCTETS: usize = 255;
/// Lines that a server may send before it; the RFC sets no bound.
const MAX_LINES_BEFORE: u16 = 32;
const START: &[u8] = b"SSH-";
const PORT: u16 = 22;

static ABOUT: About = About {
    name: "ssh",
    fields: &[
        Field::NAME,
        Field::text(ids::SSH_CLIENT_VERSION, 253),
        Field::text(ids::SSH_SERVER_VERSION, 253),
    ],
    carriers: &[Carrier::Tcp],
    first_octets: FirstOctets::of(b"S"),
    hold_octets: 1024,
};

/// The protocol.
pub struct Ssh;

impl Protocol for Ssh {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        let length = START.len().min(input.octets.len());
        match input.octets.get(..length) == START.get(..length) {
            false => Verdict::No,
            true if length < START.len() => Verdict::More,
            true => Verdict::Yes,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let Some(end) = input.octets.iter().position(|octet| *octet == b'\n') else {
            return match input.octets.len() > MAX_LINE_OCTETS {
                true => Progress::Fault(Fault::TooLong),
                false => Progress::More,
            };
        };
        let line = input.octets.get(..end).unwrap_or_default();
        if line.starts_with(START) {
            let element = match from_server(input) {
                true => ids::SSH_SERVER_VERSION,
                false => ids::SSH_CLIENT_VERSION,
            };
            conversation.values.set_text(element, line.trim_ascii_end());
            return Progress::Done;
        }
        *conversation.stage += 1;
        match *conversation.stage > MAX_LINES_BEFORE {
            true => Progress::Fault(Fault::Malformed),
            false => Progress::Next(end + 1),
        }
    }
}

/// Both sides say the same kind of string: who connected is told by the port, else by who sent the flow's first packet.
fn from_server(input: &Input<'_>) -> bool {
    match input.ports {
        [PORT, PORT] => input.direction == 1,
        [PORT, _] => true,
        [_, PORT] => false,
        _ => input.direction == 1,
    }
}
