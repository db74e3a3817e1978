//! Which section of rollups answers for a metric, and what its rows say of groups.

use std::collections::HashMap;

use flowgauge_sketches::{Cardinality, Item, Quantiles};
use foldhash::fast::RandomState;

use super::super::metric::{Metric, MetricKind};
use super::super::plan::Plan;
use super::matching;
use crate::normalize::codes::{KIND_DNS, KIND_FLOW};
use crate::normalize::columns::{ColumnId, id};
use crate::normalize::row::Cell;
use crate::query::Filter;
use crate::query::filter::ast::Subject;
use crate::rollups::kept::{DISTINCTS, LISTS, QUANTILES, SPREADS, TABLES, Weight};
use crate::rollups::key::{KeyWriter, cells};
use crate::rollups::section::Counters;
use crate::rollups::{Section, SectionId};

/// A value and the limits between which the truth is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The likeliest.
    pub value: f64,
    /// The least that it can be.
    pub lower: f64,
    /// The most that it can be.
    pub upper: f64,
}

/// There is no value.
pub const NOTHING: Measured = Measured {
    value: f64::NAN,
    lower: f64::NAN,
    upper: f64::NAN,
};

impl Measured {
    fn within(value: u64, lower: u64, upper: u64) -> Measured {
        Measured {
            value: value as f64,
            lower: lower as f64,
            upper: upper as f64,
        }
    }

    /// There is more than one value that it may be.
    pub fn is_wide(&self) -> bool {
        self.lower < self.upper
    }

    /// How far the value is off at most.
    pub fn off(&self) -> f64 {
        match self.value.is_nan() {
            true => self.upper - self.lower,
            false => (self.upper - self.value).max(self.value - self.lower),
        }
    }

    fn times(self, factor: f64) -> Measured {
        Measured {
            value: self.value * factor,
            lower: self.lower * factor,
            upper: self.upper * factor,
        }
    }
}

/// What is read of a section.
#[derive(Clone, Debug, PartialEq)]
enum Reading {
    /// Sums of these columns; none are flows.
    Counters(Vec<ColumnId>),
    /// Weights of items.
    Weights,
    /// Different values.
    Unique,
    /// The value at a rank.
    Quantile(f64),
}

/// Where a metric comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The section.
    pub section: SectionId,
    /// The columns of its keys.
    key: Vec<ColumnId>,
    reading: Reading,
    /// What a rate multiplies by before it divides by seconds.
    rate: Option<f64>,
}

/// What sections say of groups.
#[derive(Debug, Default)]
pub struct Said {
    /// By group.
    pub groups: HashMap<Item, Measured, RandomState>,
    /// Of a group that is not among them.
    pub absent: Measured,
    /// Of everything that fits, where that can be told.
    pub all: Option<Measured>,
    /// How far the estimate of any group is off at most.
    pub error: f64,
}

/// The columns that are grouped by, if they are no more than columns.
pub fn group_columns(plan: &Plan) -> Option<Vec<ColumnId>> {
    let column = |group: &super::super::plan::Group| match (&group.subject, group.prefix) {
        (Subject::Column(column), None) if group.ends.is_none() => Some(*column),
        _ => None,
    };
    plan.groups.iter().map(column).collect()
}

