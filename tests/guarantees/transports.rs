//! Over TLS everything arrives between ends that know each other, and nothing between ends that do not: each says why in
//! one line, counts it, and goes on.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::certificates::{Authority, Issued};
use crate::support::collector::Collector;
use crate::support::peers::is_installed;
use crate::support::{free_port, program, root, run, skipped, succeed, text};

const YEAR: i32 = 2090;

fn capture() -> String {
    root().join("fixtures/office.pcap").display().to_string()
}

/// A collector for both, with a certificate for 127.0.0.1.
fn collector(folder: &Path, own: &Issued, ca: &str, more: &[&str]) -> (Collector, u16) {
    let (tls, tcp) = (free_port(), free_port());
    let listen = [format!("tls://127.0.0.1:{tls}"), format!("tcp://127.0.0.1:{tcp}")];
    let mut arguments = vec!["--listen", &listen[0], "--listen", &listen[1]];
    arguments.extend(Authority::flags(own, ca));
    arguments.extend(more);
    (Collector::start_with(&folder.join("store"), tcp, &arguments), tls)
}

fn export(destination: &str, more: &[&str]) -> Output {
    let capture = capture();
    let mut arguments = vec!["run", "--read", &capture, "--to", destination, "--drain-timeout", "2s"];
    arguments.extend(more);
    run(&program("flowgauge-exporter"), &arguments)
}

/// The records of the capture, by way of a file: the file itself, and how many there are.
fn expected(folder: &Path) -> (String, u64) {
    let file = folder.join("expected.ipfix").display().to_string();
    succeed(
        &program("flowgauge-exporter"),
        &["run", "--read", &capture(), "--to", &format!("file:{file}")],
    );
    let records = records_in(&file);
    (file, records)
}

