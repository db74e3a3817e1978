//! Frames of Initial packets (RFC 9000 section 19; which may stand there: section 12.4).

use super::super::tls::octets::Octets;
use crate::metering::application::Fault;

/// A piece of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// Where it belongs in the handshake of its sender.
    pub offset: usize,
    /// Its octets.
    pub data: &'a [u8],
}

/// The CRYPTO frames among all frames of a packet.
#[derive(Clone, Debug)]
pub struct CryptoFrames<'a>(Octets<'a>);

impl<'a> CryptoFrames<'a> {
    pub fn new(frames: &'a [u8]) -> CryptoFrames<'a> {
        CryptoFrames(Octets::new(frames))
    }

    /// The next one; nothing at the end.
    ///
    /// # Errors
    /// A frame that is cut, or one that has no place in an Initial packet.
    pub fn next(&mut self) -> Result<Option<Crypto<'a>>, Fault> {
        loop {
            self.0 = Octets::new(behind_padding(self.0.rest()));
            if self.0.is_empty() {
                return Ok(None);
            }
            match self.0.u8()? {
                0x01 => {}
                kind @ (0x02 | 0x03) => self.skip_ack(kind == 0x03)?,
                0x06 => {
                    let offset = self.0.varint()?;
                    let length = self.0.varint()?;
                    let data = self.0.take(usize::try_from(length).unwrap_or(usize::MAX))?;
                    let offset = usize::try_from(offset).map_err(|_| Fault::TooLong)?;
                    return Ok(Some(Crypto { offset, data }));
                }
                // CONNECTION_CLOSE: the handshake is over.
                0x1c => return Ok(None),
                _ => return Err(Fault::Malformed),
            }
        }
    }

    fn skip_ack(&mut self, has_ecn: bool) -> Result<(), Fault> {
        let _largest = self.0.varint()?;
        let _delay = self.0.varint()?;
        let ranges = self.0.varint()?;
        let _first = self.0.varint()?;
        // Each takes at least two octets, so the end of the packet bounds the loop.
        for _ in 0..ranges {
            self.0.varint()?;
            self.0.varint()?;
        }
        if has_ecn {
            for _ in 0..3 {
                self.0.varint()?;
            }
        }
        Ok(())
    }
}

/// What is behind PADDING frames, which are most of a client's packets: looked at sixteen at a time.
fn behind_padding(frames: &[u8]) -> &[u8] {
    let (sixteens, _) = frames.as_chunks::<16>();
    let zeros = sixteens
        .iter()
        .take_while(|octets| u128::from_ne_bytes(**octets) == 0)
        .count();
    let rest = frames.get(16 * zeros..).unwrap_or_default();
    let zeros = rest.iter().take_while(|octet| **octet == 0).count();
    rest.get(zeros..).unwrap_or_default()
}
