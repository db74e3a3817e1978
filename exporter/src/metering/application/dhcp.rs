//! DHCP for IPv4 and IPv6: which message, and the name that the host gives itself.
//!
//! RFC 2131 and 2132 (options 12 and 53), RFC 4702 (option 81); RFC 8415 and 4704 (option 39) for IPv6. The first
//! message of each direction is told: clients that have no address yet all share one flow.

use flowgauge_ie_registry::ids;

use super::protocol::{About, Carrier, Conversation, Fault, Field, FirstOctets, Input, Progress, Protocol, Verdict};

/// Octets of a domain name (RFC 1035 section 2.3.4).
const MAX_NAME_OCTETS: usize = 255;
/// Options of one message that are looked at.
const MAX_OPTIONS: usize = 128;

static V4: About = About {
    name: "dhcp",
    fields: &[
        Field::NAME,
        Field::fixed(ids::DHCP_MESSAGE_TYPE, 1),
        Field::text(ids::DHCP_HOST_NAME, MAX_NAME_OCTETS as u16),
    ],
    carriers: &[Carrier::Udp],
    first_octets: FirstOctets::of(&[1, 2]),
    hold_octets: 0,
};

/// DHCP for IPv4.
pub struct Dhcp;

/// RFC 2131 section 3: the options begin with this, behind the fixed fields.
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const COOKIE_AT: usize = 236;
const PAD: u8 = 0;
const HOST_NAME: u8 = 12;
const MESSAGE_TYPE: u8 = 53;
const CLIENT_FQDN: u8 = 81;
const END: u8 = 255;

impl Protocol for Dhcp {
    fn about(&self) -> &'static About {
        &V4
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        let cookie = input.octets.get(COOKIE_AT..COOKIE_AT + COOKIE.len());
        match input.ports.iter().any(|port| matches!(port, 67 | 68)) && cookie == Some(&COOKIE) {
            true => Verdict::Yes,
            false => Verdict::No,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let Some(mut options) = input.octets.get(COOKIE_AT + COOKIE.len()..) else {
            return Progress::Fault(Fault::Malformed);
        };
        let values = &mut *conversation.values;
        let mut qualified = Name::default();
        for _ in 0..MAX_OPTIONS {
            let (code, length, rest) = match options {
                [PAD, rest @ ..] => {
                    options = rest;
                    continue;
                }
                [END, ..] | [] => break,
                [code, length, rest @ ..] => (*code, usize::from(*length), rest),
                _ => return Progress::Fault(Fault::Malformed),
            };
            let Some((value, behind)) = rest.split_at_checked(length) else {
                return Progress::Fault(Fault::Malformed);
            };
            match (code, value) {
                (MESSAGE_TYPE, [kind]) => values.set_number(ids::DHCP_MESSAGE_TYPE, u64::from(*kind)),
                (HOST_NAME, name) => values.set_text(ids::DHCP_HOST_NAME, without_nul(name)),
                (CLIENT_FQDN, [flags, _, _, name @ ..]) => qualified = Name::from_option(*flags, name),
                _ => {}
            }
            options = behind;
        }
        values.set_text(ids::DHCP_HOST_NAME, qualified.octets());
        Progress::Done
    }
}

static V6: About = About {
    name: "dhcpv6",
    fields: &[Field::NAME, Field::text(ids::DHCP_HOST_NAME, MAX_NAME_OCTETS as u16)],
    carriers: &[Carrier::Udp],
    // RFC 8415 section 7.3.
    first_octets: FirstOctets::range(1, RELAY_REPLY),
    hold_octets: 0,
};

/// DHCP for IPv6. Its message types are other numbers than those of dhcpMessageType, which is left out.
pub struct Dhcpv6;

const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;
const RELAYED_MESSAGE: u16 = 9;
const CLIENT_FQDN_V6: u16 = 39;
/// RFC 8415 section 7.6 lets eight relays follow each other.
const MAX_RELAYS: usize = 8;

