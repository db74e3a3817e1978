//! Gives protocols the payload of flows, in order, and keeps what they find until the flow's records are made.

use super::counters::ApplicationCounters;
use super::memory::{Memory, Region};
use super::place::{ApplicationPlace, Standing};
use super::protocol::{Carrier, Conversation, Fault, Input, Progress, Protocol, Verdict};
use super::record::ApplicationRecord;
use super::registry::{PROTOCOLS, ProtocolSet};
use super::slab::Slab;
use super::stream::{Arrival, Stream};
use super::values::Values;
use crate::limits;
use crate::metering::records::{Place, Records};

/// What is recognised and how much may be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationConfig {
    /// The protocols that are looked for.
    pub enabled: ProtocolSet,
    /// Octets of waiting payload and of values, of all flows together.
    pub memory_octets: usize,
    /// Flows that are read at the same time.
    pub readings: u32,
}

impl Default for ApplicationConfig {
    fn default() -> ApplicationConfig {
        ApplicationConfig {
            enabled: ProtocolSet::ALL,
            memory_octets: limits::APPLICATION_MEMORY_OCTETS,
            readings: limits::APPLICATION_READINGS,
        }
    }
}

/// The payload of one packet.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    /// What was captured of it.
    pub bytes: &'a [u8],
    /// How long the packet says it is.
    pub octets: u32,
    /// 0 from the flow's first sender, 1 to it.
    pub direction: usize,
    /// Sequence number of the first octet of payload (with a SYN, one more than that of the segment); TCP only.
    pub sequence: Option<u32>,
    /// Sequence number of the first octet of this direction, when its SYN was seen; TCP only. It tells a stream's
    /// first segment from one that overtook it.
    pub first_sequence: Option<u32>,
    /// Source and destination port of this packet.
    pub ports: [u16; 2],
    /// What carries it.
    pub carrier: Carrier,
    /// When it was captured, ns since 1970 UTC.
    pub now_ns: i64,
}

/// A protocol that is not known yet.
const UNDECIDED: u8 = u8::MAX;
const NO_KNOWN: u32 = u32::MAX;

/// A flow that is being read.
#[derive(Clone, Copy, Debug)]
struct Reading {
    streams: [Stream; 2],
    known: u32,
    notes: Region,
    notes_octets: u16,
    protocol: u8,
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
struct Known {
    present: u32,
    octets: Region,
    length: u16,
    protocol: u8,
}

/// Recognises and reads the applications of all flows.
#[derive(Debug)]
pub struct Applications {
    config: ApplicationConfig,
    /// Which protocols can begin with an octet, by carrier.
    candidates: Box<[[u32; 256]; Carrier::COUNT]>,
    readings: Slab<Reading>,
    known: Slab<Known>,
    memory: Memory,
    values: Values,
    notes: Vec<u8>,
    counters: ApplicationCounters,
}

/// What came of giving a protocol octets.
struct Outcome {
    consumed: usize,
    progress: Progress,
}

impl Applications {
    /// Nothing recognised yet. Memory grows with the flows that something is known of, up to the budget.
    pub fn new(config: ApplicationConfig) -> Applications {
        let mut candidates = Box::new([[0; 256]; Carrier::COUNT]);
        for (at, protocol) in PROTOCOLS.iter().enumerate() {
            let about = protocol.about();
            for carrier in about.carriers {
                let row = &mut candidates[*carrier as usize];
                for (octet, set) in (0..=u8::MAX).zip(row) {
                    if config.enabled.has(at as u8) && about.first_octets.has(octet) {
                        *set |= 1 << at;
                    }
                }
            }
        }
        Applications {
            candidates,
            readings: Slab::default(),
            known: Slab::default(),
            memory: Memory::new(config.memory_octets),
            values: Values::default(),
            notes: Vec::new(),
            counters: ApplicationCounters::default(),
            config,
        }
    }

