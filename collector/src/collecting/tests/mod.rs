//! The process on Messages put together by hand: sessions, records, the ledger.

mod devices;
mod netflow;
mod sampling;

use std::net::SocketAddr;

use flowgauge_ie_registry::Registry;

use super::*;
use crate::io::input::Protocol;
use crate::io::listener::{ListenAddress, Transport};
use crate::limits;
use crate::normalize::columns::id;
use crate::normalize::row::{CellRef, Row, ipv4_to_u128};
use crate::test_messages::*;

const NOW: i64 = 1_767_225_661_000_000_000;
const S: i64 = 1_000_000_000;

fn process() -> CollectingProcess {
    let config = ProcessConfig {
        listeners: vec![Transport::Udp, Transport::Tcp],
        ..ProcessConfig::default()
    };
    CollectingProcess::new(config, Registry::new())
}

fn udp(peer: &str) -> SessionKey {
    SessionKey {
        listener: 0,
        peer: peer.parse().unwrap(),
        connection: 0,
    }
}

fn tcp(peer: &str, connection: u64) -> SessionKey {
    SessionKey {
        listener: 1,
        peer: peer.parse().unwrap(),
        connection,
    }
}

fn take(process: &mut CollectingProcess, now_ns: i64, key: SessionKey, bytes: &[u8]) -> Vec<Row> {
    let mut rows = Vec::new();
    process.handle(now_ns, key, bytes, &mut rows);
    assert!(process.totals().balanced, "{:?}", process.totals());
    rows
}

fn account(process: &CollectingProcess, address: &str, protocol: Protocol, domain: u32) -> Account {
    let key = AccountKey {
        address: address.parse().unwrap(),
        protocol,
        domain,
    };
    process
        .ledger()
        .iter()
        .find(|(of, _)| **of == key)
        .map(|(_, account)| account.clone())
        .unwrap()
}

const A: &str = "198.51.100.1:5000";
const B: &str = "198.51.100.2:5000";

#[test]
fn a_message_becomes_rows_and_the_account_says_so() {
    let mut process = process();
    let bytes = message(7, 0, &[flow_template(), flow_set([1, 2, 3])]);
    let rows = take(&mut process, NOW, udp(A), &bytes);
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].get(id::SRC_IP), Some(CellRef::Ip(ipv4_to_u128([10, 0, 0, 1]))));
    assert_eq!(
        rows[0].get(id::EXPORTER_IP),
        Some(CellRef::Ip(ipv4_to_u128([198, 51, 100, 1])))
    );
    assert_eq!(rows[2].number(id::OCTETS), Some(100));
    assert_eq!(rows[2].number(id::EXPORTER_DOMAIN), Some(7));
    let start_ns = (i64::from(EXPORT_TIME) - 10) * S + 3_000_000;
    assert_eq!(rows[2].signed(id::START), Some(start_ns));
    assert_eq!(rows[2].signed(id::DURATION), Some(2 * S));
    let account = account(&process, "198.51.100.1", Protocol::Ipfix, 7);
    let expected = Account {
        transport: Some(Transport::Udp),
        datagrams: 1,
        octets: bytes.len() as u64,
        messages: 1,
        records: 3,
        rows: 3,
        templates: 1,
        first_ns: NOW,
        last_ns: NOW,
        ..Account::default()
    };
    assert_eq!(account, expected);
    assert_eq!(process.counters().normalizing.rows, 3);
    assert_eq!(process.templates().count(), 1);
}

#[test]
fn data_before_its_template_waits_and_the_ledger_shows_it() {
    let mut process = process();
    assert!(take(&mut process, NOW, udp(A), &message(1, 0, &[flow_set([1, 2])])).is_empty());
    let totals = process.totals();
    assert_eq!(
        (totals.sets_waiting, totals.sum.sets_waited, totals.sum.records),
        (1, 1, 0)
    );
    let rows = take(
        &mut process,
        NOW + S,
        udp(A),
        &message(1, 2, &[flow_template(), flow_set([3])]),
    );
    assert_eq!(rows.len(), 3);
    let totals = process.totals();
    assert_eq!(
        (totals.sets_waiting, totals.sum.sets_replayed, totals.sum.records),
        (0, 1, 3)
    );
    assert_eq!(totals.sum.sequence.lost, 0);
}

