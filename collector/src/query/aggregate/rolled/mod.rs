//! Answers from rollups: where flows are gone, or nobody wants to wait for them.
//!
//! A group is what tables, lists and sketches of all windows say of it together; what they cannot say exactly comes with
//! the limits between which it is.

mod matching;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flowgauge_sketches::Item;

use super::metric::Metric;
use super::plan::{OrderBy, Plan, auto_width};
use super::{AggregateRequest, Interval, buckets_of, compare_keys, table_columns};
use crate::limits;
use crate::normalize::columns::{ColumnId, ColumnKind};
use crate::normalize::row::{Cell, cut};
use crate::query::order::total_order;
use crate::query::table::{TableColumn, TableRow};
use crate::query::{QueryError, QueryStats, Table, Watch};
use crate::rollups::key::cells;
use crate::rollups::{Asked, Resolution, RollupFile, Section, SectionId, Selected, Tier, select};
use crate::store::Snapshot;
use source::{Measured, Said, Source, group_columns, group_key, source};

/// What answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TierAsked {
    /// Flows as long as they are there, rollups for times beyond.
    #[default]
    Auto,
    /// Flows.
    Raw,
    /// Rollups, as fine as the ends of the time asked about need.
    Rollup,
    /// Rollups, windows of a tier.
    Only(Tier),
}

/// Names of [`TierAsked`].
pub const TIERS: [&str; 6] = ["auto", "raw", "rollup", "minute", "hour", "day"];

impl TierAsked {
    /// Reads a name.
    ///
    /// # Errors
    /// What there is instead.
    pub fn parse(text: &str) -> Result<TierAsked, QueryError> {
        Ok(match text {
            "auto" => TierAsked::Auto,
            "raw" => TierAsked::Raw,
            "rollup" => TierAsked::Rollup,
            _ => match Tier::ALL.into_iter().find(|tier| tier.as_str() == text) {
                Some(tier) => TierAsked::Only(tier),
                None => {
                    let nearest = crate::failure::nearest(text, TIERS.iter().copied()).map(str::to_owned);
                    let detail = format!("there is no tier {:?}; use {}", cut(text, 24), TIERS.join(", "));
                    return Err(wrong("tier", detail, nearest));
                }
            },
        })
    }
}

fn wrong(parameter: &'static str, detail: String, nearest: Option<String>) -> QueryError {
    QueryError::Request {
        parameter,
        detail,
        nearest,
    }
}

/// A request that rollups can answer.
struct Question<'r> {
    request: &'r AggregateRequest,
    plan: Plan,
    groups: Vec<ColumnId>,
    sources: Vec<Source>,
}

/// What sections say of one bucket.
type Bucket = BTreeMap<SectionId, Section>;

/// What rollups have to say.
pub enum Rolled {
    /// The answer.
    Answer(Box<Table>),
    /// Flows are to answer; why it is about less than was asked, if it is.
    Flows(Option<String>),
}

/// Answers from rollups, if they are to.
pub fn answer(
    snapshot: &Snapshot,
    request: &AggregateRequest,
    plan: &Plan,
    watch: &Watch,
) -> Result<Rolled, QueryError> {
    match request.tier {
        TierAsked::Raw => return Ok(Rolled::Flows(None)),
        TierAsked::Auto if !reaches_beyond_flows(snapshot, plan) => return Ok(Rolled::Flows(None)),
        _ => {}
    }
    match understand(request, plan) {
        Ok(asked) => asked
            .answer(snapshot.rollups(), watch)
            .map(|table| Rolled::Answer(Box::new(table))),
        Err(QueryError::Request { detail, .. }) if request.tier == TierAsked::Auto => {
            let hint = format!("only of flows that are still kept, and older ones are gone: {detail}");
            Ok(Rolled::Flows(Some(hint)))
        }
        Err(error) => Err(error),
    }
}

/// There are rollups, of the time asked about, of rows that are here no more.
fn reaches_beyond_flows(snapshot: &Snapshot, plan: &Plan) -> bool {
    let first_row = snapshot.first_row();
    snapshot.rollups().iter().map(|file| file.meta()).any(|file| {
        let (first, last) = file.windows_ns;
        file.rows.0 < first_row && plan.to_ns.is_none_or(|to| first < to) && plan.from_ns.is_none_or(|from| last > from)
    })
}

