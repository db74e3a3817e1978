//! The one checked reader of outside bytes, so that no decoder has length checks of its own to get wrong.

use crate::error::{DecodeError, DecodeErrorKind, Layer};

/// Reads big-endian numbers and slices off the front of `bytes`, and knows where it is.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    base: usize,
    start: usize,
    layer: Layer,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` as part of `layer`; `base` is where they lie in the whole that errors count from.
    #[must_use]
    pub fn new(bytes: &'a [u8], layer: Layer, base: usize) -> Self {
        Self {
            bytes,
            base,
            start: bytes.len(),
            layer,
        }
    }

    /// Octets left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// True at the end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Position within the whole.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.base + (self.start - self.bytes.len())
    }

    /// What has not been read.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// An error of `kind` at this place.
    #[must_use]
    pub fn fault(&self, kind: DecodeErrorKind, needed: usize, available: usize) -> DecodeError {
        DecodeError {
            kind,
            layer: self.layer,
            offset: self.offset(),
            needed,
            available,
        }
    }

    /// The next `count` octets.
    ///
    /// # Errors
    /// `Truncated` when there are fewer.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.bytes.split_at_checked(count) {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(taken)
            }
            None => Err(self.fault(DecodeErrorKind::Truncated, count, self.bytes.len())),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.bytes.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => Err(self.fault(DecodeErrorKind::Truncated, N, self.bytes.len())),
        }
    }

    /// The next octet.
    ///
    /// # Errors
    /// `Truncated` at the end, as for the other widths.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[octet]| octet)
    }

    /// The next two octets as a number.
    ///
    /// # Errors
    /// `Truncated` when there are fewer.
    #[inline]
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four octets as a number.
    ///
    /// # Errors
    /// `Truncated` when there are fewer.
    #[inline]
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight octets as a number.
    ///
    /// # Errors
    /// `Truncated` when there are fewer.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Splits a variable-length value off the front of `bytes` (RFC 7011 section 7): one octet of length, or 255 and two.
///
/// The first number is how many octets the length itself took.
#[inline]
#[must_use]
pub fn split_variable(bytes: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let (&short, rest) = bytes.split_first()?;
    if short < 255 {
        let (value, rest) = rest.split_at_checked(usize::from(short))?;
        return Some((1, value, rest));
    }
    let (long, rest) = rest.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*long)))?;
    Some((3, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_says_where_it_ran_out() {
        let mut reader = Reader::new(&[0, 1, 2], Layer::Set, 20);
        assert_eq!(reader.u16().unwrap(), 1);
        assert_eq!(
            reader.u32().unwrap_err(),
            DecodeError {
                kind: DecodeErrorKind::Truncated,
                layer: Layer::Set,
                offset: 22,
                needed: 4,
                available: 1
            }
        );
        assert_eq!(reader.u8().unwrap(), 2, "a failed read takes nothing");
        assert!(reader.is_empty());
    }

    #[test]
    fn variable_lengths_have_a_short_and_a_long_form() {
        assert_eq!(split_variable(&[2, 7, 8, 9]), Some((1, &[7, 8][..], &[9][..])));
        assert_eq!(split_variable(&[255, 0, 1, 7, 9]), Some((3, &[7][..], &[9][..])));
        assert_eq!(split_variable(&[0]), Some((1, &[][..], &[][..])));
        for cut in [&[][..], &[1], &[255], &[255, 0], &[255, 0, 2, 1]] {
            assert_eq!(split_variable(cut), None, "{cut:?}");
        }
    }
}
