//! The listener against clients of OpenSSL on this machine, and against peers that only make noise.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::thread::JoinHandle;

use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod, SslOptions, SslStream, SslVerifyMode};

use super::hello::{Datagram, Hello, datagram};
use super::*;
use crate::io::listener::ListenAddress;
use crate::io::queue::Batch;
use crate::io::tcp::Ended;
use crate::io::tls::tests::{Authority, Issued, config};
use crate::io::udp::prepare;
use crate::journal::Kind;
use crate::limits::{DTLS_HANDSHAKES_PER_ADDRESS_S, HANDSHAKE_S};

const PATIENCE: Duration = Duration::from_secs(10);

struct Running {
    address: SocketAddr,
    queue: Arc<Queue>,
    counters: Arc<DtlsCounters>,
    names: Arc<ClientNames>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn new(own: &Issued, authority: &Authority, clients: &[&str]) -> Running {
        Running::with(own, authority, clients, (16, Duration::ZERO))
    }

    fn with(own: &Issued, authority: &Authority, clients: &[&str], (connections, idle): (u64, Duration)) -> Running {
        Running::at("dtls://127.0.0.1:0", (own, authority, clients), (connections, idle))
    }

    fn at(
        listen: &str,
        (own, authority, clients): (&Issued, &Authority, &[&str]),
        (connections, idle): (u64, Duration),
    ) -> Running {
        let listen: ListenAddress = listen.parse().unwrap();
        let socket = listen.bind().unwrap();
        let counters = Arc::new(DtlsCounters::default());
        prepare(&socket, 4 << 20, &counters.datagrams).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let queue = Arc::new(Queue::new(16 << 20, 7));
        let (names, stop) = (Arc::new(ClientNames::default()), Arc::new(AtomicBool::new(false)));
        let receiver = DtlsReceiver {
            socket,
            listener: 3,
            queue: Arc::clone(&queue),
            counters: Arc::clone(&counters),
            credentials: Credentials::new(&config(own, authority, clients)).unwrap(),
            names: Arc::clone(&names),
            limits: TcpLimits { connections, idle },
            connections: Arc::default(),
            stop: Arc::clone(&stop),
        };
        let thread = Some(std::thread::spawn(receiver.start().unwrap()));
        Running {
            address,
            queue,
            counters,
            names,
            stop,
            thread,
        }
    }

    fn wait(&self, what: &str, is_so: impl Fn(&DtlsCounters) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.counters) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", self.counters);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn ended(&self, reason: Ended) -> u64 {
        self.counters.sessions.ended(reason)
    }

    /// Stops, and gives what was queued: the session, what it was, and its octets.
    fn stop(mut self) -> Vec<(u64, Kind, Vec<u8>)> {
        self.stop.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
        let sessions = &self.counters.sessions;
        let ended: u64 = Ended::ALL.into_iter().map(|reason| sessions.ended(reason)).sum();
        assert_eq!(sessions.accepted.load(Ordering::Relaxed), ended, "{:?}", self.counters);
        assert_eq!(sessions.open.load(Ordering::Relaxed), 0);
        self.queue.close();
        let mut batches: Vec<Batch> = Vec::new();
        self.queue.pop(Duration::ZERO, usize::MAX, usize::MAX, &mut batches);
        let entries = batches.iter().flat_map(|batch| batch.iter());
        entries
            .map(|(entry, _)| (entry.connection, entry.kind, entry.bytes.to_vec()))
            .collect()
    }
}

/// A socket as OpenSSL wants one.
#[derive(Debug)]
struct Wire(UdpSocket);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn socket(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket
}

