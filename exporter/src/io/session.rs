//! What every destination does that has a connection: connects, tries again with pauses, hands Messages to the connection,
//! and counts what was on its way when that breaks (RFC 7011 section 10: one connection is one transport session).

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowgauge_templates::management::TransportKind;

use super::destination::{Context, Failure, Progress, Transport, now_ns};
use super::log_limit::LogLimit;
use super::queue::{Batch, BatchQueue};
use super::retry::{Retry, seed};
use super::spooled::Spooled;
use crate::config::Endpoint;
use crate::exporting::{DestinationAccounts, ExportingProcess, Loss, Outgoing};

/// Why sending stopped.
#[derive(Debug)]
pub(super) enum Interruption {
    Broken(io::Error),
    GivenUp,
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Makes connections.
pub(super) trait Connector {
    type Link: Link;

    /// Tries once; `name` is the destination's, for the log.
    fn connect(&mut self, name: &str) -> io::Result<Self::Link>;
}

/// One connection, or what the transport calls it.
pub(super) trait Link: Sized {
    /// What people call it.
    const KIND: &'static str;

    /// Looks whether it still stands, and takes up what the system has to tell.
    fn look(&mut self, courier: &Courier) -> Result<(), Interruption>;

    /// Hands one Message to the system, whole.
    fn send(&mut self, courier: &Courier, message: &mut Outgoing, progress: &mut Progress) -> Result<(), Interruption>;

    /// How many of the Messages that were sent, counted from the first, the other end's system has for certain.
    fn arrived(&mut self) -> u64;

    /// Ends it after the last Message, and waits for the other end to have it all.
    fn close(&mut self, courier: &Courier, progress: &mut Progress) -> Result<(), Interruption>;

    /// A better reason for its end than what the system said, if the other end gave one.
    fn reason(&mut self) -> Option<io::Error> {
        None
    }

    /// Flow Records that were on their way when it broke.
    fn lost(&mut self) -> u64;

    /// Leaves it at once; Flow Records that may not have arrived.
    fn abandon(self) -> u64;
}

/// On whose behalf Messages are sent, and where that is counted.
#[derive(Debug)]
pub(super) struct Courier {
    pub context: Context,
    pub accounts: Arc<DestinationAccounts>,
}

impl Courier {
    /// Whether something that last moved at `progress` is to be given up.
    pub fn is_over(&self, progress: &Progress) -> bool {
        self.context.stop.is_over(progress.at())
    }

