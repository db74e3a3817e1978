//! What could be found at one moment: readers hold it while the writer goes on.

use std::collections::HashSet;
use std::sync::Arc;

use super::manifest::{Manifest, SegmentMeta};
use super::rebuilding::rows_of;
use super::segment::Segment;
use crate::rollups::{RollupFile, Tier};

/// Segments in order of their rows.
#[derive(Debug, Default)]
pub struct Snapshot {
    segments: Vec<Arc<Segment>>,
    rollups: Vec<Arc<RollupFile>>,
    partitions: u64,
    /// Partitions of rows of odd times.
    odd: Vec<u64>,
    next_row: u64,
    believed: Believed,
}

/// What is here of rows whose times can be believed, and of the others that came before them.
#[derive(Debug, Default)]
struct Believed {
    /// Number of their first row; the next one's when there is none.
    first_row: u64,
    /// Earliest flow start among them.
    oldest_ns: Option<i64>,
    /// Runs of rows before the first: only of odd times, since these stay longer.
    before: Vec<(u64, u64)>,
}

impl Believed {
    fn new(manifest: &Manifest, segments: &[Arc<Segment>]) -> Self {
        let odd = manifest.partitions.iter().filter(|partition| partition.odd);
        let odd: HashSet<u64> = odd.map(|partition| partition.id).collect();
        let is_odd = |segment: &&Arc<Segment>| odd.contains(&segment.partition());
        let even = || {
            segments
                .iter()
                .filter(|segment| !is_odd(segment))
                .map(|segment| segment.meta())
        };
        Self {
            first_row: even().map(SegmentMeta::first_row).min().unwrap_or(manifest.next_row),
            oldest_ns: even().map(|meta| meta.start_ns.0).min(),
            before: rows_of(segments.iter().filter(is_odd)),
        }
    }
}

impl Snapshot {
    pub(super) fn new(manifest: &Manifest, segments: Vec<Arc<Segment>>, rollups: Vec<Arc<RollupFile>>) -> Self {
        let mut segments = segments;
        // Partitions of odd rows lie between the others.
        segments.sort_by_key(|segment| segment.meta().first_row());
        let partitions = manifest
            .partitions
            .iter()
            .filter(|partition| !partition.segments.is_empty())
            .count() as u64;
        Self {
            believed: Believed::new(manifest, &segments),
            segments,
            rollups,
            partitions,
            odd: manifest
                .partitions
                .iter()
                .filter(|partition| partition.odd)
                .map(|partition| partition.id)
                .collect(),
            next_row: manifest.next_row,
        }
    }

    /// Every segment, oldest rows first.
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Every file of rollups: minutes first, then hours, then days, each in order of their rows.
    pub fn rollups(&self) -> &[Arc<RollupFile>] {
        &self.rollups
    }

    /// Files of rollups of a tier.
    pub fn rollups_of(&self, tier: Tier) -> impl Iterator<Item = &Arc<RollupFile>> {
        self.rollups.iter().filter(move |file| file.meta().tier == tier)
    }

    /// Whether some of these rows, from the first up to the second, were removed for their age. Rows of odd times go later than
    /// their neighbours, and say nothing about them.
    pub fn has_lost(&self, (from, to): (u64, u64)) -> bool {
        let to = to.min(self.believed.first_row);
        let is_held = |rows: &(u64, u64)| rows.0 <= from && to <= rows.1;
        from < to && !self.believed.before.iter().any(is_held)
    }

    /// Before this there are no flows any more, should some have been removed for their age.
    pub fn lost_before_ns(&self) -> Option<i64> {
        self.believed.oldest_ns.filter(|_| self.has_lost((0, self.next_row)))
    }

    /// Partitions that hold rows.
    pub fn partitions(&self) -> u64 {
        self.partitions
    }

    /// Rows of all segments.
    pub fn rows(&self) -> u64 {
        self.segments.iter().map(|segment| segment.meta().rows).sum()
    }

    /// Octets of all segments.
    pub fn octets(&self) -> u64 {
        self.segments.iter().map(|segment| segment.meta().octets).sum()
    }

    /// Number of the first row that is not in it.
    pub fn next_row(&self) -> u64 {
        self.next_row
    }

    /// Earliest flow start and latest flow end.
    pub fn span_ns(&self) -> Option<(i64, i64)> {
        span_of(self.segments.iter())
    }

    /// The same of rows whose times can be believed, unless there are no others.
    pub fn believed_ns(&self) -> Option<(i64, i64)> {
        let is_odd = |segment: &&Arc<Segment>| self.odd.contains(&segment.partition());
        span_of(self.segments.iter().filter(|segment| !is_odd(segment))).or_else(|| self.span_ns())
    }

    /// The segment and document of a row.
    pub fn find_row(&self, row: u64) -> Option<(&Arc<Segment>, u32)> {
        let at = self
            .segments
            .partition_point(|segment| segment.meta().first_row() <= row);
        // It may be behind a hole of an earlier one, in which a later one lies.
        let mut earlier = self.segments.get(..at)?.iter().rev();
        earlier.find_map(|segment| Some((segment, segment.meta().doc_of(row)?)))
    }

    /// Leaves out from now on segments of which something could not be read. Says how many are left out for what showed while
    /// they were read.
    pub fn set_suspects_aside(&self) -> usize {
        let suspects = self.segments.iter().filter(|segment| segment.is_suspect());
        suspects.for_each(|segment| segment.set_aside());
        self.segments.iter().filter(|segment| segment.is_set_aside()).count()
    }

    /// Reads those segments as a whole that are open and among `reads`, and leaves out from now on those whose octets are not
    /// what was written. Says how many these are. `may_go_on` is asked before each, and ends it with its error.
    ///
    /// # Errors
    /// That of `may_go_on`.
    pub fn set_damaged_aside<E>(
        &self,
        reads: impl Fn(&Segment) -> bool,
        may_go_on: impl Fn() -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut damaged = 0;
        for segment in self
            .segments
            .iter()
            .filter(|segment| segment.is_open() && reads(segment))
        {
            may_go_on()?;
            if !segment.is_sound() {
                segment.set_aside();
                damaged += 1;
            }
        }
        Ok(damaged)
    }

    /// Whether any row may hold an element of this name that no column takes.
    pub fn has_other(&self, name: &str) -> bool {
        let holds = |segment: &Arc<Segment>| {
            segment
                .meta()
                .other
                .binary_search_by(|held| held.as_str().cmp(name))
                .is_ok()
        };
        self.segments.iter().any(holds)
    }

    /// Names of the elements no column takes, with the rows of the segments that have them; sorted by name.
    pub fn other_names(&self) -> Vec<(String, u64)> {
        let mut names = std::collections::BTreeMap::<&str, u64>::new();
        for segment in &self.segments {
            for name in &segment.meta().other {
                *names.entry(name).or_default() += segment.meta().rows;
            }
        }
        names.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect()
    }
}

fn span_of<'s>(segments: impl Iterator<Item = &'s Arc<Segment>>) -> Option<(i64, i64)> {
    let spans = segments.map(|segment| (segment.meta().start_ns.0, segment.meta().end_ns.1));
    spans.reduce(|held, span| (held.0.min(span.0), held.1.max(span.1)))
}
