//! One information element: its number, name, type and meaning (RFC 7012 section 2.1).

use std::borrow::Cow;
use std::fmt;

use crate::{CodeList, DataType, Semantics, Status, Units};

/// The private enterprise number that RFC 5103 section 6.1 gives to reverse elements of IANA's.
pub const REVERSE_PEN: u32 = 29305;
/// The number that our own elements live under until one is assigned (RFC 5612, for documentation).
pub const FLOWGAUGE_PEN: u32 = 32473;
/// CERT: YAF, SiLK, super_mediator.
pub const CERT_PEN: u32 = 6871;
/// CERT's and our reverse elements are the forward number with this bit set (RFC 5103 section 6.2).
pub const REVERSE_BIT: u16 = 0x4000;
/// Cisco Systems. A NetFlow v9 field type from 32768 up is this enterprise's element `type & 0x7fff`.
pub const CISCO_PEN: u32 = 9;
/// ntop: nProbe. A NetFlow v9 field type from 57472 to 59519 is this enterprise's element `type - 57472`.
pub const NTOP_PEN: u32 = 35632;
/// Stands for NetFlow v9 field types that are neither IANA's nor an enterprise's; the id is the field type, up to
/// 65535. No enterprise has this number, and it never goes onto a wire.
pub const NETFLOW9_PEN: u32 = u32::MAX;

/// The number of an element: who defined it, and which one it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElementId {
    /// Private enterprise number; 0 is IANA's own registry.
    pub pen: u32,
    /// Element number without the enterprise bit, 0 to 32767.
    pub id: u16,
}

impl ElementId {
    /// An element of the IANA registry.
    pub const fn iana(id: u16) -> ElementId {
        ElementId { pen: 0, id }
    }

    /// An element of an enterprise; `pen` 0 is IANA.
    pub const fn new(pen: u32, id: u16) -> ElementId {
        ElementId { pen, id }
    }

    /// The element behind a NetFlow v9 field type, which has 16 bits and no enterprise number.
    ///
    /// A type that only NetFlow v9 knows is under [`NETFLOW9_PEN`]. Below 32768 a type is IANA's element of that
    /// number; from there up it is nProbe's (57472 to 59519) or Cisco's: both vendors number their IPFIX elements
    /// so that a constant lies between the two.
    pub fn netflow9(field_type: u16) -> ElementId {
        let own = ElementId::new(NETFLOW9_PEN, field_type);
        if crate::table::element(own).is_some() {
            return own;
        }
        match field_type {
            0..=0x7fff => ElementId::iana(field_type),
            57472..=59519 => ElementId::new(NTOP_PEN, field_type - 57472),
            _ => ElementId::new(CISCO_PEN, field_type & 0x7fff),
        }
    }
}

/// `pen.id`: octetDeltaCount prints as `0.1`.
impl fmt::Display for ElementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pen, self.id)
    }
}

/// The definition of an information element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Enterprise and number.
    pub id: ElementId,
    /// Name, unique within IANA's elements but not across vendors.
    pub name: Cow<'static, str>,
    /// Abstract data type; its natural size is the largest encoding.
    pub data_type: DataType,
    /// What kind of value it is.
    pub semantics: Semantics,
    /// What it counts.
    pub units: Units,
    /// Lowest and highest sensible value, where the definition limits it.
    pub range: Option<(u64, u64)>,
    /// Current, deprecated or obsolete.
    pub status: Status,
    /// Whether a reverse counterpart exists (RFC 5103 section 6). False for reverse elements themselves.
    pub reversible: bool,
    /// Names of its values.
    pub codes: Option<&'static CodeList>,
}

impl Element {
    /// An element with the given type and nothing else known: default semantics, no units, current.
    pub fn new(id: ElementId, name: impl Into<Cow<'static, str>>, data_type: DataType) -> Element {
        Element {
            id,
            name: name.into(),
            data_type,
            semantics: Semantics::Default,
            units: Units::None,
            range: None,
            status: Status::Current,
            reversible: false,
            codes: None,
        }
    }
}
