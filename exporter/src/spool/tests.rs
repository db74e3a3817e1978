//! What is written is read in order across restarts, and whatever happens to files costs at most what they held, and is
//! counted.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::exporting::Content;

const NOW: i64 = 1_700_000_000_000_000_000;
const FLOWS: u64 = 10;

fn config(directory: &Path, size: u64) -> SpoolConfig {
    SpoolConfig {
        directory: directory.to_owned(),
        size,
        age: Duration::from_secs(60),
    }
}

/// A spool with its reader, and the recordId that is next.
struct Open {
    writer: Writer,
    reader: Reader,
    spool: Arc<Spool>,
    opened: Opened,
    next: u64,
}

impl Open {
    fn new(config: &SpoolConfig) -> Self {
        let (writer, reader, spool, opened) = open(config, "tcp://h:1").unwrap();
        let next = writer.first_record();
        Self {
            writer,
            reader,
            spool,
            opened,
            next,
        }
    }

    /// Writes Messages of ten Flow Records, telling a template at the beginning of each segment.
    fn write(&mut self, messages: u64, now_ns: i64) {
        for _ in 0..messages {
            if self.writer.wants_segment() {
                self.writer.begin_segment(now_ns, self.next).unwrap();
                self.writer
                    .add(label(Content::Templates, 0, self.next, now_ns), b"template");
            }
            self.writer
                .add(label(Content::Flows, FLOWS, self.next, now_ns), &body(self.next));
            self.next += FLOWS;
            self.writer.write(now_ns).unwrap();
        }
    }

    /// The recordIds that come, those confirmed if `confirm`; how often templates came; what was damaged.
    fn read(&mut self, confirm: bool) -> (Vec<u64>, u64, u64) {
        let (mut records, mut templates, mut damaged) = (Vec::new(), 0, 0);
        let mut message = Vec::new();
        loop {
            match self.reader.poll(&mut message).unwrap() {
                Polled::Nothing => break,
                Polled::Damaged(volume) => damaged += volume.flows,
                Polled::Message { label, behind, .. } if label.content == Content::Flows => {
                    assert_eq!(message, body(label.first_record));
                    records.extend(label.first_record..label.first_record + label.volume.flows);
                    if confirm {
                        assert_eq!(self.spool.confirm(behind, label.volume).flows, label.volume.flows);
                    }
                }
                Polled::Message { .. } => templates += 1,
            }
        }
        self.reader.save_confirmed();
        (records, templates, damaged)
    }
}

fn label(content: Content, flows: u64, first_record: u64, written_ns: i64) -> Label {
    Label {
        content,
        records: flows as u32,
        volume: Volume {
            flows,
            packets: 2 * flows,
            octets: 100 * flows,
        },
        first_record,
        written_ns,
    }
}

/// Different in each Message, and long enough that segments end soon.
fn body(first_record: u64) -> Vec<u8> {
    first_record.to_be_bytes().repeat(500)
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let directory = directory.join("tcp___h_1");
    segment::list(&directory)
        .unwrap()
        .into_iter()
        .map(|(_, path)| path)
        .collect()
}

#[test]
fn what_is_not_confirmed_is_read_again_by_the_next_run() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 64 << 20);
    let mut first = Open::new(&config);
    assert_eq!(first.opened, Opened::default());
    let begin = first.next;
    first.write(300, NOW);
    let all: Vec<u64> = (begin..begin + 3000).collect();
    assert_eq!(first.read(false).0, all);
    // A new session goes back, and hears of the templates again.
    first.reader.rewind();
    let (records, templates, damaged) = first.read(true);
    assert_eq!((records, damaged), (all, 0));
    assert_eq!(templates, 1, "one segment");
    let last = first.next;
    first.write(200, NOW);
    assert_eq!(first.spool.waiting().flows, 2000);
    drop(first);

    let mut second = Open::new(&config);
    assert_eq!(second.opened.waiting.flows, 2000);
    assert_eq!((second.opened.lost_in_memory, second.opened.unreadable), (0, 0));
    assert_eq!(second.opened.waiting.packets, 4000);
    assert!(second.next >= last + 2000, "no recordId is used twice");
    let next = second.next;
    second.write(1, NOW);
    let (records, _, _) = second.read(true);
    let expected: Vec<u64> = (last..last + 2000).chain(next..next + 10).collect();
    assert_eq!(records, expected);
    assert_eq!(second.spool.waiting(), Volume::default());
    assert_eq!(segments(directory.path()).len(), 1, "what is confirmed is removed");
}

#[test]
fn the_oldest_go_beyond_the_size_and_the_age() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 1 << 20);
    let mut spool = Open::new(&config);
    let (mut given_up, begin) = (0, spool.next);
    for _ in 0..1000 {
        spool.write(1, NOW);
        given_up += spool.writer.give_up_oldest(NOW).for_size.flows;
    }
    assert!(spool.spool.octets() <= config.size && spool.spool.octets() > config.size / 2);
    assert_eq!(spool.spool.waiting().flows + given_up, 10_000);
    let (records, _, damaged) = spool.read(true);
    let expected: Vec<u64> = (begin + given_up..begin + 10_000).collect();
    assert_eq!((records, damaged), (expected, 0));

    spool.write(200, NOW);
    let later = NOW + 61_000_000_000;
    let waiting = spool.spool.waiting().flows;
    let given_up = spool.writer.give_up_oldest(later);
    assert!(given_up.for_age.flows > 0 && given_up.for_size.flows == 0);
    assert_eq!(spool.spool.waiting().flows, waiting - given_up.for_age.flows);
}

