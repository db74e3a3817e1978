//! Connections over paths that were made bad on purpose; `corpus/tcp-lab/TRUTH.md` says what must come out.

use flowgauge_exporter::metering::tcp::{BlackholeKind, TcpPerformance};

use super::{connections, shared};

fn measured(name: &str) -> Option<TcpPerformance> {
    let capture = shared("corpus/tcp-lab")?.join(name);
    let found = connections(&capture);
    let performance: Vec<_> = found.iter().filter_map(|(_, performance)| *performance).collect();
    assert_eq!(performance.len(), 1, "{name} holds one connection");
    println!("{name}: {:?}", performance[0]);
    Some(performance[0])
}

/// A shaper of 5 Mbit/s with a deep queue, loaded twice.
#[test]
fn a_deep_queue_is_bufferbloat_and_idle_time_no_throughput() {
    let Some(performance) = measured("bloat.pcap") else {
        return;
    };
    let sender = &performance.directions[0];
    assert_eq!(sender.bufferbloat, Some(true));
    let p90_ms = sender.loaded_p90_us / 1000;
    assert!((300..=400).contains(&p90_ms), "loaded p90 {p90_ms} ms");
    assert!(sender.base_rtt_us.unwrap() <= 30, "base {:?} us", sender.base_rtt_us);
    let megabits = sender.non_idle_bps.unwrap() / 1e6;
    assert!((4.62..=5.02).contains(&megabits), "non-idle {megabits} Mb/s");
    // The pause of 3 s, less what the queue takes to run empty: 220 kB at 5 Mbit/s.
    let pause_ms = sender.application_limited_ms;
    assert!((2000..3000).contains(&pause_ms), "{pause_ms} ms without data");
    assert_eq!(sender.blackhole, None);
}

/// Path MTU 1300, and no ICMP says so.
#[test]
fn full_segments_that_vanish_are_a_suspected_pmtu_blackhole() {
    let Some(performance) = measured("hole_dead.pcap") else {
        return;
    };
    let sender = &performance.directions[0];
    assert_eq!(sender.blackhole, Some(BlackholeKind::PmtuSuspected));
    assert_eq!(sender.recovery_ms, None);
    assert_eq!(sender.path_mtu[1], 1500);
    // At about +0.21 +0.42 +0.83 +1.66 +3.46 s.
    assert_eq!((sender.retransmitted_packets, sender.blackhole_retransmissions), (5, 5));
    assert!(
        (6400..=6700).contains(&sender.blackhole_ms),
        "{} ms",
        sender.blackhole_ms
    );
    assert_eq!(performance.directions[1].blackhole, None);
}

/// The same path, and a sender that probes it.
#[test]
fn a_smaller_segment_that_arrives_confirms_it() {
    let Some(performance) = measured("hole_probe.pcap") else {
        return;
    };
    let sender = &performance.directions[0];
    assert_eq!(sender.blackhole, Some(BlackholeKind::PmtuConfirmed));
    let recovery_ms = sender.recovery_ms.unwrap();
    assert!((6300..=6500).contains(&recovery_ms), "{recovery_ms} ms");
    // The largest accepted payload is 1248, in IP packets of 52 octets more.
    assert_eq!(sender.path_mtu, [1300, 1500]);
    assert_eq!((sender.retransmitted_packets, sender.out_of_order_packets), (37, 0));
}
