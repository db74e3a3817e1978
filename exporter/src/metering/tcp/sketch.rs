//! Quantiles of round-trip times in fixed memory: a histogram whose cells grow with the value.
//!
//! Cells are 1 µs wide up to 64 µs; above, each doubling has 32 cells, and a value is told by the middle of its cell, which is within
//! 1/64 of it (1.6 %). A connection's first samples are kept as they are, since most connections have few.

use super::pool::{NONE, Pool, Pooled};

/// Cells to a doubling; below twice this many µs a cell is 1 µs.
const STEPS: u32 = 32;
const STEPS_BITS: u32 = STEPS.ilog2();
/// Values from here on, 67 s, share the last cell.
const TOP_BITS: u32 = 26;
const CELLS: usize = (STEPS * (TOP_BITS - STEPS_BITS + 1)) as usize;

/// Samples of one connection's side that are kept as they are.
pub const KEPT: usize = 8;

/// How many samples fell into each cell.
#[derive(Clone, Debug)]
pub struct Histogram {
    cells: [u16; CELLS],
    total: u32,
}

impl Pooled for Histogram {
    fn new() -> Histogram {
        Histogram {
            cells: [0; CELLS],
            total: 0,
        }
    }

    fn reset(&mut self) {
        if self.total > 0 {
            *self = Histogram::new();
        }
    }
}

/// The cell of a value.
fn cell(us: u32) -> usize {
    let us = us.min((1 << TOP_BITS) - 1);
    let doubling = (us / STEPS).checked_ilog2().unwrap_or(0);
    (doubling * STEPS + (us >> doubling)) as usize
}

/// The middle of a cell.
fn middle(cell: usize) -> u32 {
    let cell = cell as u32;
    let doubling = (cell / STEPS).saturating_sub(1);
    let steps = cell - doubling * STEPS;
    (steps << doubling) + ((1 << doubling) >> 1)
}

impl Histogram {
    /// Counts a sample.
    pub fn add(&mut self, us: u32) {
        let Some(count) = self.cells.get_mut(cell(us)) else {
            return;
        };
        *count += 1;
        self.total += 1;
        if *count == u16::MAX {
            self.halve();
        }
    }

    /// Makes room for more: quantiles stay what they were.
    #[cold]
    fn halve(&mut self) {
        self.total = 0;
        for count in &mut self.cells {
            *count /= 2;
            self.total += u32::from(*count);
        }
    }

    /// Samples, fewer once cells were halved.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The values of which a share of so many hundredths is at most this, by nearest rank; none without samples.
    pub fn quantiles<const N: usize>(&self, percents: [u32; N]) -> Option<[u32; N]> {
        if self.total == 0 {
            return None;
        }
        let mut wanted = percents.map(|percent| rank(self.total, percent));
        let mut found = [0; N];
        let mut below = 0;
        for (at, &count) in self.cells.iter().enumerate() {
            below += u32::from(count);
            for (rank, value) in wanted.iter_mut().zip(&mut found) {
                if *rank != 0 && below >= *rank {
                    (*rank, *value) = (0, middle(at));
                }
            }
            if below == self.total {
                break;
            }
        }
        Some(found)
    }
}

/// Nearest rank, from 1.
fn rank(total: u32, percent: u32) -> u32 {
    (u64::from(total) * u64::from(percent)).div_ceil(100).max(1) as u32
}

/// Round-trip times of one side since the last record.
#[derive(Clone, Copy, Debug)]
pub struct Samples {
    /// All samples.
    pub count: u32,
    /// Samples that quantiles know.
    sketched: u32,
    /// Least of those.
    pub minimum_us: u32,
    /// Largest of all.
    pub maximum_us: u32,
    sum_us: u64,
    kept: [u32; KEPT],
    histogram: u32,
}

impl Default for Samples {
    fn default() -> Samples {
        Samples {
            count: 0,
            sketched: 0,
            minimum_us: u32::MAX,
            maximum_us: 0,
            sum_us: 0,
            kept: [0; KEPT],
            histogram: NONE,
        }
    }
}

impl Samples {
    /// Counts a sample. One that says more of the other side's delayed ACK than of the path is left out of minimum
    /// and quantiles.
    #[inline]
    pub fn add(&mut self, us: u32, delayed: bool, histograms: &mut Pool<Histogram>) {
        self.count += 1;
        self.sum_us += u64::from(us);
        self.maximum_us = self.maximum_us.max(us);
        if delayed {
            return;
        }
        self.minimum_us = self.minimum_us.min(us);
        self.sketched += 1;
        if let Some(kept) = self.kept.get_mut(self.sketched as usize - 1) {
            *kept = us;
            return;
        }
        if let Some(histogram) = histograms.at(self.histogram) {
            return histogram.add(us);
        }
        self.outgrow(us, histograms);
    }

    #[cold]
    fn outgrow(&mut self, us: u32, histograms: &mut Pool<Histogram>) {
        if self.sketched as usize == KEPT + 1
            && let Some(histogram) = histograms.ensure(&mut self.histogram)
        {
            self.kept.iter().for_each(|&kept| histogram.add(kept));
            return histogram.add(us);
        }
        // No histogram: each sample takes the place of a kept one with the chance that keeps all equally likely
        // (Vitter's algorithm R), by a multiplicative hash of its number instead of a random one.
        let draw = (u64::from(self.sketched.wrapping_mul(0x9e37_79b9)) * u64::from(self.sketched)) >> 32;
        if let Some(kept) = self.kept.get_mut(draw as usize) {
            *kept = us;
        }
    }