    fn lose(&self, records: u64) {
        self.accounts.move_to_lost(now_ns(), Loss::Unconfirmed, records);
    }
}

/// Connects to the first of several collectors that answers: to the one that is meant, or to one that stands in for it.
pub(super) fn first_that_answers<L>(
    name: &str,
    endpoints: &[Endpoint],
    mut connect: impl FnMut(&Endpoint) -> io::Result<L>,
) -> io::Result<L> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (place, endpoint) in endpoints.iter().enumerate() {
        match connect(endpoint) {
            Ok(link) => {
                if place > 0 {
                    tracing::warn!("{name}: {endpoint} stands in");
                }
                return Ok(link);
            }
            Err(error) if endpoints.len() > 1 => last = io::Error::new(error.kind(), format!("{endpoint}: {error}")),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A destination by such connections: with a spool where one is asked for.
///
/// # Errors
/// One line for people.
pub(super) fn transport<C>(
    connector: C,
    kind: (TransportKind, u16),
    context: &Context,
    accounts: Arc<DestinationAccounts>,
    queue: Arc<BatchQueue>,
) -> Result<Box<dyn Transport + Send>, String>
where
    C: Connector + Send + 'static,
    C::Link: Send,
{
    Ok(match &context.config.spool {
        Some(spool) => Box::new(Spooled::start(connector, kind, spool, context, accounts, &queue)?),
        None => Box::new(Connected::new(connector, kind, context, accounts, queue)?),
    })
}

/// Connects, and tries again with pauses that grow.
#[derive(Debug)]
pub(super) struct Dialer<C> {
    connector: C,
    retry: Retry,
    away: LogLimit,
}

impl<C: Connector> Dialer<C> {
    pub fn new(connector: C) -> Self {
        Self {
            connector,
            retry: Retry::new(seed()),
            away: LogLimit::default(),
        }
    }

    /// How long until the next try is due.
    pub fn wait(&self) -> Duration {
        self.retry.wait(now_ns())
    }

    /// Tries that failed in a row.
    pub fn failures(&self) -> u64 {
        self.retry.failures()
    }

    /// Tries once, if that is due; `waiting` says what waits meanwhile, for the log.
    pub fn try_connect(&mut self, courier: &Courier, waiting: impl FnOnce() -> String) -> Option<C::Link> {
        if !self.retry.is_due(now_ns()) {
            return None;
        }
        let name = &courier.accounts.name;
        match self.connector.connect(name) {
            Ok(link) => {
                match self.retry.failures() {
                    0 => tracing::info!("{name}: connected"),
                    failures => tracing::info!("{name}: connected after {failures} failed tries"),
                }
                self.retry.handle_success(now_ns());
                courier.accounts.add_connection();
                Some(link)
            }
            Err(error) => {
                courier.accounts.add_send_error();
                let wait = self.retry.handle_failure(now_ns());
                if self.away.permit(Instant::now()).is_some() {
                    let (waiting, wait) = (waiting(), wait.as_secs_f64());
                    tracing::warn!("{name}: cannot connect: {error}; {waiting}, trying again in {wait:.1} s");
                }
                None
            }
        }
    }

    /// What it had connected is over: says when the next try is due.
    pub fn handle_lost(&mut self) -> Duration {
        self.retry.handle_failure(now_ns())
    }
}

/// A destination that is connected whenever it can be.
#[derive(Debug)]
pub(super) struct Connected<C: Connector> {
    dialer: Dialer<C>,
    process: ExportingProcess,
    courier: Courier,
    queue: Arc<BatchQueue>,
    link: Option<C::Link>,
}

impl<C: Connector> Connected<C> {
    /// Connects later: a collector that is away is no reason not to start.
    ///
    /// # Errors
    /// One line for people.
    pub fn new(
        connector: C,
        (transport, max_message_octets): (TransportKind, u16),
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Result<Self, String> {
        Ok(Self {
            dialer: Dialer::new(connector),
            process: context.exporting_process(transport, max_message_octets)?,
            courier: Courier {
                context: context.clone(),
                accounts,
            },
            queue,
            link: None,
        })
    }

    /// Waits until there is a connection.
    fn connect(&mut self, progress: &Progress) -> Result<(), Failure> {
        while self.link.is_none() {
            let wait = self.dialer.wait();
            if !wait.is_zero() {
                self.courier.context.stop.sleep(wait.min(Duration::from_secs(1)));
            }
            self.try_connect();
            if self.link.is_none() && self.courier.is_over(progress) {
                return Err(Failure::GivenUp);
            }
        }
        Ok(())
    }

    fn try_connect(&mut self) {
        let queue = &self.queue;
        let waiting = || format!("{} records wait", queue.records());
        self.link = self.dialer.try_connect(&self.courier, waiting);
    }

    /// Forgets the connection and counts what was on its way.
    fn disconnect(&mut self, error: &io::Error) {
        let Some(mut link) = self.link.take() else {
            return;
        };
        let reason = link.reason();
        let error = reason.as_ref().unwrap_or(error);
        let lost = link.lost();
        self.courier.lose(lost);
        self.process.restart();
        let wait = self.dialer.handle_lost();
        tracing::warn!(
            "{}: {} lost: {error}; {lost} records were on their way, trying again in {:.1} s",
            self.courier.accounts.name,
            C::Link::KIND,
            wait.as_secs_f64()
        );
    }

    /// Gives up; what the other end has not confirmed is lost.
    fn give_up(&mut self) -> Failure {
        if let Some(link) = self.link.take() {
            let lost = link.abandon();
            self.courier.lose(lost);
        }
        Failure::GivenUp
    }

    /// Sends what is ready; `done` grows by the Flow Records that the system has taken whole.
    fn send_ready(&mut self, done: &mut usize, progress: &mut Progress) -> Result<(), Interruption> {
        let Some(link) = &mut self.link else { return Ok(()) };
        link.look(&self.courier)?;
        while let Some(mut message) = self.process.poll_message() {
            link.send(&self.courier, &mut message, progress)?;
            *done += message.flow_records as usize;
            self.courier
                .accounts
                .add_exported(u64::from(message.flow_records), message.bytes.len() as u64);
            self.process.recycle(message.bytes);
        }
        link.look(&self.courier)
    }

    fn say_statistics(&mut self) {
        let statistics = self.courier.context.statistics(&self.courier.accounts);
        self.process.handle_statistics(now_ns(), &statistics);
    }

    /// A connection that broke while nothing waited for it is made again later.
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

impl<C: Connector> Transport for Connected<C> {
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
            self.courier.accounts.add_reduced(self.process.take_reduced());
            match self.send_ready(&mut done, &mut progress) {
                Ok(()) if done == batch.len() => return Ok(()),
                Ok(()) => {
                    let name = &self.courier.accounts.name;
                    let failure = Failure::Broken(format!("{name}: a record could not be encoded"));
                    return Err((failure, batch.len() - done));
                }
                Err(Interruption::GivenUp) => return Err((self.give_up(), batch.len() - done)),
                Err(Interruption::Broken(error)) => self.disconnect(&error),
            }
        }
    }

    fn handle_timeout(&mut self) -> Result<(), Failure> {
        if self.link.is_none() {
            self.try_connect();
            return Ok(());
        }
        if self.process.handle_timeout(now_ns()) {
            self.say_statistics();
        }
        let sent = self.send_ready(&mut 0, &mut Progress::new());
        self.settle(sent)
    }

    /// Says the last statistics and ends the connection.
    fn finish(&mut self) -> Result<(), Failure> {
        if self.link.is_none() {
            return Ok(());
        }
        self.say_statistics();
        let mut progress = Progress::new();
        let sent = self.send_ready(&mut 0, &mut progress);
        self.settle(sent)?;
        let closed = match &mut self.link {
            Some(link) => link.close(&self.courier, &mut progress),
            None => Ok(()),
        };
        self.settle(closed)
    }
}
