//! Abstract data types of information elements and the lengths they may be encoded in (RFC 7012 section 3.1, RFC 7011 section 6).

use std::fmt;

/// The abstract data type of an information element. The numbers are the codes of RFC 5610 section 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)] // every variant is the RFC 7012 type of that name
pub enum DataType {
    OctetArray = 0,
    Unsigned8 = 1,
    Unsigned16 = 2,
    Unsigned32 = 3,
    Unsigned64 = 4,
    Signed8 = 5,
    Signed16 = 6,
    Signed32 = 7,
    Signed64 = 8,
    Float32 = 9,
    Float64 = 10,
    Boolean = 11,
    MacAddress = 12,
    String = 13,
    DateTimeSeconds = 14,
    DateTimeMilliseconds = 15,
    DateTimeMicroseconds = 16,
    DateTimeNanoseconds = 17,
    Ipv4Address = 18,
    Ipv6Address = 19,
    /// RFC 6313.
    BasicList = 20,
    /// RFC 6313.
    SubTemplateList = 21,
    /// RFC 6313.
    SubTemplateMultiList = 22,
    /// RFC 9740: the flag sets of IPv6 extension headers and UDP options.
    Unsigned256 = 23,
}

/// The length in a Field Specifier that says each record carries the length itself (RFC 7011 section 7).
pub const VARIABLE_LENGTH: u16 = 65535;

impl DataType {
    /// Every type, in the order of its code.
    pub const ALL: [DataType; 24] = [
        DataType::OctetArray,
        DataType::Unsigned8,
        DataType::Unsigned16,
        DataType::Unsigned32,
        DataType::Unsigned64,
        DataType::Signed8,
        DataType::Signed16,
        DataType::Signed32,
        DataType::Signed64,
        DataType::Float32,
        DataType::Float64,
        DataType::Boolean,
        DataType::MacAddress,
        DataType::String,
        DataType::DateTimeSeconds,
        DataType::DateTimeMilliseconds,
        DataType::DateTimeMicroseconds,
        DataType::DateTimeNanoseconds,
        DataType::Ipv4Address,
        DataType::Ipv6Address,
        DataType::BasicList,
        DataType::SubTemplateList,
        DataType::SubTemplateMultiList,
        DataType::Unsigned256,
    ];

