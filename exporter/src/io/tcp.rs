//! IPFIX over TCP (RFC 7011 section 10.4), with TLS where it is asked for: one connection is one session; a new
//! connection begins with the templates.
//!
//! A Message is either handed to the kernel whole or, on a new connection, encoded again: never half of it twice. What
//! the other end has not acknowledged when a connection breaks is counted as lost, not guessed to have arrived.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowgauge_templates::management::TransportKind;
use socket2::SockRef;

use super::destination::{Context, Failure, Progress, Transport, now_ns};
use super::log_limit::LogLimit;
use super::queue::{Batch, BatchQueue};
use super::resolve::resolve;
use super::retry::{Retry, seed};
use super::tls;
use crate::config::Endpoint;
use crate::exporting::{DestinationAccounts, ExportingProcess, Loss, limits};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one write blocks before we look whether to give up.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// A path that acknowledges nothing for this long is dead.
const DEAD_PATH_TIMEOUT: Duration = Duration::from_secs(30);
/// How often we look whether the end has arrived.
const CONFIRM_PAUSE: Duration = Duration::from_millis(5);
/// How long a collector may take to close its side once it has everything.
const LAST_WORD: Duration = Duration::from_millis(200);
/// How a TLS listener begins that is spoken to in the clear (RFC 8446 section 5.1).
const TLS_ALERT: u8 = 21;
const TLS_MAJOR: u8 = 3;

/// A collector by TCP.
#[derive(Debug)]
pub struct Tcp {
    endpoint: Endpoint,
    process: ExportingProcess,
    context: Context,
    accounts: Arc<DestinationAccounts>,
    queue: Arc<BatchQueue>,
    credentials: Option<tls::Credentials>,
    connection: Option<Connection>,
    retry: Retry,
    away: LogLimit,
}

/// One transport session.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    tls: Option<Box<tls::Session>>,
    in_flight: InFlight,
    /// Flow Records written on it.
    written: u64,
    /// What answers cannot have understood any of it.
    misunderstood: bool,
}

