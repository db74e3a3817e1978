//! Domain names: off the wire with compression, and as text (RFC 1035 section 4.1.4, RFC 4343 section 2.1).
//!
//! A name is kept as its labels on the wire, in lower case and without compression: names that are equal are equal octets.

use std::fmt;

use super::fault::DnsFault;

/// Octets of a name with its lengths and its end (RFC 1035 section 2.3.4).
pub const MAX_NAME_OCTETS: usize = 255;

/// Octets of a name as text at most: each octet of a label as a backslash and three digits.
pub const MAX_TEXT_OCTETS: usize = 4 * MAX_NAME_OCTETS;

/// Octets of a message's header, where no name is.
const HEADER_OCTETS: usize = 12;

/// A name.
#[derive(Clone, Copy)]
pub struct Name {
    octets: [u8; MAX_NAME_OCTETS],
    length: u8,
}

impl Default for Name {
    /// The root.
    fn default() -> Name {
        Name::ROOT
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_octets() == other.as_octets()
    }
}

impl Eq for Name {}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write_text(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl Name {
    /// The name without labels.
    pub const ROOT: Name = Name {
        octets: [0; MAX_NAME_OCTETS],
        length: 1,
    };

    /// Reads the name at `start` of a message, and says where what follows it is. In place, as most names are short.
    ///
    /// # Errors
    /// The faults of names. The name then means nothing.
    #[inline]
    pub fn read(&mut self, message: &[u8], start: usize) -> Result<usize, DnsFault> {
        let mut at = start;
        // Each pointer leads to before where the labels that it ends began: there are fewer and fewer such places.
        let mut first = start;
        let mut behind = None;
        let mut length = 0;
        loop {
            let kind = *message.get(at).ok_or(DnsFault::NameCut)?;
            match kind >> 6 {
                0 => {
                    let end = at + 1 + usize::from(kind);
                    let label = message.get(at..end).ok_or(DnsFault::NameCut)?;
                    let place = self.octets.get_mut(length..length + label.len());
                    place.ok_or(DnsFault::NameTooLong)?.copy_from_slice(label);
                    length += label.len();
                    at = end;
                    if kind == 0 {
                        break;
                    }
                }
                3 => {
                    let low = *message.get(at + 1).ok_or(DnsFault::NameCut)?;
                    let target = usize::from(kind & 0x3f) << 8 | usize::from(low);
                    if target >= first || target < HEADER_OCTETS {
                        return Err(DnsFault::PointerNotBackwards);
                    }
                    behind.get_or_insert(at + 2);
                    (at, first) = (target, target);
                }
                _ => return Err(DnsFault::LabelKind),
            }
        }
        // Lengths are below 64, where there are no letters.
        self.octets.get_mut(..length).unwrap_or_default().make_ascii_lowercase();
        self.length = length as u8;
        Ok(behind.unwrap_or(at))
    }

    /// Takes over another name.
    #[inline]
    pub fn set(&mut self, other: &Name) {
        let octets = other.as_octets();
        if let Some(place) = self.octets.get_mut(..octets.len()) {
            place.copy_from_slice(octets);
            self.length = other.length;
        }
    }

    /// Takes over the root.
    pub fn set_root(&mut self) {
        (self.octets[0], self.length) = (0, 1);
    }

    /// The labels in lower case, each behind its length, and the empty one of the root.
    #[inline]
    pub fn as_octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Appends the name as text, without the final dot; the root is ".".
    pub fn write_text(&self, text: &mut Vec<u8>) {
        let mut rest = self.as_octets();
        let mut dot = false;
        while let [length @ 1..=63, behind @ ..] = rest {
            let Some((label, behind)) = behind.split_at_checked(usize::from(*length)) else {
                break;
            };
            if dot {
                text.push(b'.');
            }
            dot = true;
            write_label(label, text);
            rest = behind;
        }
        if !dot {
            text.push(b'.');
        }
    }
}

#[inline]
fn write_label(label: &[u8], text: &mut Vec<u8>) {
    if label.iter().all(|octet| is_plain(*octet)) {
        return text.extend_from_slice(label);
    }
    for octet in label {
        match octet {
            b'.' | b'\\' => text.extend([b'\\', *octet]),
            octet if is_plain(*octet) => text.push(*octet),
            octet => text.extend([b'\\', b'0' + octet / 100, b'0' + octet / 10 % 10, b'0' + octet % 10]),
        }
    }
}

/// Printed as it is: no space, no control, not beyond ASCII, no dot within a label.
#[inline]
fn is_plain(octet: u8) -> bool {
    matches!(octet, 0x21..=0x7e) && octet != b'.' && octet != b'\\'
}

/// Steps over the name at `start` without reading it: to behind its end or its first pointer.
#[inline]
pub(super) fn skip(message: &[u8], start: usize) -> Result<usize, DnsFault> {
    let mut at = start;
    loop {
        let kind = *message.get(at).ok_or(DnsFault::NameCut)?;
        match kind >> 6 {
            0 if kind == 0 => return Ok(at + 1),
            0 => at += 1 + usize::from(kind),
            3 => return Ok(at + 2),
            _ => return Err(DnsFault::LabelKind),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(message: &[u8], start: usize) -> Result<(String, usize), DnsFault> {
        let mut name = Name::default();
        let behind = name.read(message, start)?;
        let mut text = Vec::new();
        name.write_text(&mut text);
        Ok((String::from_utf8(text).unwrap(), behind))
    }

    fn behind_header(octets: &[u8]) -> Vec<u8> {
        [&[0; 12][..], octets].concat()
    }

    #[test]
    fn the_example_of_rfc_1035() {
        // Section 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40, ARPA at 64 and the root at 92.
        let mut message = vec![0; 93];
        message[20..32].copy_from_slice(b"\x01F\x03ISI\x04ARPA\x00");
        message[40..46].copy_from_slice(b"\x03FOO\xc0\x14");
        message[64..66].copy_from_slice(b"\xc0\x1a");
        assert_eq!(read(&message, 20), Ok(("f.isi.arpa".into(), 32)));
        assert_eq!(read(&message, 40), Ok(("foo.f.isi.arpa".into(), 46)));
        assert_eq!(read(&message, 64), Ok(("arpa".into(), 66)));
        assert_eq!(read(&message, 92), Ok((".".into(), 93)));
    }

    #[test]
    fn escapes_of_rfc_4343() {
        // Section 2.1: the label of "Donald E. Eastlake 3rd" and one of a null and more.
        let message = behind_header(b"\x16Donald E. Eastlake 3rd\x07example\x00");
        let text = "donald\\032e\\.\\032eastlake\\0323rd.example";
        assert_eq!(read(&message, 12), Ok((text.into(), 44)));
        let message = behind_header(b"\x05a\x00\\\x7f\xff\x00");
        assert_eq!(read(&message, 12).unwrap().0, "a\\000\\\\\\127\\255");
    }

    #[test]
    fn the_longest_name_is_whole_and_one_octet_more_is_too_long() {
        let label = [&[63][..], &[b'a'; 63]].concat();
        let longest = [label.repeat(3), vec![61], vec![b'b'; 61], vec![0]].concat();
        assert_eq!(longest.len(), 255);
        assert_eq!(read(&behind_header(&longest), 12).unwrap().0.len(), 253);
        let longer = [label.repeat(3), vec![62], vec![b'b'; 62], vec![0]].concat();
        assert_eq!(read(&behind_header(&longer), 12), Err(DnsFault::NameTooLong));
        let escaped = [
            [&[63][..], &[0xff; 63]].concat().repeat(3),
            vec![61],
            vec![0xff; 61],
            vec![0],
        ]
        .concat();
        let text = read(&behind_header(&escaped), 12).unwrap().0;
        assert_eq!(text.len(), 250 * 4 + 3);
        assert!(text.len() <= MAX_TEXT_OCTETS);
    }

    #[test]
    fn names_that_do_not_end_are_faults() {
        let fault = |octets: &[u8]| read(&behind_header(octets), 12).unwrap_err();
        // To itself, forwards, into the header, and back to a label that leads here again.
        assert_eq!(fault(b"\xc0\x0c"), DnsFault::PointerNotBackwards);
        assert_eq!(fault(b"\xc0\x0e\x00"), DnsFault::PointerNotBackwards);
        assert_eq!(fault(b"\xc0\x00"), DnsFault::PointerNotBackwards);
        assert_eq!(fault(b"\x01a\xc0\x0c"), DnsFault::PointerNotBackwards);
        assert_eq!(fault(b"\x40a\x00"), DnsFault::LabelKind);
        assert_eq!(fault(b"\x80a\x00"), DnsFault::LabelKind);
        for cut in [&b""[..], b"\x01", b"\x01a", b"\xc0"] {
            assert_eq!(fault(cut), DnsFault::NameCut);
        }
    }

    proptest! {
        #[test]
        fn any_labels_come_back(labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..64), 0..5)) {
            let mut wire = Vec::new();
            for label in &labels {
                wire.push(label.len() as u8);
                wire.extend(label);
            }
            wire.push(0);
            prop_assume!(wire.len() <= MAX_NAME_OCTETS);
            let message = behind_header(&wire);
            let (text, behind) = read(&message, 12).unwrap();
            prop_assert_eq!(behind, message.len());
            // Read the text by the rules of RFC 4343.
            let mut read_back = vec![Vec::new()];
            let mut octets = text.bytes();
            while let Some(octet) = octets.next() {
                let label = read_back.last_mut().unwrap();
                match octet {
                    b'.' => read_back.push(Vec::new()),
                    b'\\' => match octets.next().unwrap() {
                        digit if digit.is_ascii_digit() => {
                            let digits = [digit, octets.next().unwrap(), octets.next().unwrap()];
                            label.push(std::str::from_utf8(&digits).unwrap().parse().unwrap());
                        }
                        other => label.push(other),
                    },
                    other => label.push(other),
                }
            }
            if labels.is_empty() {
                prop_assert_eq!(text, ".");
            } else {
                let lower: Vec<_> = labels.iter().map(|label| label.to_ascii_lowercase()).collect();
                prop_assert_eq!(read_back, lower);
            }
        }

        #[test]
        fn any_octets_end(message in proptest::collection::vec(prop_oneof![0u8..4, 0xc0u8..0xc2, any::<u8>()], 0..300), start in 0usize..300) {
            let mut name = Name::default();
            if let Ok(behind) = name.read(&message, start) {
                prop_assert!(behind <= message.len() && behind > start);
                prop_assert_eq!(skip(&message, start), Ok(behind));
                prop_assert_eq!(name.as_octets().last(), Some(&0));
            }
        }
    }
}
