//! Groups and sums of all segments: what each segment gathered, by values instead of codes.
//!
//! Groups are spread over shards by their hash, each behind its own lock, so that threads put segments together at
//! the same time.

mod answer;

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};

use super::super::QueryError;
use super::keys::too_many_groups;
use super::local::{Local, Sums, extreme, too_many_values};
use super::metric::MetricKind;
use super::plan::Plan;
use super::values::{Encoder, Words};
use crate::limits;
pub use answer::{Answer, bucket_word};

/// Shards, a power of two.
const SHARDS: usize = 16;

/// A group's columns in words, without its bucket.
pub type GroupKey = Box<[u64]>;

/// Where a group's sums are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    shard: u32,
    slot: u32,
}

/// Everything of a query.
pub struct Total {
    encoders: Arc<Vec<Encoder>>,
    uniques: Vec<Option<Encoder>>,
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    layout: Layout,
    cells: AtomicUsize,
    values: AtomicUsize,
    only: Option<HashSet<GroupKey>>,
    /// What is not among `only` is one group together.
    keeps_rest: bool,
}

/// Where a key's parts are: which columns are there, the bucket, then each column's words.
#[derive(Clone, Debug)]
struct Layout {
    /// First word and number of words of each column.
    columns: Vec<(usize, usize)>,
    width: usize,
}

const PRESENT: usize = 0;
const BUCKET: usize = 1;
/// In the word that says which columns are there: this is everything outside the groups that are wanted.
const REST: u64 = 1 << 63;

impl Layout {
    /// The key of everything outside the groups that are wanted.
    fn rest(&self) -> GroupKey {
        let mut key = vec![0; self.width - 1];
        if let Some(present) = key.get_mut(PRESENT) {
            *present = REST;
        }
        key.into()
    }

    fn new(encoders: &[Encoder]) -> Self {
        let mut width = BUCKET + 1;
        let mut columns = Vec::with_capacity(encoders.len());
        for encoder in encoders {
            let words = if matches!(encoder, Encoder::Ip(_)) { 2 } else { 1 };
            columns.push((width, words));
            width += words;
        }
        Self { columns, width }
    }
}

/// A part of all groups.
struct Shard {
    table: HashTable<u32>,
    keys: Vec<u64>,
    sums: Vec<Held>,
}

/// What is held of one metric, one slot a group.
enum Held {
    Sums(Sums),
    Unique(HashMap<(u32, Words), (), RandomState>, Vec<u64>),
}

impl Shard {
    fn groups(&self, width: usize) -> usize {
        self.keys.len() / width
    }

    fn slot(&mut self, hash: u64, key: &[u64], hasher: &RandomState) -> (u32, bool) {
        let width = key.len();
        let of = |keys: &[u64], slot: u32, wanted: &[u64]| {
            keys.get(slot as usize * width..(slot as usize + 1) * width) == Some(wanted)
        };
        if let Some(slot) = self.table.find(hash, |slot| of(&self.keys, *slot, key)) {
            return (*slot, false);
        }
        let slot = (self.keys.len() / width) as u32;
        self.keys.extend_from_slice(key);
        let keys = &self.keys;
        self.table.insert_unique(hash, slot, |slot| {
            hasher.hash_one(
                keys.get(*slot as usize * width..(*slot as usize + 1) * width)
                    .unwrap_or_default(),
            )
        });
        (slot, true)
    }
}

impl Total {
    /// Nothing yet.
    pub fn new(plan: &Plan) -> Self {
        let encoders = plan
            .groups
            .iter()
            .map(|group| Encoder::new(&group.subject, group.prefix))
            .collect();
        Self::with(plan, Arc::new(encoders), None)
    }

    fn with(plan: &Plan, encoders: Arc<Vec<Encoder>>, only: Option<HashSet<GroupKey>>) -> Self {
        let unique = |kind: &MetricKind| match kind {
            MetricKind::Unique(subject) => Some(Encoder::new(subject, None)),
            _ => None,
        };
        let held = |kind: &MetricKind| match kind {
            MetricKind::Unique(_) => Held::Unique(HashMap::default(), Vec::new()),
            kind => Held::Sums(Sums::new(kind)),
        };
        let shard = || Shard {
            table: HashTable::new(),
            keys: Vec::new(),
            sums: plan.metrics.iter().map(|metric| held(&metric.kind)).collect(),
        };
        Self {
            layout: Layout::new(&encoders),
            encoders,
            uniques: plan.metrics.iter().map(|metric| unique(&metric.kind)).collect(),
            shards: (0..SHARDS).map(|_| Mutex::new(shard())).collect(),
            hasher: RandomState::default(),
            cells: AtomicUsize::new(0),
            values: AtomicUsize::new(0),
            keeps_rest: only.is_some() && plan.needs_rest(),
            only,
        }
    }

