//! Eight exporters, their sketches sent as images and merged: the answers hold for what all of them saw, and no more of
//! them are outside of their limits than the stated confidence allows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use flowgauge_exporter::metering::dns::{DnsStatus, DnsTransaction, TextRange};
use flowgauge_exporter::metering::facts::PacketFacts;
use flowgauge_exporter::metering::{FlowEndReason, FlowKey, Place};
use flowgauge_exporter::summaries::sketch::quantiles::RANKS;
use flowgauge_exporter::summaries::sketch::{Cardinality, List, Quantiles};
use flowgauge_exporter::summaries::{Metric, Summaries, SummariesConfig, Summary, Window};

use crate::{failures_allowed, holds};

const SEEDS: u64 = 200;
const HOSTS: usize = 8;
const PACKETS: u64 = 2400;
const TRANSACTIONS: u64 = 1200;
const START_NS: i64 = 1_767_225_600_000_000_000;

/// A generator of numbers: splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// Between 0 and 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A few numbers often, many rarely.
    fn skewed(&mut self, most: u64) -> u64 {
        ((most as f64).powf(self.share()) as u64).min(most) - 1
    }
}

/// What all hosts saw together: whatever two of them saw counts twice, but is one value.
#[derive(Default)]
struct Truth {
    counters: BTreeMap<Metric, u64>,
    different: HashMap<Metric, HashSet<Vec<u8>>>,
    values: HashMap<Metric, Vec<f32>>,
    weights: HashMap<Metric, HashMap<Vec<u8>, u64>>,
}

impl Truth {
    fn count(&mut self, metric: Metric, more: u64) {
        *self.counters.entry(metric).or_default() += more;
    }

    fn item(&mut self, different: Metric, lists: &[(Metric, u64)], octets: &[u8]) {
        self.different.entry(different).or_default().insert(octets.to_vec());
        for (list, weight) in lists {
            *self
                .weights
                .entry(*list)
                .or_default()
                .entry(octets.to_vec())
                .or_default() += weight;
        }
    }

    fn value(&mut self, metric: Metric, value: f32) {
        self.values.entry(metric).or_default().push(value);
    }

    fn packet(&mut self, packet: &PacketFacts) {
        let octets = u64::from(packet.octets);
        self.count(Metric::Packets, 1);
        self.count(Metric::Octets, octets);
        self.value(Metric::PacketSize, packet.octets as f32);
        let v4 = |address: u128| (address as u32).to_be_bytes();
        let lists = [(Metric::TopSrcPackets, 1), (Metric::TopSrcOctets, octets)];
        self.item(Metric::IpSrc, &lists, &v4(packet.src));
        let lists = [(Metric::TopDstPackets, 1), (Metric::TopDstOctets, octets)];
        self.item(Metric::IpDst, &lists, &v4(packet.dst));
        let lists = [(Metric::TopSrcPortPackets, 1), (Metric::TopSrcPortOctets, octets)];
        self.item(Metric::PortSrc, &lists, &packet.ports[0].to_be_bytes());
    }

    fn transaction(&mut self, one: &DnsTransaction, name: &[u8]) {
        self.count(Metric::DnsTransactions, 1);
        self.count(Metric::DnsAnswered, u64::from(one.status == DnsStatus::Answered));
        self.item(Metric::DnsQname, &[(Metric::TopQname, 1)], name);
        let IpAddr::V4(client) = one.key.src else {
            panic!("IPv4")
        };
        self.item(Metric::DnsClient, &[(Metric::TopClient, 1)], &client.octets());
        if let Some(latency_us) = one.latency_us {
            self.value(Metric::DnsLatency, latency_us as f32);
        }
        if let (Some(query), Some(response)) = (one.query_octets, one.response_octets) {
            self.value(Metric::DnsRatio, f32::from(response) / f32::from(query));
        }
    }
}

