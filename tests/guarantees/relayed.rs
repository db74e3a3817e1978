//! Other collectors get exactly the datagrams that this one got, from us or in the exporter's name, and one that is dead
//! costs nothing but its own copies, which are counted.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::peers::is_installed;
use crate::support::{free_port, program, run, skipped, text};

const DATAGRAMS: u32 = 300;

/// Datagrams of every protocol's first octets and some of none, of many lengths; each is told apart by its number.
fn datagrams() -> Vec<Vec<u8>> {
    let versions = [[0, 5], [0, 7], [0, 9], [0, 10], [0, 0], [255, 255]];
    let one = |number: u32| {
        let version = versions[number as usize % versions.len()];
        let filling = vec![number as u8; (number as usize * 37) % 1_400];
        [&version[..], &number.to_be_bytes(), &filling].concat()
    };
    (0..DATAGRAMS).map(one).collect()
}

fn listening(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// What comes there next, and from where.
fn heard(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_535];
    let (octets, peer) = socket.recv_from(&mut buffer).expect("a copy within 10 s");
    buffer.truncate(octets);
    (buffer, peer)
}

fn start(folder: &Path, host: &str, more: &[&str]) -> Collector {
    let port = free_port();
    let listen = format!("udp://{host}:{port}");
    let mut arguments = vec!["--listen", listen.as_str()];
    arguments.extend(more);
    Collector::start_with(&folder.join("store"), port, &arguments)
}

fn relays(collector: &Collector) -> Vec<Value> {
    let status = collector.get("/api/v1/status");
    status["relays"].as_array().unwrap().clone()
}

fn received(collector: &Collector) -> Value {
    collector.get("/api/v1/status")["ledger"]["received"]["datagrams"].clone()
}

/// Waits until every copy for a destination has come to an end; says which.
fn settled(collector: &Collector, at: usize, copies: u64) -> Value {
    let begin = Instant::now();
    loop {
        let relay = relays(collector)[at].clone();
        let ends = relay["datagrams"].as_object().unwrap();
        if ends.values().filter_map(Value::as_u64).sum::<u64>() == copies {
            return relay;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{relay}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn copies_are_what_was_received_and_a_dead_destination_costs_its_own_only() {
    let folder = tempfile::tempdir().unwrap();
    let ((one, one_address), (other, other_address)) = (listening("127.0.0.1:0"), listening("127.0.0.1:0"));
    let dead = format!("udp://127.0.0.1:{}", free_port());
    let [to_one, to_other] = [one_address, other_address].map(|address| format!("udp://{address}"));
    let more = ["--relay", &to_one, "--relay", &dead, "--relay", &to_other];
    let collector = start(folder.path(), "127.0.0.1", &more);
    let (exporter, address) = listening("127.0.0.1:0");
    for datagram in datagrams() {
        exporter.send_to(&datagram, ("127.0.0.1", collector.port)).unwrap();
        for socket in [&one, &other] {
            let (copy, peer) = heard(socket);
            assert_eq!(copy, datagram);
            assert_ne!(peer, address);
        }
    }
    let octets = datagrams().iter().map(Vec::len).sum::<usize>();
    for at in [0, 2] {
        let relay = settled(&collector, at, DATAGRAMS.into());
        assert_eq!(
            (&relay["datagrams"]["sent"], &relay["octets"]),
            (&DATAGRAMS.into(), &octets.into())
        );
        assert_eq!((&relay["refused"], &relay["waiting_octets"]), (&0.into(), &0.into()));
    }
    let relay = settled(&collector, 1, DATAGRAMS.into());
    assert!(relay["refused"].as_u64().unwrap() > 0, "{relay}");
    let mut metrics = ureq::get(format!("{}/metrics", collector.url)).call().unwrap();
    let metrics = metrics.body_mut().read_to_string().unwrap();
    let line =
        format!("flowgauge_collector_relay_datagrams_total{{destination=\"{to_one}\",outcome=\"sent\"}} {DATAGRAMS}\n");
    assert!(metrics.contains(&line), "{metrics}");
    let begin = Instant::now();
    while received(&collector) != DATAGRAMS && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(received(&collector), DATAGRAMS);
    let said = collector.terminate();
    assert!(said.contains("nobody listens there") && said.contains(&dead), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn with_the_source_kept_copies_come_from_the_exporter() {
    if !may_send_raw() {
        return skipped("a relay that keeps the source", "it takes CAP_NET_RAW");
    }
    for (host, senders) in [
        ("127.0.0.1", &["127.0.0.1:0", "127.0.0.2:0", "127.9.8.7:0"][..]),
        ("[::1]", &["[::1]:0", "[::1]:0"][..]),
    ] {
        if UdpSocket::bind(format!("{host}:0")).is_err() {
            skipped("relaying", "this machine lacks an IP version");
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let (socket, address) = listening(&format!("{host}:0"));
        let to = format!("udp://{address}?source=keep");
        let collector = start(folder.path(), host, &["--relay", &to]);
        let exporters: Vec<_> = senders.iter().map(|sender| listening(sender)).collect();
        let to = format!("{host}:{}", collector.port);
        for (datagram, (exporter, address)) in datagrams().into_iter().zip(exporters.iter().cycle()) {
            exporter.send_to(&datagram, &to).unwrap();
            assert_eq!(heard(&socket), (datagram, *address));
        }
        let relay = settled(&collector, 0, DATAGRAMS.into());
        assert_eq!(relay["datagrams"]["sent"], DATAGRAMS, "{relay}");
        // Nearly as large as a packet gets: loopback takes 65536 octets in one piece.
        let (exporter, address) = &exporters[0];
        let large = vec![7; 65_000];
        exporter.send_to(&large, &to).unwrap();
        assert_eq!(heard(&socket), (large, *address));
    }
}

/// Whether programs started from here may open raw sockets: CAP_NET_RAW is capability 13.
fn may_send_raw() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & 1 << 13 != 0
}

#[test]
fn without_the_permission_for_it_the_start_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let program = program("flowgauge-collector").display().to_string();
    let (listen, data) = (
        format!("udp://127.0.0.1:{}", free_port()),
        folder.path().join("store").display().to_string(),
    );
    let http = format!("127.0.0.1:{}", free_port());
    let mut command = vec!["--bounding-set", "-net_raw", &program];
    let relay = "udp://127.0.0.1:9?source=keep";
    let arguments = [
        "run", "--listen", &listen, "--http", &http, "--data", &data, "--relay", relay,
    ];
    command.extend(arguments);
    let output = if !may_send_raw() {
        run(Path::new(&program), &arguments)
    } else if is_installed("setpriv") {
        run(Path::new("setpriv"), &command)
    } else {
        return skipped("a relay without CAP_NET_RAW", "setpriv is not installed");
    };
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = said
        .lines()
        .find(|line| line.contains(relay))
        .unwrap_or_else(|| panic!("{said}"));
    assert!(
        line.contains("setcap cap_net_raw=ep") && line.contains("?source=keep"),
        "{line}"
    );
}
