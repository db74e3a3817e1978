//! Sampling that options records and headers announce, at work on the records it holds for.

use super::*;

fn be(number: u64, octets: usize) -> Vec<u8> {
    number.to_be_bytes()[8 - octets..].to_vec()
}

/// Octets, packets, sampling, and what was counted.
fn counted(row: &Row) -> [Option<u64>; 5] {
    [id::OCTETS, id::PACKETS, id::SAMPLING, id::RAW_OCTETS, id::RAW_PACKETS].map(|column| row.number(column))
}

/// Template 500: octets, packets, selectorId, ingressInterface.
fn template() -> Vec<u8> {
    template_set(500, &[(1, 8), (2, 4), (302, 8), (10, 4)])
}

fn flow(selector: u64) -> Vec<u8> {
    set(500, &[be(1_000, 8), be(3, 4), be(selector, 8), be(7, 4)].concat())
}

#[test]
fn selectors_of_rfc_5477_scale_the_records_that_name_them() {
    let mut process = process();
    let options = [
        // selectorId, selectorAlgorithm, then what the algorithm needs.
        options_template_set(600, &[(302, 8), (304, 2), (305, 4), (306, 4)]),
        options_template_set(601, &[(302, 8), (304, 2), (309, 4), (310, 4)]),
        options_template_set(602, &[(302, 8), (304, 2), (311, 8)]),
        set(600, &[be(1, 8), be(1, 2), be(1, 4), be(99, 4)].concat()),
        set(601, &[be(2, 8), be(3, 2), be(3, 4), be(10, 4)].concat()),
        set(602, &[be(3, 8), be(4, 2), 0.125f64.to_be_bytes().to_vec()].concat()),
    ];
    let rows = take(&mut process, NOW, udp(A), &message(7, 0, &options));
    assert!(rows.is_empty());
    let flows = [template(), flow(1), flow(2), flow(3), flow(4), flow(0)];
    let rows = take(&mut process, NOW, udp(A), &message(7, 3, &flows));
    let seen: Vec<_> = rows.iter().map(counted).collect();
    let scaled = |octets, packets, rate| [Some(octets), Some(packets), Some(rate), Some(1_000), Some(3)];
    assert_eq!(seen[0], scaled(100_000, 300, 100));
    assert_eq!(seen[1], scaled(3_333, 10, 3), "10/3 exactly, not 3");
    assert_eq!(seen[2], scaled(8_000, 24, 8));
    assert_eq!(
        seen[3],
        [Some(1_000), Some(3), None, None, None],
        "nobody said what Selector 4 is"
    );
    assert_eq!(
        seen[4],
        [Some(1_000), Some(3), Some(1), None, None],
        "Selector 0 takes everything"
    );
    assert_eq!(
        rows[0]
            .other()
            .find(|(name, _)| &***name == "selectorId")
            .map(|(_, cell)| cell),
        Some(CellRef::Number(1))
    );
    let account = account(&process, "198.51.100.1", Protocol::Ipfix, 7);
    assert_eq!(
        (account.rows, account.rates_unknown, account.options_records),
        (5, 1, 3)
    );
    assert_eq!(process.counters().normalizing.rows_scaled, 3);
}

/// Domain 0 is about the whole exporting process (RFC 7011 section 3.1), and other exporters are none of its business.
#[test]
fn what_domain_0_says_holds_for_the_other_domains_of_the_exporter() {
    let mut process = process();
    let options = [
        options_template_set(600, &[(144, 4), (34, 4)]),
        set(600, &[be(1, 4), be(50, 4)].concat()),
    ];
    take(&mut process, NOW, udp(A), &message(0, 0, &options));
    let of = |process: &mut CollectingProcess, from, domain| {
        let rows = take(
            process,
            NOW,
            udp(from),
            &message(domain, 0, &[flow_template(), flow_set([1])]),
        );
        rows[0].number(id::SAMPLING)
    };
    assert_eq!(of(&mut process, A, 7), Some(50));
    assert_eq!(of(&mut process, B, 7), None);
    assert_eq!(
        of(&mut process, "198.51.100.1:9", 8),
        Some(50),
        "another port of the same exporter"
    );
}

#[test]
fn a_rate_holds_for_records_exported_since_and_for_those_that_waited_as_of_then() {
    let mut process = process();
    let at = |seconds: u32, mut bytes: Vec<u8>| {
        bytes[4..8].copy_from_slice(&(EXPORT_TIME + seconds).to_be_bytes());
        bytes
    };
    let announce = |interval: u64| {
        let record = set(600, &[be(1, 4), be(interval, 4)].concat());
        message(7, 0, &[options_template_set(600, &[(144, 4), (34, 4)]), record])
    };
    let mut sampled = |bytes: &[u8]| {
        let rows = take(&mut process, NOW, udp(A), bytes);
        rows.iter().map(|row| row.number(id::SAMPLING)).collect::<Vec<_>>()
    };
    assert_eq!(
        sampled(&at(0, message(7, 0, &[flow_set([1])]))),
        [],
        "it waits for its template"
    );
    sampled(&at(10, announce(100)));
    assert_eq!(sampled(&at(15, message(7, 2, &[flow_set([1])]))), []);
    sampled(&at(20, announce(200)));
    // The template: one record of before the first rate, one of the first, one of now.
    assert_eq!(
        sampled(&at(30, message(7, 4, &[flow_template(), flow_set([2])]))),
        [None, Some(100), Some(200)]
    );
    assert_eq!(account(&process, "198.51.100.1", Protocol::Ipfix, 7).rates_unknown, 1);
}

