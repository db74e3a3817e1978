//! Estimates never go without their limits.

/// A number, and the limits between which the truth is with [`Estimate::confidence`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// The likeliest.
    pub value: f64,
    /// As in lowerCILimit (element 337).
    pub lower: f64,
    /// As in upperCILimit (element 336).
    pub upper: f64,
    /// As in confidenceLevel (element 338), 0 to 1.
    pub confidence: f64,
}

impl Estimate {
    /// What was counted one by one.
    pub fn exact(value: u64) -> Estimate {
        let value = value as f64;
        Estimate {
            value,
            lower: value,
            upper: value,
            confidence: 1.0,
        }
    }
}

/// Two standard deviations of a normal distribution.
pub const TWO_SIGMA: f64 = 0.954_499_736_103_642;
