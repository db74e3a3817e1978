//! sFlow datagrams and options records beside what telegraf makes of them: counters, sampled packets, names.

use std::path::PathBuf;

use flowgauge_collector::normalize::codes::{KIND_COUNTERS, KIND_FLOW};
use flowgauge_collector::normalize::columns::{ColumnId, id};
use flowgauge_collector::normalize::row::{CellRef, Row};

use crate::captures::Capture;
use crate::ours;
use crate::report::Part;
use crate::rows::{binaries, folder, influx, rows, text};

/// telegraf's names of counters.
const COUNTERS: &[(&str, &str)] = &[
    ("in_bytes", "ifInOctets"),
    ("out_bytes", "ifOutOctets"),
    ("in_unicast_packets_total", "ifInUcastPkts"),
    ("out_unicast_packets_total", "ifOutUcastPkts"),
    ("in_mcast_packets_total", "ifInMulticastPkts"),
    ("out_mcast_packets_total", "ifOutMulticastPkts"),
    ("in_broadcast_packets_total", "ifInBroadcastPkts"),
    ("out_broadcast_packets_total", "ifOutBroadcastPkts"),
    ("in_dropped_packets", "ifInDiscards"),
    ("out_dropped_packets", "ifOutDiscards"),
    ("in_errors", "ifInErrors"),
    ("out_errors", "ifOutErrors"),
    ("in_unknown_protocol", "ifInUnknownProtos"),
    ("interface_type", "ifType"),
    ("speed", "ifSpeed"),
    ("promiscuous", "ifPromiscuousMode"),
    ("errors_alignment", "dot3StatsAlignmentErrors"),
    ("errors_fcs", "dot3StatsFCSErrors"),
    ("collision_frames_single", "dot3StatsSingleCollisionFrames"),
    ("collision_frames_multi", "dot3StatsMultipleCollisionFrames"),
    ("errors_sqetest", "dot3StatsSQETestErrors"),
    ("deferred", "dot3StatsDeferredTransmissions"),
    ("collisions_late", "dot3StatsLateCollisions"),
    ("collisions_excessive", "dot3StatsExcessiveCollisions"),
    ("errors_internal_mac_tx", "dot3StatsInternalMacTransmitErrors"),
    ("errors_internal_mac_rx", "dot3StatsInternalMacReceiveErrors"),
    ("errors_carrier_sense", "dot3StatsCarrierSenseErrors"),
    ("errors_frame_too_long", "dot3StatsFrameTooLongs"),
    ("errors_symbols", "dot3StatsSymbolErrors"),
];

/// telegraf's names of what is in a sampled packet.
const PACKETS: &[(&str, ColumnId)] = &[
    ("src", id::SRC_IP),
    ("dst", id::DST_IP),
    ("src_port", id::SRC_PORT),
    ("dst_port", id::DST_PORT),
    ("ttl", id::TTL_MIN),
    ("ipv4_total_len", id::OCTETS),
    ("in_src_mac", id::SRC_MAC),
    ("out_dst_mac", id::DST_MAC),
    ("vlan_src", id::VLAN),
    ("sampling_interval", id::SAMPLING),
];

fn kept(row: &Row, name: &str) -> Option<String> {
    row.other()
        .find(|(held, _)| &***held == name)
        .map(|(_, value)| match value {
            CellRef::Number(number) => number.to_string(),
            CellRef::Text(text) => text.to_owned(),
            value => format!("{value:?}"),
        })
}

