//! The journaling thread: takes batches off the queue, writes them to the journal, and hands them to indexing. Only what it
//! has written counts as received from a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::indexing::remember;
use super::{Shared, now_ns, thread};
use crate::failure::Failure;
use crate::io::disk::{Room, room};
use crate::io::queue::{Batch, Popped};
use crate::journal::{Appended, JournalWriter, Syncer};
use crate::limits::JOURNAL_BATCHES_PER_WRITE;

/// How long the thread sleeps at most before it looks after segments.
const TICK: Duration = Duration::from_millis(250);
/// Pauses before a journal that could not be written is tried again.
const PAUSE: Duration = Duration::from_millis(20);
/// How long what cannot be journaled is tried at the end, all of it together.
const TRIES_AT_THE_END: Duration = Duration::from_secs(12);
/// How long it may be full while nothing in it waits to be indexed: what is known must be noted before it is released.
const FULL_FOR_NOTHING: Duration = Duration::from_secs(5);
/// One line about the same trouble in this time; the counters count all of it.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(10);
/// How long batches gather while more come: writing many at once costs a fraction of writing each.
const GATHERING: Duration = Duration::from_millis(1);

pub(super) struct Journaling {
    shared: Arc<Shared>,
    writer: Option<JournalWriter>,
    looked: Option<Instant>,
    disk_spent: bool,
    last_trouble: Option<Instant>,
    in_trouble: bool,
    at_the_end: Tries,
}

/// How long something is tried, counted from the first time.
#[derive(Debug, Default)]
struct Tries {
    since: Option<Instant>,
}

impl Tries {
    fn are_over(&mut self, now: Instant) -> bool {
        now.duration_since(*self.since.get_or_insert(now)) >= TRIES_AT_THE_END
    }
}

impl Journaling {
    pub fn new(shared: Arc<Shared>, writer: Option<JournalWriter>) -> Journaling {
        Journaling {
            shared,
            writer,
            looked: None,
            disk_spent: false,
            last_trouble: None,
            in_trouble: false,
            at_the_end: Tries::default(),
        }
    }

    /// The thread's body: until the queue is closed and empty. Gives back the writer, which is closed after the last commit.
    pub fn run(mut self) -> Option<JournalWriter> {
        let mut batches = Vec::new();
        let octets = self.writer.as_ref().map_or(usize::MAX, JournalWriter::octets_at_once);
        loop {
            let popped = self
                .shared
                .queue
                .pop(TICK, JOURNAL_BATCHES_PER_WRITE, octets, &mut batches);
            match popped {
                Popped::Batches => self.take(&mut batches),
                Popped::TimedOut => {}
                Popped::Closed => break,
            }
            self.look_after_segments();
            if popped == Popped::Batches && !self.shared.stopping.load(Ordering::Acquire) {
                std::thread::sleep(GATHERING);
            }
        }
        self.shared.handover.close();
        self.writer
    }

