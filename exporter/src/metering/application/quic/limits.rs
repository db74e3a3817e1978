//! Bounds of what is read of QUIC handshakes.

/// Octets of an Initial packet that is opened; larger ones are counted and left alone.
pub const MAX_INITIAL_OCTETS: usize = 2048;

/// Packets of one datagram that are looked at.
pub const MAX_COALESCED_PACKETS: usize = 8;

/// Octets of the handshake that are gathered before its hello must be whole.
pub const MAX_CRYPTO_OCTETS: usize = crate::metering::application::tls::limits::MAX_HELLO_OCTETS + 4;

/// Initial packets of one direction that do not open before the direction is given up.
pub const MAX_SEALED_PACKETS: u16 = 4;
