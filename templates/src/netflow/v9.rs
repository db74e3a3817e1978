//! NetFlow version 9 (RFC 3954): FlowSets are Sets under other numbers, and templates lead to the elements of IPFIX.

use flowgauge_ie_registry::ElementId;
use flowgauge_ie_registry::ids::{
    EXPORTER_IPV4_ADDRESS, EXPORTER_IPV6_ADDRESS, EXPORTING_PROCESS_ID, INGRESS_INTERFACE, LINE_CARD_ID,
    METERING_PROCESS_ID, TEMPLATE_ID,
};

use crate::bytes::Reader;
use crate::error::{DecodeError, DecodeErrorKind, Layer};
use crate::header::{MessageHeader, Version};
use crate::ipfix::{FieldSpecifier, MIN_TEMPLATE_ID, Sets, TemplateRecord};
use crate::limits::MAX_FIELDS;

/// Octets of a Message header.
pub const HEADER_OCTETS: usize = 20;
/// The FlowSet that carries Template Records.
pub const TEMPLATE_SET_ID: u16 = 0;
/// The FlowSet that carries Options Template Records.
pub const OPTIONS_TEMPLATE_SET_ID: u16 = 1;
/// Octets of a field in a template.
const FIELD_OCTETS: usize = 4;

/// One Message (the RFC's Export Packet), borrowed. It ends where the datagram does: the header says no length.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: MessageHeader,
    count: u16,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the header at the front of a datagram.
    ///
    /// # Errors
    /// `Truncated` with less than a header, `Version`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, Layer::Message, 0);
        let at = reader.clone();
        let version = reader.u16()?;
        if version != Version::Netflow9.number() {
            let needed = usize::from(Version::Netflow9.number());
            return Err(at.fault(DecodeErrorKind::Version, needed, usize::from(version)));
        }
        let count = reader.u16()?;
        let uptime_ms = Some(reader.u32()?);
        let header = MessageHeader {
            version: Version::Netflow9,
            length: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            export_time: reader.u32()?,
            export_fraction_ns: 0,
            uptime_ms,
            sequence: reader.u32()?,
            domain: reader.u32()?,
            sampling: None,
        };
        Ok(Self {
            header,
            count,
            body: reader.rest(),
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &MessageHeader {
        &self.header
    }

    /// How many templates and records the header says there are. Exporters disagree on what they count.
    #[must_use]
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The FlowSets in order. After an error there is no further one.
    #[must_use]
    pub fn sets(&self) -> Sets<'a> {
        Sets::new(self.body, HEADER_OCTETS)
    }
}

/// The element that says what an options record is about, for a scope field type (RFC 3954 section 6.1).
///
/// A system is named by its address where the field has room for one, and by a number otherwise. Types beyond the RFC's
/// five are field types.
#[must_use]
pub fn scope_element(scope_type: u16, length: u16) -> ElementId {
    match (scope_type, length) {
        (1, 4) => EXPORTER_IPV4_ADDRESS,
        (1, 16) => EXPORTER_IPV6_ADDRESS,
        (1, _) => EXPORTING_PROCESS_ID,
        (2, _) => INGRESS_INTERFACE,
        (3, _) => LINE_CARD_ID,
        (4, _) => METERING_PROCESS_ID,
        (5, _) => TEMPLATE_ID,
        (other, _) => ElementId::netflow9(other),
    }
}

/// Iterator over the records of a Template FlowSet or an Options Template FlowSet.
///
/// A template that breaks a rule is one error, and the walk goes on behind it; only a cut record ends it.
#[derive(Clone, Debug)]
pub struct TemplateRecords<'a> {
    reader: Reader<'a>,
    options: bool,
}

impl<'a> TemplateRecords<'a> {
    /// Walks the body of a FlowSet; `offset` is where it lies in the Message.
    #[must_use]
    pub fn new(body: &'a [u8], offset: usize, options: bool) -> Self {
        Self {
            reader: Reader::new(body, Layer::Template, offset),
            options,
        }
    }

    fn read(&mut self) -> Result<Result<TemplateRecord, DecodeError>, DecodeError> {
        let at = self.reader.clone();
        let id = self.reader.u16()?;
        // "Option Scope Length: the length in bytes of any Scope fields" and so for the options, where a Template
        // Record counts fields.
        let (scope_octets, octets) = if self.options {
            let scope_octets = usize::from(self.reader.u16()?);
            (scope_octets, scope_octets + usize::from(self.reader.u16()?))
        } else {
            (0, usize::from(self.reader.u16()?) * FIELD_OCTETS)
        };
        let fault = |kind, needed, available| Ok(Err(at.fault(kind, needed, available)));
        let wire = self.reader.take(octets)?;
        if octets % FIELD_OCTETS != 0 || scope_octets % FIELD_OCTETS != 0 {
            return fault(DecodeErrorKind::OptionsLength, FIELD_OCTETS, octets % FIELD_OCTETS);
        }
        if id < MIN_TEMPLATE_ID {
            return fault(
                DecodeErrorKind::TemplateId,
                usize::from(MIN_TEMPLATE_ID),
                usize::from(id),
            );
        }
        let (count, scopes) = (octets / FIELD_OCTETS, scope_octets / FIELD_OCTETS);
        if count > MAX_FIELDS {
            return fault(DecodeErrorKind::TooManyFields, MAX_FIELDS, count);
        }
        if self.options && scopes == 0 {
            return fault(DecodeErrorKind::ScopeCount, 1, 0);
        }
        let mut fields = Reader::new(wire, Layer::Template, 0);
        let fields = (0..count)
            .map(|index| {
                let (field_type, length) = (fields.u16()?, fields.u16()?);
                let element = if index < scopes {
                    scope_element(field_type, length)
                } else {
                    ElementId::netflow9(field_type)
                };
                Ok(FieldSpecifier::new(element, length))
            })
            .collect::<Result<Vec<_>, DecodeError>>()?;
        if fields.iter().map(FieldSpecifier::min_octets).sum::<usize>() == 0 {
            return fault(DecodeErrorKind::EmptyTemplate, 1, 0);
        }
        Ok(Ok(TemplateRecord::Announced {
            id,
            // At most MAX_FIELDS.
            scope_field_count: scopes as u16,
            fields,
        }))
    }
}

impl Iterator for TemplateRecords<'_> {
    type Item = Result<TemplateRecord, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Less than a record header is padding, and so are zeros: no template has identifier 0.
        if self.reader.remaining() < 4 || self.reader.rest().iter().all(|octet| *octet == 0) {
            return None;
        }
        match self.read() {
            Ok(record) => Some(record),
            Err(cut) => {
                self.reader = Reader::new(&[], Layer::Template, self.reader.offset());
                Some(Err(cut))
            }
        }
    }
}
