//! Datagrams and Messages in, rows out: finds the session, decodes, normalises, and keeps the ledger.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use flowgauge_ie_registry::Registry;
use flowgauge_templates::ipfix::Template;
use flowgauge_templates::management::{
    CollectingConfig, CollectingSession, MessageHeader, PendingCounters, TransportKind, Version,
};
use foldhash::{HashMap, HashMapExt as _};

use super::exporters::{Admission, ExporterRules, Exporters};
use super::handling::Handling;
use super::ledger::{Account, AccountKey, Ledger, Totals};
use super::options::OptionsData;
use super::repeated::RecordsSeen;
use super::session::{Session, SessionKey, SessionScope};
use super::sflow::{self, CounterSources, SflowAgents, SflowHandling};
use crate::enrich::{EnrichCounters, Enricher};
use crate::io::input::{Protocol, protocol_of};
use crate::io::listener::Transport;
use crate::limits::{SESSION_IDLE_S, SESSIONS, SESSIONS_PER_EVICTION};
use crate::normalize::facts::{ExporterFacts, Statistics};
use crate::normalize::row::Row;
use crate::normalize::{Equivalents, NormalizingCounters};
use crate::summaries::SharedSummaries;

const NS_PER_S: i64 = 1_000_000_000;

/// How the Collecting Process behaves.
#[derive(Clone, Debug, Default)]
pub struct ProcessConfig {
    /// Lifetimes of templates and of Sets that wait for one.
    pub collecting: CollectingConfig,
    /// The transport of each listener, by its place in the configuration.
    pub listeners: Vec<Transport>,
    /// Elements of others that mean what columns mean.
    pub equivalents: Arc<Equivalents>,
    /// Where summaries go; without, they are counted only.
    pub summaries: Option<SharedSummaries>,
    /// What the user says about exporters.
    pub exporters: ExporterRules,
}

/// What has been done beside what the ledger says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessCounters {
    /// Sessions given up because there were too many.
    pub sessions_evicted: u64,
    /// Sessions given up because they were silent for too long.
    pub sessions_idle: u64,
    /// Streams that ended.
    pub sessions_closed: u64,
    /// Templates taken up from an earlier run.
    pub templates_loaded: u64,
    /// What normalising could not take as it was.
    pub normalizing: NormalizingCounters,
    /// Spools of exporters forgotten because there were too many: what one of them sends again is stored again.
    pub record_numberers_forgotten: u64,
    /// Names and rates of options records left out because there were too many.
    pub options_overflowed: u64,
    /// sFlow counter samples whose growth is not known because there are too many sources.
    pub counter_sources_overflowed: u64,
    /// sFlow counters that began anew.
    pub counter_resets: u64,
}

/// A template in force, and whose it is.
#[derive(Clone, Debug)]
pub struct TemplateOf {
    /// The session.
    pub session: SessionKey,
    /// What it speaks.
    pub protocol: Protocol,
    /// How the session came.
    pub transport: Transport,
    /// Observation Domain.
    pub domain: u32,
    /// The template.
    pub template: Arc<Template>,
}

/// The Collecting Process.
#[derive(Debug)]
pub struct CollectingProcess {
    config: ProcessConfig,
    registry: Registry,
    pub(super) sessions: HashMap<SessionScope, Session>,
    ledger: Ledger,
    pub(super) options: OptionsData,
    pub(super) seen: RecordsSeen,
    agents: SflowAgents,
    sources: CounterSources,
    exporters: Exporters,
    enricher: Option<Box<Enricher>>,
    counters: ProcessCounters,
}

impl CollectingProcess {
    /// A process that has heard of nobody yet. `registry` may hold a user's own elements.
    pub fn new(config: ProcessConfig, registry: Registry) -> CollectingProcess {
        CollectingProcess {
            exporters: Exporters::new(config.exporters.clone()),
            config,
            registry,
            sessions: HashMap::new(),
            ledger: Ledger::default(),
            options: OptionsData::default(),
            seen: RecordsSeen::default(),
            agents: SflowAgents::default(),
            sources: CounterSources::default(),
            enricher: None,
            counters: ProcessCounters::default(),
        }
    }