/// A client's session, or what OpenSSL says.
fn connect(socket: UdpSocket, issued: Option<&Issued>, trusted: &Authority) -> Result<SslStream<Wire>, String> {
    let mut context = SslContext::builder(SslMethod::dtls_client()).unwrap();
    context.set_verify(SslVerifyMode::PEER);
    context.set_ca_file(trusted.path()).unwrap();
    context.set_options(SslOptions::NO_QUERY_MTU);
    if let Some(issued) = issued {
        context.set_certificate_chain_file(&issued.certificate).unwrap();
        context.set_private_key_file(&issued.key, SslFiletype::PEM).unwrap();
    }
    let mut ssl = Ssl::new(&context.build()).unwrap();
    ssl.set_mtu(1400).unwrap();
    ssl.set_connect_state();
    let mut stream = SslStream::new(ssl, Wire(socket)).unwrap();
    let begun = Instant::now();
    loop {
        match stream.do_handshake() {
            Ok(()) => return Ok(stream),
            Err(error) if error.code() == openssl::ssl::ErrorCode::WANT_READ && begun.elapsed() < PATIENCE => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// A Message without Sets, with `sequence` to tell it by.
fn message(sequence: u32) -> Vec<u8> {
    let header = [0, 10, 0, 16, 0, 0, 0, 0];
    [&header[..], &sequence.to_be_bytes(), &[0; 4]].concat()
}

/// An authority, a certificate of the collector and one of an exporter.
fn known(folder: &std::path::Path) -> (Authority, Issued, Issued) {
    let ours = Authority::new(folder, "ours");
    let (own, client) = (
        ours.issue(&["collector.example"], 2090),
        ours.issue(&["a.example"], 2090),
    );
    (ours, own, client)
}

#[test]
fn messages_of_exporters_arrive_in_order_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, own, client) = known(folder.path());
    let running = Running::new(&own, &ours, &["b.example", "a.example"]);
    let mut first = connect(socket(running.address), Some(&client), &ours).unwrap();
    let mut second = connect(socket(running.address), Some(&client), &ours).unwrap();
    for sequence in 0..50 {
        first.ssl_write(&message(sequence)).unwrap();
        second.ssl_write(&message(100 + sequence)).unwrap();
    }
    // What is not one Message is given up by itself.
    second.ssl_write(&message(7)[..12]).unwrap();
    running.wait("messages", |counters| {
        counters.sessions.messages.load(Ordering::Relaxed) == 100
    });
    assert!(matches!(first.shutdown(), Ok(openssl::ssl::ShutdownResult::Sent)));
    running.wait("an end", |counters| counters.sessions.ended(Ended::Closed) == 1);
    running.wait("nonsense", |counters| counters.dropped(Dropped::NotIpfix) == 1);
    assert_eq!(running.names.of([127, 0, 0, 1].into()), ["a.example"]);
    let counters = Arc::clone(&running.counters);
    assert_eq!(counters.sessions.octets.load(Ordering::Relaxed), 1600);
    let mut heard = running.stop();
    assert_eq!(counters.sessions.ended(Ended::Stopped), 1);
    heard.sort_by_key(|(connection, ..)| *connection);
    let of = |id| {
        let of = heard.iter().filter(move |(connection, ..)| *connection == id);
        of.map(|(_, kind, bytes)| (*kind, bytes.clone())).collect::<Vec<_>>()
    };
    for (id, from) in [(1, 0), (2, 100)] {
        let mut expected: Vec<_> = (from..from + 50)
            .map(|sequence| (Kind::Message, message(sequence)))
            .collect();
        expected.push((Kind::Closed, Vec::new()));
        assert_eq!(of(id), expected);
    }
    // The second is told that the collector stops.
    let told = second.ssl_read(&mut [0; 64]).unwrap_err();
    assert_eq!(told.code(), openssl::ssl::ErrorCode::ZERO_RETURN);
}

#[test]
fn exporters_that_are_not_known_are_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, own, client) = known(folder.path());
    let theirs = Authority::new(folder.path(), "theirs");
    let running = Running::new(&own, &ours, &["a.example"]);
    let (late, foreign, unlisted) = (
        ours.issue(&["a.example"], 2021),
        theirs.issue(&["a.example"], 2090),
        ours.issue(&["c.example"], 2090),
    );
    for (number, (issued, trusted, part)) in [
        (Some(&late), &ours, "certificate expired"),
        (Some(&foreign), &ours, "unknown ca"),
        (Some(&unlisted), &ours, "handshake failure"),
        (None, &ours, "handshake failure"),
        (Some(&client), &theirs, "certificate verify failed"),
    ]
    .into_iter()
    .enumerate()
    {
        // A client is done only when the server is: it never takes a refusal for an open door.
        let said = connect(socket(running.address), issued, trusted).unwrap_err();
        assert!(said.contains(part), "{part}: {said}");
        running.wait(part, |counters| {
            counters.sessions.ended(Ended::Certificate) == 1 + number as u64
        });
    }
    assert_eq!(running.counters.sessions.messages.load(Ordering::Relaxed), 0);
    assert!(running.names.of([127, 0, 0, 1].into()).is_empty());
    assert_eq!(running.stop(), []);
}

