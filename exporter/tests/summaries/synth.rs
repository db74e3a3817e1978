//! Generated DNS traffic: counts exact, estimates within the limits they state, an outage and an attack to be seen.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::process::Command;

use flowgauge_exporter::metering::DnsStatus;
use flowgauge_exporter::summaries::sketch::quantiles::RANKS;
use flowgauge_exporter::summaries::{Metric, Summary, Window};
use serde_json::Value;

use crate::{Summed, cardinality, failures_allowed, holds, rows, shared, sum_up};

const SECOND_NS: i64 = 1_000_000_000;
const OURS: [&str; 2] = ["10.0.0.0/8", "2001:db8:1::/48"];

const COUNTERS: [(Metric, &str); 8] = [
    (Metric::Packets, "/totals/packets"),
    (Metric::DnsQueries, "/dns/queries"),
    (Metric::DnsResponses, "/dns/responses"),
    (Metric::DnsAnswered, "/dns/matched"),
    (Metric::DnsUnanswered, "/dns/unanswered"),
    (Metric::DnsNoQuery, "/dns/unsolicited_responses"),
    (Metric::DnsRetries, "/dns/repeated_queries"),
    (Metric::DnsResponseOctets, "/dns/response_bytes"),
];
/// IANA "DNS RCODEs" and "Resource Record (RR) TYPEs".
const CODES: [(&str, u16, Metric); 4] = [
    ("NOERROR", 0, Metric::DnsNoError),
    ("SERVFAIL", 2, Metric::DnsServFail),
    ("NXDOMAIN", 3, Metric::DnsNxDomain),
    ("REFUSED", 5, Metric::DnsRefused),
];
const TYPES: [(&str, u16); 10] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("HTTPS", 65),
];

/// Estimates that were looked at, those that were off, and the least confidence that any of them stated.
#[derive(Default)]
struct Trials {
    all: usize,
    failed: usize,
    off: Vec<String>,
    expected: f64,
}

impl Trials {
    fn add(&mut self, what: &str, is_right: bool, confidence: f64) {
        self.all += 1;
        self.failed += usize::from(!is_right);
        self.expected += 1.0 - confidence;
        if !is_right {
            self.off.push(what.to_owned());
        }
    }
}

fn generate(seed: u32, folder: &Path) -> Option<(Summed, Value)> {
    let tool = shared().join("tools/synth");
    if !tool.is_dir() || Command::new("python3").arg("--version").output().is_err() {
        println!(
            "skipped: no generator at {}: summaries are not compared with its truth",
            tool.display()
        );
        return None;
    }
    let (capture, truth) = (folder.join("a.pcap"), folder.join("a.json"));
    let output = Command::new("python3")
        .arg("-B")
        .arg(&tool)
        .args([
            "--profile",
            "dns",
            "--packets",
            "20000",
            "--duration",
            "60",
            "--seed",
            &seed.to_string(),
            "--out",
        ])
        .arg(&capture)
        .arg("--truth")
        .arg(&truth)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let truth: Value = serde_json::from_slice(&std::fs::read(truth).unwrap()).unwrap();
    Some((sum_up(&capture, SECOND_NS, &OURS, &[53]), truth))
}

#[test]
fn dns_traffic_is_summed_up_as_it_was_made() {
    let mut trials = Trials::default();
    for seed in [5, 6, 7] {
        let folder = tempfile::tempdir().unwrap();
        let Some((summed, truth)) = generate(seed, folder.path()) else {
            return;
        };
        counters(&summed, &truth);
        ways(&summed.whole, &truth);
        estimates(&summed, &truth, &mut trials);
        lists(&summed, &truth);
        outage(&summed.windows, &truth);
        attack(&summed, &truth);
    }
    let confidence = 1.0 - trials.expected / trials.all as f64;
    let allowed = failures_allowed(trials.all, confidence);
    println!(
        "{} estimates, {} outside of their limits: {:?}",
        trials.all, trials.failed, trials.off
    );
    assert!(trials.all >= 60 && trials.failed <= allowed, "{:?}", trials.off);
}

