//! How values are distributed: KLL where the error may be the same everywhere, REQ where the slowest few matter.
//!
//! Which is which, and why not t-digest, is in `docs/decisions`. Values are kept as f32, exact up to 2^24.

use datasketches::common::{NumStdDev, SearchCriteria};
use datasketches::kll::{KllFloat, KllSketch};
use datasketches::req::{RankAccuracy, ReqFloat, ReqSketch};

use super::estimate::{Estimate, TWO_SIGMA};
use super::image::{self, Refusal};
use crate::limits::IMAGE_K;

/// k of KLL: ranks are off by at most 1.33 % with 99 % confidence.
const KLL_K: u16 = 200;
/// k of REQ: near the top, ranks are off by a few parts in ten thousand.
const REQ_K: u16 = 12;
/// What KLL states its error for.
const KLL_CONFIDENCE: f64 = 0.99;

/// Ranks that are exported and shown.
pub const RANKS: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];

/// A distribution.
#[derive(Clone, Debug)]
pub enum Quantiles {
    /// The same error at every rank.
    Kll(KllSketch<KllFloat<f32>>),
    /// Less error at high ranks.
    Req(ReqSketch<ReqFloat<f32>>),
}

impl Quantiles {
    /// The same error at every rank.
    pub fn even() -> Quantiles {
        match KllSketch::new(KLL_K) {
            Ok(sketch) => Quantiles::Kll(sketch),
            Err(_) => unreachable!("k is within its range"),
        }
    }

    /// Less error at high ranks.
    pub fn high() -> Quantiles {
        match ReqSketch::new(REQ_K, RankAccuracy::HighRank) {
            Ok(sketch) => Quantiles::Req(sketch),
            Err(_) => unreachable!("k is within its range"),
        }
    }

    /// Takes a value in; what is no number is left out.
    #[inline]
    pub fn update(&mut self, value: f32) {
        match self {
            Quantiles::Kll(sketch) => {
                if let Ok(value) = KllFloat::<f32>::new(value) {
                    sketch.update(value);
                }
            }
            Quantiles::Req(sketch) => {
                if let Ok(value) = ReqFloat::<f32>::new(value) {
                    sketch.update(value);
                }
            }
        }
    }

    /// Values taken in.
    pub fn weight(&self) -> u64 {
        match self {
            Quantiles::Kll(sketch) => sketch.n(),
            Quantiles::Req(sketch) => sketch.n(),
        }
    }

    /// The smallest and the largest value; they are exact.
    pub fn extremes(&self) -> Option<[f64; 2]> {
        let (least, most) = match self {
            Quantiles::Kll(sketch) => ((*sketch.min_item()?).into_inner(), (*sketch.max_item()?).into_inner()),
            Quantiles::Req(sketch) => ((*sketch.min_item()?).into_inner(), (*sketch.max_item()?).into_inner()),
        };
        Some([f64::from(least), f64::from(most)])
    }

    /// The values at some ranks, each between those at the lower and the upper limit of its rank.
    pub fn estimates(&self, ranks: &[f64]) -> Vec<Estimate> {
        if self.weight() == 0 {
            return Vec::new();
        }
        let error = match self {
            Quantiles::Kll(sketch) if sketch.is_estimation_mode() => sketch.normalized_rank_error(),
            _ => 0.0,
        };
        let limits = |rank: f64| match self {
            Quantiles::Kll(_) => [(rank - error).max(0.0), rank, (rank + error).min(1.0)],
            Quantiles::Req(sketch) => [
                sketch.rank_lower_bound(rank, NumStdDev::Two).clamp(0.0, rank),
                rank,
                sketch.rank_upper_bound(rank, NumStdDev::Two).clamp(rank, 1.0),
            ],
        };
        let confidence = match self {
            Quantiles::Kll(_) => KLL_CONFIDENCE,
            Quantiles::Req(_) => TWO_SIGMA,
        };
        let asked: Vec<f64> = ranks.iter().flat_map(|rank| limits(*rank)).collect();
        self.values(&asked)
            .chunks_exact(3)
            .filter_map(|values| match *values {
                [lower, value, upper] => Some(Estimate {
                    value,
                    lower,
                    upper,
                    confidence,
                }),
                _ => None,
            })
            .collect()
    }

    fn values(&self, ranks: &[f64]) -> Vec<f64> {
        let criteria = SearchCriteria::Inclusive;
        match self {
            Quantiles::Kll(sketch) => {
                let view = sketch.sorted_view();
                let value = |rank: &f64| view.quantile(*rank, criteria).ok().flatten();
                ranks
                    .iter()
                    .filter_map(value)
                    .map(|value| f64::from(value.into_inner()))
                    .collect()
            }
            Quantiles::Req(sketch) => {
                let view = sketch.sorted_view();
                let value = |rank: &f64| view.quantile(*rank, criteria).ok().flatten();
                ranks
                    .iter()
                    .filter_map(value)
                    .map(|value| f64::from(value.into_inner()))
                    .collect()
            }
        }
    }

    /// Takes in what another one has.
    ///
    /// # Errors
    /// `Family` when they are of different kinds; nothing is changed then.
    pub fn merge(&mut self, other: &Quantiles) -> Result<(), Refusal> {
        match (self, other) {
            (Quantiles::Kll(sketch), Quantiles::Kll(other)) => sketch.merge(other).map_err(|_| Refusal::Corrupt),
            (Quantiles::Req(sketch), Quantiles::Req(other)) => sketch.merge(other).map_err(|_| Refusal::Corrupt),
            _ => Err(Refusal::Family),
        }
    }

    /// Family number of the image.
    pub fn family(&self) -> u8 {
        match self {
            Quantiles::Kll(_) => image::FAMILY_KLL,
            Quantiles::Req(_) => image::FAMILY_REQ,
        }
    }

    /// k.
    pub fn parameter(&self) -> u16 {
        match self {
            Quantiles::Kll(sketch) => sketch.k(),
            Quantiles::Req(sketch) => sketch.k(),
        }
    }

    /// The Apache image.
    pub fn image(&self) -> Vec<u8> {
        match self {
            Quantiles::Kll(sketch) => sketch.serialize(),
            Quantiles::Req(sketch) => sketch.serialize(),
        }
    }

    /// Reads one of either family.
    ///
    /// # Errors
    /// Why it is none of ours.
    pub fn of_image(octets: &[u8]) -> Result<Quantiles, Refusal> {
        let is_req = match image::check_family(octets, image::FAMILY_KLL) {
            Ok(()) => false,
            Err(Refusal::Family) => image::check_family(octets, image::FAMILY_REQ).map(|()| true)?,
            Err(refusal) => return Err(refusal),
        };
        // REQ and KLL keep k in the same place.
        let k = match octets.get(4..6) {
            Some([low, high]) => u16::from_le_bytes([*low, *high]),
            _ => return Err(Refusal::Cut),
        };
        if k > IMAGE_K {
            return Err(Refusal::Size);
        }
        let quantiles = match is_req {
            false => Quantiles::Kll(image::read(|| KllSketch::deserialize(octets))?),
            true => Quantiles::Req(image::read(|| ReqSketch::deserialize(octets))?),
        };
        // What it says must be usable, or it is refused before it spoils a merge.
        image::read(|| {
            let mut merged = quantiles.clone();
            merged.merge(&quantiles).map_err(drop)?;
            (quantiles.weight() <= 1 << 62 && merged.estimates(&RANKS).iter().all(|one| one.value.is_finite()))
                .then_some(())
                .ok_or(())
        })?;
        Ok(quantiles)
    }
}