#[test]
fn noise_costs_nothing_but_counters() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, own, client) = known(folder.path());
    let running = Running::new(&own, &ours, &[]);
    let mut good = connect(socket(running.address), Some(&client), &ours).unwrap();
    let noise = socket(running.address);
    let mut answer = [0; 2000];
    // IPFIX in the clear, TLS, nothing at all.
    for plain in [&message(1)[..], &[22, 3, 1, 0, 1, 0], &[]] {
        noise.send(plain).unwrap();
    }
    running.wait("plain", |counters| counters.dropped(Dropped::NotDtls) == 3);
    // A session of another collector: one answer, shorter than the question.
    let data = [&[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 0, 0, 40][..], &[1; 40]].concat();
    noise.send(&data).unwrap();
    assert_eq!(noise.recv(&mut answer).unwrap(), 15);
    assert_eq!(datagram(&answer[..15]), Datagram::OpenAlert);
    noise
        .send(&[[22, 254, 253].as_slice(), &[0; 9], &[1, 2]].concat())
        .unwrap();
    running.wait("no session", |counters| counters.dropped(Dropped::NoSession) == 2);
    // Hellos from thousands of places, none of which brings its cookie back: nothing begins.
    let hello = hello_of(running.address, &ours);
    let Datagram::Hello(Hello { cookie: [], .. }) = datagram(&hello) else {
        panic!("{hello:?}")
    };
    for _ in 0..40 {
        let senders: Vec<_> = (0..50).map(|_| socket(running.address)).collect();
        for sender in &senders {
            sender.send(&hello).unwrap();
        }
        let before = running.counters.datagrams.datagrams.load(Ordering::Relaxed);
        running.wait("hellos", |counters| {
            counters.datagrams.datagrams.load(Ordering::Relaxed) >= before
        });
    }
    running.wait("all hellos", |counters| counters.hellos.load(Ordering::Relaxed) >= 2000);
    assert_eq!(running.counters.sessions.accepted.load(Ordering::Relaxed), 1);
    // Random octets, and cut and bent hellos.
    for number in 0..2000usize {
        let mut bent = hello.clone();
        let at = number % bent.len();
        bent[at] ^= (number / 7) as u8 | 1;
        bent.truncate(hello.len() - number % 50);
        noise.send(&bent).unwrap();
    }
    good.ssl_write(&message(9)).unwrap();
    running.wait("the one that is good", |counters| {
        counters.sessions.messages.load(Ordering::Relaxed) == 1
    });
    assert_eq!(running.counters.sessions.open.load(Ordering::Relaxed), 1);
    let counters = Arc::clone(&running.counters);
    let heard = running.stop();
    assert_eq!(heard, [(1, Kind::Message, message(9)), (1, Kind::Closed, Vec::new())]);
    assert!(counters.dropped(Dropped::BadHello) > 0);
    assert_eq!(counters.datagrams.kernel_drops.load(Ordering::Relaxed), 0);
}

/// The first thing an OpenSSL client says to that address.
fn hello_of(address: SocketAddr, ours: &Authority) -> Vec<u8> {
    let trap = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut context = SslContext::builder(SslMethod::dtls_client()).unwrap();
    context.set_ca_file(ours.path()).unwrap();
    let mut ssl = Ssl::new(&context.build()).unwrap();
    ssl.set_mtu(1400).unwrap();
    ssl.set_connect_state();
    let _ = address;
    let mut stream = SslStream::new(ssl, Wire(socket(trap.local_addr().unwrap()))).unwrap();
    assert!(stream.do_handshake().is_err());
    let mut hello = vec![0; 2000];
    let octets = trap.recv(&mut hello).unwrap();
    hello.truncate(octets);
    hello
}