fn counters(summed: &Summed, truth: &Value) {
    let whole = &summed.whole;
    for (metric, place) in COUNTERS {
        assert_eq!(
            Some(whole.counter(metric)),
            truth.pointer(place).unwrap().as_u64(),
            "{metric:?}"
        );
    }
    assert_eq!(
        whole.counter(Metric::DnsQueryOctets),
        truth["dns"]["query_bytes"].as_u64().unwrap()
    );
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let asked = whole.counter(Metric::DnsTransactions) - whole.counter(Metric::DnsNoQuery);
    assert_eq!(asked, number(&truth["dns"]["transactions"]));
    let codes: HashMap<String, u64> = rows(whole, Metric::TopRcode, 100)
        .into_iter()
        .map(|(code, row)| (code, row.weight))
        .collect();
    for (name, code, metric) in CODES {
        let truth = number(&truth["dns"]["by_rcode"][name]);
        assert_eq!(whole.counter(metric), truth, "{name}");
        assert_eq!(codes.get(&code.to_string()).copied().unwrap_or(0), truth, "{name}");
    }
    assert_eq!(
        codes.values().sum::<u64>(),
        truth["dns"]["by_rcode"]
            .as_object()
            .unwrap()
            .values()
            .map(number)
            .sum::<u64>()
    );
    // A response to none counts as a query of its type; the generator counts queries only.
    let unasked = count(
        summed
            .transactions
            .iter()
            .filter(|(_, one)| one.status == DnsStatus::NoQuery),
        |(_, one)| one.qtype,
    );
    let mut types: BTreeMap<u16, u64> = rows(whole, Metric::TopQtype, 100)
        .into_iter()
        .map(|(number, row)| (number.parse().unwrap(), row.weight))
        .collect();
    for (number, count) in &unasked {
        *types.get_mut(number).unwrap() -= count;
    }
    types.retain(|_, count| *count > 0);
    let expected: BTreeMap<u16, u64> = truth["dns"]["by_qtype"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, count)| (TYPES.iter().find(|(known, _)| known == name).unwrap().1, number(count)))
        .collect();
    assert_eq!(types, expected);
}

fn count<T, K: std::hash::Hash + Eq>(all: impl Iterator<Item = T>, key: impl Fn(T) -> K) -> HashMap<K, u64> {
    let mut counts = HashMap::new();
    all.for_each(|one| *counts.entry(key(one)).or_default() += 1);
    counts
}

/// The truth by biflow: who sent how much to whom.
fn sides(truth: &Value) -> impl Iterator<Item = (&str, &str, u64, u64)> {
    truth["biflows"].as_array().unwrap().iter().flat_map(|flow| {
        let [src, dst] = ["src", "dst"].map(|name| flow[name].as_str().unwrap());
        let of = |name: &str, at: usize| flow[name][at].as_u64().unwrap();
        [
            (src, dst, of("packets", 0), of("octets", 0)),
            (dst, src, of("packets", 1), of("octets", 1)),
        ]
    })
}

fn is_ours(address: &str) -> bool {
    address.starts_with("10.") || address.starts_with("2001:db8:1:")
}

