//! NetFlow versions 5 and 7: a header of 24 octets and up to 30 records of one form, which is a template built in.
//!
//! Source: Cisco, "NetFlow Export Datagram Format", the tables of versions 5 and 7. The header of version 5 counts flows,
//! and says by which engine of the device and with which sampling they were metered.

use flowgauge_ie_registry::Registry;
use flowgauge_ie_registry::ids::{
    BGP_DESTINATION_AS_NUMBER, BGP_SOURCE_AS_NUMBER, DESTINATION_IPV4_ADDRESS, DESTINATION_IPV4_PREFIX_LENGTH,
    DESTINATION_TRANSPORT_PORT, EGRESS_INTERFACE, FLOW_END_SYS_UP_TIME, FLOW_START_SYS_UP_TIME, INGRESS_INTERFACE,
    IP_CLASS_OF_SERVICE, IP_NEXT_HOP_IPV4_ADDRESS, IPV4_ROUTER_SC, OCTET_DELTA_COUNT, PACKET_DELTA_COUNT,
    PADDING_OCTETS, PROTOCOL_IDENTIFIER, SOURCE_IPV4_ADDRESS, SOURCE_IPV4_PREFIX_LENGTH, SOURCE_TRANSPORT_PORT,
    TCP_CONTROL_BITS,
};

use crate::bytes::Reader;
use crate::error::{DecodeError, DecodeErrorKind, Layer};
use crate::header::{HeaderSampling, MessageHeader, Version};
use crate::ipfix::{FieldSpecifier, Template};

/// Octets of the header of either version.
pub const HEADER_OCTETS: usize = 24;

const fn field(element: flowgauge_ie_registry::ElementId, length: u16) -> FieldSpecifier {
    FieldSpecifier::new(element, length)
}

/// A record of version 5: 48 octets.
pub const V5_FIELDS: [FieldSpecifier; 20] = [
    field(SOURCE_IPV4_ADDRESS, 4),
    field(DESTINATION_IPV4_ADDRESS, 4),
    field(IP_NEXT_HOP_IPV4_ADDRESS, 4),
    field(INGRESS_INTERFACE, 2),
    field(EGRESS_INTERFACE, 2),
    field(PACKET_DELTA_COUNT, 4),
    field(OCTET_DELTA_COUNT, 4),
    field(FLOW_START_SYS_UP_TIME, 4),
    field(FLOW_END_SYS_UP_TIME, 4),
    field(SOURCE_TRANSPORT_PORT, 2),
    field(DESTINATION_TRANSPORT_PORT, 2),
    field(PADDING_OCTETS, 1),
    field(TCP_CONTROL_BITS, 1),
    field(PROTOCOL_IDENTIFIER, 1),
    field(IP_CLASS_OF_SERVICE, 1),
    field(BGP_SOURCE_AS_NUMBER, 2),
    field(BGP_DESTINATION_AS_NUMBER, 2),
    field(SOURCE_IPV4_PREFIX_LENGTH, 1),
    field(DESTINATION_IPV4_PREFIX_LENGTH, 1),
    field(PADDING_OCTETS, 2),
];

/// A record of version 7: 52 octets. The two fields of flags say which others are void; no element holds them, and as
/// padding they are shown where they are not zero.
pub const V7_FIELDS: [FieldSpecifier; 21] = [
    field(SOURCE_IPV4_ADDRESS, 4),
    field(DESTINATION_IPV4_ADDRESS, 4),
    field(IP_NEXT_HOP_IPV4_ADDRESS, 4),
    field(INGRESS_INTERFACE, 2),
    field(EGRESS_INTERFACE, 2),
    field(PACKET_DELTA_COUNT, 4),
    field(OCTET_DELTA_COUNT, 4),
    field(FLOW_START_SYS_UP_TIME, 4),
    field(FLOW_END_SYS_UP_TIME, 4),
    field(SOURCE_TRANSPORT_PORT, 2),
    field(DESTINATION_TRANSPORT_PORT, 2),
    field(PADDING_OCTETS, 1),
    field(TCP_CONTROL_BITS, 1),
    field(PROTOCOL_IDENTIFIER, 1),
    field(IP_CLASS_OF_SERVICE, 1),
    field(BGP_SOURCE_AS_NUMBER, 2),
    field(BGP_DESTINATION_AS_NUMBER, 2),
    field(SOURCE_IPV4_PREFIX_LENGTH, 1),
    field(DESTINATION_IPV4_PREFIX_LENGTH, 1),
    field(PADDING_OCTETS, 2),
    field(IPV4_ROUTER_SC, 4),
];

/// The fields of a version's records.
#[must_use]
pub fn fields(version: Version) -> &'static [FieldSpecifier] {
    if version == Version::Netflow7 {
        &V7_FIELDS
    } else {
        &V5_FIELDS
    }
}

/// Octets of a version's records.
#[must_use]
pub fn record_octets(version: Version) -> usize {
    fields(version).iter().map(FieldSpecifier::min_octets).sum()
}