#[test]
fn handshakes_that_are_never_done_are_few_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, own, client) = known(folder.path());
    let running = Running::with(&own, &ours, &[], (1000, Duration::ZERO));
    // They bring their cookie back, and fall silent.
    let hello = hello_of(running.address, &ours);
    let half: Vec<UdpSocket> = (0..100)
        .map(|_| {
            let socket = socket(running.address);
            socket.send(&hello).unwrap();
            let mut request = [0; 200];
            let octets = socket.recv(&mut request).unwrap();
            socket.send(&with_cookie(&hello, &request[28..octets])).unwrap();
            socket
        })
        .collect();
    running.wait("half handshakes", |counters| {
        counters.sessions.accepted.load(Ordering::Relaxed) + counters.dropped(Dropped::TooManyHandshakes) == 100
    });
    let begun = running.counters.sessions.accepted.load(Ordering::Relaxed);
    assert!(
        begun < 100 && begun >= u64::from(DTLS_HANDSHAKES_PER_ADDRESS_S),
        "{begun}"
    );
    assert_eq!(running.counters.sessions.open.load(Ordering::Relaxed), begun);
    // One that means it gets in all the same, if not at once.
    let mut good = connect(socket(running.address), Some(&client), &ours).unwrap();
    good.ssl_write(&message(1)).unwrap();
    let over = Instant::now() + Duration::from_secs(HANDSHAKE_S + 2);
    while running.ended(Ended::Handshake) < begun {
        assert!(Instant::now() < over, "{:?}", running.counters);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(running.counters.sessions.open.load(Ordering::Relaxed), 1);
    drop(half);
    assert_eq!(running.stop().len(), 2);
}

/// The hello said again as the second message, with a cookie.
fn with_cookie(hello: &[u8], cookie: &[u8]) -> Vec<u8> {
    const SESSION: usize = 13 + 12 + 34;
    assert_eq!(hello[SESSION..SESSION + 2], [0, 0], "neither session nor cookie");
    let mut said = [&hello[..=SESSION], &[cookie.len() as u8], cookie, &hello[SESSION + 2..]].concat();
    let lengthen = |field: &mut [u8]| {
        let at = field.len() - 2;
        let length = u16::from_be_bytes([field[at], field[at + 1]]) + cookie.len() as u16;
        field[at..].copy_from_slice(&length.to_be_bytes());
    };
    lengthen(&mut said[11..13]);
    lengthen(&mut said[14..17]);
    lengthen(&mut said[22..25]);
    said[10] = 1;
    said[18] = 1;
    said
}

#[test]
fn an_exporter_that_begins_anew_from_its_port_has_a_new_session() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, own, client) = known(folder.path());
    let running = Running::new(&own, &ours, &[]);
    let socket = socket(running.address);
    let mut first = connect(socket.try_clone().unwrap(), Some(&client), &ours).unwrap();
    first.ssl_write(&message(1)).unwrap();
    running.wait("the first", |counters| {
        counters.sessions.messages.load(Ordering::Relaxed) == 1
    });
    // A hello alone, which anybody could send in its name, changes nothing.
    socket.send(&hello_of(running.address, &ours)).unwrap();
    running.wait("a hello", |counters| counters.hellos.load(Ordering::Relaxed) == 2);
    first.ssl_write(&message(2)).unwrap();
    running.wait("the first again", |counters| {
        counters.sessions.messages.load(Ordering::Relaxed) == 2
    });
    while socket.recv(&mut [0; 500]).is_ok() {}
    let mut second = connect(socket, Some(&client), &ours).unwrap();
    second.ssl_write(&message(3)).unwrap();
    running.wait("the second", |counters| {
        counters.sessions.messages.load(Ordering::Relaxed) == 3
    });
    assert_eq!(running.ended(Ended::Replaced), 1);
    assert_eq!(running.counters.sessions.open.load(Ordering::Relaxed), 1);
    let heard: Vec<_> = running.stop().into_iter().map(|(id, kind, _)| (id, kind)).collect();
    let (message, closed) = (Kind::Message, Kind::Closed);
    assert_eq!(
        heard,
        [(1, message), (1, message), (1, closed), (2, message), (2, closed)]
    );
}

