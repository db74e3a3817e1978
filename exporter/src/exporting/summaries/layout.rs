//! The templates of summary records and their values; what a record has picks its template.
//!
//! Rows of lists are in a subTemplateList (RFC 6313 section 4.5.2). Weights and quantiles take four octets where that is
//! enough (reduced-size encoding, RFC 7011 section 6.2); values of quantiles are 32 bits in the sketches already.

use flowgauge_ie_registry::{ElementId, ids};
use flowgauge_templates::ipfix::{FieldSpecifier, RecordWriter};

use crate::summaries::record::{ItemRow, QuantileRow, Readable, SummaryRecord};

const VARIABLE: u16 = u16::MAX;
/// The rows are what the list says they are, in this order.
const SEMANTIC_ORDERED: u8 = 4;
/// Octets around the rows: length in its long form, semantic, template.
const LIST_OCTETS: u16 = 3;

const fn field(element: ElementId, length: u16) -> FieldSpecifier {
    FieldSpecifier::new(element, length)
}

/// The template of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Quantiles.
    Quantile,
    /// Items with weights below 2^32.
    Item,
    /// Items with greater weights.
    HeavyItem,
}

impl RowKind {
    /// All of them.
    pub const ALL: [RowKind; 3] = [RowKind::Quantile, RowKind::Item, RowKind::HeavyItem];

    /// The fields of a row.
    pub const fn fields(self) -> [FieldSpecifier; 4] {
        let weight = match self {
            RowKind::Quantile => {
                return [
                    field(ids::SUMMARY_QUANTILE_RANK, 8),
                    field(ids::SUMMARY_QUANTILE_VALUE, 4),
                    field(ids::LOWER_CI_LIMIT, 4),
                    field(ids::UPPER_CI_LIMIT, 4),
                ];
            }
            RowKind::Item => 4,
            RowKind::HeavyItem => 8,
        };
        [
            field(ids::SUMMARY_ITEM, VARIABLE),
            field(ids::SUMMARY_ITEM_WEIGHT, weight),
            field(ids::SUMMARY_ITEM_LOWER_BOUND, weight),
            field(ids::SUMMARY_ITEM_UPPER_BOUND, weight),
        ]
    }
}

/// What a record has besides its window and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SummaryVariant {
    selected: bool,
    readable: ReadableKind,
    image: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadableKind {
    Nothing,
    Counter,
    Cardinality,
    Quantiles,
    FrequentItems,
}

impl SummaryVariant {
    /// Of a record.
    pub fn of(record: &SummaryRecord) -> SummaryVariant {
        SummaryVariant {
            selected: record.selector != 0,
            readable: match record.readable {
                None => ReadableKind::Nothing,
                Some(Readable::Counter(_)) => ReadableKind::Counter,
                Some(Readable::Cardinality(_)) => ReadableKind::Cardinality,
                Some(Readable::Quantiles { .. }) => ReadableKind::Quantiles,
                Some(Readable::FrequentItems { .. }) => ReadableKind::FrequentItems,
            },
            image: record.image.is_some(),
        }
    }
}

/// The template of a record's rows, if it has any.
pub fn rows_of(record: &SummaryRecord) -> Option<RowKind> {
    match &record.readable {
        Some(Readable::Quantiles { .. }) => Some(RowKind::Quantile),
        Some(Readable::FrequentItems { rows, .. }) => {
            let is_heavy = |row: &ItemRow| u32::try_from(row.weight.max(row.limits[1])).is_err();
            Some(match rows.iter().any(is_heavy) {
                true => RowKind::HeavyItem,
                false => RowKind::Item,
            })
        }
        _ => None,
    }
}

