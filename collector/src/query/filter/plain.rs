//! Patterns that are compared octet by octet: what a text starts with, ends with or has in it.

/// A pattern of ASCII; case is of no account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// What texts start with, or are as a whole.
    start: Box<[u8]>,
    /// What comes in this order behind the start, each as early as it can.
    parts: Box<[Box<[u8]>]>,
    /// What texts end with; `None` when nothing may follow the start.
    end: Option<Box<[u8]>>,
}

impl Plain {
    /// A part of a text.
    pub fn part(text: &str) -> Option<Self> {
        text.is_ascii().then(|| Self {
            start: [].into(),
            parts: [text.as_bytes().into()].into(),
            end: Some([].into()),
        })
    }

    /// A whole text, `*` in it being anything; `None` when it means more than that.
    pub fn glob(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.contains('?') {
            return None;
        }
        let Some((start, rest)) = text.split_once('*') else {
            return Some(Self {
                start: text.as_bytes().into(),
                parts: [].into(),
                end: None,
            });
        };
        let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        let parts = between.split('*').filter(|part| !part.is_empty());
        Some(Self {
            start: start.as_bytes().into(),
            parts: parts.map(|part| part.as_bytes().into()).collect(),
            end: Some(end.as_bytes().into()),
        })
    }

    /// Whether a text fits; `None` when it is more than ASCII, whose letters may be the same in other ways.
    pub fn fits(&self, text: &[u8]) -> Option<bool> {
        text.is_ascii().then(|| self.fits_ascii(text))
    }

    fn fits_ascii(&self, text: &[u8]) -> bool {
        let Some((start, rest)) = text.split_at_checked(self.start.len()) else {
            return false;
        };
        let Some(end) = &self.end else {
            return rest.is_empty() && start.eq_ignore_ascii_case(&self.start);
        };
        let Some((mut rest, last)) = rest
            .len()
            .checked_sub(end.len())
            .and_then(|at| rest.split_at_checked(at))
        else {
            return false;
        };
        if !last.eq_ignore_ascii_case(end) || !start.eq_ignore_ascii_case(&self.start) {
            return false;
        }
        for part in &self.parts {
            match behind(rest, part) {
                Some(left) => rest = left,
                None => return false,
            }
        }
        true
    }
}

/// What is behind the first place where a part is.
fn behind<'t>(text: &'t [u8], part: &[u8]) -> Option<&'t [u8]> {
    let Some(first) = part.first() else {
        return Some(text);
    };
    let places = 0..(text.len() + 1).checked_sub(part.len())?;
    for at in places {
        let candidate = text.get(at..at + part.len())?;
        if candidate.first().is_some_and(|octet| octet.eq_ignore_ascii_case(first))
            && candidate.eq_ignore_ascii_case(part)
        {
            return text.get(at + part.len()..);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pattern::Pattern;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn octets_and_expressions_agree(pattern in "[aAb.*]{0,6}", texts in proptest::collection::vec("[aAbB.\n]{0,7}", 30)) {
            let plain = match pattern.contains('*') {
                true => Plain::glob(&pattern),
                false => Plain::part(&pattern),
            };
            let (plain, compiled) = (plain.unwrap(), Pattern::words(&pattern).unwrap());
            for text in texts {
                prop_assert_eq!(plain.fits(text.as_bytes()), Some(compiled.regex_fits(&text)), "{:?} {:?}", pattern, text);
            }
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_expressions() {
        assert_eq!(Plain::glob("a?b*"), None);
        assert_eq!(Plain::glob("*ä"), None);
        assert_eq!(Plain::part("ä"), None);
        // The sign of Kelvin is a k, and the long s an s.
        let plain = Plain::part("k").unwrap();
        assert_eq!(plain.fits("\u{212a}".as_bytes()), None);
        assert!(Pattern::words("k").unwrap().fits_octets("\u{212a}".as_bytes()));
        assert!(Pattern::words("*.s").unwrap().fits_octets("x.\u{17f}".as_bytes()));
        assert!(!Pattern::words("s").unwrap().fits_octets(b"\xff"));
        assert_eq!(Plain::glob("ab").unwrap().fits(b"AB"), Some(true));
        assert_eq!(Plain::glob("ab").unwrap().fits(b"abb"), Some(false));
        // The start and the end are not the same letters.
        assert_eq!(Plain::glob("aba*ba").unwrap().fits(b"aba"), Some(false));
    }
}
