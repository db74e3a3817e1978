//! Over DTLS everything arrives on a path that loses nothing, between ends that know each other; what a collector that dies
//! took with it is declared; and who is not known, or speaks something else, is told so in one line and counted.

use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
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

/// A collector for DTLS and UDP, with a certificate for 127.0.0.1.
fn collector(folder: &Path, port: u16, own: &Issued, ca: &str, more: &[&str]) -> Collector {
    let udp = free_port();
    let listen = [format!("dtls://127.0.0.1:{port}"), format!("udp://127.0.0.1:{udp}")];
    let mut arguments = vec!["--listen", &listen[0], "--listen", &listen[1]];
    arguments.extend(Authority::flags(own, ca));
    arguments.extend(more);
    Collector::start_with(&folder.join("store"), udp, &arguments)
}

fn export(destination: &str, more: &[&str]) -> Output {
    // As long as a handshake that nobody answers.
    export_within("5s", destination, more)
}

fn export_within(patience: &str, destination: &str, more: &[&str]) -> Output {
    let capture = capture();
    let mut arguments = vec![
        "run",
        "--read",
        &capture,
        "--to",
        destination,
        "--drain-timeout",
        patience,
    ];
    arguments.extend(more);
    run(&program("flowgauge-exporter"), &arguments)
}

/// Records metered, exported and lost, by the exporter's last lines.
fn accounts(said: &str) -> [u64; 3] {
    ["records (", "records exported", "lost"].map(|what| {
        let line = said.lines().rev().find(|line| line.contains(&format!(" {what}")));
        let before = line
            .and_then(|line| line.split(&format!(" {what}")).next())
            .unwrap_or_default();
        let number = before.split_whitespace().next_back().and_then(|word| word.parse().ok());
        number.unwrap_or_else(|| panic!("no {what}: {said}"))
    })
}

fn records_in(file: &Path) -> u64 {
    let decoded = succeed(
        &program("flowgauge-collector"),
        &["decode", &file.display().to_string()],
    );
    let decoded = text(&decoded.stdout);
    decoded
        .lines()
        .filter(|line| line.starts_with(r#"{"kind":"record""#))
        .count() as u64
}

fn listener(collector: &Collector) -> Value {
    let status = collector.get("/api/v1/status");
    let listeners = status["listeners"].as_array().unwrap();
    let dtls = listeners.iter().find(|listener| listener["transport"] == "dtls");
    dtls.unwrap().clone()
}

fn count(collector: &Collector, group: &str, reason: &str) -> u64 {
    let listener = listener(collector);
    let count = listener[group][reason].as_u64();
    count.unwrap_or_else(|| panic!("{group} {reason} in {listener}"))
}

#[test]
fn everything_arrives_with_the_name_of_who_sent_it() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (own, client, ca) = (
        ours.issue("127.0.0.1", YEAR),
        ours.issue("probe.example", YEAR),
        ours.path(),
    );
    let port = free_port();
    let collector = collector(
        folder.path(),
        port,
        &own,
        &ca,
        &["--tls-clients", "other.example,probe.example"],
    );
    // Twice, so that the second's session stands beside nothing of the first's.
    let mut sum = 0;
    for session in 1..=2 {
        let output = export(&format!("dtls://127.0.0.1:{port}"), &Authority::flags(&client, &ca));
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        let [sent, exported, lost] = accounts(&said);
        assert!(sent > 100 && (exported, lost) == (sent, 0), "{said}");
        sum += sent;
        assert_eq!(collector.wait_for(sum), sum);
        assert_eq!(count(&collector, "ended", "closed"), session);
    }
    for exporter in collector.get("/api/v1/exporters")["exporters"].as_array().unwrap() {
        assert_eq!(exporter["transport"], "dtls", "{exporter}");
        assert_eq!(exporter["client_names"][0], "probe.example", "{exporter}");
        let (gaps, lost) = (&exporter["sequence"]["gaps"], &exporter["sequence"]["lost"]);
        assert_eq!((gaps, lost), (&0.into(), &0.into()), "{exporter}");
    }
    let listener = listener(&collector);
    assert_eq!(
        (&listener["accepted"], &listener["connections"]),
        (&2.into(), &0.into()),
        "{listener}"
    );
    assert!(
        listener["dropped"]
            .as_object()
            .unwrap()
            .values()
            .all(|count| *count == 0),
        "{listener}"
    );
    assert_eq!(listener["queue_drops"], 0, "{listener}");
    assert_eq!(collector.get("/api/v1/status")["ledger"]["balanced"], true);
    let mut metrics = ureq::get(format!("{}/metrics", collector.url)).call().unwrap();
    let metrics = metrics.body_mut().read_to_string().unwrap();
    let dropped = format!(
        r#"flowgauge_collector_listener_dtls_dropped_total{{listener="dtls://127.0.0.1:{port}",reason="not_dtls"}} 0"#
    );
    assert!(metrics.contains(&dropped), "{metrics}");
}

#[test]
fn ends_that_do_not_know_each_other_say_why_and_nothing_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let (ca, other_ca) = (ours.path(), theirs.path());
    let (own, port) = (ours.issue("127.0.0.1", YEAR), free_port());
    let collector = collector(folder.path(), port, &own, &ca, &["--tls-clients", "probe.example"]);
    let (to, by_name) = (format!("dtls://127.0.0.1:{port}"), format!("dtls://localhost:{port}"));
    let good = ours.issue("probe.example", YEAR);
    let (late, unlisted, foreign) = (
        ours.issue("probe.example", 2021),
        ours.issue("x.example", YEAR),
        theirs.issue("probe.example", YEAR),
    );
    for (destination, issued, ca, says) in [
        (&to, &late, &ca, "our certificate is refused: it has expired"),
        (
            &to,
            &unlisted,
            &ca,
            "its name may not be one that the collector lets in",
        ),
        (&to, &foreign, &ca, "does not know the authority"),
        (
            &to,
            &good,
            &other_ca,
            "the collector's certificate is from no authority",
        ),
        (&by_name, &good, &ca, "for another name than localhost"),
    ] {
        let output = export_within("1s", destination, &Authority::flags(issued, ca));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.lines().any(|line| line.contains(says)), "{says}: {said}");
    }
    assert!(count(&collector, "ended", "certificate") >= 5);
    assert_eq!(listener(&collector)["messages"], 0);
    assert_eq!(collector.flows(), 0);
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
fn who_speaks_dtls_to_udp_or_udp_to_dtls_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (own, client, ca) = (
        ours.issue("127.0.0.1", YEAR),
        ours.issue("probe.example", YEAR),
        ours.path(),
    );
    let port = free_port();
    let collector = collector(folder.path(), port, &own, &ca, &[]);
    let to = format!("dtls://127.0.0.1:{}", collector.port);
    let said = text(&export(&to, &Authority::flags(&client, &ca)).stderr);
    assert!(said.contains("is it a DTLS listener (dtls://)?"), "{said}");
    // UDP says nothing of what becomes of it: the collector does.
    let said = text(&export(&format!("udp://127.0.0.1:{port}"), &[]).stderr);
    assert_eq!(accounts(&said)[2], 0, "{said}");
    assert!(count(&collector, "dropped", "not_dtls") > 5);
    assert_eq!(
        (listener(&collector)["accepted"].as_u64(), collector.flows()),
        (Some(0), 0)
    );
    let said = collector.terminate();
    assert!(said.contains("is not DTLS"), "{said}");
}

