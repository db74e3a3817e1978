//! TCP options that performance needs (RFC 9293 section 3.1; RFC 7323 timestamps; RFC 2018 and 2883 SACK).
//!
//! Any bytes are taken: what is cut or contradictory ends the list, and what came before it counts.

/// TSval and TSecr.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timestamps {
    /// The sender's clock.
    pub value: u32,
    /// The clock of the other side that this answers; means nothing without the ACK flag.
    pub echo: u32,
}

/// Octets of options that hold timestamps alone, as segments behind the handshake have them.
const TIMESTAMPS_ALONE: usize = 12;

const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MAXIMUM_SEGMENT_SIZE: u8 = 2;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// The timestamps option. Nearly every segment that has it has it first, behind two octets of padding.
#[inline(always)]
pub fn timestamps(options: &[u8]) -> Option<Timestamps> {
    match options.first_chunk::<TIMESTAMPS_ALONE>() {
        Some([NO_OPERATION, NO_OPERATION, TIMESTAMPS, 10, a, b, c, d, e, f, g, h]) => Some(Timestamps {
            value: u32::from_be_bytes([*a, *b, *c, *d]),
            echo: u32::from_be_bytes([*e, *f, *g, *h]),
        }),
        _ if options.is_empty() => None,
        _ => search_timestamps(options),
    }
}

#[inline(never)]
fn search_timestamps(options: &[u8]) -> Option<Timestamps> {
    let (_, value) = Options(options).find(|(kind, _)| *kind == TIMESTAMPS)?;
    let [a, b, c, d, e, f, g, h] = *value.first_chunk::<8>()?;
    Some(Timestamps {
        value: u32::from_be_bytes([a, b, c, d]),
        echo: u32::from_be_bytes([e, f, g, h]),
    })
}

/// Whether there may be a SACK behind what nearly every segment has.
#[inline(always)]
pub fn may_have_sack(options: &[u8]) -> bool {
    options.len() > TIMESTAMPS_ALONE || (!options.is_empty() && options.len() < TIMESTAMPS_ALONE)
}

/// Blocks of a SACK option, at most four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SackBlocks {
    blocks: [(u32, u32); 4],
    count: usize,
}

impl SackBlocks {
    /// The blocks, first octet and the one behind the last.
    pub fn as_slice(&self) -> &[(u32, u32)] {
        self.blocks.get(..self.count).unwrap_or_default()
    }
}

/// The SACK option; without blocks when there is none.
pub fn sack(options: &[u8]) -> SackBlocks {
    let mut found = SackBlocks::default();
    let Some((_, value)) = Options(options).find(|(kind, _)| *kind == SACK) else {
        return found;
    };
    let edge = |octets: &[u8]| octets.first_chunk().map_or(0, |edge| u32::from_be_bytes(*edge));
    for (block, octets) in found.blocks.iter_mut().zip(value.chunks_exact(8)) {
        *block = (edge(octets), edge(octets.get(4..).unwrap_or_default()));
        found.count += 1;
    }
    found
}

/// What a SYN says of its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SynOptions {
    /// Largest payload it takes; 0 when it does not say.
    pub maximum_segment_octets: u16,
    /// TSval; 0 when there is none.
    pub timestamp: u32,
    /// TSecr; 0 when there is none.
    pub echo: u32,
}

/// Reads the options of a SYN.
pub fn syn(options: &[u8]) -> SynOptions {
    let mut syn = SynOptions::default();
    for (kind, value) in Options(options) {
        match (kind, value) {
            (MAXIMUM_SEGMENT_SIZE, &[a, b]) => syn.maximum_segment_octets = u16::from_be_bytes([a, b]),
            (TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => {
                syn.timestamp = u32::from_be_bytes([a, b, c, d]);
                syn.echo = u32::from_be_bytes([e, f, g, h]);
            }
            _ => {}
        }
    }
    syn
}

/// Kind and value of one option after the other.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            match *self.0 {
                [] | [END, ..] => return None,
                [NO_OPERATION, ref rest @ ..] => self.0 = rest,
                [kind, length, ..] if length >= 2 => {
                    let (option, rest) = self.0.split_at_checked(usize::from(length))?;
                    self.0 = rest;
                    return Some((kind, option.get(2..)?));
                }
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_found_first_and_anywhere() {
        let alone = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
        let expected = Some(Timestamps { value: 7, echo: 9 });
        assert_eq!(timestamps(&alone), expected);
        let behind_mss = [2, 4, 5, 180, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
        assert_eq!(timestamps(&behind_mss), expected);
        assert_eq!(timestamps(&behind_mss[..12]), None);
        assert_eq!(timestamps(&[]), None);
    }

    /// The SYN of `corpus/tcp-lab`: MSS 1460, SACK permitted, timestamps, window scale 10.
    #[test]
    fn a_syn_states_size_and_clock() {
        let options = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0, 1, 3, 3, 10];
        let expected = SynOptions {
            maximum_segment_octets: 1460,
            timestamp: 256,
            echo: 0,
        };
        assert_eq!(syn(&options), expected);
    }

    #[test]
    fn sack_blocks_are_cut_where_the_option_is() {
        let mut options = vec![1, 1, 5, 18];
        for edge in [10u32, 20, 30, 40] {
            options.extend(edge.to_be_bytes());
        }
        assert!(may_have_sack(&options));
        assert_eq!(sack(&options).as_slice(), [(10, 20), (30, 40)]);
        assert!(sack(&options[..19]).as_slice().is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_octets_end(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let _ = (timestamps(&octets), sack(&octets), syn(&octets));
            assert!(Options(&octets).count() <= octets.len() / 2);
        }
    }
}
