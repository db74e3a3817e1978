//! Destinations against real sockets and files on this machine: what arrives, what is lost, and that the sum balances.

use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowgauge_ie_registry::Registry;
use flowgauge_templates::ipfix::message_length;
use flowgauge_templates::management::{CollectingConfig, CollectingSession, Event, SequenceOutcome, TransportKind};

use super::destination::{Context, SharedMetering, Worker};
use super::patience::Stop;
use super::queue::Batch;
use crate::config::{Destination, ExportingConfig, Times};
use crate::exporting::{AccountsSnapshot, Loss, limits, samples};
use crate::metering::Place;
use crate::metering::tcp::TcpPerformance;
use crate::metering::tunnel::TunnelRecord;

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn context(drain_timeout: Duration) -> Context {
    Context {
        config: ExportingConfig {
            to: Vec::new(),
            share: Vec::new(),
            domain: 1,
            times: Times::Milliseconds,
            mtu: limits::UDP_MESSAGE_OCTETS,
            rate: None,
            queue: limits::QUEUE_RECORDS,
            template_refresh: Duration::from_secs(600),
            template_refresh_messages: limits::TEMPLATE_REFRESH_MESSAGES,
            summaries: Default::default(),
            drain_timeout,
            sctp_lifetime: None,
            dtls_check: limits::DTLS_CHECK,
            spool: None,
            tls: None,
            files: Default::default(),
            lines: Default::default(),
        },
        stop: Arc::new(Stop::new(drain_timeout, true)),
        metering: Arc::new(SharedMetering::default()),
        identity: Arc::default(),
        selectors: Arc::new([]),
        spares: Arc::default(),
        geo: None,
        from_files: true,
    }
}

pub(super) fn start(destination: &str, context: &Context) -> Worker {
    Worker::start(&Destination::parse(destination).unwrap(), context).unwrap()
}

pub(super) fn batch(records: usize) -> Batch {
    let kinds = [samples::udp(), samples::tcp(), samples::icmp6()];
    let records: Vec<_> = kinds.iter().cycle().take(records).cloned().collect();
    Batch::new(records.into())
}

pub(super) fn finish(worker: Worker, context: &Context) -> AccountsSnapshot {
    worker.queue.close();
    context.stop.drain();
    let accounts = worker.join().snapshot();
    assert_eq!(accounts.queued, accounts.exported + accounts.lost_total(), "{accounts}");
    accounts
}

/// The other end of one transport session.
pub(super) struct Collector {
    session: CollectingSession,
    registry: Registry,
    pub flows: u64,
    pub gaps: u64,
}

impl Collector {
    pub fn new(transport: TransportKind) -> Self {
        Self {
            session: CollectingSession::new(transport, CollectingConfig::default()),
            registry: Registry::new(),
            flows: 0,
            gaps: 0,
        }
    }

    pub fn hear(&mut self, message: &[u8]) {
        let (flows, gaps) = (&mut self.flows, &mut self.gaps);
        self.session
            .handle_message(
                samples::START_NS,
                message,
                &mut self.registry,
                &mut |event| match event {
                    Event::Records { template, records, .. } if !template.is_options() => {
                        *flows += records.count() as u64
                    }
                    Event::Sequence {
                        outcome: SequenceOutcome::First | SequenceOutcome::InOrder,
                        ..
                    } => {}
                    Event::Sequence { .. } => *gaps += 1,
                    Event::Error(error) => panic!("{error:?}"),
                    _ => {}
                },
            )
            .unwrap();
    }

    /// Hears the whole Messages in `octets`; says how many octets are left over.
    pub fn hear_all(&mut self, mut octets: &[u8]) -> usize {
        while let Ok(Some(length)) = message_length(octets) {
            let Some((message, rest)) = octets.split_at_checked(length) else {
                break;
            };
            self.hear(message);
            octets = rest;
        }
        octets.len()
    }
}

pub(super) fn accept_within(listener: &TcpListener, patience: Duration) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + patience;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return stream;
            }
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("nobody connected: {error}"),
        }
    }
}

#[test]
fn tcp_waits_for_a_collector_that_comes_late_and_loses_nothing() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let context = context(PATIENCE);
    let worker = start(&format!("tcp://{address}"), &context);
    for _ in 0..5 {
        worker.queue.push_waiting(1, batch(100));
    }
    std::thread::sleep(Duration::from_millis(100));
    let listener = TcpListener::bind(address).unwrap();
    let mut octets = Vec::new();
    let accounts = std::thread::scope(|scope| {
        let finished = scope.spawn(|| finish(worker, &context));
        accept_within(&listener, PATIENCE).read_to_end(&mut octets).unwrap();
        finished.join().unwrap()
    });
    let mut collector = Collector::new(TransportKind::Tcp);
    assert_eq!(collector.hear_all(&octets), 0);
    assert_eq!((collector.flows, collector.gaps), (500, 0));
    assert_eq!(
        (accounts.exported, accounts.lost_total(), accounts.connections),
        (500, 0, 1)
    );
    assert_eq!(accounts.octets, octets.len() as u64);
    assert!(accounts.send_errors > 0 && !accounts.failed);
}

