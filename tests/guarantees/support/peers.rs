//! Other people's programs, which say whether what we send is what we mean.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::text;

/// Whether a program is installed.
pub fn is_installed(name: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {name}")])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// nfcapd, writing into a folder of its own.
pub struct Nfcapd {
    child: Child,
    folder: PathBuf,
}

impl Nfcapd {
    pub fn start(folder: &Path, port: u16) -> Self {
        let child = Command::new("nfcapd")
            .args([
                "-b",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-t",
                "3600",
                "-B",
                "8388608",
                "-y",
                "-w",
            ])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nfcapd starts");
        let begin = Instant::now();
        // It has bound its port when the port can no longer be bound.
        while std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(10), "nfcapd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self {
            child,
            folder: folder.to_owned(),
        }
    }

    /// Ends it, and gives what `nfdump -I` says of the file by name.
    pub fn summary(self) -> std::collections::BTreeMap<String, u64> {
        self.flows().0
    }

    /// The same, with the flows as nfdump prints them as JSON, in UTC.
    pub fn flows(mut self) -> (std::collections::BTreeMap<String, u64>, serde_json::Value) {
        let file = self.end();
        let nfdump = |arguments: &[&str]| {
            let mut command = Command::new("nfdump");
            let output = command.env("TZ", "UTC").arg("-r").arg(&file).args(arguments).output();
            text(&output.expect("nfdump").stdout)
        };
        let number = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().parse().ok()?))
        };
        let summary = nfdump(&["-I"]).lines().filter_map(number).collect();
        let flows = serde_json::from_str(&nfdump(&["-o", "json"])).unwrap_or_default();
        (summary, flows)
    }

    /// Ends it; gives the file that it wrote.
    fn end(&mut self) -> PathBuf {
        // What is in its socket has been read when nothing has changed for a while; it says nothing about that.
        std::thread::sleep(Duration::from_millis(1_500));
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .expect("kill");
        self.child.wait().expect("nfcapd ends");
        std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| {
                path.file_name()
                    .is_some_and(|name| name.to_string_lossy().starts_with("nfcapd.2"))
            })
            .expect("nfcapd wrote a file")
    }
}

impl Drop for Nfcapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
