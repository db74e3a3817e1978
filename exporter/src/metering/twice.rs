//! One packet, seen on several interfaces, is counted once: on whichever of them showed it first.
//!
//! A packet passes both ends of a veth pair, a bridge and its members, an interface and the VLAN upon it, the two sides of
//! a router. Two frames are taken for the same packet when they come from different interfaces within
//! [`WINDOW_NS`] and agree in addresses, protocol, ports, identification, length, TCP's sequence and acknowledgment
//! numbers and flags, and the first octets of payload. What changes on the way does not matter: link headers, VLAN
//! tags, time to live, checksums that hardware has yet to fill in. Frames from one and the same interface are never
//! taken for copies of each other, so that repeated packets and retransmissions count as often as they come.
//!
//! All frames that may be copies of each other come to the same flow table, since the kernel spreads them over workers
//! by a hash of their flow: nothing is shared between threads.

use flowgauge_templates::packet::{Headers, Network, Transport};

use crate::limits::PACKETS_REMEMBERED;

/// Copies are not further apart than this: a router may hold packets in a queue before it sends them on.
pub const WINDOW_NS: i64 = 250_000_000;

/// Octets of payload that are compared.
const PAYLOAD_OCTETS: usize = 16;

/// Packets in one bucket; the oldest gives way. With eight, hardly one of 10 000 packets is forgotten while a seventh of
/// those remembered wait for their copies.
const BUCKET: usize = 8;

/// The packets seen last.
#[derive(Debug)]
pub struct SeenTwice {
    /// When each was seen, in buckets; 0 where there is none. Numbers, so that memory that was never used costs nothing.
    times_ns: Vec<i64>,
    /// The part of its digest that does not choose the bucket, and the interface that showed it first.
    tags: Vec<u64>,
    seeds: [u64; 4],
    forgotten: u64,
}

