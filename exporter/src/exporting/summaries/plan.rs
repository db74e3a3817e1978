//! What of a closed window leaves within the budget: first the readable part of every metric, with fewer rows where that
//! is needed, then images of sketches in the order of the table, lists sharing what is left.
//!
//! The budget does not follow the traffic: whatever does not fit is left out, counted, and said in records of its own.

use std::sync::Arc;

use super::layout;
use crate::config::SummaryExportConfig;
use crate::exporting::limits::{LIST_IMAGE_OCTETS, SUMMARY_LATE_SHARE};
use crate::summaries::limits::LIST_ROWS;
use crate::summaries::metrics::{Kind, Metric};
use crate::summaries::record::{ImagePart, ItemRow, QuantileRow, Readable, SummaryRecord};
use crate::summaries::sketch::quantiles::RANKS;
use crate::summaries::sketch::{Quantiles, image};
use crate::summaries::{Summary, Window};

const MINUTE_NS: i64 = 60_000_000_000;
/// Message header and Set header.
const MESSAGE_OCTETS: usize = 16 + 4;
/// The headers of a Message that is not full, and of the Sets that every change of template begins.
const WINDOW_OCTETS: usize = 80;
/// The records that say what was left out, each with its share of headers.
const DECLARATIONS_OCTETS: usize = 4 * 60;

/// What was and what was not exported of windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SummaryExportCounters {
    /// Windows of which records were made.
    pub windows: u64,
    /// Records.
    pub records: u64,
    /// Octets that these take in Messages, at most.
    pub octets: u64,
    /// Metrics that had gathered something and did not leave at all.
    pub metrics_left_out: u64,
    /// Rows of lists, of the heaviest ones.
    pub rows_left_out: u64,
    /// Images.
    pub images_left_out: u64,
    /// Images of lists that are coarser than the list was.
    pub images_coarser: u64,
}

/// Names of the counters that say in the records of a window what was left out of it.
pub const DECLARED: [&str; 4] = [
    "export.metrics_left_out",
    "export.rows_left_out",
    "export.images_left_out",
    "export.images_coarser",
];

impl SummaryExportCounters {
    pub(super) fn left_out(&self) -> [u64; 4] {
        [
            self.metrics_left_out,
            self.rows_left_out,
            self.images_left_out,
            self.images_coarser,
        ]
    }
}

/// Makes the records of windows.
#[derive(Debug)]
pub struct SummaryPlan {
    config: SummaryExportConfig,
    /// Octets of a record that fits into every Message.
    room: usize,
    selector: u32,
    /// Until when the budget was shared out.
    clock_ns: i64,
    /// What is left of the budget for parts of windows that come late.
    spare: usize,
    counters: SummaryExportCounters,
}

impl SummaryPlan {
    /// `message_octets` is the longest Message; `selector` is in every record unless it is 0.
    pub fn new(config: SummaryExportConfig, message_octets: u16, selector: u32) -> SummaryPlan {
        SummaryPlan {
            config,
            room: usize::from(message_octets).saturating_sub(MESSAGE_OCTETS),
            selector,
            clock_ns: i64::MIN,
            spare: 0,
            counters: SummaryExportCounters::default(),
        }
    }

    /// What was exported so far.
    pub fn counters(&self) -> SummaryExportCounters {
        self.counters
    }

    /// The records of a window, in the order in which they should leave.
    pub fn records(&mut self, window: &Window) -> Vec<SummaryRecord> {
        let allowance = self.allowance(window);
        let before = self.counters;
        let left = allowance.saturating_sub(WINDOW_OCTETS + DECLARATIONS_OCTETS);
        let (mut records, left) = self.readable(window, left);
        if self.config.images {
            self.images(window, &mut records, left);
        }
        self.declare(window, before, allowance, &mut records);
        let spent = self.spent(&records);
        self.spare = allowance.saturating_sub(spent).min(self.spare_most());
        self.counters.windows += u64::from(!records.is_empty());
        self.counters.records += records.len() as u64;
        self.counters.octets += spent as u64;
        records
    }

