//! Which items had the most weight: frequent items, whose limits hold always, not only likely.

use datasketches::frequencies::{ErrorType, FrequentItemsSketch};

use super::image::{self, Refusal};
use super::item::Item;
use crate::limits::{IMAGE_LG_K, LEAST_LIST_PLACES, LIST_PLACES};

/// A weight far from where sums of sums would overflow.
const MOST_WEIGHT: u64 = 1 << 62;

/// One row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Canonical octets.
    pub item: Item,
    /// Estimated weight: the largest that it can have.
    pub weight: u64,
    /// Smallest and largest that the truth can be.
    pub limits: [u64; 2],
}

/// Weights of items.
#[derive(Clone, Debug)]
pub struct List {
    sketch: FrequentItemsSketch<Item>,
}

impl Default for List {
    fn default() -> List {
        List {
            sketch: empty(LIST_PLACES),
        }
    }
}

fn empty(places: usize) -> FrequentItemsSketch<Item> {
    match FrequentItemsSketch::new(places) {
        Ok(sketch) => sketch,
        Err(_) => unreachable!("places are a power of two above 7"),
    }
}

impl List {
    /// A list of weights that are known one by one, each key once: as if the lightest had been taken out at once, which is
    /// nearer to them than what is left of adding one after the other.
    pub fn heaviest<K>(weights: &mut [(K, u64)], mut item: impl FnMut(&K) -> Item) -> List {
        const MOST: usize = LIST_PLACES / 4 * 3 - 1;
        let total = weights.iter().map(|(_, weight)| *weight).fold(0, u64::saturating_add);
        let mut list = List::default();
        if weights.len() > MOST && total < MOST_WEIGHT {
            let (heavy, (_, error), _) = weights.select_nth_unstable_by(MOST, |a, b| b.1.cmp(&a.1));
            let error = *error;
            heavy
                .iter()
                .filter(|(_, weight)| *weight > error)
                .for_each(|(key, weight)| list.update(item(key), weight - error));
            let mut image = list.image();
            if let Some(sums) = image.get_mut(16..32) {
                let (weight, offset) = sums.split_at_mut(8);
                weight.copy_from_slice(&total.to_le_bytes());
                offset.copy_from_slice(&error.to_le_bytes());
                if let Ok(list) = List::of_image(&image) {
                    return list;
                }
            }
            // All are equal.
            list = List::default();
        }
        weights.iter().for_each(|(key, weight)| list.update(item(key), *weight));
        list
    }

    /// Adds weight to an item.
    #[inline]
    pub fn update(&mut self, item: Item, weight: u64) {
        if self.sketch.total_weight() < MOST_WEIGHT && weight < MOST_WEIGHT {
            self.sketch.update_with_count(item, weight);
        }
    }

    /// Sum of all weights.
    pub fn weight(&self) -> u64 {
        self.sketch.total_weight()
    }

    /// How far an estimate is off at most.
    pub fn error(&self) -> u64 {
        self.sketch.maximum_error()
    }

    /// lg of the places.
    pub fn parameter(&self) -> u16 {
        u16::from(self.sketch.lg_max_map_size())
    }

    /// The heaviest `most`, the heaviest first; those of equal weight by their octets.
    pub fn rows(&self, most: usize) -> Vec<Row> {
        let mut rows: Vec<Row> = self
            .sketch
            .frequent_items_with_threshold(ErrorType::NoFalseNegatives, 0)
            .into_iter()
            .map(|row| Row {
                weight: row.estimate(),
                limits: [row.lower_bound(), row.upper_bound()],
                item: row.item().clone(),
            })
            .collect();
        rows.sort_by(|a, b| {
            b.weight
                .cmp(&a.weight)
                .then_with(|| a.item.octets().cmp(b.item.octets()))
        });
        rows.truncate(most);
        rows
    }

    /// Takes in what another one has.
    ///
    /// # Errors
    /// `Size` when the weights are too large to be added; nothing is changed then.
    pub fn merge(&mut self, other: &List) -> Result<(), Refusal> {
        if self.weight().saturating_add(other.weight()) > MOST_WEIGHT {
            return Err(Refusal::Size);
        }
        self.sketch.merge(&other.sketch);
        Ok(())
    }

