//! Files that follow each other and lines to servers, as other programs read them: ipfixDump, tshark, jq, and what
//! Python's own library makes of JSON, HTTP and of RFC 5424's grammar.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::{exporter, run, stderr};

/// Flows in it.
const FLOWS: u64 = 155;

fn office() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/office.pcap");
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    if found.is_err() {
        println!("skipped: {program} is not installed: it does not read what we write");
    }
    found.is_ok()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_of_a_series_is_read_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(
        folder.path(),
        &["--read", &office(), "--rotate", "10s", "--to", "file:%H%M%S.ipfix"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let files = files(folder.path(), "ipfix");
    assert!(files.len() > 3, "{files:?}");
    if is_installed("ipfixDump") {
        let mut flows = 0;
        for file in &files {
            let dump = Command::new("ipfixDump")
                .args(["--in", file.to_str().unwrap(), "--rfc5610"])
                .output()
                .unwrap();
            assert!(
                dump.status.success() && dump.stderr.is_empty(),
                "{}",
                text(&dump.stderr)
            );
            let lines = text(&dump.stdout);
            assert!(
                !lines.contains("_alienInformationElement"),
                "each names its own elements"
            );
            flows += lines
                .lines()
                .filter(|line| line.trim_start().starts_with("(1) ") && line.contains("octetDeltaCount : "))
                .count() as u64;
        }
        assert_eq!(flows, FLOWS);
    }
    if is_installed("tshark") {
        let mut ends = Vec::new();
        for file in &files {
            let tshark = |arguments: &[&str]| {
                let output = Command::new("tshark")
                    .args(["-r", file.to_str().unwrap()])
                    .args(arguments)
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{}", text(&output.stderr));
                text(&output.stdout)
            };
            assert_eq!(tshark(&["-Y", "_ws.malformed"]), "");
            let fields = tshark(&["-T", "fields", "-e", "cflow.flow_end_reason", "-E", "aggregator=,"]);
            let found = fields.split([',', '\n']).filter(|word| !word.trim().is_empty()).count();
            ends.push(found as u64);
        }
        assert_eq!(ends.iter().sum::<u64>(), FLOWS, "{ends:?}");
    }
}

/// What a monitoring system relies on: the seven keys, in their order, with their forms.
const KEYS: &str = r#"
import json, re, sys
KEYS = ["start_timestamp", "end_timestamp", "client_country", "server_zone", "blackholed", "bufferbloat", "non_idle_throughput_mbps"]
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}Z")
def check(line):
    pairs = json.loads(line, object_pairs_hook=list)
    assert [k for k, _ in pairs[:7]] == KEYS, pairs[:7]
    assert len({k for k, _ in pairs}) == len(pairs), "a key twice"
    start, end, country, zone, hole, bloat, mbps = (v for _, v in pairs[:7])
    assert TIME.fullmatch(start) and TIME.fullmatch(end) and start <= end
    assert country is None and (zone is None or "." in zone)
    assert hole in (True, False, None) and bloat in (True, False, None)
    assert mbps is None or (mbps > 0 and not isinstance(mbps, bool))
    values = dict(pairs)
    if values["protocolIdentifier"] != 6:
        assert hole is None and bloat is None and mbps is None
    return values
"#;

fn python(script: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", &format!("{KEYS}\n{script}")]);
    command.stdout(Stdio::piped());
    command
}

/// A server in Python that says its port first and what it found at the end.
fn server(script: &str) -> (Child, BufReader<std::process::ChildStdout>, u16) {
    let mut child = python(script).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let port = line.trim().parse().unwrap();
    (child, said, port)
}

/// The last word of a server that has heard all it waits for.
fn last_word((mut child, mut said, _): (Child, BufReader<std::process::ChildStdout>, u16)) -> String {
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert!(child.wait().unwrap().success());
    line.trim().to_owned()
}

