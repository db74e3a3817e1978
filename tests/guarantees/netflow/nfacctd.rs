//! nfacctd, started and ended.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// nfacctd of pmacct, which prints what it got as JSON lines.
pub struct Nfacctd {
    child: Child,
    folder: PathBuf,
}

impl Nfacctd {
    pub fn start(folder: &Path, port: u16) -> Self {
        let configuration = format!(
            "nfacctd_ip: 127.0.0.1\nnfacctd_port: {port}\nplugins: print\naggregate: src_host,dst_host,src_port,dst_port,proto\n\
             print_output: json\nprint_output_file: {out}\nprint_refresh_time: 3600\nprint_cache_entries: 16411\n\
             logfile: {log}\nnfacctd_pipe_size: 8388608\nplugin_pipe_size: 67108864\nplugin_buffer_size: 65536\n",
            out = folder.join("out.json").display(),
            log = folder.join("log").display(),
        );
        std::fs::write(folder.join("nfacctd.conf"), configuration).unwrap();
        let child = Command::new("nfacctd")
            .arg("-f")
            .arg(folder.join("nfacctd.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nfacctd starts");
        let begin = Instant::now();
        while UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(10), "nfacctd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self {
            child,
            folder: folder.to_owned(),
        }
    }

    /// Ends it; packets and octets that it printed, and its log.
    pub fn totals(mut self) -> ([u64; 2], String) {
        std::thread::sleep(Duration::from_millis(1_500));
        // SIGINT lets the plugin write what it has.
        Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .expect("kill");
        self.child.wait().expect("nfacctd ends");
        let out = self.folder.join("out.json");
        let begin = Instant::now();
        let mut sum = [0, 0];
        // The plugin is a process of its own, which may still be writing.
        let mut before = usize::MAX;
        while begin.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(300));
            let lines = std::fs::read_to_string(&out).unwrap_or_default();
            if !lines.is_empty() && lines.len() == before {
                sum = lines
                    .lines()
                    .map(|line| serde_json::from_str::<Value>(line).unwrap())
                    .fold([0, 0], |sum, line| {
                        [
                            sum[0] + line["packets"].as_u64().unwrap(),
                            sum[1] + line["bytes"].as_u64().unwrap(),
                        ]
                    });
                break;
            }
            before = lines.len();
        }
        (
            sum,
            std::fs::read_to_string(self.folder.join("log")).unwrap_or_default(),
        )
    }
}

impl Drop for Nfacctd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
