//! The indexing thread: takes batches off the queue, decodes them, and writes rows. It ends when the queue is closed and empty.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{Shared, keep_templates, now_ns};
use crate::collecting::SessionKey;
use crate::io::queue::{Batch, Popped};
use crate::normalize::row::Row;
use crate::store::{StoreError, StoreWriter};

/// How long the thread sleeps at most before it looks after timeouts.
const TICK: Duration = Duration::from_millis(100);
/// How often sessions are asked for what grew too old.
const SESSIONS_TICK: Duration = Duration::from_secs(5);
/// One line about the same trouble in this time; the counters count all of it.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct Indexing {
    shared: Arc<Shared>,
    writer: StoreWriter,
    rows: Vec<Row>,
    sessions_due: Instant,
    templates_due: Instant,
    last_trouble: Option<Instant>,
}

impl Indexing {
    pub fn new(shared: Arc<Shared>, writer: StoreWriter) -> Indexing {
        let now = Instant::now();
        let templates_due = now + shared.config.template_save_interval;
        Indexing {
            shared,
            writer,
            rows: Vec::new(),
            sessions_due: now + SESSIONS_TICK,
            templates_due,
            last_trouble: None,
        }
    }

    /// The thread's body. A panic anywhere in it is our bug; it is told, and what comes after it is indexed all the same.
    pub fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    tracing::error!("internal fault while indexing; please report it");
                    // Should it happen at every turn, it must not take a whole processor.
                    std::thread::sleep(TICK);
                }
            }
        }
        keep_templates(&self.shared);
        let result = self.writer.close(now_ns());
        if let Err(error) = result {
            tracing::error!("{error}");
            remember(&self.shared, Some(error.to_string()));
        }
    }

    /// One batch, or a while without one; false when the queue is closed and empty.
    fn turn(&mut self) -> bool {
        match self.shared.queue.pop(self.sleep()) {
            Popped::Batch(batch) => {
                self.index(&batch);
                self.shared.queue.recycle(batch);
            }
            Popped::TimedOut => {}
            Popped::Closed => return false,
        }
        self.look_after_timeouts();
        true
    }

    fn sleep(&self) -> Duration {
        match self.writer.poll_timeout() {
            Some(due_ns) => TICK.min(Duration::from_nanos(
                u64::try_from(due_ns.saturating_sub(now_ns())).unwrap_or(0),
            )),
            None => TICK,
        }
    }

    fn index(&mut self, batch: &Batch) {
        self.shared.handing_over.fetch_add(1, Ordering::AcqRel);
        for (peer, bytes) in batch.iter() {
            let key = SessionKey {
                listener: batch.listener,
                peer,
                connection: batch.connection,
            };
            // Held for one datagram only, so that /status never waits for the store.
            self.shared
                .process()
                .handle(batch.received_ns, key, bytes, &mut self.rows);
            self.store(batch.received_ns);
        }
        if batch.closed {
            self.shared.process().handle_closed(batch.listener, batch.connection);
        }
        self.shared.handing_over.fetch_add(1, Ordering::AcqRel);
    }

    /// Hands the rows to the store. A panic there is our bug: its rows are counted, and the next Message is stored.
    fn store(&mut self, now_ns: i64) {
        let (count, added_before) = (self.rows.len() as u64, self.shared.store.counters().rows_added);
        if count == 0 {
            return;
        }
        let mut trouble = Ok(());
        let stored = catch_unwind(AssertUnwindSafe(|| {
            for row in self.rows.drain(..) {
                if let Err(error) = self.writer.add(now_ns, row) {
                    trouble = Err(error);
                }
            }
        }));
        if stored.is_err() {
            self.rows.clear();
            // The store counts a row as added before it looks at it, the one at fault included.
            let added = self.shared.store.counters().rows_added - added_before;
            self.shared.rows_not_added.fetch_add(count - added, Ordering::AcqRel);
            self.shared.rows_at_fault.fetch_add(1, Ordering::AcqRel);
            tracing::error!(
                "internal fault: {} records could not be stored; please report it",
                count - added + 1
            );
        }
        if trouble.is_err() {
            self.note(trouble);
        }
    }

    fn look_after_timeouts(&mut self) {
        let now = Instant::now();
        let due = self.writer.poll_timeout().is_some_and(|due_ns| due_ns <= now_ns());
        if due {
            let result = self.writer.handle_timeout(now_ns());
            self.note(result);
        }
        if now >= self.sessions_due {
            self.sessions_due = now + SESSIONS_TICK;
            self.shared.process().handle_timeout(now_ns());
        }
        if now >= self.templates_due {
            self.templates_due = now + self.shared.config.template_save_interval.max(Duration::from_secs(1));
            keep_templates(&self.shared);
        }
    }

    /// Trouble with the store is said at intervals and shown in `/status` until a write works again.
    fn note(&mut self, result: Result<(), StoreError>) {
        match result {
            Ok(()) => remember(&self.shared, None),
            Err(error) => {
                if self.last_trouble.is_none_or(|last| last.elapsed() >= TROUBLE_INTERVAL) {
                    self.last_trouble = Some(Instant::now());
                    tracing::error!("{error}");
                }
                remember(&self.shared, Some(error.to_string()));
            }
        }
    }
}

fn remember(shared: &Shared, trouble: Option<String>) {
    *shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
}
