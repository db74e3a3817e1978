//! Summaries from exporters: counters and mergeable sketches of windows, checked, put together from their parts, kept apart
//! from flows, and merged over exporters and time when somebody asks.
//!
//! Every record is on the account: `received = stored + waiting + each reason`.

pub mod answer;
mod assembly;
mod check;
mod entry;
mod merge;
mod record;
mod segment;
mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::BuildHasher as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flowgauge_sketches::Refusal;
use flowgauge_templates::ipfix::Records;
use flowgauge_templates::ipfix::list::TemplateScope;
use foldhash::quality::RandomState;

pub use answer::{SummariesAnswer, SummariesRequest, summaries};
use assembly::{Assembly, Outcome, Summary};
use entry::Entry;
pub use record::is_of_summaries;
use store::SummaryStore;
pub use store::{Segment, StoreCounters, SummariesConfig};

use crate::limits::{SUMMARIES_REMEMBERED, SUMMARIES_WAITING_OCTETS, SUMMARIES_WRITE_OCTETS};

const NS_PER_MS: i64 = 1_000_000;

/// Where summaries lie in a data directory.
pub fn folder(data: &Path) -> PathBuf {
    data.join("summaries")
}

/// What became of records of summaries, and of their images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummaryCounters {
    /// Records.
    pub received: u64,
    /// Of those, records of an earlier run that still waited when these accounts began.
    pub carried: u64,
    /// Records that are on the disk, or whose image is.
    pub stored: u64,
    /// Records that wait for other parts of their image, or to be written.
    pub waiting: u64,
    /// Records that make no sense.
    pub malformed: u64,
    /// Records of what was stored before.
    pub repeated: u64,
    /// Records with parts of an image whose other parts did not come.
    pub incomplete: u64,
    /// Records with further parts of an image that was refused.
    pub image_refused: u64,
    /// Records given up because the disk took no more.
    pub not_written: u64,
    /// Summaries stored.
    pub summaries: u64,
    /// Of those, with an image.
    pub images: u64,
    /// Images refused, in the order of [`Refusal::ALL`]; what could be read beside them is stored.
    pub refused: [u64; Refusal::ALL.len()],
    /// Images given up because too many lacked parts.
    pub evicted: u64,
    /// Images given up because parts did not come in time.
    pub expired: u64,
    /// What became of what was kept.
    pub store: StoreCounters,
    /// Octets of parts that wait for others.
    pub parts_octets: usize,
    /// Octets on the disk.
    pub octets: u64,
}

impl SummaryCounters {
    /// Records that were not stored, by reason.
    pub fn lost(&self) -> BTreeMap<&'static str, u64> {
        [
            ("summary_malformed", self.malformed),
            ("summary_repeated", self.repeated),
            ("summary_incomplete", self.incomplete),
            ("summary_image_refused", self.image_refused),
            ("summary_not_written", self.not_written),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect()
    }

    /// Whether every record is somewhere.
    pub fn is_balanced(&self) -> bool {
        self.received == self.stored + self.waiting + self.lost().values().sum::<u64>()
    }
}

/// Fingerprints of the summaries that came last.
#[derive(Debug, Default)]
struct Seen {
    hasher: RandomState,
    known: HashSet<u64, foldhash::fast::RandomState>,
    order: VecDeque<u64>,
    scratch: Vec<u8>,
}

