//! Durations as people write them (`15s`, `1m`, `500ms`, `1h30m`), so that no flag needs its unit in its name.

use std::time::Duration;

/// Units and their nanoseconds, the longest names first so that `ms` is not read as `m`.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads one duration: numbers with a unit, one after the other (`1h30m`); a bare `0` needs none.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write a number and a unit, such as 500ms, 15s, 1m, 2h");
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total_ns: u64 = 0;
    while !rest.is_empty() {
        let (digits, behind) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, behind) = split_where(behind, |c| !c.is_ascii_alphabetic());
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let (_, unit_ns) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        total_ns = number
            .checked_mul(*unit_ns)
            .and_then(|ns| total_ns.checked_add(ns))
            .ok_or_else(|| format!("`{text}` is longer than can be counted"))?;
        rest = behind.trim_start();
    }
    Ok(Duration::from_nanos(total_ns))
}

/// The text form that [`parse`] reads back, in the largest units that say it exactly.
pub fn format(duration: Duration) -> String {
    let mut rest_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if rest_ns == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, unit_ns) in UNITS.iter().rev() {
        let count = rest_ns / unit_ns;
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
            rest_ns %= unit_ns;
        }
    }
    text
}

fn split_where(text: &str, stop: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(stop).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, ms) in [
            ("15s", 15_000),
            ("1m", 60_000),
            ("500ms", 500),
            ("1h30m", 5_400_000),
            ("2m 5s", 125_000),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn refuses_with_an_example() {
        for text in ["", "15", "s", "1.5s", "-1s", "15 parsecs", "99999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("15").unwrap_err().contains("15s"));
    }

    proptest! {
        #[test]
        fn text_form_reads_back(ns in any::<u64>()) {
            let duration = Duration::from_nanos(ns);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
        }
    }
}
