//! Copies of received datagrams for other collectors: a thread and a bounded queue for each destination, so that none of
//! them holds up receiving or another one.
//!
//! What is copied is what came over UDP, octet by octet, before anything is decoded; only senders that `--allow-exporter`
//! leaves out are left out here, too. A copy that cannot be sent is counted by its reason and forgotten: like the sender of
//! the datagram, the relay cannot know whether it arrived.

mod address;
mod packet;
mod sending;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use super::queue::Batch;
use crate::collecting::ExporterRules;
use crate::failure::Failure;
use crate::limits::{RELAY_BATCHES, RELAY_END_MS, RELAY_OCTETS};

pub use address::RelayAddress;
use packet::RawSockets;
use sending::{Sending, Way};

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handed to the kernel.
    Sent,
    /// Dropped, as too much waits for this destination.
    QueueFull,
    /// With the source kept, larger than what the way takes in one piece.
    TooLarge,
    /// The kernel would not send it.
    Error,
    /// The destination's name has no address.
    Unresolved,
    /// With the source kept, the destination has no address of the exporter's IP version.
    OtherVersion,
    /// From a sender that is not taken here either.
    NotAllowed,
}

impl Outcome {
    /// All, in the order of [`RelayCounters`].
    pub const ALL: [Outcome; 7] = [
        Outcome::Sent,
        Outcome::QueueFull,
        Outcome::TooLarge,
        Outcome::Error,
        Outcome::Unresolved,
        Outcome::OtherVersion,
        Outcome::NotAllowed,
    ];

    /// Its name in the status document and its metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Sent => "sent",
            Outcome::QueueFull => "queue_full",
            Outcome::TooLarge => "too_large",
            Outcome::Error => "error",
            Outcome::Unresolved => "unresolved",
            Outcome::OtherVersion => "other_ip_version",
            Outcome::NotAllowed => "not_allowed",
        }
    }
}

/// What was sent to one destination, and what was not.
#[derive(Debug, Default)]
pub struct RelayCounters {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    /// Octets of the datagrams sent.
    pub octets: AtomicU64,
    /// How often the destination's host said that nobody listens there (ICMP); what it said that about was sent.
    pub refused: AtomicU64,
    /// Octets that wait to be sent.
    pub waiting_octets: AtomicU64,
}

impl RelayCounters {
    /// Copies that came to this end.
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes
            .get(outcome as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn count(&self, outcome: Outcome, copies: u64) {
        if let Some(count) = self.outcomes.get(outcome as usize) {
            count.fetch_add(copies, Ordering::Relaxed);
        }
    }
}

/// A destination as others see it.
#[derive(Clone, Debug)]
pub struct RelayStatus {
    /// As configured.
    pub configured: RelayAddress,
    /// What was sent there and what not.
    pub counters: Arc<RelayCounters>,
}

/// The receivers' end: where they offer what they read. When the last of them lets go of it, the threads send what waits
/// and end.
#[derive(Debug)]
pub struct Relay {
    lanes: Vec<(Sender<Arc<Batch>>, Arc<RelayCounters>)>,
}

impl Relay {
    /// Queues a copy for every destination that has room; never waits.
    pub fn offer(&self, batch: &Batch) {
        if batch.received == 0 {
            return;
        }
        let (copy, cost) = (Arc::new(batch.clone()), batch.cost() as u64);
        for (sender, counters) in &self.lanes {
            // Counted before it is there to be taken, or the other end would subtract it first.
            let waiting = counters.waiting_octets.fetch_add(cost, Ordering::AcqRel) + cost;
            if waiting > RELAY_OCTETS || sender.try_send(Arc::clone(&copy)).is_err() {
                counters.waiting_octets.fetch_sub(cost, Ordering::AcqRel);
                counters.count(Outcome::QueueFull, batch.received);
            }
        }
    }
}

/// The destinations' end.
#[derive(Debug, Default)]
pub struct RelayThreads {
    threads: Vec<JoinHandle<()>>,
    /// The destinations, in the order of the configuration.
    pub statuses: Vec<RelayStatus>,
}

impl RelayThreads {
    /// Waits a bounded time until what waits is sent. Every [`Relay`] must be gone by then.
    pub fn end(self) {
        let deadline = Instant::now() + Duration::from_millis(RELAY_END_MS);
        for (thread, status) in self.threads.into_iter().zip(&self.statuses) {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            if thread.is_finished() {
                let _ = thread.join();
            } else {
                let waiting = status.counters.waiting_octets.load(Ordering::Acquire);
                tracing::warn!(relay = %status.configured, "{waiting} octets were not relayed before the end");
            }
        }
    }
}

/// Opens what relaying takes and starts its threads; nothing when there are no destinations.
///
/// # Errors
/// A destination where this collector itself listens (`own`), and sockets that may not be opened.
pub fn start(
    destinations: &[RelayAddress],
    rules: &ExporterRules,
    own: &[SocketAddr],
) -> Result<(Option<Arc<Relay>>, RelayThreads), Failure> {
    let (mut lanes, mut threads) = (Vec::new(), RelayThreads::default());
    let rules = Arc::new(rules.clone());
    for configured in destinations {
        if let Some(literal) = configured.literal().filter(|literal| is_own(*literal, own)) {
            return Err(Failure::usage(format!(
                "relay {configured}: this collector itself listens on {literal}, and copies would come back to it for ever; \
                 name another collector with --relay"
            )));
        }
        let way = match configured.keeps_source {
            true => Way::Kept(RawSockets::open(configured)?),
            false => Way::Own(None),
        };
        let counters = Arc::new(RelayCounters::default());
        let (sender, receiver) = bounded(RELAY_BATCHES);
        let sending = Sending::new(
            RelayStatus {
                configured: configured.clone(),
                counters: Arc::clone(&counters),
            },
            way,
            Arc::clone(&rules),
            own.to_vec(),
        );
        let thread = std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || sending.run(&receiver))
            .map_err(|error| Failure::running(format!("cannot start a thread: {error}")))?;
        threads.threads.push(thread);
        threads.statuses.push(RelayStatus {
            configured: configured.clone(),
            counters: Arc::clone(&counters),
        });
        lanes.push((sender, counters));
    }
    Ok(((!lanes.is_empty()).then(|| Arc::new(Relay { lanes })), threads))
}

/// Whether what is sent there comes back to one of these listeners.
fn is_own(destination: SocketAddr, listeners: &[SocketAddr]) -> bool {
    let ip = destination.ip().to_canonical();
    // An address is this machine's when a socket can be bound to it.
    let is_local = || UdpSocket::bind((ip, 0)).is_ok();
    listeners.iter().any(|listener| {
        let takes = match listener.ip().to_canonical() {
            IpAddr::V4(any) if any.is_unspecified() => ip.is_ipv4() && is_local(),
            IpAddr::V6(any) if any.is_unspecified() => is_local(),
            one => one == ip,
        };
        listener.port() == destination.port() && takes
    })
}

#[cfg(test)]
mod tests;
