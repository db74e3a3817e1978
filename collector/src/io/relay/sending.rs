//! The thread of one destination: finds its address, sends what waits, and says from time to time what does not go.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::packet::RawSockets;
use super::{Batch, Outcome, RelayStatus, is_own};
use crate::collecting::ExporterRules;

/// How long the kernel may take for one datagram before it is given up.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// How soon after looking the name up it is looked up again, when copies do not go.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(10);
/// How often it is said that copies do not go.
const SAY_AGAIN: Duration = Duration::from_secs(60);
/// Refusals of earlier datagrams that one send takes the blame for.
const REFUSALS: usize = 3;

/// How copies leave.
#[derive(Debug)]
pub(super) enum Way {
    /// From our own address: a socket connected to the destination, so that refusals (ICMP) come back to it.
    Own(Option<UdpSocket>),
    /// From the exporter's.
    Kept(RawSockets),
}

/// What the thread holds.
pub(super) struct Sending {
    status: RelayStatus,
    way: Way,
    rules: Arc<ExporterRules>,
    own: Vec<SocketAddr>,
    v4: Option<SocketAddr>,
    v6: Option<SocketAddr>,
    looked_up: Option<Instant>,
    said: Option<Instant>,
    /// Copies that had not gone when it was said last.
    said_lost: u64,
}

impl Sending {
    pub(super) fn new(status: RelayStatus, way: Way, rules: Arc<ExporterRules>, own: Vec<SocketAddr>) -> Sending {
        Sending {
            status,
            way,
            rules,
            own,
            v4: None,
            v6: None,
            looked_up: None,
            said: None,
            said_lost: 0,
        }
    }

    /// The thread's body: until nobody offers any more and all is sent.
    pub(super) fn run(mut self, batches: &Receiver<Arc<Batch>>) {
        self.look_up();
        while let Ok(batch) = batches.recv() {
            let refused = self.status.counters.refused.load(Ordering::Relaxed);
            let mut trouble = None;
            for (entry, _) in batch.iter() {
                let outcome = self.send(entry.peer, entry.bytes, &mut trouble);
                self.status.counters.count(outcome, 1);
                if outcome == Outcome::Sent {
                    let octets = entry.bytes.len() as u64;
                    self.status.counters.octets.fetch_add(octets, Ordering::Relaxed);
                }
            }
            let cost = batch.cost() as u64;
            self.status.counters.waiting_octets.fetch_sub(cost, Ordering::AcqRel);
            if trouble.is_none() && self.status.counters.refused.load(Ordering::Relaxed) > refused {
                trouble = Some("nobody listens there".to_owned());
            }
            if trouble.is_some() && self.looked_up.is_none_or(|at| at.elapsed() >= LOOK_UP_AGAIN) {
                self.look_up();
            }
            self.say(trouble);
        }
    }

    fn send(&mut self, peer: SocketAddr, bytes: &[u8], trouble: &mut Option<String>) -> Outcome {
        if !self.rules.allows(peer.ip()) {
            return Outcome::NotAllowed;
        }
        let destination = if peer.is_ipv4() { self.v4 } else { self.v6 };
        let result = match (&mut self.way, destination) {
            (Way::Own(Some(socket)), _) => send_on(socket, &self.status, bytes),
            (Way::Kept(sockets), Some(destination)) => sockets.send(peer, destination, bytes),
            (Way::Kept(_), None) if self.v4.is_some() || self.v6.is_some() => {
                *trouble = Some(format!("it has no address of the IP version of {peer}"));
                return Outcome::OtherVersion;
            }
            _ => {
                *trouble = Some("it has no address".to_owned());
                return Outcome::Unresolved;
            }
        };
        let Err(error) = result else { return Outcome::Sent };
        let is_too_large = error.raw_os_error() == Some(libc::EMSGSIZE);
        *trouble = Some(match is_too_large {
            true => format!("a datagram of {} octets is too large for the way", bytes.len()),
            false => error.to_string(),
        });
        if is_too_large {
            Outcome::TooLarge
        } else {
            Outcome::Error
        }
    }

    /// Finds the destination's addresses. Those it had stay when that fails.
    fn look_up(&mut self) {
        self.looked_up = Some(Instant::now());
        let configured = &self.status.configured;
        let found = match (configured.host.as_str(), configured.port).to_socket_addrs() {
            Ok(found) => found.filter(|address| !is_own(*address, &self.own)).collect::<Vec<_>>(),
            Err(error) => {
                tracing::debug!(relay = %configured, "cannot look up {}: {error}", configured.host);
                return;
            }
        };
        let (v4, v6) = (self.v4, self.v6);
        self.v4 = found.iter().copied().find(SocketAddr::is_ipv4);
        self.v6 = found.iter().copied().find(SocketAddr::is_ipv6);
        let Way::Own(socket) = &mut self.way else { return };
        if socket.is_some() && (v4, v6) == (self.v4, self.v6) {
            return;
        }
        // In the resolver's order of preference, as far as this machine has a way there.
        *socket = found.iter().find_map(|address| connected(*address).ok());
    }

    /// One line a minute at most.
    fn say(&mut self, trouble: Option<String>) {
        let lost = [Outcome::QueueFull, Outcome::TooLarge, Outcome::Error]
            .into_iter()
            .chain([Outcome::Unresolved, Outcome::OtherVersion])
            .map(|outcome| self.status.counters.outcome(outcome))
            .sum::<u64>();
        if trouble.is_none() && lost == self.said_lost || self.said.is_some_and(|at| at.elapsed() < SAY_AGAIN) {
            return;
        }
        let why = trouble.unwrap_or_else(|| "it takes copies more slowly than they come".to_owned());
        let copies = lost - self.said_lost;
        tracing::warn!(relay = %self.status.configured, copies_not_sent = copies, "relaying: {why}");
        self.said = Some(Instant::now());
        self.said_lost = lost;
    }
}

/// A refusal is about a datagram sent before, and the kernel does not send the one that it is told with.
fn send_on(socket: &UdpSocket, status: &RelayStatus, bytes: &[u8]) -> io::Result<()> {
    let mut result = socket.send(bytes);
    for _ in 0..REFUSALS {
        match &result {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                status.counters.refused.fetch_add(1, Ordering::Relaxed);
                result = socket.send(bytes);
            }
            _ => break,
        }
    }
    result.map(drop)
}

fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
    };
    socket.set_write_timeout(Some(SEND_TIMEOUT))?;
    socket.connect(address)?;
    Ok(socket)
}
