//! A veth pair between two namespaces: everything that goes in comes out in records, at speed, over any number of workers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::namespaces::{PATIENCE, number, veth_pair};
use super::traffic::{by_conversation, conversations};

/// Packets a second that are sent.
const RATE: u32 = 100_000;

/// 400 conversations, interleaved: three packets of the client, two of the server, over and over.
fn frames(turns: u32) -> (Vec<Vec<u8>>, BTreeMap<super::traffic::Key, super::traffic::Counts>) {
    let conversations = conversations(400);
    let mut frames = Vec::new();
    for turn in 0..turns {
        for part in 0..5u32 {
            for conversation in &conversations {
                let reverse = part % 2 == 1;
                let at = turn * 3 + part / 2;
                frames.push(conversation.frame(at, reverse));
            }
        }
    }
    let turns = u64::from(turns);
    let truth = conversations
        .iter()
        .map(|conversation| conversation.truth(3 * turns, 2 * turns))
        .collect();
    (frames, truth)
}

#[test]
fn everything_is_counted_at_speed_and_two_workers_make_the_same_records_as_one() {
    let Some((left, right)) = veth_pair("counts over a veth pair") else {
        return;
    };
    let one = right.exporter(&["--interface", "vb", "--buffer", "64M", "--idle-timeout", "1h"]);
    let two = right.exporter(&[
        "--interface",
        "vb",
        "--buffer",
        "64M",
        "--idle-timeout",
        "1h",
        "--workers",
        "2",
    ]);
    let (frames, truth) = frames(100);
    let reached = left.send("va", RATE, frames.iter().map(Vec::as_slice));
    println!("{} packets at {reached:.0} a second", frames.len());
    // What is in the ring is drained at the end; a host that is busy needs a moment.
    std::thread::sleep(Duration::from_millis(500));
    let (one, one_said) = one.end();
    let (two, two_said) = two.end();
    for said in [&one_said, &two_said] {
        assert!(!said.contains("dropped"), "{said}");
    }
    assert!(
        one_said.contains(&format!(
            "vb: {0} packets seen, {0} metered, 0 not metered",
            frames.len()
        )),
        "{one_said}"
    );
    assert_eq!(one.len(), 400);
    assert_eq!(by_conversation(&one), truth);
    // Both workers had work, and no conversation was torn apart.
    assert!(
        two_said.contains("vb (worker 1 of 2): ") && two_said.contains("vb (worker 2 of 2): "),
        "{two_said}"
    );
    assert!(!two_said.contains(": 0 packets seen"), "{two_said}");
    assert_eq!(two.len(), 400);
    let without_times = |records: &[serde_json::Value]| {
        let mut records = records.to_vec();
        for record in &mut records {
            let fields = record.as_object_mut().unwrap();
            // Each ring stamps for itself; it may be a millisecond further.
            let times = ["Milliseconds", "Microseconds", "timestamp"];
            fields.retain(|name, _| !times.iter().any(|part| name.contains(part)));
        }
        let mut lines: Vec<String> = records.iter().map(ToString::to_string).collect();
        lines.sort();
        lines
    };
    assert_eq!(without_times(&one), without_times(&two));
}

#[test]
fn a_quiet_interface_exports_on_time() {
    let Some((left, right)) = veth_pair("a quiet interface") else {
        return;
    };
    let exporter = right.exporter(&["--interface", "vb", "--idle-timeout", "1s"]);
    let frame = conversations(1)[0].frame(0, false);
    left.send("va", 1000, std::iter::once(frame.as_slice()));
    let sent = Instant::now();
    while exporter.records().is_empty() {
        assert!(sent.elapsed() < PATIENCE, "no record comes");
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = sent.elapsed();
    // The timeout, a block of the ring, a slot of the timer wheel, a batch.
    assert!(
        took > Duration::from_millis(900) && took < Duration::from_secs(5),
        "{took:?}"
    );
    let (records, said) = exporter.end();
    assert_eq!((records.len(), number(&records[0], "flowEndReason")), (1, 1), "{said}");
}

#[test]
fn roots_rights_are_given_up_and_hangups_survived() {
    let Some((left, right)) = veth_pair("giving up rights") else {
        return;
    };
    let exporter = right.exporter(&["--interface", "vb"]);
    if exporter.said.contains("stays root") {
        println!("skipped: giving up rights: {}", exporter.said.trim());
        return;
    }
    // `ip netns exec` becomes the program.
    let status = std::fs::read_to_string(format!("/proc/{}/status", exporter.pid())).unwrap();
    let line = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(line("Uid:").iter().all(|uid| uid != "0"), "{status}");
    assert!(line("Gid:").iter().all(|gid| gid != "0"), "{status}");
    assert!(line("Groups:").is_empty(), "{status}");
    for set in ["CapPrm:", "CapEff:"] {
        assert_eq!(u64::from_str_radix(&line(set)[0], 16), Ok(0), "{status}");
    }
    assert_eq!(line("NoNewPrivs:"), ["1"], "{status}");
    exporter.signal("HUP");
    std::thread::sleep(Duration::from_millis(200));
    // It captures on, with nobody's rights.
    let frame = conversations(1)[0].frame(0, false);
    left.send("va", 1000, std::iter::repeat_n(frame.as_slice(), 10));
    std::thread::sleep(Duration::from_millis(300));
    let (records, said) = exporter.end();
    assert!(said.contains("signal 1: goes on as it is"), "{said}");
    assert_eq!(super::namespaces::totals(&records).0, 10, "{said}");
}