/// A collector that is killed while an exporter sends, and one in its place: it, and what the exporter said.
fn killed(folder: &Path, more: &[&str]) -> (Collector, String) {
    let ours = Authority::new(folder, "ours");
    let (own, client, ca) = (
        ours.issue("127.0.0.1", YEAR),
        ours.issue("probe.example", YEAR),
        ours.path(),
    );
    let port = free_port();
    let mut first = collector(folder, port, &own, &ca, &[]);
    let (capture, to) = (capture(), format!("dtls://127.0.0.1:{port}"));
    // Slow enough to be there when the collector dies.
    let mut arguments = vec![
        "run",
        "--read",
        &capture,
        "--to",
        &to,
        "--rate",
        "60",
        "--drain-timeout",
        "15s",
    ];
    arguments.extend(Authority::flags(&client, &ca));
    arguments.extend(more);
    let exporter = Command::new(program("flowgauge-exporter"))
        .args(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait("records", || listener(&first)["messages"].as_u64() > Some(3));
    first.kill();
    // One that is there at once, and knows nothing of the session.
    let second = collector(folder, port, &own, &ca, &[]);
    let said = text(&exporter.wait_with_output().unwrap().stderr);
    assert!(said.contains("session lost:"), "{said}");
    (second, said)
}

#[test]
fn a_collector_that_is_killed_is_found_out_and_what_went_with_it_declared() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, said) = killed(folder.path(), &[]);
    let [sent, exported, lost] = accounts(&said);
    assert_eq!(sent, exported + lost, "{said}");
    // What is counted as exported was read, by the one or the other; of what is declared lost some may have been.
    let stored = collector.wait_for(exported);
    assert!(
        (exported..=sent).contains(&stored),
        "{exported} <= {stored} <= {sent}: {said}"
    );
    assert_eq!(collector.get("/api/v1/status")["ledger"]["balanced"], true);
}

