//! What an image from the network has to pass before it is kept: it is of the family its metric has, of a size that is
//! sound, it is what its record says, and the library reads it.
//!
//! None of the families taken carries a seed; images of those that do (theta, tuple, CPC) are of another family.

use flowgauge_sketches::{Cardinality, Kind, List, Quantiles, Refusal, image};

use super::assembly::Image;

/// An image, read.
#[derive(Clone, Debug)]
pub enum Sketch {
    /// Different values.
    Cardinality(Cardinality),
    /// A distribution.
    Quantiles(Quantiles),
    /// Weights of items.
    FrequentItems(List),
}

/// Reads an image.
///
/// # Errors
/// Why it is refused.
pub fn sketch(kind: Kind, image: &Image) -> Result<Sketch, Refusal> {
    let says = |families: &[u8], parameter: u16| match families.contains(&image.family) {
        false => Err(Refusal::Family),
        true if parameter != image.parameter => Err(Refusal::Size),
        true => Ok(()),
    };
    match kind {
        Kind::Counter => Err(Refusal::Family),
        Kind::Cardinality => {
            let sketch = Cardinality::of_image(&image.octets)?;
            says(&[image::FAMILY_HLL], sketch.parameter())?;
            Ok(Sketch::Cardinality(sketch))
        }
        Kind::Quantiles => {
            let sketch = Quantiles::of_image(&image.octets)?;
            says(&[sketch.family()], sketch.parameter())?;
            Ok(Sketch::Quantiles(sketch))
        }
        Kind::FrequentItems => {
            let list = List::of_image(&image.octets)?;
            says(&[image::FAMILY_FREQUENCY], list.parameter())?;
            Ok(Sketch::FrequentItems(list))
        }
    }
}
