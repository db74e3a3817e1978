//! A summary as it lies in a segment: a length, a checksum, and the values; numbers are big-endian.
//!
//! ```text
//! entry   = length:4 crc:4 body                     length and CRC-32 of the body
//! body    = head readable image
//! head    = form:1 kind:1 exporter:16 domain:4 start:8 end:8 sampling:8 metric:text
//! readable= 0 | 1 counter:8 | 2 (value lower upper confidence):8 | 3 weight:8 confidence:8 n:2 (rank value lower upper):8
//!         | 4 weight:8 n:2 (item:text weight:8 lower:8 upper:8)
//! image   = 0 | 1 family:1 parameter:2 length:4 octets
//! text    = length:2 octets
//! ```

use std::net::{IpAddr, Ipv6Addr};

use flowgauge_sketches::Estimate;
use flowgauge_templates::bytes::Reader;
use flowgauge_templates::error::{DecodeError, Layer};

use super::assembly::Image;
use super::record::{ItemRow, RankRow, Readable, SummaryKey};
use crate::limits::{SUMMARY_IMAGE_OCTETS, SUMMARY_ROWS};
use crate::normalize::row::{ip_to_u128, u128_to_ip};

/// Octets in front of a body.
pub const HEAD_OCTETS: usize = 8;
/// Octets of a body, at most: an image, and rows with the longest items.
pub const BODY_OCTETS: usize = SUMMARY_IMAGE_OCTETS + SUMMARY_ROWS * 2_048;
/// The octets of a body up to and with the length of the metric's name.
pub const FIXED_OCTETS: usize = 48;
const FORM: u8 = 1;

/// A summary as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Which.
    pub key: SummaryKey,
    /// One packet in so many was looked at; 1 for all, 0 when it was not known.
    pub sampling: f64,
    /// The values people can read.
    pub readable: Option<Readable>,
    /// The image.
    pub image: Option<Image>,
}

/// What every entry begins with: enough to tell whether it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Which.
    pub key: SummaryKey,
    /// As in [`Entry`].
    pub sampling: f64,
}

struct Writer<'b>(&'b mut Vec<u8>);

impl Writer<'_> {
    fn put<const N: usize>(&mut self, octets: [u8; N]) {
        self.0.extend_from_slice(&octets);
    }

    fn float(&mut self, value: f64) {
        self.put(value.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        let octets = text.as_bytes();
        let length = octets.len().min(usize::from(u16::MAX));
        self.put((length as u16).to_be_bytes());
        self.0.extend_from_slice(octets.get(..length).unwrap_or_default());
    }
}

impl Entry {
    /// Appends it, head and checksum included.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEAD_OCTETS]);
        let mut w = Writer(out);
        w.put([FORM, self.key.kind]);
        w.put(ip_to_u128(self.key.exporter).to_be_bytes());
        w.put(self.key.domain.to_be_bytes());
        w.put(self.key.start_ms.to_be_bytes());
        w.put(self.key.end_ms.to_be_bytes());
        w.float(self.sampling);
        w.text(&self.key.metric);
        match &self.readable {
            None => w.put([0]),
            Some(Readable::Counter(sum)) => {
                w.put([1]);
                w.put(sum.to_be_bytes());
            }
            Some(Readable::Cardinality(estimate)) => {
                w.put([2]);
                for value in [estimate.value, estimate.lower, estimate.upper, estimate.confidence] {
                    w.float(value);
                }
            }
            Some(Readable::Quantiles {
                weight,
                confidence,
                rows,
            }) => {
                w.put([3]);
                w.put(weight.to_be_bytes());
                w.float(*confidence);
                w.put((rows.len() as u16).to_be_bytes());
                for row in rows {
                    w.float(row.rank);
                    row.limits.iter().for_each(|value| w.float(*value));
                }
            }
            Some(Readable::FrequentItems { weight, rows }) => {
                w.put([4]);
                w.put(weight.to_be_bytes());
                w.put((rows.len() as u16).to_be_bytes());
                for row in rows {
                    w.text(&row.item);
                    row.weights.iter().for_each(|weight| w.put(weight.to_be_bytes()));
                }
            }
        }
        match &self.image {
            None => w.put([0]),
            Some(image) => {
                w.put([1, image.family]);
                w.put(image.parameter.to_be_bytes());
                w.put((image.octets.len() as u32).to_be_bytes());
                out.extend_from_slice(&image.octets);
            }
        }
        let body = out.get(start + HEAD_OCTETS..).unwrap_or_default();
        let mut head = [0; HEAD_OCTETS];
        let (length, crc) = head.split_at_mut(4);
        length.copy_from_slice(&(body.len() as u32).to_be_bytes());
        crc.copy_from_slice(&crc32fast::hash(body).to_be_bytes());
        if let Some(place) = out.get_mut(start..start + HEAD_OCTETS) {
            place.copy_from_slice(&head);
        }
    }

    /// Reads a body whose checksum is right.
    pub fn read(body: &[u8]) -> Option<Entry> {
        let mut reader = Reader::new(body, Layer::Record, 0);
        let Head { key, sampling } = head(&mut reader)?;
        let readable = readable(&mut reader).ok()??;
        let image = image(&mut reader).ok()?;
        reader.is_empty().then_some(Entry {
            key,
            sampling,
            readable,
            image,
        })
    }
}

