//! What leaves of a window: a record for each metric, readable by itself, and further ones where the image of a sketch is
//! too long for one.

use std::sync::Arc;

use super::metrics::Kind;
use super::sketch::{Estimate, Item};

/// One summary record.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRecord {
    /// When the window begins, ns since 1970 UTC.
    pub start_ns: i64,
    /// When it ends.
    pub end_ns: i64,
    /// The Selector in force; 0 for everything.
    pub selector: u32,
    /// Name of the metric.
    pub metric: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What can be read without knowing sketches; in the first record of a metric only.
    pub readable: Option<Readable>,
    /// The image of the sketch, or a part of it.
    pub image: Option<ImagePart>,
}

/// What can be read without knowing sketches.
#[derive(Clone, Debug, PartialEq)]
pub enum Readable {
    /// An exact sum.
    Counter(u64),
    /// How many different values there were.
    Cardinality(Estimate),
    /// How values are distributed.
    Quantiles {
        /// How many values there were.
        weight: u64,
        /// With what confidence the truth is within the limits.
        confidence: f64,
        /// By rank; the first and the last are the extremes, which are exact.
        rows: Vec<QuantileRow>,
    },
    /// Which items had the most weight.
    FrequentItems {
        /// Of all items.
        weight: u64,
        /// The heaviest first.
        rows: Vec<ItemRow>,
    },
}

/// The value at a rank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantileRow {
    /// 0 to 1.
    pub rank: f64,
    /// The value, which sketches keep as 32 bits, and its limits.
    pub value: f32,
    /// Lower limit.
    pub lower: f32,
    /// Upper limit.
    pub upper: f32,
}

/// One item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRow {
    /// As people read it.
    pub item: Box<str>,
    /// Its weight.
    pub weight: u64,
    /// The least and the most that the truth can be.
    pub limits: [u64; 2],
}

/// A part of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePart {
    /// Family number of Apache DataSketches.
    pub family: u8,
    /// k or its logarithm.
    pub parameter: u16,
    /// The whole image.
    pub image: Arc<[u8]>,
    /// Where the part begins.
    pub offset: u16,
    /// Its octets.
    pub octets: u16,
}

impl ImagePart {
    /// The octets of the part.
    pub fn part(&self) -> &[u8] {
        let start = usize::from(self.offset);
        self.image
            .get(start..start + usize::from(self.octets))
            .unwrap_or_default()
    }
}

impl ItemRow {
    /// Of an item in its canonical octets.
    pub(crate) fn new(form: super::metrics::Form, item: &Item, weight: u64, limits: [u64; 2]) -> ItemRow {
        ItemRow {
            item: super::json::item(form, item.octets()).into(),
            weight,
            limits,
        }
    }
}
