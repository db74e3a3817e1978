//! Makes few segments of many, in a thread of its own, so that queries stay quick and indexing never waits.
//!
//! Only neighbours are merged and documents keep their order, so that rows keep their numbers. While rows arrive, segments that
//! are large already stay as they are: merging costs half of what writing them did, and saves a question next to nothing. A
//! sealed partition is merged into as few as there can be, so that months of flows are not too many files.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, TryRecvError};
use tantivy::Index;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::merge_indices;

use super::StoreError;
use super::ends::ends_of;
use super::manifest::{PartitionMeta, RowRun, SegmentMeta};
use super::segment::Segment;
use super::state::{Shared, count, directory_octets, sync_segment};
use crate::limits;
use crate::rehearsal::{Phase, during};

/// Merges and removes whenever it is woken, until the channel closes.
pub(super) fn run(shared: &Shared, wake: &Receiver<()>) {
    // Segments that could not be merged once are left as they are until the store is opened again.
    let mut left_alone = HashSet::new();
    while wake.recv().is_ok() {
        retain(shared);
        while !shared.is_disk_low()
            && let Some((partition, window)) = plan(shared, &left_alone)
        {
            let merged = catch_unwind(AssertUnwindSafe(|| merge(shared, partition, &window)));
            let merged = merged.unwrap_or_else(|_| {
                let detail = "merging segments panicked; they stay as they are".to_owned();
                Err(StoreError::Damaged {
                    path: shared.dir.clone(),
                    detail,
                })
            });
            if let Err(error) = merged {
                if error.is_disk_full() {
                    // Once there is room they can be.
                    count(&shared.counters.merge_errors, 1);
                    shared.fail(error);
                    break;
                }
                left_alone.extend(window.iter().map(|segment| segment.meta().id));
                count(&shared.counters.merge_errors, 1);
                shared.fail(error);
                break;
            }
            // Retention goes first, and nobody waits for a merge when the store closes.
            retain(shared);
            if let Err(TryRecvError::Disconnected) = wake.try_recv() {
                break;
            }
        }
    }
    retain(shared);
}

fn retain(shared: &Shared) {
    let now_ns = shared.retain_ns.swap(i64::MIN, Ordering::AcqRel);
    if now_ns == i64::MIN {
        return;
    }
    if let Err(error) = shared.retain(now_ns) {
        shared.fail(error);
    }
}

/// The next segments to merge: the cheapest neighbours of the first partition that has too many.
fn plan(shared: &Shared, left_alone: &HashSet<u64>) -> Option<(u64, Vec<Arc<Segment>>)> {
    let state = shared.lock();
    let (partition, window) = state.manifest.partitions.iter().find_map(|partition| {
        choose(&partition.segments, partition.sealed, left_alone).map(|window| (partition, window))
    })?;
    let segments: Option<Vec<_>> = window
        .iter()
        .map(|segment| state.segments.get(&segment.id).cloned())
        .collect();
    Some((partition.id, segments?))
}

/// Neighbours worth merging. While rows still arrive a merge waits for many small ones; once sealed, everything goes together.
fn choose<'m>(segments: &'m [SegmentMeta], sealed: bool, left_alone: &HashSet<u64>) -> Option<&'m [SegmentMeta]> {
    let is_small = |segment: &SegmentMeta| segment.rows < limits::ROWS_OF_A_LARGE_SEGMENT;
    let mergeable = segments
        .chunk_by(|left, right| left.schema == right.schema)
        .flat_map(|same| same.split(|segment| !(sealed || is_small(segment)) || left_alone.contains(&segment.id)));
    if sealed {
        return mergeable.filter_map(choose_sealed).max_by_key(|run| run.len());
    }
    if segments.iter().filter(|segment| is_small(segment)).count() <= limits::SEGMENTS_PER_PARTITION {
        return None;
    }
    mergeable
        .flat_map(|run| run.windows(limits::SEGMENTS_PER_MERGE))
        .filter(|window| rows(window) <= limits::ROWS_PER_MERGED_SEGMENT)
        .min_by_key(|window| rows(window))
}

