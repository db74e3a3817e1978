//! The datagrams themselves, as tshark reads them.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Flows, VERSIONS, corpus, export, of_version, tshark};
use crate::support::peers::is_installed;
use crate::support::{root, skipped};

/// What arrives at a socket until the exporter is done, as a capture.
fn datagrams(capture: &Path, version: u8, folder: &Path) -> (PathBuf, Flows) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = socket.local_addr().unwrap().port();
    let destination = format!("netflow{version}://127.0.0.1:{port}");
    let (octets, sent) = std::thread::scope(|scope| {
        let exporter = scope.spawn(|| export(capture, &destination, folder, &["--rate", "20000"]));
        let mut pcap = Vec::new();
        // libpcap's file header, of link type RAW.
        for number in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65_535, 101] {
            pcap.extend(number.to_le_bytes());
        }
        let mut buffer = vec![0; 65_535];
        loop {
            match socket.recv(&mut buffer) {
                Ok(length) => pcap.extend(packet(&buffer[..length])),
                Err(_) if exporter.is_finished() => break,
                Err(_) => {}
            }
        }
        (pcap, exporter.join().unwrap())
    });
    let file = folder.join("wire.pcap");
    std::fs::write(&file, &octets).unwrap();
    (file, sent)
}

/// A record of a capture: IPv4 and UDP around a datagram to port 2055.
fn packet(datagram: &[u8]) -> Vec<u8> {
    let udp = (datagram.len() + 8) as u16;
    let length = u32::from(udp) + 20;
    let mut packet = Vec::new();
    for number in [0, 0, length, length] {
        packet.extend(number.to_le_bytes());
    }
    packet.extend([0x45, 0]);
    packet.extend((length as u16).to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend([Ipv4Addr::LOCALHOST.octets(), Ipv4Addr::LOCALHOST.octets()].concat());
    for number in [2055, 2055, udp, 0] {
        packet.extend(number.to_be_bytes());
    }
    packet.extend(datagram);
    packet
}

#[test]
fn tshark_finds_nothing_malformed_and_the_same_times() {
    if !is_installed("tshark") {
        return skipped("tshark", "it is not installed (Debian: tshark)");
    }
    let folder = tempfile::tempdir().unwrap();
    for version in VERSIONS {
        for capture in [Some(root().join("fixtures/office.pcap")), corpus()]
            .into_iter()
            .flatten()
        {
            let (wire, sent) = datagrams(&capture, version, folder.path());
            let wire = wire.to_str().unwrap();
            assert_eq!(
                tshark(&[
                    "-r",
                    wire,
                    "-Y",
                    "!cflow || _ws.malformed || _ws.expert.severity >= warning"
                ]),
                ""
            );
            let json: Value =
                serde_json::from_str(&tshark(&["-r", wire, "-T", "json", "--no-duplicate-keys"])).unwrap();
            assert_eq!(
                of_tshark(&json),
                of_version(version, sent),
                "{version}, {}",
                capture.display()
            );
        }
    }
}

fn of_tshark(packets: &Value) -> Flows {
    let mut flows = Flows::default();
    for packet in packets.as_array().unwrap() {
        let header = &packet["_source"]["layers"]["cflow"];
        let seconds = |value: &Value| -> i64 {
            let (whole, part) = value
                .as_str()
                .unwrap()
                .split_once('.')
                .unwrap_or((value.as_str().unwrap(), "0"));
            whole.parse::<i64>().unwrap() * 1000 + format!("{part:0<3}")[..3].parse::<i64>().unwrap()
        };
        let uptime_ms = seconds(&header["cflow.sysuptime"]);
        assert!((0..=i64::from(i32::MAX)).contains(&uptime_ms), "{uptime_ms}");
        let stamp = header.get("cflow.timestamp_tree").unwrap_or(header);
        let nanoseconds: i64 = stamp["cflow.unix_nsecs"].as_str().unwrap_or("0").parse().unwrap();
        let export_ms =
            stamp["cflow.unix_secs"].as_str().unwrap().parse::<i64>().unwrap() * 1000 + nanoseconds / 1_000_000;
        for_each_flow(header, &mut |flow| {
            let get = |names: &[&str]| names.iter().find_map(|name| flow.get(*name)).and_then(Value::as_str);
            let number = |names: &[&str]| get(names).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
            let address =
                |names: &[&str]| -> IpAddr { get(names).unwrap_or_else(|| panic!("{flow:?}")).parse().unwrap() };
            if get(&["cflow.octets"]).is_none() {
                return;
            }
            let protocol = number(&["cflow.protocol"]);
            let ports = match protocol {
                1 | 58 => [0, 0],
                _ => [number(&["cflow.srcport"]), number(&["cflow.dstport"])],
            };
            let times = flow
                .get("cflow.timedelta_tree")
                .and_then(Value::as_object)
                .unwrap_or(flow);
            let span = ["cflow.timestart", "cflow.timeend"].map(|name| export_ms - uptime_ms + seconds(&times[name]));
            let key = (
                address(&["cflow.srcaddr", "cflow.srcaddrv6"]),
                address(&["cflow.dstaddr", "cflow.dstaddrv6"]),
                ports[0],
                ports[1],
                protocol,
            );
            flows.add(key, number(&["cflow.packets"]), number(&["cflow.octets"]), span);
        });
    }
    flows
}

fn for_each_flow(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            for (name, inner) in object {
                let is_flow = name.starts_with("Flow ") || name.starts_with("pdu ");
                match inner {
                    Value::Object(flow) if is_flow => visit(flow),
                    Value::Array(flows) if is_flow => flows.iter().filter_map(Value::as_object).for_each(&mut *visit),
                    _ => for_each_flow(inner, visit),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|inner| for_each_flow(inner, visit)),
        _ => {}
    }
}
