//! What every listener of connections does with those who knock: takes no more than may be open, counts each that it takes,
//! turns away or cannot take, and at the end hears out who waits already.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::tcp::{Ended, TcpCounters, TcpLimits};
use crate::limits::DRAIN_MS;

/// Out of file descriptors: trying again at once would only spin.
const PAUSE: Duration = Duration::from_millis(50);
/// When the collector stops, a backlog that gives nothing for this long is empty.
const BACKLOG_SILENCE: Duration = Duration::from_millis(10);

/// A listener of connections, or of what the transport calls them.
pub(super) trait Listener: Sync {
    /// What people call one, with its article.
    const ONE: &'static str;
    /// One that was accepted.
    type Guest: Send;

    /// Waits for the next; may be given up at any time.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Guest, SocketAddr)>> + Send;

    /// Reads one to its end, and then takes it off those that are open.
    fn serve(&self, guest: Self::Guest, peer: SocketAddr) -> impl Future<Output = ()> + Send + 'static;

    /// What is counted.
    fn counters(&self) -> &TcpCounters;

    /// Its bounds.
    fn limits(&self) -> TcpLimits;

    /// Turns true when the collector stops.
    fn stop(&self) -> watch::Receiver<bool>;
}

/// Accepts until the collector stops, then what the kernel still holds, and ends when every connection has.
pub(super) async fn admit<L: Listener>(listener: L) {
    let mut open = JoinSet::new();
    let mut stop = listener.stop();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        take(&listener, accepted, &mut open).await;
        while open.try_join_next().is_some() {}
    }
    // Connections that are set up already wait in the backlog with what they sent.
    let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
    while Instant::now() < deadline
        && let Ok(accepted) = timeout(BACKLOG_SILENCE, listener.accept()).await
    {
        take(&listener, accepted, &mut open).await;
    }
    while open.join_next().await.is_some() {}
}

async fn take<L: Listener>(listener: &L, accepted: io::Result<(L::Guest, SocketAddr)>, open: &mut JoinSet<()>) {
    let (counters, limit) = (listener.counters(), listener.limits().connections);
    let (guest, peer) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            counters.accept_errors.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "{} could not be accepted", L::ONE);
            tokio::time::sleep(PAUSE).await;
            return;
        }
    };
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    counters.accepted.fetch_add(1, Ordering::Relaxed);
    if counters.open.load(Ordering::Relaxed) >= limit {
        counters.end(Ended::TooMany);
        tracing::warn!(%peer, limit, "{} refused: too many are open", L::ONE);
        return;
    }
    counters.open.fetch_add(1, Ordering::Relaxed);
    open.spawn(listener.serve(guest, peer));
}