    /// Octets that a window may take: its share of a minute, a part of which is kept for parts of it that come late.
    fn allowance(&mut self, window: &Window) -> usize {
        let length_ns = window.end_ns.saturating_sub(window.start_ns).clamp(0, MINUTE_NS);
        let share = (u128::from(self.config.budget) * length_ns as u128 / MINUTE_NS as u128) as usize;
        if window.end_ns <= self.clock_ns {
            return self.spare;
        }
        self.clock_ns = window.end_ns;
        share - share / SUMMARY_LATE_SHARE
    }

    fn spare_most(&self) -> usize {
        self.config.budget as usize / SUMMARY_LATE_SHARE
    }

    /// What records take at most.
    fn spent(&self, records: &[SummaryRecord]) -> usize {
        let costs: usize = records.iter().map(|record| self.cost(record)).sum();
        costs + if records.is_empty() { 0 } else { WINDOW_OCTETS }
    }

    /// What a record takes at most of a Message and its headers: a large one may leave the Message before it half empty,
    /// small ones at least half fill theirs.
    fn cost(&self, record: &SummaryRecord) -> usize {
        let octets = layout::octets(record);
        match octets > self.room / 2 {
            true => octets + 2 * MESSAGE_OCTETS,
            false => octets + (2 * MESSAGE_OCTETS * octets).div_ceil(self.room.max(1)),
        }
    }

    /// The readable parts with as many rows as fit; and what is left of `octets`.
    fn readable(&mut self, window: &Window, octets: usize) -> (Vec<SummaryRecord>, usize) {
        let metrics: Vec<Metric> = Metric::ALL
            .iter()
            .copied()
            .filter(|metric| *metric == Metric::Packets || !window.summary(*metric).is_empty())
            .collect();
        let make = |rows: usize| -> Vec<SummaryRecord> {
            let readable = |metric: &Metric| readable(*metric, window.summary(*metric), rows);
            metrics
                .iter()
                .map(|metric| self.record(window, *metric, readable(metric)))
                .collect()
        };
        let most = make(LIST_ROWS);
        let all = row_count(&most);
        let mut records = most;
        let mut rows = LIST_ROWS;
        loop {
            records.iter_mut().for_each(|record| self.fit(record));
            let total: usize = records.iter().map(|record| self.cost(record)).sum();
            if total <= octets || rows == 1 {
                break;
            }
            rows -= 1;
            records = make(rows);
        }
        let mut left = octets;
        let mut kept = 0;
        for record in &records {
            let cost = self.cost(record);
            if cost > left {
                break;
            }
            left -= cost;
            kept += 1;
        }
        self.counters.metrics_left_out += (records.len() - kept) as u64;
        records.truncate(kept);
        self.counters.rows_left_out += (all - row_count(&records)) as u64;
        (records, left)
    }

    /// Takes rows from a list until the record fits into a Message: names are as long as they want to be.
    fn fit(&self, record: &mut SummaryRecord) {
        while layout::octets(record) > self.room {
            match &mut record.readable {
                Some(Readable::FrequentItems { rows, .. }) if !rows.is_empty() => rows.truncate(rows.len() - 1),
                _ => return,
            }
        }
    }

    /// Adds images: sketches that have one size in the order of the table, then lists, which share what is left; the
    /// short ones leave their rest to the long ones.
    fn images(&mut self, window: &Window, records: &mut Vec<SummaryRecord>, mut left: usize) {
        let mut lists: Vec<(usize, Metric)> = Vec::new();
        let mut images: Vec<(Metric, Whole)> = Vec::new();
        for metric in Metric::ALL.iter().copied() {
            let image = match window.summary(metric) {
                Summary::Counter(_) => continue,
                sketch if sketch.is_empty() => continue,
                Summary::Cardinality(sketch) => Whole::new(image::FAMILY_HLL, sketch.parameter(), sketch.image()),
                Summary::Quantiles(sketch) => Whole::new(sketch.family(), sketch.parameter(), sketch.image()),
                Summary::FrequentItems(list) => {
                    lists.push((list.image().len(), metric));
                    continue;
                }
            };
            match self.image_cost(image.image.len()) {
                cost if cost <= left && image.image.len() <= LIST_IMAGE_OCTETS => {
                    left -= cost;
                    images.push((metric, image));
                }
                _ => self.counters.images_left_out += 1,
            }
        }
        // Those of equal length in the order of the table.
        lists.sort_by_key(|(octets, _)| *octets);
        let mut to_come = lists.len();
        for (_, metric) in lists {
            let share = left / to_come.max(1);
            to_come -= 1;
            let Summary::FrequentItems(list) = window.summary(metric) else {
                continue;
            };
            let most = self.image_of(share).min(LIST_IMAGE_OCTETS);
            let Some((octets, parameter)) = list.image_within(most) else {
                self.counters.images_left_out += 1;
                continue;
            };
            left = left.saturating_sub(self.image_cost(octets.len()));
            images.push((metric, Whole::new(image::FAMILY_FREQUENCY, parameter, octets)));
        }
        images.sort_by_key(|(metric, _)| *metric);
        self.refine(window, &mut images, left);
        self.attach(window, records, images);
    }