    /// Looks at a packet with payload of the flow at `place`. Costs nothing but a look at `place` when
    /// [`ApplicationPlace::wants`] says no, which a caller asks first.
    pub fn inspect(&mut self, place: &mut ApplicationPlace, payload: &Payload<'_>) {
        if !place.wants(payload.direction) || payload.octets == 0 {
            return;
        }
        match place.standing() {
            Standing::Nothing => self.meet(place, payload),
            Standing::Reading(at) => self.go_on(place, at, payload),
            Standing::Known(_) => {}
        }
    }

    /// Adds what is known of the flow at `place` to a batch. It is said in each of the flow's records, as those who read
    /// them look at single records.
    pub fn take(&mut self, place: &ApplicationPlace, out: &mut Records) -> Place {
        let known = match place.standing() {
            Standing::Nothing => return Place::NONE,
            Standing::Known(at) => at,
            Standing::Reading(at) => self.readings.get(at).map_or(NO_KNOWN, |reading| reading.known),
        };
        let Some(known) = self.known.get(known) else {
            return Place::NONE;
        };
        let octets = self.memory.octets(known.octets).get(..usize::from(known.length));
        let (Some(octets), Ok(start)) = (octets, u32::try_from(out.octets.len())) else {
            return Place::NONE;
        };
        out.octets.extend_from_slice(octets);
        let record = ApplicationRecord {
            protocol: known.protocol,
            present: known.present,
            start,
            length: u32::from(known.length),
        };
        Place::push(&mut out.applications, record)
    }

    /// Forgets the flow at `place`, which can then be used for another one.
    pub fn free(&mut self, place: &mut ApplicationPlace) {
        match place.standing() {
            Standing::Nothing => {}
            Standing::Known(at) => self.forget(at),
            Standing::Reading(at) => {
                let known = self.end_reading(at);
                self.forget(known);
            }
        }
        *place = ApplicationPlace::default();
    }

    /// The account so far.
    pub fn counters(&self) -> ApplicationCounters {
        ApplicationCounters {
            reading_now: self.readings.len() as u64,
            known_now: self.known.len() as u64,
            memory_octets: self.memory.taken() as u64,
            ..self.counters.clone()
        }
    }

    /// The first packets with payload of a flow, until one is recognised.
    fn meet(&mut self, place: &mut ApplicationPlace, payload: &Payload<'_>) {
        if place.is_new() {
            self.counters.flows_inspected += 1;
        }
        let ahead = match (payload.sequence, payload.first_sequence) {
            (Some(sequence), Some(first)) => sequence.wrapping_sub(first) as i32,
            _ => 0,
        };
        if ahead < 0 {
            return;
        }
        let overtook = ahead > 0 && (ahead as usize) < limits::UNDECIDED_OCTETS && place.is_new();
        let verdict = match overtook {
            true => Recognised::More,
            false => self.recognise(&input_of(payload, payload.bytes)),
        };
        match verdict {
            Recognised::No => self.count_unrecognised(place, payload.direction),
            Recognised::More if payload.carrier != Carrier::Tcp => self.count_unrecognised(place, payload.direction),
            Recognised::More => {
                if let Some(at) = self.begin_reading(place) {
                    let first = payload.first_sequence.filter(|_| overtook);
                    self.start(at, payload.direction, first);
                    self.go_on(place, at, payload);
                }
            }
            Recognised::Yes(protocol) => {
                if let Some(at) = self.begin_reading(place) {
                    if self.decide(at, protocol) {
                        self.go_on(place, at, payload);
                    } else {
                        self.drop_reading(place, at);
                    }
                }
            }
        }
    }