#[test]
fn lines_begin_with_the_keys_of_the_contract() {
    if !is_installed("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = run(
        folder.path(),
        &[
            "--read",
            &office(),
            "--rotate",
            "10s",
            "--to",
            "json:%H%M%S.json",
            "json:all.x",
        ],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    // A series and one file say the same.
    let mut parts: Vec<String> = Vec::new();
    for file in files(folder.path(), "json") {
        parts.extend(std::fs::read_to_string(file).unwrap().lines().map(str::to_owned));
    }
    let check = python(
        r#"
import glob
lines = [line for path in sorted(glob.glob("all*.x")) for line in open(path)]
found = [check(line) for line in lines]
tcp = [v for v in found if v["protocolIdentifier"] == 6]
assert all(v["blackholed"] in (True, False) for v in tcp if "tcpMeasurementFlags" in v)
print(len(found), sum(v["server_zone"] is not None for v in found), sum(v["non_idle_throughput_mbps"] is not None for v in tcp))
"#,
    )
    .current_dir(folder.path())
    .output()
    .unwrap();
    assert!(check.status.success());
    let numbers: Vec<u64> = text(&check.stdout)
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    assert_eq!((numbers[0], parts.len() as u64), (FLOWS, FLOWS));
    assert!(numbers[1] > 0 && numbers[2] > 0, "{numbers:?}");
    if is_installed("jq") {
        let all: Vec<String> = files(folder.path(), "x")
            .iter()
            .map(|path| path.to_str().unwrap().to_owned())
            .collect();
        let jq = Command::new("jq")
            .args(["-c", "keys_unsorted[0:7]"])
            .args(&all)
            .output()
            .unwrap();
        assert_eq!(text(&jq.stdout).lines().count() as u64, FLOWS);
        assert_eq!(
            text(&jq.stdout)
                .lines()
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            1
        );
    }
}

/// RFC 5424 section 6: the ABNF of a message as a pattern, and a server by UDP or TCP.
const SYSLOG: &str = r#"
import os, re, socket
MESSAGE = re.compile(
    rb"<(?P<pri>0|[1-9]\d?|1[0-8]\d|19[01])>(?P<version>[1-9]\d{0,2}) "
    rb"(?:-|(?P<time>\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))) "
    rb"(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<proc>[!-~]{1,128}) (?P<id>[!-~]{1,32}) "
    rb"(?P<data>-|(?:\[[!#-<>-\\^-~]{1,32}(?: [!#-<>-\\^-~]{1,32}=\"(?:[^\"\\\]]|\\.)*\")*\])+)(?: (?P<msg>.*))?", re.S)
def read(octets):
    m = MESSAGE.fullmatch(octets)
    assert m, octets
    assert (m["pri"], m["version"], m["app"], m["id"], m["data"]) == (b"165", b"1", b"flowgauge-exporter", b"flow", b"-"), m.groups()
    values = check(m["msg"].decode())
    assert m["time"].decode().replace("T", " ") == values["end_timestamp"]
"#;

#[test]
fn syslog_messages_are_those_of_rfc_5424() {
    if !is_installed("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let udp = r#"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); s.settimeout(15)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
print(s.getsockname()[1], flush=True)
for _ in range(155): read(s.recv(65536))
print(155)
"#;
    let tcp = r#"
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(); l.settimeout(15)
print(l.getsockname()[1], flush=True)
f = l.accept()[0].makefile("rb"); found = 0
while True:
    length = b""
    while (octet := f.read(1)) not in (b" ", b""): length += octet
    if not octet: break
    assert length[:1] != b"0"
    read(f.read(int(length))); found += 1
print(found)
"#;
    for (scheme, script) in [("syslog", udp), ("syslog+tcp", tcp)] {
        let server = server(&format!("{SYSLOG}\n{script}"));
        let to = format!("{scheme}://127.0.0.1:{}", server.2);
        let output = run(
            folder.path(),
            &[
                "--read",
                &office(),
                "--rate",
                "2000",
                "--syslog-priority",
                "local4.notice",
                "--to",
                &to,
            ],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(last_word(server), FLOWS.to_string(), "{scheme}");
        assert!(
            stderr(&output).contains(&format!("{to}: {FLOWS} records exported")),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn an_http_server_that_fails_at_first_gets_everything_and_no_log_has_the_password() {
    if !is_installed("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = r#"
import gzip, http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests, found = 0, 0
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        Handler.requests += 1
        assert self.path == "/ingest" and self.headers["content-type"] == "application/x-ndjson"
        assert self.headers["authorization"] == "Basic bWU6aHVzaDEyMw==", self.headers["authorization"]
        status = 503 if Handler.requests == 1 else 200
        if status == 200:
            Handler.found += len([check(line) for line in gzip.decompress(body).decode().splitlines()])
        self.send_response(status); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *a): pass
s = http.server.HTTPServer(("127.0.0.1", 0), Handler)
s.timeout = 15
print(s.server_port, flush=True)
while Handler.found < 155: s.handle_request()
print(Handler.requests, Handler.found)
"#;
    let server = server(script);
    let to = format!("json:http://127.0.0.1:{}/ingest", server.2);
    let output = exporter(folder.path())
        .args(["run", "--read", &office(), "--http-gzip", "on", "--to", &to])
        .env("FLOWGAUGE_EXPORTING_HTTP_AUTHORIZATION", "me:hush123")
        .output()
        .unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(last_word(server), format!("2 {FLOWS}"));
    assert!(
        said.contains("it answers 503 Service Unavailable; ") && !said.contains("hush"),
        "{said}"
    );
    // On the command line everybody could read it.
    for (arguments, line) in [
        (
            ["--http-authorization", "me:hush123", "--to", "json:http://h/"],
            "write @FILE",
        ),
        (
            ["--http-gzip", "on", "--to", "json:http://me:hush123@h/"],
            "a password in a URL gets into logs",
        ),
    ] {
        let output = run(folder.path(), &[&["--read", "a"][..], &arguments].concat());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(line) && !said.contains("hush") && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn an_https_server_is_trusted_by_its_authority_alone() {
    if !is_installed("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("s.pem"), certified.cert.pem()).unwrap();
    std::fs::write(folder.path().join("s.key"), certified.signing_key.serialize_pem()).unwrap();
    let script = r#"
import http.server, os, ssl
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, found = "HTTP/1.1", 0
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        Handler.found += len([check(line) for line in body.decode().splitlines()])
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *a): pass
s = http.server.HTTPServer(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.environ["FOLDER"] + "/s.pem", os.environ["FOLDER"] + "/s.key")
s.socket = context.wrap_socket(s.socket, server_side=True)
s.timeout = 15
print(s.server_port, flush=True)
while Handler.found < 155: s.handle_request()
print(Handler.found)
"#;
    // Who refuses a certificate ends the handshake, which the server says and survives.
    let folder_of_server = format!("import os\nos.environ[\"FOLDER\"] = {:?}\n{script}", folder.path());
    let server = server(&folder_of_server);
    let to = format!("json:https://localhost:{}/", server.2);
    let read = office();
    let output = run(
        folder.path(),
        &["--read", &read, "--drain-timeout", "100ms", "--to", &to],
    );
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Where the system has no list of authorities, that is what it says.
    assert!(
        said.contains("; see --http-ca") || said.contains("name one with --http-ca"),
        "{said}"
    );
    assert!(
        said.contains("0 records exported") || !said.contains("records exported"),
        "{said}"
    );
    let output = run(folder.path(), &["--read", &read, "--http-ca", "s.pem", "--to", &to]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(last_word(server), FLOWS.to_string());
}

/// Runs a command where `disk` is a disk of so many octets; none without the right to mount one.
fn on_a_small_disk(folder: &Path, octets: u32, command: &str) -> Option<Output> {
    std::fs::create_dir(folder.join("disk")).unwrap();
    let script = format!("mount -t tmpfs -o size={octets} none disk || exit 77\n{command}");
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(folder)
        .env("EXPORTER", env!("CARGO_BIN_EXE_flowgauge-exporter"))
        .output();
    let output = output.ok().filter(|output| output.status.code() != Some(77));
    if output.as_ref().is_none_or(|output| stderr(output).contains("unshare")) {
        println!("skipped: no mount namespace here: no disk is filled");
        return None;
    }
    output
}

#[test]
fn a_series_waits_for_a_full_disk_and_gives_up_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let command = format!(
        "\"$EXPORTER\" run --read {} --rotate-size 16K --drain-timeout 1s --to json:disk/x.json; echo $?; cat disk/*",
        office()
    );
    let Some(output) = on_a_small_disk(folder.path(), 64 << 10, &command) else {
        return;
    };
    let said = stderr(&output);
    let shown = text(&output.stdout);
    let (status, lines) = shown.split_once('\n').unwrap();
    assert_eq!(status, "1", "{said}");
    assert!(
        said.contains("No space left on device (os error 28); free some space"),
        "{said}"
    );
    // What is there is whole, and what is not is counted.
    let whole = lines
        .lines()
        .filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
    let whole = whole.count() as u64;
    assert_eq!(lines.lines().count() as u64, whole);
    assert!(whole > 10 && whole < FLOWS);
    assert!(said.contains(&format!(": {whole} records exported")), "{whole}: {said}");
    let lost = FLOWS - whole;
    assert!(said.contains(&format!("{lost} lost (drain_timeout {lost})")), "{said}");
}

#[test]
fn a_series_goes_on_when_there_is_room_again_or_keeps_within_it() {
    let folder = tempfile::tempdir().unwrap();
    let command = format!(
        "head -c 950K /dev/zero > disk/filler; (sleep 1; rm disk/filler) & \
         \"$EXPORTER\" run --read {} --rotate-size 64K --to file:disk/x.ipfix json:disk/x.json && cat disk/*.json | wc -l",
        office()
    );
    let Some(output) = on_a_small_disk(folder.path(), 1 << 20, &command) else {
        return;
    };
    let said = stderr(&output);
    assert_eq!(text(&output.stdout).trim(), FLOWS.to_string(), "{said}");
    assert!(said.contains("writes again after"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let command = format!(
        "\"$EXPORTER\" run --read {} --rotate-size 16K --keep-size 64K --to json:disk/x.json && ls disk | wc -l",
        office()
    );
    let output = on_a_small_disk(folder.path(), 160 << 10, &command).unwrap();
    let said = stderr(&output);
    let left: u64 = text(&output.stdout).trim().parse().unwrap();
    assert!((2..=5).contains(&left), "{left}: {said}");
    assert!(
        said.contains(&format!("{FLOWS} records exported")) && !said.contains("No space"),
        "{said}"
    );
}
