//! Samples: of packets, of counters, and of packets that a device discarded; compact and expanded form read the same.

use super::record::{FlowRecord, RecordFormat};
use crate::bytes::Reader;
use crate::error::{DecodeError, Layer};

/// What a sample was taken of: class 0 is an interface, 1 a VLAN, 2 a physical entity, 3 a logical one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataSource {
    /// Class.
    pub class: u32,
    /// Number within the class; of interfaces the ifIndex.
    pub index: u32,
}

impl DataSource {
    fn compact(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = reader.u32()?;
        Ok(Self {
            class: number >> 24,
            index: number & 0x00ff_ffff,
        })
    }

    fn expanded(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            class: reader.u32()?,
            index: reader.u32()?,
        })
    }
}

/// Where a packet came in or went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// One, by its ifIndex; 0 is unknown.
    Index(u32),
    /// The device itself sent or received it.
    Internal,
    /// It was discarded, for this reason (RFC 1812 codes below 256).
    Discarded(u32),
    /// So many; 0 is more than one without saying how many.
    Several(u32),
    /// A form that is not known, and its value.
    Other(u32, u32),
}

impl Interface {
    /// Reserved for the device itself; in the compact form of 30 bits and in the expanded one.
    const INTERNAL: u32 = 0x3fff_ffff;

    fn of(format: u32, value: u32) -> Self {
        match (format, value) {
            (0, Self::INTERNAL | u32::MAX) => Self::Internal,
            (0, index) => Self::Index(index),
            (1, reason) => Self::Discarded(reason),
            (2, count) => Self::Several(count),
            (format, value) => Self::Other(format, value),
        }
    }

    fn compact(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = reader.u32()?;
        Ok(Self::of(number >> 30, number & 0x3fff_ffff))
    }

    fn expanded(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::of(reader.u32()?, reader.u32()?))
    }
}

/// One sample.
#[derive(Clone, Debug)]
pub enum Sample<'a> {
    /// A packet that was sampled.
    Flow(FlowSample<'a>),
    /// Counters that were read.
    Counters(CounterSample<'a>),
    /// A packet that was discarded.
    Discarded(DiscardedPacket<'a>),
    /// A sample of a format that is not known: enterprise in the upper 20 bits, number in the lower 12.
    Unknown {
        /// Format.
        format: u32,
        /// Body.
        body: &'a [u8],
    },
}

impl<'a> Sample<'a> {
    pub(super) fn parse(format: u32, reader: Reader<'a>) -> Result<Self, DecodeError> {
        match format {
            1 => FlowSample::parse(reader, false).map(Sample::Flow),
            2 => CounterSample::parse(reader, false).map(Sample::Counters),
            3 => FlowSample::parse(reader, true).map(Sample::Flow),
            4 => CounterSample::parse(reader, true).map(Sample::Counters),
            5 => DiscardedPacket::parse(reader).map(Sample::Discarded),
            format => Ok(Sample::Unknown {
                format,
                body: reader.rest(),
            }),
        }
    }
}

/// A packet that was sampled, one of `sampling_rate`.
#[derive(Clone, Debug)]
pub struct FlowSample<'a> {
    /// Flow samples of this source before this one.
    pub sequence: u32,
    /// What was sampled.
    pub source: DataSource,
    /// One packet in so many is sampled.
    pub sampling_rate: u32,
    /// Packets that could have been sampled, modulo 2^32.
    pub sample_pool: u32,
    /// Samples that the agent had no resources for, modulo 2^32.
    pub drops: u32,
    /// Where it came in.
    pub input: Interface,
    /// Where it went out.
    pub output: Interface,
    /// What is known of it.
    pub records: FlowRecords<'a>,
}

impl<'a> FlowSample<'a> {
    fn parse(mut reader: Reader<'a>, is_expanded: bool) -> Result<Self, DecodeError> {
        let source = |reader: &mut Reader<'_>| match is_expanded {
            true => DataSource::expanded(reader),
            false => DataSource::compact(reader),
        };
        let interface = |reader: &mut Reader<'_>| match is_expanded {
            true => Interface::expanded(reader),
            false => Interface::compact(reader),
        };
        Ok(Self {
            sequence: reader.u32()?,
            source: source(&mut reader)?,
            sampling_rate: reader.u32()?,
            sample_pool: reader.u32()?,
            drops: reader.u32()?,
            input: interface(&mut reader)?,
            output: interface(&mut reader)?,
            records: FlowRecords::parse(reader)?,
        })
    }
}

