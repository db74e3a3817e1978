//! Who we are and whom we let in, told to OpenSSL: the same files, the same allow list and the same words as for TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslFiletype, SslMethod, SslMode, SslOptions, SslRef, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{X509, X509Ref, X509StoreContextRef, X509VerifyResult};
use rustls::pki_types::{CertificateDer, ServerName};

use crate::failure::Failure;
use crate::io::tcp::Ended;
use crate::io::tls::{Files, Refusal, Stamps, TlsConfig, is_listed, listed_clients, name_of};
use crate::limits::DTLS_DATAGRAM_OCTETS;

/// How often files are looked at, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// Ephemeral keys and authenticated encryption only (RFC 9325 section 4.2).
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";

/// Makes the server side of sessions.
pub struct Credentials {
    files: Files,
    clients: Vec<ServerName<'static>>,
    context: SslContext,
    stamps: Stamps,
    looked: Instant,
}

impl Credentials {
    /// Reads the files.
    ///
    /// # Errors
    /// Which setting is missing or wrong, or which file and how; exit status 2.
    pub fn new(config: &TlsConfig) -> Result<Credentials, Failure> {
        let files = Files::new(config, "dtls")?;
        let clients = listed_clients(config)?;
        let stamps = files.stamps();
        let context = context(&files, &clients).map_err(Failure::usage)?;
        Ok(Credentials {
            files,
            clients,
            context,
            stamps,
            looked: Instant::now(),
        })
    }

    /// The server side of a new session: files are read again if they have changed, unless what they say now cannot be
    /// used.
    pub(super) fn session(&mut self) -> Result<Ssl, ErrorStack> {
        if self.looked.elapsed() >= LOOK_INTERVAL {
            self.looked = Instant::now();
            let stamps = self.files.stamps();
            if stamps != self.stamps {
                self.stamps = stamps;
                match context(&self.files, &self.clients) {
                    Ok(context) => {
                        self.context = context;
                        tracing::info!("certificates have changed and are taken up");
                    }
                    Err(line) => tracing::warn!("{line}; the certificates read before are used on"),
                }
            }
        }
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_mtu(DTLS_DATAGRAM_OCTETS)?;
        ssl.set_accept_state();
        Ok(ssl)
    }
}

fn context(files: &Files, clients: &[ServerName<'static>]) -> Result<SslContext, String> {
    let failed = |error: ErrorStack| format!("DTLS: {}", reason(&error));
    let mut context = SslContext::builder(SslMethod::dtls_server()).map_err(failed)?;
    context
        .set_min_proto_version(Some(SslVersion::DTLS1_2))
        .map_err(failed)?;
    context.set_cipher_list(CIPHERS).map_err(failed)?;
    // A session taken up again, or renegotiated, would not be checked as one is here.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_options(
        SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_QUERY_MTU
            | SslOptions::COOKIE_EXCHANGE
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    context.set_mode(SslMode::RELEASE_BUFFERS);
    // Whoever gets a session has shown our cookie already; what OpenSSL asks for goes nowhere.
    context.set_cookie_generate_cb(|_, cookie| {
        if let Some(octet) = cookie.first_mut() {
            *octet = 0;
        }
        Ok(1)
    });
    context.set_cookie_verify_cb(|_, _| true);

    let store = context.cert_store_mut();
    // An authority of the file is trusted whether or not it signed itself.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(failed)?;
    let authorities = authorities(&files.ca)?;
    for authority in &authorities {
        store.add_cert(authority.clone()).map_err(failed)?;
    }
    for authority in &authorities {
        context.add_client_ca(authority).map_err(failed)?;
    }
    certificates(&files.certificate)?;
    context
        .set_certificate_chain_file(&files.certificate)
        .map_err(|error| format!("{}: {}", files.certificate.display(), reason(&error)))?;
    let fits = context.set_private_key_file(&files.key, SslFiletype::PEM);
    fits.and_then(|()| context.check_private_key()).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        match std::fs::read(&files.key).map(|pem| openssl::pkey::PKey::private_key_from_pem(&pem)) {
            Ok(Ok(_)) => format!("{certificate} and {key} do not fit together: {}", reason(&error)),
            Ok(Err(error)) => format!("{key}: no private key in PEM can be read: {}", reason(&error)),
            Err(error) => format!("{key}: no private key in PEM can be read: {error}"),
        }
    })?;
    let clients = Arc::<[_]>::from(clients);
    context.set_verify_callback(
        SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        move |ok, chain| ok && (chain.error_depth() > 0 || admits(&clients, chain)),
    );
    Ok(context.build())
}

