//! DNS over TCP: messages behind two octets of length each, however segments part them (RFC 1035 section 4.2.2, RFC 7766).
//!
//! Octets are kept only of messages that are not whole yet, and of segments behind one that is missing. A connection whose
//! beginning was not seen, or that has a gap, is taken up again at the first segment that looks like a message.

use super::aging::Aging;
use super::buckets::{Buckets, spread};
use super::counters::StreamCounters;
use super::message::HEADER_OCTETS;
use crate::limits;
use crate::metering::key::PackedKey;

/// Segments behind a missing one that wait for it in each direction.
const MAX_AHEAD: usize = 8;
/// Memory that a direction keeps while nothing waits.
const KEPT_OCTETS: usize = 1024;
/// Octets of the length before a message.
const LENGTH_OCTETS: usize = 2;

/// A segment of a connection on the port of DNS.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub key: PackedKey,
    pub hash: u32,
    pub from_high: bool,
    pub now_ns: i64,
    pub sequence: u32,
    pub is_syn: bool,
    pub is_last: bool,
    pub payload: &'a [u8],
    /// Octets of payload, captured or not.
    pub octets: usize,
}

/// The connections that are followed.
#[derive(Debug)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    vacant: Vec<u32>,
    buckets: Buckets,
    aging: Aging,
    most: usize,
    /// Octets kept in all of them.
    kept: usize,
    counters: StreamCounters,
}

#[derive(Debug)]
struct Stream {
    key: PackedKey,
    hash: u32,
    last_ns: i64,
    sides: [Side; 2],
}

#[derive(Debug, Default)]
struct Side {
    /// Sequence number of the next octet.
    next: u32,
    is_known: bool,
    /// Whether the next octet is known to begin or go on with a message.
    in_step: bool,
    /// Octets to come of a message that was already handed on.
    skip: usize,
    /// The beginning of a message.
    held: Vec<u8>,
    ahead: Vec<(u32, Vec<u8>)>,
}

/// What a side may change beside itself.
struct Around<'s, F> {
    kept: &'s mut usize,
    counters: &'s mut StreamCounters,
    /// Takes a message as far as it was captured, and its length.
    sink: F,
}

impl Streams {
    pub fn new(most: usize) -> Streams {
        Streams {
            streams: Vec::new(),
            vacant: Vec::new(),
            buckets: Buckets::new(most),
            aging: Aging::default(),
            most: most.max(1),
            kept: 0,
            counters: StreamCounters::default(),
        }
    }

    /// Takes in a segment and hands on the messages that end in it.
    pub fn handle(&mut self, segment: &Segment<'_>, sink: impl FnMut(&[u8], usize)) {
        let hash = spread(segment.hash, 0);
        let found = self.buckets.find(hash, |place| {
            self.streams
                .get(place as usize)
                .is_some_and(|stream| stream.key == segment.key)
        });
        let place = match found {
            Some(place) => place,
            None if segment.octets == 0 && !segment.is_syn => return,
            None => self.begin(segment),
        };
        self.aging.renew(place);
        let Some(stream) = self.streams.get_mut(place as usize) else {
            return;
        };
        stream.last_ns = segment.now_ns;
        let [low, high] = &mut stream.sides;
        let side = if segment.from_high { high } else { low };
        let mut around = Around {
            kept: &mut self.kept,
            counters: &mut self.counters,
            sink,
        };
        side.handle(segment, &mut around);
    }

    /// Forgets the connections on which nothing came for long, or that are from a time that is yet to come.
    pub fn handle_timeout(&mut self, now_ns: i64) {
        while let Some(place) = self.aging.oldest() {
            let last_ns = self.streams.get(place as usize).map_or(0, |stream| stream.last_ns);
            if (now_ns.wrapping_sub(last_ns) as u64) < limits::DNS_STREAM_IDLE_NS as u64 {
                return;
            }
            self.end(place);
        }
    }

    /// The account so far.
    pub fn counters(&self) -> StreamCounters {
        self.counters
    }

    fn begin(&mut self, segment: &Segment<'_>) -> u32 {
        if self.streams.len() - self.vacant.len() >= self.most
            && let Some(oldest) = self.aging.oldest()
        {
            self.end(oldest);
            self.counters.evicted += 1;
        }
        self.counters.followed += 1;
        let stream = Stream {
            key: segment.key,
            hash: segment.hash,
            last_ns: segment.now_ns,
            sides: Default::default(),
        };
        let place = match self.vacant.pop() {
            Some(place) => {
                if let Some(old) = self.streams.get_mut(place as usize) {
                    *old = stream;
                }
                place
            }
            None => {
                self.streams.push(stream);
                (self.streams.len() - 1) as u32
            }
        };
        self.aging.add(place);
        if let Some(displaced) = self.buckets.insert(spread(segment.hash, 0), place) {
            self.end(displaced);
            self.counters.evicted += 1;
        }
        place
    }