/// Where a metric comes from, by groups and for a filter; nothing when rollups do not keep it.
pub fn source(metric: &Metric, groups: &[ColumnId], filter: &[ColumnId]) -> Option<Source> {
    let columns = |subjects: &[Subject]| -> Option<Vec<ColumnId>> {
        let counted = [id::OCTETS, id::PACKETS, id::REV_OCTETS, id::REV_PACKETS];
        let column = |subject: &Subject| match subject {
            Subject::Column(column) if counted.contains(column) => Some(*column),
            _ => None,
        };
        subjects.iter().map(column).collect()
    };
    let (reading, rate) = match &metric.kind {
        MetricKind::Count(KIND_FLOW) => (Reading::Counters(Vec::new()), None),
        MetricKind::FlowRate => (Reading::Counters(Vec::new()), Some(1.0)),
        MetricKind::Sum(subjects) => (Reading::Counters(columns(subjects)?), None),
        MetricKind::Rate(subjects, by) => (Reading::Counters(columns(subjects)?), Some(*by as f64)),
        MetricKind::Count(KIND_DNS) => (Reading::Counters(Vec::new()), None),
        MetricKind::Unique(Subject::Column(column)) => {
            let kept = DISTINCTS.iter().find(|kept| {
                let is_key = |column: &ColumnId| *column == kept.key;
                kept.of == *column && groups.iter().chain(filter).all(is_key)
            })?;
            return Some(Source {
                section: SectionId::distinct(kept.number),
                key: vec![kept.key],
                reading: Reading::Unique,
                rate: None,
            });
        }
        MetricKind::Quantile(Subject::Column(column), rank) if groups.is_empty() && filter.is_empty() => {
            let kept = QUANTILES.iter().find(|kept| kept.of == *column)?;
            return Some(Source {
                section: SectionId::quantiles(kept.number),
                key: Vec::new(),
                reading: Reading::Quantile(*rank),
                rate: None,
            });
        }
        MetricKind::Quantile(Subject::Column(column), rank) => {
            let kept = SPREADS.iter().find(|kept| {
                let is_key = |column: &ColumnId| *column == kept.key;
                kept.of == *column && groups.iter().chain(filter).all(is_key)
            })?;
            return Some(Source {
                section: SectionId::spread(kept.number),
                key: vec![kept.key],
                reading: Reading::Quantile(*rank),
                rate: None,
            });
        }
        _ => return None,
    };
    let of = match &metric.kind {
        MetricKind::Count(kind) => *kind,
        _ => KIND_FLOW,
    };
    if let Reading::Counters(_) = &reading {
        let needed = || groups.iter().chain(filter);
        let tables = TABLES
            .iter()
            .filter(|kept| kept.of == of && needed().all(|column| kept.key.contains(column)));
        if let Some(kept) = tables.min_by_key(|kept| kept.key.len()) {
            return Some(Source {
                section: SectionId::table(kept.number),
                key: kept.key.to_vec(),
                reading,
                rate,
            });
        }
    }
    let weight = match &reading {
        Reading::Counters(_) if of == KIND_DNS => Weight::Transactions,
        Reading::Counters(columns) if columns.is_empty() => Weight::Flows,
        Reading::Counters(columns) if columns == &[id::OCTETS] => Weight::Octets,
        Reading::Counters(columns) if columns == &[id::PACKETS] => Weight::Packets,
        Reading::Counters(columns) if columns == &[id::REV_OCTETS] => Weight::RevOctets,
        _ => return None,
    };
    let kept = LISTS.iter().find(|kept| {
        let are_groups = kept.key.len() == groups.len() && groups.iter().all(|group| kept.key.contains(group));
        kept.weight == weight && are_groups && filter.is_empty()
    })?;
    Some(Source {
        section: SectionId::list(kept.number),
        key: kept.key.to_vec(),
        reading: Reading::Weights,
        rate,
    })
}

/// The key of a group.
pub fn group_key(cells: &[Option<Cell>]) -> Item {
    let mut writer = KeyWriter::default();
    writer.begin();
    for cell in cells {
        match cell {
            Some(Cell::Ip(address)) => writer.ip(Some(*address)),
            Some(Cell::Number(number)) => writer.number(Some(*number)),
            Some(Cell::Text(text)) => writer.text(Some(text)),
            _ => writer.ip(None),
        };
    }
    writer.item()
}

impl Source {
    /// Values may be estimates even where nothing was put together.
    pub fn is_sketch(&self) -> bool {
        !matches!(self.reading, Reading::Counters(_))
    }

    /// With which confidence the truth is within the limits.
    pub fn confidence(&self) -> f64 {
        match self.reading {
            Reading::Counters(_) | Reading::Weights => 1.0,
            Reading::Unique | Reading::Quantile(_) => 0.95,
        }
    }

