//! The journal on disk: what goes in comes out, whatever became of the files, and is removed when it is done with.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::entry::Fault;
use super::*;
use crate::io::queue::{Batch, Queue};

const NOW: i64 = 1_767_225_661_000_000_000;
const SYNC: u32 = 0x9e37_79b1;
const MIB: u64 = 1 << 20;

fn peers() -> [SocketAddr; 3] {
    [
        "192.0.2.1:2055".parse().unwrap(),
        "[2001:db8::1]:4739".parse().unwrap(),
        "[fe80::1%3]:6343".parse().unwrap(),
    ]
}

fn config(directory: &Path, size_octets: u64) -> JournalConfig {
    JournalConfig {
        directory: directory.join("journal"),
        size_octets,
        sync: Duration::from_secs(1),
        keep: Duration::ZERO,
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn open(config: &JournalConfig, listeners: &[&str], floor: u64) -> Opened {
    JournalWriter::open(config.clone(), SYNC, &names(listeners), floor, NOW).unwrap()
}

/// Datagrams that say their number, each of so many octets.
fn batch(listener: u16, numbers: std::ops::Range<u32>, octets: usize) -> Batch {
    let queue = Queue::new(1 << 30, SYNC);
    let mut batch = queue.batch(listener, 0, NOW);
    for number in numbers {
        let mut bytes = vec![0; octets.max(4)];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        batch.push(peers()[number as usize % 3], &bytes);
    }
    batch
}

/// Number and listener of every datagram from a position on.
fn read(config: &JournalConfig, known: &[&str], from: u64, until: u64) -> (Vec<(u32, u16)>, ReadCounters) {
    let mut reader = Reader::new(config.directory.clone(), names(known), from);
    let mut seen = Vec::new();
    let mut last = from;
    while reader
        .read(until, &mut |entry, behind| {
            assert!(behind > last && behind <= until, "{last} {behind} {until}");
            last = behind;
            if entry.kind == Kind::Datagram {
                let number = u32::from_be_bytes(*entry.bytes.first_chunk().unwrap());
                assert_eq!((entry.peer, entry.received_ns), (peers()[number as usize % 3], NOW));
                seen.push((number, entry.listener));
            }
        })
        .unwrap()
    {}
    assert_eq!(reader.position(), until);
    (seen, reader.counters())
}

fn numbers(seen: &[(u32, u16)]) -> Vec<u32> {
    seen.iter().map(|(number, _)| *number).collect()
}

#[test]
fn entries_are_what_they_were_and_others_are_not_taken_for_them() {
    let mut bytes = Vec::new();
    for (connection, peer) in (0..).zip(peers()) {
        let entry = Entry {
            kind: Kind::Message,
            listener: 7,
            peer,
            connection,
            received_ns: -5,
            bytes: b"abc",
        };
        bytes.clear();
        entry.encode(SYNC, &mut bytes);
        assert_eq!(bytes.len(), entry.octets());
        assert_eq!(Entry::decode(&bytes, SYNC), Ok(entry));
        assert_eq!(Entry::decode_own(&bytes), Some(entry));
        assert_eq!(Entry::decode(&bytes, SYNC + 1), Err(Fault::Damaged));
        assert_eq!(Entry::decode(&bytes[..58], SYNC), Err(Fault::Short(59)));
        assert_eq!(Entry::decode(&[], SYNC), Err(Fault::Short(56)));
    }
}

/// Entries one behind the other, and where each begins.
fn row(lengths: &[usize]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut starts) = (Vec::new(), Vec::new());
    for (number, length) in (0u32..).zip(lengths) {
        starts.push(bytes.len());
        let mut octets = number.to_be_bytes().to_vec();
        octets.resize(4 + length, 0xee);
        Entry::note(Kind::Datagram, NOW, &octets).encode(SYNC, &mut bytes);
    }
    (bytes, starts)
}

fn scanned(bytes: &[u8]) -> (Vec<u32>, u64, u64) {
    let mut scan = Scan::new(bytes, SYNC, true);
    let mut seen = Vec::new();
    while let Scanned::Entry(entry, _) = scan.next_entry() {
        seen.push(u32::from_be_bytes(*entry.bytes.first_chunk().unwrap()));
    }
    (seen, scan.damaged(), scan.damaged_octets())
}

#[test]
fn one_flipped_octet_costs_the_entry_it_is_in() {
    let (sound, starts) = row(&[0, 9, 1_400, 3]);
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        let hit = starts.iter().rposition(|start| *start <= at).unwrap() as u32;
        let expected: Vec<u32> = (0..4).filter(|number| *number != hit).collect();
        let octets = starts.get(hit as usize + 1).unwrap_or(&sound.len()) - starts[hit as usize];
        assert_eq!(scanned(&bytes), (expected, 1, octets as u64), "octet {at}");
    }
}

