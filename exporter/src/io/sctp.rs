//! IPFIX over SCTP (RFC 7011 section 10.2): one association is one session, a Message is one of SCTP's.
//!
//! Templates and options go by stream 0, reliable and in order; Flow Records by stream 1, reliable unless they are given a
//! lifetime. Each stream counts its own sequence (RFC 7011 section 3.1). The system says which Messages did not arrive,
//! so that what is lost with an association, or given up for its age, is counted to the record.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowgauge_templates::management::TransportKind;

use super::destination::{Context, Failure, Progress, Transport, now_ns};
use super::log_limit::LogLimit;
use super::queue::{Batch, BatchQueue};
use super::resolve::resolve;
use super::retry::{Retry, seed};
use super::sctp_socket::{Event, SctpSocket, is_missing};
use crate::config::Endpoint;
use crate::exporting::{DestinationAccounts, ExportingProcess, Loss, Outgoing};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long Flow Records wait for their templates, which another stream carries, to be acknowledged.
const TEMPLATES_FIRST: Duration = Duration::from_millis(500);
/// How often we look whether something was acknowledged.
const CONFIRM_PAUSE: Duration = Duration::from_millis(2);

/// Templates and options.
const CONTROL: u16 = 0;
/// Flow Records.
const DATA: u16 = 1;
const STREAMS: u16 = 2;

/// A collector by SCTP.
#[derive(Debug)]
pub struct Sctp {
    endpoint: Endpoint,
    process: ExportingProcess,
    context: Context,
    accounts: Arc<DestinationAccounts>,
    queue: Arc<BatchQueue>,
    association: Option<Association>,
    retry: Retry,
    away: LogLimit,
}

/// One transport session.
#[derive(Debug)]
struct Association {
    socket: SctpSocket,
    sequences: Sequences,
    in_flight: InFlight,
    /// Templates were sent and may not have arrived.
    templates_on_way: bool,
}

/// Why sending stopped.
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

