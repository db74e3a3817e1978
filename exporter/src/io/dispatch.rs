//! Sends what is in a spool: connects, goes on behind what the collector has for certain, and confirms to the spool what
//! has arrived.
//!
//! What the other end's system has acknowledged may still be lost with the program that should have read it. So a Message
//! counts as arrived only some seconds later, or when the session ends in good order; a session that breaks before that
//! sends it again. A collector that knows recordId drops the second one.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::destination::{Progress, now_ns};
use super::log_limit::LogLimit;
use super::sequences::Sequences;
use super::session::{Connector, Courier, Dialer, Interruption, Link};
use crate::exporting::limits::{MESSAGES_BETWEEN_LOOKS, UNARRIVED_MESSAGES};
use crate::exporting::{Content, Event, Loss, Outgoing, Volume};
use crate::spool::{Label, Polled, Reader, Spool};

/// How long a collector's program may take to read what its system has acknowledged.
const HOLD: Duration = Duration::from_secs(5);
/// How often an idle sender looks after its connection.
const TICK: Duration = Duration::from_millis(200);
/// How often it looks whether something has arrived when too much is on its way.
const PAUSE: Duration = Duration::from_millis(2);
/// So many tries in a row that fail at the end say that the collector is away.
const LAST_TRIES: u64 = 3;
/// Statistics that are older than this say nothing that those behind them do not say better.
const STATISTICS_AGE_NS: i64 = 120_000_000_000;

/// Sends the spool of one destination.
#[derive(Debug)]
pub(super) struct Dispatch<C: Connector> {
    dialer: Dialer<C>,
    courier: Courier,
    reader: Reader,
    spool: Arc<Spool>,
    session: Option<Session<C::Link>>,
    faults: LogLimit,
}

/// One transport session.
#[derive(Debug)]
struct Session<L> {
    link: L,
    sequences: Sequences,
    /// Templates that were told, by Observation Domain and identifier, and in which run they mean that.
    told: HashSet<[u8; 6]>,
    run: Option<u32>,
    on_way: OnWay,
}

/// How sending goes on.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// At once.
    On,
    /// When there is more to send.
    Idle,
    /// In another session: template identifiers mean something else from this position on.
    Anew(u64),
}

impl<C: Connector> Dispatch<C> {
    pub fn new(connector: C, courier: Courier, reader: Reader, spool: Arc<Spool>) -> Self {
        Self {
            dialer: Dialer::new(connector),
            courier,
            reader,
            spool,
            session: None,
            faults: LogLimit::default(),
        }
    }

    /// Sends until the spool is closed and empty, or the time to send it at the end is over.
    pub fn run(mut self) {
        let mut progress = Progress::new();
        let mut message = Outgoing::default();
        while !self.is_done(&progress) {
            if self.session.is_none() && !self.try_connect() {
                let wait = self.dialer.wait().clamp(PAUSE, TICK);
                self.courier.context.stop.sleep(wait);
                continue;
            }
            if self.session.as_ref().is_some_and(|session| session.on_way.is_empty()) {
                progress.moved();
            }
            let stepped = self.step(&mut message, &mut progress);
            match stepped {
                Ok(Step::On) => {}
                Ok(Step::Idle) if self.spool.is_closed() => {
                    if self.close(&mut progress) {
                        break;
                    }
                }
                Ok(Step::Idle) => self.reader.wait(TICK),
                Ok(Step::Anew(position)) => {
                    // What was there before that, and not sent, is of no use to anybody.
                    if self.close(&mut progress) {
                        self.spool.confirm(position, Volume::default());
                    }
                }
                Err(Interruption::Broken(error)) => self.disconnect(&error),
                Err(Interruption::GivenUp) => self.abandon(),
            }
            self.reader.save_confirmed();
        }
        self.abandon();
        self.reader.save_confirmed();
    }

    /// Whether nothing is left to be sent, or no time to send it. What is left waits for the next run.
    fn is_done(&self, progress: &Progress) -> bool {
        if !self.spool.is_closed() {
            return false;
        }
        let is_empty = self.session.is_none() && self.spool.waiting().flows == 0;
        let is_away = self.session.is_none() && self.dialer.failures() >= LAST_TRIES;
        is_empty || is_away || self.courier.is_over(progress)
    }

    fn try_connect(&mut self) -> bool {
        let spool = &self.spool;
        let waiting = || format!("{} records wait in the spool", spool.waiting().flows);
        let Some(link) = self.dialer.try_connect(&self.courier, waiting) else {
            return false;
        };
        self.reader.rewind();
        self.session = Some(Session::new(link));
        true
    }