    fn recognise(&self, input: &Input<'_>) -> Recognised {
        let Some(first) = input.octets.first() else {
            return Recognised::No;
        };
        let mut candidates = self.candidates[input.carrier as usize][usize::from(*first)];
        let mut verdict = Recognised::No;
        while candidates != 0 {
            let at = candidates.trailing_zeros() as u8;
            candidates &= candidates - 1;
            match PROTOCOLS.get(usize::from(at)).map(|protocol| protocol.recognise(input)) {
                Some(Verdict::Yes) => return Recognised::Yes(at),
                Some(Verdict::More) if !input.end => verdict = Recognised::More,
                _ => {}
            }
        }
        verdict
    }

    fn count_unrecognised(&mut self, place: &mut ApplicationPlace, direction: usize) {
        self.counters.packets_unrecognised += 1;
        place.count_unrecognised(direction, limits::RECOGNITION_PACKETS);
    }

    fn begin_reading(&mut self, place: &mut ApplicationPlace) -> Option<u32> {
        let most = self.config.readings.min(ApplicationPlace::MAX_PLACES);
        match self.readings.insert(Reading::default(), most) {
            Some(at) => {
                place.set_reading(at);
                Some(at)
            }
            None => {
                self.counters.readings_exhausted += 1;
                place.give_up();
                None
            }
        }
    }

    fn start(&mut self, at: u32, direction: usize, first: Option<u32>) {
        let stream = self
            .readings
            .get_mut(at)
            .map(|reading| &mut reading.streams[direction & 1]);
        if let (Some(stream), Some(first)) = (stream, first) {
            stream.start(first);
        }
    }

    /// Makes the record of a flow whose protocol is now known; false when there is no room for it.
    fn decide(&mut self, at: u32, protocol: u8) -> bool {
        let Some(about) = PROTOCOLS.get(usize::from(protocol)).map(|protocol| protocol.about()) else {
            return false;
        };
        self.counters.recognised[usize::from(protocol)] += 1;
        self.values.begin(about.fields);
        self.values
            .set_text(flowgauge_ie_registry::ids::APPLICATION_NAME, about.name.as_bytes());
        let mut known = Known {
            protocol,
            ..Known::default()
        };
        if !keep(&mut known, &self.values, &mut self.memory) {
            self.counters.memory_exhausted += 1;
            return false;
        }
        let place = self.known.insert(known, ApplicationPlace::MAX_PLACES);
        let (Some(place), Some(reading)) = (place, self.readings.get_mut(at)) else {
            self.memory.free(known.octets);
            return false;
        };
        reading.known = place;
        reading.protocol = protocol;
        true
    }

    /// A further packet of a flow that is being read, or the first one.
    fn go_on(&mut self, place: &mut ApplicationPlace, at: u32, payload: &Payload<'_>) {
        match (payload.carrier, payload.sequence) {
            (Carrier::Tcp, Some(sequence)) => self.segment(place, at, payload, sequence),
            _ => self.datagram(place, at, payload),
        }
    }

    fn segment(&mut self, place: &mut ApplicationPlace, at: u32, payload: &Payload<'_>, sequence: u32) {
        let Some(reading) = self.readings.get_mut(at) else {
            return;
        };
        let direction = payload.direction & 1;
        let protocol = PROTOCOLS.get(usize::from(reading.protocol)).copied();
        let most = protocol.map_or(limits::UNDECIDED_OCTETS, |protocol| {
            usize::from(protocol.about().hold_octets)
        });
        let stream = &mut reading.streams[direction];
        if !stream.has_started()
            && stream.tries == 0
            && let Some(first) = payload.first_sequence
            && (sequence.wrapping_sub(first) as usize) < most
        {
            stream.start(first);
        }
        let cut = payload.octets as usize > payload.bytes.len();
        match stream.arrive(sequence, payload.bytes, most, &mut self.memory) {
            Arrival::Old => {}
            Arrival::Next(from) => {
                let octets = payload.bytes.get(from..).unwrap_or_default();
                self.read_stream(place, at, payload, Some(octets), cut);
            }
            Arrival::Held => self.read_stream(place, at, payload, None, cut),
            Arrival::TooFar => self.fail(place, at, direction, Fault::Gap),
            Arrival::NoMemory => {
                self.counters.memory_exhausted += 1;
                self.close(place, at, direction);
            }
        }
    }

