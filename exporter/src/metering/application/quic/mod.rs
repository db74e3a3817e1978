//! QUIC: the TLS hellos inside Initial packets (RFC 9000, RFC 9001, RFC 9369), which anybody on the path can read.
//!
//! Initial packets are sealed with keys that follow from the first Destination Connection ID of the client; that keeps
//! boxes in between from changing them, not from reading them. Nothing here touches a key that is a secret.

mod flow;
mod frames;
pub mod initial;
mod keys;
pub mod limits;
mod packet;
#[cfg(test)]
mod tests;
mod version;

pub use flow::Quic;
