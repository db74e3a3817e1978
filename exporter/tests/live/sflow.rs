//! The sFlow agent on a live interface: samples of what passed, counters as the system has them, spread in time.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flowgauge_templates::sflow::Interface;

use super::namespaces::{Exporter, Namespace, PATIENCE, veth_pair};
use super::received::{Seen, tshark};
use super::traffic::conversations;

const PORT: u16 = 6343;

/// Listens within a namespace until it is told to stop.
struct Collector {
    socket: UdpSocket,
    stop: AtomicBool,
}

impl Collector {
    fn within(namespace: &Namespace) -> Collector {
        namespace.ip("link set lo up");
        let socket = namespace.within(|| UdpSocket::bind(("127.0.0.1", PORT)).unwrap());
        let socket = socket2::Socket::from(socket);
        socket.set_recv_buffer_size(8 << 20).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Collector {
            socket: socket.into(),
            stop: AtomicBool::new(false),
        }
    }

    /// What comes while something is done, and shortly after.
    fn receive<T: Send>(&self, act: impl FnOnce() -> T + Send) -> (Seen, T) {
        std::thread::scope(|scope| {
            let listening = scope.spawn(|| {
                let (mut seen, mut buffer, begin) = (Seen::default(), vec![0; 65_535], Instant::now());
                loop {
                    match self.socket.recv(&mut buffer) {
                        Ok(length) => seen.add(&buffer[..length], begin.elapsed()),
                        Err(_) if self.stop.load(Ordering::Relaxed) => return seen,
                        Err(_) => {}
                    }
                }
            });
            let done = act();
            self.stop.store(true, Ordering::Relaxed);
            (listening.join().unwrap(), done)
        })
    }
}

fn start(namespace: &Namespace, flags: &[&str]) -> Exporter {
    let to = format!("sflow://127.0.0.1:{PORT}");
    let all = [&["--to", &to, "--api", "off", "--interface"][..], flags].concat();
    namespace.exporter(&all)
}