    /// Takes in what a segment gathered.
    pub fn add(&self, local: &Local<'_>, plan: &Plan) -> Result<(), QueryError> {
        let store_error = |error: io::Error| QueryError::Store {
            detail: error.to_string(),
        };
        let mut keys = self.keys_of(local, plan).map_err(store_error)?;
        let places = self.places(&mut keys, local)?;
        let mut values = 0;
        for (at, (sums, readers)) in local.sums.iter().zip(&local.metrics).enumerate() {
            match (sums, self.uniques.get(at), readers.first()) {
                (Sums::Unique(seen), Some(Some(encoder)), Some(reader)) => {
                    let codes: Vec<_> = seen.keys().map(|(_, code)| Some(*code)).collect();
                    let words = encoder.words(reader, &codes).map_err(store_error)?;
                    let pairs = seen.keys().zip(words).filter_map(|((group, _), words)| {
                        Some((places.get(*group as usize).copied().flatten()?, words?))
                    });
                    values += self.add_unique(at, pairs);
                }
                (Sums::All(all), ..) => values += self.add_all(at, all, &places),
                _ => {}
            }
        }
        if self.values.fetch_add(values, Ordering::Relaxed) + values > limits::VALUES_PER_AGGREGATE {
            return Err(too_many_values());
        }
        Ok(())
    }

    /// Keys of all local groups, beside each other.
    fn keys_of(&self, local: &Local<'_>, plan: &Plan) -> io::Result<Vec<u64>> {
        let width = self.layout.width;
        let mut keys = vec![0u64; local.keys.len() * width];
        let mut part = 0;
        if plan.interval_ns.is_some() {
            for (key, code) in keys.chunks_mut(width).zip(local.keys.codes(0)) {
                if let (Some(word), Some((_, bucket))) = (key.get_mut(BUCKET), code) {
                    *word = bucket;
                }
            }
            part = 1;
        }
        let columns = self.encoders.iter().zip(&local.readers).zip(&self.layout.columns);
        for (at, ((encoder, reader), (first, count))) in columns.enumerate() {
            let words = encoder.words(reader, &local.keys.codes(part + at))?;
            for (key, words) in keys.chunks_mut(width).zip(words) {
                let Some(words) = words else { continue };
                for (slot, word) in key.iter_mut().skip(*first).take(*count).zip(words) {
                    *slot = word;
                }
                if let Some(present) = key.get_mut(PRESENT) {
                    *present |= 1 << at;
                }
            }
        }
        Ok(keys)
    }

