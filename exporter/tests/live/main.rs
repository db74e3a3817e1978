//! Captures where we know what is sent: on the loopback interface, and in network namespaces made for it. Needs the right
//! to capture and to make namespaces; says so where it lacks.

#![allow(clippy::unwrap_used)]

mod namespaces;
#[path = "../program/sflow/received.rs"]
mod received;
mod sampling;
mod seen_twice;
mod sflow;
mod traffic;
mod veth;

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use flowgauge_exporter::capture::{FrameSource, Next};
use flowgauge_exporter::io::live::{LiveConfig, LiveSource, interfaces};
use flowgauge_exporter::metering::{FlowEndReason, Meter, MeterConfig};

fn loopback(filter: &str) -> Option<LiveSource> {
    let config = LiveConfig {
        interface: "lo".into(),
        filter: Some(filter.into()),
        quiet_ms: 20,
        promiscuous: false,
        ..LiveConfig::default()
    };
    match LiveSource::open(&config) {
        Ok(capture) => Some(capture),
        Err(error) if error.to_string().contains("no permission") => {
            println!("skipped: {error}: nothing is captured live");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn meters_what_is_sent_over_loopback() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let Some(mut capture) = loopback(&format!("udp port {port}")) else {
        return;
    };
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..100 {
        sender.send_to(&[7; 1000], ("127.0.0.1", port)).unwrap();
    }
    let mut meter = Meter::new(MeterConfig::default());
    let started = Instant::now();
    let mut quiet = 0;
    // Loopback shows the frames to us after they were sent; the interface is quiet when all have come.
    while (meter.counters().packets_seen < 100 || quiet < 3) && started.elapsed() < Duration::from_secs(10) {
        match capture.next_frame().unwrap() {
            Next::Frame(frame) => {
                meter.handle_frame(
                    frame.time_ns,
                    frame.link_type,
                    frame.bytes,
                    frame.wire_length,
                    frame.interface,
                );
                let now = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap()
                    .as_nanos() as i64;
                assert!(
                    (now - frame.time_ns).abs() < 60_000_000_000,
                    "{} is not about {now}",
                    frame.time_ns
                );
            }
            Next::Quiet => quiet += 1,
            Next::End => panic!("an interface does not end"),
        }
    }
    assert!(meter.finish(FlowEndReason::ForcedEnd));
    let records: Vec<_> = meter.take_records().flows;
    let [record] = &records[..] else {
        panic!("{} records", records.len())
    };
    assert_eq!((record.key.dst_port, record.key.protocol), (port, 17));
    assert_eq!((record.forward.packets, record.forward.octets), (100, 100 * 1028));
    assert_ne!(record.key.interface, 0);
    let counters = capture.finish();
    assert_eq!((counters.frames, counters.dropped_by_kernel), (100, 0));
}

#[test]
fn what_was_captured_before_a_signal_is_metered() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = receiver.local_addr().unwrap().port();
    let filter = format!("udp port {port}");
    let Some(probe) = loopback(&filter) else {
        return;
    };
    drop(probe);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let child = Command::new(env!("CARGO_BIN_EXE_flowgauge-exporter"))
        .args(["run", "--interface", "lo", "--filter", &filter, "--to"])
        .arg(format!("json:{}", path.display()))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    // The file is made before capturing begins to be read, and after the interface was opened.
    let started = Instant::now();
    while !path.exists() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..5000 {
        sender.send_to(&[7; 100], ("127.0.0.1", port)).unwrap();
    }
    let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    let accounts = String::from_utf8_lossy(&output.stderr);
    assert!(accounts.contains("lo: 5000 packets seen, 5000 metered"), "{accounts}");
    assert!(output.status.success(), "{accounts}");
}

#[test]
fn a_quiet_interface_still_answers() {
    let Some(mut capture) = loopback("udp port 9 and host 127.9.9.9") else {
        return;
    };
    let started = Instant::now();
    for _ in 0..5 {
        assert_eq!(capture.next_frame().unwrap(), Next::Quiet);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(capture.counters().frames, 0);
}

#[test]
fn refusals_say_what_to_do() {
    if loopback("udp").is_none() {
        return;
    }
    let open = |interface: &str, filter: Option<&str>| {
        let config = LiveConfig {
            interface: interface.into(),
            filter: filter.map(str::to_owned),
            ..LiveConfig::default()
        };
        LiveSource::open(&config).unwrap_err().to_string()
    };
    let unknown = open("nonesuch0", None);
    assert!(
        unknown.starts_with("nonesuch0: no such interface; there are: "),
        "{unknown}"
    );
    assert!(unknown.contains("lo"), "{unknown}");
    let filter = open("lo", Some("udp prot 5"));
    assert!(filter.starts_with("lo: filter 'udp prot 5': "), "{filter}");
    assert!([unknown, filter].iter().all(|error| !error.contains('\n')));
}

#[test]
fn lists_loopback() {
    let known = interfaces().unwrap();
    let lo = known.iter().find(|interface| interface.name == "lo");
    assert!(lo.is_some_and(|lo| lo.up), "{known:?}");
}
