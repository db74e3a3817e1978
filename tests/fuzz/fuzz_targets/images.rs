//! Any octets as the image of a sketch: refused by a reason, or a sketch that estimates and merges, whose own image is read
//! again and says the same.
#![no_main]

use std::sync::Once;

use flowgauge_exporter::summaries::sketch::quantiles::RANKS;
use flowgauge_exporter::summaries::sketch::{Cardinality, Estimate, Item, List, Quantiles, Refusal};
use libfuzzer_sys::fuzz_target;

static ONCE: Once = Once::new();

fuzz_target!(|input: &[u8]| {
    // A panic within the sketches' library is a refusal, and must not end the process; ours still does, by unwinding into
    // libFuzzer's wrapper.
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let refusals = [cardinality(input), quantiles(input), list(input)];
    // No image is of two families.
    assert!(refusals.iter().filter(|refusal| refusal.is_none()).count() <= 1);
    assert!(refusals.iter().flatten().all(|refusal| Refusal::ALL.contains(refusal)));
});

fn in_order(estimate: &Estimate) {
    assert!(estimate.lower <= estimate.value && estimate.value <= estimate.upper, "{estimate:?}");
}

fn cardinality(image: &[u8]) -> Option<Refusal> {
    let mut sketch = match Cardinality::of_image(image) {
        Ok(sketch) => sketch,
        Err(refusal) => return Some(refusal),
    };
    let before = sketch.estimate();
    assert!(before.value.is_finite() && before.value >= 0.0);
    let again = Cardinality::of_image(&sketch.image()).expect("an image of ours");
    in_order(&before);
    in_order(&again.estimate());
    let mut ours = Cardinality::default();
    (0..100u32).for_each(|number| ours.update(&number.to_be_bytes()));
    ours.merge(&sketch);
    sketch.merge(&ours);
    assert!(sketch.estimate().value.is_finite() && ours.estimate().value.is_finite());
    None
}

fn quantiles(image: &[u8]) -> Option<Refusal> {
    let sketch = match Quantiles::of_image(image) {
        Ok(sketch) => sketch,
        Err(refusal) => return Some(refusal),
    };
    sketch.estimates(&RANKS).iter().for_each(in_order);
    let again = Quantiles::of_image(&sketch.image()).expect("an image of ours");
    assert_eq!(again.weight(), sketch.weight());
    let mut ours = match sketch {
        Quantiles::Kll(_) => Quantiles::even(),
        Quantiles::Req(_) => Quantiles::high(),
    };
    (0..100u8).for_each(|number| ours.update(number.into()));
    if ours.merge(&sketch).is_ok() {
        assert_eq!(ours.weight(), sketch.weight() + 100);
    }
    None
}

fn list(image: &[u8]) -> Option<Refusal> {
    let sketch = match List::of_image(image) {
        Ok(sketch) => sketch,
        Err(refusal) => return Some(refusal),
    };
    for row in sketch.rows(usize::MAX) {
        assert!(row.limits[0] <= row.limits[1] && row.limits[1] <= row.weight.max(row.limits[1]));
    }
    let again = List::of_image(&sketch.image()).expect("an image of ours");
    assert_eq!((again.weight(), again.error()), (sketch.weight(), sketch.error()));
    let mut ours = List::default();
    (0..100u8).for_each(|number| ours.update(Item::new(&[number]), u64::from(number)));
    let before = ours.weight();
    if ours.merge(&sketch).is_ok() {
        assert_eq!(ours.weight(), before + sketch.weight());
    }
    if let Some((smaller, _)) = sketch.image_within(300) {
        assert!(smaller.len() <= 300);
    }
    None
}
