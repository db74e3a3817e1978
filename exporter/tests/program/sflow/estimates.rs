//! Samples scaled up estimate what a capture has, as well as the theory of packet sampling says they must: of a class with
//! `c` samples, the number of packets is wrong by more than `196 / sqrt(c)` percent in one case of twenty. Octets vary more,
//! by how different the packets of the class are in length.
//!
//! What a capture has is counted by tshark, which shares no code with us.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flowgauge_exporter::capture::{FrameSource, Lent};
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::sflow::queue::{Popped, Sample};
use flowgauge_exporter::sflow::{SampleQueue, Sampler};
use flowgauge_templates::packet::LinkType;

use super::{is_installed, send, shared};

/// Packets, octets and the sum of their squares.
#[derive(Clone, Copy, Debug, Default)]
struct Class {
    packets: f64,
    octets: f64,
    squares: f64,
}

impl Class {
    fn add(&mut self, octets: u32) {
        let octets = f64::from(octets);
        self.packets += 1.0;
        self.octets += octets;
        self.squares += octets * octets;
    }

    /// Mean square of lengths by the square of their mean: 1 where all are equally long.
    fn spread(&self) -> f64 {
        self.squares * self.packets / (self.octets * self.octets)
    }
}

/// By protocol, as frames count them.
type Classes = BTreeMap<u8, Class>;

/// What tshark counts: the outermost IP header of each frame says its class.
fn truth(capture: &Path) -> Classes {
    let output = Command::new("tshark")
        .args(["-r", capture.to_str().unwrap(), "-T", "fields", "-E", "occurrence=f"])
        .args(["-e", "frame.len", "-e", "ip.proto", "-e", "ipv6.nxt"])
        .output()
        .unwrap();
    let mut classes = Classes::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let protocol = fields[1].parse().or_else(|_| fields[2].parse());
        if let Ok(protocol) = protocol {
            classes.entry(protocol).or_default().add(fields[0].parse().unwrap());
        }
    }
    classes
}

/// The protocol in the outermost IP header of a frame, as sFlow shows it.
fn class_of(protocol: u32, header: &[u8]) -> Option<u8> {
    let link = match protocol {
        1 => LinkType::ETHERNET,
        11 => LinkType::IPV4,
        12 => LinkType::IPV6,
        other => panic!("header protocol {other}"),
    };
    let ip_at = match link {
        // Behind both addresses, and tags of four octets.
        LinkType::ETHERNET => {
            let kind_at = |at: &usize| matches!(header.get(*at..*at + 2), Some([8, 0] | [0x86, 0xdd]));
            (12..=20).step_by(4).find(kind_at)? + 2
        }
        _ => 0,
    };
    // tshark's fields are of the first header; extension headers follow it.
    match header.get(ip_at)? >> 4 {
        4 => header.get(ip_at + 9).copied(),
        6 => header.get(ip_at + 6).copied(),
        _ => None,
    }
}

fn captures(directory: &Path, generated: &[[&str; 2]]) -> Vec<(String, PathBuf)> {
    let mut captures = Vec::new();
    for name in [
        "ndpi/pcap/netflix.pcap",
        "ndpi/pcap/safari.pcap",
        "ndpi/pcap/skype.pcap",
    ] {
        let path = shared().join("corpus").join(name);
        if path.exists() {
            captures.push((name.to_owned(), path));
        }
    }
    let tool = shared().join("tools/synth");
    if tool.is_dir() {
        for [profile, packets] in generated {
            let path = directory.join(format!("{profile}.pcap"));
            let made = Command::new("python3")
                .arg("-B")
                .arg(&tool)
                .args(["--profile", profile, "--seed", "5", "--packets", packets, "--out"])
                .arg(&path)
                .arg("--truth")
                .arg(directory.join("truth.json"))
                .status();
            if made.is_ok_and(|status| status.success()) {
                captures.push((format!("synth {profile}"), path));
            }
        }
    }
    captures
}

/// Samples of a whole capture with this seed: for each class, how many and their octets.
fn sampled(frames: &[(Vec<u8>, u32, u32)], interval: u32, seed: u64) -> Classes {
    let queue = Arc::new(SampleQueue::new(false));
    let mut sampler = Sampler::new(queue.clone(), Some(interval), seed, false, None);
    // No more than the queue has room for, were all of them sampled.
    const TAKEN_AT_ONCE: u32 = 1000;
    let (mut classes, mut some): (Classes, Vec<Sample>) = (Classes::new(), Vec::new());
    let mut take = |classes: &mut Classes| {
        while queue.pop(&mut some, Duration::ZERO) == Popped::Open && !some.is_empty() {
            for sample in &some {
                if let Ok(class) = u8::try_from(sample.time_ns) {
                    classes.entry(class).or_default().add(sample.wire_length);
                }
            }
        }
    };
    let mut taken = 0;
    for (bytes, length, class) in frames {
        sampler.handle_frame(&flowgauge_exporter::capture::Frame {
            time_ns: i64::from(*class),
            link_type: LinkType::ETHERNET,
            interface: 1,
            wire_length: *length,
            bytes,
        });
        taken += 1;
        if taken % TAKEN_AT_ONCE == 0 {
            take(&mut classes);
        }
    }
    take(&mut classes);
    classes
}

