//! Answers without what is damaged: octets that the disk gave back otherwise than they were written may show only while they
//! are read.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::QueryError;
use crate::store::Snapshot;

/// Answers. Should that fail where segments turn out to be damaged, they are set aside, and the rest answers.
pub fn without_damage<T>(snapshot: &Snapshot, answer: impl Fn() -> Result<T, QueryError>) -> Result<T, QueryError> {
    match catch_unwind(AssertUnwindSafe(&answer)) {
        Ok(Err(error @ QueryError::Store { .. })) => match snapshot.set_damaged_aside() {
            0 => Err(error),
            _ => answer(),
        },
        Ok(result) => result,
        Err(panic) => match snapshot.set_damaged_aside() {
            0 => resume_unwind(panic),
            _ => answer(),
        },
    }
}
