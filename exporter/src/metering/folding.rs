//! Aggregated Flows of a flood: what single packets of many flows to one service are added to when the table is full, so
//! that memory and the rate of records stay bounded while totals stay exact (RFC 7015 for the words).

/// What one Aggregated Flow's record says about the flows in it. Its key has no source (address and port are 0).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FoldRecord {
    /// Flows that were folded into it (deltaFlowCount, RFC 7015 section 5.2).
    pub flows: u64,
    /// Estimate of their distinct source addresses (distinctCountOfSourceIPAddress).
    pub sources: u64,
    /// The true number of sources is between these two with a confidence of 95 % (lowerCILimit, upperCILimit).
    pub sources_between: [f64; 2],
}
