//! Bodies that are written while the client reads them.
//!
//! A thread writes, a few pieces wait, and who reads slowly makes it wait. A body that could not be written to its end
//! ends as an error, which breaks the connection off: what a client got whole is whole.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::limits::{ANSWER_PIECE_OCTETS, ANSWER_PIECES, ANSWER_STALL_S};

enum Piece {
    Octets(Bytes),
    End,
}

/// Where a body is written to.
pub struct Sink {
    pieces: mpsc::Sender<Piece>,
    waiting: Vec<u8>,
    runtime: Handle,
}

impl Sink {
    fn send(&self, piece: Piece) -> io::Result<()> {
        let sending = self.pieces.send(piece);
        let stall = Duration::from_secs(ANSWER_STALL_S);
        match self
            .runtime
            .block_on(async { tokio::time::timeout(stall, sending).await })
        {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(octets);
        if self.waiting.len() >= ANSWER_PIECE_OCTETS {
            self.flush()?;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let octets = std::mem::take(&mut self.waiting);
        self.send(Piece::Octets(octets.into()))
    }
}

struct Pieces {
    pieces: mpsc::Receiver<Piece>,
    has_ended: bool,
}

impl futures_core::Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        self.pieces.poll_recv(context).map(|piece| match piece {
            Some(Piece::Octets(octets)) => Some(Ok(octets)),
            Some(Piece::End) => {
                self.has_ended = true;
                None
            }
            None => {
                self.has_ended = true;
                Some(Err(io::Error::other("the answer broke off")))
            }
        })
    }
}

/// A body that `write` writes on a thread of its own.
pub fn streamed(write: impl FnOnce(&mut Sink) -> io::Result<()> + Send + 'static) -> Body {
    let (sender, pieces) = mpsc::channel(ANSWER_PIECES);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut sink = Sink {
            pieces: sender,
            waiting: Vec::new(),
            runtime,
        };
        let written = write(&mut sink)
            .and_then(|()| sink.flush())
            .and_then(|()| sink.send(Piece::End));
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => tracing::debug!("an answer is read no further"),
            Err(error) => tracing::warn!(%error, "an answer broke off"),
        }
    });
    Body::from_stream(Pieces {
        pieces,
        has_ended: false,
    })
}
