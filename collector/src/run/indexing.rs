//! The indexing thread: takes what was journaled, decodes it, and writes rows. It ends when nothing more will come.
//!
//! Every row is stored once. The store commits with its rows the position in the journal up to which it holds them all, and
//! what decoding knows is kept for a position no later than that: after a crash the journal is decoded from there, and rows of
//! before the committed position are passed over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::checkpoint::Checkpoint;
use super::{Shared, now_ns};
use crate::collecting::{CollectingProcess, SessionKey};
use crate::io::disk::{Room, room};
use crate::io::queue::Batch;
use crate::journal::{Entry, Kind, Next, Reader};
use crate::limits::INDEXING_AT_THE_END_MS;
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
    /// Reads the journal where there is one.
    reader: Option<Reader>,
    /// Behind what was done of the journal.
    position: u64,
    checkpoint: Checkpoint,
    /// The clock, asked once a batch.
    now_ns: i64,
    /// When what was done last arrived; nothing while nothing waits.
    arrived_ns: Option<i64>,
    give_up_at: Option<Instant>,
    last_trouble: Option<Instant>,
    tries_at_the_end: u32,
    disk_due: Instant,
    disk_low: bool,
}

impl Indexing {
    /// Begins where `reader` stands.
    pub fn new(shared: Arc<Shared>, writer: StoreWriter, reader: Option<Reader>) -> Indexing {
        let now = Instant::now();
        shared.store.wait_for_disk();
        Indexing {
            position: reader.as_ref().map_or(0, Reader::position),
            checkpoint: Checkpoint::new(&shared, reader.is_some()),
            reader,
            now_ns: now_ns(),
            arrived_ns: None,
            give_up_at: None,
            shared,
            writer,
            rows: Vec::new(),
            store_due: now + STORE_TICK,
            sessions_due: now + SESSIONS_TICK,
            last_trouble: None,
            tries_at_the_end: 0,
            disk_due: now,
            disk_low: false,
        }
    }

    /// The thread's body. A panic anywhere in it is our bug; it is told, and what comes after it is indexed all the same.
    pub fn run(mut self) {
        let is_whole = self.catch_up_with_store();
        if is_whole {
            self.take_turns();
        }
        let kept = self.shared.summaries.close(now_ns());
        self.note_summaries(kept);
        let result = self.writer.close(now_ns());
        if let Err(error) = result {
            tracing::error!("{error}");
            remember(&self.shared, Some(error.to_string()));
        }
        if is_whole {
            self.checkpoint.close(&self.shared, self.position);
        }
    }

    /// Until there is nothing more to come.
    fn take_turns(&mut self) {
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
    }