impl Protocol for Dhcpv6 {
    fn about(&self) -> &'static About {
        &V6
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        let relays = matches!(input.octets.first(), Some(&(RELAY_FORWARD | RELAY_REPLY)));
        match input.ports {
            [546, 547] | [547, 546] if input.octets.len() >= 4 => Verdict::Yes,
            [_, 547] | [547, _] if relays => Verdict::Yes,
            _ => Verdict::No,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let mut message = input.octets;
        for _ in 0..=MAX_RELAYS {
            // RFC 8415 sections 8 and 9: type and transaction, or type, hop count and two addresses.
            let header_octets = match message.first() {
                Some(&(RELAY_FORWARD | RELAY_REPLY)) => 34,
                _ => 4,
            };
            let Some(options) = message.get(header_octets..) else {
                return Progress::Fault(Fault::Malformed);
            };
            let Ok(relayed) = read_v6(options, conversation) else {
                return Progress::Fault(Fault::Malformed);
            };
            match relayed {
                Some(relayed) if header_octets == 34 => message = relayed,
                _ => break,
            }
        }
        Progress::Done
    }
}

/// Reads the options of one message (RFC 8415 section 21.1); gives the message in it that a relay passes on.
fn read_v6<'a>(mut options: &'a [u8], conversation: &mut Conversation<'_>) -> Result<Option<&'a [u8]>, Fault> {
    let mut relayed = None;
    for _ in 0..MAX_OPTIONS {
        let [a, b, c, d, rest @ ..] = options else {
            break;
        };
        let (code, length) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
        let (value, behind) = rest.split_at_checked(usize::from(length)).ok_or(Fault::Malformed)?;
        match (code, value) {
            (CLIENT_FQDN_V6, [_, labels @ ..]) => {
                let name = Name::from_labels(labels);
                conversation.values.set_text(ids::DHCP_HOST_NAME, name.octets());
            }
            (RELAYED_MESSAGE, message) => relayed = Some(message),
            _ => {}
        }
        options = behind;
    }
    Ok(relayed)
}

/// RFC 2132 section 2: a trailing NUL is to be deleted.
fn without_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// A domain name in text form.
struct Name {
    octets: [u8; MAX_NAME_OCTETS],
    length: usize,
}

impl Default for Name {
    fn default() -> Name {
        Name {
            octets: [0; MAX_NAME_OCTETS],
            length: 0,
        }
    }
}

impl Name {
    /// RFC 4702 section 2.1: with the E bit the name is in labels, else in ASCII.
    fn from_option(flags: u8, name: &[u8]) -> Name {
        const E: u8 = 4;
        if flags & E != 0 {
            return Name::from_labels(name);
        }
        let mut text = Name::default();
        text.append(without_nul(name));
        text
    }

    /// A name in labels (RFC 1035 section 3.1), whole or partial; pointers are not used here.
    fn from_labels(mut labels: &[u8]) -> Name {
        let mut name = Name::default();
        while let [length @ 1..=63, rest @ ..] = labels {
            let Some((label, behind)) = rest.split_at_checked(usize::from(*length)) else {
                break;
            };
            if name.length > 0 {
                name.append(b".");
            }
            name.append(label);
            labels = behind;
        }
        name
    }

    fn append(&mut self, part: &[u8]) {
        let room = self.octets.get_mut(self.length..).unwrap_or_default();
        let octets = part.len().min(room.len());
        if let (Some(room), Some(part)) = (room.get_mut(..octets), part.get(..octets)) {
            room.copy_from_slice(part);
            self.length += octets;
        }
    }

    fn octets(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_both_forms() {
        assert_eq!(Name::from_option(0, b"host.example\0").octets(), b"host.example");
        assert_eq!(Name::from_option(5, b"\x04host\x07example\0").octets(), b"host.example");
        assert_eq!(Name::from_labels(b"\x04host").octets(), b"host");
        assert_eq!(Name::from_labels(b"\x04ho").octets(), b"");
        let long: Vec<u8> = (0..10).flat_map(|_| [[63].to_vec(), vec![b'a'; 63]].concat()).collect();
        assert_eq!(Name::from_labels(&long).octets().len(), MAX_NAME_OCTETS);
    }
}
