//! Captured datagrams beside two other decoders: flowparser-sflow for what samples say, tshark for the packets in them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use flowgauge_ie_registry::Registry;
use flowgauge_templates::sflow::{CounterKind, CounterLayout, CounterValue, Datagram, FlowRecord, Sample};
use flowparser_sflow::flow_records::FlowRecord as TheirRecord;
use flowparser_sflow::{SflowParser, SflowSample};

use crate::collecting::process::CollectingProcess;
use crate::collecting::session::SessionKey;
use crate::io::input::{Item, Protocol, protocol_of, read_input};
use crate::normalize::codes::{KIND_COUNTERS, KIND_FLOW};
use crate::normalize::columns::id;
use crate::normalize::row::{CellRef, Row, u128_to_ip};

const NOW_NS: i64 = 1_767_225_622_000_000_000;

/// Every file with sFlow in the corpus, or none when it is not there.
fn corpus() -> Vec<PathBuf> {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let Ok(list) = std::fs::read_to_string(shared.join("corpus/FILES.tsv")) else {
        println!("skipped: captured sFlow datagrams ({} is not there)", shared.display());
        return Vec::new();
    };
    let columns = list.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    columns
        .filter(|columns| columns.iter().any(|column| column.contains("sflow")))
        .filter_map(|columns| Some(shared.join("corpus").join(columns.first()?).join(columns.get(1)?)))
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("pcap" | "pcapng" | "bin" | "dat"))
        })
        .collect()
}

fn datagrams(path: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    // Files that hold no flow export are refused; that is not what is tested here.
    let _ = read_input(path, &mut |item| {
        if let Item::Received(received) = item
            && protocol_of(received.bytes) == Some(Protocol::Sflow5)
        {
            found.push(received.bytes.to_vec());
        }
        Ok(())
    });
    found
}

fn collect(datagrams: &[Vec<u8>]) -> (CollectingProcess, Vec<Row>) {
    let mut process = CollectingProcess::new(crate::collecting::process::ProcessConfig::default(), Registry::new());
    let key = SessionKey {
        listener: 0,
        peer: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 9), 40_000)),
        connection: 0,
    };
    let mut rows = Vec::new();
    for datagram in datagrams {
        process.handle(NOW_NS, key, datagram, &mut rows);
    }
    (process, rows)
}

/// Rate and the sampled header of every flow sample.
type Flows = Vec<(u32, Option<Vec<u8>>)>;

fn our_flows(bytes: &[u8]) -> Flows {
    let samples = Datagram::parse(bytes).unwrap().samples();
    let flows = samples.filter_map(|sample| match sample {
        Ok(Sample::Flow(flow)) => Some(flow),
        _ => None,
    });
    flows
        .map(|flow| {
            let header = flow.records.clone().find_map(|record| match record {
                Ok(FlowRecord::Header(raw)) => Some(raw.header.to_vec()),
                _ => None,
            });
            (flow.sampling_rate, header)
        })
        .collect()
}

fn their_flows(samples: &[SflowSample]) -> Flows {
    let header = |records: &[TheirRecord]| {
        records.iter().find_map(|record| match record {
            TheirRecord::RawPacketHeader(raw) => Some(raw.header.clone()),
            _ => None,
        })
    };
    let flows = samples.iter().filter_map(|sample| match sample {
        SflowSample::Flow(flow) => Some((flow.sampling_rate, header(&flow.records))),
        SflowSample::ExpandedFlow(flow) => Some((flow.sampling_rate, header(&flow.records))),
        _ => None,
    });
    flows.collect()
}

#[test]
fn captured_datagrams_hold_what_another_decoder_finds() {
    let (mut compared, mut broken) = (0, 0);
    for path in corpus() {
        for bytes in datagrams(&path) {
            let theirs = SflowParser::default().parse_bytes(&bytes);
            let Some(datagram) = theirs.datagrams.first().filter(|_| theirs.error.is_none()) else {
                // One fault ends their reading of a datagram; ours goes on behind it.
                println!("{}: they stop at {:?}", path.display(), theirs.error);
                broken += 1;
                continue;
            };
            let ours = Datagram::parse(&bytes).unwrap();
            let head = (ours.sub_agent, ours.sequence, ours.uptime_ms, ours.samples().count());
            let their_head = (
                datagram.sub_agent_id,
                datagram.sequence_number,
                datagram.uptime,
                datagram.samples.len(),
            );
            assert_eq!(head, their_head, "{}", path.display());
            assert!(ours.samples().all(|sample| sample.is_ok()), "{}", path.display());
            assert_eq!(our_flows(&bytes), their_flows(&datagram.samples), "{}", path.display());
            compared += 1;
        }
    }
    println!("{compared} datagrams compared, {broken} that they cannot read");
    assert!(compared >= 20 || corpus().is_empty());
}

