//! Fragments belong to the flow of their datagram's first fragment, the only one with ports (RFC 791 section 3.2, RFC 8200
//! section 4.5). Fragments that overtake the first one wait for it as counts, never as payload.
//!
//! What is known of datagrams is a ring: the oldest makes room for the newest, and nothing is older than what a receiver
//! would wait for the rest of a datagram. A fragment whose first one never came is counted in a flow without ports.

use flowgauge_templates::packet::{Headers, IpVersion, Network};

use super::flow::Counts;
use super::index::FlowIndex;
use super::key::PackedKey;
use super::meter::Meter;
use super::packets::Ahead;
use super::tunnel::{TunnelPlace, TunnelRecord};
use crate::limits;

/// A datagram of which a fragment was seen.
#[derive(Clone, Copy, Debug)]
struct Datagram {
    key: PackedKey,
    hash: u32,
    until_ns: i64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The first fragment was seen: what it says about all of them.
    Known(Whole),
    /// Others came before it.
    Waiting(Waiting),
}

/// What only the first fragment tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// The protocol behind all extension headers.
    pub protocol: u8,
    pub ports: [u16; 2],
}

/// Fragments that wait for their first one, and where they are counted if it does not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub counts: Counts,
    pub alone: Alone,
}

/// The flow of fragments without a first one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alone {
    pub key: PackedKey,
    pub hash: u32,
    pub from_high: bool,
    pub interface: u32,
    pub src_mac: [u8; 6],
    pub dst_mac: [u8; 6],
    pub tunnel: TunnelPlace,
}

/// Where a fragment other than the first belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// To the flow with these ports.
    To(Whole),
    /// Not known yet: it is counted with those that wait.
    Waits,
    /// Not known yet, and nothing of its datagram waits.
    Unknown,
}

/// Datagrams by source, destination, identification and, in IPv4, protocol.
#[derive(Debug)]
pub(super) struct Fragments {
    index: FlowIndex,
    ring: Vec<Datagram>,
    most: usize,
    /// Where the oldest and the next datagram are, as counts since the start.
    oldest: u64,
    next: u64,
    /// Fragments that wait.
    waiting: u64,
}

impl Fragments {
    /// Nothing seen; at most `most` datagrams are remembered.
    pub fn new(most: usize) -> Fragments {
        Fragments {
            index: FlowIndex::new(),
            ring: Vec::new(),
            most: most.max(1),
            oldest: 0,
            next: 0,
            waiting: 0,
        }
    }

    /// Fragments that wait for their first one.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.ring.capacity() * size_of::<Datagram>() + self.index.octets()
    }

    /// A datagram that is not too old yet.
    fn find(&mut self, key: &PackedKey, hash: u32, now_ns: i64) -> Option<&mut Datagram> {
        let place = self.index.find(hash, |place| {
            self.ring
                .get(place as usize)
                .is_some_and(|datagram| datagram.key == *key && now_ns <= datagram.until_ns)
        })?;
        self.ring.get_mut(place as usize)
    }

    /// Remembers what a first fragment says, and gives those that waited for it.
    pub fn first(&mut self, key: PackedKey, hash: u32, now_ns: i64, whole: Whole) -> Option<Waiting> {
        let state = State::Known(whole);
        let until_ns = now_ns.saturating_add(lifetime_ns(&key));
        if let Some(datagram) = self.find(&key, hash, now_ns) {
            // A first fragment again is another datagram that has come to the same identification.
            let before = std::mem::replace(&mut datagram.state, state);
            datagram.until_ns = until_ns;
            return match before {
                State::Waiting(waiting) => {
                    self.waiting -= u64::from(waiting.counts.packets);
                    Some(waiting)
                }
                _ => None,
            };
        }
        self.add(Datagram {
            key,
            hash,
            until_ns,
            state,
        });
        None
    }

    /// Where a later fragment belongs; counted when others wait already.
    pub fn later(&mut self, key: &PackedKey, hash: u32, now_ns: i64, counts: &Counts) -> Belongs {
        match self.find(key, hash, now_ns).map(|datagram| &mut datagram.state) {
            Some(State::Known(whole)) => Belongs::To(*whole),
            Some(State::Waiting(waiting)) => {
                waiting.counts.add(counts);
                self.waiting += u64::from(counts.packets);
                Belongs::Waits
            }
            None => Belongs::Unknown,
        }
    }

    /// Lets a fragment wait whose datagram is unknown; there must be room, see [`Fragments::make_room`].
    pub fn wait(&mut self, key: PackedKey, hash: u32, now_ns: i64, waiting: Waiting) {
        self.waiting += u64::from(waiting.counts.packets);
        self.add(Datagram {
            key,
            hash,
            until_ns: now_ns.saturating_add(lifetime_ns(&key)),
            state: State::Waiting(waiting),
        });
    }

    /// Forgets the oldest datagram if there is no room for another one. Gives those that waited for its first fragment.
    pub fn make_room(&mut self) -> Option<Waiting> {
        match self.next - self.oldest < self.most as u64 {
            true => None,
            false => self.forget_oldest(),
        }
    }

    /// Whether the oldest datagram is too old.
    #[inline(always)]
    pub fn is_due(&self, now_ns: i64) -> bool {
        self.oldest < self.next
            && self
                .ring
                .get((self.oldest % self.most as u64) as usize)
                .is_some_and(|datagram| datagram.until_ns < now_ns)
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.oldest == self.next
    }

    /// Forgets the oldest datagram, and gives the fragments that waited for its first one.
    pub fn forget_oldest(&mut self) -> Option<Waiting> {
        if self.is_empty() {
            return None;
        }
        let place = (self.oldest % self.most as u64) as u32;
        self.oldest += 1;
        let Datagram { hash, state, .. } = *self.ring.get(place as usize)?;
        self.index.remove(hash, place);
        match state {
            State::Waiting(waiting) => {
                self.waiting -= u64::from(waiting.counts.packets);
                Some(waiting)
            }
            _ => None,
        }
    }

    fn add(&mut self, datagram: Datagram) {
        let place = (self.next % self.most as u64) as u32;
        self.next += 1;
        self.index.insert(datagram.hash, place);
        match self.ring.get_mut(place as usize) {
            Some(slot) => *slot = datagram,
            None => self.ring.push(datagram),
        }
    }
}

