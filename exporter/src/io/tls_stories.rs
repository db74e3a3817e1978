//! TLS against servers of rustls with certificates made here: what a handshake says when it fails, and that records arrive.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::stories::{Collector, PATIENCE, accept_within, batch, context, finish, start};
use super::tls::{Credentials, Session};
use crate::config::TlsFiles;
use flowgauge_templates::management::TransportKind;

/// Issues certificates into a folder.
pub(super) struct Authority {
    folder: PathBuf,
    name: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(super) struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            issuer,
        };
        std::fs::write(authority.path(), authority.issuer.pem()).unwrap();
        authority
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    pub fn issue(&self, name: &str, last_year: i32) -> Issued {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let at = |what: &str| self.folder.join(format!("{}-{name}-{last_year}.{what}", self.name));
        let issued = Issued {
            certificate: at("pem"),
            key: at("key"),
        };
        std::fs::write(&issued.certificate, certificate.pem()).unwrap();
        std::fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }
}

pub(super) fn files(issued: &Issued, authority: &Authority) -> TlsFiles {
    TlsFiles {
        certificate: issued.certificate.clone(),
        key: issued.key.clone(),
        ca: authority.path(),
    }
}

fn server(issued: &Issued, clients: &Authority) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(clients.path()).unwrap())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
        .build()
        .unwrap();
    let chain = vec![CertificateDer::from_pem_file(&issued.certificate).unwrap()];
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&issued.key).unwrap())
        .unwrap();
    Arc::new(config)
}

fn serve(config: &Arc<ServerConfig>, stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream)
}

/// What the client says of a handshake with `answer`.
fn handshake(credentials: &Credentials, host: &str, answer: impl FnOnce(TcpStream) + Send) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    std::thread::scope(|scope| {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        scope.spawn(|| answer(accept_within(&listener, PATIENCE)));
        Session::open(credentials, host, &stream)
            .map(drop)
            .map_err(|error| error.to_string())
    })
}

#[test]
fn a_handshake_that_fails_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let client = ours.issue("exporter.example", 2090);
    let good = ours.issue("collector.example", 2090);
    let credentials = Credentials::load(&files(&client, &ours)).unwrap();
    let answer = |config: Arc<ServerConfig>| {
        move |stream: TcpStream| {
            // Until the client is gone.
            let _ = serve(&config, stream).read(&mut [0; 1]);
        }
    };
    let host = "collector.example";
    assert_eq!(handshake(&credentials, host, answer(server(&good, &ours))), Ok(()));

    for (server, part) in [
        (server(&theirs.issue(host, 2090), &ours), "is from no authority in"),
        (server(&ours.issue(host, 2021), &ours), "has expired"),
        (
            server(&ours.issue("other.example", 2090), &ours),
            "another name than collector.example",
        ),
        (server(&good, &theirs), "does not know the authority"),
    ] {
        let line = handshake(&credentials, host, answer(server)).unwrap_err();
        assert!(line.contains(part) && !line.contains('\n'), "{part}: {line}");
    }
    let late = Credentials::load(&files(&ours.issue("late.example", 2021), &ours)).unwrap();
    let line = handshake(&late, host, answer(server(&good, &ours))).unwrap_err();
    assert!(line.contains("our certificate is refused: it has expired"), "{line}");

    // Something else answers, or nothing, or it hangs up.
    let line = handshake(&credentials, host, |mut stream| {
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
    });
    assert!(line.unwrap_err().contains("does not speak TLS"));
    let line = handshake(&credentials, host, |stream| {
        stream.shutdown(std::net::Shutdown::Write).unwrap()
    });
    assert!(line.unwrap_err().contains("closed within the TLS handshake"));
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let client = ours.issue("exporter.example", 2090);
    let credentials = Credentials::load(&files(&client, &ours)).unwrap();
    let begun = Instant::now();
    let line = handshake(&credentials, "h", |mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert!(line.unwrap_err().contains("no end to the TLS handshake"));
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn files_that_are_wrong_are_named_and_those_that_change_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (first, second) = (ours.issue("a.example", 2090), ours.issue("b.example", 2090));
    let wrong = |files: &TlsFiles| Credentials::load(files).unwrap_err();
    let of_first = files(&first, &ours);
    let line = wrong(&TlsFiles {
        key: first.certificate.clone(),
        ..of_first.clone()
    });
    assert!(line.contains("no private key"), "{line}");
    let line = wrong(&TlsFiles {
        key: second.key.clone(),
        ..of_first.clone()
    });
    assert!(line.contains("do not fit together"), "{line}");
    let line = wrong(&TlsFiles {
        ca: first.key.clone(),
        ..of_first.clone()
    });
    assert!(line.contains("there is no certificate in it"), "{line}");
    let line = wrong(&TlsFiles {
        certificate: folder.path().join("none"),
        ..of_first.clone()
    });
    assert!(line.contains("none: cannot be read"), "{line}");

    let mut credentials = Credentials::load(&of_first).unwrap();
    assert_eq!(credentials.refresh(), None);
    let longer = [std::fs::read(&second.certificate).unwrap(), b"\n".to_vec()].concat();
    std::fs::write(&first.certificate, longer).unwrap();
    assert!(
        credentials
            .refresh()
            .unwrap()
            .unwrap_err()
            .contains("do not fit together")
    );
    assert_eq!(credentials.refresh(), None, "said once");
    std::fs::copy(&second.key, &first.key).unwrap();
    std::fs::write(
        &first.key,
        [std::fs::read(&second.key).unwrap(), b"\n".to_vec()].concat(),
    )
    .unwrap();
    assert_eq!(credentials.refresh(), Some(Ok(())));
}

