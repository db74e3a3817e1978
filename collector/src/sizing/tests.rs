//! Predictions against stores that were written.

use std::path::Path;

use super::*;
use crate::normalize::columns::id;
use crate::normalize::row::{Row, ipv4_to_u128};
use crate::store::{Store, StoreConfig};

const T0: i64 = 1_767_225_600_000_000_000;
const S: i64 = 1_000_000_000;

/// Flows of a thousand clients and fifty servers, made by a small generator of numbers (Knuth's, MMIX).
fn flow(at: i64, row: &mut Row) {
    let mut state = at.cast_unsigned().wrapping_add(7);
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let client = next(1_000);
    row.set_signed(id::START, T0 + at * S / 100);
    row.set_signed(id::DURATION, next(S as u64).cast_signed());
    row.set_signed(id::RECEIVED, T0 + at * S / 100 + S);
    row.set_ip(id::EXPORTER_IP, ipv4_to_u128([192, 0, 2, 1]));
    row.set_ip(id::SRC_IP, ipv4_to_u128([10, 0, (client >> 8) as u8, client as u8]));
    row.set_ip(id::DST_IP, ipv4_to_u128([203, 0, 113, next(50) as u8]));
    row.set_number(id::SRC_PORT, 32_768 + next(28_000));
    row.set_number(id::DST_PORT, [443, 80, 53, 22][next(4) as usize]);
    row.set_number(id::PROTO, 6);
    row.set_number(id::OCTETS, 40 + next(100_000));
    row.set_number(id::PACKETS, 1 + next(100));
}

/// A store of so many flows, a hundred a second by their own clock.
fn stored(folder: &Path, rows: i64) {
    let config = StoreConfig {
        commit_rows: 10_000,
        ..StoreConfig::default()
    };
    let store = Store::open(folder, config).unwrap();
    let mut writer = store.writer().unwrap();
    for at in 0..rows {
        let mut row = Row::new();
        flow(at, &mut row);
        writer.add(T0 + at * S / 100 + S, row).unwrap();
    }
    writer.close(T0 + rows * S / 100 + S).unwrap();
}

fn octets_of(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            folder if folder.is_dir() => octets_of(&entry.path()),
            file => file.len(),
        })
        .sum()
}

#[test]
fn a_store_tells_what_twice_as_much_takes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    stored(folders[0].path(), 20_000);
    stored(folders[1].path(), 40_000);
    let taken = Taken::of(&Manifest::load(folders[0].path()).unwrap().unwrap()).unwrap();
    assert_eq!(taken.rows, 20_000);
    let mut config = Config::default();
    // As long as the larger store covers, without the partition that is still open.
    config.store.retention_s = 400;
    config.store.partition_s = 0;
    config.store.rollups.minute.seconds = 400;
    let predicted = predict(100.0, &config, &taken);
    let tier = |name: &str| {
        let tier = predicted.tiers.iter().find(|tier| tier.name == name).unwrap();
        tier.octets.unwrap()
    };
    // Within 15 %: the guide says so.
    let is = octets_of(&folders[1].path().join("partitions")) as f64;
    assert!((tier("flows") / is - 1.0).abs() < 0.15, "{} for {is}", tier("flows"));
    let is = octets_of(&folders[1].path().join("rollups")) as f64;
    // One window more than is full may be begun.
    let ratio = tier("minutes") / is;
    assert!((0.85..1.35).contains(&ratio), "{} for {is}", tier("minutes"));
}

#[test]
fn times_and_sizes_hold_tiers_whichever_is_less() {
    let mut config = Config::default();
    config.store.retention_s = 30 * 86_400;
    let taken = Taken {
        row_octets: 50.0,
        journal_octets: 100.0,
        ..Taken::default()
    };
    let predicted = predict(10_000.0, &config, &taken);
    let of =
        |predicted: &Prediction, name: &str| predicted.tiers.iter().find(|tier| tier.name == name).unwrap().clone();
    let flows = of(&predicted, "flows");
    // 10 000 a second for thirty days and an hour, of 50 octets.
    assert_eq!(flows.octets, Some(10_000.0 * 50.0 * (30.0 * 86_400.0 + 3_600.0)));
    assert_eq!((flows.day_octets, flows.is_held_by_size), (43.2e9, false));
    assert!(predicted.octets.unwrap() > flows.octets.unwrap());
    assert!(predicted.memory_octets < predicted.memory_most_octets);
    // The journal is let go of as it is indexed.
    assert_eq!(of(&predicted, "journal").octets, Some((192 << 20) as f64));
    config.store.retention_octets = 100_000_000_000;
    let flows = of(&predict(10_000.0, &config, &taken), "flows");
    assert_eq!((flows.octets, flows.is_held_by_size), (Some(1e11), true));
    assert_eq!(flows.kept_s, Some(1e11 / 43.2e9 * 86_400.0));
    // Ten times the rate fills rollups no further than they can be filled.
    let minutes = |rate: f64| of(&predict(rate, &config, &taken), "minutes").octets.unwrap();
    assert_eq!(minutes(1_000.0), minutes(10_000.0));
    assert!(minutes(1.0) < minutes(1_000.0));
    (config.store.retention_s, config.store.retention_octets) = (0, 0);
    let predicted = predict(10_000.0, &config, &taken);
    assert_eq!(
        (of(&predicted, "flows").octets, predicted.octets, predicted.files),
        (None, None, None)
    );
    config.store.rollups.enabled = false;
    config.journal_octets = 0;
    assert_eq!(predict(1.0, &config, &taken).tiers.len(), 1);
}

#[test]
fn an_empty_store_tells_nothing() {
    assert_eq!(Taken::of(&Manifest::default()), None);
}
