//! Lines to servers on this machine that are away, blocked, in a bad mood or someone else: what arrives, what is lost,
//! and that the sum balances.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::config::Destination;
use crate::config::lines::Authorization;
use crate::exporting::{AccountsSnapshot, Event, Loss};
use crate::io::destination::{Context, Worker};
use crate::io::stories::{PATIENCE, batch, context, finish, start};

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// All that comes on one connection.
fn hear_all(listener: &TcpListener) -> Vec<u8> {
    let mut octets = Vec::new();
    listener.accept().unwrap().0.read_to_end(&mut octets).unwrap();
    octets
}

fn objects(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_over_tcp_arrive_whole_in_their_order() {
    let (listener, port) = listener();
    let context = context(PATIENCE);
    let worker = start(&format!("json:tcp://127.0.0.1:{port}"), &context);
    let heard = thread::spawn(move || hear_all(&listener));
    worker.queue.push_waiting(1, batch(3000));
    worker.queue.push_waiting(1, batch(3));
    let accounts = finish(worker, &context);
    let text = heard.join().unwrap();
    assert!(text.ends_with(b"}\n"));
    let lines = objects(&text);
    assert_eq!(lines.len(), 3003);
    assert!(lines[0]["start_timestamp"].is_string() && lines[0]["sourceIPv4Address"].is_string());
    assert_eq!((accounts.exported, accounts.octets), (3003, text.len() as u64));
    assert_eq!((accounts.connections, accounts.lost_total()), (1, 0));
}

#[test]
fn a_server_that_comes_later_and_breaks_off_gets_the_rest_on_a_new_connection() {
    let (first, port) = listener();
    drop(first);
    let context = context(PATIENCE);
    let worker = start(&format!("json:tcp://127.0.0.1:{port}"), &context);
    worker.queue.push_waiting(1, batch(10));
    thread::sleep(Duration::from_millis(100));
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut first = vec![0; 1];
    stream.read_exact(&mut first).unwrap();
    // All ten have arrived in our kernel, and are acknowledged.
    thread::sleep(Duration::from_millis(200));
    drop(stream);
    let second = thread::spawn(move || hear_all(&listener));
    thread::sleep(Duration::from_millis(50));
    worker.queue.push_waiting(1, batch(20));
    let accounts = finish(worker, &context);
    let lines = objects(&second.join().unwrap());
    assert_eq!(lines.len() as u64 + 10, accounts.exported);
    assert_eq!(
        (
            accounts.exported + accounts.lost_for(Loss::Unconfirmed),
            accounts.connections
        ),
        (30, 2)
    );
    assert!(accounts.send_errors > 0);
}

#[test]
fn a_reader_that_does_not_read_stalls_nobody_and_everything_is_counted() {
    let (listener, port) = listener();
    let mut context = context(Duration::from_millis(700));
    context.from_files = false;
    context.config.queue = 2000;
    let worker = start(&format!("json:tcp://127.0.0.1:{port}"), &context);
    let (stream, _) = {
        worker.push_dropping(batch(1000));
        listener.accept().unwrap()
    };
    let begun = Instant::now();
    // Far more than what the kernel takes for both ends.
    for _ in 0..40 {
        worker.push_dropping(batch(1000));
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "live traffic waits for nobody"
    );
    let accounts = finish(worker, &context);
    drop(stream);
    assert_eq!(accounts.queued, 41_000);
    assert!(accounts.lost_for(Loss::QueueFull) > 0, "{accounts}");
    // What the kernels took and nobody read, or what waited behind it.
    let given_up = accounts.lost_for(Loss::DrainTimeout) + accounts.lost_for(Loss::Unconfirmed);
    assert!(given_up > 0 && accounts.failed, "{accounts}");
}

/// A frame of octet counting (RFC 6587 section 3.4.1) from the front of `octets`.
fn take_frame<'o>(octets: &mut &'o [u8]) -> Option<&'o str> {
    let space = octets.iter().position(|octet| *octet == b' ')?;
    let length: usize = std::str::from_utf8(&octets[..space]).unwrap().parse().unwrap();
    let (frame, rest) = octets[space + 1..].split_at(length);
    *octets = rest;
    Some(std::str::from_utf8(frame).unwrap())
}

