//! One window: a counter or a sketch for each metric, aligned to the wall clock, and what merging two of them gives.

use super::metrics::{Kind, Metric};
use super::seconds::{RATES, Seconds};
use super::sketch::{Cardinality, Item, List, Quantiles, Refusal};
use super::zones::Zones;

/// What a metric has gathered.
#[derive(Clone, Debug)]
pub enum Summary {
    /// A sum.
    Counter(u64),
    /// Different values.
    Cardinality(Box<Cardinality>),
    /// A distribution.
    Quantiles(Box<Quantiles>),
    /// Weights of items.
    FrequentItems(Box<List>),
}

impl Summary {
    fn empty(metric: Metric) -> Summary {
        match metric.about().kind {
            Kind::Counter => Summary::Counter(0),
            Kind::Cardinality => Summary::Cardinality(Box::default()),
            Kind::Quantiles => Summary::Quantiles(Box::new(match metric {
                Metric::DnsLatency | Metric::DnsLatencyIn | Metric::DnsLatencyOut => Quantiles::high(),
                metric if RATES.contains(&metric) => Quantiles::high(),
                _ => Quantiles::even(),
            })),
            Kind::FrequentItems => Summary::FrequentItems(Box::default()),
        }
    }

    /// Whether nothing was gathered.
    pub fn is_empty(&self) -> bool {
        match self {
            Summary::Counter(sum) => *sum == 0,
            Summary::Cardinality(sketch) => sketch.is_empty(),
            Summary::Quantiles(sketch) => sketch.weight() == 0,
            Summary::FrequentItems(list) => list.weight() == 0,
        }
    }

    /// Takes in what another one of the same metric has.
    ///
    /// # Errors
    /// `Family` when they are of different kinds, `Size` when sums would overflow; nothing is changed then.
    pub fn merge(&mut self, other: &Summary) -> Result<(), Refusal> {
        match (self, other) {
            (Summary::Counter(sum), Summary::Counter(more)) => *sum = sum.saturating_add(*more),
            (Summary::Cardinality(sketch), Summary::Cardinality(more)) => sketch.merge(more),
            (Summary::Quantiles(sketch), Summary::Quantiles(more)) => sketch.merge(more)?,
            (Summary::FrequentItems(list), Summary::FrequentItems(more)) => list.merge(more)?,
            _ => return Err(Refusal::Family),
        }
        Ok(())
    }
}

/// Everything about a span of time.
#[derive(Clone, Debug)]
pub struct Window {
    /// When it begins, ns since 1970 UTC; merged from several, the first.
    pub start_ns: i64,
    /// When it ends.
    pub end_ns: i64,
    /// How many windows it was merged from.
    pub windows: u64,
    summaries: Vec<Summary>,
    zones: Zones,
    /// As long as it is of one span only.
    seconds: Option<Box<Seconds>>,
}

impl Window {
    /// Nothing gathered.
    pub fn new(start_ns: i64, end_ns: i64) -> Window {
        Window {
            start_ns,
            end_ns,
            windows: 1,
            summaries: Metric::ALL.iter().map(|metric| Summary::empty(*metric)).collect(),
            zones: Zones::default(),
            seconds: None,
        }
    }

    /// What a metric gathered.
    pub fn summary(&self, metric: Metric) -> &Summary {
        &self.summaries[metric as usize]
    }

    /// The sum of a counter; 0 for other kinds.
    pub fn counter(&self, metric: Metric) -> u64 {
        match self.summary(metric) {
            Summary::Counter(sum) => *sum,
            _ => 0,
        }
    }

    /// Zones of DNS names: queries, responses, clients and different names of each.
    pub fn zones(&self) -> &Zones {
        &self.zones
    }

    /// Takes in another window, of whatever span. Windows of the same span are parts of one, seen by several workers or
    /// come late: their rates add up second by second, and they count as one.
    ///
    /// # Errors
    /// As [`Summary::merge`]; what could be merged is.
    pub fn merge(&mut self, other: &Window) -> Result<(), Refusal> {
        let seconds = match (self.seconds.take(), &other.seconds) {
            (Some(mut mine), Some(others)) => mine.add(others).then_some(mine),
            _ => None,
        };
        self.windows = match seconds {
            Some(_) => self.windows.max(other.windows),
            None => self.windows + other.windows,
        };
        self.start_ns = self.start_ns.min(other.start_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
        let mut result = Ok(());
        for (mine, others) in self.summaries.iter_mut().zip(&other.summaries) {
            result = mine.merge(others).and(result);
        }
        if let Some(seconds) = seconds {
            self.rates_of(seconds);
        }
        self.zones.merge(&other.zones);
        result
    }

    /// Has the rates of these seconds, and no others.
    pub(super) fn rates_of(&mut self, seconds: Box<Seconds>) {
        for (metric, sketch) in RATES.into_iter().zip(seconds.sketches()) {
            if let Some(place) = self.summaries.get_mut(metric as usize) {
                *place = Summary::Quantiles(Box::new(sketch));
            }
        }
        self.seconds = Some(seconds);
    }

    #[inline]
    pub(super) fn zones_mut(&mut self) -> &mut Zones {
        &mut self.zones
    }

    #[inline]
    pub(super) fn add(&mut self, metric: Metric, more: u64) {
        if let Some(Summary::Counter(sum)) = self.summaries.get_mut(metric as usize) {
            *sum = sum.saturating_add(more);
        }
    }

    #[inline]
    pub(super) fn list(&mut self, metric: Metric, octets: &[u8], weight: u64) {
        if weight > 0
            && let Some(Summary::FrequentItems(list)) = self.summaries.get_mut(metric as usize)
        {
            list.update(Item::new(octets), weight);
        }
    }

    #[inline]
    pub(super) fn different(&mut self, metric: Metric, octets: &[u8]) {
        if let Some(Summary::Cardinality(sketch)) = self.summaries.get_mut(metric as usize) {
            sketch.update(octets);
        }
    }

    #[inline]
    pub(super) fn distribution(&mut self, metric: Metric, value: f32) {
        if let Some(Summary::Quantiles(sketch)) = self.summaries.get_mut(metric as usize) {
            sketch.update(value);
        }
    }

    /// Merges one metric into another one of the same kind.
    pub(super) fn merge_into(&mut self, metric: Metric, part: Metric) {
        if let Ok([whole, part]) = self.summaries.get_disjoint_mut([metric as usize, part as usize]) {
            // Both are ours and of one kind.
            whole.merge(part).unwrap_or_default();
        }
    }
}
