//! HTTP/1: the request line, the status line and a few header fields of a connection's first exchange (RFC 9112).
//!
//! Read line by line, so that only a line that is not whole is ever held.

use flowgauge_ie_registry::ids;

use super::protocol::{About, Carrier, Conversation, Fault, Field, FirstOctets, Input, Progress, Protocol, Verdict};

/// Octets of one line. RFC 9112 section 3 wants request lines of 8000 octets to be understood.
const MAX_LINE_OCTETS: u16 = 8192;
/// Octets of the longest method below.
const MAX_METHOD_OCTETS: usize = 11;
/// Header lines of one message.
const MAX_LINES: u16 = 256;

/// Methods that begin a connection (IANA http-methods, those of WebDAV and UPnP among them).
const METHODS: &[&[u8]] = &[
    b"GET",
    b"POST",
    b"HEAD",
    b"PUT",
    b"DELETE",
    b"OPTIONS",
    b"CONNECT",
    b"PATCH",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"REPORT",
    b"SEARCH",
    b"MKCALENDAR",
    b"BIND",
    b"ACL",
    b"MERGE",
    b"M-SEARCH",
    b"NOTIFY",
    b"SUBSCRIBE",
    b"UNSUBSCRIBE",
    b"LINK",
    b"UNLINK",
    b"PURGE",
    b"CCM_POST",
    b"BITS_POST",
];
const VERSION_START: &[u8] = b"HTTP/1.";

static ABOUT: About = About {
    name: "http",
    fields: &[
        Field::NAME,
        Field::text(ids::HTTP_REQUEST_METHOD, 24),
        Field::text(ids::HTTP_REQUEST_HOST, 255),
        Field::text(ids::HTTP_REQUEST_TARGET, 384),
        Field::text(ids::HTTP_MESSAGE_VERSION, 12),
        Field::text(ids::HTTP_USER_AGENT, 256),
        Field::fixed(ids::HTTP_STATUS_CODE, 2),
        Field::text(ids::HTTP_REASON_PHRASE, 48),
        Field::text(ids::HTTP_CONTENT_TYPE, 96),
    ],
    carriers: &[Carrier::Tcp],
    first_octets: FirstOctets::range(b'A', b'Z'),
    hold_octets: MAX_LINE_OCTETS,
};

/// The protocol.
pub struct Http;

/// Where a direction is; larger stages count header lines.
const START: u16 = 0;
const REQUEST: u16 = 1;
const RESPONSE: u16 = REQUEST + MAX_LINES;
/// In a response that another one follows.
const INTERIM: u16 = RESPONSE + MAX_LINES;

impl Protocol for Http {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        match begins(input.octets, VERSION_START) {
            Verdict::No => {}
            verdict => return verdict,
        }
        let head = input.octets.get(..=MAX_METHOD_OCTETS).unwrap_or(input.octets);
        let Some(blank) = head.iter().position(|octet| *octet == b' ') else {
            let may_go_on = head.len() <= MAX_METHOD_OCTETS && METHODS.iter().any(|method| method.starts_with(head));
            return if may_go_on { Verdict::More } else { Verdict::No };
        };
        let method = head.get(..blank).unwrap_or_default();
        if !METHODS.contains(&method) {
            return Verdict::No;
        }
        match input.octets.get(blank + 1) {
            Some(target) if begins_target(method, *target) => Verdict::Yes,
            Some(_) => Verdict::No,
            None => Verdict::More,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let stage = *conversation.stage;
        if stage == START && self.recognise(input) == Verdict::No {
            return Progress::Skip;
        }
        let Some(end) = input.octets.iter().position(|octet| *octet == b'\n') else {
            if stage == START && input.end {
                // Of a line whose end was not captured, words are told that have one.
                let whole = input.octets.iter().rposition(|octet| *octet == b' ').unwrap_or(0);
                start_line(input.octets.get(..whole).unwrap_or_default(), conversation);
            }
            return Progress::More;
        };
        let line = input.octets.get(..end).unwrap_or_default().trim_ascii_end();
        if stage == START {
            return match start_line(line, conversation) {
                Some(stage) => {
                    *conversation.stage = stage;
                    Progress::Next(end + 1)
                }
                None => Progress::Skip,
            };
        }
        if line.is_empty() && stage >= INTERIM {
            *conversation.stage = START;
            return Progress::Next(end + 1);
        }
        if line.is_empty() {
            return Progress::Done;
        }
        if [RESPONSE, INTERIM, INTERIM + MAX_LINES].contains(&(stage + 1)) {
            return Progress::Fault(Fault::TooLong);
        }
        *conversation.stage += 1;
        if stage < INTERIM {
            header_line(line, stage >= RESPONSE, conversation);
        }
        Progress::Next(end + 1)
    }
}

