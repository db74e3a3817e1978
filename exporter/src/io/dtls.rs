//! IPFIX over DTLS (RFC 7011 sections 10.3 and 11): one Message a record and a datagram, templates repeated as over UDP,
//! each end with a certificate that the other checks.
//!
//! A session is a connection that may break unheard. DTLS 1.2 in OpenSSL has no heartbeat, so the collector is asked now
//! and then with a ClientHello, which it answers without minding it. When it does not, or says that it does not know the
//! session, or nobody listens there any more, what was sent since its last answer is counted as lost.

mod credentials;
mod doubt;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowgauge_templates::management::TransportKind;
use openssl::rand::rand_bytes;
use openssl::ssl::{ErrorCode, SslStream};

use self::credentials::{Credentials, RECORD_OCTETS, explain};
use self::doubt::Doubt;
use self::wire::{Wire, hello};
use super::destination::{Context, Progress, Transport, now_ns};
use super::pace::Pace;
use super::queue::BatchQueue;
use super::resolve::resolve;
use super::session::{Connector, Courier, Interruption, Link, first_that_answers, transport};
use super::udp;
use crate::config::Endpoint;
use crate::exporting::{DestinationAccounts, Outgoing, limits};

/// How long a collector may take from the first octet to its word that it takes us.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a handshake looks at the time; what is not answered is said again by OpenSSL's own clock.
const STEP: Duration = Duration::from_millis(50);
/// A collector that has answered before and does not for this long is gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// One that never has for this long does not answer at all.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);
/// How soon something that was asked is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// How long the last answer may take.
const LAST_WORD: Duration = Duration::from_secs(1);
/// While nothing is sent, checks are this many times rarer.
const IDLE_FACTOR: u32 = 10;
/// Reading files, octets on their way of which nobody knows: half of what an untuned receive buffer holds (208 KiB, of which
/// the kernel's bookkeeping takes much).
const WINDOW_OCTETS: u64 = 48 * 1400;
/// How often, at most, what the collector says is heard while Messages are sent one behind the other.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Pauses shorter than this are saved up.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// A DTLS record has no more in it (RFC 6347 section 4.1).
const MAX_RECORD_OCTETS: u16 = 1 << 14;

/// Where to connect, and how.
#[derive(Debug)]
pub(super) struct DtlsConnector {
    /// The first that answers is taken.
    endpoints: Vec<Endpoint>,
    credentials: Credentials,
    mtu: u16,
    check: Duration,
    /// Nothing is lost by reading too quickly what is in files.
    from_files: bool,
    rate: Option<u64>,
}

/// One transport session.
pub(super) struct Session {
    stream: SslStream<Wire>,
    doubt: Doubt,
    /// How often to ask whether the collector is there; zero for never.
    check: Duration,
    from_files: bool,
    /// Reading files, Messages of which nobody knows.
    window: u64,
    pace: Option<Pace>,
    looked: Instant,
}

