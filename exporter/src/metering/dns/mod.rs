//! DNS transactions: messages on the ports of DNS and mDNS are paired, query with response (RFC 1035, RFC 7766, RFC 6762).
//!
//! Every message is in one account: taken as a query, taken as a response, or left for a reason that has a name. Every
//! transaction gives one record, when its response comes or when it is given up.

mod aging;
mod answers;
mod buckets;
pub mod counters;
pub mod fault;
pub mod message;
mod metering;
pub mod name;
pub mod record;
mod stream;
#[cfg(test)]
mod tests;
mod transactions;

pub use counters::DnsCounters;
pub use fault::DnsFault;
pub(super) use metering::DnsPacket;
pub use metering::{Dns, DnsConfig, Ports};
pub use record::{DnsAnswers, DnsStatus, DnsTransaction, Edns, Subnet, TextRange};
