//! Stream listeners: IPFIX over TCP (RFC 7011 section 10.4), within TLS where the listener asks for it. A full queue makes the exporter wait, nothing is dropped.
//!
//! A peer that does not speak IPFIX, or begins a Message and does not end it, is closed with a counted reason.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flowgauge_templates::ipfix::message_length;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::admit::{Listener, admit};
use super::queue::Queue;
use super::tls::Handshakes;
use crate::limits::{DRAIN_MS, DRAIN_SILENCE_MS, STREAM_BUFFER_OCTETS, STREAM_STALL_S};

/// How a TLS client begins (RFC 8446 section 5.1).
const TLS_HANDSHAKE: [u8; 2] = [22, 3];

/// Why a connection ended: a closed set, since each is the label of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The exporter closed it between two Messages.
    Closed,
    /// The exporter closed it within a Message.
    Cut,
    /// The exporter, or the network, broke it.
    Broken,
    /// What came is not an IPFIX Message.
    NotIpfix,
    /// A Message was begun and not ended in time.
    Stalled,
    /// Nothing came for the configured time.
    Idle,
    /// There were too many connections.
    TooMany,
    /// The collector stopped.
    Stopped,
    /// A TLS listener was spoken to in something else.
    NotTls,
    /// A certificate was missing or not acceptable, the exporter's or ours.
    Certificate,
    /// The TLS handshake broke, or did not end in time.
    Handshake,
    /// The exporter began anew from the same address and port, over DTLS.
    Replaced,
}

impl Ended {
    /// Every reason.
    pub const ALL: [Ended; 12] = [
        Ended::Closed,
        Ended::Cut,
        Ended::Broken,
        Ended::NotIpfix,
        Ended::Stalled,
        Ended::Idle,
        Ended::TooMany,
        Ended::Stopped,
        Ended::NotTls,
        Ended::Certificate,
        Ended::Handshake,
        Ended::Replaced,
    ];

    /// The label in counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ended::Closed => "closed",
            Ended::Cut => "cut",
            Ended::Broken => "broken",
            Ended::NotIpfix => "not_ipfix",
            Ended::Stalled => "stalled",
            Ended::Idle => "idle",
            Ended::TooMany => "too_many",
            Ended::Stopped => "stopped",
            Ended::NotTls => "not_tls",
            Ended::Certificate => "certificate",
            Ended::Handshake => "handshake",
            Ended::Replaced => "replaced",
        }
    }
}

/// What one listener has taken and lost.
#[derive(Debug, Default)]
pub struct TcpCounters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections open now.
    pub open: AtomicU64,
    /// Messages read.
    pub messages: AtomicU64,
    /// Octets read.
    pub octets: AtomicU64,
    /// Octets of Messages that were begun and never ended.
    pub cut_octets: AtomicU64,
    /// Connections ended, by [`Ended`].
    pub ended: [AtomicU64; Ended::ALL.len()],
    /// Connections that could not be accepted.
    pub accept_errors: AtomicU64,
}