    fn end(&mut self, place: u32) {
        if let Some(stream) = self.streams.get_mut(place as usize) {
            self.buckets.remove(spread(stream.hash, 0), place);
            for side in &mut stream.sides {
                side.forget(&mut self.kept);
                *side = Side::default();
            }
        }
        self.aging.remove(place);
        self.vacant.push(place);
    }

    /// Octets of memory.
    pub fn octets(&self) -> usize {
        self.streams.capacity() * size_of::<Stream>() + self.buckets.octets() + self.aging.octets() + self.kept
    }
}

impl Side {
    fn handle<F: FnMut(&[u8], usize)>(&mut self, segment: &Segment<'_>, around: &mut Around<'_, F>) {
        let mut sequence = segment.sequence;
        if segment.is_syn {
            sequence = sequence.wrapping_add(1);
            // One that comes again changes nothing, unless it is of another connection.
            if !self.is_known || (self.next.wrapping_sub(sequence) as i32).unsigned_abs() > 1 << 20 {
                self.forget(around.kept);
                (self.next, self.is_known, self.in_step, self.skip) = (sequence, true, true, 0);
            }
        }
        if segment.octets > 0 {
            if !self.is_known {
                (self.next, self.is_known, self.in_step) = (sequence, true, false);
            }
            self.arrive(sequence, segment.payload, segment.octets, around);
        }
        if segment.is_last && self.ahead.is_empty() {
            around.counters.octets_skipped += self.held.len() as u64;
            self.forget(around.kept);
            self.in_step = false;
        }
    }

    fn arrive<F: FnMut(&[u8], usize)>(
        &mut self,
        sequence: u32,
        payload: &[u8],
        octets: usize,
        around: &mut Around<'_, F>,
    ) {
        if (sequence.wrapping_sub(self.next) as i32) <= 0 {
            self.go_on(sequence, payload, octets, around);
        } else if self.ahead.len() < MAX_AHEAD
            && payload.len() == octets
            && *around.kept + octets <= limits::DNS_STREAM_OCTETS
        {
            *around.kept += octets;
            self.ahead.push((sequence, payload.to_vec()));
            return;
        } else {
            // What is missing does not come any more.
            let next = self.next;
            let nearest = self.ahead.iter().map(|(at, _)| *at).chain([sequence]);
            let nearest = nearest.min_by_key(|at| at.wrapping_sub(next)).unwrap_or(sequence);
            self.jump(nearest, around);
            if nearest == sequence {
                self.go_on(sequence, payload, octets, around);
            } else {
                self.drain(around);
                if (sequence.wrapping_sub(self.next) as i32) > 0 {
                    self.jump(sequence, around);
                }
                self.go_on(sequence, payload, octets, around);
            }
        }
        self.drain(around);
    }

    /// Leaves out what was not seen.
    fn jump<F>(&mut self, to: u32, around: &mut Around<'_, F>) {
        around.counters.gaps += 1;
        around.counters.octets_skipped += self.held.len() as u64;
        *around.kept -= self.held.len();
        self.held.clear();
        (self.next, self.in_step, self.skip) = (to, false, 0);
    }

    /// Takes the segments that were ahead and are next now.
    fn drain<F: FnMut(&[u8], usize)>(&mut self, around: &mut Around<'_, F>) {
        while let Some(place) = self
            .ahead
            .iter()
            .position(|(at, _)| (at.wrapping_sub(self.next) as i32) <= 0)
        {
            let (at, octets) = self.ahead.swap_remove(place);
            *around.kept -= octets.len();
            self.go_on(at, &octets, octets.len(), around);
        }
    }

    /// Takes what is new of a segment that is not ahead.
    fn go_on<F: FnMut(&[u8], usize)>(
        &mut self,
        sequence: u32,
        payload: &[u8],
        octets: usize,
        around: &mut Around<'_, F>,
    ) {
        let known = self.next.wrapping_sub(sequence) as usize;
        let Some(mut missing) = octets.checked_sub(known).filter(|new| *new > 0) else {
            return;
        };
        let new = payload.get(known..).unwrap_or_default();
        self.next = self.next.wrapping_add(missing as u32);
        missing -= new.len().min(missing);
        self.read(new, around);
        if missing > 0 {
            self.miss(missing, around);
        }
        if self.held.is_empty() && self.held.capacity() > KEPT_OCTETS {
            self.held = Vec::new();
        }
    }

