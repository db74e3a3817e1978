//! Writing: values in the octets of RFC 7011 section 6, for whoever encodes Data Records.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::value::{Resolution, ntp_octets};

/// Appends the values of one Data Record, in the order of its template.
///
/// Nothing checks that they fit the template: layouts are written once and tested by decoding them again.
#[derive(Debug)]
pub struct RecordWriter<'b> {
    out: &'b mut Vec<u8>,
}

impl<'b> RecordWriter<'b> {
    /// Writes behind what is in `out`.
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out }
    }

    /// unsigned8.
    #[inline]
    pub fn u8(&mut self, number: u8) {
        self.out.push(number);
    }

    /// unsigned16.
    #[inline]
    pub fn u16(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    /// unsigned32.
    #[inline]
    pub fn u32(&mut self, number: u32) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    /// unsigned64, or dateTimeMilliseconds.
    #[inline]
    pub fn u64(&mut self, number: u64) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    /// float64.
    #[inline]
    pub fn f64(&mut self, number: f64) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    /// boolean: 1 is true and 2 is false.
    #[inline]
    pub fn boolean(&mut self, truth: bool) {
        self.out.push(if truth { 1 } else { 2 });
    }

    /// ipv4Address.
    #[inline]
    pub fn ipv4(&mut self, address: Ipv4Addr) {
        self.out.extend_from_slice(&address.octets());
    }

    /// ipv6Address.
    #[inline]
    pub fn ipv6(&mut self, address: Ipv6Addr) {
        self.out.extend_from_slice(&address.octets());
    }

    /// dateTimeMilliseconds of `ns` nanoseconds since 1970; before that, 1970.
    #[inline]
    pub fn milliseconds(&mut self, ns: i64) {
        self.u64(u64::try_from(ns).unwrap_or(0) / 1_000_000);
    }

    /// dateTimeMicroseconds or dateTimeNanoseconds of `ns` nanoseconds since 1970.
    #[inline]
    pub fn ntp(&mut self, ns: i64, resolution: Resolution) {
        self.out.extend_from_slice(&ntp_octets(ns, resolution));
    }

    /// The octets of a fixed-length field as they are.
    #[inline]
    pub fn bytes(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    /// A variable-length value with its length before it, in the short form where it fits. Beyond 65535 octets it is cut.
    #[inline]
    pub fn variable(&mut self, octets: &[u8]) {
        let octets = octets.get(..usize::from(u16::MAX)).unwrap_or(octets);
        match u8::try_from(octets.len()) {
            Ok(short) if short < 255 => self.out.push(short),
            _ => {
                self.out.push(255);
                self.u16(octets.len() as u16);
            }
        }
        self.out.extend_from_slice(octets);
    }
}

/// A Message header with a length of 0, which [`finish_length`] fills in.
pub(crate) fn start_message(out: &mut Vec<u8>, export_time: u32, sequence: u32, domain: u32) {
    out.extend_from_slice(&super::VERSION.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&export_time.to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&domain.to_be_bytes());
}

/// Writes the length of everything from `start` on into the 16 bits at `start + 2`: the same place in a Message
/// header and in a Set header.
pub(crate) fn finish_length(out: &mut [u8], start: usize) {
    let length = u16::try_from(out.len().saturating_sub(start)).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(start + 2..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// A Set header with a length of 0, which [`finish_length`] fills in; says where it starts.
pub(crate) fn start_set(out: &mut Vec<u8>, id: u16) -> usize {
    let start = out.len();
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
    start
}
