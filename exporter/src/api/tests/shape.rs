//! pktvisor's shape: the keys that its terminal client and its dashboards read, and its own numbers of its own capture.

use super::*;

/// Every number, quantile and list that pktvisor 4 has for its handlers net, dns and pcap, by the way to it.
const KEYS: &[&str] = &[
    "default-net/packets/cardinality/dst_ips_out",
    "default-net/packets/cardinality/src_ips_in",
    "default-net/packets/deep_samples",
    "default-net/packets/in",
    "default-net/packets/ipv4",
    "default-net/packets/ipv6",
    "default-net/packets/other_l4",
    "default-net/packets/out",
    "default-net/packets/payload_size/p50",
    "default-net/packets/period/length",
    "default-net/packets/period/start_ts",
    "default-net/packets/rates/bps_in/live",
    "default-net/packets/rates/bps_out/p90",
    "default-net/packets/rates/pps_in/p95",
    "default-net/packets/rates/pps_out/p99",
    "default-net/packets/rates/pps_total/p50",
    "default-net/packets/tcp",
    "default-net/packets/top_ASN",
    "default-net/packets/top_geoLoc",
    "default-net/packets/top_ipv4",
    "default-net/packets/top_ipv6",
    "default-net/packets/total",
    "default-net/packets/udp",
    "default-dns/dns/cardinality/qname",
    "default-dns/dns/period/start_ts",
    "default-dns/dns/rates/total/live",
    "default-dns/dns/rates/total/p99",
    "default-dns/dns/top_nxdomain",
    "default-dns/dns/top_qname2",
    "default-dns/dns/top_qname3",
    "default-dns/dns/top_qtype",
    "default-dns/dns/top_rcode",
    "default-dns/dns/top_refused",
    "default-dns/dns/top_srvfail",
    "default-dns/dns/top_udp_ports",
    "default-dns/dns/wire_packets/deep_samples",
    "default-dns/dns/wire_packets/filtered",
    "default-dns/dns/wire_packets/ipv4",
    "default-dns/dns/wire_packets/ipv6",
    "default-dns/dns/wire_packets/noerror",
    "default-dns/dns/wire_packets/nxdomain",
    "default-dns/dns/wire_packets/queries",
    "default-dns/dns/wire_packets/refused",
    "default-dns/dns/wire_packets/replies",
    "default-dns/dns/wire_packets/srvfail",
    "default-dns/dns/wire_packets/tcp",
    "default-dns/dns/wire_packets/total",
    "default-dns/dns/wire_packets/udp",
    "default-dns/dns/xact/counts/timed_out",
    "default-dns/dns/xact/counts/total",
    "default-dns/dns/xact/in/quantiles_us/p50",
    "default-dns/dns/xact/in/top_slow",
    "default-dns/dns/xact/in/total",
    "default-dns/dns/xact/out/quantiles_us/p99",
    "default-dns/dns/xact/out/top_slow",
    "default-dns/dns/xact/out/total",
    "default-pcap_stats/pcap/if_drops",
    "default-pcap_stats/pcap/os_drops",
    "default-pcap_stats/pcap/tcp_reassembly_errors",
];

fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('/').fold(value, |value, key| &value[key])
}

#[test]
fn every_key_of_pktvisor_is_there_with_its_type() {
    let running = Running::of(&office(), OFFICE, true);
    for policy in ["__all", "default"] {
        for path in ["bucket/0", "bucket/1", "window/5", "window/2"] {
            let answer = running.json(&format!("/api/v1/policies/{policy}/metrics/{path}"));
            for key in KEYS {
                let value = at(&answer["default"], key);
                match key.contains("/top_") {
                    true => assert!(value.is_array(), "{path} {key}: {value}"),
                    false => assert!(value.is_u64(), "{path} {key}: {value}"),
                }
            }
        }
    }
    let bucket = running.json("/api/v1/metrics/bucket/1");
    assert!(bucket["1m"]["packets"]["total"].is_u64() && bucket["1m"]["dns"]["xact"].is_object());
    assert_eq!(bucket["1m"]["period"], bucket["1m"]["packets"]["period"]);
    let window = running.json("/api/v1/metrics/window/3");
    assert!(window["3m"]["packets"]["total"].is_u64());
    let app = running.json("/api/v1/metrics/app");
    assert!(app["app"]["version"].is_string() && app["app"]["up_time_min"].is_f64());
    assert!(running.json("/api/v1/metrics/rates")["packets"]["in"].is_u64());
}

/// What pktvisor's tests know of this capture. Its sketch of names is another one than ours: 2036 there, 2018 here, both
/// within the limits that ours states.
#[test]
fn pktvisors_numbers_of_its_capture_are_met() {
    let shared = std::env::var_os("FLOWGAUGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        Into::into,
    );
    let capture = shared.join("corpus/pktvisor/dns_udp_tcp_random.pcap");
    if !capture.is_file() {
        println!(
            "skipped: no {}: numbers are not compared with pktvisor's",
            capture.display()
        );
        return;
    }
    let running = Running::of(&capture, "192.168.0.0/24", false);
    let answer = running.json("/api/v1/policies/default/metrics/window/30");
    for (key, expected) in [
        ("default-net/packets/total", 16_147),
        ("default-net/packets/in", 6_648),
        ("default-net/packets/out", 9_499),
        ("default-net/packets/tcp", 13_176),
        ("default-net/packets/udp", 2_971),
        ("default-net/packets/ipv4", 16_147),
        ("default-net/packets/protocol/tcp/syn", 2_846),
        ("default-net/packets/cardinality/dst_ips_out", 1),
        ("default-net/packets/cardinality/src_ips_in", 1),
        ("default-dns/dns/wire_packets/total", 5_851),
        ("default-dns/dns/wire_packets/queries", 2_930),
        ("default-dns/dns/wire_packets/replies", 2_921),
        ("default-dns/dns/wire_packets/noerror", 2_921),
        ("default-dns/dns/wire_packets/nodata", 2_254),
        ("default-dns/dns/xact/counts/total", 2_921),
        ("default-dns/dns/xact/in/total", 0),
        ("default-dns/dns/xact/out/total", 2_921),
    ] {
        let found = at(&answer["default"], key).as_u64();
        // pktvisor counts a SYN with ACK as a SYN.
        let found = match key.ends_with("/syn") {
            true => found
                .zip(at(&answer["default"], &format!("{key}_ack")).as_u64())
                .map(|(a, b)| a + b),
            false => found,
        };
        assert_eq!(found, Some(expected), "{key}");
    }
    let names = at(&answer["default"], "default-dns/dns/top_qtype").as_array().unwrap();
    let names: Vec<&str> = names.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["AAAA", "CNAME", "SOA", "MX", "A", "NS", "TXT"]);
    let first = |list: &str| at(&answer["default"], list)[0]["name"].clone();
    assert_eq!(first("default-dns/dns/top_qname2"), ".test.com");
    assert_eq!(first("default-dns/dns/top_rcode"), "NOERROR");
    let addresses = at(&answer["default"], "default-net/packets/top_ipv4");
    assert_eq!(
        *addresses,
        serde_json::json!([{ "estimate": 16_147, "name": "8.8.8.8" }])
    );
}
