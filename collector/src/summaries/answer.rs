//! Which summaries are stored, and those of a metric merged over exporters and windows.
//!
//! A metric's name asks for what is below it, too: `dns.qname` for `dns.qname` (how many different names) and
//! `dns.qname.top` (which).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use flowgauge_sketches::quantiles::RANKS;
use flowgauge_sketches::{Kind, Metric};
use serde_json::{Map, Value as Json, json};

use super::merge::{Merge, Sources, Value};
use super::record::kind_of;
use super::segment::{self, Tally};
use super::store::Segment;
use crate::limits::{SUMMARIES_PER_ANSWER, SUMMARY_ROWS};
use crate::query::filter::nearest;
use crate::query::time::format_time;
use crate::query::{Limits, QueryError, Watch};

const NS_PER_MS: i64 = 1_000_000;
const DEFAULT_LIMIT: usize = 10;

/// What to merge.
#[derive(Clone, Debug, Default)]
pub struct SummariesRequest {
    /// The metric, or what its name begins with; `None` lists those stored.
    pub metric: Option<String>,
    /// Windows that end after this, nanoseconds.
    pub from_ns: Option<i64>,
    /// Windows that start before this, nanoseconds.
    pub to_ns: Option<i64>,
    /// Of these exporters; empty is all.
    pub exporters: Vec<IpAddr>,
    /// At most so many items of a list; 0 is 10.
    pub limit: usize,
    /// Ranks of quantiles; empty is those that exporters send.
    pub ranks: Vec<f64>,
    /// How long it may take.
    pub limits: Limits,
}

