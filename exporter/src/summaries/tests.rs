//! What summaries say against what went in, over many seeds, and images against the library of another language.

mod images;
mod shared;
mod sketches;
mod windows;

/// A generator of numbers: splitmix64.
pub(super) struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// Between 0 and 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A few numbers often, many rarely.
    pub fn skewed(&mut self, most: u64) -> u64 {
        ((most as f64).powf(self.share()) as u64).min(most) - 1
    }
}

/// Of `trials` with this confidence, how many may fail: the expected share, and four standard deviations.
pub(super) fn failures_allowed(trials: usize, confidence: f64) -> usize {
    let expected = trials as f64 * (1.0 - confidence);
    (expected + 4.0 * (expected * confidence).sqrt()).ceil() as usize
}