impl Tcp {
    /// Connects later: a collector that is away is no reason not to start.
    ///
    /// # Errors
    /// One line for people.
    pub fn new(
        endpoint: &Endpoint,
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Result<Self, String> {
        Ok(Self {
            endpoint: endpoint.clone(),
            process: context.exporting_process(TransportKind::Tcp, limits::TCP_MESSAGE_OCTETS)?,
            context: context.clone(),
            accounts,
            queue,
            credentials: None,
            connection: None,
            retry: Retry::new(seed()),
            away: LogLimit::default(),
        })
    }

    /// The same with TLS on each connection.
    ///
    /// # Errors
    /// One line for people: a certificate or key that is missing or cannot be used.
    pub fn with_tls(
        endpoint: &Endpoint,
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Result<Self, String> {
        let name = &accounts.name;
        let credentials = match &context.config.tls {
            Some(files) => tls::Credentials::load(files).map_err(|line| format!("{name}: {line}"))?,
            None => return Err(format!("{name}: there is no certificate to show")),
        };
        let tcp = Self::new(endpoint, context, accounts, queue)?;
        Ok(Self {
            credentials: Some(credentials),
            ..tcp
        })
    }

    /// Takes up certificates that have changed: a new connection shows the new one.
    fn refresh_credentials(&mut self) {
        let name = &self.accounts.name;
        match self.credentials.as_mut().and_then(tls::Credentials::refresh) {
            None => {}
            Some(Ok(())) => tracing::info!("{name}: certificates have changed and are taken up"),
            Some(Err(line)) => tracing::warn!("{name}: {line}; those read before are used on"),
        }
    }

    /// Waits until there is a connection.
    fn connect(&mut self, progress: &Progress) -> Result<(), Failure> {
        while self.connection.is_none() {
            let wait = self.retry.wait(now_ns());
            if !wait.is_zero() {
                self.context.stop.sleep(wait.min(Duration::from_secs(1)));
            }
            if self.retry.is_due(now_ns()) {
                self.try_connect();
            }
            if self.connection.is_none() && self.context.stop.is_over(progress.at()) {
                return Err(Failure::GivenUp);
            }
        }
        Ok(())
    }

    fn try_connect(&mut self) {
        self.refresh_credentials();
        let tls = self
            .credentials
            .as_ref()
            .map(|credentials| (credentials, &*self.endpoint.host));
        match resolve(&self.endpoint).and_then(|addresses| Connection::open(&addresses, tls)) {
            Ok(connection) => {
                let name = &self.accounts.name;
                match self.retry.failures() {
                    0 => tracing::info!("{name}: connected"),
                    failures => tracing::info!("{name}: connected after {failures} failed tries"),
                }
                self.retry.handle_success(now_ns());
                self.accounts.add_connection();
                self.connection = Some(connection);
            }
            Err(error) => {
                self.accounts.add_send_error();
                let wait = self.retry.handle_failure(now_ns());
                if self.away.permit(Instant::now()).is_some() {
                    let (name, waiting) = (&self.accounts.name, self.queue.records());
                    let wait = wait.as_secs_f64();
                    tracing::warn!(
                        "{name}: cannot connect: {error}; {waiting} records wait, trying again in {wait:.1} s"
                    );
                }
            }
        }
    }

    /// Forgets the connection and counts what was on its way.
    fn disconnect(&mut self, error: &io::Error) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        // What the other end said before it broke the connection may say why, unless it has been heard already.
        let heard = connection.misunderstood;
        let why = connection
            .check_open()
            .err()
            .filter(|_| connection.misunderstood && !heard);
        let error = why.as_ref().unwrap_or(error);
        let lost = connection.unconfirmed();
        self.accounts.move_to_lost(now_ns(), Loss::Unconfirmed, lost);
        self.process.restart();
        let wait = self.retry.handle_failure(now_ns());
        let name = &self.accounts.name;
        tracing::warn!(
            "{name}: connection lost: {error}; {lost} records were on their way, trying again in {:.1} s",
            wait.as_secs_f64()
        );
    }

    /// Writes what is ready; `done` grows by the Flow Records that the kernel has taken whole.
    fn write_ready(&mut self, done: &mut usize, progress: &mut Progress) -> Result<(), Interruption> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        connection.check_open()?;
        while let Some(message) = self.process.poll_message() {
            let mut rest = message.bytes.as_slice();
            let mut on_wire = 0;
            while connection.wants_write(rest) {
                match connection.write(&mut rest) {
                    Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                    Ok(written) => {
                        on_wire += written as u64;
                        progress.moved();
                    }
                    Err(error) if is_timeout(&error) => {
                        if self.context.stop.is_over(progress.at()) {
                            return Err(Interruption::GivenUp);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
            connection.in_flight.add(on_wire, u64::from(message.flow_records));
            connection.written += u64::from(message.flow_records);
            *done += message.flow_records as usize;
            self.accounts
                .add_exported(u64::from(message.flow_records), message.bytes.len() as u64);
            self.process.recycle(message.bytes);
        }
        if let Some(unacknowledged) = connection.unacknowledged() {
            connection.in_flight.handle_unacknowledged(unacknowledged);
        }
        Ok(())
    }

    fn say_statistics(&mut self) {
        self.process
            .handle_statistics(now_ns(), &self.context.statistics(&self.accounts));
    }

    /// Gives up with `left` records of a batch; what the other end has not confirmed is lost too.
    fn give_up(&mut self) -> Failure {
        if let Some(connection) = self.connection.take() {
            self.accounts
                .move_to_lost(now_ns(), Loss::Unconfirmed, connection.unconfirmed());
        }
        Failure::GivenUp
    }
}

impl Transport for Tcp {
    fn handle_batch(&mut self, batch: &Batch) -> Result<(), (Failure, usize)> {
        let mut progress = Progress::new();
        let mut done = 0;
        loop {
            self.connect(&progress)
                .map_err(|failure| (failure, batch.len() - done))?;
            if self.process.handle_timeout(now_ns()) {
                self.say_statistics();
            }
            self.process.handle_records(now_ns(), batch, done);
            self.accounts.add_reduced(self.process.take_reduced());
            match self.write_ready(&mut done, &mut progress) {
                Ok(()) if done == batch.len() => return Ok(()),
                Ok(()) => {
                    let failure = Failure::Broken(format!("{}: a record could not be encoded", self.accounts.name));
                    return Err((failure, batch.len() - done));
                }
                Err(Interruption::GivenUp) => return Err((self.give_up(), batch.len() - done)),
                Err(Interruption::Broken(error)) => self.disconnect(&error),
            }
        }
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        if self.connection.is_none() {
            if self.retry.is_due(now_ns()) {
                self.try_connect();
            }
            return Ok(());
        }
        if self.process.handle_timeout(now_ns()) {
            self.say_statistics();
        }
        match self.write_ready(&mut 0, &mut Progress::new()) {
            Ok(()) => Ok(()),
            Err(Interruption::GivenUp) => Err(self.give_up()),
            Err(Interruption::Broken(error)) => {
                self.disconnect(&error);
                Ok(())
            }
        }
    }

    /// Says the last statistics, ends the stream and waits for the other end to have it all.
    fn finish(&mut self) -> Result<(), Failure> {
        if self.connection.is_none() {
            return Ok(());
        }
        self.say_statistics();
        let mut progress = Progress::new();
        match self.write_ready(&mut 0, &mut progress) {
            Ok(()) => {}
            Err(Interruption::GivenUp) => return Err(self.give_up()),
            Err(Interruption::Broken(error)) => {
                self.disconnect(&error);
                return Ok(());
            }
        }
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        if let Some(tls) = &mut connection.tls {
            tls.close(&connection.stream);
        }
        let _ = connection.stream.shutdown(std::net::Shutdown::Write);
        let mut last = u64::MAX;
        // The end of the stream takes a place in the sequence too, hence 1.
        while let Some(unacknowledged) = connection.unacknowledged().filter(|octets| *octets > 1) {
            if let Err(error) = connection.check_error() {
                self.disconnect(&error);
                return Ok(());
            }
            if unacknowledged < last {
                last = unacknowledged;
                progress.moved();
            }
            if self.context.stop.is_over(progress.at()) {
                return Err(self.give_up());
            }
            self.context.stop.sleep(CONFIRM_PAUSE);
        }
        // A last word may say that all of it was in vain; a collector that has read to the end just closes.
        let begun = Instant::now();
        while begun.elapsed() < LAST_WORD {
            match connection.check_open() {
                Ok(()) => self.context.stop.sleep(CONFIRM_PAUSE),
                Err(error) if connection.misunderstood => {
                    self.disconnect(&error);
                    break;
                }
                Err(_) => break,
            }
        }
        Ok(())
    }
}

/// Why writing stopped.
#[derive(Debug)]
enum Interruption {
    Broken(io::Error),
    GivenUp,
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl Connection {
    /// Connects to the first address that answers, and shakes hands with it where there is TLS.
    fn open(addresses: &[SocketAddr], tls: Option<(&tls::Credentials, &str)>) -> io::Result<Self> {
        let mut last = None;
        for address in addresses {
            match Self::open_one(address, tls) {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    fn open_one(address: &SocketAddr, tls: Option<(&tls::Credentials, &str)>) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(address, CONNECT_TIMEOUT)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_user_timeout(Some(DEAD_PATH_TIMEOUT))?;
        let tls = tls
            .map(|(credentials, host)| tls::Session::open(credentials, host, &stream).map(Box::new))
            .transpose()?;
        Ok(Self {
            stream,
            tls,
            in_flight: InFlight::default(),
            written: 0,
            misunderstood: false,
        })
    }

    /// Whether some of a Message, of which `rest` is not begun, is still to be written.
    fn wants_write(&self, rest: &[u8]) -> bool {
        !rest.is_empty() || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Writes some of `rest`; says how many octets of the wire that were.
    fn write(&mut self, rest: &mut &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => {
                tls.encrypt(std::mem::take(rest))?;
                tls.write(&self.stream)
            }
            None => {
                let written = self.stream.write(rest)?;
                *rest = rest.get(written..).unwrap_or_default();
                Ok(written)
            }
        }
    }

    /// A collector says nothing over IPFIX. The end of its side means that it is gone: the next write would vanish.
    fn check_open(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            return tls.check_open(&self.stream);
        }
        let mut buffer = [0; 512];
        self.stream.set_nonblocking(true)?;
        let read = self.stream.read(&mut buffer);
        self.stream.set_nonblocking(false)?;
        let gone = |why: &str| Err(io::Error::new(io::ErrorKind::ConnectionReset, why));
        match (read, buffer) {
            (Ok(0), _) => gone("closed by the collector"),
            (Ok(_), [TLS_ALERT, TLS_MAJOR, ..]) => {
                self.misunderstood = true;
                gone("the collector speaks TLS; write tls:// with certificates")
            }
            (Ok(_), _) => Ok(()),
            (Err(error), _) if is_timeout(&error) => Ok(()),
            (Err(error), _) => Err(error),
        }
    }

    /// As [`Self::check_open`], at the end, where the collector may close its side.
    fn check_error(&self) -> io::Result<()> {
        match self.stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Octets that the other end has not acknowledged, as far as the system says.
    fn unacknowledged(&self) -> Option<u64> {
        use std::os::fd::AsRawFd;
        let mut octets: libc::c_int = 0;
        // SAFETY: the descriptor is open as long as `stream` lives, and TIOCOUTQ writes one int. There is no safe call
        // for it, and nothing else tells what arrived from what only left.
        let status = unsafe { libc::ioctl(self.stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut octets) };
        (status == 0).then(|| u64::try_from(octets).unwrap_or(0))
    }

    /// Flow Records that were handed to the kernel and not acknowledged.
    fn unconfirmed(&self) -> u64 {
        if self.misunderstood {
            return self.written;
        }
        let mut in_flight = self.in_flight.clone();
        if let Some(octets) = self.unacknowledged() {
            in_flight.handle_unacknowledged(octets);
        }
        in_flight.records()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        && error.raw_os_error() != Some(libc::ETIMEDOUT)
}

/// Messages between our kernel and the other end's acknowledgement, oldest first.
#[derive(Clone, Debug, Default)]
struct InFlight {
    /// Where each ends in the stream, and its Flow Records.
    messages: VecDeque<(u64, u64)>,
    written: u64,
}

impl InFlight {
    /// More than a send buffer holds of the smallest Messages.
    const MAX_MESSAGES: usize = 1 << 16;

    fn add(&mut self, octets: u64, records: u64) {
        self.written += octets;
        let full = self.messages.len() >= Self::MAX_MESSAGES;
        match self.messages.back_mut() {
            Some(last) if full => {
                // The newest share one end: too much would be counted as lost rather than too little.
                *last = (self.written, last.1 + records);
            }
            _ => self.messages.push_back((self.written, records)),
        }
    }

    fn handle_unacknowledged(&mut self, octets: u64) {
        let acknowledged = self.written.saturating_sub(octets);
        while self.messages.front().is_some_and(|(end, _)| *end <= acknowledged) {
            self.messages.pop_front();
        }
    }

    fn records(&self) -> u64 {
        self.messages.iter().map(|(_, records)| records).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_flight_is_what_is_not_acknowledged_to_its_end() {
        let mut in_flight = InFlight::default();
        in_flight.add(100, 5);
        in_flight.add(200, 7);
        in_flight.add(50, 1);
        assert_eq!(in_flight.records(), 13);
        in_flight.handle_unacknowledged(251);
        assert_eq!(in_flight.records(), 13, "one octet of the first is missing");
        in_flight.handle_unacknowledged(250);
        assert_eq!(in_flight.records(), 8);
        in_flight.handle_unacknowledged(0);
        assert_eq!(in_flight.records(), 0);
    }

    #[test]
    fn in_flight_is_bounded_and_errs_to_the_safe_side() {
        let mut in_flight = InFlight::default();
        for _ in 0..InFlight::MAX_MESSAGES + 10 {
            in_flight.add(1, 1);
        }
        assert_eq!(in_flight.messages.len(), InFlight::MAX_MESSAGES);
        in_flight.handle_unacknowledged(1);
        assert_eq!(in_flight.records(), 11);
    }
}
