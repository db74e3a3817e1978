//! The collectors that datagrams go to: every one gets each of them, and one that is away costs the others nothing.

use std::io;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::accounts::SflowAccounts;
use crate::config::Endpoint;
use crate::io::destination::now_ns;
use crate::io::log_limit::LogLimit;
use crate::io::resolve::resolve;
use crate::io::retry::{Retry, seed};
use crate::io::udp;

/// One collector.
#[derive(Debug)]
struct Receiver {
    endpoint: Endpoint,
    socket: Option<UdpSocket>,
    retry: Retry,
    faults: LogLimit,
    /// Octets of the datagram sent last: the one that an answer is about.
    last_octets: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Receivers {
    receivers: Vec<Receiver>,
    accounts: Arc<SflowAccounts>,
}

impl Receivers {
    /// Resolves nothing yet.
    pub fn new(endpoints: Vec<Endpoint>, accounts: Arc<SflowAccounts>) -> Receivers {
        let receiver = |endpoint| Receiver {
            endpoint,
            socket: None,
            retry: Retry::new(seed()),
            faults: LogLimit::default(),
            last_octets: 0,
        };
        Receivers {
            receivers: endpoints.into_iter().map(receiver).collect(),
            accounts,
        }
    }

    /// Opens those that are due to be tried; says whether all are open.
    pub fn open(&mut self) -> bool {
        for (receiver, accounts) in self.receivers.iter_mut().zip(&self.accounts.receivers) {
            receiver.open(&accounts.name);
        }
        self.receivers.iter().all(|receiver| receiver.socket.is_some())
    }

    /// How long until one that is not open is tried again.
    pub fn wait(&self) -> Duration {
        let closed = self.receivers.iter().filter(|receiver| receiver.socket.is_none());
        closed
            .map(|receiver| receiver.retry.wait(now_ns()))
            .min()
            .unwrap_or_default()
    }

    /// The address that datagrams to the first open one leave from.
    pub fn local_address(&self) -> Option<IpAddr> {
        let mut sockets = self.receivers.iter().filter_map(|receiver| receiver.socket.as_ref());
        sockets
            .find_map(|socket| socket.local_addr().ok())
            .map(|local| local.ip())
    }

    /// Sends a datagram to all.
    pub fn send(&mut self, datagram: &[u8]) {
        for (receiver, accounts) in self.receivers.iter_mut().zip(&self.accounts.receivers) {
            receiver.open(&accounts.name);
            match receiver.send(datagram) {
                // One before it came back; this one left.
                Ok(Some(error)) => {
                    accounts.errors.fetch_add(1, Relaxed);
                    accounts.octets.fetch_sub(receiver.last_octets, Relaxed);
                    receiver.handle_sent(datagram, &accounts.octets);
                    receiver.say(&accounts.name, &error);
                }
                Ok(None) => {
                    accounts.datagrams.fetch_add(1, Relaxed);
                    receiver.handle_sent(datagram, &accounts.octets);
                }
                Err(error) => {
                    accounts.errors.fetch_add(1, Relaxed);
                    receiver.say(&accounts.name, &error);
                }
            }
        }
    }

    /// What came back of the last datagrams, which have none behind them to be told by.
    pub fn finish(&mut self) {
        for (receiver, accounts) in self.receivers.iter_mut().zip(&self.accounts.receivers) {
            let answer = receiver.socket.as_ref().and_then(|socket| socket.take_error().ok());
            if let Some(error) = answer.flatten() {
                accounts.errors.fetch_add(1, Relaxed);
                accounts.datagrams.fetch_sub(1, Relaxed);
                accounts.octets.fetch_sub(receiver.last_octets, Relaxed);
                receiver.say(&accounts.name, &error);
            }
        }
    }
}

impl Receiver {
    fn open(&mut self, name: &str) {
        if self.socket.is_some() || !self.retry.is_due(now_ns()) {
            return;
        }
        match resolve(&self.endpoint).and_then(|addresses| udp::connect(&addresses)) {
            Ok(socket) => {
                self.retry.handle_success(now_ns());
                self.socket = Some(socket);
            }
            Err(error) => {
                let wait = self.retry.handle_failure(now_ns());
                if self.faults.permit(Instant::now()).is_some() {
                    tracing::warn!("{name}: {error}; trying again in {:.1} s", wait.as_secs_f64());
                }
            }
        }
    }

    /// Sends; says what the system told of an earlier datagram in doing so.
    fn send(&self, datagram: &[u8]) -> io::Result<Option<io::Error>> {
        let socket = self
            .socket
            .as_ref()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "its name has no address yet"))?;
        match socket.send(datagram) {
            Ok(_) => Ok(None),
            Err(error) if udp::is_about_an_earlier_datagram(&error) => socket.send(datagram).map(|_| Some(error)),
            Err(error) => Err(error),
        }
    }

    fn handle_sent(&mut self, datagram: &[u8], octets: &AtomicU64) {
        self.last_octets = datagram.len() as u64;
        octets.fetch_add(self.last_octets, Relaxed);
    }

    fn say(&mut self, name: &str, error: &io::Error) {
        if let Some(times) = self.faults.permit(Instant::now()) {
            tracing::warn!("{name}: {error} ({times} times); still sending");
        }
    }
}
