//! sFlow version 5 datagrams on their way into rows. Nothing of them is decoded yet: each is counted as refused.
//!
//! [`super::process`] tells protocols apart and hands each sFlow datagram here together with its sender's account.

use std::net::IpAddr;

use super::ledger::Account;
use super::options::InterfaceNames;
use crate::normalize::NormalizingCounters;
use crate::normalize::row::Row;

/// What a datagram belongs to in the ledger: the sub-agent, the domain of sFlow. 0 where the datagram does not say.
pub(super) fn domain_of(_bytes: &[u8]) -> u32 {
    0
}

/// One sFlow datagram on its way into rows.
#[expect(dead_code, reason = "read once datagrams are decoded")]
pub(super) struct SflowHandling<'h> {
    /// When it was received.
    pub now_ns: i64,
    /// Who sent it.
    pub address: IpAddr,
    /// The sender's account; the datagram and its octets are counted there already.
    pub account: &'h mut Account,
    /// Names of interfaces, which sFlow's port names add to.
    pub names: &'h mut InterfaceNames,
    /// What normalising could not take as it was.
    pub counters: &'h mut NormalizingCounters,
    /// Rows are appended here.
    pub rows: &'h mut Vec<Row>,
}

impl SflowHandling<'_> {
    /// Takes one datagram. Counts it in the account as a Message or as refused.
    pub fn datagram(&mut self, _bytes: &[u8]) {
        self.account.unsupported_version += 1;
    }
}