    /// Gives the protocol what is there of a direction, from the packet itself where that is all.
    fn read_stream(
        &mut self,
        place: &mut ApplicationPlace,
        at: u32,
        payload: &Payload<'_>,
        octets: Option<&[u8]>,
        cut: bool,
    ) {
        let Some(mut reading) = self.readings.get(at).copied() else {
            return;
        };
        let direction = payload.direction & 1;
        if reading.protocol == UNDECIDED {
            let ready = octets.unwrap_or_else(|| reading.streams[direction].ready(&self.memory));
            if ready.is_empty() {
                return;
            }
            let mut input = input_of(payload, ready);
            input.end = cut;
            match self.recognise(&input) {
                Recognised::Yes(protocol) => {
                    if !self.decide(at, protocol) {
                        return self.drop_reading(place, at);
                    }
                    let Some(decided) = self.readings.get(at).copied() else {
                        return;
                    };
                    reading = decided;
                }
                Recognised::More => {
                    return match octets {
                        Some(octets) => self.hold_rest(place, at, direction, 0, octets, limits::UNDECIDED_OCTETS),
                        None => {}
                    };
                }
                Recognised::No => {
                    self.drop_reading(place, at);
                    return self.count_unrecognised(place, direction);
                }
            }
        }
        let Some(protocol) = PROTOCOLS.get(usize::from(reading.protocol)).copied() else {
            return;
        };
        let most = usize::from(protocol.about().hold_octets);
        // What is held is read where it lies; the scratch of values and notes lies elsewhere.
        let mut values = std::mem::take(&mut self.values);
        let mut notes = std::mem::take(&mut self.notes);
        self.load(&reading, protocol, &mut values, &mut notes);
        let ready = octets.unwrap_or_else(|| reading.streams[direction].ready(&self.memory));
        let mut input = input_of(payload, ready);
        input.end = cut;
        let length = ready.len();
        let outcome = feed(
            protocol,
            input,
            &mut reading.streams[direction].stage,
            &mut values,
            &mut notes,
        );
        if let Some(stored) = self.readings.get_mut(at) {
            stored.streams[direction].stage = reading.streams[direction].stage;
        }
        let stored = self.store(at, &mut values, &notes, most);
        self.values = values;
        self.notes = notes;
        if !stored {
            return self.close(place, at, direction);
        }
        self.settle(place, at, direction, outcome, octets, length, cut, most);
    }

    /// Does what a protocol's progress says to one direction of a stream.
    #[allow(clippy::too_many_arguments)] // one step, parted from the one before it by what is borrowed
    fn settle(
        &mut self,
        place: &mut ApplicationPlace,
        at: u32,
        direction: usize,
        outcome: Outcome,
        octets: Option<&[u8]>,
        length: usize,
        cut: bool,
        most: usize,
    ) {
        match outcome.progress {
            Progress::Done => self.close(place, at, direction),
            Progress::Finished => self.finish(place, at),
            Progress::Fault(fault) => self.fail(place, at, direction, fault),
            Progress::Skip => self.skip(place, at, direction),
            Progress::More | Progress::Next(_) => {
                let Some(reading) = self.readings.get_mut(at) else {
                    return;
                };
                reading.streams[direction].consume(outcome.consumed, &mut self.memory);
                let left = length.saturating_sub(outcome.consumed);
                if cut {
                    self.fail(place, at, direction, Fault::Cut);
                } else if left >= most {
                    self.fail(place, at, direction, Fault::TooLong);
                } else if let Some(rest) = octets.and_then(|octets| octets.get(outcome.consumed..)) {
                    self.hold_rest(place, at, direction, 0, rest, most);
                }
            }
        }
    }

