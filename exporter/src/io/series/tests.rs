//! Files of one destination, told by what a reader finds in their folder.

use std::fs;
use std::path::Path;

use flowgauge_templates::management::TransportKind;
use tempfile::TempDir;

use super::part_of;
use crate::config::{FilesConfig, Keep};
use crate::exporting::{AccountsSnapshot, Event, samples};
use crate::io::destination::Context;
use crate::io::queue::Batch;
use crate::io::stories::{Collector, PATIENCE, context, finish, start};

const S: i64 = 1_000_000_000;
/// 2026-01-01 00:00:00 UTC.
const DAY: i64 = 1_767_225_600 * S;

fn with(files: FilesConfig) -> Context {
    let mut context = context(PATIENCE);
    context.config.files = files;
    context
}

fn seconds(seconds: u64) -> Option<std::time::Duration> {
    Some(std::time::Duration::from_secs(seconds))
}

/// Flows that end at these seconds of the day.
fn ending_at(ends: &[i64]) -> Batch {
    let flows: Vec<_> = ends
        .iter()
        .map(|end| {
            let mut record = samples::udp();
            (record.start_ns, record.end_ns) = (DAY + end * S - S, DAY + end * S);
            record
        })
        .collect();
    Batch::new(flows.into())
}

fn export(destination: &str, context: &Context, batches: &[Batch]) -> AccountsSnapshot {
    let worker = start(destination, context);
    batches
        .iter()
        .for_each(|batch| worker.queue.push_waiting(1, batch.clone()));
    finish(worker, context)
}

/// The names in a folder and the flows in each file.
fn found(folder: &Path) -> Vec<(String, u64)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let octets = fs::read(&path).unwrap();
            let flows = match path.extension().is_some_and(|ending| ending == "json") {
                true => octets.iter().filter(|octet| **octet == b'\n').count() as u64,
                false => {
                    // Each by itself: a new collector knows no templates.
                    let mut collector = Collector::new(TransportKind::File);
                    assert_eq!(collector.hear_all(&octets), 0, "{}", path.display());
                    assert_eq!(collector.gaps, 0);
                    collector.flows
                }
            };
            (path.file_name().unwrap().to_string_lossy().into_owned(), flows)
        })
        .collect();
    found.sort();
    found
}

fn names(found: &[(String, u64)]) -> Vec<&str> {
    found.iter().map(|(name, _)| name.as_str()).collect()
}

fn events(accounts: &AccountsSnapshot) -> [u64; 4] {
    [
        Event::FileCompleted,
        Event::FileRemoved,
        Event::FileRecovered,
        Event::FileNumbered,
    ]
    .map(|event| accounts.events.of(event))
}

#[test]
fn windows_are_those_of_the_capture_and_each_file_is_whole() {
    for (scheme, ending) in [("file", "ipfix"), ("json", "json")] {
        let folder = TempDir::new().unwrap();
        let context = with(FilesConfig {
            rotate: seconds(300),
            ..FilesConfig::default()
        });
        let to = format!("{scheme}:{}/%Y%m%d-%H%M.{ending}", folder.path().display());
        // A late one stays in the window in which it comes; an hour without records has no file.
        let batches = [ending_at(&[1, 299, 298, 300, 290]), ending_at(&[301, 4000, 4001])];
        let accounts = export(&to, &context, &batches);
        let expected = [("20260101-0000", 3), ("20260101-0005", 3), ("20260101-0105", 2)];
        let expected = expected.map(|(name, flows)| (format!("{name}.{ending}"), flows));
        assert_eq!(found(folder.path()), expected);
        assert_eq!((accounts.exported, accounts.lost_total()), (8, 0));
        assert_eq!(events(&accounts), [3, 0, 0, 0]);
    }
}

