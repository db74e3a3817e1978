//! Lines on a TCP connection: made again when it breaks, each line whole on one connection, and what the other end has
//! not acknowledged when it breaks counted as lost.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{LineSink, Lines};
use crate::config::Endpoint;
use crate::exporting::{DestinationAccounts, Loss};
use crate::io::destination::{Context, Failure, Progress, now_ns};
use crate::io::log_limit::LogLimit;
use crate::io::patience::Stop;
use crate::io::queue::BatchQueue;
use crate::io::resolve::resolve;
use crate::io::retry::{Retry, seed};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one write blocks before we look whether to give up.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// A path that acknowledges nothing for this long is dead.
const DEAD_PATH_TIMEOUT: Duration = Duration::from_secs(30);
/// How often we look whether the end has arrived.
const CONFIRM_PAUSE: Duration = Duration::from_millis(5);
/// How long to sleep at a time between tries.
const NAP: Duration = Duration::from_secs(1);
/// Lines followed until they are acknowledged: more than a send buffer holds of the shortest.
const MAX_FOLLOWED: usize = 1 << 16;

/// Puts lines into frames.
pub(super) trait Framing {
    /// Appends the frames of all lines to `out`, and where each ends to `ends`.
    fn frame(&self, lines: &Lines, out: &mut Vec<u8>, ends: &mut Vec<usize>);
}

/// Each line ends with a newline (RFC 6587 section 3.4.2 calls it non-transparent: JSON has none within).
#[derive(Debug)]
pub(in crate::io) struct Newlines;

impl Framing for Newlines {
    fn frame(&self, lines: &Lines, out: &mut Vec<u8>, ends: &mut Vec<usize>) {
        out.extend_from_slice(lines.text());
        ends.extend(lines.ends());
    }
}

/// Frames on a connection, whenever there is one.
#[derive(Debug)]
pub(in crate::io) struct LineStream<F> {
    endpoint: Endpoint,
    framing: F,
    stop: Arc<Stop>,
    accounts: Arc<DestinationAccounts>,
    queue: Arc<BatchQueue>,
    link: Option<Link>,
    retry: Retry,
    away: LogLimit,
    frames: Vec<u8>,
    ends: Vec<usize>,
}