    fn hold_rest(
        &mut self,
        place: &mut ApplicationPlace,
        at: u32,
        direction: usize,
        start: usize,
        rest: &[u8],
        most: usize,
    ) {
        let Some(reading) = self.readings.get_mut(at) else {
            return;
        };
        if rest.is_empty() {
            return;
        }
        match reading.streams[direction].hold(start, rest, most, &mut self.memory) {
            Arrival::NoMemory => {
                self.counters.memory_exhausted += 1;
                self.close(place, at, direction);
            }
            Arrival::TooFar => self.fail(place, at, direction, Fault::TooLong),
            _ => {}
        }
    }

    fn datagram(&mut self, place: &mut ApplicationPlace, at: u32, payload: &Payload<'_>) {
        let direction = payload.direction & 1;
        let Some(mut reading) = self.readings.get(at).copied() else {
            return;
        };
        let Some(protocol) = PROTOCOLS.get(usize::from(reading.protocol)).copied() else {
            return self.drop_reading(place, at);
        };
        let mut values = std::mem::take(&mut self.values);
        let mut notes = std::mem::take(&mut self.notes);
        self.load(&reading, protocol, &mut values, &mut notes);
        let input = input_of(payload, payload.bytes);
        let mut conversation = Conversation {
            stage: &mut reading.streams[direction].stage,
            notes: &mut notes,
            values: &mut values,
        };
        let progress = protocol.read(&input, &mut conversation);
        let mut tries = 0;
        if let Some(stored) = self.readings.get_mut(at) {
            let stream = &mut stored.streams[direction];
            stream.stage = reading.streams[direction].stage;
            stream.tries = stream.tries.saturating_add(1);
            tries = stream.tries;
        }
        let stored = self.store(at, &mut values, &notes, usize::from(protocol.about().hold_octets));
        self.values = values;
        self.notes = notes;
        match progress {
            _ if !stored => self.close(place, at, direction),
            Progress::Finished => self.finish(place, at),
            Progress::Done => self.close(place, at, direction),
            Progress::Fault(fault) => self.fail(place, at, direction, fault),
            Progress::Next(_) | Progress::More | Progress::Skip => {
                if tries >= limits::APPLICATION_DATAGRAMS {
                    self.close(place, at, direction);
                }
            }
        }
    }

    fn load(&self, reading: &Reading, protocol: &dyn Protocol, values: &mut Values, notes: &mut Vec<u8>) {
        let known = self.known.get(reading.known).copied().unwrap_or_default();
        let octets = self.memory.octets(known.octets).get(..usize::from(known.length));
        values.load(protocol.about().fields, known.present, octets.unwrap_or_default());
        notes.clear();
        let kept = self.memory.octets(reading.notes);
        notes.extend_from_slice(kept.get(..usize::from(reading.notes_octets)).unwrap_or_default());
    }

    /// Keeps what a protocol set; false when there was no room.
    fn store(&mut self, at: u32, values: &mut Values, notes: &[u8], most: usize) -> bool {
        self.counters.texts_cut += values.take_cut();
        let Some(reading) = self.readings.get_mut(at) else {
            return false;
        };
        let mut stored = true;
        if values.changed()
            && let Some(known) = self.known.get_mut(reading.known)
        {
            stored = keep(known, values, &mut self.memory);
        }
        if notes.len() > most {
            let protocol = usize::from(reading.protocol);
            if let Some(faults) = self.counters.faults.get_mut(protocol) {
                faults[Fault::TooLong as usize] += 1;
            }
            return false;
        }
        if stored && (!notes.is_empty() || reading.notes_octets > 0) {
            stored = self.memory.store(&mut reading.notes, notes);
            if stored {
                reading.notes_octets = notes.len() as u16;
            }
        }
        self.counters.memory_exhausted += u64::from(!stored);
        stored
    }

