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

use super::destination::{Context, Progress, Transport, now_ns};
use super::queue::BatchQueue;
use super::resolve::resolve;
use super::sctp_socket::{Event, SctpSocket, is_missing};
use super::sequences::{self, Sequences};
use super::session::{Connector, Courier, Interruption, Link, first_that_answers, transport};
use crate::config::Endpoint;
use crate::exporting::{DestinationAccounts, Loss, Outgoing};

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
/// As many as there are sequences to count.
const STREAMS: u16 = sequences::STREAMS;

/// Where to connect.
#[derive(Debug)]
pub(super) struct SctpConnector {
    /// The first that answers is taken.
    endpoints: Vec<Endpoint>,
}

/// One transport session.
#[derive(Debug)]
pub(super) struct Association {
    socket: SctpSocket,
    sequences: Sequences,
    in_flight: InFlight,
    /// Templates were sent and may not have arrived.
    templates_on_way: bool,
}

impl SctpConnector {
    /// A destination there.
    ///
    /// # Errors
    /// One line for people: no SCTP in this kernel, for one.
    pub fn destination(
        endpoints: &[Endpoint],
        context: &Context,
        accounts: Arc<DestinationAccounts>,
        queue: Arc<BatchQueue>,
    ) -> Result<Box<dyn Transport + Send>, String> {
        if let Some(line) = is_missing() {
            return Err(format!("{}: {line}", accounts.name));
        }
        let connector = Self {
            endpoints: endpoints.to_vec(),
        };
        let kind = (TransportKind::Sctp, context.config.mtu);
        transport(connector, kind, context, accounts, queue)
    }
}

impl Connector for SctpConnector {
    type Link = Association;

    fn connect(&mut self, name: &str) -> io::Result<Association> {
        first_that_answers(name, &self.endpoints, |endpoint| {
            resolve(endpoint).and_then(|addresses| Association::open(&addresses))
        })
    }
}

impl Link for Association {
    const KIND: &'static str = "association";

    fn look(&mut self, courier: &Courier) -> Result<(), Interruption> {
        Ok(self.hear(&courier.accounts)?)
    }

    fn send(&mut self, courier: &Courier, message: &mut Outgoing, progress: &mut Progress) -> Result<(), Interruption> {
        let stream = stream_of(message);
        self.sequences.number(stream, message);
        if stream == DATA && self.templates_on_way {
            self.wait_for_templates(&courier.accounts)?;
        }
        let lifetime = courier.context.config.sctp_lifetime.filter(|_| stream == DATA);
        let context = self.in_flight.next();
        while let Err(error) = self.socket.send(&message.bytes, stream, context, lifetime) {
            if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                return Err(error.into());
            }
            self.hear(&courier.accounts)?;
            if courier.is_over(progress) {
                return Err(Interruption::GivenUp);
            }
        }
        progress.moved();
        self.templates_on_way |= stream == CONTROL;
        self.in_flight.add(message.bytes.len(), message.flow_records);
        Ok(())
    }

    fn arrived(&mut self) -> u64 {
        self.in_flight.arrived
    }

    /// SCTP ends an association only once everything has arrived.
    fn close(&mut self, courier: &Courier, progress: &mut Progress) -> Result<(), Interruption> {
        self.socket.close()?;
        loop {
            match self.socket.poll_event()? {
                Some(Event::Over { clean: true }) => return Ok(()),
                Some(Event::Over { clean: false }) => {
                    return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
                }
                Some(Event::NotDelivered(context)) => self.count_lost(context, &courier.accounts),
                Some(_) => {}
                None if courier.is_over(progress) => return Err(Interruption::GivenUp),
                None => courier.context.stop.sleep(CONFIRM_PAUSE),
            }
        }
    }

    fn lost(&mut self) -> u64 {
        self.undelivered()
    }

    fn abandon(self) -> u64 {
        let lost = self.in_flight.unconfirmed(self.socket.buffer_octets());
        self.socket.abort();
        lost
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
    /// The same, counted from the first without wrapping.
    arrived: u64,
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
        self.arrived += u64::from(self.heard.wrapping_sub(self.confirmed));
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
    use crate::exporting::Content;

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
            content: Content::Flows,
            first_record: 0,
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
        assert_eq!(in_flight.arrived, 1);
        in_flight.handle_dry();
        assert_eq!((in_flight.unconfirmed(1000), in_flight.arrived), (4, 2));
        for _ in 0..2 * InFlight::MAX_MESSAGES {
            in_flight.add(1, 1);
        }
        assert_eq!(in_flight.messages.len(), InFlight::MAX_MESSAGES);
        assert_eq!((in_flight.take(3), in_flight.take(in_flight.next() - 1)), (0, 1));
    }
}