/// The parts of a message: PRI, TIMESTAMP, APP-NAME, MSGID and MSG.
fn message(text: &str) -> (String, String, String, String, Value) {
    let (priority, rest) = text.strip_prefix('<').unwrap().split_once('>').unwrap();
    let mut words = rest.splitn(8, ' ');
    let mut word = || words.next().unwrap().to_owned();
    assert_eq!(word(), "1");
    let time = word();
    assert!(!word().is_empty());
    let (name, process, id) = (word(), word(), word());
    assert_eq!(
        (process.as_str(), word().as_str()),
        (&*std::process::id().to_string(), "-")
    );
    (
        priority.to_owned(),
        time,
        name,
        id,
        serde_json::from_str(&word()).unwrap(),
    )
}

#[test]
fn syslog_over_tcp_counts_octets() {
    let (listener, port) = listener();
    let context = context(PATIENCE);
    let worker = start(&format!("syslog+tcp://127.0.0.1:{port}"), &context);
    let heard = thread::spawn(move || hear_all(&listener));
    worker.queue.push_waiting(1, batch(100));
    let accounts = finish(worker, &context);
    let octets = heard.join().unwrap();
    let mut rest = octets.as_slice();
    let mut messages = 0;
    while let Some(frame) = take_frame(&mut rest) {
        let (priority, time, name, id, value) = message(frame);
        assert_eq!(
            (priority.as_str(), name.as_str(), id.as_str()),
            ("134", "flowgauge-exporter", "flow")
        );
        let end = value["end_timestamp"].as_str().unwrap();
        assert_eq!(time.replace('T', " "), end);
        messages += 1;
    }
    assert_eq!((messages, accounts.exported, accounts.lost_total()), (100, 100, 0));
}

#[test]
fn syslog_over_udp_is_a_message_a_datagram_with_the_priority_asked_for() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut context = context(PATIENCE);
    context.config.lines.syslog_priority = 165;
    let worker = start(&format!("syslog://{}", socket.local_addr().unwrap()), &context);
    worker.queue.push_waiting(1, batch(50));
    let mut room = vec![0; 65_536];
    for _ in 0..50 {
        let length = socket.recv(&mut room).unwrap();
        let (priority, .., value) = message(std::str::from_utf8(&room[..length]).unwrap());
        assert_eq!(priority, "165");
        assert!(value["flowEndReason"].is_u64());
    }
    let accounts = finish(worker, &context);
    assert_eq!((accounts.exported, accounts.messages), (50, 50));
}

#[test]
fn syslog_that_nobody_hears_is_counted_as_refused() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let context = context(PATIENCE);
    let worker = start(&format!("syslog://{address}"), &context);
    worker.queue.push_waiting(1, batch(100));
    let accounts = finish(worker, &context);
    // The last one's answer may come too late.
    assert!(accounts.lost_for(Loss::Refused) >= 98, "{accounts}");
    assert!(!accounts.failed);
}

/// A request as an HTTP server sees it.
struct Request {
    line: String,
    fields: HashMap<String, String>,
    body: Vec<u8>,
    at: Instant,
}

fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut fields = HashMap::new();
    loop {
        let mut field = String::new();
        stream.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim_end().split_once(':') else {
            break;
        };
        fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; fields["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Request {
        line: line.trim_end().to_owned(),
        fields,
        body,
        at: Instant::now(),
    })
}

/// A server that gives these answers, one after the other, and then the last one for ever; and what it is asked.
fn server(answers: &'static [&'static str]) -> (u16, Receiver<Request>) {
    let (listener, port) = listener();
    let (requests, heard) = channel();
    thread::spawn(move || {
        let mut answers = answers.iter().chain(std::iter::repeat(answers.last().unwrap()));
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some(request) = read_request(&mut stream) {
                let answer = format!("HTTP/1.1 {}\r\n\r\n", answers.next().unwrap());
                if requests.send(request).is_err() || stream.get_mut().write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (port, heard)
}

const OK: &str = "204 No Content\r\ncontent-length: 0";

fn push(answers: &'static [&'static str], context: &Context, batches: &[usize]) -> (AccountsSnapshot, Vec<Request>) {
    let (port, heard) = server(answers);
    let worker = start(&format!("json:http://127.0.0.1:{port}/flows?x=1"), context);
    batches
        .iter()
        .for_each(|records| worker.queue.push_waiting(1, batch(*records)));
    let accounts = finish(worker, context);
    (accounts, heard.try_iter().collect())
}

#[test]
fn lines_are_posted_as_ndjson() {
    let context = context(PATIENCE);
    let (accounts, requests) = push(&[OK], &context, &[100, 50]);
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].line, "POST /flows?x=1 HTTP/1.1");
    assert_eq!(requests[0].fields["content-type"], "application/x-ndjson");
    assert!(!requests[0].fields.contains_key("authorization"));
    assert_eq!(
        (objects(&requests[0].body).len(), objects(&requests[1].body).len()),
        (100, 50)
    );
    let octets: usize = requests.iter().map(|request| request.body.len()).sum();
    assert_eq!(
        (accounts.exported, accounts.octets, accounts.lost_total()),
        (150, octets as u64, 0)
    );
}

