//! Meters generated traffic and compares every biflow with the generator's truth, which shares no code with us.
//!
//! The generator is not part of this repository: without it the tests say what they leave out and pass.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use flowgauge_exporter::capture::{FrameSource, Lent};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::tunnel::TunnelRecord;
use flowgauge_exporter::metering::{FlowEndReason, FlowRecord, Meter, MeterConfig};
use serde_json::Value;

const HOUR_NS: i64 = 3_600_000_000_000;

/// Addresses, ports, protocol, VLAN ids, and tunnelKind and tunnelIdentifier, which are 0 without a tunnel.
type Key = (IpAddr, IpAddr, u16, u16, u8, [u16; 2], (u8, u64));

/// A Flow Record and the tunnel around it.
struct Metered {
    flow: FlowRecord,
    tunnel: Option<TunnelRecord>,
}

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

fn meter(capture: &Path, open_tunnels: bool) -> (Meter, Vec<Metered>) {
    let mut meter = Meter::new(MeterConfig {
        idle_timeout_ns: HOUR_NS,
        active_timeout_ns: HOUR_NS,
        open_tunnels,
        ..MeterConfig::default()
    });
    let mut records = Vec::new();
    let mut take = |meter: &mut Meter| {
        let batch = meter.take_records();
        records.extend(batch.flows.iter().map(|flow| Metered {
            flow: flow.clone(),
            tunnel: batch.tunnel(flow).copied(),
        }));
    };
    let mut source = PcapFiles::open(&[capture.to_path_buf()], None).unwrap();
    loop {
        match source.next_frames().unwrap() {
            Lent::Frames(frames) => meter.handle_frames(&frames),
            Lent::Frame(_) | Lent::Quiet => unreachable!("files lend frames together"),
            Lent::End => break,
        }
        take(&mut meter);
    }
    while !meter.finish(FlowEndReason::ForcedEnd) {
        take(&mut meter);
    }
    take(&mut meter);
    records.sort_by_key(|record| record.flow.start_ns);
    (meter, records)
}

fn pair(biflow: &Value, name: &str) -> [u64; 2] {
    let at = |way: usize| biflow[name].get(way).and_then(Value::as_u64).unwrap_or(0);
    [at(0), at(1)]
}

/// The tunnel of a biflow: its kind as tunnelKind numbers it, its identifier and its outer ends.
fn tunnel_of(biflow: &Value) -> Option<(u8, u64, [IpAddr; 2])> {
    let tunnel = biflow.get("tunnel")?;
    let kind = match tunnel["type"].as_str().unwrap() {
        "vxlan" => 1,
        "geneve" => 2,
        "gre" => 3,
        "ipip" => 4,
        other => panic!("tunnel of type {other}"),
    };
    let end = |name: &str| tunnel[name].as_str().unwrap().parse().unwrap();
    Some((kind, tunnel["id"].as_u64().unwrap(), [end("src"), end("dst")]))
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
        tunnel_of(biflow).map_or((0, 0), |(kind, identifier, _)| (kind, identifier)),
    )
}

fn canonical((src, dst, src_port, dst_port, protocol, vlan, tunnel): Key) -> Key {
    if (src, src_port) > (dst, dst_port) {
        (dst, src, dst_port, src_port, protocol, vlan, tunnel)
    } else {
        (src, dst, src_port, dst_port, protocol, vlan, tunnel)
    }
}

fn record_key(record: &Metered) -> Key {
    let key = &record.flow.key;
    let tunnel = record.tunnel.as_ref();
    (
        key.src,
        key.dst,
        key.src_port,
        key.dst_port,
        key.protocol,
        key.vlan,
        tunnel.map_or((0, 0), |tunnel| (tunnel.kind, tunnel.identifier.unwrap_or(0))),
    )
}

