//! Waits for descriptors to have something, for a bounded time: what else there is to do (timeouts, signals) comes
//! round again while pipes and interfaces are quiet.

use std::os::fd::RawFd;

use crate::limits::MAX_LIVE_INTERFACES;

/// Whether something can be read, or the other end has gone, within `timeout_ms`. An interrupted wait is a short one.
pub(super) fn wait(descriptor: RawFd, timeout_ms: i32) -> bool {
    wait_any(&[descriptor], timeout_ms) != 0
}

/// The same for several: bit `n` of the answer is that of descriptor `n`. Those beyond [`MAX_LIVE_INTERFACES`] are not
/// looked at.
pub(super) fn wait_any(descriptors: &[RawFd], timeout_ms: i32) -> u64 {
    let mut wanted = [libc::pollfd {
        fd: -1,
        events: libc::POLLIN,
        revents: 0,
    }; MAX_LIVE_INTERFACES];
    for (wanted, descriptor) in wanted.iter_mut().zip(descriptors) {
        wanted.fd = *descriptor;
    }
    let count = descriptors.len().min(MAX_LIVE_INTERFACES);
    // The standard library cannot wait for a descriptor. The ring of Linux (TPACKET_V3) blocks on a quiet interface
    // whatever its read timeout is, as a pipe does, and sleeping instead would either delay what comes or wake a
    // thousand times a second.
    // SAFETY: the first `count` of `wanted` are valid pollfds for the length of the call; a descriptor that is not open
    // is answered with POLLNVAL.
    let found = unsafe { libc::poll(wanted.as_mut_ptr(), count as libc::nfds_t, timeout_ms) };
    if found <= 0 {
        return 0;
    }
    let bits = wanted.iter().enumerate().filter(|(_, wanted)| wanted.revents != 0);
    bits.fold(0, |ready, (at, _)| ready | 1 << at)
}
