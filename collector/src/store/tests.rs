//! Stories of the store on a real directory: write, read, crash, reopen, merge, remove.

use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::limits;
use crate::normalize::codes::KIND_FLOW;
use crate::normalize::columns::id::KIND;
use crate::normalize::columns::{ColumnKind, columns, id};
use crate::normalize::row::{Cell, CellRef, Row, ipv4_to_u128};
use crate::query::{AggregateRequest, FlowsRequest, aggregate, download, flow, flows};

const T0: i64 = 1_767_225_600_000_000_000;
const S: i64 = 1_000_000_000;

fn row(at_ns: i64, number: u64) -> Row {
    let mut row = Row::new();
    row.set_signed(id::START, at_ns);
    row.set_signed(id::DURATION, 5);
    row.set_ip(id::SRC_IP, ipv4_to_u128([10, 0, (number >> 8) as u8, number as u8]));
    row.set_number(id::OCTETS, number);
    row
}

fn config() -> StoreConfig {
    StoreConfig {
        commit_rows: 10_000,
        memory_octets: 16 << 20,
        ..StoreConfig::default()
    }
}

fn octets_of(store: &Store) -> Vec<u64> {
    let request = FlowsRequest {
        limit: 100_000,
        order: Some("octets".into()),
        ..FlowsRequest::default()
    };
    let table = flows(&store.snapshot(), &request).unwrap();
    let at = table.columns.iter().position(|column| column.name == "octets").unwrap();
    table
        .rows
        .iter()
        .map(|row| match row.cells[at] {
            Some(Cell::Number(value)) => value,
            ref other => panic!("{other:?}"),
        })
        .collect()
}

fn open(dir: &TempDir, config: StoreConfig) -> (Arc<Store>, StoreWriter) {
    let store = Store::open(dir.path(), config).unwrap();
    let writer = store.writer().unwrap();
    (store, writer)
}

#[test]
fn a_row_of_every_kind_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    let mut row = Row::new();
    let mut given = Vec::new();
    for (column, (id, definition)) in (1u64..).zip(columns()) {
        let cell = match definition.kind {
            ColumnKind::Time => Cell::Signed(T0 + column as i64),
            ColumnKind::Duration => Cell::Signed(-(column as i64)),
            ColumnKind::Ip => Cell::Ip(u128::from(column) << 64),
            // Only flows are listed by a question that names nothing else.
            ColumnKind::Number if id == KIND => Cell::Number(KIND_FLOW),
            ColumnKind::Number => Cell::Number(u64::MAX - column),
            ColumnKind::Float => Cell::Float(column as f64 / 3.0),
            ColumnKind::Text => Cell::Text(format!("text {column} ä").into()),
            ColumnKind::Mac => Cell::Mac(column),
            ColumnKind::Bool => Cell::Bool(true),
        };
        row.set(id, &cell);
        given.push(cell);
    }
    // The end is start and duration together.
    let duration = given[usize::from(id::DURATION.0)].clone();
    let (Cell::Signed(start), Cell::Signed(duration)) = (given[0].clone(), duration) else {
        panic!()
    };
    given[usize::from(id::END.0)] = Cell::Signed(start + duration);
    let others: [(&str, CellRef<'_>, Cell); 6] = [
        ("32473.77", CellRef::Text("00ff"), Cell::Text("00ff".into())),
        ("ciscoFirewallEvent", CellRef::Number(2), Cell::Signed(2)),
        ("a signed", CellRef::Signed(-7), Cell::Signed(-7)),
        ("a float", CellRef::Float(0.5), Cell::Float(0.5)),
        ("back\\slash", CellRef::Bool(false), Cell::Bool(false)),
        (
            "an address",
            CellRef::Ip(ipv4_to_u128([192, 0, 2, 1])),
            Cell::Text("192.0.2.1".into()),
        ),
    ];
    for (name, value, _) in &others {
        assert!(row.add_other(&Arc::from(*name), *value));
    }
    writer.add(T0, row).unwrap();
    writer.close(T0).unwrap();

    let listed = flows(&store.snapshot(), &FlowsRequest::default()).unwrap();
    let found = flow(&store.snapshot(), &listed.rows[0].id).unwrap();
    assert_eq!(listed.rows, found.rows);
    let cells: Vec<_> = found.rows[0].cells.iter().map(|cell| cell.clone().unwrap()).collect();
    assert_eq!(cells, given);
    let mut expected: Vec<_> = others
        .into_iter()
        .map(|(name, _, cell)| (name.to_owned(), cell))
        .collect();
    expected.sort_by(|left, right| left.0.cmp(&right.0));
    assert_eq!(found.rows[0].other, expected);
}

