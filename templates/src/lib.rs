//! Bytes on a wire: IPFIX and NetFlow Messages, the management of their templates, and the headers of packets.
//!
//! The crate holds no sockets, files, threads or clock. Whoever receives bytes hands them in together with the time;
//! whoever sends asks for the next Message. Decoding compiles a template once into a plan and then hands out
//! borrowed Data Records: nothing is allocated per record.
//!
//! | module | what it holds | source |
//! | --- | --- | --- |
//! | [`bytes`] | the one checked reader all decoders use | |
//! | [`ipfix`] | Message, Set, template, Data Record, value, structured data | RFC 7011, 5103, 6313 |
//! | [`netflow`] | Messages and templates of version 9, the records of versions 5 and 7 | RFC 3954 |
//! | [`header`] | what every version says at its front | |
//! | [`management`] | which template is in force, for both sides; sequence numbers; types announced in-band | RFC 7011 sections 8 to 10, RFC 5610 |
//! | [`packet`] | link, network and transport headers of captured frames | |
//! | [`sflow`] | datagrams of version 5, their samples and what they say about packets | sflow.org |
//! | [`text`] | the one text form of values, for people and for tests | |
//! | [`limits`] | every bound that outside bytes can reach | |
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bytes;
pub mod error;
pub mod header;
pub mod ipfix;
pub mod limits;
pub mod management;
pub mod netflow;
pub mod packet;
pub mod sflow;
pub mod text;

pub use error::{DecodeError, DecodeErrorKind, Layer};
