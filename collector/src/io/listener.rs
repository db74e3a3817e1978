//! LISTEN addresses (`udp://0.0.0.0:4739`), and binding them with an error line that says what to do.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};

use super::sctp_socket::{MISSING, is_missing};
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
    /// Associations of several streams (RFC 7011 section 10.2).
    Sctp,
    /// Datagrams of IPFIX within DTLS, both ends with a certificate (RFC 7011 section 11).
    Dtls,
}

impl Transport {
    /// The scheme of its LISTEN address and its metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Sctp => "sctp",
            Transport::Dtls => "dtls",
        }
    }

    /// Whether connections are accepted, rather than datagrams read.
    pub fn is_stream(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls | Transport::Sctp)
    }

    /// The port IANA registered for IPFIX over it (RFC 7011 section 10).
    fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp | Transport::Sctp => 4739,
            Transport::Tls | Transport::Dtls => 4740,
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
            "sctp" => Transport::Sctp,
            "dtls" => Transport::Dtls,
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

    /// Binds so many sockets to the address, for UDP, between which the kernel spreads exporters (`SO_REUSEPORT`, socket(7)).
    pub fn bind_shared(&self, count: usize) -> Result<Vec<Socket>, Failure> {
        // The first alone, for the one who sets the option shares with everybody of the same user who does, and another
        // collector would take half of what comes here.
        let first = self.bind()?;
        if count <= 1 || self.transport != Transport::Udp {
            return Ok(vec![first]);
        }
        let address = first.local_addr().ok().and_then(|address| address.as_socket());
        let address = address.unwrap_or(self.address);
        drop(first);
        let shared = || {
            let socket = open(self.transport, address)?;
            socket.set_reuse_port(true)?;
            socket.bind(&address.into())?;
            Ok(socket)
        };
        let sockets: io::Result<Vec<Socket>> = (0..count).map(|_| shared()).collect();
        sockets.map_err(|error| bind_failure(&self.to_string(), address, &error))
    }
}

fn is_without_ipv6(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
}

fn open(transport: Transport, address: SocketAddr) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp | Transport::Dtls => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp | Transport::Tls => (Type::STREAM, Protocol::TCP),
        Transport::Sctp => (Type::STREAM, Protocol::from(libc::IPPROTO_SCTP)),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

fn bind(transport: Transport, address: SocketAddr) -> io::Result<Socket> {
    let socket = open(transport, address)?;
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
        _ if is_missing(error) => MISSING.to_owned(),
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
            ("dtls://*", "dtls://[::]:4740"),
            ("tcp://[::1]", "tcp://[::1]:4739"),
            ("sctp://127.0.0.1", "sctp://127.0.0.1:4739"),
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
            "http://0.0.0.0:1"
                .parse::<ListenAddress>()
                .unwrap_err()
                .contains("unknown transport")
        );
    }

    #[test]
    fn sockets_share_an_address_among_themselves_and_with_nobody_else() {
        let listen: ListenAddress = "udp://127.0.0.1:0".parse().unwrap();
        let sockets = listen.bind_shared(3).unwrap();
        let ports: Vec<_> = sockets
            .iter()
            .map(|socket| socket.local_addr().unwrap().as_socket().unwrap().port())
            .collect();
        assert_eq!(ports, [ports[0]; 3]);
        let other = ListenAddress {
            transport: Transport::Udp,
            address: SocketAddr::from(([127, 0, 0, 1], ports[0])),
        };
        assert!(other.bind_shared(2).unwrap_err().line.contains("in use"));
        // Every sender comes to one of them, and no datagram to two.
        let senders: Vec<_> = (0..32)
            .map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        for sender in &senders {
            sender.send_to(b"once", ("127.0.0.1", ports[0])).unwrap();
        }
        let mut received = [0; 3];
        for (count, socket) in received.iter_mut().zip(&sockets) {
            socket.set_nonblocking(true).unwrap();
            while std::io::Read::read(&mut &*socket, &mut [0; 8]).is_ok_and(|octets| octets == 4) {
                *count += 1;
            }
        }
        assert_eq!(received.iter().sum::<u32>(), 32);
        assert!(received.iter().filter(|count| **count > 0).count() > 1, "{received:?}");
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
