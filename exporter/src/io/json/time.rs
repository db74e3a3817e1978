//! Times as text, without what a calendar library does for other zones: a million records a minute have four each.

use std::io::Write as _;

const NS_PER_S: i64 = 1_000_000_000;
const S_PER_DAY: i64 = 86_400;

/// `YYYY-MM-DD`, `between`, `HH:MM:SS` and as many `digits` of the second, up to nine; UTC, without its sign.
pub(in crate::io) fn write_time(out: &mut Vec<u8>, ns: i64, between: u8, digits: usize) {
    let (seconds, part) = (ns.div_euclid(NS_PER_S), ns.rem_euclid(NS_PER_S));
    let (days, second) = (seconds.div_euclid(S_PER_DAY), seconds.rem_euclid(S_PER_DAY));
    let [year, month, day] = date(days);
    let mut text = *b"0000-00-00T00:00:00.000000000";
    decimal(&mut text, 0..4, year);
    decimal(&mut text, 5..7, month);
    decimal(&mut text, 8..10, day);
    text[10] = between;
    decimal(&mut text, 11..13, second / 3600);
    decimal(&mut text, 14..16, second / 60 % 60);
    decimal(&mut text, 17..19, second % 60);
    decimal(&mut text, 20..29, part);
    let length = match digits {
        0 => 19,
        digits => 20 + digits.min(9),
    };
    // Writing to memory does not fail.
    let _ = out.write_all(text.get(..length).unwrap_or_default());
}

#[inline]
fn decimal(text: &mut [u8], place: std::ops::Range<usize>, mut number: i64) {
    for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: eras of 400 years that begin on
/// the first of March have all the same length.
fn date(days: i64) -> [i64; 3] {
    const ERA_DAYS: i64 = 146_097;
    // 1970-01-01 is so many days after 0000-03-01.
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = match month_from_march {
        0..=9 => month_from_march + 3,
        _ => month_from_march - 9,
    };
    [year + era * 400 + i64::from(month <= 2), month, day]
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn text(ns: i64, between: u8, digits: usize) -> String {
        let mut out = Vec::new();
        write_time(&mut out, ns, between, digits);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn days_at_the_edges_of_months_and_leap_years() {
        for (ns, expected) in [
            (0, "1970-01-01 00:00:00.000000"),
            (951_782_399_999_999_999, "2000-02-28 23:59:59.999999"),
            (951_868_800_000_000_000, "2000-03-01 00:00:00.000000"),
            (1_709_164_800_000_001_000, "2024-02-29 00:00:00.000001"),
            (-1_000, "1969-12-31 23:59:59.999999"),
        ] {
            assert_eq!(text(ns, b' ', 6), expected);
        }
    }

    proptest! {
        #[test]
        fn every_time_is_that_of_the_calendar_library(ns: i64, digits in 0usize..=9) {
            let time = Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            // It rounds towards zero, we to the past, as files do.
            let whole = 10i64.pow(9 - digits as u32);
            let floor = Timestamp::from_nanosecond(i128::from(ns) - i128::from(ns.rem_euclid(whole))).unwrap();
            prop_assume!(time.as_second() >= -62_135_596_800);
            prop_assert_eq!(text(ns, b'T', digits) + "Z", format!("{floor:.digits$}"));
        }
    }
}
