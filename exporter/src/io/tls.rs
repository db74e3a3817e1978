//! TLS on a connection to a collector (RFC 7011 section 11): each end shows a certificate, and each checks the other's.
//!
//! The stream beneath stays a blocking socket of one thread. What is written counts in octets of the wire, so that what
//! the other end has acknowledged can be told in Messages, as without TLS.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, InvalidMessage, ProtocolVersion, RootCertStore,
};

use crate::config::TlsFiles;

/// How long a collector may take from the first octet to its word that it takes us.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// In TLS 1.3 the client is done before the server has looked at its certificate. A server that takes it sends a ticket
/// at once, one that does not an alert; one that says nothing for this long is taken for content.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a handshake looks at the time.
const STEP: Duration = Duration::from_millis(200);
/// Octets read at once: a collector says next to nothing.
const READ_OCTETS: usize = 4096;

/// Who we are and whom we trust, as the files say it.
#[derive(Debug)]
pub struct Credentials {
    files: TlsFiles,
    stamps: Stamps,
    config: Arc<ClientConfig>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(SystemTime, u64);

/// Those of the three files.
pub(super) type Stamps = [Option<Stamp>; 3];

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    /// One line for people: which file is wrong, and how.
    pub fn load(files: &TlsFiles) -> Result<Self, String> {
        // Stamps first: a file that changes while it is read is read again.
        let stamps = stamps(files);
        Ok(Self {
            files: files.clone(),
            stamps,
            config: Arc::new(client_config(files)?),
        })
    }

    /// Reads the files again if they have changed; says so, or what is wrong with them, in which case those read before
    /// go on.
    pub fn refresh(&mut self) -> Option<Result<(), String>> {
        let now = stamps(&self.files);
        // Who gave up root may not see the folder any more; what is not seen has not changed.
        if now == self.stamps || now.contains(&None) {
            return None;
        }
        self.stamps = now;
        Some(client_config(&self.files).map(|config| self.config = Arc::new(config)))
    }
}

/// What the files are now.
pub(super) fn stamps(files: &TlsFiles) -> Stamps {
    [&files.certificate, &files.key, &files.ca].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp(metadata.modified().ok()?, metadata.len()))
    })
}

fn client_config(files: &TlsFiles) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.ca)? {
        roots
            .add(authority)
            .map_err(|error| format!("{}: not the certificate of an authority: {error}", files.ca.display()))?;
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("{}: no private key in PEM can be read: {error}", files.key.display()))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&files.certificate)?, key)
        .map_err(|error| {
            let (certificate, key) = (files.certificate.display(), files.key.display());
            format!("{certificate} and {key} do not fit together: {error}")
        })?;
    // A session taken up again would not be checked again.
    config.resumption = Resumption::disabled();
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

/// One connection's TLS.
#[derive(Debug)]
pub struct Session {
    connection: ClientConnection,
}

