//! ARP: who looks for whom (RFC 826). A flow is one pair of addresses; its first message is told.

use flowgauge_ie_registry::ids;
use flowgauge_templates::packet::Arp as Message;

use super::protocol::{About, Carrier, Conversation, Fault, Field, FirstOctets, Input, Progress, Protocol, Verdict};

static ABOUT: About = About {
    name: "arp",
    fields: &[
        Field::NAME,
        Field::fixed(ids::ARP_OPERATION, 2),
        Field::fixed(ids::ARP_SENDER_IPV4_ADDRESS, 4),
        Field::fixed(ids::ARP_TARGET_IPV4_ADDRESS, 4),
    ],
    carriers: &[Carrier::Arp],
    first_octets: FirstOctets::ANY,
    hold_octets: 0,
};

/// The protocol.
pub struct Arp;

/// Octets of a [`message`]: operation and both IPv4 addresses.
const OCTETS: usize = 10;

/// What of an ARP message is told, in the form in which [`Arp`] takes it.
pub(super) fn message(arp: &Message) -> [u8; OCTETS] {
    let ([a, b], [c, d, e, f], [g, h, i, j]) = (
        arp.operation.to_be_bytes(),
        arp.sender_ip.octets(),
        arp.target_ip.octets(),
    );
    [a, b, c, d, e, f, g, h, i, j]
}

impl Protocol for Arp {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn recognise(&self, input: &Input<'_>) -> Verdict {
        match input.octets.len() == OCTETS {
            true => Verdict::Yes,
            false => Verdict::No,
        }
    }

    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress {
        let Some(([a, b, sender @ ..], target)) = input.octets.split_first_chunk::<6>() else {
            return Progress::Fault(Fault::Malformed);
        };
        let values = &mut *conversation.values;
        values.set_octets(ids::ARP_OPERATION, &[*a, *b]);
        values.set_octets(ids::ARP_SENDER_IPV4_ADDRESS, sender);
        values.set_octets(ids::ARP_TARGET_IPV4_ADDRESS, target);
        Progress::Finished
    }
}
