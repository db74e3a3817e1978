//! A store survives SIGKILL in the middle of whatever it does, and a full disk: no record is lost or doubled, rollups say what
//! was stored, and every query answers.
//!
//! The collector's clock goes 7200 times as fast as ours, so that partitions are sealed, merged and removed and hours and days
//! of rollups closed all the time; it notes what it is doing, and is killed when that is what this life is for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::nothing_lost_by_a_crash::{journaled, wait_until_indexed};
use crate::support::collector::Collector;
use crate::support::numbered::{epoch_s, records, template};
use crate::support::{free_port, skipped};

const RECORDS_PER_MESSAGE: u32 = 20;
/// Records a second that are sent while the collector takes them.
const RATE: u64 = 40_000;
/// Of the collector's clock.
const SPEED: u64 = 7_200;
/// What the collector notes that it is doing, in the order of its notes.
const PHASES: [&str; 9] = [
    "journal",
    "commit",
    "seal",
    "merge",
    "retention",
    "rollup merge",
    "rollup close",
    "manifest",
    "checkpoint",
];
/// How long a life may wait for what it is for.
const LONGEST_LIFE: Duration = Duration::from_millis(2_500);
const QUERIES: [&str; 6] = [
    "/api/v1/aggregate?metrics=flows,octets",
    "/api/v1/aggregate?metrics=flows&tier=raw&filter=src.ip%20in%200.0.1.0/24&group_by=src.port",
    "/api/v1/aggregate?metrics=flows,octets&tier=rollup&group_by=exporter.ip,in.if",
    "/api/v1/aggregate?metrics=octets&group_by=src.ip&limit=5&tier=rollup",
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

/// Raw rows are kept for four seconds of our clock, minutes of them for two, hours for twenty-four.
const KEEP: [[&str; 2]; 3] = [["--keep", "8h"], ["--keep-minutes", "4h"], ["--keep-hours", "2d"]];

/// A data directory, and how a collector is rehearsed on it.
struct Stage {
    data: std::path::PathBuf,
    notes: std::path::PathBuf,
    port: u16,
    from_s: u32,
    /// Whose mount namespace it lies in.
    disk: Option<u32>,
}

impl Stage {
    fn new(folder: &Path) -> Stage {
        Stage {
            data: folder.join("store"),
            notes: folder.join("notes"),
            port: free_port(),
            from_s: epoch_s(),
            disk: None,
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

    fn start(&self, more: &[[&str; 2]]) -> Collector {
        std::fs::write(&self.notes, [0; PHASES.len()]).unwrap();
        let clock = format!("{SPEED}@{}000000000", self.from_s);
        let environment = [
            ("FLOWGAUGE_REHEARSAL_NOTES", self.notes.to_str().unwrap()),
            ("FLOWGAUGE_REHEARSAL_CLOCK", &clock),
        ];
        let listen = format!("tcp://127.0.0.1:{}", self.port);
        // By our clock a partition is a second, and rows are committed 24 times in it.
        let often = [
            ["--listen", &listen],
            ["--partition", "2h"],
            ["--commit", "5m"],
            ["--template-save-interval", "1s"],
        ];
        let arguments: Vec<&str> = often.iter().chain(more).flatten().copied().collect();
        let within = self.disk.map(|holder| {
            let mut command = Command::new("nsenter");
            command.args(["--mount", "--target", &holder.to_string()]);
            command
        });
        Collector::start_in(&environment, within, &self.data, self.port, &arguments)
    }

    /// What goes on.
    fn noted(&self, notes: &File) -> Vec<usize> {
        let mut octets = [0; PHASES.len()];
        notes.read_exact_at(&mut octets, 0).unwrap();
        (0..PHASES.len()).filter(|phase| octets[*phase] == 1).collect()
    }
}

/// Sends until the connection breaks, or it is to stop; says how many records were given to the kernel.
fn send(stage: &Stage, tag: u16, rate: u64, stop: &AtomicBool) -> u64 {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], stage.port))).unwrap();
    if stream.write_all(&template(7, 0, stage.now_s())).is_err() {
        return 0;
    }
    let begin = Instant::now();
    for message in 0u32.. {
        let due = begin + Duration::from_micros(u64::from(message * RECORDS_PER_MESSAGE) * 1_000_000 / rate);
        let early = due.saturating_duration_since(Instant::now());
        if early > Duration::from_millis(5) {
            std::thread::sleep(early);
        }
        let first = message * RECORDS_PER_MESSAGE;
        let octets = records((7, tag, first), RECORDS_PER_MESSAGE, stage.now_s());
        if stop.load(Ordering::Acquire) || stream.write_all(&octets).is_err() {
            return first.into();
        }
    }
    0
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
    let mut collector = stage.start(&KEEP);
    let url = collector.url.clone();
    let notes = File::open(&stage.notes).unwrap();
    let (accepted, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    let (killed, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut at_the_end = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| send(stage, tag, RATE, &stop));
        scope.spawn(|| ask(&url, &killed, &accepted, &answered));
        std::thread::sleep(Duration::from_millis(u64::from(200 + random.below(400))));
        let begin = Instant::now();
        while begin.elapsed() < LONGEST_LIFE && !stage.noted(&notes).contains(&for_phase) {
            std::thread::sleep(Duration::from_micros(20));
        }
        // What is short is over soon.
        if random.below(2) == 0 {
            std::thread::sleep(Duration::from_micros(u64::from(random.below(1_500))));
        }
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
    let rolled = by_tag(collector, "tier=rollup&group_by=exporter.ip,in.if&metrics=flows,octets");
    let rows = by_tag(collector, "tier=raw&group_by=in.if&metrics=flows,unique(src.ip),octets");
    for (tag, accepted) in lives {
        let [stored, _, octets] = rolled.get(tag).copied().unwrap_or_default();
        assert!(stored >= *accepted, "life {tag}: {stored} of {accepted} are in rollups");
        // So many numbers have this sum, each being there at most once, only if they are the smallest ones.
        assert_eq!(octets, sum_below(stored), "life {tag}: rollups are not without a hole");
        if let Some([held, distinct, octets]) = rows.get(tag).copied() {
            assert_eq!(held, distinct, "life {tag}: stored twice");
            assert!(held <= stored, "life {tag}: {held} rows, {stored} in rollups");
            // Those that arrived first were removed first.
            assert_eq!(
                octets,
                sum_below(stored) - sum_below(stored - held),
                "life {tag}: a hole"
            );
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
        at_the_end
            .iter()
            .for_each(|phase| *hits.entry(*phase).or_default() += 1);
        lives.push((tag, accepted));
        questions += answered;
    }
    for (phase, name) in PHASES.iter().enumerate() {
        println!("{name}: {} kills", hits.get(&phase).unwrap_or(&0));
    }
    assert!(hits.len() > 2, "kills came into {hits:?} only");
    assert!(questions >= u64::from(kills), "{questions} answers in {kills} lives");
    let collector = stage.start(&KEEP[1..]);
    wait_until_indexed(&collector);
    // Raw rows are kept from here on, however long looking at them takes.
    let total = check(&collector, &lives);
    println!("{total} records stored once, {questions} questions answered");
    // And again without anything to replay.
    collector.terminate();
    let collector = stage.start(&KEEP[1..]);
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

/// A small disk in a mount namespace of its own.
struct Disk {
    holder: Child,
    root: std::path::PathBuf,
}

impl Disk {
    /// Nothing where there may be none.
    fn new(at: &Path) -> Option<Disk> {
        let mount = format!(
            "mount -t tmpfs -o size=384m tmpfs {} && echo ready && exec sleep 1000",
            at.display()
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &mount])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = [0; 5];
        let is_ready = std::io::Read::read_exact(holder.stdout.as_mut()?, &mut said).is_ok();
        let root = Path::new("/proc").join(holder.id().to_string()).join("root");
        let disk = Disk {
            holder,
            root: root.join(at.strip_prefix("/").unwrap()),
        };
        is_ready.then_some(disk)
    }

    fn free_octets(&self) -> u64 {
        let output = Command::new("stat")
            .args(["-f", "-c", "%a %S"])
            .arg(&self.root)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace()
            .map(|number| number.parse::<u64>().unwrap())
            .product()
    }

    /// Fills it up to so much.
    fn fill(&self, free_octets: u64) {
        let path = self.root.join("filler");
        let mut filler = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        let mut octets = self.free_octets().saturating_sub(free_octets);
        let block = vec![0; 1 << 16];
        while octets > 0 || free_octets == 0 {
            if filler.write_all(&block).is_err() {
                return;
            }
            octets = octets.saturating_sub(block.len() as u64);
        }
    }

    fn clear(&self) {
        let _ = std::fs::remove_file(self.root.join("filler"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn wait_until(what: &str, collector: &Collector, done: impl Fn(&Value) -> bool) -> Value {
    let begin = Instant::now();
    loop {
        let status = collector.get("/api/v1/status");
        if done(&status) {
            return status;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}: {status}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// While the disk has little room what comes is journaled and nothing of it is stored.
fn journals_and_stores_nothing(collector: &Collector) {
    let is_told = |status: &Value| {
        status["trouble"]
            .as_str()
            .is_some_and(|text| text.contains("nearly full"))
    };
    wait_until("little room is told", collector, is_told);
    // What was being written is.
    std::thread::sleep(Duration::from_millis(300));
    let (flows, before) = (collector.flows(), journaled(&collector.get("/api/v1/status")));
    let goes_on = |status: &Value| journaled(status) > before + 20;
    wait_until("it is journaled all the same", collector, goes_on);
    assert_eq!(collector.flows(), flows, "stored where there is no room");
}

/// One life with the disk nearly full, then full: at the end it has room again, or the collector is killed. Says what must be
/// stored.
fn live_without_room(stage: &Stage, disk: &Disk, tag: u16, random: &mut Random) -> u64 {
    let is_killed = tag.is_multiple_of(2);
    let mut collector = stage.start(&[["--journal-size", "48MiB"]]);
    let url = collector.url.clone();
    let (accepted, answered) = (AtomicU64::new(0), AtomicU64::new(0));
    let (killed, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(stage, tag, RATE / 4, &stop));
        scope.spawn(|| ask(&url, &killed, &accepted, &answered));
        std::thread::sleep(Duration::from_millis(u64::from(200 + random.below(200))));
        disk.fill(40 << 20);
        journals_and_stores_nothing(&collector);
        disk.clear();
        wait_until("room again", &collector, |status| status["trouble"].is_null());
        std::thread::sleep(Duration::from_millis(u64::from(random.below(200))));
        disk.fill(0);
        wait_until("a full disk is told", &collector, |status| !status["trouble"].is_null());
        std::thread::sleep(Duration::from_millis(u64::from(random.below(300))));
        if is_killed {
            collector.kill();
            killed.store(true, Ordering::Release);
        }
        disk.clear();
        if !is_killed {
            wait_until("room again", &collector, |status| status["trouble"].is_null());
        }
        stop.store(true, Ordering::Release);
        let given = sender.join().unwrap();
        if !is_killed {
            // A stream brings everything.
            wait_until("all is stored", &collector, |_| {
                by_tag(
                    &collector,
                    "tier=rollup&group_by=exporter.ip,in.if&metrics=flows,octets",
                )
                .get(&tag)
                .is_some_and(|[flows, ..]| *flows == given)
            });
            let status = wait_until_indexed(&collector);
            assert_eq!(status["ledger"]["lost"], serde_json::json!({}), "{status}");
            killed.store(true, Ordering::Release);
            accepted.store(given / u64::from(RECORDS_PER_MESSAGE) + 1, Ordering::Release);
        }
    });
    if !is_killed {
        collector.terminate();
    }
    assert!(answered.load(Ordering::Acquire) > 0);
    accepted.load(Ordering::Acquire).saturating_sub(1) * u64::from(RECORDS_PER_MESSAGE)
}

fn full_disks(lives: u16) {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::new(folder.path()) else {
        return skipped("a full disk", "no mount namespace, or no right to one");
    };
    let mut stage = Stage::new(folder.path());
    // Outside, where its writes are not in the way.
    let notes = tempfile::NamedTempFile::new().unwrap();
    stage.notes = notes.path().to_owned();
    stage.disk = Some(disk.holder.id());
    let mut random = Random(std::process::id().max(1));
    let mut total = 0;
    let mut least = Vec::new();
    for tag in 1..=lives {
        least.push((tag, live_without_room(&stage, &disk, tag, &mut random)));
    }
    for _ in 0..2 {
        let collector = stage.start(&[]);
        let status = wait_until_indexed(&collector);
        assert_eq!(status["trouble"], Value::Null);
        let rolled = by_tag(
            &collector,
            "tier=rollup&group_by=exporter.ip,in.if&metrics=flows,octets",
        );
        let rows = by_tag(
            &collector,
            "tier=raw&group_by=in.if&metrics=flows,unique(src.ip),octets",
        );
        for (tag, least) in &least {
            let [held, distinct, octets] = rows.get(tag).copied().unwrap_or_default();
            println!("life {tag}: {least} records seen accepted, {held} stored once");
            assert!(held >= *least, "life {tag}: {held} of {least} are stored");
            assert_eq!((held, octets), (distinct, sum_below(held)), "life {tag}");
            assert_eq!(rolled.get(tag), Some(&[held, 0, octets]), "life {tag}: rollups");
        }
        let all: u64 = rows.values().map(|[flows, ..]| flows).sum();
        assert!(total == 0 || total == all, "{total} {all}");
        total = all;
        collector.terminate();
    }
}

#[test]
fn a_disk_that_fills_again_and_again() {
    full_disks(3);
}

/// By hand, as the other.
#[test]
#[ignore = "takes some minutes"]
fn a_disk_that_fills_a_hundred_times() {
    full_disks(50);
}