/// How long the rest of a datagram may take: RFC 8200 section 4.5 says 60 s; RFC 1122 section 3.3.2 asks for 60 to 120 s,
/// of which real IPv4 receivers use 30, and identifications of 16 bits come again soon.
fn lifetime_ns(key: &PackedKey) -> i64 {
    match key.version() {
        IpVersion::V4 => limits::FRAGMENT_LIFETIME_NS[0],
        IpVersion::V6 => limits::FRAGMENT_LIFETIME_NS[1],
    }
}

impl Counts {
    /// One packet.
    pub fn of(network: &Network, time_ns: i64) -> Counts {
        Counts {
            packets: 1,
            octets: u64::from(network.octets),
            first_ns: time_ns,
            last_ns: time_ns,
            ttl_min: network.ttl,
            ttl_max: network.ttl,
            tos: network.tos,
        }
    }

    fn add(&mut self, more: &Counts) {
        self.packets = self.packets.saturating_add(more.packets);
        self.octets += more.octets;
        self.first_ns = self.first_ns.min(more.first_ns);
        self.last_ns = self.last_ns.max(more.last_ns);
        self.ttl_min = self.ttl_min.min(more.ttl_min);
        self.ttl_max = self.ttl_max.max(more.ttl_max);
    }
}

impl PackedKey {
    /// What tells datagrams apart: the ends in the order in which they stand, and the identification in place of ports. In
    /// IPv6 the protocol is left out, as only the first fragment says it (RFC 8200 section 4.5).
    pub fn of_datagram(network: &Network, headers: &Headers<'_>) -> PackedKey {
        let protocol = match network.version {
            IpVersion::V4 => network.protocol,
            IpVersion::V6 => 0,
        };
        let (mut key, from_high) = PackedKey::with_transport(network, headers, protocol, [0, 0]);
        if from_high {
            std::mem::swap(&mut key.low, &mut key.high);
        }
        key.ports_vlan ^= u64::from(network.fragment_id) << 32;
        key
    }
}

impl Meter {
    /// Has a first fragment tell where the others of its datagram belong, and counts those that came before it.
    #[cold]
    pub(super) fn handle_first_fragment(&mut self, ahead: &Ahead<'_>, network: &Network) {
        let headers = &ahead.headers;
        let key = PackedKey::of_datagram(network, headers);
        let hash = self.hasher.hash(&key);
        if let Some(waiting) = self.fragments.make_room() {
            self.count_alone(waiting, true);
        }
        let whole = Whole {
            protocol: network.protocol,
            ports: headers.ports,
        };
        let Some(mut waiting) = self.fragments.first(key, hash, ahead.time_ns, whole) else {
            return;
        };
        self.tunnels.free(&mut waiting.alone.tunnel);
        let packets = u64::from(waiting.counts.packets);
        match self.find(&ahead.key, ahead.hash) {
            Some(place) => {
                self.counters.fragments_joined_late += packets;
                self.count_late(place, ahead.from_high, &waiting.counts);
            }
            None if ahead.is_left_out() => {
                self.counters.later_fragments -= packets;
                self.counters.packets_metered -= packets;
                self.counters.octets_metered -= waiting.counts.octets;
                self.counters.sampled_out += packets;
            }
            None => {
                self.counters.fragments_joined_late += packets;
                self.fold_late(ahead, &waiting.counts);
            }
        }
        self.counters.fragments_waiting = self.fragments.waiting();
    }