/// The template of a version's records. Its identifier is the version: below those of templates that are announced.
#[must_use]
pub fn template(version: Version, registry: &Registry) -> Template {
    Template::compile(version.number(), 0, fields(version), registry)
}

/// One Message of version 5 or 7, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: MessageHeader,
    count: usize,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// `Truncated` with less than a header, `Version` when it is another than `version`.
    pub fn parse(version: Version, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, Layer::Message, 0);
        let at = reader.clone();
        let number = reader.u16()?;
        if number != version.number() {
            return Err(at.fault(
                DecodeErrorKind::Version,
                usize::from(version.number()),
                usize::from(number),
            ));
        }
        let count = usize::from(reader.u16()?);
        let uptime_ms = Some(reader.u32()?);
        let (export_time, export_fraction_ns) = (reader.u32()?, reader.u32()?);
        let sequence = reader.u32()?;
        let (engine, sampling) = (reader.u16()?, reader.u16()?);
        let (domain, sampling) = if version == Version::Netflow5 {
            let sampling = HeaderSampling {
                mode: (sampling >> 14) as u8,
                interval: sampling & 0x3fff,
            };
            (u32::from(engine), Some(sampling))
        } else {
            (0, None)
        };
        let header = MessageHeader {
            version,
            length: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            export_time,
            // More than a second of nanoseconds is no part of one.
            export_fraction_ns: if export_fraction_ns < 1_000_000_000 {
                export_fraction_ns
            } else {
                0
            },
            uptime_ms,
            sequence,
            domain,
            sampling,
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

    /// How many records the header says there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The whole records that are there, at most as many as the header says.
    #[must_use]
    pub fn records(&self) -> &'a [u8] {
        let size = record_octets(self.header.version);
        let whole = self.count.min(self.body.len() / size);
        self.body.get(..whole * size).unwrap_or_default()
    }

    /// What is wrong with the length of the datagram beside the number of records, if anything.
    #[must_use]
    pub fn fault(&self) -> Option<DecodeError> {
        let needed = HEADER_OCTETS + self.count * record_octets(self.header.version);
        let available = HEADER_OCTETS + self.body.len();
        let (kind, layer) = match needed.cmp(&available) {
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => (DecodeErrorKind::RecordCut, Layer::Record),
            std::cmp::Ordering::Less => (DecodeErrorKind::MessageLength, Layer::Message),
        };
        Some(DecodeError {
            kind,
            layer,
            offset: HEADER_OCTETS + self.records().len(),
            needed,
            available,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header of version 5 after Cisco's table: 2 records, up 1000 s, engine 1/2, one packet in 100 at random.
    fn v5(records: usize) -> Vec<u8> {
        let mut bytes = vec![0, 5, 0, 2];
        bytes.extend(1_000_000u32.to_be_bytes());
        bytes.extend(1_767_225_600u32.to_be_bytes());
        bytes.extend(250_000_000u32.to_be_bytes());
        bytes.extend(77u32.to_be_bytes());
        bytes.extend([1, 2, 0x80, 100]);
        bytes.resize(HEADER_OCTETS + records * 48, 0);
        bytes
    }

    #[test]
    fn the_tables_add_up() {
        assert_eq!(record_octets(Version::Netflow5), 48);
        assert_eq!(record_octets(Version::Netflow7), 52);
        let registry = Registry::builtin();
        for version in [Version::Netflow5, Version::Netflow7] {
            let template = template(version, registry);
            assert!(template.fields().iter().all(|field| field.known));
            assert_eq!(template.fixed_length(), Some(record_octets(version)));
        }
    }

    #[test]
    fn the_header_says_engine_sampling_and_time() {
        let bytes = v5(2);
        let message = Message::parse(Version::Netflow5, &bytes).unwrap();
        let header = message.header();
        assert_eq!((header.sequence, header.domain, header.length), (77, 0x0102, 120));
        assert_eq!(header.sampling, Some(HeaderSampling { mode: 2, interval: 100 }));
        assert_eq!(header.export_ns(), 1_767_225_600_250_000_000);
        assert_eq!(header.uptime_ms, Some(1_000_000));
        assert_eq!((message.records().len(), message.fault()), (96, None));
    }

    #[test]
    fn a_datagram_of_another_length_than_its_count_is_told() {
        let kind = |bytes: &[u8]| {
            let message = Message::parse(Version::Netflow5, bytes).unwrap();
            (message.records().len() / 48, message.fault().map(|fault| fault.kind))
        };
        assert_eq!(kind(&v5(2)[..100]), (1, Some(DecodeErrorKind::RecordCut)));
        assert_eq!(kind(&v5(0)), (0, Some(DecodeErrorKind::RecordCut)));
        assert_eq!(kind(&v5(3)), (2, Some(DecodeErrorKind::MessageLength)));
        assert!(Message::parse(Version::Netflow5, &v5(0)[..23]).is_err());
        assert!(Message::parse(Version::Netflow7, &v5(2)).is_err());
    }
}
