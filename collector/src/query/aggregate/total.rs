//! Groups and sums of all segments: what each segment gathered, by values instead of codes.

use std::cmp::Ordering;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::super::QueryError;
use super::super::order::compare_cells;
use super::local::{Local, Sums, too_many_groups, too_many_values};
use super::metric::MetricKind;
use super::plan::Plan;
use super::values::{Reader, Values};
use crate::limits;
use crate::normalize::columns::ColumnKind;
use crate::normalize::row::Cell;

/// Numbers of the values a group has, `ABSENT` where it has none.
pub type Key = Box<[u32]>;
const ABSENT: u32 = u32::MAX;

/// What was added up for one metric and one cell.
#[derive(Clone, Debug)]
enum Sum {
    Flows(u64),
    Added(i128, f64),
    Avg(i128, f64, u64),
    Extreme(Option<Cell>),
    Unique(u64),
    All(Vec<f64>, Vec<i128>),
}

/// Everything of a query.
pub struct Total {
    keys: Vec<Values>,
    uniques: Vec<Option<Unique>>,
    groups: HashMap<Key, u32, RandomState>,
    group_keys: Vec<Key>,
    cells: HashMap<(u32, i64), u32, RandomState>,
    sums: Vec<Vec<Sum>>,
    values: usize,
    /// Only these groups are taken, when they are known already.
    only: bool,
}

impl Total {
    /// Nothing yet.
    pub fn new(plan: &Plan) -> Self {
        let unique = |kind: &MetricKind| match kind {
            MetricKind::Unique(subject) => Some((Values::new(subject, None), HashMap::default())),
            _ => None,
        };
        Self {
            keys: plan
                .groups
                .iter()
                .map(|group| Values::new(&group.subject, group.prefix))
                .collect(),
            uniques: plan.metrics.iter().map(|metric| unique(&metric.kind)).collect(),
            groups: HashMap::default(),
            group_keys: Vec::new(),
            cells: HashMap::default(),
            sums: vec![Vec::new(); plan.metrics.len()],
            values: 0,
            only: false,
        }
    }

    /// Nothing yet, for the series of groups that are known by their values, in order.
    pub fn for_groups(plan: &Plan, groups: &[Vec<Option<Cell>>]) -> Self {
        let mut total = Self::new(plan);
        for values in groups {
            let key: Key = total
                .keys
                .iter_mut()
                .zip(values)
                .map(|(held, cell)| cell.clone().map_or(ABSENT, |cell| held.number(cell)))
                .collect();
            let number = total.group_keys.len() as u32;
            total.groups.insert(key.clone(), number);
            total.group_keys.push(key);
        }
        total.only = true;
        total
    }

    /// Takes in what a segment gathered.
    pub fn add(&mut self, local: &Local<'_>, plan: &Plan) -> Result<(), QueryError> {
        let store_error = |error: std::io::Error| QueryError::Store {
            detail: error.to_string(),
        };
        let numbers = self.key_numbers(local).map_err(store_error)?;
        // The cell of each local group, none for groups that are not wanted.
        let mut cells = Vec::with_capacity(local.groups.len());
        for (at, group) in local.groups.iter().enumerate() {
            let key: Key = numbers.iter().filter_map(|column| column.get(at).copied()).collect();
            cells.push(self.cell(key, group.bucket)?);
        }
        for (at, metric) in plan.metrics.iter().enumerate() {
            let (Some(sums), Some(local_sums), Some(readers)) =
                (self.sums.get_mut(at), local.sums.get(at), local.metrics.get(at))
            else {
                continue;
            };
            sums.resize_with(self.cells.len(), || empty(&metric.kind));
            let unique = self.uniques.get_mut(at).and_then(Option::as_mut);
            self.values += take_in(sums, local_sums, readers, &cells, unique).map_err(store_error)?;
        }
        if self.values > limits::VALUES_PER_AGGREGATE {
            return Err(too_many_values());
        }
        Ok(())
    }

    /// For each column the number of every local group's value; equal codes are decoded once.
    fn key_numbers(&mut self, local: &Local<'_>) -> std::io::Result<Vec<Vec<u32>>> {
        let mut all = Vec::with_capacity(self.keys.len());
        for ((values, reader), at) in self.keys.iter_mut().zip(&local.keys).zip(0..) {
            let mut known: HashMap<(u8, u64), u32, RandomState> = HashMap::default();
            let mut numbers = Vec::with_capacity(local.groups.len());
            for group in &local.groups {
                let number = match group.key.get(at).copied().flatten() {
                    None => ABSENT,
                    Some(code) => match known.get(&code) {
                        Some(number) => *number,
                        None => {
                            let number = values.number(reader.cell(code)?);
                            known.insert(code, number);
                            number
                        }
                    },
                };
                numbers.push(number);
            }
            all.push(numbers);
        }
        Ok(all)
    }