    /// Finds every local group's place and adds its sums there; none for groups that are not wanted.
    fn places(&self, keys: &mut [u64], local: &Local<'_>) -> Result<Vec<Option<Place>>, QueryError> {
        let width = self.layout.width;
        let mut by_shard: Vec<Vec<(u32, u64)>> = vec![Vec::new(); SHARDS];
        for (group, key) in (0u32..).zip(keys.chunks_mut(width)) {
            if self
                .only
                .as_ref()
                .is_some_and(|only| !only.contains(&without_bucket(key)))
            {
                if !self.keeps_rest {
                    continue;
                }
                make_rest(key);
            }
            let hash = self.hasher.hash_one(&*key);
            if let Some(shard) = by_shard.get_mut((hash >> 32) as usize % SHARDS) {
                shard.push((group, hash));
            }
        }
        let mut places = vec![None; local.keys.len()];
        for ((at, groups), shard) in (0u32..).zip(&by_shard).zip(&self.shards) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let mut fresh = 0;
            for (group, hash) in groups {
                let key = keys
                    .get(*group as usize * width..(*group as usize + 1) * width)
                    .unwrap_or_default();
                let (slot, is_fresh) = shard.slot(*hash, key, &self.hasher);
                fresh += usize::from(is_fresh);
                if let Some(place) = places.get_mut(*group as usize) {
                    *place = Some(Place { shard: at, slot });
                }
            }
            let slots = shard.groups(width);
            for (held, local) in shard.sums.iter_mut().zip(&local.sums) {
                match held {
                    Held::Sums(sums) => {
                        sums.grow(slots);
                        let pairs = groups.iter().filter_map(|(group, _)| {
                            let place = places.get(*group as usize).copied().flatten()?;
                            Some((*group as usize, place.slot as usize))
                        });
                        take_in(sums, local, pairs);
                    }
                    Held::Unique(_, counts) => counts.resize(slots, 0),
                }
            }
            drop(shard);
            if self.cells.fetch_add(fresh, Ordering::Relaxed) + fresh > limits::GROUPS_PER_AGGREGATE {
                return Err(too_many_groups());
            }
        }
        Ok(places)
    }

    fn add_unique(&self, metric: usize, pairs: impl Iterator<Item = (Place, Words)>) -> usize {
        let mut by_shard: Vec<Vec<(u32, Words)>> = vec![Vec::new(); SHARDS];
        for (place, words) in pairs {
            if let Some(shard) = by_shard.get_mut(place.shard as usize) {
                shard.push((place.slot, words));
            }
        }
        let mut fresh = 0;
        for (pairs, shard) in by_shard.iter().zip(&self.shards).filter(|(pairs, _)| !pairs.is_empty()) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(Held::Unique(seen, counts)) = shard.sums.get_mut(metric) else {
                continue;
            };
            for (slot, words) in pairs {
                if seen.insert((*slot, *words), ()).is_none() {
                    fresh += 1;
                    if let Some(count) = counts.get_mut(*slot as usize) {
                        *count += 1;
                    }
                }
            }
        }
        fresh
    }

    fn add_all(&self, metric: usize, all: &[(u32, u64)], places: &[Option<Place>]) -> usize {
        let mut by_shard: Vec<Vec<(u32, u64)>> = vec![Vec::new(); SHARDS];
        for (group, value) in all {
            let Some(place) = places.get(*group as usize).copied().flatten() else {
                continue;
            };
            if let Some(shard) = by_shard.get_mut(place.shard as usize) {
                shard.push((place.slot, *value));
            }
        }
        let mut added = 0;
        for (values, shard) in by_shard.into_iter().zip(&self.shards) {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Held::Sums(Sums::All(held))) = shard.sums.get_mut(metric) {
                added += values.len();
                held.extend(values);
            }
        }
        added
    }

    /// Puts everything in order, so that it can be read.
    pub fn finish(self) -> Answer {
        let shards = self.shards.into_iter().map(|shard| {
            let mut shard = shard.into_inner().unwrap_or_else(PoisonError::into_inner);
            for held in &mut shard.sums {
                if let Held::Sums(Sums::All(all)) = held {
                    all.sort_unstable();
                }
            }
            shard
        });
        Answer {
            encoders: self.encoders,
            shards: shards.collect(),
            hasher: self.hasher,
            layout: self.layout,
            rest: None,
        }
    }
}

/// Makes a key that of everything outside the groups that are wanted, in its bucket.
fn make_rest(key: &mut [u64]) {
    for (at, word) in key.iter_mut().enumerate() {
        *word = match at {
            PRESENT => REST,
            BUCKET => *word,
            _ => 0,
        };
    }
}

fn without_bucket(key: &[u64]) -> GroupKey {
    key.iter()
        .enumerate()
        .filter(|(at, _)| *at != BUCKET)
        .map(|(_, word)| *word)
        .collect()
}

/// Adds local groups to slots.
fn take_in(held: &mut Sums, local: &Sums, pairs: impl Iterator<Item = (usize, usize)>) {
    match (held, local) {
        (Sums::Rows(held), Sums::Rows(local)) => {
            for (group, slot) in pairs {
                if let (Some(held), Some(flows)) = (held.get_mut(slot), local.get(group)) {
                    *held += flows;
                }
            }
        }
        (Sums::Sum(held, held_floats), Sums::Sum(local, floats)) => {
            for (group, slot) in pairs {
                add_pair(held, held_floats, slot, local, floats, group);
            }
        }
        (Sums::Avg(held, held_floats, counts), Sums::Avg(local, floats, local_counts)) => {
            for (group, slot) in pairs {
                add_pair(held, held_floats, slot, local, floats, group);
                if let (Some(held), Some(count)) = (counts.get_mut(slot), local_counts.get(group)) {
                    *held += count;
                }
            }
        }
        (Sums::Extreme(held, largest), Sums::Extreme(local, _)) => {
            for (group, slot) in pairs {
                if let (Some(held), Some(Some(value))) = (held.get_mut(slot), local.get(group)) {
                    *held = Some(extreme(*held, *value, *largest));
                }
            }
        }
        _ => {}
    }
}

fn add_pair(held: &mut [i128], held_floats: &mut [f64], slot: usize, whole: &[i128], floats: &[f64], group: usize) {
    if let (Some(held), Some(value)) = (held.get_mut(slot), whole.get(group)) {
        *held += value;
    }
    if let (Some(held), Some(value)) = (held_floats.get_mut(slot), floats.get(group)) {
        *held += value;
    }
}
