//! Answers from rollups: where flows are gone, or nobody wants to wait for them.
//!
//! A group is what tables, lists and sketches of all windows say of it together; what they cannot say exactly comes with
//! the limits between which it is.

mod matching;
mod said;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use flowgauge_sketches::Item;

use super::metric::Metric;
use super::output::{Formula, Output};
use super::plan::{OrderBy, Plan, auto_width};
use super::rows::{by_key, compare_keys, further_columns, shown_buckets, table_columns};
use super::{AggregateRequest, Interval};
use crate::limits;
use crate::normalize::columns::{ColumnId, ColumnKind};
use crate::normalize::row::{Cell, cut};
use crate::query::table::{PREVIOUS, TableColumn, TableRow};
use crate::query::{QueryError, QueryStats, Table, Watch};
use crate::rollups::key::cells;
use crate::rollups::{Asked, NO_TIME, Resolution, RollupFile, Section, SectionId, Selected, Tier, select};
use crate::store::Snapshot;
use said::{Of, output};
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
    let before = plan.compare_ns.unwrap_or(0);
    let (from_ns, to_ns) = (plan.from_ns.map(|from| from.saturating_sub(before)), plan.to_ns);
    snapshot.rollups().iter().map(|file| file.meta()).any(|file| {
        let (first, last) = file.windows_ns;
        snapshot.has_lost(file.rows) && to_ns.is_none_or(|to| first < to) && from_ns.is_none_or(|from| last > from)
    })
}

