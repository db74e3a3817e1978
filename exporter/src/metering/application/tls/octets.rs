//! Reads what the TLS presentation language describes: numbers and vectors behind their length (RFC 8446 section 3.4).
//!
//! A reader of its own, as everything in TLS and QUIC handshakes is a vector in a vector, and a fault of one octet
//! keeps what the hot path hands back in a register. What ends before it should is [`Fault::Malformed`]: whether more
//! may come is known to who calls.

use crate::metering::application::Fault;

/// Takes numbers and vectors off the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Octets<'a> {
        Octets(bytes)
    }

    #[inline]
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Fault> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Fault::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[octet]| *octet)
    }

    #[inline]
    pub fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(|octets| u16::from_be_bytes(*octets))
    }

    #[inline]
    pub fn u24(&mut self) -> Result<usize, Fault> {
        self.array()
            .map(|[a, b, c]| usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c))
    }

    #[inline]
    pub fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(|octets| u32::from_be_bytes(*octets))
    }

    /// A QUIC variable-length integer (RFC 9000 section 16).
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Fault> {
        let first = *self.0.first().ok_or(Fault::Malformed)?;
        let octets = self.take(1 << (first >> 6))?;
        let number = octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
        Ok(number & (u64::MAX >> (66 - 8 * octets.len() as u32)))
    }

    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Fault::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A vector behind a length of one octet.
    #[inline]
    pub fn vector8(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// A vector behind a length of two octets.
    #[inline]
    pub fn vector16(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// What one vector behind a length of two octets holds, when it is all there is.
    #[inline]
    pub fn only_vector16(bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
        let mut octets = Octets(bytes);
        let inner = octets.vector16()?;
        if octets.is_empty() {
            Ok(inner)
        } else {
            Err(Fault::Malformed)
        }
    }
}

/// The 16-bit numbers of a vector; an odd octet at the end is none.
#[inline]
pub(crate) fn numbers(vector: &[u8]) -> impl Iterator<Item = u16> + '_ {
    vector.chunks_exact(2).map(|pair| match *pair {
        [high, low] => u16::from_be_bytes([high, low]),
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9000 appendix A.1.
    #[test]
    fn variable_length_integers() {
        let read = |bytes: &[u8]| {
            let mut octets = Octets::new(bytes);
            (octets.varint(), octets.rest().len())
        };
        assert_eq!(
            read(&[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c]),
            (Ok(151_288_809_941_952_652), 0)
        );
        assert_eq!(read(&[0x9d, 0x7f, 0x3e, 0x7d]), (Ok(494_878_333), 0));
        assert_eq!(read(&[0x7b, 0xbd, 0]), (Ok(15_293), 1));
        assert_eq!(read(&[0x25]), (Ok(37), 0));
        assert_eq!(read(&[0x40, 0x25]), (Ok(37), 0));
        assert_eq!(read(&[0x40]), (Err(Fault::Malformed), 1));
        assert_eq!(read(&[]), (Err(Fault::Malformed), 0));
    }

    #[test]
    fn vectors_end_where_they_say() {
        let mut octets = Octets::new(&[2, 7, 8, 0, 1, 9, 0, 2, 1]);
        assert_eq!(octets.vector8(), Ok(&[7, 8][..]));
        assert_eq!(octets.vector16(), Ok(&[9][..]));
        assert_eq!(octets.vector16(), Err(Fault::Malformed));
        assert_eq!(Octets::only_vector16(&[0, 1, 9]), Ok(&[9][..]));
        assert_eq!(Octets::only_vector16(&[0, 1, 9, 9]), Err(Fault::Malformed));
    }
}