/// SIP and RTSP have methods of the same names, but other targets.
fn begins_target(method: &[u8], first: u8) -> bool {
    !first.is_ascii_alphabetic() || matches!(first, b'h' | b'H') || method == b"CONNECT"
}

fn begins(octets: &[u8], start: &[u8]) -> Verdict {
    let length = start.len().min(octets.len());
    match octets.get(..length) == start.get(..length) {
        false => Verdict::No,
        true if length < start.len() => Verdict::More,
        true => Verdict::Yes,
    }
}

/// Reads a request line or a status line; the stage behind it, or none when it is neither.
fn start_line(line: &[u8], conversation: &mut Conversation<'_>) -> Option<u16> {
    let values = &mut *conversation.values;
    if line.starts_with(VERSION_START) {
        let mut words = line.splitn(3, |octet| *octet == b' ');
        let version = words.next()?;
        let status = number(words.next()?)?;
        // RFC 9110 section 15.2: a final response follows, except after 101.
        if (100..200).contains(&status) && status != 101 {
            return Some(INTERIM);
        }
        values.set_number(ids::HTTP_STATUS_CODE, status);
        values.set_text(ids::HTTP_REASON_PHRASE, words.next().unwrap_or_default().trim_ascii());
        values.set_text(ids::HTTP_MESSAGE_VERSION, version);
        return Some(RESPONSE);
    }
    let (method, rest) = split(line, b' ')?;
    if !METHODS.contains(&method) {
        return None;
    }
    values.set_text(ids::HTTP_REQUEST_METHOD, method);
    // Between the first and the last blank: targets with blanks in them are sent, though they must not be.
    let target = match rest.iter().rposition(|octet| *octet == b' ') {
        Some(at) if rest.get(at + 1..).is_some_and(|version| version.starts_with(b"HTTP/")) => {
            values.set_text(ids::HTTP_MESSAGE_VERSION, rest.get(at + 1..).unwrap_or_default());
            rest.get(..at).unwrap_or_default()
        }
        _ => rest,
    };
    values.set_text(ids::HTTP_REQUEST_TARGET, target.trim_ascii());
    Some(REQUEST)
}

fn header_line(line: &[u8], in_response: bool, conversation: &mut Conversation<'_>) {
    let Some((name, value)) = split(line, b':') else {
        return;
    };
    let element = match (name.len(), in_response) {
        (4, false) if name.eq_ignore_ascii_case(b"host") => ids::HTTP_REQUEST_HOST,
        (10, false) if name.eq_ignore_ascii_case(b"user-agent") => ids::HTTP_USER_AGENT,
        (12, true) if name.eq_ignore_ascii_case(b"content-type") => ids::HTTP_CONTENT_TYPE,
        _ => return,
    };
    conversation.values.set_text(element, value.trim_ascii());
}

fn split(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = line.iter().position(|octet| *octet == at)?;
    Some((line.get(..place)?, line.get(place + 1..)?))
}

fn number(digits: &[u8]) -> Option<u64> {
    let three = digits.len() == 3 && digits.iter().all(u8::is_ascii_digit);
    three.then(|| {
        digits
            .iter()
            .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
    })
}
