//! Tables for people: aligned columns, units, and labels in place of codes.

use std::fmt;

use serde_json::Value as Json;

use crate::normalize::columns::{Column, ColumnKind, column};

/// Where the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Cells with as much room as the longest of their column needs.
#[derive(Debug)]
pub struct Layout {
    head: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Layout {
    /// A table without rows.
    pub fn new<S: Into<String>>(head: Vec<(S, Align)>) -> Layout {
        Layout {
            head: head.into_iter().map(|(name, align)| (name.into(), align)).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |at: usize, name: &str| {
            let cells = self
                .rows
                .iter()
                .filter_map(|row| row.get(at))
                .map(|cell| cell.chars().count());
            cells.chain([name.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = self
            .head
            .iter()
            .enumerate()
            .map(|(at, (name, _))| width(at, name))
            .collect();
        let head: Vec<String> = self.head.iter().map(|(name, _)| name.clone()).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for (((_, align), width), cell) in self.head.iter().zip(&widths).zip(row) {
                if !line.is_empty() {
                    line.push_str("  ");
                }
                match align {
                    Align::Left => line.push_str(&format!("{cell:<width$}")),
                    Align::Right => line.push_str(&format!("{cell:>width$}")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// How the cells of an answer's column are shown.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    /// A column of the table.
    Column(&'static Column),
    /// A number of octets.
    Octets,
    /// Bits a second.
    BitsPerSecond,
    /// A count, or anything else.
    Plain,
}

impl Shown {
    /// How a column or metric of this name is shown.
    pub fn of(name: &str) -> Shown {
        if let Some(found) = column(name) {
            return Shown::Column(found.column());
        }
        if let Some((before, behind)) = name.split_once('/') {
            // A network of addresses, or one metric for each of another.
            let is_length = behind.bytes().all(|octet| octet.is_ascii_digit() || octet == b'/');
            let found = column(before).filter(|_| is_length);
            return found.map_or(Shown::Plain, |found| Shown::Column(found.column()));
        }
        let inner = name
            .split_once('(')
            .and_then(|(function, rest)| Some((function, rest.strip_suffix(')')?)));
        match inner {
            Some(("unique" | "share", _)) => Shown::Plain,
            Some((_, field)) => Shown::of(field),
            None if name.ends_with("octets") => Shown::Octets,
            None if name.ends_with("bps") => Shown::BitsPerSecond,
            None => Shown::Plain,
        }
    }

    /// Numbers stand to the right.
    pub fn align(self) -> Align {
        match self {
            Shown::Column(column) => match column.kind {
                ColumnKind::Number if column.codes.is_some() || column.name.ends_with("tcp.flags") => Align::Left,
                ColumnKind::Number | ColumnKind::Float | ColumnKind::Duration => Align::Right,
                _ => Align::Left,
            },
            _ => Align::Right,
        }
    }

    /// One cell.
    pub fn cell(self, value: Option<&Json>) -> String {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            return String::new();
        };
        match (self, value) {
            (_, Json::String(text)) => self.text(text),
            (Shown::Column(column), Json::Number(number)) => column_number(column, number),
            (Shown::Octets, Json::Number(number)) => scaled(number.as_f64().unwrap_or(0.0), "B"),
            (Shown::BitsPerSecond, Json::Number(number)) => scaled(number.as_f64().unwrap_or(0.0), "bit/s"),
            (Shown::Plain, Json::Number(number)) => scaled_number(number),
            (_, other) => other.to_string(),
        }
    }

    fn text(self, text: &str) -> String {
        match self {
            Shown::Column(column) if column.kind == ColumnKind::Time => time_to_milliseconds(text),
            // Exporters choose these octets: a terminal must not act on them.
            _ => text
                .chars()
                .map(|character| if character.is_control() { '\u{fffd}' } else { character })
                .collect(),
        }
    }
}

fn column_number(column: &Column, number: &serde_json::Number) -> String {
    let code = number.as_u64();
    if let Some(label) = code.and_then(|code| column.label(code)) {
        return label.to_owned();
    }
    if column.name.ends_with("tcp.flags") {
        return code.map_or_else(|| number.to_string(), tcp_flags);
    }
    match (column.kind, column.unit) {
        (ColumnKind::Duration, _) => duration(number.as_f64().unwrap_or(0.0)),
        (_, "octets") => scaled(number.as_f64().unwrap_or(0.0), "B"),
        (_, "bit/s") => scaled(number.as_f64().unwrap_or(0.0), "bit/s"),
        (_, "packets") => scaled_number(number),
        _ => number.to_string(),
    }
}

/// The letters of the flags that are set, in the order people write them.
fn tcp_flags(bits: u64) -> String {
    const LETTERS: [(u64, char); 9] = [
        (0x02, 'S'),
        (0x10, 'A'),
        (0x01, 'F'),
        (0x04, 'R'),
        (0x08, 'P'),
        (0x20, 'U'),
        (0x40, 'E'),
        (0x80, 'C'),
        (0x100, 'N'),
    ];
    LETTERS
        .iter()
        .filter(|(bit, _)| bits & bit != 0)
        .map(|(_, letter)| letter)
        .collect()
}

fn time_to_milliseconds(text: &str) -> String {
    match text.strip_suffix('Z').and_then(|text| text.split_once('.')) {
        Some((seconds, fraction)) => format!("{seconds}.{:0<3}Z", fraction.get(..3).unwrap_or(fraction)),
        None => text
            .strip_suffix('Z')
            .map_or_else(|| text.to_owned(), |text| format!("{text}.000Z")),
    }
}

/// Nanoseconds with three digits that matter.
fn duration(ns: f64) -> String {
    let (value, unit) = match ns.abs() {
        small if small < 1e3 => (ns, "ns"),
        small if small < 1e6 => (ns / 1e3, "us"),
        small if small < 1e9 => (ns / 1e6, "ms"),
        small if small < 120e9 => (ns / 1e9, "s"),
        small if small < 7_200e9 => (ns / 60e9, "min"),
        _ => (ns / 3_600e9, "h"),
    };
    format!("{} {unit}", digits(value))
}

fn scaled_number(number: &serde_json::Number) -> String {
    match number.as_u64() {
        Some(small) if small < 100_000 => small.to_string(),
        _ => scaled(number.as_f64().unwrap_or(0.0), "").trim_end().to_owned(),
    }
}

/// A number with a decimal prefix: `1.23 MB`.
pub fn scaled(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 5] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match PREFIXES.iter().find(|(factor, _)| value.abs() >= *factor) {
        Some((factor, prefix)) => format!("{} {prefix}{unit}", digits(value / factor)),
        None => format!("{} {unit}", digits(value)),
    }
}

fn digits(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 && value.abs() < 1e6 => format!("{value:.0}"),
        large if large >= 100.0 => format!("{value:.0}"),
        large if large >= 10.0 => format!("{value:.1}"),
        // Shares and ratios may be small, and then two places say nothing.
        small if small < 0.01 => format!("{value:.*}", (1.0 - small.log10().floor()).min(9.0) as usize),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_have_units_and_labels() {
        let shown = |name: &str, value: Json| Shown::of(name).cell(Some(&value));
        assert_eq!(shown("proto", json!(6)), "tcp");
        assert_eq!(shown("proto", json!(200)), "200");
        assert_eq!(shown("octets", json!(1_234_567)), "1.23 MB");
        assert_eq!(shown("octets", json!(999)), "999 B");
        assert_eq!(shown("total.octets", json!(2_000_000_000u64)), "2 GB");
        assert_eq!(shown("flows", json!(99_999)), "99999");
        assert_eq!(shown("flows", json!(1_000_000)), "1 M");
        assert_eq!(shown("bps", json!(12_345.0)), "12.3 kbit/s");
        assert_eq!(shown("duration", json!(1_500_000)), "1.50 ms");
        assert_eq!(shown("p99(dns.latency)", json!(90_000_000)), "90 ms");
        assert_eq!(shown("unique(octets)", json!(5)), "5");
        assert_eq!(shown("tcp.flags", json!(0x12)), "SA");
        assert_eq!(shown("src.port", json!(123_456)), "123456");
        assert_eq!(
            shown("start", json!("2026-01-01T00:00:22.23038Z")),
            "2026-01-01T00:00:22.230Z"
        );
        assert_eq!(
            shown("start", json!("2026-01-01T00:00:22Z")),
            "2026-01-01T00:00:22.000Z"
        );
        assert_eq!(shown("dns.qname", json!("a\u{1b}[2Jb")), "a\u{fffd}[2Jb");
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut layout = Layout::new(vec![("a", Align::Left), ("number", Align::Right)]);
        layout.row(vec!["long".to_owned(), "1".to_owned()]);
        layout.row(vec!["x".to_owned(), "1234567".to_owned()]);
        assert_eq!(layout.to_string(), "a      number\nlong        1\nx     1234567\n");
    }
}
