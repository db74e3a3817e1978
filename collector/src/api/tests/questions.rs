//! Comparisons, what is left, conversations once, pages that do not belong together, and questions made to do harm.

use super::*;

/// Far more than an answer needs, and far less than one that goes wrong takes.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn aggregates_say_what_was_before_and_what_is_left() {
    let running = Running::with_flows();
    // All began within 5 ms, from 00:00:50.001 on.
    let path = "/api/v1/aggregate?group_by=src.ip&metrics=octets,octets/packets,share(octets)&limit=1&other=true\
                &from=2026-01-01T00:00:50.0045Z&to=2026-01-01T00:01:00Z&compare=10ms&order_by=src.ip";
    let answer = running.get(path);
    assert_eq!(answer["rows"].as_array().unwrap().len(), 2, "{answer}");
    let size = answer["rows"][0]["octets/packets"].as_f64().unwrap();
    assert!((size - 100.0 / 3.0).abs() < 1e-12, "{answer}");
    assert_eq!(answer["rows"][0]["src.ip"], "10.0.0.1");
    assert_eq!(answer["rows"][0]["previous"]["octets"], 100);
    let other = &answer["rows"][1];
    assert_eq!((&other["_other"], &other["src.ip"]), (&json!(true), &Json::Null));
    assert_eq!(other["octets"], 5_600);
    let share = other["share(octets)"].as_f64().unwrap();
    assert!((share - 5_600.0 / 5_700.0).abs() < 1e-12, "{other}");
    assert_eq!(answer["stats"]["compare"]["to"], "2026-01-01T00:00:59.99Z");
    let csv = running.request(path, "accept: text/csv\r\n").body;
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some(
            "src.ip,octets,octets/packets,share(octets),_other,previous.octets,previous.octets/packets,previous.share(octets)"
        )
    );
    assert!(lines.next().unwrap().starts_with("10.0.0.1,100,"), "{csv}");
    assert!(lines.next().unwrap().starts_with(",5600,"), "{csv}");
    let series = running.get(
        "/api/v1/aggregate?interval=10s&from=2026-01-01T00:00:40Z&to=2026-01-01T00:01:00Z&metrics=flows&compare=10s",
    );
    let values: Vec<_> = series["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["flows"].as_u64(), row["previous"]["flows"].as_u64()))
        .collect();
    assert_eq!(values, [(Some(0), Some(0)), (Some(5), Some(0))]);
    // Without an end it is now.
    let now = running.get("/api/v1/aggregate?from=-1h&compare=previous&metrics=flows");
    assert_eq!(now["rows"][0]["previous"]["flows"], 0);
}

#[test]
fn conversations_are_counted_once_and_the_rule_is_told() {
    let running = Running::with_flows();
    let answer = running.get("/api/v1/aggregate?once=auto&metrics=flows");
    assert_eq!(answer["rows"], json!([{ "flows": 5 }]));
    assert_eq!(answer["stats"]["once"]["left_out"], 0);
    let listed = running.get("/api/v1/flows?once=127.0.0.1,10.0.0.1&limit=2");
    assert!(
        listed["stats"]["once"]["rule"]
            .as_str()
            .unwrap()
            .contains("127.0.0.1, 10.0.0.1"),
        "{listed}"
    );
    let hosts = running.get("/api/v1/aggregate?group_by=host&metrics=total.octets,unique(peer)&limit=1");
    assert_eq!(
        hosts["rows"],
        json!([{ "host": "192.0.2.1", "total.octets": 5_700, "unique(peer)": 5 }])
    );
}

#[test]
fn pages_of_different_questions_do_not_belong_together() {
    let running = Running::with_flows();
    let first = running.get("/api/v1/flows?limit=2&from=-3650d&filter=octets%3E50");
    let next = first["next"].as_str().unwrap();
    // The same words mean the same time, although time has passed.
    let path = format!("/api/v1/flows?from=-3650d&filter=octets%3E50&limit=10&cursor={next}");
    let second = running.get(&path);
    assert_eq!(second["rows"].as_array().unwrap().len(), 3);
    assert_eq!(second["stats"]["from"], first["stats"]["from"]);
    for other in [
        "from=-3650d&filter=octets%3E51",
        "from=-3650d",
        "from=-3651d&filter=octets%3E50",
        "from=-3650d&filter=octets%3E50&once=auto",
        "from=-3650d&filter=octets%3E50&order=octets",
    ] {
        let problem = running.refused(&format!("/api/v1/flows?{other}&cursor={next}"));
        assert_eq!(
            (&problem["status"], &problem["parameter"]),
            (&json!(400), &json!("cursor")),
            "{other}"
        );
    }
}