/// What differs between a biflow's truth and its record, as text; nothing when they agree.
fn differences(biflow: &Value, metered: &Metered) -> Vec<String> {
    let record = &metered.flow;
    let mut differences = Vec::new();
    let mut compare = |what: &str, ours: String, truth: String| {
        if ours != truth {
            differences.push(format!("{what}: {ours}, not {truth}"));
        }
    };
    let ways = [&record.forward, &record.reverse];
    compare(
        "key",
        format!("{:?}", record_key(metered)),
        format!("{:?}", key_of(biflow)),
    );
    compare(
        "packets",
        format!("{:?}", ways.map(|way| way.packets)),
        format!("{:?}", pair(biflow, "packets")),
    );
    compare(
        "octets",
        format!("{:?}", ways.map(|way| way.octets)),
        format!("{:?}", pair(biflow, "octets")),
    );
    compare("start", record.start_ns.to_string(), biflow["start_ns"].to_string());
    compare("end", record.end_ns.to_string(), biflow["end_ns"].to_string());
    compare(
        "tunnel ends",
        format!("{:?}", metered.tunnel.map(|tunnel| [tunnel.src, tunnel.dst])),
        format!("{:?}", tunnel_of(biflow).map(|(_, _, ends)| ends)),
    );
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

/// Meters a generated capture and holds it against its truth, with tunnels opened and closed.
fn agrees_with_truth(arguments: &[&str]) {
    let Some(tool) = generator() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (capture, truth) = generate(&tool, folder.path(), arguments);
    for open_tunnels in [true, false] {
        compare_all(&capture, &truth, open_tunnels);
    }
}

fn compare_all(capture: &Path, truth: &Value, open_tunnels: bool) {
    let (meter, records) = meter(capture, open_tunnels);
    // With tunnels closed, their outer packets and the plain ones hold every IP packet once.
    let biflows: Vec<&Value> = match open_tunnels {
        true => truth["biflows"].as_array().unwrap().iter().collect(),
        false => ["biflows", "tunnel_flows"]
            .iter()
            .flat_map(|name| truth[*name].as_array().unwrap())
            .filter(|biflow| biflow.get("tunnel").is_none())
            .collect(),
    };
    let sum = |name: &str| -> u64 { biflows.iter().flat_map(|biflow| pair(biflow, name)).sum() };

    let counters = meter.counters();
    let totals = &truth["totals"];
    let total = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!(counters.packets_seen, total("packets"));
    assert_eq!(counters.packets_metered, total("ip_packets"));
    assert_eq!(counters.packets_metered, sum("packets"));
    assert_eq!(counters.octets_metered, sum("octets"));
    if !open_tunnels {
        assert_eq!(counters.octets_metered, total("ip_bytes"));
    }
    assert_eq!(
        counters.packets_seen,
        counters.packets_metered + counters.packets_not_metered()
    );
    assert_eq!(counters.flows_created, counters.records_total());
    assert_eq!(counters.records_total(), records.len() as u64);
    assert_eq!(counters.flows_active, 0);
    assert_eq!(
        (counters.later_fragments, counters.fragments_waiting),
        (sum("later_fragments"), 0)
    );
    assert_eq!(
        counters.fragments_joined + counters.fragments_joined_late,
        counters.later_fragments
    );
    let metered = |of: fn(&FlowRecord) -> u64| records.iter().map(|record| of(&record.flow)).sum::<u64>();
    assert_eq!(
        metered(|record| record.forward.packets + record.reverse.packets),
        counters.packets_metered
    );
    assert_eq!(
        metered(|record| record.forward.octets + record.reverse.octets),
        counters.octets_metered
    );

    let mut by_key: HashMap<Key, Vec<&Metered>> = HashMap::new();
    for record in &records {
        by_key.entry(canonical(record_key(record))).or_default().push(record);
    }
    let (mut compared, mut wrong, mut unacknowledged) = (0, Vec::new(), 0);
    for biflow in biflows {
        let found = by_key
            .get_mut(&canonical(key_of(biflow)))
            .filter(|found| !found.is_empty());
        let Some(found) = found else {
            wrong.push(format!("{biflow}: no record"));
            continue;
        };
        let record = found.remove(0);
        unacknowledged += u64::from(biflow["end"] == "fin" && record.flow.end_reason != FlowEndReason::EndOfFlow);
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
    let more: Vec<_> = by_key.values().flatten().map(|record| &record.flow).collect();
    assert!(
        more.is_empty(),
        "{} records more than biflows: {:?}",
        more.len(),
        more[0]
    );
    assert!(
        unacknowledged <= compared / 1000 + 2,
        "{unacknowledged} connections ended, but not for us"
    );
    println!(
        "compared {compared} biflows, {} in tunnels, {} later fragments; {unacknowledged} with a FIN whose ACK the capture lacks",
        records.iter().filter(|record| record.tunnel.is_some()).count(),
        counters.later_fragments
    );
}

fn profile(profile: &str, packets: &str, seeds: [&str; 3]) {
    for seed in seeds {
        agrees_with_truth(&["--seed", seed, "--packets", packets, "--profile", profile]);
    }
}

#[test]
fn tiny() {
    profile("tiny", "3000", ["7", "3", "20261121"]);
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
fn mix() {
    profile("mix", "20000", ["7", "911", "60001"]);
}

/// 160 octets cut most payload and some options within tunnels, and no counter may notice.
#[test]
fn mix_cut_by_the_snap_length() {
    agrees_with_truth(&[
        "--seed",
        "20261",
        "--packets",
        "20000",
        "--profile",
        "mix",
        "--snaplen",
        "160",
    ]);
}

#[test]
fn tcp_in_trouble() {
    profile("tcp", "15000", ["911", "12", "70707"]);
}

#[test]
fn dns() {
    profile("dns", "20000", ["5", "86", "4242"]);
}

#[test]
fn scan() {
    profile("scan", "20000", ["5", "19", "31337"]);
}

#[test]
fn elephants() {
    profile("elephants", "15000", ["2", "44", "99991"]);
}
