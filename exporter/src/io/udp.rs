//! IPFIX over UDP (RFC 7011 section 10.3): one Message a datagram, none larger than the path takes, templates repeated.
//!
//! Messages of one length leave together by one system call. UDP says nothing of what arrives. What the system tells us (a closed port, no route) is counted.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowgauge_templates::management::TransportKind;

use super::datagrams::DatagramSocket;
use super::destination::{Context, Failure, Progress, Transport, now_ns};
use super::log_limit::LogLimit;
use super::pace::Pace;
use super::queue::Batch;
use super::resolve::resolve;
use super::retry::{Retry, seed};
use crate::config::Endpoint;
use crate::exporting::encoder::{Datagram, Encoder};
use crate::exporting::{DestinationAccounts, ExportingProcess, Loss, Volume, limits};

/// Pauses shorter than this are saved up: going to sleep and waking up costs more than sending a datagram.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// How long the send buffer may stay full.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// A collector by UDP.
#[derive(Debug)]
pub struct Udp<E = ExportingProcess> {
    endpoint: Endpoint,
    process: E,
    context: Context,
    accounts: Arc<DestinationAccounts>,
    socket: Option<DatagramSocket>,
    /// Messages that leave with one call.
    run: Vec<Datagram>,
    /// Flow Records in what was sent last: what an answer that nobody listens is about.
    last_records: u64,
    retry: Retry,
    pace: Option<Pace>,
    refused: LogLimit,
    unsent: LogLimit,
    unresolved: LogLimit,
    wordless: LogLimit,
}

impl Udp {
    /// Sends nothing yet, and does not mind if the name has no address yet.
    ///
    /// # Errors
    /// One line for people.
    pub fn new(endpoint: &Endpoint, context: &Context, accounts: Arc<DestinationAccounts>) -> Result<Self, String> {
        let process = context.exporting_process(TransportKind::Udp, context.config.mtu)?;
        Ok(Self::with(process, endpoint, context, accounts))
    }
}

impl<E: Encoder> Udp<E> {
    /// The same for any protocol.
    pub fn with(process: E, endpoint: &Endpoint, context: &Context, accounts: Arc<DestinationAccounts>) -> Self {
        let default_rate = context.from_files.then_some(limits::FILE_RATE_RECORDS);
        Self {
            endpoint: endpoint.clone(),
            process,
            pace: Pace::new(context.config.rate.or(default_rate)),
            context: context.clone(),
            accounts,
            socket: None,
            run: Vec::new(),
            last_records: 0,
            retry: Retry::new(seed()),
            refused: LogLimit::default(),
            unsent: LogLimit::default(),
            unresolved: LogLimit::default(),
            wordless: LogLimit::default(),
        }
    }

    /// Makes sure that there is a socket, waiting for the name to have an address.
    fn open(&mut self, progress: &Progress) -> Result<(), Failure> {
        while self.socket.is_none() {
            let wait = self.retry.wait(now_ns());
            if !wait.is_zero() {
                self.context.stop.sleep(wait.min(Duration::from_secs(1)));
            }
            if self.retry.is_due(now_ns()) {
                self.try_open();
            }
            if self.socket.is_none() && self.context.stop.is_over(progress.at()) {
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
                self.socket = Some(DatagramSocket::new(socket));
            }
            Err(error) => {
                let wait = self.retry.handle_failure(now_ns());
                if self.unresolved.permit(Instant::now()).is_some() {
                    let name = &self.accounts.name;
                    tracing::warn!("{name}: {error}; trying again in {:.1} s", wait.as_secs_f64());
                }
            }
        }
    }

    /// Sends what is ready at the pace.
    ///
    /// # Errors
    /// Why it stopped, and how many Flow Records are accounted for.
    fn send_ready(&mut self, progress: &mut Progress) -> Result<(), (Failure, usize)> {
        let mut accounted = 0;
        while self.take_run() {
            if self.context.stop.is_over(progress.at()) {
                return Err((Failure::GivenUp, accounted));
            }
            accounted += self.send_run() as usize;
            // Two records of NetFlow are one Flow Record, and as much to receive as any two.
            let records: u64 = self.run.iter().map(|message| u64::from(message.records)).sum();
            let cost = records.max(self.run.len() as u64);
            let pause = self.pace.as_mut().map(|pace| pace.handle_sent(now_ns(), cost));
            for message in self.run.drain(..) {
                self.process.recycle(message.bytes);
            }
            if let Some(pause) = pause.filter(|pause| *pause >= LEAST_PAUSE) {
                self.context.stop.sleep(pause);
            }
            progress.moved();
        }
        Ok(())
    }

    /// Takes as many of the Messages that are ready as one call can send.
    fn take_run(&mut self) -> bool {
        let ready = self.process.ready();
        let messages = self.socket.as_ref().map_or(1, |socket| socket.run(ready));
        self.run
            .extend(std::iter::from_fn(|| self.process.poll_message()).take(messages));
        !self.run.is_empty()
    }