#[test]
fn one_socket_takes_both_families() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, own, client) = known(folder.path());
    let running = Running::at("dtls://[::]:0", (&own, &ours, &[]), (16, Duration::ZERO));
    let to = SocketAddr::from(([127, 0, 0, 1], running.address.port()));
    let mut session = connect(socket(to), Some(&client), &ours).unwrap();
    session.ssl_write(&message(1)).unwrap();
    running.wait("a message", |counters| {
        counters.sessions.messages.load(Ordering::Relaxed) == 1
    });
    assert_eq!(running.names.of([127, 0, 0, 1].into()), ["a.example"]);
    running.stop();
}

#[test]
fn sessions_are_bounded_and_silent_ones_end() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, own, client) = known(folder.path());
    let running = Running::with(&own, &ours, &[], (1, Duration::from_secs(2)));
    let mut first = connect(socket(running.address), Some(&client), &ours).unwrap();
    let hello = hello_of(running.address, &ours);
    let other = socket(running.address);
    other.send(&hello).unwrap();
    let mut request = [0; 200];
    let octets = other.recv(&mut request).unwrap();
    other.send(&with_cookie(&hello, &request[28..octets])).unwrap();
    running.wait("too many", |counters| counters.sessions.ended(Ended::TooMany) == 1);
    running.wait("idle", |counters| counters.sessions.ended(Ended::Idle) == 1);
    let told = first.ssl_read(&mut [0; 64]).unwrap_err();
    assert_eq!(told.code(), openssl::ssl::ErrorCode::ZERO_RETURN);
    connect(socket(running.address), Some(&client), &ours).unwrap();
    running.stop();
}

#[test]
fn changed_certificates_are_shown_to_the_next_and_wrong_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, own, client) = known(folder.path());
    let theirs = Authority::new(folder.path(), "theirs");
    let settings = config(&own, &ours, &[]);
    let wrong = |settings: crate::io::tls::TlsConfig| match Credentials::new(&settings) {
        Err(failure) => {
            assert_eq!(failure.status, 2);
            failure.line
        }
        Ok(_) => panic!("taken"),
    };
    let (key, certificate) = (Some(client.key.clone()), Some(own.key.clone()));
    for (settings, part) in [
        (crate::io::tls::TlsConfig::default(), "dtls:// needs --tls-certificate"),
        (
            crate::io::tls::TlsConfig {
                key,
                ..settings.clone()
            },
            "do not fit together",
        ),
        (
            crate::io::tls::TlsConfig {
                certificate: certificate.clone(),
                ..settings.clone()
            },
            "there is no certificate in it",
        ),
        (
            crate::io::tls::TlsConfig {
                ca: certificate,
                ..settings.clone()
            },
            "there is no certificate in it",
        ),
        (
            crate::io::tls::TlsConfig {
                key: settings.ca.clone(),
                ..settings.clone()
            },
            "no private key in PEM",
        ),
        (
            crate::io::tls::TlsConfig {
                ca: Some(folder.path().join("none")),
                ..settings.clone()
            },
            "none: cannot be read",
        ),
    ] {
        let line = wrong(settings);
        assert!(line.contains(part) && !line.contains('\n'), "{part}: {line}");
    }

    let running = Running::new(&own, &ours, &[]);
    connect(socket(running.address), Some(&client), &ours).unwrap();
    let next = theirs.issue(&["collector.example"], 2090);
    std::thread::sleep(Duration::from_millis(1_100));
    for (from, to) in [(&next.certificate, &own.certificate), (&next.key, &own.key)] {
        // Another length, so that the change shows within one tick of the file system's clock.
        let mut pem = std::fs::read(from).unwrap();
        pem.push(b'\n');
        std::fs::write(to, pem).unwrap();
    }
    assert!(connect(socket(running.address), Some(&client), &ours).is_err());
    connect(socket(running.address), Some(&client), &theirs).unwrap();
    running.stop();
}
