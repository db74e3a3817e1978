//! What a collector has journaled is stored once, however it ends; and what waits for its template waits across restarts.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::free_port;
use crate::support::numbered::{epoch_s, records, template};

const RECORDS_PER_MESSAGE: u32 = 20;

/// How many records of a tag are stored, if they are the first ones of what was sent, each once.
fn stored(collector: &Collector, tag: u16) -> u64 {
    let query = format!("/api/v1/aggregate?filter=src.port%20%3D%20{tag}&metrics=flows,unique(src.ip),octets");
    let answer = collector.get(&query);
    let number = |name: &str| answer["rows"][0][name].as_f64().unwrap_or(0.0) as u64;
    let (flows, distinct, sum) = (number("flows"), number("unique(src.ip)"), number("octets"));
    assert_eq!(flows, distinct, "stored twice: {answer}");
    // So many distinct numbers have this sum only if they are the smallest ones.
    assert_eq!(sum, flows * flows.saturating_sub(1) / 2, "not without a hole: {answer}");
    flows
}

/// Messages of streams that the collector says are in its journal, of this run.
pub fn journaled(status: &Value) -> u64 {
    let listeners = status["listeners"].as_array().unwrap();
    let stream = listeners
        .iter()
        .find(|listener| listener["transport"] == "tcp")
        .unwrap();
    stream["journaled"].as_u64().unwrap()
}

/// Sends at 100 000 records a second until the connection breaks.
fn send(address: SocketAddr, tag: u16, started: &Barrier) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&template(7, 0, epoch_s())).unwrap();
    started.wait();
    let begin = Instant::now();
    for message in 0u32.. {
        let due = begin + Duration::from_micros(u64::from(message * RECORDS_PER_MESSAGE) * 10);
        let early = due.saturating_duration_since(Instant::now());
        if early > Duration::from_millis(5) {
            std::thread::sleep(early);
        }
        let records = records((7, tag, message * RECORDS_PER_MESSAGE), RECORDS_PER_MESSAGE, epoch_s());
        if stream.write_all(&records).is_err() {
            return;
        }
    }
}

/// A collector that commits and notes what it knows so often that the end comes before, between and within.
fn start(data: &Path, port: u16) -> Collector {
    let listen = ["udp", "tcp"].map(|transport| format!("{transport}://127.0.0.1:{port}"));
    let often = ["--commit", "200ms", "--template-save-interval", "1s"];
    let arguments: Vec<&str> = listen
        .iter()
        .flat_map(|listen| ["--listen", listen])
        .chain(often)
        .collect();
    Collector::start_with(data, port, &arguments)
}

/// One life of a collector, ended by SIGKILL after so long; says how many records were seen to be accepted.
fn live_and_die(data: &Path, port: u16, tag: u16, life: Duration) -> u64 {
    let mut collector = start(data, port);
    let url = collector.url.clone();
    let started = Arc::new(Barrier::new(2));
    let sender = std::thread::spawn({
        let started = Arc::clone(&started);
        move || send(SocketAddr::from(([127, 0, 0, 1], port)), tag, &started)
    });
    started.wait();
    let (accepted, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Acquire) {
                // The answer may be on its way when the collector dies.
                if let Some(status) = Collector::try_get(&url, "/api/v1/status") {
                    accepted.store(journaled(&status), Ordering::Release);
                }
            }
        });
        std::thread::sleep(life);
        collector.kill();
        stop.store(true, Ordering::Release);
    });
    drop(collector);
    sender.join().unwrap();
    // The first Message is the template.
    accepted.load(Ordering::Acquire).saturating_sub(1) * u64::from(RECORDS_PER_MESSAGE)
}

