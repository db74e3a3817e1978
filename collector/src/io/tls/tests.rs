//! Handshakes with clients of rustls whose certificates are made here: who is let in, by which name, and who is not.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;

pub(in crate::io) struct Authority {
    folder: PathBuf,
    name: &'static str,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
#[derive(Clone)]
pub(in crate::io) struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new(folder: &Path, name: &'static str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = folder.to_owned();
        std::fs::write(folder.join(name), issuer.pem()).unwrap();
        Authority { folder, name, issuer }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    pub fn issue(&self, names: &[&str], last_year: i32) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let file = format!("{}-{}-{last_year}", self.name, names.join("-"));
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(last_year, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let issued = Issued {
            certificate: self.folder.join(format!("{file}.pem")),
            key: self.folder.join(format!("{file}.key")),
        };
        std::fs::write(&issued.certificate, certificate.pem()).unwrap();
        std::fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }
}

pub(in crate::io) fn config(issued: &Issued, authority: &Authority, clients: &[&str]) -> TlsConfig {
    TlsConfig {
        certificate: Some(issued.certificate.clone()),
        key: Some(issued.key.clone()),
        ca: Some(authority.path()),
        clients: clients.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn client(issued: Option<&Issued>, trusted: &Authority) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(trusted.path()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    match issued {
        None => builder.with_no_client_auth(),
        Some(issued) => builder
            .with_client_auth_cert(
                certificates(&issued.certificate).unwrap(),
                PrivateKeyDer::from_pem_file(&issued.key).unwrap(),
            )
            .unwrap(),
    }
}

/// What the collector makes of a connection of `client`, and whether the client then hears a goodbye or worse.
async fn meet(
    handshakes: &Handshakes,
    client: impl AsyncFnOnce(TcpStream) -> bool,
) -> (Result<Option<String>, Refusal>, bool) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let collector = async {
        let (stream, peer) = listener.accept().await.unwrap();
        match handshakes.accept(peer.ip(), stream).await {
            Ok((mut stream, name)) => {
                stream.shutdown().await.unwrap();
                Ok(name)
            }
            Err(refusal) => Err(refusal),
        }
    };
    let exporter = async { client(TcpStream::connect(address).await.unwrap()).await };
    tokio::join!(collector, exporter)
}

async fn meet_tls(handshakes: &Handshakes, config: ClientConfig) -> (Result<Option<String>, Refusal>, bool) {
    meet(handshakes, async |stream| {
        let host = ServerName::try_from("collector.example").unwrap();
        match TlsConnector::from(Arc::new(config)).connect(host, stream).await {
            Ok(mut stream) => stream.read(&mut [0; 1]).await.is_ok(),
            Err(_) => false,
        }
    })
    .await
}

#[tokio::test]
async fn exporters_are_let_in_by_authority_and_name() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let own = ours.issue(&["collector.example"], 2090);
    let any = Handshakes::new(&config(&own, &ours, &[]), Arc::default()).unwrap();
    let listed = Handshakes::new(
        &config(&own, &ours, &["b.example", "a.example", "10.0.0.1"]),
        Arc::default(),
    )
    .unwrap();

    let (a, c) = (
        ours.issue(&["a.example"], 2090),
        ours.issue(&["c.example", "x.example"], 2090),
    );
    for (handshakes, issued, name) in [
        (&any, &a, "a.example"),
        (&any, &c, "c.example"),
        (&listed, &a, "a.example"),
    ] {
        let met = meet_tls(handshakes, client(Some(issued), &ours)).await;
        assert_eq!(met, (Ok(Some(name.to_owned())), true));
    }
    let by_address = ours.issue(&["10.0.0.1"], 2090);
    let met = meet_tls(&listed, client(Some(&by_address), &ours)).await;
    assert_eq!(met, (Ok(None), true), "let in by its address, which is no name");
    let here = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(any.names.of(here), ["a.example", "c.example"]);
    assert_eq!(listed.names.of(here), ["a.example"]);

    let (late, foreign) = (ours.issue(&["a.example"], 2021), theirs.issue(&["a.example"], 2090));
    for (handshakes, config, ended, part) in [
        (
            &listed,
            client(Some(&c), &ours),
            Ended::Certificate,
            "is in --tls-clients",
        ),
        (
            &any,
            client(Some(&late), &ours),
            Ended::Certificate,
            "its certificate has expired",
        ),
        (
            &any,
            client(Some(&foreign), &ours),
            Ended::Certificate,
            "from no authority",
        ),
        (&any, client(None, &ours), Ended::Certificate, "shows no certificate"),
        (
            &any,
            client(Some(&a), &theirs),
            Ended::Certificate,
            "it refuses our certificate",
        ),
    ] {
        let (met, heard) = meet_tls(handshakes, config).await;
        let refusal = met.unwrap_err();
        assert_eq!(refusal.ended, ended, "{}", refusal.line);
        assert!(
            refusal.line.contains(part) && !refusal.line.contains('\n'),
            "{part}: {}",
            refusal.line
        );
        assert!(!heard, "the exporter must not take it for an open door: {part}");
    }
}

#[tokio::test]
async fn who_speaks_something_else_or_hangs_up_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let own = ours.issue(&["collector.example"], 2090);
    let handshakes = Handshakes::new(&config(&own, &ours, &[]), Arc::default()).unwrap();
    // IPFIX in the clear is answered by an alert of TLS, which an exporter can tell.
    let (met, alerted) = meet(&handshakes, async |mut stream| {
        stream
            .write_all(&[0, 10, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
            .await
            .unwrap();
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await.is_ok() && answer == [21, 3]
    })
    .await;
    assert_eq!((met.unwrap_err().ended, alerted), (Ended::NotTls, true));
    let (met, _) = meet(&handshakes, async |_stream| true).await;
    assert_eq!(met.unwrap_err().ended, Ended::Handshake);
}

#[test]
fn settings_and_files_that_are_wrong_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let own = ours.issue(&["collector.example"], 2090);
    let right = config(&own, &ours, &[]);
    let wrong = |config: TlsConfig| {
        let failure = Handshakes::new(&config, Arc::default()).unwrap_err();
        assert_eq!(failure.status, 2);
        failure.line
    };
    assert!(
        wrong(TlsConfig {
            key: None,
            ..right.clone()
        })
        .contains("--tls-key")
    );
    assert!(
        wrong(TlsConfig {
            ca: Some(own.key.clone()),
            ..right.clone()
        })
        .contains("there is no certificate in it")
    );
    assert!(
        wrong(TlsConfig {
            clients: vec!["a b".to_owned()],
            ..right.clone()
        })
        .contains("--tls-clients")
    );
    let other = ours.issue(&["other.example"], 2090);
    assert!(
        wrong(TlsConfig {
            key: Some(other.key),
            ..right
        })
        .contains("do not fit together")
    );
}

#[tokio::test]
async fn a_changed_certificate_is_shown_to_the_next_exporter() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (
        Authority::new(folder.path(), "ours"),
        Authority::new(folder.path(), "theirs"),
    );
    let own = theirs.issue(&["collector.example"], 2090);
    let handshakes = Handshakes::new(&config(&own, &ours, &[]), Arc::default()).unwrap();
    let exporter = || client(Some(&ours.issue(&["a.example"], 2090)), &ours);
    assert!(
        meet_tls(&handshakes, exporter()).await.0.is_err(),
        "not what the exporter trusts"
    );
    let new = ours.issue(&["collector.example"], 2090);
    std::fs::copy(&new.key, &own.key).unwrap();
    std::fs::write(
        &own.certificate,
        [std::fs::read(&new.certificate).unwrap(), b"\n".to_vec()].concat(),
    )
    .unwrap();
    let long_ago = Instant::now().checked_sub(2 * LOOK_INTERVAL).unwrap();
    handshakes.current.lock().unwrap().looked = long_ago;
    assert_eq!(
        meet_tls(&handshakes, exporter()).await.0,
        Ok(Some("a.example".to_owned()))
    );
    // What cannot be used is not taken up.
    std::fs::write(&own.key, "nothing").unwrap();
    handshakes.current.lock().unwrap().looked = long_ago;
    assert_eq!(
        meet_tls(&handshakes, exporter()).await.0,
        Ok(Some("a.example".to_owned()))
    );
}

#[test]
fn names_are_bounded() {
    let names = ClientNames::default();
    for number in 0..2 * CLIENT_NAMES as u32 {
        names.insert(IpAddr::from(number.to_be_bytes()), "a.example");
    }
    let held = names.0.lock().unwrap().values().map(BTreeSet::len).sum::<usize>();
    assert!((CLIENT_NAMES / 2..=CLIENT_NAMES).contains(&held), "{held}");
}
