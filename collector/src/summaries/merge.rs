//! Summaries of one metric put together: counters add up exactly, sketches merge, and limits are computed anew from what
//! comes out. Where an image is missing, what can be read widens the limits instead.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use flowgauge_sketches::{Cardinality, Estimate, Kind, List, Metric, Quantiles};

use super::check::{self, Sketch};
use super::entry::Entry;
use super::record::{ItemRow, Readable};
use crate::limits::{SUMMARY_ITEMS_ADDED, SUMMARY_KEYS_COUNTED};

/// What went into a merged summary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Exporters: addresses with their domains.
    pub exporters: u64,
    /// Windows, by their times.
    pub windows: u64,
    /// Summaries.
    pub summaries: u64,
    /// Of those, merged by their images.
    pub images: u64,
    /// Of those, without an image: the exporter sent none, or it was refused, or did not come whole.
    pub without_image: u64,
    /// Of those, not in the answer at all: nothing of them could be put together with the rest.
    pub left_out: u64,
    /// Of those, of sampled packets; nothing is scaled.
    pub sampled: u64,
    /// The first start and the last end, milliseconds.
    pub span_ms: Option<(i64, i64)>,
}

/// What came out.
#[derive(Clone, Debug)]
pub enum Value {
    /// The sum.
    Counter(u64),
    /// How many different values; `None` when nothing tells.
    Cardinality(Option<Estimate>),
    /// Values seen, and the value of each rank asked for.
    Quantiles(u64, Vec<(f64, Estimate)>),
    /// The weight of all items, how far one may be off, and the heaviest.
    FrequentItems(u64, u64, Vec<ItemRow>),
}

#[derive(Debug)]
enum Sum {
    Counter(u64),
    Cardinality {
        merged: Option<Cardinality>,
        /// Of those without an image: the largest, and what all could add.
        largest: [f64; 2],
        more: f64,
        confidence: f64,
    },
    Quantiles(Option<Quantiles>),
    FrequentItems {
        merged: Option<List>,
        /// Of those without an image: weights by item, the upper ones less what counts for every item anyway.
        rows: HashMap<String, [u64; 3]>,
        weight: u64,
        slack: u64,
    },
}

/// One metric, being merged.
#[derive(Debug)]
pub struct Merge {
    metric: Option<Metric>,
    kind: Kind,
    sum: Sum,
    sources: Sources,
    exporters: HashSet<(IpAddr, u32)>,
    windows: HashSet<(i64, i64)>,
}

impl Merge {
    /// Nothing yet.
    pub fn new(name: &str, kind: Kind) -> Merge {
        Merge {
            metric: Metric::by_name(name).filter(|metric| metric.about().kind == kind),
            kind,
            sum: match kind {
                Kind::Counter => Sum::Counter(0),
                Kind::Cardinality => Sum::Cardinality {
                    merged: None,
                    largest: [0.0; 2],
                    more: 0.0,
                    confidence: 1.0,
                },
                Kind::Quantiles => Sum::Quantiles(None),
                Kind::FrequentItems => Sum::FrequentItems {
                    merged: None,
                    rows: HashMap::new(),
                    weight: 0,
                    slack: 0,
                },
            },
            sources: Sources::default(),
            exporters: HashSet::new(),
            windows: HashSet::new(),
        }
    }

    /// Takes a summary in.
    pub fn add(&mut self, entry: &Entry) {
        let key = &entry.key;
        if self.exporters.len() < SUMMARY_KEYS_COUNTED {
            self.exporters.insert((key.exporter, key.domain));
        }
        if self.windows.len() < SUMMARY_KEYS_COUNTED {
            self.windows.insert((key.start_ms, key.end_ms));
        }
        let (first, last) = self.sources.span_ms.unwrap_or((key.start_ms, key.end_ms));
        self.sources.span_ms = Some((first.min(key.start_ms), last.max(key.end_ms)));
        self.sources.summaries += 1;
        self.sources.sampled += u64::from(entry.sampling != 1.0);
        // It was checked before it was kept; what passed for an older library may not pass now.
        let sketch = entry
            .image
            .as_ref()
            .and_then(|image| check::sketch(self.kind, image).ok());
        if let Some(sketch) = sketch
            && self.merge(sketch)
        {
            self.sources.images += 1;
            return;
        }
        if self.kind != Kind::Counter {
            self.sources.without_image += 1;
        }
        if !entry.readable.as_ref().is_some_and(|readable| self.read(readable)) {
            self.sources.left_out += 1;
        }
    }

    /// Merges an image; false when it does not go with the others.
    fn merge(&mut self, sketch: Sketch) -> bool {
        match (&mut self.sum, sketch) {
            (Sum::Cardinality { merged, .. }, Sketch::Cardinality(sketch)) => {
                merge_into(merged, sketch, |merged, more| {
                    merged.merge(more);
                    true
                })
            }
            (Sum::Quantiles(merged), Sketch::Quantiles(sketch)) => {
                merge_into(merged, sketch, |merged, more| merged.merge(more).is_ok())
            }
            (Sum::FrequentItems { merged, .. }, Sketch::FrequentItems(list)) => {
                merge_into(merged, list, |merged, more| merged.merge(more).is_ok())
            }
            _ => false,
        }
    }

