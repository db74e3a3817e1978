//! NetFlow 9, 7 and 5 as rows, beside IPFIX on one port.

use super::*;

const UPTIME_MS: u32 = 3_600_000;

fn be16(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// NetFlow 9 by hand after RFC 3954 section 5.1.
fn message9(uptime_ms: u32, sequence: u32, source: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let words = [uptime_ms, EXPORT_TIME, sequence, source];
    let words: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    [be16(&[9, sets.len() as u16]), words, sets.concat()].concat()
}

/// Template 256: source, packets, first and last switched, samplerId.
fn template9() -> Vec<u8> {
    set(0, &be16(&[256, 5, 8, 4, 2, 4, 22, 4, 21, 4, 48, 2]))
}

fn flow9(first_ms: u32, last_ms: u32, sampler: u16) -> Vec<u8> {
    let words: Vec<u8> = [5, first_ms, last_ms]
        .iter()
        .flat_map(|word: &u32| word.to_be_bytes())
        .collect();
    set(256, &[vec![10, 0, 0, 1], words, be16(&[sampler])].concat())
}

#[test]
fn netflow_9_becomes_rows_with_moments_and_rates() {
    let mut process = process();
    // Options about the system (scope type 1) in 0 octets: samplerId, samplerRandomInterval.
    let options = [
        set(1, &be16(&[257, 4, 8, 1, 0, 48, 2, 50, 4])),
        set(257, &[be16(&[3]), 64u32.to_be_bytes().to_vec()].concat()),
    ];
    assert!(take(&mut process, NOW, udp(A), &message9(UPTIME_MS, 1, 5, &options)).is_empty());
    let flow = flow9(UPTIME_MS - 10_000, UPTIME_MS - 4_000, 3);
    let rows = take(
        &mut process,
        NOW,
        udp(A),
        &message9(UPTIME_MS, 2, 5, &[template9(), flow]),
    );
    let export = i64::from(EXPORT_TIME) * S;
    assert_eq!(rows[0].signed(id::START), Some(export - 10 * S));
    assert_eq!(rows[0].signed(id::DURATION), Some(6 * S));
    assert_eq!(
        (rows[0].number(id::PACKETS), rows[0].number(id::RAW_PACKETS)),
        (Some(320), Some(5))
    );
    assert_eq!(rows[0].number(id::EXPORTER_DOMAIN), Some(5));
    let account = account(&process, "198.51.100.1", Protocol::Netflow9, 5);
    assert_eq!((account.messages, account.records, account.options_records), (2, 1, 1));
}

/// Uptime goes round after 49.7 days: in between a flow's first packet and the export, and before.
#[test]
fn moments_are_right_when_the_uptime_went_round() {
    let mut process = process();
    let went_round = flow9(u32::MAX - 4_999, 1_000, 0);
    let rows = take(
        &mut process,
        NOW,
        udp(A),
        &message9(2_000, 1, 5, &[template9(), went_round]),
    );
    let export = i64::from(EXPORT_TIME) * S;
    assert_eq!(
        (rows[0].signed(id::START), rows[0].signed(id::DURATION)),
        (Some(export - 7 * S), Some(6 * S))
    );
}

/// Exporters exist whose header has no uptime: their flows are not in the future, and keep their length.
#[test]
fn an_exporter_without_uptime_costs_the_moment_and_not_the_length() {
    let mut process = process();
    let flow = flow9(700_000, 703_000, 0);
    let rows = take(&mut process, NOW, udp(A), &message9(0, 1, 5, &[template9(), flow]));
    let export = i64::from(EXPORT_TIME) * S;
    assert_eq!(
        (rows[0].signed(id::START), rows[0].signed(id::DURATION)),
        (Some(export - 3 * S), Some(3 * S))
    );
    assert_eq!(process.counters().normalizing.times_without_uptime, 1);
}

/// RFC 3954 section 5.1 counts Export Packets; a restart is told by the uptime, and nothing is called lost.
#[test]
fn gaps_of_netflow_9_are_datagrams_and_restarts_are_none() {
    let mut process = process();
    let mut sent = |at_s: i64, uptime_ms, sequence| {
        take(
            &mut process,
            NOW + at_s * S,
            udp(A),
            &message9(uptime_ms, sequence, 5, &[template9()]),
        );
        account(&process, "198.51.100.1", Protocol::Netflow9, 5).sequence
    };
    sent(0, 3_600_000, 1_000);
    let sequence = sent(1, 3_601_000, 1_004);
    assert_eq!((sequence.lost, sequence.gaps, sequence.restarts), (3, 1, 0));
    let sequence = sent(60, 5_000, 1_500);
    assert_eq!((sequence.lost, sequence.gaps, sequence.restarts), (3, 1, 1));
    assert_eq!(sent(61, 6_000, 1_501), sequence);
}

fn message5(version: u16, sequence: u32, sampling: u16, records: usize) -> Vec<u8> {
    let words = [UPTIME_MS, EXPORT_TIME, 500_000_000, sequence];
    let mut bytes = be16(&[version, records as u16]);
    bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    bytes.extend([1, 2]);
    bytes.extend(sampling.to_be_bytes());
    for _ in 0..records {
        let mut record = vec![0; if version == 5 { 48 } else { 52 }];
        record[..8].copy_from_slice(&[10, 0, 0, 1, 192, 0, 2, 1]);
        record[12..16].copy_from_slice(&be16(&[3, 4]));
        record[16..20].copy_from_slice(&5u32.to_be_bytes());
        record[20..24].copy_from_slice(&500u32.to_be_bytes());
        record[24..28].copy_from_slice(&(UPTIME_MS - 2_000).to_be_bytes());
        record[28..32].copy_from_slice(&(UPTIME_MS - 500).to_be_bytes());
        record[32..36].copy_from_slice(&be16(&[40_000, 443]));
        record[37..39].copy_from_slice(&[0x1b, 6]);
        record[40..44].copy_from_slice(&be16(&[64_496, 64_497]));
        bytes.extend(record);
    }
    bytes
}

#[test]
fn netflow_5_and_7_become_rows_at_once() {
    for (version, protocol, domain) in [(5, Protocol::Netflow5, 0x0102), (7, Protocol::Netflow7, 0)] {
        let mut process = process();
        let rows = take(&mut process, NOW, udp(A), &message5(version, 10, 0x4064, 2));
        assert_eq!(rows.len(), 2);
        let row = &rows[1];
        assert_eq!(row.get(id::SRC_IP), Some(CellRef::Ip(ipv4_to_u128([10, 0, 0, 1]))));
        let numbers = [
            id::SRC_PORT,
            id::DST_PORT,
            id::PROTO,
            id::TCP_FLAGS,
            id::IN_IF,
            id::OUT_IF,
            id::SRC_AS,
            id::DST_AS,
        ];
        let expected = [40_000, 443, 6, 0x1b, 3, 4, 64_496, 64_497].map(Some);
        assert_eq!(numbers.map(|column| row.number(column)), expected);
        let end = i64::from(EXPORT_TIME) * S;
        assert_eq!(
            (row.signed(id::START), row.signed(id::DURATION)),
            (Some(end - 1_500_000_000), Some(1_500_000_000))
        );
        // Version 5 says in its header that one packet in 100 was looked at; version 7 says nothing.
        let sampled = if version == 5 {
            (500, 50_000, Some(100))
        } else {
            (5, 500, None)
        };
        let scaled = (
            row.number(id::PACKETS),
            row.number(id::OCTETS),
            row.number(id::SAMPLING),
        );
        assert_eq!(scaled, (Some(sampled.0), Some(sampled.1), sampled.2));
        take(&mut process, NOW, udp(A), &message5(version, 15, 0, 1));
        let account = account(&process, "198.51.100.1", protocol, domain);
        assert_eq!(
            (account.records, account.rows, account.sequence.lost),
            (3, 3, 3),
            "flows are counted"
        );
    }
}

#[test]
fn protocols_on_one_port_do_not_touch_each_other() {
    let mut process = process();
    take(
        &mut process,
        NOW,
        udp(A),
        &message(5, 0, &[flow_template(), flow_set([1])]),
    );
    // The same identifier and domain in NetFlow 9, with other fields.
    let flow = flow9(UPTIME_MS, UPTIME_MS, 0);
    assert_eq!(
        take(
            &mut process,
            NOW,
            udp(A),
            &message9(UPTIME_MS, 1, 5, &[template9(), flow])
        )
        .len(),
        1
    );
    assert_eq!(take(&mut process, NOW, udp(A), &message5(5, 0, 0, 1)).len(), 1);
    assert_eq!(
        take(&mut process, NOW, udp(A), &message(5, 1, &[flow_set([2])])).len(),
        1
    );
    assert_eq!(process.sessions(), 3);
    assert_eq!(process.totals().sum.sequence.lost, 0);
}

#[test]
fn templates_of_netflow_9_survive_a_restart_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("templates.json");
    let listeners: Vec<ListenAddress> = vec!["udp://0.0.0.0:2055".parse().unwrap()];
    let mut before = process();
    take(&mut before, NOW, udp(A), &message9(UPTIME_MS, 1, 5, &[template9()]));
    save_templates(&before, &listeners, &path).unwrap();
    let mut after = process();
    assert_eq!(load_templates(&mut after, NOW + S, &listeners, &path), Ok(1));
    let flow = flow9(UPTIME_MS, UPTIME_MS, 0);
    assert_eq!(
        take(&mut after, NOW + S, udp(A), &message9(UPTIME_MS, 9, 5, &[flow])).len(),
        1
    );
}
