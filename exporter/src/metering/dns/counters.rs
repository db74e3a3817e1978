//! What became of every DNS message and of every transaction.

use super::fault::DnsFault;

/// Totals since the start.
///
/// `messages == queries + multicast_queries + responses + sum(faults)`, `queries == opened + retries`,
/// `responses == answered + without_query` and
/// `opened == answered + timed_out + evicted + stopped + open`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsCounters {
    /// Messages seen, over UDP and within TCP.
    pub messages: u64,
    /// Those of them that came over TCP.
    pub tcp_messages: u64,
    /// Those of them that were not captured to their end, and were used as far as that goes.
    pub cut_messages: u64,
    /// Messages that were not used, by [`DnsFault`] number.
    pub faults: [u64; DnsFault::ALL.len()],
    /// Messages that were used although something behind their question is wrong, by [`DnsFault`] number.
    pub used_with_fault: [u64; DnsFault::ALL.len()],
    /// Queries.
    pub queries: u64,
    /// Queries of mDNS to everybody, whose answers come from anybody at any time: no transactions.
    pub multicast_queries: u64,
    /// Responses.
    pub responses: u64,
    /// Queries that began a transaction.
    pub opened: u64,
    /// Queries that came again.
    pub retries: u64,
    /// Transactions with a response.
    pub answered: u64,
    /// Transactions without one in time.
    pub timed_out: u64,
    /// Transactions given up because the table was full.
    pub evicted: u64,
    /// Transactions that were open when metering ended.
    pub stopped: u64,
    /// Transactions that are open now.
    pub open: u64,
    /// Responses to no query that is known.
    pub without_query: u64,
    /// Those of them of mDNS to everybody, where that is usual.
    pub multicast_responses: u64,
    /// Responses whose answers were read.
    pub answers_sampled: u64,
    /// Answers read.
    pub answers: u64,
    /// Answers of those responses that could not be read.
    pub answers_unreadable: u64,
    /// Answers of those responses that found no room in their record.
    pub answers_left_out: u64,
    /// TCP connections that carry messages.
    pub streams: StreamCounters,
}

/// What became of TCP connections on the port of DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamCounters {
    /// TCP connections that were followed.
    pub followed: u64,
    /// TCP connections given up because there were too many.
    pub evicted: u64,
    /// Places in TCP connections where segments were missing, or what came was no message.
    pub gaps: u64,
    /// Octets within TCP connections that belong to no message that could be read.
    pub octets_skipped: u64,
    /// Times that there was no memory to wait for the rest of a message.
    pub memory_exhausted: u64,
}

impl DnsCounters {
    /// Messages that were not used, all reasons together.
    pub fn faults_total(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// Messages not used for each reason that occurred.
    pub fn faults_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        by_fault(&self.faults)
    }

    /// Messages used in spite of a fault, for each that occurred.
    pub fn used_with_fault_by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        by_fault(&self.used_with_fault)
    }

    /// Whether the sums hold.
    pub fn is_balanced(&self) -> bool {
        self.messages == self.queries + self.multicast_queries + self.responses + self.faults_total()
            && self.queries == self.opened + self.retries
            && self.responses == self.answered + self.without_query
            && self.opened == self.answered + self.timed_out + self.evicted + self.stopped + self.open
    }
}

fn by_fault(counts: &[u64; DnsFault::ALL.len()]) -> impl Iterator<Item = (&'static str, u64)> + '_ {
    DnsFault::ALL
        .iter()
        .zip(counts)
        .filter(|(_, count)| **count > 0)
        .map(|(fault, count)| (fault.as_str(), *count))
}