fn records_in(file: &str) -> u64 {
    let decoded = succeed(&program("flowgauge-collector"), &["decode", file]);
    text(&decoded.stdout)
        .lines()
        .filter(|line| line.starts_with(r#"{"kind":"record""#))
        .count() as u64
}

/// How often a listener of `transport` ended a connection for `reason`.
fn ended(collector: &Collector, transport: &str, reason: &str) -> u64 {
    let status = collector.get("/api/v1/status");
    let listeners = status["listeners"].as_array().unwrap();
    let listener = listeners
        .iter()
        .find(|listener| listener["transport"] == transport)
        .unwrap();
    listener["ended"][reason]
        .as_u64()
        .unwrap_or_else(|| panic!("{reason} in {listener}"))
}

fn exporters(collector: &Collector) -> Vec<Value> {
    collector.get("/api/v1/exporters")["exporters"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn over_tls_everything_arrives_with_the_name_of_who_sent_it() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (own, client) = (ours.issue("127.0.0.1", YEAR), ours.issue("probe.example", YEAR));
    let ca = ours.path();
    let listed = ["--tls-clients", "other.example,probe.example"];
    let (collector, port) = collector(folder.path(), &own, &ca, &listed);
    let (_, records) = expected(folder.path());
    let output = export(&format!("tls://127.0.0.1:{port}"), &Authority::flags(&client, &ca));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(collector.wait_for(records), records);
    let exporters = exporters(&collector);
    assert!(
        exporters
            .iter()
            .all(|exporter| exporter["client_names"][0] == "probe.example"),
        "{exporters:?}"
    );
    assert!(
        exporters.iter().all(|exporter| exporter["transport"] == "tls"),
        "{exporters:?}"
    );
    assert!(
        exporters.iter().all(|exporter| exporter["sequence_lost"] == 0),
        "{exporters:?}"
    );
    assert_eq!(ended(&collector, "tls", "closed"), 1);
    assert_eq!(collector.get("/api/v1/status")["ledger"]["balanced"], true);
}

#[test]
fn ends_that_do_not_know_each_other_say_why_and_nothing_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let (ca, other_ca) = (ours.path(), theirs.path());
    let own = ours.issue("127.0.0.1", YEAR);
    let (collector, port) = collector(folder.path(), &own, &ca, &["--tls-clients", "probe.example"]);
    let to = format!("tls://127.0.0.1:{port}");
    let by_name = format!("tls://localhost:{port}");
    let good = ours.issue("probe.example", YEAR);
    let (late, unlisted, foreign) = (
        ours.issue("probe.example", 2021),
        ours.issue("x.example", YEAR),
        theirs.issue("probe.example", YEAR),
    );
    for (destination, issued, ca, says) in [
        (&to, &late, &ca, "our certificate is refused: it has expired"),
        (&to, &unlisted, &ca, "its name is not one that the collector lets in"),
        (&to, &foreign, &ca, "does not know the authority"),
        (
            &to,
            &good,
            &other_ca,
            "the collector's certificate is from no authority",
        ),
        (&by_name, &good, &ca, "for another name than localhost"),
    ] {
        let output = export(destination, &Authority::flags(issued, ca));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.lines().any(|line| line.contains(says)), "{says}: {said}");
    }
    assert!(ended(&collector, "tls", "certificate") >= 5);
    assert_eq!((collector.flows(), exporters(&collector).len()), (0, 0));
    let said = collector.terminate();
    for line in [
        "its certificate has expired",
        "is in --tls-clients",
        "its certificate is from no authority in --tls-ca",
        "it refuses our certificate",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn who_speaks_tls_to_tcp_or_tcp_to_tls_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (own, client, ca) = (
        ours.issue("127.0.0.1", YEAR),
        ours.issue("probe.example", YEAR),
        ours.path(),
    );
    let (collector, port) = collector(folder.path(), &own, &ca, &[]);
    let begin = Instant::now();
    let output = export(
        &format!("tls://127.0.0.1:{}", collector.port),
        &Authority::flags(&client, &ca),
    );
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("is it a TLS listener"), "{said}");
    assert!(ended(&collector, "tcp", "not_ipfix") >= 1);
    // A stream in the clear looks delivered to TCP; the alert that comes back is what tells.
    let output = export(&format!("tcp://127.0.0.1:{port}"), &[]);
    let said = text(&output.stderr);
    assert!(
        said.contains("the collector speaks TLS") && said.contains(" 0 records exported"),
        "{said}"
    );
    assert!(begin.elapsed() < Duration::from_secs(15));
    assert!(ended(&collector, "tls", "not_tls") >= 1);
    assert_eq!(collector.flows(), 0);
    let said = collector.terminate();
    assert!(
        said.contains("it speaks TLS") && said.contains("it does not speak TLS"),
        "{said}"
    );
}

#[test]
fn openssl_is_heard_and_hears() {
    if !is_installed("openssl") {
        return skipped("TLS with openssl", "openssl is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (own, client, ca) = (
        ours.issue("127.0.0.1", YEAR),
        ours.issue("probe.example", YEAR),
        ours.path(),
    );
    let (file, records) = expected(folder.path());
    let (collector, port) = collector(folder.path(), &own, &ca, &[]);
    // -verify_return_error: openssl checks our certificate as strictly as we do its.
    let client_arguments = |cert: &Issued, version: &str| {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{port}"),
            "-verify_return_error",
            version,
        ]);
        command.args(["-verify_ip", "127.0.0.1", "-quiet", "-no_ign_eof", "-CAfile", &ca]);
        command.args(["-cert", &cert.certificate, "-key", &cert.key]);
        command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap()
    };
    client_arguments(&client, "-tls1_3");
    assert_eq!(collector.wait_for(records), records);
    // A client of version 1.3 is done before it hears what is thought of its certificate.
    let late = client_arguments(&ours.issue("probe.example", 2021), "-tls1_2");
    assert!(
        text(&late.stderr).contains("certificate expired"),
        "{}",
        text(&late.stderr)
    );
    assert_eq!(ended(&collector, "tls", "certificate"), 1);
    assert_eq!(collector.flows(), records);
    drop(collector);

    let port = free_port();
    let received = folder.path().join("received.ipfix");
    let server = |cert: &Issued| {
        let mut command = Command::new("openssl");
        command.args([
            "s_server",
            "-accept",
            &port.to_string(),
            "-quiet",
            "-naccept",
            "1",
            "-CAfile",
            &ca,
        ]);
        command.args([
            "-Verify",
            "1",
            "-verify_return_error",
            "-cert",
            &cert.certificate,
            "-key",
            &cert.key,
        ]);
        command
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&received).unwrap());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        // It listens when nobody else can.
        while std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            assert!(begin.elapsed() < Duration::from_secs(10), "openssl does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    };
    let to = format!("tls://127.0.0.1:{port}");
    let mut heard = server(&own);
    let output = export(&to, &Authority::flags(&client, &ca));
    assert!(output.status.success(), "{}", text(&output.stderr));
    // It ends with its own input, which waiting would end.
    let input = heard.stdin.take();
    heard.wait().unwrap();
    drop(input);
    assert_eq!(records_in(&received.display().to_string()), records);
    let mut late = server(&ours.issue("127.0.0.1", 2021));
    let said = text(&export(&to, &Authority::flags(&client, &ca)).stderr);
    assert!(said.contains("the collector's certificate has expired"), "{said}");
    let _ = late.kill();
    let _ = late.wait();
    assert_eq!(std::fs::metadata(&received).unwrap().len(), 0);
}