/// The row of an interface in /proc/net/dev of a namespace.
fn device(namespace: &Namespace, name: &str) -> Vec<u64> {
    let output = namespace.execute(&["cat", "/proc/net/dev"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(&format!("{name}:")))
        .unwrap();
    row.split_whitespace().map(|count| count.parse().unwrap()).collect()
}

fn index(namespace: &Namespace, name: &str) -> u32 {
    let output = namespace.execute(&["cat", &format!("/sys/class/net/{name}/ifindex")]);
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn samples_and_counters_are_those_of_the_interface() {
    let Some((left, right)) = veth_pair("sFlow over a veth pair") else {
        return;
    };
    let collector = Collector::within(&right);
    let frames: Vec<Vec<u8>> = (0..50)
        .flat_map(|turn| conversations(400).into_iter().map(move |one| one.frame(turn, false)))
        .collect();
    let (seen, (records, said)) = collector.receive(|| {
        let exporter = start(
            &right,
            &[
                "vb",
                "--buffer",
                "64M",
                "--sflow-sample",
                "1/20",
                "--sflow-polling",
                "1s",
                "--workers",
                "2",
            ],
        );
        left.send("va", 50_000, frames.iter().map(Vec::as_slice));
        // Everything is counted when the counters are polled again.
        std::thread::sleep(Duration::from_millis(2_500));
        exporter.end()
    });
    let (vb, device) = (index(&right, "vb"), device(&right, "vb"));
    assert_eq!(device[1], frames.len() as u64);
    // Two workers are one agent: one row of numbers for the interface, and one pool.
    let flows = &seen.flows;
    for (at, flow) in flows.iter().enumerate() {
        assert_eq!((flow.sequence, flow.index, flow.rate), (at as u32 + 1, vb, 20));
        assert_eq!((flow.input, flow.output), (Interface::Index(vb), Interface::Index(0)));
        assert_eq!((flow.protocol, flow.stripped, flow.drops), (1, 4, 0));
    }
    assert!(flows.windows(2).all(|pair| pair[0].pool < pair[1].pool));
    assert!(flows.last().unwrap().pool <= frames.len() as u32);
    let expected = frames.len() as f64 / 20.0;
    let sampled = flows.len() as f64;
    assert!(
        (sampled - expected).abs() < 5.0 * expected.sqrt(),
        "{sampled} {expected}"
    );
    let skipped = frames.len() - flows.len();
    assert!(
        said.contains(&format!(
            "sFlow: {} packets seen = {} sampled + {skipped} not sampled",
            frames.len(),
            flows.len()
        )),
        "{said}"
    );
    // The other destination had flow records, and none of what sFlow sends.
    assert_eq!(records.len(), 400);

    let of = |class: u64| {
        seen.counters
            .iter()
            .filter(|counters| counters["class"] == class)
            .collect::<Vec<_>>()
    };
    let (interfaces, host) = (of(0), of(2));
    for of in [&interfaces, &host] {
        assert!(of.len() >= 2, "{}", of.len());
        for (at, counters) in of.iter().enumerate() {
            assert_eq!(counters["sequence"], at as u64 + 1);
        }
    }
    let last = interfaces.last().unwrap();
    assert_eq!(last["index"], u64::from(vb));
    assert_eq!((last["ifInOctets"], last["ifInUcastPkts"]), (device[0], device[1]));
    assert_eq!((last["ifOutOctets"], last["ifOutUcastPkts"]), (device[8], device[9]));
    assert_eq!(last["ifType"], 6);
    // The last numbers may be of when nobody looks at the interface any more.
    assert!(interfaces.iter().any(|counters| counters["ifPromiscuousMode"] == 1));
    assert!(last.contains_key("dot3StatsFCSErrors"), "{last:?}");
    let last = host.last().unwrap();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let total: u64 = memory.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert_eq!(last["memTotal"], total * 1024, "{last:?}");
    let directory = tempfile::tempdir().unwrap();
    tshark(&seen, directory.path(), &["sflow_245.numsamples"]);
}

#[test]
fn samples_leave_within_a_second_and_counters_apart() {
    let Some((left, right)) = veth_pair("sFlow in time") else {
        return;
    };
    let collector = Collector::within(&right);
    let frame = conversations(1)[0].frame(0, false);
    let (seen, sent) = collector.receive(|| {
        let exporter = start(&right, &["vb", "lo", "--sflow-sample", "1/1", "--sflow-polling", "2s"]);
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        left.send("va", 1000, std::iter::once(frame.as_slice()));
        std::thread::sleep(Duration::from_millis(6_500));
        drop(exporter.end());
        began
    });
    assert!(sent.elapsed() < PATIENCE);
    // Four polls of three sources at least, each source every two seconds.
    let mut by_source = std::collections::BTreeMap::<(u64, u64), u64>::new();
    for counters in &seen.counters {
        *by_source.entry((counters["class"], counters["index"])).or_default() += 1;
    }
    assert_eq!(by_source.len(), 3, "{by_source:?}");
    assert!(by_source.values().all(|count| (2..=5).contains(count)), "{by_source:?}");
    let flows = seen
        .flows
        .iter()
        .filter(|flow| flow.frame_length == frame.len() as u32 + 4)
        .count();
    assert!(flows >= 1);
    assert_eq!(seen.heads.last().unwrap().sequence as usize, seen.heads.len());
    // As /proc/uptime has it.
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let told = f64::from(seen.heads.last().unwrap().uptime_ms) / 1000.0;
    let wrapped = (uptime * 1000.0) % f64::from(u32::MAX) / 1000.0;
    assert!((wrapped - told).abs() < 20.0, "{told} {wrapped}");
}

#[test]
fn large_numbers_of_interfaces_are_expanded() {
    let Some(left) = Namespace::make("sFlow with large numbers of interfaces") else {
        return;
    };
    let Some(right) = Namespace::make("sFlow with large numbers of interfaces") else {
        return;
    };
    const NUMBER: u32 = (1 << 24) + 84;
    right.ip(&format!(
        "link add name vb index {NUMBER} type veth peer name va netns {}",
        left.name
    ));
    right.ip("link set vb up");
    left.ip("link set va up");
    let collector = Collector::within(&right);
    let frames: Vec<Vec<u8>> = conversations(40).into_iter().map(|one| one.frame(0, false)).collect();
    let (seen, _) = collector.receive(|| {
        let exporter = start(&right, &["vb", "--sflow-sample", "1/1", "--sflow-polling", "1s"]);
        left.send("va", 1000, frames.iter().map(Vec::as_slice));
        std::thread::sleep(Duration::from_millis(1_500));
        exporter.end()
    });
    assert_eq!(seen.flows.len(), 40);
    assert!(
        seen.flows
            .iter()
            .all(|flow| flow.index == NUMBER && flow.input == Interface::Index(NUMBER))
    );
    assert!(
        seen.counters
            .iter()
            .any(|counters| counters["index"] == u64::from(NUMBER))
    );
    // Format 3 and 4, never 1 and 2, in every datagram: behind a header of 28 octets.
    for datagram in &seen.datagrams {
        let format = u32::from_be_bytes(datagram[28..32].try_into().unwrap());
        assert!(format == 3 || format == 4, "{format}");
    }
    let directory = tempfile::tempdir().unwrap();
    tshark(&seen, directory.path(), &["sflow_245.numsamples"]);
}

#[test]
fn connections_of_this_host_say_who_owns_them_and_how_they_fare() {
    use std::io::{Read, Write};
    let Some(namespace) = Namespace::make("sFlow of connections") else {
        return;
    };
    let collector = Collector::within(&namespace);
    let (seen, _) = collector.receive(|| {
        let exporter = start(
            &namespace,
            &[
                "lo",
                "--filter",
                "tcp",
                "--sflow-sample",
                "1/1",
                "--sflow-polling",
                "off",
            ],
        );
        namespace.within(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            client
                .write_all(b"GET /index HTTP/1.1\r\nHost: example.org\r\n\r\n")
                .unwrap();
            server.read_exact(&mut [0; 42]).unwrap();
            server.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            // What is sampled is looked up while the connection is there.
            std::thread::sleep(Duration::from_millis(1_200));
        });
        exporter.end()
    });
    let others: Vec<String> = seen.flows.iter().flat_map(|flow| flow.others.clone()).collect();
    let line: Vec<u8> = b"GET /index HTTP/1.1".to_vec();
    assert!(
        others
            .iter()
            .any(|record| record.starts_with("Url") && record.contains(&format!("{line:?}"))),
        "{others:?}"
    );
    if !others.iter().any(|record| record.starts_with("TcpInfo")) {
        println!("skipped: the kernel does not tell of connections");
        return;
    }
    let root: Vec<u8> = b"root".to_vec();
    assert!(
        others
            .iter()
            .any(|record| record.starts_with("User") && record.contains(&format!("{root:?}"))),
        "{others:?}"
    );
    let directory = tempfile::tempdir().unwrap();
    if let Some(lines) = tshark(&seen, directory.path(), &["sflow_5.extended_url.host"]) {
        assert!(lines.iter().any(|line| line[0].contains("example.org")), "{lines:?}");
    }
}
