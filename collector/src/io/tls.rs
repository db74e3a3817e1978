//! TLS on the streams of exporters (RFC 7011 section 11): each end shows a certificate, and each checks the other's.
//!
//! Who may send is said by the authorities that client certificates come from and, where there is one, by a list of
//! names. Files that change are read again with the next connection.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{StoresServerSessions, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use webpki::EndEntityCert;

use super::tcp::Ended;
use crate::failure::Failure;
use crate::limits::{CLIENT_NAMES, HANDSHAKE_S, LINGER_MS, LINGER_READS};

/// How often files are looked at, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What the configuration says of certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The collector's certificate and those between it and the authority (PEM).
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
    /// The authorities that exporters' certificates must come from (PEM).
    pub ca: Option<PathBuf>,
    /// Names of which an exporter's certificate must have one; empty for any exporter that the authorities vouch for.
    pub clients: Vec<String>,
}

/// The paths, all there.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

/// What changes when a file does.
pub(super) type Stamps = [Option<(SystemTime, u64)>; 3];

impl Files {
    /// Those of the configuration, which listeners of `scheme` need.
    pub fn new(config: &TlsConfig, scheme: &str) -> Result<Files, Failure> {
        let (Some(certificate), Some(key), Some(ca)) = (&config.certificate, &config.key, &config.ca) else {
            return Err(Failure::usage(format!(
                "{scheme}:// needs --tls-certificate, --tls-key and --tls-ca, each a PEM file"
            )));
        };
        Ok(Files {
            certificate: certificate.clone(),
            key: key.clone(),
            ca: ca.clone(),
        })
    }

    pub fn stamps(&self) -> Stamps {
        [&self.certificate, &self.key, &self.ca].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

/// Shakes hands with exporters.
#[derive(Debug)]
pub struct Handshakes {
    files: Files,
    clients: Vec<ServerName<'static>>,
    current: Mutex<Current>,
    names: Arc<ClientNames>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    stamps: Stamps,
    looked: Instant,
}

/// Why no connection came of a handshake.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The counter.
    pub ended: Ended,
    /// For people.
    pub line: String,
}

impl Handshakes {
    /// Reads the files; the names of exporters that are let in go to `names`.
    ///
    /// # Errors
    /// Which setting is missing or wrong, or which file and how; exit status 2.
    pub fn new(config: &TlsConfig, names: Arc<ClientNames>) -> Result<Handshakes, Failure> {
        let files = Files::new(config, "tls")?;
        let clients = listed_clients(config)?;
        let stamps = files.stamps();
        let config = server_config(&files, &clients).map_err(Failure::usage)?;
        let current = Current {
            config: Arc::new(config),
            stamps,
            looked: Instant::now(),
        };
        Ok(Handshakes {
            files,
            clients,
            current: Mutex::new(current),
            names,
        })
    }

    /// What new connections are shown: read again if a file has changed, unless what it says now cannot be used.
    fn config(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK_INTERVAL {
            current.looked = Instant::now();
            let stamps = self.files.stamps();
            if stamps != current.stamps {
                current.stamps = stamps;
                match server_config(&self.files, &self.clients) {
                    Ok(config) => {
                        current.config = Arc::new(config);
                        tracing::info!("certificates have changed and are taken up");
                    }
                    Err(line) => tracing::warn!("{line}; the certificates read before are used on"),
                }
            }
        }
        Arc::clone(&current.config)
    }

    /// Shakes hands on a connection that was accepted from `address`; gives the exporter's name too, if it has one.
    ///
    /// # Errors
    /// Why it came to nothing. The exporter has been told, where TLS has words for it.
    pub async fn accept(
        &self,
        address: IpAddr,
        stream: TcpStream,
    ) -> Result<(Box<TlsStream<TcpStream>>, Option<String>), Refusal> {
        let handshake = TlsAcceptor::from(self.config()).accept(stream).into_fallible();
        let stream = match timeout(Duration::from_secs(HANDSHAKE_S), handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err((error, stream))) => {
                hear_out(stream).await;
                return Err(refusal(&error));
            }
            Err(_) => {
                return Err(Refusal {
                    ended: Ended::Handshake,
                    line: format!("no end to the TLS handshake within {HANDSHAKE_S} s"),
                });
            }
        };
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let name = certificate.and_then(name_of);
        if let Some(name) = &name {
            self.names.insert(address, name);
        }
        Ok((Box::new(stream), name))
    }
}

