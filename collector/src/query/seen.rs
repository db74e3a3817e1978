//! Values seen lately that begin with some text, the commonest first.
//!
//! What begins with a text is a few ranges of codes in every kind of column: neighbours in a dictionary, runs of numbers,
//! networks. The newest rows are counted by them, which needs no index and costs the same however many values there are.
//! Only where these rows have too few are dictionaries and the inverted index read for rare ones.

use std::collections::{BTreeMap, HashMap};
use std::io;

use tantivy::columnar::{StrColumn, TermOrdHit};

use super::filter::ast::Subject;
use super::ranges::Ranges;
use super::scan::{BLOCK, first_codes};
use crate::limits;
use crate::normalize::columns::{Aggregation, ColumnId, ColumnKind};
use crate::normalize::row::{Cell, ipv4_to_u128, u128_to_ip};
use crate::store::Snapshot;
use crate::store::segment::{Codes, Decode, OpenSegment, ip_code};

/// Segments looked into, the newest ones.
const SEGMENTS: usize = 8;
/// Runs of numbers or addresses that begin with a text.
type Runs<T> = Vec<(T, T)>;

/// Values with how many of the newest rows have them, 0 where none has.
pub fn values_seen(snapshot: &Snapshot, subject: &Subject, prefix: &str) -> BTreeMap<String, u64> {
    let mut seen = BTreeMap::new();
    if !has_values(subject) {
        return seen;
    }
    let newest = || {
        let segments = snapshot.segments().iter().rev().take(SEGMENTS);
        segments.filter_map(|segment| segment.open())
    };
    let mut rows = limits::COMPLETION_ROWS;
    for open in newest() {
        for codes in super::evaluate::subject_codes(open, subject) {
            // What cannot be read is not offered.
            let _ = counted(&codes, subject, prefix, &mut rows, &mut seen);
        }
    }
    let mut terms = limits::COMPLETION_TERMS;
    for open in newest() {
        if terms == 0 || seen.len() >= limits::COMPLETIONS {
            break;
        }
        let _ = match subject {
            Subject::Column(column) if is_indexed_number(*column) => {
                indexed(open, *column, prefix, &mut seen, &mut terms)
            }
            _ => texts(open, subject, prefix, &mut seen, &mut terms).map_err(tantivy::TantivyError::from),
        };
    }
    seen
}

/// Whether values of a column come again: those of counters and clocks do not.
fn has_values(subject: &Subject) -> bool {
    let Subject::Column(column) = subject else { return true };
    let column = column.column();
    column.aggregation != Aggregation::Sum
        && matches!(
            column.kind,
            ColumnKind::Ip | ColumnKind::Number | ColumnKind::Text | ColumnKind::Mac
        )
}

fn is_indexed_number(column: ColumnId) -> bool {
    let column = column.column();
    column.indexed && matches!(column.kind, ColumnKind::Ip | ColumnKind::Number)
}

fn kind_of(subject: &Subject) -> ColumnKind {
    match subject {
        Subject::Column(column) => column.column().kind,
        Subject::Other(_) => ColumnKind::Text,
    }
}