    /// The Apache image.
    pub fn image(&self) -> Vec<u8> {
        self.sketch.serialize()
    }

    /// The largest image of at most `octets`, coarser than this list where it must be; with it lg of its places.
    pub fn image_within(&self, octets: usize) -> Option<(Vec<u8>, u16)> {
        let image = self.image();
        if image.len() <= octets {
            return Some((image, self.parameter()));
        }
        let mut places = self.sketch.max_map_size() / 2;
        while places >= LEAST_LIST_PLACES {
            let mut smaller = empty(places);
            smaller.merge(&self.sketch);
            let image = smaller.serialize();
            if image.len() <= octets {
                return Some((image, u16::from(smaller.lg_max_map_size())));
            }
            places /= 2;
        }
        None
    }

    /// Reads one whose items are strings of octets.
    ///
    /// # Errors
    /// Why it is none of ours.
    pub fn of_image(octets: &[u8]) -> Result<List, Refusal> {
        image::check_family(octets, image::FAMILY_FREQUENCY)?;
        let (Some(most), Some(now)) = (octets.get(3), octets.get(4)) else {
            return Err(Refusal::Cut);
        };
        if *most > IMAGE_LG_K || now > most {
            return Err(Refusal::Size);
        }
        // Weights are checked ahead of the library, whose sums would overflow: the total, then the error.
        let number = |at: usize| {
            let octets = octets.get(at..at + 8)?;
            Some(u64::from_le_bytes(octets.try_into().ok()?))
        };
        if octets.first().is_some_and(|first| first & 0x3f == 4) {
            let (Some(weight), Some(error)) = (number(16), number(24)) else {
                return Err(Refusal::Cut);
            };
            if weight > MOST_WEIGHT || error > weight {
                return Err(Refusal::Corrupt);
            }
        }
        let sketch = image::read(|| FrequentItemsSketch::deserialize(octets))?;
        Ok(List { sketch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &u32) -> Item {
        Item::new(&key.to_be_bytes())
    }

    fn check(weights: &[(u32, u64)], list: &List) {
        assert_eq!(list.weight(), weights.iter().map(|(_, weight)| weight).sum::<u64>());
        let rows = list.rows(usize::MAX);
        for (key, weight) in weights {
            match rows.iter().find(|row| row.item == item(key)) {
                Some(row) => assert!(
                    row.limits[0] <= *weight && *weight <= row.limits[1],
                    "{key} {weight} {row:?}"
                ),
                None => assert!(*weight <= list.error(), "{key} {weight} {}", list.error()),
            }
        }
    }

    #[test]
    fn the_heaviest_of_many_keep_their_limits_also_when_merged() {
        let weights: Vec<(u32, u64)> = (0..5_000).map(|key| (key, 1_000_000 / u64::from(key + 1))).collect();
        let mut list = List::heaviest(&mut weights.clone(), item);
        check(&weights, &list);
        assert_eq!(
            list.rows(3).iter().map(|row| row.weight).collect::<Vec<_>>(),
            [1_000_000, 500_000, 333_333]
        );
        let plain = weights.iter().fold(List::default(), |mut list, (key, weight)| {
            list.update(item(key), *weight);
            list
        });
        assert!(list.error() <= plain.error());
        let other: Vec<(u32, u64)> = (0..5_000).map(|key| (key, u64::from(key))).collect();
        list.merge(&List::heaviest(&mut other.clone(), item)).unwrap();
        let both: Vec<(u32, u64)> = weights
            .iter()
            .zip(&other)
            .map(|(one, two)| (one.0, one.1 + two.1))
            .collect();
        check(&both, &list);
    }

    #[test]
    fn few_weights_are_exact_and_equal_ones_are_kept() {
        let few: Vec<(u32, u64)> = (0..700).map(|key| (key, 7)).collect();
        let list = List::heaviest(&mut few.clone(), item);
        assert_eq!((list.error(), list.rows(usize::MAX).len()), (0, 700));
        let equal: Vec<(u32, u64)> = (0..9_000).map(|key| (key, 7)).collect();
        check(&equal, &List::heaviest(&mut equal.clone(), item));
    }
}
