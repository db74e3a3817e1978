//! One section of one window: counters by key, heaviest items, different values or a distribution, that merge and have octets.
//!
//! ```text
//! table    = count (key counters)* counters(other) counters(most of one of them)     key = length octets; counters = 5 varints
//! distinct = count (key length image)* length image(other)
//! spread   = count (key length image)* length image(other)
//! list, quantiles = an Apache image
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::AddAssign;

use flowgauge_sketches::{Cardinality, Item, List, Quantiles, Refusal};
use foldhash::fast::RandomState;

use super::kept::{Family, SectionId};
use crate::limits;

/// A table whose keys are ours.
pub type ByKey<V> = HashMap<Item, V, RandomState>;

/// What is counted for a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Flows.
    pub flows: u64,
    /// Octets from source to destination.
    pub octets: u64,
    /// Packets from source to destination.
    pub packets: u64,
    /// Octets from destination to source.
    pub rev_octets: u64,
    /// Packets from destination to source.
    pub rev_packets: u64,
}

impl AddAssign<&Counters> for Counters {
    #[inline]
    fn add_assign(&mut self, other: &Counters) {
        self.flows = self.flows.saturating_add(other.flows);
        self.octets = self.octets.saturating_add(other.octets);
        self.packets = self.packets.saturating_add(other.packets);
        self.rev_octets = self.rev_octets.saturating_add(other.rev_octets);
        self.rev_packets = self.rev_packets.saturating_add(other.rev_packets);
    }
}

impl Counters {
    /// What decides which keys stay.
    fn weight(&self) -> (u64, u64) {
        (self.octets.saturating_add(self.rev_octets), self.flows)
    }

    /// The larger of each number.
    fn max(&self, other: &Counters) -> Counters {
        Counters {
            flows: self.flows.max(other.flows),
            octets: self.octets.max(other.octets),
            packets: self.packets.max(other.packets),
            rev_octets: self.rev_octets.max(other.rev_octets),
            rev_packets: self.rev_packets.max(other.rev_packets),
        }
    }

    /// Nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Counters::default()
    }

    fn numbers(&self) -> [u64; 5] {
        [self.flows, self.octets, self.packets, self.rev_octets, self.rev_packets]
    }
}

/// Counters by key, and those of keys for which there was no place.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// By key.
    pub rows: ByKey<Counters>,
    /// Of all other keys together.
    pub other: Counters,
    /// What one of them can have at most.
    pub other_most: Counters,
}

impl Table {
    /// Adds to a key while there is room for it.
    #[inline]
    pub fn add(&mut self, key: Item, counters: &Counters, most: usize) {
        let is_full = self.rows.len() >= most;
        match self.rows.entry(key) {
            Entry::Occupied(mut held) => *held.get_mut() += counters,
            Entry::Vacant(_) if is_full => self.add_other(counters),
            Entry::Vacant(place) => {
                place.insert(*counters);
            }
        }
    }

    /// Adds to a key that is not known.
    pub fn add_other(&mut self, counters: &Counters) {
        self.other += counters;
        // All of them may be of the same key.
        self.other_most += counters;
    }

    /// Takes in what another one has.
    pub fn merge(&mut self, other: &Table) {
        for (key, counters) in &other.rows {
            self.add(key.clone(), counters, limits::ROLLUP_MERGED_KEYS);
        }
        self.other += &other.other;
        self.other_most += &other.other_most;
    }

    /// Leaves the heaviest keys; the rest goes to the others.
    fn shrink(&mut self, most: usize) {
        if self.rows.len() <= most {
            return;
        }
        let mut keys: Vec<(Item, Counters)> = self.rows.drain().collect();
        keys.sort_unstable_by(|a, b| {
            let by_weight = b.1.weight().cmp(&a.1.weight());
            by_weight.then_with(|| a.0.octets().cmp(b.0.octets()))
        });
        let mut heaviest = Counters::default();
        for (_, counters) in keys.drain(most..) {
            self.other += &counters;
            heaviest = heaviest.max(&counters);
        }
        // A key may be among the others of before, too.
        self.other_most += &heaviest;
        self.rows.extend(keys);
    }
}

