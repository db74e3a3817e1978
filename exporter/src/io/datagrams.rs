//! Many datagrams by one system call: the system cuts one buffer into datagrams of one size (UDP segmentation offload,
//! `UDP_SEGMENT` of Linux), so that a path through its network stack is paid once for dozens of them.
//!
//! `sendmmsg` would save only the entry into the system, a tenth of what a datagram costs. Where segmentation is not to
//! be had, datagrams go one by one.

use std::io::{self, IoSlice};
use std::mem::{offset_of, size_of};
use std::net::UdpSocket;

use socket2::{MsgHdr, Socket};

/// Datagrams in one call: what every Linux with segmentation takes.
const MAX_DATAGRAMS: usize = 64;
/// Octets of them together: they are one UDP datagram over IPv4 until they are cut.
const MAX_OCTETS: usize = 65_507;

/// A connected UDP socket.
#[derive(Debug)]
pub struct DatagramSocket {
    socket: Socket,
    segments: bool,
}

impl DatagramSocket {
    /// Takes a socket that is connected.
    pub fn new(socket: UdpSocket) -> Self {
        Self {
            socket: socket.into(),
            segments: cfg!(target_os = "linux"),
        }
    }

    /// How many of the first datagrams, by their lengths, one call can send: as many as are equally long, and one
    /// shorter one behind them.
    pub fn run(&self, lengths: impl IntoIterator<Item = usize>) -> usize {
        let mut lengths = lengths.into_iter();
        let Some(first) = lengths.next() else { return 0 };
        if !self.segments {
            return 1;
        }
        let (mut datagrams, mut octets) = (1, first);
        for length in lengths {
            if length > first || octets + length > MAX_OCTETS || datagrams == MAX_DATAGRAMS {
                break;
            }
            datagrams += 1;
            octets += length;
            if length < first {
                break;
            }
        }
        datagrams
    }

    /// Sends datagrams that [`Self::run`] said go together: all of them or none.
    ///
    /// # Errors
    /// The system's; also one about a datagram sent earlier.
    pub fn send(&mut self, datagrams: &[&[u8]]) -> io::Result<()> {
        let (Some(first), true) = (datagrams.first(), datagrams.len() > 1) else {
            return datagrams
                .iter()
                .try_for_each(|datagram| retry(|| self.socket.send(datagram)));
        };
        let slices: Vec<_> = datagrams.iter().map(|datagram| IoSlice::new(datagram)).collect();
        let control = segment_size(first.len() as u16);
        let message = MsgHdr::new().with_buffers(&slices).with_control(&control);
        match retry(|| self.socket.sendmsg(&message, 0)) {
            Err(error) if is_about_segments(&error) => {
                tracing::debug!(%error, "no UDP segmentation on this path; datagrams go one by one");
                self.segments = false;
                datagrams
                    .iter()
                    .try_for_each(|datagram| retry(|| self.socket.send(datagram)))
            }
            result => result,
        }
    }

    /// The error about an earlier datagram that nobody has been told of.
    ///
    /// # Errors
    /// The system's.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<()> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}

/// Devices without checksum offload, IPsec, paths narrower than a datagram, and systems that know nothing of it.
fn is_about_segments(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::ENOPROTOOPT | libc::EOPNOTSUPP | libc::EMSGSIZE)
    )
}

const HEADER_OCTETS: usize = size_of::<libc::cmsghdr>();
/// The header and a 16-bit number, aligned as CMSG_SPACE has it.
const CONTROL_OCTETS: usize = HEADER_OCTETS + size_of::<usize>();

/// The control message that says how long each datagram is (cmsg(3)).
fn segment_size(octets: u16) -> [u8; CONTROL_OCTETS] {
    let mut control = [0; CONTROL_OCTETS];
    // As wide as the C library of this platform has it; little-endian and big-endian alike only if it is exact.
    let length = (HEADER_OCTETS + size_of::<u16>()).to_ne_bytes();
    put(&mut control, offset_of!(libc::cmsghdr, cmsg_len), &length);
    put(
        &mut control,
        offset_of!(libc::cmsghdr, cmsg_level),
        &libc::SOL_UDP.to_ne_bytes(),
    );
    put(
        &mut control,
        offset_of!(libc::cmsghdr, cmsg_type),
        &libc::UDP_SEGMENT.to_ne_bytes(),
    );
    put(&mut control, HEADER_OCTETS, &octets.to_ne_bytes());
    control
}

fn put(control: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = control.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (DatagramSocket, UdpSocket) {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver
            .set_read_timeout(Some(std::time::Duration::from_secs(5)))
            .unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        (DatagramSocket::new(sender), receiver)
    }

    #[test]
    fn a_run_is_of_one_length_with_a_shorter_end() {
        let (mut socket, _) = pair();
        for (lengths, run) in [
            (&[][..], 0),
            (&[5], 1),
            (&[5, 6], 1),
            (&[5, 5, 5], 3),
            (&[5, 4, 4], 2),
            (&[5, 5, 6, 5], 2),
            (&[1400; 100], 46),
            (&[100; 100], 64),
            (&[65_507, 1], 1),
        ] {
            assert_eq!(socket.run(lengths.iter().copied()), run, "{lengths:?}");
        }
        socket.segments = false;
        assert_eq!(socket.run([5, 5]), 1);
    }

    #[test]
    fn each_datagram_arrives_as_it_was() {
        let (mut socket, receiver) = pair();
        let sent: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; if n == 39 { 7 } else { 1400 }]).collect();
        let datagrams: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
        assert_eq!(socket.run(datagrams.iter().map(|datagram| datagram.len())), 40);
        socket.send(&datagrams).unwrap();
        // Once more without: the same must come out.
        socket.segments = false;
        socket.send(&datagrams).unwrap();
        let mut buffer = [0; 65_536];
        for expected in sent.iter().chain(&sent) {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected);
        }
    }

    #[test]
    fn a_datagram_beyond_the_path_is_cut_by_ip_instead() {
        // 50 000 octets do not go into one segment of a device with 1500, nor of loopback with two of them; whatever
        // the system answers, both arrive.
        let (mut socket, receiver) = pair();
        let large = vec![9; 33_000];
        socket.send(&[&large, &large[..10]]).unwrap();
        let mut buffer = [0; 65_536];
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 33_000);
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 10);
    }
}
