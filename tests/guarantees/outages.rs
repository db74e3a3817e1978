//! The outage story: under load the collector is killed three times, the network is cut, and the exporter is killed once.
//! With a spool every metered flow arrives once, or is declared lost.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::certificates::Authority;
use crate::support::collector::Collector;
use crate::support::{borrowed_kernel, free_port, program, skipped, text};

/// What the exporter meters: datagrams to an address of loopback that nobody else uses.
const LOADED: &str = "127.83.0.1";
/// Flows a second.
const RATE: u32 = 2000;
/// The kernel keeps what is not read of a socket's buffer no longer than the program lives.
const DOWN: Duration = Duration::from_millis(700);
const UP: Duration = Duration::from_millis(1800);

/// Makes flows until it is told to stop, each of one datagram; says how many.
fn load(stop: &AtomicBool) -> u64 {
    let begin = Instant::now();
    let (mut flows, mut socket) = (0u64, UdpSocket::bind("127.0.0.1:0").unwrap());
    // Sockets stay open, so that no port comes twice.
    let mut used = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let port = 10_000 + (flows % 40_000) as u16;
        if flows > 0 && flows.is_multiple_of(40_000) {
            used.push(std::mem::replace(&mut socket, UdpSocket::bind("127.0.0.1:0").unwrap()));
        }
        socket.send_to(b"flow", (LOADED, port)).unwrap();
        flows += 1;
        let due = begin + Duration::from_secs(1) * flows as u32 / RATE;
        let early = due.saturating_duration_since(Instant::now());
        if early > Duration::from_millis(5) {
            std::thread::sleep(early);
        }
    }
    flows
}

/// A network of its own for the collector, gone at the end.
struct Network {
    name: String,
    host: String,
    peer: String,
}

impl Network {
    /// None where this user may not make one.
    fn new() -> Option<Self> {
        let id = std::process::id();
        let network = Self {
            name: format!("fg{id}"),
            host: format!("10.83.{}.1", id % 250),
            peer: format!("10.83.{}.2", id % 250),
        };
        let name = &network.name;
        let made = [
            format!("netns add {name}"),
            format!("link add {name}a type veth peer name {name}b netns {name}"),
            format!("addr add {}/24 dev {name}a", network.host),
            format!("link set {name}a up"),
            format!("-n {name} addr add {}/24 dev {name}b", network.peer),
            format!("-n {name} link set {name}b up"),
            format!("-n {name} link set lo up"),
        ];
        made.iter().all(|command| ip(command)).then_some(network)
    }

