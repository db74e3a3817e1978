//! Words as values of a column: numbers with units, times, addresses, networks, labels.

use std::net::{Ipv4Addr, Ipv6Addr};

use flowgauge_ie_registry::{DataType, Element, Registry};
use flowgauge_templates::ipfix::value::Resolution;
use flowgauge_templates::text::time_text;

use super::ast::{Literal, Subject};
use super::flags::flag_bits;
use crate::normalize::columns::{Column, ColumnKind, id};
use crate::normalize::row::{ip_to_u128, ipv4_to_u128};
use crate::query::time::{parse_duration, parse_time, scaled};

/// What was expected where a value is wrong.
pub(super) type Expected = Vec<String>;

/// A word as a value of `subject`; `is_quoted` text of an element stays text.
pub(super) fn literal(subject: &Subject, word: &str, is_quoted: bool, now_ns: i64) -> Result<Literal, Expected> {
    match subject {
        Subject::Column(column) => {
            let flags = [id::TCP_FLAGS, id::REV_TCP_FLAGS].contains(column);
            column_literal(column.column(), flags, word, now_ns)
        }
        Subject::Other(name) => match Registry::builtin().by_name(name) {
            Some(element) => element_literal(element, word, is_quoted, now_ns),
            None if is_quoted => Ok(Literal::Text(word.to_owned())),
            None => Ok(guess(word)),
        },
    }
}

fn column_literal(column: &Column, flags: bool, word: &str, now_ns: i64) -> Result<Literal, Expected> {
    let expect = |what: &str| vec![what.to_owned()];
    match column.kind {
        ColumnKind::Time => parse_time(word, now_ns)
            .map(Literal::Time)
            .map_err(|_| expect("a time: 2026-01-01T00:00:00Z, now-1h, -15m")),
        ColumnKind::Duration if word == "0" => Ok(Literal::Duration(0)),
        ColumnKind::Duration => {
            let (sign, digits) = word.strip_prefix('-').map_or((1, word), |rest| (-1, rest));
            parse_duration(digits)
                .map(|ns| Literal::Duration(sign * ns))
                .map_err(|_| expect("a duration with its unit: 200ms, 5s, 1h30m"))
        }
        ColumnKind::Ip => address(word).ok_or_else(|| expect("an address or network: 10.0.0.1, 10/8, 2001:db8::/32")),
        ColumnKind::Mac => mac(word)
            .map(Literal::Mac)
            .ok_or_else(|| expect("a MAC address: 00:11:22:33:44:55")),
        ColumnKind::Bool => boolean(word)
            .map(Literal::Bool)
            .ok_or_else(|| vec!["true".to_owned(), "false".to_owned()]),
        ColumnKind::Float => float(word)
            .map(Literal::Float)
            .ok_or_else(|| expect("a number: 10, 1.5, 10M")),
        ColumnKind::Text => Ok(Literal::Text(word.to_owned())),
        ColumnKind::Number => {
            let number = number(word)
                .or_else(|| column.code(word))
                .or_else(|| flags.then(|| flag_bits(word)).flatten());
            number.map(Literal::Number).ok_or_else(|| {
                let mut expected = expect("a whole number: 10, 10M, 64KiB, 0x1f");
                if flags {
                    expected.push("flags: FSRPAUEW, as in SA".to_owned());
                }
                expected.extend(column.code_entries().iter().map(|(_, label)| (*label).to_owned()));
                expected
            })
        }
    }
}