#[test]
fn a_pattern_alone_says_when_files_change_and_makes_its_folders() {
    let folder = TempDir::new().unwrap();
    let context = with(FilesConfig::default());
    let to = format!("file:{}/%Y/%m/%d-%H.ipfix", folder.path().display());
    let accounts = export(&to, &context, &[ending_at(&[10, 3599, 3600, 90_000])]);
    let month = folder.path().join("2026/01");
    assert_eq!(names(&found(&month)), ["01-00.ipfix", "01-01.ipfix", "02-01.ipfix"]);
    assert_eq!(accounts.exported, 4);
    // What stands around them is not made.
    let nowhere = format!("file:{}/none/%H.ipfix", folder.path().display());
    let error =
        super::super::destination::Worker::start(&crate::config::Destination::parse(&nowhere).unwrap(), &context);
    assert!(error.unwrap_err().contains("make the directory first"));
}

#[test]
fn a_capture_without_flows_has_no_file() {
    for scheme in ["file", "json"] {
        let folder = TempDir::new().unwrap();
        let to = format!("{scheme}:{}/%H.x", folder.path().display());
        let accounts = export(&to, &with(FilesConfig::default()), &[]);
        assert_eq!(
            (fs::read_dir(folder.path()).unwrap().count(), events(&accounts)),
            (0, [0; 4])
        );
    }
}

#[test]
fn a_size_is_not_passed_and_numbers_tell_files_of_one_window_apart() {
    for (scheme, ending) in [("file", "ipfix"), ("json", "json")] {
        let folder = TempDir::new().unwrap();
        let context = with(FilesConfig {
            rotate: seconds(3600),
            rotate_octets: Some(80_000),
            ..FilesConfig::default()
        });
        let to = format!("{scheme}:{}/%H.{ending}", folder.path().display());
        let ends: Vec<i64> = (0..3000).map(|at| at / 10).collect();
        let accounts = export(&to, &context, &[ending_at(&ends), ending_at(&ends)]);
        let found = found(folder.path());
        assert!(found.len() > 2, "{found:?}");
        assert_eq!(found.iter().map(|(_, flows)| flows).sum::<u64>(), 6000);
        for name in ["00", "00-1", "00-2"] {
            assert!(
                names(&found).contains(&format!("{name}.{ending}").as_str()),
                "{found:?}"
            );
        }
        for entry in fs::read_dir(folder.path()).unwrap() {
            // Flows do not pass it; statistics at the end may.
            assert!(entry.unwrap().metadata().unwrap().len() <= 81_000);
        }
        assert_eq!(
            (accounts.exported, events(&accounts)[3]),
            (6000, 0),
            "numbers are expected"
        );
    }
}

#[test]
fn an_earlier_file_of_a_series_stays() {
    let folder = TempDir::new().unwrap();
    let context = with(FilesConfig {
        rotate: seconds(60),
        ..FilesConfig::default()
    });
    let to = format!("json:{}/flows.json", folder.path().display());
    for numbered in [0, 1] {
        let accounts = export(&to, &context, &[ending_at(&[61, 62])]);
        assert_eq!(events(&accounts), [1, 0, 0, numbered]);
    }
    assert_eq!(
        found(folder.path()),
        [
            ("flows-20260101T000100Z-1.json".to_owned(), 2),
            ("flows-20260101T000100Z.json".to_owned(), 2)
        ]
    );
}

