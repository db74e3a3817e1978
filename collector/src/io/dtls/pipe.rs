//! What OpenSSL takes for its socket: one datagram at a time in, and out to one peer through the listener's socket.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use socket2::{SockAddr, Socket};

use super::hello::shift_records;

/// The listener's socket, to send with.
#[derive(Clone, Debug)]
pub(super) struct Outlet {
    pub socket: Arc<Socket>,
    /// Whether it is of IPv6, which takes IPv4 addresses in its own form only.
    pub is_v6: bool,
}

impl Outlet {
    pub fn new(socket: Arc<Socket>) -> Outlet {
        let is_v6 = socket.local_addr().is_ok_and(|address| address.is_ipv6());
        Outlet { socket, is_v6 }
    }

    /// Sends, or not: what does not leave is a datagram lost, which DTLS expects.
    pub fn send(&self, peer: SocketAddr, bytes: &[u8]) {
        let peer = match peer {
            SocketAddr::V4(v4) if self.is_v6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
            other => other,
        };
        let _ = self
            .socket
            .send_to_with_flags(bytes, &SockAddr::from(peer), libc::MSG_DONTWAIT);
    }
}

/// One session's way in and out.
#[derive(Debug)]
pub(super) struct Pipe {
    /// The datagram that is to be read; empty when it was.
    inbox: Vec<u8>,
    outlet: Outlet,
    peer: SocketAddr,
    /// What the numbers of open records are ahead of OpenSSL's.
    shift: u64,
    /// Nothing leaves yet.
    is_muted: bool,
}

impl Pipe {
    /// One that keeps everything in.
    pub fn muted(outlet: Outlet, peer: SocketAddr, shift: u64) -> Pipe {
        Pipe {
            inbox: Vec::new(),
            outlet,
            peer,
            shift,
            is_muted: true,
        }
    }

    /// From here on, what is written leaves.
    pub fn unmute(&mut self) {
        self.is_muted = false;
    }

    /// The next to be read.
    pub fn put(&mut self, datagram: &[u8]) {
        self.inbox.clear();
        self.inbox.extend_from_slice(datagram);
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.inbox.len();
        match buffer.get_mut(..octets) {
            Some(place) if octets > 0 => {
                place.copy_from_slice(&self.inbox);
                self.inbox.clear();
                Ok(octets)
            }
            _ => {
                self.inbox.clear();
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_muted && self.shift == 0 {
            self.outlet.send(self.peer, bytes);
        } else if !self.is_muted {
            let mut shifted = bytes.to_vec();
            shift_records(&mut shifted, self.shift);
            self.outlet.send(self.peer, &shifted);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
