//! Every maximum of this crate. Reaching one moves a counter of [`crate::RegistryCounters`].

/// Elements that a registry takes at run time, from files and from RFC 5610 records together.
///
/// Five times the builtin tables; a stream of made-up type records must not grow memory.
pub const MAX_ADDED_ELEMENTS: usize = 16_384;

/// Octets of an element's name. The longest name in the builtin tables has 45.
pub const MAX_NAME_OCTETS: usize = 127;