/// Different values by key, and those of keys for which there was no place.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    /// By key.
    pub rows: ByKey<Cardinality>,
    /// Of all other keys together.
    pub other: Cardinality,
}

impl Distinct {
    /// Takes a value of a key in, while there is room for it.
    #[inline]
    pub fn update(&mut self, key: Item, value: &[u8], most: usize) {
        let is_full = self.rows.len() >= most;
        match self.rows.entry(key) {
            Entry::Occupied(mut held) => held.get_mut().update(value),
            Entry::Vacant(_) if is_full => self.other.update(value),
            Entry::Vacant(place) => place.insert(Cardinality::default()).update(value),
        }
    }

    /// Takes values of a key in, while there is room for it.
    pub fn add(&mut self, key: Item, values: &Cardinality, most: usize) {
        let is_full = self.rows.len() >= most;
        match self.rows.entry(key) {
            Entry::Occupied(mut held) => held.get_mut().merge(values),
            Entry::Vacant(_) if is_full => self.other.merge(values),
            Entry::Vacant(place) => {
                place.insert(values.clone());
            }
        }
    }

    /// Takes in what another one has.
    pub fn merge(&mut self, other: &Distinct) {
        for (key, cardinality) in &other.rows {
            self.add(key.clone(), cardinality, limits::ROLLUP_MERGED_KEYS);
        }
        if !other.other.is_empty() {
            self.other.merge(&other.other);
        }
    }

    fn shrink(&mut self, most: usize) {
        if self.rows.len() <= most {
            return;
        }
        let mut keys: Vec<(Item, Cardinality)> = self.rows.drain().collect();
        let weight = |entry: &(Item, Cardinality)| entry.1.estimate().value;
        keys.sort_by(|a, b| {
            weight(b)
                .total_cmp(&weight(a))
                .then_with(|| a.0.octets().cmp(b.0.octets()))
        });
        for (_, cardinality) in keys.drain(most..) {
            self.other.merge(&cardinality);
        }
        self.rows.extend(keys);
    }
}

/// Distributions by key, and that of values of keys for which there was no place.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// By key.
    pub rows: ByKey<Quantiles>,
    /// Of all other keys together.
    pub other: Option<Quantiles>,
}

impl Spread {
    /// Takes a value of a key in, while there is room for it.
    pub fn update(&mut self, key: Item, value: f32, most: usize) {
        let is_full = self.rows.len() >= most;
        match self.rows.entry(key) {
            Entry::Occupied(mut held) => held.get_mut().update(value),
            Entry::Vacant(_) if is_full => self.other.get_or_insert_with(Quantiles::even).update(value),
            Entry::Vacant(place) => place.insert(Quantiles::even()).update(value),
        }
    }

    /// Takes in what another one has.
    fn merge(&mut self, other: &Spread) -> Result<(), Refusal> {
        for (key, quantiles) in &other.rows {
            let is_full = self.rows.len() >= limits::ROLLUP_MERGED_KEYS;
            match self.rows.entry(key.clone()) {
                Entry::Occupied(mut held) => held.get_mut().merge(quantiles)?,
                Entry::Vacant(_) if is_full => join(&mut self.other, quantiles)?,
                Entry::Vacant(place) => {
                    place.insert(quantiles.clone());
                }
            }
        }
        match &other.other {
            Some(others) => join(&mut self.other, others),
            None => Ok(()),
        }
    }

    /// Leaves the keys with the most values; the rest goes to the others.
    fn shrink(&mut self, most: usize) {
        if self.rows.len() <= most {
            return;
        }
        let mut keys: Vec<(Item, Quantiles)> = self.rows.drain().collect();
        keys.sort_unstable_by(|a, b| {
            let by_weight = b.1.weight().cmp(&a.1.weight());
            by_weight.then_with(|| a.0.octets().cmp(b.0.octets()))
        });
        for (_, quantiles) in keys.drain(most..) {
            // Refused only beyond weights that nobody has.
            let _ = join(&mut self.other, &quantiles);
        }
        self.rows.extend(keys);
    }
}