#[test]
fn what_was_not_committed_is_not_there_and_the_rest_is_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    for number in 0..100 {
        writer.add(T0, row(T0, number)).unwrap();
    }
    writer.commit(T0).unwrap();
    let copy = tempfile::tempdir().unwrap();
    for number in 100..200 {
        writer.add(T0, row(T0, number)).unwrap();
    }
    // A crash: the directory as it is, with a segment half written and a manifest half written.
    copy_all(dir.path(), copy.path());
    std::fs::write(copy.path().join("manifest.json.new"), "{\"format\":1,").unwrap();
    drop(writer);
    assert_eq!(store.counters().rows_committed, 200);

    let (crashed, mut writer) = open(&copy, config());
    assert_eq!(octets_of(&crashed), (0..100).collect::<Vec<_>>());
    let segments = std::fs::read_dir(copy.path().join("partitions"))
        .unwrap()
        .flat_map(|partition| std::fs::read_dir(partition.unwrap().path()).unwrap());
    assert_eq!(segments.count(), 1, "leftovers are removed");
    writer.add(T0, row(T0, 100)).unwrap();
    writer.commit(T0).unwrap();
    assert_eq!(octets_of(&crashed), (0..=100).collect::<Vec<_>>());
    assert_eq!(crashed.counters().segments_damaged, 0);
}

fn copy_all(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn two_writers_are_one_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let (store, writer) = open(&dir, config());
    let error = Store::open(dir.path(), config()).unwrap_err();
    assert!(
        matches!(error, StoreError::Locked { process, .. } if process == std::process::id()),
        "{error}"
    );
    assert!(error.to_string().contains("another collector"), "{error}");
    assert!(matches!(store.writer(), Err(StoreError::WriterTaken { .. })));
    drop(writer);
    assert!(store.writer().is_ok());
}

#[test]
fn a_reader_of_nothing_says_so() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Store::open_read_only(dir.path()),
        Err(StoreError::Absent { .. })
    ));
}

#[test]
fn snapshots_stay_as_they_were_while_rows_arrive_and_segments_are_merged() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    let commits = limits::SEGMENTS_PER_PARTITION as u64 + 4;
    let mut early = None;
    for number in 0..commits {
        writer.add(T0, row(T0 + number as i64, number)).unwrap();
        writer.commit(T0).unwrap();
        if number == 3 {
            early = Some(store.snapshot());
        }
    }
    let listed = flows(&store.snapshot(), &FlowsRequest::default()).unwrap();
    writer.close(T0).unwrap();
    let status = store.status();
    assert!(store.counters().merges > 0);
    assert_eq!((status.rows, status.partitions), (commits, 1));
    assert!(
        status.segments <= limits::SEGMENTS_PER_PARTITION as u64,
        "{}",
        status.segments
    );
    assert_eq!(octets_of(&store), (0..commits).collect::<Vec<_>>());
    // Rows keep their numbers through the merges.
    let again = flows(&store.snapshot(), &FlowsRequest::default()).unwrap();
    assert_eq!(listed.rows, again.rows);
    let early = early.unwrap();
    assert_eq!(flows(&early, &FlowsRequest::default()).unwrap().rows.len(), 4);
    drop(early);
    let on_disk = std::fs::read_dir(dir.path().join("partitions"))
        .unwrap()
        .flat_map(|partition| std::fs::read_dir(partition.unwrap().path()).unwrap());
    assert_eq!(
        on_disk.count() as u64,
        status.segments,
        "merged segments go with their last reader"
    );

    let reader = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(octets_of(&reader), (0..commits).collect::<Vec<_>>());
    assert!(matches!(reader.writer(), Err(StoreError::ReadOnly { .. })));
}

