//! SCTP listeners (RFC 7011 section 10.2): an association is a session, and ends as one when the exporter begins anew.
//!
//! As over TCP, a full queue makes the exporter wait. Every Message keeps the number of its stream, by which its sequence
//! counts.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flowgauge_templates::ipfix::message_length;
use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::admit::{Listener, admit};
use super::queue::{Batch, Queue};
use super::sctp_socket::{Read, prepare, read};
use super::tcp::{Ended, TcpCounters, TcpLimits};
use crate::collecting::STREAM_SHIFT;
use crate::limits::{DRAIN_MS, DRAIN_SILENCE_MS, MESSAGE_OCTETS, STREAM_BUFFER_OCTETS, STREAM_STALL_S};

/// Reads of one association before others have their turn.
const READS_AT_ONCE: usize = 256;

/// One bound listener. What it counts is what a TCP listener counts.
pub struct SctpReceiver {
    /// The listener, which does not block.
    pub socket: AsyncFd<Socket>,
    /// Its place in the configuration.
    pub listener: u16,
    /// Where batches go.
    pub queue: Arc<Queue>,
    /// What is counted.
    pub counters: Arc<TcpCounters>,
    /// Its bounds.
    pub limits: TcpLimits,
    /// Gives each association of the process its own number.
    pub connections: Arc<AtomicU64>,
    /// Turns true when the collector stops.
    pub stop: watch::Receiver<bool>,
}

impl SctpReceiver {
    /// Accepts until the collector stops, and ends when every association has.
    pub async fn run(self) {
        admit(self).await;
    }
}

impl Listener for SctpReceiver {
    const ONE: &'static str = "an association";
    type Guest = AsyncFd<Socket>;

    async fn accept(&self) -> io::Result<(AsyncFd<Socket>, SocketAddr)> {
        let accepted = self.socket.async_io(Interest::READABLE, |socket| socket.accept()).await;
        let (socket, peer) = accepted?;
        let peer = peer.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        prepare(&socket)?;
        socket.set_nonblocking(true)?;
        Ok((watched(socket)?, peer))
    }

    fn serve(&self, socket: AsyncFd<Socket>, peer: SocketAddr) -> impl Future<Output = ()> + Send + 'static {
        let association = Association {
            socket,
            peer,
            listener: self.listener,
            id: 1 + self.connections.fetch_add(1, Ordering::Relaxed),
            connections: Arc::clone(&self.connections),
            queue: Arc::clone(&self.queue),
            counters: Arc::clone(&self.counters),
            idle: self.limits.idle,
            stop: self.stop.clone(),
            buffer: Vec::with_capacity(MESSAGE_OCTETS),
        };
        association.run()
    }

    fn counters(&self) -> &TcpCounters {
        &self.counters
    }

    fn limits(&self) -> TcpLimits {
        self.limits
    }

    fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }
}

/// A socket that does not block, watched for what it brings by the runtime that this is called in.
///
/// # Errors
/// Those of the system.
pub fn watched(socket: Socket) -> io::Result<AsyncFd<Socket>> {
    // SAFETY: a socket owns its descriptor, which stays open and the same until it is dropped, and it is dropped with what
    // is made here. tokio has no safe way to watch a socket that is neither TCP nor UDP.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?)
}

struct Association {
    socket: AsyncFd<Socket>,
    peer: SocketAddr,
    listener: u16,
    id: u64,
    connections: Arc<AtomicU64>,
    queue: Arc<Queue>,
    counters: Arc<TcpCounters>,
    idle: Duration,
    stop: watch::Receiver<bool>,
    /// The Message under way.
    buffer: Vec<u8>,
}

impl Association {
    async fn run(mut self) {
        tracing::info!(peer = %self.peer, "exporter connected");
        let reason = match self.read_until_stopped().await {
            Some(reason) => reason,
            None => self.drain().await,
        };
        let reason = match reason {
            Ended::Closed if !self.buffer.is_empty() => Ended::Cut,
            reason => reason,
        };
        self.cut();
        self.close_session().await;
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        self.counters.end(reason);
        tracing::info!(peer = %self.peer, reason = reason.as_str(), "exporter disconnected");
    }

