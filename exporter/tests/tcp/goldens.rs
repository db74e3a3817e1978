//! Captures that others made, beside what tcptrace and tshark read in them. Each difference has its reason.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use flowgauge_exporter::capture::FrameSource as _;
use flowgauge_exporter::io::pcap_file::PcapFiles;
use flowgauge_exporter::metering::tcp::{TcpDirection, TcpPerformance};

use super::{connections, shared};

type End = (IpAddr, u16);

/// One connection as tcptrace reads it: numbers by name, of a to b and b to a.
struct Traced {
    ends: [End; 2],
    numbers: HashMap<String, [f64; 2]>,
}

impl Traced {
    fn pair(&self, name: &str) -> [u32; 2] {
        self.numbers
            .get(name)
            .map_or([0, 0], |pair| pair.map(|value| value as u32))
    }
}

/// `192.0.2.1:80`, `2001:db8::1:80` or, of old captures, `ip:name`.
fn end(text: &str) -> Option<End> {
    let (address, port) = text.trim().rsplit_once(':')?;
    Some((address.parse().ok()?, port.parse().ok()?))
}

/// The long output of tcptrace (`-lnr`).
fn read_tcptrace(text: &str) -> Vec<Traced> {
    let mut found: Vec<Traced> = Vec::new();
    let mut first: Option<End> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some((_, host)) = trimmed.strip_prefix("host ").and_then(|rest| rest.split_once(':')) {
            match (first.take(), end(host)) {
                (None, end) => first = end,
                (Some(a), Some(b)) => found.push(Traced {
                    ends: [a, b],
                    numbers: HashMap::new(),
                }),
                (Some(_), None) => {}
            }
            continue;
        }
        let (Some(traced), Some((name, rest))) = (found.last_mut(), trimmed.split_once(':')) else {
            continue;
        };
        let Some((left, right)) = rest.split_once(&format!("{name}:")) else {
            continue;
        };
        if let Some((syns, fins)) = name.eq("SYN/FIN pkts sent").then(|| syn_fin(left, right)).flatten() {
            traced.numbers.insert("SYN".to_owned(), syns);
            traced.numbers.insert("FIN".to_owned(), fins);
            continue;
        }
        let number = |text: &str| text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        if let (Some(left), Some(right)) = (number(left), number(right)) {
            traced.numbers.entry(name.to_owned()).or_insert([left, right]);
        }
    }
    found
}

/// `1/2` of each direction.
fn syn_fin(left: &str, right: &str) -> Option<([f64; 2], [f64; 2])> {
    let pair = |text: &str| {
        let (syns, fins) = text.trim().split_once('/')?;
        Some((syns.parse().ok()?, fins.parse().ok()?))
    };
    let ((a_syns, a_fins), (b_syns, b_fins)) = (pair(left)?, pair(right)?);
    Some(([a_syns, b_syns], [a_fins, b_fins]))
}

fn both(performance: &TcpPerformance, field: fn(&TcpDirection) -> u32) -> [u32; 2] {
    [field(&performance.directions[0]), field(&performance.directions[1])]
}

