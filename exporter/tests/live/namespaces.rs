//! Network namespaces that a test makes for itself, with the exporter in them and frames that we send into them.
//!
//! Everything goes when the value is dropped. Where namespaces cannot be made, the test says that it is skipped and why.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing here takes longer than this.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A network namespace.
pub struct Namespace {
    pub name: String,
}

impl Namespace {
    /// A new one without IPv6, so that nothing is sent but what the test sends; none where that is not permitted.
    pub fn make(test: &str) -> Option<Namespace> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("flowgauge-{}-{number}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        let namespace = match made {
            Ok(output) if output.status.success() => Namespace { name },
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                println!("skipped: {test}: no network namespace can be made: {}", said.trim());
                return None;
            }
            Err(error) => {
                println!("skipped: {test}: ip(8) is not there: {error}");
                return None;
            }
        };
        namespace.execute(&[
            "sh",
            "-c",
            "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; true",
        ]);
        Some(namespace)
    }

    /// Runs `ip -n NAME ..`, of which all must be there.
    pub fn ip(&self, arguments: &str) {
        let output = Command::new("ip")
            .args(["-n", &self.name])
            .args(arguments.split_whitespace())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {arguments}: {said}");
    }

    /// Runs a program within.
    pub fn execute(&self, command: &[&str]) -> Output {
        self.command(command).output().unwrap()
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut ip = Command::new("ip");
        ip.args(["netns", "exec", &self.name]).args(command);
        ip
    }

    /// Does something on a thread of its own that is in this namespace.
    pub fn within<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let file = File::open(Path::new("/run/netns").join(&self.name)).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: takes a descriptor that is open; only this thread, which ends soon, is moved.
                let status = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
                assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
                act()
            });
            thread.join().unwrap()
        })
    }

    /// Sends frames on an interface, `per_second` of them a second at most; returns how many a second it were.
    pub fn send<'f>(&self, interface: &str, per_second: u32, frames: impl Iterator<Item = &'f [u8]> + Send) -> f64 {
        self.within(move || {
            let inactive = pcap::Capture::from_device(interface).unwrap();
            let mut link = inactive.snaplen(64).open().unwrap();
            // What we send is not to be read again here.
            link.filter("len < 0", true)
                .or_else(|_| link.filter("less 0", true))
                .unwrap();
            let began = Instant::now();
            let mut sent = 0u32;
            for frame in frames {
                while f64::from(sent) > began.elapsed().as_secs_f64() * f64::from(per_second) {
                    std::hint::spin_loop();
                }
                link.sendpacket(frame).unwrap();
                sent += 1;
            }
            f64::from(sent) / began.elapsed().as_secs_f64()
        })
    }

    /// Starts the exporter within, and returns when it captures.
    pub fn exporter(&self, arguments: &[&str]) -> Exporter {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flows.json");
        let mut child = self
            .command(&[env!("CARGO_BIN_EXE_flowgauge-exporter"), "run", "--to"])
            .arg(format!("json:{}", path.display()))
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        // Said when interfaces and destinations are open; in these tests we are root.
        while !said.contains("captures are open") && !said.contains("stays root") {
            assert_ne!(log.read_line(&mut said).unwrap(), 0, "{said}");
        }
        // The signals are listened to right after.
        std::thread::sleep(Duration::from_millis(100));
        Exporter {
            child,
            log,
            said,
            path,
            _directory: directory,
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// A veth pair, an end in each of two namespaces: `va` and `vb`.
pub fn veth_pair(test: &str) -> Option<(Namespace, Namespace)> {
    let (left, right) = (Namespace::make(test)?, Namespace::make(test)?);
    left.ip(&format!("link add name va type veth peer name vb netns {}", right.name));
    left.ip("link set va up");
    right.ip("link set vb up");
    Some((left, right))
}

/// A running exporter.
pub struct Exporter {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
    pub said: String,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Exporter {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Records written so far.
    pub fn records(&self) -> Vec<Value> {
        records(&self.path)
    }

    /// Ends it in good order; its records and all it said.
    pub fn end(mut self) -> (Vec<Value>, String) {
        self.signal("TERM");
        while self.log.read_line(&mut self.said).unwrap() > 0 {}
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}", self.said);
        (records(&self.path), self.said.clone())
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    // The last line may be one that is just being written.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The number of a field, 0 where it is absent.
pub fn number(record: &Value, field: &str) -> u64 {
    record.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// Packets and octets of all records, both directions.
pub fn totals(records: &[Value]) -> (u64, u64) {
    let sum = |fields: [&str; 2]| {
        let of = |record: &Value| fields.iter().map(|field| number(record, field)).sum::<u64>();
        records.iter().map(of).sum()
    };
    (
        sum(["packetDeltaCount", "reversePacketDeltaCount"]),
        sum(["octetDeltaCount", "reverseOctetDeltaCount"]),
    )
}
