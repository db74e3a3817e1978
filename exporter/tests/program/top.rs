//! `top` as people and scripts meet it: a page in a terminal, JSON, a few numbers at once, and one line for each fault.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use serde_json::Value;

use super::*;

const NETWORKS: &str = "192.0.2.0/24,2001:db8::/32";

fn office() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/office.pcap")
}

fn top(directory: &Path, arguments: &[&str]) -> Output {
    exporter(directory).arg("top").args(arguments).output().unwrap()
}

#[test]
fn packets_are_counted_at_once_by_their_way() {
    let directory = tempfile::tempdir().unwrap();
    let office = office();
    let office = office.to_str().unwrap();
    let began = Instant::now();
    let output = top(
        directory.path(),
        &["--read", office, "--packets", "5000", "--networks", NETWORKS],
    );
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |rest| rest.split(';').next().unwrap().trim().parse::<u64>().unwrap())
    };
    // The capture has fewer packets than asked for; every one has gone some way.
    let ways = [
        "packets out",
        "packets in",
        "packets from ours to ours",
        "packets neither from nor to ours",
    ]
    .map(number);
    assert_eq!(ways.iter().sum::<u64>(), 985, "{text}");
    assert!(ways[0] > 0 && ways[1] > 0, "{text}");
    let busiest: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("busiest"))
        .skip(1)
        .collect();
    assert_eq!(busiest.len(), 10, "{text}");
    // Exactly as many as asked for, and the busiest first.
    let output = top(directory.path(), &["--read", office, "--packets", "100", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["window"]["metrics"]["packets"]["value"], 100);
    let rows = json["window"]["metrics"]["ip.dst.packets"]["rows"].as_array().unwrap();
    let weights: Vec<u64> = rows.iter().map(|row| row["value"].as_u64().unwrap()).collect();
    assert!(weights.is_sorted_by(|a, b| a >= b) && weights.len() > 1);
}