    /// Decodes again what the store holds already, for what it says of what comes after: templates, options, waiting Sets.
    /// False when the collector stops meanwhile.
    fn catch_up_with_store(&mut self) -> bool {
        let Some(mut reader) = self.reader.take() else {
            return true;
        };
        let committed = self.shared.store.journal_position().unwrap_or(0);
        // Others see an empty one meanwhile, whose accounts balance.
        let mut process = self.shared.lend_process();
        let (mut is_whole, begun) = (true, Instant::now());
        loop {
            let read = reader.read(committed, &mut |entry, _| {
                handle(&mut process, entry, &mut self.rows);
                self.rows.clear();
            });
            match read {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!("journal: {error}; going on behind it");
                    reader.seek(committed);
                    break;
                }
            }
            if self.shared.stopping.load(Ordering::Acquire) {
                is_whole = false;
                break;
            }
        }
        process.begin_accounts();
        *self.shared.process() = process;
        let counters = reader.counters();
        if counters.entries > 0 {
            tracing::info!(
                "journal: {} datagrams and Messages decoded again in {} ms",
                counters.entries,
                begun.elapsed().as_millis()
            );
        }
        self.position = reader.position();
        self.shared.journal_indexed.store(self.position, Ordering::Release);
        self.reader = Some(reader);
        // From here on segments end where entries do.
        let marked = self.writer.mark(now_ns(), self.position);
        self.note(marked);
        is_whole
    }

    /// One batch, or a while without one; false when there will be none any more.
    fn turn(&mut self) -> bool {
        let is_stopping = self.shared.stopping.load(Ordering::Acquire);
        // At the end what is there is tried all the same: there is no later.
        if (self.disk_is_low() || self.shared.store.blocked().is_some()) && !is_stopping {
            std::thread::sleep(TICK);
            self.look_after_timeouts();
            return true;
        }
        if is_stopping && self.shared.journal.is_some() {
            let most = Duration::from_millis(INDEXING_AT_THE_END_MS);
            if *self.give_up_at.get_or_insert_with(|| Instant::now() + most) <= Instant::now() {
                // There is a later: the journal keeps it.
                return false;
            }
        }
        match self.shared.handover.next(self.position, self.sleep()) {
            Next::Batch(batch) => {
                self.index(&batch);
                self.shared.queue.recycle(batch);
            }
            Next::Read(until) => self.read(until),
            Next::TimedOut => self.arrived_ns = None,
            Next::Closed => return false,
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
                "the disk of {} is nearly full: what comes is journaled, and nothing more is stored until there is room",
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
        self.now_ns = now_ns();
        self.shared.handing_over.fetch_add(1, Ordering::AcqRel);
        for (entry, behind) in batch.iter() {
            self.index_entry(&entry, behind);
        }
        self.shared.handing_over.fetch_add(1, Ordering::AcqRel);
    }

    /// Some of the journal, when indexing has fallen behind or begins.
    fn read(&mut self, until: u64) {
        let mut reader = self
            .reader
            .take()
            .unwrap_or_else(|| self.shared.journal_reader(self.position));
        self.now_ns = now_ns();
        self.shared.handing_over.fetch_add(1, Ordering::AcqRel);
        reader.seek(self.position);
        let before = reader.counters();
        let read = reader.read(until, &mut |entry, behind| self.index_entry(entry, behind));
        self.shared.handing_over.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = read {
            tracing::error!("journal: {error}; what cannot be read is passed over");
            self.shared.journal_damaged.fetch_add(1, Ordering::AcqRel);
            reader.seek(until);
        }
        let damaged = reader.counters().damaged - before.damaged;
        if damaged > 0 {
            self.shared.journal_damaged.fetch_add(damaged, Ordering::AcqRel);
            let octets = reader.counters().damaged_octets - before.damaged_octets;
            tracing::warn!("journal: {octets} octets in {damaged} places are damaged and passed over");
        }
        self.position = reader.position();
        self.reader = Some(reader);
        // What was passed over is done with, too.
        self.shared.journal_indexed.store(self.position, Ordering::Release);
        let marked = self.writer.mark(self.now_ns, self.position);
        if marked.is_err() {
            self.note(marked);
        }
    }

    fn index_entry(&mut self, entry: &Entry<'_>, behind: u64) {
        // First, so that an entry that panics is not met again.
        self.position = behind;
        // Held for one datagram only, so that /status never waits for the store.
        handle(&mut self.shared.process(), entry, &mut self.rows);
        if behind > self.shared.journal_began {
            let received = u64::from(entry.kind.is_received());
            self.shared.entries_handled.fetch_add(received, Ordering::AcqRel);
        }
        self.arrived_ns = Some(entry.received_ns);
        if !self.rows.is_empty() {
            self.store(entry.received_ns);
        }
        // Without a journal `behind` says nothing.
        if self.shared.journal.is_some() {
            self.shared.journal_indexed.store(behind, Ordering::Release);
            let marked = self.writer.mark(self.now_ns, behind);
            if marked.is_err() {
                self.note(marked);
            }
        }
    }

    /// Hands the rows of one Message to the store. While the store cannot write (a full disk), the thread waits and tries
    /// again: the queue fills, streams feel it, and datagrams are dropped and counted there. At the end it gives up.
    fn store(&mut self, arrived_ns: i64) {
        // From the end, so that a row that is taken moves no other.
        self.rows.reverse();
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.add_rows(arrived_ns) {
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
    fn add_rows(&mut self, arrived_ns: i64) -> Result<(), StoreError> {
        let now_ns = self.now_ns;
        let (count, added_before) = (self.rows.len() as u64, self.shared.store.counters().rows_added);
        let added = catch_unwind(AssertUnwindSafe(|| {
            while let Some(row) = self.rows.pop() {
                self.writer.add_arrived((now_ns, arrived_ns), row)?;
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
        let now_ns = now_ns();
        // While something waits, time has come as far as what was done last.
        let arrived_ns = self.arrived_ns.unwrap_or(now_ns).min(now_ns);
        let due = self.writer.poll_timeout().is_some_and(|due_ns| due_ns <= now_ns);
        if due || now >= self.store_due {
            self.store_due = now + STORE_TICK;
            if self.checkpoint.is_waiting() {
                self.writer.commit_mark();
            }
            let result = self.writer.handle_timeout_arrived(now_ns, arrived_ns);
            self.note(result);
            let kept = self.shared.summaries.handle_timeout(now_ns);
            self.note_summaries(kept);
        }
        if now >= self.sessions_due {
            self.sessions_due = now + SESSIONS_TICK;
            self.shared.process().handle_timeout(arrived_ns);
        }
        self.checkpoint.handle_timeout(&self.shared, now, self.position);
    }

    fn note_summaries(&mut self, result: std::io::Result<()>) {
        if let Err(source) = result {
            let path = crate::summaries::folder(&self.shared.config.data);
            self.note(Err(StoreError::Io { path, source }));
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

/// Decodes one entry into rows.
fn handle(process: &mut CollectingProcess, entry: &Entry<'_>, rows: &mut Vec<Row>) {
    match entry.kind {
        Kind::Datagram | Kind::Message => {
            let key = SessionKey {
                listener: entry.listener,
                peer: entry.peer,
                connection: entry.connection,
            };
            process.handle(entry.received_ns, key, entry.bytes, rows);
        }
        Kind::Closed => process.handle_closed(entry.listener, entry.connection),
        Kind::Began => process.handle_began(),
        Kind::Listeners => {}
    }
}

pub(super) fn remember(shared: &Shared, trouble: Option<String>) {
    *shared.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
}
