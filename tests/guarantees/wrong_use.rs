//! Whoever holds it wrong is told what, where and what to do, in one line, and by the exit status.

use crate::support::{program, root, run, text};

/// Exit status 2 for wrong arguments and configuration, 1 for what failed while running; one line that names `words`.
fn check(name: &str, arguments: &[&str], status: i32, words: &[&str]) {
    let output = run(&program(name), arguments);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{name} {arguments:?}: {said}");
    for word in words {
        assert!(
            said.contains(word),
            "{name} {arguments:?} does not say {word:?}: {said}"
        );
    }
    assert!(!said.contains("panicked"), "{said}");
}

const EXPORTER: &str = "flowgauge-exporter";
const COLLECTOR: &str = "flowgauge-collector";

#[test]
fn unknown_flags_and_commands() {
    check(
        EXPORTER,
        &["run", "--idle-timout", "5s"],
        2,
        &["--idle-timout", "--idle-timeout"],
    );
    check(
        COLLECTOR,
        &["run", "--lisen", "udp://127.0.0.1:1"],
        2,
        &["--lisen", "--listen"],
    );
    check(EXPORTER, &["rum"], 2, &["rum"]);
}

#[test]
fn wrong_values() {
    let office = root().join("fixtures/office.pcap");
    let office = office.to_str().unwrap();
    check(
        EXPORTER,
        &["run", "--read", office, "--to", "carrier-pigeon://1"],
        2,
        &["carrier-pigeon"],
    );
    check(
        EXPORTER,
        &["run", "--read", office, "--to", "udp://127.0.0.1:99999"],
        2,
        &["99999"],
    );
    check(
        EXPORTER,
        &["run", "--read", office, "--idle-timeout", "soon", "--to", "json:-"],
        2,
        &["soon"],
    );
    check(
        EXPORTER,
        &["run", "--read", office, "--filter", "tcp prot 80", "--to", "json:-"],
        2,
        &["tcp prot 80"],
    );
    check(COLLECTOR, &["run", "--listen", "smoke://0.0.0.0:1"], 2, &["smoke"]);
}

#[test]
fn missing_files() {
    check(
        EXPORTER,
        &["run", "--read", "no-such.pcap", "--to", "json:-"],
        1,
        &["no-such.pcap"],
    );
    check(COLLECTOR, &["decode", "no-such.ipfix"], 1, &["no-such.ipfix"]);
    check(EXPORTER, &["run", "--config", "no-such.toml"], 2, &["no-such.toml"]);
}

#[test]
fn unknown_keys_of_a_configuration_name_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, "idle_timout = \"5s\"\nlisten_on = []\n").unwrap();
    for name in [EXPORTER, COLLECTOR] {
        check(
            name,
            &["check", "--config", file.to_str().unwrap()],
            2,
            &["wrong.toml", "1"],
        );
    }
}

#[test]
fn a_truncated_capture_gives_all_up_to_the_fault_and_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(root().join("fixtures/office.pcap")).unwrap();
    let cut = folder.path().join("cut.pcap");
    std::fs::write(&cut, &whole[..whole.len() - 10]).unwrap();
    let output = run(
        &program(EXPORTER),
        &["run", "--read", cut.to_str().unwrap(), "--to", "json:-"],
    );
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cut.pcap") && said.contains("984 packets"), "{said}");
    assert!(text(&output.stdout).lines().count() > 100);
}

#[test]
fn a_busy_port_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("tcp://{}", taken.local_addr().unwrap());
    let store = folder.path().join("store");
    let arguments = [
        "run",
        "--listen",
        &listen,
        "--http",
        "127.0.0.1:0",
        "--data",
        store.to_str().unwrap(),
    ];
    check(
        COLLECTOR,
        &arguments,
        1,
        &[&taken.local_addr().unwrap().port().to_string(), "in use"],
    );
}

#[test]
fn a_wrong_filter_is_shown_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let collector = crate::support::collector::Collector::start(&folder.path().join("store"));
    let said = run(&program(COLLECTOR), &["query", "--url", &collector.url, "src.prt = 53"]);
    let words = text(&said.stderr);
    assert_eq!(said.status.code(), Some(2), "{words}");
    assert!(words.contains("src.port") && words.contains('^'), "{words}");
    // The same from the API: a problem document (RFC 9457) with the place.
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer = agent
        .get(format!("{}/api/v1/flows?filter=octets%20%3E%20%3E%201", collector.url))
        .call()
        .unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    assert_eq!(problem["offset"], 9, "{problem}");
}

/// One datagram each of what must never crash, hang or grow a collector; then it still answers.
#[test]
fn hostile_datagrams() {
    let folder = tempfile::tempdir().unwrap();
    let collector = crate::support::collector::Collector::start(&folder.path().join("store"));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let header = |length: u16| [&[0, 10][..], &length.to_be_bytes(), &[0; 12]].concat();
    let hostile: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        vec![0xff; 1_400],
        header(16),
        header(0),
        header(0xffff),
        [&header(20)[..], &[0, 2, 0, 0]].concat(),
        // A template whose only field has no length, and data of it.
        [
            &header(36)[..],
            &[0, 2, 0, 12, 1, 0, 0, 1, 0, 1, 0, 0],
            &[1, 0, 0, 8, 1, 2, 3, 4],
        ]
        .concat(),
        // A template that says it has 65535 fields.
        [&header(24)[..], &[0, 2, 0, 8, 1, 0, 0xff, 0xff]].concat(),
        // Data whose variable length goes beyond its Set.
        [
            &header(36)[..],
            &[0, 2, 0, 12, 1, 1, 0, 1, 0, 82, 0xff, 0xff],
            &[1, 1, 0, 8, 200, 0, 0, 0],
        ]
        .concat(),
        // Versions of others.
        [&[0, 5, 0, 30][..], &[0; 20]].concat(),
        [&[0, 9, 0, 1][..], &[0; 20]].concat(),
        [&[0, 0, 0, 5][..], &[0; 40]].concat(),
    ];
    for datagram in &hostile {
        socket.send_to(datagram, ("127.0.0.1", collector.port)).unwrap();
    }
    let before = collector.flows();
    let capture = root().join("fixtures/office.pcap");
    let to = format!("udp://127.0.0.1:{}", collector.port);
    let sent = run(
        &program(EXPORTER),
        &["run", "--read", capture.to_str().unwrap(), "--to", &to],
    );
    assert!(sent.status.success());
    assert!(collector.wait_for(before + 155) >= before + 155);
    let ledger = collector.get("/api/v1/status")["ledger"].clone();
    assert_eq!(ledger["balanced"], true, "{ledger}");
}