fn packet(numbers: &mut Numbers) -> PacketFacts {
    PacketFacts {
        time_ns: START_NS + numbers.below(60_000) as i64 * 1_000_000,
        src: 0xffff_0a00_0000 | u128::from(numbers.skewed(5000)),
        dst: 0xffff_c000_0200 | u128::from(numbers.skewed(1500)),
        octets: match numbers.below(3) {
            0 => 40 + numbers.below(24) as u32,
            1 => 1500,
            _ => 64 + numbers.below(1436) as u32,
        },
        ports: [1024 + numbers.below(20_000) as u16, 443],
        protocol: 6,
        is_ipv4: true,
        tcp_flags: 0x10,
    }
}

fn transaction(numbers: &mut Numbers) -> (DnsTransaction, String) {
    let is_answered = numbers.below(10) > 0;
    // Log-normal around 20 ms, one in fifty above a second.
    let normal = (0..12).map(|_| numbers.share()).sum::<f64>() - 6.0;
    let latency_us = match numbers.below(50) {
        0 => 1e6 * (1.0 + numbers.share()),
        _ => 20_000.0 * (0.8 * normal).exp(),
    };
    let time_ns = START_NS + numbers.below(60_000) as i64 * 1_000_000;
    let one = DnsTransaction {
        key: FlowKey {
            src: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | numbers.skewed(3000) as u32)),
            dst: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)),
            src_port: 1024 + numbers.below(60_000) as u16,
            dst_port: 53,
            protocol: 17,
            vlan: [0; 2],
            interface: 0,
        },
        start_ns: time_ns,
        end_ns: time_ns,
        status: if is_answered {
            DnsStatus::Answered
        } else {
            DnsStatus::Unanswered
        },
        end_reason: FlowEndReason::EndOfFlow,
        id: 1,
        qname: TextRange::default(),
        qtype: 1,
        qclass: 1,
        rcode: is_answered.then_some(0),
        flags: 0x8180,
        latency_us: is_answered.then_some(latency_us as u32),
        query_octets: Some(30 + numbers.below(40) as u16),
        response_octets: is_answered.then(|| 60 + numbers.below(400) as u16),
        answers: 1,
        retries: 0,
        edns: None,
        extended_error: None,
        client_subnet: None,
        selector: 0,
        answer_lists: Place::NONE,
    };
    let name = format!("h{}.z{}.example", numbers.skewed(4000), numbers.skewed(300));
    (one, name)
}

/// The windows of eight hosts, and the truth of all of them.
fn observe(seed: u64) -> (Vec<Window>, Truth) {
    let mut numbers = Numbers(seed * 7919 + 1);
    let mut hosts: Vec<Summaries> = (0..HOSTS).map(|_| Summaries::new(SummariesConfig::default())).collect();
    let mut truth = Truth::default();
    // Half of the seeds: every host has its own part of the traffic. The others: most is seen by several.
    let who = |numbers: &mut Numbers, own: u64| -> Vec<usize> {
        match seed % 2 {
            0 => vec![own as usize % HOSTS],
            _ => {
                let first = numbers.below(HOSTS as u64) as usize;
                (0..=numbers.below(3) as usize)
                    .map(|more| (first + 3 * more) % HOSTS)
                    .collect()
            }
        }
    };
    for _ in 0..PACKETS {
        let packet = packet(&mut numbers);
        for host in who(&mut numbers, packet.src as u64) {
            truth.packet(&packet);
            hosts[host].packet(&packet);
        }
    }
    for _ in 0..TRANSACTIONS {
        let (one, name) = transaction(&mut numbers);
        let own = u64::from(one.key.src_port);
        for host in who(&mut numbers, own) {
            truth.transaction(&one, name.as_bytes());
            hosts[host].transaction(&one, name.as_bytes());
        }
    }
    let mut windows = Vec::new();
    for mut host in hosts {
        host.finish();
        assert_eq!((host.counters().too_late, host.counters().windows), (0, 1));
        windows.append(&mut host.take_closed());
    }
    (windows, truth)
}

/// What a collector does: reads the image of each host and merges them.
fn merged(windows: &[Window], metric: Metric) -> Summary {
    let mut summaries = windows.iter().map(|window| match window.summary(metric) {
        Summary::Counter(sum) => Summary::Counter(*sum),
        Summary::Cardinality(sketch) => Summary::Cardinality(Box::new(Cardinality::of_image(&sketch.image()).unwrap())),
        Summary::Quantiles(sketch) => Summary::Quantiles(Box::new(Quantiles::of_image(&sketch.image()).unwrap())),
        Summary::FrequentItems(list) => Summary::FrequentItems(Box::new(List::of_image(&list.image()).unwrap())),
    });
    let mut whole = summaries.next().unwrap();
    summaries.for_each(|summary| whole.merge(&summary).unwrap());
    whole
}