#[test]
fn sets_whose_template_never_comes_are_given_up_and_counted() {
    let mut process = process();
    take(&mut process, NOW, udp(A), &message(1, 0, &[flow_set([1])]));
    take(&mut process, NOW, tcp(B, 9), &message(1, 0, &[flow_set([1])]));
    process.handle_timeout(NOW + (i64::from(flowgauge_templates::limits::PENDING_AGE_S) + 1) * S);
    let totals = process.totals();
    assert_eq!((totals.sets_waiting, totals.sum.sets_expired), (0, 2));
    assert!(totals.balanced);
    take(&mut process, NOW, tcp(B, 9), &message(1, 1, &[flow_set([1])]));
    process.handle_closed(1, 9);
    let totals = process.totals();
    assert_eq!((totals.sets_waiting, totals.sum.sets_abandoned), (0, 1));
    assert!(totals.balanced);
    assert_eq!((process.counters().sessions_closed, process.sessions()), (1, 1));
}

#[test]
fn templates_of_two_exporters_and_two_ports_never_mix() {
    let mut process = process();
    take(&mut process, NOW, udp(A), &message(1, 0, &[flow_template()]));
    // The same identifier with other fields: elements 8 and 12 turned around.
    take(
        &mut process,
        NOW,
        udp(B),
        &message(1, 0, &[template_set(TEMPLATE, &[(12, 4), (8, 4)])]),
    );
    let rows = take(
        &mut process,
        NOW,
        udp(B),
        &message(1, 0, &[set(TEMPLATE, &[10, 0, 0, 1, 10, 0, 0, 2])]),
    );
    assert_eq!(rows[0].get(id::SRC_IP), Some(CellRef::Ip(ipv4_to_u128([10, 0, 0, 2]))));
    assert_eq!(
        take(&mut process, NOW, udp(A), &message(1, 0, &[flow_set([5])])).len(),
        1
    );
    assert!(
        take(
            &mut process,
            NOW,
            udp("198.51.100.1:5001"),
            &message(1, 0, &[flow_set([5])])
        )
        .is_empty()
    );
    assert!(
        take(&mut process, NOW, udp(A), &message(2, 0, &[flow_set([5])])).is_empty(),
        "another domain"
    );
}

#[test]
fn gaps_late_and_double_messages_are_told_apart() {
    let mut process = process();
    take(
        &mut process,
        NOW,
        udp(A),
        &message(1, 0, &[flow_template(), flow_set([1, 2])]),
    );
    take(&mut process, NOW, udp(A), &message(1, 5, &[flow_set([6])]));
    assert_eq!(account(&process, "198.51.100.1", Protocol::Ipfix, 1).sequence.lost, 3);
    take(&mut process, NOW, udp(A), &message(1, 2, &[flow_set([3, 4, 5])]));
    take(&mut process, NOW, udp(A), &message(1, 2, &[flow_set([3, 4, 5])]));
    let sequence = account(&process, "198.51.100.1", Protocol::Ipfix, 1).sequence;
    assert_eq!(
        (sequence.lost, sequence.gaps, sequence.reordered, sequence.duplicate),
        (0, 1, 1, 1)
    );
}

#[test]
fn other_versions_are_counted_and_open_no_session() {
    let mut process = process();
    for (bytes, protocol) in [
        (&[0, 8, 0, 1, 9, 9][..], Protocol::Unknown),
        (&[0, 1, 0, 1], Protocol::Unknown),
        (&[0, 0, 0, 4, 0, 0, 0, 1], Protocol::Unknown),
        (b"hello", Protocol::Unknown),
        (b"", Protocol::Unknown),
    ] {
        take(&mut process, NOW, udp(A), bytes);
        assert!(account(&process, "198.51.100.1", protocol, 0).unsupported_version >= 1);
    }
    for bytes in [[0, 5, 0, 1], [0, 7, 0, 1], [0, 9, 0, 1], [0, 10, 0, 1]] {
        take(&mut process, NOW, udp(A), &bytes);
    }
    let totals = process.totals();
    assert_eq!(
        (totals.sum.datagrams, totals.sum.unsupported_version, process.sessions()),
        (9, 5, 0)
    );
    assert_eq!(totals.errors.get("unsupported_version"), Some(&5));
    assert_eq!(totals.errors.get("truncated"), Some(&4));
}

