//! What came out of all segments, to be read: values of groups, and of everything outside of some.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use tantivy::columnar::MonotonicallyMappableToU64;

use super::super::local::Sums;
use super::super::metric::MetricKind;
use super::super::output::as_float;
use super::super::plan::Plan;
use super::super::values::{Encoder, Words, ordered_cell};
use super::{BUCKET, GroupKey, Held, Layout, PRESENT, Place, REST, SHARDS, Shard, Total, take_in, without_bucket};
use crate::normalize::columns::ColumnKind;
use crate::normalize::row::Cell;

/// What came out, to be read.
pub struct Answer {
    pub(super) encoders: Arc<Vec<Encoder>>,
    pub(super) shards: Vec<Shard>,
    pub(super) hasher: RandomState,
    pub(super) layout: Layout,
    /// Everything outside some groups, as behind the shards, in one slot.
    pub(super) rest: Option<Shard>,
}

/// Where [`Answer::rest`] is.
const REST_PLACE: Place = Place {
    shard: SHARDS as u32,
    slot: 0,
};

impl Answer {
    /// Nothing yet, for the series of groups that were found here.
    pub fn for_groups(&self, plan: &Plan, groups: &[GroupKey]) -> Total {
        Total::with(plan, Arc::clone(&self.encoders), Some(groups.iter().cloned().collect()))
    }