#[test]
fn captures_give_one_object_for_scripts() {
    let directory = tempfile::tempdir().unwrap();
    let output = top(directory.path(), &["--read", office().to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["window"]["metrics"]["packets"]["value"], 985);
    assert_eq!(json["window"]["metrics"]["octets"]["value"], 285_508);
    assert_eq!(json["account"]["packets_metered"], 985);
}

#[test]
fn faults_take_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let cases: [(&[&str], i32, &str); 9] = [
        (&[], 2, "required"),
        (&["--read", "a", "--url", "http://h"], 2, "cannot be used with"),
        (
            &["--url", "http://127.0.0.1:1", "--packets", "5"],
            2,
            "cannot be used with",
        ),
        (&["--read", "a", "--networks", "10.0.0.0/33"], 2, "10.0.0.0/33"),
        (&["--read", "a", "--packets", "0"], 2, "0"),
        (&["--url", "127.0.0.1:1"], 1, "is not http://HOST:PORT"),
        (&["--url", "http://127.0.0.1:1"], 1, "is an exporter running there"),
        (&["--read", "missing.pcap", "--json"], 1, "missing.pcap"),
        (&["--interface", "no-such-interface", "--json"], 1, "no-such-interface"),
    ];
    for (arguments, status, expected) in cases {
        let output = top(directory.path(), arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
    }
    // A page needs a terminal.
    let output = top(directory.path(), &["--read", office().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--json"), "{}", stderr(&output));
}

/// A terminal of its own, ended with the test.
struct Tmux {
    directory: tempfile::TempDir,
}

impl Tmux {
    fn command(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(self.directory.path().join("socket"))
            .args(["-f", "/dev/null"])
            .args(arguments)
            .env_remove("TMUX")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn screen(&self) -> String {
        self.command(&["capture-pane", "-p", "-t", "top"])
    }

    /// Waits for a screen that holds all of these.
    fn wait_for(&self, expected: &[&str]) -> String {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let screen = self.screen();
            if expected.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            assert!(Instant::now() < deadline, "{expected:?} never came:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn press(&self, keys: &[&str]) {
        self.command(&[&["send-keys", "-t", "top"][..], keys].concat());
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.command(&["kill-server"]);
    }
}

#[test]
fn the_page_is_driven_by_keys_and_leaves_the_terminal_as_it_was() {
    if Command::new("tmux").arg("-V").output().is_err() {
        println!("skipped: no tmux: the page is not driven in a terminal");
        return;
    }
    let tmux = Tmux {
        directory: tempfile::tempdir().unwrap(),
    };
    let program = env!("CARGO_BIN_EXE_flowgauge-exporter");
    let office = office();
    let office = office.display();
    let shell =
        format!("echo before; '{program}' top --read '{office}' --networks {NETWORKS}; echo status=$?; sleep 30");
    tmux.command(&["new-session", "-d", "-s", "top", "-x", "160", "-y", "50", &shell]);
    let screen = tmux.wait_for(&["1 Overview", "Packets 985 ", "Query types", "q quit"]);
    assert!(
        !screen.contains("before"),
        "the page has a screen of its own:\n{screen}"
    );
    tmux.press(&["2"]);
    tmux.wait_for(&["Sources, packets", "Destinations, octets", "192.0.2.11"]);
    tmux.press(&["/"]);
    tmux.press(&["-l", "198.51"]);
    tmux.wait_for(&["filter: 198.51"]);
    tmux.press(&["Enter"]);
    let screen = tmux.wait_for(&["198.51.100.53", "q quit"]);
    assert!(!screen.contains("192.0.2.11"), "{screen}");
    tmux.press(&["Escape"]);
    tmux.wait_for(&["192.0.2.11"]);
    tmux.press(&["s"]);
    tmux.wait_for(&["by lightest"]);
    tmux.press(&["p"]);
    tmux.wait_for(&["PAUSED"]);
    tmux.command(&["resize-window", "-t", "top", "-x", "80", "-y", "24"]);
    tmux.wait_for(&["flowgauge top", "q quit"]);
    tmux.press(&["Tab"]);
    tmux.wait_for(&["Names by octets of responses", "Clients, queries", "3 DNS", "q quit"]);
    tmux.press(&["q"]);
    tmux.wait_for(&["before", "status=0"]);
}

/// A free port of this moment.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn get(address: SocketAddr, path: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

/// An exporter that captures from the loopback interface, ended with the test.
struct Live {
    child: Child,
    address: SocketAddr,
}

impl Live {
    fn start(directory: &Path) -> Option<Live> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut child = exporter(directory)
            .args([
                "run",
                "--interface",
                "lo",
                "--to",
                "json:-",
                "--user",
                "root",
                "--api",
                &address.to_string(),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while get(address, "/api/v1/rates").is_none() {
            if let Some(status) = child.try_wait().unwrap() {
                let mut text = String::new();
                child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
                assert!(text.contains("no permission"), "{status}: {text}");
                println!("skipped: {}: nothing is captured live", text.trim());
                return None;
            }
            assert!(Instant::now() < deadline, "no answer from {address}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Live { child, address })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ten_viewers_watch_one_exporter() {
    let directory = tempfile::tempdir().unwrap();
    let Some(live) = Live::start(directory.path()) else {
        return;
    };
    let url = format!("http://{}", live.address);
    let mut viewers: Vec<Child> = (0..10)
        .map(|_| {
            exporter(directory.path())
                .args(["top", "--json", "--url", &url])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for viewer in &mut viewers {
        let mut lines = BufReader::new(viewer.stdout.take().unwrap()).lines();
        let mut packets = Vec::new();
        for _ in 0..3 {
            let json: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            packets.push(json["window"]["metrics"]["packets"]["value"].as_u64().unwrap_or(0));
        }
        // They see their own questions pass.
        assert!(packets.is_sorted() && packets[2] > 0, "{packets:?}");
    }
    for mut viewer in viewers {
        viewer.kill().unwrap();
        viewer.wait().unwrap();
    }
    // Who asks for an address gets it or an error; nobody asked for the usual one.
    let taken = live.address.to_string();
    let output = run(
        directory.path(),
        &["--interface", "lo", "--to", "json:-", "--api", &taken],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot listen there"), "{}", stderr(&output));
}
