//! Meters generated traffic and compares every biflow with the generator's truth, which shares no code with us.
//!
//! The generator is not part of this repository: without it the tests say what they leave out and pass.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::{FlowEndReason, FlowRecord, Meter, MeterConfig};
use serde_json::Value;

const HOUR_NS: i64 = 3_600_000_000_000;

type Key = (IpAddr, IpAddr, u16, u16, u8, [u16; 2]);

fn generator() -> Option<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let tool = shared.join("tools/synth");
    let there = tool.is_dir() && Command::new("python3").arg("--version").output().is_ok();
    if !there {
        println!(
            "skipped: no generator at {}: generated traffic is not compared with its truth",
            tool.display()
        );
    }
    there.then_some(tool)
}

/// Generates a capture; gives its path and its truth.
fn generate(tool: &Path, folder: &Path, arguments: &[&str]) -> (PathBuf, Value) {
    let (capture, truth) = (folder.join("a.pcap"), folder.join("a.json"));
    let output = Command::new("python3")
        .arg("-B")
        .arg(tool)
        .args(arguments)
        .arg("--out")
        .arg(&capture)
        .arg("--truth")
        .arg(&truth)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (capture, serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap())
}

fn meter(capture: &Path) -> (Meter, Vec<FlowRecord>) {
    let mut meter = Meter::new(MeterConfig {
        idle_timeout_ns: HOUR_NS,
        active_timeout_ns: HOUR_NS,
        ..MeterConfig::default()
    });
    let mut source = PcapFiles::open(&[capture.to_path_buf()], None).unwrap();
    while let Next::Frame(frame) = source.next_frame().unwrap() {
        meter.handle_frame(
            frame.time_ns,
            frame.link_type,
            frame.bytes,
            frame.wire_length,
            frame.interface,
        );
    }
    let mut records = Vec::new();
    while !meter.finish(FlowEndReason::ForcedEnd) {
        records.extend(meter.take_records().flows);
    }
    records.extend(meter.take_records().flows);
    records.sort_by_key(|record| record.start_ns);
    (meter, records)
}

fn pair(biflow: &Value, name: &str) -> [u64; 2] {
    let at = |way: usize| biflow[name].get(way).and_then(Value::as_u64).unwrap_or(0);
    [at(0), at(1)]
}

fn key_of(biflow: &Value) -> Key {
    let address = |name: &str| biflow[name].as_str().unwrap().parse().unwrap();
    let number = |name: &str| biflow[name].as_u64().unwrap();
    let vlan = pair(biflow, "vlan").map(|id| id as u16);
    (
        address("src"),
        address("dst"),
        number("sport") as u16,
        number("dport") as u16,
        number("proto") as u8,
        vlan,
    )
}

fn canonical((src, dst, src_port, dst_port, protocol, vlan): Key) -> Key {
    if (src, src_port) > (dst, dst_port) {
        (dst, src, dst_port, src_port, protocol, vlan)
    } else {
        (src, dst, src_port, dst_port, protocol, vlan)
    }
}

fn record_key(record: &FlowRecord) -> Key {
    let key = &record.key;
    (key.src, key.dst, key.src_port, key.dst_port, key.protocol, key.vlan)
}

/// What differs between a biflow's truth and its record, as text; nothing when they agree.
fn differences(biflow: &Value, record: &FlowRecord) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, ours: String, truth: String| {
        if ours != truth {
            differences.push(format!("{what}: {ours}, not {truth}"));
        }
    };
    let ways = [&record.forward, &record.reverse];
    let fragments = pair(biflow, "later_fragments");
    let fragment_octets = pair(biflow, "later_fragment_octets");
    let without = |name: &str, left_out: [u64; 2]| {
        let whole = pair(biflow, name);
        format!("{:?}", [whole[0] - left_out[0], whole[1] - left_out[1]])
    };
    compare(
        "key",
        format!("{:?}", record_key(record)),
        format!("{:?}", key_of(biflow)),
    );
    compare(
        "packets",
        format!("{:?}", ways.map(|way| way.packets)),
        without("packets", fragments),
    );
    compare(
        "octets",
        format!("{:?}", ways.map(|way| way.octets)),
        without("octets", fragment_octets),
    );
    compare("start", record.start_ns.to_string(), biflow["start_ns"].to_string());
    if fragments == [0, 0] {
        compare("end", record.end_ns.to_string(), biflow["end_ns"].to_string());
    }
    let tos = biflow["tos"].as_u64().unwrap_or(0);
    for way in ways.iter().filter(|way| way.packets > 0) {
        compare("tos", way.tos.to_string(), tos.to_string());
        assert!(record.start_ns <= way.first_ns && way.first_ns <= way.last_ns && way.last_ns <= record.end_ns);
        assert!(way.ttl_min <= way.ttl_max && way.ttl_max > 0);
    }
    if biflow.get("tcp_flags").is_some() {
        let flags = ways.map(|way| u64::from(way.tcp_flags));
        compare(
            "tcp_flags",
            format!("{flags:?}"),
            format!("{:?}", pair(biflow, "tcp_flags")),
        );
        compare_end(biflow, record, &mut compare);
        compare_handshake(biflow, record, &mut compare);
    } else {
        compare("end reason", format!("{:?}", record.end_reason), "ForcedEnd".into());
    }
    if let Some(messages) = biflow.get("icmp") {
        for way in 0..2 {
            let known: Vec<u64> = messages[way]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_u64)
                .collect();
            let first = record.icmp[way].map(u64::from);
            assert!(
                first.map_or(known.is_empty(), |first| known.contains(&first)),
                "{first:?} of {known:?}"
            );
        }
    }
    differences
}

