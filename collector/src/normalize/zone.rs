//! The zone of a DNS name: what somebody can register, by the public suffix list; `www.example.co.uk` is of `example.co.uk`.

use std::borrow::Cow;
use std::ops::Range;

/// The zone of a name, in lower case; a name that is a public suffix itself is its own zone.
pub fn zone_of(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|octet| octet.is_ascii_uppercase()) {
        true => {
            let lower = name.to_ascii_lowercase();
            Cow::Owned(lower.get(zone_within(&lower)).unwrap_or_default().to_owned())
        }
        false => Cow::Borrowed(name.get(zone_within(name)).unwrap_or_default()),
    }
}

/// Where the zone is in a name that has no capitals.
fn zone_within(name: &str) -> Range<usize> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let suffix = psl::suffix(name.as_bytes()).map_or(0, |suffix| suffix.as_bytes().len());
    // Up to the dot before the suffix.
    let labels = name.len().checked_sub(suffix + 1).and_then(|end| name.get(..end));
    let labels = labels.unwrap_or_default();
    let mut dots = labels.rmatch_indices('.').map(|(at, _)| at);
    let dot = dots.find(|at| !is_escaped(labels, *at));
    dot.map_or(0, |at| at + 1)..name.len()
}

/// The zone as part of the text that has the name, where it stands there as it is.
pub fn zone_part(name: &str) -> Option<Range<usize>> {
    let is_lower = !name.bytes().any(|octet| octet.is_ascii_uppercase());
    is_lower.then(|| zone_within(name))
}

/// Whether an odd number of backslashes is ahead of a dot, which then is one within a label (RFC 4343 section 2.1).
fn is_escaped(labels: &str, at: usize) -> bool {
    let ahead = labels.as_bytes().get(..at).unwrap_or_default();
    ahead.iter().rev().take_while(|octet| **octet == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_what_somebody_can_register() {
        // The suffixes are those of publicsuffix.org.
        for (name, zone) in [
            ("www.example.com", "example.com"),
            ("a.b.c.example.co.uk.", "example.co.uk"),
            ("example.com", "example.com"),
            ("WWW.Example.COM", "example.com"),
            ("co.uk", "co.uk"),
            ("com", "com"),
            ("printer", "printer"),
            ("a.printer", "a.printer"),
            ("b.a.printer", "a.printer"),
            ("4.3.2.10.in-addr.arpa", "10.in-addr.arpa"),
            ("a\\.b.com", "a\\.b.com"),
            ("x.a\\.b.com", "a\\.b.com"),
            ("", ""),
            (".", ""),
            ("..", "."),
        ] {
            assert_eq!(zone_of(name), zone, "{name}");
            let part = zone_part(name).map(|part| &name[part]);
            assert_eq!(
                part,
                name.bytes().all(|octet| !octet.is_ascii_uppercase()).then_some(zone)
            );
        }
    }
}
