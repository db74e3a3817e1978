//! Addresses, packets with the source kept, and what becomes of copies, against sockets on loopback.

use super::packet::write_packet;
use super::*;
use crate::io::queue::Queue;

fn batch(peer: SocketAddr, datagrams: &[&[u8]]) -> Batch {
    let mut batch = Queue::new(1 << 20, 7).batch(0, 0, 1);
    datagrams.iter().for_each(|bytes| batch.push(peer, bytes));
    batch
}

fn listening() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn heard(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (octets, peer) = socket.recv_from(&mut buffer).unwrap();
    buffer.truncate(octets);
    (buffer, peer)
}

fn destination(text: &str) -> RelayAddress {
    text.parse().unwrap()
}

#[test]
fn addresses_are_written_as_they_are_read() {
    for text in [
        "udp://192.0.2.1:2055",
        "udp://[2001:db8::1]:4739",
        "udp://collector.example:4739?source=keep",
    ] {
        assert_eq!(destination(text).to_string(), text);
    }
    assert_eq!(destination("udp://h:1?source=own").to_string(), "udp://h:1");
    for (text, says) in [
        ("tcp://192.0.2.1:1", "not a destination"),
        ("udp://192.0.2.1", "not HOST:PORT"),
        ("udp://192.0.2.1:0", "not HOST:PORT"),
        ("udp://2001:db8::1:4739", "neither a name nor an address"),
        ("udp://h:1?source=kept", "source=keep or source=own"),
    ] {
        let said = text.parse::<RelayAddress>().unwrap_err();
        assert!(said.contains(says), "{said}");
    }
}

/// Checksums by hand: RFC 768's pseudo header summed by the rule of RFC 1071.
#[test]
fn headers_are_what_the_rfcs_say() {
    let mut packet = Vec::new();
    let [from, to] = ["192.0.2.1:258", "198.51.100.2:772"].map(|text| text.parse().unwrap());
    assert!(write_packet(&mut packet, from, to, b"abc"));
    assert_eq!(packet[..4], [0x45, 0, 0, 31]);
    assert_eq!(packet[12..20], [192, 0, 2, 1, 198, 51, 100, 2]);
    // c000+0201+c633+6402 + 0011+000b + 0102+0304+000b + 6162+6300 = 2b4c5, folded b4c7, inverted 4b38.
    assert_eq!(packet[20..], [1, 2, 3, 4, 0, 11, 0x4b, 0x38, b'a', b'b', b'c']);
    let [from, to] = ["[2001:db8::1]:258", "[2001:db8::2]:772"].map(|text| text.parse().unwrap());
    assert!(write_packet(&mut packet, from, to, b""));
    assert_eq!((packet.len(), &packet[..8]), (48, &[0x60, 0, 0, 0, 0, 8, 17, 64][..]));
    // 2*(2001+0db8)+1+2 + 0008+0011 + 0102+0304+0008 = 5f9c, inverted a063.
    assert_eq!(packet[46..], [0xa0, 0x63]);
    assert!(!write_packet(&mut packet, from, to, &vec![0; 65_528]));
    let four = "192.0.2.1:258".parse().unwrap();
    assert!(!write_packet(&mut packet, four, to, b"abc"));
}

#[test]
fn a_slow_destination_loses_copies_and_receiving_waits_for_none() {
    let (sender, receiver) = bounded(RELAY_BATCHES);
    let counters = Arc::new(RelayCounters::default());
    let relay = Relay {
        lanes: vec![(sender, Arc::clone(&counters))],
    };
    let peer = "192.0.2.1:9".parse().unwrap();
    let large = batch(peer, &[&[0; 60_000][..]; 64]);
    let fit = RELAY_OCTETS / large.cost() as u64;
    (0..fit + 2).for_each(|_| relay.offer(&large));
    assert_eq!(counters.outcome(Outcome::QueueFull), 128);
    assert_eq!(receiver.len() as u64, fit);
    let waiting = counters.waiting_octets.load(Ordering::Relaxed);
    assert_eq!(waiting, fit * large.cost() as u64);
}

#[test]
fn each_destination_gets_every_copy_and_one_that_is_dead_is_counted() {
    let ((alive, port), (dead, closed)) = (listening(), listening());
    drop(dead);
    let destinations = [port, closed].map(|port| destination(&format!("udp://127.0.0.1:{port}")));
    let rules = ExporterRules {
        allow: vec!["192.0.2.0/24".parse().unwrap()],
        ..ExporterRules::default()
    };
    let (relay, threads) = start(&destinations, &rules, &[]).unwrap();
    let relay = relay.unwrap();
    for n in 0..50u8 {
        relay.offer(&batch("192.0.2.1:9".parse().unwrap(), &[&[n; 20], b""]));
        relay.offer(&batch("203.0.113.1:9".parse().unwrap(), &[b"not taken"]));
        assert_eq!(heard(&alive).0, [n; 20]);
        assert_eq!(heard(&alive).0, b"");
    }
    drop(relay);
    let statuses = threads.statuses.clone();
    threads.end();
    for status in &statuses {
        let counters = &status.counters;
        assert_eq!(counters.outcome(Outcome::NotAllowed), 50);
        assert_eq!(counters.waiting_octets.load(Ordering::Relaxed), 0);
        let ended: u64 = Outcome::ALL.map(|outcome| counters.outcome(outcome)).iter().sum();
        assert_eq!(ended, 150, "{counters:?}");
    }
    let [alive, dead] = [0, 1].map(|at| &statuses[at].counters);
    assert_eq!(alive.outcome(Outcome::Sent), 100);
    assert_eq!(alive.octets.load(Ordering::Relaxed), 1_000);
    assert_eq!(alive.refused.load(Ordering::Relaxed), 0);
    assert!(dead.refused.load(Ordering::Relaxed) > 0, "{dead:?}");
}

#[test]
fn a_destination_that_is_this_collector_is_refused() {
    let own = ["[::]:4739", "127.0.0.1:2055"].map(|text| text.parse().unwrap());
    for text in [
        "udp://127.0.0.1:4739",
        "udp://[::1]:4739?source=keep",
        "udp://127.0.0.1:2055",
    ] {
        let failure = start(&[destination(text)], &ExporterRules::default(), &own).unwrap_err();
        assert!(failure.line.contains("this collector itself listens"), "{failure}");
    }
    for text in ["192.0.2.1:4739", "127.0.0.2:2055", "127.0.0.1:2056"] {
        assert!(!is_own(text.parse().unwrap(), &own), "{text}");
    }
}

#[test]
fn names_without_an_address_cost_their_copies_only() {
    // A label of 64 octets, which no resolver asks anybody about (RFC 1035 section 2.3.4).
    let nowhere = destination(&format!("udp://{}.invalid:4739", "a".repeat(64)));
    let (relay, threads) = start(&[nowhere], &ExporterRules::default(), &[]).unwrap();
    relay
        .unwrap()
        .offer(&batch("192.0.2.1:9".parse().unwrap(), &[b"a", b"b"]));
    let counters = Arc::clone(&threads.statuses[0].counters);
    let begin = Instant::now();
    while counters.outcome(Outcome::Unresolved) < 2 && begin.elapsed() < Duration::from_secs(15) {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(counters.outcome(Outcome::Unresolved), 2);
    threads.end();
}