fn compare_end(biflow: &Value, record: &FlowRecord, compare: &mut impl FnMut(&str, String, String)) {
    let expected = match biflow["end"].as_str().unwrap() {
        "none" => FlowEndReason::ForcedEnd,
        // Both FINs were seen; we also wait for both to be acknowledged, which the truth does not tell.
        "fin" if record.end_reason == FlowEndReason::ForcedEnd => {
            assert_ne!(record.forward.tcp_flags & record.reverse.tcp_flags & 1, 0);
            FlowEndReason::ForcedEnd
        }
        _ => FlowEndReason::EndOfFlow,
    };
    compare(
        "end reason",
        format!("{:?}", record.end_reason),
        format!("{expected:?}"),
    );
}

/// The truth pairs a repeated SYN with the answer to the last one; we leave such pairs out.
fn compare_handshake(biflow: &Value, record: &FlowRecord, compare: &mut impl FnMut(&str, String, String)) {
    if pair(biflow, "syn_repeats") != [0, 0] {
        return;
    }
    let truth = |side: &str| {
        biflow["handshake_ns"][side]
            .as_u64()
            .map(|ns| ((ns + 500) / 1000) as u32)
    };
    let expected = [truth("server"), truth("client")];
    compare(
        "handshake",
        format!("{:?}", record.handshake_rtt_us),
        format!("{expected:?}"),
    );
}

/// Meters a generated capture and holds it against its truth.
fn agrees_with_truth(arguments: &[&str]) {
    let Some(tool) = generator() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (capture, truth) = generate(&tool, folder.path(), arguments);
    let (meter, records) = meter(&capture);

    let counters = meter.counters();
    let totals = &truth["totals"];
    let total = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!(counters.packets_seen, total("packets"));
    assert_eq!(counters.packets_metered, total("ip_packets"));
    assert_eq!(counters.octets_metered, total("ip_bytes"));
    assert_eq!(
        counters.packets_seen,
        counters.packets_metered + counters.packets_not_metered()
    );
    assert_eq!(counters.flows_created, counters.records_total());
    assert_eq!(counters.records_total(), records.len() as u64);
    assert_eq!(counters.flows_active, 0);
    let sum = |of: fn(&FlowRecord) -> u64| records.iter().map(of).sum::<u64>();
    assert_eq!(
        sum(|record| record.forward.packets + record.reverse.packets),
        counters.packets_metered
    );
    assert_eq!(
        sum(|record| record.forward.octets + record.reverse.octets),
        counters.octets_metered
    );

    let mut by_key: HashMap<Key, Vec<&FlowRecord>> = HashMap::new();
    for record in &records {
        by_key.entry(canonical(record_key(record))).or_default().push(record);
    }
    // Outer packets of tunnels and whole packets of plain traffic: each IP packet once.
    let flows = ["biflows", "tunnel_flows"]
        .iter()
        .flat_map(|name| truth[*name].as_array().unwrap());
    let (mut compared, mut wrong, mut unacknowledged) = (0, Vec::new(), 0);
    for biflow in flows.filter(|biflow| biflow.get("tunnel").is_none()) {
        let found = by_key
            .get_mut(&canonical(key_of(biflow)))
            .filter(|found| !found.is_empty());
        let Some(found) = found else {
            wrong.push(format!("{biflow}: no record"));
            continue;
        };
        let record = found.remove(0);
        unacknowledged += u64::from(biflow["end"] == "fin" && record.end_reason != FlowEndReason::EndOfFlow);
        compared += 1;
        wrong.extend(
            differences(biflow, record)
                .iter()
                .map(|difference| format!("{biflow}: {difference}")),
        );
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
    // What is left are the records of later fragments, which have no ports.
    for record in by_key.values().flatten() {
        assert_eq!(
            (record.key.src_port, record.key.dst_port),
            (0, 0),
            "more records than biflows: {record:?}"
        );
    }
    assert!(
        unacknowledged <= compared / 1000 + 2,
        "{unacknowledged} connections ended, but not for us"
    );
    println!("compared {compared} biflows, {unacknowledged} with a FIN whose ACK the capture lacks");
}

#[test]
fn tiny_seed_7() {
    agrees_with_truth(&["--seed", "7", "--profile", "tiny"]);
}

#[test]
fn tiny_nanosecond_pcapng_over_cooked_links() {
    agrees_with_truth(&[
        "--seed",
        "31",
        "--profile",
        "tiny",
        "--nanosecond",
        "--pcapng",
        "--linktype",
        "sll2",
    ]);
}

#[test]
fn tiny_raw_ip() {
    agrees_with_truth(&["--seed", "32", "--profile", "tiny", "--linktype", "raw"]);
}

#[test]
fn mix_seed_7() {
    agrees_with_truth(&["--seed", "7", "--packets", "60000", "--profile", "mix"]);
}

/// 96 octets leave most TCP options out, and no counter may notice.
#[test]
fn mix_cut_by_the_snap_length() {
    agrees_with_truth(&[
        "--seed",
        "20261",
        "--packets",
        "40000",
        "--profile",
        "mix",
        "--snaplen",
        "96",
    ]);
}

#[test]
fn tcp_in_trouble() {
    agrees_with_truth(&["--seed", "911", "--packets", "40000", "--profile", "tcp"]);
}

#[test]
fn scan() {
    agrees_with_truth(&["--seed", "5", "--packets", "40000", "--profile", "scan"]);
}