/// Where every metric comes from.
fn understand<'r>(request: &'r AggregateRequest, plan: &Plan) -> Result<Question<'r>, QueryError> {
    if request.once.is_some() {
        let detail = "rollups cannot tell conversations apart, to count them once; ask tier=raw";
        return Err(wrong("once", detail.to_owned(), None));
    }
    let Some(groups) = group_columns(plan) else {
        let detail = "rollups have no groups by elements, by prefixes of addresses or by hosts; ask tier=raw";
        return Err(wrong("group_by", detail.to_owned(), None));
    };
    let filter = match &request.filter {
        None => Vec::new(),
        Some(filter) => matching::columns_of(&filter.root).ok_or_else(|| {
            let detail = "rollups cannot tell what this filter asks; compare exporter.ip, in.if, out.if, proto, app.name, \
                          dns.zone, dns.status, dns.rcode or the networks, systems and countries, or ask tier=raw";
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
    let asked = Question {
        request,
        plan,
        groups,
        sources,
    };
    asked.check_compare(least)?;
    Ok(asked)
}

/// What is shown of the time asked about, or of the one compared with: outputs of the groups, then of everything else.
struct Spoken {
    /// By bucket; without a series, of everything.
    rows: BTreeMap<Option<i64>, Vec<Vec<Measured>>>,
    /// Of a bucket that nothing was found of.
    empty: Vec<Vec<Measured>>,
    /// How far the values of any group are off at most.
    error: f64,
}

impl Spoken {
    fn of(&self, bucket: Option<i64>, row: usize) -> &[Measured] {
        let rows = self.rows.get(&bucket).unwrap_or(&self.empty);
        rows.get(row).map_or(&[], Vec::as_slice)
    }
}

/// What is shown, in order.
struct Shown {
    groups: Vec<Item>,
    /// There is something outside of them that is shown, too.
    rest: bool,
    /// Buckets, or none of them.
    buckets: Vec<Option<i64>>,
}

/// A few files that are read in turn.
#[derive(Default)]
struct Opened(Vec<(u64, File)>);

impl Opened {
    /// A file, opened unless it is.
    fn file(&mut self, file: &RollupFile) -> Option<&File> {
        let id = file.meta().id;
        if !self.0.iter().any(|(held, _)| *held == id) {
            if self.0.len() == limits::ROLLUP_FILES_OPEN {
                self.0.remove(0);
            }
            self.0.push((id, file.open()?));
        }
        self.0.iter().find(|(held, _)| *held == id).map(|(_, opened)| opened)
    }
}

impl Question<'_> {
    /// Windows of the time compared with must fall into the buckets of the present.
    fn check_compare(&self, least: Tier) -> Result<(), QueryError> {
        match (self.plan.compare_ns, self.plan.interval_ns) {
            (Some(shift), Some(_)) if shift % least.width_ns() != 0 => {
                let detail = format!(
                    "in a series of rollups, what is compared with is whole {}s earlier; use such a duration or tier=raw",
                    least.as_str()
                );
                Err(wrong("compare", detail, None))
            }
            _ => Ok(()),
        }
    }

    fn resolution(&self, plan: &Plan) -> Resolution {
        if let TierAsked::Only(tier) = self.request.tier {
            return Resolution::Tier(tier);
        }
        let fits = |tier: &Tier| {
            plan.interval_ns
                .is_none_or(|width| width % tier.width_ns() == 0 && plan.shift_ns % tier.width_ns() == 0)
        };
        let coarsest = Tier::ALL.into_iter().rev().find(fits);
        Resolution::AtMost(coarsest.unwrap_or(Tier::Minute))
    }

    fn select(&self, files: &[Arc<RollupFile>], plan: &Plan) -> Result<Selected, QueryError> {
        let (from_ns, to_ns) = plan.rows_span();
        let asked = Asked {
            from_ns,
            to_ns,
            resolution: self.resolution(plan),
        };
        let mut selected = select(files, &asked);
        if plan.interval_ns.is_some() {
            selected.windows.retain(|(_, window)| *window != NO_TIME);
        }
        if selected.windows.len() > limits::ROLLUP_WINDOWS_PER_ANSWER {
            let detail = format!(
                "{} windows are too many for one answer; ask a coarser tier or a shorter time",
                selected.windows.len()
            );
            return Err(QueryError::TooMuch { detail });
        }
        Ok(selected)
    }

    fn answer(mut self, files: &[Arc<RollupFile>], watch: &Watch) -> Result<Table, QueryError> {
        let selected = self.select(files, &self.plan)?;
        let span = span_of(&selected, (self.plan.from_ns, self.plan.to_ns));
        self.plan.span_ns = (span.0, span.1.max(span.0.saturating_add(1)));
        if self.request.interval == Some(Interval::Auto)
            && let Some(width) = &mut self.plan.interval_ns
        {
            *width = auto_width(self.plan.span_ns.1.saturating_sub(self.plan.span_ns.0)).max(*width);
        }
        self.plan.cut_ns = (
            self.request.from_ns.map(|_| self.plan.span_ns.0),
            self.request.to_ns.map(|_| self.plan.span_ns.1),
        );
        let (shown, present) = self.present(&selected, watch)?;
        let mut windows: Vec<&Selected> = vec![&selected];
        let earlier = self.plan.of_previous().map(|mut plan| {
            let selected = self.select(files, &plan)?;
            plan.span_ns = span_of(&selected, plan.rows_span());
            let shifted = |ns: i64| ns.saturating_add(plan.shift_ns);
            plan.cut_ns = (
                self.request.from_ns.map(|_| shifted(plan.span_ns.0)),
                self.request.to_ns.map(|_| shifted(plan.span_ns.1)),
            );
            Ok((selected, plan))
        });
        let earlier = earlier.transpose()?;
        let previous = match &earlier {
            Some((selected, plan)) => {
                windows.push(selected);
                Some(self.previous(selected, plan, &shown, watch)?)
            }
            None => None,
        };
        let (mut table, error) = self.table(&shown, &present, previous.as_ref());
        let windows = || windows.iter().flat_map(|selected| &selected.windows);
        let names: BTreeSet<u64> = windows().map(|(file, _)| file.meta().id).collect();
        let compared = earlier.as_ref().and_then(|(selected, plan)| {
            let (from, to) = plan.rows_span();
            selected.span_ns.or(from.zip(to))
        });
        let width = |(from, to): (i64, i64)| to.saturating_sub(from);
        let is_uneven = |(selected_before, _): &&(Selected, Plan)| {
            let spans = selected.span_ns.zip(selected_before.span_ns);
            spans.is_some_and(|(now, before)| width(now) != width(before))
        };
        let uneven = "windows of rollups are wider than the time asked about: from and to in stats are not as long as in compare";
        table.stats = QueryStats {
            hint: earlier.as_ref().filter(is_uneven).map(|_| uneven.to_owned()),
            elapsed_ms: watch.elapsed_ms(),
            from_ns: Some(selected.span_ns.map_or(span.0, |found| found.0)),
            to_ns: Some(selected.span_ns.map_or(span.1, |found| found.1)),
            compare_ns: compared,
            tier: selected.tier().map_or("none", Tier::as_str),
            error_bound: error,
            confidence: self.sources.iter().map(Source::confidence).fold(1.0, f64::min),
            windows: windows().count() as u64,
            rollups: names.len() as u64,
            ..QueryStats::default()
        };
        table.interval_ns = self.plan.interval_ns;
        Ok(table)
    }

    /// Merges what windows say.
    fn merged<'w>(
        &self,
        windows: impl Iterator<Item = &'w (Arc<RollupFile>, i64)>,
        opened: &mut Opened,
        watch: &Watch,
    ) -> Result<Bucket, QueryError> {
        let wanted: BTreeSet<SectionId> = self.sources.iter().map(|source| source.section).collect();
        let mut bucket = Bucket::new();
        for (file, window) in windows {
            watch.check()?;
            let Some(opened) = opened.file(file) else { continue };
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
        Ok(bucket)
    }

    /// What the sections of a bucket say, metric by metric.
    fn say(&self, bucket: &Bucket, seconds: f64) -> Vec<Said> {
        let filter = self.request.filter.as_ref();
        let say = |source: &Source| source.say(bucket.get(&source.section), &self.groups, filter, seconds);
        self.sources.iter().map(say).collect()
    }

    /// First which groups, of all windows together; then their series, a bucket at a time.
    fn present(&self, selected: &Selected, watch: &Watch) -> Result<(Shown, Spoken), QueryError> {
        let said = match self.groups.is_empty() && self.plan.interval_ns.is_some() {
            true => Vec::new(),
            false => {
                let whole = self.merged(selected.windows.iter(), &mut Opened::default(), watch)?;
                self.say(&whole, self.plan.without_interval().seconds(None))
            }
        };
        let (groups, found) = self.ranked(&said);
        let is_put_together = || said.iter().any(|said| said.absent.upper > 0.0 || said.error > 0.0);
        let has_rest = found > groups.len() || self.plan.compare_ns.is_some() || is_put_together();
        let mut shown = Shown {
            rest: self.plan.other && !self.groups.is_empty() && has_rest,
            groups,
            buckets: vec![None],
        };
        let error = self.error(&said);
        if self.plan.interval_ns.is_none() {
            let spoken = Spoken {
                rows: BTreeMap::from([(None, self.rows(&shown, &said, |group| Of::Group(group)))]),
                empty: Vec::new(),
                error,
            };
            return Ok((shown, spoken));
        }
        drop(said);
        let numbers = || selected.windows.iter().map(|(_, window)| self.plan.bucket(*window));
        let found = numbers().min().zip(numbers().max());
        let rows = shown.groups.len() + usize::from(shown.rest);
        shown.buckets = shown_buckets(&self.plan, found, rows)?;
        let values = shown.buckets.len().saturating_mul(rows).saturating_mul(self.plan.shown);
        if values > limits::ROLLUP_VALUES_PER_ANSWER {
            let detail = format!(
                "{} buckets of {rows} groups have too many values; use a longer interval, or fewer groups or metrics",
                shown.buckets.len()
            );
            return Err(QueryError::TooMuch { detail });
        }
        let spoken = self.series(selected, &self.plan, &shown, |group| Of::Group(group), watch)?;
        let error = error.max(spoken.error);
        Ok((shown, Spoken { error, ..spoken }))
    }

    /// What the same groups had before.
    fn previous(&self, selected: &Selected, plan: &Plan, shown: &Shown, watch: &Watch) -> Result<Spoken, QueryError> {
        if plan.interval_ns.is_some() {
            return self.series(selected, plan, shown, |group| Of::Earlier(group), watch);
        }
        let whole = self.merged(selected.windows.iter(), &mut Opened::default(), watch)?;
        let said = self.say(&whole, plan.seconds(None));
        Ok(Spoken {
            rows: BTreeMap::from([(None, self.rows(shown, &said, |group| Of::Earlier(group)))]),
            empty: Vec::new(),
            error: self.error(&said),
        })
    }

    /// What groups have bucket by bucket; of each only what is shown is kept.
    fn series(
        &self,
        selected: &Selected,
        plan: &Plan,
        shown: &Shown,
        of: fn(&Item) -> Of<'_>,
        watch: &Watch,
    ) -> Result<Spoken, QueryError> {
        let mut windows: Vec<(i64, &(Arc<RollupFile>, i64))> = selected
            .windows
            .iter()
            .map(|window| (plan.bucket(window.1), window))
            .collect();
        windows.sort_by_key(|(bucket, _)| *bucket);
        let mut opened = Opened::default();
        let mut spoken = Spoken {
            rows: BTreeMap::new(),
            empty: self.rows(shown, &self.say(&Bucket::new(), plan.seconds(None)), of),
            error: 0.0,
        };
        for windows in windows.chunk_by(|left, right| left.0 == right.0) {
            let Some((number, _)) = windows.first() else { continue };
            let bucket = self.merged(windows.iter().map(|(_, window)| *window), &mut opened, watch)?;
            let said = self.say(&bucket, plan.seconds(Some(*number)));
            spoken.error = spoken.error.max(self.error(&said));
            spoken.rows.insert(Some(*number), self.rows(shown, &said, of));
        }
        Ok(spoken)
    }

    /// How far the values of metrics that are shown are off at most, also of groups that are not.
    fn error(&self, said: &[Said]) -> f64 {
        let stated = self.plan.outputs.iter().take(self.plan.shown);
        let stated = stated.filter_map(|output| match output.formula {
            Formula::Metric(at) => said.get(at).map(|said| said.error),
            _ => None,
        });
        stated.fold(0.0, f64::max)
    }

    /// Outputs of what is shown, in its order.
    fn rows(&self, shown: &Shown, said: &[Said], of: fn(&Item) -> Of<'_>) -> Vec<Vec<Measured>> {
        let groups = shown.groups.iter().map(|group| self.outputs(said, of(group)));
        let rest = shown.rest.then(|| self.outputs(said, Of::Rest(&shown.groups)));
        groups.chain(rest).collect()
    }

    fn table(&self, shown: &Shown, present: &Spoken, previous: Option<&Spoken>) -> (Table, f64) {
        let names = shown.groups.iter().map(|group| self.cells(group));
        let rest = shown.rest.then(|| vec![None; self.groups.len()]);
        let mut rows = Vec::with_capacity(shown.buckets.len() * (shown.groups.len() + 1));
        for (at, names) in names.chain(rest).enumerate() {
            for bucket in &shown.buckets {
                let width = self.plan.interval_ns.unwrap_or(1);
                let time = bucket.map(|at| Some(Cell::Signed(at.saturating_mul(width))));
                rows.push(Row {
                    names: time.into_iter().chain(names.iter().cloned()).collect(),
                    is_rest: at == shown.groups.len(),
                    present: present.of(*bucket, at),
                    previous: previous.map(|previous| previous.of(*bucket, at)),
                });
            }
        }
        let measured = rows
            .iter()
            .flat_map(|row| row.present.iter().chain(row.previous.into_iter().flatten()));
        let stated = previous.map_or(present.error, |previous| previous.error.max(present.error));
        let error = measured.map(Measured::off).fold(stated, f64::max);
        (self.shown(&rows), error)
    }

    /// Outputs that are shown.
    fn outputs(&self, said: &[Said], of: Of<'_>) -> Vec<Measured> {
        let outputs = self.plan.outputs.iter().take(self.plan.shown);
        outputs.map(|shown| output(shown.formula, said, of)).collect()
    }

    fn cells(&self, group: &Item) -> Vec<Option<Cell>> {
        cells(group.octets(), self.groups.len()).unwrap_or_default()
    }

    /// The groups that are shown, in order, and how many there are.
    fn ranked(&self, said: &[Said]) -> (Vec<Item>, usize) {
        if self.groups.is_empty() {
            return (vec![group_key(&[])], 1);
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
                    OrderBy::Output(at) => {
                        let shown = self.plan.outputs.get(at);
                        let value = shown.map(|shown| output(shown.formula, said, Of::Group(&group)).value);
                        value.filter(|value| value.is_finite()).map(Cell::Float)
                    }
                    OrderBy::Group(at) => cells.get(at).cloned().flatten(),
                };
                (key, cells, group)
            })
            .collect();
        keyed
            .sort_by(|left, right| by_key(&self.plan, &left.0, &right.0).then_with(|| compare_keys(&left.1, &right.1)));
        let found = keyed.len();
        keyed.truncate(self.plan.limit);
        (keyed.into_iter().map(|(_, _, group)| group).collect(), found)
    }

    /// Rows as they are shown: the limits of what is not exact behind the outputs, then what was before in the same way.
    fn shown(&self, rows: &[Row<'_>]) -> Table {
        let outputs: Vec<(usize, &Output)> = self.plan.outputs.iter().take(self.plan.shown).enumerate().collect();
        let is_sketch = |at: usize| self.sources.get(at).is_some_and(Source::is_sketch);
        let is_of_sketch = |output: &Output| match output.formula {
            Formula::Metric(at) | Formula::Share(at) => is_sketch(at),
            Formula::Ratio(above, below) => is_sketch(above) || is_sketch(below),
        };
        let estimates = |of: for<'r> fn(&Row<'r>) -> Option<&'r [Measured]>| -> Vec<(usize, &Output)> {
            let is_wide = |at: usize| {
                let mut measured = rows.iter().filter_map(|row| of(row)?.get(at));
                measured.any(Measured::is_wide)
            };
            let is_estimate = |(at, output): &(usize, &Output)| is_of_sketch(output) || is_wide(*at);
            outputs.iter().copied().filter(is_estimate).collect()
        };
        let limits_of = |estimates: &[(usize, &Output)], before: &str| -> Vec<TableColumn> {
            let limits = estimates
                .iter()
                .flat_map(|(_, output)| ["lower", "upper"].map(|limit| (*output, limit)));
            let column = |(output, limit): (&Output, &str)| TableColumn {
                name: format!("{before}{}.{limit}", output.name),
                kind: output.kind,
                unit: output.unit,
            };
            limits.map(column).collect()
        };
        let present = estimates(|row| Some(row.present));
        let previous = match self.plan.compare_ns {
            Some(_) => estimates(|row| row.previous),
            None => Vec::new(),
        };
        let mut columns = table_columns(&self.plan);
        columns.extend(limits_of(&present, ""));
        columns.extend(further_columns(&self.plan));
        columns.extend(limits_of(&previous, PREVIOUS));
        let cell = |measured: &[Measured], (at, output): &(usize, &Output), value: fn(&Measured) -> f64| {
            let value = measured.get(*at).map(value).filter(|value| value.is_finite());
            value.map(|value| shown(output.kind, value))
        };
        let limits = |measured: &[Measured], output: &(usize, &Output)| {
            [
                cell(measured, output, |one| one.lower),
                cell(measured, output, |one| one.upper),
            ]
        };
        let rows = rows.iter().map(|row| {
            let mut cells = row.names.clone();
            cells.extend(outputs.iter().map(|output| cell(row.present, output, |one| one.value)));
            cells.extend(present.iter().flat_map(|output| limits(row.present, output)));
            if self.plan.other {
                cells.push(row.is_rest.then_some(Cell::Bool(true)));
            }
            if let Some(measured) = row.previous {
                cells.extend(outputs.iter().map(|output| cell(measured, output, |one| one.value)));
                cells.extend(previous.iter().flat_map(|output| limits(measured, output)));
            }
            TableRow {
                cells,
                ..TableRow::default()
            }
        });
        Table {
            rows: rows.collect(),
            columns,
            ..Table::default()
        }
    }
}

/// Whole windows were read: a rate is of their time, and of what was asked about beyond them.
fn span_of(selected: &Selected, asked_ns: (Option<i64>, Option<i64>)) -> (i64, i64) {
    match selected.span_ns {
        Some((first, last)) => (
            asked_ns.0.map_or(first, |from| from.min(first)),
            asked_ns.1.map_or(last, |to| to.max(last)),
        ),
        None => (asked_ns.0.unwrap_or(0), asked_ns.1.unwrap_or(1)),
    }
}

/// A row before it is shown.
struct Row<'s> {
    names: Vec<Option<Cell>>,
    is_rest: bool,
    present: &'s [Measured],
    previous: Option<&'s [Measured]>,
}

fn shown(kind: ColumnKind, value: f64) -> Cell {
    match kind {
        ColumnKind::Float => Cell::Float(value),
        ColumnKind::Time | ColumnKind::Duration => Cell::Signed(value.round() as i64),
        _ => Cell::Number(value.round() as u64),
    }
}
