//! What packets do to the flow table: each finds its biflow or begins one, and is counted there.
//!
//! Frames come in groups. All of a group are parsed and their places in memory asked for before the first one is
//! counted, so that waiting for memory overlaps; the order of what they do to the table stays that of the capture.

use flowgauge_templates::packet::{self, Arp, Fragment, Headers, LinkType, Network, Tcp, Transport};

use super::application::{Carrier, Payload};
use super::dns::DnsPacket;
use super::facts::PacketFacts;
use super::flow::{ColdFlow, Counts, HotFlow};
use super::key::{KeyHasher, PackedKey};
use super::meter::Meter;
use super::prefetch::prefetch;
use super::record::FlowEndReason;
use super::tcp::{TcpPacket, TcpState, TrackerPlace};
use super::tunnel::TunnelRecord;
use crate::capture::{Frame, Frames};
use crate::limits;

/// Packets looked at together. 8 hide most of the waiting, 32 begin to push one another out of the first cache.
const GROUP: usize = 16;

/// A frame that was parsed and waits for its turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ahead<'a> {
    pub headers: Headers<'a>,
    pub key: PackedKey,
    pub time_ns: i64,
    pub interface: u32,
    pub hash: u32,
    /// Where the flow most probably is; [`NO_PLACE`] when it has none, or that was not looked for.
    likely: u32,
    /// No flow had its hash when the group was looked at.
    is_new: bool,
    pub from_high: bool,
    outcome: Outcome,
}

const NO_PLACE: u32 = u32::MAX;

/// The bit of a hash in the set of those that flows of a group began with; others may have the same.
#[inline(always)]
fn newcomer(hash: u32) -> u64 {
    1 << (hash >> 26)
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Outcome {
    /// It has no packet that can be metered; its headers say why.
    #[default]
    NotMetered,
    /// Sampling left it out.
    SampledOut,
    /// Sampling left its flow out.
    FlowLeftOut,
    /// Its packet was seen on another interface before.
    Copy,
    /// It is of a flow.
    Metered,
}

impl Ahead<'_> {
    /// Whether sampling left its flow out.
    pub fn is_left_out(&self) -> bool {
        self.outcome == Outcome::FlowLeftOut
    }

    /// The same packet under another key than it was looked up by.
    pub fn with_key(&self, (key, from_high): (PackedKey, bool), hasher: &KeyHasher) -> Self {
        Ahead {
            key,
            from_high,
            hash: hasher.hash(&key),
            likely: NO_PLACE,
            is_new: false,
            ..*self
        }
    }
}

impl Meter {
    /// Accounts for one frame, captured at `now_ns` (ns since 1970 UTC) and `wire_length` octets long before any snap
    /// length. May make Flow Records of flows that end through it or before it; take them with
    /// [`Meter::take_records`] when [`Meter::records_waiting`] says that there are enough.
    pub fn handle_frame(&mut self, now_ns: i64, link_type: LinkType, frame: &[u8], wire_length: u32, interface: u32) {
        let mut ahead = Ahead::default();
        self.look_ahead(
            &mut ahead,
            &Frame {
                time_ns: now_ns,
                link_type,
                interface,
                wire_length,
                bytes: frame,
            },
        );
        self.account(&ahead);
    }

    /// Accounts for frames one after the other, as [`Meter::handle_frame`] does, in less time.
    pub fn handle_frames(&mut self, frames: &Frames<'_>) {
        let mut group = [Ahead::default(); GROUP];
        for start in (0..frames.len()).step_by(GROUP) {
            let mut looked = 0;
            for (ahead, at) in group.iter_mut().zip(start..frames.len()) {
                if let Some(frame) = frames.get(at) {
                    self.look_ahead(ahead, &frame);
                    looked += 1;
                }
            }
            let looked = group.get_mut(..looked).unwrap_or_default();
            self.newcomers = 0;
            // Flows that begin with this group take these places, as far as none ends before.
            let mut vacant = self.vacant.iter().rev();
            for ahead in &mut *looked {
                self.fetch_flow(ahead, &mut vacant);
            }
            for ahead in looked {
                self.account(ahead);
            }
        }
    }

