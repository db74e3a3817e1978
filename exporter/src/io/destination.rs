//! One thread per destination: takes batches from its queue, hands them to its transport, and accounts for every record.
//!
//! Destinations share nothing but the batches: a slow, absent or full one costs the others nothing (live), or makes the
//! reading of files wait until it moves or is given up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flowgauge_templates::management::{ExportingConfig as SessionConfig, TransportKind};

use super::log_limit::LogLimit;
use super::patience::Stop;
use super::queue::{Batch, BatchQueue, Popped, Spares};
use super::{dtls, file, lines, netflow, sctp, tcp, udp};
use crate::config::{Destination, ExportingConfig};
use crate::exporting::identity::Identity;
use crate::exporting::{DestinationAccounts, ExportingProcess, Loss, MeteringStatistics, Statistics, Volume, limits};
use crate::metering::sampling::Selector;
use crate::summaries::geo::Geo;

/// How often an idle destination looks after its connection and its timers.
const TICK: Duration = Duration::from_millis(500);

/// Why a destination takes no more.
#[derive(Debug)]
pub enum Failure {
    /// It cannot work any more; one line for people.
    Broken(String),
    /// Nothing moved for the drain timeout, or the exporter was stopped twice.
    GivenUp,
}

/// What carries records away.
pub trait Transport {
    /// Sends a batch, counting into the accounts what left and what was lost on the way.
    ///
    /// # Errors
    /// When nothing more can be sent; how many records of the batch are not accounted for yet.
    fn handle_batch(&mut self, batch: &Batch) -> Result<(), (Failure, usize)>;

    /// Looks after timers and connections while there is nothing to send.
    ///
    /// # Errors
    /// When nothing more can be sent.
    fn handle_timeout(&mut self) -> Result<(), Failure>;

    /// Ends in good order, after the last batch.
    ///
    /// # Errors
    /// When what was sent may not be complete.
    fn finish(&mut self) -> Result<(), Failure>;
}

/// What all destinations are given.
#[derive(Clone, Debug)]
pub struct Context {
    /// How to export.
    pub config: ExportingConfig,
    /// When to give up.
    pub stop: Arc<Stop>,
    /// What the Metering Process counts, for the statistics records.
    pub metering: Arc<SharedMetering>,
    /// Who exports.
    pub identity: Arc<Identity>,
    /// Every Selector that may come into force.
    pub selectors: Arc<[Selector]>,
    /// Where the memory of batches goes back to.
    pub spares: Arc<Spares>,
    /// Countries of addresses, where there is a database.
    pub geo: Option<Arc<Geo>>,
    /// Whether packets come from files: then UDP is paced.
    pub from_files: bool,
}

impl Context {
    /// The Exporting Process of one IPFIX destination.
    ///
    /// # Errors
    /// One line for people.
    pub fn exporting_process(&self, kind: TransportKind, message_octets: u16) -> Result<ExportingProcess, String> {
        self.process(kind, message_octets, false)
    }

    /// The same for one whose Messages are kept before they are sent.
    ///
    /// # Errors
    /// One line for people.
    pub fn keeping_process(&self, kind: TransportKind, message_octets: u16) -> Result<ExportingProcess, String> {
        self.process(kind, message_octets, true)
    }

    fn process(&self, kind: TransportKind, message_octets: u16, kept: bool) -> Result<ExportingProcess, String> {
        let session = SessionConfig {
            domain: self.config.domain,
            transport: kind,
            max_message_octets: usize::from(message_octets),
            template_refresh_s: u32::try_from(self.config.template_refresh.as_secs())
                .unwrap_or(u32::MAX)
                .max(1),
            template_refresh_messages: u32::try_from(self.config.template_refresh_messages).unwrap_or(u32::MAX),
            kept,
        };
        let process = ExportingProcess::new(session, self.config.times, self.selectors.clone());
        let mut process = process.map_err(|error| error.to_string())?;
        process.set_identity(self.identity.clone());
        Ok(process)
    }

    /// How many records a destination's queue holds. Reading files waits for destinations anyway, so that more than a few
    /// batches would only take memory.
    fn queue_records(&self) -> usize {
        match self.from_files {
            true => self.config.queue.min(limits::FILE_QUEUE_RECORDS),
            false => self.config.queue,
        }
    }

