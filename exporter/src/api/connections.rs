//! Connections of the API: not more than so many at a time, and none that holds its place without taking answers.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use super::limits::{CONNECTIONS, IDLE};

/// What became of connections.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    /// Accepted.
    pub accepted: AtomicU64,
    /// Accepted only after another one had ended, as many as may be being open.
    pub waited: AtomicU64,
    /// Closed because nothing could be sent for [`IDLE`].
    pub idle: AtomicU64,
}

/// Accepts at most [`CONNECTIONS`] at a time.
#[derive(Debug)]
pub struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    counters: Arc<ConnectionCounters>,
}

impl Bounded {
    /// Over a bound listener.
    pub fn new(listener: TcpListener, counters: Arc<ConnectionCounters>) -> Bounded {
        Bounded {
            listener,
            places: Arc::new(Semaphore::new(CONNECTIONS)),
            counters,
        }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let has_to_wait = self.places.available_permits() == 0;
        // Nobody closes the semaphore.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        self.counters.accepted.fetch_add(1, Ordering::Relaxed);
        if has_to_wait {
            self.counters.waited.fetch_add(1, Ordering::Relaxed);
        }
        let connection = Connection {
            stream,
            patience: Box::pin(sleep(IDLE)),
            counters: Arc::clone(&self.counters),
            _place: place,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection, with the time it has left until it must have taken something.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    patience: Pin<Box<Sleep>>,
    counters: Arc<ConnectionCounters>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Whether its time is over; else it is woken when that is so.
    fn poll_over(&mut self, context: &mut Context<'_>) -> Result<(), io::Error> {
        if self.patience.as_mut().poll(context).is_pending() {
            return Ok(());
        }
        self.counters.idle.fetch_add(1, Ordering::Relaxed);
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Octets of a request that comes too slowly do not lengthen its time.
        self.poll_over(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, octets) {
            Poll::Ready(Ok(sent)) => {
                self.patience.as_mut().reset(Instant::now() + IDLE);
                Poll::Ready(Ok(sent))
            }
            Poll::Pending => {
                self.poll_over(context)?;
                Poll::Pending
            }
            failed => failed,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
