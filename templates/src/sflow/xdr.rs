//! The XDR forms (RFC 4506) that sFlow is made of, on top of the one checked reader.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::Reader;
use crate::error::{DecodeError, DecodeErrorKind};

/// Opaque data of a length that stands in front of it; the padding to four octets behind it may be cut off.
pub(super) fn opaque<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = reader.u32()? as usize;
    let data = reader.take(length)?;
    let padding = (4 - length % 4) % 4;
    reader.take(padding.min(reader.remaining()))?;
    Ok(data)
}

/// Numbers behind how many there are, as octets: four for each.
pub(super) fn numbers<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let count = reader.u32()? as usize;
    match count.checked_mul(4) {
        Some(octets) => reader.take(octets),
        None => Err(reader.fault(DecodeErrorKind::Truncated, usize::MAX, reader.remaining())),
    }
}

/// An address behind its type; 0 is unknown.
pub(super) fn address(reader: &mut Reader<'_>) -> Result<Option<IpAddr>, DecodeError> {
    match reader.u32()? {
        0 => Ok(None),
        1 => ipv4(reader).map(|address| Some(address.into())),
        2 => ipv6(reader).map(|address| Some(address.into())),
        other => Err(reader.fault(DecodeErrorKind::AddressType, 2, other as usize)),
    }
}

pub(super) fn ipv4(reader: &mut Reader<'_>) -> Result<Ipv4Addr, DecodeError> {
    reader.u32().map(Ipv4Addr::from_bits)
}

pub(super) fn ipv6(reader: &mut Reader<'_>) -> Result<Ipv6Addr, DecodeError> {
    let high = reader.u64()?;
    let low = reader.u64()?;
    Ok(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low)))
}

/// Six octets, padded to eight.
pub(super) fn mac(reader: &mut Reader<'_>) -> Result<[u8; 6], DecodeError> {
    let octets = reader.take(8)?;
    Ok(octets.first_chunk().copied().unwrap_or_default())
}