    /// The name in the IANA registry, `unsigned64`.
    pub const fn name(self) -> &'static str {
        match self {
            DataType::OctetArray => "octetArray",
            DataType::Unsigned8 => "unsigned8",
            DataType::Unsigned16 => "unsigned16",
            DataType::Unsigned32 => "unsigned32",
            DataType::Unsigned64 => "unsigned64",
            DataType::Signed8 => "signed8",
            DataType::Signed16 => "signed16",
            DataType::Signed32 => "signed32",
            DataType::Signed64 => "signed64",
            DataType::Float32 => "float32",
            DataType::Float64 => "float64",
            DataType::Boolean => "boolean",
            DataType::MacAddress => "macAddress",
            DataType::String => "string",
            DataType::DateTimeSeconds => "dateTimeSeconds",
            DataType::DateTimeMilliseconds => "dateTimeMilliseconds",
            DataType::DateTimeMicroseconds => "dateTimeMicroseconds",
            DataType::DateTimeNanoseconds => "dateTimeNanoseconds",
            DataType::Ipv4Address => "ipv4Address",
            DataType::Ipv6Address => "ipv6Address",
            DataType::BasicList => "basicList",
            DataType::SubTemplateList => "subTemplateList",
            DataType::SubTemplateMultiList => "subTemplateMultiList",
            DataType::Unsigned256 => "unsigned256",
        }
    }

    /// The type of that registry name; upper and lower case are the same.
    pub fn from_name(name: &str) -> Option<DataType> {
        DataType::ALL.into_iter().find(|t| t.name().eq_ignore_ascii_case(name))
    }

    /// The code in informationElementDataType (RFC 5610 section 3.1).
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type of that RFC 5610 code; `None` for codes not assigned (24 and up).
    pub fn from_code(code: u8) -> Option<DataType> {
        DataType::ALL.get(usize::from(code)).copied()
    }

    /// The natural size in octets: the largest a value can take. `None` where the type itself sets no size.
    pub const fn max_length(self) -> Option<u16> {
        match self {
            DataType::Unsigned8 | DataType::Signed8 | DataType::Boolean => Some(1),
            DataType::Unsigned16 | DataType::Signed16 => Some(2),
            DataType::Unsigned32
            | DataType::Signed32
            | DataType::Float32
            | DataType::DateTimeSeconds
            | DataType::Ipv4Address => Some(4),
            DataType::MacAddress => Some(6),
            DataType::Unsigned64
            | DataType::Signed64
            | DataType::Float64
            | DataType::DateTimeMilliseconds
            | DataType::DateTimeMicroseconds
            | DataType::DateTimeNanoseconds => Some(8),
            DataType::Ipv6Address => Some(16),
            DataType::Unsigned256 => Some(32),
            DataType::OctetArray
            | DataType::String
            | DataType::BasicList
            | DataType::SubTemplateList
            | DataType::SubTemplateMultiList => None,
        }
    }

    /// Whether a field of this type may have this length in octets (RFC 7011 section 6.2).
    ///
    /// Integers may shrink to any smaller size down to one octet, float64 to four octets; addresses,
    /// times, booleans and float32 have one size. Octets, strings and lists may have any length and may
    /// be variable ([`VARIABLE_LENGTH`]). RFC 9740 lets unsigned256 shrink as the other integers do.
    pub const fn allows_length(self, length: u16) -> bool {
        match self.max_length() {
            None => true,
            Some(natural) => match self {
                DataType::Float64 => length == 8 || length == 4,
                _ if self.is_integer() => length >= 1 && length <= natural,
                _ => length == natural,
            },
        }
    }

    /// Signed and unsigned types, unsigned256 too.
    pub const fn is_integer(self) -> bool {
        self.is_unsigned() || self.is_signed()
    }

    /// unsigned8 to unsigned64, and unsigned256.
    pub const fn is_unsigned(self) -> bool {
        matches!(
            self,
            DataType::Unsigned8
                | DataType::Unsigned16
                | DataType::Unsigned32
                | DataType::Unsigned64
                | DataType::Unsigned256
        )
    }

    /// signed8 to signed64.
    pub const fn is_signed(self) -> bool {
        matches!(
            self,
            DataType::Signed8 | DataType::Signed16 | DataType::Signed32 | DataType::Signed64
        )
    }

    /// The structured types of RFC 6313.
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            DataType::BasicList | DataType::SubTemplateList | DataType::SubTemplateMultiList
        )
    }

    /// The four absolute time types.
    pub const fn is_time(self) -> bool {
        matches!(
            self,
            DataType::DateTimeSeconds
                | DataType::DateTimeMilliseconds
                | DataType::DateTimeMicroseconds
                | DataType::DateTimeNanoseconds
        )
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back() {
        for (code, data_type) in DataType::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(data_type.code()), code);
            assert_eq!(DataType::from_code(data_type.code()), Some(data_type));
            assert_eq!(DataType::from_name(data_type.name()), Some(data_type));
        }
        assert_eq!(DataType::from_code(24), None);
        assert_eq!(DataType::from_name("IPV4ADDRESS"), Some(DataType::Ipv4Address));
        assert_eq!(DataType::from_name("uint8"), None);
    }

    /// The lengths that RFC 7011 section 6.2 allows, type by type.
    #[test]
    fn reduced_size_is_for_integers_and_float64() {
        let lengths = |t: DataType| -> Vec<u16> { (0..=40).filter(|l| t.allows_length(*l)).collect() };
        assert_eq!(lengths(DataType::Unsigned64), (1..=8).collect::<Vec<_>>());
        assert_eq!(lengths(DataType::Signed32), [1, 2, 3, 4]);
        assert_eq!(lengths(DataType::Unsigned16), [1, 2]);
        assert_eq!(lengths(DataType::Unsigned8), [1]);
        assert_eq!(lengths(DataType::Unsigned256), (1..=32).collect::<Vec<_>>());
        assert_eq!(lengths(DataType::Float64), [4, 8]);
        assert_eq!(lengths(DataType::Float32), [4]);
        assert_eq!(lengths(DataType::Boolean), [1]);
        assert_eq!(lengths(DataType::MacAddress), [6]);
        assert_eq!(lengths(DataType::Ipv6Address), [16]);
        assert_eq!(lengths(DataType::DateTimeSeconds), [4]);
        assert_eq!(lengths(DataType::DateTimeNanoseconds), [8]);
        assert_eq!(lengths(DataType::String).len(), 41);
        for data_type in DataType::ALL {
            let variable = data_type.allows_length(VARIABLE_LENGTH);
            assert_eq!(variable, data_type.max_length().is_none(), "{data_type}");
            let natural = data_type.max_length().unwrap_or(0);
            assert!(data_type.allows_length(natural));
        }
    }
}
