//! Sessions with servers of OpenSSL on this machine: what a handshake says when it fails, that records arrive, and that
//! a collector that is gone is found out.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};

use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod, SslOptions, SslVerifyMode};

use super::*;
use crate::config::TlsFiles;
use crate::exporting::Loss;
use crate::io::stories::{Collector, PATIENCE, batch, context, finish, start};
use crate::io::tls_stories::{Authority, Issued, files};

/// What a server does beside its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// What `openssl s_server` does: hellos beside the session are not answered.
    Deaf,
    /// What RFC 6347 section 4.2.8 asks for.
    Answering,
}

/// The socket of a server, which answers hellos once there is a session.
struct Seat {
    socket: UdpSocket,
    manner: Manner,
    is_shaken: bool,
}

impl Read for Seat {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.socket.recv(buffer)?;
        if self.is_shaken && buffer[0] == 22 && buffer[3..5] == [0, 0] && buffer[13] == 1 {
            if self.manner == Manner::Answering {
                // A HelloVerifyRequest with the number of the hello's record, and a cookie of one octet.
                let sequence = &buffer[5..11];
                let message = [3, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 254, 255, 1, 7];
                let request = [&[22, 254, 255, 0, 0], sequence, &[0, 16], &message[..]].concat();
                self.socket.send(&request)?;
            }
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(octets)
    }
}

impl Write for Seat {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn server(own: &Issued, clients: &Authority) -> SslContext {
    let mut context = SslContext::builder(SslMethod::dtls_server()).unwrap();
    context.set_certificate_chain_file(&own.certificate).unwrap();
    context.set_private_key_file(&own.key, SslFiletype::PEM).unwrap();
    context.set_ca_file(clients.path()).unwrap();
    context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    context.set_options(SslOptions::NO_QUERY_MTU);
    context.build()
}

fn bound() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, format!("dtls://{address}"))
}

/// Waits for somebody, and shakes hands.
fn accept(socket: UdpSocket, context: &SslContext, manner: Manner) -> Option<SslStream<Seat>> {
    let begun = Instant::now();
    let peer = loop {
        match socket.peek_from(&mut [0; 2000]) {
            Ok((_, peer)) => break peer,
            Err(_) => assert!(begun.elapsed() < PATIENCE, "nobody came"),
        }
    };
    socket.connect(peer).unwrap();
    let mut ssl = Ssl::new(context).unwrap();
    ssl.set_mtu(1400).unwrap();
    ssl.set_accept_state();
    let seat = Seat {
        socket,
        manner,
        is_shaken: false,
    };
    let mut stream = SslStream::new(ssl, seat).unwrap();
    while let Err(error) = stream.do_handshake() {
        if !is_pause(error.code()) || begun.elapsed() > PATIENCE {
            return None;
        }
    }
    stream.get_mut().is_shaken = true;
    Some(stream)
}

/// Reads until the end, or until it is enough.
fn read(stream: &mut SslStream<Seat>, collector: &mut Collector, is_enough: impl Fn(&Collector) -> bool) {
    let begun = Instant::now();
    let mut record = vec![0; 1 << 14];
    while !is_enough(collector) && begun.elapsed() < PATIENCE {
        match stream.ssl_read(&mut record) {
            Ok(octets) => {
                assert!(octets <= 1400 - 37, "a datagram longer than was asked for: {octets}");
                collector.hear(&record[..octets]);
            }
            Err(error) if is_pause(error.code()) => {}
            Err(_) => return,
        }
    }
}

struct Known {
    ours: Authority,
    own: Issued,
    client: Issued,
}

fn known(folder: &std::path::Path) -> Known {
    let ours = Authority::new(folder, "ours");
    let (own, client) = (ours.issue("127.0.0.1", 2090), ours.issue("exporter.example", 2090));
    Known { ours, own, client }
}