    /// Sends the run; says how many Flow Records were in it. An ICMP error belongs to an earlier one, so this one is
    /// tried again.
    fn send_run(&mut self) -> u64 {
        let datagrams: Vec<_> = self.run.iter().map(|message| message.bytes.as_slice()).collect();
        let octets = datagrams.iter().map(|datagram| datagram.len() as u64).sum();
        let messages = datagrams.len() as u64;
        let records = self.run.iter().map(|message| u64::from(message.flow_records)).sum();
        let mut result = send(self.socket.as_mut(), &datagrams);
        if let Err(error) = &result
            && is_about_an_earlier_datagram(error)
        {
            let error = io::Error::from(error.kind());
            result = send(self.socket.as_mut(), &datagrams);
            self.handle_refusal(&error);
        }
        match result {
            Ok(()) => {
                self.last_records = records;
                self.accounts.add_exported_messages(messages, records, octets);
            }
            Err(error) => {
                self.accounts.add_send_error();
                let volume = Volume {
                    flows: records,
                    ..Volume::default()
                };
                self.accounts.add_lost(now_ns(), Loss::Failed, volume);
                if let Some(times) = self.unsent.permit(Instant::now()) {
                    let name = &self.accounts.name;
                    tracing::warn!("{name}: {error} ({times} sends failed since the last such line)");
                }
            }
        }
        records
    }

    /// What was sent last came back: its records were exported to nobody.
    fn handle_refusal(&mut self, error: &io::Error) {
        self.accounts.add_send_error();
        if error.kind() == io::ErrorKind::ConnectionRefused {
            let records = std::mem::take(&mut self.last_records);
            self.accounts.move_to_lost(now_ns(), Loss::Refused, records);
        }
        if let Some(times) = self.refused.permit(Instant::now()) {
            let name = &self.accounts.name;
            tracing::warn!("{name}: nobody listens there ({error}, {times} times); still sending");
        }
    }

    fn say_not_expressible(&mut self, loss: Loss, volume: Volume) {
        let of_it = loss == Loss::NotExpressible && volume.flows > 0;
        if of_it && self.wordless.permit(Instant::now()).is_some() {
            let (name, so_far) = (&self.accounts.name, self.accounts.snapshot().lost_for(loss));
            tracing::warn!(
                "{name}: {so_far} records so far that its protocol cannot express; udp:// and tcp:// take all"
            );
        }
    }

    fn say_statistics(&mut self) {
        self.process
            .handle_statistics(now_ns(), &self.context.statistics(&self.accounts));
    }
}

impl<E: Encoder> Transport for Udp<E> {
    fn handle_batch(&mut self, batch: &Batch) -> Result<(), (Failure, usize)> {
        let mut progress = Progress::new();
        self.open(&progress).map_err(|failure| (failure, batch.len()))?;
        if self.process.handle_timeout(now_ns()) {
            self.say_statistics();
        }
        self.process.handle_records(now_ns(), batch);
        self.accounts.add_reduced(self.process.take_reduced());
        let mut left = batch.len();
        for (loss, volume) in self.process.take_refused() {
            self.accounts.add_lost(now_ns(), loss, volume);
            left = left.saturating_sub(volume.flows as usize);
            self.say_not_expressible(loss, volume);
        }
        self.send_ready(&mut progress)
            .map_err(|(failure, accounted)| (failure, left - accounted))
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        if self.socket.is_none() {
            return Ok(());
        }
        if self.process.handle_timeout(now_ns()) {
            self.say_statistics();
        }
        self.send_ready(&mut Progress::new()).map_err(|(failure, _)| failure)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if self.socket.is_none() {
            return Ok(());
        }
        self.say_statistics();
        self.send_ready(&mut Progress::new()).map_err(|(failure, _)| failure)?;
        // The answer to the last datagram has no next one to be told by; a closed port of this host answers at once.
        let answer = self
            .socket
            .as_ref()
            .and_then(|socket| socket.take_error().ok().flatten());
        if let Some(error) = answer {
            self.handle_refusal(&error);
        }
        Ok(())
    }
}

/// Connected, so that ICMP errors come back to us and a datagram costs no route lookup.
pub(crate) fn connect(addresses: &[SocketAddr]) -> io::Result<UdpSocket> {
    let mut last = None;
    for address in addresses {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(address).map(|()| socket)) {
            Ok(socket) => {
                // Blocking for a full buffer paces us to the interface; for ever is too long.
                socket.set_write_timeout(Some(SEND_TIMEOUT))?;
                return Ok(socket);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

fn send(socket: Option<&mut DatagramSocket>, datagrams: &[&[u8]]) -> io::Result<()> {
    socket.ok_or(io::ErrorKind::NotConnected)?.send(datagrams)
}

/// Whether what the system says is about a datagram sent before, so that this one did not leave.
pub(crate) fn is_about_an_earlier_datagram(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}