fn element_literal(element: &Element, word: &str, is_quoted: bool, now_ns: i64) -> Result<Literal, Expected> {
    let data_type = element.data_type;
    let code = || element.codes.and_then(|codes| codes.code(word)).map(Literal::Number);
    if data_type.is_integer() {
        return signed_number(word)
            .or_else(code)
            .ok_or_else(|| vec!["a whole number: 10, 10M, 0x1f".to_owned()]);
    }
    match data_type {
        DataType::Float32 | DataType::Float64 => float(word)
            .map(Literal::Float)
            .ok_or_else(|| vec!["a number: 10, 1.5".to_owned()]),
        DataType::Boolean => boolean(word)
            .map(Literal::Bool)
            .ok_or_else(|| vec!["true".to_owned(), "false".to_owned()]),
        DataType::Ipv4Address | DataType::Ipv6Address => {
            address(word).ok_or_else(|| vec!["an address or network".to_owned()])
        }
        DataType::MacAddress => Ok(Literal::Text(word.to_ascii_lowercase().replace('-', ":"))),
        // Kept as text of a fixed width, which has the order of the times themselves.
        DataType::DateTimeSeconds => time(word, Resolution::Seconds, now_ns),
        DataType::DateTimeMilliseconds => time(word, Resolution::Milliseconds, now_ns),
        DataType::DateTimeMicroseconds => time(word, Resolution::Microseconds, now_ns),
        DataType::DateTimeNanoseconds => time(word, Resolution::Nanoseconds, now_ns),
        DataType::String => Ok(Literal::Text(word.to_owned())),
        _ if is_quoted => Ok(Literal::Text(word.to_owned())),
        _ => Ok(Literal::Text(word.to_ascii_lowercase())),
    }
}

fn time(word: &str, resolution: Resolution, now_ns: i64) -> Result<Literal, Expected> {
    let ns = parse_time(word, now_ns).map_err(|_| vec!["a time: 2026-01-01T00:00:00Z, now-1h".to_owned()])?;
    Ok(Literal::Text(time_text(ns, resolution)))
}

/// What an unknown element's value may be.
fn guess(word: &str) -> Literal {
    signed_number(word)
        .or_else(|| address(word))
        .or_else(|| float(word).map(float_or_number))
        .or_else(|| (word == "true" || word == "false").then(|| Literal::Bool(word == "true")))
        .unwrap_or_else(|| Literal::Text(word.to_owned()))
}

/// `1e3` is a whole number, and is shown as one.
fn float_or_number(value: f64) -> Literal {
    if value.fract() != 0.0 || value.abs() > 9e18 {
        return Literal::Float(value);
    }
    if value < 0.0 {
        Literal::Negative(value as i64)
    } else {
        Literal::Number(value as u64)
    }
}

fn signed_number(word: &str) -> Option<Literal> {
    match word.strip_prefix('-') {
        Some(digits) => {
            let value = number(digits)?;
            let value = i64::try_from(value).ok()?;
            Some(if value == 0 {
                Literal::Number(0)
            } else {
                Literal::Negative(-value)
            })
        }
        None => number(word).map(Literal::Number),
    }
}

/// Multiples that may stand behind a number.
const MULTIPLES: [(&str, u64); 8] = [
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("t", 1_000_000_000_000),
    ("ki", 1 << 10),
    ("mi", 1 << 20),
    ("gi", 1 << 30),
    ("ti", 1 << 40),
];

fn multiple(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    if unit.is_empty() {
        return Some(1);
    }
    MULTIPLES.iter().find(|(name, _)| *name == unit).map(|(_, by)| *by)
}

/// A whole number: decimal with an optional multiple, or hexadecimal.
pub(super) fn number(word: &str) -> Option<u64> {
    if let Some(digits) = word.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    let end = word
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    if digits.is_empty() || digits.starts_with('.') || digits.ends_with('.') {
        return None;
    }
    let by = multiple(unit)?;
    let value = scaled(digits, by)?;
    // 1.5 octets is no whole number, 1.5k is.
    let fraction = digits
        .split_once('.')
        .map_or("", |(_, fraction)| fraction)
        .trim_end_matches('0');
    let is_whole = fraction.is_empty()
        || (fraction.parse::<u128>().ok()? * u128::from(by)).is_multiple_of(10u128.pow(fraction.len() as u32));
    is_whole.then_some(value)
}

