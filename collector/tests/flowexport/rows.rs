//! Captures as rows, beside what logstash, telegraf and pmacct make of them: every flow of theirs is one of our rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flowgauge_collector::collecting::{CollectingProcess, ProcessConfig, SessionKey};
use flowgauge_collector::io::input::{Item, read_input};
use flowgauge_collector::io::listener::Transport;
use flowgauge_collector::normalize::columns::{ColumnId, id};
use flowgauge_collector::normalize::row::{CellRef, Row, u128_to_ip};
use flowgauge_collector::query::time::parse_time;
use flowgauge_ie_registry::Registry;
use serde_json::Value as Json;

use crate::report::Part;

/// What the Collecting Process makes of files, read one behind the other.
pub fn rows(files: &[PathBuf]) -> Vec<Row> {
    let config = ProcessConfig {
        listeners: vec![Transport::Udp],
        ..ProcessConfig::default()
    };
    let mut process = CollectingProcess::new(config, Registry::new());
    let mut rows = Vec::new();
    for file in files {
        let _ = read_input(file, &mut |item| {
            if let Item::Received(received) = item {
                let key = SessionKey {
                    listener: 0,
                    peer: received.from,
                    connection: 0,
                };
                process.handle(received.time_ns, key, received.bytes, &mut rows);
            }
            Ok(())
        });
    }
    assert!(process.totals().balanced);
    assert_eq!(process.totals().sum.internal_faults, 0);
    rows
}

/// A cell as the goldens write it; what was counted, where sampling multiplied it.
pub fn text(row: &Row, column: ColumnId) -> Option<String> {
    let raw = [(id::OCTETS, id::RAW_OCTETS), (id::PACKETS, id::RAW_PACKETS)];
    let raw = raw.iter().find(|(scaled, _)| *scaled == column);
    let cell = raw.and_then(|(_, raw)| row.get(*raw)).or_else(|| row.get(column))?;
    Some(match cell {
        CellRef::Number(number) if column == id::SRC_MAC || column == id::DST_MAC => {
            let octets = number.to_be_bytes();
            octets[2..]
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect::<Vec<_>>()
                .join(":")
        }
        CellRef::Number(number) => number.to_string(),
        CellRef::Ip(address) => u128_to_ip(address).to_string(),
        CellRef::Text(text) => text.to_owned(),
        CellRef::Signed(number) => (number / 1_000_000).to_string(),
        other => format!("{other:?}"),
    })
}

pub fn folder(name: &str) -> Option<PathBuf> {
    let folder = crate::corpus()?.join(name);
    folder.is_dir().then_some(folder)
}

/// Names in goldens, and the columns that hold what they name.
const NAMES: &[(&str, ColumnId)] = &[
    ("ipv4_src_addr", id::SRC_IP),
    ("sourceIPv4Address", id::SRC_IP),
    ("sourceIPv6Address", id::SRC_IP),
    ("ipv4_dst_addr", id::DST_IP),
    ("destinationIPv4Address", id::DST_IP),
    ("destinationIPv6Address", id::DST_IP),
    ("l4_src_port", id::SRC_PORT),
    ("sourceTransportPort", id::SRC_PORT),
    ("l4_dst_port", id::DST_PORT),
    ("destinationTransportPort", id::DST_PORT),
    ("protocol", id::PROTO),
    ("protocolIdentifier", id::PROTO),
    ("in_bytes", id::OCTETS),
    ("octetDeltaCount", id::OCTETS),
    ("octetTotalCount", id::OCTETS),
    ("in_pkts", id::PACKETS),
    ("packetDeltaCount", id::PACKETS),
    ("packetTotalCount", id::PACKETS),
    ("reverseOctetTotalCount", id::REV_OCTETS),
    ("reversePacketTotalCount", id::REV_PACKETS),
    ("input_snmp", id::IN_IF),
    ("ingressInterface", id::IN_IF),
    ("output_snmp", id::OUT_IF),
    ("egressInterface", id::OUT_IF),
    ("src_as", id::SRC_AS),
    ("dst_as", id::DST_AS),
    ("tcp_flags", id::TCP_FLAGS),
    ("tcpControlBits", id::TCP_FLAGS),
    ("src_tos", id::TOS),
    ("ipClassOfService", id::TOS),
    ("sampling_interval", id::SAMPLING),
    ("in_src_mac", id::SRC_MAC),
    ("in_dst_mac", id::DST_MAC),
    ("icmp_type", id::ICMP_TYPE),
    ("icmp_code", id::ICMP_CODE),
    ("flowEndReason", id::END_REASON),
    ("ingressVRFID", id::IN_VRF),
    ("app_id", id::APP_NAME),
    ("ixiaL7AppName", id::APP_NAME),
    ("xlate_src_addr_ipv4", id::NAT_SRC_IP),
    ("xlate_dst_addr_ipv4", id::NAT_DST_IP),
    ("xlate_src_port", id::NAT_SRC_PORT),
    ("xlate_dst_port", id::NAT_DST_PORT),
    ("postNATSourceIPv4Address", id::NAT_SRC_IP),
    ("postNATDestinationIPv4Address", id::NAT_DST_IP),
    ("fw_event", id::FW_EVENT),
    ("firewallEvent", id::FW_EVENT),
    ("fw_ext_event", id::FW_EVENT_EXT),
];