#[test]
fn tcp_begins_a_new_session_when_the_collector_goes_and_counts_what_was_on_its_way() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let context = context(PATIENCE);
    let worker = start(&format!("tcp://{}", listener.local_addr().unwrap()), &context);
    let mut first = Collector::new(TransportKind::Tcp);
    let mut second = Collector::new(TransportKind::Tcp);

    worker.queue.push_waiting(1, batch(200));
    let mut stream = accept_within(&listener, PATIENCE);
    let mut octets = Vec::new();
    while first.flows < 200 {
        let mut buffer = [0; 65_536];
        let length = stream.read(&mut buffer).unwrap();
        octets.extend_from_slice(&buffer[..length]);
        first = Collector::new(TransportKind::Tcp);
        first.hear_all(&octets);
    }
    // Gone, with the second batch perhaps in its receive buffer: a reset.
    worker.queue.push_waiting(1, batch(200));
    drop(stream);
    worker.queue.push_waiting(1, batch(200));

    let mut octets = Vec::new();
    let accounts = std::thread::scope(|scope| {
        let finished = scope.spawn(|| finish(worker, &context));
        let mut stream = accept_within(&listener, PATIENCE);
        stream.read_to_end(&mut octets).unwrap();
        finished.join().unwrap()
    });
    assert_eq!(second.hear_all(&octets), 0, "only whole Messages");
    assert_eq!((first.gaps, second.gaps), (0, 0));
    assert_eq!(accounts.connections, 2);
    assert_eq!(accounts.queued, 600);
    // What the first collector's system acknowledged and nobody read is the one thing that no sender can know.
    assert!(first.flows + second.flows <= accounts.exported + accounts.lost_total());
    assert!(second.flows >= 200);
}

#[test]
fn asked_twice_a_dead_destination_gives_up_at_once() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let context = context(Duration::from_secs(3600));
    let worker = start(&format!("tcp://{address}"), &context);
    worker.queue.push_waiting(1, batch(70));
    context.stop.request();
    context.stop.request();
    let accounts = finish(worker, &context);
    assert_eq!(
        (
            accounts.exported,
            accounts.lost_for(Loss::DrainTimeout),
            accounts.lost_total()
        ),
        (0, 70, 70)
    );
    assert!(accounts.failed);
}

#[test]
fn udp_datagrams_arrive_in_sequence() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let context = context(PATIENCE);
    let worker = start(&format!("udp://{}", socket.local_addr().unwrap()), &context);
    let mut collector = Collector::new(TransportKind::Udp);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..10).for_each(|_| worker.queue.push_waiting(1, batch(100)));
        });
        let mut buffer = [0; 65_536];
        while collector.flows < 1000 {
            let length = socket.recv(&mut buffer).unwrap();
            assert!(length <= 1400);
            collector.hear(&buffer[..length]);
        }
    });
    let accounts = finish(worker, &context);
    assert_eq!((collector.flows, collector.gaps), (1000, 0));
    assert_eq!(
        (accounts.exported, accounts.lost_total(), accounts.send_errors),
        (1000, 0, 0)
    );
}

#[test]
fn udp_to_nobody_is_lost_and_the_sending_goes_on() {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let context = context(PATIENCE);
    let worker = start(&format!("udp://{address}"), &context);
    worker.queue.push_waiting(1, batch(100));
    worker.queue.push_waiting(1, batch(100));
    let accounts = finish(worker, &context);
    assert_eq!((accounts.exported, accounts.lost_for(Loss::Refused)), (0, 200));
    assert_eq!(accounts.lost_total(), 200);
    // A collector that comes back is served again, so this ends nothing.
    assert!(accounts.send_errors > 0 && !accounts.failed);
}

#[test]
fn a_file_takes_its_name_when_it_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.ipfix");
    let context = context(PATIENCE);
    let worker = start(&format!("file:{}", path.display()), &context);
    worker.queue.push_waiting(1, batch(300));
    assert!(!path.exists() && directory.path().join("a.ipfix.part").exists());
    let accounts = finish(worker, &context);
    let octets = std::fs::read(&path).unwrap();
    let mut collector = Collector::new(TransportKind::File);
    assert_eq!(collector.hear_all(&octets), 0);
    assert_eq!((collector.flows, collector.gaps), (300, 0));
    assert_eq!((accounts.exported, accounts.octets), (300, octets.len() as u64));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn json_lines_name_the_elements() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let context = context(PATIENCE);
    let worker = start(&format!("json:{}", path.display()), &context);
    worker
        .queue
        .push_waiting(1, Batch::new([samples::tcp(), samples::icmp6()].to_vec().into()));
    let accounts = finish(worker, &context);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["flowStartMilliseconds"], "2026-01-01T00:00:22.230Z");
    assert_eq!(lines[0]["destinationTransportPort"], 443);
    assert_eq!(lines[0]["tcpHandshakeRttServerMicroseconds"], 20_100);
    assert_eq!(lines[0]["sourceMacAddress"], "02:00:00:00:00:01");
    assert_eq!(lines[1]["sourceIPv6Address"], "2001:db8::1");
    assert_eq!(lines[1]["icmpTypeCodeIPv6"], 0x8000);
    assert!(lines[1].get("reversePacketDeltaCount").is_none());
    assert_eq!((accounts.exported, accounts.octets), (2, text.len() as u64));
}

