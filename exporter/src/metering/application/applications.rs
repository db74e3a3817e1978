//! Gives protocols the payload of flows, in order, and keeps what they find until the flow's records are made.

use flowgauge_templates::packet::Arp;

use super::arp;
use super::counters::ApplicationCounters;
use super::memory::Memory;
use super::place::{ApplicationPlace, Standing};
use super::protocol::{Carrier, Input, Verdict};
use super::reading::{Known, NO_KNOWN, Reading, Turn};
use super::record::ApplicationRecord;
use super::registry::{PROTOCOLS, ProtocolSet};
use super::slab::Slab;
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

/// Recognises and reads the applications of all flows.
#[derive(Debug)]
pub struct Applications {
    config: ApplicationConfig,
    /// Which protocols can begin with an octet, by carrier.
    candidates: Box<[[u32; 256]; Carrier::COUNT]>,
    pub(super) readings: Slab<Reading>,
    pub(super) known: Slab<Known>,
    pub(super) memory: Memory,
    pub(super) values: Values,
    pub(super) notes: Vec<u8>,
    pub(super) counters: ApplicationCounters,
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
            Standing::Reading(at) => self.go_on(&mut Turn { place, at, payload }),
            Standing::Known(_) => {}
        }
    }

    /// Looks at an ARP message of the flow at `place`.
    pub fn inspect_arp(&mut self, place: &mut ApplicationPlace, message: &Arp, direction: usize, now_ns: i64) {
        let octets = arp::message(message);
        let payload = Payload {
            bytes: &octets,
            octets: octets.len() as u32,
            direction,
            sequence: None,
            first_sequence: None,
            ports: [0; 2],
            carrier: Carrier::Arp,
            now_ns,
        };
        self.inspect(place, &payload);
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
            false => self.recognise(&payload.input(payload.bytes)),
        };
        match verdict {
            Recognised::No => self.count_unrecognised(place, payload.direction),
            Recognised::More if payload.carrier != Carrier::Tcp => self.count_unrecognised(place, payload.direction),
            Recognised::More => {
                if let Some(at) = self.begin_reading(place) {
                    let first = payload.first_sequence.filter(|_| overtook);
                    self.start(at, payload.direction, first);
                    self.go_on(&mut Turn { place, at, payload });
                }
            }
            Recognised::Yes(protocol) => {
                if let Some(at) = self.begin_reading(place) {
                    let decided = self.decide(at, protocol);
                    let mut turn = Turn { place, at, payload };
                    match decided {
                        true => self.go_on(&mut turn),
                        false => self.drop_reading(&mut turn),
                    }
                }
            }
        }
    }

    pub(super) fn recognise(&self, input: &Input<'_>) -> Recognised {
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

    pub(super) fn count_unrecognised(&mut self, place: &mut ApplicationPlace, direction: usize) {
        self.counters.packets_unrecognised += 1;
        place.count_unrecognised(direction, limits::RECOGNITION_PACKETS);
    }

    fn begin_reading(&mut self, place: &mut ApplicationPlace) -> Option<u32> {
        let most = self.config.readings.min(ApplicationPlace::MAX_PLACES);
        // What a proxy said before (SOCKS) is not what begins here.
        let mut reading = Reading::default();
        for (direction, stream) in reading.streams.iter_mut().enumerate() {
            stream.tries = place.unrecognised(direction);
        }
        match self.readings.insert(reading, most) {
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
    pub(super) fn decide(&mut self, at: u32, protocol: u8) -> bool {
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
        if !known.keep(&self.values, &mut self.memory) {
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
}

/// What all protocols together say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recognised {
    Yes(u8),
    More,
    No,
}
