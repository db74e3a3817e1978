//! The last labels of a DNS name that somebody registered: the public suffix counts as one label.

/// The registered domain, and the name one label longer, as far as the name has that many labels. `www.example.co.uk`
/// has `example.co.uk` and `www.example.co.uk`, since anybody can register below `co.uk`.
pub(super) fn last_labels(name: &[u8]) -> [Option<&[u8]>; 2] {
    let Some(suffix) = psl::suffix(name) else {
        return [None, None];
    };
    // Up to the dot before the suffix.
    let Some(end) = name.len().checked_sub(suffix.as_bytes().len() + 1) else {
        return [None, None];
    };
    let mut dots = name
        .get(..end)
        .unwrap_or_default()
        .iter()
        .enumerate()
        .rev()
        .filter(|(at, octet)| **octet == b'.' && !is_escaped(name, *at))
        .map(|(at, _)| at);
    match (dots.next(), dots.next()) {
        (None, _) => [Some(name), None],
        (Some(first), None) => [name.get(first + 1..), Some(name)],
        (Some(first), Some(second)) => [name.get(first + 1..), name.get(second + 1..)],
    }
}

/// Whether an odd number of backslashes is ahead of it (RFC 4343 section 2.1).
fn is_escaped(name: &[u8], at: usize) -> bool {
    let ahead = name.get(..at).unwrap_or_default();
    ahead.iter().rev().take_while(|octet| **octet == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_suffix_is_one_label() {
        let text = |name: &'static str| {
            last_labels(name.as_bytes()).map(|part| part.map(|part| std::str::from_utf8(part).unwrap()))
        };
        assert_eq!(
            text("a.b.example.co.uk"),
            [Some("example.co.uk"), Some("b.example.co.uk")]
        );
        assert_eq!(text("www.example.com"), [Some("example.com"), Some("www.example.com")]);
        assert_eq!(text("example.com"), [Some("example.com"), None]);
        assert_eq!(text("com"), [None, None]);
        assert_eq!(text("."), [None, None]);
        assert_eq!(text(""), [None, None]);
        // A name that is on no list: its last label is taken for a suffix.
        assert_eq!(
            text("x.host.unlisted"),
            [Some("host.unlisted"), Some("x.host.unlisted")]
        );
        assert_eq!(
            text(r"x\.y.example.com"),
            [Some("example.com"), Some(r"x\.y.example.com")]
        );
    }
}
