//! Flow Records on their way out, with what only some of them have.

use std::hash::BuildHasher as _;

use super::application::ApplicationRecord;
use super::dns::{DnsAnswers, DnsTransaction};
use super::folding::FoldRecord;
use super::labels::LabelRecord;
use super::record::{FlowKey, FlowRecord};
use super::tcp::TcpPerformance;
use super::tunnel::TunnelRecord;
use crate::summaries::record::SummaryRecord;

/// Where in one of the lists of [`Records`] a Flow Record's part is, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(u32);

impl Place {
    /// The record has no such part.
    pub const NONE: Place = Place(u32::MAX);

    /// Whether there is one.
    #[inline]
    pub fn is_some(self) -> bool {
        self != Place::NONE
    }

    /// Adds a part to its list.
    #[inline]
    pub fn push<T>(list: &mut Vec<T>, part: T) -> Place {
        let place = Place(list.len() as u32);
        list.push(part);
        place
    }

    /// The part in its list.
    #[inline]
    pub fn of<T>(self, list: &[T]) -> Option<&T> {
        list.get(self.0 as usize)
    }
}

impl Default for Place {
    fn default() -> Place {
        Place::NONE
    }
}

/// A batch of Flow Records. The lists behind `flows` hold what few flows have, so that the others stay small.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// The Flow Records, oldest first.
    pub flows: Vec<FlowRecord>,
    /// Parts of [`FlowRecord::tcp`].
    pub tcp: Vec<TcpPerformance>,
    /// Parts of [`FlowRecord::tunnel`].
    pub tunnels: Vec<TunnelRecord>,
    /// Parts of [`FlowRecord::labels`].
    pub labels: Vec<LabelRecord>,
    /// Parts of [`FlowRecord::application`].
    pub applications: Vec<ApplicationRecord>,
    /// Values of `applications`, names of `dns` and what `dns_answers` holds.
    pub octets: Vec<u8>,
    /// Parts of [`FlowRecord::fold`].
    pub folds: Vec<FoldRecord>,
    /// DNS transactions, oldest first. Each is a record of its own, beside the Flow Records.
    pub dns: Vec<DnsTransaction>,
    /// Parts of [`DnsTransaction::answer_lists`].
    pub dns_answers: Vec<DnsAnswers>,
    /// Summary records, in batches of their own.
    pub summaries: Vec<SummaryRecord>,
}

impl Records {
    /// Forgets all of them and keeps the memory.
    pub fn clear(&mut self) {
        self.flows.clear();
        self.tcp.clear();
        self.tunnels.clear();
        self.labels.clear();
        self.applications.clear();
        self.octets.clear();
        self.folds.clear();
        self.dns.clear();
        self.dns_answers.clear();
        self.summaries.clear();
    }

    /// Flow Records, DNS transactions and summary records.
    pub fn len(&self) -> usize {
        self.flows.len() + self.dns.len() + self.summaries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.dns.is_empty() && self.summaries.is_empty()
    }

    /// TCP performance of one of `flows`.
    #[inline]
    pub fn tcp(&self, flow: &FlowRecord) -> Option<&TcpPerformance> {
        flow.tcp.of(&self.tcp)
    }

    /// The tunnel around one of `flows`.
    #[inline]
    pub fn tunnel(&self, flow: &FlowRecord) -> Option<&TunnelRecord> {
        flow.tunnel.of(&self.tunnels)
    }

    /// Application of one of `flows`, and its values.
    #[inline]
    pub fn application(&self, flow: &FlowRecord) -> Option<(&ApplicationRecord, &[u8])> {
        let part = flow.application.of(&self.applications)?;
        let start = part.start as usize;
        let values = self.octets.get(start..start + part.length as usize)?;
        Some((part, values))
    }
}

impl Records {
    /// What one of `flows` says about the flows folded into it.
    #[inline]
    pub fn fold(&self, flow: &FlowRecord) -> Option<&FoldRecord> {
        flow.fold.of(&self.folds)
    }
}

impl Records {
    /// One of so many parts: all records of a flow are in the same one, whatever batch they come in. Summaries, which are
    /// of all traffic, are in the first.
    #[must_use]
    pub fn part(&self, part: usize, parts: usize) -> Records {
        let mut records = self.clone();
        let is_in_part = |key: &FlowKey| PART_HASH.hash_one(key) as usize % parts.max(1) == part;
        records.flows.retain(|flow| is_in_part(&flow.key));
        records.dns.retain(|transaction| is_in_part(&transaction.key));
        if part > 0 {
            records.summaries.clear();
        }
        records
    }
}

/// The same in every run, so that a flow stays with its collector.
const PART_HASH: foldhash::fast::FixedState = foldhash::fast::FixedState::with_seed(0x9e37_79b9_7f4a_7c15);

impl From<Vec<FlowRecord>> for Records {
    fn from(flows: Vec<FlowRecord>) -> Records {
        Records {
            flows,
            ..Records::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exporting::samples;

    #[test]
    fn parts_are_all_of_it_and_keep_flows_together() {
        let flows: Vec<_> = (0..1000u16)
            .map(|port| {
                let mut flow = samples::udp();
                flow.key.src_port = port / 2;
                flow
            })
            .collect();
        let records = Records::from(flows);
        let parts: Vec<_> = (0..3).map(|part| records.part(part, 3)).collect();
        assert_eq!(parts.iter().map(Records::len).sum::<usize>(), 1000);
        for part in &parts {
            assert!((250..420).contains(&part.len()), "{}", part.len());
            let ports = |place: usize| part.flows.iter().skip(place).step_by(2).map(|flow| flow.key.src_port);
            assert!(ports(0).eq(ports(1)), "two records of one flow");
        }
    }
}
