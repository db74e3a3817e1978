//! Wires the collector by hand: listeners -> queue -> journal -> one indexing thread -> store, with HTTP beside, and an orderly
//! end.
//!
//! At the end: sockets are read empty, the queue is worked off, rows are committed, templates saved, accounts printed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flowgauge_ie_registry::Registry;
use flowgauge_templates::management::CollectingConfig;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::alerts::{self, AlertThreads, Alerts};
use crate::api::{Api, ApiServer};
use crate::collecting::{CollectingProcess, Loaded, ProcessConfig, load_state};
use crate::config::Config;
use crate::enrich::Enricher;
use crate::enrich::files::Files;
use crate::failure::Failure;
use crate::io::dtls::{Credentials, DtlsCounters, DtlsReceiver};
use crate::io::listener::{ListenAddress, Transport};
use crate::io::queue::Queue;
use crate::io::relay::{self, RelayStatus, RelayThreads};
use crate::io::sctp::{SctpReceiver, watched};
use crate::io::tcp::{TcpCounters, TcpLimits, TcpReceiver};
use crate::io::tls::{ClientNames, Handshakes};
use crate::io::udp::{UdpCounters, UdpReceiver, prepare};
use crate::journal::{Handover, JournalConfig, JournalCounters, JournalWriter, Opened, Reader, fresh_sync};
use crate::limits::HANDOVER_OCTETS;
use crate::normalize::Equivalents;
use crate::rehearsal;
use crate::store::{Store, StoreError};
use crate::summaries::{self, SharedSummaries, Summaries};

mod accounts;
mod checkpoint;
mod indexing;
mod journaling;

pub use accounts::{Accounts, accounts};
use indexing::Indexing;
use journaling::{Journaling, sync_at_intervals};

/// How often the files of enrichment are looked at.
const FILES_INTERVAL: Duration = Duration::from_secs(2);
/// How soon the thread that does so sees that the collector stops.
const FILES_TICK: Duration = Duration::from_millis(100);

