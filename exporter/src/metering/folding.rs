//! Aggregated Flows of a flood: what single packets of many flows to one service are added to when the table is full, so
//! that memory and the rate of records stay bounded while totals stay exact (RFC 7015 for the words).
//!
//! A flood is on once the table is full and most of the flows that had to leave early had one packet in a direction; it is
//! over when an eighth of the table is free. While it is on, a packet that begins a flow is counted in the Aggregated Flow
//! of its destination, port and protocol. Flows that are in the table are never folded. Packets the other way are counted
//! as that Aggregated Flow's reverse direction; a flow whose first sender sends again gets a place in the table, and its
//! record counts from there on, so that conversations stay visible among the flood. Aggregated Flows are bounded too: when
//! there are too many, the rest of each protocol is one.

use flowgauge_templates::packet::{Fragment, IpVersion, Network, Transport};

use super::flow::{ColdFlow, Counts, HotFlow, Parts};
use super::index::FlowIndex;
use super::key::PackedKey;
use super::meter::Meter;
use super::packets::Ahead;
use super::record::FlowEndReason;
use super::records::Place;
use crate::limits;

/// What one Aggregated Flow's record says about the flows in it. Its key has no source (address and port are 0); that of
/// the rest of a protocol has no destination either.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FoldRecord {
    /// Flows that were folded into it (deltaFlowCount, RFC 7015 section 5.2).
    pub flows: u64,
    /// Estimate of their distinct source addresses (distinctCountOfSourceIPAddress).
    pub sources: u64,
    /// The true number of sources is between these two with a confidence of 95 % (lowerCILimit, upperCILimit).
    pub sources_between: [f64; 2],
}

/// How many of the last 64 evictions must have been of single packets.
const SINGLE_EVICTIONS: u32 = 48;

/// How often Aggregated Flows are looked at for their timeouts.
const LOOK_NS: i64 = 1_000_000_000;

/// Whether there is a flood, and what is folded.
#[derive(Debug)]
pub(super) struct Flood {
    /// Whether folding is allowed at all.
    enabled: bool,
    on: bool,
    /// For each of the last evictions, whether it was of single packets; the latest in the lowest bit.
    evictions: u64,
    /// A flow is folded only when there are so many in the table.
    full_flows: u64,
    /// The flood is over when there are fewer.
    calm_flows: u64,
    most_folds: usize,
    index: FlowIndex,
    folds: Vec<Fold>,
    /// Hashes of folded flows by their low bits, with the direction of the first packet in the lowest bit.
    remembered: Vec<u32>,
    most_remembered: usize,
    looked_ns: i64,
}

#[derive(Clone, Debug)]
struct Fold {
    hot: HotFlow,
    cold: ColdFlow,
    flows: u64,
    sources: Sources,
}

impl Flood {
    pub fn new(max_flows: usize, enabled: bool) -> Flood {
        let max = max_flows as u64;
        Flood {
            enabled: enabled && max_flows >= limits::LEAST_FOLDING_FLOWS,
            on: false,
            evictions: 0,
            full_flows: max - max / 16,
            calm_flows: max - max / 8,
            most_folds: (max_flows / 64).clamp(64, limits::MAX_FOLDS),
            index: FlowIndex::new(),
            folds: Vec::new(),
            remembered: Vec::new(),
            most_remembered: (max_flows / 16)
                .clamp(64, limits::MAX_FOLDED_REMEMBERED)
                .next_power_of_two(),
            looked_ns: i64::MIN,
        }
    }

    #[inline(always)]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Whether there is neither a flood nor anything left of one.
    #[inline(always)]
    pub fn is_quiet(&self) -> bool {
        !self.on && self.folds.is_empty()
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.folds.capacity() * size_of::<Fold>() + self.remembered.capacity() * size_of::<u32>() + self.index.octets()
    }

    /// Takes note of a flow that left early; true when that makes it a flood.
    pub fn handle_eviction(&mut self, single: bool) -> bool {
        self.evictions = self.evictions << 1 | u64::from(single);
        let begins = self.enabled && !self.on && self.evictions.count_ones() >= SINGLE_EVICTIONS;
        self.on |= begins;
        begins
    }

    fn find(&self, key: &PackedKey, hash: u32) -> Option<usize> {
        let place = self.index.find(hash, |place| {
            self.folds.get(place as usize).is_some_and(|fold| fold.hot.key == *key)
        })?;
        Some(place as usize)
    }