#[test]
fn bodies_are_compressed_and_signed_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "Bearer hush\n").unwrap();
    let mut context = context(PATIENCE);
    context.config.lines.http_gzip = true;
    context.config.lines.http_authorization = Some(Authorization::File(token));
    let (accounts, requests) = push(&[OK], &context, &[1000]);
    let request = &requests[0];
    assert_eq!(request.fields["authorization"], "Bearer hush");
    assert_eq!(request.fields["content-encoding"], "gzip");
    let mut text = Vec::new();
    GzDecoder::new(request.body.as_slice()).read_to_end(&mut text).unwrap();
    assert_eq!(objects(&text).len(), 1000);
    assert!(request.body.len() * 4 < text.len());
    assert_eq!(accounts.exported, 1000);
}

#[test]
fn a_server_that_cannot_now_is_asked_again_with_the_same() {
    let context = context(PATIENCE);
    let answers = &[
        "500 Internal Server Error\r\ncontent-length: 8\r\n\r\noops",
        "429 Too Many Requests\r\nretry-after: 2\r\ncontent-length: 0",
        OK,
    ];
    let (accounts, requests) = push(answers, &context, &[10]);
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    assert!(
        requests[2].at - requests[1].at >= Duration::from_secs(2),
        "it named its pause"
    );
    assert_eq!((accounts.exported, accounts.lost_total()), (10, 0));
    assert_eq!(
        (accounts.events.of(Event::RequestRepeated), accounts.send_errors),
        (2, 2)
    );
}

#[test]
fn what_a_server_does_not_want_is_lost_and_the_next_is_tried() {
    let context = context(PATIENCE);
    let answers = &[
        "404 Not Found\r\ncontent-length: 0",
        "302 Found\r\nlocation: /x\r\ncontent-length: 0",
        OK,
    ];
    let (accounts, requests) = push(answers, &context, &[10, 20, 30]);
    assert_eq!(requests.len(), 3);
    assert_eq!((accounts.exported, accounts.lost_for(Loss::Refused)), (30, 30));
    assert_eq!(accounts.events.of(Event::RequestRefused), 2);
    assert!(!accounts.failed);
}

#[test]
fn a_body_that_is_too_large_is_halved() {
    let context = context(PATIENCE);
    let answers = &[
        "413 Payload Too Large\r\ncontent-length: 0",
        OK,
        "413 Payload Too Large\r\ncontent-length: 0",
        OK,
    ];
    let (accounts, requests) = push(answers, &context, &[9]);
    let lines: Vec<usize> = requests.iter().map(|request| objects(&request.body).len()).collect();
    assert_eq!(lines, [9, 4, 5, 2, 3]);
    assert_eq!((accounts.exported, accounts.lost_total()), (9, 0));
}

#[test]
fn a_server_that_never_comes_is_given_up_with_everything_counted() {
    let (listener, port) = listener();
    drop(listener);
    let context = context(Duration::from_millis(300));
    let worker = start(&format!("json:http://127.0.0.1:{port}/"), &context);
    worker.queue.push_waiting(1, batch(10));
    worker.queue.push_waiting(1, batch(10));
    let accounts = finish(worker, &context);
    assert_eq!(
        (
            accounts.exported,
            accounts.lost_for(Loss::DrainTimeout),
            accounts.failed
        ),
        (0, 20, true)
    );
    assert!(accounts.events.of(Event::RequestRepeated) > 0);
}

#[test]
fn what_cannot_be_used_is_said_at_once() {
    let mut context = context(PATIENCE);
    let destination = Destination::parse("json:https://127.0.0.1:1/").unwrap();
    context.config.lines.http_ca = Some("/nowhere/ca.pem".into());
    let error = Worker::start(&destination, &context).unwrap_err();
    assert!(
        error.starts_with("json:https://127.0.0.1:1/: /nowhere/ca.pem: "),
        "{error}"
    );
    context.config.lines.http_ca = None;
    context.config.lines.http_authorization = Some(Authorization::File("/nowhere/token".into()));
    let destination = Destination::parse("json:http://127.0.0.1:1/").unwrap();
    let error = Worker::start(&destination, &context).unwrap_err();
    assert!(error.contains("/nowhere/token") && !error.contains('\n'), "{error}");
}
