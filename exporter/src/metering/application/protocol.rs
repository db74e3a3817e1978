//! What an application protocol is to the meter: how it begins, what it tells, and a parser that takes octets in order.
//!
//! A protocol keeps no state of its own: what must outlive a packet is in the [`Conversation`], which is pooled and bounded.

use flowgauge_ie_registry::ElementId;
use flowgauge_templates::ipfix::{FieldSpecifier, VARIABLE_LENGTH};

use super::values::Values;

/// One application protocol.
pub trait Protocol: Sync {
    /// Its facts.
    fn about(&self) -> &'static About;

    /// Whether a direction that begins with these octets speaks this protocol. Asked only when the first octet is one of
    /// [`About::first_octets`] and the carrier one of [`About::carriers`]. For datagrams [`Verdict::More`] means no.
    fn recognise(&self, input: &Input<'_>) -> Verdict;

    /// Takes octets of one direction, in order and not taken before, and sets what they tell.
    ///
    /// In a stream they are all that is there and not consumed yet, and what [`Progress`] leaves is given again with what follows. A
    /// datagram is given once and whole.
    fn read(&self, input: &Input<'_>, conversation: &mut Conversation<'_>) -> Progress;
}

/// Facts of a protocol.
#[derive(Debug)]
pub struct About {
    /// Short name in lower case: the value of applicationName, the metric label, the word in the configuration.
    pub name: &'static str,
    /// What its records hold. The first field is always [`Field::NAME`].
    pub fields: &'static [Field],
    /// What it runs over.
    pub carriers: &'static [Carrier],
    /// What the first octet of either direction can be.
    pub first_octets: FirstOctets,
    /// Octets of one direction that may wait for the rest of what they begin; more is [`Fault::TooLong`].
    pub hold_octets: u16,
}

/// What carries application octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Carrier {
    /// TCP: a stream in each direction.
    Tcp,
    /// UDP: datagrams.
    Udp,
    /// ARP: each packet is a message, from its hardware type on.
    Arp,
}

impl Carrier {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// The carrier with that IP protocol number.
    #[inline]
    pub fn of(protocol: u8) -> Option<Carrier> {
        match protocol {
            6 => Some(Carrier::Tcp),
            17 => Some(Carrier::Udp),
            _ => None,
        }
    }
}

/// One field of a protocol's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The information element.
    pub element: ElementId,
    /// How its value goes out.
    pub kind: Kind,
}

/// How a value goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text of at most so many octets, cut at a character; an absent one is sent empty.
    Text(u16),
    /// A number or an address of so many octets; an absent one is left out of the template.
    Fixed(u8),
}

impl Field {
    /// applicationName, which begins every record of an application.
    pub const NAME: Field = Field::text(flowgauge_ie_registry::ids::APPLICATION_NAME, 32);

    /// A text of at most `octets`.
    pub const fn text(element: ElementId, octets: u16) -> Field {
        Field {
            element,
            kind: Kind::Text(octets),
        }
    }

    /// A number or an address of `octets`.
    pub const fn fixed(element: ElementId, octets: u8) -> Field {
        Field {
            element,
            kind: Kind::Fixed(octets),
        }
    }

    /// The field in a template.
    pub const fn specifier(&self) -> FieldSpecifier {
        let length = match self.kind {
            Kind::Text(_) => VARIABLE_LENGTH,
            Kind::Fixed(octets) => octets as u16,
        };
        FieldSpecifier::new(self.element, length)
    }
}

/// A set of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstOctets([u64; 4]);

impl FirstOctets {
    /// Every octet: the protocol begins with something that can have any value.
    pub const ANY: FirstOctets = FirstOctets([u64::MAX; 4]);

    /// These octets.
    pub const fn of(octets: &[u8]) -> FirstOctets {
        let mut set = [0; 4];
        let mut at = 0;
        while at < octets.len() {
            let octet = octets[at];
            set[(octet >> 6) as usize] |= 1 << (octet & 63);
            at += 1;
        }
        FirstOctets(set)
    }

    /// Octets from `first` to `last`, both included.
    pub const fn range(first: u8, last: u8) -> FirstOctets {
        let mut set = [0; 4];
        let mut octet = first as usize;
        while octet <= last as usize {
            set[octet >> 6] |= 1 << (octet & 63);
            octet += 1;
        }
        FirstOctets(set)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(mut self, octet: u8) -> FirstOctets {
        self.0[(octet >> 6) as usize] |= 1 << (octet & 63);
        self
    }

    /// Whether the set has this octet.
    pub const fn has(&self, octet: u8) -> bool {
        self.0[(octet >> 6) as usize] >> (octet & 63) & 1 != 0
    }
}

/// Octets for a protocol, and where they come from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// A stream's octets that were not consumed yet, without gaps, or a datagram.
    pub octets: &'a [u8],
    /// Nothing can follow these: the packet was captured in part, or the bound is reached.
    pub end: bool,
    /// 0 from the flow's first sender, 1 to it.
    pub direction: usize,
    /// Source and destination port of the packet.
    pub ports: [u16; 2],
    /// What carries them.
    pub carrier: Carrier,
    /// When the packet was captured, ns since 1970 UTC.
    pub now_ns: i64,
}

/// What a protocol says about the octets that a direction begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this protocol.
    Yes,
    /// It is not.
    No,
    /// It is so far; more octets must tell.
    More,
}

/// How far a protocol came with what it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many octets are consumed; the rest, if any, is given again at once.
    Next(usize),
    /// Nothing is consumed: give the same octets again when there are more. For a datagram: give the next one.
    More,
    /// These octets begin nothing that is known: try with the next packet. At most a few times in a row.
    Skip,
    /// Nothing more is wanted from this direction.
    Done,
    /// Nothing more is wanted from either direction.
    Finished,
    /// Nothing more can be had from this direction, for this reason.
    Fault(Fault),
}

/// Why a parser stopped before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// The octets contradict the protocol.
    Malformed,
    /// A version or form that is not read.
    Unsupported,
    /// The packet was captured in part.
    Cut,
    /// Octets between are missing.
    Gap,
    /// It is longer than may be held.
    TooLong,
    /// It is sealed with keys that do not follow from what was seen.
    Sealed,
}

impl Fault {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// Every fault, in the order of its number.
    pub const ALL: [Fault; Fault::COUNT] = [
        Fault::Malformed,
        Fault::Unsupported,
        Fault::Cut,
        Fault::Gap,
        Fault::TooLong,
        Fault::Sealed,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fault::Malformed => "malformed",
            Fault::Unsupported => "unsupported",
            Fault::Cut => "cut",
            Fault::Gap => "gap",
            Fault::TooLong => "too_long",
            Fault::Sealed => "sealed",
        }
    }
}

/// What one flow remembers between its packets.
#[derive(Debug)]
pub struct Conversation<'a> {
    /// Where the parser is in this direction; 0 at first, its meaning is the parser's own.
    pub stage: &'a mut u16,
    /// Octets that the protocol keeps of both directions; at most [`About::hold_octets`], what is beyond is dropped with
    /// the conversation ([`Fault::TooLong`]).
    pub notes: &'a mut Vec<u8>,
    /// What is known so far.
    pub values: &'a mut Values,
}
