//! Observed names: what addresses are called, from DNS answers and TLS handshakes seen in the same stream as the flows.
//!
//! A name counts for one client, who was told or who asked, and less for everybody else. It counts for flows that began
//! after it was learned and before its time was over, by the clocks of records and not by when they came in: what is learned
//! a second time, late, or in another order names no flow wrongly. Eight entries share a set; in a full one the entry whose
//! time is over first goes.

use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

use super::texts::{NameId, Texts};
use crate::limits::{OBSERVED_NAMES_PER_ADDRESS, OBSERVED_SETS_SWEPT};
use crate::normalize::codes::{NAME_DNS, NAME_DNS_OTHER, NAME_TLS_OTHER, NAME_TLS_SEEN};

/// Entries of a set.
const WAYS: usize = 8;
/// Sets of the first table; it doubles as it fills.
const FIRST_SETS: usize = 32;
/// How much earlier than its name a flow may seem to begin: clocks differ, and times are in whole milliseconds.
const SLACK_NS: i64 = 2_000_000_000;
/// Stands for every client.
const ANYBODY: u128 = 0;

/// Where a name was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// In a DNS answer.
    #[default]
    Dns,
    /// In a TLS handshake.
    Tls,
}

impl Seen {
    /// Of [`crate::normalize::codes::NAME_SOURCES`]; `own` when the client itself was told or asked.
    pub fn code(self, own: bool) -> u64 {
        match (self, own) {
            (Seen::Dns, true) => NAME_DNS,
            (Seen::Tls, true) => NAME_TLS_SEEN,
            (Seen::Dns, false) => NAME_DNS_OTHER,
            (Seen::Tls, false) => NAME_TLS_OTHER,
        }
    }
}

/// What is learned.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'n> {
    /// Who was told, or asked.
    pub client: u128,
    /// What the name is of.
    pub address: u128,
    /// The name, in lower case and without the final dot.
    pub name: &'n str,
    /// Where it was seen.
    pub seen: Seen,
    /// When, nanoseconds.
    pub at_ns: i64,
    /// How long it counts, nanoseconds.
    pub lifetime_ns: i64,
}

/// How many, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamesConfig {
    /// Entries at most; 0 for no names at all.
    pub entries: usize,
    /// How long a name counts beyond its time, and behind the last flow of its client, nanoseconds.
    pub grace_ns: i64,
}

/// What became of observations, and of questions for names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameCounters {
    /// Observations taken: DNS answers and TLS handshakes, once for each address.
    pub observed: u64,
    /// Entries made of them.
    pub learned: u64,
    /// Entries that went because their time was over.
    pub expired: u64,
    /// Entries that went though it was not.
    pub evicted: u64,
    /// Entries not made, because there are later ones or no room for the name.
    pub left_out: u64,
    /// Entries there are.
    pub entries: u64,
    /// Distinct names there are.
    pub names: u64,
    /// Octets of all of it.
    pub octets: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry {
    pub client: u128,
    pub address: u128,
    /// When the name was seen first, last, and until when it counts, nanoseconds.
    pub since_ns: i64,
    pub last_ns: i64,
    pub until_ns: i64,
    pub name: NameId,
    pub seen: Seen,
}

impl Entry {
    fn is_of(&self, client: u128, address: u128) -> bool {
        self.client == client && self.address == address
    }

    fn counts_at(&self, start_ns: i64) -> bool {
        self.since_ns.saturating_sub(SLACK_NS) <= start_ns && start_ns <= self.until_ns
    }

    /// When it was seen last before a flow began: of two the later is meant.
    fn last_before(&self, start_ns: i64) -> i64 {
        match self.last_ns.saturating_sub(SLACK_NS) <= start_ns {
            true => self.last_ns,
            false => self.since_ns,
        }
    }
}

/// Marks of the entries of a set, each of its key; 0 where there is none.
type Marks = [u32; WAYS];

/// Names of addresses.
#[derive(Debug)]
pub struct ObservedNames {
    config: NamesConfig,
    marks: Vec<Marks>,
    entries: Vec<[Entry; WAYS]>,
    held: usize,
    texts: Texts,
    hasher: RandomState,
    /// The set that goes first when names take too many octets.
    hand: usize,
    counters: NameCounters,
}

/// Where an entry lies.
type Way = (usize, usize);

impl ObservedNames {
    /// Nothing is known yet, and nothing taken.
    pub fn new(config: NamesConfig) -> ObservedNames {
        ObservedNames {
            config,
            marks: Vec::new(),
            entries: Vec::new(),
            held: 0,
            texts: Texts::default(),
            hasher: RandomState::default(),
            hand: 0,
            counters: NameCounters::default(),
        }
    }

