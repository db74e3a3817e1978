//! Writing: values in the octets of RFC 7011 section 6, for whoever encodes Data Records.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::value::{Resolution, ntp_octets};

/// Writes the values of one Data Record, in the order of its template, into the room that a Message has left.
///
/// Nothing checks that they fit the template: layouts are written once and tested by decoding them again. What finds
/// no room is counted and not written; the record then goes into the next Message.
#[derive(Debug)]
pub struct RecordWriter<'b> {
    room: &'b mut [u8],
    octets: usize,
    missing: usize,
}

impl<'b> RecordWriter<'b> {
    /// Writes to the front of `room`.
    pub fn new(room: &'b mut [u8]) -> Self {
        Self {
            octets: room.len(),
            room,
            missing: 0,
        }
    }

    /// Octets written.
    #[must_use]
    pub fn written(&self) -> usize {
        self.octets - self.room.len()
    }

    /// 0 while there was room; else the octets of the whole record, of which nothing is of use.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, octets: [u8; N]) {
        if self.room.len() < N {
            return self.overflow(N);
        }
        if let Some((place, behind)) = std::mem::take(&mut self.room).split_first_chunk_mut::<N>() {
            *place = octets;
            self.room = behind;
        }
    }

    /// Once something found no room, nothing else does: the record is only measured from here on.
    #[cold]
    fn overflow(&mut self, octets: usize) {
        self.missing += self.written() + octets;
        self.octets = 0;
        self.room = &mut [];
    }

    /// unsigned8.
    #[inline]
    pub fn u8(&mut self, number: u8) {
        self.put([number]);
    }

    /// unsigned16.
    #[inline]
    pub fn u16(&mut self, number: u16) {
        self.put(number.to_be_bytes());
    }

    /// unsigned32.
    #[inline]
    pub fn u32(&mut self, number: u32) {
        self.put(number.to_be_bytes());
    }

    /// unsigned64, or dateTimeMilliseconds.
    #[inline]
    pub fn u64(&mut self, number: u64) {
        self.put(number.to_be_bytes());
    }

    /// float64.
    #[inline]
    pub fn f64(&mut self, number: f64) {
        self.put(number.to_be_bytes());
    }

    /// boolean: 1 is true and 2 is false.
    #[inline]
    pub fn boolean(&mut self, truth: bool) {
        self.put([if truth { 1 } else { 2 }]);
    }

    /// ipv4Address.
    #[inline]
    pub fn ipv4(&mut self, address: Ipv4Addr) {
        self.put(address.octets());
    }

    /// ipv6Address.
    #[inline]
    pub fn ipv6(&mut self, address: Ipv6Addr) {
        self.put(address.octets());
    }

    /// dateTimeMilliseconds of `ns` nanoseconds since 1970; before that, 1970.
    #[inline]
    pub fn milliseconds(&mut self, ns: i64) {
        self.u64(u64::try_from(ns).unwrap_or(0) / 1_000_000);
    }

    /// dateTimeMicroseconds or dateTimeNanoseconds of `ns` nanoseconds since 1970.
    #[inline]
    pub fn ntp(&mut self, ns: i64, resolution: Resolution) {
        self.put(ntp_octets(ns, resolution));
    }

    /// The octets of a fixed-length field as they are.
    #[inline]
    pub fn bytes(&mut self, octets: &[u8]) {
        if self.room.len() < octets.len() {
            return self.overflow(octets.len());
        }
        let (place, behind) = std::mem::take(&mut self.room).split_at_mut(octets.len());
        place.copy_from_slice(octets);
        self.room = behind;
    }

    /// A macAddress, or any other value of a size known here: a store rather than a copy.
    #[inline]
    pub fn array<const N: usize>(&mut self, octets: [u8; N]) {
        self.put(octets);
    }

    /// Several values of sizes known here, by one look at the room that is left.
    #[inline(always)]
    pub fn values<const N: usize>(&mut self, fill: impl FnOnce(&mut [u8; N])) {
        if self.room.len() < N {
            return self.overflow(N);
        }
        if let Some((place, behind)) = std::mem::take(&mut self.room).split_first_chunk_mut::<N>() {
            fill(place);
            self.room = behind;
        }
    }

    /// A variable-length value with its length before it, in the short form where it fits. Beyond 65535 octets it is cut.
    #[inline]
    pub fn variable(&mut self, octets: &[u8]) {
        let octets = octets.get(..usize::from(u16::MAX)).unwrap_or(octets);
        match u8::try_from(octets.len()) {
            Ok(short) if short < 255 => self.put([short]),
            _ => {
                self.put([255]);
                self.u16(octets.len() as u16);
            }
        }
        self.bytes(octets);
    }
}

/// Octets that a Message is put together from: a buffer of the longest Message's size, and how much of it is used.
#[derive(Debug, Default)]
pub(crate) struct MessageBuffer {
    octets: Vec<u8>,
    used: usize,
}

impl MessageBuffer {
    /// An empty Message in `octets`, with room for `longest`.
    pub(crate) fn start(mut octets: Vec<u8>, longest: usize, domain: u32) -> Self {
        octets.resize(longest, 0);
        let mut buffer = Self { octets, used: 0 };
        buffer.push(&super::VERSION.to_be_bytes());
        // Length, export time and sequence number are those of the moment it leaves: `finish` writes them.
        buffer.push(&[0; 10]);
        buffer.push(&domain.to_be_bytes());
        buffer
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// What is left of the longest Message.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.used..).unwrap_or_default()
    }

    /// Takes up octets that were written into the room.
    #[inline]
    pub(crate) fn advance(&mut self, octets: usize) {
        self.used = (self.used + octets).min(self.octets.len());
    }

    /// Takes back everything from `length` on.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.used = self.used.min(length);
    }

    /// Appends octets, for which there must be room.
    pub(crate) fn push(&mut self, octets: &[u8]) {
        if let Some(place) = self.room().get_mut(..octets.len()) {
            place.copy_from_slice(octets);
            self.used += octets.len();
        }
    }

    /// A Set header without a length, which [`Self::finish_set`] fills in; says where it starts.
    pub(crate) fn start_set(&mut self, id: u16) -> usize {
        let start = self.used;
        self.push(&id.to_be_bytes());
        self.push(&[0, 0]);
        start
    }

    /// Writes the length of the Set from `start` on.
    pub(crate) fn finish_set(&mut self, start: usize) {
        let length = u16::try_from(self.used.saturating_sub(start)).unwrap_or(u16::MAX);
        self.put(start + 2, &length.to_be_bytes());
    }

    /// Completes the header and gives the Message out.
    pub(crate) fn finish(mut self, export_time: u32, sequence: u32) -> Vec<u8> {
        let length = u16::try_from(self.used).unwrap_or(u16::MAX);
        self.put(2, &length.to_be_bytes());
        self.put(4, &export_time.to_be_bytes());
        self.put(8, &sequence.to_be_bytes());
        self.octets.truncate(self.used);
        self.octets
    }

    fn put(&mut self, at: usize, octets: &[u8]) {
        if let Some(place) = self.octets.get_mut(at..at + octets.len()) {
            place.copy_from_slice(octets);
        }
    }
}