    fn take(&mut self, batches: &mut Vec<Batch>) {
        let Some(writer) = &mut self.writer else {
            batches.drain(..).for_each(|batch| self.shared.handover.push(batch));
            return;
        };
        let mut full_since: Option<Instant> = None;
        loop {
            let is_stopping = self.shared.stopping.load(Ordering::Acquire);
            // At the end it is tried all the same.
            let appended = if self.disk_spent && !is_stopping {
                self.in_trouble = true;
                remember(
                    &self.shared,
                    Some(format!(
                        "the disk of {} is full, and the journal's reserve is spent: nothing more is received until there is room",
                        self.shared.config.data.display()
                    )),
                );
                Ok(Appended::Full)
            } else {
                writer.append(now_ns(), batches)
            };
            match appended {
                Ok(Appended::Done) => break,
                Ok(Appended::Full) => {
                    // While something waits, indexing is what it waits for.
                    if self.disk_spent || self.shared.journal_waiting_octets() > 0 {
                        full_since = None;
                    } else if full_since.get_or_insert_with(Instant::now).elapsed() >= FULL_FOR_NOTHING {
                        let line = format!(
                            "journal {}: it is full although all of it is indexed; it is emptied as soon as the store has \
                             committed and {} can be written, and nothing more is taken until then",
                            self.shared.config.journal_directory().display(),
                            self.shared.templates_path().display()
                        );
                        self.in_trouble = true;
                        tell(&self.shared, &mut self.last_trouble, line);
                    }
                }
                Err(error) => {
                    self.in_trouble = true;
                    let line = format!(
                        "journal {}: {error}; nothing more is taken until it can be written",
                        self.shared.config.journal_directory().display()
                    );
                    tell(&self.shared, &mut self.last_trouble, line);
                }
            }
            // The queue fills meanwhile: streams wait, datagrams are dropped and counted there.
            if is_stopping && self.at_the_end.are_over(Instant::now()) {
                let given_up: u64 = batches.drain(..).map(|batch| batch.received).sum();
                self.shared.not_journaled.fetch_add(given_up, Ordering::AcqRel);
                return;
            }
            std::thread::sleep(PAUSE);
            self.looked = self.looked.filter(|looked| looked.elapsed() < TICK);
            if self.looked.is_none() {
                self.looked = Some(Instant::now());
                self.disk_spent = room(&self.shared.config.data).is_ok_and(Room::is_spent);
                writer.remove_released(SystemTime::now(), 0);
            }
        }
        if std::mem::take(&mut self.in_trouble) {
            remember(&self.shared, None);
        }
        for batch in batches.drain(..) {
            let end = batch.start + batch.bytes.len() as u64;
            if let Err(batch) = self.shared.handover.offer(batch, end) {
                self.shared.queue.recycle(batch);
            }
        }
    }

    fn look_after_segments(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < TICK) {
            return;
        }
        self.looked = Some(Instant::now());
        if let Some(writer) = &mut self.writer {
            self.disk_spent = room(&self.shared.config.data).is_ok_and(Room::is_spent);
            writer.remove_released(SystemTime::now(), 0);
        }
    }
}

/// Says what is wrong, in the log not too often.
fn tell(shared: &Shared, last: &mut Option<Instant>, line: String) {
    if last.is_none_or(|last| last.elapsed() >= TROUBLE_INTERVAL) {
        *last = Some(Instant::now());
        tracing::error!("{line}");
    }
    remember(shared, Some(line));
}

/// Makes the journal durable at intervals, beside the thread that writes it.
pub(super) fn sync_at_intervals(
    syncer: Syncer,
    interval: Duration,
    stop: Arc<AtomicBool>,
) -> Result<Option<JoinHandle<()>>, Failure> {
    if interval.is_zero() {
        return Ok(None);
    }
    let body = move || {
        let mut last_trouble: Option<Instant> = None;
        let mut due = Instant::now() + interval;
        while !stop.load(Ordering::Acquire) {
            let left = due.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(Duration::from_millis(100)));
            if left.is_zero() {
                due = Instant::now() + interval;
                if let Err(error) = syncer.sync()
                    && last_trouble.is_none_or(|last| last.elapsed() >= TROUBLE_INTERVAL)
                {
                    last_trouble = Some(Instant::now());
                    tracing::error!("journal: {error}; what is not durable is tried again");
                }
            }
        }
    };
    thread("journal-sync".to_owned(), body).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tries_at_the_end_are_of_one_time() {
        let began = Instant::now();
        let mut tries = Tries::default();
        let half = TRIES_AT_THE_END / 2;
        assert!(!tries.are_over(began) && !tries.are_over(began + half));
        assert!(tries.are_over(began + TRIES_AT_THE_END));
        // What comes later is not tried as long again.
        assert!(tries.are_over(began + TRIES_AT_THE_END + half));
    }
}
