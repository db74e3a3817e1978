//! Real captures: queries by name and type, responses by name, type and code, as many as tshark reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use flowgauge_exporter::metering::dns::DnsStatus;

use crate::{Metered, meter, meter_on, shared};

/// Name, type, and code of a response; what of it.
type Counts = BTreeMap<(String, u16, Option<u16>), i64>;

fn ours(metered: &Metered) -> Counts {
    let mut counts = Counts::new();
    for (name, one) in &metered.transactions {
        if one.status != DnsStatus::NoQuery {
            *counts.entry((name.clone(), one.qtype, None)).or_default() += 1 + i64::from(one.retries);
        }
        if let Some(rcode) = one.rcode {
            *counts.entry((name.clone(), one.qtype, Some(rcode & 15))).or_default() += 1;
        }
    }
    counts
}

/// Messages on port 53 outside of ICMP errors; `None` without tshark.
fn tsharks(capture: &Path) -> Option<Counts> {
    let output = Command::new("tshark")
        .args([
            "-r",
            capture.to_str().unwrap(),
            "-T",
            "json",
            "--no-duplicate-keys",
            "-J",
            "dns",
        ])
        .args(["-o", "tcp.reassemble_out_of_order:TRUE"])
        .args(["-Y", "dns && !icmp && !icmpv6 && (udp.port == 53 || tcp.port == 53)"])
        .output()
        .ok()?;
    let frames: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let mut counts = Counts::new();
    for frame in frames.as_array()? {
        let layer = &frame["_source"]["layers"]["dns"];
        let messages = match layer {
            serde_json::Value::Array(several) => several.iter().collect(),
            one => vec![one],
        };
        for message in messages {
            count(message, &mut counts);
        }
    }
    Some(counts)
}

fn count(message: &serde_json::Value, counts: &mut Counts) {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let flags = text(&message["dns.flags"]);
    let flags = u16::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or_default();
    let rcode = (flags & 0x8000 != 0).then_some(flags & 15);
    let question = message["Queries"]
        .as_object()
        .and_then(|queries| queries.values().next());
    let (name, qtype) = match question {
        Some(question) => (
            text(&question["dns.qry.name"]).to_lowercase(),
            text(&question["dns.qry.type"]).parse().unwrap_or_default(),
        ),
        None => (".".to_owned(), 0),
    };
    let name = if name == "<root>" { ".".to_owned() } else { name };
    *counts.entry((name, qtype, rcode)).or_default() += 1;
}

/// What one has more of than the other.
fn differences(ours: &Counts, theirs: &Counts) -> Vec<String> {
    let mut both = ours.clone();
    for (key, count) in theirs {
        *both.entry(key.clone()).or_default() -= count;
    }
    both.into_iter()
        .filter(|(_, count)| *count != 0)
        .map(|((name, qtype, rcode), count)| format!("{name} {qtype} {rcode:?} {count:+}"))
        .collect()
}

fn captures() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![shared().join("corpus/dns"), shared().join("corpus/pktvisor")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|extension| extension == "pcap") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// Differences, each with its reason.
fn expected(capture: &str) -> &'static [&'static str] {
    match capture {
        // A query without a question is left and counted; a response without one is given the name of its query.
        "template.pcap" => &[". 0 None -1", ". 0 Some(0) -1", "www.lunch.org.uk 28 Some(0) +1"],
        // Behind a gap in the connection tshark reads nothing more; we go on at the next message.
        "dnso1tcp-bighole.pcap" => &["206.218.58.216.in-addr.arpa 12 Some(0) +15", "google.com 1 Some(0) +21"],
        // The question is in a later fragment, and datagrams are not put together.
        "frags.pcap" => &[
            "206.218.58.216.in-addr.arpa 12 None -17",
            "206.218.58.216.in-addr.arpa 12 Some(0) -17",
            "google.com 1 None -24",
            "google.com 1 Some(0) -24",
        ],
        _ => &[],
    }
}

#[test]
fn as_many_messages_as_tshark_reads() {
    let captures = captures();
    if captures.is_empty() {
        println!("skipped: no captures of DNS at {}", shared().display());
        return;
    }
    let mut messages = 0;
    for capture in &captures {
        let metered = meter(capture);
        let Some(theirs) = tsharks(capture) else {
            println!("skipped: no tshark to compare {} with", capture.display());
            continue;
        };
        let name = capture.file_name().unwrap().to_string_lossy();
        assert_eq!(
            differences(&ours(&metered), &theirs),
            expected(&name),
            "{name}: {:?}",
            metered.counters
        );
        messages += metered.counters.messages;
    }
    println!(
        "{messages} messages of {} captures compared with tshark",
        captures.len()
    );
}

/// What pktvisor's tests say of its captures (`corpus/pktvisor/golden-assertions.txt`).
#[test]
fn as_many_messages_and_transactions_as_pktvisor_counts() {
    let folder = shared().join("corpus/pktvisor");
    if !folder.is_dir() {
        println!("skipped: no captures of pktvisor at {}", folder.display());
        return;
    }
    let counters = meter(&folder.join("dns_udp_tcp_random.pcap")).counters;
    let udp_messages = counters.messages - counters.tcp_messages;
    assert_eq!(
        (counters.messages, udp_messages, counters.tcp_messages),
        (5851, 2971, 2880)
    );
    assert_eq!(
        (counters.queries, counters.responses, counters.answered),
        (2930, 2921, 2921)
    );
    assert_eq!((counters.without_query, counters.faults_total()), (0, 0));
    let counters = meter(&folder.join("dnssec.pcap")).counters;
    assert_eq!(
        (counters.messages, counters.answered, counters.without_query),
        (14, 7, 0)
    );
    // These two are on port 53000.
    for (capture, pairs) in [("dns_ipv4_udp.pcap", 70), ("dns_ipv4_tcp.pcap", 210)] {
        let metered = meter_on(&folder.join(capture), &[53, 53_000]);
        let counters = &metered.counters;
        assert_eq!(
            (counters.queries, counters.responses, counters.answered),
            (pairs, pairs, pairs),
            "{capture}"
        );
        assert!(metered.transactions.iter().all(|(name, _)| name.ends_with(".test.com")));
    }
}
