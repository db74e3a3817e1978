//! Over SCTP everything arrives too, and across a collector that dies every record is delivered or declared lost. Where this
//! machine's kernel has no SCTP the tests run under one that has: tests/sctp-kernel.sh.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::collector::Collector;
use crate::support::borrowed_kernel::has_sctp;
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