    /// Remembers that a flow's first packet was folded. Says what was known: none, or whether this packet has the same
    /// direction as that one.
    fn remember(&mut self, hash: u32, from_high: bool) -> Option<bool> {
        if self.remembered.is_empty() {
            self.remembered = vec![0; self.most_remembered];
        }
        let at = (hash >> 1) as usize & (self.most_remembered - 1);
        // Never 0, which is what nothing looks like.
        let mark = hash & !3 | 2 | u32::from(from_high);
        let known = self.remembered.get_mut(at)?;
        if *known | 1 == mark | 1 {
            return Some(*known == mark);
        }
        *known = mark;
        None
    }

    fn forget(&mut self, hash: u32) {
        let at = (hash >> 1) as usize & (self.most_remembered - 1);
        if let Some(known) = self.remembered.get_mut(at) {
            *known = 0;
        }
    }
}

impl Meter {
    /// Counts a packet of no flow in an Aggregated Flow, unless it gets a flow in the table.
    #[inline(never)]
    pub(super) fn folds(&mut self, ahead: &Ahead<'_>, network: &Network) -> bool {
        if self.counters.flows_active < self.flood.full_flows {
            return false;
        }
        let mut direction = 0;
        let mut begins = false;
        match self.flood.remember(ahead.hash, ahead.from_high) {
            // The datagram is the packet of the flow; the rest of its fragments is not the flow's second one.
            Some(true) if network.fragment == Fragment::Later => {}
            Some(true) => {
                self.flood.forget(ahead.hash);
                self.counters.flows_unfolded += 1;
                return false;
            }
            Some(false) => direction = 1,
            None => begins = true,
        }
        let counts = Counts::of(network, ahead.time_ns);
        let at = self.fold_of(ahead, direction, &mut begins);
        self.count_folded(at, ahead, direction, begins, &counts);
        true
    }

    /// Counts fragments that came before the first one of a datagram which was folded.
    #[cold]
    pub(super) fn fold_late(&mut self, ahead: &Ahead<'_>, counts: &Counts) {
        let at = self.fold_of(ahead, 0, &mut false);
        self.count_folded(at, ahead, 0, false, counts);
    }

    /// The Aggregated Flow of a packet, by its destination or, for one the other way, its source. A packet that is the
    /// first of its flow and comes from where an Aggregated Flow goes to is one the other way, too: `begins` then no more.
    fn fold_of(&mut self, ahead: &Ahead<'_>, mut direction: usize, begins: &mut bool) -> (usize, usize) {
        if direction == 0 && *begins {
            let (key, hash) = self.fold_key(ahead, 1);
            if let Some(at) = self.flood.find(&key, hash) {
                *begins = false;
                return (at, 1);
            }
        }
        let (mut key, mut hash) = self.fold_key(ahead, direction);
        if let Some(at) = self.flood.find(&key, hash) {
            return (at, direction);
        }
        if direction == 1 || self.flood.folds.len() >= self.flood.most_folds {
            key = ahead.key.rest_of_protocol();
            hash = self.hasher.hash(&key);
            self.counters.packets_folded_together += 1;
            if let Some(at) = self.flood.find(&key, hash) {
                return (at, direction);
            }
            direction = 0;
        }
        self.counters.folds_created += 1;
        let mut fold = Fold {
            hot: HotFlow::default(),
            cold: ColdFlow::default(),
            flows: 0,
            sources: Sources::default(),
        };
        fold.hot.begin(key, hash, false, self.sampler.selector_id() as u8);
        let link = &ahead.headers.link;
        fold.cold.begin(
            link.interface.unwrap_or(ahead.interface),
            link.src_mac.copied().unwrap_or_default(),
            link.dst_mac.copied().unwrap_or_default(),
            0,
        );
        self.flood.folds.push(fold);
        let at = self.flood.folds.len() - 1;
        self.flood.index.insert(hash, at as u32);
        (at, direction)
    }

    fn fold_key(&self, ahead: &Ahead<'_>, direction: usize) -> (PackedKey, u32) {
        let key = ahead.key.fold(ahead.from_high != (direction == 1));
        (key, self.hasher.hash(&key))
    }

