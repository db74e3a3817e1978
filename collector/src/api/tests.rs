//! The API over real connections: answers, errors, headers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::config::Config;
use crate::io::listener::Transport;
use crate::run::Collector;
use crate::test_messages::*;

mod journal;
mod questions;

const PATIENCE: Duration = Duration::from_secs(20);

/// A collector on free loopback ports with its own directory.
struct Running {
    collector: Collector,
    directory: tempfile::TempDir,
}

fn config(directory: &std::path::Path) -> Config {
    let mut config = Config {
        listeners: vec![
            "udp://127.0.0.1:0".parse().unwrap(),
            "tcp://127.0.0.1:0".parse().unwrap(),
        ],
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        data: directory.to_owned(),
        ..Config::default()
    };
    config.store.commit_ms = 20;
    config
}

struct Answer {
    status: u16,
    headers: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

impl Running {
    fn start() -> Running {
        let directory = tempfile::tempdir().unwrap();
        let collector = Collector::start(config(directory.path())).unwrap();
        Running { collector, directory }
    }

    /// Started, sent three flows over UDP and two over TCP, and waited until all are stored.
    fn with_flows() -> Running {
        let running = Running::start();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = running.collector.address(Transport::Udp).unwrap();
        udp.send_to(&message(7, 0, &[flow_template(), flow_set([1, 2, 3])]), to)
            .unwrap();
        let mut tcp = TcpStream::connect(running.collector.address(Transport::Tcp).unwrap()).unwrap();
        tcp.write_all(&message(8, 0, &[flow_template()])).unwrap();
        tcp.write_all(&message(
            8,
            0,
            &[set(TEMPLATE, &[flow(4, 400), flow(5, 5_000)].concat())],
        ))
        .unwrap();
        running.wait_for("/store/rows", 5);
        running
    }

