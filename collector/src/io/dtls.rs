//! DTLS listeners: IPFIX over UDP with both ends known to each other (RFC 7011 sections 10.3 and 11, RFC 6347).
//!
//! One thread reads one socket. Nothing is remembered of a peer before it has brought a cookie back, nothing is taken from
//! it before its certificate is; what comes is counted and given up where nothing can be made of it. As over UDP, nobody
//! waits: when the queue is full, Messages are dropped and counted.

mod credentials;
mod hello;
mod pipe;
mod sessions;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::Socket;

pub use credentials::Credentials;

use self::pipe::Outlet;
use self::sessions::Sessions;
use super::queue::Queue;
use super::tcp::{TcpCounters, TcpLimits};
use super::tls::ClientNames;
use super::udp::{BatchReader, UdpCounters};
use crate::failure::Failure;
use crate::limits::DRAIN_MS;

/// How often handshakes and silent sessions are looked after.
const TICK: Duration = Duration::from_millis(100);

/// Why nothing was made of a datagram, or of what one had in it: a closed set, since each is the label of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is not DTLS.
    NotDtls,
    /// It is a ClientHello that is cut, or in fragments.
    BadHello,
    /// It is of a session or handshake that is not there.
    NoSession,
    /// It would begin a handshake when too many were begun just now.
    TooManyHandshakes,
    /// It does not decrypt, or came before.
    Unreadable,
    /// It decrypts to something that is not an IPFIX Message.
    NotIpfix,
}

impl Dropped {
    /// Every reason.
    pub const ALL: [Dropped; 6] = [
        Dropped::NotDtls,
        Dropped::BadHello,
        Dropped::NoSession,
        Dropped::TooManyHandshakes,
        Dropped::Unreadable,
        Dropped::NotIpfix,
    ];

    /// The label in counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dropped::NotDtls => "not_dtls",
            Dropped::BadHello => "bad_hello",
            Dropped::NoSession => "no_session",
            Dropped::TooManyHandshakes => "too_many_handshakes",
            Dropped::Unreadable => "unreadable",
            Dropped::NotIpfix => "not_ipfix",
        }
    }
}

/// What one listener has taken and lost.
#[derive(Debug, Default)]
pub struct DtlsCounters {
    /// Of its socket; what the queue dropped is Messages.
    pub datagrams: UdpCounters,
    /// Of its sessions, each accepted when its peer has brought the cookie.
    pub sessions: TcpCounters,
    /// Hellos that were asked for a cookie.
    pub hellos: AtomicU64,
    /// What nothing was made of, by [`Dropped`].
    pub dropped: [AtomicU64; Dropped::ALL.len()],
}

impl DtlsCounters {
    /// What nothing was made of for this reason.
    pub fn dropped(&self, reason: Dropped) -> u64 {
        self.dropped
            .get(reason as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn give_up(&self, reason: Dropped) {
        if let Some(count) = self.dropped.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// One bound, prepared listener.
pub struct DtlsReceiver {
    /// The socket.
    pub socket: Socket,
    /// Its place in the configuration.
    pub listener: u16,
    /// Where batches go.
    pub queue: Arc<Queue>,
    /// What is counted.
    pub counters: Arc<DtlsCounters>,
    /// Who we are, and whom we let in.
    pub credentials: Credentials,
    /// The names of exporters that were let in.
    pub names: Arc<ClientNames>,
    /// Its bounds.
    pub limits: TcpLimits,
    /// Gives each session of the process its own number.
    pub connections: Arc<AtomicU64>,
    /// Set when the collector stops.
    pub stop: Arc<AtomicBool>,
}

impl DtlsReceiver {
    /// The thread's body, ready to run.
    ///
    /// # Errors
    /// When OpenSSL has no random numbers.
    pub fn start(self) -> Result<impl FnOnce() + Send + 'static, Failure> {
        let socket = Arc::new(self.socket);
        let outlet = Outlet::new(Arc::clone(&socket));
        let (counters, stop) = (Arc::clone(&self.counters), Arc::clone(&self.stop));
        let cookies = hello::Cookies::new().map_err(|error| {
            Failure::running(format!(
                "DTLS: no random numbers to be had: {}",
                credentials::reason(&error)
            ))
        })?;
        let place = sessions::Place {
            listener: self.listener,
            queue: self.queue,
            counters: self.counters,
            names: self.names,
            limits: self.limits,
            connections: self.connections,
            outlet,
        };
        let sessions = move || Sessions::new(place, self.credentials, cookies);
        Ok(move || Loop::new(socket, counters, sessions()).run(&stop))
    }
}

/// The socket, and what is made of it.
struct Loop {
    socket: Arc<Socket>,
    counters: Arc<DtlsCounters>,
    sessions: Sessions,
    reader: BatchReader,
}

impl Loop {
    fn new(socket: Arc<Socket>, counters: Arc<DtlsCounters>, sessions: Sessions) -> Loop {
        Loop {
            socket,
            counters,
            sessions,
            reader: BatchReader::new(),
        }
    }

    fn run(mut self, stop: &AtomicBool) {
        let mut looked = Instant::now();
        while !stop.load(Ordering::Acquire) {
            self.read(libc::MSG_WAITFORONE);
            if looked.elapsed() >= TICK {
                looked = Instant::now();
                self.sessions.handle_timeout(looked);
            }
        }
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
        while Instant::now() < deadline && self.read(libc::MSG_DONTWAIT) > 0 {}
        self.sessions.close();
    }

    /// One call to the kernel; says how many datagrams there were.
    fn read(&mut self, flags: libc::c_int) -> usize {
        let counters = &self.counters.datagrams;
        let count = match self.reader.read(self.socket.as_raw_fd(), flags) {
            Ok(count) => count,
            Err(error) => {
                if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                    counters.read_errors.fetch_add(1, Ordering::Relaxed);
                    // A socket in error would otherwise spin; its errors (ICMP, memory) pass.
                    std::thread::sleep(Duration::from_millis(10));
                }
                return 0;
            }
        };
        let drops = self.reader.kernel_drops(count);
        counters.kernel_drops.fetch_add(drops, Ordering::Relaxed);
        let now = Instant::now();
        for (peer, bytes) in self.reader.datagrams(count) {
            counters.datagrams.fetch_add(1, Ordering::Relaxed);
            counters.octets.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.sessions.handle_datagram(now, peer, bytes);
        }
        self.sessions.flush();
        count
    }
}

/// How a peer is told apart: by the address and port its datagrams come from.
type Peer = SocketAddr;

#[cfg(test)]
mod tests;