/// Where every metric comes from.
fn understand<'r>(request: &'r AggregateRequest, plan: &Plan) -> Result<Question<'r>, QueryError> {
    let Some(groups) = group_columns(plan) else {
        let detail = "rollups have no groups by elements or by prefixes of addresses; ask tier=raw";
        return Err(wrong("group_by", detail.to_owned(), None));
    };
    let filter = match &request.filter {
        None => Vec::new(),
        Some(filter) => matching::columns_of(&filter.root).ok_or_else(|| {
            let detail = "rollups cannot tell what this filter asks; compare exporter.ip, in.if, out.if, proto, app.name \
                          or the networks, systems and countries, or ask tier=raw";
            wrong("filter", detail.to_owned(), None)
        })?,
    };
    let find = |metric: &Metric| {
        source(metric, &groups, &filter).ok_or_else(|| {
            let names: Vec<&str> = groups.iter().map(|group| group.column().name).collect();
            let by = match names.is_empty() {
                true => String::new(),
                false => format!(" by {}", names.join(",")),
            };
            let with = if filter.is_empty() { "" } else { " with this filter" };
            let detail = format!(
                "rollups do not keep {}{by}{with}; see docs/explanation/rollups.md for what they keep, or ask tier=raw",
                cut(&metric.name, 48)
            );
            wrong("metrics", detail, None)
        })
    };
    let sources = plan.metrics.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    let mut plan = plan.clone();
    let least = match request.tier {
        TierAsked::Only(tier) => tier,
        _ => Tier::Minute,
    };
    if let Some(width) = plan.interval_ns {
        if request.interval == Some(Interval::Auto) {
            plan.interval_ns = Some(width.max(least.width_ns()));
        } else if width % least.width_ns() != 0 {
            let detail = format!(
                "buckets of rollups are whole {}s; use a longer interval or tier=raw",
                least.as_str()
            );
            return Err(wrong("interval", detail, None));
        }
    }
    Ok(Question {
        request,
        plan,
        groups,
        sources,
    })
}