    fn request(&self, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(self.collector.http_address()).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
        )
        .unwrap();
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).unwrap();
        let end = octets.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let (head, body) = (String::from_utf8_lossy(&octets[..end]), &octets[end + 4..]);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Answer {
            status,
            headers: head.into_owned(),
            body: String::new(),
        };
        let body = match answer.header("transfer-encoding") {
            Some("chunked") => unchunked(body),
            _ => body.to_vec(),
        };
        Answer {
            body: String::from_utf8_lossy(&body).into_owned(),
            ..answer
        }
    }

    fn get(&self, path: &str) -> Json {
        let answer = self.request(path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    fn refused(&self, path: &str) -> Json {
        let answer = self.request(path, "");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{path}: {}",
            answer.body
        );
        let problem = answer.json();
        assert_eq!(problem["status"], answer.status, "{problem}");
        problem
    }

    fn wait_for(&self, pointer: &str, value: u64) {
        let began = Instant::now();
        while self.get("/api/v1/status").pointer(pointer).and_then(Json::as_u64) != Some(value) {
            assert!(
                began.elapsed() < PATIENCE,
                "{pointer} never became {value}: {}",
                self.get("/api/v1/status")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(at) = rest.windows(2).position(|end| end == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        whole.extend_from_slice(&rest[at + 2..at + 2 + size]);
        rest = rest.get(at + 4 + size..).unwrap_or_default();
    }
    whole
}

#[test]
fn flows_sent_over_both_transports_are_found_with_their_values() {
    let running = Running::with_flows();
    let answer = running.get("/api/v1/flows?filter=src.ip%3D10.0.0.4");
    let rows = answer["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{answer}");
    let row = &rows[0];
    for (name, value) in [
        ("start", json!("2026-01-01T00:00:50.004Z")),
        ("end", json!("2026-01-01T00:00:52.004Z")),
        ("duration", json!(2_000_000_000u64)),
        ("src.ip", json!("10.0.0.4")),
        ("dst.ip", json!("192.0.2.1")),
        ("src.port", json!(40_000)),
        ("dst.port", json!(443)),
        ("proto", json!(6)),
        ("octets", json!(400)),
        ("packets", json!(3)),
        ("exporter.ip", json!("127.0.0.1")),
        ("exporter.domain", json!(8)),
    ] {
        assert_eq!(row[name], value, "{name} of {row}");
    }
    assert_eq!(answer["stats"]["rows_matched"], 1);
    assert_eq!(answer["stats"]["tier"], "flows");
    let id = row["_id"].as_str().unwrap();
    assert_eq!(running.get(&format!("/api/v1/flows/{id}"))["row"]["octets"], 400);
    assert_eq!(
        running.refused("/api/v1/flows/nonsense")["status"]
            .as_u64()
            .map(|status| status / 100),
        Some(4)
    );
}

#[test]
fn pages_and_orders_cover_every_flow_once() {
    let running = Running::with_flows();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = running.get(&format!(
            "/api/v1/flows?limit=2&order=octets&fields=src.ip,octets{cursor}"
        ));
        seen.extend(
            answer["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["octets"].as_u64().unwrap()),
        );
        match answer["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [100, 100, 100, 400, 5_000]);
    assert_eq!(
        running.get("/api/v1/flows?from=2026-01-01T00:00:53Z")["rows"],
        json!([])
    );
    assert_eq!(
        running.get("/api/v1/flows?to=2026-01-01T00:00:50.002Z")["rows"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn aggregates_answer_totals_tops_and_series() {
    let running = Running::with_flows();
    let totals = running.get("/api/v1/aggregate");
    assert_eq!(totals["rows"], json!([{ "octets": 5_700, "packets": 15, "flows": 5 }]));
    let top = running.get("/api/v1/aggregate?group_by=src.ip&metrics=octets&limit=2&order_by=-octets");
    assert_eq!(top["rows"][0], json!({ "src.ip": "10.0.0.5", "octets": 5_000 }));
    assert_eq!(top["rows"].as_array().unwrap().len(), 2);
    let series = running.get("/api/v1/aggregate?interval=1m&metrics=flows");
    assert_eq!(series["rows"][0]["time"], "2026-01-01T00:00:00Z");
    assert_eq!(series["rows"][0]["flows"], 5);
    assert_eq!(series["stats"]["interval_ns"], 60_000_000_000u64);
}

#[test]
fn wrong_requests_are_problems_that_say_where_and_what() {
    let running = Running::start();
    let problem = running.refused("/api/v1/flows?filter=src.ipp%3D1");
    assert_eq!(
        (&problem["status"], &problem["offset"], &problem["length"]),
        (&json!(400), &json!(0), &json!(7))
    );
    assert_eq!(problem["nearest"], "src.ip");
    let problem = running.refused("/api/v1/flows?fliter=x");
    assert_eq!(
        (&problem["nearest"], &problem["parameter"]),
        (&json!("filter"), &json!("fliter"))
    );
    assert_eq!(running.refused("/api/v1/flows?limit=many")["parameter"], "limit");
    assert_eq!(running.refused("/api/v1/flows?from=yesterday")["parameter"], "from");
    assert_eq!(running.refused("/api/v1/flows?filter=a&filter=b")["status"], 400);
    assert_eq!(running.refused("/api/v1/aggregate?metrics=octetts")["status"], 400);
    assert_eq!(
        running.refused("/api/v1/aggregate?interval=often")["parameter"],
        "interval"
    );
    assert_eq!(running.refused("/api/v2/flows")["status"], 404);
    assert_eq!(running.refused("/api/v1/nothing")["status"], 404);
    let mut stream = TcpStream::connect(running.collector.http_address()).unwrap();
    write!(
        stream,
        "POST /api/v1/flows HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 405 "), "{text}");
}

#[test]
fn answers_come_as_csv_and_ndjson_and_compressed() {
    let running = Running::with_flows();
    let path = "/api/v1/flows?order=octets&fields=src.ip,octets&limit=2";
    let csv = running.request(path, "accept: text/csv\r\n");
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.body.lines().next(), Some("src.ip,octets"));
    assert_eq!(csv.body.lines().count(), 3);
    assert!(csv.header("flowgauge-next").is_some());
    let ndjson = running.request(path, "accept: application/x-ndjson\r\n");
    let rows: Vec<Json> = ndjson
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        rows.iter().map(|row| row["octets"].clone()).collect::<Vec<_>>(),
        [json!(100), json!(100)]
    );
    let compressed = running.request("/api/v1/columns", "accept-encoding: gzip\r\n");
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
}

#[test]
fn files_have_names_and_are_whole_or_refused() {
    let running = Running::with_flows();
    let page = "/api/v1/flows?fields=src.ip,octets&format=";
    for (form, kind) in [
        ("json", "application/json"),
        ("csv", "text/csv; charset=utf-8"),
        ("ndjson", "application/x-ndjson"),
        ("parquet", "application/vnd.apache.parquet"),
    ] {
        // What is named wins over what is accepted.
        let answer = running.request(
            &format!("{page}{form}"),
            "accept: text/csv\r\naccept-encoding: gzip\r\n",
        );
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        let disposition = answer.header("content-disposition").unwrap();
        assert!(
            disposition.starts_with("attachment; filename=\"flows-2"),
            "{disposition}"
        );
        assert!(disposition.ends_with(&format!("Z.{form}\"")), "{disposition}");
    }
    let parquet = running.request(&format!("{page}parquet&limit=all"), "accept-encoding: gzip\r\n");
    assert_eq!(
        (parquet.header("flowgauge-rows"), parquet.header("content-encoding")),
        (Some("5"), None)
    );
    let body = &parquet.body;
    assert!(body.starts_with("PAR1") && body.ends_with("PAR1"), "{body}");
    let aggregate = running.request("/api/v1/aggregate?group_by=src.ip&format=csv", "");
    assert!(
        aggregate
            .header("content-disposition")
            .unwrap()
            .contains("filename=\"aggregate-")
    );
    let csv = running.request("/api/v1/flows?fields=octets&limit=all&order=-octets&format=csv", "");
    assert_eq!(csv.body, "octets\r\n5000\r\n400\r\n100\r\n100\r\n100\r\n");
    assert_eq!(
        running
            .request("/api/v1/flows?fields=octets", "")
            .header("content-disposition"),
        None
    );
    for (query, parameter, nearest) in [
        ("format=parket", "format", json!("parquet")),
        ("limit=all", "limit", Json::Null),
        ("limit=100001&format=csv", "limit", json!("all")),
        ("limit=all&format=csv&cursor=x", "cursor", Json::Null),
        ("limit=all&format=csv&order=octet", "order", json!("octets")),
    ] {
        let problem = running.refused(&format!("/api/v1/flows?{query}"));
        assert_eq!(
            (&problem["parameter"], &problem["nearest"]),
            (&json!(parameter), &nearest),
            "{problem}"
        );
    }
}

#[test]
fn status_names_every_sum_and_the_exporters_are_told_apart() {
    let running = Running::with_flows();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(&[0, 8, 0, 0], running.collector.address(Transport::Udp).unwrap())
        .unwrap();
    running.wait_for("/ledger/received/datagrams", 4);
    let status = running.get("/api/v1/status");
    let ledger = &status["ledger"];
    assert_eq!(ledger["received"]["records"], 5);
    assert_eq!(ledger["received"]["messages"], 3);
    assert_eq!(
        (&ledger["stored"], &ledger["waiting"], &ledger["lost"]),
        (&json!(5), &json!(0), &json!({}))
    );
    assert_eq!(ledger["missing"], json!({ "datagrams_of_unsupported_version": 1 }));
    assert_eq!(ledger["balanced"], true);
    assert_eq!((&status["ready"], &status["store"]["rows"]), (&json!(true), &json!(5)));
    assert_eq!(status["store"]["oldest"], "2026-01-01T00:00:50.001Z");
    assert_eq!(status["store"]["newest"], "2026-01-01T00:00:52.005Z");
    assert_eq!(status["listeners"].as_array().unwrap().len(), 2);
    let exporters = running.get("/api/v1/exporters");
    let domains: Vec<_> = exporters["exporters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["protocol"].clone(), row["domain"].clone(), row["records"].clone()))
        .collect();
    assert_eq!(
        domains,
        [
            (json!("ipfix"), json!(7), json!(3)),
            (json!("ipfix"), json!(8), json!(2)),
            (json!("unknown"), json!(0), json!(0))
        ]
    );
    let templates = running.get("/api/v1/templates");
    assert_eq!(templates["templates"][0]["fields"][0]["name"], "sourceIPv4Address");
}

#[test]
fn metrics_have_help_and_type_and_agree_with_the_ledger() {
    let running = Running::with_flows();
    let text = running.request("/metrics", "").body;
    let mut described = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(described.insert(name), "{name} is described twice");
            assert!(["counter", "gauge"].contains(&kind));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let name = series.split('{').next().unwrap();
            assert!(described.contains(name), "{name} has no TYPE above it");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert!(text.contains("\nflowgauge_collector_records_stored_total 5\n"));
    assert!(text.contains("\nflowgauge_collector_ledger_balanced 1\n"));
    let series = "flowgauge_collector_exporter_records_total{exporter=\"127.0.0.1\",domain=\"7\",protocol=\"ipfix\"} 3";
    assert!(text.contains(series), "{text}");
}

#[test]
fn the_description_names_every_route_and_column() {
    let running = Running::with_flows();
    let document = running.get("/api/openapi.json");
    let paths = document["paths"].as_object().unwrap();
    for path in paths
        .keys()
        .filter(|path| !path.contains('{') && !path.ends_with("/live"))
    {
        assert_eq!(running.request(path, "").status, 200, "{path}");
    }
    let flow = &document["components"]["schemas"]["Flow"]["properties"];
    for column in running.get("/api/v1/columns")["columns"].as_array().unwrap() {
        assert!(flow.get(column["name"].as_str().unwrap()).is_some(), "{column}");
    }
    let row = &running.get("/api/v1/flows?limit=1")["rows"][0];
    for name in row.as_object().unwrap().keys() {
        assert!(flow.get(name).is_some(), "{name}");
    }
    let columns = running.get("/api/v1/columns");
    let proto = columns["columns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|column| column["name"] == "proto")
        .unwrap();
    assert_eq!(proto["codes"]["6"], "tcp");
    let elements = running.get("/api/v1/elements?name=0.8");
    assert_eq!(elements["elements"][0]["name"], "sourceIPv4Address");
}

#[test]
fn live_brings_what_arrives_and_matches() {
    let running = Running::with_flows();
    let mut stream = TcpStream::connect(running.collector.http_address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /api/v1/live?filter=octets%3D100 HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("200"));
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let flows = set(TEMPLATE, &[flow(77, 200), flow(78, 100)].concat());
    udp.send_to(
        &message(9, 0, &[flow_template(), flows]),
        running.collector.address(Transport::Udp).unwrap(),
    )
    .unwrap();
    let data = lines
        .find_map(|line| line.strip_prefix("data: ").map(str::to_owned))
        .unwrap();
    let row: Json = serde_json::from_str(&data).unwrap();
    assert_eq!((&row["src.ip"], &row["octets"]), (&json!("10.0.0.78"), &json!(100)));
    // The stream ends with the collector instead of holding it up.
    let began = Instant::now();
    running.collector.stop();
    assert!(began.elapsed() < Duration::from_secs(3));
}

/// Whoever holds the states of alerts holds up those who ask for them, and nobody else.
#[test]
fn who_asks_for_alerts_does_not_hold_up_others() {
    let running = Running::start();
    std::thread::scope(|scope| {
        let book = running.collector.shared().alerts.book();
        let paths = ["/api/v1/alerts", "/api/v1/alerts/history"].into_iter().cycle().take(6);
        let asked: Vec<_> = paths
            .map(|path| {
                let running = &running;
                scope.spawn(move || running.get(path))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        let mut stream = TcpStream::connect(running.collector.http_address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        write!(stream, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut head = [0; 12];
        let answered = stream.read_exact(&mut head);
        drop(book);
        answered.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        for asked in asked {
            let answer = asked.join().unwrap();
            assert!(answer["rules"] == json!([]) || answer["rows"] == json!([]), "{answer}");
        }
    });
}

/// More than one answer holds, at many times and at one.
#[test]
fn live_brings_everything_however_much_arrives_between_two_looks() {
    let running = Running::start();
    let mut stream = TcpStream::connect(running.collector.http_address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /api/v1/live?filter=start%3Cnow HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    .unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().contains("200"));
    let mut tcp = TcpStream::connect(running.collector.address(Transport::Tcp).unwrap()).unwrap();
    tcp.write_all(&message(8, 0, &[flow_template()])).unwrap();
    let send = |tcp: &mut TcpStream, messages: u32| {
        for number in 0..messages {
            tcp.write_all(&message(8, number * 100, &[flow_set(0..100)])).unwrap();
        }
    };
    for _ in 0..12 {
        send(&mut tcp, 1);
        std::thread::sleep(Duration::from_millis(3));
    }
    send(&mut tcp, 18);
    let ids = lines.filter_map(|line| line.strip_prefix("id: ").map(str::to_owned));
    let told: std::collections::HashSet<String> = ids.take(3_000).collect();
    assert_eq!(told.len(), 3_000, "each once");
}

#[test]
fn the_page_and_its_places_are_served_under_a_strict_policy() {
    let running = Running::start();
    for path in ["/", "/some/place"] {
        let answer = running.request(path, "");
        assert_eq!(answer.status, 200);
        assert!(answer.body.to_ascii_lowercase().contains("<!doctype html>"));
        assert!(
            answer
                .header("content-security-policy")
                .unwrap()
                .starts_with("default-src 'self'")
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(running.refused("/assets/none.js")["status"], 404);
    assert_eq!(running.request("/healthz", "").body, "ok\n");
    assert_eq!(running.request("/readyz", "").body, "ready\n");
}

#[test]
fn what_was_sent_before_the_end_is_stored_and_balances() {
    let running = Running::start();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = running.collector.address(Transport::Udp).unwrap();
    let mut tcp = TcpStream::connect(running.collector.address(Transport::Tcp).unwrap()).unwrap();
    udp.send_to(&message(1, 0, &[flow_template()]), to).unwrap();
    tcp.write_all(&message(2, 0, &[flow_template()])).unwrap();
    for n in 0..200u32 {
        udp.send_to(&message(1, n * 20, &[flow_set(0..20)]), to).unwrap();
        tcp.write_all(&message(2, n * 20, &[flow_set(0..20)])).unwrap();
    }
    let Running { collector, directory } = running;
    let accounts = collector.stop();
    assert_eq!((accounts.stored(), accounts.waiting()), (8_000, 0), "{accounts}");
    assert_eq!(accounts.totals.sum.sequence.lost, 0, "{accounts}");
    assert!(accounts.balanced() && accounts.missing().is_empty(), "{accounts}");
    let collector = Collector::start(config(directory.path())).unwrap();
    let running = Running { collector, directory };
    assert_eq!(
        running.get("/api/v1/aggregate?metrics=flows,octets")["rows"],
        json!([{ "flows": 8_000, "octets": 800_000 }])
    );
}

#[test]
fn hostile_datagrams_and_streams_are_counted_and_the_next_flow_is_stored() {
    let running = Running::start();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = running.collector.address(Transport::Udp).unwrap();
    let tcp_address = running.collector.address(Transport::Tcp).unwrap();
    let mut sent = 0;
    for (_, bytes, _) in hostile() {
        udp.send_to(&bytes, to).unwrap();
        sent += 1;
        // On a stream the same octets either frame as Messages or end the connection.
        let _ = TcpStream::connect(tcp_address).unwrap().write_all(&bytes);
    }
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for length in 0..500 {
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random as u8
            })
            .collect();
        udp.send_to(&bytes, to).unwrap();
        udp.send_to(&message(1, 0, &[bytes]), to).unwrap();
        sent += 2;
    }
    udp.send_to(&message(7, 0, &[flow_template(), flow_set([1, 2, 3])]), to)
        .unwrap();
    running.wait_for("/listeners/0/datagrams", sent + 1);
    let mut tcp = TcpStream::connect(tcp_address).unwrap();
    tcp.write_all(&message(8, 0, &[flow_template(), flow_set([4])]))
        .unwrap();
    let began = Instant::now();
    let flows = "/api/v1/aggregate?metrics=flows&filter=exporter.domain+in+(7,8)";
    while running.get(flows)["rows"] != json!([{ "flows": 4 }]) {
        assert!(began.elapsed() < PATIENCE, "{}", running.get("/api/v1/status"));
        std::thread::sleep(Duration::from_millis(5));
    }
    let ledger = running.get("/api/v1/status")["ledger"].clone();
    for (what, _, kind) in hostile() {
        assert!(
            ledger["errors"][kind].as_u64().is_some_and(|count| count > 0),
            "{what}: {ledger}"
        );
    }
    assert_eq!(
        (&ledger["balanced"], &ledger["errors"]["internal_fault"]),
        (&json!(true), &Json::Null),
        "{ledger}"
    );
    let accounts = running.collector.stop();
    assert!(accounts.balanced(), "{accounts}");
}

#[test]
fn a_store_that_cannot_write_is_told_waited_for_and_counted() {
    let running = Running::start();
    let partitions = running.directory.path().join("partitions");
    let aside = running.directory.path().join("aside");
    let _ = std::fs::rename(&partitions, &aside);
    std::fs::write(&partitions, "no directory").unwrap();
    let mut tcp = TcpStream::connect(running.collector.address(Transport::Tcp).unwrap()).unwrap();
    tcp.write_all(&message(1, 0, &[flow_template(), flow_set(0..20)]))
        .unwrap();
    let began = Instant::now();
    while running.get("/api/v1/status")["trouble"].is_null() {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    let ledger = running.get("/api/v1/status")["ledger"].clone();
    assert_eq!(
        (&ledger["received"]["records"], &ledger["balanced"]),
        (&json!(20), &json!(true)),
        "{ledger}"
    );
    std::fs::remove_file(&partitions).unwrap();
    let _ = std::fs::rename(&aside, &partitions);
    let began = Instant::now();
    while running.get("/api/v1/status")["ledger"]["waiting"] != 0 {
        assert!(began.elapsed() < PATIENCE, "{}", running.get("/api/v1/status"));
        std::thread::sleep(Duration::from_millis(5));
    }
    let accounts = running.collector.stop();
    let lost = accounts.lost().get("store_error").copied().unwrap_or(0);
    assert_eq!(
        (accounts.stored(), lost, accounts.balanced()),
        (20, 0, true),
        "{accounts}"
    );
}

#[test]
fn a_second_collector_on_the_same_directory_or_port_says_what_to_do() {
    let running = Running::start();
    let failure = Collector::start(config(running.directory.path())).err().unwrap();
    assert!(
        failure.line.contains("another collector") && failure.status == 1,
        "{failure}"
    );
    let other = tempfile::tempdir().unwrap();
    let mut busy = config(other.path());
    busy.http = running.collector.http_address();
    let failure = Collector::start(busy).err().unwrap();
    assert!(failure.line.contains("is in use by another program"), "{failure}");
}