/// What must never crash, hang or grow the collector: each alone, then the exporter is still understood.
#[test]
fn hostile_datagrams_are_counted_and_the_next_one_is_read() {
    for (what, bytes, kind) in hostile() {
        let mut process = process();
        take(&mut process, NOW, udp(A), &message(1, 0, &[flow_template()]));
        take(&mut process, NOW, udp(A), &bytes);
        let totals = process.totals();
        assert!(
            totals.errors.get(kind).is_some_and(|count| *count > 0),
            "{what}: {:?}",
            totals.errors
        );
        assert_eq!(
            take(&mut process, NOW, udp(A), &message(1, 0, &[flow_set([1])])).len(),
            1,
            "{what}"
        );
    }
}

/// What other collectors get wrong: counters cut to 32 bits, counters of 6 octets read as 0, IPv6 taken for IPv4 where
/// nothing says the version, variable lengths misread.
#[test]
fn values_of_every_length_are_what_they_are() {
    let mut process = process();
    let fields = [(1, 8), (2, 6), (27, 16), (28, 16), (96, 0xffff), (10, 2), (4, 1)];
    let record = |name: &[u8]| {
        let mut record = (5u64 << 32 | 7).to_be_bytes().to_vec();
        record.extend([0, 1, 0, 0, 0, 3]);
        record.extend(std::net::Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]).octets());
        record.extend(std::net::Ipv6Addr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201]).octets());
        record.extend(name);
        record.extend([0, 9, 17]);
        record
    };
    let long = [&[255, 1, 0][..], &[b'x'; 256]].concat();
    let sets = [
        template_set(500, &fields),
        set(500, &[record(b"\x03ntp"), record(&long), record(b"\0")].concat()),
    ];
    let rows = take(&mut process, NOW, udp(A), &message(7, 0, &sets));
    let names = ["ntp".to_owned(), "x".repeat(256), String::new()];
    assert_eq!(rows.len(), 3);
    for (row, name) in rows.iter().zip(names) {
        assert_eq!(row.number(id::OCTETS), Some(5 << 32 | 7));
        assert_eq!(row.number(id::PACKETS), Some(1 << 32 | 3));
        assert_eq!(
            (row.number(id::IP_VERSION), row.number(id::IN_IF), row.number(id::PROTO)),
            (Some(6), Some(9), Some(17))
        );
        let expected = (!name.is_empty()).then_some(CellRef::Text(&name));
        assert_eq!(row.get(id::APP_NAME), expected);
    }
}

#[test]
fn what_an_exporter_calls_itself_reaches_later_flows() {
    let mut process = process();
    let options = options_template_set(500, &[(149, 4), (300, 8)]);
    let named = set(500, &[&[0, 0, 0, 1][..], b"edge-7\0\0"].concat());
    take(&mut process, NOW, udp(A), &message(1, 0, &[options, named]));
    let flows = [template_set(501, &[(1, 8)]), set(501, &[0, 0, 0, 0, 0, 0, 0, 9])];
    let rows = take(&mut process, NOW, udp(A), &message(1, 1, &flows));
    assert_eq!(rows[0].get(id::EXPORTER_NAME), Some(CellRef::Text("edge-7")));
    // Of another domain nothing is known.
    let rows = take(&mut process, NOW, udp(A), &message(2, 0, &flows));
    assert_eq!(rows[0].get(id::EXPORTER_NAME), None);
}

#[test]
fn interface_names_from_options_reach_later_flows() {
    let mut process = process();
    let options = options_template_set(500, &[(10, 4), (82, 8)]);
    let named = set(500, &[&[0, 0, 0, 3][..], b"eth3\0\0\0\0"].concat());
    take(&mut process, NOW, udp(A), &message(1, 0, &[options, named]));
    let flows = [
        template_set(501, &[(10, 4), (14, 4), (1, 8)]),
        set(501, &[0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9]),
    ];
    let rows = take(&mut process, NOW, udp(A), &message(1, 1, &flows));
    assert_eq!(rows[0].get(id::IN_IF_NAME), Some(CellRef::Text("eth3")));
    assert_eq!(rows[0].get(id::OUT_IF_NAME), None);
    let account = account(&process, "198.51.100.1", Protocol::Ipfix, 1);
    assert_eq!((account.options_records, account.records, account.templates), (1, 1, 2));
}