impl Seen {
    /// Remembers an entry; false when it was there already, octet for octet.
    fn insert(&mut self, entry: &Entry) -> bool {
        self.scratch.clear();
        entry.write(&mut self.scratch);
        let fingerprint = self.hasher.hash_one(&self.scratch);
        if !self.known.insert(fingerprint) {
            return false;
        }
        self.order.push_back(fingerprint);
        if self.order.len() > SUMMARIES_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[derive(Debug)]
struct Inner {
    assembly: Assembly,
    seen: Seen,
    /// What waits to be written, of how many records and octets.
    waiting: Vec<Entry>,
    waiting_records: u64,
    waiting_octets: usize,
    store: SummaryStore,
    counters: SummaryCounters,
}

/// The summaries of a collector.
#[derive(Debug)]
pub struct Summaries {
    inner: Mutex<Inner>,
}

impl Summaries {
    /// Opens the folder of summaries, and reads back what is not noted.
    ///
    /// # Errors
    /// When it cannot be made or read.
    pub fn open(directory: &Path, config: SummariesConfig) -> io::Result<Summaries> {
        let mut seen = Seen::default();
        let store = SummaryStore::open(directory, config, |entry| {
            seen.insert(entry);
        })?;
        Ok(Summaries {
            inner: Mutex::new(Inner {
                assembly: Assembly::default(),
                seen,
                waiting: Vec::new(),
                waiting_records: 0,
                waiting_octets: 0,
                store,
                counters: SummaryCounters::default(),
            }),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic is our bug; what was taken before it is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the records of a Set whose template [`is_of_summaries`], and says how many there were. `sampling` knows what a
    /// Selector does: one packet in so many, 0 when it is not known.
    pub fn take(
        &self,
        now_ns: i64,
        (peer, domain): (SocketAddr, u32),
        records: &mut Records<'_, '_>,
        scope: &impl TemplateScope,
        sampling: impl Fn(u64) -> f64,
    ) -> u64 {
        let mut inner = self.inner();
        let mut count = 0;
        let mut outcome = Outcome::default();
        let exporter: IpAddr = peer.ip().to_canonical();
        for record in records.by_ref() {
            count += 1;
            inner.counters.received += 1;
            match record::read(&record, (exporter, domain), scope, &sampling) {
                Some(piece) => inner.assembly.take(now_ns, peer, piece, &mut outcome),
                None => inner.counters.malformed += 1,
            }
        }
        inner.settle(outcome);
        if inner.waiting_octets > SUMMARIES_WRITE_OCTETS {
            // What goes wrong is tried again at the next tick, and told there.
            let _ = inner.write();
        }
        count
    }

    /// Gives up parts that waited for too long, writes what waits, and removes what is too old.
    ///
    /// # Errors
    /// When the disk does not take it; it is tried again the next time.
    pub fn handle_timeout(&self, now_ns: i64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.expire(now_ns, false);
        inner.write()?;
        inner.store.retain(now_ns.div_euclid(NS_PER_MS))
    }

    /// Writes what waits, to the last; parts that still lack others are given up.
    ///
    /// # Errors
    /// When the disk does not take it: it is given up.
    pub fn close(&self, now_ns: i64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.expire(now_ns, true);
        let written = inner.write();
        inner.give_up();
        written
    }

    /// Begins the accounts anew, with what waits: what came so far was on those of an earlier run.
    pub fn begin_accounts(&self) {
        let mut inner = self.inner();
        let carried = inner.assembly.waiting() + inner.waiting_records;
        inner.counters = SummaryCounters {
            received: carried,
            carried,
            ..SummaryCounters::default()
        };
    }

    /// The accounts.
    pub fn counters(&self) -> SummaryCounters {
        let inner = self.inner();
        SummaryCounters {
            waiting: inner.assembly.waiting() + inner.waiting_records,
            evicted: inner.assembly.evicted,
            expired: inner.assembly.expired,
            store: inner.store.counters,
            parts_octets: inner.assembly.octets(),
            octets: inner.store.octets(),
            ..inner.counters.clone()
        }
    }

    /// What is there to be read now.
    pub fn segments(&self) -> Vec<Segment> {
        self.inner().store.segments()
    }
}

/// The summaries of a data directory, whether or not a collector runs on it.
///
/// # Errors
/// When they cannot be read.
pub fn stored_in(data: &Path) -> io::Result<Vec<Segment>> {
    SummaryStore::open_to_read(&folder(data))
}

impl Inner {
    fn expire(&mut self, now_ns: i64, all: bool) {
        let mut outcome = Outcome::default();
        self.assembly.handle_timeout(now_ns, all, &mut outcome);
        self.settle(outcome);
    }

    /// Checks what is whole, and lets it wait to be written.
    fn settle(&mut self, outcome: Outcome) {
        self.counters.incomplete += outcome.incomplete;
        self.counters.repeated += outcome.repeated;
        for (summary, records) in outcome.done {
            self.keep(summary, records);
        }
    }

    fn keep(&mut self, summary: Summary, mut records: u64) {
        let Summary {
            key,
            sampling,
            readable,
            mut image,
        } = summary;
        if let (Some(found), Some(kind)) = (&image, record::kind_of(key.kind))
            && let Err(refusal) = check::sketch(kind, found)
        {
            if let Some(place) = Refusal::ALL.iter().position(|one| *one == refusal)
                && let Some(count) = self.counters.refused.get_mut(place)
            {
                *count += 1;
            }
            image = None;
            // The readable values stay, in the one record that has them.
            let kept = u64::from(readable.is_some());
            self.counters.image_refused += records - kept;
            records = kept;
            if readable.is_none() {
                return;
            }
        }
        let entry = Entry {
            key,
            sampling,
            readable,
            image,
        };
        let octets = entry_octets(&entry);
        if self.waiting_octets + octets > SUMMARIES_WAITING_OCTETS {
            self.counters.not_written += records;
            return;
        }
        if !self.seen.insert(&entry) {
            self.counters.repeated += records;
            return;
        }
        self.waiting_octets += octets;
        self.waiting_records += records;
        self.waiting.push(entry);
    }

    fn write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.store.append(&self.waiting)?;
        self.counters.stored += self.waiting_records;
        self.counters.summaries += self.waiting.len() as u64;
        self.counters.images += self.waiting.iter().filter(|entry| entry.image.is_some()).count() as u64;
        self.forget_waiting();
        Ok(())
    }

    fn give_up(&mut self) {
        self.counters.not_written += self.waiting_records;
        self.forget_waiting();
    }

    fn forget_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_records = 0;
        self.waiting_octets = 0;
    }
}

/// About what an entry takes.
fn entry_octets(entry: &Entry) -> usize {
    let image = entry.image.as_ref().map_or(0, |image| image.octets.len());
    let rows = match &entry.readable {
        Some(record::Readable::FrequentItems { rows, .. }) => rows.iter().map(|row| row.item.len() + 48).sum(),
        Some(record::Readable::Quantiles { rows, .. }) => rows.len() * 32,
        _ => 32,
    };
    std::mem::size_of::<Entry>() + entry.key.metric.len() + image + rows
}

/// Shared by the Collecting Process, the indexing thread and the API.
pub type SharedSummaries = Arc<Summaries>;
