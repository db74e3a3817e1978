//! Sizes in octets with a unit, as in `64M`.

use crate::exporting::limits::{FILE_OCTETS_BOUNDS, SPOOL_OCTETS_BOUNDS, SUMMARY_OCTETS_BOUNDS};
use crate::limits::{MAX_RING_OCTETS, MIN_RING_OCTETS};

/// The size of a capture ring.
pub(super) fn ring(text: &str) -> Result<u32, String> {
    size(text, [MIN_RING_OCTETS, MAX_RING_OCTETS], "256K to 1G", "64M")
}

/// Octets of summaries a minute.
pub(super) fn budget(text: &str) -> Result<u32, String> {
    size(text, SUMMARY_OCTETS_BOUNDS, "1K to 64M", "64K")
}

/// Octets of a file, or of several.
pub(super) fn file(text: &str) -> Result<u64, String> {
    long(text, FILE_OCTETS_BOUNDS, "1K to 1024T", "100M")
}

/// Octets of a destination's spool.
pub(super) fn spool(text: &str) -> Result<u64, String> {
    long(text, SPOOL_OCTETS_BOUNDS, "1M to 16T", "1G")
}

fn size(text: &str, bounds: [u32; 2], range: &str, example: &str) -> Result<u32, String> {
    // Within bounds of 32 bits it has no more.
    long(text, bounds.map(u64::from), range, example).map(|octets| octets as u32)
}

fn long(text: &str, [least, most]: [u64; 2], range: &str, example: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size from {range}: write a number and K, M or G, such as {example}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" | "kb" => 10,
        "m" | "mib" | "mb" => 20,
        "g" | "gib" | "gb" => 30,
        "t" | "tib" | "tb" => 40,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.replace('_', "").parse().map_err(|_| wrong())?;
    let octets = number.checked_shl(shift).filter(|octets| octets >> shift == number);
    octets
        .filter(|octets| (least..=most).contains(octets))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        assert_eq!(ring("64M"), Ok(64 << 20));
        assert_eq!(ring("512k"), Ok(512 << 10));
        assert_eq!(ring("1GiB"), Ok(1 << 30));
        assert_eq!(ring("1_048_576"), Ok(1 << 20));
        assert_eq!(file("100M"), Ok(100 << 20));
        assert_eq!(file("2T"), Ok(2 << 40));
        assert!(file("10").is_err());
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "M",
            "1T",
            "-1M",
            "1.5M",
            "100",
            "2G",
            "99999999999999999999",
            "17179869184G",
            "4 M",
        ] {
            let error = ring(text).unwrap_err();
            assert!(error.contains(&format!("`{text}`")) && error.contains("64M"), "{error}");
        }
    }
}
