//! How many different values there were: HyperLogLog.
//!
//! Filled as one octet a register, which is quickest, and sent as four bits a register, which is smallest; both give the
//! same estimate.

use std::convert::Infallible;

use datasketches::common::NumStdDev;
use datasketches::hash::value::raw_bytes;
use datasketches::hll::{Coupon, HllSketch, HllType, HllUnion};

use super::estimate::{Estimate, TWO_SIGMA};
use super::image::{self, Refusal};
use crate::limits::{CARDINALITY_LG_K, IMAGE_LG_K};

/// More different values than anybody counts; beyond, registers come near to what their six bits can say.
const MOST: f64 = (1u64 << 48) as f64;

/// Different octets.
#[derive(Clone, Debug)]
pub struct Cardinality {
    sketch: HllSketch,
}

impl Default for Cardinality {
    fn default() -> Cardinality {
        Cardinality {
            sketch: empty(CARDINALITY_LG_K),
        }
    }
}

fn empty(lg_k: u8) -> HllSketch {
    match HllSketch::new(lg_k, HllType::Hll8) {
        Ok(sketch) => sketch,
        Err(_) => unreachable!("lg k is between 4 and 21"),
    }
}

impl Cardinality {
    /// A coarser or finer one than usual.
    pub fn with_lg_k(lg_k: u8) -> Cardinality {
        Cardinality {
            sketch: empty(lg_k.clamp(4, IMAGE_LG_K)),
        }
    }

    /// Takes one value in. The libraries of other languages leave empty strings out, and so do we.
    #[inline]
    pub fn update(&mut self, octets: &[u8]) {
        if !octets.is_empty() {
            self.sketch
                .update_with_coupon(Coupon::from_value(raw_bytes::from_slice(octets)));
        }
    }

    /// Nothing was taken in.
    pub fn is_empty(&self) -> bool {
        self.sketch.is_empty()
    }

    /// Two standard deviations to either side.
    pub fn estimate(&self) -> Estimate {
        Estimate {
            value: self.sketch.estimate(),
            lower: self.sketch.lower_bound(NumStdDev::Two),
            upper: self.sketch.upper_bound(NumStdDev::Two),
            confidence: TWO_SIGMA,
        }
    }

    /// Takes in what another one has. The result is as coarse as the coarser of the two.
    pub fn merge(&mut self, other: &Cardinality) {
        let lg_k = self.sketch.lg_config_k().min(other.sketch.lg_config_k());
        let Ok(mut union) = HllUnion::new(lg_k) else { return };
        union.update(&self.sketch);
        union.update(&other.sketch);
        self.sketch = union.to_sketch(HllType::Hll8);
    }

    /// lg k.
    pub fn parameter(&self) -> u16 {
        u16::from(self.sketch.lg_config_k())
    }

    /// The Apache image.
    pub fn image(&self) -> Vec<u8> {
        let Ok(mut union) = HllUnion::new(self.sketch.lg_config_k()) else {
            return self.sketch.serialize();
        };
        union.update(&self.sketch);
        union.to_sketch(HllType::Hll4).serialize()
    }

    /// Reads one.
    ///
    /// # Errors
    /// Why it is none of ours.
    pub fn of_image(octets: &[u8]) -> Result<Cardinality, Refusal> {
        image::check_family(octets, image::FAMILY_HLL)?;
        let lg_k = octets.get(3).copied().ok_or(Refusal::Cut)?;
        if !(4..=IMAGE_LG_K).contains(&lg_k) {
            return Err(Refusal::Size);
        }
        let cardinality = sound(octets, lg_k)?;
        // It may be written again, and must be read then.
        sound(&image::read(|| Ok::<_, Infallible>(cardinality.image()))?, lg_k)?;
        Ok(cardinality)
    }
}

/// What an image holds, if it does not contradict itself.
fn sound(octets: &[u8], lg_k: u8) -> Result<Cardinality, Refusal> {
    let registers = registers_of(octets, lg_k)?;
    let cardinality = read(octets)?;
    // What it says beside its registers must agree with them, and be the same when it is written again.
    let again = read(&image::read(|| Ok::<_, Infallible>(cardinality.image()))?)?;
    image::read(|| {
        let mut merged = Cardinality::default();
        merged.merge(&cardinality);
        let estimate = cardinality.estimate();
        let in_order = 0.0 <= estimate.lower && estimate.lower <= estimate.value && estimate.value <= estimate.upper;
        // Two views of the same registers, each with its own error.
        let tolerance = estimate.value * 4.0 / f64::from(1u32 << lg_k).sqrt() + 1.0;
        let agrees = (estimate.value - registers.estimate().value).abs() <= tolerance;
        let is_sound = in_order && estimate.upper <= MOST && agrees && estimate == again.estimate();
        Ok::<_, Infallible>(is_sound)
    })?
    .then_some(cardinality)
    .ok_or(Refusal::Corrupt)
}

fn read(octets: &[u8]) -> Result<Cardinality, Refusal> {
    check_registers(octets)?;
    let sketch = image::read(|| HllSketch::deserialize(octets))?;
    Ok(Cardinality { sketch })
}

/// The registers of an image, without what else it says of itself.
fn registers_of(octets: &[u8], lg_k: u8) -> Result<Cardinality, Refusal> {
    let read = read(octets)?;
    image::read(|| {
        let mut union = HllUnion::new(lg_k)?;
        // The first time it is copied with all that it says; the second time its registers are merged, and nothing else.
        union.update(&read.sketch);
        union.update(&read.sketch);
        Ok::<_, datasketches::error::Error>(Cardinality {
            sketch: union.to_sketch(HllType::Hll8),
        })
    })
}

/// Registers hold 6 bits in every form; the library takes what it finds. The eighth octet has the mode, 2 for registers, and
/// above it how wide they are, 0 for four bits above a minimum, 2 for eight.
fn check_registers(octets: &[u8]) -> Result<(), Refusal> {
    const LARGEST: u8 = 63;
    let [_, _, _, _, _, _, minimum, mode, ..] = octets else {
        return Err(Refusal::Cut);
    };
    let is_sound = match (mode & 3, mode >> 2 & 3) {
        (2, 0) => *minimum <= LARGEST - 15,
        (2, 2) => octets
            .get(40..)
            .unwrap_or_default()
            .iter()
            .all(|register| *register <= LARGEST),
        (3, _) | (_, 3) => false,
        _ => true,
    };
    is_sound.then_some(()).ok_or(Refusal::Corrupt)
}
