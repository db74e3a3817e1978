//! What is known of one DNS transaction when it ends: a query and its response, or one of the two alone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::metering::record::{FlowEndReason, FlowKey};
use crate::metering::records::{Place, Records};

/// How a transaction ended, numbered as in dnsTransactionStatus (enterprise element 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DnsStatus {
    /// A response came.
    Answered = 1,
    /// None came in time, or none until it was given up: [`DnsTransaction::end_reason`] says which.
    Unanswered = 2,
    /// A response to no query that is known.
    NoQuery = 3,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsTransaction {
    /// From the client, who asks, to the server.
    pub key: FlowKey,
    /// The first query, or the response where there was none, ns since 1970 UTC.
    pub start_ns: i64,
    /// The response, or the last query where there was none.
    pub end_ns: i64,
    /// How it ended.
    pub status: DnsStatus,
    /// Why its record was made: EndOfFlow with a response, IdleTimeout without one, LackOfResources when the table of
    /// transactions was full, ForcedEnd when metering ended.
    pub end_reason: FlowEndReason,
    /// The message's identifier.
    pub id: u16,
    /// Where in [`Records::octets`] the name asked for is: see [`DnsTransaction::qname`].
    pub qname: TextRange,
    /// Type asked for.
    pub qtype: u16,
    /// Class asked for, without the unicast bit of mDNS.
    pub qclass: u16,
    /// Response code with the bits of EDNS (RFC 6891 section 6.1.3); none without a response.
    pub rcode: Option<u16>,
    /// Second pair of octets of the header: the response's, or the query's where there is no response.
    pub flags: u16,
    /// From the first query to the response, µs.
    pub latency_us: Option<u32>,
    /// Octets of the first query.
    pub query_octets: Option<u16>,
    /// Octets of the response.
    pub response_octets: Option<u16>,
    /// Records in the response's answer section, as its header says.
    pub answers: u16,
    /// Times that the query came again.
    pub retries: u8,
    /// The query's EDNS record, or the response's where the query is not known.
    pub edns: Option<Edns>,
    /// Info-code of the response's first extended error (RFC 8914).
    pub extended_error: Option<u16>,
    /// EDNS client subnet (RFC 7871) of the query, or of the response where the query has none.
    pub client_subnet: Option<Subnet>,
    /// The Selector that chose the packets; 0 when all were taken.
    pub selector: u32,
    /// Part of [`Records::dns_answers`].
    pub answer_lists: Place,
}

impl DnsTransaction {
    /// The name asked for: presentation form, lower case, escaped as RFC 4343 section 2.1 says, without the final dot;
    /// the root is ".".
    pub fn qname<'r>(&self, records: &'r Records) -> &'r [u8] {
        self.qname.of(&records.octets)
    }
}

/// Octets within [`Records::octets`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TextRange {
    /// Where they begin.
    pub start: u32,
    /// How many there are.
    pub length: u32,
}

impl TextRange {
    /// From `start` to the end of what was written so far.
    pub fn since(start: usize, octets: &[u8]) -> TextRange {
        TextRange {
            start: start as u32,
            length: octets.len().saturating_sub(start) as u32,
        }
    }

    /// The octets.
    pub fn of(self, octets: &[u8]) -> &[u8] {
        let start = self.start as usize;
        let range: Range<usize> = start..start + self.length as usize;
        octets.get(range).unwrap_or_default()
    }
}

/// What an OPT record says in its fixed part (RFC 6891 section 6.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edns {
    /// Largest UDP payload that the sender takes.
    pub udp_octets: u16,
    /// EDNS version.
    pub version: u8,
    /// Flags; the highest bit is DO.
    pub flags: u16,
}

impl Edns {
    /// Whether DNSSEC records are wanted (RFC 3225).
    pub const fn is_dnssec_ok(self) -> bool {
        self.flags & 0x8000 != 0
    }
}

/// A network of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    /// Its address, 0 behind the prefix.
    pub address: IpAddr,
    /// Bits of the prefix.
    pub prefix: u8,
}

impl Subnet {
    /// Longest text: an IPv6 address, a slash and three digits.
    pub const TEXT_OCTETS: usize = 43;

    /// From the octets of an address of which those behind the prefix may be left out (RFC 7871 section 6); none for
    /// another family or a prefix that does not fit.
    pub fn read(family: u16, prefix: u8, octets: &[u8]) -> Option<Subnet> {
        let most = match family {
            1 => 4,
            2 => 16,
            _ => return None,
        };
        if octets.len() > most || usize::from(prefix) > most * 8 || octets.len() * 8 < usize::from(prefix) {
            return None;
        }
        let mut whole = [0u8; 16];
        for (at, (place, octet)) in whole.iter_mut().zip(octets).enumerate() {
            // Bits behind the prefix must be 0; who sets them says more than is meant to be known.
            let bits = usize::from(prefix).saturating_sub(at * 8).min(8);
            *place = octet & (0xff00u16 >> bits) as u8;
        }
        let address = match whole {
            [a, b, c, d, ..] if family == 1 => Ipv4Addr::new(a, b, c, d).into(),
            _ => Ipv6Addr::from(whole).into(),
        };
        Some(Subnet { address, prefix })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The answers of a transaction on the deep sample, as records of the three kinds of answer in wire form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DnsAnswers {
    /// The answers of one response in this many are read.
    pub interval: u32,
    /// Records of name, type, TTL and, in this order of lists, IPv4 address, IPv6 address, or other data.
    pub lists: [TextRange; 3],
}