#[test]
fn partitions_follow_arrival_and_go_when_they_are_old() {
    let dir = tempfile::tempdir().unwrap();
    let settings = StoreConfig {
        partition_s: 60,
        retention_s: 120,
        ..config()
    };
    let (store, mut writer) = open(&dir, settings);
    for minute in 0..5i64 {
        let now = T0 + minute * 60 * S;
        writer.add(now, row(now, minute as u64)).unwrap();
        writer.commit(now).unwrap();
    }
    assert_eq!(store.status().partitions, 5);
    let now = T0 + 5 * 60 * S;
    writer.handle_timeout(now).unwrap();
    writer.close(now).unwrap();
    assert_eq!(octets_of(&store), vec![3, 4]);
    let counters = store.counters();
    assert_eq!((counters.partitions_removed, counters.rows_removed), (3, 3));
    assert!(counters.octets_removed > 0);
    assert_eq!(std::fs::read_dir(dir.path().join("partitions")).unwrap().count(), 2);
}

#[test]
fn partitions_go_when_all_are_too_large() {
    let dir = tempfile::tempdir().unwrap();
    // Every segment is larger than that: each one gets a partition of its own.
    let settings = StoreConfig {
        partition_octets: 1,
        retention_octets: 1,
        ..config()
    };
    let (store, mut writer) = open(&dir, settings);
    for number in 0..3 {
        writer.add(T0, row(T0, number)).unwrap();
        writer.commit(T0).unwrap();
    }
    assert_eq!(store.status().partitions, 3);
    writer.handle_timeout(T0 + S).unwrap();
    writer.close(T0 + S).unwrap();
    assert_eq!(octets_of(&store), vec![2], "the one being written stays");
}

#[test]
fn rows_are_committed_in_time_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    writer.handle_timeout(T0).unwrap();
    assert_eq!(writer.poll_timeout(), Some(T0 + 30 * S), "retention looks again");
    writer.add(T0, row(T0, 1)).unwrap();
    let due = writer.poll_timeout().unwrap();
    assert_eq!(due, T0 + S);
    writer.handle_timeout(due - 1).unwrap();
    assert_eq!(writer.waiting(), 1);
    writer.handle_timeout(due).unwrap();
    // The thread that writes may not have begun.
    let begin = std::time::Instant::now();
    let mut at = due;
    while writer.waiting() != 0 {
        assert!(begin.elapsed().as_secs() < 10);
        std::thread::sleep(std::time::Duration::from_millis(2));
        at += S / 10;
        writer.handle_timeout(at).unwrap();
    }
    writer.close(at).unwrap();
    assert_eq!(octets_of(&store), vec![1]);
    let status = store.status();
    assert_eq!(
        (status.oldest_ns, status.newest_ns, status.committed_ns),
        (Some(T0), Some(T0 + 5), Some(at))
    );
}

#[test]
fn a_segment_that_cannot_be_written_is_lost_and_counted_and_the_next_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    writer.add(T0, row(T0, 1)).unwrap();
    // There is no place for its directory.
    let partitions = dir.path().join("partitions");
    std::fs::remove_dir_all(&partitions).unwrap();
    std::fs::write(&partitions, "no directory").unwrap();
    let error = writer.commit(T0).unwrap_err();
    assert!(
        matches!(error, StoreError::Io { .. } | StoreError::Damaged { .. }),
        "{error}"
    );
    let counters = store.counters();
    assert_eq!(
        (counters.rows_added, counters.rows_lost, counters.commit_errors),
        (1, 1, u64::from(limits::WRITES_AT_THE_END))
    );
    std::fs::remove_file(&partitions).unwrap();
    writer.add(T0, row(T0, 2)).unwrap();
    writer.commit(T0).unwrap();
    assert_eq!(octets_of(&store), vec![2]);
    let counters = store.counters();
    assert_eq!(counters.rows_added, counters.rows_committed + counters.rows_lost);
}

