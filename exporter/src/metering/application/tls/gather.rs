//! Puts pieces of a handshake message in order: CRYPTO frames of QUIC (RFC 9000 section 19.6), fragments of DTLS
//! (RFC 6347 section 4.2.3).
//!
//! Everything lies in the notes of the conversation, behind what the protocol keeps there itself: whose message it is,
//! which parts of it are there, and the message with its gaps.

use super::limits::MAX_PARTS;
use crate::metering::application::Fault;

const HEADER: usize = 2 + 4 * MAX_PARTS;

/// A message that is being gathered at a place in the notes.
#[derive(Debug)]
pub struct Gather<'a> {
    notes: &'a mut Vec<u8>,
    at: usize,
}

impl<'a> Gather<'a> {
    /// Goes on with the message of that `tag` at place `at`, or begins it in place of another one.
    pub fn new(notes: &'a mut Vec<u8>, at: usize, tag: u8) -> Gather<'a> {
        if notes.len() < at + HEADER || notes.get(at) != Some(&tag) {
            notes.resize(at, 0);
            notes.push(tag);
            notes.resize(at + HEADER, 0);
        }
        Gather { notes, at }
    }

    /// Forgets the message.
    pub fn clear(notes: &mut Vec<u8>, at: usize) {
        notes.truncate(at);
    }

    /// Adds a piece. Where pieces overlap, the later one counts; honest ones are alike.
    ///
    /// # Errors
    /// `TooLong` when it ends beyond `most`, or when there would be more than [`MAX_PARTS`] parts with gaps between.
    pub fn put(&mut self, offset: usize, piece: &[u8], most: usize) -> Result<(), Fault> {
        let end = offset.checked_add(piece.len()).filter(|end| *end <= most);
        let end = end.ok_or(Fault::TooLong)?;
        let (Ok(first), Ok(last)) = (u16::try_from(offset), u16::try_from(end)) else {
            return Err(Fault::TooLong);
        };
        if piece.is_empty() {
            return Ok(());
        }
        self.add_part(first, last)?;
        let data = self.at + HEADER;
        if self.notes.len() < data + end {
            self.notes.resize(data + end, 0);
        }
        if let Some(place) = self.notes.get_mut(data + offset..data + end) {
            place.copy_from_slice(piece);
        }
        Ok(())
    }

    /// What is there from the beginning of the message on, up to the first gap.
    pub fn ready(&self) -> &[u8] {
        let data = self.at + HEADER;
        match self.parts().next() {
            Some((0, end)) => self.notes.get(data..data + usize::from(end)).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Octets from their beginning to their end, in order and apart from each other.
    fn parts(&self) -> impl Iterator<Item = (u16, u16)> + '_ {
        let count = self.notes.get(self.at + 1).map_or(0, |count| usize::from(*count));
        let parts = self.notes.get(self.at + 2..self.at + HEADER).unwrap_or_default();
        parts.chunks_exact(4).take(count).map(|part| match *part {
            [a, b, c, d] => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
            _ => (0, 0),
        })
    }

    fn add_part(&mut self, first: u16, last: u16) -> Result<(), Fault> {
        let mut parts = [(0, 0); MAX_PARTS];
        let mut joined = (first, last);
        let mut count = 0;
        for part in self.parts() {
            if part.0 <= joined.1 && joined.0 <= part.1 {
                joined = (joined.0.min(part.0), joined.1.max(part.1));
            } else {
                *parts.get_mut(count).ok_or(Fault::TooLong)? = part;
                count += 1;
            }
        }
        *parts.get_mut(count).ok_or(Fault::TooLong)? = joined;
        count += 1;
        parts.get_mut(..count).unwrap_or_default().sort_unstable();
        if let Some(place) = self.notes.get_mut(self.at + 1) {
            *place = count as u8;
        }
        let places = self.notes.get_mut(self.at + 2..self.at + HEADER).unwrap_or_default();
        for (place, (first, last)) in places.chunks_exact_mut(4).zip(parts) {
            let ([a, b], [c, d]) = (first.to_be_bytes(), last.to_be_bytes());
            place.copy_from_slice(&[a, b, c, d]);
        }
        Ok(())
    }
}