    /// Parses a frame and asks for its bucket of the index.
    #[inline(always)]
    fn look_ahead<'a>(&mut self, ahead: &mut Ahead<'a>, frame: &Frame<'a>) {
        ahead.time_ns = frame.time_ns;
        ahead.interface = frame.interface;
        (ahead.likely, ahead.is_new) = (NO_PLACE, false);
        // Copies are told apart before sampling: otherwise each of them would stand for itself.
        if self.seen.is_none() && !self.sampler.takes_packet() {
            ahead.outcome = Outcome::SampledOut;
            return;
        }
        if self.config.open_tunnels {
            ahead.headers.read(frame.link_type, frame.bytes, frame.wire_length);
        } else {
            ahead
                .headers
                .read_outer(frame.link_type, frame.bytes, frame.wire_length);
        }
        ahead.outcome = Outcome::NotMetered;
        if let Some(network) = &ahead.headers.network {
            (ahead.key, ahead.from_high) = PackedKey::of(network, &ahead.headers);
            ahead.hash = self.hasher.hash(&ahead.key);
            ahead.outcome = Outcome::Metered;
            if self.seen.is_some() {
                ahead.outcome = self.outcome_of_several_interfaces(ahead, network);
            }
            // A later fragment's flow is known when its first fragment is.
            if ahead.outcome == Outcome::Metered
                && !self.sampler.takes_flow(ahead.hash)
                && network.fragment != Fragment::Later
            {
                ahead.outcome = Outcome::FlowLeftOut;
            }
            self.index.prefetch(ahead.hash);
        }
    }

    /// What becomes of a packet that may have been seen on another interface.
    #[inline(never)]
    fn outcome_of_several_interfaces(&mut self, ahead: &Ahead<'_>, network: &Network) -> Outcome {
        let interface = ahead.headers.link.interface.unwrap_or(ahead.interface);
        let Some(seen) = &mut self.seen else {
            return Outcome::Metered;
        };
        let is_copy = seen.is_copy(ahead.time_ns, interface, network, &ahead.headers);
        self.counters.copies_forgotten = seen.forgotten();
        if is_copy {
            Outcome::Copy
        } else if self.sampler.takes_packet() {
            Outcome::Metered
        } else {
            Outcome::SampledOut
        }
    }

    /// Asks for the flow that a packet most probably belongs to, or for the place of the one that it begins.
    #[inline(always)]
    fn fetch_flow<'v>(&self, ahead: &mut Ahead<'_>, vacant: &mut impl Iterator<Item = &'v u32>) {
        if ahead.outcome != Outcome::Metered {
            return;
        }
        let place = match self.index.likely(ahead.hash) {
            Some(place) => {
                ahead.likely = place;
                place
            }
            None => {
                ahead.is_new = true;
                match vacant.next() {
                    Some(place) => *place,
                    None => return,
                }
            }
        };
        let (hot, cold) = (self.hot.address(place), self.cold.address(place));
        prefetch(hot);
        prefetch(hot.cast::<u8>().wrapping_add(64));
        prefetch(cold);
        if let Transport::Tcp(tcp) = &ahead.headers.transport
            && TcpState::turns_with(tcp.flags)
        {
            prefetch(cold.cast::<u8>().wrapping_add(64));
        }
    }

    /// Counts a frame where it belongs.
    #[inline(always)]
    fn account(&mut self, ahead: &Ahead<'_>) {
        self.counters.packets_seen += 1;
        let in_order = self.set_clock(ahead.time_ns);
        let headers = &ahead.headers;
        match ahead.outcome {
            Outcome::SampledOut => {
                self.counters.sampled_out += 1;
                return;
            }
            Outcome::Copy => {
                self.counters.copies += 1;
                return;
            }
            Outcome::FlowLeftOut => {
                self.counters.sampled_out += 1;
                self.remember_fragment(ahead);
                return;
            }
            Outcome::NotMetered | Outcome::Metered => {}
        }
        if headers.fault.is_some() || headers.link.vlan_tags > 2 {
            self.count_fault(headers);
        }
        let Some(network) = &headers.network else {
            if self.config.arp
                && let Some(arp) = &headers.arp
            {
                self.handle_arp(ahead, arp);
            }
            return;
        };
        if network.fragment == Fragment::Later {
            if !self.handle_later_fragment(ahead, in_order, network) {
                self.counters.sampled_out += 1;
                return;
            }
            self.counters.later_fragments += 1;
        } else {
            let _ = self.meter(ahead, in_order, network);
            if self.config.dns.enabled && self.dns.wants(headers.ports) && self.sampler.keeps_flows_whole() {
                self.handle_dns(ahead, network);
            }
        }
        self.counters.packets_metered += 1;
        self.counters.octets_metered += u64::from(network.octets);
        if let Some(facts) = &mut self.facts {
            facts.push(PacketFacts::of(ahead.time_ns, network, headers));
        }
        if network.fragment == Fragment::First {
            self.handle_first_fragment(ahead, network);
        }
    }

    /// Shows a packet on a port of DNS to what makes transactions.
    #[inline(never)]
    fn handle_dns(&mut self, ahead: &Ahead<'_>, network: &Network) {
        let packet = DnsPacket {
            key: ahead.key,
            hash: ahead.hash,
            from_high: ahead.from_high,
            now_ns: ahead.time_ns,
            interface: ahead.headers.link.interface.unwrap_or(ahead.interface),
            selector: self.sampler.selector_id(),
            network,
            headers: &ahead.headers,
        };
        self.dns.handle_packet(&packet, &self.hasher, &mut self.pending);
    }

    /// Counts an ARP message in the flow of those who speak of one another.
    #[cold]
    fn handle_arp(&mut self, ahead: &Ahead<'_>, arp: &Arp) {
        let message = ahead.with_key(PackedKey::of_arp(arp, &ahead.headers), &self.hasher);
        if !self.sampler.takes_flow(message.hash) {
            self.counters.sampled_out += 1;
            return;
        }
        self.counters.packets_metered += 1;
        self.counters.arp_metered += 1;
        let place = match self.find(&message.key, message.hash) {
            Some(place) if !self.splits(place, ahead.time_ns, message.from_high, &ahead.headers) => place,
            _ => self.create(&message),
        };
        let (flow, cold) = (&mut self.hot[place as usize], &mut self.cold[place as usize]);
        let direction = usize::from(flow.from_high != message.from_high);
        // No IP packet: no octets, and no time to live.
        let counts = Counts {
            packets: 1,
            octets: 0,
            first_ns: ahead.time_ns,
            last_ns: ahead.time_ns,
            ttl_min: 0,
            ttl_max: 0,
            tos: 0,
        };
        flow.count_late(cold, direction, &counts);
        if self.inspects {
            self.applications
                .inspect_arp(&mut flow.application, arp, direction, ahead.time_ns);
        }
    }

    /// Has a first fragment whose flow is left out take the others of its datagram with it.
    #[cold]
    fn remember_fragment(&mut self, ahead: &Ahead<'_>) {
        if let Some(network) = &ahead.headers.network
            && network.fragment == Fragment::First
        {
            self.handle_first_fragment(ahead, network);
        }
    }

    #[cold]
    fn count_fault(&mut self, headers: &Headers<'_>) {
        self.counters.vlan_tags_skipped += u64::from(headers.link.vlan_tags.saturating_sub(2));
        let Some(fault) = headers.fault else { return };
        if self.config.arp && headers.arp.is_some() {
            return;
        }
        let counts = match headers.network {
            Some(_) => &mut self.counters.metered_with_fault,
            None => &mut self.counters.not_metered,
        };
        counts[fault as usize] += 1;
    }

    /// The place of the flow with a key.
    #[inline(always)]
    pub(super) fn find(&self, key: &PackedKey, hash: u32) -> Option<u32> {
        self.index.find(hash, |place| {
            self.hot.get(place as usize).is_some_and(|flow| flow.key == *key)
        })
    }

    /// Counts a packet in its flow, and says where that is; none when it was folded.
    #[inline(always)]
    pub(super) fn meter(&mut self, ahead: &Ahead<'_>, in_order: bool, network: &Network) -> Option<u32> {
        let Ahead {
            headers,
            key,
            time_ns: now_ns,
            hash,
            from_high,
            ..
        } = ahead;
        let (now_ns, from_high) = (*now_ns, *from_high);
        let found = match self.hot.get(ahead.likely as usize) {
            // Where it was when the group was looked at; packets since may have given the place to another flow.
            Some(flow) if flow.key == *key && flow.is_live() => Some(ahead.likely),
            _ if ahead.is_new && self.newcomers & newcomer(*hash) == 0 => None,
            _ => self.find(key, *hash),
        };
        let place = match found {
            Some(place) if !self.splits(place, now_ns, from_high, headers) => place,
            Some(_) => self.create(ahead),
            None if self.flood.is_on() && self.folds(ahead, network) => return None,
            None => self.create(ahead),
        };
        let (flow, cold) = (&mut self.hot[place as usize], &mut self.cold[place as usize]);
        let direction = usize::from(flow.from_high != from_high);
        flow.count(cold, now_ns, in_order, direction, network, headers);
        if headers.link.mpls_labels > 0 {
            self.labels.keep(&mut cold.labels, &headers.link, direction);
        }
        let mut ended = false;
        if let Transport::Tcp(tcp) = &headers.transport {
            flow.tcp_flags[direction] |= tcp.flags.0;
            let connection = &mut cold.connection.0;
            ended = flow.tcp.concerned_by(tcp.flags)
                && connection.follow(&mut flow.tcp, tcp, direction, headers.payload_octets, now_ns);
            if self.config.tcp_performance
                && self.sampler.keeps_flows_whole()
                && let Some(packet) = TcpPacket::of(headers)
            {
                self.trackers
                    .follow(&mut flow.tracker, connection, &packet, direction, now_ns);
            }
        }
        if self.inspects && headers.payload_octets > 0 && flow.application.wants(direction) {
            self.inspect(place, direction, network, headers, now_ns);
        }
        if ended {
            self.linger(place);
        }
        Some(place)
    }

    /// Shows a packet's payload to what recognises applications.
    fn inspect(&mut self, place: u32, direction: usize, network: &Network, headers: &Headers<'_>, now_ns: i64) {
        let Some(carrier) = Carrier::of(network.protocol).filter(|_| network.fragment == Fragment::Whole) else {
            return;
        };
        let (flow, cold) = (&mut self.hot[place as usize], &self.cold[place as usize]);
        let (sequence, first_sequence) = match &headers.transport {
            Transport::Tcp(tcp) => {
                let syn = u32::from(tcp.flags.any(packet::TcpFlags::SYN));
                (
                    Some(tcp.sequence.wrapping_add(syn)),
                    cold.connection.0.first_sequence(flow.tcp, direction),
                )
            }
            _ => (None, None),
        };
        self.applications.inspect(
            &mut flow.application,
            &Payload {
                bytes: headers.payload,
                octets: headers.payload_octets,
                direction,
                sequence,
                first_sequence,
                ports: headers.ports,
                carrier,
                now_ns,
            },
        );
    }

    /// Ends the record that a packet can no longer join; true when the whole flow ended and a new one begins.
    #[inline(always)]
    fn splits(&mut self, place: u32, now_ns: i64, from_high: bool, headers: &Headers<'_>) -> bool {
        let flow = &self.hot[place as usize];
        // As unsigned numbers, times from before the flow are far too long too.
        let within = |since_ns: i64, timeout_ns: i64| (now_ns.wrapping_sub(since_ns) as u64) < timeout_ns as u64;
        let syn = matches!(&headers.transport, Transport::Tcp(tcp) if tcp.flags.any(packet::TcpFlags::SYN));
        let joins = !syn
            && flow.has_room()
            && flow.selector == self.sampler.selector_id() as u8
            && within(flow.newest_ns(), self.config.idle_timeout_ns)
            && within(flow.start_ns, self.config.active_timeout_ns);
        !joins && self.splits_by(place, now_ns, from_high, headers)
    }

    #[inline(never)]
    fn splits_by(&mut self, place: u32, now_ns: i64, from_high: bool, headers: &Headers<'_>) -> bool {
        let flow = &self.hot[place as usize];
        if let Transport::Tcp(tcp) = &headers.transport
            && self.reopens(place, tcp, usize::from(flow.from_high != from_high))
        {
            self.end(place, FlowEndReason::EndOfFlow);
            return true;
        }
        if let Transport::Tcp(tcp) = &headers.transport
            && self.replaces(place, now_ns, tcp, from_high)
        {
            self.end(place, FlowEndReason::IdleTimeout);
            return true;
        }
        let flow = &self.hot[place as usize];
        // Wrapping: times are within what 64 bits of ns hold, and a late packet gives a negative number.
        if now_ns.wrapping_sub(flow.newest_ns()) >= self.config.idle_timeout_ns {
            self.end(place, FlowEndReason::IdleTimeout);
            return true;
        }
        if u32::from(flow.selector) != self.sampler.selector_id() {
            self.change_selector(place);
        }
        let flow = &self.hot[place as usize];
        if !flow.has_room() {
            self.cut(place, FlowEndReason::ActiveTimeout);
            return false;
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

    /// A record counts packets chosen by one Selector only.
    #[cold]
    fn change_selector(&mut self, place: u32) {
        self.cut(place, FlowEndReason::ActiveTimeout);
        let flow = &mut self.hot[place as usize];
        flow.selector = self.sampler.selector_id() as u8;
        // What follows from one packet to the next ends here; it begins anew when all packets are there again.
        if flow.tracker != TrackerPlace::NONE {
            self.trackers.free(&mut flow.tracker);
        }
    }

    fn reopens(&self, place: u32, tcp: &Tcp<'_>, direction: usize) -> bool {
        tcp.flags.any(packet::TcpFlags::SYN) && {
            let state = self.hot[place as usize].tcp;
            self.cold[place as usize]
                .connection
                .0
                .is_succeeded_by(state, tcp, direction)
        }
    }

    /// Whether a packet opens another connection although the one before did not end: a SYN with another initial sequence
    /// number, after a silence in which either side may have forgotten it.
    fn replaces(&self, place: u32, now_ns: i64, tcp: &Tcp<'_>, from_high: bool) -> bool {
        use packet::TcpFlags;
        let (flow, cold) = (&self.hot[place as usize], &self.cold[place as usize]);
        let opens = tcp.flags.any(TcpFlags::SYN) && !tcp.flags.any(TcpFlags::ACK | TcpFlags::RST);
        let direction = usize::from(flow.from_high != from_high);
        let first = cold.connection.0.first_sequence(flow.tcp, direction);
        opens
            && now_ns.saturating_sub(flow.newest_ns()) >= limits::TCP_FORGOTTEN_NS
            && first != Some(tcp.sequence.wrapping_add(1))
    }

    /// Begins the flow of a packet.
    #[inline(always)]
    fn create(&mut self, ahead: &Ahead<'_>) -> u32 {
        let place = self.begin_flow(ahead.time_ns, ahead.key, ahead.hash, ahead.from_high);
        let cold = &mut self.cold[place as usize];
        let link = &ahead.headers.link;
        let (src_mac, dst_mac) = (link.src_mac.copied(), link.dst_mac.copied());
        cold.begin(
            link.interface.unwrap_or(ahead.interface),
            src_mac.unwrap_or_default(),
            dst_mac.unwrap_or_default(),
            ahead.key.protocol(),
        );
        if let Some(tunnel) = &ahead.headers.tunnel {
            cold.tunnel = self.tunnels.add(TunnelRecord::of(tunnel));
        }
        place
    }

    /// Begins a flow, if need be by ending another one.
    #[inline(always)]
    pub(super) fn begin_flow(&mut self, now_ns: i64, key: PackedKey, hash: u32, from_high: bool) -> u32 {
        if self.counters.flows_active as usize >= self.config.max_flows {
            self.evict(now_ns);
        }
        let place = match self.vacant.pop() {
            Some(place) => place,
            None => {
                self.cold.push(ColdFlow::default());
                self.hot.push(HotFlow::default())
            }
        };
        self.hot[place as usize].begin(key, hash, from_high, self.sampler.selector_id() as u8);
        self.index.insert(hash, place);
        self.newcomers |= newcomer(hash);
        // Many TCP connections end at once, refused: looked at when they have lingered, they are in the plan only once.
        let first_visit_ns = match key.protocol() {
            packet::protocol::TCP => self.config.tcp_linger_ns.min(self.config.idle_timeout_ns),
            _ => self.config.idle_timeout_ns,
        };
        let first_visit_ns = first_visit_ns.min(self.config.active_timeout_ns);
        self.plan_visit(place, now_ns.saturating_add(first_visit_ns));
        self.counters.flows_created += 1;
        self.counters.flows_active += 1;
        place
    }
}