    /// Every group's place (and bucket's, in a series).
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let width = self.layout.width;
        (0u32..)
            .zip(&self.shards)
            .flat_map(move |(shard, held)| (0..held.groups(width) as u32).map(move |slot| Place { shard, slot }))
    }

    /// How many groups there are (times buckets, in a series).
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.groups(self.layout.width)).sum()
    }

    /// The key of everything outside the groups that are wanted.
    pub fn rest_group(&self) -> GroupKey {
        self.layout.rest()
    }

    /// The bucket of a place, as its key has it.
    pub fn bucket_word(&self, place: Place) -> u64 {
        self.key(place).get(BUCKET).copied().unwrap_or_default()
    }

    fn shard(&self, at: u32) -> Option<&Shard> {
        if at == REST_PLACE.shard {
            self.rest.as_ref()
        } else {
            self.shards.get(at as usize)
        }
    }

    /// Puts together what is outside of `groups`, so that it is found as [`rest_group`](Self::rest_group).
    pub fn put_rest_together(&mut self, plan: &Plan, groups: &[GroupKey]) {
        let wanted: HashSet<Place> = groups.iter().filter_map(|group| self.find(group, None)).collect();
        let nothing = || Held::Sums(Sums::Rows(vec![0]));
        let metrics = 0..plan.metrics.len();
        let sums = metrics
            .map(|at| self.rest_of(at, &wanted).unwrap_or_else(nothing))
            .collect();
        self.rest = Some(Shard {
            table: HashTable::new(),
            keys: Vec::new(),
            sums,
        });
    }

    /// What a metric has outside of some places.
    fn rest_of(&self, metric: usize, wanted: &HashSet<Place>) -> Option<Held> {
        let width = self.layout.width;
        let mut rest: Option<Held> = None;
        let mut seen: HashSet<Words, RandomState> = HashSet::default();
        for (at, shard) in (0u32..).zip(&self.shards) {
            let is_rest = |slot: u32| !wanted.contains(&Place { shard: at, slot });
            match (shard.sums.get(metric)?, &mut rest) {
                (Held::Unique(pairs, _), _) => {
                    seen.extend(pairs.keys().filter(|(slot, _)| is_rest(*slot)).map(|(_, words)| *words));
                    rest = Some(Held::Unique(HashMap::default(), vec![seen.len() as u64]));
                }
                (Held::Sums(sums), rest) => {
                    let held = rest.get_or_insert_with(|| Held::Sums(sums.like()));
                    let Held::Sums(held) = held else { continue };
                    held.grow(1);
                    let slots = 0..shard.groups(width) as u32;
                    take_in(
                        held,
                        sums,
                        slots.filter(|slot| is_rest(*slot)).map(|slot| (slot as usize, 0)),
                    );
                    if let (Sums::All(held), Sums::All(all)) = (held, sums) {
                        held.extend(
                            all.iter()
                                .filter(|(slot, _)| is_rest(*slot))
                                .map(|(_, value)| (0, *value)),
                        );
                    }
                }
            }
        }
        if let Some(Held::Sums(Sums::All(all))) = &mut rest {
            all.sort_unstable();
        }
        rest
    }

    fn key(&self, place: Place) -> &[u64] {
        let width = self.layout.width;
        let first = place.slot as usize * width;
        self.shards
            .get(place.shard as usize)
            .and_then(|shard| shard.keys.get(first..first + width))
            .unwrap_or_default()
    }

    /// The group at a place.
    pub fn group(&self, place: Place) -> GroupKey {
        without_bucket(self.key(place))
    }

    /// A group's place, in a bucket of a series.
    pub fn find(&self, group: &GroupKey, bucket: Option<i64>) -> Option<Place> {
        if self.rest.is_some() && group.get(PRESENT) == Some(&REST) {
            return Some(REST_PLACE);
        }
        let mut key = group.to_vec();
        key.insert(BUCKET, bucket_word(bucket));
        let hash = self.hasher.hash_one(key.as_slice());
        let at = (hash >> 32) as usize % SHARDS;
        let shard = self.shards.get(at)?;
        let width = key.len();
        let of = |slot: &u32| shard.keys.get(*slot as usize * width..(*slot as usize + 1) * width) == Some(&key);
        shard.table.find(hash, of).map(|slot| Place {
            shard: at as u32,
            slot: *slot,
        })
    }

    /// A group's values.
    pub fn group_cells(&self, group: &GroupKey) -> Vec<Option<Cell>> {
        let cells = self.encoders.iter().zip(&self.layout.columns).enumerate();
        cells
            .map(|(at, (encoder, (first, count)))| {
                // The bucket's word is not among them.
                let first = first - 1;
                let is_present = group.get(PRESENT).is_some_and(|present| present >> at & 1 == 1);
                let low = if *count == 2 {
                    group.get(first + 1).copied()
                } else {
                    None
                };
                is_present.then(|| encoder.cell([group.get(first).copied().unwrap_or(0), low.unwrap_or(0)]))
            })
            .collect()
    }

    /// One value of a group.
    pub fn group_cell(&self, place: Place, column: usize) -> Option<Cell> {
        self.group_cells(&self.group(place)).into_iter().nth(column).flatten()
    }

    /// First and last bucket.
    pub fn buckets(&self) -> Option<(i64, i64)> {
        let buckets = || self.places().filter_map(|place| self.key(place).get(BUCKET).copied());
        Some((i64::from_u64(buckets().min()?), i64::from_u64(buckets().max()?)))
    }

    /// The number that a metric came to, of sums also those too large to be shown.
    pub fn float(&self, plan: &Plan, at: usize, place: Option<Place>) -> Option<f64> {
        if let Some(place) = place
            && let MetricKind::Sum(_) = plan.metrics.get(at)?.kind
            && let Held::Sums(Sums::Sum(whole, floats)) = self.shard(place.shard)?.sums.get(at)?
        {
            let slot = place.slot as usize;
            return Some(*whole.get(slot)? as f64 + floats.get(slot)?);
        }
        as_float(&self.metric(plan, at, place)?)
    }

    /// The whole number that a count or a sum came to.
    pub fn whole(&self, at: usize, place: Place) -> Option<u64> {
        let slot = place.slot as usize;
        match self.shard(place.shard)?.sums.get(at)? {
            Held::Sums(Sums::Rows(rows)) => rows.get(slot).copied(),
            Held::Sums(Sums::Sum(whole, _)) => u64::try_from(*whole.get(slot)?).ok(),
            _ => None,
        }
    }

    /// What a metric came to at a place; what it is of nothing without one.
    pub fn metric(&self, plan: &Plan, at: usize, place: Option<Place>) -> Option<Cell> {
        let metric = plan.metrics.get(at)?;
        let in_series = place.filter(|_| plan.interval_ns.is_some());
        let bucket = in_series.map(|place| i64::from_u64(self.bucket_word(place)));
        let (kind, seconds) = (metric.shown().0, plan.seconds(bucket));
        let held = place.and_then(|place| {
            let held = self.shard(place.shard)?.sums.get(at)?;
            Some((held, place.slot))
        });
        let Some((held, slot)) = held else {
            return match &metric.kind {
                MetricKind::Count(_) | MetricKind::Unique(_) => Some(Cell::Number(0)),
                MetricKind::FlowRate | MetricKind::Rate(..) => Some(Cell::Float(0.0)),
                MetricKind::Sum(_) => Some(whole_cell(kind, 0)),
                _ => None,
            };
        };
        value(&metric.kind, kind, held, slot as usize, seconds)
    }
}