impl SeenTwice {
    /// Remembers nothing yet; `seed` keeps others from making packets that take each other's places.
    pub fn new(seed: u64) -> SeenTwice {
        let mut state = seed;
        let seeds = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1
        });
        SeenTwice {
            times_ns: vec![0; PACKETS_REMEMBERED],
            tags: vec![0; PACKETS_REMEMBERED],
            seeds,
            forgotten: 0,
        }
    }

    /// Whether this packet was seen on another interface before; to be asked once for each packet.
    #[inline]
    pub fn is_copy(&mut self, time_ns: i64, interface: u32, network: &Network, headers: &Headers<'_>) -> bool {
        let digest = self.digest(network, headers);
        let start = digest as usize % (PACKETS_REMEMBERED / BUCKET) * BUCKET;
        let rest = digest >> 32;
        let (Some(times_ns), Some(tags)) = (
            self.times_ns.get_mut(start..start + BUCKET),
            self.tags.get_mut(start..start + BUCKET),
        ) else {
            return false;
        };
        let mut oldest = (i64::MAX, 0);
        for (at, (seen_ns, tag)) in times_ns.iter_mut().zip(tags.iter_mut()).enumerate() {
            let is_young = *seen_ns != 0 && time_ns.abs_diff(*seen_ns) <= WINDOW_NS as u64;
            if is_young && *tag >> 32 == rest {
                if *tag as u32 != interface {
                    return true;
                }
                *seen_ns = time_ns;
                return false;
            }
            if *seen_ns < oldest.0 {
                oldest = (*seen_ns, at);
            }
        }
        let (seen_ns, at) = oldest;
        if let (Some(slot_ns), Some(tag)) = (times_ns.get_mut(at), tags.get_mut(at)) {
            let is_young = seen_ns != 0 && time_ns.abs_diff(seen_ns) <= WINDOW_NS as u64;
            self.forgotten += u64::from(is_young && *tag as u32 != interface);
            (*slot_ns, *tag) = (time_ns, rest << 32 | u64::from(interface));
        }
        false
    }

    /// Packets that gave way to others while copies of them might still have come: those may be counted twice.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    #[inline]
    fn digest(&self, network: &Network, headers: &Headers<'_>) -> u64 {
        let [a, b, c, d] = self.seeds;
        let folded = |bits: u128| (bits as u64) ^ ((bits >> 64) as u64).rotate_left(31);
        let [src_port, dst_port] = headers.ports;
        let mut turns = 0;
        if let Transport::Tcp(tcp) = &headers.transport {
            turns = u64::from(tcp.sequence) << 32 | u64::from(tcp.acknowledgment);
            turns = turns.rotate_left(7) ^ u64::from(tcp.flags.0);
        }
        let kind = match headers.transport {
            Transport::Icmp { kind, code } => u64::from(kind) << 8 | u64::from(code),
            _ => 0,
        };
        let shape = u64::from(network.octets) << 32 | u64::from(network.fragment_id);
        let ends = u64::from(src_port) << 48 | u64::from(dst_port) << 32 | u64::from(network.protocol) << 16 | kind;
        let mut payload = [0; PAYLOAD_OCTETS];
        for (kept, octet) in payload.iter_mut().zip(headers.payload) {
            *kept = *octet;
        }
        let payload = u128::from_ne_bytes(payload);
        let mut digest = fold(folded(network.src_bits) ^ a, folded(network.dst_bits) ^ b);
        digest = fold(digest ^ ends, shape ^ c);
        digest = fold(digest ^ turns, d ^ payload as u64);
        fold(digest ^ (payload >> 64) as u64, a ^ c)
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use flowgauge_templates::packet::{LinkType, parse};

    use super::*;

    /// An Ethernet frame with an IPv4 packet of UDP, optionally tagged, with a time to live and a checksum.
    fn frame(tag: Option<u16>, ttl: u8, id: u16, checksum: u16, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        if let Some(tag) = tag {
            frame.extend([0x81, 0]);
            frame.extend(tag.to_be_bytes());
        }
        frame.extend([8, 0, 0x45, 0]);
        frame.extend((28 + payload.len() as u16).to_be_bytes());
        frame.extend(id.to_be_bytes());
        frame.extend([0, 0, ttl, 17, ttl, 9, 192, 0, 2, 1, 192, 0, 2, 2]);
        frame.extend([0x12, 0x34, 0, 53]);
        frame.extend((8 + payload.len() as u16).to_be_bytes());
        frame.extend(checksum.to_be_bytes());
        frame.extend(payload);
        frame
    }

    fn is_copy(seen: &mut SeenTwice, time_ns: i64, interface: u32, frame: &[u8]) -> bool {
        let headers = parse(LinkType::ETHERNET, frame, frame.len() as u32);
        let network = headers.network.unwrap();
        seen.is_copy(time_ns, interface, &network, &headers)
    }

    #[test]
    fn the_same_packet_on_another_interface_is_a_copy_whatever_the_way_changed() {
        let mut seen = SeenTwice::new(1);
        assert!(!is_copy(&mut seen, 1000, 3, &frame(None, 64, 7, 0xaaaa, b"query")));
        assert!(is_copy(&mut seen, 1500, 4, &frame(Some(5), 63, 7, 0xbbbb, b"query")));
        assert!(is_copy(&mut seen, 900, 5, &frame(None, 64, 7, 0, b"query")));
        assert_eq!(seen.forgotten(), 0);
    }

    #[test]
    fn repeated_packets_of_one_interface_all_count() {
        let mut seen = SeenTwice::new(1);
        let same = frame(None, 64, 0, 0, b"x");
        for at in 1..10 {
            assert!(!is_copy(&mut seen, at, 3, &same));
            assert!(is_copy(&mut seen, at, 4, &same));
        }
    }

    #[test]
    fn others_are_no_copies() {
        let mut seen = SeenTwice::new(1);
        assert!(!is_copy(&mut seen, 1, 3, &frame(None, 64, 7, 0, b"query")));
        for other in [
            frame(None, 64, 8, 0, b"query"),
            frame(None, 64, 7, 0, b"querz"),
            frame(None, 64, 7, 0, b"query and more"),
        ] {
            assert!(!is_copy(&mut seen, 1, 4, &other));
        }
        // Neither is what comes long after.
        let late = frame(None, 64, 9, 0, b"query");
        assert!(!is_copy(&mut seen, 1, 3, &late));
        assert!(!is_copy(&mut seen, 2 + WINDOW_NS, 4, &late));
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_is_counted() {
        let mut seen = SeenTwice::new(1);
        let count = PACKETS_REMEMBERED as u32 + 10_000;
        let numbered = |n: u32| frame(None, 64, n as u16, 0, &n.to_be_bytes());
        let copies = |seen: &mut SeenTwice, interface| {
            (0..count)
                .filter(|n| is_copy(seen, 1 + i64::from(*n), interface, &numbered(*n)))
                .count()
        };
        assert_eq!(copies(&mut seen, 3), 0);
        assert_eq!(seen.forgotten(), 0);
        let found = copies(&mut seen, 4) as u64;
        assert!(found < u64::from(count) && seen.forgotten() > 0);
    }
}
