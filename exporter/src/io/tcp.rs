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

use super::destination::{Context, Progress, Transport};
use super::queue::BatchQueue;
use super::resolve::resolve;
use super::session::{Connector, Courier, Interruption, Link, first_that_answers, transport};
use super::tls;
use crate::config::Endpoint;
use crate::exporting::{DestinationAccounts, Outgoing, limits};

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

/// Where to connect, and what to show where there is TLS.
#[derive(Debug)]
pub(super) struct TcpConnector {
    /// The first that answers is taken.
    endpoints: Vec<Endpoint>,
    credentials: Option<tls::Credentials>,
}

/// One transport session.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    tls: Option<Box<tls::Session>>,
    in_flight: InFlight,
    /// Flow Records written on it.
    written: u64,
    /// What answers cannot have understood any of it.
    misunderstood: bool,
}

impl TcpConnector {
    /// In the clear.
    pub fn new(endpoints: &[Endpoint]) -> Self {
        Self {
            endpoints: endpoints.to_vec(),
            credentials: None,
        }
    }

    /// With TLS on each connection; `name` is the destination's.
    ///
    /// # Errors
    /// One line for people: a certificate or key that is missing or cannot be used.
    pub fn with_tls(endpoints: &[Endpoint], context: &Context, name: &str) -> Result<Self, String> {
        let credentials = match &context.config.tls {
            Some(files) => tls::Credentials::load(files).map_err(|line| format!("{name}: {line}"))?,
            None => return Err(format!("{name}: there is no certificate to show")),
        };
        Ok(Self {
            credentials: Some(credentials),
            ..Self::new(endpoints)
        })
    }

    /// A destination that connects so.
    ///
    /// # Errors
    /// One line for people.
    pub fn destination(
        self,
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Result<Box<dyn Transport + Send>, String> {
        let kind = (TransportKind::Tcp, limits::TCP_MESSAGE_OCTETS);
        transport(self, kind, context, accounts, queue)
    }

    /// Takes up certificates that have changed: a new connection shows the new one.
    fn refresh_credentials(&mut self, name: &str) {
        match self.credentials.as_mut().and_then(tls::Credentials::refresh) {
            None => {}
            Some(Ok(())) => tracing::info!("{name}: certificates have changed and are taken up"),
            Some(Err(line)) => tracing::warn!("{name}: {line}; those read before are used on"),
        }
    }
}

impl Connector for TcpConnector {
    type Link = Connection;

    fn connect(&mut self, name: &str) -> io::Result<Connection> {
        self.refresh_credentials(name);
        let credentials = self.credentials.as_ref();
        first_that_answers(name, &self.endpoints, |endpoint| {
            let tls = credentials.map(|credentials| (credentials, &*endpoint.host));
            resolve(endpoint).and_then(|addresses| Connection::open(&addresses, tls))
        })
    }
}

impl Link for Connection {
    const KIND: &'static str = "connection";

    fn look(&mut self, _courier: &Courier) -> Result<(), Interruption> {
        self.check_open()?;
        self.handle_acknowledged();
        Ok(())
    }

    fn send(&mut self, courier: &Courier, message: &mut Outgoing, progress: &mut Progress) -> Result<(), Interruption> {
        let mut rest = message.bytes.as_slice();
        let mut on_wire = 0;
        while self.wants_write(rest) {
            match self.write(&mut rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => {
                    on_wire += written as u64;
                    progress.moved();
                }
                Err(error) if is_timeout(&error) => {
                    if courier.is_over(progress) {
                        return Err(Interruption::GivenUp);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.in_flight.add(on_wire, u64::from(message.flow_records));
        self.written += u64::from(message.flow_records);
        Ok(())
    }

    fn arrived(&mut self) -> u64 {
        self.handle_acknowledged();
        self.in_flight.arrived
    }

    fn close(&mut self, courier: &Courier, progress: &mut Progress) -> Result<(), Interruption> {
        if let Some(tls) = &mut self.tls {
            tls.close(&self.stream);
        }
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let stop = &courier.context.stop;
        let mut last = u64::MAX;
        // The end of the stream takes a place in the sequence too, hence 1.
        while let Some(unacknowledged) = self.unacknowledged().filter(|octets| *octets > 1) {
            self.check_error()?;
            if unacknowledged < last {
                last = unacknowledged;
                progress.moved();
            }
            if stop.is_over(progress.at()) {
                return Err(Interruption::GivenUp);
            }
            stop.sleep(CONFIRM_PAUSE);
        }
        // A last word may say that all of it was in vain; a collector that has read to the end just closes.
        let begun = Instant::now();
        while begun.elapsed() < LAST_WORD {
            match self.check_open() {
                Ok(()) => stop.sleep(CONFIRM_PAUSE),
                Err(error) if self.misunderstood => return Err(error.into()),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// What the other end said before it broke the connection may say why, unless it has been heard already.
    fn reason(&mut self) -> Option<io::Error> {
        let heard = self.misunderstood;
        let why = self.check_open().err();
        why.filter(|_| self.misunderstood && !heard)
    }

    fn lost(&mut self) -> u64 {
        self.unconfirmed()
    }

    fn abandon(self) -> u64 {
        self.unconfirmed()
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

    fn handle_acknowledged(&mut self) {
        if let Some(unacknowledged) = self.unacknowledged() {
            self.in_flight.handle_unacknowledged(unacknowledged);
        }
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
    messages: VecDeque<Sent>,
    written: u64,
    /// Messages that were acknowledged whole.
    arrived: u64,
}

/// One Message, or several that share their end.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Where it ends in the stream.
    end: u64,
    flow_records: u64,
    messages: u64,
}

impl InFlight {
    /// More than a send buffer holds of the smallest Messages.
    const MAX_MESSAGES: usize = 1 << 16;

    fn add(&mut self, octets: u64, flow_records: u64) {
        self.written += octets;
        let full = self.messages.len() >= Self::MAX_MESSAGES;
        match self.messages.back_mut() {
            Some(last) if full => {
                // The newest share one end: too much would be counted as lost rather than too little.
                last.end = self.written;
                last.flow_records += flow_records;
                last.messages += 1;
            }
            _ => self.messages.push_back(Sent {
                end: self.written,
                flow_records,
                messages: 1,
            }),
        }
    }

    fn handle_unacknowledged(&mut self, octets: u64) {
        let acknowledged = self.written.saturating_sub(octets);
        while let Some(first) = self.messages.front().filter(|first| first.end <= acknowledged) {
            self.arrived += first.messages;
            self.messages.pop_front();
        }
    }

    fn records(&self) -> u64 {
        self.messages.iter().map(|sent| sent.flow_records).sum()
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
        assert_eq!(in_flight.arrived, 1);
        in_flight.handle_unacknowledged(0);
        assert_eq!((in_flight.records(), in_flight.arrived), (0, 3));
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
        in_flight.handle_unacknowledged(0);
        assert_eq!(in_flight.arrived, InFlight::MAX_MESSAGES as u64 + 10);
    }
}