/// Times in goldens.
const TIMES: &[&str] = &["first_switched", "flowStartMilliseconds"];

fn milliseconds(text: &str) -> Option<String> {
    // logstash leaves a word of its own behind the milliseconds of version 5.
    let ns = parse_time(&text.replace("#{micros}", ""), 0).ok()?;
    Some((ns / 1_000_000).to_string())
}

#[test]
fn logstashs_events_are_among_our_rows() {
    let Some(folder) = folder("logstash") else {
        println!("skipped: goldens of logstash");
        return;
    };
    let golden = std::fs::read_to_string(folder.join("golden.jsonl")).unwrap();
    let (mut found, mut values) = (0, 0);
    let mut part = Part::new(
        "2-logstash",
        "logstash",
        "Every event of logstash's is one of our rows: addresses, ports, counters, interfaces, systems, times, firewall and \
         NAT events, by column. Events without a source address are options and their like, and are not among the rows.",
        &["case", "events with addresses", "values", "our rows"],
    );
    for line in golden.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let files = case["files"].as_array().unwrap().iter();
        let files: Vec<PathBuf> = files.map(|file| folder.join(file.as_str().unwrap())).collect();
        let rows = rows(&files);
        let before = (found, values);
        for event in case["events"].as_array().unwrap() {
            let event = event["netflow"].as_object().unwrap();
            let mut expected: Vec<(ColumnId, String)> = Vec::new();
            for (name, column) in NAMES {
                let Some(value) = event.get(*name) else { continue };
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                // An interval of 0 is none.
                if *column != id::SAMPLING || value != "0" {
                    expected.push((*column, value));
                }
            }
            // Version 5: the golden's first switched is before the exporter's start, its uptime having gone round.
            // FortiOS 5.2.1: the header's uptime is of another clock, and logstash has the flow a week after its export.
            let name = case["case"].as_str().unwrap();
            if event["version"] != 5 && !name.contains("FortiOS 5.2.1") {
                let times = TIMES.iter().filter_map(|name| event.get(*name)?.as_str());
                expected.extend(times.filter_map(milliseconds).map(|time| (id::START, time)));
            }
            if !expected.iter().any(|(column, _)| *column == id::SRC_IP) {
                continue;
            }
            // Subtracting the uptime, logstash borrows no second for the milliseconds: version 9 comes out one late.
            let late = |column: ColumnId, ours: &str, theirs: &str| {
                let one_second_less = theirs.parse::<i64>().map(|theirs| (theirs - 1_000).to_string());
                event["version"] == 9 && column == id::START && one_second_less.is_ok_and(|less| less == ours)
            };
            let same = |row: &Row, (column, theirs): &(ColumnId, String)| {
                text(row, *column).is_some_and(|ours| ours == *theirs || late(*column, &ours, theirs))
            };
            assert!(
                rows.iter().any(|row| expected.iter().all(|one| same(row, one))),
                "{name}: {expected:?} is none of {} rows, the nearest: {:?}",
                rows.len(),
                nearest(&rows, &expected)
            );
            found += 1;
            values += expected.len();
        }
        let numbers = [found - before.0, values - before.1, rows.len()];
        let name = case["case"].as_str().unwrap().to_owned();
        let cells: Vec<String> = std::iter::once(name)
            .chain(numbers.map(|number| number.to_string()))
            .collect();
        part.row(&cells);
    }
    part.differences(&[
        (
            "first switched of NetFlow 5",
            "logstash has it before the exporter's start, its uptime having gone round after 49.7 days; ours is the moment \
             nearest to the export",
        ),
        (
            "FortiOS 5.2.1",
            "the header's uptime is of another clock, and logstash has the flow a week after its export; ours ends with the \
             export",
        ),
        (
            "starts of NetFlow 9",
            "logstash borrows no second for the milliseconds when it subtracts the uptime, so some come out one second late",
        ),
        ("a sampling interval of 0", "says nothing; there is no column `sampling` then"),
    ]);
    part.write();
    println!("{found} events of logstash, {values} values");
    assert!(found >= 25 && values >= 250, "{found} {values}");
}

