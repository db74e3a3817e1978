//! The socket beneath a session: what is DTLS's own goes to OpenSSL, and what can be told of the collector besides is
//! told from the datagrams in the clear.

use std::io::{self, Read, Write};
use std::net::UdpSocket;

/// Octets before what a record carries: type, version, epoch, sequence number, length.
const RECORD_HEADER: usize = 13;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
/// Every version of DTLS begins with it.
const MAJOR: u8 = 254;

/// A connected socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UdpSocket,
    /// Whether there is a session: then what is in the clear is not for OpenSSL.
    is_shaken: bool,
    /// Something answered that is not DTLS.
    pub is_misunderstood: bool,
    /// The collector says that it knows nothing of the session.
    pub is_unknown: bool,
    /// The number of the last of our hellos that was answered.
    pub answered: Option<u64>,
}

impl Wire {
    pub fn new(socket: UdpSocket) -> Self {
        Self {
            socket,
            is_shaken: false,
            is_misunderstood: false,
            is_unknown: false,
            answered: None,
        }
    }

    /// There is a session.
    pub fn handle_shaken(&mut self) {
        self.is_shaken = true;
    }

    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Whether a datagram is for OpenSSL.
    fn is_for_openssl(&mut self, datagram: &[u8]) -> bool {
        let [kind, MAJOR, _, epoch_high, epoch_low, s1, s2, s3, s4, s5, s6, _, _, ..] = *datagram else {
            self.is_misunderstood |= !datagram.is_empty();
            return false;
        };
        if !self.is_shaken || [epoch_high, epoch_low] != [0, 0] {
            return true;
        }
        match kind {
            // RFC 6347 section 4.2.1: a HelloVerifyRequest has the number of the record that its ClientHello came in.
            HANDSHAKE => self.answered = Some(u64::from_be_bytes([0, 0, s1, s2, s3, s4, s5, s6])),
            ALERT => self.is_unknown = true,
            _ => {}
        }
        false
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = uninterrupted(|| self.socket.recv(buffer))?;
        match self.is_for_openssl(buffer.get(..octets).unwrap_or_default()) {
            true => Ok(octets),
            // Who waits for an answer looks whether this was it.
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        uninterrupted(|| self.socket.send(datagram))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A ClientHello with that number, which a collector answers whatever else it does (RFC 6347 section 4.2.8), and which
/// changes nothing until its cookie comes back. It never does: the answer alone is what is asked for.
pub(super) fn hello(number: u64, random: &[u8; 32]) -> Vec<u8> {
    const CLIENT_HELLO: u8 = 1;
    let mut body = vec![MAJOR, 253];
    body.extend(random);
    // No session, no cookie, the suites of ECDHE with AES-GCM, no compression.
    body.extend([0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    let octets = body.len() as u8;
    let [_, _, number @ ..] = number.to_be_bytes();
    let mut record = vec![HANDSHAKE, MAJOR, 255, 0, 0];
    record.extend(number);
    record.extend([0, 12 + octets, CLIENT_HELLO, 0, 0, octets, 0, 0, 0, 0, 0, 0, 0, octets]);
    record.extend(body);
    debug_assert_eq!(record.len(), RECORD_HEADER + 12 + usize::from(octets));
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_clear_is_not_taken_for_the_session() {
        let mut wire = Wire::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let record = |kind, epoch| [kind, 254, 253, 0, epoch, 0, 0, 0, 0, 1, 2, 0, 1, 0];
        assert!(
            wire.is_for_openssl(&record(22, 0)) && wire.is_for_openssl(&record(21, 0)),
            "a handshake is in the clear"
        );
        assert_eq!((wire.answered, wire.is_unknown), (None, false));
        wire.handle_shaken();
        assert!(wire.is_for_openssl(&record(23, 1)) && wire.is_for_openssl(&record(21, 1)));
        assert!(!wire.is_for_openssl(&record(22, 0)));
        assert_eq!((wire.answered, wire.is_unknown), (Some(0x0102), false));
        assert!(!wire.is_for_openssl(&record(21, 0)));
        assert!(wire.is_unknown && !wire.is_misunderstood);
        for other in [&b"220 mail.example"[..], &[0, 10, 0, 16], &[22, 3, 3, 0, 1, 0]] {
            wire.is_misunderstood = false;
            assert!(!wire.is_for_openssl(other) && wire.is_misunderstood);
        }
    }
}
