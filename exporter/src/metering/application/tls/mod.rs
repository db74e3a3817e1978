//! TLS and DTLS: what ClientHello and ServerHello say in the clear (RFC 8446 section 4.1, RFC 5246, RFC 6347, RFC 9147).
//!
//! The direction that a ClientHello comes from is the client's, whoever sent the flow's first packet. Names and lists
//! are those of the first ClientHello; with encrypted ClientHello (RFC 9849) they are the outer, visible ones.

pub mod client_hello;
mod dtls;
mod gather;
pub mod ja4;
pub mod limits;
pub(super) mod octets;
mod records;
pub mod server_hello;
mod stream;
#[cfg(test)]
mod tests;
mod values;

pub use client_hello::ClientHello;
pub use dtls::Dtls;
pub(super) use gather::Gather;
pub use ja4::Ja4;
pub use server_hello::ServerHello;
pub use stream::Tls;
pub(super) use values::{FIELDS, set_client_hello, set_server_hello};

/// Handshake message types.
pub(super) const HANDSHAKE_CLIENT_HELLO: u8 = 1;
pub(super) const HANDSHAKE_SERVER_HELLO: u8 = 2;

/// Types of the extensions that are read.
mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const APPLICATION_PROTOCOLS: u16 = 16;
    pub const SUPPORTED_VERSIONS: u16 = 43;
}

/// Whether a value is one of those that mean nothing and keep implementations tolerant (RFC 8701 section 2).
#[inline]
fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}
