//! The numbers that pktvisor's own tests assert of its captures (`corpus/pktvisor/golden-assertions.txt`).
//!
//! Every section of that file that is about packets or DNS of a capture that is there is either checked line by line or
//! left out with its reason; a line that we answer differently is listed with the reason, and so is one that is not ours.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use flowgauge_exporter::metering::DnsStatus;
use flowgauge_exporter::metering::dns::DnsTransaction;
use flowgauge_exporter::summaries::networks::Networks;
use flowgauge_exporter::summaries::sketch::Estimate;
use flowgauge_exporter::summaries::{Metric, Summaries, SummariesConfig, Window};

use crate::{Summed, cardinality, holds, rows, shared, sum_up};

/// Which part of the transactions a section of pktvisor's is about.
#[derive(Clone, Copy)]
enum Part {
    All,
    /// Those of some types.
    Types(&'static [u16]),
    /// Those with answers that are said to be authenticated (RFC 4035 section 3.2.3); the first version takes only the
    /// responses of them.
    Authenticated,
}

/// What pktvisor's tests call the host: with it, all clients of the capture are ours.
const HOST: &[&str] = &["192.168.0.0/24"];

/// Sections by file and line: which networks are the host's, and which part is meant.
const CHECKED: &[(&str, &[&str], Part)] = &[
    ("dns/v1/tests/test_dns_layer.cpp:64", &[], Part::All),
    ("dns/v1/tests/test_dns_layer.cpp:106", &[], Part::All),
    ("dns/v1/tests/test_dns_layer.cpp:202", HOST, Part::All),
    ("dns/v1/tests/test_dns_layer.cpp:375", HOST, Part::Types(&[28, 16])),
    ("dns/v1/tests/test_dns_layer.cpp:420", HOST, Part::All),
    ("dns/v1/tests/test_dns_layer.cpp:566", &[], Part::Authenticated),
    ("dns/v1/tests/test_dns_layer.cpp:1064", &[], Part::All),
    ("dns/v2/tests/test_dns_layer.cpp:65", &[], Part::All),
    ("dns/v2/tests/test_dns_layer.cpp:106", &[], Part::All),
    ("dns/v2/tests/test_dns_layer.cpp:238", HOST, Part::All),
    ("dns/v2/tests/test_dns_layer.cpp:407", HOST, Part::Types(&[28, 16])),
    ("dns/v2/tests/test_dns_layer.cpp:453", HOST, Part::All),
    ("dns/v2/tests/test_dns_layer.cpp:604", &[], Part::Authenticated),
    ("dns/v2/tests/test_dns_layer.cpp:985", &[], Part::All),
    ("net/v1/tests/test_net_layer.cpp:23", &[], Part::All),
    ("net/v1/tests/test_net_layer.cpp:57", &[], Part::All),
    ("net/v1/tests/test_net_layer.cpp:143", HOST, Part::All),
    ("net/v1/tests/test_net_layer.cpp:588", &[], Part::All),
    ("net/v2/tests/test_net_layer.cpp:23", &[], Part::All),
    ("net/v2/tests/test_net_layer.cpp:57", &[], Part::All),
    ("net/v2/tests/test_net_layer.cpp:143", HOST, Part::All),
    ("net/v2/tests/test_net_layer.cpp:580", &[], Part::All),
];

const SWITCHES: &str = "switches groups of pktvisor's metrics off and on";
const CHAINS: &str =
    "chains one handler of pktvisor's behind another one, and its second half is of a capture that is not there";
const INSIDE: &str = "about classes of pktvisor, not about the capture";
const OTHER: &str = "of another capture than it names: these numbers are not in it";
const LEFT_OUT: &[(&str, &str)] = &[
    ("dns/v1/tests/test_dns_layer.cpp:37", INSIDE),
    ("dns/v1/tests/test_dns_layer.cpp:907", SWITCHES),
    ("dns/v1/tests/test_dns_layer.cpp:1101", OTHER),
    ("dns/v2/tests/test_dns_layer.cpp:38", INSIDE),
    ("dns/v2/tests/test_dns_layer.cpp:138", CHAINS),
    ("dns/v2/tests/test_dns_layer.cpp:884", SWITCHES),
    ("dns/v2/tests/test_dns_layer.cpp:1021", OTHER),
    ("net/v1/tests/test_net_layer.cpp:279", CHAINS),
    ("net/v1/tests/test_net_layer.cpp:372", SWITCHES),
    ("net/v1/tests/test_net_layer.cpp:624", INSIDE),
    ("net/v2/tests/test_net_layer.cpp:278", CHAINS),
    ("net/v2/tests/test_net_layer.cpp:366", SWITCHES),
    ("net/v2/tests/test_net_layer.cpp:619", INSIDE),
];

/// Lines that are about how pktvisor cuts time, which we do at whole multiples of the wall clock.
const NOT_OURS: &[&str] = &["current_periods", "start_tstamp", "end_tstamp", "period_length"];

const ALIKE: &str = "2036 names of at most 290 octets each: all lie within the error that the list states, 290 too";
/// Whatever it is: which of many alike is first follows from the order in which they come.
const ANY: &str = "any";
const ROOT: &str = "the root is a name here and none there";

/// Lines that we answer differently: section, left side, our answer, why.
const DIFFERENT: &[(&str, &str, &str, &str)] = &[
    (
        "dns/v1/tests/test_dns_layer.cpp:202",
        r#"j["top_udp_ports"][0]["name"]"#,
        "49867",
        "nine ports have 298 messages each, says tshark",
    ),
    (
        "dns/v1/tests/test_dns_layer.cpp:202",
        r#"j["top_udp_ports"][0]["estimate"]"#,
        "298",
        "tshark counts 298 as well",
    ),
    (
        "dns/v1/tests/test_dns_layer.cpp:202",
        r#"j["top_qname_by_resp_bytes"][0]["name"]"#,
        ANY,
        ALIKE,
    ),
    (
        "dns/v1/tests/test_dns_layer.cpp:202",
        r#"j["top_qname_by_resp_bytes"][0]["estimate"]"#,
        ANY,
        ALIKE,
    ),
    (
        "dns/v1/tests/test_dns_layer.cpp:566",
        r#"j["cardinality"]["qname"]"#,
        "4",
        ROOT,
    ),
    (
        "dns/v2/tests/test_dns_layer.cpp:238",
        r#"j["out"]["top_udp_ports_xacts"][0]["name"]"#,
        "49867",
        "nine ports have 149 transactions each, says tshark",
    ),
    (
        "dns/v2/tests/test_dns_layer.cpp:238",
        r#"j["out"]["top_udp_ports_xacts"][0]["estimate"]"#,
        "149",
        "tshark counts 149 as well",
    ),
    (
        "dns/v2/tests/test_dns_layer.cpp:238",
        r#"j["out"]["top_response_bytes"][0]["name"]"#,
        ANY,
        ALIKE,
    ),
    (
        "dns/v2/tests/test_dns_layer.cpp:238",
        r#"j["out"]["top_response_bytes"][0]["estimate"]"#,
        ANY,
        ALIKE,
    ),
    (
        "dns/v2/tests/test_dns_layer.cpp:604",
        r#"j["unknown"]["cardinality"]["qname"]"#,
        "4",
        ROOT,
    ),
    (
        "dns/v1/tests/test_dns_layer.cpp:420",
        r#"j["top_qtype"][3]"#,
        "more",
        "it is told to print three rows there, which are equal; rows are asked for when they are printed here",
    ),
    (
        "dns/v2/tests/test_dns_layer.cpp:453",
        r#"j["out"]["top_qtype_xacts"][3]"#,
        "more",
        "likewise",
    ),
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
    ("DS", 43),
    ("DNSKEY", 48),
];

/// One assertion.
struct Line {
    left: String,
    right: String,
}

fn sections(text: &str) -> Vec<(String, String, Vec<Line>)> {
    let mut sections: Vec<(String, String, Vec<Line>)> = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# src/handlers/") {
            let (title, capture) = head.split_once(" fixture=").unwrap();
            sections.push((title.to_owned(), capture.to_owned(), Vec::new()));
        } else if let Some((left, right)) = line.trim().split_once(" == ") {
            let right = right.split("//").next().unwrap().trim();
            sections.last_mut().unwrap().2.push(Line {
                left: left.to_owned(),
                right: right.to_owned(),
            });
        }
    }
    sections
}

