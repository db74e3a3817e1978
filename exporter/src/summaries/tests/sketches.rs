//! Estimates against the truth: the limits hold as often as the confidence says, alone and merged.

use std::collections::{HashMap, HashSet};

use super::{Numbers, failures_allowed};
use crate::summaries::sketch::quantiles::RANKS;
use crate::summaries::sketch::{Cardinality, Item, List, Quantiles};

const SEEDS: u64 = 60;

#[test]
fn cardinalities_are_within_their_limits_alone_and_merged() {
    let (mut failures, mut trials) = (0, 0);
    let mut confidence = 0.0;
    for seed in 0..SEEDS {
        for different in [1, 7, 300, 3_000, 40_000] {
            let mut numbers = Numbers(seed * 1000 + different);
            let mut parts = [Cardinality::default(), Cardinality::default()];
            let mut truth = HashSet::new();
            for _ in 0..different {
                let value = numbers.next().to_be_bytes();
                truth.insert(value);
                let [first, second] = &mut parts;
                // A third is seen by both, and everything twice.
                let of = numbers.below(3);
                for part in [(of != 0).then_some(first), (of != 1).then_some(second)]
                    .into_iter()
                    .flatten()
                {
                    part.update(&value);
                    part.update(&value);
                }
            }
            let [mut whole, second] = parts;
            whole.merge(&second);
            let estimate = whole.estimate();
            confidence = estimate.confidence;
            let truth = truth.len() as f64;
            trials += 1;
            failures += usize::from(!(estimate.lower.floor() <= truth && truth <= estimate.upper.ceil()));
            assert!(
                (estimate.value - truth).abs() <= truth * 0.12 + 1.0,
                "{estimate:?} of {truth}"
            );
        }
    }
    assert!(
        failures <= failures_allowed(trials, confidence),
        "{failures} of {trials}"
    );
}

#[test]
fn quantiles_are_within_their_limits_alone_and_merged() {
    for make in [Quantiles::even, Quantiles::high] {
        let (mut failures, mut trials, mut confidence) = (0, 0, 0.0);
        for seed in 0..SEEDS {
            for count in [1, 50, 20_000] {
                let mut numbers = Numbers(seed * 77 + count);
                let mut parts = [make(), make(), make()];
                let mut values: Vec<f32> = Vec::new();
                for at in 0..count {
                    // Most answers are quick, one in fifty takes long.
                    let value = match numbers.below(50) {
                        0 => 1e6 * (1.0 + numbers.share()),
                        _ => 20_000.0 * (1.0 - numbers.share()).ln().abs(),
                    } as f32;
                    values.push(value);
                    parts[(at % 3) as usize].update(value);
                }
                let [mut whole, second, third] = parts;
                whole.merge(&second).unwrap();
                whole.merge(&third).unwrap();
                assert_eq!(whole.weight(), count);
                values.sort_by(f32::total_cmp);
                let (least, most) = (values[0], values[values.len() - 1]);
                assert_eq!(whole.extremes(), Some([f64::from(least), f64::from(most)]));
                for (rank, estimate) in RANKS.iter().zip(whole.estimates(&RANKS)) {
                    let place = ((rank * values.len() as f64).ceil() as usize).clamp(1, values.len());
                    let truth = f64::from(values[place - 1]);
                    confidence = estimate.confidence;
                    trials += 1;
                    failures += usize::from(!(estimate.lower <= truth && truth <= estimate.upper));
                    assert!(estimate.lower <= estimate.value && estimate.value <= estimate.upper);
                }
            }
        }
        assert!(
            failures <= failures_allowed(trials, confidence),
            "{failures} of {trials}"
        );
    }
}

#[test]
fn lists_never_leave_their_limits_and_miss_nothing_heavy() {
    for seed in 0..SEEDS {
        let mut numbers = Numbers(seed);
        let mut parts = [List::default(), List::default()];
        let mut truth: HashMap<u64, u64> = HashMap::new();
        for at in 0..30_000 {
            let (item, weight) = (numbers.skewed(20_000), 1 + numbers.below(100));
            *truth.entry(item).or_default() += weight;
            parts[at % 2].update(Item::new(&item.to_be_bytes()), weight);
        }
        let [mut whole, second] = parts;
        whole.merge(&second).unwrap();
        let total: u64 = truth.values().sum();
        assert_eq!(whole.weight(), total);
        let number = |item: &Item| u64::from_be_bytes(item.octets().try_into().unwrap());
        let rows = whole.rows(usize::MAX);
        for row in &rows {
            let truth = truth[&number(&row.item)];
            assert!(row.limits[0] <= truth && truth <= row.limits[1], "{row:?} of {truth}");
        }
        assert!(whole.error() <= total * 35 / 10_240, "{} of {total}", whole.error());
        let found: HashSet<u64> = rows.iter().map(|row| number(&row.item)).collect();
        for (item, weight) in truth {
            assert!(
                weight <= whole.error() || found.contains(&item),
                "{item} weighs {weight}"
            );
        }
    }
}

#[test]
fn a_list_that_has_to_be_small_is_coarser_and_still_right() {
    let mut list = List::default();
    let mut numbers = Numbers(5);
    let mut truth: HashMap<u64, u64> = HashMap::new();
    for _ in 0..20_000 {
        let item = numbers.skewed(10_000);
        *truth.entry(item).or_default() += 1;
        list.update(Item::new(&item.to_be_bytes()), 1);
    }
    let whole = list.image().len();
    let mut last = usize::MAX;
    for octets in [whole, 8000, 2000, 700] {
        let (image, parameter) = list.image_within(octets).unwrap();
        assert!(image.len() <= octets && image.len() < last);
        last = image.len();
        let smaller = List::of_image(&image).unwrap();
        assert_eq!((smaller.weight(), smaller.parameter()), (20_000, parameter));
        for row in smaller.rows(100) {
            let truth = truth[&u64::from_be_bytes(row.item.octets().try_into().unwrap())];
            assert!(row.limits[0] <= truth && truth <= row.limits[1]);
        }
    }
    assert!(list.image_within(10).is_none());
}
