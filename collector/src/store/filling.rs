//! The segment that fills: where it goes, what it holds.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use super::StoreError;
use super::building::SegmentBuilder;
use super::manifest::{PartitionMeta, SegmentMeta};
use super::schema::SCHEMA;
use super::state::Shared;
use crate::limits;
use crate::normalize::columns::id;
use crate::normalize::row::Row;
use crate::rollups::Gather;

const NS_PER_S: i64 = 1_000_000_000;

/// The segment that rows go into.
pub(super) struct Filling {
    pub builder: SegmentBuilder,
    /// Where its files are to be on the disk.
    pub path: PathBuf,
    pub partition: PartitionMeta,
    pub meta: SegmentMeta,
    pub other: HashSet<Arc<str>>,
    pub since_ns: i64,
    /// The position in the journal up to which this segment and those before it hold every row.
    pub journal: Option<u64>,
    /// It has all the rows it may have.
    pub is_full: bool,
    /// Not handed over before this, because the segment before was still being written.
    pub retry_ns: i64,
    /// What its rows come to.
    pub rollup: Option<Gather>,
}

/// Starts a segment in the partition that rows go into now, or in a fresh one when that is full or there is none.
pub(super) fn start_segment(
    shared: &Shared,
    partition: &mut Option<PartitionMeta>,
    (now_ns, arrived_ns): (i64, i64),
    odd: bool,
) -> Result<Box<Filling>, StoreError> {
    let full = |partition: &PartitionMeta| {
        let state = shared.lock();
        let held = state.manifest.partitions.iter().find(|held| held.id == partition.id);
        held.is_some_and(|held| held.sealed || held.octets() >= shared.config.partition_octets)
    };
    let partition = match partition.take() {
        Some(current) if !full(&current) => partition.insert(current),
        _ => partition.insert(fresh_partition(shared, arrived_ns, odd)),
    };
    let segment = shared.fresh_id();
    let path = shared.segment_path(partition.id, segment);
    let meta = SegmentMeta {
        id: segment,
        rows: 0,
        octets: 0,
        schema: SCHEMA.fingerprint,
        runs: Vec::new(),
        start_ns: (i64::MAX, i64::MIN),
        end_ns: (i64::MAX, i64::MIN),
        other: Vec::new(),
        ends: None,
    };
    let partition = PartitionMeta {
        segments: Vec::new(),
        ..partition.clone()
    };
    Ok(Box::new(Filling {
        builder: SegmentBuilder::default(),
        path,
        partition,
        meta,
        other: HashSet::new(),
        since_ns: now_ns,
        journal: None,
        is_full: false,
        retry_ns: i64::MIN,
        rollup: shared.config.rollups.enabled.then(Gather::default),
    }))
}

fn fresh_partition(shared: &Shared, now_ns: i64, odd: bool) -> PartitionMeta {
    // Odd rows are few.
    let least_s = if odd { limits::ODD_PARTITION_S } else { 1 };
    let width_ns = i64::try_from(shared.config.partition_s.max(least_s))
        .unwrap_or(i64::MAX)
        .saturating_mul(NS_PER_S);
    let from_ns = now_ns - now_ns.rem_euclid(width_ns);
    PartitionMeta {
        id: shared.fresh_id(),
        from_ns,
        to_ns: from_ns.saturating_add(width_ns),
        sealed: false,
        odd,
        segments: Vec::new(),
    }
}

impl Filling {
    /// One bad row must not end the collector.
    pub fn add(&mut self, row: &Row) -> Result<(), StoreError> {
        let builder = &mut self.builder;
        catch_unwind(AssertUnwindSafe(|| builder.add(row))).map_err(|_| StoreError::Damaged {
            path: self.path.clone(),
            detail: "internal fault: a row could not be added; please report it".to_owned(),
        })
    }

    /// Remembers when flows began and ended.
    pub fn note_times(&mut self, row: &Row) {
        let start = row.signed(id::START).unwrap_or(0);
        let end = start.saturating_add(row.signed(id::DURATION).unwrap_or(0));
        self.meta.start_ns = (self.meta.start_ns.0.min(start), self.meta.start_ns.1.max(start));
        self.meta.end_ns = (self.meta.end_ns.0.min(end), self.meta.end_ns.1.max(end));
    }

    /// Remembers names of other elements; returns how many values were dropped because there are too many names.
    pub fn note_other(&mut self, row: &mut Row) -> usize {
        let names = &mut self.other;
        row.retain_other(|name| {
            if names.contains(name) {
                return true;
            }
            let room = names.len() < limits::OTHER_NAMES_PER_SEGMENT && name.len() <= limits::OTHER_NAME_OCTETS;
            room && names.insert(Arc::clone(name))
        })
    }
}