    /// What a section says of groups; rates are of `seconds`.
    pub fn say(&self, section: Option<&Section>, groups: &[ColumnId], filter: Option<&Filter>, seconds: f64) -> Said {
        let places: Vec<Option<usize>> = groups
            .iter()
            .map(|group| self.key.iter().position(|column| column == group))
            .collect();
        let group_of = |key: &Item| -> Option<Item> {
            let cells = cells(key.octets(), self.key.len())?;
            if let Some(filter) = filter
                && !matching::fits(&filter.root, &self.key, &cells)
            {
                return None;
            }
            let group = places.iter().map(|at| cells.get((*at)?).cloned().flatten());
            Some(group_key(&group.collect::<Vec<_>>()))
        };
        let factor = self.rate.map_or(1.0, |by| by / seconds);
        let mut said = Said::default();
        match (section, &self.reading) {
            (Some(Section::Table(table)), Reading::Counters(columns)) => {
                let mut sums: HashMap<Item, Counters, RandomState> = HashMap::default();
                for (key, counters) in &table.rows {
                    if let Some(group) = group_of(key) {
                        *sums.entry(group).or_default() += counters;
                    }
                }
                // A group may have many of the other keys; a key is one of them.
                let is_whole_key = self.key.iter().all(|column| groups.contains(column));
                let other = match is_whole_key {
                    true => sum(&table.other_most, columns),
                    false => sum(&table.other, columns),
                };
                let measured = |value: u64| Measured::within(value, value, value.saturating_add(other)).times(factor);
                let known = sums
                    .values()
                    .map(|held| sum(held, columns))
                    .fold(0, u64::saturating_add);
                let put_together = sum(&table.other, columns);
                let most = known.saturating_add(put_together);
                // Those that were put together fit when everything does.
                let (value, least) = if filter.is_none() { (most, most) } else { (known, known) };
                said.all = Some(Measured::within(value, least, most).times(factor));
                let groups = sums
                    .iter()
                    .map(|(group, held)| (group.clone(), measured(sum(held, columns))));
                said.groups = groups.collect();
                said.absent = measured(0);
                said.error = other as f64 * factor;
            }
            (Some(Section::List(list)), Reading::Weights) => {
                for row in list.rows(usize::MAX) {
                    if let Some(group) = group_of(&row.item) {
                        let [lower, upper] = row.limits;
                        let measured = Measured::within(row.weight, lower, upper).times(factor);
                        said.groups.insert(group, measured);
                    }
                }
                // Lists answer only where there is no filter.
                said.all = Some(Measured::within(list.weight(), list.weight(), list.weight()).times(factor));
                said.absent = Measured::within(0, 0, list.error()).times(factor);
                said.error = list.error() as f64 * factor;
            }
            (Some(Section::Distinct(distinct)), Reading::Unique) => {
                let mut unions: HashMap<Item, Cardinality, RandomState> = HashMap::default();
                for (key, cardinality) in &distinct.rows {
                    let Some(group) = group_of(key) else { continue };
                    match unions.get_mut(&group) {
                        Some(held) => held.merge(cardinality),
                        None => {
                            unions.insert(group, cardinality.clone());
                        }
                    }
                }
                for (group, held) in unions {
                    said.groups.insert(
                        group,
                        unique(&held, &distinct.other, groups.is_empty() && filter.is_none()),
                    );
                }
                said.absent.upper = distinct.other.estimate().upper;
            }
            (None, Reading::Quantile(_)) => said.absent = NOTHING,
            (None, Reading::Counters(_) | Reading::Weights) => said.all = Some(Measured::default()),
            (Some(Section::Spread(spread)), Reading::Quantile(rank)) => {
                said.absent = NOTHING;
                let mut unions: HashMap<Item, Quantiles, RandomState> = HashMap::default();
                for (key, quantiles) in &spread.rows {
                    let Some(group) = group_of(key) else { continue };
                    match unions.get_mut(&group) {
                        // Refused only beyond weights that nobody has.
                        Some(held) => drop(held.merge(quantiles)),
                        None => {
                            unions.insert(group, quantiles.clone());
                        }
                    }
                }
                let measured = |held: &Quantiles| quantile(held, spread.other.as_ref(), *rank);
                let groups = unions.iter().map(|(group, held)| (group.clone(), measured(held)));
                said.groups = groups.collect();
            }
            (Some(Section::Quantiles(quantiles)), Reading::Quantile(rank)) => {
                said.absent = NOTHING;
                if let Some(estimate) = quantiles.estimates(&[*rank]).first() {
                    let measured = Measured {
                        value: estimate.value,
                        lower: estimate.lower,
                        upper: estimate.upper,
                    };
                    said.groups.insert(group_key(&[]), measured);
                }
            }
            _ => {}
        }
        said
    }
}

/// The value at a rank among values of which some may be with the others: those may be the smallest, or the largest.
fn quantile(held: &Quantiles, other: Option<&Quantiles>, rank: f64) -> Measured {
    let estimate = |rank: f64| held.estimates(&[rank.clamp(0.0, 1.0)]).into_iter().next();
    let Some(own) = estimate(rank) else { return NOTHING };
    let mut measured = Measured {
        value: own.value,
        lower: own.lower,
        upper: own.upper,
    };
    let Some(other) = other.filter(|other| other.weight() > 0) else {
        return measured;
    };
    let share = other.weight() as f64 / (held.weight() as f64).max(1.0);
    let (lowest, highest) = (rank - (1.0 - rank) * share, rank + rank * share);
    let [least, most] = match (held.extremes(), other.extremes()) {
        (Some(held), Some(other)) => [held[0].min(other[0]), held[1].max(other[1])],
        (held, other) => held.or(other).unwrap_or([own.lower, own.upper]),
    };
    measured.lower = match estimate(lowest).filter(|_| lowest > 0.0) {
        Some(found) => found.lower,
        None => least,
    };
    measured.upper = match estimate(highest).filter(|_| highest < 1.0) {
        Some(found) => found.upper,
        None => most,
    };
    measured
}

/// Those of the others may be of any key, and are of everything.
fn unique(held: &Cardinality, other: &Cardinality, is_all: bool) -> Measured {
    let own = held.estimate();
    if other.is_empty() {
        return Measured {
            value: own.value,
            lower: own.lower,
            upper: own.upper,
        };
    }
    let mut both = held.clone();
    both.merge(other);
    let both = both.estimate();
    Measured {
        value: if is_all { both.value } else { own.value },
        lower: if is_all { both.lower } else { own.lower },
        upper: both.upper.max(own.upper),
    }
}

fn sum(counters: &Counters, columns: &[ColumnId]) -> u64 {
    if columns.is_empty() {
        return counters.flows;
    }
    let value = |column: &ColumnId| match *column {
        id::OCTETS => counters.octets,
        id::PACKETS => counters.packets,
        id::REV_OCTETS => counters.rev_octets,
        id::REV_PACKETS => counters.rev_packets,
        _ => 0,
    };
    columns.iter().map(value).fold(0, u64::saturating_add)
}