fn float(word: &str) -> Option<f64> {
    let end = word
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+' | 'e' | 'E'))
        .unwrap_or(word.len());
    let (digits, unit) = word.split_at(end);
    let value: f64 = digits.parse().ok()?;
    let value = value * multiple(unit)? as f64;
    value.is_finite().then_some(value)
}

pub(super) fn boolean(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

pub(super) fn mac(word: &str) -> Option<u64> {
    let mut value = 0u64;
    let mut parts = 0;
    for part in word.split([':', '-']) {
        if part.is_empty() || part.len() > 2 {
            return None;
        }
        value = value << 8 | u64::from_str_radix(part, 16).ok()?;
        parts += 1;
        if parts > 6 {
            return None;
        }
    }
    (parts == 6).then_some(value)
}

/// An address, or a network with its length: `10.0.0.1`, `10/8`, `10.1.0.0/16`, `2001:db8::/32`.
pub(super) fn address(word: &str) -> Option<Literal> {
    if let Ok(address) = word.parse() {
        return Some(Literal::Ip(ip_to_u128(address)));
    }
    let (address, length) = word.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    if address.contains(':') {
        let address: Ipv6Addr = address.parse().ok()?;
        return (length <= 128).then(|| net(address.to_bits(), length));
    }
    let octets = short_v4(address)?;
    (length <= 32).then(|| net(ipv4_to_u128(octets), 96 + length))
}

/// A network as tcpdump's `net` takes it, also without its length: `10`, `192.168`.
pub(super) fn network(word: &str) -> Option<Literal> {
    if let Some(literal) = address(word) {
        return Some(literal);
    }
    let octets = short_v4(word)?;
    let parts = word.split('.').count() as u32;
    Some(net(ipv4_to_u128(octets), 96 + 8 * parts))
}

fn short_v4(text: &str) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut slots = octets.iter_mut();
    for part in text.split('.') {
        *slots.next()? = part.parse().ok()?;
    }
    Some(Ipv4Addr::from(octets).octets())
}

/// The network of `length` bits around an address.
pub(super) fn net(address: u128, length: u32) -> Literal {
    let host = u128::MAX.checked_shr(length).unwrap_or(0);
    Literal::Net(address & !host, address | host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units() {
        for (word, value) in [
            ("10", 10),
            ("10M", 10_000_000),
            ("1.5k", 1_500),
            ("64KiB", 65_536),
            ("0x1f", 31),
            ("1.50", u64::MAX),
        ] {
            let expected = (value != u64::MAX).then_some(value);
            assert_eq!(number(word), expected, "{word}");
        }
        for word in ["", "k", ".5", "5.", "1.5", "10x", "-1", "99999999999999999999"] {
            assert_eq!(number(word), None, "{word}");
        }
    }

    #[test]
    fn networks_in_every_form() {
        let ten = Literal::Net(ipv4_to_u128([10, 0, 0, 0]), ipv4_to_u128([10, 255, 255, 255]));
        for word in ["10/8", "10.0.0.0/8", "10.1.2.3/8"] {
            assert_eq!(address(word), Some(ten.clone()), "{word}");
        }
        assert_eq!(network("10"), Some(ten));
        assert_eq!(address("10"), None);
        assert_eq!(address("::/0"), Some(Literal::Net(0, u128::MAX)));
        assert_eq!(address("::1"), Some(Literal::Ip(1)));
        for word in ["10/33", "::/129", "1.2.3.4.5/8", "256/8", "a/8", "10/", "/8"] {
            assert_eq!(address(word), None, "{word}");
        }
    }

    #[test]
    fn macs_have_six_octets() {
        assert_eq!(mac("00:11:22:33:44:55"), Some(0x0011_2233_4455));
        assert_eq!(mac("0-11-22-33-44-ff"), Some(0x0011_2233_44ff));
        assert_eq!(mac("00:11:22:33:44"), None);
        assert_eq!(mac("00:11:22:33:44:55:66"), None);
    }
}
