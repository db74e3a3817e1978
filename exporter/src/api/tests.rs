//! The API over real connections, fed by captures: its numbers are those of `summary` and of who wrote the captures.

mod exposition;
mod limits;
mod shape;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{ApiServer, Shared, SharedAccounts};
use crate::capture::{FrameSource as _, Lent};
use crate::io::pcap_file::PcapFiles;
use crate::metering::FlowEndReason;
use crate::run::accounts::MeteringAccounts;
use crate::run::summary::{SummaryConfig, summarize};
use crate::summaries::sketch::Cardinality;
use crate::summaries::{Networks, SharedConfig, SharedSummaries, Summaries, SummariesConfig};
use crate::top::local::{meter, sum_up};

const WINDOW: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// An API over what a capture holds.
pub(super) struct Running {
    pub server: ApiServer,
    pub accounts: Arc<SharedAccounts>,
}

pub(super) fn office() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/office.pcap")
}

impl Running {
    /// Nothing captured, no summaries.
    pub fn without_summaries() -> Running {
        Running::start(None, Arc::default(), Arc::default())
    }

    fn start(
        summaries: Option<Arc<SharedSummaries>>,
        accounts: Arc<SharedAccounts>,
        networks: Arc<Networks>,
    ) -> Running {
        let shared = Arc::new(Shared::new(summaries, accounts.clone(), networks));
        let server = ApiServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), shared).unwrap();
        Running { server, accounts }
    }

    /// All windows closed, but where `is_open` is set.
    pub fn of(capture: &Path, networks: &str, is_open: bool) -> Running {
        let window_ns = i64::try_from(WINDOW.as_nanos()).unwrap();
        let summaries = Arc::new(SharedSummaries::new(SharedConfig {
            window_ns,
            kept: 30,
            ..SharedConfig::default()
        }));
        summaries.keep_open();
        let networks = Arc::new(Networks::parse(networks.split(',')).unwrap());
        let mut summing = Summaries::new(SummariesConfig {
            window_ns,
            networks: networks.clone(),
            ..SummariesConfig::default()
        });
        let mut meter = meter();
        let mut files = PcapFiles::open(&[capture.to_owned()], None).unwrap();
        loop {
            match files.next_frames().unwrap() {
                Lent::Frames(frames) => meter.handle_frames(&frames),
                Lent::Frame(frame) => meter.handle_frame(
                    frame.time_ns,
                    frame.link_type,
                    frame.bytes,
                    frame.wire_length,
                    frame.interface,
                ),
                Lent::Quiet => {}
                Lent::End => break,
            }
            sum_up(&mut meter, &mut summing);
            summaries.hand_over(0, 1, &mut summing);
        }
        while !meter.finish(FlowEndReason::ForcedEnd) {
            sum_up(&mut meter, &mut summing);
        }
        sum_up(&mut meter, &mut summing);
        summaries.hand_over(0, 1_000_000_001, &mut summing);
        if !is_open {
            summaries.finish(0, 1_000_000_001, &mut summing);
        }
        let accounts = Arc::new(SharedAccounts::default());
        accounts.publish(
            0,
            MeteringAccounts {
                interface: Some("eth0".to_owned()),
                meter: meter.counters().clone(),
                dns: meter.dns_counters(),
                source: files.counters(),
                ..MeteringAccounts::default()
            },
        );
        let running = Running::start(Some(summaries), accounts, networks);
        running.server.shared().set_ready(true);
        running
    }

    pub fn request(&self, text: &str) -> Answer {
        request(self.server.address(), text)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }
}

pub(super) fn request(address: SocketAddr, text: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).unwrap();
    let split = octets.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(octets[..split].to_vec()).unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head,
        body: octets[split + 4..].to_vec(),
    }
}

fn summary(capture: &Path, networks: &str) -> Value {
    let config = SummaryConfig {
        read: vec![capture.to_owned()],
        filter: None,
        window: WINDOW,
        rows: 1000,
        networks: Networks::parse(networks.split(',')).unwrap(),
        geo: Vec::new(),
    };
    let (summary, faults) = summarize(&config).unwrap();
    assert_eq!(faults, Vec::<String>::new());
    summary
}

/// Equal but for the last bit of numbers that were added up in another order.
fn assert_alike(one: &Value, other: &Value, place: &str) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            assert_eq!(one.len(), other.len(), "{place}");
            for (key, value) in one {
                assert_alike(value, &other[key], &format!("{place}/{key}"));
            }
        }
        (Value::Array(one), Value::Array(other)) => {
            assert_eq!(one.len(), other.len(), "{place}");
            for (one, other) in one.iter().zip(other) {
                assert_alike(one, other, place);
            }
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            assert!((one - other).abs() <= 1e-9 * other.abs(), "{place}: {one} {other}");
        }
        (one, other) => assert_eq!(one, other, "{place}"),
    }
}

const OFFICE: &str = "192.0.2.0/24,2001:db8::/32";

