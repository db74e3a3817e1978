//! What one Data Record says of a summary (enterprise elements 128 to 141): whose and which, the values people can read, and
//! an image or a part of one.
//!
//! An image that is longer than a Message comes in parts: sectionOffset (element 409) says where a part belongs and
//! sketchImageOctets (enterprise element 141) how long the whole is. The readable values are in one of the records only.

use std::net::IpAddr;

use flowgauge_ie_registry::ids;
use flowgauge_sketches::{Estimate, Kind};
use flowgauge_templates::ipfix::list::{SubTemplateList, TemplateScope};
use flowgauge_templates::ipfix::value::{Value, unsigned};
use flowgauge_templates::ipfix::{DataRecord, Template};

use crate::limits::{
    SUMMARY_IMAGE_OCTETS, SUMMARY_ITEM_OCTETS, SUMMARY_METRIC_OCTETS, SUMMARY_ROWS, SUMMARY_WINDOW_MS,
};

const NS_PER_MS: i64 = 1_000_000;

/// Which summary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SummaryKey {
    /// Name of the metric.
    pub metric: String,
    /// What it is, as in summaryKind.
    pub kind: u8,
    /// Who sent it.
    pub exporter: IpAddr,
    /// Observation Domain.
    pub domain: u32,
    /// When the window begins, milliseconds since 1970 UTC.
    pub start_ms: i64,
    /// When it ends.
    pub end_ms: i64,
}

/// The value of a rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankRow {
    /// 0 to 1.
    pub rank: f64,
    /// The value, and the limits between which it is.
    pub limits: [f64; 3],
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRow {
    /// As text.
    pub item: String,
    /// The weight, and the smallest and the largest it can have.
    pub weights: [u64; 3],
}

/// What can be read without an image.
#[derive(Clone, Debug, PartialEq)]
pub enum Readable {
    /// A sum.
    Counter(u64),
    /// How many different values.
    Cardinality(Estimate),
    /// Values at ranks.
    Quantiles {
        /// Values seen.
        weight: u64,
        /// Of the limits.
        confidence: f64,
        /// The ranks sent.
        rows: Vec<RankRow>,
    },
    /// The heaviest items.
    FrequentItems {
        /// Of all items.
        weight: u64,
        /// The items sent, the heaviest first.
        rows: Vec<ItemRow>,
    },
}

/// A part of an image, or all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Family and parameter, as the record says.
    pub family: u8,
    /// lg k, or k.
    pub parameter: u16,
    /// Octets of the whole.
    pub whole: usize,
    /// Octets before this part.
    pub offset: usize,
    /// The octets.
    pub octets: Vec<u8>,
}

/// What one record says.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Of which summary.
    pub key: SummaryKey,
    /// One packet in so many was looked at; 1 for all, 0 when it is not known.
    pub sampling: f64,
    /// The values people can read.
    pub readable: Option<Readable>,
    /// The image.
    pub part: Option<Part>,
}

/// Summaries by the kinds of the table; a kind that is not among them is one of the future.
pub fn kind_of(code: u8) -> Option<Kind> {
    [Kind::Counter, Kind::Cardinality, Kind::Quantiles, Kind::FrequentItems]
        .into_iter()
        .find(|kind| *kind as u8 == code)
}

/// Whether the records of a template are summaries.
pub fn is_of_summaries(template: &Template) -> bool {
    !template.is_options()
        && template
            .fields()
            .iter()
            .any(|field| field.specifier.element == ids::SUMMARY_METRIC)
}

