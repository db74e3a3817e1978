//! Works on the segments of a query with a few threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{QueryError, Watch};
use crate::limits;

/// Does `work` with every item, a few at a time; the first failure ends all of it.
pub fn each<T: Sync>(
    items: &[T],
    watch: &Watch,
    work: impl Fn(&T) -> Result<(), QueryError> + Sync,
) -> Result<(), QueryError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), QueryError> {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            work(item)?;
        }
        Ok(())
    };
    let threads = limits::QUERY_THREADS.min(items.len()).max(1);
    let results = std::thread::scope(|scope| {
        let told = || work().inspect_err(|_| watch.fail());
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(told)).collect();
        let mut results = vec![told()];
        for other in others {
            results.push(other.join().unwrap_or_else(|_| {
                Err(QueryError::Store {
                    detail: "a thread of the query panicked".to_owned(),
                })
            }));
        }
        results
    });
    // What went wrong first, not who was told to stop because of it.
    let mut errors: Vec<QueryError> = results.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(|error| *error == QueryError::Cancelled);
    errors.into_iter().next().map_or(Ok(()), Err)
}
