//! Windows of several workers become one, readers see the same whatever the workers' pace, and nothing piles up.

use std::time::Duration;

use crate::metering::facts::PacketFacts;
use crate::summaries::limits::{LATENESS_NS, PATIENCE_NS, WAITING_WINDOWS};
use crate::summaries::shared::{SharedConfig, SharedSummaries};
use crate::summaries::{Metric, Summaries, SummariesConfig};

const SECOND_NS: i64 = 1_000_000_000;
const START_NS: i64 = 1_767_225_600 * SECOND_NS;

fn shared(workers: usize, waits: bool) -> SharedSummaries {
    SharedSummaries::new(SharedConfig {
        window_ns: SECOND_NS,
        kept: 3,
        workers,
        waits,
    })
}

fn summaries() -> Summaries {
    Summaries::new(SummariesConfig {
        window_ns: SECOND_NS,
        ..SummariesConfig::default()
    })
}

/// Packets in the second `at`.
fn feed(summaries: &mut Summaries, at: i64, packets: u32) {
    for number in 0..packets {
        summaries.packet(&PacketFacts {
            time_ns: START_NS + at * SECOND_NS + i64::from(number),
            src: 0xffff_0a00_0000 | u128::from(number),
            dst: 0xffff_0a00_0001,
            octets: 100,
            ports: [1, 2],
            protocol: 17,
            is_ipv4: true,
            tcp_flags: 0,
        });
    }
}

/// Closes all windows up to the second `until`.
fn close(shared: &SharedSummaries, worker: usize, summaries: &mut Summaries, until: i64) {
    let now_ns = START_NS + until * SECOND_NS + LATENESS_NS;
    summaries.handle_timeout(now_ns);
    shared.hand_over(worker, now_ns, summaries);
}

fn packets(shared: &SharedSummaries, back: usize) -> Option<u64> {
    shared.closed(back).map(|window| window.counter(Metric::Packets))
}

#[test]
fn one_worker_has_its_windows_at_once_and_the_newest_stay() {
    let shared = shared(1, false);
    let mut worker = summaries();
    for at in 0..5 {
        feed(&mut worker, at, at as u32 + 1);
    }
    assert_eq!((shared.windows(), packets(&shared, 0)), (0, None));
    close(&shared, 0, &mut worker, 2);
    assert_eq!((packets(&shared, 0), packets(&shared, 1)), (Some(2), Some(1)));
    let seen = shared.closed_since(0);
    assert_eq!(seen.iter().map(|closed| closed.sequence).collect::<Vec<_>>(), [1, 2]);
    close(&shared, 0, &mut worker, 5);
    assert_eq!(
        (shared.windows(), packets(&shared, 0), packets(&shared, 3)),
        (3, Some(5), None)
    );
    let new = shared.closed_since(2);
    assert_eq!(new.iter().map(|closed| closed.sequence).collect::<Vec<_>>(), [3, 4, 5]);
    let merged = shared.merged(2).unwrap();
    assert_eq!((merged.counter(Metric::Packets), merged.windows), (9, 2));
    assert_eq!(
        (merged.start_ns, merged.end_ns),
        (START_NS + 3 * SECOND_NS, START_NS + 5 * SECOND_NS)
    );
    // More than there are is all that there are.
    assert_eq!(shared.merged(10).unwrap().counter(Metric::Packets), 12);
    assert_eq!((shared.counters().packets, shared.counters().octets), (15, 1500));
    assert_eq!(
        (shared.shared_counters().windows, shared.shared_counters().dropped),
        (5, 0)
    );
}

#[test]
fn a_window_of_several_workers_waits_for_all_of_them_but_not_for_ever() {
    let shared = shared(2, false);
    let (mut quick, mut slow) = (summaries(), summaries());
    feed(&mut quick, 0, 10);
    feed(&mut slow, 0, 5);
    close(&shared, 0, &mut quick, 1);
    shared.collect();
    assert_eq!(shared.windows(), 0);
    close(&shared, 1, &mut slow, 1);
    shared.collect();
    let window = shared.closed(0).unwrap();
    assert_eq!((window.counter(Metric::Packets), window.windows), (15, 1));
    // Both saw the same addresses, 10 of them.
    let unique = match window.summary(Metric::IpSrc) {
        crate::summaries::Summary::Cardinality(sketch) => sketch.estimate().value,
        _ => unreachable!(),
    };
    assert!((unique - 10.0).abs() < 0.1, "{unique}");

    feed(&mut quick, 1, 3);
    feed(&mut slow, 1, 4);
    close(&shared, 0, &mut quick, 2);
    close(&shared, 0, &mut quick, 2 + PATIENCE_NS / SECOND_NS - 1);
    shared.collect();
    assert_eq!(packets(&shared, 0), Some(15));
    close(&shared, 0, &mut quick, 2 + PATIENCE_NS / SECOND_NS);
    shared.collect();
    assert_eq!(packets(&shared, 0), Some(3));
    // What the slow one had is a part of the same window.
    close(&shared, 1, &mut slow, 2);
    shared.collect();
    assert_eq!((shared.windows(), packets(&shared, 0)), (2, Some(7)));
    let counters = shared.shared_counters();
    assert_eq!((counters.windows, counters.late_parts, counters.dropped), (3, 1, 0));
}

