//! A flow whose application is being read: its octets go to the protocol in order, and what comes of it is kept.

use super::applications::{Applications, Payload, Recognised};
use super::memory::{Memory, Region};
use super::place::ApplicationPlace;
use super::protocol::{Carrier, Conversation, Fault, Input, Progress, Protocol};
use super::registry::PROTOCOLS;
use super::stream::{Arrival, Stream};
use super::values::Values;
use crate::limits;

/// A protocol that is not known yet.
pub(super) const UNDECIDED: u8 = u8::MAX;
/// No place of what is known.
pub(super) const NO_KNOWN: u32 = u32::MAX;

/// A flow that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub streams: [Stream; 2],
    /// Where what is known is kept.
    pub known: u32,
    /// What the protocol remembers.
    pub notes: Region,
    notes_octets: u16,
    pub protocol: u8,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading {
            streams: Default::default(),
            known: NO_KNOWN,
            notes: Region::NONE,
            notes_octets: 0,
            protocol: UNDECIDED,
        }
    }
}

/// What is known of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub protocol: u8,
    pub present: u32,
    pub octets: Region,
    pub length: u16,
}

impl Known {
    /// Keeps values; false, with what was known before, when there is no room.
    pub fn keep(&mut self, values: &Values, memory: &mut Memory) -> bool {
        let octets = values.octets();
        let Ok(length) = u16::try_from(octets.len()) else {
            return false;
        };
        if !memory.store(&mut self.octets, octets) {
            return false;
        }
        self.present = values.present();
        self.length = length;
        true
    }
}

/// One packet of one flow that is being read.
#[derive(Debug)]
pub(super) struct Turn<'p, 'b> {
    pub place: &'p mut ApplicationPlace,
    /// The place of the reading.
    pub at: u32,
    pub payload: &'b Payload<'b>,
}

impl Turn<'_, '_> {
    fn direction(&self) -> usize {
        self.payload.direction & 1
    }
}

/// Where the octets are that a stream has ready.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// In the packet; nothing is held.
    Packet(&'a [u8]),
    /// In memory.
    Held,
}

/// How far a protocol came with all that was ready.
struct Outcome {
    ready: usize,
    consumed: usize,
    progress: Progress,
}

impl Applications {
    /// Takes in one packet.
    pub(super) fn go_on(&mut self, turn: &mut Turn<'_, '_>) {
        match (turn.payload.carrier, turn.payload.sequence) {
            (Carrier::Tcp, Some(sequence)) => self.segment(turn, sequence),
            _ => self.datagram(turn),
        }
    }

    fn segment(&mut self, turn: &mut Turn<'_, '_>, sequence: u32) {
        let (direction, payload) = (turn.direction(), turn.payload);
        let Some(reading) = self.readings.get_mut(turn.at) else {
            return;
        };
        let most = hold_octets(reading.protocol);
        let stream = &mut reading.streams[direction];
        // After a try in vain, the stream begins wherever its next packet does.
        if stream.tries == 0
            && let Some(first) = payload.first_sequence
            && (sequence.wrapping_sub(first) as usize) < most
        {
            stream.start(first);
        }
        match stream.arrive(sequence, payload.bytes, most, &mut self.memory) {
            Arrival::Old => {}
            Arrival::Next(from) => {
                let octets = payload.bytes.get(from..).unwrap_or_default();
                self.read_stream(turn, Source::Packet(octets));
            }
            Arrival::Held => self.read_stream(turn, Source::Held),
            Arrival::TooFar => self.fail(turn, Fault::Gap),
            Arrival::NoMemory => self.run_out(turn),
        }
    }

    /// Gives the protocol what is ready of a direction, or first asks which protocol it is.
    fn read_stream(&mut self, turn: &mut Turn<'_, '_>, source: Source<'_>) {
        let Some(reading) = self.readings.get(turn.at) else {
            return;
        };
        if reading.protocol == UNDECIDED {
            let ready = match source {
                Source::Packet(octets) => octets,
                Source::Held => reading.streams[turn.direction()].ready(&self.memory),
            };
            match self.recognise(&turn.payload.input(ready)) {
                Recognised::Yes(protocol) => {
                    if !self.decide(turn.at, protocol) {
                        return self.drop_reading(turn);
                    }
                }
                Recognised::No if !ready.is_empty() => {
                    return self.fail_undecided(turn);
                }
                Recognised::More | Recognised::No => {
                    if let Source::Packet(octets) = source {
                        self.hold(turn, octets, limits::UNDECIDED_OCTETS);
                    }
                    return;
                }
            }
        }
        if let Some(outcome) = self.feed(turn, source) {
            self.settle(turn, source, &outcome);
        }
    }

