//! Over SCTP everything arrives too, and across a collector that dies every record is delivered or declared lost. Where this
//! machine's kernel has no SCTP the tests run under one that has: tests/sctp-kernel.sh.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use sctp_rs::{NotificationOrData, SendData, SendInfo, Socket, SocketToAssociation};

use crate::support::borrowed_kernel::has_sctp;
use crate::support::collector::Collector;
use crate::support::{free_port, program, root, succeed, text};

fn capture() -> String {
    root().join("fixtures/office.pcap").display().to_string()
}

fn collector(folder: &Path, port: u16) -> Collector {
    Collector::start_with(
        &folder.join("store"),
        port,
        &["--listen", &format!("sctp://127.0.0.1:{port}")],
    )
}

/// Records metered, exported and lost, by the exporter's last lines.
fn accounts(said: &str) -> [u64; 3] {
    ["records (", "records exported", "lost"].map(|what| {
        let line = said.lines().rev().find(|line| line.contains(&format!(" {what}")));
        let before = line
            .and_then(|line| line.split(&format!(" {what}")).next())
            .unwrap_or_default();
        let number = before.split_whitespace().next_back().and_then(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("no {what}: {said}"))
    })
}

#[test]
fn everything_arrives_in_sequence_on_both_streams() {
    if !has_sctp("transports_sctp::everything_arrives_in_sequence_on_both_streams") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let collector = collector(folder.path(), free_port());
    let to = format!("sctp://127.0.0.1:{}", collector.port);
    let output = succeed(
        &program("flowgauge-exporter"),
        &["run", "--read", &capture(), "--to", &to],
    );
    let said = text(&output.stderr);
    let [sent, exported, lost] = accounts(&said);
    assert!(sent > 100 && (exported, lost) == (sent, 0), "{said}");
    assert_eq!(collector.wait_for(sent), sent);
    let exporters = collector.get("/api/v1/exporters");
    for exporter in exporters["exporters"].as_array().unwrap() {
        assert_eq!(exporter["transport"], "sctp", "{exporter}");
        assert_eq!(
            (&exporter["sequence"]["gaps"], &exporter["sequence"]["lost"]),
            (&0.into(), &0.into()),
            "{exporter}"
        );
        assert_eq!(exporter["sequence"]["restarts"], 0, "{exporter}");
        assert_eq!(exporter["balanced"], true, "{exporter}");
    }
    let status = collector.get("/api/v1/status");
    assert_eq!(status["listeners"][0]["ended"]["closed"], 1, "{status}");
}

/// One datagram from each of so many ports: as many flows.
fn make_flows(count: usize) {
    for _ in 0..count {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"flow", "127.0.0.1:9999").unwrap();
    }
}

#[test]
fn a_collector_that_dies_costs_what_is_declared() {
    if !has_sctp("transports_sctp::a_collector_that_dies_costs_what_is_declared") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut first = collector(folder.path(), port);
    let exporter = Command::new(program("flowgauge-exporter"))
        .args([
            "run",
            "--interface",
            "lo",
            "--filter",
            "udp dst port 9999",
            "--idle-timeout",
            "1s",
        ])
        .args(["--to", &format!("sctp://127.0.0.1:{port}")])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    make_flows(100);
    // A port that the system gives twice makes one flow of two datagrams.
    assert!(first.wait_for(90) >= 90);
    // Everything sent so far is stored; from here on the exporter is alone.
    first.kill();
    make_flows(100);
    std::thread::sleep(Duration::from_secs(2));
    let second = collector(folder.path(), port);
    assert!(second.wait_for(180) >= 90);
    make_flows(100);
    Command::new("kill")
        .args(["-TERM", &exporter.id().to_string()])
        .status()
        .unwrap();
    let said = text(&exporter.wait_with_output().unwrap().stderr);
    let [metered, exported, lost] = accounts(&said);
    assert!(metered >= 270 && metered == exported + lost, "{said}");
    assert_eq!(
        second.wait_for(exported),
        exported,
        "once each, and what is missing is declared: {said}"
    );
    assert!(lost < 150, "what waited was sent again: {said}");
}

/// What `sctp-rs` receives of one association until it ends: the stream and the octets of each message.
async fn receive(listener: &sctp_rs::Listener) -> Vec<(u16, Vec<u8>)> {
    let (peer, _) = listener.accept().await.unwrap();
    peer.sctp_request_rcvinfo(true).unwrap();
    let (mut messages, mut idle) = (Vec::new(), 0);
    // It has no word for the end: nothing for a second, or an empty message.
    while idle < 50 {
        let received = tokio::time::timeout(Duration::from_secs(1), peer.sctp_recv()).await;
        match received {
            Ok(Ok(NotificationOrData::Data(data))) if !data.payload.is_empty() => {
                idle = 0;
                messages.push((data.rcv_info.unwrap().sid, data.payload));
            }
            Ok(Ok(NotificationOrData::Notification(_))) => {}
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                idle += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            _ => break,
        }
    }
    messages
}

/// Another implementation at the other end: it hears our exporter, and what it heard it tells our collector.
#[test]
fn sctp_rs_hears_and_is_heard() {
    if !has_sctp("transports_sctp::sctp_rs_hears_and_is_heard") {
        return;
    }
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (messages, said) = runtime.block_on(async {
        let socket = Socket::new_v4(SocketToAssociation::OneToOne).unwrap();
        socket.bind(([127, 0, 0, 1], port).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let exporter = std::thread::spawn(move || {
            let to = format!("sctp://127.0.0.1:{port}");
            let output = succeed(
                &program("flowgauge-exporter"),
                &["run", "--read", &capture(), "--to", &to],
            );
            text(&output.stderr)
        });
        let messages = receive(&listener).await;
        (messages, exporter.join().unwrap())
    });
    let [sent, exported, lost] = accounts(&said);
    assert_eq!((exported, lost), (sent, 0), "{said}");
    let lengths =
        |(_, octets): &(u16, Vec<u8>)| octets.len() == usize::from(u16::from_be_bytes([octets[2], octets[3]]));
    assert!(
        messages.len() > 5 && messages.iter().all(lengths),
        "a message is one of IPFIX"
    );
    assert!(messages.iter().any(|(stream, _)| *stream == 0) && messages.iter().any(|(stream, _)| *stream == 1));

    let collector = collector(folder.path(), free_port());
    let address = ([127, 0, 0, 1], collector.port).into();
    let told = messages.len();
    runtime.block_on(async {
        let socket = Socket::new_v4(SocketToAssociation::OneToOne).unwrap();
        let (peer, association) = socket.connect(address).await.unwrap();
        for (stream, payload) in messages {
            let snd_info = Some(SendInfo {
                sid: stream,
                assoc_id: association,
                ..SendInfo::default()
            });
            peer.sctp_send(SendData { payload, snd_info }).await.unwrap();
        }
        collector.wait_for(sent);
        peer.shutdown(std::net::Shutdown::Both).unwrap();
    });
    assert_eq!(collector.flows(), sent);
    let exporters = collector.get("/api/v1/exporters")["exporters"].clone();
    let heard = exporters
        .as_array()
        .unwrap()
        .iter()
        .map(|exporter| exporter["datagrams"].as_u64().unwrap());
    assert_eq!(heard.sum::<u64>(), told as u64, "{exporters}");
    let gaps = exporters
        .as_array()
        .unwrap()
        .iter()
        .map(|exporter| exporter["sequence"]["gaps"].as_u64().unwrap());
    assert_eq!(gaps.sum::<u64>(), 0, "{exporters}");
}