fn join(held: &mut Option<Quantiles>, more: &Quantiles) -> Result<(), Refusal> {
    match held {
        Some(held) => held.merge(more),
        None => {
            *held = Some(more.clone());
            Ok(())
        }
    }
}

/// One section.
#[derive(Clone, Debug)]
pub enum Section {
    /// Counters by key.
    Table(Table),
    /// Heaviest items.
    List(List),
    /// Different values by key.
    Distinct(Distinct),
    /// Distribution of values.
    Quantiles(Quantiles),
    /// Distributions by key.
    Spread(Spread),
}

impl Section {
    /// Takes in what another one has.
    ///
    /// # Errors
    /// When they are of different kinds, or their sums too large.
    pub fn merge(&mut self, other: &Section) -> Result<(), Refusal> {
        match (self, other) {
            (Section::Table(held), Section::Table(other)) => held.merge(other),
            (Section::List(held), Section::List(other)) => held.merge(other)?,
            (Section::Distinct(held), Section::Distinct(other)) => held.merge(other),
            (Section::Quantiles(held), Section::Quantiles(other)) => held.merge(other)?,
            (Section::Spread(held), Section::Spread(other)) => held.merge(other)?,
            _ => return Err(Refusal::Family),
        }
        Ok(())
    }

    /// Its octets; nothing when it holds nothing. What has no place in a file is left to the others first.
    pub fn encode(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match self {
            Section::Table(table) => {
                if table.rows.is_empty() && table.other.is_empty() {
                    return None;
                }
                table.shrink(limits::ROLLUP_TABLE_KEYS);
                put(&mut out, table.rows.len() as u64);
                for (key, counters) in sorted(&table.rows) {
                    put_octets(&mut out, key.octets());
                    counters.numbers().into_iter().for_each(|number| put(&mut out, number));
                }
                let others = table.other.numbers().into_iter().chain(table.other_most.numbers());
                others.for_each(|number| put(&mut out, number));
            }
            Section::List(list) if list.weight() == 0 => return None,
            Section::List(list) => out = list.image(),
            Section::Distinct(distinct) => {
                if distinct.rows.is_empty() && distinct.other.is_empty() {
                    return None;
                }
                distinct.shrink(limits::ROLLUP_DISTINCT_KEYS);
                put(&mut out, distinct.rows.len() as u64);
                for (key, cardinality) in sorted(&distinct.rows) {
                    put_octets(&mut out, key.octets());
                    put_octets(&mut out, &cardinality.image());
                }
                let other = match distinct.other.is_empty() {
                    true => Vec::new(),
                    false => distinct.other.image(),
                };
                put_octets(&mut out, &other);
            }
            Section::Quantiles(quantiles) if quantiles.weight() == 0 => return None,
            Section::Quantiles(quantiles) => out = quantiles.image(),
            Section::Spread(spread) => {
                if spread.rows.is_empty() && spread.other.is_none() {
                    return None;
                }
                spread.shrink(limits::ROLLUP_SPREAD_KEYS);
                put(&mut out, spread.rows.len() as u64);
                for (key, quantiles) in sorted(&spread.rows) {
                    put_octets(&mut out, key.octets());
                    put_octets(&mut out, &quantiles.image());
                }
                let other = spread.other.as_ref().map(Quantiles::image);
                put_octets(&mut out, &other.unwrap_or_default());
            }
        }
        Some(out)
    }

    /// Reads one of a kind that this version knows.
    ///
    /// # Errors
    /// Why it is none of ours.
    pub fn decode(id: SectionId, octets: &[u8]) -> Result<Section, Refusal> {
        match id.family() {
            Some(Family::Table) => decode_table(octets).map(Section::Table),
            Some(Family::List) => List::of_image(octets).map(Section::List),
            Some(Family::Distinct) => decode_distinct(octets).map(Section::Distinct),
            Some(Family::Quantiles) => Quantiles::of_image(octets).map(Section::Quantiles),
            Some(Family::Spread) => decode_spread(octets).map(Section::Spread),
            None => Err(Refusal::Family),
        }
    }
}

/// By key, so that the same content has the same octets.
fn sorted<V>(rows: &ByKey<V>) -> Vec<(&Item, &V)> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_unstable_by(|a, b| a.0.octets().cmp(b.0.octets()));
    rows
}