impl Question<'_> {
    fn resolution(&self) -> Resolution {
        if let TierAsked::Only(tier) = self.request.tier {
            return Resolution::Tier(tier);
        }
        let fits = |tier: &Tier| self.plan.interval_ns.is_none_or(|width| width % tier.width_ns() == 0);
        let coarsest = Tier::ALL.into_iter().rev().find(fits);
        Resolution::AtMost(coarsest.unwrap_or(Tier::Minute))
    }

    fn answer(mut self, files: &[Arc<RollupFile>], watch: &Watch) -> Result<Table, QueryError> {
        let asked = Asked {
            from_ns: self.plan.from_ns,
            to_ns: self.plan.to_ns,
            resolution: self.resolution(),
        };
        let selected = select(files, &asked);
        if selected.windows.len() > limits::ROLLUP_WINDOWS_PER_ANSWER {
            let detail = format!(
                "{} windows are too many for one answer; ask a coarser tier or a shorter time",
                selected.windows.len()
            );
            return Err(QueryError::TooMuch { detail });
        }
        // Whole windows were read: a rate is of their time, and of what was asked about beyond them.
        let asked_ns = (self.plan.from_ns, self.plan.to_ns);
        let span = match selected.span_ns {
            Some((first, last)) => (
                asked_ns.0.map_or(first, |from| from.min(first)),
                asked_ns.1.map_or(last, |to| to.max(last)),
            ),
            None => (asked_ns.0.unwrap_or(0), asked_ns.1.unwrap_or(1)),
        };
        self.plan.span_ns = (span.0, span.1.max(span.0.saturating_add(1)));
        if self.request.interval == Some(Interval::Auto)
            && let Some(width) = &mut self.plan.interval_ns
        {
            *width = auto_width(self.plan.span_ns.1.saturating_sub(self.plan.span_ns.0)).max(*width);
        }
        let buckets = self.gather(&selected, watch)?;
        let (mut table, error) = self.table(&buckets)?;
        let mut names: Vec<u64> = selected.windows.iter().map(|(file, _)| file.meta().id).collect();
        names.dedup();
        table.stats = QueryStats {
            elapsed_ms: watch.elapsed_ms(),
            from_ns: Some(selected.span_ns.map_or(span.0, |found| found.0)),
            to_ns: Some(selected.span_ns.map_or(span.1, |found| found.1)),
            tier: selected.tier().map_or("none", Tier::as_str),
            error_bound: error,
            confidence: self.sources.iter().map(Source::confidence).fold(1.0, f64::min),
            windows: selected.windows.len() as u64,
            rollups: names.len() as u64,
            ..QueryStats::default()
        };
        table.interval_ns = self.plan.interval_ns;
        Ok(table)
    }

    /// Merges what windows say, bucket by bucket.
    fn gather(&self, selected: &Selected, watch: &Watch) -> Result<BTreeMap<i64, Bucket>, QueryError> {
        let wanted: BTreeSet<SectionId> = self.sources.iter().map(|source| source.section).collect();
        let mut buckets: BTreeMap<i64, Bucket> = BTreeMap::new();
        let mut open = None;
        for (file, window) in &selected.windows {
            watch.check()?;
            let is_open = matches!(&open, Some((id, _)) if *id == file.meta().id);
            if !is_open {
                open = file.open().map(|opened| (file.meta().id, opened));
            }
            let Some((_, opened)) = &open else { continue };
            let bucket = buckets.entry(self.plan.bucket(*window)).or_default();
            for id in &wanted {
                let Some(section) = file.find(*window, *id).and_then(|entry| file.read(opened, entry)) else {
                    continue;
                };
                match bucket.get_mut(id) {
                    Some(held) => held.merge(&section).map_err(|refusal| QueryError::Store {
                        detail: format!("rollups cannot be merged: {}", refusal.as_str()),
                    })?,
                    None => {
                        bucket.insert(*id, section);
                    }
                }
            }
        }
        Ok(buckets)
    }

    /// What the sections of a bucket say, metric by metric.
    fn say(&self, bucket: &Bucket, seconds: f64) -> Vec<Said> {
        let filter = self.request.filter.as_ref();
        let say = |source: &Source| source.say(bucket.get(&source.section), &self.groups, filter, seconds);
        self.sources.iter().map(say).collect()
    }

    fn table(&self, buckets: &BTreeMap<i64, Bucket>) -> Result<(Table, f64), QueryError> {
        let mut all = Bucket::new();
        for (id, section) in buckets.values().flatten() {
            match all.get_mut(id) {
                // What could be merged within buckets can be across them.
                Some(held) => drop(held.merge(section)),
                None => {
                    all.insert(*id, section.clone());
                }
            }
        }
        let whole = self.plan.without_interval();
        let said = self.say(&all, whole.seconds());
        let groups = self.ranked(&said);
        let mut rows: Vec<(Vec<Option<Cell>>, Vec<Measured>)> = Vec::new();
        match self.plan.interval_ns {
            None => {
                let row = |group: &Item| (self.cells(group), measures(&said, group));
                rows.extend(groups.iter().map(row));
            }
            Some(width) => {
                let found = buckets.keys().next().copied().zip(buckets.keys().next_back().copied());
                let Some((first, last)) = buckets_of(&self.plan, found, groups.len())? else {
                    return Ok((self.shown(Vec::new()), 0.0));
                };
                let empty = Bucket::new();
                let said: BTreeMap<i64, Vec<Said>> = (first..=last)
                    .map(|at| (at, self.say(buckets.get(&at).unwrap_or(&empty), self.plan.seconds())))
                    .collect();
                for group in &groups {
                    for (at, said) in &said {
                        let mut cells = vec![Some(Cell::Signed(at.saturating_mul(width)))];
                        cells.extend(self.cells(group));
                        rows.push((cells, measures(said, group)));
                    }
                }
                if self.groups.is_empty() && self.plan.order == OrderBy::Time && self.plan.descending {
                    rows.reverse();
                }
            }
        }
        let shown = rows
            .iter()
            .flat_map(|(_, measured)| measured.iter().take(self.plan.shown));
        let widest = shown.map(|one| (one.upper - one.value).max(one.value - one.lower));
        let stated = said.iter().take(self.plan.shown).map(|said| said.error);
        let error = widest.chain(stated).fold(0.0, f64::max);
        Ok((self.shown(rows), error))
    }

    fn cells(&self, group: &Item) -> Vec<Option<Cell>> {
        cells(group.octets(), self.groups.len()).unwrap_or_default()
    }

    /// The groups that are shown, in order.
    fn ranked(&self, said: &[Said]) -> Vec<Item> {
        if self.groups.is_empty() {
            return vec![group_key(&[])];
        }
        let found: BTreeSet<&[u8]> = said
            .iter()
            .flat_map(|said| said.groups.keys().map(Item::octets))
            .collect();
        let mut keyed: Vec<(Option<Cell>, Vec<Option<Cell>>, Item)> = found
            .into_iter()
            .map(|octets| {
                let group = Item::new(octets);
                let cells = self.cells(&group);
                let key = match self.plan.order {
                    OrderBy::Metric(at) => said.get(at).map(|said| Cell::Float(measure(said, &group).value)),
                    OrderBy::Group(at) => cells.get(at).cloned().flatten(),
                    OrderBy::Time => None,
                };
                (key, cells, group)
            })
            .collect();
        keyed.sort_by(|left, right| {
            let by_key = match (&left.0, &right.0) {
                (Some(a), Some(b)) if self.plan.descending => total_order(b, a),
                (Some(a), Some(b)) => total_order(a, b),
                (a, b) => a.is_none().cmp(&b.is_none()),
            };
            by_key.then_with(|| compare_keys(&left.1, &right.1))
        });
        keyed.truncate(self.plan.limit);
        keyed.into_iter().map(|(_, _, group)| group).collect()
    }

    /// Rows as they are shown: the limits of what is not exact behind the metrics.
    fn shown(&self, rows: Vec<(Vec<Option<Cell>>, Vec<Measured>)>) -> Table {
        let metrics: Vec<(usize, &Metric)> = self.plan.metrics.iter().take(self.plan.shown).enumerate().collect();
        let is_estimate = |at: usize| {
            let is_wide = |measured: &Measured| measured.lower != measured.upper;
            let source = self.sources.get(at);
            source.is_some_and(Source::is_sketch)
                || rows.iter().any(|(_, measured)| measured.get(at).is_some_and(is_wide))
        };
        let estimates: Vec<(usize, &Metric)> = metrics.iter().copied().filter(|(at, _)| is_estimate(*at)).collect();
        let mut columns = table_columns(&self.plan);
        for (_, metric) in &estimates {
            let (kind, unit) = metric.shown();
            columns.extend(["lower", "upper"].map(|limit| TableColumn {
                name: format!("{}.{limit}", metric.name),
                kind,
                unit,
            }));
        }
        let rows = rows
            .iter()
            .map(|(cells, measured)| {
                let cell = |at: usize, value: fn(&Measured) -> f64| {
                    let kind = self
                        .plan
                        .metrics
                        .get(at)
                        .map_or(ColumnKind::Float, |metric| metric.shown().0);
                    measured
                        .get(at)
                        .map(value)
                        .filter(|value| !value.is_nan())
                        .map(|value| shown(kind, value))
                };
                let values = metrics.iter().map(|(at, _)| cell(*at, |one| one.value));
                let limits = estimates
                    .iter()
                    .flat_map(|(at, _)| [cell(*at, |one| one.lower), cell(*at, |one| one.upper)]);
                TableRow {
                    cells: cells.iter().cloned().chain(values).chain(limits).collect(),
                    ..TableRow::default()
                }
            })
            .collect();
        Table {
            columns,
            rows,
            ..Table::default()
        }
    }
}

fn measure(said: &Said, group: &Item) -> Measured {
    said.groups.get(group).copied().unwrap_or(said.absent)
}

fn measures(said: &[Said], group: &Item) -> Vec<Measured> {
    said.iter().map(|said| measure(said, group)).collect()
}

fn shown(kind: ColumnKind, value: f64) -> Cell {
    match kind {
        ColumnKind::Float => Cell::Float(value),
        ColumnKind::Time | ColumnKind::Duration => Cell::Signed(value.round() as i64),
        _ => Cell::Number(value.round() as u64),
    }
}