/// The row with most in common, as what differs: for people.
fn nearest(rows: &[Row], expected: &[(ColumnId, String)]) -> Vec<String> {
    let differs = |row: &Row| -> Vec<String> {
        let wrong = expected
            .iter()
            .filter(|(column, value)| text(row, *column).as_ref() != Some(value));
        wrong
            .map(|(column, value)| format!("{} {value} {:?}", column.column().name, text(row, *column)))
            .collect()
    };
    rows.iter().map(differs).min_by_key(Vec::len).unwrap_or_default()
}

/// The fields of a line of telegraf's: `name,tags field=value,field="value" time`.
pub fn influx(line: &str) -> BTreeMap<String, String> {
    let fields = line.split_once(' ').map_or("", |(_, fields)| fields);
    let mut quoted = false;
    let ends = |c: char| {
        quoted ^= c == '"';
        !quoted && (c == ',' || c == ' ')
    };
    let fields = fields.split(ends).filter_map(|field| field.split_once('='));
    fields
        .map(|(name, value)| {
            (
                name.to_owned(),
                value.trim_matches('"').trim_end_matches('u').to_owned(),
            )
        })
        .collect()
}

/// Cases of which we have more rows.
const BEYOND_TELEGRAF: &[(&str, usize)] = &[];

#[test]
fn telegrafs_flows_are_our_rows() {
    let Some(folder) = folder("telegraf") else {
        println!("skipped: goldens of telegraf");
        return;
    };
    let names = [
        ("src", id::SRC_IP),
        ("dst", id::DST_IP),
        ("src_port", id::SRC_PORT),
        ("dst_port", id::DST_PORT),
        ("in_bytes", id::OCTETS),
        ("in_packets", id::PACKETS),
        ("flow_start_ms", id::START),
        ("in_snmp", id::IN_IF),
        ("out_snmp", id::OUT_IF),
    ];
    let mut found = 0;
    let mut part = Part::new(
        "3-telegraf",
        "telegraf: flows",
        "Every flow of telegraf's is one of our rows, and there is no other row.",
        &["case", "flows", "our rows"],
    );
    for name in ["netflow_v5_example", "netflow_v9_example", "issue_13305"] {
        let case = folder.join(name);
        let before = found;
        let golden = std::fs::read_to_string(case.join("expected.out")).unwrap();
        let files: Vec<PathBuf> = binaries(&case);
        let mut ours = rows(&files);
        for line in golden.lines().filter(|line| line.starts_with("netflow,")) {
            let theirs = influx(line);
            let expected: Vec<_> = names
                .iter()
                .filter_map(|(name, column)| Some((*column, theirs.get(*name)?.clone())))
                .collect();
            assert!(expected.len() >= 6, "{line}");
            let exact = |row: &Row| {
                expected
                    .iter()
                    .all(|(column, value)| text(row, *column).as_ref() == Some(value))
            };
            let Some(at) = ours.iter().position(exact) else {
                panic!(
                    "{expected:?} is none of our rows, the nearest: {:?}",
                    nearest(&ours, &expected)
                );
            };
            ours.swap_remove(at);
            found += 1;
        }
        part.row(&[
            name.to_owned(),
            (found - before).to_string(),
            (found - before + ours.len()).to_string(),
        ]);
        let beyond = BEYOND_TELEGRAF
            .iter()
            .find(|(case, _)| *case == name)
            .map_or(0, |(_, rows)| *rows);
        assert_eq!(ours.len(), beyond, "rows of {name} are none of telegraf's");
    }
    part.write();
    println!("{found} flows of telegraf");
    assert_eq!(found, 18);
}

