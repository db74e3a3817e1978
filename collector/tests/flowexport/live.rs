//! Other people's exporters, live: what they say they sent is what the Collecting Process has, and nothing is called lost.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flowgauge_collector::collecting::{CollectingProcess, ProcessConfig, SessionKey, Totals};
use flowgauge_collector::io::input::Protocol;
use flowgauge_collector::io::listener::Transport;
use flowgauge_collector::normalize::columns::id;
use flowgauge_ie_registry::Registry;
use flowgauge_templates::management::SequenceHabit;

use crate::tshark;

/// What came, as rows and as it was.
struct Received {
    packets: u64,
    octets: u64,
    records: u64,
    totals: Totals,
    habit: Option<SequenceHabit>,
    protocol: Protocol,
    datagrams: Vec<Vec<u8>>,
    /// What the program printed.
    said: String,
}

/// Runs a program that sends to the port it is given, and takes what it sends until it has ended and is silent.
fn receive(start: impl FnOnce(u16) -> Command) -> Received {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut child: Child = start(port)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let config = ProcessConfig {
        listeners: vec![Transport::Udp],
        ..ProcessConfig::default()
    };
    let mut process = CollectingProcess::new(config, Registry::new());
    let (mut rows, mut datagrams, mut buffer) = (Vec::new(), Vec::new(), vec![0; 65_535]);
    let (begin, mut ended) = (Instant::now(), false);
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, peer)) => {
                let key = SessionKey {
                    listener: 0,
                    peer,
                    connection: 0,
                };
                process.handle(begin.elapsed().as_nanos() as i64, key, &buffer[..length], &mut rows);
                datagrams.push(buffer[..length].to_vec());
            }
            Err(_) if ended || begin.elapsed() > Duration::from_secs(60) => break,
            Err(_) => ended = child.try_wait().unwrap().is_some(),
        }
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let sum = |column| rows.iter().filter_map(|row| row.number(column)).sum();
    let (key, account) = process.ledger().iter().next().unwrap();
    Received {
        packets: sum(id::PACKETS),
        octets: sum(id::OCTETS),
        records: rows.len() as u64,
        totals: process.totals(),
        habit: account.sequence.habit,
        protocol: key.protocol,
        datagrams,
        said: String::from_utf8_lossy(&said).into_owned(),
    }
}

/// The sum of what tshark shows under a name in the same datagrams.
fn theirs(received: &Received, name: &str, directory: &Path) -> Option<u64> {
    let sent: Vec<tshark::Sent<'_>> = received.datagrams.iter().map(|datagram| (1, &**datagram)).collect();
    let records = tshark::decode(&sent, directory)?;
    let leaves = records.iter().flatten().flat_map(|record| &record.leaves);
    Some(
        leaves
            .filter(|leaf| leaf.name == name)
            .filter_map(|leaf| leaf.show.parse::<u64>().ok())
            .sum(),
    )
}

fn capture() -> Option<String> {
    let path = crate::corpus()?.parent()?.join("ndpi/pcap/netflix.pcap");
    path.exists().then(|| path.display().to_string())
}

fn is_installed(name: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
    found.is_ok_and(|output| output.status.success())
}

