//! Biflows by key, from the truth of a capture and from the records that an exporter made of it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// Packets and octets in both directions, and the union of the TCP flags where there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub packets: [u64; 2],
    pub octets: [u64; 2],
    pub flags: u64,
    pub records: u64,
}

/// Source, destination, ports, protocol, outermost VLAN.
pub type Key = (String, String, u64, u64, u64, u64);

pub type Biflows = BTreeMap<Key, Counts>;

fn pair(value: &Value) -> [u64; 2] {
    [value[0].as_u64().unwrap_or(0), value[1].as_u64().unwrap_or(0)]
}

/// The VLAN id, and above it which tunnel the biflow is in: inner addresses may be the same in several.
fn context(vlan: u64, tunnel: Option<u64>) -> u64 {
    vlan | tunnel.map_or(0, |identifier| (identifier + 1) << 16)
}

/// The truth of the traffic generator or of `fixtures/office.json`: TCP, UDP and ICMP, within tunnels and in fragments too.
/// A tuple that two connections use one after the other is one entry, oriented by the first.
pub fn truth(path: &Path) -> Biflows {
    let document: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut biflows = Biflows::new();
    for flow in document["biflows"].as_array().unwrap() {
        let protocol = flow["proto"].as_u64().unwrap();
        if ![1, 6, 17, 58].contains(&protocol) {
            continue;
        }
        let text = |name: &str| flow[name].as_str().unwrap().to_owned();
        let number = |name: &str| flow[name].as_u64().unwrap_or(0);
        let tunnel = (!flow["tunnel"].is_null()).then(|| flow["tunnel"]["id"].as_u64().unwrap_or(0));
        let vlan = flow["vlan"].as_u64().or_else(|| flow["vlan"][0].as_u64()).unwrap_or(0);
        let key = (
            text("src"),
            text("dst"),
            number("sport"),
            number("dport"),
            protocol,
            context(vlan, tunnel),
        );
        let flags = flow["tcp_flags"].as_u64().unwrap_or_else(|| {
            let each = pair(&flow["flags"]).into_iter().chain(pair(&flow["tcp_flags"]));
            each.fold(0, |union, flags| union | flags)
        });
        let counts = Counts {
            packets: pair(&flow["packets"]),
            octets: pair(&flow["octets"]),
            flags,
            records: 1,
        };
        add(&mut biflows, key, counts);
    }
    biflows
}

fn add(biflows: &mut Biflows, key: Key, counts: Counts) {
    let (src, dst, sport, dport, protocol, vlan) = key.clone();
    let back = (dst, src, dport, sport, protocol, vlan);
    let (entry, [ahead, behind]) = match biflows.get_mut(&back) {
        Some(entry) => (entry, [1, 0]),
        None => (biflows.entry(key).or_default(), [0, 1]),
    };
    entry.packets[ahead] += counts.packets[0];
    entry.packets[behind] += counts.packets[1];
    entry.octets[ahead] += counts.octets[0];
    entry.octets[behind] += counts.octets[1];
    entry.flags |= counts.flags;
    entry.records += counts.records;
}

/// What `decode` printed: every record of a flow, added up by key.
pub fn decoded(lines: &str) -> Biflows {
    let mut biflows = Biflows::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_ne!(line["kind"], "error", "{line}");
        if line["kind"] != "record" {
            continue;
        }
        let fields = &line["fields"];
        let either = |names: [&str; 2]| {
            names
                .iter()
                .find_map(|name| fields[*name].as_str().map(str::to_owned))
                .unwrap()
        };
        let number = |name: &str| fields[name].as_u64().unwrap_or(0);
        let vlan = ["vlanId", "dot1qVlanId"]
            .iter()
            .map(|name| number(name))
            .find(|id| *id != 0)
            .unwrap_or(0);
        let tunnel = fields.get("tunnelKind").map(|_| number("tunnelIdentifier"));
        let key = (
            either(["sourceIPv4Address", "sourceIPv6Address"]),
            either(["destinationIPv4Address", "destinationIPv6Address"]),
            number("sourceTransportPort"),
            number("destinationTransportPort"),
            number("protocolIdentifier"),
            context(vlan, tunnel),
        );
        let counts = Counts {
            packets: [number("packetDeltaCount"), number("reversePacketDeltaCount")],
            octets: [number("octetDeltaCount"), number("reverseOctetDeltaCount")],
            flags: number("tcpControlBits") | number("reverseTcpControlBits"),
            records: 1,
        };
        add(&mut biflows, key, counts);
    }
    biflows
}

/// Packets and octets of all.
pub fn totals(biflows: &Biflows) -> (u64, u64) {
    biflows.values().fold((0, 0), |(packets, octets), counts| {
        (
            packets + counts.packets.iter().sum::<u64>(),
            octets + counts.octets.iter().sum::<u64>(),
        )
    })
}
