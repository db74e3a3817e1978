//! What the value of an element means and what it counts: data type semantics, units and status (RFC 7012 section 3.2, RFC 5610 section 3).

use std::fmt;

use super::data_type::DataType;

/// The meaning of a value (RFC 7012 section 3.2). The numbers are the codes of RFC 5610 section 3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)] // every variant is the registry's entry of that name
pub enum Semantics {
    #[default]
    Default = 0,
    Quantity = 1,
    TotalCounter = 2,
    DeltaCounter = 3,
    Identifier = 4,
    Flags = 5,
    List = 6,
    SnmpCounter = 7,
    SnmpGauge = 8,
}

impl Semantics {
    /// Every entry, in the order of its code.
    pub const ALL: [Semantics; 9] = [
        Semantics::Default,
        Semantics::Quantity,
        Semantics::TotalCounter,
        Semantics::DeltaCounter,
        Semantics::Identifier,
        Semantics::Flags,
        Semantics::List,
        Semantics::SnmpCounter,
        Semantics::SnmpGauge,
    ];

    /// The name in the IANA registry, `deltaCounter`.
    pub const fn name(self) -> &'static str {
        match self {
            Semantics::Default => "default",
            Semantics::Quantity => "quantity",
            Semantics::TotalCounter => "totalCounter",
            Semantics::DeltaCounter => "deltaCounter",
            Semantics::Identifier => "identifier",
            Semantics::Flags => "flags",
            Semantics::List => "list",
            Semantics::SnmpCounter => "snmpCounter",
            Semantics::SnmpGauge => "snmpGauge",
        }
    }

    /// The entry of that registry name; upper and lower case are the same.
    pub fn from_name(name: &str) -> Option<Semantics> {
        Semantics::ALL.into_iter().find(|s| s.name().eq_ignore_ascii_case(name))
    }

    /// The code in informationElementSemantics (RFC 5610 section 3.2).
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The entry of that code; `None` for codes not assigned.
    pub fn from_code(code: u8) -> Option<Semantics> {
        Semantics::ALL.get(usize::from(code)).copied()
    }

    /// Whether a type record may combine this meaning with that type (RFC 5610 section 3.10, "Data Type and
    /// Semantics Restrictions"; lists by RFC 6313 section 4.2, unsigned256 as the other unsigned types).
    ///
    /// IANA's own registry does not keep to it (octetArrays that are identifiers), nor do vendors, so it is for
    /// records from the wire only.
    pub const fn suits(self, data_type: DataType) -> bool {
        match self {
            Semantics::Default => true,
            Semantics::List => data_type.is_list(),
            Semantics::Flags => data_type.is_unsigned(),
            Semantics::Identifier => data_type.is_integer(),
            Semantics::Quantity
            | Semantics::TotalCounter
            | Semantics::DeltaCounter
            | Semantics::SnmpCounter
            | Semantics::SnmpGauge => {
                data_type.is_integer() || matches!(data_type, DataType::Float32 | DataType::Float64)
            }
        }
    }
}

impl fmt::Display for Semantics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a quantity or counter counts. The numbers are the codes of RFC 5610 section 3.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u16)]
#[allow(missing_docs)] // every variant is the registry's entry of that name
pub enum Units {
    #[default]
    None = 0,
    Bits = 1,
    Octets = 2,
    Packets = 3,
    Flows = 4,
    Seconds = 5,
    Milliseconds = 6,
    Microseconds = 7,
    Nanoseconds = 8,
    /// As in the IPv4 header length.
    FourOctetWords = 9,
    Messages = 10,
    Hops = 11,
    Entries = 12,
    Frames = 13,
    Ports = 14,
    /// The unit of another element that the record names (RFC 5477).
    Inferred = 15,
}

impl Units {
    /// Every entry, in the order of its code.
    pub const ALL: [Units; 16] = [
        Units::None,
        Units::Bits,
        Units::Octets,
        Units::Packets,
        Units::Flows,
        Units::Seconds,
        Units::Milliseconds,
        Units::Microseconds,
        Units::Nanoseconds,
        Units::FourOctetWords,
        Units::Messages,
        Units::Hops,
        Units::Entries,
        Units::Frames,
        Units::Ports,
        Units::Inferred,
    ];

    /// The name in the IANA registry, `octets`; `none` for a value without unit.
    pub const fn name(self) -> &'static str {
        match self {
            Units::None => "none",
            Units::Bits => "bits",
            Units::Octets => "octets",
            Units::Packets => "packets",
            Units::Flows => "flows",
            Units::Seconds => "seconds",
            Units::Milliseconds => "milliseconds",
            Units::Microseconds => "microseconds",
            Units::Nanoseconds => "nanoseconds",
            Units::FourOctetWords => "4-octet words",
            Units::Messages => "messages",
            Units::Hops => "hops",
            Units::Entries => "entries",
            Units::Frames => "frames",
            Units::Ports => "ports",
            Units::Inferred => "inferred",
        }
    }

    /// The entry of that registry name; upper and lower case are the same.
    pub fn from_name(name: &str) -> Option<Units> {
        Units::ALL.into_iter().find(|u| u.name().eq_ignore_ascii_case(name))
    }

    /// The code in informationElementUnits (RFC 5610 section 3.3).
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The entry of that code; `None` for codes not assigned.
    pub fn from_code(code: u16) -> Option<Units> {
        Units::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether an element is still to be used (RFC 7012 section 2.2). It decides nothing when decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// In use.
    #[default]
    Current,
    /// Replaced or discouraged; may still arrive.
    Deprecated,
    /// Withdrawn.
    Obsolete,
}

impl Status {
    /// The name in the IANA registry.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Current => "current",
            Status::Deprecated => "deprecated",
            Status::Obsolete => "obsolete",
        }
    }

    /// The entry of that registry name; upper and lower case are the same.
    pub fn from_name(name: &str) -> Option<Status> {
        [Status::Current, Status::Deprecated, Status::Obsolete]
            .into_iter()
            .find(|s| s.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_lead_back() {
        for semantics in Semantics::ALL {
            assert_eq!(Semantics::from_code(semantics.code()), Some(semantics));
            assert_eq!(Semantics::from_name(semantics.name()), Some(semantics));
        }
        for units in Units::ALL {
            assert_eq!(Units::from_code(units.code()), Some(units));
            assert_eq!(Units::from_name(units.name()), Some(units));
        }
        assert_eq!(Semantics::from_code(9), None);
        assert_eq!(Units::from_code(16), None);
        assert_eq!(Status::from_name("Deprecated"), Some(Status::Deprecated));
        assert_eq!(Status::from_name(""), None);
    }

    /// The four points of RFC 5610 section 3.10.
    #[test]
    fn semantics_go_with_types() {
        for semantics in Semantics::ALL {
            let unsigned = semantics != Semantics::List;
            assert_eq!(semantics.suits(DataType::Unsigned32), unsigned, "{semantics}");
            let signed = unsigned && semantics != Semantics::Flags;
            assert_eq!(semantics.suits(DataType::Signed8), signed, "{semantics}");
            let float = signed && semantics != Semantics::Identifier;
            assert_eq!(semantics.suits(DataType::Float64), float, "{semantics}");
            let other = semantics == Semantics::Default;
            assert_eq!(semantics.suits(DataType::String), other, "{semantics}");
            assert_eq!(semantics.suits(DataType::Ipv4Address), other, "{semantics}");
        }
        assert!(Semantics::List.suits(DataType::BasicList));
    }
}
