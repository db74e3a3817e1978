//! Settings of destinations that are files: when a new one begins, and how many are kept.

use std::time::Duration;

use super::{Destination, Reader, duration, number, size};

/// When files change and when they go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilesConfig {
    /// A new file begins after this long, at multiples of it since 1970 UTC.
    pub rotate: Option<Duration>,
    /// A new file begins rather than that one has more octets.
    pub rotate_octets: Option<u64>,
    /// How much of each destination is kept.
    pub keep: Keep,
}

/// How much of a series of files is kept; the oldest go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// At most so many files.
    pub files: Option<u64>,
    /// None that was completed longer ago.
    pub age: Option<Duration>,
    /// At most so many octets in all of them.
    pub octets: Option<u64>,
}

impl Keep {
    /// Whether files go at all.
    pub fn is_limited(&self) -> bool {
        *self != Self::default()
    }
}

impl FilesConfig {
    pub(super) fn read(reader: &mut Reader<'_>, to: &[Destination]) -> Self {
        let config = Self {
            rotate: reader.one("rotate", rotate),
            rotate_octets: reader.one("rotate_size", size::file),
            keep: Keep {
                files: reader.one("keep_files", |text| number(text, 1, u64::MAX)),
                age: reader.one("keep_age", super::positive_duration),
                octets: reader.one("keep_size", size::file),
            },
        };
        let rotates = config.rotate.is_some() || config.rotate_octets.is_some();
        if !rotates && !to.iter().any(Destination::is_series) {
            for id in ["keep_files", "keep_age", "keep_size"] {
                reader.refuse(
                    id,
                    "there is one file only: add --rotate or --rotate-size, or a time to its name, as in file:%Y%m%d-%H%M.ipfix",
                );
            }
        }
        config
    }
}

/// Whole seconds: names have no more digits.
fn rotate(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        period if period.subsec_nanos() == 0 && !period.is_zero() => Ok(period),
        _ => Err(format!("`{text}`: write whole seconds or longer, such as 1m, 5m, 1h")),
    }
}
