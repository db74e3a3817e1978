//! What a summary is made of, on both sides of the wire: the list of metrics, and sketches of Apache DataSketches, each
//! with the limits of what it estimates and with an image that merges anywhere.
//!
//! The exporter fills sketches and sends images, the collector checks images and merges them; what they agree on is here.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cardinality;
pub mod estimate;
pub mod image;
pub mod item;
pub mod limits;
pub mod list;
pub mod metrics;
pub mod quantiles;

pub use cardinality::Cardinality;
pub use estimate::Estimate;
pub use image::Refusal;
pub use item::Item;
pub use list::{List, Row};
pub use metrics::{Kind, Metric};
pub use quantiles::Quantiles;