impl Sctp {
    /// Connects later: a collector that is away is no reason not to start.
    ///
    /// # Errors
    /// One line for people: no SCTP in this kernel, for one.
    pub fn new(
        endpoint: &Endpoint,
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Result<Self, String> {
        if let Some(line) = is_missing() {
            return Err(format!("{}: {line}", accounts.name));
        }
        Ok(Self {
            endpoint: endpoint.clone(),
            process: context.exporting_process(TransportKind::Sctp, context.config.mtu)?,
            context: context.clone(),
            accounts,
            queue,
            association: None,
            retry: Retry::new(seed()),
            away: LogLimit::default(),
        })
    }

    /// Waits until there is an association.
    fn connect(&mut self, progress: &Progress) -> Result<(), Failure> {
        while self.association.is_none() {
            let wait = self.retry.wait(now_ns());
            if !wait.is_zero() {
                self.context.stop.sleep(wait.min(Duration::from_secs(1)));
            }
            if self.retry.is_due(now_ns()) {
                self.try_connect();
            }
            if self.association.is_none() && self.context.stop.is_over(progress.at()) {
                return Err(Failure::GivenUp);
            }
        }
        Ok(())
    }

    fn try_connect(&mut self) {
        match resolve(&self.endpoint).and_then(|addresses| Association::open(&addresses)) {
            Ok(association) => {
                let name = &self.accounts.name;
                match self.retry.failures() {
                    0 => tracing::info!("{name}: connected"),
                    failures => tracing::info!("{name}: connected after {failures} failed tries"),
                }
                self.retry.handle_success(now_ns());
                self.accounts.add_connection();
                self.association = Some(association);
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

    /// Forgets the association and counts what was on its way.
    fn disconnect(&mut self, error: &io::Error) {
        let Some(mut association) = self.association.take() else {
            return;
        };
        let lost = association.undelivered();
        self.accounts.move_to_lost(now_ns(), Loss::Unconfirmed, lost);
        self.process.restart();
        let wait = self.retry.handle_failure(now_ns());
        let name = &self.accounts.name;
        tracing::warn!(
            "{name}: association lost: {error}; {lost} records were on their way, trying again in {:.1} s",
            wait.as_secs_f64()
        );
    }

    /// Gives up; what has not arrived by now is lost.
    fn give_up(&mut self) -> Failure {
        if let Some(association) = self.association.take() {
            let lost = association.in_flight.unconfirmed(association.socket.buffer_octets());
            self.accounts.move_to_lost(now_ns(), Loss::Unconfirmed, lost);
            association.socket.abort();
        }
        Failure::GivenUp
    }

    /// Sends what is ready; `done` grows by the Flow Records that the kernel has taken.
    fn send_ready(&mut self, done: &mut usize, progress: &mut Progress) -> Result<(), Interruption> {
        let Some(association) = &mut self.association else {
            return Ok(());
        };
        association.hear(&self.accounts)?;
        while let Some(mut message) = self.process.poll_message() {
            let stream = stream_of(&message);
            association.sequences.number(stream, &mut message);
            if stream == DATA && association.templates_on_way {
                association.wait_for_templates(&self.accounts)?;
            }
            let lifetime = self.context.config.sctp_lifetime.filter(|_| stream == DATA);
            let context = association.in_flight.next();
            while let Err(error) = association.socket.send(&message.bytes, stream, context, lifetime) {
                if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                    return Err(error.into());
                }
                association.hear(&self.accounts)?;
                if self.context.stop.is_over(progress.at()) {
                    return Err(Interruption::GivenUp);
                }
            }
            progress.moved();
            association.templates_on_way |= stream == CONTROL;
            association.in_flight.add(message.bytes.len(), message.flow_records);
            *done += message.flow_records as usize;
            self.accounts
                .add_exported(u64::from(message.flow_records), message.bytes.len() as u64);
            self.process.recycle(message.bytes);
        }
        association.hear(&self.accounts)?;
        Ok(())
    }

    fn say_statistics(&mut self) {
        self.process
            .handle_statistics(now_ns(), &self.context.statistics(&self.accounts));
    }
}

impl Transport for Sctp {
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
            match self.send_ready(&mut done, &mut progress) {
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
        if self.association.is_none() {
            if self.retry.is_due(now_ns()) {
                self.try_connect();
            }
            return Ok(());
        }
        if self.process.handle_timeout(now_ns()) {
            self.say_statistics();
        }
        match self.send_ready(&mut 0, &mut Progress::new()) {
            Ok(()) => Ok(()),
            Err(Interruption::GivenUp) => Err(self.give_up()),
            Err(Interruption::Broken(error)) => {
                self.disconnect(&error);
                Ok(())
            }
        }
    }

    /// Says the last statistics and ends the association, which SCTP does only once everything has arrived.
    fn finish(&mut self) -> Result<(), Failure> {
        if self.association.is_none() {
            return Ok(());
        }
        self.say_statistics();
        let progress = Progress::new();
        match self.send_ready(&mut 0, &mut Progress::new()) {
            Ok(()) => {}
            Err(Interruption::GivenUp) => return Err(self.give_up()),
            Err(Interruption::Broken(error)) => {
                self.disconnect(&error);
                return Ok(());
            }
        }
        let Some(association) = &mut self.association else {
            return Ok(());
        };
        let mut result = association.socket.close();
        while result.is_ok() {
            match association.socket.poll_event() {
                Ok(Some(Event::Over { clean: true })) => return Ok(()),
                Ok(Some(Event::Over { clean: false })) => result = Err(io::ErrorKind::ConnectionReset.into()),
                Ok(Some(Event::NotDelivered(context))) => association.count_lost(context, &self.accounts),
                Ok(Some(_)) => {}
                Ok(None) if self.context.stop.is_over(progress.at()) => return Err(self.give_up()),
                Ok(None) => self.context.stop.sleep(CONFIRM_PAUSE),
                Err(error) => result = Err(error),
            }
        }
        if let Err(error) = result {
            self.disconnect(&error);
        }
        Ok(())
    }
}

impl Association {
    /// Sets up with the first address that answers.
    fn open(addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut last = None;
        for address in addresses {
            match SctpSocket::connect(address, STREAMS, CONNECT_TIMEOUT) {
                Ok(socket) => {
                    return Ok(Self {
                        socket,
                        sequences: Sequences::default(),
                        in_flight: InFlight::default(),
                        templates_on_way: false,
                    });
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    /// Takes up what the system has to tell: Messages given up for their age, and the end.
    fn hear(&mut self, accounts: &DestinationAccounts) -> io::Result<()> {
        while let Some(event) = self.socket.poll_event()? {
            match event {
                Event::NotDelivered(context) => self.count_lost(context, accounts),
                Event::Dry => {
                    self.templates_on_way = false;
                    self.in_flight.handle_dry();
                }
                Event::Over { .. } | Event::Closing => {
                    return Err(io::Error::new(
                        io::ErrorKind::ConnectionReset,
                        "closed by the collector",
                    ));
                }
                Event::Other => {}
            }
        }
        self.in_flight.handle_silence();
        Ok(())
    }

    fn count_lost(&mut self, context: u32, accounts: &DestinationAccounts) {
        let lost = self.in_flight.take(context);
        accounts.move_to_lost(now_ns(), Loss::Unconfirmed, lost);
    }

    /// A Flow Record that overtakes its template would have to wait at the collector, if that does wait.
    fn wait_for_templates(&mut self, accounts: &DestinationAccounts) -> io::Result<()> {
        let begun = Instant::now();
        while self.templates_on_way && begun.elapsed() < TEMPLATES_FIRST {
            self.hear(accounts)?;
            if self.templates_on_way {
                std::thread::sleep(CONFIRM_PAUSE);
            }
        }
        self.templates_on_way = false;
        Ok(())
    }

    /// Flow Records that did not arrive, once the association is over.
    fn undelivered(&mut self) -> u64 {
        let mut lost = 0;
        // The system tells of each Message, and then only of the end; an error stands in front of none.
        let mut ends = 0;
        while ends < 3 {
            match self.socket.poll_event() {
                Ok(Some(Event::NotDelivered(context))) => lost += self.in_flight.take(context),
                Ok(Some(Event::Over { .. })) | Err(_) => ends += 1,
                Ok(Some(_)) => {}
                Ok(None) => break,
            }
        }
        lost
    }
}

/// Which stream carries a Message: Flow Records without templates their own, all else the first.
fn stream_of(message: &Outgoing) -> u16 {
    let mut sets = message.bytes.get(16..).unwrap_or_default();
    let mut has_templates = false;
    while let [id_high, id_low, length_high, length_low, ..] = sets {
        has_templates |= u16::from_be_bytes([*id_high, *id_low]) < 256;
        let length = usize::from(u16::from_be_bytes([*length_high, *length_low])).max(4);
        sets = sets.get(length..).unwrap_or_default();
    }
    match message.flow_records > 0 && !has_templates {
        true => DATA,
        false => CONTROL,
    }
}

/// Sequence numbers of each stream and Observation Domain.
#[derive(Debug, Default)]
struct Sequences(Vec<(u32, [u32; STREAMS as usize])>);

impl Sequences {
    /// Puts the stream's own number into the Message's header.
    fn number(&mut self, stream: u16, message: &mut Outgoing) {
        let Some(Ok(domain)) = message.bytes.get(12..16).map(<[u8; 4]>::try_from) else {
            return;
        };
        let domain = u32::from_be_bytes(domain);
        // An exporter has two: that of the flows, and 0 for its statistics.
        let place = self.0.iter().position(|(of, _)| *of == domain).unwrap_or_else(|| {
            self.0.push((domain, [0; STREAMS as usize]));
            self.0.len() - 1
        });
        let next = self
            .0
            .get_mut(place)
            .and_then(|(_, next)| next.get_mut(usize::from(stream)));
        if let (Some(next), Some(field)) = (next, message.bytes.get_mut(8..12)) {
            field.copy_from_slice(&next.to_be_bytes());
            *next = next.wrapping_add(message.records);
        }
    }
}

/// Messages that the system may still say of that they did not arrive, oldest first.
#[derive(Debug, Default)]
struct InFlight {
    /// Octets and Flow Records of each.
    messages: VecDeque<(usize, u32)>,
    octets: usize,
    /// The context of the oldest.
    oldest: u32,
    /// The first that was handed over after the system last had nothing to tell, and the first of which it is not known
    /// whether it arrived.
    heard: u32,
    confirmed: u32,
}

impl InFlight {
    /// More than the system buffers for one association.
    const MAX_OCTETS: usize = 16 << 20;
    const MAX_MESSAGES: usize = 1 << 16;

    /// The context of the next Message.
    fn next(&self) -> u32 {
        self.oldest.wrapping_add(self.messages.len() as u32)
    }

    fn add(&mut self, octets: usize, records: u32) {
        self.messages.push_back((octets, records));
        self.octets += octets;
        while self.octets > Self::MAX_OCTETS || self.messages.len() > Self::MAX_MESSAGES {
            let Some((octets, _)) = self.messages.pop_front() else {
                break;
            };
            self.octets -= octets;
            self.oldest = self.oldest.wrapping_add(1);
        }
    }

    /// The system has nothing more to tell of what was handed over so far.
    fn handle_silence(&mut self) {
        self.heard = self.next();
    }

    /// Everything had arrived at some moment since that silence.
    fn handle_dry(&mut self) {
        self.confirmed = self.heard;
    }

    /// Flow Records that may not have arrived: not confirmed, and not more than the system holds.
    fn unconfirmed(&self, held_octets: usize) -> u64 {
        let since = self.confirmed.wrapping_sub(self.oldest);
        let since = if since > self.messages.len() as u32 {
            0
        } else {
            since as usize
        };
        let mut octets = 0;
        let newest = self.messages.iter().skip(since).rev();
        let held = newest.take_while(|(message, _)| {
            octets += message;
            octets <= held_octets
        });
        held.map(|(_, records)| u64::from(*records)).sum()
    }

    /// The Flow Records of a Message, once.
    fn take(&mut self, context: u32) -> u64 {
        let place = context.wrapping_sub(self.oldest) as usize;
        self.messages
            .get_mut(place)
            .map_or(0, |(_, records)| u64::from(std::mem::take(records)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Message of Domain 7 with Sets of these identifiers.
    fn message(sets: &[u16], flow_records: u32, records: u32) -> Outgoing {
        let mut bytes = vec![0; 16];
        bytes[15] = 7;
        for id in sets {
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(&[0, 8, 1, 2, 3, 4]);
        }
        Outgoing {
            bytes,
            flow_records,
            records,
        }
    }

    #[test]
    fn templates_and_options_go_by_the_first_stream() {
        assert_eq!(stream_of(&message(&[256, 257], 2, 2)), DATA);
        assert_eq!(stream_of(&message(&[2, 256], 1, 1)), CONTROL);
        assert_eq!(stream_of(&message(&[256, 3], 1, 1)), CONTROL);
        assert_eq!(stream_of(&message(&[258], 0, 1)), CONTROL, "options data");
        assert_eq!(stream_of(&message(&[], 0, 0)), CONTROL);
    }

    #[test]
    fn each_stream_counts_for_itself() {
        let mut sequences = Sequences::default();
        let mut numbered = |stream, records| {
            let mut message = message(&[256], records, records);
            sequences.number(stream, &mut message);
            u32::from_be_bytes(message.bytes[8..12].try_into().unwrap())
        };
        assert_eq!([numbered(DATA, 5), numbered(CONTROL, 3), numbered(DATA, 1)], [0, 0, 5]);
        assert_eq!([numbered(CONTROL, 1), numbered(DATA, 1)], [3, 6]);
    }

    #[test]
    fn a_message_is_lost_once_and_old_ones_are_forgotten() {
        let mut in_flight = InFlight::default();
        for records in 1..=10 {
            assert_eq!(in_flight.next(), records - 1);
            in_flight.add(100, records);
        }
        assert_eq!((in_flight.take(4), in_flight.take(4), in_flight.take(10)), (5, 0, 0));
        // Dry by the third: what was handed over since may have come after.
        let mut in_flight = InFlight::default();
        in_flight.add(100, 1);
        in_flight.handle_silence();
        in_flight.add(100, 2);
        in_flight.handle_dry();
        in_flight.handle_silence();
        in_flight.add(100, 4);
        assert_eq!(in_flight.unconfirmed(1000), 6);
        assert_eq!(in_flight.unconfirmed(150), 4, "no more than the system holds");
        in_flight.handle_dry();
        assert_eq!(in_flight.unconfirmed(1000), 4);
        for _ in 0..2 * InFlight::MAX_MESSAGES {
            in_flight.add(1, 1);
        }
        assert_eq!(in_flight.messages.len(), InFlight::MAX_MESSAGES);
        assert_eq!((in_flight.take(3), in_flight.take(in_flight.next() - 1)), (0, 1));
    }
}
