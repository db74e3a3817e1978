//! What is kept is there after a crash, damage costs what it hits, and what is old goes.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::*;

fn files(receiver: &Receiver, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(receiver.directory.path()).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn small() -> SummariesConfig {
    SummariesConfig {
        segment_octets: 40_000,
        ..SummariesConfig::default()
    }
}

/// Sixty windows of three metrics, written a window at a time.
fn filled(config: SummariesConfig) -> Receiver {
    let mut receiver = Receiver::on(tempfile::tempdir().unwrap(), config);
    let mut exporter = Exporter::new("192.0.2.1:5000", 7);
    for at in 0..60 {
        let names = names(at as u64 + 1, 500, 300);
        receiver.take(
            &mut exporter,
            &[
                Sent::counter("packets", at, 10 + at as u64),
                Sent::cardinality("dns.qname", at, &cardinality_of(&names)),
                Sent::list("dns.qname.top", at, &list_of(&names), 10),
            ],
        );
        receiver.settle();
    }
    receiver
}

fn answers(receiver: &Receiver) -> Vec<Json> {
    ["packets", "dns.qname"]
        .map(|metric| {
            let mut answer = receiver.metric(metric);
            answer["stats"]["elapsed_ms"] = Json::Null;
            answer
        })
        .to_vec()
}

#[test]
fn a_crash_loses_nothing_that_was_written() {
    for config in [SummariesConfig::default(), small()] {
        let receiver = filled(config);
        let before = answers(&receiver);
        assert_eq!(before[0]["rows"][0]["value"], (10..70).sum::<u64>());
        assert_eq!(before[1]["stats"]["windows"], 60);
        let segments = files(&receiver, "summaries").len();
        assert_eq!(segments > 3, config == small());
        let mut receiver = receiver.crash(config);
        assert_eq!(answers(&receiver), before);
        assert_eq!(files(&receiver, "summaries").len(), segments);
        // Whoever reads the directory beside it sees the same.
        let beside = super::super::store::SummaryStore::open_to_read(receiver.directory.path()).unwrap();
        let answer = summaries(&beside, &asking("packets")).unwrap().to_json();
        assert_eq!(answer["rows"], before[0]["rows"]);
        // What came before the crash and comes again, as from a journal, is known; what is new goes on behind it.
        let mut exporter = Exporter::new("192.0.2.1:5000", 7);
        receiver.take(
            &mut exporter,
            &[Sent::counter("packets", 59, 69), Sent::counter("packets", 60, 1)],
        );
        let counters = receiver.settle();
        assert_eq!((counters.repeated, counters.stored), (1, 1));
        let sum = (10..70).sum::<u64>() + 1;
        assert_eq!(receiver.metric("packets")["rows"][0]["value"], sum);
        let receiver = receiver.crash(config);
        assert_eq!(receiver.metric("packets")["rows"][0]["value"], sum);
    }
}

#[test]
fn an_entry_that_was_being_written_is_cut_off() {
    let receiver = filled(SummariesConfig::default());
    let before = answers(&receiver);
    let file = files(&receiver, "summaries").pop().unwrap();
    let whole = std::fs::metadata(&file).unwrap().len();
    for torn in [vec![0u8; 5], vec![0, 0, 1, 0, 9, 9, 9, 9, 1, 4], vec![0xff; 40]] {
        let mut out = OpenOptions::new().append(true).open(&file).unwrap();
        out.write_all(&torn).unwrap();
        let reopened = Summaries::open(receiver.directory.path(), SummariesConfig::default()).unwrap();
        assert_eq!(reopened.counters().store.octets_cut, torn.len() as u64);
        assert_eq!(std::fs::metadata(&file).unwrap().len(), whole);
    }
    let receiver = receiver.crash(SummariesConfig::default());
    assert_eq!(answers(&receiver), before);
}

#[test]
fn damage_costs_the_summary_that_it_hits() {
    let receiver = filled(SummariesConfig::default());
    let file = files(&receiver, "summaries").pop().unwrap();
    let mut octets = Vec::new();
    let mut opened = OpenOptions::new().read(true).write(true).open(&file).unwrap();
    opened.read_to_end(&mut octets).unwrap();
    // The value of one counter: metric and its length before it, 0 for no image behind.
    let name = b"\x00\x07packets\x01";
    let at = octets.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 7;
    opened.seek(SeekFrom::Start(at as u64)).unwrap();
    opened.write_all(&[octets[at] ^ 0x40]).unwrap();
    let receiver = receiver.crash(SummariesConfig::default());
    let answer = receiver.metric("packets");
    assert_eq!(answer["stats"]["summaries"], 59);
    assert_eq!(answer["stats"]["damaged"], 1);
    assert_eq!(answer["rows"][0]["value"], (11..70).sum::<u64>());
    assert_eq!(receiver.kept.counters().store.damaged, 1);
}

#[test]
fn what_is_old_or_too_much_goes() {
    let all = filled(small());
    let (segments, octets) = (files(&all, "summaries").len(), all.kept.counters().octets);
    let config = SummariesConfig {
        retention_octets: octets / 2,
        ..small()
    };
    let receiver = all.crash(config);
    let counters = receiver.settle();
    assert!(
        counters.octets <= octets / 2 && counters.octets > octets / 4,
        "{counters:?}"
    );
    assert!(files(&receiver, "summaries").len() < segments);
    assert_eq!(counters.store.octets_removed, octets - counters.octets);
    let windows = receiver.metric("packets")["stats"]["windows"].as_u64().unwrap();
    assert_eq!(counters.store.removed, (60 - windows) * 3);

    let config = SummariesConfig {
        retention_s: 60,
        ..small()
    };
    let receiver = receiver.crash(config);
    receiver
        .kept
        .handle_timeout((T0_MS + 10 * 3_600_000) * NS_PER_MS)
        .unwrap();
    assert_eq!(receiver.kept.counters().octets, 0);
    assert!(files(&receiver, "summaries").is_empty() && files(&receiver, "json").is_empty());
    assert_eq!(
        receiver.ask(&SummariesRequest::default())["rows"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    // It goes on all the same.
    let mut receiver = receiver;
    receiver.take(
        &mut Exporter::new("192.0.2.1:5000", 7),
        &[Sent::counter("packets", 599, 4)],
    );
    assert_eq!(receiver.metric("packets")["rows"][0]["value"], 4);
}