/// Nanoseconds since 1970 UTC by the system's clock: the one place the collector asks for the time of day.
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    rehearsal::time_ns(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// What a listener counts.
#[derive(Clone, Debug)]
pub enum ListenerCounters {
    /// Datagrams.
    Udp(Arc<UdpCounters>),
    /// Streams.
    Tcp(Arc<TcpCounters>),
    /// Sessions over datagrams.
    Dtls(Arc<DtlsCounters>),
}

impl ListenerCounters {
    /// Of datagrams, where they are what is read.
    pub fn datagrams(&self) -> Option<&UdpCounters> {
        match self {
            ListenerCounters::Udp(counters) => Some(counters),
            ListenerCounters::Tcp(_) => None,
            ListenerCounters::Dtls(counters) => Some(&counters.datagrams),
        }
    }

    /// Of connections, or what the transport has in their place.
    pub fn sessions(&self) -> Option<&TcpCounters> {
        match self {
            ListenerCounters::Udp(_) => None,
            ListenerCounters::Tcp(counters) => Some(counters),
            ListenerCounters::Dtls(counters) => Some(&counters.sessions),
        }
    }
}

/// A listener as others see it.
#[derive(Clone, Debug)]
pub struct ListenerStatus {
    /// As configured.
    pub configured: ListenAddress,
    /// As bound: the port that the kernel chose when 0 was asked for.
    pub address: SocketAddr,
    /// What it has taken and lost.
    pub counters: ListenerCounters,
}

/// What the parts of a running collector share.
pub struct Shared {
    /// The configuration it was started with.
    pub config: Config,
    /// The store.
    pub store: Arc<Store>,
    /// The Collecting Process. The indexing thread holds it while it decodes one datagram, others for one look.
    pub process: Mutex<CollectingProcess>,
    /// What is kept of summaries.
    pub summaries: SharedSummaries,
    /// What enrichment reads.
    pub enrich_files: Arc<Files>,
    /// Rules, their states and who is told.
    pub alerts: Alerts,
    /// The queue between receiving and the journal.
    pub queue: Arc<Queue>,
    /// The way from the journal to indexing.
    pub handover: Handover,
    /// What the journal has taken and holds; nothing where there is none.
    pub journal: Option<Arc<JournalCounters>>,
    /// The listeners that entries of the journal number: those configured, then those of earlier runs.
    pub listener_names: Vec<String>,
    /// Where this run began in the journal.
    pub journal_began: u64,
    /// Behind what is indexed of the journal.
    pub journal_indexed: AtomicU64,
    /// Datagrams and Messages of this run that are decoded.
    pub entries_handled: AtomicU64,
    /// Stretches of damage in the journal, each of at least one datagram or Message.
    pub journal_damaged: AtomicU64,
    /// Datagrams and Messages given up at the end, because the journal could not be written.
    pub not_journaled: AtomicU64,
    /// The listeners, in the order of the configuration.
    pub listeners: Vec<ListenerStatus>,
    /// Where copies of datagrams go, in the order of the configuration.
    pub relays: Vec<RelayStatus>,
    /// By which names exporters were let in.
    pub client_names: Arc<ClientNames>,
    /// Every listener is bound and the store is open.
    pub ready: AtomicBool,
    /// The collector is about to end.
    pub stopping: AtomicBool,
    /// When it was started.
    pub started: Instant,
    /// Odd while the indexing thread hands rows of one batch to the store, and one more with each batch.
    pub handing_over: AtomicU64,
    /// Rows that were never given to the store, because giving it the one before panicked.
    pub rows_not_added: AtomicU64,
    /// Rows that the store panicked over.
    pub rows_at_fault: AtomicU64,
    /// Rows given up at the end, because the store could not write.
    pub rows_given_up: AtomicU64,
    /// What the indexing thread could not do last, if it could not.
    pub trouble: Mutex<Option<String>>,
}

impl Shared {
    /// The Collecting Process, for one look.
    pub fn process(&self) -> MutexGuard<'_, CollectingProcess> {
        // A panic while decoding is our bug; what was decoded before is still whole.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where templates are saved.
    pub fn templates_path(&self) -> PathBuf {
        self.config.data.join("templates.json")
    }

    /// Octets in the journal that are not indexed yet.
    pub fn journal_waiting_octets(&self) -> u64 {
        let written = self
            .journal
            .as_ref()
            .map_or(0, |journal| journal.written.load(Ordering::Acquire));
        written.saturating_sub(self.journal_indexed.load(Ordering::Acquire))
    }

    /// A reader of the journal from a position on.
    fn journal_reader(&self, position: u64) -> Reader {
        Reader::new(self.config.journal_directory(), self.listener_names.clone(), position)
    }

    /// The Collecting Process itself, with one that has heard of nobody in its place.
    fn lend_process(&self) -> CollectingProcess {
        let empty = CollectingProcess::new(ProcessConfig::default(), Registry::new());
        std::mem::replace(&mut *self.process(), empty)
    }
}

/// The line for a store that could not be opened.
pub fn store_failure(error: &StoreError) -> Failure {
    Failure::running(format!("store {error}"))
}

/// A running collector.
pub struct Collector {
    shared: Arc<Shared>,
    stop_datagrams: Arc<AtomicBool>,
    stop_streams: watch::Sender<bool>,
    receivers: Vec<JoinHandle<()>>,
    relays: RelayThreads,
    streams: Vec<tokio::task::JoinHandle<()>>,
    journaling: Option<JoinHandle<Option<JournalWriter>>>,
    syncing: Option<JoinHandle<()>>,
    stop_syncing: Arc<AtomicBool>,
    indexing: Option<JoinHandle<()>>,
    watching: Option<JoinHandle<()>>,
    alerts: Option<AlertThreads>,
    http: Option<ApiServer>,
    runtime: Option<Runtime>,
}

impl Collector {
    /// Opens the store, binds everything, then starts. Nothing is received before all of it worked.
    ///
    /// # Errors
    /// The first thing that did not work: what, where, what to do.
    pub fn start(config: Config) -> Result<Collector, Failure> {
        let registry = registry(&config)?;
        let enrich_files = Arc::new(enrich_files(&config)?);
        let alerts = Alerts::new(config.alerts.clone(), now_ns())
            .map_err(|why| Failure::usage(format!("alerts.webhooks: {why}")))?;
        if config.data.exists() && !config.data.is_dir() {
            let path = config.data.display();
            return Err(Failure::running(format!(
                "store {path}: it is a file; name a directory with --data"
            )));
        }
        let bound: Vec<_> = config
            .listeners
            .iter()
            .map(|listen| Ok((*listen, listen.bind_shared(config.receivers)?)))
            .collect::<Result<_, Failure>>()?;
        let has_tls = config.listeners.iter().any(|listen| listen.transport == Transport::Tls);
        let client_names = Arc::new(ClientNames::default());
        let is_dtls = |listen: &&ListenAddress| listen.transport == Transport::Dtls;
        let dtls = config.listeners.iter().filter(is_dtls);
        let dtls: Result<Vec<_>, Failure> = dtls.map(|_| Credentials::new(&config.tls)).collect();
        let mut dtls = dtls?.into_iter();
        let handshakes = has_tls
            .then(|| Handshakes::new(&config.tls, Arc::clone(&client_names)))
            .transpose()?
            .map(Arc::new);
        let http = std::net::TcpListener::bind(config.http).map_err(|error| {
            crate::io::listener::bind_failure(&format!("http://{}", config.http), config.http, &error)
        })?;
        let store = Store::open(&config.data, config.store.clone()).map_err(|error| store_failure(&error))?;
        let writer = store.writer().map_err(|error| store_failure(&error))?;
        let folder = summaries::folder(&config.data);
        let summaries =
            Summaries::open(&folder, config.summaries).map_err(|error| Failure::file("summaries", &folder, &error))?;
        let summaries = Arc::new(summaries);
        let sync = fresh_sync();
        let mut listener_names: Vec<String> = config.listeners.iter().map(ListenAddress::to_string).collect();
        let journal = open_journal(&config, sync, &listener_names, &store)?;
        let gone = journal
            .iter()
            .flat_map(|journal| journal.gone_listeners.iter().cloned());
        listener_names.extend(gone);
        let transport = |name: &String| {
            name.parse()
                .map_or(Transport::Udp, |listen: ListenAddress| listen.transport)
        };
        let mut process = CollectingProcess::new(
            ProcessConfig {
                collecting: CollectingConfig {
                    template_lifetime_s: seconds(config.template_lifetime),
                    pending_age_s: seconds(config.pending_age),
                    templates_per_domain: config.templates_per_domain,
                },
                listeners: listener_names.iter().map(transport).collect(),
                equivalents: Arc::new(equivalents(&config, &registry)?),
                exporters: config.exporters.clone(),
                summaries: Some(Arc::clone(&summaries)),
            },
            registry,
        );
        let mut enricher = Enricher::new(config.enrich.clone(), Arc::clone(&enrich_files));
        if let Err(error) = enricher.load_names(&observed_names(&config)) {
            tracing::warn!("{}", Failure::file("observed names", &observed_names(&config), &error));
        }
        process.set_enricher(enricher);
        let queue = Arc::new(Queue::new(config.queue_octets, sync));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("flowgauge-io")
            .enable_all()
            .build()
            .map_err(|error| Failure::running(format!("cannot start threads: {error}")))?;
        let mut listeners = Vec::new();
        for (configured, sockets) in &bound {
            let address = sockets
                .first()
                .and_then(|socket| socket.local_addr().ok())
                .and_then(|address| address.as_socket())
                .unwrap_or(configured.address);
            let counters = match configured.transport {
                Transport::Udp => {
                    let counters = Arc::new(UdpCounters::default());
                    let mut hint = None;
                    for socket in sockets {
                        hint = prepare(socket, config.receive_buffer_octets, &counters)
                            .map_err(|error| Failure::running(format!("cannot prepare {configured}: {error}")))?;
                    }
                    if let Some(hint) = hint {
                        tracing::warn!(listener = %configured, "{hint}");
                    }
                    ListenerCounters::Udp(counters)
                }
                Transport::Dtls => {
                    let counters = Arc::new(DtlsCounters::default());
                    for socket in sockets {
                        let hint = prepare(socket, config.receive_buffer_octets, &counters.datagrams)
                            .map_err(|error| Failure::running(format!("cannot prepare {configured}: {error}")))?;
                        if let Some(hint) = hint {
                            tracing::warn!(listener = %configured, "{hint}");
                        }
                    }
                    ListenerCounters::Dtls(counters)
                }
                Transport::Tcp | Transport::Tls | Transport::Sctp => ListenerCounters::Tcp(Arc::default()),
            };
            listeners.push(ListenerStatus {
                configured: *configured,
                address,
                counters,
            });
        }
        let is_udp = |listener: &&ListenerStatus| listener.configured.transport == Transport::Udp;
        let own: Vec<SocketAddr> = listeners
            .iter()
            .filter(is_udp)
            .map(|listener| listener.address)
            .collect();
        let (relay, relays) = relay::start(&config.relays, &config.exporters, &own)?;
        let shared = Arc::new(Shared {
            config,
            store,
            summaries,
            enrich_files,
            alerts,
            process: Mutex::new(process),
            queue,
            handover: Handover::new(
                HANDOVER_OCTETS,
                journal.as_ref().map_or(0, |opened| opened.writer.position()),
            ),
            journal: journal.as_ref().map(|opened| Arc::clone(opened.writer.counters())),
            listener_names,
            journal_began: journal.as_ref().map_or(0, |opened| opened.writer.position()),
            journal_indexed: AtomicU64::new(0),
            entries_handled: AtomicU64::new(0),
            journal_damaged: AtomicU64::new(0),
            not_journaled: AtomicU64::new(0),
            listeners,
            relays: relays.statuses.clone(),
            client_names,
            ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            started: Instant::now(),
            handing_over: AtomicU64::new(0),
            rows_not_added: AtomicU64::new(0),
            rows_at_fault: AtomicU64::new(0),
            rows_given_up: AtomicU64::new(0),
            trouble: Mutex::new(None),
        });
        let loaded = take_up_state(&shared);
        let reader = journal.as_ref().map(|opened| {
            let position = loaded.journal.unwrap_or(opened.oldest).max(opened.oldest);
            opened.writer.counters().released.fetch_max(position, Ordering::AcqRel);
            shared.journal_reader(position)
        });
        let (stop_streams, stopped) = watch::channel(false);
        let mut collector = Collector {
            shared: Arc::clone(&shared),
            stop_datagrams: Arc::new(AtomicBool::new(false)),
            stop_streams,
            receivers: Vec::new(),
            relays,
            streams: Vec::new(),
            journaling: None,
            syncing: None,
            stop_syncing: Arc::default(),
            indexing: None,
            watching: None,
            alerts: None,
            http: None,
            runtime: None,
        };
        let connections = Arc::new(AtomicU64::new(0));
        let places = (0u16..).zip(&shared.listeners);
        let sockets = bound
            .into_iter()
            .zip(places)
            .flat_map(|((_, sockets), place)| sockets.into_iter().map(move |socket| (socket, place)));
        for (socket, (listener, status)) in sockets {
            match &status.counters {
                ListenerCounters::Udp(counters) => {
                    let receiver = UdpReceiver {
                        socket,
                        listener,
                        queue: Arc::clone(&shared.queue),
                        relay: relay.clone(),
                        counters: Arc::clone(counters),
                        stop: Arc::clone(&collector.stop_datagrams),
                    };
                    collector
                        .receivers
                        .push(thread(format!("udp-{}", status.address.port()), move || {
                            receiver.run()
                        })?);
                }
                ListenerCounters::Dtls(counters) => {
                    // As many as there are listeners of it.
                    let Some(credentials) = dtls.next() else { continue };
                    let receiver = DtlsReceiver {
                        socket,
                        listener,
                        queue: Arc::clone(&shared.queue),
                        counters: Arc::clone(counters),
                        credentials,
                        names: Arc::clone(&shared.client_names),
                        limits: TcpLimits {
                            connections: shared.config.tcp_connections,
                            idle: shared.config.tcp_idle,
                        },
                        connections: Arc::clone(&connections),
                        stop: Arc::clone(&collector.stop_datagrams),
                    };
                    let name = format!("dtls-{}", status.address.port());
                    collector.receivers.push(thread(name, receiver.start()?)?);
                }
                ListenerCounters::Tcp(counters) => {
                    let _entered = runtime.enter();
                    let failed = |error| Failure::running(format!("cannot listen on {}: {error}", status.configured));
                    socket.set_nonblocking(true).map_err(failed)?;
                    let limits = TcpLimits {
                        connections: shared.config.tcp_connections,
                        idle: shared.config.tcp_idle,
                    };
                    if status.configured.transport == Transport::Sctp {
                        let receiver = SctpReceiver {
                            socket: watched(socket).map_err(failed)?,
                            listener,
                            queue: Arc::clone(&shared.queue),
                            counters: Arc::clone(counters),
                            limits,
                            connections: Arc::clone(&connections),
                            stop: stopped.clone(),
                        };
                        collector.streams.push(runtime.spawn(receiver.run()));
                        continue;
                    }
                    let receiver = TcpReceiver {
                        socket: tokio::net::TcpListener::from_std(socket.into()).map_err(failed)?,
                        listener,
                        queue: Arc::clone(&shared.queue),
                        counters: Arc::clone(counters),
                        limits,
                        tls: handshakes
                            .clone()
                            .filter(|_| status.configured.transport == Transport::Tls),
                        connections: Arc::clone(&connections),
                        stop: stopped.clone(),
                    };
                    collector.streams.push(runtime.spawn(receiver.run()));
                }
            }
        }
        // With the last receiver the relay ends.
        drop(relay);
        let journal = journal.map(|opened| opened.writer);
        if let Some(journal) = &journal {
            let stop = Arc::clone(&collector.stop_syncing);
            collector.syncing = sync_at_intervals(journal.syncer(), journal.sync_interval(), stop)?;
        }
        let journaling = Journaling::new(Arc::clone(&shared), journal);
        collector.journaling = Some(thread("journal".to_owned(), move || journaling.run())?);
        if !shared.enrich_files.is_empty() {
            let shared = Arc::clone(&shared);
            collector.watching = Some(thread("enrich-files".to_owned(), move || watch_files(&shared))?);
        }
        let indexing = Indexing::new(Arc::clone(&shared), writer, reader);
        collector.indexing = Some(thread("indexing".to_owned(), move || indexing.run())?);
        collector.alerts = Some(alerts::start(&shared)?);
        collector.http = Some(ApiServer::start(Api::new(Arc::clone(&shared)), http, &runtime)?);
        collector.runtime = Some(runtime);
        shared.ready.store(true, Ordering::Release);
        Ok(collector)
    }

    /// What its parts share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where HTTP is served.
    pub fn http_address(&self) -> SocketAddr {
        self.http.as_ref().map_or(self.shared.config.http, ApiServer::address)
    }

    /// Where the first listener of a transport is bound.
    pub fn address(&self, transport: Transport) -> Option<SocketAddr> {
        self.shared
            .listeners
            .iter()
            .find(|listener| listener.configured.transport == transport)
            .map(|listener| listener.address)
    }

    /// Reads sockets and queue empty, commits, and ends everything. Says what came and what became of it.
    pub fn stop(mut self) -> Accounts {
        self.end()
    }

    fn end(&mut self) -> Accounts {
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.store.stop_waiting();
        self.shared.ready.store(false, Ordering::Release);
        // First, so that the end of receiving is no alert.
        if let Some(alerts) = self.alerts.take() {
            alerts.end(&self.shared);
        }
        self.stop_datagrams.store(true, Ordering::Release);
        let _ = self.stop_streams.send(true);
        for receiver in self.receivers.drain(..) {
            let _ = receiver.join();
        }
        std::mem::take(&mut self.relays).end();
        if let Some(runtime) = &self.runtime {
            for stream in self.streams.drain(..) {
                let _ = runtime.block_on(stream);
            }
        }
        self.shared.queue.close();
        let journal = self
            .journaling
            .take()
            .and_then(|journaling| journaling.join().ok().flatten());
        if let Some(indexing) = self.indexing.take() {
            let _ = indexing.join();
        }
        if let Some(watching) = self.watching.take() {
            let _ = watching.join();
        }
        self.stop_syncing.store(true, Ordering::Release);
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.join();
        }
        if let Some(Err(error)) = journal.map(JournalWriter::close) {
            tracing::error!("journal: {error}");
        }
        if let Some(enricher) = self.shared.process().enricher() {
            let path = observed_names(&self.shared.config);
            if let Err(error) = enricher.save_names(&path) {
                tracing::warn!("{}", Failure::file("observed names", &path, &error));
            }
        }
        if let Some(http) = self.http.take() {
            http.stop();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        accounts(&self.shared)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if self.indexing.is_some() {
            self.end();
        }
    }
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

fn thread<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    std::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map_err(|error| Failure::running(format!("cannot start a thread: {error}")))
}

/// The built-in elements and the user's.
///
/// # Errors
/// When the user's file cannot be read or a line of it is wrong.
pub fn registry(config: &Config) -> Result<Registry, Failure> {
    let mut registry = Registry::new();
    if let Some(path) = &config.elements_file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(Failure::file("elements", path, &error).line))?;
        registry
            .load_csv(&text)
            .map_err(|error| Failure::usage(format!("elements {}: {error}", path.display())))?;
    }
    Ok(registry)
}