    /// Sends some Messages, and confirms what has arrived.
    fn step(&mut self, message: &mut Outgoing, progress: &mut Progress) -> Result<Step, Interruption> {
        let Some(session) = &mut self.session else {
            return Ok(Step::Idle);
        };
        session.link.look(&self.courier)?;
        let mut step = Step::On;
        for _ in 0..MESSAGES_BETWEEN_LOOKS {
            match self.reader.poll(&mut message.bytes) {
                Ok(Polled::Message { label, behind, run }) => {
                    if *session.run.get_or_insert(run) != run {
                        step = Step::Anew(behind.saturating_sub(label.octets(&message.bytes)));
                        break;
                    }
                    session.send(&self.courier, (label, behind), message, progress)?;
                }
                Ok(Polled::Damaged(volume)) => {
                    let accounts = &self.courier.accounts;
                    accounts.add_lost(now_ns(), Loss::SpoolDamaged, volume);
                    accounts.events.add(Event::SpoolFault);
                    if self.faults.permit(Instant::now()).is_some() {
                        let (name, records) = (&accounts.name, volume.flows);
                        tracing::warn!(
                            "{name}: {records} records are damaged in the spool, and lost; look after the disk"
                        );
                    }
                }
                Ok(Polled::Nothing) => {
                    step = Step::Idle;
                    break;
                }
                Err(error) => {
                    self.courier.accounts.events.add(Event::SpoolFault);
                    if self.faults.permit(Instant::now()).is_some() {
                        let name = &self.courier.accounts.name;
                        tracing::warn!("{name}: the spool cannot be read: {error}; trying again");
                    }
                    self.courier.context.stop.sleep(TICK);
                    step = Step::Idle;
                    break;
                }
            }
        }
        self.confirm_arrived();
        Ok(step)
    }

    fn confirm_arrived(&mut self) {
        let Some(session) = &mut self.session else { return };
        let arrived = session.link.arrived();
        session.on_way.handle_arrived(arrived, Instant::now());
        while let Some((behind, volume)) = session.on_way.take_certain(Instant::now()) {
            confirm(&self.spool, &self.courier, behind, volume);
        }
    }

    /// Ends the session in good order: then the collector has everything that was sent. Says whether it ended so.
    fn close(&mut self, progress: &mut Progress) -> bool {
        let Some(mut session) = self.session.take() else {
            return false;
        };
        match session.link.close(&self.courier, progress) {
            Ok(()) => {
                while let Some((behind, volume)) = session.on_way.take() {
                    confirm(&self.spool, &self.courier, behind, volume);
                }
                true
            }
            Err(Interruption::Broken(error)) => {
                self.session = Some(session);
                self.disconnect(&error);
                false
            }
            Err(Interruption::GivenUp) => {
                self.session = Some(session);
                self.abandon();
                false
            }
        }
    }

    /// Forgets the session; what may not have arrived is sent again in the next one.
    fn disconnect(&mut self, error: &io::Error) {
        let Some(mut session) = self.session.take() else { return };
        let reason = session.link.reason();
        let error = reason.as_ref().unwrap_or(error);
        let again = session.on_way.flows();
        self.courier.accounts.events.add_times(Event::RecordRepeated, again);
        let wait = self.dialer.handle_lost();
        tracing::warn!(
            "{}: {} lost: {error}; {again} records may not have arrived and are sent again, trying in {:.1} s",
            self.courier.accounts.name,
            C::Link::KIND,
            wait.as_secs_f64()
        );
    }

    fn abandon(&mut self) {
        if let Some(session) = self.session.take() {
            session.link.abandon();
            self.dialer.handle_lost();
        }
    }
}

/// The collector has it: it counts as exported, unless it was given up meanwhile.
fn confirm(spool: &Spool, courier: &Courier, behind: u64, volume: Volume) {
    let taken = spool.confirm(behind, volume);
    courier.accounts.add_exported_messages(0, taken.flows, 0);
}

impl<L: Link> Session<L> {
    fn new(link: L) -> Self {
        Self {
            link,
            sequences: Sequences::default(),
            told: HashSet::new(),
            run: None,
            on_way: OnWay::default(),
        }
    }

    fn send(
        &mut self,
        courier: &Courier,
        (label, behind): (Label, u64),
        message: &mut Outgoing,
        progress: &mut Progress,
    ) -> Result<(), Interruption> {
        let is_told = label.content == Content::Templates && !self.told.insert(template_of(&message.bytes));
        let is_stale =
            label.content == Content::Statistics && now_ns().saturating_sub(label.written_ns) > STATISTICS_AGE_NS;
        if is_told || is_stale {
            return Ok(());
        }
        self.wait_for_room(courier, progress)?;
        message.content = label.content;
        message.flow_records = label.volume.flows as u32;
        message.records = label.records;
        message.first_record = label.first_record;
        set_export_time(&mut message.bytes);
        self.sequences.number(0, message);
        self.link.send(courier, message, progress)?;
        self.on_way.add(behind, label.volume);
        courier.accounts.add_exported_messages(1, 0, message.bytes.len() as u64);
        Ok(())
    }

