//! Versions of QUIC and how their Initial packets differ.

use super::packet::Kind;

/// What a version changes.
#[derive(Debug, PartialEq, Eq)]
pub struct Version {
    /// The salt of the Initial secret.
    pub salt: [u8; 20],
    /// Whether it is version 2, with its own labels and its own numbers of packet types.
    pub is_v2: bool,
}

/// RFC 9001 section 5.2; drafts 33 and 34 had it too.
static V1: Version = Version {
    salt: [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb,
        0x7f, 0x0a,
    ],
    is_v2: false,
};

/// RFC 9369 section 3.3.1.
static V2: Version = Version {
    salt: [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd,
        0x2e, 0xd9,
    ],
    is_v2: true,
};

/// draft-ietf-quic-tls-29 to 32.
static DRAFT_29: Version = Version {
    salt: [
        0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90,
        0xa8, 0x99,
    ],
    is_v2: false,
};

/// draft-ietf-quic-tls-23 to 28.
static DRAFT_23: Version = Version {
    salt: [
        0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9,
        0xf5, 0x02,
    ],
    is_v2: false,
};

impl Version {
    /// The version with that number, when its Initial packets can be opened.
    pub fn of(number: u32) -> Option<&'static Version> {
        match number {
            0x0000_0001 | 0xff00_0021 | 0xff00_0022 => Some(&V1),
            0x6b33_43cf => Some(&V2),
            0xff00_001d..=0xff00_0020 => Some(&DRAFT_29),
            // Meta's mvfst called its deployments of draft 27 by numbers of its own.
            0xff00_0017..=0xff00_001c | 0xface_b001 | 0xface_b002 | 0xface_b00e => Some(&DRAFT_23),
            _ => None,
        }
    }

    /// Whether a long header with that number begins QUIC: a version that can be opened, or Google's before TLS (Q046, Q050,
    /// T051), of which only the number is told.
    pub fn is_known(number: u32) -> bool {
        Version::of(number).is_some() || matches!(number.to_be_bytes(), [b'Q' | b'T', b'0', b'4' | b'5', b'0'..=b'9'])
    }

    /// What the two type bits of a long header mean (RFC 9000 section 17.2, RFC 9369 section 3.2).
    pub fn kind(&self, first: u8) -> Kind {
        let turned = (first >> 4).wrapping_sub(u8::from(self.is_v2)) & 3;
        match turned {
            0 => Kind::Initial,
            1 => Kind::ZeroRtt,
            2 => Kind::Handshake,
            _ => Kind::Retry,
        }
    }
}