/// The fields of a record that matter here.
#[derive(Default)]
struct Fields<'a> {
    metric: Option<&'a [u8]>,
    kind: u64,
    window: [Option<i64>; 2],
    selector: u64,
    weight: Option<u64>,
    estimate: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    confidence: Option<f64>,
    list: Option<&'a [u8]>,
    family: u64,
    parameter: u64,
    whole: Option<u64>,
    offset: u64,
    image: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(record: &DataRecord<'_, 'a>) -> Fields<'a> {
        let mut fields = Fields::default();
        let template = record.template();
        for (at, octets) in record.raw() {
            let Some(field) = template.fields().get(at) else {
                continue;
            };
            let float = || match record.value(at) {
                Some(Value::Float(value)) => Some(value),
                _ => None,
            };
            let moment = || match record.value(at) {
                Some(Value::DateTime { ns, .. }) => Some(ns.div_euclid(NS_PER_MS)),
                _ => None,
            };
            let number = || unsigned(octets).unwrap_or(0);
            match field.specifier.element {
                ids::SUMMARY_METRIC => fields.metric = Some(octets),
                ids::SUMMARY_KIND => fields.kind = number(),
                ids::FLOW_START_MILLISECONDS => fields.window[0] = moment(),
                ids::FLOW_END_MILLISECONDS => fields.window[1] = moment(),
                ids::SELECTOR_ID => fields.selector = number(),
                ids::SKETCH_STREAM_WEIGHT => fields.weight = unsigned(octets),
                ids::SKETCH_ESTIMATE => fields.estimate = float(),
                ids::LOWER_CI_LIMIT => fields.lower = float(),
                ids::UPPER_CI_LIMIT => fields.upper = float(),
                ids::CONFIDENCE_LEVEL => fields.confidence = float(),
                ids::SUB_TEMPLATE_LIST => fields.list = Some(octets),
                ids::SKETCH_FAMILY => fields.family = number(),
                ids::SKETCH_PARAMETER => fields.parameter = number(),
                ids::SKETCH_IMAGE_OCTETS => fields.whole = unsigned(octets),
                ids::SECTION_OFFSET => fields.offset = number(),
                ids::SKETCH_IMAGE => fields.image = Some(octets),
                _ => {}
            }
        }
        fields
    }

    fn key(&self, exporter: IpAddr, domain: u32) -> Option<SummaryKey> {
        let metric = std::str::from_utf8(self.metric?).ok()?.trim_end_matches('\0');
        let is_name = !metric.is_empty()
            && metric.len() <= SUMMARY_METRIC_OCTETS
            && metric.bytes().all(|octet| octet.is_ascii_graphic());
        let (start_ms, end_ms) = (self.window[0]?, self.window[1]?);
        let is_window = start_ms >= 0 && (1..=SUMMARY_WINDOW_MS).contains(&end_ms.checked_sub(start_ms)?);
        (is_name && is_window).then(|| SummaryKey {
            metric: metric.to_owned(),
            kind: u8::try_from(self.kind).unwrap_or(0),
            exporter,
            domain,
            start_ms,
            end_ms,
        })
    }

    /// The readable values; `Some(None)` when there are none, `None` when they make no sense.
    fn readable(&self, kind: Kind, scope: &impl TemplateScope) -> Option<Option<Readable>> {
        Some(match kind {
            Kind::Counter => Some(Readable::Counter(self.weight?)),
            Kind::Cardinality => match self.estimate {
                None => None,
                Some(value) => {
                    let (lower, upper) = (self.lower.unwrap_or(value), self.upper.unwrap_or(value));
                    let confidence = confidence(self.confidence)?;
                    is_between(lower, value, upper).then_some(())?;
                    Some(Readable::Cardinality(Estimate {
                        value,
                        lower,
                        upper,
                        confidence,
                    }))
                }
            },
            Kind::Quantiles => match self.weight {
                None => None,
                Some(weight) => Some(Readable::Quantiles {
                    weight,
                    confidence: confidence(self.confidence)?,
                    rows: rows(self.list, scope, rank_row)?,
                }),
            },
            Kind::FrequentItems => match self.weight {
                None => None,
                Some(weight) => Some(Readable::FrequentItems {
                    weight,
                    rows: rows(self.list, scope, item_row)?,
                }),
            },
        })
    }

    /// The image or its part, the same way.
    fn part(&self) -> Option<Option<Part>> {
        let Some(octets) = self.image.filter(|octets| !octets.is_empty()) else {
            return Some(None);
        };
        let whole = match self.whole {
            Some(whole) => usize::try_from(whole).ok()?,
            None => octets.len(),
        };
        let offset = usize::try_from(self.offset).ok()?;
        let fits = whole <= SUMMARY_IMAGE_OCTETS && offset.checked_add(octets.len())? <= whole;
        fits.then(|| {
            Some(Part {
                family: u8::try_from(self.family).unwrap_or(0),
                parameter: u16::try_from(self.parameter).unwrap_or(0),
                whole,
                offset,
                octets: octets.to_vec(),
            })
        })
    }
}