    /// Takes in what can be read; false when that says nothing about the whole.
    fn read(&mut self, readable: &Readable) -> bool {
        match (&mut self.sum, readable) {
            (Sum::Counter(sum), Readable::Counter(more)) => {
                *sum = sum.saturating_add(*more);
                true
            }
            (
                Sum::Cardinality {
                    largest,
                    more,
                    confidence,
                    ..
                },
                Readable::Cardinality(estimate),
            ) => {
                // Its values may be among those of the others, all of them or none.
                *largest = [largest[0].max(estimate.value), largest[1].max(estimate.lower)];
                *more += estimate.upper;
                *confidence = confidence.min(estimate.confidence);
                true
            }
            (
                Sum::FrequentItems {
                    rows, weight, slack, ..
                },
                Readable::FrequentItems {
                    weight: whole,
                    rows: sent,
                },
            ) => {
                let room = SUMMARY_ITEMS_ADDED.saturating_sub(rows.len());
                if sent.len() > room {
                    return false;
                }
                // An item that was not sent has at most the weight of the last one that was.
                let least = sent.iter().map(|row| row.weights[2]).min().unwrap_or(0);
                *weight = weight.saturating_add(*whole);
                *slack = slack.saturating_add(least);
                for row in sent {
                    let sums = rows.entry(row.item.clone()).or_default();
                    let [value, lower, upper] = row.weights;
                    for (sum, more) in sums.iter_mut().zip([value, lower, upper - least]) {
                        *sum = sum.saturating_add(more);
                    }
                }
                true
            }
            _ => false,
        }
    }

    /// What went in.
    pub fn sources(&self) -> Sources {
        Sources {
            exporters: self.exporters.len() as u64,
            windows: self.windows.len() as u64,
            ..self.sources.clone()
        }
    }

    /// What comes out: the values at `ranks`, or the `most` heaviest items.
    pub fn value(&self, ranks: &[f64], most: usize) -> Value {
        match &self.sum {
            Sum::Counter(sum) => Value::Counter(*sum),
            Sum::Cardinality {
                merged,
                largest,
                more,
                confidence,
            } => {
                let merged = merged.as_ref().map(Cardinality::estimate);
                let without = self.sources.without_image > self.sources.left_out;
                Value::Cardinality(match merged {
                    None if !without => None,
                    merged => {
                        let merged = merged.unwrap_or(Estimate {
                            confidence: 1.0,
                            ..Estimate::default()
                        });
                        Some(Estimate {
                            value: merged.value.max(largest[0]),
                            lower: merged.lower.max(largest[1]),
                            upper: merged.upper + more,
                            confidence: merged.confidence.min(*confidence),
                        })
                    }
                })
            }
            Sum::Quantiles(merged) => {
                let rows = merged.iter().flat_map(|merged| {
                    let estimates = merged.estimates(ranks);
                    ranks.iter().copied().zip(estimates).collect::<Vec<_>>()
                });
                Value::Quantiles(merged.as_ref().map_or(0, Quantiles::weight), rows.collect())
            }
            Sum::FrequentItems {
                merged,
                rows,
                weight,
                slack,
            } => {
                let error = merged.as_ref().map_or(0, List::error);
                let items = self.items(merged.as_ref(), rows, *slack, error, most);
                let merged_weight = merged.as_ref().map_or(0, List::weight);
                Value::FrequentItems(
                    merged_weight.saturating_add(*weight),
                    error.saturating_add(*slack),
                    items,
                )
            }
        }
    }

    fn items(
        &self,
        merged: Option<&List>,
        rows: &HashMap<String, [u64; 3]>,
        slack: u64,
        error: u64,
        most: usize,
    ) -> Vec<ItemRow> {
        let mut rows = rows.clone();
        // All of them while others add to them: any may come to the top.
        let wanted = if rows.is_empty() { most } else { usize::MAX };
        let text = |octets: &[u8]| match self.metric {
            Some(metric) => metric.about().form.text(octets),
            None => plain_text(octets),
        };
        let mut items: Vec<ItemRow> = merged
            .into_iter()
            .flat_map(|list| list.rows(wanted))
            .map(|row| {
                let item = text(row.item.octets());
                let [value, lower, upper] = rows.remove(&item).unwrap_or_default();
                let add = |one: u64, more: u64| one.saturating_add(more);
                ItemRow {
                    weights: [
                        add(row.weight, value),
                        add(row.limits[0], lower),
                        add(add(row.limits[1], upper), slack),
                    ],
                    item,
                }
            })
            .collect();
        items.extend(rows.into_iter().map(|(item, [value, lower, upper])| ItemRow {
            item,
            weights: [value, lower, upper.saturating_add(slack).saturating_add(error)],
        }));
        items.sort_by(|a, b| b.weights[0].cmp(&a.weights[0]).then_with(|| a.item.cmp(&b.item)));
        items.truncate(most);
        items
    }
}

/// Merges into a copy: an image that passed every check may still make the library stumble over others, and must then cost
/// itself only.
fn merge_into<S: Clone>(merged: &mut Option<S>, sketch: S, merge: impl Fn(&mut S, &S) -> bool) -> bool {
    let Some(before) = merged else {
        *merged = Some(sketch);
        return true;
    };
    let after = catch_unwind(AssertUnwindSafe(|| {
        let mut after = before.clone();
        merge(&mut after, &sketch).then_some(after)
    }));
    match after {
        Ok(Some(after)) => {
            *before = after;
            true
        }
        Ok(None) | Err(_) => false,
    }
}

/// Items of a metric that the table does not have: text, else hexadecimal.
fn plain_text(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => flowgauge_templates::text::hex_text(octets),
    }
}
