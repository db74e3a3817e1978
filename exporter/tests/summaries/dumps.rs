//! What dnscap and compactor print of their captures: the same names, types and codes, message by message.

use std::collections::BTreeMap;
use std::path::Path;

use flowgauge_exporter::metering::DnsStatus;
use flowgauge_exporter::summaries::Metric;

use crate::{Summed, cardinality, holds, rows, shared, sum_up};

/// Name, type, and code of a response; how many messages.
type Messages = BTreeMap<(String, u16, Option<u16>), i64>;

const TYPES: [(&str, u16); 9] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
];
const CODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/// Dump, the capture in it, how often the dump has the capture (each is of several runs), and messages that differ, with
/// the reason.
const DUMPS: [(&str, &str, i64, &[&str]); 9] = [
    ("dns.gold", "dns.pcap", 1, &[]),
    ("dns.gold", "dns.pcap.gz", 1, &[]),
    ("dns.gold", "dns.pcap.zst", 1, &[]),
    ("dnspad.gold", "dnspad.pcap", 2, &[]),
    ("ether_padd.gold", "ipv6-with-ethernet-padding.pcap", 1, &[]),
    ("test10.gold", "dns6.pcap", 2, &[]),
    ("test7.gold", "dnso1tcp.pcap", 2, &[]),
    ("test7.gold", "1qtcpnosyn.pcap", 1, &[]),
    ("test8.gold", "dnsotcp-many1pkt.pcap", 1, &[]),
];

fn ours(summed: &Summed) -> Messages {
    let mut messages = Messages::new();
    for (name, one) in &summed.transactions {
        if one.status != DnsStatus::NoQuery {
            *messages.entry((name.clone(), one.qtype, None)).or_default() += 1 + i64::from(one.retries);
        }
        if let Some(code) = one.rcode {
            *messages.entry((name.clone(), one.qtype, Some(code))).or_default() += 1;
        }
    }
    messages
}

/// Records of a dump begin with the length in brackets; of each, the line `dns OPCODE,RCODE,ID,FLAGS COUNT NAME,CLASS,TYPE`.
fn dumped(text: &str, capture: &str) -> Messages {
    let mut messages = Messages::new();
    let joined = text.replace("\\\n\t", " ");
    for line in joined
        .lines()
        .filter(|line| line.starts_with('[') && line.contains(&format!(" {capture} ")))
    {
        let Some((_, message)) = line.split_once(" dns ") else {
            continue;
        };
        let mut words = message.split_whitespace();
        let header: Vec<&str> = words.next().unwrap().split(',').collect();
        let question: Vec<&str> = words.nth(1).unwrap().split(',').collect();
        let is_response = header[3].split('|').any(|flag| flag == "qr");
        let code = CODES.iter().position(|code| *code == header[1]).unwrap() as u16;
        let name = question[0].trim_end_matches('.').to_lowercase();
        let name = if name.is_empty() { ".".to_owned() } else { name };
        let kind = TYPES.iter().find(|(text, _)| *text == question[2]).unwrap().1;
        *messages.entry((name, kind, is_response.then_some(code))).or_default() += 1;
    }
    messages
}

fn differences(ours: &Messages, theirs: &Messages) -> Vec<String> {
    let mut both = ours.clone();
    for (key, count) in theirs {
        *both.entry(key.clone()).or_default() -= count;
    }
    both.into_iter()
        .filter(|(_, count)| *count != 0)
        .map(|((name, qtype, rcode), count)| format!("{name} {qtype} {rcode:?} {count:+}"))
        .collect()
}