    fn set(&self, state: &str) {
        assert!(ip(&format!("link set {}a {state}", self.name)));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(command: &str) -> bool {
    let words = command.split_whitespace();
    let output = Command::new("ip").args(words).output();
    output.is_ok_and(|output| output.status.success())
}

/// Where the collector is, and how both ends speak.
struct Ends {
    scheme: &'static str,
    address: String,
    port: u16,
    http: u16,
    folder: PathBuf,
    network: Option<Network>,
    flags: [Vec<String>; 2],
}

impl Ends {
    fn collector(&self) -> Collector {
        let listen = format!("{}://{}:{}", self.scheme, self.address, self.port);
        let mut arguments: Vec<&str> = vec!["--listen", &listen, "--commit", "200ms"];
        arguments.extend(self.flags[0].iter().map(String::as_str));
        let within = self.network.as_ref().map(|network| network.name.as_str());
        Collector::start_within(
            within,
            (&self.address, self.http),
            &self.folder.join("store"),
            self.port,
            &arguments,
        )
    }

    fn exporter(&self) -> Child {
        Command::new(program("flowgauge-exporter"))
            .args([
                "run",
                "--interface",
                "lo",
                "--filter",
                &format!("udp and dst host {LOADED}"),
            ])
            .args(["--idle-timeout", "1s", "--api", "off", "--user", "root"])
            .args(["--to", &format!("{}://{}:{}", self.scheme, self.address, self.port)])
            .arg("--spool")
            .arg(self.folder.join("spool"))
            .args(&self.flags[1])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// What the exporter's last line about its destination says: the number before each of these words.
fn declared(said: &str) -> BTreeMap<&'static str, u64> {
    let line = said.lines().rev().find(|line| line.contains(" records exported in "));
    let line = line.unwrap_or_else(|| panic!("no accounts: {said}"));
    let before = |word: &str| {
        let at = line.find(word)?;
        line[..at]
            .split_whitespace()
            .next_back()?
            .trim_start_matches('(')
            .parse()
            .ok()
    };
    let behind = |word: &str| {
        let at = line.find(word)? + word.len();
        let digits: String = line[at..]
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    };
    [
        ("exported", before("records exported")),
        ("lost", before("lost")),
        ("taken over", before("of them taken over")),
        ("waiting", before("waiting")),
        ("crash", behind("crash")),
    ]
    .map(|(what, number)| (what, number.unwrap_or(0)))
    .into()
}

fn metered(said: &str) -> u64 {
    let line = said.lines().rev().find(|line| line.contains(" packets seen, "));
    let words: Vec<_> = line
        .unwrap_or_else(|| panic!("no accounts: {said}"))
        .split_whitespace()
        .collect();
    let at = words.iter().position(|word| word.starts_with("records")).unwrap();
    words[at - 1].parse().unwrap()
}

fn stop(mut exporter: Child, signal: &str) -> String {
    let status = Command::new("kill").args([signal, &exporter.id().to_string()]).status();
    assert!(status.unwrap().success());
    let mut said = Vec::new();
    exporter.stderr.take().unwrap().read_to_end(&mut said).unwrap();
    exporter.wait().unwrap();
    text(&said)
}

/// Tells the story, and checks its end.
fn tell(ends: &Ends) {
    let stop_load = AtomicBool::new(false);
    let mut collector = ends.collector();
    std::thread::scope(|scope| {
        let first = ends.exporter();
        std::thread::sleep(Duration::from_secs(1));
        let load = scope.spawn(|| load(&stop_load));
        for _ in 0..3 {
            std::thread::sleep(UP);
            collector.kill();
            std::thread::sleep(DOWN);
            collector = ends.collector();
        }
        if let Some(network) = &ends.network {
            network.set("down");
            std::thread::sleep(UP);
            network.set("up");
        }
        std::thread::sleep(UP);
        let said_first = stop(first, "-KILL");
        let second = ends.exporter();
        std::thread::sleep(UP);
        stop_load.store(true, Ordering::Release);
        let made = load.join().unwrap();
        std::thread::sleep(UP);
        let said = stop(second, "-TERM");
        let account = declared(&said);
        println!("{made} flows made; {account:?}");

        assert_eq!(account["waiting"], 0, "everything has left: {said}");
        assert_eq!(account["lost"], account["crash"], "nothing else is lost: {said}");
        assert!(account["taken over"] > 0, "the first has left something behind: {said}");
        // What the second metered and what it took over is exported or declared.
        let known = metered(&said) + account["taken over"];
        assert_eq!(known, account["exported"] + account["lost"], "{said}");

        // Without the exporter's end a flow is one record, and each has come once.
        wait_until_still(&collector);
        let answer = collector.get("/api/v1/aggregate?group_by=src.port,dst.port&metrics=flows,packets&limit=1000000");
        let rows = answer["rows"].as_array().unwrap();
        let twice = rows.iter().filter(|row| row["packets"].as_f64() != Some(1.0)).count();
        assert_eq!(twice, 0, "a flow has one datagram, and is stored once");
        let stored = rows.len() as u64;
        let (missing, slack) = (made.abs_diff(stored), 2 * u64::from(RATE));
        println!("{stored} stored, {missing} missing, {} declared", account["crash"]);
        // How many flows had no record yet is known as of half a second before, on a busy machine of more.
        let declared = account["crash"];
        assert!(
            stored <= made && missing <= declared + slack && declared <= missing + slack,
            "{said_first}\n{said}"
        );
        let status = collector.get("/api/v1/status");
        assert_eq!(status["ledger"]["balanced"], true, "{status}");
    });
}

/// Until nothing more is stored.
fn wait_until_still(collector: &Collector) {
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_secs(2) {
        let now = collector.flows();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn ends(scheme: &'static str, folder: &Path, network: Option<Network>) -> Ends {
    let address = network
        .as_ref()
        .map_or_else(|| "127.0.0.1".to_owned(), |network| network.peer.clone());
    Ends {
        scheme,
        address,
        port: free_port(),
        http: free_port(),
        folder: folder.to_owned(),
        network,
        flags: [Vec::new(), Vec::new()],
    }
}

#[test]
fn over_tcp_every_flow_arrives_once_or_is_declared() {
    let folder = tempfile::tempdir().unwrap();
    match Network::new() {
        Some(network) => tell(&ends("tcp", folder.path(), Some(network))),
        None => skipped("an outage over TCP", "this user may not make networks"),
    }
}

#[test]
fn over_tls_every_flow_arrives_once_or_is_declared() {
    let folder = tempfile::tempdir().unwrap();
    let Some(network) = Network::new() else {
        return skipped("an outage over TLS", "this user may not make networks");
    };
    let mut ends = ends("tls", folder.path(), Some(network));
    let authority = Authority::new(folder.path(), "authority");
    let ca = authority.path();
    let names = [ends.address.clone(), "exporter.example".to_owned()];
    ends.flags = names.map(|name| {
        let issued = authority.issue(&name, 2100);
        Authority::flags(&issued, &ca).map(str::to_owned).to_vec()
    });
    tell(&ends);
}

#[test]
fn over_sctp_every_flow_arrives_once_or_is_declared() {
    if borrowed_kernel::has_sctp("outages::over_sctp_every_flow_arrives_once_or_is_declared") {
        let folder = tempfile::tempdir().unwrap();
        tell(&ends("sctp", folder.path(), None));
    }
}