fn ways(whole: &Window, truth: &Value) {
    let mut sums = [[0; 2]; 4];
    let mut foreign = [HashSet::new(), HashSet::new()];
    for (from, to, packets, octets) in sides(truth).filter(|side| side.2 > 0) {
        let way = match (is_ours(from), is_ours(to)) {
            (false, true) => 0,
            (true, false) => 1,
            (true, true) => 2,
            (false, false) => 3,
        };
        sums[way][0] += packets;
        sums[way][1] += octets;
        if way == 0 {
            foreign[0].insert(from);
        } else if way == 1 {
            foreign[1].insert(to);
        }
    }
    let ours = [
        [Metric::PacketsIn, Metric::OctetsIn],
        [Metric::PacketsOut, Metric::OctetsOut],
        [Metric::PacketsWithin, Metric::OctetsWithin],
        [Metric::PacketsUnknown, Metric::OctetsUnknown],
    ]
    .map(|metrics| metrics.map(|metric| whole.counter(metric)));
    assert_eq!(ours, sums);
    assert!(sums[0][0] > 1000 && sums[1][0] > 1000);
    let ways = [Metric::DnsQueriesIn, Metric::DnsQueriesOut].map(|metric| whole.counter(metric));
    assert_eq!(ways[0] + ways[1], truth["dns"]["queries"].as_u64().unwrap());
    for (metric, foreign) in [Metric::IpSrcIn, Metric::IpDstOut].into_iter().zip(foreign) {
        let estimate = cardinality(whole, metric);
        assert!(
            (estimate.value - foreign.len() as f64).abs() <= foreign.len() as f64 * 0.1,
            "{estimate:?}"
        );
    }
}

fn estimates(summed: &Summed, truth: &Value, trials: &mut Trials) {
    let whole = &summed.whole;
    let sides: Vec<_> = sides(truth).filter(|side| side.2 > 0).collect();
    let different =
        |of: fn(&(&str, &str, u64, u64)) -> String| sides.iter().map(of).collect::<HashSet<_>>().len() as f64;
    for (metric, truth) in [
        (Metric::DnsQname, truth["dns"]["unique_qnames"].as_f64().unwrap()),
        (Metric::IpSrc, different(|side| side.0.to_owned())),
        (Metric::IpDst, different(|side| side.1.to_owned())),
    ] {
        let estimate = cardinality(whole, metric);
        trials.add(
            &format!("{metric:?}: {estimate:?} of {truth}"),
            holds(&estimate, truth),
            estimate.confidence,
        );
    }
    let Summary::Quantiles(latency) = whole.summary(Metric::DnsLatency) else {
        panic!("quantiles")
    };
    let of_truth = &truth["dns"]["latency_ns"];
    assert_eq!(Some(latency.weight()), of_truth["count"].as_u64());
    let us = |name: &str| of_truth[name].as_f64().unwrap() / 1000.0;
    assert_eq!(latency.extremes(), Some([us("min").floor(), us("max").floor()]));
    let found = latency.estimates(&RANKS);
    for (name, at) in [("p50", 0), ("p90", 1), ("p95", 2), ("p99", 3)] {
        let estimate = &found[at];
        // The generator's are to the ns, and between two values where ours are one of them.
        let is_right = estimate.lower * 0.999 - 1.0 <= us(name) && us(name) <= estimate.upper * 1.001 + 1.0;
        trials.add(
            &format!("latency {name}: {estimate:?} of {}", us(name)),
            is_right,
            estimate.confidence,
        );
    }
    // Latencies in and out are those of all; the exact ones are of the transactions, which are tested elsewhere.
    let by_way = [Metric::DnsLatencyIn, Metric::DnsLatencyOut].map(|metric| match whole.summary(metric) {
        Summary::Quantiles(sketch) => sketch.weight(),
        _ => panic!("quantiles"),
    });
    assert_eq!(by_way[0] + by_way[1], latency.weight());
    // Packets of each second of the generator's minutes, all seconds between the first and the last.
    let Summary::Quantiles(rates) = whole.summary(Metric::PacketRate) else {
        panic!("quantiles")
    };
    let [first, last] = ["first_ns", "last_ns"].map(|name| truth["totals"][name].as_i64().unwrap() / SECOND_NS);
    assert_eq!(rates.weight(), (last - first + 1) as u64);
    for window in &summed.windows {
        let Summary::Quantiles(rates) = window.summary(Metric::PacketRate) else {
            panic!("quantiles")
        };
        let packets = window.counter(Metric::Packets) as f64;
        assert_eq!(rates.extremes(), Some([packets, packets]));
    }
    let Summary::Quantiles(ratio) = whole.summary(Metric::DnsRatio) else {
        panic!("quantiles")
    };
    let exact = quantile(
        summed
            .transactions
            .iter()
            .filter_map(|(_, one)| Some(f64::from(one.response_octets?) / f64::from(one.query_octets?))),
    );
    for (rank, estimate) in RANKS.iter().zip(ratio.estimates(&RANKS)) {
        let truth = exact(*rank);
        let is_right = estimate.lower * 0.9999 <= truth && truth <= estimate.upper * 1.0001;
        trials.add(
            &format!("ratio {rank}: {estimate:?} of {truth}"),
            is_right,
            estimate.confidence,
        );
    }
    for zone in whole.zones().rows(20) {
        let name = std::str::from_utf8(zone.name.octets()).unwrap();
        let within = |of: &&(String, _)| of.0 == name || of.0.ends_with(&format!(".{name}"));
        let all: Vec<_> = summed.transactions.iter().filter(within).collect();
        assert_eq!((zone.transactions, zone.missed), (all.len() as u64, 0), "{name}");
        let names: HashSet<_> = all.iter().map(|(name, _)| name).collect();
        let asked = all.iter().filter(|(_, one)| one.status != DnsStatus::NoQuery);
        let clients: HashSet<_> = asked.map(|(_, one)| one.key.src).collect();
        for (what, estimate, truth) in [
            ("names", zone.names(), names.len()),
            ("clients", zone.clients(), clients.len()),
        ] {
            trials.add(
                &format!("{what} of {name}: {estimate:?} of {truth}"),
                holds(&estimate, truth as f64),
                estimate.confidence,
            );
        }
    }
}