#[test]
fn what_is_given_up_while_it_is_read_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 1 << 20);
    let mut spool = Open::new(&config);
    spool.write(10, NOW);
    let mut message = Vec::new();
    assert!(matches!(
        spool.reader.poll(&mut message).unwrap(),
        Polled::Message { .. }
    ));
    let mut given_up = 0;
    for _ in 0..1000 {
        spool.write(1, NOW);
        given_up += spool.writer.give_up_oldest(NOW).for_size.flows;
    }
    let (records, _, damaged) = spool.read(true);
    assert_eq!((records.len() as u64 + given_up, damaged), (10_100, 0));
}

#[test]
fn a_violent_end_tells_what_was_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 64 << 20);
    let mut spool = Open::new(&config);
    let handed = spool.writer.take_handed().unwrap();
    spool.write(7, NOW);
    handed.note([100, 20, 3]);
    drop(spool);
    let spool = Open::new(&config);
    assert_eq!((spool.opened.waiting.flows, spool.opened.lost_in_memory), (70, 10));
    assert_eq!(spool.opened.lost_open, 3);
    drop(spool);
    // Nothing was handed over in between.
    let spool = Open::new(&config);
    assert_eq!((spool.opened.waiting.flows, spool.opened.lost_in_memory), (70, 0));
    assert_eq!(spool.opened.lost_open, 0);
}

#[test]
fn damage_is_told_once_and_what_nobody_waits_for_is_not_told_again() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 64 << 20);
    let mut spool = Open::new(&config);
    spool.write(20, NOW);
    let path = segments(directory.path()).remove(0);
    let mut octets = std::fs::read(&path).unwrap();
    let place = octets.len() / 2;
    octets[place] ^= 1;
    std::fs::write(&path, &octets).unwrap();
    assert_eq!(spool.read(false).2, FLOWS);
    spool.reader.rewind();
    let (records, _, damaged) = spool.read(true);
    assert_eq!((records.len() as u64, damaged), (190, 0));
    assert_eq!(spool.spool.waiting().flows, 0);
    // Statistics at the end of a run are nobody's loss.
    spool
        .writer
        .add(label(Content::Statistics, 0, spool.next, NOW), b"statistics");
    spool.writer.write(NOW).unwrap();
    drop(spool);
    let mut next = Open::new(&config);
    assert_eq!(next.opened.waiting.flows, 0);
    assert_eq!(next.read(false), (Vec::new(), 0, 0));
}

#[test]
fn files_of_others_behind_links_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory.path().join("spools"), 64 << 20);
    let other = directory.path().join("other");
    std::fs::write(&other, "precious").unwrap();
    std::fs::create_dir_all(config.directory_of("tcp://h:1")).unwrap();
    for name in ["lock", "confirmed", "handed"] {
        let link = config.directory_of("tcp://h:1").join(name);
        std::os::unix::fs::symlink(&other, &link).unwrap();
        let refused = open(&config, "tcp://h:1").unwrap_err();
        assert!(refused.contains("the spool in"), "{refused}");
        std::fs::remove_file(link).unwrap();
    }
    assert_eq!(std::fs::read(other).unwrap(), b"precious");
}

#[test]
fn one_exporter_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 64 << 20);
    let first = Open::new(&config);
    let refused = open(&config, "tcp://h:1").unwrap_err();
    assert!(refused.contains("another exporter uses the spool"), "{refused}");
    drop(first);
    Open::new(&config);
}

#[test]
fn an_octet_flipped_or_cut_anywhere_costs_at_most_one_message_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), 64 << 20);
    let mut spool = Open::new(&config);
    let begin = spool.next;
    spool.write(20, NOW);
    drop(spool);
    let path = segments(directory.path()).remove(0);
    let sound = std::fs::read(&path).unwrap();
    let entry = body(0).len() + entry::HEADER_OCTETS;
    let first = segment::HEADER_OCTETS as usize + entry::HEADER_OCTETS + b"template".len();
    for place in (first..first + 19 * entry).step_by(211) {
        let mut octets = sound.clone();
        octets[place] ^= 0x41;
        std::fs::write(&path, &octets).unwrap();
        let mut spool = Open::new(&config);
        assert_eq!(spool.opened.waiting.flows, 200, "the gap tells how many");
        let (records, _, damaged) = spool.read(false);
        let lost = begin + FLOWS * ((place - first) / entry) as u64;
        let expected: BTreeSet<u64> = (begin..begin + 200)
            .filter(|id| !(lost..lost + FLOWS).contains(id))
            .collect();
        assert_eq!(
            (records.into_iter().collect::<BTreeSet<_>>(), damaged),
            (expected, FLOWS),
            "octet {place}"
        );
        drop(spool);
        restore(directory.path(), &path, &sound);
    }
    for cut in (first..sound.len()).step_by(997) {
        std::fs::write(&path, &sound[..cut]).unwrap();
        let mut spool = Open::new(&config);
        let whole = ((cut - first) / entry) as u64;
        let (records, _, _) = spool.read(false);
        assert_eq!(records.len() as u64, whole * FLOWS, "cut at {cut}");
        drop(spool);
        restore(directory.path(), &path, &sound);
    }
    std::fs::write(&path, b"FGSPOOL1 and then nothing that makes sense").unwrap();
    assert_eq!(Open::new(&config).opened.unreadable, 1);
}

/// As it was before anybody opened it.
fn restore(directory: &Path, path: &Path, sound: &[u8]) {
    for name in ["confirmed", "handed"] {
        let _ = std::fs::remove_file(directory.join("tcp___h_1").join(name));
    }
    std::fs::write(path, sound).unwrap();
}
