//! Where flow records go: the `DEST` of `--to`, read into a plain value before any socket or file is touched.

use std::fmt;
use std::path::PathBuf;

use super::pattern::Pattern;

/// The port IANA registered for IPFIX over UDP, TCP and SCTP (RFC 7011 section 10).
pub const IPFIX_PORT: u16 = 4739;

/// The port IANA registered for IPFIX over TLS and DTLS (RFC 7011 section 10).
pub const SECURE_IPFIX_PORT: u16 = 4740;

/// Where collectors of NetFlow listen; none is registered.
pub const NETFLOW_PORT: u16 = 2055;

/// The port IANA registered for sFlow.
pub const SFLOW_PORT: u16 = 6343;

/// The port IANA registered for syslog over UDP, on which servers listen for TCP too.
pub const SYSLOG_PORT: u16 = 514;

/// One `--to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// IPFIX Messages in UDP datagrams.
    Udp(Endpoint),
    /// IPFIX Messages on a TCP connection, to the first of these that answers.
    Tcp(Vec<Endpoint>),
    /// IPFIX Messages on a TLS connection, both ends with a certificate.
    Tls(Vec<Endpoint>),
    /// IPFIX Messages in DTLS over UDP, both ends with a certificate.
    Dtls(Vec<Endpoint>),
    /// IPFIX Messages on an SCTP association.
    Sctp(Vec<Endpoint>),
    /// NetFlow version 9 in UDP datagrams.
    NetFlow9(Endpoint),
    /// NetFlow version 5 in UDP datagrams.
    NetFlow5(Endpoint),
    /// Samples of packets and counters, in sFlow datagrams; no flow records.
    Sflow(Endpoint),
    /// An IPFIX File (RFC 5655).
    File(PathBuf),
    /// JSON lines in a file, or on standard output when absent.
    Json(Option<PathBuf>),
    /// JSON lines on a TCP connection.
    JsonTcp(Endpoint),
    /// JSON lines by HTTP POST to this URL.
    JsonHttp(String),
    /// JSON in syslog messages, in UDP datagrams (RFC 5426).
    Syslog(Endpoint),
    /// JSON in syslog messages on a TCP connection (RFC 6587).
    SyslogTcp(Endpoint),
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
    /// Reads `udp://H:P`, `tcp://H:P`, `tls://H:P`, `dtls://H:P`, `sctp://H:P`, `file:PATH`, `json:PATH` or `json:-`; without a
    /// port it is 4739, and 4740 for TLS and DTLS.
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
            "tcp" => backups(text, IPFIX_PORT).map(Self::Tcp),
            "tls" => backups(text, SECURE_IPFIX_PORT).map(Self::Tls),
            "dtls" => backups(text, SECURE_IPFIX_PORT).map(Self::Dtls),
            "sctp" => backups(text, IPFIX_PORT).map(Self::Sctp),
            "netflow9" => Endpoint::parse(text, rest, NETFLOW_PORT).map(Self::NetFlow9),
            "netflow5" => Endpoint::parse(text, rest, NETFLOW_PORT).map(Self::NetFlow5),
            "sflow" => Endpoint::parse(text, rest, SFLOW_PORT).map(Self::Sflow),
            "file" => path(text, rest).map(Self::File),
            "syslog" => Endpoint::parse(text, rest, SYSLOG_PORT).map(Self::Syslog),
            "syslog+tcp" => Endpoint::parse(text, rest, SYSLOG_PORT).map(Self::SyslogTcp),
            "json" if rest == "-" => Ok(Self::Json(None)),
            "json" if rest.starts_with("tcp:") => {
                Endpoint::parse_with_port(text, rest.trim_start_matches("tcp:")).map(Self::JsonTcp)
            }
            "json" if rest.starts_with("http:") || rest.starts_with("https:") => url(text, rest).map(Self::JsonHttp),
            "json" => path(text, rest).map(|path| Self::Json(Some(path))),
            _ if !rest.is_empty() && rest.bytes().all(|octet| octet.is_ascii_digit()) => Err(format!(
                "destination `{text}`: say how to send there: udp://{text} or tcp://{text}"
            )),
            _ => Err(format!(
                "destination `{text}`: unknown scheme `{scheme}`; udp, tcp, tls, dtls, sctp, netflow9, netflow5, sflow, syslog, syslog+tcp, file and json are there"
            )),
        }
    }

    /// Whether records leave by a network, where the other end may be away.
    pub fn is_network(&self) -> bool {
        !matches!(self, Self::File(_) | Self::Json(_))
    }

    /// Whether it takes samples and no flow records.
    pub fn takes_samples(&self) -> bool {
        matches!(self, Self::Sflow(_))
    }

    /// Whether it is a series of files by its name alone.
    pub fn is_series(&self) -> bool {
        let (Self::File(path) | Self::Json(Some(path))) = self else {
            return false;
        };
        Pattern::parse(&path.to_string_lossy()).is_ok_and(|pattern| pattern.has_time())
    }

    /// Whether both ends need a certificate.
    pub fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Dtls(_))
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(endpoint) => write!(f, "udp://{endpoint}"),
            Self::Tcp(endpoints) => listed(f, "tcp", endpoints),
            Self::Tls(endpoints) => listed(f, "tls", endpoints),
            Self::Dtls(endpoints) => listed(f, "dtls", endpoints),
            Self::Sctp(endpoints) => listed(f, "sctp", endpoints),
            Self::NetFlow9(endpoint) => write!(f, "netflow9://{endpoint}"),
            Self::NetFlow5(endpoint) => write!(f, "netflow5://{endpoint}"),
            Self::Sflow(endpoint) => write!(f, "sflow://{endpoint}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Json(Some(path)) => write!(f, "json:{}", path.display()),
            Self::Json(None) => f.write_str("json:-"),
            Self::JsonTcp(endpoint) => write!(f, "json:tcp://{endpoint}"),
            Self::JsonHttp(url) => write!(f, "json:{url}"),
            Self::Syslog(endpoint) => write!(f, "syslog://{endpoint}"),
            Self::SyslogTcp(endpoint) => write!(f, "syslog+tcp://{endpoint}"),
        }
    }
}

