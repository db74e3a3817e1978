//! A batch cut where its records pass from one window of time into the next, for files that go by the time of captures.
//!
//! Records come in the order in which they end, but for what was idle: the clock is the latest end so far, and a record
//! that is older goes with those around it.

use std::borrow::Cow;

use super::queue::Batch;
use crate::metering::Records;
use crate::summaries::record::SummaryRecord;

/// What is left of a batch.
#[derive(Debug)]
pub(super) struct Slices<'b> {
    batch: &'b Records,
    /// Flow Records, DNS transactions and summary records that are taken.
    taken: [usize; 3],
}

impl<'b> Slices<'b> {
    pub fn new(batch: &'b Batch) -> Self {
        Self { batch, taken: [0; 3] }
    }

    /// The end of the first record that is left.
    pub fn begin_ns(&self) -> Option<i64> {
        let [flows, dns, summaries] = self.taken;
        let flow = self.batch.flows.get(flows).map(|record| record.end_ns);
        let dns = self.batch.dns.get(dns).map(|transaction| transaction.end_ns);
        let summary = self.batch.summaries.get(summaries).map(last_ns);
        [flow, dns, summary].into_iter().flatten().min()
    }

    /// Takes what comes before the first record of each kind that is over.
    pub fn until(&mut self, is_over: impl Fn(i64) -> bool) -> Cow<'b, Records> {
        let [flows, dns, summaries] = self.taken;
        let batch = self.batch;
        let end = |times: &mut dyn Iterator<Item = i64>, taken: usize| {
            times
                .skip(taken)
                .position(&is_over)
                .map_or(usize::MAX, |place| taken + place)
        };
        let ends = [
            end(&mut batch.flows.iter().map(|record| record.end_ns), flows).min(batch.flows.len()),
            end(&mut batch.dns.iter().map(|transaction| transaction.end_ns), dns).min(batch.dns.len()),
            end(&mut batch.summaries.iter().map(last_ns), summaries).min(batch.summaries.len()),
        ];
        let [last_flow, last_dns, last_summary] = ends;
        let is_whole = self.taken == [0; 3] && ends == [batch.flows.len(), batch.dns.len(), batch.summaries.len()];
        self.taken = ends;
        if is_whole {
            return Cow::Borrowed(batch);
        }
        // Once for each window: their parts stay where they are.
        let mut slice = batch.clone();
        slice.flows.truncate(last_flow);
        slice.flows.drain(..flows);
        slice.dns.truncate(last_dns);
        slice.dns.drain(..dns);
        slice.summaries.truncate(last_summary);
        slice.summaries.drain(..summaries);
        Cow::Owned(slice)
    }
}

/// A window of summaries ends where the next begins.
fn last_ns(summary: &SummaryRecord) -> i64 {
    summary.end_ns - 1
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exporting::samples;

    fn batch(ends: &[i64]) -> Batch {
        let flows: Vec<_> = ends
            .iter()
            .map(|end_ns| {
                let mut record = samples::udp();
                record.end_ns = *end_ns;
                record
            })
            .collect();
        Arc::new(flows.into())
    }

    #[test]
    fn records_are_cut_at_windows_and_late_ones_stay_with_those_around_them() {
        let batch = batch(&[10, 12, 11, 25, 19, 31, 90]);
        let mut slices = Slices::new(&batch);
        let mut cut = Vec::new();
        while let Some(begin) = slices.begin_ns() {
            let window_end = begin - begin % 10 + 10;
            let slice = slices.until(|ns| ns >= window_end);
            cut.push(slice.flows.iter().map(|record| record.end_ns).collect::<Vec<_>>());
        }
        assert_eq!(cut, [vec![10, 12, 11], vec![25, 19], vec![31], vec![90]]);
    }

    #[test]
    fn a_batch_within_a_window_is_not_copied() {
        let batch = batch(&[1, 2, 3]);
        let mut slices = Slices::new(&batch);
        assert!(matches!(slices.until(|_| false), Cow::Borrowed(_)));
        assert_eq!(slices.begin_ns(), None);
    }
}
