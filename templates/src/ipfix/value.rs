//! Values: the abstract data types of RFC 7012 as the octets of RFC 7011 section 6 say them, and back.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use flowgauge_ie_registry::DataType;

/// Seconds from 1900, where NTP counts from, to 1970.
const NTP_TO_UNIX_S: i64 = 2_208_988_800;
/// Seconds of one NTP era.
const NTP_ERA_S: i64 = 1 << 32;
const NS_PER_S: i64 = 1_000_000_000;

/// One value of a record, borrowed.
///
/// Octets that do not fit the element's type are [`Value::Octets`]: kept, not guessed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// unsigned8 to unsigned64 in any reduced size, and unsigned256 reduced to 64 bits or fewer.
    Unsigned(u64),
    /// signed8 to signed64, in any reduced size.
    Signed(i64),
    /// float32, float64.
    Float(f64),
    /// boolean.
    Boolean(bool),
    /// macAddress.
    Mac([u8; 6]),
    /// string. UTF-8 is promised by the RFC and not kept by the field: see [`Value::to_text`].
    String(&'a [u8]),
    /// octetArray, and everything that does not fit its type.
    Octets(&'a [u8]),
    /// ipv4Address.
    Ipv4(Ipv4Addr),
    /// ipv6Address.
    Ipv6(Ipv6Addr),
    /// dateTimeSeconds to dateTimeNanoseconds.
    DateTime {
        /// Nanoseconds since 1970 UTC.
        ns: i64,
        /// How fine the element's type is.
        resolution: Resolution,
    },
    /// basicList, subTemplateList, subTemplateMultiList: the type, and the list's octets (see [`super::list`]).
    List(DataType, &'a [u8]),
}

/// How fine a time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// dateTimeSeconds.
    Seconds,
    /// dateTimeMilliseconds.
    Milliseconds,
    /// dateTimeMicroseconds.
    Microseconds,
    /// dateTimeNanoseconds.
    Nanoseconds,
}

impl Resolution {
    /// Digits behind the second.
    #[must_use]
    pub const fn digits(self) -> usize {
        match self {
            Self::Seconds => 0,
            Self::Milliseconds => 3,
            Self::Microseconds => 6,
            Self::Nanoseconds => 9,
        }
    }
}

impl<'a> Value<'a> {
    /// A string's text without the NULs that fixed-length strings are filled with; invalid UTF-8 is replaced.
    #[must_use]
    pub fn to_text(&self) -> Option<Cow<'a, str>> {
        match *self {
            Self::String(octets) => Some(String::from_utf8_lossy(trim_nuls(octets))),
            _ => None,
        }
    }

    /// The number of an unsigned, and of a signed that is not negative.
    #[must_use]
    pub fn to_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(number) => Some(number),
            Self::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }
}

fn trim_nuls(octets: &[u8]) -> &[u8] {
    let end = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    octets.get(..end).unwrap_or_default()
}

/// An unsigned of 1 to 8 octets.
#[inline]
#[must_use]
pub fn unsigned(octets: &[u8]) -> Option<u64> {
    // The natural sizes are loads; the reduced ones are rare and may loop.
    match octets.len() {
        1 => octets.first().map(|octet| u64::from(*octet)),
        2 => octets.first_chunk().map(|o| u64::from(u16::from_be_bytes(*o))),
        4 => octets.first_chunk().map(|o| u64::from(u32::from_be_bytes(*o))),
        8 => octets.first_chunk().map(|o| u64::from_be_bytes(*o)),
        3 | 5..=7 => Some(octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))),
        _ => None,
    }
}

#[inline]
fn signed(octets: &[u8]) -> Option<i64> {
    let number = unsigned(octets)?;
    let spare = 64 - 8 * octets.len() as u32;
    Some(((number << spare) as i64) >> spare)
}

fn float(octets: &[u8]) -> Option<f64> {
    match octets.len() {
        4 => octets.first_chunk().map(|o| f64::from(f32::from_be_bytes(*o))),
        8 => octets.first_chunk().map(|o| f64::from_be_bytes(*o)),
        _ => None,
    }
}

fn boolean(octets: &[u8]) -> Option<bool> {
    match octets {
        [1] => Some(true),
        [2] => Some(false),
        _ => None,
    }
}

fn seconds(octets: &[u8], resolution: Resolution, ns_per_unit: i64) -> Option<Value<'_>> {
    let units = i64::try_from(unsigned(octets)?).ok()?;
    Some(Value::DateTime {
        ns: units.checked_mul(ns_per_unit)?,
        resolution,
    })
}