fn plus(a: [u32; 2], b: [u32; 2]) -> [u32; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// Where the file holds something that we define otherwise, or that tcptrace reads otherwise: file, number, reason.
const TCPTRACE_REASONS: &[(&str, &str, &str)] = &[
    (
        "tcp_zerowindowdead.pcapng",
        "window probes",
        "the probes are empty; tcptrace knows those of one octet only",
    ),
    (
        "discard.solaris.dmp.gz",
        "sent again or out of order",
        "the second FIN carries data, which is sent again too",
    ),
    (
        "single_byte_rexmit.dmp.gz",
        "sent again or out of order",
        "the second FIN carries data, which fills a gap",
    ),
    (
        "reassembly.pcap",
        "sent again or out of order",
        "the second FIN carries data, which is sent again too",
    ),
    (
        "syn-then-stuff-then-rst.pcap",
        "sent again or out of order",
        "a FIN with the number of the SYN carries no data",
    ),
];

#[test]
fn connections_are_as_tcptrace_reads_them() {
    let Some(corpus) = shared("corpus") else { return };
    let mut goldens: Vec<_> = fs::read_dir(corpus.join("tcp-golden"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".tcptrace.txt"))
        .collect();
    goldens.sort();
    let (mut compared, mut equal, mut unexplained) = (0, 0, Vec::new());
    println!("capture, connection: number ours (tcptrace), forward and reverse");
    for golden in goldens {
        let name = golden.file_name().unwrap().to_string_lossy().replace("__", "/");
        let name = name.trim_end_matches(".tcptrace.txt");
        let capture = corpus.join(name);
        if !readable(&capture) {
            println!("skipped: {name}: of a format that is not read");
            continue;
        }
        let found = connections(&capture);
        for traced in read_tcptrace(&fs::read_to_string(&golden).unwrap()) {
            // tcptrace may cut where we do not: the packets tell which biflow is meant.
            let packets = traced.pair("total packets");
            let matching = found.iter().find(|(record, _)| {
                [
                    (record.key.src, record.key.src_port),
                    (record.key.dst, record.key.dst_port),
                ] == traced.ends
                    && [record.forward.packets as u32, record.reverse.packets as u32] == packets
            });
            let Some((record, performance)) = matching else {
                println!("  {name} {:?}: no biflow of {packets:?} packets", traced.ends);
                continue;
            };
            let measured = performance.unwrap_or_default();
            let numbers = numbers(&measured, &traced);
            let row = numbers.map(|(what, ours, theirs)| format!("{what} {ours:?} ({theirs:?})"));
            println!(
                "  {name} port {}: {}{}",
                record.key.src_port,
                row.join(", "),
                minima(&measured, &traced)
            );
            for (what, ours, theirs) in numbers {
                compared += 1;
                if ours == theirs {
                    equal += 1;
                    continue;
                }
                let reason = TCPTRACE_REASONS
                    .iter()
                    .find(|(file, number, _)| name.ends_with(file) && *number == what);
                let line = format!("{name} port {}: {what} {ours:?} ({theirs:?})", record.key.src_port);
                match reason {
                    Some((_, _, reason)) => println!("  {line}: {reason}"),
                    None => unexplained.push(line),
                }
            }
        }
    }
    println!("{equal} of {compared} numbers are equal");
    assert!(compared > 100);
    assert!(
        unexplained.is_empty(),
        "{} numbers differ without a reason:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
}

fn readable(capture: &Path) -> bool {
    PcapFiles::open(&[capture.to_path_buf()], None).is_ok_and(|mut source| source.next_frame().is_ok())
}

/// Least round-trip times in ms, for the reader: tcptrace takes every segment, we one of a clock tick or up to 16 at a
/// time, and the handshake too.
fn minima(measured: &TcpPerformance, traced: &Traced) -> String {
    let (Some(theirs), Some(samples)) = (traced.numbers.get("RTT min"), traced.numbers.get("RTT samples")) else {
        return String::new();
    };
    // Of the data of a, answered by b, and the reverse. tcptrace's a is our forward end.
    let ours = measured
        .directions
        .map(|way| way.base_rtt_us.map_or(0.0, |us| f64::from(us) / 1000.0));
    format!(", least RTT {ours:.1?} ({theirs:.1?} of {samples:.0?})")
}

fn numbers(measured: &TcpPerformance, traced: &Traced) -> [(&'static str, [u32; 2], [u32; 2]); 4] {
    let out_of_order = both(measured, |way| way.out_of_order_packets);
    let sent_again = both(measured, |way| way.retransmitted_packets);
    // tcptrace counts SYNs and FINs that were sent again; we count data.
    let repeats = plus(
        traced.pair("SYN").map(|syns| syns.saturating_sub(1)),
        traced.pair("FIN").map(|fins| fins.saturating_sub(1)),
    );
    let theirs = plus(traced.pair("rexmt data pkts"), traced.pair("outoforder pkts"));
    let of_data = [0, 1].map(|way| theirs[way].saturating_sub(repeats[way]));
    // What fills a gap is out of order for tcptrace; for us only if it was overtaken, not if it was lost upstream.
    let overtaken = [0, 1].map(|way| out_of_order[way].max(traced.pair("outoforder pkts")[way]));
    [
        ("sent again or out of order", plus(sent_again, out_of_order), of_data),
        ("out of order at most", overtaken, traced.pair("outoforder pkts")),
        (
            "zero windows",
            both(measured, |way| way.zero_window_packets),
            traced.pair("zero win adv"),
        ),
        (
            "window probes",
            both(measured, |way| way.zero_window_probes),
            traced.pair("zwnd probe pkts"),
        ),
    ]
}

/// Of a file: name, what tshark counts, and why we count otherwise.
const TSHARK_REASONS: &[(&str, &str, &str)] = &[
    ("http.dmp.gz", "duplicate ACKs", NOTHING_IN_FLIGHT),
    ("http.dmp.gz", "sent again or out of order", FINS),
    (
        "pcap_v2.2.dmp.gz",
        "duplicate ACKs",
        "every packet of one side is there twice, and its ACKs come while nothing is in flight",
    ),
    ("discard.solaris.dmp.gz", "duplicate ACKs", NOTHING_IN_FLIGHT),
    ("single_byte_rexmit.dmp.gz", "duplicate ACKs", NOTHING_IN_FLIGHT),
    (
        "badsyns.dmp.gz",
        "sent again or out of order",
        "a second connection of the same ends, whose SYN is none sent again, is in one biflow with the first",
    ),
    ("tcp_ports.pcapng", "duplicate ACKs", NOTHING_IN_FLIGHT),
    ("dns_isp_hijack.pcapng", "duplicate ACKs", NOTHING_IN_FLIGHT),
    ("fin_retransmission.pcap", "sent again or out of order", FINS),
    ("reassembly.pcap", "sent again or out of order", FINS),
    ("syn-then-stuff-then-rst.pcap", "sent again or out of order", FINS),
    ("ctu-64702-888.pcap", "duplicate ACKs", NOTHING_IN_FLIGHT),
    ("ctu-64702-888.pcap", "sent again or out of order", FINS),
    (
        "ssh-dups.pcap",
        "duplicate ACKs",
        "every packet is there twice, and most ACKs come while nothing is in flight",
    ),
    ("ssh-dups.pcap", "sent again or out of order", FINS),
    ("skype.pcap", "duplicate ACKs", NOTHING_IN_FLIGHT),
    ("skype.pcap", "sent again or out of order", FINS),
];
const NOTHING_IN_FLIGHT: &str = "those that come while nothing is in flight are none by RFC 5681";
const FINS: &str = "FINs without data are sent again";

/// Sums of whole files. tshark is no truth for what is out of order and what was sent again, so these are one number
/// here, less SYNs and FINs, which tshark counts too.
#[test]
fn windows_and_duplicate_acks_are_as_tshark_reads_them() {
    let Some(corpus) = shared("corpus") else { return };
    let table = fs::read_to_string(corpus.join("tcp-golden/tshark-tcp-analysis.tsv")).unwrap();
    let mut lines = table.lines();
    let columns: Vec<_> = lines.next().unwrap().split('\t').collect();
    let (mut compared, mut equal, mut unexplained) = (0, 0, Vec::new());
    for line in lines {
        let cells: Vec<_> = line.split('\t').collect();
        let cell = |name: &str| -> u32 {
            let at = columns.iter().position(|column| *column == name).unwrap();
            cells[at].parse().unwrap()
        };
        let (name, capture) = (cells[0], corpus.join(cells[0]));
        if cell("packets") == 0 || !readable(&capture) {
            continue;
        }
        let found = connections(&capture);
        let sum = |field: fn(&TcpDirection) -> u32| -> u32 {
            let parts = found
                .iter()
                .flat_map(|(_, performance)| performance.unwrap_or_default().directions);
            parts.map(|way| field(&way)).sum()
        };
        let rows = [
            ("zero windows", sum(|way| way.zero_window_packets), cell("zero_window")),
            (
                "probes and keep-alives",
                sum(|way| way.keep_alives + way.zero_window_probes),
                cell("zero_window_probe") + cell("keep_alive"),
            ),
            ("duplicate ACKs", sum(|way| way.duplicate_acks), cell("dup_ack")),
            (
                "sent again or out of order",
                sum(|way| way.retransmitted_packets + way.out_of_order_packets + way.syns.saturating_sub(1)),
                cell("retransmission") + cell("out_of_order"),
            ),
        ];
        println!(
            "  {name}: {}",
            rows.map(|(what, ours, theirs)| format!("{what} {ours} ({theirs})"))
                .join(", ")
        );
        for (what, ours, theirs) in rows {
            compared += 1;
            if ours == theirs {
                equal += 1;
                continue;
            }
            let reason = TSHARK_REASONS
                .iter()
                .find(|(file, number, _)| name.ends_with(file) && *number == what);
            match reason {
                Some((_, _, reason)) => println!("    {what}: {reason}"),
                None => unexplained.push(format!("{name}: {what} {ours} ({theirs})")),
            }
        }
    }
    println!("{equal} of {compared} sums are equal");
    assert!(compared > 100);
    assert!(
        unexplained.is_empty(),
        "{} sums differ without a reason:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
}