#[test]
fn a_cut_anywhere_costs_what_was_cut() {
    let (sound, starts) = row(&[0, 9, 140, 3]);
    for length in 0..=sound.len() {
        let whole = starts
            .iter()
            .skip(1)
            .chain([&sound.len()])
            .filter(|end| **end <= length)
            .count() as u32;
        let rest = length - starts.get(whole as usize).unwrap_or(&sound.len());
        let (seen, damaged, octets) = scanned(&sound[..length]);
        assert_eq!((seen, octets), ((0..whole).collect(), rest as u64), "{length} octets");
        assert_eq!(damaged, u64::from(rest > 0));
    }
}

proptest! {
    /// Whatever is done to the octets: no entry that was not touched is lost, and none is made up.
    #[test]
    fn damage_costs_what_it_hit(lengths in prop::collection::vec(0usize..300, 1..20), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)) {
        let (mut bytes, starts) = row(&lengths);
        let mut hit = BTreeSet::new();
        for (at, octet) in damage {
            let at = at.index(bytes.len());
            if bytes[at] != octet {
                bytes[at] = octet;
                hit.insert(starts.iter().rposition(|start| *start <= at).unwrap() as u32);
            }
        }
        let (seen, damaged, octets) = scanned(&bytes);
        let expected: Vec<u32> = (0..lengths.len() as u32).filter(|number| !hit.contains(number)).collect();
        // An octet may have been put back by a second change: then its entry is whole again.
        prop_assert!(expected.iter().all(|number| seen.contains(number)));
        prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(damaged as usize <= hit.len());
        let whole: usize = seen.iter().map(|number| 60 + lengths[*number as usize]).sum();
        prop_assert_eq!(whole as u64 + octets, bytes.len() as u64);
    }

    #[test]
    fn nothing_is_read_from_noise(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0usize..400) {
        let (seen, _, octets) = scanned(&bytes);
        prop_assert_eq!((seen, octets), (vec![], bytes.len() as u64));
        let mut scan = Scan::new(&bytes, SYNC, false);
        if let Scanned::More(at) = scan.next_entry() {
            prop_assert!(at <= bytes.len());
        }
        listeners_of(bytes.get(cut..).unwrap_or_default());
    }
}

#[test]
fn what_is_written_is_read_from_any_position_over_all_segments() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), 64 * MIB);
    assert_eq!(config.segment_octets(), 8 * MIB);
    let mut writer = open(&config, &["udp://a:1", "udp://b:2"], 0).writer;
    let mut positions = Vec::new();
    // 30 batches of a MiB: four segments.
    for n in 0..30 {
        let mut batches = [batch((n % 2) as u16, n * 10..n * 10 + 10, 60_000), batch(1, 0..0, 0)];
        assert_eq!(writer.append(NOW, &mut batches).unwrap(), Appended::Done);
        positions.push(batches[0].start);
    }
    let counters = writer.counters();
    assert_eq!(counters.entries.load(Ordering::Relaxed), 300);
    assert_eq!(counters.segments.load(Ordering::Relaxed), 3);
    let by_listener: Vec<u64> = counters
        .by_listener
        .iter()
        .map(|count| count.load(Ordering::Relaxed))
        .collect();
    assert_eq!(by_listener, [150, 150]);
    let end = writer.position();
    // The listeners have other places in the configuration by now, and one is gone.
    let (seen, read_counters) = read(&config, &["udp://b:2", "tcp://c:3"], 0, end);
    assert_eq!(numbers(&seen), (0..300).collect::<Vec<_>>());
    assert!(
        seen.iter()
            .all(|(number, listener)| *listener == if number / 10 % 2 == 1 { 0 } else { u16::MAX })
    );
    assert_eq!((read_counters.damaged, read_counters.damaged_octets), (0, 0));
    for (n, position) in (0..).zip(positions) {
        let (seen, _) = read(&config, &["udp://b:2"], position, end);
        assert_eq!(numbers(&seen), (n * 10..300).collect::<Vec<_>>());
    }
}

