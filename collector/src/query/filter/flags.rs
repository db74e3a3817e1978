//! TCP flags as letters, as tcpdump and nfdump write them.

/// Letters by bit, the lowest first: FIN SYN RST PSH ACK URG ECE CWR and AE (RFC 9293 section 3.1, RFC 9768).
const LETTERS: [char; 9] = ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'W', 'N'];

/// The bits of letters in any order and case; `None` when one is no flag.
pub fn flag_bits(letters: &str) -> Option<u64> {
    let mut bits = 0;
    for letter in letters.chars() {
        let at = LETTERS.iter().position(|known| known.eq_ignore_ascii_case(&letter))?;
        bits |= 1 << at;
    }
    (!letters.is_empty()).then_some(bits)
}

/// The letters of bits, as `SA`; a number when a bit has no letter.
pub fn flag_letters(bits: u64) -> String {
    if bits == 0 || bits >> LETTERS.len() != 0 {
        return bits.to_string();
    }
    LETTERS
        .iter()
        .enumerate()
        .filter(|(at, _)| bits >> at & 1 == 1)
        .map(|(_, letter)| *letter)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_bits_name_each_other() {
        assert_eq!(flag_bits("SA"), Some(0x12));
        assert_eq!(flag_bits("as"), Some(0x12));
        assert_eq!(flag_bits("X"), None);
        assert_eq!(flag_bits(""), None);
        for bits in 1..512 {
            assert_eq!(flag_bits(&flag_letters(bits)), Some(bits));
        }
    }
}