fn decode_table(octets: &[u8]) -> Result<Table, Refusal> {
    let mut rest = octets;
    let count = take_count(&mut rest, limits::ROLLUP_TABLE_KEYS)?;
    let mut table = Table::default();
    table.rows.reserve(count);
    for _ in 0..count {
        let key = Item::new(take_octets(&mut rest)?);
        table.rows.insert(key, take_counters(&mut rest)?);
    }
    table.other = take_counters(&mut rest)?;
    table.other_most = take_counters(&mut rest)?;
    Ok(table)
}

fn decode_distinct(octets: &[u8]) -> Result<Distinct, Refusal> {
    let mut rest = octets;
    let count = take_count(&mut rest, limits::ROLLUP_DISTINCT_KEYS)?;
    let mut distinct = Distinct::default();
    distinct.rows.reserve(count);
    for _ in 0..count {
        let key = Item::new(take_octets(&mut rest)?);
        let image = take_octets(&mut rest)?;
        distinct.rows.insert(key, Cardinality::of_image(image)?);
    }
    let other = take_octets(&mut rest)?;
    if !other.is_empty() {
        distinct.other = Cardinality::of_image(other)?;
    }
    Ok(distinct)
}

fn decode_spread(octets: &[u8]) -> Result<Spread, Refusal> {
    let mut rest = octets;
    let count = take_count(&mut rest, limits::ROLLUP_SPREAD_KEYS)?;
    let mut spread = Spread::default();
    spread.rows.reserve(count);
    for _ in 0..count {
        let key = Item::new(take_octets(&mut rest)?);
        let image = take_octets(&mut rest)?;
        spread.rows.insert(key, Quantiles::of_image(image)?);
    }
    let other = take_octets(&mut rest)?;
    if !other.is_empty() {
        spread.other = Some(Quantiles::of_image(other)?);
    }
    Ok(spread)
}

/// LEB128.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_octets(out: &mut Vec<u8>, octets: &[u8]) {
    put(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

fn take(rest: &mut &[u8]) -> Result<u64, Refusal> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (octet, behind) = rest.split_first().ok_or(Refusal::Cut)?;
        *rest = behind;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Refusal::Corrupt)
}

fn take_count(rest: &mut &[u8], most: usize) -> Result<usize, Refusal> {
    let count = usize::try_from(take(rest)?).map_err(|_| Refusal::Size)?;
    if count <= most { Ok(count) } else { Err(Refusal::Size) }
}

fn take_octets<'o>(rest: &mut &'o [u8]) -> Result<&'o [u8], Refusal> {
    let length = usize::try_from(take(rest)?).map_err(|_| Refusal::Size)?;
    let (octets, behind) = rest.split_at_checked(length).ok_or(Refusal::Cut)?;
    *rest = behind;
    Ok(octets)
}

