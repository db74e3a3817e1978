//! Ends of flows, which are not stored: starts and durations are, and take less room.

use tantivy::columnar::{Column, MonotonicallyMappableToU64};

use super::scan::first_codes;
use crate::normalize::columns::id;
use crate::store::segment::OpenSegment;

/// End of a flow is start and duration together.
pub struct EndColumn<'s> {
    start: &'s Column<u64>,
    duration: Option<&'s Column<u64>>,
}

impl<'s> EndColumn<'s> {
    /// `None` when the segment has no starts.
    pub fn open(open: &'s OpenSegment) -> Option<Self> {
        let start = &open.column(id::START)?.column;
        Some(Self {
            start,
            duration: open.column(id::DURATION).map(|codes| &codes.column),
        })
    }

    /// Codes of ends, in the order of `docs`.
    pub fn codes(&self, docs: &[u32], out: &mut Vec<Option<u64>>) {
        first_codes(self.start, docs, out);
        let Some(duration) = self.duration else { return };
        let mut durations = Vec::new();
        first_codes(duration, docs, &mut durations);
        for (code, duration) in out.iter_mut().zip(&durations) {
            *code = code.map(|start| {
                let duration = duration.map_or(0, i64::from_u64);
                i64::from_u64(start).saturating_add(duration).to_u64()
            });
        }
    }

    /// A lower and an upper bound of the codes.
    pub fn bounds(&self) -> (u64, u64) {
        let first = i64::from_u64(self.start.min_value());
        let last = i64::from_u64(self.start.max_value());
        let durations = self.duration.filter(|column| column.values.num_vals() > 0);
        let (least, largest) = durations.map_or((0, 0), |column| {
            (
                i64::from_u64(column.min_value()).min(0),
                i64::from_u64(column.max_value()).max(0),
            )
        });
        (
            first.saturating_add(least).to_u64(),
            last.saturating_add(largest).to_u64(),
        )
    }
}
