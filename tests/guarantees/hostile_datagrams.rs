//! One bad datagram at a time against the running collector: each is counted by its reason, and the next good one is
//! stored as if nothing had been.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::collector::Collector;

fn be16(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn be32(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A Set or FlowSet whose length is right.
fn set(id: u16, content: &[u8]) -> Vec<u8> {
    [be16(&[id, 4 + content.len() as u16]), content.to_vec()].concat()
}

/// An IPFIX Message of a domain, RFC 7011 section 3.1.
fn ipfix(domain: u32, sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    [
        be16(&[10, 16 + body.len() as u16]),
        be32(&[1_767_225_600, sequence, domain]),
        body,
    ]
    .concat()
}

/// A Template Set of one template: id, then element and length of each field.
fn template(id: u16, fields: &[(u16, u16)]) -> Vec<u8> {
    let head = be16(&[id, fields.len() as u16]);
    let fields = fields.iter().flat_map(|(element, length)| be16(&[*element, *length]));
    set(2, &head.into_iter().chain(fields).collect::<Vec<_>>())
}

/// A NetFlow 9 packet, RFC 3954 section 5.1.
fn netflow9(count: u16, flow_sets: &[Vec<u8>]) -> Vec<u8> {
    [
        be16(&[9, count]),
        be32(&[1_000, 1_767_225_600, 1, 7]),
        flow_sets.concat(),
    ]
    .concat()
}

/// An sFlow 5 datagram of an agent, with this many samples by its own words.
fn sflow(samples: u32, content: &[u32]) -> Vec<u8> {
    [be32(&[5, 1, 0x7f00_0001, 0, 1, 1_000, samples]), be32(content)].concat()
}

/// What is wrong, the datagram, and the reason that must be counted.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let octets_of_zero = [0; 64];
    // Lists in lists, each holding the next one, deeper than anyone means it.
    let nested = [vec![255, 0, 64], [255, 1, 37, 255, 255].repeat(12), vec![0; 4]].concat();
    vec![
        ("nothing", vec![], "unsupported_version"),
        ("one octet", vec![0], "unsupported_version"),
        ("version 1", [be16(&[1]), vec![0; 60]].concat(), "unsupported_version"),
        (
            "a length below the header's",
            be16(&[10, 15, 0, 0, 0, 0, 0, 0]),
            "message_length",
        ),
        (
            "a length beyond the datagram",
            be16(&[10, 65_535, 0, 0, 0, 0, 0, 0]),
            "message_length",
        ),
        (
            "fields of no octets only, and data",
            ipfix(1, 0, &[template(256, &[(8, 0), (12, 0)]), set(256, &octets_of_zero)]),
            "empty_template",
        ),
        (
            "a Set of length 0",
            ipfix(1, 0, &[be16(&[2, 0]), vec![0; 32]]),
            "set_length",
        ),
        (
            "a Set of length 3",
            ipfix(1, 0, &[be16(&[2, 3]), vec![0; 32]]),
            "set_length",
        ),
        (
            "a Set beyond its Message",
            ipfix(1, 0, &[be16(&[256, 400]), vec![0; 32]]),
            "set_length",
        ),
        (
            "a template of 65535 fields",
            ipfix(1, 0, &[set(2, &be16(&[257, 65_535, 1, 4, 2, 4]))]),
            "truncated",
        ),
        (
            "a template with the id of a Set",
            ipfix(1, 0, &[template(5, &[(8, 4)])]),
            "template_id",
        ),
        (
            "a length within a record that lies",
            ipfix(
                1,
                0,
                &[
                    template(258, &[(8, 4), (82, 65_535)]),
                    set(258, &[10, 0, 0, 1, 255, 255, 255]),
                ],
            ),
            "record_cut",
        ),
        (
            "lists in lists",
            ipfix(1, 0, &[template(259, &[(293, 65_535)]), set(259, &nested)]),
            "",
        ),
        (
            "NetFlow 9 fields of no octets only",
            netflow9(1, &[set(0, &be16(&[256, 1, 8, 0]))]),
            "empty_template",
        ),
        ("a FlowSet of length 0", netflow9(1, &[be16(&[0, 0])]), "set_length"),
        (
            "a NetFlow 5 count that lies",
            [be16(&[5, 30]), be32(&[1_000, 1_767_225_600, 0, 0, 0]), vec![0; 48]].concat(),
            "record_cut",
        ),
        (
            "sFlow samples that are not there",
            sflow(u32::MAX, &[0; 5]),
            "truncated",
        ),
        ("an sFlow sample of 4 GB", sflow(1, &[1, 0xffff_fff0]), "truncated"),
    ]
}

fn errors(status: &Value, reason: &str) -> u64 {
    status["ledger"]["errors"][reason].as_u64().unwrap_or(0)
}

fn received(status: &Value) -> u64 {
    status["ledger"]["received"]["datagrams"].as_u64().unwrap_or(0)
}

/// Sends one datagram and waits until the ledger has it.
fn send(collector: &Collector, socket: &UdpSocket, datagram: &[u8]) -> Value {
    let before = received(&collector.get("/api/v1/status"));
    socket.send_to(datagram, ("127.0.0.1", collector.port)).unwrap();
    let begin = Instant::now();
    loop {
        let status = collector.get("/api/v1/status");
        if received(&status) > before {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "not received: {status}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Source, destination, octets in as many octets as said, packets.
fn good(domain: u32, sequence: u32, octets: &[u8]) -> Vec<u8> {
    let fields = [(8, 4), (12, 4), (1, octets.len() as u16), (2, 4)];
    let record = [vec![192, 0, 2, 1, 198, 51, 100, 1], octets.to_vec(), vec![0, 0, 0, 3]].concat();
    ipfix(domain, sequence, &[template(300, &fields), set(300, &record)])
}

fn rows(collector: &Collector, filter: &str) -> Vec<Value> {
    let filter = filter.replace(' ', "%20").replace('=', "%3D");
    let answer = collector.get(&format!("/api/v1/flows?limit=1000&filter={filter}"));
    answer["rows"].as_array().unwrap().clone()
}

#[test]
fn each_is_counted_and_the_next_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(&folder.path().join("store"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (at, (what, datagram, reason)) in cases().into_iter().enumerate() {
        let before = errors(&collector.get("/api/v1/status"), reason);
        let status = send(&collector, &socket, &datagram);
        if !reason.is_empty() {
            assert_eq!(errors(&status, reason), before + 1, "{what}: {status}");
        }
        assert_eq!(status["ledger"]["balanced"], true, "{what}: {status}");
        let status = send(&collector, &socket, &good(1_000 + at as u32, 0, &[0, 0, 0, 99]));
        assert_eq!(status["ledger"]["balanced"], true, "after {what}: {status}");
    }
    let count = cases().len();
    // The good ones, and what was sound in the bad ones: a record of lists, and one of NetFlow 5.
    let begin = Instant::now();
    while rows(&collector, "octets = 99").len() < count && begin.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(rows(&collector, "octets = 99").len(), count);
    let ledger = collector.get("/api/v1/status")["ledger"].clone();
    assert_eq!(ledger["received"]["datagrams"], 2 * count, "{ledger}");
    assert_eq!(ledger["received"]["records"], count + 2, "{ledger}");
    let words = collector.terminate();
    assert!(!words.contains("panicked"), "{words}");
}

/// Counters of every length, an address of version 6 without element 60, and one template id of two exporters.
#[test]
fn what_others_misread_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start(&folder.path().join("store"));
    let [one, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    send(&collector, &one, &good(1, 0, &(1_u64 << 40).to_be_bytes()));
    send(&collector, &one, &good(2, 0, &[0, 1, 0, 0, 0, 7]));
    let six = [[0x20, 1, 0xd, 0xb8].as_slice(), &[0; 11], &[9]].concat();
    let record = [six.clone(), six, vec![0, 0, 0, 66], vec![0, 0, 0, 1]].concat();
    // The same domain and template id as the first one's, from another port: another Transport Session.
    let message = ipfix(
        1,
        0,
        &[template(300, &[(27, 16), (28, 16), (1, 4), (2, 4)]), set(300, &record)],
    );
    send(&collector, &other, &message);
    let again = [
        vec![192, 0, 2, 1, 198, 51, 100, 1],
        5_u64.to_be_bytes().to_vec(),
        vec![0, 0, 0, 1],
    ]
    .concat();
    send(&collector, &one, &ipfix(1, 1, &[set(300, &again)]));
    assert_eq!(collector.wait_for(4), 4);

    let octets = |row: &Value| row["octets"].as_u64();
    let four = rows(&collector, "ip.version = 4");
    let mut found: Vec<_> = four.iter().filter_map(octets).collect();
    found.sort_unstable();
    assert_eq!(found, [5, (1 << 32) + 7, 1 << 40], "{four:?}");
    let six = rows(&collector, "ip.version = 6");
    assert_eq!(six.len(), 1, "{six:?}");
    assert_eq!(
        (octets(&six[0]), six[0]["src.ip"].as_str()),
        (Some(66), Some("2001:db8::9"))
    );
    let ledger = collector.get("/api/v1/status")["ledger"].clone();
    assert_eq!(ledger["errors"].as_object().unwrap().len(), 0, "{ledger}");
    assert_eq!(
        (&ledger["balanced"], &ledger["stored"]),
        (&true.into(), &4.into()),
        "{ledger}"
    );
}