    /// Whether quantiles are those of some samples only.
    pub fn approximate(&self) -> bool {
        self.histogram == NONE && self.sketched as usize > KEPT
    }

    /// What a record says of them; they begin anew.
    pub fn take(&mut self, histograms: &mut Pool<Histogram>) -> super::RttSummary {
        const PERCENTS: [u32; 3] = [50, 90, 99];
        if self.count == 0 {
            return super::RttSummary::default();
        }
        let quantiles = match histograms.look(self.histogram) {
            Some(histogram) => histogram.quantiles(PERCENTS),
            None => self.kept_quantiles(PERCENTS),
        };
        let mean_us = (self.sum_us / u64::from(self.count)) as u32;
        // With delayed ACKs alone there is nothing better than these.
        let minimum_us = if self.sketched == 0 { mean_us } else { self.minimum_us };
        let [p50_us, p90_us, p99_us] = quantiles
            .unwrap_or([mean_us; 3])
            .map(|value| value.clamp(minimum_us, self.maximum_us));
        let summary = super::RttSummary {
            samples: self.count,
            minimum_us,
            mean_us,
            p50_us,
            p90_us,
            p99_us,
            maximum_us: self.maximum_us,
        };
        histograms.free(&mut self.histogram);
        *self = Samples::default();
        summary
    }

    fn kept_quantiles<const N: usize>(&self, percents: [u32; N]) -> Option<[u32; N]> {
        let mut kept = self.kept;
        let kept = kept.get_mut(..KEPT.min(self.sketched as usize))?;
        kept.sort_unstable();
        let total = kept.len() as u32;
        let last = *kept.last()?;
        Some(percents.map(|percent| kept.get(rank(total, percent) as usize - 1).copied().unwrap_or(last)))
    }

    /// Gives back what it holds of the pool.
    pub fn free(&mut self, histograms: &mut Pool<Histogram>) {
        histograms.free(&mut self.histogram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_within_its_bound_of_the_middle_of_its_cell() {
        let mut us = 0;
        let mut last = 0;
        while us < 1 << TOP_BITS {
            let at = cell(us);
            assert!(at < CELLS && at >= last && at <= last + 1, "{us}");
            last = at;
            let error = middle(at).abs_diff(us);
            assert!(u64::from(error) * 64 <= u64::from(us), "{us} is {}", middle(at));
            us += 1 + us / 300;
        }
        assert_eq!(cell(u32::MAX), CELLS - 1);
    }

    proptest::proptest! {
        /// Against sorting.
        #[test]
        fn quantiles_are_near_those_of_sorted_samples(mut values in proptest::collection::vec(1u32..5_000_000, 1..600)) {
            let mut pool = Pool::new(1);
            let mut samples = Samples::default();
            values.iter().for_each(|&us| samples.add(us, false, &mut pool));
            let summary = samples.take(&mut pool);
            assert_eq!(pool.in_use(), 0);
            values.sort_unstable();
            assert_eq!(summary.samples as usize, values.len());
            assert_eq!([summary.minimum_us, summary.maximum_us], [values[0], values[values.len() - 1]]);
            for (percent, ours) in [(50, summary.p50_us), (90, summary.p90_us), (99, summary.p99_us)] {
                let exact = values[(values.len() * percent).div_ceil(100) - 1];
                assert!(ours.abs_diff(exact) <= exact / 64 + 1, "p{percent} {ours} for {exact}");
            }
        }
    }

    #[test]
    fn full_cells_leave_quantiles_as_they_are() {
        let mut histogram = Histogram::new();
        for at in 0..400_000u32 {
            histogram.add(if at % 4 == 0 { 2000 } else { 100 });
        }
        let [p50, p90] = histogram.quantiles([50, 90]).unwrap();
        assert!((99..=101).contains(&p50) && (1968..=2032).contains(&p90), "{p50} {p90}");
    }

    #[test]
    fn without_a_histogram_a_selection_remains() {
        let mut pool = Pool::new(0);
        let mut samples = Samples::default();
        (0..1000).for_each(|us| samples.add(us, false, &mut pool));
        assert!(samples.approximate() && pool.refused() > 0);
        let summary = samples.take(&mut pool);
        assert_eq!(
            (summary.samples, summary.minimum_us, summary.maximum_us),
            (1000, 0, 999)
        );
        assert!((100..900).contains(&summary.p50_us), "{}", summary.p50_us);
    }

    #[test]
    fn delayed_acks_count_but_move_neither_minimum_nor_quantiles() {
        let mut pool = Pool::new(0);
        let mut samples = Samples::default();
        samples.add(1000, false, &mut pool);
        samples.add(41_000, true, &mut pool);
        let summary = samples.take(&mut pool);
        assert_eq!(
            (summary.samples, summary.mean_us, summary.maximum_us),
            (2, 21_000, 41_000)
        );
        assert_eq!((summary.minimum_us, summary.p99_us), (1000, 1000));
    }
}