#[test]
fn records_arrive_and_what_is_not_confirmed_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let config = server(&ours.issue("127.0.0.1", 2090), &ours);
    let mut context = context(PATIENCE);
    context.config.tls = Some(files(&ours.issue("exporter.example", 2090), &ours));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let worker = start(&format!("tls://{}", listener.local_addr().unwrap()), &context);
    for _ in 0..40 {
        worker.queue.push_waiting(1, batch(100));
    }
    let mut octets = Vec::new();
    let accounts = std::thread::scope(|scope| {
        let finished = scope.spawn(|| finish(worker, &context));
        // A clean end: without the goodbye of TLS this would be an error.
        serve(&config, accept_within(&listener, PATIENCE))
            .read_to_end(&mut octets)
            .unwrap();
        finished.join().unwrap()
    });
    let mut collector = Collector::new(TransportKind::Tcp);
    assert_eq!(collector.hear_all(&octets), 0);
    assert_eq!((collector.flows, collector.gaps), (4000, 0));
    assert_eq!(
        (accounts.exported, accounts.lost_total(), accounts.connections),
        (4000, 0, 1)
    );
    assert_eq!(accounts.octets, octets.len() as u64, "what TLS adds is not ours");
}

#[test]
fn a_collector_that_may_not_be_trusted_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let config = server(&theirs.issue("127.0.0.1", 2090), &ours);
    let mut context = context(Duration::from_secs(2));
    context.config.tls = Some(files(&ours.issue("exporter.example", 2090), &ours));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let worker = start(&format!("tls://{}", listener.local_addr().unwrap()), &context);
    worker.queue.push_waiting(1, batch(100));
    let accounts = std::thread::scope(|scope| {
        let finished = scope.spawn(|| finish(worker, &context));
        while !finished.is_finished() {
            listener.set_nonblocking(true).unwrap();
            if let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(false).unwrap();
                assert!(serve(&config, stream).read(&mut [0; 1]).is_err());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        finished.join().unwrap()
    });
    assert_eq!((accounts.exported, accounts.connections), (0, 0));
    assert_eq!(accounts.lost_total(), 100);
    assert!(accounts.send_errors > 0);
}
