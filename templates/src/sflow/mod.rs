//! sFlow version 5: datagrams, their samples and what flow samples say about a packet, borrowed and without allocation.
//!
//! Source: "sFlow Version 5" of sflow.org (July 2004) and its extensions for tunnels, drops and hosts. Everything is
//! XDR (RFC 4506): big-endian, in units of four octets, opaque data with its length in front and padded.
//!
//! A sample says its own length, and so does each record in it: one that cannot be read costs itself and nothing else.

mod counter;
mod datagram;
mod layouts;
mod record;
mod sample;
#[cfg(test)]
mod tests;
mod xdr;

pub use counter::{Counter, CounterField, CounterKind, CounterLayout, CounterValue, CounterValues};
pub use datagram::{Datagram, SampleBody, Samples, VERSION};
pub use record::{Address, AsPath, FlowRecord, HeaderProtocol, RawHeader, RecordFormat, SampledIp, TcpInfo};
pub use sample::{
    CounterRecords, CounterSample, DataSource, DiscardedPacket, FlowRecords, FlowSample, Interface, Sample,
};
