//! Addresses as small numbers in their order: the ranges that addresses lie in, one behind the other.
//!
//! This is what tantivy keeps of a column of addresses ("compact space"); it is written here because tantivy's own way there
//! puts every value of every row into a tree first.

use std::io::{self, Write};

use tantivy_bitpacker::{BitPacker, compute_num_bits};
use tantivy_common::{BinarySerializable, VInt, VIntU128};

/// What one more range costs in a segment, bits; as tantivy reckons.
const BITS_PER_RANGE: u64 = 36;
/// Codes have at most so many bits.
const MOST_BITS: u32 = 32;
/// tantivy's number of this way to keep addresses.
const CODEC: u8 = 1;

/// Ranges that hold all addresses of a column.
#[derive(Debug)]
pub struct Compact {
    /// First and last address of each range.
    ranges: Vec<(u128, u128)>,
    /// Codes by place in the order of addresses.
    codes: Vec<u32>,
    least: u128,
    largest: u128,
}

impl Compact {
    /// Finds the ranges for different addresses in their order, of so many values.
    pub fn new(order: &[(u128, u32)], values: usize) -> Self {
        let gap = widest_gap_kept(order, values);
        let mut ranges: Vec<(u128, u128)> = Vec::new();
        let mut codes = Vec::with_capacity(order.len());
        // 0 is none.
        let mut start = 1u32;
        for (address, _) in order {
            match ranges.last_mut() {
                Some((_, last)) if address - *last <= gap => *last = *address,
                _ => {
                    if let Some((first, last)) = ranges.last() {
                        start = start.wrapping_add((last - first) as u32).wrapping_add(1);
                    }
                    ranges.push((*address, *address));
                }
            }
            let first = ranges.last().map_or(*address, |(first, _)| *first);
            codes.push(start.wrapping_add((address - first) as u32));
        }
        Self {
            ranges,
            codes,
            least: order.first().map_or(0, |(address, _)| *address),
            largest: order.last().map_or(0, |(address, _)| *address),
        }
    }

    /// Writes the column's values, each said by its address's place in the order.
    pub fn write(&self, ordinals: &[u32], out: &mut Vec<u8>) -> io::Result<()> {
        VInt(ordinals.len() as u64).serialize(out)?;
        CODEC.serialize(out)?;
        let bits = compute_num_bits(self.codes.last().copied().map_or(1, u64::from));
        let mut packer = BitPacker::new();
        out.reserve(ordinals.len() * usize::from(bits) / 8);
        for ordinal in ordinals {
            let code = self.codes.get(*ordinal as usize).copied().unwrap_or(0);
            packer.write(u64::from(code), bits, out)?;
        }
        packer.close(out)?;
        let before = out.len();
        self.write_footer(ordinals.len(), bits, out)?;
        let octets = (out.len() - before) as u32;
        octets.serialize(out)
    }

    fn write_footer(&self, values: usize, bits: u8, out: &mut impl Write) -> io::Result<()> {
        // Flags, of which there are none.
        0u64.serialize(out)?;
        for number in [self.least, self.largest, values as u128] {
            VIntU128(number).serialize(out)?;
        }
        bits.serialize(out)?;
        VInt(self.ranges.len() as u64).serialize(out)?;
        let mut before = 0;
        for (first, last) in &self.ranges {
            VIntU128(first - before).serialize(out)?;
            VIntU128(last - first).serialize(out)?;
            before = *last;
        }
        Ok(())
    }
}

/// The widest distance of neighbours that stay in one range: what takes the fewest bits in all.
fn widest_gap_kept(order: &[(u128, u32)], values: usize) -> u128 {
    let (Some((least, _)), Some((largest, _))) = (order.first(), order.last()) else {
        return 0;
    };
    let distance = |pair: &[(u128, u32)]| match pair {
        [(left, _), (right, _)] => right - left,
        _ => 0,
    };
    let mut gaps: Vec<u128> = order.windows(2).map(distance).collect();
    gaps.retain(|gap| *gap > 1);
    gaps.sort_unstable_by(|left, right| right.cmp(left));
    let bits_of = |places: u128| u128::BITS - places.leading_zeros();
    // One less than there are places: all of them may be one too many for a number.
    let mut places = largest - least;
    let mut bits = bits_of(places.saturating_add(1));
    let cost_of = |bits: u32, ranges: usize| u64::from(bits) * values as u64 + BITS_PER_RANGE * ranges as u64;
    let mut best = (bits <= MOST_BITS).then(|| (cost_of(bits, 1), u128::MAX));
    for (at, gap) in gaps.iter().enumerate() {
        places -= gap - 1;
        let fewer = bits_of(places + 1);
        // Ranges are worth it only where they save a bit, and gaps of one width go together.
        let is_last = gaps.get(at + 1).is_none_or(|next| next < gap);
        if !is_last || (fewer == bits && best.is_some()) {
            continue;
        }
        bits = fewer;
        let cost = cost_of(bits, at + 2);
        if bits <= MOST_BITS && best.is_none_or(|(least, _)| cost < least) {
            best = Some((cost, gap - 1));
        }
    }
    best.map_or(1, |(_, gap)| gap)
}
