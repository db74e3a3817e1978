//! Records that came before: an exporter that cannot know whether a Message arrived sends it again, and numbers its records
//! (recordId), so that each of them becomes one row.
//!
//! Numbers mostly come in order, so those seen are a few stretches. The upper bits of a number tell the exporter's spools
//! apart, of which each counts for itself in the lower ones.

use std::net::IpAddr;

use foldhash::HashMap;

use crate::limits::{RECORD_NUMBERERS, RECORD_STRETCHES};

/// Lower bits, which count.
const COUNTING_BITS: u32 = 40;

/// Whose numbers.
type Numberer = (IpAddr, u32);

/// Which records were seen.
#[derive(Debug, Default)]
pub(super) struct RecordsSeen {
    numberers: HashMap<Numberer, Stretches>,
    /// The numberer last heard.
    clock: u64,
    /// Numberers forgotten because there were too many.
    pub forgotten: u64,
}

/// The numbers seen of one numberer: stretches from a first to before an end, in order, apart from each other.
#[derive(Debug, Default)]
struct Stretches {
    seen: Vec<(u64, u64)>,
    heard: u64,
}

/// What is kept of one numberer across a restart.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct SavedRecords {
    exporter: IpAddr,
    numberer: u32,
    seen: Vec<(u64, u64)>,
}

impl RecordsSeen {
    /// Takes up a record's number; false when it was seen before.
    pub fn insert(&mut self, exporter: IpAddr, record: u64) -> bool {
        self.clock += 1;
        let of = (exporter, (record >> COUNTING_BITS) as u32);
        if !self.numberers.contains_key(&of) {
            self.make_room();
        }
        let stretches = self.numberers.entry(of).or_default();
        stretches.heard = self.clock;
        stretches.insert(record)
    }

    /// One that is not heard any more is forgotten for a new one.
    fn make_room(&mut self) {
        if self.numberers.len() < RECORD_NUMBERERS {
            return;
        }
        let oldest = self.numberers.iter().min_by_key(|(_, stretches)| stretches.heard);
        if let Some(of) = oldest.map(|(of, _)| *of) {
            self.numberers.remove(&of);
            self.forgotten += 1;
        }
    }

    pub fn save(&self) -> Vec<SavedRecords> {
        let mut all: Vec<_> = self.numberers.iter().collect();
        all.sort_by_key(|(_, stretches)| stretches.heard);
        all.into_iter()
            .map(|((exporter, numberer), stretches)| SavedRecords {
                exporter: *exporter,
                numberer: *numberer,
                seen: stretches.seen.clone(),
            })
            .collect()
    }

    /// Takes up what an earlier run saved.
    pub fn load(&mut self, saved: Vec<SavedRecords>) {
        for saved in saved {
            self.clock += 1;
            self.make_room();
            let mut stretches = Stretches {
                seen: saved.seen,
                heard: self.clock,
            };
            stretches.seen.truncate(RECORD_STRETCHES);
            // In order and apart, or nobody wrote it.
            if stretches.seen.is_sorted_by(|a, b| a.1 < b.0) && stretches.seen.iter().all(|(first, end)| first < end) {
                self.numberers.insert((saved.exporter, saved.numberer), stretches);
            }
        }
    }
}

impl Stretches {
    fn insert(&mut self, record: u64) -> bool {
        // Nearly always the one behind the last.
        if let Some((first, end)) = self.seen.last_mut() {
            if record == *end {
                *end += 1;
                return true;
            }
            if (*first..*end).contains(&record) {
                return false;
            }
        }
        self.insert_between(record)
    }

    #[cold]
    fn insert_between(&mut self, record: u64) -> bool {
        let place = self.seen.partition_point(|(_, end)| *end < record);
        match self.seen.get_mut(place) {
            Some((first, end)) if (*first..*end).contains(&record) => return false,
            Some((_, end)) if *end == record => {
                *end += 1;
                self.join(place);
            }
            Some((first, _)) if record + 1 == *first => *first = record,
            _ => {
                self.seen.insert(place, (record, record + 1));
                if self.seen.len() > RECORD_STRETCHES {
                    // What is oldest is least likely to come again.
                    self.seen.remove(0);
                }
            }
        }
        true
    }

    /// Joins a stretch with the next one when they touch.
    fn join(&mut self, place: usize) {
        let (Some((_, end)), Some((next, next_end))) = (self.seen.get(place), self.seen.get(place + 1)) else {
            return;
        };
        if end == next {
            let next_end = *next_end;
            self.seen.remove(place + 1);
            if let Some((_, end)) = self.seen.get_mut(place) {
                *end = next_end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const EXPORTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn each_number_is_new_once() {
        let mut seen = RecordsSeen::default();
        assert!((100..200).all(|record| seen.insert(EXPORTER, record)));
        assert!((150..200).all(|record| !seen.insert(EXPORTER, record)));
        assert!((200..250).all(|record| seen.insert(EXPORTER, record)));
        // Another spool, and another exporter.
        assert!(seen.insert(EXPORTER, 1 << COUNTING_BITS | 150));
        assert!(seen.insert("2001:db8::1".parse().unwrap(), 150));
        let mut again = RecordsSeen::default();
        again.load(seen.save());
        assert!((100..250).all(|record| !again.insert(EXPORTER, record)));
        assert!(again.insert(EXPORTER, 250) && again.insert(EXPORTER, 99));
    }

    #[test]
    fn any_order_is_as_a_set() {
        proptest::proptest!(|(records in proptest::collection::vec(0u64..60, 0..300))| {
            let (mut seen, mut set) = (Stretches::default(), BTreeSet::new());
            for record in records {
                proptest::prop_assert_eq!(seen.insert(record), set.insert(record));
                proptest::prop_assert!(seen.seen.is_sorted_by(|a, b| a.1 < b.0), "{:?}", seen.seen);
            }
        });
    }

    #[test]
    fn stretches_and_numberers_are_bounded() {
        let mut seen = RecordsSeen::default();
        (0..10 * RECORD_STRETCHES as u64).for_each(|n| assert!(seen.insert(EXPORTER, 2 * n)));
        assert_eq!(
            seen.numberers.values().map(|stretches| stretches.seen.len()).max(),
            Some(RECORD_STRETCHES)
        );
        assert!(!seen.insert(EXPORTER, 2 * (10 * RECORD_STRETCHES as u64 - 1)));
        for numberer in 0..2 * RECORD_NUMBERERS as u64 {
            seen.insert(EXPORTER, numberer << COUNTING_BITS);
        }
        assert_eq!(
            (seen.numberers.len(), seen.forgotten),
            (RECORD_NUMBERERS, RECORD_NUMBERERS as u64)
        );
    }
}
