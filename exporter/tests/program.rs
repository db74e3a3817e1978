//! The program as people and scripts meet it: exit status, one line for each fault, whole files whatever happens.
#![allow(clippy::unwrap_used)]

#[path = "program/lines.rs"]
mod lines;
#[path = "program/sflow/mod.rs"]
mod sflow;
#[path = "program/top.rs"]
mod top;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn exporter(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgauge-exporter"));
    command.current_dir(directory);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FLOWGAUGE_")) {
        command.env_remove(name);
    }
    command
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    exporter(directory).arg("run").args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An Ethernet frame with a UDP datagram of 8 octets from 192.0.2.1 to 192.0.2.2.
fn udp_frame(source_port: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    frame.extend([0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend(source_port.to_be_bytes());
    frame.extend([0, 53, 0, 16, 0, 0]);
    frame.extend(*b"12345678");
    frame
}

/// A pcap file with one datagram from each of `ports`, a millisecond apart.
fn capture(directory: &Path, ports: std::ops::Range<u16>) -> PathBuf {
    let mut octets = Vec::new();
    octets.extend(0xa1b2_c3d4u32.to_le_bytes());
    octets.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    octets.extend(65_535u32.to_le_bytes());
    octets.extend(1u32.to_le_bytes());
    for (place, port) in ports.enumerate() {
        let frame = udp_frame(port);
        octets.extend(1_767_225_600u32.to_le_bytes());
        octets.extend((place as u32 * 1000).to_le_bytes());
        octets.extend((frame.len() as u32).to_le_bytes());
        octets.extend((frame.len() as u32).to_le_bytes());
        octets.extend(frame);
    }
    let path = directory.join("a.pcap");
    std::fs::write(&path, octets).unwrap();
    path
}

/// The exit status of a child, none when it has not ended in time.
fn wait(child: &mut Child, time: Duration) -> Option<i32> {
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    None
}

fn records(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_capture_becomes_records_and_a_balanced_account() {
    let directory = tempfile::tempdir().unwrap();
    capture(directory.path(), 1000..1300);
    let output = run(
        directory.path(),
        &["--read", "a.pcap", "--to", "json:a.json", "file:a.ipfix"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let records = records(&directory.path().join("a.json"));
    assert_eq!(records.len(), 300);
    let octets: u64 = records
        .iter()
        .map(|record| record["octetDeltaCount"].as_u64().unwrap())
        .sum();
    assert_eq!(octets, 300 * 36);
    let accounts = stderr(&output);
    assert!(
        accounts.contains("300 packets seen, 300 metered, 0 not metered"),
        "{accounts}"
    );
    assert!(
        accounts.contains("json:a.json: 300 records exported") && accounts.contains("0 lost"),
        "{accounts}"
    );
    assert!(accounts.contains("file:a.ipfix: 300 records exported"), "{accounts}");
    assert!(directory.path().join("a.ipfix").exists());
}

#[test]
fn wrong_arguments_end_with_2_and_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("e.toml"), "[metering]\nidel_timeout = \"15s\"\n").unwrap();
    for (arguments, line) in [
        (&[][..], "no packets to meter: add --interface IF"),
        (&["--read", "a", "--to", "dtls://h"], "needs --tls-certificate"),
        (
            &["--read", "a", "--to", "json:-", "--idle-timeout", "15"],
            "--idle-timeout: `15` is not a duration",
        ),
        (
            &["--config", "e.toml"],
            "e.toml:2: unknown key `metering.idel_timeout`; did you mean `idle_timeout`?",
        ),
        (&["--config", "none.toml"], "none.toml: No such file"),
        (&["--frobnicate"], "unexpected argument '--frobnicate'"),
        (&["--read"], "a value is required for '--read"),
    ] {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(line), "{arguments:?}: {}", stderr(&output));
        let one_each = stderr(&output)
            .lines()
            .all(|line| line.starts_with("flowgauge-exporter: "));
        assert!(one_each, "{arguments:?}: {}", stderr(&output));
    }
    let mistyped = exporter(directory.path())
        .args(["run", "--read", "a", "--to", "json:-"])
        .env("FLOWGAUGE_CAPTURE_FILTERS", "udp")
        .output()
        .unwrap();
    assert_eq!(mistyped.status.code(), Some(2));
    assert!(
        stderr(&mistyped).contains("did you mean FLOWGAUGE_CAPTURE_FILTER?"),
        "{}",
        stderr(&mistyped)
    );
}

#[test]
fn udp_that_nobody_takes_is_lost_and_ends_with_1() {
    let directory = tempfile::tempdir().unwrap();
    capture(directory.path(), 1000..1300);
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let to = format!("udp://{closed}");
    let output = run(directory.path(), &["--read", "a.pcap", "--to", &to, "--rate", "0"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let accounts = stderr(&output);
    assert!(accounts.contains("nobody listens there"), "{accounts}");
    assert!(
        accounts.contains("0 records exported") && accounts.contains("300 lost (refused 300)"),
        "{accounts}"
    );
}

#[test]
fn what_fails_at_the_start_ends_with_1_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    capture(directory.path(), 1..3);
    for (arguments, line) in [
        (&["--read", "none.pcap", "--to", "file:a.ipfix"][..], "none.pcap"),
        (
            &["--read", "a.pcap", "--to", "file:none/a.ipfix"],
            "make the directory first",
        ),
        (&["--read", "a.pcap", "--to", "json:."], "name a file in it"),
        (&["--read", "a.pcap", "--to", "file:."], "name a file in it"),
        (&["--interface", "none0", "--to", "json:-"], "none0"),
    ] {
        let output = run(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(line), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{arguments:?}: {}", stderr(&output));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "{arguments:?}");
    }
}

#[test]
fn a_cut_capture_yields_all_before_the_cut_and_ends_with_1() {
    let directory = tempfile::tempdir().unwrap();
    let path = capture(directory.path(), 1..101);
    let octets = std::fs::read(&path).unwrap();
    std::fs::write(&path, &octets[..octets.len() - 10]).unwrap();
    let output = run(directory.path(), &["--read", "a.pcap", "--to", "json:a.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("a.pcap"), "{}", stderr(&output));
    assert_eq!(records(&directory.path().join("a.json")).len(), 99);
}

#[test]
fn a_signal_ends_all_flows_and_completes_the_file() {
    let directory = tempfile::tempdir().unwrap();
    // A pipe that stays open: only the signal ends it.
    let mut child = exporter(directory.path())
        .args(["run", "--read", "-", "--to", "file:a.ipfix", "--to", "json:a.json"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let path = capture(directory.path(), 1..1001);
    let octets = std::fs::read(path).unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), &octets).unwrap();
    let part = directory.path().join("a.ipfix.part");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !part.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(200));
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    // The pipe stays open and quiet.
    let code = wait(&mut child, Duration::from_secs(20));
    assert_eq!(code, Some(0));
    assert!(!part.exists() && directory.path().join("a.ipfix").exists());
    assert_eq!(records(&directory.path().join("a.json")).len(), 1000);
}
