//! XDR (RFC 4506) as far as sFlow writes it: big-endian words, and opaque data filled up to whole ones.

/// Writes behind what is there.
#[derive(Debug)]
pub struct Xdr<'v>(pub &'v mut Vec<u8>);

/// A place where a length or a count goes when it is known.
#[derive(Debug)]
#[must_use]
pub struct Place(usize);

impl Xdr<'_> {
    /// A number of 32 bits.
    pub fn word(&mut self, word: u32) {
        self.0.extend_from_slice(&word.to_be_bytes());
    }

    /// Several.
    pub fn words(&mut self, words: &[u32]) {
        words.iter().for_each(|word| self.word(*word));
    }

    /// A number of 64 bits.
    pub fn hyper(&mut self, hyper: u64) {
        self.0.extend_from_slice(&hyper.to_be_bytes());
    }

    /// A floating-point number of 32 bits.
    pub fn float(&mut self, float: f32) {
        self.word(float.to_bits());
    }

    /// Octets of a length that both sides know.
    pub fn fixed(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
        self.fill(octets.len());
    }

    /// At most so many octets, behind their number.
    pub fn opaque(&mut self, octets: &[u8], most: usize) {
        let octets = octets.get(..most).unwrap_or(octets);
        self.word(octets.len() as u32);
        self.fixed(octets);
    }

    /// A word that is written later.
    pub fn later(&mut self) -> Place {
        self.word(0);
        Place(self.0.len())
    }

    /// Writes the number of octets since the place.
    pub fn end(&mut self, place: Place) {
        let octets = self.0.len() - place.0;
        self.set(&place, octets as u32);
    }

    /// Writes a word into its place.
    pub fn set(&mut self, place: &Place, word: u32) {
        if let Some(octets) = self.0.get_mut(place.0 - 4..place.0) {
            octets.copy_from_slice(&word.to_be_bytes());
        }
    }

    fn fill(&mut self, octets: usize) {
        let length = self.0.len() + octets.wrapping_neg() % 4;
        self.0.resize(length, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_rfc_4506_shows() {
        let mut octets = Vec::new();
        let mut xdr = Xdr(&mut octets);
        let place = xdr.later();
        // RFC 4506 section 7: "sillyprog" and "john" with their lengths, "(quit)" as opaque data.
        xdr.opaque(b"sillyprog", 255);
        xdr.opaque(b"john", 255);
        xdr.opaque(b"(quit)", 255);
        xdr.end(place);
        let expected = b"\0\0\0\x24\0\0\0\x09sillyprog\0\0\0\0\0\0\x04john\0\0\0\x06(quit)\0\0";
        assert_eq!(octets, expected);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let mut octets = Vec::new();
        Xdr(&mut octets).opaque(b"abcdef", 5);
        assert_eq!(octets, b"\0\0\0\x05abcde\0\0\0");
    }
}
