//! Information elements of IPFIX: IANA's, the vendors' and our own, found by number and by name without allocating.
//!
//! ```
//! use flowgauge_ie_registry::{DataType, ElementId, Registry, ids};
//!
//! let registry = Registry::builtin();
//! let element = registry.element(ids::OCTET_DELTA_COUNT).expect("IANA element 1");
//! assert_eq!((element.name.as_ref(), element.data_type), ("octetDeltaCount", DataType::Unsigned64));
//! assert_eq!(registry.by_name("sourceipv4address").map(|e| e.id), Some(ElementId::iana(8)));
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod codes;
mod csv;
mod data_type;
mod element;
pub mod limits;
mod registry;
mod reverse;
mod semantics;
mod table;
mod user_file;

pub use codes::{CodeList, code_list, code_lists};
pub use data_type::{DataType, VARIABLE_LENGTH};
pub use element::{
    CERT_PEN, CISCO_PEN, Element, ElementId, FLOWGAUGE_PEN, NETFLOW9_PEN, NTOP_PEN, REVERSE_BIT, REVERSE_PEN,
};
pub use registry::{AddError, Added, Registry, RegistryCounters};
pub use semantics::{Semantics, Status, Units};
pub use table::ids;
pub use user_file::CsvError;

/// The date of the IANA registry that the builtin table holds, `YYYY-MM-DD`.
pub fn iana_date() -> &'static str {
    table::IANA_DATE
}
