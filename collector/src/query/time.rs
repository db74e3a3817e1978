//! Times and durations as people write them: RFC 3339, `now-1h`, `-15m`, epoch seconds; `10s`, `200ms`, `1h30m`.

use jiff::Timestamp;

/// Nanoseconds as RFC 3339 UTC with the sub-second digits it needs.
pub fn format_time(ns: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(ns)) {
        Ok(timestamp) => timestamp.to_string(),
        Err(_) => ns.to_string(),
    }
}

/// A time as people write it, as nanoseconds since 1970 UTC; `now_ns` is what `now` means.
///
/// # Errors
/// One line that names the forms.
pub fn parse_time(text: &str, now_ns: i64) -> Result<i64, String> {
    let text = text.trim();
    let wrong = || format!("'{text}' is no time; use 2026-01-01T00:00:00Z, now-1h, -15m or epoch seconds");
    let relative = text.strip_prefix("now").unwrap_or(text);
    if relative.is_empty() && text == "now" {
        return Ok(now_ns);
    }
    if let Some(back) = relative.strip_prefix('-') {
        return parse_duration(back)
            .map_err(|_| wrong())
            .map(|ns| now_ns.saturating_sub(ns));
    }
    if let Some(on) = relative.strip_prefix('+') {
        return parse_duration(on)
            .map_err(|_| wrong())
            .map(|ns| now_ns.saturating_add(ns));
    }
    if let Some(ns) = parse_epoch(text) {
        return Ok(ns);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return i64::try_from(timestamp.as_nanosecond()).map_err(|_| wrong());
    }
    let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| wrong())?;
    let utc = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
    i64::try_from(utc.timestamp().as_nanosecond()).map_err(|_| wrong())
}

/// Refuses a time that ends before it begins, in one line with both.
///
/// # Errors
/// When `from` is later than `to`.
pub fn check_span(from_ns: Option<i64>, to_ns: Option<i64>) -> Result<(), String> {
    match (from_ns, to_ns) {
        (Some(from), Some(to)) if from > to => Err(format!(
            "from ({}) is later than to ({})",
            format_time(from),
            format_time(to)
        )),
        _ => Ok(()),
    }
}

fn parse_epoch(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |part: &str| part.bytes().all(|octet| octet.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    if whole.len() == 4 {
        // Far more likely a year than some minutes after 1970.
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanoseconds: i64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// Units of durations, longest name first where one begins another.
pub const DURATION_UNITS: &[(&str, i64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// A duration as people write it, in nanoseconds: `10s`, `1.5h`, `1h30m`.
///
/// # Errors
/// One line that names the forms.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let wrong = || format!("'{text}' is no duration; use a number and ns, us, ms, s, m, h, d or w, as in 10s or 1h30m");
    let mut rest = text;
    let mut total = 0i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, behind) = rest.split_at(digits);
        let letters = behind
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let (_, scale) = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(wrong)?;
        let part = scaled(number, *scale as u64)
            .and_then(|value| i64::try_from(value).ok())
            .ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = behind;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// A decimal number times `scale`, exactly where it is whole, otherwise rounded down.
pub fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.len() > 18 {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let base = whole.checked_mul(scale)?;
    if fraction.is_empty() {
        return Some(base);
    }
    let digits: u64 = fraction.parse().ok()?;
    let part = u128::from(digits) * u128::from(scale) / 10u128.pow(fraction.len() as u32);
    base.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_767_225_600_000_000_000;

    #[test]
    fn times_in_every_form() {
        assert_eq!(parse_time("2026-01-01T00:00:00Z", 0), Ok(NOW));
        assert_eq!(parse_time("2026-01-01T00:00:00", 0), Ok(NOW));
        assert_eq!(parse_time("1767225600", 0), Ok(NOW));
        assert_eq!(parse_time("1767225600.25", 0), Ok(NOW + 250_000_000));
        assert_eq!(parse_time("0", NOW), Ok(0));
        assert_eq!(parse_time("now", NOW), Ok(NOW));
        assert_eq!(parse_time("now-1h", NOW), Ok(NOW - 3_600_000_000_000));
        assert_eq!(parse_time("-15m", NOW), Ok(NOW - 900_000_000_000));
        for wrong in [
            "",
            "yesterday",
            "2026",
            "-",
            "now-",
            "now-5",
            "2026-13-01T00:00:00Z",
            "9999999999999999999",
        ] {
            assert!(parse_time(wrong, NOW).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_shown_with_the_digits_they_need() {
        assert_eq!(format_time(NOW), "2026-01-01T00:00:00Z");
        assert_eq!(format_time(NOW + 22_230_380_000), "2026-01-01T00:00:22.23038Z");
        assert_eq!(format_time(-1), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(parse_duration("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(parse_duration("1.5s"), Ok(1_500_000_000));
        assert_eq!(parse_duration("200ms"), Ok(200_000_000));
        for wrong in ["", "5", "s", "5 s", "99999999999w", "1h-5m", "1.2.3s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
