//! Any octets as a segment of the collector's journal, and a sound one with any octets of it changed: no panic, nothing
//! made up, and no entry lost that was not touched.
//!
//! Input of the second kind: entries (1), the length of each (1), then changes: place (2), octet (1).
#![no_main]

use flowgauge_collector::journal::{Entry, Kind, SegmentHeader, listeners_of, read_segment};
use libfuzzer_sys::fuzz_target;

const SYNC: u32 = 0x5eed_f00d;
const HEADER_OCTETS: usize = 32;

fuzz_target!(|input: &[u8]| {
    let mut octets = HEADER_OCTETS;
    let Ok(()) = read_segment::<std::convert::Infallible>(input, &mut |place, entry| {
        assert!((place as usize) < input.len());
        octets += entry.map_or(0, Entry::octets);
        Ok(())
    });
    assert!(octets == HEADER_OCTETS || octets <= input.len());
    listeners_of(input);
    changed(input);
});

fn changed(input: &[u8]) {
    let Some((count, rest)) = input.split_first() else {
        return;
    };
    let count = usize::from(*count).min(rest.len());
    let (lengths, changes) = rest.split_at(count);
    let header = SegmentHeader {
        sync: SYNC,
        position: 0,
    };
    let mut bytes = header.encode().to_vec();
    let mut starts = Vec::new();
    for (number, length) in (0u16..).zip(lengths) {
        starts.push(bytes.len());
        let octets = [&number.to_be_bytes()[..], &vec![0xa5; usize::from(*length)]].concat();
        Entry::note(Kind::Datagram, 1, &octets).encode(SYNC, &mut bytes);
    }
    let mut touched = vec![false; count];
    let sound = bytes.clone();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    for at in HEADER_OCTETS..bytes.len() {
        if bytes[at] != sound[at] {
            let hit = starts.iter().rposition(|start| *start <= at).unwrap();
            touched[hit] = true;
        }
    }
    // By a damaged header the entries are found by the first of them.
    let has_header = bytes[..HEADER_OCTETS] == sound[..HEADER_OCTETS];
    if !has_header && touched.first().copied().unwrap_or(true) {
        return;
    }
    let mut seen = Vec::new();
    let Ok(()) = read_segment::<std::convert::Infallible>(&bytes, &mut |_, entry| {
        if let Some(entry) = entry {
            seen.push(u16::from_be_bytes([entry.bytes[0], entry.bytes[1]]));
        }
        Ok(())
    });
    let expected: Vec<u16> = (0u16..)
        .zip(&touched)
        .filter(|(_, touched)| !**touched)
        .map(|(number, _)| number)
        .collect();
    assert_eq!(seen, expected);
}
