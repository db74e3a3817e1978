//! Keeps the flow table and hands out its Flow Records.
//!
//! A flow is a place in two slabs; [`FlowIndex`] finds it by key, [`TimerWheel`] visits it when its timeout may have
//! passed. Places of ended flows are used again, the latest first, as it is still in the caches. What packets do to the
//! table is in [`super::packets`], what time does in [`super::expiry`].

use super::application::{ApplicationConfig, ApplicationCounters, Applications, ProtocolSet};
use super::counters::MeterCounters;
use super::dns::{Dns, DnsConfig, DnsCounters};
use super::facts::Facts;
use super::flow::{ColdFlow, HotFlow};
use super::folding::Flood;
use super::fragments::Fragments;
use super::index::FlowIndex;
use super::key::KeyHasher;
use super::labels::Labels;
use super::record::FlowEndReason;
use super::records::Records;
use super::sampling::{Sampler, Sampling};
use super::slab::Slab;
use super::tcp::{TcpConfig, TcpCounters, TcpTrackers};
use super::tunnel::Tunnels;
use super::twice::SeenTwice;
use super::wheel::TimerWheel;
use crate::limits;

/// How flows are cut and how many are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct MeterConfig {
    /// A biflow without a packet for this long ends, ns.
    pub idle_timeout_ns: i64,
    /// A biflow that lasts this long gives a record and goes on, ns.
    pub active_timeout_ns: i64,
    /// A TCP biflow that ended stays for this long behind its last packet, so that what trails joins it, ns.
    pub tcp_linger_ns: i64,
    /// Biflows kept at most.
    pub max_flows: usize,
    /// Whether new flows are folded into Aggregated Flows while a flood of single packets fills the table.
    pub folding: bool,
    /// Whether TCP biflows are watched for how well their path carries them.
    pub tcp_performance: bool,
    /// What is looked for in payload.
    pub applications: ApplicationConfig,
    /// How DNS transactions are made.
    pub dns: DnsConfig,
    /// Whether the packets inside of tunnels are metered rather than the outer ones.
    pub open_tunnels: bool,
    /// Whether ARP packets give Flow Records too.
    pub arp: bool,
    /// Which packets or flows are metered.
    pub sampling: Sampling,
    /// Whether a packet that is seen on several interfaces is metered only once.
    pub one_packet_once: bool,
    /// Seed of the hash of flow keys; a secret random number keeps others from aiming at one bucket.
    pub hash_seed: u64,
}

impl Default for MeterConfig {
    fn default() -> MeterConfig {
        MeterConfig {
            idle_timeout_ns: 15_000_000_000,
            active_timeout_ns: 60_000_000_000,
            tcp_linger_ns: 2_000_000_000,
            max_flows: limits::DEFAULT_MAX_FLOWS,
            folding: true,
            tcp_performance: true,
            applications: ApplicationConfig::default(),
            dns: DnsConfig::default(),
            open_tunnels: true,
            arp: false,
            sampling: Sampling::Everything,
            one_packet_once: false,
            hash_seed: 0,
        }
    }
}

impl MeterConfig {
    /// Octets that the table takes when it is full, for what finds and keeps flows: 256 of a flow, an entry in the
    /// plan of timeouts (64 octets for 7), and 8 octets a bucket of an index that is between a third and two thirds full.
    /// What some flows have beside that (TCP performance, applications, tunnels) comes on top.
    pub fn table_octets(&self) -> usize {
        let flows = self.max_flows.clamp(1, limits::MAX_MAX_FLOWS);
        let flow = size_of::<HotFlow>() + size_of::<ColdFlow>();
        flows * flow + FlowIndex::octets_for(flows) + TimerWheel::octets_for(flows)
    }
}

/// The flow table and what drives it.
#[derive(Debug)]
pub struct Meter {
    pub(super) config: MeterConfig,
    pub(super) hasher: KeyHasher,
    pub(super) index: FlowIndex,
    pub(super) hot: Slab<HotFlow>,
    pub(super) cold: Slab<ColdFlow>,
    /// Places of ended flows, the latest last.
    pub(super) vacant: Vec<u32>,
    pub(super) wheel: TimerWheel,
    /// Hashes that flows began with since the group of packets under way was looked at, one bit for a 64th of all.
    pub(super) newcomers: u64,
    /// Planned visits at most, those that are meant no more included.
    pub(super) most_entries: usize,
    pub(super) fragments: Fragments,
    pub(super) flood: Flood,
    pub(super) tunnels: Tunnels,
    pub(super) labels: Labels,
    pub(super) trackers: TcpTrackers,
    pub(super) applications: Applications,
    /// Whether any application is looked for.
    pub(super) inspects: bool,
    pub(super) dns: Dns,
    /// When open DNS transactions are looked at next, ns.
    pub(super) dns_due_ns: i64,
    /// The newest time seen; none before the first call.
    pub(super) clock_ns: Option<i64>,
    /// Whether expiry stopped early because too many records were waiting.
    pub(super) lagging: bool,
    /// Where [`Meter::finish`] goes on.
    finish_at: usize,
    pub(super) pending: Records,
    /// Lists to fill next.
    spare: Records,
    pub(super) counters: MeterCounters,
    pub(super) sampler: Sampler,
    /// Packets for summaries, where somebody makes them.
    pub(super) facts: Option<Facts>,
    /// Packets that may come again on another interface.
    pub(super) seen: Option<SeenTwice>,
}