    /// What the statistics records of a destination say now.
    pub fn statistics(&self, accounts: &DestinationAccounts) -> Statistics {
        let now = accounts.snapshot();
        Statistics {
            metering: self.metering.totals(),
            exported_messages: now.messages,
            exported_flows: now.exported,
            exported_octets: now.octets,
            not_sent_flows: now.lost_total(),
            not_sent_packets: now.lost_packets,
            not_sent_octets: now.lost_octets,
            not_sent_between_ns: [now.first_lost_ns, now.last_lost_ns],
        }
    }
}

/// Counters of the Metering Process that other threads read: those of all sources together.
#[derive(Debug, Default)]
pub struct SharedMetering {
    observed_packets: AtomicU64,
    sampled_out_packets: AtomicU64,
    ignored_packets: AtomicU64,
    observed_flows: AtomicU64,
    /// Flows whose record is still to come.
    open_flows: AtomicU64,
}

impl SharedMetering {
    /// One source's counters are `now` what they were `before`.
    pub fn update(&self, before: &MeteringStatistics, now: &MeteringStatistics) {
        for (total, before, now) in [
            (&self.observed_packets, before.observed_packets, now.observed_packets),
            (
                &self.sampled_out_packets,
                before.sampled_out_packets,
                now.sampled_out_packets,
            ),
            (&self.ignored_packets, before.ignored_packets, now.ignored_packets),
            (&self.observed_flows, before.observed_flows, now.observed_flows),
        ] {
            total.fetch_add(now.saturating_sub(before), Relaxed);
        }
    }

    /// One source has so many flows open, and had so many before.
    pub fn update_open(&self, before: u64, now: u64) {
        // Wraps in between where several sources change at once, and not in the sum.
        self.open_flows.fetch_add(now.wrapping_sub(before), Relaxed);
    }

    /// Flows whose record is still to come.
    pub fn open_flows(&self) -> u64 {
        self.open_flows.load(Relaxed)
    }

    /// The counters now.
    pub fn totals(&self) -> MeteringStatistics {
        MeteringStatistics {
            observed_packets: self.observed_packets.load(Relaxed),
            sampled_out_packets: self.sampled_out_packets.load(Relaxed),
            ignored_packets: self.ignored_packets.load(Relaxed),
            observed_flows: self.observed_flows.load(Relaxed),
        }
    }
}

/// A destination at work.
#[derive(Debug)]
pub struct Worker {
    /// Where its batches go in.
    pub queue: Arc<BatchQueue>,
    /// What became of them.
    pub accounts: Arc<DestinationAccounts>,
    full: Mutex<LogLimit>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Opens what can be opened at once and starts the thread.
    ///
    /// # Errors
    /// One line for people: a file that cannot be made, no thread to be had.
    pub fn start(destination: &Destination, context: &Context) -> Result<Self, String> {
        let name = destination.to_string();
        let accounts = Arc::new(DestinationAccounts::new(name.clone()));
        let queue = Arc::new(BatchQueue::new(context.queue_records(), accounts.clone()));
        let transport: Box<dyn Transport + Send> = match destination {
            Destination::Udp(endpoint) => Box::new(udp::Udp::new(endpoint, context, accounts.clone())?),
            Destination::Tcp(endpoints) => {
                tcp::TcpConnector::new(endpoints).destination(context, accounts.clone(), queue.clone())?
            }
            Destination::Tls(endpoints) => {
                let connector = tcp::TcpConnector::with_tls(endpoints, context, &name)?;
                connector.destination(context, accounts.clone(), queue.clone())?
            }
            Destination::Dtls(endpoints) => {
                dtls::DtlsConnector::destination(endpoints, context, accounts.clone(), queue.clone())?
            }
            Destination::Sctp(endpoints) => {
                sctp::SctpConnector::destination(endpoints, context, accounts.clone(), queue.clone())?
            }
            Destination::NetFlow9(endpoint) => Box::new(netflow::version9(endpoint, context, accounts.clone())),
            Destination::NetFlow5(endpoint) => Box::new(netflow::version5(endpoint, context, accounts.clone())),
            // An agent of its own: see `crate::sflow`.
            Destination::Sflow(_) => return Err(format!("{name}: takes samples, no flow records")),
            Destination::File(path) => Box::new(file::IpfixFile::create(path, context, accounts.clone())?),
            Destination::Json(_)
            | Destination::JsonTcp(_)
            | Destination::JsonHttp(_)
            | Destination::Syslog(_)
            | Destination::SyslogTcp(_) => lines::transport(destination, context, accounts.clone(), queue.clone())?,
        };
        let thread = std::thread::Builder::new()
            .name(name.chars().take(15).collect())
            .spawn({
                let (queue, accounts, spares) = (queue.clone(), accounts.clone(), context.spares.clone());
                move || carry(transport, &queue, &accounts, &spares)
            })
            .map_err(|error| format!("{name}: no thread to send with: {error}"))?;
        Ok(Self {
            queue,
            accounts,
            full: Mutex::default(),
            thread,
        })
    }

