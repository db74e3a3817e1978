//! Settings of destinations that take lines: the priority of syslog messages, and how an HTTP server is spoken to.

use std::fmt;
use std::path::PathBuf;

use super::keys::Origin;
use super::{Reader, metering, nearest};

/// How lines leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinesConfig {
    /// PRI of syslog messages: facility times 8 plus severity (RFC 5424 section 6.2.1).
    pub syslog_priority: u8,
    /// Who we are to an HTTP server.
    pub http_authorization: Option<Authorization>,
    /// Whether bodies are compressed.
    pub http_gzip: bool,
    /// The authorities that an HTTPS server's certificate must come from (PEM); the system's where none are named.
    pub http_ca: Option<PathBuf>,
}

/// local0.info
const DEFAULT_PRIORITY: u8 = 16 * 8 + 6;

impl Default for LinesConfig {
    fn default() -> Self {
        Self {
            syslog_priority: DEFAULT_PRIORITY,
            http_authorization: None,
            http_gzip: false,
            http_ca: None,
        }
    }
}

impl LinesConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let defaults = Self::default();
        if let Some(setting) = reader.settings.get("http_authorization")
            && matches!(setting.origin, Origin::Flag(_))
            && !setting.values.iter().all(|text| text.starts_with('@'))
        {
            reader.refuse(
                "http_authorization",
                "everybody on this host can read the command line: write @FILE, or set FLOWGAUGE_EXPORTING_HTTP_AUTHORIZATION or the key of the file",
            );
        }
        Self {
            syslog_priority: reader
                .one("syslog_priority", priority)
                .unwrap_or(defaults.syslog_priority),
            http_authorization: reader.one("http_authorization", Authorization::parse),
            http_gzip: reader
                .one("http_gzip", |text| metering::either(text, "on", "off"))
                .unwrap_or(defaults.http_gzip),
            http_ca: reader.one("http_ca", |text| Ok(PathBuf::from(text))),
        }
    }
}

/// Who we are to an HTTP server. What it is stays out of logs.
#[derive(Clone, PartialEq, Eq)]
pub enum Authorization {
    /// The value of the header is in this file, which is read when it is needed.
    File(PathBuf),
    /// `Bearer TOKEN` or `USER:PASSWORD`.
    Text(String),
}

impl Authorization {
    fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix('@') {
            Some(path) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(_) => Err("write the path of a file behind the @".to_owned()),
            None => header(text).map(|_| Self::Text(text.to_owned())),
        }
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(..)"),
        }
    }
}

/// The value of the header Authorization for `Bearer TOKEN`, `Basic ENCODED` or `USER:PASSWORD` (RFC 6750, RFC 7617).
///
/// # Errors
/// What to write; never what was written.
pub fn header(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_visible = !text.is_empty() && text.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic());
    let scheme = text.split_once(' ').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match (scheme.as_deref(), text.contains(':')) {
        (Some("bearer" | "basic"), _) if is_visible => Ok(text.to_owned()),
        (Some("bearer" | "basic"), _) => Err("the token has letters that no header can have".to_owned()),
        (_, true) => Ok(format!("Basic {}", base64(text.as_bytes()))),
        _ => Err("write `Bearer TOKEN` or USER:PASSWORD".to_owned()),
    }
}

/// RFC 4648 section 4.
fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for three in octets.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| {
            bits << 8 | u32::from(three.get(at).copied().unwrap_or(0))
        });
        for at in 0..4 {
            let digit = (bits >> (18 - 6 * at) & 63) as usize;
            text.push(match at <= three.len() {
                true => DIGITS.get(digit).copied().map_or('=', char::from),
                false => '=',
            });
        }
    }
    text
}

/// Facilities and severities by their number (RFC 5424 section 6.2.1), by the names that syslog.conf(5) gives them.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// `local0.info`, or the number.
fn priority(text: &str) -> Result<u8, String> {
    if let Ok(number) = text.parse::<u8>() {
        return match number <= 191 {
            true => Ok(number),
            false => Err(format!("`{text}`: a priority is a number from 0 to 191")),
        };
    }
    let (facility, severity) = text.split_once('.').unwrap_or((text, "info"));
    let place = |name: &str, names: &'static [&'static str], what: &str| {
        names.iter().position(|known| *known == name).ok_or_else(|| {
            let meant = nearest(name, names.iter().copied())
                .map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
            format!(
                "`{text}`: unknown {what} `{name}`, write FACILITY.SEVERITY such as local0.info, or a number{meant}"
            )
        })
    };
    let facility = place(facility, &FACILITIES, "facility")?;
    let severity = place(severity, &SEVERITIES, "severity")?;
    Ok((facility * 8 + severity) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_those_of_rfc_5424() {
        // The RFC's own: "a kernel message with a severity of Emergency" is 0, "local use 4 with Notice" is 165.
        assert_eq!(priority("kern.emerg"), Ok(0));
        assert_eq!(priority("local4.notice"), Ok(165));
        assert_eq!(priority("165"), Ok(165));
        assert_eq!(priority("local0"), Ok(DEFAULT_PRIORITY));
        assert!(priority("local8.info").unwrap_err().contains("did you mean local"));
        assert!(priority("local0.inof").unwrap_err().contains("did you mean info?"));
        assert!(priority("192").is_err() && priority("").is_err());
    }

    #[test]
    fn headers_are_those_of_the_rfcs() {
        // RFC 7617 section 2.
        assert_eq!(
            header("Aladdin:open sesame").unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(header("test:123\u{a3}").unwrap(), "Basic dGVzdDoxMjPCow==");
        assert_eq!(header(" Bearer mF_9.B5f-4.1JqM\n").unwrap(), "Bearer mF_9.B5f-4.1JqM");
        for text in ["", "secret", "Bearer a\r\nX: y"] {
            let error = header(text).unwrap_err();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
        // RFC 4648 section 10.
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = Authorization::parse("Bearer hush").unwrap();
        assert_eq!(format!("{secret:?}"), "Text(..)");
        assert_eq!(
            Authorization::parse("@/run/token").unwrap(),
            Authorization::File("/run/token".into())
        );
        assert!(Authorization::parse("@").is_err());
    }
}
