//! Datagrams in the exporter's name: IP and UDP headers (RFC 791, 768, 8200) written here and sent through raw sockets,
//! since no other socket lends itself to any source.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::address::RelayAddress;
use super::sending::SEND_TIMEOUT;
use crate::failure::Failure;

const UDP: u8 = 17;
const UDP_HEADER_OCTETS: usize = 8;
/// Hops a copy may take: its way is one of its own, whatever the datagram's was.
const HOPS: u8 = 64;

/// A raw socket of each IP version that the machine has, and room for one packet.
#[derive(Debug)]
pub struct RawSockets {
    v4: Option<Socket>,
    v6: Option<Socket>,
    packet: Vec<u8>,
}

impl RawSockets {
    /// # Errors
    /// Without CAP_NET_RAW, or where the machine has neither IP version.
    pub fn open(configured: &RelayAddress) -> Result<RawSockets, Failure> {
        let failed = |error: &io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    let program = std::env::current_exe().map(|path| path.display().to_string());
                    let program = program.unwrap_or_else(|_| "flowgauge-collector".to_owned());
                    format!(
                        "no permission to send in the name of exporters; run as root, once: setcap cap_net_raw=ep \
                         {program}, or leave out ?source=keep"
                    )
                }
                _ => error.to_string(),
            };
            Failure::running(format!("relay {configured}: {advice}"))
        };
        let open = |domain| match raw(domain) {
            Ok(socket) => Ok(Some(socket)),
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Ok(None),
            Err(error) => Err(failed(&error)),
        };
        let (v4, v6) = (open(Domain::IPV4)?, open(Domain::IPV6)?);
        if v4.is_none() && v6.is_none() {
            return Err(failed(&io::Error::from_raw_os_error(libc::EAFNOSUPPORT)));
        }
        Ok(RawSockets {
            v4,
            v6,
            packet: Vec::new(),
        })
    }

    /// Sends a datagram from one address to another of the same IP version.
    ///
    /// # Errors
    /// The kernel's; EMSGSIZE for what does not pass in one piece, as it does not fragment for raw sockets of this kind.
    pub fn send(&mut self, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let socket = match destination {
            SocketAddr::V4(_) => &self.v4,
            SocketAddr::V6(_) => &self.v6,
        };
        let socket = socket
            .as_ref()
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))?;
        if !write_packet(&mut self.packet, source, destination, bytes) {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        // Linux takes the port of a raw destination for a protocol number (raw(7)).
        let mut destination = destination;
        destination.set_port(0);
        socket.send_to(&self.packet, &destination.into()).map(drop)
    }
}

/// IPPROTO_RAW: the headers are ours, and nothing is ever received.
fn raw(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(libc::IPPROTO_RAW)))?;
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    Ok(socket)
}

/// The packet, unless it is too long for its length fields or the addresses are of two versions.
pub(super) fn write_packet(packet: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr, bytes: &[u8]) -> bool {
    packet.clear();
    let Ok(udp_octets) = u16::try_from(UDP_HEADER_OCTETS + bytes.len()) else {
        return false;
    };
    let mut sum = Sum::default();
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let Some(octets) = udp_octets.checked_add(20) else {
                return false;
            };
            // Version and header length, traffic class; the kernel fills in identification and checksum.
            packet.extend([0x45, 0]);
            packet.extend(octets.to_be_bytes());
            packet.extend([0, 0, 0, 0, HOPS, UDP, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            sum.add(&from.octets());
            sum.add(&to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(udp_octets.to_be_bytes());
            packet.extend([UDP, HOPS]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            sum.add(&from.octets());
            sum.add(&to.octets());
        }
        _ => return false,
    }
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()];
    sum.add(&[0, UDP]);
    sum.add(&udp_octets.to_be_bytes());
    sum.add(ports.as_flattened());
    sum.add(&udp_octets.to_be_bytes());
    sum.add(bytes);
    packet.extend(ports.as_flattened());
    packet.extend(udp_octets.to_be_bytes());
    packet.extend(sum.checksum().to_be_bytes());
    packet.extend(bytes);
    true
}

/// The ones' complement sum of 16-bit words (RFC 1071); each part but the last has an even number of octets.
#[derive(Default)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<2>();
        self.0 += words
            .iter()
            .map(|word| u64::from(u16::from_be_bytes(*word)))
            .sum::<u64>();
        if let [last] = rest {
            self.0 += u64::from(*last) << 8;
        }
    }

    /// A checksum of 0 would say that there is none (RFC 768).
    fn checksum(&self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        match !(sum as u16) {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}