    /// Sizes go in steps of two, so that shares leave a rest: lists that are coarser than they were take it in the order of
    /// the table, which also keeps the octets of a window from swinging with the luck of the steps.
    fn refine(&mut self, window: &Window, images: &mut [(Metric, Whole)], mut left: usize) {
        for (metric, whole) in images {
            let Summary::FrequentItems(list) = window.summary(*metric) else {
                continue;
            };
            if whole.parameter >= list.parameter() {
                continue;
            }
            let now = self.image_cost(whole.image.len());
            let most = self.image_of(left + now).min(LIST_IMAGE_OCTETS);
            if let Some((octets, parameter)) = list.image_within(most)
                && parameter > whole.parameter
            {
                left = (left + now).saturating_sub(self.image_cost(octets.len()));
                *whole = Whole::new(image::FAMILY_FREQUENCY, parameter, octets);
            }
            self.counters.images_coarser += u64::from(whole.parameter < list.parameter());
        }
    }

    /// Octets of a record with a part of an image and nothing else, without the part.
    fn part_octets(&self) -> usize {
        let longest = Metric::ALL.iter().map(|metric| metric.about().name.len()).max();
        let selector = if self.selector == 0 { 0 } else { 4 };
        // Window, metric and kind; family, parameter, length, offset, and the length of the part in its long form.
        8 + 8 + selector + 1 + longest.unwrap_or_default() + 1 + 1 + 2 + 4 + 2 + 3
    }

    /// What an image of so many octets takes at most: it comes in parts, each a record in a Message of its own.
    fn image_cost(&self, octets: usize) -> usize {
        let part = self.room.saturating_sub(self.part_octets()).max(1);
        // The first part is shorter by what is readable.
        let parts = octets.div_ceil(part) + 1;
        octets + parts * (self.part_octets() + 2 * MESSAGE_OCTETS)
    }

    /// The longest image that takes no more than `octets`.
    fn image_of(&self, octets: usize) -> usize {
        let part = self.room.saturating_sub(self.part_octets()).max(1);
        let overhead = self.part_octets() + 2 * MESSAGE_OCTETS;
        let Some(octets) = octets.checked_sub(2 * overhead) else {
            return 0;
        };
        octets * part / (part + overhead)
    }

    /// Puts images beside their readable records, and what does not fit there into records behind them.
    fn attach(&self, window: &Window, records: &mut Vec<SummaryRecord>, images: Vec<(Metric, Whole)>) {
        let mut images = images.into_iter().peekable();
        let mut attached = Vec::with_capacity(records.len());
        for mut record in records.drain(..) {
            let Some((metric, whole)) = images.next_if(|(metric, _)| metric.about().name == record.metric) else {
                attached.push(record);
                continue;
            };
            let mut offset = 0;
            record.image = Some(whole.part(0, 0));
            let beside = self.part_room(&record, whole.image.len());
            // A few octets would not be worth their headers.
            let mut first = None;
            match beside >= whole.image.len().min(self.room / 8) {
                true => {
                    record.image = Some(whole.part(offset, beside));
                    offset = beside;
                }
                false => {
                    record.image = None;
                    first = Some(0);
                }
            }
            attached.push(record);
            while offset < whole.image.len() || first.take().is_some() {
                let mut part = self.record(window, metric, None);
                part.image = Some(whole.part(0, 0));
                let octets = self.part_room(&part, whole.image.len() - offset).max(1);
                part.image = Some(whole.part(offset, octets));
                offset += octets;
                attached.push(part);
            }
        }
        *records = attached;
    }

