//! Minute, hour and day tables of what flowed, kept far longer than the flows: exact counters by the main dimensions, top
//! lists, distinct counts and quantiles, each of a window of time.
//!
//! They are gathered from the rows of a segment while it fills, written beside it and put into the manifest in the same
//! step: what rollups count is what is stored, whatever happens. Every file says which rows, by their numbers, it is made
//! of, so that what is counted twice or never could be seen in the manifest.

pub mod compact;
pub mod file;
pub mod gather;
pub mod kept;
pub mod key;
pub mod meta;
pub mod section;
pub mod select;

#[cfg(test)]
mod tests;

pub use file::{RollupFile, RollupWriter};
pub use gather::Gather;
pub use kept::SectionId;
pub use meta::{RollupMeta, RollupsMeta};
pub use section::{Counters, Section};
pub use select::{Asked, Resolution, Selected, select};

use serde::{Deserialize, Serialize};

const MINUTE_NS: i64 = 60_000_000_000;

/// The window of rows whose time is none: they did not say when they began, or a year that is far from when they arrived.
pub const NO_TIME: i64 = i64::MIN;

/// A flow that began this long before its record arrived is taken for what an exporter without a clock says.
pub const OLDEST_NS: i64 = 10 * 365 * 24 * 60 * MINUTE_NS;
/// Likewise one that begins later than it arrives by this much.
pub const NEWEST_NS: i64 = 24 * 60 * MINUTE_NS;

/// How wide windows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours, of UTC.
    Day,
}

impl Tier {
    /// From the finest on.
    pub const ALL: [Tier; 3] = [Tier::Minute, Tier::Hour, Tier::Day];

    /// Nanoseconds of a window.
    pub const fn width_ns(self) -> i64 {
        match self {
            Tier::Minute => MINUTE_NS,
            Tier::Hour => 60 * MINUTE_NS,
            Tier::Day => 24 * 60 * MINUTE_NS,
        }
    }

    /// As people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Minute => "minute",
            Tier::Hour => "hour",
            Tier::Day => "day",
        }
    }

    /// The next finer one.
    pub const fn finer(self) -> Option<Tier> {
        match self {
            Tier::Minute => None,
            Tier::Hour => Some(Tier::Minute),
            Tier::Day => Some(Tier::Hour),
        }
    }

    /// The start of the window that holds a time, or that the window `start` of a finer tier is part of.
    pub const fn window(self, start: i64) -> i64 {
        if start == NO_TIME {
            return NO_TIME;
        }
        start.saturating_sub(start.rem_euclid(self.width_ns()))
    }

    /// Behind the window that starts at `start`.
    pub const fn end(self, start: i64) -> i64 {
        if start == NO_TIME {
            return NO_TIME;
        }
        start.saturating_add(self.width_ns())
    }
}

/// What is kept of one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What arrived this long ago is removed; 0 keeps it.
    pub seconds: u64,
    /// The oldest are removed when all take more than this; 0 keeps them.
    pub octets: u64,
}

/// How rollups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollupsConfig {
    /// Whether there are any of what arrives now.
    pub enabled: bool,
    /// Minutes.
    pub minute: Keep,
    /// Hours.
    pub hour: Keep,
    /// Days.
    pub day: Keep,
}

const DAY_S: u64 = 86_400;

impl Default for RollupsConfig {
    fn default() -> RollupsConfig {
        RollupsConfig {
            enabled: true,
            minute: Keep {
                seconds: 7 * DAY_S,
                octets: 8 << 30,
            },
            hour: Keep {
                seconds: 90 * DAY_S,
                octets: 4 << 30,
            },
            day: Keep {
                seconds: 3 * 365 * DAY_S,
                octets: 4 << 30,
            },
        }
    }
}

impl RollupsConfig {
    /// What is kept of a tier.
    pub const fn keep(&self, tier: Tier) -> Keep {
        match tier {
            Tier::Minute => self.minute,
            Tier::Hour => self.hour,
            Tier::Day => self.day,
        }
    }
}
