//! The indexing thread: takes batches off the queue, decodes them, and writes rows. It ends when the queue is closed and empty.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::{Shared, keep_templates, now_ns};
use crate::collecting::SessionKey;
use crate::io::disk::{Room, room};
use crate::io::queue::{Batch, Popped};
use crate::journal::Kind;
use crate::normalize::row::Row;
use crate::store::{StoreError, StoreWriter};

/// How long the thread sleeps at most before it looks after timeouts.
const TICK: Duration = Duration::from_millis(100);
/// How often sessions are asked for what grew too old.
const SESSIONS_TICK: Duration = Duration::from_secs(5);
/// How often the store is asked to commit, seal and remove even if nothing arrives.
const STORE_TICK: Duration = Duration::from_secs(1);
/// How often the room on the disk is looked at.
const DISK_TICK: Duration = Duration::from_millis(250);
/// Pauses before a store that could not write is tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often a store that cannot write is tried once the collector stops; rows beyond are given up and counted.
const TRIES_AT_THE_END: u32 = 3;
/// One line about the same trouble in this time; the counters count all of it.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct Indexing {
    shared: Arc<Shared>,
    writer: StoreWriter,
    rows: Vec<Row>,
    store_due: Instant,
    sessions_due: Instant,
    templates_due: Instant,
    last_trouble: Option<Instant>,
    tries_at_the_end: u32,
    disk_due: Instant,
    disk_low: bool,
}

impl Indexing {
    pub fn new(shared: Arc<Shared>, writer: StoreWriter) -> Indexing {
        let now = Instant::now();
        let templates_due = now + shared.config.template_save_interval;
        Indexing {
            shared,
            writer,
            rows: Vec::new(),
            store_due: now + STORE_TICK,
            sessions_due: now + SESSIONS_TICK,
            templates_due,
            last_trouble: None,
            tries_at_the_end: 0,
            disk_due: now,
            disk_low: false,
        }
    }

    /// The thread's body. A panic anywhere in it is our bug; it is told, and what comes after it is indexed all the same.
    pub fn run(mut self) {
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.turn())) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    let handing_over = self.shared.handing_over.load(Ordering::Acquire);
                    self.shared.handing_over.fetch_add(handing_over % 2, Ordering::AcqRel);
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
        // At the end what is there is tried all the same: there is no later.
        if self.disk_is_low() && !self.shared.stopping.load(Ordering::Acquire) {
            std::thread::sleep(TICK);
            self.look_after_timeouts();
            return true;
        }
        let mut batches = Vec::new();
        match self.shared.queue.pop(self.sleep(), 1, &mut batches) {
            Popped::Batches => {
                for batch in batches {
                    self.index(&batch);
                    self.shared.queue.recycle(batch);
                }
            }
            Popped::TimedOut => {}
            Popped::Closed => return false,
        }
        self.look_after_timeouts();
        true
    }

    /// What cannot be kept is not taken in: the queue fills, streams wait, datagrams are dropped and counted there.
    fn disk_is_low(&mut self) -> bool {
        if self.disk_due > Instant::now() {
            return self.disk_low;
        }
        self.disk_due = Instant::now() + DISK_TICK;
        let path = &self.shared.config.data;
        // A file system that does not say is found out by writing.
        let low = room(path).is_ok_and(Room::is_low);
        if low && !self.disk_low {
            let line = format!(
                "the disk of {} is nearly full: nothing more is stored until there is room",
                path.display()
            );
            tracing::error!("{line}; free some or set --keep-size");
            remember(&self.shared, Some(line));
        } else if self.disk_low && !low {
            tracing::info!("the disk of {} has room again", path.display());
            remember(&self.shared, None);
        }
        self.disk_low = low;
        low
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
        for (entry, _) in batch.iter() {
            if entry.kind == Kind::Closed {
                self.shared.process().handle_closed(batch.listener, batch.connection);
                continue;
            }
            let (peer, bytes) = (entry.peer, entry.bytes);
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
        self.shared.handing_over.fetch_add(1, Ordering::AcqRel);
    }

    /// Hands the rows of one Message to the store. While the store cannot write (a full disk), the thread waits and tries
    /// again: the queue fills, streams feel it, and datagrams are dropped and counted there. At the end it gives up.
    fn store(&mut self, now_ns: i64) {
        // From the end, so that a row that is taken moves no other.
        self.rows.reverse();
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.add_rows(now_ns) {
            self.note(Err(error));
            if self.shared.stopping.load(Ordering::Acquire) {
                self.tries_at_the_end += 1;
                if self.tries_at_the_end > TRIES_AT_THE_END {
                    let given_up = self.rows.drain(..).len() as u64;
                    self.shared.rows_given_up.fetch_add(given_up, Ordering::AcqRel);
                    return;
                }
            }
            std::thread::sleep(pause);
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Adds rows until there are none, or one was refused. A panic is our bug: its rows are counted and given up.
    fn add_rows(&mut self, now_ns: i64) -> Result<(), StoreError> {
        let (count, added_before) = (self.rows.len() as u64, self.shared.store.counters().rows_added);
        let added = catch_unwind(AssertUnwindSafe(|| {
            while let Some(row) = self.rows.pop() {
                self.writer.add(now_ns, row)?;
            }
            Ok(())
        }));
        added.unwrap_or_else(|_| {
            self.rows.clear();
            // The store counts a row as added before it looks at it, the one at fault included.
            let added = self.shared.store.counters().rows_added - added_before;
            self.shared.rows_not_added.fetch_add(count - added, Ordering::AcqRel);
            self.shared.rows_at_fault.fetch_add(1, Ordering::AcqRel);
            tracing::error!(
                "internal fault: {} records could not be stored; please report it",
                count - added + 1
            );
            Ok(())
        })
    }

    fn look_after_timeouts(&mut self) {
        let now = Instant::now();
        // Retention wants to be looked after when nothing arrives, too.
        let due = self.writer.poll_timeout().is_some_and(|due_ns| due_ns <= now_ns());
        if due || now >= self.store_due {
            self.store_due = now + STORE_TICK;
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
            Ok(()) if self.disk_low => {}
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