#[test]
fn what_the_disk_does_not_take_waits_and_at_the_end_is_left_to_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    let partitions = dir.path().join("partitions");
    let block = || {
        std::fs::remove_dir_all(&partitions).unwrap();
        std::fs::write(&partitions, "no directory").unwrap();
    };
    let wait_for = |done: &dyn Fn() -> bool| {
        let begin = std::time::Instant::now();
        while !done() {
            assert!(begin.elapsed().as_secs() < 10, "{:?}", store.counters());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    };
    store.wait_for_disk();
    block();
    writer.mark(T0, 5).unwrap();
    writer.add(T0, row(T0, 1)).unwrap();
    writer.mark(T0, 100).unwrap();
    let due = writer.poll_timeout().unwrap() + 1_000_000_000;
    writer.handle_timeout(due).unwrap();
    wait_for(&|| store.blocked().is_some());
    assert_eq!((store.journal_position(), store.status().rows), (None, 0));
    std::fs::remove_file(&partitions).unwrap();
    wait_for(&|| store.journal_position() == Some(100) && store.counters().rows_committed == 1);
    assert_eq!((store.blocked(), octets_of(&store)), (None, vec![1]));
    let counters = store.counters();
    assert_eq!(
        (counters.rows_committed, counters.rows_lost, counters.rows_left),
        (1, 0, 0)
    );
    // At the end it is tried once more, and nothing of behind it is committed.
    block();
    writer.add(T0, row(T0, 2)).unwrap();
    writer.mark(T0, 200).unwrap();
    store.stop_waiting();
    assert!(writer.commit(T0).is_err());
    std::fs::remove_file(&partitions).unwrap();
    writer.add(T0, row(T0, 3)).unwrap();
    writer.mark(T0, 300).unwrap();
    writer.close(T0).unwrap();
    let counters = store.counters();
    assert_eq!(
        (counters.rows_committed, counters.rows_lost, counters.rows_left),
        (1, 0, 2)
    );
    assert_eq!(store.journal_position(), Some(100));
}

#[test]
fn a_damaged_segment_is_left_out_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    for number in 0..2 {
        writer.add(T0, row(T0, number)).unwrap();
        writer.commit(T0).unwrap();
    }
    writer.close(T0).unwrap();
    let path = store.snapshot().segments()[0].path().to_owned();
    drop(store);
    for file in std::fs::read_dir(path).unwrap() {
        std::fs::write(file.unwrap().path(), "not what it was").unwrap();
    }
    let store = Store::open(dir.path(), config()).unwrap();
    assert_eq!(octets_of(&store), vec![1]);
    assert_eq!(store.counters().segments_damaged, 1);
}

/// Octets that changed within files show only while they are read.
#[test]
fn whatever_octet_of_a_segment_changed_the_rest_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    for number in 0..400 {
        writer.add(T0, row(T0, number)).unwrap();
        if number % 200 == 199 {
            writer.commit(T0).unwrap();
        }
    }
    writer.close(T0).unwrap();
    let path = store.snapshot().segments()[0].path().to_owned();
    drop(store);
    let files: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind != "json"))
        .collect();
    assert!(files.len() > 2, "{files:?}");
    let second: Vec<u64> = (200..400).collect();
    let mut left_out = 0;
    for file in files {
        let whole = std::fs::read(&file).unwrap();
        for part in 0..16 {
            let mut octets = whole.clone();
            let at = octets.len() * part / 16;
            let end = (at + 24).min(octets.len());
            octets[at..end].iter_mut().for_each(|octet| *octet = !*octet);
            std::fs::write(&file, &octets).unwrap();
            let store = Store::open(dir.path(), config()).unwrap();
            let found = octets_of(&store);
            match store.counters().segments_damaged {
                0 => assert!(found.len() == 400, "{} from {at}: {} rows", file.display(), found.len()),
                _ => {
                    left_out += 1;
                    assert_eq!(found, second, "{} from {at}", file.display());
                }
            }
        }
        std::fs::write(&file, &whole).unwrap();
    }
    assert!(left_out > 0);
    let store = Store::open(dir.path(), config()).unwrap();
    assert_eq!((octets_of(&store).len(), store.counters().segments_damaged), (400, 0));
}