/// The value at a rank: the smallest that is at least as large as that share of all.
fn quantile(values: impl Iterator<Item = f64>) -> impl Fn(f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    move |rank| values[((rank * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1]
}

fn lists(summed: &Summed, truth: &Value) {
    let whole = &summed.whole;
    let top = |place: &str| -> Vec<(String, u64)> {
        let rows = truth.pointer(place).unwrap().as_array().unwrap();
        rows.iter()
            .map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_u64().unwrap()))
            .collect()
    };
    let unasked = |name: &str| {
        let of = |one: &&(String, _)| one.0 == name || one.0.ends_with(&format!(".{name}"));
        let none = |one: &&(String, flowgauge_exporter::metering::DnsTransaction)| one.1.status == DnsStatus::NoQuery;
        summed.transactions.iter().filter(of).filter(none).count() as u64
    };
    for (metric, place) in [
        (Metric::TopQname, "/dns/top_query_names/qname"),
        (Metric::TopQname2, "/dns/top_query_names/qname2"),
        (Metric::TopQname3, "/dns/top_query_names/qname3"),
        (Metric::TopNxDomain, "/dns/top_nxdomain"),
        (Metric::TopServFail, "/dns/top_servfail"),
        (Metric::TopRefused, "/dns/top_refused"),
    ] {
        let ours = rows(whole, metric, 1000);
        // `in-addr.arpa` is a public suffix: what is registered below it has a label more with us.
        let truth: Vec<_> = top(place)
            .into_iter()
            .filter(|(name, _)| !name.ends_with("in-addr.arpa"))
            .collect();
        assert!(truth.len() >= 5, "{place}");
        for (name, weight) in &truth {
            let (_, row) = ours
                .iter()
                .find(|(item, _)| item == name)
                .unwrap_or_else(|| panic!("{name} in {metric:?}"));
            let is_queries = place.contains("query_names");
            let weight = weight
                + if is_queries && metric != Metric::TopQname {
                    unasked(name)
                } else {
                    0
                };
            let more = if is_queries && metric == Metric::TopQname {
                unasked(name)
            } else {
                0
            };
            assert!(
                row.limits[0] <= weight + more && weight <= row.limits[1],
                "{name}: {row:?} of {weight}"
            );
        }
        // Nobody is among our ten who is lighter than the generator's tenth by more than our error.
        let least = truth.last().map_or(0, |(_, weight)| *weight);
        let ten = ours.iter().take(truth.len());
        assert!(ten.clone().all(|(_, row)| row.limits[1] >= least), "{metric:?}");
    }
    let mut octets: HashMap<&str, u64> = HashMap::new();
    sides(truth).for_each(|(from, _, _, sum)| *octets.entry(from).or_default() += sum);
    let ours = rows(whole, Metric::TopSrcOctets, 1000);
    for (address, row) in ours.iter().take(10) {
        let truth = octets[address.as_str()];
        assert!(
            row.limits[0] <= truth && truth <= row.limits[1],
            "{address}: {row:?} of {truth}"
        );
    }
    let names = |list: Metric| rows(whole, list, 1).remove(0).1.weight;
    assert!(names(Metric::TopUdpPort) >= 1 && names(Metric::TopQnameOctets) > names(Metric::TopQname));
}