    /// Not more is on its way than can be told from what has arrived.
    fn wait_for_room(&mut self, courier: &Courier, progress: &mut Progress) -> Result<(), Interruption> {
        while self.on_way.unarrived() >= UNARRIVED_MESSAGES {
            self.link.look(courier)?;
            let before = self.on_way.unarrived();
            self.on_way.handle_arrived(self.link.arrived(), Instant::now());
            if self.on_way.unarrived() < before {
                progress.moved();
            } else if courier.is_over(progress) {
                return Err(Interruption::GivenUp);
            } else {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }
}

/// The Observation Domain of a Message and the first template in it; such Messages have just one.
fn template_of(message: &[u8]) -> [u8; 6] {
    let mut key = [0; 6];
    let octets = message
        .get(12..16)
        .unwrap_or_default()
        .iter()
        .chain(message.get(20..22).unwrap_or_default());
    for (place, octet) in key.iter_mut().zip(octets) {
        *place = *octet;
    }
    key
}

/// When it leaves, not when it was written (RFC 7011 section 3.1).
fn set_export_time(message: &mut [u8]) {
    if let Some(field) = message.get_mut(4..8) {
        let seconds = u32::try_from(now_ns() / 1_000_000_000).unwrap_or_default();
        field.copy_from_slice(&seconds.to_be_bytes());
    }
}

/// Messages that were sent and are not confirmed, oldest first.
#[derive(Debug, Default)]
struct OnWay {
    messages: VecDeque<Sent>,
    /// Messages that were taken out, and those still there that have arrived.
    taken: u64,
    arrived: usize,
}

#[derive(Debug)]
struct Sent {
    behind: u64,
    volume: Volume,
    arrived: Option<Instant>,
}

impl OnWay {
    fn add(&mut self, behind: u64, volume: Volume) {
        self.messages.push_back(Sent {
            behind,
            volume,
            arrived: None,
        });
    }

    /// So many Messages of the session have arrived, counted from its first.
    fn handle_arrived(&mut self, total: u64, now: Instant) {
        let arrived = usize::try_from(total.saturating_sub(self.taken)).unwrap_or(usize::MAX);
        let arrived = arrived.min(self.messages.len());
        for sent in self.messages.iter_mut().take(arrived).skip(self.arrived) {
            sent.arrived = Some(now);
        }
        self.arrived = self.arrived.max(arrived);
    }

    /// Those that may still be in this system.
    fn unarrived(&self) -> usize {
        self.messages.len() - self.arrived
    }

    /// The oldest, if it arrived long enough ago that the collector has it for certain.
    fn take_certain(&mut self, now: Instant) -> Option<(u64, Volume)> {
        let arrived = self.messages.front()?.arrived?;
        (now.duration_since(arrived) >= HOLD).then(|| self.take())?
    }

    fn take(&mut self) -> Option<(u64, Volume)> {
        let sent = self.messages.pop_front()?;
        self.taken += 1;
        self.arrived = self.arrived.saturating_sub(1);
        Some((sent.behind, sent.volume))
    }

    fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn flows(&self) -> u64 {
        self.messages.iter().map(|sent| sent.volume.flows).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flows(flows: u64) -> Volume {
        Volume {
            flows,
            ..Volume::default()
        }
    }

    #[test]
    fn what_arrived_is_certain_only_after_a_while() {
        let mut on_way = OnWay::default();
        let begun = Instant::now();
        (1..=3).for_each(|n| on_way.add(n * 100, flows(n)));
        on_way.handle_arrived(2, begun);
        assert_eq!((on_way.unarrived(), on_way.flows()), (1, 6));
        assert_eq!(on_way.take_certain(begun + HOLD / 2), None);
        // The third arrives later, and the two before keep their time.
        on_way.handle_arrived(3, begun + HOLD / 2);
        let later = begun + HOLD;
        assert_eq!(on_way.take_certain(later), Some((100, flows(1))));
        assert_eq!(on_way.take_certain(later), Some((200, flows(2))));
        assert_eq!(on_way.take_certain(later), None);
        assert_eq!((on_way.unarrived(), on_way.flows()), (0, 3));
        on_way.add(400, flows(4));
        on_way.handle_arrived(3, later);
        assert_eq!(on_way.unarrived(), 1);
        on_way.handle_arrived(4, later);
        assert_eq!(on_way.take_certain(later + HOLD), Some((300, flows(3))));
        assert_eq!(on_way.take_certain(later + HOLD), Some((400, flows(4))));
        assert_eq!((on_way.take(), on_way.unarrived()), (None, 0));
    }
}