#[test]
fn interfaces_may_have_rates_of_their_own() {
    let mut process = process();
    let options = [
        options_template_set(600, &[(10, 4), (34, 4)]),
        set(600, &[be(7, 4), be(50, 4), be(8, 4), be(60, 4)].concat()),
        template_set(500, &[(1, 8), (10, 4)]),
        set(
            500,
            &[be(1, 8), be(7, 4), be(1, 8), be(8, 4), be(1, 8), be(9, 4)].concat(),
        ),
    ];
    let rows = take(&mut process, NOW, udp(A), &message(7, 0, &options));
    let seen: Vec<_> = rows.iter().map(|row| row.number(id::SAMPLING)).collect();
    assert_eq!(seen, [Some(50), Some(60), None]);
}

#[test]
fn applications_and_vrfs_get_their_names() {
    let mut process = process();
    let sets = [
        options_template_set(600, &[(95, 4), (96, 6), (94, 4)]),
        set(600, b"\x0d\0\0\x01ntp\0\0\0time"),
        set(600, b"\x0d\0\0\x02\0\0\0\0\0\0what"),
        options_template_set(601, &[(234, 4), (236, 4)]),
        set(601, b"\0\0\0\x05blue"),
        template_set(500, &[(95, 4), (234, 4), (235, 4)]),
        set(500, b"\x0d\0\0\x01\0\0\0\x05\0\0\0\x06"),
        set(500, b"\x0d\0\0\x02\0\0\0\x06\0\0\0\x05"),
        set(500, b"\x0d\0\0\x03\0\0\0\x07\0\0\0\x07"),
    ];
    let rows = take(&mut process, NOW, udp(A), &message(7, 0, &sets));
    let names = |row: &Row| {
        [id::APP_NAME, id::IN_VRF_NAME, id::OUT_VRF_NAME].map(|column| match row.get(column) {
            Some(CellRef::Text(text)) => text.to_owned(),
            _ => String::new(),
        })
    };
    assert_eq!(names(&rows[0]), ["ntp", "blue", ""]);
    assert_eq!(names(&rows[1]), ["what", "", "blue"], "described, where it has no name");
    assert_eq!(names(&rows[2]), ["", "", ""]);
    assert_eq!(rows[0].number(id::IN_VRF), Some(5));
}

#[test]
fn rates_and_names_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("templates.json");
    let listeners: Vec<ListenAddress> = vec!["udp://0.0.0.0:4739".parse().unwrap()];
    let mut before = process();
    let sets = [
        options_template_set(600, &[(302, 8), (305, 4), (306, 4)]),
        set(600, &[be(1, 8), be(2, 4), be(1, 4)].concat()),
        options_template_set(601, &[(10, 4), (82, 4)]),
        set(601, b"\0\0\0\x07eth7"),
        options_template_set(602, &[(95, 4), (96, 4)]),
        set(602, b"\x0d\0\0\x01ntp\0"),
        options_template_set(603, &[(234, 4), (236, 4)]),
        set(603, b"\0\0\0\x05blue"),
        template_set(500, &[(1, 8), (302, 8), (10, 4), (95, 4), (234, 4)]),
    ];
    take(&mut before, NOW, udp(A), &message(7, 0, &sets));
    save_templates(&before, &listeners, &path).unwrap();
    let mut after = process();
    load_templates(&mut after, NOW + S, &listeners, &path).unwrap();
    let flow = set(
        500,
        &[be(9, 8), be(1, 8), be(7, 4), b"\x0d\0\0\x01".to_vec(), be(5, 4)].concat(),
    );
    let named = |process: &mut CollectingProcess| {
        let rows = take(process, NOW + S, udp(A), &message(7, 5, std::slice::from_ref(&flow)));
        let text = [id::IN_IF_NAME, id::APP_NAME, id::IN_VRF_NAME].map(|column| format!("{:?}", rows[0].get(column)));
        (rows[0].number(id::OCTETS), rows[0].number(id::RAW_OCTETS), text)
    };
    let (octets, raw, names) = named(&mut after);
    assert_eq!((octets, raw), (Some(14), Some(9)), "13.5 to the nearest");
    assert_eq!(
        names,
        ["Some(Text(\"eth7\"))", "Some(Text(\"ntp\"))", "Some(Text(\"blue\"))"]
    );
    assert_eq!(named(&mut before), (octets, raw, names));
}