/// The summary says what the messages say.
fn check_summary(summed: &Summed, messages: &Messages) {
    let whole = &summed.whole;
    let sum = |of: fn(&Option<u16>) -> bool| {
        messages
            .iter()
            .filter(|(key, _)| of(&key.2))
            .map(|(_, count)| *count as u64)
            .sum::<u64>()
    };
    assert_eq!(whole.counter(Metric::DnsQueries), sum(Option::is_none));
    assert_eq!(whole.counter(Metric::DnsResponses), sum(Option::is_some));
    let names: std::collections::BTreeSet<&str> = messages.keys().map(|key| key.0.as_str()).collect();
    assert!(holds(&cardinality(whole, Metric::DnsQname), names.len() as f64));
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    for ((_, _, code), count) in messages {
        if let Some(code) = code {
            *codes.entry(code.to_string()).or_default() += *count as u64;
        }
    }
    let listed = rows(whole, Metric::TopRcode, 10)
        .into_iter()
        .map(|(code, row)| (code, row.weight))
        .collect();
    assert_eq!(codes, listed);
}

#[test]
fn messages_are_those_that_dnscap_prints() {
    let folder = shared().join("corpus/dns/dnscap");
    if !folder.is_dir() {
        println!("skipped: no captures at {}", folder.display());
        return;
    }
    for (dump, capture, times, expected) in DUMPS {
        let text = String::from_utf8_lossy(&std::fs::read(folder.join(dump)).unwrap()).into_owned();
        let plain = capture.trim_end_matches(".gz").trim_end_matches(".zst");
        let theirs = dumped(&text, plain);
        assert!(!theirs.is_empty(), "{dump} has nothing of {capture}");
        let theirs: Messages = theirs.into_iter().map(|(key, count)| (key, count / times)).collect();
        let summed = sum_up(&folder.join(capture), 60_000_000_000, &[], &[53]);
        let messages = ours(&summed);
        assert_eq!(differences(&messages, &theirs), expected, "{capture}");
        check_summary(&summed, &messages);
    }
    println!("{} captures compared with what dnscap prints", DUMPS.len());
}

/// One of compactor's: client port, identifier, name, type, and whether there was a query and a response.
type Pair = (u16, u16, String, Option<u16>, bool, bool);

fn pairs(text: &str) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    for line in text.lines().chain(["Date/X-Date=end"]) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if name == "Date/X-Date" && !fields.is_empty() {
            let number = |name: &str| fields.get(name).and_then(|text| text.parse::<u16>().ok());
            let has = |name: &str| fields.get(name) == Some(&"1");
            let name = fields.get("QueryName/X-CString").copied().unwrap_or_default();
            pairs.push((
                number("ClientPort").unwrap(),
                number("ID").unwrap(),
                name.to_lowercase(),
                number("QueryType"),
                has("QueryResponseHasQuery"),
                has("QueryResponseHasResponse"),
            ));
            fields.clear();
        }
        fields.insert(name, value);
    }
    pairs.sort();
    pairs
}

/// Pairs that compactor has and we have not (-), and the other way round (+): a query without a question asks nothing.
const PAIRS: [&str; 1] = [r#"-(62926, 27364, "", None, true, false)"#];

#[test]
fn transactions_are_those_that_compactor_pairs() {
    let folder = shared().join("corpus/dns/compactor");
    let Ok(dump) = std::fs::read_to_string(folder.join("template.dump")) else {
        println!("skipped: no dump at {}", folder.display());
        return;
    };
    let theirs = pairs(&dump);
    assert!(theirs.len() >= 5, "{theirs:?}");
    let summed = sum_up(Path::new(&folder.join("template.pcap")), 60_000_000_000, &[], &[53]);
    let mut ours: Vec<Pair> = summed
        .transactions
        .iter()
        .map(|(name, one)| {
            let [has_query, has_response] = [one.status != DnsStatus::NoQuery, one.status != DnsStatus::Unanswered];
            (
                one.key.src_port,
                one.id,
                name.clone(),
                Some(one.qtype),
                has_query,
                has_response,
            )
        })
        .collect();
    ours.sort();
    let only = |mark: &str, of: &[Pair], others: &[Pair]| -> Vec<String> {
        of.iter()
            .filter(|pair| !others.contains(pair))
            .map(|pair| format!("{mark}{pair:?}"))
            .collect()
    };
    let differences: Vec<String> = only("+", &ours, &theirs)
        .into_iter()
        .chain(only("-", &theirs, &ours))
        .collect();
    assert_eq!(differences, PAIRS, "{theirs:?}");
}
