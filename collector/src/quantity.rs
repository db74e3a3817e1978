//! Durations and sizes as people write them (`15s`, `1h`, `64MiB`), so that the command line, the environment and TOML read them alike.

/// Writes nanoseconds as the shortest exact duration that [`crate::query::time::parse_duration`] reads back.
pub fn duration_text(ns: i64) -> String {
    const UNITS: [(i64, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    if ns == 0 {
        return "0s".to_owned();
    }
    UNITS.iter().find(|(unit_ns, _)| ns % unit_ns == 0).map_or_else(
        || format!("{ns}ns"),
        |(unit_ns, unit)| format!("{}{unit}", ns / unit_ns),
    )
}

/// Reads a size in octets such as `65536`, `64MiB`, `1GB`; `k M G T` alone are powers of 1000.
pub fn parse_octets(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a size: write it like 65536, 64MiB or 1GB");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        "ti" | "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Writes octets as the shortest exact size that [`parse_octets`] reads back.
pub fn octets_text(octets: u64) -> String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if octets != 0 && octets.is_multiple_of(1 << shift) {
            return format!("{}{unit}", octets >> shift);
        }
    }
    octets.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::time::parse_duration;

    #[test]
    fn what_is_written_is_read_back() {
        for ns in [
            0,
            1,
            1_500,
            250_000_000,
            15_000_000_000,
            5_400_000_000_000,
            86_400_000_000_000,
        ] {
            assert_eq!(parse_duration(&duration_text(ns)), Ok(ns));
        }
        for octets in [0, 1, 1000, 1024, 65536, 64 << 20, 3 << 30] {
            assert_eq!(parse_octets(&octets_text(octets)), Ok(octets));
        }
    }

    #[test]
    fn sizes_tell_powers_of_1000_from_powers_of_1024() {
        assert_eq!(parse_octets("1MB"), Ok(1_000_000));
        assert_eq!(parse_octets("1 MiB"), Ok(1_048_576));
        assert!(parse_octets("1x").is_err());
        assert!(parse_octets("99999999999999999999").is_err());
        assert!(parse_octets("99999999999T").is_err());
    }
}