impl Session {
    /// Shakes hands with the collector, whose certificate must be for `host`, and waits for it to take ours.
    ///
    /// # Errors
    /// One line for people, without the destination's name.
    pub fn open(credentials: &Credentials, host: &str, mut stream: &TcpStream) -> io::Result<Self> {
        let wrong = |line: String| io::Error::new(io::ErrorKind::InvalidData, line);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| wrong(format!("{host} is no name that a certificate could be for")))?;
        let connection = ClientConnection::new(credentials.config.clone(), name)
            .map_err(|error| wrong(explain(&error, host, &credentials.files.ca)))?;
        let mut session = Self { connection };
        stream.set_read_timeout(Some(STEP))?;
        let begun = Instant::now();
        let mut shaken: Option<Instant> = None;
        loop {
            while session.connection.wants_write() {
                match session.connection.write_tls(&mut stream) {
                    Ok(_) => {}
                    Err(error) if is_pause(&error) && begun.elapsed() < HANDSHAKE_TIMEOUT => {}
                    Err(error) => return Err(error),
                }
            }
            if !session.connection.is_handshaking() {
                let since = *shaken.get_or_insert_with(Instant::now);
                let old = session.connection.protocol_version() == Some(ProtocolVersion::TLSv1_2);
                let taken = old || session.connection.tls13_tickets_received() > 0;
                if taken || since.elapsed() >= VERDICT_TIMEOUT {
                    return Ok(session);
                }
            } else if begun.elapsed() >= HANDSHAKE_TIMEOUT {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "no end to the TLS handshake within 5 s; is it a TLS listener?",
                ));
            }
            match session.connection.read_tls(&mut stream) {
                Ok(0) => {
                    return Err(wrong(
                        "closed within the TLS handshake; is it a TLS listener (tls://)?".to_owned(),
                    ));
                }
                Ok(_) => session.process(host, &credentials.files.ca, stream)?,
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(wrong(format!("broken within the TLS handshake: {error}"))),
            }
        }
    }

    fn process(&mut self, host: &str, ca: &Path, mut stream: &TcpStream) -> io::Result<()> {
        match self.connection.process_new_packets() {
            Ok(_) => Ok(()),
            Err(error) => {
                // The alert that tells the other end why; it may be gone already.
                let _ = self.connection.write_tls(&mut stream);
                Err(io::Error::new(io::ErrorKind::InvalidData, explain(&error, host, ca)))
            }
        }
    }

    /// Takes up what the collector has sent meanwhile: nothing but alerts, new keys and its end.
    ///
    /// # Errors
    /// When it ended the connection, in whatever way.
    pub fn check_open(&mut self, stream: &TcpStream) -> io::Result<()> {
        let closed = || io::Error::new(io::ErrorKind::ConnectionReset, "closed by the collector");
        let mut buffer = [0; READ_OCTETS];
        stream.set_nonblocking(true)?;
        let mut from = stream;
        let read = from.read(&mut buffer);
        stream.set_nonblocking(false)?;
        let mut rest = match read {
            Ok(0) => return Err(closed()),
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if is_pause(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        while !rest.is_empty() {
            self.connection.read_tls(&mut rest)?;
            let state = self
                .connection
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::ConnectionReset, explain_late(&error)))?;
            if state.peer_has_closed() {
                return Err(closed());
            }
            // Nothing is expected, and nothing kept.
            let mut said = io::sink();
            let _ = io::copy(&mut self.connection.reader(), &mut said);
        }
        Ok(())
    }

    /// Encrypts `octets`; [`Self::write`] sends them.
    ///
    /// # Errors
    /// When more waits than may.
    pub fn encrypt(&mut self, octets: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(octets)
    }

    /// Writes some of what waits; says how many octets of the wire that were.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn write(&mut self, mut stream: &TcpStream) -> io::Result<usize> {
        self.connection.write_tls(&mut stream)
    }

    /// Whether something waits to be written.
    pub fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// Says that nothing more will come, as far as the socket takes it at once.
    pub fn close(&mut self, mut stream: &TcpStream) {
        self.connection.send_close_notify();
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut stream).is_err() {
                break;
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Why the handshake failed and what to look at, for people.
fn explain(error: &rustls::Error, host: &str, ca: &Path) -> String {
    use CertificateError as Certificate;
    use rustls::Error;
    match error {
        Error::InvalidCertificate(why) => match why {
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "the collector's certificate has expired, or the clock here is wrong".to_owned()
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "the collector's certificate is not valid yet, or the clock here is wrong".to_owned()
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                format!("the collector's certificate is for another name than {host} (subjectAltName)")
            }
            Certificate::UnknownIssuer => {
                format!("the collector's certificate is from no authority in {}", ca.display())
            }
            Certificate::InvalidPurpose | Certificate::InvalidPurposeContext { .. } => {
                "the collector's certificate is not one for servers (extendedKeyUsage)".to_owned()
            }
            other => format!("the collector's certificate is not acceptable: {other}"),
        },
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
        | Error::InappropriateMessage { .. } => {
            "what answers there does not speak TLS; is it a TLS listener (tls://)?".to_owned()
        }
        Error::AlertReceived(alert) => explain_alert(*alert),
        other => format!("no TLS with the collector: {other}"),
    }
}

/// As [`explain`], once the handshake is over.
fn explain_late(error: &rustls::Error) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => explain_alert(*alert),
        other => format!("TLS: {other}"),
    }
}

fn explain_alert(alert: AlertDescription) -> String {
    let why = match alert {
        AlertDescription::CertificateExpired => "it has expired, says the collector",
        AlertDescription::UnknownCA => "the collector does not know the authority that it is from",
        AlertDescription::AccessDenied => "its name is not one that the collector lets in",
        AlertDescription::CertificateRequired => "the collector got none",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::DecryptError => "the collector does not take it",
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            return "the collector has no TLS version or cipher in common with us".to_owned();
        }
        other => return format!("the collector ended TLS: {other:?}"),
    };
    format!("our certificate is refused: {why}")
}
