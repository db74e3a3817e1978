//! Text as it goes out: UTF-8, without control characters, cut at a character.
//!
//! RFC 7011 section 6.1.6 wants strings in UTF-8; what peers send is whatever they like.

/// Appends what of `octets` is text, at most `most` octets of it; true when something had to be left off the end.
/// Octets that are not UTF-8 become U+FFFD; control characters are left out.
pub(super) fn append(octets: &[u8], most: usize, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    // A replacement is never shorter than what it replaces by more than a third: no need to look far behind the bound.
    let printable = |octet: &u8| (0x20..0x7f).contains(octet);
    if octets.len() <= most && octets.iter().all(printable) {
        out.extend_from_slice(octets);
        return false;
    }
    for chunk in octets.utf8_chunks() {
        let replacement = match chunk.invalid().is_empty() {
            true => "",
            false => "\u{fffd}",
        };
        for character in chunk.valid().chars().chain(replacement.chars()) {
            if character.is_control() {
                continue;
            }
            let mut room = [0; 4];
            let encoded = character.encode_utf8(&mut room);
            if out.len() - start + encoded.len() > most {
                return true;
            }
            out.extend_from_slice(encoded.as_bytes());
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(octets: &[u8], most: usize) -> (String, bool) {
        let mut out = b"|".to_vec();
        let cut = append(octets, most, &mut out);
        (String::from_utf8(out).unwrap()[1..].to_owned(), cut)
    }

    #[test]
    fn text_is_cleaned_and_cut_at_characters() {
        assert_eq!(text(b"plain", 10), ("plain".into(), false));
        assert_eq!(text(b"plain", 3), ("pla".into(), true));
        assert_eq!(text("gr\u{fc}n".as_bytes(), 3), ("gr".into(), true));
        assert_eq!(text(b"a\0b\r\n\x7fc\xc2\x85", 10), ("abc".into(), false));
        assert_eq!(text(b"x\xff\xfey", 10), ("x\u{fffd}\u{fffd}y".into(), false));
        assert_eq!(text(b"", 0), (String::new(), false));
    }

    proptest! {
        #[test]
        fn any_octets_give_text_within_the_bound(octets: Vec<u8>, most in 0usize..64) {
            let (text, cut) = text(&octets, most);
            prop_assert!(text.len() <= most);
            prop_assert!(!text.contains(char::is_control));
            prop_assert!(!cut || text.len() + 4 > most);
        }
    }
}
