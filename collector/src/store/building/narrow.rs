//! Numbers one after the other, each as wide as the largest of them needs: most columns of a flow fit into an octet or two.

/// Numbers in the order they came.
#[derive(Debug)]
pub enum Narrow {
    /// Up to 8 bits.
    One(Vec<u8>),
    /// Up to 16 bits.
    Two(Vec<u16>),
    /// Up to 32 bits.
    Four(Vec<u32>),
    /// All others.
    Eight(Vec<u64>),
}

impl Default for Narrow {
    fn default() -> Self {
        Self::One(Vec::new())
    }
}

impl Narrow {
    /// Appends a number.
    #[inline]
    pub fn push(&mut self, value: u64) {
        match self {
            Self::One(held) if value <= u64::from(u8::MAX) => held.push(value as u8),
            Self::Two(held) if value <= u64::from(u16::MAX) => held.push(value as u16),
            Self::Four(held) if value <= u64::from(u32::MAX) => held.push(value as u32),
            Self::Eight(held) => held.push(value),
            _ => self.widen(value),
        }
    }

    /// Makes all numbers as wide as one that does not fit, and appends it.
    #[cold]
    fn widen(&mut self, value: u64) {
        let bits = u64::BITS - value.leading_zeros();
        let held = self.map(|held| held);
        *self = if bits <= u16::BITS {
            Self::Two(held.iter().map(|held| *held as u16).collect())
        } else if bits <= u32::BITS {
            Self::Four(held.iter().map(|held| *held as u32).collect())
        } else {
            Self::Eight(held)
        };
        self.push(value);
    }

    /// Every number, made into something else, in their order.
    pub fn map<T>(&self, made: impl Fn(u64) -> T) -> Vec<T> {
        match self {
            Self::One(held) => held.iter().map(|value| made(u64::from(*value))).collect(),
            Self::Two(held) => held.iter().map(|value| made(u64::from(*value))).collect(),
            Self::Four(held) => held.iter().map(|value| made(u64::from(*value))).collect(),
            Self::Eight(held) => held.iter().map(|value| made(*value)).collect(),
        }
    }

    /// Memory it takes.
    pub fn octets(&self) -> usize {
        match self {
            Self::One(held) => held.capacity(),
            Self::Two(held) => held.capacity() * 2,
            Self::Four(held) => held.capacity() * 4,
            Self::Eight(held) => held.capacity() * 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_wide_as_the_widest_needs() {
        let mut narrow = Narrow::default();
        let mut all = Vec::new();
        for (value, octets) in [
            (0, 1),
            (255, 1),
            (256, 2),
            (7, 2),
            (65_536, 4),
            (u64::from(u32::MAX), 4),
            (u64::MAX, 8),
            (1, 8),
        ] {
            narrow.push(value);
            all.push(value);
            assert_eq!(narrow.map(|value| value), all);
            let width = match narrow {
                Narrow::One(_) => 1,
                Narrow::Two(_) => 2,
                Narrow::Four(_) => 4,
                Narrow::Eight(_) => 8,
            };
            assert_eq!(width, octets, "after {value}");
        }
    }
}