/// The longest run of neighbours that fits into one segment.
fn choose_sealed(segments: &[SegmentMeta]) -> Option<&[SegmentMeta]> {
    let mut best: Option<&[SegmentMeta]> = None;
    let mut from = 0;
    for to in 1..=segments.len() {
        while from < to && rows(segments.get(from..to)?) > limits::ROWS_PER_MERGED_SEGMENT {
            from += 1;
        }
        let run = segments.get(from..to)?;
        if run.len() > 1 && best.is_none_or(|held| run.len() > held.len()) {
            best = Some(run);
        }
    }
    best
}

fn rows(segments: &[SegmentMeta]) -> u64 {
    segments.iter().map(|segment| segment.rows).sum()
}

fn merge(shared: &Shared, partition: u64, segments: &[Arc<Segment>]) -> Result<(), StoreError> {
    let _noted = during(Phase::Merge);
    let id = shared.fresh_id();
    let path = shared.segment_path(partition, id);
    fs::create_dir_all(&path).map_err(StoreError::io(&path))?;
    let written = write_merged(&path, segments)
        .and_then(|()| sync_segment(&path))
        .and_then(|()| Ok((directory_octets(&path)?, ends_of(&path)?)));
    let (octets, ends) = match written {
        Ok(written) => written,
        Err(error) => {
            let _ = fs::remove_dir_all(&path);
            return Err(error);
        }
    };
    let merged = SegmentMeta {
        ends: Some(ends),
        ..merged_meta(id, octets, segments)
    };
    let mut placed = false;
    let changed = shared.change(|manifest| {
        if let Some(held) = manifest.partitions.iter_mut().find(|held| held.id == partition) {
            placed = replace(held, segments, merged);
        }
    });
    if let Err(error) = changed {
        // Most likely the disk is full: what nobody names must not stay on it.
        let _ = fs::remove_dir_all(&path);
        return Err(error);
    }
    if placed {
        count(&shared.counters.merges, 1);
    } else {
        // Retention was quicker.
        let _ = fs::remove_dir_all(&path);
    }
    Ok(())
}

fn write_merged(path: &std::path::Path, segments: &[Arc<Segment>]) -> Result<(), StoreError> {
    let mut indices = Vec::with_capacity(segments.len());
    for segment in segments {
        indices.push(Index::open_in_dir(segment.path()).map_err(StoreError::tantivy(segment.path()))?);
    }
    let directory = MmapDirectory::open(path).map_err(|error| StoreError::Damaged {
        path: path.to_owned(),
        detail: error.to_string(),
    })?;
    merge_indices(&indices, directory).map_err(StoreError::tantivy(path))?;
    Ok(())
}

fn merged_meta(id: u64, octets: u64, segments: &[Arc<Segment>]) -> SegmentMeta {
    let mut merged = SegmentMeta {
        id,
        rows: 0,
        octets,
        schema: segments.first().map_or(0, |segment| segment.meta().schema),
        runs: Vec::new(),
        start_ns: (i64::MAX, i64::MIN),
        end_ns: (i64::MAX, i64::MIN),
        other: Vec::new(),
        ends: None,
    };
    for meta in segments.iter().map(|segment| segment.meta()) {
        let base = u32::try_from(merged.rows).unwrap_or(u32::MAX);
        for run in &meta.runs {
            let run = RowRun {
                doc: base + run.doc,
                row: run.row,
            };
            let goes_on = merged
                .runs
                .last()
                .is_some_and(|last| last.row + u64::from(run.doc - last.doc) == run.row);
            if !goes_on {
                merged.runs.push(run);
            }
        }
        merged.rows += meta.rows;
        merged.start_ns = (
            merged.start_ns.0.min(meta.start_ns.0),
            merged.start_ns.1.max(meta.start_ns.1),
        );
        merged.end_ns = (merged.end_ns.0.min(meta.end_ns.0), merged.end_ns.1.max(meta.end_ns.1));
        merged.other.extend(meta.other.iter().cloned());
    }
    merged.other.sort_unstable();
    merged.other.dedup();
    merged
}