#[test]
fn a_handshake_that_fails_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let Known { ours, own, client } = known(folder.path());
    let theirs = Authority::new(folder.path(), "theirs");
    let late = ours.issue("exporter.example", 2021);
    let connect = |client: &Issued, context: SslContext| {
        let (socket, to) = bound();
        let port = to.rsplit(':').next().unwrap().parse().unwrap();
        let connector = DtlsConnector {
            endpoints: vec![Endpoint {
                host: "127.0.0.1".to_owned(),
                port,
            }],
            credentials: Credentials::load(&files(client, &ours)).unwrap(),
            mtu: 1400,
            check: Duration::ZERO,
            from_files: true,
            rate: None,
        };
        std::thread::scope(|scope| {
            scope.spawn(|| accept(socket, &context, Manner::Deaf));
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            connector
                .open("127.0.0.1", address)
                .map(drop)
                .map_err(|error| error.to_string())
        })
    };
    assert_eq!(connect(&client, server(&own, &ours)), Ok(()));
    for (client, context, part) in [
        (
            &client,
            server(&theirs.issue("127.0.0.1", 2090), &ours),
            "from no authority in",
        ),
        (
            &client,
            server(&ours.issue("127.0.0.1", 2021), &ours),
            "collector's certificate has expired",
        ),
        (
            &client,
            server(&ours.issue("127.0.0.2", 2090), &ours),
            "another name than 127.0.0.1",
        ),
        (&client, server(&own, &theirs), "does not know the authority"),
        (&late, server(&own, &ours), "our certificate is refused: it has expired"),
    ] {
        let line = connect(client, context).unwrap_err();
        assert!(line.contains(part) && !line.contains('\n'), "{part}: {line}");
    }
}

#[test]
fn what_does_not_speak_dtls_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let Known { ours, client, .. } = known(folder.path());
    let credentials = || Credentials::load(&files(&client, &ours)).unwrap();
    let connector = |port| DtlsConnector {
        endpoints: vec![Endpoint {
            host: "127.0.0.1".to_owned(),
            port,
        }],
        credentials: credentials(),
        mtu: 1400,
        check: Duration::ZERO,
        from_files: true,
        rate: None,
    };
    // Nobody, somebody who says nothing, and somebody who says something else.
    let (closed, _) = bound();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let failed = |port| connector(port).connect("d").err().unwrap();
    assert_eq!(failed(port).kind(), io::ErrorKind::ConnectionRefused);
    let (silent, _) = bound();
    let (other, _) = bound();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let said = scope.spawn(|| failed(other.local_addr().unwrap().port()).to_string());
        let nothing = scope.spawn(|| failed(silent.local_addr().unwrap().port()).to_string());
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        while Instant::now() < deadline {
            if let Ok((_, peer)) = other.recv_from(&mut [0; 2000]) {
                other.send_to(b"220 mail.example ESMTP", peer).unwrap();
            }
        }
        assert!(said.join().unwrap().contains("does not speak DTLS"));
        assert!(nothing.join().unwrap().contains("no end to the DTLS handshake"));
    });
    assert!(begun.elapsed() < HANDSHAKE_TIMEOUT + Duration::from_secs(2));
}

#[test]
fn records_arrive_with_and_without_answers() {
    for manner in [Manner::Answering, Manner::Deaf] {
        let folder = tempfile::tempdir().unwrap();
        let Known { ours, own, client } = known(folder.path());
        let mut context = context(PATIENCE);
        context.config.tls = Some(files(&client, &ours));
        let (socket, to) = bound();
        let worker = start(&to, &context);
        for _ in 0..40 {
            worker.queue.push_waiting(1, batch(100));
        }
        let mut collector = Collector::new(TransportKind::Udp);
        let accounts = std::thread::scope(|scope| {
            let finished = scope.spawn(|| finish(worker, &context));
            let mut stream = accept(socket, &server(&own, &ours), manner).unwrap();
            read(&mut stream, &mut collector, |_| false);
            finished.join().unwrap()
        });
        assert_eq!((collector.flows, collector.gaps), (4000, 0), "{manner:?}");
        assert_eq!(
            (accounts.exported, accounts.lost_total(), accounts.connections),
            (4000, 0, 1),
            "{manner:?}"
        );
    }
}