    /// Counts a later fragment in its flow, or lets it wait until that is known. False when sampling leaves its flow out.
    #[cold]
    pub(super) fn handle_later_fragment(&mut self, ahead: &Ahead<'_>, in_order: bool, network: &Network) -> bool {
        let headers = &ahead.headers;
        let key = PackedKey::of_datagram(network, headers);
        let hash = self.hasher.hash(&key);
        let counts = Counts::of(network, ahead.time_ns);
        match self.fragments.later(&key, hash, ahead.time_ns, &counts) {
            Belongs::To(Whole { protocol, ports }) => {
                let key = PackedKey::with_transport(network, headers, protocol, ports);
                let joined = ahead.with_key(key, &self.hasher);
                if !self.sampler.takes_flow(joined.hash) {
                    return false;
                }
                self.counters.fragments_joined += 1;
                let _ = self.meter(&joined, in_order, network);
            }
            Belongs::Waits => {}
            Belongs::Unknown => {
                if let Some(waiting) = self.fragments.make_room() {
                    self.count_alone(waiting, true);
                }
                let tunnel = match &headers.tunnel {
                    Some(tunnel) => self.tunnels.add(TunnelRecord::of(tunnel)),
                    None => TunnelPlace::NONE,
                };
                let alone = Alone {
                    key: ahead.key,
                    hash: ahead.hash,
                    from_high: ahead.from_high,
                    interface: ahead.interface,
                    src_mac: headers.link.src_mac.copied().unwrap_or_default(),
                    dst_mac: headers.link.dst_mac.copied().unwrap_or_default(),
                    tunnel,
                };
                self.fragments.wait(key, hash, ahead.time_ns, Waiting { counts, alone });
            }
        }
        self.counters.fragments_waiting = self.fragments.waiting();
        true
    }

    /// Counts the fragments that have waited long enough.
    pub(super) fn expire_fragments(&mut self, now_ns: i64) {
        while self.fragments.is_due(now_ns) {
            if let Some(waiting) = self.fragments.forget_oldest() {
                self.count_alone(waiting, false);
            }
        }
    }

    /// Counts all fragments that wait, as nothing more will come.
    pub(super) fn finish_fragments(&mut self) {
        while !self.fragments.is_empty() {
            if let Some(waiting) = self.fragments.forget_oldest() {
                self.count_alone(waiting, false);
            }
        }
    }

    /// Counts fragments in a flow without ports.
    fn count_alone(&mut self, waiting: Waiting, displaced: bool) {
        let Waiting { counts, mut alone } = waiting;
        let packets = u64::from(counts.packets);
        match displaced {
            true => self.counters.fragments_displaced += packets,
            false => self.counters.fragments_timed_out += packets,
        }
        let place = match self.find(&alone.key, alone.hash) {
            Some(place) => {
                self.tunnels.free(&mut alone.tunnel);
                place
            }
            None => {
                let place = self.begin_flow(counts.last_ns, alone.key, alone.hash, alone.from_high);
                let cold = &mut self.cold[place as usize];
                cold.begin(alone.interface, alone.src_mac, alone.dst_mac, alone.key.protocol());
                cold.tunnel = alone.tunnel;
                place
            }
        };
        self.count_late(place, alone.from_high, &counts);
        self.counters.fragments_waiting = self.fragments.waiting();
    }

    fn count_late(&mut self, place: u32, from_high: bool, counts: &Counts) {
        let (flow, cold) = (&mut self.hot[place as usize], &mut self.cold[place as usize]);
        let direction = usize::from(flow.from_high != from_high);
        flow.count_late(cold, direction, counts);
    }
}

#[cfg(test)]
mod tests {
    use flowgauge_templates::packet::{LinkType, parse};

    use super::*;

    const SECOND_NS: i64 = 1_000_000_000;

