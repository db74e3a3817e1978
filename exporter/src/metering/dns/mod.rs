//! DNS transactions: messages on the ports of DNS and mDNS are paired, query with response (RFC 1035, RFC 7766, RFC 6762).
//!
//! Every message is in one account: taken as a query, taken as a response, or left for a reason that has a name.

pub mod record;

pub use record::{DnsAnswers, DnsStatus, DnsTransaction, Edns, Subnet, TextRange};