/// Estimates of one kind, those outside of their limits, and what they state.
#[derive(Default)]
struct Trials {
    all: usize,
    failed: usize,
    confidence: f64,
    /// Sum of the width of the limits, relative to the truth.
    width: f64,
}

#[test]
fn merged_answers_are_within_their_limits_as_often_as_they_say() {
    let mut trials: BTreeMap<&str, Trials> = BTreeMap::new();
    let mut rows_checked = 0;
    for seed in 0..SEEDS {
        let (windows, truth) = observe(seed);
        for (metric, truth) in &truth.counters {
            assert!(
                matches!(merged(&windows, *metric), Summary::Counter(sum) if sum == *truth),
                "{metric:?}"
            );
        }
        for (metric, truth) in &truth.different {
            let Summary::Cardinality(sketch) = merged(&windows, *metric) else {
                panic!("a cardinality")
            };
            let (estimate, truth) = (sketch.estimate(), truth.len() as f64);
            let trials = trials.entry("cardinality").or_default();
            trials.all += 1;
            trials.failed += usize::from(!holds(&estimate, truth));
            trials.confidence = estimate.confidence;
            trials.width += (estimate.upper - estimate.lower) / truth;
        }
        for (metric, values) in &truth.values {
            let Summary::Quantiles(sketch) = merged(&windows, *metric) else {
                panic!("quantiles")
            };
            let mut values = values.clone();
            values.sort_by(f32::total_cmp);
            assert_eq!(sketch.weight(), values.len() as u64, "{metric:?}");
            let trials = trials.entry(metric.about().name).or_default();
            for (rank, estimate) in RANKS.iter().zip(sketch.estimates(&RANKS)) {
                let place = ((rank * values.len() as f64).ceil() as usize).clamp(1, values.len());
                let truth = f64::from(values[place - 1]);
                trials.all += 1;
                trials.failed += usize::from(!(estimate.lower <= truth && truth <= estimate.upper));
                trials.confidence = estimate.confidence;
                trials.width += (estimate.upper - estimate.lower) / truth;
            }
        }
        for (metric, weights) in &truth.weights {
            let Summary::FrequentItems(list) = merged(&windows, *metric) else {
                panic!("a list")
            };
            let total: u64 = weights.values().sum();
            assert_eq!(list.weight(), total, "{metric:?}");
            assert!(
                list.error() <= total * 35 / 10_240,
                "{metric:?}: {} of {total}",
                list.error()
            );
            let rows = list.rows(usize::MAX);
            for row in &rows {
                // Limits of lists hold always: not one may be outside.
                let truth = weights.get(row.item.octets()).copied().unwrap_or(0);
                assert!(
                    row.limits[0] <= truth && truth <= row.limits[1],
                    "{metric:?}: {row:?} of {truth}"
                );
                rows_checked += 1;
            }
            let found: HashSet<&[u8]> = rows.iter().map(|row| row.item.octets()).collect();
            let missed = weights
                .iter()
                .filter(|(item, weight)| **weight > list.error() && !found.contains(&item[..]));
            assert_eq!(missed.count(), 0, "{metric:?}");
        }
    }
    println!("{rows_checked} rows of lists, all within their limits");
    for (kind, trials) in &trials {
        let allowed = failures_allowed(trials.all, trials.confidence);
        println!(
            "{kind}: {} of {} estimates outside of limits of {:.1} %, at most {allowed} may be; limits {:.1} % wide",
            trials.failed,
            trials.all,
            100.0 * trials.confidence,
            100.0 * trials.width / trials.all as f64,
        );
        assert!(trials.failed <= allowed, "{kind}");
        // Limits so wide that they always hold would say nothing.
        assert!(trials.width / (trials.all as f64) < 0.5, "{kind}");
    }
    assert_eq!(trials["cardinality"].all, 5 * SEEDS as usize);
}