#[test]
fn workers_that_end_one_after_the_other_end_one_window() {
    let shared = shared(3, false);
    shared.attach_export();
    for worker in 0..3 {
        let mut summaries = summaries();
        feed(&mut summaries, 7, 10);
        shared.finish(worker, START_NS, &mut summaries);
        let (windows, goes_on) = shared.take_outgoing(Duration::ZERO);
        assert_eq!(
            (windows.len(), goes_on),
            if worker < 2 { (0, true) } else { (1, false) }
        );
    }
    assert_eq!(packets(&shared, 0), Some(30));
    assert_eq!(
        (shared.shared_counters().windows, shared.shared_counters().late_parts),
        (1, 0)
    );
}

#[test]
fn export_gets_every_window_of_files_and_the_worker_waits_for_it() {
    let shared = shared(1, true);
    shared.attach_export();
    let windows = 5 * WAITING_WINDOWS as u32;
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut worker = summaries();
            for at in 0..windows {
                feed(&mut worker, i64::from(at), at + 1);
                if worker.has_closed() {
                    shared.hand_over(0, 0, &mut worker);
                }
            }
            shared.finish(0, 0, &mut worker);
        });
        loop {
            let (windows, goes_on) = shared.take_outgoing(Duration::from_millis(20));
            assert!(windows.len() <= WAITING_WINDOWS + 1, "{}", windows.len());
            taken.extend(windows.iter().map(|window| window.counter(Metric::Packets)));
            if !goes_on && windows.is_empty() {
                break;
            }
        }
    });
    assert_eq!(taken, (1..=u64::from(windows)).collect::<Vec<_>>());
    assert_eq!(shared.shared_counters().dropped, 0);
}

#[test]
fn live_the_oldest_go_when_nobody_takes_them() {
    let shared = shared(1, false);
    shared.attach_export();
    let mut worker = summaries();
    let windows = WAITING_WINDOWS as i64 + 4;
    for at in 0..windows {
        feed(&mut worker, at, at as u32 + 1);
        close(&shared, 0, &mut worker, at + 1);
    }
    shared.end();
    let (taken, goes_on) = shared.take_outgoing(Duration::ZERO);
    assert!(!goes_on);
    assert_eq!(taken.len(), WAITING_WINDOWS);
    assert_eq!(taken[0].counter(Metric::Packets), 5, "the oldest four are gone");
    assert_eq!(shared.shared_counters().dropped, 4);
    assert_eq!(
        packets(&shared, 0),
        Some(windows as u64),
        "readers on the host have them"
    );
}

#[test]
fn the_open_window_is_there_for_those_who_asked() {
    let shared = shared(2, false);
    let (mut one, mut two) = (summaries(), summaries());
    feed(&mut one, 0, 7);
    shared.hand_over(0, START_NS, &mut one);
    assert!(shared.open().is_none());
    shared.keep_open();
    shared.hand_over(0, START_NS, &mut one);
    assert_eq!(shared.open().unwrap().counter(Metric::Packets), 7);
    feed(&mut two, 0, 4);
    shared.hand_over(1, START_NS, &mut two);
    assert_eq!(shared.open().unwrap().counter(Metric::Packets), 11);
    // Of the newest window only: one worker is still in the one before.
    feed(&mut two, 1, 1);
    shared.hand_over(1, START_NS, &mut two);
    assert_eq!(shared.open().unwrap().counter(Metric::Packets), 1);
    // A copy takes nothing from what it was copied from.
    shared.finish(0, START_NS, &mut one);
    shared.finish(1, START_NS, &mut two);
    assert!(shared.open().is_none());
    assert_eq!((packets(&shared, 0), packets(&shared, 1)), (Some(1), Some(11)));
}

#[test]
fn rates_are_those_of_the_last_second_of_all_workers() {
    let shared = shared(2, false);
    assert_eq!(shared.rates().packets, 0.0);
    let (mut one, mut two) = (summaries(), summaries());
    for at in 0..4 {
        feed(&mut one, at, 100);
        feed(&mut two, at, 50 * at as u32);
        for (worker, summaries) in [&mut one, &mut two].into_iter().enumerate() {
            shared.hand_over(worker, START_NS + (at + 1) * SECOND_NS, summaries);
        }
    }
    let rates = shared.rates();
    assert_eq!(
        (rates.packets, rates.octets, rates.transactions),
        (250.0, 25_000.0, 0.0)
    );
    assert_eq!((rates.until_ns, rates.over_ns), (START_NS + 4 * SECOND_NS, SECOND_NS));
}