impl DtlsConnector {
    /// A destination there.
    ///
    /// # Errors
    /// One line for people: a certificate or key that is missing or cannot be used.
    pub fn destination(
        endpoints: &[Endpoint],
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Result<Box<dyn Transport + Send>, String> {
        let name = &accounts.name;
        let config = &context.config;
        let credentials = match &config.tls {
            Some(files) => Credentials::load(files).map_err(|line| format!("{name}: {line}"))?,
            None => return Err(format!("{name}: there is no certificate to show")),
        };
        let connector = Self {
            endpoints: endpoints.to_vec(),
            credentials,
            mtu: config.mtu,
            check: config.dtls_check,
            from_files: context.from_files,
            rate: config.rate,
        };
        transport(
            connector,
            (TransportKind::Udp, message_octets(config.mtu)),
            context,
            accounts,
            queue,
        )
    }

    /// Takes up certificates that have changed: a new session shows the new one.
    fn refresh_credentials(&mut self, name: &str) {
        match self.credentials.refresh() {
            None => {}
            Some(Ok(())) => tracing::info!("{name}: certificates have changed and are taken up"),
            Some(Err(line)) => tracing::warn!("{name}: {line}; those read before are used on"),
        }
    }

    /// With the first address of a collector that answers.
    fn open_any(&self, endpoint: &Endpoint) -> io::Result<Session> {
        let mut last = None;
        for address in resolve(endpoint)? {
            match self.open(&endpoint.host, address) {
                Ok(session) => return Ok(session),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    fn open(&self, host: &str, address: SocketAddr) -> io::Result<Session> {
        let socket = udp::connect(&[address])?;
        socket.set_read_timeout(Some(STEP))?;
        let ssl = self.credentials.session(host, self.mtu)?;
        let mut stream = SslStream::new(ssl, Wire::new(socket)).map_err(io::Error::other)?;
        let begun = Instant::now();
        loop {
            match stream.do_handshake() {
                Ok(()) => break,
                Err(error) if is_pause(error.code()) && begun.elapsed() < HANDSHAKE_TIMEOUT => {}
                Err(error) if is_pause(error.code()) => {
                    let line = match stream.get_ref().is_misunderstood {
                        true => "what answers there does not speak DTLS; is it a DTLS listener (dtls://)?",
                        false => "no end to the DTLS handshake within 5 s; is it a DTLS listener (dtls://)?",
                    };
                    return Err(io::Error::new(io::ErrorKind::TimedOut, line));
                }
                Err(error) => return Err(self.credentials.explain(stream.ssl(), error, host)),
            }
        }
        stream.get_mut().handle_shaken();
        Ok(Session {
            stream,
            doubt: Doubt::new(Instant::now()),
            check: self.check,
            from_files: self.from_files,
            window: (WINDOW_OCTETS / u64::from(self.mtu)).max(2),
            pace: Pace::new(self.rate),
            looked: Instant::now(),
        })
    }
}

/// A Message that makes, within a record, a datagram of `mtu` octets; templates do not fit into less than the least.
fn message_octets(mtu: u16) -> u16 {
    mtu.saturating_sub(RECORD_OCTETS)
        .clamp(limits::MIN_UDP_MESSAGE_OCTETS, MAX_RECORD_OCTETS)
}

fn is_pause(code: ErrorCode) -> bool {
    code == ErrorCode::WANT_READ || code == ErrorCode::WANT_WRITE
}

impl Connector for DtlsConnector {
    type Link = Session;

    fn connect(&mut self, name: &str) -> io::Result<Session> {
        self.refresh_credentials(name);
        first_that_answers(name, &self.endpoints, |endpoint| self.open_any(endpoint))
    }
}

impl Link for Session {
    const KIND: &'static str = "session";

    fn look(&mut self, courier: &Courier) -> Result<(), Interruption> {
        self.hear(false)?;
        let now = Instant::now();
        self.looked = now;
        self.judge(courier, now)?;
        let interval = match self.doubt.messages() {
            0 => self.check.saturating_mul(IDLE_FACTOR),
            _ => self.check,
        };
        let again = !self.doubt.unanswered_for(now).is_zero() && self.doubt.since_check(now) >= ASK_AGAIN;
        if !self.check.is_zero() && (again || self.doubt.since_check(now) >= interval) {
            self.ask(now)?;
        }
        Ok(())
    }

    fn send(&mut self, courier: &Courier, message: &mut Outgoing, progress: &mut Progress) -> Result<(), Interruption> {
        // A batch takes long where a rate is kept.
        if self.looked.elapsed() >= LOOK_INTERVAL {
            self.look(courier)?;
        }
        if self.from_files && !self.check.is_zero() {
            self.wait_for_room(courier, progress)?;
        }
        loop {
            match self.stream.ssl_write(&message.bytes) {
                Ok(_) => break,
                Err(error) if is_pause(error.code()) => {
                    if courier.is_over(progress) {
                        return Err(Interruption::GivenUp);
                    }
                }
                Err(error) => return Err(broken(error).into()),
            }
        }
        progress.moved();
        self.doubt.handle_sent(Instant::now(), message.flow_records);
        let cost = u64::from(message.flow_records).max(1);
        let pause = self.pace.as_mut().map(|pace| pace.handle_sent(now_ns(), cost));
        if let Some(pause) = pause.filter(|pause| *pause >= LEAST_PAUSE) {
            courier.context.stop.sleep(pause);
        }
        Ok(())
    }

    fn arrived(&mut self) -> u64 {
        self.doubt.arrived(Instant::now())
    }

    fn close(&mut self, courier: &Courier, _progress: &mut Progress) -> Result<(), Interruption> {
        let begun = Instant::now();
        if !self.check.is_zero() && self.doubt.messages() > 0 {
            self.ask(begun)?;
        }
        while !self.check.is_zero() && self.doubt.messages() > 0 && begun.elapsed() < LAST_WORD {
            self.hear(true)?;
            let now = Instant::now();
            self.judge(courier, now)?;
            if self.doubt.since_check(now) >= ASK_AGAIN {
                self.ask(now)?;
            }
        }
        if self.doubt.has_answered() && self.doubt.messages() > 0 {
            let line = "the collector does not answer any more";
            return Err(io::Error::new(io::ErrorKind::TimedOut, line).into());
        }
        // Says that nothing more will come; where it is lost, the collector finds out by the silence.
        let _ = self.stream.shutdown();
        if self.doubt.messages() > 0 {
            let name = &courier.accounts.name;
            tracing::info!("{name}: the collector confirms nothing; what it did not get, it tells by sequence numbers");
        }
        Ok(())
    }

    /// A collector that ended the session in good order may be gone already when the next datagram finds nobody.
    fn reason(&mut self) -> Option<io::Error> {
        self.hear(false).err()
    }

    fn lost(&mut self) -> u64 {
        self.doubt.records(Instant::now())
    }

    fn abandon(mut self) -> u64 {
        let _ = self.stream.shutdown();
        self.lost()
    }
}

impl Session {
    /// Takes up what the collector has said meanwhile, or says next: the end, and answers to checks.
    fn hear(&mut self, is_waiting: bool) -> io::Result<()> {
        if !is_waiting {
            self.stream.get_ref().socket().set_nonblocking(true)?;
        }
        let heard = loop {
            // Nothing is expected within the session, and nothing kept.
            match self.stream.ssl_read(&mut [0; 64]) {
                Ok(_) => {}
                Err(error) if is_pause(error.code()) => match self.stream.get_mut().answered.take() {
                    Some(number) => {
                        self.doubt.handle_answer(number);
                        if is_waiting {
                            break Ok(());
                        }
                    }
                    None => break Ok(()),
                },
                Err(error) => break Err(broken(error)),
            }
        };
        if !is_waiting {
            self.stream.get_ref().socket().set_nonblocking(false)?;
        }
        heard?;
        if self.stream.get_ref().is_unknown {
            let line = "the collector does not know the session any more; was it started anew?";
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, line));
        }
        Ok(())
    }

    /// Sends a hello.
    fn ask(&mut self, now: Instant) -> io::Result<()> {
        let mut random = [0; 32];
        rand_bytes(&mut random).map_err(io::Error::other)?;
        let number = self.doubt.begin_check(now);
        match self.stream.get_ref().socket().send(&hello(number, &random)) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(refused(error)),
            _ => Ok(()),
        }
    }

    /// Whether the silence is too long.
    fn judge(&mut self, courier: &Courier, now: Instant) -> io::Result<()> {
        let silence = self.doubt.unanswered_for(now);
        if self.doubt.has_answered() && silence >= PATIENCE {
            let line = "the collector does not answer any more";
            return Err(io::Error::new(io::ErrorKind::TimedOut, line));
        }
        if !self.doubt.has_answered() && silence >= FIRST_PATIENCE && !self.check.is_zero() {
            let name = &courier.accounts.name;
            tracing::info!("{name}: the collector answers no hello beside a session: what it gets cannot be confirmed");
            self.check = Duration::ZERO;
            if self.from_files && self.pace.is_none() {
                self.pace = Pace::new(Some(limits::FILE_RATE_RECORDS));
            }
        }
        Ok(())
    }

    /// Waits until the collector has read enough of what was sent.
    fn wait_for_room(&mut self, courier: &Courier, progress: &mut Progress) -> Result<(), Interruption> {
        if self.doubt.unchecked() >= self.window / 2 {
            self.ask(Instant::now())?;
            self.hear(false)?;
        }
        while self.doubt.messages() >= self.window && !self.check.is_zero() {
            self.hear(true)?;
            let now = Instant::now();
            self.judge(courier, now)?;
            if self.doubt.since_check(now) >= ASK_AGAIN {
                self.ask(now)?;
            }
            if courier.is_over(progress) {
                return Err(Interruption::GivenUp);
            }
        }
        Ok(())
    }
}

/// Why a session ended.
fn broken(error: openssl::ssl::Error) -> io::Error {
    match error.into_io_error() {
        Ok(error) => refused(error),
        Err(error) => io::Error::new(io::ErrorKind::ConnectionReset, explain(&error)),
    }
}

fn refused(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => io::Error::new(error.kind(), "nobody listens there any more"),
        _ => error,
    }
}

#[cfg(test)]
mod tests;
