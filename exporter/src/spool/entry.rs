//! One entry of the spool: a Message, what it is about, and a checksum.

use crate::exporting::{Content, Volume};

/// Octets before an entry's Message.
pub(super) const HEADER_OCTETS: usize = 56;
/// The longest Message (RFC 7011 section 3.1).
pub(super) const MAX_MESSAGE_OCTETS: usize = 65_535;

/// What is known of a Message without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// What it is about.
    pub content: Content,
    /// Data Records of any kind.
    pub records: u32,
    /// Flow Records, and the packets and octets that they stand for.
    pub volume: Volume,
    /// The recordId of the first Flow Record; the others follow.
    pub first_record: u64,
    /// When it was written, nanoseconds since 1970 UTC.
    pub written_ns: i64,
}

impl Label {
    /// Octets that its Message takes in the spool.
    pub fn octets(&self, message: &[u8]) -> u64 {
        (HEADER_OCTETS + message.len()) as u64
    }
}

/// A Message with its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub label: Label,
    pub bytes: &'a [u8],
}

/// Why no entry is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There may be one, of which more octets would be needed.
    Short,
    /// There is none.
    Damaged,
}

const CONTENTS: [Content; 4] = [
    Content::Templates,
    Content::Options,
    Content::Statistics,
    Content::Flows,
];

impl<'a> Entry<'a> {
    /// Octets it takes.
    pub fn octets(&self) -> usize {
        HEADER_OCTETS + self.bytes.len()
    }

    /// Appends it. No Message is longer than an entry may be.
    pub fn encode(&self, sync: u32, out: &mut Vec<u8>) {
        let bytes = self.bytes.get(..MAX_MESSAGE_OCTETS).unwrap_or(self.bytes);
        let label = &self.label;
        let content = CONTENTS.iter().position(|content| *content == label.content);
        let mut covered = [0; HEADER_OCTETS - 8];
        let parts: [&[u8]; 8] = [
            &(bytes.len() as u32).to_le_bytes(),
            &(content.unwrap_or_default() as u32).to_le_bytes(),
            &label.records.to_le_bytes(),
            &(label.volume.flows as u32).to_le_bytes(),
            &label.volume.packets.to_le_bytes(),
            &label.volume.octets.to_le_bytes(),
            &label.first_record.to_le_bytes(),
            &label.written_ns.to_le_bytes(),
        ];
        for (place, octet) in covered.iter_mut().zip(parts.into_iter().flatten()) {
            *place = *octet;
        }
        out.extend_from_slice(&sync.to_le_bytes());
        out.extend_from_slice(&checksum(&covered, bytes).to_le_bytes());
        out.extend_from_slice(&covered);
        out.extend_from_slice(bytes);
    }

    /// The entry that `octets` begin with.
    pub fn decode(octets: &'a [u8], sync: u32) -> Result<Self, Fault> {
        let mut rest = octets;
        if take(&mut rest).map(u32::from_le_bytes)? != sync {
            return Err(Fault::Damaged);
        }
        let crc = take(&mut rest).map(u32::from_le_bytes)?;
        let (covered, behind) = rest.split_at_checked(HEADER_OCTETS - 8).ok_or(Fault::Short)?;
        let length = take(&mut rest).map(u32::from_le_bytes)? as usize;
        if length > MAX_MESSAGE_OCTETS {
            return Err(Fault::Damaged);
        }
        let bytes = behind.get(..length).ok_or(Fault::Short)?;
        if checksum(covered, bytes) != crc {
            return Err(Fault::Damaged);
        }
        let content = take(&mut rest).map(u32::from_le_bytes)?;
        let content = CONTENTS.get(content as usize).ok_or(Fault::Damaged)?;
        let label = Label {
            content: *content,
            records: take(&mut rest).map(u32::from_le_bytes)?,
            volume: Volume {
                flows: u64::from(take(&mut rest).map(u32::from_le_bytes)?),
                packets: take(&mut rest).map(u64::from_le_bytes)?,
                octets: take(&mut rest).map(u64::from_le_bytes)?,
            },
            first_record: take(&mut rest).map(u64::from_le_bytes)?,
            written_ns: take(&mut rest).map(i64::from_le_bytes)?,
        };
        Ok(Self { label, bytes })
    }
}