#[test]
fn a_run_goes_on_behind_the_one_before_and_behind_what_the_store_has() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), 64 * MIB);
    let mut first = open(&config, &["udp://a:1"], 0);
    first.writer.append(NOW, &mut [batch(0, 0..5, 100)]).unwrap();
    let torn = first.writer.position();
    drop(first);
    // A crash within a write.
    let path = fs::read_dir(&config.directory).unwrap().next().unwrap().unwrap().path();
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length - 10)
        .unwrap();

    let mut second = open(&config, &["udp://b:2"], 0);
    assert_eq!(
        (second.oldest, second.gone_listeners.as_slice()),
        (0, names(&["udp://a:1"]).as_slice())
    );
    second.writer.append(NOW, &mut [batch(0, 5..9, 100)]).unwrap();
    let end = second.writer.position();
    let (seen, counters) = read(&config, &["udp://b:2", "udp://a:1"], 0, end);
    let expected: Vec<_> = (0..4).map(|n| (n, 1)).chain((5..9).map(|n| (n, 0))).collect();
    assert_eq!((seen, counters.damaged), (expected, 1));
    drop(second);

    // The store has what a failure of power took from the journal: its positions are not given twice.
    let third = open(&config, &["udp://b:2"], end + 1_000_000);
    assert!(third.writer.position() > end + 1_000_000 && torn < end);
    let mut kinds = Vec::new();
    let mut reader = Reader::new(config.directory.clone(), names(&["udp://b:2"]), end);
    while reader
        .read(third.writer.position(), &mut |entry, _| kinds.push(entry.kind))
        .unwrap()
    {}
    assert_eq!(kinds, [Kind::Listeners, Kind::Began]);
}

#[test]
fn a_damaged_header_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), 64 * MIB);
    let mut writer = open(&config, &["udp://a:1"], 0).writer;
    writer.append(NOW, &mut [batch(0, 0..5, 100)]).unwrap();
    let path = fs::read_dir(&config.directory).unwrap().next().unwrap().unwrap().path();
    let sound = fs::read(&path).unwrap();
    assert!(sound.starts_with(&SEGMENT_MAGIC));
    for at in 0..32 {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x41;
        fs::write(&path, bytes).unwrap();
        let (seen, counters) = read(&config, &["udp://a:1"], 0, writer.position());
        assert_eq!((numbers(&seen), counters.damaged), ((0..5).collect(), 0), "octet {at}");
    }
}

#[test]
fn what_is_released_goes_when_its_time_is_over_or_room_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), 16 * MIB);
    config.keep = Duration::from_secs(3_600);
    let mut writer = open(&config, &["udp://a:1"], 0).writer;
    let mut positions = Vec::new();
    let append = |writer: &mut JournalWriter, positions: &mut Vec<u64>, n: u32| {
        let mut batches = [batch(0, n * 10..n * 10 + 10, 60_000)];
        let appended = writer.append(NOW, &mut batches).unwrap();
        positions.push(batches[0].start);
        appended
    };
    let mut n = 0;
    while append(&mut writer, &mut positions, n) == Appended::Done {
        n += 1;
        assert!(n < 40, "it never is full");
    }
    let counters = std::sync::Arc::clone(writer.counters());
    assert!(counters.is_full.load(Ordering::Relaxed));
    assert_eq!(append(&mut writer, &mut positions, n), Appended::Full);
    assert_eq!(counters.times_full.load(Ordering::Relaxed), 1);
    assert_eq!(counters.entries.load(Ordering::Relaxed), u64::from(n) * 10);
    assert!(counters.held_octets.load(Ordering::Relaxed) <= 16 * MIB);

    // Indexing comes as far as half of it: there is room for what comes, and no more than needed goes.
    let half = n / 2;
    counters.released.store(positions[half as usize], Ordering::Relaxed);
    writer.remove_released(SystemTime::now(), 0);
    assert_eq!(counters.removed.load(Ordering::Relaxed), 0, "it is kept for an hour");
    assert_eq!(append(&mut writer, &mut positions, n), Appended::Done);
    assert!(!counters.is_full.load(Ordering::Relaxed));
    assert_eq!(counters.removed.load(Ordering::Relaxed), 1);
    let (seen, _) = read(&config, &["udp://a:1"], 0, writer.position());
    assert_eq!(numbers(&seen).last(), Some(&(n * 10 + 9)));
    assert!(numbers(&seen).contains(&(half * 10)));
    // Its time is over: everything that was released goes, except what is being written.
    writer.remove_released(SystemTime::now() + Duration::from_secs(4_000), 0);
    let (seen, _) = read(&config, &["udp://a:1"], 0, writer.position());
    let first = numbers(&seen)[0];
    assert!(first <= half * 10 && first + 30 > half * 10, "{first} {half}");
}