    /// `None` when the collector stops.
    async fn read_until_stopped(&mut self) -> Option<Ended> {
        loop {
            let deadline = match (self.buffer.is_empty(), self.idle.is_zero()) {
                (false, _) => Instant::now() + Duration::from_secs(STREAM_STALL_S),
                (true, true) => Instant::now() + Duration::from_secs(86_400),
                (true, false) => Instant::now() + self.idle,
            };
            let mut stop = self.stop.clone();
            let readable = tokio::select! {
                readable = timeout_at(deadline, self.socket.readable()) => readable.map(|ready| ready.map(|_| ())),
                _ = stop.wait_for(|stop| *stop) => return None,
            };
            match readable {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Some(Ended::Broken),
                Err(_) if !self.buffer.is_empty() => return Some(Ended::Stalled),
                Err(_) if self.idle.is_zero() => continue,
                Err(_) => return Some(Ended::Idle),
            }
            if let Err(reason) = self.take().await {
                return Some(reason);
            }
        }
    }

    /// What the kernel took off the exporter's hands already is read before the end.
    async fn drain(&mut self) -> Ended {
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
        let silence = Duration::from_millis(DRAIN_SILENCE_MS);
        while Instant::now() < deadline {
            match timeout(silence, self.socket.readable()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Ended::Broken,
                Err(_) => break,
            }
            if let Err(reason) = self.take().await {
                return reason;
            }
        }
        Ended::Stopped
    }

    /// Reads what is there, and queues the Messages that are whole.
    async fn take(&mut self) -> Result<(), Ended> {
        let mut run: Option<Batch> = None;
        let mut restarted = false;
        let mut reads = 0;
        let ended = loop {
            reads += 1;
            if reads > READS_AT_ONCE {
                // There may be more, and the readiness stands; others have their turn first.
                break Ok(());
            }
            // The readiness is taken back when there is nothing more: else the next wait would not be one.
            let result = match self
                .socket
                .try_io(Interest::READABLE, |socket| read(socket.as_raw_fd(), &mut self.buffer))
            {
                Ok(Read::Data { stream, whole }) => self.handle_data(stream, whole, &mut run).await,
                Ok(Read::Restarted) => {
                    restarted = true;
                    self.cut();
                    break Ok(());
                }
                Ok(Read::Abandoned) => {
                    self.cut();
                    Ok(())
                }
                Ok(Read::Lost) => Err(Ended::Broken),
                Ok(Read::Closed) => Err(Ended::Closed),
                Ok(Read::Other) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                Err(_) => Err(Ended::Broken),
            };
            if result.is_err() {
                break result;
            }
        };
        if let Some(batch) = run {
            self.queue.push(batch).await;
        }
        if restarted {
            tracing::info!(peer = %self.peer, "exporter began anew on its association");
            self.close_session().await;
            self.id = 1 + self.connections.fetch_add(1, Ordering::Relaxed);
        }
        ended
    }

    /// Queues the Message that is whole behind those of its stream.
    async fn handle_data(&mut self, stream: u16, whole: bool, run: &mut Option<Batch>) -> Result<(), Ended> {
        if !whole {
            // An IPFIX Message cannot be longer than what its length field says.
            return match self.buffer.len() >= MESSAGE_OCTETS {
                true => Err(Ended::NotIpfix),
                false => Ok(()),
            };
        }
        if let Err(error) = message_length(&self.buffer) {
            tracing::warn!(peer = %self.peer, %error, "closing an association that does not carry IPFIX Messages");
            return Err(Ended::NotIpfix);
        }
        let connection = self.id | u64::from(stream) << STREAM_SHIFT;
        let full = run
            .as_ref()
            .is_some_and(|batch| batch.connection != connection || batch.bytes.len() > STREAM_BUFFER_OCTETS);
        if full && let Some(batch) = run.take() {
            self.queue.push(batch).await;
        }
        run.get_or_insert_with(|| self.queue.batch(self.listener, connection, crate::run::now_ns()))
            .push(self.peer, &self.buffer);
        self.counters.messages.fetch_add(1, Ordering::Relaxed);
        self.counters
            .octets
            .fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        self.buffer.clear();
        Ok(())
    }

    /// Gives up the Message under way.
    fn cut(&mut self) {
        self.counters
            .cut_octets
            .fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        self.buffer.clear();
    }

    async fn close_session(&mut self) {
        let mut last = self.queue.batch(self.listener, self.id, crate::run::now_ns());
        last.close(self.peer);
        self.queue.push(last).await;
    }
}
