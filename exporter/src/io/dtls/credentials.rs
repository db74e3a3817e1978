//! Who we are and whom we trust, told to OpenSSL: the same files and the same words as for TLS.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::ssl::{
    Error, ErrorCode, Ssl, SslContext, SslFiletype, SslMethod, SslOptions, SslRef, SslSessionCacheMode, SslVerifyMode,
    SslVersion,
};
use openssl::x509::X509;
use openssl::x509::verify::{X509CheckFlags, X509VerifyFlags};

use crate::config::TlsFiles;
use crate::io::tls::{Stamps, stamps};

/// Ephemeral keys and authenticated encryption only (RFC 9325 section 4.2).
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";
/// Octets that a record takes beside what it carries, with any of these: header, explicit nonce, tag.
pub(super) const RECORD_OCTETS: u16 = 13 + 8 + 16;

/// What the files say.
pub(super) struct Credentials {
    files: TlsFiles,
    stamps: Stamps,
    context: SslContext,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("files", &self.files).finish()
    }
}

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
            context: context(files)?,
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
        Some(context(&self.files).map(|context| self.context = context))
    }

    /// Our side of a session with the collector, whose certificate must be for `host`, in datagrams of so many octets.
    ///
    /// # Errors
    /// When `host` cannot be in a certificate.
    pub fn session(&self, host: &str, datagram_octets: u16) -> io::Result<Ssl> {
        let wrong = |error: ErrorStack| io::Error::new(io::ErrorKind::InvalidInput, reason(&error));
        let mut ssl = Ssl::new(&self.context).map_err(wrong)?;
        let expected = ssl.param_mut();
        // Common names count nowhere (RFC 7011 section 11.3 recommends none).
        expected.set_hostflags(X509CheckFlags::NEVER_CHECK_SUBJECT | X509CheckFlags::NO_PARTIAL_WILDCARDS);
        match host.parse::<IpAddr>() {
            Ok(address) => expected.set_ip(address).map_err(wrong)?,
            Err(_) => {
                expected.set_host(host).map_err(wrong)?;
                ssl.set_hostname(host).map_err(wrong)?;
            }
        }
        ssl.set_mtu(u32::from(datagram_octets)).map_err(wrong)?;
        ssl.set_connect_state();
        Ok(ssl)
    }

    /// Why a handshake failed and what to look at, for people.
    pub fn explain(&self, ssl: &SslRef, error: Error, host: &str) -> io::Error {
        let line = match verdict(ssl, host, &self.files.ca) {
            Some(line) => line,
            None => match error.into_io_error() {
                Ok(error) if error.kind() == io::ErrorKind::ConnectionRefused => return error,
                Ok(error) => format!("broken within the DTLS handshake: {error}"),
                Err(error) => explain(&error),
            },
        };
        io::Error::new(io::ErrorKind::InvalidData, line)
    }
}

fn context(files: &TlsFiles) -> Result<SslContext, String> {
    let failed = |error: ErrorStack| format!("DTLS: {}", reason(&error));
    let mut context = SslContext::builder(SslMethod::dtls_client()).map_err(failed)?;
    context
        .set_min_proto_version(Some(SslVersion::DTLS1_2))
        .map_err(failed)?;
    context.set_cipher_list(CIPHERS).map_err(failed)?;
    // A session taken up again, or renegotiated, would not be checked as one is here.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_options(SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION | SslOptions::NO_QUERY_MTU);
    context.set_verify(SslVerifyMode::PEER);
    let store = context.cert_store_mut();
    // An authority of the file is trusted whether or not it signed itself.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN).map_err(failed)?;
    for authority in certificates(&files.ca)? {
        store.add_cert(authority).map_err(failed)?;
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
    Ok(context.build())
}

fn certificates(path: &Path) -> Result<Vec<X509>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: cannot be read as PEM: {error}", path.display()))?;
    match X509::stack_from_pem(&pem) {
        Ok(all) if all.is_empty() => Err(format!("{}: there is no certificate in it (PEM)", path.display())),
        Ok(all) => Ok(all),
        Err(error) => Err(format!("{}: cannot be read as PEM: {}", path.display(), reason(&error))),
    }
}

/// The first thing OpenSSL says, in one line.
pub(super) fn reason(error: &ErrorStack) -> String {
    let first = error.errors().first().and_then(|error| error.reason());
    first.map_or_else(|| "no reason given by OpenSSL".to_owned(), str::to_owned)
}

/// What is wrong with the collector's certificate, if that is what is wrong.
fn verdict(ssl: &SslRef, host: &str, ca: &Path) -> Option<String> {
    let verdict = ssl.verify_result();
    // `X509_V_ERR_..` of OpenSSL.
    Some(match verdict.as_raw() {
        0 => return None,
        9 => "the collector's certificate is not valid yet, or the clock here is wrong".to_owned(),
        10 => "the collector's certificate has expired, or the clock here is wrong".to_owned(),
        2 | 18..=21 => format!("the collector's certificate is from no authority in {}", ca.display()),
        26 => "the collector's certificate is not one for servers (extendedKeyUsage)".to_owned(),
        62 | 64 => format!("the collector's certificate is for another name than {host} (subjectAltName)"),
        _ => format!(
            "the collector's certificate is not acceptable: {}",
            verdict.error_string()
        ),
    })
}

/// Why a handshake or a session ended, as far as the other end or OpenSSL said.
pub(super) fn explain(error: &Error) -> String {
    if error.code() == ErrorCode::ZERO_RETURN {
        return "closed by the collector".to_owned();
    }
    let Some(first) = error.ssl_error().and_then(|stack| stack.errors().first()) else {
        return format!("DTLS: {error}");
    };
    let why = match first.reason_code().checked_sub(ALERTS) {
        Some(alert::CERTIFICATE_EXPIRED) => "it has expired, says the collector",
        Some(alert::UNKNOWN_CA) => "the collector does not know the authority that it is from",
        Some(alert::ACCESS_DENIED) => "its name is not one that the collector lets in",
        // OpenSSL has no other words for an allow list.
        Some(alert::HANDSHAKE_FAILURE) => {
            "its name may not be one that the collector lets in (or no cipher is in common)"
        }
        Some(alert::CERTIFICATE_REQUIRED) => "the collector got none",
        Some(42 | 43 | 44 | 46 | 51) => "the collector does not take it",
        Some(alert::PROTOCOL_VERSION) => return "the collector has no DTLS version in common with us".to_owned(),
        _ => {
            return format!(
                "no DTLS with the collector: {}",
                first.reason().unwrap_or("no reason given by OpenSSL")
            );
        }
    };
    format!("our certificate is refused: {why}")
}

/// Reasons of OpenSSL above this are alerts that came in (`SSL_AD_REASON_OFFSET`).
const ALERTS: i32 = 1000;

/// RFC 5246 section 7.2.
mod alert {
    pub const HANDSHAKE_FAILURE: i32 = 40;
    pub const CERTIFICATE_EXPIRED: i32 = 45;
    pub const UNKNOWN_CA: i32 = 48;
    pub const ACCESS_DENIED: i32 = 49;
    pub const PROTOCOL_VERSION: i32 = 70;
    pub const CERTIFICATE_REQUIRED: i32 = 116;
}