#[test]
fn with_a_spool_a_collector_that_is_killed_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool").display().to_string();
    let (collector, said) = killed(folder.path(), &["--spool", &spool]);
    let [sent, exported, lost] = accounts(&said);
    assert_eq!((exported, lost), (sent, 0), "{said}");
    // What was sent again and had arrived is known by its number, and counts once.
    assert_eq!(collector.wait_for(sent), sent);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(collector.flows(), sent, "{said}");
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The Messages that the exporter sends for the capture, and how many records they have.
fn messages(folder: &Path) -> (Vec<Vec<u8>>, u64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let to = format!("udp://{}", socket.local_addr().unwrap());
    let receiving = std::thread::spawn(move || {
        let mut messages = Vec::new();
        let mut octets = [0; 2000];
        while let Ok(length) = socket.recv(&mut octets) {
            messages.push(octets[..length].to_vec());
        }
        messages
    });
    let said = text(&export(&to, &[]).stderr);
    let messages = receiving.join().unwrap();
    let file = folder.join("messages.ipfix");
    std::fs::write(&file, messages.concat()).unwrap();
    let records = records_in(&file);
    assert_eq!(records, accounts(&said)[0], "{said}");
    (messages, records)
}

#[test]
fn openssl_is_heard() {
    if !is_installed("openssl") {
        return skipped("DTLS with openssl", "openssl is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (own, client, ca) = (
        ours.issue("127.0.0.1", YEAR),
        ours.issue("probe.example", YEAR),
        ours.path(),
    );
    let port = free_port();
    let collector = collector(folder.path(), port, &own, &ca, &[]);
    let (messages, records) = messages(folder.path());
    let connect = |cert: &Issued| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-dtls1_2", "-connect", &format!("127.0.0.1:{port}")]);
        // -verify_return_error: openssl checks our certificate as strictly as we do its.
        command.args([
            "-verify_return_error",
            "-verify_ip",
            "127.0.0.1",
            "-quiet",
            "-no_ign_eof",
        ]);
        command.args(["-CAfile", &ca, "-cert", &cert.certificate, "-key", &cert.key]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut good = connect(&client);
    wait("session", || listener(&collector)["connections"] == 1);
    let mut input = good.stdin.take().unwrap();
    for message in &messages {
        // One read of it is one record.
        input.write_all(message).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(collector.wait_for(records), records);
    drop(input);
    let said = good.wait_with_output().unwrap();
    wait("end", || count(&collector, "ended", "closed") == 1);
    assert_eq!(
        listener(&collector)["messages"],
        messages.len() as u64,
        "{}",
        text(&said.stderr)
    );
    let late = connect(&ours.issue("probe.example", 2021)).wait_with_output().unwrap();
    assert!(
        text(&late.stderr).contains("certificate expired"),
        "{}",
        text(&late.stderr)
    );
    assert_eq!(count(&collector, "ended", "certificate"), 1);
    assert_eq!(collector.flows(), records);
}

#[test]
fn openssl_hears() {
    if !is_installed("openssl") {
        return skipped("DTLS with openssl", "openssl is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (own, client, ca) = (
        ours.issue("127.0.0.1", YEAR),
        ours.issue("probe.example", YEAR),
        ours.path(),
    );
    let port = free_port();
    let received = folder.path().join("received.ipfix");
    let listen = |cert: &Issued| -> Child {
        let mut command = Command::new("openssl");
        // -listen: with the exchange of cookies.
        command.args([
            "s_server",
            "-dtls1_2",
            "-listen",
            "-accept",
            &port.to_string(),
            "-quiet",
            "-naccept",
            "1",
        ]);
        command.args(["-CAfile", &ca, "-Verify", "1", "-verify_return_error"]);
        command.args(["-cert", &cert.certificate, "-key", &cert.key]);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        let child = command
            .stdout(std::fs::File::create(&received).unwrap())
            .spawn()
            .unwrap();
        // It listens when nobody else can.
        wait("server", || UdpSocket::bind(("0.0.0.0", port)).is_err());
        child
    };
    let to = format!("dtls://127.0.0.1:{port}");
    let mut heard = listen(&own);
    let output = export(&to, &Authority::flags(&client, &ca));
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    let [sent, exported, lost] = accounts(&said);
    assert_eq!((exported, lost), (sent, 0), "{said}");
    assert!(
        said.contains("the collector confirms nothing"),
        "s_server answers no hello beside its session: {said}"
    );
    wait("records", || records_in(&received) == sent);
    let _ = heard.kill();
    let _ = heard.wait();
    let mut late = listen(&ours.issue("127.0.0.1", 2021));
    let said = text(&export_within("1s", &to, &Authority::flags(&client, &ca)).stderr);
    assert!(said.contains("the collector's certificate has expired"), "{said}");
    let _ = late.kill();
    let _ = late.wait();
    assert_eq!(std::fs::metadata(&received).unwrap().len(), 0);
}
