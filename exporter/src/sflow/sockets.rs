//! What the kernel knows of the connection that a sampled packet belongs to, when one of its ends is on this host: who owns
//! it and how it fares. One question for each sampled packet, by the sock_diag(7) interface of Linux.

use std::collections::HashMap;
use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;

use flowgauge_templates::packet::{Headers, Transport};
use socket2::{Domain, Protocol, Socket, Type};

use super::direction::Interfaces;
use super::limits::MAX_USERS;
use super::system::System;
use super::xdr::Xdr;

/// The kernel answers before the question returns; a host in trouble may not.
const PATIENCE: Duration = Duration::from_millis(20);

const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
/// Asks for the state of TCP, and names it in the answer.
const INET_DIAG_INFO: u16 = 2;
const HEADER_OCTETS: usize = 16;
const MESSAGE_OCTETS: usize = 72;
/// Where the message says who owns the socket.
const OWNER_AT: usize = 64;
const IPPROTO_TCP: u8 = 6;

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To this host.
    Received,
    /// From it.
    Sent,
}

/// A connection's end on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Which way the packet went.
    pub way: Way,
    /// Number of the user who owns it.
    pub owner: u32,
    /// What `extended_tcp_info` has: segment sizes sent and received, packets in flight, lost and sent again, path MTU,
    /// round trip and its variance, window, reordering, least round trip.
    pub state: [u32; 11],
}

impl Connection {
    /// The record of format 2209.
    pub fn write(&self, xdr: &mut Xdr<'_>) {
        xdr.word(match self.way {
            Way::Received => 1,
            Way::Sent => 2,
        });
        xdr.words(&self.state);
    }
}

/// Asks the kernel.
#[derive(Debug)]
pub struct Sockets {
    socket: Socket,
    sequence: u32,
    names: HashMap<u32, String>,
}

impl Sockets {
    /// None where the kernel cannot be asked.
    pub fn open() -> Option<Sockets> {
        const AF_NETLINK: i32 = 16;
        if !cfg!(target_os = "linux") {
            return None;
        }
        let socket = Socket::new(
            Domain::from(AF_NETLINK),
            Type::DGRAM,
            Some(Protocol::from(NETLINK_SOCK_DIAG)),
        );
        let socket = socket.ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        Some(Sockets {
            socket,
            sequence: 0,
            names: HashMap::new(),
        })
    }

    /// The connection of a packet, if one of its ends is here.
    pub fn look_up(&mut self, headers: &Headers<'_>, interfaces: &Interfaces) -> Option<Connection> {
        let (Some(network), Transport::Tcp(_)) = (&headers.network, &headers.transport) else {
            return None;
        };
        let (source, destination) = (network.src(), network.dst());
        let [source_port, destination_port] = headers.ports;
        let ends = [(source, source_port), (destination, destination_port)];
        let (way, [local, remote]) = match (interfaces.is_ours(source), interfaces.is_ours(destination)) {
            (true, _) => (Way::Sent, ends),
            (false, true) => (Way::Received, [ends[1], ends[0]]),
            (false, false) => return None,
        };
        self.ask(local, remote)
            .map(|(owner, state)| Connection { way, owner, state })
    }

    /// The name of a user, or the number of one without.
    pub fn name(&mut self, system: &System, owner: u32) -> &str {
        if self.names.len() >= MAX_USERS {
            self.names.clear();
        }
        self.names.entry(owner).or_insert_with(|| {
            let users = system.text("etc/passwd").unwrap_or_default();
            name_of(&users, owner).unwrap_or_else(|| owner.to_string())
        })
    }

    fn ask(&mut self, local: (IpAddr, u16), remote: (IpAddr, u16)) -> Option<(u32, [u32; 11])> {
        self.sequence = self.sequence.wrapping_add(1);
        let question = question(self.sequence, local, remote);
        self.socket.send(&question).ok()?;
        let mut buffer = [0; 4096];
        // An answer that came too late may still be there.
        for _ in 0..4 {
            let length = (&self.socket).read(&mut buffer).ok()?;
            let octets = buffer.get(..length)?;
            if number(octets, 8) == Some(self.sequence) {
                return answer(octets);
            }
        }
        None
    }
}

