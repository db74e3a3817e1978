//! One direction of a TCP connection, put in order as far as a parser needs it (RFC 9293 section 3.10.7.4).
//!
//! Octets are held only when they cannot be parsed from their packet: because a message is not whole, or because
//! something before them is missing. They are held at their distance from the next octet wanted, in one bounded piece of memory.

use super::memory::{Memory, Region};

/// Parts with gaps between them that one direction holds at most.
const MAX_PARTS: usize = 4;

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stream {
    /// Sequence number of the next octet wanted.
    next: u32,
    held: Region,
    /// Parts of `held` that are filled, in order, with gaps between them; (0, 0) is none.
    parts: [(u16, u16); MAX_PARTS],
    started: bool,
    /// Where the parser is.
    pub stage: u16,
    /// Packets, or datagrams, without success.
    pub tries: u8,
}

/// What a segment is to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Nothing new.
    Old,
    /// New from this octet of it on, and the next that is wanted; nothing is held.
    Next(usize),
    /// It was put to what is held, which begins with the next octet wanted or not.
    Held,
    /// It is too far ahead, or in too many parts.
    TooFar,
    /// There is no memory to hold it.
    NoMemory,
}

impl Stream {
    /// Sets where the stream begins, unless it has begun.
    pub fn start(&mut self, sequence: u32) {
        if !self.started {
            self.started = true;
            self.next = sequence;
        }
    }

    /// Forgets where it is: the next segment begins it again.
    pub fn restart(&mut self, memory: &mut Memory) {
        self.release(memory);
        self.started = false;
        self.stage = 0;
    }

    /// Takes in a segment, holding at most `most` octets.
    pub fn arrive(&mut self, sequence: u32, octets: &[u8], most: usize, memory: &mut Memory) -> Arrival {
        self.start(sequence);
        let ahead = sequence.wrapping_sub(self.next) as i32;
        let (known, start) = match usize::try_from(ahead) {
            Ok(start) => (0, start),
            Err(_) => (ahead.unsigned_abs() as usize, 0),
        };
        let Some(new) = octets.get(known..).filter(|new| !new.is_empty()) else {
            return Arrival::Old;
        };
        if start == 0 && self.is_empty() {
            return Arrival::Next(known);
        }
        self.hold(start, new, most, memory)
    }

    /// Holds octets that begin `start` behind the next one wanted.
    pub fn hold(&mut self, start: usize, octets: &[u8], most: usize, memory: &mut Memory) -> Arrival {
        let end = start + octets.len();
        let (Ok(first), Ok(last)) = (u16::try_from(start), u16::try_from(end)) else {
            return Arrival::TooFar;
        };
        let before = self.parts;
        if end > most || !self.add_part(first, last) {
            return Arrival::TooFar;
        }
        if !memory.grow(&mut self.held, end) {
            self.parts = before;
            return Arrival::NoMemory;
        }
        // Only gaps are filled: of contradicting copies the first counts.
        let held = memory.octets_mut(self.held);
        let mut at = start;
        let filled = before.iter().filter(|part| part.1 > 0);
        for (from, to) in filled
            .map(|part| (usize::from(part.0), usize::from(part.1)))
            .chain([(end, end)])
        {
            let until = from.clamp(at, end.max(at));
            if let (Some(place), Some(new)) = (held.get_mut(at..until), octets.get(at - start..until - start)) {
                place.copy_from_slice(new);
            }
            at = at.max(to);
        }
        Arrival::Held
    }

    /// Held octets that begin with the next one wanted.
    pub fn ready<'a>(&self, memory: &'a Memory) -> &'a [u8] {
        let length = match self.parts.first() {
            Some(&(0, end)) => usize::from(end),
            _ => 0,
        };
        memory.octets(self.held).get(..length).unwrap_or_default()
    }

    /// Goes on behind `octets` that were read from a packet or from what is held.
    pub fn consume(&mut self, octets: usize, memory: &mut Memory) {
        self.next = self.next.wrapping_add(octets as u32);
        let Some(end) = self.parts.iter().map(|part| usize::from(part.1)).max() else {
            return;
        };
        if end == 0 || octets == 0 {
            return;
        }
        if octets >= end {
            self.release(memory);
            return;
        }
        memory.octets_mut(self.held).copy_within(octets..end, 0);
        let shift = octets as u16;
        let mut kept = [(0, 0); MAX_PARTS];
        let behind = self.parts.iter().filter(|part| part.1 > shift);
        for (place, part) in kept.iter_mut().zip(behind) {
            *place = (part.0.saturating_sub(shift), part.1 - shift);
        }
        self.parts = kept;
    }

    /// Holds nothing any more.
    pub fn release(&mut self, memory: &mut Memory) {
        memory.free(std::mem::take(&mut self.held));
        self.parts = Default::default();
    }

    fn is_empty(&self) -> bool {
        self.parts[0].1 == 0
    }

    /// Adds a part and joins it with those it touches; false when there would be too many.
    fn add_part(&mut self, first: u16, last: u16) -> bool {
        let mut joined = (first, last);
        let mut parts = [(0, 0); MAX_PARTS + 1];
        let mut count = 0;
        for part in self.parts.iter().copied().filter(|part| part.1 > 0) {
            if part.0 <= joined.1 && joined.0 <= part.1 {
                joined = (part.0.min(joined.0), part.1.max(joined.1));
            } else if let Some(place) = parts.get_mut(count) {
                *place = part;
                count += 1;
            }
        }
        if count >= MAX_PARTS {
            return false;
        }
        if let Some(place) = parts.get_mut(count) {
            *place = joined;
        }
        if let Some(parts) = parts.get_mut(..=count) {
            parts.sort_unstable();
        }
        self.parts.copy_from_slice(&parts[..MAX_PARTS]);
        true
    }
}