/// The summary of a part of the transactions.
fn sum<'t>(transactions: impl Iterator<Item = &'t (String, DnsTransaction)>, networks: &[&str]) -> Window {
    let mut summaries = Summaries::new(SummariesConfig {
        window_ns: 3_600_000_000_000,
        networks: Arc::new(Networks::parse(networks.iter().copied()).unwrap()),
        ..SummariesConfig::default()
    });
    transactions.for_each(|(name, one)| summaries.transaction(one, name.as_bytes()));
    summaries.finish();
    let mut windows = summaries.take_closed().into_iter();
    let mut whole = windows.next().unwrap_or_else(|| Window::new(0, 1));
    windows.for_each(|window| whole.merge(&window).unwrap());
    whole
}

/// What a section is compared with.
struct Answers {
    packets: Window,
    transactions: Vec<(String, DnsTransaction)>,
    networks: &'static [&'static str],
    /// Of the second version, which counts transactions; the first counts messages.
    is_second: bool,
    is_packets: bool,
}

impl Answers {
    fn of(&self, which: impl Fn(&DnsTransaction) -> bool) -> Window {
        sum(self.transactions.iter().filter(|(_, one)| which(one)), self.networks)
    }

    fn answered(&self) -> Window {
        self.of(|one| one.status == DnsStatus::Answered)
    }