/// Waits until everything that is in the journal is stored.
pub fn wait_until_indexed(collector: &Collector) -> Value {
    let begin = Instant::now();
    loop {
        let status = collector.get("/api/v1/status");
        let (journal, ledger) = (&status["journal"], &status["ledger"]);
        if journal["is_behind"] == false && journal["waiting_octets"] == 0 && ledger["waiting"] == 0 {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_secs(300), "{journal} {ledger}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Rollups are of the same rows: those committed with them, each once.
fn check_rollups(collector: &Collector) {
    let sums = |tier: &str| {
        collector.get(&format!("/api/v1/aggregate?metrics=flows,octets,packets&tier={tier}"))["rows"].clone()
    };
    let flows = sums("raw");
    for tier in ["rollup", "minute", "hour", "day"] {
        assert_eq!(sums(tier), flows, "{tier}");
    }
    assert_eq!(collector.get("/api/v1/status")["rollups"]["damaged"], 0);
}

/// By hand with `FLOWGAUGE_KILLS=30`.
#[test]
fn killed_at_any_moment_at_100_000_records_a_second() {
    let kills: u16 = std::env::var("FLOWGAUGE_KILLS").map_or(3, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let port = free_port();
    let mut random = std::process::id();
    let mut lives = Vec::new();
    for tag in 1..=kills {
        // Marsaglia's xorshift: moments that no schedule of the collector's has anything to do with.
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let life = Duration::from_millis(200 + u64::from(random % 1_300));
        lives.push((tag, life, live_and_die(&data, port, tag, life)));
    }
    let collector = start(&data, port);
    let status = wait_until_indexed(&collector);
    assert_eq!(status["ledger"]["balanced"], true, "{status}");
    let mut total = 0;
    for (tag, life, accepted) in &lives {
        let stored = stored(&collector, *tag);
        println!("killed after {life:?}: {accepted} records seen accepted, {stored} stored once");
        assert!(stored >= *accepted, "run {tag}: {stored} of {accepted} are stored");
        assert!(*accepted > 0, "run {tag} accepted nothing");
        total += stored;
    }
    assert_eq!(collector.flows(), total);
    check_rollups(&collector);
    // And again without anything to replay.
    collector.terminate();
    let collector = start(&data, port);
    assert_eq!(wait_until_indexed(&collector)["journal"]["damaged"], 0);
    assert_eq!(collector.flows(), total);
    check_rollups(&collector);
}

fn wait_for_waiting_sets(collector: &Collector, sets: u64) {
    let begin = Instant::now();
    loop {
        let ledger = collector.get("/api/v1/status")["ledger"].clone();
        if ledger["sets_waiting"].as_u64() == Some(sets) {
            return assert_eq!(ledger["balanced"], true, "{ledger}");
        }
        assert!(begin.elapsed() < Duration::from_secs(10), "{sets}: {ledger}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ten records before their template, then something, then the template and ten more.
fn ten_and_ten(collector: Collector, tag: u16, between: impl FnOnce(Collector) -> Collector) -> Collector {
    let exporter = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = ("127.0.0.1", collector.port);
    let before = collector.flows();
    exporter
        .send_to(&records((tag.into(), tag, 0), 10, epoch_s()), to)
        .unwrap();
    wait_for_waiting_sets(&collector, 1);
    let collector = between(collector);
    // The wait is in the ledger of the next run, too.
    wait_for_waiting_sets(&collector, 1);
    assert_eq!(collector.flows(), before);
    exporter.send_to(&template(tag.into(), 10, epoch_s()), to).unwrap();
    exporter
        .send_to(&records((tag.into(), tag, 10), 10, epoch_s()), to)
        .unwrap();
    assert_eq!(collector.wait_for(before + 20), before + 20);
    assert_eq!(stored(&collector, tag), 20);
    wait_for_waiting_sets(&collector, 0);
    collector
}

#[test]
fn records_before_their_template_wait_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("store");
    let collector = Collector::start(&data);
    let port = collector.port;
    let collector = ten_and_ten(collector, 1, |collector| collector);
    let collector = ten_and_ten(collector, 2, |collector| {
        collector.terminate();
        Collector::start_on(&data, port)
    });
    let collector = ten_and_ten(collector, 3, |mut collector| {
        collector.kill();
        Collector::start_on(&data, port)
    });
    collector.terminate();
    assert_eq!(Collector::start_on(&data, port).flows(), 60);
}
