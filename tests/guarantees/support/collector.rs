//! A running collector, stopped at the end whatever happens.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{free_port, program};

pub struct Collector {
    child: Child,
    /// For UDP and TCP.
    pub port: u16,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Collector {
    /// Starts on free ports with its store in `data`, and waits until it is ready.
    pub fn start(data: &Path) -> Self {
        Self::start_on(data, free_port())
    }

    /// The same, with `port` for UDP and TCP.
    pub fn start_on(data: &Path, port: u16) -> Self {
        let listen = ["udp", "tcp"].map(|transport| format!("{transport}://127.0.0.1:{port}"));
        Self::start_with(data, port, &["--listen", &listen[0], "--listen", &listen[1]])
    }

    /// The same, with `arguments` that say where it listens; one of them names `port`.
    pub fn start_with(data: &Path, port: u16, arguments: &[&str]) -> Self {
        Self::start_within(None, ("127.0.0.1", free_port()), data, port, arguments)
    }

    /// The same with variables of the environment, by a program that runs others (`unshare`) where one is given.
    pub fn start_in(
        environment: &[(&str, &str)],
        by: Option<Command>,
        data: &Path,
        port: u16,
        arguments: &[&str],
    ) -> Self {
        let program = program("flowgauge-collector");
        let mut command = match by {
            Some(mut by) => {
                by.arg(program);
                by
            }
            None => Command::new(program),
        };
        command.envs(environment.iter().copied());
        Self::start_command(command, ("127.0.0.1", free_port()), data, port, arguments)
    }

    /// The same in a network namespace, where there is a name of one, with its pages at `http`.
    pub fn start_within(
        namespace: Option<&str>,
        (address, http): (&str, u16),
        data: &Path,
        port: u16,
        arguments: &[&str],
    ) -> Self {
        let program = program("flowgauge-collector");
        let command = match namespace {
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
            None => Command::new(program),
        };
        Self::start_command(command, (address, http), data, port, arguments)
    }

    fn start_command(
        mut command: Command,
        (address, http): (&str, u16),
        data: &Path,
        port: u16,
        arguments: &[&str],
    ) -> Self {
        let child = command
            .arg("run")
            .args(arguments)
            .args(["--http", &format!("{address}:{http}"), "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the collector starts");
        let collector = Self {
            child,
            port,
            url: format!("http://{address}:{http}"),
        };
        let ready = collector.wait(Duration::from_secs(20), || {
            ureq::get(format!("{}/readyz", collector.url)).call().is_ok()
        });
        assert!(ready, "the collector is not ready after 20 s");
        collector
    }

    pub fn get(&self, path: &str) -> Value {
        let mut answer = ureq::get(format!("{}{path}", self.url))
            .call()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// What a collector answers, unless it dies meanwhile.
    pub fn try_get(url: &str, path: &str) -> Option<Value> {
        let mut answer = ureq::get(format!("{url}{path}")).call().ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    /// SIGKILL: it has no chance to do anything any more.
    pub fn kill(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// Waits until `records` are stored and searchable; says how many there are at the end.
    pub fn wait_for(&self, records: u64) -> u64 {
        self.wait(Duration::from_secs(30), || self.flows() >= records);
        self.flows()
    }

    /// How many records a search finds.
    pub fn flows(&self) -> u64 {
        self.get("/api/v1/aggregate?metrics=flows")["rows"][0]["flows"]
            .as_f64()
            .unwrap_or(0.0) as u64
    }

    fn wait(&self, longest: Duration, done: impl Fn() -> bool) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < longest {
            if done() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// SIGTERM; gives what it wrote to standard error. It must end well, within 20 s.
    pub fn terminate(mut self) -> String {
        Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .expect("kill");
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                break status;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "the collector does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut words = String::new();
        self.child
            .stderr
            .take()
            .expect("piped")
            .read_to_string(&mut words)
            .expect("text");
        assert!(status.success(), "{status}: {words}");
        words
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Already gone after `terminate`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