/// Why sending stopped.
enum Interruption {
    Broken(io::Error),
    GivenUp,
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// One connection.
#[derive(Debug)]
struct Link {
    stream: TcpStream,
    written: u64,
    /// Where lines end that may not be acknowledged, and how many end there.
    followed: VecDeque<(u64, u64)>,
}

impl<F: Framing> LineStream<F> {
    /// Connects later: a server that is away is no reason not to start.
    pub fn new(
        endpoint: &Endpoint,
        framing: F,
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Self {
        Self {
            endpoint: endpoint.clone(),
            framing,
            stop: context.stop.clone(),
            accounts,
            queue,
            link: None,
            retry: Retry::new(seed()),
            away: LogLimit::default(),
            frames: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Waits until there is a connection.
    fn connect(&mut self, progress: &Progress) -> Result<(), Failure> {
        while self.link.is_none() {
            let wait = self.retry.wait(now_ns());
            if !wait.is_zero() {
                self.stop.sleep(wait.min(NAP));
            }
            if self.retry.is_due(now_ns()) {
                self.try_connect();
            }
            if self.link.is_none() && self.stop.is_over(progress.at()) {
                return Err(Failure::GivenUp);
            }
        }
        Ok(())
    }

    fn try_connect(&mut self) {
        let name = &self.accounts.name;
        match resolve(&self.endpoint).and_then(|addresses| Link::open(&addresses)) {
            Ok(link) => {
                match self.retry.failures() {
                    0 => tracing::info!("{name}: connected"),
                    failures => tracing::info!("{name}: connected after {failures} failed tries"),
                }
                self.retry.handle_success(now_ns());
                self.accounts.add_connection();
                self.link = Some(link);
            }
            Err(error) => {
                self.accounts.add_send_error();
                let wait = self.retry.handle_failure(now_ns());
                if self.away.permit(Instant::now()).is_some() {
                    let (waiting, wait) = (self.queue.records(), wait.as_secs_f64());
                    tracing::warn!(
                        "{name}: cannot connect: {error}; {waiting} records wait, trying again in {wait:.1} s"
                    );
                }
            }
        }
    }

    /// Forgets the connection and counts what was on its way.
    fn disconnect(&mut self, error: &io::Error) {
        let Some(mut link) = self.link.take() else { return };
        let lost = link.unconfirmed();
        self.accounts.move_to_lost(now_ns(), Loss::Unconfirmed, lost);
        let wait = self.retry.handle_failure(now_ns());
        tracing::warn!(
            "{}: connection lost: {error}; {lost} records were on their way, trying again in {:.1} s",
            self.accounts.name,
            wait.as_secs_f64()
        );
    }

    /// Gives up; what the other end has not confirmed is lost.
    fn give_up(&mut self) -> Failure {
        if let Some(mut link) = self.link.take() {
            let lost = link.unconfirmed();
            self.accounts.move_to_lost(now_ns(), Loss::Unconfirmed, lost);
        }
        Failure::GivenUp
    }

    /// Writes frames from that of the line `done`, which grows by those that the kernel has taken whole.
    fn write(&mut self, done: &mut usize, progress: &mut Progress) -> Result<(), Interruption> {
        let Some(link) = &mut self.link else { return Ok(()) };
        link.check_open()?;
        let mut at = match done.checked_sub(1) {
            Some(last) => self.ends.get(last).copied().unwrap_or_default(),
            None => 0,
        };
        while let Some(rest) = self.frames.get(at..).filter(|rest| !rest.is_empty()) {
            match link.stream.write(rest) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => {
                    let begin = link.written.wrapping_sub(at as u64);
                    at += written;
                    link.written += written as u64;
                    let (lines, octets) = (*done, written as u64);
                    while self.ends.get(*done).is_some_and(|end| *end <= at) {
                        let end = self.ends.get(*done).copied().unwrap_or_default();
                        link.follow(begin.wrapping_add(end as u64));
                        *done += 1;
                    }
                    self.accounts.add_exported((*done - lines) as u64, octets);
                    progress.moved();
                }
                Err(error) if is_timeout(&error) => {
                    if self.stop.is_over(progress.at()) {
                        return Err(Interruption::GivenUp);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        link.forget_acknowledged();
        Ok(())
    }

    fn settle(&mut self, result: Result<(), Interruption>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(Interruption::GivenUp) => Err(self.give_up()),
            Err(Interruption::Broken(error)) => {
                self.disconnect(&error);
                Ok(())
            }
        }
    }
}

impl<F: Framing> LineSink for LineStream<F> {
    fn send(&mut self, lines: &Lines) -> Result<(), (Failure, usize)> {
        self.frames.clear();
        self.ends.clear();
        self.framing.frame(lines, &mut self.frames, &mut self.ends);
        let mut progress = Progress::new();
        let mut done = 0;
        loop {
            self.connect(&progress)
                .map_err(|failure| (failure, lines.len() - done))?;
            let written = self.write(&mut done, &mut progress);
            self.settle(written).map_err(|failure| (failure, lines.len() - done))?;
            if done == lines.len() {
                return Ok(());
            }
        }
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        match &mut self.link {
            None if self.retry.is_due(now_ns()) => self.try_connect(),
            None => {}
            Some(link) => {
                let open = link.check_open().map_err(Interruption::Broken);
                self.settle(open)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let stop = self.stop.clone();
        let closed = self.link.as_mut().map_or(Ok(()), |link| link.close(&stop));
        self.settle(closed)
    }
}

impl Link {
    fn open(addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut last = None;
        for address in addresses {
            match Self::open_one(address) {
                Ok(link) => return Ok(link),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    fn open_one(address: &SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(address, CONNECT_TIMEOUT)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_tcp_user_timeout(Some(DEAD_PATH_TIMEOUT))?;
        Ok(Self {
            stream,
            written: 0,
            followed: VecDeque::new(),
        })
    }

    /// What a server says is no part of the protocol. The end of its side means that it is gone: the next write would
    /// vanish.
    fn check_open(&mut self) -> io::Result<()> {
        let mut said = [0; 512];
        self.stream.set_nonblocking(true)?;
        let read = self.stream.read(&mut said);
        self.stream.set_nonblocking(false)?;
        match read {
            Ok(0) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "closed by the server")),
            Ok(_) => Ok(()),
            Err(error) if is_timeout(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn follow(&mut self, end: u64) {
        let full = self.followed.len() >= MAX_FOLLOWED;
        match self.followed.back_mut() {
            // The newest share one end: too much would count as lost rather than too little.
            Some(last) if full => *last = (end, last.1 + 1),
            _ => self.followed.push_back((end, 1)),
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

    fn forget_acknowledged(&mut self) {
        let Some(octets) = self.unacknowledged() else { return };
        let acknowledged = self.written.saturating_sub(octets);
        while self.followed.front().is_some_and(|(end, _)| *end <= acknowledged) {
            self.followed.pop_front();
        }
    }

    /// Lines that were handed to the kernel and not acknowledged.
    fn unconfirmed(&mut self) -> u64 {
        self.forget_acknowledged();
        self.followed.iter().map(|(_, lines)| lines).sum()
    }

    /// Ends our side and waits until the other has it all.
    fn close(&mut self, stop: &Stop) -> Result<(), Interruption> {
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut progress = Progress::new();
        let mut last = u64::MAX;
        // The end of the stream takes a place in the sequence too, hence 1.
        while let Some(octets) = self.unacknowledged().filter(|octets| *octets > 1) {
            if let Some(error) = self.stream.take_error()? {
                return Err(error.into());
            }
            if octets < last {
                last = octets;
                progress.moved();
            }
            if stop.is_over(progress.at()) {
                return Err(Interruption::GivenUp);
            }
            stop.sleep(CONFIRM_PAUSE);
        }
        self.followed.clear();
        Ok(())
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
        && error.raw_os_error() != Some(libc::ETIMEDOUT)
}
