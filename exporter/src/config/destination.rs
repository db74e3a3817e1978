//! Where flow records go: the `DEST` of `--to`, read into a plain value before any socket or file is touched.

use std::fmt;
use std::path::PathBuf;

/// The port IANA registered for IPFIX over UDP, TCP and SCTP (RFC 7011 section 10).
pub const IPFIX_PORT: u16 = 4739;

/// The port IANA registered for IPFIX over TLS and DTLS (RFC 7011 section 10).
pub const SECURE_IPFIX_PORT: u16 = 4740;

/// The port IANA registered for sFlow.
pub const SFLOW_PORT: u16 = 6343;

/// Schemes that are planned and that this build cannot speak yet.
const NOT_YET: [&str; 3] = ["dtls", "netflow9", "netflow5"];

/// One `--to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// IPFIX Messages in UDP datagrams.
    Udp(Endpoint),
    /// IPFIX Messages on a TCP connection.
    Tcp(Endpoint),
    /// IPFIX Messages on a TLS connection, both ends with a certificate.
    Tls(Endpoint),
    /// IPFIX Messages on an SCTP association.
    Sctp(Endpoint),
    /// Samples of packets and counters, in sFlow datagrams; no flow records.
    Sflow(Endpoint),
    /// An IPFIX File (RFC 5655).
    File(PathBuf),
    /// JSON lines in a file, or on standard output when absent.
    Json(Option<PathBuf>),
}

/// A host by name or address, and a port. Names are resolved by the destination at each try, not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name, IPv4 address, or IPv6 address without its brackets.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
}

impl Destination {
    /// Reads `udp://H:P`, `tcp://H:P`, `tls://H:P`, `sctp://H:P`, `file:PATH`, `json:PATH` or `json:-`; without a
    /// port it is 4739, and 4740 for TLS.
    ///
    /// # Errors
    /// A sentence that names what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(format!(
                "destination `{text}` has no scheme: write udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, sctp://HOST:PORT, file:PATH or json:PATH"
            ));
        };
        match scheme {
            "udp" => Endpoint::parse(text, rest, IPFIX_PORT).map(Self::Udp),
            "tcp" => Endpoint::parse(text, rest, IPFIX_PORT).map(Self::Tcp),
            "tls" => Endpoint::parse(text, rest, SECURE_IPFIX_PORT).map(Self::Tls),
            "sctp" => Endpoint::parse(text, rest, IPFIX_PORT).map(Self::Sctp),
            "sflow" => Endpoint::parse(text, rest, SFLOW_PORT).map(Self::Sflow),
            "file" => path(text, rest).map(Self::File),
            "json" if rest == "-" => Ok(Self::Json(None)),
            "json" => path(text, rest).map(|path| Self::Json(Some(path))),
            _ if NOT_YET.contains(&scheme) => Err(format!(
                "destination `{text}`: this build has no {scheme} transport yet; udp, tcp, tls, sctp, sflow, file and json are there"
            )),
            _ if !rest.is_empty() && rest.bytes().all(|octet| octet.is_ascii_digit()) => Err(format!(
                "destination `{text}`: say how to send there: udp://{text} or tcp://{text}"
            )),
            _ => Err(format!(
                "destination `{text}`: unknown scheme `{scheme}`; udp, tcp, tls, sctp, sflow, file and json are there"
            )),
        }
    }

    /// Whether records leave by a network, where the other end may be away.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Udp(_) | Self::Tcp(_) | Self::Tls(_) | Self::Sctp(_))
    }

    /// Whether it takes samples and no flow records.
    pub fn takes_samples(&self) -> bool {
        matches!(self, Self::Sflow(_))
    }

    /// Whether both ends need a certificate.
    pub fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(endpoint) => write!(f, "udp://{endpoint}"),
            Self::Tcp(endpoint) => write!(f, "tcp://{endpoint}"),
            Self::Tls(endpoint) => write!(f, "tls://{endpoint}"),
            Self::Sctp(endpoint) => write!(f, "sctp://{endpoint}"),
            Self::Sflow(endpoint) => write!(f, "sflow://{endpoint}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Json(Some(path)) => write!(f, "json:{}", path.display()),
            Self::Json(None) => f.write_str("json:-"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Endpoint {
    fn parse(whole: &str, rest: &str, default_port: u16) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("destination `{whole}`: {why}"));
        let Some(authority) = rest.strip_prefix("//") else {
            return wrong("write // before the host, as in udp://127.0.0.1:4739");
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
            let Some((host, behind)) = bracketed.split_once(']') else {
                return wrong("the IPv6 address has no closing `]`");
            };
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return wrong("no IPv6 address stands between the brackets");
            }
            match behind.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if behind.is_empty() => (host, None),
                None => return wrong("write the port behind the bracket as `]:PORT`"),
            }
        } else {
            match authority.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return wrong("put an IPv6 address in brackets, as in udp://[::1]:4739");
                }
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            }
        };
        if host.is_empty() || host.contains(['/', '@', '?', ' ']) {
            return wrong("there is no host to send to");
        }
        let port = match port {
            None => default_port,
            Some(text) => match text.parse() {
                Ok(port) if port > 0 => port,
                _ => return wrong("the port is a number from 1 to 65535"),
            },
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

fn path(whole: &str, rest: &str) -> Result<PathBuf, String> {
    if rest.is_empty() {
        return Err(format!("destination `{whole}`: write the path behind the colon"));
    }
    // `file:///tmp/x` is how a URL says /tmp/x.
    Ok(PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_scheme_and_prints_it_back() {
        for (text, printed) in [
            ("udp://127.0.0.1:2055", "udp://127.0.0.1:2055"),
            ("udp://collector.example", "udp://collector.example:4739"),
            ("tcp://[::1]:4739", "tcp://[::1]:4739"),
            ("tcp://[2001:db8::1]", "tcp://[2001:db8::1]:4739"),
            ("tls://collector.example", "tls://collector.example:4740"),
            ("tls://[::1]:4741", "tls://[::1]:4741"),
            ("sctp://collector.example", "sctp://collector.example:4739"),
            ("sflow://collector.example", "sflow://collector.example:6343"),
            ("file:a.ipfix", "file:a.ipfix"),
            ("file:///var/a.ipfix", "file:/var/a.ipfix"),
            ("json:out/a.json", "json:out/a.json"),
            ("json:-", "json:-"),
        ] {
            assert_eq!(Destination::parse(text).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("collector", "has no scheme"),
            ("127.0.0.1:4739", "udp://127.0.0.1:4739"),
            ("carrier-pigeon://roof", "unknown scheme"),
            ("udp:127.0.0.1", "write // before"),
            ("udp://", "no host"),
            ("udp://h:0", "1 to 65535"),
            ("udp://h:70000", "1 to 65535"),
            ("tcp://::1:4739", "in brackets"),
            ("tcp://[::1", "closing"),
            ("tcp://[::1]4739", "]:PORT"),
            ("tcp://[x]:1", "no IPv6"),
            ("tls:h", "write // before"),
            ("sctp:h", "write // before"),
            ("dtls://h", "no dtls transport yet"),
            ("netflow9://h", "no netflow9 transport yet"),
            ("netflow5://h", "no netflow5 transport yet"),
            ("sflow:h", "write // before"),
            ("file:", "path behind"),
        ] {
            let error = Destination::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