/// 32 bits of seconds since 1900 and 32 of fraction (RFC 7011 sections 6.1.9 and 6.1.10).
fn ntp(octets: &[u8], resolution: Resolution) -> Option<Value<'_>> {
    let (high, low) = octets.split_first_chunk::<4>()?;
    let low: &[u8; 4] = low.try_into().ok()?;
    let since_1900 = i64::from(u32::from_be_bytes(*high));
    let mut fraction = u64::from(u32::from_be_bytes(*low));
    if resolution == Resolution::Microseconds {
        // "The least significant 11 bits SHOULD be zero ... MUST be ignored".
        fraction &= !0x7ff;
    }
    // Times before 1970 were not metered by anyone: such a number belongs to the era that begins in 2036.
    let era = if since_1900 < NTP_TO_UNIX_S { NTP_ERA_S } else { 0 };
    let s = since_1900 + era - NTP_TO_UNIX_S;
    let ns = match resolution {
        // The 21 bits that are left are finer than a microsecond: the nearest one is what was meant.
        Resolution::Microseconds => ((fraction * 1_000_000 + (1 << 31)) >> 32) as i64 * 1_000,
        _ => ((fraction * NS_PER_S as u64) >> 32) as i64,
    };
    Some(Value::DateTime {
        ns: s * NS_PER_S + ns,
        resolution,
    })
}

/// The 8 octets of dateTimeMicroseconds and dateTimeNanoseconds for `ns` nanoseconds since 1970.
///
/// Reading them back gives the same nanosecond, or for `Microseconds` the same microsecond.
#[must_use]
pub fn ntp_octets(ns: i64, resolution: Resolution) -> [u8; 8] {
    let since_1900 = ns.div_euclid(NS_PER_S) + NTP_TO_UNIX_S;
    let part = ns.rem_euclid(NS_PER_S) as u64;
    let fraction = match resolution {
        Resolution::Microseconds => {
            let exact = ((part / 1_000) << 32) / 1_000_000;
            (exact + 0x400) & !0x7ff
        }
        // Rounded up, so that the reader's rounding down finds the same nanosecond.
        _ => (part << 32).div_ceil(NS_PER_S as u64),
    };
    ((since_1900 as u64) << 32 | fraction).to_be_bytes()
}

/// The value that `octets` say for an element of `data_type`.
#[inline]
#[must_use]
pub fn decode_value(data_type: DataType, octets: &[u8]) -> Value<'_> {
    typed(data_type, octets).unwrap_or(Value::Octets(octets))
}

/// How the values of one field are read: type and length put together when its template is compiled, so that the common
/// ones take one branch a value instead of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueReader {
    /// An unsigned of 1 octet.
    Unsigned1,
    /// An unsigned of 2 octets.
    Unsigned2,
    /// An unsigned of 4 octets.
    Unsigned4,
    /// An unsigned of 8 octets.
    Unsigned8,
    /// ipv4Address.
    Ipv4,
    /// Everything else, as [`decode_value`] reads it.
    Any(DataType),
}

impl ValueReader {
    /// The reader of a field.
    #[must_use]
    pub fn of(data_type: DataType, length: u16) -> Self {
        match (data_type, length) {
            (DataType::Ipv4Address, 4) => Self::Ipv4,
            (unsigned, 1) if unsigned.is_unsigned() => Self::Unsigned1,
            (unsigned, 2) if unsigned.is_unsigned() => Self::Unsigned2,
            (unsigned, 4) if unsigned.is_unsigned() => Self::Unsigned4,
            (unsigned, 8) if unsigned.is_unsigned() => Self::Unsigned8,
            _ => Self::Any(data_type),
        }
    }

    /// The value that a field's octets say: the same as [`decode_value`].
    #[inline]
    #[must_use]
    pub fn read(self, octets: &[u8]) -> Value<'_> {
        let value = match self {
            Self::Unsigned1 => octets.first().map(|octet| Value::Unsigned(u64::from(*octet))),
            Self::Unsigned2 => octets
                .first_chunk()
                .map(|octets| Value::Unsigned(u64::from(u16::from_be_bytes(*octets)))),
            Self::Unsigned4 => octets
                .first_chunk()
                .map(|octets| Value::Unsigned(u64::from(u32::from_be_bytes(*octets)))),
            Self::Unsigned8 => octets
                .first_chunk()
                .map(|octets| Value::Unsigned(u64::from_be_bytes(*octets))),
            Self::Ipv4 => octets.first_chunk::<4>().map(|octets| Value::Ipv4((*octets).into())),
            Self::Any(data_type) => return decode_value(data_type, octets),
        };
        value.unwrap_or(Value::Octets(octets))
    }
}