/// A question about one socket.
fn question(sequence: u32, local: (IpAddr, u16), remote: (IpAddr, u16)) -> Vec<u8> {
    const OCTETS: u32 = 72;
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
    let family = match local.0 {
        IpAddr::V4(_) => AF_INET,
        IpAddr::V6(_) => AF_INET6,
    };
    let mut octets = Vec::with_capacity(OCTETS as usize);
    octets.extend(OCTETS.to_ne_bytes());
    octets.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    octets.extend(NLM_F_REQUEST.to_ne_bytes());
    octets.extend(sequence.to_ne_bytes());
    octets.extend(0u32.to_ne_bytes());
    octets.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    // In whatever state.
    octets.extend(u32::MAX.to_ne_bytes());
    octets.extend(local.1.to_be_bytes());
    octets.extend(remote.1.to_be_bytes());
    for (address, _) in [local, remote] {
        let mut place = [0; 16];
        match address {
            IpAddr::V4(address) => place[..4].copy_from_slice(&address.octets()),
            IpAddr::V6(address) => place = address.octets(),
        }
        octets.extend(place);
    }
    // On any interface, with any cookie.
    octets.extend(0u32.to_ne_bytes());
    octets.extend([0xff; 8]);
    octets
}

/// Owner and state, of an answer that has both.
fn answer(octets: &[u8]) -> Option<(u32, [u32; 11])> {
    let kind = u16::from_ne_bytes(octets.get(4..6)?.try_into().ok()?);
    if kind != SOCK_DIAG_BY_FAMILY {
        return None;
    }
    let octets = octets.get(HEADER_OCTETS..number(octets, 0)? as usize)?;
    let owner = number(octets, OWNER_AT)?;
    let mut attributes = octets.get(MESSAGE_OCTETS..)?;
    while let Some([length, kind]) = attributes
        .first_chunk::<4>()
        .map(|[a, b, c, d]| [u16::from_ne_bytes([*a, *b]), u16::from_ne_bytes([*c, *d])])
    {
        let length = usize::from(length);
        let value = attributes.get(4..length)?;
        if kind == INET_DIAG_INFO {
            // The places in `struct tcp_info`, to which only the end is ever added.
            let state = [16, 20, 24, 32, 100, 60, 68, 72, 80, 88, 148];
            return Some((owner, state.map(|at| number(value, at).unwrap_or_default())));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn number(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

/// In the words of passwd(5).
fn name_of(users: &str, number: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_knows_a_connection_of_ours() {
        let Some(mut sockets) = Sockets::open() else {
            println!("skipped: the kernel cannot be asked about sockets");
            return;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        server.read_exact(&mut [0; 5]).unwrap();
        let [local, remote] = [client.local_addr().unwrap(), client.peer_addr().unwrap()];
        let (local, remote) = ((local.ip(), local.port()), (remote.ip(), remote.port()));
        let Some((owner, state)) = sockets.ask(local, remote) else {
            println!("skipped: the kernel has no sock_diag for TCP");
            return;
        };
        // SAFETY: takes nothing and always works.
        assert_eq!(owner, unsafe { libc::getuid() });
        let [snd_mss, rcv_mss, .., rtt, _, window, reordering, least] = state;
        assert!(
            (500..65_536).contains(&snd_mss) && (20..65_536).contains(&rcv_mss),
            "{state:?}"
        );
        assert!(
            (1..1_000_000).contains(&rtt) && least <= rtt && window >= 1 && reordering >= 1,
            "{state:?}"
        );
        // Nobody has the port 1 here.
        assert_eq!(sockets.ask((local.0, 1), remote), None);
        assert!(sockets.ask(local, remote).is_some(), "after a refusal too");
    }

    #[test]
    fn users_have_names() {
        let users = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nbroken\n";
        assert_eq!(name_of(users, 65_534).as_deref(), Some("nobody"));
        assert_eq!(name_of(users, 1), None);
    }

    #[test]
    fn answers_that_are_cut_say_nothing() {
        let mut octets = vec![0; HEADER_OCTETS + MESSAGE_OCTETS];
        octets[0] = octets.len() as u8;
        octets[4] = SOCK_DIAG_BY_FAMILY as u8;
        for length in 0..=octets.len() {
            assert_eq!(answer(&octets[..length]), None);
        }
        octets.extend([0, 0, 2, 0]);
        octets[0] = octets.len() as u8;
        assert_eq!(answer(&octets), None, "an attribute shorter than its header");
    }
}
