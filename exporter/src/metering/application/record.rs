//! What one biflow's record says about its application.

/// Values of one application protocol, as octets that go into a Data Record unchanged.
///
/// Values stand in the order of the protocol's fields, those that are not `present` left out; each is in IPFIX form,
/// variable-length ones with their length in front (RFC 7011 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApplicationRecord {
    /// Place of the protocol in the registry of protocols.
    pub protocol: u8,
    /// Bit n is set when field n of the protocol is there.
    pub present: u32,
    /// Where the values begin in [`crate::metering::Records::octets`].
    pub start: u32,
    /// Octets of all values.
    pub length: u32,
}