/// A bucket as keys have it; without a series there is none.
pub fn bucket_word(bucket: Option<i64>) -> u64 {
    bucket.map_or(0, |bucket| bucket.to_u64())
}

fn whole_cell(kind: ColumnKind, value: i128) -> Cell {
    match kind {
        ColumnKind::Time | ColumnKind::Duration => Cell::Signed(value.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
        ColumnKind::Float => Cell::Float(value as f64),
        _ => Cell::Number(value.clamp(0, u64::MAX.into()) as u64),
    }
}

fn value(kind: &MetricKind, shown: ColumnKind, held: &Held, slot: usize, seconds: f64) -> Option<Cell> {
    let sums = match held {
        Held::Unique(_, counts) => return counts.get(slot).map(|count| Cell::Number(*count)),
        Held::Sums(sums) => sums,
    };
    Some(match (kind, sums) {
        (MetricKind::FlowRate, Sums::Rows(flows)) => Cell::Float(*flows.get(slot)? as f64 / seconds),
        (_, Sums::Rows(flows)) => Cell::Number(*flows.get(slot)?),
        (MetricKind::Rate(_, by), Sums::Sum(whole, _)) => Cell::Float(*whole.get(slot)? as f64 * *by as f64 / seconds),
        // Elements may be whole in one segment and not in the next.
        (_, Sums::Sum(whole, floats)) if shown == ColumnKind::Float => {
            Cell::Float(*whole.get(slot)? as f64 + floats.get(slot)?)
        }
        (_, Sums::Sum(whole, _)) => whole_cell(shown, *whole.get(slot)?),
        (_, Sums::Avg(whole, floats, counts)) => {
            let count = *counts.get(slot).filter(|count| **count > 0)?;
            let mean = (*whole.get(slot)? as f64 + floats.get(slot)?) / count as f64;
            if shown == ColumnKind::Duration {
                Cell::Signed(mean.round() as i64)
            } else {
                Cell::Float(mean)
            }
        }
        (MetricKind::Min(subject) | MetricKind::Max(subject), Sums::Extreme(values, _)) => {
            ordered_cell(subject, (*values.get(slot)?)?)
        }
        (MetricKind::Quantile(subject, share), Sums::All(all)) => {
            let slot = slot as u32;
            let first = all.partition_point(|(group, _)| *group < slot);
            let last = all.partition_point(|(group, _)| *group <= slot);
            let (_, value) = all.get(first..last)?.get(rank(*share, last - first)?)?;
            ordered_cell(subject, *value)
        }
        _ => return None,
    })
}

/// The place of the smallest value that at least `share` of `count` values do not exceed.
fn rank(share: f64, count: usize) -> Option<usize> {
    let place = (share * count as f64 - 1e-9).ceil().max(1.0) as usize;
    (count > 0).then(|| place.min(count) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rank() {
        assert_eq!(rank(0.5, 0), None);
        assert_eq!(rank(0.5, 1), Some(0));
        assert_eq!(rank(0.5, 2), Some(0));
        assert_eq!(rank(0.5, 3), Some(1));
        assert_eq!(rank(0.95, 100), Some(94));
        assert_eq!(rank(0.99, 10), Some(9));
    }
}