/// The allow list, behind what the authorities say.
fn admits(clients: &[ServerName<'_>], chain: &mut X509StoreContextRef) -> bool {
    let certificate = chain.current_cert().and_then(der);
    let listed = certificate.is_some_and(|certificate| is_listed(&certificate, clients).unwrap_or(false));
    if !listed {
        chain.set_error(X509VerifyResult::APPLICATION_VERIFICATION);
    }
    listed
}

fn der(certificate: &X509Ref) -> Option<CertificateDer<'static>> {
    certificate.to_der().ok().map(CertificateDer::from)
}

/// The name that the exporter of a session is known by.
pub(super) fn client_name(ssl: &SslRef) -> Option<String> {
    name_of(&der(ssl.peer_certificate()?.as_ref())?)
}

fn certificates(path: &Path) -> Result<Vec<X509>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: cannot be read as PEM: {error}", path.display()))?;
    match X509::stack_from_pem(&pem) {
        Ok(all) if all.is_empty() => Err(format!("{}: there is no certificate in it (PEM)", path.display())),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("{}: cannot be read as PEM: {}", path.display(), reason(&error))),
    }
}

fn authorities(path: &Path) -> Result<Vec<X509>, String> {
    certificates(path)
}

/// The first thing OpenSSL says, in one line.
pub(super) fn reason(error: &ErrorStack) -> String {
    let first = error.errors().first().and_then(|error| error.reason());
    first.map_or_else(|| "no reason given by OpenSSL".to_owned(), str::to_owned)
}

/// Why a handshake came to nothing.
pub(super) fn refusal(ssl: &SslRef, error: &openssl::ssl::Error) -> Refusal {
    /// `X509_V_ERR_..` of OpenSSL.
    mod verdict {
        pub const NOT_YET_VALID: i32 = 9;
        pub const EXPIRED: i32 = 10;
        pub const UNKNOWN_ISSUER: [i32; 5] = [2, 18, 19, 20, 21];
        pub const INVALID_PURPOSE: i32 = 26;
        pub const APPLICATION: i32 = 50;
    }
    /// `SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE`.
    const NO_CERTIFICATE: i32 = 199;
    let verdict = ssl.verify_result();
    let line = match verdict.as_raw() {
        0 => None,
        verdict::EXPIRED => Some("its certificate has expired, or the clock here is wrong".to_owned()),
        verdict::NOT_YET_VALID => Some("its certificate is not valid yet, or the clock here is wrong".to_owned()),
        verdict::INVALID_PURPOSE => Some("its certificate is not one for clients (extendedKeyUsage)".to_owned()),
        verdict::APPLICATION => Some("no name in its certificate (subjectAltName) is in --tls-clients".to_owned()),
        issuer if verdict::UNKNOWN_ISSUER.contains(&issuer) => {
            Some("its certificate is from no authority in --tls-ca".to_owned())
        }
        _ => Some(format!("its certificate is not acceptable: {}", verdict.error_string())),
    };
    if let Some(line) = line {
        let ended = Ended::Certificate;
        return Refusal { ended, line };
    }
    let first = error.ssl_error().and_then(|stack| stack.errors().first());
    let (ended, line) = match first {
        Some(first) if first.reason_code() == NO_CERTIFICATE => {
            (Ended::Certificate, "it shows no certificate".to_owned())
        }
        Some(first) => match alert(first.reason_code()) {
            Some(alert) => (
                Ended::Certificate,
                format!(
                    "it refuses our certificate or DTLS: alert {alert} ({})",
                    first.reason().unwrap_or("unknown")
                ),
            ),
            None => (
                Ended::Handshake,
                format!(
                    "no DTLS with it: {}",
                    first.reason().unwrap_or("no reason given by OpenSSL")
                ),
            ),
        },
        None if error.code() == ErrorCode::ZERO_RETURN => (Ended::Handshake, "it ended the DTLS handshake".to_owned()),
        None => (Ended::Handshake, format!("broken within the DTLS handshake: {error}")),
    };
    Refusal { ended, line }
}

/// The alert that a reason of OpenSSL stands for, if it came from the other end.
fn alert(reason: i32) -> Option<i32> {
    let alert = reason.checked_sub(1000)?;
    (0..256).contains(&alert).then_some(alert)
}