    fn cell(&mut self, key: Key, bucket: i64) -> Result<Option<u32>, QueryError> {
        let group = match self.groups.get(&key) {
            Some(group) => *group,
            None if self.only => return Ok(None),
            None => {
                let group = self.group_keys.len() as u32;
                self.groups.insert(key.clone(), group);
                self.group_keys.push(key);
                group
            }
        };
        let next = self.cells.len() as u32;
        let cell = *self.cells.entry((group, bucket)).or_insert(next);
        if self.cells.len() > limits::GROUPS_PER_AGGREGATE {
            return Err(too_many_groups());
        }
        Ok(Some(cell))
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.group_keys.len()
    }

    /// A group's values, as they were or as they are shown.
    pub fn group_cells(&self, group: usize) -> Vec<Option<Cell>> {
        let Some(key) = self.group_keys.get(group) else {
            return Vec::new();
        };
        self.keys
            .iter()
            .zip(key.iter())
            .map(|(values, number)| values.cell(*number))
            .collect()
    }

    /// A group's values before prefixes became text.
    pub fn raw_group_cells(&self, group: usize) -> Vec<Option<Cell>> {
        let Some(key) = self.group_keys.get(group) else {
            return Vec::new();
        };
        self.keys
            .iter()
            .zip(key.iter())
            .map(|(values, number)| values.raw_cell(*number))
            .collect()
    }

    /// First and last bucket.
    pub fn buckets(&self) -> Option<(i64, i64)> {
        let first = self.cells.keys().map(|(_, bucket)| *bucket).min()?;
        let last = self.cells.keys().map(|(_, bucket)| *bucket).max()?;
        Some((first, last))
    }

    /// Puts values in order, so that metrics can be read.
    pub fn finish(&mut self) {
        for sums in &mut self.sums {
            for sum in sums {
                if let Sum::All(floats, whole) = sum {
                    floats.sort_by(f64::total_cmp);
                    whole.sort_unstable();
                }
            }
        }
    }

    /// What a metric came to for a group and bucket; what it is of nothing when there is no such cell.
    pub fn metric(&self, plan: &Plan, at: usize, group: usize, bucket: i64) -> Option<Cell> {
        let metric = plan.metrics.get(at)?;
        let cell = self.cells.get(&(u32::try_from(group).ok()?, bucket));
        let nothing = empty(&metric.kind);
        let sum = cell
            .and_then(|cell| self.sums.get(at)?.get(*cell as usize))
            .unwrap_or(&nothing);
        value(&metric.kind, metric.shown().0, sum, plan.seconds())
    }
}

fn empty(kind: &MetricKind) -> Sum {
    match kind {
        MetricKind::Flows | MetricKind::FlowRate => Sum::Flows(0),
        MetricKind::Sum(_) | MetricKind::Rate(..) => Sum::Added(0, 0.0),
        MetricKind::Avg(_) => Sum::Avg(0, 0.0, 0),
        MetricKind::Min(_) | MetricKind::Max(_) => Sum::Extreme(None),
        MetricKind::Unique(_) => Sum::Unique(0),
        MetricKind::Quantile(..) => Sum::All(Vec::new(), Vec::new()),
    }
}

type Unique = (Values, HashMap<(u32, u32), (), RandomState>);