/// What tantivy makes of single octets that changed is an error or a panic; behind it, the segment is left out and counted.
#[test]
fn wherever_one_octet_changed_no_panic_leaves_any_question() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    for number in 0..80 {
        let mut row = row(T0 + number as i64 * S, number);
        row.set_text(id::APP_NAME, ["web", "dns", "ssh"][number as usize % 3]);
        row.add_other(&Arc::from("32473.77"), CellRef::Number(number));
        writer.add(T0, row).unwrap();
        if number % 40 == 39 {
            writer.commit(T0).unwrap();
        }
    }
    writer.close(T0).unwrap();
    let path = store.snapshot().segments()[0].path().to_owned();
    drop(store);
    // As segments are of before there was a checksum of their ends, so that tantivy meets each of these octets.
    let manifest = dir.path().join(manifest::MANIFEST);
    let mut without: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    for partition in without["partitions"].as_array_mut().unwrap() {
        for segment in partition["segments"].as_array_mut().unwrap() {
            segment.as_object_mut().unwrap().remove("ends").unwrap();
        }
    }
    std::fs::write(&manifest, without.to_string()).unwrap();
    let listed = |store: &Store| -> Vec<u64> {
        let request = FlowsRequest {
            limit: 100,
            ..FlowsRequest::default()
        };
        let rows = flows(&store.snapshot(), &request).unwrap().rows;
        let mut numbers: Vec<u64> = rows
            .iter()
            .map(|row| u64::from_str_radix(&row.id, 16).unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    };
    let (all, sound): (Vec<u64>, Vec<u64>) = ((0..80).collect(), (40..80).collect());
    let files = std::fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
    let mut left_out = 0;
    for file in files.filter(|path| path.extension().is_some_and(|kind| kind != "json")) {
        let whole = std::fs::read(&file).unwrap();
        // What columns there are and where stands at the end.
        let end = match file.extension().is_some_and(|kind| kind == "fast") {
            true => whole.len().saturating_sub(160),
            false => whole.len().saturating_sub(16),
        };
        for at in (0..end).step_by(end / 24 + 1).chain(end..whole.len()) {
            let mut octets = whole.clone();
            octets[at] = !octets[at];
            std::fs::write(&file, &octets).unwrap();
            let place = format!("{} at {at}", file.display());
            let store = Store::open(dir.path(), config()).unwrap();
            let snapshot = store.snapshot();
            let expected = |store: &Store| match store.counters().segments_damaged {
                0 => all.clone(),
                1 => sound.clone(),
                more => panic!("{place}: {more} segments"),
            };
            assert_eq!(listed(&store), expected(&store), "{place}");
            let request = AggregateRequest {
                group_by: vec!["app.name".to_owned(), "32473.77".to_owned()],
                metrics: vec!["flows".to_owned(), "max(octets)".to_owned()],
                limit: 100,
                ..AggregateRequest::default()
            };
            let groups = aggregate(&snapshot, &request).unwrap().rows.len();
            assert!(groups >= 40, "{place}: {groups} groups");
            let rows = download(Arc::clone(&snapshot), FlowsRequest::default()).unwrap().rows();
            assert_eq!(rows, expected(&store).len() as u64, "{place}");
            assert!(flow(&snapshot, "1").unwrap().rows.len() <= 1);
            assert_eq!(flow(&snapshot, "2f").unwrap().rows.len(), 1);
            assert_eq!(listed(&store), expected(&store), "{place}");
            left_out += store.counters().segments_damaged;
        }
        std::fs::write(&file, &whole).unwrap();
    }
    assert!(left_out > 0);
    let read_only = Store::open_read_only(dir.path()).unwrap();
    assert_eq!(
        (listed(&read_only), read_only.counters().segments_damaged),
        (all.clone(), 0)
    );
}