/// Numbers are numbers, floats keep their fraction, text is text, and an application's fields have their own names.
#[test]
fn json_lines_have_the_parts_of_a_record_in_their_types() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let context = context(PATIENCE);
    let worker = start(&format!("json:{}", path.display()), &context);
    let (mut records, _) = samples::with_application();
    let tunnel = TunnelRecord {
        kind: 1,
        identifier: Some(4096),
        src: [192, 0, 2, 1].into(),
        dst: [192, 0, 2, 2].into(),
    };
    records.flows[0].tunnel = Place::push(&mut records.tunnels, tunnel);
    let mut tcp = TcpPerformance::default();
    tcp.directions[0].non_idle_bps = Some(1_234_567.5);
    tcp.directions[0].bufferbloat = Some(true);
    tcp.directions[1].retransmitted_packets = 3;
    records.flows[0].tcp = Place::push(&mut records.tcp, tcp);
    worker.queue.push_waiting(1, Batch::new(records));
    let accounts = finish(worker, &context);
    let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(line["tunnelKind"], 1);
    assert_eq!(line["tunnelIdentifier"], 4096);
    assert_eq!(line["tunnelDestinationIPv4Address"], "192.0.2.2");
    assert_eq!(line["tcpNonIdleThroughputBitsPerSecond"], 1_234_567.5);
    assert_eq!(line["tcpBufferbloat"], 1);
    assert!(line.get("reverseTcpBufferbloat").is_none(), "unknown is not 0");
    assert_eq!(line["reverseTcpRetransmittedPacketDeltaCount"], 3);
    assert_eq!(line["applicationName"], "http");
    assert_eq!(line["httpRequestHost"], "example.com");
    assert_eq!((accounts.exported, accounts.lost_total()), (1, 0));
}

#[test]
fn a_full_disk_ends_the_destination_with_everything_counted() {
    let context = context(PATIENCE);
    for destination in ["file:/dev/full", "json:/dev/full"] {
        let worker = start(destination, &context);
        worker.queue.push_waiting(1, batch(100));
        worker.queue.push_waiting(1, batch(100));
        let accounts = finish(worker, &context);
        assert_eq!(
            (
                accounts.exported,
                accounts.lost_for(Loss::Failed),
                accounts.lost_total()
            ),
            (0, 200, 200),
            "{destination}"
        );
        assert!(accounts.failed);
    }
}

/// Hears every connection until it is told to stop: how many there were, flows and gaps of all.
fn hear_connections(listener: &TcpListener, stop: &std::sync::atomic::AtomicBool) -> (usize, u64, u64) {
    listener.set_nonblocking(true).unwrap();
    let (mut connections, mut flows, mut gaps) = (0, 0, 0);
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                let (mut octets, mut collector) = (Vec::new(), Collector::new(TransportKind::Tcp));
                stream.read_to_end(&mut octets).unwrap();
                assert_eq!(collector.hear_all(&octets), 0, "whole Messages");
                (connections, flows, gaps) = (connections + 1, flows + collector.flows, gaps + collector.gaps);
            }
            Err(_) if stop.load(std::sync::atomic::Ordering::Acquire) => return (connections, flows, gaps),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

#[test]
fn what_a_spool_holds_goes_with_the_next_run_in_a_session_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let destination = format!("tcp://{}", listener.local_addr().unwrap());
    let spooled = || {
        let mut context = context(PATIENCE);
        context.config.spool = Some(crate::spool::SpoolConfig {
            directory: folder.path().to_owned(),
            size: 1 << 30,
            age: Duration::from_secs(3600),
        });
        context
    };
    // The collector is away: its port is held by nobody.
    drop(listener);
    let first = spooled();
    let worker = start(&destination, &first);
    worker.queue.push_waiting(1, batch(100));
    worker.queue.close();
    first.stop.drain();
    let accounts = worker.join().snapshot();
    assert_eq!(
        (accounts.waiting(), accounts.lost_total(), accounts.exported),
        (100, 0, 0),
        "{accounts}"
    );
    assert!(!accounts.failed, "what is kept is no failure");

    let listener = TcpListener::bind(destination.trim_start_matches("tcp://")).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let heard = scope.spawn(|| hear_connections(&listener, &stop));
        let second = spooled();
        let worker = start(&destination, &second);
        worker.queue.push_waiting(1, batch(50));
        worker.queue.close();
        second.stop.drain();
        let accounts = worker.join().snapshot();
        assert_eq!(
            (accounts.taken_over, accounts.exported, accounts.waiting()),
            (100, 150, 0),
            "{accounts}"
        );
        assert_eq!(accounts.lost_total(), 0, "{accounts}");
        stop.store(true, std::sync::atomic::Ordering::Release);
        assert_eq!(
            heard.join().unwrap(),
            (2, 150, 0),
            "templates of two runs go in two sessions"
        );
    });
}