    /// Has rows enriched from now on.
    pub fn set_enricher(&mut self, enricher: Enricher) {
        self.enricher = Some(Box::new(enricher));
    }

    /// What enriches rows, if anything does.
    pub fn enricher(&self) -> Option<&Enricher> {
        self.enricher.as_deref()
    }

    /// See [`CollectingProcess::enricher`].
    pub fn enricher_mut(&mut self) -> Option<&mut Enricher> {
        self.enricher.as_deref_mut()
    }

    /// What enriching did.
    pub fn enrich_counters(&self) -> EnrichCounters {
        self.enricher
            .as_ref()
            .map(|enricher| enricher.counters())
            .unwrap_or_default()
    }

    /// Takes one datagram, or one Message of a stream, and appends a row for each flow record in it.
    ///
    /// The protocol is told by the version word at the front alone, so that one port takes them all.
    pub fn handle(&mut self, now_ns: i64, key: SessionKey, bytes: &[u8], rows: &mut Vec<Row>) {
        let (key, stream) = key.split();
        if let Some(enricher) = &mut self.enricher {
            enricher.take_up_files();
        }
        let protocol = protocol_of(bytes);
        let Some(exporter) = self.admit(now_ns, key, protocol, bytes) else {
            return;
        };
        let exporter = exporter.as_deref();
        let mut message = |version| self.message(now_ns, (key, stream, exporter), version, bytes, rows);
        match protocol {
            Some(Protocol::Ipfix) => message(Version::Ipfix),
            Some(Protocol::Netflow9) => message(Version::Netflow9),
            Some(Protocol::Netflow7) => message(Version::Netflow7),
            Some(Protocol::Netflow5) => message(Version::Netflow5),
            Some(Protocol::Sflow5) => self.sflow(now_ns, (key, exporter), bytes, rows),
            Some(Protocol::Unknown) | None => {
                self.open_account(now_ns, key, Protocol::Unknown, 0, bytes)
                    .unsupported_version += 1;
            }
        }
    }

    /// What the user says about the exporter of a datagram; `None` when it is refused, and counted so.
    fn admit(
        &mut self,
        now_ns: i64,
        key: SessionKey,
        protocol: Option<Protocol>,
        bytes: &[u8],
    ) -> Option<Option<Arc<ExporterFacts>>> {
        let transport = self.transport(key.listener);
        let is_datagram = matches!(transport, Transport::Udp | Transport::Dtls);
        let address = key.peer.ip();
        let admission = self.exporters.admit(now_ns, address, is_datagram);
        let protocol = protocol.unwrap_or(Protocol::Unknown);
        let account = match admission {
            Admission::Taken(exporter) => return Some(exporter),
            // Who is not allowed gets no account: spoofed senders would take all there are.
            Admission::NotAllowed => {
                let account = self.ledger.common_account(protocol, now_ns);
                account.not_allowed += 1;
                account
            }
            Admission::TooMany => {
                let domain = self.exporters.facts(address).and_then(|facts| facts.domain);
                let of = AccountKey {
                    address,
                    protocol,
                    domain: domain.unwrap_or(0),
                };
                let account = self.ledger.account(of, now_ns);
                account.rate_limited += 1;
                account
            }
        };
        account.transport = Some(transport);
        account.datagrams += 1;
        account.octets += bytes.len() as u64;
        None
    }

    /// What the user says about an exporter, if anything.
    pub fn exporter_facts(&self, address: IpAddr) -> Option<ExporterFacts> {
        self.exporters.facts(address)
    }

