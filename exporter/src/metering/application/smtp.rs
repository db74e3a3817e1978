//! SMTP: what a mail server greets with and the name its client gives (RFC 5321 sections 4.1.1.1 and 4.2).

use flowgauge_ie_registry::ids;

use super::protocol::{About, Carrier, Conversation, Fault, Field, FirstOctets, Input, Progress, Protocol, Verdict};

/// RFC 5321 section 4.5.3.1.5: a reply line is at most 512 octets long, its end included.
const MAX_LINE_OCTETS: u16 = 512;
/// Lines of a client that are read in search of its name.
const MAX_CLIENT_LINES: u16 = 4;
const HELLOS: [&[u8]; 3] = [b"EHLO ", b"HELO ", b"LHLO "];
const PORTS: [u16; 3] = [25, 587, 2525];

static ABOUT: About = About {
    name: "smtp",
    fields: &[
        Field::NAME,
        Field::text(ids::SMTP_SERVER_GREETING, 255),
        Field::text(ids::SMTP_CLIENT_NAME, 255),
    ],
    carriers: &[Carrier::Tcp],
    first_octets: FirstOctets::of(b"2EHLehl"),
    hold_octets: MAX_LINE_OCTETS,
};

/// The protocol.
pub struct Smtp;

impl Protocol for Smtp {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        if input.octets.starts_with(b"2") {
            return greeting_verdict(input);
        }
        let starts = |hello: &&&[u8]| {
            let length = hello.len().min(input.octets.len());
            let start = input.octets.get(..length).unwrap_or_default();
            start.eq_ignore_ascii_case(hello.get(..length).unwrap_or_default())
        };
        match HELLOS.iter().find(starts) {
            Some(hello) if input.octets.len() >= hello.len() => Verdict::Yes,
            Some(_) => Verdict::More,
            None => Verdict::No,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let Some(end) = input.octets.iter().position(|octet| *octet == b'\n') else {
            return Progress::More;
        };
        let line = input.octets.get(..end).unwrap_or_default().trim_ascii_end();
        if let [b'2', b'2', b'0', b' ' | b'-', greeting @ ..] = line {
            conversation.values.set_text(ids::SMTP_SERVER_GREETING, greeting);
            return Progress::Done;
        }
        if let Some((hello, name)) = line.split_at_checked(5)
            && HELLOS.iter().any(|known| known.eq_ignore_ascii_case(hello))
        {
            conversation.values.set_text(ids::SMTP_CLIENT_NAME, name.trim_ascii());
            return Progress::Done;
        }
        *conversation.stage += 1;
        match *conversation.stage >= MAX_CLIENT_LINES {
            true => Progress::Fault(Fault::Unsupported),
            false => Progress::Next(end + 1),
        }
    }
}

/// FTP servers greet with 220 too: the port or the word must say that it is mail.
fn greeting_verdict(input: &Input<'_>) -> Verdict {
    let line = input.octets.split(|octet| *octet == b'\n').next().unwrap_or_default();
    match (line, line.len() < input.octets.len()) {
        ([b'2', b'2', b'0', b' ' | b'-', ..], _) if PORTS.contains(&input.ports[0]) => Verdict::Yes,
        ([b'2', b'2', b'0', b' ' | b'-', text @ ..], whole) => match text.windows(4).any(|word| word == b"SMTP") {
            true => Verdict::Yes,
            false if whole || line.len() > usize::from(MAX_LINE_OCTETS) => Verdict::No,
            false => Verdict::More,
        },
        ([b'2'] | [b'2', b'2'] | [b'2', b'2', b'0'], false) => Verdict::More,
        _ => Verdict::No,
    }
}
