//! Takes frames, keeps the flow table, makes Flow Records.
//!
//! A flow is a place in two slabs; [`FlowIndex`] finds it by key, [`TimerWheel`] visits it when its timeout may have
//! passed. Places of ended flows are used again, so nothing is allocated once the table has grown to its traffic.

use flowgauge_templates::packet::{self, Fragment, Headers, LinkType, Network, Tcp, Transport};

use super::counters::MeterCounters;
use super::flow::{ColdFlow, HotFlow};
use super::index::FlowIndex;
use super::key::{KeyHasher, PackedKey};
use super::record::FlowEndReason;
use super::records::Records;
use super::sampling::{Sampler, Sampling};
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
    /// Whether TCP biflows are watched for how well their path carries them.
    pub tcp_performance: bool,
    /// Whether the packets inside of tunnels are metered rather than the outer ones.
    pub open_tunnels: bool,
    /// Whether ARP packets give Flow Records too.
    pub arp: bool,
    /// Which packets or flows are metered.
    pub sampling: Sampling,
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
            tcp_performance: true,
            open_tunnels: true,
            arp: false,
            sampling: Sampling::Everything,
            hash_seed: 0,
        }
    }
}

/// The flow table and what drives it.
#[derive(Debug)]
pub struct Meter {
    config: MeterConfig,
    hasher: KeyHasher,
    index: FlowIndex,
    hot: Vec<HotFlow>,
    cold: Vec<ColdFlow>,
    /// Places of ended flows, the latest last.
    vacant: Vec<u32>,
    wheel: TimerWheel,
    /// The newest time seen; none before the first call.
    clock_ns: Option<i64>,
    /// Whether expiry stopped early because too many records were waiting.
    lagging: bool,
    /// Where [`Meter::finish`] goes on.
    finish_at: usize,
    pending: Records,
    counters: MeterCounters,
    sampler: Sampler,
}