    /// Messages, or answered transactions, for which something holds.
    fn counted(&self, which: impl Fn(&DnsTransaction) -> bool) -> u64 {
        match self.is_second {
            true => self
                .of(|one| one.status != DnsStatus::Unanswered && which(one))
                .counter(Metric::DnsTransactions),
            false => messages(&self.of(which)),
        }
    }

    /// Our answer to a line's left side, written as its right side would be.
    fn answer(&self, left: &str) -> Option<String> {
        let left = left.replace(['"', '\''], "");
        if self.is_packets {
            return self.of_packets(&left);
        }
        let all = self.of(|_| true);
        let counter = |metric| Some(all.counter(metric).to_string());
        let name = left
            .strip_prefix("counters.")
            .map(|name| name.trim_end_matches(".value()"));
        match name.unwrap_or(&left) {
            "UDP" | "otel_gauge_value(scope, dns_wire_packets_udp)" | "otel_gauge_sum(scope, dns_udp_xacts)" => {
                Some(self.counted(|one| one.key.protocol == 17).to_string())
            }
            "TCP" => Some(self.counted(|one| one.key.protocol == 6).to_string()),
            "IPv4" | "otel_gauge_sum(scope, dns_ipv4_xacts)" => {
                Some(self.counted(|one| one.key.src.is_ipv4()).to_string())
            }
            "IPv6" => Some(self.counted(|one| !one.key.src.is_ipv4()).to_string()),
            "event_data.num_events->value()" | "event_data.num_samples->value()" => {
                Some(messages(&self.packets).to_string())
            }
            "queries" | "otel_gauge_value(scope, dns_wire_packets_queries)" => counter(Metric::DnsQueries),
            "replies" | "otel_gauge_value(scope, dns_wire_packets_replies)" => counter(Metric::DnsResponses),
            "xacts_total" => counter(Metric::DnsAnswered),
            "xacts" | "otel_gauge_sum(scope, dns_xacts)" => Some(self.counted(|_| true).to_string()),
            "xacts_in" => Some(self.answered().counter(Metric::DnsResponsesIn).to_string()),
            "xacts_out" => Some(self.answered().counter(Metric::DnsResponsesOut).to_string()),
            "xacts_timed_out" | "timeout" => counter(Metric::DnsTimedOut),
            "orphan" => counter(Metric::DnsNoQuery),
            "NODATA" => counter(Metric::DnsNoData),
            "RNOERROR" => counter(Metric::DnsNoError),
            "NX" => counter(Metric::DnsNxDomain),
            "REFUSED" => counter(Metric::DnsRefused),
            "SRVFAIL" => counter(Metric::DnsServFail),
            "checkDisabled" => counter(Metric::DnsCheckingDisabled),
            "authData" => counter(Metric::DnsAuthenticated),
            "authAnswer" => counter(Metric::DnsAuthoritative),
            list => self.of_lists(list, &all),
        }
    }