fn listed(f: &mut fmt::Formatter<'_>, scheme: &str, endpoints: &[Endpoint]) -> fmt::Result {
    for (place, endpoint) in endpoints.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(f, "{comma}{scheme}://{endpoint}")?;
    }
    Ok(())
}

/// One collector, and behind commas those that stand in for it, in that order and all by the same scheme.
fn backups(text: &str, default_port: u16) -> Result<Vec<Endpoint>, String> {
    let scheme = text.split(':').next().unwrap_or_default();
    text.split(',')
        .map(|one| match one.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(':')) {
            Some(rest) => Endpoint::parse(text, rest, default_port),
            None => Err(format!(
                "destination `{text}`: a collector that stands in is reached as the first is: write {scheme}://HOST:PORT behind the comma"
            )),
        })
        .collect()
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
    /// Where no port is usual.
    fn parse_with_port(whole: &str, rest: &str) -> Result<Self, String> {
        match Self::parse(whole, rest, 0)? {
            Self { port: 0, .. } => Err(format!("destination `{whole}`: write the port behind the host")),
            endpoint => Ok(endpoint),
        }
    }

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
    let path = rest.strip_prefix("//").unwrap_or(rest);
    Pattern::parse(path).map_err(|why| format!("destination `{whole}`: {why}"))?;
    Ok(PathBuf::from(path))
}

/// An URL to post to. Who we are has its own setting: this one is in logs.
fn url(whole: &str, rest: &str) -> Result<String, String> {
    let wrong = |whole: &str, why: &str| Err(format!("destination `{whole}`: {why}"));
    let (scheme, behind) = rest.split_once(':').unwrap_or((rest, ""));
    let Some(behind) = behind.strip_prefix("//") else {
        return wrong(
            whole,
            "write // before the host, as in json:http://127.0.0.1:8080/flows",
        );
    };
    let (authority, path) = behind.split_at(behind.find(['/', '?']).unwrap_or(behind.len()));
    if let Some((_, host)) = authority.rsplit_once('@') {
        let shown = format!("json:{scheme}://..@{host}");
        return wrong(
            &shown,
            "a password in a URL gets into logs; take it out and set --http-authorization @FILE",
        );
    }
    if path.contains(['#', ' ']) || path.bytes().any(|octet| !octet.is_ascii_graphic()) {
        return wrong(whole, "the path has a letter that no URL can have; write it as %XX");
    }
    let default_port = if scheme == "https" { 443 } else { 80 };
    Endpoint::parse(whole, &format!("//{authority}"), default_port)?;
    let path = if path.is_empty() { "/" } else { path };
    Ok(format!("{scheme}://{authority}{path}"))
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
            ("dtls://collector.example", "dtls://collector.example:4740"),
            ("tls://[::1]:4741", "tls://[::1]:4741"),
            ("sctp://collector.example", "sctp://collector.example:4739"),
            ("tcp://a,tcp://[::1]:4", "tcp://a:4739,tcp://[::1]:4"),
            ("sflow://collector.example", "sflow://collector.example:6343"),
            ("netflow9://collector.example", "netflow9://collector.example:2055"),
            ("netflow5://[::1]:9995", "netflow5://[::1]:9995"),
            ("file:a.ipfix", "file:a.ipfix"),
            ("file:///var/a.ipfix", "file:/var/a.ipfix"),
            ("json:out/a.json", "json:out/a.json"),
            ("json:-", "json:-"),
            ("json:/var/%F.json", "json:/var/%F.json"),
            ("json:tcp://h:9000", "json:tcp://h:9000"),
            ("json:tcp://[::1]:9000", "json:tcp://[::1]:9000"),
            ("json:http://h", "json:http://h/"),
            ("json:https://h:8443/a?b=c%20d", "json:https://h:8443/a?b=c%20d"),
            ("syslog://h", "syslog://h:514"),
            ("syslog+tcp://h:601", "syslog+tcp://h:601"),
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
            ("tcp://a,udp://b", "write tcp://HOST:PORT behind the comma"),
            ("tcp://[::1]4739", "]:PORT"),
            ("tcp://[x]:1", "no IPv6"),
            ("tls:h", "write // before"),
            ("sctp:h", "write // before"),
            ("quic://h", "unknown scheme `quic`"),
            ("netflow9:h", "write // before"),
            ("sflow:h", "write // before"),
            ("file:", "path behind"),
            ("file:/var/%q.ipfix", "%% for a percent sign"),
            ("json:tcp://h", "write the port"),
            ("json:http:h", "write // before"),
            ("json:http:///x", "no host"),
            ("json:http://h:99999/x", "1 to 65535"),
            ("json:https://me:hush@h/x", "json:https://..@h`: a password in a URL"),
            ("json:https://h/a b", "%XX"),
            ("syslog:h", "write // before"),
        ] {
            let error = Destination::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