#[test]
fn every_flow_sample_becomes_a_row_and_the_account_balances() {
    for path in corpus() {
        let datagrams = datagrams(&path);
        let (process, rows) = collect(&datagrams);
        let flows: Vec<_> = datagrams.iter().flat_map(|bytes| our_flows(bytes)).collect();
        let of_kind = |kind| rows.iter().filter(move |row| row.number(id::KIND) == Some(kind));
        assert_eq!(of_kind(KIND_FLOW).count(), flows.len(), "{}", path.display());
        for (row, (rate, _)) in of_kind(KIND_FLOW).zip(&flows) {
            assert_eq!(row.number(id::SAMPLING), Some(u64::from((*rate).max(1))));
            assert_eq!(row.number(id::PACKETS), row.number(id::SAMPLING));
        }
        let totals = process.totals();
        assert!(totals.balanced, "{}", path.display());
        assert_eq!(totals.sum.datagrams, datagrams.len() as u64);
        assert!(of_kind(KIND_COUNTERS).count() as u64 >= totals.sum.counter_samples);
        assert_eq!(
            (totals.sum.records, totals.sum.rows),
            (rows.len() as u64, rows.len() as u64)
        );
    }
}

/// Source and destination of IP packets within samples, as tshark lists them; those of the datagrams themselves left out.
fn tshark_addresses(path: &Path) -> Option<Vec<(IpAddr, IpAddr)>> {
    let mut command = Command::new("tshark");
    command
        .args(["-d", "udp.port==1-65535,sflow", "-T", "json", "-r"])
        .arg(path);
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut ends: Vec<(Option<IpAddr>, bool)> = Vec::new();
    // Keys repeat within an object, which a map would lose: the text keeps them in order.
    for line in text.lines() {
        let line = line.trim();
        for (name, is_source) in [
            ("\"sflow_245.ipv4_src\"", true),
            ("\"sflow_245.ipv4_dst\"", false),
            ("\"ip.src\"", true),
            ("\"ip.dst\"", false),
            ("\"ipv6.src\"", true),
            ("\"ipv6.dst\"", false),
        ] {
            if let Some(rest) = line.strip_prefix(name) {
                let address = rest.trim_matches([':', ' ', '"', ',']).parse().ok();
                ends.push((address, is_source));
            }
        }
    }
    let pairs = ends.chunks_exact(2);
    pairs
        .map(|pair| match pair {
            [(Some(src), true), (Some(dst), false)] => Some((*src, *dst)),
            _ => None,
        })
        .collect()
}

