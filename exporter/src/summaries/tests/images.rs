//! Images: what comes back is what went in, the Python library agrees, and octets from anywhere are refused calmly.

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::Numbers;
use crate::summaries::sketch::{Cardinality, Item, List, Quantiles, Refusal};

fn cardinality(seed: u64, values: u64) -> Cardinality {
    let mut numbers = Numbers(seed);
    let mut sketch = Cardinality::default();
    (0..values).for_each(|_| sketch.update(&numbers.next().to_be_bytes()));
    sketch
}

fn quantiles(mut sketch: Quantiles, values: u64) -> Quantiles {
    let mut numbers = Numbers(3);
    (0..values).for_each(|_| sketch.update(numbers.below(100_000) as f32));
    sketch
}

fn list(values: u64) -> List {
    let mut numbers = Numbers(4);
    let mut list = List::default();
    for _ in 0..values {
        let name = format!("host{}.example.com", numbers.skewed(5000));
        list.update(Item::new(name.as_bytes()), 1 + numbers.below(9));
    }
    list
}

/// Every image that the tests begin from.
fn images() -> Vec<Vec<u8>> {
    let mut images = Vec::new();
    for values in [0, 1, 5, 200, 20_000] {
        images.push(cardinality(values, values).image());
        images.push(quantiles(Quantiles::even(), values).image());
        images.push(quantiles(Quantiles::high(), values).image());
        images.push(list(values).image());
    }
    images
}

#[test]
fn an_image_gives_the_same_estimates_back() {
    for values in [1, 30, 1000, 50_000] {
        let before = cardinality(9, values);
        assert_eq!(
            Cardinality::of_image(&before.image()).unwrap().estimate().value,
            before.estimate().value
        );
        for make in [Quantiles::even, Quantiles::high] {
            let before = quantiles(make(), values);
            let after = Quantiles::of_image(&before.image()).unwrap();
            assert_eq!(after.estimates(&[0.5, 0.99]), before.estimates(&[0.5, 0.99]));
            assert_eq!((after.weight(), after.family()), (values, before.family()));
        }
        let before = list(values);
        let after = List::of_image(&before.image()).unwrap();
        assert_eq!(after.rows(1000), before.rows(1000));
        assert_eq!((after.weight(), after.error()), (before.weight(), before.error()));
    }
}

#[test]
fn images_that_are_not_ours_are_refused_by_reason() {
    let hll = cardinality(1, 5000).image();
    assert_eq!(List::of_image(&hll).unwrap_err(), Refusal::Family);
    assert_eq!(Quantiles::of_image(&hll).unwrap_err(), Refusal::Family);
    assert_eq!(Cardinality::of_image(&list(5).image()).unwrap_err(), Refusal::Family);
    assert_eq!(Cardinality::of_image(&hll[..2]).unwrap_err(), Refusal::Cut);
    assert_eq!(
        Cardinality::of_image(&hll[..hll.len() - 1]).unwrap_err(),
        Refusal::Corrupt
    );
    assert_eq!(Cardinality::of_image(&vec![7; 2 << 20]).unwrap_err(), Refusal::Size);
    let mut large = hll.clone();
    large[3] = 21;
    assert_eq!(Cardinality::of_image(&large).unwrap_err(), Refusal::Size);
    // A few octets that ask for gigabytes.
    let mut large = list(5).image();
    (large[3], large[4]) = (30, 30);
    assert_eq!(List::of_image(&large).unwrap_err(), Refusal::Size);
    let mut heavy = list(5).image();
    heavy[24..32].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(List::of_image(&heavy).unwrap_err(), Refusal::Corrupt);
}