    /// Gives a protocol octets until it wants more than are ready; none when there was no room for what it found.
    fn feed(&mut self, turn: &mut Turn<'_, '_>, source: Source<'_>) -> Option<Outcome> {
        let direction = turn.direction();
        let mut reading = *self.readings.get(turn.at)?;
        let protocol = *PROTOCOLS.get(usize::from(reading.protocol))?;
        let (mut values, mut notes) = self.load(&reading, protocol);
        let ready = match source {
            Source::Packet(octets) => octets,
            Source::Held => reading.streams[direction].ready(&self.memory),
        };
        let mut outcome = Outcome {
            ready: ready.len(),
            consumed: 0,
            progress: Progress::More,
        };
        let mut conversation = Conversation {
            stage: &mut reading.streams[direction].stage,
            notes: &mut notes,
            values: &mut values,
        };
        while let Some(octets) = ready.get(outcome.consumed..).filter(|octets| !octets.is_empty()) {
            outcome.progress = protocol.read(&turn.payload.input(octets), &mut conversation);
            match outcome.progress {
                Progress::Next(octets) if octets > 0 => outcome.consumed += octets,
                _ => break,
            }
        }
        outcome.consumed = outcome.consumed.min(outcome.ready);
        let stage = reading.streams[direction].stage;
        self.store(turn, stage, values, notes).then_some(outcome)
    }

    /// Does what a protocol's progress says.
    fn settle(&mut self, turn: &mut Turn<'_, '_>, source: Source<'_>, outcome: &Outcome) {
        let direction = turn.direction();
        match outcome.progress {
            Progress::Done => return self.close(turn),
            Progress::Finished => return self.finish(turn),
            Progress::Fault(fault) => return self.fail(turn, fault),
            Progress::Skip => return self.skip(turn),
            Progress::More | Progress::Next(_) => {}
        }
        let Some(reading) = self.readings.get_mut(turn.at) else {
            return;
        };
        let most = hold_octets(reading.protocol);
        reading.streams[direction].consume(outcome.consumed, &mut self.memory);
        if turn.payload.is_cut() {
            self.fail(turn, Fault::Cut);
        } else if outcome.ready - outcome.consumed >= most {
            self.fail(turn, Fault::TooLong);
        } else if let Source::Packet(octets) = source {
            self.hold(turn, octets.get(outcome.consumed..).unwrap_or_default(), most);
        }
    }

    /// Keeps octets that the protocol could not use yet.
    fn hold(&mut self, turn: &mut Turn<'_, '_>, octets: &[u8], most: usize) {
        let direction = turn.direction();
        let Some(reading) = self.readings.get_mut(turn.at).filter(|_| !octets.is_empty()) else {
            return;
        };
        match reading.streams[direction].hold(0, octets, most, &mut self.memory) {
            Arrival::NoMemory => self.run_out(turn),
            Arrival::TooFar => self.fail(turn, Fault::TooLong),
            _ => {}
        }
    }

    fn datagram(&mut self, turn: &mut Turn<'_, '_>) {
        let direction = turn.direction();
        let Some(mut reading) = self.readings.get(turn.at).copied() else {
            return;
        };
        let Some(protocol) = PROTOCOLS.get(usize::from(reading.protocol)).copied() else {
            return self.drop_reading(turn);
        };
        let (mut values, mut notes) = self.load(&reading, protocol);
        let mut conversation = Conversation {
            stage: &mut reading.streams[direction].stage,
            notes: &mut notes,
            values: &mut values,
        };
        let progress = protocol.read(&turn.payload.input(turn.payload.bytes), &mut conversation);
        let stage = reading.streams[direction].stage;
        if !self.store(turn, stage, values, notes) {
            return;
        }
        match progress {
            Progress::Finished => self.finish(turn),
            Progress::Done => self.close(turn),
            Progress::Fault(fault) => self.fail(turn, fault),
            Progress::Next(_) | Progress::More | Progress::Skip => {
                if self.count_try(turn) >= limits::APPLICATION_DATAGRAMS {
                    self.close(turn);
                }
            }
        }
    }

    /// What is known and noted of a flow, in the scratch memory that [`Applications::store`] gives back.
    fn load(&mut self, reading: &Reading, protocol: &dyn Protocol) -> (Values, Vec<u8>) {
        let (mut values, mut notes) = (std::mem::take(&mut self.values), std::mem::take(&mut self.notes));
        let known = self.known.get(reading.known).copied().unwrap_or_default();
        let octets = self.memory.octets(known.octets).get(..usize::from(known.length));
        values.load(protocol.about().fields, known.present, octets.unwrap_or_default());
        notes.clear();
        let kept = self.memory.octets(reading.notes);
        notes.extend_from_slice(kept.get(..usize::from(reading.notes_octets)).unwrap_or_default());
        (values, notes)
    }