    /// Whether no name is known.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// What became of what was observed.
    pub fn counters(&self) -> NameCounters {
        let sets = self.entries.len() * (size_of::<[Entry; WAYS]>() + size_of::<Marks>());
        NameCounters {
            entries: self.held as u64,
            names: self.texts.len() as u64,
            octets: (sets + self.texts.octets()) as u64,
            ..self.counters
        }
    }

    /// Sets that there may be.
    fn most_sets(&self) -> usize {
        (self.config.entries / WAYS).max(1).next_power_of_two()
    }

    /// Octets that names may take: sixty for each entry, of which most share theirs with another.
    fn most_octets(&self) -> usize {
        self.config.entries.saturating_mul(60)
    }

    fn place(&self, client: u128, address: u128) -> (usize, u32) {
        let hash = self.hasher.hash_one((client, address));
        let set = hash as usize & self.marks.len().wrapping_sub(1);
        (set, (hash >> 32) as u32 | 1)
    }

    /// Learns that an address has a name, for its client and for everybody.
    pub fn observe(&mut self, observation: &Observation<'_>) {
        if self.config.entries == 0 || observation.name.is_empty() {
            return;
        }
        self.counters.observed += 1;
        for client in [observation.client, ANYBODY] {
            self.learn(client, observation);
        }
    }

    fn learn(&mut self, client: u128, observation: &Observation<'_>) {
        let life = observation.lifetime_ns.saturating_add(self.config.grace_ns);
        let entry = Entry {
            client,
            address: observation.address,
            since_ns: observation.at_ns,
            last_ns: observation.at_ns,
            until_ns: observation.at_ns.saturating_add(life),
            name: NameId::default(),
            seen: observation.seen,
        };
        self.put(entry, observation.name);
    }

    /// Puts an entry in, or what it says to the one that is there already.
    pub(super) fn put(&mut self, entry: Entry, name: &str) {
        if self.marks.is_empty() {
            self.grow();
        }
        let known = self.texts.find(name);
        let (set, mark) = self.place(entry.client, entry.address);
        let (mut same, mut oldest): (usize, Option<(usize, i64)>) = (0, None);
        for way in self.ways_of(set, mark) {
            let Some(held) = self
                .entry_mut(set, way)
                .filter(|held| held.is_of(entry.client, entry.address))
            else {
                continue;
            };
            if known == Some(held.name) {
                held.join(&entry);
                return;
            }
            same += 1;
            if oldest.is_none_or(|(_, last_ns)| held.last_ns < last_ns) {
                oldest = Some((way, held.last_ns));
            }
        }
        if same >= OBSERVED_NAMES_PER_ADDRESS
            && let Some((way, last_ns)) = oldest
        {
            if last_ns > entry.last_ns {
                self.counters.left_out += 1;
                return;
            }
            self.remove((set, way), entry.last_ns);
        }
        if known.is_none() && !self.make_room(Texts::octets_of(name), entry.last_ns) {
            self.counters.left_out += 1;
            return;
        }
        let way = self.free_way(&entry, entry.last_ns);
        let (set, mark) = self.place(entry.client, entry.address);
        let name = self.texts.take(name);
        if let (Some(marks), Some(entries)) = (self.marks.get_mut(set), self.entries.get_mut(set))
            && let (Some(place), Some(slot)) = (marks.get_mut(way), entries.get_mut(way))
        {
            (*place, *slot) = (mark, Entry { name, ..entry });
            self.held += 1;
            self.counters.learned += 1;
        }
    }

    /// A way of an entry's set that is free, after a larger table was made or another entry went.
    fn free_way(&mut self, entry: &Entry, now_ns: i64) -> usize {
        loop {
            let (set, _) = self.place(entry.client, entry.address);
            let free = self
                .marks
                .get(set)
                .and_then(|marks| marks.iter().position(|mark| *mark == 0));
            if let Some(way) = free {
                return way;
            }
            if self.marks.len() < self.most_sets() {
                self.grow();
                continue;
            }
            let entries = self.entries.get(set).into_iter().flatten();
            let first = entries.enumerate().min_by_key(|(_, held)| held.until_ns);
            let way = first.map_or(0, |(way, _)| way);
            self.remove((set, way), now_ns);
            return way;
        }
    }

    /// Makes the table twice as large.
    fn grow(&mut self) {
        let sets = (self.marks.len() * 2).max(FIRST_SETS.min(self.most_sets()));
        let marks = std::mem::replace(&mut self.marks, vec![[0; WAYS]; sets]);
        let entries = std::mem::replace(&mut self.entries, vec![[Entry::default(); WAYS]; sets]);
        self.hand = 0;
        let of_sets = marks.iter().zip(&entries);
        for (_, entry) in of_sets
            .flat_map(|(marks, entries)| marks.iter().zip(entries))
            .filter(|(mark, _)| **mark != 0)
        {
            let (set, mark) = self.place(entry.client, entry.address);
            if let (Some(marks), Some(entries)) = (self.marks.get_mut(set), self.entries.get_mut(set))
                && let Some(way) = marks.iter().position(|mark| *mark == 0)
                && let (Some(place), Some(slot)) = (marks.get_mut(way), entries.get_mut(way))
            {
                // A set's entries go to two sets: there is room.
                (*place, *slot) = (mark, *entry);
            }
        }
    }

