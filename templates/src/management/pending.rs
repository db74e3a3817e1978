//! Data Sets that came before their template: kept within bounds, and handed back when it comes.

use std::collections::VecDeque;

use crate::ipfix::MessageHeader;
use crate::limits::{MAX_PENDING_OCTETS, MAX_PENDING_SETS};

/// A Set that waits.
#[derive(Clone, Debug)]
pub(crate) struct PendingSet {
    pub(crate) header: MessageHeader,
    pub(crate) set_id: u16,
    pub(crate) received_ns: i64,
    pub(crate) body: Box<[u8]>,
}

/// What became of Sets that had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingCounters {
    /// Sets that came before their template.
    pub waited_sets: u64,
    /// Of those, handed on when the template came.
    pub replayed_sets: u64,
    /// Of those, given up because the store was full.
    pub overflowed_sets: u64,
    /// Of those, given up because the template did not come in time.
    pub expired_sets: u64,
    /// Octets of the Sets given up.
    pub lost_octets: u64,
}

/// Sets of one session that wait, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct PendingSets {
    sets: VecDeque<PendingSet>,
    octets: usize,
    counters: PendingCounters,
}

impl PendingSets {
    /// Keeps a Set; the oldest ones leave where the bounds ask for it.
    pub(crate) fn push(&mut self, set: PendingSet) {
        self.counters.waited_sets += 1;
        self.octets += set.body.len();
        self.sets.push_back(set);
        while self.sets.len() > MAX_PENDING_SETS || self.octets > MAX_PENDING_OCTETS {
            self.counters.overflowed_sets += 1;
            self.give_up_oldest();
        }
    }

    /// Takes out what waits for the template `set_id` of `domain`, in the order it came.
    pub(crate) fn take(&mut self, domain: u32, set_id: u16) -> Vec<PendingSet> {
        if self.sets.is_empty() {
            return Vec::new();
        }
        let (taken, kept) = std::mem::take(&mut self.sets)
            .into_iter()
            .partition::<VecDeque<_>, _>(|set| set.header.domain == domain && set.set_id == set_id);
        self.sets = kept;
        self.octets -= taken.iter().map(|set| set.body.len()).sum::<usize>();
        self.counters.replayed_sets += taken.len() as u64;
        taken.into()
    }

    /// Gives up what came before `oldest_ns`.
    pub(crate) fn expire(&mut self, oldest_ns: i64) {
        while self.sets.front().is_some_and(|set| set.received_ns < oldest_ns) {
            self.counters.expired_sets += 1;
            self.give_up_oldest();
        }
    }

    /// What waits, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PendingSet> {
        self.sets.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }

    pub(crate) fn counters(&self) -> PendingCounters {
        self.counters
    }

    fn give_up_oldest(&mut self) {
        if let Some(set) = self.sets.pop_front() {
            self.octets -= set.body.len();
            self.counters.lost_octets += set.body.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Version;

    fn set(domain: u32, set_id: u16, received_ns: i64, octets: usize) -> PendingSet {
        let header = MessageHeader {
            version: Version::Ipfix,
            length: 0,
            export_time: 0,
            export_fraction_ns: 0,
            uptime_ms: None,
            sequence: 0,
            domain,
            sampling: None,
        };
        PendingSet {
            header,
            set_id,
            received_ns,
            body: vec![0; octets].into(),
        }
    }

    #[test]
    fn sets_come_back_in_order_and_only_to_their_own_template() {
        let mut pending = PendingSets::default();
        [(1, 256, 1), (1, 257, 2), (2, 256, 3), (1, 256, 4)]
            .into_iter()
            .for_each(|(domain, id, at)| pending.push(set(domain, id, at, 10)));
        let times: Vec<_> = pending.take(1, 256).iter().map(|set| set.received_ns).collect();
        assert_eq!((times, pending.len(), pending.octets), (vec![1, 4], 2, 20));
        assert_eq!(
            pending.counters(),
            PendingCounters {
                waited_sets: 4,
                replayed_sets: 2,
                ..Default::default()
            }
        );
    }

    #[test]
    fn bounds_hold_and_every_set_given_up_is_counted() {
        let mut pending = PendingSets::default();
        for at in 0..MAX_PENDING_SETS as i64 + 7 {
            pending.push(set(1, 256, at, 1));
        }
        assert_eq!(
            (pending.len(), pending.counters().overflowed_sets),
            (MAX_PENDING_SETS, 7)
        );
        pending.push(set(1, 256, 5_000, MAX_PENDING_OCTETS));
        assert_eq!((pending.len(), pending.octets), (1, MAX_PENDING_OCTETS));
        pending.expire(6_000);
        let counters = pending.counters();
        assert_eq!((pending.len(), counters.expired_sets), (0, 1));
        assert_eq!(counters.waited_sets, counters.overflowed_sets + counters.expired_sets);
        assert_eq!(counters.lost_octets, (MAX_PENDING_SETS + 7 + MAX_PENDING_OCTETS) as u64);
    }
}