/// Reads a record of a template that [`is_of_summaries`]; `None` when it makes no sense.
///
/// `sampling` knows what a Selector other than 0 does: one packet in so many.
pub fn read(
    record: &DataRecord<'_, '_>,
    (exporter, domain): (IpAddr, u32),
    scope: &impl TemplateScope,
    sampling: impl Fn(u64) -> f64,
) -> Option<Piece> {
    let fields = Fields::of(record);
    let key = fields.key(exporter, domain)?;
    Some(Piece {
        readable: fields.readable(kind_of(key.kind)?, scope)?,
        part: fields.part()?,
        sampling: if fields.selector == 0 {
            1.0
        } else {
            sampling(fields.selector)
        },
        key,
    })
    .filter(|piece| piece.readable.is_some() || piece.part.is_some())
}

fn confidence(told: Option<f64>) -> Option<f64> {
    told.map_or(Some(0.0), |told| (0.0..=1.0).contains(&told).then_some(told))
}

fn is_between(lower: f64, value: f64, upper: f64) -> bool {
    // What is no number is not between any two.
    lower <= value && value <= upper && lower.is_finite() && upper.is_finite()
}

/// The records of a subTemplateList; `None` when one makes no sense, or its template is not known.
fn rows<R>(
    list: Option<&[u8]>,
    scope: &impl TemplateScope,
    read: impl Fn(&DataRecord<'_, '_>) -> Option<R>,
) -> Option<Vec<R>> {
    let Some(octets) = list.filter(|octets| !octets.is_empty()) else {
        return Some(Vec::new());
    };
    let list = SubTemplateList::parse(octets).ok()?;
    if list.content().is_empty() {
        return Some(Vec::new());
    }
    let template = scope.template(list.template_id)?;
    let mut records = list.records(template);
    let mut rows = Vec::new();
    for record in records.by_ref() {
        if rows.len() == SUMMARY_ROWS {
            return None;
        }
        rows.push(read(&record)?);
    }
    records.error().is_none().then_some(rows)
}

fn rank_row(record: &DataRecord<'_, '_>) -> Option<RankRow> {
    let (mut rank, mut limits) = (None, [None; 3]);
    for (field, value) in record.fields() {
        let Value::Float(value) = value else { continue };
        match field.specifier.element {
            ids::SUMMARY_QUANTILE_RANK => rank = Some(value),
            ids::SUMMARY_QUANTILE_VALUE => limits[0] = Some(value),
            ids::LOWER_CI_LIMIT => limits[1] = Some(value),
            ids::UPPER_CI_LIMIT => limits[2] = Some(value),
            _ => {}
        }
    }
    let rank = rank.filter(|rank| (0.0..=1.0).contains(rank))?;
    let value = limits[0]?;
    let limits = [value, limits[1].unwrap_or(value), limits[2].unwrap_or(value)];
    is_between(limits[1], value, limits[2]).then_some(RankRow { rank, limits })
}

fn item_row(record: &DataRecord<'_, '_>) -> Option<ItemRow> {
    let (mut item, mut weights) = (None, [None; 3]);
    for (field, value) in record.fields() {
        match field.specifier.element {
            ids::SUMMARY_ITEM => item = value.to_text().map(|text| text.into_owned()),
            ids::SUMMARY_ITEM_WEIGHT => weights[0] = value.to_u64(),
            ids::SUMMARY_ITEM_LOWER_BOUND => weights[1] = value.to_u64(),
            ids::SUMMARY_ITEM_UPPER_BOUND => weights[2] = value.to_u64(),
            _ => {}
        }
    }
    let weight = weights[0]?;
    let weights = [weight, weights[1].unwrap_or(weight), weights[2].unwrap_or(weight)];
    let item = item.filter(|item| item.len() <= SUMMARY_ITEM_OCTETS)?;
    (weights[1] <= weight && weight <= weights[2]).then_some(ItemRow { item, weights })
}
