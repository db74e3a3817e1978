//! What the sFlow agent sends of files: read by tshark, by other people's collectors, and held against what the captures
//! have.

mod estimates;
mod peers;
mod received;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use received::{Receiver, Seen, tshark};

use super::{capture, exporter, run, stderr};

fn shared() -> PathBuf {
    std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    )
}

fn is_installed(name: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
    found.is_ok_and(|output| output.status.success())
}

/// Runs the exporter on a capture with these flags beside.
fn start(directory: &Path, read: &Path, to: &str, flags: &[&str]) -> Child {
    exporter(directory)
        .args(["run", "--read", read.to_str().unwrap(), "--to", to])
        .args(flags)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the exporter said, ended with status 0, and all that was received.
fn send(directory: &Path, read: &Path, flags: &[&str]) -> (Seen, String) {
    let receiver = Receiver::new();
    let child = start(
        directory,
        read,
        &format!("sflow://127.0.0.1:{}", receiver.port()),
        flags,
    );
    let (seen, output) = receiver.receive(child);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    (seen, said)
}

#[test]
fn every_packet_of_a_capture_is_a_sample_with_its_number() {
    let directory = tempfile::tempdir().unwrap();
    let read = capture(directory.path(), 1000..1300);
    let (seen, said) = send(
        directory.path(),
        &read,
        &[
            "--sflow-sample",
            "1/1",
            "--sflow-sub-agent",
            "9",
            "--sflow-polling",
            "off",
        ],
    );
    let numbers: Vec<_> = seen
        .flows
        .iter()
        .map(|flow| {
            (
                flow.sequence,
                flow.pool,
                flow.drops,
                flow.rate,
                flow.frame_length,
                flow.stripped,
            )
        })
        .collect();
    let expected: Vec<_> = (1..=300).map(|number| (number, number, 0, 1, 54, 4)).collect();
    assert_eq!(numbers, expected);
    assert!(
        said.contains(
            "sFlow: 300 packets seen = 300 sampled + 0 not sampled; 300 flow samples and 0 counter samples sent"
        ),
        "{said}"
    );
    let octets: usize = seen.datagrams.iter().map(Vec::len).sum();
    let datagrams = seen.datagrams.len();
    assert!(
        said.contains(&format!(": {datagrams} datagrams sent, {octets} octets, 0 not taken")),
        "{said}"
    );
    // 1400 octets are 28 of a header and samples of 116 each: no datagram but the last has room for one more.
    assert_eq!(seen.datagrams.len(), 300usize.div_ceil(11));
    for (at, head) in seen.heads.iter().enumerate() {
        assert_eq!((head.agent.as_str(), head.sub_agent), ("127.0.0.1", 9));
        assert_eq!(head.sequence, at as u32 + 1);
        // Packets are a millisecond apart, and the clock is theirs: it leaves when the next one has no room.
        assert_eq!(head.uptime_ms, (at as u32 * 11 + 11).min(299));
    }
    let Some(lines) = tshark(
        &seen,
        directory.path(),
        &["udp.srcport", "sflow.flow_sample.sequence_number"],
    ) else {
        return;
    };
    let ports: Vec<String> = lines
        .iter()
        .flat_map(|line| line[0].split(',').skip(1).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(
        ports,
        (1000..1300).map(|port: u16| port.to_string()).collect::<Vec<_>>()
    );
}

#[test]
fn a_slow_capture_fills_datagrams_with_what_comes_within_their_time() {
    let directory = tempfile::tempdir().unwrap();
    let read = capture(directory.path(), 1000..1300);
    // A packet every 100 ms, in place of one every millisecond: 24 octets of the file, then 16 and 50 of each packet.
    let mut octets = std::fs::read(&read).unwrap();
    for number in 0..300u32 {
        let at = 24 + number as usize * 66;
        octets[at..at + 4].copy_from_slice(&(1_767_225_600 + number / 10).to_le_bytes());
        octets[at + 4..at + 8].copy_from_slice(&(number % 10 * 100_000).to_le_bytes());
    }
    std::fs::write(&read, octets).unwrap();
    let (seen, _) = send(
        directory.path(),
        &read,
        &["--sflow-sample", "1/1", "--sflow-polling", "10s"],
    );
    assert_eq!(seen.flows.len(), 300);
    // None waits for a second, and none leaves alone.
    assert!((30..=100).contains(&seen.datagrams.len()), "{}", seen.datagrams.len());
    let uptimes: Vec<u32> = seen.heads.iter().map(|head| head.uptime_ms).collect();
    assert!(
        uptimes
            .windows(2)
            .all(|pair| pair[1] > pair[0] && pair[1] - pair[0] < 1000),
        "{uptimes:?}"
    );
    assert_eq!(uptimes.last(), Some(&29_900));
    // Counters at 10 and 20 s, and at the end.
    let octets: Vec<u64> = seen.counters.iter().map(|counters| counters["ifInOctets"]).collect();
    assert_eq!(octets.len(), 3);
    assert_eq!(octets[2], 300 * 50);
}

#[test]
fn flow_records_go_to_one_destination_and_samples_to_another() {
    let directory = tempfile::tempdir().unwrap();
    let read = capture(directory.path(), 1000..1300);
    let receiver = Receiver::new();
    let to = format!("sflow://127.0.0.1:{}", receiver.port());
    let child = start(
        directory.path(),
        &read,
        &to,
        &["--to", "json:a.json", "--sflow-sample", "1/10", "--sample", "1/3"],
    );
    let (seen, output) = receiver.receive(child);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let records = super::records(&directory.path().join("a.json"));
    assert_eq!(records.len(), 100, "metering has its own sampling");
    assert!(
        said.contains("300 packets seen, 100 metered, 0 not metered, 200 sampled out"),
        "{said}"
    );
    let samples = seen.flows.len();
    let left = 300 - samples;
    assert!(
        said.contains(&format!(
            "sFlow: 300 packets seen = {samples} sampled + {left} not sampled"
        )),
        "{said}"
    );
    assert!((5..=60).contains(&samples), "30 expected, not {samples}");
    // Counters of the capture at its end: 300 frames of 50 octets.
    let counters = seen.counters.last().unwrap();
    assert_eq!(
        (
            counters["ifInOctets"],
            counters["ifInUcastPkts"],
            counters["ifInMulticastPkts"]
        ),
        (300 * 50, 300, 0)
    );
}

#[test]
fn samples_alone_need_no_other_destination() {
    let directory = tempfile::tempdir().unwrap();
    let read = capture(directory.path(), 1000..1300);
    let (seen, said) = send(directory.path(), &read, &["--sflow-sample", "off"]);
    assert!(seen.flows.is_empty());
    assert_eq!(seen.counters.len(), 1);
    assert!(
        said.contains(
            "sFlow: 300 packets seen = 0 sampled + 300 not sampled; 0 flow samples and 1 counter samples sent"
        ),
        "{said}"
    );
    assert!(!said.contains("records exported"), "{said}");
}

#[test]
fn nobody_there_and_no_such_host_are_said_and_end_with_1() {
    let directory = tempfile::tempdir().unwrap();
    capture(directory.path(), 1000..1300);
    let port = std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let to = format!("sflow://127.0.0.1:{port}");
    let output = run(
        directory.path(),
        &["--read", "a.pcap", "--to", &to, "--sflow-sample", "1/1"],
    );
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("{to}: Connection refused")), "{said}");
    // What came back was not sent to anybody.
    assert!(
        said.contains(&format!("{to}: 0 datagrams sent, 0 octets, ")) && !said.contains(" 0 not taken"),
        "{said}"
    );
    let output = run(
        directory.path(),
        &[
            "--read",
            "a.pcap",
            "--to",
            "sflow://no-such-host.invalid",
            "--sflow-sample",
            "1/1",
            "--drain-timeout",
            "300ms",
        ],
    );
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("sflow: gave up: no collector has an address") && said.contains("300 given up"),
        "{said}"
    );
}

#[test]
fn wrong_settings_say_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    for (flags, line) in [
        (
            ["--sflow-sample", "2/100"],
            "--sflow-sample: `2/100` is neither off nor 1/N",
        ),
        (
            ["--sflow-polling", "1ms"],
            "--sflow-polling: `1ms` is neither off nor a time from 1s to",
        ),
        (
            ["--sflow-header", "4000"],
            "--sflow-header: `4000` is not a number from 80 to 256",
        ),
        (["--sflow-agent", "me"], "--sflow-agent: `me` is no address"),
    ] {
        let arguments = [&["--read", "a.pcap", "--to", "sflow://h"][..], &flags].concat();
        let output = run(directory.path(), &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(line), "{}", stderr(&output));
    }
}
