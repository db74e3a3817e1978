//! Waits for a descriptor to have something, for a bounded time: what else there is to do (timeouts, signals) comes
//! round again while pipes and interfaces are quiet.

use std::os::fd::RawFd;

/// Whether something can be read, or the other end has gone, within `timeout_ms`. An interrupted wait is a short one.
pub(super) fn wait(descriptor: RawFd, timeout_ms: i32) -> bool {
    let mut wanted = libc::pollfd {
        fd: descriptor,
        events: libc::POLLIN,
        revents: 0,
    };
    // The standard library cannot wait for a descriptor. The ring of Linux (TPACKET_V3) blocks on a quiet interface
    // whatever its read timeout is, as a pipe does, and sleeping instead would either delay what comes or wake a
    // thousand times a second.
    // SAFETY: `wanted` is one valid pollfd for the length of the call; a descriptor that is not open is answered with
    // POLLNVAL.
    unsafe { libc::poll(&raw mut wanted, 1, timeout_ms) > 0 }
}