/// The number before `what` in a text.
fn number_before(text: &str, what: &str) -> Option<u64> {
    let before = text.split(what).next()?;
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn check(name: &str, received: &Received, directory: &Path) {
    println!(
        "{name:<22} {:>4} datagrams {:>5} records {:>6} packets {:>8} octets, lost {}, numbers count {}",
        received.datagrams.len(),
        received.records,
        received.packets,
        received.octets,
        received.totals.sum.sequence.lost,
        received.habit.map_or("as they should", SequenceHabit::as_str)
    );
    assert!(received.totals.balanced, "{name}");
    assert_eq!(received.totals.sum.messages, received.datagrams.len() as u64, "{name}");
    assert_eq!(received.totals.sum.sequence.lost, 0, "{name}: nothing was lost");
    assert_eq!(
        received.totals.sum.errors.total(),
        0,
        "{name}: {:?}",
        received.totals.errors
    );
    for (column, shown) in [(received.packets, "cflow.packets"), (received.octets, "cflow.octets")] {
        match theirs(received, shown, directory) {
            Some(sum) => assert_eq!(column, sum, "{name}: {shown}"),
            None => println!("skipped: sums of tshark"),
        }
    }
}

#[test]
fn softflowd_is_understood_and_its_false_losses_are_known() {
    let Some(capture) = capture().filter(|_| is_installed("softflowd")) else {
        println!("skipped: softflowd, or the capture that it reads, is not there");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for (version, protocol) in [
        ("5", Protocol::Netflow5),
        ("9", Protocol::Netflow9),
        ("10", Protocol::Ipfix),
    ] {
        let pid = directory.path().join("pid");
        let received = receive(|port| {
            let mut command = Command::new("softflowd");
            command.args([
                "-r",
                &capture,
                "-n",
                &format!("127.0.0.1:{port}"),
                "-v",
                version,
                "-A",
                "milli",
            ]);
            command.args(["-a", "-d", "-m", "1000000", "-c", "none", "-p"]).arg(pid);
            command
        });
        let name = format!("softflowd -v {version}");
        check(&name, &received, directory.path());
        assert_eq!(received.protocol, protocol);
        assert_eq!(
            Some(received.records),
            number_before(&received.said, " records) in"),
            "{}",
            received.said
        );
        let processed = received.said.split("Packets processed: ").nth(1).unwrap();
        assert_eq!(
            received.packets,
            processed.lines().next().unwrap().parse::<u64>().unwrap()
        );
        // Its IPFIX numbers include their own Message and leave out options records.
        let expected = (version == "10").then_some(SequenceHabit::IncludesItself);
        assert_eq!(received.habit, expected, "{name}");
    }
}

#[test]
fn fprobe_is_understood() {
    let Some(capture) = capture().filter(|_| is_installed("fprobe")) else {
        println!("skipped: fprobe, or the capture that it reads, is not there");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let received = receive(|port| {
        let mut command = Command::new("fprobe");
        command.args([
            "-i", "-", "-f", "ip", "-d", "60", "-e", "300", "-q", "2000000", "-m", "0", "-l", "2",
        ]);
        command
            .arg(format!("127.0.0.1:{port}"))
            .stdin(std::fs::File::open(capture).unwrap());
        command
    });
    check("fprobe", &received, directory.path());
    assert_eq!(received.protocol, Protocol::Netflow5);
    assert!(received.records > 100);
}

#[test]
fn pmacctd_is_understood() {
    let Some(capture) = capture().filter(|_| is_installed("pmacctd")) else {
        println!("skipped: pmacctd, or the capture that it reads, is not there");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for (version, protocol) in [("9", Protocol::Netflow9), ("10", Protocol::Ipfix)] {
        let path = directory.path().join("pmacctd.conf");
        let received = receive(|port| {
            let lines = [
                "daemonize: false".to_owned(),
                format!("pcap_savefile: {capture}"),
                "aggregate: src_host,dst_host,src_port,dst_port,proto,tos,tcpflags".to_owned(),
                "plugins: nfprobe".to_owned(),
                format!("nfprobe_receiver: 127.0.0.1:{port}"),
                format!("nfprobe_version: {version}"),
                "nfprobe_maxflows: 1000000".to_owned(),
                "plugin_pipe_zmq: true".to_owned(),
                "plugin_pipe_zmq_profile: large".to_owned(),
            ];
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            let mut command = Command::new("pmacctd");
            command.arg("-f").arg(&path);
            command
        });
        check(&format!("pmacctd, version {version}"), &received, directory.path());
        assert_eq!(received.protocol, protocol);
        assert_eq!(received.packets, 6_999, "as many IP packets as the capture has");
    }
}

/// The flow samples of a datagram of sfprobe, by the places of sFlow 5: the pool that each was drawn from, and the length
/// that the IPv4 header sampled from Ethernet has.
fn flow_samples(datagram: &[u8]) -> Vec<(u64, u64)> {
    let word = |at: usize| u32::from_be_bytes(datagram[at..at + 4].try_into().unwrap());
    assert_eq!([word(0), word(4)], [5, 1], "version, and an agent of IPv4");
    let mut at = 28;
    (0..word(24))
        .map(|_| {
            assert_eq!(word(at), 1, "a flow sample");
            let (sample, next) = (at + 8, at + 8 + word(at + 4) as usize);
            at = next;
            // Behind eight words of the sample: format 1 is a sampled header, and its octets follow four words more.
            let mut record = sample + 32;
            while word(record) != 1 {
                record += 8 + word(record + 4) as usize;
            }
            assert_eq!(word(record + 8), 1, "Ethernet");
            let header = record + 24;
            let length = u16::from_be_bytes([datagram[header + 16], datagram[header + 17]]);
            (u64::from(word(sample + 12)), u64::from(length))
        })
        .collect()
}

#[test]
fn sfprobe_is_understood() {
    let capture = crate::corpus().and_then(|corpus| Some(corpus.parent()?.join("ndpi/pcap/git.pcap")));
    let Some(capture) = capture.filter(|capture| capture.exists() && is_installed("pmacctd")) else {
        println!("skipped: pmacctd, or the capture that it reads, is not there");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pmacctd.conf");
    let received = receive(|port| {
        let lines = [
            "daemonize: false".to_owned(),
            format!("pcap_savefile: {}", capture.display()),
            "plugins: sfprobe".to_owned(),
            format!("sfprobe_receiver: 127.0.0.1:{port}"),
            "sampling_rate: 1".to_owned(),
            "plugin_pipe_zmq: true".to_owned(),
            "plugin_pipe_zmq_profile: large".to_owned(),
        ];
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let mut command = Command::new("pmacctd");
        command.arg("-f").arg(&path);
        command
    });
    let samples: Vec<_> = received
        .datagrams
        .iter()
        .flat_map(|datagram| flow_samples(datagram))
        .collect();
    println!(
        "sfprobe {:>18} datagrams {:>5} samples",
        received.datagrams.len(),
        samples.len()
    );
    assert!(samples.len() > 50, "{}", received.said);
    assert!(received.totals.balanced);
    assert_eq!(received.protocol, Protocol::Sflow5);
    assert_eq!(received.totals.sum.sequence.lost, 0);
    assert_eq!(received.totals.sum.errors.total(), 0, "{:?}", received.totals.errors);
    assert_eq!(received.records, samples.len() as u64);
    // One in one: each sample is a packet, and the last one says of how many.
    assert_eq!(Some(received.packets), samples.last().map(|(pool, _)| *pool));
    assert_eq!(received.octets, samples.iter().map(|(_, octets)| octets).sum::<u64>());
}
