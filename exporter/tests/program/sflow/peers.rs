//! Other people's collectors of sFlow read what we send, with the numbers that the capture has.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{capture, is_installed, start, stderr};

/// A program that listens on a port, ended with the value.
struct Peer(Child);

impl Peer {
    fn start(mut command: Command, port: u16) -> Peer {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (peer, begin) = (Peer(child), Instant::now());
        // It has bound its port when the port can no longer be bound.
        while std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(10), "it does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        peer
    }

    fn end(mut self) {
        let _ = Command::new("kill")
            .args(["-s", "INT", &self.0.id().to_string()])
            .status();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) && self.0.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn send(directory: &Path, read: &Path, port: u16) {
    let to = format!("sflow://127.0.0.1:{port}");
    let child = start(directory, read, &to, &["--sflow-sample", "1/1", "--rate", "5000"]);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    std::thread::sleep(Duration::from_millis(1_500));
}

#[test]
fn sfcapd_reads_every_sample() {
    if !is_installed("sfcapd") || !is_installed("nfdump") {
        println!("skipped: sfcapd is not there (Debian: nfdump-sflow)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let read = capture(directory.path(), 1000..1300);
    let (port, store) = (free_port(), directory.path().join("store"));
    std::fs::create_dir(&store).unwrap();
    let mut command = Command::new("sfcapd");
    command.args(["-b", "127.0.0.1", "-p", &port.to_string(), "-t", "3600", "-w"]);
    command.arg(&store);
    let peer = Peer::start(command, port);
    send(directory.path(), &read, port);
    peer.end();
    let file = std::fs::read_dir(&store)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("nfcapd.2"))
        })
        .expect("a file");
    let dump = |arguments: &[&str]| {
        let output = Command::new("nfdump")
            .arg("-r")
            .arg(&file)
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let summary = dump(&["-I"]);
    let number = |name: &str| {
        let line = summary
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{summary}"));
        line.rsplit(':').next().unwrap().trim().parse::<u64>().unwrap()
    };
    assert_eq!(number("Sequence failures"), 0);
    assert_eq!((number("Flows"), number("Packets")), (300, 300));
    // It counts the frame as it says it was, with its check sequence.
    assert_eq!(number("Bytes"), 300 * 54);
    let lines = dump(&["-q", "-o", "fmt:%sa %sp %da %dp %pr"]);
    let mut ports: Vec<u16> = lines
        .lines()
        .filter(|line| line.contains("192.0.2.1") && line.contains("192.0.2.2") && line.contains("UDP"))
        .map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap())
        .collect();
    ports.sort_unstable();
    assert_eq!(ports, (1000..1300).collect::<Vec<_>>());
}

#[test]
fn sfacctd_reads_every_sample() {
    if !is_installed("sfacctd") {
        println!("skipped: sfacctd is not there (Debian: pmacct)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let read = capture(directory.path(), 1000..1300);
    let port = free_port();
    let [out, log] = ["out.csv", "log"].map(|name| directory.path().join(name));
    let config = directory.path().join("sfacctd.conf");
    let lines = [
        "daemonize: false".to_owned(),
        "sfacctd_ip: 127.0.0.1".to_owned(),
        format!("sfacctd_port: {port}"),
        "plugins: print".to_owned(),
        "aggregate: src_host,dst_host,src_port,dst_port,proto".to_owned(),
        "print_output: csv".to_owned(),
        "print_refresh_time: 1".to_owned(),
        "print_output_file_append: true".to_owned(),
        format!("print_output_file: {}", out.display()),
        format!("logfile: {}", log.display()),
    ];
    std::fs::write(&config, lines.join("\n") + "\n").unwrap();
    let mut command = Command::new("sfacctd");
    command.arg("-f").arg(&config);
    let peer = Peer::start(command, port);
    // Its plugin drops what comes before it is there, which it is when it has looked at its empty cache.
    let (begin, said) = (Instant::now(), || std::fs::read_to_string(&log).unwrap_or_default());
    while !said().contains("Purging cache - END") {
        assert!(
            begin.elapsed() < Duration::from_secs(15),
            "its plugin does not start: {}",
            said()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    send(directory.path(), &read, port);
    let begin = Instant::now();
    let rows = loop {
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        let rows: Vec<Vec<String>> = text
            .lines()
            .filter(|line| line.starts_with("192.0.2.1,"))
            .map(|line| line.split(',').map(str::to_owned).collect())
            .collect();
        if rows.len() >= 300 || begin.elapsed() > Duration::from_secs(10) {
            break rows;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let said = said();
    peer.end();
    // SRC_IP, DST_IP, SRC_PORT, DST_PORT, PROTOCOL, PACKETS, BYTES.
    let mut ports: Vec<u16> = rows.iter().map(|row| row[2].parse().unwrap()).collect();
    ports.sort_unstable();
    assert_eq!(ports, (1000..1300).collect::<Vec<_>>(), "{said}");
    for row in &rows {
        assert_eq!((&*row[1], &*row[4], &*row[5]), ("192.0.2.2", "udp", "1"), "{row:?}");
    }
}