/// What a flow's timeout says.
enum Due {
    Later(i64),
    Cut(FlowEndReason),
    End(FlowEndReason),
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
            hot: Vec::new(),
            cold: Vec::new(),
            vacant: Vec::new(),
            wheel: TimerWheel::new(config.idle_timeout_ns),
            clock_ns: None,
            lagging: false,
            finish_at: 0,
            pending: Records::default(),
            counters: MeterCounters::default(),
            sampler: Sampler::new(config.sampling, config.hash_seed),
            config,
        }
    }

    /// Accounts for one frame, captured at `now_ns` (ns since 1970 UTC) and `wire_length` octets long before any snap
    /// length. May make Flow Records of flows that end through it or before it; take them with
    /// [`Meter::take_records`] when [`Meter::records_waiting`] says that there are enough.
    pub fn handle_frame(&mut self, now_ns: i64, link_type: LinkType, frame: &[u8], wire_length: u32, interface: u32) {
        self.counters.packets_seen += 1;
        let in_order = self.set_clock(now_ns);
        if !self.sampler.takes_packet() {
            self.counters.sampled_out += 1;
            return;
        }
        let mut headers = Headers::default();
        headers.read(link_type, frame, wire_length);
        if headers.fault.is_some() || headers.link.vlan_tags > 2 {
            self.count_fault(&headers);
        }
        let Some(network) = &headers.network else { return };
        self.counters.packets_metered += 1;
        self.counters.octets_metered += u64::from(network.octets);
        if network.fragment == Fragment::Later {
            self.counters.later_fragments += 1;
        }
        self.meter(now_ns, in_order, network, &headers, interface);
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
        true
    }

    /// Takes the Flow Records made so far, oldest first.
    pub fn take_records(&mut self) -> Records {
        std::mem::take(&mut self.pending)
    }

    /// How many [`Meter::take_records`] would give; cheap enough to ask after every frame.
    #[inline]
    pub fn records_waiting(&self) -> usize {
        self.pending.flows.len()
    }

    /// The account so far.
    pub fn counters(&self) -> &MeterCounters {
        &self.counters
    }

    #[cold]
    fn count_fault(&mut self, headers: &Headers<'_>) {
        self.counters.vlan_tags_skipped += u64::from(headers.link.vlan_tags.saturating_sub(2));
        let Some(fault) = headers.fault else { return };
        let counts = match headers.network {
            Some(_) => &mut self.counters.metered_with_fault,
            None => &mut self.counters.not_metered,
        };
        counts[fault as usize] += 1;
    }

    /// Moves the clock and ends what is due; false for a time before one seen earlier.
    #[inline(always)]
    fn set_clock(&mut self, now_ns: i64) -> bool {
        if self.clock_ns.is_some_and(|clock| now_ns < clock) {
            self.go_back(now_ns);
            return false;
        }
        let now_tick = self.wheel.tick_of(now_ns);
        if self.clock_ns.replace(now_ns).is_none() {
            self.wheel.set_tick(now_tick);
        } else if now_tick > self.wheel.tick() || self.lagging {
            self.expire(now_tick);
        }
        true
    }

    /// A frame from before the newest one is late; one from longer ago than any timeout means that time was set back,
    /// or that an older capture follows a newer one, and flows must be able to grow old again.
    #[cold]
    fn go_back(&mut self, now_ns: i64) {
        self.counters.out_of_order_frames += 1;
        let lateness = self.clock_ns.map_or(0, |clock| clock.saturating_sub(now_ns));
        if lateness > self.config.idle_timeout_ns {
            self.counters.clock_set_back += 1;
            self.clock_ns = Some(now_ns);
            let tick = self.wheel.tick_of(now_ns);
            self.wheel.set_tick(tick);
        }
    }

    /// Visits the flows whose timeout may have passed.
    fn expire(&mut self, now_tick: i64) {
        let now_ns = self.clock_ns.unwrap_or_default();
        self.lagging = false;
        loop {
            if self.pending.len() >= limits::MAX_PENDING_RECORDS {
                self.lagging = true;
                return;
            }
            let Some(place) = self.wheel.take_due(now_tick) else {
                return;
            };
            match self.due(place, now_ns) {
                Due::Later(deadline_ns) => self.wheel.insert(place, deadline_ns),
                Due::End(reason) => self.end(place, reason),
                Due::Cut(reason) => {
                    self.cut(place, reason);
                    let deadline_ns = self.idle_deadline_ns(place);
                    self.wheel.insert(place, deadline_ns);
                }
            }
        }
    }

    fn idle_deadline_ns(&self, place: u32) -> i64 {
        let flow = &self.hot[place as usize];
        let wait_ns = match flow.tcp.ended() {
            true => self.config.tcp_linger_ns.min(self.config.idle_timeout_ns),
            false => self.config.idle_timeout_ns,
        };
        flow.newest_ns().saturating_add(wait_ns)
    }

    fn due(&self, place: u32, now_ns: i64) -> Due {
        let flow = &self.hot[place as usize];
        let idle_ns = self.idle_deadline_ns(place);
        if now_ns >= idle_ns {
            return Due::End(FlowEndReason::IdleTimeout);
        }
        let active_ns = flow.start_ns.saturating_add(self.config.active_timeout_ns);
        if now_ns >= active_ns && flow.has_packets() {
            return Due::Cut(FlowEndReason::ActiveTimeout);
        }
        Due::Later(idle_ns.min(active_ns))
    }

    #[inline(always)]
    fn meter(&mut self, now_ns: i64, in_order: bool, network: &Network, headers: &Headers<'_>, interface: u32) {
        let (key, from_high) = PackedKey::of(network, headers);
        let hash = self.hasher.hash(&key);
        let hot = &self.hot;
        let found = self.index.find(hash, |place| {
            hot.get(place as usize).is_some_and(|flow| flow.key == key)
        });
        let place = match found {
            Some(place) if !self.splits(place, now_ns, from_high, headers) => place,
            _ => {
                let mut cold = ColdFlow::default();
                cold.keep_origin(headers, interface);
                self.create(now_ns, HotFlow::new(key, hash, from_high), cold)
            }
        };
        let (flow, cold) = (&mut self.hot[place as usize], &mut self.cold[place as usize]);
        let direction = usize::from(flow.from_high != from_high);
        flow.count(cold, now_ns, in_order, direction, network, headers);
        if let Transport::Tcp(tcp) = &headers.transport {
            flow.tcp_flags[direction] |= tcp.flags.0;
            if flow.tcp.concerned_by(tcp.flags)
                && cold
                    .connection
                    .follow(&mut flow.tcp, tcp, direction, headers.payload_octets, now_ns)
            {
                self.linger(place);
            }
        }
    }

    /// Ends the record that a packet can no longer join; true when the whole flow ended and a new one begins.
    #[inline(always)]
    fn splits(&mut self, place: u32, now_ns: i64, from_high: bool, headers: &Headers<'_>) -> bool {
        let flow = &self.hot[place as usize];
        if let Transport::Tcp(tcp) = &headers.transport
            && self.reopens(place, tcp, usize::from(flow.from_high != from_high))
        {
            self.end(place, FlowEndReason::EndOfFlow);
            return true;
        }
        let flow = &self.hot[place as usize];
        // Wrapping: times are within what 64 bits of ns hold, and a late packet gives a negative number.
        if now_ns.wrapping_sub(flow.newest_ns()) >= self.config.idle_timeout_ns {
            self.end(place, FlowEndReason::IdleTimeout);
            return true;
        }
        let age_ns = now_ns.saturating_sub(flow.start_ns);
        if age_ns >= self.config.active_timeout_ns {
            self.cut(place, FlowEndReason::ActiveTimeout);
        } else if age_ns <= -self.config.idle_timeout_ns && flow.has_packets() {
            // Time was set back, or an older capture follows: the packet is as far from the flow as one too late is.
            self.end(place, FlowEndReason::IdleTimeout);
            return true;
        }
        false
    }

    #[inline(always)]
    fn reopens(&self, place: u32, tcp: &Tcp<'_>, direction: usize) -> bool {
        tcp.flags.any(packet::TcpFlags::SYN) && {
            let state = self.hot[place as usize].tcp;
            self.cold[place as usize]
                .connection
                .is_succeeded_by(state, tcp, direction)
        }
    }

    /// Finds a place for a new flow, if need be by ending another one.
    fn create(&mut self, now_ns: i64, flow: HotFlow, cold: ColdFlow) -> u32 {
        if self.counters.flows_active as usize >= self.config.max_flows {
            self.evict(now_ns);
        }
        let hash = flow.hash;
        let place = match self.vacant.pop() {
            Some(place) => {
                self.hot[place as usize] = flow;
                self.cold[place as usize] = cold;
                place
            }
            None => {
                self.hot.push(flow);
                self.cold.push(cold);
                (self.hot.len() - 1) as u32
            }
        };
        self.index.insert(hash, place);
        self.wheel.insert(
            place,
            now_ns.saturating_add(self.config.idle_timeout_ns.min(self.config.active_timeout_ns)),
        );
        self.counters.flows_created += 1;
        self.counters.flows_active += 1;
        place
    }

    /// Ends the flow that has been idle longest, as far as a bounded number of visits tells: the soonest slot of the
    /// wheel holds those whose packets are oldest, once flows that packets have moved on are put back.
    #[cold]
    fn evict(&mut self, now_ns: i64) {
        let mut oldest: Option<u32> = None;
        for _ in 0..limits::EVICTION_VISITS {
            let Some((place, tick)) = self.wheel.take_soonest() else {
                break;
            };
            // Not moved on by packets since it was put there, so none is older.
            let settled = self.wheel.tick_of(self.idle_deadline_ns(place)) <= tick;
            let newest_ns = |place: u32| self.hot[place as usize].newest_ns();
            let other = match oldest {
                Some(kept) if newest_ns(kept) <= newest_ns(place) => Some(place),
                _ => oldest.replace(place),
            };
            if let Some(other) = other {
                let deadline_ns = match self.due(other, now_ns) {
                    Due::Later(deadline_ns) => deadline_ns,
                    Due::Cut(_) | Due::End(_) => now_ns,
                };
                self.wheel.insert(other, deadline_ns);
            }
            if settled {
                break;
            }
        }
        if let Some(place) = oldest {
            self.counters.flows_evicted += 1;
            self.end(place, FlowEndReason::LackOfResources);
        }
    }

    /// Moves the visit of a connection that ended to where its linger time ends.
    fn linger(&mut self, place: u32) {
        self.wheel.remove(place);
        let deadline_ns = self.idle_deadline_ns(place);
        self.wheel.insert(place, deadline_ns);
    }

    /// Makes the record of what a flow counted so far; the flow goes on.
    fn cut(&mut self, place: u32, reason: FlowEndReason) {
        let flow = &mut self.hot[place as usize];
        if !flow.has_packets() {
            return;
        }
        self.pending
            .flows
            .push(flow.cut(&mut self.cold[place as usize], reason));
        self.counters.records[reason as usize - 1] += 1;
    }

    /// Takes a flow out of the table, with a record if it counted anything since the last one.
    fn end(&mut self, place: u32, reason: FlowEndReason) {
        let ended = self.hot[place as usize].tcp.ended();
        self.cut(place, if ended { FlowEndReason::EndOfFlow } else { reason });
        let flow = &mut self.hot[place as usize];
        let hash = flow.hash;
        flow.vacate();
        self.index.remove(hash, place);
        self.wheel.remove(place);
        self.vacant.push(place);
        self.counters.flows_active -= 1;
    }
}