    /// Hands on the messages that end in `octets` and holds what is behind them.
    fn read<F: FnMut(&[u8], usize)>(&mut self, mut octets: &[u8], around: &mut Around<'_, F>) {
        while !octets.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(octets.len());
                octets = octets.get(skipped..).unwrap_or_default();
                self.skip -= skipped;
                continue;
            }
            if !self.in_step {
                if !is_plausible(octets) {
                    around.counters.octets_skipped += octets.len() as u64;
                    return;
                }
                self.in_step = true;
            }
            if !self.held.is_empty() {
                let wanted = match self.held.as_slice() {
                    [high, low, ..] => LENGTH_OCTETS + usize::from(u16::from_be_bytes([*high, *low])),
                    _ => LENGTH_OCTETS,
                };
                let more = wanted.saturating_sub(self.held.len()).min(octets.len());
                let (taken, behind) = octets.split_at(more);
                octets = behind;
                self.hold(taken, around);
                match self.held.get(LENGTH_OCTETS..wanted) {
                    Some([]) => {
                        let length = self.held_length();
                        if length < HEADER_OCTETS {
                            return self.stumble(octets.len(), around);
                        }
                    }
                    Some(message) => {
                        (around.sink)(message, message.len());
                        self.let_go(around);
                    }
                    None => {}
                }
                continue;
            }
            let Some(([high, low], behind)) = octets.split_first_chunk::<LENGTH_OCTETS>() else {
                return self.hold(octets, around);
            };
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length < HEADER_OCTETS {
                return self.stumble(octets.len(), around);
            }
            match behind.split_at_checked(length) {
                Some((message, behind)) => {
                    (around.sink)(message, length);
                    octets = behind;
                }
                None => return self.hold(octets, around),
            }
        }
    }

    fn held_length(&self) -> usize {
        match self.held.as_slice() {
            [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => 0,
        }
    }

    /// Keeps the beginning of a message, or, without memory for that, hands on what there is of it.
    fn hold<F: FnMut(&[u8], usize)>(&mut self, octets: &[u8], around: &mut Around<'_, F>) {
        if *around.kept + octets.len() > limits::DNS_STREAM_OCTETS {
            around.counters.memory_exhausted += 1;
            self.held_on(octets, 0, around);
            return;
        }
        *around.kept += octets.len();
        self.held.extend_from_slice(octets);
    }

    /// Octets were not captured: hands on what there is of the message that they belong to.
    fn miss<F: FnMut(&[u8], usize)>(&mut self, missing: usize, around: &mut Around<'_, F>) {
        let skipped = self.skip.min(missing);
        self.skip -= skipped;
        if missing > skipped {
            self.held_on(&[], missing - skipped, around);
        }
    }

    /// Hands on what is held and `octets`, and skips the rest, of which `missing` octets are over already.
    fn held_on<F: FnMut(&[u8], usize)>(&mut self, octets: &[u8], missing: usize, around: &mut Around<'_, F>) {
        let known = self.held.len() + octets.len();
        let (length, rest) = match (self.held.as_slice(), octets) {
            ([_, _, ..], _) => (self.held_length(), self.held.get(LENGTH_OCTETS..)),
            ([], [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), Some(rest)),
            _ => (0, None),
        };
        match rest {
            Some(rest) if length >= HEADER_OCTETS => {
                (around.sink)(rest, length);
                let left = LENGTH_OCTETS + length;
                match left.checked_sub(known + missing) {
                    Some(skip) => self.skip = skip,
                    // The next message began in what is missing.
                    None => self.in_step = false,
                }
            }
            _ => {
                around.counters.octets_skipped += known as u64;
                self.in_step = false;
            }
        }
        self.let_go(around);
    }

    /// What came is no message: nothing of it is of use until something is again.
    fn stumble<F>(&mut self, octets: usize, around: &mut Around<'_, F>) {
        around.counters.gaps += 1;
        around.counters.octets_skipped += (self.held.len() + octets) as u64;
        self.in_step = false;
        self.let_go(around);
    }

    fn let_go<F>(&mut self, around: &mut Around<'_, F>) {
        *around.kept -= self.held.len();
        self.held.clear();
    }

    fn forget(&mut self, kept: &mut usize) {
        *kept -= self.held.len() + self.ahead.iter().map(|(_, octets)| octets.len()).sum::<usize>();
        self.held = Vec::new();
        self.ahead = Vec::new();
    }
}

/// Whether a segment may begin with the length of a message and its header.
fn is_plausible(octets: &[u8]) -> bool {
    let [l0, l1, _, _, flags, _, q0, q1, ..] = octets else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    let questions = u16::from_be_bytes([*q0, *q1]);
    let operation = flags >> 3 & 15;
    length >= HEADER_OCTETS && matches!(operation, 0 | 4 | 5) && (questions == 1 || (questions == 0 && flags >> 7 == 1))
}
