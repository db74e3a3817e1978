//! Datagram listeners: one thread a socket that reads in batches, stamps and queues, and nothing else.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::queue::{Batch, Queue};
use super::relay::Relay;
use crate::limits::{DATAGRAM_OCTETS, DATAGRAMS_PER_READ, DRAIN_MS};

/// How long a read waits before it looks whether the collector stops.
const READ_TIMEOUT: Duration = Duration::from_millis(100);
/// How long datagrams gather after a read that found few: woken for each of them, receiving spends most of its time waking.
/// Reading 14 000 datagrams of 1200 octets a second took 4.0 us each without and 1.9 us with.
const GATHERING: Duration = Duration::from_millis(1);
/// The receive buffer with which datagrams may gather: what comes at 10 Gbit/s in that time, and some.
const GATHERING_BUFFER_OCTETS: u64 = 4 << 20;
/// Room for one control message: the kernel's drop counter.
const CONTROL_OCTETS: usize = 64;

/// What one listener has taken and lost.
#[derive(Debug, Default)]
pub struct UdpCounters {
    /// Datagrams read from the kernel.
    pub datagrams: AtomicU64,
    /// Their octets.
    pub octets: AtomicU64,
    /// Datagrams the kernel dropped because the receive buffer was full (`SO_RXQ_OVFL`).
    pub kernel_drops: AtomicU64,
    /// Datagrams dropped because the queue was full.
    pub queue_drops: AtomicU64,
    /// Their octets.
    pub queue_drop_octets: AtomicU64,
    /// Reads that failed.
    pub read_errors: AtomicU64,
    /// Octets of the receive buffer the kernel granted.
    pub receive_buffer_octets: AtomicU64,
}

/// Asks for a receive buffer and a drop counter. Returns a hint when the kernel grants less than was asked for.
pub fn prepare(socket: &Socket, receive_buffer_octets: usize, counters: &UdpCounters) -> io::Result<Option<String>> {
    socket.set_read_timeout(Some(READ_TIMEOUT))?;
    socket.set_recv_buffer_size(receive_buffer_octets)?;
    // SO_RCVBUFFORCE passes net.core.rmem_max for those who may; others keep what SO_RCVBUF gave.
    let _ = set_option(
        socket.as_raw_fd(),
        libc::SO_RCVBUFFORCE,
        receive_buffer_octets as libc::c_int,
    );
    set_option(socket.as_raw_fd(), libc::SO_RXQ_OVFL, 1)?;
    // The kernel doubles what is asked for, to cover its own bookkeeping (socket(7)).
    let granted = socket.recv_buffer_size()? / 2;
    counters.receive_buffer_octets.store(granted as u64, Ordering::Relaxed);
    Ok((granted < receive_buffer_octets).then(|| {
        format!(
            "the kernel grants a receive buffer of {granted} octets instead of {receive_buffer_octets}: \
             bursts may be dropped; run: sysctl -w net.core.rmem_max={receive_buffer_octets}"
        )
    }))
}