    /// Hands over a batch of live traffic, which waits for nobody: what a full queue costs is counted and said.
    pub fn push_dropping(&self, batch: Batch) {
        let dropped = self.queue.push_dropping(now_ns(), batch);
        if dropped == 0 || self.queue.is_dead() {
            return;
        }
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = full.permit(Instant::now()) {
            let name = &self.accounts.name;
            let lost = self.accounts.snapshot().lost_for(Loss::QueueFull);
            tracing::warn!(
                "{name}: the queue is full, the oldest records go ({lost} so far, {times} batches since the last such line); see --queue"
            );
        }
    }

    /// Waits until the thread has sent everything or given it up. The queue must be closed.
    pub fn join(self) -> Arc<DestinationAccounts> {
        if self.thread.join().is_err() {
            tracing::error!(
                "{}: the sending thread has panicked; please report this",
                self.accounts.name
            );
        }
        self.accounts
    }
}

/// Gives up what is left when the thread ends in whatever way, so that nobody waits for a queue without a reader.
struct LastWord<'q>(&'q BatchQueue);

impl Drop for LastWord<'_> {
    fn drop(&mut self) {
        self.0.give_up(now_ns(), Loss::Failed);
    }
}

fn carry(
    mut transport: Box<dyn Transport + Send>,
    queue: &BatchQueue,
    accounts: &DestinationAccounts,
    spares: &Spares,
) {
    let _last_word = LastWord(queue);
    let result = carry_all(&mut *transport, queue, spares);
    let Err(failure) = result.and_then(|()| transport.finish().map_err(|failure| (failure, Volume::default()))) else {
        return;
    };
    let (failure, left) = failure;
    accounts.set_failed();
    let loss = match &failure {
        Failure::Broken(_) => Loss::Failed,
        Failure::GivenUp => Loss::DrainTimeout,
    };
    accounts.add_lost(now_ns(), loss, left);
    queue.give_up(now_ns(), loss);
    match failure {
        Failure::Broken(line) => tracing::error!("{line}"),
        Failure::GivenUp => {
            let now = accounts.snapshot();
            let (name, lost, queued) = (&now.name, now.lost_total(), now.queued);
            tracing::error!("{name}: gave up delivering; {lost} of {queued} records are lost");
        }
    }
}

fn carry_all(transport: &mut dyn Transport, queue: &BatchQueue, spares: &Spares) -> Result<(), (Failure, Volume)> {
    loop {
        match queue.pop(TICK) {
            Popped::Batch(batch) => {
                transport.handle_batch(&batch).map_err(|(failure, left)| {
                    // Which records of the batch those are depends on the order of encoding; all cost about the same.
                    let all = Volume::of(&batch);
                    let share = |total: u64| total * left as u64 / all.flows.max(1);
                    let left = Volume {
                        flows: left as u64,
                        packets: share(all.packets),
                        octets: share(all.octets),
                    };
                    (failure, left)
                })?;
                spares.give(batch);
            }
            Popped::Timeout => transport
                .handle_timeout()
                .map_err(|failure| (failure, Volume::default()))?,
            Popped::Closed => return Ok(()),
        }
    }
}

/// The wall clock, nanoseconds since 1970 UTC.
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// When something last moved, for [`Stop::is_over`].
#[derive(Debug)]
pub struct Progress(Instant);

impl Progress {
    /// Counts from now.
    pub fn new() -> Self {
        Self(Instant::now())
    }

    /// Something moved.
    pub fn moved(&mut self) {
        self.0 = Instant::now();
    }

    /// When that was.
    pub fn at(&self) -> Instant {
        self.0
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
