//! Syslog messages in UDP datagrams (RFC 5426): one each, at a pace when captures are read. What the system tells us (a
//! closed port, a message that is too long) is counted; of what is lost on the way nobody tells.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::syslog::Syslog;
use super::{LineSink, Lines};
use crate::config::Endpoint;
use crate::exporting::{DestinationAccounts, Loss, Volume, limits};
use crate::io::destination::{Context, Failure, Progress, now_ns};
use crate::io::log_limit::LogLimit;
use crate::io::pace::Pace;
use crate::io::patience::Stop;
use crate::io::resolve::resolve;
use crate::io::retry::{Retry, seed};

/// Pauses shorter than this are saved up: going to sleep and waking up costs more than sending a datagram.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// How long the send buffer may stay full.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to sleep at a time while a name has no address.
const NAP: Duration = Duration::from_secs(1);

/// Messages to a syslog server.
#[derive(Debug)]
pub(in crate::io) struct SyslogDatagrams {
    endpoint: Endpoint,
    syslog: Syslog,
    socket: Option<UdpSocket>,
    stop: Arc<Stop>,
    accounts: Arc<DestinationAccounts>,
    retry: Retry,
    pace: Option<Pace>,
    message: Vec<u8>,
    refused: LogLimit,
    unsent: LogLimit,
    unresolved: LogLimit,
}

impl SyslogDatagrams {
    /// Sends nothing yet, and does not mind if the name has no address yet.
    pub fn new(endpoint: &Endpoint, context: &Context, accounts: Arc<DestinationAccounts>) -> Self {
        let default_rate = context.from_files.then_some(limits::FILE_RATE_RECORDS);
        Self {
            endpoint: endpoint.clone(),
            syslog: Syslog::new(context.config.lines.syslog_priority),
            socket: None,
            stop: context.stop.clone(),
            accounts,
            retry: Retry::new(seed()),
            pace: Pace::new(context.config.rate.or(default_rate)),
            message: Vec::new(),
            refused: LogLimit::default(),
            unsent: LogLimit::default(),
            unresolved: LogLimit::default(),
        }
    }

    /// Makes sure that there is a socket, waiting for the name to have an address.
    fn open(&mut self, progress: &Progress) -> Result<(), Failure> {
        while self.socket.is_none() {
            let wait = self.retry.wait(now_ns());
            if !wait.is_zero() {
                self.stop.sleep(wait.min(NAP));
            }
            if self.retry.is_due(now_ns()) {
                self.try_open();
            }
            if self.socket.is_none() && self.stop.is_over(progress.at()) {
                return Err(Failure::GivenUp);
            }
        }
        Ok(())
    }

    fn try_open(&mut self) {
        match resolve(&self.endpoint).and_then(|addresses| connect(&addresses)) {
            Ok(socket) => {
                self.retry.handle_success(now_ns());
                self.accounts.add_connection();
                self.socket = Some(socket);
            }
            Err(error) => {
                self.accounts.add_send_error();
                let wait = self.retry.handle_failure(now_ns());
                if self.unresolved.permit(Instant::now()).is_some() {
                    let name = &self.accounts.name;
                    tracing::warn!("{name}: {error}; trying again in {:.1} s", wait.as_secs_f64());
                }
            }
        }
    }

    /// Sends the message. An answer that nobody listens belongs to the one before, so this one is tried again.
    fn send_message(&mut self) {
        let Some(socket) = &self.socket else { return };
        let name = &self.accounts.name;
        let mut sent = socket.send(&self.message);
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            self.accounts.add_send_error();
            self.accounts.move_to_lost(now_ns(), Loss::Refused, 1);
            if let Some(times) = self.refused.permit(Instant::now()) {
                tracing::warn!("{name}: nobody listens there ({error}, {times} times); still sending");
            }
            sent = socket.send(&self.message);
        }
        match sent {
            Ok(octets) => self.accounts.add_exported(1, octets as u64),
            Err(error) => {
                let loss = match error.kind() {
                    io::ErrorKind::ConnectionRefused => Loss::Refused,
                    _ => Loss::Failed,
                };
                self.accounts.add_send_error();
                let one = Volume {
                    flows: 1,
                    ..Volume::default()
                };
                self.accounts.add_lost(now_ns(), loss, one);
                if let Some(times) = self.unsent.permit(Instant::now()) {
                    let octets = self.message.len();
                    tracing::warn!("{name}: a message of {octets} octets did not leave: {error} ({times} times)");
                }
            }
        }
    }
}

fn connect(addresses: &[SocketAddr]) -> io::Result<UdpSocket> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let ours: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(ours).and_then(|socket| {
            socket.connect(address)?;
            socket.set_write_timeout(Some(SEND_TIMEOUT))?;
            Ok(socket)
        });
        match socket {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl LineSink for SyslogDatagrams {
    fn send(&mut self, lines: &Lines) -> Result<(), (Failure, usize)> {
        let mut progress = Progress::new();
        for (at, line) in lines.iter().enumerate() {
            let left = lines.len() - at;
            self.open(&progress).map_err(|failure| (failure, left))?;
            if self.stop.is_over(progress.at()) {
                return Err((Failure::GivenUp, left));
            }
            self.message.clear();
            self.syslog.write(&line, &mut self.message);
            self.send_message();
            let pause = self.pace.as_mut().map(|pace| pace.handle_sent(now_ns(), 1));
            if let Some(pause) = pause.filter(|pause| *pause >= LEAST_PAUSE) {
                self.stop.sleep(pause);
            }
            progress.moved();
        }
        Ok(())
    }
}
