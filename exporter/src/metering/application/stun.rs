//! STUN: that hosts find out their own addresses, as calls and games do, and the software they say they use (RFC 8489).

use flowgauge_ie_registry::ids;

use super::protocol::{About, Carrier, Conversation, Field, FirstOctets, Input, Progress, Protocol, Verdict};

static ABOUT: About = About {
    name: "stun",
    // RFC 8489 section 14.14: SOFTWARE has less than 128 characters.
    fields: &[Field::NAME, Field::text(ids::STUN_SOFTWARE, 255)],
    carriers: &[Carrier::Udp, Carrier::Tcp],
    // RFC 8489 section 5: the two highest bits are zero, and no method has any of the next two set yet.
    first_octets: FirstOctets::range(0x00, 0x0f),
    hold_octets: 2048,
};

/// The protocol.
pub struct Stun;

/// Type, length, magic cookie and transaction identifier.
const HEADER_OCTETS: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const SOFTWARE: u16 = 0x8022;
/// Attributes of one message that are looked at.
const MAX_ATTRIBUTES: usize = 32;

impl Protocol for Stun {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        match input.octets {
            [_, _, _, length, a, b, c, d, ..] if [*a, *b, *c, *d] == COOKIE && length % 4 == 0 => Verdict::Yes,
            [_, _, _, length, cookie @ ..] if length % 4 == 0 && COOKIE.starts_with(cookie) => Verdict::More,
            [_, _, _] | [_, _] | [_] => Verdict::More,
            _ => Verdict::No,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let [_, _, high, low, ..] = input.octets else {
            return Progress::More;
        };
        let octets = HEADER_OCTETS + usize::from(u16::from_be_bytes([*high, *low]));
        // Over TCP, messages follow each other (section 6.2.2), and the first may come in pieces.
        if octets > input.octets.len() && !input.end {
            return Progress::More;
        }
        let message = input.octets.get(..octets).unwrap_or(input.octets);
        let mut attributes = message.get(HEADER_OCTETS..).unwrap_or_default();
        for _ in 0..MAX_ATTRIBUTES {
            let [a, b, c, d, rest @ ..] = attributes else { break };
            let length = usize::from(u16::from_be_bytes([*c, *d]));
            if u16::from_be_bytes([*a, *b]) == SOFTWARE {
                let software = rest.get(..length).unwrap_or_default();
                conversation.values.set_text(ids::STUN_SOFTWARE, software);
            }
            // RFC 8489 section 14: attributes are padded to four octets.
            attributes = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Progress::Done
    }
}
