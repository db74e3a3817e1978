//! A store survives SIGKILL in the middle of whatever it does: no record is lost or doubled, rollups say what was stored, and
//! every query answers.
//!
//! The collector's clock goes 7200 times as fast as ours, so that partitions are sealed, merged and removed and hours and days
//! of rollups closed all the time; it notes what it is doing, and is killed when that is what this life is for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::nothing_lost_by_a_crash::{journaled, wait_until_indexed};
use crate::support::collector::Collector;
use crate::support::free_port;
use crate::support::numbered::{epoch_s, records, template};

const RECORDS_PER_MESSAGE: u32 = 20;
/// Records a second that are sent while the collector takes them.
const RATE: u64 = 40_000;
/// Of the collector's clock.
const SPEED: u64 = 7_200;
/// What the collector notes that it is doing, in the order of its notes.
const PHASES: [&str; 9] = [
    "journal", "commit", "seal", "merge", "retention", "rollup merge", "rollup close", "manifest", "checkpoint",
];
/// How long a life may wait for what it is for.
const LONGEST_LIFE: Duration = Duration::from_millis(2_500);
const QUERIES: [&str; 6] = [
    "/api/v1/aggregate?metrics=flows,octets",
    "/api/v1/aggregate?metrics=flows&tier=raw&filter=src.ip%20in%200.0.1.0/24&group=src.port",
    "/api/v1/aggregate?metrics=flows,octets&tier=rollup&group=exporter.ip,in.if",
    "/api/v1/aggregate?metrics=octets&group=src.ip&limit=5&tier=rollup",
    "/api/v1/flows?limit=3&filter=octets%20%3E%205",
    "/api/v1/complete?text=src.p",
];

/// Marsaglia's xorshift: moments that no schedule of the collector's has anything to do with.
struct Random(u32);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % end
    }
}

/// A data directory, and how a collector is rehearsed on it.
struct Stage {
    data: std::path::PathBuf,
    notes: std::path::PathBuf,
    port: u16,
    from_s: u32,
}

impl Stage {
    fn new(folder: &Path) -> Stage {
        Stage {
            data: folder.join("store"),
            notes: folder.join("notes"),
            port: free_port(),
            from_s: epoch_s(),
        }
    }

    /// Seconds since 1970 by the collector's clock.
    fn now_s(&self) -> u32 {
        let real = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let since = real.saturating_sub(Duration::from_secs(self.from_s.into()));
        self.from_s + (since.as_millis() as u64 * SPEED / 1_000) as u32
    }

    fn start(&self) -> Collector {
        std::fs::write(&self.notes, [0; PHASES.len()]).unwrap();
        let clock = format!("{SPEED}@{}000000000", self.from_s);
        let environment = [
            ("FLOWGAUGE_REHEARSAL_NOTES", self.notes.to_str().unwrap()),
            ("FLOWGAUGE_REHEARSAL_CLOCK", &clock),
        ];
        let listen = format!("tcp://127.0.0.1:{}", self.port);
        // By its clock a partition is a second, rows are committed eight times in it, and raw rows are kept for four.
        let arguments = [
            ["--listen", &listen],
            ["--partition", "2h"],
            ["--commit", "15m"],
            ["--keep", "8h"],
            ["--keep-minutes", "4h"],
            ["--keep-hours", "2d"],
            ["--template-save-interval", "1s"],
        ];
        Collector::start_in(&environment, None, &self.data, self.port, arguments.as_flattened())
    }

    /// What goes on.
    fn noted(&self, notes: &File) -> Vec<usize> {
        let mut octets = [0; PHASES.len()];
        notes.read_exact_at(&mut octets, 0).unwrap();
        (0..PHASES.len()).filter(|phase| octets[*phase] == 1).collect()
    }
}

/// Sends until the connection breaks.
fn send(stage: &Stage, tag: u16, stop: &AtomicBool) {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], stage.port))).unwrap();
    if stream.write_all(&template(7, 0, stage.now_s())).is_err() {
        return;
    }
    let begin = Instant::now();
    for message in 0u32.. {
        let due = begin + Duration::from_micros(u64::from(message * RECORDS_PER_MESSAGE) * 1_000_000 / RATE);
        let early = due.saturating_duration_since(Instant::now());
        if early > Duration::from_millis(5) {
            std::thread::sleep(early);
        }
        let first = message * RECORDS_PER_MESSAGE;
        let octets = records((7, tag, first), RECORDS_PER_MESSAGE, stage.now_s());
        if stop.load(Ordering::Acquire) || stream.write_all(&octets).is_err() {
            return;
        }
    }
}