    /// Lets sets go until a name of so many octets fits.
    fn make_room(&mut self, octets: usize, now_ns: i64) -> bool {
        for _ in 0..OBSERVED_SETS_SWEPT {
            if self.texts.octets() + octets <= self.most_octets() {
                return true;
            }
            let set = self.hand;
            self.hand = (self.hand + 1) & self.marks.len().wrapping_sub(1);
            for way in 0..WAYS {
                if self
                    .marks
                    .get(set)
                    .and_then(|marks| marks.get(way))
                    .is_some_and(|mark| *mark != 0)
                {
                    self.remove((set, way), now_ns);
                }
            }
        }
        self.texts.octets() + octets <= self.most_octets()
    }

    fn remove(&mut self, (set, way): Way, now_ns: i64) {
        let (Some(marks), Some(entries)) = (self.marks.get_mut(set), self.entries.get(set)) else {
            return;
        };
        let (Some(mark), Some(entry)) = (marks.get_mut(way), entries.get(way)) else {
            return;
        };
        *mark = 0;
        self.held -= 1;
        match entry.until_ns < now_ns {
            true => self.counters.expired += 1,
            false => self.counters.evicted += 1,
        }
        self.texts.release(entry.name);
    }

    #[inline]
    fn ways_of(&self, set: usize, mark: u32) -> impl Iterator<Item = usize> + use<> {
        let marks = self.marks.get(set).copied().unwrap_or_default();
        marks
            .into_iter()
            .enumerate()
            .filter(move |(_, held)| *held == mark)
            .map(|(way, _)| way)
    }

    fn entry_mut(&mut self, set: usize, way: usize) -> Option<&mut Entry> {
        self.entries.get_mut(set)?.get_mut(way)
    }

    /// The entry of a key that counts for a flow which began then.
    #[inline]
    fn find(&self, client: u128, address: u128, start_ns: i64) -> Option<Way> {
        let (set, mark) = self.place(client, address);
        let entries = self.entries.get(set)?;
        let counting = self.ways_of(set, mark).filter_map(|way| {
            let entry = entries.get(way)?;
            let counts = entry.is_of(client, address) && entry.counts_at(start_ns);
            counts.then_some((way, entry.last_before(start_ns)))
        });
        counting.max_by_key(|(_, last_ns)| *last_ns).map(|(way, _)| (set, way))
    }

    /// What `address` is called by `client`, in a flow that began and ended then, and where that was seen.
    ///
    /// While its client goes on talking to the address, a name goes on counting.
    #[inline]
    pub fn name_of(&mut self, client: u128, address: u128, (start_ns, end_ns): (i64, i64)) -> Option<(&str, u64)> {
        if self.held == 0 {
            return None;
        }
        let grace_ns = self.config.grace_ns;
        if let Some((set, way)) = self.find(client, address, start_ns) {
            let entry = self.entry_mut(set, way)?;
            entry.until_ns = entry.until_ns.max(end_ns.saturating_add(grace_ns));
            let (name, code) = (entry.name, entry.seen.code(true));
            return Some((self.texts.text(name), code));
        }
        let (set, way) = self.find(ANYBODY, address, start_ns)?;
        let entry = self.entries.get(set)?.get(way)?;
        Some((self.texts.text(entry.name), entry.seen.code(false)))
    }

    /// Every entry with its name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Entry, &str)> + '_ {
        let ways = self.marks.iter().zip(&self.entries);
        ways.flat_map(|(marks, entries)| marks.iter().zip(entries))
            .filter(|(mark, _)| **mark != 0)
            .map(|(_, entry)| (entry, self.texts.text(entry.name)))
    }
}

impl Entry {
    /// The same name, seen again, perhaps earlier.
    fn join(&mut self, again: &Entry) {
        let touches = again.since_ns <= self.until_ns && again.until_ns >= self.since_ns;
        if !touches && again.last_ns > self.last_ns {
            // Between the two the name did not count.
            self.since_ns = again.since_ns;
        } else if touches {
            self.since_ns = self.since_ns.min(again.since_ns);
        }
        if again.last_ns >= self.last_ns {
            self.last_ns = again.last_ns;
            self.until_ns = self.until_ns.max(again.until_ns);
            self.seen = again.seen;
        } else if touches {
            self.until_ns = self.until_ns.max(again.until_ns);
        }
    }
}
