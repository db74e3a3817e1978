//! The rows of a question, found once and kept as sets of documents for those who look at them several times.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::bits::Bits;
use super::super::evaluate::Selection;
use super::super::once::LeftOut;
use super::super::parallel::each;
use super::super::{QueryError, QueryStats, Watch};
use super::local::Local;
use super::plan::Plan;
use super::total::Total;
use crate::store::Snapshot;
use crate::store::segment::{OpenSegment, Segment};

/// What a question looks at, and what it costs.
pub struct Source<'q> {
    /// What is stored.
    pub snapshot: &'q Snapshot,
    /// Which rows.
    pub selection: Selection<'q>,
    /// Those of them that would count again.
    pub left_out: Option<&'q LeftOut>,
    /// Ends it.
    pub watch: &'q Watch,
}

/// What it took to find the rows.
#[derive(Default)]
struct Cost {
    segments: AtomicU64,
    read: AtomicU64,
    matched: AtomicU64,
    partitions: Mutex<Vec<u64>>,
}

impl Cost {
    fn add(&self, segment: &Segment, documents: &Bits) {
        self.segments.fetch_add(1, Ordering::Relaxed);
        self.read.fetch_add(u64::from(segment.rows()), Ordering::Relaxed);
        self.matched.fetch_add(u64::from(documents.count()), Ordering::Relaxed);
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        partitions.push(segment.partition());
    }

    fn say(self, stats: &mut QueryStats) {
        let mut partitions = self.partitions.into_inner().unwrap_or_else(PoisonError::into_inner);
        partitions.sort_unstable();
        partitions.dedup();
        stats.partitions = partitions.len() as u64;
        stats.segments = self.segments.into_inner();
        stats.rows_read = self.read.into_inner();
        stats.rows_matched = self.matched.into_inner();
    }
}

impl<'q> Source<'q> {
    /// Segments that may have rows.
    pub fn segments(&self) -> Vec<&'q Arc<Segment>> {
        let (from_ns, to_ns) = (self.selection.from_ns, self.selection.to_ns);
        let segments = self.snapshot.segments().iter();
        segments.filter(|segment| segment.overlaps(from_ns, to_ns)).collect()
    }

    /// Does something with every segment's rows, a few at a time.
    fn each(
        &self,
        stats: &mut QueryStats,
        work: impl Fn(&'q Arc<Segment>, &'q OpenSegment, Bits) -> Result<(), QueryError> + Sync,
    ) -> Result<(), QueryError> {
        let cost = Cost::default();
        each(&self.segments(), self.watch, |segment| {
            let Some(open) = segment.open() else { return Ok(()) };
            let mut documents = self.selection.documents(segment, open, self.watch)?;
            if let Some(left_out) = self.left_out {
                left_out.take_out(segment, &mut documents);
            }
            cost.add(segment, &documents);
            work(segment, open, documents)
        })?;
        cost.say(stats);
        Ok(())
    }

    /// Adds up every segment.
    pub fn gather(&self, plan: &Plan, total: Total, stats: &mut QueryStats) -> Result<Total, QueryError> {
        self.each(stats, |segment, open, documents| {
            let both = [&documents; 2];
            total.add(&Local::gather(segment, open, both, plan, self.watch)?, plan)
        })?;
        Ok(total)
    }

    /// Finds the rows and keeps which they are.
    pub fn select(&self, stats: &mut QueryStats) -> Result<Selected<'q>, QueryError> {
        let parts = Mutex::new(Vec::new());
        self.each(stats, |segment, open, documents| {
            if !documents.is_empty() {
                let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
                parts.push(Part {
                    segment,
                    open,
                    documents,
                    second: None,
                });
            }
            Ok(())
        })?;
        let mut parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The largest first, so that no thread has it alone at the end.
        parts.sort_by_key(|part| std::cmp::Reverse(part.count()));
        Ok(Selected { parts })
    }
}

/// Rows of one segment.
pub struct Part<'q> {
    /// The segment.
    pub segment: &'q Arc<Segment>,
    /// It, open.
    pub open: &'q OpenSegment,
    /// The rows; where flows are seen from both ends, those to see from their source.
    pub documents: Bits,
    /// Those to see from their destination; `None` when they are the same.
    pub second: Option<Bits>,
}

impl Part<'_> {
    /// The rows to see from an end.
    pub fn of_end(&self, end: usize) -> &Bits {
        self.second.as_ref().filter(|_| end == 1).unwrap_or(&self.documents)
    }

    /// The rows to see from any end.
    pub fn all(&self) -> Cow<'_, Bits> {
        match &self.second {
            None => Cow::Borrowed(&self.documents),
            Some(second) => {
                let mut all = self.documents.clone();
                all.or(second);
                Cow::Owned(all)
            }
        }
    }

    /// How many rows there are, from one end.
    pub fn count(&self) -> u64 {
        let rows = |documents: &Bits| u64::from(documents.count());
        rows(&self.documents).max(self.second.as_ref().map_or(0, rows))
    }
}

/// Rows of a question.
pub struct Selected<'q> {
    /// Those of each segment that has any.
    pub parts: Vec<Part<'q>>,
}

impl Selected<'_> {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.parts.iter().map(Part::count).sum()
    }

    /// Adds them up.
    pub fn gather(&self, plan: &Plan, total: Total, watch: &Watch) -> Result<Total, QueryError> {
        each(&self.parts, watch, |part| {
            total.add(
                &Local::gather(part.segment, part.open, [part.of_end(0), part.of_end(1)], plan, watch)?,
                plan,
            )
        })?;
        Ok(total)
    }
}
