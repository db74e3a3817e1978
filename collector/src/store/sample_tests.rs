//! Stores that earlier versions wrote, in `fixtures/`: this one must read them and add to them.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::normalize::columns::id;
use crate::normalize::row::{Cell, Row};
use crate::query::{AggregateRequest, TierAsked, aggregate, filter};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let is_sample = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("store-");
    let mut samples: Vec<PathBuf> = entries.filter(is_sample).collect();
    samples.sort();
    samples
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Totals of the capture, as they were counted when its packets were written.
fn counted(of: impl Fn(&serde_json::Value) -> u64) -> u64 {
    let counted = fs::read_to_string(fixtures().join("office.json")).unwrap();
    let counted: serde_json::Value = serde_json::from_str(&counted).unwrap();
    of(&counted)
}

fn sums(store: &Store, tier: TierAsked, text: Option<&str>, metrics: &[&str]) -> Vec<u64> {
    let request = AggregateRequest {
        filter: filter::parse(text.unwrap_or_default(), 0).unwrap(),
        metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect(),
        tier,
        ..AggregateRequest::default()
    };
    let table = aggregate(&store.snapshot(), &request).unwrap();
    let cells = table.rows[0].cells.iter();
    cells
        .map(|cell| match cell {
            Some(Cell::Number(value)) => *value,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn stores_of_earlier_versions_are_read_and_written_further() {
    let samples = samples();
    assert!(samples.len() >= 2, "{samples:?}");
    for sample in samples {
        let dir = tempfile::tempdir().unwrap();
        copy(&sample, dir.path());
        let store = Store::open(dir.path(), StoreConfig::default()).unwrap();
        let flows = counted(|counted| counted["biflows"].as_array().unwrap().len() as u64);
        let packets = counted(|counted| counted["totals"]["packets"].as_u64().unwrap());
        let https = counted(|counted| {
            let biflows = counted["biflows"].as_array().unwrap().iter();
            biflows.filter(|biflow| biflow["dport"] == 443).count() as u64
        });
        assert!(https > 0 && https < flows);
        let ask = |store: &Store, tier| sums(store, tier, None, &["flows", "sum(packets)", "sum(rev.packets)"]);
        for tier in [TierAsked::Raw, TierAsked::Rollup] {
            let sums = ask(&store, tier);
            assert_eq!((sums[0], sums[1] + sums[2]), (flows, packets), "{sample:?} {tier:?}");
        }
        let found = sums(&store, TierAsked::Raw, Some("dst.port = 443"), &["flows"]);
        assert_eq!(found, [https], "by the inverted index of {sample:?}");
        // Rows beside them.
        let mut writer = store.writer().unwrap();
        let mut row = Row::new();
        row.set_signed(id::START, 1_767_225_600_000_000_000);
        row.set_number(id::DST_PORT, 443);
        writer.add(1_767_225_600_000_000_000, row).unwrap();
        writer.close(1_767_225_600_000_000_000).unwrap();
        assert_eq!(
            sums(&store, TierAsked::Raw, Some("dst.port = 443"), &["flows"]),
            [https + 1]
        );
        let status = store.status();
        assert_eq!((status.rows, store.counters().segments_damaged), (flows + 1, 0));
    }
}