    fn count_folded(
        &mut self,
        (at, way): (usize, usize),
        ahead: &Ahead<'_>,
        direction: usize,
        begins: bool,
        counts: &Counts,
    ) {
        let source = self.hasher.hash_address(ahead.key.end(ahead.from_high));
        let selector = self.sampler.selector_id() as u8;
        if let Some(Fold { hot, .. }) = self.flood.folds.get(at)
            && (hot.selector != selector || !hot.has_room())
        {
            self.cut_fold(at, FlowEndReason::ActiveTimeout);
        }
        let Some(fold) = self.flood.folds.get_mut(at) else {
            return;
        };
        fold.hot.selector = selector;
        fold.hot.count_late(&mut fold.cold, way, counts);
        if let Transport::Tcp(tcp) = &ahead.headers.transport {
            fold.hot.tcp_flags[way & 1] |= tcp.flags.0;
        }
        if begins {
            fold.flows += 1;
            self.counters.flows_folded += 1;
        }
        if way == 0 && direction == 0 {
            fold.sources.add(source);
        }
        self.counters.packets_folded += u64::from(counts.packets);
    }

    /// Ends the flood when there is room again, and makes the records of Aggregated Flows whose timeout has passed.
    #[cold]
    pub(super) fn handle_flood(&mut self, now_ns: i64) {
        if self.counters.flows_active < self.flood.calm_flows {
            self.flood.on = false;
            self.flood.evictions = 0;
        }
        if now_ns.wrapping_sub(self.flood.looked_ns) as u64 <= LOOK_NS as u64 {
            return;
        }
        self.flood.looked_ns = now_ns;
        let mut at = 0;
        while let Some(Fold { hot, .. }) = self.flood.folds.get(at) {
            if now_ns.saturating_sub(hot.newest_ns()) >= self.config.idle_timeout_ns {
                self.end_fold(at, FlowEndReason::IdleTimeout);
                continue;
            }
            if now_ns.saturating_sub(hot.start_ns) >= self.config.active_timeout_ns && hot.has_packets() {
                self.cut_fold(at, FlowEndReason::ActiveTimeout);
            }
            at += 1;
        }
    }

    /// Ends all Aggregated Flows; false when records must be taken first.
    pub(super) fn finish_folds(&mut self, reason: FlowEndReason) -> bool {
        while !self.flood.folds.is_empty() {
            if self.pending.len() >= limits::MAX_PENDING_RECORDS {
                return false;
            }
            self.end_fold(self.flood.folds.len() - 1, reason);
        }
        self.flood.on = false;
        true
    }

    fn end_fold(&mut self, at: usize, reason: FlowEndReason) {
        self.cut_fold(at, reason);
        let Some(fold) = self.flood.folds.get(at) else {
            return;
        };
        self.flood.index.remove(fold.hot.hash, at as u32);
        self.flood.folds.swap_remove(at);
        // The last one has moved here.
        if let Some(moved) = self.flood.folds.get(at) {
            let last = self.flood.folds.len() as u32;
            self.flood.index.remove(moved.hot.hash, last);
            self.flood.index.insert(moved.hot.hash, at as u32);
        }
    }

    fn cut_fold(&mut self, at: usize, reason: FlowEndReason) {
        let Some(fold) = self.flood.folds.get_mut(at).filter(|fold| fold.hot.has_packets()) else {
            return;
        };
        let parts = Parts {
            fold: Place::push(&mut self.pending.folds, fold.sources.record(fold.flows)),
            ..Parts::default()
        };
        self.pending.flows.push(fold.hot.record(&fold.cold, reason, parts));
        fold.hot.begin_record(&mut fold.cold);
        fold.flows = 0;
        fold.sources = Sources::default();
        self.counters.records[reason as usize - 1] += 1;
    }
}

impl PackedKey {
    /// The end with the higher or the lower number.
    fn end(&self, high: bool) -> u128 {
        if high { self.high } else { self.low }
    }

    /// The key of the Aggregated Flow to the end that is not the high one if `from_high`.
    fn fold(&self, from_high: bool) -> PackedKey {
        let port = match from_high {
            true => self.ports_vlan >> 48 << 32,
            false => self.ports_vlan & 0xffff_0000_0000,
        };
        PackedKey {
            low: self.unspecified(),
            high: self.end(!from_high),
            ports_vlan: port | self.ports_vlan & 0xffff_ffff,
            context: self.context,
        }
    }

    /// The key of everything else of its protocol.
    fn rest_of_protocol(&self) -> PackedKey {
        PackedKey {
            low: self.unspecified(),
            high: self.unspecified(),
            ports_vlan: 0,
            context: self.context & 0xffff,
        }
    }

    /// No address.
    fn unspecified(&self) -> u128 {
        match self.version() {
            IpVersion::V4 => 0xffff_0000_0000,
            IpVersion::V6 => 0,
        }
    }
}

/// Registers of a HyperLogLog of distinct sources: the relative standard error of 256 is 1.04 / 16 (Flajolet et al. 2007,
/// "HyperLogLog", theorem 1).
#[derive(Clone, Debug)]
struct Sources([u8; Sources::COUNT]);