#[test]
fn a_flood_of_senders_costs_the_flood() {
    let mut process = process();
    take(&mut process, NOW, udp(A), &message(1, 0, &[flow_template()]));
    let mut rows = Vec::new();
    for n in 0..limits::SESSIONS as u32 + 10 {
        let peer = SocketAddr::from((std::net::Ipv4Addr::from(0x0b00_0000 + n), 7));
        let key = SessionKey {
            listener: 0,
            peer,
            connection: 0,
        };
        process.handle(NOW + 1 + i64::from(n), key, &message(1, 0, &[flow_set([1])]), &mut rows);
    }
    assert!(process.sessions() <= limits::SESSIONS);
    assert_eq!(
        process.counters().sessions_evicted,
        limits::SESSIONS_PER_EVICTION as u64
    );
    let totals = process.totals();
    assert!(totals.balanced);
    assert_eq!(totals.sum.sets_abandoned, limits::SESSIONS_PER_EVICTION as u64);
    assert!(totals.accounts <= limits::ACCOUNTS as u64 + 1 && totals.accounts_overflowed > 0);
    assert_eq!(
        take(&mut process, NOW, udp(A), &message(1, 0, &[flow_set([1])])).len(),
        1,
        "it kept its template"
    );
}

#[test]
fn templates_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("templates.json");
    let listeners: Vec<ListenAddress> = ["udp://0.0.0.0:4739", "tcp://0.0.0.0:4739"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let mut before = process();
    take(&mut before, NOW, udp(A), &message(1, 0, &[flow_template()]));
    take(&mut before, NOW, tcp(B, 1), &message(1, 0, &[flow_template()]));
    save_templates(&before, &listeners, &path).unwrap();
    let mut after = process();
    assert_eq!(
        load_templates(&mut after, NOW + S, &listeners, &path),
        Ok(1),
        "streams bring their own again"
    );
    assert_eq!(
        take(&mut after, NOW + S, udp(A), &message(1, 9, &[flow_set([1])])).len(),
        1
    );
    let mut late = process();
    let far = NOW + 100 * i64::from(flowgauge_templates::limits::TEMPLATE_LIFETIME_S) * S;
    load_templates(&mut late, far, &listeners, &path).unwrap();
    assert!(
        take(&mut late, far, udp(A), &message(1, 9, &[flow_set([1])])).is_empty(),
        "they grew too old"
    );
    assert_eq!(
        load_templates(&mut process(), NOW, &listeners, &dir.path().join("none")),
        Ok(0)
    );
    std::fs::write(&path, "{\"version\":1,").unwrap();
    assert!(
        load_templates(&mut process(), NOW, &listeners, &path)
            .unwrap_err()
            .line
            .contains("remove it")
    );
}

proptest::proptest! {
    #[test]
    fn no_datagram_breaks_the_balance(parts in proptest::collection::vec((0u8..10, proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)), 1..20)) {
        let mut process = process();
        let mut rows = Vec::new();
        for (shape, bytes) in parts {
            let datagram = match shape {
                0 => bytes,
                1 => message(1, 0, &[bytes]),
                2 => message(1, 0, &[set(2, &bytes)]),
                3 => message(1, 0, &[set(3, &bytes)]),
                4 => message9(&[bytes]),
                5 => message9(&[set(0, &bytes)]),
                6 => message9(&[set(1, &bytes)]),
                7 => [&[0, 5][..], &bytes].concat(),
                8 => [&[0, 7][..], &bytes].concat(),
                _ => message(1, 0, &[flow_template(), set(TEMPLATE, &bytes)]),
            };
            process.handle(NOW, udp(A), &datagram, &mut rows);
        }
        let totals = process.totals();
        proptest::prop_assert!(totals.balanced);
        proptest::prop_assert_eq!(totals.sum.internal_faults, 0);
        proptest::prop_assert_eq!(totals.sum.records, rows.len() as u64);
    }
}