    fn of_lists(&self, left: &str, all: &Window) -> Option<String> {
        // `j[out][top_qtype_xacts][1][estimate]`; the first version has no direction.
        let mut path: Vec<&str> = left.strip_prefix("j[")?.trim_end_matches(']').split("][").collect();
        if matches!(path.first(), Some(&("in" | "out" | "unknown"))) {
            path.remove(0);
        }
        if path == ["cardinality", "qname"] {
            return Some(format!("cardinality {}", Metric::DnsQname as u8));
        }
        let (list, at, what) = match path[..] {
            [list, at, what] => (list, at, what),
            // Whether there is such a row at all.
            [list, at] => (list, at, "row"),
            _ => return None,
        };
        let at: usize = at.parse().ok()?;
        let of = match self.is_second {
            true => self.answered(),
            false => all.clone(),
        };
        let list = list.trim_end_matches("_xacts");
        // What the first version counts twice, once in the query and once in the response.
        let responses = |metric: Metric, item: &str| match self.is_second {
            true => 0,
            false => weight(&self.of(|one| one.status == DnsStatus::Answered), metric, item),
        };
        let (metric, doubled) = match list {
            "top_qname2" => (Metric::TopQname2, true),
            "top_qtype" => (Metric::TopQtype, true),
            "top_udp_ports" => (Metric::TopUdpPort, true),
            "top_rcode" => (Metric::TopRcode, false),
            "top_qname_by_resp_bytes" | "top_response_bytes" => (Metric::TopQnameOctets, false),
            _ => return None,
        };
        let Some((item, row)) = rows(&of, metric, 1000).into_iter().nth(at) else {
            return Some("none".to_owned());
        };
        match what {
            "estimate" => {
                let more = if doubled { responses(metric, &item) } else { 0 };
                Some((row.weight + more).to_string())
            }
            "name" => Some(match metric {
                Metric::TopQtype => TYPES
                    .iter()
                    .find(|(_, number)| number.to_string() == item)?
                    .0
                    .to_owned(),
                Metric::TopRcode if item == "0" => "NOERROR".to_owned(),
                _ => item,
            }),
            "row" => Some("more".to_owned()),
            _ => None,
        }
    }

    fn cardinality(&self, metric: &str) -> Estimate {
        let metric = Metric::ALL[metric.parse::<usize>().unwrap()];
        match self.is_packets {
            true => cardinality(&self.packets, metric),
            false => cardinality(&self.of(|_| true), metric),
        }
    }

    fn of_packets(&self, left: &str) -> Option<String> {
        let window = &self.packets;
        let counter = |metrics: &[Metric]| {
            Some(
                metrics
                    .iter()
                    .map(|metric| window.counter(*metric))
                    .sum::<u64>()
                    .to_string(),
            )
        };
        let google = "8.8.8.8";
        match left.trim_start_matches("counters.").trim_end_matches(".value()") {
            "event_data.num_events->value()" | "event_data.num_samples->value()" | "total" => {
                counter(&[Metric::Packets])
            }
            "TCP" => counter(&[Metric::PacketsTcp]),
            "UDP" | "otel_gauge_value(scope, packets_udp)" | "otel_gauge_sum(scope, net_udp_packets)" => {
                counter(&[Metric::PacketsUdp])
            }
            "IPv4" | "otel_gauge_value(scope, packets_ipv4)" | "otel_gauge_sum(scope, net_ipv4_packets)" => {
                counter(&[Metric::PacketsIpv4])
            }
            "IPv6" | "otel_gauge_value(scope, packets_ipv6)" | "otel_gauge_sum(scope, net_ipv6_packets)" => {
                counter(&[Metric::PacketsIpv6])
            }
            "OtherL4" => counter(&[Metric::PacketsOther, Metric::PacketsIcmp]),
            // pktvisor counts every packet with SYN.
            "TCP_SYN" => counter(&[Metric::TcpSyn, Metric::TcpSynAck]),
            "total_in" => counter(&[Metric::PacketsIn]),
            "total_out" => counter(&[Metric::PacketsOut]),
            "total_unk" => counter(&[Metric::PacketsWithin, Metric::PacketsUnknown]),
            "j[cardinality][dst_ips_out]" | "j[out][cardinality][ips]" => {
                Some(format!("cardinality {}", Metric::IpDstOut as u8))
            }
            "j[cardinality][src_ips_in]" => Some(format!("cardinality {}", Metric::IpSrcIn as u8)),
            "j[top_ipv4][0][estimate]" => Some(
                (weight(window, Metric::TopSrcPackets, google) + weight(window, Metric::TopDstPackets, google))
                    .to_string(),
            ),
            "j[out][top_ipv4_packets][0][estimate]" => Some(weight(window, Metric::TopDstPackets, google).to_string()),
            "j[top_ipv4][0][name]" | "j[out][top_ipv4_packets][0][name]" => {
                Some(rows(window, Metric::TopDstPackets, 1).remove(0).0)
            }
            _ => None,
        }
    }
}

fn messages(window: &Window) -> u64 {
    window.counter(Metric::DnsQueries) + window.counter(Metric::DnsResponses)
}

fn weight(window: &Window, metric: Metric, item: &str) -> u64 {
    rows(window, metric, 1000)
        .into_iter()
        .find(|(name, _)| name == item)
        .map_or(0, |(_, row)| row.weight)
}

