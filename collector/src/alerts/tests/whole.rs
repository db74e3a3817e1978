//! A whole collector: flows come in, a rule fires, a webhook is told, the flows stop, it is over; and what a restart keeps.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::alerts::rule::{Comparison, Rule};
use crate::config::Config;
use crate::io::listener::Transport;
use crate::run::{Collector, now_ns};
use crate::test_messages::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// An HTTP server that takes what it is sent while it is open, and says that it cannot while it is not.
fn receiver(is_open: &Arc<AtomicBool>) -> (String, Receiver<Json>) {
    let is_open = Arc::clone(is_open);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook?token=secret", listener.local_addr().unwrap());
    let (told, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while lines.read_line(&mut line).unwrap_or(0) > 2 {
                if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            let open = is_open.load(Ordering::Acquire);
            let status = if open { "200 OK" } else { "503 Service Unavailable" };
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            .unwrap();
            if open && told.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, heard)
}

fn config(directory: &std::path::Path, rules: Vec<Rule>, webhooks: Vec<String>) -> Config {
    let mut config = Config {
        listeners: vec!["udp://127.0.0.1:0".parse().unwrap()],
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: directory.to_owned(),
        ..Config::default()
    };
    config.store.commit_ms = 20;
    // Below what the configuration allows, so that the test need not wait for minutes.
    config.alerts.interval = Duration::from_millis(50);
    config.alerts.delay = Duration::ZERO;
    config.alerts.rules = rules;
    config.alerts.webhooks = webhooks;
    config
}

fn get(collector: &Collector, path: &str) -> Json {
    let mut stream = TcpStream::connect(collector.http_address()).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: identity\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{text}");
    serde_json::from_str(body).unwrap_or_else(|_| body.into())
}

fn wait(collector: &Collector, what: &str, holds: impl Fn(&Json) -> bool) -> Json {
    let until = Instant::now() + PATIENCE;
    loop {
        let answer = get(collector, "/api/v1/alerts");
        if holds(&answer) {
            return answer;
        }
        assert!(Instant::now() < until, "{what}: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_state(state: &'static str) -> impl Fn(&Json) -> bool {
    move |answer| answer["rules"][0]["state"] == state
}

/// Three flows of this moment.
fn send_flows(collector: &Collector, socket: &UdpSocket, sequence: &mut u32) {
    let to = collector.address(Transport::Udp).unwrap();
    let now_ms = u64::try_from(now_ns() / 1_000_000).unwrap();
    let flows = [1, 2, 3].map(|host| flow_at(host, 100 * u64::from(host), now_ms - 2_000));
    let datagram = message(7, *sequence, &[flow_template(), set(TEMPLATE, &flows.concat())]);
    socket.send_to(&datagram, to).unwrap();
    *sequence += 3;
}

fn rule(window: Duration) -> Rule {
    let rule = Rule {
        name: "flows".to_owned(),
        filter: "dst.port = 443".to_owned(),
        metric: "flows".to_owned(),
        window_ns: i64::try_from(window.as_nanos()).unwrap(),
        op: Comparison::GreaterOrEqual,
        threshold: 3.0,
        clear: 3.0,
        severity: "critical",
        labels: [("team".to_owned(), "net".to_owned())].into(),
        ..Rule::default()
    };
    rule.check().unwrap();
    rule
}

#[test]
fn a_rule_fires_is_told_and_is_over_when_the_flows_stop() {
    let directory = tempfile::tempdir().unwrap();
    let (url, heard) = receiver(&Arc::new(AtomicBool::new(true)));
    let rules = vec![rule(Duration::from_secs(2))];
    let collector = Collector::start(config(directory.path(), rules, vec![url])).unwrap();
    wait(&collector, "no flow, nothing fires", is_state("ok"));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sequence = 0;
    let until = Instant::now() + PATIENCE;
    let told = loop {
        send_flows(&collector, &socket, &mut sequence);
        match heard.recv_timeout(Duration::from_millis(100)) {
            Ok(told) => break told,
            Err(_) => assert!(Instant::now() < until, "nothing fires"),
        }
    };
    assert_eq!(told["event"], "firing");
    assert_eq!(
        (&told["name"], &told["severity"]),
        (&"flows".into(), &"critical".into())
    );
    assert_eq!((&told["labels"]["team"], &told["from"]), (&"net".into(), &"ok".into()));
    assert!(told["value"].as_f64().unwrap() >= 3.0, "{told}");
    let told = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (&told["event"], &told["value"]),
        (&"resolved".into(), &0.0.into()),
        "{told}"
    );
    // It is counted when the answer has been read.
    let sent = |answer: &Json| answer["stats"]["webhooks"][0]["sent"] == 2;
    let answer = wait(&collector, "it is over", |answer| {
        sent(answer) && is_state("ok")(answer)
    });
    let stats = &answer["stats"];
    assert_eq!((&stats["firing"], &stats["evaluation_errors"]), (&0.into(), &0.into()));
    let shown = stats["webhooks"][0]["url"].as_str().unwrap();
    assert!(
        shown.starts_with("http://127.0.0.1:") && !shown.contains("secret"),
        "{shown}"
    );
    let rows = get(&collector, "/api/v1/alerts/history?limit=5");
    let steps = rows["rows"].as_array().unwrap().iter();
    let steps: Vec<_> = steps
        .map(|row| (row["from"].as_str().unwrap(), row["to"].as_str().unwrap()))
        .collect();
    assert_eq!(steps, [("firing", "ok"), ("ok", "firing")]);
    let metrics = get(&collector, "/metrics");
    let metrics = metrics.as_str().unwrap();
    assert!(
        metrics.contains("flowgauge_collector_alerts_firing{rule=\"flows\",severity=\"critical\"} 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("flowgauge_collector_alerts_webhook_sent_total{webhook=\"http://127.0.0.1:"),
        "{metrics}"
    );
    collector.stop();
}

#[test]
fn what_fires_and_what_waits_to_be_told_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let is_open = Arc::new(AtomicBool::new(false));
    let (url, heard) = receiver(&is_open);
    let rules = || vec![rule(Duration::from_secs(86_400))];
    let collector = Collector::start(config(directory.path(), rules(), vec![url.clone()])).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    send_flows(&collector, &socket, &mut 0);
    let before = wait(&collector, "three flows fire", is_state("firing"));
    let until = Instant::now() + PATIENCE;
    while get(&collector, "/api/v1/alerts")["stats"]["webhooks"][0]["retried"] == 0 {
        assert!(Instant::now() < until);
    }
    collector.stop();
    is_open.store(true, Ordering::Release);
    let collector = Collector::start(config(directory.path(), rules(), vec![url])).unwrap();
    let told = heard.recv_timeout(PATIENCE).unwrap();
    assert_eq!((&told["event"], &told["to"]), (&"firing".into(), &"firing".into()));
    let evaluated = |answer: &Json| {
        answer["stats"]["evaluations"].as_u64() > Some(2) && answer["stats"]["webhooks"][0]["sent"] == 1
    };
    let behind = wait(&collector, "rules are looked at", evaluated);
    assert_eq!(behind["rules"][0]["since"], before["rules"][0]["since"]);
    assert_eq!(
        (&behind["rules"][0]["state"], &behind["stats"]["webhooks"][0]["sent"]),
        (&"firing".into(), &1.into())
    );
    let rows = get(&collector, "/api/v1/alerts/history");
    assert_eq!(rows["rows"].as_array().unwrap().len(), 1, "{rows}");
    // Another rule of the same name asks something else: what the old one said is over.
    let mut other = rule(Duration::from_secs(86_400));
    other.metric = "octets".to_owned();
    other.threshold = 1e9;
    collector.shared().alerts.reload(&[other], now_ns());
    assert_eq!(heard.recv_timeout(PATIENCE).unwrap()["event"], "resolved");
    wait(&collector, "the other rule is looked at", is_state("ok"));
    collector.stop();
}

#[test]
fn the_answer_has_the_form_that_was_agreed() {
    let directory = tempfile::tempdir().unwrap();
    let mut grouped = rule(Duration::from_secs(86_400));
    grouped.group_by = vec!["src.ip/24".to_owned(), "proto".to_owned()];
    grouped.name = "by network".to_owned();
    let mut ratio = rule(Duration::from_secs(86_400));
    ratio.name = "part".to_owned();
    ratio.part = Some("octets > 150".to_owned());
    ratio.metric = "octets".to_owned();
    (ratio.threshold, ratio.clear) = (0.8, 0.8);
    let silence = Rule {
        name: "silent".to_owned(),
        metric: "exporter.silence".to_owned(),
        threshold: 1e9,
        clear: 1e9,
        ..Rule::default()
    };
    let loss = Rule {
        name: "lossy".to_owned(),
        metric: "exporter.loss".to_owned(),
        ..Rule::default()
    };
    let rules = vec![grouped, ratio, silence, loss];
    let collector = Collector::start(config(directory.path(), rules, Vec::new())).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sequence = 0;
    send_flows(&collector, &socket, &mut sequence);
    let lossless = |answer: &Json| answer["rules"][3]["state"] != "no_data";
    wait(&collector, "somebody was heard", |answer| {
        !answer["rules"][2]["groups"].as_array().unwrap().is_empty()
    });
    // Six records of twelve are missing before these.
    sequence += 6;
    send_flows(&collector, &socket, &mut sequence);
    wait(&collector, "loss", |answer| {
        lossless(answer) && answer["rules"][3]["state"] == "firing"
    });
    let answer = wait(&collector, "silence", |answer| answer["rules"][2]["state"] == "firing");
    let rules = &answer["rules"];
    let group = &rules[0]["groups"][0];
    assert_eq!(
        group["group"],
        serde_json::json!({ "src.ip/24": "10.0.0.0/24", "proto": 6 })
    );
    assert_eq!(
        (&group["state"], &group["value"], &rules[0]["unit"]),
        (&"firing".into(), &6.0.into(), &"flows".into())
    );
    // 200 and 300 of 100, 200 and 300, twice.
    let part = rules[1]["value"].as_f64().unwrap();
    assert!(
        (part - 1_000.0 / 1_200.0).abs() < 1e-9 && rules[1]["state"] == "firing",
        "{}",
        rules[1]
    );
    assert_eq!(rules[1]["groups"].as_array().unwrap().len(), 0);
    assert_eq!(
        rules[2]["groups"][0]["group"],
        serde_json::json!({ "exporter": "127.0.0.1" })
    );
    let lost = rules[3]["value"].as_f64().unwrap();
    assert!(lost > 0.0 && lost <= 6.0 / 9.0 + 1e-9, "{lost}");
    for key in [
        "name",
        "filter",
        "metric",
        "op",
        "threshold",
        "window_s",
        "for_s",
        "severity",
        "state",
        "value",
        "since",
        "evaluated",
        "error",
        "labels",
        "groups",
    ] {
        assert!(
            rules.as_array().unwrap().iter().all(|rule| rule.get(key).is_some()),
            "{key}"
        );
    }
    let document = get(&collector, "/api/openapi.json");
    let described = document["components"]["schemas"]["Alert"]["properties"]
        .as_object()
        .unwrap();
    let answered = rules[0].as_object().unwrap();
    assert!(answered.keys().eq(described.keys()), "{answered:?} {described:?}");
    let history = get(&collector, "/api/v1/alerts/history");
    assert!(
        history["rows"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["name"] == "lossy" && row["to"] == "firing")
    );
    collector.stop();
}
