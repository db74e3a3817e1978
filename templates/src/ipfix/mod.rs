//! The IPFIX wire format in both directions (RFC 7011, with biflows of RFC 5103 and structured data of RFC 6313).

pub mod list;
pub mod message;
pub mod record;
pub mod template;
pub mod value;
pub mod wire;
pub mod write;

pub use crate::header::MessageHeader;
pub use list::{BasicList, SubTemplateList, SubTemplateMultiList};
pub use message::{Message, Set, Sets, message_length};
pub use record::{DataRecord, RawFields, Records};
pub use template::{Field, Template};
pub use value::{Resolution, Value, ValueReader, decode_value};
pub use wire::{FieldSpecifier, TemplateRecord, TemplateRecords};
pub use write::RecordWriter;

/// The version number of IPFIX.
pub const VERSION: u16 = 10;
/// Octets of a Message header.
pub const MESSAGE_HEADER_OCTETS: usize = 16;
/// Octets of a Set header.
pub const SET_HEADER_OCTETS: usize = 4;
/// The Set that carries Template Records.
pub const TEMPLATE_SET_ID: u16 = 2;
/// The Set that carries Options Template Records.
pub const OPTIONS_TEMPLATE_SET_ID: u16 = 3;
/// The first Set identifier that is a template's; those below are the protocol's.
pub const MIN_TEMPLATE_ID: u16 = 256;
/// The field length that says that each value brings its own.
pub const VARIABLE_LENGTH: u16 = 65_535;
/// The bit of an element identifier in a Field Specifier that says that an enterprise number follows.
pub const ENTERPRISE_BIT: u16 = 0x8000;
