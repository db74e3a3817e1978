//! Sketches of Apache DataSketches, each with the limits of what it estimates and with an image that merges anywhere.

pub mod cardinality;
pub mod estimate;
pub mod image;
pub mod item;
pub mod list;
pub mod quantiles;

pub use cardinality::Cardinality;
pub use estimate::Estimate;
pub use image::Refusal;
pub use item::Item;
pub use list::{List, Row};
pub use quantiles::Quantiles;
