//! The datagram: who sent it, and its samples one behind the other.

use std::net::IpAddr;

use super::sample::Sample;
use super::xdr;
use crate::bytes::Reader;
use crate::error::{DecodeError, DecodeErrorKind, Layer};

/// The version that is decoded here, as its first four octets say.
pub const VERSION: u32 = 5;

/// A datagram with a sound header.
#[derive(Clone, Debug)]
pub struct Datagram<'a> {
    /// Address by which the agent names itself; none when it does not know.
    pub agent: Option<IpAddr>,
    /// Which of the agent's processes sent it; each counts its own datagrams.
    pub sub_agent: u32,
    /// Datagrams of the sub-agent before this one.
    pub sequence: u32,
    /// Milliseconds since the agent started, modulo 2^32.
    pub uptime_ms: u32,
    /// Samples that the header announces.
    pub sample_count: u32,
    samples: Reader<'a>,
}

impl<'a> Datagram<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// `Version` when it is another one, `AddressType` for an agent's address that is neither IPv4 nor IPv6,
    /// `Truncated`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, Layer::Message, 0);
        let version = reader.u32()?;
        if version != VERSION {
            return Err(reader.fault(DecodeErrorKind::Version, VERSION as usize, version as usize));
        }
        Ok(Datagram {
            agent: xdr::address(&mut reader)?,
            sub_agent: reader.u32()?,
            sequence: reader.u32()?,
            uptime_ms: reader.u32()?,
            sample_count: reader.u32()?,
            samples: reader,
        })
    }

    /// The samples. Ends at the number that the header says, or at the end of the datagram with an error.
    #[must_use]
    pub fn samples(&self) -> Samples<'a> {
        Samples {
            left: self.sample_count,
            reader: self.samples.clone(),
        }
    }
}

/// A sample as it came: its format, where its body begins in the datagram, and the body.
pub type SampleBody<'a> = (u32, usize, &'a [u8]);

/// The samples of a datagram. An error in one sample's header ends them; an error within one does not.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    left: u32,
    reader: Reader<'a>,
}

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Sample<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let body = self.next_body()?;
        Some(body.and_then(|(format, offset, body)| Sample::parse(format, Reader::new(body, Layer::Set, offset))))
    }
}

impl<'a> Samples<'a> {
    /// The next sample as it came.
    ///
    /// # Errors
    /// `Truncated` when the datagram ends within it; no sample follows then.
    pub fn next_body(&mut self) -> Option<Result<SampleBody<'a>, DecodeError>> {
        self.left = self.left.checked_sub(1)?;
        let sample = self.cut();
        if sample.is_err() {
            self.left = 0;
        }
        Some(sample)
    }

    /// Format, where its body begins, and the body of the next sample.
    fn cut(&mut self) -> Result<SampleBody<'a>, DecodeError> {
        let format = self.reader.u32()?;
        let length = self.reader.u32()? as usize;
        let offset = self.reader.offset();
        Ok((format, offset, self.reader.take(length)?))
    }
}
