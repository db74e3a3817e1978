//! Messages and the Sets in them (RFC 7011 sections 3.1 and 3.3). A wrong Set ends the walk, for only its length
//! says where the next one begins; what is within a Set never matters to its siblings.

use super::{MESSAGE_HEADER_OCTETS, SET_HEADER_OCTETS, VERSION};
use crate::bytes::Reader;
use crate::error::{DecodeError, DecodeErrorKind, Layer};
use crate::header::{MessageHeader, Version};

/// One Message, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: MessageHeader,
    body: &'a [u8],
}

/// The length of the Message that `prefix` starts with: how a byte stream is cut into Messages.
///
/// `None` when more bytes are needed to tell.
///
/// # Errors
/// `Version` and `MessageLength`: behind either there is no way to find the next Message of a stream.
pub fn message_length(prefix: &[u8]) -> Result<Option<usize>, DecodeError> {
    let Some(head) = prefix.first_chunk::<4>() else {
        return Ok(None);
    };
    let mut reader = Reader::new(head, Layer::Message, 0);
    let version = reader.u16()?;
    if version != VERSION {
        return Err(version_fault(version));
    }
    let length = usize::from(reader.u16()?);
    if length < MESSAGE_HEADER_OCTETS {
        return Err(length_fault(MESSAGE_HEADER_OCTETS, length));
    }
    Ok(Some(length))
}

fn version_fault(version: u16) -> DecodeError {
    DecodeError {
        kind: DecodeErrorKind::Version,
        layer: Layer::Message,
        offset: 0,
        needed: usize::from(VERSION),
        available: usize::from(version),
    }
}

fn length_fault(needed: usize, available: usize) -> DecodeError {
    DecodeError {
        kind: DecodeErrorKind::MessageLength,
        layer: Layer::Message,
        offset: 2,
        needed,
        available,
    }
}

impl<'a> Message<'a> {
    /// Reads the header at the front of `bytes`. Bytes behind the Message are left alone: [`Message::octets`] says
    /// where it ends.
    ///
    /// # Errors
    /// `Truncated` with less than a header, `Version`, and `MessageLength` when the header's length is below the
    /// header's own or beyond `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, Layer::Message, 0);
        let version = reader.u16()?;
        if version != VERSION {
            return Err(version_fault(version));
        }
        let length = reader.u16()?;
        let header = MessageHeader {
            version: Version::Ipfix,
            length,
            export_time: reader.u32()?,
            export_fraction_ns: 0,
            uptime_ms: None,
            sequence: reader.u32()?,
            domain: reader.u32()?,
            sampling: None,
        };
        let Some(body_octets) = usize::from(length).checked_sub(MESSAGE_HEADER_OCTETS) else {
            return Err(length_fault(MESSAGE_HEADER_OCTETS, usize::from(length)));
        };
        match reader.rest().get(..body_octets) {
            Some(body) => Ok(Self { header, body }),
            None => Err(length_fault(usize::from(length), bytes.len())),
        }
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &MessageHeader {
        &self.header
    }

    /// Octets of the whole Message.
    #[must_use]
    pub fn octets(&self) -> usize {
        usize::from(self.header.length)
    }

    /// The Sets in order. After an error there is no further one.
    #[must_use]
    pub fn sets(&self) -> Sets<'a> {
        Sets::new(self.body, MESSAGE_HEADER_OCTETS)
    }
}

/// One Set, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    /// 2, 3, or the identifier of the template that describes the records.
    pub id: u16,
    /// Where the body starts in the Message, in octets.
    pub offset: usize,
    /// What follows the Set header, with padding.
    pub body: &'a [u8],
}

/// Iterator over the Sets of a Message.
#[derive(Clone, Debug)]
pub struct Sets<'a> {
    reader: Reader<'a>,
}

impl<'a> Sets<'a> {
    /// Walks what follows a header of `offset` octets.
    pub(crate) fn new(body: &'a [u8], offset: usize) -> Self {
        let reader = Reader::new(body, Layer::Set, offset);
        Self { reader }
    }

    fn read(&mut self) -> Result<Set<'a>, DecodeError> {
        let at = self.reader.clone();
        let id = self.reader.u16()?;
        let length = usize::from(self.reader.u16()?);
        let offset = self.reader.offset();
        let body_octets = length
            .checked_sub(SET_HEADER_OCTETS)
            .filter(|octets| *octets <= self.reader.remaining())
            .ok_or_else(|| {
                let kind = DecodeErrorKind::SetLength;
                if length < SET_HEADER_OCTETS {
                    at.fault(kind, SET_HEADER_OCTETS, length)
                } else {
                    at.fault(kind, length, at.remaining())
                }
            })?;
        Ok(Set {
            id,
            offset,
            body: self.reader.take(body_octets)?,
        })
    }
}

impl<'a> Iterator for Sets<'a> {
    type Item = Result<Set<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let set = self.read();
        if set.is_err() {
            self.reader = Reader::new(&[], Layer::Set, self.reader.offset());
        }
        Some(set)
    }
}
