//! The system's SCTP: one association on a one-to-one socket (RFC 6458), and no more of it than collecting needs.
//!
//! Two calls of libc that no wrapper has: options of SCTP, and a read that says which stream a Message came by and whether
//! it is whole.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, RawFd};

use socket2::Socket;

// RFC 6458 section 6.1, as in linux/sctp.h.
const SCTP_EVENT: libc::c_int = 127;
const ASSOCIATION_CHANGE: u16 = 0x8001;
const PARTIAL_DELIVERY: u16 = 0x8006;
/// Of an association that changes: the other end began anew, or is gone.
const LOST: u16 = 1;
const RESTARTED: u16 = 2;

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Octets of a Message, at the end of the buffer.
    Data {
        /// The stream that it came by.
        stream: u16,
        /// Whether it ends here.
        whole: bool,
    },
    /// The other end began anew: nothing said before holds.
    Restarted,
    /// The Message that was begun will not be ended.
    Abandoned,
    /// The other end is gone without a word.
    Lost,
    /// The other end closed in good order.
    Closed,
    /// Something of no concern.
    Other,
}

/// The line for a kernel that does not know SCTP.
pub const MISSING: &str = "this kernel has no SCTP: load it (modprobe sctp) or listen on tcp://";

/// Whether a socket could not be had because the kernel does not know SCTP.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT)
    )
}

/// Asks an association for the streams of Messages, and for word of restarts.
///
/// # Errors
/// Those of the system.
pub fn prepare(socket: &Socket) -> io::Result<()> {
    set_option(socket, libc::SCTP_RECVRCVINFO, &1u32)?;
    for event in [ASSOCIATION_CHANGE, PARTIAL_DELIVERY] {
        let ([a, b], [on, off]) = (event.to_ne_bytes(), [1, 0]);
        // struct sctp_event: association, type, on.
        set_option(socket, SCTP_EVENT, &[0, u32::from_ne_bytes([a, b, on, off])])?;
    }
    Ok(())
}

/// Room for the one control message that was asked for, aligned as the kernel wants it.
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    info: libc::sctp_rcvinfo,
}

/// Reads what is there into the room behind `buffer`, without waiting.
///
/// # Errors
/// Those of the system; `WouldBlock` when there is nothing.
pub fn read(socket: RawFd, buffer: &mut Vec<u8>) -> io::Result<Read> {
    let room = buffer.spare_capacity_mut();
    let mut part = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    // SAFETY: all-zero is a value of each of these structures of numbers and pointers.
    let mut control: Control = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: as above.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<Control>() as _;
    // SAFETY: `header` points to `part`, that to the room behind `buffer`, and to `control`; all live through the call.
    let octets = unsafe { libc::recvmsg(socket, &raw mut header, libc::MSG_DONTWAIT) };
    let Ok(octets) = usize::try_from(octets) else {
        return Err(io::Error::last_os_error());
    };
    if octets == 0 {
        return Ok(Read::Closed);
    }
    let whole = header.msg_flags & libc::MSG_EOR != 0;
    let begin = buffer.len();
    // SAFETY: the call filled this many octets of the room, which is not smaller.
    unsafe { buffer.set_len(begin + octets) };
    if header.msg_flags & libc::MSG_NOTIFICATION != 0 {
        let told = notification(buffer.get(begin..).unwrap_or_default());
        buffer.truncate(begin);
        return Ok(told);
    }
    let told = control.header.cmsg_level == libc::IPPROTO_SCTP && control.header.cmsg_type == libc::SCTP_RCVINFO;
    let stream = if told { control.info.rcv_sid } else { 0 };
    Ok(Read::Data { stream, whole })
}

fn notification(octets: &[u8]) -> Read {
    let half = |at: usize| {
        octets
            .get(at..at + 2)
            .and_then(|octets| octets.try_into().ok())
            .map_or(0, u16::from_ne_bytes)
    };
    match (half(0), half(8)) {
        (ASSOCIATION_CHANGE, LOST) => Read::Lost,
        (ASSOCIATION_CHANGE, RESTARTED) => Read::Restarted,
        (PARTIAL_DELIVERY, _) => Read::Abandoned,
        _ => Read::Other,
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