#[test]
fn a_collector_that_forgot_the_session_is_found_out_and_what_it_missed_declared() {
    let folder = tempfile::tempdir().unwrap();
    let Known { ours, own, client } = known(folder.path());
    let mut context = context(PATIENCE);
    context.config.tls = Some(files(&client, &ours));
    let server = server(&own, &ours);
    let (socket, to) = bound();
    let worker = start(&to, &context);
    worker.queue.push_waiting(1, batch(300));
    let mut first = Collector::new(TransportKind::Udp);
    let mut stream = accept(socket.try_clone().unwrap(), &server, Manner::Answering).unwrap();
    read(&mut stream, &mut first, |collector| collector.flows == 300);
    // Answered, so that nothing of it is in doubt.
    let told = AtomicBool::new(false);
    let mut second = Collector::new(TransportKind::Udp);
    let accounts = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(1500));
            told.store(true, Ordering::Release);
        });
        read(&mut stream, &mut first, |_| told.load(Ordering::Acquire));
        // The same address, and nothing is known any more: data is answered by an alert in the clear.
        worker.queue.push_waiting(1, batch(50));
        let begun = Instant::now();
        let mut datagram = [0; 2000];
        loop {
            assert!(begun.elapsed() < PATIENCE);
            if socket.recv(&mut datagram).is_ok() && datagram[0] == 23 {
                break;
            }
        }
        socket
            .send(&[21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 10])
            .unwrap();
        drop(stream);
        let address = socket.local_addr().unwrap();
        drop(socket);
        let (again, _) = (UdpSocket::bind(address).unwrap(), ());
        again.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        // The next records find a new session.
        let fed = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(700));
            worker.queue.push_waiting(1, batch(200));
            finish(worker, &context)
        });
        let mut stream = loop {
            // Until the old port's last datagrams are through, what comes may be no hello.
            if let Ok((_, _)) = again.peek_from(&mut datagram) {
                if datagram[0] == 22 {
                    break accept(again, &server, Manner::Answering).unwrap();
                }
                let _ = again.recv_from(&mut datagram);
            }
            assert!(begun.elapsed() < PATIENCE);
        };
        read(&mut stream, &mut second, |_| false);
        fed.join().unwrap()
    });
    assert_eq!((first.flows, second.flows), (300, 200));
    assert_eq!((first.gaps, second.gaps), (0, 0));
    assert_eq!(accounts.lost_for(Loss::Unconfirmed), 50, "{accounts}");
    assert_eq!((accounts.exported, accounts.connections), (500, 2), "{accounts}");
}

#[test]
fn a_collector_that_falls_silent_is_given_up_with_what_it_did_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let Known { ours, own, client } = known(folder.path());
    let mut context = context(Duration::from_secs(8));
    context.config.tls = Some(files(&client, &ours));
    let (socket, to) = bound();
    let worker = start(&to, &context);
    worker.queue.push_waiting(1, batch(200));
    let mut collector = Collector::new(TransportKind::Udp);
    let mut stream = accept(socket, &server(&own, &ours), Manner::Answering).unwrap();
    let until = Instant::now() + Duration::from_millis(1500);
    read(&mut stream, &mut collector, |_| Instant::now() > until);
    // From here on the port is there and nobody reads it.
    worker.queue.push_waiting(1, batch(30));
    let begun = Instant::now();
    while worker.accounts.snapshot().lost_total() == 0 {
        assert!(begun.elapsed() < PATIENCE + PATIENCE);
        std::thread::sleep(Duration::from_millis(20));
    }
    let accounts = worker.accounts.snapshot();
    assert_eq!((collector.flows, accounts.exported), (200, 200), "{accounts}");
    assert_eq!(accounts.lost_for(Loss::Unconfirmed), 30);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    drop(stream);
    finish(worker, &context);
}

#[test]
fn messages_fit_into_the_path_with_what_dtls_adds() {
    assert_eq!(message_octets(1400), 1363);
    assert_eq!(message_octets(512), 512);
    assert_eq!(message_octets(65_507), 16_384);
}

#[test]
fn files_that_are_wrong_are_named_and_those_that_change_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let Known { ours, own, client } = known(folder.path());
    let of_client = files(&client, &ours);
    for (files, part) in [
        (
            TlsFiles {
                key: client.certificate.clone(),
                ..of_client.clone()
            },
            "no private key",
        ),
        (
            TlsFiles {
                key: own.key.clone(),
                ..of_client.clone()
            },
            "do not fit together",
        ),
        (
            TlsFiles {
                ca: client.key.clone(),
                ..of_client.clone()
            },
            "there is no certificate in it",
        ),
        (
            TlsFiles {
                certificate: folder.path().join("none"),
                ..of_client.clone()
            },
            "none: cannot be read",
        ),
    ] {
        let line = Credentials::load(&files).unwrap_err();
        assert!(line.contains(part) && !line.contains('\n'), "{part}: {line}");
    }

    let mut credentials = Credentials::load(&of_client).unwrap();
    assert_eq!(credentials.refresh(), None);
    // Another length, so that the change shows within one tick of the file system's clock.
    let replace = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::write(to, [std::fs::read(from).unwrap(), b"\n".to_vec()].concat()).unwrap();
    };
    replace(&own.certificate, &client.certificate);
    let line = credentials.refresh().unwrap().unwrap_err();
    assert!(line.contains("do not fit together"), "{line}");
    assert_eq!(credentials.refresh(), None, "said once");
    replace(&own.key, &client.key);
    assert_eq!(credentials.refresh(), Some(Ok(())));
}