pub fn binaries(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "bin"));
    files.sort();
    files
}

/// pmacct adds flows of one key up, and multiplies by the sampling that options told it of.
#[test]
fn pmaccts_sums_are_ours() {
    let Some(folder) = folder("pmacct") else {
        println!("skipped: goldens of pmacct");
        return;
    };
    let keys = [
        ("ip_src", id::SRC_IP),
        ("ip_dst", id::DST_IP),
        ("port_src", id::SRC_PORT),
        ("port_dst", id::DST_PORT),
        ("iface_in", id::IN_IF),
        ("iface_out", id::OUT_IF),
        ("tos", id::TOS),
    ];
    let mut part = Part::new(
        "5-pmacct",
        "pmacct",
        "Packets and octets by source, destination, ports, interfaces, type of service and MPLS labels, sampling applied.",
        &["case", "keys of pmacct", "our keys"],
    );
    for case in [
        "100-IPFIXv10-CISCO",
        "101-NFv9-CISCO-cust_primitives",
        "104-IPFIXv10-IPv6-CISCO-sampling_option",
        "501-IPFIXv10-BGP-IPv6-CISCO-MPLS",
    ] {
        let case_folder = folder.join(case);
        let golden = std::fs::read_to_string(case_folder.join("output-flow-00.json")).unwrap();
        let mut theirs: BTreeMap<Vec<String>, (u64, u64)> = BTreeMap::new();
        for line in golden.lines().filter(|line| !line.trim().is_empty()) {
            let flow: Json = serde_json::from_str(line).unwrap();
            let value = |name: &str| {
                flow[name]
                    .as_str()
                    .map_or_else(|| flow[name].to_string(), str::to_owned)
            };
            let mut key: Vec<String> = keys.iter().map(|(name, _)| value(name)).collect();
            key.push(labels(&flow));
            let sums = theirs.entry(key).or_default();
            sums.0 += flow["packets"].as_u64().unwrap();
            sums.1 += flow["bytes"].as_u64().unwrap();
        }
        let mut ours: BTreeMap<Vec<String>, (u64, u64)> = BTreeMap::new();
        for row in rows(&[case_folder.join("traffic-00.pcap")]) {
            let mut key: Vec<String> = keys
                .iter()
                .map(|(_, column)| text(&row, *column).unwrap_or_default())
                .collect();
            key.push(text(&row, id::MPLS_LABELS).unwrap_or_default());
            let sums = ours.entry(key).or_default();
            sums.0 += row.number(id::PACKETS).unwrap();
            sums.1 += row.number(id::OCTETS).unwrap();
        }
        println!("{case}: {} keys of pmacct, {} of ours", theirs.len(), ours.len());
        part.row(&[case.to_owned(), theirs.len().to_string(), ours.len().to_string()]);
        for (key, sums) in &theirs {
            assert_eq!(ours.get(key), Some(sums), "{case} {key:?}");
        }
        assert_eq!(ours.len(), theirs.len(), "{case}");
    }
    part.write();
}

/// pmacct's stack of labels (class, then label) as ours.
fn labels(flow: &Json) -> String {
    let stack = flow["mpls_label_stack"].as_array();
    let labels = stack
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.as_str()?.split('-').nth(1));
    labels.collect::<Vec<_>>().join(" ")
}
