//! Silence, loss and own losses from looks that are made by hand.

use super::*;

const S: i64 = 1_000_000_000;
const NOON: i64 = 1_767_268_800 * S;

fn at(steady_s: i64) -> Moment {
    Moment {
        wall_ns: NOON + steady_s * S,
        steady_ns: steady_s * S,
    }
}

fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, host])
}

fn rule(metric: &str, window_s: i64) -> Rule {
    Rule {
        name: metric.to_owned(),
        metric: metric.to_owned(),
        window_ns: window_s * S,
        ..Rule::default()
    }
}

fn heard(exporters: &[(u8, i64)]) -> Look {
    Look {
        last_ns: exporters
            .iter()
            .map(|(host, second)| (address(*host), NOON + second * S))
            .collect(),
        ..Look::default()
    }
}

fn arrived(exporters: &[(u8, &'static str, u64, u64)]) -> Look {
    Look {
        arrived: exporters
            .iter()
            .map(|(host, protocol, missing, came)| ((address(*host), *protocol), (*missing, *came)))
            .collect(),
        ..Look::default()
    }
}

/// Values by the last part of the group, in order.
fn sorted(reading: Reading) -> Vec<(String, Option<f64>)> {
    let mut values = reading.values;
    values.sort_by(|left, right| left.0.cmp(&right.0));
    let value = |text: &str| text.rsplit(':').next().unwrap().replace(['"', '}'], "");
    values.iter().map(|(group, number)| (value(group), *number)).collect()
}

#[test]
fn silence_is_told_by_the_steady_clock() {
    let rule = rule("exporter.silence", 60);
    let mut memory = Memory::default();
    let look = heard(&[(1, 0), (2, 50)]);
    memory.hear(&look, at(60));
    let silent = |memory: &mut Memory, look: &Look, at| sorted(memory.values(&rule, look, at));
    let seconds = |seconds: i64| Some((seconds * S) as f64);
    let expected = |one, two| {
        [
            ("10.0.0.1".to_owned(), seconds(one)),
            ("10.0.0.2".to_owned(), seconds(two)),
        ]
    };
    assert_eq!(silent(&mut memory, &look, at(60)), expected(60, 10));
    // The wall clock goes back by a day: one exporter goes on sending, the other does not.
    let back = |steady_s: i64| Moment {
        wall_ns: NOON + (steady_s - 86_400) * S,
        ..at(steady_s)
    };
    let look = heard(&[(1, 0), (2, 115 - 86_400)]);
    memory.hear(&look, back(120));
    assert_eq!(silent(&mut memory, &look, back(120)), expected(120, 5));
    // Of those that are asked about.
    let one = Rule {
        exporters: vec!["10.0.0.2/32".parse().unwrap()],
        ..rule.clone()
    };
    assert_eq!(memory.values(&one, &look, back(120)).values.len(), 1);
}

#[test]
fn silence_goes_on_behind_a_restart_and_who_is_silent_for_a_week_is_forgotten() {
    let rule = rule("exporter.silence", 60);
    let mut memory = Memory::default();
    memory.remember([
        (address(1), NOON - 3_600 * S, 400 * S),
        (address(2), NOON - ALERT_EXPORTER_FORGOTTEN_S * S, 400 * S),
        (address(3), NOON - 3_600 * S, 0),
    ]);
    let look = heard(&[(3, 10)]);
    memory.hear(&look, at(30));
    // The hour in which the collector was away does not count.
    let values = sorted(memory.values(&rule, &look, at(30)));
    let seconds = |seconds: i64| Some((seconds * S) as f64);
    let expected = [
        ("10.0.0.1".to_owned(), seconds(430)),
        ("10.0.0.3".to_owned(), seconds(20)),
    ];
    assert_eq!(values, expected);
    let mut saved: Vec<_> = memory.heard(at(40)).collect();
    saved.sort_unstable();
    let expected = [
        (address(1), NOON - 3_600 * S, 440 * S),
        (address(3), NOON + 10 * S, 30 * S),
    ];
    assert_eq!(saved, expected);
}

#[test]
fn loss_is_a_part_of_what_was_sent_within_the_window() {
    let rule = rule("exporter.loss", 60);
    let mut memory = Memory::default();
    let mut part = |at_s: i64, exporters: &[(u8, &'static str, u64, u64)]| {
        let value = |(_, part): &(String, Option<f64>)| *part;
        let values = sorted(memory.values(&rule, &arrived(exporters), at(at_s)));
        values.iter().map(value).collect::<Vec<_>>()
    };
    // What was lost before it was looked at first is of no window.
    assert_eq!(part(0, &[(1, "ipfix", 50, 100)]), [None]);
    assert_eq!(part(60, &[(1, "ipfix", 60, 190)]), [Some(0.1)]);
    // Nothing more was lost, and the loss leaves the window.
    assert_eq!(part(90, &[(1, "ipfix", 60, 290)]), [Some(10.0 / 200.0)]);
    assert_eq!(part(130, &[(1, "ipfix", 60, 390)]), [Some(0.0)]);
    // What came late is no loss; of two protocols the worse one counts; nothing sent says nothing.
    let values = part(190, &[(1, "ipfix", 40, 500), (1, "netflow9", 1, 3), (2, "ipfix", 0, 0)]);
    assert_eq!(values, [Some(0.25), None]);
}

#[test]
fn own_losses_are_those_of_the_window_by_reason() {
    let rule = rule("collector.lost", 60);
    let mut memory = Memory::default();
    let look = |reasons: &[(&'static str, u64)]| Look {
        lost: reasons.iter().copied().collect(),
        ..Look::default()
    };
    let mut values =
        |at_s: i64, reasons: &[(&'static str, u64)]| sorted(memory.values(&rule, &look(reasons), at(at_s)));
    assert_eq!(values(0, &[]), [("any".to_owned(), Some(0.0))]);
    let kernel = "datagrams_dropped_by_kernel";
    assert_eq!(values(30, &[(kernel, 7)]), [(kernel.to_owned(), Some(7.0))]);
    assert_eq!(values(60, &[(kernel, 9)]), [(kernel.to_owned(), Some(9.0))]);
    assert_eq!(values(90, &[(kernel, 9)]), [(kernel.to_owned(), Some(2.0))]);
    assert_eq!(values(200, &[(kernel, 9)]), [(kernel.to_owned(), Some(0.0))]);
}

#[test]
fn looks_are_bounded_however_often_is_looked() {
    let rule = rule("collector.lost", 3_600);
    let mut memory = Memory::default();
    for second in 0..20_000 {
        memory.values(&rule, &Look::default(), at(second));
    }
    assert!(memory.looks["collector.lost"].len() <= ALERT_SAMPLES + 2);
    memory.keep(|_| false);
    assert!(memory.looks.is_empty());
}
