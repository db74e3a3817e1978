//! What every flow export says of itself at its front, whichever version of the protocol it is: one shape for IPFIX
//! and the NetFlow versions before it, so that what lies behind need not ask.

use crate::bytes::Reader;
use crate::error::{DecodeError, DecodeErrorKind, Layer};
use crate::{ipfix, netflow};

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// The version of the protocol, told by the first two octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Version {
    /// 10 (RFC 7011).
    Ipfix,
    /// 9 (RFC 3954).
    Netflow9,
    /// 7: what Catalyst switches sent; records of one form.
    Netflow7,
    /// 5: records of one form.
    Netflow5,
}

impl Version {
    /// The version that `bytes` start with, when it is one that is decoded here.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0, 10, ..] => Some(Self::Ipfix),
            [0, 9, ..] => Some(Self::Netflow9),
            [0, 7, ..] => Some(Self::Netflow7),
            [0, 5, ..] => Some(Self::Netflow5),
            _ => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Ipfix => 10,
            Self::Netflow9 => 9,
            Self::Netflow7 => 7,
            Self::Netflow5 => 5,
        }
    }

    /// The name in answers and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipfix => "ipfix",
            Self::Netflow9 => "netflow9",
            Self::Netflow7 => "netflow7",
            Self::Netflow5 => "netflow5",
        }
    }

    /// What the sequence numbers count.
    #[must_use]
    pub const fn sequence_counts(self) -> SequenceUnit {
        match self {
            Self::Ipfix | Self::Netflow7 | Self::Netflow5 => SequenceUnit::Records,
            Self::Netflow9 => SequenceUnit::Messages,
        }
    }
}

/// What sequence numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SequenceUnit {
    /// Data Records (RFC 7011 section 3.1), which are the flows of versions 5 and 7.
    Records,
    /// Messages: "all Export Packets sent by this NetFlow Device" (RFC 3954 section 5.1).
    Messages,
}

impl SequenceUnit {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Messages => "messages",
        }
    }
}

/// Sampling as version 5 says it in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HeaderSampling {
    /// How: 1 every so many packets, 2 at random; 0 where nothing is said. Two bits.
    pub mode: u8,
    /// One packet in so many; 0 where nothing is said. Fourteen bits.
    pub interval: u16,
}

/// The header of a Message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MessageHeader {
    /// Which protocol.
    pub version: Version,
    /// Octets of the whole Message; of the datagram where the header does not say.
    pub length: u16,
    /// Seconds since 1970 when the header left the exporter.
    pub export_time: u32,
    /// Nanoseconds of that second, which versions 5 and 7 say.
    pub export_fraction_ns: u32,
    /// Milliseconds since the exporter started, at export time, modulo 2^32; NetFlow only.
    pub uptime_ms: Option<u32>,
    /// Records or Messages sent before this Message in the same session (or stream) and domain, modulo 2^32: see
    /// [`Version::sequence_counts`].
    pub sequence: u32,
    /// Observation Domain ID; the Source ID of version 9, engine type and number of version 5, 0 for version 7.
    pub domain: u32,
    /// What version 5 says about sampling.
    pub sampling: Option<HeaderSampling>,
}

impl MessageHeader {
    /// Reads the header of a Message of any version.
    ///
    /// # Errors
    /// `Version`, `Truncated`, and what the version's own reader refuses.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        match Version::of(bytes) {
            Some(Version::Ipfix) => ipfix::Message::parse(bytes).map(|message| *message.header()),
            Some(Version::Netflow9) => netflow::v9::Message::parse(bytes).map(|message| *message.header()),
            Some(version @ (Version::Netflow5 | Version::Netflow7)) => {
                netflow::fixed::Message::parse(version, bytes).map(|message| *message.header())
            }
            None => {
                let mut reader = Reader::new(bytes, Layer::Message, 0);
                let version = reader.u16()?;
                let fault = Reader::new(bytes, Layer::Message, 0);
                Err(fault.fault(DecodeErrorKind::Version, 10, usize::from(version)))
            }
        }
    }

    /// Export time in nanoseconds since 1970 UTC.
    #[must_use]
    pub fn export_ns(&self) -> i64 {
        i64::from(self.export_time) * NS_PER_S + i64::from(self.export_fraction_ns)
    }

    /// When the exporter's clock showed `uptime_ms`, in nanoseconds since 1970 UTC.
    ///
    /// The clock goes round after 49.7 days; of the two moments it may mean, the one nearer to the export time is taken,
    /// which is the right one for every flow that lasted less than 24 days.
    #[must_use]
    pub fn at_uptime(&self, uptime_ms: u32) -> Option<i64> {
        let before_export = self.uptime_ms?.wrapping_sub(uptime_ms).cast_signed();
        Some(self.export_ns() - i64::from(before_export) * NS_PER_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(uptime_ms: Option<u32>) -> MessageHeader {
        MessageHeader {
            version: Version::Netflow9,
            length: 20,
            export_time: 1_000_000,
            export_fraction_ns: 0,
            uptime_ms,
            sequence: 0,
            domain: 0,
            sampling: None,
        }
    }

    #[test]
    fn uptimes_are_moments_also_when_the_clock_went_round() {
        let s = 1_000_000_000;
        let at = |now, then| header(Some(now)).at_uptime(then).unwrap();
        assert_eq!(at(60_000, 50_000), 1_000_000 * s - 10 * s);
        assert_eq!(
            at(5_000, u32::MAX - 4_999),
            1_000_000 * s - 10 * s,
            "it went round in between"
        );
        assert_eq!(at(60_000, 60_500), 1_000_000 * s + s / 2, "a clock read too early");
        assert_eq!(at(0, 0), 1_000_000 * s, "an exporter that has no uptime");
        assert_eq!(header(None).at_uptime(1), None);
    }

    #[test]
    fn versions_are_told_by_the_first_two_octets() {
        for version in [Version::Ipfix, Version::Netflow9, Version::Netflow7, Version::Netflow5] {
            assert_eq!(Version::of(&version.number().to_be_bytes()), Some(version));
        }
        for other in [&[][..], &[0], &[0, 8], &[0, 1], &[0, 0, 0, 5], &[10, 0], b"GET /"] {
            assert_eq!(Version::of(other), None, "{other:?}");
            assert!(MessageHeader::parse(other).is_err());
        }
    }
}