#[test]
fn what_a_crash_left_is_cut_to_its_whole_part_and_kept() {
    let folder = TempDir::new().unwrap();
    let complete = folder.path().join("day.ipfix");
    export(
        &format!("file:{}", complete.display()),
        &with(FilesConfig::default()),
        &[ending_at(&[1, 2, 3])],
    );
    let whole = fs::read(&complete).unwrap();
    let hour = DAY / S / 3600 * 3600;
    // One Message more, of which only a part was written; one that is whole; one with nothing whole; one of somebody else.
    let cut = [whole.as_slice(), &whole[..20]].concat();
    for (name, octets) in [
        (format!("x-{hour}.ipfix.part"), cut.as_slice()),
        ("x-7.ipfix.part".to_owned(), &whole),
        ("x-8.ipfix.part".to_owned(), &whole[..10]),
        ("y-9.ipfix.part".to_owned(), b"mine"),
    ] {
        fs::write(folder.path().join(name), octets).unwrap();
    }
    fs::write(folder.path().join("x-7.ipfix"), b"").unwrap();
    fs::remove_file(&complete).unwrap();
    let context = with(FilesConfig {
        rotate: seconds(3600),
        ..FilesConfig::default()
    });
    let to = format!("file:{}/x-%s.ipfix", folder.path().display());
    let accounts = export(&to, &context, &[ending_at(&[5])]);
    assert_eq!(events(&accounts), [1, 0, 2, 1]);
    assert_eq!(fs::read(folder.path().join(format!("x-{hour}.ipfix"))).unwrap(), whole);
    assert_eq!(fs::read(folder.path().join("x-7-1.ipfix")).unwrap(), whole);
    assert_eq!(fs::read(folder.path().join("y-9.ipfix.part")).unwrap(), b"mine");
    assert!(!folder.path().join("x-8.ipfix.part").exists());
    assert!(folder.path().join(format!("x-{hour}-1.ipfix")).exists(), "the new one");
}

#[test]
fn what_a_crash_left_of_a_single_file_gets_a_number() {
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("day.ipfix");
    let to = format!("file:{}", place.display());
    export(&to, &with(FilesConfig::default()), &[ending_at(&[1, 2, 3])]);
    fs::rename(&place, part_of(&place)).unwrap();
    let accounts = export(&to, &with(FilesConfig::default()), &[ending_at(&[5])]);
    assert_eq!(events(&accounts), [1, 0, 1, 0]);
    assert_eq!(
        found(folder.path()),
        [("day-1.ipfix".to_owned(), 3), ("day.ipfix".to_owned(), 1)]
    );
}

#[test]
fn cut_lines_are_dropped_to_the_last_whole_one() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("00.json.part"), b"{}\n{\"a\":1}\n{\"b\"").unwrap();
    let context = with(FilesConfig::default());
    let to = format!("json:{}/%H.json", folder.path().display());
    let accounts = export(&to, &context, &[ending_at(&[7200])]);
    assert_eq!(events(&accounts), [1, 0, 1, 0]);
    assert_eq!(fs::read(folder.path().join("00.json")).unwrap(), b"{}\n{\"a\":1}\n");
}

#[test]
fn two_exporters_do_not_write_one_file() {
    let folder = TempDir::new().unwrap();
    let context = with(FilesConfig::default());
    let to = format!("file:{}/day.ipfix", folder.path().display());
    let first = start(&to, &context);
    let error = crate::io::destination::Worker::start(&crate::config::Destination::parse(&to).unwrap(), &context);
    let error = error.unwrap_err();
    assert!(error.contains("another exporter is writing"), "{error}");
    first.queue.push_waiting(1, ending_at(&[1]));
    assert_eq!(finish(first, &context).exported, 1);
    assert_eq!(found(folder.path()), [("day.ipfix".to_owned(), 1)]);
}

#[test]
fn only_so_many_files_are_kept_and_others_are_not_touched() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("notes.ipfix"), b"mine").unwrap();
    let context = with(FilesConfig {
        rotate: seconds(60),
        keep: Keep {
            files: Some(2),
            ..Keep::default()
        },
        ..FilesConfig::default()
    });
    let to = format!("json:{}/%H%M.ipfix", folder.path().display());
    let accounts = export(&to, &context, &[ending_at(&[1, 61, 121, 181, 241])]);
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["0003.ipfix", "0004.ipfix", "notes.ipfix"]);
    assert_eq!((accounts.exported, events(&accounts)), (5, [5, 3, 0, 0]));
}