/// Our answer agrees with what the line says.
fn agrees(answers: &Answers, answer: &str, expected: &str) -> bool {
    if let Some(number) = answer.strip_prefix("cardinality ") {
        return expected
            .parse()
            .is_ok_and(|truth: f64| holds(&answers.cardinality(number), truth));
    }
    // Names of zones are written with a dot ahead there.
    answer == expected.trim_matches('"').trim_start_matches('.') || (expected == "nullptr" && answer == "none")
}

#[test]
fn numbers_are_those_of_pktvisor() {
    let folder = shared().join("corpus/pktvisor");
    let Ok(text) = std::fs::read_to_string(folder.join("golden-assertions.txt")) else {
        println!("skipped: no assertions of pktvisor at {}", folder.display());
        return;
    };
    let mut sums: HashMap<(String, &[&str]), Summed> = HashMap::new();
    let (mut equal, mut not_ours, mut wrong, mut explained) = (0, 0, Vec::new(), Vec::new());
    for (title, capture, lines) in sections(&text) {
        let is_about_this = title.starts_with("dns/") || title.starts_with("net/");
        if !is_about_this || lines.is_empty() || !folder.join(&capture).is_file() {
            continue;
        }
        let Some((_, networks, part)) = CHECKED.iter().find(|(one, ..)| *one == title) else {
            let reason = LEFT_OUT.iter().find(|(one, _)| *one == title);
            let reason = reason
                .unwrap_or_else(|| panic!("{title} is neither checked nor left out"))
                .1;
            println!("left out: {title}: {reason}");
            continue;
        };
        let summed = sums
            .entry((capture.clone(), *networks))
            .or_insert_with(|| load(&folder, &capture, networks));
        let is_second = title.contains("/v2/");
        let part_of = |(name, one): &(String, DnsTransaction)| Some((name.clone(), restricted(one, *part, is_second)?));
        let transactions = summed.transactions.iter().filter_map(part_of);
        let answers = Answers {
            packets: summed.whole.clone(),
            transactions: transactions.collect(),
            networks,
            is_second,
            is_packets: title.starts_with("net/"),
        };
        let mut known: BTreeMap<String, String> = BTreeMap::new();
        for Line { left, right } in lines {
            if NOT_OURS.iter().any(|name| left.contains(name)) {
                not_ours += 1;
                continue;
            }
            // Some right sides name a left side from before.
            let right = known.get(&right).cloned().unwrap_or(right);
            known.insert(left.clone(), right.clone());
            let answer = answers.answer(&left);
            let answer = answer.unwrap_or_else(|| "nothing answers".to_owned());
            if agrees(&answers, &answer, &right) {
                equal += 1;
                continue;
            }
            let answer = match answer.strip_prefix("cardinality ") {
                Some(number) => format!("{:.0}", answers.cardinality(number).value),
                None => answer,
            };
            match DIFFERENT
                .iter()
                .find(|one| one.0 == title && one.1 == left && (one.2 == answer || one.2 == ANY))
            {
                Some((.., reason)) => {
                    explained.push(format!("{title}: {left}: {right} there, {answer} here: {reason}"))
                }
                None => wrong.push(format!("{title}: {left}: {right} there, {answer} here")),
            }
        }
    }
    println!(
        "{equal} numbers equal, {not_ours} about pktvisor's periods, {} explained:",
        explained.len()
    );
    explained.iter().for_each(|line| println!("  {line}"));
    // What the explanation of the names says.
    let random = sum_up(&folder.join("dns_udp_tcp_random.pcap"), 60_000_000_000, &[], &[53]);
    let (_, first) = rows(&random.whole, Metric::TopQnameOctets, 1).remove(0);
    assert!(first.limits[0] <= 290 && 290 <= first.limits[1], "{first:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        explained.len(),
        DIFFERENT.len(),
        "an explanation that is needed no more"
    );
    assert!(equal >= 120, "{equal}");
}

fn load(folder: &Path, capture: &str, networks: &[&str]) -> Summed {
    // pktvisor finds DNS by looking into packets; two captures have it on port 53000.
    sum_up(&folder.join(capture), 60_000_000_000, networks, &[53, 53_000])
}

/// A transaction as far as a section is about it.
fn restricted(one: &DnsTransaction, part: Part, is_second: bool) -> Option<DnsTransaction> {
    match part {
        Part::All => Some(one.clone()),
        Part::Types(types) => types.contains(&one.qtype).then(|| one.clone()),
        Part::Authenticated => (one.flags & 0x20 != 0 && one.answers > 0).then(|| DnsTransaction {
            status: if is_second { one.status } else { DnsStatus::NoQuery },
            ..one.clone()
        }),
    }
}