/// The fields of the template, in the order in which [`write`] writes them.
pub fn fields(variant: SummaryVariant) -> Vec<FieldSpecifier> {
    let mut fields = vec![
        field(ids::FLOW_START_MILLISECONDS, 8),
        field(ids::FLOW_END_MILLISECONDS, 8),
    ];
    if variant.selected {
        fields.push(field(ids::SELECTOR_ID, 4));
    }
    fields.extend([field(ids::SUMMARY_METRIC, VARIABLE), field(ids::SUMMARY_KIND, 1)]);
    let readable: &[FieldSpecifier] = match variant.readable {
        ReadableKind::Nothing => &[],
        ReadableKind::Counter => &[field(ids::SKETCH_STREAM_WEIGHT, 8)],
        ReadableKind::Cardinality => &[
            field(ids::SKETCH_ESTIMATE, 8),
            field(ids::LOWER_CI_LIMIT, 8),
            field(ids::UPPER_CI_LIMIT, 8),
            field(ids::CONFIDENCE_LEVEL, 8),
        ],
        ReadableKind::Quantiles => &[
            field(ids::SKETCH_STREAM_WEIGHT, 8),
            field(ids::CONFIDENCE_LEVEL, 8),
            field(ids::SUB_TEMPLATE_LIST, VARIABLE),
        ],
        ReadableKind::FrequentItems => &[
            field(ids::SKETCH_STREAM_WEIGHT, 8),
            field(ids::SUB_TEMPLATE_LIST, VARIABLE),
        ],
    };
    fields.extend_from_slice(readable);
    if variant.image {
        fields.extend([
            field(ids::SKETCH_FAMILY, 1),
            field(ids::SKETCH_PARAMETER, 2),
            field(ids::SKETCH_IMAGE_OCTETS, 4),
            field(ids::SECTION_OFFSET, 2),
            field(ids::SKETCH_IMAGE, VARIABLE),
        ]);
    }
    fields
}

/// Every field that some template has.
pub fn all_fields() -> impl Iterator<Item = FieldSpecifier> {
    use ReadableKind::{Cardinality, Counter, FrequentItems, Quantiles};
    [Counter, Cardinality, Quantiles, FrequentItems]
        .into_iter()
        .flat_map(|readable| {
            fields(SummaryVariant {
                selected: true,
                readable,
                image: true,
            })
        })
        .chain(RowKind::ALL.into_iter().flat_map(RowKind::fields))
}

/// Appends the values of a record; `rows` is the number of the template of its rows.
pub fn write(record: &SummaryRecord, rows: u16, w: &mut RecordWriter<'_>) {
    w.milliseconds(record.start_ns);
    w.milliseconds(record.end_ns);
    if record.selector != 0 {
        w.u32(record.selector);
    }
    w.variable(record.metric.as_bytes());
    w.u8(record.kind as u8);
    match &record.readable {
        None => {}
        Some(Readable::Counter(sum)) => w.u64(*sum),
        Some(Readable::Cardinality(estimate)) => {
            for number in [estimate.value, estimate.lower, estimate.upper, estimate.confidence] {
                w.f64(number);
            }
        }
        Some(Readable::Quantiles {
            weight,
            confidence,
            rows: values,
        }) => {
            w.u64(*weight);
            w.f64(*confidence);
            list(w, rows, values.len() as u16 * QUANTILE_OCTETS);
            for QuantileRow {
                rank,
                value,
                lower,
                upper,
            } in values
            {
                w.f64(*rank);
                for number in [value, lower, upper] {
                    w.array(number.to_be_bytes());
                }
            }
        }
        Some(Readable::FrequentItems {
            weight, rows: items, ..
        }) => {
            w.u64(*weight);
            let is_heavy = rows_of(record) == Some(RowKind::HeavyItem);
            let octets = items.iter().map(|row| item_octets(row, is_heavy)).sum::<usize>();
            list(w, rows, octets as u16);
            for row in items {
                w.variable(row.item.as_bytes());
                for number in [row.weight, row.limits[0], row.limits[1]] {
                    match is_heavy {
                        true => w.u64(number),
                        false => w.u32(number as u32),
                    }
                }
            }
        }
    }
    if let Some(part) = &record.image {
        w.u8(part.family);
        w.u16(part.parameter);
        w.u32(part.image.len() as u32);
        w.u16(part.offset);
        w.variable(part.part());
    }
}

const QUANTILE_OCTETS: u16 = 20;

fn list(w: &mut RecordWriter<'_>, template: u16, octets: u16) {
    w.u8(255);
    w.u16(octets + LIST_OCTETS);
    w.u8(SEMANTIC_ORDERED);
    w.u16(template);
}

fn item_octets(row: &ItemRow, is_heavy: bool) -> usize {
    let text = row.item.len();
    let length = if text < 255 { 1 } else { 3 };
    length + text + 3 * if is_heavy { 8 } else { 4 }
}

/// Octets of a record.
pub fn octets(record: &SummaryRecord) -> usize {
    let mut writer = RecordWriter::new(&mut []);
    write(record, 0, &mut writer);
    writer.missing()
}
