//! The system's SCTP: one association on a one-to-one socket (RFC 6458), and no more of it than exporting needs.
//!
//! Three calls of libc that no wrapper has: options of SCTP, the ancillary data of a Message that leaves, and what the
//! system tells of those that did not arrive.

use std::io;
use std::mem::{MaybeUninit, size_of, size_of_val};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

/// Tries to set an association up, and the longest pause between two of them.
const SET_UP_TRIES: u16 = 4;
const SET_UP_PAUSE_MS: u16 = 2_000;
/// Retransmission timeouts: the first, the longest and the shortest. With so many in a row, a path that acknowledges
/// nothing is dead after some 30 s.
const RETRANSMISSION_MS: [u32; 3] = [1_000, 5_000, 200];
const RETRANSMISSIONS: u16 = 7;
/// How long one send blocks before we look whether to give up.
const SEND_TIMEOUT: Duration = Duration::from_millis(500);

// RFC 6458 section 6.1, as in linux/sctp.h.
const SCTP_EVENT: libc::c_int = 127;
const ASSOCIATION_CHANGE: u16 = 0x8001;
const SHUT_DOWN: u16 = 0x8005;
const SENDER_DRY: u16 = 0x8009;
const SEND_FAILED: u16 = 0x800d;

/// What the system tells beside data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The Message that was sent with this context has not arrived, as far as is known.
    NotDelivered(u32),
    /// Everything that was sent is acknowledged.
    Dry,
    /// The association is over: in good order, or not.
    Over {
        /// Whether everything was acknowledged before.
        clean: bool,
    },
    /// The other end has closed its side.
    Closing,
    /// Nothing of concern.
    Other,
}

/// One association.
#[derive(Debug)]
pub struct SctpSocket {
    socket: Socket,
    /// The rest of a notification that was longer than the buffer is still to come.
    cut: bool,
}

/// Says what to do when the system has no SCTP; `None` when it has.
pub fn is_missing() -> Option<&'static str> {
    let unknown = [libc::EPROTONOSUPPORT, libc::ESOCKTNOSUPPORT, libc::EAFNOSUPPORT];
    let error = open(Domain::IPV4).err()?;
    let missing = error.raw_os_error().is_some_and(|number| unknown.contains(&number));
    missing.then_some("this kernel has no SCTP: load it (modprobe sctp) or use tcp://")
}

fn open(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM, Some(Protocol::from(libc::IPPROTO_SCTP)))
}

impl SctpSocket {
    /// Sets an association up with `streams` outgoing streams.
    ///
    /// # Errors
    /// Those of the system.
    pub fn connect(address: &SocketAddr, streams: u16, timeout: Duration) -> io::Result<Self> {
        let socket = open(Domain::for_address(*address))?;
        let start = libc::sctp_initmsg {
            sinit_num_ostreams: streams,
            sinit_max_instreams: 1,
            sinit_max_attempts: SET_UP_TRIES,
            sinit_max_init_timeo: SET_UP_PAUSE_MS,
        };
        set_option(&socket, libc::SCTP_INITMSG, &start)?;
        let [initial_ms, longest_ms, shortest_ms] = RETRANSMISSION_MS;
        set_option(&socket, libc::SCTP_RTOINFO, &[0, initial_ms, longest_ms, shortest_ms])?;
        // struct sctp_assocparams; what is 0 stays as it is.
        let associations: [u32; 5] = [0, u32::from_ne_bytes(pair(RETRANSMISSIONS, 0)), 0, 0, 0];
        set_option(&socket, libc::SCTP_ASSOCINFO, &associations)?;
        set_option(&socket, libc::SCTP_NODELAY, &1u32)?;
        for event in [ASSOCIATION_CHANGE, SHUT_DOWN, SENDER_DRY, SEND_FAILED] {
            // struct sctp_event: association, type, on.
            set_option(
                &socket,
                SCTP_EVENT,
                &[0, u32::from_ne_bytes(pair(event, u16::from_ne_bytes([1, 0])))],
            )?;
        }
        socket.connect_timeout(&(*address).into(), timeout)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self { socket, cut: false })
    }

    /// Hands one whole Message to the system, or none of it. `lifetime`: after it the system may give the Message up
    /// (RFC 3758 by way of RFC 7496).
    ///
    /// # Errors
    /// Those of the system; `WouldBlock` when its buffer stayed full.
    pub fn send(&self, message: &[u8], stream: u16, context: u32, lifetime: Option<Duration>) -> io::Result<()> {
        let mut control = Control::new(stream, context);
        let mut length = size_of::<Control>() - size_of::<Lifetime>();
        if let Some(lifetime) = lifetime {
            control.lifetime.info.pr_policy = libc::SCTP_PR_SCTP_TTL as u16;
            control.lifetime.info.pr_value = u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX).max(1);
            length = size_of::<Control>();
        }
        let mut part = libc::iovec {
            iov_base: message.as_ptr().cast_mut().cast(),
            iov_len: message.len(),
        };
        // SAFETY: all-zero is a msghdr without name and data.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = (&raw mut control).cast();
        header.msg_controllen = length as _;
        // SAFETY: `header` points to `part` and `control`, which live through the call; it only reads from the message.
        let sent = unsafe { libc::sendmsg(self.socket.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) if sent == message.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// What the system has to tell now.
    ///
    /// # Errors
    /// Those of the system.
    pub fn poll_event(&mut self) -> io::Result<Option<Event>> {
        let mut buffer = [0u8; 2048];
        let mut part = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: all-zero is a msghdr without name and data.
        let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        // SAFETY: `header` points to `part` and that to `buffer`, which live through the call.
        let read = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) };
        let Ok(read) = usize::try_from(read) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        };
        if read == 0 {
            return Ok(Some(Event::Over { clean: true }));
        }
        let is_rest = std::mem::replace(&mut self.cut, header.msg_flags & libc::MSG_EOR == 0);
        let is_told = header.msg_flags & libc::MSG_NOTIFICATION != 0;
        Ok(Some(match is_told && !is_rest {
            true => event(buffer.get(..read).unwrap_or_default()),
            false => Event::Other,
        }))
    }

    /// Nothing more will be sent; what was sent is still delivered.
    ///
    /// # Errors
    /// Those of the system.
    pub fn close(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Ends the association at once and delivers nothing more.
    pub fn abort(self) {
        // Closing with no time to linger is how a one-to-one socket aborts (RFC 6458 section 8.1.4).
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// The most octets of Messages that the system holds for the association.
    pub fn buffer_octets(&self) -> usize {
        self.socket.send_buffer_size().unwrap_or(usize::MAX)
    }
}

fn pair(first: u16, second: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    [a, b, c, d]
}

/// Ancillary data of one Message: its stream, and how long it is worth something.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    info: libc::sctp_sndinfo,
    lifetime: Lifetime,
}

