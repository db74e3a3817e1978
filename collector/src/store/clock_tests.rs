//! Clocks that are wrong, of exporters and our own: nothing is lost, nothing is kept for ever, and nothing goes too early.

use super::*;
use crate::normalize::columns::id;
use crate::normalize::row::Row;

const T0: i64 = 1_767_225_600_000_000_000;
const S: i64 = 1_000_000_000;
/// 2106-02-07T06:28:15Z.
const LAST_S: i64 = u32::MAX as i64;

fn row(at_ns: i64) -> Row {
    let mut row = Row::new();
    row.set_signed(id::START, at_ns);
    row.set_signed(id::DURATION, 5);
    row
}

fn open(dir: &Path, retention_s: u64) -> (Arc<Store>, StoreWriter) {
    let config = StoreConfig {
        partition_s: 60,
        retention_s,
        memory_octets: 16 << 20,
        ..StoreConfig::default()
    };
    let store = Store::open(dir, config).unwrap();
    let writer = store.writer().unwrap();
    (store, writer)
}

fn partitions(store: &Store) -> Vec<manifest::PartitionMeta> {
    store.shared.lock().manifest.partitions.clone()
}

#[test]
fn flows_of_1970_and_2106_are_in_a_partition_of_their_own_and_go_by_their_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(dir.path(), 3_600);
    for second in 0..20 {
        let now = T0 + second * S;
        for at_ns in [now, 0, LAST_S * S, now - 3_600 * S] {
            writer.add(now, row(at_ns)).unwrap();
        }
        writer.commit(now).unwrap();
    }
    let held = partitions(&store);
    let counts: Vec<(bool, u64)> = held.iter().map(|held| (held.odd, held.rows())).collect();
    assert_eq!(counts, [(false, 40), (true, 40)]);
    assert_eq!((store.counters().rows_odd, store.counters().rows_committed), (40, 80));
    let snapshot = store.snapshot();
    // Only they say anything of other years.
    let years = |year: i64| year * 365 * 86_400 * S;
    let found = snapshot
        .segments()
        .iter()
        .filter(|segment| segment.overlaps(Some(years(20)), Some(years(40))));
    assert_eq!(found.count(), 20);
    for number in 0..80 {
        let (segment, doc) = snapshot.find_row(number).unwrap();
        assert_eq!(segment.meta().row_of(doc), number);
    }
    assert!(snapshot.find_row(80).is_none());
    // The other kind of rows goes on in its partition when the store is opened again.
    writer.close(T0 + 30 * S).unwrap();
    drop((store, snapshot));
    let (store, mut writer) = open(dir.path(), 3_600);
    writer.add(T0 + 31 * S, row(0)).unwrap();
    writer.add(T0 + 31 * S, row(T0)).unwrap();
    writer.commit(T0 + 31 * S).unwrap();
    assert_eq!(partitions(&store).len(), 2);
    // Each goes an hour after it ended: a minute, and a day.
    for (later_s, left) in [(2 * 3_600, vec![(true, 41)]), (26 * 3_600, vec![])] {
        let now = T0 + later_s * S;
        writer.handle_timeout(now).unwrap();
        writer.commit(now).unwrap();
        let begin = std::time::Instant::now();
        let counts = || -> Vec<(bool, u64)> { partitions(&store).iter().map(|held| (held.odd, held.rows())).collect() };
        while counts() != left {
            assert!(begin.elapsed().as_secs() < 10, "{:?}", counts());
            writer.handle_timeout(now + 31 * S).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    // Counted once they are gone.
    let begin = std::time::Instant::now();
    while store.counters().rows_removed < 82 && begin.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert_eq!(store.counters().rows_removed, 82);
}

#[test]
fn merged_segments_with_holes_still_name_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(dir.path(), 0);
    for second in 0..5 {
        let now = T0 + second * S;
        writer.add(now, row(0)).unwrap();
        writer.add(now, row(now)).unwrap();
        writer.commit(now).unwrap();
    }
    let later = T0 + 2 * 86_400 * S;
    writer.handle_timeout(later).unwrap();
    writer.add(later, row(later)).unwrap();
    writer.commit(later).unwrap();
    let begin = std::time::Instant::now();
    while store.snapshot().segments().len() > 3 {
        assert!(begin.elapsed().as_secs() < 20, "{:?}", store.snapshot());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let snapshot = store.snapshot();
    for number in 0..11 {
        let (segment, doc) = snapshot.find_row(number).unwrap();
        assert_eq!(segment.meta().row_of(doc), number);
    }
}

#[test]
fn a_collector_whose_own_clock_was_in_2106_goes_on_in_a_fresh_partition_and_the_old_one_ages() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(dir.path(), 3_600);
    let ahead = LAST_S * S;
    for now in [T0, ahead, T0 + 120 * S, T0 + 240 * S] {
        writer.add(now, row(now)).unwrap();
        writer.commit(now).unwrap();
    }
    let held = partitions(&store);
    assert_eq!(held.len(), 4);
    assert!(held.iter().take(3).all(|held| held.sealed), "{held:?}");
    let doomed = |later_s: i64| state::doomed_partitions(&held, &store.shared.config, T0 + later_s * S).len();
    assert_eq!(doomed(3_600 + 59), 0);
    assert_eq!(doomed(3_600 + 60), 1);
    // It goes with the one behind it.
    assert_eq!(doomed(3_600 + 179), 1);
    assert_eq!(doomed(3_600 + 180), 3);
}

#[test]
fn what_arrived_before_our_clock_was_set_does_not_go_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(dir.path(), 3_600);
    for now in [5 * S, T0, T0 + 60 * S] {
        writer.add(now, row(now)).unwrap();
        writer.commit(now).unwrap();
    }
    let held = partitions(&store);
    let doomed = |later_s: i64| state::doomed_partitions(&held, &store.shared.config, T0 + later_s * S).len();
    assert_eq!((held.len(), doomed(60), doomed(3_659), doomed(3_660)), (3, 0, 0, 2));
}

#[test]
fn retention_waits_when_our_clock_jumps() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(dir.path(), 3_600);
    store.wait_for_disk();
    writer.handle_timeout(T0).unwrap();
    writer.add(T0, row(T0)).unwrap();
    let ahead = LAST_S * S;
    writer.handle_timeout(ahead).unwrap();
    writer.handle_timeout(ahead + 60 * S).unwrap();
    assert_eq!(store.counters().clock_jumps, 1);
    // That of before the jump may still be on its way.
    let asked = store.shared.retain_ns.load(Ordering::Acquire);
    assert!(asked <= T0, "not asked for: {asked}");
    // Somebody puts it right.
    writer.handle_timeout(T0 + 60 * S).unwrap();
    writer.commit(T0 + 60 * S).unwrap();
    assert_eq!((store.status().rows, store.counters().rows_removed), (1, 0));
}