fn replace(partition: &mut PartitionMeta, segments: &[Arc<Segment>], merged: SegmentMeta) -> bool {
    let Some(first) = segments.first() else { return false };
    let Some(at) = partition
        .segments
        .iter()
        .position(|segment| segment.id == first.meta().id)
    else {
        return false;
    };
    let end = at + segments.len();
    if end > partition.segments.len() {
        return false;
    }
    partition.segments.splice(at..end, [merged]);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(rows: &[u64]) -> Vec<SegmentMeta> {
        rows.iter()
            .zip(1..)
            .map(|(rows, id)| SegmentMeta {
                id,
                rows: *rows,
                octets: 0,
                schema: 0,
                runs: Vec::new(),
                start_ns: (0, 0),
                end_ns: (0, 0),
                other: Vec::new(),
                ends: None,
            })
            .collect()
    }

    #[test]
    fn the_cheapest_neighbours_go_first() {
        let mut rows = vec![limits::ROWS_OF_A_LARGE_SEGMENT - 1; limits::SEGMENTS_PER_PARTITION];
        assert_eq!(choose(&segments(&rows), false, &HashSet::new()), None);
        rows.extend([10; limits::SEGMENTS_PER_MERGE]);
        let all = segments(&rows);
        let chosen = choose(&all, false, &HashSet::new()).unwrap();
        assert_eq!(chosen.len(), limits::SEGMENTS_PER_MERGE);
        assert!(chosen.iter().all(|segment| segment.rows == 10));
    }

    #[test]
    fn large_segments_stay_as_they_are_while_rows_arrive() {
        let large = limits::ROWS_OF_A_LARGE_SEGMENT;
        let all = segments(&vec![large; 4 * limits::SEGMENTS_PER_PARTITION]);
        assert_eq!(choose(&all, false, &HashSet::new()), None);
        let together = (limits::ROWS_PER_MERGED_SEGMENT / large) as usize;
        assert_eq!(choose(&all, true, &HashSet::new()).unwrap().len(), together);
        let mut rows = vec![5; limits::SEGMENTS_PER_PARTITION];
        rows.extend([large, 6]);
        rows.extend([4; limits::SEGMENTS_PER_MERGE]);
        let all = segments(&rows);
        let chosen = choose(&all, false, &HashSet::new()).unwrap();
        assert!(chosen.iter().all(|segment| segment.rows == 4), "{chosen:?}");
    }

    #[test]
    fn a_sealed_partition_becomes_as_few_as_fit() {
        assert_eq!(choose(&segments(&[5]), true, &HashSet::new()), None);
        assert_eq!(choose(&segments(&[5, 6, 7]), true, &HashSet::new()).unwrap().len(), 3);
        let nearly = limits::ROWS_OF_A_LARGE_SEGMENT - 1;
        let many = (limits::ROWS_PER_MERGED_SEGMENT / nearly) as usize;
        let all = segments(&vec![nearly; many + 3]);
        assert_eq!(choose(&all, true, &HashSet::new()).unwrap().len(), many);
    }

    #[test]
    fn only_segments_of_one_schema_that_can_be_merged_are() {
        let mut all = segments(&[1, 2, 3, 4, 5, 6]);
        all[0].schema = 9;
        assert_eq!(choose(&all, true, &HashSet::new()).unwrap().len(), 5);
        let left_alone = HashSet::from([4]);
        let chosen = choose(&all, true, &left_alone).unwrap();
        assert_eq!(chosen.iter().map(|segment| segment.id).collect::<Vec<_>>().len(), 2);
        assert!(chosen.iter().all(|segment| segment.id != 4 && segment.schema == 0));
    }
}