#[inline]
fn typed(data_type: DataType, octets: &[u8]) -> Option<Value<'_>> {
    match data_type {
        // An unsigned256 beyond 64 bits has no number here and stays octets.
        DataType::Unsigned8
        | DataType::Unsigned16
        | DataType::Unsigned32
        | DataType::Unsigned64
        | DataType::Unsigned256 => unsigned(octets).map(Value::Unsigned),
        DataType::Signed8 | DataType::Signed16 | DataType::Signed32 | DataType::Signed64 => {
            signed(octets).map(Value::Signed)
        }
        DataType::Float32 | DataType::Float64 => float(octets).map(Value::Float),
        DataType::Boolean => boolean(octets).map(Value::Boolean),
        DataType::MacAddress => octets.try_into().ok().map(Value::Mac),
        DataType::String => Some(Value::String(octets)),
        DataType::OctetArray => Some(Value::Octets(octets)),
        DataType::Ipv4Address => <[u8; 4]>::try_from(octets).ok().map(|o| Value::Ipv4(o.into())),
        DataType::Ipv6Address => <[u8; 16]>::try_from(octets).ok().map(|o| Value::Ipv6(o.into())),
        DataType::DateTimeSeconds => seconds(octets, Resolution::Seconds, NS_PER_S),
        DataType::DateTimeMilliseconds => seconds(octets, Resolution::Milliseconds, 1_000_000),
        DataType::DateTimeMicroseconds => ntp(octets, Resolution::Microseconds),
        DataType::DateTimeNanoseconds => ntp(octets, Resolution::Nanoseconds),
        DataType::BasicList | DataType::SubTemplateList | DataType::SubTemplateMultiList => {
            Some(Value::List(data_type, octets))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reduced_sizes_keep_the_sign_and_the_number() {
        assert_eq!(decode_value(DataType::Unsigned64, &[1, 0, 0]), Value::Unsigned(65_536));
        assert_eq!(
            decode_value(DataType::Unsigned64, &[0xff; 6]),
            Value::Unsigned((1 << 48) - 1)
        );
        assert_eq!(decode_value(DataType::Signed32, &[0xff, 0xfe]), Value::Signed(-2));
        assert_eq!(
            decode_value(DataType::Signed64, &[0x80, 0, 0]),
            Value::Signed(-8_388_608)
        );
        assert_eq!(
            decode_value(DataType::Float64, &1.5f32.to_be_bytes()),
            Value::Float(1.5)
        );
    }

    #[test]
    fn octets_that_do_not_fit_stay_octets() {
        for (data_type, octets) in [
            (DataType::Unsigned32, &[0u8; 9][..]),
            (DataType::Unsigned8, &[]),
            (DataType::Ipv4Address, &[1, 2, 3]),
            (DataType::Ipv6Address, &[0; 4]),
            (DataType::MacAddress, &[0; 8]),
            (DataType::Boolean, &[3]),
            (DataType::Boolean, &[0, 1]),
            (DataType::Float32, &[0; 3]),
            (DataType::DateTimeNanoseconds, &[0; 4]),
            (DataType::DateTimeMilliseconds, &[0xff; 8]),
        ] {
            assert_eq!(decode_value(data_type, octets), Value::Octets(octets), "{data_type:?}");
        }
    }

    /// Each line: what an NTP time says, computed by hand from the definition (seconds since 1900, 2^-32 s).
    #[test]
    fn ntp_times_count_from_1900_and_turn_over_in_2036() {
        let at = |s: u32, fraction: u32, data_type| {
            let octets = (u64::from(s) << 32 | u64::from(fraction)).to_be_bytes();
            match decode_value(data_type, &octets) {
                Value::DateTime { ns, .. } => ns,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(at(2_208_988_800, 0, DataType::DateTimeNanoseconds), 0);
        assert_eq!(at(2_208_988_801, 1 << 31, DataType::DateTimeNanoseconds), 1_500_000_000);
        assert_eq!(at(u32::MAX, 0, DataType::DateTimeNanoseconds), 2_085_978_495 * NS_PER_S);
        assert_eq!(
            at(0, 0, DataType::DateTimeNanoseconds),
            2_085_978_496 * NS_PER_S,
            "7 February 2036, 06:28:16"
        );
        assert_eq!(
            at(2_208_988_800, 0x7ff, DataType::DateTimeMicroseconds),
            0,
            "the low 11 bits say nothing"
        );
    }

    #[test]
    fn strings_lose_their_filling_and_keep_the_rest() {
        assert_eq!(decode_value(DataType::String, b"eth0\0\0\0").to_text().unwrap(), "eth0");
        assert_eq!(decode_value(DataType::String, b"\0\0").to_text().unwrap(), "");
        assert_eq!(
            decode_value(DataType::String, b"a\xffb").to_text().unwrap(),
            "a\u{fffd}b"
        );
    }

    #[test]
    fn a_reader_made_beforehand_reads_the_same() {
        let octets: Vec<u8> = (1..=16).collect();
        for data_type in DataType::ALL {
            for length in 0..=16u16 {
                let octets = &octets[..usize::from(length)];
                let reader = ValueReader::of(data_type, length);
                assert_eq!(
                    reader.read(octets),
                    decode_value(data_type, octets),
                    "{data_type:?} {length}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn ntp_times_come_back(ns in 0i64..4_000_000_000_000_000_000) {
            let nanoseconds = ntp_octets(ns, Resolution::Nanoseconds);
            prop_assert_eq!(
                decode_value(DataType::DateTimeNanoseconds, &nanoseconds),
                Value::DateTime { ns, resolution: Resolution::Nanoseconds }
            );
            let microseconds = ntp_octets(ns, Resolution::Microseconds);
            prop_assert_eq!(
                decode_value(DataType::DateTimeMicroseconds, &microseconds),
                Value::DateTime { ns: ns / 1_000 * 1_000, resolution: Resolution::Microseconds }
            );
        }
    }
}