#[test]
fn windows_add_up_to_what_summary_says_and_the_writer_knows() {
    let running = Running::of(&office(), OFFICE, false);
    let truth: Value = serde_json::from_slice(&std::fs::read(office().with_extension("json")).unwrap()).unwrap();
    let merged = running.json("/api/v1/windows/merged?n=30&rows=1000");
    assert_eq!(merged["metrics"]["packets"]["value"], truth["totals"]["packets"]);
    assert_eq!(merged["metrics"]["octets"]["value"], truth["totals"]["octets"]);
    let summary = summary(&office(), OFFICE);
    for key in ["from", "to", "windows", "metrics"] {
        assert_alike(&merged[key], &summary[key], key);
    }

    let list = running.json("/api/v1/windows");
    let windows = list["windows"].as_array().unwrap();
    // A window that opened again for what came late is one window here.
    let spans: std::collections::BTreeSet<&str> = windows.iter().map(|one| one["from"].as_str().unwrap()).collect();
    assert_eq!(spans.len(), windows.len());
    let mut packets = 0;
    for window in windows {
        let one = running.json(&format!("/api/v1/windows/{}", window["n"]));
        for key in ["from", "to", "n", "open"] {
            assert_eq!(one[key], window[key], "{key}");
        }
        assert_eq!(one["metrics"]["packets"]["value"], window["packets"]);
        packets += window["packets"].as_u64().unwrap();
    }
    assert_eq!(packets, truth["totals"]["packets"].as_u64().unwrap());
    let rates = running.json("/api/v1/rates");
    assert_eq!(rates["account"]["packets_metered"], truth["totals"]["packets"]);
    assert_eq!(rates["account"]["summarized_packets"], truth["totals"]["packets"]);
}

#[test]
fn the_window_being_filled_counts_where_it_is_asked_for() {
    let running = Running::of(&office(), OFFICE, true);
    let all = summary(&office(), OFFICE);
    let open = running.json("/api/v1/windows/merged?open=true");
    assert_eq!(open["metrics"]["packets"], all["metrics"]["packets"]);
    assert_alike(&open["metrics"]["ip.src"], &all["metrics"]["ip.src"], "ip.src");
    let newest = running.json("/api/v1/windows/0");
    assert_eq!(newest["open"], true);
    assert_eq!(newest["to"], all["to"]);
    let closed = running.json("/api/v1/windows/merged")["metrics"]["packets"]["value"].as_u64();
    assert!(closed < all["metrics"]["packets"]["value"].as_u64());
}

#[test]
fn sketches_are_images_that_merge_elsewhere() {
    let running = Running::of(&office(), OFFICE, false);
    let one = running.json("/api/v1/windows/1");
    let answer = running.get("/api/v1/windows/1/sketches/ip.src");
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("x-sketch-family"), Some("7"));
    assert_eq!(answer.header("x-sketch-from"), one["from"].as_str());
    let sketch = Cardinality::of_image(&answer.body).unwrap();
    assert_eq!(one["metrics"]["ip.src"]["value"], sketch.estimate().value);
    assert_eq!(
        answer.header("x-sketch-parameter"),
        Some(&*sketch.parameter().to_string())
    );
    for (metric, family) in [("ip.dst.packets", "10"), ("packet.size", "15")] {
        let answer = running.get(&format!("/api/v1/windows/1/sketches/{metric}"));
        assert_eq!(
            (answer.status, answer.header("x-sketch-family")),
            (200, Some(family)),
            "{metric}"
        );
        // The third octet of an image is its family, whatever the sketch.
        assert_eq!(answer.body[2].to_string(), family);
    }
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    let running = Running::of(&office(), OFFICE, false);
    for (path, status, detail) in [
        ("/api/v1/window", 404, "no path /api/v1/window"),
        ("/api/v1/windows/99", 400, "\"99\" is not a number from 0 to 30"),
        ("/api/v1/windows/29", 404, "no window 29: there are windows 1 to"),
        ("/api/v1/windows/0", 404, "no window is being filled"),
        ("/api/v1/windows/1?row=3", 400, "no parameter row: there are rows"),
        ("/api/v1/windows/1?rows=1001", 400, "not a number from 0 to 1000"),
        ("/api/v1/windows/merged?open=1", 400, "not true or false"),
        ("/api/v1/windows/1/sketches/packets", 404, "is a counter"),
        ("/api/v1/windows/1/sketches/ip.scr", 404, "no metric ip.scr"),
        ("/api/v1/policies/x/metrics/bucket/0", 404, "there is one, default"),
        ("/api/v1/rates?a=b", 400, "there are none here"),
    ] {
        let answer = running.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{path}"
        );
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert!(
            problem["detail"].as_str().unwrap().contains(detail),
            "{path}: {problem}"
        );
    }
    let misspelt = running.get("/api/v1/windows/1/sketches/ip.scr").json();
    assert_eq!(misspelt["nearest"], "ip.src");
    let posted = running.request("POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    let none = Running::without_summaries();
    let answer = none.get("/api/v1/windows");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("--summaries"), "{}", answer.text());
}

#[test]
fn health_is_not_readiness() {
    let running = Running::without_summaries();
    assert_eq!(running.get("/healthz").status, 200);
    assert_eq!(running.get("/readyz").status, 503);
    running.server.shared().set_ready(true);
    assert_eq!(running.get("/readyz").status, 200);
}

#[test]
fn every_documented_path_answers() {
    let running = Running::of(&office(), OFFICE, true);
    let document = running.json("/api/openapi.json");
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), super::PATHS.len());
    for path in paths.keys() {
        let asked = path
            .replace("{n}", "1")
            .replace("{metric}", "ip.src")
            .replace("{policy}", "__all");
        let answer = running.get(&asked);
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text());
        let contents = document["paths"][path]["get"]["responses"]["200"]["content"]
            .as_object()
            .unwrap();
        let kind = answer.header("content-type").unwrap().split(';').next().unwrap();
        assert!(contents.contains_key(kind), "{path}: {kind}");
    }
}