    /// How many octets of an image find room in a record that has an empty part.
    fn part_room(&self, record: &SummaryRecord, left: usize) -> usize {
        // From 255 octets on, the length takes two more.
        let room = self.room.saturating_sub(layout::octets(record));
        let room = if room < 255 { room } else { room - 2 };
        room.min(left)
    }

    /// Says in the window itself what was left out of it, unless even for that there is no room.
    fn declare(
        &self,
        window: &Window,
        before: SummaryExportCounters,
        allowance: usize,
        records: &mut Vec<SummaryRecord>,
    ) {
        let counts = DECLARED.iter().zip(self.counters.left_out()).zip(before.left_out());
        for ((name, now), before) in counts.filter(|((_, now), before)| now > before) {
            let record = SummaryRecord {
                metric: name,
                kind: Kind::Counter,
                readable: Some(Readable::Counter(now - before)),
                ..self.record(window, Metric::Packets, None)
            };
            if WINDOW_OCTETS.max(self.spent(records)) + self.cost(&record) <= allowance {
                records.push(record);
            }
        }
    }

    fn record(&self, window: &Window, metric: Metric, readable: Option<Readable>) -> SummaryRecord {
        SummaryRecord {
            start_ns: window.start_ns,
            end_ns: window.end_ns,
            selector: self.selector,
            metric: metric.about().name,
            kind: metric.about().kind,
            readable,
            image: None,
        }
    }
}

/// A whole image.
struct Whole {
    family: u8,
    parameter: u16,
    image: Arc<[u8]>,
}

impl Whole {
    fn new(family: u8, parameter: u16, image: Vec<u8>) -> Whole {
        Whole {
            family,
            parameter,
            image: image.into(),
        }
    }

    /// Images that are too long for the numbers are left out before.
    fn part(&self, offset: usize, octets: usize) -> ImagePart {
        ImagePart {
            family: self.family,
            parameter: self.parameter,
            image: self.image.clone(),
            offset: offset as u16,
            octets: octets as u16,
        }
    }
}

fn row_count(records: &[SummaryRecord]) -> usize {
    let rows = |record: &SummaryRecord| match &record.readable {
        Some(Readable::FrequentItems { rows, .. }) => rows.len(),
        _ => 0,
    };
    records.iter().map(rows).sum()
}

fn readable(metric: Metric, summary: &Summary, rows: usize) -> Option<Readable> {
    Some(match summary {
        Summary::Counter(sum) => Readable::Counter(*sum),
        Summary::Cardinality(sketch) => Readable::Cardinality(sketch.estimate()),
        Summary::Quantiles(sketch) => quantiles(sketch),
        Summary::FrequentItems(list) => Readable::FrequentItems {
            weight: list.weight(),
            rows: list
                .rows(rows)
                .into_iter()
                .map(|row| ItemRow::new(metric.about().form, &row.item, row.weight, row.limits))
                .collect(),
        },
    })
}

fn quantiles(sketch: &Quantiles) -> Readable {
    let estimates = sketch.estimates(&RANKS);
    let confidence = estimates.first().map_or(1.0, |estimate| estimate.confidence);
    let [least, most] = sketch.extremes().unwrap_or_default().map(|value| value as f32);
    let exact = |rank: f64, value: f32| QuantileRow {
        rank,
        value,
        lower: value,
        upper: value,
    };
    let inner = RANKS.iter().zip(estimates).map(|(rank, estimate)| QuantileRow {
        rank: *rank,
        value: estimate.value as f32,
        lower: estimate.lower as f32,
        upper: estimate.upper as f32,
    });
    Readable::Quantiles {
        weight: sketch.weight(),
        confidence,
        rows: std::iter::once(exact(0.0, least))
            .chain(inner)
            .chain([exact(1.0, most)])
            .collect(),
    }
}