/// A failure that is none of the store's must not read all of it at every question.
#[test]
fn what_is_not_asked_about_or_was_found_sound_is_not_checked() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    for number in 0..3 {
        writer.add(T0, row(T0 + number * 100 * S, number as u64)).unwrap();
        writer.commit(T0).unwrap();
    }
    writer.close(T0).unwrap();
    let snapshot = store.snapshot();
    assert_eq!((octets_of(&store).len(), snapshot.segments().len()), (3, 3));
    let asked = std::cell::Cell::new(0);
    let may_go_on = || {
        asked.set(asked.get() + 1);
        if asked.get() > 2 {
            Err("the time is over")
        } else {
            Ok(())
        }
    };
    let reads = |segment: &segment::Segment| segment.overlaps(Some(T0 + 50 * S), None);
    assert_eq!(snapshot.set_damaged_aside(reads, may_go_on), Ok(0));
    assert_eq!(asked.get(), 2, "the first one is not asked about");
    assert_eq!(snapshot.set_damaged_aside(reads, may_go_on), Err("the time is over"));
    // From here on the files of all three are gone: who reads them again finds it out.
    for segment in snapshot.segments() {
        std::fs::remove_dir_all(segment.path()).unwrap();
    }
    assert_eq!(snapshot.set_damaged_aside(reads, || Ok::<(), ()>(())), Ok(0));
    assert_eq!(snapshot.set_damaged_aside(|_| true, || Ok::<(), ()>(())), Ok(1));
    assert_eq!(store.counters().segments_damaged, 1);
}

#[test]
fn too_many_names_of_other_elements_are_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut writer) = open(&dir, config());
    let names = limits::OTHER_NAMES_PER_SEGMENT + 10;
    for number in 0..names {
        let mut row = row(T0, number as u64);
        row.add_other(&Arc::from(format!("1.{number}")), CellRef::Number(1));
        writer.add(T0, row).unwrap();
    }
    writer.close(T0).unwrap();
    assert_eq!(store.counters().other_names_dropped, 10);
    assert_eq!(store.snapshot().other_names().len(), limits::OTHER_NAMES_PER_SEGMENT);
    assert_eq!(store.status().rows, names as u64);
}

#[test]
fn a_journals_position_is_committed_with_the_rows_of_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        commit_rows: 10,
        ..StoreConfig::default()
    };
    let (store, mut writer) = open(&dir, config.clone());
    let committed = |store: &Store, position: u64| {
        let begin = std::time::Instant::now();
        while store.journal_position() != Some(position) {
            assert!(begin.elapsed().as_secs() < 10, "{:?}", store.journal_position());
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    };
    writer.mark(T0, 5).unwrap();
    for entry in 1..=3 {
        for number in 0..7 {
            writer.add(T0, row(T0, number)).unwrap();
        }
        writer.mark(T0, 5 + entry * 100).unwrap();
    }
    // Ten rows are enough for a commit, but a segment ends where an entry does.
    committed(&store, 205);
    assert_eq!(store.status().rows, 14);
    writer.commit(T0).unwrap();
    assert_eq!((store.journal_position(), store.status().rows), (Some(305), 21));
    // What brings no rows is committed by itself.
    writer.mark(T0, 400).unwrap();
    assert_eq!(store.journal_position(), Some(305));
    writer.commit_mark();
    committed(&store, 400);
    drop((store, writer));
    let (store, _writer) = open(&dir, config);
    assert_eq!((store.journal_position(), store.status().rows), (Some(400), 21));
}
