//! Values seen lately that begin with some text, read from dictionaries and the inverted index, not from rows.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::filter::ast::Subject;
use super::scan::BLOCK;
use crate::limits;
use crate::normalize::columns::{ColumnId, ColumnKind};
use crate::normalize::row::{ipv4_to_u128, u128_to_ip};
use crate::store::Snapshot;
use crate::store::segment::{Decode, OpenSegment};

/// Segments looked into, the newest ones.
const SEGMENTS: usize = 8;

/// Values with how many rows they were seen in, 0 where that is not known.
pub fn values_seen(snapshot: &Snapshot, subject: &Subject, prefix: &str) -> BTreeMap<String, u64> {
    let mut seen = BTreeMap::new();
    let mut terms = limits::COMPLETION_TERMS;
    for segment in snapshot.segments().iter().rev().take(SEGMENTS) {
        let Some(open) = segment.open() else { continue };
        // What cannot be read is not offered.
        let _ = match subject {
            Subject::Column(column) if is_indexed_number(*column) => {
                indexed(open, *column, prefix, &mut seen, &mut terms)
            }
            _ => texts(open, subject, prefix, &mut seen, &mut terms).map_err(tantivy::TantivyError::from),
        };
        if terms == 0 || seen.len() >= limits::COMPLETIONS * 8 {
            break;
        }
    }
    seen
}

fn is_indexed_number(column: ColumnId) -> bool {
    let column = column.column();
    column.indexed && matches!(column.kind, ColumnKind::Ip | ColumnKind::Number)
}

fn texts(
    open: &OpenSegment,
    subject: &Subject,
    prefix: &str,
    seen: &mut BTreeMap<String, u64>,
    terms: &mut usize,
) -> std::io::Result<()> {
    for codes in super::evaluate::subject_codes(open, subject) {
        let Decode::Text(text) = &codes.decode else { continue };
        let mut stream = text.dictionary().prefix_range(prefix.as_bytes()).into_stream()?;
        let mut left = (limits::COMPLETIONS * 4).min(*terms);
        while left > 0 && stream.advance() {
            left -= 1;
            *terms -= 1;
            if let Ok(term) = std::str::from_utf8(stream.key()) {
                seen.entry(term.to_owned()).or_default();
            }
        }
    }
    Ok(())
}

fn indexed(
    open: &OpenSegment,
    column: ColumnId,
    prefix: &str,
    seen: &mut BTreeMap<String, u64>,
    terms: &mut usize,
) -> tantivy::Result<()> {
    let field = open.reader.schema().get_field(column.column().name)?;
    let inverted = open.reader.inverted_index(field)?;
    let mut range = inverted.terms().range();
    if column.column().kind == ColumnKind::Ip
        && let Some((first, last)) = address_range(prefix)
    {
        range = range.ge(first.to_be_bytes()).le(last.to_be_bytes());
    }
    let mut stream = range.into_stream()?;
    let mut read = 0u32;
    while *terms > 0 && stream.advance() && read < BLOCK * 8 {
        read += 1;
        *terms -= 1;
        let value = match (column.column().kind, stream.key()) {
            (ColumnKind::Ip, key) => {
                let Ok(octets) = <[u8; 16]>::try_from(key) else {
                    continue;
                };
                u128_to_ip(Ipv6Addr::from(octets).to_bits()).to_string()
            }
            (_, key) => {
                let Ok(octets) = <[u8; 8]>::try_from(key) else { continue };
                u64::from_be_bytes(octets).to_string()
            }
        };
        if value.starts_with(prefix) {
            *seen.entry(value).or_default() += u64::from(stream.value().doc_freq);
        }
    }
    Ok(())
}

/// The IPv4 addresses whose whole octets begin so: `10.1.2` is `10.1.0.0` to `10.1.255.255`.
fn address_range(prefix: &str) -> Option<(u128, u128)> {
    let (whole, _) = prefix.rsplit_once('.')?;
    let (mut first, mut last) = ([0u8; 4], [255u8; 4]);
    for ((part, first), last) in whole.split('.').zip(&mut first).zip(&mut last) {
        *first = part.parse().ok()?;
        *last = *first;
    }
    Some((ipv4_to_u128(first), ipv4_to_u128(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_octets_bound_the_addresses() {
        let (first, last) = address_range("10.1.2").unwrap();
        assert_eq!(
            (u128_to_ip(first).to_string(), u128_to_ip(last).to_string()),
            ("10.1.0.0".into(), "10.1.255.255".into())
        );
        assert_eq!(address_range("10"), None);
        assert_eq!(address_range("example.com"), None);
    }
}