#[test]
fn questions_made_to_do_harm_are_refused_soon_and_say_where() {
    let running = Running::with_flows();
    let long = |text: &str, times: usize| text.repeat(times);
    let nested = format!("filter={}octets%3E1{}", long("(", 15_000), long(")", 15_000));
    let regex = format!("filter=dns.qname~/{}/", long("(a*)*", 300));
    let cases: Vec<(&str, String, &str)> = vec![
        (
            "flows",
            "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z".into(),
            "from",
        ),
        (
            "aggregate",
            "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z".into(),
            "from",
        ),
        ("flows", "from=99999999999999999999".into(), "from"),
        ("flows", "from=now-99999999999w".into(), "from"),
        ("aggregate", "interval=1ns&from=0&to=9000000000".into(), "interval"),
        ("aggregate", "interval=-1s".into(), "interval"),
        ("aggregate", "interval=0s".into(), "interval"),
        ("aggregate", "compare=yesterday&from=-1h".into(), "compare"),
        ("aggregate", "compare=previous".into(), "compare"),
        ("aggregate", "compare=-1h&from=-1h".into(), "compare"),
        (
            "aggregate",
            "compare=15000w&from=1690-01-01T00:00:00Z".into(),
            "compare",
        ),
        ("aggregate", "other=maybe".into(), "other"),
        ("aggregate", "once=somebody".into(), "once"),
        ("aggregate", "once=auto&tier=rollup".into(), "once"),
        ("aggregate", format!("once={}1.1.1.1", long("1.1.1.1,", 4_000)), "once"),
        (
            "aggregate",
            format!("metrics={}octets", long("octets,", 5_000)),
            "metrics",
        ),
        ("aggregate", format!("metrics={}", long("octets/", 5_000)), "metrics"),
        ("aggregate", "group_by=packets&metrics=flows,packets".into(), "metrics"),
        (
            "aggregate",
            format!("metrics={}octets", long("share(", 5_000)),
            "metrics",
        ),
        (
            "aggregate",
            format!("group_by={}proto", long("proto,", 5_000)),
            "group_by",
        ),
        ("aggregate", "group_by=src.ip/33/48".into(), "group_by"),
        ("aggregate", format!("order_by={}", long("-", 30_000)), "order_by"),
        ("aggregate", "limit=99999999999999999999999".into(), "limit"),
        ("flows", nested, "filter"),
        ("flows", regex, "filter"),
        ("flows", "filter=dns.qname~/(a%7B1000%7D)%7B1000%7D/".into(), "filter"),
        (
            "aggregate",
            format!("filter=app.name~/a/{}", long("+or+app.name~/(%5Cw%5CW)%7B9%7DN/", 900)),
            "filter",
        ),
        ("flows", format!("filter={}", long("not+", 10_000)), "filter"),
        ("flows", format!("filter=octets+in+({}", long("1,", 20_000)), "filter"),
        ("flows", format!("filter={}", long("tcp+or+", 8_000)), "filter"),
        ("flows", format!("cursor={}", long("5b", 20_000)), "cursor"),
        ("flows", format!("cursor={}", long("z", 50_000)), "cursor"),
        ("flows", format!("order={}", long("-octets", 5_000)), "order"),
        ("flows", format!("fields={}", long("octetts,", 5_000)), "fields"),
    ];
    for (path, question, parameter) in cases {
        let shown = crate::normalize::row::cut(&question, 60).to_owned();
        let began = Instant::now();
        let problem = running.refused(&format!("/api/v1/{path}?{question}"));
        assert!(began.elapsed() < SOON, "{shown}");
        assert_eq!(
            (&problem["status"], &problem["parameter"]),
            (&json!(400), &json!(parameter)),
            "{shown}: {problem}"
        );
        assert!(problem["detail"].as_str().unwrap().len() < 2_000, "{shown}");
        assert_eq!(
            problem["offset"].is_number(),
            parameter == "filter",
            "{shown}: {problem}"
        );
    }
    // What is too long for any question does not even get so far.
    for size in [70_000, 10 << 20] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(running.collector.http_address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let question = format!(
            "GET /api/v1/flows?filter={} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            long("a", size)
        );
        // It may hang up before it has read everything.
        let _ = stream.write_all(question.as_bytes());
        let mut head = [0; 12];
        if stream.read_exact(&mut head).is_ok() {
            assert!(head.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&head));
        }
        assert!(began.elapsed() < SOON, "{size}");
    }
    let began = Instant::now();
    // Expressions that other engines choke on are read once from left to right here.
    let evil = format!("/api/v1/flows?filter=exporter.name~/{}b$/", long("(a*)*", 150));
    assert_eq!(running.get(&evil)["rows"], json!([]));
    running.get(&format!("/api/v1/complete?text={}", long("(", 50_000)));
    running.get(&format!("/api/v1/complete?text={}&at=3", long("not+", 10_000)));
    assert!(began.elapsed() < SOON);
    assert_eq!(
        running.get("/api/v1/aggregate?metrics=flows")["rows"],
        json!([{ "flows": 5 }])
    );
}