impl Head {
    /// Of an entry.
    pub fn of(entry: &Entry) -> Head {
        Head {
            key: entry.key.clone(),
            sampling: entry.sampling,
        }
    }

    /// Reads what `body` begins with.
    pub fn read(body: &[u8]) -> Option<Head> {
        head(&mut Reader::new(body, Layer::Record, 0))
    }
}

/// The length and checksum in front of a body; `None` when there can be no such body.
pub fn length_and_crc(octets: [u8; HEAD_OCTETS]) -> Option<(usize, u32)> {
    let [a, b, c, d, e, f, g, h] = octets;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    (FIXED_OCTETS..=BODY_OCTETS)
        .contains(&length)
        .then_some((length, u32::from_be_bytes([e, f, g, h])))
}

fn head(reader: &mut Reader<'_>) -> Option<Head> {
    let read = |reader: &mut Reader<'_>| -> Result<_, DecodeError> {
        let (form, kind) = (reader.u8()?, reader.u8()?);
        let exporter = u128::from(reader.u64()?) << 64 | u128::from(reader.u64()?);
        let domain = reader.u32()?;
        let window = [reader.u64()?.cast_signed(), reader.u64()?.cast_signed()];
        let sampling = float(reader)?;
        Ok((form, kind, exporter, domain, window, sampling, text(reader)?))
    };
    let (form, kind, exporter, domain, [start_ms, end_ms], sampling, metric) = read(reader).ok()?;
    (form == FORM).then_some(Head {
        key: SummaryKey {
            metric: metric?,
            kind,
            exporter: address(exporter),
            domain,
            start_ms,
            end_ms,
        },
        sampling,
    })
}

fn address(bits: u128) -> IpAddr {
    match u128_to_ip(bits) {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

fn float(reader: &mut Reader<'_>) -> Result<f64, DecodeError> {
    Ok(f64::from_bits(reader.u64()?))
}

fn text(reader: &mut Reader<'_>) -> Result<Option<String>, DecodeError> {
    let length = usize::from(reader.u16()?);
    Ok(std::str::from_utf8(reader.take(length)?).ok().map(str::to_owned))
}

/// `None` when the form is not known.
fn readable(reader: &mut Reader<'_>) -> Result<Option<Option<Readable>>, DecodeError> {
    Ok(Some(match reader.u8()? {
        0 => None,
        1 => Some(Readable::Counter(reader.u64()?)),
        2 => Some(Readable::Cardinality(Estimate {
            value: float(reader)?,
            lower: float(reader)?,
            upper: float(reader)?,
            confidence: float(reader)?,
        })),
        3 => {
            let (weight, confidence) = (reader.u64()?, float(reader)?);
            let mut rows = Vec::new();
            for _ in 0..reader.u16()? {
                let rank = float(reader)?;
                let limits = [float(reader)?, float(reader)?, float(reader)?];
                rows.push(RankRow { rank, limits });
            }
            Some(Readable::Quantiles {
                weight,
                confidence,
                rows,
            })
        }
        4 => {
            let weight = reader.u64()?;
            let mut rows = Vec::new();
            for _ in 0..reader.u16()? {
                let Some(item) = text(reader)? else { return Ok(None) };
                let weights = [reader.u64()?, reader.u64()?, reader.u64()?];
                rows.push(ItemRow { item, weights });
            }
            Some(Readable::FrequentItems { weight, rows })
        }
        _ => return Ok(None),
    }))
}

fn image(reader: &mut Reader<'_>) -> Result<Option<Image>, DecodeError> {
    if reader.u8()? == 0 {
        return Ok(None);
    }
    let (family, parameter) = (reader.u8()?, reader.u16()?);
    let length = reader.u32()? as usize;
    Ok(Some(Image {
        family,
        parameter,
        octets: reader.take(length)?.to_vec(),
    }))
}
