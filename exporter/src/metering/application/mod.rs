//! Application protocols: names that the first octets of a flow's payload tell.
//!
//! One protocol is one file behind the trait [`Protocol`] and one line in [`PROTOCOLS`]. [`Applications`] gives
//! protocols their octets in order and keeps what they found; a flow holds only an [`ApplicationPlace`]. What nothing
//! recognises stops costing after its first packets with payload. See `docs/guides/add-an-application.md`.

mod applications;
mod arp;
mod counters;
mod dhcp;
mod http;
mod memory;
mod place;
mod protocol;
pub mod quic;
mod reading;
pub mod record;
mod registry;
mod slab;
mod smtp;
mod ssh;
mod stream;
mod stun;
#[cfg(test)]
mod tests;
mod text;
pub mod tls;
mod values;

pub use applications::{ApplicationConfig, Applications, Payload};
pub use counters::ApplicationCounters;
pub use place::ApplicationPlace;
pub use protocol::{About, Carrier, Conversation, Fault, Field, FirstOctets, Input, Kind, Progress, Protocol, Verdict};
pub use record::ApplicationRecord;
pub use registry::{MAX_PROTOCOLS, PROTOCOLS, ProtocolSet, field_specifiers, fields};
pub use values::Values;