/// Windows that lie within a phase of the generator's.
fn within<'w>(windows: &'w [Window], phase: &Value) -> impl Iterator<Item = &'w Window> + use<'w> {
    let [from, to] = [0, 1].map(|at| phase[at].as_i64().unwrap());
    windows
        .iter()
        .filter(move |window| from <= window.start_ns && window.end_ns <= to)
}

/// Queries for each response.
fn ratio<'w>(windows: impl Iterator<Item = &'w Window>) -> f64 {
    let mut sums = [0; 2];
    for window in windows {
        sums[0] += window.counter(Metric::DnsQueries);
        sums[1] += window.counter(Metric::DnsResponses);
    }
    sums[0] as f64 / sums[1].max(1) as f64
}

fn outage(windows: &[Window], truth: &Value) {
    let phase = &truth["phases"]["outage_ns"];
    let [during, before] = [
        ratio(within(windows, phase)),
        ratio(
            windows
                .iter()
                .filter(|window| window.end_ns <= phase[0].as_i64().unwrap()),
        ),
    ];
    println!("queries for each response: {before:.2} before the outage, {during:.2} in it");
    assert!(before < 1.3 && during > 2.0 * before, "{before} {during}");
    // And by server: the one that fails is the one with the most queries for a response.
    let mut whole: Option<Window> = None;
    for window in within(windows, phase) {
        match &mut whole {
            Some(whole) => whole.merge(window).unwrap(),
            None => whole = Some(window.clone()),
        }
    }
    let whole = whole.unwrap();
    let responses: HashMap<String, u64> = rows(&whole, Metric::TopServerResponses, 1000)
        .into_iter()
        .map(|(server, row)| (server, row.limits[1]))
        .collect();
    let worst = rows(&whole, Metric::TopServerQueries, 10)
        .into_iter()
        .map(|(server, row)| row.limits[0] as f64 / responses.get(&server).copied().unwrap_or(0).max(1) as f64)
        .fold(0.0, f64::max);
    assert!(worst >= during, "{worst} {during}");
}

fn attack(summed: &Summed, truth: &Value) {
    let phase = &truth["phases"]["random_label_attack_ns"];
    let victim = truth["phases"]["victim_zone"].as_str().unwrap();
    let mut found = 0;
    for window in within(&summed.windows, phase) {
        let zones = window.zones().rows(20);
        let busy = zones.iter().filter(|zone| zone.transactions >= 50);
        let share = |zone: &flowgauge_exporter::summaries::Zone| zone.names().value / zone.transactions as f64;
        if let Some(worst) = busy.max_by(|a, b| share(a).total_cmp(&share(b))) {
            found += 1;
            assert_eq!(std::str::from_utf8(worst.name.octets()).unwrap(), victim);
            assert!(share(worst) > 0.8, "{worst:?}");
        }
    }
    assert!(found >= 2, "{found} windows of the attack have a zone to speak of");
}