/// Asks one thing after the other while the collector lives; all must be answered well.
fn ask(url: &str, killed: &AtomicBool, accepted: &AtomicU64, answered: &AtomicU64) {
    for query in QUERIES.iter().cycle() {
        if killed.load(Ordering::Acquire) {
            return;
        }
        if let Some(status) = Collector::try_get(url, "/api/v1/status") {
            accepted.store(journaled(&status), Ordering::Release);
        }
        match ureq::get(format!("{url}{query}")).call() {
            Ok(_) => {
                answered.fetch_add(1, Ordering::AcqRel);
            }
            Err(ureq::Error::StatusCode(code)) => panic!("{query}: {code}"),
            // It may be on its way when the collector dies.
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// One life: killed soon after it began to do what the life is for. Says how many records were seen to be accepted, what went on
/// at the end, and how many questions were answered.
fn live_and_die(stage: &Stage, tag: u16, for_phase: usize, random: &mut Random) -> (u64, Vec<usize>, u64) {
    let mut collector = stage.start();
    let url = collector.url.clone();
    let notes = File::open(&stage.notes).unwrap();
    let (accepted, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    let (killed, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut at_the_end = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| send(stage, tag, &stop));
        scope.spawn(|| ask(&url, &killed, &accepted, &answered));
        std::thread::sleep(Duration::from_millis(u64::from(200 + random.below(400))));
        let begin = Instant::now();
        while begin.elapsed() < LONGEST_LIFE && !stage.noted(&notes).contains(&for_phase) {
            std::thread::sleep(Duration::from_micros(50));
        }
        std::thread::sleep(Duration::from_micros(u64::from(random.below(1_500))));
        collector.kill();
        at_the_end = stage.noted(&notes);
        killed.store(true, Ordering::Release);
        stop.store(true, Ordering::Release);
    });
    drop(collector);
    // The first Message is the template.
    let accepted = accepted.load(Ordering::Acquire).saturating_sub(1);
    let accepted = accepted * u64::from(RECORDS_PER_MESSAGE);
    (accepted, at_the_end, answered.load(Ordering::Acquire))
}

/// Flows, different addresses and octets by tag.
fn by_tag(collector: &Collector, query: &str) -> BTreeMap<u16, [u64; 3]> {
    let answer = collector.get(&format!("/api/v1/aggregate?limit=1000&{query}"));
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or(0.0) as u64;
    let row = |row: &Value| {
        let sums = ["flows", "unique(src.ip)", "octets"].map(|name| number(row, name));
        (number(row, "in.if") as u16, sums)
    };
    answer["rows"].as_array().unwrap().iter().map(row).collect()
}

/// The sum of the numbers below an end.
fn sum_below(end: u64) -> u64 {
    end * end.saturating_sub(1) / 2
}

/// Rollups have every record once, and of what was not removed by its age the rows are there once.
fn check(collector: &Collector, lives: &[(u16, u64)]) -> u64 {
    let rolled = by_tag(collector, "tier=rollup&group=exporter.ip,in.if&metrics=flows,octets");
    let rows = by_tag(collector, "tier=raw&group=in.if&metrics=flows,unique(src.ip),octets");
    for (tag, accepted) in lives {
        let [stored, _, octets] = rolled.get(tag).copied().unwrap_or_default();
        assert!(stored >= *accepted, "life {tag}: {stored} of {accepted} are in rollups");
        // So many numbers have this sum, each being there at most once, only if they are the smallest ones.
        assert_eq!(octets, sum_below(stored), "life {tag}: rollups are not without a hole");
        if let Some([held, distinct, octets]) = rows.get(tag).copied() {
            assert_eq!(held, distinct, "life {tag}: stored twice");
            assert!(held <= stored, "life {tag}: {held} rows, {stored} in rollups");
            // Those that arrived first were removed first.
            assert_eq!(octets, sum_below(stored) - sum_below(stored - held), "life {tag}: a hole");
        }
    }
    assert!(rows.len() < lives.len(), "nothing was removed by its age");
    assert!(!rows.is_empty(), "everything was removed by its age");
    let status = collector.get("/api/v1/status");
    assert_eq!(status["rollups"]["damaged"], 0, "{status}");
    assert_eq!(status["ledger"]["balanced"], true, "{status}");
    rolled.values().map(|[flows, ..]| flows).sum()
}

fn killed_in_the_middle(kills: u16) {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path());
    let mut random = Random(std::process::id().max(1));
    let mut lives = Vec::new();
    let mut hits = BTreeMap::<usize, u64>::new();
    let mut questions = 0;
    for tag in 1..=kills {
        // Some for nothing but chance.
        let for_phase = usize::from(tag) % (PHASES.len() + 1);
        let (accepted, at_the_end, answered) = live_and_die(&stage, tag, for_phase, &mut random);
        let names: Vec<&str> = at_the_end.iter().map(|phase| PHASES[*phase]).collect();
        println!("life {tag}: {accepted} records seen accepted, {answered} answers, killed during {names:?}");
        at_the_end.iter().for_each(|phase| *hits.entry(*phase).or_default() += 1);
        lives.push((tag, accepted));
        questions += answered;
    }
    for (phase, name) in PHASES.iter().enumerate() {
        println!("{name}: {} kills", hits.get(&phase).unwrap_or(&0));
    }
    assert!(hits.len() > 2, "kills came into {hits:?} only");
    assert!(questions >= u64::from(kills), "{questions} answers in {kills} lives");
    let collector = stage.start();
    wait_until_indexed(&collector);
    let total = check(&collector, &lives);
    println!("{total} records stored once, {questions} questions answered");
    // And again without anything to replay.
    collector.terminate();
    let collector = stage.start();
    wait_until_indexed(&collector);
    assert_eq!(check(&collector, &lives), total);
}

#[test]
fn killed_in_the_middle_of_everything() {
    killed_in_the_middle(9);
}

/// By hand: `cargo nextest run --run-ignored only -E 'test(a_hundred_times)'`.
#[test]
#[ignore = "takes some minutes"]
fn killed_in_the_middle_of_everything_a_hundred_times() {
    killed_in_the_middle(100);
}