impl Meter {
    /// An empty table. Memory grows with the flows, up to `config.max_flows`.
    pub fn new(config: MeterConfig) -> Meter {
        let config = MeterConfig {
            max_flows: config.max_flows.clamp(1, limits::MAX_MAX_FLOWS),
            ..config
        };
        Meter {
            hasher: KeyHasher::new(config.hash_seed),
            index: FlowIndex::new(),
            hot: Slab::new(config.max_flows),
            cold: Slab::new(config.max_flows),
            vacant: Vec::new(),
            wheel: TimerWheel::new(config.idle_timeout_ns),
            newcomers: 0,
            most_entries: config.max_flows * 2 + limits::SPARE_VISITS,
            fragments: Fragments::new((config.max_flows / 64).clamp(64, limits::MAX_DATAGRAMS)),
            flood: Flood::new(config.max_flows, config.folding),
            tunnels: Tunnels::default(),
            labels: Labels::default(),
            trackers: TcpTrackers::new(TcpConfig {
                enabled: config.tcp_performance,
                ..TcpConfig::default()
            }),
            inspects: config.applications.enabled != ProtocolSet::NONE,
            applications: Applications::new(config.applications.clone()),
            dns: Dns::new(config.dns.clone()),
            dns_due_ns: i64::MIN,
            clock_ns: None,
            lagging: false,
            finish_at: 0,
            pending: Records::default(),
            spare: Records::default(),
            counters: MeterCounters::default(),
            facts: None,
            sampler: Sampler::new(config.sampling, config.hash_seed),
            seen: config.one_packet_once.then(|| SeenTwice::new(config.hash_seed)),
            config,
        }
    }

    /// Ends the flows whose timeout has passed at `now_ns`; for live capture, where time goes on without packets.
    pub fn handle_timeout(&mut self, now_ns: i64) {
        if self.clock_ns.is_some_and(|clock| clock <= now_ns) {
            self.set_clock(now_ns);
        }
    }

    /// Ends all flows for `reason`, as a rule [`FlowEndReason::ForcedEnd`]; TCP biflows that ended give
    /// [`FlowEndReason::EndOfFlow`]. Makes at most [`limits::MAX_PENDING_RECORDS`] at a time: returns true when the
    /// table is empty, false when [`Meter::take_records`] must be called and this called again.
    #[must_use]
    pub fn finish(&mut self, reason: FlowEndReason) -> bool {
        self.finish_fragments();
        if !self.dns.finish(&mut self.pending) {
            return false;
        }
        while self.counters.flows_active > 0 {
            if self.pending.len() >= limits::MAX_PENDING_RECORDS {
                return false;
            }
            let at = self.finish_at;
            if at >= self.hot.len() {
                self.finish_at = 0;
                continue;
            }
            self.finish_at += 1;
            if self.hot.get(at).is_some_and(HotFlow::is_live) {
                self.end(at as u32, reason);
            }
        }
        self.finish_at = 0;
        self.finish_folds(reason)
    }

    /// Takes the Flow Records made so far, oldest first.
    pub fn take_records(&mut self) -> Records {
        let mut next = std::mem::take(&mut self.spare);
        // A list that grows as it fills is copied several times.
        next.flows.reserve_exact(self.pending.flows.len());
        std::mem::replace(&mut self.pending, next)
    }

    /// Takes back the lists of records that are dealt with, so that the next ones need no new memory.
    pub fn recycle(&mut self, mut records: Records) {
        if records.flows.capacity() <= limits::MAX_RECYCLED_RECORDS
            && records.dns.capacity() <= limits::MAX_RECYCLED_RECORDS
            && records.octets.capacity() <= limits::MAX_RECYCLED_OCTETS
        {
            records.clear();
            self.spare = records;
        }
    }

    /// What [`Meter::take_records`] would give.
    #[inline]
    pub fn records(&self) -> &Records {
        &self.pending
    }

    /// Forgets the DNS transactions made so far, for those who only count them. Their names stay until the other records
    /// are taken.
    pub fn discard_transactions(&mut self) {
        self.pending.dns.clear();
        self.pending.dns_answers.clear();
        if self.pending.flows.is_empty() {
            self.pending.clear();
        }
    }

    /// How many [`Meter::take_records`] would give; cheap enough to ask after every frame.
    #[inline]
    pub fn records_waiting(&self) -> usize {
        self.pending.len()
    }

    /// Decides which packets and flows are metered.
    pub fn sampler_mut(&mut self) -> &mut Sampler {
        &mut self.sampler
    }

    /// Has every metered packet kept from now on, until [`Meter::facts_mut`] gives it out.
    pub fn keep_facts(&mut self) {
        self.facts = Some(Facts::default());
    }

    /// Packets metered, where they are kept; to be taken after each group of frames.
    #[inline]
    pub fn facts_mut(&mut self) -> Option<&mut Facts> {
        self.facts.as_mut()
    }

    /// Octets of memory that the table takes now.
    pub fn octets(&self) -> usize {
        let flow = size_of::<HotFlow>() + size_of::<ColdFlow>();
        self.hot.len() * flow
            + self.vacant.capacity() * size_of::<u32>()
            + self.index.octets()
            + self.wheel.octets()
            + self.fragments.octets()
            + self.flood.octets()
            + self.tunnels.octets()
            + self.labels.octets()
    }

    /// The account so far.
    pub fn counters(&self) -> &MeterCounters {
        &self.counters
    }

    /// The account of DNS messages and transactions.
    pub fn dns_counters(&self) -> DnsCounters {
        self.dns.counters()
    }

    /// The account of TCP connections followed for performance.
    pub fn tcp_counters(&self) -> TcpCounters {
        self.trackers.counters()
    }

    /// The account of what was recognised in payload.
    pub fn application_counters(&self) -> ApplicationCounters {
        self.applications.counters()
    }
}