/// Counts the newest rows of a segment by values that begin so.
fn counted(
    codes: &Codes,
    subject: &Subject,
    prefix: &str,
    rows: &mut u32,
    seen: &mut BTreeMap<String, u64>,
) -> io::Result<()> {
    let kind = kind_of(subject);
    let ranges = beginning(&codes.decode, kind, prefix)?;
    if ranges.0.is_empty() {
        return Ok(());
    }
    let end = codes.column.num_docs();
    let begin = end.saturating_sub((*rows).min(limits::COMPLETION_ROWS_PER_SEGMENT));
    *rows -= end - begin;
    let mut counts: HashMap<u64, u64, foldhash::fast::RandomState> = HashMap::default();
    let (mut docs, mut found) = (Vec::new(), Vec::new());
    for from in (begin..end).step_by(BLOCK as usize) {
        docs.clear();
        docs.extend(from..end.min(from + BLOCK));
        first_codes(&codes.column, &docs, &mut found);
        for code in found.iter().flatten().filter(|code| ranges.contains(**code)) {
            if let Some(count) = counts.get_mut(code) {
                *count += 1;
            } else if counts.len() < limits::COMPLETION_TERMS {
                counts.insert(*code, 1);
            }
        }
    }
    let mut counts: Vec<(u64, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
    for (code, count) in counts.into_iter().take(limits::COMPLETIONS * 4) {
        let text = match codes.cell(code)? {
            Cell::Number(value) if kind == ColumnKind::Mac => super::table::mac_text(value),
            cell => super::table::cell_to_text(kind, &cell),
        };
        if begins(&text, prefix) {
            *seen.entry(text).or_default() += count;
        }
    }
    Ok(())
}

fn begins(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The codes whose values begin so, and maybe some more.
fn beginning(decode: &Decode, kind: ColumnKind, prefix: &str) -> io::Result<Ranges> {
    let runs: Runs<u64> = match decode {
        Decode::Number if kind == ColumnKind::Mac => mac_runs(prefix),
        Decode::Number => number_runs(prefix),
        Decode::Ip(accessor) => {
            let codes = address_runs(prefix).into_iter().filter_map(|(first, last)| {
                let (first, _) = ip_code(accessor, first);
                let last = match ip_code(accessor, last) {
                    (code, true) => code,
                    (code, false) => code.checked_sub(1)?,
                };
                (first <= last).then_some((first, last))
            });
            codes.collect()
        }
        Decode::Text(text) => {
            let mut runs = Vec::new();
            for written in spellings(prefix) {
                runs.extend(text_run(text, &written)?);
            }
            runs
        }
        Decode::Signed | Decode::Float | Decode::Bool => Vec::new(),
    };
    Ok(Ranges::default().union(Ranges(runs)))
}

/// Dictionaries tell upper from lower case: a text as it is, and as texts are mostly written.
fn spellings(prefix: &str) -> Vec<String> {
    let lower = prefix.to_lowercase();
    let mut first = lower.chars();
    let title = first
        .next()
        .map(|c| c.to_uppercase().collect::<String>() + first.as_str());
    let mut spellings = vec![
        prefix.to_owned(),
        prefix.to_uppercase(),
        title.unwrap_or_default(),
        lower,
    ];
    spellings.sort_unstable();
    spellings.dedup();
    spellings
}

/// The neighbours in a dictionary that begin so.
fn text_run(text: &StrColumn, prefix: &str) -> io::Result<Option<(u64, u64)>> {
    let dictionary = text.dictionary();
    let terms = dictionary.num_terms() as u64;
    let place = |key: &[u8]| -> io::Result<u64> {
        Ok(match dictionary.term_ord_or_next(key)? {
            TermOrdHit::Exact(at) | TermOrdHit::Next(at) => at.min(terms),
        })
    };
    let first = place(prefix.as_bytes())?;
    // No octet of UTF-8 is the largest one, so there is a next one.
    let mut behind = prefix.as_bytes().to_vec();
    let end = match behind.last_mut() {
        None => terms,
        Some(last) => {
            *last = last.saturating_add(1);
            place(&behind)?
        }
    };
    Ok(end
        .checked_sub(1)
        .filter(|last| first <= *last)
        .map(|last| (first, last)))
}

/// The numbers whose decimal digits begin so.
fn number_runs(prefix: &str) -> Runs<u64> {
    if prefix.is_empty() {
        return vec![(0, u64::MAX)];
    }
    let is_decimal = prefix.bytes().all(|digit| digit.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    match prefix.parse::<u64>() {
        Ok(0) if is_decimal => vec![(0, 0)],
        Ok(value) if is_decimal => runs_of(value, 10, u64::MAX),
        _ => Vec::new(),
    }
}

/// The numbers up to `most` whose digits of this base begin with those of `value`.
fn runs_of(value: u64, base: u64, most: u64) -> Runs<u64> {
    let mut runs = Vec::new();
    let (mut first, mut last) = (u128::from(value), u128::from(value));
    while first <= u128::from(most) {
        let end = last.min(u128::from(most));
        runs.push((first as u64, end as u64));
        if value == 0 {
            break;
        }
        first *= u128::from(base);
        last = last * u128::from(base) + u128::from(base - 1);
    }
    runs
}

/// The MAC addresses that begin so.
fn mac_runs(prefix: &str) -> Runs<u64> {
    let digits: String = prefix.chars().filter(|c| *c != ':').collect();
    if digits.is_empty() {
        return vec![(0, (1 << 48) - 1)];
    }
    let open = 4 * 12usize.saturating_sub(digits.len());
    match u64::from_str_radix(&digits, 16) {
        Ok(value) if digits.len() <= 12 => {
            let first = value << open;
            vec![(first, first | ((1 << open) - 1))]
        }
        _ => Vec::new(),
    }
}

/// The addresses whose text begins so: some networks, IPv4 ones, IPv6 ones or both.
fn address_runs(prefix: &str) -> Runs<u128> {
    if prefix.is_empty() {
        return vec![(0, u128::MAX)];
    }
    let mut runs = ipv4_runs(prefix).unwrap_or_default();
    runs.extend(ipv6_runs(prefix).unwrap_or_default());
    runs
}

fn ipv4_runs(prefix: &str) -> Option<Runs<u128>> {
    let (mut first, mut last) = ([0u8; 4], [255u8; 4]);
    let (whole, part) = prefix
        .rsplit_once('.')
        .map_or(("", prefix), |(whole, part)| (whole, part));
    let mut at = 0;
    for octet in whole.split('.').filter(|_| !whole.is_empty()) {
        let octet: u8 = octet.parse().ok()?;
        *first.get_mut(at)? = octet;
        *last.get_mut(at)? = octet;
        at += 1;
    }
    let parts = match part {
        "" => vec![(0, 255)],
        _ if part.bytes().all(|digit| digit.is_ascii_digit()) => runs_of(part.parse().ok()?, 10, 255),
        _ => return None,
    };
    let mut runs = Vec::new();
    for (low, high) in parts {
        *first.get_mut(at)? = u8::try_from(low).ok()?;
        *last.get_mut(at)? = u8::try_from(high).ok()?;
        runs.push((ipv4_to_u128(first), ipv4_to_u128(last)));
    }
    Some(runs)
}

fn ipv6_runs(prefix: &str) -> Option<Runs<u128>> {
    let (mut first, mut last) = ([0u16; 8], [u16::MAX; 8]);
    // What is behind the gap says nothing about where the address begins.
    let (groups, is_open) = match prefix.split_once("::") {
        Some((groups, _)) => (groups, false),
        None => (prefix, true),
    };
    let (whole, part) = match groups.rsplit_once(':') {
        _ if !is_open => (groups, ""),
        Some((whole, part)) => (whole, part),
        None => ("", groups),
    };
    let mut at = 0;
    for group in whole.split(':').filter(|_| !whole.is_empty()) {
        let group = u16::from_str_radix(group, 16).ok()?;
        *first.get_mut(at)? = group;
        *last.get_mut(at)? = group;
        at += 1;
    }
    let parts = match part {
        "" => vec![(0, u64::from(u16::MAX))],
        _ => runs_of(u64::from(u16::from_str_radix(part, 16).ok()?), 16, u64::from(u16::MAX)),
    };
    let mut runs = Vec::new();
    for (low, high) in parts {
        *first.get_mut(at)? = u16::try_from(low).ok()?;
        *last.get_mut(at)? = u16::try_from(high).ok()?;
        let bits = |groups: [u16; 8]| std::net::Ipv6Addr::from(groups).to_bits();
        runs.push((bits(first), bits(last)));
    }
    Some(runs)
}

/// Texts of the dictionary that begin so, in their order.
fn texts(
    open: &OpenSegment,
    subject: &Subject,
    prefix: &str,
    seen: &mut BTreeMap<String, u64>,
    terms: &mut usize,
) -> io::Result<()> {
    for codes in super::evaluate::subject_codes(open, subject) {
        let Decode::Text(text) = &codes.decode else { continue };
        for written in spellings(prefix) {
            let mut stream = text.dictionary().prefix_range(written.as_bytes()).into_stream()?;
            let mut left = (limits::COMPLETIONS * 4).min(*terms);
            while left > 0 && stream.advance() {
                left -= 1;
                *terms -= 1;
                if let Ok(term) = std::str::from_utf8(stream.key()) {
                    seen.entry(term.to_owned()).or_default();
                }
            }
        }
    }
    Ok(())
}

/// Numbers and addresses of the inverted index that begin so.
fn indexed(
    open: &OpenSegment,
    column: ColumnId,
    prefix: &str,
    seen: &mut BTreeMap<String, u64>,
    terms: &mut usize,
) -> tantivy::Result<()> {
    let field = open.reader.schema().get_field(column.column().name)?;
    let inverted = open.reader.inverted_index(field)?;
    let keys: Vec<(Vec<u8>, Vec<u8>)> = match column.column().kind {
        ColumnKind::Ip => {
            let runs = address_runs(prefix).into_iter();
            runs.map(|(first, last)| (first.to_be_bytes().to_vec(), last.to_be_bytes().to_vec()))
                .collect()
        }
        _ => {
            let runs = number_runs(prefix).into_iter();
            runs.map(|(first, last)| (first.to_be_bytes().to_vec(), last.to_be_bytes().to_vec()))
                .collect()
        }
    };
    for (first, last) in keys {
        let mut stream = inverted.terms().range().ge(first).le(last).into_stream()?;
        let mut left = (limits::COMPLETIONS * 4).min(*terms);
        while left > 0 && stream.advance() {
            left -= 1;
            *terms -= 1;
            let value = match (<[u8; 16]>::try_from(stream.key()), <[u8; 8]>::try_from(stream.key())) {
                (Ok(octets), _) => u128_to_ip(u128::from_be_bytes(octets)).to_string(),
                (_, Ok(octets)) => u64::from_be_bytes(octets).to_string(),
                _ => continue,
            };
            if begins(&value, prefix) {
                seen.entry(value).or_default();
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    use crate::normalize::row::ip_to_u128;
    use proptest::prelude::*;

    #[test]
    fn runs_end_with_their_kind() {
        assert_eq!(number_runs("0"), [(0, 0)]);
        assert_eq!(number_runs("01"), []);
        assert_eq!(number_runs("x"), []);
        assert_eq!(number_runs("53")[..2], [(53, 53), (530, 539)]);
        assert_eq!(number_runs("18446744073709551615"), [(u64::MAX, u64::MAX)]);
        assert_eq!(mac_runs("00:5e:00:53:01:02:03"), []);
        assert_eq!(address_runs("example.com"), []);
        assert_eq!(address_runs("1.2.3.4.5"), []);
        assert_eq!(address_runs("256."), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_begins_so_is_in_a_run(
            number in any::<u64>(), shift in 0..64u32, v4 in any::<[u8; 4]>(), v6 in any::<[u16; 8]>(), zeros in 0..8usize,
            mac in 0..1u64 << 48, length in 0..40usize,
        ) {
            let number = number >> shift;
            let within = |runs: &[(u128, u128)], value: u128| runs.iter().any(|(first, last)| (first..=last).contains(&&value));
            let part = |text: &str| text[..length.min(text.len())].to_owned();
            let wide = |runs: Runs<u64>| runs.into_iter().map(|(a, b)| (u128::from(a), u128::from(b))).collect::<Vec<_>>();
            prop_assert!(within(&wide(number_runs(&part(&number.to_string()))), number.into()));
            prop_assert!(within(&wide(mac_runs(&part(&crate::query::table::mac_text(mac)))), mac.into()));
            let mut v6 = v6;
            v6.iter_mut().skip(1).take(zeros).for_each(|group| *group = 0);
            for address in [IpAddr::from(v4), IpAddr::from(v6)] {
                let bits = ip_to_u128(address);
                // Mapped IPv4 has its own text.
                let prefix = part(&u128_to_ip(bits).to_string());
                prop_assert!(within(&address_runs(&prefix), bits), "{prefix} of {address}");
            }
        }
    }
}