#[repr(C)]
struct Lifetime {
    header: libc::cmsghdr,
    info: libc::sctp_prinfo,
}

impl Control {
    fn new(stream: u16, context: u32) -> Self {
        // SAFETY: all-zero is a value of each of these structures of numbers.
        let mut control: Self = unsafe { MaybeUninit::zeroed().assume_init() };
        let head = |header: &mut libc::cmsghdr, kind, octets: usize| {
            header.cmsg_level = libc::IPPROTO_SCTP;
            header.cmsg_type = kind;
            header.cmsg_len = (size_of::<libc::cmsghdr>() + octets) as _;
        };
        head(&mut control.header, libc::SCTP_SNDINFO, size_of_val(&control.info));
        head(
            &mut control.lifetime.header,
            libc::SCTP_PRINFO,
            size_of::<libc::sctp_prinfo>(),
        );
        control.info.snd_sid = stream;
        control.info.snd_context = context;
        control
    }
}

fn set_option<T>(socket: &Socket, option: libc::c_int, value: &T) -> io::Result<()> {
    // SAFETY: pointer and length describe `value`, which lives through the call; the system copies it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_SCTP,
            option,
            (value as *const T).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Reads a notification (RFC 6458 section 6.1).
fn event(octets: &[u8]) -> Event {
    let half = |at: usize| {
        octets
            .get(at..at + 2)
            .and_then(|octets| octets.try_into().ok())
            .map_or(0, u16::from_ne_bytes)
    };
    let word = |at: usize| {
        octets
            .get(at..at + 4)
            .and_then(|octets| octets.try_into().ok())
            .map_or(0, u32::from_ne_bytes)
    };
    match half(0) {
        // sctp_assoc_change: the state is behind type, flags and length.
        ASSOCIATION_CHANGE => match half(8) {
            3 => Event::Over { clean: true },
            1 | 2 | 4 => Event::Over { clean: false },
            _ => Event::Other,
        },
        SHUT_DOWN => Event::Closing,
        SENDER_DRY => Event::Dry,
        // sctp_send_failed_event: error, then what the Message was sent with.
        SEND_FAILED => Event::NotDelivered(word(20)),
        _ => Event::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_read_as_linux_writes_them() {
        let mut failed = [0; 40];
        failed[..2].copy_from_slice(&SEND_FAILED.to_ne_bytes());
        failed[20..24].copy_from_slice(&77u32.to_ne_bytes());
        assert_eq!(event(&failed), Event::NotDelivered(77));
        let change = |state: u16| {
            let mut octets = [0; 20];
            octets[..2].copy_from_slice(&ASSOCIATION_CHANGE.to_ne_bytes());
            octets[8..10].copy_from_slice(&state.to_ne_bytes());
            event(&octets)
        };
        assert_eq!(change(0), Event::Other);
        assert_eq!(change(1), Event::Over { clean: false });
        assert_eq!(change(3), Event::Over { clean: true });
        assert_eq!(event(&[]), Event::Other);
    }
}