/// The next octets of a fixed number.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (taken, behind) = rest.split_first_chunk().ok_or(Fault::Short)?;
    *rest = behind;
    Ok(*taken)
}

fn checksum(covered: &[u8], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(covered);
    hasher.update(bytes);
    hasher.finalize()
}

/// What is at the front of some octets, once damage is passed over.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// Octets that belong to no entry.
    pub damaged: usize,
    /// The entry behind them; none when more octets are needed, or when there are none left.
    pub entry: Option<Entry<'a>>,
}

/// Finds the next entry, passing over damage. `is_last` says that no more octets follow: what is not whole never will be.
pub(super) fn find(octets: &[u8], sync: u32, is_last: bool) -> Found<'_> {
    let mut damaged = 0;
    loop {
        let rest = octets.get(damaged..).unwrap_or_default();
        match Entry::decode(rest, sync) {
            Ok(entry) => {
                return Found {
                    damaged,
                    entry: Some(entry),
                };
            }
            Err(Fault::Short) if !is_last || rest.is_empty() => return Found { damaged, entry: None },
            Err(_) => {
                let mark = sync.to_le_bytes();
                let behind = rest.get(1..).unwrap_or_default();
                // The last octets may be the beginning of a mark.
                let next = behind
                    .windows(mark.len())
                    .position(|octets| octets == mark)
                    .map(|place| place + 1);
                let without = if is_last {
                    rest.len()
                } else {
                    rest.len().saturating_sub(3).max(1)
                };
                damaged += next.unwrap_or(without);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: u32 = 0x8f3a_11c7;

    fn entry(bytes: &[u8]) -> Entry<'_> {
        Entry {
            label: Label {
                content: Content::Flows,
                records: 3,
                volume: Volume {
                    flows: 3,
                    packets: 1 << 33,
                    octets: u64::MAX,
                },
                first_record: 1 << 60,
                written_ns: -5,
            },
            bytes,
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let mut octets = Vec::new();
        for bytes in [&b""[..], &[7; 1000], &[1; MAX_MESSAGE_OCTETS]] {
            octets.clear();
            entry(bytes).encode(SYNC, &mut octets);
            assert_eq!(Entry::decode(&octets, SYNC), Ok(entry(bytes)));
            assert_eq!(octets.len(), entry(bytes).octets());
            for cut in [0, 3, 7, HEADER_OCTETS - 1, octets.len() - 1] {
                assert_eq!(Entry::decode(&octets[..cut], SYNC), Err(Fault::Short));
            }
        }
        assert_eq!(Entry::decode(&octets, SYNC + 1), Err(Fault::Damaged));
    }

    #[test]
    fn one_octet_flipped_costs_one_entry() {
        let mut sound = Vec::new();
        for bytes in [[1; 40], [2; 40], [3; 40]] {
            entry(&bytes).encode(SYNC, &mut sound);
        }
        let one = sound.len() / 3;
        for place in 0..sound.len() {
            let mut octets = sound.clone();
            octets[place] ^= 0x20;
            let (mut at, mut entries, mut damaged) = (0, Vec::new(), 0);
            loop {
                let found = find(&octets[at..], SYNC, true);
                damaged += found.damaged;
                at += found.damaged;
                let Some(entry) = found.entry else { break };
                entries.push(entry.bytes[0]);
                at += entry.octets();
            }
            assert_eq!(damaged, one, "octet {place}");
            let lost = (place / one) as u8 + 1;
            assert!(
                entries.len() == 2 && !entries.contains(&lost),
                "octet {place}: {entries:?}"
            );
        }
    }

    #[test]
    fn any_octets_are_passed_over() {
        proptest::proptest!(|(octets: Vec<u8>, is_last: bool)| {
            let found = find(&octets, SYNC, is_last);
            proptest::prop_assert!(found.entry.is_none() && found.damaged <= octets.len());
            proptest::prop_assert!(!is_last || found.damaged == octets.len());
        });
    }
}