    /// The direction does not begin with anything known: the next packet may.
    fn skip(&mut self, place: &mut ApplicationPlace, at: u32, direction: usize) {
        let Some(reading) = self.readings.get_mut(at) else {
            return;
        };
        let stream = &mut reading.streams[direction];
        stream.tries = stream.tries.saturating_add(1);
        if u32::from(stream.tries) >= limits::RECOGNITION_PACKETS {
            return self.fail(place, at, direction, Fault::Malformed);
        }
        stream.restart(&mut self.memory);
    }

    fn fail(&mut self, place: &mut ApplicationPlace, at: u32, direction: usize, fault: Fault) {
        let protocol = self.readings.get(at).map_or(UNDECIDED, |reading| reading.protocol);
        if let Some(faults) = self.counters.faults.get_mut(usize::from(protocol)) {
            faults[fault as usize] += 1;
        }
        self.close(place, at, direction);
    }

    fn close(&mut self, place: &mut ApplicationPlace, at: u32, direction: usize) {
        if let Some(reading) = self.readings.get_mut(at) {
            reading.streams[direction].release(&mut self.memory);
            if reading.protocol == UNDECIDED {
                self.drop_reading(place, at);
                return;
            }
        }
        if place.close(direction) {
            self.finish(place, at);
        }
    }

    /// Nothing more is read of a flow whose protocol is known.
    fn finish(&mut self, place: &mut ApplicationPlace, at: u32) {
        match self.end_reading(at) {
            NO_KNOWN => place.give_up(),
            known => place.set_known(known),
        }
    }

    /// Nothing is read of a flow any more, and nothing is known.
    fn drop_reading(&mut self, place: &mut ApplicationPlace, at: u32) {
        let known = self.end_reading(at);
        self.forget(known);
        place.give_up();
    }

    fn end_reading(&mut self, at: u32) -> u32 {
        let reading = self.readings.remove(at);
        for mut stream in reading.streams {
            stream.release(&mut self.memory);
        }
        self.memory.free(reading.notes);
        reading.known
    }

    fn forget(&mut self, known: u32) {
        if known != NO_KNOWN {
            let known = self.known.remove(known);
            self.memory.free(known.octets);
        }
    }
}

/// What all protocols together say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recognised {
    Yes(u8),
    More,
    No,
}

fn input_of<'a>(payload: &Payload<'_>, octets: &'a [u8]) -> Input<'a> {
    Input {
        octets,
        end: payload.octets as usize > payload.bytes.len() || payload.carrier != Carrier::Tcp,
        direction: payload.direction & 1,
        ports: payload.ports,
        carrier: payload.carrier,
        now_ns: payload.now_ns,
    }
}

/// Gives a protocol octets until it wants more than there are.
fn feed(
    protocol: &dyn Protocol,
    mut input: Input<'_>,
    stage: &mut u16,
    values: &mut Values,
    notes: &mut Vec<u8>,
) -> Outcome {
    let mut consumed = 0;
    loop {
        if input.octets.is_empty() {
            return Outcome {
                consumed,
                progress: Progress::More,
            };
        }
        let mut conversation = Conversation { stage, notes, values };
        match protocol.read(&input, &mut conversation) {
            Progress::Next(octets) if octets > 0 => {
                let octets = octets.min(input.octets.len());
                consumed += octets;
                input.octets = input.octets.get(octets..).unwrap_or_default();
            }
            Progress::Next(_) => {
                return Outcome {
                    consumed,
                    progress: Progress::More,
                };
            }
            progress => return Outcome { consumed, progress },
        }
    }
}

/// Keeps values; false, with what was known before, when there is no room.
fn keep(known: &mut Known, values: &Values, memory: &mut Memory) -> bool {
    let octets = values.octets();
    let Ok(length) = u16::try_from(octets.len()) else {
        return false;
    };
    if !memory.store(&mut known.octets, octets) {
        return false;
    }
    known.present = values.present();
    known.length = length;
    true
}