/// Reads an image as every kind, and uses what is accepted.
fn read_all(image: &[u8]) {
    if let Ok(sketch) = Cardinality::of_image(image) {
        let mut whole = cardinality(1, 100);
        whole.merge(&sketch);
        assert!(whole.estimate().value.is_finite());
    }
    if let Ok(sketch) = Quantiles::of_image(image) {
        let _ = quantiles(Quantiles::even(), 100).merge(&sketch);
        let _ = quantiles(Quantiles::high(), 100).merge(&sketch);
    }
    if let Ok(sketch) = List::of_image(image) {
        let mut whole = list(100);
        whole.merge(&sketch).unwrap();
        let _ = (whole.rows(10), whole.image_within(500));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_octets_are_refused_or_usable(octets in proptest::collection::vec(any::<u8>(), 0..200), family in 0usize..5) {
        let mut octets = octets;
        if let (Some(place), Some(family)) = (octets.get_mut(2), [7u8, 10, 15, 17].get(family)) {
            *place = *family;
        }
        read_all(&octets);
    }

    #[test]
    fn images_with_faults_are_refused_or_usable(
        image in proptest::sample::select(images()),
        faults in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut image = image;
        for (at, octet) in faults {
            // Most of what matters is at the beginning.
            let at = at.index(image.len()).min(at.index(64));
            image[at] = octet;
        }
        if let Some(cut) = cut {
            image.truncate(cut.index(image.len()));
        }
        read_all(&image);
    }
}

const PYTHON: &str = r#"
import sys, datasketches as d
folder = sys.argv[1] + "/"
read = lambda name: open(folder + name, "rb").read()
hll = d.hll_sketch.deserialize(read("hll"))
kll = d.kll_floats_sketch.deserialize(read("kll"))
req = d.req_floats_sketch.deserialize(read("req"))
top = d.frequent_strings_sketch.deserialize(read("top"))
print(repr(hll.get_estimate()))
print(repr(kll.get_quantile(0.5, True)), kll.n)
print(repr(req.get_quantile(0.99, True)), req.n)
for name, estimate, lower, upper in top.get_frequent_items(d.frequent_items_error_type.NO_FALSE_NEGATIVES)[:5]:
    print(name, estimate, lower, upper)
# And one that is made there: the same values that the test feeds, and some of its own.
theirs = d.hll_sketch(11)
for i in range(3000):
    theirs.update("name%d.example" % i)
open(folder + "their.hll", "wb").write(theirs.serialize_compact())
theirs = d.req_floats_sketch(12, True)
for i in range(5000):
    theirs.update(float(i))
open(folder + "their.req", "wb").write(theirs.serialize())
theirs = d.kll_floats_sketch(200)
for i in range(5000):
    theirs.update(float(i))
open(folder + "their.kll", "wb").write(theirs.serialize())
theirs = d.frequent_strings_sketch(10)
for i in range(100):
    theirs.update("name%d.example" % i, i + 1)
open(folder + "their.top", "wb").write(theirs.serialize())
"#;

/// Runs the Python library; none when it is not installed. FLOWGAUGE_PYTHON names an interpreter that has it; without it,
/// that of `.ci/setup` is taken.
fn python(folder: &Path) -> Option<String> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python/bin/python3");
    let interpreter = match std::env::var("FLOWGAUGE_PYTHON") {
        Ok(named) => named,
        Err(_) if installed.is_file() => installed.to_string_lossy().into_owned(),
        Err(_) => "python3".to_owned(),
    };
    let has_library = Command::new(&interpreter)
        .args(["-c", "import datasketches"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_library {
        println!(
            "skipped: {interpreter} has no datasketches: images are not read by another library (pip install datasketches)"
        );
        return None;
    }
    let output = Command::new(&interpreter)
        .args(["-c", PYTHON])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_python_library_reads_ours_and_we_read_its() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, image: Vec<u8>| std::fs::write(folder.path().join(name), image).unwrap();
    let (hll, kll, req, top) = (
        cardinality(1, 30_000),
        quantiles(Quantiles::even(), 30_000),
        quantiles(Quantiles::high(), 30_000),
        list(30_000),
    );
    write("hll", hll.image());
    write("kll", kll.image());
    write("req", req.image());
    write("top", top.image());
    let Some(said) = python(folder.path()) else { return };
    let mut lines = said.lines();
    let estimate: f64 = lines.next().unwrap().parse().unwrap();
    assert!((estimate - hll.estimate().value).abs() < 1e-6 * estimate, "{estimate}");
    for (sketch, rank) in [(&kll, 0.5), (&req, 0.99)] {
        let value = sketch.estimates(&[rank])[0].value;
        assert_eq!(lines.next().unwrap(), format!("{value:?} {}", sketch.weight()));
    }
    let mut theirs: Vec<String> = lines.map(str::to_owned).collect();
    let mut ours: Vec<String> = top
        .rows(5)
        .iter()
        .map(|row| {
            let name = String::from_utf8(row.item.octets().to_vec()).unwrap();
            format!("{name} {} {} {}", row.weight, row.limits[0], row.limits[1])
        })
        .collect();
    theirs.sort();
    ours.sort();
    assert_eq!(theirs, ours);

    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let theirs = Cardinality::of_image(&read("their.hll")).unwrap();
    let names = |range: std::ops::Range<u32>| {
        let mut sketch = Cardinality::default();
        range.for_each(|at| sketch.update(format!("name{at}.example").as_bytes()));
        sketch
    };
    // A third of the names are in both, so that it shows whether they are hashed alike.
    let (mut with_theirs, mut alone) = (names(2000..6000), names(2000..6000));
    with_theirs.merge(&theirs);
    alone.merge(&names(0..3000));
    assert_eq!(with_theirs.estimate(), alone.estimate());
    for (name, mut ours) in [("their.kll", Quantiles::even()), ("their.req", Quantiles::high())] {
        (5000..10_000).for_each(|value| ours.update(value as f32));
        ours.merge(&Quantiles::of_image(&read(name)).unwrap()).unwrap();
        let [median] = ours.estimates(&[0.5])[..] else {
            panic!("one rank, one estimate")
        };
        assert_eq!(ours.weight(), 10_000);
        assert!(median.lower <= 4999.0 && 4999.0 <= median.upper, "{median:?}");
    }
    let mut ours = List::default();
    ours.update(Item::new(b"name99.example"), 1000);
    ours.merge(&List::of_image(&read("their.top")).unwrap()).unwrap();
    let first = ours.rows(1).remove(0);
    assert_eq!(
        (first.item.octets(), first.limits),
        (&b"name99.example"[..], [1100, 1100])
    );
    assert_eq!(ours.weight(), 1000 + 5050);
}
