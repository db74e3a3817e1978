//! One packet on several interfaces of one run counts once: veth pairs, bridges, routers, `any`.

use std::net::UdpSocket;
use std::time::Duration;

use super::namespaces::{Namespace, PATIENCE, totals, veth_pair};
use super::traffic::{by_conversation, conversations};

/// Sends conversations from both sides, and says what they add up to.
fn talk(left: &Namespace, right: &Namespace, ends: [&str; 2]) -> super::traffic::Counts {
    let conversations = conversations(40);
    let mut sum = [0; 4];
    for (turn, reverse) in [(0, false), (0, true), (1, false), (2, false), (1, true)] {
        let frames: Vec<Vec<u8>> = conversations.iter().map(|one| one.frame(turn, reverse)).collect();
        let (namespace, end) = if reverse { (right, ends[1]) } else { (left, ends[0]) };
        namespace.send(end, 50_000, frames.iter().map(Vec::as_slice));
    }
    for conversation in &conversations {
        let (_, counts) = conversation.truth(3, 2);
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    std::thread::sleep(Duration::from_millis(400));
    sum
}

fn check(records: &[serde_json::Value], said: &str, [forward, forward_octets, reverse, reverse_octets]: [u64; 4]) {
    assert_eq!(
        totals(records),
        (forward + reverse, forward_octets + reverse_octets),
        "{said}"
    );
    // Whole biflows: each conversation is one record, wherever its packets were seen.
    assert_eq!((records.len(), by_conversation(records).len()), (40, 40), "{said}");
    let both_ways = by_conversation(records)
        .values()
        .all(|counts| counts[0] == 3 && counts[2] == 2);
    assert!(both_ways, "{said}");
}

/// Both ends of a veth pair in one namespace.
#[test]
fn both_ends_of_a_veth_pair() {
    let Some(host) = Namespace::make("both ends of a veth pair") else {
        return;
    };
    host.ip("link add name va type veth peer name vb");
    host.ip("link set va up");
    host.ip("link set vb up");
    for workers in ["1", "2"] {
        let exporter = host.exporter(&["--interface", "va", "vb", "--workers", workers]);
        let truth = talk(&host, &host, ["va", "vb"]);
        let (records, said) = exporter.end();
        check(&records, &said, truth);
        assert!(
            said.contains("200 seen on another interface before") || workers == "2",
            "{said}"
        );
    }
    let exporter = host.exporter(&["--interface", "any", "--filter", "net 10.0.0.0/8"]);
    let truth = talk(&host, &host, ["va", "vb"]);
    let (records, said) = exporter.end();
    check(&records, &said, truth);
    assert!(
        said.contains("any: 400 packets seen, 200 metered, 0 not metered"),
        "{said}"
    );
}

/// A bridge with two members; the exporter is told of the bridge and one member, or of all three.
#[test]
fn a_bridge_and_its_members() {
    let Some((left, host)) = veth_pair("a bridge and its members") else {
        return;
    };
    let Some(right) = Namespace::make("a bridge and its members") else {
        return;
    };
    right.ip(&format!("link add name vc type veth peer name vd netns {}", host.name));
    right.ip("link set vc up");
    host.ip("link add br0 type bridge");
    for member in ["vb", "vd"] {
        host.ip(&format!("link set {member} master br0"));
        host.ip(&format!("link set {member} up"));
    }
    host.ip("link set br0 up");
    for interfaces in [&["vb", "br0"][..], &["vd", "br0", "vb"], &["vb", "vd"], &["vb"]] {
        let mut arguments = vec!["--filter", "net 10.0.0.0/8", "--interface"];
        arguments.extend(interfaces);
        let exporter = host.exporter(&arguments);
        let truth = talk(&left, &right, ["va", "vc"]);
        let (records, said) = exporter.end();
        check(&records, &said, truth);
    }
}

/// A router: link headers and time to live differ on its two sides.
#[test]
fn both_sides_of_a_router() {
    let Some((left, router)) = veth_pair("both sides of a router") else {
        return;
    };
    let Some(right) = Namespace::make("both sides of a router") else {
        return;
    };
    right.ip(&format!(
        "link add name vc type veth peer name vd netns {}",
        router.name
    ));
    for (namespace, interface, address) in [
        (&left, "va", "192.0.2.1/25"),
        (&router, "vb", "192.0.2.2/25"),
        (&router, "vd", "192.0.2.130/25"),
        (&right, "vc", "192.0.2.131/25"),
    ] {
        namespace.ip(&format!("addr add {address} dev {interface}"));
        namespace.ip(&format!("link set {interface} up"));
    }
    left.ip("route add default via 192.0.2.2");
    right.ip("route add default via 192.0.2.130");
    router.execute(&["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    let exporter = router.exporter(&["--interface", "vb", "vd", "--filter", "udp"]);
    let bind = |namespace: &Namespace, address: &'static str| {
        let socket = namespace.within(|| UdpSocket::bind(address).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    };
    let (client, server) = (bind(&left, "192.0.2.1:0"), bind(&right, "192.0.2.131:7"));
    let mut buffer = [0; 200];
    for _ in 0..20 {
        // The same octets again and again: only where they are seen tells copies from repeats.
        client.send_to(&[7; 100], "192.0.2.131:7").unwrap();
        let (octets, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..octets], from).unwrap();
        client.recv_from(&mut buffer).unwrap();
    }
    std::thread::sleep(Duration::from_millis(400));
    let (records, said) = exporter.end();
    assert_eq!(totals(&records), (40, 40 * 128), "{said}");
    assert_eq!(records.len(), 1, "{said}");
    assert!(
        said.contains("vb + vd: 80 packets seen, 40 metered, 0 not metered, 40 seen on another interface before"),
        "{said}"
    );
}