/// The summary of a metric.
#[derive(Clone, Debug)]
pub struct MergedSummary {
    /// The metric.
    pub metric: String,
    /// What it is.
    pub kind: Kind,
    /// What went in.
    pub sources: Sources,
    /// What came out.
    pub value: Value,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct SummariesAnswer {
    /// No metric was asked for: those stored are listed.
    pub is_list: bool,
    /// Metrics that are stored, when none was asked for.
    pub stored: Vec<(String, u8, Tally)>,
    /// Summaries.
    pub merged: Vec<MergedSummary>,
    /// Segments that were looked at.
    pub segments: u64,
    /// Summaries that were not what was written when they were read back.
    pub damaged: u64,
    /// Time it took.
    pub elapsed_ms: f64,
}

fn wrong(parameter: &'static str, detail: String) -> QueryError {
    QueryError::Request {
        parameter,
        detail,
        nearest: None,
    }
}

/// `is_below("dns.qname.top", "dns.qname")`.
fn is_below(name: &str, asked: &str) -> bool {
    name.strip_prefix(asked)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Answers a request from what is stored.
///
/// # Errors
/// When a parameter is wrong, the time is over, or a file cannot be read.
pub fn summaries(stored: &[Segment], request: &SummariesRequest) -> Result<SummariesAnswer, QueryError> {
    let watch = Watch::new(&request.limits);
    if request.from_ns.zip(request.to_ns).is_some_and(|(from, to)| from >= to) {
        return Err(wrong("from", "from is not before to".to_owned()));
    }
    if let Some(rank) = request.ranks.iter().find(|rank| !(0.0..=1.0).contains(*rank)) {
        return Err(wrong("ranks", format!("{rank} is no rank; ranks are from 0 to 1")));
    }
    let (from_ms, to_ms) = (
        request.from_ns.map(|ns| ns.div_euclid(NS_PER_MS)),
        request
            .to_ns
            .map(|ns| ns.saturating_add(NS_PER_MS - 1).div_euclid(NS_PER_MS)),
    );
    let chosen: Vec<&Segment> = stored
        .iter()
        .filter(|segment| segment.contents.overlaps(from_ms, to_ms))
        .collect();
    let mut answer = SummariesAnswer::default();
    match &request.metric {
        None => (answer.is_list, answer.stored) = (true, list(&chosen)),
        Some(metric) => merge(&chosen, request, metric, (from_ms, to_ms), &watch, &mut answer)?,
    }
    answer.segments = chosen.len() as u64;
    answer.elapsed_ms = watch.elapsed_ms();
    Ok(answer)
}

/// What segments hold by metric. A segment is counted whole, though only a part of it may be of the time asked about.
fn list(segments: &[&Segment]) -> Vec<(String, u8, Tally)> {
    let mut all: BTreeMap<(&str, u8), Tally> = BTreeMap::new();
    for (key, tally) in segments.iter().flat_map(|segment| &segment.contents.metrics) {
        let Some((kind, name)) = segment::kind_and_name(key) else {
            continue;
        };
        let sum = all.entry((name, kind)).or_insert_with(|| Tally {
            span_ms: tally.span_ms,
            ..Tally::default()
        });
        sum.summaries += tally.summaries;
        sum.images += tally.images;
        sum.span_ms = (sum.span_ms.0.min(tally.span_ms.0), sum.span_ms.1.max(tally.span_ms.1));
    }
    all.into_iter()
        .map(|((name, kind), tally)| (name.to_owned(), kind, tally))
        .collect()
}

fn merge(
    segments: &[&Segment],
    request: &SummariesRequest,
    metric: &str,
    (from_ms, to_ms): (Option<i64>, Option<i64>),
    watch: &Watch,
    answer: &mut SummariesAnswer,
) -> Result<(), QueryError> {
    let mut merges: BTreeMap<(String, u8), Merge> = BTreeMap::new();
    let mut fault = None;
    for segment in segments {
        watch.check()?;
        let mut names = segment
            .contents
            .metrics
            .keys()
            .filter_map(|key| segment::kind_and_name(key));
        if !names.any(|(_, name)| is_below(name, metric)) {
            continue;
        }
        let wanted = |head: &super::entry::Head| {
            let key = &head.key;
            is_below(&key.metric, metric)
                && from_ms.is_none_or(|from| key.end_ms > from)
                && to_ms.is_none_or(|to| key.start_ms < to)
                && (request.exporters.is_empty() || request.exporters.contains(&key.exporter))
        };
        let reading = segment::read(&segment.path, segment.contents.octets, wanted, |entry, _| {
            if let Err(error) = watch.check() {
                fault = Some(error);
                return false;
            }
            let key = (entry.key.metric.clone(), entry.key.kind);
            if merges.len() >= SUMMARIES_PER_ANSWER && !merges.contains_key(&key) {
                fault = Some(QueryError::TooMuch {
                    detail: format!("'{metric}' begins the names of too many metrics; ask for one of them"),
                });
                return false;
            }
            if let Some(kind) = kind_of(entry.key.kind) {
                let name = key.0.clone();
                merges.entry(key).or_insert_with(|| Merge::new(&name, kind)).add(&entry);
            }
            true
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        match reading {
            Ok(reading) => answer.damaged += reading.damaged,
            // Retention removed it meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let detail = format!("{}: {error}", segment.path.display());
                return Err(QueryError::Store { detail });
            }
        }
    }
    if merges.is_empty() && !is_known(metric, segments) {
        let stored = segments.iter().flat_map(|segment| segment.contents.metrics.keys());
        let stored = stored
            .filter_map(|key| segment::kind_and_name(key))
            .map(|(_, name)| name);
        let known = Metric::ALL.iter().map(|metric| metric.about().name);
        return Err(QueryError::Request {
            parameter: "metric",
            detail: format!("there is no metric '{}'", crate::normalize::row::cut(metric, 48)),
            nearest: nearest(metric, known.chain(stored)),
        });
    }
    let ranks = if request.ranks.is_empty() {
        &RANKS[..]
    } else {
        &request.ranks
    };
    let most = match request.limit {
        0 => DEFAULT_LIMIT,
        limit => limit.min(SUMMARY_ROWS),
    };
    for ((metric, kind), merge) in merges {
        let Some(kind) = kind_of(kind) else { continue };
        let value = catch_unwind(AssertUnwindSafe(|| merge.value(ranks, most)));
        let value = value.map_err(|_| QueryError::Store {
            detail: format!("the summaries of '{metric}' make no sense together"),
        })?;
        answer.merged.push(MergedSummary {
            metric,
            kind,
            sources: merge.sources(),
            value,
        });
    }
    Ok(())
}

fn is_known(metric: &str, segments: &[&Segment]) -> bool {
    let names = segments.iter().flat_map(|segment| segment.contents.metrics.keys());
    let mut names = names.filter_map(|key| segment::kind_and_name(key));
    Metric::ALL.iter().any(|one| is_below(one.about().name, metric)) || names.any(|(_, name)| is_below(name, metric))
}

fn unit(metric: &str, kind: u8) -> &'static str {
    Metric::by_name(metric)
        .filter(|metric| metric.about().kind as u8 == kind)
        .map_or("", |metric| metric.about().unit)
}

fn kind_name(kind: u8) -> Json {
    kind_of(kind).map_or_else(|| kind.into(), |kind| kind.as_str().into())
}

fn moment(ms: i64) -> String {
    format_time(ms.saturating_mul(NS_PER_MS))
}

impl SummariesAnswer {
    /// As the API answers.
    pub fn to_json(&self) -> Json {
        let stats = |rest: Json| {
            let mut stats = Map::new();
            if let Json::Object(rest) = rest {
                stats.extend(rest);
            }
            stats.insert("segments".to_owned(), self.segments.into());
            stats.insert("damaged".to_owned(), self.damaged.into());
            stats.insert("elapsed_ms".to_owned(), self.elapsed_ms.into());
            Json::Object(stats)
        };
        if self.is_list {
            let rows = self.stored.iter().map(|(metric, kind, tally)| {
                json!({
                    "metric": metric,
                    "kind": kind_name(*kind),
                    "unit": unit(metric, *kind),
                    "summaries": tally.summaries,
                    "images": tally.images,
                    "from": moment(tally.span_ms.0),
                    "to": moment(tally.span_ms.1),
                })
            });
            return json!({ "rows": rows.collect::<Vec<_>>(), "stats": stats(json!({})), "next": null });
        }
        let rows: Vec<Json> = self.merged.iter().flat_map(MergedSummary::rows).collect();
        let metrics: Vec<Json> = self.merged.iter().map(MergedSummary::about).collect();
        let most = |count: fn(&Sources) -> u64| {
            let counts = self.merged.iter().map(|merged| count(&merged.sources));
            counts.max().unwrap_or(0)
        };
        let sum = |count: fn(&Sources) -> u64| self.merged.iter().map(|merged| count(&merged.sources)).sum::<u64>();
        let totals = json!({
            "exporters": most(|sources| sources.exporters),
            "windows": most(|sources| sources.windows),
            "summaries": sum(|sources| sources.summaries),
            "without_image": sum(|sources| sources.without_image),
        });
        json!({ "rows": rows, "metrics": metrics, "stats": stats(totals), "next": null })
    }
}

impl MergedSummary {
    /// What went in, and what is about the whole.
    fn about(&self) -> Json {
        let sources = &self.sources;
        let mut about = json!({
            "metric": self.metric,
            "kind": self.kind.as_str(),
            "unit": unit(&self.metric, self.kind as u8),
            "exporters": sources.exporters,
            "windows": sources.windows,
            "summaries": sources.summaries,
            "images": sources.images,
            "without_image": sources.without_image,
            "left_out": sources.left_out,
            "sampled": sources.sampled,
            "from": sources.span_ms.map(|(first, _)| moment(first)),
            "to": sources.span_ms.map(|(_, last)| moment(last)),
        });
        if let Some(about) = about.as_object_mut() {
            match &self.value {
                Value::Quantiles(weight, _) => drop(about.insert("weight".to_owned(), (*weight).into())),
                Value::FrequentItems(weight, error, _) => {
                    about.insert("weight".to_owned(), (*weight).into());
                    about.insert("error".to_owned(), (*error).into());
                }
                Value::Counter(_) | Value::Cardinality(_) => {}
            }
        }
        about
    }

    /// One row a value.
    fn rows(&self) -> Vec<Json> {
        let row = |rest: Json| {
            let mut row = Map::new();
            row.insert("metric".to_owned(), self.metric.as_str().into());
            row.insert("kind".to_owned(), self.kind.as_str().into());
            if let Json::Object(rest) = rest {
                row.extend(rest);
            }
            row.insert("unit".to_owned(), unit(&self.metric, self.kind as u8).into());
            Json::Object(row)
        };
        match &self.value {
            Value::Counter(sum) => vec![row(json!({
                "value": sum, "lower": sum, "upper": sum, "confidence": 1.0,
            }))],
            Value::Cardinality(estimate) => estimate
                .iter()
                .map(|one| {
                    row(json!({
                        "value": one.value, "lower": one.lower, "upper": one.upper, "confidence": one.confidence,
                    }))
                })
                .collect(),
            Value::Quantiles(_, rows) => rows
                .iter()
                .map(|(rank, one)| {
                    row(json!({
                        "rank": rank, "value": one.value, "lower": one.lower, "upper": one.upper,
                        "confidence": one.confidence,
                    }))
                })
                .collect(),
            Value::FrequentItems(_, _, rows) => rows
                .iter()
                .map(|one| {
                    let [value, lower, upper] = one.weights;
                    row(json!({
                        "item": one.item, "value": value, "lower": lower, "upper": upper, "confidence": 1.0,
                    }))
                })
                .collect(),
        }
    }
}