/// Closes our side and reads what still comes, for a while: to close with octets unread resets the connection, and a reset
/// may overtake the alert that says why.
async fn hear_out(mut stream: TcpStream) {
    let rest = async {
        stream.shutdown().await?;
        let mut octets = [0; 4096];
        for _ in 0..LINGER_READS {
            if stream.read(&mut octets).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // However it ends, the connection is over.
    let _ = timeout(Duration::from_millis(LINGER_MS), rest).await;
}

/// The allow list of the configuration.
pub(super) fn listed_clients(config: &TlsConfig) -> Result<Vec<ServerName<'static>>, Failure> {
    let name = |name: &String| {
        ServerName::try_from(name.clone())
            .map_err(|_| Failure::usage(format!("--tls-clients: {name:?} is neither a DNS name nor an address")))
    };
    config.clients.iter().map(name).collect()
}

/// Whether the allow list has a name of the certificate, or is empty.
///
/// # Errors
/// When it is none.
pub(super) fn is_listed(certificate: &CertificateDer<'_>, names: &[ServerName<'_>]) -> Result<bool, webpki::Error> {
    let certificate = EndEntityCert::try_from(certificate)?;
    let is_valid = |name| certificate.verify_is_valid_for_subject_name(name).is_ok();
    Ok(names.is_empty() || names.iter().any(is_valid))
}

/// The first name in a certificate's subjectAltName.
pub(super) fn name_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    certificate.valid_dns_names().next().map(str::to_owned)
}

fn server_config(files: &Files, clients: &[ServerName<'static>]) -> Result<ServerConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.ca)? {
        roots
            .add(authority)
            .map_err(|error| format!("{}: not the certificate of an authority: {error}", files.ca.display()))?;
    }
    let authorities = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| format!("{}: {error}", files.ca.display()))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("{}: no private key in PEM can be read: {error}", files.key.display()))?;
    let verifier = NamedClients {
        authorities,
        names: clients.to_vec(),
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(certificates(&files.certificate)?, key)
        .map_err(|error| {
            let (certificate, key) = (files.certificate.display(), files.key.display());
            format!("{certificate} and {key} do not fit together: {error}")
        })?;
    // One ticket says to an exporter that its certificate is taken; nobody comes back on it unchecked.
    config.session_storage = Arc::new(Forgetful);
    config.send_tls13_tickets = 1;
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(|all| all.collect::<Result<Vec<_>, _>>());
    match read {
        Ok(all) if all.is_empty() => Err(format!("{}: there is no certificate in it (PEM)", path.display())),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("{}: cannot be read as PEM: {error}", path.display())),
    }
}

/// Takes every session and gives none back.
#[derive(Debug)]
struct Forgetful;

impl StoresServerSessions for Forgetful {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        true
    }

    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// The allow list, behind what the authorities say.
#[derive(Debug)]
struct NamedClients {
    authorities: Arc<dyn ClientCertVerifier>,
    names: Vec<ServerName<'static>>,
}

impl ClientCertVerifier for NamedClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.authorities.verify_client_cert(end_entity, intermediates, now)?;
        match is_listed(end_entity, &self.names) {
            Ok(true) => Ok(verified),
            Ok(false) => Err(CertificateError::ApplicationVerificationFailure.into()),
            Err(_) => Err(CertificateError::BadEncoding.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

fn refusal(error: &io::Error) -> Refusal {
    let (ended, line) = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => explain(error),
        None if error.kind() == io::ErrorKind::UnexpectedEof => (
            Ended::Handshake,
            "it closed the connection within the TLS handshake".to_owned(),
        ),
        None => (Ended::Handshake, format!("broken within the TLS handshake: {error}")),
    };
    Refusal { ended, line }
}

fn explain(error: &rustls::Error) -> (Ended, String) {
    use CertificateError as Certificate;
    use rustls::Error;
    let of_certificate = match error {
        Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        Error::InvalidCertificate(why) => match why {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired, or the clock here is wrong".to_owned()
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet, or the clock here is wrong".to_owned()
            }
            Certificate::UnknownIssuer => "its certificate is from no authority in --tls-ca".to_owned(),
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
                "its certificate is not one for clients (extendedKeyUsage)".to_owned()
            }
            Certificate::ApplicationVerificationFailure => {
                "no name in its certificate (subjectAltName) is in --tls-clients".to_owned()
            }
            other => format!("its certificate is not acceptable: {other}"),
        },
        Error::AlertReceived(alert) => format!("it refuses our certificate or TLS: {alert:?}"),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => {
            return (
                Ended::NotTls,
                "it does not speak TLS; is it told to send to tls://?".to_owned(),
            );
        }
        other => return (Ended::Handshake, format!("no TLS with it: {other}")),
    };
    (Ended::Certificate, of_certificate)
}

/// By which names exporters were let in, of the addresses they came from.
#[derive(Debug, Default)]
pub struct ClientNames(Mutex<BTreeMap<IpAddr, BTreeSet<String>>>);

impl ClientNames {
    /// One more.
    pub(super) fn insert(&self, address: IpAddr, name: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only who holds a certificate gets this far, so what goes when it is full is nobody's weapon.
        if names.values().map(BTreeSet::len).sum::<usize>() >= CLIENT_NAMES {
            names.pop_first();
        }
        names.entry(address).or_default().insert(name.to_owned());
    }

    /// The names that came from an address, in their order.
    pub fn of(&self, address: IpAddr) -> Vec<String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names
            .get(&address)
            .map_or_else(Vec::new, |names| names.iter().cloned().collect())
    }
}

#[cfg(test)]
pub(super) mod tests;
