//! Spreads the packets of one interface over several captures: PACKET_FANOUT (packet(7)).
//!
//! The kernel chooses by a hash of addresses, ports and protocol that is the same for both directions, so that a biflow
//! stays with one worker; and the same on every interface, so that copies of a packet meet in one flow table. Fragments
//! are chosen by addresses and protocol alone, tunnels that the kernel cannot look into by their outer headers. They are
//! not put together before (PACKET_FANOUT_FLAG_DEFRAG): packets would be fewer than there were.

use std::io;
use std::os::fd::RawFd;

/// PACKET_FANOUT_FLAG_UNIQUEID: the kernel chooses a group number that nobody uses.
const UNIQUE_ID: u32 = 0x2000;

/// A group of captures on one interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct FanoutGroup(u16);

impl FanoutGroup {
    /// Begins a group with its first member.
    pub fn begin(descriptor: RawFd) -> io::Result<FanoutGroup> {
        join(descriptor, (libc::PACKET_FANOUT_HASH | UNIQUE_ID) << 16)?;
        let mut value: u32 = 0;
        let mut length = size_of::<u32>() as libc::socklen_t;
        // SAFETY: `value` and `length` are valid for writes of the sizes given, for the length of the call.
        let status = unsafe {
            libc::getsockopt(
                descriptor,
                libc::SOL_PACKET,
                libc::PACKET_FANOUT,
                (&raw mut value).cast(),
                &raw mut length,
            )
        };
        match status {
            0 => Ok(FanoutGroup(value as u16)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Adds the next member; members are numbered in the order of joining.
    pub fn add(self, descriptor: RawFd) -> io::Result<()> {
        join(descriptor, libc::PACKET_FANOUT_HASH << 16 | u32::from(self.0))
    }
}

/// libpcap, the standard library and socket2 have no call for this option.
fn join(descriptor: RawFd, value: u32) -> io::Result<()> {
    // SAFETY: `value` is valid for reads of its size for the length of the call; a descriptor that is not a packet
    // socket is answered with an error.
    let status = unsafe {
        libc::setsockopt(
            descriptor,
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            (&raw const value).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