    /// Keeps what a protocol set; false, and the direction is closed, when there was no room.
    fn store(&mut self, turn: &mut Turn<'_, '_>, stage: u16, mut values: Values, notes: Vec<u8>) -> bool {
        self.counters.texts_cut += values.take_cut();
        let direction = turn.direction();
        let (mut stored, mut too_long) = (true, false);
        if let Some(reading) = self.readings.get_mut(turn.at) {
            reading.streams[direction].stage = stage;
            if values.changed()
                && let Some(known) = self.known.get_mut(reading.known)
            {
                stored = known.keep(&values, &mut self.memory);
            }
            too_long = notes.len() > hold_octets(reading.protocol);
            if stored && !too_long && (!notes.is_empty() || reading.notes_octets > 0) {
                stored = self.memory.store(&mut reading.notes, &notes);
                if stored {
                    reading.notes_octets = notes.len() as u16;
                }
            }
        }
        self.values = values;
        self.notes = notes;
        if too_long {
            self.fail(turn, Fault::TooLong);
        } else if !stored {
            self.run_out(turn);
        }
        stored && !too_long
    }

    /// The direction does not begin with anything known: its next packet may.
    fn skip(&mut self, turn: &mut Turn<'_, '_>) {
        if u32::from(self.count_try(turn)) >= limits::RECOGNITION_PACKETS {
            return self.fail(turn, Fault::Malformed);
        }
        let direction = turn.direction();
        if let Some(reading) = self.readings.get_mut(turn.at) {
            reading.streams[direction].restart(&mut self.memory);
        }
    }

    fn count_try(&mut self, turn: &Turn<'_, '_>) -> u8 {
        let Some(reading) = self.readings.get_mut(turn.at) else {
            return u8::MAX;
        };
        let tries = &mut reading.streams[turn.direction()].tries;
        *tries = tries.saturating_add(1);
        *tries
    }

    fn run_out(&mut self, turn: &mut Turn<'_, '_>) {
        self.counters.memory_exhausted += 1;
        self.close(turn);
    }

    fn fail(&mut self, turn: &mut Turn<'_, '_>, fault: Fault) {
        let protocol = self.readings.get(turn.at).map_or(UNDECIDED, |reading| reading.protocol);
        if let Some(faults) = self.counters.faults.get_mut(usize::from(protocol)) {
            faults[fault as usize] += 1;
        }
        self.close(turn);
    }

    /// Nothing more is wanted from the direction.
    fn close(&mut self, turn: &mut Turn<'_, '_>) {
        let direction = turn.direction();
        let Some(reading) = self.readings.get_mut(turn.at) else {
            return;
        };
        reading.streams[direction].release(&mut self.memory);
        if reading.protocol == UNDECIDED {
            self.fail_undecided(turn);
        } else if turn.place.close(direction) {
            self.finish(turn);
        }
    }

    /// Nothing more is read of a flow whose protocol is known.
    fn finish(&mut self, turn: &mut Turn<'_, '_>) {
        match self.end_reading(turn.at) {
            NO_KNOWN => turn.place.give_up(),
            known => turn.place.set_known(known),
        }
    }

    /// What waited for more octets begins nothing known: the next packets may, as long as there are tries.
    fn fail_undecided(&mut self, turn: &mut Turn<'_, '_>) {
        self.end_reading(turn.at);
        turn.place.set_nothing();
        // One for the packet that was held, one for this one.
        for _ in 0..2 {
            self.count_unrecognised(turn.place, turn.payload.direction);
        }
    }

    /// Nothing is read of a flow any more, and nothing is known.
    pub(super) fn drop_reading(&mut self, turn: &mut Turn<'_, '_>) {
        let known = self.end_reading(turn.at);
        self.forget(known);
        turn.place.give_up();
    }

    /// Gives a reading's place and memory free; what is known of it stays, in the place that is returned.
    pub(super) fn end_reading(&mut self, at: u32) -> u32 {
        let reading = self.readings.remove(at);
        for mut stream in reading.streams {
            stream.release(&mut self.memory);
        }
        self.memory.free(reading.notes);
        reading.known
    }

    /// Gives what is known of a flow free.
    pub(super) fn forget(&mut self, known: u32) {
        if known != NO_KNOWN {
            let known = self.known.remove(known);
            self.memory.free(known.octets);
        }
    }
}

impl Payload<'_> {
    /// Whether only a part of it was captured.
    fn is_cut(&self) -> bool {
        self.octets as usize > self.bytes.len()
    }

    /// Octets of this payload, or of a stream that it belongs to, for a protocol.
    pub(super) fn input<'a>(&self, octets: &'a [u8]) -> Input<'a> {
        Input {
            octets,
            end: self.is_cut() || self.carrier != Carrier::Tcp,
            direction: self.direction & 1,
            ports: self.ports,
            carrier: self.carrier,
            now_ns: self.now_ns,
        }
    }
}

/// Octets that one direction may hold.
fn hold_octets(protocol: u8) -> usize {
    PROTOCOLS
        .get(usize::from(protocol))
        .map_or(limits::UNDECIDED_OCTETS, |protocol| {
            usize::from(protocol.about().hold_octets)
        })
}