    /// Counters that an exporter told about itself in a domain, and when (nanoseconds).
    pub fn statistics(&self, address: IpAddr, domain: u32) -> Option<Statistics<'_>> {
        self.options.statistics(address, domain)
    }

    /// The account of a datagram, which is counted in it.
    fn open_account(
        &mut self,
        now_ns: i64,
        key: SessionKey,
        protocol: Protocol,
        domain: u32,
        bytes: &[u8],
    ) -> &mut Account {
        let transport = self.transport(key.listener);
        let address = key.peer.ip();
        let of = AccountKey {
            address,
            protocol,
            domain,
        };
        let account = self.ledger.account(of, now_ns);
        account.transport = Some(transport);
        account.datagrams += 1;
        account.octets += bytes.len() as u64;
        account
    }

    fn sflow(
        &mut self,
        now_ns: i64,
        (key, exporter): (SessionKey, Option<&ExporterFacts>),
        bytes: &[u8],
        rows: &mut Vec<Row>,
    ) {
        let by_user = exporter.and_then(|exporter| exporter.domain);
        let (address, domain) = (key.peer.ip(), by_user.unwrap_or_else(|| sflow::domain_of(bytes)));
        self.open_account(now_ns, key, Protocol::Sflow5, domain, bytes);
        let of = AccountKey {
            address,
            protocol: Protocol::Sflow5,
            domain,
        };
        let mut handling = SflowHandling {
            now_ns,
            address,
            domain,
            exporter,
            account: self.ledger.account(of, now_ns),
            agents: &mut self.agents,
            sources: &mut self.sources,
            options: &mut self.options,
            enricher: self.enricher.as_deref_mut(),
            counters: &mut self.counters.normalizing,
            rows,
        };
        // A panic is our bug, never bad input. It costs the rest of this datagram, counted, and nobody else's.
        if catch_unwind(AssertUnwindSafe(|| handling.datagram(bytes))).is_err() {
            handling.account.internal_faults += 1;
        }
    }

    /// A Message of IPFIX or NetFlow.
    fn message(
        &mut self,
        now_ns: i64,
        (key, stream, exporter): (SessionKey, u16, Option<&ExporterFacts>),
        version: Version,
        bytes: &[u8],
        rows: &mut Vec<Row>,
    ) {
        let (address, protocol) = (key.peer.ip(), Protocol::from(version));
        let transport = self.transport(key.listener);
        let header = MessageHeader::parse(bytes);
        let sent_domain = header.map_or(0, |header| header.domain);
        let domain = exporter.and_then(|exporter| exporter.domain).unwrap_or(sent_domain);
        let account = self.open_account(now_ns, key, protocol, domain, bytes);
        if let Err(error) = header {
            account.refused += 1;
            account.errors.count(error.kind);
            return;
        }
        let scope = (version, key);
        if !self.sessions.contains_key(&scope) {
            self.make_room();
            let kind = transport_kind(transport);
            let collecting = CollectingSession::of_version(version, kind, self.config.collecting);
            self.sessions.insert(scope, Session::new(collecting, now_ns));
        }
        let Some(session) = self.sessions.get_mut(&scope) else {
            return;
        };
        // Making room may have closed sessions of the same account.
        let account = self.ledger.account(
            AccountKey {
                address,
                protocol,
                domain,
            },
            now_ns,
        );
        session.last_seen_ns = now_ns;
        session.domain = domain;
        let Session {
            collecting,
            plans,
            sequences,
            pending,
            ..
        } = session;
        let mut handling = Handling {
            now_ns,
            address,
            exporter,
            account,
            plans,
            options: &mut self.options,
            seen: (key.connection != 0).then_some(&mut self.seen),
            equivalents: &self.config.equivalents,
            summaries: self.config.summaries.as_deref(),
            enricher: self.enricher.as_deref_mut(),
            peer: key.peer,
            counters: &mut self.counters.normalizing,
            rows,
            judged: false,
        };
        let registry = &mut self.registry;
        // A panic is our bug, never bad input. It costs the rest of this Message, counted, and nobody else's.
        let result = catch_unwind(AssertUnwindSafe(|| {
            collecting.handle_message_on(now_ns, stream, bytes, registry, &mut |event| handling.event(event))
        }));
        let judged = handling.judged;
        let account = handling.account;
        match result {
            Ok(Ok(())) => account.messages += 1,
            Ok(Err(error)) => {
                account.refused += 1;
                account.errors.count(error.kind);
            }
            Err(_) => account.internal_faults += 1,
        }
        if judged && let Some((_, now)) = collecting.sequences().find(|(of, _)| *of == sent_domain) {
            let before = sequences.entry(sent_domain).or_default();
            account.sequence.grow(before, &now);
            *before = now;
        }
        take_over_pending(collecting, pending, account);
    }

    /// A stream ended: so does its session.
    pub fn handle_closed(&mut self, listener: u16, connection: u64) {
        // Streams are few beside sessions of datagrams, and end rarely.
        let ended = self
            .sessions
            .keys()
            .find(|(_, key)| key.listener == listener && key.connection == connection)
            .copied();
        if let Some(key) = ended {
            self.counters.sessions_closed += 1;
            self.end(&key);
        }
    }

    /// Lets time pass: templates and waiting Sets grow old, silent sessions end.
    pub fn handle_timeout(&mut self, now_ns: i64) {
        self.sources.handle_timeout(now_ns);
        self.exporters.handle_timeout(now_ns);
        let mut idle = Vec::new();
        for (key, session) in &mut self.sessions {
            session.collecting.handle_timeout(now_ns);
            let account_key = account_key(key, session);
            if session.collecting.pending_counters() != session.pending {
                let account = self.ledger.account(account_key, session.last_seen_ns);
                take_over_pending(&session.collecting, &mut session.pending, account);
            }
            if key.1.connection == 0 && now_ns.saturating_sub(session.last_seen_ns) > SESSION_IDLE_S * NS_PER_S {
                idle.push(*key);
            }
        }
        self.counters.sessions_idle += idle.len() as u64;
        idle.iter().for_each(|key| self.end(key));
    }

    /// What came from whom.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The ledger's sums.
    pub fn totals(&self) -> Totals {
        self.ledger.totals(
            self.sessions
                .values()
                .map(|session| session.collecting.pending_sets() as u64)
                .sum(),
        )
    }

    /// What has been done beside.
    pub fn counters(&self) -> ProcessCounters {
        ProcessCounters {
            record_numberers_forgotten: self.seen.forgotten,
            options_overflowed: self.options.overflowed(),
            counter_sources_overflowed: self.sources.overflowed,
            counter_resets: self.sources.resets,
            ..self.counters
        }
    }

    /// Names and types: built in, the user's, and those learned from exporters (RFC 5610).
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes up a user's own elements anew.
    ///
    /// # Errors
    /// As [`Registry::load_csv`].
    pub fn load_elements(&mut self, text: &str) -> Result<usize, flowgauge_ie_registry::CsvError> {
        self.registry.load_csv(text)
    }

    /// Sessions open now.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Every template in force.
    pub fn templates(&self) -> impl Iterator<Item = TemplateOf> + '_ {
        self.sessions.iter().flat_map(move |((version, key), session)| {
            let (transport, protocol) = (self.transport(key.listener), Protocol::from(*version));
            session
                .collecting
                .templates()
                .map(move |(domain, template)| TemplateOf {
                    session: *key,
                    protocol,
                    transport,
                    domain,
                    template: Arc::clone(template),
                })
        })
    }

    /// The transport of a listener.
    pub fn transport(&self, listener: u16) -> Transport {
        self.config
            .listeners
            .get(usize::from(listener))
            .copied()
            .unwrap_or(Transport::Udp)
    }

    /// Opens a session with templates and waiting Sets that an earlier run saved; says how many templates were taken up.
    pub(super) fn open_saved(
        &mut self,
        now_ns: i64,
        key: SessionKey,
        version: Version,
        saved: &flowgauge_templates::management::SavedTemplates,
    ) -> usize {
        let scope = (version, key);
        if self.sessions.len() >= SESSIONS || self.sessions.contains_key(&scope) {
            return 0;
        }
        let kind = transport_kind(self.transport(key.listener));
        let mut collecting = CollectingSession::of_version(version, kind, self.config.collecting);
        let loaded = collecting.load(saved, &self.registry);
        // Templates that grew too old while nobody listened end at once.
        collecting.handle_timeout(now_ns);
        self.counters.templates_loaded += loaded as u64;
        let mut session = Session::new(collecting, now_ns);
        session.domain = saved.pending.last().map_or(0, |set| set.header.domain);
        if session.collecting.pending_counters() != session.pending {
            let account = self.ledger.account(account_key(&scope, &session), now_ns);
            take_over_pending(&session.collecting, &mut session.pending, account);
        }
        if loaded > 0 || session.collecting.pending_sets() > 0 {
            self.sessions.insert(scope, session);
        }
        loaded
    }

    /// Begins the accounts anew, with what waits: what was decoded so far was on those of an earlier run.
    pub fn begin_accounts(&mut self) {
        self.ledger = Ledger::default();
        if let Some(summaries) = &self.config.summaries {
            summaries.begin_accounts();
        }
        for (scope, session) in &mut self.sessions {
            let waiting = session.collecting.pending_sets() as u64;
            if waiting > 0 {
                let account = self.ledger.account(account_key(scope, session), session.last_seen_ns);
                account.sets_waited += waiting;
            }
        }
        self.counters = ProcessCounters {
            templates_loaded: self.counters.templates_loaded,
            ..ProcessCounters::default()
        };
    }

    /// Every stream of before has ended, with the collector that read it.
    pub fn handle_began(&mut self) {
        let streams: Vec<SessionScope> = self
            .sessions
            .keys()
            .filter(|(_, key)| key.connection != 0)
            .copied()
            .collect();
        self.counters.sessions_closed += streams.len() as u64;
        streams.iter().for_each(|key| self.end(key));
    }

    /// Gives up UDP sessions when there are too many: those without templates first, then those silent longest, so that
    /// a flood of new senders costs the flood and not the exporters that were there.
    fn make_room(&mut self) {
        if self.sessions.len() < SESSIONS {
            return;
        }
        let mut candidates: Vec<(bool, i64, SessionScope)> = self
            .sessions
            .iter()
            .filter(|((_, key), _)| key.connection == 0)
            .map(|(key, session)| {
                (
                    session.collecting.templates().next().is_some(),
                    session.last_seen_ns,
                    *key,
                )
            })
            .collect();
        let count = SESSIONS_PER_EVICTION.min(candidates.len());
        if count > 0 && count < candidates.len() {
            candidates.select_nth_unstable_by_key(count, |(has_templates, last_seen_ns, _)| {
                (*has_templates, *last_seen_ns)
            });
        }
        candidates.truncate(count);
        self.counters.sessions_evicted += count as u64;
        candidates.iter().for_each(|(_, _, key)| self.end(key));
    }

    fn end(&mut self, scope: &SessionScope) {
        let Some(mut session) = self.sessions.remove(scope) else {
            return;
        };
        let abandoned = session.collecting.pending_sets() as u64;
        let account = self.ledger.account(account_key(scope, &session), session.last_seen_ns);
        take_over_pending(&session.collecting, &mut session.pending, account);
        account.sets_abandoned += abandoned;
    }
}

fn account_key((version, key): &SessionScope, session: &Session) -> AccountKey {
    AccountKey {
        address: key.peer.ip(),
        protocol: Protocol::from(*version),
        domain: session.domain,
    }
}

fn transport_kind(transport: Transport) -> TransportKind {
    match transport {
        // Within DTLS it is still UDP: what comes late, twice or not at all is so for the same reasons.
        Transport::Udp | Transport::Dtls => TransportKind::Udp,
        Transport::Tcp | Transport::Tls => TransportKind::Tcp,
        Transport::Sctp => TransportKind::Sctp,
    }
}

/// Adds to the account what became of waiting Sets since it was last asked.
fn take_over_pending(collecting: &CollectingSession, before: &mut PendingCounters, account: &mut Account) {
    let now = collecting.pending_counters();
    account.sets_waited += now.waited_sets - before.waited_sets;
    account.sets_replayed += now.replayed_sets - before.replayed_sets;
    account.sets_overflowed += now.overflowed_sets - before.overflowed_sets;
    account.sets_expired += now.expired_sets - before.expired_sets;
    *before = now;
}