fn set_option(socket: RawFd, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer and length describe one c_int that lives through the call; the kernel copies it.
    let result = unsafe {
        libc::setsockopt(
            socket,
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Reads a socket until `stop`, then what the kernel still holds.
pub struct UdpReceiver {
    /// The bound, prepared socket.
    pub socket: Socket,
    /// Its place in the configuration.
    pub listener: u16,
    /// Where batches go.
    pub queue: Arc<Queue>,
    /// Where copies go, if they go anywhere.
    pub relay: Option<Arc<Relay>>,
    /// What is counted.
    pub counters: Arc<UdpCounters>,
    /// Set when the collector stops.
    pub stop: Arc<AtomicBool>,
}

impl UdpReceiver {
    /// The thread's body.
    pub fn run(self) {
        let mut reader = BatchReader::new();
        // What a small receive buffer holds comes too quickly to be waited for.
        let may_gather = self.counters.receive_buffer_octets.load(Ordering::Relaxed) >= GATHERING_BUFFER_OCTETS;
        while !self.stop.load(Ordering::Acquire) {
            let count = self.read(&mut reader, libc::MSG_WAITFORONE, None);
            if may_gather && (1..DATAGRAMS_PER_READ).contains(&count) {
                std::thread::sleep(GATHERING);
            }
        }
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
        while Instant::now() < deadline && self.read(&mut reader, libc::MSG_DONTWAIT, Some(deadline)) > 0 {}
    }

    /// One call to the kernel; says how many datagrams there were.
    fn read(&self, reader: &mut BatchReader, flags: libc::c_int, wait_until: Option<Instant>) -> usize {
        let count = match reader.read(self.socket.as_raw_fd(), flags) {
            Ok(count) => count,
            Err(error) => {
                if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                    self.counters.read_errors.fetch_add(1, Ordering::Relaxed);
                    // A socket in error would otherwise spin; its errors (ICMP, memory) pass.
                    std::thread::sleep(Duration::from_millis(10));
                }
                return 0;
            }
        };
        let mut batch = self.queue.batch(self.listener, 0, crate::run::now_ns());
        reader.fill(count, &mut batch);
        let drops = reader.kernel_drops(count);
        self.counters.kernel_drops.fetch_add(drops, Ordering::Relaxed);
        let (datagrams, octets) = (batch.received, batch.octets);
        self.counters.datagrams.fetch_add(datagrams, Ordering::Relaxed);
        self.counters.octets.fetch_add(octets, Ordering::Relaxed);
        if let Some(relay) = &self.relay {
            relay.offer(&batch);
        }
        let pushed = match wait_until {
            None => self.queue.try_push(batch),
            Some(deadline) => self.queue.push_until(batch, deadline),
        };
        if let Err(refused) = pushed {
            self.counters.queue_drops.fetch_add(datagrams, Ordering::Relaxed);
            self.counters.queue_drop_octets.fetch_add(octets, Ordering::Relaxed);
            self.queue.recycle(refused);
        }
        count
    }
}

/// Buffers for one `recvmmsg` call.
///
/// Why unsafe: the drop counter of `SO_RXQ_OVFL` comes as a control message, which no safe call of std or socket2 hands out
/// together with the sender. And it pays: draining 15 000 queued datagrams of 1400 octets over loopback took 940 to 1090 ns
/// each with `recvfrom`, 740 to 860 ns with `recvmmsg` of 64, before the queue's lock and the clock, taken once a batch.
pub(super) struct BatchReader {
    slots: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<[u64; CONTROL_OCTETS / 8]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    last_drops: u32,
}

impl BatchReader {
    pub fn new() -> BatchReader {
        // SAFETY: all three are plain C structures for which all-zero octets are a valid value.
        let (name, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        BatchReader {
            slots: vec![0; DATAGRAMS_PER_READ * DATAGRAM_OCTETS],
            names: vec![name; DATAGRAMS_PER_READ],
            controls: vec![[0; CONTROL_OCTETS / 8]; DATAGRAMS_PER_READ],
            vectors: vec![vector; DATAGRAMS_PER_READ],
            headers: vec![header; DATAGRAMS_PER_READ],
            last_drops: 0,
        }
    }

    /// Reads what is there; says how many datagrams that are.
    pub fn read(&mut self, socket: RawFd, flags: libc::c_int) -> io::Result<usize> {
        let slots = self.slots.chunks_exact_mut(DATAGRAM_OCTETS);
        let places = slots
            .zip(&mut self.names)
            .zip(&mut self.controls)
            .zip(&mut self.vectors);
        for (header, (((slot, name), control), vector)) in self.headers.iter_mut().zip(places) {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = slot.len();
            header.msg_len = 0;
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_OCTETS as _;
            header.msg_hdr.msg_flags = 0;
        }
        // SAFETY: every header points at buffers of `self` that outlive the call, each with its true length, and no two
        // headers share a buffer. The kernel writes within those lengths and reports how many headers it filled.
        let count = unsafe {
            libc::recvmmsg(
                socket,
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    fn fill(&self, count: usize, batch: &mut Batch) {
        for (peer, bytes) in self.datagrams(count) {
            batch.push(peer, bytes);
        }
    }

    /// The datagrams read last, and who sent each.
    pub fn datagrams(&self, count: usize) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let slots = self.slots.chunks_exact(DATAGRAM_OCTETS);
        let read = self.headers.iter().zip(&self.names).zip(slots).take(count);
        read.filter_map(|((header, name), slot)| {
            let bytes = slot.get(..header.msg_len as usize).unwrap_or(slot);
            socket_address(name).map(|peer| (peer, bytes))
        })
    }

    /// Datagrams the kernel has dropped on this socket since it was asked last; it counts all of them in 32 bits that turn
    /// over.
    pub fn kernel_drops(&mut self, count: usize) -> u64 {
        let Some(last) = count.checked_sub(1) else { return 0 };
        let (Some(header), Some([_, kind, data, ..])) = (self.headers.get(last), self.controls.get(last)) else {
            return 0;
        };
        if header.msg_hdr.msg_controllen < mem::size_of::<libc::cmsghdr>() + 4 {
            return 0;
        }
        // cmsghdr on 64-bit Linux: length (8 octets), level and type (4 each), then the data.
        let (level, kind) = split(*kind);
        if level != libc::SOL_SOCKET as u32 || kind != libc::SO_RXQ_OVFL as u32 {
            return 0;
        }
        let drops = split(*data).0;
        u64::from(drops.wrapping_sub(std::mem::replace(&mut self.last_drops, drops)))
    }
}

/// The two 32-bit words of a control buffer's 64 bits, in the order they lie in memory.
fn split(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
}

/// The sender's address; IPv4 senders of an IPv6 socket as IPv4.
fn socket_address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel filled a sockaddr_in, which sockaddr_storage is large enough and aligned for.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel filled a sockaddr_in6, which sockaddr_storage is large enough and aligned for.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(name.sin6_addr.s6_addr);
            let port = u16::from_be(name.sin6_port);
            Some(match address.to_ipv4_mapped() {
                Some(v4) => SocketAddr::new(v4.into(), port),
                None => SocketAddrV6::new(address, port, 0, name.sin6_scope_id).into(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn receiver(address: &str, queue_octets: usize) -> (UdpReceiver, SocketAddr) {
        let socket = address
            .parse::<crate::io::listener::ListenAddress>()
            .unwrap()
            .bind()
            .unwrap();
        let counters = Arc::new(UdpCounters::default());
        prepare(&socket, 1 << 20, &counters).unwrap();
        let local = socket.local_addr().unwrap().as_socket().unwrap();
        let (queue, stop) = (Arc::new(Queue::new(queue_octets, 7)), Arc::new(AtomicBool::new(false)));
        (
            UdpReceiver {
                socket,
                listener: 3,
                queue,
                relay: None,
                counters,
                stop,
            },
            local,
        )
    }

    fn popped(queue: &Queue) -> Vec<Batch> {
        let mut batches = Vec::new();
        queue.pop(Duration::ZERO, usize::MAX, usize::MAX, &mut batches);
        batches
    }

    #[test]
    fn what_the_kernel_holds_is_read_before_the_end() {
        let (receiver, local) = receiver("udp://127.0.0.1:0", 1 << 20);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for n in 0..200u8 {
            sender.send_to(&vec![n; usize::from(n)], local).unwrap();
        }
        let (queue, counters) = (Arc::clone(&receiver.queue), Arc::clone(&receiver.counters));
        receiver.stop.store(true, Ordering::Release);
        receiver.run();
        queue.close();
        let mut seen = Vec::new();
        for batch in popped(&queue) {
            assert_eq!(batch.listener, 3);
            for (entry, _) in batch.iter() {
                assert_eq!(entry.peer, sender.local_addr().unwrap());
                seen.push(entry.bytes.to_vec());
            }
        }
        assert_eq!(seen, (0..200u8).map(|n| vec![n; usize::from(n)]).collect::<Vec<_>>());
        assert_eq!(counters.datagrams.load(Ordering::Relaxed), 200);
        assert_eq!(counters.octets.load(Ordering::Relaxed), (0..200).sum::<u64>());
        assert_eq!(counters.queue_drops.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn senders_of_both_families_reach_one_socket() {
        let (receiver, local) = receiver("udp://[::]:0", 1 << 20);
        let queue = Arc::clone(&receiver.queue);
        let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        v4.send_to(b"four", ("127.0.0.1", local.port())).unwrap();
        receiver.stop.store(true, Ordering::Release);
        receiver.run();
        let batches = popped(&queue);
        let (entry, _) = batches[0].iter().next().unwrap();
        assert_eq!((entry.peer, entry.bytes), (v4.local_addr().unwrap(), &b"four"[..]));
    }

    #[test]
    fn a_full_queue_and_a_full_kernel_buffer_are_counted() {
        let (receiver, local) = receiver("udp://127.0.0.1:0", 2_000);
        receiver.socket.set_recv_buffer_size(4_096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            sender.send_to(&[0; 1_000], local).unwrap();
        }
        let mut reader = BatchReader::new();
        let mut read = 0;
        while receiver.read(&mut reader, libc::MSG_DONTWAIT, None) > 0 {
            read += 1;
        }
        assert!(read > 0);
        // The drop counter rides on the next datagram that is received after the drops.
        sender.send_to(&[0; 1_000], local).unwrap();
        receiver.read(&mut reader, libc::MSG_DONTWAIT, None);
        let counters = &receiver.counters;
        let received = counters.datagrams.load(Ordering::Relaxed);
        assert_eq!(received + counters.kernel_drops.load(Ordering::Relaxed), 101);
        assert!(counters.kernel_drops.load(Ordering::Relaxed) > 0);
        assert!(counters.queue_drops.load(Ordering::Relaxed) > 0);
        let queued: u64 = popped(&receiver.queue).iter().map(|batch| batch.received).sum();
        assert_eq!(received, queued + counters.queue_drops.load(Ordering::Relaxed));
    }
}