/// Counters that were read.
#[derive(Clone, Debug)]
pub struct CounterSample<'a> {
    /// Counter samples of this source before this one.
    pub sequence: u32,
    /// What they belong to.
    pub source: DataSource,
    /// Groups of counters.
    pub records: CounterRecords<'a>,
}

impl<'a> CounterSample<'a> {
    fn parse(mut reader: Reader<'a>, is_expanded: bool) -> Result<Self, DecodeError> {
        let sequence = reader.u32()?;
        let source = match is_expanded {
            true => DataSource::expanded(&mut reader)?,
            false => DataSource::compact(&mut reader)?,
        };
        Ok(Self {
            sequence,
            source,
            records: CounterRecords(Blocks::parse(reader)?),
        })
    }
}

/// A packet that was discarded, by "sFlow Dropped Packet Notification Structures".
#[derive(Clone, Debug)]
pub struct DiscardedPacket<'a> {
    /// Notices of this source before this one.
    pub sequence: u32,
    /// Who noticed.
    pub source: DataSource,
    /// Notices that were left out, modulo 2^32.
    pub drops: u32,
    /// ifIndex of where it came in; 0 is unknown.
    pub input: u32,
    /// ifIndex of where it was to go out; 0 when it was discarded before that.
    pub output: u32,
    /// Why; below 256 an ICMP unreachable code.
    pub reason: u32,
    /// What is known of it.
    pub records: FlowRecords<'a>,
}

impl<'a> DiscardedPacket<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            sequence: reader.u32()?,
            source: DataSource::expanded(&mut reader)?,
            drops: reader.u32()?,
            input: reader.u32()?,
            output: reader.u32()?,
            reason: reader.u32()?,
            records: FlowRecords::parse(reader)?,
        })
    }
}

/// Blocks of data, each behind its format and length.
#[derive(Clone, Debug)]
struct Blocks<'a> {
    left: u32,
    reader: Reader<'a>,
}

impl<'a> Blocks<'a> {
    fn parse(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            left: reader.u32()?,
            reader,
        })
    }

    fn cut(&mut self) -> Result<(RecordFormat, Reader<'a>), DecodeError> {
        let format = RecordFormat(self.reader.u32()?);
        let length = self.reader.u32()? as usize;
        let offset = self.reader.offset();
        let body = self.reader.take(length)?;
        Ok((format, Reader::new(body, Layer::Record, offset)))
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<(RecordFormat, Reader<'a>), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let block = self.cut();
        if block.is_err() {
            self.left = 0;
        }
        Some(block)
    }
}

/// The records of a flow sample. One that cannot be read is an error in its place, and those behind it follow.
#[derive(Clone, Debug)]
pub struct FlowRecords<'a>(Blocks<'a>);

impl<'a> FlowRecords<'a> {
    fn parse(reader: Reader<'a>) -> Result<Self, DecodeError> {
        Blocks::parse(reader).map(Self)
    }
}

impl<'a> Iterator for FlowRecords<'a> {
    type Item = Result<FlowRecord<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.0.next()?;
        Some(block.and_then(|(format, reader)| FlowRecord::parse(format, reader)))
    }
}

/// The records of a counter sample: format and body.
#[derive(Clone, Debug)]
pub struct CounterRecords<'a>(Blocks<'a>);

impl<'a> Iterator for CounterRecords<'a> {
    type Item = Result<(RecordFormat, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.0.next()?;
        Some(block.map(|(format, reader)| (format, reader.rest())))
    }
}