impl Default for Sources {
    fn default() -> Sources {
        Sources([0; Sources::COUNT])
    }
}

impl Sources {
    const BITS: u32 = 8;
    const COUNT: usize = 1 << Sources::BITS;
    /// 1.96 standard errors hold 95 % of the estimates.
    const BOUND: f64 = 1.96 * 1.04 / 16.0;

    fn add(&mut self, hash: u64) {
        let rank = (hash << Sources::BITS | 1 << (Sources::BITS - 1)).leading_zeros() as u8 + 1;
        if let Some(register) = self.0.get_mut((hash >> (64 - Sources::BITS)) as usize) {
            *register = (*register).max(rank);
        }
    }

    /// The estimator of Ertl, which needs neither tables nor a change of method for small numbers ("New cardinality
    /// estimation algorithms for HyperLogLog sketches", 2017, section 4).
    fn estimate(&self) -> f64 {
        const HIGHEST: usize = 64 - Sources::BITS as usize + 1;
        let mut counts = [0.0_f64; HIGHEST + 1];
        for register in self.0 {
            if let Some(count) = counts.get_mut(usize::from(register)) {
                *count += 1.0;
            }
        }
        let registers = Sources::COUNT as f64;
        let mut sum = registers * tau(1.0 - counts[HIGHEST] / registers);
        for count in counts[1..HIGHEST].iter().rev() {
            sum = 0.5 * (sum + count);
        }
        sum += registers * sigma(counts[0] / registers);
        registers / (2.0 * std::f64::consts::LN_2) * registers / sum
    }

    fn record(&self, flows: u64) -> FoldRecord {
        let estimate = self.estimate();
        // As many registers as are not empty had a source each, and there are no more sources than flows.
        let least = self.0.iter().filter(|register| **register > 0).count() as f64;
        let most = (flows as f64).max(least);
        let sources = estimate.round().clamp(least, most);
        FoldRecord {
            flows,
            sources: sources as u64,
            sources_between: [
                (estimate * (1.0 - Sources::BOUND)).floor().clamp(least, most),
                (estimate * (1.0 + Sources::BOUND)).ceil().clamp(least, most),
            ],
        }
    }
}

/// Sum over k from 1 of x^(2^k) 2^(k-1), and x.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    // x is at most 255/256: after some ten squares nothing is added any more.
    for _ in 0..64 {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            break;
        }
    }
    z
}

/// A third of 1 - x - the sum over k from 1 of (1 - x^(2^-k))^2 2^-k.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    for _ in 0..64 {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            break;
        }
    }
    z / 3.0
}

#[cfg(test)]
mod tests {
    use super::super::key::KeyHasher;
    use super::*;

    /// Twice the bound would be four standard errors: never, with these seeds; and 95 of 100 are within it, by and large.
    #[test]
    fn estimates_are_within_their_bounds() {
        let (mut within, mut all) = (0, 0);
        for seed in 0..40 {
            let hasher = KeyHasher::new(seed);
            let mut sources = Sources::default();
            let mut distinct = 0_u64;
            for goal in [1, 2, 5, 30, 200, 1000, 20_000, 300_000] {
                while distinct < goal {
                    let hash = hasher.hash_address(0xffff_0a00_0000 + u128::from(distinct));
                    sources.add(hash);
                    sources.add(hash);
                    distinct += 1;
                }
                let FoldRecord {
                    flows,
                    sources: estimate,
                    sources_between: [lower, upper],
                } = sources.record(1 << 40);
                assert_eq!(flows, 1 << 40);
                assert!(lower <= estimate as f64 && estimate as f64 <= upper);
                let error = (estimate as f64 - goal as f64).abs();
                assert!(
                    error <= 2.0 * Sources::BOUND * goal as f64 + 1.0,
                    "{estimate} of {goal}"
                );
                all += 1;
                within += u64::from(lower <= goal as f64 && goal as f64 <= upper);
            }
        }
        assert!(within * 100 >= all * 93, "{within} of {all}");
    }

    #[test]
    fn there_are_no_more_sources_than_flows() {
        let hasher = KeyHasher::new(3);
        let mut sources = Sources::default();
        (0..500).for_each(|source| sources.add(hasher.hash_address(source)));
        let record = sources.record(500);
        assert!(record.sources <= 500 && record.sources_between[1] <= 500.0);
        assert_eq!(Sources::default().record(0).sources_between, [0.0, 0.0]);
    }
}