#[test]
fn packets_within_samples_are_those_that_tshark_finds() {
    let captures: Vec<_> = corpus()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap"))
        .collect();
    if Command::new("tshark").arg("--version").output().is_err() {
        println!("skipped: sampled packets beside tshark (tshark is not installed)");
        return;
    }
    for path in captures {
        let datagrams = datagrams(&path);
        let (_, rows) = collect(&datagrams);
        let ours: Vec<_> = rows
            .iter()
            .filter_map(|row| match (row.get(id::SRC_IP), row.get(id::DST_IP)) {
                (Some(CellRef::Ip(src)), Some(CellRef::Ip(dst))) => Some((u128_to_ip(src), u128_to_ip(dst))),
                _ => None,
            })
            .collect();
        let Some(theirs) = tshark_addresses(&path) else {
            println!("{}: tshark's lines could not be paired", path.display());
            continue;
        };
        // The carrying packets come first and are no samples; what samples hold must be among what tshark lists.
        for pair in &ours {
            assert!(
                theirs.contains(pair),
                "{}: {pair:?} is not in {theirs:?}",
                path.display()
            );
        }
        println!(
            "{}: {} sampled packets of {} datagrams",
            path.display(),
            ours.len(),
            datagrams.len()
        );
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn block(format: u32, body: &[u8]) -> Vec<u8> {
    [words(&[format, body.len() as u32]), body.to_vec()].concat()
}

#[test]
fn a_host_says_what_it_is_called_and_those_within_do_not() {
    let host = |name: &[u8; 4]| {
        block(
            2000,
            &[words(&[4]), name.to_vec(), vec![0; 16], words(&[3, 2, 0])].concat(),
        )
    };
    // Data source 2:1 is the machine, 3:1 a machine within it.
    let machine = [words(&[1, 2 << 24 | 1, 1]), host(b"edge")].concat();
    let within = [words(&[1, 3 << 24 | 1, 1]), host(b"inns")].concat();
    let samples = [block(2, &machine), block(2, &within)];
    let datagram = [words(&[5, 1, 0xc000_0263, 2, 1, 5000, 2]), samples.concat()].concat();
    let (_, rows) = collect(&[datagram]);
    let names: Vec<_> = rows.iter().map(|row| row.get(id::EXPORTER_NAME)).collect();
    assert_eq!(names, [Some(CellRef::Text("edge")); 2]);
}

#[test]
fn what_devices_add_lands_in_columns_and_under_names() {
    // IPv4 as the device read it, then the extended records, as the specification lays them out.
    let records = [
        block(3, &words(&[1000, 6, 0x0a00_0001, 0xc000_0201, 443, 51_000, 0x12, 0x20])),
        block(1001, &words(&[100, 0, 200, 0])),
        block(
            1003,
            &words(&[
                1,
                0x0a00_0009,
                64_500,
                0,
                64_502,
                1,
                2,
                2,
                64_510,
                64_511,
                1,
                64_500 << 16 | 77,
                100,
            ]),
        ),
        block(1020, &words(&[1111, 2222])),
    ];
    let sample = [
        words(&[1, 3, 400, 800, 0, 3, 5, records.len() as u32]),
        records.concat(),
    ]
    .concat();
    let name = block(1005, &[words(&[4]), b"eth5".to_vec()].concat());
    let counters = [words(&[1, 5, 1]), name].concat();
    let samples = [block(2, &counters), block(1, &sample)];
    let datagram = [words(&[5, 1, 0xc000_0263, 2, 1, 5000, 2]), samples.concat()].concat();
    let (process, rows) = collect(&[datagram]);
    let [named, row] = &rows[..] else {
        panic!("{}", rows.len())
    };
    assert_eq!(named.get(id::IN_IF_NAME), Some(CellRef::Text("eth5")));
    let number = |column| row.number(column);
    // Beside what the packet stands for, the packet itself.
    assert_eq!(
        (number(id::RAW_OCTETS), number(id::RAW_PACKETS), number(id::SAMPLING)),
        (Some(1000), Some(1), Some(400))
    );
    assert_eq!(number(id::NAT_DST_PORT), Some(2222));
    assert_eq!((number(id::OCTETS), number(id::PACKETS)), (Some(400_000), Some(400)));
    assert_eq!(
        (number(id::SRC_PORT), number(id::DST_PORT), number(id::TCP_FLAGS)),
        (Some(443), Some(51_000), Some(0x12))
    );
    // A source system of 0 is the router's own.
    assert_eq!(
        (number(id::SRC_AS), number(id::DST_AS), number(id::VLAN)),
        (Some(64_500), Some(64_511), Some(100))
    );
    assert_eq!((number(id::IN_IF), number(id::OUT_IF)), (Some(3), Some(5)));
    assert_eq!(row.get(id::OUT_IF_NAME), Some(CellRef::Text("eth5")));
    let other: Vec<_> = row
        .other()
        .map(|(name, value)| (name.to_string(), format!("{value:?}")))
        .collect();
    for (name, value) in [
        ("sflowAgentAddress", "Text(\"192.0.2.99\")"),
        ("postVlanId", "Number(200)"),
        ("sflowAsPath", "Text(\"64510 64511\")"),
        ("sflowCommunities", "Text(\"64500:77\")"),
    ] {
        assert!(
            other.contains(&(name.to_owned(), value.to_owned())),
            "{name} in {other:?}"
        );
    }
    let sum = process.totals().sum;
    assert_eq!((sum.records, sum.rows, sum.counter_samples, sum.messages), (2, 2, 1, 1));
}

#[test]
fn gaps_and_restarts_are_told_apart() {
    let datagram = |sequence: u32, uptime_ms: u32| {
        let words = [5, 1, 0xc000_0263, 2, sequence, uptime_ms, 0u32];
        words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>()
    };
    let (process, _) = collect(&[
        datagram(10, 3_600_000),
        datagram(11, 3_600_000),
        datagram(15, 3_600_000),
        datagram(1, 1_000),
        datagram(2, 1_000),
    ]);
    let sequence = process.totals().sum.sequence;
    assert_eq!((sequence.lost, sequence.gaps, sequence.restarts), (3, 1, 1));
}

/// Every value of a counter record as another decoder shows it, numbers of text left out.
fn numbers_of(value: &serde_json::Value, out: &mut Vec<f64>) {
    match value {
        serde_json::Value::Number(number) => out.extend(number.as_f64()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| numbers_of(value, out)),
        serde_json::Value::Object(values) => values.values().for_each(|value| numbers_of(value, out)),
        _ => {}
    }
}

/// Formats of which flowparser-sflow 0.3 says something else than the structures of sFlow.org do.
const OTHERWISE: [(u32, &str); 6] = [
    (
        4,
        "the counters of 100BaseVG end with one of 32 bits and three of 64, not five",
    ),
    (7, "MAC addresses and state are no numbers there"),
    (
        10,
        "the number of lanes stands ahead of them, and each begins with its index",
    ),
    (2000, "machine and system are names there"),
    (2101, "the state is a name there"),
    (2202, "there are eleven counters, not twelve"),
];

#[test]
fn counters_are_those_that_another_decoder_finds() {
    let mut compared = 0;
    for layout in CounterLayout::all() {
        let format = layout.format;
        if OTHERWISE.iter().any(|(otherwise, _)| *otherwise == format.0) {
            continue;
        }
        // As many different octets as the format takes; text of one letter, where there is text.
        let text = |field: &&flowgauge_templates::sflow::CounterField| field.kind == CounterKind::Text;
        let mut body: Vec<u8> = (0..=255).cycle().take(400).collect();
        if layout.fields.iter().any(|field| text(&field)) {
            body = words(&[1, 0x6100_0000]).repeat(20);
        }
        let ours: Vec<f64> = layout
            .read(&body)
            .map_while(Result::ok)
            .filter(|counter| !layout.newer.contains(counter.field))
            .filter_map(|counter| match counter.value {
                CounterValue::Number(number) => Some(number as f64),
                CounterValue::Signed(number) => Some(number as f64),
                CounterValue::Float(number) => Some(number),
                _ => None,
            })
            .collect();
        let sample = [words(&[1, 3, 1]), block(format.0, &body)].concat();
        let datagram = [words(&[5, 1, 0xc000_0263, 2, 1, 5000, 1]), block(2, &sample)].concat();
        let theirs = SflowParser::default().parse_bytes(&datagram);
        let sample = theirs
            .datagrams
            .into_iter()
            .flat_map(|datagram| datagram.samples)
            .next();
        let Some(SflowSample::Counter(sample)) = sample else {
            panic!("{format:?}: {:?}", theirs.error)
        };
        let mut shown = Vec::new();
        numbers_of(&serde_json::to_value(&sample.records).unwrap(), &mut shown);
        let close = |pair: (&f64, &f64)| (pair.0 - pair.1).abs() <= pair.0.abs() * 1e-6;
        assert!(
            ours.len() == shown.len() && ours.iter().zip(&shown).all(close),
            "{format:?}: {ours:?} beside {shown:?}"
        );
        compared += 1;
    }
    assert_eq!(compared, CounterLayout::all().len() - OTHERWISE.len());
}

/// An interface's counters in three samples, then a queue's and a host's: what is kept, and what it grew by.
#[test]
fn counters_are_a_time_series() {
    let interface = |octets: u64, packets: u32| {
        let mut body = words(&[3, 6, 0, 1_000_000_000, 1, 3]);
        body.extend(octets.to_be_bytes());
        body.extend(words(&[packets, 1, 2, 3, 4, u32::MAX]));
        body.extend((octets * 2).to_be_bytes());
        body.extend(words(&[packets, 1, 2, 3, 4, 0]));
        block(1, &body)
    };
    let datagram = |sequence: u32, uptime_ms: u32, sample: &[u8]| {
        [words(&[5, 1, 0xc000_0263, 2, sequence, uptime_ms, 1]), block(2, sample)].concat()
    };
    let sample = |sequence: u32, source: u32, records: &[Vec<u8>]| {
        [words(&[sequence, source, records.len() as u32]), records.concat()].concat()
    };
    let queue = |index: u32, dropped: u32| block(1003, &words(&[index, 1500, 8, 1, 2, 3, 4, 5, 6, 7, 8, 9, dropped]));
    let mut process = CollectingProcess::new(crate::collecting::process::ProcessConfig::default(), Registry::new());
    let key = SessionKey {
        listener: 0,
        peer: SocketAddr::from((Ipv4Addr::new(192, 0, 2, 9), 40_000)),
        connection: 0,
    };
    let mut rows = Vec::new();
    let second = 1_000_000_000;
    let near = u32::MAX - 9;
    let samples = [
        (0, 1, sample(1, 3, &[interface(5_000, near)])),
        (20, 2, sample(2, 3, &[interface(7_500, 90)])),
        (20, 3, sample(7, 2 << 24 | 1, &[queue(1, 5), queue(2, 6)])),
        (40, 4, sample(8, 2 << 24 | 1, &[queue(1, 8), queue(2, 6)])),
    ];
    for (at, sequence, sample) in &samples {
        let bytes = datagram(*sequence, at * 1000, sample);
        process.handle(NOW_NS + i64::from(*at) * second, key, &bytes, &mut rows);
    }
    let other = |row: &Row, name: &str| {
        let found = row.other().find(|(held, _)| &***held == name);
        found.map(|(_, value)| match value {
            CellRef::Number(number) => number,
            value => panic!("{value:?}"),
        })
    };
    let [first, second_row, queue_1, queue_2, grown_1, grown_2] = &rows[..] else {
        panic!("{}", rows.len())
    };
    assert_eq!(first.number(id::IN_IF), Some(3));
    assert_eq!(
        (other(first, "ifInOctets"), other(first, "ifInOctetsDelta")),
        (Some(5_000), None)
    );
    assert_eq!(other(first, "ifSpeed"), Some(1_000_000_000));
    assert_eq!(other(first, "ifInUnknownProtos"), None, "the agent does not know it");
    assert_eq!(
        (first.signed(id::START), first.signed(id::DURATION)),
        (Some(NOW_NS), Some(0))
    );
    assert_eq!(other(second_row, "ifInOctetsDelta"), Some(2_500));
    assert_eq!(other(second_row, "ifOutOctetsDelta"), Some(5_000));
    // 10 below 2^32, then 90.
    assert_eq!(other(second_row, "ifInUcastPktsDelta"), Some(100));
    assert_eq!(
        (second_row.signed(id::START), second_row.signed(id::DURATION)),
        (Some(NOW_NS), Some(20 * second))
    );
    assert_eq!(
        [queue_1, queue_2].map(|row| (other(row, "queueIndex"), other(row, "queueDropped"))),
        [(Some(1), Some(5)), (Some(2), Some(6))]
    );
    assert_eq!(
        [grown_1, grown_2].map(|row| other(row, "queueDroppedDelta")),
        [Some(3), Some(0)]
    );
    assert!(rows.iter().all(|row| row.number(id::KIND) == Some(KIND_COUNTERS)));
    assert!(rows.iter().all(|row| row.number(id::OCTETS).is_none()));
    let totals = process.totals();
    assert_eq!(
        (totals.sum.counter_samples, totals.sum.records, totals.sum.rows),
        (4, 6, 6)
    );
    assert!(totals.balanced);
}

#[test]
fn discarded_packets_say_why() {
    let packet = block(3, &words(&[60, 17, 0x0a00_0001, 0xc000_0201, 53, 5353, 0, 0]));
    let sample = [words(&[1, 0, 3, 0, 3, 0, 258, 1]), packet].concat();
    let datagram = [words(&[5, 1, 0xc000_0263, 2, 1, 5000, 1]), block(5, &sample)].concat();
    let (_, rows) = collect(&[datagram]);
    assert_eq!(rows[0].number(id::DROP_REASON), Some(258));
    assert_eq!(id::DROP_REASON.column().label(258), Some("acl"));
    assert_eq!(
        (rows[0].number(id::OCTETS), rows[0].number(id::PACKETS)),
        (Some(60), Some(1))
    );
}