#[test]
fn telegrafs_sflow_is_ours() {
    let Some(folder) = folder("telegraf") else {
        println!("skipped: goldens of telegraf");
        return;
    };
    let mut part = Part::new(
        "3-telegraf-sflow",
        "telegraf: sFlow",
        "Counters by name, and of sampled packets addresses, ports, times to live, lengths, VLANs and the sampling rate.",
        &["case", "lines", "values", "our rows"],
    );
    for (name, lines, values) in [("sflow_v5_example", 1, 14), ("sflow_issue_15918", 7, 80)] {
        let case = folder.join(name);
        let ours = rows(&binaries(&case));
        let golden = std::fs::read_to_string(case.join("expected.out")).unwrap();
        let (mut found, mut compared) = (0, 0);
        for line in golden.lines().filter(|line| !line.trim().is_empty()) {
            let theirs = influx(line);
            let of_counters = theirs.contains_key("in_unicast_packets_total");
            // All ones is what the agent does not know, which we leave out.
            let unknown = [u32::MAX.to_string(), u64::MAX.to_string()];
            let counters = COUNTERS
                .iter()
                .filter_map(|(name, counter)| Some((*counter, theirs.get(*name)?.clone())))
                .map(|(name, value)| (name, Some(value).filter(|value| !unknown.contains(value))));
            let counters: Vec<_> = if of_counters { counters.collect() } else { Vec::new() };
            let packet = PACKETS
                .iter()
                .filter_map(|(name, column)| Some((*column, theirs.get(*name)?.clone())));
            let mut packet: Vec<_> = if of_counters { Vec::new() } else { packet.collect() };
            if let (true, Some(index)) = (of_counters, theirs.get("interface")) {
                packet.push((id::IN_IF, index.clone()));
            }
            if let (true, Some(name)) = (of_counters, theirs.get("port_name")) {
                packet.push((id::IN_IF_NAME, name.clone()));
            }
            let kind = if of_counters { KIND_COUNTERS } else { KIND_FLOW };
            let differ = |row: &Row| -> Vec<String> {
                let counters = counters.iter().filter(|(name, value)| kept(row, name) != *value);
                let counters = counters.map(|(name, value)| format!("{name} {value:?} {:?}", kept(row, name)));
                let columns = packet
                    .iter()
                    .filter(|(column, value)| text(row, *column).as_ref() != Some(value));
                let columns =
                    columns.map(|(column, value)| format!("{} {value} {:?}", column.column().name, text(row, *column)));
                counters.chain(columns).collect()
            };
            let of_kind = ours.iter().filter(|row| row.number(id::KIND) == Some(kind));
            let nearest = of_kind.map(differ).min_by_key(Vec::len).unwrap();
            assert_eq!(nearest, Vec::<String>::new(), "{name}: {line}");
            found += 1;
            compared += counters.len() + packet.len();
        }
        println!("{name}: {found} lines, {compared} values, {} rows", ours.len());
        part.row(&[
            name.to_owned(),
            found.to_string(),
            compared.to_string(),
            ours.len().to_string(),
        ]);
        assert!(found == lines && compared >= values, "{name}: {found} {compared}");
    }
    part.differences(&[
        (
            "counters that are all ones",
            "the agent does not know them; telegraf shows the number, we leave them out",
        ),
        (
            "the octets of IPv6 packets",
            "telegraf shows the payload's length, ours is that of the packet with its header",
        ),
    ]);
    part.write();
}

#[test]
fn telegrafs_options_are_our_records() {
    let Some(folder) = folder("telegraf/ipfix_options") else {
        println!("skipped: options of telegraf");
        return;
    };
    let mut files: Vec<PathBuf> = binaries(&folder);
    files.sort();
    let datagrams = ours::decode(&Capture {
        name: "options".to_owned(),
        files,
    });
    let ours: Vec<&ours::Record> = datagrams.iter().flat_map(|datagram| &datagram.records).collect();
    let golden = std::fs::read_to_string(folder.join("expected.out")).unwrap();
    let mut found = 0;
    for line in golden.lines().filter(|line| line.starts_with("netflow_options,")) {
        let theirs = influx(line);
        let expected = [
            ("app_name", "applicationName"),
            ("app_desc", "applicationDescription"),
            ("app_id", "applicationId"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .filter_map(|(name, element)| Some((*element, theirs.get(*name)?.trim_start_matches("0x"))))
            .collect();
        assert!(expected.len() == 3, "{line}");
        let same = |record: &&&ours::Record| {
            expected.iter().all(|(element, value)| {
                let field = record.fields.iter().find(|field| field.name == *element);
                field.is_some_and(|field| field.text == *value)
            })
        };
        assert!(ours.iter().any(|record| same(&record)), "{expected:?}");
        found += 1;
    }
    let mut part = Part::new(
        "3-telegraf-options",
        "telegraf: options records",
        "Names and descriptions of applications.",
        &["case", "records", "our records"],
    );
    part.row(&["ipfix_options".to_owned(), found.to_string(), ours.len().to_string()]);
    part.write();
    assert!(found >= 120, "{found}");
}
