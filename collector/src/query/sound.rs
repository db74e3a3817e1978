//! Answers without what is damaged: octets that the disk gave back otherwise than they were written may show only while they
//! are read.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{Limits, QueryError, Watch};
use crate::store::Snapshot;
use crate::store::segment::Segment;

/// Answers from the segments that `reads` tells. Should some of them turn out to be damaged, they are set aside, and the rest
/// answers.
///
/// A failure of ours looks the same as damage until what was read is compared with what was written; that is for as long as
/// the question may take, and goes on with the next question where it ended.
pub fn without_damage<T>(
    snapshot: &Snapshot,
    limits: &Limits,
    reads: impl Fn(&Segment) -> bool,
    answer: impl Fn() -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    let watch = Watch::new(limits);
    let mut left_out = snapshot.set_suspects_aside();
    // Each turn but the last one finds that a segment was set aside.
    loop {
        let result = catch_unwind(AssertUnwindSafe(&answer));
        let before = std::mem::replace(&mut left_out, snapshot.set_suspects_aside());
        if before != left_out {
            watch.check()?;
            continue;
        }
        match result {
            Ok(result) if !matches!(result, Err(QueryError::Store { .. })) => return result,
            failed => {
                if snapshot.set_damaged_aside(&reads, || watch.check())? == 0 {
                    return failed.unwrap_or_else(|panic| resume_unwind(panic));
                }
                left_out = snapshot.set_suspects_aside();
            }
        }
    }
}