/// Frames of a capture, without octets that nobody needs here, with the class that each is of; 256 for none.
fn frames(capture: &Path) -> Vec<(Vec<u8>, u32, u32)> {
    let mut source = PcapFiles::open(&[capture.to_path_buf()], None).unwrap();
    let mut frames = Vec::new();
    while let Lent::Frames(lent) = source.next_frames().unwrap() {
        for frame in (0..lent.len()).filter_map(|at| lent.get(at)) {
            let protocol = match frame.link_type {
                LinkType::ETHERNET => 1,
                _ => 11,
            };
            let class = class_of(protocol, frame.bytes).map_or(256, u32::from);
            frames.push((Vec::new(), frame.wire_length, class));
        }
    }
    frames
}

/// Classes with fewer samples than this say nothing about a bound that holds for many.
const LEAST_SAMPLES: f64 = 30.0;
const SEEDS: u64 = 50;

#[test]
fn estimates_are_as_good_as_theory_says_over_many_seeds() {
    if !is_installed("tshark") {
        println!("skipped: tshark is not there to count captures");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (mut cases, mut packets_within, mut octets_within, mut octets_plain) = (0u32, 0u32, 0u32, 0u32);
    for (name, capture) in captures(directory.path(), &[["mix", "30000"], ["elephants", "20000"]]) {
        let (truth, frames) = (truth(&capture), frames(&capture));
        let interval = (frames.len() as u32 / 500).max(2);
        let mut sums: BTreeMap<u8, [f64; 2]> = BTreeMap::new();
        for seed in 0..SEEDS {
            // Far from one another: numbers that follow from seeds in a row would not be independent.
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(seed);
            let samples = sampled(&frames, interval, hasher.finish());
            for (class, known) in &truth {
                let found = samples.get(class).copied().unwrap_or_default();
                let sum = sums.entry(*class).or_default();
                sum[0] += found.packets;
                sum[1] += found.octets;
                if found.packets < LEAST_SAMPLES {
                    continue;
                }
                let bound = 1.96 / found.packets.sqrt();
                let wrong = |found: f64, known: f64| (found * f64::from(interval) / known - 1.0).abs();
                cases += 1;
                packets_within += u32::from(wrong(found.packets, known.packets) <= bound);
                octets_within += u32::from(wrong(found.octets, known.octets) <= bound * known.spread().sqrt());
                octets_plain += u32::from(wrong(found.octets, known.octets) <= bound);
            }
        }
        for (class, known) in &truth {
            // Of all seeds together nothing leans to one side: four deviations of the mean.
            let [packets, octets] = sums[class].map(|sum| sum * f64::from(interval) / SEEDS as f64);
            let deviation = (f64::from(interval) / SEEDS as f64 / known.packets).sqrt();
            if known.packets * SEEDS as f64 / f64::from(interval) < LEAST_SAMPLES {
                continue;
            }
            println!(
                "{name}, protocol {class}: {:.0} packets, {packets:.0} estimated; {:.0} octets, {octets:.0} estimated",
                known.packets, known.octets
            );
            assert!(
                (packets / known.packets - 1.0).abs() < 4.0 * deviation,
                "{name} {class}"
            );
            assert!(
                (octets / known.octets - 1.0).abs() < 4.0 * deviation * known.spread().sqrt(),
                "{name} {class}"
            );
        }
    }
    if cases == 0 {
        println!("skipped: there are no captures to sample");
        return;
    }
    let part = |within: u32| f64::from(within) / f64::from(cases);
    println!(
        "of {cases} estimates within the 95 % bound: packets {:.3}, octets {:.3}, octets by the bound of packets {:.3}",
        part(packets_within),
        part(octets_within),
        part(octets_plain)
    );
    // 95 % and what so few cases may miss of it.
    assert!(part(packets_within) > 0.92, "{}", part(packets_within));
    assert!(part(octets_within) > 0.92, "{}", part(octets_within));
}

#[test]
fn datagrams_of_a_capture_estimate_its_octets() {
    if !is_installed("tshark") {
        println!("skipped: tshark is not there to count captures");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (name, capture) in captures(directory.path(), &[]) {
        let truth = truth(&capture);
        let (seen, said) = send(directory.path(), &capture, &["--sflow-sample", "1/20"]);
        let mut samples = Classes::new();
        for flow in &seen.flows {
            assert_eq!((flow.rate, flow.drops), (20, 0));
            if let Some(class) = class_of(flow.protocol, &flow.header) {
                samples.entry(class).or_default().add(flow.frame_length - flow.stripped);
            }
        }
        for (class, known) in &truth {
            let found = samples.get(class).copied().unwrap_or_default();
            if found.packets < LEAST_SAMPLES {
                continue;
            }
            let wrong = (found.octets * 20.0 / known.octets - 1.0) * 100.0;
            let bound = 196.0 / found.packets.sqrt() * known.spread().sqrt();
            println!("{name}, protocol {class}: {wrong:+.1} % of the octets, 95 % bound {bound:.1} %");
            // The seed is another one each time: five deviations are never met, two are.
            assert!(wrong.abs() < bound * 2.5, "{name} {class}: {wrong} {bound}");
        }
        // What is not sampled is counted, and the pool of the last sample is no more than all there was.
        let frames: u64 = said
            .split("sFlow: ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(u64::from(seen.flows.last().unwrap().pool) <= frames);
        let counters = seen.counters.last().unwrap();
        let packets = counters["ifInUcastPkts"] + counters["ifInMulticastPkts"] + counters["ifInBroadcastPkts"];
        assert_eq!(packets, frames, "{name}");
        assert!(super::tshark(&seen, directory.path(), &["sflow_245.numsamples"]).is_some());
    }
}