impl TcpCounters {
    /// Connections ended for this reason.
    pub fn ended(&self, reason: Ended) -> u64 {
        self.ended
            .get(reason as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub(super) fn end(&self, reason: Ended) {
        if let Some(count) = self.ended.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub struct TcpLimits {
    /// Connections at one time.
    pub connections: u64,
    /// A connection without a Message for this long is closed; zero keeps it.
    pub idle: Duration,
}

/// One bound listener.
pub struct TcpReceiver {
    /// The listener.
    pub socket: TcpListener,
    /// Its place in the configuration.
    pub listener: u16,
    /// Where batches go.
    pub queue: Arc<Queue>,
    /// What is counted.
    pub counters: Arc<TcpCounters>,
    /// Its bounds.
    pub limits: TcpLimits,
    /// Shakes hands on each connection, for TLS.
    pub tls: Option<Arc<Handshakes>>,
    /// Gives each connection of the process its own number.
    pub connections: Arc<AtomicU64>,
    /// Turns true when the collector stops.
    pub stop: watch::Receiver<bool>,
}

impl TcpReceiver {
    /// Accepts until the collector stops, and ends when every connection has.
    pub async fn run(self) {
        admit(self).await;
    }
}

impl Listener for TcpReceiver {
    const ONE: &'static str = "a connection";
    type Guest = TcpStream;

    async fn accept(&self) -> std::io::Result<(TcpStream, SocketAddr)> {
        self.socket.accept().await
    }

    fn serve(&self, stream: TcpStream, peer: SocketAddr) -> impl Future<Output = ()> + Send + 'static {
        // An exporter that vanished without a word is found out by the kernel.
        let _ = socket2::SockRef::from(&stream).set_keepalive(true);
        let begin = Begin {
            stream,
            tls: self.tls.clone(),
            peer,
            listener: self.listener,
            id: 1 + self.connections.fetch_add(1, Ordering::Relaxed),
            queue: Arc::clone(&self.queue),
            counters: Arc::clone(&self.counters),
            idle: self.limits.idle,
            stop: self.stop.clone(),
        };
        begin.run()
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

/// A connection that may have to shake hands first.
struct Begin {
    stream: TcpStream,
    tls: Option<Arc<Handshakes>>,
    peer: SocketAddr,
    listener: u16,
    id: u64,
    queue: Arc<Queue>,
    counters: Arc<TcpCounters>,
    idle: Duration,
    stop: watch::Receiver<bool>,
}

impl Begin {
    async fn run(mut self) {
        let (peer, counters) = (self.peer, Arc::clone(&self.counters));
        let (stream, name): (Stream, _) = match self.tls.take() {
            None => (Box::new(self.stream), None),
            Some(tls) => {
                let handshake = tls.accept(peer.ip(), self.stream);
                let shaken = tokio::select! {
                    shaken = handshake => shaken.map_err(|refusal| (refusal.ended, refusal.line)),
                    _ = self.stop.wait_for(|stop| *stop) => Err((Ended::Stopped, "the collector stops".to_owned())),
                };
                match shaken {
                    Ok((stream, name)) => (stream, name),
                    Err((ended, line)) => {
                        tracing::warn!(%peer, "exporter turned away: {line}");
                        counters.open.fetch_sub(1, Ordering::Relaxed);
                        counters.end(ended);
                        return;
                    }
                }
            }
        };
        match name {
            Some(name) => tracing::info!(%peer, name, "exporter connected"),
            None => tracing::info!(%peer, "exporter connected"),
        }
        let connection = Connection {
            stream,
            peer,
            listener: self.listener,
            id: self.id,
            queue: self.queue,
            counters,
            idle: self.idle,
            stop: self.stop,
            buffer: Vec::with_capacity(STREAM_BUFFER_OCTETS),
        };
        connection.run().await;
    }
}

type Stream = Box<dyn AsyncRead + Send + Unpin>;

struct Connection {
    stream: Stream,
    peer: SocketAddr,
    listener: u16,
    id: u64,
    queue: Arc<Queue>,
    counters: Arc<TcpCounters>,
    idle: Duration,
    stop: watch::Receiver<bool>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn run(mut self) {
        let reason = self.read_until_stopped().await;
        let reason = match reason {
            Some(reason) => reason,
            None => self.drain().await,
        };
        let reason = if reason == Ended::Closed && !self.buffer.is_empty() {
            Ended::Cut
        } else {
            reason
        };
        self.counters
            .cut_octets
            .fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        let mut last = self.queue.batch(self.listener, self.id, crate::run::now_ns());
        last.close(self.peer);
        self.queue.push(last).await;
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        self.counters.end(reason);
        tracing::info!(peer = %self.peer, reason = reason.as_str(), "exporter disconnected");
    }

    /// `None` when the collector stops.
    async fn read_until_stopped(&mut self) -> Option<Ended> {
        // When the Message in the buffer was begun: further octets of it do not buy more time.
        let mut begun: Option<Instant> = None;
        loop {
            let deadline = match begun {
                Some(begun) => begun + Duration::from_secs(STREAM_STALL_S),
                None if self.idle.is_zero() => Instant::now() + Duration::from_secs(86_400),
                None => Instant::now() + self.idle,
            };
            let mut stop = self.stop.clone();
            let read = tokio::select! {
                read = timeout_at(deadline, self.stream.read_buf(&mut self.buffer)) => read,
                _ = stop.wait_for(|stop| *stop) => return None,
            };
            let progressed = match read {
                Ok(read) => match self.after_read(read).await {
                    Ok(messages) => messages > 0,
                    Err(reason) => return Some(reason),
                },
                Err(_) if begun.is_some() => return Some(Ended::Stalled),
                Err(_) if self.idle.is_zero() => continue,
                Err(_) => return Some(Ended::Idle),
            };
            begun = match begun {
                _ if self.buffer.is_empty() => None,
                Some(begun) if !progressed => Some(begun),
                _ => Some(Instant::now()),
            };
        }
    }

    /// What the kernel took off the exporter's hands already is read before the end.
    async fn drain(&mut self) -> Ended {
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
        while Instant::now() < deadline {
            let silence = Duration::from_millis(DRAIN_SILENCE_MS);
            match timeout(silence, self.stream.read_buf(&mut self.buffer)).await {
                Ok(read) => match self.after_read(read).await {
                    Ok(_) => {}
                    Err(reason) => return reason,
                },
                Err(_) => break,
            }
        }
        Ended::Stopped
    }

    /// How many Messages the read completed.
    async fn after_read(&mut self, read: std::io::Result<usize>) -> Result<u64, Ended> {
        match read {
            Ok(0) => Err(Ended::Closed),
            Ok(octets) => {
                self.counters.octets.fetch_add(octets as u64, Ordering::Relaxed);
                self.hand_on().await
            }
            Err(_) => Err(Ended::Broken),
        }
    }

    /// Cuts whole Messages off the buffer and queues them.
    async fn hand_on(&mut self) -> Result<u64, Ended> {
        let mut batch = self.queue.batch(self.listener, self.id, crate::run::now_ns());
        let mut done = 0;
        let framing = loop {
            let rest = self.buffer.get(done..).unwrap_or_default();
            match message_length(rest) {
                Ok(Some(length)) => match rest.get(..length) {
                    Some(message) => {
                        batch.push(self.peer, message);
                        done += length;
                    }
                    None => break Ok(()),
                },
                Ok(None) => break Ok(()),
                Err(error) => {
                    let hint = if rest.starts_with(&TLS_HANDSHAKE) {
                        "; it speaks TLS: listen on tls:// or tell it to use tcp://"
                    } else {
                        ""
                    };
                    tracing::warn!(peer = %self.peer, %error, "closing a connection that does not carry IPFIX Messages{hint}");
                    break Err(Ended::NotIpfix);
                }
            }
        };
        let messages = batch.received;
        self.counters.messages.fetch_add(messages, Ordering::Relaxed);
        if messages == 0 {
            self.queue.recycle(batch);
        } else {
            self.queue.push(batch).await;
        }
        // Less than one Message stays, so the buffer never grows beyond its first size.
        self.buffer.drain(..done);
        framing.map(|()| messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::queue::Batch;
    use crate::journal::Kind;
    use tokio::io::AsyncWriteExt as _;

    /// A Message without Sets, with `sequence` to tell it by.
    fn message(sequence: u32) -> Vec<u8> {
        [
            &10u16.to_be_bytes()[..],
            &16u16.to_be_bytes(),
            &[0; 4],
            &sequence.to_be_bytes(),
            &[0; 4],
        ]
        .concat()
    }

    struct Running {
        address: SocketAddr,
        queue: Arc<Queue>,
        counters: Arc<TcpCounters>,
        stop: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    async fn start(connections: u64) -> Running {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (queue, counters) = (Arc::new(Queue::new(1 << 20, 7)), Arc::new(TcpCounters::default()));
        let (stop, stopped) = watch::channel(false);
        let receiver = TcpReceiver {
            socket,
            listener: 1,
            queue: Arc::clone(&queue),
            counters: Arc::clone(&counters),
            limits: TcpLimits {
                connections,
                idle: Duration::ZERO,
            },
            tls: None,
            connections: Arc::new(AtomicU64::new(0)),
            stop: stopped,
        };
        Running {
            address,
            queue,
            counters,
            stop,
            task: tokio::spawn(receiver.run()),
        }
    }

    impl Running {
        async fn finish(self) -> (Vec<Vec<u8>>, Arc<TcpCounters>, usize) {
            self.stop.send(true).unwrap();
            self.task.await.unwrap();
            self.queue.close();
            let (mut messages, mut closed) = (Vec::new(), 0);
            let mut batches = Vec::new();
            self.queue.pop(Duration::ZERO, usize::MAX, usize::MAX, &mut batches);
            for (entry, _) in batches.iter().flat_map(Batch::iter) {
                match entry.kind {
                    Kind::Closed => closed += 1,
                    _ => messages.push(entry.bytes.to_vec()),
                }
            }
            assert_eq!(self.counters.open.load(Ordering::Relaxed), 0);
            (messages, self.counters, closed)
        }
    }

    #[tokio::test]
    async fn messages_are_cut_whatever_the_segments_and_a_stop_loses_none() {
        let running = start(8).await;
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        let bytes: Vec<u8> = (0..50).flat_map(message).collect();
        for part in bytes.chunks(7) {
            stream.write_all(part).await.unwrap();
            stream.flush().await.unwrap();
        }
        // Not closed, not waited for: what was sent is in the kernel's hands when the collector stops.
        let (messages, counters, closed) = running.finish().await;
        assert_eq!(messages, (0..50).map(message).collect::<Vec<_>>());
        assert_eq!(closed, 1);
        assert_eq!(counters.messages.load(Ordering::Relaxed), 50);
        assert_eq!(counters.octets.load(Ordering::Relaxed), 800);
        assert_eq!(counters.ended(Ended::Stopped), 1);
    }

    #[tokio::test]
    async fn a_connection_still_in_the_backlog_is_read_too() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut early = std::net::TcpStream::connect(socket.local_addr().unwrap()).unwrap();
        std::io::Write::write_all(&mut early, &message(7)).unwrap();
        drop(early);
        let (queue, counters) = (Arc::new(Queue::new(1 << 20, 7)), Arc::new(TcpCounters::default()));
        let (_stop, stopped) = watch::channel(true);
        let receiver = TcpReceiver {
            socket: TcpListener::from_std(socket).unwrap(),
            listener: 1,
            queue: Arc::clone(&queue),
            counters: Arc::clone(&counters),
            limits: TcpLimits {
                connections: 8,
                idle: Duration::ZERO,
            },
            tls: None,
            connections: Arc::new(AtomicU64::new(0)),
            stop: stopped,
        };
        receiver.run().await;
        let mut batches = Vec::new();
        queue.pop(Duration::ZERO, 1, usize::MAX, &mut batches);
        assert_eq!(batches[0].iter().next().unwrap().0.bytes, message(7));
        assert_eq!(counters.ended(Ended::Closed), 1);
    }

    #[tokio::test]
    async fn garbage_cut_messages_and_too_many_peers_have_their_own_reasons() {
        let running = start(2).await;
        let mut garbage = TcpStream::connect(running.address).await.unwrap();
        garbage
            .write_all(&[message(1), b"GET / HTTP/1.1\r\n\r\n".to_vec()].concat())
            .await
            .unwrap();
        assert_eq!(
            garbage.read(&mut [0; 8]).await.unwrap_or(0),
            0,
            "the collector closes it"
        );
        let mut short = TcpStream::connect(running.address).await.unwrap();
        short.write_all(&[0, 10, 0, 15]).await.unwrap();
        assert_eq!(
            short.read(&mut [0; 8]).await.unwrap_or(0),
            0,
            "a length below the header cannot be framed"
        );
        let mut cut = TcpStream::connect(running.address).await.unwrap();
        cut.write_all(&message(2)[..9]).await.unwrap();
        drop(cut);
        while running.counters.ended(Ended::Cut) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let _open = [
            TcpStream::connect(running.address).await.unwrap(),
            TcpStream::connect(running.address).await.unwrap(),
        ];
        let mut third = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(third.read(&mut [0; 8]).await.unwrap_or(0), 0);
        let (messages, counters, closed) = running.finish().await;
        assert_eq!(messages, [message(1)]);
        assert_eq!(closed, 5);
        assert_eq!(counters.ended(Ended::NotIpfix), 2);
        assert_eq!(counters.ended(Ended::Cut), 1);
        assert_eq!(counters.ended(Ended::TooMany), 1);
        assert_eq!(counters.accepted.load(Ordering::Relaxed), 6);
        assert_eq!(counters.cut_octets.load(Ordering::Relaxed), 18 + 4 + 9);
    }
}