#[test]
fn what_does_not_fit_beside_the_newest_segment_goes_into_another_when_nothing_of_it_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), 16 * MIB);
    let mut writer = open(&config, &["udp://a:1"], 0).writer;
    let counters = std::sync::Arc::clone(writer.counters());
    writer.append(NOW, &mut [batch(0, 0..45, 60_000)]).unwrap();
    let end = writer.position();
    // 15 MB beside 2.7 MB: there is no room while one octet of them is needed, and there is from then on.
    let mut large = [batch(0, 45..295, 60_000)];
    counters.released.store(end - 1, Ordering::Release);
    assert_eq!(writer.append(NOW, &mut large).unwrap(), Appended::Full);
    counters.released.store(end, Ordering::Release);
    assert_eq!(writer.append(NOW, &mut large).unwrap(), Appended::Done);
    let read_now = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let counted = [
        &counters.entries,
        &counters.segments,
        &counters.removed,
        &counters.times_full,
    ]
    .map(read_now);
    assert_eq!(counted, [295, 1, 1, 1]);
    assert!(!counters.is_full.load(Ordering::Relaxed));
    let (seen, _) = read(&config, &["udp://a:1"], end, writer.position());
    assert_eq!(numbers(&seen), (45..295).collect::<Vec<_>>());
    // What is larger than all of it is refused without a new segment at every try.
    counters.released.store(writer.position(), Ordering::Release);
    let mut too_large = [batch(0, 0..300, 60_000)];
    for _ in 0..3 {
        assert_eq!(writer.append(NOW, &mut too_large).unwrap(), Appended::Full);
    }
    assert_eq!(read_now(&counters.segments) + read_now(&counters.removed), 2);
}

#[test]
fn nothing_stays_of_a_journal_that_was_indexed_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), 16 * MIB);
    let mut writer = open(&config, &["udp://a:1"], 0).writer;
    writer.append(NOW, &mut [batch(0, 0..9, 100)]).unwrap();
    let end = writer.position();
    writer.syncer().sync().unwrap();
    assert_eq!(writer.counters().synced.load(Ordering::Relaxed), end);
    writer.counters().released.store(end, Ordering::Relaxed);
    writer.close().unwrap();
    assert_eq!(fs::read_dir(&config.directory).unwrap().count(), 0);
    assert!(open(&config, &[], end).writer.position() > end);
}

#[test]
fn indexing_that_falls_behind_reads_and_then_is_handed_over_to_again() {
    let handover = Handover::new(3_000, 0);
    let offer = |start: u64| {
        let mut batch = batch(0, 0..1, 900);
        batch.start = start;
        let end = start + batch.bytes.len() as u64;
        (handover.offer(batch, end).is_ok(), end)
    };
    let taken = |position: u64| match handover.next(position, Duration::ZERO) {
        Next::Batch(batch) => Some(batch.start),
        _ => None,
    };
    assert!(matches!(handover.next(0, Duration::ZERO), Next::TimedOut));
    let (mut end, mut starts) = (0, Vec::new());
    for n in 0..6 {
        starts.push(end);
        let (handed, behind) = offer(end);
        assert_eq!(handed, n < 3, "three fit");
        end = behind;
    }
    assert!(handover.is_behind());
    for start in &starts[..3] {
        assert_eq!(taken(*start), Some(*start));
    }
    // Room alone does not end it: what lies between would be passed over.
    let (handed, behind) = offer(end);
    assert!(!handed);
    assert!(matches!(handover.next(starts[3], Duration::ZERO), Next::Read(until) if until == behind));
    assert!(matches!(handover.next(behind, Duration::ZERO), Next::TimedOut));
    assert!(!handover.is_behind());
    let (handed, _) = offer(behind);
    assert!(handed);
    handover.close();
    assert_eq!(taken(behind), Some(behind));
    assert!(matches!(handover.next(u64::MAX, Duration::ZERO), Next::Closed));
}

#[test]
fn a_segment_is_read_by_itself_with_its_damage_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), 16 * MIB);
    let mut writer = open(&config, &["udp://a:1"], 0).writer;
    writer.append(NOW, &mut [batch(0, 0..4, 100)]).unwrap();
    let path = segments(&config.directory).unwrap().remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 2 * 156;
    bytes[at + 80] ^= 1;
    let mut seen = Vec::new();
    read_segment(&bytes, &mut |place, entry| {
        let first = entry.and_then(|entry| entry.bytes.first_chunk());
        seen.push((place as usize, first.map(|number| u32::from_be_bytes(*number))));
        Ok::<(), ()>(())
    })
    .unwrap();
    // Behind the listeners and the beginning of the run.
    assert_eq!(
        seen[2..],
        [
            (at - 2 * 156, Some(0)),
            (at - 156, Some(1)),
            (at, None),
            (at + 156, Some(3)),
        ]
    );
}