fn take_counters(rest: &mut &[u8]) -> Result<Counters, Refusal> {
    Ok(Counters {
        flows: take(rest)?,
        octets: take(rest)?,
        packets: take(rest)?,
        rev_octets: take(rest)?,
        rev_packets: take(rest)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(octets: u64) -> Counters {
        Counters {
            flows: 1,
            octets,
            packets: octets / 100,
            rev_octets: 3,
            rev_packets: 1,
        }
    }

    fn table_of(section: Section) -> Table {
        match section {
            Section::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn distributions_come_back_by_key_and_the_rest_is_together() {
        let mut spread = Spread::default();
        let keys = limits::ROLLUP_SPREAD_KEYS as u64 + 3;
        for key in 0..keys {
            // Those with few values are the first to go.
            for value in 0..=key {
                spread.update(Item::new(&key.to_be_bytes()), value as f32, usize::MAX);
            }
        }
        let mut section = Section::Spread(spread);
        let octets = section.encode().unwrap();
        let Section::Spread(mut read) = Section::decode(SectionId::spread(0), &octets).unwrap() else {
            panic!("{section:?}");
        };
        assert_eq!(read.rows.len(), limits::ROLLUP_SPREAD_KEYS);
        let weight = |quantiles: Option<&Quantiles>| quantiles.map_or(0, Quantiles::weight);
        // 1 + 2 + 3.
        assert_eq!(weight(read.other.as_ref()), 6);
        let last = Item::new(&(keys - 1).to_be_bytes());
        assert_eq!(weight(read.rows.get(&last)), keys);
        read.merge(&read.clone()).unwrap();
        assert_eq!(weight(read.rows.get(&last)), 2 * keys);
        assert_eq!(weight(read.other.as_ref()), 12);
        for cut in (0..octets.len()).step_by(997).chain([octets.len() - 1]) {
            assert!(Section::decode(SectionId::spread(0), &octets[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_table_comes_back_and_what_has_no_place_is_with_the_others() {
        let mut table = Table::default();
        let keys = limits::ROLLUP_TABLE_KEYS as u64 + 10;
        for key in 0..keys {
            table.add(Item::new(&key.to_be_bytes()), &counters(key), usize::MAX);
        }
        let mut section = Section::Table(table);
        let octets = section.encode().unwrap();
        let read = table_of(Section::decode(SectionId::table(1), &octets).unwrap());
        assert_eq!(read.rows.len(), limits::ROLLUP_TABLE_KEYS);
        // The lightest ten.
        assert_eq!((read.other.flows, read.other.octets), (10, 45));
        assert_eq!((read.other_most.flows, read.other_most.octets), (1, 9));
        let octets = |table: &Table| table.rows.values().map(|row| row.octets).sum::<u64>() + table.other.octets;
        assert_eq!(octets(&read), keys * (keys - 1) / 2);
        let held = table_of(section);
        assert_eq!((held.rows, held.other), (read.rows, read.other));
    }

    #[test]
    fn a_full_table_counts_what_comes_with_the_others() {
        let mut table = Table::default();
        for key in 0..5u8 {
            table.add(Item::new(&[key]), &counters(100), 3);
            table.add(Item::new(&[0]), &counters(1), 3);
        }
        assert_eq!(table.rows.len(), 3);
        assert_eq!(table.rows[&Item::new(&[0])].octets, 105);
        assert_eq!((table.other.flows, table.other.octets), (2, 200));
    }

    #[test]
    fn nothing_takes_no_octets_and_no_octets_panic() {
        assert!(Section::Table(Table::default()).encode().is_none());
        assert!(Section::List(List::default()).encode().is_none());
        assert!(Section::Distinct(Distinct::default()).encode().is_none());
        assert!(Section::Quantiles(Quantiles::high()).encode().is_none());
        let mut distinct = Distinct::default();
        distinct.update(Item::new(b"a"), b"1", 1);
        distinct.update(Item::new(b"b"), b"2", 1);
        let mut table = Table::default();
        table.add(Item::new(b"key"), &counters(1 << 40), 9);
        let sections = [
            (SectionId::table(0), Section::Table(table)),
            (SectionId::distinct(0), Section::Distinct(distinct)),
        ];
        for (id, mut section) in sections {
            let octets = section.encode().unwrap();
            assert!(Section::decode(id, &octets).is_ok());
            for cut in 0..octets.len() {
                assert!(Section::decode(id, &octets[..cut]).is_err(), "{cut}");
            }
            for at in 0..octets.len() {
                for flip in [1, 0x80, 0xff] {
                    let mut octets = octets.clone();
                    octets[at] ^= flip;
                    let _ = Section::decode(id, &octets);
                }
            }
        }
    }

    #[test]
    fn distinct_counts_merge() {
        let (mut one, mut two) = (Distinct::default(), Distinct::default());
        for value in 0..1_000u32 {
            one.update(Item::new(b"a"), &value.to_be_bytes(), 8);
            two.update(Item::new(b"a"), &(value + 500).to_be_bytes(), 8);
            two.update(Item::new(b"b"), &value.to_be_bytes(), 8);
        }
        one.merge(&two);
        let estimate = one.rows[&Item::new(b"a")].estimate();
        assert!(estimate.lower <= 1_500.0 && 1_500.0 <= estimate.upper, "{estimate:?}");
        assert_eq!(one.rows.len(), 2);
    }
}