/// The files of enrichment.
///
/// # Errors
/// When one cannot be read, or what is in it cannot be used.
pub fn enrich_files(config: &Config) -> Result<Files, Failure> {
    Files::open(&config.enrich.geo, config.enrich.networks.as_deref()).map_err(Failure::usage)
}

/// Where observed names are kept across a restart.
fn observed_names(config: &Config) -> PathBuf {
    config.data.join("observed-names.txt")
}

/// Looks at the files of enrichment until the collector stops.
fn watch_files(shared: &Shared) {
    let mut due = Instant::now() + FILES_INTERVAL;
    while !shared.stopping.load(Ordering::Acquire) {
        std::thread::sleep(FILES_TICK);
        if Instant::now() >= due {
            shared.enrich_files.look();
            due = Instant::now() + FILES_INTERVAL;
        }
    }
}

/// The built-in equivalents and the user's.
///
/// # Errors
/// When the user's file cannot be read or something in it is wrong.
pub fn equivalents(config: &Config, registry: &Registry) -> Result<Equivalents, Failure> {
    let mut equivalents = Equivalents::default();
    if let Some(path) = &config.equivalents_file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(Failure::file("equivalents", path, &error).line))?;
        equivalents
            .load(&text, registry)
            .map_err(|error| Failure::usage(format!("equivalents {}: {error}", path.display())))?;
    }
    Ok(equivalents)
}

