//! Bounds of what is read of TLS handshakes.

/// Octets of a hello message, its header of four left out. Key shares of post-quantum algorithms make 1.7 kB normal.
pub const MAX_HELLO_OCTETS: usize = 16 * 1024;

/// Octets of a direction that may precede the end of its hello: the message, and a record header for each 32 of it.
pub const MAX_STREAM_OCTETS: usize = MAX_HELLO_OCTETS + 4 + 5 * MAX_HELLO_OCTETS / 32;

/// Cipher suites or extensions that a fingerprint is made of; a hello with more of either has none. IANA knows about
/// 350 cipher suites and 60 extensions.
pub const MAX_FINGERPRINT_VALUES: usize = 512;

/// Octets of a server name. A host name has at most 253; longer names are counted and left out.
pub const MAX_SERVER_NAME_OCTETS: usize = 255;

/// Octets of the list of application protocols, as text; names that do not fit are left out from the end.
pub const MAX_PROTOCOLS_OCTETS: usize = 255;

/// Parts with gaps between them that a message is gathered from. Chrome sends its ClientHello over QUIC in up to 14.
pub const MAX_PARTS: usize = 32;
