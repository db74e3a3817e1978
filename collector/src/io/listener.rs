//! LISTEN addresses (`udp://0.0.0.0:4739`), and binding them with an error line that says what to do.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};

use crate::failure::Failure;

/// The transport a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams: IPFIX; other versions are told apart and counted.
    Udp,
    /// A stream of IPFIX Messages (RFC 7011 section 10.4).
    Tcp,
    /// The same within TLS, both ends with a certificate (RFC 7011 section 11).
    Tls,
}

impl Transport {
    /// The scheme of its LISTEN address and its metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }

    /// Whether connections are accepted, rather than datagrams read.
    pub fn is_stream(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls)
    }

    /// The port IANA registered for IPFIX over it (RFC 7011 section 10).
    fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 4739,
            Transport::Tls => 4740,
        }
    }
}

/// Where to listen: a transport and a local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    /// What is spoken there.
    pub transport: Transport,
    /// The local address; port 0 asks the kernel for a free one.
    pub address: SocketAddr,
}

/// Where exporters find the collector unless told otherwise: IPFIX on UDP and TCP, NetFlow and sFlow on their usual ports.
pub const DEFAULT_LISTENERS: [&str; 4] = [
    "udp://[::]:4739",
    "tcp://[::]:4739",
    "udp://[::]:2055",
    "udp://[::]:6343",
];

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<ListenAddress, String> {
        let form = "write it like udp://0.0.0.0:4739 or tcp://[::1]:4739";
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("{text:?} is not a listener: {form}"))?;
        let transport = match scheme {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            "sctp" | "dtls" => {
                return Err(format!(
                    "{text:?}: {scheme} is not built into this version; use udp://, tcp:// or tls://"
                ));
            }
            _ => return Err(format!("{text:?}: unknown transport {scheme:?}; {form}")),
        };
        let with_port = || parse_host_port(&format!("{rest}:{}", transport.default_port()));
        let address = parse_host_port(rest)
            .or_else(with_port)
            .ok_or_else(|| format!("{text:?}: {rest:?} is not ADDRESS:PORT; {form}"))?;
        Ok(ListenAddress { transport, address })
    }
}

/// `ADDRESS:PORT`, where `*` and an empty address mean all addresses and `localhost` means 127.0.0.1.
pub fn parse_host_port(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let host = match host {
        "" | "*" => IpAddr::from([0u16; 8]),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => host.parse().ok()?,
    };
    Some(SocketAddr::new(host, port))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.transport.as_str(), self.address)
    }
}

impl ListenAddress {
    /// Binds the address. `[::]` also takes IPv4; on a machine without IPv6 it falls back to `0.0.0.0`.
    pub fn bind(&self) -> Result<Socket, Failure> {
        match bind(self.transport, self.address) {
            Err(error) if is_without_ipv6(&error) && self.address.ip() == IpAddr::from([0u16; 8]) => {
                bind(self.transport, SocketAddr::from(([0, 0, 0, 0], self.address.port())))
            }
            other => other,
        }
        .map_err(|error| bind_failure(&self.to_string(), self.address, &error))
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn bind(transport: Transport, address: SocketAddr) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp | Transport::Tls => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if transport.is_stream() {
        // A restarted collector takes its port back while old connections linger in TIME_WAIT.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())?;
    if transport.is_stream() {
        socket.listen(1024)?;
    }
    Ok(socket)
}

/// The one line for a listener that could not be bound.
pub fn bind_failure(what: &str, address: SocketAddr, error: &io::Error) -> Failure {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {} is in use by another program; stop it (ss -lnp 'sport = :{}' names it) or listen elsewhere",
            address.port(),
            address.port()
        ),
        io::ErrorKind::PermissionDenied => format!(
            "no permission for port {}; use a port above 1023 or grant CAP_NET_BIND_SERVICE",
            address.port()
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "this machine has no address {}; use one of its own (ip addr) or 0.0.0.0",
                address.ip()
            )
        }
        _ => error.to_string(),
    };
    Failure::running(format!("cannot listen on {what}: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses_are_read_and_written() {
        for text in ["udp://0.0.0.0:4739", "tcp://[::1]:4739", "udp://127.0.0.1:0"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        assert_eq!(
            "udp://*:2055".parse::<ListenAddress>().unwrap().to_string(),
            "udp://[::]:2055"
        );
        assert_eq!(
            "udp://:2055".parse::<ListenAddress>().unwrap().to_string(),
            "udp://[::]:2055"
        );
        for (text, with_port) in [
            ("tls://127.0.0.1", "tls://127.0.0.1:4740"),
            ("tcp://[::1]", "tcp://[::1]:4739"),
            ("udp://*", "udp://[::]:4739"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), with_port);
        }
        for default in DEFAULT_LISTENERS {
            default.parse::<ListenAddress>().unwrap();
        }
    }

    #[test]
    fn a_wrong_listen_address_says_what_it_should_look_like() {
        assert!(
            "4739"
                .parse::<ListenAddress>()
                .unwrap_err()
                .contains("udp://0.0.0.0:4739")
        );
        assert!(
            "udp://host"
                .parse::<ListenAddress>()
                .unwrap_err()
                .contains("ADDRESS:PORT")
        );
        assert!(
            "sctp://0.0.0.0:4739"
                .parse::<ListenAddress>()
                .unwrap_err()
                .contains("not built")
        );
        assert!(
            "http://0.0.0.0:1"
                .parse::<ListenAddress>()
                .unwrap_err()
                .contains("unknown transport")
        );
    }

    #[test]
    fn a_busy_port_is_named() {
        let held = "tcp://127.0.0.1:0".parse::<ListenAddress>().unwrap().bind().unwrap();
        let address = held.local_addr().unwrap().as_socket().unwrap();
        let failure = ListenAddress {
            transport: Transport::Tcp,
            address,
        }
        .bind()
        .unwrap_err();
        assert_eq!(failure.status, 1);
        assert!(
            failure.line.contains(&format!("port {} is in use", address.port())),
            "{failure}"
        );
    }
}