/// Opens the journal for this run, if there is to be one.
fn open_journal(config: &Config, sync: u32, listeners: &[String], store: &Store) -> Result<Option<Opened>, Failure> {
    if config.journal_octets == 0 {
        return Ok(None);
    }
    let directory = config.journal_directory();
    let journal = JournalConfig {
        directory: directory.clone(),
        size_octets: config.journal_octets,
        sync: config.journal_sync,
        keep: config.journal_keep,
    };
    let floor = store.journal_position().unwrap_or(0);
    JournalWriter::open(journal, sync, listeners, floor, now_ns())
        .map(Some)
        .map_err(|error| Failure::file("journal", &directory, &error))
}

/// A file that cannot be used costs the wait for templates, not the start.
fn take_up_state(shared: &Shared) -> Loaded {
    let committed = shared
        .journal
        .as_ref()
        .map(|_| shared.store.journal_position().unwrap_or(0));
    let path = shared.templates_path();
    match load_state(
        &mut shared.process(),
        now_ns(),
        &shared.listener_names,
        committed,
        &path,
    ) {
        Ok(loaded) => {
            if loaded.templates > 0 {
                tracing::info!(templates = loaded.templates, "templates of the last run taken up");
            }
            loaded
        }
        Err(failure) => {
            tracing::warn!("{failure}");
            Loaded::default()
        }
    }
}