/// Adds a segment's sums; returns how many values are held because of it.
fn take_in(
    sums: &mut [Sum],
    local: &Sums,
    readers: &[Reader<'_>],
    cells: &[Option<u32>],
    unique: Option<&mut Unique>,
) -> std::io::Result<usize> {
    let cell_of = |group: usize| cells.get(group).copied().flatten();
    let reader = readers.first();
    let mut held = 0;
    match local {
        Sums::Flows(flows) => each(sums, cells, flows.iter(), |sum, flows| {
            if let Sum::Flows(slot) = sum {
                *slot += flows;
            }
        }),
        Sums::Sum(whole, floats) => each(sums, cells, whole.iter().zip(floats), |sum, (whole, float)| {
            if let Sum::Added(slot, float_slot) = sum {
                *slot += whole;
                *float_slot += float;
            }
        }),
        Sums::Avg(whole, floats, counts) => {
            each(
                sums,
                cells,
                whole.iter().zip(floats).zip(counts),
                |sum, ((whole, float), count)| {
                    if let Sum::Avg(slot, float_slot, count_slot) = sum {
                        *slot += whole;
                        *float_slot += float;
                        *count_slot += count;
                    }
                },
            );
        }
        Sums::Extreme(codes, largest) => {
            for (group, code) in codes.iter().enumerate() {
                let (Some(cell), Some(code), Some(reader)) = (cell_of(group), code, reader) else {
                    continue;
                };
                let value = reader.cell(*code)?;
                if let Some(Sum::Extreme(slot)) = sums.get_mut(cell as usize) {
                    let wanted = if *largest { Ordering::Greater } else { Ordering::Less };
                    if slot
                        .as_ref()
                        .is_none_or(|held| compare_cells(&value, held) == Some(wanted))
                    {
                        *slot = Some(value);
                    }
                }
            }
        }
        Sums::Unique(seen) => {
            let (Some((values, pairs)), Some(reader)) = (unique, reader) else {
                return Ok(0);
            };
            let mut known: HashMap<(u8, u64), u32, RandomState> = HashMap::default();
            for (group, code) in seen.keys() {
                let Some(cell) = cell_of(*group as usize) else { continue };
                let number = match known.get(code) {
                    Some(number) => *number,
                    None => {
                        let number = values.number(reader.cell(*code)?);
                        known.insert(*code, number);
                        number
                    }
                };
                if pairs.insert((cell, number), ()).is_none() {
                    held += 1;
                    if let Some(Sum::Unique(slot)) = sums.get_mut(cell as usize) {
                        *slot += 1;
                    }
                }
            }
        }
        Sums::All(all) => {
            let Some(reader) = reader else { return Ok(0) };
            for (group, code) in all {
                let Some(Sum::All(floats, whole)) =
                    cell_of(*group as usize).and_then(|cell| sums.get_mut(cell as usize))
                else {
                    continue;
                };
                match (reader.whole(*code), reader.float(*code)) {
                    (Some(value), _) => whole.push(value),
                    (None, Some(value)) => floats.push(value),
                    (None, None) => continue,
                }
                held += 1;
            }
        }
    }
    Ok(held)
}

fn each<T>(sums: &mut [Sum], cells: &[Option<u32>], values: impl Iterator<Item = T>, mut add: impl FnMut(&mut Sum, T)) {
    for (cell, value) in cells.iter().zip(values) {
        if let Some(sum) = cell.and_then(|cell| sums.get_mut(cell as usize)) {
            add(sum, value);
        }
    }
}

fn whole_cell(kind: ColumnKind, value: i128) -> Cell {
    match kind {
        ColumnKind::Time | ColumnKind::Duration => Cell::Signed(value.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
        ColumnKind::Float => Cell::Float(value as f64),
        _ => Cell::Number(value.clamp(0, u64::MAX.into()) as u64),
    }
}

fn value(kind: &MetricKind, shown: ColumnKind, sum: &Sum, seconds: f64) -> Option<Cell> {
    Some(match (kind, sum) {
        (MetricKind::FlowRate, Sum::Flows(flows)) => Cell::Float(*flows as f64 / seconds),
        (_, Sum::Flows(flows)) => Cell::Number(*flows),
        (_, Sum::Unique(values)) => Cell::Number(*values),
        (MetricKind::Rate(_, by), Sum::Added(whole, _)) => Cell::Float(*whole as f64 * *by as f64 / seconds),
        // Elements may be whole in one segment and not in the next.
        (_, Sum::Added(whole, floats)) if shown == ColumnKind::Float => Cell::Float(*whole as f64 + floats),
        (_, Sum::Added(whole, _)) => whole_cell(shown, *whole),
        (_, Sum::Avg(_, _, 0)) => return None,
        (_, Sum::Avg(whole, floats, count)) => {
            let mean = (*whole as f64 + floats) / *count as f64;
            if shown == ColumnKind::Duration {
                Cell::Signed(mean.round() as i64)
            } else {
                Cell::Float(mean)
            }
        }
        (_, Sum::Extreme(cell)) => cell.clone()?,
        (MetricKind::Quantile(_, share), Sum::All(floats, whole)) => {
            if floats.is_empty() {
                return whole
                    .get(rank(*share, whole.len())?)
                    .map(|value| whole_cell(shown, *value));
            }
            let mut all: Vec<f64> = whole
                .iter()
                .map(|value| *value as f64)
                .chain(floats.iter().copied())
                .collect();
            all.sort_by(f64::total_cmp);
            Cell::Float(*all.get(rank(*share, all.len())?)?)
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