    /// A fragment at offset 8 from 10.0.0.1 to 10.0.0.2, or between addresses of version 6, with 1480 octets above IP.
    fn network(version: IpVersion, protocol: u8, id: u32) -> Network {
        let ends = [10, 0, 0, 1, 10, 0, 0, 2];
        let identification = id.to_be_bytes();
        let packet = match version {
            IpVersion::V4 => {
                let [.., high, low] = identification;
                let head = [0x45, 0, 0x05, 0xdc, high, low, 0, 1, 64, protocol, 0, 0];
                [&head[..], &ends].concat()
            }
            IpVersion::V6 => {
                let head = [0x60, 0, 0, 0, 0x05, 0xd0, 44, 64];
                let fragment = [protocol, 0, 0, 8];
                [&head[..], &[1; 16], &[2; 16], &fragment, &identification].concat()
            }
        };
        let headers = parse(LinkType::RAW, &packet, 1500);
        headers.network.expect("a sound IP header")
    }

    fn key(network: &Network) -> PackedKey {
        PackedKey::of_datagram(network, &Headers::default())
    }

    fn waiting(network: &Network, time_ns: i64) -> Waiting {
        let (key, from_high) = PackedKey::of(network, &Headers::default());
        Waiting {
            counts: Counts::of(network, time_ns),
            alone: Alone {
                key,
                hash: 1,
                from_high,
                interface: 0,
                src_mac: [0; 6],
                dst_mac: [0; 6],
                tunnel: TunnelPlace::NONE,
            },
        }
    }

    const UDP: Whole = Whole {
        protocol: 17,
        ports: [53, 4000],
    };

    #[test]
    fn later_fragments_find_the_first_within_its_lifetime() {
        for (version, lifetime_s) in [(IpVersion::V4, 30), (IpVersion::V6, 60)] {
            let mut fragments = Fragments::new(8);
            let network = network(version, 17, 7);
            let counts = Counts::of(&network, 0);
            assert_eq!(fragments.later(&key(&network), 5, 0, &counts), Belongs::Unknown);
            assert!(fragments.first(key(&network), 5, 0, UDP).is_none());
            let end = lifetime_s * SECOND_NS;
            assert_eq!(fragments.later(&key(&network), 5, end, &counts), Belongs::To(UDP));
            assert_eq!(fragments.later(&key(&network), 5, end + 1, &counts), Belongs::Unknown);
            assert!(!fragments.is_due(end) && fragments.is_due(end + 1));
        }
    }

    #[test]
    fn datagrams_differ_by_direction_identification_and_in_ipv4_protocol() {
        let base = network(IpVersion::V4, 17, 7);
        let mut back = base;
        std::mem::swap(&mut back.src_bits, &mut back.dst_bits);
        let others = [back, network(IpVersion::V4, 17, 8), network(IpVersion::V4, 6, 7)];
        assert!(others.iter().all(|other| key(other) != key(&base)));
        let other = network(IpVersion::V6, 60, 7);
        assert!(key(&other) == key(&network(IpVersion::V6, 17, 7)));
    }

    #[test]
    fn those_that_came_early_are_given_to_the_first() {
        let mut fragments = Fragments::new(8);
        let network = network(IpVersion::V4, 17, 7);
        let key = key(&network);
        fragments.wait(key, 5, 10, waiting(&network, 10));
        assert_eq!(fragments.later(&key, 5, 20, &Counts::of(&network, 20)), Belongs::Waits);
        assert_eq!(fragments.waiting(), 2);
        let waited = fragments.first(key, 5, 30, UDP).expect("two fragments wait");
        assert_eq!((waited.counts.packets, waited.counts.octets), (2, 3000));
        assert_eq!((waited.counts.first_ns, waited.counts.last_ns), (10, 20));
        assert_eq!(fragments.waiting(), 0);
        assert_eq!(
            fragments.later(&key, 5, 40, &Counts::of(&network, 40)),
            Belongs::To(UDP)
        );
        assert!(fragments.forget_oldest().is_none() && fragments.is_empty());
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut fragments = Fragments::new(4);
        for id in 0..100 {
            let network = network(IpVersion::V4, 17, id);
            let expelled = fragments.make_room();
            assert_eq!(expelled.is_some(), id >= 4);
            fragments.wait(key(&network), id, i64::from(id), waiting(&network, i64::from(id)));
            if let Some(expelled) = expelled {
                assert_eq!(expelled.counts.first_ns, i64::from(id) - 4);
            }
        }
        assert_eq!((fragments.waiting(), fragments.ring.len()), (4, 4));
        let left: Vec<i64> = std::iter::from_fn(|| fragments.forget_oldest())
            .map(|waiting| waiting.counts.first_ns)
            .collect();
        assert_eq!(left, [96, 97, 98, 99]);
    }
}
